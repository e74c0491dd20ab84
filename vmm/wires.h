/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device needs of the virtualisation module, and nothing more: to send an interrupt
 * and to hear a doorbell. Unit tests put their own implementation behind it.
 */
#ifndef BAWN_VMM_WIRES_H
#define BAWN_VMM_WIRES_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/kvm.h>

#include "launch.h"

#define BAWN_MAX_MSI 64 /* MSI-X vectors of all devices together */
#define BAWN_MAX_GSI (BAWN_IOAPIC_PINS + BAWN_MAX_MSI)

struct bawn_wires_ops {
    /* Delivers one message now. */
    void (*msi)(void *opaque, uint64_t addr, uint32_t data);
    /* Says which message gsi stands for; !on removes the route. */
    void (*route)(void *opaque, unsigned gsi, bool on, uint64_t addr, uint32_t data);
    /* Has a write to eventfd fd deliver gsi's message, one of before too; or no longer (!on). 0 or
     * -errno. */
    int (*irqfd)(void *opaque, unsigned gsi, int fd, bool on);
    /* Has a 2-byte guest write at gpa signal eventfd fd, or no longer (!on). 0 or -errno. */
    int (*ioeventfd)(void *opaque, uint64_t gpa, int fd, bool on);
};

struct bawn_wires {
    const struct bawn_wires_ops *ops;
    void *opaque;      /* passed to the ops */
    unsigned next_gsi; /* first GSI not given to a device yet */
};

/* The KVM implementation; the machine's lock guards it. */
struct bawn_kvm_wires {
    int vm_fd;   /* borrowed */
    bool warned; /* a refused route was reported: once is enough */
    struct {
        bool on;
        uint64_t addr;
        uint32_t data;
    } route[BAWN_MAX_GSI];
};

void bawn_kvm_wires_init(struct bawn_wires *wires, struct bawn_kvm_wires *kvm, int vm_fd);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio 1.2 PCI transport (section 4.1), modern only: what all virtio devices share.
 * A device behind it sees checked requests and nothing of registers or rings.
 */
#ifndef BAWN_VMM_VIRTIO_H
#define BAWN_VMM_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

#include "ioapic.h"
#include "loop.h"
#include "pci.h"
#include "virtq.h"
#include "wires.h"

#define BAWN_VIRTIO_QUEUES 3
#define BAWN_VIRTIO_VECTORS (BAWN_VIRTIO_QUEUES + 1)

struct bawn_virtio_ops {
    uint16_t id; /* virtio device id, section 5 */
    uint32_t class;
    unsigned nr_queues;
    uint16_t queue_size;
    unsigned input_queues; /* bit n: the device takes queue n's buffers when it is ready to */
    /* Serves one request of a queue; returns how many bytes it wrote. */
    uint32_t (*serve)(void *opaque, unsigned queue, const struct bawn_virtq_chain *chain);
    /* An input queue got buffers. */
    void (*ready)(void *opaque, unsigned queue);
    /* The driver has reset the device; NULL: nothing to forget. */
    void (*reset)(void *opaque);
};

struct bawn_msix_entry { /* PCI 3.0, section 6.8.2 */
    uint64_t addr;
    uint32_t data;
    uint32_t control;
};

/* What a device is plugged into; all borrowed. */
struct bawn_virtio_host {
    const struct bawn_mem *mem;
    struct bawn_wires *wires;
    struct bawn_ioapic *ioapic;
    struct bawn_loop *loop;
    struct bawn_pci *pci;
    bool access_platform; /* the driver must say what the device may see (a confidential guest) */
};

struct bawn_virtio;

struct bawn_virtio_doorbell {
    struct bawn_virtio *dev;
    int fd; /* owned eventfd that the guest's notification signals */
};

struct bawn_virtio {
    const struct bawn_virtio_ops *ops;
    void *opaque; /* borrowed: the device */
    struct bawn_virtio_host host;
    struct bawn_pci_dev pci;

    uint32_t device_feature_select, driver_feature_select;
    uint64_t driver_features;
    uint64_t features;  /* the device type's own that are offered; the driver may leave them */
    const void *config; /* borrowed: device configuration, which the driver may only read */
    unsigned config_len;
    uint8_t status;
    uint8_t isr;
    uint16_t queue_select;
    uint16_t config_vector;
    uint16_t queue_vector[BAWN_VIRTIO_QUEUES];
    struct bawn_virtq vq[BAWN_VIRTIO_QUEUES];
    struct bawn_virtio_doorbell bell[BAWN_VIRTIO_QUEUES];

    unsigned msix_cap; /* where it is in the configuration space */
    struct bawn_msix_entry msix[BAWN_VIRTIO_VECTORS];
    uint8_t msix_pending;
    unsigned nr_vectors;              /* one for each queue, one for the configuration */
    unsigned gsi;                     /* of vector 0; the others follow */
    int call_fd[BAWN_VIRTIO_VECTORS]; /* owned eventfds that deliver the vectors */
};

/* Plugs the device into slot. 0 or -errno; after a failure bawn_virtio_destroy() is still due. */
int bawn_virtio_init(struct bawn_virtio *v, const struct bawn_virtio_ops *ops, void *opaque,
                     const struct bawn_virtio_host *host, unsigned slot);
void bawn_virtio_destroy(struct bawn_virtio *v);
/* What the device type offers beyond the transport; before the guest runs. */
void bawn_virtio_offer(struct bawn_virtio *v, uint64_t features, const void *config, unsigned len);
/* Whether the driver has started the device. */
bool bawn_virtio_running(const struct bawn_virtio *v);

/* Takes a buffer of an input queue; false if there is none. The device fills it and gives
 * it back with bawn_virtio_give(). */
bool bawn_virtio_take(struct bawn_virtio *v, unsigned queue, struct bawn_virtq_chain *chain);
void bawn_virtio_give(struct bawn_virtio *v, unsigned queue, const struct bawn_virtq_chain *chain,
                      uint32_t written);
/* Puts the buffer that was taken last back, untouched. */
void bawn_virtio_untake(struct bawn_virtio *v, unsigned queue);
/* Has the queue kicked again soon, after others had their turn. */
void bawn_virtio_again(struct bawn_virtio *v, unsigned queue);
/* Serves what waits in a queue, at most a queue's length of it at a time. */
void bawn_virtio_kick(struct bawn_virtio *v, unsigned queue);

#endif

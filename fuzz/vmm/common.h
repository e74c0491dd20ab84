/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the targets of virtio devices share: a machine with one device, and a driver that does
 * what the input says. The input is a list of steps, a byte each and what the step takes:
 *
 *   START f q      a driver's way to DRIVER_OK: f chooses features (1: all of the device's; with it
 *                  2: indirect descriptors, 4: event indices; 0x80: packed rings), q the queues'
 * size REG o o l v*4  a write of l bytes at o of BAR 0 (common, notify) READ o o l     a read of
 * BAR 0 MSIX o l v*4   a write to the MSI-X table CFG o l v*4    a write to the PCI configuration
 * space POKE a a n b*n bytes into guest memory CHAIN q n p*n  n parts (where, length, length,
 * flags) become a chain of queue q, with 0x80 in n behind an indirect descriptor; bytes for the
 * first part follow: a count and the bytes DESC q i b*16  a descriptor as the input has it AVAIL q
 * i v v  an entry of the available ring, and the index one further; in a packed ring, the flags of
 * descriptor i, so that it is available BELL q         a notification HOST x y       the outside
 * world does something (the target says what), then the loop turns RACE k v       at the k-th next
 * look-up of an address, v is added to a byte of the rings LINK q i j     descriptor i goes on with
 * descriptor j
 *
 * A step that the device takes may change guest memory in the used rings and in buffers that the
 * driver marked as writable; a byte that changes elsewhere is a finding.
 */
#ifndef BAWN_FUZZ_VMM_H
#define BAWN_FUZZ_VMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "virtio.h"
#include "virtio_devices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_steps {
    const uint8_t *data;
    size_t len;
};
uint8_t steps_u8(struct fuzz_steps *s);
uint16_t steps_u16(struct fuzz_steps *s);
uint32_t steps_u32(struct fuzz_steps *s);

struct fuzz_device {
    struct bawn_vdev *vdev;
    /* Connects the transport to the device; NULL: they call each other. */
    void (*plug)(struct bawn_virtio *virtio);
    /* HOST; NULL: nothing happens outside. */
    void (*host)(uint8_t what, uint8_t how);
    /* Between inputs, after the device was reset; memory is as it left it. May be NULL. */
    void (*clear)(void);
    /* All that the device keeps, put back between inputs. */
    void *state;
    size_t size;
    /* Before and after the loop turns: ends what is under way; true: some still is. May be NULL. */
    bool (*settle)(void);
};

extern const struct bawn_wires_ops fuzz_wires; /* that lead nowhere */

/* Once: the machine that the device is for. */
struct bawn_vdev_host fuzz_machine(void);
/* Once, after the device's init: plugs it in. */
void fuzz_plugged(const struct fuzz_device *device);
/* Carries out an input and puts everything back. */
void fuzz_steps(const uint8_t *data, size_t len);

#define FUZZ_MUST(x) \
    do {             \
        if (!(x))    \
            abort(); \
    } while (0)

#endif

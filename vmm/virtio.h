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

#define BAWN_VIRTIO_QUEUES 2
#define BAWN_VIRTIO_VECTORS (BAWN_VIRTIO_QUEUES + 1)

struct bawn_virtio_ops {
    uint16_t id; /* virtio device id, section 5 */
    uint32_t class;
    unsigned nr_queues;
    uint16_t queue_size;
    unsigned input_queues; /* bit n: queue n's buffers wait for the device's data */
    /* Serves one request of a queue; returns how many bytes it wrote. */
    uint32_t (*serve)(void *opaque, unsigned queue, const struct bawn_virtq_chain *chain);
    /* An input queue got buffers. */
    void (*ready)(void *opaque, unsigned queue);
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

/* Plugs the device into slot (1 to 4: INTx is not shared). 0 or -errno; after a failure
 * bawn_virtio_destroy() is still due. */
int bawn_virtio_init(struct bawn_virtio *v, const struct bawn_virtio_ops *ops, void *opaque,
                     const struct bawn_virtio_host *host, unsigned slot);
void bawn_virtio_destroy(struct bawn_virtio *v);

/* Takes a buffer of an input queue; false if there is none. The device fills it and gives
 * it back with bawn_virtio_give(). */
bool bawn_virtio_take(struct bawn_virtio *v, unsigned queue, struct bawn_virtq_chain *chain);
void bawn_virtio_give(struct bawn_virtio *v, unsigned queue, const struct bawn_virtq_chain *chain,
                      uint32_t written);
/* Serves what waits in a queue, at most a queue's length of it at a time. */
void bawn_virtio_kick(struct bawn_virtio *v, unsigned queue);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio 1.2 PCI transport (section 4.1), modern only: registers, features, interrupts. Knows
 * nothing of rings, whose addresses it passes on to the device (vdev.h).
 */
#ifndef BAWN_VMM_VIRTIO_H
#define BAWN_VMM_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

#include "ioapic.h"
#include "loop.h"
#include "pci.h"
#include "vdev.h"
#include "wires.h"

#define BAWN_VIRTIO_VECTORS (BAWN_VIRTIO_QUEUES + 1)
#define BAWN_VIRTIO_CONFIG_MAX 256 /* bytes of device configuration */

struct bawn_msix_entry { /* PCI 3.0, section 6.8.2 */
    uint64_t addr;
    uint32_t data;
    uint32_t control;
};

/* What a transport is plugged into; all borrowed. */
struct bawn_virtio_host {
    struct bawn_wires *wires;
    struct bawn_ioapic *ioapic;
    struct bawn_loop *loop;
    struct bawn_pci *pci;
    bool access_platform; /* the driver must say what the device may see (a confidential guest) */
};

/* How the device is told; struct bawn_vdev_up is the way back. */
struct bawn_virtio_down {
    void (*start)(void *opaque, const struct bawn_vdev_start *start);
    /* The device answers with stopped(), soon or at once. */
    void (*stop)(void *opaque);
    /* The driver asks whether it has. NULL: it always has. */
    void (*stopping)(void *opaque);
};

struct bawn_virtio;

struct bawn_virtio_call {
    struct bawn_virtio *dev;
    int fd;      /* borrowed: the device's eventfd */
    int watch;   /* on while no vector takes it */
    bool direct; /* the module delivers it without us */
};

/* In a snapshot (state.h). */
struct bawn_virtio_state {
    uint8_t pci[BAWN_PCI_CFG_SIZE];
    uint8_t config[BAWN_VIRTIO_CONFIG_MAX];
    uint32_t config_len;
    uint32_t device_feature_select, driver_feature_select;
    uint64_t driver_features;
    uint16_t queue_select, config_vector;
    uint16_t queue_vector[BAWN_VIRTIO_QUEUES];
    uint8_t config_generation, status, isr;
    uint16_t msix_pending;
    struct bawn_vdev_start set;
    struct bawn_msix_entry msix[BAWN_VIRTIO_VECTORS];
};

struct bawn_virtio {
    const struct bawn_vdev_ops *ops; /* of which the numbers alone matter here */
    struct bawn_virtio_host host;
    const struct bawn_virtio_down *down;
    void *down_opaque; /* borrowed, for down */
    struct bawn_pci_dev pci;

    uint32_t device_feature_select, driver_feature_select;
    uint64_t driver_features;
    uint64_t features; /* the device type's own that are offered; the driver may leave them */
    uint8_t config[BAWN_VIRTIO_CONFIG_MAX];
    unsigned config_len;
    void *follow; /* borrowed: what the driver wrote of it is put there; NULL: nowhere */
    uint8_t config_generation;
    uint8_t status;
    bool started;  /* the device was */
    bool stopping; /* until it answers, the reset is not done (section 4.1.4.3.1) */
    uint8_t isr;
    uint16_t queue_select;
    uint16_t config_vector;
    uint16_t queue_vector[BAWN_VIRTIO_QUEUES];
    struct bawn_vdev_start set; /* what the driver has set up so far */
    struct bawn_virtio_call call[BAWN_VIRTIO_QUEUES];
    int bell_fd[BAWN_VIRTIO_QUEUES]; /* borrowed: the device's eventfds */

    unsigned msix_cap; /* where it is in the configuration space */
    struct bawn_msix_entry msix[BAWN_VIRTIO_VECTORS];
    uint16_t msix_pending;
    unsigned nr_vectors; /* one for each queue, one for the configuration */
    unsigned nr_calls;   /* queues that this place has descriptors for */
    unsigned gsi;        /* of queue 0's calls; the others follow */
};

/* Plugs a transport for the device into slot. 0 or -errno. */
int bawn_virtio_init(struct bawn_virtio *v, const struct bawn_vdev *dev,
                     const struct bawn_virtio_host *host, unsigned slot);
/* The device is there no longer; what its driver had set up is lost. */
void bawn_virtio_unplug(struct bawn_virtio *v);
/* Another one has come to its place, behind the same descriptors. 0, or -errno: it has more queues
 * than the first, or a device is there. */
int bawn_virtio_replug(struct bawn_virtio *v, const struct bawn_vdev *dev);
/* Says how the device is reached; before the guest runs. */
void bawn_virtio_connect(struct bawn_virtio *v, const struct bawn_virtio_down *down, void *opaque);

/* The device's messages, as struct bawn_vdev_up has them. */
void bawn_virtio_broken(struct bawn_virtio *v);
void bawn_virtio_stopped(struct bawn_virtio *v);
/* The supervisor's: the device's configuration is another. */
void bawn_virtio_config(struct bawn_virtio *v, const void *config, unsigned len);
/* The device has begun anew: what it had been told is lost. */
void bawn_virtio_reborn(struct bawn_virtio *v);

/* A device that serves nothing now says where its queues stand. */
void bawn_virtio_paused(struct bawn_virtio *v, const struct bawn_vdev_start *indices);
/* While the device is paused. False: it is being reset, which does not take long. */
bool bawn_virtio_save(const struct bawn_virtio *v, struct bawn_virtio_state *state);
/* Into a transport that the guest has not touched; starts the device if it was. False: this device
 * cannot have been in that state. */
bool bawn_virtio_load(struct bawn_virtio *v, const struct bawn_virtio_state *state);

#endif

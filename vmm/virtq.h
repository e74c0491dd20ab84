/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtqueues, split and packed (virtio 1.2, sections 2.7 and 2.8): the one place that reads rings
 * and descriptors. The driver may write them at any time, so each field is read once; a ring
 * that breaks a rule is broken for good until the device is reset.
 */
#ifndef BAWN_VMM_VIRTQ_H
#define BAWN_VMM_VIRTQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "memory.h"

/* Descriptors of the largest queue offered, and buffers of the longest chain; a power of two. */
#define BAWN_VIRTQ_MAX 128
/* What the rings can do; the transport offers it for every device. */
#define BAWN_VIRTQ_FEATURES                                                  \
    (1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VIRTIO_RING_F_EVENT_IDX | \
     1ull << VIRTIO_F_RING_PACKED)

struct bawn_virtq {
    const struct bawn_mem *mem; /* borrowed */
    /* Set by the driver while the queue is disabled: not checked yet. */
    uint64_t desc_gpa, avail_gpa, used_gpa; /* packed: the ring, the driver's and device's events */
    uint64_t features;                      /* what the driver took */
    uint16_t size;
    /* Ours. A packed ring's positions have its wrap counter in bit 15. */
    bool enabled;
    bool broken;
    uint16_t avail_idx; /* the next available entry to take */
    uint16_t used_idx;
    uint16_t asked_idx;           /* used_idx when the driver was last asked for its wishes */
    uint8_t *desc, *avail, *used; /* in guest memory, the whole rings inside RAM */
};

/* One request: first the buffers that the device reads, then those it writes. */
struct bawn_virtq_chain {
    uint16_t head;  /* how the driver knows it */
    uint16_t slots; /* of the ring */
    unsigned nr_read, nr_write;
    struct iovec iov[BAWN_VIRTQ_MAX]; /* pointers into guest memory */
    uint32_t read_len, write_len;     /* sums */
};

/* One to be given back, with how many bytes were written into it. */
struct bawn_virtq_used {
    uint16_t head, slots;
    uint32_t len;
    uint32_t read_len; /* of what the device read, for who counts */
};

enum bawn_virtq_result { BAWN_VIRTQ_EMPTY, BAWN_VIRTQ_CHAIN, BAWN_VIRTQ_BROKEN };

/* Checks size, alignment and addresses and starts the queue; false: it is broken. */
bool bawn_virtq_enable(struct bawn_virtq *q);
/* The same, but goes on where a queue with these positions was stopped. */
bool bawn_virtq_resume(struct bawn_virtq *q, uint16_t avail_idx, uint16_t used_idx);
/* Takes the next chain. When there is none, the driver was told to notify of the next one. */
enum bawn_virtq_result bawn_virtq_pop(struct bawn_virtq *q, struct bawn_virtq_chain *chain);
/* Takes back the pops since q->avail_idx was this: those chains are popped and checked again. */
void bawn_virtq_rewind(struct bawn_virtq *q, uint16_t avail_idx);
/* The chain, with written bytes (at most chain->write_len), as what push takes. */
struct bawn_virtq_used bawn_virtq_used(const struct bawn_virtq_chain *chain, uint32_t written);
/* These buffers of the guest's were written, or could be; before they are given back. */
void bawn_virtq_note(const struct bawn_virtq *q, const struct iovec *v, unsigned nr);
/* Gives n chains back, at least one: the driver sees all of them at once. */
void bawn_virtq_push(struct bawn_virtq *q, const struct bawn_virtq_used *used, unsigned n);
/* Whether the driver wants an interrupt for what was pushed since this was last asked. */
bool bawn_virtq_wants_irq(struct bawn_virtq *q);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Split virtqueues (virtio 1.2, section 2.7): the one place that reads rings and
 * descriptors. The driver may write them at any time, so each field is read once; a ring
 * that breaks a rule is broken for good until the device is reset.
 */
#ifndef BAWN_VMM_VIRTQ_H
#define BAWN_VMM_VIRTQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "memory.h"

#define BAWN_VIRTQ_MAX 128 /* descriptors of the largest queue offered; a power of two */

struct bawn_virtq {
    const struct bawn_mem *mem; /* borrowed */
    /* Set by the driver while the queue is disabled: not checked yet. */
    uint16_t size;
    uint64_t desc_gpa, avail_gpa, used_gpa;
    /* Ours. */
    bool enabled;
    bool broken;
    uint16_t avail_idx; /* the next available entry to take */
    uint16_t used_idx;
    uint8_t *desc, *avail, *used; /* in guest memory, the whole rings inside RAM */
};

/* One request: first the buffers that the device reads, then those it writes. */
struct bawn_virtq_chain {
    uint16_t head;
    unsigned nr_read, nr_write;
    struct iovec iov[BAWN_VIRTQ_MAX]; /* pointers into guest memory */
    uint32_t read_len, write_len;     /* sums */
};

enum bawn_virtq_result { BAWN_VIRTQ_EMPTY, BAWN_VIRTQ_CHAIN, BAWN_VIRTQ_BROKEN };

/* Checks size, alignment and addresses and starts the queue; false: it is broken. */
bool bawn_virtq_enable(struct bawn_virtq *q);
enum bawn_virtq_result bawn_virtq_pop(struct bawn_virtq *q, struct bawn_virtq_chain *chain);
/* Takes back the last pop: the chain is popped again next, and checked again. */
void bawn_virtq_unpop(struct bawn_virtq *q);
/* Gives the chain back with written bytes (at most chain->write_len). */
void bawn_virtq_push(struct bawn_virtq *q, const struct bawn_virtq_chain *chain, uint32_t written);
/* Whether the driver wants an interrupt for what was pushed. */
bool bawn_virtq_wants_irq(const struct bawn_virtq *q);

#endif

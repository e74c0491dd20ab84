/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The buffers of one direction of a virtio request, taken from the front: a driver may split a
 * request into buffers as it likes (virtio 1.2, section 2.7.4). The bytes are the guest's and
 * change under the VMM's feet: copy once, then check.
 */
#ifndef BAWN_VMM_BUFS_H
#define BAWN_VMM_BUFS_H

#include "virtq.h"

struct bawn_bufs {
    struct iovec v[BAWN_VIRTQ_MAX]; /* pointers into guest memory */
    unsigned nr;
    size_t len; /* of all together */
};

/* What the device reads, or what it writes. */
void bawn_bufs_readable(struct bawn_bufs *b, const struct bawn_virtq_chain *chain);
void bawn_bufs_writable(struct bawn_bufs *b, const struct bawn_virtq_chain *chain);

/* Copy n bytes from or to the front, which they then no longer hold; false if there are fewer. */
bool bawn_bufs_get(struct bawn_bufs *b, void *to, size_t n);
bool bawn_bufs_put(struct bawn_bufs *b, const void *from, size_t n);
/* Drops n bytes at the front (at most all). */
void bawn_bufs_skip(struct bawn_bufs *b, size_t n);
/* Keeps the first n bytes only. */
void bawn_bufs_cut(struct bawn_bufs *b, size_t n);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio devices: console (one port on a stream) and entropy source.
 */
#ifndef BAWN_VMM_VIRTIO_DEVICES_H
#define BAWN_VMM_VIRTIO_DEVICES_H

#include "stream.h"
#include "virtio.h"

struct bawn_virtio_console {
    struct bawn_virtio virtio;
    struct bawn_stream *stream; /* borrowed */
    void (*quit)(void *opaque); /* the person at the terminal asked to stop */
    void *opaque;               /* borrowed, for quit */
    int input_watch;            /* in the loop; paused while the guest gives no buffer */
};

/* 0 or -errno; after a failure bawn_virtio_destroy(&c->virtio) is still due. */
int bawn_virtio_console_init(struct bawn_virtio_console *c, const struct bawn_virtio_host *host,
                             unsigned slot, struct bawn_stream *stream, void (*quit)(void *),
                             void *opaque);

int bawn_virtio_rng_init(struct bawn_virtio *v, const struct bawn_virtio_host *host, unsigned slot);

#endif

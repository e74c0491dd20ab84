/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A transport and a device model in one process, whose two sides call each other. Trusts both.
 */
#ifndef BAWN_TEST_JOIN_H
#define BAWN_TEST_JOIN_H

#include "virtio.h"

static inline void join_start(void *opaque, const struct bawn_vdev_start *start)
{
    bawn_vdev_start(opaque, start);
}

static inline void join_stop(void *opaque)
{
    bawn_vdev_stop(opaque);
}

static inline void join_broken(void *opaque)
{
    bawn_virtio_broken(opaque);
}

static inline void join_stopped(void *opaque)
{
    bawn_virtio_stopped(opaque);
}

static inline void join(struct bawn_virtio *v, struct bawn_vdev *dev)
{
    static const struct bawn_virtio_down down = { join_start, join_stop, NULL };
    static const struct bawn_vdev_up up = { join_broken, join_stopped };

    bawn_virtio_connect(v, &down, dev);
    bawn_vdev_plug(dev, &up, v);
}

#endif

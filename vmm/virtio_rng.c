// SPDX-License-Identifier: Apache-2.0
/*
 * virtio entropy device (virtio 1.2, section 5.4): the host's random numbers.
 */
#include <sys/random.h>

#include <linux/virtio_ids.h>

#include "virtio_devices.h"

#define CLASS_OTHER 0x00ff00
#define MAX_BYTES 4096 /* of one request; the device may give less than was asked for */

static uint32_t serve(void *opaque, unsigned queue, const struct bawn_virtq_chain *chain)
{
    uint32_t done = 0;

    (void)opaque, (void)queue;
    for (unsigned i = chain->nr_read; i < chain->nr_read + chain->nr_write; i++) {
        size_t want = chain->iov[i].iov_len;
        ssize_t n;

        if (want > MAX_BYTES - done)
            want = MAX_BYTES - done;
        n = want ? getrandom(chain->iov[i].iov_base, want, 0) : 0;
        if (n <= 0)
            break;
        done += n;
        if ((size_t)n < chain->iov[i].iov_len)
            break;
    }
    return done;
}

static const struct bawn_vdev_ops rng_ops = {
    .id = VIRTIO_ID_RNG,
    .class = CLASS_OTHER,
    .nr_queues = 1,
    .queue_size = 16,
    .serve = serve,
};

int bawn_virtio_rng_init(struct bawn_vdev *d, const struct bawn_vdev_host *host)
{
    return bawn_vdev_init(d, &rng_ops, d, host);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-rng and what all virtio devices share, under a hostile driver: common.h has the steps.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common.h"

static struct bawn_vdev rng;

ssize_t __wrap_getrandom(void *to, size_t n, unsigned flags);

/* The same input has the same run. */
ssize_t __wrap_getrandom(void *to, size_t n, unsigned flags)
{
    (void)flags;
    memset(to, 0x5a, n);
    return (ssize_t)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!rng.ops) {
        struct bawn_vdev_host host = fuzz_machine();

        FUZZ_MUST(!bawn_virtio_rng_init(&rng, &host));
        fuzz_plugged(&(struct fuzz_device){ .vdev = &rng, .state = &rng, .size = sizeof(rng) });
    }
    fuzz_steps(data, size);
    return 0;
}

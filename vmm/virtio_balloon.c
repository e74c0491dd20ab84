// SPDX-License-Identifier: Apache-2.0
/*
 * virtio balloon (virtio 1.2, section 5.5): memory that the guest does not use goes back to the
 * host, page by page as it is asked to give it up, and in large pieces as the guest reports them
 * free. The guest names any address: what is not RAM is passed over, and what it names is zeroed,
 * no more.
 */
#include <endian.h>
#include <string.h>

#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>

#include "bufs.h"
#include "virtio_devices.h"

enum { QUEUE_INFLATE, QUEUE_DEFLATE, QUEUE_REPORTING, NR_QUEUES };

#define CLASS_MEMORY 0x058000 /* memory controller, other */

/* What was written there is gone, which is a change as well. */
static void drop(const struct bawn_virtio_balloon *b, void *at, size_t len)
{
    bawn_mem_drop(at, len);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (bawn_dirty_tracked(b->vdev.host.mem))
        bawn_dirty_note(b->vdev.host.mem, at, len);
}

static uint32_t inflate(struct bawn_virtio_balloon *b, const struct bawn_virtq_chain *chain)
{
    struct bawn_bufs pages;
    uint32_t pfn;

    bawn_bufs_readable(&pages, chain);
    while (bawn_bufs_get(&pages, &pfn, sizeof(pfn))) {
        uint64_t gpa = (uint64_t)le32toh(pfn) << VIRTIO_BALLOON_PFN_SHIFT;
        void *page = bawn_mem_at(b->vdev.host.mem, gpa, 1u << VIRTIO_BALLOON_PFN_SHIFT);

        if (page)
            drop(b, page, 1u << VIRTIO_BALLOON_PFN_SHIFT);
    }
    return 0;
}

/* Section 5.5.6.6: the buffers themselves are what is free. */
static uint32_t report(const struct bawn_virtio_balloon *b, const struct bawn_virtq_chain *chain)
{
    for (unsigned i = chain->nr_read; i < chain->nr_read + chain->nr_write; i++)
        drop(b, chain->iov[i].iov_base, chain->iov[i].iov_len);
    return 0;
}

static uint32_t serve(void *opaque, unsigned queue, const struct bawn_virtq_chain *chain)
{
    if (queue == QUEUE_INFLATE)
        return inflate(opaque, chain);
    return queue == QUEUE_REPORTING ? report(opaque, chain)
                                    : 0; /* deflated pages come by themselves */
}

static const struct bawn_vdev_ops balloon_ops = {
    .id = VIRTIO_ID_BALLOON,
    .class = CLASS_MEMORY,
    .settable = offsetof(struct virtio_balloon_config, actual),
    .settable_len = sizeof(((struct virtio_balloon_config *)NULL)->actual),
    .nr_queues = NR_QUEUES,
    .queue_size = 64,
    .serve = serve,
};

int bawn_virtio_balloon_init(struct bawn_virtio_balloon *b, const struct bawn_vdev_host *host,
                             const struct bawn_balloon_config *cfg)
{
    uint64_t features = 1ull << VIRTIO_BALLOON_F_DEFLATE_ON_OOM;
    int rc;

    if (cfg->reporting)
        features |= 1ull << VIRTIO_BALLOON_F_REPORTING;
    b->config.num_pages = htole32((uint32_t)(cfg->size >> VIRTIO_BALLOON_PFN_SHIFT));
    rc = bawn_vdev_init(&b->vdev, &balloon_ops, b, host);
    bawn_vdev_offer(&b->vdev, features, &b->config, sizeof(b->config));
    return rc;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * virtio block device (virtio 1.2, section 5.2) on a disk image: one queue, requests served one
 * after the other, as fast as the disk's rate allows. A request is a header, data and a status
 * byte, cut into buffers as the driver likes; none of it is trusted, and the sectors are checked
 * against the disk.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>

#include "bufs.h"
#include "virtio_devices.h"

#define CLASS_STORAGE 0x018000
#define QUEUE_SIZE BAWN_VIRTQ_MAX
/* With a header and a status the segments fill the queue. No request is larger than this bounds. */
#define SEGMENTS (QUEUE_SIZE - 2)
#define SEGMENT_MAX 65536u
#define DATA_MAX ((uint64_t)SEGMENTS * SEGMENT_MAX)
/* Of a discard or write-zeroes request: ranges, and sectors of each. Zeroes may have to be written.
 */
#define RANGES 16
#define DISCARD_MAX (1u << 21)
#define ZEROES_MAX (1u << 16)
#define NS_PER_S 1000000000ull

struct request {
    const struct bawn_disk *disk;
    struct bawn_bufs out, in; /* the data, once header and status are off */
    uint64_t sector;
    uint64_t features; /* what the driver took */
    uint32_t written;  /* of in */
};

/* Without flushes, what is acknowledged must be safe (section 5.2.5.2). */
static uint8_t done_writing(const struct request *r)
{
    if (r->features & 1ull << VIRTIO_BLK_F_FLUSH)
        return VIRTIO_BLK_S_OK;
    return bawn_disk_flush(r->disk) ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
}

static uint8_t do_read(struct request *r)
{
    uint64_t len = r->in.len;

    if (len > DATA_MAX || !bawn_disk_has(r->disk, r->sector, len) ||
        !bawn_disk_read(r->disk, r->sector, r->in.v, r->in.nr))
        return VIRTIO_BLK_S_IOERR;
    r->written = (uint32_t)len;
    return VIRTIO_BLK_S_OK;
}

static uint8_t do_write(struct request *r)
{
    if (r->disk->readonly || r->out.len > DATA_MAX ||
        !bawn_disk_has(r->disk, r->sector, r->out.len) ||
        !bawn_disk_write(r->disk, r->sector, r->out.v, r->out.nr))
        return VIRTIO_BLK_S_IOERR;
    return done_writing(r);
}

/* Section 5.2.6.2: a flag that means nothing here is not passed over. */
static uint8_t each_range(const struct request *r, bool zero)
{
    struct bawn_bufs rest = r->out;
    struct virtio_blk_discard_write_zeroes range;

    while (bawn_bufs_get(&rest, &range, sizeof(range))) {
        uint64_t sector = le64toh(range.sector), sectors = le32toh(range.num_sectors);
        uint32_t flags = le32toh(range.flags);

        if (flags & ~(zero ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0))
            return VIRTIO_BLK_S_UNSUPP;
        if (sectors > (zero ? ZEROES_MAX : DISCARD_MAX) ||
            !bawn_disk_has(r->disk, sector, sectors * BAWN_SECTOR))
            return VIRTIO_BLK_S_IOERR;
        if (!sectors)
            continue;
        if (zero ? !bawn_disk_zero(r->disk, sector, sectors * BAWN_SECTOR, flags)
                 : !bawn_disk_discard(r->disk, sector, sectors * BAWN_SECTOR))
            return VIRTIO_BLK_S_IOERR;
    }
    return done_writing(r);
}

static uint8_t serve_ranges(const struct request *r, bool zero)
{
    size_t each = sizeof(struct virtio_blk_discard_write_zeroes);

    if (r->disk->readonly || !r->out.len || r->out.len % each || r->out.len / each > RANGES)
        return VIRTIO_BLK_S_IOERR;
    return each_range(r, zero);
}

static uint8_t do_discard(struct request *r)
{
    return serve_ranges(r, false);
}

static uint8_t do_write_zeroes(struct request *r)
{
    return serve_ranges(r, true);
}

static uint8_t do_flush(struct request *r)
{
    return bawn_disk_flush(r->disk) ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
}

static uint8_t do_get_id(struct request *r)
{
    static const char id[VIRTIO_BLK_ID_BYTES] = "bawn";

    if (!bawn_bufs_put(&r->in, id, sizeof(id)))
        return VIRTIO_BLK_S_IOERR;
    r->written = sizeof(id);
    return VIRTIO_BLK_S_OK;
}

static const struct {
    uint32_t type;
    uint8_t (*serve)(struct request *r);
    uint64_t feature; /* that the driver must have taken */
} kinds[] = {
    { VIRTIO_BLK_T_IN, do_read, 0 },
    { VIRTIO_BLK_T_OUT, do_write, 0 },
    { VIRTIO_BLK_T_FLUSH, do_flush, 0 },
    { VIRTIO_BLK_T_GET_ID, do_get_id, 0 },
    { VIRTIO_BLK_T_DISCARD, do_discard, 1ull << VIRTIO_BLK_F_DISCARD },
    { VIRTIO_BLK_T_WRITE_ZEROES, do_write_zeroes, 1ull << VIRTIO_BLK_F_WRITE_ZEROES },
};

static uint8_t serve_kind(struct request *r, uint32_t type)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].type == type && (r->features & kinds[i].feature) == kinds[i].feature)
            return kinds[i].serve(r);
    }
    return VIRTIO_BLK_S_UNSUPP;
}

static uint32_t serve(struct bawn_virtio_blk *b, const struct bawn_virtq_chain *chain)
{
    struct request r = { .disk = b->disk, .features = b->vdev.features };
    struct virtio_blk_outhdr head;
    struct bawn_bufs status;
    size_t data;
    uint8_t code;

    bawn_bufs_readable(&r.out, chain);
    bawn_bufs_writable(&r.in, chain);
    bawn_rate_take(&b->rate, r.out.len + r.in.len);
    if (!r.in.len)
        return 0; /* there is no room for an answer */
    status = r.in;
    data = r.in.len - 1;
    bawn_bufs_skip(&status, data);
    bawn_bufs_cut(&r.in, data);
    code = VIRTIO_BLK_S_IOERR;
    if (bawn_bufs_get(&r.out, &head, sizeof(head))) {
        r.sector = le64toh(head.sector);
        code = serve_kind(&r, le32toh(head.type));
    }
    bawn_bufs_put(&status, &code, sizeof(code));
    /* The used length covers what was written from the front on: all, if the data is whole. */
    return r.written == data ? r.written + 1 : r.written;
}

/* ---- The queue ---- */

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* Whether a request may begin; else the timer says when. */
static bool may_begin(struct bawn_virtio_blk *b)
{
    uint64_t wait = b->timer_fd < 0 ? 0 : bawn_rate_wait(&b->rate, now_ns());
    struct itimerspec when = {
        .it_value = { .tv_sec = (time_t)(wait / NS_PER_S), .tv_nsec = (long)(wait % NS_PER_S) },
    };

    if (wait)
        timerfd_settime(b->timer_fd, 0, &when, NULL);
    return !wait;
}

static void ready(void *opaque, unsigned queue)
{
    struct bawn_virtio_blk *b = opaque;
    struct bawn_virtq_chain chain;

    for (unsigned i = 0; i < QUEUE_SIZE; i++) {
        if (!may_begin(b) || !bawn_vdev_take(&b->vdev, queue, &chain))
            return;
        bawn_vdev_give(&b->vdev, queue, &chain, serve(b, &chain));
    }
    bawn_vdev_again(&b->vdev, queue); /* let others have their turn, then go on */
}

static void on_timer(void *opaque)
{
    struct bawn_virtio_blk *b = opaque;
    uint64_t times;

    if (read(b->timer_fd, &times, sizeof(times)) == sizeof(times))
        ready(b, 0);
}

static int limit(struct bawn_virtio_blk *b, struct bawn_loop *loop)
{
    int rc;

    b->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (b->timer_fd < 0)
        return -errno;
    rc = bawn_loop_watch(loop, b->timer_fd, true, on_timer, b);
    return rc < 0 ? rc : 0;
}

static int begin(void *opaque)
{
    struct bawn_virtio_blk *b = opaque;

    return bawn_disk_refresh(b->disk, NULL) ? -EIO : 0;
}

static void paused(void *opaque)
{
    struct bawn_virtio_blk *b = opaque;

    /* One that fails the guest hears of at its own next flush. */
    (void)!bawn_disk_flush(b->disk);
}

static void end(void *opaque)
{
    struct bawn_virtio_blk *b = opaque;

    bawn_disk_settle(b->disk);
}

static const struct bawn_vdev_ops blk_ops = {
    .id = VIRTIO_ID_BLOCK,
    .class = CLASS_STORAGE,
    .nr_queues = 1,
    .queue_size = QUEUE_SIZE,
    .input_queues = 1,
    .ready = ready,
    .paused = paused,
    .begin = begin,
    .end = end,
};

int bawn_virtio_blk_init(struct bawn_virtio_blk *b, const struct bawn_vdev_host *host,
                         struct bawn_disk *disk)
{
    uint64_t features =
        1ull << VIRTIO_BLK_F_SIZE_MAX | 1ull << VIRTIO_BLK_F_SEG_MAX | 1ull << VIRTIO_BLK_F_FLUSH;
    int rc = bawn_vdev_init(&b->vdev, &blk_ops, b, host);

    features |= disk->readonly ? 1ull << VIRTIO_BLK_F_RO
                               : 1ull << VIRTIO_BLK_F_DISCARD | 1ull << VIRTIO_BLK_F_WRITE_ZEROES;
    b->disk = disk;
    b->timer_fd = -1;
    b->config = (struct virtio_blk_config){
        .capacity = htole64(disk->sectors),
        .size_max = htole32(SEGMENT_MAX),
        .seg_max = htole32(SEGMENTS),
        .max_discard_sectors = htole32(DISCARD_MAX),
        .max_discard_seg = htole32(RANGES),
        .discard_sector_alignment = htole32(1),
        .max_write_zeroes_sectors = htole32(ZEROES_MAX),
        .max_write_zeroes_seg = htole32(RANGES),
        .write_zeroes_may_unmap = 1,
    };
    b->vdev.keep_fd[0] = disk->fd;
    b->vdev.keep_fd[1] = disk->backing ? disk->backing->fd : -1;
    bawn_rate_init(&b->rate, &disk->bytes, &disk->ops, now_ns());
    if (!rc && bawn_rate_limited(&b->rate))
        rc = limit(b, host->loop);
    bawn_vdev_offer(&b->vdev, features, &b->config, sizeof(b->config));
    return rc;
}

void bawn_virtio_blk_destroy(struct bawn_virtio_blk *b)
{
    if (b->disk && b->timer_fd >= 0)
        close(b->timer_fd);
    b->disk = NULL;
    bawn_vdev_destroy(&b->vdev);
}

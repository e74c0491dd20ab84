// SPDX-License-Identifier: Apache-2.0
/*
 * virtio block device (virtio 1.2, section 5.2) on a disk image: one queue, as fast as the disk's
 * rate allows. Requests are served one after the other; or, with a ring, reads, writes and flushes
 * of a plain image are under way at the same time, and answered as they come. A request is a
 * header, data and a status byte, cut into buffers as the driver likes; none of it is trusted, and
 * the sectors are checked against the disk.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>

#include "bufs.h"
#include "disk_io.h"
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

#define DEPTH 16 /* requests that a ring works on */

struct bawn_blk_request {
    const struct bawn_disk *disk;
    struct bawn_virtq_used used; /* how it is given back */
    struct bawn_bufs out, in;    /* the data, once header and status are off */
    struct iovec status;         /* a byte of the guest's; none: there is no room for an answer */
    size_t data;                 /* length of in, at first */
    uint64_t sector;
    uint64_t features; /* what the driver took */
    uint32_t written;  /* of in */
    uint8_t op;        /* what the ring does of it now, and where */
    uint64_t at;
};

/* Without flushes, what is acknowledged must be safe (section 5.2.5.2). */
static uint8_t done_writing(const struct bawn_blk_request *r)
{
    if (r->features & 1ull << VIRTIO_BLK_F_FLUSH)
        return VIRTIO_BLK_S_OK;
    return bawn_disk_flush(r->disk) ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
}

static uint8_t do_read(struct bawn_blk_request *r)
{
    uint64_t len = r->in.len;

    if (len > DATA_MAX || !bawn_disk_has(r->disk, r->sector, len) ||
        !bawn_disk_read(r->disk, r->sector, r->in.v, r->in.nr))
        return VIRTIO_BLK_S_IOERR;
    r->written = (uint32_t)len;
    return VIRTIO_BLK_S_OK;
}

static uint8_t do_write(struct bawn_blk_request *r)
{
    if (r->disk->readonly || r->out.len > DATA_MAX ||
        !bawn_disk_has(r->disk, r->sector, r->out.len) ||
        !bawn_disk_write(r->disk, r->sector, r->out.v, r->out.nr))
        return VIRTIO_BLK_S_IOERR;
    return done_writing(r);
}

/* Section 5.2.6.2: a flag that means nothing here is not passed over. */
static uint8_t each_range(const struct bawn_blk_request *r, bool zero)
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

static uint8_t serve_ranges(const struct bawn_blk_request *r, bool zero)
{
    size_t each = sizeof(struct virtio_blk_discard_write_zeroes);

    if (r->disk->readonly || !r->out.len || r->out.len % each || r->out.len / each > RANGES)
        return VIRTIO_BLK_S_IOERR;
    return each_range(r, zero);
}

static uint8_t do_discard(struct bawn_blk_request *r)
{
    return serve_ranges(r, false);
}

static uint8_t do_write_zeroes(struct bawn_blk_request *r)
{
    return serve_ranges(r, true);
}

static uint8_t do_flush(struct bawn_blk_request *r)
{
    return bawn_disk_flush(r->disk) ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
}

static uint8_t do_get_id(struct bawn_blk_request *r)
{
    static const char id[VIRTIO_BLK_ID_BYTES] = "bawn";

    if (!bawn_bufs_put(&r->in, id, sizeof(id)))
        return VIRTIO_BLK_S_IOERR;
    r->written = sizeof(id);
    return VIRTIO_BLK_S_OK;
}

static const struct {
    uint32_t type;
    uint8_t (*serve)(struct bawn_blk_request *r);
    uint64_t feature; /* that the driver must have taken */
} kinds[] = {
    { VIRTIO_BLK_T_IN, do_read, 0 },
    { VIRTIO_BLK_T_OUT, do_write, 0 },
    { VIRTIO_BLK_T_FLUSH, do_flush, 0 },
    { VIRTIO_BLK_T_GET_ID, do_get_id, 0 },
    { VIRTIO_BLK_T_DISCARD, do_discard, 1ull << VIRTIO_BLK_F_DISCARD },
    { VIRTIO_BLK_T_WRITE_ZEROES, do_write_zeroes, 1ull << VIRTIO_BLK_F_WRITE_ZEROES },
};

static uint8_t serve_kind(struct bawn_blk_request *r, uint32_t type)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].type == type && (r->features & kinds[i].feature) == kinds[i].feature)
            return kinds[i].serve(r);
    }
    return VIRTIO_BLK_S_UNSUPP;
}

/* Takes the chain apart; false: it is no request. */
static bool parse(const struct bawn_virtio_blk *b, const struct bawn_virtq_chain *chain,
                  struct bawn_blk_request *r, uint32_t *type)
{
    struct virtio_blk_outhdr head;
    struct bawn_bufs status;

    r->disk = b->disk;
    r->features = b->vdev.features;
    r->used = bawn_virtq_used(chain, 0);
    r->status.iov_len = r->data = r->written = 0;
    bawn_bufs_readable(&r->out, chain);
    bawn_bufs_writable(&r->in, chain);
    if (!r->in.len)
        return false;
    status = r->in;
    r->data = r->in.len - 1;
    bawn_bufs_skip(&status, r->data);
    r->status = status.v[0];
    bawn_bufs_cut(&r->in, r->data);
    if (!bawn_bufs_get(&r->out, &head, sizeof(head)))
        return false;
    r->sector = le64toh(head.sector);
    *type = le32toh(head.type);
    return true;
}

/* A driver that has reset the device since does not get it back. */
static void finish(struct bawn_virtio_blk *b, struct bawn_blk_request *r, uint8_t code)
{
    struct bawn_bufs status;

    if (!bawn_vdev_running(&b->vdev))
        return;
    status.v[0] = r->status;
    status.nr = 1;
    status.len = r->status.iov_len;
    /* The used length covers what was written from the front on: all, if the data is whole. */
    if (bawn_bufs_put(&status, &code, sizeof(code)))
        r->used.len = r->written == r->data ? r->written + 1 : r->written;
    bawn_virtq_note(&b->vdev.vq[0], &r->status, 1);
    bawn_vdev_give_all(&b->vdev, 0, &r->used, 1);
}

/* ---- By the ring ---- */

/* Whether the ring can do it: what is wrong with it is found otherwise. */
static bool fits_ring(struct bawn_blk_request *r, uint32_t type)
{
    uint64_t len = type == VIRTIO_BLK_T_IN ? r->in.len : r->out.len;

    r->at = r->sector * BAWN_SECTOR;
    if (r->disk->qcow2)
        return false;
    if (type == VIRTIO_BLK_T_FLUSH)
        r->op = IORING_OP_FSYNC;
    else if (type == VIRTIO_BLK_T_IN)
        r->op = IORING_OP_READV;
    else if (type == VIRTIO_BLK_T_OUT && !r->disk->readonly)
        r->op = IORING_OP_WRITEV;
    else
        return false;
    return r->op == IORING_OP_FSYNC ||
           (len && len <= DATA_MAX && bawn_disk_has(r->disk, r->sector, len));
}

static struct bawn_bufs *data_of(struct bawn_blk_request *r)
{
    return r->op == IORING_OP_READV ? &r->in : &r->out;
}

static void submit(struct bawn_virtio_blk *b, struct bawn_blk_request *r)
{
    struct io_uring_sqe *e =
        bawn_loop_submit(b->vdev.host.loop, r->op, r->disk->fd, (unsigned)(r - b->slot));

    if (r->op == IORING_OP_FSYNC) {
        e->fsync_flags = IORING_FSYNC_DATASYNC;
        return;
    }
    e->addr = (uintptr_t)data_of(r)->v;
    e->len = data_of(r)->nr;
    e->off = r->at;
}

/* The ring did not try: no thread, no memory. What it tried and failed at has failed. */
static bool not_tried(int32_t res)
{
    return res == -EAGAIN || res == -ECANCELED || res == -EINTR || res == -ENOMEM;
}

static bool finish_here(struct bawn_blk_request *r)
{
    struct bawn_bufs *data = data_of(r);

    if (r->op == IORING_OP_FSYNC)
        return bawn_disk_flush(r->disk);
    return r->op == IORING_OP_READV ? bawn_io_read(r->disk->fd, data->v, data->nr, r->at, false)
                                    : bawn_io_write(r->disk->fd, data->v, data->nr, r->at);
}

/* What comes after a part of a request; false: it is done, and well if *ok. */
static bool goes_on(struct bawn_blk_request *r, int32_t res, bool *ok)
{
    if (not_tried(res)) {
        *ok = finish_here(r);
    } else if (r->op == IORING_OP_FSYNC) {
        *ok = !res;
    } else {
        *ok = res > 0;
        bawn_bufs_skip(data_of(r), res > 0 ? (size_t)res : 0);
        r->at += res > 0 ? (uint64_t)res : 0;
        if (*ok && data_of(r)->len)
            return true;
    }
    /* Without flushes, what is acknowledged must be safe (section 5.2.5.2). */
    if (!*ok || r->op != IORING_OP_WRITEV || (r->features & 1ull << VIRTIO_BLK_F_FLUSH))
        return false;
    r->op = IORING_OP_FSYNC;
    return true;
}

static void ready(void *opaque, unsigned queue);

static void on_done(void *opaque, unsigned slot, int32_t res)
{
    struct bawn_virtio_blk *b = opaque;
    struct bawn_blk_request *r = &b->slot[slot];
    bool ok = false, full = b->busy == (1u << DEPTH) - 1;

    if (r->op == IORING_OP_READV)
        bawn_virtq_note(&b->vdev.vq[0], r->in.v, r->in.nr);
    if (goes_on(r, res, &ok)) {
        submit(b, r);
        return;
    }
    if (ok && r->op == IORING_OP_READV)
        r->written = (uint32_t)r->data;
    b->busy &= ~(1u << slot);
    finish(b, r, ok ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR);
    if (full && !b->draining)
        ready(b, 0);
}

/* Until none is under way. */
static void drain(struct bawn_virtio_blk *b)
{
    b->draining = true;
    while (b->busy)
        bawn_loop_complete(b->vdev.host.loop, true);
    b->draining = false;
}

/* ---- One request ---- */

static void begin_request(struct bawn_virtio_blk *b, const struct bawn_virtq_chain *chain)
{
    bool ring = b->vdev.ring && bawn_loop_has_ring(b->vdev.host.loop);
    unsigned slot = (unsigned)__builtin_ctz(~b->busy);
    struct bawn_blk_request *r = &b->slot[slot];
    uint32_t type;
    uint8_t code = VIRTIO_BLK_S_IOERR;

    bawn_rate_take(&b->rate, (uint64_t)chain->read_len + chain->write_len);
    if (parse(b, chain, r, &type)) {
        if (ring && fits_ring(r, type)) {
            b->busy |= 1u << slot;
            submit(b, r);
            return;
        }
        code = serve_kind(r, type);
        bawn_virtq_note(&b->vdev.vq[0], chain->iov + chain->nr_read, chain->nr_write);
    }
    finish(b, r, code);
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
        if (b->busy == (1u << DEPTH) - 1 || !may_begin(b) ||
            !bawn_vdev_take(&b->vdev, queue, &chain))
            return; /* a completion, the timer or the driver goes on */
        begin_request(b, &chain);
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

static bool paused(void *opaque)
{
    struct bawn_virtio_blk *b = opaque;
    bool all;

    drain(b);
    all = bawn_disk_settle(b->disk);
    bawn_vdev_again(&b->vdev, 0); /* what waited for a slot goes on when the device does */
    return all;
}

/* No buffer of the driver's is touched any more when it hears that the device has stopped. */
static void reset(void *opaque)
{
    drain(opaque);
}

static void end(void *opaque)
{
    struct bawn_virtio_blk *b = opaque;

    drain(b);
    bawn_disk_leave(b->disk);
}

static const struct bawn_vdev_ops blk_ops = {
    .id = VIRTIO_ID_BLOCK,
    .class = CLASS_STORAGE,
    .nr_queues = 1,
    .queue_size = QUEUE_SIZE,
    .input_queues = 1,
    .ready = ready,
    .reset = reset,
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
    if (!rc) {
        b->slot = calloc(disk->uring ? DEPTH : 1, sizeof(*b->slot));
        rc = b->slot ? 0 : -ENOMEM;
    }
    if (!rc && disk->uring) {
        b->vdev.ring = true;
        host->loop->done = on_done;
        host->loop->opaque = b;
    }
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
    free(b->slot);
    b->slot = NULL;
    bawn_vdev_destroy(&b->vdev);
}

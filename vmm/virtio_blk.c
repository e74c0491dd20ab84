// SPDX-License-Identifier: Apache-2.0
/*
 * virtio block device (virtio 1.2, section 5.2) on a disk image: one queue, requests served one
 * after the other. A request is a header, data and a status byte, cut into buffers as the driver
 * likes; none of it is trusted, and the sectors are checked against the disk.
 */
#include <endian.h>
#include <string.h>

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

struct request {
    const struct bawn_disk *disk;
    struct bawn_bufs out, in; /* the data, once header and status are off */
    uint64_t sector;
    uint32_t written; /* of in */
};

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
    return VIRTIO_BLK_S_OK;
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
} kinds[] = {
    { VIRTIO_BLK_T_IN, do_read },
    { VIRTIO_BLK_T_OUT, do_write },
    { VIRTIO_BLK_T_FLUSH, do_flush },
    { VIRTIO_BLK_T_GET_ID, do_get_id },
};

static uint8_t serve_kind(struct request *r, uint32_t type)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].type == type)
            return kinds[i].serve(r);
    }
    return VIRTIO_BLK_S_UNSUPP;
}

static uint32_t serve(void *opaque, unsigned queue, const struct bawn_virtq_chain *chain)
{
    struct bawn_virtio_blk *b = opaque;
    struct request r = { .disk = b->disk };
    struct virtio_blk_outhdr head;
    struct bawn_bufs status;
    size_t data;
    uint8_t code;

    (void)queue;
    bawn_bufs_readable(&r.out, chain);
    bawn_bufs_writable(&r.in, chain);
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

static const struct bawn_virtio_ops blk_ops = {
    .id = VIRTIO_ID_BLOCK,
    .class = CLASS_STORAGE,
    .nr_queues = 1,
    .queue_size = QUEUE_SIZE,
    .serve = serve,
};

int bawn_virtio_blk_init(struct bawn_virtio_blk *b, const struct bawn_virtio_host *host,
                         unsigned slot, const struct bawn_disk *disk)
{
    uint64_t features = 1ull << VIRTIO_BLK_F_SIZE_MAX | 1ull << VIRTIO_BLK_F_SEG_MAX |
                        1ull << VIRTIO_BLK_F_FLUSH | (disk->readonly ? 1ull << VIRTIO_BLK_F_RO : 0);
    int rc;

    b->disk = disk;
    b->config = (struct virtio_blk_config){
        .capacity = htole64(disk->sectors),
        .size_max = htole32(SEGMENT_MAX),
        .seg_max = htole32(SEGMENTS),
    };
    rc = bawn_virtio_init(&b->virtio, &blk_ops, b, host, slot);
    bawn_virtio_offer(&b->virtio, features, &b->config, sizeof(b->config));
    return rc;
}

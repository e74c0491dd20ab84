// SPDX-License-Identifier: Apache-2.0
// libs: -Wl,--wrap=pwritev,--wrap=fdatasync,--wrap=fallocate
// libs: -Wl,--wrap=bawn_uring_enter,--wrap=bawn_uring_take
/*
 * Power cuts under a random load on a plain image (power.h), by a driver that has several requests
 * under way: without a ring and with one; with flushes, and by a driver that knows of none.
 */
#include "driver.h"
#include "power.h"

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>

#define STEPS 120
#define REQUESTS 4 /* in one go; of four descriptors */
#define LONGEST 24u
#define HEAD(i) (0x100000ull + (i)*0x100)
#define STATUS(i) (HEAD(i) + 0x80)
#define DATA_AT(i) (0x110000ull + (i)*0x4000)
#define CUT 300 /* bytes in the first of two buffers */
#define SLOTS 64
#define FIRST_TAG (BAWN_LOOP_MAX + 1ull) /* of loop.c: user data of what is no watch */

static struct bawn_disk disk;
static struct bawn_virtio_blk blk;
static bool ring, flushes;

/* ---- What the ring does ---- */

static unsigned looked_at; /* entries of its queue */
static unsigned
    under_way[SLOTS]; /* by the device's slot: the write's event, the first of no flush's */

void __real_bawn_uring_enter(struct bawn_uring *u, bool wait);
void __wrap_bawn_uring_enter(struct bawn_uring *u, bool wait);

/* A write may be there from now on. The test's own file need not survive a power cut: of a sync no
 * more is done than of reading nothing. */
void __wrap_bawn_uring_enter(struct bawn_uring *u, bool wait)
{
    for (; looked_at != *u->sq_tail; looked_at++) {
        struct io_uring_sqe *e = &u->sqes[looked_at & u->sq_mask];
        const struct iovec *v = (const struct iovec *)(uintptr_t)e->addr;
        size_t len = 0;

        if (e->user_data < FIRST_TAG)
            continue;
        assert_true(e->user_data - FIRST_TAG < SLOTS);
        under_way[e->user_data - FIRST_TAG] = journal.nr;
        if (e->opcode == IORING_OP_FSYNC) {
            e->opcode = IORING_OP_READ;
            e->fsync_flags = 0;
        }
        if (e->opcode != IORING_OP_WRITEV)
            continue;
        for (unsigned i = 0; i < e->len; i++)
            len += v[i].iov_len;
        add_data(v, e->len, e->off, len)->when = UINT_MAX;
    }
    __real_bawn_uring_enter(u, wait);
}

bool __real_bawn_uring_take(struct bawn_uring *u, uint64_t *user, int32_t *res);
bool __wrap_bawn_uring_take(struct bawn_uring *u, uint64_t *user, int32_t *res);

/* A write is done, or all that were before a sync began are safe. */
bool __wrap_bawn_uring_take(struct bawn_uring *u, uint64_t *user, int32_t *res)
{
    struct event *e;
    unsigned since;

    if (!__real_bawn_uring_take(u, user, res))
        return false;
    if (*user < FIRST_TAG)
        return true;
    since = under_way[*user - FIRST_TAG];
    if (*res > 0) {
        e = &journal.event[since];
        assert_true((uint64_t)*res <= e->len);
        e->len = (uint64_t)*res;
        e->when = journal.nr - 1;
    } else {
        assert_int_equal(*res, 0);
        add(SYNC, 0, 0)->when = since;
    }
    return true;
}

/* ---- The load ---- */

struct request {
    bool flush;
    unsigned at, n; /* sectors */
    unsigned event; /* BEGUN; of a flush: what was done before is to be safe */
};

static bool overlaps(const struct request *r, unsigned nr, unsigned at, unsigned n)
{
    for (unsigned i = 0; i < nr; i++) {
        if (!r[i].flush && at < r[i].at + r[i].n && r[i].at < at + n)
            return true;
    }
    return false;
}

static void offer_one(const struct request *r, unsigned i, uint32_t tag)
{
    const struct part flush[] = { { HEAD(i), 16, false }, { STATUS(i), 1, true } };
    const struct part data[] = { { HEAD(i), 16, false },
                                 { DATA_AT(i), CUT, false },
                                 { DATA_AT(i) + CUT, r->n * BAWN_SECTOR - CUT, false },
                                 { STATUS(i), 1, true } };
    uint32_t type = r->flush ? VIRTIO_BLK_T_FLUSH : VIRTIO_BLK_T_OUT;

    *(struct virtio_blk_outhdr *)ram(HEAD(i)) = (struct virtio_blk_outhdr){ type, 0, r->at };
    *(uint8_t *)ram(STATUS(i)) = 0xee;
    for (unsigned k = 0; k < r->n; k++)
        fill_sector((uint8_t *)ram(DATA_AT(i)) + k * BAWN_SECTOR, tag);
    if (r->flush)
        offer(0, flush, 2);
    else
        offer(0, data, 4);
}

/* Some requests on different sectors, until all are answered. */
static void step(uint32_t *seed, uint32_t tag)
{
    struct request r[REQUESTS];
    unsigned nr = 0, done = 0;

    for (unsigned i = 1 + next_random(seed) % REQUESTS; i; i--) {
        unsigned at = next_random(seed) % SECTORS, n = 1 + next_random(seed) % LONGEST;
        bool flush = flushes && next_random(seed) % 5 == 0;

        n = flush ? 0 : n < SECTORS - at ? n : SECTORS - at;
        if (overlaps(r, nr, at, n))
            continue;
        r[nr] = (struct request){ flush, flush ? 0 : at, n, journal.nr };
        if (!flush) {
            struct event *e = add(BEGUN, at, n);

            e->tag = tag;
            e->when = UINT_MAX;
        }
        offer_one(&r[nr], nr, tag);
        nr++;
    }
    ring_bell(0);
    for (done = used(0, NULL); done < nr; done += used(0, NULL))
        bawn_loop_turn(&m.loop, true);
    for (unsigned i = 0; i < nr; i++) {
        assert_int_equal(*(uint8_t *)ram(STATUS(i)), VIRTIO_BLK_S_OK);
        if (!r[i].flush)
            journal.event[r[i].event].when = journal.nr - 1;
    }
    for (unsigned i = 0; i < nr; i++) {
        if (r[i].flush)
            add(FLUSHED, 0, 0)->when = r[i].event;
    }
    if (!flushes) /* what is acknowledged must be safe */
        add(FLUSHED, 0, 0);
}

static void run_load(uint32_t seed)
{
    struct bawn_disk_config cfg = { .path = (char *)in_folder("image"), .uring = ring };
    struct bawn_vdev_host host = machine_create();
    int files[2];

    assert_int_equal(bawn_disk_open(&disk, &cfg, NULL), BAWN_OK);
    memset(&blk, 0, sizeof(blk));
    assert_int_equal(bawn_virtio_blk_init(&blk, &host, &disk), 0);
    machine_plug(&blk.vdev);
    files[0] = blk.vdev.call_fd[0];
    files[1] = journal.fd = disk.fd;
    looked_at = 0;
    if (ring)
        assert_int_equal(bawn_loop_seal_ring(&m.loop, files, 2), 0);
    assert_int_equal(
        driver_start(1, 1ull << VIRTIO_F_VERSION_1 | (uint64_t)flushes << VIRTIO_BLK_F_FLUSH), 15);
    for (uint32_t i = 0; i < STEPS; i++)
        step(&seed, 1000 + i);
    bawn_virtio_blk_destroy(&blk);
    bawn_disk_close(&disk);
    machine_destroy();
}

static void check_cut(unsigned n)
{
    static uint8_t all[SECTORS * BAWN_SECTOR];
    int fd = open(in_folder("cut"), O_RDONLY);

    assert_int_equal(pread(fd, all, sizeof(all), 0), sizeof(all));
    close(fd);
    check_content(n, all);
}

static void cut_image(bool with_ring)
{
    ring = with_ring;
    for (unsigned i = 0; i < 2; i++) {
        flushes = i;
        assert_int_equal(command("rm -f image; truncate -s 1M image"), 0);
        cut_everywhere(NULL, 7 + i, run_load, check_cut);
    }
}

static void test_without(void **state)
{
    (void)state;
    cut_image(false);
}

static void test_with(void **state)
{
    struct bawn_uring here;

    (void)state;
    if (bawn_uring_init(&here, (const int[]){ STDERR_FILENO }, 1))
        skip();
    bawn_uring_destroy(&here);
    cut_image(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_without),
                                        cmocka_unit_test(test_with) };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

// SPDX-License-Identifier: Apache-2.0
// libs: -Wl,--wrap=fdatasync,--wrap=bawn_uring_next
/*
 * vmm/virtio_blk.c and vmm/disk.c on a real file, without and with a ring: requests cut in every
 * way, sectors that are not there, and requests as a hostile driver makes them.
 */
#include "driver.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>

#define SECTORS 64
#define HEAD 0x100000ull
#define DATA 0x110000ull
#define STATUS 0x120000ull
#define RANGES (1ull << VIRTIO_BLK_F_DISCARD | 1ull << VIRTIO_BLK_F_WRITE_ZEROES)
#define V1 (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_BLK_F_FLUSH)

static char path[] = "/tmp/bawn-blk-test.XXXXXX";
static struct bawn_disk disk;
static struct bawn_virtio_blk blk;
static bool ring; /* the tests' second round */

static struct bawn_disk_config disk_config(bool readonly)
{
    return (struct bawn_disk_config){ .path = path, .readonly = readonly, .uring = ring };
}

static void plug(const struct bawn_disk_config *cfg)
{
    struct bawn_vdev_host host = machine_create();
    int files[2];

    assert_int_equal(bawn_disk_open(&disk, cfg, NULL), BAWN_OK);
    memset(&blk, 0, sizeof(blk));
    assert_int_equal(bawn_virtio_blk_init(&blk, &host, &disk), 0);
    machine_plug(&blk.vdev);
    files[0] = blk.vdev.call_fd[0];
    files[1] = disk.fd;
    if (ring)
        assert_int_equal(bawn_loop_seal_ring(&m.loop, files, 2), 0);
    assert_int_equal(driver_start(1, V1), 15);
}

/* Rings, and waits until the device has nothing under way. */
static void ring_and_wait(void)
{
    ring_bell(0);
    while (blk.busy)
        bawn_loop_turn(&m.loop, true);
}

static void create(bool readonly)
{
    struct bawn_disk_config cfg = disk_config(readonly);
    uint8_t image[SECTORS * BAWN_SECTOR];
    int fd = open(path, O_WRONLY | O_TRUNC);

    for (size_t i = 0; i < sizeof(image); i++)
        image[i] = (uint8_t)(i / BAWN_SECTOR + i);
    assert_int_equal(write(fd, image, sizeof(image)), sizeof(image));
    close(fd);
    plug(&cfg);
}

static int setup(void **state)
{
    (void)state;
    create(false);
    return 0;
}

static int setup_readonly(void **state)
{
    (void)state;
    create(true);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bawn_virtio_blk_destroy(&blk);
    bawn_disk_close(&disk);
    machine_destroy();
    return 0;
}

static void put_head(uint32_t type, uint64_t sector)
{
    *(struct virtio_blk_outhdr *)ram(HEAD) = (struct virtio_blk_outhdr){ type, 0, sector };
    *(uint8_t *)ram(STATUS) = 0xee;
}

/* Header, data and status in a buffer each; gives the status. */
static uint8_t request(uint32_t type, uint64_t sector, uint32_t len, uint32_t *written)
{
    struct part parts[3] = { { HEAD, 16, false }, { DATA, len, type != VIRTIO_BLK_T_OUT } };
    unsigned n = len ? 2 : 1;

    put_head(type, sector);
    parts[n++] = (struct part){ STATUS, 1, true };
    offer(0, parts, n);
    ring_and_wait();
    assert_int_equal(used(0, written), 1);
    return *(uint8_t *)ram(STATUS);
}

static void test_configuration(void **state)
{
    (void)state;
    assert_int_equal(config(0, 8), SECTORS);
    assert_int_equal(config(12, 4), 126); /* seg_max */
    assert_int_equal(config(0x100, 4), 0);
    assert_true(offered() & 1ull << VIRTIO_BLK_F_FLUSH);
    assert_false(offered() & 1ull << VIRTIO_BLK_F_RO);
    /* What was not offered is not taken. */
    assert_int_equal(driver_start(1, V1 | 1ull << VIRTIO_BLK_F_ZONED) & 8, 0);
}

static void test_read_write(void **state)
{
    uint8_t *data = ram(DATA);
    uint8_t back[1024];
    uint32_t len = 0;
    int fd;

    (void)state;
    assert_int_equal(request(VIRTIO_BLK_T_IN, 3, 512, &len), VIRTIO_BLK_S_OK);
    assert_int_equal(len, 513);
    for (unsigned i = 0; i < 512; i++)
        assert_int_equal(data[i], (uint8_t)(3 + 3 * 512 + i));
    memset(data, 0x5a, 1024);
    assert_int_equal(request(VIRTIO_BLK_T_OUT, SECTORS - 2, 1024, &len), VIRTIO_BLK_S_OK);
    assert_int_equal(len, 1);
    assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0, &len), VIRTIO_BLK_S_OK);
    fd = open(path, O_RDONLY);
    assert_int_equal(pread(fd, back, 1024, (SECTORS - 2) * 512), 1024);
    assert_memory_equal(back, data, 1024);
    assert_int_equal(lseek(fd, 0, SEEK_END), SECTORS * 512);
    close(fd);
    assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, 20, &len), VIRTIO_BLK_S_OK);
    assert_string_equal((char *)data, "bawn");
}

static void test_out_of_bounds(void **state)
{
    static const struct {
        uint64_t sector;
        uint32_t len;
    } bad[] = {
        { SECTORS, 512 },
        { SECTORS - 1, 1024 },
        { ~0ull, 512 },
        { ~0ull, 1024 },
        { 1ull << 55, 512 },
        { ~0ull >> 9, 512 },
        { 1ull << 63, 512 },
        { 0, 511 },
        { 0, 1 },
        { 0, 513 },
        { 0, SECTORS * 512 + 512 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(request(VIRTIO_BLK_T_IN, bad[i].sector, bad[i].len, NULL),
                         VIRTIO_BLK_S_IOERR);
        assert_int_equal(request(VIRTIO_BLK_T_OUT, bad[i].sector, bad[i].len, NULL),
                         VIRTIO_BLK_S_IOERR);
    }
    assert_int_equal(request(VIRTIO_BLK_T_IN, 0, SECTORS * 512, NULL), VIRTIO_BLK_S_OK);
    assert_int_equal(request(VIRTIO_BLK_T_DISCARD, 0, 512, NULL), VIRTIO_BLK_S_UNSUPP);
    assert_int_equal(request(0xffffffff, 0, 512, NULL), VIRTIO_BLK_S_UNSUPP);
    assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, 19, NULL), VIRTIO_BLK_S_IOERR);
}

/* A request on ranges of sectors; gives the status. */
static uint8_t on_ranges(uint32_t type, const struct virtio_blk_discard_write_zeroes *range,
                         unsigned n)
{
    const struct part parts[] = { { HEAD, 16, false },
                                  { DATA, (uint32_t)(n * sizeof(*range)), false },
                                  { STATUS, 1, true } };

    put_head(type, 0);
    memcpy(ram(DATA), range, n * sizeof(*range));
    offer(0, parts, 3);
    ring_and_wait();
    assert_int_equal(used(0, NULL), 1);
    return *(uint8_t *)ram(STATUS);
}

static bool is_zero(unsigned sector)
{
    uint8_t buf[BAWN_SECTOR], zero[BAWN_SECTOR] = { 0 };
    int fd = open(path, O_RDONLY);

    assert_int_equal(pread(fd, buf, sizeof(buf), sector * BAWN_SECTOR), sizeof(buf));
    close(fd);
    return !memcmp(buf, zero, sizeof(buf));
}

static void test_write_zeroes(void **state)
{
    const struct virtio_blk_discard_write_zeroes good[] = { { 2, 3, 0 }, { 8, 0, 0 }, { 9, 1, 1 } };
    static const struct {
        struct virtio_blk_discard_write_zeroes range;
        uint8_t status;
    } bad[] = {
        { { SECTORS, 1, 0 }, VIRTIO_BLK_S_IOERR }, { { SECTORS - 1, 2, 0 }, VIRTIO_BLK_S_IOERR },
        { { ~0ull, 1, 0 }, VIRTIO_BLK_S_IOERR },   { { 0, 0xffffffff, 0 }, VIRTIO_BLK_S_IOERR },
        { { 20, 1, 2 }, VIRTIO_BLK_S_UNSUPP },     { { 20, 1, 0x80000000 }, VIRTIO_BLK_S_UNSUPP },
    };
    struct virtio_blk_discard_write_zeroes many[17] = { { 20, 1, 0 } };

    (void)state;
    assert_int_equal(on_ranges(VIRTIO_BLK_T_WRITE_ZEROES, good, 1), VIRTIO_BLK_S_UNSUPP);
    assert_int_equal(driver_start(1, V1 | RANGES), 15);
    assert_int_equal(on_ranges(VIRTIO_BLK_T_WRITE_ZEROES, good, 3), VIRTIO_BLK_S_OK);
    for (unsigned i = 1; i < 12; i++)
        assert_int_equal(is_zero(i), (i >= 2 && i < 5) || i == 9);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(on_ranges(VIRTIO_BLK_T_WRITE_ZEROES, &bad[i].range, 1), bad[i].status);
    assert_int_equal(on_ranges(VIRTIO_BLK_T_WRITE_ZEROES, many, 17), VIRTIO_BLK_S_IOERR);
    assert_false(is_zero(20));
}

static void test_discard(void **state)
{
    const struct virtio_blk_discard_write_zeroes good = { 8, 8, 0 }, unmap = { 24, 1, 1 };
    struct stat before, after;

    (void)state;
    assert_int_equal(driver_start(1, V1 | RANGES), 15);
    assert_int_equal(fstat(disk.fd, &before), 0);
    assert_int_equal(on_ranges(VIRTIO_BLK_T_DISCARD, &good, 1), VIRTIO_BLK_S_OK);
    assert_int_equal(on_ranges(VIRTIO_BLK_T_DISCARD, &unmap, 1), VIRTIO_BLK_S_UNSUPP);
    assert_int_equal(fstat(disk.fd, &after), 0);
    assert_int_equal(after.st_size, before.st_size);
    assert_false(is_zero(7));
    assert_false(is_zero(16));
    assert_false(is_zero(24));
}

/* The file became shorter behind our back. */
static void test_short_file(void **state)
{
    (void)state;
    assert_int_equal(truncate(path, 512), 0);
    assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 1024, NULL), VIRTIO_BLK_S_IOERR);
    assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 512, NULL), VIRTIO_BLK_S_OK);
}

/* The host has no room for more: the guest is told so, also where a part was written. */
static void test_no_room(void **state)
{
    struct rlimit old, low;
    void (*was)(int) = signal(SIGXFSZ, SIG_IGN);

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    low = (struct rlimit){ 16 * BAWN_SECTOR, old.rlim_max };
    memset(ram(DATA), 0x33, 8 * BAWN_SECTOR);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    assert_int_equal(request(VIRTIO_BLK_T_OUT, 40, 512, NULL), VIRTIO_BLK_S_IOERR);
    assert_int_equal(request(VIRTIO_BLK_T_OUT, 12, 8 * BAWN_SECTOR, NULL), VIRTIO_BLK_S_IOERR);
    assert_int_equal(request(VIRTIO_BLK_T_OUT, 8, 8 * BAWN_SECTOR, NULL), VIRTIO_BLK_S_OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, was);
    assert_int_equal(request(VIRTIO_BLK_T_OUT, 12, 8 * BAWN_SECTOR, NULL), VIRTIO_BLK_S_OK);
}

static void test_readonly(void **state)
{
    const struct virtio_blk_discard_write_zeroes range = { 1, 1, 0 };
    uint8_t first;
    int fd;

    (void)state;
    assert_true(offered() & 1ull << VIRTIO_BLK_F_RO);
    assert_false(offered() & RANGES);
    assert_int_equal(on_ranges(VIRTIO_BLK_T_DISCARD, &range, 1), VIRTIO_BLK_S_UNSUPP);
    memset(ram(DATA), 0x77, 512);
    assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, 512, NULL), VIRTIO_BLK_S_IOERR);
    fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, &first, 1), 1);
    assert_int_equal(first, 0);
    close(fd);
}

/* One request in buffers of all kinds of lengths: the header in two, data and status in one. */
static void test_any_layout(void **state)
{
    const struct part parts[] = {
        { HEAD, 5, false }, { HEAD + 5, 11, false }, { DATA, 100, true }, { DATA + 1000, 413, true }
    };
    uint8_t *data = ram(DATA);
    uint32_t len = 0;

    (void)state;
    put_head(VIRTIO_BLK_T_IN, 5);
    offer(0, parts, 4);
    ring_and_wait();
    assert_int_equal(used(0, &len), 1);
    assert_int_equal(len, 513);
    assert_int_equal(data[99], (uint8_t)(5 + 5 * 512 + 99));
    assert_int_equal(data[1000], (uint8_t)(5 + 5 * 512 + 100));
    assert_int_equal(data[1000 + 412], VIRTIO_BLK_S_OK);
}

static void wait_loop(int timeout)
{
    struct pollfd fds[BAWN_LOOP_MAX];

    if (ring) {
        bawn_loop_turn(&m.loop, timeout);
        return;
    }
    for (unsigned i = 0; i < m.loop.nr; i++)
        fds[i] = (struct pollfd){ m.loop.watch[i].fd, POLLIN, 0 };
    poll(fds, m.loop.nr, timeout);
    for (unsigned i = 0; i < m.loop.nr; i++)
        if (fds[i].revents)
            bawn_loop_call(&m.loop, i);
}

/* Three operations may begin; the fourth comes when the timer says. */
static void test_rate(void **state)
{
    const struct part parts[] = { { HEAD, 16, false }, { DATA, 512, true }, { STATUS, 1, true } };
    struct bawn_disk_config cfg = disk_config(false);
    unsigned done;

    teardown(state);
    cfg.ops = (struct bawn_rate_config){ .size = 3, .refill = 3000 };
    plug(&cfg);
    put_head(VIRTIO_BLK_T_IN, 1);
    for (unsigned i = 0; i < 4; i++)
        offer(0, parts, 3);
    ring_and_wait();
    done = used(0, NULL);
    assert_int_equal(done, 3);
    while (done < 4) {
        wait_loop(-1);
        done += used(0, NULL);
    }
    /* Nothing of it is left over a reset. */
    assert_int_equal(driver_start(1, V1), 15);
    assert_int_equal(used(0, NULL), 0);
}

static unsigned syncs;
static bool sync_fails;

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_fdatasync(int fd)
{
    syncs++;
    return sync_fails ? -1 : __real_fdatasync(fd);
}

struct io_uring_sqe *__real_bawn_uring_next(struct bawn_uring *u, uint8_t op, int fd,
                                            uint64_t user);
struct io_uring_sqe *__wrap_bawn_uring_next(struct bawn_uring *u, uint8_t op, int fd,
                                            uint64_t user);

struct io_uring_sqe *__wrap_bawn_uring_next(struct bawn_uring *u, uint8_t op, int fd, uint64_t user)
{
    syncs += op == IORING_OP_FSYNC;
    return __real_bawn_uring_next(u, op, fd, user);
}

/* A driver that cannot flush has its writes kept safe at once; another one when it says so. */
static void test_write_through(void **state)
{
    (void)state;
    syncs = 0;
    memset(ram(DATA), 0x11, 512);
    assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, 512, NULL), VIRTIO_BLK_S_OK);
    assert_int_equal(syncs, 0);
    assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0, NULL), VIRTIO_BLK_S_OK);
    assert_int_equal(syncs, 1);
    assert_int_equal(driver_start(1, 1ull << VIRTIO_F_VERSION_1), 15);
    assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, 512, NULL), VIRTIO_BLK_S_OK);
    assert_int_equal(syncs, 2);
    sync_fails = true;
    assert_false(blk.vdev.ops->paused(&blk));
    sync_fails = false;
    assert_true(blk.vdev.ops->paused(&blk)); /* a snapshot's guest finds there what it wrote */
    assert_int_equal(syncs, 4);
}

/* Offers a read of a sector once for each of n, each as the same chain of three. */
static void offer_reads(unsigned n)
{
    const struct part parts[] = { { HEAD, 16, false }, { DATA, 512, true }, { STATUS, 1, true } };
    uint16_t *avail = ram(AVAIL_AT(0));

    put_head(VIRTIO_BLK_T_IN, 7);
    offer(0, parts, 3);
    for (unsigned i = 1; i < n; i++, avail[1]++)
        avail[2 + avail[1] % QUEUE] = avail[2 + (avail[1] - 1u) % QUEUE];
}

/* Up to where the requests are under way. */
static void begin_reads(unsigned n)
{
    offer_reads(n);
    reg(0x3000, 2, 0);
    for (unsigned turns = 0; !blk.busy && turns < 4; turns++)
        bawn_loop_turn(&m.loop, false);
}

static void test_in_flight(void **state)
{
    (void)state;
    begin_reads(4);
    assert_int_equal(blk.busy, 0xf);
    assert_int_equal(used(0, NULL), 0);
    while (blk.busy)
        bawn_loop_turn(&m.loop, true);
    assert_int_equal(used(0, NULL), 4);
    assert_int_equal(*(uint8_t *)ram(DATA), (uint8_t)(7 + 7 * 512));
    /* As many as there are slots, and then those that had to wait. */
    begin_reads(QUEUE);
    assert_int_equal(blk.busy, 0xffff);
    while (used(0, NULL) != QUEUE)
        bawn_loop_turn(&m.loop, true);
    assert_int_equal(blk.busy, 0);
    begin_reads(1);
    blk.busy |= 0xfffe; /* by others */
    offer_reads(3);
    reg(0x3000, 2, 0);
    bawn_loop_turn(&m.loop, true);
    blk.busy &= ~0xfffeu;
    while (blk.busy)
        bawn_loop_turn(&m.loop, true);
    ring_and_wait();
    assert_int_equal(used(0, NULL), 4);
}

/* What is under way when the driver resets the device, or a snapshot is made. */
static void test_drain(void **state)
{
    (void)state;
    begin_reads(4);
    assert_int_equal(blk.busy, 0xf);
    *(uint8_t *)ram(DATA) = 0;
    reg(VIRTIO_PCI_COMMON_STATUS, 1, 0);
    assert_int_equal(blk.busy, 0);
    assert_int_equal(device_status(), 0);
    assert_int_equal(used(0, NULL), 0);
    assert_int_equal(*(uint8_t *)ram(STATUS), 0xee);
    assert_int_equal(driver_start(1, V1), 15);
    begin_reads(4);
    blk.vdev.ops->paused(&blk);
    assert_int_equal(blk.busy, 0);
    assert_int_equal(used(0, NULL), 4);
    assert_int_equal(*(uint8_t *)ram(STATUS), VIRTIO_BLK_S_OK);
}

static void test_hostile(void **state)
{
    static const struct part shapes[][4] = {
        { { HEAD, 16, false } },                       /* no room for a status */
        { { HEAD, 15, false }, { STATUS, 1, true } },  /* half a header */
        { { STATUS, 1, true } },                       /* no header */
        { { HEAD, 16, false }, { DATA, 512, false } }, /* a write without a status */
        { { HEAD, 16, true }, { STATUS, 1, true } },   /* a header to be written */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        unsigned n = 0;

        while (n < 4 && shapes[i][n].len)
            n++;
        put_head(VIRTIO_BLK_T_IN, 0);
        offer(0, shapes[i], n);
        ring_and_wait();
        assert_int_equal(used(0, NULL), 1);
        assert_int_not_equal(*(uint8_t *)ram(STATUS), VIRTIO_BLK_S_OK);
        assert_false(device_status() & NEEDS_RESET);
    }
    /* A buffer outside RAM: the ring is broken until a reset. */
    offer(0, &(struct part){ RAM_SIZE - 8, 16, false }, 1);
    ring_and_wait();
    assert_true(device_status() & NEEDS_RESET);
    assert_int_equal(driver_start(1, V1), 15);
    assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 512, NULL), VIRTIO_BLK_S_OK);
}

static void test_random_chains(void **state)
{
    uint32_t seed = 5;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        struct part parts[6];
        unsigned n = 1 + i % 6;

        for (unsigned k = 0; k < n; k++) {
            seed = seed * 1664525 + 1013904223;
            parts[k] =
                (struct part){ HEAD + (seed >> 8) % 0x2000, 1 + (seed >> 20) % 600, seed & 1 };
        }
        put_head(seed >> 28, seed >> 10 & 0x7f);
        offer(0, parts, n);
        ring_and_wait();
        if (device_status() & NEEDS_RESET)
            assert_int_equal(driver_start(1, V1), 15);
    }
    assert_int_equal(lseek(disk.fd, 0, SEEK_END), SECTORS * 512);
}

static void test_open(void **state)
{
    struct bawn_disk_config cfg = disk_config(false), none = { .path = (char *)"/nonexistent" };
    struct bawn_disk_config dir = { .path = (char *)"/tmp" };
    struct bawn_disk_config null = { .path = (char *)"/dev/null" };
    struct bawn_disk other;
    struct bawn_error err;

    (void)state;
    assert_int_equal(bawn_disk_open(&other, &cfg, &err), BAWN_E_IO);
    assert_non_null(strstr(err.msg, "in use"));
    bawn_disk_close(&disk);
    cfg.readonly = true;
    assert_int_equal(bawn_disk_open(&other, &cfg, &err), BAWN_OK);
    assert_int_equal(bawn_disk_open(&disk, &cfg, &err), BAWN_OK); /* readers share */
    bawn_disk_close(&other);
    bawn_disk_close(&disk);
    assert_int_equal(bawn_disk_open(&other, &none, &err), BAWN_E_IO);
    assert_int_equal(bawn_disk_open(&other, &dir, &err), BAWN_E_IO);
    assert_int_equal(bawn_disk_open(&other, &null, &err), BAWN_E_IO);
    assert_int_equal(other.fd, -1);
    assert_int_equal(truncate(path, 513), 0);
    assert_int_equal(bawn_disk_open(&other, &cfg, &err), BAWN_E_IO);
    assert_non_null(strstr(err.msg, "multiple of 512"));
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(bawn_disk_open(&other, &cfg, &err), BAWN_E_IO);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static int run(const char *name)
{
    const struct CMUnitTest tests[] = {
        TEST(test_configuration),
        TEST(test_read_write),
        TEST(test_out_of_bounds),
        TEST(test_write_zeroes),
        TEST(test_discard),
        TEST(test_rate),
        TEST(test_write_through),
        TEST(test_short_file),
        TEST(test_no_room),
        cmocka_unit_test_setup_teardown(test_readonly, setup_readonly, teardown),
        TEST(test_any_layout),
        TEST(test_hostile),
        TEST(test_random_chains),
        TEST(test_open),
    };

    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest with_ring[] = { TEST(test_in_flight), TEST(test_drain) };
    struct bawn_uring here;
    int fd = mkstemp(path), failed;

    if (fd < 0)
        return 1;
    failed = run("without a ring");
    ring = !bawn_uring_init(&here, &fd, 1);
    if (ring) {
        bawn_uring_destroy(&here);
        failed += run("with a ring");
        failed += cmocka_run_group_tests_name("under way", with_ring, NULL, NULL);
    }
    close(fd);
    unlink(path);
    return failed;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/qcow2.c with qemu-img as the other side: it makes the images, checks what was written and
 * compares it with what should be there; and images that are to be refused.
 */
#include "qemu_img.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "virtio_devices.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* What the disk holds: a tag for each sector. */
struct model {
    struct bawn_disk disk;
    uint32_t *tag;
    unsigned sectors;
    uint32_t seed, next;
};

static void begin(struct model *m, unsigned sectors)
{
    m->sectors = sectors;
    m->tag = calloc(sectors, sizeof(m->tag[0]));
    m->next = 1;
}

static void must_open(struct model *m, const char *backing, bool readonly)
{
    struct bawn_error err = { "" };

    if (open_image(&m->disk, "image", backing, readonly, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(m->disk.sectors, m->sectors);
}

static void compare_all(struct model *m)
{
    uint8_t *got = malloc((size_t)m->sectors * BAWN_SECTOR), want[BAWN_SECTOR];
    struct iovec v = { got, (size_t)m->sectors * BAWN_SECTOR };

    assert_true(bawn_disk_read(&m->disk, 0, &v, 1));
    for (unsigned i = 0; i < m->sectors; i++) {
        fill_sector(want, m->tag[i]);
        if (memcmp(got + (size_t)i * BAWN_SECTOR, want, BAWN_SECTOR))
            fail_msg("sector %u is not %u", i, m->tag[i]);
    }
    free(got);
}

/* The content, as a raw image. */
static void save_raw(const struct model *m, const char *name)
{
    FILE *f = fopen(in_folder(name), "w");
    uint8_t sector[BAWN_SECTOR];

    for (unsigned i = 0; i < m->sectors; i++) {
        fill_sector(sector, m->tag[i]);
        fwrite(sector, 1, sizeof(sector), f);
    }
    fclose(f);
}

static void close_and_check(struct model *m, const char *what)
{
    bawn_disk_close(&m->disk);
    save_raw(m, "raw");
    if (command("qemu-img check image"))
        fail_msg("qemu-img check: %s", what);
    if (command("qemu-img compare -F raw -f qcow2 image raw"))
        fail_msg("qemu-img compare: %s", what);
}

static void end(struct model *m)
{
    free(m->tag);
}

static void set_tags(struct model *m, unsigned at, unsigned n, uint32_t tag)
{
    for (unsigned i = 0; i < n; i++)
        m->tag[at + i] = tag;
}

/* A discard is what the image then says of it: nothing, or zeroes in whole clusters. */
static void discard(struct model *m, unsigned at, unsigned n)
{
    uint8_t sector[BAWN_SECTOR], zero[BAWN_SECTOR] = { 0 };

    assert_true(bawn_disk_discard(&m->disk, at, (uint64_t)n * BAWN_SECTOR));
    for (unsigned i = at; i < at + n; i++) {
        assert_true(bawn_disk_read(&m->disk, i, &(struct iovec){ sector, BAWN_SECTOR }, 1));
        if (!memcmp(sector, zero, BAWN_SECTOR))
            m->tag[i] = 0;
    }
}

static void random_step(struct model *m, unsigned longest)
{
    unsigned at = next_random(&m->seed) % m->sectors, n = 1 + next_random(&m->seed) % longest;

    n = n < m->sectors - at ? n : m->sectors - at;
    switch (next_random(&m->seed) % 8) {
    case 0:
        assert_true(bawn_disk_zero(&m->disk, at, (uint64_t)n * BAWN_SECTOR, m->seed >> 31));
        set_tags(m, at, n, 0);
        break;
    case 1:
        discard(m, at, n);
        break;
    case 2:
        assert_true(bawn_disk_flush(&m->disk));
        break;
    default:
        assert_true(write_tags(&m->disk, at, n, m->next));
        set_tags(m, at, n, m->next++);
    }
}

/* ---- Images of ours ---- */

static void test_random_work(void **state)
{
    static const struct {
        const char *options;
        unsigned sectors, longest;
    } kinds[] = {
        { "cluster_size=65536", 16384, 300 },
        { "cluster_size=512", 4096, 40 },
        { "cluster_size=512,refcount_bits=1", 4096, 40 },
        { "cluster_size=4096,refcount_bits=2", 16384, 100 },
        { "cluster_size=4096,refcount_bits=8", 16384, 100 },
        { "cluster_size=4096,refcount_bits=64", 16384, 100 },
        { "cluster_size=2M", 65536, 5000 },
        { "cluster_size=4096,compat=0.10", 16383, 100 },
        { "cluster_size=4096,preallocation=metadata", 16383, 100 },
        { "cluster_size=65536,preallocation=full", 4097, 300 },
        { "cluster_size=4096,lazy_refcounts=on", 16383, 100 },
    };

    (void)state;
    for (unsigned k = 0; k < COUNT(kinds); k++) {
        struct model m = { .seed = k };

        begin(&m, kinds[k].sectors);
        assert_int_equal(command("qemu-img create -f qcow2 -o %s image %u", kinds[k].options,
                                 kinds[k].sectors * BAWN_SECTOR),
                         0);
        for (unsigned round = 0; round < 3; round++) {
            must_open(&m, NULL, false);
            for (unsigned i = 0; i < 150; i++)
                random_step(&m, kinds[k].longest);
            compare_all(&m);
            close_and_check(&m, kinds[k].options);
        }
        must_open(&m, NULL, true);
        compare_all(&m);
        assert_false(write_tags(&m.disk, 0, 1, 1));
        assert_false(bawn_disk_zero(&m.disk, 0, BAWN_SECTOR, true));
        close_and_check(&m, "read-only");
        end(&m);
    }
}

/* More clusters than the first refcount table has room for. */
static void test_growth(void **state)
{
    struct model m = { .seed = 1 };
    struct stat st;

    (void)state;
    begin(&m, 60000);
    assert_int_equal(
        command("qemu-img create -f qcow2 -o cluster_size=512 image %u", m.sectors * BAWN_SECTOR),
        0);
    must_open(&m, NULL, false);
    for (unsigned i = 0; i + 100 <= m.sectors; i += 100) {
        assert_true(write_tags(&m.disk, i, 100, m.next));
        set_tags(&m, i, 100, m.next++);
    }
    compare_all(&m);
    close_and_check(&m, "growth");
    /* What is discarded is used again. */
    assert_int_equal(stat(in_folder("image"), &st), 0);
    must_open(&m, NULL, false);
    assert_true(bawn_disk_zero(&m.disk, 0, 20000 * BAWN_SECTOR, true));
    set_tags(&m, 0, 20000, 0);
    for (unsigned i = 0; i < 20; i++)
        assert_true(bawn_disk_flush(&m.disk));
    assert_true(write_tags(&m.disk, 0, 20000, m.next));
    set_tags(&m, 0, 20000, m.next);
    close_and_check(&m, "used again");
    {
        off_t before = st.st_size;

        assert_int_equal(stat(in_folder("image"), &st), 0);
        assert_true(st.st_size < before + 20000 * 512 / 4);
    }
    end(&m);
}

static void test_converted(void **state)
{
    struct model m = { .seed = 3 };

    (void)state;
    begin(&m, 9000);
    for (unsigned i = 0; i < m.sectors; i++)
        m.tag[i] = i / 100 % 3 ? i : 0;
    save_raw(&m, "source");
    assert_int_equal(command("qemu-img convert -f raw -O qcow2 source image"), 0);
    must_open(&m, NULL, true);
    compare_all(&m);
    bawn_disk_close(&m.disk);
    end(&m);
}

static void test_snapshots(void **state)
{
    struct model m = { .seed = 5 }, then = { .seed = 6 };

    (void)state;
    begin(&m, 8192);
    begin(&then, 8192);
    assert_int_equal(command("qemu-img create -f qcow2 -o cluster_size=4096 image 4M"), 0);
    must_open(&m, NULL, false);
    for (unsigned i = 0; i < 200; i++)
        random_step(&m, 50);
    close_and_check(&m, "before");
    memcpy(then.tag, m.tag, 8192 * sizeof(m.tag[0]));
    assert_int_equal(command("qemu-img snapshot -c one image"), 0);
    must_open(&m, NULL, false);
    compare_all(&m);
    for (unsigned i = 0; i < 200; i++)
        random_step(&m, 50);
    compare_all(&m);
    close_and_check(&m, "after");
    assert_int_equal(command("qemu-img snapshot -a one image"), 0);
    must_open(&then, NULL, false);
    compare_all(&then);
    close_and_check(&then, "the snapshot");
    end(&m);
    end(&then);
}

static void test_backing(void **state)
{
    static const char *const compat[] = { "1.1", "0.10" };

    (void)state;
    for (unsigned k = 0; k < 2; k++) {
        struct model m = { .seed = 7 };
        struct bawn_error err;

        begin(&m, 8192);
        for (unsigned i = 0; i < 5001; i++) /* shorter than the image on it */
            m.tag[i] = 1000000 + i;
        save_raw(&m, "raw");
        assert_int_equal(command("head -c %u raw >base", 5001 * BAWN_SECTOR), 0);
        assert_int_equal(command("qemu-img create -f qcow2 -o cluster_size=4096,compat=%s -F raw "
                                 "-b base image 4M",
                                 compat[k]),
                         0);
        must_open(&m, "base", false);
        compare_all(&m);
        for (unsigned i = 0; i < 200; i++)
            random_step(&m, 50);
        compare_all(&m);
        close_and_check(&m, compat[k]);
        assert_int_equal(open_image(&m.disk, "image", NULL, false, &err), BAWN_E_CONFIG);
        assert_non_null(strstr(err.msg, "backing=FILE"));
        assert_int_equal(open_image(&m.disk, "image", "none", false, &err), BAWN_E_IO);
        end(&m);
    }
}

/* The file cannot grow: a write fails, and leaves nothing wrong behind. */
static void test_no_space(void **state)
{
    struct rlimit old, low;
    struct model m = { .seed = 9 };
    struct stat st;
    unsigned failed = 0;

    (void)state;
    begin(&m, 8192);
    assert_int_equal(command("qemu-img create -f qcow2 -o cluster_size=4096 image 4M"), 0);
    must_open(&m, NULL, false);
    assert_true(write_tags(&m.disk, 0, 64, m.next));
    set_tags(&m, 0, 64, m.next++);
    assert_int_equal(fstat(m.disk.fd, &st), 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    low = (struct rlimit){ (rlim_t)st.st_size + 20480, old.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    for (unsigned i = 64; i < 512; i += 8) {
        if (write_tags(&m.disk, i, 8, m.next))
            set_tags(&m, i, 8, m.next++);
        else
            failed++;
    }
    assert_true(failed > 40);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    compare_all(&m);
    assert_true(write_tags(&m.disk, 4000, 50, m.next));
    set_tags(&m, 4000, 50, m.next);
    assert_true(bawn_disk_flush(&m.disk));
    close_and_check(&m, "after a full disk");
    end(&m);
}

/* A machine that stands still may go on elsewhere: its disk's process writes nothing any more, also
 * not at its end. */
static void test_paused(void **state)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct bawn_virtio_blk blk = { .timer_fd = -1 };
    struct model m = { .seed = 10 };
    struct bawn_loop loop;
    const struct bawn_vdev_host host = { NULL, &loop };

    (void)state;
    begin(&m, 8192);
    assert_int_equal(command("qemu-img create -f qcow2 -o cluster_size=4096 image 4M"), 0);
    must_open(&m, NULL, false);
    assert_int_equal(bawn_loop_init(&loop, &lock), 0);
    assert_int_equal(bawn_virtio_blk_init(&blk, &host, &m.disk), 0);
    for (unsigned i = 0; i < 200; i++)
        random_step(&m, 50);
    discard(&m, 0, 4000);
    assert_true(blk.vdev.ops->paused(&blk));
    assert_int_equal(command("cp image then"), 0);
    blk.vdev.ops->end(&blk);
    assert_int_equal(command("cmp image then"), 0);
    bawn_virtio_blk_destroy(&blk);
    bawn_loop_destroy(&loop);
    close_and_check(&m, "paused, and left");
    assert_int_equal(command("cmp image then"), 0);
    end(&m);
}

static void patch(off_t at, const void *bytes, size_t len)
{
    int fd = open(in_folder("image"), O_WRONLY);

    assert_int_equal(pwrite(fd, bytes, len, at), (ssize_t)len);
    close(fd);
}

/* Another machine still writes to it: what its tables refer to is counted in no file yet, or in one
 * that was read before. What is wrong then is found when it is taken over. */
static void test_early(void **state)
{
    const uint64_t another = __builtin_bswap64(0x8000000001000000), nothing = 0;
    struct bawn_disk_config cfg = { .path = (char *)in_folder("image"), .format = BAWN_DISK_QCOW2 };
    struct model m = { .seed = 12 };
    struct bawn_disk early;
    struct bawn_error err;

    (void)state;
    begin(&m, 8192);
    assert_int_equal(command("rm -f image; qemu-img create -f qcow2 image 4M"), 0);
    must_open(&m, NULL, false);
    assert_true(write_tags(&m.disk, 0, 128, m.next));
    assert_true(bawn_disk_flush(&m.disk));
    patch(0x50008, &another, sizeof(another)); /* a cluster that is not counted */
    assert_int_equal(bawn_disk_open_early(&early, &cfg, &err), BAWN_OK);
    assert_int_equal(early.sectors, 8192);
    assert_int_equal(bawn_disk_take_over(&early, &cfg, &err), BAWN_E_IO);
    assert_non_null(strstr(err.msg, "in use by another machine"));
    set_tags(&m, 0, 128, m.next);
    bawn_disk_close(&m.disk);
    assert_int_equal(bawn_disk_take_over(&early, &cfg, &err), BAWN_E_FORMAT);
    assert_non_null(strstr(err.msg, "refcount says otherwise"));
    patch(0x50008, &nothing, sizeof(nothing));
    assert_int_equal(bawn_disk_take_over(&early, &cfg, &err), BAWN_OK);
    m.disk = early;
    compare_all(&m);
    close_and_check(&m, "taken over");
    end(&m);
}

/* ---- Refused ---- */

static void expect_refused(const char *what, enum bawn_status want, const char *word)
{
    struct bawn_error err = { "" };
    struct bawn_disk disk;
    enum bawn_status st = open_image(&disk, "image", NULL, false, &err);

    if (st != want || !strstr(err.msg, word))
        fail_msg("%s: %d, \"%s\" instead of %d, \"%s\"", what, st, err.msg, want, word);
    assert_int_equal(disk.fd, -1);
}

static void test_unsupported(void **state)
{
    static const struct {
        const char *how, *word;
    } kinds[] = {
        { "qemu-img create -f qcow2 -o extended_l2=on image 4M", "extended L2" },
        { "qemu-img create -f qcow2 -o data_file=data image 4M", "external data file" },
        { "head -c 1M /dev/zero >raw && qemu-img create -f qcow2 image 1M && yes | head -c 1M >raw "
          "&& qemu-img convert -c -f raw -O qcow2 raw image",
          "compressed" },
        { "qemu-img create -f qcow2 -o encrypt.format=aes,encrypt.key-secret=s --object "
          "secret,id=s,data=x image 4M",
          "encrypted" },
    };

    (void)state;
    for (unsigned i = 0; i < COUNT(kinds); i++) {
        assert_int_equal(command("rm -f image data; %s", kinds[i].how), 0);
        expect_refused(kinds[i].how, BAWN_E_UNSUPPORTED, kinds[i].word);
    }
}

/* An image of 64 KiB clusters as qemu-img makes it: counts' table at 1, block at 2, L1 at 3; and
 * as we fill it: data at 4, L2 at 5. */
static void test_corrupt(void **state)
{
    static const struct {
        const char *what;
        off_t at;
        unsigned len;
        uint64_t value; /* its last len bytes */
        const char *word;
    } kinds[] = {
        { "magic", 0, 4, 0x51464900, "not a qcow2 image" },
        { "version", 4, 4, 4, "not a qcow2 image" },
        { "cluster_bits", 20, 4, 8, "cluster_bits" },
        { "cluster_bits", 20, 4, 22, "cluster_bits" },
        { "cluster_bits", 20, 4, 0xffffffff, "cluster_bits" },
        { "no L1 entries", 36, 4, 0, "L1 table's size" },
        { "too many", 36, 4, 0x80000, "L2 table is in" },
        { "far too many", 36, 4, 0xffffffff, "L1 table's size" },
        { "L1 at 0", 40, 8, 0, "L1 table is in" },
        { "L1 not aligned", 40, 8, 0x30200, "L1 table is in" },
        { "L1 far away", 40, 8, 0xffffffffffff0000, "L1 table is in" },
        { "L1 on the counts", 40, 8, 0x10000, "refcount table is in" },
        { "counts at 0", 48, 8, 0, "refcount table is in" },
        { "counts far away", 48, 8, 0x8000000000000000, "refcount table is in" },
        { "no counts", 56, 4, 0, "refcount table's size" },
        { "many counts", 56, 4, 0xffffffff, "refcount table's size" },
        { "snapshots", 60, 4, 0xffffffff, "snapshots" },
        { "refcount_order", 96, 4, 7, "refcount_order" },
        { "refcount_order", 96, 4, 0xffffffff, "refcount_order" },
        { "dirty", 79, 1, 1, "qemu-img check" },
        { "corrupt", 79, 1, 2, "qemu-img check" },
        { "block at L1", 0x10000, 8, 0x30000, "refcount block is in" },
        { "block not aligned", 0x10000, 8, 0x20001, "refcount block is in" },
        { "L2 at L1", 0x30000, 8, 0x8000000000030000, "L2 table is in" },
        { "L2 twice", 0x30008, 8, 0x8000000000050000, "L2 table is in" },
        { "L2 reserved", 0x30000, 8, 0x8000000000050001, "L2 table is in" },
        { "L2 at a free cluster", 0x30000, 8, 0x8000000001000000, "refcount says otherwise" },
        { "data at L1", 0x50000, 8, 0x8000000000030000, "L2 entry is wrong" },
        { "data at the header", 0x50000, 8, 0x8000000000000200, "L2 entry is wrong" },
        { "data not aligned", 0x50000, 8, 0x8000000000040200, "L2 entry is wrong" },
        { "data reserved", 0x50000, 8, 0x8000000000040002, "L2 entry is wrong" },
        { "data far away", 0x50000, 8, 0x80ffffffffff0000, "L2 entry is wrong" },
        { "data twice", 0x50008, 8, 0x8000000000040000, "used twice" },
        { "data at a free cluster", 0x50008, 8, 0x8000000001000000, "refcount says otherwise" },
        { "counted twice", 0x20008, 2, 2, "refcount says otherwise" },
        { "not counted", 0x20008, 2, 0, "refcount says otherwise" },
    };

    (void)state;
    for (unsigned i = 0; i < COUNT(kinds); i++) {
        struct model m = { .sectors = 2u << 21 }; /* four L1 entries */
        uint8_t bytes[8];

        assert_int_equal(command("rm -f image; qemu-img create -f qcow2 image 2G"), 0);
        must_open(&m, NULL, false);
        assert_true(write_tags(&m.disk, 0, 128, 1));
        bawn_disk_close(&m.disk);
        for (unsigned b = 0; b < kinds[i].len; b++)
            bytes[b] = (uint8_t)(kinds[i].value >> 8 * (kinds[i].len - 1 - b));
        patch(kinds[i].at, bytes, kinds[i].len);
        expect_refused(kinds[i].what, BAWN_E_FORMAT, kinds[i].word);
    }
}

static void test_sizes(void **state)
{
    static const uint64_t sizes[] = { 0, 513, 1ull << 62, ~0ull & ~511ull };

    (void)state;
    for (unsigned i = 0; i < COUNT(sizes); i++) {
        uint64_t size = __builtin_bswap64(sizes[i]);

        assert_int_equal(command("rm -f image; qemu-img create -f qcow2 image 4M"), 0);
        patch(24, &size, sizeof(size));
        expect_refused("size", BAWN_E_UNSUPPORTED, "multiple of 512");
    }
    assert_int_equal(command("head -c 71 /dev/zero >image"), 0);
    expect_refused("short", BAWN_E_FORMAT, "too short");
}

/* Any bytes anywhere: refused or served, and never more than that. */
static void test_random_damage(void **state)
{
    uint32_t seed = 11;

    (void)state;
    assert_int_equal(command("rm -f image; qemu-img create -f qcow2 -o cluster_size=512 image 64K"),
                     0);
    for (unsigned i = 0; i < 3000; i++) {
        struct bawn_disk disk;
        uint8_t byte = (uint8_t)next_random(&seed);

        patch((off_t)(next_random(&seed) % (i % 2 ? 112 : 4096)), &byte, 1);
        if (!open_image(&disk, "image", NULL, false, NULL)) {
            struct model m = { .disk = disk, .sectors = (unsigned)disk.sectors % 4096, .seed = i };

            for (unsigned k = 0; m.sectors && k < 10; k++)
                write_tags(&disk, next_random(&seed) % m.sectors, 1, k);
            bawn_disk_close(&disk);
        }
        if (i % 10 == 9)
            assert_int_equal(command("rm -f image; qemu-img create -f qcow2 -o cluster_size=512 "
                                     "image 64K"),
                             0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_work), cmocka_unit_test(test_growth),
        cmocka_unit_test(test_converted),   cmocka_unit_test(test_snapshots),
        cmocka_unit_test(test_backing),     cmocka_unit_test(test_no_space),
        cmocka_unit_test(test_paused),      cmocka_unit_test(test_early),
        cmocka_unit_test(test_unsupported), cmocka_unit_test(test_corrupt),
        cmocka_unit_test(test_sizes),       cmocka_unit_test(test_random_damage),
    };

    if (!have_qemu_img()) {
        print_message("1..0 # SKIP no qemu-img (package qemu-utils)\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

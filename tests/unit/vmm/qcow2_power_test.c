// SPDX-License-Identifier: Apache-2.0
// libs: -Wl,--wrap=pwritev,--wrap=fdatasync,--wrap=fallocate
/*
 * Power cuts: a random load on a qcow2 image, whose writes are logged. The power fails at every
 * point of the log; what was written since the last sync is there in part, and torn. Then the image
 * must be in order, and each sector must hold what the last flush has acknowledged, or something
 * that was written later.
 */
#include "qemu_img.h"

#include <fcntl.h>

#define SECTORS 2048u
#define STEPS 250
#define LATER_MAX 64

enum what { DATA, PUNCH, SYNC, BEGUN, FLUSHED };

struct event {
    enum what what;
    uint64_t at, len; /* in the file; BEGUN: sectors of the disk */
    uint32_t tag;     /* BEGUN */
    uint8_t *data;    /* owned; DATA */
};

static struct {
    struct event *event;
    unsigned nr, room;
    int fd; /* of the image whose writes are logged */
} journal = { .fd = -1 };

static struct event *add(enum what what, uint64_t at, uint64_t len)
{
    if (journal.nr == journal.room) {
        journal.room = 2 * journal.room + 64;
        journal.event = realloc(journal.event, journal.room * sizeof(journal.event[0]));
    }
    journal.event[journal.nr] = (struct event){ .what = what, .at = at, .len = len };
    return &journal.event[journal.nr++];
}

static void forget_journal(void)
{
    for (unsigned i = 0; i < journal.nr; i++)
        free(journal.event[i].data);
    free(journal.event);
    memset(&journal, 0, sizeof(journal));
    journal.fd = -1;
}

ssize_t __real_pwritev(int fd, const struct iovec *v, int nr, off_t at);
ssize_t __wrap_pwritev(int fd, const struct iovec *v, int nr, off_t at);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_fallocate(int fd, int mode, off_t at, off_t len);
int __wrap_fallocate(int fd, int mode, off_t at, off_t len);

ssize_t __wrap_pwritev(int fd, const struct iovec *v, int nr, off_t at)
{
    ssize_t n = __real_pwritev(fd, v, nr, at), done = 0;

    if (fd == journal.fd && n > 0) {
        struct event *e = add(DATA, (uint64_t)at, (uint64_t)n);

        e->data = malloc((size_t)n);
        for (int i = 0; i < nr && done < n; i++) {
            size_t part = v[i].iov_len < (size_t)(n - done) ? v[i].iov_len : (size_t)(n - done);

            memcpy(e->data + done, v[i].iov_base, part);
            done += (ssize_t)part;
        }
    }
    return n;
}

int __wrap_fdatasync(int fd)
{
    if (fd == journal.fd)
        add(SYNC, 0, 0);
    return 0; /* the test's own file need not survive one */
}

int __wrap_fallocate(int fd, int mode, off_t at, off_t len)
{
    if (fd == journal.fd)
        add(PUNCH, (uint64_t)at, (uint64_t)len);
    return __real_fallocate(fd, mode, at, len);
}

/* ---- The load ---- */

static struct bawn_disk disk;

static void step(uint32_t *seed, uint32_t tag)
{
    unsigned kind = next_random(seed) % 10, at = next_random(seed) % SECTORS;
    unsigned n = 1 + next_random(seed) % (next_random(seed) % 8 ? 24 : 200);
    struct event *e;

    n = n < SECTORS - at ? n : SECTORS - at;
    if (kind == 0) {
        assert_true(bawn_disk_flush(&disk));
        add(FLUSHED, 0, 0);
        return;
    }
    e = add(BEGUN, at, n);
    e->tag = kind < 3 ? 0 : tag;
    if (kind < 3)
        assert_true(bawn_disk_zero(&disk, at, (uint64_t)n * BAWN_SECTOR, true));
    else
        assert_true(write_tags(&disk, at, n, tag));
}

static void run_load(const char *backing, uint32_t seed)
{
    struct bawn_error err = { "" };

    if (open_image(&disk, "image", backing, false, &err))
        fail_msg("%s", err.msg);
    journal.fd = disk.fd;
    for (uint32_t i = 0; i < STEPS; i++)
        step(&seed, 1000 + i);
    bawn_disk_close(&disk);
    journal.fd = -1;
}

/* ---- What is left ---- */

static struct state {
    int fd;          /* what is safe */
    unsigned synced; /* the first event that is not */
    uint32_t acked[SECTORS];
    uint32_t later[SECTORS][LATER_MAX];
    uint8_t nr_later[SECTORS];
} s;

static void apply(int fd, const struct event *e, uint64_t from, uint64_t len)
{
    if (e->what == DATA)
        assert_int_equal(pwrite(fd, e->data + from, len, (off_t)(e->at + from)), (ssize_t)len);
    else if (e->what == PUNCH)
        assert_int_equal(__real_fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
                                          (off_t)(e->at + from), (off_t)len),
                         0);
}

/* The event has happened: what is safe then, and what the disk may hold. */
static void happen(unsigned n)
{
    const struct event *e = &journal.event[n];

    if (e->what == SYNC)
        for (; s.synced < n; s.synced++)
            apply(s.fd, &journal.event[s.synced], 0, journal.event[s.synced].len);
    for (unsigned i = 0; e->what == FLUSHED && i < SECTORS; i++) {
        if (s.nr_later[i])
            s.acked[i] = s.later[i][s.nr_later[i] - 1];
        s.nr_later[i] = 0;
    }
    for (uint64_t i = e->at; e->what == BEGUN && i < e->at + e->len; i++) {
        assert_true(s.nr_later[i] < LATER_MAX);
        s.later[i][s.nr_later[i]++] = e->tag;
    }
}

static void copy_file(int from, int to)
{
    static uint8_t buf[1 << 16];
    off_t at = 0;
    ssize_t n;

    assert_int_equal(ftruncate(to, 0), 0);
    while ((n = pread(from, buf, sizeof(buf), at)) > 0) {
        assert_int_equal(pwrite(to, buf, (size_t)n, at), n);
        at += n;
    }
}

/* Of the writes that nothing made safe, some are there, and of some a part. */
static void cut(unsigned n, uint32_t *seed)
{
    int fd = open(in_folder("cut"), O_RDWR | O_CREAT, 0600);
    unsigned kept = next_random(seed) % 4;

    copy_file(s.fd, fd);
    for (unsigned i = s.synced; i <= n; i++) {
        const struct event *e = &journal.event[i];

        if (e->what > PUNCH)
            continue;
        for (uint64_t at = 0; at < e->len; at += BAWN_SECTOR) {
            uint64_t part = e->len - at < BAWN_SECTOR ? e->len - at : BAWN_SECTOR;
            /* all of it, none, or each sector by chance */
            if (kept == 0 || (kept > 1 && next_random(seed) % kept))
                apply(fd, e, at, part);
        }
    }
    close(fd);
}

static bool may_hold(unsigned sector, uint32_t tag)
{
    bool ok = s.acked[sector] == tag;

    for (unsigned i = 0; i < s.nr_later[sector]; i++)
        ok |= s.later[sector][i] == tag;
    return ok;
}

static void check_cut(unsigned n, const char *backing)
{
    static uint8_t all[SECTORS * BAWN_SECTOR];
    struct bawn_error err = { "" };
    struct bawn_disk left;

    if (open_image(&left, "cut", backing, true, &err))
        fail_msg("after %u of %u: %s", n, journal.nr, err.msg);
    assert_true(bawn_disk_read(&left, 0, &(struct iovec){ all, sizeof(all) }, 1));
    for (unsigned i = 0; i < SECTORS; i++) {
        uint8_t whole[BAWN_SECTOR];
        uint32_t tag;

        memcpy(&tag, all + (size_t)i * BAWN_SECTOR, sizeof(tag));
        fill_sector(whole, tag);
        if (memcmp(whole, all + (size_t)i * BAWN_SECTOR, BAWN_SECTOR) || !may_hold(i, tag))
            fail_msg("after %u of %u: sector %u holds %u, acknowledged was %u", n, journal.nr, i,
                     tag, s.acked[i]);
    }
    bawn_disk_close(&left);
    if (n % 64 == 0 && command("qemu-img check cut; test $? = 0 -o $? = 3"))
        fail_msg("after %u of %u: qemu-img check", n, journal.nr);
}

/* Fails the power at each point of a load on the image that the commands make. */
static void cut_everywhere(const char *make, const char *backing, const uint32_t *before,
                           uint32_t seed)
{
    memset(&s, 0, sizeof(s));
    if (before)
        memcpy(s.acked, before, sizeof(s.acked));
    assert_int_equal(command("rm -f image cut safe; %s", make), 0);
    assert_int_equal(command("cp image safe"), 0);
    run_load(backing, seed);
    s.fd = open(in_folder("safe"), O_RDWR);
    for (unsigned n = 0; n < journal.nr; n++) {
        happen(n);
        if (journal.event[n].what == BEGUN)
            continue; /* nothing was written */
        cut(n, &seed);
        check_cut(n, backing);
    }
    assert_true(s.synced > 100);
    close(s.fd);
    forget_journal();
}

static void test_new_image(void **state)
{
    (void)state;
    cut_everywhere("qemu-img create -f qcow2 -o cluster_size=4096 image 1M", NULL, NULL, 1);
    cut_everywhere("qemu-img create -f qcow2 -o cluster_size=65536 image 1M", NULL, NULL, 2);
    cut_everywhere("qemu-img create -f qcow2 -o cluster_size=512 image 1M", NULL, NULL, 3);
    cut_everywhere("qemu-img create -f qcow2 -o compat=0.10,cluster_size=4096 image 1M", NULL, NULL,
                   4);
}

static void make_base(uint32_t *tags)
{
    FILE *f = fopen(in_folder("base"), "w");
    uint8_t sector[BAWN_SECTOR];

    for (unsigned i = 0; i < SECTORS; i++) {
        tags[i] = 500000 + i;
        fill_sector(sector, tags[i]);
        fwrite(sector, 1, sizeof(sector), f);
    }
    fclose(f);
}

static void test_backing_and_snapshot(void **state)
{
    static uint32_t tags[SECTORS];

    (void)state;
    make_base(tags);
    cut_everywhere("qemu-img create -f qcow2 -o cluster_size=4096 -F raw -b base image", "base",
                   tags, 5);
    cut_everywhere("qemu-img convert -f raw -O qcow2 -o cluster_size=4096 base image && "
                   "qemu-img snapshot -c one image",
                   NULL, tags, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_image),
        cmocka_unit_test(test_backing_and_snapshot),
    };

    if (!have_qemu_img()) {
        print_message("1..0 # SKIP no qemu-img (package qemu-utils)\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

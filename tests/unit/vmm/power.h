/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of power cuts: what is written to a disk's file is logged, by system calls or by a
 * ring. The power fails at every point of the log; what was written since the last sync is there in
 * part, and torn. Each sector must hold then what the last flush has acknowledged, or something
 * that was written later.
 */
#ifndef BAWN_TEST_POWER_H
#define BAWN_TEST_POWER_H

#include "qemu_img.h"

#include <fcntl.h>
#include <limits.h>

#define SECTORS 2048u
#define LATER_MAX 64

enum what { DATA, PUNCH, SYNC, BEGUN, FLUSHED };

struct event {
    enum what what;
    uint64_t at, len; /* in the file; BEGUN: sectors of the disk */
    uint32_t tag;     /* BEGUN */
    bool safe;        /* DATA, PUNCH: no power cut takes it back */
    /* The event behind which it was done, UINT_MAX: never; SYNC, FLUSHED: what was done before this
     * one is safe. Its own number where one thing is done after the other. */
    unsigned when;
    uint8_t *data; /* owned; DATA */
};

static struct {
    struct event *event;
    unsigned nr, room;
    int fd; /* of the image whose writes are logged */
} journal = { .fd = -1 };

static inline struct event *add(enum what what, uint64_t at, uint64_t len)
{
    if (journal.nr == journal.room) {
        journal.room = 2 * journal.room + 64;
        journal.event = realloc(journal.event, journal.room * sizeof(journal.event[0]));
    }
    journal.event[journal.nr] =
        (struct event){ .what = what, .at = at, .len = len, .when = journal.nr };
    return &journal.event[journal.nr++];
}

static inline struct event *add_data(const struct iovec *v, unsigned nr, uint64_t at, size_t len)
{
    struct event *e = add(DATA, at, len);
    size_t done = 0;

    e->data = malloc(len);
    for (unsigned i = 0; i < nr && done < len; i++) {
        size_t part = v[i].iov_len < len - done ? v[i].iov_len : len - done;

        memcpy(e->data + done, v[i].iov_base, part);
        done += part;
    }
    return e;
}

static inline void forget_journal(void)
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
    ssize_t n = __real_pwritev(fd, v, nr, at);

    if (fd == journal.fd && n > 0)
        add_data(v, (unsigned)nr, (uint64_t)at, (size_t)n);
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

/* ---- What is left ---- */

struct later {
    uint32_t tag;
    unsigned begun; /* the event's number */
};

static struct state {
    int fd; /* what is safe */
    unsigned nr_safe;
    uint32_t acked[SECTORS];
    struct later later[SECTORS][LATER_MAX];
    uint8_t nr_later[SECTORS];
} s;

static inline void apply(int fd, const struct event *e, uint64_t from, uint64_t len)
{
    if (e->what == DATA)
        assert_int_equal(pwrite(fd, e->data + from, len, (off_t)(e->at + from)), (ssize_t)len);
    else if (e->what == PUNCH)
        assert_int_equal(__real_fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
                                          (off_t)(e->at + from), (off_t)len),
                         0);
}

static inline void make_safe(unsigned since)
{
    for (unsigned i = 0; i < since; i++) {
        struct event *e = &journal.event[i];

        if (e->what > PUNCH || e->safe || e->when >= since)
            continue;
        apply(s.fd, e, 0, e->len);
        e->safe = true;
        s.nr_safe++;
    }
}

/* Of what was begun, in its order, some was done: the last of that is what must be there. */
static inline void acknowledge(unsigned sector, unsigned since)
{
    struct later *later = s.later[sector];
    unsigned n = 0;

    while (n < s.nr_later[sector] && journal.event[later[n].begun].when < since)
        s.acked[sector] = later[n++].tag;
    s.nr_later[sector] = (uint8_t)(s.nr_later[sector] - n);
    memmove(later, later + n, s.nr_later[sector] * sizeof(*later));
}

/* The event has happened: what is safe then, and what the disk may hold. */
static inline void happen(unsigned n)
{
    const struct event *e = &journal.event[n];

    if (e->what == SYNC)
        make_safe(e->when);
    for (unsigned i = 0; e->what == FLUSHED && i < SECTORS; i++)
        acknowledge(i, e->when);
    for (uint64_t i = e->at; e->what == BEGUN && i < e->at + e->len; i++) {
        assert_true(s.nr_later[i] < LATER_MAX);
        s.later[i][s.nr_later[i]++] = (struct later){ e->tag, n };
    }
}

static inline void copy_file(int from, int to)
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
static inline void cut(unsigned n, uint32_t *seed)
{
    int fd = open(in_folder("cut"), O_RDWR | O_CREAT, 0600);
    unsigned kept = next_random(seed) % 4;

    copy_file(s.fd, fd);
    for (unsigned i = 0; i <= n; i++) {
        const struct event *e = &journal.event[i];

        if (e->what > PUNCH || e->safe)
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

static inline bool may_hold(unsigned sector, uint32_t tag)
{
    bool ok = s.acked[sector] == tag;

    for (unsigned i = 0; i < s.nr_later[sector]; i++)
        ok |= s.later[sector][i].tag == tag;
    return ok;
}

static inline void check_content(unsigned n, const uint8_t *all)
{
    for (unsigned i = 0; i < SECTORS; i++) {
        uint8_t whole[BAWN_SECTOR];
        uint32_t tag;

        memcpy(&tag, all + (size_t)i * BAWN_SECTOR, sizeof(tag));
        fill_sector(whole, tag);
        if (memcmp(whole, all + (size_t)i * BAWN_SECTOR, BAWN_SECTOR) || !may_hold(i, tag))
            fail_msg("after %u of %u: sector %u holds %u, acknowledged was %u", n, journal.nr, i,
                     tag, s.acked[i]);
    }
}

/* Fails the power at each point of a load on the file "image", which has these tags before; check
 * looks at the file "cut". */
static inline void cut_everywhere(const uint32_t *before, uint32_t seed,
                                  void (*load)(uint32_t seed), void (*check)(unsigned n))
{
    memset(&s, 0, sizeof(s));
    if (before)
        memcpy(s.acked, before, sizeof(s.acked));
    assert_int_equal(command("rm -f cut; cp image safe"), 0);
    load(seed);
    journal.fd = -1;
    s.fd = open(in_folder("safe"), O_RDWR);
    for (unsigned n = 0; n < journal.nr; n++) {
        happen(n);
        if (journal.event[n].what == BEGUN)
            continue; /* nothing was written */
        cut(n, &seed);
        check(n);
    }
    assert_true(s.nr_safe > 100);
    close(s.fd);
    forget_journal();
}

#endif

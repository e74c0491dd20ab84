// SPDX-License-Identifier: Apache-2.0
/*
 * The process that sends a machine: round after round the pages that were written, until what is
 * left takes no longer than the guest may stand still; then that, and the state. What the
 * destination says is one of four words, or why not.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "migrate.h"
#include "sandbox.h"
#include "save.h"

#define PAGE BAWN_MEM_PAGE
#define WORD_PAGES 64u
#define NS 1000000000ull
#define TELL_EVERY 256 /* frames */

/* One sending. */
struct sending {
    struct bawn_send *s;
    struct bawn_tls *t;
    struct bawn_frames in; /* what the destination says */
    enum bawn_frame_kind said;
    uint64_t sent;      /* bytes */
    uint64_t start;     /* ns, of the round */
    uint64_t round;     /* bytes sent before it */
    bool hurry;         /* the guest stands still: no limit of the bandwidth */
    uint64_t done, all; /* pages, for who is told */
    unsigned frames;
    struct {
        struct bawn_frame_head head;
        uint8_t data[BAWN_FRAME_MAX];
    } out;
};

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec;
}

/* ---- what the destination says ---- */

static enum bawn_status take(void *opaque, enum bawn_frame_kind kind, const uint8_t *data,
                             size_t len, struct bawn_error *err)
{
    struct sending *g = opaque;
    char text[sizeof(err->msg)];

    g->said = kind;
    g->in.allowed = 1u << BAWN_FRAME_REFUSE;
    if (kind != BAWN_FRAME_REFUSE)
        return BAWN_OK;
    memcpy(text, data, len);
    text[len] = '\0';
    return bawn_fail(err, BAWN_E_DENIED, "the destination refuses: %.400s", text);
}

static enum bawn_status hear(struct sending *g, struct bawn_error *err)
{
    uint8_t data[512];
    size_t n;
    enum bawn_status st = bawn_tls_read(g->t, data, sizeof(data), &n, err);

    return st ? st : bawn_frames_feed(&g->in, data, n, err);
}

static enum bawn_status wait_for(struct sending *g, enum bawn_frame_kind kind,
                                 struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    g->said = 0;
    g->in.allowed = 1u << kind | 1u << BAWN_FRAME_REFUSE;
    while (!st && g->said != kind)
        st = hear(g, err);
    return st;
}

/* ---- frames ---- */

/* Waits for its turn, where the bandwidth is limited; which may be to almost nothing. */
static void pace(const struct sending *g)
{
    struct pollfd stop = { g->t->stop_fd, 0, 0 };
    uint64_t due, at = now();

    if (!g->s->wish.bandwidth || g->hurry)
        return;
    due = g->start + (uint64_t)((double)(g->sent - g->round) / (double)g->s->wish.bandwidth * 1e9);
    for (; at < due && !stop.revents && !bawn_tls_late(g->t); at = now()) {
        uint64_t left = due - at < NS ? due - at : NS;
        const struct timespec wait = { (time_t)(left / NS), (long)(left % NS) };

        ppoll(&stop, 1, &wait, NULL);
    }
}

static enum bawn_status put(struct sending *g, enum bawn_frame_kind kind, const void *data,
                            size_t len, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    if (data != g->out.data && len)
        memcpy(g->out.data, data, len);
    g->out.head = (struct bawn_frame_head){ htole32(kind), htole32((uint32_t)len) };
    if (bawn_tls_late(g->t))
        st = bawn_fail(err, BAWN_E_IO, "it took too long%s",
                       g->round ? ": the guest writes more than can be sent meanwhile" : "");
    else if (bawn_tls_waiting(g->t)) /* it can only refuse now */
        st = hear(g, err);
    if (!st)
        st = bawn_tls_write(g->t, &g->out, sizeof(g->out.head) + len, err);
    g->sent += sizeof(g->out.head) + len;
    if (!st)
        pace(g);
    return st;
}

static enum bawn_status put_all(struct sending *g, enum bawn_frame_kind kind, const void *data,
                                size_t len, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    for (const uint8_t *p = data; !st && len;) {
        size_t n = len < BAWN_FRAME_PAGES * PAGE ? len : BAWN_FRAME_PAGES * PAGE;

        st = put(g, kind, p, n, err);
        p += n;
        len -= n;
    }
    return st;
}

static void tell(const struct sending *g)
{
    const struct bawn_save_progress msg = { g->done * PAGE, g->all * PAGE };

    if (g->s->wish.progress >= 0)
        (void)!write(g->s->wish.progress, &msg, sizeof(msg));
}

static bool is_zero(const uint8_t *page)
{
    return !page[0] && !memcmp(page, page + 1, PAGE - 1);
}

/* nr pages that follow each other, at most a frame's. They change meanwhile: a page is copied once,
 * and what is sent is the copy. */
static enum bawn_status put_pages(struct sending *g, const struct bawn_mem_range *r, uint64_t page,
                                  unsigned nr, struct bawn_error *err)
{
    const uint64_t zero[] = { htole64(r->gpa + page * PAGE), htole64(1) };
    uint8_t *pages = g->out.data + sizeof(zero[0]);
    enum bawn_status st;

    memcpy(g->out.data, zero, sizeof(zero[0]));
    memcpy(pages, r->host + page * PAGE, (size_t)nr * PAGE);
    if (nr == 1 && is_zero(pages))
        st = put(g, BAWN_FRAME_ZEROES, zero, sizeof(zero), err);
    else
        st = put(g, BAWN_FRAME_PAGES_ARE, g->out.data, sizeof(zero[0]) + (size_t)nr * PAGE, err);
    g->done += nr;
    if (g->frames++ % TELL_EVERY == 0)
        tell(g);
    return st;
}

/* ---- rounds ---- */

/* All that is there and not zero, once. Holes are not read: that would fill them. */
static enum bawn_status put_extent(struct sending *g, const struct bawn_mem_range *r, uint64_t page,
                                   uint64_t end, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    while (!st && page < end) {
        unsigned nr = 0;

        while (page < end && is_zero(r->host + page * PAGE))
            page++, g->done++;
        while (nr < BAWN_FRAME_PAGES && page + nr < end && !is_zero(r->host + (page + nr) * PAGE))
            nr++;
        if (nr)
            st = put_pages(g, r, page, nr, err);
        page += nr;
    }
    return st;
}

static enum bawn_status first_round(struct sending *g, struct bawn_error *err)
{
    const struct bawn_mem *mem = &g->s->mem;
    enum bawn_status st = BAWN_OK;

    for (unsigned i = 0; i < mem->nr; i++)
        g->all += mem->range[i].size / PAGE;
    for (unsigned i = 0; !st && i < mem->nr; i++) {
        const struct bawn_mem_range *r = &mem->range[i];
        off_t end, at = lseek(r->fd, 0, SEEK_DATA);

        if (at < 0 && errno != ENXIO)
            at = 0; /* a file of a kind that knows no holes */
        for (; !st && at >= 0 && (uint64_t)at < r->size; at = lseek(r->fd, end, SEEK_DATA)) {
            end = lseek(r->fd, at, SEEK_HOLE);
            if (end <= at || (uint64_t)end > r->size)
                end = (off_t)r->size;
            st = put_extent(g, r, (uint64_t)at / PAGE, (uint64_t)end / PAGE, err);
        }
    }
    return st;
}

/* What was noted as written; the notes go. */
static enum bawn_status next_round(struct sending *g, struct bawn_error *err)
{
    const struct bawn_mem *mem = &g->s->mem;
    enum bawn_status st = BAWN_OK;

    for (unsigned i = 0; !st && i < mem->nr; i++) {
        uint64_t words = mem->range[i].size / PAGE / WORD_PAGES;

        for (uint64_t n = 0; !st && n < words; n++) {
            uint64_t bits = bawn_dirty_take(mem, i, n);

            while (!st && bits) {
                unsigned from = (unsigned)__builtin_ctzll(bits), nr = 1;

                while (nr < BAWN_FRAME_PAGES && from + nr < WORD_PAGES && bits >> (from + nr) & 1)
                    nr++;
                st = put_pages(g, &mem->range[i], n * WORD_PAGES + from, nr, err);
                bits &= ~(((1ull << nr) - 1) << from);
            }
        }
    }
    return st;
}

/* The supervisor does something, and says that it has. */
static enum bawn_status ask(struct sending *g, enum bawn_move_kind kind, struct bawn_error *err)
{
    struct bawn_move_msg msg = { 0 };

    if (!bawn_move_tell(g->s->link, kind) || !bawn_move_hear(g->s->link, &msg, NULL, NULL))
        return bawn_fail(err, BAWN_E_IO, "the supervisor has ended");
    if (msg.kind == kind)
        return BAWN_OK;
    *err = *g->s->why;
    return BAWN_E_IO;
}

/* Whether what is left would take no longer than the guest may stand still. */
static bool is_little(const struct sending *g, uint64_t left)
{
    uint64_t bytes = g->sent - g->round, ns = now() - g->start;
    double speed = bytes && ns ? (double)bytes / (double)ns * 1e9 : 1e8; /* of the last round */

    return (double)left / speed * 1000 <= g->s->wish.downtime;
}

static enum bawn_status copy_memory(struct sending *g, struct bawn_error *err)
{
    enum bawn_status st;
    uint64_t pages;

    g->start = now();
    st = first_round(g, err);
    g->done = g->all; /* holes are done, too */
    while (!st && !(st = ask(g, BAWN_MOVE_TAKE, err))) {
        pages = bawn_dirty_count(&g->s->mem);
        if (is_little(g, pages * PAGE + g->s->state->size))
            break;
        g->all += pages;
        g->round = g->sent;
        g->start = now();
        st = next_round(g, err);
    }
    return st;
}

/* The guest stands still from here on. */
static enum bawn_status copy_rest(struct sending *g, struct bawn_error *err)
{
    enum bawn_status st = ask(g, BAWN_MOVE_STOP, err);

    g->hurry = true;
    g->all += bawn_dirty_count(&g->s->mem);
    if (!st)
        st = next_round(g, err);
    if (!st)
        st = put_all(g, BAWN_FRAME_STATE, g->s->state, le32toh(g->s->hello.state_len), err);
    if (!st)
        st = put(g, BAWN_FRAME_END, NULL, 0, err);
    tell(g);
    return st ? st : wait_for(g, BAWN_FRAME_HOLDS, err);
}

enum bawn_status bawn_send_all(struct bawn_send *s, struct bawn_tls *t, struct bawn_error *err)
{
    static struct sending g; /* a process sends one machine */
    enum bawn_status st;

    memset(&g, 0, sizeof(g));
    g.s = s;
    g.t = t;
    g.in.take = take;
    g.in.opaque = &g;
    g.in.allowed = 1u << BAWN_FRAME_REFUSE;
    st = ask(&g, BAWN_MOVE_TRACK, err);
    if (!st)
        st = put(&g, BAWN_FRAME_HELLO, &s->hello, sizeof(s->hello), err);
    if (!st)
        st = put_all(&g, BAWN_FRAME_TEXT, s->config, strlen(s->config), err);
    if (!st)
        st = put(&g, BAWN_FRAME_FACTS, s->state, BAWN_STATE_FACTS, err);
    if (!st)
        st = wait_for(&g, BAWN_FRAME_READY, err);
    if (!st)
        st = copy_memory(&g, err);
    if (!st)
        st = copy_rest(&g, err);
    t->end.tv_sec = 0; /* the time for it all was for what is done now */
    if (!st)
        st = ask(&g, BAWN_MOVE_GIVE, err);
    if (!st)
        st = put(&g, BAWN_FRAME_GO, NULL, 0, err);
    if (!st)
        st = wait_for(&g, BAWN_FRAME_RUNS, err);
    if (!st)
        bawn_move_tell(s->link, BAWN_MOVE_DONE);
    return st;
}

/* ---- the process ---- */

/* Guest memory for reading alone, mapped and as files. */
static bool only_read(struct bawn_mem *mem)
{
    char path[32];
    int fd;

    for (unsigned i = 0; i < mem->nr; i++) {
        struct bawn_mem_range *r = &mem->range[i];

        snprintf(path, sizeof(path), "/proc/self/fd/%d", r->fd);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || mprotect(r->host, r->size, PROT_READ))
            return false;
        r->fd = fd;
    }
    return true;
}

static enum bawn_status lock_in(struct bawn_send *s, const struct bawn_tls *t, int fd,
                                struct bawn_error *err)
{
    struct bawn_sandbox_files files = { .nr = 0 };
    unsigned lacks = 0; /* the machine's process says it for all */
    enum bawn_status st;

    (void)t;
    if (!only_read(&s->mem))
        return bawn_fail(err, BAWN_E_IO, "cannot see the guest's memory for reading alone: %m");
    /* What it is for was reached: it needs no network any more. */
    (void)!unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
                   CLONE_NEWCGROUP);
    bawn_sandbox_keep(&files, fd);
    bawn_sandbox_keep(&files, s->link);
    bawn_sandbox_keep(&files, s->wish.progress);
    for (unsigned i = 0; i < s->mem.nr; i++)
        bawn_sandbox_keep(&files, s->mem.range[i].fd);
    st = bawn_sandbox_enter(BAWN_ROLE_SEND, &files, &lacks, err);
    return st ? st : bawn_sandbox_filter(BAWN_ROLE_SEND, &lacks, err);
}

_Noreturn void bawn_send_run(struct bawn_send *s)
{
    struct bawn_tls t = { .fd = -1 };
    char host[256], port[8];
    enum bawn_status st = BAWN_OK;
    int fd = -1;

    if (!bawn_tls_where(s->wish.url, host, port))
        st = bawn_fail(s->why, BAWN_E_USAGE, "%.100s: tls:HOST:PORT is needed", s->wish.url);
    if (!st)
        st = bawn_tls_prepare(&t, &s->wish.files, host, s->why);
    if (!st)
        fd = bawn_tls_connect(s->wish.url, s->why);
    if (!st && fd < 0)
        st = BAWN_E_IO;
    if (!st)
        st = lock_in(s, &t, fd, s->why);
    t.stop_fd = s->link;
    clock_gettime(CLOCK_MONOTONIC, &t.end);
    t.end.tv_sec += s->wish.timeout;
    if (!st)
        st = bawn_tls_open(&t, fd, s->why);
    if (!st)
        st = bawn_send_all(s, &t, s->why);
    bawn_tls_hang_up(&t);
    _exit(st ? 1 : 0);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Loops over ppoll(), which unlike epoll also takes regular files and /dev/null as input, and over
 * epoll and io_uring, which cost less. Trusts its descriptors, which the VMM opened.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "loop.h"

/* User data of the ring: a watch's number, or behind them a tag. */
#define QUIET BAWN_LOOP_MAX /* an eventfd was not written: nobody can be told */
#define TAGS (QUIET + 1)
#define EVENTS 16
#define ROOM 8 /* watches that room is made for at a time */

int bawn_loop_init(struct bawn_loop *loop, pthread_mutex_t *lock)
{
    memset(loop, 0, sizeof(*loop));
    loop->lock = lock;
    loop->epoll_fd = loop->ring.fd = loop->signalled = -1;
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return loop->wake_fd < 0 ? -errno : 0;
}

void bawn_loop_destroy(struct bawn_loop *loop)
{
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    bawn_uring_destroy(&loop->ring);
    free(loop->watch);
    loop->watch = NULL;
    loop->nr = loop->room = 0;
    loop->wake_fd = loop->epoll_fd = -1;
}

int bawn_loop_reserve(struct bawn_loop *loop, unsigned n)
{
    struct bawn_loop_watch *more;

    if (loop->nr + n <= loop->room)
        return 0;
    more = realloc(loop->watch, (loop->nr + n) * sizeof(*more));
    if (!more)
        return -ENOMEM;
    loop->watch = more;
    loop->room = loop->nr + n;
    return 0;
}

int bawn_loop_watch(struct bawn_loop *loop, int fd, bool on, void (*fn)(void *), void *opaque)
{
    unsigned i = 0;

    while (i < loop->nr && loop->watch[i].fn)
        i++;
    if (i == BAWN_LOOP_MAX)
        return -ENOSPC;
    if (i == loop->nr && i == loop->room && bawn_loop_reserve(loop, ROOM))
        return -ENOMEM;
    loop->watch[i] = (struct bawn_loop_watch){ .fn = fn, .opaque = opaque, .fd = fd, .on = on };
    loop->nr += i == loop->nr;
    return (int)i;
}

int bawn_loop_bell(struct bawn_loop *loop, int fd, void (*fn)(void *), void *opaque)
{
    int watch = bawn_loop_watch(loop, fd, true, fn, opaque);

    if (watch >= 0)
        loop->watch[watch].bell = true;
    return watch;
}

void bawn_loop_forget(struct bawn_loop *loop, int watch)
{
    if (watch < 0 || (unsigned)watch >= loop->nr)
        return;
    loop->watch[watch] = (struct bawn_loop_watch){ .fd = -1 };
}

static void wake(struct bawn_loop *loop)
{
    /* Fails only when the counter is full, and then the loop is awake anyway. */
    (void)!eventfd_write(loop->wake_fd, 1);
}

void bawn_loop_set(struct bawn_loop *loop, int watch, bool on)
{
    if (watch < 0 || (unsigned)watch >= loop->nr || loop->watch[watch].on == on)
        return;
    loop->watch[watch].on = on;
    if (on)
        wake(loop);
}

void bawn_loop_hold(struct bawn_loop *loop, int watch)
{
    loop->only = watch < 0 ? 0 : (unsigned)watch + 1;
}

bool bawn_loop_heard(const struct bawn_loop *loop, unsigned i)
{
    return loop->watch[i].on && (!loop->only || loop->only == i + 1);
}

void bawn_loop_call(struct bawn_loop *loop, unsigned i)
{
    const struct bawn_loop_watch *w = &loop->watch[i];
    eventfd_t ignored;

    if (!w->bell || !eventfd_read(w->fd, &ignored))
        w->fn(w->opaque);
}

void bawn_loop_stop(struct bawn_loop *loop)
{
    __atomic_store_n(&loop->stop, true, __ATOMIC_SEQ_CST);
    wake(loop);
}

/* ---- ppoll ---- */

static void turn_poll(struct bawn_loop *loop, bool wait)
{
    static const struct timespec now;
    struct pollfd fds[BAWN_LOOP_MAX + 1];
    eventfd_t ignored;
    unsigned nr;

    pthread_mutex_lock(loop->lock);
    nr = loop->nr;
    for (unsigned i = 0; i < nr; i++)
        fds[i] = (struct pollfd){ bawn_loop_heard(loop, i) ? loop->watch[i].fd : -1, POLLIN, 0 };
    pthread_mutex_unlock(loop->lock);
    fds[nr] = (struct pollfd){ loop->wake_fd, POLLIN, 0 };

    if (ppoll(fds, nr + 1, wait ? NULL : &now, NULL) < 0)
        return; /* EINTR; memory shortage passes */
    if (fds[nr].revents)
        (void)!eventfd_read(loop->wake_fd, &ignored);
    for (unsigned i = 0; i < nr; i++) {
        if (!fds[i].revents)
            continue;
        pthread_mutex_lock(loop->lock);
        if (bawn_loop_heard(loop, i)) /* an earlier handler may have paused it */
            bawn_loop_call(loop, i);
        pthread_mutex_unlock(loop->lock);
    }
}

/* ---- Sealed: events are remembered until their watch is heard ---- */

static void call_fired(struct bawn_loop *loop)
{
    pthread_mutex_lock(loop->lock);
    for (unsigned i = 0; i < loop->nr; i++) {
        if (!loop->watch[i].fired || !bawn_loop_heard(loop, i))
            continue;
        loop->watch[i].fired = false;
        loop->watch[i].fn(loop->watch[i].opaque);
    }
    pthread_mutex_unlock(loop->lock);
}

static bool any_fired(const struct bawn_loop *loop)
{
    for (unsigned i = 0; i < loop->nr; i++) {
        if (loop->watch[i].fired && bawn_loop_heard(loop, i))
            return true;
    }
    return false;
}

static void woken(void *opaque)
{
    (void)opaque;
}

int bawn_loop_seal(struct bawn_loop *loop)
{
    int rc = bawn_loop_bell(loop, loop->wake_fd, woken, NULL);

    if (rc < 0)
        return rc;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0)
        return -errno;
    for (unsigned i = 0; i < loop->nr; i++) {
        struct epoll_event e = { .events = EPOLLIN | EPOLLET, .data.u32 = i };

        if (loop->watch[i].fn && epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->watch[i].fd, &e))
            return -errno;
    }
    return 0;
}

/* A bell is not read: each signal is an edge, and the count never gets full. */
static void turn_epoll(struct bawn_loop *loop, bool wait)
{
    struct epoll_event e[EVENTS];
    int n = epoll_wait(loop->epoll_fd, e, EVENTS, wait && !any_fired(loop) ? -1 : 0);

    for (int i = 0; i < n; i++)
        loop->watch[e[i].data.u32].fired = true;
    call_fired(loop);
}

/* ---- io_uring ---- */

int bawn_loop_seal_ring(struct bawn_loop *loop, const int *files, unsigned nr)
{
    int all[BAWN_URING_FILES], bell = bawn_loop_bell(loop, loop->wake_fd, woken, NULL),
                               rc = -ENOSPC;
    unsigned n = loop->nr;

    if (bell < 0)
        return bell;
    if (n + nr <= BAWN_URING_FILES) {
        for (unsigned i = 0; i < n; i++)
            all[i] = loop->watch[i].fd;
        memcpy(all + n, files, nr * sizeof(*files));
        rc = bawn_uring_init(&loop->ring, all, n + nr);
    }
    if (rc)
        bawn_loop_forget(loop, bell); /* another kind of loop has its own */
    return rc;
}

bool bawn_loop_has_ring(const struct bawn_loop *loop)
{
    return loop->ring.fd >= 0;
}

struct io_uring_sqe *bawn_loop_submit(struct bawn_loop *loop, uint8_t op, int fd, unsigned tag)
{
    return bawn_uring_next(&loop->ring, op, fd, TAGS + tag);
}

void bawn_loop_signal(struct bawn_loop *loop, int fd)
{
    static const eventfd_t one = 1;
    struct io_uring_sqe *e;

    if (!bawn_loop_has_ring(loop)) {
        (void)!eventfd_write(fd, one);
        return;
    }
    if (loop->signalled == fd && loop->ring.queued)
        return;
    e = bawn_uring_next(&loop->ring, IORING_OP_WRITE, fd, QUIET);
    if (!e)
        return;
    e->addr = (uintptr_t)&one;
    e->len = sizeof(one);
    e->flags |= IOSQE_CQE_SKIP_SUCCESS;
    loop->signalled = fd;
}

/* A bell is read by the ring, what else there is polled. */
static void arm(struct bawn_loop *loop, unsigned i)
{
    struct bawn_loop_watch *w = &loop->watch[i];
    uint8_t op = w->bell ? IORING_OP_READ : IORING_OP_POLL_ADD;
    struct io_uring_sqe *e;

    if (w->armed || w->fired || !bawn_loop_heard(loop, i))
        return;
    e = bawn_uring_next(&loop->ring, op, w->fd, i);
    if (!e)
        return;
    if (w->bell) {
        e->addr = (uintptr_t)&w->count;
        e->len = sizeof(w->count);
    } else {
        e->poll32_events = POLLIN;
    }
    w->armed = true;
}

void bawn_loop_complete(struct bawn_loop *loop, bool wait)
{
    uint64_t user;
    int32_t res;

    bawn_uring_enter(&loop->ring, wait);
    loop->signalled = -1;
    while (bawn_uring_take(&loop->ring, &user, &res)) {
        if (user >= TAGS) {
            loop->done(loop->opaque, (unsigned)(user - TAGS), res);
        } else if (user < loop->nr) {
            loop->watch[user].armed = false;
            loop->watch[user].fired = true;
        }
    }
}

/* What was completed and what was signalled is served first; what that leads to is submitted with
 * the call that waits for the next. */
static void turn_ring(struct bawn_loop *loop, bool wait)
{
    for (unsigned i = 0; i < loop->nr; i++)
        arm(loop, i);
    bawn_loop_complete(loop, wait && !any_fired(loop));
    call_fired(loop);
}

void bawn_loop_turn(struct bawn_loop *loop, bool wait)
{
    if (bawn_loop_has_ring(loop))
        turn_ring(loop, wait);
    else if (loop->epoll_fd >= 0)
        turn_epoll(loop, wait);
    else
        turn_poll(loop, wait);
}

void bawn_loop_run(struct bawn_loop *loop)
{
    while (!__atomic_load_n(&loop->stop, __ATOMIC_SEQ_CST))
        bawn_loop_turn(loop, true);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * A loop over ppoll(), which unlike epoll also takes regular files and
 * /dev/null as input. Trusts its descriptors, which the VMM opened.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "loop.h"

int bawn_loop_init(struct bawn_loop *loop, pthread_mutex_t *lock)
{
    memset(loop, 0, sizeof(*loop));
    loop->lock = lock;
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return loop->wake_fd < 0 ? -errno : 0;
}

void bawn_loop_destroy(struct bawn_loop *loop)
{
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    loop->wake_fd = -1;
}

int bawn_loop_watch(struct bawn_loop *loop, int fd, bool on, void (*fn)(void *), void *opaque)
{
    if (loop->nr == BAWN_LOOP_MAX)
        return -ENOSPC;
    loop->watch[loop->nr].fd = fd;
    loop->watch[loop->nr].on = on;
    loop->watch[loop->nr].fn = fn;
    loop->watch[loop->nr].opaque = opaque;
    return loop->nr++;
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

void bawn_loop_stop(struct bawn_loop *loop)
{
    __atomic_store_n(&loop->stop, true, __ATOMIC_SEQ_CST);
    wake(loop);
}

void bawn_loop_run(struct bawn_loop *loop)
{
    struct pollfd fds[BAWN_LOOP_MAX + 1];
    eventfd_t ignored;
    unsigned nr;

    while (!__atomic_load_n(&loop->stop, __ATOMIC_SEQ_CST)) {
        pthread_mutex_lock(loop->lock);
        nr = loop->nr;
        for (unsigned i = 0; i < nr; i++)
            fds[i] =
                (struct pollfd){ bawn_loop_heard(loop, i) ? loop->watch[i].fd : -1, POLLIN, 0 };
        pthread_mutex_unlock(loop->lock);
        fds[nr] = (struct pollfd){ loop->wake_fd, POLLIN, 0 };

        if (ppoll(fds, nr + 1, NULL, NULL) < 0)
            continue; /* EINTR; memory shortage passes */
        if (fds[nr].revents)
            (void)!eventfd_read(loop->wake_fd, &ignored);
        for (unsigned i = 0; i < nr; i++) {
            if (!fds[i].revents)
                continue;
            pthread_mutex_lock(loop->lock);
            if (bawn_loop_heard(loop, i)) /* an earlier handler may have paused it */
                loop->watch[i].fn(loop->watch[i].opaque);
            pthread_mutex_unlock(loop->lock);
        }
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits for file descriptors and calls their handlers, one at a time, with the loop's lock held.
 */
#ifndef BAWN_VMM_LOOP_H
#define BAWN_VMM_LOOP_H

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>

#define BAWN_LOOP_MAX 128

struct bawn_loop {
    pthread_mutex_t *lock; /* borrowed */
    struct {
        void (*fn)(void *opaque);
        void *opaque; /* borrowed */
        int fd;       /* borrowed */
        bool on;
    } watch[BAWN_LOOP_MAX];
    unsigned nr;
    unsigned only; /* while not 0: the number of the one watch that is heard, plus 1 */
    int wake_fd;   /* owned eventfd: watches changed, or stop */
    bool stop;
};

/* 0 or -errno. */
int bawn_loop_init(struct bawn_loop *loop, pthread_mutex_t *lock);
void bawn_loop_destroy(struct bawn_loop *loop);
/* Calls fn while fd is readable and the watch is on. Returns its number or -ENOSPC. */
int bawn_loop_watch(struct bawn_loop *loop, int fd, bool on, void (*fn)(void *), void *opaque);
/* Pauses or resumes a watch; the caller holds the lock. A negative number is ignored. */
void bawn_loop_set(struct bawn_loop *loop, int watch, bool on);
/* Has this watch alone be heard, or all again (a negative number); by a handler. */
void bawn_loop_hold(struct bawn_loop *loop, int watch);
bool bawn_loop_heard(const struct bawn_loop *loop, unsigned watch);
/* Serves until bawn_loop_stop(), which any thread may call. */
void bawn_loop_run(struct bawn_loop *loop);
void bawn_loop_stop(struct bawn_loop *loop);

#endif

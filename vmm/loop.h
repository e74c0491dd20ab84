/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits for file descriptors and calls their handlers, one at a time, with the loop's lock held.
 * Three ways to wait: ppoll, which takes all kinds of files; once it is sealed, with one system
 * call less for each doorbell, edge-triggered epoll; or an io_uring, which also carries out what a
 * device has to do.
 */
#ifndef BAWN_VMM_LOOP_H
#define BAWN_VMM_LOOP_H

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>

#include "uring.h"

#define BAWN_LOOP_MAX 128

struct bawn_loop_watch {
    void (*fn)(void *opaque);
    void *opaque;    /* borrowed */
    eventfd_t count; /* of a bell, that the ring has read */
    int fd;          /* borrowed */
    bool bell;       /* an eventfd, whose count is of no interest */
    bool on;
    bool armed; /* the ring waits for it */
    bool fired; /* and nobody was called yet */
};

struct bawn_loop {
    pthread_mutex_t *lock; /* borrowed */
    unsigned nr;
    unsigned only; /* while not 0: the number of the one watch that is heard, plus 1 */
    int wake_fd;   /* owned eventfd: watches changed, or stop */
    int epoll_fd;  /* owned; -1: it is not sealed, or has a ring */
    bool stop;
    struct bawn_uring ring;
    int signalled; /* the last eventfd whose write is queued in the ring; -1: none */
    /* A completion of the ring with the caller's tag. */
    void (*done)(void *opaque, unsigned tag, int32_t res);
    void *opaque;                  /* borrowed, for done */
    struct bawn_loop_watch *watch; /* owned */
    unsigned room;
};

/* 0 or -errno. */
int bawn_loop_init(struct bawn_loop *loop, pthread_mutex_t *lock);
void bawn_loop_destroy(struct bawn_loop *loop);
/* Room for n more watches, which whoever locks itself in takes before. 0 or -errno. */
int bawn_loop_reserve(struct bawn_loop *loop, unsigned n);
/* Calls fn while fd is readable and the watch is on. Returns its number, -ENOSPC or -ENOMEM. fn
 * bears to be called once for a descriptor that was forgotten, if it takes the number of that. */
int bawn_loop_watch(struct bawn_loop *loop, int fd, bool on, void (*fn)(void *), void *opaque);
/* The same for an eventfd: fn is called when it was signalled, and does not read it. */
int bawn_loop_bell(struct bawn_loop *loop, int fd, void (*fn)(void *), void *opaque);
/* Pauses or resumes a watch; the caller holds the lock. A negative number is ignored. Not sealed.
 */
void bawn_loop_set(struct bawn_loop *loop, int watch, bool on);
/* Its descriptor is going to be closed; its number is another's then. A negative one is ignored. */
void bawn_loop_forget(struct bawn_loop *loop, int watch);
/* Has this watch alone be heard, or all again (a negative number); by a handler. */
void bawn_loop_hold(struct bawn_loop *loop, int watch);
bool bawn_loop_heard(const struct bawn_loop *loop, unsigned watch);
/* What the loop does when a watch's descriptor is readable, and was looked at by others. */
void bawn_loop_call(struct bawn_loop *loop, unsigned watch);
/* No watch comes after this: handlers are called once for what is there, and take all of it. 0 or
 * -errno. */
int bawn_loop_seal(struct bawn_loop *loop);
/* The same with a ring, which may work on these files, too, and write to these eventfds. -errno: it
 * is as before. */
int bawn_loop_seal_ring(struct bawn_loop *loop, const int *files, unsigned nr);
bool bawn_loop_has_ring(const struct bawn_loop *loop);
/* An operation of the ring on one of its files, for loop->done; NULL: it is none of them. */
struct io_uring_sqe *bawn_loop_submit(struct bawn_loop *loop, uint8_t op, int fd, unsigned tag);
/* Adds 1 to an eventfd, at the latest when the loop waits again. */
void bawn_loop_signal(struct bawn_loop *loop, int fd);
/* With a ring: takes what was completed, waiting for one if told to, and calls done; no handlers.
 */
void bawn_loop_complete(struct bawn_loop *loop, bool wait);
/* Serves until bawn_loop_stop(), which any thread may call. */
void bawn_loop_run(struct bawn_loop *loop);
/* Waits once, if told to, and calls the handlers. */
void bawn_loop_turn(struct bawn_loop *loop, bool wait);
void bawn_loop_stop(struct bawn_loop *loop);

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * Starts and ends threads. A signal with an empty handler interrupts what they wait in; one that
 * comes just before the wait is lost, so it is sent again. Takes no input.
 */
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "threads.h"

#define KICK_SIGNAL SIGUSR1
#define KICK_AGAIN 1 /* seconds */

static void on_kick(int sig)
{
    (void)sig; /* its arrival is all that matters */
}

void bawn_threads_init(struct bawn_threads *t)
{
    struct sigaction sa = { .sa_handler = on_kick };

    *t = (struct bawn_threads){ .pid = getpid() };
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    sigaction(KICK_SIGNAL, &sa, NULL);
}

static void *run(void *opaque)
{
    struct bawn_thread *self = opaque;
    struct bawn_threads *t = self->all;

    self->tid = (pid_t)syscall(SYS_gettid);
    pthread_mutex_lock(&t->lock);
    t->waiting++;
    pthread_cond_broadcast(&t->changed);
    while (!t->go)
        pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);

    self->fn(self->opaque);

    pthread_mutex_lock(&t->lock);
    t->ended++;
    pthread_cond_broadcast(&t->changed);
    for (;;) /* to end takes system calls */
        pthread_cond_wait(&t->changed, &t->lock);
    return NULL;
}

int bawn_threads_start(struct bawn_threads *t, void *(*fn)(void *), void *opaque)
{
    struct bawn_thread *thread;
    pthread_t id;
    int rc;

    if (t->nr == BAWN_THREADS_MAX)
        return EAGAIN;
    thread = &t->thread[t->nr];
    *thread = (struct bawn_thread){ t, fn, opaque, 0 };
    rc = pthread_create(&id, NULL, run, thread);
    if (rc)
        return rc;
    pthread_detach(id);
    t->nr++;
    pthread_mutex_lock(&t->lock);
    while (t->waiting < t->nr)
        pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
    return 0;
}

void bawn_threads_go(struct bawn_threads *t)
{
    pthread_mutex_lock(&t->lock);
    t->go = true;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

void bawn_threads_kick(const struct bawn_threads *t)
{
    for (unsigned i = 0; i < t->nr; i++)
        syscall(SYS_tgkill, t->pid, t->thread[i].tid, KICK_SIGNAL);
}

bool bawn_threads_end(struct bawn_threads *t)
{
    struct timespec until;
    int rc = 0;
    bool all;

    bawn_threads_kick(t);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += KICK_AGAIN;
    pthread_mutex_lock(&t->lock);
    while (t->ended < t->nr && rc != ETIMEDOUT)
        rc = pthread_cond_clockwait(&t->changed, &t->lock, CLOCK_MONOTONIC, &until);
    all = t->ended == t->nr;
    pthread_mutex_unlock(&t->lock);
    return all;
}

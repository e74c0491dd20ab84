// SPDX-License-Identifier: Apache-2.0
/*
 * Starts and joins threads. A signal with an empty handler interrupts what they wait in; one
 * that comes just before the wait is lost, so it is sent again. Takes no input.
 */
#include <errno.h>
#include <signal.h>
#include <time.h>

#include "threads.h"

#define KICK_SIGNAL SIGUSR1
#define KICK_AGAIN 1 /* seconds */

static void on_kick(int sig)
{
    (void)sig; /* its arrival is all that matters */
}

int bawn_threads_start(struct bawn_threads *t, void *(*fn)(void *), void *opaque)
{
    struct sigaction sa = { .sa_handler = on_kick };
    int rc;

    if (t->nr == BAWN_THREADS_MAX)
        return EAGAIN;
    sigaction(KICK_SIGNAL, &sa, NULL);
    rc = pthread_create(&t->id[t->nr], NULL, fn, opaque);
    if (!rc)
        t->nr++;
    return rc;
}

bool bawn_threads_join(struct bawn_threads *t)
{
    struct timespec until;

    for (unsigned i = 0; i < t->nr; i++)
        pthread_kill(t->id[i], KICK_SIGNAL);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += KICK_AGAIN;
    while (t->nr && !pthread_clockjoin_np(t->id[t->nr - 1], NULL, CLOCK_MONOTONIC, &until))
        t->nr--;
    return !t->nr;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine's threads: started one by one, stopped together, since any of them may wait for
 * another that is stuck in a system call.
 */
#ifndef BAWN_VMM_THREADS_H
#define BAWN_VMM_THREADS_H

#include <pthread.h>
#include <stdbool.h>

#include "launch.h"

#define BAWN_THREADS_MAX (BAWN_MAX_VCPUS + 1) /* the vCPUs' and the devices' */

struct bawn_threads {
    pthread_t id[BAWN_THREADS_MAX];
    unsigned nr;
};

/* 0 or an errno. */
int bawn_threads_start(struct bawn_threads *t, void *(*fn)(void *), void *opaque);
/* Interrupts the system calls of all threads, KVM_RUN among them, and waits a second for them
 * to end. Whether all have; if not, to be called again. */
bool bawn_threads_join(struct bawn_threads *t);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process's threads: started one by one, let go and stopped together, since any of them may wait
 * for another that is stuck in a system call. From bawn_threads_go() on they need few system calls:
 * futex, tgkill, rt_sigreturn; they end with the process.
 */
#ifndef BAWN_VMM_THREADS_H
#define BAWN_VMM_THREADS_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "launch.h"

#define BAWN_THREADS_MAX BAWN_MAX_VCPUS

struct bawn_threads {
    struct bawn_thread {
        struct bawn_threads *all;
        void *(*fn)(void *opaque);
        void *opaque;
        pid_t tid;
    } thread[BAWN_THREADS_MAX];
    unsigned nr;
    pid_t pid;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* what stands below */
    unsigned waiting, ended;
    bool go;
};

void bawn_threads_init(struct bawn_threads *t);
/* 0 or an errno. The thread waits where it has made all system calls that a new one makes. t stays
 * where it is as long as the process. */
int bawn_threads_start(struct bawn_threads *t, void *(*fn)(void *), void *opaque);
/* Lets them run. */
void bawn_threads_go(struct bawn_threads *t);
/* Interrupts the system calls of all threads, KVM_RUN among them. One that is about to make one
 * does not notice. */
void bawn_threads_kick(const struct bawn_threads *t);
/* Does so, and waits a second for their
 * functions to end. Whether all have; if not, to be called again. */
bool bawn_threads_end(struct bawn_threads *t);

#endif

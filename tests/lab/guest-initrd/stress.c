// SPDX-License-Identifier: Apache-2.0
/*
 * stress SECONDS: interprocessor interrupts and wake-ups on every CPU of a guest. Pairs of pinned
 * threads hand a counter to and fro by futex; another thread on each CPU forces interrupts to
 * all others (membarrier, and unmapping shared pages). Fails when a hand-over is lost or late.
 * Trusts nothing; runs as root in a test guest.
 */
#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_CPUS 64
#define LATE_SECONDS 10 /* a wake-up that takes longer is a lost one */

struct cpu {
    unsigned id;
    _Atomic uint32_t ball; /* even: this CPU's turn, odd: its neighbour's */
    uint64_t passes;
    uint64_t barriers;
    bool lost;
};

static struct cpu cpus[MAX_CPUS];
static unsigned nr_cpus;
static atomic_bool stop;

static void pin(unsigned cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set)) {
        printf("cannot run on CPU %u: %s\n", cpu, strerror(errno));
        exit(1);
    }
}

/* Waits until the ball's lowest bit is parity; false at the end, or when that takes too long. */
static bool wait_turn(struct cpu *c, uint32_t parity)
{
    const struct timespec late = { .tv_sec = LATE_SECONDS };
    uint32_t ball;

    while (((ball = atomic_load(&c->ball)) & 1) != parity) {
        if (atomic_load(&stop))
            return false;
        if (syscall(SYS_futex, &c->ball, FUTEX_WAIT, ball, &late, NULL, 0) && errno == ETIMEDOUT) {
            c->lost = atomic_load(&c->ball) == ball && !atomic_load(&stop);
            return false;
        }
    }
    return !atomic_load(&stop);
}

static void play(struct cpu *c, uint32_t parity)
{
    while (wait_turn(c, parity)) {
        atomic_fetch_add(&c->ball, 1);
        syscall(SYS_futex, &c->ball, FUTEX_WAKE, 1, NULL, NULL, 0);
        if (!parity)
            c->passes++;
    }
    syscall(SYS_futex, &c->ball, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void *home_player(void *opaque)
{
    struct cpu *c = opaque;

    pin(c->id);
    play(c, 0);
    return NULL;
}

static void *away_player(void *opaque)
{
    struct cpu *c = opaque;

    pin((c->id + 1) % nr_cpus);
    play(c, 1);
    return NULL;
}

static void *interrupter(void *opaque)
{
    const struct timespec pause = { .tv_nsec = 1000000 };
    struct cpu *c = opaque;

    pin(c->id);
    while (!atomic_load(&stop)) {
        volatile char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (page == MAP_FAILED)
            continue;
        *page = 1;
        syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
        munmap((void *)page, 4096);
        c->barriers++;
        nanosleep(&pause, NULL);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static void *(*const roles[])(void *) = { home_player, away_player, interrupter };
    enum { ROLES = sizeof(roles) / sizeof(roles[0]) };
    pthread_t threads[MAX_CPUS][ROLES];
    uint64_t fewest = UINT64_MAX, passes = 0, barriers = 0;
    int lost = 0;

    if (argc != 2 || atoi(argv[1]) < 1) {
        printf("usage: stress SECONDS\n");
        return 2;
    }
    nr_cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    if (nr_cpus > MAX_CPUS)
        nr_cpus = MAX_CPUS;
    syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
    for (unsigned i = 0; i < nr_cpus; i++) {
        cpus[i].id = i;
        for (int r = 0; r < ROLES; r++) {
            if (pthread_create(&threads[i][r], NULL, roles[r], &cpus[i])) {
                printf("cannot start a thread for CPU %u\n", i);
                return 1;
            }
        }
    }
    sleep((unsigned)atoi(argv[1]));
    atomic_store(&stop, true);
    for (unsigned i = 0; i < nr_cpus; i++) {
        for (int r = 0; r < ROLES; r++)
            pthread_join(threads[i][r], NULL);
        lost += cpus[i].lost;
        passes += cpus[i].passes;
        barriers += cpus[i].barriers;
        if (cpus[i].passes < fewest)
            fewest = cpus[i].passes;
    }
    printf("cpus=%u passes=%llu fewest=%llu barriers=%llu lost=%d\n", nr_cpus,
           (unsigned long long)passes, (unsigned long long)fewest, (unsigned long long)barriers, lost);
    return lost || !fewest || !barriers;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * pages SECONDS: writes memory so long, or until a line comes in, and knows what should be in it:
 * for tests in which the guest is saved, loaded or migrated meanwhile. A thread on each CPU
 * rewrites pages in an order of its own, each with content that follows from the page's number and
 * how often it was written; in the end all pages are compared. Says once a second how far it is.
 * Trusts nothing.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MAX_CPUS 16
#define PAGES 4096 /* of each CPU: 16 MiB */
#define WORDS (4096 / sizeof(uint64_t))

struct cpu {
    unsigned id;
    uint64_t (*memory)[WORDS];
    uint32_t written[PAGES];
    uint64_t writes;
    unsigned wrong;
};

static struct cpu cpus[MAX_CPUS];
static atomic_bool stop;

static uint64_t content(const struct cpu *c, unsigned page, unsigned word)
{
    uint64_t x = ((uint64_t)c->id << 56) + ((uint64_t)c->written[page] << 24) + page;

    return (x + word) * 0x9e3779b97f4a7c15;
}

static void write_page(struct cpu *c, unsigned page)
{
    c->written[page]++;
    for (unsigned word = 0; word < WORDS; word++)
        c->memory[page][word] = content(c, page, word);
    c->writes++;
}

static bool page_is_right(const struct cpu *c, unsigned page)
{
    for (unsigned word = 0; word < WORDS; word++)
        if (c->memory[page][word] != content(c, page, word))
            return false;
    return true;
}

static void *writer(void *opaque)
{
    /* So slowly that a migration can overtake. */
    const struct timespec pause = { .tv_nsec = 2000000 };
    struct cpu *c = opaque;
    uint32_t random = c->id + 1;
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(c->id, &set);
    sched_setaffinity(0, sizeof(set), &set);
    for (unsigned page = 0; page < PAGES; page++)
        write_page(c, page);
    while (!atomic_load(&stop)) {
        random = random * 1664525 + 1013904223;
        write_page(c, random >> 20); /* 12 bits */
        nanosleep(&pause, NULL);
    }
    for (unsigned page = 0; page < PAGES; page++)
        c->wrong += !page_is_right(c, page);
    return NULL;
}

int main(int argc, char **argv)
{
    struct pollfd in = { .fd = 0, .events = POLLIN };
    unsigned nr = (unsigned)sysconf(_SC_NPROCESSORS_ONLN), wrong = 0;
    pthread_t threads[MAX_CPUS];
    uint64_t writes = 0;

    if (argc != 2 || atoi(argv[1]) < 1) {
        printf("usage: pages SECONDS\n");
        return 2;
    }
    if (nr > MAX_CPUS)
        nr = MAX_CPUS;
    for (unsigned i = 0; i < nr; i++) {
        cpus[i].id = i;
        cpus[i].memory = mmap(NULL, sizeof(uint64_t[PAGES][WORDS]), PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (cpus[i].memory == MAP_FAILED || pthread_create(&threads[i], NULL, writer, &cpus[i])) {
            printf("no memory or no thread for CPU %u\n", i);
            return 1;
        }
    }
    for (int second = 1; second <= atoi(argv[1]) && !poll(&in, 1, 1000); second++)
        fprintf(stderr, "guest: pages, second %d.\n", second);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < nr; i++) {
        pthread_join(threads[i], NULL);
        writes += cpus[i].writes;
        wrong += cpus[i].wrong;
    }
    printf("cpus=%u writes=%llu wrong=%u\n", nr, (unsigned long long)writes, wrong);
    return wrong || writes <= (uint64_t)nr * PAGES;
}

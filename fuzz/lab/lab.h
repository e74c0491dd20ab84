/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel-ioctl on the loaded module: what the files here have of each other. real.c, memory.c and
 * guest.c are fuzz/sim/sim.h by system calls; main.c gives them inputs, each in a process of its
 * own. Trusts nothing that an input's process leaves but what is in struct lab_shared.
 */
#ifndef BAWN_FUZZ_LAB_H
#define BAWN_FUZZ_LAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAB_TASKS 4
#define LAB_REASONS 64
#define LAB_MAP 65536u /* bytes, of a power of two */
#define LAB_INPUT_MAX 4096u
#define LAB_FILES 240 /* descriptors from here on are our own */
#define LAB_FOUND 77  /* exit status: shared->fault says what */

/* Between the process that gives inputs and those that run them. */
struct lab_shared {
    uint64_t calls, worked, runs; /* ioctls; those that did not fail; KVM_RUNs */
    uint64_t exits[LAB_REASONS];  /* by what KVM_RUN left in exit_reason */
    long other[LAB_TASKS];        /* what the other process' call returned */
    char fault[256];
    uint8_t map[LAB_MAP]; /* this input's coverage */
};
extern struct lab_shared *lab_shared;
extern const char *lab_device; /* path */

/* ---- real.c ---- */

/* One system call, without the turn: others of the process run meanwhile. */
long lab_call(long number, long a, long b, long c, long d);
/* Ends what waits in the calling thread with EINTR, ms from now on and again; 0: no more. */
void lab_end_after(unsigned ms);

/* ---- memory.c ---- */

/* Is all of it in one area that sim_map() and others made? */
bool lab_mapped(uint64_t address, size_t size, bool writable);
uint64_t lab_map_file(int fd, size_t size, uint64_t offset);
void lab_unmap_all(void);

/* ---- guest.c ---- */

/* Behind guest-physical 0 are size bytes at this address. */
void lab_guest_memory(uint64_t address, uint64_t size);
/* What the input's guest does, as code where the vCPU goes on. */
void lab_guest_code(int vcpu);

/* ---- kcov.c ---- */

/* Once, before the first input's process: false where the kernel has no KCOV. */
bool kcov_open(void);
void kcov_begin(int task); /* for the calling thread */
void kcov_end(int task);   /* what it reached is in the map */
void kcov_fold(const uint64_t *pcs, size_t n, uint8_t *map);

/* ---- mutate.c ---- */

struct lab_input {
    uint8_t *data;
    size_t len;
};
struct lab_random {
    uint64_t state;
};
uint32_t lab_random(struct lab_random *r, uint32_t below);
/* Changes data, of which LAB_INPUT_MAX bytes are there, in place; the new length. The other input
 * is for splices. */
size_t lab_mutate(struct lab_random *r, uint8_t *data, size_t len, const struct lab_input *other,
                  const struct lab_input *words, size_t nr_words);
/* A dictionary as AFL++ has them; false: its file is not one. Words are the caller's to free. */
bool lab_words(const char *path, struct lab_input *words, size_t *n, size_t most);

#endif

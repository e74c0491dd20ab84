/* SPDX-License-Identifier: Apache-2.0 */
/* What the memory_* tests share: a second slot, high up, guests that use it, and the host's knobs.
 */
#ifndef BAWN_TEST_MEMORY_H
#define BAWN_TEST_MEMORY_H

#include "harness.h"

#define PAGE 4096ul
#define HUGE (2ul << 20)
#define HIGH 0x40000000ull /* where the slot under test stands */
#define COPY 0x30000u      /* in slot 0: where guests report */

#ifndef MADV_COLLAPSE /* older than the C library's headers */
#define MADV_COLLAPSE 25
#endif

GUEST_FN(mirror);
GUEST_FN(write_loop);
GUEST_FN(touch);
GUEST_FN(read_all);
GUEST_FN(scatter);
GUEST_FN(twice);
GUEST_FN(fill);
GUEST_FN(verify);

/* Anonymous memory, aligned to 2 MiB; the process keeps it to its end. */
static inline uint8_t *memory_new(size_t size)
{
    uint8_t *p = mmap(NULL, size + HUGE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    ASSERT(p != MAP_FAILED);
    return (uint8_t *)(((uintptr_t)p + HUGE - 1) & ~(HUGE - 1));
}

static inline void memory_fill(uint8_t *mem, size_t size, uint32_t value)
{
    for (size_t i = 0; i < size; i += 4)
        *(uint32_t *)(mem + i) = value;
}

static inline volatile uint32_t *memory_copy(struct vcpu *v)
{
    return (volatile uint32_t *)(v->vm->mem + COPY);
}

/* Starts a guest that mirrors the word at gpa; on_exit as for vcpu_start(). */
static inline void memory_mirror(struct vcpu *v, uint64_t gpa,
                                 bool (*on_exit)(struct vcpu *v, int reason))
{
    guest_prepare(v, GUEST_ADDR(mirror), gpa, COPY, 0, 0);
    vcpu_start(v, on_exit);
}

/* Of the VM's statistics file (KVM_GET_STATS_FD); both devices have pages_4k, pages_2m, pages_1g.
 */
uint64_t memory_stat(struct vm *vm, const char *name);

/* A file of /proc or /sys: written, or false; its first number, or the one behind key, or -1. */
bool memory_set(const char *path, const char *text);
long memory_get(const char *path, const char *key);

#endif

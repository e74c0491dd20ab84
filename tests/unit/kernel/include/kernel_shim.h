/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As much of the kernel as kernel/core/bawn.h and the pure files below it need to compile as a
 * userspace program. Types that only lie about in structures are empty here; behaviour that a
 * tested file calls is real. Every header in this directory leads here.
 */
#ifndef KERNEL_SHIM_H
#define KERNEL_SHIM_H

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define __user
#define __rcu
#define __iomem

typedef unsigned char u8;
typedef signed char s8;
typedef unsigned short u16;
typedef signed short s16;
typedef unsigned int u32;
typedef signed int s32;
typedef unsigned long long u64;
typedef signed long long s64;
typedef u64 gpa_t;
typedef unsigned long gva_t;
typedef u64 gfn_t;

#ifndef U16_MAX
#define U16_MAX 0xffffu
#define U32_MAX 0xffffffffu
#endif

#ifndef PAGE_SIZE
#define PAGE_SIZE 4096ul
#endif
#define offset_in_page(p) ((unsigned long)(p) & (PAGE_SIZE - 1))
#define BIT(n) (1ul << (n))
#define BIT_ULL(n) (1ull << (n))
#define GENMASK_ULL(high, low) ((~0ull >> (63 - (high))) & (~0ull << (low)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define fallthrough __attribute__((__fallthrough__))

#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define min3(a, b, c) min(min(a, b), c)
#define min_t(type, a, b) min((type)(a), (type)(b))
#define clamp_t(type, v, low, high) min_t(type, max((type)(v), (type)(low)), high)

#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
#define smp_load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)

static inline s64 sign_extend64(u64 value, int bit)
{
    return (s64)(value << (63 - bit)) >> (63 - bit);
}

static inline unsigned int hweight8(u8 value)
{
    return (unsigned int)__builtin_popcount(value);
}

static inline bool test_bit(unsigned int nr, const unsigned long *bits)
{
    return bits[nr / 64] >> (nr % 64) & 1;
}

static inline bool test_and_clear_bit(unsigned int nr, unsigned long *bits)
{
    bool was = test_bit(nr, bits);

    bits[nr / 64] &= ~(1ul << (nr % 64));
    return was;
}

#define DECLARE_BITMAP(name, bits) unsigned long name[((bits) + 63) / 64]

typedef struct {
    int counter;
} atomic_t;
typedef struct {
    int refs;
} refcount_t;
typedef struct {
    int locked;
} spinlock_t;
struct list_head {
    struct list_head *next, *prev;
};
struct mutex {
    int locked;
};
struct srcu_struct {
    int idx;
};
struct mmu_notifier {
    void *ops;
};
struct preempt_notifier {
    void *ops;
};
struct rcuwait {
    void *task;
};
struct hrtimer {
    void *function;
};
struct fpu_guest {
    void *fpstate;
};
struct xarray {
    void *head;
};
struct file;
struct page;
struct pid;
struct mm_struct;

static inline void *xa_load(struct xarray *xa, unsigned long index)
{
    return xa->head ? (void *)index : NULL;
}

static inline unsigned long xa_to_value(const void *entry)
{
    return (unsigned long)entry >> 1;
}

#endif

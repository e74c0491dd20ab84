/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of the kernel's language the module speaks: types, compiler words, bits, lists, atomics,
 * arithmetic, errors. There is one real thread, so that atomics are plain. Trusts its callers.
 */
#ifndef SIM_BASE_H
#define SIM_BASE_H

#include <asm/byteorder.h>
#include <asm/errno.h>
#include <limits.h>
#include <linux/const.h>
#include <linux/stddef.h>
#include <linux/types.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef __u8 u8;
typedef __s8 s8;
typedef __u16 u16;
typedef __s16 s16;
typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;
typedef __s64 s64;
typedef u64 gpa_t;
typedef unsigned long gva_t;
typedef u64 gfn_t;
typedef u64 phys_addr_t;
typedef unsigned int gfp_t;
typedef s64 ktime_t;
typedef unsigned long pgoff_t;
typedef unsigned int vm_fault_t;
typedef unsigned short umode_t;
/* As the C library has them, whose headers the simulation's own files include beside these. */
typedef long loff_t;
typedef long ssize_t;

#define ERESTARTSYS 512
#define ENOTSUPP 524

#define U8_MAX 0xff
#define U16_MAX 0xffff
#define U32_MAX 0xffffffffu
#define U64_MAX (~0ULL)
#define S32_MAX 0x7fffffff
#define BITS_PER_LONG 64
#define INVALID_GPA (~(gpa_t)0)

/* ---- The compiler ---- */

#define __user
#define IS_ENABLED(option) 0
#define __acquires(x)
#define __releases(x)
#define __rcu
#define __iomem
#define __percpu
#define __init
#define __exit
#define __force
#define __ro_after_init
#define __read_mostly
#define __maybe_unused __attribute__((unused))
#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
#define noinline __attribute__((noinline))
#define noinstr
#define __packed __attribute__((packed))
#define __aligned(n) __attribute__((aligned(n)))
#define __printf(a, b) __attribute__((format(printf, a, b)))
#define fallthrough __attribute__((fallthrough))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define barrier() __asm__ volatile("" ::: "memory")
#define CALLER_ADDR0 0UL
#define static_assert(x, ...) _Static_assert(x, #x)
#define ASSERT_STRUCT_OFFSET(type, field, at) static_assert(offsetof(type, field) == (at))
#define BUILD_BUG_ON(x) _Static_assert(!(x), #x)
#define __must_check __attribute__((warn_unused_result))
#define __stringify_1(x) #x
#define __stringify(x) __stringify_1(x)
#ifndef KBUILD_MODNAME
#define KBUILD_MODNAME "bawn"
#endif

#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
#define smp_load_acquire(p) READ_ONCE(*(p))
#define smp_store_release(p, v) WRITE_ONCE(*(p), v)
#define smp_store_mb(x, v) WRITE_ONCE(x, v)
#define smp_rmb() barrier()
#define smp_wmb() barrier()
#define smp_mb() barrier()
#define smp_mb__before_atomic() barrier()
#define smp_mb__after_atomic() barrier()

/* ---- Faults: SIM_WARN ---- */

__attribute__((noreturn)) void sim_warn(const char *what, const char *file, int line);
#define WARN_ON(x)                            \
    ({                                        \
        bool __warn = !!(x);                  \
        if (unlikely(__warn))                 \
            sim_warn(#x, __FILE__, __LINE__); \
        __warn;                               \
    })
#define WARN_ON_ONCE(x) WARN_ON(x)
#define WARN(x, ...) WARN_ON(x)
#define WARN_ONCE(x, ...) WARN_ON(x)
#define BUG_ON(x) ((void)WARN_ON(x))
#define BUG() sim_warn("BUG()", __FILE__, __LINE__)

/* One unit of work of the entry that runs: SIM_UNBOUNDED. */
extern u64 sim_steps, sim_step_limit;
void sim_steps_over(void);
static inline void sim_step(void)
{
    if (unlikely(++sim_steps > sim_step_limit))
        sim_steps_over();
}

/* ---- Messages: to stderr when BAWN_SIM_VERBOSE is set ---- */

#ifndef pr_fmt
#define pr_fmt(fmt) fmt
#endif
__printf(1, 2) void sim_printk(const char *fmt, ...);
#define pr_err(fmt, ...) sim_printk(pr_fmt(fmt), ##__VA_ARGS__)
#define pr_warn(fmt, ...) sim_printk(pr_fmt(fmt), ##__VA_ARGS__)
#define pr_warn_ratelimited(fmt, ...) sim_printk(pr_fmt(fmt), ##__VA_ARGS__)
#define pr_info(fmt, ...) sim_printk(pr_fmt(fmt), ##__VA_ARGS__)
#define pr_debug(fmt, ...) sim_printk(pr_fmt(fmt), ##__VA_ARGS__)
#define pr_err_ratelimited(fmt, ...) sim_printk(pr_fmt(fmt), ##__VA_ARGS__)
#define pr_warn_once(fmt, ...) sim_printk(pr_fmt(fmt), ##__VA_ARGS__)

/* ---- Arithmetic ---- */

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define min(a, b)                \
    ({                           \
        __typeof__(a) __a = (a); \
        __typeof__(b) __b = (b); \
        __a < __b ? __a : __b;   \
    })
#define max(a, b)                \
    ({                           \
        __typeof__(a) __a = (a); \
        __typeof__(b) __b = (b); \
        __a > __b ? __a : __b;   \
    })
#define min3(a, b, c)                          \
    ({                                         \
        __typeof__(a) __x = (a);               \
        __typeof__(b) __y = (b);               \
        __typeof__(c) __z = (c);               \
        __typeof__(__x + __y + __z) __m = __x; \
        __m = __y < __m ? __y : __m;           \
        __z < __m ? __z : __m;                 \
    })
#define min_t(type, a, b)                      \
    ({                                         \
        type __a = (type)(a), __b = (type)(b); \
        __a < __b ? __a : __b;                 \
    })
#define max_t(type, a, b)                      \
    ({                                         \
        type __a = (type)(a), __b = (type)(b); \
        __a > __b ? __a : __b;                 \
    })
#define clamp_t(type, v, lo, hi) min_t(type, max_t(type, v, lo), hi)
#define clamp(v, lo, hi) clamp_t(__typeof__(v), v, lo, hi)
#define swap(a, b)               \
    do {                         \
        __typeof__(a) __t = (a); \
        (a) = (b);               \
        (b) = __t;               \
    } while (0)
#define ALIGN(x, a) (((x) + ((__typeof__(x))(a)-1)) & ~((__typeof__(x))(a)-1))
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a)-1))
#define IS_ALIGNED(x, a) (((x) & ((__typeof__(x))(a)-1)) == 0)
#define DIV_ROUND_UP_ULL(n, d) DIV_ROUND_UP((unsigned long long)(n), d)
#define DIV_ROUND_UP(n, d) (((n) + (d)-1) / (d))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define is_power_of_2(n) ((n) && !((n) & ((n)-1)))
#define ilog2(n) (63 - __builtin_clzll(n))
#define check_add_overflow(a, b, d) __builtin_add_overflow(a, b, d)
#define check_sub_overflow(a, b, d) __builtin_sub_overflow(a, b, d)
#define check_mul_overflow(a, b, d) __builtin_mul_overflow(a, b, d)
static inline size_t array_size(size_t a, size_t b)
{
    return __builtin_mul_overflow(a, b, &a) ? SIZE_MAX : a;
}
static inline size_t sim_struct_size(size_t head, size_t element, size_t n)
{
    size_t size = array_size(element, n);

    return __builtin_add_overflow(size, head, &size) ? SIZE_MAX : size;
}
#define struct_size(p, member, n) sim_struct_size(sizeof(*(p)), sizeof(*(p)->member), n)
#define array_index_nospec(i, n) ((__typeof__(i))((i) < (n) ? (i) : 0))

static inline u64 div_u64_rem(u64 n, u32 d, u32 *rem)
{
    *rem = n % d;
    return n / d;
}
static inline u64 mul_u64_u32_div(u64 a, u32 mul, u32 d)
{
    return (u64)((unsigned __int128)a * mul / d);
}
static inline u64 mul_u64_u64_shr(u64 a, u64 b, unsigned int shift)
{
    return (u64)(((unsigned __int128)a * b) >> shift);
}
static inline u64 mul_u64_u64_div_u64(u64 a, u64 b, u64 d)
{
    return (u64)((unsigned __int128)a * b / d);
}

/* ---- Bits ---- */

#define BIT(n) (1UL << (n))
#define BIT_ULL(n) (1ULL << (n))
#define GENMASK(h, l) ((~0UL << (l)) & (~0UL >> (63 - (h))))
#define GENMASK_ULL(h, l) ((~0ULL << (l)) & (~0ULL >> (63 - (h))))
#define BIT_MASK(n) (1UL << ((n) % BITS_PER_LONG))
#define BIT_WORD(n) ((n) / BITS_PER_LONG)
#define BITS_TO_LONGS(n) (((n) + BITS_PER_LONG - 1) / BITS_PER_LONG)
#define DECLARE_BITMAP(name, bits) unsigned long name[BITS_TO_LONGS(bits)]

static inline unsigned long __ffs(unsigned long w)
{
    return (unsigned long)__builtin_ctzl(w);
}
static inline unsigned long __fls(unsigned long w)
{
    return 63ul - (unsigned long)__builtin_clzl(w);
}
static inline unsigned long ffz(unsigned long w)
{
    return __ffs(~w);
}
static inline unsigned int hweight8(u8 v)
{
    return (unsigned int)__builtin_popcount(v);
}
static inline s64 sign_extend64(u64 value, int index)
{
    int shift = 63 - index;

    return (s64)(value << shift) >> shift;
}
static inline bool test_bit(unsigned long nr, const volatile unsigned long *p)
{
    return p[BIT_WORD(nr)] >> (nr % BITS_PER_LONG) & 1;
}
static inline void set_bit(unsigned long nr, volatile unsigned long *p)
{
    p[BIT_WORD(nr)] |= BIT_MASK(nr);
}
static inline void clear_bit(unsigned long nr, volatile unsigned long *p)
{
    p[BIT_WORD(nr)] &= ~BIT_MASK(nr);
}
static inline bool test_and_set_bit(unsigned long nr, volatile unsigned long *p)
{
    bool was = test_bit(nr, p);

    set_bit(nr, p);
    return was;
}
static inline bool test_and_clear_bit(unsigned long nr, volatile unsigned long *p)
{
    bool was = test_bit(nr, p);

    clear_bit(nr, p);
    return was;
}
static inline void assign_bit(unsigned long nr, volatile unsigned long *p, bool value)
{
    if (value)
        set_bit(nr, p);
    else
        clear_bit(nr, p);
}
#define __set_bit set_bit
#define __clear_bit clear_bit
#define __test_and_set_bit test_and_set_bit
#define set_bit_le(nr, p) set_bit(nr, p)
#define test_bit_le(nr, p) test_bit(nr, p)

unsigned long find_first_bit(const unsigned long *p, unsigned long n);
unsigned long find_first_zero_bit(const unsigned long *p, unsigned long n);
unsigned long find_next_bit(const unsigned long *p, unsigned long n, unsigned long from);
#define for_each_set_bit(b, p, n) \
    for ((b) = find_next_bit(p, n, 0); (b) < (n); (b) = find_next_bit(p, n, (b) + 1))
static inline void bitmap_zero(unsigned long *p, unsigned int n)
{
    memset(p, 0, BITS_TO_LONGS(n) * sizeof(long));
}
static inline void bitmap_fill(unsigned long *p, unsigned int n)
{
    memset(p, 0xff, BITS_TO_LONGS(n) * sizeof(long));
}
static inline bool bitmap_empty(const unsigned long *p, unsigned int n)
{
    return find_first_bit(p, n) >= n;
}
static inline bool bitmap_full(const unsigned long *p, unsigned int n)
{
    return find_first_zero_bit(p, n) >= n;
}
void bitmap_set(unsigned long *p, unsigned int from, unsigned int n);
void bitmap_clear(unsigned long *p, unsigned int from, unsigned int n);
bool bitmap_andnot(unsigned long *to, const unsigned long *a, const unsigned long *b,
                   unsigned int n);

/* ---- Byte order: this machine's ---- */

#define cpu_to_le16(x) ((__force __le16)(u16)(x))
#define cpu_to_le32(x) ((__force __le32)(u32)(x))
#define cpu_to_le64(x) ((__force __le64)(u64)(x))
#define le16_to_cpu(x) ((u16)(x))
#define le32_to_cpu(x) ((u32)(x))
#define le64_to_cpu(x) ((u64)(x))

/* ---- Errors in pointers ---- */

#define IS_ERR(p) ((unsigned long)(p) >= (unsigned long)-4095)
#define IS_ERR_OR_NULL(p) (!(p) || IS_ERR(p))
#define PTR_ERR(p) ((long)(p))
#define ERR_PTR(e) ((void *)(long)(e))
#define ERR_CAST(p) ((void *)(p))
#define PTR_ERR_OR_ZERO(p) (IS_ERR(p) ? (int)PTR_ERR(p) : 0)

/* ---- Atomics and counts ---- */

typedef struct {
    int counter;
} atomic_t;
typedef struct {
    long counter;
} atomic_long_t;
typedef struct {
    s64 counter;
} atomic64_t;
typedef struct {
    int refs;
} refcount_t;
struct kref {
    refcount_t refcount;
};
#define atomic_read(v) ((v)->counter)
#define atomic_set(v, n) ((void)((v)->counter = (n)))
#define atomic_inc(v) ((void)(v)->counter++)
#define atomic64_inc(v) atomic_inc(v)
static inline int atomic_xchg(atomic_t *v, int n)
{
    int was = v->counter;

    v->counter = n;
    return was;
}
static inline long atomic_long_fetch_andnot(long mask, atomic_long_t *v)
{
    long was = v->counter;

    v->counter &= ~mask;
    return was;
}
#define xchg(p, v)                     \
    ({                                 \
        __typeof__(*(p)) __was = *(p); \
        *(p) = (v);                    \
        __was;                         \
    })
#define cmpxchg(p, old, new)           \
    ({                                 \
        __typeof__(*(p)) __was = *(p); \
        if (__was == (old))            \
            *(p) = (new);              \
        __was;                         \
    })
#define REFCOUNT_INIT(n) \
    {                    \
        n                \
    }
static inline void refcount_set(refcount_t *r, int n)
{
    r->refs = n;
}
static inline void refcount_inc(refcount_t *r)
{
    WARN_ON(r->refs <= 0 || r->refs == INT_MAX);
    r->refs++;
}
static inline bool refcount_dec_and_test(refcount_t *r)
{
    WARN_ON(r->refs <= 0);
    return --r->refs == 0;
}
static inline unsigned int refcount_read(const refcount_t *r)
{
    return (unsigned int)r->refs;
}
static inline void kref_init(struct kref *k)
{
    refcount_set(&k->refcount, 1);
}
static inline void kref_get(struct kref *k)
{
    refcount_inc(&k->refcount);
}
static inline int kref_put(struct kref *k, void (*release)(struct kref *k))
{
    if (!refcount_dec_and_test(&k->refcount))
        return 0;
    release(k);
    return 1;
}

/* ---- Lists ---- */

struct list_head {
    struct list_head *next, *prev;
};
#define LIST_HEAD_INIT(name) \
    {                        \
        &(name), &(name)     \
    }
#define LIST_HEAD(name) struct list_head name = LIST_HEAD_INIT(name)
#define LIST_POISON ((void *)0xdead000000000100UL)
static inline void INIT_LIST_HEAD(struct list_head *l)
{
    l->next = l->prev = l;
}
static inline bool list_empty(const struct list_head *l)
{
    return l->next == l;
}
static inline void sim_list_insert(struct list_head *n, struct list_head *prev,
                                   struct list_head *next)
{
    WARN_ON(prev->next != next || next->prev != prev);
    next->prev = n;
    n->next = next;
    n->prev = prev;
    prev->next = n;
}
static inline void list_add(struct list_head *n, struct list_head *l)
{
    sim_list_insert(n, l, l->next);
}
static inline void list_add_tail(struct list_head *n, struct list_head *l)
{
    sim_list_insert(n, l->prev, l);
}
static inline void sim_list_remove(struct list_head *n)
{
    WARN_ON(n->next == LIST_POISON || n->prev == LIST_POISON);
    n->next->prev = n->prev;
    n->prev->next = n->next;
}
static inline void list_del(struct list_head *n)
{
    sim_list_remove(n);
    n->next = n->prev = LIST_POISON;
}
static inline void list_del_init(struct list_head *n)
{
    sim_list_remove(n);
    INIT_LIST_HEAD(n);
}
/* A reader may still be there: next stays. */
static inline void list_del_rcu(struct list_head *n)
{
    sim_list_remove(n);
    n->prev = LIST_POISON;
}
#define list_add_tail_rcu list_add_tail
#define list_add_rcu list_add
#define list_entry(p, type, member) container_of(p, type, member)
#define list_first_entry(l, type, member) list_entry((l)->next, type, member)
#define list_for_each_entry(p, l, member)                                            \
    for ((p) = list_entry((l)->next, __typeof__(*(p)), member); &(p)->member != (l); \
         (p) = list_entry((p)->member.next, __typeof__(*(p)), member))
#define list_for_each_entry_safe(p, n, l, member)                     \
    for ((p) = list_entry((l)->next, __typeof__(*(p)), member),       \
        (n) = list_entry((p)->member.next, __typeof__(*(p)), member); \
         &(p)->member != (l);                                         \
         (p) = (n), (n) = list_entry((n)->member.next, __typeof__(*(n)), member))
#define list_for_each_entry_rcu(p, l, member, ...) list_for_each_entry(p, l, member)
#define list_for_each_entry_srcu(p, l, member, cond)                                   \
    for (sim_need_reader(cond), (p) = list_entry((l)->next, __typeof__(*(p)), member); \
         &(p)->member != (l); (p) = list_entry((p)->member.next, __typeof__(*(p)), member))
void sim_need_reader(bool reader);

/* ---- Strings ---- */

ssize_t strscpy(char *to, const char *from, size_t size);
void *memchr_inv(const void *p, int c, size_t n);

#endif

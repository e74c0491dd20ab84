// SPDX-License-Identifier: Apache-2.0
/*
 * Every copy that crosses the process's border: faults on plan, memory that is read twice, another
 * CPU that changes it meanwhile, kernel bytes that were never written. Trusts the module with
 * nothing.
 */
#include "internal.h"

#ifdef SIM_MSAN
#include <sanitizer/msan_interface.h>
#endif

static u32 fails_in = UINT32_MAX;
static sim_race_fn race;
static void *race_context;

void sim_copy_reset(void)
{
    fails_in = UINT32_MAX;
    race = NULL;
}

void sim_fail_copy(uint32_t nth_byte)
{
    fails_in = nth_byte;
}

void sim_set_race(sim_race_fn fn, void *context)
{
    race = fn;
    race_context = context;
}

void sim_watch(uint64_t address, size_t size)
{
    struct sim_task *t = sim_self;
    int i;

    /* Once: in two ranges a byte would count twice. */
    for (i = 0; i < t->nr_watched; i++)
        if (t->watched[i].start == address && t->watched[i].end == address + size)
            return;
    if (size && t->nr_watched < SIM_MAX_WATCHED)
        t->watched[t->nr_watched++] = (struct sim_range){ address, address + size };
}

/* Notes a read of [start, end) as far as it is watched. */
static bool watch_read(u64 start, u64 end)
{
    struct sim_task *t = sim_self;
    bool watched = false;
    int i, j;

    for (i = 0; i < t->nr_watched; i++) {
        u64 lo = max(start, t->watched[i].start), hi = min(end, t->watched[i].end);

        if (lo >= hi)
            continue;
        watched = true;
        for (j = 0; j < t->nr_read; j++)
            if (lo < t->read[j].end && t->read[j].start < hi)
                sim_fault(SIM_DOUBLE_FETCH, "%s reads byte %#llx of user memory a second time",
                          t->entry ? t->entry : "the module", max(lo, t->read[j].start));
        if (t->nr_read < SIM_MAX_READS)
            t->read[t->nr_read++] = (struct sim_range){ lo, hi };
    }
    return watched;
}

static bool in_user_space(u64 address, u64 n)
{
    return address < TASK_SIZE_MAX && n <= TASK_SIZE_MAX - address;
}

bool access_ok(const void __user *p, unsigned long n)
{
    return in_user_space((u64)p, n);
}

/* How many of n bytes can be copied before the planned fault. */
static size_t before_fault(size_t n)
{
    if (fails_in == UINT32_MAX)
        return n;
    if (fails_in >= n) {
        fails_in -= (u32)n;
        return n;
    }
    n = fails_in;
    fails_in = UINT32_MAX;
    return n;
}

/* The place of user memory: NULL, and it may sleep for it unless page faults are disabled. */
static u8 *reach(u64 address, bool write)
{
    struct page *page;

    if (!current->mm)
        return NULL;
    page = sim_self->no_fault || sim_in_irq ? sim_user_present(current->mm, address, write)
                                            : sim_user_page(current->mm, address, write);
    if (!page)
        return NULL;
    if (sim_hooks.page_use)
        sim_hooks.page_use(page, true);
    return (u8 *)page_address(page) + offset_in_page(address);
}

/* How many bytes were not copied. */
static size_t copy(u64 address, u8 *buf, size_t n, bool write)
{
    size_t done = 0, room = before_fault(n);

    if (!in_user_space(address, n))
        return n;
    while (done < room) {
        size_t part = min(room - done, PAGE_SIZE - offset_in_page(address + done));
        u8 *at = reach(address + done, write);

        if (!at)
            break;
        if (write)
            memcpy(at, buf + done, part);
        else
            memcpy(buf + done, at, part);
        done += part;
    }
    return n - done;
}

static void before_copy(void)
{
    sim_step();
    if (sim_self->no_fault)
        return;
    sim_need_sleepable("a copy from or to userspace");
    sim_switch_point();
}

unsigned long copy_from_user(void *to, const void __user *from, unsigned long n)
{
    u64 address = (u64)from;
    bool watched;
    size_t left;

    if (!n)
        return 0;
    before_copy();
    watched = sim_self->nr_watched && in_user_space(address, n) && watch_read(address, address + n);
    if (watched && race)
        race(race_context, address, n, false);
    left = copy(address, to, n, false);
    if (watched && race)
        race(race_context, address, n, true);
    if (left)
        memset((u8 *)to + n - left, 0, left);
#ifdef SIM_MSAN
    __msan_unpoison(to, n);
#endif
    return left;
}

unsigned long copy_to_user(void __user *to, const void *from, unsigned long n)
{
    if (!n)
        return 0;
    before_copy();
#ifdef SIM_MSAN
    if (__msan_test_shadow(from, n) >= 0) {
        fprintf(stderr, "sim: COPY_OUT: byte %ld of %lu to user %p\n",
                (long)__msan_test_shadow(from, n), n, (void *)to);
        __msan_check_mem_is_initialized(from, n);
    }
#endif
    return copy((u64)to, (u8 *)from, n, true);
}

unsigned long clear_user(void __user *to, unsigned long n)
{
    static const u8 zeroes[PAGE_SIZE];
    u64 done = 0;

    while (done < n) {
        size_t part = min(n - done, PAGE_SIZE), left;

        before_copy();
        left = copy((u64)to + done, (u8 *)zeroes, part, true);
        done += part - left;
        if (left)
            break;
    }
    return n - done;
}

bool user_access_begin(const void __user *p, unsigned long n)
{
    before_copy();
    return in_user_space((u64)p, n);
}

void user_access_end(void)
{
}

int sim_cmpxchg_user(void __user *p, void *old, u64 new, size_t size)
{
    u8 *at;

    if (before_fault(size) != size || offset_in_page(p) + size > PAGE_SIZE)
        return -1;
    at = reach((u64)p, true);
    if (!at)
        return -1;
    if (memcmp(at, old, size)) {
        memcpy(old, at, size);
        return 0;
    }
    memcpy(at, &new, size);
    return 1;
}

void pagefault_disable(void)
{
    sim_self->no_fault++;
    sim_self->preempt++;
}

void pagefault_enable(void)
{
    if (sim_self->no_fault <= 0)
        sim_fault(SIM_LOCK, "page faults are enabled more often than disabled");
    sim_self->no_fault--;
    preempt_enable();
}

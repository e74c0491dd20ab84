// SPDX-License-Identifier: Apache-2.0
/*
 * Time is virtual: it passes when a guest runs, when a task relaxes, when nobody can run, and when
 * the target says. Timers fire in an interrupt; work runs at the end of entries, when it is waited
 * for, and when nobody else can run. Trusts the module with nothing.
 */
#include <stdlib.h>

#include "internal.h"

#define BOOT_NS 1000000000ull /* the machine is up for a second */
#define GUEST_NS 1000         /* what a guest runs between two exits */
#define REAL_OFFSET 1700000000000000000ull

static u64 now = BOOT_NS;
static struct hrtimer *timers; /* by expiry */
static bool in_timers;
unsigned int tsc_khz = SIM_TSC_KHZ;

struct workqueue_struct {
    struct sim_lock lock; /* a class: what waits for the work against what the work takes */
    struct list_head works;
};
static struct workqueue_struct *queues[4];

uint64_t sim_now(void)
{
    return now;
}

ktime_t ktime_get(void)
{
    return (ktime_t)now;
}

u64 ktime_get_real_ns(void)
{
    return now + REAL_OFFSET;
}

u64 rdtsc(void)
{
    return now * (SIM_TSC_KHZ / 1000) / 1000;
}

int check_tsc_unstable(void)
{
    return 0;
}

/* ---- Timers ---- */

bool sim_timer_due(void)
{
    return timers && timers->expires <= (ktime_t)now;
}

void sim_guest_time(void)
{
    now += GUEST_NS;
}

void hrtimer_init(struct hrtimer *t, int clock, enum hrtimer_mode mode)
{
    (void)clock;
    (void)mode;
    memset(t, 0, sizeof(*t));
}

static bool remove_timer(struct hrtimer *t)
{
    struct hrtimer **p = &timers;

    if (!t->queued)
        return false;
    while (*p != t)
        p = &(*p)->next;
    *p = t->next;
    t->queued = false;
    return true;
}

void hrtimer_start(struct hrtimer *t, ktime_t when, enum hrtimer_mode mode)
{
    struct hrtimer **p = &timers;

    (void)mode;
    sim_step();
    if (!t->function)
        sim_fault(SIM_WARN, "a timer without a function is started");
    remove_timer(t);
    t->expires = when;
    while (*p && (*p)->expires <= when)
        p = &(*p)->next;
    t->next = *p;
    *p = t;
    t->queued = true;
}

int hrtimer_cancel(struct hrtimer *t)
{
    sim_step();
    return remove_timer(t);
}

bool hrtimer_active(const struct hrtimer *t)
{
    return t->queued;
}

/* Those that are due; interrupts are on. */
void sim_run_timers(void)
{
    struct hrtimer *t;

    if (in_timers || sim_in_irq || sim_self->irqs_off)
        return;
    in_timers = true;
    while ((t = timers) && t->expires <= (ktime_t)now) {
        remove_timer(t);
        sim_irq_enter();
        if (t->function(t) == HRTIMER_RESTART)
            hrtimer_start(t, t->expires, HRTIMER_MODE_ABS_PINNED_HARD);
        sim_irq_exit();
    }
    in_timers = false;
}

void sim_tick(u64 ns)
{
    now += ns;
    sim_run_timers();
}

void sim_advance(uint64_t ns)
{
    u64 end = now + min(ns, (u64)S32_MAX * NSEC_PER_SEC);

    /* With interrupts off, as where a guest runs, they wait until these are on. */
    while (!sim_self->irqs_off && timers && timers->expires <= (ktime_t)end) {
        now = max(now, (u64)timers->expires);
        sim_run_timers();
    }
    now = end;
}

bool sim_work_waits(void)
{
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(queues); i++)
        if (queues[i] && !list_empty(&queues[i]->works))
            return true;
    return false;
}

bool sim_idle(void)
{
    if (sim_work_waits()) {
        sim_run_work();
        return true;
    }
    if (!timers)
        return false;
    now = max(now, (u64)timers->expires);
    sim_run_timers();
    return true;
}

/* ---- Work ---- */

struct workqueue_struct *alloc_workqueue(const char *name, unsigned int flags, int max_active, ...)
{
    struct workqueue_struct *wq = kzalloc(sizeof(*wq), GFP_KERNEL);
    static struct sim_lock_class class = { .name = "workqueue" };
    unsigned int i;

    (void)name;
    (void)flags;
    (void)max_active;
    if (!wq)
        return NULL;
    sim_lock_init(&wq->lock, &class);
    INIT_LIST_HEAD(&wq->works);
    for (i = 0; i < ARRAY_SIZE(queues); i++) {
        if (!queues[i]) {
            queues[i] = wq;
            return wq;
        }
    }
    sim_fault(SIM_STATE, "more work queues than the simulation has");
}

/* In the worker's own context, which has no locks. */
static void run_queue(struct workqueue_struct *wq)
{
    if (list_empty(&wq->works) || !sim_worker_begin())
        return;
    while (!list_empty(&wq->works)) {
        struct work_struct *w = list_first_entry(&wq->works, struct work_struct, entry);

        list_del_init(&w->entry);
        w->queued = false;
        sim_acquire(&wq->lock, false);
        w->func(w);
        sim_release(&wq->lock);
    }
    sim_worker_end();
}

void sim_run_work(void)
{
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(queues); i++)
        if (queues[i])
            run_queue(queues[i]);
}

void flush_workqueue(struct workqueue_struct *wq)
{
    sim_need_sleepable("flush_workqueue()");
    sim_order(&wq->lock);
    run_queue(wq);
    sim_worker_wait();
}

void destroy_workqueue(struct workqueue_struct *wq)
{
    unsigned int i;

    flush_workqueue(wq);
    for (i = 0; i < ARRAY_SIZE(queues); i++)
        if (queues[i] == wq)
            queues[i] = NULL;
    kfree(wq);
}

bool queue_work(struct workqueue_struct *wq, struct work_struct *work)
{
    if (work->queued)
        return false;
    work->queued = true;
    list_add_tail(&work->entry, &wq->works);
    return true;
}

/* ---- Life ---- */

void sim_time_check(void)
{
    if (timers)
        sim_fault(SIM_LEAK, "a timer is still queued");
}

void sim_time_reset(void)
{
    now = BOOT_NS;
    timers = NULL;
    in_timers = false;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks, waiting, time, work, and the CPU's per-CPU data. There is one CPU. Trusts its callers.
 */
#ifndef SIM_SCHED_H
#define SIM_SCHED_H

#include <sim/lock.h>

struct mm_struct;

/* ---- Tasks ---- */

#define TASK_RUNNING 0
#define TASK_INTERRUPTIBLE 1
#define TASK_UNINTERRUPTIBLE 2
#define TASK_KILLABLE 4

#define TIF_NOTIFY_RESUME 1
#define TIF_NEED_FPU_LOAD 14

struct task_struct {
    struct mm_struct *mm;
    int pid;
    unsigned int __state;
    unsigned long thread_flags;
    struct {
        u64 run_delay;
    } sched_info;
    int usage; /* counted references */
    struct sim_task *sim;
};
extern struct task_struct *sim_current;
#define current sim_current

#define set_current_state(s) WRITE_ONCE(current->__state, s)
#define __set_current_state set_current_state
#define task_is_running(t) (READ_ONCE((t)->__state) == TASK_RUNNING)
#define task_pid_nr(t) ((t)->pid)
#define test_thread_flag(f) test_bit(f, &current->thread_flags)
static inline void get_task_struct(struct task_struct *t)
{
    t->usage++;
}
static inline void put_task_struct(struct task_struct *t)
{
    t->usage--;
}
int yield_to(struct task_struct *t, bool preempt);
void schedule(void);
int cond_resched(void);
bool need_resched(void);
bool signal_pending(struct task_struct *t);
bool fatal_signal_pending(struct task_struct *t);
bool single_task_running(void);
void cpu_relax(void);
#define sched_info_on() 1
#ifndef BUS_MCEERR_AR
#define BUS_MCEERR_AR 4
#endif
int send_sig_mceerr(int code, void *address, short lsb, struct task_struct *t);

struct rcuwait {
    struct task_struct *task;
};
static inline void rcuwait_init(struct rcuwait *w)
{
    w->task = NULL;
}
int rcuwait_wake_up(struct rcuwait *w);
void prepare_to_rcuwait(struct rcuwait *w);
void finish_rcuwait(struct rcuwait *w);

struct preempt_notifier;
struct preempt_ops {
    void (*sched_in)(struct preempt_notifier *n, int cpu);
    void (*sched_out)(struct preempt_notifier *n, struct task_struct *next);
};
struct preempt_notifier {
    struct preempt_notifier *next;
    struct preempt_ops *ops;
};
static inline void preempt_notifier_init(struct preempt_notifier *n, struct preempt_ops *ops)
{
    n->next = NULL;
    n->ops = ops;
}
void preempt_notifier_register(struct preempt_notifier *n);
void preempt_notifier_unregister(struct preempt_notifier *n);
void preempt_notifier_inc(void);
void preempt_notifier_dec(void);

/* ---- Wait queues, as eventfds have them ---- */

typedef struct wait_queue_entry wait_queue_entry_t;
struct wait_queue_entry {
    int (*func)(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key);
    struct list_head entry;
};
typedef struct wait_queue_head {
    spinlock_t lock;
    struct list_head head;
} wait_queue_head_t;
static inline void init_waitqueue_func_entry(wait_queue_entry_t *w,
                                             int (*func)(wait_queue_entry_t *, unsigned int, int,
                                                         void *))
{
    w->func = func;
    INIT_LIST_HEAD(&w->entry);
}
void add_wait_queue(wait_queue_head_t *head, wait_queue_entry_t *w);

/* ---- Time: sim_now() ---- */

#define NSEC_PER_SEC 1000000000L
#define NSEC_PER_MSEC 1000000L
#define NSEC_PER_USEC 1000L
#define HZ 250
#define jiffies ((unsigned long)(ktime_get() / (NSEC_PER_SEC / HZ)))
#define time_after(a, b) ((long)((b) - (a)) < 0)
#define TK_OFFS_BOOT 1
ktime_t ktime_get(void);
u64 ktime_get_real_ns(void);
#define ktime_get_raw_ns() ((u64)ktime_get())
#define ktime_get_ns() ((u64)ktime_get())
#define ktime_to_ns(t) (t)
#define ktime_add_ns(t, ns) ((ktime_t)((u64)(t) + (ns)))
#define ktime_sub(a, b) ((ktime_t)((u64)(a) - (u64)(b)))
#define ktime_before(a, b) ((a) < (b))
#define ktime_mono_to_any(t, offs) (t)
u64 rdtsc(void);
#define rdtsc_ordered() rdtsc()
extern unsigned int tsc_khz;
int check_tsc_unstable(void);

enum hrtimer_restart { HRTIMER_NORESTART, HRTIMER_RESTART };
enum hrtimer_mode { HRTIMER_MODE_ABS_PINNED_HARD };
#ifndef CLOCK_MONOTONIC
#define CLOCK_MONOTONIC 1
#endif
struct hrtimer {
    enum hrtimer_restart (*function)(struct hrtimer *timer);
    ktime_t expires;
    bool queued;
    struct hrtimer *next;
};
void hrtimer_init(struct hrtimer *t, int clock, enum hrtimer_mode mode);
void hrtimer_start(struct hrtimer *t, ktime_t when, enum hrtimer_mode mode);
#define hrtimer_start_expires(t, mode) hrtimer_start(t, (t)->expires, mode)
int hrtimer_cancel(struct hrtimer *t);
bool hrtimer_active(const struct hrtimer *t);

/* ---- Work ---- */

#define WQ_UNBOUND 2
struct work_struct {
    void (*func)(struct work_struct *work);
    struct list_head entry;
    bool queued;
};
struct workqueue_struct;
#define INIT_WORK(w, f)              \
    do {                             \
        (w)->func = (f);             \
        (w)->queued = false;         \
        INIT_LIST_HEAD(&(w)->entry); \
    } while (0)
struct workqueue_struct *alloc_workqueue(const char *name, unsigned int flags, int max, ...);
void destroy_workqueue(struct workqueue_struct *wq);
void flush_workqueue(struct workqueue_struct *wq);
bool queue_work(struct workqueue_struct *wq, struct work_struct *work);

/* ---- CPUs: there is number 0 ---- */

struct cpumask {
    unsigned long bits;
};
#define nr_cpu_ids 1
#define cpumask_clear(m) ((void)((m)->bits = 0))
#define cpumask_set_cpu(c, m) set_bit((unsigned long)(c), &(m)->bits)
#define cpumask_empty(m) ((m)->bits == 0)
#define cpu_online(c) ((c) == 0)
#define cpu_to_node(c) 0
#define for_each_possible_cpu(c) for ((c) = 0; (c) < 1; (c)++)
#define for_each_online_cpu for_each_possible_cpu
void smp_send_reschedule(int cpu);
void smp_call_function_many(const struct cpumask *mask, void (*fn)(void *), void *arg, bool wait);
void on_each_cpu(void (*fn)(void *), void *arg, int wait);

#define DEFINE_PER_CPU(type, name) __typeof__(type) name
#define DECLARE_PER_CPU(type, name) extern __typeof__(type) name
#define per_cpu_ptr(p, cpu) ((void)(cpu), (p))
#define this_cpu_ptr(p)           \
    ({                            \
        (void)smp_processor_id(); \
        (p);                      \
    })
#define this_cpu_read(v) (v)
#define this_cpu_write(v, n) ((v) = (n))
#define per_cpu(v, cpu) (v)

#define CPUHP_AP_KVM_ONLINE 200
int cpuhp_setup_state(int state, const char *name, int (*up)(unsigned int),
                      int (*down)(unsigned int));
void cpuhp_remove_state(int state);
struct syscore_ops {
    int (*suspend)(void);
    void (*resume)(void);
    void (*shutdown)(void);
};
void register_syscore_ops(struct syscore_ops *ops);
void unregister_syscore_ops(struct syscore_ops *ops);

#endif

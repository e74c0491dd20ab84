// SPDX-License-Identifier: Apache-2.0
/*
 * Tasks: fibers on one CPU, switched where a kernel could switch, as the input's schedule says.
 * Number 0 is the target's own thread. When nobody can run, time passes to the next timer; without
 * one a task that waits interruptibly gets a signal, as a user would give it; without such a task
 * it is a deadlock. Also the frame of a system call: what is judged when it returns.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "internal.h"
#include "sanitizer.h"

#ifdef SIM_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef SIM_MSAN
#include <sanitizer/msan_interface.h>
#endif

#define STACK_SIZE (256ul << 10)
#define DEFAULT_STEPS 200000
/* After so many times an entry's steps, places to yield counted, its task is killed; after that
 * many again it must be over. */
#define KILLED_AFTER 8
/* Guest entries in one system call, before its task gets a signal. */
#define MAX_GUEST_ENTRIES 128
/* ... and times that it let time pass: a halted guest with a periodic timer does for ever. */
#define MAX_WAITS 256
#define RELAX_NS 20000

struct sim_fiber {
    void *sp;
    char *stack; /* NULL: the target's own thread */
    const void *bottom;
    size_t size;
    void *fake; /* ASan's */
};

struct sim_task sim_tasks[SIM_MAX_TASKS];
struct task_struct *sim_current = &sim_tasks[0].task;
u64 sim_steps, sim_step_limit = U64_MAX;

static struct sim_fiber fibers[SIM_MAX_TASKS];
static struct sim_fiber *came_from;
static int nr_runnable;
static const uint8_t *schedule_bytes;
static size_t schedule_len, schedule_at;
static bool refuse_yields;
static u64 ticked; /* when the current task was last asked to let others run */

/* ---- Fibers: callee-saved registers on the stack, the stack pointer in the fiber ---- */

void sim_switch_stack(void **from, void *to);
__asm__(".text\n"
        ".type sim_switch_stack, @function\n"
        ".globl sim_switch_stack\n"
        "sim_switch_stack:\n"
        "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
        "mov %rsp, (%rdi)\n"
        "mov %rsi, %rsp\n"
        "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\n"
        "ret\n"
        ".size sim_switch_stack, .-sim_switch_stack\n");

static void arrived(struct sim_fiber *me)
{
    const void *bottom = NULL;
    size_t size = 0;

#ifdef SIM_ASAN
    __sanitizer_finish_switch_fiber(me->fake, &bottom, &size);
#elif defined(SIM_MSAN) && defined(SIM_MSAN_FIBERS)
    __msan_finish_switch_fiber(&bottom, &size);
#endif
    (void)me;
    if (!came_from->bottom) {
        came_from->bottom = bottom;
        came_from->size = size;
    }
}

static void change(struct sim_fiber *from, struct sim_fiber *to, bool last)
{
    came_from = from;
#ifdef SIM_ASAN
    __sanitizer_start_switch_fiber(last ? NULL : &from->fake, to->bottom, to->size);
#elif defined(SIM_MSAN) && defined(SIM_MSAN_FIBERS)
    __msan_start_switch_fiber(to->bottom, to->size);
#endif
    (void)last;
    sim_switch_stack(&from->sp, to->sp);
    arrived(from);
}

static void task_end(void);

static void fiber_main(void)
{
    struct sim_task *t;

    t = sim_self;
    arrived(t->fiber);
    t->fn(t->argument);
    task_end();
}

static bool fiber_make(struct sim_fiber *f)
{
    void **sp;

    if (!f->stack) {
        f->stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (f->stack == MAP_FAILED) {
            f->stack = NULL;
            return false;
        }
    }
    /* Functions that the last task never returned from left their marks. */
    sim_unpoison(f->stack, STACK_SIZE);
    f->bottom = f->stack;
    f->size = STACK_SIZE;
    f->fake = NULL;
#ifdef SIM_ASAN
    /* Marks of frames that never returned: those of another fiber, or of what was mapped here. */
    __asan_unpoison_memory_region(f->stack, STACK_SIZE);
#endif
    sp = (void **)(f->stack + STACK_SIZE);
    *--sp = NULL; /* where fiber_main() would return to; and the alignment of a call */
    *--sp = (void *)(uintptr_t)fiber_main;
    sp -= 6;
    memset(sp, 0, 6 * sizeof(*sp));
    f->sp = sp;
    return true;
}

/* ---- Switching ---- */

static void notify(struct sim_task *t, bool in)
{
    struct preempt_notifier *n;
    bool was = t->irqs_off;

    t->irqs_off = true;
    for (n = t->notifiers; n; n = n->next) {
        if (in)
            n->ops->sched_in(n, 0);
        else
            n->ops->sched_out(n, NULL);
    }
    t->irqs_off = was;
}

static void switch_to(struct sim_task *to, bool last)
{
    struct sim_task *from = sim_self;

    if (to == from)
        return;
    sim_counts.switches++;
    set_bit(TIF_NEED_FPU_LOAD, &from->task.thread_flags);
    from->steps = sim_steps;
    sim_current = &to->task;
    sim_steps = to->steps;
    change(from->fiber, to->fiber, last);
}

static void set_runnable(struct sim_task *t, bool runnable)
{
    if (t->runnable != runnable)
        nr_runnable += runnable ? 1 : -1;
    if (runnable)
        t->task.__state = TASK_RUNNING;
    t->runnable = runnable;
}

bool sim_others_runnable(void)
{
    return nr_runnable > 1;
}

/* The n-th of the others that can run, from the current one on. */
static struct sim_task *other(unsigned int n)
{
    int i = sim_self->number;

    for (;;) {
        i = (i + 1) % SIM_MAX_TASKS;
        if (&sim_tasks[i] == sim_self || !sim_tasks[i].runnable)
            continue;
        if (!n--)
            return &sim_tasks[i];
    }
}

static void run_other(unsigned int n)
{
    struct sim_task *me = sim_self;

    notify(me, false);
    switch_to(other(n), false);
    notify(me, true);
}

/* Time passes for a task that waits. */
static void wait_on(struct sim_task *t)
{
    if (++t->waits <= MAX_WAITS)
        return;
    t->signal = true;
    if (t->task.__state == TASK_INTERRUPTIBLE)
        set_runnable(t, true);
}

static unsigned int scheduled(void)
{
    return schedule_at < schedule_len ? schedule_bytes[schedule_at++] : 0;
}

void sim_schedule(const uint8_t *schedule, size_t n)
{
    schedule_bytes = schedule;
    schedule_len = n;
    schedule_at = 0;
}

void sim_switch_point(void)
{
    struct sim_task *t = sim_self;
    unsigned int byte;

    if (nr_runnable < 2 || sim_in_irq || t->preempt || t->irqs_off || t->rcu)
        return;
    byte = scheduled();
    if (byte)
        run_other((byte - 1) % (unsigned int)(nr_runnable - 1));
}

/* A user's patience: the first that can be interrupted is. */
static bool interrupt_one(void)
{
    int i;

    for (i = 0; i < SIM_MAX_TASKS; i++) {
        struct sim_task *t = &sim_tasks[i];

        if (t->used && !t->ended && !t->runnable && t->task.__state == TASK_INTERRUPTIBLE) {
            t->signal = true;
            set_runnable(t, true);
            return true;
        }
    }
    return false;
}

static __attribute__((noreturn)) void deadlock(void)
{
    int i;

    for (i = 0; i < SIM_MAX_TASKS; i++) {
        struct sim_task *t = &sim_tasks[i];

        if (t->used && !t->ended)
            fprintf(stderr, "sim: task %d in %s waits for %p and holds %d locks\n", i,
                    t->entry ? t->entry : "userspace", t->waits_for, t->nr_held);
    }
    sim_fault(SIM_DEADLOCK, "every task waits for another");
}

/* Until the current task, which waits, can run again; or, last: for good. */
static void run_others(bool last)
{
    struct sim_task *me = sim_self;

    while (!me->runnable) {
        if (nr_runnable) {
            unsigned int byte = nr_runnable > 1 ? scheduled() : 0;

            switch_to(other(byte % (unsigned int)nr_runnable), last);
            continue;
        }
        wait_on(me);
        if (!me->runnable && !sim_idle() && !interrupt_one())
            deadlock();
    }
}

void sim_block(const void *waits_for, unsigned int state)
{
    struct sim_task *me = sim_self;

    sim_entry_step_over();
    me->waits_for = waits_for;
    me->task.__state = state;
    notify(me, false);
    set_runnable(me, false);
    run_others(false);
    me->waits_for = NULL;
    me->task.__state = TASK_RUNNING;
    notify(me, true);
}

void sim_wake(const void *waits_for)
{
    int i;

    for (i = 0; i < SIM_MAX_TASKS; i++)
        if (sim_tasks[i].used && sim_tasks[i].waits_for == waits_for)
            set_runnable(&sim_tasks[i], true);
}

/* ---- What the module calls ---- */

void schedule(void)
{
    struct sim_task *t = sim_self;

    sim_need_sleepable("schedule()");
    ticked = sim_now();
    if (t->task.__state == TASK_RUNNING) {
        cond_resched();
        return;
    }
    if (!(t->task.__state == TASK_INTERRUPTIBLE && t->signal))
        sim_block(NULL, t->task.__state);
    t->task.__state = TASK_RUNNING;
}

int cond_resched(void)
{
    sim_need_sleepable("cond_resched()");
    sim_entry_step_over();
    ticked = sim_now();
    sim_switch_point();
    return 0;
}

void sim_refuse_yields(bool on)
{
    refuse_yields = on;
}

/* The other runs at once; as in the kernel, none that cannot run. */
int yield_to(struct task_struct *p, bool preempt)
{
    struct sim_task *me = sim_self, *to = p->sim;

    (void)preempt;
    sim_need_sleepable("yield_to()");
    WARN_ON(to == me || !to->used || to->ended || p->usage <= 0);
    sim_entry_step_over();
    sim_counts.yields++;
    if (!to->runnable || refuse_yields)
        return 0;
    ticked = sim_now();
    notify(me, false);
    switch_to(to, false);
    notify(me, true);
    return 1;
}

/* At the timer's tick, as by a scheduler that has others to run. */
bool need_resched(void)
{
    return sim_now() - ticked >= NSEC_PER_SEC / HZ;
}

bool signal_pending(struct task_struct *t)
{
    return t->sim->signal;
}

bool fatal_signal_pending(struct task_struct *t)
{
    return t->sim->killed;
}

bool single_task_running(void)
{
    return nr_runnable < 2;
}

void cpu_relax(void)
{
    sim_step();
    wait_on(sim_self);
    sim_advance(RELAX_NS);
}

int send_sig_mceerr(int code, void *address, short lsb, struct task_struct *t)
{
    (void)code;
    (void)address;
    (void)lsb;
    t->sim->signal = true;
    return 0;
}

int rcuwait_wake_up(struct rcuwait *w)
{
    struct task_struct *t = w->task;

    if (!t || t->sim->runnable)
        return 0;
    set_runnable(t->sim, true);
    return 1;
}

void prepare_to_rcuwait(struct rcuwait *w)
{
    WARN_ON(w->task);
    w->task = current;
}

void finish_rcuwait(struct rcuwait *w)
{
    w->task = NULL;
    current->__state = TASK_RUNNING;
}

void preempt_notifier_register(struct preempt_notifier *n)
{
    struct preempt_notifier *other_one;

    for (other_one = sim_self->notifiers; other_one; other_one = other_one->next)
        WARN_ON(other_one == n);
    n->next = sim_self->notifiers;
    sim_self->notifiers = n;
}

void preempt_notifier_unregister(struct preempt_notifier *n)
{
    struct preempt_notifier **p = &sim_self->notifiers;

    while (*p && *p != n)
        p = &(*p)->next;
    WARN_ON(!*p);
    *p = n->next;
}

void preempt_notifier_inc(void)
{
}

void preempt_notifier_dec(void)
{
}

/* One CPU: what is sent is for ourselves. */
void smp_send_reschedule(int cpu)
{
    WARN_ON(cpu != 0);
    sim_ipi_pending = true;
}

void smp_call_function_many(const struct cpumask *mask, void (*fn)(void *), void *arg, bool wait)
{
    (void)mask; /* never the caller's own CPU */
    (void)fn;
    (void)arg;
    (void)wait;
}

void on_each_cpu(void (*fn)(void *), void *arg, int wait)
{
    unsigned long flags;

    (void)wait;
    local_irq_save(flags);
    fn(arg);
    local_irq_restore(flags);
}

/* ---- What targets call ---- */

static void task_end(void)
{
    struct sim_task *t = sim_self;

    t->ended = true;
    set_runnable(t, false);
    sim_wake(&sim_tasks);
    run_others(true);
    abort();
}

int sim_spawn(void (*fn)(void *), void *argument)
{
    struct sim_task *t = NULL;
    int i;

    for (i = 1; i < SIM_WORKER && !t; i++)
        if (!sim_tasks[i].used || (sim_tasks[i].ended && !sim_tasks[i].task.usage))
            t = &sim_tasks[i];
    if (!t)
        return -EAGAIN;
    i = (int)(t - sim_tasks);
    memset(t, 0, offsetof(struct sim_task, watched));
    t->nr_watched = t->nr_read = 0;
    t->number = i;
    t->task.sim = t;
    t->task.pid = 1000 + i;
    t->task.mm = current->mm;
    t->fn = fn;
    t->argument = argument;
    t->fiber = &fibers[i];
    if (!fiber_make(t->fiber))
        return -EAGAIN;
    t->used = true;
    set_runnable(t, true);
    return i;
}

int sim_task(void)
{
    return sim_self->number;
}

void sim_yield(void)
{
    if (nr_runnable > 1)
        run_other(0);
}

static bool all_ended(void)
{
    int i;

    for (i = 1; i < SIM_WORKER; i++)
        if (sim_tasks[i].used && !sim_tasks[i].ended)
            return false;
    return true;
}

void sim_join_all(void)
{
    while (!all_ended())
        sim_block(&sim_tasks, TASK_UNINTERRUPTIBLE);
}

void sim_signal(int task)
{
    struct sim_task *t = task > 0 && task < SIM_MAX_TASKS ? &sim_tasks[task] : sim_self;

    if (!t->used || t->ended)
        return;
    t->signal = true;
    if (t->task.__state == TASK_INTERRUPTIBLE)
        set_runnable(t, true);
}

void sim_other_process(bool on)
{
    current->mm = &sim_mm[on];
}

/* ---- The worker: runs on the stack of the task that lets it run, which waits meanwhile ---- */

bool sim_worker_begin(void)
{
    struct sim_task *t = &sim_tasks[SIM_WORKER], *host = sim_self;

    if (t->used)
        return false;
    memset(t, 0, offsetof(struct sim_task, watched));
    t->number = SIM_WORKER;
    t->task.sim = t;
    t->task.pid = 2;
    t->fiber = host->fiber;
    t->used = true;
    t->depth = 1;
    t->entry = "work";
    t->argument = host;
    set_runnable(t, true);
    set_runnable(host, false);
    host->steps = sim_steps;
    sim_steps = 0;
    sim_current = &t->task;
    return true;
}

void sim_worker_end(void)
{
    struct sim_task *t = &sim_tasks[SIM_WORKER], *host = t->argument;

    sim_lock_balance();
    set_runnable(host, true);
    set_runnable(t, false);
    t->used = false;
    sim_steps = host->steps;
    sim_current = &host->task;
    sim_wake(t);
}

void sim_worker_wait(void)
{
    while (sim_tasks[SIM_WORKER].used)
        sim_block(&sim_tasks[SIM_WORKER], TASK_UNINTERRUPTIBLE);
}

/* ---- Life ---- */

void sim_task_start(void)
{
    struct sim_task *t = &sim_tasks[0];

    t->used = true;
    t->task.sim = t;
    t->task.pid = 1000;
    t->task.mm = &sim_mm[0];
    t->fiber = &fibers[0];
    sim_current = &t->task;
    nr_runnable = 0;
    t->runnable = false;
    set_runnable(t, true);
}

/* Every task of the input comes to its end. */
void sim_task_reset(void)
{
    int i;

    if (sim_self != &sim_tasks[0])
        sim_fault(SIM_STATE, "sim_reset() by another task than the first");
    for (i = 1; i < SIM_WORKER; i++)
        sim_signal(i);
    sim_join_all();
    for (i = 1; i < SIM_WORKER; i++) {
        WARN_ON(sim_tasks[i].task.usage);
        sim_tasks[i].used = false;
    }
    sim_tasks[0].signal = sim_tasks[0].killed = false;
    sim_tasks[0].task.mm = &sim_mm[0];
    sim_tasks[0].task.thread_flags = 0;
    sim_schedule(NULL, 0);
}

/* The first task's time slice begins with the machine's time. */
void sim_task_slice(void)
{
    ticked = sim_now();
}

/* ---- The frame of a system call ---- */

void sim_entry_begin(const char *name)
{
    struct sim_task *t = sim_self;

    if (t->depth++)
        return;
    sim_counts.entries++;
    t->entry = name;
    t->total = 0;
    t->guest_entries = t->waits = 0;
    t->nr_read = 0;
    sim_steps = 0;
    sim_step_limit = sim_options.max_steps ? sim_options.max_steps : DEFAULT_STEPS;
    sim_switch_point();
}

void sim_entry_end(void)
{
    struct sim_task *t = sim_self;

    if (t->depth > 1) {
        t->depth--;
        return;
    }
    sim_lock_balance();
    sim_run_fput();
    sim_run_rcu();
    /* A worker may come at once or later. */
    if (sim_work_waits() && !scheduled())
        sim_run_work();
    sim_lock_balance();
    t->depth = 0;
    t->entry = NULL;
    t->signal = t->killed = false;
    t->nr_watched = 0;
    sim_steps = 0;
    sim_user_check();
    sim_check_entry();
    sim_switch_point();
}

/* A place to yield: the work up to here was bounded. */
void sim_entry_step_over(void)
{
    struct sim_task *t = sim_self;

    t->total += sim_steps + 1;
    sim_steps = 0;
    if (t->total <= KILLED_AFTER * sim_step_limit)
        return;
    t->signal = t->killed = true;
    if (t->total > 2 * KILLED_AFTER * sim_step_limit)
        sim_fault(SIM_UNBOUNDED, "%s goes on for %llu steps, and cannot be killed",
                  t->entry ? t->entry : "work", t->total);
}

void sim_steps_over(void)
{
    if (!sim_self->depth) {
        sim_steps = 0;
        return;
    }
    sim_fault(SIM_UNBOUNDED, "%s took %llu steps without a place to yield", sim_self->entry,
              sim_steps);
}

bool sim_guest_starts(void)
{
    struct sim_task *t = sim_self;

    if (++t->guest_entries > MAX_GUEST_ENTRIES)
        t->signal = true;
    if (sim_ipi_pending || sim_timer_due() || t->signal)
        return false;
    sim_guest_time();
    return true;
}

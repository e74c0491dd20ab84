// SPDX-License-Identifier: Apache-2.0
/*
 * Locks, interrupts, preemption, RCU: what may be taken in which context and in which order. The
 * order is a graph of classes: it starts with what kernel/core/bawn.h promises and learns from
 * each run; a cycle is a finding, whether or not tasks met in it. What was learned is forgotten at
 * a reset, so that one input alone shows its finding. Trusts the module with nothing.
 */
#include "internal.h"

#define MAX_CLASSES 64

/* kernel/core/bawn.h, "Lock order, outermost first". */
static const char *const promised[] = { "&vm->lock",     "&vm->slots_lock", "&vcpu->mutex",
                                        "&vm->irq_lock", "mmap_lock",       "&vm->mmu_lock" };

static const char *names[MAX_CLASSES];
static int nr_classes;
static u64 after[MAX_CLASSES]; /* by class: the classes taken while it is held */
static u64 promised_after[MAX_CLASSES];
static u64 in_irqs, with_irqs_on; /* classes that were taken so */

bool sim_in_irq;
static int irq_base; /* of the held locks those above are the interrupt's */
static struct rcu_head *rcu_callbacks;

/* ---- Classes ---- */

/* Not strcmp(): fuzzers would learn the names from it. */
static bool same(const char *x, const char *y)
{
    while (*x && *x == *y) {
        x++;
        y++;
    }
    return *x == *y;
}

static int class_by_name(const char *name)
{
    int i;

    for (i = 0; i < nr_classes; i++)
        if (same(names[i], name))
            return i;
    if (nr_classes == MAX_CLASSES)
        sim_fault(SIM_LOCK, "more than %d lock classes", MAX_CLASSES);
    names[nr_classes] = name;
    return nr_classes++;
}

static int class_of(const struct sim_lock *lock)
{
    if (!lock->class)
        sim_fault(SIM_LOCK, "a lock is used that was never initialised: %p", (const void *)lock);
    if (!lock->class->id)
        lock->class->id = class_by_name(lock->class->name) + 1;
    return lock->class->id - 1;
}

void sim_lock_init(struct sim_lock *lock, struct sim_lock_class *class)
{
    lock->class = class;
    lock->owner = NULL;
}

void sim_lock_start(void)
{
    size_t i, j;

    for (i = 0; i < ARRAY_SIZE(promised); i++) {
        int outer = class_by_name(promised[i]);

        for (j = i + 1; j < ARRAY_SIZE(promised); j++)
            promised_after[outer] |= BIT_ULL(class_by_name(promised[j]));
    }
    sim_lock_reset();
}

void sim_lock_reset(void)
{
    memcpy(after, promised_after, sizeof(after));
    in_irqs = with_irqs_on = 0;
}

/* ---- Order ---- */

static bool reaches(int from, int to, u64 *seen)
{
    u64 next = after[from];
    int i;

    if (next & BIT_ULL(to))
        return true;
    for (i = 0; i < nr_classes; i++) {
        if (!(next & BIT_ULL(i)) || *seen & BIT_ULL(i))
            continue;
        *seen |= BIT_ULL(i);
        if (reaches(i, to, seen))
            return true;
    }
    return false;
}

static void learn(int outer, int inner)
{
    u64 seen = 0;

    if (after[outer] & BIT_ULL(inner))
        return;
    if (reaches(inner, outer, &seen))
        sim_fault(SIM_LOCK, "order: %s is taken under %s, but elsewhere it is the other way round",
                  names[inner], names[outer]);
    after[outer] |= BIT_ULL(inner);
}

void sim_order(const struct sim_lock *lock)
{
    struct sim_task *t = sim_self;
    int i, inner = class_of(lock);

    for (i = sim_in_irq ? irq_base : 0; i < t->nr_held; i++) {
        int outer = class_of(t->held[i].lock);

        if (t->held[i].lock == lock)
            sim_fault(SIM_LOCK, "recursion: %s is already held, or read, by this task",
                      names[inner]);
        if (outer == inner)
            sim_fault(SIM_LOCK, "order: two locks of the class %s at once", names[inner]);
        learn(outer, inner);
    }
}

static void judge_interrupts(int class)
{
    if (sim_in_irq)
        in_irqs |= BIT_ULL(class);
    else if (!sim_self->irqs_off)
        with_irqs_on |= BIT_ULL(class);
    if (in_irqs & with_irqs_on & BIT_ULL(class))
        sim_fault(SIM_LOCK, "%s is taken in interrupts, and elsewhere with interrupts on",
                  names[class]);
}

void sim_acquire(struct sim_lock *lock, bool reader)
{
    struct sim_task *t = sim_self;

    class_of(lock);
    if (!reader)
        sim_order(lock);
    if (t->nr_held == SIM_MAX_HELD)
        sim_fault(SIM_LOCK, "more than %d locks are held", SIM_MAX_HELD);
    t->held[t->nr_held++] = (struct sim_held){ lock, reader };
}

void sim_release(struct sim_lock *lock)
{
    struct sim_task *t = sim_self;
    int i;

    for (i = t->nr_held - 1; i >= 0 && t->held[i].lock != lock; i--)
        ;
    if (i < 0)
        sim_fault(SIM_LOCK, "%s is released, but not held by this task", names[class_of(lock)]);
    memmove(&t->held[i], &t->held[i + 1], (size_t)(t->nr_held - i - 1) * sizeof(t->held[0]));
    t->nr_held--;
}

bool sim_lock_held(const struct sim_lock *lock)
{
    struct sim_task *t = sim_self;
    int i;

    for (i = 0; i < t->nr_held; i++)
        if (t->held[i].lock == lock)
            return true;
    return false;
}

void sim_lock_balance(void)
{
    struct sim_task *t = sim_self;

    if (t->nr_held)
        sim_fault(SIM_LOCK, "%s is held on return to userspace",
                  names[class_of(t->held[t->nr_held - 1].lock)]);
    if (t->preempt || t->irqs_off || t->rcu || t->no_fault)
        sim_fault(SIM_LOCK,
                  "on return to userspace: preemption disabled %d times, interrupts %s, "
                  "RCU read %d times, page faults disabled %d times",
                  t->preempt, t->irqs_off ? "off" : "on", t->rcu, t->no_fault);
    if (t->notifiers)
        sim_fault(SIM_LOCK, "a preemption notifier is registered on return to userspace");
}

/* ---- Context ---- */

void sim_need_sleepable(const char *what)
{
    struct sim_task *t = sim_self;

    if (sim_in_irq || t->preempt || t->irqs_off || t->rcu)
        sim_fault(SIM_LOCK, "%s may sleep, but the context is atomic (%s%s%s%s)", what,
                  sim_in_irq ? "interrupt " : "", t->preempt ? "preemption disabled " : "",
                  t->irqs_off ? "interrupts off " : "", t->rcu ? "RCU reader" : "");
}

void might_sleep(void)
{
    sim_need_sleepable("might_sleep()");
    sim_switch_point();
}

bool irqs_disabled(void)
{
    return sim_in_irq || sim_self->irqs_off;
}

bool in_atomic(void)
{
    return sim_in_irq || sim_self->preempt;
}

void local_irq_disable(void)
{
    sim_self->irqs_off = true;
}

void local_irq_enable(void)
{
    if (sim_in_irq)
        sim_fault(SIM_LOCK, "interrupts are enabled in an interrupt");
    sim_self->irqs_off = false;
    sim_ipi_pending = false;
    sim_run_timers();
}

unsigned long sim_irq_save(void)
{
    unsigned long was = sim_self->irqs_off;

    sim_self->irqs_off = true;
    return was;
}

void local_irq_restore(unsigned long flags)
{
    if (!flags && !sim_in_irq)
        local_irq_enable();
    else
        sim_self->irqs_off = flags;
}

void sim_irq_enter(void)
{
    sim_in_irq = true;
    irq_base = sim_self->nr_held;
}

void sim_irq_exit(void)
{
    if (sim_self->nr_held != irq_base)
        sim_fault(SIM_LOCK, "a lock is held at the end of an interrupt");
    sim_in_irq = false;
}

void preempt_disable(void)
{
    sim_self->preempt++;
}

void preempt_enable(void)
{
    if (sim_self->preempt <= 0)
        sim_fault(SIM_LOCK, "preemption is enabled more often than disabled");
    if (!--sim_self->preempt)
        sim_switch_point();
}

int raw_smp_processor_id(void)
{
    return 0;
}

int smp_processor_id(void)
{
    if (!sim_in_irq && !sim_self->preempt && !sim_self->irqs_off)
        sim_fault(SIM_LOCK, "per-CPU data is used where the task could move to another CPU");
    return 0;
}

int get_cpu(void)
{
    preempt_disable();
    return 0;
}

/* ---- Mutexes ---- */

static int lock_mutex(struct mutex *m, unsigned int state)
{
    sim_step();
    sim_need_sleepable("mutex_lock()");
    sim_switch_point();
    sim_order(&m->lock);
    while (m->lock.owner) {
        if (state == TASK_KILLABLE && fatal_signal_pending(current))
            return -EINTR;
        if (state == TASK_INTERRUPTIBLE && signal_pending(current))
            return -EINTR;
        sim_block(m, state);
    }
    m->lock.owner = current;
    sim_acquire(&m->lock, false);
    return 0;
}

void mutex_lock(struct mutex *m)
{
    lock_mutex(m, TASK_UNINTERRUPTIBLE);
}

int mutex_lock_killable(struct mutex *m)
{
    return lock_mutex(m, TASK_KILLABLE);
}

int mutex_lock_interruptible(struct mutex *m)
{
    return lock_mutex(m, TASK_INTERRUPTIBLE);
}

bool mutex_trylock(struct mutex *m)
{
    if (m->lock.owner)
        return false;
    m->lock.owner = current;
    sim_acquire(&m->lock, true);
    return true;
}

void mutex_unlock(struct mutex *m)
{
    sim_release(&m->lock);
    m->lock.owner = NULL;
    sim_wake(m);
    sim_switch_point();
}

bool mutex_is_locked(struct mutex *m)
{
    return m->lock.owner;
}

/* ---- Spinlocks ---- */

void spin_lock(spinlock_t *l)
{
    sim_step();
    sim_self->preempt++;
    judge_interrupts(class_of(&l->lock));
    sim_acquire(&l->lock, false);
    /* With one CPU nobody else can hold it. */
    l->lock.owner = current;
}

bool spin_trylock(spinlock_t *l)
{
    if (l->lock.owner)
        return false;
    sim_self->preempt++;
    sim_acquire(&l->lock, true);
    l->lock.owner = current;
    return true;
}

void spin_unlock(spinlock_t *l)
{
    sim_release(&l->lock);
    l->lock.owner = NULL;
    preempt_enable();
}

void cond_resched_lock(spinlock_t *l)
{
    if (!need_resched() && !sim_others_runnable())
        return;
    spin_unlock(l);
    cond_resched();
    spin_lock(l);
}

/* ---- RCU: on one CPU a reader that cannot be preempted is never waited for ---- */

void rcu_read_lock(void)
{
    sim_self->rcu++;
}

void rcu_read_unlock(void)
{
    if (!sim_self->rcu)
        sim_fault(SIM_LOCK, "rcu_read_unlock() without a lock");
    sim_self->rcu--;
}

void synchronize_rcu(void)
{
    sim_need_sleepable("synchronize_rcu()");
    sim_switch_point();
    sim_run_rcu();
}

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
    head->func = func;
    head->next = rcu_callbacks;
    rcu_callbacks = head;
}

void sim_run_rcu(void)
{
    while (rcu_callbacks) {
        struct rcu_head *head = rcu_callbacks;

        rcu_callbacks = head->next;
        head->func(head);
    }
}

void sim_need_reader(bool reader)
{
    if (!reader)
        sim_fault(SIM_LOCK, "data under SRCU is read without being a reader");
}

/* ---- SRCU ---- */

int sim_srcu_init(struct srcu_struct *s, struct sim_lock_class *class)
{
    sim_lock_init(&s->lock, class);
    s->readers[0] = s->readers[1] = 0;
    s->index = 0;
    s->writer = NULL;
    return sim_alloc_fails() ? -ENOMEM : 0;
}

void cleanup_srcu_struct(struct srcu_struct *s)
{
    if (s->readers[0] || s->readers[1])
        sim_fault(SIM_LOCK, "%s ends while it has readers", names[class_of(&s->lock)]);
    s->lock.class = NULL;
}

int srcu_read_lock(struct srcu_struct *s)
{
    sim_acquire(&s->lock, true);
    s->readers[s->index]++;
    return s->index;
}

void srcu_read_unlock(struct srcu_struct *s, int index)
{
    sim_release(&s->lock);
    if (index & ~1 || s->readers[index] <= 0)
        sim_fault(SIM_LOCK, "srcu_read_unlock() with an index that was not given: %d", index);
    if (!--s->readers[index])
        sim_wake(s);
}

bool srcu_read_lock_held(const struct srcu_struct *s)
{
    return sim_lock_held(&s->lock);
}

void synchronize_srcu(struct srcu_struct *s)
{
    int old;

    sim_step();
    sim_need_sleepable("synchronize_srcu()");
    sim_order(&s->lock);
    sim_switch_point();
    while (s->writer)
        sim_block(s, TASK_UNINTERRUPTIBLE);
    s->writer = current;
    old = s->index;
    s->index ^= 1;
    while (s->readers[old])
        sim_block(s, TASK_UNINTERRUPTIBLE);
    s->writer = NULL;
    sim_wake(s);
}

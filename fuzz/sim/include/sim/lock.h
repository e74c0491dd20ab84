/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks as the module sees them. Each has a class, which is where it was initialised; classes
 * have an order (lock.c). Preemption and interrupts are counted. Trusts its callers.
 */
#ifndef SIM_LOCK_H
#define SIM_LOCK_H

#include <sim/base.h>

struct task_struct;

struct sim_lock_class {
    const char *name;
    int id; /* 0: not seen yet; lock.c */
};

struct sim_lock {
    struct sim_lock_class *class; /* NULL: never initialised */
    struct task_struct *owner;
};

/* ---- Mutexes ---- */

struct mutex {
    struct sim_lock lock;
};
#define SIM_LOCK_INIT(name_)              \
    {                                     \
        .class = &(struct sim_lock_class) \
        {                                 \
            .name = (name_)               \
        }                                 \
    }
#define DEFINE_MUTEX(x) struct mutex x = { SIM_LOCK_INIT(#x) }
#define mutex_init(m)                                         \
    do {                                                      \
        static struct sim_lock_class class_ = { .name = #m }; \
        sim_lock_init(&(m)->lock, &class_);                   \
    } while (0)
#define mutex_destroy(m) ((void)(m))
void sim_lock_init(struct sim_lock *lock, struct sim_lock_class *class);
void mutex_lock(struct mutex *m);
__must_check int mutex_lock_killable(struct mutex *m);
__must_check int mutex_lock_interruptible(struct mutex *m);
bool mutex_trylock(struct mutex *m);
void mutex_unlock(struct mutex *m);
bool mutex_is_locked(struct mutex *m);

/* ---- Spinlocks ---- */

typedef struct spinlock {
    struct sim_lock lock;
} spinlock_t;
typedef spinlock_t raw_spinlock_t;
#define DEFINE_SPINLOCK(x) spinlock_t x = { SIM_LOCK_INIT(#x) }
#define DEFINE_RAW_SPINLOCK DEFINE_SPINLOCK
#define spin_lock_init(l)                                     \
    do {                                                      \
        static struct sim_lock_class class_ = { .name = #l }; \
        sim_lock_init(&(l)->lock, &class_);                   \
    } while (0)
#define raw_spin_lock_init spin_lock_init
void spin_lock(spinlock_t *l);
void spin_unlock(spinlock_t *l);
bool spin_trylock(spinlock_t *l);
void cond_resched_lock(spinlock_t *l);
#define raw_spin_lock spin_lock
#define raw_spin_unlock spin_unlock
#define spin_lock_irq(l)     \
    do {                     \
        local_irq_disable(); \
        spin_lock(l);        \
    } while (0)
#define spin_unlock_irq(l)  \
    do {                    \
        spin_unlock(l);     \
        local_irq_enable(); \
    } while (0)
#define spin_lock_irqsave(l, flags) \
    do {                            \
        local_irq_save(flags);      \
        spin_lock(l);               \
    } while (0)
#define spin_unlock_irqrestore(l, flags) \
    do {                                 \
        spin_unlock(l);                  \
        local_irq_restore(flags);        \
    } while (0)

/* ---- What the module says it holds ---- */

bool sim_lock_held(const struct sim_lock *lock);
#define lockdep_is_held(l) sim_lock_held(&(l)->lock)
#define lockdep_assert_held(l) ((void)WARN_ON(!lockdep_is_held(l)))

/* ---- Interrupts and preemption of the one CPU ---- */

void local_irq_disable(void);
void local_irq_enable(void);
unsigned long sim_irq_save(void);
void local_irq_restore(unsigned long flags);
#define local_irq_save(flags) ((flags) = sim_irq_save())
bool irqs_disabled(void);
void preempt_disable(void);
void preempt_enable(void);
bool in_atomic(void);
int smp_processor_id(void); /* SIM_LOCK where the task could move */
int raw_smp_processor_id(void);
int get_cpu(void);
#define put_cpu() preempt_enable()
void might_sleep(void);

/* ---- RCU ---- */

void rcu_read_lock(void);
void rcu_read_unlock(void);
void synchronize_rcu(void);
struct rcu_head {
    struct rcu_head *next;
    void (*func)(struct rcu_head *head);
};
void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head));
#define rcu_dereference(p) READ_ONCE(p)
#define rcu_dereference_raw(p) READ_ONCE(p)
#define rcu_access_pointer(p) READ_ONCE(p)
#define rcu_dereference_protected(p, held) \
    ({                                     \
        WARN_ON(!(held));                  \
        READ_ONCE(p);                      \
    })
#define rcu_assign_pointer(p, v) WRITE_ONCE(p, v)
#define RCU_INITIALIZER(v) (v)
#define unrcu_pointer(p) (p)
#define RCU_INIT_POINTER(p, v) WRITE_ONCE(p, v)
#define rcu_replace_pointer(p, new, held) \
    ({                                    \
        __typeof__(p) __old;              \
        WARN_ON(!(held));                 \
        __old = READ_ONCE(p);             \
        WRITE_ONCE(p, new);               \
        __old;                            \
    })

struct srcu_struct {
    struct sim_lock lock;
    int readers[2];
    int index;
    struct task_struct *writer; /* waits for readers */
};
#define init_srcu_struct(s)                                   \
    ({                                                        \
        static struct sim_lock_class class_ = { .name = #s }; \
        sim_srcu_init(s, &class_);                            \
    })
__must_check int sim_srcu_init(struct srcu_struct *s, struct sim_lock_class *class);
void cleanup_srcu_struct(struct srcu_struct *s);
__must_check int srcu_read_lock(struct srcu_struct *s);
void srcu_read_unlock(struct srcu_struct *s, int index);
bool srcu_read_lock_held(const struct srcu_struct *s);
void synchronize_srcu(struct srcu_struct *s);
#define synchronize_srcu_expedited synchronize_srcu
#define srcu_dereference(p, s)                   \
    ({                                           \
        sim_need_reader(srcu_read_lock_held(s)); \
        READ_ONCE(p);                            \
    })
#define srcu_dereference_check(p, s, c)                 \
    ({                                                  \
        sim_need_reader(srcu_read_lock_held(s) || (c)); \
        READ_ONCE(p);                                   \
    })

#endif

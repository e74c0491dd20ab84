/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the simulation's files have of each other.
 */
#ifndef SIM_INTERNAL_H
#define SIM_INTERNAL_H

#include <sim/kernel.h>

#include "fuzz/sim/sim.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIM_ASAN 1
#endif
#if __has_feature(memory_sanitizer)
#define SIM_MSAN 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define SIM_ASAN 1
#endif

#define SIM_MAX_TASKS 8
#define SIM_WORKER (SIM_MAX_TASKS - 1) /* runs work */
#define SIM_MAX_HELD 32

/* ---- Tasks: task.c ---- */

struct sim_held {
    struct sim_lock *lock;
    bool reader;
};

struct sim_range {
    u64 start, end;
};

#define SIM_MAX_READS 256
#define SIM_MAX_WATCHED 16

struct sim_fiber;
struct sim_task {
    struct task_struct task;
    int number;
    bool used, runnable, ended;
    bool signal, killed;
    void (*fn)(void *);
    void *argument;
    struct sim_fiber *fiber;
    const void *waits_for; /* blocked until sim_wake() of this */
    struct preempt_notifier *notifiers;
    /* Locks and context. */
    struct sim_held held[SIM_MAX_HELD];
    int nr_held;
    int preempt, rcu, no_fault;
    bool irqs_off;
    /* The entry it is in. */
    int depth;
    const char *entry;
    u64 steps, total;
    unsigned int guest_entries, waits;
    int installed; /* the last descriptor that it got; -1: none in this call */
    struct sim_range watched[SIM_MAX_WATCHED], read[SIM_MAX_READS];
    int nr_watched, nr_read;
};
extern struct sim_task sim_tasks[SIM_MAX_TASKS];
#define sim_self (current->sim)
void sim_task_start(void);
void sim_task_reset(void);
void sim_task_slice(void);
/* Blocks the current task; the caller looks again at what it waits for when it returns. */
void sim_block(const void *waits_for, unsigned int state);
void sim_wake(const void *waits_for);
/* A place where another task may run. */
void sim_switch_point(void);
bool sim_others_runnable(void);
bool sim_worker_begin(void); /* false: it works for another task */
void sim_worker_end(void);
void sim_worker_wait(void);
void sim_entry_begin(const char *name);
void sim_entry_end(void);
void sim_entry_step_over(void);

/* ---- Locks and context: lock.c ---- */

extern bool sim_in_irq;
void sim_lock_start(void);
void sim_lock_reset(void);
void sim_lock_balance(void); /* nothing is held at the end of an entry */
/* Judges the order and notes that the current task holds it; a reader only notes. */
void sim_acquire(struct sim_lock *lock, bool reader);
void sim_release(struct sim_lock *lock);
void sim_order(const struct sim_lock *lock); /* waits for it, without holding it */
void sim_irq_enter(void);
void sim_irq_exit(void);
void sim_run_rcu(void);
void sim_need_sleepable(const char *what);

/* ---- Time and work: time.c ---- */

void sim_time_reset(void);
void sim_time_check(void);
/* Time passes by itself; what is due fires when interrupts are on. */
void sim_tick(u64 ns);
void sim_run_timers(void);
/* Advances to the next timer and fires it: false when there is none. */
bool sim_idle(void);
bool sim_work_waits(void);
void sim_run_work(void);

/* ---- Memory: memory.c ---- */

void sim_memory_start(size_t size);
void sim_memory_mark(void);  /* what is allocated now is the module's own */
void sim_memory_reset(void); /* SIM_LEAK beyond it */
void sim_memory_stop(void);
struct page *sim_page_of(const void *address); /* NULL: not in the arena */
bool sim_alloc_fails(void);

/* ---- The process: user.c ---- */

struct mm_struct {
    int number;
    int refs;
    struct sim_lock mmap_lock;
    int readers;
    struct mmu_notifier *notifiers;
    struct vm_area_struct *vma[64];
    int nr_vma;
    u64 next; /* where sim_map() puts the next one */
};
extern struct mm_struct sim_mm[2];
void sim_user_start(void);
void sim_user_reset(void);
/* The page behind an address, made when absent; NULL: none, or not with that right. */
struct page *sim_user_page(struct mm_struct *mm, u64 address, bool write);
/* ... when it is there already. */
struct page *sim_user_present(struct mm_struct *mm, u64 address, bool write);
u64 sim_map_file(struct file *file, size_t size, u64 offset);

void sim_user_check(void); /* SIM_COPY_OUT by stores to mapped pages */
void sim_copy_reset(void); /* copy.c */

/* ---- Files: file.c ---- */

void sim_file_reset(void); /* closes all */
void sim_file_check(void); /* SIM_LEAK */
void sim_run_fput(void);

/* ---- The CPU: cpu.c ---- */

struct bawn_vm;
extern const struct bawn_cpu_ops *sim_backend_ops; /* what core takes for the hardware */
extern const struct bawn_cpu_ops sim_neutral_ops;
extern bool sim_ipi_pending;
void sim_cpu_start(void);
void sim_cpu_reset(void);
void sim_cpu_balance(void); /* the host's state is back */
/* For a backend: calls the target's guest. False: there is none, or an interrupt is pending; then
 * nothing of the guest ran. */
bool sim_enter_guest(struct sim_entry *entry);
/* time.c and task.c: may the guest run now? */
bool sim_guest_starts(void);
bool sim_timer_due(void);
void sim_guest_time(void);

/* ---- Oracles and options: check.c ---- */

extern struct sim_options sim_options;
extern struct sim_stats sim_counts;
void sim_check_entry(void); /* at the end of each entry */

/* Of the hardware, in a machine that has the module; NULL otherwise (sim_bare()). */
struct sim_hooks {
    void (*page_use)(struct page *page, bool by_user);
    void (*check)(struct bawn_vm *vm);
    void (*check_msr)(u32 index, u64 value);
};
extern struct sim_hooks sim_hooks;

/* ---- snp.c and svm.c ---- */

void sim_snp_start(void); /* the module is loaded */
void sim_snp_reset(void);
void sim_snp_stop(void);
void sim_snp_check(struct bawn_vm *vm);
/* May the kernel touch this page, or the process? SIM_OWNERSHIP otherwise. */
void sim_snp_page_use(struct page *page, bool by_user);
void sim_svm_start(void); /* before the module is: sets sim_backend_ops */
void sim_svm_reset(void);
/* svm_promise.c: the backend's ops as the machine sees them, and each entry and exit. */
const struct bawn_cpu_ops *sim_svm_promise_start(void);
void sim_svm_promise_reset(void);
void sim_svm_promise_enter(const struct bawn_vcpu *vcpu, u32 event);
void sim_cpu_entered(void);
void sim_cpu_ssbd(u64 guest);
void sim_svm_promise_exit(const struct bawn_vcpu *vcpu, u32 event);
/* A write that the CPU refuses is a finding. */
void sim_svm_check_msr(u32 index, u64 value);
/* The host crashes: calls what the module asked to be called then. cpu.c */
void sim_svm_emergency(void);

#endif

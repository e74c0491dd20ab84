// SPDX-License-Identifier: Apache-2.0
/*
 * Each oracle of the simulated kernel fires: faulty kernel code in a child, which must end by
 * abort() after naming the class and what was wrong. And code without the fault does not.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/bawn.h"
#include "fuzz/sim/internal.h"
/* After the kernel's names. */
#include <cmocka.h>

static const struct sim_options small = { .memory = 4 << 20, .max_steps = 1000 };

/* The code runs in an entry, as a system call does. Its end is the end of the input. */
static void run(void (*code)(void))
{
    sim_start(&small);
    sim_entry_begin("test");
    code();
    sim_entry_end();
    sim_reset();
    sim_stop();
}

static int child(void (*code)(void), char *said, size_t size)
{
    int fd[2], status;
    size_t n = 0;
    ssize_t r;
    pid_t pid;

    assert_int_equal(pipe(fd), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        dup2(fd[1], STDERR_FILENO);
        close(fd[0]);
        signal(SIGABRT, SIG_DFL);
        run(code);
        _exit(0);
    }
    close(fd[1]);
    while (n < size - 1 && (r = read(fd[0], said + n, size - 1 - n)) > 0)
        n += (size_t)r;
    said[n] = 0;
    close(fd[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void finds(void (*code)(void), const char *class, const char *what)
{
    static char said[1 << 16];
    char want[64];
    int status = child(code, said, sizeof(said));

    snprintf(want, sizeof(want), "sim: %s: ", class);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || !strstr(said, want) ||
        !strstr(said, what))
        fail_msg("wanted \"%s%s\", status %#x, but it said: %s", want, what, status, said);
}

static void finds_nothing(void (*code)(void))
{
    static char said[1 << 16];
    int status = child(code, said, sizeof(said));

    if (status)
        fail_msg("status %#x: %s", status, said);
}

/* ---- Leaks ---- */

static void *kept;

static void leak_memory(void)
{
    kept = kmalloc(100, GFP_KERNEL);
}

static void leak_page(void)
{
    kept = alloc_page(GFP_KERNEL);
}

static void leak_descriptor(void)
{
    if (get_unused_fd_flags(0) < 0)
        abort();
}

static enum hrtimer_restart tick(struct hrtimer *t)
{
    (void)t;
    return HRTIMER_NORESTART;
}

static void leak_timer(void)
{
    static struct hrtimer t;

    hrtimer_init(&t, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_PINNED_HARD);
    t.function = tick;
    hrtimer_start(&t, ktime_get() + 1000000, HRTIMER_MODE_ABS_PINNED_HARD);
}

static void leak_reference(void)
{
    if (!try_module_get(THIS_MODULE))
        abort();
}

static long install_and_fail(struct file *file, unsigned int nr, unsigned long argument)
{
    int fd = get_unused_fd_flags(0);

    (void)nr;
    if (fd < 0)
        abort();
    file->refs++;
    fd_install((unsigned int)fd, file);
    return (long)argument;
}

/* A call that answers this after it has made a descriptor. */
static void call_that_installs(long answer)
{
    static const struct file_operations ops = { .unlocked_ioctl = install_and_fail };
    struct file *file = anon_inode_getfile("test", &ops, NULL, O_RDWR);
    int fd = get_unused_fd_flags(0);

    if (IS_ERR(file) || fd < 0)
        abort();
    fd_install((unsigned int)fd, file);
    sim_entry_end();
    sim_ioctl(fd, 0, (uint64_t)answer);
    sim_entry_begin("test");
}

static void fail_with_descriptor(void)
{
    call_that_installs(-EFAULT);
}

static void give_descriptor(void)
{
    call_that_installs(0);
}

static void test_leaks(void **state)
{
    (void)state;
    finds(leak_memory, "LEAK", "1 allocations");
    finds(leak_page, "LEAK", "1 pages");
    finds(leak_descriptor, "LEAK", "reserved");
    finds(leak_timer, "LEAK", "timer");
    finds(leak_reference, "LEAK", "module");
    finds(fail_with_descriptor, "LEAK", "left descriptor");
    finds_nothing(give_descriptor);
}

/* ---- Locks ---- */

static struct mutex a, b;
static spinlock_t s;
static struct srcu_struct srcu;

static void init_locks(void)
{
    mutex_init(&a);
    mutex_init(&b);
    spin_lock_init(&s);
    if (init_srcu_struct(&srcu))
        abort();
}

static void lock_both(struct mutex *first, struct mutex *second)
{
    mutex_lock(first);
    mutex_lock(second);
    mutex_unlock(second);
    mutex_unlock(first);
}

static void order_right(void)
{
    init_locks();
    lock_both(&a, &b);
    lock_both(&a, &b);
}

static void order_wrong(void)
{
    init_locks();
    lock_both(&a, &b);
    lock_both(&b, &a);
}

/* No input shows both: kernel/core/bawn.h says it. */
static void order_promised(void)
{
    struct {
        struct mutex lock, irq_lock;
    } vm_, *vm = &vm_;

    mutex_init(&vm->lock);
    mutex_init(&vm->irq_lock);
    lock_both(&vm->irq_lock, &vm->lock);
}

static void recursion(void)
{
    init_locks();
    mutex_lock(&a);
    mutex_lock(&a);
}

static void held(void)
{
    init_locks();
    mutex_lock(&a);
}

static void not_held(void)
{
    init_locks();
    mutex_unlock(&a);
}

static void never_initialised(void)
{
    struct mutex m = { 0 };

    mutex_lock(&m);
}

static void sleep_in_spinlock(void)
{
    init_locks();
    spin_lock(&s);
    kfree(kmalloc(8, GFP_KERNEL));
}

static void no_sleep_in_spinlock(void)
{
    init_locks();
    spin_lock(&s);
    kfree(kmalloc(8, GFP_ATOMIC));
    spin_unlock(&s);
}

static void copy_with_interrupts_off(void)
{
    u64 value;

    local_irq_disable();
    if (copy_from_user(&value, (void *)0x1000, sizeof(value)))
        local_irq_enable();
}

static void interrupts_stay_off(void)
{
    local_irq_disable();
}

static void move_between_cpus(void)
{
    static DEFINE_PER_CPU(int, counter);

    (*this_cpu_ptr(&counter))++;
}

static enum hrtimer_restart tick_locked(struct hrtimer *t)
{
    (void)t;
    spin_lock(&s);
    spin_unlock(&s);
    return HRTIMER_NORESTART;
}

/* In an interrupt, and elsewhere so that the interrupt can come while it is held. */
static void interrupt_inversion(void)
{
    struct hrtimer t;

    init_locks();
    spin_lock(&s);
    spin_unlock(&s);
    hrtimer_init(&t, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_PINNED_HARD);
    t.function = tick_locked;
    hrtimer_start(&t, ktime_get(), HRTIMER_MODE_ABS_PINNED_HARD);
    local_irq_disable();
    local_irq_enable();
}

static void srcu_reader_waits(void)
{
    int i;

    init_locks();
    i = srcu_read_lock(&srcu);
    synchronize_srcu(&srcu);
    srcu_read_unlock(&srcu, i);
}

static void srcu_inversion(void)
{
    int i;

    init_locks();
    i = srcu_read_lock(&srcu);
    mutex_lock(&a);
    mutex_unlock(&a);
    srcu_read_unlock(&srcu, i);
    mutex_lock(&a);
    synchronize_srcu(&srcu);
}

static void srcu_no_reader(void)
{
    static int *p;

    init_locks();
    (void)srcu_dereference(p, &srcu);
}

static void test_locks(void **state)
{
    (void)state;
    finds_nothing(order_right);
    finds(order_wrong, "LOCK", "order: &a is taken under &b");
    finds(order_promised, "LOCK", "order: &vm->lock is taken under &vm->irq_lock");
    finds(recursion, "LOCK", "recursion: &a");
    finds(held, "LOCK", "&a is held on return to userspace");
    finds(not_held, "LOCK", "&a is released");
    finds(never_initialised, "LOCK", "never initialised");
    finds(srcu_reader_waits, "LOCK", "recursion: &srcu");
    finds(srcu_inversion, "LOCK", "order: &srcu is taken under &a");
    finds(srcu_no_reader, "LOCK", "without being a reader");
}

static void test_context(void **state)
{
    (void)state;
    finds(sleep_in_spinlock, "LOCK", "kmalloc may sleep");
    finds_nothing(no_sleep_in_spinlock);
    finds(copy_with_interrupts_off, "LOCK", "interrupts off");
    finds(interrupts_stay_off, "LOCK", "on return to userspace");
    finds(move_between_cpus, "LOCK", "per-CPU");
    finds(interrupt_inversion, "LOCK", "&s is taken in interrupts");
}

/* ---- Userspace ---- */

static u64 user;

static void fetch_once(void)
{
    u32 v[2];

    user = sim_map(PAGE_SIZE);
    sim_watch(user, 16);
    if (copy_from_user(v, (void *)user, 8) || copy_from_user(v, (void *)(user + 8), 8))
        abort();
    /* Beyond what is watched one may look twice. */
    if (get_user(v[0], (u32 *)(user + 16)) || get_user(v[0], (u32 *)(user + 16)))
        abort();
}

static void fetch_twice(void)
{
    u64 v;

    fetch_once();
    if (get_user(v, (u64 *)(user + 4)) || v)
        abort();
}

static int reads;

static void change(void *context, uint64_t address, size_t size, bool after)
{
    u32 value = 7;

    (void)context;
    (void)size;
    reads++;
    if (!after)
        sim_poke(address, &value, sizeof(value));
}

static void race_is_seen(void)
{
    u32 v;

    user = sim_map(PAGE_SIZE);
    sim_watch(user, 4);
    sim_set_race(change, NULL);
    if (get_user(v, (u32 *)user) || v != 7 || reads != 2)
        abort();
}

static void free_mapped_page(void)
{
    user = sim_map(PAGE_SIZE);
    put_page(virt_to_page(sim_user(user)));
}

static void test_user(void **state)
{
    (void)state;
    finds_nothing(fetch_once);
    finds(fetch_twice, "DOUBLE_FETCH", "test reads byte");
    finds_nothing(race_is_seen);
    finds(free_mapped_page, "OWNERSHIP", "is freed while the process has it mapped");
}

/* ---- Work and waiting ---- */

static void endless(void)
{
    for (;;)
        kfree(kmalloc(8, GFP_KERNEL));
}

static void endless_but_polite(void)
{
    for (;;)
        cond_resched();
}

static void long_but_mortal(void)
{
    while (!fatal_signal_pending(current))
        cond_resched();
}

static void wait_for_nobody(void)
{
    set_current_state(TASK_UNINTERRUPTIBLE);
    schedule();
}

static void wait_interruptibly(void)
{
    set_current_state(TASK_INTERRUPTIBLE);
    schedule();
    if (!signal_pending(current))
        abort();
}

static void hold_and_wait(void *arg)
{
    struct mutex **m = arg;

    sim_entry_begin("other");
    mutex_lock(m[0]);
    sim_yield();
    mutex_lock(m[1]);
    mutex_unlock(m[1]);
    mutex_unlock(m[0]);
    sim_entry_end();
}

/* The order is a finding before the deadlock is there. */
static void embrace(void)
{
    static struct mutex *ab[] = { &a, &b }, *ba[] = { &b, &a };

    init_locks();
    if (sim_spawn(hold_and_wait, ab) < 0 || sim_spawn(hold_and_wait, ba) < 0)
        abort();
    sim_join_all();
}

static void test_work(void **state)
{
    (void)state;
    finds(endless, "UNBOUNDED", "test took 1001 steps");
    finds(endless_but_polite, "UNBOUNDED", "cannot be killed");
    finds_nothing(long_but_mortal);
    finds(wait_for_nobody, "DEADLOCK", "every task waits");
    finds_nothing(wait_interruptibly);
    finds(embrace, "LOCK", "order:");
}

/* ---- Warnings and hardware ---- */

static void warn(void)
{
    WARN_ON(1);
}

static void too_few_references(void)
{
    refcount_t r;

    refcount_set(&r, 1);
    if (refcount_dec_and_test(&r))
        refcount_inc(&r);
}

static void delete_twice(void)
{
    LIST_HEAD(list);
    struct list_head node;

    list_add(&node, &list);
    list_del(&node);
    list_del(&node);
}

static void free_page_twice(void)
{
    struct page *page = alloc_page(GFP_KERNEL);

    __free_page(page);
    __free_page(page);
}

static void wild_address(void)
{
    (void)*(volatile char *)__va(0x1000);
}

static void no_physical_address(void)
{
    (void)__pa(&kept);
}

static void no_such_msr(void)
{
    u64 v;

    rdmsrl(0x12345, v);
    kept = (void *)(unsigned long)v;
}

static void bad_xcr0(void)
{
    xsetbv(0, 4);
}

static void leave_xcr0(void)
{
    xsetbv(0, 1);
}

#define INTERRUPT 0x80000041u

static struct bawn_vcpu one, two;

static void run_guest(const struct bawn_vcpu *vcpu, u32 event)
{
    sim_svm_promise_enter(vcpu, event);
    x86_ibpb_exit_to_user = true;
}

static void lose_event(void)
{
    sim_svm_promise_exit(&one, INTERRUPT);
    run_guest(&one, 0);
}

static void deliver_event(void)
{
    sim_svm_promise_exit(&one, INTERRUPT);
    run_guest(&one, INTERRUPT);
    run_guest(&one, 0);
}

/* Userspace may do away with it, and then no entry owes it. */
static void drop_event(void)
{
    sim_svm_promise_exit(&one, INTERRUPT);
    sim_entry_end();
    sim_entry_begin("test");
    run_guest(&one, 0);
}

static void switch_without_barrier(void)
{
    run_guest(&one, 0);
    run_guest(&two, 0);
}

static void switch_with_barrier(void)
{
    run_guest(&one, 0);
    run_guest(&one, 0);
    indirect_branch_prediction_barrier();
    run_guest(&two, 0);
}

static void forget_userspace(void)
{
    sim_svm_promise_enter(&one, 0);
}

static void other_ssbd(void)
{
    x86_virt_spec_ctrl(0, true);
    sim_cpu_ssbd(4);
}

static void keep_ssbd(void)
{
    x86_virt_spec_ctrl(4, true);
}

static void right_ssbd(void)
{
    x86_virt_spec_ctrl(4, true);
    sim_cpu_ssbd(4);
    x86_virt_spec_ctrl(4, false);
}

static void test_promises(void **state)
{
    (void)state;
    finds(lose_event, "STATE", "event 0x80000041 was not delivered");
    finds_nothing(deliver_event);
    finds_nothing(drop_event);
    finds(switch_without_barrier, "HARDWARE", "IBPB");
    finds_nothing(switch_with_barrier);
    finds(forget_userspace, "STATE", "userspace follows without a barrier");
    finds(other_ssbd, "STATE", "without the SSBD that it chose");
    finds(keep_ssbd, "STATE", "SSBD is in force on return");
    finds_nothing(right_ssbd);
}

static void test_warn(void **state)
{
    (void)state;
    finds(warn, "WARN", "oracle_test.c");
    finds(too_few_references, "WARN", "base.h");
    finds(delete_twice, "WARN", "LIST_POISON");
    finds(free_page_twice, "WARN", "freed twice");
}

static void test_hardware(void **state)
{
    (void)state;
    finds(wild_address, "HARDWARE", "does not exist");
    finds(no_physical_address, "HARDWARE", "no page");
    finds(no_such_msr, "HARDWARE", "RDMSR 0x12345");
    finds(bad_xcr0, "HARDWARE", "XSETBV");
    finds(leave_xcr0, "STATE", "XCR0");
}

/* ---- The sanitizer sees what the arena has freed ---- */

static void use_page_after_free(void)
{
    char *p = (char *)get_zeroed_page(GFP_KERNEL);

    free_page((unsigned long)p);
    *(volatile char *)p = 1;
}

static void write_before_allocation(void)
{
    char *p = kmalloc(8, GFP_KERNEL);

    *(volatile char *)(p - 1) = 1;
    kfree(p);
}

static void write_behind_page(void)
{
    char *p = (char *)get_zeroed_page(GFP_KERNEL);
    struct page *next = alloc_page(GFP_KERNEL);

    *(volatile char *)(p + PAGE_SIZE) = 1;
    __free_page(next);
    free_page((unsigned long)p);
}

static void test_asan(void **state)
{
    static char said[1 << 16];

    (void)state;
    assert_int_not_equal(child(use_page_after_free, said, sizeof(said)), 0);
    assert_non_null(strstr(said, "use-after-poison"));
    assert_int_not_equal(child(write_behind_page, said, sizeof(said)), 0);
    assert_non_null(strstr(said, "use-after-poison"));
    assert_int_not_equal(child(write_before_allocation, said, sizeof(said)), 0);
    assert_non_null(strstr(said, "use-after-poison"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaks),    cmocka_unit_test(test_locks),
        cmocka_unit_test(test_context),  cmocka_unit_test(test_user),
        cmocka_unit_test(test_work),     cmocka_unit_test(test_warn),
        cmocka_unit_test(test_hardware), cmocka_unit_test(test_asan),
        cmocka_unit_test(test_promises),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Directed yield: which vCPU runs after another left by the PAUSE filter. Tasks are one CPU's, and
 * switched where a test says; each vCPU's guest is a list of exits, and a log says who ran when.
 */
#include <setjmp.h>
#include <stdarg.h>

#include "svm/svm.h"
/* After the kernel's names. */
#include <cmocka.h>
#include "svm_machine.h"

enum act {
    STOP,    /* KVM_RUN returns */
    LOSES,   /* the host takes the CPU away */
    LOSES_3, /* ... in the guest's user code */
    SPINS,
    SPINS_3,
    HALTS,
};

#define VCPUS 5u
#define ACTS 8

static struct sim_vm vm;
static struct {
    enum act act[ACTS];
    unsigned at;
} guest[VCPUS];
static char log[32]; /* vCPUs' numbers as they are entered */
static unsigned logged;
static uint64_t yields_before;
static uint16_t window[32]; /* ... and how many PAUSEs each may make */

static uint64_t yields(void)
{
    return sim_stats()->yields - yields_before;
}

static void lose_cpu(void)
{
    static const uint8_t next = 1;

    sim_schedule(&next, 1);
}

static void play(void *context, struct sim_entry *entry)
{
    unsigned i = (unsigned)entry->vcpu->idx;
    struct sim_svm_exit exit = { .code = SIM_EXIT_INTR };
    enum act act = guest[i].act[guest[i].at];
    struct sim_svm_state s;

    (void)context;
    assert_true(logged < sizeof(log) - 1);
    window[logged] = entry->vmcb->control.pause_filter_count;
    log[logged++] = (char)('0' + i);
    if (guest[i].at < ACTS - 1)
        guest[i].at++;
    sim_svm_get(entry, &s);
    s.cpl = act == LOSES_3 || act == SPINS_3 ? 3 : 0;
    switch (act) {
    case STOP:
        sim_signal(sim_task());
        break;
    case LOSES:
    case LOSES_3:
        lose_cpu();
        break;
    case SPINS:
    case SPINS_3:
        exit.code = SIM_EXIT_PAUSE;
        break;
    case HALTS:
        s.rflags |= X86_EFLAGS_IF;
        exit.code = SIM_EXIT_HLT;
        break;
    }
    sim_svm_set(entry, &s);
    exit.next_rip = s.rip + 1;
    sim_svm_leave(entry, &exit);
}

#define GUEST(i, ...) \
    memcpy(guest[i].act, (enum act[]){ __VA_ARGS__ }, sizeof((enum act[]){ __VA_ARGS__ }))

static void run_vcpu(void *number)
{
    sim_vm_run(&vm, (unsigned)(uintptr_t)number);
}

static void spawn(void (*fn)(void *), unsigned vcpu)
{
    assert_true(sim_spawn(fn, (void *)(uintptr_t)vcpu) > 0);
}

/* The tasks run in this order when nothing else decides; nothing is left to run after them. */
static void run(const char *order)
{
    for (; *order; order++)
        spawn(run_vcpu, (unsigned)(*order - '0'));
    sim_join_all();
    log[logged] = 0;
}

static int setup(void **state)
{
    (void)state;
    memset(guest, 0, sizeof(guest));
    memset(log, 0, sizeof(log));
    logged = 0;
    yields_before = sim_stats()->yields;
    machine_new(&vm, VCPUS, play);
    for (unsigned i = 0; i < VCPUS; i++) {
        struct kvm_mp_state runnable = { KVM_MP_STATE_RUNNABLE };

        assert_int_equal(
            sim_vm_call(&vm, vm.vcpu[i], KVM_SET_MP_STATE, &runnable, sizeof(runnable)), 0);
        machine_enable_apic(&vm, i);
    }
    return 0;
}

/* ---- Which one ---- */

/* One halts, one lost its CPU in user code: a kernel's lock is held by neither. */
static void kernel_spins_for_who_was_in_kernel(void **state)
{
    (void)state;
    GUEST(1, LOSES_3);
    GUEST(2, HALTS);
    GUEST(3, LOSES);
    GUEST(0, SPINS);
    run("1230");
    assert_memory_equal(log, "12303", 5);
    assert_int_equal(yields(), 1);
}

static void user_code_spins_for_any(void **state)
{
    (void)state;
    GUEST(1, LOSES_3);
    GUEST(3, LOSES);
    GUEST(0, SPINS_3);
    run("130");
    assert_memory_equal(log, "1301", 4);
}

static void send_interrupt(void *number)
{
    machine_send(&vm, (unsigned)(uintptr_t)number, 0x41);
}

/* Both are behind one that has nothing to do in the kernel; it is 2 that was sent an interrupt. */
static void interrupt_two(enum act act)
{
    GUEST(1, LOSES_3);
    GUEST(2, act);
    GUEST(0, SPINS);
    spawn(run_vcpu, 1);
    spawn(run_vcpu, 2);
    spawn(send_interrupt, 2);
    run("0");
    assert_memory_equal(log, "1202", 4);
}

/* A shootdown waits for all that were sent an interrupt. */
static void user_code_with_an_interrupt_to_take(void **state)
{
    (void)state;
    interrupt_two(LOSES_3);
}

static void a_halted_one_that_was_woken(void **state)
{
    (void)state;
    interrupt_two(HALTS);
}

/* 3 spins and lets 2 run; when that spins, 3 would be next. */
static void spinners_come_last(void **state)
{
    (void)state;
    GUEST(0, LOSES);
    GUEST(2, LOSES, SPINS);
    GUEST(3, SPINS);
    run("023");
    assert_memory_equal(log, "02320", 5);
}

static void if_all_spin_it_is_one_of_them(void **state)
{
    (void)state;
    GUEST(2, LOSES, SPINS);
    GUEST(3, SPINS);
    run("23");
    assert_memory_equal(log, "2323", 4);
}

/* Two are in turn. */
static void each_in_its_turn(void **state)
{
    (void)state;
    GUEST(1, LOSES, LOSES);
    GUEST(2, LOSES, LOSES);
    GUEST(0, SPINS, SPINS);
    run("120");
    assert_memory_equal(log, "1201", 4);
    assert_non_null(strstr(log + 4, "02"));
}

static void alone_it_goes_on(void **state)
{
    (void)state;
    GUEST(0, SPINS, SPINS, SPINS);
    run("0");
    assert_string_equal(log, "0000");
    assert_int_equal(yields(), 0);
}

/* ---- Threads that come and go ---- */

/* Its thread has left KVM_RUN, and waits elsewhere: not this vCPU's. */
static void run_then_wait(void *number)
{
    run_vcpu(number);
    for (int i = 0; i < 4; i++)
        sim_yield();
}

static void a_thread_that_left_is_no_target(void **state)
{
    (void)state;
    GUEST(1, LOSES, STOP);
    GUEST(0, LOSES, SPINS, SPINS);
    spawn(run_then_wait, 1);
    run("0");
    assert_int_equal(yields(), 0);
}

static void close_vcpu(void *number)
{
    run_vcpu(number);
    assert_int_equal(sim_close(vm.vcpu[(uintptr_t)number]), 0);
}

/* The vCPU's thread has ended, and its file is closed. */
static void a_vcpu_that_is_closed_is_no_target(void **state)
{
    (void)state;
    GUEST(1, LOSES, STOP);
    GUEST(0, LOSES, LOSES, SPINS, SPINS);
    spawn(close_vcpu, 1);
    run("0");
    assert_int_equal(yields(), 0);
}

/* Another thread runs the vCPU now: it is the one that gets the time. */
static void the_thread_that_runs_it_now(void **state)
{
    (void)state;
    GUEST(1, STOP, LOSES);
    GUEST(0, SPINS);
    spawn(run_then_wait, 1);
    run("10");
    assert_string_equal(log, "11010");
    assert_int_equal(yields(), 1);
}

/* ---- Bounds ---- */

/* Where the scheduler refuses (other classes do), three are asked. */
static void no_more_than_three_are_tried(void **state)
{
    (void)state;
    for (unsigned i = 1; i < VCPUS; i++)
        GUEST(i, LOSES);
    GUEST(0, SPINS);
    sim_refuse_yields(true);
    run("12340");
    sim_refuse_yields(false);
    assert_int_equal(yields(), 3);
}

static void of_all_vcpus(void **state)
{
    (void)state;
    for (unsigned i = VCPUS; i < BAWN_MAX_VCPUS; i++)
        assert_true(sim_ioctl(vm.fd, KVM_CREATE_VCPU, i) >= 0);
    GUEST(3, LOSES);
    GUEST(0, SPINS);
    run("30");
    assert_memory_equal(log, "303", 3);
}

/* The window doubles with each PAUSE exit, up to what the field holds, and begins anew when others
 * had the CPU. */
static void the_window_follows(void **state)
{
    (void)state;
    GUEST(0, SPINS, SPINS, SPINS, SPINS, SPINS, SPINS, LOSES);
    GUEST(1, STOP);
    run("01");
    assert_string_equal(log, "000000010");
    assert_int_equal(window[0], 3000);
    assert_int_equal(window[1], 6000);
    assert_int_equal(window[4], 48000);
    assert_int_equal(window[5], 65535);
    assert_int_equal(window[6], 65535);
    assert_int_equal(window[8], 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(kernel_spins_for_who_was_in_kernel),
        TEST(user_code_spins_for_any),
        TEST(user_code_with_an_interrupt_to_take),
        TEST(a_halted_one_that_was_woken),
        TEST(spinners_come_last),
        TEST(if_all_spin_it_is_one_of_them),
        TEST(each_in_its_turn),
        TEST(alone_it_goes_on),
        TEST(a_thread_that_left_is_no_target),
        TEST(a_vcpu_that_is_closed_is_no_target),
        TEST(the_thread_that_runs_it_now),
        TEST(no_more_than_three_are_tried),
        TEST(of_all_vcpus),
        TEST(the_window_follows),
    };

    return cmocka_run_group_tests(tests, machine_start, NULL);
}

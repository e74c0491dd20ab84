/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inner loop, which answers exits without leaving: a guest that does nothing but CPUID, or but
 * hypercalls, while the host wants something of its vCPU, its VM or its thread. Each must come
 * about. There is no limit on how soon: a test fails when it never does.
 */
#define _GNU_SOURCE
#include "apic.h"
#include "memory.h"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

GUEST_FN(loop_cpuid);
GUEST_FN(loop_vmmcall);

#define SIZE (64 * PAGE)
#define OSXSAVE BIT(27) /* CPUID 1, ECX */
#define CR4_OSXSAVE BIT(18)

static const struct loop {
    const char *name;
    const uint8_t *code;
    bool cpuid;
} loops[] = {
    { "CPUID", code_loop_cpuid, true },
    { "hypercall", code_loop_vmmcall, false },
};

static const struct loop *loop; /* the one under test */
static struct vcpu *cpu;
static uint8_t *slot;

static volatile uint32_t *report(unsigned offset)
{
    return (volatile uint32_t *)(cpu->vm->mem + COPY + offset);
}

static bool goes_on(void)
{
    uint32_t before = *report(LOOP_ROUNDS);

    return WAIT_FOR(*report(LOOP_ROUNDS) - before > 20);
}

/* One KVM_RUN, whatever ends it; where there is no slot the guest reads zeroes. */
static void *run(void *unused)
{
    do
        cpu->result = vcpu_run(cpu);
    while (cpu->result == KVM_EXIT_MMIO);
    cpu->stop = true;
    return unused;
}

static void go_on(void)
{
    cpu->stop = false;
    ASSERT_EQ(pthread_create(&cpu->thread, NULL, run, NULL), 0);
    cpu->threaded = true;
    EXPECT(goes_on());
}

/* The thread's KVM_RUN has come back, or never does. */
static void ends(void)
{
    if (WAIT_FOR(cpu->stop)) {
        vcpu_join(cpu);
        return;
    }
    lab_fail(__FILE__, __LINE__, "KVM_RUN does not return");
    lab_abort();
}

static void stop(void)
{
    pthread_kill(cpu->thread, SIGUSR1);
    ends();
    EXPECT_EQ(cpu->result, -EINTR);
}

static void each(void (*body)(void))
{
    for (loop = loops; loop < loops + ARRAY_SIZE(loops); loop++) {
        struct vm *vm = vm_split();
        struct kvm_regs regs;

        lab_row(loop->name);
        slot = memory_new(SIZE);
        vm_slot(vm, 1, 0, HIGH, SIZE, slot);
        cpu = apic_vcpu(vm, 0, false);
        guest_prepare(cpu, GUEST_CODE + (uint64_t)(loop->code - __start_guest), HIGH, COPY, 0, 0);
        regs = vcpu_regs(cpu);
        regs.rflags |= 0x200; /* IF */
        vcpu_set_regs(cpu, &regs);
        body();
        vm_destroy(vm);
    }
}

/* ---- its thread ---- */

static void signalled(void)
{
    for (unsigned i = 0; i < 5; i++) {
        go_on();
        stop();
    }
    if (loop->cpuid)
        EXPECT(*report(LOOP_ANSWER) & 1); /* SSE3 */
    else
        EXPECT_EQ((int)*report(LOOP_ANSWER), -1000); /* KVM_ENOSYS */
}

static void test_signal(void)
{
    each(signalled);
}

/* It is looked at when KVM_RUN begins, so that a signal just before is not lost. */
static void immediate(void)
{
    uint32_t rounds;

    go_on();
    cpu->run->immediate_exit = 1;
    EXPECT(goes_on());
    stop();
    rounds = *report(LOOP_ROUNDS);
    EXPECT_EQ(vcpu_run(cpu), -EINTR);
    EXPECT_EQ(*report(LOOP_ROUNDS), rounds);
    cpu->run->immediate_exit = 0;
    go_on();
    stop();
}

static void test_immediate(void)
{
    each(immediate);
}

/* On one CPU with a thread that never gives it up, both get on. */
static void shared_cpu(void)
{
    cpu_set_t one, all;
    uint64_t mine = 0;

    ASSERT_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    go_on(); /* its thread inherits that */
    for (unsigned i = 0; i < 5; i++) {
        uint64_t end = lab_now() + 5000000000ull * lab_slower();
        uint32_t before = *report(LOOP_ROUNDS);

        while (*report(LOOP_ROUNDS) == before && (++mine % 1000 || lab_now() < end))
            ;
        EXPECT(*report(LOOP_ROUNDS) != before);
    }
    stop();
    sched_setaffinity(0, sizeof(all), &all);
}

static void test_shared_cpu(void)
{
    each(shared_cpu);
}

static void killed(void)
{
    pid_t child = fork(), gone = 0;
    int status = 0;

    ASSERT(child >= 0);
    if (!child) { /* a VM of its own: it belongs to the process that made it */
        struct vm *vm = vm_split();

        cpu = vcpu_new(vm, 0);
        slot = memory_new(SIZE);
        vm_slot(vm, 1, 0, HIGH, SIZE, slot);
        guest_prepare(cpu, GUEST_CODE + (uint64_t)(loop->code - __start_guest), HIGH, COPY, 0, 0);
        go_on();
        raise(lab_failed() ? SIGTERM : SIGKILL);
        _exit(1);
    }
    if (!WAIT_FOR(gone == child || (gone = waitpid(child, &status, WNOHANG)) == child)) {
        lab_fail(__FILE__, __LINE__, "the process does not end");
        lab_abort();
    }
    EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void test_killed(void)
{
    each(killed);
}

/* ---- its vCPU ---- */

static void interrupted(void)
{
    go_on();
    for (unsigned i = 0; i < 20; i++) {
        uint32_t before = *mbox32(cpu, MBOX_COUNT);

        EXPECT_EQ(apic_msi(cpu->vm, 0, 0x40 + i), 1);
        EXPECT(WAIT_FOR(*mbox32(cpu, MBOX_COUNT) == before + 1));
        EXPECT_EQ(mbox_logged(cpu, before), 0x40 + i);
    }
    EXPECT(goes_on());
    stop();
}

static void test_interrupted(void)
{
    each(interrupted);
}

static struct kvm_regs others_regs;
static volatile int others_answer;

static void *get_registers(void *unused)
{
    others_answer = kvm_call(cpu->fd, KVM_GET_REGS, &others_regs);
    return unused;
}

/* Another thread's call waits for KVM_RUN, and gets its turn when that is asked to return. */
static void paused(void)
{
    pthread_t other;

    others_answer = 1;
    go_on();
    ASSERT_EQ(pthread_create(&other, NULL, get_registers, NULL), 0);
    EXPECT(goes_on());
    EXPECT_EQ(others_answer, 1);
    stop();
    EXPECT(WAIT_FOR(others_answer == 0));
    pthread_join(other, NULL);
    EXPECT_EQ(others_regs.rsi, COPY);
    go_on();
    stop();
}

static void test_paused(void)
{
    each(paused);
}

/* What CPUID answers follows CR4 from one KVM_RUN to the next. */
static void changed(void)
{
    struct kvm_sregs s;

    for (unsigned i = 0; i < 4; i++) {
        bool on = i & 1;

        s = vcpu_sregs(cpu);
        s.cr4 = on ? s.cr4 | CR4_OSXSAVE : s.cr4 & ~CR4_OSXSAVE;
        ASSERT_EQ(vcpu_set_sregs(cpu, &s), 0);
        vcpu_set_cpuid(cpu); /* the same again is allowed */
        go_on();
        if (loop->cpuid)
            EXPECT_EQ(!!(*report(LOOP_ANSWER) & OSXSAVE), on);
        stop();
    }
}

static void test_changed(void)
{
    if (!(lab_cpuid_find(1, 0)->ecx & BIT(26)))
        lab_skip("no XSAVE");
    each(changed);
}

/* ---- its VM ---- */

static bool sees(uint32_t value)
{
    return WAIT_FOR(*report(LOOP_SEEN) == value);
}

/* The slot goes and comes back with other memory: the call returns, and the guest sees it. */
static void slots(void)
{
    uint8_t *mem[2] = { slot, memory_new(SIZE) };

    for (unsigned i = 0; i < 2; i++)
        *(uint32_t *)mem[i] = 0x1000 + i;
    go_on();
    for (unsigned i = 0; i < 10; i++) {
        vm_slot(cpu->vm, 1, 0, HIGH, 0, NULL);
        vm_slot(cpu->vm, 1, 0, HIGH, SIZE, mem[i % 2]);
        EXPECT(sees(0x1000 + i % 2));
    }
    stop();
}

static void test_slots(void)
{
    each(slots);
}

/* Taken from under the guest by the host: the next round reads what the process has there now. */
static void unmapped(void)
{
    go_on();
    for (unsigned i = 0; i < 10; i++) {
        *(uint32_t *)slot = 0x2000 + i;
        EXPECT(sees(0x2000 + i));
        ASSERT_EQ(madvise(slot, SIZE, MADV_DONTNEED), 0);
        EXPECT(sees(0));
    }
    stop();
}

static void test_unmapped(void)
{
    each(unmapped);
}

static bool page_is_dirty(void)
{
    uint64_t bitmap = 0;
    struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = &bitmap };

    EXPECT_EQ(kvm_call(cpu->vm->fd, KVM_GET_DIRTY_LOG, &log), 0);
    return bitmap & 1;
}

/* After each clear the guest's next write is told again. */
static void dirty_log(void)
{
    struct kvm_enable_cap cap = { .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
                                  .args = { KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE } };
    uint64_t first = 1;
    struct kvm_clear_dirty_log clear = { .slot = 1, .num_pages = 64, .dirty_bitmap = &first };

    ASSERT_EQ(kvm_call(cpu->vm->fd, KVM_ENABLE_CAP, &cap), 0);
    go_on();
    vm_slot(cpu->vm, 1, KVM_MEM_LOG_DIRTY_PAGES, HIGH, SIZE, slot);
    for (unsigned i = 0; i < 10; i++) {
        EXPECT(WAIT_FOR(page_is_dirty()));
        EXPECT_EQ(kvm_call(cpu->vm->fd, KVM_CLEAR_DIRTY_LOG, &clear), 0);
    }
    stop();
}

static void test_dirty_log(void)
{
    each(dirty_log);
}

/* Calls that every vCPU has to take notice of return, and the guest goes on. */
static void settings(void)
{
    struct kvm_clock_data clock = { .clock = 1000000000 };
    struct kvm_msr_filter filter = { .flags = KVM_MSR_FILTER_DEFAULT_ALLOW };
    struct {
        struct kvm_irq_routing head;
        struct kvm_irq_routing_entry entry;
    } routing = {
        .head.nr = 1,
        .entry = { .gsi = 3,
                   .type = KVM_IRQ_ROUTING_MSI,
                   .u.msi = { .address_lo = APIC_PAGE, .data = 0x51 } },
    };

    go_on();
    for (unsigned i = 0; i < 5; i++) {
        EXPECT_EQ(kvm_call(cpu->vm->fd, KVM_SET_CLOCK, &clock), 0);
        EXPECT_EQ(kvm_call(cpu->vm->fd, KVM_X86_SET_MSR_FILTER, &filter), 0);
        EXPECT_EQ(kvm_call(cpu->vm->fd, KVM_SET_GSI_ROUTING, &routing), 0);
        EXPECT(vcpu_new(cpu->vm, i + 1));
        EXPECT(goes_on());
    }
    stop();
}

static void test_settings(void)
{
    each(settings);
}

static const struct lab_test tests[] = {
    { "a signal ends KVM_RUN", test_signal },
    { "immediate_exit", test_immediate },
    { "a busy thread on the same CPU", test_shared_cpu },
    { "the process is killed", test_killed },
    { "interrupts by KVM_SIGNAL_MSI", test_interrupted },
    { "another thread's call on the vCPU", test_paused },
    { "CR4 and CPUID between two runs", test_changed },
    { "a slot gets other memory", test_slots },
    { "the host takes memory away", test_unmapped },
    { "the dirty log is cleared", test_dirty_log },
    { "clock, MSR filter, routing, another vCPU", test_settings },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}

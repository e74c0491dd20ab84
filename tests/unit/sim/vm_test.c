// SPDX-License-Identifier: Apache-2.0
/*
 * A plain VM lives in the simulation, by the calls of a VMM: exits of each kind that a guest of
 * ours causes, timers on virtual time, eventfds, the dirty log, private memory; and it goes
 * without a trace, whatever allocation fails on the way.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>

#include <asm/apicdef.h>

#include "core/bawn.h"
#include "fuzz/sim/sim.h"
/* After the kernel's names. */
#include <cmocka.h>

#define MEMORY (1ul << 20)
#define VECTOR 0x40
#define X2APIC(reg) (0x800 + ((reg) >> 4))

/* ---- A VMM ---- */

static int dev, vm, cpu;
static uint64_t arg, memory;
static struct kvm_run *run;

/* With the argument in the process's memory, and back. */
static long call(int fd, unsigned long request, void *data, size_t size)
{
    long r;

    assert_true(sim_poke(arg, data, size));
    r = sim_ioctl(fd, request, arg);
    assert_true(sim_peek(arg, data, size));
    return r;
}
#define CALL(fd, request, data) call(fd, request, &(data), sizeof(data))

static long add_slot(u32 id, u32 flags, u64 gpa, u64 size, u64 hva)
{
    struct kvm_userspace_memory_region r = { id, flags, gpa, size, hva };

    return CALL(vm, KVM_SET_USER_MEMORY_REGION, r);
}

/* What the host offers, as a VMM passes it on. */
static void set_cpuid(void)
{
    u32 n = 100;

    assert_true(sim_poke(arg, &n, sizeof(n)));
    assert_int_equal(sim_ioctl(dev, KVM_GET_SUPPORTED_CPUID, arg), 0);
    assert_int_equal(sim_ioctl(cpu, KVM_SET_CPUID2, arg), 0);
}

static void create(unsigned long type, bool irqchip)
{
    struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };

    dev = sim_open();
    assert_true(dev >= 0);
    assert_int_equal(sim_ioctl(dev, KVM_GET_API_VERSION, 0), KVM_API_VERSION);
    vm = (int)sim_ioctl(dev, KVM_CREATE_VM, type);
    assert_true(vm >= 0);
    arg = sim_map(4 * PAGE_SIZE);
    memory = sim_map(MEMORY);
    if (irqchip)
        assert_int_equal(CALL(vm, KVM_ENABLE_CAP, cap), 0);
    if (type == KVM_X86_DEFAULT_VM)
        assert_int_equal(add_slot(0, 0, 0, MEMORY, memory), 0);
    cpu = (int)sim_ioctl(vm, KVM_CREATE_VCPU, 0);
    assert_true(cpu >= 0);
    set_cpuid();
    run = sim_user(sim_mmap(cpu, PAGE_SIZE, 0));
    assert_non_null(run);
}

static long kvm_run(void)
{
    return sim_ioctl(cpu, KVM_RUN, 0);
}

/* ---- A guest: steps in order, each with the exit that it causes ---- */

typedef void (*step_fn)(struct sim_entry *e);
static const step_fn *steps;
static struct sim_entry last;

static void guest(void *context, struct sim_entry *e)
{
    (void)context;
    last = *e;
    (*steps++)(e);
}

static void start(const step_fn *program)
{
    steps = program;
    sim_set_guest(guest, NULL);
}

static void wrmsr(struct sim_entry *e, u32 index, u64 value)
{
    e->exit->kind = BAWN_EXIT_MSR;
    e->exit->msr.write = true;
    e->exit->len = 2;
    e->gpr[VCPU_RCX] = index;
    e->gpr[VCPU_RAX] = (u32)value;
    e->gpr[VCPU_RDX] = value >> 32;
}

static void do_hlt(struct sim_entry *e)
{
    e->exit->kind = BAWN_EXIT_HLT;
    e->exit->len = 1;
    e->vcpu->rflags |= X86_EFLAGS_IF;
}

static void do_out(struct sim_entry *e)
{
    e->exit->kind = BAWN_EXIT_IO;
    e->exit->io.port = 0x80;
    e->exit->io.size = 1;
    e->exit->len = 2;
    e->gpr[VCPU_RAX] = 0x5a;
}

static void do_in(struct sim_entry *e)
{
    do_out(e);
    e->exit->io.in = true;
}

static void do_cpuid(struct sim_entry *e)
{
    e->exit->kind = BAWN_EXIT_CPUID;
    e->exit->len = 2;
    e->gpr[VCPU_RAX] = 0x80000002;
}

static void do_touch(struct sim_entry *e)
{
    e->exit->kind = BAWN_EXIT_NPF;
    e->exit->npf.gpa = 0x3008;
    e->exit->npf.access = BAWN_FAULT_WRITE;
}

static void teardown_vm(void)
{
    sim_check();
    sim_reset();
}

/* ---- Exits ---- */

static void cpuid_was_served(struct sim_entry *e)
{
    assert_int_equal(e->gpr[VCPU_RAX], 0x756d6953); /* "Simu" */
    assert_int_equal(e->vcpu->rip, 0xfff2);
    do_out(e);
}

static void test_exits(void **state)
{
    static const step_fn program[] = { do_cpuid, cpuid_was_served, do_in, do_hlt };

    (void)state;
    create(KVM_X86_DEFAULT_VM, false);
    start(program);
    assert_int_equal(kvm_run(), 0);
    assert_int_equal(run->exit_reason, KVM_EXIT_IO);
    assert_int_equal(run->io.direction, KVM_EXIT_IO_OUT);
    assert_int_equal(run->io.port, 0x80);
    /* What was written is on the page behind. */
    {
        uint64_t at = sim_mmap(cpu, 2 * PAGE_SIZE, 0);

        assert_int_equal(*(u8 *)sim_user(at + run->io.data_offset), 0x5a);
        assert_int_equal(kvm_run(), 0);
        assert_int_equal(run->io.direction, KVM_EXIT_IO_IN);
        *(u8 *)sim_user(at + run->io.data_offset) = 0x77;
    }
    assert_int_equal(kvm_run(), 0);
    assert_int_equal(last.gpr[VCPU_RAX], 0x77);
    assert_int_equal(run->exit_reason, KVM_EXIT_HLT);
    teardown_vm();
}

static void memory_is_there(struct sim_entry *e)
{
    u8 *p = sim_guest(e->vcpu, 0x3008, true, false);

    assert_non_null(p);
    *p = 0x99;
    assert_null(sim_guest(e->vcpu, 0x4008, false, false));
    do_out(e);
}

static void test_memory(void **state)
{
    static const step_fn program[] = { do_touch, memory_is_there, do_touch, memory_is_there };

    (void)state;
    create(KVM_X86_DEFAULT_VM, false);
    start(program);
    assert_int_equal(kvm_run(), 0);
    assert_int_equal(*(u8 *)sim_user(memory + 0x3008), 0x99);
    sim_check();
    /* Another page behind it: the nested table forgets the old one. */
    sim_migrate(memory + 0x3000);
    sim_check();
    assert_int_equal(kvm_run(), 0);
    assert_int_equal(*(u8 *)sim_user(memory + 0x3008), 0x99);
    sim_unmap(memory, MEMORY);
    teardown_vm();
}

static void large_is_gone(struct sim_entry *e)
{
    assert_int_equal(e->vcpu->vm->stat.pages_2m, 0);
    assert_int_equal(e->vcpu->vm->stat.pages_4k, 1);
    do_out(e);
}

static void do_out_far(struct sim_entry *e)
{
    assert_int_equal(e->vcpu->vm->stat.pages_2m, 1);
    assert_non_null(sim_guest(e->vcpu, PMD_SIZE - 1, true, false));
    assert_null(sim_guest(e->vcpu, PMD_SIZE, false, false));
    do_out(e);
}

static void test_large_page(void **state)
{
    static const step_fn program[] = { do_touch, do_out_far, do_touch, large_is_gone };
    static const step_fn first[] = { do_touch, memory_is_there };
    uint64_t large;

    (void)state;
    create(KVM_X86_DEFAULT_VM, false);
    assert_int_equal(add_slot(0, 0, 0, 0, 0), 0);
    large = sim_map(2 * PMD_SIZE);
    assert_int_equal(add_slot(0, 0, 0, 2 * PMD_SIZE, large), 0);
    sim_check_always(true);
    start(first);
    assert_int_equal(kvm_run(), 0);
    assert_true(sim_collapse(large + PAGE_SIZE));
    assert_false(sim_collapse(large));
    assert_int_equal(*(u8 *)sim_user(large + 0x3008), 0x99);
    start(program);
    assert_int_equal(kvm_run(), 0);
    assert_true(sim_age(large, PAGE_SIZE, SIM_AGE_TEST));
    assert_true(sim_age(large, PAGE_SIZE, SIM_AGE_CLEAR_FLUSH));
    assert_false(sim_age(large, PAGE_SIZE, SIM_AGE_CLEAR));
    /* One page of it moves: it is no large one any more. */
    sim_migrate(large);
    assert_int_equal(kvm_run(), 0);
    teardown_vm();
}

#define DEVICE 0xd0000010ull

static void do_mmio(struct sim_entry *e)
{
    e->exit->kind = BAWN_EXIT_NPF;
    e->exit->npf.gpa = DEVICE;
    e->exit->npf.access = BAWN_FAULT_WRITE;
}

static void test_mmio(void **state)
{
    static const step_fn program[] = { do_mmio, do_hlt };
    static const u8 code[] = { 0x67, 0x88, 0x03 }; /* mov %al, (%ebx) */
    struct kvm_sregs sregs = { 0 };
    struct kvm_regs regs = { 0 };

    (void)state;
    create(KVM_X86_DEFAULT_VM, false);
    assert_int_equal(CALL(cpu, KVM_GET_SREGS, sregs), 0);
    sregs.cs.base = 0;
    sregs.cs.selector = 0;
    assert_int_equal(CALL(cpu, KVM_SET_SREGS, sregs), 0);
    regs.rip = 0x1000;
    regs.rax = 0xab;
    regs.rbx = DEVICE;
    assert_int_equal(CALL(cpu, KVM_SET_REGS, regs), 0);
    assert_true(sim_poke(memory + 0x1000, code, sizeof(code)));
    start(program);
    assert_int_equal(kvm_run(), 0);
    assert_int_equal(run->exit_reason, KVM_EXIT_MMIO);
    assert_int_equal(run->mmio.phys_addr, DEVICE);
    assert_int_equal(run->mmio.len, 1);
    assert_int_equal(run->mmio.data[0], 0xab);
    assert_int_equal(kvm_run(), 0);
    assert_int_equal(run->exit_reason, KVM_EXIT_HLT);
    assert_int_equal(last.vcpu->rip, 0x1004);
    teardown_vm();
}

/* ---- The local APIC ---- */

static void apic_on(struct sim_entry *e)
{
    wrmsr(e, MSR_IA32_APICBASE,
          APIC_DEFAULT_PHYS_BASE | MSR_IA32_APICBASE_BSP | MSR_IA32_APICBASE_ENABLE |
              X2APIC_ENABLE);
}

static void apic_enable(struct sim_entry *e)
{
    wrmsr(e, X2APIC(APIC_SPIV), APIC_SPIV_APIC_ENABLED | 0xff);
}

static void timer_mode(struct sim_entry *e)
{
    wrmsr(e, X2APIC(APIC_LVTT), APIC_LVT_TIMER_ONESHOT | VECTOR);
}

static void timer_divide(struct sim_entry *e)
{
    wrmsr(e, X2APIC(APIC_TDCR), APIC_TDR_DIV_1);
}

static void timer_count(struct sim_entry *e)
{
    wrmsr(e, X2APIC(APIC_TMICT), 5000000); /* ns: the bus runs at 1 GHz */
}

static void interrupt_came(struct sim_entry *e)
{
    assert_true(e->vcpu->irq.injected);
    assert_int_equal(e->vcpu->irq.vector, VECTOR);
    do_out(e);
}

static void test_timer(void **state)
{
    static const step_fn program[] = { apic_on,     apic_enable, timer_mode,    timer_divide,
                                       timer_count, do_hlt,      interrupt_came };
    uint64_t then;

    (void)state;
    create(KVM_X86_DEFAULT_VM, true);
    then = sim_now();
    start(program);
    assert_int_equal(kvm_run(), 0);
    assert_int_equal(run->exit_reason, KVM_EXIT_IO);
    assert_true(sim_now() - then >= 5000000 && sim_now() - then < 6000000);
    teardown_vm();
}

/* Nothing would ever wake it: the user's patience ends. */
static void test_halted_for_good(void **state)
{
    static const step_fn program[] = { do_hlt };

    (void)state;
    create(KVM_X86_DEFAULT_VM, true);
    start(program);
    assert_int_equal(kvm_run(), -EINTR);
    assert_int_equal(run->exit_reason, KVM_EXIT_INTR);
    teardown_vm();
}

/* ---- Eventfds ---- */

static void test_ioeventfd(void **state)
{
    static const step_fn program[] = { do_out, do_hlt };
    struct kvm_ioeventfd io = { .addr = 0x80, .len = 1, .flags = KVM_IOEVENTFD_FLAG_PIO };
    u64 count;

    (void)state;
    create(KVM_X86_DEFAULT_VM, false);
    io.fd = sim_eventfd(0);
    assert_int_equal(CALL(vm, KVM_IOEVENTFD, io), 0);
    assert_int_equal(CALL(vm, KVM_IOEVENTFD, io), -EEXIST);
    start(program);
    assert_int_equal(kvm_run(), 0);
    assert_int_equal(run->exit_reason, KVM_EXIT_HLT);
    assert_int_equal(sim_read(io.fd, &count, sizeof(count)), sizeof(count));
    assert_int_equal(count, 1);
    teardown_vm();
}

static struct kvm_irqfd irqfd;

static void ring(void *unused)
{
    u64 one = 1;

    (void)unused;
    assert_int_equal(sim_write(irqfd.fd, &one, sizeof(one)), sizeof(one));
}

/* Another task rings while the vCPU halts. */
static void test_irqfd(void **state)
{
    static const step_fn program[] = { apic_on, apic_enable, do_hlt, interrupt_came };
    struct {
        struct kvm_irq_routing head;
        struct kvm_irq_routing_entry entry;
    } routing = { .head.nr = 1 };

    (void)state;
    create(KVM_X86_DEFAULT_VM, true);
    routing.entry.gsi = 5;
    routing.entry.type = KVM_IRQ_ROUTING_MSI;
    routing.entry.u.msi.address_lo = APIC_DEFAULT_PHYS_BASE;
    routing.entry.u.msi.data = VECTOR;
    assert_true(sim_poke(arg, &routing, sizeof(routing)));
    assert_int_equal(sim_ioctl(vm, KVM_SET_GSI_ROUTING, arg), 0);
    memset(&irqfd, 0, sizeof(irqfd));
    irqfd.fd = (u32)sim_eventfd(0);
    irqfd.gsi = 5;
    assert_int_equal(CALL(vm, KVM_IRQFD, irqfd), 0);
    start(program);
    assert_true(sim_spawn(ring, NULL) > 0);
    assert_int_equal(kvm_run(), 0);
    assert_int_equal(run->exit_reason, KVM_EXIT_IO);
    /* The eventfd ends first; its irqfd goes by a work item. */
    assert_int_equal(sim_close((int)irqfd.fd), 0);
    teardown_vm();
}

/* ---- The dirty log ---- */

static u64 dirty(void)
{
    struct kvm_dirty_log log = { .slot = 0 };
    u64 bits[MEMORY / PAGE_SIZE / 64];
    uint64_t at = arg + PAGE_SIZE;

    log.dirty_bitmap = (void *)at;
    assert_int_equal(CALL(vm, KVM_GET_DIRTY_LOG, log), 0);
    assert_true(sim_peek(at, bits, sizeof(bits)));
    return bits[0];
}

static void test_dirty_log(void **state)
{
    static const step_fn program[] = { do_touch, memory_is_there, do_touch, memory_is_there };

    (void)state;
    create(KVM_X86_DEFAULT_VM, false);
    assert_int_equal(add_slot(0, KVM_MEM_LOG_DIRTY_PAGES, 0, MEMORY, memory), 0);
    sim_check_always(true);
    start(program);
    assert_int_equal(dirty(), 0);
    assert_int_equal(kvm_run(), 0);
    assert_int_equal(dirty(), BIT(3));
    assert_int_equal(dirty(), 0);
    /* Protected again: the next write is logged again. */
    assert_int_equal(kvm_run(), 0);
    assert_int_equal(dirty(), BIT(3));
    teardown_vm();
}

/* ---- Private memory ---- */

static long set_private(u64 gpa, u64 size, bool private)
{
    struct kvm_memory_attributes a = {
        .address = gpa,
        .size = size,
        .attributes = private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0,
    };

    return CALL(vm, KVM_SET_MEMORY_ATTRIBUTES, a);
}

static void test_private_memory(void **state)
{
    static const step_fn program[] = { do_touch,        memory_is_there, do_touch,
                                       memory_is_there, do_touch,        do_out };
    struct kvm_create_guest_memfd create_memfd = { .size = MEMORY };
    struct kvm_userspace_memory_region2 r = { .flags = KVM_MEM_GUEST_MEMFD, .memory_size = MEMORY };
    int memfd;

    (void)state;
    create(KVM_X86_SW_PROTECTED_VM, false);
    memfd = (int)CALL(vm, KVM_CREATE_GUEST_MEMFD, create_memfd);
    assert_true(memfd >= 0);
    assert_int_equal(sim_fallocate(memfd, 1, 0, 4 * PAGE_SIZE), 0); /* KEEP_SIZE */
    r.guest_memfd = (u32)memfd;
    r.userspace_addr = memory;
    assert_int_equal(CALL(vm, KVM_SET_USER_MEMORY_REGION2, r), 0);
    assert_int_equal(set_private(0x3000, PAGE_SIZE, true), 0);
    sim_check_always(true);
    start(program);
    assert_int_equal(kvm_run(), 0);
    assert_int_equal(run->exit_reason, KVM_EXIT_IO);
    /* What the guest wrote is nothing of the process's. */
    assert_int_equal(*(u8 *)sim_user(memory + 0x3008), 0);
    assert_int_equal(set_private(0x3000, PAGE_SIZE, false), 0);
    assert_int_equal(kvm_run(), 0);
    assert_int_equal(*(u8 *)sim_user(memory + 0x3008), 0x99);
    /* Punched, and the file closed: the slot keeps it. */
    assert_int_equal(sim_fallocate(memfd, 3, 0, MEMORY), 0);
    assert_int_equal(sim_close(memfd), 0);
    assert_int_equal(set_private(0x3000, PAGE_SIZE, true), 0);
    assert_int_equal(kvm_run(), 0);
    teardown_vm();
}

static void test_memory_fault(void **state)
{
    static const step_fn program[] = { do_touch };

    (void)state;
    create(KVM_X86_SW_PROTECTED_VM, false);
    assert_int_equal(add_slot(0, 0, 0, MEMORY, memory), 0);
    assert_int_equal(set_private(0x3000, PAGE_SIZE, true), 0);
    start(program);
    assert_int_equal(kvm_run(), -EFAULT);
    assert_int_equal(run->exit_reason, KVM_EXIT_MEMORY_FAULT);
    assert_int_equal(run->memory_fault.gpa, 0x3000);
    assert_int_equal(run->memory_fault.flags, KVM_MEMORY_EXIT_FLAG_PRIVATE);
    teardown_vm();
}

/* ---- Two vCPUs and a VMM that changes their memory, in any order ---- */

static int second;

/* Each touches a page, looks for it and goes on to the next, until its count is out. */
static void walk_memory(void *context, struct sim_entry *e)
{
    uint64_t *count = &e->gpr[VCPU_R15];
    u64 gpa = (*count * 7 + (u64)e->vcpu->id) % (MEMORY / PAGE_SIZE) * PAGE_SIZE;

    (void)context;
    if (!(*count)--) {
        do_out(e);
        return;
    }
    e->exit->npf.gpa = gpa;
    e->exit->npf.access = BAWN_FAULT_WRITE;
    if (!sim_guest(e->vcpu, gpa, true, false))
        e->exit->kind = BAWN_EXIT_NPF;
}

static void run_vcpu(void *fd)
{
    sim_ioctl(*(int *)fd, KVM_RUN, 0);
}

static void disturb(u32 n)
{
    struct kvm_dirty_log log = { .slot = 0, .dirty_bitmap = (void *)(arg + PAGE_SIZE) };

    switch (n % 5) {
    case 0:
        sim_migrate(memory + (n & 0xff000));
        break;
    case 1:
        add_slot(0, n & KVM_MEM_LOG_DIRTY_PAGES, 0, MEMORY, memory);
        break;
    case 2:
        CALL(vm, KVM_GET_DIRTY_LOG, log);
        break;
    case 3:
        add_slot(0, 0, 0, 0, 0);
        add_slot(0, 0, 0, MEMORY, memory);
        break;
    default:
        sim_age(memory, MEMORY, SIM_AGE_CLEAR_FLUSH);
        break;
    }
}

static void test_any_order(void **state)
{
    static u8 schedule[96];
    u64 switches = sim_stats()->switches;
    struct kvm_regs regs = { .r15 = 20 };
    u32 seed, random = 1, i;

    (void)state;
    for (seed = 0; seed < 300; seed++) {
        for (i = 0; i < sizeof(schedule); i++) {
            random = random * 1664525 + 1013904223;
            schedule[i] = random >> 24 & (random >> 20 & 1 ? 3 : 0);
        }
        create(KVM_X86_DEFAULT_VM, false);
        second = (int)sim_ioctl(vm, KVM_CREATE_VCPU, 1);
        assert_int_equal(CALL(cpu, KVM_SET_REGS, regs), 0);
        assert_int_equal(CALL(second, KVM_SET_REGS, regs), 0);
        sim_check_always(true);
        sim_set_guest(walk_memory, NULL);
        sim_schedule(schedule, sizeof(schedule));
        assert_true(sim_spawn(run_vcpu, &cpu) > 0);
        assert_true(sim_spawn(run_vcpu, &second) > 0);
        for (i = 0; i < 6; i++)
            disturb(random >> i);
        sim_join_all();
        teardown_vm();
    }
    assert_true(sim_stats()->switches - switches > 3000);
}

/* ---- Whatever fails ---- */

/* As create() and a run, where each call may be refused. */
static void try_life(void)
{
    static const step_fn program[] = { do_touch, do_out, do_out };
    struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };
    struct kvm_enable_cap measure = { .cap = KVM_CAP_BAWN_MEASURE };
    struct kvm_create_guest_memfd memfd = { .size = MEMORY };
    struct kvm_userspace_memory_region2 r = {
        .flags = KVM_MEM_GUEST_MEMFD, .slot = 1, .guest_phys_addr = MEMORY, .memory_size = MEMORY
    };
    struct kvm_irqfd irq = { .gsi = 5 };
    struct kvm_ioeventfd io = { .addr = 0x81, .len = 1, .flags = KVM_IOEVENTFD_FLAG_PIO };
    static u8 page[PAGE_SIZE];
    int type;

    for (type = KVM_X86_DEFAULT_VM; type <= KVM_X86_SW_PROTECTED_VM; type++) {
        vm = (int)sim_ioctl(dev, KVM_CREATE_VM, (unsigned long)type);
        CALL(vm, KVM_ENABLE_CAP, cap);
        if (type == KVM_X86_DEFAULT_VM)
            CALL(vm, KVM_ENABLE_CAP, measure);
        add_slot(0, KVM_MEM_LOG_DIRTY_PAGES, 0, MEMORY, memory);
        r.guest_memfd = (u32)CALL(vm, KVM_CREATE_GUEST_MEMFD, memfd);
        r.userspace_addr = memory;
        CALL(vm, KVM_SET_USER_MEMORY_REGION2, r);
        set_private(0x1000, 2 * PAGE_SIZE, true);
        set_private(MEMORY, 2 * PAGE_SIZE, true);
        irq.fd = (u32)sim_eventfd(0);
        CALL(vm, KVM_IRQFD, irq);
        io.fd = (int)irq.fd;
        CALL(vm, KVM_IOEVENTFD, io);
        cpu = (int)sim_ioctl(vm, KVM_CREATE_VCPU, 0);
        page[0] = 100;
        sim_poke(arg, page, sizeof(page));
        sim_ioctl(dev, KVM_GET_SUPPORTED_CPUID, arg);
        sim_ioctl(cpu, KVM_SET_CPUID2, arg);
        sim_ioctl(cpu, KVM_GET_MSRS, arg);
        sim_ioctl(cpu, KVM_X86_SETUP_MCE, arg);
        sim_ioctl(vm, KVM_GET_STATS_FD, 0);
        page[0] = 0;
        sim_poke(arg, page, sizeof(page));
        sim_ioctl(vm, KVM_SET_GSI_ROUTING, arg);
        sim_ioctl(vm, KVM_X86_SET_MSR_FILTER, arg);
        start(program);
        sim_ioctl(cpu, KVM_RUN, 0);
        sim_ioctl(cpu, KVM_RUN, 0);
        add_slot(0, 0, 0, MEMORY, memory);
        add_slot(0, 0, 0, 0, 0);
    }
}

/* What CPUID does not tell of this processor, and the host kernel does: guests need to know. */
static void test_microcode_features(void **state)
{
    struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 entry[100];
    } table;
    u32 found = 0;

    (void)state;
    create(KVM_X86_DEFAULT_VM, false);
    set_cpuid();
    assert_true(sim_peek(arg, &table, sizeof(table)));
    for (u32 i = 0; i < table.head.nent; i++) {
        const struct kvm_cpuid_entry2 *e = &table.entry[i];

        if (e->function == 0x80000008 && e->ebx & 1u << (X86_FEATURE_VIRT_SSBD & 31))
            found |= 1;
        if (e->function == 0x80000021 && e->eax & 1u << (X86_FEATURE_VERW_CLEAR & 31) &&
            e->eax & 1u << (X86_FEATURE_IBPB_BRTYPE & 31))
            found |= 2;
    }
    assert_int_equal(found, 3);
    teardown_vm();
}

static void test_allocations_fail(void **state)
{
    uint64_t before, needed;
    u32 n;

    (void)state;
    /* How many there are when none fails. */
    dev = sim_open();
    arg = sim_map(4 * PAGE_SIZE);
    memory = sim_map(MEMORY);
    before = sim_stats()->allocations;
    try_life();
    needed = sim_stats()->allocations - before;
    assert_true(needed > 30);
    teardown_vm();
    for (n = 0; n < needed; n++) {
        dev = sim_open();
        arg = sim_map(4 * PAGE_SIZE);
        memory = sim_map(MEMORY);
        sim_user(arg);
        sim_fail_alloc(n);
        try_life();
        teardown_vm();
    }
}

static void test_copies_fail(void **state)
{
    u32 n;

    (void)state;
    for (n = 0; n < 3000; n += 7) {
        dev = sim_open();
        arg = sim_map(4 * PAGE_SIZE);
        memory = sim_map(MEMORY);
        sim_fail_copy(n);
        try_life();
        teardown_vm();
    }
}

/* ---- The same input, the same run ---- */

static void test_same_run(void **state)
{
    static const step_fn program[] = { apic_on,     apic_enable, timer_mode,    timer_divide,
                                       timer_count, do_hlt,      interrupt_came };
    struct sim_stats first[2];
    uint64_t end[2];
    void *page[2];
    int i;

    (void)state;
    for (i = 0; i < 2; i++) {
        struct sim_stats before = *sim_stats();

        create(KVM_X86_DEFAULT_VM, true);
        start(program);
        assert_int_equal(kvm_run(), 0);
        page[i] = sim_user(memory);
        end[i] = sim_now();
        teardown_vm();
        first[i] = *sim_stats();
        first[i].entries -= before.entries;
        first[i].exits -= before.exits;
        first[i].allocations -= before.allocations;
        first[i].switches -= before.switches;
    }
    assert_memory_equal(&first[0], &first[1], sizeof(first[0]));
    assert_int_equal(end[0], end[1]);
    assert_ptr_equal(page[0], page[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exits),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_large_page),
        cmocka_unit_test(test_mmio),
        cmocka_unit_test(test_timer),
        cmocka_unit_test(test_halted_for_good),
        cmocka_unit_test(test_ioeventfd),
        cmocka_unit_test(test_irqfd),
        cmocka_unit_test(test_dirty_log),
        cmocka_unit_test(test_private_memory),
        cmocka_unit_test(test_memory_fault),
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_microcode_features),
        cmocka_unit_test(test_allocations_fail),
        cmocka_unit_test(test_copies_fail),
        cmocka_unit_test(test_same_run),
    };
    static const struct sim_options options = { .backend = SIM_NEUTRAL };
    int r;

    sim_start(&options);
    r = cmocka_run_group_tests(tests, NULL, NULL);
    sim_stop();
    return r;
}

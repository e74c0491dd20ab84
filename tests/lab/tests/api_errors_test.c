/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bad arguments to every ioctl get KVM's errno: one table of calls on a fresh device, VM and
 * vCPU each, and the sequences that a table cannot express.
 */
#include "harness.h"

#include <stddef.h>
#include <sys/wait.h>

#define BAD_POINTER 0x1000ul /* nothing is mapped there */

enum object { SYSTEM, VM, SPLIT, VCPU };

struct call {
    const char *name;
    enum object object;
    unsigned long nr;
    unsigned long arg;
    int want;
};

#define PTR(...) ((unsigned long)&(__VA_ARGS__))

static void run_calls(const struct call *calls, size_t nr)
{
    for (size_t i = 0; i < nr; i++) {
        struct vm *vm = calls[i].object == SYSTEM ? NULL
                        : calls[i].object == VM   ? vm_new()
                                                  : vm_split();
        int fd = vm ? vm->fd : lab_kvm;

        lab_row(calls[i].name);
        if (calls[i].object == VCPU)
            fd = vcpu_new(vm, 0)->fd;
        EXPECT_EQ(kvm_callv(fd, calls[i].nr, calls[i].arg), calls[i].want);
        if (vm)
            vm_destroy(vm);
    }
}

/* Every call that takes a pointer, with one that points nowhere. */
static void test_efault(void)
{
    static const struct {
        const char *name;
        enum object object;
        unsigned long nr;
    } rows[] = {
        { "GET_SUPPORTED_CPUID", SYSTEM, KVM_GET_SUPPORTED_CPUID },
        { "GET_MSR_INDEX_LIST", SYSTEM, KVM_GET_MSR_INDEX_LIST },
        { "X86_GET_MCE_CAP_SUPPORTED", SYSTEM, KVM_X86_GET_MCE_CAP_SUPPORTED },
        { "SET_USER_MEMORY_REGION", VM, KVM_SET_USER_MEMORY_REGION },
        { "SET_USER_MEMORY_REGION2", VM, KVM_SET_USER_MEMORY_REGION2 },
        { "SET_IDENTITY_MAP_ADDR", VM, KVM_SET_IDENTITY_MAP_ADDR },
        { "ENABLE_CAP", VM, KVM_ENABLE_CAP },
        { "GET_DIRTY_LOG", VM, KVM_GET_DIRTY_LOG },
        { "CLEAR_DIRTY_LOG", VM, KVM_CLEAR_DIRTY_LOG },
        { "GET_CLOCK", VM, KVM_GET_CLOCK },
        { "SET_CLOCK", VM, KVM_SET_CLOCK },
        { "X86_SET_MSR_FILTER", VM, KVM_X86_SET_MSR_FILTER },
        { "SET_GSI_ROUTING", SPLIT, KVM_SET_GSI_ROUTING },
        { "SIGNAL_MSI", SPLIT, KVM_SIGNAL_MSI },
        { "IRQ_LINE", SPLIT, KVM_IRQ_LINE },
        { "IRQFD", SPLIT, KVM_IRQFD },
        { "IOEVENTFD", SPLIT, KVM_IOEVENTFD },
        { "GET_REGS", VCPU, KVM_GET_REGS },
        { "SET_REGS", VCPU, KVM_SET_REGS },
        { "GET_SREGS", VCPU, KVM_GET_SREGS },
        { "SET_SREGS", VCPU, KVM_SET_SREGS },
        { "GET_SREGS2", VCPU, KVM_GET_SREGS2 },
        { "SET_SREGS2", VCPU, KVM_SET_SREGS2 },
        { "GET_FPU", VCPU, KVM_GET_FPU },
        { "SET_FPU", VCPU, KVM_SET_FPU },
        { "GET_MSRS", VCPU, KVM_GET_MSRS },
        { "SET_MSRS", VCPU, KVM_SET_MSRS },
        { "SET_CPUID2", VCPU, KVM_SET_CPUID2 },
        { "GET_LAPIC", VCPU, KVM_GET_LAPIC },
        { "SET_LAPIC", VCPU, KVM_SET_LAPIC },
        { "GET_MP_STATE", VCPU, KVM_GET_MP_STATE },
        { "SET_MP_STATE", VCPU, KVM_SET_MP_STATE },
        { "GET_VCPU_EVENTS", VCPU, KVM_GET_VCPU_EVENTS },
        { "SET_VCPU_EVENTS", VCPU, KVM_SET_VCPU_EVENTS },
        { "GET_DEBUGREGS", VCPU, KVM_GET_DEBUGREGS },
        { "SET_DEBUGREGS", VCPU, KVM_SET_DEBUGREGS },
        { "GET_XSAVE", VCPU, KVM_GET_XSAVE },
        { "SET_XSAVE", VCPU, KVM_SET_XSAVE },
        { "GET_XCRS", VCPU, KVM_GET_XCRS },
        { "SET_XCRS", VCPU, KVM_SET_XCRS },
        { "SET_GUEST_DEBUG", VCPU, KVM_SET_GUEST_DEBUG },
        { "X86_SETUP_MCE", VCPU, KVM_X86_SETUP_MCE },
        { "SET_VAPIC_ADDR", VCPU, KVM_SET_VAPIC_ADDR },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct call null = { rows[i].name, rows[i].object, rows[i].nr, 0, -EFAULT };
        const struct call bad = { rows[i].name, rows[i].object, rows[i].nr, BAD_POINTER, -EFAULT };

        run_calls(&null, 1);
        run_calls(&bad, 1);
    }
}

/* A number that the object does not know; another size makes another number. */
static void test_unknown(void)
{
    const struct call calls[] = {
        { "system, unused number", SYSTEM, _IO(KVMIO, 0xff), 0, -EINVAL },
        { "system, VM's call", SYSTEM, KVM_CREATE_VCPU, 0, -EINVAL },
        { "system, vCPU's call", SYSTEM, KVM_RUN, 0, -EINVAL },
        { "system, other type", SYSTEM, _IO('B', 0x00), 0, -EINVAL },
        { "VM, unused number", VM, _IO(KVMIO, 0xff), 0, -ENOTTY },
        { "VM, vCPU's call", VM, KVM_RUN, 0, -ENOTTY },
        { "VM, system's call", VM, KVM_CREATE_VM, 0, -ENOTTY },
        { "VM, other size", VM, _IOW(KVMIO, 0x46, char[7]), 0, -ENOTTY },
        { "vCPU, unused number", VCPU, _IO(KVMIO, 0xff), 0, -EINVAL },
        { "vCPU, VM's call", VCPU, KVM_SET_USER_MEMORY_REGION, 0, -EINVAL },
        { "vCPU, other size", VCPU, _IOR(KVMIO, 0x81, char[7]), 0, -EINVAL },
        { "vCPU, other type", VCPU, _IO('B', 0x80), 0, -EINVAL },
    };

    run_calls(calls, ARRAY_SIZE(calls));
}

static void test_system(void)
{
    static struct kvm_cpuid2 no_room = { .nent = 0 };
    static struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 e;
    } one = { .head.nent = 1 };
    const struct call calls[] = {
        { "GET_API_VERSION", SYSTEM, KVM_GET_API_VERSION, 0, KVM_API_VERSION },
        { "GET_API_VERSION with argument", SYSTEM, KVM_GET_API_VERSION, 1, -EINVAL },
        { "GET_VCPU_MMAP_SIZE with argument", SYSTEM, KVM_GET_VCPU_MMAP_SIZE, 1, -EINVAL },
        { "CREATE_VM, unknown type", SYSTEM, KVM_CREATE_VM, 77, -EINVAL },
        { "CREATE_VM, huge type", SYSTEM, KVM_CREATE_VM, ~0ul, -EINVAL },
        { "CHECK_EXTENSION, unknown", SYSTEM, KVM_CHECK_EXTENSION, 0x7fffff, 0 },
        { "CHECK_EXTENSION, huge", SYSTEM, KVM_CHECK_EXTENSION, ~0ul, 0 },
        { "GET_SUPPORTED_CPUID, no room", SYSTEM, KVM_GET_SUPPORTED_CPUID, PTR(no_room), -E2BIG },
        { "GET_SUPPORTED_CPUID, room for one", SYSTEM, KVM_GET_SUPPORTED_CPUID, PTR(one), -E2BIG },
    };

    run_calls(calls, ARRAY_SIZE(calls));
}

static void test_vm(void)
{
    static struct kvm_enable_cap unknown = { .cap = 0x7fffff };
    static struct kvm_enable_cap flags = { .cap = KVM_CAP_SPLIT_IRQCHIP,
                                           .flags = 1,
                                           .args = { 24 } };
    static struct kvm_enable_cap pins = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 100000 } };
    static struct kvm_enable_cap again = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };
    static struct kvm_enable_cap msr = { .cap = KVM_CAP_X86_USER_SPACE_MSR, .args = { 0x80 } };
    static struct kvm_clock_data clock = { .flags = 0x80 };
    const struct call calls[] = {
        { "ENABLE_CAP, unknown", VM, KVM_ENABLE_CAP, PTR(unknown), -EINVAL },
        { "ENABLE_CAP, flags", VM, KVM_ENABLE_CAP, PTR(flags), -EINVAL },
        { "split irqchip, too many pins", VM, KVM_ENABLE_CAP, PTR(pins), -EINVAL },
        { "split irqchip twice", SPLIT, KVM_ENABLE_CAP, PTR(again), -EEXIST },
        { "userspace MSR, unknown reason", VM, KVM_ENABLE_CAP, PTR(msr), -EINVAL },
        { "CREATE_VCPU, id too high", VM, KVM_CREATE_VCPU, 100000, -EINVAL },
        { "CREATE_VCPU, huge id", VM, KVM_CREATE_VCPU, ~0ul, -EINVAL },
        { "SET_TSS_ADDR, at the end", VM, KVM_SET_TSS_ADDR, 0xfffff000, -EINVAL },
        { "SET_TSS_ADDR", VM, KVM_SET_TSS_ADDR, 0xfffbd000, 0 },
        { "SET_CLOCK, flags", VM, KVM_SET_CLOCK, PTR(clock), -EINVAL },
    };

    run_calls(calls, ARRAY_SIZE(calls));
}

static void test_vm_order(void)
{
    struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };
    struct vm *vm = vm_bare();
    uint64_t address = 0xfffbc000;
    int max = kvm_cap(lab_kvm, KVM_CAP_MAX_VCPU_ID);

    EXPECT_EQ(kvm_call(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &address), 0);
    vcpu_raw(vm, 0);
    EXPECT_EQ(kvm_callv(vm->fd, KVM_CREATE_VCPU, 0), -EEXIST);
    EXPECT(max >= 64);
    EXPECT_EQ(kvm_callv(vm->fd, KVM_CREATE_VCPU, (unsigned long)max), -EINVAL);
    EXPECT_EQ(kvm_call(vm->fd, KVM_ENABLE_CAP, &split), -EEXIST); /* too late */
    EXPECT_EQ(kvm_call(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &address), -EINVAL);
}

static void test_vcpu_count(void)
{
    int max = kvm_cap(lab_kvm, KVM_CAP_MAX_VCPUS), fd[65], n;
    struct vm *vm = vm_split();

    EXPECT(kvm_cap(lab_kvm, KVM_CAP_NR_VCPUS) >= 1);
    ASSERT(max >= 64);
    for (n = 0; n < 65 && (fd[n] = kvm_callv(vm->fd, KVM_CREATE_VCPU, (unsigned long)n)) >= 0; n++)
        ;
    EXPECT(n >= 64);
    if (max == 64)
        EXPECT_EQ(fd[64], -EINVAL);
    while (n > 0)
        close(fd[--n]);
}

/* ---- memory slots ---- */

static void test_slots(void)
{
    const uint32_t slots = (uint32_t)kvm_cap(lab_kvm, KVM_CAP_NR_MEMSLOTS);
    uint8_t *mem = mmap(NULL, 0x10000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const uint64_t hva = (uint64_t)mem;
    const struct {
        const char *name;
        struct kvm_userspace_memory_region r;
        int want;
    } rows[] = {
        { "delete what is not there", { 1, 0, 0x10000, 0, hva }, -EINVAL },
        { "gpa not aligned", { 1, 0, 0x10800, 0x2000, hva }, -EINVAL },
        { "size not aligned", { 1, 0, 0x10000, 0x1234, hva }, -EINVAL },
        { "address not aligned", { 1, 0, 0x10000, 0x2000, hva + 8 }, -EINVAL },
        { "kernel address", { 1, 0, 0x10000, 0x2000, 0xffff888000000000 }, -EINVAL },
        { "unknown flags", { 1, 0x80, 0x10000, 0x2000, hva }, -EINVAL },
        { "slot number too high", { slots, 0, 0x10000, 0x2000, hva }, -EINVAL },
        { "address space 7", { 7 << 16 | 1, 0, 0x10000, 0x2000, hva }, -EINVAL },
        { "around the end", { 1, 0, ~0xfffull, 0x2000, hva }, -EINVAL },
        { "too large", { 1, 0, 0, 1ull << 52, hva }, -EINVAL },
        { "slot 0", { 0, 0, 0x10000, 0x4000, hva }, 0 },
        { "overlap at the start", { 1, 0, 0xf000, 0x2000, hva }, -EEXIST },
        { "overlap at the end", { 1, 0, 0x13000, 0x2000, hva }, -EEXIST },
        { "overlap inside", { 1, 0, 0x11000, 0x1000, hva }, -EEXIST },
        { "overlap around", { 1, 0, 0, 0x20000, hva }, -EEXIST },
        { "neighbour below", { 1, 0, 0xf000, 0x1000, hva }, 0 },
        { "neighbour above, the same memory", { 2, 0, 0x14000, 0x1000, hva }, 0 },
        { "the same again", { 0, 0, 0x10000, 0x4000, hva }, 0 },
        { "another size", { 0, 0, 0x10000, 0x3000, hva }, -EINVAL },
        { "another address", { 0, 0, 0x10000, 0x4000, hva + 0x1000 }, -EINVAL },
        { "becomes read-only", { 0, KVM_MEM_READONLY, 0x10000, 0x4000, hva }, -EINVAL },
        { "dirty log on", { 0, KVM_MEM_LOG_DIRTY_PAGES, 0x10000, 0x4000, hva }, 0 },
        { "moves over a neighbour", { 0, 0, 0x12000, 0x4000, hva }, -EEXIST },
        { "moves away", { 0, 0, 0x40000, 0x4000, hva }, 0 },
        { "into the freed place", { 3, 0, 0x10000, 0x4000, hva }, 0 },
        { "deleted", { 0, 0, 0, 0, 0 }, 0 },
        { "deleted twice", { 0, 0, 0, 0, 0 }, -EINVAL },
        { "highest slot", { slots - 1, 0, 0x80000, 0x1000, hva }, 0 },
    };
    struct vm *vm = vm_new();

    ASSERT(mem != MAP_FAILED);
    EXPECT(slots >= 32 && slots < 0x10000);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        lab_row(rows[i].name);
        EXPECT_EQ(kvm_call(vm->fd, KVM_SET_USER_MEMORY_REGION, &rows[i].r), rows[i].want);
    }
    vm_destroy(vm);
    munmap(mem, 0x10000);
}

/* ---- vCPUs ---- */

static void test_vcpu(void)
{
    static struct kvm_cpuid2 many = { .nent = 100000 };
    static struct kvm_msrs msrs = { .nmsrs = 100000 };
    static struct kvm_debugregs debug = { .flags = 1 }, dr6 = { .dr6 = BIT(40) },
                                dr7 = { .dr7 = BIT(40) };
    static struct kvm_vcpu_events flags = { .flags = 0x8000 },
                                  number = { .exception = { .injected = 1, .nr = 32 } },
                                  nmi = { .exception = { .injected = 1, .nr = 2 } };
    static uint64_t banks = 0x1000, no_banks, mce = 0x1 | BIT(50);
    const struct call calls[] = {
        { "RUN with argument", VCPU, KVM_RUN, 1, -EINVAL },
        { "SET_CPUID2, too many", VCPU, KVM_SET_CPUID2, PTR(many), -E2BIG },
        { "GET_MSRS, too many", VCPU, KVM_GET_MSRS, PTR(msrs), -E2BIG },
        { "SET_MSRS, too many", VCPU, KVM_SET_MSRS, PTR(msrs), -E2BIG },
        { "SET_DEBUGREGS, flags", VCPU, KVM_SET_DEBUGREGS, PTR(debug), -EINVAL },
        { "SET_DEBUGREGS, DR6", VCPU, KVM_SET_DEBUGREGS, PTR(dr6), -EINVAL },
        { "SET_DEBUGREGS, DR7", VCPU, KVM_SET_DEBUGREGS, PTR(dr7), -EINVAL },
        { "SET_VCPU_EVENTS, flags", VCPU, KVM_SET_VCPU_EVENTS, PTR(flags), -EINVAL },
        { "SET_VCPU_EVENTS, vector 32", VCPU, KVM_SET_VCPU_EVENTS, PTR(number), -EINVAL },
        { "SET_VCPU_EVENTS, NMI as exception", VCPU, KVM_SET_VCPU_EVENTS, PTR(nmi), -EINVAL },
        { "X86_SETUP_MCE, too many banks", VCPU, KVM_X86_SETUP_MCE, PTR(banks), -EINVAL },
        { "X86_SETUP_MCE, no banks", VCPU, KVM_X86_SETUP_MCE, PTR(no_banks), -EINVAL },
        { "X86_SETUP_MCE, reserved bits", VCPU, KVM_X86_SETUP_MCE, PTR(mce), -EINVAL },
        { "KVMCLOCK_CTRL without a clock", VCPU, KVM_KVMCLOCK_CTRL, 0, -EINVAL },
    };

    run_calls(calls, ARRAY_SIZE(calls));
}

static void test_sregs(void)
{
    static const struct {
        const char *name;
        size_t offset;
        uint64_t set, clear;
    } rows[] = {
        { "CR4: reserved bit", offsetof(struct kvm_sregs, cr4), BIT(31), 0 },
        { "CR4: no PAE in long mode", offsetof(struct kvm_sregs, cr4), 0, 0x20 },
        { "EFER: reserved bit", offsetof(struct kvm_sregs, efer), BIT(20), 0 },
        { "EFER: LMA without LME", offsetof(struct kvm_sregs, efer), 0, 0x100 },
        { "CR0: upper half", offsetof(struct kvm_sregs, cr0), BIT(32), 0 },
        { "CR0: NW without CD", offsetof(struct kvm_sregs, cr0), BIT(29), 0 },
        { "CR0: PG without PE", offsetof(struct kvm_sregs, cr0), 0, 1 },
        { "CR3: beyond physical addresses", offsetof(struct kvm_sregs, cr3), BIT(60), 0 },
        { "APIC base: reserved bit", offsetof(struct kvm_sregs, apic_base), BIT(60), 0 },
        { "APIC base: x2APIC without enable", offsetof(struct kvm_sregs, apic_base), 0x400, 0x800 },
    };
    struct vcpu *v = vcpu_new(vm_split(), 0);
    struct kvm_sregs good = vcpu_sregs(v);
    struct kvm_sregs2 s2;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct kvm_sregs s = good;
        uint64_t *field = (uint64_t *)((uint8_t *)&s + rows[i].offset);

        lab_row(rows[i].name);
        *field = (*field | rows[i].set) & ~rows[i].clear;
        EXPECT_EQ(vcpu_set_sregs(v, &s), -EINVAL);
        s = vcpu_sregs(v);
        EXPECT_EQ(memcmp(&s, &good, sizeof(s)), 0); /* nothing of it was taken */
    }
    lab_row(NULL);
    EXPECT_EQ(vcpu_set_sregs(v, &good), 0);
    ASSERT_EQ(kvm_call(v->fd, KVM_GET_SREGS2, &s2), 0);
    EXPECT_EQ(s2.cr3, GUEST_PML4);
    EXPECT_EQ(kvm_call(v->fd, KVM_SET_SREGS2, &s2), 0);
    s2.flags = 0x80;
    EXPECT_EQ(kvm_call(v->fd, KVM_SET_SREGS2, &s2), -EINVAL);
    EXPECT_EQ(guest_call(v, nop, 0, 0, 0, 0), GUEST_DONE);
}

static void test_cpuid_after_run(void)
{
    struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 e[256];
    } other;
    struct vcpu *v = vcpu_new(vm_bare(), 0);

    EXPECT_EQ(guest_call(v, nop, 0, 0, 0, 0), GUEST_DONE);
    EXPECT_EQ(kvm_call(v->fd, KVM_SET_CPUID2, lab_cpuid()), 0); /* the same: no change */
    memcpy(&other, lab_cpuid(), sizeof(other.head) + lab_cpuid()->nent * sizeof(other.e[0]));
    for (unsigned i = 0; i < other.head.nent; i++)
        if (other.e[i].function == 1)
            other.e[i].ecx ^= 1;
    EXPECT_EQ(kvm_call(v->fd, KVM_SET_CPUID2, &other), -EINVAL);
}

static void test_set_msrs_bounds(void)
{
    struct vcpu *v = vcpu_new(vm_bare(), 0);
    struct kvm_msrs none = { .nmsrs = 0 };

    EXPECT_EQ(kvm_call(v->fd, KVM_GET_MSRS, &none), 0);
    EXPECT_EQ(kvm_call(v->fd, KVM_SET_MSRS, &none), 0);
}

/* ---- who may call ---- */

static void test_other_process(void)
{
    struct vcpu *v = vcpu_new(vm_split(), 0);
    int status = 0;
    pid_t child = fork();

    ASSERT(child >= 0);
    if (!child) {
        struct kvm_regs r;
        /* The VM belongs to the address space that created it. */
        int vm = kvm_cap(v->vm->fd, KVM_CAP_USER_MEMORY);
        int vcpu = kvm_call(v->fd, KVM_GET_REGS, &r);

        _exit((vm == -EIO ? 0 : 1) | (vcpu == -EIO ? 0 : 2));
    }
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(guest_call(v, nop, 0, 0, 0, 0), GUEST_DONE);
}

static void test_mmap(void)
{
    struct vcpu *v = vcpu_new(vm_split(), 0);

    EXPECT(mmap(NULL, 4096, PROT_READ, MAP_SHARED, v->vm->fd, 0) == MAP_FAILED);
    EXPECT(mmap(NULL, 4096, PROT_READ, MAP_SHARED, lab_kvm, 0) == MAP_FAILED);
    EXPECT(v->run->exit_reason == KVM_EXIT_UNKNOWN);
    /* The run page outlives the descriptor. */
    close(v->fd);
    v->fd = -1;
    v->run->immediate_exit = 1;
}

static const struct lab_test tests[] = {
    { "bad pointers", test_efault },
    { "unknown calls", test_unknown },
    { "system calls", test_system },
    { "VM calls", test_vm },
    { "VM calls in the wrong order", test_vm_order },
    { "how many vCPUs", test_vcpu_count },
    { "memory slots", test_slots },
    { "vCPU calls", test_vcpu },
    { "special registers", test_sregs },
    { "CPUID after the first run", test_cpuid_after_run },
    { "no MSRs at all", test_set_msrs_bounds },
    { "calls of another process", test_other_process },
    { "mappings", test_mmap },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}

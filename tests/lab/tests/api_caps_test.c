/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What KVM_CHECK_EXTENSION offers, and, on Bawn alone, that what it does not offer answers 0
 * and refuses cleanly; the calls that have no room in another test: clock, statistics, MCE.
 */
#include "harness.h"

#include "bawn/uapi.h"

static void test_offered(void)
{
    static const struct {
        const char *name;
        long cap;
    } rows[] = {
        { "IRQCHIP", KVM_CAP_IRQCHIP },
        { "USER_MEMORY", KVM_CAP_USER_MEMORY },
        { "SET_TSS_ADDR", KVM_CAP_SET_TSS_ADDR },
        { "EXT_CPUID", KVM_CAP_EXT_CPUID },
        { "MP_STATE", KVM_CAP_MP_STATE },
        { "DESTROY_MEMORY_REGION_WORKS", KVM_CAP_DESTROY_MEMORY_REGION_WORKS },
        { "JOIN_MEMORY_REGIONS_WORKS", KVM_CAP_JOIN_MEMORY_REGIONS_WORKS },
        { "IRQ_ROUTING", KVM_CAP_IRQ_ROUTING },
        { "MCE", KVM_CAP_MCE },
        { "IRQFD", KVM_CAP_IRQFD },
        { "IOEVENTFD", KVM_CAP_IOEVENTFD },
        { "IOEVENTFD_ANY_LENGTH", KVM_CAP_IOEVENTFD_ANY_LENGTH },
        { "SET_IDENTITY_MAP_ADDR", KVM_CAP_SET_IDENTITY_MAP_ADDR },
        { "ADJUST_CLOCK", KVM_CAP_ADJUST_CLOCK },
        { "INTERNAL_ERROR_DATA", KVM_CAP_INTERNAL_ERROR_DATA },
        { "VCPU_EVENTS", KVM_CAP_VCPU_EVENTS },
        { "DEBUGREGS", KVM_CAP_DEBUGREGS },
        { "X86_ROBUST_SINGLESTEP", KVM_CAP_X86_ROBUST_SINGLESTEP },
        { "XSAVE", KVM_CAP_XSAVE },
        { "XCRS", KVM_CAP_XCRS },
        { "SIGNAL_MSI", KVM_CAP_SIGNAL_MSI },
        { "SPLIT_IRQCHIP", KVM_CAP_SPLIT_IRQCHIP },
        { "IMMEDIATE_EXIT", KVM_CAP_IMMEDIATE_EXIT },
        { "TSC_DEADLINE_TIMER", KVM_CAP_TSC_DEADLINE_TIMER },
        { "GET_TSC_KHZ", KVM_CAP_GET_TSC_KHZ },
        { "USER_NMI", KVM_CAP_USER_NMI },
        { "SET_GUEST_DEBUG", KVM_CAP_SET_GUEST_DEBUG },
        { "SET_GUEST_DEBUG2", KVM_CAP_SET_GUEST_DEBUG2 },
        { "SREGS2", KVM_CAP_SREGS2 },
        { "X86_MSR_FILTER", KVM_CAP_X86_MSR_FILTER },
        { "X86_USER_SPACE_MSR", KVM_CAP_X86_USER_SPACE_MSR },
        { "NR_VCPUS", KVM_CAP_NR_VCPUS },
        { "MAX_VCPUS", KVM_CAP_MAX_VCPUS },
        { "MAX_VCPU_ID", KVM_CAP_MAX_VCPU_ID },
        { "NR_MEMSLOTS", KVM_CAP_NR_MEMSLOTS },
        { "READONLY_MEM", KVM_CAP_READONLY_MEM },
        { "ENABLE_CAP_VM", KVM_CAP_ENABLE_CAP_VM },
        { "CHECK_EXTENSION_VM", KVM_CAP_CHECK_EXTENSION_VM },
        { "MANUAL_DIRTY_LOG_PROTECT2", KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 },
        { "USER_MEMORY2", KVM_CAP_USER_MEMORY2 },
        { "BINARY_STATS_FD", KVM_CAP_BINARY_STATS_FD },
    };
    struct vm *vm = vm_new();

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        int system = kvm_cap(lab_kvm, rows[i].cap);

        lab_row(rows[i].name);
        EXPECT(system > 0);
        EXPECT_EQ(kvm_cap(vm->fd, rows[i].cap), system);
    }
}

static void test_not_offered(void)
{
    static const struct {
        const char *name;
        long cap;
    } rows[] = {
        { "PIT", KVM_CAP_PIT },
        { "PIT2", KVM_CAP_PIT2 },
        { "PIT_STATE2", KVM_CAP_PIT_STATE2 },
        { "REINJECT_CONTROL", KVM_CAP_REINJECT_CONTROL },
        { "NESTED_STATE", KVM_CAP_NESTED_STATE },
        { "X86_SMM", KVM_CAP_X86_SMM },
        { "HYPERV", KVM_CAP_HYPERV },
        { "HYPERV_SYNIC2", KVM_CAP_HYPERV_SYNIC2 },
        { "HYPERV_CPUID", KVM_CAP_HYPERV_CPUID },
        { "XEN_HVM", KVM_CAP_XEN_HVM },
        { "COALESCED_MMIO", KVM_CAP_COALESCED_MMIO },
        { "COALESCED_PIO", KVM_CAP_COALESCED_PIO },
        { "DIRTY_LOG_RING", KVM_CAP_DIRTY_LOG_RING },
        { "DIRTY_LOG_RING_ACQ_REL", KVM_CAP_DIRTY_LOG_RING_ACQ_REL },
    };

    if (!lab_is_bawn)
        lab_skip("KVM offers these");
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        lab_row(rows[i].name);
        EXPECT_EQ(kvm_cap(lab_kvm, rows[i].cap), 0);
    }
}

static void test_not_served(void)
{
    static uint8_t buffer[4096];
    static const struct {
        const char *name;
        bool vcpu;
        unsigned long nr;
        bool pointer;
    } rows[] = {
        { "CREATE_IRQCHIP", false, KVM_CREATE_IRQCHIP, false },
        { "GET_IRQCHIP", false, KVM_GET_IRQCHIP, true },
        { "SET_IRQCHIP", false, KVM_SET_IRQCHIP, true },
        { "CREATE_PIT", false, KVM_CREATE_PIT, false },
        { "CREATE_PIT2", false, KVM_CREATE_PIT2, true },
        { "GET_PIT2", false, KVM_GET_PIT2, true },
        { "SET_PIT2", false, KVM_SET_PIT2, true },
        { "REGISTER_COALESCED_MMIO", false, KVM_REGISTER_COALESCED_MMIO, true },
        { "RESET_DIRTY_RINGS", false, KVM_RESET_DIRTY_RINGS, false },
        { "HYPERV_EVENTFD", false, KVM_HYPERV_EVENTFD, true },
        { "XEN_HVM_CONFIG", false, KVM_XEN_HVM_CONFIG, true },
        { "MEMORY_ENCRYPT_OP", false, KVM_MEMORY_ENCRYPT_OP, true },
        { "SMI", true, KVM_SMI, false },
        { "GET_NESTED_STATE", true, KVM_GET_NESTED_STATE, true },
        { "SET_NESTED_STATE", true, KVM_SET_NESTED_STATE, true },
        { "XEN_VCPU_SET_ATTR", true, KVM_XEN_VCPU_SET_ATTR, true },
        { "GET_SUPPORTED_HV_CPUID", true, KVM_GET_SUPPORTED_HV_CPUID, true },
    };
    struct vcpu *v;

    if (!lab_is_bawn)
        lab_skip("KVM serves these");
    v = vcpu_new(vm_split(), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        int fd = rows[i].vcpu ? v->fd : v->vm->fd;
        int ret = kvm_callv(fd, rows[i].nr, rows[i].pointer ? (unsigned long)buffer : 0);

        lab_row(rows[i].name);
        EXPECT_EQ(ret, rows[i].vcpu ? -EINVAL : -ENOTTY); /* as a number it does not know */
    }
    lab_row(NULL);
    EXPECT_EQ(guest_call(v, nop, 0, 0, 0, 0), GUEST_DONE);
}

static void test_clock(void)
{
    struct vm *vm = vm_split();
    struct kvm_clock_data c = { .clock = 77777777777ull }, d;

    vcpu_new(vm, 0);
    ASSERT_EQ(kvm_call(vm->fd, KVM_SET_CLOCK, &c), 0);
    ASSERT_EQ(kvm_call(vm->fd, KVM_GET_CLOCK, &d), 0);
    EXPECT(d.clock >= c.clock && d.clock < c.clock + 5000000000ull);
    usleep(50000);
    c = d;
    ASSERT_EQ(kvm_call(vm->fd, KVM_GET_CLOCK, &d), 0);
    EXPECT(d.clock - c.clock >= 49000000 && d.clock - c.clock < 5000000000ull);
}

static void test_boot_cpu(void)
{
    struct vm *vm = vm_split();

    ASSERT_EQ(kvm_callv(vm->fd, KVM_SET_BOOT_CPU_ID, 1), 0);
    EXPECT_EQ(vcpu_sregs(vcpu_raw(vm, 0)).apic_base & 0x100, 0);
    EXPECT_EQ(vcpu_sregs(vcpu_raw(vm, 1)).apic_base & 0x100, 0x100);
    EXPECT_EQ(kvm_callv(vm->fd, KVM_SET_BOOT_CPU_ID, 0), -EBUSY);
}

static void test_msr_features(void)
{
    struct kvm_msr_list probe = { .nmsrs = 0 }, *list;

    EXPECT_EQ(kvm_call(lab_kvm, KVM_GET_MSR_FEATURE_INDEX_LIST, &probe), -E2BIG);
    ASSERT(probe.nmsrs < 1000);
    list = calloc(1, sizeof(*list) + probe.nmsrs * sizeof(list->indices[0]));
    ASSERT(list);
    list->nmsrs = probe.nmsrs;
    ASSERT_EQ(kvm_call(lab_kvm, KVM_GET_MSR_FEATURE_INDEX_LIST, list), 0);
    for (unsigned i = 0; i < list->nmsrs; i++) {
        struct {
            struct kvm_msrs head;
            struct kvm_msr_entry entry;
        } m = { .head.nmsrs = 1, .entry.index = list->indices[i] };

        EXPECT_EQ(kvm_call(lab_kvm, KVM_GET_MSRS, &m), 1);
    }
    free(list);
}

static void test_tsc_khz(void)
{
    struct vcpu *v = vcpu_new(vm_split(), 0);
    int khz = kvm_callv(v->fd, KVM_GET_TSC_KHZ, 0);

    EXPECT(khz > 0);
    EXPECT_EQ(kvm_callv(v->fd, KVM_SET_TSC_KHZ, (unsigned long)khz), 0);
    EXPECT_EQ(kvm_callv(v->fd, KVM_GET_TSC_KHZ, 0), khz);
    EXPECT_EQ(guest_call(v, nop, 0, 0, 0, 0), GUEST_DONE);
}

static void test_mce(void)
{
    struct vcpu *v = vcpu_new(vm_split(), 0);
    uint64_t supported = 0, cap, value;

    ASSERT_EQ(kvm_call(lab_kvm, KVM_X86_GET_MCE_CAP_SUPPORTED, &supported), 0);
    cap = (supported & ~0xffull) | 10;
    ASSERT_EQ(kvm_call(v->fd, KVM_X86_SETUP_MCE, &cap), 0);
    EXPECT_EQ(guest_rdmsr(v, 0x179, &value), GUEST_DONE); /* MCG_CAP */
    EXPECT_EQ(value & 0xff, 10);
    EXPECT_EQ(guest_rdmsr(v, 0x400, &value), GUEST_DONE); /* MC0_CTL */
    EXPECT_EQ(guest_rdmsr(v, 0x401 + 9 * 4, &value), GUEST_DONE);
    EXPECT_EQ(value, 0);
    EXPECT_EQ(guest_wrmsr(v, 0x401, 0), GUEST_DONE);
    EXPECT_EQ(guest_wrmsr(v, 0x401, 5), GUEST_FAULT); /* a status may only be cleared */
}

static void read_stats(int fd, const char *what)
{
    struct kvm_stats_header h;
    struct {
        struct kvm_stats_desc d;
        char name[256];
    } desc;

    lab_row(what);
    ASSERT(fd >= 0);
    ASSERT_EQ(pread(fd, &h, sizeof(h), 0), (ssize_t)sizeof(h));
    EXPECT(h.num_desc > 0 && h.num_desc < 1000);
    ASSERT(h.name_size > 0 && h.name_size <= 256);
    for (uint32_t i = 0; i < h.num_desc; i++) {
        size_t size = sizeof(desc.d) + h.name_size;
        uint64_t value;

        ASSERT_EQ(pread(fd, &desc, size, (off_t)(h.desc_offset + i * size)), (ssize_t)size);
        EXPECT(strnlen(desc.name, h.name_size) < h.name_size && desc.name[0]);
        EXPECT_EQ(pread(fd, &value, sizeof(value), (off_t)(h.data_offset + desc.d.offset)),
                  (ssize_t)sizeof(value));
        if (!strcmp(desc.name, "exits"))
            EXPECT(value > 0);
    }
    close(fd);
}

static void test_stats(void)
{
    struct vcpu *v = vcpu_new(vm_split(), 0);

    EXPECT_EQ(guest_call(v, nop, 0, 0, 0, 0), GUEST_DONE);
    read_stats(kvm_callv(v->vm->fd, KVM_GET_STATS_FD, 0), "VM");
    read_stats(kvm_callv(v->fd, KVM_GET_STATS_FD, 0), "vCPU");
}

static const struct lab_test tests[] = {
    { "offered capabilities", test_offered },
    { "capabilities that are not offered", test_not_offered },
    { "calls that are not served", test_not_served },
    { "KVM_GET/SET_CLOCK", test_clock },
    { "KVM_SET_BOOT_CPU_ID", test_boot_cpu },
    { "feature MSRs", test_msr_features },
    { "KVM_GET/SET_TSC_KHZ", test_tsc_khz },
    { "machine check registers", test_mce },
    { "KVM_GET_STATS_FD", test_stats },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}

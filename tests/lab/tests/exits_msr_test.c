/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSR exits: registers that read back what was written, from the guest and from userspace;
 * unknown ones; KVM_X86_SET_MSR_FILTER and MSR exits to userspace.
 */
#include "harness.h"

#define MSR_SYSENTER_CS 0x174
#define MSR_PAT 0x277
#define MSR_LSTAR 0xc0000082
#define MSR_TSC_AUX 0xc0000103
#define MSR_UNKNOWN 0x12345

static const struct msr_row {
    const char *name;
    uint32_t index;
    uint64_t value;
} readback[] = {
    { "SYSENTER_CS", 0x174, 0x10 },
    { "SYSENTER_ESP", 0x175, 0x12345678 },
    { "SYSENTER_EIP", 0x176, 0x87654321 },
    { "PAT", MSR_PAT, 0x0007010600070106 },
    { "STAR", 0xc0000081, 0x0023001000000000 },
    { "LSTAR", MSR_LSTAR, 0xffffffff81000000 },
    { "CSTAR", 0xc0000083, 0xffffffff82000000 },
    { "SFMASK", 0xc0000084, 0x47700 },
    { "FS_BASE", 0xc0000100, 0x7f0000001000 },
    { "KERNEL_GS_BASE", 0xc0000102, 0xffff888000000000 },
    { "TSC_AUX", MSR_TSC_AUX, 0x1003 },
};

static void test_readback(void)
{
    struct vcpu *v = vcpu_new(vm_bare(), 0);

    for (unsigned i = 0; i < ARRAY_SIZE(readback); i++) {
        const struct msr_row *row = &readback[i];
        uint64_t value;

        lab_row(row->name);
        EXPECT_EQ(guest_wrmsr(v, row->index, row->value), GUEST_DONE);
        EXPECT_EQ(guest_rdmsr(v, row->index, &value), GUEST_DONE);
        EXPECT_EQ(value, row->value);
        EXPECT_EQ(vcpu_get_msr(v, row->index), row->value);
        EXPECT_EQ(vcpu_set_msr(v, row->index, 0), 1);
        EXPECT_EQ(guest_rdmsr(v, row->index, &value), GUEST_DONE);
        EXPECT_EQ(value, 0);
        EXPECT_EQ(vcpu_set_msr(v, row->index, row->value), 1);
        EXPECT_EQ(guest_rdmsr(v, row->index, &value), GUEST_DONE);
        EXPECT_EQ(value, row->value);
    }
}

static void test_two_vcpus(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v[2] = { vcpu_new(vm, 0), vcpu_new(vm, 1) };
    uint64_t value;

    for (unsigned n = 0; n < 2; n++)
        for (unsigned i = 0; i < ARRAY_SIZE(readback); i++)
            if (readback[i].index != MSR_PAT)
                EXPECT_EQ(guest_wrmsr(v[n], readback[i].index, readback[i].value + 0x10 * n),
                          GUEST_DONE);
    for (unsigned n = 0; n < 2; n++)
        for (unsigned i = 0; i < ARRAY_SIZE(readback); i++) {
            if (readback[i].index == MSR_PAT)
                continue;
            lab_row(readback[i].name);
            EXPECT_EQ(guest_rdmsr(v[n], readback[i].index, &value), GUEST_DONE);
            EXPECT_EQ(value, readback[i].value + 0x10 * n);
        }
}

static void test_refused(void)
{
    static const struct {
        const char *name;
        uint32_t index;
        bool write;
        uint64_t value;
    } rows[] = {
        { "unknown, read", MSR_UNKNOWN, false, 0 },
        { "unknown, write", MSR_UNKNOWN, true, 0 },
        { "unknown AMD, read", 0xc0001fff, false, 0 },
        { "unknown AMD, write", 0xc0001fff, true, 1 },
        { "outside all maps, read", 0x80000000, false, 0 },
        { "outside all maps, write", 0xffffffff, true, 0 },
        { "PAT: bad type", MSR_PAT, true, 2 },
        { "EFER: reserved bit", 0xc0000080, true, 0xd00 | 1 << 19 },
        { "MTRRcap: read-only", 0xfe, true, 0x508 },
        { "x2APIC ID without an APIC", 0x802, false, 0 },
    };
    struct vcpu *v = vcpu_new(vm_bare(), 0);

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        uint64_t value;

        lab_row(rows[i].name);
        mbox_clear(v);
        EXPECT_EQ(rows[i].write ? guest_wrmsr(v, rows[i].index, rows[i].value)
                                : guest_rdmsr(v, rows[i].index, &value),
                  GUEST_FAULT);
        EXPECT_EQ(*mbox32(v, MBOX_VECTOR), 13);
        EXPECT_EQ(*(uint64_t *)mbox(v, MBOX_ERROR), 0);
    }
}

static void test_userspace_set_refused(void)
{
    static const struct msr_row rows[] = {
        { "unknown", MSR_UNKNOWN, 0 },
        { "PAT: bad type", MSR_PAT, 0x0202020202020202 },
        { "LSTAR: not canonical", MSR_LSTAR, 1ull << 63 },
        { "EFER: reserved bit", 0xc0000080, 0xd00 | 1 << 19 },
    };
    struct vcpu *v = vcpu_new(vm_bare(), 0);

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        lab_row(rows[i].name);
        EXPECT_EQ(vcpu_set_msr(v, rows[i].index, rows[i].value), 0);
    }
}

static void test_set_stops_at_first_bad(void)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry e[3];
    } m = { .head.nmsrs = 3,
            .e = { { .index = MSR_SYSENTER_CS, .data = 8 },
                   { .index = MSR_UNKNOWN },
                   { .index = 0x175, .data = 0x5555 } } };
    struct vcpu *v = vcpu_new(vm_bare(), 0);

    EXPECT_EQ(kvm_call(v->fd, KVM_SET_MSRS, &m), 1);
    EXPECT_EQ(vcpu_get_msr(v, MSR_SYSENTER_CS), 8);
    EXPECT_EQ(vcpu_get_msr(v, 0x175), 0);
    EXPECT_EQ(kvm_call(v->fd, KVM_GET_MSRS, &m), 1);
}

static void test_index_list(void)
{
    struct vcpu *v = vcpu_new(vm_split(), 0);
    struct kvm_msr_list probe = { .nmsrs = 0 }, *list;
    unsigned found = 0;

    EXPECT_EQ(kvm_call(lab_kvm, KVM_GET_MSR_INDEX_LIST, &probe), -E2BIG);
    ASSERT(probe.nmsrs > 8 && probe.nmsrs < 2000);
    list = calloc(1, sizeof(*list) + probe.nmsrs * sizeof(list->indices[0]));
    ASSERT(list);
    list->nmsrs = probe.nmsrs;
    ASSERT_EQ(kvm_call(lab_kvm, KVM_GET_MSR_INDEX_LIST, list), 0);
    EXPECT_EQ(list->nmsrs, probe.nmsrs);
    for (unsigned i = 0; i < list->nmsrs; i++) {
        char name[16];

        snprintf(name, sizeof(name), "0x%x", list->indices[i]);
        lab_row(name);
        vcpu_get_msr(v, list->indices[i]); /* what is listed can be read */
        for (unsigned k = 0; k < ARRAY_SIZE(readback); k++)
            found += list->indices[i] == readback[k].index;
    }
    lab_row(NULL);
    /* FS_BASE and KERNEL_GS_BASE: the first is part of the segment registers */
    EXPECT(found >= ARRAY_SIZE(readback) - 1);
    free(list);
}

/* ---- userspace exits and filters ---- */

static void enable_exits(struct vm *vm, uint64_t reasons)
{
    struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_USER_SPACE_MSR, .args = { reasons } };

    ASSERT_EQ(kvm_call(vm->fd, KVM_ENABLE_CAP, &cap), 0);
}

static void expect_msr_exit(struct vcpu *v, int how, int exit, uint32_t index, uint32_t reason)
{
    ASSERT_EQ(how, exit);
    EXPECT_EQ(v->run->msr.index, index);
    EXPECT_EQ(v->run->msr.reason, reason);
    EXPECT_EQ(v->run->msr.error, 0);
}

static void test_exit_unknown(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);

    enable_exits(vm, KVM_MSR_EXIT_REASON_UNKNOWN | KVM_MSR_EXIT_REASON_INVAL);

    expect_msr_exit(v, guest_call(v, rdmsr, 0, 0, 0, MSR_UNKNOWN), KVM_EXIT_X86_RDMSR, MSR_UNKNOWN,
                    KVM_MSR_EXIT_REASON_UNKNOWN);
    v->run->msr.data = 0x0123456789abcdef;
    EXPECT_EQ(guest_resume(v), GUEST_DONE);
    EXPECT_EQ(v->regs.rax, 0x0123456789abcdef);

    expect_msr_exit(v, guest_call(v, rdmsr, 0, 0, 0, MSR_UNKNOWN), KVM_EXIT_X86_RDMSR, MSR_UNKNOWN,
                    KVM_MSR_EXIT_REASON_UNKNOWN);
    v->run->msr.error = 1;
    EXPECT_EQ(guest_resume(v), GUEST_FAULT);
    EXPECT_EQ(*mbox32(v, MBOX_VECTOR), 13);
    EXPECT_EQ(*(uint64_t *)mbox(v, MBOX_RIP), GUEST_ADDR(rdmsr));

    expect_msr_exit(v, guest_call(v, wrmsr, 0xfedcba9876543210, 0, 0, MSR_UNKNOWN),
                    KVM_EXIT_X86_WRMSR, MSR_UNKNOWN, KVM_MSR_EXIT_REASON_UNKNOWN);
    EXPECT_EQ(v->run->msr.data, 0xfedcba9876543210);
    EXPECT_EQ(guest_resume(v), GUEST_DONE);

    *mbox32(v, MBOX_VECTOR) = 0;
    expect_msr_exit(v, guest_call(v, wrmsr, 1, 0, 0, MSR_UNKNOWN), KVM_EXIT_X86_WRMSR, MSR_UNKNOWN,
                    KVM_MSR_EXIT_REASON_UNKNOWN);
    v->run->msr.error = 1;
    EXPECT_EQ(guest_resume(v), GUEST_FAULT);
    EXPECT_EQ(*mbox32(v, MBOX_VECTOR), 13);

    expect_msr_exit(v, guest_call(v, wrmsr, 2, 0, 0, MSR_PAT), KVM_EXIT_X86_WRMSR, MSR_PAT,
                    KVM_MSR_EXIT_REASON_INVAL);
    EXPECT_EQ(v->run->msr.data, 2);
    EXPECT_EQ(guest_resume(v), GUEST_DONE);
    EXPECT(vcpu_get_msr(v, MSR_PAT) != 2);
}

static void set_filter(struct vm *vm, uint32_t default_flags, uint32_t range_flags, uint32_t base,
                       uint32_t nmsrs, uint8_t *bitmap)
{
    struct kvm_msr_filter filter = { .flags = default_flags,
                                     .ranges = { { range_flags, nmsrs, base, bitmap } } };

    ASSERT_EQ(kvm_call(vm->fd, KVM_X86_SET_MSR_FILTER, &filter), 0);
}

#define RW (KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE)

static void test_filter_exits(void)
{
    static const uint32_t filtered[] = { MSR_SYSENTER_CS, MSR_LSTAR };
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t none[1] = { 0 };

    enable_exits(vm, KVM_MSR_EXIT_REASON_FILTER);
    for (unsigned i = 0; i < ARRAY_SIZE(filtered); i++) {
        uint32_t index = filtered[i];
        uint64_t value;

        lab_row(i ? "LSTAR" : "SYSENTER_CS");
        EXPECT_EQ(guest_wrmsr(v, index, 0x55), GUEST_DONE);
        /* A clear bit in a range that speaks of reads and writes denies both. */
        set_filter(vm, KVM_MSR_FILTER_DEFAULT_ALLOW, RW, index, 1, none);
        expect_msr_exit(v, guest_call(v, wrmsr, 0x66, 0, 0, index), KVM_EXIT_X86_WRMSR, index,
                        KVM_MSR_EXIT_REASON_FILTER);
        EXPECT_EQ(v->run->msr.data, 0x66);
        EXPECT_EQ(guest_resume(v), GUEST_DONE);
        expect_msr_exit(v, guest_call(v, rdmsr, 0, 0, 0, index), KVM_EXIT_X86_RDMSR, index,
                        KVM_MSR_EXIT_REASON_FILTER);
        v->run->msr.data = 0x77;
        EXPECT_EQ(guest_resume(v), GUEST_DONE);
        EXPECT_EQ(v->regs.rax, 0x77);
        EXPECT_EQ(vcpu_get_msr(v, index), 0x55); /* filters do not concern userspace */
        /* Only writes denied. */
        set_filter(vm, KVM_MSR_FILTER_DEFAULT_ALLOW, KVM_MSR_FILTER_WRITE, index, 1, none);
        EXPECT_EQ(guest_rdmsr(v, index, &value), GUEST_DONE);
        EXPECT_EQ(value, 0x55);
        EXPECT_EQ(guest_call(v, wrmsr, 1, 0, 0, index), KVM_EXIT_X86_WRMSR);
        EXPECT_EQ(guest_resume(v), GUEST_DONE);
        /* And the filter taken away. */
        set_filter(vm, KVM_MSR_FILTER_DEFAULT_ALLOW, 0, 0, 0, NULL);
        EXPECT_EQ(guest_wrmsr(v, index, 0x88), GUEST_DONE);
        EXPECT_EQ(vcpu_get_msr(v, index), 0x88);
    }
}

static void test_filter_gp(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t all[1] = { 1 };
    uint64_t value;

    /* No exits enabled: what the filter denies is #GP. Default deny, one register allowed. */
    set_filter(vm, KVM_MSR_FILTER_DEFAULT_DENY, RW, MSR_SYSENTER_CS, 1, all);
    EXPECT_EQ(guest_wrmsr(v, MSR_SYSENTER_CS, 0x10), GUEST_DONE);
    EXPECT_EQ(guest_rdmsr(v, MSR_SYSENTER_CS, &value), GUEST_DONE);
    EXPECT_EQ(value, 0x10);
    EXPECT_EQ(guest_wrmsr(v, 0x175, 0x10), GUEST_FAULT);
    EXPECT_EQ(*mbox32(v, MBOX_VECTOR), 13);
    EXPECT_EQ(guest_rdmsr(v, MSR_LSTAR, &value), GUEST_FAULT);
    EXPECT_EQ(guest_wrmsr(v, 0xc0000100, 0x10), GUEST_FAULT); /* FS_BASE */
}

static void test_filter_refused(void)
{
    uint8_t bits[8] = { 0 };
    const struct {
        const char *name;
        struct kvm_msr_filter filter;
        int want;
    } rows[] = {
        { "unknown flag", { .flags = 2 }, -EINVAL },
        { "default deny without a range", { .flags = KVM_MSR_FILTER_DEFAULT_DENY }, -EINVAL },
        { "unknown range flag", { .ranges = { { 4, 1, 0x174, bits } } }, -EINVAL },
        { "range without flags", { .ranges = { { 0, 1, 0x174, bits } } }, -EINVAL },
        { "too many registers", { .ranges = { { RW, 0x3001 * 8, 0, bits } } }, -EINVAL },
        { "no bitmap", { .ranges = { { RW, 8, 0x174, NULL } } }, -EFAULT },
    };
    struct vm *vm = vm_bare();

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        lab_row(rows[i].name);
        EXPECT_EQ(kvm_call(vm->fd, KVM_X86_SET_MSR_FILTER, &rows[i].filter), rows[i].want);
    }
    lab_row(NULL);
    EXPECT_EQ(kvm_call(vm->fd, KVM_X86_SET_MSR_FILTER, NULL), -EFAULT);
}

static const struct lab_test tests[] = {
    { "registers read back", test_readback },
    { "registers of two vCPUs", test_two_vcpus },
    { "refused: #GP", test_refused },
    { "refused: KVM_SET_MSRS", test_userspace_set_refused },
    { "KVM_SET_MSRS stops at the first bad one", test_set_stops_at_first_bad },
    { "KVM_GET_MSR_INDEX_LIST", test_index_list },
    { "exits for unknown and invalid", test_exit_unknown },
    { "exits by filter", test_filter_exits },
    { "#GP by filter", test_filter_gp },
    { "filters refused", test_filter_refused },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}

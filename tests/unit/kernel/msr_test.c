/* SPDX-License-Identifier: Apache-2.0 */
// sources:
/*
 * The table of MSRs, from the inside: no index twice, flags that agree, fields inside the vCPU;
 * and what guest and userspace may do to every register in it and to all others.
 */
#include "guest_mock.h"
#include "fuzz/sim/sim.h"
#include "msr.c"

static struct {
    bool features; /* offered, and in this guest's CPUID */
    u64 backend, deadline, tsc;
} cpu;
static u64 banks[4 * BAWN_MAX_MCE_BANKS];

bool bawn_supports(u32 feature)
{
    return cpu.features;
}

u64 bawn_feature_bits(struct bawn_vcpu *vcpu, const struct bawn_feature_bits *table, int nr)
{
    u64 all = 0;

    for (int i = 0; i < nr; i++)
        all |= cpu.features ? table[i].bits : 0;
    return all;
}

int bawn_set_efer(struct bawn_vcpu *vcpu, u64 efer)
{
    vcpu->efer = efer;
    return 0;
}

int bawn_clock_get_msr(struct bawn_vcpu *vcpu, u32 index, u64 *value)
{
    *value = vcpu->clock_msr;
    return 0;
}

int bawn_clock_set_msr(struct bawn_vcpu *vcpu, u32 index, u64 value)
{
    vcpu->clock_msr = value;
    return 0;
}

u64 bawn_read_guest_tsc(struct bawn_vcpu *vcpu, u64 host_tsc)
{
    return cpu.tsc;
}

void bawn_write_guest_tsc(struct bawn_vcpu *vcpu, u64 value, bool host)
{
    cpu.tsc = value;
}

void bawn_set_tsc_adjust(struct bawn_vcpu *vcpu, u64 value, bool host)
{
    vcpu->tsc_adjust = value;
}

u64 bawn_lapic_get_tscdeadline(struct bawn_vcpu *vcpu)
{
    return cpu.deadline;
}

void bawn_lapic_set_tscdeadline(struct bawn_vcpu *vcpu, u64 value)
{
    cpu.deadline = value;
}

int bawn_lapic_set_base(struct bawn_vcpu *vcpu, u64 base, bool host)
{
    vcpu->apic_base = base;
    return 0;
}

int bawn_lapic_get_msr(struct bawn_vcpu *vcpu, u32 index, u64 *value)
{
    return 1;
}

int bawn_lapic_set_msr(struct bawn_vcpu *vcpu, u32 index, u64 value)
{
    return 1;
}

static u64 *backend_msr(struct bawn_vcpu *vcpu, u32 index)
{
    return &cpu.backend;
}

static struct bawn_vcpu *guest(bool features)
{
    static struct bawn_cpu_ops ops;
    struct bawn_vcpu *vcpu = mock_reset();

    ops = mock_ops;
    ops.msr = backend_msr;
    bawn_cpu = &ops;
    memset(&cpu, 0, sizeof(cpu));
    cpu.features = mock.features = features;
    wrmsrl(MSR_IA32_PRED_CMD, 0);
    memset(banks, 0, sizeof(banks));
    bawn_msr_reset(vcpu);
    return vcpu;
}

/* Did a write reach the processor? */
static bool barrier_done(void)
{
    u64 value;

    rdmsrl(MSR_IA32_PRED_CMD, value);
    return value & PRED_CMD_IBPB;
}

static int rd(struct bawn_vcpu *vcpu, u32 index, u64 *value, bool host)
{
    *value = ~0ull;
    return bawn_msr_access(vcpu, index, value, false, host);
}

static int wr(struct bawn_vcpu *vcpu, u32 index, u64 value, bool host)
{
    return bawn_msr_access(vcpu, index, &value, true, host);
}

static void test_table(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(msrs); i++) {
        const struct msr_desc *m = &msrs[i];
        size_t size = 8ull * (m->last - m->first + 1);

        if (m->last < m->first || (m->flags & READ_ONLY && m->flags & (WRITE_ONLY | HOST_SET)) ||
            (m->flags & READ_ONLY && m->valid) || (m->flags & WRITE_ONLY && m->flags & LIST) ||
            (m->field && (m->field % 8 || m->field + size > sizeof(struct bawn_vcpu))))
            fail_msg("row %zu: 0x%x", i, m->first);
        for (size_t k = 0; k < i; k++)
            if (m->first <= msrs[k].last && m->last >= msrs[k].first)
                fail_msg("0x%x is in rows %zu and %zu", m->first, k, i);
    }
}

/* Each register, by guest and userspace: what may be written reads back, the rest is refused. */
static void test_every_register(void **state)
{
    static const u64 values[] = { 0, 1, 0x0606060606060606, 1ull << 63, ~0ull };

    for (size_t i = 0; i < ARRAY_SIZE(msrs); i++)
        for (u32 index = msrs[i].first; index <= msrs[i].last; index++)
            for (size_t v = 0; v < 2 * ARRAY_SIZE(values); v++) {
                const struct msr_desc *m = &msrs[i];
                struct bawn_vcpu *vcpu = guest(true);
                u64 value = values[v / 2], got;
                bool host = v % 2;
                int ret = wr(vcpu, index, value, host);

                if (ret == BAWN_MSR_UNKNOWN ||
                    (ret == BAWN_MSR_OK &&
                     (value & ~m->valid || m->flags & READ_ONLY || (m->flags & HOST_SET && !host) ||
                      (m->flags & CANONICAL && value == 1ull << 63))))
                    fail_msg("0x%x takes %llx: %d", index, value, ret);
                ret = rd(vcpu, index, &got, host);
                if (host && m->flags & LIST && ret != BAWN_MSR_OK)
                    fail_msg("0x%x is listed, but cannot be read", index);
                if (m->flags & WRITE_ONLY && (ret == BAWN_MSR_OK) != host)
                    fail_msg("0x%x is not to be read", index);
                if (got & ~m->valid && !(m->flags & (READ_ONLY | FEATURE)))
                    fail_msg("0x%x reads %llx", index, got);
            }
}

static void test_unknown(void **state)
{
    struct bawn_vcpu *vcpu = guest(true);
    u64 value;

    for (u32 i = 0; i < 3 * 0x2000; i++) { /* the three ranges that processors use */
        static const u32 ranges[] = { 0, 0xc0000000, 0xc0010000 };
        u32 index = ranges[i / 0x2000] + i % 0x2000;

        if (find_msr(index))
            continue;
        assert_int_equal(rd(vcpu, index, &value, true), BAWN_MSR_UNKNOWN);
        assert_int_equal(value, 0);
        assert_int_equal(wr(vcpu, index, 0, true), BAWN_MSR_UNKNOWN);
    }
    vcpu = guest(false);
    assert_int_equal(rd(vcpu, MSR_TSC_AUX, &value, false), BAWN_MSR_UNKNOWN);
    assert_int_equal(rd(vcpu, MSR_TSC_AUX, &value, true), BAWN_MSR_OK);
    assert_int_equal(wr(vcpu, MSR_IA32_SPEC_CTRL, 1, false), BAWN_MSR_INVALID);
    assert_int_equal(wr(vcpu, MSR_IA32_PRED_CMD, 1, false), BAWN_MSR_INVALID);
    assert_false(barrier_done());
}

static void test_values(void **state)
{
    struct bawn_vcpu *vcpu = guest(true);
    u64 value;

    assert_int_equal(wr(vcpu, MSR_IA32_PRED_CMD, 1, false), BAWN_MSR_OK);
    assert_true(barrier_done());
    assert_int_equal(wr(vcpu, MSR_IA32_CR_PAT, 0x0202020202020202, false), BAWN_MSR_INVALID);
    assert_int_equal(wr(vcpu, MSR_IA32_CR_PAT, 0x0007040600070405, false), BAWN_MSR_OK);
    assert_int_equal(vcpu->pat, 0x0007040600070405);
    assert_int_equal(cpu.backend, vcpu->pat);
    for (u32 i = 0; i < 8; i++)
        assert_int_equal(wr(vcpu, 0x268 + i, 0x0101010101010101 * (i / 2 % 2), false), 0);
    assert_int_equal(vcpu->msr.mtrr_fixed[BAWN_MTRR_FIXED - 1], 0x0101010101010101);
    assert_int_equal(wr(vcpu, 0x200, 1ull << 46, false), BAWN_MSR_INVALID); /* maxphyaddr */
    assert_int_equal(wr(vcpu, 0x201, 1ull << 45 | 0x800, false), BAWN_MSR_OK);
    assert_int_equal(vcpu->msr.mtrr_variable[1], 1ull << 45 | 0x800);
    assert_int_equal(wr(vcpu, MSR_AMD64_DE_CFG, 0, false), BAWN_MSR_INVALID);
    assert_int_equal(wr(vcpu, MSR_IA32_UCODE_REV, 0, false), BAWN_MSR_OK);
    rd(vcpu, MSR_IA32_UCODE_REV, &value, false);
    assert_int_equal(value, UCODE_REV_DEFAULT);
    assert_int_equal(wr(vcpu, MSR_K7_HWCR, HWCR_IGNORED | HWCR_TSC_FREQ_SEL, false), BAWN_MSR_OK);
    assert_int_equal(vcpu->msr.hwcr, HWCR_TSC_FREQ_SEL);
}

static void test_machine_check(void **state)
{
    struct bawn_vcpu *vcpu = guest(true);
    u64 value;

    assert_int_equal(rd(vcpu, 0x400, &value, true), BAWN_MSR_INVALID); /* no banks */
    vcpu->mce_banks = banks;
    vcpu->mcg_cap = MCG_CTL_P | 2;
    assert_int_equal(wr(vcpu, 0x407, 5, false), BAWN_MSR_OK);
    assert_int_equal(banks[7], 5);
    assert_int_equal(wr(vcpu, 0x408, 0, true), BAWN_MSR_INVALID); /* bank 2 of 2 */
    assert_int_equal(wr(vcpu, 0x404, 5, false), BAWN_MSR_INVALID);
    assert_int_equal(wr(vcpu, 0x404, ~0x400ull, false), BAWN_MSR_OK);
    assert_int_equal(wr(vcpu, 0x401, 1, false), BAWN_MSR_INVALID);
    assert_int_equal(wr(vcpu, 0x401, 1, true), BAWN_MSR_OK);
    vcpu->msr.hwcr = HWCR_MCI_STATUS_WR_EN;
    assert_int_equal(wr(vcpu, 0x401, 2, false), BAWN_MSR_OK);
    assert_int_equal(wr(vcpu, MSR_IA32_MCG_CTL, 1, false), BAWN_MSR_INVALID);
    assert_int_equal(wr(vcpu, MSR_IA32_MCG_CTL, ~0ull, false), BAWN_MSR_OK);
}

static void test_ioctls(void **state)
{
    struct bawn_vcpu *vcpu = guest(true);
    struct {
        struct kvm_msr_list head;
        u32 index[200];
    } list = { .head.nmsrs = 1 };
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry e[3];
    } m = { .head.nmsrs = 3, .e = { { .index = MSR_STAR, .data = 8 }, { .index = 0x12345 } } };
    uint64_t user = sim_map(PAGE_SIZE);
    struct kvm_msr_list *user_list = (void *)user;
    struct kvm_msrs *user_msrs = (void *)user;

    sim_poke(user, &list, sizeof(list));
    assert_int_equal(bawn_msr_list(user_list, false), -E2BIG);
    sim_peek(user, &list, sizeof(list));
    assert_in_range(list.head.nmsrs, 40, 200);
    assert_int_equal(list.index[1], 0);
    assert_int_equal(bawn_msr_list(user_list, false), 0);
    sim_poke(user, &m, sizeof(m));
    assert_int_equal(bawn_msrs_ioctl(vcpu, user_msrs, true), 1); /* until the first bad one */
    assert_int_equal(cpu.backend, 8);
    m.e[0].data = 0;
    sim_poke(user, &m, sizeof(m));
    assert_int_equal(bawn_msrs_ioctl(vcpu, user_msrs, false), 1);
    sim_peek(user, &m, sizeof(m));
    assert_int_equal(m.e[0].data, 8);
    m.head.nmsrs = MAX_MSRS_IOCTL + 1;
    sim_poke(user, &m, sizeof(m));
    assert_int_equal(bawn_msrs_ioctl(vcpu, user_msrs, false), -E2BIG);
    m.head.nmsrs = 1;
    sim_poke(user, &m, sizeof(m));
    assert_int_equal(bawn_msrs_ioctl(NULL, user_msrs, false), 0); /* STAR is no feature */
    m.e[0].index = MSR_IA32_UCODE_REV;
    sim_poke(user, &m, sizeof(m));
    assert_int_equal(bawn_msrs_ioctl(NULL, user_msrs, false), 1);
    sim_peek(user, &m, sizeof(m));
    assert_int_equal(m.e[0].data, sim_rdmsr(MSR_IA32_UCODE_REV));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),         cmocka_unit_test(test_every_register),
        cmocka_unit_test(test_unknown),       cmocka_unit_test(test_values),
        cmocka_unit_test(test_machine_check), cmocka_unit_test(test_ioctls),
    };

    static const struct sim_options small = { .memory = 2 << 20 };

    sim_bare(&small);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
// sources: kernel/snp/ghcb.c kernel/snp/ghcb_msr.c kernel/snp/ghcb_io.c kernel/snp/ghcb_cpu.c
// sources: kernel/snp/psc.c kernel/snp/ap.c kernel/snp/guest_request.c
/*
 * The GHCB's two protocols: who may speak by which page, which fields a service needs, what
 * instructions are answered, and how a guest ends.
 */
#include "ghcb_mock.h"

/* ---- The MSR protocol ---- */

static u64 by_msr(struct bawn_vcpu *vcpu, u64 request)
{
    msr_value = request;
    assert_int_equal(vmgexit(vcpu), 1);
    return msr_value;
}

static void test_msr_protocol(void **state)
{
    struct bawn_vcpu *vcpu = reset();

    (void)state;
    assert_int_equal(by_msr(vcpu, 0x002), 2ull << 48 | 1ull << 32 | 51 << 24 | 0x001);
    for (u64 reg = 0; reg < 4; reg++)
        assert_int_equal(by_msr(vcpu, 0x1fULL << 32 | reg << 30 | 0x004),
                         (0x1f0000ull | reg) << 32 | reg << 30 | 0x005);
    assert_int_equal(by_msr(vcpu, 0x010), ~0xfffull | 0x011);
    assert_int_equal(by_msr(vcpu, 0x080), 3 << 12 | 0x081);
    assert_int_equal(by_msr(vcpu, OTHER | 0x012), OTHER | 0x013);
    assert_int_equal(snp.ghcb_gpa, OTHER);
    /* It may be shared afterwards. */
    assert_int_equal(by_msr(vcpu, PRIVATE | 0x012), PRIVATE | 0x013);
    assert_int_equal(by_msr(vcpu, OTHER | 0x012), OTHER | 0x013);
    static const gpa_t bad[] = { 0, GPA_END, GPA_END | OTHER, BIT_ULL(51) | OTHER };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(by_msr(vcpu, bad[i] | 0x012), ~0xfffull | 0x013);
        assert_int_equal(snp.ghcb_gpa, OTHER);
    }
    msr_value = 0x2 << 16 | 1 << 12 | 0x100;
    expect_terminated(vmgexit(vcpu), 0x21100);
    assert_int_equal(vcpu->mp_state, KVM_MP_STATE_RUNNABLE);
}

/* KVM_SEV_INIT2 chose an older version: guests are told, and may not speak a newer one. */
static void test_versions(void **state)
{
    struct bawn_vcpu *vcpu = reset();

    (void)state;
    snp_vm.ghcb_version = 1;
    assert_int_equal(by_msr(vcpu, 0x002), 1ull << 48 | 1ull << 32 | 51 << 24 | 0x001);
    msr_value = GHCB_PAGE;
    ask(SVM_EXIT_WBINVD, 0, 0);
    expect_refused(vmgexit(vcpu), 5);
    page()->protocol_version = 1;
    ask(SVM_EXIT_WBINVD, 0, 0);
    expect_answer(vmgexit(vcpu), 0, 0);
    /* What a vCPU finds in its MSR at first. */
    snp_vm.ghcb_version = 2;
    bawn_snp_ghcb_reset(vcpu);
    assert_int_equal(msr_value, 2ull << 48 | 1ull << 32 | 51 << 24 | 0x001);
}

/* AP reset hold ends by INIT and then SIPI, or by a state that another vCPU gives. */
static void test_reset_hold_msr(void **state)
{
    struct bawn_vcpu *vcpu = reset();

    (void)state;
    msr_value = 0x006;
    assert_int_equal(vmgexit(vcpu), 0); /* the VMM has the local APIC */
    assert_int_equal(mock.run.exit_reason, KVM_EXIT_AP_RESET_HOLD);
    assert_int_equal(msr_value, 0x007);
    assert_int_equal(vcpu->mp_state, KVM_MP_STATE_RUNNABLE);

    vcpu->apic = (void *)&mock;
    assert_int_equal(by_msr(vcpu, 0x006), 0x007);
    assert_int_equal(vcpu->mp_state, KVM_MP_STATE_AP_RESET_HOLD);
    bawn_snp_ap_sipi(vcpu);
    assert_int_equal(vcpu->mp_state, KVM_MP_STATE_AP_RESET_HOLD);
    bawn_snp_ap_init(vcpu);
    assert_int_equal(vcpu->mp_state, KVM_MP_STATE_INIT_RECEIVED);
    assert_int_equal(msr_value, 0x007);
    bawn_snp_ap_sipi(vcpu);
    assert_int_equal(vcpu->mp_state, KVM_MP_STATE_RUNNABLE);
    assert_int_equal(msr_value, 1 << 12 | 0x007);
    /* One that runs is not touched. */
    bawn_snp_ap_init(vcpu);
    bawn_snp_ap_sipi(vcpu);
    assert_int_equal(vcpu->mp_state, KVM_MP_STATE_RUNNABLE);
    /* Of those that do not run, only one that was never started has a state to start from. */
    vcpu->mp_state = KVM_MP_STATE_UNINITIALIZED;
    bawn_snp_ap_init(vcpu);
    bawn_snp_ap_sipi(vcpu);
    assert_int_equal(vcpu->mp_state, KVM_MP_STATE_UNINITIALIZED);
    snp.fresh = true;
    msr_value = 0x1234;
    bawn_snp_ap_init(vcpu);
    bawn_snp_ap_sipi(vcpu);
    assert_int_equal(vcpu->mp_state, KVM_MP_STATE_RUNNABLE);
    assert_int_equal(msr_value, 0x1234);
}

static void test_reset_hold_page(void **state)
{
    struct bawn_vcpu *vcpu = reset();

    (void)state;
    ask(SVM_VMGEXIT_AP_HLT_LOOP, 0, 0x1234);
    assert_int_equal(vmgexit(vcpu), 0);
    assert_int_equal(mock.run.exit_reason, KVM_EXIT_AP_RESET_HOLD);
    vcpu->apic = (void *)&mock;
    ask(SVM_VMGEXIT_AP_HLT_LOOP, 0, 0x1234);
    expect_answer(vmgexit(vcpu), 0, 0);
    assert_int_equal(vcpu->mp_state, KVM_MP_STATE_AP_RESET_HOLD);
    bawn_snp_ap_init(vcpu);
    bawn_snp_ap_sipi(vcpu);
    assert_int_equal(vcpu->mp_state, KVM_MP_STATE_RUNNABLE);
    expect_valid(0, 0, 0, 0);
    assert_int_equal(page()->save.sw_exit_info_2, 1);
    assert_int_equal(msr_value, GHCB_PAGE);
}

static void test_msr_unknown(void **state)
{
    struct bawn_vcpu *vcpu = reset();
    static const u16 known[] = { 0x002, 0x004, 0x006, 0x010, 0x012, 0x014, 0x080, 0x100 };

    (void)state;
    for (u64 code = 1; code < 0x1000; code++) {
        bool skip = false;

        for (size_t i = 0; i < ARRAY_SIZE(known); i++)
            skip |= known[i] == code;
        if (skip)
            continue;
        msr_value = 0x1234000 | code;
        expect_terminated(vmgexit(vcpu), 0x100);
        assert_int_equal(msr_value, 0x1234000 | code);
    }
}

static void test_msr_page_state(void **state)
{
    struct bawn_vcpu *vcpu = reset();

    (void)state;
    msr_value = 1ull << 52 | OTHER | 0x014;
    expect_map(vmgexit(vcpu), OTHER, 1, true, false);
    assert_int_equal(complete(vcpu), 1);
    assert_int_equal(msr_value, 0x015);
    /* A VMM that does not change pages. */
    mock.vm.hypercall_exits = 0;
    assert_int_equal(by_msr(vcpu, 1ull << 52 | OTHER | 0x014), BIT_ULL(63) | 0x015);
    mock.vm.hypercall_exits = BIT_ULL(KVM_HC_MAP_GPA_RANGE);
    msr_value = 2ull << 52 | PRIVATE | 0x014;
    expect_map(vmgexit(vcpu), PRIVATE, 1, false, false);
    mock.run.hypercall.ret = 22;
    assert_int_equal(complete(vcpu), 1);
    assert_int_equal(msr_value, BIT_ULL(63) | 0x015);
    for (u64 op = 0; op < 16; op++)
        if (op != 1 && op != 2)
            assert_int_equal(by_msr(vcpu, op << 52 | OTHER | 0x014), BIT_ULL(63) | 0x015);
    assert_int_equal(by_msr(vcpu, 1ull << 56 | 1ull << 52 | OTHER | 0x014), BIT_ULL(63) | 0x015);
    assert_int_equal(by_msr(vcpu, 1ull << 52 | GPA_END | 0x014), BIT_ULL(63) | 0x015);
}

/* ---- The page ---- */

static void test_page_itself(void **state)
{
    struct bawn_vcpu *vcpu = reset();
    static u8 before[PAGE_SIZE];

    (void)state;
    ask(SVM_EXIT_WBINVD, 0, 0);
    expect_answer(vmgexit(vcpu), 0, 0);

    /* Registered, but no longer shared, or gone, or another page: no word to anybody. */
    static const gpa_t bad[] = { OTHER, PRIVATE, 0, GPA_END, PAGE(0x1000) };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        vcpu = reset();
        ask(SVM_EXIT_WBINVD, 0, 0);
        if (bad[i] && bad[i] != OTHER)
            snp.ghcb_gpa = bad[i];
        memcpy(before, page(), PAGE_SIZE);
        msr_value = bad[i];
        expect_terminated(vmgexit(vcpu), 0x100);
        assert_memory_equal(before, page(), PAGE_SIZE);
    }
    /* In read-only memory no answer can be given. */
    vcpu = reset();
    ask(SVM_EXIT_WBINVD, 0, 0);
    memcpy(mock.memory + ROM, page(), PAGE_SIZE);
    msr_value = snp.ghcb_gpa = ROM;
    expect_terminated(vmgexit(vcpu), 0x100);

    for (u32 version = 0; version < 5; version++) {
        vcpu = reset();
        ask(SVM_EXIT_WBINVD, 0, 0);
        page()->protocol_version = (u16)version;
        if (version == 1 || version == 2)
            expect_answer(vmgexit(vcpu), 0, 0);
        else
            expect_refused(vmgexit(vcpu), 5);
    }
    vcpu = reset();
    ask(SVM_EXIT_WBINVD, 0, 0);
    page()->ghcb_usage = 0x80000000;
    expect_refused(vmgexit(vcpu), 2);
}

static void ask_for(u64 code)
{
    ask(code, 0, 0);
    set(GHCB_CPL, 0);
    set(GHCB_RAX, 1);
    set(GHCB_RBX, 1);
    set(GHCB_RCX, 0x1b);
    set(GHCB_RDX, 0);
    set(GHCB_XCR0, 1);
    set(GHCB_SCRATCH, BUFFER);
    switch (code) {
    case SVM_EXIT_IOIO:
        set(GHCB_INFO1, 0x3f8 << 16 | 1 << 4);
        break;
    case SVM_EXIT_MSR:
        set(GHCB_INFO1, 1);
        break;
    case SVM_VMGEXIT_MMIO_READ:
    case SVM_VMGEXIT_MMIO_WRITE:
        set(GHCB_INFO1, MOCK_DEVICE);
        set(GHCB_INFO2, 4);
        break;
    case SVM_VMGEXIT_AP_CREATION:
        set(GHCB_INFO1, (u64)APIC_ID << 32 | 1);
        set(GHCB_INFO2, PRIVATE);
        break;
    case SVM_VMGEXIT_GUEST_REQUEST:
    case SVM_VMGEXIT_EXT_GUEST_REQUEST:
        set(GHCB_RAX, PAGE(8));
        set(GHCB_INFO1, PAGE(5));
        set(GHCB_INFO2, PAGE(6));
        break;
    }
    if (code == SVM_EXIT_CPUID)
        set(GHCB_RAX, 0xd);
}

static void test_missing_fields(void **state)
{
    enum { A = 1, C = 2, D = 4, B = 8, P = 16, S = 32, X = 64 };
    static const struct {
        u64 code;
        u32 needs;
    } services[] = {
        { SVM_EXIT_IOIO, A },
        { SVM_EXIT_MSR, A | C | D },
        { SVM_VMGEXIT_MMIO_READ, S },
        { SVM_VMGEXIT_MMIO_WRITE, S },
        { SVM_EXIT_CPUID, A | C | X },
        { SVM_EXIT_RDTSC, 0 },
        { SVM_EXIT_RDTSCP, 0 },
        { SVM_EXIT_RDPMC, C },
        { SVM_EXIT_VMMCALL, A | P },
        { SVM_EXIT_INVD, 0 },
        { SVM_EXIT_WBINVD, 0 },
        { SVM_EXIT_MONITOR, A | C | D },
        { SVM_EXIT_MWAIT, A | C },
        { SVM_EXIT_READ_DR7, 0 },
        { SVM_EXIT_WRITE_DR7, A },
        { SVM_VMGEXIT_NMI_COMPLETE, 0 },
        { SVM_VMGEXIT_AP_CREATION, A },
        { SVM_VMGEXIT_GUEST_REQUEST, 0 },
        { SVM_VMGEXIT_EXT_GUEST_REQUEST, A | B },
        { SVM_VMGEXIT_HV_FEATURES, 0 },
        { SVM_VMGEXIT_PSC, S },
    };
    static const enum ghcb_field fields[] = { GHCB_RAX,   GHCB_RCX,     GHCB_RDX,  GHCB_RBX,
                                              GHCB_CPL,   GHCB_SCRATCH, GHCB_XCR0, GHCB_EXIT_CODE,
                                              GHCB_INFO1, GHCB_INFO2 };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(services); i++) {
        for (size_t f = 0; f < ARRAY_SIZE(fields); f++) {
            struct bawn_vcpu *vcpu = reset();
            bool needed = f >= 7 || services[i].needs >> f & 1;
            int r;

            ask_for(services[i].code);
            page()->save.valid_bitmap[fields[f] / 8] &= (u8) ~(1 << fields[f] % 8);
            r = vmgexit(vcpu);
            if (needed)
                expect_refused(r, 4);
            else
                assert_true(!r || page()->save.sw_exit_info_1 != 2 ||
                            page()->save.sw_exit_info_2 != 4);
        }
    }
}

static void test_unknown_events(void **state)
{
    struct bawn_vcpu *vcpu = reset();
    static const u64 codes[] = { 0,          0x400,      0x403,
                                 0x80000000, 0x80000005, 0x80000014,
                                 0x80000018, 0x8000fffc, SVM_EXIT_CPUID | BIT_ULL(32),
                                 ~0ull };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        ask(codes[i], 0, 0);
        expect_refused(vmgexit(vcpu), 6);
    }
    ask(SVM_VMGEXIT_UNSUPPORTED_EVENT, 0x70, 0);
    expect_terminated(vmgexit(vcpu), 0x100);
    ask(SVM_VMGEXIT_TERM_REQUEST, 2 << 4 | 1, 0);
    expect_terminated(vmgexit(vcpu), 0x21100);
    ask(SVM_VMGEXIT_HV_FEATURES, 0, 0);
    expect_answer(vmgexit(vcpu), 0, 3);
}

/* ---- Instructions ---- */

static void test_cpuid(void **state)
{
    struct bawn_vcpu *vcpu = reset();

    (void)state;
    ask(SVM_EXIT_CPUID, 0, 0);
    set(GHCB_RAX, 7);
    set(GHCB_RCX, 1);
    expect_answer(vmgexit(vcpu), 0, 0);
    expect_valid(1, 1, 1, 1);
    assert_int_equal(page()->save.rax, 0x70100);
    assert_int_equal(page()->save.rbx, 0x70101);
    assert_int_equal(page()->save.rcx, 0x70102);
    assert_int_equal(page()->save.rdx, 0x70103);

    ask(SVM_EXIT_CPUID, 0, 0);
    set(GHCB_RAX, 0xd);
    set(GHCB_RCX, 0);
    set(GHCB_XCR0, 7);
    expect_answer(vmgexit(vcpu), 0, 0);
    assert_int_equal(host.xcr0, 7);
    assert_int_equal(vcpu->xcr0, 1);
    ask(SVM_EXIT_CPUID, 0, 0);
    set(GHCB_RAX, 0xd);
    set(GHCB_RCX, 0);
    set(GHCB_XCR0, ~0ull);
    expect_refused(vmgexit(vcpu), 5);
    assert_int_equal(vcpu->xcr0, 1);
}

static void ask_msr(u32 index, u64 write)
{
    ask(SVM_EXIT_MSR, write, 0);
    set(GHCB_RCX, index);
    if (write) {
        set(GHCB_RAX, 0xffffffff89abcdef);
        set(GHCB_RDX, 0x01234567);
    }
}

static void test_msrs(void **state)
{
    struct bawn_vcpu *vcpu = reset();

    (void)state;
    ask_msr(0x1b, 0);
    expect_answer(vmgexit(vcpu), 0, 0);
    expect_valid(1, 0, 0, 1);
    assert_int_equal(page()->save.rax, 0x33334444);
    assert_int_equal(page()->save.rdx, 0x11112222);
    ask_msr(0x1b, 1);
    expect_answer(vmgexit(vcpu), 0, 0);
    expect_valid(0, 0, 0, 0);
    assert_int_equal(host.written, 0x0123456789abcdef);
    ask_msr(0x1b, 2);
    expect_refused(vmgexit(vcpu), 5);
    /* What is the guest's own is not asked for here. */
    host.accesses = 0;
    static const u32 own[] = { 0xc0000080, 0xc0000081, 0xc0000082, 0xc0000100,
                               0xc0000102, 0x277,      0x176 };
    for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
        ask_msr(own[i], 1);
        expect_answer(vmgexit(vcpu), 1, EVENT_GP);
    }
    assert_int_equal(host.accesses, 0);
    host.result = BAWN_MSR_UNKNOWN;
    ask_msr(0x1b, 0);
    expect_answer(vmgexit(vcpu), 1, EVENT_GP);
    expect_valid(0, 0, 0, 0);
}

static void test_msrs_to_userspace(void **state)
{
    struct bawn_vcpu *vcpu = reset();

    (void)state;
    mock.vm.user_msr_mask = KVM_MSR_EXIT_REASON_UNKNOWN | KVM_MSR_EXIT_REASON_FILTER;
    host.result = BAWN_MSR_UNKNOWN;
    ask_msr(0x12345, 0);
    assert_int_equal(vmgexit(vcpu), 0);
    assert_int_equal(mock.run.exit_reason, KVM_EXIT_X86_RDMSR);
    assert_int_equal(mock.run.msr.index, 0x12345);
    assert_int_equal(mock.run.msr.reason, KVM_MSR_EXIT_REASON_UNKNOWN);
    mock.run.msr.data = 0x5555555566666666;
    memset(page(), 0xff, PAGE_SIZE); /* too late to turn it into a write */
    expect_answer(complete(vcpu), 0, 0);
    expect_valid(1, 0, 0, 1);
    assert_int_equal(page()->save.rax, 0x66666666);
    assert_int_equal(page()->save.rdx, 0x55555555);

    vcpu = reset();
    mock.vm.user_msr_mask = KVM_MSR_EXIT_REASON_FILTER;
    host.denied = true;
    ask_msr(0x1b, 1);
    assert_int_equal(vmgexit(vcpu), 0);
    assert_int_equal(mock.run.exit_reason, KVM_EXIT_X86_WRMSR);
    assert_int_equal(mock.run.msr.data, 0x0123456789abcdef);
    assert_int_equal(host.accesses, 0);
    mock.run.msr.error = 1;
    expect_answer(complete(vcpu), 1, EVENT_GP);
}

static void test_small_services(void **state)
{
    struct bawn_vcpu *vcpu = reset();

    (void)state;
    vcpu->tsc_aux = 0x77;
    ask(SVM_EXIT_RDTSC, 0, 0);
    expect_answer(vmgexit(vcpu), 0, 0);
    expect_valid(1, 0, 0, 1);
    ask(SVM_EXIT_RDTSCP, 0, 0);
    expect_answer(vmgexit(vcpu), 0, 0);
    expect_valid(1, 0, 1, 1);
    assert_int_equal(page()->save.rax, (u32)rdtsc());
    assert_int_equal(page()->save.rdx, 5);
    assert_int_equal(page()->save.rcx, 0x77);
    ask_for(SVM_EXIT_RDPMC);
    expect_answer(vmgexit(vcpu), 1, EVENT_GP);
    ask_for(SVM_EXIT_VMMCALL);
    expect_answer(vmgexit(vcpu), 0, 0);
    assert_int_equal(page()->save.rax, -1000ull);
    ask_for(SVM_EXIT_VMMCALL);
    page()->save.cpl = 3;
    expect_answer(vmgexit(vcpu), 0, 0);
    assert_int_equal(page()->save.rax, -1ull);
    ask(SVM_EXIT_WRITE_DR7, 0, 0);
    set(GHCB_RAX, 0x455);
    expect_answer(vmgexit(vcpu), 0, 0);
    ask(SVM_EXIT_READ_DR7, 0, 0);
    expect_answer(vmgexit(vcpu), 0, 0);
    assert_int_equal(page()->save.rax, 0x455);
    assert_int_equal(vcpu->debug.guest_dr7, 0);
    ask(SVM_EXIT_WRITE_DR7, 0, 0);
    set(GHCB_RAX, BIT_ULL(32));
    expect_answer(vmgexit(vcpu), 1, EVENT_GP);
    ask(SVM_VMGEXIT_NMI_COMPLETE, 0, 0);
    expect_answer(vmgexit(vcpu), 0, 0);
    assert_int_equal(host.nmi, 1);
    ask(SVM_EXIT_HLT, 0, 0);
    assert_int_equal(vmgexit(vcpu), 0);
    assert_int_equal(mock.run.exit_reason, KVM_EXIT_HLT);
    vcpu->apic = (void *)&mock;
    ask(SVM_EXIT_HLT, 0, 0);
    expect_answer(vmgexit(vcpu), 0, 0);
    assert_int_equal(vcpu->mp_state, KVM_MP_STATE_HALTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_msr_protocol),   cmocka_unit_test(test_versions),
        cmocka_unit_test(test_reset_hold_msr), cmocka_unit_test(test_reset_hold_page),
        cmocka_unit_test(test_msr_unknown),    cmocka_unit_test(test_msr_page_state),
        cmocka_unit_test(test_page_itself),    cmocka_unit_test(test_missing_fields),
        cmocka_unit_test(test_unknown_events), cmocka_unit_test(test_cpuid),
        cmocka_unit_test(test_msrs),           cmocka_unit_test(test_msrs_to_userspace),
        cmocka_unit_test(test_small_services),
    };

    return cmocka_run_group_tests_name("kernel/ghcb", tests, NULL, NULL);
}

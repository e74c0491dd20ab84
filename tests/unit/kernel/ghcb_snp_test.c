/* SPDX-License-Identifier: Apache-2.0 */
// sources: kernel/snp/ghcb.c kernel/snp/ghcb_msr.c kernel/snp/ghcb_io.c kernel/snp/ghcb_cpu.c
// sources: kernel/snp/psc.c kernel/snp/ap.c kernel/snp/guest_request.c
/*
 * Page state changes, AP creation and guest requests by the GHCB: lists of any length, rewritten
 * while they are worked off; what is refused; and pages of random content for every service.
 */
#include "ghcb_mock.h"

/* ---- Page state changes ---- */

static void ask_psc(u32 first, u32 last)
{
    ask(SVM_VMGEXIT_PSC, 0, 0);
    set(GHCB_SCRATCH, BUFFER);
    *psc_header() = (struct psc_hdr){ .cur_entry = (u16)first, .end_entry = (u16)last };
}

static void test_psc_runs(void **state)
{
    struct bawn_vcpu *vcpu = reset();

    (void)state;
    ask_psc(0, 7);
    for (u32 i = 0; i < 3; i++)
        *psc(i) = (struct psc_entry){ .gfn = 100 + i, .operation = 1 };
    *psc(3) = (struct psc_entry){ .gfn = 103, .operation = 2 };
    *psc(4) = (struct psc_entry){ .gfn = 512, .operation = 2, .pagesize = 1 };
    *psc(5) = (struct psc_entry){ .gfn = 1024, .operation = 2, .pagesize = 1 };
    *psc(6) = (struct psc_entry){ .gfn = 2048, .operation = 3, .pagesize = 1 }; /* a hint */
    *psc(7) = (struct psc_entry){ .gfn = 4096, .operation = 1, .pagesize = 1, .cur_page = 500 };
    expect_map(vmgexit(vcpu), PAGE(100), 3, true, false);
    assert_int_equal(psc_header()->cur_entry, 0);
    expect_map(complete(vcpu), PAGE(103), 1, false, false);
    assert_int_equal(psc_header()->cur_entry, 3);
    assert_int_equal(psc(2)->cur_page, 1);
    assert_int_equal(psc(3)->cur_page, 0);
    expect_map(complete(vcpu), PAGE(512), 1024, false, true);
    expect_map(complete(vcpu), PAGE(4096 + 500), 12, true, false);
    assert_int_equal(psc_header()->cur_entry, 7);
    assert_int_equal(psc(5)->cur_page, 512);
    expect_answer(complete(vcpu), 0, 0);
    assert_int_equal(psc_header()->cur_entry, 8);
    assert_int_equal(psc_header()->end_entry, 7);
    assert_int_equal(psc(7)->cur_page, 512);
}

/* Addresses of more bits than the entry's field has are computed whole. */
static void test_psc_high(void **state)
{
    struct bawn_vcpu *vcpu = reset();

    (void)state;
    ask_psc(0, 2);
    *psc(0) = (struct psc_entry){ .gfn = BIT_ULL(34) + 512, .operation = 1, .pagesize = 1 };
    *psc(1) = (struct psc_entry){ .gfn = BIT_ULL(34) + 1024, .operation = 1, .pagesize = 1 };
    *psc(2) = (struct psc_entry){ .gfn = (GPA_END >> 12) - 1, .operation = 2 };
    expect_map(vmgexit(vcpu), PAGE(BIT_ULL(34) + 512), 1024, true, true);
    expect_map(complete(vcpu), GPA_END - PAGE_SIZE, 1, false, false);
    expect_answer(complete(vcpu), 0, 0);
}

static void test_psc_not_enabled(void **state)
{
    struct bawn_vcpu *vcpu = reset();

    (void)state;
    mock.vm.hypercall_exits = 0;
    ask_psc(0, 0);
    *psc(0) = (struct psc_entry){ .gfn = 100, .operation = 1 };
    expect_answer(vmgexit(vcpu), 0, 0x100ull << 32);
    assert_int_equal(psc_header()->cur_entry, 0);
    assert_null(vcpu->complete);
}

/* What is left of a large page never joins its neighbours. */
static void test_psc_pieces(void **state)
{
    struct bawn_vcpu *vcpu = reset();

    (void)state;
    ask_psc(0, 2);
    *psc(0) = (struct psc_entry){ .gfn = 512, .operation = 1, .pagesize = 1 };
    *psc(1) = (struct psc_entry){ .gfn = 1024, .operation = 1, .pagesize = 1, .cur_page = 8 };
    *psc(2) = (struct psc_entry){ .gfn = 1536, .operation = 1, .pagesize = 1 };
    expect_map(vmgexit(vcpu), PAGE(512), 512, true, true);
    expect_map(complete(vcpu), PAGE(1024 + 8), 504, true, false);
    expect_map(complete(vcpu), PAGE(1536), 512, true, true);
    expect_answer(complete(vcpu), 0, 0);
    /* Done before: not asked for again. */
    ask_psc(2, 2);
    psc(2)->cur_page = 512;
    expect_answer(vmgexit(vcpu), 0, 0);
}

static void test_psc_errors(void **state)
{
    struct bawn_vcpu *vcpu = reset();

    (void)state;
    ask_psc(0, 1);
    *psc(0) = (struct psc_entry){ .gfn = 100, .operation = 1 };
    *psc(1) = (struct psc_entry){ .gfn = 200, .operation = 1 };
    expect_map(vmgexit(vcpu), PAGE(100), 1, true, false);
    expect_map(complete(vcpu), PAGE(200), 1, true, false);
    mock.run.hypercall.ret = 22;
    expect_answer(complete(vcpu), 0, 0x100ull << 32);
    assert_int_equal(psc_header()->cur_entry, 1);
    assert_int_equal(psc(1)->cur_page, 0);

    const struct psc_entry bad[] = {
        { .gfn = 100, .operation = 0 },
        { .gfn = 100, .operation = 5 },
        { .gfn = 100, .operation = 15 },
        { .gfn = 100, .operation = 1, .pagesize = 1 },
        { .gfn = 100, .operation = 1, .reserved = 1 },
        { .gfn = 100, .operation = 1, .cur_page = 2 },
        { .gfn = 512, .operation = 1, .pagesize = 1, .cur_page = 513 },
        { .gfn = GPA_END >> 12, .operation = 1 },
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        ask_psc(0, 1);
        *psc(0) = (struct psc_entry){ .gfn = 99, .operation = 1 };
        *psc(1) = bad[i];
        expect_map(vmgexit(vcpu), PAGE(99), 1, true, false);
        expect_answer(complete(vcpu), 0, 1ull << 32 | 2);
        assert_int_equal(psc_header()->cur_entry, 1);
    }
    ask_psc(1, 0); /* nothing left */
    expect_answer(vmgexit(vcpu), 0, 0);
    ask_psc(0, 0);
    psc_header()->reserved = 1;
    expect_answer(vmgexit(vcpu), 0, 1ull << 32 | 1);
}

/* Lists of every length from every place: what does not fit is refused before a look at it. */
static void test_psc_sizes(void **state)
{
    static const u32 lasts[] = { 252, 253, 254, 1000, 65535 };
    struct bawn_vcpu *vcpu = reset();

    (void)state;
    for (u32 i = 0; i < 253; i++)
        *psc(i) = (struct psc_entry){ .gfn = 100 + i, .operation = 1 };
    for (size_t i = 0; i < ARRAY_SIZE(lasts); i++) {
        ask_psc(0, lasts[i]);
        if (lasts[i] < 253)
            expect_map(vmgexit(vcpu), PAGE(100), 253, true, false);
        else
            expect_answer(vmgexit(vcpu), 0, 1ull << 32 | 1);
    }
    memset(page()->shared_buffer, 0, 2032);
    for (u32 offset = 0; offset < PAGE_SIZE; offset++) {
        u32 room = offset >= 2048 && offset < 2048 + 2032 ? 2048 + 2032 - offset : 0;

        ask(SVM_VMGEXIT_PSC, 0, 0);
        set(GHCB_SCRATCH, GHCB_PAGE + offset);
        if (room < 8)
            expect_refused(vmgexit(vcpu), 3);
        else if (room < 16)
            expect_answer(vmgexit(vcpu), 0, 1ull << 32 | 1);
        else
            expect_answer(vmgexit(vcpu), 0, 1ull << 32 | 2);
    }
    ask(SVM_VMGEXIT_PSC, 0, 0);
    set(GHCB_SCRATCH, OTHER); /* its own buffer alone */
    expect_refused(vmgexit(vcpu), 3);
}

/* Between two parts of a service the guest writes another list, and userspace nonsense. */
static void test_psc_rewritten(void **state)
{
    struct bawn_vcpu *vcpu = reset();

    (void)state;
    ask_psc(0, 1);
    *psc(0) = (struct psc_entry){ .gfn = 100, .operation = 1 };
    *psc(1) = (struct psc_entry){ .gfn = 200, .operation = 2 };
    expect_map(vmgexit(vcpu), PAGE(100), 1, true, false);
    memset(page(), 0xff, PAGE_SIZE);
    memset(&mock.run, 0xff, sizeof(mock.run));
    mock.run.hypercall.ret = 0;
    expect_map(complete(vcpu), PAGE(200), 1, false, false);
    memset(page(), 0xff, PAGE_SIZE);
    expect_answer(complete(vcpu), 0, 0);
    assert_int_equal(psc_header()->cur_entry, 2);
    assert_int_equal(psc_header()->end_entry, 1);
}

/* ---- AP creation ---- */

static int ask_ap(u64 id, u64 request, gpa_t vmsa, u64 features)
{
    ask(SVM_VMGEXIT_AP_CREATION, id << 32 | request, vmsa);
    set(GHCB_RAX, features);
    return vmgexit(&mock.vcpu);
}

static void test_ap_creation(void **state)
{
    (void)state;
    reset();
    expect_answer(ask_ap(APIC_ID, 1, PRIVATE, FEATURES), 0, 0);
    assert_true(target_snp.ap_pending);
    assert_int_equal(target_snp.ap_vmsa_gpa, PRIVATE);
    assert_int_equal(host.requests, 1);
    expect_answer(ask_ap(APIC_ID, 2, 0, 0), 0, 0);
    assert_true(target_snp.ap_pending);
    assert_int_equal(target_snp.ap_vmsa_gpa, INVALID_GPA);
    assert_int_equal(host.requests, 2);
    expect_answer(ask_ap(APIC_ID, 0, PRIVATE, FEATURES), 0, 0);
    assert_false(target_snp.ap_pending);
    assert_int_equal(host.requests, 2);
    bawn_snp_ap_init(&target);
    assert_true(target_snp.ap_pending);
    assert_int_equal(target_snp.ap_vmsa_gpa, PRIVATE);
    target_snp.ap_pending = false;
    bawn_snp_ap_init(&target);
    assert_false(target_snp.ap_pending);

    reset();
    expect_refused(ask_ap(APIC_ID + 1, 1, PRIVATE, FEATURES), 5);
    expect_refused(ask_ap(0xffffffff, 1, PRIVATE, FEATURES), 5);
    expect_refused(ask_ap(APIC_ID, 3, PRIVATE, FEATURES), 5);
    expect_refused(ask_ap(APIC_ID, 1 << 16 | 1, PRIVATE, FEATURES), 5);
    expect_refused(ask_ap(APIC_ID, 1 << 20 | 1, PRIVATE, FEATURES), 5);
    expect_refused(ask_ap(APIC_ID, 1, PRIVATE, FEATURES | 8), 5);
    expect_refused(ask_ap(APIC_ID, 1, PRIVATE, 0), 5);
    expect_refused(ask_ap(APIC_ID, 1, PRIVATE + 16, FEATURES), 5);
    expect_refused(ask_ap(APIC_ID, 1, OTHER, FEATURES), 5);
    expect_refused(ask_ap(APIC_ID, 1, 0, FEATURES), 5);
    expect_refused(ask_ap(APIC_ID, 1, GPA_END | PRIVATE, FEATURES), 5);
    assert_false(target_snp.ap_pending);
    assert_int_equal(target_snp.ap_vmsa_gpa, INVALID_GPA);
    assert_int_equal(host.requests, 0);
}

/* ---- Guest requests ---- */

#define REQUEST PAGE(5)
#define RESPONSE PAGE(6)
#define CERTS PAGE(8)

static void ask_request(bool extended, u8 type)
{
    ask(extended ? SVM_VMGEXIT_EXT_GUEST_REQUEST : SVM_VMGEXIT_GUEST_REQUEST, REQUEST, RESPONSE);
    memset(mock.memory + REQUEST, 0x21, PAGE_SIZE);
    memset(mock.memory + RESPONSE, 0x99, PAGE_SIZE);
    mock.memory[REQUEST + offsetof(struct bawn_psp_msg_header, type)] = type;
    if (extended) {
        set(GHCB_RAX, CERTS);
        set(GHCB_RBX, 1);
    }
}

static void test_guest_request(void **state)
{
    struct bawn_vcpu *vcpu = reset();

    (void)state;
    ask_request(false, 5);
    expect_answer(vmgexit(vcpu), 0, 0);
    assert_int_equal(host.commands, 1);
    assert_int_equal(mock.memory[RESPONSE], 0x21 ^ 0x5a);
    assert_int_equal(mock.memory[RESPONSE + PAGE_SIZE - 1], 0x21 ^ 0x5a);

    /* An older answer must not come back as this one's. */
    host.command_result = -EIO;
    host.fw_error = 0x16;
    ask_request(false, 5);
    expect_answer(vmgexit(vcpu), 0, 0x16);
    assert_int_equal(mock.memory[RESPONSE], 0x99);
    host.fw_error = 0;
    host.command_result = -EBUSY;
    ask_request(false, 5);
    expect_answer(vmgexit(vcpu), 0, 2ull << 32);
    host.command_result = -ENODEV; /* gone, perhaps for a moment */
    ask_request(false, 5);
    expect_answer(vmgexit(vcpu), 0, 2ull << 32);
    host.command_result = -EINVAL;
    ask_request(false, 5);
    expect_answer(vmgexit(vcpu), 0, 1ull << 63);
    /* Killed while it waits for another vCPU's request. */
    snp_vm.request_lock.lock.owner = &sim_tasks[1].task;
    sim_self->killed = true;
    ask_request(false, 5);
    assert_int_equal(bawn_snp_vmgexit(vcpu, NULL), -EINTR);
    ask_request(true, 5);
    assert_int_equal(bawn_snp_vmgexit(vcpu, NULL), -EINTR);
    sim_self->killed = false;
    snp_vm.request_lock.lock.owner = NULL;

    host.command_result = 0;
    host.commands = 0;
    static const gpa_t bad[] = { REQUEST + 8, PRIVATE, GPA_END, PAGE(0x1000), ~0xfffull };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        ask_request(false, 5);
        set(GHCB_INFO1, bad[i]);
        expect_refused(vmgexit(vcpu), 5);
    }
    assert_int_equal(host.commands, 0);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        ask_request(false, 5);
        set(GHCB_INFO2, i ? bad[i] : REQUEST);
        expect_refused(vmgexit(vcpu), 5);
    }
    snp_vm.context = NULL;
    ask_request(false, 5);
    expect_refused(vmgexit(vcpu), 5);
}

static void test_certificates(void **state)
{
    struct bawn_vcpu *vcpu = reset();
    static u8 certs[5000], zero[24];

    (void)state;
    memset(mock.memory + CERTS, 0xcc, 2 * PAGE_SIZE);
    ask_request(true, 5);
    expect_answer(vmgexit(vcpu), 0, 0); /* none there: an empty table */
    assert_memory_equal(mock.memory + CERTS, zero, 24);
    assert_int_equal(mock.memory[CERTS + 24], 0xcc);
    /* ... for which a guest need not have room. */
    ask_request(true, 5);
    set(GHCB_RAX, PRIVATE);
    set(GHCB_RBX, 0);
    expect_answer(vmgexit(vcpu), 0, 0);
    assert_int_equal(mock.memory[RESPONSE], 0x21 ^ 0x5a);

    memset(certs, 0xce, sizeof(certs));
    snp_vm.certs = certs;
    snp_vm.certs_len = sizeof(certs);
    host.commands = 0;
    ask_request(true, 5);
    expect_answer(vmgexit(vcpu), 0, 1ull << 32);
    expect_valid(0, 1, 0, 0);
    assert_int_equal(page()->save.rbx, 2);
    assert_int_equal(host.commands, 0);
    assert_int_equal(mock.memory[RESPONSE], 0x99);
    ask_request(true, 5);
    set(GHCB_RBX, 2);
    expect_answer(vmgexit(vcpu), 0, 0);
    assert_memory_equal(mock.memory + CERTS, certs, sizeof(certs));
    assert_int_equal(mock.memory[CERTS + sizeof(certs)], 0xcc);
    assert_int_equal(mock.memory[RESPONSE], 0x21 ^ 0x5a);

    host.commands = 0;
    static const gpa_t bad[] = { CERTS + 1, PAGE(15), PRIVATE, GPA_END, ~0xfffull, ROM };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        ask_request(true, 5);
        set(GHCB_RAX, bad[i]);
        set(GHCB_RBX, ~0ull);
        expect_refused(vmgexit(vcpu), 5);
    }
    assert_int_equal(host.commands, 0);
    /* Other messages have no certificates. */
    ask_request(true, 3);
    set(GHCB_RAX, PRIVATE);
    set(GHCB_RBX, 0);
    expect_answer(vmgexit(vcpu), 0, 0);
}

/* ---- Anything at all ---- */

static u64 rng = 88172645463325252;

static u64 next(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    return rng ^= rng << 17;
}

/* Near to what a guest would ask: the deeper code is reached. */
static void plausible(void)
{
    u64 random = next();

    if (page()->save.sw_exit_code == SVM_EXIT_IOIO) {
        set(GHCB_INFO1, IO(random >> 32, 1 << random % 3, random >> 8 & (IN | STRING)));
        set(GHCB_INFO2, random >> 16 & 0xff);
    } else if (page()->save.sw_exit_code == SVM_VMGEXIT_PSC) {
        *psc_header() = (struct psc_hdr){ .cur_entry = random & 3, .end_entry = random >> 8 & 63 };
        for (u32 i = 0; i < 64; i++)
            *psc(i) = (struct psc_entry){ .gfn = (next() & 7) * 512,
                                          .operation = 1 + (next() & 3),
                                          .pagesize = next() & 1,
                                          .cur_page = next() & 1 };
    } else {
        set(GHCB_INFO1, MOCK_DEVICE + (random & 0xff));
        set(GHCB_INFO2, 1 << random % 4);
    }
}

static void test_random_pages(void **state)
{
    static const u64 codes[] = { SVM_EXIT_IOIO,
                                 SVM_EXIT_MSR,
                                 SVM_EXIT_CPUID,
                                 SVM_VMGEXIT_PSC,
                                 SVM_VMGEXIT_MMIO_READ,
                                 SVM_VMGEXIT_MMIO_WRITE,
                                 SVM_VMGEXIT_AP_CREATION,
                                 SVM_VMGEXIT_GUEST_REQUEST,
                                 SVM_VMGEXIT_EXT_GUEST_REQUEST,
                                 SVM_EXIT_HLT };
    struct bawn_vcpu *vcpu = reset();
    u64 answers = 0, exits = 0;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        for (size_t k = 0; k < PAGE_SIZE; k += 8)
            *(u64 *)((u8 *)page() + k) = next() & next();
        memset(page()->save.valid_bitmap, 0xff, 16);
        page()->protocol_version = 2;
        page()->ghcb_usage = 0;
        set(GHCB_EXIT_CODE, codes[next() % ARRAY_SIZE(codes)]);
        if (next() & 1)
            set(GHCB_INFO1, next() % (2 * MOCK_MEMORY));
        if (next() & 1)
            set(GHCB_INFO2, next() % 4096);
        if (next() & 1)
            plausible();
        set(GHCB_SCRATCH,
            next() & 3 ? BUFFER + 8 * (next() % 4) * (next() % 65) : next() % MOCK_MEMORY);
        msr_value = GHCB_PAGE;
        int r = vmgexit(vcpu);
        for (int n = 0; n < 300 && !r && vcpu->complete; n++) {
            exits++;
            memset(&mock.run, (int)next(), sizeof(mock.run));
            memset(page()->shared_buffer, (int)next(), 2032);
            mock.run.hypercall.ret = next() % 8 ? 0 : 5;
            r = complete(vcpu);
        }
        answers += r == 1;
        assert_true(mock.run.exit_reason != KVM_EXIT_INTERNAL_ERROR || r);
        assert_memory_equal(vcpu->gpr, gpr_before, sizeof(gpr_before));
    }
    assert_true(answers > 10000 && exits > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_psc_runs),      cmocka_unit_test(test_psc_pieces),
        cmocka_unit_test(test_psc_high),      cmocka_unit_test(test_psc_not_enabled),
        cmocka_unit_test(test_psc_errors),    cmocka_unit_test(test_psc_sizes),
        cmocka_unit_test(test_psc_rewritten), cmocka_unit_test(test_ap_creation),
        cmocka_unit_test(test_guest_request), cmocka_unit_test(test_certificates),
        cmocka_unit_test(test_random_pages),
    };

    return cmocka_run_group_tests_name("kernel/ghcb_snp", tests, NULL, NULL);
}

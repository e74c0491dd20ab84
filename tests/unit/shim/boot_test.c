// SPDX-License-Identifier: Apache-2.0
/*
 * The shim's whole course on a model of an SNP host: honest with both C-bits, then lying in
 * each way that the shim must notice, with the reason that the VMM is to print.
 */
#include "tests/unit/shim/machine.h"

static void boots(unsigned cbit)
{
    struct shim_entry e = { 0 };
    uint64_t gpa, size, entry;

    machine_start(cbit);
    assert_int_equal(machine_boot(&e), 0);
    assert_int_equal(e.rip, KERNEL_LOAD + 0x200);
    assert_int_equal(e.zero_page, BAWN_SHIM_ZERO_PAGE);
    assert_int_equal(e.cr3, SHIM_LINUX_TABLES | 1ull << cbit);
    /* All RAM is validated, and nothing else. */
    for (uint64_t at = 0; at < RAM_LOW; at += 4096)
        assert_int_equal(*machine_state(at), at >= 0xa0000 && at < 0x100000 ? ABSENT : VALIDATED);
    for (uint64_t at = RAM_HIGH_AT; at < RAM_HIGH_AT + RAM_HIGH; at += 4096)
        assert_int_equal(*machine_state(at), VALIDATED);
    /* In large steps but for the first 2 MiB and those with launched pages in them. */
    assert_int_equal(machine.large, (RAM_LOW + RAM_HIGH) / SHIM_SIZE_2M - 4);
    /* The GHCB was registered, shared, and is private again; its MSR says nothing. */
    assert_true(machine.was_shared);
    assert_int_equal(machine.registered, SHIM_GHCB);
    assert_int_equal(machine.requests[0x014], 2);
    assert_int_equal(machine.ghcb_msr, 0);
    for (unsigned i = 0; i < 4096; i++) {
        assert_int_equal(machine.ram[SHIM_GHCB + i], 0);
        assert_int_equal(machine.ram[i], 0);
    }
    assert_int_equal(machine.ram[0x1000], 0xee);
    /* Linux may execute and write what it needs at its entry. */
    const uint64_t wants[] = { KERNEL_LOAD,
                               KERNEL_LOAD + KERNEL_INIT_SIZE - 1,
                               INITRD_GPA,
                               BAWN_SHIM_ZERO_PAGE,
                               BAWN_SHIM_CMDLINE,
                               BAWN_SHIM_SECRETS,
                               0x9f000 };

    for (unsigned i = 0; i < sizeof(wants) / sizeof(wants[0]); i++) {
        entry = machine_walk(e.cr3, wants[i], &gpa, &size);
        assert_int_equal(gpa, wants[i]);
        assert_true(entry >> cbit & 1);
        assert_int_equal(entry & (SHIM_PTE_WRITE | SHIM_PTE_NX), SHIM_PTE_WRITE);
    }
    machine_stop();
}

static void boots_cbit_47(void **state)
{
    (void)state;
    boots(47);
}

static void boots_cbit_51(void **state)
{
    (void)state;
    boots(51);
}

static void boots_without_initrd(void **state)
{
    struct shim_entry e;

    (void)state;
    machine_start(47);
    memset(machine.low + INITRD_GPA / 4096, PRIVATE, (INITRD_SIZE + 4095) / 4096);
    machine_params()->initrd.gpa = 0;
    machine_params()->initrd.size = 0;
    machine_hash();
    assert_int_equal(machine_boot(&e), 0);
    /* The hash of nothing is a hash, too. */
    machine_stop();
    machine_start(47);
    machine_params()->initrd.gpa = 0;
    machine_params()->initrd.size = 0;
    assert_int_equal(machine_boot(&e), BAWN_SHIM_FAIL_REPLAY);
    machine_stop();
    machine_start(47);
    memset(machine.low + INITRD_GPA / 4096, PRIVATE, (INITRD_SIZE + 4095) / 4096);
    machine_params()->initrd.gpa = 0;
    machine_params()->initrd.size = 0;
    assert_int_equal(machine_boot(&e), BAWN_SHIM_FAIL_INITRD_HASH);
    machine_stop();
}

/* Bytes of launched pages that no hash covers. */
static void nothing_around_the_hashed(void **state)
{
    const struct {
        uint64_t gpa, size;
    } blobs[] = {
        { KERNEL_GPA, KERNEL_SIZE },
        { INITRD_GPA, INITRD_SIZE },
        { BAWN_SHIM_CMDLINE, sizeof(CMDLINE) },
    };
    uint64_t start, end;
    struct shim_entry e;
    uint8_t *before;

    (void)state;
    machine_start(47);
    for (unsigned i = 0; i < 3; i++) {
        start = blobs[i].gpa;
        end = start + blobs[i].size;
        memset(machine.ram + start - start % 4096, 0xee, start % 4096);
        memset(machine.ram + end, 0xee, -end % 4096);
        machine.ram[start - start % 4096 - 1] = 0xdd;
        machine.ram[end + -end % 4096] = 0xdd;
    }
    before = malloc(RAM_LOW);
    assert_non_null(before);
    memcpy(before, machine.ram, RAM_LOW);
    assert_int_equal(machine_boot(&e), 0);
    for (unsigned i = 0; i < 3; i++) {
        start = blobs[i].gpa;
        end = start + blobs[i].size;
        for (uint64_t at = start - start % 4096; at < start; at++)
            assert_int_equal(machine.ram[at], 0);
        for (uint64_t at = end; at % 4096; at++)
            assert_int_equal(machine.ram[at], 0);
        /* No more than that. */
        assert_memory_equal(machine.ram + start, before + start, blobs[i].size);
        assert_int_equal(machine.ram[start - start % 4096 - 1], 0xdd);
        assert_int_equal(machine.ram[end + -end % 4096], 0xdd);
    }
    free(before);
    machine_stop();
}

static void small_pages_of_the_host(void **state)
{
    struct shim_entry e;
    unsigned large, pages;

    (void)state;
    machine_start(47);
    assert_int_equal(machine_boot(&e), 0);
    large = machine.large;
    pages = machine.pages;
    machine_stop();
    machine_start(47);
    machine.small = RAM_HIGH_AT + SHIM_SIZE_1G + SHIM_SIZE_2M;
    assert_int_equal(machine_boot(&e), 0);
    assert_int_equal(machine.large, large - 1);
    assert_int_equal(machine.pages, pages + 512);
    assert_int_equal(*machine_state(machine.small + SHIM_SIZE_2M - 4096), VALIDATED);
    machine_stop();
}

/* One lie, and the reason it must end with. */
#define LIE(name, change, why)                                    \
    static void name(void **state)                                \
    {                                                             \
        struct shim_entry e;                                      \
        struct bawn_shim_params *p;                               \
                                                                  \
        (void)state;                                              \
        machine_start(47);                                        \
        p = machine_params();                                     \
        (void)p;                                                  \
        change;                                                   \
        assert_int_equal(machine_boot(&e), BAWN_SHIM_FAIL_##why); \
        machine_stop();                                           \
    }

static void answer(unsigned request, uint64_t value)
{
    machine.answer[request] = value;
    machine.answer_set[request] = true;
}

static void cpuid_cbit(unsigned bit)
{
    put_le(machine.ram + BAWN_SHIM_CPUID + 16 + 6 * 48 + 28, bit, 4);
}

LIE(params_bad, p->version = 2, PARAM_MAGIC)
LIE(cbit_differs, cpuid_cbit(46), CBIT)
LIE(status_without_snp, machine.sev_status = 3, NO_SNP)
LIE(status_none, machine.sev_status = 0, NO_SNP)
LIE(status_vtom, machine.sev_status = 0xf, NO_SNP)
LIE(not_vmpl0, machine.rmpadjust = 2, NOT_VMPL0)
LIE(version_old, answer(2, 1ull << 48 | 1ull << 32 | 1), GHCB_VERSION)
LIE(version_new, answer(2, 4ull << 48 | 3ull << 32 | 1), GHCB_VERSION)
LIE(version_no_answer, answer(2, 2), GHCB_VERSION)
LIE(features_no_snp, answer(0x80, 2ull << 12 | 0x81), GHCB_FEATURES)
LIE(features_no_ap, answer(0x80, 1ull << 12 | 0x81), GHCB_FEATURES)
LIE(features_no_answer, answer(0x80, 3ull << 12 | 0x80), GHCB_FEATURES)
LIE(register_refused, answer(0x12, ~0xfffull | 0x13), GHCB_REGISTER)
LIE(register_other, answer(0x12, (SHIM_GHCB + 4096) | 0x13), GHCB_REGISTER)
LIE(state_refused, answer(0x14, 1ull << 63 | 0x15), PAGE_STATE)
LIE(state_other_answer, answer(0x14, 0x13), PAGE_STATE)
LIE(state_reserved_bits, answer(0x14, 0x1015), PAGE_STATE)
LIE(ghcb_was_not_validated, *machine_state(SHIM_GHCB) = PRIVATE, REPLAY)
LIE(pvalidate_fails, machine.pvalidate = 1, PVALIDATE)
LIE(pvalidate_mismatch_small, machine.pvalidate = 6, PVALIDATE)
LIE(page_shared, *machine_state(0x1234000) = SHARED, PVALIDATE)
LIE(page_replayed, *machine_state(0x0) = VALIDATED, REPLAY)
LIE(page_replayed_at_end, *machine_state(RAM_LOW - 4096) = VALIDATED, REPLAY)
LIE(large_page_replayed, memset(machine.high, VALIDATED, 512), REPLAY)
LIE(kernel_changed, machine.ram[KERNEL_GPA + KERNEL_SIZE - 1] ^= 1, KERNEL_HASH)
LIE(kernel_setup_changed, machine.ram[KERNEL_GPA] ^= 0x80, KERNEL_HASH)
LIE(kernel_hash_changed, p->kernel.sha256[31] ^= 1, KERNEL_HASH)
LIE(initrd_changed, machine.ram[INITRD_GPA] ^= 1, INITRD_HASH)
LIE(initrd_longer, p->initrd.size++, INITRD_HASH)
LIE(cmdline_changed, machine.ram[BAWN_SHIM_CMDLINE] ^= 0x20, CMDLINE_HASH)
LIE(cmdline_without_nul, p->cmdline.size--; machine_hash(), CMDLINE)
LIE(cmdline_too_long, put_le(machine.ram + KERNEL_GPA + 0x238, sizeof(CMDLINE) - 2, 4);
    machine_hash(), CMDLINE)
LIE(kernel_no_header, machine.ram[KERNEL_GPA + 0x202] = 'h'; machine_hash(), KERNEL_HEADER)
LIE(kernel_out_of_place, put_le(machine.ram + KERNEL_GPA + 0x230, 0x2000000, 4);
    machine_hash(), KERNEL_PLACE)

static void one_vcpu_needs_no_ap_creation(void **state)
{
    struct shim_entry e;

    (void)state;
    machine_start(47);
    machine_params()->vcpus = 1;
    answer(0x80, 1ull << 12 | 0x81);
    assert_int_equal(machine_boot(&e), 0);
    machine_stop();
}

static void cmdline_as_long_as_allowed(void **state)
{
    struct shim_entry e;

    (void)state;
    machine_start(47);
    put_le(machine.ram + KERNEL_GPA + 0x238, sizeof(CMDLINE) - 1, 4);
    machine_hash();
    assert_int_equal(machine_boot(&e), 0);
    machine_stop();
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(boots_cbit_47),
        T(boots_cbit_51),
        T(boots_without_initrd),
        T(nothing_around_the_hashed),
        T(small_pages_of_the_host),
        T(one_vcpu_needs_no_ap_creation),
        T(cmdline_as_long_as_allowed),
        T(params_bad),
        T(cbit_differs),
        T(status_without_snp),
        T(status_none),
        T(status_vtom),
        T(not_vmpl0),
        T(version_old),
        T(version_new),
        T(version_no_answer),
        T(features_no_snp),
        T(features_no_ap),
        T(features_no_answer),
        T(register_refused),
        T(register_other),
        T(state_refused),
        T(state_other_answer),
        T(state_reserved_bits),
        T(ghcb_was_not_validated),
        T(pvalidate_fails),
        T(pvalidate_mismatch_small),
        T(page_shared),
        T(page_replayed),
        T(page_replayed_at_end),
        T(large_page_replayed),
        T(kernel_changed),
        T(kernel_setup_changed),
        T(kernel_hash_changed),
        T(initrd_changed),
        T(initrd_longer),
        T(cmdline_changed),
        T(cmdline_without_nul),
        T(cmdline_too_long),
        T(kernel_no_header),
        T(kernel_out_of_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

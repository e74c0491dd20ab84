// SPDX-License-Identifier: Apache-2.0
/*
 * The small formats: the CPUID page, the GHCB MSR's values, and what #VC codes mean.
 */
#include "guest/shim/cpuid.h"
#include "guest/shim/fault.h"
#include "tests/unit/shim/machine.h"

static void cpuid_found(void **state)
{
    uint8_t *page = malloc(4096);
    struct shim_cpuid out;

    (void)state;
    assert_non_null(page);
    make_cpuid(page, 51);
    assert_true(shim_cpuid(page, 0xd, &out));
    assert_int_equal(out.eax, 0x1003);
    assert_int_equal(out.ebx, 0x2003);
    assert_int_equal(out.ecx, 0x3003);
    assert_int_equal(out.edx, 0x4003);
    assert_false(shim_cpuid(page, 2, &out));
    assert_int_equal(shim_cpuid_cbit(page), 51);
    /* The last of 64 counts, what follows the count does not. */
    memcpy(page + 16 + 63 * 48, page + 16 + 6 * 48, 48);
    page[16 + 63 * 48] = 0x2f;
    put_le(page, 64, 4);
    assert_true(shim_cpuid(page, 0x8000002f, &out));
    put_le(page, 63, 4);
    assert_false(shim_cpuid(page, 0x8000002f, &out));
    put_le(page, 65, 4);
    assert_false(shim_cpuid(page, 0xd, &out));
    put_le(page, UINT32_MAX, 4);
    assert_false(shim_cpuid(page, 0xd, &out));
    put_le(page, 6, 4);
    assert_int_equal(shim_cpuid_cbit(page), 0);
    free(page);
}

static void cbit_bounds(void **state)
{
    uint8_t page[4096];

    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        make_cpuid(page, bit);
        assert_int_equal(shim_cpuid_cbit(page), bit >= 32 && bit <= 51 ? bit : 0);
    }
    make_cpuid(page, 47);
    page[16 + 6 * 48 + 24] = 0x0a; /* no SNP */
    assert_int_equal(shim_cpuid_cbit(page), 0);
}

static void ghcb_requests(void **state)
{
    (void)state;
    assert_int_equal(shim_ghcb_terminate(1, 0x4f), 0x4f1100);
    assert_int_equal(shim_ghcb_terminate(0xf, 0xff), 0xfff100);
    assert_int_equal(shim_ghcb_page_state(0x24000, SHIM_SHARED), 0x0020000000024014);
    assert_int_equal(shim_ghcb_page_state(0xfffffffffff000, SHIM_PRIVATE), 0x001ffffffffff014);
}

static void ghcb_answers(void **state)
{
    (void)state;
    assert_true(shim_ghcb_version_fits(0x0002000133000001));
    assert_true(shim_ghcb_version_fits(0x0002000200000001));
    assert_true(shim_ghcb_version_fits(0xffff000000000001));
    assert_false(shim_ghcb_version_fits(0x0001000133000001));
    assert_false(shim_ghcb_version_fits(0x0004000333000001));
    assert_false(shim_ghcb_version_fits(0x0002000133000002));
    assert_false(shim_ghcb_version_fits(0));
    assert_true(shim_ghcb_features_fit(0x1081, 1));
    assert_true(shim_ghcb_features_fit(0xfffffffffffff081, 3));
    assert_false(shim_ghcb_features_fit(0x1081, 3));
    assert_false(shim_ghcb_features_fit(0x3080, 3));
    assert_true(shim_ghcb_registered(0x24013, 0x24000));
    assert_false(shim_ghcb_registered(0x25013, 0x24000));
    assert_false(shim_ghcb_registered(0x24012, 0x24000));
    assert_false(shim_ghcb_registered(0xfffffffffffff013, 0x24000));
    assert_true(shim_ghcb_page_state_done(0x15));
    assert_false(shim_ghcb_page_state_done(0x100000015));
    assert_false(shim_ghcb_page_state_done(0x1015));
    assert_false(shim_ghcb_page_state_done(0x14));
}

static void faults(void **state)
{
    static const struct {
        uint64_t vector, error;
        const char *code;
        size_t len;
        enum bawn_shim_reason reason;
    } cases[] = {
        { 29, 0x7c, "\x0f\x32", 2, BAWN_SHIM_FAIL_VC_INTERCEPT },
        { 29, 0x7c, "\x0f\x30", 2, BAWN_SHIM_FAIL_VC_INTERCEPT },
        { 29, 0x78, "\xf4", 1, BAWN_SHIM_FAIL_VC_INTERCEPT },
        { 29, 0x13, "\x0f\x22\xd8", 3, BAWN_SHIM_FAIL_VC_INTERCEPT },
        { 29, 0x79, "\x0f\x01\x3f", 3, BAWN_SHIM_FAIL_VC_INTERCEPT },
        { 29, 0x81, "\xf3\x0f\x01\xd9", 4, BAWN_SHIM_FAIL_VC_INTERCEPT },
        { 29, 0x400, "\x90", 1, BAWN_SHIM_FAIL_VC_PAGE },
        { 29, 0x404, "\x90", 1, BAWN_SHIM_FAIL_VC_PAGE },
        /* The host says CPUID or port I/O where the shim does neither. */
        { 29, 0x72, "\x0f\xa2", 2, BAWN_SHIM_FAIL_VC_FORGED },
        { 29, 0x72, "\x0f\x32", 2, BAWN_SHIM_FAIL_VC_FORGED },
        { 29, 0x7b, "\xee", 1, BAWN_SHIM_FAIL_VC_FORGED },
        { 29, 0x7c, "\x90\x90", 2, BAWN_SHIM_FAIL_VC_FORGED },
        /* RIP at the end of the code, or outside it. */
        { 29, 0x7c, "\x0f", 1, BAWN_SHIM_FAIL_VC_FORGED },
        { 29, 0x7c, "", 0, BAWN_SHIM_FAIL_VC_FORGED },
        { 29, 0x1007c, "\x0f\x32", 2, BAWN_SHIM_FAIL_VC_FORGED },
        { 29, 1ull << 32 | 0x7c, "\x0f\x32", 2, BAWN_SHIM_FAIL_VC_FORGED },
        { 14, 2, "", 0, BAWN_SHIM_FAIL_PAGE_FAULT },
        { 2, 0, "", 0, BAWN_SHIM_FAIL_EXCEPTION },
        { 13, 0, "\x0f\x32", 2, BAWN_SHIM_FAIL_EXCEPTION },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t *exact = malloc(cases[i].len ? cases[i].len : 1);

        assert_non_null(exact);
        memcpy(exact, cases[i].code, cases[i].len);
        assert_int_equal(shim_fault_reason(cases[i].vector, cases[i].error, exact, cases[i].len),
                         cases[i].reason);
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpuid_found),   cmocka_unit_test(cbit_bounds),
        cmocka_unit_test(ghcb_requests), cmocka_unit_test(ghcb_answers),
        cmocka_unit_test(faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The arena, lists, claims and findings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "attest/lib/result.h"

static struct bawn_attest_result *r;

static int setup(void **state)
{
    (void)state;
    r = bawn_attest_result_create();
    return !r;
}

static int teardown(void **state)
{
    (void)state;
    bawn_attest_result_destroy(r);
    return 0;
}

static void test_arena_gives_zeroed_aligned_memory(void **state)
{
    static const size_t sizes[] = { 1, 15, 16, 17, 4096, 16384, 16385, 100000, 3 };

    (void)state;
    for (int round = 0; round < 3; round++) {
        uint8_t *p[sizeof(sizes) / sizeof(sizes[0])];

        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            p[i] = arena_alloc(&r->arena, sizes[i]);
            assert_non_null(p[i]);
            assert_int_equal((uintptr_t)p[i] % 16, 0);
            for (size_t k = 0; k < sizes[i]; k++)
                assert_int_equal(p[i][k], 0);
            memset(p[i], 0xa5 + (int)i, sizes[i]);
        }
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
            for (size_t k = 0; k < sizes[i]; k++)
                assert_int_equal(p[i][k], 0xa5 + i);
        result_reset(r);
    }
}

static void test_arena_keeps_its_memory(void **state)
{
    void *first = arena_alloc(&r->arena, 100);

    (void)state;
    arena_alloc(&r->arena, 1 << 20);
    result_reset(r);
    assert_ptr_equal(arena_alloc(&r->arena, 100), first);
}

static void test_arena_refuses_impossible_sizes(void **state)
{
    (void)state;
    assert_null(arena_array(&r->arena, SIZE_MAX / 8, 16));
    assert_true(r->arena.failed);
    result_reset(r);
    assert_false(r->arena.failed);
    assert_null(arena_alloc(&r->arena, SIZE_MAX - 3));
    assert_null(arena_alloc(&r->arena, 1)); /* sticky */
    assert_false(result_clean(r));
}

static void test_list_keeps_its_elements(void **state)
{
    struct list l = { 0 };

    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t *p = list_add(&r->arena, &l, sizeof(*p));

        assert_int_equal(*p, 0);
        *p = i * 3;
    }
    assert_int_equal(l.n, 1000);
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(((uint32_t *)l.items)[i], i * 3);
}

static void test_texts(void **state)
{
    uint8_t data[70];
    const char *text;

    (void)state;
    assert_string_equal(arena_hex(&r->arena, (struct bawn_bytes){ (uint8_t[]){ 0, 0xab }, 2 }),
                        "00ab");
    assert_string_equal(arena_hex(&r->arena, (struct bawn_bytes){ 0 }), "");
    memset(data, 0x11, sizeof(data));
    text = arena_hex(&r->arena, (struct bawn_bytes){ data, sizeof(data) });
    assert_int_equal(strlen(text), 131);
    assert_string_equal(text + 128, "...");
    text = arena_printable(&r->arena, (struct bawn_bytes){ (const uint8_t *)"a\n\\\x7f\xff~", 6 });
    assert_string_equal(text, "a\\x0a\\x5c\\x7f\\xff~");
    for (int64_t t = 1; t < 253402300800; t += 86400 * 13 + 3607) {
        time_t when = (time_t)t;
        char expected[32];

        strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%SZ", gmtime(&when));
        assert_string_equal(arena_time(&r->arena, t), expected);
        if (t % 1000 == 0)
            result_reset(r);
    }
    assert_string_equal(arena_time(&r->arena, 253402300799), "9999-12-31T23:59:59Z");
    assert_string_equal(arena_time(&r->arena, 0), "1970-01-01T00:00:00Z");
    assert_string_equal(arena_time(&r->arena, 1787149163), "2026-08-19T14:19:23Z");
    assert_string_equal(arena_time(&r->arena, INT64_MAX), "9223372036854775807 seconds after 1970");
}

static void test_claims_are_found_by_name(void **state)
{
    const struct bawn_claim *all;

    (void)state;
    claim_uint(r, "snp.version", 5);
    claim_bytes_at(r, "tpm.pcr", 7, "\1\2", 2);
    claim_bytes_at(r, "tpm.pcr", 17, "\3", 1);
    claim_bool(r, "snp.policy.debug", true);
    claim_text(r, "snp.product", "Milan");
    assert_int_equal(bawn_attest_result_claims(r, &all), 5);
    assert_int_equal(bawn_attest_result_claim(r, "snp.version")->uint, 5);
    assert_int_equal(bawn_attest_result_claim(r, "tpm.pcr[17]")->bytes.data[0], 3);
    assert_int_equal(bawn_attest_result_claim(r, "tpm.pcr[7]")->bytes.len, 2);
    for (const char *const *name =
             (const char *const[]){ "tpm.pcr", "tpm.pcr[", "tpm.pcr[]", "tpm.pcr[7", "tpm.pcr[8]",
                                    "tpm.pcr[7]x", "snp.versio", "snp.version[0]", "",
                                    "tpm.pcr[99999999999999999999]", NULL };
         *name; name++)
        assert_null(bawn_attest_result_claim(r, *name));
}

static void test_claims_are_printed(void **state)
{
    char text[16];
    const struct bawn_claim *all;

    (void)state;
    claim_uint(r, "u", UINT64_MAX);
    claim_bytes(r, "b", "\xde\xad\xbe\xef", 4);
    claim_bool(r, "t", false);
    claim_text(r, "x", "some text");
    bawn_attest_result_claims(r, &all);
    assert_int_equal(bawn_claim_print(&all[0], text, sizeof(text)), 20);
    assert_string_equal(text, "184467440737095");
    assert_int_equal(bawn_claim_print(&all[1], text, sizeof(text)), 8);
    assert_string_equal(text, "deadbeef");
    assert_int_equal(bawn_claim_print(&all[1], text, 4), 8);
    assert_string_equal(text, "dea");
    assert_int_equal(bawn_claim_print(&all[1], NULL, 0), 8);
    bawn_claim_print(&all[2], text, sizeof(text));
    assert_string_equal(text, "false");
    bawn_claim_print(&all[3], text, sizeof(text));
    assert_string_equal(text, "some text");
}

static void test_findings(void **state)
{
    static const struct check check = {
        .name = "a.check", .claim = "a.claim", .how = "by looking", .advice = "look again"
    };
    const struct bawn_finding *all;

    (void)state;
    assert_true(check_passed(r, &check));
    assert_int_equal(bawn_attest_result_findings(r, &all), 0); /* not asked for */
    assert_false(check_warned(r, &check, NULL, NULL, "odd"));
    assert_true(result_clean(r));
    assert_false(check_missing(r, &check, "this", NULL, "no %s", "thing"));
    assert_false(result_clean(r));
    r->explain = true;
    check_passed(r, &check);
    assert_int_equal(bawn_attest_result_findings(r, &all), 3);
    assert_int_equal(all[1].level, BAWN_FINDING_MISSING);
    assert_string_equal(all[1].text, "no thing");
    assert_string_equal(all[1].expected, "this");
    assert_string_equal(all[1].found, "");
    assert_string_equal(all[1].advice, "look again");
    assert_string_equal(all[1].source, "");
    assert_string_equal(all[2].text, "by looking");
    assert_string_equal(all[2].advice, "");
    result_reset(r);
    assert_int_equal(bawn_attest_result_findings(r, &all), 0);
    assert_int_equal(bawn_attest_result_verdict(r), BAWN_CANNOT_JUDGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_arena_gives_zeroed_aligned_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_arena_keeps_its_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_arena_refuses_impossible_sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_list_keeps_its_elements, setup, teardown),
        cmocka_unit_test_setup_teardown(test_texts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_claims_are_found_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_claims_are_printed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_findings, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

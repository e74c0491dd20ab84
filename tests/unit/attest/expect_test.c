// SPDX-License-Identifier: Apache-2.0
/*
 * The caller's requirements on claims: every kind of claim under every relation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "attest/lib/verify.h"

enum outcome { HOLDS, FAILS, MALFORMED };

static const uint8_t report_data[8] = { 0xde, 0xad };
static const uint8_t tcb[8] = { 3, 0, 0, 0, 0, 0, 0x09, 0x73 };

static const struct row {
    const char *claim;
    enum bawn_expect_op op;
    const char *value;
    enum outcome outcome;
} rows[] = {
    { "snp.version", BAWN_EXPECT_EQ, "5", HOLDS },
    { "snp.version", BAWN_EXPECT_EQ, "0x5", HOLDS },
    { "snp.version", BAWN_EXPECT_EQ, "6", FAILS },
    { "snp.version", BAWN_EXPECT_NE, "6", HOLDS },
    { "snp.version", BAWN_EXPECT_NE, "5", FAILS },
    { "snp.version", BAWN_EXPECT_GE, "5", HOLDS },
    { "snp.version", BAWN_EXPECT_GE, "6", FAILS },
    { "snp.version", BAWN_EXPECT_LE, "5", HOLDS },
    { "snp.version", BAWN_EXPECT_LE, "4", FAILS },
    { "snp.version", BAWN_EXPECT_EQ, "", MALFORMED },
    { "snp.version", BAWN_EXPECT_EQ, "0x", MALFORMED },
    { "snp.version", BAWN_EXPECT_EQ, "5 ", MALFORMED },
    { "snp.version", BAWN_EXPECT_EQ, "-5", MALFORMED },
    { "snp.version", BAWN_EXPECT_EQ, "a", MALFORMED },
    { "snp.version", BAWN_EXPECT_EQ, "18446744073709551621", MALFORMED }, /* 2^64 + 5 */
    { "snp.reported_tcb", BAWN_EXPECT_GE, "0300000000000873", HOLDS },
    { "snp.reported_tcb", BAWN_EXPECT_GE, "0400000000000772", FAILS }, /* larger as a number */
    { "snp.reported_tcb", BAWN_EXPECT_GE, "0200000000000974", FAILS }, /* smaller as one */
    { "snp.reported_tcb", BAWN_EXPECT_LE, "03000000000009ff", HOLDS },
    { "snp.reported_tcb", BAWN_EXPECT_GE, "03", MALFORMED }, /* components must line up */
    { "pck.cpu_svn", BAWN_EXPECT_GE, "0206", HOLDS },
    { "pck.cpu_svn", BAWN_EXPECT_GE, "0107", FAILS }, /* as a number it holds */
    { "_tcb", BAWN_EXPECT_GE, "00", FAILS },
    { "snp.report_data", BAWN_EXPECT_EQ, "dead000000000000", HOLDS },
    { "snp.report_data", BAWN_EXPECT_EQ, "DEAD", HOLDS },
    { "snp.report_data", BAWN_EXPECT_EQ, "de", FAILS },
    { "snp.report_data", BAWN_EXPECT_EQ, "dead00000000000000", FAILS }, /* longer */
    { "snp.report_data", BAWN_EXPECT_NE, "beef", HOLDS },
    { "snp.report_data", BAWN_EXPECT_EQ, "dea", MALFORMED },
    { "snp.report_data", BAWN_EXPECT_EQ, "zz", MALFORMED },
    { "snp.report_data", BAWN_EXPECT_GE, "dd00000000000000", MALFORMED }, /* has no order */
    { "snp.report_data", BAWN_EXPECT_LE, "deadffffffffffff", MALFORMED },
    { "snp.product", BAWN_EXPECT_EQ, "Milan", HOLDS },
    { "snp.product", BAWN_EXPECT_EQ, "Mila", FAILS },
    { "snp.product", BAWN_EXPECT_NE, "Genoa", HOLDS },
    { "snp.product", BAWN_EXPECT_GE, "Genoa", MALFORMED },
    { "snp.policy.smt", BAWN_EXPECT_EQ, "true", HOLDS },
    { "snp.policy.smt", BAWN_EXPECT_EQ, "false", FAILS },
    { "snp.policy.smt", BAWN_EXPECT_NE, "false", HOLDS },
    { "snp.policy.smt", BAWN_EXPECT_EQ, "1", MALFORMED },
    { "snp.policy.smt", BAWN_EXPECT_LE, "true", MALFORMED },
    { "tdx.rtmr[2]", BAWN_EXPECT_EQ, "ab", HOLDS },
    { "tdx.rtmr[1]", BAWN_EXPECT_EQ, "ab", FAILS },
    { "tdx.rtmr", BAWN_EXPECT_EQ, "ab", FAILS },
    { "no.such.claim", BAWN_EXPECT_NE, "ab", FAILS },
};

static void test_rows(void **state)
{
    struct bawn_attest_result *r = bawn_attest_result_create();

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bawn_expect expect = { rows[i].claim, rows[i].op, rows[i].value };
        struct bawn_attest_input in = { .expect = &expect, .nr_expect = 1 };
        struct verification v = { .input = &in, .r = r, .arena = &r->arena };
        const struct bawn_finding *f;

        result_reset(r);
        r->explain = true;
        claim_uint(r, "snp.version", 5);
        claim_bytes(r, "snp.reported_tcb", tcb, sizeof(tcb));
        claim_bytes(r, "pck.cpu_svn", "\x02\x06", 2);
        claim_bytes(r, "snp.report_data", report_data, sizeof(report_data));
        claim_text(r, "snp.product", "Milan");
        claim_bool(r, "snp.policy.smt", true);
        claim_bytes_at(r, "tdx.rtmr", 2, "\xab", 1);
        expect_verify(&v);
        assert_int_equal(bawn_attest_result_findings(r, &f), 1);
        if (f->level != (rows[i].outcome == HOLDS   ? BAWN_FINDING_PASS
                         : rows[i].outcome == FAILS ? BAWN_FINDING_REFUSED
                                                    : BAWN_FINDING_MISSING))
            fail_msg("row %zu: %s against %s gives level %d", i, rows[i].claim, rows[i].value,
                     f->level);
        assert_string_equal(f->claim, rows[i].claim);
        if (f->level != BAWN_FINDING_PASS)
            assert_true((f->expected[0] || !rows[i].value[0]) && f->found[0] && f->advice[0]);
    }
    bawn_attest_result_destroy(r);
}

/* What is advised when the form is wrong is the form that is right. */
static void test_advice(void **state)
{
    static const struct {
        const char *claim;
        enum bawn_expect_op op;
        const char *value, *advice;
    } cases[] = {
        { "snp.version", BAWN_EXPECT_GE, "five", "decimal" },
        { "snp.report_data", BAWN_EXPECT_EQ, "zz", "up to 8 bytes in hex (16 digits)" },
        { "snp.report_data", BAWN_EXPECT_GE, "00", "with = or !=" },
        { "snp.product", BAWN_EXPECT_GE, "Milan", "with = or !=" },
        { "snp.reported_tcb", BAWN_EXPECT_GE, "5", "all 8 bytes in hex (16 digits)" },
        { "snp.reported_tcb", BAWN_EXPECT_GE, "03", "all 8 bytes in hex (16 digits)" },
        { "snp.policy.smt", BAWN_EXPECT_EQ, "yes", "true or false" },
        { "tdx.rtmr", BAWN_EXPECT_EQ, "ab", "index: tdx.rtmr[0]" },
        { "tdx.rtm", BAWN_EXPECT_EQ, "ab", "check the claim's name" },
    };
    struct bawn_attest_result *r = bawn_attest_result_create();

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bawn_expect expect = { cases[i].claim, cases[i].op, cases[i].value };
        struct bawn_attest_input in = { .expect = &expect, .nr_expect = 1 };
        struct verification v = { .input = &in, .r = r, .arena = &r->arena };
        const struct bawn_finding *f;

        result_reset(r);
        claim_uint(r, "snp.version", 5);
        claim_bytes(r, "snp.report_data", report_data, sizeof(report_data));
        claim_text(r, "snp.product", "Milan");
        claim_bytes(r, "snp.reported_tcb", tcb, sizeof(tcb));
        claim_bool(r, "snp.policy.smt", true);
        claim_bytes_at(r, "tdx.rtmr", 0, "\xab", 1);
        claim_bytes_at(r, "tdx.rtmr", 1, "\xab", 1);
        expect_verify(&v);
        assert_int_equal(bawn_attest_result_findings(r, &f), 1);
        if (!strstr(f->advice, cases[i].advice))
            fail_msg("case %zu: %s", i, f->advice);
    }
    bawn_attest_result_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows),
                                        cmocka_unit_test(test_advice) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

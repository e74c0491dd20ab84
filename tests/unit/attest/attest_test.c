// SPDX-License-Identifier: Apache-2.0
/*
 * Evidence of several parts: genuine parts of two guests are not those of one.
 */
#include "tests/unit/attest/scene.h"

#define V "tests/vectors/"
#define SNP V "snp/milan-v3-vcek-05b7438a"
#define TDX V "tdx/tdx-v5-90c06f000000-cf77a6e9"
#define AZURE V "azure/evidence-v1.json"

enum { AT = 1773705540 }; /* 2026-03-16, when the collateral is in force */

static struct blob collateral, vcek;

static int setup(void **state)
{
    (void)state;
    collateral = file_read(TDX ".collateral-2026-03-16.json");
    vcek = file_read(SNP ".vcek.der");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    blob_free(&collateral);
    blob_free(&vcek);
    return 0;
}

static void add_hex(char **p, const char *name, const struct blob *b)
{
    *p += sprintf(*p, "%s\"%s\":\"", (*p)[-1] == '{' ? "" : ",", name);
    for (size_t i = 0; i < b->len; i++)
        *p += sprintf(*p, "%02x", b->data[i]);
    *p += sprintf(*p, "\"");
}

/* JSON of the SNP report, if wanted, and the quote, if wanted; after an object to begin with. */
static struct blob combine(const struct blob *begin, bool snp, bool tdx)
{
    struct blob report = file_read(SNP ".report.bin"), quote = file_read(TDX ".quote.bin");
    struct blob out = { malloc(begin->len + 4 * (report.len + quote.len)), 0 };
    char *p = (char *)out.data;

    assert_non_null(p);
    memcpy(p, begin->data, begin->len);
    p += begin->len;
    while (p[-1] != '}' && p[-1] != '{')
        p--;
    p -= p[-1] == '}';
    if (snp)
        add_hex(&p, "attestation_report", &report);
    if (tdx)
        add_hex(&p, "td_quote", &quote);
    *p++ = '}';
    out.len = (size_t)(p - (char *)out.data);
    blob_free(&report);
    blob_free(&quote);
    return out;
}

static void expect(const struct blob *evidence, enum bawn_verdict want)
{
    const struct bawn_bytes given[] = { bytes_of(&collateral), bytes_of(&vcek) };
    struct bawn_attest_input input = {
        .evidence = bytes_of(evidence), .endorsements = given, .nr_endorsements = 2, .at = AT
    };
    struct bawn_attest_result *r;

    if (whole_verdict(&r, NULL, 0, &input) != want) {
        show_findings(r);
        fail_msg("the verdict is not %d", want);
    }
    if (want == BAWN_NOT_TRUSTED)
        expect_finding(r, "evidence.one-guest", BAWN_FINDING_REFUSED, "of one guest");
    bawn_attest_result_destroy(r);
}

static void report_and_quote(void **state)
{
    struct blob open = blob_of("{", 1);

    (void)state;
    for (unsigned parts = 1; parts < 4; parts++) {
        struct blob evidence = combine(&open, parts & 1, parts & 2);

        expect(&evidence, parts == 3 ? BAWN_NOT_TRUSTED : BAWN_TRUSTED);
        blob_free(&evidence);
    }
    blob_free(&open);
}

/* Azure's report holds an SNP report; a quote beside it is of another machine. */
static void azure_and_quote(void **state)
{
    struct blob azure = file_read(AZURE);

    (void)state;
    for (int quote = 0; quote < 2; quote++) {
        struct blob evidence = combine(&azure, false, quote);

        expect(&evidence, quote ? BAWN_NOT_TRUSTED : BAWN_TRUSTED);
        blob_free(&evidence);
    }
    blob_free(&azure);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(report_and_quote),
        cmocka_unit_test(azure_and_quote),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

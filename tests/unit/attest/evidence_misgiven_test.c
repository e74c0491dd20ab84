// SPDX-License-Identifier: Apache-2.0
/*
 * Evidence that is an endorsement, or that lost its end: what it is, and what to do, is said.
 */
#include "tests/unit/attest/pki.h"
#include "tests/unit/attest/scene.h"

#define V "tests/vectors/"

/* Judged as the evidence: cannot be judged, for one reason. */
static void misgiven(struct bawn_bytes evidence, const char *words, const char *advice)
{
    struct bawn_attest_input input = { .evidence = evidence, .at = PKI_NOW };
    const struct bawn_finding *f;
    struct bawn_attest_result *r;

    assert_int_equal(whole_verdict(&r, NULL, 0, &input), BAWN_CANNOT_JUDGE);
    assert_int_equal(bawn_attest_result_findings(r, &f), 1);
    if (strcmp(f->check, "evidence.form") || !strstr(f->text, words) || !strstr(f->advice, advice))
        fail_msg("%s: %s; %s", f->check, f->text, f->advice);
    bawn_attest_result_destroy(r);
}

static void endorsement_files(void **state)
{
    static const struct {
        const char *path, *words;
    } files[] = {
        { V "snp/milan-v3-vcek-05b7438a.vcek.der", "the evidence is a certificate" },
        { V "snp/roots/milan_ask_ark_asvk.pem", "the evidence is a certificate" },
        { V "snp/crl/milan.crl.der", "the evidence is a certificate revocation list" },
        { V "tpm/akpub.pem", "the evidence is a public key" },
        { V "tdx/tdx-v4-50806f000000-12b401a8.collateral-2026-03-16.json",
          "the evidence is collateral" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct blob b = file_read(files[i].path);

        misgiven(bytes_of(&b), files[i].words, "give it with --endorsements");
        blob_free(&b);
    }
}

static void cut_reports(void **state)
{
    static const char *const paths[] = { V "snp/milan-v3-vcek-05b7438a.report.bin",
                                         V "snp/turin-v5-vcek-85da705e.report.bin" };
    static const size_t lengths[] = { 0x38, 100, 1000, 1183 };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct blob b = file_read(paths[i]);

        for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++) {
            struct blob cut = blob_of(b.data, lengths[l]);

            misgiven(bytes_of(&cut), "SEV-SNP report and is cut short", "all of the report");
            blob_free(&cut);
        }
        b.data[0x0a] = 0; /* the bit of the policy that is always one */
        b.len = 1000;
        misgiven(bytes_of(&b), "not recognised", "known are");
        b.len = 0x37;
        misgiven(bytes_of(&b), "not recognised", "known are");
        blob_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endorsement_files),
        cmocka_unit_test(cut_reports),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

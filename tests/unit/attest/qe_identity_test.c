// SPDX-License-Identifier: Apache-2.0
/*
 * The quoting enclave against its identity: each field, each level, and identities that are for
 * another enclave.
 */
#include "attest/lib/quote.h"
#include "tests/unit/attest/quote_made.h"

static void expect_found(struct made_spec *spec, enum bawn_verdict verdict, const char *check,
                         enum bawn_finding_level level, const char *words)
{
    struct bawn_attest_result *r = made_expect(pki, spec, verdict);

    expect_finding(r, check, level, words);
    bawn_attest_result_destroy(r);
}

static void each_field(void **state)
{
    static const char words[] = "not the one that Intel names";
    struct made_spec spec;

    (void)state;
    made_default(&spec, MADE_TDX4);
    spec.qe.misc_select[0] = 1;
    expect_found(&spec, BAWN_NOT_TRUSTED, "qe.misc-select", BAWN_FINDING_REFUSED, words);
    spec.qe_identity.misc_mask[0] = 0xfe;
    bawn_attest_result_destroy(made_expect(pki, &spec, BAWN_TRUSTED));

    made_default(&spec, MADE_TDX4);
    spec.qe.attributes[0] |= BAWN_SGX_ATTR_DEBUG;
    expect_found(&spec, BAWN_NOT_TRUSTED, "qe.attributes", BAWN_FINDING_REFUSED, words);
    made_default(&spec, MADE_TDX4);
    spec.qe.attributes[15] = 1;
    expect_found(&spec, BAWN_NOT_TRUSTED, "qe.attributes", BAWN_FINDING_REFUSED, words);
    made_default(&spec, MADE_TDX4);
    spec.qe.attributes[0] |= BAWN_SGX_ATTR_MODE64BIT; /* not under the mask */
    bawn_attest_result_destroy(made_expect(pki, &spec, BAWN_TRUSTED));

    made_default(&spec, MADE_SGX3);
    spec.qe.mr_signer[31] ^= 0x80;
    expect_found(&spec, BAWN_NOT_TRUSTED, "qe.mrsigner", BAWN_FINDING_REFUSED, words);
    made_default(&spec, MADE_SGX3);
    spec.qe.isv_prod_id[1] = 1;
    expect_found(&spec, BAWN_NOT_TRUSTED, "qe.isvprodid", BAWN_FINDING_REFUSED, words);
}

static void levels(void **state)
{
    struct bawn_attest_result *r;
    struct made_spec spec;

    (void)state;
    made_default(&spec, MADE_TDX5);
    spec.qe.isv_svn[0] = 4;
    r = made_expect(pki, &spec, BAWN_TRUSTED);
    expect_claim(r, "qe.tcb_status", "OutOfDate");
    expect_claim(r, "tdx.platform_tcb_status", "UpToDate");
    expect_claim(r, "tdx.tcb_status", "OutOfDate");
    expect_finding(r, "tdx.tcb-status", BAWN_FINDING_WARNING, "INTEL-SA-00003");
    assert_non_null(strstr(result_finding(r, "tdx.tcb-status", BAWN_FINDING_WARNING)->advice,
                           "quoting enclave ISVSVN (4; newest 5)"));
    bawn_attest_result_destroy(r);

    spec.qe.isv_svn[0] = 3;
    r = made_expect(pki, &spec, BAWN_NOT_TRUSTED);
    expect_finding(r, "qe.tcb-level", BAWN_FINDING_REFUSED, "older than every TCB level");
    assert_null(bawn_attest_result_claim(r, "tdx.tcb_status"));
    bawn_attest_result_destroy(r);

    spec.qe.isv_svn[0] = 0;
    spec.qe.isv_svn[1] = 1; /* 256 */
    bawn_attest_result_destroy(made_expect(pki, &spec, BAWN_TRUSTED));

    made_default(&spec, MADE_SGX4);
    spec.qe_identity.levels[0].status = "Revoked";
    r = made_expect(pki, &spec, BAWN_NOT_TRUSTED);
    expect_claim(r, "sgx.tcb_status", "Revoked");
    expect_finding(r, "sgx.tcb-status", BAWN_FINDING_REFUSED, "revoked");
    bawn_attest_result_destroy(r);

    made_default(&spec, MADE_SGX4);
    spec.qe_identity.levels[0].status = "Fine";
    expect_found(&spec, BAWN_CANNOT_JUDGE, "qe-identity.format", BAWN_FINDING_MISSING, "form");
}

static void another_enclave(void **state)
{
    struct made_spec spec;

    (void)state;
    made_default(&spec, MADE_TDX4);
    spec.qe_id = "QE";
    expect_found(&spec, BAWN_CANNOT_JUDGE, "qe-identity.present", BAWN_FINDING_MISSING, "for TDX");
    made_default(&spec, MADE_SGX3);
    spec.qe_id = "TD_QE";
    expect_found(&spec, BAWN_CANNOT_JUDGE, "qe-identity.present", BAWN_FINDING_MISSING, "for SGX");
    spec.qe_id = "QVE";
    expect_found(&spec, BAWN_CANNOT_JUDGE, "qe-identity.present", BAWN_FINDING_MISSING, "for SGX");
    spec.qe_id = NULL;
    spec.qe_identity.version = 1;
    expect_found(&spec, BAWN_CANNOT_JUDGE, "qe-identity.format", BAWN_FINDING_MISSING, "form");
    made_default(&spec, MADE_SGX3);
    spec.omit = MADE_QE_IDENTITY;
    expect_found(&spec, BAWN_CANNOT_JUDGE, "qe-identity.present", BAWN_FINDING_MISSING,
                 "no QE identity for SGX was given");
}

/* Signed, but not of the form: never more than "cannot judge". */
static void broken_forms(void **state)
{
    static const char *const edits[][2] = {
        { "\"miscselect\":\"00", "\"miscselect\":\"" },
        { "\"miscselectMask\"", "\"miscselectmask\"" },
        { "\"attributesMask\":\"FB", "\"attributesMask\":\"" },
        { "\"attributes\":\"", "\"attributes\":\"x" },
        { "\"mrsigner\":\"5E", "\"mrsigner\":\"" },
        { "\"isvprodid\":2", "\"isvprodid\":2.0" },
        { "\"version\":2,", "" },
        { "\"isvsvn\":5", "\"isvsvn\":-5" },
        { "\"tcbLevels\":[", "\"tcbLevels\":7,\"x\":[" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        struct made_spec spec;

        made_default(&spec, MADE_SGX3);
        spec.edit = edits[i][0];
        spec.edit_to = edits[i][1];
        expect_found(&spec, BAWN_CANNOT_JUDGE, "qe-identity.format", BAWN_FINDING_MISSING,
                     "known form");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_field),
        cmocka_unit_test(levels),
        cmocka_unit_test(another_enclave),
        cmocka_unit_test(broken_forms),
    };

    return cmocka_run_group_tests_name("attest/qe_identity", tests, pki_setup, pki_teardown);
}

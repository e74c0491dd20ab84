// SPDX-License-Identifier: Apache-2.0
/*
 * TCB levels: which one is selected for which SVNs, what each status amounts to, the TDX
 * module's identity, and TCB info that is not this platform's.
 */
#include "attest/lib/quote.h"
#include "tests/unit/attest/quote_made.h"

/* The statuses claimed for that specification; NULL for none. */
static void expect_status(struct made_spec *spec, enum bawn_verdict verdict, const char *platform,
                          const char *module, const char *final)
{
    struct bawn_attest_result *r = made_expect(pki, spec, verdict);
    bool tdx = spec->kind >= MADE_TDX4;
    const char *const want[][2] = {
        { tdx ? "tdx.platform_tcb_status" : "sgx.platform_tcb_status", platform },
        { "tdx.module_tcb_status", module },
        { tdx ? "tdx.tcb_status" : "sgx.tcb_status", final },
    };

    for (size_t i = 0; i < 3; i++) {
        if (want[i][1])
            expect_claim(r, want[i][0], want[i][1]);
        else
            assert_null(bawn_attest_result_claim(r, want[i][0]));
    }
    bawn_attest_result_destroy(r);
}

static void expect_found(struct made_spec *spec, enum bawn_verdict verdict, const char *check,
                         enum bawn_finding_level level, const char *words)
{
    struct bawn_attest_result *r = made_expect(pki, spec, verdict);

    expect_finding(r, check, level, words);
    bawn_attest_result_destroy(r);
}

static const struct {
    const char *name;
    enum bawn_verdict verdict;
    enum bawn_finding_level level;
    const char *with_old_module; /* when the module is OutOfDate */
} seven[] = {
    { "UpToDate", BAWN_TRUSTED, BAWN_FINDING_PASS, "OutOfDate" },
    { "SWHardeningNeeded", BAWN_TRUSTED, BAWN_FINDING_WARNING, "OutOfDate" },
    { "ConfigurationNeeded", BAWN_TRUSTED, BAWN_FINDING_WARNING, "OutOfDateConfigurationNeeded" },
    { "ConfigurationAndSWHardeningNeeded", BAWN_TRUSTED, BAWN_FINDING_WARNING,
      "OutOfDateConfigurationNeeded" },
    { "OutOfDate", BAWN_TRUSTED, BAWN_FINDING_WARNING, "OutOfDate" },
    { "OutOfDateConfigurationNeeded", BAWN_TRUSTED, BAWN_FINDING_WARNING,
      "OutOfDateConfigurationNeeded" },
    { "Revoked", BAWN_NOT_TRUSTED, BAWN_FINDING_REFUSED, "Revoked" },
};

static void statuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(seven) / sizeof(seven[0]); i++) {
        struct bawn_attest_result *r;
        struct made_spec spec;

        made_default(&spec, MADE_SGX3);
        spec.levels[0].status = seven[i].name;
        spec.levels[0].advisory = "INTEL-SA-01234";
        expect_status(&spec, seven[i].verdict, seven[i].name, NULL, seven[i].name);
        r = made_expect(pki, &spec, seven[i].verdict);
        expect_claim(r, "sgx.advisory_ids[0]", "INTEL-SA-01234");
        expect_claim(r, "sgx.tcb_date", "2024-09-01T00:00:00Z");
        expect_claim(r, "sgx.tcb_evaluation_data_number", "17");
        if (i) {
            expect_finding(r, "sgx.tcb-status", seven[i].level, "INTEL-SA-01234");
            assert_string_equal(result_finding(r, "sgx.tcb-status", seven[i].level)->found,
                                seven[i].name);
        }
        bawn_attest_result_destroy(r);

        made_default(&spec, MADE_TDX4);
        spec.levels[0].status = seven[i].name;
        expect_status(&spec, seven[i].verdict, seven[i].name, "UpToDate", seven[i].name);
        spec.td.base.tee_tcb_svn[0]--;
        expect_status(&spec, seven[i].verdict, seven[i].name, "OutOfDate",
                      seven[i].with_old_module);
        spec.module.levels[1].status = "Revoked";
        expect_status(&spec, BAWN_NOT_TRUSTED, seven[i].name, "Revoked", "Revoked");
    }
}

static void unknown_status(void **state)
{
    struct made_spec spec;

    (void)state;
    made_default(&spec, MADE_TDX4);
    spec.levels[0].status = "Splendid";
    expect_found(&spec, BAWN_CANNOT_JUDGE, "tcb-info.format", BAWN_FINDING_MISSING, "known form");
    made_default(&spec, MADE_TDX4);
    spec.module.levels[0].status = "Splendid";
    expect_found(&spec, BAWN_CANNOT_JUDGE, "tcb-info.format", BAWN_FINDING_MISSING, "known form");
}

/* One SVN below a level is below the level, whichever it is. */
static void each_component(void **state)
{
    (void)state;
    for (int i = 0; i < 16; i++) {
        struct made_spec spec;

        made_default(&spec, MADE_SGX4);
        spec.sgx.tcb[i]--;
        expect_status(&spec, BAWN_TRUSTED, "OutOfDate", NULL, "OutOfDate");
        spec.sgx.tcb[i]--;
        expect_status(&spec, BAWN_NOT_TRUSTED, NULL, NULL, NULL);
        if (i < 2)
            continue;
        made_default(&spec, MADE_TDX5);
        spec.td.base.tee_tcb_svn[i]--;
        expect_status(&spec, BAWN_TRUSTED, "OutOfDate", "UpToDate", "OutOfDate");
        spec.td.base.tee_tcb_svn[i]--;
        expect_status(&spec, BAWN_NOT_TRUSTED, NULL, "UpToDate", NULL);
    }
}

static void pce_svn(void **state)
{
    struct made_spec spec;
    struct bawn_attest_result *r;

    (void)state;
    made_default(&spec, MADE_SGX3);
    spec.sgx.pcesvn--;
    r = made_expect(pki, &spec, BAWN_TRUSTED);
    expect_finding(r, "sgx.tcb-status", BAWN_FINDING_WARNING, "INTEL-SA-00001");
    assert_non_null(strstr(result_finding(r, "sgx.tcb-status", BAWN_FINDING_WARNING)->advice,
                           "PCE (4; newest 5)"));
    bawn_attest_result_destroy(r);
    spec.sgx.pcesvn = 0x105; /* no byte of it alone counts */
    expect_status(&spec, BAWN_TRUSTED, "UpToDate", NULL, "UpToDate");
    spec.sgx.pcesvn = 3;
    r = made_expect(pki, &spec, BAWN_NOT_TRUSTED);
    expect_finding(r, "sgx.tcb-level", BAWN_FINDING_REFUSED, "older than every TCB level");
    assert_non_null(strstr(result_finding(r, "sgx.tcb-level", BAWN_FINDING_REFUSED)->advice,
                           "PCE (3; newest 5)"));
    bawn_attest_result_destroy(r);
}

/* A TD under a module without a version of its own is judged by all 16 components, one under a
 * versioned module by those from 2 on and by the module's identity. */
static void module_version(void **state)
{
    struct made_spec spec;

    (void)state;
    made_default(&spec, MADE_TDX4);
    spec.td.base.tee_tcb_svn[1] = 0;
    spec.levels[0].tdx[1] = spec.levels[1].tdx[1] = 0;
    expect_status(&spec, BAWN_TRUSTED, "UpToDate", NULL, "UpToDate");
    spec.td.base.tee_tcb_svn[0]--;
    expect_status(&spec, BAWN_TRUSTED, "OutOfDate", NULL, "OutOfDate");
    spec.levels[1].tdx[1] = 1;
    expect_status(&spec, BAWN_NOT_TRUSTED, NULL, NULL, NULL);

    made_default(&spec, MADE_TDX4);
    spec.levels[0].tdx[0] = spec.levels[0].tdx[1] = 200; /* not looked at */
    expect_status(&spec, BAWN_TRUSTED, "UpToDate", "UpToDate", "UpToDate");
    spec.td.base.tee_tcb_svn[0] = 3; /* below every level of the module */
    expect_status(&spec, BAWN_NOT_TRUSTED, "UpToDate", NULL, NULL);
    expect_found(&spec, BAWN_NOT_TRUSTED, "tdx.module-tcb-level", BAWN_FINDING_REFUSED,
                 "older than every TCB level");
    spec.td.base.tee_tcb_svn[0] = 5;
    spec.td.base.tee_tcb_svn[1] = 0x1a;
    expect_found(&spec, BAWN_NOT_TRUSTED, "tdx.module-identity", BAWN_FINDING_REFUSED,
                 "no TDX module of major version 26");
    spec.module_version = 0x1a;
    expect_status(&spec, BAWN_TRUSTED, "UpToDate", "UpToDate", "UpToDate");
}

static void module_identity(void **state)
{
    struct made_spec spec;

    (void)state;
    for (int version = 0; version < 2; version++) {
        made_default(&spec, MADE_TDX5_15);
        spec.td.base.tee_tcb_svn[1] = (uint8_t)version;
        spec.levels[0].tdx[1] = 0;
        spec.td.base.mrsigner_seam[47] ^= 1;
        expect_found(&spec, BAWN_NOT_TRUSTED, "tdx.module-identity", BAWN_FINDING_REFUSED,
                     "signer is another");
        spec.td.base.mrsigner_seam[47] ^= 1;
        spec.td.base.seam_attributes[0] = 1;
        expect_found(&spec, BAWN_NOT_TRUSTED, "tdx.module-identity", BAWN_FINDING_REFUSED,
                     "attributes are others");
        spec.module.attributes_mask[0] = 0xfe; /* under the mask, but it must be zero anyway */
        expect_found(&spec, BAWN_NOT_TRUSTED, "tdx.module-identity", BAWN_FINDING_REFUSED,
                     "attributes are others");
        spec.td.base.seam_attributes[0] = 0;
        spec.module.attributes[0] = 2;
        expect_found(&spec, BAWN_NOT_TRUSTED, "tdx.module-identity", BAWN_FINDING_REFUSED,
                     "attributes are others");
    }
}

/* TDX 1.5 says in TEE_TCB_SVN_2 that the module was updated under the running TD. */
static void relaunch(void **state)
{
    struct bawn_attest_result *r;
    struct made_spec spec;

    (void)state;
    made_default(&spec, MADE_TDX5_15);
    spec.td.base.tee_tcb_svn[0]--;
    r = made_expect(pki, &spec, BAWN_TRUSTED);
    expect_claim(r, "tdx.relaunch_advised", "true");
    expect_claim(r, "tdx.tcb_status", "OutOfDate");
    assert_non_null(
        strstr(result_finding(r, "tdx.tcb-status", BAWN_FINDING_WARNING)->advice, "launch the TD"));
    bawn_attest_result_destroy(r);

    spec.td.tee_tcb_svn_2[0]--; /* the module is still the old one */
    r = made_expect(pki, &spec, BAWN_TRUSTED);
    expect_claim(r, "tdx.relaunch_advised", "false");
    assert_non_null(strstr(result_finding(r, "tdx.tcb-status", BAWN_FINDING_WARNING)->advice,
                           "TDX module ISVSVN (4; newest 5)"));
    bawn_attest_result_destroy(r);

    spec.td.tee_tcb_svn_2[0]++;
    spec.qe.isv_svn[0]--; /* a launch does not mend the quoting enclave */
    r = made_expect(pki, &spec, BAWN_TRUSTED);
    expect_claim(r, "tdx.relaunch_advised", "false");
    bawn_attest_result_destroy(r);
}

/* Advisories of platform, module and quoting enclave, each once. */
static void advisories(void **state)
{
    static const char *const want[] = { "INTEL-SA-00001", "INTEL-SA-00000", "INTEL-SA-00002",
                                        "INTEL-SA-00003" };
    struct bawn_attest_result *r;
    struct made_spec spec;

    (void)state;
    made_default(&spec, MADE_TDX4);
    spec.sgx.tcb[3]--;
    spec.td.base.tee_tcb_svn[0]--;
    spec.qe.isv_svn[0]--;
    r = made_expect(pki, &spec, BAWN_TRUSTED);
    for (int i = 0; i < 4; i++) {
        char name[32];

        snprintf(name, sizeof(name), "tdx.advisory_ids[%d]", i);
        expect_claim(r, name, want[i]);
    }
    assert_null(bawn_attest_result_claim(r, "tdx.advisory_ids[4]"));
    expect_claim(r, "qe.tcb_status", "OutOfDate");
    expect_claim(r, "qe.tcb_date", "2024-08-01T00:00:00Z");
    expect_claim(r, "tdx.module_tcb_date", "2024-08-01T00:00:00Z");
    bawn_attest_result_destroy(r);
}

static void not_this_platform(void **state)
{
    struct made_spec spec;

    (void)state;
    made_default(&spec, MADE_TDX4);
    spec.fmspc = "00906ED50000";
    expect_found(&spec, BAWN_CANNOT_JUDGE, "tcb-info.present", BAWN_FINDING_MISSING,
                 "FMSPC 00806f050000");
    made_default(&spec, MADE_TDX4);
    spec.sgx.pceid[1] = 1;
    expect_found(&spec, BAWN_CANNOT_JUDGE, "tcb-info.present", BAWN_FINDING_MISSING, "PCE-ID 0001");
    made_default(&spec, MADE_TDX4);
    spec.id = "SGX";
    expect_found(&spec, BAWN_CANNOT_JUDGE, "tcb-info.present", BAWN_FINDING_MISSING, "for TDX");
    made_default(&spec, MADE_SGX5);
    spec.id = "TDX";
    expect_found(&spec, BAWN_CANNOT_JUDGE, "tcb-info.present", BAWN_FINDING_MISSING, "for SGX");
}

static void other_versions(void **state)
{
    struct made_spec spec;

    (void)state;
    made_default(&spec, MADE_SGX3);
    spec.tcb_v2 = true;
    expect_status(&spec, BAWN_TRUSTED, "UpToDate", NULL, "UpToDate");
    for (int i = 0; i < 16; i += 5) {
        spec.sgx.tcb[i]--;
        expect_status(&spec, BAWN_TRUSTED, "OutOfDate", NULL, "OutOfDate");
        spec.sgx.tcb[i]++;
    }
    made_default(&spec, MADE_TDX4);
    spec.tcb_v2 = true; /* has no id: is for SGX */
    expect_found(&spec, BAWN_CANNOT_JUDGE, "tcb-info.present", BAWN_FINDING_MISSING, "for TDX");
    made_default(&spec, MADE_TDX4);
    spec.tcb_version = 4;
    expect_found(&spec, BAWN_CANNOT_JUDGE, "tcb-info.format", BAWN_FINDING_MISSING, "version");
    made_default(&spec, MADE_TDX4);
    spec.tcb_type = 1;
    expect_found(&spec, BAWN_CANNOT_JUDGE, "tcb-info.format", BAWN_FINDING_MISSING, "tcbType");
    made_default(&spec, MADE_TDX4);
    spec.levels[0].status = NULL; /* no levels at all */
    expect_found(&spec, BAWN_NOT_TRUSTED, "tdx.tcb-level", BAWN_FINDING_REFUSED, "older");
}

/* Signed, but not of the form: never more than "cannot judge". */
static void broken_forms(void **state)
{
    static const struct {
        const char *from, *to;
        enum made_kind kind;
    } cases[] = {
        { "\"svn\":5,", "\"svn\":256,", MADE_TDX4 },
        { "\"svn\":5,", "\"svn\":-1,", MADE_TDX4 },
        { "\"svn\":5,", "\"svn\":\"5\",", MADE_SGX3 },
        { "\"svn\":5,", "", MADE_SGX3 },
        { "{\"svn\":5,\"category\":\"BIOS\",\"type\":\"Part 1\"},", "", MADE_SGX3 },
        { "{\"svn\":5,", "{\"svn\":0},{\"svn\":5,", MADE_SGX3 },
        { "\"sgxtcbcomponents\"", "\"sgxtcbcomponent\"", MADE_SGX3 },
        { "\"tdxtcbcomponents\"", "\"tdxtcbcomponent\"", MADE_TDX5 },
        { "\"pcesvn\":5", "\"pcesvn\":65536", MADE_SGX3 },
        { "\"pcesvn\"", "\"pcsvn\"", MADE_SGX3 },
        { "\"tcbType\":0,", "", MADE_SGX3 },
        { "\"version\":3", "\"version\":\"3\"", MADE_SGX3 },
        { "\"mrsigner\":\"51", "\"mrsigner\":\"", MADE_TDX4 },
        { "\"isvsvn\":5", "\"isvsvn\":\"5\"", MADE_TDX4 },
        { "\"attributesMask\":\"FF", "\"attributesMask\":\"FG", MADE_TDX4 },
        { "\"attributesMask\":\"FF", "\"attributesMask\":\"", MADE_TDX4 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bawn_attest_result *r;
        struct made_spec spec;
        struct made m;

        made_default(&spec, cases[i].kind);
        if (strstr(cases[i].from, "51") || strstr(cases[i].from, "FF"))
            spec.td.base.tee_tcb_svn[1] = spec.levels[0].tdx[1] = 0;
        spec.edit = cases[i].from;
        spec.edit_to = cases[i].to;
        made_build(pki, &spec, &m);
        r = made_judge(&m);
        if (bawn_attest_result_verdict(r) != BAWN_CANNOT_JUDGE) {
            show_findings(r);
            fail_msg("case %zu: verdict %d", i, bawn_attest_result_verdict(r));
        }
        bawn_attest_result_destroy(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses),          cmocka_unit_test(unknown_status),
        cmocka_unit_test(each_component),    cmocka_unit_test(pce_svn),
        cmocka_unit_test(module_version),    cmocka_unit_test(module_identity),
        cmocka_unit_test(relaunch),          cmocka_unit_test(advisories),
        cmocka_unit_test(not_this_platform), cmocka_unit_test(other_versions),
        cmocka_unit_test(broken_forms),
    };

    return cmocka_run_group_tests_name("attest/tcb_info", tests, pki_setup, pki_teardown);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Intel's signed JSON: its dates, its signature, who may sign it, and which of several is used.
 */
#include "attest/lib/quote.h"
#include "tests/unit/attest/quote_made.h"

static struct bawn_bytes text(const char *s)
{
    return (struct bawn_bytes){ (const uint8_t *)s, strlen(s) };
}

static void dates(void **state)
{
    static const struct {
        const char *text;
        int64_t time;
    } good[] = {
        { "1970-01-01T00:00:00Z", 0 },          { "1970-12-31T23:59:59Z", 31535999 },
        { "2000-02-29T12:00:00Z", 951825600 },  { "2024-02-29T00:00:00Z", 1709164800 },
        { "2024-03-01T00:00:00Z", 1709251200 }, { "2026-03-16T22:06:09Z", 1773698769 },
        { "2100-03-01T00:00:00Z", 4107542400 }, { "9999-12-31T23:59:59Z", 253402300799 },
    };
    static const char *const bad[] = {
        "",
        "2026-03-16",
        "2026-03-16T22:06:09",
        "2026-03-16T22:06:09z",
        "2026-03-16T22:06:09Z ",
        "2026-03-16 22:06:09Z",
        "2026-03-16T22:06:09+00:00",
        "2026-3-16T22:06:09Z",
        "2026-13-16T22:06:09Z",
        "2026-00-16T22:06:09Z",
        "2026-03-00T22:06:09Z",
        "2026-03-32T22:06:09Z",
        "2026-04-31T22:06:09Z",
        "2025-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-03-16T24:06:09Z",
        "2026-03-16T22:60:09Z",
        "2026-03-16T22:06:60Z",
        "1969-12-31T23:59:59Z",
        "-026-03-16T22:06:09Z",
        "2026-03-16T22:06:0/Z",
    };
    int64_t t;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(iso_time(text(good[i].text), &t));
        assert_int_equal(t, good[i].time);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(iso_time(text(bad[i]), &t));
}

static void expect_found(struct made_spec *spec, enum bawn_verdict verdict, const char *check,
                         enum bawn_finding_level level, const char *words)
{
    struct bawn_attest_result *r = made_expect(pki, spec, verdict);

    expect_finding(r, check, level, words);
    bawn_attest_result_destroy(r);
}

static void wrong_signer(void **state)
{
    struct made_spec spec;

    (void)state;
    made_default(&spec, MADE_TDX4);
    spec.json_key = pki_key(pki, NULL);
    expect_found(&spec, BAWN_NOT_TRUSTED, "tcb-info.signature", BAWN_FINDING_REFUSED,
                 "does not verify");
    expect_found(&spec, BAWN_NOT_TRUSTED, "qe-identity.signature", BAWN_FINDING_REFUSED,
                 "does not verify");
    made_default(&spec, MADE_TDX4);
    spec.omit = MADE_SIGNER;
    expect_found(&spec, BAWN_CANNOT_JUDGE, "tcb-signing.present", BAWN_FINDING_MISSING,
                 "no TCB signing certificate");
    /* A PCK certificate, though its issuer is as good, may not sign TCB info. */
    made_default(&spec, MADE_TDX4);
    spec.signer.cn = "Intel SGX PCK Certificate";
    spec.signer_by_ca = true;
    expect_found(&spec, BAWN_CANNOT_JUDGE, "tcb-signing.present", BAWN_FINDING_MISSING,
                 "no TCB signing certificate");
    /* Nor may one that a PCK CA gave the name. */
    made_default(&spec, MADE_TDX4);
    spec.signer_by_ca = true;
    expect_found(&spec, BAWN_NOT_TRUSTED, "tcb-signing.chain", BAWN_FINDING_REFUSED,
                 "too many intermediate");
    made_default(&spec, MADE_TDX4);
    spec.signer.sign_with = pki_key(pki, NULL);
    expect_found(&spec, BAWN_NOT_TRUSTED, "tcb-signing.chain", BAWN_FINDING_REFUSED, "not made");
    made_default(&spec, MADE_TDX4);
    spec.signer.ca = true;
    expect_found(&spec, BAWN_NOT_TRUSTED, "tcb-signing.chain", BAWN_FINDING_REFUSED, "CA");
}

/* What is not signed by the root's word gives no claims. */
static void unrooted_is_nobodys_word(void **state)
{
    struct bawn_attest_result *r;
    struct made_spec spec;

    (void)state;
    made_default(&spec, MADE_TDX4);
    spec.signer_by_ca = true;
    r = made_expect(pki, &spec, BAWN_NOT_TRUSTED);
    assert_null(bawn_attest_result_claim(r, "tdx.platform_tcb_status"));
    assert_null(bawn_attest_result_claim(r, "qe.tcb_status"));
    bawn_attest_result_destroy(r);
}

static void out_of_time(void **state)
{
    struct made_spec spec;

    (void)state;
    made_default(&spec, MADE_TDX4);
    spec.next_update = "2025-05-31T23:59:59Z";
    expect_found(&spec, BAWN_CANNOT_JUDGE, "tcb-info.validity", BAWN_FINDING_MISSING, "stale");
    expect_found(&spec, BAWN_CANNOT_JUDGE, "qe-identity.validity", BAWN_FINDING_MISSING, "stale");
    spec.next_update = "2025-06-01T00:00:00Z";
    bawn_attest_result_destroy(made_expect(pki, &spec, BAWN_TRUSTED));
    spec.next_update = NULL;
    spec.issued = "2025-06-01T00:00:01Z";
    expect_found(&spec, BAWN_CANNOT_JUDGE, "tcb-info.validity", BAWN_FINDING_MISSING, "after");
    spec.issued = "2025-06-01T00:00:00Z";
    bawn_attest_result_destroy(made_expect(pki, &spec, BAWN_TRUSTED));
    spec.issued = "yesterday";
    expect_found(&spec, BAWN_CANNOT_JUDGE, "tcb-info.present", BAWN_FINDING_MISSING,
                 "PCE-ID 0000 was given");
}

/* Of several for the platform, the one in force is used; a stale or foreign one beside it does
 * no harm, in either order. */
static void several(void **state)
{
    struct made_spec spec;
    struct made m, stale;

    (void)state;
    made_default(&spec, MADE_TDX4);
    made_build(pki, &spec, &m);
    spec.json_key = m.signer->key;
    spec.issued = "2024-01-01T00:00:00Z";
    spec.next_update = "2024-02-01T00:00:00Z";
    spec.levels[0].status = "Revoked";
    made_build(pki, &spec, &stale);
    for (int first = 0; first < 2; first++) {
        struct made both = m;
        struct bawn_attest_result *r;

        if (first) {
            both.endorsements[both.nr_endorsements - 2] = stale.tcb_info;
            both.endorsements[both.nr_endorsements++] = m.tcb_info;
        } else {
            both.endorsements[both.nr_endorsements++] = stale.tcb_info;
        }
        both.endorsements[both.nr_endorsements++] = stale.qe_identity;
        r = made_judge(&both);
        if (bawn_attest_result_verdict(r) != BAWN_TRUSTED)
            show_findings(r);
        assert_int_equal(bawn_attest_result_verdict(r), BAWN_TRUSTED);
        expect_claim(r, "tdx.tcb_status", "UpToDate");
        bawn_attest_result_destroy(r);
    }
    /* Two signing certificates, of which the other one signed. */
    m.endorsements[m.nr_endorsements++] = stale.signer->der;
    {
        struct bawn_bytes swap = m.endorsements[2];
        struct bawn_attest_result *r;

        assert_memory_equal(swap.data, m.signer->der.data, swap.len);
        m.endorsements[2] = m.endorsements[m.nr_endorsements - 1];
        m.endorsements[m.nr_endorsements - 1] = swap;
        r = made_judge(&m);
        assert_int_equal(bawn_attest_result_verdict(r), BAWN_TRUSTED);
        bawn_attest_result_destroy(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates),
        cmocka_unit_test(wrong_signer),
        cmocka_unit_test(unrooted_is_nobodys_word),
        cmocka_unit_test(out_of_time),
        cmocka_unit_test(several),
    };

    return cmocka_run_group_tests_name("attest/intel_json", tests, pki_setup, pki_teardown);
}

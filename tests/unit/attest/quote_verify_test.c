// SPDX-License-Identifier: Apache-2.0
/*
 * Quotes judged: every real one under every bundle of collateral at its time, with times
 * moved, parts missing and every byte flipped; and made ones for what no real one shows.
 */
#include "tests/unit/attest/quote_made.h"

#define DIR "tests/vectors/tdx/"

struct judge {
    struct bawn_trust *trust;
    struct bawn_attest_cache *cache;
    struct bawn_attest_result *r;
    struct pki *pki;
};

static enum bawn_verdict judge(struct judge *j, struct bawn_bytes quote,
                               const struct bawn_bytes *endorsements, size_t n, int64_t at)
{
    struct bawn_attest_input input = {
        .evidence = quote,
        .kind = BAWN_EVIDENCE_QUOTE,
        .endorsements = endorsements,
        .nr_endorsements = n,
        .at = at,
    };

    return bawn_attest_verify(j->trust, j->cache, &input, j->r);
}

/* ---- The vectors ---- */

static struct blob member_file(const struct js *j, uint32_t object, const char *key)
{
    struct bawn_bytes name;
    char path[256];

    assert_true(js_string(j, js_get(j, object, key), &name));
    snprintf(path, sizeof(path), DIR "%.*s", (int)name.len, (const char *)name.data);
    return file_read(path);
}

static const char *member(struct arena *a, const struct js *j, uint32_t object, const char *key)
{
    struct bawn_bytes text;

    return js_string(j, js_get(j, object, key), &text)
               ? arena_text(a, "%.*s", (int)text.len, (const char *)text.data)
               : NULL;
}

static void check_claims(struct judge *t, struct arena *a, const struct js *j, uint32_t vector)
{
    static const char *const claims[][2] = {
        { "mrtd", "tdx.mrtd" },
        { "tee_tcb_svn", "tdx.tee_tcb_svn" },
        { "report_data", "tdx.report_data" },
        { "mrenclave", "sgx.mrenclave" },
        { "fmspc", "pck.fmspc" },
        { "tee", "quote.tee" },
    };

    for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
        const char *want = member(a, j, vector, claims[i][0]);

        if (want)
            expect_claim(t->r, claims[i][1], want);
    }
}

/* What the other tool's word amounts to here. It refuses without SEPT_VE_DISABLE, which here is
 * a warning. It compares all TDX components with a TD under a versioned module, where Intel's
 * rule leaves out the module's own (0 and 1), which the module's identity judges; only for
 * a187b0da does that differ, and ours is Intel's. */
static void check_peer(struct judge *t, const char *peer, const char *platform, bool tdx)
{
    enum bawn_verdict verdict = bawn_attest_result_verdict(t->r);
    const char *status = tdx ? "tdx.tcb_status" : "sgx.tcb_status";

    if (!strncmp(peer, "Status: ", 8)) {
        assert_int_equal(verdict, BAWN_TRUSTED);
        expect_claim(t->r, status, peer + 8);
    } else if (strstr(peer, "Debug mode")) {
        assert_int_equal(verdict, BAWN_NOT_TRUSTED);
        expect_finding(t->r, tdx ? "tdx.debug" : "sgx.debug", BAWN_FINDING_REFUSED, "debug");
    } else if (strstr(peer, "expired or not yet valid")) {
        const char *check = result_finding(t->r, "pck.validity", BAWN_FINDING_REFUSED)
                                ? "pck.validity"
                                : "tcb-signing.validity";

        assert_int_equal(verdict, BAWN_NOT_TRUSTED);
        expect_finding(t->r, check, BAWN_FINDING_REFUSED, "not yet valid");
    } else if (strstr(peer, "No matching TCB level") && !strcmp(platform, "NoMatch")) {
        assert_int_equal(verdict, BAWN_NOT_TRUSTED);
        expect_finding(t->r, "tdx.tcb-level", BAWN_FINDING_REFUSED, "older than every TCB level");
        assert_null(bawn_attest_result_claim(t->r, status));
    } else if (strstr(peer, "No matching TCB level")) {
        assert_int_equal(verdict, BAWN_TRUSTED);
        expect_claim(t->r, status, "OutOfDate");
        expect_claim(t->r, "tdx.module_tcb_status", "OutOfDate");
        expect_claim(t->r, "tdx.tee_tcb_svn", "02010600000000000000000000000000");
    } else if (strstr(peer, "SEPT_VE_DISABLE")) {
        assert_int_equal(verdict, BAWN_TRUSTED);
        expect_finding(t->r, "tdx.sept-ve-disable", BAWN_FINDING_WARNING, "#VE");
    } else {
        fail_msg("unknown verdict \"%s\"", peer);
    }
}

static void vectors(void **state)
{
    struct blob file = file_read(DIR "expected.json");
    struct judge *t = *state;
    struct arena a = { 0 };
    unsigned n = 0;
    struct js j;

    assert_true(js_parse(&j, &a, bytes_of(&file)));
    for (uint32_t e = js_first(&j, 0); e != JS_ABSENT; e = js_next(&j, 0, e)) {
        struct blob quote = member_file(&j, e, "quote");
        uint32_t bundles = js_get(&j, e, "bundles");
        bool tdx = !strcmp(member(&a, &j, e, "tee"), "TDX");

        for (uint32_t b = js_first(&j, bundles); b != JS_ABSENT; b = js_next(&j, bundles, b)) {
            struct blob collateral = member_file(&j, b, "collateral");
            const char *platform = member(&a, &j, b, "platform_tcb_level");
            struct bawn_bytes endorsement = bytes_of(&collateral);
            uint64_t at;

            assert_true(js_uint(&j, js_get(&j, b, "at"), &at));
            judge(t, bytes_of(&quote), &endorsement, 1, (int64_t)at);
            check_claims(t, &a, &j, e);
            if (strcmp(platform, "NoMatch") != 0)
                expect_claim(t->r, tdx ? "tdx.platform_tcb_status" : "sgx.platform_tcb_status",
                             platform);
            check_peer(t, member(&a, &j, b, "peer_verdict"), platform, tdx);
            assert_null(bawn_attest_result_foreign_root(t->r));
            blob_free(&collateral);
            n++;
        }
        blob_free(&quote);
    }
    assert_int_equal(n, 44);
    arena_free(&a);
    blob_free(&file);
}

/* ---- One of them, changed ---- */

#define QUOTE DIR "tdx-v5-90c06f000000-cf77a6e9.quote.bin"
#define COLLATERAL DIR "tdx-v5-90c06f000000-cf77a6e9.collateral-2026-03-16.json"
#define AT 1774995607 /* 2026-03-31T22:20:07Z */

static void times(void **state)
{
    static const struct {
        int64_t at;
        enum bawn_verdict verdict;
        const char *check, *words;
    } cases[] = {
        { AT, BAWN_TRUSTED, NULL, NULL },
        /* nextUpdate of TCB info, QE identity and PCK CRL, 2026-04-15T22:06:09Z, T22:16:03Z and
         * T22:34:05Z */
        { 1776290769, BAWN_TRUSTED, NULL, NULL },
        { 1776290770, BAWN_CANNOT_JUDGE, "tcb-info.validity", "stale" },
        { 1776291364, BAWN_CANNOT_JUDGE, "qe-identity.validity", "stale" },
        { 1776292446, BAWN_CANNOT_JUDGE, "pck.revocation", "PCK Platform CA" },
        /* issueDate or thisUpdate of the same, 2026-03-16 */
        { 1773700445, BAWN_TRUSTED, NULL, NULL },
        { 1773700444, BAWN_CANNOT_JUDGE, "pck.revocation", "PCK Platform CA" },
        { 1773699362, BAWN_CANNOT_JUDGE, "qe-identity.validity", "after the time" },
        { 1773698768, BAWN_CANNOT_JUDGE, "tcb-info.validity", "after the time" },
        /* notBefore of the PCK certificate, 2026-01-27T14:36:27Z */
        { 1769524586, BAWN_NOT_TRUSTED, "pck.validity", "not yet valid" },
        { 4102444800, BAWN_NOT_TRUSTED, "pck.validity", "expired" },
    };
    struct blob quote = file_read(QUOTE), collateral = file_read(COLLATERAL);
    struct bawn_bytes endorsement = bytes_of(&collateral);
    struct judge *t = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum bawn_verdict got = judge(t, bytes_of(&quote), &endorsement, 1, cases[i].at);

        if (got != cases[i].verdict) {
            show_findings(t->r);
            fail_msg("at %lld: %d", (long long)cases[i].at, got);
        }
        if (cases[i].check)
            expect_finding(t->r, cases[i].check,
                           got == BAWN_CANNOT_JUDGE ? BAWN_FINDING_MISSING : BAWN_FINDING_REFUSED,
                           cases[i].words);
    }
    blob_free(&quote);
    blob_free(&collateral);
}

/* Renames members of the bundle, so that they are not there. */
static void without(struct judge *t, const char *const *keys, enum bawn_verdict want,
                    const char *check, const char *url)
{
    struct blob quote = file_read(QUOTE), collateral = file_read(COLLATERAL);
    struct bawn_bytes endorsement = bytes_of(&collateral);

    for (; *keys; keys++) {
        char quoted[64];
        char *key;

        snprintf(quoted, sizeof(quoted), "\"%s\"", *keys);
        key = memmem(collateral.data, collateral.len, quoted, strlen(quoted));
        assert_non_null(key);
        key[1] = '?';
    }
    if (judge(t, bytes_of(&quote), &endorsement, 1, AT) != want) {
        show_findings(t->r);
        fail_msg("verdict %d", bawn_attest_result_verdict(t->r));
    }
    if (check) {
        const struct bawn_finding *f = result_finding(t->r, check, BAWN_FINDING_MISSING);

        assert_non_null(f);
        assert_non_null(strstr(f->advice, url));
    }
    blob_free(&quote);
    blob_free(&collateral);
}

#define WITHOUT(t, want, check, url, ...) \
    without((t), (const char *const[]){ __VA_ARGS__, NULL }, (want), (check), (url))

static void missing_parts(void **state)
{
    struct judge *t = *state;

    WITHOUT(t, BAWN_CANNOT_JUDGE, "pck.revocation", "pckcrl?ca=platform", "pck_crl");
    WITHOUT(t, BAWN_CANNOT_JUDGE, "pck.revocation", "IntelSGXRootCA.der", "root_ca_crl");
    WITHOUT(t, BAWN_CANNOT_JUDGE, "tcb-signing.revocation", "IntelSGXRootCA.der", "root_ca_crl");
    WITHOUT(t, BAWN_CANNOT_JUDGE, "tcb-info.present",
            "https://api.trustedservices.intel.com/tdx/certification/v4/tcb?fmspc=90c06f000000",
            "tcb_info");
    WITHOUT(t, BAWN_CANNOT_JUDGE, "tcb-info.present", "fmspc=90c06f000000", "tcb_info_signature");
    WITHOUT(t, BAWN_CANNOT_JUDGE, "qe-identity.present",
            "https://api.trustedservices.intel.com/tdx/certification/v4/qe/identity",
            "qe_identity");
    WITHOUT(t, BAWN_CANNOT_JUDGE, "qe-identity.present", "qe/identity", "qe_identity_signature");
    WITHOUT(t, BAWN_CANNOT_JUDGE, "tcb-signing.present", "issuer chain", "tcb_info_issuer_chain",
            "qe_identity_issuer_chain");
    /* These are elsewhere too. */
    WITHOUT(t, BAWN_TRUSTED, NULL, NULL, "tcb_info_issuer_chain");
    WITHOUT(t, BAWN_TRUSTED, NULL, NULL, "qe_identity_issuer_chain", "pck_crl_issuer_chain");
}

/* No byte of a quote is without a check: header and body are signed, key and authentication
 * data are bound by the QE report, which is signed, lengths are exact, certificates must be the
 * chain's. One exception is not a single bit's flip: line ends in the PEM text may be written
 * otherwise. */
static void every_byte_flipped(void **state)
{
    struct blob quote = file_read(QUOTE), collateral = file_read(COLLATERAL);
    struct bawn_bytes endorsement = bytes_of(&collateral);
    struct judge *t = *state;

    for (size_t i = 0; i < quote.len; i++) {
        quote.data[i] ^= (uint8_t)(1 << (i & 7));
        if (judge(t, bytes_of(&quote), &endorsement, 1, AT) == BAWN_TRUSTED) {
            show_findings(t->r);
            fail_msg("trusted with byte %zu flipped", i);
        }
        quote.data[i] ^= (uint8_t)(1 << (i & 7));
    }
    assert_int_equal(judge(t, bytes_of(&quote), &endorsement, 1, AT), BAWN_TRUSTED);
    blob_free(&quote);
    blob_free(&collateral);
}

/* TCB info and QE identity as the PCS serves them, with every byte of the signed part and the
 * signature flipped. */
static void collateral_flipped(void **state)
{
    struct judge *t = *state;
    struct made_spec spec;
    struct made m;
    struct bawn_bytes end[8];
    unsigned refused = 0;

    made_default(&spec, MADE_TDX4);
    spec.levels[1].status = NULL; /* short */
    made_build(t->pki, &spec, &m);
    bawn_trust_destroy(t->trust);
    assert_int_equal(bawn_trust_create(&t->trust, &m.root, 1, NULL), BAWN_OK);
    memcpy(end, m.endorsements, sizeof(end));
    assert_int_equal(judge(t, m.quote, end, m.nr_endorsements, PKI_NOW), BAWN_TRUSTED);
    for (size_t which = m.nr_endorsements - 2; which < m.nr_endorsements; which++) {
        struct bawn_bytes good = end[which];
        uint8_t *copy = malloc(good.len);

        assert_non_null(copy);
        memcpy(copy, good.data, good.len);
        end[which].data = copy;
        for (size_t i = 1; i + 1 < good.len; i++) {
            enum bawn_verdict verdict;

            copy[i] ^= (uint8_t)(1 << (i % 5));
            verdict = judge(t, m.quote, end, m.nr_endorsements, PKI_NOW);
            if (verdict == BAWN_TRUSTED)
                fail_msg("trusted with byte %zu of %zu flipped: %.40s", i, which, copy + i);
            refused += verdict == BAWN_NOT_TRUSTED;
            copy[i] = good.data[i];
        }
        end[which] = good;
        free(copy);
    }
    assert_true(refused > 1000);
    bawn_trust_destroy(t->trust);
    assert_int_equal(bawn_trust_create(&t->trust, NULL, 0, NULL), BAWN_OK);
}

/* ---- Made ones ---- */

static void every_kind(void **state)
{
    static const char *const subjects[] = {
        "Intel SGX quote, version 3",          "Intel SGX quote, version 4",
        "Intel SGX quote, version 5",          "Intel TDX quote, version 4, TDX 1.0",
        "Intel TDX quote, version 5, TDX 1.0", "Intel TDX quote, version 5, TDX 1.5",
    };
    struct judge *t = *state;

    for (int kind = 0; kind < MADE_KINDS; kind++) {
        struct bawn_attest_result *r;
        struct made_spec spec;

        made_default(&spec, (enum made_kind)kind);
        r = made_expect(t->pki, &spec, BAWN_TRUSTED);
        assert_string_equal(bawn_attest_result_subject(r), subjects[kind]);
        assert_string_equal(bawn_attest_result_foreign_root(r), "Intel SGX Root CA");
        expect_claim(r, kind < MADE_TDX4 ? "sgx.tcb_status" : "tdx.tcb_status", "UpToDate");
        assert_int_equal(!bawn_attest_result_claim(r, "tdx.mr_service_td"), kind != MADE_TDX5_15);
        if (kind >= MADE_TDX4)
            expect_claim(r, "tdx.rtmr[2]",
                         "b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2"
                         "b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2");
        bawn_attest_result_destroy(r);
    }
}

/* A change, and what must come of it. */
struct altered {
    void (*change)(struct made_spec *s);
    enum bawn_verdict verdict;
    const char *check;
    enum bawn_finding_level level;
    const char *words;
};

static void expect_altered(struct judge *t, enum made_kind kind, const struct altered *a)
{
    struct bawn_attest_result *r;
    struct made_spec spec;

    made_default(&spec, kind);
    a->change(&spec);
    r = made_expect(t->pki, &spec, a->verdict);
    expect_finding(r, a->check, a->level, a->words);
    bawn_attest_result_destroy(r);
}

#define CHANGE(name, code)                \
    static void name(struct made_spec *s) \
    {                                     \
        code;                             \
    }

CHANGE(sgx_debug, s->enclave.attributes[0] |= BAWN_SGX_ATTR_DEBUG)
CHANGE(sgx_reserved, s->enclave.reserved4[41] = 1)
CHANGE(qe_reserved, s->qe.reserved2[0] = 1)
CHANGE(td_debug, s->td.base.td_attributes[0] |= BAWN_TDX_ATTR_DEBUG)
CHANGE(td_profiled, s->td.base.td_attributes[0] |= BAWN_TDX_ATTR_PERF_PROF)
CHANGE(td_reserved, s->td.base.td_attributes[4] |= 1)
CHANGE(td_migratable, s->td.base.td_attributes[3] |= 0x20)
CHANGE(td_sept, s->td.base.td_attributes[3] = 0)
CHANGE(vendor, s->header.qe_vendor_id[0] ^= 1)
CHANGE(qe_data, s->qe_data_given = true)

static void attributes(void **state)
{
    static const struct altered sgx[] = {
        { sgx_debug, BAWN_NOT_TRUSTED, "sgx.debug", BAWN_FINDING_REFUSED, "debug enclave" },
        { sgx_reserved, BAWN_NOT_TRUSTED, "quote.reserved", BAWN_FINDING_REFUSED, "not zero" },
    };
    static const struct altered tdx[] = {
        { qe_reserved, BAWN_NOT_TRUSTED, "quote.reserved", BAWN_FINDING_REFUSED, "not zero" },
        { td_debug, BAWN_NOT_TRUSTED, "tdx.debug", BAWN_FINDING_REFUSED, "under debug" },
        { td_profiled, BAWN_NOT_TRUSTED, "tdx.debug", BAWN_FINDING_REFUSED, "under debug" },
        { td_reserved, BAWN_NOT_TRUSTED, "tdx.td-attributes", BAWN_FINDING_REFUSED, "reserved" },
        { td_migratable, BAWN_TRUSTED, "tdx.migratable", BAWN_FINDING_WARNING, "migrated" },
        { td_sept, BAWN_TRUSTED, "tdx.sept-ve-disable", BAWN_FINDING_WARNING, "#VE" },
        { vendor, BAWN_NOT_TRUSTED, "quote.qe-vendor", BAWN_FINDING_REFUSED, "not Intel" },
        { qe_data, BAWN_NOT_TRUSTED, "quote.attestation-key", BAWN_FINDING_REFUSED, "vouch" },
    };

    for (size_t i = 0; i < sizeof(sgx) / sizeof(sgx[0]); i++)
        expect_altered(*state, MADE_SGX4, &sgx[i]);
    for (size_t i = 0; i < sizeof(tdx) / sizeof(tdx[0]); i++)
        expect_altered(*state, MADE_TDX5_15, &tdx[i]);
}

/* The digest binds only the lower half of the QE's report data: the upper must be zero. */
static void qe_data_upper_half(void **state)
{
    struct judge *t = *state;
    struct bawn_attest_result *r;
    struct made_spec spec;
    struct bawn_bytes point;
    uint8_t bound[64 + 32];

    made_default(&spec, MADE_TDX4);
    point = pki_point(t->pki, pki_key(t->pki, NULL));
    memcpy(bound, point.data, 64);
    memset(bound + 64, 0, 32);
    bound[64] = 0xaa;
    bound[65] = 0xbb;
    spec.key = point;
    spec.qe_data_given = true;
    assert_true(hash_bytes(HASH_SHA256, bound, sizeof(bound), spec.qe.report_data));
    r = made_expect(t->pki, &spec, BAWN_NOT_TRUSTED); /* the key is another than the signer's */
    assert_null(result_finding(r, "quote.attestation-key", BAWN_FINDING_REFUSED));
    expect_finding(r, "quote.signature", BAWN_FINDING_REFUSED, "does not verify");
    bawn_attest_result_destroy(r);

    spec.qe.report_data[63] = 1;
    r = made_expect(t->pki, &spec, BAWN_NOT_TRUSTED);
    expect_finding(r, "quote.attestation-key", BAWN_FINDING_REFUSED, "vouch");
    bawn_attest_result_destroy(r);
}

/* Attestation keys that are no points of the curve, bound all the same. */
static void key_not_on_curve(void **state)
{
    struct judge *t = *state;

    for (int i = 0; i < 3; i++) {
        uint8_t key[64];
        struct bawn_attest_result *r;
        struct made_spec spec;

        memset(key, i == 0 ? 0 : i == 1 ? 0xff : 0x01, sizeof(key));
        made_default(&spec, MADE_TDX4);
        spec.key = (struct bawn_bytes){ key, sizeof(key) };
        r = made_expect(t->pki, &spec, BAWN_NOT_TRUSTED);
        expect_finding(r, "quote.signature", BAWN_FINDING_REFUSED, "does not verify");
        assert_null(result_finding(r, "quote.attestation-key", BAWN_FINDING_REFUSED));
        bawn_attest_result_destroy(r);
    }
}

static void broken_quote(void **state)
{
    struct judge *t = *state;
    uint8_t zeros[64] = { 0 };

    assert_int_equal(judge(t, (struct bawn_bytes){ zeros, sizeof(zeros) }, NULL, 0, AT),
                     BAWN_CANNOT_JUDGE);
    expect_finding(t->r, "quote.format", BAWN_FINDING_MISSING, "version is 0");
}

static int setup(void **state)
{
    static struct judge t;

    assert_int_equal(bawn_trust_create(&t.trust, NULL, 0, NULL), BAWN_OK);
    t.cache = bawn_attest_cache_create(64);
    t.r = bawn_attest_result_create();
    t.pki = pki_create();
    *state = &t;
    return !t.cache || !t.r;
}

static int teardown(void **state)
{
    struct judge *t = *state;

    bawn_attest_result_destroy(t->r);
    bawn_attest_cache_destroy(t->cache);
    bawn_trust_destroy(t->trust);
    pki_destroy(t->pki);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(times),
        cmocka_unit_test(missing_parts),
        cmocka_unit_test(every_byte_flipped),
        cmocka_unit_test(collateral_flipped),
        cmocka_unit_test(every_kind),
        cmocka_unit_test(attributes),
        cmocka_unit_test(qe_data_upper_half),
        cmocka_unit_test(key_not_on_curve),
        cmocka_unit_test(broken_quote),
    };

    return cmocka_run_group_tests_name("attest/quote_verify", tests, setup, teardown);
}

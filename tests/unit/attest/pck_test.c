// SPDX-License-Identifier: Apache-2.0
/*
 * The PCK certificate: its extension, where it is found, and chains that must not be believed.
 */
#include "attest/lib/quote.h"
#include "tests/unit/attest/quote_made.h"

static void expect_made(struct made_spec *spec, enum bawn_verdict verdict, const char *check,
                        enum bawn_finding_level level, const char *words)
{
    struct bawn_attest_result *r = made_expect(pki, spec, verdict);

    if (check)
        expect_finding(r, check, level, words);
    bawn_attest_result_destroy(r);
}

/* ---- The extension ---- */

static enum bawn_status parse_ext(struct pck *pck, struct bawn_bytes value)
{
    const struct pki_cert *cert =
        pki_issue(pki, &(struct pki_spec){ .exts = { { "1.2.840.113741.1.13.1", false, value } } });
    struct bawn_error err;

    memset(pck, 0, sizeof(*pck));
    assert_int_equal(x509_parse(&pck->cert, cert->der, &err), BAWN_OK);
    return pck_extension_parse(pck, &err);
}

static struct pki_sgx platform(void)
{
    struct pki_sgx sgx = { .pcesvn = 0x1234, .sgx_type = 2, .platform = true, .smt_enabled = true };

    for (int i = 0; i < 16; i++) {
        sgx.ppid[i] = (uint8_t)(0x10 + i);
        sgx.tcb[i] = (uint8_t)(0xf0 + i);
        sgx.cpusvn[i] = (uint8_t)(0x30 + i);
        sgx.platform_instance[i] = (uint8_t)(0x40 + i);
    }
    memcpy(sgx.fmspc, "\x00\x90\x6e\xa1\x00\x01", 6);
    memcpy(sgx.pceid, "\x00\x01", 2);
    return sgx;
}

static void extension(void **state)
{
    struct pki_sgx sgx = platform();
    struct pck pck;

    (void)state;
    assert_int_equal(parse_ext(&pck, pki_sgx_ext(pki, &sgx).value), BAWN_OK);
    assert_memory_equal(pck.ppid.data, sgx.ppid, 16);
    assert_memory_equal(pck.cpu_svn.data, sgx.cpusvn, 16);
    assert_memory_equal(pck.component, sgx.tcb, 16);
    assert_int_equal(pck.pce_svn, 0x1234);
    assert_memory_equal(pck.fmspc.data, sgx.fmspc, 6);
    assert_memory_equal(pck.pceid.data, sgx.pceid, 2);
    assert_int_equal(pck.sgx_type, 2);
    assert_memory_equal(pck.platform_instance.data, sgx.platform_instance, 16);
    assert_true(pck.has_configuration && pck.smt_enabled);
    assert_false(pck.dynamic_platform || pck.cached_keys);

    sgx.platform = false; /* as the processor CA issues them */
    assert_int_equal(parse_ext(&pck, pki_sgx_ext(pki, &sgx).value), BAWN_OK);
    assert_false(pck.has_configuration);
    assert_int_equal(pck.platform_instance.len, 0);
}

/* Cut anywhere it is refused; with a byte flipped it is refused or says something else. */
static void extension_mutated(void **state)
{
    struct pki_sgx sgx = platform();
    struct bawn_bytes good = pki_sgx_ext(pki, &sgx).value;
    struct pck pck;

    (void)state;
    for (size_t n = 0; n < good.len; n += 3)
        assert_int_equal(parse_ext(&pck, (struct bawn_bytes){ good.data, n }), BAWN_E_FORMAT);
    for (size_t i = 0; i < good.len; i++) {
        struct bawn_bytes bad = pki_bytes(pki, good.data, good.len);

        ((uint8_t *)(uintptr_t)bad.data)[i] ^= 0x40;
        if (parse_ext(&pck, bad) == BAWN_OK)
            assert_true(memcmp(pck.ppid.data, sgx.ppid, 16) != 0 ||
                        memcmp(pck.component, sgx.tcb, 16) != 0 ||
                        memcmp(pck.cpu_svn.data, sgx.cpusvn, 16) != 0 || pck.pce_svn != 0x1234 ||
                        memcmp(pck.fmspc.data, sgx.fmspc, 6) != 0 ||
                        memcmp(pck.pceid.data, sgx.pceid, 2) != 0 ||
                        memcmp(pck.platform_instance.data, sgx.platform_instance, 16) != 0);
    }
}

#define ARC "1.2.840.113741.1.13.1."

static struct bawn_bytes item(const char *oid, struct bawn_bytes value)
{
    return PKI_SEQUENCE(pki, pki_oid(pki, oid), value);
}

/* Items of the extension, in place of those that pki_sgx_ext() would write. */
static void extension_items(void **state)
{
    static const uint8_t zeros[16];
    struct pki_sgx sgx = platform();
    struct bawn_bytes good, body, twice;
    struct pck pck;

    (void)state;
    sgx.platform = false;
    good = pki_sgx_ext(pki, &sgx).value;
    body = (struct bawn_bytes){ good.data + 4, good.len - 4 };
    assert_int_equal(good.data[1], 0x82); /* a header of four bytes */
    assert_int_equal(parse_ext(&pck, pki_tlv(pki, 0x30, body)), BAWN_OK);
    /* Unknown ones are for later profiles; the same twice is no DER set of facts. */
    twice = PKI_CAT(pki, body, item(ARC "9", pki_uint(pki, 1)));
    assert_int_equal(parse_ext(&pck, pki_tlv(pki, 0x30, twice)), BAWN_OK);
    twice = PKI_CAT(pki, body, item(ARC "4", pki_octets(pki, "\0\0\0\0\0\0", 6)));
    assert_int_equal(parse_ext(&pck, pki_tlv(pki, 0x30, twice)), BAWN_E_FORMAT);
    /* Wrong lengths, types and arcs. */
    twice = PKI_CAT(pki, body, item(ARC "6", pki_octets(pki, zeros, 15)));
    assert_int_equal(parse_ext(&pck, pki_tlv(pki, 0x30, twice)), BAWN_E_FORMAT);
    twice = PKI_CAT(pki, body, item(ARC "6", pki_uint(pki, 1)));
    assert_int_equal(parse_ext(&pck, pki_tlv(pki, 0x30, twice)), BAWN_E_FORMAT);
    twice = PKI_CAT(pki, body, item("1.2.840.113741.1.14.1.6", pki_octets(pki, zeros, 16)));
    assert_int_equal(parse_ext(&pck, pki_tlv(pki, 0x30, twice)), BAWN_E_FORMAT);
    twice = PKI_CAT(pki, pki_tlv(pki, 0x30, body), pki_uint(pki, 0));
    assert_int_equal(parse_ext(&pck, twice), BAWN_E_FORMAT);
    assert_int_equal(parse_ext(&pck, pki_tlv(pki, 0x30, (struct bawn_bytes){ NULL, 0 })),
                     BAWN_E_FORMAT);
}

/* ---- Chains ---- */

static void revoked(void **state)
{
    struct made_spec spec;

    (void)state;
    made_default(&spec, MADE_TDX4);
    spec.revoke = MADE_PCK;
    expect_made(&spec, BAWN_NOT_TRUSTED, "pck.revocation", BAWN_FINDING_REFUSED, "revoked");
    spec.revoke = MADE_CA;
    expect_made(&spec, BAWN_NOT_TRUSTED, "pck.revocation", BAWN_FINDING_REFUSED, "revoked");
    spec.revoke = MADE_SIGNER;
    expect_made(&spec, BAWN_NOT_TRUSTED, "tcb-signing.revocation", BAWN_FINDING_REFUSED, "revoked");
}

static void crl_missing(void **state)
{
    struct made_spec spec;

    (void)state;
    made_default(&spec, MADE_SGX3);
    spec.omit = MADE_PCK_CRL;
    expect_made(&spec, BAWN_CANNOT_JUDGE, "pck.revocation", BAWN_FINDING_MISSING, "");
    spec.omit = MADE_ROOT_CRL;
    expect_made(&spec, BAWN_CANNOT_JUDGE, "pck.revocation", BAWN_FINDING_MISSING, "");
    expect_made(&spec, BAWN_CANNOT_JUDGE, "tcb-signing.revocation", BAWN_FINDING_MISSING, "");
}

static void expired(void **state)
{
    struct made_spec spec;

    (void)state;
    made_default(&spec, MADE_TDX4);
    spec.pck.not_after = PKI_NOW - 1;
    expect_made(&spec, BAWN_NOT_TRUSTED, "pck.validity", BAWN_FINDING_REFUSED, "expired");
    made_default(&spec, MADE_TDX4);
    spec.ca.not_before = PKI_NOW + 1;
    expect_made(&spec, BAWN_NOT_TRUSTED, "pck.validity", BAWN_FINDING_REFUSED, "not yet valid");
    made_default(&spec, MADE_TDX4);
    spec.signer.not_after = PKI_NOW - 1;
    expect_made(&spec, BAWN_NOT_TRUSTED, "tcb-signing.validity", BAWN_FINDING_REFUSED, "expired");
}

/* A certificate of another use in the PCK's place. */
static void wrong_use(void **state)
{
    struct made_spec spec;

    (void)state;
    made_default(&spec, MADE_TDX4);
    spec.pck.cn = "Intel SGX TCB Signing";
    spec.pck_by_root = spec.bare_pck = true;
    expect_made(&spec, BAWN_NOT_TRUSTED, "pck.name", BAWN_FINDING_REFUSED, "not a PCK certificate");
    expect_made(&spec, BAWN_NOT_TRUSTED, "pck.format", BAWN_FINDING_REFUSED, "no SGX extension");
    made_default(&spec, MADE_TDX4);
    spec.pck_by_root = true;
    expect_made(&spec, BAWN_NOT_TRUSTED, "pck.name", BAWN_FINDING_REFUSED, "not a PCK CA");
    made_default(&spec, MADE_TDX4);
    spec.ca.cn = "Intel SGX Something CA";
    expect_made(&spec, BAWN_NOT_TRUSTED, "pck.name", BAWN_FINDING_REFUSED, "not a PCK CA");
    made_default(&spec, MADE_TDX4);
    spec.ca.cn = "Intel SGX PCK Processor CA";
    expect_made(&spec, BAWN_TRUSTED, NULL, 0, NULL);
    made_default(&spec, MADE_TDX4);
    spec.pck.kind = "P-384";
    expect_made(&spec, BAWN_NOT_TRUSTED, "pck.chain", BAWN_FINDING_REFUSED, "wrong kind");
    made_default(&spec, MADE_TDX4);
    spec.pck.sig = PKI_ECDSA_SHA384;
    expect_made(&spec, BAWN_NOT_TRUSTED, "pck.chain", BAWN_FINDING_REFUSED, "algorithm");
    made_default(&spec, MADE_TDX4);
    spec.pck.sign_with = pki_key(pki, NULL);
    expect_made(&spec, BAWN_NOT_TRUSTED, "pck.chain", BAWN_FINDING_REFUSED, "not made with");
}

static void wrong_root(void **state)
{
    struct bawn_attest_result *r;
    struct made_spec spec;
    struct made m, other;

    (void)state;
    made_default(&spec, MADE_TDX4);
    made_build(pki, &spec, &m);
    made_build(pki, &spec, &other);
    m.root = other.root;
    r = made_judge(&m);
    assert_int_equal(bawn_attest_result_verdict(r), BAWN_NOT_TRUSTED);
    expect_finding(r, "pck.chain", BAWN_FINDING_REFUSED, "");
    bawn_attest_result_destroy(r);
}

/* ---- What the quote carries ---- */

/* The quote's PEM text is its end: other text, of the same length or not, in its place. */
static struct bawn_attest_result *judge_with_certs(struct made *m, struct bawn_bytes certs)
{
    struct bawn_error err;
    struct quote q;
    size_t before, grown;
    uint8_t *copy;
    const size_t fields[] = { 48 + 584, 48 + 584 + 4 + 128 + 2 };

    assert_int_equal(quote_parse(&q, m->quote, &err), BAWN_OK);
    before = m->quote.len - q.cert_data.len;
    copy = malloc(before + certs.len);
    assert_non_null(copy);
    memcpy(copy, m->quote.data, before);
    memcpy(copy + before, certs.data, certs.len);
    /* The lengths of signature data, QE report data and the text itself. */
    for (int i = 0; i < 3; i++) {
        uint8_t *p = copy + (i < 2 ? fields[i] : before - 4);

        grown = (size_t)le_uint(p, 4) - q.cert_data.len + certs.len;
        for (int k = 0; k < 4; k++)
            p[k] = (uint8_t)(grown >> (8 * k));
    }
    m->quote = pki_bytes(pki, copy, before + certs.len);
    free(copy);
    return made_judge(m);
}

static void expect_certs(struct bawn_bytes (*certs)(const struct made *m),
                         enum bawn_verdict verdict, const char *check,
                         enum bawn_finding_level level, const char *words)
{
    struct bawn_attest_result *r;
    struct made_spec spec;
    struct made m;

    made_default(&spec, MADE_TDX4);
    made_build(pki, &spec, &m);
    r = judge_with_certs(&m, certs(&m));
    if (bawn_attest_result_verdict(r) != verdict) {
        show_findings(r);
        fail_msg("verdict %d, not %d", bawn_attest_result_verdict(r), verdict);
    }
    if (check)
        expect_finding(r, check, level, words);
    bawn_attest_result_destroy(r);
}

#define PEM(der) pki_pem(pki, "CERTIFICATE", (der))
#define TEXT(s) ((struct bawn_bytes){ (const uint8_t *)(s), sizeof(s) - 1 })
#define CERTS(name, ...)                                    \
    static struct bawn_bytes name(const struct made *m)     \
    {                                                       \
        return PKI_CAT(pki, PEM(m->pck->der), __VA_ARGS__); \
    }

CERTS(as_it_is, PEM(m->ca->der), PEM(m->root))
CERTS(with_nul, PEM(m->ca->der), PEM(m->root), TEXT("\0"))
CERTS(crlf_between, TEXT("\r\n"), PEM(m->ca->der), PEM(m->root), TEXT("\r\n"))
CERTS(two_nuls, PEM(m->ca->der), PEM(m->root), TEXT("\0\0"))
CERTS(words_between, TEXT("hello\n"), PEM(m->ca->der), PEM(m->root))
CERTS(words_after, PEM(m->ca->der), PEM(m->root), TEXT("hello"))
CERTS(stranger_within, PEM(m->ca->der), PEM(m->root), PEM(m->signer->der))
CERTS(without_ca, PEM(m->root))
CERTS(with_crl, PEM(m->ca->der), PEM(m->root), pki_pem(pki, "X509 CRL", m->endorsements[0]))
CERTS(too_many, PEM(m->ca->der), PEM(m->root), PEM(m->root), PEM(m->root), PEM(m->root))

static struct bawn_bytes no_certs(const struct made *m)
{
    (void)m;
    return TEXT("nothing here");
}

/* The root's key in a certificate issued again is the same root; another key of the name is
 * not. */
static struct bawn_bytes reissued_root(const struct made *m)
{
    const struct pki_cert *root = pki_issue(pki, &(struct pki_spec){ .cn = "Intel SGX Root CA",
                                                                     .ca = true,
                                                                     .key = m->root_cert->key,
                                                                     .not_after = PKI_END - 1 });

    return PKI_CAT(pki, PEM(m->pck->der), PEM(m->ca->der), PEM(root->der));
}

static struct bawn_bytes forged_root(const struct made *m)
{
    const struct pki_cert *root =
        pki_issue(pki, &(struct pki_spec){ .cn = "Intel SGX Root CA", .ca = true });

    return PKI_CAT(pki, PEM(m->pck->der), PEM(m->ca->der), PEM(root->der));
}

static void carried(void **state)
{
    (void)state;
    expect_certs(as_it_is, BAWN_TRUSTED, NULL, 0, NULL);
    expect_certs(with_nul, BAWN_TRUSTED, NULL, 0, NULL);
    expect_certs(crlf_between, BAWN_TRUSTED, NULL, 0, NULL);
    expect_certs(reissued_root, BAWN_TRUSTED, NULL, 0, NULL);
    expect_certs(two_nuls, BAWN_CANNOT_JUDGE, "pck.format", BAWN_FINDING_MISSING, "broken");
    expect_certs(words_between, BAWN_CANNOT_JUDGE, "pck.format", BAWN_FINDING_MISSING, "broken");
    expect_certs(words_after, BAWN_CANNOT_JUDGE, "pck.format", BAWN_FINDING_MISSING, "broken");
    expect_certs(with_crl, BAWN_CANNOT_JUDGE, "pck.format", BAWN_FINDING_MISSING, "broken");
    expect_certs(too_many, BAWN_CANNOT_JUDGE, "pck.format", BAWN_FINDING_MISSING, "broken");
    expect_certs(no_certs, BAWN_CANNOT_JUDGE, "pck.format", BAWN_FINDING_MISSING, "begin");
    expect_certs(stranger_within, BAWN_NOT_TRUSTED, "pck.chain", BAWN_FINDING_REFUSED,
                 "not part of the PCK's chain");
    expect_certs(forged_root, BAWN_NOT_TRUSTED, "pck.chain", BAWN_FINDING_REFUSED,
                 "not part of the PCK's chain");
    expect_certs(without_ca, BAWN_CANNOT_JUDGE, "pck.chain", BAWN_FINDING_MISSING, "");
}

/* Quotes without the chain: the certificates may be given as endorsements. */
static void not_carried(void **state)
{
    static const unsigned types[] = { BAWN_QUOTE_CERT_PPID_CLEAR, BAWN_QUOTE_CERT_PPID_RSA3072,
                                      BAWN_QUOTE_CERT_PCK };

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        bool leaf = types[i] == BAWN_QUOTE_CERT_PCK;
        struct bawn_attest_result *r;
        struct made_spec spec;
        struct made m, other;

        made_default(&spec, MADE_TDX4);
        spec.cert_type = types[i];
        expect_made(&spec, BAWN_CANNOT_JUDGE, leaf ? "pck.chain" : "pck.present",
                    BAWN_FINDING_MISSING, leaf ? "" : "no PCK certificate");
        made_build(pki, &spec, &m);
        m.endorsements[m.nr_endorsements++] = m.ca->der;
        /* Another platform's PCK certificate does not help. */
        made_build(pki, &spec, &other);
        m.endorsements[m.nr_endorsements++] = other.pck->der;
        if (!leaf) {
            r = made_judge(&m);
            assert_int_equal(bawn_attest_result_verdict(r), BAWN_CANNOT_JUDGE);
            bawn_attest_result_destroy(r);
        }
        m.endorsements[m.nr_endorsements++] = m.pck->der;
        r = made_judge(&m);
        if (bawn_attest_result_verdict(r) != BAWN_TRUSTED)
            show_findings(r);
        assert_int_equal(bawn_attest_result_verdict(r), BAWN_TRUSTED);
        expect_claim(r, "pck.fmspc", "00806f050000");
        bawn_attest_result_destroy(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extension),       cmocka_unit_test(extension_mutated),
        cmocka_unit_test(extension_items), cmocka_unit_test(revoked),
        cmocka_unit_test(crl_missing),     cmocka_unit_test(expired),
        cmocka_unit_test(wrong_use),       cmocka_unit_test(wrong_root),
        cmocka_unit_test(carried),         cmocka_unit_test(not_carried),
    };

    return cmocka_run_group_tests_name("attest/pck", tests, pki_setup, pki_teardown);
}

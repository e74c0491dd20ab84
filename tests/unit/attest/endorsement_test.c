// SPDX-License-Identifier: Apache-2.0
/*
 * What is given beside the evidence is sorted by content, in every spelling; and what cannot be
 * read is said and does no harm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <bawn/snp.h>

#include "attest/lib/verify.h"
#include "tests/unit/attest/pki.h"

#define V "tests/vectors/"

static struct bawn_attest_result *r;
static struct bawn_attest_input input;
static struct verification v;

/* A verification with nothing in it yet, without evidence. */
static int begin(void **state)
{
    pki_setup(state);
    r = bawn_attest_result_create();
    memset(&v, 0, sizeof(v));
    v.input = &input;
    v.r = r;
    v.arena = &r->arena;
    v.at = PKI_NOW;
    return 0;
}

static int end(void **state)
{
    bawn_attest_result_destroy(r);
    return pki_teardown(state);
}

static struct bawn_bytes file(const char *path)
{
    static uint8_t data[1 << 20];
    FILE *f = fopen(path, "rb");
    size_t n;

    if (!f)
        fail_msg("cannot open %s", path);
    n = fread(data, 1, sizeof(data), f);
    fclose(f);
    return pki_bytes(pki, data, n);
}

static struct bawn_bytes text(const char *s)
{
    return pki_bytes(pki, s, strlen(s));
}

static struct bawn_bytes hex(struct bawn_bytes b)
{
    uint8_t *out = test_malloc(2 * b.len + 1);
    struct bawn_bytes copy;

    for (size_t i = 0; i < b.len; i++)
        snprintf((char *)out + 2 * i, 3, "%02x", b.data[i]);
    copy = pki_bytes(pki, out, 2 * b.len);
    test_free(out);
    return copy;
}

/* Line ends and blanks in another form. */
static struct bawn_bytes respelt(struct bawn_bytes b, const char *line_end, const char *blank)
{
    char *out = test_malloc(3 * b.len + 1), *p = out;
    struct bawn_bytes copy;

    for (size_t i = 0; i < b.len; i++) {
        if (b.data[i] == '\n')
            p = stpcpy(p, line_end);
        else if (b.data[i] == ' ')
            p = stpcpy(p, blank);
        else
            *p++ = (char)b.data[i];
    }
    *p = '\0';
    copy = text(out);
    test_free(out);
    return copy;
}

/* As the PCS puts PEM into headers, and as JSON has it. */
static struct bawn_bytes percent(struct bawn_bytes pem)
{
    return respelt(pem, "%0A", "%20");
}

static struct bawn_bytes escaped(struct bawn_bytes pem)
{
    return respelt(pem, "\\n", " ");
}

static size_t findings(void)
{
    const struct bawn_finding *f;

    return bawn_attest_result_findings(r, &f);
}

/* The one finding is a warning, and says so. */
static void warned_(const char *part, int line)
{
    const struct bawn_finding *f;
    size_t n = bawn_attest_result_findings(r, &f);

    if (n != 1 || f[0].level != BAWN_FINDING_WARNING || !strstr(f[0].text, part))
        fail_msg("line %d: %zu findings, the first: %s", line, n, n ? f[0].text : "");
    assert_true(result_clean(r));
    assert_string_equal(f[0].check, "endorsement.readable");
}
#define warned(part) warned_(part, __LINE__)

static struct pki_cert make_root(void)
{
    return *pki_issue(pki, &(struct pki_spec){ .cn = "Root", .ca = true });
}

static void spellings(void **state)
{
    struct pki_cert root = make_root();
    struct bawn_bytes crl = pki_crl(pki, &(struct pki_crl_spec){ .by = &root });
    struct bawn_bytes pem = pki_pem(pki, "CERTIFICATE", root.der);
    static const uint8_t crlf[] = { '\r', '\n' }, nul[] = { 0 };
    /* Base64 alone: what stands between the lines of the armour. */
    struct bawn_bytes base64 = { pem.data + 28, pem.len - 28 - 26 };
    struct bawn_bytes all[] = {
        root.der,
        pem,
        hex(root.der),
        base64,
        PKI_CAT(pki, text("a comment\n"), pem, text("and more\n"), pem),
        PKI_CAT(pki, hex(root.der), { crlf, 2 }),
        PKI_CAT(pki, pem, { nul, 1 }), /* a C string whole */
        percent(pem),
        PKI_CAT(pki, text("HTTP/1.1 200 OK\r\nTCB-Info-Issuer-Chain: "), percent(pem), { crlf, 2 }),
        PKI_CAT(pki, text("{\"vcekCert\":\""), escaped(pem), text("\",\"tcbm\":\"0\"}")),
        PKI_CAT(pki, text("{\"vcekCert\":\""), escaped(pem), text("\",\"certificateChain\":\""),
                escaped(pem), text("\"}")),
    };
    struct bawn_bytes lists[] = {
        crl,
        pki_pem(pki, "X509 CRL", crl),
        hex(crl),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        v.end = (struct endorsements){ 0 };
        endorsement_add(&v, all[i]);
        assert_int_equal(findings(), 0);
        assert_int_equal(v.end.certs.n, 1);
        assert_true(bytes_equal(((struct x509 *)v.end.certs.items)->der, root.der));
    }
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        v.end = (struct endorsements){ 0 };
        endorsement_add(&v, lists[i]);
        assert_int_equal(findings(), 0);
        assert_int_equal(v.end.crls.n, 1);
        assert_true(bytes_equal(((struct x509_crl *)v.end.crls.items)->der, crl));
    }
}

static void duplicates(void **state)
{
    struct pki_cert root = make_root(), other = make_root();
    struct bawn_bytes crl = pki_crl(pki, &(struct pki_crl_spec){ .by = &root });

    (void)state;
    for (int i = 0; i < 3; i++) {
        endorsement_add(&v, root.der);
        endorsement_add(&v, pki_pem(pki, "CERTIFICATE", root.der));
        endorsement_add(&v, crl);
        endorsement_add_cert(&v, root.der, "the test");
        endorsement_add_crl(&v, crl, "the test");
    }
    assert_int_equal(v.end.certs.n, 1);
    assert_int_equal(v.end.crls.n, 1);
    endorsement_add(&v, other.der);
    assert_int_equal(v.end.certs.n, 2);
    assert_int_equal(findings(), 0);
    /* More than are compared: twice in the list, once in the truth. */
    for (int i = 0; i < 70; i++)
        endorsement_add(&v, make_root().der);
    assert_int_equal(v.end.certs.n, 72);
}

static void real_files(void **state)
{
    (void)state;
    endorsement_add(&v, file(V "snp/milan-v2-vcek-7c614616.vcek.der"));
    endorsement_add(&v, file(V "snp/roots/milan_ask_ark_asvk.pem"));
    assert_int_equal(v.end.certs.n, 4);
    endorsement_add(&v, file("attest/roots/ark-milan.der"));
    assert_int_equal(v.end.certs.n, 4);
    endorsement_add(&v, file(V "snp/crl/milan.crl.der"));
    endorsement_add(&v, file(V "snp/crl/genoa.crl.der"));
    assert_int_equal(v.end.crls.n, 2);
    assert_int_equal(findings(), 0);
    endorsement_add(&v, file(V "tdx/tdx-v4-50806f000000-12b401a8.collateral-2026-03-16.json"));
    assert_int_equal(v.end.tcb_infos.n, 1);
    assert_int_equal(v.end.qe_identities.n, 1);
    assert_int_equal(v.end.crls.n, 4);
    assert_true(v.end.certs.n > 4);
    assert_int_equal(findings(), 0);
    endorsement_add(&v, file(V "eventlog/ccel_data.dat"));
    assert_true(v.ev.cc_log.len);
    endorsement_add(&v, file(V "eventlog/debian-10.bin"));
    assert_true(v.ev.event_log.len);
    endorsement_add(&v, file(V "tpm/quotesig.out"));
    assert_true(v.ev.tpm_signature.len);
    endorsement_add(&v, file(V "tpm/quotepcr.out"));
    assert_int_equal(v.ev.pcrs.value[15].len, hash_size(v.ev.pcrs.alg));
    assert_int_equal(findings(), 0);
    assert_int_equal(v.end.certs.n, 7);
}

static void public_keys(void **state)
{
    struct bawn_bytes pem = file(V "tpm/akpub.pem"), first;
    struct bawn_bytes p256 = pki_spki(pki, pki_key(pki, NULL));

    (void)state;
    endorsement_add(&v, pem);
    assert_true(v.ev.ak_public.len);
    first = v.ev.ak_public;
    endorsement_add(&v, pem);
    assert_int_equal(findings(), 0);
    endorsement_add(&v, p256);
    warned("more than one public key");
    assert_ptr_equal(v.ev.ak_public.data, first.data);
    v.ev.ak_public.len = 0;
    endorsement_add(&v, hex(p256));
    assert_true(bytes_equal(v.ev.ak_public, p256));
    result_reset(r);
    v.ev.ak_public.len = 0;
    endorsement_add(&v, pki_spki(pki, pki_key(pki, "RSA-1024")));
    warned("cannot be used");
    assert_int_equal(v.ev.ak_public.len, 0);
}

/* AMD's certificate table, with a VCEK, an ASK and a CRL in it. */
static void certificate_table(void **state)
{
    static const uint8_t vcek_guid[] = BAWN_SNP_GUID_VCEK, ask_guid[] = BAWN_SNP_GUID_ASK,
                         crl_guid[] = BAWN_SNP_GUID_CRL;
    struct bawn_bytes part[] = { file(V "snp/milan-v2-vcek-7c614616.vcek.der"),
                                 file("attest/roots/ask-milan.der"),
                                 file(V "snp/crl/milan.crl.der") };
    const uint8_t *guid[] = { vcek_guid, ask_guid, crl_guid };
    uint8_t head[4 * 24] = { 0 };
    uint32_t at = sizeof(head);

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        uint32_t len = (uint32_t)part[i].len;

        memcpy(head + 24 * i, guid[i], 16);
        memcpy(head + 24 * i + 16, &at, 4);
        memcpy(head + 24 * i + 20, &len, 4);
        at += len;
    }
    endorsement_add(&v, PKI_CAT(pki, { head, sizeof(head) }, part[0], part[1], part[2]));
    assert_int_equal(findings(), 0);
    assert_int_equal(v.end.certs.n, 2);
    assert_int_equal(v.end.crls.n, 1);
}

/* A directory of endorsements may hold the evidence. */
static void json(void **state)
{
    (void)state;
    endorsement_add(&v, file(V "azure/evidence-v1.json"));
    endorsement_add(&v, text(" {\"nothing\": [\"of\", \"ours\"]}\n"));
    endorsement_add(&v, text("[]"));
    assert_int_equal(findings(), 0);
    endorsement_add(&v, text("{\"tcb_info\": \n}"));
    warned("begins like JSON and cannot be read");
}

static void unreadable(void **state)
{
    struct pki_cert root = make_root();
    struct bawn_bytes crl = pki_crl(pki, &(struct pki_crl_spec){ .by = &root });
    struct bawn_bytes zero = { (const uint8_t *)"", 1 };
    const struct bawn_finding *f;
    uint8_t other[64];

    (void)state;
    endorsement_add(&v, (struct bawn_bytes){ 0 });
    warned("an endorsement is empty");
    result_reset(r);
    memset(other, 0x81, sizeof(other));
    endorsement_add(&v, (struct bawn_bytes){ other, sizeof(other) });
    warned("is of no known kind");
    bawn_attest_result_findings(r, &f);
    assert_string_equal(f[0].found, "64 bytes: 81818181818181818181818181818181...");
    result_reset(r);
    endorsement_add(&v, text("some words\n"));
    warned("is of no known kind");
    result_reset(r);
    endorsement_add(&v, pki_pem(pki, "PRIVATE KEY", root.der));
    warned("a PEM block of the endorsements is of no known kind");
    result_reset(r);
    endorsement_add(&v, text("-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n"));
    warned("is broken: CERTIFICATE");
    result_reset(r);
    endorsement_add(&v, PKI_CAT(pki, root.der, zero));
    warned("a certificate of the endorsements cannot be used");
    result_reset(r);
    endorsement_add(&v, PKI_CAT(pki, crl, zero));
    warned("a CRL of the endorsements cannot be used");
    result_reset(r);
    endorsement_add_cert(&v, crl, "the quote");
    warned("a certificate of the quote cannot be used");
    result_reset(r);
    endorsement_add_crl(&v, root.der, "the table");
    warned("a CRL of the table cannot be used");
    assert_int_equal(v.end.certs.n, 0);
    assert_int_equal(v.end.crls.n, 0);
    assert_int_equal(v.ev.ak_public.len, 0);
}

static const struct bawn_finding *first_finding(void)
{
    const struct bawn_finding *f;

    assert_true(bawn_attest_result_findings(r, &f) > 0);
    return f;
}

/* Which one it is stands in the text and beside it. */
static void numbered(void **state)
{
    struct pki_cert root = make_root();
    struct bawn_bytes zero = { (const uint8_t *)"\0\0\0", 3 }, words = text("some words\n");
    struct bawn_bytes broken = PKI_CAT(pki, text("{\"vcekCert\":\"00\",\"tcbm\":\"0\"}"));
    struct bawn_bytes given[] = { root.der, words, PKI_CAT(pki, root.der, zero), broken };
    static const char *const texts[] = {
        "endorsement 2 is of no known kind",
        "a certificate of endorsement 3 cannot be used: 3 zero bytes follow its end",
        "a certificate of collateral in endorsement 4 cannot be used: ",
    };
    struct bawn_attest_input all = {
        .evidence = words, .endorsements = given, .nr_endorsements = 4, .at = PKI_NOW
    };
    const struct bawn_finding *f;
    struct bawn_trust *trust;

    (void)state;
    assert_int_equal(bawn_trust_create(&trust, NULL, 0, NULL), BAWN_OK);
    assert_int_equal(bawn_attest_verify(trust, NULL, &all, r), BAWN_CANNOT_JUDGE);
    assert_int_equal(bawn_attest_result_findings(r, &f), 4);
    for (size_t i = 0; i < 3; i++) {
        assert_memory_equal(f[i].text, texts[i], strlen(texts[i]));
        assert_int_equal(f[i].endorsement, i + 2);
    }
    assert_string_equal(f[3].check, "evidence.form");
    assert_int_equal(f[3].endorsement, 0);
    assert_non_null(strstr(f[1].advice, "cut it off after"));
    bawn_trust_destroy(trust);
}

static void make_version_1(X509 *cert, void *arg)
{
    (void)arg;
    X509_set_version(cert, X509_VERSION_1);
    while (X509_get_ext_count(cert))
        X509_EXTENSION_free(X509_delete_ext(cert, 0));
}

static void certificate_forms(void **state)
{
    struct pki_cert root = make_root();
    const struct pki_cert *old = pki_issue(
        pki, &(struct pki_spec){ .cn = "Old", .no_key_ids = true, .change = make_version_1 });

    (void)state;
    endorsement_add(&v, pki_pem(pki, "X509 CERTIFICATE", root.der));
    assert_int_equal(findings(), 0);
    assert_int_equal(v.end.certs.n, 1);
    endorsement_add(&v, pki_pem(pki, "TRUSTED CERTIFICATE", make_root().der));
    warned("of no known kind");
    assert_non_null(strstr(first_finding()->advice, "openssl x509"));
    result_reset(r);
    v.end = (struct endorsements){ 0 };
    endorsement_add(&v, old->der);
    warned("a certificate of the endorsements cannot be used: certificate: version 1");
    assert_int_equal(v.end.certs.n, 0);
}

/* Evidence is named; that which is judged, and what belongs to an HCL report, may lie there. */
static void evidence_among_them(void **state)
{
    static const struct {
        const char *path, *what;
    } given[] = {
        { V "snp/milan-v3-vcek-05b7438a.report.bin", "an SEV-SNP report, which is evidence" },
        { V "tdx/tdx-v4-b0c06f000000-149ed840.quote.bin", "a TDX quote, which is evidence" },
    };
    struct bawn_bytes other = file(V "snp/turin-v5-vcek-85da705e.report.bin");

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bawn_bytes one = file(given[i].path);

        for (int same = 0; same < 2; same++) {
            result_reset(r);
            memset(&v.ev, 0, sizeof(v.ev));
            v.end = (struct endorsements){ 0 };
            input = (struct bawn_attest_input){ .evidence = same ? one : other };
            endorsement_add(&v, same ? one : hex(one));
            assert_true(evidence_unpack(&v));
            if (same)
                assert_int_equal(findings(), 0);
            else
                warned(given[i].what);
        }
    }
    memset(&input, 0, sizeof(input));
}

/* JSON that would take much memory is not read, one or all together. */
static void long_json(void **state)
{
    enum { MIB = 1 << 20 };
    size_t len = 4 * MIB + 1;
    char *many = test_malloc(len + 1);

    (void)state;
    memset(many, ' ', len);
    many[0] = '[';
    many[len - 1] = ']';
    many[len] = '\0';
    endorsement_add(&v, (struct bawn_bytes){ (uint8_t *)many, len });
    warned("JSON that is too long");
    result_reset(r);
    many[len - 2] = ']';
    for (int i = 0; i < 2; i++)
        endorsement_add(&v, (struct bawn_bytes){ (uint8_t *)many, len - 1 });
    assert_int_equal(findings(), 0);
    endorsement_add(&v, text("{}"));
    warned("JSON that is too long");
    assert_string_equal(first_finding()->expected, "at most 8388608 bytes in all");
    test_free(many);
}

/* Every prefix and every changed byte of each kind: sorted or warned of, and never more than one
 * finding for one blob. */
static void hostile(void **state)
{
    struct pki_cert root = make_root();
    struct bawn_bytes blobs[] = {
        root.der,
        pki_crl(pki, &(struct pki_crl_spec){ .by = &root, .revoked = { &root } }),
        pki_spki(pki, root.key),
        pki_pem(pki, "CERTIFICATE", root.der),
        file(V "tpm/quotesig.out"),
    };

    (void)state;
    for (size_t b = 0; b < sizeof(blobs) / sizeof(blobs[0]); b++) {
        for (size_t i = 0; i < 2 * blobs[b].len; i++) {
            size_t len = i < blobs[b].len ? i : blobs[b].len;
            uint8_t *copy = test_malloc(len ? len : 1);

            if (len)
                memcpy(copy, blobs[b].data, len);
            if (i >= blobs[b].len)
                copy[i - blobs[b].len] ^= (uint8_t)(1u << i % 8);
            result_reset(r);
            v.end = (struct endorsements){ 0 };
            memset(&v.ev, 0, sizeof(v.ev));
            endorsement_add(&v, (struct bawn_bytes){ copy, len });
            assert_true(findings() <= 1);
            assert_true(result_clean(r));
            /* What was cut short is not taken for a whole. */
            if (b < 3 && i < blobs[b].len)
                assert_true(findings() == 1 && !v.end.certs.n && !v.end.crls.n);
            test_free(copy);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(spellings, begin, end),
        cmocka_unit_test_setup_teardown(duplicates, begin, end),
        cmocka_unit_test_setup_teardown(real_files, begin, end),
        cmocka_unit_test_setup_teardown(public_keys, begin, end),
        cmocka_unit_test_setup_teardown(certificate_table, begin, end),
        cmocka_unit_test_setup_teardown(json, begin, end),
        cmocka_unit_test_setup_teardown(unreadable, begin, end),
        cmocka_unit_test_setup_teardown(numbered, begin, end),
        cmocka_unit_test_setup_teardown(certificate_forms, begin, end),
        cmocka_unit_test_setup_teardown(evidence_among_them, begin, end),
        cmocka_unit_test_setup_teardown(long_json, begin, end),
        cmocka_unit_test_setup_teardown(hostile, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

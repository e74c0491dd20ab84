// SPDX-License-Identifier: Apache-2.0
/*
 * RA-TLS: a certificate that its key has signed itself, and that carries evidence about that key
 * (guest/agent/ra_tls.c makes it). The certificate is hostile, and its signature shows only that
 * who made it had the key; who that is says the evidence, once its report data is found to be the
 * key's hash. That the peer of a connection has the key is for TLS to show.
 */
#include "attest/lib/chain.h"
#include "attest/lib/evidence.h"
#include "attest/lib/x509_parts.h"

#include <string.h>

#define EVIDENCE_TYPE "application/vnd.bawn.kbs-evidence+json"

enum {
    INPUT_MAX =
        1 << 20,      /* TLS takes 100 KiB of certificates, and s_client writes more beside them */
    CMW_EVIDENCE = 4, /* draft-ietf-rats-msg-wrap, cm-ind: bit 2 */
};

static const struct check ratls_form = {
    .name = "ratls.certificate",
    .claim = "ratls.certificate",
    .source = "RFC 5280, 4.1",
    .how = "there is one certificate, in DER or PEM, of X.509 version 3 and without an extension "
           "twice",
    .advice = "give the server's certificate alone, as openssl s_client prints it",
};

static const struct check ratls_signature = {
    .name = "ratls.signature",
    .claim = "ratls.certificate",
    .source = "RFC 5280, 4.1.1.3",
    .how = "the certificate's key has signed it, over SHA-256, SHA-384 or SHA-512",
    .advice =
        "the certificate was altered, or its maker had not the key: get it again from the guest",
};

static const struct check ratls_validity = {
    .name = "ratls.validity",
    .claim = "ratls.certificate",
    .source = "RFC 5280, 4.1.2.5",
    .how = "the certificate is valid at the time of judgement",
    .advice = "have the guest make a new one: nothing else limits the age of its evidence",
};

static const struct check ratls_usage = {
    .name = "ratls.usage",
    .claim = "ratls.certificate",
    .source = "RFC 5280, 4.2.1.3, 4.2.1.9 and 4.2.1.12",
    .how = "the certificate is for a TLS server's or client's signatures, and not a CA's",
    .advice = "have the guest make one with bawn-agent ra-tls",
};

static const struct check ratls_evidence = {
    .name = "ratls.evidence",
    .claim = "ratls.evidence",
    .source = "bawn-agent(1), RA-TLS; draft-ietf-rats-msg-wrap, X.509 extension",
    .how = "the extension id-pe-cmw is a JSON record with evidence of the KBS protocol",
    .advice = "this is no certificate of bawn-agent ra-tls, or one of another version",
};

static const struct check ratls_binding = {
    .name = "ratls.binding",
    .claim = "ratls.evidence",
    .source = "bawn-agent(1), RA-TLS",
    .how = "the evidence's report data (of a TPM: qualifying data) is the SHA-512 of the "
           "certificate's SubjectPublicKeyInfo",
    .advice = "the evidence is of another key, and anybody may have copied it into this "
              "certificate: do not trust the peer",
    .proof = PROOF_RATLS,
};

/* ---- The certificate ---- */

/* In DER, or the only one in text, around which there may be what openssl s_client says. */
static bool find_certificate(struct verification *v, struct bawn_bytes input,
                             struct bawn_bytes *out)
{
    struct bawn_bytes text = input, label, der;
    unsigned n = 0;

    if (input.len > INPUT_MAX)
        return check_missing(v->r, &ratls_form, arena_text(v->arena, "at most %d bytes", INPUT_MAX),
                             arena_text(v->arena, "%zu bytes", input.len),
                             "the input is larger than a TLS certificate can be");
    *out = input;
    if (input.len && input.data[0] == DER_SEQUENCE)
        return true;
    while (pem_next(v->arena, &text, &label, &der))
        if (bytes_are(label, "CERTIFICATE") && !n++)
            *out = der;
    if (n > 1)
        return check_missing(v->r, &ratls_form, "one certificate",
                             arena_text(v->arena, "%u certificates", n),
                             "which certificate is meant is not clear");
    if (!n || !out->len)
        return check_missing(v->r, &ratls_form, "a certificate in DER or PEM", NULL, "%s",
                             n ? "the certificate's PEM is broken" : "there is no certificate");
    return true;
}

static bool validity_verify(struct verification *v, const struct x509 *cert)
{
    const char *window = arena_text(v->arena, "%s to %s", arena_time(v->arena, cert->not_before),
                                    arena_time(v->arena, cert->not_after));

    if (v->at < cert->not_before)
        return check_refused(v->r, &ratls_validity, window, arena_time(v->arena, v->at),
                             "the certificate is not valid yet");
    if (v->at > cert->not_after)
        return check_refused(v->r, &ratls_validity, window, arena_time(v->arena, v->at),
                             "the certificate has expired");
    return check_passed(v->r, &ratls_validity);
}

/* RFC 5280 4.2.1.12: serverAuth, clientAuth or anyExtendedKeyUsage. */
static bool purpose_fits(const struct x509 *cert)
{
    static const uint8_t ext_key_usage[] = { 0x55, 0x1d, 0x25 };
    static const uint8_t any[] = { 0x55, 0x1d, 0x25, 0x00 };
    static const uint8_t server[] = { 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01 };
    static const uint8_t client[] = { 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02 };
    struct bawn_bytes value, oid;
    struct bawn_cursor c, list;

    if (!x509_extension(cert, ext_key_usage, sizeof(ext_key_usage), &value))
        return true;
    c = bawn_cursor_over(value.data, value.len);
    list = der_enter(&c, DER_SEQUENCE);
    while (bawn_cursor_left(&list)) {
        oid = der_content(&list, DER_OID);
        if (der_oid_is(oid, any, sizeof(any)) || der_oid_is(oid, server, sizeof(server)) ||
            der_oid_is(oid, client, sizeof(client)))
            return true;
    }
    return false;
}

static bool usage_verify(struct verification *v, const struct x509 *cert)
{
    if (cert->is_ca)
        return check_refused(v->r, &ratls_usage, "no CA", "CA", "the certificate is a CA's");
    if (cert->has_key_usage && !(cert->key_usage & KU_DIGITAL_SIGNATURE))
        return check_refused(v->r, &ratls_usage, "digitalSignature", NULL,
                             "the certificate's key usage does not allow TLS's signatures");
    if (!purpose_fits(cert))
        return check_refused(v->r, &ratls_usage, "serverAuth or clientAuth", NULL,
                             "the certificate's extended key usage does not allow TLS");
    return check_passed(v->r, &ratls_usage);
}

static bool certificate_verify(struct verification *v, const struct x509 *cert)
{
    if (cert->alg.hash == HASH_SHA1)
        return check_refused(v->r, &ratls_signature, "SHA-256, SHA-384 or SHA-512", "SHA-1",
                             "the certificate is signed over SHA-1");
    if (!sig_verify(v->cache, &cert->key, &cert->alg, cert->tbs, cert->signature))
        return check_refused(v->r, &ratls_signature, NULL, NULL,
                             "the certificate's signature does not verify with its own key");
    check_passed(v->r, &ratls_signature);
    return validity_verify(v, cert) && usage_verify(v, cert);
}

/* ---- The extension ---- */

static bool not_ours(struct verification *v, const char *what)
{
    return check_missing(v->r, &ratls_evidence, NULL, NULL, "%s", what);
}

/* ["application/...", "base64url", 4] in a UTF8String. */
static bool unwrap_record(struct verification *v, struct bawn_bytes value, struct bawn_bytes *out)
{
    struct bawn_cursor c = bawn_cursor_over(value.data, value.len);
    struct bawn_bytes text = der_content(&c, DER_UTF8_STRING), encoded;
    uint32_t type, data, kind;
    uint64_t bits = 0;
    struct js j;

    der_end(&c);
    if (c.failed)
        return not_ours(v, "the extension is no UTF8String: the wrapper in CBOR is not served");
    if (!js_parse(&j, v->arena, text) || js_type(&j, 0) != JS_ARRAY || js_count(&j, 0) != 3)
        return not_ours(v, "the extension is no JSON record of type, value and kind");
    type = js_first(&j, 0);
    data = js_next(&j, 0, type);
    kind = js_next(&j, 0, data);
    if (!js_string_is(&j, type, EVIDENCE_TYPE))
        return not_ours(v, "the extension holds another media type than " EVIDENCE_TYPE);
    if (!js_uint(&j, kind, &bits) || bits != CMW_EVIDENCE)
        return not_ours(v, "the extension does not say that it holds evidence");
    if (!js_string(&j, data, &encoded) || !base64_decode(v->arena, encoded, out))
        return not_ours(v, "the evidence in the extension is not in base64");
    return true;
}

/* {"evidence": {...}, "tee": "..."} */
static bool unwrap_evidence(struct verification *v, struct bawn_bytes text, struct bawn_bytes *out)
{
    struct bawn_bytes tee;
    struct js j;

    if (!js_parse(&j, v->arena, text) || js_type(&j, 0) != JS_OBJECT || js_count(&j, 0) != 2 ||
        js_type(&j, js_get(&j, 0, "evidence")) != JS_OBJECT ||
        !js_string(&j, js_get(&j, 0, "tee"), &tee))
        return not_ours(v, "the extension's value is not evidence and its TEE in JSON");
    v->ratls.tee = tee;
    *out = js_raw(&j, js_get(&j, 0, "evidence"));
    return check_passed(v->r, &ratls_evidence);
}

bool ratls_take(struct verification *v, struct bawn_bytes *evidence)
{
    /* 1.3.6.1.5.5.7.1.35, id-pe-cmw */
    static const uint8_t id_pe_cmw[] = { 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x23 };
    struct bawn_bytes der = { 0 }, value, record = { 0 };
    struct bawn_error err = { "" };
    struct x509 cert;

    v->r->subject = "RA-TLS certificate";
    if (!find_certificate(v, v->input->evidence, &der))
        return false;
    if (x509_parse(&cert, der, &err) != BAWN_OK)
        return check_missing(v->r, &ratls_form, NULL, NULL, "it cannot be read: %s", err.msg);
    check_passed(v->r, &ratls_form);
    v->ratls.spki = cert.spki;
    v->ratls.name = cert.common_name;
    if (!certificate_verify(v, &cert))
        return false;
    if (!x509_extension(&cert, id_pe_cmw, sizeof(id_pe_cmw), &value))
        return not_ours(v, "the certificate has no extension with evidence (1.3.6.1.5.5.7.1.35)");
    return unwrap_record(v, value, &record) && unwrap_evidence(v, record, evidence);
}

/* ---- Binding ---- */

static const struct {
    const char *tee, *claim;
} bindings[] = {
    { "snp", "snp.report_data" },
    { "tdx", "tdx.report_data" },
    { "tpm", "tpm.nonce" },
};

static const char *claim_of(const struct verification *v)
{
    for (size_t i = 0; i < sizeof(bindings) / sizeof(bindings[0]); i++)
        if (bytes_are(v->ratls.tee, bindings[i].tee))
            return bindings[i].claim;
    return NULL;
}

void ratls_verify(struct verification *v)
{
    const char *name = claim_of(v), *tee = arena_printable(v->arena, v->ratls.tee);
    const struct bawn_claim *claim = name ? bawn_attest_result_claim(v->r, name) : NULL;
    uint8_t digest[HASH_MAX];
    struct bawn_bytes own = { digest, hash_size(HASH_SHA512) };

    v->r->subject = arena_text(v->arena, "RA-TLS certificate of %s: %s",
                               arena_printable(v->arena, v->ratls.name), v->r->subject);
    if (!name)
        check_refused(v->r, &ratls_binding, "snp, tdx or tpm", tee,
                      "the certificate's evidence is of a TEE that is not served in it");
    else if (!claim || claim->kind != BAWN_CLAIM_BYTES)
        check_refused(v->r, &ratls_binding, name, NULL,
                      "the evidence is not of the TEE that the certificate says");
    else if (!hash_bytes(HASH_SHA512, v->ratls.spki.data, v->ratls.spki.len, digest))
        check_missing(v->r, &ratls_binding, NULL, NULL,
                      "the certificate's key could not be hashed");
    else if (!bytes_equal(claim->bytes, own))
        check_refused(v->r, &ratls_binding, arena_hex(v->arena, own),
                      arena_hex(v->arena, claim->bytes),
                      "the evidence was made for another key than the certificate's (%s)", name);
    else
        check_passed(v->r, &ratls_binding);
}

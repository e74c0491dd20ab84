// SPDX-License-Identifier: Apache-2.0
/*
 * The provisioning certification key's certificate: where it is found, what its SGX extension
 * says of the platform, and its chain. The certificates come from the quote, which is hostile,
 * as are the endorsements; nothing in them holds before the chain does.
 * Format: Intel SGX PCK Certificate and CRL Profile Specification, 1.3.5.
 */
#include "attest/lib/quote.h"

#include <string.h>

#include "attest/lib/chain.h"
#include "attest/lib/der.h"

#define PROFILE "PCK Certificate Profile"
#define PCK_NAME "Intel SGX PCK Certificate"
#define PCKS_TRIED 1024 /* a fleet's, when the quote does not say whose it is */
#define PROCESSOR_CA "Intel SGX PCK Processor CA"
#define PLATFORM_CA "Intel SGX PCK Platform CA"

/* ---- The SGX extension ---- */

/* 1.2.840.113741.1.13.1; what it holds is under the same arc. */
static const uint8_t sgx_arc[] = { 0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01 };

/* The last components of the OIDs below the arc. */
enum {
    SGX_PPID = 1,
    SGX_TCB = 2,
    SGX_PCEID = 3,
    SGX_FMSPC = 4,
    SGX_TYPE = 5,
    SGX_PLATFORM_INSTANCE = 6,
    SGX_CONFIGURATION = 7,
    SGX_NEEDED = 1 << SGX_PPID | 1 << SGX_TCB | 1 << SGX_PCEID | 1 << SGX_FMSPC | 1 << SGX_TYPE,

    TCB_PCESVN = 17, /* after the components 1 to 16 */
    TCB_CPUSVN = 18,
    TCB_NEEDED = 0x7fffe,

    CONFIG_DYNAMIC_PLATFORM = 1,
    CONFIG_CACHED_KEYS = 2,
    CONFIG_SMT_ENABLED = 3,
};

/* Enters the next SEQUENCE { OID, value } and gives the OID's component after the first `depth`
 * bytes of the arc and parent; 0 and c failed when the OID is another or was seen. */
static unsigned enter_pair(struct bawn_cursor *c, struct bawn_cursor *pair, uint8_t parent,
                           uint32_t *seen)
{
    struct bawn_bytes oid;
    size_t len = sizeof(sgx_arc) + (parent != 0) + 1;
    unsigned id = 0;

    *pair = der_enter(c, DER_SEQUENCE);
    oid = der_content(pair, DER_OID);
    if (!pair->failed && oid.len == len && !memcmp(oid.data, sgx_arc, sizeof(sgx_arc)) &&
        (!parent || oid.data[sizeof(sgx_arc)] == parent))
        id = oid.data[len - 1];
    if (!id || id > 31 || *seen & 1u << id) {
        c->failed = true;
        return 0;
    }
    *seen |= 1u << id;
    return id;
}

/* The value must be an OCTET STRING of that many bytes. */
static struct bawn_bytes octets(struct bawn_cursor *pair, size_t len)
{
    struct bawn_bytes b = der_content(pair, DER_OCTET_STRING);

    if (b.len != len)
        pair->failed = true;
    return b;
}

static unsigned small_uint(struct bawn_cursor *pair, unsigned max)
{
    uint64_t n = der_uint(pair);

    if (n > max)
        pair->failed = true;
    return (unsigned)n;
}

static void parse_tcb(struct pck *pck, struct bawn_cursor *c)
{
    uint32_t seen = 0;

    while (bawn_cursor_left(c)) {
        struct bawn_cursor pair;
        unsigned id = enter_pair(c, &pair, SGX_TCB, &seen);

        if (c->failed)
            return;
        if (id <= TCB_COMPONENTS)
            pck->component[id - 1] = (uint8_t)small_uint(&pair, UINT8_MAX);
        else if (id == TCB_PCESVN)
            pck->pce_svn = (uint16_t)small_uint(&pair, UINT16_MAX);
        else if (id == TCB_CPUSVN)
            pck->cpu_svn = octets(&pair, TCB_COMPONENTS);
        der_end(&pair);
        c->failed |= pair.failed;
    }
    c->failed |= (seen & TCB_NEEDED) != TCB_NEEDED;
}

static void parse_configuration(struct pck *pck, struct bawn_cursor *c)
{
    uint32_t seen = 0;

    pck->has_configuration = true;
    while (bawn_cursor_left(c)) {
        struct bawn_cursor pair;
        unsigned id = enter_pair(c, &pair, SGX_CONFIGURATION, &seen);
        bool value;

        if (c->failed)
            return;
        value = der_bool(&pair);
        if (id == CONFIG_DYNAMIC_PLATFORM)
            pck->dynamic_platform = value;
        else if (id == CONFIG_CACHED_KEYS)
            pck->cached_keys = value;
        else if (id == CONFIG_SMT_ENABLED)
            pck->smt_enabled = value;
        der_end(&pair);
        c->failed |= pair.failed;
    }
}

/* SGX Type, an ENUMERATED of one byte. */
static unsigned parse_type(struct bawn_cursor *pair)
{
    struct bawn_bytes b = der_content(pair, DER_ENUMERATED);

    if (b.len != 1 || b.data[0] > 2) {
        pair->failed = true;
        return 0;
    }
    return b.data[0];
}

enum bawn_status pck_extension_parse(struct pck *pck, struct bawn_error *err)
{
    struct bawn_bytes value;
    struct bawn_cursor all, c, inner;
    uint32_t seen = 0;

    if (!x509_extension(&pck->cert, sgx_arc, sizeof(sgx_arc), &value))
        return bawn_fail(err, BAWN_E_FORMAT, "the certificate has no SGX extension");
    all = bawn_cursor_over(value.data, value.len);
    c = der_enter(&all, DER_SEQUENCE);
    der_end(&all);
    c.failed |= all.failed;
    while (bawn_cursor_left(&c)) {
        struct bawn_cursor pair;
        unsigned id = enter_pair(&c, &pair, 0, &seen);

        if (c.failed)
            break;
        if (id == SGX_PPID) {
            pck->ppid = octets(&pair, 16);
        } else if (id == SGX_PCEID) {
            pck->pceid = octets(&pair, 2);
        } else if (id == SGX_FMSPC) {
            pck->fmspc = octets(&pair, 6);
        } else if (id == SGX_PLATFORM_INSTANCE) {
            pck->platform_instance = octets(&pair, 16);
        } else if (id == SGX_TYPE) {
            pck->sgx_type = parse_type(&pair);
        } else if (id == SGX_TCB || id == SGX_CONFIGURATION) {
            inner = der_enter(&pair, DER_SEQUENCE);
            if (id == SGX_TCB)
                parse_tcb(pck, &inner);
            else
                parse_configuration(pck, &inner);
            c.failed |= inner.failed;
        } else {
            der_any(&pair, NULL, NULL); /* of a later profile */
        }
        der_end(&pair);
        c.failed |= pair.failed;
    }
    if (c.failed || (seen & SGX_NEEDED) != SGX_NEEDED)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "the certificate's SGX extension is broken or lacks PPID, TCB, PCE-ID, "
                         "FMSPC or SGX type");
    return BAWN_OK;
}

static void pck_claims(struct bawn_attest_result *r, const struct pck *pck)
{
    static const char *const types[] = { "standard", "scalable", "scalable with integrity" };

    claim_bytes(r, "pck.serial", pck->cert.serial.data, pck->cert.serial.len);
    claim_bytes(r, "pck.fmspc", pck->fmspc.data, pck->fmspc.len);
    claim_bytes(r, "pck.pceid", pck->pceid.data, pck->pceid.len);
    claim_bytes(r, "pck.ppid", pck->ppid.data, pck->ppid.len);
    claim_bytes(r, "pck.cpu_svn", pck->cpu_svn.data, pck->cpu_svn.len);
    claim_bytes(r, "pck.tcb_components", pck->component, sizeof(pck->component));
    claim_uint(r, "pck.pce_svn", pck->pce_svn);
    claim_text(r, "pck.sgx_type", types[pck->sgx_type]);
    if (pck->platform_instance.len)
        claim_bytes(r, "pck.platform_instance_id", pck->platform_instance.data,
                    pck->platform_instance.len);
    if (!pck->has_configuration)
        return;
    claim_bool(r, "pck.dynamic_platform", pck->dynamic_platform);
    claim_bool(r, "pck.cached_keys", pck->cached_keys);
    claim_bool(r, "pck.smt_enabled", pck->smt_enabled);
}

/* ---- Finding it ---- */

static const struct check pck_present = {
    .name = "pck.present",
    .claim = "quote.certification_data",
    .source = "DCAP Quoting Library API, A.3.9",
    .how = "the quote carries the PCK certificate and its chain",
    .advice = "give the platform's PCK certificate as an endorsement, or let the host's quoting "
              "service use a cache (PCCS) so that quotes carry the chain",
};

static const struct check pck_format = {
    .name = "pck.format",
    .claim = "quote.certification_data",
    .source = PROFILE ", 1.3.5",
    .how = "the PCK certificate and its SGX extension can be read",
    .advice = "the quote was altered or cut: ask the guest for a new one",
};

static const struct check pck_name = {
    .name = "pck.name",
    .claim = "quote.certification_data",
    .source = PROFILE ", 1.3.5, 1.3.4",
    .how = "the certificate is named as a PCK certificate, its issuer as a PCK CA",
    .advice = "the quote carries a certificate of another use: ask the guest for a new quote",
};

static const struct check pck_chain = {
    .name = "pck.chain",
    .claim = "quote.certification_data",
    .source = PROFILE ", 1.2; RFC 5280, 6.1",
    .how = "the PCK certificate is signed by a PCK CA, that by the trusted root",
    .advice = "the platform is not Intel's, or the certificate was altered",
    .proof = PROOF_PCK_CHAIN,
};

static const struct check pck_validity = {
    .name = "pck.validity",
    .claim = "quote.certification_data",
    .source = "RFC 5280, 6.1.3",
    .how = "each certificate of the PCK's chain is valid at the time of judgement",
    .advice = "judge at a time when it was valid (--at), or have the host fetch a new PCK "
              "certificate",
};

static const struct check pck_revocation = {
    .name = "pck.revocation",
    .claim = "quote.certification_data",
    .source = PROFILE ", 1.4; RFC 5280, 6.3",
    .how = "neither the PCK certificate nor its CA is on its issuer's CRL",
    .advice =
        "CRLs are at https://certificates.trustedservices.intel.com/IntelSGXRootCA.der (root) "
        "and https://api.trustedservices.intel.com/sgx/certification/v4/"
        "pckcrl?ca=platform&encoding=der (or ca=processor)",
};

static const struct chain_rules pck_rules = {
    .what = "PCK certificate",
    .link = &pck_chain,
    .validity = &pck_validity,
    .revocation = &pck_revocation,
    .crl = CRL_REQUIRED,
    .leaf_key = KEY_P256,
    .alg = { .scheme = SIG_ECDSA, .hash = HASH_SHA256 },
    .max_intermediates = 1,
};

/* The certificates that came with the quote after the PCK's own. */
struct carried {
    struct bawn_bytes der[CHAIN_MAX];
    unsigned n;
};

/* Only line ends may stand between the certificates, and one NUL after them: no other byte of
 * the quote is without a signature over it. */
static bool blank(struct bawn_bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] != '\n' && text.data[i] != '\r')
            return false;
    return true;
}

/* The next certificate in the text, which moves past it. */
static bool next_certificate(struct arena *a, struct bawn_bytes *text, struct bawn_bytes *der)
{
    static const char begin[] = "-----BEGIN ";
    struct bawn_bytes before = *text, label;

    if (!pem_next(a, text, &label, der) || !der->len || !bytes_are(label, "CERTIFICATE"))
        return false;
    before.len = (size_t)(label.data - before.data) - (sizeof(begin) - 1);
    return blank(before);
}

static bool pck_from_quote(struct verification *v, const struct quote *q, struct pck *pck,
                           struct carried *carried)
{
    struct bawn_bytes text = q->cert_data, der;
    struct bawn_error err;

    if (text.len && !text.data[text.len - 1])
        text.len--;
    if (!next_certificate(v->arena, &text, &der))
        return check_missing(v->r, &pck_format, "PEM", NULL,
                             "the quote's certification data does not begin with a certificate");
    if (x509_parse(&pck->cert, der, &err) != BAWN_OK)
        return check_missing(v->r, &pck_format, NULL, NULL, "the PCK certificate is broken: %s",
                             err.msg);
    while (!blank(text)) {
        if (carried->n == CHAIN_MAX || !next_certificate(v->arena, &text, &der))
            return check_missing(v->r, &pck_format, "PCK certificate, its CA, the root", NULL,
                                 "the quote's certificate chain is broken after certificate %u",
                                 carried->n + 1);
        carried->der[carried->n++] = der;
        endorsement_add_cert(v, der, "the quote");
    }
    return true;
}

/* Without one in the quote: the PCK certificate given as an endorsement whose key signed the
 * quoting enclave's report. */
static bool pck_from_endorsements(struct verification *v, const struct quote *q, struct pck *pck)
{
    struct bawn_bytes report = { (const uint8_t *)q->qe, sizeof(*q->qe) };
    const struct x509 *cert = v->end.certs.items;
    unsigned tries = 0;

    for (size_t i = 0; i < v->end.certs.n && tries < PCKS_TRIED; i++) {
        if (!bytes_are(cert[i].common_name, PCK_NAME) || cert[i].key.type != KEY_P256)
            continue;
        tries++;
        if (!sig_verify_raw_kept(v->cache, &cert[i].key, HASH_SHA256, report, q->qe_signature,
                                 q->qe_signature + BAWN_QUOTE_ECDSA_P256_SIZE / 2))
            continue;
        pck->cert = cert[i];
        return true;
    }
    return check_missing(v->r, &pck_present, "certification data of type 5",
                         arena_text(v->arena, "type %u", q->cert_type),
                         "the quote has no PCK certificate, and none given signed it");
}

/* ---- Judging it ---- */

/* The root is signed by itself: a re-issue of the same key is the same root. */
static bool same_root(struct verification *v, const struct x509 *root, struct bawn_bytes der)
{
    struct x509 cert;

    return x509_parse(&cert, der, NULL) == BAWN_OK && bytes_equal(cert.subject, root->subject) &&
           bytes_equal(cert.spki, root->spki) &&
           sig_verify(v->cache, &root->key, &cert.alg, cert.tbs, cert.signature);
}

/* Every certificate in the quote must be part of what was judged. */
static bool carried_used(struct verification *v, const struct carried *carried,
                         const struct chain *chain)
{
    for (unsigned i = 0; i < carried->n; i++) {
        bool used = false;

        for (unsigned k = 1; k < chain->n && !used; k++)
            used = bytes_equal(carried->der[i], chain->cert[k]->der);
        if (!used && !same_root(v, chain->cert[chain->n - 1], carried->der[i]))
            return check_refused(v->r, &pck_chain, "PCK certificate, its CA, the root", NULL,
                                 "certificate %u in the quote is not part of the PCK's chain",
                                 i + 2);
    }
    return true;
}

static bool names_judge(struct verification *v, const struct pck *pck, const struct chain *chain)
{
    struct bawn_bytes issuer = { 0 };

    if (!bytes_are(pck->cert.common_name, PCK_NAME))
        return check_refused(v->r, &pck_name, PCK_NAME,
                             arena_printable(v->arena, pck->cert.common_name),
                             "the certificate in the quote is not a PCK certificate");
    if (chain->n == 3)
        issuer = chain->cert[1]->common_name;
    if (bytes_are(issuer, PLATFORM_CA))
        claim_text(v->r, "pck.ca", "platform");
    else if (bytes_are(issuer, PROCESSOR_CA))
        claim_text(v->r, "pck.ca", "processor");
    else if (chain->n)
        return check_refused(v->r, &pck_name, PLATFORM_CA " or " PROCESSOR_CA,
                             arena_printable(v->arena, issuer),
                             "the PCK certificate's issuer is not a PCK CA");
    return check_passed(v->r, &pck_name);
}

void pck_judge(struct verification *v, const struct quote *q, struct pck *pck, bool *have_pck)
{
    bool in_quote =
        q->cert_type == BAWN_QUOTE_CERT_PCK_CHAIN || q->cert_type == BAWN_QUOTE_CERT_PCK;
    struct carried carried = { .n = 0 };
    struct chain chain = { .n = 0 };
    struct bawn_error err;

    *have_pck = false;
    if (in_quote ? !pck_from_quote(v, q, pck, &carried) : !pck_from_endorsements(v, q, pck))
        return;
    check_passed(v->r, &pck_present);
    chain_verify(v, &pck->cert, &pck_rules, &chain);
    names_judge(v, pck, &chain);
    if (chain.n)
        carried_used(v, &carried, &chain);
    if (pck_extension_parse(pck, &err) != BAWN_OK) {
        check_refused(v->r, &pck_format, NULL, NULL, "%s", err.msg);
        return;
    }
    *have_pck = true;
    check_passed(v->r, &pck_format);
    pck_claims(v->r, pck);
}

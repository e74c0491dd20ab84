// SPDX-License-Identifier: Apache-2.0
/*
 * Evidence as JSON, as others write it: Confidential Containers (SNP, TDX, TPM, Azure's vTPM in
 * both versions), their requests to an attestation service, and go-attestation's dumps. One
 * table says which member holds which part. Members that are not in it are passed over: what
 * they might say is signed by nobody.
 */
#include "attest/lib/evidence.h"

#include <string.h>

#define WHOLE 0 /* token of the document itself */

static const struct check json_syntax = {
    .name = "evidence.json",
    .claim = "evidence.form",
    .source = "RFC 8259",
    .how = "the evidence is well-formed JSON",
    .advice = "the evidence was cut or altered on its way: get it again",
};

static const struct check json_member = {
    .name = "evidence.json",
    .claim = "evidence.form",
    .source = "bawn-attest(3), EVIDENCE",
    .how = "each known member of the JSON evidence holds what its name says",
    .advice = "ask for the evidence in its raw form, or in one that bawn-attest(3) lists",
};

/* ---- Values ---- */

static bool array_bytes(const struct js *j, uint32_t array, struct bawn_bytes *out)
{
    size_t n = js_count(j, array), i = 0;
    uint8_t *bytes = arena_alloc(j->arena, n ? n : 1);
    uint64_t value;

    if (!bytes)
        return false;
    for (uint32_t e = js_first(j, array); e != JS_ABSENT; e = js_next(j, array, e)) {
        if (i >= n || !js_uint(j, e, &value) || value > UINT8_MAX)
            return false;
        bytes[i++] = (uint8_t)value;
    }
    *out = (struct bawn_bytes){ bytes, n };
    return n;
}

bool evidence_json_bytes(const struct js *j, uint32_t value, struct bawn_bytes *out)
{
    struct bawn_bytes text;

    if (js_type(j, value) == JS_ARRAY)
        return array_bytes(j, value, out);
    return js_string(j, value, &text) &&
           (hex_decode(j->arena, text, out) || base64_decode(j->arena, text, out));
}

/* Absent, null, or an empty string: how an optional member is left out. */
static bool left_out(const struct js *j, uint32_t value)
{
    enum js_type type = js_type(j, value);
    struct bawn_bytes text;

    return type == JS_NONE || type == JS_NULL ||
           (type == JS_STRING && js_string(j, value, &text) && !text.len);
}

static bool bad_member(struct verification *v, const char *name, const char *expected)
{
    return check_missing(v->r, &json_member, expected, NULL, "the member %s is something else",
                         name);
}

/* ---- Members: each takes one value. False: a finding says why. ---- */

typedef bool member_fn(struct verification *v, const struct js *j, uint32_t value,
                       const char *name);

static bool take_primary(struct verification *v, const struct js *j, uint32_t value,
                         const char *name)
{
    struct bawn_bytes data;
    enum taken t;

    if (js_type(j, value) == JS_OBJECT) /* its own members are in the table */
        return true;
    if (!evidence_json_bytes(j, value, &data))
        return bad_member(v, name, "evidence in base64, hex or an array of bytes");
    t = evidence_take_binary(v, data);
    if (t == TAKEN_NONE)
        return bad_member(v, name, "a report, a quote or an event log");
    return t == TAKEN;
}

static bool take_report(struct verification *v, const struct js *j, uint32_t value,
                        const char *name)
{
    struct bawn_bytes report;

    if (js_type(j, value) != JS_OBJECT)
        return take_primary(v, j, value, name);
    return evidence_report_from_json(v, j, value, &report) &&
           evidence_put(v, &v->ev.snp_report, "SEV-SNP report", report);
}

static bool take_part(struct verification *v, const struct js *j, uint32_t value, const char *name,
                      struct bawn_bytes *part)
{
    struct bawn_bytes data;

    if (!evidence_json_bytes(j, value, &data))
        return bad_member(v, name, "base64, hex or an array of bytes");
    return evidence_put(v, part, name, data);
}

static bool take_signature(struct verification *v, const struct js *j, uint32_t value,
                           const char *name)
{
    return take_part(v, j, value, name, &v->ev.tpm_signature);
}

static bool take_cc_log(struct verification *v, const struct js *j, uint32_t value,
                        const char *name)
{
    return take_part(v, j, value, name, &v->ev.cc_log);
}

static bool take_event_log(struct verification *v, const struct js *j, uint32_t value,
                           const char *name)
{
    return take_part(v, j, value, name, &v->ev.event_log);
}

/* PEM is kept as it is: those who parse the key and the certificates read it. */
static bool pem_or_bytes(const struct js *j, uint32_t value, struct bawn_bytes *out)
{
    static const char begin[] = "-----BEGIN ";

    if (js_string(j, value, out) && out->len > sizeof(begin) &&
        !memcmp(out->data, begin, sizeof(begin) - 1))
        return true;
    return evidence_json_bytes(j, value, out);
}

static bool take_ak(struct verification *v, const struct js *j, uint32_t value, const char *name)
{
    struct bawn_bytes data;

    if (!pem_or_bytes(j, value, &data))
        return bad_member(v, name, "a public key in PEM, base64 or hex");
    return evidence_put(v, &v->ev.ak_public, name, data);
}

static bool take_cert(struct verification *v, const struct js *j, uint32_t value, const char *name)
{
    struct bawn_bytes data;

    if (!pem_or_bytes(j, value, &data))
        return bad_member(v, name, "a certificate in PEM, base64 or an array of bytes");
    endorsement_add(v, data);
    return true;
}

/* [{"cert_type":"VCEK","data":[...]}]. The type is not needed: certificates name themselves. */
static bool take_cert_chain(struct verification *v, const struct js *j, uint32_t value,
                            const char *name)
{
    if (js_type(j, value) != JS_ARRAY)
        return take_cert(v, j, value, name);
    for (uint32_t e = js_first(j, value); e != JS_ABSENT; e = js_next(j, value, e)) {
        uint32_t data = js_type(j, e) == JS_OBJECT ? js_get(j, e, "data") : e;

        if (!left_out(j, data) && !take_cert(v, j, data, name))
            return false;
    }
    return true;
}

static bool pcrs_are_new(struct verification *v)
{
    struct bawn_bytes had = { (const uint8_t *)"", v->ev.pcrs.alg != HASH_NONE }, none = { 0 };

    return evidence_put(v, &had, "PCR values", none);
}

/* The whole bank in order, from PCR 0 on. */
static bool take_pcrs(struct verification *v, const struct js *j, uint32_t value, const char *name)
{
    struct pcr_bank *bank = &v->ev.pcrs;
    size_t n = 0;

    if (js_type(j, value) != JS_ARRAY || js_count(j, value) > TPM_PCRS)
        return bad_member(v, name, "an array of at most 24 PCR values");
    if (!pcrs_are_new(v))
        return false;
    for (uint32_t e = js_first(j, value); e != JS_ABSENT; e = js_next(j, value, e)) {
        if (!evidence_json_bytes(j, e, &bank->value[n]) ||
            evidence_bank_of_size(bank->value[n].len) == HASH_NONE ||
            bank->value[n].len != bank->value[0].len)
            return bad_member(v, name, "an array of digests of one length");
        n++;
    }
    if (n)
        bank->alg = evidence_bank_of_size(bank->value[0].len);
    return true;
}

/* go-attestation: [{"Index":0,"Digest":"base64","DigestAlg":5}], of several banks at once, and
 * not in order. The bank is that of Quote.Alg, else the strongest. */
static bool take_indexed_pcrs(struct verification *v, const struct js *j, uint32_t value,
                              const char *name)
{
    static const unsigned tpm_alg[HASH_ALGS] = {
        /* TCG algorithm registry, table 3 */
        [HASH_SHA1] = 0x04,
        [HASH_SHA256] = 0x0b,
        [HASH_SHA384] = 0x0c,
        [HASH_SHA512] = 0x0d,
    };
    struct pcr_bank *bank = &v->ev.pcrs;
    uint64_t quoted = 0, index;
    struct bawn_bytes digest;

    js_uint(j, js_get(j, js_get(j, WHOLE, "Quote"), "Alg"), &quoted);
    if (js_type(j, value) != JS_ARRAY)
        return bad_member(v, name, "an array of PCR values with their indices");
    if (!pcrs_are_new(v))
        return false;
    for (uint32_t e = js_first(j, value); e != JS_ABSENT; e = js_next(j, value, e)) {
        enum hash_alg alg;

        if (!js_uint(j, js_get(j, e, "Index"), &index) || index >= TPM_PCRS ||
            !evidence_json_bytes(j, js_get(j, e, "Digest"), &digest))
            return bad_member(v, name, "an array of PCR values with their indices");
        alg = evidence_bank_of_size(digest.len);
        if (alg == HASH_NONE || (quoted && tpm_alg[alg] != quoted) ||
            evidence_bank_rank(alg) < evidence_bank_rank(bank->alg))
            continue;
        if (alg != bank->alg)
            *bank = (struct pcr_bank){ .alg = alg };
        if (!evidence_put(v, &bank->value[index], "PCR values", digest))
            return false;
    }
    return true;
}

/* ---- The table ---- */

static const struct {
    const char *path[2];
    const char *name;
    member_fn *take;
} members[] = {
    /* Confidential Containers, AMD SEV-SNP */
    { { "attestation_report" }, "attestation_report", take_report },
    { { "cert_chain" }, "cert_chain", take_cert_chain },
    /* Confidential Containers, TDX and SGX */
    { { "quote" }, "quote", take_primary },
    { { "cc_eventlog" }, "cc_eventlog", take_cc_log },
    /* Confidential Containers, Azure SNP and TDX vTPM: first form, and from version 1 on */
    { { "report" }, "report", take_report },
    { { "hcl_report" }, "hcl_report", take_primary },
    { { "td_quote" }, "td_quote", take_primary },
    { { "vcek" }, "vcek", take_cert },
    { { "quote", "message" }, "quote.message", take_primary },
    { { "quote", "signature" }, "quote.signature", take_signature },
    { { "quote", "pcrs" }, "quote.pcrs", take_pcrs },
    { { "tpm_quote", "message" }, "tpm_quote.message", take_primary },
    { { "tpm_quote", "signature" }, "tpm_quote.signature", take_signature },
    { { "tpm_quote", "pcrs" }, "tpm_quote.pcrs", take_pcrs },
    /* Confidential Containers, TPM */
    { { "ak_public" }, "ak_public", take_ak },
    /* go-attestation */
    { { "AK", "Public" }, "AK.Public", take_ak },
    { { "Quote", "Quote" }, "Quote.Quote", take_primary },
    { { "Quote", "Signature" }, "Quote.Signature", take_signature },
    { { "Log", "PCRs" }, "Log.PCRs", take_indexed_pcrs },
    { { "Log", "Raw" }, "Log.Raw", take_event_log },
};

/* What attestation services are sent: the evidence is one member of it. */
static const char *const wrappers[][2] = {
    { "tee-evidence", "primary_evidence" }, /* KBS protocol 0.4 */
    { "primary_evidence" },
    { "tee-evidence" }, /* KBS protocol 0.1 to 0.3 */
    { "evidence" },     /* attestation service's own API */
};

static uint32_t find(const struct js *j, const char *const path[2])
{
    uint32_t value = js_get(j, WHOLE, path[0]);

    return path[1] ? js_get(j, value, path[1]) : value;
}

/* The names that the object has, for the finding. */
static const char *key_list(struct verification *v, const struct js *j)
{
    const char *list = "";
    unsigned n = 0;

    for (uint32_t k = js_first(j, WHOLE); k != JS_ABSENT && n < 8; k = js_next(j, WHOLE, k)) {
        struct bawn_bytes key;

        if (js_string(j, k, &key) && list)
            list = arena_text(v->arena, "%s%s%s", list, n++ ? ", " : "",
                              arena_printable(v->arena, key));
    }
    return list && *list ? list : "no members";
}

static enum taken unwrap(const struct js *j, struct bawn_bytes *inner)
{
    for (size_t i = 0; i < sizeof(wrappers) / sizeof(wrappers[0]); i++) {
        uint32_t value = find(j, wrappers[i]);

        if (js_type(j, value) == JS_OBJECT) {
            *inner = js_raw(j, value);
            return TAKEN_INNER;
        }
        if (!left_out(j, value) && js_string(j, value, inner))
            return TAKEN_INNER;
    }
    return TAKEN_NONE;
}

static bool has_evidence(const struct evidence *ev)
{
    return ev->snp_report.len || ev->quote.len || ev->hcl_report.len || ev->tpm_message.len ||
           ev->event_log.len || ev->cc_log.len;
}

enum taken evidence_take_json(struct verification *v, struct bawn_bytes text,
                              struct bawn_bytes *inner)
{
    struct js j;

    if (!js_parse(&j, v->arena, text)) {
        check_missing(v->r, &json_syntax, NULL,
                      arena_text(v->arena, "line %u, column %u", j.line, j.column),
                      "the evidence is not well-formed JSON: %s", j.error ? j.error : "no memory");
        return TAKEN_BROKEN;
    }
    v->ev.kind = BAWN_EVIDENCE_JSON;
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        uint32_t value = find(&j, members[i].path);

        if (!left_out(&j, value) && !members[i].take(v, &j, value, members[i].name))
            return TAKEN_BROKEN;
    }
    if (has_evidence(&v->ev))
        return TAKEN;
    if (unwrap(&j, inner) == TAKEN_INNER)
        return TAKEN_INNER;
    if (collateral_recognise(&j))
        evidence_is_endorsement(v, "collateral");
    else
        check_missing(v->r, &evidence_form, NULL, key_list(v, &j),
                      "the JSON is of no known form of evidence");
    return TAKEN_BROKEN;
}

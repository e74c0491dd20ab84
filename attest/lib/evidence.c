// SPDX-License-Identifier: Apache-2.0
/*
 * Recognises evidence and takes it apart. What is recognised is only sorted by its first bytes:
 * the file that judges a form parses it again, strictly. Text encodings and wrappings are taken
 * off in a loop of at most MAX_LAYERS rounds.
 */
#include "attest/lib/evidence.h"

#include <string.h>

#include "attest/lib/eventlog.h"

/* Base64 around a request around base64 around JSON around base64: what attestation services
 * log has five layers. */
#define MAX_LAYERS 6

#define SNP_REPORT_SIZE 1184     /* AMD 56860 rev 1.58, 7.3, ATTESTATION_REPORT */
#define SNP_RESPONSE_HEADER 0x20 /* AMD 56860 rev 1.58, 7.3, MSG_REPORT_RSP */
#define SNP_VERSION_MIN 2        /* the first public one */
#define SNP_VERSION_MAX 15       /* newer than known: the judge says so better than "unknown" */

#define QUOTE_HEADER_SIZE 48 /* Intel, TDX DCAP quoting library API, A.3.1 */
#define QUOTE_VERSION_MIN 3
#define QUOTE_VERSION_MAX 5
#define QUOTE_KEY_P256 2
#define QUOTE_KEY_P384 3
#define QUOTE_TEE_SGX 0
#define QUOTE_TEE_TDX 0x81

#define HCL_MAGIC 0x414c4348           /* "HCLA", little-endian; openhcl, hcl_attestation */
#define TPM_GENERATED_VALUE 0xff544347 /* TPM 2.0 part 2, 6.2 */

const struct check evidence_form = {
    .name = "evidence.form",
    .claim = "evidence.form",
    .source = "bawn-attest(3), EVIDENCE",
    .how = "the evidence is of a known form",
    .advice = "known are: SEV-SNP reports (alone or with a certificate table), SGX and TDX quotes, "
              "Azure HCL reports, TPM quotes, TCG and CCEL event logs, JSON of Confidential "
              "Containers, Azure or go-attestation, go-tpm-tools' protobuf, and hex or base64 of "
              "any of these; certificates and CRLs go with the endorsements",
};

static const struct check evidence_table = {
    .name = "evidence.certificate-table",
    .claim = "evidence.form",
    .source = "AMD 56421 rev 2.03, 4.1.8.1",
    .how = "what follows the report is a certificate table",
    .advice = "give the 1184 bytes of the report alone, and the certificates with the "
              "endorsements",
};

static const struct check evidence_swapped = {
    .name = "evidence.form",
    .claim = "evidence.form",
    .source = "bawn-attest(3), ENDORSEMENTS",
    .advice = "give it with --endorsements, and the report or quote as evidence",
};

static const struct check evidence_cut = {
    .name = "evidence.form",
    .claim = "evidence.form",
    .source = "AMD 56860 rev 1.58, 7.3, ATTESTATION_REPORT",
    .advice = "give all of the report as the firmware returned it",
};

static const struct check evidence_doubled = {
    .name = "evidence.doubled",
    .claim = "evidence.form",
    .source = "bawn-attest(3), EVIDENCE",
    .how = "each part of the evidence is there once",
    .advice = "give one piece of evidence at a time",
};

/* ---- Parts ---- */

bool evidence_put(struct verification *v, struct bawn_bytes *part, const char *what,
                  struct bawn_bytes data)
{
    if (part->len)
        return check_missing(v->r, &evidence_doubled, "one", "two", "the evidence has two of: %s",
                             what);
    *part = data;
    return true;
}

unsigned evidence_bank_rank(enum hash_alg alg)
{
    static const unsigned char rank[HASH_ALGS] = {
        [HASH_SHA1] = 1,
        [HASH_SHA256] = 2,
        [HASH_SHA384] = 3,
        [HASH_SHA512] = 4,
    };

    return (unsigned)alg < HASH_ALGS ? rank[alg] : 0;
}

enum hash_alg evidence_bank_of_size(size_t len)
{
    for (enum hash_alg alg = HASH_SHA1; alg < HASH_ALGS; alg++)
        if (hash_size(alg) == len)
            return alg;
    return HASH_NONE;
}

/* ---- Binary forms: whether the bytes are one, and where they go ---- */

static enum taken put(struct verification *v, enum bawn_evidence_kind kind, struct bawn_bytes *part,
                      const char *what, struct bawn_bytes data)
{
    if (v->ev.kind == BAWN_EVIDENCE_ANY)
        v->ev.kind = kind;
    return evidence_put(v, part, what, data) ? TAKEN : TAKEN_BROKEN;
}

static bool plausible_report(struct bawn_cursor c)
{
    uint32_t version = bawn_cursor_u32(&c);

    return bawn_cursor_left(&c) >= SNP_REPORT_SIZE - 4 && version >= SNP_VERSION_MIN &&
           version <= SNP_VERSION_MAX;
}

/* The first fields of a report without its end: version, policy with the bit that is always
 * one, VMPL, signature algorithm. */
static bool is_cut_report(struct bawn_bytes data)
{
    enum { POLICY = 0x08, VMPL = 0x30, POLICY_ONE = 1 << 17, VMPL_MAX = 3, ECDSA_P384_SHA384 = 1 };
    struct bawn_cursor c = bawn_cursor_over(data.data, data.len);
    uint32_t version = bawn_cursor_u32(&c), vmpl, algo;
    uint64_t policy;

    bawn_cursor_take(&c, POLICY - 4);
    policy = bawn_cursor_u64(&c);
    bawn_cursor_take(&c, VMPL - POLICY - 8);
    vmpl = bawn_cursor_u32(&c);
    algo = bawn_cursor_u32(&c);
    return !c.failed && data.len < SNP_REPORT_SIZE && version >= SNP_VERSION_MIN &&
           version <= SNP_VERSION_MAX && (policy & POLICY_ONE) &&
           (vmpl <= VMPL_MAX || vmpl == UINT32_MAX) && algo == ECDSA_P384_SHA384;
}

/* What follows a report: nothing, a certificate table, or the zeros of a fixed-size buffer. */
static enum taken put_report(struct verification *v, struct bawn_cursor c)
{
    struct bawn_bytes report = { bawn_cursor_take(&c, SNP_REPORT_SIZE), SNP_REPORT_SIZE };
    struct bawn_bytes rest = { c.pos, bawn_cursor_left(&c) };

    if (rest.len && !bytes_zero(rest.data, rest.len) && !snp_table_add(v, rest)) {
        check_missing(v->r, &evidence_table, "a certificate table", NULL,
                      "the %zu bytes after the report are no certificate table", rest.len);
        return TAKEN_BROKEN;
    }
    return put(v, BAWN_EVIDENCE_SNP, &v->ev.snp_report, "SEV-SNP report", report);
}

static enum taken take_report(struct verification *v, struct bawn_bytes data)
{
    struct bawn_cursor c = bawn_cursor_over(data.data, data.len), response;

    if (plausible_report(c))
        return put_report(v, c);
    /* The guest device's answer: status, size, reserved, then the report. */
    if (bawn_cursor_u32(&c) == 0 && bawn_cursor_u32(&c) == SNP_REPORT_SIZE &&
        bawn_cursor_zeros(&c, SNP_RESPONSE_HEADER - 8)) {
        response = bawn_cursor_over(c.pos, bawn_cursor_left(&c));
        if (plausible_report(response))
            return put_report(v, response);
    }
    return TAKEN_NONE;
}

static bool plausible_quote(struct bawn_bytes data)
{
    struct bawn_cursor c = bawn_cursor_over(data.data, data.len);
    uint16_t version = bawn_cursor_u16(&c), key = bawn_cursor_u16(&c);
    uint32_t tee = bawn_cursor_u32(&c); /* reserved in version 3 */

    if (c.failed || data.len < QUOTE_HEADER_SIZE || version < QUOTE_VERSION_MIN ||
        version > QUOTE_VERSION_MAX || key < QUOTE_KEY_P256 || key > QUOTE_KEY_P384)
        return false;
    return version == QUOTE_VERSION_MIN || tee == QUOTE_TEE_SGX || tee == QUOTE_TEE_TDX;
}

static enum taken take_quote(struct verification *v, struct bawn_bytes data)
{
    if (!plausible_quote(data))
        return TAKEN_NONE;
    return put(v, BAWN_EVIDENCE_QUOTE, &v->ev.quote, "SGX or TDX quote", data);
}

const char *evidence_recognise(struct bawn_bytes data)
{
    if (plausible_quote(data))
        return "an SGX or TDX quote";
    return plausible_report(bawn_cursor_over(data.data, data.len)) ? "an SEV-SNP report" : NULL;
}

static enum taken take_hcl(struct verification *v, struct bawn_bytes data)
{
    struct bawn_cursor c = bawn_cursor_over(data.data, data.len);

    if (bawn_cursor_u32(&c) != HCL_MAGIC)
        return TAKEN_NONE;
    return put(v, BAWN_EVIDENCE_HCL, &v->ev.hcl_report, "Azure HCL report", data);
}

/* TPMS_ATTEST, or TPM2B_ATTEST around it. */
static enum taken take_tpm(struct verification *v, struct bawn_bytes data)
{
    struct bawn_cursor c = bawn_cursor_over(data.data, data.len);

    if (bawn_cursor_be(&c, 4) == TPM_GENERATED_VALUE)
        return put(v, BAWN_EVIDENCE_TPM, &v->ev.tpm_message, "TPM quote", data);
    bawn_cursor_seek(&c, 0);
    if (bawn_cursor_be(&c, 2) == bawn_cursor_left(&c)) {
        struct bawn_bytes inner = { c.pos, bawn_cursor_left(&c) };

        if (bawn_cursor_be(&c, 4) == TPM_GENERATED_VALUE)
            return put(v, BAWN_EVIDENCE_TPM, &v->ev.tpm_message, "TPM quote", inner);
    }
    return TAKEN_NONE;
}

static enum taken take_log(struct verification *v, struct bawn_bytes data)
{
    bool cc = false;

    if (!eventlog_recognise(data, &cc))
        return TAKEN_NONE;
    return cc ? put(v, BAWN_EVIDENCE_LOG, &v->ev.cc_log, "CC event log", data)
              : put(v, BAWN_EVIDENCE_LOG, &v->ev.event_log, "TCG event log", data);
}

typedef enum taken take_fn(struct verification *v, struct bawn_bytes data);

/* The forms with the strictest marks first. */
static const struct {
    enum bawn_evidence_kind kind;
    const char *name;
    take_fn *take;
} binary_forms[] = {
    { BAWN_EVIDENCE_HCL, "Azure HCL report", take_hcl },
    { BAWN_EVIDENCE_TPM, "TPM quote", take_tpm },
    { BAWN_EVIDENCE_QUOTE, "SGX or TDX quote", take_quote },
    { BAWN_EVIDENCE_SNP, "SEV-SNP report", take_report },
    { BAWN_EVIDENCE_LOG, "event log", take_log },
    { BAWN_EVIDENCE_TPM, "go-tpm-tools attestation", evidence_take_protobuf },
};

#define BINARY_FORMS (sizeof(binary_forms) / sizeof(binary_forms[0]))

enum taken evidence_take_binary(struct verification *v, struct bawn_bytes data)
{
    for (size_t i = 0; i < BINARY_FORMS; i++) {
        enum taken t = binary_forms[i].take(v, data);

        if (t != TAKEN_NONE)
            return t;
    }
    return TAKEN_NONE;
}

/* ---- Layers ---- */

static bool is_text(struct bawn_bytes data)
{
    for (size_t i = 0; i < data.len; i++) {
        uint8_t c = data.data[i];

        if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f)
            return false;
    }
    return data.len;
}

static uint8_t first_visible(struct bawn_bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] != ' ' && text.data[i] != '\t' && text.data[i] != '\n' &&
            text.data[i] != '\r')
            return text.data[i];
    return 0;
}

static bool is_pem(struct bawn_bytes text)
{
    static const char begin[] = "-----BEGIN ";

    return text.len >= sizeof(begin) - 1 && !memcmp(text.data, begin, sizeof(begin) - 1);
}

static enum taken take_layer(struct verification *v, struct bawn_bytes data,
                             struct bawn_bytes *inner)
{
    enum taken t = evidence_take_binary(v, data);

    if (t != TAKEN_NONE || !is_text(data) || is_pem(data))
        return t;
    if (first_visible(data) == '{')
        return evidence_take_json(v, data, inner);
    if (hex_decode(v->arena, data, inner) || base64_decode(v->arena, data, inner))
        return TAKEN_INNER;
    return TAKEN_NONE;
}

bool evidence_is_endorsement(struct verification *v, const char *what)
{
    return check_missing(v->r, &evidence_swapped, "a report or quote", what, "the evidence is %s",
                         what);
}

static bool not_recognised(struct verification *v, struct bawn_bytes data)
{
    struct bawn_bytes head = { data.data, data.len < 16 ? data.len : 16 };
    bool decoded = data.data != v->input->evidence.data;
    const char *endorsement = endorsement_recognise(v, data);

    if (!data.len)
        return check_missing(v->r, &evidence_form, NULL, "0 bytes", "the evidence is empty");
    if (endorsement)
        return evidence_is_endorsement(v, endorsement);
    if (is_cut_report(data))
        return check_missing(v->r, &evidence_cut, arena_text(v->arena, "%d bytes", SNP_REPORT_SIZE),
                             arena_text(v->arena, "%zu bytes", data.len),
                             "the evidence begins like an SEV-SNP report and is cut short");
    if (is_pem(data))
        return check_missing(v->r, &evidence_form, NULL, arena_printable(v->arena, head),
                             "the evidence is not recognised: it is PEM, which holds "
                             "endorsements");
    return check_missing(v->r, &evidence_form, NULL,
                         arena_text(v->arena, "%zu bytes%s that begin with %s", data.len,
                                    decoded ? " (decoded from text)" : "",
                                    arena_hex(v->arena, head)),
                         "the evidence is not recognised");
}

/* With the kind given by the caller, the bytes go to its judge even when they do not look it:
 * its refusal says more than "not recognised". */
static bool take_as_given(struct verification *v, struct bawn_bytes data)
{
    switch (v->input->kind) {
    case BAWN_EVIDENCE_SNP:
        v->ev.snp_report = data;
        return true;
    case BAWN_EVIDENCE_QUOTE:
        v->ev.quote = data;
        return true;
    case BAWN_EVIDENCE_HCL:
        v->ev.hcl_report = data;
        return true;
    case BAWN_EVIDENCE_TPM:
        v->ev.tpm_message = data;
        return true;
    case BAWN_EVIDENCE_LOG:
        v->ev.event_log = data;
        return true;
    default:
        return not_recognised(v, data);
    }
}

static const char *kind_name(enum bawn_evidence_kind kind)
{
    if (kind == BAWN_EVIDENCE_JSON)
        return "JSON";
    for (size_t i = 0; i < BINARY_FORMS; i++)
        if (binary_forms[i].kind == kind)
            return binary_forms[i].name;
    return "nothing known";
}

static bool take_apart(struct verification *v)
{
    struct bawn_bytes data = v->input->evidence, inner = { NULL, 0 };
    enum bawn_evidence_kind given = v->input->kind;
    enum taken t = TAKEN_INNER;

    if (given == BAWN_EVIDENCE_RATLS && !ratls_take(v, &data))
        return false;
    for (unsigned layer = 0; t == TAKEN_INNER && layer < MAX_LAYERS; layer++) {
        if (layer)
            data = inner;
        t = take_layer(v, data, &inner);
    }
    if (t == TAKEN_BROKEN)
        return false;
    if (t == TAKEN_INNER)
        return check_missing(v->r, &evidence_form, NULL, NULL,
                             "the evidence is wrapped more than %d times", MAX_LAYERS);
    if (t == TAKEN_NONE)
        return take_as_given(v, data);
    if (given != BAWN_EVIDENCE_ANY && given != BAWN_EVIDENCE_RATLS && given != v->ev.kind)
        return check_missing(v->r, &evidence_form, kind_name(given), kind_name(v->ev.kind),
                             "the evidence is not what it was given as");
    return true;
}

/* ---- Parts that came with the endorsements ---- */

static const struct check evidence_twice = {
    .name = "evidence.doubled",
    .claim = "evidence.form",
    .source = "bawn-attest(3), ENDORSEMENTS",
    .how = "no endorsement repeats a part of the evidence",
    .advice = "leave it out of the endorsements",
};

static void quote_is_evidence(struct verification *v)
{
    v->r->endorsement = v->end.td_quote;
    endorsement_is_evidence(v, "a TDX quote");
    v->r->endorsement = 0;
}

/* The evidence's own parts count; those beside it fill what it lacks. */
static void fill_from(struct verification *v, const struct evidence *given)
{
    const struct {
        struct bawn_bytes *own;
        const struct bawn_bytes *given;
        const char *what;
    } parts[] = {
        { &v->ev.tpm_signature, &given->tpm_signature, "TPM signature" },
        { &v->ev.ak_public, &given->ak_public, "attestation key" },
        { &v->ev.event_log, &given->event_log, "TCG event log" },
        { &v->ev.cc_log, &given->cc_log, "CC event log" },
        { &v->ev.id_block, &given->id_block, "ID block" },
        { &v->ev.id_auth, &given->id_auth, "ID authentication structure" },
        { &v->ev.hcl_report, &given->hcl_report, "Azure HCL report" },
        { &v->ev.tpm_message, &given->tpm_message, "TPM quote" },
    };

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (!parts[i].given->len)
            continue;
        if (!parts[i].own->len)
            *parts[i].own = *parts[i].given;
        else if (!bytes_equal(*parts[i].own, *parts[i].given))
            check_warned(v->r, &evidence_twice, NULL, parts[i].what,
                         "an endorsement differs from the same part of the evidence");
    }
    if (v->ev.hcl_report.len && !v->ev.quote.len) /* of the TD report in it */
        v->ev.quote = given->quote;
    else if (given->quote.len && !bytes_equal(given->quote, v->ev.quote))
        quote_is_evidence(v);
    if (v->ev.pcrs.alg == HASH_NONE) {
        v->ev.pcrs = given->pcrs;
        memcpy(v->ev.more_pcrs, given->more_pcrs, sizeof(v->ev.more_pcrs));
    } else if (given->pcrs.alg != HASH_NONE) {
        check_warned(v->r, &evidence_twice, NULL, "PCR values",
                     "an endorsement repeats the PCR values of the evidence");
    }
}

bool evidence_unpack(struct verification *v)
{
    struct evidence given = v->ev;

    v->ev = (struct evidence){ .kind = BAWN_EVIDENCE_ANY };
    if (!take_apart(v))
        return false;
    if (v->ev.kind == BAWN_EVIDENCE_ANY)
        v->ev.kind = v->input->kind;
    if (v->ev.kind == BAWN_EVIDENCE_LOG) /* the other judges name what they judge */
        v->r->subject = v->ev.cc_log.len ? "event log of a confidential guest" : "TCG event log";
    fill_from(v, &given);
    return true;
}

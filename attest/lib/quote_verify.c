// SPDX-License-Identifier: Apache-2.0
/*
 * Judges an SGX or TDX quote: from Intel's root over the PCK certificate to the quoting
 * enclave's report, from that to the attestation key, and from that to the quote; then by the
 * collateral whether platform, TDX module and quoting enclave are ones to trust. Nothing of the
 * quote holds before its signatures do. Order and rules: DCAP Quote Verification Library,
 * 4.1.2.4.
 */
#include "attest/lib/quote.h"

#include <string.h>

static const struct check quote_format = {
    .name = "quote.format",
    .claim = "quote",
    .source = "DCAP Quoting Library API, appendix A",
    .how = "the quote is whole and of a form known here, with every length exact",
    .advice = "ask the guest for a new quote, signed with ECDSA P-256 (key type 2)",
};

static const struct check qe_report = {
    .name = "quote.qe-report",
    .claim = "qe.report",
    .source = "DCAP Quote Verification Library, 4.1.2.4.12",
    .how = "ECDSA P-256 with SHA-256 over the quoting enclave's report, with the PCK's key",
    .advice = "the quote was altered: ask the guest for a new one",
    .proof = PROOF_QE_REPORT,
};

static const struct check qe_binding = {
    .name = "quote.attestation-key",
    .claim = "qe.report_data",
    .source = "DCAP Quote Verification Library, 4.1.2.4.13",
    .how = "the quoting enclave's report data is SHA-256 of attestation key and authentication "
           "data, then zeros",
    .advice = "the quote was altered: ask the guest for a new one",
    .proof = PROOF_QE_BINDING,
};

static const struct check quote_signature = {
    .name = "quote.signature",
    .claim = "quote.signature",
    .source = "DCAP Quote Verification Library, 4.1.2.4.16",
    .how = "ECDSA P-256 with SHA-256 over header and body, with the attestation key",
    .advice = "the quote was altered: ask the guest for a new one",
    .proof = PROOF_QUOTE,
};

#define SHA256_SIZE 32
#define SCALAR_SIZE (BAWN_QUOTE_ECDSA_P256_SIZE / 2)

static void judge_qe_report(struct verification *v, const struct quote *q, const struct pck *pck)
{
    struct bawn_bytes report = { (const uint8_t *)q->qe, sizeof(*q->qe) };

    if (pck->cert.key.type != KEY_P256)
        return; /* the chain's findings say so */
    if (sig_verify_raw_kept(v->cache, &pck->cert.key, HASH_SHA256, report, q->qe_signature,
                            q->qe_signature + SCALAR_SIZE))
        check_passed(v->r, &qe_report);
    else
        check_refused(v->r, &qe_report, NULL, NULL,
                      "the signature of the quoting enclave's report does not verify with the PCK");
}

static void judge_attestation_key(struct verification *v, const struct quote *q)
{
    struct bawn_bytes key = { q->key, BAWN_QUOTE_ECDSA_P256_SIZE };
    struct bawn_bytes data = { q->qe->report_data, sizeof(q->qe->report_data) };
    uint8_t want[sizeof(q->qe->report_data)] = { 0 };
    struct bawn_bytes expected = { want, sizeof(want) };

    _Static_assert(sizeof(want) == 2 * SHA256_SIZE, "report data is a digest and zeros");
    if (!hash_two(HASH_SHA256, key, q->qe_auth, want))
        v->arena->failed = true;
    else if (bytes_equal(data, expected))
        check_passed(v->r, &qe_binding);
    else
        check_refused(v->r, &qe_binding, arena_hex(v->arena, expected), arena_hex(v->arena, data),
                      "the quoting enclave did not vouch for this attestation key");
}

static void judge_signature(struct verification *v, const struct quote *q)
{
    uint8_t *point = arena_alloc(v->arena, 1 + BAWN_QUOTE_ECDSA_P256_SIZE);
    struct pubkey key = { .type = KEY_P256, .bits = 256 };

    if (!point)
        return;
    point[0] = 4; /* uncompressed: SEC 1, 2.3.3 */
    memcpy(point + 1, q->key, BAWN_QUOTE_ECDSA_P256_SIZE);
    key.point = (struct bawn_bytes){ point, 1 + BAWN_QUOTE_ECDSA_P256_SIZE };
    if (sig_verify_raw(v->cache, &key, HASH_SHA256, q->signed_part, q->signature,
                       q->signature + SCALAR_SIZE))
        check_passed(v->r, &quote_signature);
    else
        check_refused(v->r, &quote_signature, NULL, NULL,
                      "the quote's signature does not verify with its attestation key");
}

void quote_verify(struct verification *v)
{
    struct tcb_signer signer = { .cert = NULL };
    struct tcb_judgement t = { .behind = NULL };
    /* Claims borrow from it. */
    struct pck *pck = arena_alloc(v->arena, sizeof(*pck));
    struct bawn_error err;
    struct quote q;
    bool have_pck;

    if (!pck)
        return;
    if (quote_parse(&q, v->ev.quote, &err) != BAWN_OK) {
        check_missing(v->r, &quote_format, NULL, NULL, "%s", err.msg);
        return;
    }
    check_passed(v->r, &quote_format);
    quote_claims(v->r, &q);
    quote_attributes_judge(v->r, &q);

    pck_judge(v, &q, pck, &have_pck);
    judge_qe_report(v, &q, pck);
    judge_attestation_key(v, &q);
    judge_signature(v, &q);

    t.tdx = q.tdx;
    qe_identity_judge(v, &q, &signer, &t);
    if (have_pck)
        tcb_info_judge(v, &q, pck, &signer, &t);
    tcb_judge(v, &t);
}

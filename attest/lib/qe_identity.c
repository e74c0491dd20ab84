// SPDX-License-Identifier: Apache-2.0
/*
 * QE identity: whether the enclave that made the quote is the quoting enclave that Intel names,
 * and at which level. Content counts only after its signature was checked. Format: Intel PCS
 * API v4, "Get QE Identity". Rules: DCAP Quote Verification Library, 4.1.2.9.
 */
#include "attest/lib/quote.h"

#define PCS "Intel PCS API v4"
#define PCS_URL "https://api.trustedservices.intel.com/"

static const struct check present = {
    .name = "qe-identity.present",
    .claim = "qe_identity",
    .source = PCS ", Get QE Identity; DCAP Quote Verification Library, 4.1.2.4.14",
    .how = "there is QE identity for this TEE's quoting enclave",
};

static const struct check signature = {
    .name = "qe-identity.signature",
    .claim = "qe_identity",
    .source = PCS ", Get QE Identity",
    .how = "ECDSA P-256 with SHA-256 over the QE identity's bytes, by the TCB signing key",
    .advice =
        "the QE identity was altered: fetch it anew from Intel's PCS, and keep its bytes as sent",
    .proof = PROOF_QE_IDENTITY,
};

static const struct check validity = {
    .name = "qe-identity.validity",
    .claim = "qe_identity",
    .source = PCS ", Get QE Identity, issueDate and nextUpdate",
    .how = "the time of judgement is between the QE identity's issueDate and nextUpdate",
    .advice = "fetch new QE identity from Intel's PCS, or judge at a time when it was valid (--at)",
};

static const struct intel_json_kind kind = {
    .what = "the QE identity",
    .signature = &signature,
    .validity = &validity,
};

static const struct check format = {
    .name = "qe-identity.format",
    .claim = "qe_identity",
    .source = PCS ", Get QE Identity",
    .how = "the QE identity has the form of version 2",
    .advice = "ask for a newer bawn-verify if Intel's PCS has a new format",
};

#define QE_ADVICE "the quote was made by an enclave that is not Intel's quoting enclave"

static const struct check miscselect = {
    .name = "qe.misc-select",
    .claim = "qe.misc_select",
    .source = "DCAP Quote Verification Library, 4.1.2.9.5",
    .how = "the quoting enclave's MISCSELECT under the mask is the identity's",
    .advice = QE_ADVICE,
};

static const struct check attributes = {
    .name = "qe.attributes",
    .claim = "qe.attributes",
    .source = "DCAP Quote Verification Library, 4.1.2.9.6",
    .how = "the quoting enclave's attributes under the mask are the identity's",
    .advice = QE_ADVICE,
};

static const struct check mrsigner = {
    .name = "qe.mrsigner",
    .claim = "qe.mrsigner",
    .source = "DCAP Quote Verification Library, 4.1.2.9.7",
    .how = "the quoting enclave's MRSIGNER is the identity's",
    .advice = QE_ADVICE,
};

static const struct check isvprodid = {
    .name = "qe.isvprodid",
    .claim = "qe.isvprodid",
    .source = "DCAP Quote Verification Library, 4.1.2.9.8",
    .how = "the quoting enclave's ISVPRODID is the identity's",
    .advice = QE_ADVICE,
};

static const struct check isvsvn = {
    .name = "qe.tcb-level",
    .claim = "qe.isvsvn",
    .source = "DCAP Quote Verification Library, 4.1.2.9.9, 4.1.2.9.10",
    .how = "the first level of the QE identity that the quoting enclave's ISVSVN reaches",
    .advice = "ask the host to update its quoting service (DCAP)",
};

static bool choose(struct verification *v, const struct quote *q, struct intel_json *best)
{
    const struct signed_json *s = v->end.qe_identities.items;
    const char *id = q->tdx ? "TD_QE" : "QE";
    struct check check = present;
    bool found = false;

    for (size_t i = 0; i < v->end.qe_identities.n; i++) {
        struct intel_json doc;

        if (!intel_json_parse(v, &doc, &s[i]) ||
            !js_string_is(&doc.json, js_get(&doc.json, 0, "id"), id))
            continue;
        if (!found || intel_json_better(&doc, best, v->at))
            *best = doc;
        found = true;
    }
    if (found)
        return check_passed(v->r, &present);
    check.advice = q->tdx ? "fetch " PCS_URL "tdx/certification/v4/qe/identity"
                          : "fetch " PCS_URL "sgx/certification/v4/qe/identity";
    return check_missing(v->r, &check, id, intel_json_others(v, v->end.qe_identities.n),
                         "no QE identity for %s was given", q->tdx ? "TDX" : "SGX");
}

static bool broken(struct verification *v)
{
    return check_missing(v->r, &format, NULL, NULL, "the QE identity is not of a known form");
}

/* Bytes of the report, in its order, against hex in the identity: under a mask if there is one. */
static bool field_is(struct verification *v, const struct js *j, const struct check *check,
                     struct bawn_bytes have, const char *key, const char *mask_key)
{
    struct bawn_bytes want, mask = { 0 };

    if (!js_hex(j, js_get(j, 0, key), &want) || want.len != have.len)
        return broken(v);
    if (mask_key && (!js_hex(j, js_get(j, 0, mask_key), &mask) || mask.len != have.len))
        return broken(v);
    for (size_t i = 0; i < have.len; i++)
        if ((have.data[i] & (mask_key ? mask.data[i] : 0xff)) != want.data[i])
            return check_refused(v->r, check, arena_hex(v->arena, want), arena_hex(v->arena, have),
                                 "the quoting enclave is not the one that Intel names");
    return check_passed(v->r, check);
}

static bool enclave_is(struct verification *v, const struct js *j,
                       const struct bawn_enclave_report *qe)
{
    uint64_t version, have = LE_FIELD(qe->isv_prod_id), want;
    bool good;

    if (!js_uint(j, js_get(j, 0, "version"), &version) || version != 2 ||
        !js_uint(j, js_get(j, 0, "isvprodid"), &want))
        return broken(v);
    check_passed(v->r, &format);
#define BYTES(field) ((struct bawn_bytes){ qe->field, sizeof(qe->field) })
    good = field_is(v, j, &miscselect, BYTES(misc_select), "miscselect", "miscselectMask");
    good &= field_is(v, j, &attributes, BYTES(attributes), "attributes", "attributesMask");
    good &= field_is(v, j, &mrsigner, BYTES(mr_signer), "mrsigner", NULL);
#undef BYTES
    if (have != want)
        return check_refused(v->r, &isvprodid,
                             arena_text(v->arena, "%llu", (unsigned long long)want),
                             arena_text(v->arena, "%llu", (unsigned long long)have),
                             "the quoting enclave is not the one that Intel names");
    check_passed(v->r, &isvprodid);
    return good;
}

void qe_identity_judge(struct verification *v, const struct quote *q, struct tcb_signer *signer,
                       struct tcb_judgement *t)
{
    struct intel_json *doc = arena_alloc(v->arena, sizeof(*doc));
    uint64_t svn = LE_FIELD(q->qe->isv_svn), newest;
    struct js *j;
    uint32_t levels;

    if (!doc || !choose(v, q, doc) || !intel_json_judge(v, doc, &kind, signer))
        return;
    j = &doc->json;
    claim_uint(v->r, "qe.tcb_evaluation_data_number", doc->evaluation);
    if (!enclave_is(v, j, q->qe))
        return;
    levels = js_get(j, 0, "tcbLevels");
    if (!tcb_level_by_isvsvn(&t->qe, j, levels, svn)) {
        broken(v);
        return;
    }
    if (js_uint(j, js_get(j, js_get(j, js_first(j, levels), "tcb"), "isvsvn"), &newest) &&
        svn < newest)
        tcb_note_behind(v, t, "quoting enclave ISVSVN", svn, newest);
    if (!t->qe.json)
        check_refused(v->r, &isvsvn, NULL,
                      arena_text(v->arena, "ISVSVN %llu", (unsigned long long)svn),
                      "the quoting enclave is older than every TCB level that Intel knows");
    else
        check_passed(v->r, &isvsvn);
}

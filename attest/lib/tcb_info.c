// SPDX-License-Identifier: Apache-2.0
/*
 * TCB info: which of the given ones is the platform's, and which of its levels the platform and
 * its TDX module reach. Content counts only after its signature was checked; it is read with
 * care all the same. Format: Intel PCS API v4, "Get TCB Info" (version 3; 2 for SGX). Rules:
 * DCAP Quote Verification Library, 4.1.2.4.9 to 4.1.2.4.11 and 4.1.2.4.17.
 */
#include "attest/lib/quote.h"

#include <stdio.h>
#include <string.h>

#define PCS "Intel PCS API v4"
#define PCS_URL "https://api.trustedservices.intel.com/"

static const struct check present = {
    .name = "tcb-info.present",
    .claim = "pck.fmspc",
    .source = PCS ", Get TCB Info; DCAP Quote Verification Library, 4.1.2.4.9, 4.1.2.4.10",
    .how = "there is TCB info for this TEE and the platform's FMSPC and PCE-ID",
};

static const struct check signature = {
    .name = "tcb-info.signature",
    .claim = "tcb_info",
    .source = PCS ", Get TCB Info",
    .how = "ECDSA P-256 with SHA-256 over the TCB info's bytes, by the TCB signing key",
    .advice =
        "the TCB info was altered: fetch it anew from Intel's PCS, and keep its bytes as sent",
    .proof = PROOF_TCB_INFO,
};

static const struct check validity = {
    .name = "tcb-info.validity",
    .claim = "tcb_info",
    .source = PCS ", Get TCB Info, issueDate and nextUpdate",
    .how = "the time of judgement is between the TCB info's issueDate and nextUpdate",
    .advice = "fetch new TCB info from Intel's PCS, or judge at a time when it was valid (--at)",
};

static const struct intel_json_kind kind = {
    .what = "the TCB info",
    .signature = &signature,
    .validity = &validity,
};

static const struct check format = {
    .name = "tcb-info.format",
    .claim = "tcb_info",
    .source = PCS ", Get TCB Info",
    .how = "the TCB info has the form of version 3, or 2 for SGX",
    .advice = "ask for a newer bawn-verify if Intel's PCS has a new format",
};

#define LEVEL_CHECK(tee)                                                                 \
    {                                                                                    \
        .name = tee ".tcb-level", .claim = tee ".platform_tcb_status",                   \
        .source = "DCAP Quote Verification Library, 4.1.2.4.17.1 to 4.1.2.4.17.3",       \
        .how = "the first level of the TCB info that every SVN of the platform reaches", \
    }

static const struct check level_checks[] = { LEVEL_CHECK("sgx"), LEVEL_CHECK("tdx") };

static const struct check module_identity = {
    .name = "tdx.module-identity",
    .claim = "tdx.mrsigner_seam",
    .source = "DCAP Quote Verification Library, 4.1.2.4.11",
    .how = "signer and attributes of the TDX module are those that the TCB info names for its "
           "version",
    .advice = "the TDX module is not one that Intel released for production: do not trust the host",
};

static const struct check module_level = {
    .name = "tdx.module-tcb-level",
    .claim = "tdx.module_tcb_status",
    .source = "DCAP Quote Verification Library, 4.1.2.4.17.4.1",
    .how = "the first level of the TDX module's identity that its ISVSVN reaches",
    .advice = "ask the host to update the TDX module and launch the TD anew",
};

/* ---- Which TCB info ---- */

static bool hex_is(const struct js *j, const char *key, struct bawn_bytes want)
{
    struct bawn_bytes have;

    return js_hex(j, js_get(j, 0, key), &have) && bytes_equal(have, want);
}

static bool is_for(const struct intel_json *doc, const struct quote *q, const struct pck *pck)
{
    uint32_t id = js_get(&doc->json, 0, "id");

    /* Version 2 has no id and is for SGX. */
    if (id == JS_ABSENT ? q->tdx : !js_string_is(&doc->json, id, q->tdx ? "TDX" : "SGX"))
        return false;
    return hex_is(&doc->json, "fmspc", pck->fmspc) && hex_is(&doc->json, "pceId", pck->pceid);
}

/* The best of the given ones for this platform; those that are not for it only count. */
static bool choose(struct verification *v, const struct quote *q, const struct pck *pck,
                   struct intel_json *best)
{
    const struct signed_json *s = v->end.tcb_infos.items;
    const char *fmspc = arena_hex(v->arena, pck->fmspc);
    struct check check = present;
    bool found = false;

    for (size_t i = 0; i < v->end.tcb_infos.n; i++) {
        struct intel_json doc;

        if (!intel_json_parse(v, &doc, &s[i]) || !is_for(&doc, q, pck))
            continue;
        if (!found || intel_json_better(&doc, best, v->at))
            *best = doc;
        found = true;
    }
    if (found)
        return check_passed(v->r, &present);
    check.advice = arena_text(v->arena, "fetch " PCS_URL "%s/certification/v4/tcb?fmspc=%s",
                              q->tdx ? "tdx" : "sgx", fmspc);
    return check_missing(v->r, &check, fmspc, intel_json_others(v, v->end.tcb_infos.n),
                         "no TCB info for %s on platforms with FMSPC %s and PCE-ID %s was given",
                         q->tdx ? "TDX" : "SGX", fmspc, arena_hex(v->arena, pck->pceid));
}

/* ---- Levels ---- */

/* A level's SVNs. */
struct level {
    uint8_t sgx[TCB_COMPONENTS], tdx[TCB_COMPONENTS];
    uint16_t pce_svn;
};

static bool svn_at(const struct js *j, uint32_t v, uint64_t max, uint64_t *out)
{
    return js_uint(j, v, out) && *out <= max;
}

static bool read_components(const struct js *j, uint32_t array, uint8_t *out)
{
    int i = 0;

    for (uint32_t e = js_first(j, array); e != JS_ABSENT; e = js_next(j, array, e)) {
        uint64_t svn;

        if (i == TCB_COMPONENTS || !svn_at(j, js_get(j, e, "svn"), UINT8_MAX, &svn))
            return false;
        out[i++] = (uint8_t)svn;
    }
    return i == TCB_COMPONENTS;
}

/* Version 2 names each component: sgxtcbcomp01svn. */
static bool read_components_v2(const struct js *j, uint32_t tcb, uint8_t *out)
{
    enum { digits = sizeof("sgxtcbcomp") - 1 };

    for (int i = 0; i < TCB_COMPONENTS; i++) {
        char key[] = "sgxtcbcomp00svn";
        uint64_t svn;

        key[digits] = (char)('0' + (i + 1) / 10);
        key[digits + 1] = (char)('0' + (i + 1) % 10);
        if (!svn_at(j, js_get(j, tcb, key), UINT8_MAX, &svn))
            return false;
        out[i] = (uint8_t)svn;
    }
    return true;
}

static bool read_level(const struct js *j, uint32_t level, bool v2, bool tdx, struct level *out)
{
    uint32_t tcb = js_get(j, level, "tcb");
    uint64_t svn;

    if (!svn_at(j, js_get(j, tcb, "pcesvn"), UINT16_MAX, &svn))
        return false;
    out->pce_svn = (uint16_t)svn;
    if (v2)
        return read_components_v2(j, tcb, out->sgx);
    return read_components(j, js_get(j, tcb, "sgxtcbcomponents"), out->sgx) &&
           (!tdx || read_components(j, js_get(j, tcb, "tdxtcbcomponents"), out->tdx));
}

/* Whether every SVN from index i on is reached. */
static bool reaches(const uint8_t *have, const uint8_t *need, int i)
{
    for (; i < TCB_COMPONENTS; i++)
        if (have[i] < need[i])
            return false;
    return true;
}

/* A module with a version of its own is judged by its identity, not by components 0 and 1. */
static int first_tdx_component(const uint8_t *svn)
{
    return svn[1] ? 2 : 0;
}

static bool reaches_sgx(const struct pck *pck, const struct level *l)
{
    return reaches(pck->component, l->sgx, 0) && pck->pce_svn >= l->pce_svn;
}

static void note_components(struct verification *v, struct tcb_judgement *t, const char *name,
                            const struct js *j, uint32_t array, const uint8_t *have,
                            const uint8_t *need, int from)
{
    int i = 0;

    for (uint32_t e = js_first(j, array); e != JS_ABSENT && i < TCB_COMPONENTS;
         e = js_next(j, array, e), i++) {
        struct bawn_bytes category = { 0 }, type = { 0 };

        if (i < from || have[i] >= need[i])
            continue;
        js_string(j, js_get(j, e, "category"), &category);
        js_string(j, js_get(j, e, "type"), &type);
        tcb_note_behind(v, t,
                        arena_text(v->arena, "%s component %d%s%s%s%s", name, i + 1,
                                   category.len ? ", " : "", arena_printable(v->arena, category),
                                   type.len ? " " : "", arena_printable(v->arena, type)),
                        have[i], need[i]);
    }
}

/* What of the platform is older than that level asks for. */
static void note_behind(struct verification *v, const struct quote *q, const struct pck *pck,
                        const struct intel_json *doc, uint32_t level, const struct level *l,
                        struct tcb_judgement *t)
{
    const struct js *j = &doc->json;
    uint32_t tcb = js_get(j, level, "tcb");

    note_components(v, t, "SGX", j, js_get(j, tcb, "sgxtcbcomponents"), pck->component, l->sgx, 0);
    if (pck->pce_svn < l->pce_svn)
        tcb_note_behind(v, t, "PCE", pck->pce_svn, l->pce_svn);
    if (q->td)
        note_components(v, t, "TDX", j, js_get(j, tcb, "tdxtcbcomponents"), q->td->tee_tcb_svn,
                        l->tdx, first_tdx_component(q->td->tee_tcb_svn));
}

/* What level selection finds. */
struct selection {
    struct tcb_level sgx; /* first that the SGX TCB reaches; TDX components left aside */
    struct level newest;
    uint32_t newest_value;
};

static bool broken(struct verification *v)
{
    return check_missing(v->r, &format, NULL, NULL, "the TCB info is not of a known form");
}

static bool select_level(struct verification *v, const struct quote *q, const struct pck *pck,
                         struct intel_json *doc, bool v2, struct selection *s,
                         struct tcb_judgement *t)
{
    struct js *j = &doc->json;
    uint32_t levels = js_get(j, 0, "tcbLevels");

    *s = (struct selection){ .newest_value = js_first(j, levels) };
    if (js_type(j, levels) != JS_ARRAY)
        return broken(v);
    for (uint32_t e = s->newest_value; e != JS_ABSENT; e = js_next(j, levels, e)) {
        struct level l = { .pce_svn = 0 };

        if (!read_level(j, e, v2, q->tdx, &l))
            return broken(v);
        if (e == s->newest_value)
            s->newest = l;
        if (!reaches_sgx(pck, &l))
            continue;
        if (!s->sgx.json && !tcb_level_take(&s->sgx, j, e))
            return broken(v);
        if (q->td && !reaches(q->td->tee_tcb_svn, l.tdx, first_tdx_component(q->td->tee_tcb_svn)))
            continue;
        return tcb_level_take(&t->platform, j, e) || broken(v);
    }
    return true;
}

static void no_level(struct verification *v, const struct tcb_judgement *t)
{
    struct check check = level_checks[t->tdx];

    check.advice =
        arena_text(v->arena, "ask the host to update%s%s",
                   t->behind ? "; older than the newest level: " : "", t->behind ? t->behind : "");
    check_refused(v->r, &check, "a level of the TCB info", "older than all of them",
                  "the platform is older than every TCB level that Intel knows");
}

/* ---- The TDX module ---- */

/* The identity of that major version: "TDX_03". */
static uint32_t find_module(const struct js *j, uint8_t version)
{
    uint32_t all = js_get(j, 0, "tdxModuleIdentities");
    char upper[sizeof("TDX_00")], lower[sizeof("tdx_00")];

    snprintf(upper, sizeof(upper), "TDX_%02X", version);
    snprintf(lower, sizeof(lower), "TDX_%02x", version);
    for (uint32_t e = js_first(j, all); e != JS_ABSENT; e = js_next(j, all, e)) {
        uint32_t id = js_get(j, e, "id");

        if (js_string_is(j, id, upper) || js_string_is(j, id, lower))
            return e;
    }
    return JS_ABSENT;
}

/* Signer and attributes, which must also be zero: other SEAM modules are not for production. */
static bool module_is(struct verification *v, const struct bawn_td_report10 *td, const struct js *j,
                      uint32_t identity)
{
    struct bawn_bytes have = { td->mrsigner_seam, sizeof(td->mrsigner_seam) };
    struct bawn_bytes attributes = { td->seam_attributes, sizeof(td->seam_attributes) };
    struct bawn_bytes signer, want, mask;

    if (!js_hex(j, js_get(j, identity, "mrsigner"), &signer) || signer.len != have.len ||
        !js_hex(j, js_get(j, identity, "attributes"), &want) || want.len != attributes.len ||
        !js_hex(j, js_get(j, identity, "attributesMask"), &mask) || mask.len != want.len)
        return broken(v);
    if (!bytes_equal(have, signer))
        return check_refused(v->r, &module_identity, arena_hex(v->arena, signer),
                             arena_hex(v->arena, have), "the TDX module's signer is another");
    for (size_t i = 0; i < want.len; i++)
        if ((attributes.data[i] & mask.data[i]) != want.data[i] || attributes.data[i])
            return check_refused(v->r, &module_identity, arena_hex(v->arena, want),
                                 arena_hex(v->arena, attributes),
                                 "the TDX module's attributes are others");
    return check_passed(v->r, &module_identity);
}

static bool judge_module(struct verification *v, const struct bawn_td_report10 *td,
                         struct intel_json *doc, struct tcb_judgement *t)
{
    uint8_t svn = td->tee_tcb_svn[0], version = td->tee_tcb_svn[1];
    struct js *j = &doc->json;
    uint32_t identity, levels;
    uint64_t newest;

    t->module_needed = version != 0;
    if (!version)
        return module_is(v, td, j, js_get(j, 0, "tdxModule"));
    identity = find_module(j, version);
    if (identity == JS_ABSENT)
        return check_refused(v->r, &module_identity, arena_text(v->arena, "TDX_%02X", version),
                             NULL, "the TCB info knows no TDX module of major version %u", version);
    if (!module_is(v, td, j, identity))
        return false;
    levels = js_get(j, identity, "tcbLevels");
    if (!tcb_level_by_isvsvn(&t->module, j, levels, svn))
        return broken(v);
    if (js_uint(j, js_get(j, js_get(j, js_first(j, levels), "tcb"), "isvsvn"), &newest) &&
        svn < newest)
        tcb_note_behind(v, t, "TDX module ISVSVN", svn, newest);
    if (!t->module.json)
        return check_refused(v->r, &module_level, NULL, arena_text(v->arena, "ISVSVN %u", svn),
                             "the TDX module is older than every TCB level that Intel knows");
    return check_passed(v->r, &module_level);
}

/* ---- Relaunch: DCAP Quote Verification Library, 4.1.2.4.17.4.3 ---- */

/* Only the TDX module was out of date when the TD was launched, and it is the newest now: the
 * host did its part. */
static bool relaunch_helps(const struct quote *q, const struct intel_json *doc,
                           const struct selection *s, const struct tcb_judgement *t)
{
    const struct js *j = &doc->json;
    const uint8_t *svn = q->td15->tee_tcb_svn_2;
    uint64_t newest = s->newest.tdx[0];

    if (s->sgx.status < TCB_UP_TO_DATE || s->sgx.status >= TCB_OUT_OF_DATE ||
        t->platform.status == TCB_REVOKED || t->module.status != TCB_OUT_OF_DATE ||
        t->qe.status != TCB_UP_TO_DATE || svn[2] < s->newest.tdx[2])
        return false;
    if (svn[1]) {
        uint32_t levels = js_get(j, find_module(j, svn[1]), "tcbLevels");

        if (!js_uint(j, js_get(j, js_get(j, js_first(j, levels), "tcb"), "isvsvn"), &newest))
            return false;
    }
    return svn[0] >= newest;
}

/* ---- All of it ---- */

static bool read_form(struct verification *v, const struct quote *q, const struct intel_json *doc,
                      bool *v2)
{
    const struct js *j = &doc->json;
    uint64_t version, type;

    if (!js_uint(j, js_get(j, 0, "version"), &version) ||
        !js_uint(j, js_get(j, 0, "tcbType"), &type))
        return broken(v);
    *v2 = version == 2 && !q->tdx;
    if (version != 3 && !*v2)
        return check_missing(v->r, &format, q->tdx ? "3" : "2 or 3",
                             arena_text(v->arena, "%llu", (unsigned long long)version),
                             "the TCB info is of a version that is not known here");
    if (type != 0)
        return check_missing(v->r, &format, "0",
                             arena_text(v->arena, "%llu", (unsigned long long)type),
                             "the TCB info's tcbType is not known here");
    return check_passed(v->r, &format);
}

void tcb_info_judge(struct verification *v, const struct quote *q, const struct pck *pck,
                    struct tcb_signer *signer, struct tcb_judgement *t)
{
    struct intel_json *doc = arena_alloc(v->arena, sizeof(*doc));
    struct selection s;
    bool v2 = false;

    if (!doc || !choose(v, q, pck, doc) || !intel_json_judge(v, doc, &kind, signer) ||
        !read_form(v, q, doc, &v2))
        return;
    claim_uint(v->r, q->tdx ? "tdx.tcb_evaluation_data_number" : "sgx.tcb_evaluation_data_number",
               doc->evaluation);
    if (!select_level(v, q, pck, doc, v2, &s, t))
        return;
    if (!t->platform.json || t->platform.status >= TCB_OUT_OF_DATE)
        note_behind(v, q, pck, doc, s.newest_value, &s.newest, t);
    if (!t->platform.json)
        no_level(v, t);
    else
        check_passed(v->r, &level_checks[t->tdx]);
    if (!q->td || !judge_module(v, q->td, doc, t))
        return;
    if (q->td15 && t->platform.json)
        t->relaunch = relaunch_helps(q, doc, &s, t);
}

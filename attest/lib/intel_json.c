// SPDX-License-Identifier: Apache-2.0
/*
 * What TCB info and QE identity have in common: JSON with dates, signed by Intel's TCB signing
 * key, whose certificate the root signed. The JSON is hostile until its signature holds.
 * Format: Intel PCS API v4.
 */
#include "attest/lib/quote.h"

#include <string.h>

#define SIGNER_NAME "Intel SGX TCB Signing"
#define SIGNATURE_SIZE 64 /* r || s of ECDSA P-256 */
#define SIGNERS_TRIED 16  /* certificates of that name; Intel has two */

/* ---- Dates ---- */

/* Two to four decimal digits. */
static bool digits(struct bawn_cursor *c, unsigned n, unsigned max, unsigned *out)
{
    unsigned value = 0;

    while (n--) {
        uint8_t d = bawn_cursor_u8(c);

        if (d < '0' || d > '9')
            return false;
        value = value * 10 + (d - '0');
    }
    *out = value;
    return value <= max;
}

static bool is_leap(unsigned year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static unsigned days_in_month(unsigned year, unsigned month)
{
    static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Days from 1970-01-01 to the first day of the year, from 1970 on. */
static int64_t days_before_year(unsigned year)
{
    unsigned y = year - 1;

    return (int64_t)365 * (year - 1970) + (y / 4 - y / 100 + y / 400) - 477;
}

bool iso_time(struct bawn_bytes text, int64_t *out)
{
    struct bawn_cursor c = bawn_cursor_over(text.data, text.len);
    unsigned year, month, day, hour, minute, second;
    int64_t days;

    if (!digits(&c, 4, 9999, &year) || bawn_cursor_u8(&c) != '-' || !digits(&c, 2, 12, &month) ||
        bawn_cursor_u8(&c) != '-' || !digits(&c, 2, 31, &day) || bawn_cursor_u8(&c) != 'T' ||
        !digits(&c, 2, 23, &hour) || bawn_cursor_u8(&c) != ':' || !digits(&c, 2, 59, &minute) ||
        bawn_cursor_u8(&c) != ':' || !digits(&c, 2, 59, &second) || bawn_cursor_u8(&c) != 'Z' ||
        c.failed || bawn_cursor_left(&c))
        return false;
    if (year < 1970 || !month || !day || day > days_in_month(year, month))
        return false;
    days = days_before_year(year) + day - 1;
    for (unsigned m = 1; m < month; m++)
        days += days_in_month(year, m);
    *out = ((days * 24 + hour) * 60 + minute) * 60 + second;
    return true;
}

/* ---- Reading ---- */

static bool date(const struct js *j, const char *key, int64_t *out)
{
    struct bawn_bytes text;

    return js_string(j, js_get(j, 0, key), &text) && iso_time(text, out);
}

bool intel_json_parse(struct verification *v, struct intel_json *out,
                      const struct signed_json *text)
{
    *out = (struct intel_json){ .text = text };
    if (!js_parse(&out->json, v->arena, text->body) ||
        !date(&out->json, "issueDate", &out->issued) ||
        !date(&out->json, "nextUpdate", &out->next_update))
        return false;
    js_uint(&out->json, js_get(&out->json, 0, "tcbEvaluationDataNumber"), &out->evaluation);
    return true;
}

static bool valid_at(const struct intel_json *doc, int64_t at)
{
    return doc->issued <= at && at <= doc->next_update;
}

const char *intel_json_others(struct verification *v, size_t n)
{
    return n ? arena_text(v->arena, "%zu other%s", n, n == 1 ? "" : "s") : "nothing";
}

bool intel_json_better(const struct intel_json *a, const struct intel_json *b, int64_t at)
{
    if (valid_at(a, at) != valid_at(b, at))
        return valid_at(a, at);
    if (a->evaluation != b->evaluation)
        return a->evaluation > b->evaluation;
    return a->issued > b->issued;
}

/* ---- Judging ---- */

static const struct check signer_present = {
    .name = "tcb-signing.present",
    .claim = "tcb_signing",
    .source = "Intel PCS API v4, TCB-Info-Issuer-Chain",
    .how = "the certificate of Intel's TCB signing key is given",
    .advice = "give the issuer chain that the PCS sends as a header with TCB info and QE identity",
};

static const struct check signer_chain = {
    .name = "tcb-signing.chain",
    .claim = "tcb_signing",
    .source = "PCK Certificate Profile, 1.2; RFC 5280, 6.1",
    .how = "the TCB signing certificate is signed by the trusted root itself",
    .advice = "fetch TCB info and QE identity, with their issuer chains, anew from Intel's PCS",
};

static const struct check signer_validity = {
    .name = "tcb-signing.validity",
    .claim = "tcb_signing",
    .source = "RFC 5280, 6.1.3",
    .how = "the TCB signing certificate is valid at the time of judgement",
    .advice = "judge at a time when it was valid (--at), or fetch new collateral from the PCS",
};

static const struct check signer_revocation = {
    .name = "tcb-signing.revocation",
    .claim = "tcb_signing",
    .source = "PCK Certificate Profile, 1.4; RFC 5280, 6.3",
    .how = "the TCB signing certificate is not on the root's CRL",
    .advice = "the root's CRL is at https://certificates.trustedservices.intel.com/"
              "IntelSGXRootCA.der",
};

static const struct chain_rules signer_rules = {
    .what = "TCB signing certificate",
    .link = &signer_chain,
    .validity = &signer_validity,
    .revocation = &signer_revocation,
    .crl = CRL_REQUIRED,
    .leaf_key = KEY_P256,
    .alg = { .scheme = SIG_ECDSA, .hash = HASH_SHA256 },
    .max_intermediates = 0,
};

static bool signed_by(struct verification *v, const struct x509 *cert, const struct signed_json *s)
{
    return s->signature.len == SIGNATURE_SIZE && cert->key.type == KEY_P256 &&
           sig_verify_raw_kept(v->cache, &cert->key, HASH_SHA256, s->body, s->signature.data,
                               s->signature.data + SIGNATURE_SIZE / 2);
}

/* The signing certificate among the endorsements that made the signature: one that is valid at
 * the time of judgement if there is such. *any: there is a signing certificate at all. */
static const struct x509 *find_signer(struct verification *v, const struct signed_json *s,
                                      bool *any)
{
    const struct x509 *cert = v->end.certs.items;
    unsigned tries = 0;

    for (int in_time = 1; in_time >= 0; in_time--) {
        for (size_t i = 0; i < v->end.certs.n && tries < SIGNERS_TRIED; i++) {
            if (!bytes_are(cert[i].common_name, SIGNER_NAME) ||
                (cert[i].not_before <= v->at && v->at <= cert[i].not_after) != in_time)
                continue;
            *any = true;
            tries++;
            if (signed_by(v, &cert[i], s))
                return &cert[i];
        }
    }
    return NULL;
}

bool intel_json_judge(struct verification *v, const struct intel_json *doc,
                      const struct intel_json_kind *kind, struct tcb_signer *signer)
{
    bool any = false;
    const struct x509 *cert = find_signer(v, doc->text, &any);
    struct chain chain;

    if (!any)
        return check_missing(v->r, &signer_present, SIGNER_NAME, NULL,
                             "no TCB signing certificate is given, so that %s cannot be checked",
                             kind->what);
    if (!cert)
        return check_refused(v->r, kind->signature, NULL, NULL,
                             "the signature of %s does not verify", kind->what);
    check_passed(v->r, kind->signature);
    if (cert != signer->cert) {
        check_passed(v->r, &signer_present);
        signer->cert = cert;
        chain_verify(v, cert, &signer_rules, &chain);
        signer->rooted = chain.n != 0;
    }
    if (doc->issued > v->at)
        check_missing(v->r, kind->validity, arena_time(v->arena, v->at),
                      arena_time(v->arena, doc->issued),
                      "%s was issued after the time of judgement", kind->what);
    else if (doc->next_update < v->at)
        check_missing(v->r, kind->validity, arena_time(v->arena, v->at),
                      arena_time(v->arena, doc->next_update),
                      "%s is stale: it was to be renewed before the time of judgement", kind->what);
    else
        check_passed(v->r, kind->validity);
    return signer->rooted;
}

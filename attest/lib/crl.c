// SPDX-License-Identifier: Apache-2.0
/*
 * Revocation of a chain's certificates. A CRL counts when its issuer's key, which the chain
 * vouches for, signed it. One that lists a certificate refuses it however old it is; that a
 * certificate is not listed says something only while the CRL is in force. RFC 5280, section 6.3.
 *
 * Of whom a CRL is expected: of every issuer in the chain that may sign one. AMD's ASK and ASVK
 * may not (their key usage is keyCertSign alone), so a VCEK has none, and the ARK's is enough.
 */
#include "attest/lib/chain_parts.h"

/* CRLs of one issuer's name that are looked at. More are no service to anyone. */
#define CRLS_PER_ISSUER 256

/* What is known of one issuer's CRLs, worst first. */
enum crl_state {
    CRL_ABSENT,
    CRL_FORGED,  /* with its name, not signed by it */
    CRL_MAY_NOT, /* its key usage does not allow it to sign CRLs */
    CRL_NOT_YET, /* this_update is in the future */
    CRL_STALE,   /* next_update has passed */
    CRL_IN_FORCE,
    CRL_TOO_MANY, /* not all were looked at */
};

struct crl_view {
    enum crl_state state;
    int64_t time; /* of CRL_NOT_YET and CRL_STALE: when */
};

static bool may_sign_crls(const struct x509 *cert)
{
    return !cert->has_key_usage || (cert->key_usage & KU_CRL_SIGN);
}

static struct crl_view judge_crl(struct verification *v, const struct chain_rules *rules,
                                 const struct x509_crl *crl, const struct x509 *issuer)
{
    if (!chain_alg_fits(rules, &crl->alg) ||
        !sig_verify(v->cache, &issuer->key, &crl->alg, crl->tbs, crl->signature))
        return (struct crl_view){ CRL_FORGED, 0 };
    if (!may_sign_crls(issuer))
        return (struct crl_view){ CRL_MAY_NOT, 0 };
    if (v->at < crl->this_update)
        return (struct crl_view){ CRL_NOT_YET, crl->this_update };
    if (v->at > crl->next_update)
        return (struct crl_view){ CRL_STALE, crl->next_update };
    return (struct crl_view){ CRL_IN_FORCE, 0 };
}

/* Looks at all CRLs of the issuer. False: one lists the certificate, and that was said. */
static bool look_up(struct verification *v, const struct chain_rules *rules,
                    const struct chain *chain, unsigned i, struct crl_view *best)
{
    const struct x509 *cert = chain->cert[i], *issuer = chain->cert[i + 1];
    const struct x509_crl *crls = v->end.crls.items;
    unsigned seen = 0;

    *best = (struct crl_view){ CRL_ABSENT, 0 };
    for (size_t k = 0; k < v->end.crls.n; k++) {
        struct crl_view view;
        int64_t since;

        if (!bytes_equal(crls[k].issuer, issuer->subject))
            continue;
        if (seen++ == CRLS_PER_ISSUER) {
            best->state = CRL_TOO_MANY;
            break;
        }
        view = judge_crl(v, rules, &crls[k], issuer);
        if (view.state != CRL_FORGED && x509_crl_lists(&crls[k], cert->serial, &since))
            return check_refused(v->r, rules->revocation, "not revoked",
                                 arena_text(v->arena, "revoked %s", arena_time(v->arena, since)),
                                 "%s has been revoked by %s", chain_name(v, rules, chain, cert),
                                 x509_label(v, issuer));
        if (view.state > best->state)
            *best = view;
    }
    return true;
}

/* What is wrong with the CRLs of an issuer, for people; NULL: nothing. */
static const char *complaint(struct verification *v, const struct chain_rules *rules,
                             const struct x509 *issuer, const struct crl_view *view)
{
    const char *name = x509_name_text(v->arena, issuer->subject);

    if (!may_sign_crls(issuer) && view->state != CRL_TOO_MANY)
        return rules->crl == CRL_WARN
                   ? NULL
                   : arena_text(v->arena, "%s may not sign CRLs by its key usage", name);
    switch (view->state) {
    case CRL_IN_FORCE:
        return NULL;
    case CRL_STALE:
        return arena_text(v->arena, "the CRL of %s was to be replaced by %s", name,
                          arena_time(v->arena, view->time));
    case CRL_NOT_YET:
        return arena_text(v->arena, "the CRL of %s is of %s, after the time of judgement", name,
                          arena_time(v->arena, view->time));
    case CRL_FORGED:
        return arena_text(v->arena, "the CRL in the name of %s is not signed by it", name);
    case CRL_TOO_MANY:
        return arena_text(v->arena, "more than %d CRLs of %s were given", CRLS_PER_ISSUER, name);
    default:
        return arena_text(v->arena, "no CRL of %s was given", name);
    }
}

bool chain_revocation(struct verification *v, const struct chain_rules *rules,
                      const struct chain *chain)
{
    const char *complaints = NULL, *expected;
    bool ok = true, too_many = false;

    for (unsigned i = 0; i + 1 < chain->n; i++) {
        const struct x509 *issuer = chain->cert[i + 1];
        const char *one = NULL;
        struct crl_view view;

        if (!look_up(v, rules, chain, i, &view))
            ok = false;
        else if (view.state != CRL_IN_FORCE)
            one = complaint(v, rules, issuer, &view);
        too_many |= view.state == CRL_TOO_MANY;
        if (one)
            complaints = complaints ? arena_text(v->arena, "%s; %s", complaints, one) : one;
    }
    if (!complaints)
        return ok && check_passed(v->r, rules->revocation);
    expected = arena_text(v->arena, "CRLs in force at %s", arena_time(v->arena, v->at));
    /* Too many are never passed over: a guest could hide the one that lists it behind them. */
    if (rules->crl == CRL_REQUIRED || too_many)
        return check_missing(v->r, rules->revocation, expected, complaints,
                             "it is not known whether the %s was revoked: %s", rules->what,
                             complaints);
    check_warned(v->r, rules->revocation, expected, complaints,
                 "it was not checked whether the %s or a CA above it was revoked: %s", rules->what,
                 complaints);
    return ok;
}

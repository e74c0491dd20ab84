// SPDX-License-Identifier: Apache-2.0
/*
 * Certificate chains. First a path is sought from the leaf to a root of the trust, along issuer
 * names and signatures that verify; then the path found is judged: CA flags, key usage, path
 * lengths, times. Revocation is in crl.c. Only the roots are trusted: whatever else is at hand is a
 * hint, and how much of it is tried is bounded. RFC 5280, section 6.
 */
#include "attest/lib/chain_parts.h"

#include <string.h>

#define TRIES_PER_LEVEL 8 /* issuers of the right name, for one certificate */
#define TRIES_PER_CHAIN 24

/* Why a path ended short of a root, least telling first. */
enum dead_end {
    DEAD_NONE,
    DEAD_NO_ISSUER,
    DEAD_TOO_LONG,
    DEAD_ALGORITHM,
    DEAD_SIGNATURE,
    DEAD_TOO_MANY,
    DEAD_UNTRUSTED_ROOT,
};

struct search {
    struct verification *v;
    const struct chain_rules *rules;
    struct chain *path;
    size_t next[CHAIN_MAX]; /* candidate to try next as the issuer of path->cert[i] */
    unsigned tries[CHAIN_MAX], all_tries;
    /* The best reason so far: of the longest path, and there the most telling. */
    enum dead_end why;
    unsigned depth;
    const struct x509 *child, *issuer;
};

/* ---- Names for people ---- */

const char *chain_name(struct verification *v, const struct chain_rules *rules,
                       const struct chain *chain, const struct x509 *cert)
{
    const char *label = x509_label(v, cert);

    return cert == chain->cert[0] ? arena_text(v->arena, "the %s (%s)", rules->what, label) : label;
}

static const char *alg_text(struct verification *v, const struct sig_alg *alg)
{
    switch (alg->scheme) {
    case SIG_ECDSA:
        return arena_text(v->arena, "ECDSA with %s", hash_name(alg->hash));
    case SIG_RSA_PKCS1:
        return arena_text(v->arena, "RSA PKCS #1 v1.5 with %s", hash_name(alg->hash));
    case SIG_RSA_PSS:
        return arena_text(v->arena, "RSA-PSS with %s and a salt of %d bytes", hash_name(alg->hash),
                          alg->salt);
    default:
        return "ECDSA, RSA or RSA-PSS with SHA-2";
    }
}

static const char *key_text(enum key_type type)
{
    static const char *const names[] = {
        [KEY_NONE] = "no key",    [KEY_RSA] = "RSA key",    [KEY_P256] = "P-256 key",
        [KEY_P384] = "P-384 key", [KEY_P521] = "P-521 key",
    };

    return names[type];
}

/* ---- The search ---- */

bool chain_alg_fits(const struct chain_rules *rules, const struct sig_alg *alg)
{
    const struct sig_alg *want = &rules->alg;

    if (want->scheme == SIG_NONE)
        return alg->hash >= HASH_SHA256;
    return alg->scheme == want->scheme && alg->hash == want->hash &&
           (alg->scheme != SIG_RSA_PSS || want->salt < 0 || alg->salt == want->salt);
}

/* All that could be an issuer: the roots, what is compiled in with them, what was given. */
static const struct x509 *candidate(const struct verification *v, size_t i,
                                    const struct trust_root **root)
{
    const struct bawn_trust *t = v->trust;

    *root = NULL;
    if (i < t->nr_roots) {
        *root = &t->roots[i];
        return &t->roots[i].cert;
    }
    i -= t->nr_roots;
    if (i < t->nr_intermediates)
        return &t->intermediates[i];
    i -= t->nr_intermediates;
    return i < v->end.certs.n ? (const struct x509 *)v->end.certs.items + i : NULL;
}

static bool may_sign_certs(const struct x509 *cert)
{
    return cert->is_ca && (!cert->has_key_usage || (cert->key_usage & KU_KEY_CERT_SIGN));
}

/* Whether an issuer would pass the judgement to come: those that would are tried first. */
static bool promising(const struct verification *v, const struct x509 *issuer)
{
    return may_sign_certs(issuer) && issuer->not_before <= v->at && v->at <= issuer->not_after;
}

static bool key_ids_agree(struct bawn_bytes authority, struct bawn_bytes subject)
{
    return !authority.len || !subject.len || bytes_equal(authority, subject);
}

static bool same_key_and_name(const struct x509 *a, const struct x509 *b)
{
    return bytes_equal(a->subject, b->subject) && bytes_equal(a->spki, b->spki);
}

/* A copy of a root, or what is on the path already, leads nowhere new. */
static bool known_already(const struct search *s, const struct x509 *cert)
{
    for (size_t i = 0; i < s->v->trust->nr_roots; i++) {
        if (same_key_and_name(cert, &s->v->trust->roots[i].cert))
            return true;
    }
    for (unsigned i = 0; i < s->path->n; i++) {
        if (bytes_equal(cert->der, s->path->cert[i]->der))
            return true;
    }
    return false;
}

/* The next certificate that may have issued the path's last one; NULL: no more. Goes through
 * all candidates twice, the promising ones first. */
static const struct x509 *next_issuer(struct search *s, const struct trust_root **root)
{
    const struct verification *v = s->v;
    const struct x509 *child = s->path->cert[s->path->n - 1];
    size_t all = v->trust->nr_roots + v->trust->nr_intermediates + v->end.certs.n;

    for (size_t *i = &s->next[s->path->n - 1]; *i < 2 * all;) {
        bool first_round = *i < all;
        const struct x509 *cert = candidate(v, first_round ? *i : *i - all, root);

        ++*i;
        if (bytes_equal(cert->subject, child->issuer) && promising(v, cert) == first_round &&
            key_ids_agree(child->authority_key_id, cert->subject_key_id) &&
            (*root || !known_already(s, cert)))
            return cert;
    }
    return NULL;
}

/* Notes why a path of that length ends at its last certificate, the child. */
static void note(struct search *s, enum dead_end why, unsigned depth, const struct x509 *child,
                 const struct x509 *issuer)
{
    if (depth < s->depth || (depth == s->depth && why <= s->why))
        return;
    s->depth = depth;
    s->why = why;
    s->child = child;
    s->issuer = issuer;
}

static bool is_own_issuer(const struct x509 *cert)
{
    return bytes_equal(cert->issuer, cert->subject);
}

/* Whether the path's last certificate was signed by that issuer, as far as tries last. */
static bool signed_by(struct search *s, const struct x509 *issuer)
{
    unsigned last = s->path->n - 1;
    const struct x509 *child = s->path->cert[last];

    if (s->tries[last] == TRIES_PER_LEVEL || s->all_tries == TRIES_PER_CHAIN) {
        note(s, DEAD_TOO_MANY, s->path->n, child, issuer);
        return false;
    }
    s->tries[last]++;
    s->all_tries++;
    if (!sig_verify(s->v->cache, &issuer->key, &child->alg, child->tbs, child->signature)) {
        note(s, DEAD_SIGNATURE, s->path->n, child, issuer);
        return false;
    }
    return true;
}

/* Tries one issuer of the path's last certificate; true: the path has grown by it. */
static bool extend(struct search *s, const struct x509 *issuer, const struct trust_root *root)
{
    struct chain *path = s->path;
    bool end = !root && is_own_issuer(issuer);
    unsigned intermediates = path->n - 1;

    if (!root && !end &&
        (intermediates >= s->rules->max_intermediates || path->n + 1 >= CHAIN_MAX)) {
        note(s, DEAD_TOO_LONG, path->n, path->cert[path->n - 1], issuer);
        return false;
    }
    if (!signed_by(s, issuer))
        return false;
    if (end) {
        note(s, DEAD_UNTRUSTED_ROOT, path->n + 1, issuer, NULL);
        return false;
    }
    if (!root && !chain_alg_fits(s->rules, &issuer->alg)) {
        note(s, DEAD_ALGORITHM, path->n + 1, issuer, NULL);
        return false;
    }
    path->cert[path->n] = issuer;
    s->next[path->n] = 0;
    s->tries[path->n] = 0;
    path->n++;
    path->root = root;
    return true;
}

/* The path's last certificate has no more issuers to try. */
static void give_up_last(struct search *s)
{
    const struct x509 *last = s->path->cert[s->path->n - 1];

    if (!s->tries[s->path->n - 1])
        note(s, is_own_issuer(last) ? DEAD_UNTRUSTED_ROOT : DEAD_NO_ISSUER, s->path->n, last, NULL);
    s->path->n--;
}

/* Depth first, without recursion: a path of at most CHAIN_MAX that grows and shrinks. */
static bool find_path(struct search *s)
{
    struct chain *path = s->path;

    if (!chain_alg_fits(s->rules, &path->cert[0]->alg)) {
        note(s, DEAD_ALGORITHM, 1, path->cert[0], NULL);
        return false;
    }
    while (path->n) {
        const struct trust_root *root;
        const struct x509 *issuer = next_issuer(s, &root);

        if (!issuer)
            give_up_last(s);
        else if (extend(s, issuer, root) && root)
            return true;
    }
    return false;
}

/* ---- What the search says when it fails ---- */

static const struct trust_root *root_named(const struct verification *v, struct bawn_bytes name)
{
    for (size_t i = 0; i < v->trust->nr_roots; i++) {
        if (bytes_equal(v->trust->roots[i].cert.subject, name))
            return &v->trust->roots[i];
    }
    return NULL;
}

static bool refuse_untrusted_root(const struct search *s, const char *child)
{
    struct verification *v = s->v;
    bool alike = root_named(v, s->child->subject);

    if (s->child == s->path->cert[0])
        return check_refused(v->r, s->rules->link, "a certificate issued under a trusted root",
                             "self-signed", "%s is signed by itself", child);
    return check_refused(v->r, s->rules->link, "a trusted root", child,
                         "the chain of the %s ends at %s, which is not trusted%s", s->rules->what,
                         child, alike ? ": it has the name of a trusted root but another key" : "");
}

static bool report_dead_end(const struct search *s)
{
    struct verification *v = s->v;
    const struct check *link = s->rules->link;
    const char *child = chain_name(v, s->rules, s->path, s->child);
    const char *issuer =
        s->issuer ? x509_label(v, s->issuer) : x509_name_text(v->arena, s->child->issuer);

    switch (s->why) {
    case DEAD_UNTRUSTED_ROOT:
        return refuse_untrusted_root(s, child);
    case DEAD_SIGNATURE:
        return check_refused(v->r, link, arena_text(v->arena, "signed by %s", issuer),
                             "a signature that does not verify",
                             "the signature on %s was not made with the key of %s", child, issuer);
    case DEAD_ALGORITHM:
        return check_refused(v->r, link, alg_text(v, &s->rules->alg), alg_text(v, &s->child->alg),
                             "%s is signed with an algorithm that is not allowed there", child);
    case DEAD_TOO_LONG:
        return check_refused(
            v->r, link,
            arena_text(v->arena, "at most %u between it and a root", s->rules->max_intermediates),
            "more", "too many intermediate certificates stand above the %s", s->rules->what);
    case DEAD_TOO_MANY:
        return check_refused(v->r, link, arena_text(v->arena, "at most %d", TRIES_PER_LEVEL),
                             "more",
                             "too many certificates have the name of the issuer of %s (%s), and "
                             "none of those tried signed it",
                             child, x509_name_text(v->arena, s->child->issuer));
    default:
        return check_missing(v->r, link, arena_text(v->arena, "a certificate of %s", issuer),
                             "none", "the certificate of the issuer of %s (%s) was not given",
                             child, issuer);
    }
}

/* ---- The judgement of a path ---- */

/* RFC 5280, 6.1.4 (k) to (n); 4.2.1.3; 4.2.1.9 */
static bool judge_issuer(struct verification *v, const struct chain_rules *rules,
                         const struct chain *chain, unsigned i)
{
    const struct x509 *cert = chain->cert[i];
    unsigned below = i - 1; /* intermediates between it and the leaf */

    if (!cert->is_ca)
        return check_refused(v->r, rules->link, "a CA certificate", "not one",
                             "%s signed %s but is not a CA", x509_label(v, cert),
                             chain_name(v, rules, chain, chain->cert[i - 1]));
    if (!may_sign_certs(cert))
        return check_refused(v->r, rules->link, "key usage keyCertSign",
                             arena_text(v->arena, "key usage 0x%x", cert->key_usage),
                             "%s signed %s but its key usage does not allow that",
                             x509_label(v, cert), chain_name(v, rules, chain, chain->cert[i - 1]));
    if (cert->path_len >= 0 && below > (unsigned)cert->path_len)
        return check_refused(v->r, rules->link, arena_text(v->arena, "at most %d", cert->path_len),
                             arena_text(v->arena, "%u", below),
                             "there are more intermediate certificates below %s than its path "
                             "length allows",
                             x509_label(v, cert));
    return true;
}

static bool judge_leaf(struct verification *v, const struct chain_rules *rules,
                       const struct chain *chain)
{
    const struct x509 *leaf = chain->cert[0];

    if (leaf->is_ca)
        return check_refused(v->r, rules->link, "an end-entity certificate", "a CA certificate",
                             "%s is a CA certificate and may not sign evidence",
                             chain_name(v, rules, chain, leaf));
    if (rules->leaf_key != KEY_NONE && leaf->key.type != rules->leaf_key)
        return check_refused(v->r, rules->link, key_text(rules->leaf_key), key_text(leaf->key.type),
                             "%s has a key of the wrong kind", chain_name(v, rules, chain, leaf));
    return true;
}

/* RFC 5280, 4.1.2.5 */
static bool judge_validity(struct verification *v, const struct chain_rules *rules,
                           const struct chain *chain, const struct x509 *cert)
{
    if (v->at < cert->not_before)
        return check_refused(
            v->r, rules->validity,
            arena_text(v->arena, "not before %s", arena_time(v->arena, cert->not_before)),
            arena_time(v->arena, v->at), "%s is not yet valid", chain_name(v, rules, chain, cert));
    if (v->at > cert->not_after)
        return check_refused(
            v->r, rules->validity,
            arena_text(v->arena, "not after %s", arena_time(v->arena, cert->not_after)),
            arena_time(v->arena, v->at), "%s has expired", chain_name(v, rules, chain, cert));
    return true;
}

bool chain_verify(struct verification *v, const struct x509 *leaf, const struct chain_rules *rules,
                  struct chain *out)
{
    struct search s = { .v = v, .rules = rules, .path = out };
    bool links, valid = true, current;

    memset(out, 0, sizeof(*out));
    out->cert[0] = leaf;
    out->n = 1;
    if (!find_path(&s)) {
        bool ok = report_dead_end(&s);

        memset(out, 0, sizeof(*out));
        return ok;
    }
    if (!out->root->builtin && !v->r->foreign_root)
        v->r->foreign_root = arena_text(v->arena, "%s", out->root->name);
    links = judge_leaf(v, rules, out);
    for (unsigned i = 1; i < out->n; i++)
        links &= judge_issuer(v, rules, out, i);
    if (links)
        check_passed(v->r, rules->link);
    for (unsigned i = 0; i < out->n; i++)
        valid &= judge_validity(v, rules, out, out->cert[i]);
    if (valid)
        check_passed(v->r, rules->validity);
    current = chain_revocation(v, rules, out);
    return links && valid && current;
}

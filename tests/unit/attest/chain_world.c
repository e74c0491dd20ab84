// SPDX-License-Identifier: Apache-2.0
/*
 * The world that chains are judged in, for tests.
 */
#include "tests/unit/attest/chain_world.h"

const struct check link_check = { .name = "t.link", .advice = "get another" };
const struct check time_check = { .name = "t.validity", .advice = "wait" };
const struct check crl_check = { .name = "t.revocation", .advice = "fetch the CRL" };

static const struct chain_rules rules_required = {
    .what = "leaf",
    .link = &link_check,
    .validity = &time_check,
    .revocation = &crl_check,
    .crl = CRL_REQUIRED,
    .leaf_key = KEY_P256,
    .alg = { SIG_ECDSA, HASH_SHA256, 0 },
    .max_intermediates = 1,
};

void give_cert(struct world *w, const struct pki_cert *cert)
{
    size_t i = 0;

    while (w->certs[i])
        i++;
    assert_true(i + 1 < N(w->certs));
    w->certs[i] = &cert->der;
}

void new_ca(struct world *w, const struct pki_cert *ca)
{
    w->ca = ca;
    w->certs[0] = &ca->der;
}

void give_crl(struct world *w, const struct bawn_bytes *crl)
{
    size_t i = 0;

    while (w->crls[i])
        i++;
    assert_true(i + 1 < N(w->crls));
    w->crls[i] = crl;
}

void trust_in(struct world *w, const struct pki_cert *root)
{
    struct bawn_error err = { "" };

    bawn_trust_destroy(w->trust);
    if (bawn_trust_create(&w->trust, root ? &root->der : NULL, root ? 1 : 0, &err) != BAWN_OK)
        fail_msg("%s", err.msg);
}

void world_begin(struct world *w)
{
    memset(w, 0, sizeof(*w));
    w->pki = pki_create();
    w->r = bawn_attest_result_create();
    w->cache = bawn_attest_cache_create(64);
    w->rules = rules_required;
    w->at = PKI_NOW;
    assert_true(w->r && w->cache);
}

void world_end(struct world *w)
{
    bawn_attest_cache_destroy(w->cache);
    bawn_attest_result_destroy(w->r);
    bawn_trust_destroy(w->trust);
    pki_destroy(w->pki);
}

void good_world(struct world *w)
{
    world_begin(w);
    w->root = ISSUE(w, .cn = "Root", .ca = true);
    w->ca = ISSUE(w, .cn = "CA", .ca = true, .by = w->root, .path_limited = true);
    w->leaf = ISSUE(w, .cn = "Leaf", .by = w->ca);
    w->root_crl = CRL(w, .by = w->root);
    w->ca_crl = CRL(w, .by = w->ca);
    trust_in(w, w->root);
    give_cert(w, w->ca);
    give_crl(w, &w->root_crl);
    give_crl(w, &w->ca_crl);
}

void world_load(struct world *w, struct verification *v)
{
    struct bawn_error err = { "" };

    for (size_t i = 0; w->certs[i]; i++) {
        struct x509 *cert = list_add(v->arena, &v->end.certs, sizeof(*cert));

        if (x509_parse(cert, *w->certs[i], &err) != BAWN_OK)
            fail_msg("%s", err.msg);
    }
    for (size_t i = 0; w->crls[i]; i++) {
        struct x509_crl *crl = list_add(v->arena, &v->end.crls, sizeof(*crl));

        if (x509_crl_parse(crl, *w->crls[i], &err) != BAWN_OK)
            fail_msg("%s", err.msg);
    }
}

bool judge_once(struct world *w, struct bawn_bytes der, struct bawn_attest_cache *cache)
{
    struct verification v = {
        .trust = w->trust,
        .cache = cache,
        .r = w->r,
        .arena = &w->r->arena,
        .at = w->at,
    };
    struct bawn_error err = { "" };
    struct x509 *leaf;
    bool ok;

    result_reset(w->r);
    w->r->explain = true;
    leaf = arena_alloc(v.arena, sizeof(*leaf));
    if (x509_parse(leaf, der, &err) != BAWN_OK)
        fail_msg("%s", err.msg);
    world_load(w, &v);
    ok = chain_verify(&v, leaf, &w->rules, &w->chain);
    assert_int_equal(ok, result_clean(w->r));
    return ok;
}

/* All findings as text, to be compared. */
static char *print(const struct bawn_attest_result *r)
{
    const struct bawn_finding *f;
    size_t n = bawn_attest_result_findings(r, &f), size;
    char *text = NULL;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    for (size_t i = 0; i < n; i++)
        fprintf(out, "%d %s: %s [%s] [%s] %s\n", (int)f[i].level, f[i].check, f[i].text,
                f[i].expected, f[i].found, f[i].advice);
    fprintf(out, "foreign %s\n",
            bawn_attest_result_foreign_root(r) ? bawn_attest_result_foreign_root(r) : "-");
    fclose(out);
    return text;
}

bool judge_der(struct world *w, struct bawn_bytes der)
{
    struct arena arena = { 0 };
    struct bawn_attest_cache *temporary = cache_begin(NULL, w->trust->crypto, &arena);
    bool ok = judge_once(w, der, NULL);
    char *expected = print(w->r);

    for (int i = 0; i < 3; i++) {
        char *text;

        assert_int_equal(judge_once(w, der, i ? w->cache : temporary), ok);
        text = print(w->r);
        assert_string_equal(text, expected);
        free(text);
    }
    free(expected);
    cache_end(temporary, NULL);
    arena_free(&arena);
    return ok;
}

bool judge(struct world *w, const struct pki_cert *leaf)
{
    return judge_der(w, leaf->der);
}

size_t count_findings(const struct world *w, enum bawn_finding_level level)
{
    const struct bawn_finding *f;
    size_t n = bawn_attest_result_findings(w->r, &f), found = 0;

    for (size_t i = 0; i < n; i++)
        found += f[i].level == level;
    return found;
}

void world_says(const struct world *w, enum bawn_finding_level level, const struct check *check,
                const char *part, int line)
{
    const struct bawn_finding *f;
    size_t n = bawn_attest_result_findings(w->r, &f);

    for (size_t i = 0; i < n; i++) {
        if (f[i].level == level && !strcmp(f[i].check, check->name) && strstr(f[i].text, part))
            return;
    }
    for (size_t i = 0; i < n; i++)
        print_message("%d %s: %s\n", (int)f[i].level, f[i].check, f[i].text);
    fail_msg("line %d: nothing says \"%s\"", line, part);
}

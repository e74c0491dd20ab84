// SPDX-License-Identifier: Apache-2.0
/*
 * What verdicts rest on: the roots compiled in, or those that the caller gives. The caller is
 * trusted to choose them, not to have read them: each is parsed and checked like any
 * certificate. Not written to after creation, so threads share it.
 */
#include <stdlib.h>
#include <string.h>

#include "attest/lib/chain.h"
#include "attest/lib/roots.h"

/* A trust in the making. */
struct building {
    struct bawn_trust *trust;
    struct list roots, keys, intermediates;
    struct bawn_error *err;
};

bool root_is_builtin(struct bawn_bytes der)
{
    for (size_t i = 0; i < BUILTIN_CERTS; i++) {
        const struct builtin_cert *b = &builtin_certs[i];
        struct bawn_bytes known = { b->start, (size_t)(b->end - b->start) };

        if (b->root && bytes_equal(der, known))
            return true;
    }
    return false;
}

static enum bawn_status no_memory(struct building *b)
{
    return bawn_fail(b->err, BAWN_E_NOMEM, "no memory for the roots");
}

static enum bawn_status keep_root(struct building *b, const struct x509 *cert, bool builtin)
{
    struct arena *a = &b->trust->arena;
    struct trust_root *root = list_add(a, &b->roots, sizeof(*root));

    if (!root)
        return no_memory(b);
    root->cert = *cert;
    root->builtin = builtin;
    crypto_know(b->trust->crypto, &cert->key);
    root->name = x509_name_text(a, cert->subject);
    return BAWN_OK;
}

static enum bawn_status add_builtin(struct building *b)
{
    for (size_t i = 0; i < BUILTIN_CERTS; i++) {
        const struct builtin_cert *known = &builtin_certs[i];
        struct bawn_bytes der = { known->start, (size_t)(known->end - known->start) };
        enum bawn_status st;
        struct x509 cert;

        st = x509_parse(&cert, der, b->err);
        if (st == BAWN_OK && known->root) {
            st = keep_root(b, &cert, true);
        } else if (st == BAWN_OK) {
            struct x509 *kept = list_add(&b->trust->arena, &b->intermediates, sizeof(*kept));

            if (!kept)
                return no_memory(b);
            *kept = cert;
            crypto_know(b->trust->crypto, &cert.key);
        }
        if (st != BAWN_OK)
            return st;
    }
    return BAWN_OK;
}

/* RFC 5280, 6.1.1 (d): a trust anchor; that it signed itself shows that it is whole. */
static enum bawn_status check_root(const struct x509 *cert, size_t index, struct bawn_error *err)
{
    const char *wrong = NULL;

    if (!cert->is_ca)
        wrong = "is not a CA certificate";
    else if (cert->has_key_usage && !(cert->key_usage & KU_KEY_CERT_SIGN))
        wrong = "may not sign certificates, by its key usage";
    else if (!bytes_equal(cert->issuer, cert->subject))
        wrong = "is not self-signed: its issuer is another; give that one's root";
    else if (!sig_verify(NULL, &cert->key, &cert->alg, cert->tbs, cert->signature))
        wrong = "is damaged or not genuine: its own signature does not verify";
    return wrong ? bawn_fail(err, BAWN_E_FORMAT, "root %zu %s", index, wrong) : BAWN_OK;
}

static enum bawn_status add_der(struct building *b, struct bawn_bytes der, size_t index)
{
    struct arena *a = &b->trust->arena;
    struct bawn_error as_cert, as_key;
    struct trust_key *kept;
    struct pubkey key;
    struct x509 cert;

    der = arena_copy(a, der.data, der.len);
    if (a->failed)
        return no_memory(b);
    if (x509_parse(&cert, der, &as_cert) == BAWN_OK) {
        enum bawn_status st = check_root(&cert, index, b->err);

        return st == BAWN_OK ? keep_root(b, &cert, root_is_builtin(der)) : st;
    }
    if (pubkey_parse(&key, der, &as_key) != BAWN_OK)
        return bawn_fail(b->err, BAWN_E_FORMAT,
                         "root %zu is neither a CA certificate (%.200s) nor a public key (%.200s)",
                         index, as_cert.msg, as_key.msg);
    kept = list_add(a, &b->keys, sizeof(*kept));
    if (!kept)
        return no_memory(b);
    kept->spki = der;
    kept->key = key;
    return BAWN_OK;
}

const uint8_t bawn_trust_builtin[1];

static enum bawn_status add_given(struct building *b, struct bawn_bytes blob, size_t index)
{
    struct bawn_bytes label, der, text = blob;
    enum bawn_status st = BAWN_OK;
    unsigned blocks = 0;

    if (blob.data == bawn_trust_builtin)
        return add_builtin(b);
    while (st == BAWN_OK && pem_next(&b->trust->arena, &text, &label, &der)) {
        blocks++;
        if (!bytes_are(label, "CERTIFICATE") && !bytes_are(label, "X509 CERTIFICATE") &&
            !bytes_are(label, "PUBLIC KEY"))
            return bawn_fail(b->err, BAWN_E_FORMAT,
                             "root %zu: PEM block %u is not a CERTIFICATE or PUBLIC KEY", index,
                             blocks);
        if (!der.len)
            return bawn_fail(b->err, BAWN_E_FORMAT, "root %zu: PEM block %u is broken", index,
                             blocks);
        st = add_der(b, der, index);
    }
    return blocks || st != BAWN_OK ? st : add_der(b, blob, index);
}

enum bawn_status bawn_trust_create(struct bawn_trust **trust, const struct bawn_bytes *roots,
                                   size_t n, struct bawn_error *err)
{
    struct bawn_trust *t = calloc(1, sizeof(*t));
    struct building b = { .trust = t, .err = err };
    enum bawn_status st = BAWN_OK;

    *trust = NULL;
    if (!t)
        return no_memory(&b);
    t->crypto = crypto_create();
    if (!t->crypto)
        st = no_memory(&b);
    else if (!n)
        st = add_builtin(&b);
    for (size_t i = 0; st == BAWN_OK && i < n; i++)
        st = add_given(&b, roots[i], i + 1);
    if (st == BAWN_OK && t->arena.failed)
        st = no_memory(&b);
    if (st != BAWN_OK) {
        bawn_trust_destroy(t);
        return st;
    }
    t->roots = b.roots.items;
    t->nr_roots = b.roots.n;
    t->keys = b.keys.items;
    t->nr_keys = b.keys.n;
    t->intermediates = b.intermediates.items;
    t->nr_intermediates = b.intermediates.n;
    *trust = t;
    return BAWN_OK;
}

void bawn_trust_destroy(struct bawn_trust *trust)
{
    if (!trust)
        return;
    crypto_destroy(trust->crypto);
    arena_free(&trust->arena);
    free(trust);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Roots: those compiled in, and those that a caller brings, right and wrong.
 */
#include "tests/unit/attest/chain_world.h"

static enum bawn_status try_root(struct bawn_bytes blob, struct bawn_trust **trust, char *says)
{
    struct bawn_error err = { "" };
    enum bawn_status st = bawn_trust_create(trust, &blob, 1, &err);

    assert_int_equal(st == BAWN_OK, *trust != NULL);
    memcpy(says, err.msg, sizeof(err.msg));
    return st;
}

static void roots_given(void **state)
{
    const struct pki_cert *other, *rsa, *ca;
    struct bawn_bytes spki, pem;
    struct bawn_trust *trust;
    struct bawn_error err;
    char text[512];
    struct world w;

    (void)state;
    good_world(&w);
    other = ISSUE(&w, .cn = "Other \x01", .ca = true, .key_usage = PKI_KU_NONE);
    rsa = ISSUE(&w, .cn = "RSA", .ca = true, .kind = "RSA-2048");
    spki = pki_spki(w.pki, w.leaf->key);
    pem = PKI_CAT(w.pki, pki_pem(w.pki, "CERTIFICATE", other->der),
                  pki_pem(w.pki, "PUBLIC KEY", spki), pki_pem(w.pki, "X509 CERTIFICATE", rsa->der));
    assert_int_equal(
        bawn_trust_create(&trust, (struct bawn_bytes[]){ w.root->der, pem, spki }, 3, &err),
        BAWN_OK);
    assert_int_equal(trust->nr_roots, 3);
    assert_int_equal(trust->nr_keys, 2);
    assert_int_equal(trust->nr_intermediates, 0);
    assert_string_equal(trust->roots[0].name, "Root");
    assert_string_equal(trust->roots[1].name, "Other \\x01");
    assert_int_equal(trust->keys[0].key.type, KEY_P256);
    assert_false(trust->roots[0].builtin || trust->roots[1].builtin || trust->roots[2].builtin);
    bawn_trust_destroy(trust);

    assert_int_equal(try_root(w.leaf->der, &trust, text), BAWN_E_FORMAT);
    assert_non_null(strstr(text, "root 1 is not a CA certificate"));
    assert_int_equal(try_root(w.ca->der, &trust, text), BAWN_E_FORMAT);
    assert_non_null(strstr(text, "is not self-signed"));
    ca = ISSUE(&w, .cn = "Root", .ca = true, .sign_with = w.leaf->key);
    assert_int_equal(try_root(ca->der, &trust, text), BAWN_E_FORMAT);
    assert_non_null(strstr(text, "its own signature does not verify"));
    ca = ISSUE(&w, .cn = "Root", .ca = true, .key_usage = PKI_KU_CRL_SIGN);
    assert_int_equal(try_root(ca->der, &trust, text), BAWN_E_FORMAT);
    assert_non_null(strstr(text, "may not sign certificates"));
    assert_int_equal(try_root((struct bawn_bytes){ (const uint8_t *)"root", 4 }, &trust, text),
                     BAWN_E_FORMAT);
    assert_non_null(strstr(text, "neither a CA certificate"));
    assert_int_equal(try_root((struct bawn_bytes){ 0 }, &trust, text), BAWN_E_FORMAT);
    assert_int_equal(try_root(pki_pem(w.pki, "X509 CRL", w.root_crl), &trust, text), BAWN_E_FORMAT);
    assert_non_null(strstr(text, "PEM block 1 is not a CERTIFICATE or PUBLIC KEY"));
    pem = pki_pem(w.pki, "CERTIFICATE", w.root->der);
    assert_int_equal(try_root((struct bawn_bytes){ pem.data, pem.len / 2 }, &trust, text),
                     BAWN_E_FORMAT);
    assert_non_null(strstr(text, "PEM block 1 is broken"));
    for (size_t len = 0; len < w.root->der.len; len += 7)
        assert_int_equal(try_root(pki_bytes(w.pki, w.root->der.data, len), &trust, text),
                         BAWN_E_FORMAT);
    bawn_trust_destroy(NULL);
    world_end(&w);
}

/* A trust of keys alone has no roots: every chain is one to nowhere. */
static void no_roots(void **state)
{
    struct bawn_bytes spki;
    struct bawn_error err;
    struct world w;

    (void)state;
    good_world(&w);
    spki = pki_spki(w.pki, w.leaf->key);
    bawn_trust_destroy(w.trust);
    assert_int_equal(bawn_trust_create(&w.trust, &spki, 1, &err), BAWN_OK);
    missing(&w, w.leaf, &link_check, "(Root) was not given");
    give_cert(&w, w.root);
    refused(&w, w.leaf, &link_check, "ends at Root");
    world_end(&w);
}

/* What is compiled in is whole and signed by whom it should be. */
static void builtin_roots(void **state)
{
    static const char *const names[] = { "ARK-Milan", "ARK-Genoa", "ARK-Turin",
                                         "Intel SGX Root CA" };
    struct bawn_trust *trust;
    struct bawn_error err;

    (void)state;
    assert_int_equal(bawn_trust_create(&trust, NULL, 0, &err), BAWN_OK);
    assert_int_equal(trust->nr_roots, 4);
    assert_int_equal(trust->nr_intermediates, 6);
    assert_int_equal(trust->nr_keys, 0);
    for (size_t i = 0; i < 4; i++) {
        const struct x509 *c = &trust->roots[i].cert;

        assert_string_equal(trust->roots[i].name, names[i]);
        assert_true(trust->roots[i].builtin && root_is_builtin(c->der));
        assert_true(c->is_ca && (c->key_usage & KU_KEY_CERT_SIGN));
        assert_true(sig_verify(NULL, &c->key, &c->alg, c->tbs, c->signature));
    }
    for (size_t i = 0; i < 6; i++) {
        const struct x509 *c = &trust->intermediates[i], *root = &trust->roots[i % 3].cert;

        assert_false(root_is_builtin(c->der));
        assert_true(c->is_ca && c->path_len == 0);
        assert_true(sig_verify(NULL, &root->key, &c->alg, c->tbs, c->signature));
    }
    bawn_trust_destroy(trust);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roots_given),
        cmocka_unit_test(no_roots),
        cmocka_unit_test(builtin_roots),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What certificates are called: with a common name, without one, and without any name.
 */
#include "tests/unit/attest/pki.h"
#include "tests/unit/attest/scene.h"

/* A Name of attributes, of which each pair is an OID and a text. */
static struct bawn_bytes name(struct pki *pki, const char *const *pairs, size_t n)
{
    struct bawn_bytes rdns = { NULL, 0 };

    for (size_t i = 0; i < n; i++) {
        struct bawn_bytes pair =
            PKI_SEQUENCE(pki, pki_oid(pki, pairs[2 * i]), pki_text(pki, 0x0c, pairs[2 * i + 1]));

        rdns = PKI_CAT(pki, rdns, pki_tlv(pki, 0x31, pair));
    }
    return pki_tlv(pki, 0x30, rdns);
}

static void names(void **state)
{
    static const char *const pairs[] = {
        "2.5.4.6", "DE",       "2.5.4.10", "Exam\x1bple", "0.9.2342.19200300.100.1.25",
        "org",     "1.2.3.4",  "x",        "2.5.4.11",    "Lost",
        "2.5.4.3", "The name",
    };
    struct pki *pki = pki_create();
    struct arena arena = { 0 };

    (void)state;
    assert_string_equal(x509_name_text(&arena, name(pki, pairs, 6)), "The name");
    assert_string_equal(x509_name_text(&arena, name(pki, pairs, 5)),
                        "C=DE, O=Exam\\x1bple, DC=org, 1.2.3.4=x");
    assert_string_equal(x509_name_text(&arena, name(pki, pairs, 1)), "C=DE");
    assert_string_equal(x509_name_text(&arena, name(pki, pairs, 0)),
                        "a certificate without a name");
    arena_free(&arena);
    pki_destroy(pki);
}

static void hostile(void **state)
{
    static const char *const pairs[] = { "2.5.4.6", "DE", "2.5.4.10", "Example" };
    struct pki *pki = pki_create();
    struct bawn_bytes whole = name(pki, pairs, 2);
    struct arena arena = { 0 };

    (void)state;
    for (size_t i = 0; i < 2 * whole.len; i++) {
        struct blob b = blob_of(whole.data, i < whole.len ? i : whole.len);

        if (i >= whole.len)
            b.data[i - whole.len] ^= (uint8_t)(1u << i % 8);
        assert_true(*x509_name_text(&arena, bytes_of(&b)));
        blob_free(&b);
    }
    arena_free(&arena);
    pki_destroy(pki);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(names), cmocka_unit_test(hostile) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

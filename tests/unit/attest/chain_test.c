// SPDX-License-Identifier: Apache-2.0
/*
 * Certificate chains, from a PKI made for the test in which one thing at a time is wrong, and the
 * real ones of AMD and Intel.
 */
#include <pthread.h>

#include "tests/unit/attest/chain_world.h"

/* ---- A good chain ---- */

static void good(void **state)
{
    struct world w;

    (void)state;
    good_world(&w);
    assert_true(judge(&w, w.leaf));
    assert_int_equal(count_findings(&w, BAWN_FINDING_PASS), 3);
    assert_int_equal(count_findings(&w, BAWN_FINDING_WARNING), 0);
    assert_int_equal(w.chain.n, 3);
    assert_memory_equal(w.chain.cert[1]->der.data, w.ca->der.data, w.ca->der.len);
    assert_ptr_equal(w.chain.root, &w.trust->roots[0]);
    /* A root that the caller brought is said to be one. */
    assert_string_equal(bawn_attest_result_foreign_root(w.r), "Root");
    /* A root may sign a leaf itself. */
    assert_true(judge(&w, ISSUE(&w, .cn = "Direct", .by = w.root)));
    assert_int_equal(w.chain.n, 2);
    /* The root among the endorsements changes nothing. */
    give_cert(&w, w.root);
    assert_true(judge(&w, w.leaf));
    world_end(&w);
}

static void two_intermediates(void **state)
{
    const struct pki_cert *below, *leaf, *third, *leaf4;
    struct bawn_bytes crl;
    struct world w;

    (void)state;
    good_world(&w);
    w.rules.max_intermediates = 2;
    new_ca(&w,
           ISSUE(&w, .cn = "CA 1", .ca = true, .by = w.root, .path_limited = true, .path_len = 1));
    below = ISSUE(&w, .cn = "CA 2", .ca = true, .by = w.ca, .path_limited = true, .path_len = 0);
    leaf = ISSUE(&w, .cn = "Leaf", .by = below);
    give_cert(&w, below);
    w.ca_crl = CRL(&w, .by = w.ca);
    crl = CRL(&w, .by = below);
    give_crl(&w, &crl);
    assert_true(judge(&w, leaf));
    assert_int_equal(w.chain.n, 4);
    w.rules.max_intermediates = 1;
    refused(&w, leaf, &link_check, "too many intermediate certificates");
    assert_int_equal(w.chain.n, 0);
    /* Never more than two, whatever the rules say. */
    w.rules.max_intermediates = 9;
    third = ISSUE(&w, .cn = "CA 3", .ca = true, .by = below);
    leaf4 = ISSUE(&w, .cn = "Leaf", .by = third);
    give_cert(&w, third);
    refused(&w, leaf4, &link_check, "too many intermediate certificates");
    world_end(&w);
}

/* ---- Times ---- */

static void times(void **state)
{
    static const struct {
        const char *name;
        unsigned which; /* 0 leaf, 1 CA, 2 root */
    } cases[] = { { "the leaf (Leaf, serial", 0 }, { "CA, serial", 1 }, { "Root, serial", 2 } };

    (void)state;
    for (size_t i = 0; i < N(cases); i++) {
        for (int late = 0; late < 2; late++) {
            int64_t from[3] = { 0 }, until[3] = { 0 };
            struct world w;

            if (late)
                until[cases[i].which] = PKI_NOW - 1;
            else
                from[cases[i].which] = PKI_NOW + 1;
            good_world(&w);
            w.root =
                ISSUE(&w, .cn = "Root", .ca = true, .not_before = from[2], .not_after = until[2]);
            new_ca(&w, ISSUE(&w, .cn = "CA", .ca = true, .by = w.root, .not_before = from[1],
                             .not_after = until[1]));
            w.leaf =
                ISSUE(&w, .cn = "Leaf", .by = w.ca, .not_before = from[0], .not_after = until[0]);
            w.root_crl = CRL(&w, .by = w.root);
            w.ca_crl = CRL(&w, .by = w.ca);
            trust_in(&w, w.root);
            refused(&w, w.leaf, &time_check, late ? "has expired" : "is not yet valid");
            says(&w, REFUSED, &time_check, cases[i].name);
            says(&w, PASS, &link_check, "");
            /* The first and the last second are valid. */
            w.at = late ? PKI_NOW - 1 : PKI_NOW + 1;
            assert_true(judge(&w, w.leaf));
            world_end(&w);
        }
    }
}

/* ---- Links ---- */

static void signatures(void **state)
{
    EVP_PKEY *other;
    struct world w;

    (void)state;
    good_world(&w);
    other = pki_key(w.pki, NULL);
    refused(&w, ISSUE(&w, .cn = "Forged", .by = w.ca, .sign_with = other), &link_check,
            "the signature on the leaf (Forged, serial");
    says(&w, REFUSED, &link_check, "was not made with the key of CA");
    /* The CA's certificate is not the root's. */
    new_ca(&w, ISSUE(&w, .cn = "CA", .ca = true, .by = w.root, .sign_with = other));
    refused(&w, ISSUE(&w, .cn = "Leaf", .by = w.ca), &link_check, "the signature on CA, serial");
    world_end(&w);
}

static void algorithms(void **state)
{
    const struct pki_cert *ca384, *leaf;
    struct bawn_bytes crl;
    struct world w;

    (void)state;
    good_world(&w);
    refused(&w, ISSUE(&w, .cn = "Leaf", .by = w.ca, .sig = PKI_ECDSA_SHA384), &link_check,
            "is signed with an algorithm that is not allowed");
    refused(&w, ISSUE(&w, .cn = "Leaf", .by = w.ca, .kind = "P-384"), &link_check,
            "has a key of the wrong kind");
    refused(&w, ISSUE(&w, .cn = "Leaf", .by = w.ca, .kind = "RSA-2048"), &link_check,
            "has a key of the wrong kind");
    /* Of a link above the leaf too. */
    ca384 = ISSUE(&w, .cn = "CA 384", .ca = true, .by = w.root, .sig = PKI_ECDSA_SHA384);
    leaf = ISSUE(&w, .cn = "Leaf", .by = ca384);
    crl = CRL(&w, .by = ca384);
    give_cert(&w, ca384);
    give_crl(&w, &crl);
    refused(&w, leaf, &link_check, "CA 384");
    /* Any algorithm and key, when the rules say so. */
    w.rules.alg = (struct sig_alg){ 0 };
    w.rules.leaf_key = KEY_NONE;
    assert_true(judge(&w, leaf));
    assert_true(judge(&w, ISSUE(&w, .cn = "Leaf", .by = w.ca, .kind = "P-384")));
    world_end(&w);
}

/* AMD's form: RSA-PSS with SHA-384 and a salt of 48, and a P-384 leaf. */
static void pss(void **state)
{
    struct world w;

    (void)state;
    world_begin(&w);
    w.rules.crl = CRL_WARN;
    w.rules.leaf_key = KEY_P384;
    w.rules.alg = (struct sig_alg){ SIG_RSA_PSS, HASH_SHA384, 48 };
    w.root = ISSUE(&w, .cn = "ARK", .ca = true, .kind = "RSA-2048", .no_key_ids = true);
    new_ca(&w, ISSUE(&w, .cn = "ASK", .ca = true, .by = w.root, .kind = "RSA-2048",
                     .key_usage = PKI_KU_CERT_SIGN));
    w.leaf = ISSUE(&w, .cn = "VCEK", .by = w.ca, .kind = "P-384", .no_key_ids = true,
                   .serial_zero = true);
    w.root_crl = CRL(&w, .by = w.root);
    trust_in(&w, w.root);
    give_cert(&w, w.ca);
    give_crl(&w, &w.root_crl);
    assert_true(judge(&w, w.leaf));
    /* Nobody expects a CRL of an ASK that may not sign one. */
    assert_int_equal(count_findings(&w, BAWN_FINDING_WARNING), 0);
    says(&w, PASS, &crl_check, "");
    refused(&w, ISSUE(&w, .cn = "VCEK", .by = w.ca, .kind = "P-384", .sig = PKI_RSA_SHA384),
            &link_check, "is signed with an algorithm that is not allowed");
    world_end(&w);
}

static void ca_flags(void **state)
{
    const struct pki_cert *leaf;
    struct world w;

    (void)state;
    good_world(&w);
    refused(&w, w.ca, &link_check, "is a CA certificate and may not sign evidence");
    /* A leaf that signs. */
    new_ca(&w, ISSUE(&w, .cn = "CA", .by = w.root));
    leaf = ISSUE(&w, .cn = "Leaf", .by = w.ca);
    w.ca_crl = CRL(&w, .by = w.ca);
    refused(&w, leaf, &link_check, "but is not a CA");
    /* A CA for CRLs alone. */
    new_ca(&w, ISSUE(&w, .cn = "CA", .ca = true, .by = w.root, .key_usage = PKI_KU_CRL_SIGN));
    leaf = ISSUE(&w, .cn = "Leaf", .by = w.ca);
    w.ca_crl = CRL(&w, .by = w.ca);
    refused(&w, leaf, &link_check, "its key usage does not allow that");
    /* Without the extension a CA may do all. */
    new_ca(&w, ISSUE(&w, .cn = "CA", .ca = true, .by = w.root, .key_usage = PKI_KU_NONE));
    leaf = ISSUE(&w, .cn = "Leaf", .by = w.ca);
    w.ca_crl = CRL(&w, .by = w.ca);
    assert_true(judge(&w, leaf));
    world_end(&w);
}

static void path_lengths(void **state)
{
    const struct pki_cert *below, *leaf;
    struct bawn_bytes crl;
    struct world w;

    (void)state;
    good_world(&w);
    w.rules.max_intermediates = 2;
    /* w.ca allows none below it. */
    below = ISSUE(&w, .cn = "Below", .ca = true, .by = w.ca);
    leaf = ISSUE(&w, .cn = "Leaf", .by = below);
    crl = CRL(&w, .by = below);
    give_cert(&w, below);
    give_crl(&w, &crl);
    refused(&w, leaf, &link_check, "more intermediate certificates below CA, serial");
    /* The root's own limit. */
    w.root = ISSUE(&w, .cn = "Root", .ca = true, .path_limited = true);
    new_ca(&w, ISSUE(&w, .cn = "CA", .ca = true, .by = w.root));
    w.root_crl = CRL(&w, .by = w.root);
    w.ca_crl = CRL(&w, .by = w.ca);
    trust_in(&w, w.root);
    refused(&w, ISSUE(&w, .cn = "Leaf", .by = w.ca), &link_check,
            "more intermediate certificates below Root, serial");
    world_end(&w);
}

static void names(void **state)
{
    const struct pki_cert *leaf;
    struct world w;

    (void)state;
    good_world(&w);
    missing(&w, ISSUE(&w, .cn = "Leaf", .by = w.ca, .issuer_cn = "Someone"), &link_check,
            "the certificate of the issuer of the leaf");
    says(&w, MISSING, &link_check, "(Someone) was not given");
    /* The right name, but the key identifier of another key. */
    leaf = ISSUE(&w, .cn = "Leaf", .by = ISSUE(&w, .cn = "CA", .ca = true, .by = w.root));
    missing(&w, leaf, &link_check, "(CA) was not given");
    /* Nothing at hand. */
    w.certs[0] = NULL;
    missing(&w, w.leaf, &link_check, "(CA) was not given");
    world_end(&w);
}

/* Of several CAs with one name, the one whose key signed is found, wherever it stands. */
static void namesakes(void **state)
{
    (void)state;
    for (int place = 0; place < 4; place++) {
        struct world w;

        good_world(&w);
        memset(w.certs, 0, sizeof(w.certs));
        w.leaf = ISSUE(&w, .cn = "Leaf", .by = w.ca, .no_key_ids = true);
        for (int i = 0; i < 4; i++)
            give_cert(&w, i == place ? w.ca : ISSUE(&w, .cn = "CA", .ca = true, .by = w.root));
        assert_true(judge(&w, w.leaf));
        world_end(&w);
    }
}

/* Two certificates for one key: the one that serves is taken. */
static void renewed(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        const struct pki_cert *old, *bad;
        struct world w;

        good_world(&w);
        old = ISSUE(&w, .cn = "CA", .ca = true, .by = w.root, .key = w.ca->key,
                    .not_after = PKI_NOW - 1);
        bad = ISSUE(&w, .cn = "CA", .by = w.root, .key = w.ca->key);
        if (first)
            w.certs[0] = &old->der;
        give_cert(&w, bad);
        give_cert(&w, first ? w.ca : old);
        assert_true(judge(&w, w.leaf));
        /* A path that ends nowhere is left again. */
        memset(w.certs, 0, sizeof(w.certs));
        give_cert(&w, ISSUE(&w, .cn = "CA", .ca = true, .key = w.ca->key,
                            .by = ISSUE(&w, .cn = "X", .ca = true)));
        give_cert(&w, ISSUE(&w, .cn = "CA", .ca = true, .key = w.ca->key));
        give_cert(&w, w.ca);
        assert_true(judge(&w, w.leaf));
        world_end(&w);
    }
}

/* More namesakes than are tried: refused in bounded time, whatever would have come after. */
static void too_many_namesakes(void **state)
{
    struct world w;

    (void)state;
    good_world(&w);
    memset(w.certs, 0, sizeof(w.certs));
    w.leaf = ISSUE(&w, .cn = "Leaf", .by = w.ca, .no_key_ids = true);
    for (int i = 0; i < 8; i++)
        give_cert(&w, ISSUE(&w, .cn = "CA", .ca = true, .by = w.root));
    give_cert(&w, w.ca);
    refused(&w, w.leaf, &link_check,
            "too many certificates have the name of the issuer of the leaf");
    says(&w, REFUSED, &link_check, "(CA), and none of those tried signed it");
    /* One that fits less well is tried last. */
    w.certs[7] = w.certs[8];
    w.certs[8] = NULL;
    assert_true(judge(&w, w.leaf));
    world_end(&w);
}

static void not_under_a_root(void **state)
{
    const struct pki_cert *root, *ca, *leaf, *alone;
    struct world w;

    (void)state;
    good_world(&w);
    alone = ISSUE(&w, .cn = "Alone");
    refused(&w, alone, &link_check, "is signed by itself");
    give_cert(&w, alone);
    refused(&w, alone, &link_check, "is signed by itself");
    /* The trusted root's name, another key, all of the chain in the evidence. */
    root = ISSUE(&w, .cn = "Root", .ca = true);
    ca = ISSUE(&w, .cn = "CA", .ca = true, .by = root);
    leaf = ISSUE(&w, .cn = "Leaf", .by = ca);
    give_cert(&w, ca);
    give_cert(&w, root);
    refused(&w, leaf, &link_check, "has the name of a trusted root but another key");
    assert_int_equal(w.chain.n, 0);
    assert_null(bawn_attest_result_foreign_root(w.r));
    /* Also when its chain hides the identifiers by which it would be told apart. */
    root = ISSUE(&w, .cn = "Root", .ca = true, .no_key_ids = true);
    ca = ISSUE(&w, .cn = "CA", .ca = true, .by = root, .no_key_ids = true);
    leaf = ISSUE(&w, .cn = "Leaf", .by = ca, .no_key_ids = true);
    give_cert(&w, ca);
    give_cert(&w, root);
    assert_false(judge(&w, leaf));
    assert_int_equal(count_findings(&w, BAWN_FINDING_REFUSED), 1);
    /* A root of a name of its own. */
    root = ISSUE(&w, .cn = "Elsewhere", .ca = true);
    give_cert(&w, root);
    refused(&w, ISSUE(&w, .cn = "Leaf", .by = root), &link_check, "ends at Elsewhere, serial");
    world_end(&w);
}

/* The trusted root's key under a certificate that the root did not make: the root stands. */
static void root_reissued(void **state)
{
    const struct pki_cert *again;
    struct world w;

    (void)state;
    good_world(&w);
    again = ISSUE(&w, .cn = "Root", .ca = true, .key = w.root->key, .not_after = PKI_NOW - 5);
    give_cert(&w, again);
    assert_true(judge(&w, w.leaf));
    assert_ptr_equal(w.chain.cert[2], &w.trust->roots[0].cert);
    /* Nor does one that says more lend the root its dates. */
    w.root = ISSUE(&w, .cn = "Root", .ca = true, .not_after = PKI_NOW - 5);
    new_ca(&w, ISSUE(&w, .cn = "CA", .ca = true, .by = w.root));
    w.root_crl = CRL(&w, .by = w.root);
    w.ca_crl = CRL(&w, .by = w.ca);
    trust_in(&w, w.root);
    give_cert(&w, ISSUE(&w, .cn = "Root", .ca = true, .key = w.root->key));
    refused(&w, ISSUE(&w, .cn = "Leaf", .by = w.ca), &time_check, "Root, serial");
    world_end(&w);
}

static void loops(void **state)
{
    const struct pki_cert *a, *b, *leaf;
    EVP_PKEY *key_a, *key_b;
    struct world w;

    (void)state;
    good_world(&w);
    w.rules.max_intermediates = 2;
    key_a = pki_key(w.pki, NULL);
    key_b = pki_key(w.pki, NULL);
    /* A signed B, and B signed A. */
    b = ISSUE(&w, .cn = "B", .ca = true, .key = key_b, .issuer_cn = "A", .sign_with = key_a,
              .no_key_ids = true);
    a = ISSUE(&w, .cn = "A", .ca = true, .key = key_a, .by = b, .no_key_ids = true);
    leaf = ISSUE(&w, .cn = "Leaf", .by = a, .no_key_ids = true);
    give_cert(&w, a);
    give_cert(&w, b);
    assert_false(judge(&w, leaf));
    assert_int_equal(w.chain.n, 0);
    world_end(&w);
}

/* A mesh of cross-signed CAs has many paths and none to a root: it ends, and soon. */
static void mesh(void **state)
{
    struct world w;

    (void)state;
    good_world(&w);
    w.rules.max_intermediates = 2;
    for (int i = 0; i < 24; i++)
        give_cert(&w, ISSUE(&w, .cn = i & 1 ? "CA" : "CB", .ca = true, .key = w.ca->key,
                            .issuer_cn = i & 1 ? "CB" : "CA", .no_key_ids = true));
    w.leaf = ISSUE(&w, .cn = "Leaf", .sign_with = w.ca->key, .issuer_cn = "CB", .no_key_ids = true);
    assert_false(judge(&w, w.leaf));
    world_end(&w);
}

/* ---- Real chains ---- */

static struct bawn_bytes read_file(struct world *w, const char *path)
{
    static uint8_t data[1 << 16];
    FILE *f = fopen(path, "rb");
    size_t n;

    if (!f)
        fail_msg("cannot open %s", path);
    n = fread(data, 1, sizeof(data), f);
    fclose(f);
    return pki_bytes(w->pki, data, n);
}

#define SNP "tests/vectors/snp/"
#define AT_2026_09 1788220800 /* 2026-09-01, within AMD's CRLs */

static void amd_world(struct world *w)
{
    world_begin(w);
    trust_in(w, NULL);
    w->at = AT_2026_09;
    w->rules.what = "VCEK";
    w->rules.crl = CRL_WARN;
    w->rules.leaf_key = KEY_P384;
    w->rules.alg = (struct sig_alg){ SIG_RSA_PSS, HASH_SHA384, 48 };
}

static void amd(void **state)
{
    static const struct {
        const char *leaf, *crl, *root;
    } cases[] = {
        { SNP "milan-v2-vcek-7c614616.vcek.der", SNP "crl/milan.crl.der", "ARK-Milan" },
        { SNP "genoa-v3-vcek-227a641d.vcek.der", SNP "crl/genoa.crl.der", "ARK-Genoa" },
        { SNP "turin-v5-vcek-85da705e.vcek.der", SNP "crl/turin.crl.der", "ARK-Turin" },
        { SNP "milan-v3-vlek-decdab94.vlek.der", SNP "crl/milan.crl.der", "ARK-Milan" },
    };

    (void)state;
    for (size_t i = 0; i < N(cases); i++) {
        struct bawn_bytes leaf, crl;
        struct world w;

        amd_world(&w);
        leaf = read_file(&w, cases[i].leaf);
        crl = read_file(&w, cases[i].crl);
        w.at = 1740000000; /* 2025-02-19: every one of them is valid */
        if (i == 3)
            w.at = 1735689600;
        judge_der(&w, leaf);
        assert_int_equal(w.chain.n, 3);
        assert_string_equal(w.chain.root->name, cases[i].root);
        assert_null(bawn_attest_result_foreign_root(w.r));
        says(&w, WARNING, &crl_check, "no CRL of ARK-");
        give_crl(&w, &crl);
        w.at = AT_2026_09;
        judge_der(&w, leaf);
        assert_int_equal(count_findings(&w, BAWN_FINDING_WARNING), 0);
        says(&w, PASS, &crl_check, "");
        /* A day after the CRL's next update. */
        w.at = 1791158400;
        judge_der(&w, leaf);
        says(&w, WARNING, &crl_check, "was to be replaced by 2026-10-04T00:00:00Z");
        w.at = 0;
        assert_false(judge_der(&w, leaf));
        says(&w, REFUSED, &time_check, "is not yet valid");
        world_end(&w);
    }
}

static void amd_wrong(void **state)
{
    static const char *const altered[] = { SNP "test-vcek-invalid-new.der",
                                           SNP "test-vcek-invalid-legacy.der" };
    struct bawn_bytes leaf, turin_crl;
    struct world w;

    (void)state;
    amd_world(&w);
    for (size_t i = 0; i < N(altered); i++) {
        assert_false(judge_der(&w, read_file(&w, altered[i])));
        says(&w, REFUSED, &link_check, "was not made with the key of SEV-Milan, serial 010001");
    }
    /* Another product's CRL says nothing of this one. */
    turin_crl = read_file(&w, SNP "crl/turin.crl.der");
    give_crl(&w, &turin_crl);
    leaf = read_file(&w, SNP "milan-v2-vcek-7c614616.vcek.der");
    judge_der(&w, leaf);
    says(&w, WARNING, &crl_check, "no CRL of ARK-Milan was given");
    w.rules.leaf_key = KEY_P256;
    assert_false(judge_der(&w, leaf));
    says(&w, REFUSED, &link_check, "has a key of the wrong kind");
    world_end(&w);
}

/* AMD's root brought by the caller is the one compiled in, and its ASK then has to be given. */
static void amd_root_given(void **state)
{
    struct bawn_bytes leaf, ask, ark;
    struct bawn_error err;
    struct world w;

    (void)state;
    amd_world(&w);
    w.at = 1740000000;
    leaf = read_file(&w, SNP "milan-v2-vcek-7c614616.vcek.der");
    ark = read_file(&w, "attest/roots/ark-milan.der");
    ask = read_file(&w, "attest/roots/ask-milan.der");
    bawn_trust_destroy(w.trust);
    assert_int_equal(bawn_trust_create(&w.trust, &ark, 1, &err), BAWN_OK);
    assert_true(w.trust->roots[0].builtin);
    assert_false(judge_der(&w, leaf));
    says(&w, MISSING, &link_check, "(SEV-Milan) was not given");
    w.certs[0] = &ask;
    assert_true(judge_der(&w, leaf));
    assert_null(bawn_attest_result_foreign_root(w.r));
    world_end(&w);
}

/* Roots of the caller's stand beside the compiled-in ones when he says so, and only then. */
static void builtin_beside_given(void **state)
{
    struct bawn_bytes leaf, roots[2] = { BAWN_TRUST_BUILTIN, BAWN_TRUST_BUILTIN };
    struct bawn_bytes empty = { (const uint8_t *)"", 0 }, none = { NULL, 0 };
    struct bawn_trust *trust;
    struct bawn_error err;
    struct world w;

    (void)state;
    amd_world(&w);
    w.at = 1740000000;
    leaf = read_file(&w, SNP "milan-v2-vcek-7c614616.vcek.der");
    roots[0] = read_file(&w, "tests/vectors/tpm/akpub.pem");
    bawn_trust_destroy(w.trust);
    assert_int_equal(bawn_trust_create(&w.trust, roots, 2, &err), BAWN_OK);
    assert_int_equal(w.trust->nr_keys, 1);
    assert_true(judge_der(&w, leaf));
    assert_null(bawn_attest_result_foreign_root(w.r));
    assert_int_equal(bawn_trust_create(&trust, &empty, 1, &err), BAWN_E_FORMAT);
    assert_int_equal(bawn_trust_create(&trust, &none, 1, &err), BAWN_E_FORMAT);
    world_end(&w);
}

/* The PEM chain at the end of a quote: PCK, its CA, the root. */
static void intel(void **state)
{
    struct bawn_bytes quote, label, der[3], bundle;
    struct arena arena = { 0 };
    struct world w;
    size_t at = 0;

    (void)state;
    world_begin(&w);
    trust_in(&w, NULL);
    w.rules.what = "PCK certificate";
    quote = read_file(&w, "tests/vectors/tdx/tdx-v4-50806f000000-12b401a8.quote.bin");
    while (at < quote.len && memcmp(quote.data + at, "-----BEGIN", 10) != 0)
        at++;
    bundle = (struct bawn_bytes){ quote.data + at, quote.len - at };
    for (int i = 0; i < 3; i++)
        assert_true(pem_next(&arena, &bundle, &label, &der[i]));
    assert_true(root_is_builtin(der[2]));
    w.certs[0] = &der[2];
    w.certs[1] = &der[1];
    assert_false(judge_der(&w, der[0]));
    assert_int_equal(w.chain.n, 3);
    assert_string_equal(w.chain.root->name, "Intel SGX Root CA");
    assert_int_equal(count_findings(&w, BAWN_FINDING_REFUSED), 0);
    says(&w, MISSING, &crl_check,
         "no CRL of Intel SGX PCK Platform CA was given; no CRL of Intel SGX Root CA was given");
    says(&w, PASS, &link_check, "");
    says(&w, PASS, &time_check, "");
    w.at = 2000000000; /* 2033: the PCK certificate and its CA have expired */
    assert_false(judge_der(&w, der[0]));
    says(&w, REFUSED, &time_check, "has expired");
    arena_free(&arena);
    world_end(&w);
}

/* ---- Hostile bytes ---- */

/* No byte of a chain can change without the chain failing, unless it is one that cannot be read
 * at all. */
static void every_byte(void **state)
{
    struct bawn_error err;
    struct world w;
    uint8_t bad[2048];

    (void)state;
    good_world(&w);
    for (size_t i = 0; i < w.leaf->der.len; i++) {
        struct bawn_bytes der = { bad, w.leaf->der.len };
        struct x509 cert;

        memcpy(bad, w.leaf->der.data, der.len);
        bad[i] ^= 1 + (uint8_t)(i % 7);
        if (x509_parse(&cert, der, &err) == BAWN_OK)
            assert_false(judge_once(&w, der, w.cache));
    }
    for (size_t i = 0; i < w.ca->der.len; i++) {
        struct bawn_bytes der = { bad, w.ca->der.len };
        struct x509 cert;

        memcpy(bad, w.ca->der.data, der.len);
        bad[i] ^= 0x80;
        w.certs[0] = &der;
        if (x509_parse(&cert, der, &err) == BAWN_OK)
            assert_false(judge_once(&w, w.leaf->der, w.cache));
    }
    world_end(&w);
}

/* ---- Threads ---- */

static void *judge_often(void *arg)
{
    struct world *shared = arg, w = *shared;
    size_t bad = 0;

    w.r = bawn_attest_result_create();
    for (int i = 0; w.r && i < 40; i++) {
        struct verification v = { .trust = w.trust, .r = w.r, .arena = &w.r->arena, .at = w.at };
        struct bawn_error err;
        struct chain chain;
        struct x509 leaf;

        result_reset(w.r);
        v.cache = cache_begin(NULL, w.trust->crypto, v.arena);
        world_load(&w, &v);
        bad += x509_parse(&leaf, w.leaf->der, &err) != BAWN_OK ||
               !chain_verify(&v, &leaf, &w.rules, &chain);
        cache_end(v.cache, NULL);
    }
    bad += !w.r;
    bawn_attest_result_destroy(w.r);
    return bad ? arg : NULL;
}

static void threads_share_a_trust(void **state)
{
    pthread_t thread[4];
    struct world w;

    (void)state;
    good_world(&w);
    for (size_t i = 0; i < N(thread); i++)
        assert_int_equal(pthread_create(&thread[i], NULL, judge_often, &w), 0);
    for (size_t i = 0; i < N(thread); i++) {
        void *bad;

        assert_int_equal(pthread_join(thread[i], &bad), 0);
        assert_null(bad);
    }
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),
        cmocka_unit_test(two_intermediates),
        cmocka_unit_test(times),
        cmocka_unit_test(signatures),
        cmocka_unit_test(algorithms),
        cmocka_unit_test(pss),
        cmocka_unit_test(ca_flags),
        cmocka_unit_test(path_lengths),
        cmocka_unit_test(names),
        cmocka_unit_test(namesakes),
        cmocka_unit_test(renewed),
        cmocka_unit_test(too_many_namesakes),
        cmocka_unit_test(not_under_a_root),
        cmocka_unit_test(root_reissued),
        cmocka_unit_test(loops),
        cmocka_unit_test(mesh),
        cmocka_unit_test(amd),
        cmocka_unit_test(amd_wrong),
        cmocka_unit_test(amd_root_given),
        cmocka_unit_test(builtin_beside_given),
        cmocka_unit_test(intel),
        cmocka_unit_test(every_byte),
        cmocka_unit_test(threads_share_a_trust),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

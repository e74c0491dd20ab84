// SPDX-License-Identifier: Apache-2.0
/*
 * Revocation: lists that are right, stale, forged, too many or not there, and what each does to a
 * chain that is good otherwise.
 */
#include "tests/unit/attest/chain_world.h"

static void revoked(void **state)
{
    struct bawn_bytes crl;
    struct world w;

    (void)state;
    good_world(&w);
    crl = CRL(&w, .by = w.ca, .revoked = { w.root, w.leaf }, .revoked_at = PKI_NOW - 100);
    give_crl(&w, &crl);
    refused(&w, w.leaf, &crl_check, "the leaf (Leaf, serial");
    says(&w, REFUSED, &crl_check, "has been revoked by CA");
    /* However old the list, and whatever others say. */
    crl = CRL(&w, .by = w.ca, .revoked = { w.leaf }, .next_update = PKI_NOW - 1);
    refused(&w, w.leaf, &crl_check, "has been revoked");
    w.rules.crl = CRL_WARN;
    refused(&w, w.leaf, &crl_check, "has been revoked");
    /* A CA; and another certificate of the same CA is not meant. */
    crl = CRL(&w, .by = w.root, .revoked = { w.ca });
    refused(&w, w.leaf, &crl_check, "CA, serial");
    crl = CRL(&w, .by = w.ca, .revoked = { w.root });
    assert_true(judge(&w, w.leaf));
    world_end(&w);
}

/* A list counts by who signed it, not by whose name it has. */
static void forged_crl(void **state)
{
    struct bawn_bytes crl;
    EVP_PKEY *other;
    struct world w;

    (void)state;
    good_world(&w);
    other = pki_key(w.pki, NULL);
    crl = CRL(&w, .by = w.ca, .revoked = { w.leaf }, .sign_with = other);
    give_crl(&w, &crl);
    assert_true(judge(&w, w.leaf));
    w.ca_crl = CRL(&w, .by = w.ca, .sign_with = other);
    missing(&w, w.leaf, &crl_check, "the CRL in the name of CA is not signed by it");
    w.rules.crl = CRL_WARN;
    assert_true(judge(&w, w.leaf));
    says(&w, WARNING, &crl_check, "the CRL in the name of CA is not signed by it");
    /* Another algorithm than the chain's does not count either. */
    crl = CRL(&w, .by = w.ca, .sig = PKI_ECDSA_SHA384);
    assert_true(judge(&w, w.leaf));
    says(&w, WARNING, &crl_check, "is not signed by it");
    world_end(&w);
}

static void crl_times(void **state)
{
    struct world w;

    (void)state;
    good_world(&w);
    w.ca_crl = CRL(&w, .by = w.ca, .next_update = PKI_NOW - 1);
    missing(&w, w.leaf, &crl_check, "the CRL of CA was to be replaced by 2025-05-31T23:59:59Z");
    w.ca_crl = CRL(&w, .by = w.ca, .this_update = PKI_NOW + 1);
    missing(&w, w.leaf, &crl_check, "the CRL of CA is of 2025-06-01T00:00:01Z");
    w.ca_crl = CRL(&w, .by = w.ca, .this_update = PKI_NOW, .next_update = PKI_NOW);
    assert_true(judge(&w, w.leaf));
    /* Beside one in force, a stale one is no matter. */
    give_crl(&w, &(struct bawn_bytes){ 0 });
    {
        struct bawn_bytes stale = CRL(&w, .by = w.ca, .next_update = PKI_NOW - 1);

        w.crls[2] = &stale;
        assert_true(judge(&w, w.leaf));
        w.rules.crl = CRL_WARN;
        w.crls[2] = NULL;
        w.ca_crl = stale;
        w.root_crl = CRL(&w, .by = w.root, .next_update = PKI_NOW - 1);
        assert_true(judge(&w, w.leaf));
    }
    /* One warning for the chain, that names both. */
    assert_int_equal(count_findings(&w, BAWN_FINDING_WARNING), 1);
    says(&w, WARNING, &crl_check, "the CRL of CA was to be replaced");
    says(&w, WARNING, &crl_check, "the CRL of Root was to be replaced");
    world_end(&w);
}

static void no_crl(void **state)
{
    struct world w;

    (void)state;
    good_world(&w);
    w.crls[1] = NULL;
    missing(&w, w.leaf, &crl_check, "no CRL of CA was given");
    w.crls[0] = NULL;
    missing(&w, w.leaf, &crl_check, "no CRL of CA was given; no CRL of Root was given");
    w.rules.crl = CRL_WARN;
    assert_true(judge(&w, w.leaf));
    says(&w, WARNING, &crl_check, "no CRL of CA was given; no CRL of Root was given");
    assert_int_equal(count_findings(&w, BAWN_FINDING_WARNING), 1);
    world_end(&w);
}

/* A CA that may not sign CRLs: its list refuses what it lists, and clears nothing. */
static void crl_sign(void **state)
{
    struct world w;

    (void)state;
    good_world(&w);
    new_ca(&w, ISSUE(&w, .cn = "CA", .ca = true, .by = w.root, .key_usage = PKI_KU_CERT_SIGN));
    w.leaf = ISSUE(&w, .cn = "Leaf", .by = w.ca);
    w.ca_crl = CRL(&w, .by = w.ca);
    missing(&w, w.leaf, &crl_check, "CA may not sign CRLs by its key usage");
    w.rules.crl = CRL_WARN;
    assert_true(judge(&w, w.leaf));
    assert_int_equal(count_findings(&w, BAWN_FINDING_WARNING), 0);
    w.ca_crl = CRL(&w, .by = w.ca, .revoked = { w.leaf });
    refused(&w, w.leaf, &crl_check, "has been revoked");
    world_end(&w);
}

static void flood_of_crls(void **state)
{
    struct bawn_bytes junk;
    struct world w;

    (void)state;
    good_world(&w);
    junk = CRL(&w, .by = w.ca, .sign_with = pki_key(w.pki, NULL));
    for (int i = 0; i < 260; i++)
        give_crl(&w, &junk);
    missing(&w, w.leaf, &crl_check, "more than 256 CRLs of CA were given");
    /* Nor do they hide the one that counts where none is required. */
    w.rules.crl = CRL_WARN;
    missing(&w, w.leaf, &crl_check, "more than 256 CRLs of CA were given");
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(revoked), cmocka_unit_test(forged_crl), cmocka_unit_test(crl_times),
        cmocka_unit_test(no_crl),  cmocka_unit_test(crl_sign),   cmocka_unit_test(flood_of_crls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* The ID block: a good one vouches for the guest, and each field of a bad one is found. */
#include "tests/unit/attest/snp_made.h"

#include <openssl/pem.h>

#include <bawn/measure_launch.h>

static struct snp_made milan;
static EVP_PKEY *id_key, *author_key;

struct launch {
    struct bawn_snp_report report;
    struct bawn_snp_id_block block;
    struct bawn_snp_id_auth auth;
    bool author;
};

static int setup(void **state)
{
    (void)state;
    snp_made_create(&milan, "Milan");
    id_key = pki_key(milan.pki, "P-384");
    author_key = pki_key(milan.pki, "P-384");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    snp_made_destroy(&milan);
    return 0;
}

#define BYTES_OF(object) ((struct bawn_bytes){ (const uint8_t *)&(object), sizeof(object) })

/* Signs what there is, and puts the digests of the keys into the report. */
static void seal(struct launch *l)
{
    struct bawn_snp_id_auth *auth = &l->auth;

    auth->id_key_algo = 1;
    snp_made_public_key(&milan, id_key, &auth->id_key);
    snp_made_signature(&milan, id_key, BYTES_OF(l->block), &auth->id_block_signature);
    hash_bytes(HASH_SHA384, &auth->id_key, sizeof(auth->id_key), l->report.id_key_digest);
    if (!l->author)
        return;
    auth->author_key_algo = 1;
    snp_made_public_key(&milan, author_key, &auth->author_key);
    snp_made_signature(&milan, author_key, BYTES_OF(auth->id_key), &auth->id_key_signature);
    hash_bytes(HASH_SHA384, &auth->author_key, sizeof(auth->author_key),
               l->report.author_key_digest);
    l->report.key_info |= BAWN_SNP_KEY_AUTHOR_KEY_EN;
}

static struct launch good(bool author)
{
    struct launch l = { .report = snp_made_report(3, "Milan"), .author = author };

    memset(l.report.family_id, 0xfa, sizeof(l.report.family_id));
    memset(l.report.image_id, 0x1a, sizeof(l.report.image_id));
    memcpy(l.block.launch_digest, l.report.measurement, sizeof(l.block.launch_digest));
    memcpy(l.block.family_id, l.report.family_id, sizeof(l.block.family_id));
    memcpy(l.block.image_id, l.report.image_id, sizeof(l.block.image_id));
    l.block.version = 1;
    l.block.guest_svn = l.report.guest_svn;
    l.block.policy = l.report.policy;
    seal(&l);
    return l;
}

/* The verdict of all findings, as attest.c concludes it. */
static enum bawn_verdict judge_bytes(struct launch *l, struct bawn_bytes block,
                                     struct bawn_bytes auth)
{
    struct pki_amd amd = snp_made_amd(&milan, &l->report);
    struct bawn_attest_result *r = milan.judge.result;
    struct verification v = {
        .trust = milan.judge.trust,
        .cache = milan.judge.cache,
        .r = r,
        .arena = &r->arena,
        .at = PKI_NOW,
        .ev = { .snp_report = BYTES_OF(l->report), .id_block = block, .id_auth = auth },
    };
    enum bawn_verdict verdict = BAWN_TRUSTED;

    snp_made_sign(&milan, &l->report, milan.key);
    result_reset(r);
    endorsement_add_cert(&v, milan.ask->der, "the test");
    endorsement_add_cert(&v, snp_made_cert(&milan, &amd)->der, "the test");
    snp_verify(&v);
    for (size_t i = 0; i < r->findings.n; i++) {
        const struct bawn_finding *f = (const struct bawn_finding *)r->findings.items + i;

        if (f->level == BAWN_FINDING_REFUSED)
            return BAWN_NOT_TRUSTED;
        if (f->level == BAWN_FINDING_MISSING)
            verdict = BAWN_CANNOT_JUDGE;
    }
    return verdict;
}

static enum bawn_verdict judge(struct launch *l)
{
    return judge_bytes(l, BYTES_OF(l->block), BYTES_OF(l->auth));
}

static void good_ones(void **state)
{
    struct launch plain = good(false), authored = good(true);

    (void)state;
    assert_int_equal(judge(&plain), BAWN_TRUSTED);
    assert_snp_only(milan.judge.result, BAWN_FINDING_WARNING, "snp.revocation");
    assert_int_equal(judge(&authored), BAWN_TRUSTED);
    assert_snp_only(milan.judge.result, BAWN_FINDING_WARNING, "snp.revocation");
    /* Without the ID block the author key is only warned of. */
    assert_int_equal(judge_bytes(&authored, (struct bawn_bytes){ 0 }, (struct bawn_bytes){ 0 }),
                     BAWN_TRUSTED);
    assert_snp_finding(milan.judge.result, BAWN_FINDING_WARNING, "snp.author-key", NULL);
}

/* Each field of the ID block, properly signed, that the report does not repeat. */
static void fields(void **state)
{
    static const struct {
        size_t offset;
        const char *claim;
    } cases[] = {
        { offsetof(struct bawn_snp_id_block, launch_digest) + 47, "snp.measurement" },
        { offsetof(struct bawn_snp_id_block, family_id), "snp.family_id" },
        { offsetof(struct bawn_snp_id_block, image_id) + 15, "snp.image_id" },
        { offsetof(struct bawn_snp_id_block, guest_svn) + 3, "snp.guest_svn" },
        { offsetof(struct bawn_snp_id_block, policy) + 7, "snp.policy" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct launch l = good(true);

        ((uint8_t *)&l.block)[cases[i].offset] ^= 1;
        seal(&l);
        assert_int_equal(judge(&l), BAWN_NOT_TRUSTED);
        assert_snp_finding(milan.judge.result, BAWN_FINDING_REFUSED, "snp.id-block-fields",
                           cases[i].claim);
        assert_snp_only(milan.judge.result, BAWN_FINDING_MISSING, "snp.id-block-fields");
    }
}

static void unknown_version(void **state)
{
    struct launch l = good(false);

    (void)state;
    l.block.version = 2;
    seal(&l);
    assert_int_equal(judge(&l), BAWN_CANNOT_JUDGE);
    assert_snp_finding(milan.judge.result, BAWN_FINDING_MISSING, "snp.id-block", NULL);
}

/* Any changed byte of either; those of the keys and signatures each in several places. */
static void altered_block(void **state)
{
    struct launch l = good(true);

    (void)state;
    for (size_t i = 0; i < sizeof(l.block); i++) {
        ((uint8_t *)&l.block)[i] ^= 0x40;
        assert_int_not_equal(judge(&l), BAWN_TRUSTED);
        ((uint8_t *)&l.block)[i] ^= 0x40;
    }
    assert_int_equal(judge(&l), BAWN_TRUSTED);
}

static void altered_auth(void **state)
{
    struct launch l = good(true);

    (void)state;
    for (size_t i = 0; i < sizeof(l.auth); i += i < 0x48 ? 1 : 29) {
        ((uint8_t *)&l.auth)[i] ^= 0x40;
        assert_int_not_equal(judge(&l), BAWN_TRUSTED);
        ((uint8_t *)&l.auth)[i] ^= 0x40;
    }
    assert_int_equal(judge(&l), BAWN_TRUSTED);
}

static void signatures(void **state)
{
    struct launch l = good(true);

    (void)state;
    snp_made_signature(&milan, author_key, BYTES_OF(l.block), &l.auth.id_block_signature);
    assert_int_equal(judge(&l), BAWN_NOT_TRUSTED);
    assert_snp_finding(milan.judge.result, BAWN_FINDING_REFUSED, "snp.id-block-signature", NULL);
    assert_snp_only(milan.judge.result, BAWN_FINDING_MISSING, "snp.id-block-signature");
    l = good(true);
    snp_made_signature(&milan, id_key, BYTES_OF(l.auth.id_key), &l.auth.id_key_signature);
    assert_int_equal(judge(&l), BAWN_NOT_TRUSTED);
    assert_snp_finding(milan.judge.result, BAWN_FINDING_REFUSED, "snp.id-block-signature", NULL);
    assert_snp_only(milan.judge.result, BAWN_FINDING_MISSING, "snp.id-block-signature");
}

static void digests(void **state)
{
    struct launch l = good(true);

    (void)state;
    l.report.id_key_digest[0] ^= 1;
    assert_int_equal(judge(&l), BAWN_NOT_TRUSTED);
    assert_snp_finding(milan.judge.result, BAWN_FINDING_REFUSED, "snp.id-key-digest",
                       "snp.id_key_digest");
    assert_snp_only(milan.judge.result, BAWN_FINDING_MISSING, "snp.id-key-digest");
    l = good(true);
    l.report.author_key_digest[47] ^= 1;
    assert_int_equal(judge(&l), BAWN_NOT_TRUSTED);
    assert_snp_finding(milan.judge.result, BAWN_FINDING_REFUSED, "snp.id-key-digest",
                       "snp.author_key_digest");
    assert_snp_only(milan.judge.result, BAWN_FINDING_MISSING, "snp.id-key-digest");
}

/* Report and authentication must agree on whether there is an author. */
static void author_or_not(void **state)
{
    struct launch l = good(true);

    (void)state;
    l.report.key_info = 0;
    assert_int_equal(judge(&l), BAWN_NOT_TRUSTED);
    assert_snp_finding(milan.judge.result, BAWN_FINDING_REFUSED, "snp.author-key", NULL);
    l = good(false);
    l.report.key_info = BAWN_SNP_KEY_AUTHOR_KEY_EN;
    assert_int_equal(judge(&l), BAWN_NOT_TRUSTED);
    assert_snp_finding(milan.judge.result, BAWN_FINDING_REFUSED, "snp.author-key", NULL);
}

static void malformed(void **state)
{
    static const struct {
        size_t offset;
        uint8_t value;
    } cases[] = {
        { 0x000, 2 },          { 0x004, 2 },
        { 0x008, 1 },          { 0x03f, 1 },
        { 0x240, 1 },          { 0x644, 1 },
        { 0x67f, 1 },          { 0x880, 3 },
        { 0xc84, 1 },          { 0xfff, 1 },
        { 0x040 + 48, 1 },     { 0x040 + 511, 1 },
        { 0x240 + 4 + 48, 1 }, { 0x240 + 4 + 72 + 71, 1 },
        { 0x240 + 1027, 1 },   { 0x680 + 144, 1 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct launch l = good(true);

        ((uint8_t *)&l.auth)[cases[i].offset] = cases[i].value;
        assert_int_equal(judge(&l), BAWN_NOT_TRUSTED);
        assert_snp_finding(milan.judge.result, BAWN_FINDING_REFUSED, "snp.id-block", NULL);
    }
}

/* A point that is not on the curve verifies nothing, and nothing breaks. */
static void point_off_curve(void **state)
{
    struct launch l = good(false);

    (void)state;
    l.auth.id_key.qx[0] ^= 1;
    hash_bytes(HASH_SHA384, &l.auth.id_key, sizeof(l.auth.id_key), l.report.id_key_digest);
    assert_int_equal(judge(&l), BAWN_NOT_TRUSTED);
    assert_snp_finding(milan.judge.result, BAWN_FINDING_REFUSED, "snp.id-block-signature", NULL);
}

static void sizes(void **state)
{
    static const struct {
        size_t block, auth;
    } cases[] = { { 96, 0 }, { 0, 4096 }, { 95, 4096 }, { 96, 4095 }, { 1, 1 } };
    struct launch l = good(false);

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(
            judge_bytes(&l, (struct bawn_bytes){ (const uint8_t *)&l.block, cases[i].block },
                        (struct bawn_bytes){ (const uint8_t *)&l.auth, cases[i].auth }),
            BAWN_CANNOT_JUDGE);
        assert_snp_finding(milan.judge.result, BAWN_FINDING_MISSING, "snp.id-block", NULL);
    }
}

static struct bawn_bytes private_pem(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    struct bawn_bytes copy;
    char *text;
    long len;

    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    len = BIO_get_mem_data(bio, &text);
    copy = pki_bytes(milan.pki, text, (size_t)len);
    BIO_free(bio);
    return copy;
}

/* What bawn-measure makes is what a report's verifier takes. */
static void made_by_bawn_measure(void **state)
{
    struct launch l = good(true);
    struct bawn_snp_id id = { .guest_svn = l.block.guest_svn, .policy = l.block.policy };
    struct bawn_snp_id_signed out;
    struct bawn_error err;

    (void)state;
    memcpy(id.launch_digest, l.block.launch_digest, sizeof(id.launch_digest));
    memcpy(id.family_id, l.block.family_id, sizeof(id.family_id));
    memcpy(id.image_id, l.block.image_id, sizeof(id.image_id));
    assert_int_equal(
        bawn_snp_id_sign(&id, private_pem(id_key), private_pem(author_key), &out, &err), BAWN_OK);
    assert_int_equal(judge_bytes(&l, BYTES_OF(out.block), BYTES_OF(out.auth)), BAWN_TRUSTED);
    assert_memory_equal(out.id_key_digest, l.report.id_key_digest, sizeof(out.id_key_digest));
    out.block[0] ^= 1;
    assert_int_equal(judge_bytes(&l, BYTES_OF(out.block), BYTES_OF(out.auth)), BAWN_NOT_TRUSTED);
}

static void recognised(void **state)
{
    struct launch l = good(true);
    struct verification v = { .r = milan.judge.result };

    (void)state;
    assert_true(snp_id_block_add(&v, BYTES_OF(l.block)));
    assert_true(snp_id_block_add(&v, BYTES_OF(l.auth)));
    assert_int_equal(v.ev.id_block.len, 96);
    assert_int_equal(v.ev.id_auth.len, 4096);
    assert_false(snp_id_block_add(&v, (struct bawn_bytes){ (const uint8_t *)&l.auth, 4095 }));
    l.auth.id_key.curve = 3;
    assert_false(snp_id_block_add(&v, BYTES_OF(l.auth)));
    l.block.policy = 0x1001f;
    assert_false(snp_id_block_add(&v, BYTES_OF(l.block)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_ones),       cmocka_unit_test(fields),
        cmocka_unit_test(unknown_version), cmocka_unit_test(altered_block),
        cmocka_unit_test(altered_auth),    cmocka_unit_test(signatures),
        cmocka_unit_test(digests),         cmocka_unit_test(author_or_not),
        cmocka_unit_test(malformed),       cmocka_unit_test(point_off_curve),
        cmocka_unit_test(sizes),           cmocka_unit_test(made_by_bawn_measure),
        cmocka_unit_test(recognised),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

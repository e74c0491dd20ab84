// SPDX-License-Identifier: Apache-2.0
/* The certificate table: what a host may put there, and what it must not get away with. */
#include "tests/unit/attest/snp_made.h"

static const uint8_t guids[][BAWN_SNP_GUID_SIZE] = {
    BAWN_SNP_GUID_VCEK, BAWN_SNP_GUID_ASK,  BAWN_SNP_GUID_ARK,
    BAWN_SNP_GUID_CRL,  BAWN_SNP_GUID_VLEK, { 0xec, 0xae, 0x0c, 0x0f }, /* of some host's own */
};

enum { VCEK, ASK, ARK, CRL, VLEK, OWN };

static struct snp_made milan;
static struct bawn_snp_report report;
static const struct pki_cert *vcek;
static struct bawn_bytes crls[2];

static int setup(void **state)
{
    struct pki_amd amd;

    (void)state;
    snp_made_create(&milan, "Milan");
    report = snp_made_report(3, "Milan");
    amd = snp_made_amd(&milan, &report);
    vcek = snp_made_cert(&milan, &amd);
    snp_made_sign(&milan, &report, milan.key);
    crls[0] = pki_crl(milan.pki, &(struct pki_crl_spec){ .by = milan.ark });
    crls[1] = pki_crl(milan.pki, &(struct pki_crl_spec){ .by = milan.ask });
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    snp_made_destroy(&milan);
    return 0;
}

/* ---- Making tables ---- */

struct table {
    uint8_t bytes[16384];
    size_t len, header;
    unsigned n;
};

static struct bawn_snp_table_entry *entry(struct table *t, unsigned i)
{
    return (struct bawn_snp_table_entry *)(void *)t->bytes + i;
}

/* A table with room for that many entries and the last. */
static struct table empty(unsigned entries)
{
    struct table t = { .header = (entries + 1) * sizeof(struct bawn_snp_table_entry) };

    t.len = t.header;
    return t;
}

static void add(struct table *t, unsigned kind, struct bawn_bytes data)
{
    struct bawn_snp_table_entry *e = entry(t, t->n++);

    assert_true(t->len + data.len <= sizeof(t->bytes));
    memcpy(e->guid, guids[kind], sizeof(e->guid));
    e->offset = (uint32_t)t->len;
    e->length = (uint32_t)data.len;
    memcpy(t->bytes + t->len, data.data, data.len);
    t->len += data.len;
}

static struct table whole(void)
{
    struct table t = empty(5);

    add(&t, VCEK, vcek->der);
    add(&t, ASK, milan.ask->der);
    add(&t, ARK, milan.ark->der);
    add(&t, CRL, crls[0]);
    add(&t, CRL, crls[1]);
    return t;
}

/* Report and table in an allocation of just that size, judged as one piece of evidence. */
static enum bawn_verdict judge_extended(const uint8_t *table, size_t len)
{
    struct bawn_bytes blob = { malloc(sizeof(report) + len), sizeof(report) + len };
    enum bawn_verdict verdict;

    memcpy((uint8_t *)blob.data, &report, sizeof(report));
    if (len)
        memcpy((uint8_t *)blob.data + sizeof(report), table, len);
    verdict = snp_judge(&milan.judge, blob, NULL, 0);
    free((void *)blob.data);
    return verdict;
}

/* ---- Good tables ---- */

static void extended_report(void **state)
{
    struct table t = whole();

    (void)state;
    milan.judge.flags = BAWN_ATTEST_STRICT;
    assert_int_equal(judge_extended(t.bytes, t.len), BAWN_TRUSTED);
    /* The rest of the pages is whatever the host left there. */
    assert_int_equal(judge_extended(t.bytes, sizeof(t.bytes)), BAWN_TRUSTED);
    milan.judge.flags = 0;
    assert_int_equal(judge_extended(NULL, 0), BAWN_CANNOT_JUDGE);
}

static void as_endorsement(void **state)
{
    struct table t = whole();
    struct bawn_bytes blob = { t.bytes, t.len };

    (void)state;
    milan.judge.flags = BAWN_ATTEST_STRICT;
    assert_int_equal(snp_judge(&milan.judge,
                               (struct bawn_bytes){ (const uint8_t *)&report, sizeof(report) },
                               &blob, 1),
                     BAWN_TRUSTED);
    milan.judge.flags = 0;
}

static void pem_certificates(void **state)
{
    struct table t = empty(2);

    (void)state;
    add(&t, VCEK, pki_pem(milan.pki, "CERTIFICATE", vcek->der));
    add(&t, ASK, pki_pem(milan.pki, "CERTIFICATE", milan.ask->der));
    assert_int_equal(judge_extended(t.bytes, t.len), BAWN_TRUSTED);
}

/* An entry of a kind that we do not know is passed over, wherever it stands. */
static void unknown_kinds(void **state)
{
    static const uint8_t junk[] = "not a certificate";

    (void)state;
    for (unsigned at = 0; at < 3; at++) {
        struct table t = empty(3);

        for (unsigned i = 0; i < 3; i++)
            if (i == at)
                add(&t, OWN, (struct bawn_bytes){ junk, sizeof(junk) });
            else
                add(&t, i < at ? (i ? ASK : VCEK) : (i == 2 ? ASK : VCEK),
                    (i < at ? i : i - 1) ? milan.ask->der : vcek->der);
        assert_int_equal(judge_extended(t.bytes, t.len), BAWN_TRUSTED);
        assert_snp_only(milan.judge.result, BAWN_FINDING_WARNING, "snp.revocation");
    }
}

/* ---- Bad tables ---- */

static void assert_broken(const struct table *t)
{
    assert_int_not_equal(judge_extended(t->bytes, t->len), BAWN_TRUSTED);
    assert_snp_finding(milan.judge.result, BAWN_FINDING_WARNING, "snp.certificate-table", NULL);
}

static void bounds(void **state)
{
    static const struct {
        uint32_t offset, length;
    } bad[] = {
        { 0, 100 },        { 23, 10 },
        { 143, 1 },        { UINT32_MAX, 1 },
        { 1, UINT32_MAX }, { 0x80000000, 0x80000000 },
        { 16384, 1 },      { 144, UINT32_MAX - 100 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct table t = whole();

        entry(&t, 3)->offset = bad[i].offset;
        entry(&t, 3)->length = bad[i].length;
        assert_broken(&t);
    }
}

static void ends_at_the_end(void **state)
{
    struct table t = whole();

    (void)state;
    entry(&t, 4)->length++;
    assert_broken(&t);
    t = whole();
    t.len--;
    assert_broken(&t);
}

static void overlap(void **state)
{
    struct table t = whole();

    (void)state;
    entry(&t, 3)->offset = entry(&t, 1)->offset + entry(&t, 1)->length - 1;
    assert_broken(&t);
}

static void no_last_entry(void **state)
{
    struct table t = whole();

    (void)state;
    t.len = 5 * sizeof(struct bawn_snp_table_entry);
    assert_broken(&t);
}

static void too_many(void **state)
{
    static const uint8_t byte[] = { 0 };
    struct table t = empty(33);

    (void)state;
    for (unsigned i = 0; i < 33; i++)
        add(&t, VCEK, (struct bawn_bytes){ byte, sizeof(byte) });
    assert_broken(&t);
}

static void not_a_table(void **state)
{
    static const uint8_t text[] = "this is nothing of the kind, and is longer than one entry";
    struct verification v = { .r = milan.judge.result, .arena = &milan.judge.result->arena };
    uint8_t zeros[48] = { 0 };

    (void)state;
    assert_false(snp_table_add(&v, (struct bawn_bytes){ 0 }));
    assert_false(snp_table_add(&v, (struct bawn_bytes){ text, sizeof(text) }));
    assert_false(snp_table_add(&v, vcek->der));
    assert_false(snp_table_add(&v, (struct bawn_bytes){ zeros, 23 }));
    assert_true(snp_table_add(&v, (struct bawn_bytes){ zeros, sizeof(zeros) }));
    zeros[47] = 1;
    assert_false(snp_table_add(&v, (struct bawn_bytes){ zeros, sizeof(zeros) }));
}

/* No crash, whatever is cut off or changed in the entries; trusted only with the certificates. */
static void damaged(void **state)
{
    struct table t = whole();

    (void)state;
    for (size_t len = 1; len < t.len; len += len < 200 ? 1 : 61)
        assert_int_not_equal(judge_extended(t.bytes, len), BAWN_TRUSTED);
    for (size_t i = 0; i < 2 * sizeof(struct bawn_snp_table_entry); i++) {
        t.bytes[i] ^= 0x10;
        assert_int_not_equal(judge_extended(t.bytes, t.len), BAWN_TRUSTED);
        t.bytes[i] ^= 0x10;
    }
    assert_int_equal(judge_extended(t.bytes, t.len), BAWN_TRUSTED);
}

/* Hosts round sizes up, and keep places for what they have not got. */
static void padded_entries(void **state)
{
    struct table t = empty(7);

    (void)state;
    add(&t, ASK, (struct bawn_bytes){ t.bytes, 0 });
    add(&t, VCEK, vcek->der);
    entry(&t, 1)->length += 13;
    t.len += 13;
    add(&t, ASK, milan.ask->der);
    add(&t, CRL, crls[0]);
    entry(&t, 3)->length += 1;
    t.len += 1;
    add(&t, CRL, crls[1]);
    add(&t, OWN, (struct bawn_bytes){ t.bytes, 0 });
    entry(&t, 5)->offset = 0;
    add(&t, ARK, milan.ark->der);
    milan.judge.flags = BAWN_ATTEST_STRICT;
    assert_int_equal(judge_extended(t.bytes, t.len), BAWN_TRUSTED);
    t.bytes[entry(&t, 1)->offset + entry(&t, 1)->length - 1] = 1;
    milan.judge.flags = 0;
    assert_int_equal(judge_extended(t.bytes, t.len), BAWN_CANNOT_JUDGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extended_report),  cmocka_unit_test(as_endorsement),
        cmocka_unit_test(pem_certificates), cmocka_unit_test(unknown_kinds),
        cmocka_unit_test(bounds),           cmocka_unit_test(ends_at_the_end),
        cmocka_unit_test(overlap),          cmocka_unit_test(no_last_entry),
        cmocka_unit_test(too_many),         cmocka_unit_test(not_a_table),
        cmocka_unit_test(damaged),          cmocka_unit_test(padded_entries),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

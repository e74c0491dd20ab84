// SPDX-License-Identifier: Apache-2.0
/*
 * Binding, with what was recorded on real hardware. No runtime data is known that hashes to what
 * was recorded, so it is written over: the signature no longer holds, which is the verdict's
 * matter, and the binding is found where each kind has it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "attest/jose/jose.h"
#include "attest/service/judge/judge.h"

#define VECTORS "tests/vectors/"
#define INIT_DATA "algorithm = \"sha384\"\n"

static size_t file(const char *name, uint8_t *data, size_t size)
{
    char path[160];
    size_t len;
    FILE *f;

    snprintf(path, sizeof(path), VECTORS "%s", name);
    f = fopen(path, "rb");
    assert_non_null(f);
    len = fread(data, 1, size, f);
    fclose(f);
    return len;
}

/* Runtime data and init data, as judge_request_read() leaves them. */
static void request(struct judge_request *r, const char *nonce, const char *init)
{
    *r = (struct judge_request){ .root = json_pack("{s:s, s:{s:s}}", "nonce", nonce, "tee-pubkey",
                                                   "kty", "EC") };
    r->runtime_data = r->root;
    assert_int_equal(json_canonical(r->root, &r->runtime_text, &r->runtime_len, NULL), BAWN_OK);
    if (init) {
        r->init_data = r->root;
        r->init_body = init;
        r->init_len = strlen(init);
    }
}

static void digest(const char *hash, const char *text, size_t len, uint8_t *at, size_t room)
{
    uint8_t out[64];
    unsigned n;

    assert_int_equal(EVP_Digest(text, len, out, &n, EVP_get_digestbyname(hash), NULL), 1);
    memset(at, 0, room);
    memcpy(at, out, n < room ? n : room);
}

static const struct {
    const char *name, *kind;
    size_t nonce, nonce_len; /* where the field is */
    size_t init, init_len;   /* 0: it has none */
    const char *collateral;
    int64_t at;
} recorded[] = {
    /* TDX DCAP Quote Generation, A.3.2 and A.3.9: header, REPORTDATA, MRCONFIGID */
    { "tdx/tdx-v4-00806f050000-c39a3a25.quote.bin", "tdx", 48 + 520, 64, 48 + 184, 48,
      "tdx/tdx-v4-00806f050000-c39a3a25.collateral-2025-05-27.json", 1748736000 },
    { "tdx/tdx-v5-90c06f000000-cf77a6e9.quote.bin", "tdx", 54 + 520, 64, 54 + 184, 48,
      "tdx/tdx-v5-90c06f000000-cf77a6e9.collateral-2025-06-05.json", 1749513600 },
    { "tdx/sgx-v3-00606a000000-268c0681.quote.bin", "sgx", 48 + 320, 64, 0, 0, NULL, 1756530546 },
    /* AMD 56860, 7.3, ATTESTATION_REPORT: REPORT_DATA, HOST_DATA */
    { "snp/milan-v2-vcek-7c614616.report.bin", "snp", 0x50, 64, 0xc0, 32,
      "snp/milan-v2-vcek-7c614616.vcek.der", 1789000000 },
    { "snp/turin-v5-vcek-85da705e.report.bin", "snp", 0x50, 64, 0xc0, 32,
      "snp/turin-v5-vcek-85da705e.vcek.der", 1789000000 },
};

struct judged {
    uint8_t data[8192], collateral[32768];
    size_t len, collateral_len;
    struct bawn_trust *trust;
    struct bawn_attest_result *result;
    enum bawn_verdict verdict;
};

static void read_recorded(struct judged *j, size_t i)
{
    memset(j, 0, sizeof(*j));
    j->len = file(recorded[i].name, j->data, sizeof(j->data));
    if (recorded[i].collateral)
        j->collateral_len = file(recorded[i].collateral, j->collateral, sizeof(j->collateral));
    j->result = bawn_attest_result_create();
    assert_int_equal(bawn_trust_create(&j->trust, NULL, 0, NULL), BAWN_OK);
}

static void judge(struct judged *j, size_t i)
{
    const struct bawn_bytes collateral = { j->collateral, j->collateral_len };
    const struct bawn_attest_input input = {
        .evidence = { j->data, j->len },
        .endorsements = &collateral,
        .nr_endorsements = recorded[i].collateral ? 1 : 0,
        .at = recorded[i].at,
    };

    j->verdict = bawn_attest_verify(j->trust, NULL, &input, j->result);
}

static void done(struct judged *j)
{
    bawn_attest_result_destroy(j->result);
    bawn_trust_destroy(j->trust);
}

/* Genuine, and of another session. */
static void recorded_is_of_another(void **state)
{
    static struct judged j;
    struct judge_binding b;
    struct judge_request r;
    unsigned genuine = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(recorded) / sizeof(recorded[0]); i++) {
        read_recorded(&j, i);
        judge(&j, i);
        genuine += j.verdict == BAWN_TRUSTED;
        request(&r, "nonce", NULL);
        judge_bind(&r, recorded[i].kind, j.result, &b);
        assert_null(b.hash);
        assert_non_null(strstr(b.why, "another session"));
        judge_request_clear(&r);
        done(&j);
    }
    assert_true(genuine > 0); /* those whose chain and collateral are all there */
}

/* Each hash, where each kind has it; one bit more or a byte behind it, and it is none. */
static void bound(void **state)
{
    static const char *const hashes[] = { "sha256", "sha384", "sha512" };
    static struct judged j;
    struct judge_binding b;
    struct judge_request r;

    (void)state;
    for (size_t i = 0; i < sizeof(recorded) / sizeof(recorded[0]); i++)
        for (size_t k = 0; k < 3; k++) {
            uint8_t *field;

            read_recorded(&j, i);
            request(&r, "nonce", recorded[i].init ? INIT_DATA : NULL);
            field = j.data + recorded[i].nonce;
            digest(hashes[k], r.runtime_text, r.runtime_len, field, recorded[i].nonce_len);
            if (recorded[i].init)
                digest("sha384", INIT_DATA, strlen(INIT_DATA), j.data + recorded[i].init,
                       recorded[i].init_len);
            judge(&j, i);
            assert_int_not_equal(j.verdict, BAWN_TRUSTED);
            judge_bind(&r, recorded[i].kind, j.result, &b);
            assert_string_equal(b.why, "");
            assert_string_equal(b.hash, hashes[k]);
            if (recorded[i].init)
                assert_string_equal(b.init_hash, "sha384");
            /* A kind that it is not has its field elsewhere. */
            judge_bind(&r, "tpm", j.result, &b);
            assert_non_null(strstr(b.why, "no field that binds"));
            field[63] ^= 1;
            judge(&j, i);
            judge_bind(&r, recorded[i].kind, j.result, &b);
            assert_null(b.hash);
            judge_request_clear(&r);
            done(&j);
        }
}

/* A kind without a field for init data refuses it. */
static void no_field(void **state)
{
    static struct judged j;
    struct judge_binding b;
    struct judge_request r;

    (void)state;
    read_recorded(&j, 2);
    request(&r, "nonce", INIT_DATA);
    digest("sha256", r.runtime_text, r.runtime_len, j.data + recorded[2].nonce, 64);
    judge(&j, 2);
    judge_bind(&r, "sgx", j.result, &b);
    assert_string_equal(b.hash, "sha256");
    assert_null(b.init_hash);
    assert_non_null(strstr(b.why, "init data"));
    judge_request_clear(&r);
    done(&j);
}

/* ---- Azure: the TPM's quote binds, not the report, which vouches for the key ---- */

static const struct {
    const char *name, *kind;
} azures[] = {
    { "azure/evidence-v1.json", "azure-snp" },
    { "azure/evidence-tdx-v1.json", "azure-tdx" },
};

static json_t *azure_read(size_t i)
{
    static char text[32768];
    json_t *evidence =
        json_loadb(text, file(azures[i].name, (uint8_t *)text, sizeof(text)), 0, NULL);

    assert_non_null(evidence);
    return evidence;
}

/* TPM 2.0 part 2, 10.12.8, TPMS_ATTEST: magic, type, then the signer's name and the nonce, each
 * behind its length. The recorded nonce gives way to that one. */
static void azure_nonce(json_t *evidence, const uint8_t *nonce, size_t len)
{
    json_t *quote = json_object_get(evidence, "tpm_quote");
    const char *hex = json_string_value(json_object_get(quote, "message"));
    char text[2048];
    unsigned signer, was;
    size_t at = 12;
    int n;

    assert_int_equal(sscanf(hex + at, "%4x", &signer), 1);
    at += 4 + (size_t)2 * signer;
    assert_int_equal(sscanf(hex + at, "%4x", &was), 1);
    n = snprintf(text, sizeof(text), "%.*s%04zx", (int)at, hex, len);
    for (size_t i = 0; i < len; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%02x", nonce[i]);
    snprintf(text + n, sizeof(text) - (size_t)n, "%s", hex + at + 4 + (size_t)2 * was);
    json_object_set_new(quote, "message", json_string(text));
}

/* The verdict on it, and its binding. */
static enum bawn_verdict azure_judge(const json_t *evidence, const struct judge_request *r,
                                     const char *kind, struct judge_binding *b)
{
    struct bawn_attest_result *result = bawn_attest_result_create();
    char *text = json_dumps(evidence, JSON_COMPACT);
    const struct bawn_attest_input input = { .kind = BAWN_EVIDENCE_JSON,
                                             .evidence = { (uint8_t *)text, strlen(text) },
                                             .at = 1789000000 };
    struct bawn_trust *trust;
    enum bawn_verdict verdict;

    assert_int_equal(bawn_trust_create(&trust, NULL, 0, NULL), BAWN_OK);
    verdict = bawn_attest_verify(trust, NULL, &input, result);
    assert_string_equal(bawn_policy_evidence_of(result), kind);
    judge_bind(r, kind, result, b);
    bawn_attest_result_destroy(result);
    bawn_trust_destroy(trust);
    free(text);
    return verdict;
}

static void azure_of_another(void **state)
{
    struct judge_binding b;
    struct judge_request r;

    (void)state;
    request(&r, "challenge", NULL); /* what was recorded, but no hash of this */
    for (size_t i = 0; i < sizeof(azures) / sizeof(azures[0]); i++) {
        json_t *evidence = azure_read(i);

        azure_judge(evidence, &r, azures[i].kind, &b);
        assert_null(b.hash);
        assert_non_null(strstr(b.why, "tpm.nonce is not the hash"));
        json_decref(evidence);
    }
    judge_request_clear(&r);
}

static void azure_bound(void **state)
{
    static const char *const hashes[] = { "sha256", "sha384", "sha512" };
    static const size_t lens[] = { 32, 48, 64 };
    struct judge_binding b;
    struct judge_request r;
    uint8_t nonce[65];

    (void)state;
    request(&r, "nonce", NULL);
    for (size_t i = 0; i < sizeof(azures) / sizeof(azures[0]); i++)
        for (size_t k = 0; k < 3; k++) {
            json_t *evidence = azure_read(i);

            digest(hashes[k], r.runtime_text, r.runtime_len, nonce, lens[k]);
            azure_nonce(evidence, nonce, lens[k]);
            assert_int_not_equal(azure_judge(evidence, &r, azures[i].kind, &b), BAWN_TRUSTED);
            assert_string_equal(b.why, "");
            assert_string_equal(b.hash, hashes[k]);
            nonce[0] ^= 1;
            azure_nonce(evidence, nonce, lens[k]);
            azure_judge(evidence, &r, azures[i].kind, &b);
            assert_null(b.hash);
            json_decref(evidence);
        }
    judge_request_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(recorded_is_of_another),
                                        cmocka_unit_test(bound), cmocka_unit_test(no_field),
                                        cmocka_unit_test(azure_of_another),
                                        cmocka_unit_test(azure_bound) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

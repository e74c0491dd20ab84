// SPDX-License-Identifier: Apache-2.0
/*
 * The evidence's binding to what stands beside it: the hash of the runtime data in the field
 * that the guest fills, the digest of the init data in the field that the host fills. Claims are
 * as true as the verdict, so a binding counts only together with that.
 */
#include "attest/service/judge/judge.h"

#include <string.h>

#include <openssl/evp.h>

#include "attest/jose/jose.h"

static const struct {
    const char *evidence; /* bawn_policy_evidence_of */
    const char *tee;      /* as KBS clients call it */
    const char *nonce_claim;
    const char *init_claim; /* NULL: PCR 8 of the SHA-256 bank */
} kinds[] = {
    { "snp", "snp", "snp.report_data", "snp.host_data" },
    { "tdx", "tdx", "tdx.report_data", "tdx.mr_config_id" },
    { "sgx", "sgx", "sgx.report_data", "sgx.config_id" },
    { "tpm", "tpm", "tpm.nonce", NULL },
    { "azure-snp", "az-snp-vtpm", "tpm.nonce", NULL },
    { "azure-tdx", "az-tdx-vtpm", "tpm.nonce", NULL },
};

/* What a session may have selected; SHA-384 is what it selects when not asked. */
static const char *const hashes[] = { "sha384", "sha256", "sha512" };

const char *judge_tee_of(const char *evidence)
{
    for (size_t i = 0; evidence && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (!strcmp(kinds[i].evidence, evidence))
            return kinds[i].tee;
    return NULL;
}

static bool bytes_of(const struct bawn_attest_result *result, const char *claim,
                     struct bawn_bytes *out)
{
    const struct bawn_claim *c = bawn_attest_result_claim(result, claim);

    if (!c || c->kind != BAWN_CLAIM_BYTES)
        return false;
    *out = c->bytes;
    return true;
}

static size_t digest_of(const char *hash, const void *data, size_t len, uint8_t out[64])
{
    unsigned n = 0;

    if (EVP_Digest(data, len, out, &n, EVP_get_digestbyname(hash), NULL) != 1)
        return 0;
    return n;
}

static bool zeros(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (data[i])
            return false;
    return true;
}

/* The whole digest, and behind it nothing but zeros. */
static bool holds(struct bawn_bytes field, const uint8_t *digest, size_t len)
{
    return len && field.len >= len && !memcmp(field.data, digest, len) &&
           zeros(field.data + len, field.len - len);
}

/* Init data's digest is cut to the field when that is shorter (initdata.md of KBS). */
static bool holds_cut(struct bawn_bytes field, const uint8_t *digest, size_t len)
{
    if (len > field.len)
        return field.len >= 32 && !memcmp(field.data, digest, field.len);
    return holds(field, digest, len);
}

/* The guest extends PCR 8, once, by the digest. */
static bool pcr_holds(struct bawn_bytes pcr, const uint8_t *digest, size_t len)
{
    uint8_t start[64] = { 0 }, extended[64];

    if (len != 32 || pcr.len != 32)
        return false;
    memcpy(start + 32, digest, 32);
    return digest_of("sha256", start, sizeof(start), extended) == 32 &&
           !memcmp(extended, pcr.data, 32);
}

static void bind_init_data(const struct judge_request *r, const char *claim,
                           const struct bawn_attest_result *result, struct judge_binding *b)
{
    struct bawn_bytes field;
    uint8_t digest[64];

    if (!bytes_of(result, claim ? claim : "tpm.pcr[8]", &field)) {
        snprintf(b->why, sizeof(b->why),
                 "init data was given, but the evidence has no field that its digest could be in");
        return;
    }
    for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
        size_t len = digest_of(hashes[i], r->init_body, r->init_len, digest);

        if (claim ? !holds_cut(field, digest, len) : !pcr_holds(field, digest, len))
            continue;
        b->init_hash = hashes[i];
        for (size_t k = 0; k < len; k++)
            snprintf(b->init_digest + 2 * k, 3, "%02x", digest[k]);
        return;
    }
    snprintf(b->why, sizeof(b->why), "%s is not the digest of the init data that was given",
             claim ? claim : "tpm.pcr[8]");
}

/* Clients of protocol 0.4.0 hash the additional evidence too, as a member that they do not send
 * under runtime-data. What else might stand in there that hash does not cover. */
static bool holds_with_additional(const struct judge_request *r, struct bawn_bytes field,
                                  const char *hash, size_t len)
{
    uint8_t data[64];

    return r->additional_text && json_object_size(r->runtime_data) == 2 &&
           kbs_report_data(r->runtime_data, r->additional_text, hash, data, NULL) == BAWN_OK &&
           holds(field, data, len);
}

void judge_bind(const struct judge_request *r, const char *evidence,
                const struct bawn_attest_result *result, struct judge_binding *b)
{
    struct bawn_bytes field = { 0 };
    uint8_t digest[64];
    size_t k;

    memset(b, 0, sizeof(*b));
    for (k = 0; evidence && k < sizeof(kinds) / sizeof(kinds[0]); k++)
        if (!strcmp(kinds[k].evidence, evidence))
            break;
    if (!evidence || k == sizeof(kinds) / sizeof(kinds[0]) ||
        !bytes_of(result, kinds[k].nonce_claim, &field)) {
        snprintf(b->why, sizeof(b->why),
                 "the evidence has no field that binds it to the session and the key");
        return;
    }
    for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]) && !b->hash; i++) {
        size_t len = digest_of(hashes[i], r->runtime_text, r->runtime_len, digest);

        if (holds(field, digest, len) || holds_with_additional(r, field, hashes[i], len))
            b->hash = hashes[i];
    }
    if (!b->hash)
        snprintf(b->why, sizeof(b->why),
                 "%s is not the hash of the runtime data: the evidence was made for another "
                 "session or another key",
                 kinds[k].nonce_claim);
    else if (r->init_data)
        bind_init_data(r, kinds[k].init_claim, result, b);
}

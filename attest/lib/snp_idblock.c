// SPDX-License-Identifier: Apache-2.0
/*
 * The ID block of an SNP launch, and the ID authentication information with its signatures: who
 * identified the guest. Both are hostile; that they are this launch's follows from the report,
 * which has the digests of the keys.
 */
#include "attest/lib/snp.h"

#include <string.h>

#define SPEC "AMD 56860 rev 1.58, SNP_LAUNCH_FINISH"

static const struct check form_check = {
    .name = "snp.id-block",
    .source = SPEC ", ID block and ID authentication information",
    .how = "ID block and ID authentication information are of the form that the firmware takes",
    .advice = "give both as the launch used them: 96 and 4096 bytes",
};

static const struct check field_check = {
    .name = "snp.id-block-fields",
    .source = SPEC ", ID block",
    .how = "the report repeats the ID block: measurement, family, image, SVN and policy",
    .advice = "this ID block is not the one that the guest was launched with",
};

static const struct check digest_check = {
    .name = "snp.id-key-digest",
    .source = "AMD 56860 rev 1.58, 7.3, ID_KEY_DIGEST and AUTHOR_KEY_DIGEST",
    .how = "the report has the SHA-384 digests of the ID key and of the author key",
    .advice = "this is not the key that the guest was launched with",
};

static const struct check signature_check = {
    .name = "snp.id-block-signature",
    .source = SPEC ", ID authentication information, and chapter 10",
    .how = "the ID key signed the ID block, and the author key, if there is one, the ID key",
    .advice = "the ID block or its authentication was altered: give them as the launch used them",
};

static const struct check author_check = {
    .name = "snp.author-key",
    .claim = "snp.author_key_en",
    .source = "AMD 56860 rev 1.58, 7.3, AUTHOR_KEY_EN",
    .how = "the report has an author key if the ID authentication information has",
    .advice = "launch the guest with AUTHOR_KEY_EN, or give the authentication without author key",
};

/* A key with the algorithm that it signs with: the structure as it stands, which is what
 * digests and signatures are over, and the point. */
struct id_key {
    struct bawn_bytes whole;
    uint8_t point[1 + 2 * BAWN_SNP_P384_SIZE];
    struct pubkey key;
};

struct id_signature {
    uint8_t r[BAWN_SNP_P384_SIZE], s[BAWN_SNP_P384_SIZE];
};

struct id_auth {
    uint32_t id_key_algo, author_key_algo;
    struct id_signature id_block_signature, id_key_signature;
    struct id_key id_key, author_key;
    bool has_author;
};

/* ---- Form ---- */

/* False: not a P-384 key in its proper form. That the point is on the curve is OpenSSL's to
 * say when it is used. */
static bool read_key(struct bawn_cursor *auth, size_t offset, struct id_key *out)
{
    struct bawn_cursor c = bawn_cursor_slice(auth, offset, sizeof(struct bawn_snp_public_key));
    bool good;

    out->whole = (struct bawn_bytes){ c.start, sizeof(struct bawn_snp_public_key) };
    good = bawn_cursor_u32(&c) == BAWN_SNP_CURVE_P384;
    out->point[0] = 4; /* uncompressed */
    for (unsigned n = 0; n < 2; n++) {
        const uint8_t *number = bawn_cursor_take(&c, BAWN_SNP_P384_SIZE);

        for (unsigned i = 0; number && i < BAWN_SNP_P384_SIZE; i++)
            out->point[(n + 1) * BAWN_SNP_P384_SIZE - i] = number[i];
        good &= bawn_cursor_zeros(&c, BAWN_SNP_NUMBER_SIZE - BAWN_SNP_P384_SIZE);
    }
    good &= bawn_cursor_zeros(&c, bawn_cursor_left(&c));
    out->key = (struct pubkey){ .type = KEY_P384,
                                .point = { out->point, sizeof(out->point) },
                                .bits = 384 };
    return good;
}

static bool read_signature(struct bawn_cursor *auth, size_t offset, struct id_signature *out)
{
    struct bawn_cursor c = bawn_cursor_slice(auth, offset, sizeof(struct bawn_snp_signature));

    return snp_signature_read(&c, out->r, out->s);
}

static bool zeros_at(struct bawn_cursor *auth, size_t offset, size_t len)
{
    struct bawn_cursor c = bawn_cursor_slice(auth, offset, len);

    return bawn_cursor_zeros(&c, len);
}

#define AUTH(field) offsetof(struct bawn_snp_id_auth, field)

/* False: not in its proper form. Without an author all of the author's part is zero. */
static bool read_auth(struct bawn_bytes bytes, struct id_auth *out)
{
    struct bawn_cursor c = bawn_cursor_over(bytes.data, bytes.len);
    bool good;

    *out = (struct id_auth){ 0 };
    out->id_key_algo = bawn_cursor_u32(&c);
    out->author_key_algo = bawn_cursor_u32(&c);
    good = out->id_key_algo == BAWN_SNP_ALGO_ECDSA_P384_SHA384;
    good &= bawn_cursor_zeros(&c, AUTH(id_block_signature) - AUTH(reserved_008));
    good &= read_signature(&c, AUTH(id_block_signature), &out->id_block_signature);
    good &= read_key(&c, AUTH(id_key), &out->id_key);
    good &= zeros_at(&c, AUTH(reserved_644), AUTH(id_key_signature) - AUTH(reserved_644));
    good &= zeros_at(&c, AUTH(reserved_c84), BAWN_SNP_ID_AUTH_SIZE - AUTH(reserved_c84));
    out->has_author =
        !zeros_at(&c, AUTH(id_key_signature), AUTH(reserved_c84) - AUTH(id_key_signature));
    if (!out->has_author)
        return good;
    good &= out->author_key_algo == BAWN_SNP_ALGO_ECDSA_P384_SHA384;
    good &= read_signature(&c, AUTH(id_key_signature), &out->id_key_signature);
    good &= read_key(&c, AUTH(author_key), &out->author_key);
    return good && !c.failed;
}

/* ---- Recognition ---- */

bool snp_id_block_add(struct verification *v, struct bawn_bytes blob)
{
    struct bawn_cursor c = bawn_cursor_over(blob.data, blob.len);

    if (blob.len == BAWN_SNP_ID_BLOCK_SIZE) {
        bawn_cursor_seek(&c, offsetof(struct bawn_snp_id_block, version));
        if (bawn_cursor_u32(&c) != BAWN_SNP_ID_BLOCK_VERSION)
            return false;
        bawn_cursor_u32(&c);
        if (!(bawn_cursor_u64(&c) & BAWN_SNP_POLICY_ONE))
            return false;
        v->ev.id_block = blob;
        return true;
    }
    if (blob.len != BAWN_SNP_ID_AUTH_SIZE || bawn_cursor_u32(&c) != BAWN_SNP_ALGO_ECDSA_P384_SHA384)
        return false;
    bawn_cursor_seek(&c, AUTH(id_key));
    if (bawn_cursor_u32(&c) != BAWN_SNP_CURVE_P384)
        return false;
    v->ev.id_auth = blob;
    return true;
}

/* ---- Judgement ---- */

static bool judge_bytes(struct verification *v, const struct check *base, const char *claim,
                        const uint8_t *expected, const uint8_t *found, size_t len)
{
    struct check check = *base;

    if (expected && found && !memcmp(expected, found, len))
        return true;
    check.claim = claim;
    return check_refused(v->r, &check, arena_hex(v->arena, (struct bawn_bytes){ expected, len }),
                         arena_hex(v->arena, (struct bawn_bytes){ found, len }),
                         "the report's %s is not that of the ID block", claim);
}

static bool judge_number(struct verification *v, const char *claim, uint64_t expected,
                         uint64_t found)
{
    struct check check = field_check;

    if (expected == found)
        return true;
    check.claim = claim;
    return check_refused(v->r, &check, arena_text(v->arena, "0x%llx", (unsigned long long)expected),
                         arena_text(v->arena, "0x%llx", (unsigned long long)found),
                         "the report's %s is not that of the ID block", claim);
}

static bool judge_fields(struct verification *v, const struct snp_report *report)
{
    struct bawn_cursor c = bawn_cursor_over(v->ev.id_block.data, v->ev.id_block.len);
    uint32_t version;
    bool good;

    good =
        judge_bytes(v, &field_check, "snp.measurement", bawn_cursor_take(&c, BAWN_SNP_DIGEST_SIZE),
                    report->measurement, BAWN_SNP_DIGEST_SIZE);
    good &= judge_bytes(v, &field_check, "snp.family_id", bawn_cursor_take(&c, 16),
                        report->family_id, 16);
    good &= judge_bytes(v, &field_check, "snp.image_id", bawn_cursor_take(&c, 16), report->image_id,
                        16);
    version = bawn_cursor_u32(&c);
    if (version != BAWN_SNP_ID_BLOCK_VERSION)
        good = check_missing(v->r, &form_check, "1", arena_text(v->arena, "%u", version),
                             "this tool knows ID blocks of version 1");
    good &= judge_number(v, "snp.guest_svn", bawn_cursor_u32(&c), report->guest_svn);
    good &= judge_number(v, "snp.policy", bawn_cursor_u64(&c), report->policy);
    return good && check_passed(v->r, &field_check);
}

static bool judge_digest(struct verification *v, const char *claim, const struct id_key *key,
                         const uint8_t *reported)
{
    uint8_t digest[BAWN_SNP_DIGEST_SIZE] = { 0 };

    return hash_bytes(HASH_SHA384, key->whole.data, key->whole.len, digest) &&
           judge_bytes(v, &digest_check, claim, digest, reported, sizeof(digest));
}

static bool judge_signature(struct verification *v, const char *what, const struct id_key *key,
                            struct bawn_bytes message, const struct id_signature *sig)
{
    if (sig_verify_raw(v->cache, &key->key, HASH_SHA384, message, sig->r, sig->s))
        return true;
    return check_refused(v->r, &signature_check, NULL, NULL, "%s", what);
}

static bool judge_author(struct verification *v, const struct snp_report *report,
                         const struct id_auth *auth)
{
    bool reported = report->key_info & BAWN_SNP_KEY_AUTHOR_KEY_EN;
    bool good;

    if (reported != auth->has_author)
        return check_refused(v->r, &author_check, auth->has_author ? "true" : "false",
                             reported ? "true" : "false",
                             auth->has_author ? "the guest was launched without the author key"
                                              : "the guest was launched with an author key");
    if (!reported)
        return true;
    good = judge_digest(v, "snp.author_key_digest", &auth->author_key, report->author_key_digest);
    good &= judge_signature(v, "the ID key is not signed by the author key", &auth->author_key,
                            auth->id_key.whole, &auth->id_key_signature);
    return good;
}

bool snp_id_block_judge(struct verification *v, const struct snp_report *report)
{
    struct bawn_bytes block = v->ev.id_block, bytes = v->ev.id_auth;
    struct id_auth auth;
    bool good;

    if (!block.len && !bytes.len)
        return false;
    if (block.len != BAWN_SNP_ID_BLOCK_SIZE || bytes.len != BAWN_SNP_ID_AUTH_SIZE)
        return check_missing(v->r, &form_check, "96 and 4096 bytes",
                             arena_text(v->arena, "%zu and %zu bytes", block.len, bytes.len),
                             "these are not an ID block and its authentication information");
    if (!read_auth(bytes, &auth))
        return check_refused(v->r, &form_check, NULL, NULL,
                             "the ID authentication information is not well-formed");
    check_passed(v->r, &form_check);
    good = judge_fields(v, report);
    good &= judge_digest(v, "snp.id_key_digest", &auth.id_key, report->id_key_digest);
    good &= judge_signature(v, "the ID block is not signed by the ID key", &auth.id_key, block,
                            &auth.id_block_signature);
    good &= judge_author(v, report, &auth);
    if (good) {
        check_passed(v->r, &digest_check);
        check_passed(v->r, &signature_check);
    }
    return good;
}

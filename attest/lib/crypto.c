// SPDX-License-Identifier: Apache-2.0
/*
 * Signatures and digests, through OpenSSL's EVP. Keys, messages and signatures are hostile;
 * lengths and types are checked here, numbers by OpenSSL (points on the curve, r and s in range,
 * padding). A failure of OpenSSL's own is a signature that does not verify.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "attest/lib/cache.h"
#include "attest/lib/codec.h"
#include "attest/lib/der.h"

#define RSA_MIN_BITS 2048
#define RSA_MAX_BITS 8192
#define RSA_MAX_EXPONENT 8 /* bytes: OpenSSL's own limit for long moduli, here for all */
#define ORDER_MAX 66       /* bytes of P-521's order */
/* SEQUENCE of two INTEGERs, each with a header of two bytes and a leading zero. */
#define ECDSA_DER_MAX (3 + 2 * (2 + 1 + ORDER_MAX))
#define POINT_UNCOMPRESSED 0x04 /* SEC 1, 2.3.3 */
#define DER_LONG_1 0x81         /* X.690, 8.1.3.5: one byte of length follows */

static const struct {
    const char *name;
    size_t size;
    const EVP_MD *(*md)(void);
} hashes[HASH_ALGS] = {
    [HASH_NONE] = { "none", 0, NULL },
    [HASH_SHA1] = { "sha1", 20, EVP_sha1 },
    [HASH_SHA256] = { "sha256", 32, EVP_sha256 },
    [HASH_SHA384] = { "sha384", 48, EVP_sha384 },
    [HASH_SHA512] = { "sha512", 64, EVP_sha512 },
};

static const struct {
    const char *name; /* SEC 2's or NIST's, as OpenSSL knows it */
    size_t order;     /* bytes */
} curves[] = {
    [KEY_P256] = { "P-256", 32 },
    [KEY_P384] = { "P-384", 48 },
    [KEY_P521] = { "P-521", 66 },
};

size_t hash_size(enum hash_alg alg)
{
    return alg < HASH_ALGS ? hashes[alg].size : 0;
}

const char *hash_name(enum hash_alg alg)
{
    return alg < HASH_ALGS ? hashes[alg].name : hashes[HASH_NONE].name;
}

static const EVP_MD *digest_of(const struct crypto *crypto, enum hash_alg alg)
{
    if (!hash_size(alg))
        return NULL;
    return crypto ? crypto->md[alg] : hashes[alg].md();
}

bool hash_bytes(enum hash_alg alg, const void *data, size_t len, uint8_t *out)
{
    const EVP_MD *md = digest_of(NULL, alg);

    return md && EVP_Digest(data, len, out, NULL, md, NULL) == 1;
}

bool hash_two(enum hash_alg alg, struct bawn_bytes a, struct bawn_bytes b, uint8_t *out)
{
    const EVP_MD *md = digest_of(NULL, alg);
    EVP_MD_CTX *ctx = md ? EVP_MD_CTX_new() : NULL;
    bool ok = ctx && EVP_DigestInit_ex2(ctx, md, NULL) == 1 &&
              EVP_DigestUpdate(ctx, a.data, a.len) == 1 &&
              EVP_DigestUpdate(ctx, b.data, b.len) == 1 && EVP_DigestFinal_ex(ctx, out, NULL) == 1;

    EVP_MD_CTX_free(ctx);
    return ok;
}

/* ---- Keys ---- */

bool pubkey_equal(const struct pubkey *a, const struct pubkey *b)
{
    return a->type == b->type && bytes_equal(a->point, b->point) && bytes_equal(a->n, b->n) &&
           bytes_equal(a->e, b->e);
}

/* A key of that curve; without a point, only the curve's parameters. */
static EVP_PKEY *key_from_curve(enum key_type type, struct bawn_bytes point)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)(uintptr_t)curves[type].name,
                               strlen(curves[type].name)),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)point.data, point.len),
        OSSL_PARAM_END,
    };
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    int selection = EVP_PKEY_PUBLIC_KEY;
    EVP_PKEY *key = NULL;

    if (!point.len) {
        params[1] = OSSL_PARAM_construct_end();
        selection = EVP_PKEY_KEY_PARAMETERS;
    }
    if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, selection, params) != 1) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static EVP_PKEY *key_ec(const struct crypto *crypto, const struct pubkey *key)
{
    EVP_PKEY *out;

    if (key->point.len != 1 + 2 * curves[key->type].order ||
        key->point.data[0] != POINT_UNCOMPRESSED)
        return NULL;
    if (!crypto)
        return key_from_curve(key->type, key->point);
    /* A copy of the curve's parameters takes a quarter of the time that making them takes. */
    out = EVP_PKEY_dup(crypto->curve[key->type]);
    if (out && EVP_PKEY_set1_encoded_public_key(out, key->point.data, key->point.len) != 1) {
        EVP_PKEY_free(out);
        out = NULL;
    }
    return out;
}

/* OpenSSL takes numbers in the machine's order. */
static void reverse(uint8_t *out, struct bawn_bytes in)
{
    for (size_t i = 0; i < in.len; i++)
        out[in.len - 1 - i] = in.data[i];
}

static size_t bits_of(struct bawn_bytes n)
{
    size_t bits = n.len * 8;

    if (!n.len || !n.data[0])
        return 0;
    for (uint8_t top = n.data[0]; !(top & 0x80); top = (uint8_t)(top << 1))
        bits--;
    return bits;
}

/* FIPS 186-5, 5.1: an exponent is odd and above 2. */
static bool rsa_is_sound(const struct pubkey *key)
{
    size_t bits = bits_of(key->n), e = bits_of(key->e);

    return bits >= RSA_MIN_BITS && bits <= RSA_MAX_BITS && e > 1 &&
           key->e.len <= RSA_MAX_EXPONENT && (key->e.data[key->e.len - 1] & 1);
}

static EVP_PKEY *key_rsa(const struct pubkey *key)
{
    uint8_t n[RSA_MAX_BITS / 8], e[RSA_MAX_EXPONENT];
    OSSL_PARAM params[] = {
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, n, key->n.len),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, e, key->e.len),
        OSSL_PARAM_END,
    };
    EVP_PKEY_CTX *ctx;
    EVP_PKEY *out = NULL;

    if (!rsa_is_sound(key))
        return NULL;
    reverse(n, key->n);
    reverse(e, key->e);
    ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &out, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        EVP_PKEY_free(out);
        out = NULL;
    }
    EVP_PKEY_CTX_free(ctx);
    return out;
}

static bool rsa_padding(EVP_PKEY_CTX *ctx, const struct sig_alg *alg, const EVP_MD *md)
{
    bool pss = alg->scheme == SIG_RSA_PSS;

    return EVP_PKEY_CTX_set_rsa_padding(ctx, pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING) > 0 &&
           EVP_PKEY_CTX_set_signature_md(ctx, md) > 0 &&
           (!pss || EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, alg->salt < 0 ? RSA_PSS_SALTLEN_AUTO
                                                                        : alg->salt) > 0);
}

static EVP_PKEY *key_made(const struct crypto *crypto, const struct pubkey *key)
{
    return key->type == KEY_RSA ? key_rsa(key) : key_ec(crypto, key);
}

static EVP_PKEY *key_known_or_made(const struct crypto *crypto, const struct pubkey *key)
{
    for (unsigned i = 0; crypto && i < crypto->nr_known; i++) {
        const struct known_key *k = &crypto->known[i];

        if (pubkey_equal(&k->key, key))
            return k->pkey && EVP_PKEY_up_ref(k->pkey) ? k->pkey : NULL;
    }
    return key_made(crypto, key);
}

void crypto_know(struct crypto *crypto, const struct pubkey *key)
{
    if (crypto->nr_known == KNOWN_KEYS)
        return;
    crypto->known[crypto->nr_known++] = (struct known_key){ *key, key_made(crypto, key) };
}

/* The key made ready to verify under that algorithm, to be freed; NULL: not a key for it. */
static EVP_PKEY_CTX *key_ready(const struct crypto *crypto, const struct pubkey *key,
                               const struct sig_alg *alg)
{
    bool rsa = key->type == KEY_RSA;
    EVP_PKEY *pkey = key_known_or_made(crypto, key);
    EVP_PKEY_CTX *ctx = pkey ? EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL) : NULL;

    EVP_PKEY_free(pkey);
    if (ctx && (EVP_PKEY_verify_init(ctx) != 1 ||
                (rsa && !rsa_padding(ctx, alg, digest_of(crypto, alg->hash))))) {
        EVP_PKEY_CTX_free(ctx);
        ctx = NULL;
    }
    return ctx;
}

struct crypto *crypto_create(void)
{
    struct crypto *crypto = calloc(1, sizeof(*crypto));
    bool ok = crypto;

    for (int t = KEY_P256; ok && t <= KEY_P521; t++)
        ok = (crypto->curve[t] = key_from_curve((enum key_type)t, (struct bawn_bytes){ 0 }));
    for (int h = HASH_SHA1; ok && h < HASH_ALGS; h++)
        ok = (crypto->md[h] = EVP_MD_fetch(NULL, hashes[h].name, NULL));
    if (!ok) {
        crypto_destroy(crypto);
        return NULL;
    }
    return crypto;
}

void crypto_destroy(struct crypto *crypto)
{
    if (!crypto)
        return;
    for (int t = 0; t <= KEY_P521; t++)
        EVP_PKEY_free(crypto->curve[t]);
    for (int h = 0; h < HASH_ALGS; h++)
        EVP_MD_free(crypto->md[h]);
    for (unsigned i = 0; i < crypto->nr_known; i++)
        EVP_PKEY_free(crypto->known[i].pkey);
    free(crypto);
}

/* ---- Signatures ---- */

/* One question: everything that its answer depends on. */
struct question {
    const struct pubkey *key;
    const struct sig_alg *alg;
    struct bawn_bytes message, sig;
};

/* A context for digests, the cache's, so that it is allocated once. */
static EVP_MD_CTX *digest_begin(struct bawn_attest_cache *cache, enum hash_alg alg)
{
    EVP_MD_CTX **ctx = &cache->md_ctx[alg];

    if (!*ctx)
        *ctx = EVP_MD_CTX_new();
    return *ctx && EVP_DigestInit_ex2(*ctx, cache->crypto->md[alg], NULL) == 1 ? *ctx : NULL;
}

/* Each part is preceded by its length, so that two lists of parts never read alike. */
static bool name_of(struct bawn_attest_cache *cache, const struct bawn_bytes *part, size_t n,
                    uint8_t id[CACHE_ID])
{
    EVP_MD_CTX *ctx = digest_begin(cache, HASH_SHA256);
    bool ok = ctx;

    for (size_t i = 0; ok && i < n; i++) {
        uint64_t len = part[i].len;

        ok = EVP_DigestUpdate(ctx, &len, sizeof(len)) == 1 &&
             EVP_DigestUpdate(ctx, part[i].data, part[i].len) == 1;
    }
    return ok && EVP_DigestFinal_ex(ctx, id, NULL) == 1;
}

static bool name_key(struct bawn_attest_cache *cache, const struct question *q,
                     uint8_t id[CACHE_ID])
{
    int32_t kind[] = { (int32_t)q->key->type, (int32_t)q->alg->scheme, (int32_t)q->alg->hash,
                       q->alg->scheme == SIG_RSA_PSS ? q->alg->salt : 0 };
    bool rsa = q->key->type == KEY_RSA;
    struct bawn_bytes parts[] = {
        { (const uint8_t *)kind, sizeof(kind) },
        rsa ? q->key->n : q->key->point,
        rsa ? q->key->e : (struct bawn_bytes){ 0 },
    };

    return name_of(cache, parts, sizeof(parts) / sizeof(parts[0]), id);
}

/* By the digest, which is needed anyway, and not the message: that may be long. */
static bool name_question(struct bawn_attest_cache *cache, const struct question *q,
                          const uint8_t *key_id, const uint8_t *digest, uint8_t id[CACHE_ID])
{
    struct bawn_bytes parts[] = {
        { key_id, CACHE_ID },
        { digest, hash_size(q->alg->hash) },
        q->sig,
    };

    return name_of(cache, parts, sizeof(parts) / sizeof(parts[0]), id);
}

static bool digest_message(struct bawn_attest_cache *cache, enum hash_alg alg,
                           struct bawn_bytes message, uint8_t *out)
{
    EVP_MD_CTX *ctx;

    if (!cache)
        return hash_bytes(alg, message.data, message.len, out);
    ctx = digest_begin(cache, alg);
    return ctx && EVP_DigestUpdate(ctx, message.data, message.len) == 1 &&
           EVP_DigestFinal_ex(ctx, out, NULL) == 1;
}

/* Before OpenSSL is asked: the scheme is the key's, and the signature as long as it must be. */
static bool question_is_sound(const struct question *q)
{
    if (!hash_size(q->alg->hash))
        return false;
    switch (q->key->type) {
    case KEY_RSA:
        return (q->alg->scheme == SIG_RSA_PKCS1 || q->alg->scheme == SIG_RSA_PSS) &&
               rsa_is_sound(q->key) && q->sig.len == q->key->n.len;
    case KEY_P256:
    case KEY_P384:
    case KEY_P521:
        return q->alg->scheme == SIG_ECDSA && q->sig.len && q->sig.len <= ECDSA_DER_MAX;
    default:
        return false;
    }
}

/* Asks OpenSSL. key_id is NULL when there is no cache. */
static bool verify_digest(struct bawn_attest_cache *cache, const struct question *q,
                          const uint8_t *key_id, const uint8_t *digest)
{
    struct cache_slot *slot = cache ? cache_find(&cache->keys, key_id) : NULL;
    EVP_PKEY_CTX *ctx = slot ? slot->ready : NULL;
    bool ok;

    if (!ctx) {
        ctx = key_ready(cache ? cache->crypto : NULL, q->key, q->alg);
        if (!ctx)
            return false;
        if (cache)
            cache_add(&cache->keys, key_id)->ready = ctx;
    }
    ok = EVP_PKEY_verify(ctx, q->sig.data, q->sig.len, digest, hash_size(q->alg->hash)) == 1;
    if (!cache)
        EVP_PKEY_CTX_free(ctx);
    return ok;
}

static bool ask(struct bawn_attest_cache *cache, const struct question *q, bool keep)
{
    uint8_t digest[HASH_MAX], key_id[CACHE_ID], id[CACHE_ID];

    if (!digest_message(cache, q->alg->hash, q->message, digest))
        return false;
    if (!cache)
        return verify_digest(NULL, q, NULL, digest);
    if (!name_key(cache, q, key_id))
        return false;
    keep = keep && name_question(cache, q, key_id, digest, id);
    if (keep && cache_find(&cache->memos, id))
        return true;
    if (!verify_digest(cache, q, key_id, digest))
        return false;
    if (keep)
        cache_add(&cache->memos, id);
    return true;
}

/* A failed verification leaves nothing in the thread's queue of OpenSSL errors. */
static bool answer(struct bawn_attest_cache *cache, const struct question *q, bool keep)
{
    bool ok;

    if (!question_is_sound(q))
        return false;
    ERR_set_mark();
    ok = ask(cache, q, keep);
    ERR_pop_to_mark();
    return ok;
}

bool sig_verify(struct bawn_attest_cache *cache, const struct pubkey *key,
                const struct sig_alg *alg, struct bawn_bytes message, struct bawn_bytes sig)
{
    return answer(cache, &(struct question){ key, alg, message, sig }, true);
}

bool sig_verify_once(struct bawn_attest_cache *cache, const struct pubkey *key,
                     const struct sig_alg *alg, struct bawn_bytes message, struct bawn_bytes sig)
{
    return answer(cache, &(struct question){ key, alg, message, sig }, false);
}

/* ---- ECDSA as two numbers ---- */

/* INTEGER of a big-endian number of len bytes: minimal, and not negative. */
static size_t put_integer(uint8_t *out, const uint8_t *number, size_t len)
{
    size_t pad;

    while (len > 1 && !*number) {
        number++;
        len--;
    }
    pad = *number >> 7;
    out[0] = DER_INTEGER;
    out[1] = (uint8_t)(len + pad);
    out[2] = 0;
    memcpy(out + 2 + pad, number, len);
    return 2 + pad + len;
}

static bool raw(struct bawn_attest_cache *cache, const struct pubkey *key, enum hash_alg hash,
                struct bawn_bytes message, const uint8_t *r, const uint8_t *s, bool keep)
{
    const struct sig_alg alg = { .scheme = SIG_ECDSA, .hash = hash };
    uint8_t numbers[ECDSA_DER_MAX], sig[ECDSA_DER_MAX];
    size_t len, n = 0;

    if (key->type < KEY_P256 || key->type > KEY_P521)
        return false;
    len = put_integer(numbers, r, curves[key->type].order);
    len += put_integer(numbers + len, s, curves[key->type].order);
    sig[n++] = DER_SEQUENCE;
    if (len >= 0x80)
        sig[n++] = DER_LONG_1;
    sig[n++] = (uint8_t)len;
    memcpy(sig + n, numbers, len);
    return answer(cache, &(struct question){ key, &alg, message, { sig, n + len } }, keep);
}

bool sig_verify_raw(struct bawn_attest_cache *cache, const struct pubkey *key, enum hash_alg hash,
                    struct bawn_bytes message, const uint8_t *r, const uint8_t *s)
{
    return raw(cache, key, hash, message, r, s, false);
}

bool sig_verify_raw_kept(struct bawn_attest_cache *cache, const struct pubkey *key,
                         enum hash_alg hash, struct bawn_bytes message, const uint8_t *r,
                         const uint8_t *s)
{
    return raw(cache, key, hash, message, r, s, true);
}

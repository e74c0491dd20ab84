/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures and digests, by OpenSSL. Public keys are given as the raw numbers of a parsed
 * SubjectPublicKeyInfo. The cache remembers where the pure function (key, algorithm, digest of
 * the message, signature) -> valid said yes, and keys made ready; nothing else.
 */
#ifndef BAWN_ATTEST_CRYPTO_H
#define BAWN_ATTEST_CRYPTO_H

#include "attest/lib/result.h"

enum hash_alg { HASH_NONE, HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512, HASH_ALGS };
#define HASH_MAX 64

size_t hash_size(enum hash_alg alg);
const char *hash_name(enum hash_alg alg); /* "sha384" */
/* out has room for hash_size(alg) bytes. False: OpenSSL failed. */
bool hash_bytes(enum hash_alg alg, const void *data, size_t len, uint8_t *out);
/* The digest of a followed by b: the extend operation of PCRs and RTMRs. */
bool hash_two(enum hash_alg alg, struct bawn_bytes a, struct bawn_bytes b, uint8_t *out);

enum key_type { KEY_NONE, KEY_RSA, KEY_P256, KEY_P384, KEY_P521 };

/* All borrowed. */
struct pubkey {
    enum key_type type;
    struct bawn_bytes point; /* EC: 04 || x || y */
    struct bawn_bytes n, e;  /* RSA: big-endian, no leading zeros */
    unsigned bits;
};

bool pubkey_equal(const struct pubkey *a, const struct pubkey *b);

enum sig_scheme { SIG_NONE, SIG_ECDSA, SIG_RSA_PKCS1, SIG_RSA_PSS };

struct sig_alg {
    enum sig_scheme scheme;
    enum hash_alg hash;
    int salt; /* PSS: salt length; -1 any (TPM) */
};

/* What making a key ready costs most, done once: the curves' parameters and the digests, looked
 * up. Only read after creation, so threads share it; a struct bawn_trust holds one. */
struct crypto;
struct crypto *crypto_create(void); /* NULL: no memory */
void crypto_destroy(struct crypto *crypto);
/* Makes a CA's key ready for all verifications to come; the key's bytes must stay. Before the
 * threads come. */
void crypto_know(struct crypto *crypto, const struct pubkey *key);

/* The cache: a fixed number of slots allocated at creation. NULL is a cache that forgets, and
 * five times as slow in making a key ready. */
struct bawn_attest_cache;

/* The cache that one verification uses: the caller's, or when it has none a small one in the
 * arena, so that a signature or key met twice in one verification is worked out once. NULL
 * without memory, which is a cache too. cache_end gives back what cache_begin made; call it
 * before the arena is reset. */
struct bawn_attest_cache *cache_begin(struct bawn_attest_cache *callers,
                                      const struct crypto *crypto, struct arena *a);
void cache_end(struct bawn_attest_cache *cache, struct bawn_attest_cache *callers);

/* Each says whether sig is key's signature over message. Two forms of each: for endorsements,
 * whose signatures are met again and are remembered by the cache; and for evidence
 * (sig_verify_once, sig_verify_raw), whose signatures are new each time and would only push out
 * what is worth remembering. Any form refuses RSA keys below 2048 or above 8192 bits. */

/* ECDSA signatures are the DER sequence. */
bool sig_verify(struct bawn_attest_cache *cache, const struct pubkey *key,
                const struct sig_alg *alg, struct bawn_bytes message, struct bawn_bytes sig);
bool sig_verify_once(struct bawn_attest_cache *cache, const struct pubkey *key,
                     const struct sig_alg *alg, struct bawn_bytes message, struct bawn_bytes sig);
/* The same for ECDSA given as r and s, big-endian, each as long as the curve's order. */
bool sig_verify_raw(struct bawn_attest_cache *cache, const struct pubkey *key, enum hash_alg hash,
                    struct bawn_bytes message, const uint8_t *r, const uint8_t *s);
/* The same, remembered: Intel's collateral and the quoting enclave's report. */
bool sig_verify_raw_kept(struct bawn_attest_cache *cache, const struct pubkey *key,
                         enum hash_alg hash, struct bawn_bytes message, const uint8_t *r,
                         const uint8_t *s);

#endif

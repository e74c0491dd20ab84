/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures and digests, by OpenSSL. Public keys are given as the raw numbers of a parsed
 * SubjectPublicKeyInfo. The cache remembers outcomes of the pure function (key, algorithm,
 * digest of the message, signature) -> valid, and keys made ready; nothing else.
 */
#ifndef BAWN_ATTEST_CRYPTO_H
#define BAWN_ATTEST_CRYPTO_H

#include <bawn/attest.h>

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

enum sig_scheme { SIG_NONE, SIG_ECDSA, SIG_RSA_PKCS1, SIG_RSA_PSS };

struct sig_alg {
    enum sig_scheme scheme;
    enum hash_alg hash;
    int salt; /* PSS: salt length; -1 any (TPM) */
};

/* The cache: a fixed number of slots allocated at creation. NULL is a cache that forgets. */
struct bawn_attest_cache;

/* Whether sig is key's signature over message. ECDSA signatures are the DER sequence. */
bool sig_verify(struct bawn_attest_cache *cache, const struct pubkey *key,
                const struct sig_alg *alg, struct bawn_bytes message, struct bawn_bytes sig);
/* The same for ECDSA given as r and s, big-endian, each as long as the curve's order. */
bool sig_verify_raw(struct bawn_attest_cache *cache, const struct pubkey *key, enum hash_alg hash,
                    struct bawn_bytes message, const uint8_t *r, const uint8_t *s);
/* The same for a message that is signed as its digest alone. */
bool sig_verify_digest(struct bawn_attest_cache *cache, const struct pubkey *key,
                       const struct sig_alg *alg, struct bawn_bytes digest, struct bawn_bytes sig);

#endif

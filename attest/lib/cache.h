/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a struct bawn_attest_cache, for crypto.c. Two tables of fixed size: memos
 * (signatures that verified) and keys made ready. What is looked up is named by a SHA-256 over
 * all of its inputs, so that an entry cannot stand for anything else.
 */
#ifndef BAWN_ATTEST_CACHE_H
#define BAWN_ATTEST_CACHE_H

#include <openssl/evp.h>

#include "attest/lib/crypto.h"

#define CACHE_ID 32   /* bytes of SHA-256 */
#define KNOWN_KEYS 16 /* of CAs: all that are compiled in; more are made ready when met */

struct known_key {
    struct pubkey key;
    EVP_PKEY *pkey; /* NULL: not one that OpenSSL takes */
};

struct crypto {
    EVP_PKEY *curve[KEY_P521 + 1]; /* some point of the curve: the parameters are what counts */
    EVP_MD *md[HASH_ALGS];
    struct known_key known[KNOWN_KEYS];
    unsigned nr_known;
};

struct cache_slot {
    uint8_t id[CACHE_ID];
    uint32_t newer, older; /* by last use */
    uint32_t next;         /* with the same head */
    EVP_PKEY_CTX *ready;   /* of a key; owned */
};

struct cache_table {
    struct cache_slot *slots;
    uint32_t *heads; /* of chains, by the first bytes of the id */
    uint32_t n, used, nr_heads;
    uint32_t newest, oldest;
};

struct bawn_attest_cache {
    const struct crypto *crypto;
    struct crypto *own;            /* what crypto points to, when it is this cache's */
    EVP_MD_CTX *md_ctx[HASH_ALGS]; /* made at first use */
    struct cache_table memos, keys;
};

/* The slot of that id, now the newest, or NULL. */
struct cache_slot *cache_find(struct cache_table *t, const uint8_t id[CACHE_ID]);
/* A slot for an id that is not there: a free one, or the one unused for longest. */
struct cache_slot *cache_add(struct cache_table *t, const uint8_t id[CACHE_ID]);

#endif

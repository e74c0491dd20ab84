// SPDX-License-Identifier: Apache-2.0
/*
 * The Merkle tree of RFC 9162, section 2.1. Pure. Proofs come from others: verification takes any
 * bytes. Which subtrees a proof consists of depends on numbers alone, so they are planned first
 * and hashed in one pass over the leaves, however many these are.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "attest/log/log.h"

/* RFC 9162, 2.1.1: what keeps a leaf from being taken for a node. */
#define LEAF_PREFIX 0x00
#define NODE_PREFIX 0x01

/* SHA-256 of a then b. Without memory there is no hash, and a wrong one must not go on. */
static void hash_two(uint8_t prefix, const void *a, size_t a_len, const void *b, size_t b_len,
                     uint8_t hash[LOG_HASH])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (!ctx || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1 ||
        EVP_DigestUpdate(ctx, &prefix, 1) != 1 || EVP_DigestUpdate(ctx, a, a_len) != 1 ||
        EVP_DigestUpdate(ctx, b, b_len) != 1 || EVP_DigestFinal_ex(ctx, hash, NULL) != 1)
        abort();
    EVP_MD_CTX_free(ctx);
}

void log_leaf(const void *entry, size_t len, uint8_t hash[LOG_HASH])
{
    hash_two(LEAF_PREFIX, entry, len, "", 0, hash);
}

/* hash may be either side. */
static void hash_node(const uint8_t *left, const uint8_t *right, uint8_t hash[LOG_HASH])
{
    hash_two(NODE_PREFIX, left, LOG_HASH, right, LOG_HASH, hash);
}

/* ---- Appending ---- */

void log_tree_add(struct log_tree *tree, const uint8_t leaf[LOG_HASH])
{
    uint8_t node[LOG_HASH];
    unsigned level = 0;

    memcpy(node, leaf, LOG_HASH);
    /* As in binary counting: every full subtree of the same size is merged. */
    while (tree->size >> level & 1)
        hash_node(tree->node[level++], node, node);
    memcpy(tree->node[level], node, LOG_HASH);
    tree->size++;
}

void log_tree_root(const struct log_tree *tree, uint8_t root[LOG_HASH])
{
    bool any = false;

    for (unsigned level = 0; level < LOG_LEVELS; level++) {
        if (!(tree->size >> level & 1))
            continue;
        if (any)
            hash_node(tree->node[level], root, root);
        else
            memcpy(root, tree->node[level], LOG_HASH);
        any = true;
    }
    if (!any && EVP_Digest("", 0, root, NULL, EVP_sha256(), NULL) != 1)
        abort();
}

/* ---- Proofs ---- */

/* The largest power of two below n; n is at least 2. */
static uint64_t split(uint64_t n)
{
    return (uint64_t)1 << (63 - __builtin_clzll(n - 1));
}

/* The way down gives the largest subtree first, a proof has it last. */
static void reverse(struct log_range *ranges, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        struct log_range other = ranges[i];

        ranges[i] = ranges[n - 1 - i];
        ranges[n - 1 - i] = other;
    }
}

size_t log_plan_inclusion(uint64_t index, uint64_t size, struct log_range *ranges)
{
    uint64_t from = 0, to = size;
    size_t n = 0;

    if (index >= size)
        return 0;
    while (to - from > 1) {
        uint64_t middle = from + split(to - from);

        if (index < middle) {
            ranges[n++] = (struct log_range){ middle, to };
            to = middle;
        } else {
            ranges[n++] = (struct log_range){ from, middle };
            from = middle;
        }
    }
    reverse(ranges, n);
    return n;
}

/* RFC 9162, 2.1.4.1. */
size_t log_plan_consistency(uint64_t old, uint64_t size, struct log_range *ranges)
{
    uint64_t from = 0, to = size;
    bool known = true; /* [from, to) is a subtree whose root the verifier has: the old tree's */
    size_t n = 0;

    if (!old || old >= size)
        return 0;
    while (to > old) {
        uint64_t middle = from + split(to - from);

        if (old <= middle) {
            ranges[n++] = (struct log_range){ middle, to };
            to = middle;
        } else {
            ranges[n++] = (struct log_range){ from, middle };
            from = middle;
            known = false;
        }
    }
    if (!known)
        ranges[n++] = (struct log_range){ from, to };
    reverse(ranges, n);
    return n;
}

static size_t prove(const uint8_t *leaves, const struct log_range *ranges, size_t n, uint8_t *proof)
{
    for (size_t i = 0; i < n; i++) {
        struct log_tree tree = { .size = 0 };

        for (uint64_t leaf = ranges[i].from; leaf < ranges[i].to; leaf++)
            log_tree_add(&tree, leaves + leaf * LOG_HASH);
        log_tree_root(&tree, proof + i * LOG_HASH);
    }
    return n;
}

size_t log_prove_inclusion(const uint8_t *leaves, uint64_t n, uint64_t index, uint8_t *proof)
{
    struct log_range ranges[LOG_PROOF_MAX] = { { 0, 0 } };

    return prove(leaves, ranges, log_plan_inclusion(index, n, ranges), proof);
}

size_t log_prove_consistency(const uint8_t *leaves, uint64_t n, uint64_t old, uint8_t *proof)
{
    struct log_range ranges[LOG_PROOF_MAX] = { { 0, 0 } };

    return prove(leaves, ranges, log_plan_consistency(old, n, ranges), proof);
}

/* ---- Verification; the names are the RFC's ---- */

/* 2.1.3.2. */
bool log_check_inclusion(const uint8_t leaf[LOG_HASH], uint64_t index, uint64_t size,
                         const uint8_t *proof, size_t len, const uint8_t root[LOG_HASH])
{
    uint64_t fn = index, sn = size - 1;
    uint8_t r[LOG_HASH];

    if (index >= size)
        return false;
    memcpy(r, leaf, LOG_HASH);
    for (size_t i = 0; i < len; i++) {
        const uint8_t *p = proof + i * LOG_HASH;

        if (!sn)
            return false;
        if (fn & 1 || fn == sn) {
            hash_node(p, r, r);
            while (!(fn & 1) && fn) {
                fn >>= 1;
                sn >>= 1;
            }
        } else {
            hash_node(r, p, r);
        }
        fn >>= 1;
        sn >>= 1;
    }
    return !sn && !CRYPTO_memcmp(r, root, LOG_HASH);
}

/* 2.1.4.2, for 0 < old < size. The first node of the proof is the old root itself when that is
 * a complete subtree, and then left out. */
static bool check_consistency(uint64_t old, const uint8_t *old_root, uint64_t size,
                              const uint8_t *root, const uint8_t *proof, size_t len)
{
    bool whole = !(old & (old - 1));
    uint64_t fn = old - 1, sn = size - 1;
    uint8_t fr[LOG_HASH], sr[LOG_HASH];

    if (!whole && !len)
        return false;
    memcpy(fr, whole ? old_root : proof, LOG_HASH);
    memcpy(sr, fr, LOG_HASH);
    while (fn & 1) {
        fn >>= 1;
        sn >>= 1;
    }
    for (size_t i = whole ? 0 : 1; i < len; i++) {
        const uint8_t *c = proof + i * LOG_HASH;

        if (!sn)
            return false;
        if (fn & 1 || fn == sn) {
            hash_node(c, fr, fr);
            hash_node(c, sr, sr);
            while (!(fn & 1) && fn) {
                fn >>= 1;
                sn >>= 1;
            }
        } else {
            hash_node(sr, c, sr);
        }
        fn >>= 1;
        sn >>= 1;
    }
    return !sn && !CRYPTO_memcmp(fr, old_root, LOG_HASH) && !CRYPTO_memcmp(sr, root, LOG_HASH);
}

bool log_check_consistency(uint64_t old, const uint8_t old_root[LOG_HASH], uint64_t size,
                           const uint8_t root[LOG_HASH], const uint8_t *proof, size_t len)
{
    const struct log_tree empty = { .size = 0 };
    uint8_t none[LOG_HASH];

    if (old > size)
        return false;
    if (old == size)
        return !len && !CRYPTO_memcmp(old_root, root, LOG_HASH);
    if (old)
        return check_consistency(old, old_root, size, root, proof, len);
    log_tree_root(&empty, none);
    return !len && !CRYPTO_memcmp(old_root, none, LOG_HASH);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The Merkle tree against RFC 9162's definitions, written down a second time as they stand there,
 * for every size up to 130 and every index.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "attest/log/log.h"

#define SIZES 130

static uint8_t leaves[SIZES][LOG_HASH];

/* ---- The definitions: 2.1.1, 2.1.3.1, 2.1.4.1 ---- */

static void sha256(const void *data, size_t len, uint8_t *out)
{
    assert_int_equal(EVP_Digest(data, len, out, NULL, EVP_sha256(), NULL), 1);
}

static uint64_t largest_power_below(uint64_t n)
{
    uint64_t k = 1;

    while (k * 2 < n)
        k *= 2;
    return k;
}

/* MTH(D[from:to]) */
static void mth(uint64_t from, uint64_t to, uint8_t *out)
{
    uint8_t text[1 + 2 * LOG_HASH] = { 1 };
    uint64_t k;

    if (from == to) {
        sha256("", 0, out);
        return;
    }
    if (to - from == 1) {
        memcpy(out, leaves[from], LOG_HASH);
        return;
    }
    k = largest_power_below(to - from);
    mth(from, from + k, text + 1);
    mth(from + k, to, text + 1 + LOG_HASH);
    sha256(text, sizeof(text), out);
}

/* PATH(m, D[from:to]) */
static size_t path(uint64_t m, uint64_t from, uint64_t to, uint8_t *out)
{
    uint64_t k;
    size_t n;

    if (to - from == 1)
        return 0;
    k = largest_power_below(to - from);
    if (m < k) {
        n = path(m, from, from + k, out);
        mth(from + k, to, out + n * LOG_HASH);
    } else {
        n = path(m - k, from + k, to, out);
        mth(from, from + k, out + n * LOG_HASH);
    }
    return n + 1;
}

/* SUBPROOF(m, D[from:to], b) */
static size_t subproof(uint64_t m, uint64_t from, uint64_t to, bool b, uint8_t *out)
{
    uint64_t k;
    size_t n;

    if (m == to - from) {
        if (b)
            return 0;
        mth(from, to, out);
        return 1;
    }
    k = largest_power_below(to - from);
    if (m <= k) {
        n = subproof(m, from, from + k, b, out);
        mth(from + k, to, out + n * LOG_HASH);
    } else {
        n = subproof(m - k, from + k, to, false, out);
        mth(from, from + k, out + n * LOG_HASH);
    }
    return n + 1;
}

/* ---- Tests ---- */

static int make_leaves(void **state)
{
    (void)state;
    for (int i = 0; i < SIZES; i++) {
        char text[32];

        snprintf(text, sizeof(text), "entry %d", i);
        log_leaf(text, strlen(text), leaves[i]);
    }
    return 0;
}

/* SHA-256 of nothing, and of one zero byte. */
static void known_hashes(void **state)
{
    static const uint8_t empty_tree[] = { 0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14 };
    static const uint8_t empty_leaf[] = { 0x6e, 0x34, 0x0b, 0x9c, 0xff, 0xb3, 0x7a, 0x98 };
    struct log_tree tree = { .size = 0 };
    uint8_t hash[LOG_HASH];

    (void)state;
    log_tree_root(&tree, hash);
    assert_memory_equal(hash, empty_tree, sizeof(empty_tree));
    log_leaf("", 0, hash);
    assert_memory_equal(hash, empty_leaf, sizeof(empty_leaf));
}

static void roots_are_mth(void **state)
{
    struct log_tree tree = { .size = 0 };
    uint8_t want[LOG_HASH], got[LOG_HASH];

    (void)state;
    for (uint64_t n = 1; n <= SIZES; n++) {
        log_tree_add(&tree, leaves[n - 1]);
        log_tree_root(&tree, got);
        mth(0, n, want);
        assert_int_equal(tree.size, n);
        assert_memory_equal(got, want, LOG_HASH);
    }
}

static void inclusion(void **state)
{
    uint8_t want[LOG_PROOF_MAX * LOG_HASH], got[LOG_PROOF_MAX * LOG_HASH], root[LOG_HASH];

    (void)state;
    for (uint64_t n = 1; n <= SIZES; n++) {
        mth(0, n, root);
        for (uint64_t m = 0; m < n; m++) {
            size_t len = path(m, 0, n, want);

            assert_int_equal(log_prove_inclusion(leaves[0], n, m, got), len);
            assert_memory_equal(got, want, len * LOG_HASH);
            assert_true(log_check_inclusion(leaves[m], m, n, got, len, root));
        }
    }
}

static void consistency(void **state)
{
    uint8_t want[LOG_PROOF_MAX * LOG_HASH], got[LOG_PROOF_MAX * LOG_HASH];
    uint8_t root[LOG_HASH], old_root[LOG_HASH];

    (void)state;
    for (uint64_t n = 1; n <= SIZES; n++) {
        mth(0, n, root);
        for (uint64_t m = 1; m <= n; m++) {
            size_t len = subproof(m, 0, n, true, want);

            mth(0, m, old_root);
            assert_int_equal(log_prove_consistency(leaves[0], n, m, got), len);
            assert_memory_equal(got, want, len * LOG_HASH);
            assert_true(log_check_consistency(m, old_root, n, root, got, len));
        }
    }
}

/* Another index, another size that gives another path, another leaf, another root, each hash
 * changed, one hash more or less. */
static void false_inclusion_refused(void **state)
{
    uint8_t proof[LOG_PROOF_MAX * LOG_HASH] = { 0 }, root[LOG_HASH], other[LOG_HASH];

    (void)state;
    for (uint64_t n = 1; n <= 40; n++) {
        mth(0, n, root);
        for (uint64_t m = 0; m < n; m++) {
            size_t len = log_prove_inclusion(leaves[0], n, m, proof);

            for (uint64_t at = 0; at <= n; at++)
                if (at != m)
                    assert_false(log_check_inclusion(leaves[m], at, n, proof, len, root));
            assert_false(log_check_inclusion(leaves[(m + 1) % SIZES], m, n, proof, len, root));
            mth(0, n + 1, other);
            assert_false(log_check_inclusion(leaves[m], m, n, proof, len, other));
            assert_false(log_check_inclusion(leaves[m], m, n, proof, len + 1, root));
            if (len)
                assert_false(log_check_inclusion(leaves[m], m, n, proof, len - 1, root));
            for (size_t i = 0; i < len; i++) {
                proof[i * LOG_HASH + i % LOG_HASH] ^= 1;
                assert_false(log_check_inclusion(leaves[m], m, n, proof, len, root));
                proof[i * LOG_HASH + i % LOG_HASH] ^= 1;
            }
        }
    }
    assert_false(log_check_inclusion(leaves[0], 0, 0, proof, 0, root));
    assert_false(log_check_inclusion(leaves[0], UINT64_MAX, UINT64_MAX, proof, 64, root));
}

static void false_consistency_refused(void **state)
{
    uint8_t proof[LOG_PROOF_MAX * LOG_HASH] = { 0 }, root[LOG_HASH], old_root[LOG_HASH];
    uint8_t other[LOG_HASH];

    (void)state;
    for (uint64_t n = 2; n <= 40; n++) {
        mth(0, n, root);
        for (uint64_t m = 1; m < n; m++) {
            size_t len = log_prove_consistency(leaves[0], n, m, proof);

            mth(0, m, old_root);
            mth(m, n, other); /* a tree that is not the old one */
            assert_false(log_check_consistency(m, other, n, root, proof, len));
            assert_false(log_check_consistency(m, old_root, n, other, proof, len));
            assert_false(log_check_consistency(m, old_root, n, root, proof, len + 1));
            assert_false(log_check_consistency(m, old_root, n, root, proof, len - 1));
            for (size_t i = 0; i < len; i++) {
                proof[i * LOG_HASH + i % LOG_HASH] ^= 1;
                assert_false(log_check_consistency(m, old_root, n, root, proof, len));
                proof[i * LOG_HASH + i % LOG_HASH] ^= 1;
            }
        }
        assert_false(log_check_consistency(n, other, n, root, NULL, 0));
        assert_false(log_check_consistency(n + 1, root, n, root, NULL, 0));
        assert_false(log_check_consistency(0, root, n, root, NULL, 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_hashes),
        cmocka_unit_test(roots_are_mth),
        cmocka_unit_test(inclusion),
        cmocka_unit_test(consistency),
        cmocka_unit_test(false_inclusion_refused),
        cmocka_unit_test(false_consistency_refused),
    };

    return cmocka_run_group_tests(tests, make_leaves, NULL);
}

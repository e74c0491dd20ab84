/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small world to judge certificate chains in: a PKI, a trust, what is at hand. What is judged is
 * judged without a cache, with one verification's, and twice with a lasting one, and the findings
 * must be the same. For chain_test.c, crl_test.c and trust_test.c.
 */
#ifndef TESTS_UNIT_ATTEST_CHAIN_WORLD_H
#define TESTS_UNIT_ATTEST_CHAIN_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "attest/lib/chain.h"
#include "tests/unit/attest/pki.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

extern const struct check link_check, time_check, crl_check;

/* A root, a CA under it, a leaf under that; and what is at hand when the leaf is judged. */
struct world {
    struct pki *pki;
    const struct pki_cert *root, *ca, *leaf;
    struct bawn_bytes root_crl, ca_crl;
    struct bawn_trust *trust;
    struct bawn_attest_result *r;
    struct bawn_attest_cache *cache;
    struct chain_rules rules;
    int64_t at;
    const struct bawn_bytes *certs[64], *crls[300];
    struct chain chain;
};

#define ISSUE(w, ...) pki_issue((w)->pki, &(struct pki_spec){ __VA_ARGS__ })
#define CRL(w, ...) pki_crl((w)->pki, &(struct pki_crl_spec){ __VA_ARGS__ })

/* Puts a certificate, a CRL at hand. */
void give_cert(struct world *w, const struct pki_cert *cert);
void give_crl(struct world *w, const struct bawn_bytes *crl);
/* Another certificate in place of the CA's. */
void new_ca(struct world *w, const struct pki_cert *ca);
/* NULL: in the roots compiled in. */
void trust_in(struct world *w, const struct pki_cert *root);

/* Nothing at hand and no trust yet; P-256 chains with CRLs are asked for. */
void world_begin(struct world *w);
/* A root, a CA and a leaf as they should be, and CRLs of both. */
void good_world(struct world *w);
void world_end(struct world *w);

/* Parses what is at hand into the verification. */
void world_load(struct world *w, struct verification *v);
/* Judges the leaf, once with this cache; or in each way. */
bool judge_once(struct world *w, struct bawn_bytes der, struct bawn_attest_cache *cache);
bool judge_der(struct world *w, struct bawn_bytes der);
bool judge(struct world *w, const struct pki_cert *leaf);

size_t count_findings(const struct world *w, enum bawn_finding_level level);
/* There is a finding of that level by that check, and its text says so. */
void world_says(const struct world *w, enum bawn_finding_level level, const struct check *check,
                const char *part, int line);
#define says(w, level, check, part) world_says(w, BAWN_FINDING_##level, check, part, __LINE__)

/* Judged, and refused or missing for that one reason. */
#define refused(w, leaf, check, part)                                 \
    do {                                                              \
        assert_false(judge(w, leaf));                                 \
        says(w, REFUSED, check, part);                                \
        assert_int_equal(count_findings(w, BAWN_FINDING_REFUSED), 1); \
        assert_int_equal(count_findings(w, BAWN_FINDING_MISSING), 0); \
    } while (0)
#define missing(w, leaf, check, part)                                 \
    do {                                                              \
        assert_false(judge(w, leaf));                                 \
        says(w, MISSING, check, part);                                \
        assert_int_equal(count_findings(w, BAWN_FINDING_MISSING), 1); \
        assert_int_equal(count_findings(w, BAWN_FINDING_REFUSED), 0); \
    } while (0)

#endif

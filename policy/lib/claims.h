/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names and kinds of the claims that a policy can be about, so that a misspelt one is an error
 * of the policy and not a rule that never holds.
 */
#ifndef BAWN_POLICY_CLAIMS_H
#define BAWN_POLICY_CLAIMS_H

#include <bawn/attest.h>

/* Beside those of enum bawn_claim_kind: of any kind, compared as text. */
#define CLAIM_ANY ((unsigned)BAWN_CLAIM_TEXT + 1)

struct known_claim {
    const char *name; /* <...> stands for one part of a name */
    unsigned kind;
    bool indexed;
};

extern const struct known_claim known_claims[];
extern const size_t nr_known_claims;

#define INDEX_NONE (-1)
#define INDEX_EACH (-2)  /* name[*]: all there are */
#define INDEX_MAX 65535u /* nothing that is measured has as many */

/* Splits "tdx.rtmr[0]" into the length of its name and its index. False: not of that form. */
bool claim_split(struct bawn_bytes text, size_t *len, int *index);

/* The claim of that name (without an index), or NULL. */
const struct known_claim *claim_find(struct bawn_bytes name);

/* The known name that is nearest to it, or NULL when none is near. */
const char *claim_suggest(struct bawn_bytes name);

/* What of a list of words is nearest to the text, or NULL when none is near. */
const char *nearest_word(struct bawn_bytes text, const char *const *words, size_t n);

/* Whether its bytes are security versions, one in each byte, that have an order. */
bool claim_is_versions(const char *name, size_t len);
/* Whether its text is a time, as "2026-01-02T03:04:05Z". */
bool claim_is_time(const char *name, size_t len);

#endif

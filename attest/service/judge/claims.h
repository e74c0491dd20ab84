/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claims as JSON, {name: text}, and back: from the judge to the vault, in sessions, in the log.
 * The kind of a claim is told from its text; where that would be wrong, `kinds` says it.
 */
#ifndef BAWN_ATTESTD_CLAIMS_H
#define BAWN_ATTESTD_CLAIMS_H

#include <jansson.h>

#include <bawn/attest.h>

/* *kinds is an object, often empty. Of claims whose text is beyond 8 KiB, or is none, it is said
 * in the text's place. */
json_t *claims_write(const struct bawn_claim *claims, size_t n, json_t **kinds);

struct claim_set {
    struct bawn_claim *claims;
    size_t n;
    uint8_t *pool; /* the bytes and the names */
};

/* kinds may be NULL, `more` {name: text} too: texts that are added (a resource's name). What is not
 * of that form is left out. The texts borrow from the JSON. */
enum bawn_status claims_read(struct claim_set *set, const json_t *claims, const json_t *kinds,
                             const json_t *more, struct bawn_error *err);
void claims_clear(struct claim_set *set);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One claim against one requirement.
 */
#ifndef BAWN_POLICY_COMPARE_H
#define BAWN_POLICY_COMPARE_H

#include "policy/lib/model.h"

/* The claim's value as bawn_claim_print() writes it; borrows from the claim or is the arena's. */
const char *claim_text_of(struct arena *a, const struct bawn_claim *c);

/* Never TRUTH_SKIPPED. found is the claim's text. Unknown: the two cannot be compared, and *note
 * says why (it may be set otherwise, too). */
enum truth compare_claim(const struct rule *rule, const struct bawn_claim *c, const char *found,
                         const struct bawn_policy_input *input, const char **note);

#endif

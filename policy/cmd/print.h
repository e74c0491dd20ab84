/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What bawn-policy prints. Texts may be what a forger wrote, so they are escaped.
 */
#ifndef BAWN_POLICY_CMD_PRINT_H
#define BAWN_POLICY_CMD_PRINT_H

#include <jansson.h>

#include "policy/cmd/cases.h"

void print_text(const char *text);
void print_hash(const struct bawn_policy *policy);

/* A decision: a line, and the reasons. */
void print_decision(const struct policy_case *c, const struct bawn_policy *policy,
                    const struct bawn_policy_result *result);
/* The same with the whole trace and the vector. */
void print_trace(const struct policy_case *c, const struct bawn_policy *policy,
                 const struct bawn_policy_result *result);

/* New references. */
json_t *json_policy(const struct bawn_policy *policy);
json_t *json_decision(const struct policy_case *c, const struct bawn_policy *policy,
                      const struct bawn_policy_result *result, bool trace);
json_t *json_reasons(const struct bawn_policy_result *result);
void print_json(json_t *value); /* takes the reference; a line */

extern const char *const outcome_names[];

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What bawn-policy reads, all of it before the sandbox: policies with what they include,
 * reference values, evidence with endorsements, logs.
 */
#ifndef BAWN_POLICY_CMD_INPUTS_H
#define BAWN_POLICY_CMD_INPUTS_H

#include <bawn/policy.h>

#include "attest/verify/files.h"
#include "policy/cmd/options.h"

/* Reads a file of at most max bytes; data is the caller's to free. */
enum bawn_status input_read(const char *path, size_t max, struct bawn_bytes *out,
                            struct bawn_error *err);
void input_free(struct bawn_bytes *bytes);

/* Reads a policy; what it includes is beside it. BAWN_E_FORMAT: err names the place. */
enum bawn_status input_policy(const char *path, struct bawn_policy **policy,
                              struct bawn_error *err);

/* {"SET": ["VALUE" or {"value": "...", "expires": "TIME"}, ...], ...} */
enum bawn_status input_references(const char *path, struct bawn_refs **refs,
                                  struct bawn_error *err);

struct case_inputs {
    struct bawn_policy *policy[2];
    size_t nr_policies;
    struct bawn_refs *refs;
    struct verify_inputs verify; /* endorsements and roots */
    struct bawn_bytes *evidence; /* of each file */
    const char **name;
    size_t nr_evidence;
    struct bawn_bytes *log;
    const char **log_name;
    size_t nr_logs;
};

/* The first nr_policies of o's files are policies, the others evidence. *in must be freed either
 * way. */
enum bawn_status inputs_read(struct case_inputs *in, const struct policy_options *o,
                             size_t nr_policies, struct bawn_error *err);
void inputs_free(struct case_inputs *in);

#endif

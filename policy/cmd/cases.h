/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What policies are run over: evidence, judged here by libbawn-attest, or what a log says was
 * judged. Inside the sandbox: evidence and logs are hostile.
 */
#ifndef BAWN_POLICY_CMD_CASES_H
#define BAWN_POLICY_CMD_CASES_H

#include "policy/cmd/inputs.h"

struct policy_case {
    const char *name;    /* the file, and for a log also the line */
    const char *subject; /* what was judged, for a person; may be empty */
    struct bawn_policy_input input;
    const struct bawn_attest_result *attest; /* NULL: from a log */
};

/* What a command does with each; its return is the exit status so far. */
typedef int case_fn(void *context, const struct policy_case *c);

/* Locks the process in and goes through all cases. The worst exit status; 2 with *err set when
 * something could not be read. */
int cases_run(const struct case_inputs *in, int64_t at, case_fn *fn, void *context,
              struct bawn_error *err);

#endif

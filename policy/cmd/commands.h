/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of bawn-policy, and how they fail.
 */
#ifndef BAWN_POLICY_CMD_COMMANDS_H
#define BAWN_POLICY_CMD_COMMANDS_H

#include "policy/cmd/options.h"

#define DENIED 1 /* or faulty, or different */
#define CANNOT 2
#define EXIT_USAGE 64 /* sysexits.h, EX_USAGE */

/* Says why on stderr, with --json on stdout too; the exit status. */
int command_fail(const struct policy_options *o, const struct bawn_error *err,
                 enum bawn_status status);

int command_check(const struct policy_options *o);
int command_test(const struct policy_options *o);
int command_explain(const struct policy_options *o);
int command_diff(const struct policy_options *o);
int command_sign(const struct policy_options *o);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of bawn-policy. It is the user's and trusted; what it names is not.
 */
#ifndef BAWN_POLICY_CMD_OPTIONS_H
#define BAWN_POLICY_CMD_OPTIONS_H

#include "attest/verify/options.h"

struct policy_options {
    struct text_list files, endorsements, roots, logs;
    const char *references, *key, *output;
    struct verify_time at;
    bool json, help, version;
};

struct policy_command {
    const char *name, *arguments, *help;
    size_t least, most; /* of FILES; most 0: any number */
    int (*run)(const struct policy_options *o);
};
extern const struct policy_command policy_commands[];
extern const size_t nr_policy_commands;

/* argv[0] is the first argument after the command's name. *o must be freed either way. */
enum bawn_status policy_options_parse(struct policy_options *o, int argc, char **argv,
                                      struct bawn_error *err);
void policy_options_free(struct policy_options *o);
void policy_options_help(void);

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * bawn-policy: checks policies and says what they decide. Reads its files, locks itself in, and
 * only then looks at evidence and logs.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "policy/cmd/commands.h"
#include "policy/cmd/print.h"

const struct policy_command policy_commands[] = {
    { "check", "FILE...", "whether policies can be read; where not, line and column", 1, 0,
      command_check },
    { "test", "POLICY EVIDENCE...", "what the policy decides, and why it denies", 1, 0,
      command_test },
    { "explain", "POLICY EVIDENCE...", "the same with every rule and what it found", 1, 0,
      command_explain },
    { "diff", "OLD NEW EVIDENCE...", "what another policy would have decided differently", 2, 0,
      command_diff },
    { "sign", "POLICY", "sign a launch policy, for bawn run --policy", 1, 1, command_sign },
};
const size_t nr_policy_commands = sizeof(policy_commands) / sizeof(policy_commands[0]);

int command_fail(const struct policy_options *o, const struct bawn_error *err,
                 enum bawn_status status)
{
    fprintf(stderr, "bawn-policy: %s%s\n", err->msg,
            status == BAWN_E_USAGE ? "; see bawn-policy --help" : "");
    if (o->json)
        print_json(json_pack("{s:s}", "error", err->msg));
    return status == BAWN_E_USAGE ? EXIT_USAGE : CANNOT;
}

static const struct policy_command *find_command(const char *name)
{
    for (size_t i = 0; i < nr_policy_commands; i++)
        if (!strcmp(policy_commands[i].name, name))
            return &policy_commands[i];
    return NULL;
}

static int run(const struct policy_command *command, struct policy_options *o)
{
    struct bawn_error err;

    if (o->files.n < command->least || (command->most && o->files.n > command->most)) {
        bawn_fail(&err, BAWN_E_USAGE, "%s needs %s", command->name, command->arguments);
        return command_fail(o, &err, BAWN_E_USAGE);
    }
    if (!o->at.given)
        o->at.seconds = time(NULL);
    return command->run(o);
}

static int run_command(int argc, char **argv)
{
    const struct policy_command *command = argc > 1 ? find_command(argv[1]) : NULL;
    int from = command ? 2 : 1;
    struct bawn_error err = { "" };
    struct policy_options o;
    enum bawn_status st = policy_options_parse(&o, argc - from, argv + from, &err);
    int code = 0;

    if (st != BAWN_OK) {
        code = command_fail(&o, &err, st);
    } else if (o.help) {
        policy_options_help();
    } else if (o.version) {
        printf("bawn-policy %s\n", bawn_attest_version());
    } else if (command) {
        code = run(command, &o);
    } else {
        bawn_fail(&err, BAWN_E_USAGE, "%s%s", argc > 1 ? "no such command: " : "which command?",
                  argc > 1 ? argv[1] : "");
        code = command_fail(&o, &err, BAWN_E_USAGE);
    }
    policy_options_free(&o);
    return code;
}

int main(int argc, char **argv)
{
    int code = run_command(argc, argv);

    /* An answer that nobody got is none. */
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "bawn-policy: cannot write the answer: %m\n");
        code = CANNOT;
    }
    return code;
}

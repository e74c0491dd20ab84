// SPDX-License-Identifier: Apache-2.0
/*
 * Options as a table. Long options only, as --name VALUE or --name=VALUE.
 */
#include "policy/cmd/options.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD(name) .field = offsetof(struct policy_options, name)

static const struct option options[] = {
    { "endorsements", "PATH", "a file, or a directory of files: certificates, CRLs, collateral",
      option_add_text, FIELD(endorsements) },
    { "crl", "PATH", "the same; for certificate revocation lists", option_add_text,
      FIELD(endorsements) },
    { "root", "FILE", "trust this root and no compiled-in one", option_add_text, FIELD(roots) },
    { "at", "TIME", "judge as of this time: 2026-01-02, 2026-01-02T03:04:05Z or @SECONDS (now)",
      verify_set_time, FIELD(at) },
    { "references", "FILE", "reference values: {\"SET\": [\"VALUE\", ...], ...}", option_set_text,
      FIELD(references) },
    { "log", "FILE", "decisions of bawn-attestd's log, or claims, as JSON lines", option_add_text,
      FIELD(logs) },
    { "key", "FILE", "sign: the private key, in PEM", option_set_text, FIELD(key) },
    { "output", "FILE", "sign: where the signature goes (FILE.sig)", option_set_text,
      FIELD(output) },
    { "json", NULL, "print JSON lines", option_set_flag, FIELD(json) },
    { "help", NULL, "print this help", option_set_flag, FIELD(help) },
    { "version", NULL, "print the version", option_set_flag, FIELD(version) },
};

static enum bawn_status add_file(void *options, const char *path, struct bawn_error *err)
{
    return text_list_add(&((struct policy_options *)options)->files, path, err);
}

static const struct option_table table = { OPTION_TABLE(options), .argument = add_file };

enum bawn_status policy_options_parse(struct policy_options *o, int argc, char **argv,
                                      struct bawn_error *err)
{
    *o = (struct policy_options){ .files = { NULL, 0 } };
    return options_read(&table, NULL, argc, argv, o, NULL, err);
}

void policy_options_free(struct policy_options *o)
{
    free(o->files.text);
    free(o->endorsements.text);
    free(o->roots.text);
    free(o->logs.text);
}

void policy_options_help(void)
{
    printf("Usage: bawn-policy COMMAND [OPTION]... FILE...\n\n"
           "Checks policies, and says what they decide and why (docs/policy.md). Evidence is what\n"
           "bawn-verify takes; reads files only, never asks the network.\n\n");
    for (size_t i = 0; i < nr_policy_commands; i++)
        printf("  %-8s%s\n          %s\n", policy_commands[i].name, policy_commands[i].arguments,
               policy_commands[i].help);
    printf("\n");
    options_print(&table, NULL, 21);
    printf("\nExit status: 0 allowed, good or no difference; 1 denied, faulty or different;\n"
           "2 cannot say; 64 usage.\n\n"
           "Examples:\n"
           "  bawn-policy check strict.json\n"
           "  bawn-policy test strict.json --references refs.json --endorsements certs/ "
           "report.bin\n"
           "  bawn-policy explain strict.json --endorsements vcek.der report.bin\n"
           "  bawn-policy diff strict.json stricter.json --log decisions.jsonl\n"
           "  bawn-policy sign --key author.pem launch.json\n");
}

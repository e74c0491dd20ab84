// SPDX-License-Identifier: Apache-2.0
/*
 * Options as a table. Long options only, as --name VALUE or --name=VALUE.
 */
#include "policy/cmd/options.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { FLAG, TEXT, LIST, TIME };
#define FIELD(name) offsetof(struct policy_options, name)

static const struct option {
    const char *name;
    const char *arg; /* NULL: takes none */
    const char *help;
    enum kind kind;
    size_t field;
} options[] = {
    { "endorsements", "PATH", "a file, or a directory of files: certificates, CRLs, collateral",
      LIST, FIELD(endorsements) },
    { "crl", "PATH", "the same; for certificate revocation lists", LIST, FIELD(endorsements) },
    { "root", "FILE", "trust this root and no compiled-in one", LIST, FIELD(roots) },
    { "at", "TIME", "judge as of this time: 2026-01-02, 2026-01-02T03:04:05Z or @SECONDS (now)",
      TIME, FIELD(at) },
    { "references", "FILE", "reference values: {\"SET\": [\"VALUE\", ...], ...}", TEXT,
      FIELD(references) },
    { "log", "FILE", "decisions of bawn-attestd's log, or claims, as JSON lines", LIST,
      FIELD(logs) },
    { "key", "FILE", "sign: the private key, in PEM", TEXT, FIELD(key) },
    { "output", "FILE", "sign: where the signature goes (FILE.sig)", TEXT, FIELD(output) },
    { "json", NULL, "print JSON lines", FLAG, FIELD(json) },
    { "help", NULL, "print this help", FLAG, FIELD(help) },
    { "version", NULL, "print the version", FLAG, FIELD(version) },
};
#define NR_OPTIONS (sizeof(options) / sizeof(options[0]))

static enum bawn_status add_text(struct text_list *l, const char *text, struct bawn_error *err)
{
    const char **more = realloc(l->text, (l->n + 1) * sizeof(*more));

    if (!more)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    l->text = more;
    l->text[l->n++] = text;
    return BAWN_OK;
}

static enum bawn_status set(struct policy_options *o, const struct option *opt, const char *value,
                            struct bawn_error *err)
{
    void *field = (char *)o + opt->field;

    switch (opt->kind) {
    case FLAG:
        *(bool *)field = true;
        break;
    case TEXT:
        *(const char **)field = value;
        break;
    case LIST:
        return add_text(field, value, err);
    case TIME:
        o->at_given = true;
        if (!verify_time_parse(value, field))
            return bawn_fail(err, BAWN_E_USAGE,
                             "--at %s: must be a date (2026-01-02), a date and time "
                             "(2026-01-02T03:04:05Z) or seconds since 1970 (@1767322800)",
                             value);
    }
    return BAWN_OK;
}

static const struct option *find_option(const char *arg, const char **value)
{
    size_t len = strcspn(arg, "=");

    *value = arg[len] ? arg + len + 1 : NULL;
    for (size_t i = 0; i < NR_OPTIONS; i++)
        if (strlen(options[i].name) == len && !strncmp(options[i].name, arg, len))
            return &options[i];
    return NULL;
}

static enum bawn_status parse_option(struct policy_options *o, int argc, char **argv, int *i,
                                     struct bawn_error *err)
{
    const char *arg = argv[(*i)++], *value;
    const struct option *opt = strncmp(arg, "--", 2) ? NULL : find_option(arg + 2, &value);

    if (!opt)
        return bawn_fail(err, BAWN_E_USAGE, "%s: no such option", arg);
    if (!opt->arg && value)
        return bawn_fail(err, BAWN_E_USAGE, "--%s takes no value", opt->name);
    if (opt->arg && !value) {
        if (*i >= argc)
            return bawn_fail(err, BAWN_E_USAGE, "--%s needs a value: %s", opt->name, opt->arg);
        value = argv[(*i)++];
    }
    return set(o, opt, value, err);
}

enum bawn_status policy_options_parse(struct policy_options *o, int argc, char **argv,
                                      struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;
    bool only_paths = false;

    *o = (struct policy_options){ .at = 0 };
    for (int i = 0; st == BAWN_OK && i < argc;) {
        if (!only_paths && !strcmp(argv[i], "--")) {
            only_paths = true;
            i++;
        } else if (only_paths || argv[i][0] != '-' || !argv[i][1]) {
            st = add_text(&o->files, argv[i++], err);
        } else {
            st = parse_option(o, argc, argv, &i, err);
        }
    }
    return st;
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
    for (size_t i = 0; i < NR_OPTIONS; i++) {
        char name[40];

        snprintf(name, sizeof(name), "--%s%s%s", options[i].name, options[i].arg ? " " : "",
                 options[i].arg ? options[i].arg : "");
        printf("  %-21s %s\n", name, options[i].help);
    }
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

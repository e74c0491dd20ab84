// SPDX-License-Identifier: Apache-2.0
/*
 * The command line: commands and options as tables. Long options only, as --name VALUE or
 * --name=VALUE; one for a command that has no use for it is refused.
 */
#include "attest/audit/audit.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

const struct audit_command audit_commands[] = {
    { "verify", "LOG", "check the chain, the tree and the checkpoints", 1, 1, audit_verify },
    { "show", "LOG SEQ", "explain an entry", 2, 2, audit_show },
    { "list", "LOG", "entries, a line each", 1, 1, audit_list },
    { "tail", "LOG", "the last entries", 1, 1, audit_tail },
    { "prove", "LOG SEQ | --consistency LOG OLD NEW",
      "prove that an entry is in the log, or that one log begins with another", 2, 3, audit_prove },
    { "check-proof", "PROOF", "check such a proof", 1, 1, audit_check_proof },
    { "export", "DATABASE FILE", "write a log to a file (- is stdout)", 2, 2, audit_export },
    { "key", "LOG", "the key that the log says it is signed with", 1, 1, audit_show_key },
};
const size_t nr_audit_commands = sizeof(audit_commands) / sizeof(audit_commands[0]);

bool audit_number(const char *text, uint64_t *number)
{
    *number = 0;
    for (const char *p = text; *p; p++)
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(*number, (uint64_t)10, number) ||
            __builtin_add_overflow(*number, (uint64_t)(*p - '0'), number))
            return false;
    return *text && *number < INT64_MAX;
}

/* ---- Options ---- */

typedef enum bawn_status option_fn(struct audit_options *o, const char *value,
                                   struct bawn_error *err);

static enum bawn_status add(struct audit_texts *list, const char *value, struct bawn_error *err)
{
    if (list->n == AUDIT_FILES_MAX)
        return bawn_fail(err, BAWN_E_USAGE, "%s: more than %d of them", value, AUDIT_FILES_MAX);
    list->text[list->n++] = value;
    return BAWN_OK;
}

static enum bawn_status add_key(struct audit_options *o, const char *v, struct bawn_error *err)
{
    return add(&o->keys, v, err);
}

static enum bawn_status add_pin(struct audit_options *o, const char *v, struct bawn_error *err)
{
    return add(&o->pins, v, err);
}

static enum bawn_status add_checkpoint(struct audit_options *o, const char *v,
                                       struct bawn_error *err)
{
    return add(&o->checkpoints, v, err);
}

/* A date, or a date and time in UTC as entries have it, or @SECONDS. */
static enum bawn_status read_when(const char *text, int64_t *ms, struct bawn_error *err)
{
    static const char *const forms[] = { "%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ" };
    uint64_t seconds;

    if (*text == '@' && audit_number(text + 1, &seconds) && seconds < INT64_MAX / 1000) {
        *ms = (int64_t)seconds * 1000;
        return BAWN_OK;
    }
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct tm tm = { .tm_sec = 0 };
        const char *end = strptime(text, forms[i], &tm);

        if (end && !*end) {
            *ms = (int64_t)timegm(&tm) * 1000;
            return BAWN_OK;
        }
    }
    return bawn_fail(err, BAWN_E_USAGE,
                     "%s: must be a time: 2026-01-02, 2026-01-02T03:04:05Z or @SECONDS", text);
}

static enum bawn_status set_from(struct audit_options *o, const char *v, struct bawn_error *err)
{
    return read_when(v, &o->from_ms, err);
}

static enum bawn_status set_until(struct audit_options *o, const char *v, struct bawn_error *err)
{
    return read_when(v, &o->until_ms, err);
}

static enum bawn_status set_allowed(struct audit_options *o, const char *v, struct bawn_error *err)
{
    o->allowed = v;
    return !strcmp(v, "yes") || !strcmp(v, "no")
               ? BAWN_OK
               : bawn_fail(err, BAWN_E_USAGE, "--allowed %s: must be yes or no", v);
}

static enum bawn_status set_verdict(struct audit_options *o, const char *v, struct bawn_error *err)
{
    o->verdict = v;
    return !strcmp(v, "trusted") || !strcmp(v, "not trusted") || !strcmp(v, "cannot judge")
               ? BAWN_OK
               : bawn_fail(err, BAWN_E_USAGE,
                           "--verdict %s: must be \"trusted\", \"not trusted\" or \"cannot judge\"",
                           v);
}

static enum bawn_status set_lines(struct audit_options *o, const char *v, struct bawn_error *err)
{
    return audit_number(v, &o->lines) ? BAWN_OK
                                      : bawn_fail(err, BAWN_E_USAGE, "--lines %s: no number", v);
}

#define TEXT(name)                                                             \
    static enum bawn_status set_##name(struct audit_options *o, const char *v, \
                                       struct bawn_error *err)                 \
    {                                                                          \
        (void)err;                                                             \
        o->name = v;                                                           \
        return BAWN_OK;                                                        \
    }
#define FLAG(name)                                                             \
    static enum bawn_status set_##name(struct audit_options *o, const char *v, \
                                       struct bawn_error *err)                 \
    {                                                                          \
        (void)v, (void)err;                                                    \
        o->name = true;                                                        \
        return BAWN_OK;                                                        \
    }
TEXT(tenant)
TEXT(kind)
FLAG(json)
FLAG(follow)
FLAG(consistency)
FLAG(strict)
FLAG(help)
FLAG(version)

static const struct option {
    const char *name;
    const char *arg;      /* NULL: takes none */
    const char *commands; /* that have a use for it; NULL: all */
    const char *help;
    option_fn *set;
} options[] = {
    { "key", "FILE", "verify check-proof", "trust this Ed25519 key (PEM); may be repeated",
      add_key },
    { "pin", "NAME+ID+KEY", "verify check-proof",
      "the same, in the form that bawn-audit key prints", add_pin },
    { "checkpoint", "FILE", "verify check-proof prove",
      "a checkpoint that you kept; may be repeated", add_checkpoint },
    { "strict", NULL, "verify", "notices are faults, too", set_strict },
    { "consistency", NULL, "prove", "prove that the log of NEW entries begins with that of OLD",
      set_consistency },
    { "from", "TIME", "list tail", "not before: 2026-01-02, 2026-01-02T03:04:05Z or @SECONDS",
      set_from },
    { "until", "TIME", "list tail", "before", set_until },
    { "tenant", "NAME", "list tail", "of this tenant", set_tenant },
    { "kind", "KIND", "list tail", "of this type: attest, release, admin, revoke or service", set_kind },
    { "verdict", "VERDICT", "list tail", "\"trusted\", \"not trusted\" or \"cannot judge\"",
      set_verdict },
    { "allowed", "yes|no", "list tail", "what was decided", set_allowed },
    { "lines", "N", "tail", "how many (10)", set_lines },
    { "follow", NULL, "tail", "go on with what is appended (databases)", set_follow },
    { "json", NULL, NULL, "answer in JSON", set_json },
    { "help", NULL, NULL, "print this help", set_help },
    { "version", NULL, NULL, "print the version", set_version },
};

#define NR_OPTIONS (sizeof(options) / sizeof(options[0]))

static bool serves(const struct option *opt, const struct audit_command *command)
{
    size_t len = strlen(command->name);

    if (!opt->commands)
        return true;
    for (const char *p = opt->commands; (p = strstr(p, command->name)); p += len)
        if ((p == opt->commands || p[-1] == ' ') && (p[len] == ' ' || !p[len]))
            return true;
    return false;
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

static enum bawn_status parse_option(struct audit_options *o, int argc, char **argv, int *i,
                                     uint64_t *given, struct bawn_error *err)
{
    const char *arg = argv[(*i)++], *value = NULL;
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
    *given |= (uint64_t)1 << (opt - options);
    return opt->set(o, value, err);
}

/* ---- All ---- */

static enum bawn_status add_argument(struct audit_options *o, const char *text,
                                     struct bawn_error *err)
{
    if (!o->command) {
        for (size_t i = 0; i < nr_audit_commands; i++)
            if (!strcmp(audit_commands[i].name, text))
                o->command = &audit_commands[i];
        return o->command ? BAWN_OK : bawn_fail(err, BAWN_E_USAGE, "%s: no such command", text);
    }
    if (o->nr_args == 3)
        return bawn_fail(err, BAWN_E_USAGE, "%s: one argument too many", text);
    o->arg[o->nr_args++] = text;
    return BAWN_OK;
}

static enum bawn_status check(const struct audit_options *o, uint64_t given, struct bawn_error *err)
{
    int least, most;

    if (!o->command)
        return bawn_fail(err, BAWN_E_USAGE, "which command?");
    least = o->consistency ? o->command->max_args : o->command->min_args;
    most = o->command->run == audit_prove && !o->consistency ? 2 : o->command->max_args;
    if (o->nr_args < least || o->nr_args > most)
        return bawn_fail(err, BAWN_E_USAGE, "usage: bawn-audit %s %s", o->command->name,
                         o->command->args);
    for (size_t i = 0; i < NR_OPTIONS; i++)
        if (given >> i & 1 && !serves(&options[i], o->command))
            return bawn_fail(err, BAWN_E_USAGE, "%s has no use for --%s", o->command->name,
                             options[i].name);
    return BAWN_OK;
}

enum bawn_status audit_options_parse(struct audit_options *o, int argc, char **argv,
                                     struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;
    bool only_arguments = false;
    uint64_t given = 0;

    *o = (struct audit_options){ .from_ms = INT64_MIN, .until_ms = INT64_MAX, .lines = 10 };
    for (int i = 1; st == BAWN_OK && i < argc;) {
        if (!only_arguments && !strcmp(argv[i], "--")) {
            only_arguments = true;
            i++;
        } else if (only_arguments || argv[i][0] != '-' || !argv[i][1]) {
            st = add_argument(o, argv[i++], err);
        } else {
            st = parse_option(o, argc, argv, &i, &given, err);
        }
    }
    if (st != BAWN_OK || o->help || o->version)
        return st;
    return check(o, given, err);
}

void audit_help(void)
{
    printf("Usage: bawn-audit COMMAND [OPTION]... ARGUMENT...\n\n"
           "Checks and reads the log of decisions of bawn-attestd. LOG is an exported file,\n"
           "sqlite:PATH or a postgresql:// URL; nothing is ever written to it.\n\nCommands:\n");
    for (size_t i = 0; i < nr_audit_commands; i++)
        printf("  %s %s\n        %s\n", audit_commands[i].name, audit_commands[i].args,
               audit_commands[i].help);
    printf("\nOptions (and the commands they are for):\n");
    for (size_t i = 0; i < NR_OPTIONS; i++) {
        char name[40];

        snprintf(name, sizeof(name), "--%s%s%s", options[i].name, options[i].arg ? " " : "",
                 options[i].arg ? options[i].arg : "");
        printf("  %-20s %s%s%s%s\n", name, options[i].help, options[i].commands ? " (" : "",
               options[i].commands ? options[i].commands : "", options[i].commands ? ")" : "");
    }
    printf("\nExit status: 0 good, 1 the log or proof is not what it should be, 2 usage or the\n"
           "system refused.\n\n"
           "Examples:\n"
           "  bawn-audit verify sqlite:/var/lib/bawn-attestd/state.db --key log.pem\n"
           "  bawn-audit verify log.jsonl --key log.pem --checkpoint kept-last-month.txt\n"
           "  bawn-audit list log.jsonl --tenant shop --allowed no --from 2026-01-02\n"
           "  bawn-audit show log.jsonl 17\n"
           "  bawn-audit prove log.jsonl 17 >proof.json\n"
           "  bawn-audit check-proof proof.json --key log.pem\n");
}

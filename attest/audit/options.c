// SPDX-License-Identifier: Apache-2.0
/*
 * The command line: commands and options as tables. An option for a command that has no use for it
 * is refused.
 */
#include "attest/audit/audit.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/options.h"

#define FIELD(name) .field = offsetof(struct audit_options, name)

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
    { "host", "", "examine this host, or what was copied of one", 0, 0, audit_host },
    { "report", "DIR", "write evidence for auditors to a directory", 1, 1, audit_report },
    { "check-report", "DIR", "check its hashes and signature", 1, 1, audit_check_report },
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

static enum bawn_status add(void *options, const struct option *self, const char *value,
                            struct bawn_error *err)
{
    struct audit_texts *list = option_field(options, self);

    if (list->n == AUDIT_FILES_MAX)
        return bawn_fail(err, BAWN_E_USAGE, "%s: more than %d of them", value, AUDIT_FILES_MAX);
    list->text[list->n++] = value;
    return BAWN_OK;
}

/* A date, or a date and time in UTC as entries have it, or @SECONDS. */
static enum bawn_status set_time(void *options, const struct option *self, const char *text,
                                 struct bawn_error *err)
{
    static const char *const forms[] = { "%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ" };
    int64_t *ms = option_field(options, self);
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

static enum bawn_status set_allowed(void *options, const struct option *self, const char *v,
                                    struct bawn_error *err)
{
    if (strcmp(v, "yes") != 0 && strcmp(v, "no") != 0)
        return bawn_fail(err, BAWN_E_USAGE, "--allowed %s: must be yes or no", v);
    return option_set_text(options, self, v, err);
}

static enum bawn_status set_verdict(void *options, const struct option *self, const char *v,
                                    struct bawn_error *err)
{
    if (strcmp(v, "trusted") != 0 && strcmp(v, "not trusted") != 0 &&
        strcmp(v, "cannot judge") != 0)
        return bawn_fail(err, BAWN_E_USAGE,
                         "--verdict %s: must be \"trusted\", \"not trusted\" or \"cannot judge\"",
                         v);
    return option_set_text(options, self, v, err);
}

static enum bawn_status set_lines(void *options, const struct option *self, const char *v,
                                  struct bawn_error *err)
{
    return audit_number(v, option_field(options, self))
               ? BAWN_OK
               : bawn_fail(err, BAWN_E_USAGE, "--lines %s: no number", v);
}

static const struct option options[] = {
    { "key", "FILE", "trust this Ed25519 key (PEM); may be repeated", add, FIELD(keys),
      .commands = "verify check-proof report check-report" },
    { "pin", "NAME+ID+KEY", "the same, in the form that bawn-audit key prints", add, FIELD(pins),
      .commands = "verify check-proof report" },
    { "checkpoint", "FILE", "a checkpoint that you kept; may be repeated", add, FIELD(checkpoints),
      .commands = "verify check-proof prove report" },
    { "strict", NULL, "notices and warnings are faults, too", option_set_flag, FIELD(strict),
      .commands = "verify host" },
    { "root", "DIR", "the host's / (this one's)", option_set_text, FIELD(root),
      .commands = "host" },
    { "exposure", "FILE", "what systemd-analyze security --json=short said there", option_set_text,
      FIELD(exposure), .commands = "host" },
    { "tree", "DIR", "the sources (.)", option_set_text, FIELD(tree), .commands = "report" },
    { "build", "DIR", "what was built of them (TREE/build)", option_set_text, FIELD(build),
      .commands = "report" },
    { "policy", "FILE", "also this policy; may be repeated", add, FIELD(policies),
      .commands = "report" },
    { "log", "FILE", "an exported log of decisions", option_set_text, FIELD(log),
      .commands = "report" },
    { "host", "FILE", "what bawn-audit host --json said", option_set_text, FIELD(host),
      .commands = "report" },
    { "revision", "TEXT", "what the sources are called", option_set_text, FIELD(revision),
      .commands = "report" },
    { "sign", "FILE", "sign with this Ed25519 key (PEM)", option_set_text, FIELD(sign),
      .commands = "report" },
    { "consistency", NULL, "prove that the log of NEW entries begins with that of OLD",
      option_set_flag, FIELD(consistency), .commands = "prove" },
    { "from", "TIME", "not before: 2026-01-02, 2026-01-02T03:04:05Z or @SECONDS", set_time,
      FIELD(from_ms), .commands = "list tail" },
    { "until", "TIME", "before", set_time, FIELD(until_ms), .commands = "list tail" },
    { "tenant", "NAME", "of this tenant", option_set_text, FIELD(tenant), .commands = "list tail" },
    { "kind", "KIND", "of this type: attest, release, admin, revoke or service", option_set_text,
      FIELD(kind), .commands = "list tail" },
    { "verdict", "VERDICT", "\"trusted\", \"not trusted\" or \"cannot judge\"", set_verdict,
      FIELD(verdict), .commands = "list tail" },
    { "allowed", "yes|no", "what was decided", set_allowed, FIELD(allowed),
      .commands = "list tail" },
    { "lines", "N", "how many (10)", set_lines, FIELD(lines), .commands = "tail" },
    { "follow", NULL, "go on with what is appended (databases)", option_set_flag, FIELD(follow),
      .commands = "tail" },
    { "json", NULL, "answer in JSON", option_set_flag, FIELD(json) },
    { "help", NULL, "print this help", option_set_flag, FIELD(help) },
    { "version", NULL, "print the version", option_set_flag, FIELD(version) },
};

/* ---- All ---- */

static enum bawn_status add_argument(void *options, const char *text, struct bawn_error *err)
{
    struct audit_options *o = options;

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

static const struct option_table table = { OPTION_TABLE(options), .argument = add_argument };

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
    for (size_t i = 0; i < table.n; i++)
        if (given >> i & 1 && !option_serves(&options[i], o->command->name))
            return bawn_fail(err, BAWN_E_USAGE, "%s has no use for --%s", o->command->name,
                             options[i].name);
    return BAWN_OK;
}

enum bawn_status audit_options_parse(struct audit_options *o, int argc, char **argv,
                                     struct bawn_error *err)
{
    enum bawn_status st;
    uint64_t given;

    *o = (struct audit_options){ .from_ms = INT64_MIN, .until_ms = INT64_MAX, .lines = 10 };
    st = options_read(&table, NULL, argc - 1, argv + 1, o, &given, err);
    if (st != BAWN_OK || o->help || o->version)
        return st;
    return check(o, given, err);
}

void audit_help(void)
{
    printf(
        "Usage: bawn-audit COMMAND [OPTION]... ARGUMENT...\n\n"
        "Checks and reads the log of decisions of bawn-attestd, examines hosts, and gathers\n"
        "evidence. LOG is an exported file, sqlite:PATH or a postgresql:// URL; nothing is ever\n"
        "written to it.\n\n"
        "Commands:\n");
    for (size_t i = 0; i < nr_audit_commands; i++)
        printf("  %s%s%s\n        %s\n", audit_commands[i].name, *audit_commands[i].args ? " " : "",
               audit_commands[i].args, audit_commands[i].help);
    printf("\nOptions (and the commands they are for):\n");
    options_print(&table, NULL, 20);
    printf("\nExit status: 0 good, 1 the log, proof, host or report is not what it should be, 2 "
           "usage or\n"
           "the system refused.\n\n"
           "Examples:\n"
           "  bawn-audit verify sqlite:/var/lib/bawn-attestd/state.db --key log.pem\n"
           "  bawn-audit verify log.jsonl --key log.pem --checkpoint kept-last-month.txt\n"
           "  bawn-audit list log.jsonl --tenant shop --allowed no --from 2026-01-02\n"
           "  bawn-audit show log.jsonl 17\n"
           "  bawn-audit prove log.jsonl 17 >proof.json\n"
           "  bawn-audit check-proof proof.json --key log.pem\n"
           "  bawn-audit host --json >host.json\n"
           "  bawn-audit report evidence --host host.json --sign audit.key\n");
}

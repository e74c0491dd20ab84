// SPDX-License-Identifier: Apache-2.0
/*
 * bawn-audit: checks and reads logs of decisions, never writing to one, examines hosts, and
 * gathers evidence.
 */
#include <stdlib.h>
#include <string.h>

#include "attest/audit/audit.h"

static int fail(const struct bawn_error *err, enum bawn_status st)
{
    fprintf(stderr, "bawn-audit: %s%s\n", err->msg,
            st == BAWN_E_USAGE ? "; see bawn-audit --help" : "");
    return st == BAWN_E_FORMAT ? AUDIT_BAD : AUDIT_USAGE;
}

static int run(const struct audit_options *o, struct audit *a, struct bawn_error *err)
{
    const struct audit_command *command = o->command;
    enum bawn_status st = audit_open(a, o, err);
    int code;

    if (st != BAWN_OK) {
        /* A machine that asked for an answer gets one: what was named is no log. */
        if (st == BAWN_E_FORMAT && o->json)
            audit_print_json(json_pack("{s:b, s:s}", "good", 0, "text", err->msg));
        code = fail(err, st);
    } else {
        code = command->run(a, err);
        if (code < 0)
            code = fail(err, BAWN_OK);
    }
    audit_close(a);
    return code;
}

int main(int argc, char **argv)
{
    static struct audit_options o; /* too large for a stack */
    static struct audit a;
    struct bawn_error err = { "" };
    enum bawn_status st = audit_options_parse(&o, argc, argv, &err);
    int code = AUDIT_GOOD;

    if (st != BAWN_OK)
        code = fail(&err, st);
    else if (o.help)
        audit_help();
    else if (o.version)
        printf("bawn-audit %s\n", bawn_attest_version());
    else if (o.command)
        code = run(&o, &a, &err);
    /* An answer that nobody got is none. */
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "bawn-audit: cannot write the answer: %m\n");
        code = AUDIT_USAGE;
    }
    return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of bawn-verify. It is the user's and trusted; what it names is not.
 */
#ifndef BAWN_VERIFY_OPTIONS_H
#define BAWN_VERIFY_OPTIONS_H

#include <bawn/attest.h>

#include "common/options.h"

/* When to judge. */
struct verify_time {
    int64_t seconds; /* since 1970 */
    bool given;
};

struct verify_options {
    const char *evidence; /* path, or "-" */
    struct text_list endorsements, roots;
    struct bawn_expect *expect;
    size_t nr_expect, nr_implied; /* nr_implied of them by --type */
    char **owned;                 /* claim names of expect */
    struct verify_time at;
    bool ratls; /* the command: the evidence is an RA-TLS certificate */
    enum bawn_evidence_kind kind;
    const char *kind_implies; /* NULL, or what must also hold of that kind, as for --expect */
    bool strict, explain, json, events, list_claims, help, version;
};

/* BAWN_E_USAGE with a message, or BAWN_E_NOMEM. *o must be freed either way. The time of
 * judgement is left 0 unless it was given. */
enum bawn_status verify_options_parse(struct verify_options *o, int argc, char **argv,
                                      struct bawn_error *err);
void verify_options_free(struct verify_options *o);
void verify_options_help(void);

/* RFC 3339 date or date and time, or @SECONDS. False: neither. */
bool verify_time_parse(const char *text, int64_t *time);
/* The same for a struct verify_time. */
option_set_fn verify_set_time;

#endif

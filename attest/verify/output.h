/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What bawn-verify prints. The texts come from a library that promises no control characters;
 * they are escaped here once more, since what a forger writes may end on a terminal.
 */
#ifndef BAWN_VERIFY_OUTPUT_H
#define BAWN_VERIFY_OUTPUT_H

#include <bawn/attest.h>

struct verify_report {
    const struct bawn_attest_result *result;
    int64_t at;
    char *const *endorsements; /* the names of their files */
    size_t nr_endorsements;
    size_t nr_expect; /* what the caller asked for with --expect */
    bool strict, explain, events, list_claims, colour;
    bool seccomp, landlock; /* whether the process is confined by it */
};

void verify_print_human(const struct verify_report *r);
void verify_print_json(const struct verify_report *r);
/* The same object where there is no result, since an input could not be read or the like. */
void verify_print_json_failure(const struct verify_report *r, const char *text);

/* The file that the finding is about, or "". */
const char *verify_finding_file(const struct verify_report *r, const struct bawn_finding *f);

/* "2026-01-02T03:04:05Z" */
#define TIME_TEXT 32
void verify_time_print(int64_t time, char text[TIME_TEXT]);

#endif

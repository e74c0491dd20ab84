/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `bawn check`: what of a host and of a configuration keeps a machine from running, or from running
 * as well as it could, in plain words. It changes nothing, and needs nothing to be there.
 */
#ifndef BAWN_VMM_CHECK_H
#define BAWN_VMM_CHECK_H

#include <stdbool.h>

#include "options.h"

enum bawn_check_result {
    BAWN_CHECK_OK,
    BAWN_CHECK_NOTE, /* it works, with less than there could be */
    BAWN_CHECK_FIX,  /* a machine does not run before that is done */
};

struct bawn_check_line {
    char id[16]; /* what was looked at; stays the same from version to version */
    enum bawn_check_result result;
    char text[400], fix[400]; /* what is there; what to do, or nothing */
};

#define BAWN_CHECK_MAX 64

struct bawn_checks {
    const char *root; /* where /proc, /sys and /dev are; "" but in tests */
    const struct bawn_options *opt;
    bool served; /* a module that machines can run on was opened */
    struct bawn_check_line line[BAWN_CHECK_MAX];
    unsigned nr;
};

/* Adds what was found. fix: NULL if there is nothing to do. */
void bawn_check_add(struct bawn_checks *c, const char *id, enum bawn_check_result result,
                    const char *fix, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* The file of root, without the newline at its end; false: there is none, or it cannot be read. */
bool bawn_check_read(const struct bawn_checks *c, const char *path, char *text, size_t room);
/* As access(2). */
bool bawn_check_access(const struct bawn_checks *c, const char *path, int how);

/* check_host.c: the host, for machines such as the options' one. */
void bawn_check_host(struct bawn_checks *c);
/* check_config.c: the options' machine, and the files that it names. */
void bawn_check_config(struct bawn_checks *c);

/* argv[0] is the first argument after `check`. Returns the process's exit code. */
int bawn_check(int argc, char **argv);

#endif

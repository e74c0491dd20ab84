/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where tests put files: a directory that goes when the test has ended, however it did
 * (tests/tap.py); /tmp without one.
 */
#ifndef BAWN_TEST_TEMPORARY_H
#define BAWN_TEST_TEMPORARY_H

#include <stdio.h>
#include <stdlib.h>

/* A template for mkdtemp() or mkstemp(). */
static inline char *temporary(char *to, size_t size, const char *name)
{
    const char *directory = getenv("BAWN_TMP");

    snprintf(to, size, "%s/bawn-%s-XXXXXX", directory ? directory : "/tmp", name);
    return to;
}

#endif

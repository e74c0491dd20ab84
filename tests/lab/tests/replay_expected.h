/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What userspace sees of each program (fuzz/replay), a line for each instruction: the output of
 * `fuzz-replay program all`, in the program that compares with it.
 */
#ifndef BAWN_TEST_REPLAY_EXPECTED_H
#define BAWN_TEST_REPLAY_EXPECTED_H

#include <stdbool.h>
#include <string.h>

extern const char replay_expected[];
__asm__(".pushsection .rodata\n"
        "replay_expected: .incbin \"tests/lab/tests/replay_expected.txt\"\n"
        ".byte 0\n"
        ".popsection");

/* Is text what the next program is to give? *at moves to the one after it. */
static inline bool replay_as_expected(const char **at, const char *text)
{
    const char *want = *at, *end = strstr(want, "\nprogram ");
    size_t n = end ? (size_t)(end + 1 - want) : strlen(want);

    *at = want + n;
    return strlen(text) == n && !memcmp(text, want, n);
}

#endif

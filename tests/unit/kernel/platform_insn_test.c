/* SPDX-License-Identifier: Apache-2.0 */
// sources: platform/kmod/insn.c
/*
 * The SNP instructions among all others: each encoding, prefixes before it, its length, and every
 * neighbour that is another instruction.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "platform.h"

static const struct {
    const char *what;
    u8 bytes[16];
    int nr;
    bool long_mode;
    enum platform_insn insn;
    u8 len;
} rows[] = {
    { "VMGEXIT", { 0xf3, 0x0f, 0x01, 0xd9 }, 4, true, INSN_VMGEXIT, 4 },
    { "VMGEXIT, F2", { 0xf2, 0x0f, 0x01, 0xd9 }, 4, true, INSN_VMGEXIT, 4 },
    { "VMMCALL", { 0x0f, 0x01, 0xd9 }, 3, true, INSN_VMMCALL, 3 },
    { "VMMCALL, operand size", { 0x66, 0x0f, 0x01, 0xd9 }, 4, true, INSN_VMMCALL, 4 },
    { "PVALIDATE", { 0xf2, 0x0f, 0x01, 0xff }, 4, true, INSN_PVALIDATE, 4 },
    { "RMPADJUST", { 0xf3, 0x0f, 0x01, 0xfe }, 4, true, INSN_RMPADJUST, 4 },
    { "the last of two repeats counts",
      { 0xf2, 0xf3, 0x0f, 0x01, 0xfe },
      5,
      true,
      INSN_RMPADJUST,
      5 },
    { "the last of two repeats counts",
      { 0xf3, 0xf2, 0x0f, 0x01, 0xff },
      5,
      true,
      INSN_PVALIDATE,
      5 },
    { "REX", { 0xf2, 0x48, 0x0f, 0x01, 0xff }, 5, true, INSN_PVALIDATE, 5 },
    { "segment and REX", { 0x64, 0xf3, 0x41, 0x0f, 0x01, 0xd9 }, 6, true, INSN_VMGEXIT, 6 },
    { "no REX outside of 64-bit code", { 0xf3, 0x48, 0x0f, 0x01, 0xd9 }, 5, false, INSN_OTHER, 0 },
    { "32-bit VMGEXIT", { 0xf3, 0x0f, 0x01, 0xd9 }, 4, false, INSN_VMGEXIT, 4 },
    { "a prefix after REX", { 0x48, 0xf2, 0x0f, 0x01, 0xff }, 5, true, INSN_OTHER, 0 },
    { "LOCK", { 0xf0, 0xf2, 0x0f, 0x01, 0xff }, 5, true, INSN_OTHER, 0 },
    { "PSMASH", { 0xf3, 0x0f, 0x01, 0xff }, 4, true, INSN_OTHER, 4 },
    { "RMPUPDATE", { 0xf2, 0x0f, 0x01, 0xfe }, 4, true, INSN_OTHER, 4 },
    { "RMPQUERY", { 0xf3, 0x0f, 0x01, 0xfd }, 4, true, INSN_OTHER, 4 },
    { "no prefix: INVLPGB", { 0x0f, 0x01, 0xfe }, 3, true, INSN_OTHER, 3 },
    { "no prefix: TLBSYNC", { 0x0f, 0x01, 0xff }, 3, true, INSN_OTHER, 3 },
    { "VMRUN", { 0x0f, 0x01, 0xd8 }, 3, true, INSN_OTHER, 3 },
    { "UD2", { 0x0f, 0x0b, 0x00 }, 3, true, INSN_OTHER, 0 },
    { "TDCALL", { 0x66, 0x0f, 0x01, 0xcc }, 4, true, INSN_OTHER, 4 },
    { "nothing", { 0 }, 0, true, INSN_OTHER, 0 },
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        u8 len = 0xee;

        if (platform_insn(rows[i].bytes, rows[i].nr, rows[i].long_mode, &len) != rows[i].insn ||
            len != rows[i].len)
            fail_msg("%s (row %zu): length %u", rows[i].what, i, len);
    }
}

/* Cut short, none is recognised. */
static void test_truncated(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        for (int nr = 0; nr < rows[i].nr; nr++) {
            u8 *bytes = malloc(nr ? (size_t)nr : 1), len;

            memcpy(bytes, rows[i].bytes, (size_t)nr);
            assert_int_equal(platform_insn(bytes, nr, rows[i].long_mode, &len), INSN_OTHER);
            free(bytes);
        }
    }
}

/* An instruction has at most 15 bytes. */
static void test_longest(void **state)
{
    u8 bytes[16], len;

    (void)state;
    memset(bytes, 0x66, sizeof(bytes));
    memcpy(bytes + 11, "\xf3\x0f\x01\xd9", 4);
    assert_int_equal(platform_insn(bytes, 15, true, &len), INSN_VMGEXIT);
    assert_int_equal(len, 15);
    memcpy(bytes + 11, "\x66\xf3\x0f\x01\xd9", 5);
    assert_int_equal(platform_insn(bytes, 16, true, &len), INSN_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_longest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

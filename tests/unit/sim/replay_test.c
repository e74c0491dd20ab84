/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs on the simulated machine: the text that the lab test `replay` wants of a real backend.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "fuzz/replay/machine.h"
#include "tests/lab/tests/replay_expected.h"

static void test_programs(void **state)
{
    const char *at = replay_expected;

    (void)state;
    replay_start();
    for (unsigned int n = 0; n < REPLAY_PROGRAMS; n++) {
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        assert_non_null(out);
        assert_true(replay_program(n, out));
        fclose(out);
        if (!replay_as_expected(&at, text))
            fail_msg("program %u, which is now:\n%s", n, text);
        free(text);
    }
    assert_int_equal(*at, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_programs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

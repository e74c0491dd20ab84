// SPDX-License-Identifier: Apache-2.0
/*
 * common/bytes: hexadecimal text both ways, and reading up to a limit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/bytes.h"

static void test_hex(void **state)
{
    static const char *const wrong[] = { "", "0", "00", "000", "00g0", "0x00", "00 0" };
    uint8_t bytes[2] = { 0, 0 };
    char text[5];

    (void)state;
    assert_true(hex_parse("a0Fbzz", bytes, 2)); /* what is behind is not looked at */
    assert_int_equal(bytes[0], 0xa0);
    assert_int_equal(bytes[1], 0xfb);
    hex_print(bytes, 2, text);
    assert_string_equal(text, "a0fb");
    hex_print(bytes, 0, text);
    assert_string_equal(text, "");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char *exact = strdup(wrong[i]); /* a read past its end shows */

        assert_false(hex_parse(exact, bytes, 2));
        free(exact);
    }
    for (int c = 0; c < 256; c++)
        assert_int_equal(hex_digit((char)c) >= 0, c && strchr("0123456789abcdefABCDEF", c));
}

/* Of a pipe that gives so many bytes. */
static enum bawn_status from_pipe(size_t len, size_t most, struct bawn_bytes *out,
                                  struct bawn_error *err)
{
    static const uint8_t bytes[40000] = { 1 };
    enum bawn_status st;
    int fd[2];

    *out = (struct bawn_bytes){ NULL, 0 };
    assert_int_equal(pipe(fd), 0);
    assert_int_equal(write(fd[1], bytes, len), len);
    close(fd[1]);
    st = bytes_read(fd[0], "pipe", most, out, err);
    close(fd[0]);
    return st;
}

static void test_read(void **state)
{
    static const size_t sizes[] = { 0, 1, 16383, 16384, 16385, 40000 };
    struct bawn_error err = { "" };
    struct bawn_bytes out;

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_int_equal(from_pipe(sizes[i], sizes[i], &out, &err), BAWN_OK);
        assert_int_equal(out.len, sizes[i]);
        free((void *)(uintptr_t)out.data);
        if (!sizes[i])
            continue;
        assert_int_equal(from_pipe(sizes[i], sizes[i] - 1, &out, &err), BAWN_E_FORMAT);
        assert_null(out.data);
    }
    assert_string_equal(err.msg, "pipe: larger than 39999 bytes");
    assert_int_equal(bytes_read(-1, "nothing", 10, &out, &err), BAWN_E_IO);
    assert_non_null(strstr(err.msg, "cannot read nothing: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

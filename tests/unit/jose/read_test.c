// SPDX-License-Identifier: Apache-2.0
/*
 * attest/jose/read.c beside jansson's reader, which must agree about every text; and what
 * json_text() writes, which must be read as the same value.
 */
#include "tests/unit/jose/shared.h"

#include <string.h>

static struct bawn_bytes bytes_of(const char *text, size_t len)
{
    return (struct bawn_bytes){ (const uint8_t *)text, len };
}

static json_t *jansson(const char *text, size_t len)
{
    return json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
}

static void read_back(const json_t *value)
{
    size_t len = 0;
    char *text = json_text(value, &len);
    json_t *again = NULL;

    assert_non_null(text);
    assert_int_equal(strlen(text), len);
    assert_int_equal(json_read_own(bytes_of(text, len), &again, NULL), BAWN_OK);
    assert_true(json_equal(value, again));
    json_decref(again);
    free(text);
}

/* An exact copy on the heap, so that reading behind its end is seen. */
static bool agree(const char *text, size_t len)
{
    struct bawn_error err = { "" };
    char *copy = malloc(len ? len : 1);
    json_t *value = NULL, *right;
    enum bawn_status st;

    assert_non_null(copy);
    memcpy(copy, text, len);
    right = jansson(copy, len);
    st = json_read(bytes_of(copy, len), &value, &err);
    if ((st == BAWN_OK) != (right != NULL) || (right && !json_equal(value, right)))
        fail_msg("jansson %s, json_read %s: %.*s", right ? "took" : "refused",
                 st == BAWN_OK ? "took" : err.msg, (int)len, copy);
    if (value)
        read_back(value);
    json_decref(value);
    json_decref(right);
    free(copy);
    return st == BAWN_OK;
}

static const char *const good[] = {
    "{}",
    "[]",
    " [ 1 , 2 ] ",
    "\t{\n\"a\"\r:null}",
    "\"\"",
    "0",
    "-0",
    "-0.0",
    "1e5",
    "1E+5",
    "1.5e-5",
    "1.0",
    "1e20",
    "0.1",
    "5e-324",
    "1e-400",
    "1.7976931348623157e308",
    "9223372036854775807",
    "-9223372036854775808",
    "9007199254740993",
    "true",
    "[false,null]",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\\uFFFF\"",
    "\"\x7f\xc2\x80\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\"",
    "{\"a\":{\"a\":[{\"a\":1}]},\"\":2,\"\\u0061b\":3}",
};

static const char *const bad[] = {
    "",
    " ",
    "{",
    "[",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[1}",
    "{]",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{,}",
    "{a:1}",
    "{1:1}",
    "{\"a\":1,\"a\":2}",
    "{\"a\":1,\"\\u0061\":2}",
    "{} {}",
    "1 2",
    "nul",
    "nulll",
    "True",
    "+1",
    "01",
    "-",
    "-a",
    "1.",
    ".5",
    "1.e5",
    "1e",
    "1e+",
    "0x10",
    "NaN",
    "Infinity",
    "1e400",
    "-1e400",
    "9223372036854775808",
    "-9223372036854775809",
    "99999999999999999999999999",
    "\"",
    "\"a",
    "\"\\\"",
    "\"\\",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u123g\"",
    "\"\\u0000\"",
    "{\"\\u0000\":1}",
    "\"\\ud800\"",
    "\"\\ud800x\"",
    "\"\\ud800\\u0041\"",
    "\"\\udc00\"",
    "\"\\ud83d\\ud83d\"",
    "\"\n\"",
    "\"\x1f\"",
    "\"\x80\"",
    "\"\xc0\x80\"",
    "\"\xc2\"",
    "\"\xe0\x80\x80\"",
    "\"\xed\xa0\x80\"",
    "\"\xf0\x80\x80\x80\"",
    "\"\xf4\x90\x80\x80\"",
    "\"\xf5\x80\x80\x80\"",
    "\"\xff\"",
    "\xef\xbb\xbf{}",
    "/**/{}",
    "'a'",
};

static void test_same_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (!agree(good[i], strlen(good[i])))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (agree(bad[i], strlen(bad[i])))
            fail_msg("taken: %s", bad[i]);
    assert_false(agree("\"a\0b\"", 5));
    assert_false(agree("{}\0", 3));
}

/* What one, two or three wrong bytes make of a sound text. */
static void test_same_answers_to_damaged_texts(void **state)
{
    static const char text[] = "{\"kty\":\"EC\",\"x\":[0,-1.5e3,9007199254740993,true,false,null],"
                               "\"\\u00e4\\ud83d\\ude00\""
                               ":\"\xc3\xa4\xf0\x9f\x98\x80\\n\",\"in\":{\"a\":{\"b\":[[],{}]},"
                               "\"c\":\"\\\"\"},\"z\":1e-7}";
    static const char bytes[] = "\"\\{}[],:-+.eE0159ux \n\t\x01\x80\xc3\xe2\xf0\xff";
    uint32_t seed = 1;
    size_t taken = 0;

    (void)state;
    for (unsigned i = 0; i < 60000; i++) {
        char copy[sizeof(text)];
        size_t len = sizeof(text) - 1;

        memcpy(copy, text, len);
        for (unsigned k = 0; k <= i % 3; k++) {
            size_t at;

            seed = seed * 1664525 + 1013904223;
            at = (seed >> 8) % len;
            seed = seed * 1664525 + 1013904223;
            if (seed >> 28) {
                copy[at] = bytes[(seed >> 8) % (sizeof(bytes) - 1)];
            } else {
                memmove(copy + at, copy + at + 1, len - at - 1);
                len--;
            }
        }
        taken += agree(copy, len);
    }
    assert_in_range(taken, 100, 50000);
}

static void test_depth(void **state)
{
    char text[300];
    struct bawn_error err = { "" };
    json_t *value = NULL;

    (void)state;
    for (size_t depth = 60; depth <= 140; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(json_read(bytes_of(text, 2 * depth), &value, &err),
                         depth <= 64 ? BAWN_OK : BAWN_E_FORMAT);
        assert_true(depth <= 64 || strstr(err.msg, "deep"));
        json_decref(value);
        value = NULL;
        assert_int_equal(json_read_own(bytes_of(text, 2 * depth), &value, &err),
                         depth <= 128 ? BAWN_OK : BAWN_E_FORMAT);
        if (value)
            read_back(value);
        json_decref(value);
        value = NULL;
    }
    /* One behind the other is no nesting. */
    assert_int_equal(json_read(bytes_of("[[],[],{},[[]]]", 15), &value, NULL), BAWN_OK);
    json_decref(value);
}

static void test_place_of_the_error(void **state)
{
    struct bawn_error err = { "" };
    json_t *value = NULL;

    (void)state;
    assert_int_equal(json_read(bytes_of("{\n \"secret\": x}", 15), &value, &err), BAWN_E_FORMAT);
    assert_null(value);
    assert_string_equal(err.msg, "not strict JSON (RFC 8259): line 2, column 12");
    assert_int_equal(json_read(bytes_of("{\"s\":1,\"s\":2}", 13), &value, &err), BAWN_E_FORMAT);
    assert_non_null(strstr(err.msg, "a member given twice"));
    assert_null(strstr(err.msg, "\"s\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_answers),
        cmocka_unit_test(test_same_answers_to_damaged_texts),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_place_of_the_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

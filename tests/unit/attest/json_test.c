// SPDX-License-Identifier: Apache-2.0
/*
 * The JSON reader: against jansson on every short text over the alphabet that matters, on
 * tables of good and bad texts, and on its limits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "attest/lib/json.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct arena arena;

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static struct bawn_bytes bytes(const char *text)
{
    return (struct bawn_bytes){ (const uint8_t *)text, strlen(text) };
}

/* Parses an exact-size heap copy, so that a read past the end is seen. */
static bool parse(struct js *j, const void *text, size_t len)
{
    struct bawn_bytes copy;

    arena_free(&arena);
    copy = (struct bawn_bytes){ memcpy(malloc(len + !len), text, len), len };
    bool ok = js_parse(j, &arena, copy);

    if (!ok) {
        assert_non_null(j->error);
        assert_true(j->line >= 1 && j->column >= 1);
    }
    free((void *)(uintptr_t)copy.data);
    return ok;
}

static bool jansson_accepts(const char *text, size_t len)
{
    json_t *v =
        json_loadb(text, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);

    json_decref(v);
    return v;
}

/* All texts up to a length over an alphabet of tokens agree with jansson. */
static void enumerate(const char *const *alphabet, size_t n, unsigned max)
{
    unsigned digits[8];

    for (unsigned len = 1; len <= max; len++) {
        memset(digits, 0, sizeof(digits));
        for (;;) {
            char text[64] = "";
            struct js j;
            unsigned i;

            for (i = 0; i < len; i++)
                strcat(text, alphabet[digits[i]]);
            if (parse(&j, text, strlen(text)) != jansson_accepts(text, strlen(text)))
                fail_msg("disagree on %s", text);
            for (i = 0; i < len && ++digits[i] == n; i++)
                digits[i] = 0;
            if (i == len)
                break;
        }
    }
}

static void test_structure_exhaustively(void **state)
{
    static const char *const alphabet[] = {
        "{", "}", "[", "]", ",", ":", "\"a\"", "\"b\"", "1", " "
    };

    (void)state;
    enumerate(alphabet, COUNT(alphabet), 5);
}

static void test_numbers_exhaustively(void **state)
{
    static const char *const alphabet[] = { "0", "1", "-", "+", ".", "e", "E", " " };

    (void)state;
    enumerate(alphabet, COUNT(alphabet), 5);
}

static void test_strings_exhaustively(void **state)
{
    static const char *const alphabet[] = { "\"",       "\\",      "n",       "u0041",
                                            "u00",      "\\ud83d", "\\ude00", "\xc3\xa9",
                                            "\xe2\x82", "\xac",    "\x80",    "\t" };

    (void)state;
    enumerate(alphabet, COUNT(alphabet), 4);
}

static void test_utf8_exhaustively(void **state)
{
    (void)state;
    for (unsigned v = 0; v < 1u << 16; v++) {
        char text[] = { '"', (char)(v >> 8), (char)v, '"' };
        char longer[] = { '"', (char)0xf0, (char)(v >> 8), (char)v, (char)0x80, '"' };
        struct js j;

        assert_int_equal(parse(&j, text, 4), jansson_accepts(text, 4));
        assert_int_equal(parse(&j, longer, 6), jansson_accepts(longer, 6));
    }
}

static void test_words_and_ends(void **state)
{
    static const char *const good[] = { "true",
                                        "false",
                                        "null",
                                        " null ",
                                        "\t\r\n[]",
                                        "[[],{}]",
                                        "{\"a\":{\"a\":1},\"b\":[{\"a\":1}]}" };
    static const char *const bad[] = { "",
                                       " ",
                                       "tru",
                                       "truex",
                                       "nul",
                                       "True",
                                       "[1 2]",
                                       "{1:2}",
                                       "[1],",
                                       "{\"a\"}",
                                       "[true",
                                       "\"a",
                                       "{\"a\":1,\"\\u0062\":2}",
                                       "{\"a\":1,\"b\":2,\"a\":3}",
                                       "\"\\u12\"",
                                       "\"\\ud83d\"",
                                       "\xef\xbb\xbf{}" };
    struct js j;

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(parse(&j, good[i], strlen(good[i])));
    for (size_t i = 0; i < COUNT(bad); i++)
        if (parse(&j, bad[i], strlen(bad[i])))
            fail_msg("accepted %s", bad[i]);
    assert_false(parse(&j, "1\0", 2));
}

static void test_depth_is_bounded(void **state)
{
    char text[80];
    struct js j;

    (void)state;
    for (int open = 31; open <= 33; open++) {
        memset(text, '[', (size_t)open);
        memset(text + open, ']', (size_t)open);
        assert_int_equal(parse(&j, text, 2 * (size_t)open), open <= 32);
    }
    assert_string_equal(j.error, "nested deeper than 32");
}

static void test_length_is_bounded(void **state)
{
    struct js j;

    (void)state;
    /* Never read: the length alone refuses it. */
    assert_false(js_parse(&j, &arena, (struct bawn_bytes){ (const uint8_t *)"1", 17u << 20 }));
    assert_string_equal(j.error, "longer than 16 MiB");
}

static void test_error_is_located(void **state)
{
    struct js j;

    (void)state;
    assert_false(parse(&j, "{\n \"a\": 1,\n \"a\": 2}", 19));
    assert_string_equal(j.error, "an object has the same key twice");
    assert_int_equal(j.line, 3);
    assert_false(parse(&j, "[1,\n  x]", 8));
    assert_int_equal(j.line, 2);
    assert_int_equal(j.column, 3);
}

/* 100,000 keys with one pair equal, in an order that is bad for naive searches. */
static void test_many_keys(void **state)
{
    enum { KEYS = 100000 };
    char *text = malloc(KEYS * 12 + 16), *p = text;
    struct js j;

    (void)state;
    p += sprintf(p, "{");
    for (int i = 0; i < KEYS; i++)
        p += sprintf(p, "\"%06d\":1,", (i * 7919) % KEYS);
    strcpy(p - 1, "}");
    assert_true(parse(&j, text, strlen(text)));
    strcpy(p, "\"050000\":2}");
    p[-1] = ',';
    assert_false(parse(&j, text, strlen(text)));
    free(text);
}

static void test_access(void **state)
{
    static const char text[] = "{\"n\": 18446744073709551615, \"s\": \"a\\u00e9\\n\\ud83d\\ude00\","
                               " \"l\": [1, \"00fF\", {}], \"o\": {\"t\": true}, \"f\": 1.0,"
                               " \"big\": 18446744073709551616, \"neg\": -1}";
    struct js j;
    struct bawn_bytes s;
    uint64_t n;
    uint32_t list, e;

    (void)state;
    assert_true(js_parse(&j, &arena, bytes(text)));
    assert_int_equal(js_type(&j, 0), JS_OBJECT);
    assert_int_equal(js_count(&j, 0), 7);
    assert_true(js_uint(&j, js_get(&j, 0, "n"), &n));
    assert_true(n == UINT64_MAX);
    assert_false(js_uint(&j, js_get(&j, 0, "big"), &n));
    assert_false(js_uint(&j, js_get(&j, 0, "neg"), &n));
    assert_false(js_uint(&j, js_get(&j, 0, "f"), &n));
    assert_true(js_string_is(&j, js_get(&j, 0, "s"), "a\xc3\xa9\n\xf0\x9f\x98\x80"));
    list = js_get(&j, 0, "l");
    assert_int_equal(js_count(&j, list), 3);
    e = js_next(&j, list, js_first(&j, list));
    assert_true(js_hex(&j, e, &s));
    assert_int_equal(s.len, 2);
    assert_memory_equal(s.data, "\x00\xff", 2);
    e = js_next(&j, list, e);
    assert_int_equal(js_type(&j, e), JS_OBJECT);
    assert_int_equal(js_next(&j, list, e), JS_ABSENT);
    assert_int_equal(js_first(&j, e), JS_ABSENT);
    s = js_raw(&j, js_get(&j, 0, "o"));
    assert_int_equal(s.len, 11);
    assert_memory_equal(s.data, "{\"t\": true}", 11);
}

static void test_absent_is_harmless(void **state)
{
    struct bawn_bytes s;
    struct js j;
    uint64_t n;

    (void)state;
    assert_true(js_parse(&j, &arena, bytes("{\"a\": [null]}")));
    assert_int_equal(js_get(&j, 0, "b"), JS_ABSENT);
    assert_int_equal(js_get(&j, JS_ABSENT, "b"), JS_ABSENT);
    assert_int_equal(js_get(&j, js_get(&j, 0, "a"), "b"), JS_ABSENT);
    assert_int_equal(js_type(&j, JS_ABSENT), JS_NONE);
    assert_int_equal(js_count(&j, JS_ABSENT), 0);
    assert_int_equal(js_next(&j, JS_ABSENT, JS_ABSENT), JS_ABSENT);
    assert_int_equal(js_value(&j, JS_ABSENT), JS_ABSENT);
    assert_false(js_string(&j, JS_ABSENT, &s));
    assert_false(js_uint(&j, JS_ABSENT, &n));
    assert_false(js_hex(&j, JS_ABSENT, &s));
    assert_int_equal(js_raw(&j, JS_ABSENT).len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_structure_exhaustively, teardown),
        cmocka_unit_test_teardown(test_numbers_exhaustively, teardown),
        cmocka_unit_test_teardown(test_strings_exhaustively, teardown),
        cmocka_unit_test_teardown(test_utf8_exhaustively, teardown),
        cmocka_unit_test_teardown(test_words_and_ends, teardown),
        cmocka_unit_test_teardown(test_depth_is_bounded, teardown),
        cmocka_unit_test_teardown(test_length_is_bounded, teardown),
        cmocka_unit_test_teardown(test_error_is_located, teardown),
        cmocka_unit_test_teardown(test_many_keys, teardown),
        cmocka_unit_test_teardown(test_access, teardown),
        cmocka_unit_test_teardown(test_absent_is_harmless, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * JSON, read strictly and written canonically: RFC 8785's own examples, what has no canonical
 * form, and hostile texts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "attest/jose/jose.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static enum bawn_status read_text(const char *text, json_t **value)
{
    /* An exact copy, so that a read past the end is seen. */
    size_t len = strlen(text);
    uint8_t *copy = memcpy(malloc(len + !len), text, len);
    struct bawn_error err = { "" };
    enum bawn_status status = json_read((struct bawn_bytes){ copy, len }, value, &err);

    assert_true(status == BAWN_OK || err.msg[0]);
    free(copy);
    return status;
}

static void expect_canonical(const json_t *value, const char *expected)
{
    struct bawn_error err;
    char *text;
    size_t len;

    assert_int_equal(json_canonical(value, &text, &len, &err), BAWN_OK);
    assert_string_equal(text, expected);
    assert_int_equal(len, strlen(expected));
    free(text);
}

static void expect_text(const char *given, const char *expected)
{
    json_t *value;

    assert_int_equal(read_text(given, &value), BAWN_OK);
    expect_canonical(value, expected);
    json_decref(value);
}

/* RFC 8785, 3.2.2 and 3.2.3 */
static void examples(void **state)
{
    (void)state;
    expect_text("{\n"
                "  \"numbers\": [333333333.33333329, 1E30, 4.50,\n"
                "              2e-3, 0.000000000000000000000000001],\n"
                "  \"string\": \"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\",\n"
                "  \"literals\": [null, true, false]\n"
                "}",
                "{\"literals\":[null,true,false],"
                "\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],"
                "\"string\":\"\xe2\x82\xac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
    expect_text("{\"\\u20ac\":\"Euro Sign\",\"\\r\":\"Carriage Return\","
                "\"\\ufb33\":\"Hebrew Letter Dalet With Dagesh\",\"1\":\"One\","
                "\"\\ud83d\\ude00\":\"Emoji: Grinning Face\",\"\\u0080\":\"Control\","
                "\"\\u00f6\":\"Latin Small Letter O With Diaeresis\"}",
                "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\xc2\x80\":\"Control\","
                "\"\xc3\xb6\":\"Latin Small Letter O With Diaeresis\","
                "\"\xe2\x82\xac\":\"Euro Sign\",\"\xf0\x9f\x98\x80\":\"Emoji: Grinning Face\","
                "\"\xef\xac\xb3\":\"Hebrew Letter Dalet With Dagesh\"}");
    expect_text("\"\\b\\t\\n\\f\\r\\u0001\\u001f\\u007f\"",
                "\"\\b\\t\\n\\f\\r\\u0001\\u001f\x7f\"");
    expect_text("{\"ab\":1,\"a\":2,\"\":{\"b\":[],\"a\":{}}}",
                "{\"\":{\"a\":{},\"b\":[]},\"a\":2,\"ab\":1}");
}

/* RFC 8785, appendix B; the last three by ECMA-262, where the nearest decimal of the least length
 * does not read back but its neighbour does, and at the ends of the forms. */
static void numbers(void **state)
{
    static const struct {
        uint64_t bits;
        const char *text;
    } table[] = {
        { 0x0000000000000000, "0" },
        { 0x8000000000000000, "0" },
        { 0x0000000000000001, "5e-324" },
        { 0x8000000000000001, "-5e-324" },
        { 0x7fefffffffffffff, "1.7976931348623157e+308" },
        { 0xffefffffffffffff, "-1.7976931348623157e+308" },
        { 0x4340000000000000, "9007199254740992" },
        { 0xc340000000000000, "-9007199254740992" },
        { 0x4430000000000000, "295147905179352830000" },
        { 0x44b52d02c7e14af5, "9.999999999999997e+22" },
        { 0x44b52d02c7e14af6, "1e+23" },
        { 0x44b52d02c7e14af7, "1.0000000000000001e+23" },
        { 0x444b1ae4d6e2ef4e, "999999999999999700000" },
        { 0x444b1ae4d6e2ef4f, "999999999999999900000" },
        { 0x444b1ae4d6e2ef50, "1e+21" },
        { 0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7" },
        { 0x3eb0c6f7a0b5ed8d, "0.000001" },
        { 0x41b3de4355555553, "333333333.3333332" },
        { 0x41b3de4355555554, "333333333.33333325" },
        { 0x41b3de4355555555, "333333333.3333333" },
        { 0x41b3de4355555556, "333333333.3333334" },
        { 0x41b3de4355555557, "333333333.33333343" },
        { 0xbecbf647612f3696, "-0.0000033333333333333333" },
        { 0x43143ff3c1cb0959, "1424953923781206.2" },
        { 0x3d30000000000000, "5.684341886080802e-14" }, /* 2^-44 */
        { 0x3ff8000000000000, "1.5" },
        { 0x4024000000000000, "10" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        json_t *value;
        double number;

        memcpy(&number, &table[i].bits, sizeof(number));
        value = json_real(number);
        expect_canonical(value, table[i].text);
        json_decref(value);
    }
}

static void integers(void **state)
{
    static const struct {
        json_int_t value;
        const char *text; /* NULL: no double is that number */
    } table[] = {
        { 0, "0" },
        { -1, "-1" },
        { 1500, "1500" },
        { 9007199254740991, "9007199254740991" },
        { 9007199254740993, NULL },
        { 1152921504606846976, "1152921504606847000" }, /* as ECMAScript writes 2^60 */
        { INT64_MAX, NULL },
        { INT64_MIN, "-9223372036854776000" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        json_t *value = json_integer(table[i].value);
        struct bawn_error err;
        char *text;
        size_t len;

        if (table[i].text)
            expect_canonical(value, table[i].text);
        else
            assert_int_equal(json_canonical(value, &text, &len, &err), BAWN_E_FORMAT);
        json_decref(value);
    }
}

static void refused_texts(void **state)
{
    static const char *const table[] = {
        "",
        " ",
        "{",
        "{}x",
        "{} {}",
        "{\"a\":1,\"a\":1}",
        "{\"a\":1,\"\\u0061\":2}",
        "[1,]",
        "{\"a\":1,}",
        "'a'",
        "01",
        "+1",
        ".5",
        "1.",
        "1e400",
        "99999999999999999999",
        "NaN",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"\xff\"",
        "\"\xc0\xaf\"",
        "\"\n\"",
        "\xef\xbb\xbf{}",
        "// c\n1",
        "tru",
    };
    json_t *value;

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++)
        if (read_text(table[i], &value) == BAWN_OK)
            fail_msg("taken: %s", table[i]);
}

static void nested(char *text, size_t depth)
{
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    text[2 * depth] = '\0';
}

static void depth(void **state)
{
    char text[20001], *out;
    struct bawn_error err;
    json_t *value, *outer;
    size_t len;

    (void)state;
    nested(text, 64);
    assert_int_equal(read_text(text, &value), BAWN_OK);
    expect_canonical(value, text);
    outer = json_pack("[o]", value);
    assert_int_equal(json_canonical(outer, &out, &len, &err), BAWN_E_FORMAT);
    json_decref(outer);
    nested(text, 65);
    assert_int_equal(read_text(text, &value), BAWN_E_FORMAT);
    nested(text, 10000);
    assert_int_equal(read_text(text, &value), BAWN_E_FORMAT);
    /* Brackets in strings are none, escaped quotes end no string. */
    memset(text, '[', 300);
    memcpy(text, "\"\\\"", 3);
    memcpy(text + 300, "\"", 2);
    assert_int_equal(read_text(text, &value), BAWN_OK);
    json_decref(value);
}

static void base64url(void **state)
{
    /* RFC 4648, section 10, and all bits of the alphabet */
    static const char *const good[][2] = {
        { "", "" },
        { "f", "Zg" },
        { "fo", "Zm8" },
        { "foo", "Zm9v" },
        { "foob", "Zm9vYg" },
        { "fooba", "Zm9vYmE" },
        { "foobar", "Zm9vYmFy" },
        { "\xfb\xff\xbf", "-_-_" },
    };
    static const char *const bad[] = { "Z",    "Zg==", "Zh",     "Zm9", "Zm9vY",
                                       "Zm+v", "Zm/v", "Zm9v\n", " Zg", "Z\xc3" };
    uint8_t *out;
    size_t len;

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        char *text = b64url_encode(good[i][0], strlen(good[i][0]));

        assert_string_equal(text, good[i][1]);
        assert_int_equal(b64url_decode(text, strlen(text), &out, &len, NULL), BAWN_OK);
        assert_int_equal(len, strlen(good[i][0]));
        assert_memory_equal(out, good[i][0], len);
        free(text);
        free(out);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(b64url_decode(bad[i], strlen(bad[i]), &out, &len, NULL), BAWN_E_FORMAT);
    assert_int_equal(b64url_decode("Zg\0\0", 4, &out, &len, NULL), BAWN_E_FORMAT);
}

/* The hash is sha384sum's of the text in the comment. */
static void report_data(void **state)
{
    /* {"additional-evidence":"","nonce":"AAAA","tee-pubkey":{"alg":"a","kty":"EC"}} */
    static const uint8_t expected[] = { 0x6a, 0x6b, 0x20, 0xb4, 0x7d, 0xc1, 0x51, 0x88, 0x49, 0xa0,
                                        0xe4, 0xee, 0x17, 0x87, 0x75, 0xe7, 0x00, 0x2a, 0xc1, 0x70,
                                        0xb7, 0xb1, 0x78, 0x80, 0x2c, 0xa0, 0x46, 0xb0, 0xbd, 0x7c,
                                        0x0f, 0x58, 0xf7, 0x3b, 0x0d, 0x0a, 0x25, 0x97, 0x24, 0x53,
                                        0xcf, 0x7c, 0x29, 0xee, 0xe6, 0xb8, 0x63, 0x92 };
    json_t *runtime =
        json_pack("{s:s,s:{s:s,s:s}}", "nonce", "AAAA", "tee-pubkey", "kty", "EC", "alg", "a");
    uint8_t data[64], other[64];
    static const uint8_t zeros[16];

    (void)state;
    memset(data, 0xff, sizeof(data));
    assert_int_equal(kbs_report_data(runtime, "", "sha384", data, NULL), BAWN_OK);
    assert_memory_equal(data, expected, sizeof(expected));
    assert_memory_equal(data + 48, zeros, 16);
    assert_int_equal(kbs_report_data(runtime, "{}", "sha384", other, NULL), BAWN_OK);
    assert_memory_not_equal(data, other, 48);
    assert_int_equal(kbs_report_data(runtime, "", "md5", other, NULL), BAWN_E_UNSUPPORTED);
    json_object_del(runtime, "nonce");
    assert_int_equal(kbs_report_data(runtime, "", "sha256", other, NULL), BAWN_E_FORMAT);
    json_decref(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples),      cmocka_unit_test(numbers), cmocka_unit_test(integers),
        cmocka_unit_test(refused_texts), cmocka_unit_test(depth),   cmocka_unit_test(base64url),
        cmocka_unit_test(report_data),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Text encodings: all short texts of a few telling characters against a specification that
 * encodes, OpenSSL's encoder for the long ones, and PEM as people and machines mangle it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "attest/lib/codec.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Calls the decoder with exactly these bytes on the heap. */
static bool decode(bool (*decoder)(struct arena *, struct bawn_bytes, struct bawn_bytes *),
                   struct arena *a, const char *text, size_t len, struct bawn_bytes *out)
{
    uint8_t *exact = malloc(len ? len : 1);
    bool ok;

    assert_non_null(exact);
    memcpy(exact, text, len);
    ok = decoder(a, (struct bawn_bytes){ exact, len }, out);
    free(exact);
    if (!ok)
        assert_true(!out->len && !out->data);
    return ok;
}

/* ---- Base64 ---- */

static bool space(char ch)
{
    return ch == ' ' || ch == '\n' || ch == '\r' || ch == '\t';
}

/* The bytes that this text encodes: its digits, encoded again, are the text. */
static bool spec_base64(const char *text, size_t len, uint8_t *bytes, size_t *n)
{
    char core[64], again[96];
    size_t digits = 0, chars = 0, pads, last = 0;
    bool std = false, url = false;
    uint32_t bits = 0;

    for (size_t i = 0; i < len; i++) {
        if (!space(text[i]))
            last = i;
    }
    for (size_t i = 0; i < len; i++) {
        const char *at;

        if (space(text[i])) {
            if (chars % 4 && i < last)
                return false;
            continue;
        }
        chars++;
        if (text[i] == '=')
            continue;
        std = std || strchr("+/", text[i]);
        url = url || strchr("-_", text[i]);
        core[digits] = text[i];
        if (text[i] == '-' || text[i] == '_')
            core[digits] = text[i] == '-' ? '+' : '/';
        at = strchr(alphabet, core[digits]);
        if (!at || chars != digits + 1)
            return false;
        digits++;
    }
    pads = chars - digits;
    *n = digits * 6 / 8;
    if (!digits || digits % 4 == 1 || (pads && pads != (4 - digits % 4) % 4) || (std && url))
        return false;
    for (size_t i = 0, k = 0; i < digits; i++) {
        bits = bits << 6 | (uint32_t)(strchr(alphabet, core[i]) - alphabet);
        if (i % 4 && k < *n)
            bytes[k++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    EVP_EncodeBlock((unsigned char *)again, bytes, (int)*n);
    return !memcmp(again, core, digits);
}

static void base64_short(void **state)
{
    static const char chars[] = { 'A', 'Q', 'g', '/', '_', '=', '\n', '!' };
    struct arena a = { 0 };
    size_t accepted = 0;

    (void)state;
    for (size_t len = 0; len <= 6; len++) {
        for (uint32_t v = 0; v < 1u << (3 * len); v++) {
            char text[8];
            uint8_t want[8];
            size_t n = 0;
            struct bawn_bytes got;
            bool ok;

            for (size_t i = 0; i < len; i++)
                text[i] = chars[v >> (3 * i) & 7];
            ok = spec_base64(text, len, want, &n);
            arena_reset(&a);
            if (decode(base64_decode, &a, text, len, &got) != ok ||
                (ok && (got.len != n || memcmp(got.data, want, n) != 0)))
                fail_msg("\"%.*s\": %s", (int)len, text, ok ? "refused, or other bytes" : "taken");
            accepted += ok;
        }
    }
    assert_true(accepted > 1000);
    arena_free(&a);
}

static void base64_long(void **state)
{
    struct arena a = { 0 };
    uint8_t bytes[600];
    char text[4 + sizeof(bytes) * 4 / 3 + 4];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 167 + (i >> 3));
    for (size_t n = 1; n <= sizeof(bytes); n++) {
        size_t len = (size_t)EVP_EncodeBlock((unsigned char *)text, bytes, (int)n);
        struct bawn_bytes got;

        arena_reset(&a);
        assert_true(decode(base64_decode, &a, text, len, &got));
        assert_true(bytes_equal(got, (struct bawn_bytes){ bytes, n }));
        /* The other alphabet, and no padding. */
        while (text[len - 1] == '=')
            len--;
        for (size_t i = 0; i < len; i++)
            text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
        assert_true(decode(base64_decode, &a, text, len, &got));
        assert_true(bytes_equal(got, (struct bawn_bytes){ bytes, n }));
    }
    arena_free(&a);
}

/* Only the 64 digits, and only whitespace between groups, whichever byte comes. */
static void base64_characters(void **state)
{
    struct arena a = { 0 };

    (void)state;
    for (unsigned v = 0; v < 256; v++) {
        char text[] = "AAAAAxAA", gap[] = "AAAAxAAAA";
        struct bawn_bytes got;

        text[5] = gap[4] = (char)v;
        arena_reset(&a);
        assert_int_equal(decode(base64_decode, &a, text, 8, &got),
                         v && (strchr(alphabet, (int)v) || v == '-' || v == '_'));
        assert_int_equal(decode(base64_decode, &a, gap, 9, &got), space((char)v));
    }
    arena_free(&a);
}

/* ---- Hex ---- */

static void hex(void **state)
{
    static const char chars[] = { '0', '9', 'a', 'F', 'g', ' ', '\n', 'x' };
    struct arena a = { 0 };

    (void)state;
    for (size_t len = 0; len <= 5; len++) {
        for (uint32_t v = 0; v < 1u << (3 * len); v++) {
            char text[8] = "", digits[8] = "";
            struct bawn_bytes got;
            size_t n = 0;
            bool ok = true;

            for (size_t i = 0; i < len; i++) {
                text[i] = chars[v >> (3 * i) & 7];
                if (!space(text[i]))
                    digits[n++] = text[i];
            }
            ok = n && n % 2 == 0 && strspn(digits, "09aF") == n;
            arena_reset(&a);
            assert_int_equal(decode(hex_decode, &a, text, len, &got), ok);
            assert_int_equal(got.len, ok ? n / 2 : 0);
            for (size_t i = 0; i < got.len; i++) {
                char two[] = { digits[2 * i], digits[2 * i + 1], '\0' };

                assert_int_equal(got.data[i], strtoul(two, NULL, 16));
            }
        }
    }
    for (unsigned v = 0; v < 256; v++) {
        char text[] = { '0', (char)v };
        struct bawn_bytes got;

        assert_int_equal(decode(hex_decode, &a, text, 2, &got),
                         v && strchr("0123456789abcdefABCDEF", (int)v));
    }
    arena_free(&a);
}

/* ---- PEM ---- */

#define BEGIN(l) "-----BEGIN " l "-----"
#define END(l) "-----END " l "-----"

static const struct pem_case {
    const char *text;
    const char *blocks; /* "label=hex;" of each, "label!;" for a broken one */
} pem_cases[] = {
    { BEGIN("A") "\nAQID\n" END("A") "\n", "A=010203;" },
    { BEGIN("X509 CRL") "\r\nAQID\r\nBA==\r\n" END("X509 CRL") "\r\n", "X509 CRL=01020304;" },
    { "before\n" BEGIN("A") "\nAQID\n" END("A") "\nbetween\n" BEGIN("B") "\nBA==\n" END(
          "B") "after",
      "A=010203;B=04;" },
    /* Joined without a line end, as by cat. */
    { BEGIN("A") "\nAQID\n" END("A") BEGIN("A") "\nBA==\n" END("A"), "A=010203;A=04;" },
    { BEGIN("A") "AQID" END("A"), "A=010203;" },
    { "", "" },
    { "text", "" },
    { "-----BEGIN A", "" },
    { "-----BEGIN ", "" },
    { BEGIN("A"), "A!;" },
    { BEGIN("A") "\nAQID\n", "A!;" },
    { BEGIN("A") "\nAQID\n-----END A", "A!;" },
    { BEGIN("A") "\nAQID\n-----END A----", "A!;" },
    { BEGIN("A") "\nAQID\n" END("B"), "A!;" },
    { BEGIN("A") "\nAQID\n" END("AA"), "A!;" },
    { BEGIN("AA") "\nAQID\n" END("A"), "AA!;" },
    { BEGIN("A") "\n" END("A"), "A!;" },
    /* A block that stops short does not take the next one with it. */
    { BEGIN("A") "\nAQI\n" BEGIN("B") "\nAQID\n" END("B"), "A!;B=010203;" },
    { BEGIN("A") "\nAQ*D\n" END("A") "\n" BEGIN("B") "\nAQID\n" END("B"), "A!;B=010203;" },
    /* Unpadded, URL alphabet, spare bits, header lines: not as in RFC 7468. */
    { BEGIN("A") "\nBA\n" END("A"), "A!;" },
    { BEGIN("A") "\nAQI_\n" END("A"), "A!;" },
    { BEGIN("A") "\nBB==\n" END("A"), "A!;" },
    { BEGIN("A") "\nProc-Type: 4,ENCRYPTED\n\nAQID\n" END("A"), "A!;" },
};

/* What pem_next gives of text, as in pem_case. */
static void list_blocks(const char *text, size_t len, char *out, size_t size)
{
    uint8_t *exact = malloc(len ? len : 1);
    struct bawn_bytes rest = { exact, len }, label, der;
    struct arena a = { 0 };
    size_t at = 0;

    assert_non_null(exact);
    memcpy(exact, text, len);
    out[0] = '\0';
    while (pem_next(&a, &rest, &label, &der)) {
        at += (size_t)snprintf(out + at, size - at, "%.*s%c", (int)label.len,
                               (const char *)label.data, der.len ? '=' : '!');
        for (size_t i = 0; i < der.len; i++)
            at += (size_t)snprintf(out + at, size - at, "%02x", der.data[i]);
        at += (size_t)snprintf(out + at, size - at, ";");
        assert_true(at < size);
    }
    assert_false(pem_next(&a, &rest, &label, &der));
    arena_free(&a);
    free(exact);
}

static void pem(void **state)
{
    char got[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(pem_cases); i++) {
        list_blocks(pem_cases[i].text, strlen(pem_cases[i].text), got, sizeof(got));
        if (strcmp(got, pem_cases[i].blocks) != 0)
            fail_msg("%s\ngives %s, should give %s", pem_cases[i].text, got, pem_cases[i].blocks);
    }
}

/* Cut anywhere, or with any byte changed: no crash, and whole blocks elsewhere are found. */
static void pem_damaged(void **state)
{
    static const char two[] = BEGIN("A") "\nAQID\n" END("A") "\n" BEGIN("B") "\nBAUG\n" END("B");
    char text[sizeof(two)], got[256];
    size_t second = (size_t)(strstr(two, BEGIN("B")) - two);

    (void)state;
    for (size_t n = 0; n < sizeof(two) - 1; n++) {
        list_blocks(two, n, got, sizeof(got));
        assert_null(strstr(got, "B="));
        assert_int_equal(!!strstr(got, "A=010203;"), n >= second - 1);
    }
    for (size_t i = 0; i < sizeof(two) - 1; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            memcpy(text, two, sizeof(two));
            text[i] = (char)(text[i] ^ (1 << bit));
            list_blocks(text, sizeof(two) - 1, got, sizeof(got));
            assert_non_null(strstr(got, i < second ? "B=040506;" : "A=010203;"));
        }
    }
}

/* A text of nothing but openings is passed in linear time. */
static void pem_flood(void **state)
{
    enum { BLOCKS = 50000 };
    static const char opening[] = BEGIN("A");
    size_t one = strlen(opening), n = 0;
    uint8_t *text = malloc(BLOCKS * one);
    struct bawn_bytes rest = { text, BLOCKS * one }, label, der;
    struct arena a = { 0 };

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < BLOCKS; i++)
        memcpy(text + i * one, opening, one);
    while (pem_next(&a, &rest, &label, &der)) {
        assert_int_equal(der.len, 0);
        n++;
    }
    assert_int_equal(n, BLOCKS);
    arena_free(&a);
    free(text);
}

/* ---- Bytes ---- */

static void bytes(void **state)
{
    static const uint8_t x[] = { 'a', 'b', 0, 0 };
    const struct bawn_bytes none = { NULL, 0 };

    (void)state;
    assert_true(bytes_equal(none, none));
    assert_true(bytes_equal(none, (struct bawn_bytes){ x, 0 }));
    assert_false(bytes_equal(none, (struct bawn_bytes){ x, 1 }));
    assert_false(bytes_equal((struct bawn_bytes){ x, 2 }, (struct bawn_bytes){ x, 3 }));
    assert_false(bytes_equal((struct bawn_bytes){ x, 1 }, (struct bawn_bytes){ x + 1, 1 }));
    assert_true(bytes_are((struct bawn_bytes){ x, 2 }, "ab"));
    assert_false(bytes_are((struct bawn_bytes){ x, 3 }, "ab"));
    assert_false(bytes_are((struct bawn_bytes){ x, 1 }, "ab"));
    assert_true(bytes_are(none, ""));
    assert_true(bytes_zero(x + 2, 2));
    assert_false(bytes_zero(x + 1, 3));
    assert_true(bytes_zero(NULL, 0));
    assert_true(bytes_zero(x, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_short),
        cmocka_unit_test(base64_long),
        cmocka_unit_test(base64_characters),
        cmocka_unit_test(hex),
        cmocka_unit_test(pem),
        cmocka_unit_test(pem_damaged),
        cmocka_unit_test(pem_flood),
        cmocka_unit_test(bytes),
    };

    return cmocka_run_group_tests_name("attest/codec", tests, NULL, NULL);
}

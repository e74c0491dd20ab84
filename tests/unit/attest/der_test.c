// SPDX-License-Identifier: Apache-2.0
/*
 * DER: what is accepted is exactly what a specification written the other way round says, for
 * all short inputs. The specification encodes: an element is DER when encoding what it means
 * gives its bytes back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "attest/lib/der.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* ---- The specification ---- */

/* The header of `len` bytes of content; returns its size. X.690 8.1.3, 10.1. */
static size_t encode_header(uint8_t tag, uint64_t len, uint8_t *out)
{
    unsigned octets = 0;

    out[0] = tag;
    if (len <= 127) {
        out[1] = (uint8_t)len;
        return 2;
    }
    for (uint64_t v = len; v; v >>= 8)
        octets++;
    out[1] = (uint8_t)(0x80 + octets);
    for (unsigned i = 0; i < octets; i++)
        out[2 + i] = (uint8_t)(len >> (8 * (octets - 1 - i)));
    return 2 + octets;
}

/* Two's complement in as few octets as hold it. */
static size_t encode_integer(int64_t v, uint8_t *out)
{
    size_t n = 1;

    while (n < 8 && (v < -(INT64_C(1) << (8 * n - 1)) || v >= INT64_C(1) << (8 * n - 1)))
        n++;
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)((uint64_t)v >> (8 * (n - 1 - i)));
    return n;
}

static bool spec_integer(const uint8_t *b, size_t n, int64_t *v)
{
    uint64_t u = n && b[0] >= 0x80 ? UINT64_MAX : 0;
    uint8_t again[8];

    for (size_t i = 0; i < n; i++)
        u = u << 8 | b[i];
    *v = (int64_t)u;
    return encode_integer(*v, again) == n && !memcmp(again, b, n);
}

static bool spec_oid(const uint8_t *b, size_t n)
{
    uint8_t again[8];
    size_t m = 0, at = 0;

    while (at < n) {
        uint32_t arc = 0;

        while (at < n && b[at] >= 0x80)
            arc = arc * 128 + (b[at++] - 128u);
        if (at == n)
            return false;
        arc = arc * 128 + b[at++];
        for (int shift = 28; shift >= 0; shift -= 7) {
            if (arc >> shift)
                again[m++] = (uint8_t)(((arc >> shift) & 127) | (shift ? 128 : 0));
        }
        if (!arc)
            again[m++] = 0;
    }
    return n && m == n && !memcmp(again, b, n);
}

static bool spec_bits(const uint8_t *b, size_t n)
{
    for (unsigned unused = 0; unused <= 7; unused++) {
        if (n == 1 && !unused && b[0] == 0)
            return true;
        if (n > 1 && b[0] == unused && b[n - 1] >> unused << unused == b[n - 1])
            return true;
    }
    return false;
}

static bool spec_content(uint8_t tag, const uint8_t *b, size_t n)
{
    int64_t v;

    switch (tag) {
    case 1:
        return n == 1 && (b[0] == 0 || b[0] == 255);
    case 2:
    case 10:
        return spec_integer(b, n, &v);
    case 3:
        return spec_bits(b, n);
    case 5:
        return n == 0;
    case 6:
        return spec_oid(b, n);
    default:
        return true;
    }
}

static bool spec_tag(uint8_t tag)
{
    /* Universal types and whether each is constructed, X.680 table 1. */
    static const char *forms = "-ppppppp" /* BOOLEAN 1 to ObjectDescriptor 7 */
                               "cppcpppp" /* EXTERNAL, REAL, ENUM, EMBEDDED PDV, UTF8, ROID, TIME */
                               "ccpppppp" /* SEQUENCE, SET, strings to UTCTime */
                               "pppppcp"; /* times and strings, CHARACTER STRING 29, BMP */

    if (tag % 32 == 31)
        return false;
    return tag >= 64 || forms[tag % 32] == (tag >= 32 ? 'c' : 'p');
}

struct spec {
    bool valid;
    size_t header, content;
};

/* The element at the start of b, if there is a length for which b begins with its encoding. */
static struct spec spec_element(const uint8_t *b, size_t n)
{
    for (size_t len = 0; len + 2 <= n; len++) {
        uint8_t h[16];
        size_t header = encode_header(b[0], len, h);

        if (header + len <= n && !memcmp(h, b, header))
            return (struct spec){ spec_tag(b[0]) && spec_content(b[0], b + header, len), header,
                                  len };
    }
    return (struct spec){ false, 0, 0 };
}

/* ---- The comparison ---- */

static void check_typed(const uint8_t *b, size_t n, const struct spec *want)
{
    struct bawn_cursor c = bawn_cursor_over(b, n), at = c;
    const uint8_t *content = b + want->header;
    struct bawn_bytes bits;
    int64_t v = 0;

    switch (b[0]) {
    case DER_BOOLEAN:
        assert_int_equal(der_bool(&at), want->valid && content[0] == 0xff);
        assert_int_equal(at.failed, !want->valid);
        break;
    case DER_INTEGER: {
        bool natural = want->valid && spec_integer(content, want->content, &v) && v >= 0;
        struct bawn_bytes magnitude = der_unsigned(&at);

        assert_int_equal(at.failed, !natural);
        if (natural) {
            bool padded = want->content > 1 && content[0] == 0;

            assert_ptr_equal(magnitude.data, content + padded);
            assert_int_equal(magnitude.len, want->content - padded);
        }
        at = c;
        assert_int_equal(der_uint(&at), natural ? v : 0);
        assert_int_equal(at.failed, !natural);
        break;
    }
    case DER_BIT_STRING:
        bits = der_bits(&at);
        assert_int_equal(at.failed, !(want->valid && content[0] == 0));
        if (!at.failed) {
            assert_ptr_equal(bits.data, content + 1);
            assert_int_equal(bits.len, want->content - 1);
        }
        break;
    default:
        der_bool(&at);
        assert_true(at.failed);
        at = c;
        der_unsigned(&at);
        assert_true(at.failed);
        break;
    }
    /* Asked for by tag: this one, and another. */
    at = c;
    assert_int_equal(der_content(&at, b[0]).len, want->valid ? want->content : 0);
    assert_int_equal(at.failed, !want->valid);
    at = c;
    assert_true(der_enter(&at, b[0] ^ 1).failed);
    assert_true(at.failed);
}

static void check(const uint8_t *b, size_t n)
{
    struct spec want = spec_element(b, n);
    struct bawn_cursor c = bawn_cursor_over(b, n), sub = c;
    struct bawn_bytes whole, content;
    uint8_t tag;

    content = der_any(&c, &tag, &whole);
    if (c.failed == want.valid || tag != (want.valid ? b[0] : 0) ||
        whole.len != (want.valid ? want.header + want.content : 0) ||
        content.len != (want.valid ? want.content : 0) ||
        (want.valid && (whole.data != b || content.data != b + want.header)))
        fail_msg("%zu bytes %02x %02x %02x %02x: %s", n, b[0], n > 1 ? b[1] : 0, n > 2 ? b[2] : 0,
                 n > 3 ? b[3] : 0, want.valid ? "refused" : "accepted, or not as it is");
    check_typed(b, n, &want);
    sub = der_enter(&sub, b[0]);
    assert_int_equal(sub.failed, !want.valid);
    assert_int_equal(bawn_cursor_left(&sub), want.content * want.valid);
    if (want.valid) {
        assert_int_equal(bawn_cursor_left(&c), n - want.header - want.content);
        der_end(&c);
        assert_int_equal(c.failed, n != want.header + want.content);
    }
}

/* All strings of up to three bytes. */
static void all_short(void **state)
{
    uint8_t *b[4];

    (void)state;
    for (size_t n = 1; n <= 3; n++) {
        b[n] = malloc(n);
        assert_non_null(b[n]);
        for (uint32_t v = 0; v < 1u << (8 * n); v++) {
            for (size_t i = 0; i < n; i++)
                b[n][i] = (uint8_t)(v >> (8 * (n - 1 - i)));
            check(b[n], n);
        }
        free(b[n]);
    }
}

/* Longer ones, from the bytes that mean something. */
static void structured(void **state)
{
    static const uint8_t tags[] = { 0x00, 0x01, 0x02, 0x03, 0x05, 0x06, 0x0a, 0x10, 0x1f,
                                    0x22, 0x24, 0x30, 0x31, 0x80, 0x9f, 0xa3, 0xff };
    static const uint8_t lengths[] = { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x7f, 0x80,
                                       0x81, 0x82, 0x83, 0x84, 0x88, 0x89, 0xfe, 0xff };
    static const uint8_t rest[] = { 0x00, 0x01, 0x02, 0x7f, 0x80, 0xff };
    const uint32_t combos = 6 * 6 * 6 * 6;

    (void)state;
    for (size_t n = 3; n <= 6; n++) {
        uint8_t *b = malloc(n);

        assert_non_null(b);
        for (size_t t = 0; t < ARRAY_SIZE(tags) * ARRAY_SIZE(lengths); t++) {
            b[0] = tags[t / ARRAY_SIZE(lengths)];
            b[1] = lengths[t % ARRAY_SIZE(lengths)];
            for (uint32_t v = 0, left; v < combos; v++) {
                left = v;
                for (size_t i = 2; i < n; i++, left /= 6)
                    b[i] = rest[left % 6];
                if (!left)
                    check(b, n);
            }
        }
        free(b);
    }
}

/* Around each size where the length's form changes, in every number of length octets. */
static void long_lengths(void **state)
{
    static const size_t sizes[] = { 126, 127, 128, 129, 255, 256, 257, 65535, 65536, 65537 };

    (void)state;
    for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
        for (unsigned octets = 1; octets <= 9; octets++) {
            /* What the octets hold of the size is a length too. */
            uint64_t says = octets < 8 ? sizes[s] & ((1ull << 8 * octets) - 1) : sizes[s];
            size_t n = 2 + octets + sizes[s];
            uint8_t *b = calloc(1, n), h[16];
            struct bawn_cursor c = bawn_cursor_over(b, n);
            bool minimal = encode_header(DER_OCTET_STRING, says, h) == 2 + octets;
            size_t len;

            assert_non_null(b);
            b[0] = DER_OCTET_STRING;
            b[1] = (uint8_t)(0x80 + octets);
            for (unsigned i = 0; i < octets && i < 8; i++)
                b[1 + octets - i] = (uint8_t)(says >> (8 * i));
            len = der_any(&c, NULL, NULL).len;
            free(b);
            assert_int_equal(c.failed, !minimal);
            assert_int_equal(len, minimal ? says : 0);
        }
    }
}

/* Lengths near the limits of the machine's integers. */
static void absurd_lengths(void **state)
{
    static const char *const heads[] = {
        "\x04\x84\xff\xff\xff\xff",
        "\x04\x88\xff\xff\xff\xff\xff\xff\xff\xff",
        "\x04\x88\x80\x00\x00\x00\x00\x00\x00\x00",
        "\x04\x88\x7f\xff\xff\xff\xff\xff\xff\xff",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
        uint8_t b[16] = { 0 };
        struct bawn_cursor c = bawn_cursor_over(b, sizeof(b));

        memcpy(b, heads[i], 2u + ((uint8_t)heads[i][1] & 0x0f));
        assert_int_equal(der_any(&c, NULL, NULL).len, 0);
        assert_true(c.failed);
    }
}

/* Integers of 7 to 10 bytes, at the limit of 64 bits. */
static void wide_integers(void **state)
{
    static const struct {
        const char *der;
        size_t len;
        uint64_t value;
        bool number, fits;
    } cases[] = {
        { "\x02\x08\x7f\xff\xff\xff\xff\xff\xff\xff", 10, INT64_MAX, true, true },
        { "\x02\x08\x80\x00\x00\x00\x00\x00\x00\x00", 10, 0, false, false },
        { "\x02\x09\x00\x80\x00\x00\x00\x00\x00\x00\x00", 11, 1ull << 63, true, true },
        { "\x02\x09\x00\xff\xff\xff\xff\xff\xff\xff\xff", 11, UINT64_MAX, true, true },
        { "\x02\x09\x00\x7f\xff\xff\xff\xff\xff\xff\xff", 11, 0, false, false },
        { "\x02\x09\x01\x00\x00\x00\x00\x00\x00\x00\x00", 11, 0, true, false },
        { "\x02\x09\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11, 0, false, false },
        { "\x02\x0a\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12, 0, true, false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct bawn_cursor c = bawn_cursor_over(cases[i].der, cases[i].len), at = c;

        der_unsigned(&at);
        assert_int_equal(at.failed, !cases[i].number);
        assert_int_equal(der_uint(&c), cases[i].value);
        assert_int_equal(c.failed, !cases[i].fits);
    }
}

/* ---- Times ---- */

static bool read_time(uint8_t tag, const char *text, size_t len, int64_t *t)
{
    uint8_t *b = malloc(2 + len);
    struct bawn_cursor c = bawn_cursor_over(b, 2 + len);

    assert_non_null(b);
    b[0] = tag;
    b[1] = (uint8_t)len;
    memcpy(b + 2, text, len);
    *t = der_time(&c);
    assert_int_equal(bawn_cursor_left(&c), 0);
    free(b);
    return !c.failed;
}

/* The C library's calendar: a time that exists comes back unchanged. */
static bool exists(int year, int month, int day, int h, int m, int s, int64_t *t)
{
    struct tm tm = { .tm_year = year - 1900,
                     .tm_mon = month - 1,
                     .tm_mday = day,
                     .tm_hour = h,
                     .tm_min = m,
                     .tm_sec = s };
    struct tm want = tm;

    *t = timegm(&tm);
    return year > 0 && tm.tm_year == want.tm_year && tm.tm_mon == want.tm_mon &&
           tm.tm_mday == want.tm_mday && tm.tm_hour == h && tm.tm_min == m && tm.tm_sec == s;
}

static void check_time(int year, int month, int day, int h, int m, int s)
{
    int64_t want = 0, t = 0;
    bool ok = exists(year, month, day, h, m, s, &want);
    char text[32];

    snprintf(text, sizeof(text), "%04u%02u%02u%02u%02u%02uZ", (unsigned)year % 10000,
             (unsigned)month % 100, (unsigned)day % 100, (unsigned)h % 100, (unsigned)m % 100,
             (unsigned)s % 100);
    if (read_time(DER_GENERALIZED_TIME, text, 15, &t) != ok || t != (ok ? want : 0))
        fail_msg("%s: %s", text, ok ? "refused, or another time" : "accepted");
    if (year < 1950 || year > 2049)
        return;
    if (read_time(DER_UTC_TIME, text + 2, 13, &t) != ok || t != (ok ? want : 0))
        fail_msg("%s: %s", text + 2, ok ? "refused, or another time" : "accepted");
}

static void dates(void **state)
{
    (void)state;
    for (int year = 1950; year <= 2049; year++) {
        for (int month = 0; month <= 13; month++) {
            for (int day = 0; day <= 32; day++) {
                if (day < 2 || day > 27)
                    check_time(year, month, day, 12, 0, 0);
            }
        }
    }
    for (int year = 0; year <= 9999; year++) {
        check_time(year, 2, 28, 23, 59, 59);
        check_time(year, 2, 29, 0, 0, 0);
        check_time(year, 3, 1, 0, 0, 0);
        check_time(year, 12, 31, 23, 59, 59);
    }
    for (int i = 0; i < 100 * 100; i++) {
        check_time(2026, 8, 19, i / 100, i % 100, 7);
        check_time(2026, 8, 19, 7, i / 100, i % 100);
    }
}

static void time_forms(void **state)
{
    static const struct {
        uint8_t tag;
        const char *text;
        bool ok;
    } cases[] = {
        { DER_UTC_TIME, "260819140901Z", true },
        { DER_GENERALIZED_TIME, "20260819140901Z", true },
        { DER_GENERALIZED_TIME, "99991231235959Z", true }, /* RFC 5280 4.1.2.5: no end */
        { DER_UTC_TIME, "20260819140901Z", false },
        { DER_GENERALIZED_TIME, "260819140901Z", false },
        { DER_UTC_TIME, "2608191409Z", false },
        { DER_UTC_TIME, "260819140901", false },
        { DER_UTC_TIME, "260819140901z", false },
        { DER_UTC_TIME, "260819140901ZZ", false },
        { DER_UTC_TIME, "260819140901+0000", false },
        { DER_UTC_TIME, "260819140901-0800", false },
        { DER_GENERALIZED_TIME, "20260819140901.5Z", false },
        { DER_GENERALIZED_TIME, "20260819140901", false },
        { DER_GENERALIZED_TIME, "2026081914Z", false },
        { DER_UTC_TIME, "26081914090 Z", false },
        { DER_UTC_TIME, "-60819140901Z", false },
        { DER_UTC_TIME, "", false },
        { DER_OCTET_STRING, "260819140901Z", false },
        { DER_UTC_TIME, "260819140960Z", false }, /* no leap seconds */
    };
    int64_t t;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        if (read_time(cases[i].tag, cases[i].text, strlen(cases[i].text), &t) != cases[i].ok)
            fail_msg("%s", cases[i].text);
    }
    assert_true(read_time(DER_UTC_TIME, "700101000000Z", 13, &t));
    assert_int_equal(t, 0);
    assert_true(read_time(DER_UTC_TIME, "500101000000Z", 13, &t));
    assert_int_equal(t, -631152000);
    assert_true(read_time(DER_UTC_TIME, "491231235959Z", 13, &t));
    assert_int_equal(t, 2524607999);
    /* No byte but a digit, anywhere. */
    for (size_t i = 0; i < 13; i++) {
        for (unsigned v = 0; v < 256; v++) {
            char text[] = "200202020202Z";

            text[i] = (char)v;
            if (i == 12 ? v != 'Z' : v < '0' || v > '9')
                assert_false(read_time(DER_UTC_TIME, text, 13, &t));
        }
    }
}

/* ---- OIDs ---- */

static void oid_text(void **state)
{
    static const struct {
        const char *oid;
        size_t len;
        const char *text;
    } cases[] = {
        { "\x2b\x06\x01\x04\x01\x9c\x78\x01\x03\x08", 10, "1.3.6.1.4.1.3704.1.3.8" },
        { "\x55\x1d\x1e", 3, "2.5.29.30" },
        { "\x00", 1, "0.0" },
        { "\x27", 1, "0.39" },
        { "\x28", 1, "1.0" },
        { "\x4f", 1, "1.39" },
        { "\x50", 1, "2.0" },
        { "\x88\x37", 2, "2.999" },
        { "\x2a\x81\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 11, "1.2.18446744073709551615" },
        { "\x2a\x82\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11, "(an OID of 11 bytes)" },
        { "", 0, "(an OID of 0 bytes)" },
        { "\x2a\x86", 2, "(an OID of 2 bytes)" },
    };
    char text[32];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct bawn_bytes oid = { (const uint8_t *)cases[i].oid, cases[i].len };

        assert_string_equal(der_oid_text(oid, text, sizeof(text)), cases[i].text);
    }
    /* Any size of buffer holds what it can. */
    for (size_t size = 1; size < 24; size++) {
        struct bawn_bytes oid = { (const uint8_t *)cases[0].oid, cases[0].len };
        char *small = malloc(size);

        assert_non_null(small);
        assert_true(strlen(der_oid_text(oid, small, size)) < size);
        free(small);
    }
}

/* A failed cursor stays so, and gives nothing. */
static void sticky(void **state)
{
    static const uint8_t two[] = { DER_INTEGER, 1, 0x80, DER_INTEGER, 1, 5 };
    struct bawn_cursor c = bawn_cursor_over(two, sizeof(two));

    (void)state;
    assert_int_equal(der_peek(&c), DER_INTEGER);
    assert_int_equal(der_uint(&c), 0);
    assert_true(c.failed);
    assert_int_equal(der_uint(&c), 0);
    assert_int_equal(der_peek(&c), 0);
    assert_true(der_enter(&c, DER_INTEGER).failed);
    der_end(&c);
    assert_true(c.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_short),     cmocka_unit_test(structured),
        cmocka_unit_test(long_lengths),  cmocka_unit_test(absurd_lengths),
        cmocka_unit_test(wide_integers), cmocka_unit_test(dates),
        cmocka_unit_test(time_forms),    cmocka_unit_test(oid_text),
        cmocka_unit_test(sticky),
    };

    return cmocka_run_group_tests_name("attest/der", tests, NULL, NULL);
}

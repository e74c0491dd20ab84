// SPDX-License-Identifier: Apache-2.0
/*
 * JSON written: in the canonical form of RFC 8785, so that two values have the same text only if
 * they are the same, and as it is, for who reads it back at once.
 */
#include <endian.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "attest/jose/internal.h"

struct out {
    char *text;
    size_t len, size;
    bool failed;   /* no memory */
    bool as_it_is; /* members in their order, numbers exactly; else RFC 8785 */
};

static void put(struct out *o, const char *text, size_t len)
{
    if (o->failed)
        return;
    if (!o->text || len >= o->size - o->len) {
        size_t size = o->size ? o->size : 2048;
        char *grown = NULL;

        while (size <= SIZE_MAX / 2 && size - o->len <= len)
            size *= 2;
        if (size - o->len > len)
            grown = realloc(o->text, size);
        if (!grown) {
            o->failed = true;
            return;
        }
        o->text = grown;
        o->size = size;
    }
    memcpy(o->text + o->len, text, len);
    o->len += len;
}

static void put_text(struct out *o, const char *text)
{
    put(o, text, strlen(text));
}

/* Of eight bytes: a mark in each that is a control character, '"', '\\' or not ASCII. Bytes above a
 * marked one may be marked in error, so the lowest mark counts. */
static uint64_t marks_of(uint64_t x)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    uint64_t quote = x ^ ones * '"', back = x ^ ones * '\\';

    return (x | (x - ones * 0x20) | ((quote - ones) & ~quote) | ((back - ones) & ~back)) & high;
}

size_t json_plain(const uint8_t *text, size_t len)
{
    size_t n = 0;
    uint64_t x, marks;

    for (; len - n >= sizeof(x); n += sizeof(x)) {
        memcpy(&x, text + n, sizeof(x));
        marks = marks_of(le64toh(x));
        if (marks)
            return n + (size_t)__builtin_ctzll(marks) / 8;
    }
    while (n < len && text[n] >= 0x20 && text[n] < 0x80 && text[n] != '"' && text[n] != '\\')
        n++;
    return n;
}

/* RFC 8785, 3.2.2.2 */
static void put_string(struct out *o, const char *text, size_t len)
{
    static const char *const named[] = {
        ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n",  ['\f'] = "\\f",
        ['\r'] = "\\r", ['"'] = "\\\"", ['\\'] = "\\\\",
    };
    size_t from = 0;

    put(o, "\"", 1);
    for (size_t i = 0; (i += json_plain((const uint8_t *)text + i, len - i)) < len; i++) {
        uint8_t c = (uint8_t)text[i];
        char escape[8];

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        put(o, text + from, i - from);
        from = i + 1;
        snprintf(escape, sizeof(escape), "\\u%04x", c);
        put_text(o, named[c] ? named[c] : escape);
    }
    put(o, text + from, len - from);
    put(o, "\"", 1);
}

/* Whether digits * 10^exponent, read back, is the value. No decimal point is in the text, so no
 * locale has a say. */
static bool reads_as(uint64_t digits, int exponent, double value)
{
    char text[48];

    snprintf(text, sizeof(text), "%lluE%d", (unsigned long long)digits, exponent);
    return strtod(text, NULL) == value;
}

/* The fewest digits that read back as the value (> 0, finite), and of those the nearest: value =
 * *digits * 10^*exponent. A decimal of up to 15 digits comes back from a double as it was
 * (DBL_DIG), so fewer need not be tried, but the digits may end in zeros then; subnormal numbers
 * hold less. Below a power of two the neighbours lie closer than above, where the nearest decimal
 * of that length may not read back while the next one does. */
static void shortest(double value, uint64_t *digits, int *exponent)
{
    for (int n = value < DBL_MIN ? 1 : DBL_DIG; n <= 17; n++) {
        char text[40];
        const char *c;

        snprintf(text, sizeof(text), "%.*e", n - 1, value);
        *digits = 0;
        for (c = text; *c != 'e'; c++)
            if (*c >= '0' && *c <= '9')
                *digits = *digits * 10 + (uint64_t)(*c - '0');
        *exponent = (int)strtol(c + 1, NULL, 10) - (n - 1);
        for (int step = 0; step < 3; step++) {
            static const int64_t near[] = { 0, 1, -1 };
            uint64_t tried = *digits + (uint64_t)near[step];

            if (tried && reads_as(tried, *exponent, value)) {
                *digits = tried;
                return;
            }
        }
    }
}

/* ECMA-262, Number::toString with radix 10: k digits, the point after the n-th. */
static void put_positive(struct out *o, double value)
{
    static const char zeros[] = "0.000000000000000000000";
    char text[24], tail[16];
    uint64_t digits = 0;
    int exponent = 0, k, n;

    shortest(value, &digits, &exponent);
    while (digits && digits % 10 == 0) {
        digits /= 10;
        exponent++;
    }
    k = snprintf(text, sizeof(text), "%llu", (unsigned long long)digits);
    n = k + exponent;
    if (k <= n && n <= 21) {
        put(o, text, (size_t)k);
        put(o, zeros + 2, (size_t)(n - k));
    } else if (n > 0 && n <= 21) {
        put(o, text, (size_t)n);
        put(o, ".", 1);
        put(o, text + n, (size_t)(k - n));
    } else if (n > -6 && n <= 0) {
        put(o, zeros, (size_t)(2 - n));
        put(o, text, (size_t)k);
    } else {
        put(o, text, 1);
        if (k > 1)
            put(o, ".", 1);
        put(o, text + 1, (size_t)(k - 1));
        snprintf(tail, sizeof(tail), "e%+d", n - 1);
        put_text(o, tail);
    }
}

#define EXACT_MAX ((json_int_t)1 << 53) /* up to here, each integer is a double */

static void put_integer(struct out *o, json_int_t value)
{
    char text[24];

    put(o, text, (size_t)snprintf(text, sizeof(text), "%lld", (long long)value));
}

static enum bawn_status put_number(struct out *o, const json_t *value, struct bawn_error *err)
{
    json_int_t integer = json_integer_value(value); /* 0 of a real */
    double number = json_number_value(value);

    if (json_is_integer(value) &&
        (o->as_it_is || (integer <= EXACT_MAX && integer >= -EXACT_MAX))) {
        put_integer(o, integer);
        return BAWN_OK;
    }
    if (o->as_it_is) { /* what reads it must find a real again, and the same */
        char text[64];
        size_t len = json_dumpb(value, text, sizeof(text), JSON_ENCODE_ANY);

        put(o, text, len <= sizeof(text) ? len : 0);
        o->failed = o->failed || !len || len > sizeof(text);
        return BAWN_OK;
    }
    /* 2^63 is what the largest integers round to, and does not fit back. */
    if (json_is_integer(value) && (number >= 0x1p63 || (json_int_t)number != integer))
        return bawn_fail(
            err, BAWN_E_FORMAT,
            "%lld has no canonical form: it is not exactly a double (RFC 8785, 3.2.2.3)",
            (long long)integer);
    if (!isfinite(number))
        return bawn_fail(err, BAWN_E_FORMAT, "a number that is not finite has no canonical form");
    if (number < 0)
        put(o, "-", 1);
    if (number == 0)
        put(o, "0", 1);
    else
        put_positive(o, fabs(number));
    return BAWN_OK;
}

struct member {
    const char *key;
    size_t len;
    const json_t *value;
};

/* By UTF-16 code units (RFC 8785, 3.2.3). UTF-8 sorts in the same way, but for the characters from
 * U+10000 on: their surrogates (0xd800..) come before U+E000, whose UTF-8 begins with 0xee. */
static int by_utf16(const void *left, const void *right)
{
    const struct member *l = left, *r = right;
    size_t n = l->len < r->len ? l->len : r->len;

    for (size_t i = 0; i < n; i++) {
        uint8_t a = (uint8_t)l->key[i], b = (uint8_t)r->key[i];

        if (a == b)
            continue;
        if (a >= 0xee && b >= 0xee && (a >= 0xf0) != (b >= 0xf0))
            return a >= 0xf0 ? -1 : 1;
        return a < b ? -1 : 1;
    }
    return l->len < r->len ? -1 : l->len > r->len;
}

static enum bawn_status put_value(struct out *o, const json_t *value, unsigned depth,
                                  struct bawn_error *err);

static enum bawn_status put_object(struct out *o, const json_t *object, unsigned depth,
                                   struct bawn_error *err)
{
    size_t n = json_object_size(object), i = 0;
    bool sorted = true;
    struct member *members = calloc(n ? n : 1, sizeof(*members));
    enum bawn_status status = BAWN_OK;
    /* jansson's iteration takes no const, and changes nothing. */
    json_t *iterated = (json_t *)(uintptr_t)object;

    if (!members)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    for (void *it = json_object_iter(iterated); it && i < n;
         it = json_object_iter_next(iterated, it), i++) {
        members[i] = (struct member){ json_object_iter_key(it), json_object_iter_key_len(it),
                                      json_object_iter_value(it) };
        sorted = sorted && (o->as_it_is || !i || by_utf16(&members[i - 1], &members[i]) < 0);
    }
    if (!sorted)
        qsort(members, i, sizeof(*members), by_utf16);
    put(o, "{", 1);
    for (size_t m = 0; m < i && status == BAWN_OK; m++) {
        if (m)
            put(o, ",", 1);
        put_string(o, members[m].key, members[m].len);
        put(o, ":", 1);
        status = put_value(o, members[m].value, depth, err);
    }
    put(o, "}", 1);
    free(members);
    return status;
}

static enum bawn_status put_array(struct out *o, const json_t *array, unsigned depth,
                                  struct bawn_error *err)
{
    enum bawn_status status = BAWN_OK;

    put(o, "[", 1);
    for (size_t i = 0; i < json_array_size(array) && status == BAWN_OK; i++) {
        if (i)
            put(o, ",", 1);
        status = put_value(o, json_array_get(array, i), depth, err);
    }
    put(o, "]", 1);
    return status;
}

static enum bawn_status put_value(struct out *o, const json_t *value, unsigned depth,
                                  struct bawn_error *err)
{
    unsigned most = o->as_it_is ? JSON_DEPTH_OWN : JSON_DEPTH;

    if ((json_is_object(value) || json_is_array(value)) && depth >= most)
        return bawn_fail(err, BAWN_E_FORMAT, "JSON nested more than %u deep", most);
    if (!value)
        return bawn_fail(err, BAWN_E_FORMAT, "no JSON value");
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return put_object(o, value, depth + 1, err);
    case JSON_ARRAY:
        return put_array(o, value, depth + 1, err);
    case JSON_STRING:
        put_string(o, json_string_value(value), json_string_length(value));
        return BAWN_OK;
    case JSON_INTEGER:
    case JSON_REAL:
        return put_number(o, value, err);
    case JSON_TRUE:
        put_text(o, "true");
        return BAWN_OK;
    case JSON_FALSE:
        put_text(o, "false");
        return BAWN_OK;
    case JSON_NULL:
        put_text(o, "null");
        return BAWN_OK;
    }
    return bawn_fail(err, BAWN_E_INTERNAL, "a JSON value of no known type");
}

static enum bawn_status write_value(struct out *o, const json_t *value, struct bawn_error *err)
{
    enum bawn_status status = put_value(o, value, 0, err);

    put(o, "", 1);
    if (status == BAWN_OK && o->failed)
        status = bawn_fail(err, BAWN_E_NOMEM, "no memory");
    if (status != BAWN_OK)
        free(o->text);
    return status;
}

enum bawn_status json_canonical(const json_t *value, char **text, size_t *len,
                                struct bawn_error *err)
{
    struct out o = { 0 };
    enum bawn_status status = write_value(&o, value, err);

    if (status != BAWN_OK)
        return status;
    *text = o.text;
    *len = o.len - 1;
    return BAWN_OK;
}

char *json_text(const json_t *value, size_t *len)
{
    struct out o = { .as_it_is = true };

    if (write_value(&o, value, NULL) != BAWN_OK)
        return NULL;
    *len = o.len - 1;
    return o.text;
}

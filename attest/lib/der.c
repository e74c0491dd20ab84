// SPDX-License-Identifier: Apache-2.0
/*
 * DER over the cursor. The bytes are hostile: each element's header, and the content of the
 * simple types, is checked here before anything else sees it. Nothing nests by recursion: a
 * caller enters a constructed element and reads it with a cursor of its own.
 */
#include "attest/lib/der.h"

#include <limits.h>
#include <string.h>

enum {
    TAG_CLASS = 0xc0,       /* X.690 8.1.2.2: bits 8 and 7, zero: universal */
    TAG_CONSTRUCTED = 0x20, /* X.690 8.1.2.5 */
    TAG_NUMBER = 0x1f,      /* X.690 8.1.2.3; all ones: more octets follow, 8.1.2.4 */
    LENGTH_LONG = 0x80,     /* X.690 8.1.3.5; alone: indefinite, 8.1.3.6 */
};

/* X.690 10.2 and 8.9 to 8.12: of the universal types EXTERNAL, EMBEDDED PDV, SEQUENCE, SET and
 * CHARACTER STRING are constructed, all others primitive. */
static const uint32_t constructed_types = 1u << 8 | 1u << 11 | 1u << 16 | 1u << 17 | 1u << 29;

static struct bawn_cursor failed_cursor(void)
{
    struct bawn_cursor c = bawn_cursor_over(NULL, 0);

    c.failed = true;
    return c;
}

static bool tag_valid(uint8_t tag)
{
    unsigned number = tag & TAG_NUMBER;

    if (number == TAG_NUMBER)
        return false;
    if (tag & TAG_CLASS)
        return true;
    /* Universal 0 marks the end of indefinite content, which DER does not have. */
    return number && !(tag & TAG_CONSTRUCTED) == !(constructed_types >> number & 1);
}

/* X.690 10.1: definite, in as few octets as possible. Eight length octets are enough for what
 * memory can hold. */
static uint64_t read_length(struct bawn_cursor *c)
{
    uint8_t first = bawn_cursor_u8(c);
    unsigned octets = first & ~LENGTH_LONG;
    uint64_t len;

    if (first < LENGTH_LONG)
        return first;
    if (!octets || octets > sizeof(len)) {
        c->failed = true;
        return 0;
    }
    len = bawn_cursor_be(c, octets);
    if (len < LENGTH_LONG || !(len >> (8 * (octets - 1))))
        c->failed = true;
    return len;
}

/* X.690 8.3.2 */
static bool integer_valid(struct bawn_bytes b)
{
    if (!b.len)
        return false;
    if (b.len == 1)
        return true;
    return b.data[0] == 0x00 ? (b.data[1] & 0x80) != 0 : b.data[0] != 0xff || !(b.data[1] & 0x80);
}

/* X.690 8.6.2 and 11.2.1: the unused bits are zero. */
static bool bits_valid(struct bawn_bytes b)
{
    unsigned unused;

    if (!b.len)
        return false;
    unused = b.data[0];
    if (b.len == 1)
        return !unused;
    return unused < CHAR_BIT && !(b.data[b.len - 1] & ((1u << unused) - 1));
}

/* X.690 8.19.2: each arc ends in an octet below 80, and begins with none equal to it. */
static bool oid_valid(struct bawn_bytes b)
{
    bool start = true;

    for (size_t i = 0; i < b.len; i++) {
        if (start && b.data[i] == 0x80)
            return false;
        start = !(b.data[i] & 0x80);
    }
    return b.len && start;
}

static bool content_valid(uint8_t tag, struct bawn_bytes b)
{
    switch (tag) {
    case DER_BOOLEAN: /* X.690 11.1 */
        return b.len == 1 && (b.data[0] == 0x00 || b.data[0] == 0xff);
    case DER_INTEGER:
    case DER_ENUMERATED:
        return integer_valid(b);
    case DER_BIT_STRING:
        return bits_valid(b);
    case DER_NULL:
        return !b.len;
    case DER_OID:
        return oid_valid(b);
    default:
        return true;
    }
}

static bool read_element(struct bawn_cursor *c, uint8_t *tag, struct bawn_bytes *content)
{
    *tag = bawn_cursor_u8(c);
    content->len = read_length(c);
    content->data = bawn_cursor_take(c, content->len);
    if (c->failed || !tag_valid(*tag) || !content_valid(*tag, *content))
        c->failed = true;
    if (c->failed)
        *content = (struct bawn_bytes){ NULL, 0 };
    return !c->failed;
}

uint8_t der_peek(const struct bawn_cursor *c)
{
    struct bawn_cursor look = *c;

    return bawn_cursor_u8(&look);
}

struct bawn_bytes der_content(struct bawn_cursor *c, uint8_t tag)
{
    struct bawn_bytes content;
    uint8_t found;

    if (read_element(c, &found, &content) && found != tag) {
        c->failed = true;
        content = (struct bawn_bytes){ NULL, 0 };
    }
    return content;
}

struct bawn_cursor der_enter(struct bawn_cursor *c, uint8_t tag)
{
    struct bawn_bytes content = der_content(c, tag);

    return c->failed ? failed_cursor() : bawn_cursor_over(content.data, content.len);
}

struct bawn_bytes der_any(struct bawn_cursor *c, uint8_t *tag, struct bawn_bytes *whole)
{
    struct bawn_cursor start = *c;
    struct bawn_bytes content;
    uint8_t found;
    bool ok = read_element(c, &found, &content);

    if (tag)
        *tag = ok ? found : 0;
    if (whole) {
        whole->len = ok ? bawn_cursor_left(&start) - bawn_cursor_left(c) : 0;
        whole->data = ok ? bawn_cursor_take(&start, whole->len) : NULL;
    }
    return content;
}

struct bawn_bytes der_unsigned(struct bawn_cursor *c)
{
    struct bawn_bytes b = der_content(c, DER_INTEGER);
    struct bawn_cursor digits = bawn_cursor_over(b.data, b.len);

    if (c->failed)
        return b;
    if (b.data[0] & 0x80) {
        c->failed = true;
        return (struct bawn_bytes){ NULL, 0 };
    }
    if (b.len > 1 && b.data[0] == 0) {
        bawn_cursor_u8(&digits);
        b.len--;
        b.data = bawn_cursor_take(&digits, b.len);
    }
    return b;
}

uint64_t der_uint(struct bawn_cursor *c)
{
    struct bawn_bytes b = der_unsigned(c);
    struct bawn_cursor digits = bawn_cursor_over(b.data, b.len);

    if (c->failed || b.len > sizeof(uint64_t)) {
        c->failed = true;
        return 0;
    }
    return bawn_cursor_be(&digits, (unsigned)b.len);
}

bool der_bool(struct bawn_cursor *c)
{
    struct bawn_bytes b = der_content(c, DER_BOOLEAN);

    return b.len && b.data[0];
}

struct bawn_bytes der_bits(struct bawn_cursor *c)
{
    struct bawn_cursor bits = der_enter(c, DER_BIT_STRING);
    struct bawn_bytes b = { NULL, 0 };

    if (bawn_cursor_u8(&bits) || bits.failed) {
        c->failed = true;
        return b;
    }
    b.len = bawn_cursor_left(&bits);
    b.data = bawn_cursor_take(&bits, b.len);
    return b;
}

/* Two decimal digits; fails the cursor when they are not, or above max. */
static int two_digits(struct bawn_cursor *c, int max)
{
    const uint8_t *p = bawn_cursor_take(c, 2);
    int v;

    if (!p || p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9') {
        c->failed = true;
        return 0;
    }
    v = 10 * (p[0] - '0') + p[1] - '0';
    if (v > max)
        c->failed = true;
    return v;
}

/* The Gregorian calendar, for years from 1. */
static int64_t days_since_1970(int year, int month, int day, bool *valid)
{
    static const int16_t before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365 };
    static const int64_t epoch = 719162; /* 1970-01-01, in days from 0001-01-01 */
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    int64_t y = year - 1;
    int last;

    *valid = year >= 1 && month >= 1 && month <= 12;
    if (!*valid)
        return 0;
    last = before[month] - before[month - 1] + (leap && month == 2);
    *valid = day >= 1 && day <= last;
    return 365 * y + y / 4 - y / 100 + y / 400 - epoch + before[month - 1] + (leap && month > 2) +
           day - 1;
}

/* RFC 5280 4.1.2.5: YYMMDDHHMMSSZ, or YYYYMMDDHHMMSSZ. That years to 2049 are to be in the
 * first form is not asked for: both say the same, and CAs exist that always use the second. */
int64_t der_time(struct bawn_cursor *c)
{
    bool utc = der_peek(c) == DER_UTC_TIME;
    struct bawn_cursor t = der_enter(c, utc ? DER_UTC_TIME : DER_GENERALIZED_TIME);
    int year, month, day, hour, minute, second;
    int64_t days;
    bool valid;

    year = two_digits(&t, 99);
    if (utc)
        year += year < 50 ? 2000 : 1900;
    else
        year = 100 * year + two_digits(&t, 99);
    month = two_digits(&t, 12);
    day = two_digits(&t, 31);
    hour = two_digits(&t, 23);
    minute = two_digits(&t, 59);
    second = two_digits(&t, 59);
    if (bawn_cursor_u8(&t) != 'Z')
        t.failed = true;
    der_end(&t);
    days = days_since_1970(year, month, day, &valid);
    if (t.failed || !valid) {
        c->failed = true;
        return 0;
    }
    return ((days * 24 + hour) * 60 + minute) * 60 + second;
}

bool der_oid_is(struct bawn_bytes oid, const uint8_t *want, size_t len)
{
    return oid.len == len && !memcmp(oid.data, want, len);
}

const char *der_oid_text(struct bawn_bytes oid, char *text, size_t size)
{
    struct bawn_cursor c = bawn_cursor_over(oid.data, oid.len);
    uint64_t arc = 0;
    bool open = true; /* within an arc */
    size_t at = 0;

    while (bawn_cursor_left(&c) && at < size) {
        uint8_t b = bawn_cursor_u8(&c);
        unsigned root;

        open = true;
        if (arc >> (64 - 7))
            break; /* an arc too large to show */
        arc = arc << 7 | (b & 0x7f);
        if (b & 0x80)
            continue;
        root = arc < 80 ? (unsigned)arc / 40 : 2; /* X.690 8.19.4 */
        if (at)
            at += (size_t)snprintf(text + at, size - at, ".%llu", (unsigned long long)arc);
        else
            at += (size_t)snprintf(text, size, "%u.%llu", root,
                                   (unsigned long long)arc - 40ull * root);
        arc = 0;
        open = false;
    }
    if (open || at >= size)
        snprintf(text, size, "(an OID of %zu bytes)", oid.len);
    return text;
}

void der_end(struct bawn_cursor *c)
{
    if (bawn_cursor_left(c))
        c->failed = true;
}

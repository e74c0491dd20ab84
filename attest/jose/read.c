// SPDX-License-Identifier: Apache-2.0
/*
 * JSON (RFC 8259) read strictly into jansson's values: UTF-8, no member twice, no zero byte in a
 * text, nothing behind the value, nesting up to a limit. The text is hostile. jansson's own reader
 * takes the same and refuses the same, in four times as long.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attest/jose/internal.h"

struct reader {
    const uint8_t *text;
    size_t at, len;
    unsigned depth; /* that is left */
    const char *error;
    bool no_memory, too_deep;
};

static json_t *read_value(struct reader *r);

/* The byte at that distance, or -1 past the end. */
static int peek(const struct reader *r, size_t ahead)
{
    return ahead < r->len - r->at ? r->text[r->at + ahead] : -1;
}

static void skip_blanks(struct reader *r)
{
    int c;

    while ((c = peek(r, 0)) == ' ' || c == '\n' || c == '\t' || c == '\r')
        r->at++;
}

static void *fail(struct reader *r, const char *error)
{
    if (!r->error)
        r->error = error;
    return NULL;
}

static void *out_of_memory(struct reader *r)
{
    r->no_memory = true;
    return fail(r, "");
}

/* ---- Strings ---- */

/* A UTF-8 sequence of two bytes or more (RFC 3629); 0: none. */
static size_t utf8_length(const struct reader *r)
{
    int c = peek(r, 0), c1 = peek(r, 1);
    size_t n = c >= 0xc2 && c <= 0xdf ? 2 : c >= 0xe0 && c <= 0xef ? 3 : c >= 0xf0 ? 4 : 0;

    if (!n || c > 0xf4 || c1 < 0x80 || c1 > 0xbf)
        return 0;
    /* Overlong, surrogates, above U+10FFFF. */
    if ((c == 0xe0 && c1 < 0xa0) || (c == 0xed && c1 > 0x9f) || (c == 0xf0 && c1 < 0x90) ||
        (c == 0xf4 && c1 > 0x8f))
        return 0;
    for (size_t i = 2; i < n; i++)
        if (peek(r, i) < 0x80 || peek(r, i) > 0xbf)
            return 0;
    return n;
}

static int32_t hex4(const struct reader *r, size_t ahead)
{
    int32_t v = 0;

    for (size_t i = 0; i < 4; i++) {
        int c = peek(r, ahead + i);
        int digit = c >= '0' && c <= '9' ? c - '0' : -1;

        if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = (c | 0x20) - 'a' + 10;
        if (digit < 0)
            return -1;
        v = v << 4 | digit;
    }
    return v;
}

static size_t put_utf8(char *out, int32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}

/* An escape at its backslash: its length, and up to four bytes of what it stands for. 0: none. */
static size_t unescape(const struct reader *r, char *out, size_t *out_len)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    int c = peek(r, 1);
    const char *letter = c > 0 ? strchr(letters, c) : NULL;
    int32_t unit, low;

    *out_len = 1;
    if (letter) {
        *out = meanings[letter - letters];
        return 2;
    }
    unit = c == 'u' ? hex4(r, 2) : -1;
    if (unit <= 0 || (unit >= 0xdc00 && unit <= 0xdfff)) /* zero would end a C string */
        return 0;
    if (unit < 0xd800 || unit > 0xdbff) {
        *out_len = put_utf8(out, unit);
        return 6;
    }
    low = peek(r, 6) == '\\' && peek(r, 7) == 'u' ? hex4(r, 8) : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return 0;
    *out_len = put_utf8(out, 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
    return 12;
}

/* From behind the opening quote to the closing one, where it stands then. *escaped: there are
 * escapes inside, all of them sound. */
static bool scan_string(struct reader *r, bool *escaped)
{
    *escaped = false;
    for (;;) {
        char ignored[4];
        size_t n = 1, len;
        int c;

        r->at += json_plain(r->text + r->at, r->len - r->at);
        c = peek(r, 0);

        if (c == '"')
            return true;
        if (c < 0x20)
            return fail(r, c < 0 ? "a text does not end" : "a control character in a text");
        if (c == '\\') {
            *escaped = true;
            n = unescape(r, ignored, &len);
        } else if (c >= 0x80) {
            n = utf8_length(r);
        }
        if (!n)
            return fail(r, c == '\\' ? "a bad escape" : "not UTF-8");
        r->at += n;
    }
}

/* A string from its opening quote. Its bytes are the text's own, or *owned. */
static bool read_string(struct reader *r, const char **bytes, size_t *len, char **owned)
{
    struct reader again = *r;
    bool escaped;
    char *to;

    *owned = NULL;
    again.at = ++r->at;
    if (!scan_string(r, &escaped))
        return false;
    *bytes = (const char *)r->text + again.at;
    *len = r->at++ - again.at;
    if (!escaped)
        return true;
    to = *owned = malloc(*len); /* no escape is shorter than what it stands for */
    if (!to)
        return out_of_memory(r);
    while (again.at < r->at - 1) {
        size_t n = 1, put = 1;

        if (peek(&again, 0) == '\\')
            n = unescape(&again, to, &put);
        else
            *to = (char)again.text[again.at];
        again.at += n;
        to += put;
    }
    *bytes = *owned;
    *len = (size_t)(to - *owned);
    return true;
}

static json_t *read_text(struct reader *r)
{
    const char *bytes;
    json_t *value;
    char *owned;
    size_t len;

    if (!read_string(r, &bytes, &len, &owned))
        return NULL;
    value = json_stringn_nocheck(bytes, len);
    free(owned);
    return value ? value : out_of_memory(r);
}

/* ---- Numbers ---- */

static size_t skip_digits(struct reader *r)
{
    size_t from = r->at;

    while (peek(r, 0) >= '0' && peek(r, 0) <= '9')
        r->at++;
    return r->at - from;
}

static json_t *read_integer(struct reader *r, size_t from)
{
    bool negative = r->text[from] == '-';
    int64_t v = 0;

    for (size_t i = from + negative; i < r->at; i++)
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_sub_overflow(v, r->text[i] - '0', &v)) /* below zero there is one more */
            return fail(r, "an integer beyond 64 bits");
    if (!negative && __builtin_sub_overflow(0, v, &v))
        return fail(r, "an integer beyond 64 bits");
    return json_integer(v);
}

static json_t *read_real(struct reader *r, size_t from)
{
    char *text = strndup((const char *)r->text + from, r->at - from);
    double v = text ? strtod(text, NULL) : 0;

    free(text);
    if (!text)
        return out_of_memory(r);
    return isinf(v) ? fail(r, "a number that is too large") : json_real(v);
}

static json_t *read_number(struct reader *r)
{
    size_t from = r->at;
    bool real = false, sound;
    json_t *value;

    if (peek(r, 0) == '-')
        r->at++;
    sound = peek(r, 0) == '0' ? r->at++, true : skip_digits(r) > 0;
    if (sound && peek(r, 0) == '.') {
        r->at++;
        real = true;
        sound = skip_digits(r) > 0;
    }
    if (sound && (peek(r, 0) | 0x20) == 'e') {
        r->at++;
        real = true;
        if (peek(r, 0) == '+' || peek(r, 0) == '-')
            r->at++;
        sound = skip_digits(r) > 0;
    }
    if (!sound)
        return fail(r, "not a value");
    value = real ? read_real(r, from) : read_integer(r, from);
    return value || r->error ? value : out_of_memory(r);
}

/* ---- Containers ---- */

/* At its key; the value has been put in. */
static bool read_member(struct reader *r, json_t *object)
{
    size_t before = json_object_size(object), len;
    const char *key;
    char *owned;
    json_t *value = NULL;
    bool put = false;

    if (peek(r, 0) != '"')
        return fail(r, "a member without a name");
    if (!read_string(r, &key, &len, &owned))
        return false;
    skip_blanks(r);
    if (peek(r, 0) == ':') {
        r->at++;
        value = read_value(r);
    }
    if (value) {
        put = !json_object_setn_new_nocheck(object, key, len, value);
        if (!put)
            out_of_memory(r);
        else if (json_object_size(object) == before)
            put = fail(r, ", a member given twice");
    }
    free(owned);
    return put || fail(r, "a member without a value");
}

static bool read_element(struct reader *r, json_t *array)
{
    json_t *value = read_value(r);

    if (value && json_array_append_new(array, value))
        return out_of_memory(r);
    return value;
}

static json_t *read_container(struct reader *r, json_t *made, int end,
                              bool (*read_one)(struct reader *, json_t *))
{
    bool ok = made && r->depth;

    if (!made)
        return out_of_memory(r);
    r->too_deep = !r->depth;
    if (ok)
        r->depth--;
    else
        fail(r, "");
    r->at++;
    skip_blanks(r);
    if (ok && peek(r, 0) == end) {
        r->at++;
        r->depth++;
        return made;
    }
    while (ok && (ok = read_one(r, made))) {
        int c;

        skip_blanks(r);
        c = peek(r, 0);
        if (c != ',' && c != end)
            ok = fail(r, "neither a comma nor an end");
        else
            r->at++;
        if (ok && c == end) {
            r->depth++;
            return made;
        }
        skip_blanks(r);
    }
    json_decref(made);
    return NULL;
}

static json_t *read_word(struct reader *r)
{
    static const struct {
        const char *word;
        json_t *(*make)(void);
    } words[] = { { "true", json_true }, { "false", json_false }, { "null", json_null } };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t n = strlen(words[i].word);

        if (r->len - r->at < n || memcmp(r->text + r->at, words[i].word, n) != 0)
            continue;
        r->at += n;
        return words[i].make();
    }
    return fail(r, "not a value");
}

static json_t *read_value(struct reader *r)
{
    int c;

    skip_blanks(r);
    c = peek(r, 0);
    switch (c) {
    case '{':
        return read_container(r, json_object(), '}', read_member);
    case '[':
        return read_container(r, json_array(), ']', read_element);
    case '"':
        return read_text(r);
    default:
        return c == '-' || (c >= '0' && c <= '9') ? read_number(r) : read_word(r);
    }
}

/* Its place, not what stands there, which may be a secret. */
static enum bawn_status refuse(const struct reader *r, unsigned depth, struct bawn_error *err)
{
    size_t line = 1, column = 1;

    if (r->no_memory)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    if (r->too_deep)
        return bawn_fail(err, BAWN_E_FORMAT, "JSON nested more than %u deep", depth);
    for (size_t i = 0; i < r->at && i < r->len; i++) {
        column++;
        if (r->text[i] == '\n') {
            line++;
            column = 1;
        }
    }
    return bawn_fail(err, BAWN_E_FORMAT, "not strict JSON (RFC 8259): line %zu, column %zu%s", line,
                     column, *r->error == ',' ? r->error : "");
}

static enum bawn_status read_deep(struct bawn_bytes text, unsigned depth, json_t **value,
                                  struct bawn_error *err)
{
    struct reader r = { .text = text.data, .len = text.len, .depth = depth };

    if (!text.len)
        return bawn_fail(err, BAWN_E_FORMAT, "no JSON text: it is empty");
    *value = read_value(&r);
    skip_blanks(&r);
    if (*value && r.at == r.len)
        return BAWN_OK;
    fail(&r, "something behind the value");
    json_decref(*value);
    *value = NULL;
    return refuse(&r, depth, err);
}

enum bawn_status json_read(struct bawn_bytes text, json_t **value, struct bawn_error *err)
{
    return read_deep(text, JSON_DEPTH, value, err);
}

enum bawn_status json_read_own(struct bawn_bytes text, json_t **value, struct bawn_error *err)
{
    return read_deep(text, JSON_DEPTH_OWN, value, err);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The JSON reader: one pass, an explicit stack of at most 32 containers, one token for each
 * value. Trusts nothing of the text. Keys with escapes are refused: no format read here has
 * them, and they would let one name be written in two ways.
 */
#include "attest/lib/json.h"

#include <endian.h>
#include <string.h>

#include "attest/lib/codec.h"

#define JS_MAX_TEXT (16u << 20)
#define JS_MAX_DEPTH 32

enum expecting { VALUE, VALUE_OR_END, KEY, KEY_OR_END, COLON, COMMA_OR_END, DONE };

struct reader {
    struct js *j;
    struct list tokens;
    const uint8_t *text;
    uint32_t pos, len;
    uint32_t stack[JS_MAX_DEPTH]; /* open containers */
    unsigned depth;
    const char *error;
};

static struct js_token *token(const struct reader *r, uint32_t i)
{
    return (struct js_token *)r->tokens.items + i;
}

/* The byte at pos + ahead, or -1 past the end. */
static int at(const struct reader *r, uint32_t ahead)
{
    return ahead < r->len - r->pos ? r->text[r->pos + ahead] : -1;
}

static bool fail(struct reader *r, const char *error)
{
    r->error = error;
    return false;
}

static struct js_token *add(struct reader *r, enum js_type type)
{
    struct js_token *t = list_add(r->j->arena, &r->tokens, sizeof(*t));

    if (!t) {
        fail(r, "no memory");
        return NULL;
    }
    t->type = type;
    t->start = r->pos;
    return t;
}

/* ---- Strings ---- */

static int hex_value(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hex digits at pos + ahead; -1 when they are not. */
static int32_t hex4(const struct reader *r, uint32_t ahead)
{
    int32_t v = 0;

    for (uint32_t i = 0; i < 4; i++) {
        int digit = hex_value(at(r, ahead + i));

        if (digit < 0)
            return -1;
        v = v << 4 | digit;
    }
    return v;
}

/* What the short escapes stand for; 0: not one. */
static const uint8_t short_escape[256] = {
    ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
    ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
};

/* An escape at pos (the backslash): its length, 0 when it is not one. Surrogates must pair. */
static uint32_t escape_length(const struct reader *r)
{
    int c = at(r, 1);
    int32_t unit;

    if (c >= 0 && short_escape[c])
        return 2;
    unit = c == 'u' ? hex4(r, 2) : -1;
    if (unit < 0 || (unit >= 0xdc00 && unit <= 0xdfff))
        return 0;
    if (unit < 0xd800 || unit > 0xdbff)
        return 6;
    if (at(r, 6) != '\\' || at(r, 7) != 'u')
        return 0;
    unit = hex4(r, 8);
    return unit >= 0xdc00 && unit <= 0xdfff ? 12 : 0;
}

/* A UTF-8 sequence of two bytes or more at pos: its length, 0 when it is malformed (RFC 3629). */
static uint32_t utf8_length(const struct reader *r)
{
    int c = at(r, 0), c1 = at(r, 1);
    int low = 0x80, high = 0xbf;
    uint32_t n;

    if (c >= 0xc2 && c <= 0xdf)
        n = 2;
    else if (c >= 0xe0 && c <= 0xef)
        n = 3;
    else if (c >= 0xf0 && c <= 0xf4)
        n = 4;
    else
        return 0;
    if (c == 0xe0)
        low = 0xa0; /* overlong */
    else if (c == 0xed)
        high = 0x9f; /* surrogates */
    else if (c == 0xf0)
        low = 0x90;
    else if (c == 0xf4)
        high = 0x8f; /* above U+10FFFF */
    if (c1 < low || c1 > high)
        return 0;
    for (uint32_t i = 2; i < n; i++)
        if (at(r, i) < 0x80 || at(r, i) > 0xbf)
            return 0;
    return n;
}

/* How many of eight bytes come before the first that is a control character, '"', '\\' or not
 * ASCII. A byte below a true one is never marked, so the lowest mark is right. */
static uint32_t plain8(const uint8_t *p)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    uint64_t x, quote, back, marks;

    memcpy(&x, p, sizeof(x));
    x = le64toh(x);
    quote = x ^ ones * '"';
    back = x ^ ones * '\\';
    marks = (x | (x - ones * 0x20) | ((quote - ones) & ~quote) | ((back - ones) & ~back)) & high;
    return marks ? (uint32_t)__builtin_ctzll(marks) / 8 : 8;
}

/* Passes what needs no second look; the byte after it, or -1. */
static int skip_plain(struct reader *r)
{
    uint32_t n = 8;
    int c;

    while (n == 8 && r->len - r->pos >= 8) {
        n = plain8(r->text + r->pos);
        r->pos += n;
    }
    while ((c = at(r, 0)) >= 0x20 && c < 0x80 && c != '"' && c != '\\')
        r->pos++;
    return c;
}

/* A string from its opening quote. */
static bool read_string(struct reader *r)
{
    struct js_token *t;

    r->pos++;
    t = add(r, JS_STRING);
    if (!t)
        return false;
    for (;;) {
        int c = skip_plain(r);
        uint32_t n = 1;

        if (c == '"')
            break;
        if (c == '\\' && at(r, 1) == '"') { /* most escapes in JSON that holds JSON */
            t->escaped = true;
            r->pos += 2;
            continue;
        }
        if (c < 0)
            return fail(r, "a string does not end");
        if (c < 0x20)
            return fail(r, "a control character in a string");
        if (c == '\\') {
            t->escaped = true;
            n = escape_length(r);
        } else if (c >= 0x80) {
            n = utf8_length(r);
        }
        if (!n)
            return fail(r, c == '\\' ? "a bad escape in a string" : "a string is not UTF-8");
        r->pos += n;
    }
    t->end = r->pos++;
    return true;
}

/* ---- Scalars ---- */

static void skip_digits(struct reader *r)
{
    while (at(r, 0) >= '0' && at(r, 0) <= '9')
        r->pos++;
}

static bool digits(struct reader *r)
{
    uint32_t start = r->pos;

    skip_digits(r);
    return r->pos > start || fail(r, "a malformed number");
}

static bool read_number(struct reader *r)
{
    struct js_token *t = add(r, JS_NUMBER);

    if (!t)
        return false;
    if (at(r, 0) == '-')
        r->pos++;
    if (at(r, 0) == '0')
        r->pos++;
    else if (!digits(r))
        return false;
    if (at(r, 0) == '.') {
        r->pos++;
        if (!digits(r))
            return false;
    }
    if (at(r, 0) == 'e' || at(r, 0) == 'E') {
        r->pos++;
        if (at(r, 0) == '+' || at(r, 0) == '-')
            r->pos++;
        if (!digits(r))
            return false;
    }
    t->end = r->pos;
    return true;
}

static bool read_word(struct reader *r, const char *word, enum js_type type)
{
    uint32_t len = (uint32_t)strlen(word);
    struct js_token *t;

    if (r->len - r->pos < len || memcmp(r->text + r->pos, word, len))
        return fail(r, "not a JSON value");
    t = add(r, type);
    if (!t)
        return false;
    r->pos += len;
    t->end = r->pos;
    return true;
}

/* ---- Duplicate keys ---- */

static int compare_keys(const struct reader *r, uint32_t a, uint32_t b)
{
    const struct js_token *x = token(r, a), *y = token(r, b);
    uint32_t n = x->end - x->start, m = y->end - y->start;

    return n != m ? (n < m ? -1 : 1) : memcmp(r->text + x->start, r->text + y->start, n);
}

static void sift_down(const struct reader *r, uint32_t *keys, size_t root, size_t n)
{
    for (size_t child; (child = 2 * root + 1) < n; root = child) {
        uint32_t key = keys[root];

        if (child + 1 < n && compare_keys(r, keys[child], keys[child + 1]) < 0)
            child++;
        if (compare_keys(r, key, keys[child]) >= 0)
            return;
        keys[root] = keys[child];
        keys[child] = key;
    }
}

/* Sorted by heapsort: a hostile object cannot make it slow. */
static bool keys_differ(struct reader *r, const struct js_token *object, uint32_t index)
{
    size_t n = object->n;
    uint32_t *keys = arena_array(r->j->arena, n, sizeof(*keys));
    uint32_t key = index + 1;

    if (!keys)
        return fail(r, "no memory");
    for (size_t i = 0; i < n; i++) {
        keys[i] = key;
        key = token(r, key + 1)->next;
    }
    for (size_t i = n / 2; i-- > 0;)
        sift_down(r, keys, i, n);
    for (size_t end = n; end-- > 1;) {
        uint32_t last = keys[end];

        keys[end] = keys[0];
        keys[0] = last;
        sift_down(r, keys, 0, end);
    }
    for (size_t i = 1; i < n; i++)
        if (!compare_keys(r, keys[i - 1], keys[i]))
            return fail(r, "an object has the same key twice");
    return true;
}

/* ---- The whole ---- */

static bool open_container(struct reader *r, enum js_type type, enum expecting *expect)
{
    if (r->depth == JS_MAX_DEPTH)
        return fail(r, "nested deeper than 32");
    if (!add(r, type))
        return false;
    r->stack[r->depth++] = (uint32_t)r->tokens.n - 1;
    r->pos++;
    *expect = type == JS_OBJECT ? KEY_OR_END : VALUE_OR_END;
    return true;
}

static bool close_container(struct reader *r, enum js_type type)
{
    uint32_t index = r->depth ? r->stack[r->depth - 1] : 0;
    struct js_token *t = token(r, index);

    if (!r->depth || t->type != type)
        return fail(r, "a bracket closes what is not open");
    r->depth--;
    r->pos++;
    t->end = r->pos;
    t->next = (uint32_t)r->tokens.n;
    return type == JS_ARRAY || t->n < 2 || keys_differ(r, t, index);
}

static bool read_value(struct reader *r, int c, enum expecting *expect)
{
    bool ok;

    if (r->depth && token(r, r->stack[r->depth - 1])->type == JS_ARRAY)
        token(r, r->stack[r->depth - 1])->n++;
    *expect = COMMA_OR_END;
    if (c == '{')
        return open_container(r, JS_OBJECT, expect);
    if (c == '[')
        return open_container(r, JS_ARRAY, expect);
    if (c == '"')
        ok = read_string(r);
    else if (c == '-' || (c >= '0' && c <= '9'))
        ok = read_number(r);
    else if (c == 't')
        ok = read_word(r, "true", JS_TRUE);
    else if (c == 'f')
        ok = read_word(r, "false", JS_FALSE);
    else
        ok = read_word(r, "null", JS_NULL);
    if (ok)
        token(r, (uint32_t)r->tokens.n - 1)->next = (uint32_t)r->tokens.n;
    return ok;
}

static bool read_key(struct reader *r, enum expecting *expect)
{
    struct js_token *t;

    if (!read_string(r))
        return false;
    t = token(r, (uint32_t)r->tokens.n - 1);
    t->next = (uint32_t)r->tokens.n;
    if (t->escaped)
        return fail(r, "a key with an escape");
    token(r, r->stack[r->depth - 1])->n++;
    *expect = COLON;
    return true;
}

static void skip_space(struct reader *r)
{
    while (at(r, 0) == ' ' || at(r, 0) == '\n' || at(r, 0) == '\r' || at(r, 0) == '\t')
        r->pos++;
}

static bool step(struct reader *r, enum expecting *expect)
{
    int c = at(r, 0);
    bool ok;

    if (c < 0)
        return fail(r, "the text ends in the middle of a value");
    switch (*expect) {
    case VALUE_OR_END:
        ok = c == ']' ? (*expect = COMMA_OR_END, close_container(r, JS_ARRAY))
                      : read_value(r, c, expect);
        break;
    case VALUE:
        ok = read_value(r, c, expect);
        break;
    case KEY_OR_END:
        if (c == '}') {
            *expect = COMMA_OR_END;
            ok = close_container(r, JS_OBJECT);
            break;
        }
        /* fall through */
    case KEY:
        ok = c == '"' ? read_key(r, expect) : fail(r, "a key must be a string");
        break;
    case COLON:
        *expect = VALUE;
        r->pos++;
        ok = c == ':' || fail(r, "a colon must follow the key");
        break;
    default:
        if (c == ',') {
            r->pos++;
            *expect = token(r, r->stack[r->depth - 1])->type == JS_OBJECT ? KEY : VALUE;
            return true;
        }
        ok = c == '}'   ? close_container(r, JS_OBJECT)
             : c == ']' ? close_container(r, JS_ARRAY)
                        : fail(r, "a comma or a closing bracket must follow");
    }
    if (ok && !r->depth && *expect == COMMA_OR_END)
        *expect = DONE;
    return ok;
}

static void locate(struct js *j, uint32_t pos)
{
    j->line = j->column = 1;
    for (uint32_t i = 0; i < pos; i++) {
        j->column++;
        if (j->text.data[i] == '\n') {
            j->line++;
            j->column = 1;
        }
    }
}

bool js_parse(struct js *j, struct arena *a, struct bawn_bytes text)
{
    struct reader r = { .j = j, .text = text.data, .len = (uint32_t)text.len };
    enum expecting expect = VALUE;

    *j = (struct js){ .text = text, .arena = a };
    if (text.len > JS_MAX_TEXT) {
        j->error = "longer than 16 MiB";
        return false;
    }
    /* As many values as such texts have, so that the list seldom grows. */
    r.tokens.room = text.len / 16 + 16;
    r.tokens.items = arena_array(a, r.tokens.room, sizeof(struct js_token));
    if (!r.tokens.items) {
        j->error = "no memory";
        return false;
    }
    skip_space(&r);
    while (expect != DONE && step(&r, &expect))
        skip_space(&r);
    if (!r.error && r.pos < r.len)
        r.error = "something follows the value";
    if (r.error) {
        j->error = r.error;
        locate(j, r.pos);
        return false;
    }
    j->tokens = r.tokens.items;
    j->n = r.tokens.n;
    return true;
}

/* ---- Access ---- */

enum js_type js_type(const struct js *j, uint32_t v)
{
    return v < j->n ? j->tokens[v].type : JS_NONE;
}

uint32_t js_value(const struct js *j, uint32_t key)
{
    return key < j->n ? key + 1 : JS_ABSENT;
}

uint32_t js_first(const struct js *j, uint32_t container)
{
    enum js_type type = js_type(j, container);

    return (type == JS_OBJECT || type == JS_ARRAY) && j->tokens[container].n ? container + 1
                                                                             : JS_ABSENT;
}

uint32_t js_next(const struct js *j, uint32_t container, uint32_t element)
{
    uint32_t next;

    if (element >= j->n || container >= j->n)
        return JS_ABSENT;
    if (j->tokens[container].type == JS_OBJECT)
        element++; /* from a key to its value */
    next = j->tokens[element].next;
    return next < j->tokens[container].next ? next : JS_ABSENT;
}

size_t js_count(const struct js *j, uint32_t container)
{
    return js_first(j, container) == JS_ABSENT ? 0 : j->tokens[container].n;
}

static struct bawn_bytes content(const struct js *j, uint32_t v)
{
    const struct js_token *t = &j->tokens[v];

    return (struct bawn_bytes){ j->text.data + t->start, t->end - t->start };
}

uint32_t js_get(const struct js *j, uint32_t object, const char *key)
{
    size_t len = strlen(key);

    if (js_type(j, object) != JS_OBJECT)
        return JS_ABSENT;
    for (uint32_t k = js_first(j, object); k != JS_ABSENT; k = js_next(j, object, k)) {
        struct bawn_bytes name = content(j, k);

        if (name.len == len && !memcmp(name.data, key, len))
            return k + 1;
    }
    return JS_ABSENT;
}

static uint8_t *put_utf8(uint8_t *out, uint32_t c)
{
    if (c < 0x80) {
        *out++ = (uint8_t)c;
    } else if (c < 0x800) {
        *out++ = (uint8_t)(0xc0 | c >> 6);
        *out++ = (uint8_t)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *out++ = (uint8_t)(0xe0 | c >> 12);
        *out++ = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        *out++ = (uint8_t)(0x80 | (c & 0x3f));
    } else {
        *out++ = (uint8_t)(0xf0 | c >> 18);
        *out++ = (uint8_t)(0x80 | (c >> 12 & 0x3f));
        *out++ = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        *out++ = (uint8_t)(0x80 | (c & 0x3f));
    }
    return out;
}

/* One escape at r->pos, which parsing has checked; moves past it. */
static uint8_t *unescape(struct reader *r, uint8_t *out)
{
    int c = at(r, 1);
    uint32_t unit;

    if (c != 'u') {
        *out++ = short_escape[c & 0xff];
        r->pos += 2;
        return out;
    }
    unit = (uint32_t)hex4(r, 2);
    r->pos += 6;
    if (unit >= 0xd800 && unit <= 0xdbff) {
        unit = 0x10000 + ((unit - 0xd800) << 10) + ((uint32_t)hex4(r, 2) - 0xdc00);
        r->pos += 6;
    }
    return put_utf8(out, unit);
}

bool js_string(const struct js *j, uint32_t v, struct bawn_bytes *out)
{
    struct reader r;
    uint8_t *buffer, *p;

    if (js_type(j, v) != JS_STRING)
        return false;
    *out = content(j, v);
    if (!j->tokens[v].escaped)
        return true;
    /* No escape is shorter than what it stands for. */
    buffer = p = arena_alloc(j->arena, out->len);
    if (!buffer)
        return false;
    r = (struct reader){ .text = out->data, .len = (uint32_t)out->len };
    while (r.pos < r.len) {
        const uint8_t *from = r.text + r.pos;
        const uint8_t *back = memchr(from, '\\', r.len - r.pos);
        size_t n = back ? (size_t)(back - from) : r.len - r.pos;

        memcpy(p, from, n);
        p += n;
        r.pos += (uint32_t)n;
        if (back)
            p = unescape(&r, p);
    }
    *out = (struct bawn_bytes){ buffer, (size_t)(p - buffer) };
    return true;
}

bool js_string_is(const struct js *j, uint32_t v, const char *text)
{
    struct bawn_bytes s;

    return js_string(j, v, &s) && s.len == strlen(text) && !memcmp(s.data, text, s.len);
}

bool js_uint(const struct js *j, uint32_t v, uint64_t *out)
{
    struct bawn_bytes s;

    *out = 0;
    if (js_type(j, v) != JS_NUMBER)
        return false;
    s = content(j, v);
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] < '0' || s.data[i] > '9' || __builtin_mul_overflow(*out, 10u, out) ||
            __builtin_add_overflow(*out, (uint64_t)(s.data[i] - '0'), out))
            return false;
    return true;
}

bool js_hex(const struct js *j, uint32_t v, struct bawn_bytes *out)
{
    struct bawn_bytes s;

    return js_string(j, v, &s) && hex_decode(j->arena, s, out);
}

struct bawn_bytes js_raw(const struct js *j, uint32_t v)
{
    struct bawn_bytes raw = { 0 };

    if (js_type(j, v) == JS_NONE)
        return raw;
    raw = content(j, v);
    if (js_type(j, v) == JS_STRING) { /* with its quotes */
        raw.data--;
        raw.len += 2;
    }
    return raw;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Hex, base64 and PEM, from hostile text into the arena. One decoded form per text: no stray
 * characters, no bits left over, no two alphabets mixed.
 */
#include "attest/lib/codec.h"

#include <string.h>

static bool is_space(int ch)
{
    return ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n';
}

static void skip_space(struct bawn_cursor *c)
{
    while (is_space(bawn_cursor_peek(c)))
        bawn_cursor_u8(c);
}

static bool nothing(struct bawn_bytes *out)
{
    *out = (struct bawn_bytes){ NULL, 0 };
    return false;
}

/* Of each character its value plus one; 0: not a digit. */
static const uint8_t hex_values[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

/* That many pairs of digits. False, with nothing read: what comes next is not that. */
static inline bool hex_pairs(struct bawn_cursor *c, unsigned pairs, uint8_t *to)
{
    struct bawn_cursor look = *c;
    const uint8_t *p = bawn_cursor_take(&look, 2 * pairs);
    unsigned bad = 0;

    for (unsigned i = 0; p && i < pairs; i++) {
        unsigned high = hex_values[p[2 * i]], low = hex_values[p[2 * i + 1]];

        bad |= !high | !low;
        to[i] = (uint8_t)((high - 1) << 4 | (low - 1));
    }
    if (!p || bad)
        return false;
    *c = look;
    return true;
}

/* Whole pairs up to the first character that is no digit, many at a time. Returns the bytes. */
static size_t hex_run(struct bawn_cursor *c, uint8_t *to)
{
    enum { AT_ONCE = 16 };
    size_t n = 0;

    while (hex_pairs(c, AT_ONCE, to + n))
        n += AT_ONCE;
    while (hex_pairs(c, 1, to + n))
        n++;
    return n;
}

/* Two digits with space between them: one byte. */
static bool hex_split_pair(struct bawn_cursor *c, uint8_t *to)
{
    uint8_t high = hex_values[bawn_cursor_u8(c)], low;

    skip_space(c);
    low = hex_values[bawn_cursor_u8(c)];
    if (!high || !low)
        return false;
    *to = (uint8_t)((high - 1) << 4 | (low - 1));
    return true;
}

bool hex_decode(struct arena *a, struct bawn_bytes text, struct bawn_bytes *out)
{
    struct bawn_cursor c = bawn_cursor_over(text.data, text.len);
    uint8_t *to = arena_alloc(a, text.len / 2 + 1);
    size_t n = 0;

    if (!to)
        return nothing(out);
    for (skip_space(&c); bawn_cursor_left(&c); skip_space(&c)) {
        size_t pairs = hex_run(&c, to + n);

        n += pairs;
        if (!pairs && !hex_split_pair(&c, to + n++))
            return nothing(out);
    }
    if (!n)
        return nothing(out);
    *out = (struct bawn_bytes){ to, n };
    return true;
}

/* RFC 4648, sections 4 and 5: what a character stands for, and the marks of being a digit and
 * of belonging to one alphabet alone. */
enum { VALUE = 0x3f, DIGIT = 0x40, STD = 0x80, URL = 0x100 };

#define D(value) (DIGIT | (value))
static const uint16_t base64_digits[256] = {
    ['A'] = D(0),        ['B'] = D(1),       ['C'] = D(2),        ['D'] = D(3),
    ['E'] = D(4),        ['F'] = D(5),       ['G'] = D(6),        ['H'] = D(7),
    ['I'] = D(8),        ['J'] = D(9),       ['K'] = D(10),       ['L'] = D(11),
    ['M'] = D(12),       ['N'] = D(13),      ['O'] = D(14),       ['P'] = D(15),
    ['Q'] = D(16),       ['R'] = D(17),      ['S'] = D(18),       ['T'] = D(19),
    ['U'] = D(20),       ['V'] = D(21),      ['W'] = D(22),       ['X'] = D(23),
    ['Y'] = D(24),       ['Z'] = D(25),      ['a'] = D(26),       ['b'] = D(27),
    ['c'] = D(28),       ['d'] = D(29),      ['e'] = D(30),       ['f'] = D(31),
    ['g'] = D(32),       ['h'] = D(33),      ['i'] = D(34),       ['j'] = D(35),
    ['k'] = D(36),       ['l'] = D(37),      ['m'] = D(38),       ['n'] = D(39),
    ['o'] = D(40),       ['p'] = D(41),      ['q'] = D(42),       ['r'] = D(43),
    ['s'] = D(44),       ['t'] = D(45),      ['u'] = D(46),       ['v'] = D(47),
    ['w'] = D(48),       ['x'] = D(49),      ['y'] = D(50),       ['z'] = D(51),
    ['0'] = D(52),       ['1'] = D(53),      ['2'] = D(54),       ['3'] = D(55),
    ['4'] = D(56),       ['5'] = D(57),      ['6'] = D(58),       ['7'] = D(59),
    ['8'] = D(60),       ['9'] = D(61),      ['+'] = STD | D(62), ['/'] = STD | D(63),
    ['-'] = URL | D(62), ['_'] = URL | D(63)
};
#undef D

/* The last group: 2 or 3 digits, with "==" or "=" or without; their spare bits are zero.
 * Returns the number of bytes, 0 when it is malformed. */
static size_t base64_tail(struct bawn_cursor *c, bool padded, unsigned *seen, uint8_t *to)
{
    uint32_t bits = 0;
    size_t digits = 0, pads = 0;

    while (bawn_cursor_left(c) && digits + pads < 4) {
        struct bawn_cursor look = *c;
        uint8_t ch = bawn_cursor_u8(&look);
        unsigned v = base64_digits[ch];

        if (is_space(ch))
            break;
        *c = look;
        if (ch == '=') {
            pads++;
            continue;
        }
        if (!v || pads)
            return 0;
        *seen |= v;
        bits = bits << 6 | (v & VALUE);
        digits++;
    }
    if ((digits != 2 && digits != 3) || (pads ? digits + pads != 4 : padded))
        return 0;
    if (digits == 2) {
        to[0] = (uint8_t)(bits >> 4);
        return bits & 0xf ? 0 : 1;
    }
    to[0] = (uint8_t)(bits >> 10);
    to[1] = (uint8_t)(bits >> 2);
    return bits & 0x3 ? 0 : 2;
}

/* That many whole groups of four digits. False, with nothing read: what comes next is not that. */
static inline bool base64_groups(struct bawn_cursor *c, unsigned groups, unsigned *seen,
                                 uint8_t *to)
{
    struct bawn_cursor look = *c;
    const uint8_t *p = bawn_cursor_take(&look, 4 * groups);
    unsigned all = DIGIT, any = 0;

    for (unsigned i = 0; p && i < groups; i++) {
        unsigned v[4];
        uint32_t bits = 0;

        for (unsigned k = 0; k < 4; k++) {
            v[k] = base64_digits[p[4 * i + k]];
            bits = bits << 6 | (v[k] & VALUE);
        }
        all &= v[0] & v[1] & v[2] & v[3];
        any |= v[0] | v[1] | v[2] | v[3];
        to[3 * i] = (uint8_t)(bits >> 16);
        to[3 * i + 1] = (uint8_t)(bits >> 8);
        to[3 * i + 2] = (uint8_t)bits;
    }
    if (!p || !all)
        return false;
    *seen |= any;
    *c = look;
    return true;
}

/* All groups up to the first character that is in none; many at a time. Returns the bytes. */
static size_t base64_run(struct bawn_cursor *c, unsigned *seen, uint8_t *to)
{
    enum { AT_ONCE = 8 };
    size_t n = 0;

    while (base64_groups(c, AT_ONCE, seen, to + n))
        n += 3 * AT_ONCE;
    while (base64_groups(c, 1, seen, to + n))
        n += 3;
    return n;
}

/* padded: the last group must be filled with '='. forbidden: the mark of an alphabet that may not
 * occur. */
static bool base64_text(struct arena *a, struct bawn_bytes text, bool padded, unsigned forbidden,
                        struct bawn_bytes *out)
{
    struct bawn_cursor c = bawn_cursor_over(text.data, text.len);
    uint8_t *to = arena_alloc(a, text.len / 4 * 3 + 3);
    unsigned seen = 0;
    size_t n = 0, run;

    if (!to)
        return nothing(out);
    do {
        skip_space(&c);
        run = base64_run(&c, &seen, to + n);
        n += run;
    } while (run && is_space(bawn_cursor_peek(&c)));
    if (bawn_cursor_left(&c)) {
        size_t tail = base64_tail(&c, padded, &seen, to + n);

        skip_space(&c);
        if (!tail || bawn_cursor_left(&c))
            return nothing(out);
        n += tail;
    }
    if (!n || (seen & forbidden) || (seen & STD && seen & URL))
        return nothing(out);
    *out = (struct bawn_bytes){ to, n };
    return true;
}

bool base64_decode(struct arena *a, struct bawn_bytes text, struct bawn_bytes *out)
{
    return base64_text(a, text, false, 0, out);
}

/* Moves c past the next occurrence of mark and gives what was before it. */
static bool cut_at(struct bawn_cursor *c, const char *mark, struct bawn_bytes *before)
{
    struct bawn_cursor look = *c;
    size_t left = bawn_cursor_left(&look), n = strlen(mark);
    const uint8_t *from = bawn_cursor_take(&look, left);
    const uint8_t *at = left ? memmem(from, left, mark, n) : NULL;

    if (!at)
        return false;
    before->len = (size_t)(at - from);
    before->data = bawn_cursor_take(c, before->len);
    bawn_cursor_take(c, n);
    return true;
}

static struct bawn_bytes rest_of(const struct bawn_cursor *c)
{
    struct bawn_cursor look = *c;
    size_t left = bawn_cursor_left(&look);

    return (struct bawn_bytes){ bawn_cursor_take(&look, left), left };
}

/* Passes mark if it comes next. */
static bool pass(struct bawn_cursor *c, struct bawn_bytes mark)
{
    struct bawn_cursor look = *c;
    const uint8_t *p = bawn_cursor_take(&look, mark.len);

    if (!p || !bytes_equal((struct bawn_bytes){ p, mark.len }, mark))
        return false;
    *c = look;
    return true;
}

/* RFC 7468, with text between blocks passed over. Base64 has no dashes, so a block's content
 * ends at the next five, whatever they are: each byte is looked at a bounded number of times. */
bool pem_next(struct arena *a, struct bawn_bytes *text, struct bawn_bytes *label,
              struct bawn_bytes *der)
{
    static const char dashes[] = "-----", end_mark[] = "-----END ";
    struct bawn_cursor c = bawn_cursor_over(text->data, text->len), end;
    struct bawn_bytes skipped, body;

    nothing(der);
    nothing(label);
    if (!cut_at(&c, "-----BEGIN ", &skipped) || !cut_at(&c, dashes, label)) {
        nothing(text);
        return false;
    }
    end = c;
    if (!cut_at(&end, dashes, &body)) {
        nothing(text);
        return true;
    }
    bawn_cursor_take(&c, body.len);
    end = c;
    if (pass(&end, (struct bawn_bytes){ (const uint8_t *)end_mark, strlen(end_mark) }) &&
        pass(&end, *label) &&
        pass(&end, (struct bawn_bytes){ (const uint8_t *)dashes, strlen(dashes) })) {
        base64_text(a, body, true, URL, der);
        c = end;
    }
    *text = rest_of(&c);
    return true;
}

struct bawn_bytes percent_decode(struct arena *a, struct bawn_bytes text)
{
    static const char escaped[] = "-----BEGIN%20";
    struct bawn_cursor c = bawn_cursor_over(text.data, text.len);
    uint8_t *out;
    size_t n = 0;

    if (!text.len || !memmem(text.data, text.len, escaped, sizeof(escaped) - 1))
        return text;
    out = arena_alloc(a, text.len);
    while (out && bawn_cursor_left(&c)) {
        uint8_t ch = bawn_cursor_u8(&c);
        struct bawn_cursor look = c;
        const uint8_t *p = ch == '%' ? bawn_cursor_take(&look, 2) : NULL;

        if (p && hex_values[p[0]] && hex_values[p[1]]) {
            ch = (uint8_t)((hex_values[p[0]] - 1) << 4 | (hex_values[p[1]] - 1));
            c = look;
        }
        out[n++] = ch;
    }
    return (struct bawn_bytes){ out, n };
}

bool bytes_equal(struct bawn_bytes a, struct bawn_bytes b)
{
    return a.len == b.len && (!a.len || !memcmp(a.data, b.data, a.len));
}

bool bytes_are(struct bawn_bytes a, const char *text)
{
    return bytes_equal(a, (struct bawn_bytes){ (const uint8_t *)text, strlen(text) });
}

bool bytes_zero(const void *data, size_t len)
{
    struct bawn_cursor c = bawn_cursor_over(data, len);

    return bawn_cursor_zeros(&c, len) || !len;
}

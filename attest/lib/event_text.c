// SPDX-License-Identifier: Apache-2.0
/*
 * Text from hostile bytes: printable ASCII only, bounded.
 */
#include "attest/lib/event_decode.h"

#include <string.h>

void text_add(struct event_text *t, const char *fmt, ...)
{
    static const char dots[] = "...";
    size_t room = sizeof(t->buf) - t->len;
    va_list ap;
    int n;

    if (t->cut)
        return;
    va_start(ap, fmt);
    n = vsnprintf(t->buf + t->len, room, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < room) {
        t->len += (size_t)n;
        return;
    }
    t->cut = true;
    t->len = sizeof(t->buf) - 1;
    memcpy(t->buf + sizeof(t->buf) - sizeof(dots), dots, sizeof(dots));
}

static void text_char(struct event_text *t, char ch)
{
    if (t->len + 1 < sizeof(t->buf) && !t->cut) {
        t->buf[t->len++] = ch;
        t->buf[t->len] = '\0';
    } else {
        text_add(t, "%c", ch);
    }
}

void text_hex(struct event_text *t, struct bawn_bytes bytes)
{
    struct bawn_cursor c = bawn_cursor_over(bytes.data, bytes.len);

    while (bawn_cursor_left(&c) && !t->cut)
        text_add(t, "%02x", bawn_cursor_u8(&c));
}

static bool printable(uint32_t ch)
{
    return ch >= ' ' && ch < 0x7f;
}

void text_ascii(struct event_text *t, struct bawn_bytes bytes)
{
    struct bawn_cursor c = bawn_cursor_over(bytes.data, bytes.len);

    while (bawn_cursor_left(&c) && !t->cut) {
        uint8_t ch = bawn_cursor_u8(&c);

        if (ch == 0 && !bawn_cursor_left(&c))
            break;
        if (ch == '\n' || ch == '\t')
            text_add(t, ch == '\n' ? "\\n" : "\\t");
        else if (printable(ch))
            text_char(t, (char)ch);
        else
            text_add(t, "\\x%02x", ch);
    }
}

void text_utf16(struct event_text *t, struct bawn_bytes bytes)
{
    struct bawn_cursor c = bawn_cursor_over(bytes.data, bytes.len);

    while (bawn_cursor_left(&c) >= 2 && !t->cut) {
        uint16_t ch = bawn_cursor_u16(&c);

        if (ch == 0)
            break;
        if (printable(ch))
            text_char(t, (char)ch);
        else
            text_add(t, "\\u%04x", ch);
    }
}

void text_guid(struct event_text *t, struct bawn_bytes guid)
{
    struct bawn_cursor c = bawn_cursor_over(guid.data, guid.len);
    uint32_t a = bawn_cursor_u32(&c);
    uint16_t b = bawn_cursor_u16(&c);
    uint16_t d = bawn_cursor_u16(&c);
    uint16_t e = (uint16_t)bawn_cursor_be(&c, 2);

    text_add(t, "%08x-%04x-%04x-%04x-%012llx", a, b, d, e,
             (unsigned long long)bawn_cursor_be(&c, 6));
}

static bool is_ascii(struct bawn_bytes bytes)
{
    struct bawn_cursor c = bawn_cursor_over(bytes.data, bytes.len);

    if (!bytes.len || bytes.data[0] == 0)
        return false;
    while (bawn_cursor_left(&c)) {
        uint8_t ch = bawn_cursor_u8(&c);

        if (!printable(ch) && ch != '\n' && ch != '\t' && (ch || bawn_cursor_left(&c)))
            return false;
    }
    return true;
}

static bool is_utf16(struct bawn_bytes bytes)
{
    struct bawn_cursor c = bawn_cursor_over(bytes.data, bytes.len);

    if (bytes.len < 4 || bytes.len % 2)
        return false;
    while (bawn_cursor_left(&c)) {
        uint16_t ch = bawn_cursor_u16(&c);

        if (!printable(ch) && (ch || bawn_cursor_left(&c)))
            return false;
    }
    return true;
}

void text_guess(struct event_text *t, struct bawn_bytes bytes)
{
    enum { SHOWN = 32 };

    if (is_ascii(bytes)) {
        text_ascii(t, bytes);
    } else if (is_utf16(bytes)) {
        text_utf16(t, bytes);
    } else {
        text_hex(t, (struct bawn_bytes){ bytes.data, bytes.len < SHOWN ? bytes.len : SHOWN });
        if (bytes.len > SHOWN)
            text_add(t, "... (%zu bytes)", bytes.len);
    }
}

struct bawn_bytes event_take(struct bawn_cursor *c, uint64_t n)
{
    const uint8_t *p = bawn_cursor_take(c, n);

    return (struct bawn_bytes){ p, p ? (size_t)n : 0 };
}

bool event_begins(struct bawn_bytes data, const char *text)
{
    size_t n = strlen(text);

    return data.len >= n && !memcmp(data.data, text, n);
}

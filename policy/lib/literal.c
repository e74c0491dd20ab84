// SPDX-License-Identifier: Apache-2.0
/*
 * Values in policies: of the claim's kind, or an error. A number above 2^53 that a tool might
 * round can be written as "0x...".
 */
#include <string.h>

#include "attest/lib/codec.h"
#include "policy/lib/text.h"

#define LITERAL_BYTES_MAX 512u
#define LITERAL_TEXT_MAX 4096u

/* A number, or "0x" and up to 16 digits. */
static bool read_uint(struct text *t, uint32_t v, uint64_t *out)
{
    struct bawn_bytes s;

    if (js_uint(&t->j, v, out))
        return true;
    if (!js_string(&t->j, v, &s) || s.len < 3 || s.len > 18 || memcmp(s.data, "0x", 2) != 0)
        return false;
    *out = 0;
    for (size_t i = 2; i < s.len; i++) {
        uint8_t c = s.data[i] | 0x20;
        bool letter = c >= 'a' && c <= 'f';

        if (!letter && !(s.data[i] >= '0' && s.data[i] <= '9'))
            return false;
        *out = *out << 4 | (uint64_t)(letter ? c - 'a' + 10 : s.data[i] - '0');
    }
    return true;
}

static bool read_text(struct text *t, uint32_t v, struct bawn_bytes *out)
{
    struct bawn_bytes s;

    if (!js_string(&t->j, v, &s) || s.len > LITERAL_TEXT_MAX || (s.len && memchr(s.data, 0, s.len)))
        return false;
    *out = arena_copy(&t->b->p->arena, s.data, s.len);
    return true;
}

static bool read_bytes(struct text *t, uint32_t v, struct bawn_bytes *out)
{
    struct bawn_bytes s;

    if (!js_hex(&t->j, v, &s) || s.len > LITERAL_BYTES_MAX)
        return false;
    *out = arena_copy(&t->b->p->arena, s.data, s.len);
    return true;
}

/* A claim whose kind is not known before there is evidence is compared as text. */
static bool read_any(struct text *t, uint32_t v, struct literal *out)
{
    enum js_type type = js_type(&t->j, v);
    struct bawn_bytes raw = js_raw(&t->j, v);
    uint64_t number;

    if (type == JS_STRING)
        return read_text(t, v, &out->bytes);
    if (type != JS_TRUE && type != JS_FALSE && !js_uint(&t->j, v, &number))
        return false;
    out->bytes = arena_copy(&t->b->p->arena, raw.data, raw.len);
    return true;
}

static const char *const forms[] = {
    [BAWN_CLAIM_BOOL] = "true or false",
    [BAWN_CLAIM_UINT] = "a number from 0 to 18446744073709551615, or \"0x...\"",
    [BAWN_CLAIM_BYTES] = "a string of hex digits",
    [BAWN_CLAIM_TEXT] = "a string",
    [CLAIM_ANY] = "a string, a number, true or false",
};

bool literal_read(struct text *t, uint32_t v, const struct known_claim *claim, struct literal *out)
{
    enum js_type type = js_type(&t->j, v);
    bool ok = false;

    *out = (struct literal){ .kind = claim->kind };
    switch (claim->kind) {
    case BAWN_CLAIM_BOOL:
        out->boolean = type == JS_TRUE;
        ok = type == JS_TRUE || type == JS_FALSE;
        break;
    case BAWN_CLAIM_UINT:
        ok = read_uint(t, v, &out->uint);
        break;
    case BAWN_CLAIM_BYTES:
        ok = read_bytes(t, v, &out->bytes);
        break;
    case BAWN_CLAIM_TEXT:
        ok = read_text(t, v, &out->bytes);
        break;
    default:
        ok = read_any(t, v, out);
    }
    if (t->b->scratch.failed || t->b->p->arena.failed)
        return text_no_memory(t->b);
    return ok || text_fail(t, v, "%s is compared with %s, not with %s", claim->name,
                           forms[claim->kind], text_show(t, v));
}

static const char *hex_text(struct arena *a, struct bawn_bytes b)
{
    static const char digits[] = "0123456789abcdef";
    char *text = arena_alloc(a, 2 * b.len + 1);

    for (size_t i = 0; text && i < b.len; i++) {
        text[2 * i] = digits[b.data[i] >> 4];
        text[2 * i + 1] = digits[b.data[i] & 15];
    }
    return text ? text : "";
}

const char *literal_text(struct arena *a, const struct literal *l)
{
    if (l->kind == BAWN_CLAIM_BOOL)
        return l->boolean ? "true" : "false";
    if (l->kind == BAWN_CLAIM_UINT)
        return arena_text(a, "%llu", (unsigned long long)l->uint);
    if (l->kind == BAWN_CLAIM_BYTES)
        return hex_text(a, l->bytes);
    return arena_text(a, "\"%.*s\"", (int)l->bytes.len, (const char *)l->bytes.data);
}

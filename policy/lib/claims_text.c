// SPDX-License-Identifier: Apache-2.0
/*
 * Claims from their texts, as logs and requests have them. The texts are not trusted: one that its
 * claim cannot have is an error.
 */
#include <stdlib.h>
#include <string.h>

#include "attest/lib/codec.h"
#include "policy/lib/model.h"

struct bawn_claims {
    struct arena arena;
    struct list claims; /* struct bawn_claim */
};

struct bawn_claims *bawn_claims_create(void)
{
    return calloc(1, sizeof(struct bawn_claims));
}

void bawn_claims_destroy(struct bawn_claims *claims)
{
    if (!claims)
        return;
    arena_free(&claims->arena);
    free(claims);
}

void bawn_claims_reset(struct bawn_claims *claims)
{
    arena_reset(&claims->arena);
    claims->claims = (struct list){ NULL, 0, 0 };
}

size_t bawn_claims_list(const struct bawn_claims *claims, const struct bawn_claim **list)
{
    *list = claims->claims.items;
    return claims->claims.n;
}

static bool read_uint(const char *text, uint64_t *out)
{
    *out = 0;
    for (const char *p = text; *p; p++)
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(*out, 10u, out) ||
            __builtin_add_overflow(*out, (uint64_t)(*p - '0'), out))
            return false;
    return *text;
}

static bool read_value(struct arena *a, struct bawn_claim *c, const char *text)
{
    struct bawn_bytes bytes = { (const uint8_t *)text, strlen(text) };

    switch (c->kind) {
    case BAWN_CLAIM_BOOL:
        c->boolean = !strcmp(text, "true");
        return c->boolean || !strcmp(text, "false");
    case BAWN_CLAIM_UINT:
        return read_uint(text, &c->uint);
    case BAWN_CLAIM_BYTES:
        c->bytes = (struct bawn_bytes){ NULL, 0 };
        return !bytes.len || hex_decode(a, bytes, &c->bytes);
    case BAWN_CLAIM_TEXT:
        break;
    }
    c->text = arena_text(a, "%s", text);
    return true;
}

enum bawn_status bawn_claims_add(struct bawn_claims *claims, const char *name, const char *text,
                                 struct bawn_error *err)
{
    struct bawn_bytes whole = { (const uint8_t *)name, strlen(name) }, base = { whole.data, 0 };
    struct bawn_claim c = { .kind = BAWN_CLAIM_TEXT }, *to;
    const struct known_claim *known;

    if (!claim_split(whole, &base.len, &c.index) || c.index == INDEX_EACH || !base.len)
        return bawn_fail(err, BAWN_E_FORMAT, "%.80s is no claim's name", name);
    known = claim_find(base);
    if (known && known->kind != CLAIM_ANY)
        c.kind = (enum bawn_claim_kind)known->kind;
    c.name = arena_text(&claims->arena, "%.*s", (int)base.len, name);
    if (!read_value(&claims->arena, &c, text) && !claims->arena.failed)
        return bawn_fail(err, BAWN_E_FORMAT, "%.80s cannot have the value %.80s", name, text);
    to = claims->arena.failed ? NULL : list_add(&claims->arena, &claims->claims, sizeof(*to));
    if (!to)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for claims");
    *to = c;
    return BAWN_OK;
}

// SPDX-License-Identifier: Apache-2.0
/* Claims as JSON and back. Trusts nothing about the JSON's form. */
#include "attest/service/judge/claims.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 8192
#define NAME_MAX_LEN 128

static const char *const kind_names[] = {
    [BAWN_CLAIM_BOOL] = "bool",
    [BAWN_CLAIM_UINT] = "uint",
    [BAWN_CLAIM_BYTES] = "bytes",
    [BAWN_CLAIM_TEXT] = "text",
};

/* A number that is as long as this is more likely bytes that have no digit above 9. */
#define UINT_DIGITS 16

static enum bawn_claim_kind guess(const char *text)
{
    size_t len = strlen(text);

    if (!strcmp(text, "true") || !strcmp(text, "false"))
        return BAWN_CLAIM_BOOL;
    if (len && len < UINT_DIGITS && strspn(text, "0123456789") == len)
        return BAWN_CLAIM_UINT;
    if (len && len % 2 == 0 && strspn(text, "0123456789abcdef") == len)
        return BAWN_CLAIM_BYTES;
    return BAWN_CLAIM_TEXT;
}

json_t *claims_write(const struct bawn_claim *claims, size_t n, json_t **kinds)
{
    json_t *object = json_object();
    char *text = malloc(TEXT_MAX);

    *kinds = json_object();
    for (size_t i = 0; text && i < n; i++) {
        const struct bawn_claim *c = &claims[i];
        enum bawn_claim_kind kind = c->kind;
        char indexed[NAME_MAX_LEN];
        const char *name = c->name;
        size_t len = bawn_claim_print(c, text, TEXT_MAX);
        json_t *value = len < TEXT_MAX ? json_string(text) : NULL;

        /* It must not look absent: that could be what a policy requires. */
        if (!value) {
            snprintf(text, TEXT_MAX, "(%zu characters, left out)", len);
            kind = BAWN_CLAIM_TEXT;
            value = json_string(text);
        }
        if (c->index >= 0) {
            snprintf(indexed, sizeof(indexed), "%s[%d]", c->name, c->index);
            name = indexed;
        }
        json_object_set_new(object, name, value);
        if (guess(text) != kind)
            json_object_set_new(*kinds, name, json_string(kind_names[kind]));
    }
    free(text);
    return object;
}

/* ---- Back ---- */

static enum bawn_claim_kind kind_of(const json_t *kinds, const char *name, const char *text)
{
    const char *kind = json_string_value(json_object_get(kinds, name));

    for (size_t i = 0; kind && i < sizeof(kind_names) / sizeof(kind_names[0]); i++)
        if (!strcmp(kind, kind_names[i]))
            return (enum bawn_claim_kind)i;
    return guess(text);
}

static int nibble(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Into *pool, which moves on. */
static bool take_bytes(struct bawn_claim *c, const char *text, uint8_t **pool)
{
    size_t len = strlen(text);

    if (len % 2)
        return false;
    c->bytes = (struct bawn_bytes){ *pool, len / 2 };
    for (size_t i = 0; i < len; i += 2) {
        int high = nibble(text[i]), low = nibble(text[i + 1]);

        if (high < 0 || low < 0)
            return false;
        *(*pool)++ = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool take_value(struct bawn_claim *c, const char *text, uint8_t **pool)
{
    char *end;

    switch (c->kind) {
    case BAWN_CLAIM_BOOL:
        c->boolean = !strcmp(text, "true");
        return c->boolean || !strcmp(text, "false");
    case BAWN_CLAIM_UINT:
        errno = 0;
        c->uint = strtoull(text, &end, 10);
        return end != text && !*end && !errno && *text != '-';
    case BAWN_CLAIM_BYTES:
        return take_bytes(c, text, pool);
    case BAWN_CLAIM_TEXT:
        c->text = text;
        return true;
    }
    return false;
}

/* "tdx.rtmr[0]": the name without the index goes to the pool. */
static bool take_name(struct bawn_claim *c, const char *name, uint8_t **pool)
{
    const char *bracket = strchr(name, '[');
    size_t len = bracket ? (size_t)(bracket - name) : strlen(name);
    char *end;
    long index;

    c->index = -1;
    if (!len || len >= NAME_MAX_LEN)
        return false;
    if (bracket) {
        index = strtol(bracket + 1, &end, 10);
        if (end == bracket + 1 || strcmp(end, "]") || index < 0 || index > UINT16_MAX)
            return false;
        c->index = (int)index;
    }
    memcpy(*pool, name, len);
    (*pool)[len] = '\0';
    c->name = (char *)*pool;
    *pool += len + 1;
    return true;
}

static size_t room(const json_t *object)
{
    const char *name;
    json_t *value;
    size_t n = 0;

    json_object_foreach((json_t *)(uintptr_t)object, name, value) n +=
        strlen(name) + 1 + json_string_length(value);
    return n;
}

static void read_all(struct claim_set *set, const json_t *object, const json_t *kinds, bool texts,
                     uint8_t **pool)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        struct bawn_claim *c = &set->claims[set->n];
        const char *text = json_string_value(value);

        if (!text)
            continue;
        c->kind = texts ? BAWN_CLAIM_TEXT : kind_of(kinds, name, text);
        if (take_name(c, name, pool) && take_value(c, text, pool))
            set->n++;
    }
}

enum bawn_status claims_read(struct claim_set *set, const json_t *claims, const json_t *kinds,
                             const json_t *more, struct bawn_error *err)
{
    uint8_t *pool;

    *set = (struct claim_set){ 0 };
    set->claims =
        calloc(json_object_size(claims) + json_object_size(more) + 1, sizeof(*set->claims));
    set->pool = pool = malloc(room(claims) + room(more) + 1);
    if (!set->claims || !pool) {
        claims_clear(set);
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for claims");
    }
    read_all(set, claims, kinds, false, &pool);
    read_all(set, more, NULL, true, &pool);
    return BAWN_OK;
}

void claims_clear(struct claim_set *set)
{
    free(set->claims);
    free(set->pool);
    *set = (struct claim_set){ 0 };
}

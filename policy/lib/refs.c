// SPDX-License-Identifier: Apache-2.0
/*
 * Reference values: a hash table of (set, value), filled before use and then only read. The values
 * are the owner's; the table grows with them.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/lib/model.h"

#define FIRST_ROOM 64u

struct entry {
    uint64_t hash;
    const char *set, *value;
    int64_t expires;
};

struct set {
    const char *name;
    size_t n;
};

struct bawn_refs {
    struct arena arena;
    struct list sets;      /* struct set */
    struct entry *entries; /* open addressing; room is a power of two, at most half used */
    size_t n, room;
};

uint64_t set_hash(const char *set)
{
    uint64_t h = 14695981039346656037u;

    for (; *set; set++)
        h = (h ^ (uint8_t)*set) * 1099511628211u;
    return h;
}

static uint8_t fold(char c)
{
    return (uint8_t)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

/* Without regard to case: whether that counts is decided when values are compared. */
static uint64_t value_hash(uint64_t h, const char *value)
{
    for (; *value; value++)
        h = (h ^ fold(*value)) * 1099511628211u;
    return h ^ h >> 29;
}

struct bawn_refs *bawn_refs_create(void)
{
    return calloc(1, sizeof(struct bawn_refs));
}

void bawn_refs_destroy(struct bawn_refs *refs)
{
    if (!refs)
        return;
    arena_free(&refs->arena);
    free(refs->entries);
    free(refs);
}

static void place(struct entry *entries, size_t room, const struct entry *e)
{
    size_t i = e->hash & (room - 1);

    while (entries[i].set)
        i = (i + 1) & (room - 1);
    entries[i] = *e;
}

static bool grow(struct bawn_refs *refs)
{
    size_t room = refs->room ? refs->room * 2 : FIRST_ROOM;
    struct entry *more;

    if (refs->n + 1 <= refs->room / 2)
        return true;
    more = calloc(room, sizeof(*more));
    if (!more)
        return false;
    for (size_t i = 0; i < refs->room; i++)
        if (refs->entries[i].set)
            place(more, room, &refs->entries[i]);
    free(refs->entries);
    refs->entries = more;
    refs->room = room;
    return true;
}

static struct set *find_set(const struct bawn_refs *refs, const char *name)
{
    struct set *sets = refs->sets.items;

    for (size_t i = 0; i < refs->sets.n; i++)
        if (!strcmp(sets[i].name, name))
            return &sets[i];
    return NULL;
}

enum bawn_status bawn_refs_add(struct bawn_refs *refs, const char *set, const char *value,
                               int64_t expires, struct bawn_error *err)
{
    struct set *s = find_set(refs, set);
    struct entry e = { .expires = expires };

    if (!*set || !*value)
        return bawn_fail(err, BAWN_E_FORMAT, "a reference value needs a set and a value");
    if (!s) {
        s = list_add(&refs->arena, &refs->sets, sizeof(*s));
        if (s)
            s->name = arena_text(&refs->arena, "%s", set);
    }
    e.value = arena_text(&refs->arena, "%s", value);
    if (!s || refs->arena.failed || !grow(refs))
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for reference values");
    e.set = s->name;
    e.hash = value_hash(set_hash(set), value);
    place(refs->entries, refs->room, &e);
    refs->n++;
    s->n++;
    return BAWN_OK;
}

static bool same(const char *a, const char *b, bool any_case)
{
    if (!any_case)
        return !strcmp(a, b);
    for (; *a && fold(*a) == fold(*b); a++, b++)
        ;
    return !*a && !*b;
}

bool refs_have(const struct bawn_refs *refs, const struct rule *rule, const char *value,
               bool any_case, int64_t at, bool *expired)
{
    uint64_t hash = value_hash(rule->set_hash, value);

    *expired = false;
    if (!refs || !refs->room)
        return false;
    for (size_t i = hash & (refs->room - 1); refs->entries[i].set; i = (i + 1) & (refs->room - 1)) {
        const struct entry *e = &refs->entries[i];

        if (e->hash != hash || strcmp(e->set, rule->set) != 0 || !same(e->value, value, any_case))
            continue;
        if (!e->expires || at < e->expires)
            return true;
        *expired = true;
    }
    return false;
}

size_t refs_size(const struct bawn_refs *refs, const char *set)
{
    const struct set *s = refs ? find_set(refs, set) : NULL;

    return s ? s->n : 0;
}

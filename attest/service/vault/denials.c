// SPDX-License-Identifier: Apache-2.0
/*
 * How many denials the log has in full. Anybody can be denied, as often as he likes, and an entry
 * is for ever: beyond so many of one client and of one tenant in a minute they are counted, and the
 * count is an entry. What was allowed or released is always written. The counts are in memory: a
 * crash loses those of its minute.
 */
#include <stdlib.h>
#include <string.h>

#include "attest/log/log.h"
#include "attest/service/vault/vault.h"

#define INTERVAL_MS 60000
#define GROUPS_MAX 256 /* more clients than that are one */
#define OTHERS "others"

struct group {
    char *tenant, *what, *client;
    char *example; /* a reason of the first that was not written */
    unsigned written;
    uint64_t more;
};

struct denials {
    int64_t began_ms, began; /* of the interval: a clock that does not jump, and the other */
    struct group *group;
    size_t n;
};

static void clear(struct denials *d)
{
    for (size_t i = 0; i < d->n; i++) {
        free(d->group[i].tenant);
        free(d->group[i].what);
        free(d->group[i].client);
        free(d->group[i].example);
    }
    free(d->group);
    d->group = NULL;
    d->n = 0;
}

void denials_end(struct vault *v)
{
    if (v->denials)
        clear(v->denials);
    free(v->denials);
    v->denials = NULL;
}

static struct group *find(struct denials *d, const char *tenant, const char *what,
                          const char *client)
{
    for (size_t i = 0; i < d->n; i++)
        if (!strcmp(d->group[i].tenant, tenant) && !strcmp(d->group[i].what, what) &&
            !strcmp(d->group[i].client, client))
            return &d->group[i];
    return NULL;
}

/* NULL: no memory. Each tenant has a group for the others, beyond the limit. */
static struct group *group_of(struct denials *d, const char *tenant, const char *what,
                              const char *client)
{
    struct group *g = find(d, tenant, what, client), *more;

    if (!g && d->n >= GROUPS_MAX) {
        client = OTHERS;
        g = find(d, tenant, what, client);
    }
    if (g)
        return g;
    more = realloc(d->group, (d->n + 1) * sizeof(*more));
    if (!more)
        return NULL;
    d->group = more;
    g = &more[d->n];
    *g = (struct group){ strdup(tenant), strdup(what), strdup(client), NULL, 0, 0 };
    if (g->tenant && g->what && g->client) {
        d->n++;
        return g;
    }
    free(g->tenant);
    free(g->what);
    free(g->client);
    return NULL;
}

static unsigned written_of(const struct denials *d, const char *tenant)
{
    unsigned n = 0;

    for (size_t i = 0; i < d->n; i++)
        if (!strcmp(d->group[i].tenant, tenant))
            n += d->group[i].written;
    return n;
}

#define EXAMPLE_MAX 1024

/* Of a text in UTF-8, a whole number of characters. An entry with all of it might have no room in
 * the log, and with it no sum of that minute would be written, ever. */
static char *beginning(const char *text)
{
    size_t len = strnlen(text, EXAMPLE_MAX + 1);

    if (len > EXAMPLE_MAX)
        for (len = EXAMPLE_MAX; len && ((uint8_t)text[len] & 0xc0) == 0x80;)
            len--;
    return strndup(text, len);
}

bool denial_is_written(struct vault *v, const char *tenant, const char *what, const char *client,
                       const json_t *reasons)
{
    unsigned most = v->config->log.denials, of_client = v->config->log.denials_per_client;
    const char *reason = json_string_value(json_array_get(reasons, 0));
    struct group *g;

    if (!most)
        return true;
    if (!v->denials) {
        v->denials = calloc(1, sizeof(*v->denials));
        if (!v->denials)
            return true;
        v->denials->began_ms = v->mono_ms;
        v->denials->began = vault_now(v);
    }
    g = group_of(v->denials, tenant, what, client && *client ? client : "unknown");
    if (!g) /* a log that grows, rather than one that lacks something */
        return true;
    if (written_of(v->denials, tenant) < most && (!of_client || g->written < of_client)) {
        g->written++;
        return true;
    }
    if (!g->more++ && reason)
        g->example = beginning(reason);
    v->count.summed++;
    return false;
}

static enum bawn_status append(struct vault *v, const struct group *g, struct bawn_error *err)
{
    json_t *entry = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:s?}", "type", "denials",
                              "tenant", g->tenant, "what", g->what, "client", g->client, "more",
                              (json_int_t)g->more, "from", (json_int_t)v->denials->began, "to",
                              (json_int_t)vault_now(v), "example", g->example);
    uint64_t seq;
    enum bawn_status st = entry ? log_append(v->db, entry, v->now_ms, &seq, err)
                                : bawn_fail(err, BAWN_E_NOMEM, "no memory for a log entry");

    json_decref(entry);
    return st;
}

enum bawn_status denials_sum_up(struct vault *v, bool now, struct bawn_error *err)
{
    struct denials *d = v->denials;
    enum bawn_status st = BAWN_OK;
    uint64_t more = 0;

    if (!d || (!now && v->mono_ms - d->began_ms < INTERVAL_MS))
        return BAWN_OK;
    for (size_t i = 0; i < d->n; i++)
        more += d->group[i].more;
    if (more) {
        st = db_begin(v->db, err);
        if (st != BAWN_OK)
            return st;
        for (size_t i = 0; st == BAWN_OK && i < d->n; i++)
            if (d->group[i].more)
                st = append(v, &d->group[i], err);
        if (st == BAWN_OK)
            st = db_commit(v->db, err);
        else
            db_rollback(v->db);
    }
    if (st == BAWN_OK) /* else they are added to */
        denials_end(v);
    return st;
}

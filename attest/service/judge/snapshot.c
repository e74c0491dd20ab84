// SPDX-License-Identifier: Apache-2.0
/*
 * Snapshots: what the vault gives the judges to judge by. The vault has checked its policies and
 * roots; a snapshot that is wrong all the same is refused whole, and the one before stays.
 */
#include "attest/service/judge/judge.h"

#include <stdlib.h>
#include <string.h>

#define TENANTS_MAX 10000 /* as many as a configuration may have */
#define BLOBS_MAX 16384

static enum bawn_status load_include(void *context, const char *name, struct bawn_bytes *text,
                                     struct bawn_error *err)
{
    const json_t *value = json_object_get(context, name);

    if (!json_is_string(value))
        return bawn_fail(err, BAWN_E_FORMAT, "no policy of the name %s to include", name);
    *text =
        (struct bawn_bytes){ (const uint8_t *)json_string_value(value), json_string_length(value) };
    return BAWN_OK;
}

static enum bawn_status take_policy(struct judge_tenant *t, const json_t *policy,
                                    struct bawn_error *err)
{
    const json_t *text = json_object_get(policy, "text");
    const char *name = json_string_value(json_object_get(policy, "name"));
    struct bawn_bytes bytes;

    if (!policy || json_is_null(policy))
        return BAWN_OK;
    if (!json_is_string(text) || !name)
        return bawn_fail(err, BAWN_E_FORMAT, "tenant %s: the policy has no name or text", t->name);
    t->policy_name = strdup(name);
    if (!t->policy_name)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for policies");
    bytes =
        (struct bawn_bytes){ (const uint8_t *)json_string_value(text), json_string_length(text) };
    return bawn_policy_create(&t->policy, name, bytes, load_include,
                              json_object_get(policy, "includes"), err);
}

static enum bawn_status take_references(struct judge_tenant *t, const json_t *references,
                                        struct bawn_error *err)
{
    const json_t *entry;
    size_t i;

    t->refs = bawn_refs_create();
    if (!t->refs)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for references");
    json_array_foreach(references, i, entry)
    {
        const char *set = json_string_value(json_array_get(entry, 0));
        const char *value = json_string_value(json_array_get(entry, 1));
        enum bawn_status st;

        if (!set || !value)
            return bawn_fail(err, BAWN_E_FORMAT, "tenant %s: a reference is not [set, value, time]",
                             t->name);
        st = bawn_refs_add(t->refs, set, value, json_integer_value(json_array_get(entry, 2)), err);
        if (st != BAWN_OK)
            return st;
    }
    return BAWN_OK;
}

static enum bawn_status take_roots(struct judge_tenant *t, const json_t *roots,
                                   struct bawn_error *err)
{
    size_t n = json_array_size(roots);
    struct bawn_bytes *list;
    enum bawn_status st;

    if (!n)
        return BAWN_OK;
    list = calloc(n + 1, sizeof(*list));
    if (!list)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for roots");
    for (size_t i = 0; i < n; i++) {
        const json_t *root = json_array_get(roots, i);

        list[i] = (struct bawn_bytes){ (const uint8_t *)json_string_value(root),
                                       json_string_length(root) };
    }
    list[n] = BAWN_TRUST_BUILTIN;
    st = bawn_trust_create(&t->foreign, list, n + t->foreign_allowed, err);
    free(list);
    return st;
}

static enum bawn_status take_tenant(struct judge_tenant *t, const char *name, const json_t *json,
                                    struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    t->name = strdup(name);
    if (!t->name)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for tenants");
    st = take_references(t, json_object_get(json, "references"), err);
    if (st == BAWN_OK)
        st = take_policy(t, json_object_get(json, "policy"), err);
    t->foreign_allowed = json_is_true(json_object_get(json, "foreign_roots_allowed"));
    if (st == BAWN_OK)
        st = take_roots(t, json_object_get(json, "roots"), err);
    return st;
}

static enum bawn_status take_tenants(struct judge_snapshot *s, const json_t *state,
                                     struct bawn_error *err)
{
    json_t *tenants = json_object_get(state, "tenants"), *value;
    size_t n = json_object_size(tenants);
    const char *name;

    if (!json_is_object(tenants) || n > TENANTS_MAX)
        return bawn_fail(err, BAWN_E_FORMAT, "the snapshot has no tenants, or too many");
    s->tenants = calloc(n ? n : 1, sizeof(*s->tenants));
    if (!s->tenants)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for tenants");
    json_object_foreach(tenants, name, value)
    {
        enum bawn_status st = take_tenant(&s->tenants[s->nr_tenants++], name, value, err);

        if (st != BAWN_OK)
            return st;
    }
    return BAWN_OK;
}

/* From `at` on. */
static enum bawn_status take_blobs(struct judge_snapshot *s, size_t at, size_t len,
                                   struct bawn_error *err)
{
    const json_t *list = s->list, *entry;
    size_t i;

    if (json_array_size(list) > BLOBS_MAX)
        return bawn_fail(err, BAWN_E_FORMAT, "the snapshot has too many blobs");
    s->blob = calloc(json_array_size(list) + 1, sizeof(*s->blob));
    if (!s->blob)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for collateral");
    json_array_foreach(list, i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "name"));
        json_int_t size = json_integer_value(json_object_get(entry, "len"));
        const char *colon;

        if (!name || size < 0 || (uint64_t)size > len - at)
            return bawn_fail(err, BAWN_E_FORMAT, "the snapshot's blobs do not have their lengths");
        colon = strchr(name, ':');
        s->blob[s->nr_blobs++] =
            (struct judge_blob){ .tenant = name,
                                 .tenant_len = colon ? (size_t)(colon - name) : 0,
                                 .name = colon ? colon + 1 : name,
                                 .data = { s->blobs + at, (size_t)size } };
        at += (size_t)size;
    }
    if (at != len)
        return bawn_fail(err, BAWN_E_FORMAT, "the snapshot has bytes that belong to no blob");
    return BAWN_OK;
}

enum bawn_status judge_snapshot_read(struct judge_snapshot **snapshot, const json_t *json,
                                     uint8_t *blobs, size_t len, struct bawn_error *err)
{
    struct judge_snapshot *s = calloc(1, sizeof(*s));
    json_int_t text = json_integer_value(json_object_get(json, "state"));
    json_t *state = NULL;
    enum bawn_status st;

    if (!s) {
        free(blobs);
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for a snapshot");
    }
    s->blobs = blobs;
    if (text > 0 && (uint64_t)text <= len)
        state = json_loadb((const char *)blobs, (size_t)text, JSON_REJECT_DUPLICATES, NULL);
    s->list = json_incref(json_object_get(state, "blobs"));
    st = json_is_object(state) ? take_tenants(s, state, err)
                               : bawn_fail(err, BAWN_E_FORMAT, "the snapshot has no state");
    json_decref(state);
    if (st == BAWN_OK)
        st = take_blobs(s, (size_t)text, len, err);
    if (st != BAWN_OK) {
        judge_snapshot_destroy(s);
        return st;
    }
    *snapshot = s;
    return BAWN_OK;
}

void judge_snapshot_destroy(struct judge_snapshot *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->nr_tenants; i++) {
        struct judge_tenant *t = &s->tenants[i];

        free(t->name);
        free(t->policy_name);
        bawn_policy_destroy(t->policy);
        bawn_refs_destroy(t->refs);
        bawn_trust_destroy(t->foreign);
    }
    free(s->tenants);
    free(s->blob);
    free(s->blobs);
    json_decref(s->list);
    free(s);
}

const struct judge_tenant *judge_snapshot_tenant(const struct judge_snapshot *s, const char *name)
{
    for (size_t i = 0; s && i < s->nr_tenants; i++)
        if (!strcmp(s->tenants[i].name, name))
            return &s->tenants[i];
    return NULL;
}

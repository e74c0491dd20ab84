// SPDX-License-Identifier: Apache-2.0
/* What the status page and the metrics show. No secret, session or token is in it. */
#include <stdlib.h>
#include <string.h>

#include "attest/log/log.h"
#include "attest/service/vault/vault.h"

#define WARNING_DAYS 30

static bool take_count(void *context, const struct db_value *c, int n)
{
    if (n == 1)
        *(int64_t *)context = c[0].i;
    return false;
}

static bool take_collateral(void *context, const struct db_value *c, int n)
{
    (void)n;
    json_array_append_new(
        context,
        json_pack("{s:s, s:s, s:I}", "name", c[0].bytes.data, "kind",
                  !strncmp((const char *)c[0].bytes.data, "vcek/", 5) ? "of a chip" : "of all",
                  "expires", (json_int_t)c[1].i));
    return true;
}

static enum bawn_status tenants_json(struct vault *v, json_t **list, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    *list = json_array();
    for (size_t i = 0; st == BAWN_OK && i < v->nr_tenants; i++) {
        struct db_value name = db_text(v->tenants[i].config->name);
        int64_t secrets = 0, references = 0;

        st = db_run(v->db, "SELECT count(*) FROM secret WHERE tenant = $1", &name, 1, take_count,
                    &secrets, NULL, err);
        if (st == BAWN_OK)
            st = db_run(v->db, "SELECT count(*) FROM reference WHERE tenant = $1", &name, 1,
                        take_count, &references, NULL, err);
        json_array_append_new(*list,
                              json_pack("{s:s, s:O?, s:I, s:I}", "name", v->tenants[i].config->name,
                                        "policy", v->tenants[i].policy, "secrets",
                                        (json_int_t)secrets, "references", (json_int_t)references));
    }
    return st;
}

static json_t *warnings_of(const struct vault *v, const json_t *collateral)
{
    json_t *list = json_array(), *item;
    size_t i;

    for (i = 0; i < v->nr_tenants; i++)
        if (v->tenants[i].refused)
            json_array_append_new(list,
                                  json_sprintf("Everything is denied: %s.", v->tenants[i].refused));
        else if (!v->tenants[i].policy)
            json_array_append_new(list, json_sprintf("Tenant %s has no attestation policy: "
                                                     "everything is denied.",
                                                     v->tenants[i].config->name));
    json_array_foreach(collateral, i, item)
    {
        json_int_t expires = json_integer_value(json_object_get(item, "expires"));

        if (expires && expires < vault_now(v) + (int64_t)WARNING_DAYS * 86400 &&
            json_array_size(list) < 20)
            json_array_append_new(list, json_sprintf("Collateral %s expires within %d days, or has "
                                                     "expired.",
                                                     text_of(item, "name"), WARNING_DAYS));
    }
    return list;
}

/* The checkpoint's second line is its size. */
static enum bawn_status log_json(struct vault *v, json_t **json, struct bawn_error *err)
{
    uint64_t size = 0;
    int64_t created = 0;
    char *note = NULL, *line;
    enum bawn_status st = log_size(v->db, &size, err);

    if (st == BAWN_OK)
        st = log_last_checkpoint(v->db, &note, err);
    if (st == BAWN_OK)
        st = db_run(v->db, "SELECT max(created) FROM log_checkpoint", NULL, 0, take_count, &created,
                    NULL, err);
    line = note ? strchr(note, '\n') : NULL;
    *json =
        json_pack("{s:I, s:s, s:I, s:I}", "size", (json_int_t)size, "checkpoint", note ? note : "",
                  "checkpoint_size", line ? (json_int_t)strtoll(line + 1, NULL, 10) : 0,
                  "checkpoint_time", (json_int_t)created);
    free(note);
    return st;
}

static json_t *decisions_json(const struct vault *v)
{
    return json_pack("{s:I, s:I, s:I, s:O, s:I, s:I, s:I, s:I, s:I}", "allowed",
                     (json_int_t)v->count.allowed, "denied", (json_int_t)v->count.denied, "summed",
                     (json_int_t)v->count.summed, "by_check", v->by_check, "sessions",
                     (json_int_t)v->count.sessions, "released", (json_int_t)v->count.released,
                     "refused", (json_int_t)v->count.refused, "admin", (json_int_t)v->count.admin,
                     "errors", (json_int_t)v->count.errors);
}

enum bawn_status serve_status(struct vault *v, const struct ipc_msg *m, struct reply *r,
                              struct bawn_error *err)
{
    json_t *collateral = json_array(), *tenants = NULL, *log = NULL;
    int judges = 0;
    enum bawn_status st;

    (void)m;
    st = db_run(v->db,
                "SELECT name, not_after FROM collateral ORDER BY not_after IS NULL, not_after"
                " LIMIT 100",
                NULL, 0, take_collateral, collateral, NULL, err);
    if (st == BAWN_OK)
        st = tenants_json(v, &tenants, err);
    if (st == BAWN_OK)
        st = log_json(v, &log, err);
    for (size_t i = 0; i < SERVICE_WORKERS_MAX; i++)
        judges += v->judges[i].ipc != NULL;
    if (st == BAWN_OK)
        st = reply_json(r, 200,
                        json_pack("{s:o, s:O, s:i, s:o, s:O, s:O?, s:O, s:O}", "decisions",
                                  decisions_json(v), "log", log, "judges", judges, "warnings",
                                  warnings_of(v, collateral), "recent", v->recent, "tcb", v->tcb,
                                  "tenants", tenants, "collateral", collateral));
    json_decref(collateral);
    json_decref(tenants);
    json_decref(log);
    return st;
}

// SPDX-License-Identifier: Apache-2.0
/* What the status page and the metrics show. No secrets, no session, no token is in it. */
#include <stdlib.h>

#include "attest/log/log.h"
#include "attest/service/vault/vault.h"

static bool take_count(void *context, const struct db_value *c, int n)
{
    if (n == 1)
        *(int64_t *)context = c[0].i;
    return false;
}

static bool take_policy(void *context, const struct db_value *c, int n)
{
    char hash[65] = "";

    for (size_t i = 0; n == 6 && i < c[3].bytes.len && i < 32; i++)
        snprintf(hash + 2 * i, 3, "%02x", c[3].bytes.data[i]);
    json_array_append_new(context, json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "tenant",
                                             c[0].bytes.data, "kind", c[1].bytes.data, "name",
                                             c[2].bytes.data, "sha256", hash, "author",
                                             c[4].bytes.data, "created", (json_int_t)c[5].i));
    return true;
}

static bool take_collateral(void *context, const struct db_value *c, int n)
{
    (void)n;
    json_array_append_new(
        context, json_pack("{s:s, s:I}", "name", c[0].bytes.data, "not_after", (json_int_t)c[1].i));
    return true;
}

static json_t *tenants_json(const struct vault *v)
{
    json_t *list = json_array();

    for (size_t i = 0; i < v->nr_tenants; i++)
        json_array_append_new(list, json_string(v->tenants[i].config->name));
    return list;
}

static json_t *counters_json(const struct counters *c)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "sessions", (json_int_t)c->sessions,
                     "allowed", (json_int_t)c->allowed, "denied", (json_int_t)c->denied, "released",
                     (json_int_t)c->released, "refused", (json_int_t)c->refused, "admin",
                     (json_int_t)c->admin, "errors", (json_int_t)c->errors);
}

enum bawn_status serve_status(struct vault *v, const struct ipc_msg *m, struct reply *r,
                              struct bawn_error *err)
{
    json_t *policies = json_array(), *collateral = json_array();
    int64_t sessions = 0;
    uint64_t size = 0;
    char *note = NULL;
    enum bawn_status st;

    (void)m;
    st = db_run(v->db, "SELECT count(*) FROM session", NULL, 0, take_count, &sessions, NULL, err);
    if (st == BAWN_OK)
        st = db_run(v->db,
                    "SELECT tenant, kind, name, hash, author, created FROM policy WHERE active = 1"
                    " ORDER BY tenant, kind, name",
                    NULL, 0, take_policy, policies, NULL, err);
    if (st == BAWN_OK)
        st = db_run(v->db,
                    "SELECT name, not_after FROM collateral WHERE not_after IS NOT NULL"
                    " ORDER BY not_after LIMIT 100",
                    NULL, 0, take_collateral, collateral, NULL, err);
    if (st == BAWN_OK)
        st = log_size(v->db, &size, err);
    if (st == BAWN_OK)
        st = log_last_checkpoint(v->db, &note, err);
    if (st == BAWN_OK)
        st = reply_json(r, 200,
                        json_pack("{s:I, s:o, s:o, s:I, s:I, s:I, s:s?, s:O, s:O, s:O}", "time_ms",
                                  (json_int_t)v->now_ms, "tenants", tenants_json(v), "counters",
                                  counters_json(&v->count), "serial", (json_int_t)v->serial,
                                  "stored_sessions", (json_int_t)sessions, "log_size",
                                  (json_int_t)size, "checkpoint", note, "policies", policies,
                                  "collateral", collateral, "decisions", v->recent));
    free(note);
    json_decref(policies);
    json_decref(collateral);
    return st;
}

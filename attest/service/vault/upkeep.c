// SPDX-License-Identifier: Apache-2.0
/* What time brings: reconnection with back-off, checkpoints, sweeping, other replicas' changes. */
#include <stdlib.h>
#include <time.h>

#include "attest/log/log.h"
#include "attest/service/vault/vault.h"

#define POLL_MS 1000
#define SWEEP_MS 60000
#define WATCH_MS 60000
#define WARNING_MS 3600000
#define WARNING_DAYS 30
#define RECONNECT_FIRST_MS 100u
#define RECONNECT_MAX_MS 5000u

static int64_t milliseconds(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void vault_clocks(struct vault *v)
{
    v->now_ms = milliseconds(CLOCK_REALTIME);
    v->mono_ms = milliseconds(CLOCK_MONOTONIC);
}

enum bawn_status vault_reload(struct vault *v, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    if (v->reload)
        st = keyring_load(&v->keys, v->db, v->config->token.algorithm, vault_now(v), err);
    if (st == BAWN_OK)
        st = vault_load_tenants(v, err);
    if (st == BAWN_OK)
        st = snapshot_send(v, NULL, err);
    if (st == BAWN_OK)
        v->reload = false;
    return st;
}

/* ---- Tasks ---- */

static enum bawn_status reconnect(struct vault *v, struct bawn_error *err)
{
    if (v->mono_ms < v->next_reconnect)
        return BAWN_E_IO;
    if (db_reconnect(v->db, err) != BAWN_OK) {
        v->reconnect_wait = v->reconnect_wait ? 2 * v->reconnect_wait : RECONNECT_FIRST_MS;
        if (v->reconnect_wait > RECONNECT_MAX_MS)
            v->reconnect_wait = RECONNECT_MAX_MS;
        v->next_reconnect = v->mono_ms + v->reconnect_wait;
        return BAWN_E_IO;
    }
    journal("info", "the database is there again", NULL);
    v->reconnect_wait = 0;
    v->reload = true;
    return BAWN_OK;
}

static enum bawn_status poll_replicas(struct vault *v, struct bawn_error *err)
{
    int64_t serial;
    enum bawn_status st;

    if (!db_is_shared(v->db))
        return BAWN_OK;
    st = serial_read(v, &serial, err);
    if (st == BAWN_OK && serial != v->serial)
        v->reload = true;
    return st == BAWN_OK ? revocations_tell(v, err) : st;
}

/* Other replicas' clocks may be that much apart. */
#define CLOCK_TOLERANCE 5

/* Sessions that were swept were used, and would count again should the clock go back: then nothing
 * that was begun before may count. */
static enum bawn_status keep_swept(struct vault *v, struct bawn_error *err)
{
    int64_t swept = 0, now = vault_now(v);
    struct db_value value;
    char text[24];
    enum bawn_status st = session_swept(v, &swept, err);

    if (st == BAWN_OK && now < swept - CLOCK_TOLERANCE) {
        journal("warning", "the clock went back: sessions begin anew", "{s:I}", "seconds",
                (json_int_t)(swept - now));
        v->reload = true;
        st = db_run(v->db, "DELETE FROM keyring WHERE kind = 'session'", NULL, 0, NULL, NULL, NULL,
                    err);
        if (st == BAWN_OK)
            st = keyring_rotate(&v->keys, v->db, KEY_SESSION, v->config->token.algorithm, now, err);
        if (st == BAWN_OK)
            st = state_changed(v, err);
    } else if (st == BAWN_OK && now <= swept) {
        return BAWN_OK;
    }
    snprintf(text, sizeof(text), "%lld", (long long)now);
    value = db_text(text);
    return st == BAWN_OK ? db_run(v->db,
                                  "INSERT INTO meta (key, value) VALUES ('swept', $1)"
                                  " ON CONFLICT (key) DO UPDATE SET value = $1",
                                  &value, 1, NULL, NULL, NULL, err)
                         : st;
}

/* Keys go when nothing that they made is valid any longer. */
static enum bawn_status sweep(struct vault *v, struct bawn_error *err)
{
    int64_t lifetime = v->config->token.lifetime > v->config->session_lifetime
                           ? v->config->token.lifetime
                           : v->config->session_lifetime;
    struct db_value now = db_int(vault_now(v)), old = db_int(vault_now(v) - lifetime - 60);
    int64_t gone = 0;
    enum bawn_status st = db_begin(v->db, err);

    if (st != BAWN_OK)
        return st;
    st = keep_swept(v, err);
    if (st == BAWN_OK)
        st =
            db_run(v->db, "DELETE FROM session WHERE expires < $1", &now, 1, NULL, NULL, NULL, err);
    if (st == BAWN_OK)
        st = db_run(v->db, "DELETE FROM keyring WHERE retired IS NOT NULL AND retired < $1", &old,
                    1, NULL, NULL, &gone, err);
    if (st == BAWN_OK)
        st = db_commit(v->db, err);
    else
        db_rollback(v->db);
    if (st == BAWN_OK && gone)
        v->reload = true;
    return st;
}

static bool warn(void *context, const struct db_value *c, int n)
{
    (void)context;
    if (n == 2)
        journal("warning", "collateral expires soon", "{s:s, s:I}", "name", c[0].bytes.data,
                "not_after", (json_int_t)c[1].i);
    return true;
}

static enum bawn_status warn_of_collateral(struct vault *v, struct bawn_error *err)
{
    struct db_value soon = db_int(vault_now(v) + (int64_t)WARNING_DAYS * 86400);

    return db_run(v->db, "SELECT name, not_after FROM collateral WHERE not_after < $1", &soon, 1,
                  warn, NULL, NULL, err);
}

static bool due(int64_t now, int64_t *next, int64_t every)
{
    if (now < *next)
        return false;
    *next = now + every;
    return true;
}

int vault_upkeep(struct vault *v)
{
    int64_t checkpoint_ms = (int64_t)v->config->log.checkpoint_seconds * 1000;
    struct bawn_error err = { "" };
    enum bawn_status st = BAWN_OK;

    vault_clocks(v);
    if (db_lost(v->db) && reconnect(v, &err) != BAWN_OK)
        return (int)RECONNECT_FIRST_MS;
    if (due(v->mono_ms, &v->next_poll, POLL_MS))
        st = poll_replicas(v, &err);
    if (st == BAWN_OK && v->reload)
        st = vault_reload(v, &err);
    if (st == BAWN_OK && due(v->mono_ms, &v->next_checkpoint, checkpoint_ms))
        st = log_checkpoint(v->db, keyring_current(&v->keys, KEY_LOG)->pkey, v->config->log.origin,
                            &err);
    if (st == BAWN_OK && due(v->mono_ms, &v->next_sweep, SWEEP_MS))
        st = sweep(v, &err);
    if (st == BAWN_OK)
        st = denials_sum_up(v, false, &err);
    if (st == BAWN_OK && due(v->mono_ms, &v->next_watch, WATCH_MS))
        st = state_watch(v, &err);
    if (st == BAWN_OK && due(v->mono_ms, &v->next_warning, WARNING_MS))
        st = warn_of_collateral(v, &err);
    if (st != BAWN_OK)
        journal("error", "upkeep failed", "{s:s}", "why", err.msg);
    return POLL_MS;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The tables, as a list of steps from an empty database to this program's version. A step that
 * was released is never changed: what is to be different is a new step. Tokens, keys and secrets
 * are sealed before they come here, where a column says so.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attest/store/backend.h"

static const char *const version_1[] = {
    /* Sealed under the storage key: session, token and log keys. kind names which. */
    "CREATE TABLE keyring (id @TEXT@ PRIMARY KEY, kind @TEXT@ NOT NULL, created @INT@ NOT NULL,"
    " retired @INT@, sealed @BLOB@ NOT NULL)",
    /* Every text that was ever in force, by its hash; of one tenant's kind and name one is active.
     */
    "CREATE TABLE policy (tenant @TEXT@ NOT NULL, kind @TEXT@ NOT NULL, name @TEXT@ NOT NULL,"
    " hash @BLOB@ NOT NULL, text @TEXT@ NOT NULL, author @TEXT@ NOT NULL,"
    " created @INT@ NOT NULL, active @INT@ NOT NULL,"
    " PRIMARY KEY (tenant, kind, name, hash))",
    "CREATE UNIQUE INDEX policy_active ON policy (tenant, kind, name) WHERE active = 1",
    "CREATE TABLE secret (tenant @TEXT@ NOT NULL, path @TEXT@ NOT NULL, sealed @BLOB@ NOT NULL,"
    " author @TEXT@ NOT NULL, created @INT@ NOT NULL, PRIMARY KEY (tenant, path))",
    /* expires: seconds since 1970, 0 never. */
    "CREATE TABLE reference (tenant @TEXT@ NOT NULL, set_name @TEXT@ NOT NULL,"
    " value @TEXT@ NOT NULL, expires @INT@ NOT NULL, source @TEXT@ NOT NULL,"
    " created @INT@ NOT NULL, PRIMARY KEY (tenant, set_name, value))",
    /* Sessions that were used: the row's being there is what consumes a nonce. */
    "CREATE TABLE session (id @BLOB@ PRIMARY KEY, tenant @TEXT@ NOT NULL,"
    " expires @INT@ NOT NULL, jti @TEXT@, allowed @INT@ NOT NULL, token TEXT, tee_key TEXT,"
    " claims TEXT)",
    "CREATE INDEX session_expires ON session (expires)",
    "CREATE INDEX session_jti ON session (jti)",
    "CREATE TABLE revoked (seq @ID@, tenant @TEXT@ NOT NULL, kind @TEXT@ NOT NULL,"
    " value @TEXT@ NOT NULL, reason @TEXT@ NOT NULL, created @INT@ NOT NULL,"
    " UNIQUE (tenant, kind, value))",
    "CREATE TABLE collateral (hash @BLOB@ PRIMARY KEY, name @TEXT@ NOT NULL,"
    " data @BLOB@ NOT NULL, not_after @INT@, added @INT@ NOT NULL)",
    /* attest/log. nodes: the roots of the complete subtrees, largest first; last: the hash that
     * the next entry's "prev" is. */
    "CREATE TABLE log_entry (seq @INT@ PRIMARY KEY, entry TEXT NOT NULL)",
    "CREATE TABLE log_head (id @INT@ PRIMARY KEY, size @INT@ NOT NULL, last @BLOB@ NOT NULL,"
    " nodes @BLOB@ NOT NULL)",
    "CREATE TABLE log_checkpoint (size @INT@ PRIMARY KEY, note @TEXT@ NOT NULL,"
    " created @INT@ NOT NULL)",
    NULL,
};

/* The MAC of a session's row (vault/state.c); rows of before have none, and are not believed. */
static const char *const version_2[] = {
    "ALTER TABLE session ADD COLUMN mac @BLOB@",
    NULL,
};

static const char *const *const versions[] = { version_1, version_2 };

#define NEWEST ((int64_t)(sizeof(versions) / sizeof(versions[0])))

/* ---- The version that the database has ---- */

static bool take_version(void *context, const struct db_value *columns, int n)
{
    int64_t *version = context;

    *version = -1;
    if (n == 1 && columns[0].type == DB_TEXT && columns[0].bytes.len &&
        columns[0].bytes.data[0] != '-')
        *version = strtoll((const char *)columns[0].bytes.data, NULL, 10);
    return false;
}

/* 0: none. */
static enum bawn_status read_version(struct db *db, int64_t *version, struct bawn_error *err)
{
    enum bawn_status st;

    *version = 0;
    st = db_run(db, "SELECT value FROM meta WHERE key = 'schema'", NULL, 0, take_version, version,
                NULL, err);
    if (st == BAWN_OK && *version < 0)
        st = bawn_fail(err, BAWN_E_FORMAT, "the database's schema version is not a number");
    if (st == BAWN_OK && *version > NEWEST)
        st = bawn_fail(err, BAWN_E_UNSUPPORTED,
                       "the database has schema %lld, and this program knows up to %lld: a newer "
                       "program was here, and must be used",
                       (long long)*version, (long long)NEWEST);
    return st;
}

enum bawn_status db_check_version(struct db *db, struct bawn_error *err)
{
    struct bawn_error inner = { "" };
    int64_t version;
    enum bawn_status st = read_version(db, &version, &inner);

    if (st == BAWN_E_UNSUPPORTED || st == BAWN_E_FORMAT)
        return bawn_fail(err, st, "%s", inner.msg);
    if (st != BAWN_OK || version == 0)
        return bawn_fail(err, BAWN_E_FORMAT, "this is no database of bawn-attestd%s%s",
                         *inner.msg ? ": " : "", inner.msg);
    return BAWN_OK;
}

/* ---- Steps ---- */

static enum bawn_status apply(struct db *db, int64_t version, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;
    struct db_value value;
    char text[24];

    for (size_t i = 0; st == BAWN_OK && versions[version - 1][i]; i++)
        st = db_run(db, versions[version - 1][i], NULL, 0, NULL, NULL, NULL, err);
    snprintf(text, sizeof(text), "%lld", (long long)version);
    value = db_text(text);
    if (st == BAWN_OK)
        st = db_run(db,
                    "INSERT INTO meta (key, value) VALUES ('schema', $1)"
                    " ON CONFLICT (key) DO UPDATE SET value = $1",
                    &value, 1, NULL, NULL, NULL, err);
    return st;
}

/* One step in its transaction: the lock that this begins with makes replicas wait here, and what
 * another did meanwhile is seen. */
static enum bawn_status step(struct db *db, bool *done, struct bawn_error *err)
{
    enum bawn_status st = db_begin(db, err);
    int64_t version = 0;

    if (st != BAWN_OK)
        return st;
    st = db_run(db,
                "CREATE TABLE IF NOT EXISTS meta (key @TEXT@ PRIMARY KEY, value @TEXT@ NOT NULL)",
                NULL, 0, NULL, NULL, NULL, err);
    if (st == BAWN_OK)
        st = read_version(db, &version, err);
    *done = version >= NEWEST;
    if (st == BAWN_OK && !*done)
        st = apply(db, version + 1, err);
    if (st == BAWN_OK)
        st = db_commit(db, err);
    else
        db_rollback(db);
    return st;
}

enum bawn_status db_migrate(struct db *db, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;
    bool done = false;

    while (st == BAWN_OK && !done)
        st = step(db, &done, err);
    return st;
}

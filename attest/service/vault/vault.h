/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vault: database, keys, sessions, tokens, secrets and the log. It decides nothing about
 * evidence; it holds judges to the sessions it gave out, and answers only what is committed.
 * Trusts its configuration, its database behind the seals, and what judges say about evidence;
 * fronts and those behind them are hostile.
 */
#ifndef BAWN_ATTESTD_VAULT_H
#define BAWN_ATTESTD_VAULT_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>
#include <openssl/evp.h>

#include <bawn/policy.h>

#include "attest/service/ipc.h"
#include "attest/service/service.h"
#include "attest/store/db.h"

#define KEY_SIZE 32
#define SESSION_ID 16

/* ---- Keys (keys.c, seal.c, tpm.c, pkcs11.c) ---- */

enum key_kind { KEY_SESSION, KEY_TOKEN, KEY_LOG, KEY_KINDS };

struct vault_key {
    char *id; /* of the row */
    enum key_kind kind;
    int64_t created, retired; /* seconds; retired 0: in use */
    EVP_MAC_CTX *mac;         /* KEY_SESSION: HMAC-SHA-256 under the key */
    EVP_PKEY *pkey;           /* the others */
    char *kid;                /* KEY_TOKEN */
    json_t *header;           /* KEY_TOKEN: what a token's header says of its key */
};

struct keyring {
    uint8_t storage[KEY_SIZE];
    struct vault_key *key;
    size_t n;
    bool old; /* the log's key is sealed as versions did that had no MACs of the state */
};

/* Sealed: a version byte, a nonce, AES-256-GCM's ciphertext and tag. aad is the row's identity. A
 * malloc'ed buffer; what is opened is wiped by the caller. */
enum bawn_status seal(const uint8_t key[KEY_SIZE], const char *aad, const void *plain, size_t len,
                      uint8_t **sealed, size_t *sealed_len, struct bawn_error *err);
enum bawn_status unseal(const uint8_t key[KEY_SIZE], const char *aad, struct bawn_bytes sealed,
                        uint8_t **plain, size_t *len, struct bawn_error *err);

enum bawn_status storage_key_load(const struct service_config *config, uint8_t key[KEY_SIZE],
                                  struct bawn_error *err);
/* A key sealed to this machine's TPM (tpm2-tss ESAPI): an object under the primary key of the
 * owner hierarchy, as `tpm2_create` leaves it in its public and private parts, one behind the
 * other. tcti NULL: tpm2-tss's default. */
enum bawn_status tpm_seal_key(const char *tcti, const uint8_t key[KEY_SIZE], uint8_t **blob,
                              size_t *len, struct bawn_error *err);
enum bawn_status tpm_unseal_key(const char *tcti, struct bawn_bytes blob, uint8_t key[KEY_SIZE],
                                struct bawn_error *err);

/* A key that was encrypted to an RSA key of a token (OAEP with SHA-256, or SHA-1 where the token
 * has no other), or under an AES key of it (initialisation vector, AES-CBC-PAD). The PIN has been
 * read. BAWN_E_CONFIG, BAWN_E_IO: the token. */
enum bawn_status pkcs11_unseal_key(const struct config_pkcs11 *config, struct bawn_bytes sealed,
                                   uint8_t key[KEY_SIZE], struct bawn_error *err);

/* Reads the keyring and makes what is not there; not the log's key, where the database has state
 * (BAWN_E_DENIED). */
enum bawn_status keyring_load(struct keyring *ring, struct db *db, const char *token_algorithm,
                              int64_t now, struct bawn_error *err);
/* A new key of that kind, the one before retired; in a transaction of the caller's. */
enum bawn_status keyring_rotate(struct keyring *ring, struct db *db, enum key_kind kind,
                                const char *token_algorithm, int64_t now, struct bawn_error *err);
/* In a transaction of the caller's: reads it again; says by the log's key that there is state to be
 * believed. */
enum bawn_status keyring_load_again(struct keyring *ring, struct db *db, struct bawn_error *err);
bool keyring_is_old(const struct keyring *ring);
enum bawn_status keyring_renew(struct keyring *ring, struct db *db, struct bawn_error *err);
const struct vault_key *keyring_current(const struct keyring *ring, enum key_kind kind);
/* Forgets the keys; the storage key stays until keyring_wipe. */
void keyring_clear(struct keyring *ring);
void keyring_wipe(struct keyring *ring);

/* ---- The process's state ---- */

struct tenant {
    const struct config_tenant *config;
    struct bawn_policy *resource_policy; /* NULL: none set; attestation alone decides */
    bool broken;                         /* one is set that cannot be used: nothing is released */
    struct bawn_refs *refs;
    char *refused;   /* why its stored state is not believed, or NULL: it denies everything */
    json_t *revoked; /* {"kind value": true}, as they were when they were read */
    json_t *policy;  /* {"id", "version", "sha256"} of the attestation policy in force; or NULL */
};

struct judge_peer {
    struct ipc *ipc; /* NULL: free */
    unsigned number;
};

/* What becomes of a request: it is sent when all is committed. */
struct reply {
    struct ipc *to;
    uint64_t id;
    bool undo;  /* what was written for it before it was refused */
    bool wrote; /* not to be sent unless the commit succeeds */
    bool later; /* not now: a dry run goes on */
    int status;
    const char *type;
    char *cookie;
    char *body; /* malloc'ed */
    size_t len;
    int retry_after;
};

struct dry_run;
struct denials;

struct counters {
    uint64_t summed; /* denials that the log has as a number alone */
    uint64_t sessions, allowed, denied, released, refused, admin, errors;
};

struct vault {
    struct service_config *config;
    struct db *db;
    struct keyring keys;
    struct tenant *tenants; /* as the configuration's */
    size_t nr_tenants;
    struct ipc *control, *front, *admin;
    struct ipc *fetcher; /* NULL: none */
    struct fetch *fetch; /* what is wanted of it, or NULL */
    struct judge_peer judges[SERVICE_WORKERS_MAX];
    int64_t now_ms, mono_ms; /* of this turn: the clock, and one that does not jump */
    int64_t serial;          /* of what judges go by; grows with every change of it */
    int64_t last_event;      /* seq of the last revocation that was told */
    bool changed;            /* this turn: what judges go by */
    bool revoked;            /* this turn: something was */
    bool reload;             /* the state in memory may not be what the database has */
    bool in_transaction, failed;
    int64_t next_checkpoint, next_sweep, next_poll, next_reconnect, next_warning, next_watch;
    unsigned reconnect_wait; /* milliseconds */
    json_t *recent;          /* decisions for the status page, newest first */
    json_t *by_check;        /* {check or rule: how often it denied} */
    json_t *tcb;             /* of the last evidence that had any */
    struct dry_run *dry_run; /* under way, or NULL */
    struct denials *denials; /* of this minute, or NULL */
    size_t refused;          /* tenants, as the fronts know it */
    struct counters count;
};

static inline int64_t vault_now(const struct vault *v)
{
    return v->now_ms / 1000;
}

/* Opens the database, loads or makes keys and state. On failure the caller still calls
 * vault_close. */
enum bawn_status vault_open(struct vault *v, struct service_config *config, struct bawn_error *err);
void vault_close(struct vault *v);
/* Tenants' policies and references, from the database. */
enum bawn_status vault_load_tenants(struct vault *v, struct bawn_error *err);
struct tenant *vault_tenant(const struct vault *v, const char *name);

/* ---- What of the database is authenticated (state.c) ---- */

enum state_part { STATE_POLICY, STATE_REFERENCE, STATE_REVOKED, STATE_SIGNER, STATE_PARTS };
#define STATE_MAC 32
#define STATE_REFUSED                                                                           \
    "what the database has of this tenant is not what this service wrote: its operator has to " \
    "look at it"

/* The rows of a tenant's part, in order; BAWN_E_DENIED: after all, they are not those that were
 * sealed, and what row made of them must be forgotten. Columns: kind, name, hash, text (policies in
 * force); set, value, expires; kind, value, reason, created; key, value. */
enum bawn_status state_read(struct vault *v, const char *tenant, enum state_part part,
                            db_row_fn row, void *context, struct bawn_error *err);
enum bawn_status state_check(struct vault *v, const char *tenant, enum state_part part,
                             struct bawn_error *err);
/* In a transaction: until it ends, nobody else changes what has MACs, so that what is sealed is
 * what was checked and what was changed. BAWN_E_DENIED: the database itself would change it. */
enum bawn_status state_hold(struct vault *v, struct bawn_error *err);
/* After a change, in its transaction; it was held, and the state before was checked in it. */
enum bawn_status state_seal(struct vault *v, const char *tenant, enum state_part part,
                            struct bawn_error *err);
/* At start and for a new configuration, in a transaction of its own: seals what is new. accept: all
 * that there is. BAWN_E_DENIED: the database was altered. */
enum bawn_status state_open(struct vault *v, bool accept, struct bawn_error *err);
/* Of a database without anything in it, in the transaction that makes its log key: it has MACs from
 * the beginning. */
enum bawn_status state_begin(const struct keyring *ring, struct db *db, struct bawn_error *err);
/* Looks whether the tenants are still to be believed; if not, what memory has is read anew. */
enum bawn_status state_watch(struct vault *v, struct bawn_error *err);
/* Tells the fronts how many are not, if that is news. */
void state_tell(struct vault *v, bool anew);
/* False: OpenSSL fails. */
bool state_session_mac(const struct vault *v, const struct db_value *columns, size_t n,
                       uint8_t out[STATE_MAC]);

/* ---- Requests: each forms a reply (BAWN_OK, whatever its HTTP status), or fails, and what it
 * wrote is undone: BAWN_E_IO the database, others inside. ---- */

/* Fails with BAWN_E_DENIED for what is not there after all, BAWN_E_CONFIG for what there is no room
 * for: undone, and answered 404, 413. */
typedef enum bawn_status request_fn(struct vault *v, const struct ipc_msg *m, struct reply *r,
                                    struct bawn_error *err);

request_fn serve_session_new, serve_decide, serve_resource_get, serve_admin, serve_keys,
    serve_status, serve_bearer;

/* Both return BAWN_OK, or BAWN_E_NOMEM. kind is the last part of the error's "type". */
__attribute__((format(printf, 4, 5))) enum bawn_status reply_error(struct reply *r, int status,
                                                                   const char *kind,
                                                                   const char *fmt, ...);
/* Takes body over (malloc'ed JSON text); NULL: no memory. */
enum bawn_status reply_text(struct reply *r, int status, char *body);
/* Takes body over. */
enum bawn_status reply_json(struct reply *r, int status, json_t *body);
/* The same error with reasons (borrowed). */
enum bawn_status reply_denied(struct reply *r, int status, const char *kind, const char *detail,
                              const json_t *reasons);
void reply_clear(struct reply *r);
const char *text_of(const json_t *object, const char *name); /* NULL: not a text */

/* ---- Sessions (session.c) ---- */

struct session {
    uint8_t id[SESSION_ID];
    int64_t expires;
    const struct vault_key *key;
};

extern const char *const session_tees[]; /* ends in NULL */
/* base64 of the challenge for that session and TEE. */
enum bawn_status session_nonce(const struct session *s, const char *tenant, const char *tee,
                               char nonce[48], struct bawn_error *err);
enum bawn_status session_create(struct vault *v, const char *tenant, struct session *s,
                                char **cookie, struct bawn_error *err);
/* BAWN_E_DENIED: not this service's, not this tenant's, or expired. */
enum bawn_status session_open(const struct vault *v, const char *tenant, const char *cookie,
                              struct session *s, struct bawn_error *err);
/* The latest time (seconds) at which used sessions were forgotten that had expired. One that
 * expired before may have been used, whatever the clock says now. */
enum bawn_status session_swept(struct vault *v, int64_t *swept, struct bawn_error *err);
/* Shorter values are no measurements, and could be anything. */
#define MEASUREMENT_DIGITS 64
#define MEASUREMENT_DIGITS_MAX 128
/* The value (hex) of a revoked measurement among the claims, or NULL; a new string. */
enum bawn_status find_revoked(struct vault *v, const char *tenant, const json_t *claims,
                              char **found, struct bawn_error *err);
enum bawn_status is_revoked(struct vault *v, const char *tenant, const char *kind,
                            const char *value, bool *revoked, struct bawn_error *err);

/* ---- Denials in the log (denials.c) ---- */

/* False: it is counted, and the count will be written. what: "attest", "release"; client (may be
 * NULL) as the front names it. */
bool denial_is_written(struct vault *v, const char *tenant, const char *what, const char *client,
                       const json_t *reasons);
/* Writes the counts of a minute that is over, or (now) of this one; in a transaction of its own. */
enum bawn_status denials_sum_up(struct vault *v, bool now, struct bawn_error *err);
void denials_end(struct vault *v);

/* ---- Tokens (token.c) ---- */

/* An EAT attestation result for an allowed decision; token and jti are new strings. */
enum bawn_status token_issue(const struct vault *v, const json_t *decision, char **token,
                             char **jti, struct bawn_error *err);
/* "kid" and "jwk" of the headers of tokens that the key signs; NULL: no memory. */
json_t *token_header(const EVP_PKEY *key, const char *kid);
/* BAWN_E_DENIED, BAWN_E_FORMAT: not a token of this service and tenant, or expired. jti is a new
 * string. */
enum bawn_status token_check(const struct vault *v, const char *tenant, const char *token,
                             char **jti, struct bawn_error *err);

/* ---- Resources (resource.c) ---- */

/* "repository/type/tag" of a path with or without what stands before it; BAWN_E_FORMAT. part: each
 * a borrowed piece of buffer. */
struct resource_name {
    char path[512];
    char buffer[512];
    const char *part[3];
};
enum bawn_status resource_name(struct resource_name *name, const char *path,
                               struct bawn_error *err);

/* ---- Administration (admin*.c) ---- */

struct admin_request {
    const struct ipc_msg *m;
    const char *tenant, *method, *path, *query, *type;
    const char *rest; /* of the path, behind the route; "" */
    const struct config_admin *admin;
    struct bawn_bytes body;
};
typedef enum bawn_status admin_fn(struct vault *v, const struct admin_request *a, struct reply *r,
                                  struct bawn_error *err);

admin_fn admin_policy_set, admin_policy_get, admin_policy_activate, admin_policy_dry_run,
    admin_reference_set, admin_reference_get, admin_reference_delete, admin_signer_set,
    admin_signer_get, admin_signer_delete, admin_resource_set, admin_resource_list,
    admin_resource_delete, admin_collateral_set, admin_collateral_get, admin_revoke,
    admin_revoked_get, admin_keys_rotate, admin_log_get, admin_log_checkpoint;

/* An entry about what an administrator did; details (taken over) are added to it. */
enum bawn_status log_admin(struct vault *v, const struct admin_request *a, const char *action,
                           json_t *details, struct bawn_error *err);
/* The value of name in a query "a=1&b=2", percent-decoded; NULL: none. A new string. */
char *query_value(const char *query, const char *name);
/* Standard or URL alphabet, padded or not. */
bool base64_any(const char *text, size_t len, uint8_t **out, size_t *out_len);

/* BAWN_E_CONFIG: a tenant, or all of them by their collateral, have more than judges are given. */
enum bawn_status state_has_room(struct vault *v, const char *tenant, struct bawn_error *err);
/* A piece of the dry run under way, short enough that others need not wait for it. True: it is
 * done, and the reply is the caller's. */
bool dry_run_continue(struct vault *v, struct reply *r);
/* Takes policy over. */
enum bawn_status dry_run_begin(struct vault *v, const struct admin_request *a,
                               struct bawn_policy *policy, struct reply *r, struct bawn_error *err);
void dry_run_end(struct vault *v);

/* What judges go by has changed: a new snapshot goes out after the commit. BAWN_E_CONFIG: it
 * would be too large. */
enum bawn_status state_changed(struct vault *v, struct bawn_error *err);

/* After state_changed() and what belongs to it, in the same transaction: whether judges can be
 * given what is in force then. BAWN_E_CONFIG. */
enum bawn_status state_fits(struct vault *v, struct bawn_error *err);

/* ---- Snapshots (snapshot.c) ---- */

enum bawn_status snapshot_make(struct vault *v, json_t **json, uint8_t **blobs, size_t *len,
                               struct bawn_error *err);
/* To one judge, or (NULL) to all. A judge that cannot take it is dropped; a new one comes. */
enum bawn_status snapshot_send(struct vault *v, struct judge_peer *judge, struct bawn_error *err);
/* Tells the fronts what was revoked since last_event. */
enum bawn_status revocations_tell(struct vault *v, struct bawn_error *err);
enum bawn_status serial_read(struct vault *v, int64_t *serial, struct bawn_error *err);

/* In a transaction of the caller's. tenant NULL: for all. BAWN_E_FORMAT: for the client. A later
 * one of the same name takes the earlier one's place. */
enum bawn_status collateral_store(struct vault *v, const char *tenant, const char *name,
                                  struct bawn_bytes data, struct bawn_error *err);
/* Takes in the collateral of config->collateral.directory. Files that are none are said in the
 * journal. */
enum bawn_status collateral_scan(struct vault *v, struct bawn_error *err);

/* ---- Fetching from a mirror (fetch.c) ---- */

/* What a decision says is missing (README.md) is asked for, where a mirror is configured. True: the
 * decision has to wait for it; r (and *st) is the answer. */
bool fetch_wanted(struct vault *v, const char *tenant, const json_t *missing, struct reply *r,
                  enum bawn_status *st);
void fetch_take(struct vault *v, const struct ipc_msg *m); /* IPC_FETCHED */
void fetch_lost(struct vault *v);                          /* the process has ended */
void fetch_end(struct vault *v);

/* ---- The loop (loop.c, upkeep.c) ---- */

/* Serves one batch: what peers have sent, in one transaction; then the replies. */
enum bawn_status vault_turn(struct vault *v, bool *stop, struct bawn_error *err);
/* What time brings: reconnection, checkpoints, sweeping, other replicas' changes. Milliseconds
 * until the next of it. */
int vault_upkeep(struct vault *v);
/* Reads again what memory has of the database, and tells the judges. */
enum bawn_status vault_reload(struct vault *v, struct bawn_error *err);
void vault_clocks(struct vault *v);

#endif

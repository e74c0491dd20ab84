// SPDX-License-Identifier: Apache-2.0
/* The vault's process: opens database and keys, then serves until it is told to stop. */
#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "attest/log/log.h"
#include "attest/service/vault/vault.h"

static bool take_seq(void *context, const struct db_value *c, int n)
{
    if (n == 1 && c[0].type == DB_INT)
        *(int64_t *)context = c[0].i;
    return false;
}

enum bawn_status vault_open(struct vault *v, struct service_config *config, struct bawn_error *err)
{
    struct bawn_error large = { "" };
    enum bawn_status st;

    *v = (struct vault){ .config = config, .recent = json_array(), .by_check = json_object() };
    vault_clocks(v);
    if (!v->recent || !v->by_check)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the vault");
    st = storage_key_load(config, v->keys.storage, err);
    config_forget_storage(config);
    if (st == BAWN_OK)
        st = db_open(&v->db, config->database, err);
    if (st == BAWN_OK)
        st = keyring_load(&v->keys, v->db, config->token.algorithm, vault_now(v), err);
    if (st == BAWN_OK)
        st = state_open(v, false, err);
    if (st == BAWN_OK)
        st = collateral_scan(v, err);
    if (st == BAWN_OK)
        st = vault_load_tenants(v, err);
    /* What the database has in excess can be deleted once it runs. */
    if (st == BAWN_OK && state_fits(v, &large) != BAWN_OK)
        journal("error", "judges cannot be given the state", "{s:s}", "why", large.msg);
    if (st == BAWN_OK)
        st = db_run(v->db, "SELECT max(seq) FROM revoked", NULL, 0, take_seq, &v->last_event, NULL,
                    err);
    return st;
}

void vault_close(struct vault *v)
{
    for (size_t i = 0; i < SERVICE_WORKERS_MAX; i++)
        ipc_destroy(v->judges[i].ipc);
    ipc_destroy(v->front);
    ipc_destroy(v->admin);
    ipc_destroy(v->control);
    for (size_t i = 0; i < v->nr_tenants; i++) {
        bawn_policy_destroy(v->tenants[i].resource_policy);
        bawn_refs_destroy(v->tenants[i].refs);
        json_decref(v->tenants[i].policy);
        json_decref(v->tenants[i].revoked);
        free(v->tenants[i].refused);
    }
    free(v->tenants);
    dry_run_end(v);
    denials_end(v);
    fetch_end(v);
    keyring_wipe(&v->keys);
    db_close(v->db);
    json_decref(v->recent);
    json_decref(v->by_check);
    json_decref(v->tcb);
}

enum bawn_status service_accept_state(struct service_config *config, struct bawn_error *err)
{
    struct vault *v = calloc(1, sizeof(*v));
    enum bawn_status st;

    if (!v)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the vault");
    v->config = config;
    vault_clocks(v);
    st = storage_key_load(config, v->keys.storage, err);
    config_forget_storage(config);
    if (st == BAWN_OK)
        st = db_open(&v->db, config->database, err);
    if (st == BAWN_OK)
        st = keyring_load(&v->keys, v->db, config->token.algorithm, vault_now(v), err);
    if (st == BAWN_OK)
        st = state_open(v, true, err);
    vault_close(v);
    free(v);
    return st;
}

static enum bawn_status connect_peers(struct vault *v, const struct service_fds *fds,
                                      struct bawn_error *err)
{
    v->control = ipc_create(fds->control);
    v->front = ipc_create(fds->front);
    v->admin = fds->admin >= 0 ? ipc_create(fds->admin) : NULL;
    if (!v->control || !v->front || (fds->admin >= 0 && !v->admin))
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the vault's peers");
    state_tell(v, true);
    return BAWN_OK;
}

static enum bawn_status serve(struct vault *v, struct bawn_error *err)
{
    bool stop = false;
    enum bawn_status st =
        ipc_send(v->control, IPC_READY, 0, NULL, (struct bawn_bytes){ 0 }, -1, err);

    if (st == BAWN_OK)
        st = ipc_flush(v->control, err);
    while (st == BAWN_OK && !stop)
        st = vault_turn(v, &stop, err);
    return st;
}

int vault_main(struct service_config *config, const struct service_fds *fds)
{
    struct bawn_error err = { "" }, late = { "" };
    struct vault *v = calloc(1, sizeof(*v));
    bool wrong;
    uint8_t random;
    enum bawn_status st = BAWN_E_NOMEM;

    if (!v)
        return 1;
    st = vault_open(v, config, &err);
    wrong = st == BAWN_E_CONFIG;
    if (st == BAWN_OK)
        st = connect_peers(v, fds, &err);
    if (st == BAWN_OK &&
        RAND_bytes(&random, 1) == 1) /* opens what it needs before the door shuts */
        st = service_confine(config, ROLE_VAULT, &err);
    if (st == BAWN_OK)
        st = serve(v, &err);
    config = v->config ? v->config : config; /* a reload may have brought another */
    if (v->db && !db_lost(v->db) && denials_sum_up(v, true, &late) != BAWN_OK)
        journal("error", "the last denials are not summed up", "{s:s}", "why", late.msg);
    if (v->db && keyring_current(&v->keys, KEY_LOG) && !db_lost(v->db) &&
        log_checkpoint(v->db, keyring_current(&v->keys, KEY_LOG)->pkey, config->log.origin,
                       &late) != BAWN_OK)
        journal("error", "no last checkpoint", "{s:s}", "why", late.msg);
    if (st != BAWN_OK)
        journal("error", "the vault ends", "{s:s}", "why", err.msg);
    vault_close(v);
    config_destroy(config);
    free(v);
    return st == BAWN_OK ? 0 : wrong ? SERVICE_EXIT_CONFIG : 1;
}

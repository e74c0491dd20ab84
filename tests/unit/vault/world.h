/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of judge and vault: a configuration with two tenants and a real SQLite database in a
 * folder of its own, a guest of the secure processor's model that signs reports under its test
 * root, and the requests of guests and administrators. The clock is the vault's, and can be put.
 */
#ifndef TESTS_UNIT_VAULT_WORLD_H
#define TESTS_UNIT_VAULT_WORLD_H

#include "attest/jose/jose.h"
#include "attest/service/judge/judge.h"
#include "attest/service/vault/vault.h"
#include "tests/unit/firmware/rig.h"

#define SECRET_TEXT "correct horse battery staple"
/* SHA-256 of administrators' certificates: blue's author, owner, auditor; red's, who may do all. */
#define AUTHOR "1111111111111111111111111111111111111111111111111111111111111111"
#define OWNER "2222222222222222222222222222222222222222222222222222222222222222"
#define AUDITOR "3333333333333333333333333333333333333333333333333333333333333333"
#define RED "4444444444444444444444444444444444444444444444444444444444444444"

struct guest {
    EVP_PKEY *key;
    json_t *jwk;
    char *cookie, *nonce, *token;
};

struct world {
    char dir[64];
    struct service_config *config;
    struct vault v;
    struct judge *judge;
    struct rig rig;
    struct driver driver;
    struct psp_blob files[PSP_ENDORSEMENTS];
    bool hold;  /* a dry run is not waited for */
    int status; /* of the last answer */
    char *cookie;
    json_t *body;
    char *text;         /* the body, as sent */
    struct guest guest; /* WORLD_TEST */
};

/* A test whose *state is a world with a guest. */
#define WORLD_TEST(test) cmocka_unit_test_setup_teardown(test, world_begin, world_end)
int world_begin(void **state);
int world_end(void **state);

void world_create(struct world *w);
/* With a guest that was launched with this host data; NULL: some. */
void world_create_for(struct world *w, const uint8_t host_data[32]);
void world_destroy(struct world *w);
/* The judge's snapshot, anew. */
void world_snapshot(struct world *w);
/* The vault is closed and opened, as after a crash. */
void world_restart(struct world *w);
/* The same, with one more root for both tenants (PEM). */
void world_trust(struct world *w, struct bawn_bytes root);

/* One request in a transaction of its own; the answer is in the world. Takes json over. */
int ask(struct world *w, request_fn *serve, json_t *json, const void *body, size_t len);
int admin(struct world *w, const char *tenant, const char *identity, const char *method,
          const char *path, const char *body);

struct guest guest_create(void);
void guest_destroy(struct guest *g);
/* POST auth. */
void guest_session(struct world *w, struct guest *g, const char *tenant, const char *tee);
/* The hash that binds evidence to that runtime data, and a report with this in it. */
void guest_hash(const json_t *bound, const EVP_MD *md, uint8_t data[64]);
void guest_report(struct world *w, const uint8_t data[64], struct bawn_snp_report *report);
/* The body of POST attest: the runtime data with this nonce and key, and a report whose report data
 * is the hash of what `bound` has. */
json_t *guest_runtime(const struct guest *g);
json_t *guest_body(struct world *w, const json_t *runtime, const json_t *bound);
/* Judges and decides. */
int guest_send(struct world *w, const char *tenant, const char *cookie, const json_t *body);
/* All of it, rightly; the token is the guest's. */
int guest_attest(struct world *w, struct guest *g, const char *tenant);
int guest_resource(struct world *w, const struct guest *g, const char *tenant, bool by_token);

/* Whether one of the last answer's reasons, or its detail, has this in it. */
bool says(const struct world *w, const char *text);
/* The n-th entry of the log, or NULL. */
json_t *log_entry(struct world *w, uint64_t seq);
uint64_t log_count(struct world *w);

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * Tokens: EAT attestation results (draft-ietf-rats-ear) as Confidential Containers' Trustee shapes
 * them: one submodule "cpu0", the guest's key in its annotated evidence. The guest's key and claims
 * come from a judge's decision that was allowed.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "attest/jose/jose.h"
#include "attest/service/vault/vault.h"

#define PROFILE "tag:github.com,2024:confidential-containers/Trustee"
#define DEVELOPER "bawn"
#define TOKENS_MAX (64u << 10)

static const char *algorithm_of(const EVP_PKEY *key)
{
    return EVP_PKEY_get_bits(key) > 256 ? "ES384" : "ES256";
}

static json_t *submodule(const json_t *d)
{
    const char *id = text_of(json_object_get(d, "policy"), "id"), *status = text_of(d, "status");
    json_t *evidence = json_pack(
        "{s:O, s:O, s:O?}", "runtime_data_claims", json_object_get(d, "runtime_data"), "policy",
        json_object_get(d, "policy"), "init_data", json_object_get(d, "init_data"));

    if (evidence && text_of(d, "tee"))
        json_object_set(evidence, text_of(d, "tee"), json_object_get(d, "claims"));
    return json_pack("{s:s, s:O, s:s, s:o}", "ear.status", status ? status : "none",
                     "ear.trustworthiness-vector", json_object_get(d, "vector"),
                     "ear.appraisal-policy-id", id ? id : "", "ear.veraison.annotated-evidence",
                     evidence);
}

static json_t *payload_of(const struct vault *v, const json_t *d, const char *jti)
{
    int64_t now = vault_now(v);

    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:{s:s, s:s}, s:O, s:{s:o}}",
                     "eat_profile", PROFILE, "iss", v->config->token.issuer, "iat", (json_int_t)now,
                     "nbf", (json_int_t)now, "exp", (json_int_t)now + v->config->token.lifetime,
                     "jti", jti, "tenant", text_of(d, "tenant"), "ear.verifier-id", "developer",
                     DEVELOPER, "build", "bawn-attestd", "tee-pubkey",
                     json_object_get(d, "tee_pubkey"), "submods", "cpu0", submodule(d));
}

json_t *token_header(const EVP_PKEY *key, const char *kid)
{
    json_t *jwk = jwk_from(key, algorithm_of(key), "sig");

    return jwk ? json_pack("{s:s, s:o}", "kid", kid, "jwk", jwk) : NULL;
}

enum bawn_status token_issue(const struct vault *v, const json_t *decision, char **token,
                             char **jti, struct bawn_error *err)
{
    const struct vault_key *key = keyring_current(&v->keys, KEY_TOKEN);
    uint8_t random[16];
    json_t *payload;
    enum bawn_status st;

    *token = NULL;
    *jti = NULL;
    if (!key || RAND_bytes(random, sizeof(random)) != 1)
        return bawn_fail(err, BAWN_E_INTERNAL, "no token key, or no random numbers");
    *jti = b64url_encode(random, sizeof(random));
    payload = *jti ? payload_of(v, decision, *jti) : NULL;
    st = payload ? jwt_sign(key->pkey, payload, key->header, token, err)
                 : bawn_fail(err, BAWN_E_NOMEM, "no memory for a token");
    json_decref(payload);
    if (st != BAWN_OK) {
        free(*jti);
        *jti = NULL;
    }
    return st;
}

enum bawn_status token_check(const struct vault *v, const char *tenant, const char *token,
                             char **jti, struct bawn_error *err)
{
    struct jwt_key keys[64];
    json_t *payload = NULL;
    const char *of, *issuer, *id;
    size_t n = 0, len = strlen(token);
    enum bawn_status st;

    *jti = NULL;
    if (len > TOKENS_MAX)
        return bawn_fail(err, BAWN_E_FORMAT, "the token is too long");
    for (size_t i = v->keys.n; i-- > 0 && n < 64;)
        if (v->keys.key[i].kind == KEY_TOKEN)
            keys[n++] = (struct jwt_key){ v->keys.key[i].kid, v->keys.key[i].pkey };
    st = jwt_verify(token, len, keys, n, vault_now(v), &payload, err);
    if (st != BAWN_OK)
        return st;
    of = text_of(payload, "tenant");
    issuer = text_of(payload, "iss");
    id = text_of(payload, "jti");
    if (!of || strcmp(of, tenant) != 0)
        st = bawn_fail(err, BAWN_E_DENIED, "the token is of another tenant");
    else if (!issuer || strcmp(issuer, v->config->token.issuer) != 0 || !id)
        st = bawn_fail(err, BAWN_E_DENIED, "the token is of another issuer");
    else if (!(*jti = strdup(id)))
        st = bawn_fail(err, BAWN_E_NOMEM, "no memory for a token");
    json_decref(payload);
    return st;
}

/* ---- GET .well-known/jwks.json ---- */

enum bawn_status serve_keys(struct vault *v, const struct ipc_msg *m, struct reply *r,
                            struct bawn_error *err)
{
    json_t *list = json_array();

    (void)m, (void)err;
    for (size_t i = 0; i < v->keys.n; i++) {
        const struct vault_key *k = &v->keys.key[i];

        if (k->kind == KEY_TOKEN &&
            (!k->retired || k->retired + v->config->token.lifetime > vault_now(v)))
            json_array_append_new(list, jwk_from(k->pkey, algorithm_of(k->pkey), "sig"));
    }
    return reply_json(r, 200, json_pack("{s:o}", "keys", list));
}

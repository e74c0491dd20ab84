// SPDX-License-Identifier: Apache-2.0
/*
 * Reference values: JSON (plain, or KBS's message), and CoRIM signed by a key that the tenant's
 * policy authors have named as a signer.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>

#include "attest/corim/corim.h"
#include "attest/jose/jose.h"
#include "attest/service/vault/vault.h"

#define NAME_MAX_LEN 256
#define VALUE_MAX_LEN 4096
#define SIGNERS_MAX 16

/* ---- Storing ---- */

struct taking {
    struct vault *v;
    const struct admin_request *a;
    const char *source;
    unsigned n;
};

/* BAWN_E_FORMAT: for the client. */
static enum bawn_status take_value(void *context, const char *set, const char *value,
                                   int64_t expires, struct bawn_error *err)
{
    struct taking *t = context;

    if (!*set || strlen(set) > NAME_MAX_LEN || !*value || strlen(value) > VALUE_MAX_LEN ||
        expires < 0)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "a reference value has a name of 1 to %d characters, a value of 1 to %d, "
                         "and a time that is not negative",
                         NAME_MAX_LEN, VALUE_MAX_LEN);
    t->n++;
    return db_run(t->v->db,
                  "INSERT INTO reference (tenant, set_name, value, expires, source, created)"
                  " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, set_name, value)"
                  " DO UPDATE SET expires = $4, source = $5, created = $6",
                  (struct db_value[]){ db_text(t->a->tenant), db_text(set), db_text(value),
                                       db_int(expires), db_text(t->source),
                                       db_int(vault_now(t->v)) },
                  6, NULL, NULL, NULL, err);
}

/* A text, a number, a boolean, or {"value", "expires"}. */
static enum bawn_status take_json_value(struct taking *t, const char *set, const json_t *value,
                                        struct bawn_error *err)
{
    int64_t expires = 0;
    char number[32];

    if (json_is_object(value)) {
        expires = json_integer_value(json_object_get(value, "expires"));
        value = json_object_get(value, "value");
    }
    if (json_is_string(value))
        return take_value(t, set, json_string_value(value), expires, err);
    if (json_is_boolean(value))
        return take_value(t, set, json_is_true(value) ? "true" : "false", expires, err);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "%.64s: a reference value is a text, a whole number, true or false, or "
                         "{\"value\", \"expires\"}",
                         set);
    snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
    return take_value(t, set, number, expires, err);
}

/* {"name": value or [values]} */
static enum bawn_status take_sets(struct taking *t, const json_t *sets, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;
    const char *set;
    json_t *values, *value;
    size_t i;

    if (!json_is_object(sets))
        return bawn_fail(err, BAWN_E_FORMAT, "reference values are {\"name\": [values]}");
    json_object_foreach((json_t *)(uintptr_t)sets, set, values)
    {
        if (!json_is_array(values)) {
            st = take_json_value(t, set, values, err);
        } else {
            json_array_foreach(values, i, value)
            {
                st = take_json_value(t, set, value, err);
                if (st != BAWN_OK)
                    return st;
            }
        }
        if (st != BAWN_OK)
            return st;
    }
    return BAWN_OK;
}

/* ---- Signers: public keys in the meta table ---- */

struct signers {
    EVP_PKEY *key[SIGNERS_MAX];
    size_t n;
};

static void signer_key(const char *tenant, const char *name, char key[512])
{
    snprintf(key, 512, "signer/%s/%s", tenant, name);
}

static EVP_PKEY *key_of_pem(const void *data, size_t len)
{
    BIO *bio = BIO_new_mem_buf(data, (int)len);
    EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;

    BIO_free(bio);
    return key;
}

static bool take_signer(void *context, const struct db_value *c, int n)
{
    struct signers *s = context;

    if (n == 2 && s->n < SIGNERS_MAX) {
        EVP_PKEY *key = key_of_pem(c[1].bytes.data, c[1].bytes.len);

        if (key)
            s->key[s->n++] = key;
    }
    return true;
}

static enum bawn_status take_corim(struct taking *t, struct bawn_bytes file, struct bawn_error *err)
{
    struct signers s = { 0 };
    enum bawn_status st = state_read(t->v, t->a->tenant, STATE_SIGNER, take_signer, &s, err);

    if (st == BAWN_OK && !s.n)
        st = bawn_fail(err, BAWN_E_FORMAT,
                       "no signer is named whose CoRIM could be taken: POST a public key (PEM) to "
                       "reference-value-signer/<name> first");
    else if (st == BAWN_OK)
        st = corim_read(file, s.key, s.n, vault_now(t->v), take_value, t, err);
    for (size_t i = 0; i < s.n; i++)
        EVP_PKEY_free(s.key[i]);
    return st;
}

enum bawn_status admin_signer_set(struct vault *v, const struct admin_request *a, struct reply *r,
                                  struct bawn_error *err)
{
    EVP_PKEY *key = key_of_pem(a->body.data, a->body.len);
    char name[512], *pem;
    enum bawn_status st;

    if (!key || !*a->rest || strlen(a->rest) > 128 || strchr(a->rest, '/')) {
        EVP_PKEY_free(key);
        return reply_error(r, 400, "InvalidRequest",
                           "POST a public key in PEM to reference-value-signer/<name>");
    }
    EVP_PKEY_free(key);
    pem = strndup((const char *)a->body.data, a->body.len);
    signer_key(a->tenant, a->rest, name);
    st = pem ? db_run(v->db,
                      "INSERT INTO meta (key, value) VALUES ($1, $2)"
                      " ON CONFLICT (key) DO UPDATE SET value = $2",
                      (struct db_value[]){ db_text(name), db_text(pem) }, 2, NULL, NULL, NULL, err)
             : bawn_fail(err, BAWN_E_NOMEM, "no memory for a key");
    free(pem);
    if (st == BAWN_OK)
        st = log_admin(v, a, "signer.set", json_pack("{s:s}", "signer", a->rest), err);
    return st == BAWN_OK ? reply_json(r, 200, json_pack("{s:s}", "signer", a->rest)) : st;
}

static bool list_signer(void *context, const struct db_value *c, int n)
{
    const char *name = n == 2 ? strrchr((const char *)c[0].bytes.data, '/') : NULL;

    if (name)
        json_object_set_new(context, name + 1, json_string((const char *)c[1].bytes.data));
    return true;
}

enum bawn_status admin_signer_get(struct vault *v, const struct admin_request *a, struct reply *r,
                                  struct bawn_error *err)
{
    json_t *signers = json_object();
    enum bawn_status st = state_read(v, a->tenant, STATE_SIGNER, list_signer, signers, err);

    if (st == BAWN_OK)
        return reply_json(r, 200, json_pack("{s:o}", "signers", signers));
    json_decref(signers);
    return st;
}

enum bawn_status admin_signer_delete(struct vault *v, const struct admin_request *a,
                                     struct reply *r, struct bawn_error *err)
{
    struct db_value name;
    char key[512];
    int64_t changed = 0;
    enum bawn_status st;

    signer_key(a->tenant, a->rest, key);
    name = db_text(key);
    if (!*a->rest || strchr(a->rest, '/'))
        return reply_error(r, 404, "SignerNotFound", "there is no such signer");
    st = db_run(v->db, "DELETE FROM meta WHERE key = $1", &name, 1, NULL, NULL, &changed, err);
    if (st == BAWN_OK && !changed)
        return reply_error(r, 404, "SignerNotFound", "there is no such signer");
    if (st == BAWN_OK)
        st = log_admin(v, a, "signer.delete", json_pack("{s:s}", "signer", a->rest), err);
    return st == BAWN_OK ? reply_json(r, 200, json_pack("{s:s}", "signer", a->rest)) : st;
}

/* ---- POST ---- */

/* KBS's message: {"version", "type": "sample" or "corim", "payload": base64}. */
static enum bawn_status take_message(struct taking *t, const json_t *message,
                                     struct bawn_error *err)
{
    const char *type = text_of(message, "type");
    const json_t *payload = json_object_get(message, "payload");
    struct bawn_bytes bytes;
    json_t *sets = NULL;
    uint8_t *data;
    enum bawn_status st;

    if (!base64_any(json_string_value(payload), json_string_length(payload), &data, &bytes.len))
        return bawn_fail(err, BAWN_E_FORMAT, "\"payload\" must be base64");
    bytes.data = data;
    if (!strcmp(type, "corim")) {
        t->source = "corim";
        st = take_corim(t, bytes, err);
    } else if (!strcmp(type, "sample")) {
        st = json_read(bytes, &sets, err);
        if (st == BAWN_OK)
            st = take_sets(t, sets, err);
    } else {
        st = bawn_fail(err, BAWN_E_FORMAT,
                       "reference values of type %.20s are not served: "
                       "\"sample\" or \"corim\"",
                       type);
    }
    json_decref(sets);
    free(data);
    return st;
}

static enum bawn_status take_body(struct taking *t, struct bawn_error *err)
{
    const char *type = t->a->type ? t->a->type : "";
    json_t *json = NULL;
    enum bawn_status st;

    if (strstr(type, "cbor")) { /* application/rim+cbor, application/corim+cbor, ... */
        t->source = "corim";
        return take_corim(t, t->a->body, err);
    }
    st = json_read(t->a->body, &json, err);
    if (st != BAWN_OK)
        return st;
    t->source = "json";
    if (text_of(json, "type") && json_is_string(json_object_get(json, "payload")))
        st = take_message(t, json, err);
    else if (*t->a->rest && !json_is_object(json)) { /* reference-value/<set>: values alone */
        json_t *sets = json_object();

        json_object_set(sets, t->a->rest, json);
        st = take_sets(t, sets, err);
        json_decref(sets);
    } else
        st = take_sets(t, json, err);
    json_decref(json);
    return st;
}

enum bawn_status admin_reference_set(struct vault *v, const struct admin_request *a,
                                     struct reply *r, struct bawn_error *err)
{
    struct taking t = { v, a, "json", 0 };
    struct bawn_error why = { "" };
    enum bawn_status st = take_body(&t, &why);

    if (st == BAWN_E_FORMAT || st == BAWN_E_UNSUPPORTED || st == BAWN_E_DENIED) {
        r->undo = true;
        return reply_error(r, 400, "InvalidReferenceValue", "%s", why.msg);
    }
    if (st != BAWN_OK) {
        *err = why;
        return st;
    }
    st = log_admin(v, a, "reference.set",
                   json_pack("{s:i, s:s}", "values", (int)t.n, "source", t.source), err);
    if (st == BAWN_OK)
        st = state_has_room(v, a->tenant, err);
    if (st == BAWN_OK)
        st = state_changed(v, err);
    return st == BAWN_OK ? reply_json(r, 200, json_pack("{s:i}", "values", (int)t.n)) : st;
}

/* ---- GET, DELETE ---- */

static bool list_reference(void *context, const struct db_value *c, int n)
{
    const char *set = (const char *)c[0].bytes.data;
    json_t *list = json_object_get(context, set);

    if (n != 4)
        return true;
    if (!list) {
        list = json_array();
        json_object_set_new(context, set, list);
    }
    json_array_append_new(list, json_pack("{s:s, s:I, s:s}", "value", c[1].bytes.data, "expires",
                                          (json_int_t)c[2].i, "source", c[3].bytes.data));
    return true;
}

/* {"name": [{"value", "expires", "source"}]}. */
enum bawn_status admin_reference_get(struct vault *v, const struct admin_request *a,
                                     struct reply *r, struct bawn_error *err)
{
    struct db_value params[] = { db_text(a->tenant), db_text(a->rest) };
    json_t *sets = json_object();
    enum bawn_status st = *a->rest ? db_run(v->db,
                                            "SELECT set_name, value, expires, source FROM reference"
                                            " WHERE tenant = $1 AND set_name = $2 ORDER BY value",
                                            params, 2, list_reference, sets, NULL, err)
                                   : db_run(v->db,
                                            "SELECT set_name, value, expires, source FROM reference"
                                            " WHERE tenant = $1 ORDER BY set_name, value",
                                            params, 1, list_reference, sets, NULL, err);

    if (st == BAWN_OK && *a->rest && !json_object_size(sets)) {
        json_decref(sets);
        return reply_error(r, 404, "ReferenceValueNotFound", "there is no such set");
    }
    if (st == BAWN_OK)
        return reply_json(r, 200, sets);
    json_decref(sets);
    return st;
}

enum bawn_status admin_reference_delete(struct vault *v, const struct admin_request *a,
                                        struct reply *r, struct bawn_error *err)
{
    char *value = query_value(a->query, "value");
    struct db_value params[] = { db_text(a->tenant), db_text(a->rest), db_text(value) };
    int64_t changed = 0;
    enum bawn_status st =
        db_run(v->db,
               value ? "DELETE FROM reference WHERE tenant = $1 AND set_name = $2 AND value = $3"
                     : "DELETE FROM reference WHERE tenant = $1 AND set_name = $2",
               params, value ? 3 : 2, NULL, NULL, &changed, err);

    if (st == BAWN_OK && !changed) {
        free(value);
        return reply_error(r, 404, "ReferenceValueNotFound", "there is no such value");
    }
    if (st == BAWN_OK)
        st = log_admin(v, a, "reference.delete",
                       json_pack("{s:s, s:s?}", "set", a->rest, "value", value), err);
    free(value);
    if (st == BAWN_OK)
        st = state_changed(v, err);
    return st == BAWN_OK ? reply_json(r, 200, json_pack("{s:I}", "deleted", (json_int_t)changed))
                         : st;
}

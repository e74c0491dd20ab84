// SPDX-License-Identifier: Apache-2.0
/*
 * The body of POST attest (KBS attestation protocol 0.4.0, "Attestation"; 0.1 to 0.3 where the
 * evidence stands without its wrapper). Hostile; what is not as the protocol has it is refused
 * with the member's name.
 */
#include "attest/service/judge/judge.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "attest/jose/jose.h"

#define NONCE_MAX 128
#define GIVEN_MAX 32
#define RUNTIME_DATA_MAX (64u << 10) /* as text: its canonical form is dear, and a key is short */

/* ---- Base64, either alphabet, padded or not ---- */

static bool from_base64(const char *text, size_t len, uint8_t **out, size_t *out_len)
{
    char *url = malloc(len + 1);
    bool ok;

    if (!url)
        return false;
    while (len && text[len - 1] == '=')
        len--;
    for (size_t i = 0; i < len; i++)
        url[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
    url[len] = '\0';
    ok = b64url_decode(url, len, out, out_len, NULL) == BAWN_OK;
    free(url);
    return ok;
}

/* ---- Parts ---- */

static enum bawn_status take_runtime_data(struct judge_request *r, struct bawn_error *err)
{
    const json_t *nonce;
    EVP_PKEY *key = NULL;
    enum bawn_status st;

    r->runtime_data = json_object_get(r->root, "runtime-data");
    if (!json_is_object(r->runtime_data))
        return bawn_fail(err, BAWN_E_FORMAT,
                         "\"runtime-data\" must be an object with \"nonce\" and \"tee-pubkey\"");
    if (json_dumpb(r->runtime_data, NULL, 0, JSON_COMPACT) > RUNTIME_DATA_MAX)
        return bawn_fail(err, BAWN_E_FORMAT, "\"runtime-data\" is larger than %u bytes",
                         RUNTIME_DATA_MAX);
    nonce = json_object_get(r->runtime_data, "nonce");
    if (!json_is_string(nonce) || !json_string_length(nonce) ||
        json_string_length(nonce) > NONCE_MAX ||
        strlen(json_string_value(nonce)) != json_string_length(nonce))
        return bawn_fail(err, BAWN_E_FORMAT,
                         "\"runtime-data.nonce\" must be the challenge's nonce, as it was sent");
    r->nonce = json_string_value(nonce);
    r->tee_pubkey = json_object_get(r->runtime_data, "tee-pubkey");
    if (!json_is_object(r->tee_pubkey))
        return bawn_fail(err, BAWN_E_FORMAT, "\"runtime-data.tee-pubkey\" must be a JWK");
    st = jwk_public(r->tee_pubkey, JWK_ENCRYPT, &key, err);
    EVP_PKEY_free(key);
    if (st != BAWN_OK)
        return st == BAWN_E_NOMEM ? st : BAWN_E_FORMAT;
    return json_canonical(r->runtime_data, &r->runtime_text, &r->runtime_len, err);
}

static enum bawn_status take_init_data(struct judge_request *r, struct bawn_error *err)
{
    const json_t *init = json_object_get(r->root, "init-data"), *format, *body;

    if (!init || json_is_null(init))
        return BAWN_OK;
    format = json_object_get(init, "format");
    body = json_object_get(init, "body");
    if (!json_is_string(format) || !json_is_string(body))
        return bawn_fail(err, BAWN_E_FORMAT, "\"init-data\" must have \"format\" and \"body\"");
    r->init_data = init;
    r->init_format = json_string_value(format);
    r->init_body = json_string_value(body);
    r->init_len = json_string_length(body);
    if (strcmp(r->init_format, "json") && strcmp(r->init_format, "toml"))
        return bawn_fail(err, BAWN_E_FORMAT, "\"init-data.format\" must be \"json\" or \"toml\"");
    return BAWN_OK;
}

static enum bawn_status give(struct judge_request *r, uint8_t *data, size_t len,
                             struct bawn_error *err)
{
    if (!r->given)
        r->given = calloc(GIVEN_MAX, sizeof(*r->given));
    if (!r->given_len)
        r->given_len = calloc(GIVEN_MAX, sizeof(*r->given_len));
    if (!data || !r->given || !r->given_len || r->nr_given == GIVEN_MAX) {
        bool full = r->nr_given == GIVEN_MAX;

        free(data);
        return full ? bawn_fail(err, BAWN_E_FORMAT, "more than %d endorsements", GIVEN_MAX)
                    : bawn_fail(err, BAWN_E_NOMEM, "no memory for endorsements");
    }
    r->given[r->nr_given] = data;
    r->given_len[r->nr_given++] = len;
    return BAWN_OK;
}

/* Collateral beside the evidence: an object, or text (PEM, JSON, base64), or an array of these. */
static enum bawn_status take_endorsement(struct judge_request *r, const json_t *value,
                                         struct bawn_error *err)
{
    uint8_t *data = NULL;
    size_t len;

    if (json_is_object(value)) {
        data = (uint8_t *)json_text(value, &len);
        return give(r, data, data ? len : 0, err);
    }
    if (!json_is_string(value))
        return bawn_fail(err, BAWN_E_FORMAT,
                         "\"collateral\" must be an object, PEM or base64, or an array of these");
    len = json_string_length(value);
    if (from_base64(json_string_value(value), len, &data, &len))
        return give(r, data, len, err);
    data = malloc(len + 1);
    if (data)
        memcpy(data, json_string_value(value), len + 1);
    return give(r, data, len, err);
}

static enum bawn_status take_collateral(struct judge_request *r, const json_t *value,
                                        struct bawn_error *err)
{
    const json_t *element;
    size_t i;

    if (!value || json_is_null(value))
        return BAWN_OK;
    if (!json_is_array(value))
        return take_endorsement(r, value, err);
    json_array_foreach(value, i, element)
    {
        enum bawn_status st = take_endorsement(r, element, err);

        if (st != BAWN_OK)
            return st;
    }
    return BAWN_OK;
}

/* The evidence itself: an object in one of the forms that libbawn-attest knows, the same as text,
 * or base64 of a report or quote. */
static enum bawn_status take_primary(struct judge_request *r, const json_t *value,
                                     struct bawn_error *err)
{
    const char *text;
    size_t len;

    if (json_is_object(value)) {
        enum bawn_status st = take_collateral(r, json_object_get(value, "collateral"), err);

        if (st != BAWN_OK)
            return st;
        r->evidence = (uint8_t *)json_text(value, &r->evidence_len);
        if (!r->evidence)
            return bawn_fail(err, BAWN_E_NOMEM, "no memory for the evidence");
        r->kind = BAWN_EVIDENCE_JSON;
        return BAWN_OK;
    }
    if (!json_is_string(value) || !json_string_length(value))
        return bawn_fail(err, BAWN_E_FORMAT,
                         "\"tee-evidence.primary_evidence\" must be an object, or its text");
    text = json_string_value(value);
    len = json_string_length(value);
    if (text[0] != '{' && from_base64(text, len, &r->evidence, &r->evidence_len)) {
        r->kind = r->evidence_len && r->evidence[0] == '{' ? BAWN_EVIDENCE_JSON : BAWN_EVIDENCE_ANY;
        return BAWN_OK;
    }
    if (text[0] != '{')
        return bawn_fail(err, BAWN_E_FORMAT, "the evidence is neither JSON nor base64");
    r->evidence = malloc(len + 1);
    if (!r->evidence)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the evidence");
    memcpy(r->evidence, text, len + 1);
    r->evidence_len = len;
    r->kind = BAWN_EVIDENCE_JSON;
    return BAWN_OK;
}

/* "" and "{}" say that there is none. */
static bool says_none(const json_t *additional)
{
    const char *text = json_string_value(additional);

    if (!additional || json_is_null(additional))
        return true;
    if (json_is_object(additional))
        return !json_object_size(additional);
    return text && (!*text || !strcmp(text, "{}"));
}

static enum bawn_status take_evidence(struct judge_request *r, struct bawn_error *err)
{
    const json_t *evidence = json_object_get(r->root, "tee-evidence");
    const json_t *primary = json_object_get(evidence, "primary_evidence");

    if (!evidence)
        return bawn_fail(err, BAWN_E_FORMAT, "\"tee-evidence\" is missing");
    r->additional_text = json_string_value(json_object_get(evidence, "additional_evidence"));
    r->additional = !says_none(json_object_get(evidence, "additional_evidence"));
    return take_primary(r, primary ? primary : evidence, err);
}

/* ---- Public ---- */

enum bawn_status judge_request_read(struct judge_request *r, struct bawn_bytes body,
                                    struct bawn_error *err)
{
    enum bawn_status st;

    *r = (struct judge_request){ 0 };
    st = json_read(body, &r->root, err);
    if (st == BAWN_OK && !json_is_object(r->root))
        st = bawn_fail(err, BAWN_E_FORMAT, "the body must be a JSON object");
    if (st == BAWN_OK)
        st = take_runtime_data(r, err);
    if (st == BAWN_OK)
        st = take_init_data(r, err);
    if (st == BAWN_OK)
        st = take_evidence(r, err);
    if (st != BAWN_OK)
        judge_request_clear(r);
    return st;
}

void judge_request_clear(struct judge_request *r)
{
    for (size_t i = 0; i < r->nr_given; i++)
        free(r->given[i]);
    free(r->given);
    free(r->given_len);
    free(r->evidence);
    free(r->runtime_text);
    json_decref(r->root);
    *r = (struct judge_request){ 0 };
}

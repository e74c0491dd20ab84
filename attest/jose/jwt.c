// SPDX-License-Identifier: Apache-2.0
/*
 * Tokens in compact form (RFC 7515, 7519), signed with ECDSA. Which algorithm checks a signature
 * follows from the key that was chosen, never from the token: "none", HMAC under a public key or
 * another curve's algorithm have no code that could take them.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>

#include "attest/jose/internal.h"

enum {
    TOKEN_MAX = 1 << 20,
    SIGNATURE_MAX = 2 * 48, /* P-384 */
    LEEWAY = 60,            /* seconds that clocks may differ */
};

static const struct jose_curve *signing_curve(const EVP_PKEY *key)
{
    const struct jose_curve *curve = jose_curve_of(key);

    return curve && curve->alg ? curve : NULL;
}

/* ---- Signing ---- */

/* RFC 7518, 3.4: the two numbers at their full width. */
static int raw_of(const uint8_t *der, size_t len, size_t size, uint8_t *raw)
{
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)len);
    int good = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, (int)size) >= 0 &&
               BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + size, (int)size) >= 0;

    ECDSA_SIG_free(sig);
    return good;
}

static char *sign(EVP_PKEY *key, const char *input)
{
    const struct jose_curve *curve = signing_curve(key);
    uint8_t der[SIGNATURE_MAX + 16], raw[SIGNATURE_MAX];
    size_t len = sizeof(der);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    char *encoded = NULL;

    if (ctx && EVP_DigestSignInit_ex(ctx, NULL, curve->hash, NULL, NULL, key, NULL) > 0 &&
        EVP_DigestSign(ctx, der, &len, (const uint8_t *)input, strlen(input)) > 0 &&
        raw_of(der, len, curve->size, raw))
        encoded = b64url_encode(raw, 2 * curve->size);
    EVP_MD_CTX_free(ctx);
    return encoded;
}

static json_t *header_for(EVP_PKEY *key, const json_t *more)
{
    /* jansson's update takes no const, and changes nothing of it. */
    json_t *added = (json_t *)(uintptr_t)more, *header = json_object();
    char *kid = json_object_get(more, "kid") ? NULL : jwk_thumbprint(key);

    if (!header || (added && json_object_update(header, added)) ||
        json_object_set_new(header, "alg", json_string(signing_curve(key)->alg)) ||
        (!json_object_get(header, "kid") && json_object_set_new(header, "kid", json_string(kid))) ||
        (!json_object_get(header, "typ") &&
         json_object_set_new(header, "typ", json_string("JWT")))) {
        json_decref(header);
        header = NULL;
    }
    free(kid);
    return header;
}

/* Not the canonical form, which has none for the largest integers. */
static char *payload_b64(const json_t *payload)
{
    size_t len = 0;
    char *text = json_text(payload, &len);
    char *encoded = text ? b64url_encode(text, len) : NULL;

    free(text);
    return encoded;
}

enum bawn_status jwt_sign(EVP_PKEY *key, const json_t *payload, const json_t *header, char **token,
                          struct bawn_error *err)
{
    json_t *full;
    char *head = NULL, *body = NULL, *sig = NULL, *input = NULL;
    enum bawn_status status = BAWN_OK;

    *token = NULL;
    if (!signing_curve(key))
        return bawn_fail(err, BAWN_E_UNSUPPORTED, "tokens are signed by a key on P-256 or P-384");
    if (!json_is_object(payload))
        return bawn_fail(err, BAWN_E_FORMAT, "a token's payload is a JSON object");
    full = header_for(key, header);
    if (full) {
        head = jose_b64_json(full);
        body = payload_b64(payload);
    }
    if (head && body && asprintf(&input, "%s.%s", head, body) < 0)
        input = NULL;
    sig = input ? sign(key, input) : NULL;
    if (!sig || asprintf(token, "%s.%s", input, sig) < 0) {
        *token = NULL;
        status = bawn_fail(err, BAWN_E_INTERNAL, "signing the token failed");
    }
    json_decref(full);
    free(head);
    free(body);
    free(sig);
    free(input);
    return status;
}

/* ---- Verifying ---- */

/* The three parts of a token; borrowed. */
struct token {
    const char *part[3];
    size_t len[3];
    size_t signed_len;
};

static int split(struct token *t, const char *token, size_t len)
{
    size_t part = 0;

    *t = (struct token){ .part[0] = token };
    if (len > TOKEN_MAX)
        return 0;
    for (size_t i = 0; i < len; i++) {
        if (token[i] != '.') {
            t->len[part]++;
            continue;
        }
        if (++part > 2)
            return 0;
        t->part[part] = token + i + 1;
        t->signed_len = i;
    }
    return part == 2 && t->len[0] && t->len[1];
}

static enum bawn_status part_json(const struct token *t, size_t i, json_t **value,
                                  struct bawn_error *err)
{
    uint8_t *text;
    size_t len;
    enum bawn_status status = b64url_decode(t->part[i], t->len[i], &text, &len, err);

    if (status != BAWN_OK)
        return status;
    status = json_read((struct bawn_bytes){ text, len }, value, err);
    free(text);
    if (status == BAWN_OK && !json_is_object(*value)) {
        json_decref(*value);
        *value = NULL;
        status = bawn_fail(err, BAWN_E_FORMAT, "a part of the token is no JSON object");
    }
    return status;
}

bool jose_signature_holds(EVP_PKEY *key, struct bawn_bytes text, const char *signature, size_t n)
{
    const struct jose_curve *curve = signing_curve(key);
    ECDSA_SIG *sig = ECDSA_SIG_new();
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t *raw = NULL, *der = NULL;
    BIGNUM *r = NULL, *s = NULL;
    size_t len = 0;
    int der_len = 0;
    bool good = false;

    if (curve && sig && ctx && b64url_decode(signature, n, &raw, &len, NULL) == BAWN_OK &&
        len == 2 * curve->size) {
        r = BN_bin2bn(raw, (int)curve->size, NULL);
        s = BN_bin2bn(raw + curve->size, (int)curve->size, NULL);
    }
    if (r && s && ECDSA_SIG_set0(sig, r, s)) {
        r = s = NULL; /* the signature's now */
        der_len = i2d_ECDSA_SIG(sig, &der);
        good = der_len > 0 &&
               EVP_DigestVerifyInit_ex(ctx, NULL, curve->hash, NULL, NULL, key, NULL) > 0 &&
               EVP_DigestVerify(ctx, der, (size_t)der_len, text.data, text.len) == 1;
    }
    BN_free(r);
    BN_free(s);
    OPENSSL_free(der);
    free(raw);
    EVP_MD_CTX_free(ctx);
    ECDSA_SIG_free(sig);
    return good;
}

static EVP_PKEY *named_key(const json_t *header, const struct jwt_key *keys, size_t n)
{
    const char *kid = jose_text(header, "kid");

    for (size_t i = 0; kid && i < n; i++)
        if (keys[i].kid && !strcmp(keys[i].kid, kid))
            return keys[i].key;
    return NULL;
}

static enum bawn_status check_signature(const struct token *t, const json_t *header,
                                        const struct jwt_key *keys, size_t n,
                                        struct bawn_error *err)
{
    EVP_PKEY *key = named_key(header, keys, n);
    const struct jose_curve *curve = signing_curve(key);
    const char *alg = jose_text(header, "alg");

    if (!key)
        return bawn_fail(err, BAWN_E_DENIED, "the token's \"kid\" names no key that is trusted");
    if (!curve || !alg || strcmp(alg, curve->alg))
        return bawn_fail(err, BAWN_E_DENIED, "the token's \"alg\" is not its key's, %s",
                         curve ? curve->alg : "which signs no tokens");
    if (json_object_get(header, "crit"))
        return bawn_fail(err, BAWN_E_DENIED, "the token has critical extensions");
    if (!jose_signature_holds(key,
                              (struct bawn_bytes){ (const uint8_t *)t->part[0], t->signed_len },
                              t->part[2], t->len[2]))
        return bawn_fail(err, BAWN_E_DENIED, "the token's signature does not hold");
    return BAWN_OK;
}

/* RFC 7519, 4.1.4 to 4.1.6. */
static enum bawn_status check_times(const json_t *payload, int64_t now, struct bawn_error *err)
{
    static const struct {
        const char *name;
        int required, at_most; /* else: after now */
        const char *says;
    } times[] = {
        { "exp", 1, 0, "the token has expired" },
        { "nbf", 0, 1, "the token is not valid yet (nbf)" },
        { "iat", 0, 1, "the token was issued in the future (iat)" },
    };

    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        const json_t *value = json_object_get(payload, times[i].name);
        double at = json_number_value(value);

        if (!value && !times[i].required)
            continue;
        if (!json_is_number(value))
            return bawn_fail(err, BAWN_E_DENIED, "the token's \"%s\" is missing or no number",
                             times[i].name);
        if (times[i].at_most ? at > (double)now + LEEWAY : at <= (double)now)
            return bawn_fail(err, BAWN_E_DENIED, "%s", times[i].says);
    }
    return BAWN_OK;
}

enum bawn_status jwt_verify(const char *token, size_t len, const struct jwt_key *keys,
                            size_t nr_keys, int64_t now, json_t **payload, struct bawn_error *err)
{
    json_t *header = NULL, *body = NULL;
    struct token t;
    enum bawn_status status;

    *payload = NULL;
    if (!split(&t, token, len))
        return bawn_fail(err, BAWN_E_FORMAT, "no compact token: it has not three parts");
    status = part_json(&t, 0, &header, err);
    if (status == BAWN_OK)
        status = check_signature(&t, header, keys, nr_keys, err);
    if (status == BAWN_OK)
        status = part_json(&t, 1, &body, err);
    if (status == BAWN_OK)
        status = check_times(body, now, err);
    json_decref(header);
    if (status == BAWN_OK)
        *payload = body;
    else
        json_decref(body);
    return status;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Encryption to a guest's key as flattened JSON (RFC 7516, 7.2.2): A256GCM under a fresh key, which
 * is wrapped by RSA-OAEP-256 or by ECDH-ES+A256KW. The algorithm follows from the key that is
 * held; what a header says is only compared with it. Every failure to open reads the same.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

#include "attest/jose/internal.h"

enum {
    WRAPPED = GCM_KEY + 8, /* RFC 3394 */
    PLAIN_MAX = 64 << 20,
    PARTY_MAX = 1024,
};

struct blob {
    uint8_t *data;
    size_t len;
};

static enum bawn_status not_opened(struct bawn_error *err)
{
    return bawn_fail(err, BAWN_E_DENIED,
                     "the JWE does not open: it is for another key, or was altered");
}

/* ---- Key agreement ---- */

static void append(uint8_t *at, size_t *len, const uint8_t *data, size_t n)
{
    uint32_t be = __builtin_bswap32((uint32_t)n);

    memcpy(at + *len, &be, sizeof(be));
    if (n)
        memcpy(at + *len + sizeof(be), data, n);
    *len += sizeof(be) + n;
}

/* RFC 7518, 4.6.2: one round of the Concat KDF gives the 256 bits that wrap the key. */
static int agree(EVP_PKEY *own, EVP_PKEY *peer, const struct blob *apu, const struct blob *apv,
                 uint8_t kek[GCM_KEY])
{
    static const uint8_t round[] = { 0, 0, 0, 1 }, bits[] = { 0, 0, 1, 0 };
    uint8_t in[sizeof(round) + EC_COORD_MAX + 3 * 4 + sizeof(JOSE_ALG_EC) + 2 * PARTY_MAX +
               sizeof(bits)];
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
    size_t z = EC_COORD_MAX, len = sizeof(round);
    int good = ctx && EVP_PKEY_derive_init(ctx) > 0 && EVP_PKEY_derive_set_peer(ctx, peer) > 0 &&
               EVP_PKEY_derive(ctx, in + len, &z) > 0;

    EVP_PKEY_CTX_free(ctx);
    if (good) {
        memcpy(in, round, sizeof(round));
        len += z;
        append(in, &len, (const uint8_t *)JOSE_ALG_EC, strlen(JOSE_ALG_EC));
        append(in, &len, apu->data, apu->len);
        append(in, &len, apv->data, apv->len);
        memcpy(in + len, bits, sizeof(bits));
        SHA256(in, len + sizeof(bits), kek);
    }
    OPENSSL_cleanse(in, sizeof(in));
    return good;
}

/* RFC 3394; out has WRAPPED octets, or GCM_KEY when it unwraps. */
static int key_wrap(int wrap, const uint8_t kek[GCM_KEY], const uint8_t *in, size_t len,
                    uint8_t *out)
{
    uint8_t room[WRAPPED + 16];
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0, good;

    if (ctx)
        EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    good = ctx && EVP_CipherInit_ex(ctx, EVP_aes_256_wrap(), NULL, kek, NULL, wrap) &&
           EVP_CipherUpdate(ctx, room, &n, in, (int)len) && n == (wrap ? WRAPPED : GCM_KEY);
    if (good)
        memcpy(out, room, (size_t)n);
    EVP_CIPHER_CTX_free(ctx);
    OPENSSL_cleanse(room, sizeof(room));
    return good;
}

/* ---- RSA ---- */

static EVP_PKEY_CTX *oaep(EVP_PKEY *key, int (*init)(EVP_PKEY_CTX *ctx))
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);

    if (ctx && init(ctx) > 0 && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) > 0 &&
        EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) > 0 &&
        EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) > 0)
        return ctx;
    EVP_PKEY_CTX_free(ctx);
    return NULL;
}

static json_t *rsa_wrap(EVP_PKEY *key, const uint8_t cek[GCM_KEY])
{
    uint8_t wrapped[RSA_BITS_MAX / 8];
    size_t len = sizeof(wrapped);
    EVP_PKEY_CTX *ctx = oaep(key, EVP_PKEY_encrypt_init);
    json_t *value = NULL;

    if (ctx && EVP_PKEY_encrypt(ctx, wrapped, &len, cek, GCM_KEY) > 0)
        value = jose_b64(wrapped, len);
    EVP_PKEY_CTX_free(ctx);
    return value;
}

static int rsa_unwrap(EVP_PKEY *key, const struct blob *wrapped, uint8_t cek[GCM_KEY])
{
    uint8_t room[RSA_BITS_MAX / 8];
    size_t len = sizeof(room);
    EVP_PKEY_CTX *ctx = oaep(key, EVP_PKEY_decrypt_init);
    int good = ctx && EVP_PKEY_get_size(key) <= (int)sizeof(room) &&
               EVP_PKEY_decrypt(ctx, room, &len, wrapped->data, wrapped->len) > 0 && len == GCM_KEY;

    if (good)
        memcpy(cek, room, GCM_KEY);
    EVP_PKEY_CTX_free(ctx);
    OPENSSL_cleanse(room, sizeof(room));
    return good;
}

/* ---- A256GCM ---- */

/* aad is text; aad2, when not NULL, comes behind it with a point between (RFC 7516, 5.1, 14). */
static int gcm_start(EVP_CIPHER_CTX *ctx, int encrypt, const uint8_t *key, const uint8_t *iv,
                     const char *aad, const char *aad2)
{
    int n;

    return ctx && EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, iv, encrypt) &&
           EVP_CipherUpdate(ctx, NULL, &n, (const uint8_t *)aad, (int)strlen(aad)) &&
           (!aad2 || (EVP_CipherUpdate(ctx, NULL, &n, (const uint8_t *)".", 1) &&
                      EVP_CipherUpdate(ctx, NULL, &n, (const uint8_t *)aad2, (int)strlen(aad2))));
}

static json_t *seal(const uint8_t cek[GCM_KEY], const char *protected, const void *plain,
                    size_t len)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t iv[GCM_IV], tag[GCM_TAG], *sealed = malloc(len ? len : 1);
    json_t *jwe = NULL;
    int n = 0, tail = 0;

    if (sealed && RAND_bytes(iv, sizeof(iv)) == 1 && gcm_start(ctx, 1, cek, iv, protected, NULL) &&
        (!len || EVP_CipherUpdate(ctx, sealed, &n, plain, (int)len)) &&
        EVP_CipherFinal_ex(ctx, sealed + n, &tail) &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, GCM_TAG, tag))
        jwe = json_pack("{s:s,s:o,s:o,s:o}", "protected", protected, "iv", jose_b64(iv, sizeof(iv)),
                        "ciphertext", jose_b64(sealed, len), "tag", jose_b64(tag, sizeof(tag)));
    EVP_CIPHER_CTX_free(ctx);
    free(sealed);
    return jwe;
}

/* ---- Encryption ---- */

/* The header's members come in the order of the canonical form, which is also that in which KBS
 * clients write the header again before they authenticate it: add none that would change it. */
static json_t *ec_header(EVP_PKEY *key, const uint8_t cek[GCM_KEY], json_t **wrapped)
{
    static const struct blob none;
    const struct jose_curve *curve = jose_curve_of(key);
    EVP_PKEY *own = EVP_PKEY_Q_keygen(NULL, NULL, "EC", curve->group);
    uint8_t kek[GCM_KEY], out[WRAPPED];
    json_t *header = NULL;

    if (own && agree(own, key, &none, &none, kek) && key_wrap(1, kek, cek, GCM_KEY, out)) {
        *wrapped = jose_b64(out, sizeof(out));
        header = json_pack("{s:s,s:s,s:o}", "alg", JOSE_ALG_EC, "enc", JOSE_ENC, "epk",
                           jose_jwk_required(own));
    }
    OPENSSL_cleanse(kek, sizeof(kek));
    EVP_PKEY_free(own);
    return header;
}

enum bawn_status jwe_encrypt(const json_t *jwk, const void *plain, size_t len, json_t **jwe,
                             struct bawn_error *err)
{
    uint8_t cek[GCM_KEY];
    json_t *header = NULL, *wrapped = NULL;
    char *protected = NULL;
    EVP_PKEY *key;
    enum bawn_status status = jwk_public(jwk, JWK_ENCRYPT, &key, err);

    *jwe = NULL;
    if (status != BAWN_OK)
        return status;
    if (len > PLAIN_MAX) {
        EVP_PKEY_free(key);
        return bawn_fail(err, BAWN_E_FORMAT, "%zu bytes are more than a JWE takes", len);
    }
    if (RAND_priv_bytes(cek, sizeof(cek)) == 1) {
        if (jose_curve_of(key))
            header = ec_header(key, cek, &wrapped);
        else if ((wrapped = rsa_wrap(key, cek)))
            header = json_pack("{s:s,s:s}", "alg", JOSE_ALG_RSA, "enc", JOSE_ENC);
    }
    protected = header && wrapped ? jose_b64_json(header) : NULL;
    if (protected)
        *jwe = seal(cek, protected, plain, len);
    if (!*jwe || json_object_set(*jwe, "encrypted_key", wrapped)) {
        json_decref(*jwe);
        *jwe = NULL;
        status = bawn_fail(err, BAWN_E_INTERNAL, "encryption to the key failed");
    }
    OPENSSL_cleanse(cek, sizeof(cek));
    free(protected);
    json_decref(header);
    json_decref(wrapped);
    EVP_PKEY_free(key);
    return status;
}

/* ---- Decryption ---- */

/* The parts of a JWE, decoded. */
struct parts {
    json_t *header;
    struct blob wrapped, iv, sealed, tag, apu, apv;
    const char *protected, *aad; /* borrowed; aad NULL: the header alone is authenticated */
};

static void parts_free(struct parts *p)
{
    json_decref(p->header);
    free(p->wrapped.data);
    free(p->iv.data);
    free(p->sealed.data);
    free(p->tag.data);
    free(p->apu.data);
    free(p->apv.data);
}

/* KBS servers send as "aad" the header again, once or twice encoded, and authenticate the header
 * alone. All others mean what RFC 7516 says. */
static const char *true_aad(const char *protected, const char *aad)
{
    uint8_t *decoded = NULL;
    size_t len = 0, n = strlen(protected);
    int again;

    if (!aad || !strcmp(aad, protected))
        return NULL;
    again = b64url_decode(aad, strlen(aad), &decoded, &len, NULL) == BAWN_OK && len == n &&
            !memcmp(decoded, protected, n);
    free(decoded);
    return again ? NULL : aad;
}

/* Adds the recipient's header, where some libraries put what was not known when the protected one
 * was written. These members need no protection: another value opens nothing. */
static enum bawn_status add_unprotected(struct parts *p, const json_t *jwe, struct bawn_error *err)
{
    static const char *const allowed[] = { "alg", "epk", "apu", "apv", "kid" };
    const json_t *header = json_object_get(jwe, "header");
    size_t known = 0;

    if (!header)
        return BAWN_OK;
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
        json_t *value = json_object_get(header, allowed[i]);

        if (!value)
            continue;
        if (json_object_get(p->header, allowed[i]))
            return bawn_fail(err, BAWN_E_FORMAT, "the JWE gives \"%s\" twice", allowed[i]);
        if (json_object_set(p->header, allowed[i], value))
            return bawn_fail(err, BAWN_E_NOMEM, "no memory");
        known++;
    }
    if (!json_is_object(header) || known != json_object_size(header))
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "the JWE has members of \"header\" that are not "
                         "protected and not known");
    return BAWN_OK;
}

static enum bawn_status read_header(struct parts *p, const json_t *jwe, const char *alg,
                                    struct bawn_error *err)
{
    static const char *const refused[] = { "crit", "zip", "b64" };
    const char *said, *enc;
    uint8_t *text;
    size_t len;
    enum bawn_status status;

    if (b64url_decode(p->protected, strlen(p->protected), &text, &len, NULL) != BAWN_OK)
        return bawn_fail(err, BAWN_E_FORMAT, "the JWE's header is not base64url");
    status = json_read((struct bawn_bytes){ text, len }, &p->header, err);
    free(text);
    if (status == BAWN_OK && !json_is_object(p->header))
        status = bawn_fail(err, BAWN_E_FORMAT, "the JWE's header is no JSON object");
    enc = status == BAWN_OK ? jose_text(p->header, "enc") : NULL;
    if (status == BAWN_OK)
        status = add_unprotected(p, jwe, err);
    if (status != BAWN_OK)
        return status;
    said = jose_text(p->header, "alg");
    if (!said || strcmp(said, alg))
        return bawn_fail(err, BAWN_E_DENIED, "the JWE's \"alg\" is not the key's, %s", alg);
    if (!enc || strcmp(enc, JOSE_ENC))
        return bawn_fail(err, BAWN_E_UNSUPPORTED, "the JWE's \"enc\" is not " JOSE_ENC);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (json_object_get(p->header, refused[i]))
            return bawn_fail(err, BAWN_E_UNSUPPORTED, "the JWE has \"%s\", which is not served",
                             refused[i]);
    return BAWN_OK;
}

static enum bawn_status read_parts(struct parts *p, const json_t *jwe, const char *alg,
                                   struct bawn_error *err)
{
    const struct {
        const char *name;
        struct blob *to;
    } members[] = {
        { "encrypted_key", &p->wrapped },
        { "iv", &p->iv },
        { "ciphertext", &p->sealed },
        { "tag", &p->tag },
    };
    enum bawn_status status = BAWN_OK;

    p->protected = jose_text(jwe, "protected");
    if (!p->protected)
        return bawn_fail(err, BAWN_E_FORMAT, "no flattened JWE: it has no \"protected\"");
    if (json_object_get(jwe, "unprotected"))
        return bawn_fail(err, BAWN_E_UNSUPPORTED, "a JWE with a shared unprotected header");
    if (json_object_get(jwe, "aad") && !json_is_null(json_object_get(jwe, "aad")) &&
        !jose_text(jwe, "aad"))
        return bawn_fail(err, BAWN_E_FORMAT, "the JWE's \"aad\" is not a string");
    p->aad = true_aad(p->protected, jose_text(jwe, "aad"));
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]) && status == BAWN_OK; i++)
        status = jose_member(jwe, members[i].name, &members[i].to->data, &members[i].to->len, err);
    if (status == BAWN_OK)
        status = read_header(p, jwe, alg, err);
    if (status == BAWN_OK && (p->iv.len != GCM_IV || p->tag.len != GCM_TAG))
        status = bawn_fail(err, BAWN_E_FORMAT, "the JWE's \"iv\" or \"tag\" has not its length");
    if (status == BAWN_OK && p->sealed.len > PLAIN_MAX)
        status = bawn_fail(err, BAWN_E_FORMAT, "the JWE is too large");
    return status;
}

static enum bawn_status read_party(const json_t *header, const char *name, struct blob *to,
                                   struct bawn_error *err)
{
    enum bawn_status status;

    if (!json_object_get(header, name))
        return BAWN_OK;
    status = jose_member(header, name, &to->data, &to->len, err);
    if (status == BAWN_OK && to->len > PARTY_MAX)
        status = bawn_fail(err, BAWN_E_FORMAT, "the JWE's \"%s\" is too long", name);
    return status;
}

static enum bawn_status ec_unwrap(EVP_PKEY *key, struct parts *p, uint8_t cek[GCM_KEY],
                                  struct bawn_error *err)
{
    const json_t *epk = json_object_get(p->header, "epk");
    const char *crv = jose_text(epk, "crv");
    uint8_t kek[GCM_KEY];
    EVP_PKEY *peer = NULL;
    enum bawn_status status;

    if (!crv || strcmp(crv, jose_curve_of(key)->crv))
        return bawn_fail(err, BAWN_E_FORMAT, "the JWE's \"epk\" is not on the key's curve");
    status = read_party(p->header, "apu", &p->apu, err);
    if (status == BAWN_OK)
        status = read_party(p->header, "apv", &p->apv, err);
    if (status == BAWN_OK)
        status = jwk_public(epk, JWK_ENCRYPT, &peer, err);
    if (status == BAWN_OK &&
        (p->wrapped.len != WRAPPED || !agree(key, peer, &p->apu, &p->apv, kek) ||
         !key_wrap(0, kek, p->wrapped.data, p->wrapped.len, cek)))
        status = not_opened(err);
    OPENSSL_cleanse(kek, sizeof(kek));
    EVP_PKEY_free(peer);
    return status;
}

static enum bawn_status open_sealed(const struct parts *p, const uint8_t cek[GCM_KEY],
                                    uint8_t **plain, size_t *len, struct bawn_error *err)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t *out = malloc(p->sealed.len ? p->sealed.len : 1);
    int n = 0, tail = 0, good;

    good = ctx && out && gcm_start(ctx, 0, cek, p->iv.data, p->protected, p->aad) &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, GCM_TAG, p->tag.data) &&
           (!p->sealed.len || EVP_CipherUpdate(ctx, out, &n, p->sealed.data, (int)p->sealed.len)) &&
           EVP_CipherFinal_ex(ctx, out + n, &tail) > 0;
    EVP_CIPHER_CTX_free(ctx);
    if (!good) {
        if (out)
            OPENSSL_cleanse(out, p->sealed.len);
        free(out);
        return not_opened(err);
    }
    *plain = out;
    *len = p->sealed.len;
    return BAWN_OK;
}

enum bawn_status jwe_decrypt(EVP_PKEY *key, const json_t *jwe, uint8_t **plain, size_t *len,
                             struct bawn_error *err)
{
    const int ec = jose_curve_of(key) != NULL;
    uint8_t cek[GCM_KEY];
    struct parts p = { 0 };
    enum bawn_status status;

    *plain = NULL;
    *len = 0;
    if (!ec && (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA))
        return bawn_fail(err, BAWN_E_UNSUPPORTED, "a JWE is opened by an EC or RSA key");
    status = read_parts(&p, jwe, ec ? JOSE_ALG_EC : JOSE_ALG_RSA, err);
    if (status == BAWN_OK && ec)
        status = ec_unwrap(key, &p, cek, err);
    else if (status == BAWN_OK && !rsa_unwrap(key, &p.wrapped, cek))
        status = not_opened(err);
    if (status == BAWN_OK)
        status = open_sealed(&p, cek, plain, len, err);
    OPENSSL_cleanse(cek, sizeof(cek));
    parts_free(&p);
    return status;
}

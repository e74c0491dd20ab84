/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JOSE as the KBS protocol uses it: keys (RFC 7517, 7638), encryption to a guest (RFC 7516, 7518),
 * tokens (RFC 7519), and the canonical JSON (RFC 8785) that evidence is bound to. JSON is
 * jansson's, cryptography OpenSSL's. All input is hostile; an algorithm is never taken from what
 * it protects, but from the key and compared.
 */
#ifndef BAWN_JOSE_H
#define BAWN_JOSE_H

#include <stdint.h>

#include <jansson.h>
#include <openssl/evp.h>

#include <bawn/attest.h>
#include <bawn/status.h>

/* ---- base64url without padding ---- */

/* A new string; NULL: no memory. */
char *b64url_encode(const void *data, size_t len);
/* *out is malloc'ed, *len its length. BAWN_E_FORMAT: foreign characters, padding, bits left over.
 */
enum bawn_status b64url_decode(const char *text, size_t text_len, uint8_t **out, size_t *len,
                               struct bawn_error *err);

/* ---- Canonical JSON ---- */

/* RFC 8785: members sorted by UTF-16 code units, no blanks, numbers as ECMAScript writes them. A
 * new string. BAWN_E_FORMAT: nesting beyond 64, or what RFC 8785 has no form for. */
enum bawn_status json_canonical(const json_t *value, char **text, size_t *len,
                                struct bawn_error *err);
/* Strict reading of hostile text: UTF-8, no duplicate members, nothing behind, nesting <= 64. */
enum bawn_status json_read(struct bawn_bytes text, json_t **value, struct bawn_error *err);

/* The same for messages of the service's own processes, which may hold such a value: nesting <=
 * 128. */
enum bawn_status json_read_own(struct bawn_bytes text, json_t **value, struct bawn_error *err);
/* Compact, members as they are, numbers exactly: what json_read_own() reads back. A new string;
 * NULL: no memory, or nesting beyond that. */
char *json_text(const json_t *value, size_t *len);

/* ---- What evidence is bound to ---- */

/* The report data that a KBS client of protocol 0.4.0 asks its evidence for: the hash ("sha256",
 * "sha384", "sha512") of the canonical form of {"additional-evidence", "nonce", "tee-pubkey"},
 * padded with zeros to 64 octets. runtime_data is what is sent under that name, which holds nonce
 * and tee-pubkey only; additional is tee-evidence's additional_evidence, a string, "" when there is
 * none. The client serialises tee-pubkey from a fixed structure: kty, alg and the key's numbers,
 * nothing else. BAWN_E_FORMAT: a member is missing; BAWN_E_UNSUPPORTED: another hash. */
enum bawn_status kbs_report_data(const json_t *runtime_data, const char *additional,
                                 const char *hash, uint8_t report_data[64], struct bawn_error *err);

/* ---- Keys ---- */

enum jwk_use { JWK_ENCRYPT, JWK_SIGN };

/* A public key: RSA of 2048 to 8192 bits with an odd e from 3 to 2^32 (encryption only), EC on
 * P-256, P-384, P-521 (a point on the curve). Members of private keys are refused, "alg" and "use"
 * must agree with the use when present. */
enum bawn_status jwk_public(const json_t *jwk, enum jwk_use use, EVP_PKEY **key,
                            struct bawn_error *err);
/* The public part with "kid" (thumbprint), and "alg" and "use" when not NULL. NULL: no memory. */
json_t *jwk_from(const EVP_PKEY *key, const char *alg, const char *use);
/* RFC 7638 with SHA-256, base64url; a new string. */
char *jwk_thumbprint(const EVP_PKEY *key);

/* ---- JWE, flattened JSON ---- */

/* Encrypts with A256GCM to the key: RSA-OAEP-256, or ECDH-ES+A256KW for EC keys, as the jwk's "alg"
 * must say if it says anything. "aad" is not used, so that any library opens it. */
enum bawn_status jwe_encrypt(const json_t *jwk, const void *plain, size_t len, json_t **jwe,
                             struct bawn_error *err);
/* *plain is malloc'ed; the caller wipes it. Also takes "aad" as KBS servers send it. */
enum bawn_status jwe_decrypt(EVP_PKEY *key, const json_t *jwe, uint8_t **plain, size_t *len,
                             struct bawn_error *err);

/* ---- JWT, compact ---- */

/* ES256 or ES384 by the key's curve. header: members to add (x5c, jwk), or NULL. A new string. */
enum bawn_status jwt_sign(EVP_PKEY *key, const json_t *payload, const json_t *header, char **token,
                          struct bawn_error *err);

struct jwt_key {
    const char *kid;
    EVP_PKEY *key; /* EC; its curve is the algorithm */
};

/* Verifies under the key that the header's kid names; header's alg must be that key's. exp must be
 * there and after now, nbf and iat not after now + 60 s. *payload is new. BAWN_E_DENIED: not valid;
 * BAWN_E_FORMAT: no such thing as a token. */
enum bawn_status jwt_verify(const char *token, size_t len, const struct jwt_key *keys,
                            size_t nr_keys, int64_t now, json_t **payload, struct bawn_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the JOSE library share. Nothing here is for its users; see jose.h.
 */
#ifndef BAWN_JOSE_INTERNAL_H
#define BAWN_JOSE_INTERNAL_H

#include <stdbool.h>

#include "attest/jose/jose.h"

#define JOSE_ENC "A256GCM"
#define JOSE_ALG_RSA "RSA-OAEP-256"
#define JOSE_ALG_EC "ECDH-ES+A256KW"

enum {
    JSON_DEPTH = 64,      /* of what others send */
    JSON_DEPTH_OWN = 128, /* with what the service puts around it */
    GCM_KEY = 32,
    GCM_IV = 12,
    GCM_TAG = 16,
    EC_COORD_MAX = 66, /* P-521 */
    RSA_BITS_MIN = 2048,
    RSA_BITS_MAX = 8192,
};

/* RFC 7518, 3.4 and 6.2.1.1 */
struct jose_curve {
    const char *crv;
    const char *group; /* OpenSSL's name */
    size_t size;       /* of a coordinate, octets */
    const char *alg;   /* of tokens; NULL: keys of this curve sign none */
    const char *hash;
};

/* How many bytes from the first on stand for themselves in a JSON text and are ASCII. */
size_t json_plain(const uint8_t *text, size_t len);

/* NULL: none of ours. */
const struct jose_curve *jose_curve_of(const EVP_PKEY *key);
const struct jose_curve *jose_curve_named(const char *crv);

/* The member's text, or NULL when it is absent or not a string. */
const char *jose_text(const json_t *object, const char *name);
/* The member decoded from base64url. */
enum bawn_status jose_member(const json_t *object, const char *name, uint8_t **out, size_t *len,
                             struct bawn_error *err);
/* A JSON string of the bytes in base64url; NULL: no memory. */
json_t *jose_b64(const void *data, size_t len);
/* The value's canonical form in base64url; NULL: no memory. */
char *jose_b64_json(const json_t *value);
/* The members of RFC 7638, 3.2, and no others. NULL: no memory, or no key of ours. */
json_t *jose_jwk_required(const EVP_PKEY *key);
/* Whether the signature (base64url, RFC 7518, 3.4) over the text is the key's. */
bool jose_signature_holds(EVP_PKEY *key, struct bawn_bytes text, const char *signature, size_t n);

#endif

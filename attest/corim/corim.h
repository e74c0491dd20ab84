/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reference values from CoRIM (draft-ietf-rats-corim), CBOR (RFC 8949), signed with COSE_Sign1
 * (RFC 9052). The file is hostile until its signature holds, and checked in form after that.
 */
#ifndef BAWN_CORIM_H
#define BAWN_CORIM_H

#include <openssl/evp.h>

#include <bawn/attest.h>
#include <bawn/cursor.h>

#define CORIM_MAX (4u << 20)

/*
 * One reference value. set: the measurement's key (mkey) when that is a text, else "vendor/model/
 * key" of those that are there, as the environment has them; "[n]" behind it for an integrity
 * register. value: as bawn_refs_add() takes it: hex of digests and raw values, decimal of security
 * versions. expires: the end of the CoRIM's validity, or 0. Texts are borrowed.
 */
typedef enum bawn_status (*corim_value_fn)(void *context, const char *set, const char *value,
                                           int64_t expires, struct bawn_error *err);

/* Reads a CoRIM. With keys == NULL one without a signature is taken too and none is checked; else
 * it must be signed by one of the n keys (EC on P-256, P-384, P-521; Ed25519), the algorithm being
 * that key's. BAWN_E_FORMAT: no CoRIM; BAWN_E_DENIED: not signed so, or not valid at that time;
 * BAWN_E_UNSUPPORTED: values that have no form here. What fn returned is passed on. */
enum bawn_status corim_read(struct bawn_bytes file, EVP_PKEY *const *keys, size_t n, int64_t now,
                            corim_value_fn fn, void *context, struct bawn_error *err);

/* ---- COSE_Sign1 (cose.c) ---- */

struct cose_sign1 {
    struct bawn_bytes protected, payload, signature; /* borrowed */
    int64_t algorithm;
    struct bawn_bytes content_type; /* text, may be empty */
};

/* Of the array behind tag 18. BAWN_E_FORMAT. */
enum bawn_status cose_sign1_read(struct bawn_cursor *c, struct cose_sign1 *sign1,
                                 struct bawn_error *err);
/* BAWN_E_DENIED: no key's signature. */
enum bawn_status cose_sign1_verify(const struct cose_sign1 *sign1, EVP_PKEY *const *keys, size_t n,
                                   struct bawn_error *err);

/* ---- CBOR (cbor.c): definite lengths only; one item's head at a time ---- */

enum cbor_major {
    CBOR_UINT,
    CBOR_NEGATIVE,
    CBOR_BYTES,
    CBOR_TEXT,
    CBOR_ARRAY,
    CBOR_MAP,
    CBOR_TAG,
    CBOR_SIMPLE,
};

struct cbor_item {
    enum cbor_major major;
    uint64_t value;          /* number, count, tag; -1 - value for negative ones */
    struct bawn_bytes bytes; /* of BYTES and TEXT */
};

/* Reads a head, and the content of strings. False: the cursor has failed. */
bool cbor_next(struct bawn_cursor *c, struct cbor_item *item);
/* Passes a whole item, whatever it is, at most CBOR_DEPTH deep. */
#define CBOR_DEPTH 16
bool cbor_skip(struct bawn_cursor *c);
/* The next item, which must be of that kind. */
bool cbor_expect(struct bawn_cursor *c, enum cbor_major major, struct cbor_item *item);
/* A whole number that fits. */
bool cbor_int(struct bawn_cursor *c, int64_t *value);
/* The next item's major type without moving; -1: none. */
int cbor_peek(const struct bawn_cursor *c);

#endif

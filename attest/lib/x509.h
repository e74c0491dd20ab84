/* SPDX-License-Identifier: Apache-2.0 */
/*
 * X.509 certificates and CRLs of the profiles that AMD, Intel and TPM vendors use: version 3
 * (CRL: version 2), DER only, RSA or NIST curves. RFC 5280. Parsed structures borrow from the
 * DER bytes. Judging a chain is in chain.h.
 */
#ifndef BAWN_ATTEST_X509_H
#define BAWN_ATTEST_X509_H

#include "attest/lib/crypto.h"
#include "attest/lib/der.h"

enum { /* RFC 5280, 4.2.1.3: bit n of the named bit list is 1 << n here */
    KU_DIGITAL_SIGNATURE = 1 << 0,
    KU_KEY_CERT_SIGN = 1 << 5,
    KU_CRL_SIGN = 1 << 6,
};

struct x509 {
    struct bawn_bytes der;  /* the whole certificate */
    struct bawn_bytes tbs;  /* signed part, with its header */
    struct bawn_bytes serial; /* magnitude, big-endian */
    struct bawn_bytes issuer, subject; /* names, with their headers */
    struct bawn_bytes common_name;     /* of the subject; empty if there is none */
    struct bawn_bytes spki;            /* with its header */
    struct bawn_bytes extensions;      /* content of the SEQUENCE of extensions */
    struct bawn_bytes subject_key_id, authority_key_id; /* empty if absent */
    struct bawn_bytes signature;
    struct sig_alg alg;
    struct pubkey key;
    int64_t not_before, not_after;
    bool is_ca;
    int path_len; /* -1: no limit */
    bool has_key_usage;
    unsigned key_usage;
};

/* One certificate and nothing after it. Refuses an unknown critical extension, a duplicate
 * extension, and anything outside the profile. */
enum bawn_status x509_parse(struct x509 *out, struct bawn_bytes der, struct bawn_error *err);

/* The value (content of the OCTET STRING) of the extension with that OID (content bytes).
 * False: absent. */
bool x509_extension(const struct x509 *cert, const void *oid, size_t len, struct bawn_bytes *value);

struct x509_crl {
    struct bawn_bytes der, tbs, issuer, authority_key_id, signature;
    struct bawn_bytes revoked; /* content of the SEQUENCE of entries, checked well-formed */
    struct sig_alg alg;
    int64_t this_update, next_update; /* next_update INT64_MAX when absent */
};

enum bawn_status x509_crl_parse(struct x509_crl *out, struct bawn_bytes der,
                                struct bawn_error *err);
/* Whether the CRL lists that serial, and since when. */
bool x509_crl_lists(const struct x509_crl *crl, struct bawn_bytes serial, int64_t *since);

/* A SubjectPublicKeyInfo alone (with its header). */
enum bawn_status pubkey_parse(struct pubkey *out, struct bawn_bytes spki, struct bawn_error *err);

#endif

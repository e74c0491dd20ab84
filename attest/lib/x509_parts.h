/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What certificates and CRLs have in common: signature algorithms, names, key identifiers and
 * the list of extensions. For x509.c, x509_crl.c and pubkey.c; chain.c reads names with it.
 */
#ifndef BAWN_ATTEST_X509_PARTS_H
#define BAWN_ATTEST_X509_PARTS_H

#include "attest/lib/x509.h"

/* RFC 5280 4.1.2.2, 5.2.3: serial and CRL numbers have at most 20 octets (of magnitude: Intel's
 * serials use all 160 bits, and so 21 octets of content). */
#define X509_NUMBER_MAX 20

/* No certificate of the profiles has more than 15; duplicates are sought by comparing all. */
#define X509_EXTENSIONS_MAX 64

/* An OID below id-ce, 2.5.29 (RFC 5280 4.2.1), by its last arc. */
enum {
    CE_SUBJECT_KEY_ID = 14,
    CE_KEY_USAGE = 15,
    CE_SUBJECT_ALT_NAME = 17,
    CE_BASIC_CONSTRAINTS = 19,
    CE_CRL_NUMBER = 20,
    CE_DELTA_CRL = 27,
    CE_ISSUING_DISTRIBUTION_POINT = 28,
    CE_CERTIFICATE_ISSUER = 29,
    CE_NAME_CONSTRAINTS = 30,
    CE_CRL_DISTRIBUTION_POINTS = 31,
    CE_CERTIFICATE_POLICIES = 32,
    CE_AUTHORITY_KEY_ID = 35,
    CE_POLICY_CONSTRAINTS = 36,
    CE_EXTENDED_KEY_USAGE = 37,
    CE_NONE = -1,
};

struct x509_ext {
    struct bawn_bytes oid, value; /* value: content of the OCTET STRING */
    bool critical;
    int ce; /* the last arc below id-ce, or CE_NONE */
};

/* The next extension; false at the end or when it is malformed (then c failed). */
bool x509_ext_next(struct bawn_cursor *c, struct x509_ext *ext);
/* Checks a list (content of Extensions): well-formed, not empty, no duplicates. `what` begins
 * the message. */
enum bawn_status x509_exts_check(struct bawn_bytes list, const char *what, struct bawn_error *err);
/* The refusal of a critical extension. */
enum bawn_status x509_ext_refuse(const struct x509_ext *ext, const char *what,
                                 struct bawn_error *err);

/* Reads AuthorityKeyIdentifier; an absent key identifier leaves *id alone. False: malformed. */
bool x509_key_id(const struct x509_ext *ext, struct bawn_bytes *id);

/* Reads a Name, checks its form; gives it with its header, and (unless NULL) the last common
 * name in it. False (and c failed): malformed. */
bool x509_name(struct bawn_cursor *c, struct bawn_bytes *name, struct bawn_bytes *common_name);

/* Reads the AlgorithmIdentifier (whole, with header) of a signature. */
enum bawn_status sig_alg_parse(struct sig_alg *out, struct bawn_bytes whole,
                               struct bawn_error *err);

#endif

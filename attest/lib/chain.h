/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judges a certificate chain: from a leaf over the intermediates at hand to a root of the
 * trust, with signatures, validity at the time of judgement, CA flags, path length, key usage
 * and revocation. RFC 5280 section 6, for chains of at most four.
 */
#ifndef BAWN_ATTEST_CHAIN_H
#define BAWN_ATTEST_CHAIN_H

#include "attest/lib/verify.h"

struct trust_root {
    struct x509 cert;     /* parsed; borrows from the trust's copy */
    bool builtin;
    const char *name;     /* common name, printable */
};

/* A bare public key that the caller trusts: an attestation key of a TPM. */
struct trust_key {
    struct bawn_bytes spki;
    struct pubkey key;
};

struct bawn_trust {
    struct arena arena;
    struct crypto *crypto;
    struct trust_root *roots;
    size_t nr_roots;
    struct trust_key *keys;
    size_t nr_keys;
    struct x509 *intermediates; /* compiled in with the roots: AMD's ASKs and ASVKs; none else */
    size_t nr_intermediates;
};

enum crl_need {
    CRL_WARN,     /* AMD, TPM: say that revocation was not checked */
    CRL_REQUIRED, /* Intel: without it there is no judgement */
};

/* What a chain must be. The checks are the caller's, so that findings carry its names. */
struct chain_rules {
    const char *what;                 /* "VCEK", "PCK certificate" */
    const struct check *link;         /* signatures, issuer names, CA flags, to a root */
    const struct check *validity;     /* times */
    const struct check *revocation;   /* CRLs */
    enum crl_need crl;
    enum key_type leaf_key;           /* KEY_NONE: any */
    struct sig_alg alg;               /* of every link; scheme SIG_NONE: any */
    unsigned max_intermediates;
};

#define CHAIN_MAX 4

struct chain {
    const struct x509 *cert[CHAIN_MAX]; /* leaf first, root last */
    unsigned n;
    const struct trust_root *root;
};

/* Builds and judges. Adds findings; true when nothing was refused or missing. A foreign root
 * is noted in the result. out->n is 0 when no chain to a root was found. */
bool chain_verify(struct verification *v, const struct x509 *leaf, const struct chain_rules *rules,
                  struct chain *out);

/* The root compiled in that this certificate is, by its bytes. */
bool root_is_builtin(struct bawn_bytes der);

/* x509_label.c: a name for people, its common name or "O=Example, C=DE"; never empty. */
const char *x509_name_text(struct arena *a, struct bawn_bytes name);
/* x509_label.c: "SEV-Milan, serial 010001". */
const char *x509_label(struct verification *v, const struct x509 *cert);

#endif

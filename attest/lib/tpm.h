/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structures of TPM 2.0 as quotes need them: parsed here, judged in tpm.c. Hostile bytes in,
 * checked fields out; everything borrows from the bytes. TPM 2.0 Library, part 2.
 */
#ifndef BAWN_ATTEST_TPM_H
#define BAWN_ATTEST_TPM_H

#include "attest/lib/verify.h"

#include <bawn/tpm.h>

/* The PCRs of one bank: bit n of mask is PCR n. */
struct tpm_pcr_selection {
    uint16_t id;        /* TPM_ALG_* */
    enum hash_alg bank; /* HASH_NONE: a bank that is not served here */
    uint32_t mask;
};

/* TPMS_ATTEST of type quote. */
struct tpm_attest {
    uint32_t magic;
    uint16_t type; /* TPM_ST_ATTEST_* */
    struct bawn_bytes qualified_signer, extra_data;
    uint64_t clock, firmware_version;
    uint32_t reset_count, restart_count;
    bool safe;
    struct tpm_pcr_selection select[TPM_MAX_PCR_BANKS];
    unsigned nr_select;
    struct bawn_bytes pcr_digest;
};

/* One whole TPMS_ATTEST and nothing after it. BAWN_E_UNSUPPORTED: one of another type than
 * quote; the fields before its body are valid. BAWN_E_DENIED: its magic says that no TPM made
 * it. */
enum bawn_status tpm_attest_parse(struct tpm_attest *out, struct bawn_bytes message,
                                  struct bawn_error *err);

/* TPMT_SIGNATURE, or what a bare RSASSA signature amounts to. */
struct tpm_signature {
    uint16_t id, hash_id;   /* TPM_ALG_* */
    struct sig_alg alg;     /* scheme SIG_NONE: recognised, not served */
    struct bawn_bytes rsa;  /* RSASSA, RSAPSS */
    struct bawn_bytes r, s; /* ECDSA */
};

/* One whole TPMT_SIGNATURE. BAWN_E_UNSUPPORTED: of a scheme or hash that is not served. */
enum bawn_status tpm_signature_parse(struct tpm_signature *out, struct bawn_bytes blob,
                                     struct bawn_error *err);

/* TPMT_PUBLIC of an RSA or ECC key. */
struct tpm_public {
    uint16_t type, name_alg; /* TPM_ALG_* */
    uint32_t attributes;     /* TPMA_OBJECT_* */
    struct bawn_bytes auth_policy;
    uint16_t symmetric, symmetric_bits, symmetric_mode;
    uint16_t scheme, scheme_hash, scheme_count;
    uint16_t key_bits;         /* RSA */
    uint32_t exponent;         /* RSA: 0 is 65537 */
    uint16_t curve;            /* ECC */
    uint16_t kdf, kdf_hash;    /* ECC */
    struct bawn_bytes n, x, y; /* RSA: n; ECC: x and y */
    struct bawn_bytes body;    /* the TPMT_PUBLIC, over which the name is a digest */
};

/* One whole TPMT_PUBLIC, or TPM2B_PUBLIC, which is the same after its size. */
enum bawn_status tpm_public_parse(struct tpm_public *out, struct bawn_bytes blob,
                                  struct bawn_error *err);

/* What a blob is, by content. */
bool tpm_quote_recognise(struct bawn_bytes blob);     /* TPMS_ATTEST of any type */
bool tpm_signature_recognise(struct bawn_bytes blob); /* TPMT_SIGNATURE */
bool tpm_public_recognise(struct bawn_bytes blob);    /* TPMT_PUBLIC or TPM2B_PUBLIC */
bool azure_hcl_recognise(struct bawn_bytes blob);     /* "HCLA" and room for its headers */

/* The file that tpm2_quote --pcr and tpm2_pcrread write in their serialized form (keylime's
 * quotepcr.out): fills ev->pcrs and ev->more_pcrs. False: not one, and ev is as before. */
bool tpm_pcr_file_parse(struct evidence *ev, struct bawn_bytes blob);

/* The bank of that hash in the evidence; with add, an empty one is taken for it. NULL: none. */
struct pcr_bank *tpm_pcr_bank(struct evidence *ev, enum hash_alg alg, bool add);

enum hash_alg tpm_hash(uint16_t id);
/* "SHA-256", or NULL */
const char *tpm_alg_name(uint16_t id);
/* "quote", or NULL */
const char *tpm_attest_name(uint16_t type);

/* ---- tpm_ak.c: the attestation key ---- */

struct tpm_ak {
    struct bawn_bytes spki; /* with its header; borrowed, or of the arena */
    struct pubkey key;
    bool has_public; /* given as TPMT_PUBLIC, so its attributes are known */
    struct tpm_public public;
};

/* A key as SPKI DER or PEM, TPMT_PUBLIC or TPM2B_PUBLIC. */
enum bawn_status tpm_ak_parse(struct verification *v, struct tpm_ak *out, struct bawn_bytes blob,
                              struct bawn_error *err);
/* The SubjectPublicKeyInfo of an RSA key (big-endian; leading zeros are dropped) or of a point
 * on a NIST curve; empty when the numbers are of no such key. */
struct bawn_bytes spki_of_rsa(struct arena *a, struct bawn_bytes n, struct bawn_bytes e);
struct bawn_bytes spki_of_ec(struct arena *a, enum key_type curve, struct bawn_bytes x,
                             struct bawn_bytes y);

/* Judges the key's attributes and who vouches for it. */
void tpm_ak_verify(struct verification *v, const struct tpm_ak *ak);

#endif

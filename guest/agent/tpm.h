/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few commands of a TPM 2.0 that a quote needs, written and read by hand: tpm2-tss has no
 * static libraries in Debian, and would be larger than the rest of the agent. What the TPM answers
 * has passed the host, so it is read strictly; whether it is a TPM's is for the verifier.
 */
#ifndef BAWN_AGENT_TPM_H
#define BAWN_AGENT_TPM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bawn/attest.h>
#include <bawn/status.h>

enum {
    TPM_ANSWER_MAX = 4096, /* TPM2_MAX_RESPONSE_SIZE of the PC Client profile, and of Linux */
    TPM_PCRS = 24,         /* PC Client Platform TPM Profile, 4.6 */
    TPM_DIGEST_MAX = 64,
    TPM_PUBLIC_ROOM = 1024,
    TPM_ATTEST_ROOM = 1024,
    TPM_SIGNATURE_ROOM = 1024,
};

/* Sends one whole command; the answer's bytes, however many came, go to answer, and their number to
 * *answer_len. */
typedef enum bawn_status tpm_talk_fn(void *to, const uint8_t *command, size_t len,
                                     uint8_t answer[TPM_ANSWER_MAX], size_t *answer_len,
                                     struct bawn_error *err);

struct tpm {
    tpm_talk_fn *talk;
    void *to;
    uint32_t rc; /* of the last answer: TPM_RC */
};

/* An attestation key: restricted to sign what the TPM itself made. */
struct tpm_key {
    uint32_t handle;
    bool made; /* by us: it is to be flushed */
    uint16_t type, scheme, curve;
    uint32_t exponent;               /* RSA; 0 is 65537 */
    uint8_t public[TPM_PUBLIC_ROOM]; /* TPMT_PUBLIC */
    size_t public_len;
    struct bawn_bytes n, x,
        y; /* RSA: n; ECC: x and y. They lie in public: do not copy the struct */
};

struct tpm_quote {
    uint8_t message[TPM_ATTEST_ROOM]; /* TPMS_ATTEST */
    size_t message_len;
    uint8_t signature[TPM_SIGNATURE_ROOM]; /* TPMT_SIGNATURE */
    size_t signature_len;
    uint8_t pcr[TPM_PCRS][TPM_DIGEST_MAX];
    size_t pcr_len; /* of each */
};

/* The key at the persistent handle; with handle 0 the primary key that the TPM derives from its
 * endorsement seed by our template, the same each time. key is to be given back when this has
 * succeeded. BAWN_E_CONFIG: there is none, or it is no attestation key; BAWN_E_FORMAT: no answer of
 * a TPM's. */
enum bawn_status tpm_key_open(struct tpm *t, uint32_t handle, struct tpm_key *key,
                              struct bawn_error *err);
void tpm_key_close(struct tpm *t, struct tpm_key *key);

/* A quote by the key of all PCRs of the SHA-256 bank (else SHA-384) about the data, with their
 * values, which belong to it. data is up to 64 bytes; zeros behind 32 or 48 are left out for a TPM
 * that takes no more. */
enum bawn_status tpm_quote_make(struct tpm *t, const struct tpm_key *key, struct bawn_bytes data,
                                struct tpm_quote *quote, struct bawn_error *err);

#endif

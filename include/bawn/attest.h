/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * libbawn-attest: judges evidence from confidential virtual machines. Evidence, endorsements
 * and the time go in; a verdict, claims and findings come out. Pure: no network, no files, no
 * clock, no global state. Evidence and endorsements are hostile; the trust (roots) is not.
 * bawn-attest(3) is the manual.
 *
 * Threads: a struct bawn_trust may be shared by any number of threads. A struct
 * bawn_attest_cache and a struct bawn_attest_result belong to one thread at a time.
 */
#ifndef BAWN_ATTEST_H
#define BAWN_ATTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bawn/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BAWN_ATTEST_API __attribute__((visibility("default")))

/* Borrowed bytes. data may be NULL when len is 0. */
struct bawn_bytes {
    const uint8_t *data;
    size_t len;
};

/* ---- Roots ---- */

struct bawn_trust;

/* Among given roots this stands for those compiled in. (By its address: an empty file is none.) */
BAWN_ATTEST_API extern const uint8_t bawn_trust_builtin[1];
#define BAWN_TRUST_BUILTIN ((struct bawn_bytes){ bawn_trust_builtin, 0 })

/* What a verdict may rest on: with n 0 the roots compiled in (ARK-Milan, ARK-Genoa, ARK-Turin,
 * Intel SGX Root CA), else only the n given: CA certificates, or bare public keys for TPM
 * attestation keys (each DER, or PEM of one or more), or BAWN_TRUST_BUILTIN. Copies what it
 * needs. BAWN_E_FORMAT: one is neither a self-signed CA certificate nor a public key. */
BAWN_ATTEST_API enum bawn_status bawn_trust_create(struct bawn_trust **trust,
                                                   const struct bawn_bytes *roots, size_t n,
                                                   struct bawn_error *err);
BAWN_ATTEST_API void bawn_trust_destroy(struct bawn_trust *trust);

/* ---- Cache ---- */

struct bawn_attest_cache;

/* Remembers which signatures verified under which keys, and the keys made ready for it; up to
 * `entries` (at least 16) of each, least recently used out first. That is a pure function, so
 * a cache changes no verdict: times, revocation and claims are judged anew on each call. */
BAWN_ATTEST_API struct bawn_attest_cache *bawn_attest_cache_create(unsigned entries);
BAWN_ATTEST_API void bawn_attest_cache_destroy(struct bawn_attest_cache *cache);

/* ---- Input ---- */

enum bawn_evidence_kind {
    BAWN_EVIDENCE_ANY = 0, /* recognise it */
    BAWN_EVIDENCE_SNP,     /* report, alone or followed by a certificate table */
    BAWN_EVIDENCE_QUOTE,   /* SGX or TDX quote */
    BAWN_EVIDENCE_HCL,     /* Azure's report with runtime data */
    BAWN_EVIDENCE_TPM,     /* TPMS_ATTEST */
    BAWN_EVIDENCE_LOG,     /* TCG or CCEL event log alone: replayed, never trusted by itself */
    BAWN_EVIDENCE_JSON,    /* JSON evidence in one of the known forms */
    BAWN_EVIDENCE_RATLS,   /* certificate that carries evidence about its key: never recognised,
                              only when it is asked for */
    BAWN_EVIDENCE_KINDS,
};

enum bawn_attest_flags {
    BAWN_ATTEST_STRICT = 1 << 0,  /* warnings refuse */
    BAWN_ATTEST_EXPLAIN = 1 << 1, /* also give findings for the checks that passed */
};

/* One requirement on a claim, as text: "snp.report_data" BAWN_EXPECT_EQ "00ff...". Numbers are
 * decimal or 0x hex, bytes are hex (a shorter value is extended with zero bytes), booleans
 * true or false. The order relations are for numbers and for security versions in bytes (claims
 * in _tcb or _svn), where every component must satisfy it. */
enum bawn_expect_op { BAWN_EXPECT_EQ, BAWN_EXPECT_NE, BAWN_EXPECT_GE, BAWN_EXPECT_LE };

struct bawn_expect {
    const char *claim;
    enum bawn_expect_op op;
    const char *value;
};

struct bawn_attest_input {
    struct bawn_bytes evidence;
    enum bawn_evidence_kind kind;
    /* Each recognised by content: certificate or CRL (DER, PEM of several), SNP certificate
     * table, collateral (TCB info, QE identity, or a bundle in JSON), TPM signature, PCR values,
     * AK public key, event log. One that is none of these is a finding, not a failure. */
    const struct bawn_bytes *endorsements;
    size_t nr_endorsements;
    const struct bawn_expect *expect;
    size_t nr_expect;
    int64_t at;     /* the time of judgement, seconds since 1970-01-01 UTC */
    unsigned flags; /* enum bawn_attest_flags */
};

/* ---- Output ---- */

enum bawn_verdict {
    BAWN_TRUSTED = 0,
    BAWN_NOT_TRUSTED = 1,
    BAWN_CANNOT_JUDGE = 2, /* unparsable, or an endorsement is missing or stale */
};

enum bawn_claim_kind { BAWN_CLAIM_BOOL, BAWN_CLAIM_UINT, BAWN_CLAIM_BYTES, BAWN_CLAIM_TEXT };

/* A fact from evidence or endorsements. It is as true as the verdict: when that is not
 * BAWN_TRUSTED, a claim may be what a forger wrote. */
struct bawn_claim {
    const char *name; /* "snp.reported_tcb.microcode", "tdx.rtmr", "tpm.pcr" */
    int index;        /* of an indexed claim (tpm.pcr[7] is "tpm.pcr" with 7), else -1 */
    enum bawn_claim_kind kind;
    union {
        bool boolean;
        uint64_t uint;
        struct bawn_bytes bytes;
        const char *text; /* UTF-8, no control characters */
    };
};

enum bawn_finding_level {
    BAWN_FINDING_PASS,    /* a check that passed; only with BAWN_ATTEST_EXPLAIN */
    BAWN_FINDING_WARNING, /* refuses under BAWN_ATTEST_STRICT */
    BAWN_FINDING_MISSING, /* cannot be judged */
    BAWN_FINDING_REFUSED,
};

/* What one check found. Texts are never NULL; those that do not apply are empty. */
struct bawn_finding {
    enum bawn_finding_level level;
    const char *check;    /* stable name of the check: "snp.signature", "tdx.tcb-status" */
    const char *text;     /* one sentence: what holds or does not */
    const char *claim;    /* the claim at fault, or what was checked */
    const char *expected; /* value */
    const char *found;    /* value */
    const char *source;   /* specification, section */
    const char *advice;   /* what an operator can do */
    size_t endorsement;   /* which of the endorsements given it is about, from 1; 0: none */
};

/* One event of a TCG or CC event log, in log order. */
struct bawn_event {
    uint32_t index;           /* PCR, or measurement register of a CC log (1..4 are RTMR0..3) */
    uint32_t type;            /* EV_* */
    const char *type_name;    /* "EV_SEPARATOR" */
    struct bawn_bytes digest; /* in the bank that was replayed; empty when it is not extended */
    struct bawn_bytes data;
    const char *text;      /* the data decoded, for a person */
    bool digest_is_of_data; /* the digest is that of the data as logged */
};

struct bawn_attest_result;

/* An empty result, to be used for any number of verifications one after the other; it keeps
 * its memory between them. NULL: no memory. */
BAWN_ATTEST_API struct bawn_attest_result *bawn_attest_result_create(void);
BAWN_ATTEST_API void bawn_attest_result_destroy(struct bawn_attest_result *result);

/* Judges the evidence. What the result gives out borrows from it and from the input, and is
 * valid until either goes or the result is used again. cache may be NULL. */
BAWN_ATTEST_API enum bawn_verdict bawn_attest_verify(const struct bawn_trust *trust,
                                                     struct bawn_attest_cache *cache,
                                                     const struct bawn_attest_input *input,
                                                     struct bawn_attest_result *result);

BAWN_ATTEST_API enum bawn_verdict
bawn_attest_result_verdict(const struct bawn_attest_result *result);
/* What was judged, for a person: "AMD SEV-SNP attestation report, version 3, Milan". */
BAWN_ATTEST_API const char *
bawn_attest_result_subject(const struct bawn_attest_result *result);
/* NULL when the verdict rests on compiled-in roots alone, else the other root's name. */
BAWN_ATTEST_API const char *
bawn_attest_result_foreign_root(const struct bawn_attest_result *result);
BAWN_ATTEST_API size_t bawn_attest_result_claims(const struct bawn_attest_result *result,
                                                 const struct bawn_claim **claims);
/* The claim of that name ("tdx.rtmr[0]" with its index), or NULL. */
BAWN_ATTEST_API const struct bawn_claim *
bawn_attest_result_claim(const struct bawn_attest_result *result, const char *name);
BAWN_ATTEST_API size_t bawn_attest_result_findings(const struct bawn_attest_result *result,
                                                   const struct bawn_finding **findings);
BAWN_ATTEST_API size_t bawn_attest_result_events(const struct bawn_attest_result *result,
                                                 const struct bawn_event **events);

/* The value of a claim as text, as --expect takes it and as people read it: hex for bytes.
 * Writes at most size bytes, with a terminator; returns the length of the whole text. */
BAWN_ATTEST_API size_t bawn_claim_print(const struct bawn_claim *claim, char *text, size_t size);

/* "0.2.0" */
BAWN_ATTEST_API const char *bawn_attest_version(void);

#ifdef __cplusplus
}
#endif

#endif

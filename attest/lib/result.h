/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the checks write into: an arena that keeps its memory between verifications, and the
 * claims, findings and events in it. Running out of memory is sticky and makes the verdict
 * "cannot judge", so that no caller need check each addition.
 */
#ifndef BAWN_ATTEST_RESULT_H
#define BAWN_ATTEST_RESULT_H

#include <bawn/attest.h>
#include <bawn/cursor.h>

struct arena_block;

struct arena {
    struct arena_block *first, *current;
    bool failed;
};

/* size bytes, zeroed, aligned for any type; NULL (and the arena failed) without memory. */
void *arena_alloc(struct arena *a, size_t size);
/* n elements of size bytes; checks the product. */
void *arena_array(struct arena *a, size_t n, size_t size);
struct bawn_bytes arena_copy(struct arena *a, const void *data, size_t len);
__attribute__((format(printf, 2, 3))) const char *arena_text(struct arena *a, const char *fmt, ...);
/* Lower-case hex of at most 64 bytes, more are cut with "..."; for findings. */
const char *arena_hex(struct arena *a, struct bawn_bytes bytes);
/* Hostile text made printable: control and non-ASCII bytes become \xNN; at most 256 shown. */
const char *arena_printable(struct arena *a, struct bawn_bytes text);
/* "2026-08-19T14:19:23Z" */
const char *arena_time(struct arena *a, int64_t t);
/* Forgets everything, keeps the memory. */
void arena_reset(struct arena *a);
void arena_free(struct arena *a);

/* A growable list of fixed-size elements in the arena. list_add returns a zeroed element. */
struct list {
    void *items;
    size_t n, room;
};
void *list_add(struct arena *a, struct list *l, size_t size);

struct bawn_attest_result {
    struct arena arena;
    struct list claims;   /* struct bawn_claim */
    struct list findings; /* struct bawn_finding */
    struct list events;   /* struct bawn_event */
    enum bawn_verdict verdict;
    bool explain, strict;
    unsigned proofs; /* enum proof, of the checks that passed */
    size_t endorsement; /* that is being sorted, from 1, for the findings about it; else 0 */
    const char *subject;
    const char *foreign_root;
};

void result_reset(struct bawn_attest_result *r);

/* ---- Claims. name is static or of the arena; bytes and text are borrowed. ---- */
void claim_bool(struct bawn_attest_result *r, const char *name, bool value);
void claim_uint(struct bawn_attest_result *r, const char *name, uint64_t value);
void claim_bytes(struct bawn_attest_result *r, const char *name, const void *data, size_t len);
void claim_text(struct bawn_attest_result *r, const char *name, const char *text);
void claim_bytes_at(struct bawn_attest_result *r, const char *name, int index, const void *data,
                    size_t len);
void claim_text_at(struct bawn_attest_result *r, const char *name, int index, const char *text);

/* ---- Findings ----
 *
 * A check is described once, as a static constant, and each outcome refers to it:
 *
 *     static const struct check snp_signature = {
 *         .name = "snp.signature", .claim = "snp.signature",
 *         .source = "AMD 56860 rev 1.58, 7.3, ATTESTATION_REPORT",
 *         .how = "ECDSA P-384 with SHA-384 over bytes 0 to 0x29f, with the key of the VCEK",
 *         .advice = "the report was altered or is not this chip's: ask the guest for a new one",
 *     };
 */
/* Checks without which nothing is trusted. They are noted as they pass, so that a judge that
 * leaves early by mistake does not make a guest trusted: attest.c asks for those it needs. */
enum proof {
    PROOF_SNP_CHAIN = 1 << 0, /* the certificate that signed leads to a root */
    PROOF_SNP_REPORT = 1 << 1, /* signature over the report */
    PROOF_PCK_CHAIN = 1 << 2,
    PROOF_QE_REPORT = 1 << 3,
    PROOF_QE_BINDING = 1 << 4,
    PROOF_QUOTE = 1 << 5,
    PROOF_TCB_INFO = 1 << 6, /* signed, in force, and for this platform */
    PROOF_QE_IDENTITY = 1 << 7,
    PROOF_TPM_QUOTE = 1 << 8,
    PROOF_TPM_KEY = 1 << 9, /* something vouches for the attestation key */
    PROOF_HCL = 1 << 10, /* Azure's runtime data is bound to the report */
    PROOF_RATLS = 1 << 11, /* the evidence is bound to the certificate's key */
};

struct check {
    const char *name;   /* stable: "snp.signature" */
    const char *claim;  /* what is judged; may be NULL */
    const char *source; /* specification and section */
    const char *how;    /* how the check is made, for --explain: one clause, no full stop */
    const char *advice; /* what an operator can do when it fails */
    unsigned proof;     /* enum proof, or 0 */
};

/* Notes the pass (with BAWN_ATTEST_EXPLAIN only). Always true. */
bool check_passed(struct bawn_attest_result *r, const struct check *c);
/* Each returns false, so that a check can `return check_refused(...)`. expected and found may
 * be NULL; text says what was wrong, in one clause. */
__attribute__((format(printf, 5, 6))) bool check_refused(struct bawn_attest_result *r,
                                                         const struct check *c,
                                                         const char *expected, const char *found,
                                                         const char *fmt, ...);
__attribute__((format(printf, 5, 6))) bool check_missing(struct bawn_attest_result *r,
                                                         const struct check *c,
                                                         const char *expected, const char *found,
                                                         const char *fmt, ...);
__attribute__((format(printf, 5, 6))) bool check_warned(struct bawn_attest_result *r,
                                                        const struct check *c, const char *expected,
                                                        const char *found, const char *fmt, ...);

/* Whether nothing was refused or missing so far. */
bool result_clean(const struct bawn_attest_result *r);

#endif

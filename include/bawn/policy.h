/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * libbawn-policy: whether claims satisfy a policy, and why. Policies are declarative JSON
 * (policy/schema/policy.schema.json, docs/policy.md): no loops, no side effects; evaluation
 * is total and bounded, and what no rule allows is denied. Pure: no files, network, clock or
 * global state. Policies come from their author, who may err; claims are as true as the
 * verdict that comes with them.
 *
 * Threads: struct bawn_policy and struct bawn_refs are immutable once made and may be shared;
 * a struct bawn_policy_result belongs to one thread at a time.
 */
#ifndef BAWN_POLICY_H
#define BAWN_POLICY_H

#include <bawn/attest.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BAWN_POLICY_API __attribute__((visibility("default")))

#define BAWN_POLICY_HASH_SIZE 32 /* SHA-256 of a policy's text, byte for byte */
#define BAWN_POLICY_TEXT_MAX (1u << 20)
#define BAWN_POLICY_INCLUDES_MAX 32 /* in all, however deep */

/* ---- Policies ---- */

struct bawn_policy;

/* Finds the text that a policy includes by name; it is used only if its hash is the one that
 * the including policy pins. The text is borrowed until bawn_policy_create returns. */
typedef enum bawn_status (*bawn_policy_load_fn)(void *context, const char *name,
                                                struct bawn_bytes *text, struct bawn_error *err);

/* Reads a policy; name is for messages. load may be NULL: includes are refused.
 * BAWN_E_FORMAT: "name:line:column: what is wrong, what would be right". */
BAWN_POLICY_API enum bawn_status bawn_policy_create(struct bawn_policy **policy, const char *name,
                                                    struct bawn_bytes text,
                                                    bawn_policy_load_fn load, void *context,
                                                    struct bawn_error *err);
BAWN_POLICY_API void bawn_policy_destroy(struct bawn_policy *policy);
BAWN_POLICY_API const uint8_t *bawn_policy_hash(const struct bawn_policy *policy);
BAWN_POLICY_API const char *bawn_policy_id(const struct bawn_policy *policy); /* "strict" */
BAWN_POLICY_API const char *bawn_policy_version(const struct bawn_policy *policy);
/* Rules and groups, with those included; 0: the policy denies everything. */
BAWN_POLICY_API size_t bawn_policy_rules(const struct bawn_policy *policy);

/* Whether a text is signed, detached: by ECDSA on P-256 with SHA-256 or on P-384 with SHA-384 (DER),
 * or Ed25519. public_pem: SubjectPublicKeyInfo. BAWN_E_DENIED: not by this key. */
BAWN_POLICY_API enum bawn_status bawn_policy_check_signature(struct bawn_bytes text,
                                                             struct bawn_bytes signature,
                                                             struct bawn_bytes public_pem,
                                                             struct bawn_error *err);

/* ---- Reference values: named sets of claim values, as text ---- */

struct bawn_refs;

BAWN_POLICY_API struct bawn_refs *bawn_refs_create(void); /* NULL: no memory */
BAWN_POLICY_API void bawn_refs_destroy(struct bawn_refs *refs);
/* Values as bawn_claim_print() writes them; hex in either case. expires: 0 never, else the
 * value counts only before it (seconds since 1970). Copies. All additions come before use. */
BAWN_POLICY_API enum bawn_status bawn_refs_add(struct bawn_refs *refs, const char *set,
                                               const char *value, int64_t expires,
                                               struct bawn_error *err);

/* ---- Claims from text, as logs and requests have them ---- */

struct bawn_claims;

BAWN_POLICY_API struct bawn_claims *bawn_claims_create(void); /* NULL: no memory */
BAWN_POLICY_API void bawn_claims_destroy(struct bawn_claims *claims);
/* Forgets all, keeps the memory. */
BAWN_POLICY_API void bawn_claims_reset(struct bawn_claims *claims);
/* One claim, as bawn_claim_print() writes it: "tpm.pcr[7]", "00ff..". Copies. Its kind is the one
 * that docs/claims.md gives; a name that is not known there is of text. BAWN_E_FORMAT: no such
 * claim has such a value. */
BAWN_POLICY_API enum bawn_status bawn_claims_add(struct bawn_claims *claims, const char *name,
                                                 const char *text, struct bawn_error *err);
/* Borrows from claims, until the next addition. */
BAWN_POLICY_API size_t bawn_claims_list(const struct bawn_claims *claims,
                                        const struct bawn_claim **list);

/* ---- Evaluation ---- */

/* "snp", "tdx", "sgx", "tpm", "azure-snp", "azure-tdx": what a policy's "evidence" names; for a
 * verification's result. Launches are "launch". NULL: nothing a policy can name. */
BAWN_POLICY_API const char *bawn_policy_evidence_of(const struct bawn_attest_result *result);

struct bawn_policy_input {
    const char *evidence; /* NULL is accepted by no policy */
    enum bawn_verdict verdict;
    bool foreign_root; /* the verdict rests on a root that was given: a test platform's, perhaps */
    const struct bawn_claim *claims;
    size_t nr_claims;
    const struct bawn_refs *refs; /* may be NULL */
    int64_t at;
};

enum bawn_rule_outcome { BAWN_RULE_PASSED, BAWN_RULE_FAILED, BAWN_RULE_SKIPPED };

/* One rule or one group (all, any, not) of the policy, in the order of the text. Texts are never
 * NULL; those that do not apply are empty. */
struct bawn_trace {
    const char *rule;  /* its id, unique in the policy; included ones as "include/id" */
    unsigned depth;    /* in groups */
    const char *group; /* "all", "any", "not"; empty: a requirement on a claim */
    enum bawn_rule_outcome outcome;
    const char *claim;           /* "snp.reported_tcb.microcode" */
    const char *requirement;     /* "at least 209", "one of 3 values" */
    const char *found;           /* the claim's value, or "absent" */
    const char *reason;          /* the author's, why the rule is there */
    const char *const *controls; /* "NIST-800-53:SI-7" */
    size_t nr_controls;
    unsigned line;
};

/* AR4SI (draft-ietf-rats-ar4si): a trustworthiness claim each, 0 where the policy says nothing. */
enum bawn_trust_claim {
    BAWN_TV_INSTANCE_IDENTITY,
    BAWN_TV_CONFIGURATION,
    BAWN_TV_EXECUTABLES,
    BAWN_TV_FILE_SYSTEM,
    BAWN_TV_HARDWARE,
    BAWN_TV_RUNTIME_OPAQUE,
    BAWN_TV_STORAGE_OPAQUE,
    BAWN_TV_SOURCED_DATA,
    BAWN_TV_CLAIMS,
};
BAWN_POLICY_API extern const char *const bawn_trust_claim_names[BAWN_TV_CLAIMS]; /* "hardware" */

struct bawn_policy_result;

/* Empty; keeps its memory between evaluations. NULL: no memory. */
BAWN_POLICY_API struct bawn_policy_result *bawn_policy_result_create(void);
BAWN_POLICY_API void bawn_policy_result_destroy(struct bawn_policy_result *result);

/* True: allowed. What the result gives out borrows from it, the policy and the claims. Without
 * memory it is false. */
BAWN_POLICY_API bool bawn_policy_evaluate(const struct bawn_policy *policy,
                                          const struct bawn_policy_input *input,
                                          struct bawn_policy_result *result);
BAWN_POLICY_API bool bawn_policy_result_allowed(const struct bawn_policy_result *result);
BAWN_POLICY_API size_t bawn_policy_result_trace(const struct bawn_policy_result *result,
                                                const struct bawn_trace **trace);
/* Why it was denied, for a person: one sentence for each rule that decided so, in order. */
BAWN_POLICY_API size_t bawn_policy_result_reasons(const struct bawn_policy_result *result,
                                                  const char *const **reasons);
BAWN_POLICY_API const int8_t *bawn_policy_result_vector(const struct bawn_policy_result *result);
/* "affirming", "warning", "contraindicated", "none": the worst of the vector; never affirming
 * when denied. */
BAWN_POLICY_API const char *bawn_policy_result_status(const struct bawn_policy_result *result);

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy as it is kept: its rules in one array, each group before its members, so that
 * evaluation is two loops without recursion. Immutable once made; all memory is the arena's.
 */
#ifndef BAWN_POLICY_MODEL_H
#define BAWN_POLICY_MODEL_H

#include <bawn/policy.h>

#include "attest/lib/result.h"
#include "policy/lib/claims.h"

#define POLICY_LANGUAGE 1u
#define POLICY_RULES_MAX 1024u /* with groups and what is included */
/* Groups in groups. The JSON reader's own limit of 32 levels holds two for each, and the rest. */
#define POLICY_DEPTH_MAX 12u
#define POLICY_INCLUDE_DEPTH_MAX 8u
#define POLICY_CONTROLS_MAX 32u
#define POLICY_ID_MAX 64u
#define POLICY_TEXT_LINE_MAX 1024u /* of a reason */

/* Kinds of evidence, as bits in this order. */
extern const char *const evidence_names[];
extern const size_t nr_evidence_names;
unsigned evidence_bit(struct bawn_bytes name); /* 0: no such kind */

enum rule_kind { RULE_CLAIM, RULE_ALL, RULE_ANY, RULE_NOT };

enum requirement {
    REQ_EQUALS,
    REQ_ONE_OF,
    REQ_AT_LEAST,
    REQ_AT_MOST,
    REQ_BITS_SET,
    REQ_BITS_CLEAR,
    REQ_IN_REFERENCE,
    REQ_ABSENT,
    REQ_PRESENT,
};

/* What a claim is compared with; kind is the claim's, or CLAIM_ANY for text that is. */
struct literal {
    unsigned kind;
    bool boolean;
    uint64_t uint;
    struct bawn_bytes bytes; /* of bytes and text */
};

struct rule {
    enum rule_kind kind;
    uint32_t end;      /* index of the rule after this one and all inside it */
    unsigned evidence; /* bits: of which evidence it speaks */
    unsigned depth;
    int trust; /* enum bawn_trust_claim, or -1 */
    int8_t pass, fail;
    /* RULE_CLAIM */
    enum requirement requirement;
    uint32_t slot; /* of the claim's name */
    int index;
    bool versions; /* at_least and at_most by component */
    const struct literal *literals;
    size_t nr_literals;
    const char *set;
    uint64_t set_hash;
};

/* A claim's name that some rule is about; found by hash when claims are read. */
struct slot {
    const char *name;
    uint32_t len;
    uint32_t hash;
    uint32_t next; /* in its bucket; SLOT_NONE */
};
#define SLOT_NONE UINT32_MAX
#define SLOT_BUCKETS 256u

struct bawn_policy {
    struct arena arena;
    const char *id, *version, *description;
    uint8_t hash[BAWN_POLICY_HASH_SIZE];
    unsigned evidence; /* bits */
    bool test_roots;
    struct rule *rules;
    struct bawn_trace *trace; /* of each rule, without what evaluation finds */
    size_t nr_rules;
    struct slot *slots;
    size_t nr_slots;
    uint32_t bucket[SLOT_BUCKETS];
};

uint32_t name_hash(const char *name, size_t len);
uint64_t set_hash(const char *set);
/* The slot of a claim's name, or SLOT_NONE. */
uint32_t policy_slot(const struct bawn_policy *p, const char *name, size_t len);

/* refs.c: whether the set has the value. expired: it had. size: of the set, for the reason. */
bool refs_have(const struct bawn_refs *refs, const struct rule *rule, const char *value,
               bool any_case, int64_t at, bool *expired);
size_t refs_size(const struct bawn_refs *refs, const char *set);

/* evaluate.c and reasons.c */
enum truth { TRUTH_SKIPPED, TRUTH_FALSE, TRUTH_UNKNOWN, TRUTH_TRUE };

struct bawn_policy_result {
    struct arena arena;
    bool allowed;
    struct bawn_trace *trace;
    size_t nr_trace;
    struct list reasons; /* const char * */
    int8_t vector[BAWN_TV_CLAIMS];
    const char *status;
    /* While evaluating. */
    const struct bawn_policy *policy;
    const struct bawn_policy_input *input;
    uint8_t *truth;         /* enum truth, of each rule */
    const char **note;      /* more on why a rule failed, or NULL */
    uint32_t *first, *last; /* by slot: the first claim of that name, and the last, from 1 */
    uint32_t *next;         /* by claim: the next of the same name, from 1 */
};

/* Tiers of AR4SI values, from best to worst. */
enum tier { TIER_NONE, TIER_AFFIRMING, TIER_WARNING, TIER_CONTRAINDICATED };
enum tier tier_of(int value);

void reasons_make(struct bawn_policy_result *r, bool positive);

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * Evaluation: claims are sorted to the names that the policy knows, rules are judged from the last
 * to the first, so that a group finds its members judged. Time is in proportion to claims and
 * rules; memory is the result's and is kept.
 *
 * A requirement on a claim that is absent or cannot be compared is unknown: it fails, and so does
 * its "not".
 */
#include <stdlib.h>
#include <string.h>

#include "policy/lib/compare.h"
#include "policy/lib/model.h"

/* AR4SI, common values: what was proven is not what the verifier can vouch for. */
#define TRUST_VERIFY_FAILED 99
/* AR4SI, hardware: its known weaknesses are for a person to weigh. A test platform is one. */
#define TRUST_TEST_HARDWARE 32

static const char *const tier_names[] = {
    [TIER_NONE] = "none",
    [TIER_AFFIRMING] = "affirming",
    [TIER_WARNING] = "warning",
    [TIER_CONTRAINDICATED] = "contraindicated",
};

enum tier tier_of(int value)
{
    if (value >= -1 && value <= 1)
        return TIER_NONE;
    if (value >= -32 && value < 32)
        return TIER_AFFIRMING;
    return value >= -96 && value < 96 ? TIER_WARNING : TIER_CONTRAINDICATED;
}

/* ---- Result ---- */

struct bawn_policy_result *bawn_policy_result_create(void)
{
    struct bawn_policy_result *r = calloc(1, sizeof(*r));

    if (r)
        r->status = tier_names[TIER_NONE];
    return r;
}

void bawn_policy_result_destroy(struct bawn_policy_result *result)
{
    if (!result)
        return;
    arena_free(&result->arena);
    free(result);
}

bool bawn_policy_result_allowed(const struct bawn_policy_result *result)
{
    return result->allowed;
}

size_t bawn_policy_result_trace(const struct bawn_policy_result *result,
                                const struct bawn_trace **trace)
{
    *trace = result->trace;
    return result->nr_trace;
}

size_t bawn_policy_result_reasons(const struct bawn_policy_result *result,
                                  const char *const **reasons)
{
    *reasons = result->reasons.items;
    return result->reasons.n;
}

const int8_t *bawn_policy_result_vector(const struct bawn_policy_result *result)
{
    return result->vector;
}

const char *bawn_policy_result_status(const struct bawn_policy_result *result)
{
    return result->status;
}

/* ---- Claims ---- */

static bool start(struct bawn_policy_result *r, const struct bawn_policy *p,
                  const struct bawn_policy_input *input)
{
    struct arena arena = r->arena;

    arena_reset(&arena);
    *r = (struct bawn_policy_result){
        .arena = arena, .status = tier_names[TIER_NONE], .policy = p, .input = input
    };
    if (input->nr_claims >= UINT32_MAX)
        return false;
    r->trace = arena_array(&r->arena, p->nr_rules + 1, sizeof(*r->trace));
    r->truth = arena_array(&r->arena, p->nr_rules + 1, sizeof(*r->truth));
    r->note = arena_array(&r->arena, p->nr_rules + 1, sizeof(*r->note));
    r->first = arena_array(&r->arena, p->nr_slots + 1, sizeof(*r->first));
    r->last = arena_array(&r->arena, p->nr_slots + 1, sizeof(*r->last));
    r->next = arena_array(&r->arena, input->nr_claims + 1, sizeof(*r->next));
    if (r->arena.failed)
        return false;
    memcpy(r->trace, p->trace, p->nr_rules * sizeof(*r->trace));
    r->nr_trace = p->nr_rules;
    return true;
}

static void sort_claims(struct bawn_policy_result *r)
{
    for (uint32_t i = 0; i < r->input->nr_claims; i++) {
        const char *name = r->input->claims[i].name;
        uint32_t slot = policy_slot(r->policy, name, strlen(name));

        if (slot == SLOT_NONE)
            continue;
        if (r->last[slot])
            r->next[r->last[slot] - 1] = i + 1;
        else
            r->first[slot] = i + 1;
        r->last[slot] = i + 1;
    }
}

/* ---- Rules ---- */

static const struct bawn_claim *claim_at(const struct bawn_policy_result *r, uint32_t from1)
{
    return from1 ? &r->input->claims[from1 - 1] : NULL;
}

/* What is required when there is no such claim. */
static enum truth judge_absent(struct bawn_policy_result *r, uint32_t i)
{
    enum requirement requirement = r->policy->rules[i].requirement;

    r->trace[i].found = "absent";
    if (requirement == REQ_ABSENT)
        return TRUTH_TRUE;
    return requirement == REQ_PRESENT ? TRUTH_FALSE : TRUTH_UNKNOWN;
}

static enum truth judge_claim(struct bawn_policy_result *r, uint32_t i)
{
    const struct rule *rule = &r->policy->rules[i];
    enum truth truth = TRUTH_SKIPPED;
    const char *found, *note;
    unsigned n = 0;

    for (uint32_t at = r->first[rule->slot]; at; at = r->next[at - 1]) {
        const struct bawn_claim *c = claim_at(r, at);

        if (rule->index != INDEX_EACH && c->index != rule->index)
            continue;
        note = NULL;
        found = claim_text_of(&r->arena, c);
        truth = compare_claim(rule, c, found, r->input, &note);
        r->trace[i].found = found;
        r->note[i] = note;
        n++;
        if (rule->index != INDEX_EACH || truth != TRUTH_TRUE)
            break;
    }
    if (!n)
        return judge_absent(r, i);
    if (n > 1 && truth == TRUTH_TRUE)
        r->trace[i].found = arena_text(&r->arena, "%u values", n);
    return truth;
}

static enum truth judge_group(const struct bawn_policy_result *r, uint32_t i)
{
    const struct rule *rules = r->policy->rules;
    unsigned n[TRUTH_TRUE + 1] = { 0 };

    for (uint32_t m = i + 1; m < rules[i].end; m = rules[m].end)
        n[r->truth[m]]++;
    if (rules[i].kind == RULE_ANY) {
        if (n[TRUTH_TRUE])
            return TRUTH_TRUE;
        return n[TRUTH_FALSE] && !n[TRUTH_UNKNOWN] ? TRUTH_FALSE : TRUTH_UNKNOWN;
    }
    if (rules[i].kind == RULE_NOT) {
        if (n[TRUTH_SKIPPED] || n[TRUTH_UNKNOWN])
            return n[TRUTH_SKIPPED] ? TRUTH_SKIPPED : TRUTH_UNKNOWN;
        return n[TRUTH_TRUE] ? TRUTH_FALSE : TRUTH_TRUE;
    }
    if (n[TRUTH_FALSE])
        return TRUTH_FALSE;
    if (n[TRUTH_UNKNOWN])
        return TRUTH_UNKNOWN;
    return n[TRUTH_TRUE] ? TRUTH_TRUE : TRUTH_SKIPPED;
}

static void judge_rules(struct bawn_policy_result *r, unsigned evidence)
{
    const struct rule *rules = r->policy->rules;
    static const enum bawn_rule_outcome outcomes[] = {
        [TRUTH_SKIPPED] = BAWN_RULE_SKIPPED,
        [TRUTH_FALSE] = BAWN_RULE_FAILED,
        [TRUTH_UNKNOWN] = BAWN_RULE_FAILED,
        [TRUTH_TRUE] = BAWN_RULE_PASSED,
    };

    for (uint32_t i = (uint32_t)r->policy->nr_rules; i-- > 0;) {
        enum truth truth = TRUTH_SKIPPED;

        if (rules[i].evidence & evidence)
            truth = rules[i].kind == RULE_CLAIM ? judge_claim(r, i) : judge_group(r, i);
        r->truth[i] = (uint8_t)truth;
        r->trace[i].outcome = outcomes[truth];
    }
}

/* ---- What follows ---- */

static bool all_hold(const struct bawn_policy_result *r)
{
    const struct rule *rules = r->policy->rules;

    for (uint32_t i = 0; i < r->policy->nr_rules; i = rules[i].end)
        if (r->truth[i] != TRUTH_TRUE && r->truth[i] != TRUTH_SKIPPED)
            return false;
    return true;
}

/* Whether something was required, found, and right: what is merely not forbidden is denied. */
static bool positive(const struct bawn_policy_result *r)
{
    const struct rule *rules = r->policy->rules;

    for (uint32_t i = 0; i < r->policy->nr_rules;) {
        if (r->truth[i] != TRUTH_TRUE || rules[i].kind == RULE_NOT)
            i = rules[i].end;
        else if (rules[i].kind == RULE_CLAIM && rules[i].requirement != REQ_ABSENT)
            return true;
        else
            i++;
    }
    return false;
}

static void worsen(int8_t *value, int8_t by)
{
    if (!*value || tier_of(by) > tier_of(*value))
        *value = by;
}

static void make_vector(struct bawn_policy_result *r, bool proven)
{
    const struct rule *rules = r->policy->rules;

    for (uint32_t i = 0; i < r->policy->nr_rules; i = rules[i].end) {
        int8_t value = r->truth[i] == TRUTH_TRUE ? rules[i].pass : rules[i].fail;

        if (rules[i].trust < 0 || r->truth[i] == TRUTH_SKIPPED)
            continue;
        worsen(&r->vector[rules[i].trust], proven ? value : TRUST_VERIFY_FAILED);
    }
    if (!proven)
        worsen(&r->vector[BAWN_TV_HARDWARE], TRUST_VERIFY_FAILED);
    else if (r->input->foreign_root)
        worsen(&r->vector[BAWN_TV_HARDWARE], TRUST_TEST_HARDWARE);
}

static void make_status(struct bawn_policy_result *r)
{
    enum tier worst = TIER_NONE;

    for (unsigned i = 0; i < BAWN_TV_CLAIMS; i++)
        if (tier_of(r->vector[i]) > worst)
            worst = tier_of(r->vector[i]);
    if (!r->allowed && worst == TIER_AFFIRMING)
        worst = TIER_CONTRAINDICATED;
    r->status = tier_names[worst];
}

static bool no_memory(struct bawn_policy_result *r)
{
    static const char *const reason[] = { "There was no memory to judge the evidence." };
    struct arena arena = r->arena;

    *r = (struct bawn_policy_result){
        .arena = arena,
        .status = tier_names[TIER_NONE],
        .reasons = { .items = (void *)(uintptr_t)reason, .n = 1 },
    };
    return false;
}

bool bawn_policy_evaluate(const struct bawn_policy *policy, const struct bawn_policy_input *input,
                          struct bawn_policy_result *result)
{
    const char *kind = input->evidence ? input->evidence : "";
    unsigned evidence = evidence_bit((struct bawn_bytes){ (const uint8_t *)kind, strlen(kind) });
    bool root_ok = !input->foreign_root || policy->test_roots;
    bool some;

    if (!start(result, policy, input))
        return no_memory(result);
    sort_claims(result);
    judge_rules(result, evidence);
    some = positive(result);
    result->allowed = (policy->evidence & evidence) && input->verdict == BAWN_TRUSTED && root_ok &&
                      some && all_hold(result);
    if (input->verdict != BAWN_CANNOT_JUDGE)
        make_vector(result, input->verdict == BAWN_TRUSTED && root_ok);
    make_status(result);
    if (!result->allowed)
        reasons_make(result, some);
    return result->arena.failed ? no_memory(result) : result->allowed;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Why something was denied, in sentences: which rule, about which claim, what was found, what is
 * required, and why its author asks for it.
 */
#include <string.h>

#include "policy/lib/model.h"

#define ALTERNATIVES_SHOWN 4u

/* Parts put together; printf is too slow for what may be said for each of a thousand rules. */
struct sentence {
    const char *part[64];
    size_t n, len;
};

static void say(struct sentence *s, const char *part)
{
    if (s->n == sizeof(s->part) / sizeof(s->part[0]))
        return;
    s->part[s->n++] = part;
    s->len += strlen(part);
}

#define SAY(s, ...)                                                        \
    do {                                                                   \
        const char *const parts_[] = { __VA_ARGS__ };                      \
        for (size_t i_ = 0; i_ < sizeof(parts_) / sizeof(parts_[0]); i_++) \
            say(s, parts_[i_]);                                            \
    } while (0)

static void add(struct bawn_policy_result *r, const struct sentence *s)
{
    const char **reason = list_add(&r->arena, &r->reasons, sizeof(*reason));
    char *text = arena_alloc(&r->arena, s->len + 1), *p = text;

    if (!reason || !text)
        return;
    *reason = text;
    for (size_t i = 0; i < s->n; i++)
        p = stpcpy(p, s->part[i]);
}

/* The author's reason, and the full stop. */
static void close_sentence(struct sentence *s, const char *reason)
{
    size_t len = strlen(reason);

    if (len)
        SAY(s, ": ", reason);
    if (!len || reason[len - 1] != '.')
        say(s, ".");
}

/* "snp.policy.debug is true, and must be false" */
static void say_claim(struct sentence *s, const struct bawn_policy_result *r, uint32_t i,
                      const char *must)
{
    const struct bawn_trace *t = &r->trace[i];

    SAY(s, t->claim, " is ", *t->found ? t->found : "empty", must, t->requirement);
    if (r->note[i])
        SAY(s, " (", r->note[i], ")");
}

/* A group that failed, with the first of its requirements that did. */
static void say_alternative(struct sentence *s, const struct bawn_policy_result *r, uint32_t i)
{
    const struct rule *rules = r->policy->rules;

    SAY(s, "rule ", r->trace[i].rule, " fails");
    for (uint32_t m = i + 1; rules[i].kind == RULE_ALL && m < rules[i].end; m = rules[m].end) {
        if (rules[m].kind != RULE_CLAIM || r->trace[m].outcome != BAWN_RULE_FAILED)
            continue;
        say(s, " (");
        say_claim(s, r, m, ", and would have to be ");
        say(s, ")");
        return;
    }
}

static void say_any(struct sentence *s, const struct bawn_policy_result *r, uint32_t i)
{
    const struct rule *rules = r->policy->rules;
    unsigned n = 0;

    for (uint32_t m = i + 1; m < rules[i].end; m = rules[m].end) {
        if (r->truth[m] == TRUTH_SKIPPED || n++ > ALTERNATIVES_SHOWN)
            continue;
        if (n > ALTERNATIVES_SHOWN) {
            say(s, "; and more");
            continue;
        }
        say(s, n == 1 ? "no alternative holds: " : "; ");
        if (rules[m].kind == RULE_CLAIM)
            say_claim(s, r, m, ", and would have to be ");
        else
            say_alternative(s, r, m);
    }
    if (!n)
        SAY(s, "none of its alternatives is about evidence of kind ", r->input->evidence);
}

static void say_not(struct sentence *s, const struct bawn_policy_result *r, uint32_t i)
{
    uint32_t m = i + 1;
    bool holds = r->truth[m] == TRUTH_TRUE;

    if (r->policy->rules[m].kind == RULE_CLAIM)
        say_claim(s, r, m, holds ? ", and must not be " : ", which does not show that it is not ");
    else
        SAY(s, "rule ", r->trace[m].rule, holds ? " holds, and must not" : " cannot be decided");
}

static void say_rules(struct bawn_policy_result *r)
{
    const char *reason[POLICY_DEPTH_MAX + 2] = { "" };
    const struct rule *rules = r->policy->rules;

    for (uint32_t i = 0; i < r->policy->nr_rules;) {
        unsigned depth = rules[i].depth;
        struct sentence s = { .n = 0 };

        reason[depth] = *r->trace[i].reason || !depth ? r->trace[i].reason : reason[depth - 1];
        if (r->truth[i] == TRUTH_TRUE || r->truth[i] == TRUTH_SKIPPED) {
            i = rules[i].end;
            continue;
        }
        if (rules[i].kind == RULE_ALL) { /* those of its members that failed say why */
            i++;
            continue;
        }
        SAY(&s, r->trace[i].rule, ": ");
        if (rules[i].kind == RULE_CLAIM)
            say_claim(&s, r, i, ", and must be ");
        else
            (rules[i].kind == RULE_ANY ? say_any : say_not)(&s, r, i);
        close_sentence(&s, reason[depth]);
        add(r, &s);
        i = rules[i].end;
    }
}

static void say_input(struct bawn_policy_result *r)
{
    const struct bawn_policy_input *in = r->input;
    const char *kind = in->evidence ? in->evidence : "";
    unsigned bit = evidence_bit((struct bawn_bytes){ (const uint8_t *)kind, strlen(kind) });
    struct sentence s = { .n = 0 };

    if (!(r->policy->evidence & bit)) {
        if (bit)
            SAY(&s, "Policy ", r->policy->id, " does not accept evidence of kind ", kind, ".");
        else
            SAY(&s, "The evidence is of no kind that a policy can accept.");
        add(r, &s);
    }
    s.n = s.len = 0;
    if (in->verdict == BAWN_CANNOT_JUDGE)
        SAY(&s, "The evidence cannot be judged, so nothing that it claims is proven.");
    else if (in->verdict != BAWN_TRUSTED)
        SAY(&s, "The evidence is not trusted: what it claims may be forged.");
    if (s.n)
        add(r, &s);
    s.n = s.len = 0;
    if (in->foreign_root && !r->policy->test_roots) {
        SAY(&s, "The evidence rests on a root that is not a manufacturer's, and policy ",
            r->policy->id, " does not accept test roots.");
        add(r, &s);
    }
}

void reasons_make(struct bawn_policy_result *r, bool positive)
{
    struct sentence s = { .n = 0 };

    say_input(r);
    say_rules(r);
    if (r->reasons.n || positive)
        return;
    SAY(&s, "No rule of policy ", r->policy->id, " allows it, and what no rule allows is denied.");
    add(r, &s);
}

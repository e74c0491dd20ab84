// SPDX-License-Identifier: Apache-2.0
/*
 * What another version of a policy would have decided differently, on evidence or on what a log
 * says was judged, and which rules make the difference.
 */
#include "policy/cmd/commands.h"

#include <stdio.h>
#include <string.h>

#include "policy/cmd/print.h"

struct diff {
    const struct policy_options *o;
    const struct case_inputs *in;
    struct bawn_policy_result *result[2];
    unsigned nr, now_denied, now_allowed;
};

static const struct bawn_trace *find_rule(const struct bawn_policy_result *result, const char *id)
{
    const struct bawn_trace *trace;
    size_t n = bawn_policy_result_trace(result, &trace);

    for (size_t i = 0; i < n; i++)
        if (!strcmp(trace[i].rule, id))
            return &trace[i];
    return NULL;
}

/* Calls for each rule whose outcome differs; other is NULL where only one policy has it. */
typedef void rule_fn(void *context, const char *rule, const struct bawn_trace *old,
                     const struct bawn_trace *new);

static void each_difference(const struct diff *d, rule_fn *fn, void *context)
{
    const struct bawn_trace *trace;
    size_t n = bawn_policy_result_trace(d->result[0], &trace);

    for (size_t i = 0; i < n; i++) {
        const struct bawn_trace *other = find_rule(d->result[1], trace[i].rule);

        if (other ? other->outcome != trace[i].outcome : trace[i].outcome == BAWN_RULE_FAILED)
            fn(context, trace[i].rule, &trace[i], other);
    }
    n = bawn_policy_result_trace(d->result[1], &trace);
    for (size_t i = 0; i < n; i++)
        if (trace[i].outcome == BAWN_RULE_FAILED && !find_rule(d->result[0], trace[i].rule))
            fn(context, trace[i].rule, NULL, &trace[i]);
}

static const char *outcome_of(const struct bawn_trace *t)
{
    return t ? outcome_names[t->outcome] : "not there";
}

static void print_rule_change(void *context, const char *rule, const struct bawn_trace *old,
                              const struct bawn_trace *new)
{
    (void)context;
    printf("    rule ");
    print_text(rule);
    printf(": %s, would be %s\n", outcome_of(old), outcome_of(new));
}

static void add_rule_change(void *context, const char *rule, const struct bawn_trace *old,
                            const struct bawn_trace *new)
{
    json_array_append_new(context, json_pack("{s:s, s:s, s:s}", "rule", rule, "old",
                                             outcome_of(old), "new", outcome_of(new)));
}

static void print_change(const struct diff *d, const struct policy_case *c, bool now)
{
    json_t *rules;

    if (d->o->json) {
        rules = json_array();
        each_difference(d, add_rule_change, rules);
        print_json(json_pack("{s:s, s:s?, s:b, s:b, s:o, s:o, s:o}", "name", c->name, "evidence",
                             c->input.evidence, "old", !now, "new", now, "old_reasons",
                             json_reasons(d->result[0]), "new_reasons", json_reasons(d->result[1]),
                             "rules", rules));
        return;
    }
    print_text(c->name);
    printf(": %s, would be %s\n", now ? "denied" : "allowed", now ? "ALLOWED" : "DENIED");
    each_difference(d, print_rule_change, NULL);
    if (!now) {
        const char *const *reasons;
        size_t n = bawn_policy_result_reasons(d->result[1], &reasons);

        for (size_t i = 0; i < n; i++) {
            printf("    ");
            print_text(reasons[i]);
            putchar('\n');
        }
    }
}

static int compare(void *context, const struct policy_case *c)
{
    struct diff *d = context;
    bool was = bawn_policy_evaluate(d->in->policy[0], &c->input, d->result[0]);
    bool now = bawn_policy_evaluate(d->in->policy[1], &c->input, d->result[1]);

    d->nr++;
    if (was == now)
        return 0;
    d->now_denied += was;
    d->now_allowed += now;
    print_change(d, c, now);
    return 1;
}

static void print_sum(const struct diff *d)
{
    if (d->o->json) {
        print_json(json_pack("{s:i, s:i, s:i, s:o, s:o}", "judged", (int)d->nr, "now_denied",
                             (int)d->now_denied, "now_allowed", (int)d->now_allowed, "old",
                             json_policy(d->in->policy[0]), "new", json_policy(d->in->policy[1])));
        return;
    }
    printf("%u judged: %u would be denied that %s allowed, %u would be allowed that %s denied\n",
           d->nr, d->now_denied, d->now_denied == 1 ? "was" : "were", d->now_allowed,
           d->now_allowed == 1 ? "was" : "were");
}

int command_diff(const struct policy_options *o)
{
    struct bawn_error err = { "" };
    struct case_inputs in;
    struct diff d = { .o = o, .in = &in };
    enum bawn_status st = inputs_read(&in, o, 2, &err);
    int code = CANNOT;

    d.result[0] = bawn_policy_result_create();
    d.result[1] = bawn_policy_result_create();
    if (st == BAWN_OK && (!d.result[0] || !d.result[1]))
        st = bawn_fail(&err, BAWN_E_NOMEM, "no memory");
    if (st == BAWN_OK) {
        code = cases_run(&in, o->at.seconds, compare, &d, &err);
        if (*err.msg)
            st = BAWN_E_FORMAT;
        else
            print_sum(&d);
    }
    bawn_policy_result_destroy(d.result[0]);
    bawn_policy_result_destroy(d.result[1]);
    inputs_free(&in);
    return st == BAWN_OK ? code : command_fail(o, &err, st);
}

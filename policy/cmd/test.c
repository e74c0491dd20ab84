// SPDX-License-Identifier: Apache-2.0
/*
 * test and explain: what a policy decides, and why.
 */
#include <stdio.h>

#include "policy/cmd/commands.h"
#include "policy/cmd/print.h"

struct test {
    const struct policy_options *o;
    const struct bawn_policy *policy;
    struct bawn_policy_result *result;
    bool explain;
};

static int decide(void *context, const struct policy_case *c)
{
    const struct test *t = context;
    bool allowed = bawn_policy_evaluate(t->policy, &c->input, t->result);

    if (t->o->json)
        print_json(json_decision(c, t->policy, t->result, t->explain));
    else
        (t->explain ? print_trace : print_decision)(c, t->policy, t->result);
    if (allowed)
        return 0;
    return c->input.verdict == BAWN_CANNOT_JUDGE ? CANNOT : DENIED;
}

static int run(const struct policy_options *o, bool explain)
{
    struct test t = { .o = o, .explain = explain, .result = bawn_policy_result_create() };
    struct bawn_error err = { "" };
    struct case_inputs in;
    enum bawn_status st = inputs_read(&in, o, 1, &err);
    int code = CANNOT;

    t.policy = in.policy[0];
    if (st == BAWN_OK && !t.result)
        st = bawn_fail(&err, BAWN_E_NOMEM, "no memory");
    if (st == BAWN_OK) {
        code = cases_run(&in, o->at.seconds, decide, &t, &err);
        if (*err.msg)
            st = BAWN_E_FORMAT;
    }
    bawn_policy_result_destroy(t.result);
    inputs_free(&in);
    return st == BAWN_OK ? code : command_fail(o, &err, st);
}

int command_test(const struct policy_options *o)
{
    return run(o, false);
}

int command_explain(const struct policy_options *o)
{
    return run(o, true);
}

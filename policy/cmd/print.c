// SPDX-License-Identifier: Apache-2.0
/*
 * Decisions for a person, and as JSON lines for programs.
 */
#include "policy/cmd/print.h"

#include <stdio.h>
#include <string.h>

const char *const outcome_names[] = {
    [BAWN_RULE_PASSED] = "passed",
    [BAWN_RULE_FAILED] = "failed",
    [BAWN_RULE_SKIPPED] = "skipped",
};

static const char *const verdict_names[] = {
    [BAWN_TRUSTED] = "trusted",
    [BAWN_NOT_TRUSTED] = "not trusted",
    [BAWN_CANNOT_JUDGE] = "cannot judge",
};

/* Only printable ASCII reaches the terminal. */
void print_text(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p >= 0x20 && *p < 0x7f)
            putchar(*p);
        else
            printf("\\x%02x", *p);
    }
}

static void hash_text(const struct bawn_policy *policy, char text[2 * BAWN_POLICY_HASH_SIZE + 1])
{
    const uint8_t *hash = bawn_policy_hash(policy);

    for (unsigned i = 0; i < BAWN_POLICY_HASH_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
}

void print_hash(const struct bawn_policy *policy)
{
    char text[2 * BAWN_POLICY_HASH_SIZE + 1];

    hash_text(policy, text);
    printf("%s", text);
}

/* ---- For a person ---- */

/* What libbawn-attest found, where its verdict is why nothing is allowed. */
static void print_findings(const struct policy_case *c)
{
    const struct bawn_finding *f;
    size_t n = c->attest ? bawn_attest_result_findings(c->attest, &f) : 0;

    for (size_t i = 0; i < n; i++) {
        if (f[i].level < BAWN_FINDING_MISSING)
            continue;
        printf("    evidence: ");
        print_text(f[i].text);
        putchar('\n');
    }
}

void print_decision(const struct policy_case *c, const struct bawn_policy *policy,
                    const struct bawn_policy_result *result)
{
    const char *const *reasons;
    size_t n = bawn_policy_result_reasons(result, &reasons);

    print_text(c->name);
    printf(": %s by %s %s (%s, status %s)\n",
           bawn_policy_result_allowed(result) ? "ALLOWED" : "DENIED", bawn_policy_id(policy),
           bawn_policy_version(policy), c->input.evidence ? c->input.evidence : "unknown evidence",
           bawn_policy_result_status(result));
    for (size_t i = 0; i < n; i++) {
        printf("    ");
        print_text(reasons[i]);
        putchar('\n');
    }
    print_findings(c);
}

static void print_rule(const struct bawn_trace *t)
{
    static const char *const marks[] = {
        [BAWN_RULE_PASSED] = "pass",
        [BAWN_RULE_FAILED] = "FAIL",
        [BAWN_RULE_SKIPPED] = "skip",
    };

    printf("  %s  %*s", marks[t->outcome], (int)(2 * t->depth), "");
    print_text(t->rule);
    if (*t->group) {
        printf(": %s of", t->group);
    } else {
        printf(": ");
        print_text(t->claim);
        printf(" must be ");
        print_text(t->requirement);
        if (t->outcome != BAWN_RULE_SKIPPED) {
            printf("; is ");
            print_text(*t->found ? t->found : "empty");
        }
    }
    if (*t->reason) {
        printf("\n        %*swhy: ", (int)(2 * t->depth), "");
        print_text(t->reason);
    }
    for (size_t i = 0; i < t->nr_controls; i++) {
        printf(i ? ", " : " [");
        print_text(t->controls[i]);
    }
    printf("%s\n", t->nr_controls ? "]" : "");
}

void print_trace(const struct policy_case *c, const struct bawn_policy *policy,
                 const struct bawn_policy_result *result)
{
    const int8_t *vector = bawn_policy_result_vector(result);
    const struct bawn_trace *trace;
    size_t n = bawn_policy_result_trace(result, &trace);

    print_decision(c, policy, result);
    printf("\n  policy    %s %s, SHA-256 ", bawn_policy_id(policy), bawn_policy_version(policy));
    print_hash(policy);
    printf("\n  evidence  %s, %s%s", c->input.evidence ? c->input.evidence : "unknown",
           verdict_names[c->input.verdict], c->input.foreign_root ? ", on a given root" : "");
    if (*c->subject) {
        printf(" (");
        print_text(c->subject);
        putchar(')');
    }
    printf("\n\n");
    for (size_t i = 0; i < n; i++)
        print_rule(&trace[i]);
    printf("\n  trust vector (AR4SI):");
    for (unsigned i = 0, said = 0; i < BAWN_TV_CLAIMS; i++)
        if (vector[i])
            printf("%s %s %d", said++ ? "," : "", bawn_trust_claim_names[i], vector[i]);
    printf("\n  status %s\n", bawn_policy_result_status(result));
}

/* ---- For programs ---- */

void print_json(json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;

    puts(text ? text : "{\"error\":\"no memory\"}");
    free(text);
    json_decref(value);
}

/* A text that is not UTF-8 becomes null, which a reader cannot take for another. */
static json_t *text_json(const char *text)
{
    json_t *s = json_string(text);

    return s ? s : json_null();
}

json_t *json_policy(const struct bawn_policy *policy)
{
    char hash[2 * BAWN_POLICY_HASH_SIZE + 1];

    hash_text(policy, hash);
    return json_pack("{s:s, s:s, s:s}", "id", bawn_policy_id(policy), "version",
                     bawn_policy_version(policy), "sha256", hash);
}

json_t *json_reasons(const struct bawn_policy_result *result)
{
    const char *const *reasons;
    size_t n = bawn_policy_result_reasons(result, &reasons);
    json_t *array = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(array, text_json(reasons[i]));
    return array;
}

static json_t *rule_json(const struct bawn_trace *t)
{
    json_t *controls = json_array();

    for (size_t i = 0; i < t->nr_controls; i++)
        json_array_append_new(controls, text_json(t->controls[i]));
    return json_pack("{s:o, s:i, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:i}", "rule",
                     text_json(t->rule), "depth", (int)t->depth, "group", t->group, "outcome",
                     outcome_names[t->outcome], "claim", text_json(t->claim), "requirement",
                     text_json(t->requirement), "found", text_json(t->found), "reason",
                     text_json(t->reason), "controls", controls, "line", (int)t->line);
}

static json_t *vector_json(const int8_t *vector)
{
    json_t *object = json_object();

    for (unsigned i = 0; i < BAWN_TV_CLAIMS; i++)
        if (vector[i])
            json_object_set_new(object, bawn_trust_claim_names[i], json_integer(vector[i]));
    return object;
}

json_t *json_decision(const struct policy_case *c, const struct bawn_policy *policy,
                      const struct bawn_policy_result *result, bool trace)
{
    const struct bawn_trace *rules;
    size_t n = bawn_policy_result_trace(result, &rules);
    json_t *o = json_pack(
        "{s:o, s:s?, s:s, s:b, s:o, s:b, s:s, s:o, s:o}", "name", text_json(c->name), "evidence",
        c->input.evidence, "verdict", verdict_names[c->input.verdict], "foreign_root",
        c->input.foreign_root, "policy", json_policy(policy), "allowed",
        bawn_policy_result_allowed(result), "status", bawn_policy_result_status(result), "reasons",
        json_reasons(result), "vector", vector_json(bawn_policy_result_vector(result)));
    json_t *array = trace ? json_array() : NULL;

    for (size_t i = 0; trace && i < n; i++)
        json_array_append_new(array, rule_json(&rules[i]));
    if (array)
        json_object_set_new(o, "trace", array);
    return o;
}

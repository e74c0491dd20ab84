// SPDX-License-Identifier: Apache-2.0
// libs: -lcrypto
/*
 * What policies decide: every requirement on every kind of claim, groups, what is absent, the
 * verdict, reasons, trace and trust vector.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bawn/policy.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

static struct bawn_policy_result *result;
static struct bawn_claims *claims;
static struct bawn_refs *refs;

static struct bawn_policy *make(const char *head, const char *rules)
{
    static char text[65536];
    struct bawn_error err = { "" };
    struct bawn_policy *p;
    int n = snprintf(text, sizeof(text),
                     "{\"bawn_policy\":1,\"id\":\"p\",\"version\":\"1\",%s,\"rules\":[%s]}", head,
                     rules);

    if (bawn_policy_create(&p, "p", (struct bawn_bytes){ (uint8_t *)text, (size_t)n }, NULL, NULL,
                           &err))
        fail_msg("%s: %s", text, err.msg);
    return p;
}

/* "name=text" of each, up to NULL. */
static void set_claims(const char *const *list)
{
    bawn_claims_reset(claims);
    for (; *list; list++) {
        const char *eq = strchr(*list, '=');
        struct bawn_error err;
        char name[128];

        snprintf(name, sizeof(name), "%.*s", (int)(eq - *list), *list);
        if (bawn_claims_add(claims, name, eq + 1, &err))
            fail_msg("%s", err.msg);
    }
}

static struct bawn_policy_input input_of(const char *evidence)
{
    struct bawn_policy_input in = {
        .evidence = evidence, .verdict = BAWN_TRUSTED, .refs = refs, .at = 1000
    };

    in.nr_claims = bawn_claims_list(claims, &in.claims);
    return in;
}

static const char *const facts[] = {
    "snp.vmpl=1",
    "snp.policy=196608",
    "snp.policy.debug=false",
    "snp.product=Milan",
    "snp.measurement=00ff00",
    "snp.reported_tcb=0402000000000fdb",
    "tdx.rtmr[0]=aa",
    "tdx.rtmr[1]=ab",
    "tdx.tcb_date=2024-03-13T00:00:00Z",
    "hcl.vm_configuration.secure_boot=true",
    "hcl.vm_configuration.count=3",
    "launch.cmdline=a \xc3\xa4 b",
    NULL,
};

/* 1 allowed, 0 denied. */
static const struct {
    int allowed;
    const char *body;
} cases[] = {
    { 1, "\"claim\":\"snp.vmpl\",\"equals\":1" },
    { 1, "\"claim\":\"snp.vmpl\",\"equals\":\"0x1\"" },
    { 0, "\"claim\":\"snp.vmpl\",\"equals\":0" },
    { 1, "\"claim\":\"snp.vmpl\",\"one_of\":[0,1]" },
    { 0, "\"claim\":\"snp.vmpl\",\"one_of\":[0,2]" },
    { 1, "\"claim\":\"snp.vmpl\",\"at_least\":1" },
    { 0, "\"claim\":\"snp.vmpl\",\"at_least\":2" },
    { 1, "\"claim\":\"snp.vmpl\",\"at_most\":1" },
    { 0, "\"claim\":\"snp.vmpl\",\"at_most\":0" },
    { 1, "\"claim\":\"snp.policy\",\"bits_set\":\"0x30000\"" },
    { 1, "\"claim\":\"snp.policy\",\"bits_set\":\"0x20000\"" },
    { 0, "\"claim\":\"snp.policy\",\"bits_set\":\"0x30001\"" },
    { 1, "\"claim\":\"snp.policy\",\"bits_clear\":\"0xc0000\"" },
    { 0, "\"claim\":\"snp.policy\",\"bits_clear\":\"0xd0000\"" },
    { 1, "\"claim\":\"snp.policy.debug\",\"equals\":false" },
    { 0, "\"claim\":\"snp.policy.debug\",\"equals\":true" },
    { 1, "\"claim\":\"snp.product\",\"equals\":\"Milan\"" },
    { 0, "\"claim\":\"snp.product\",\"equals\":\"Mila\"" },
    { 0, "\"claim\":\"snp.product\",\"equals\":\"milan\"" },
    { 1, "\"claim\":\"snp.product\",\"one_of\":[\"Turin\",\"Milan\"]" },
    { 1, "\"claim\":\"launch.cmdline\",\"equals\":\"a \\u00e4 b\"" },
    /* bytes: extended with zeros, as bawn-verify --expect does */
    { 1, "\"claim\":\"snp.measurement\",\"equals\":\"00ff00\"" },
    { 1, "\"claim\":\"snp.measurement\",\"equals\":\"00FF\"" },
    { 0, "\"claim\":\"snp.measurement\",\"equals\":\"00\"" },
    { 0, "\"claim\":\"snp.measurement\",\"equals\":\"00ff0000\"" },
    { 1, "\"claim\":\"snp.measurement\",\"bits_set\":\"000f\"" },
    { 0, "\"claim\":\"snp.measurement\",\"bits_set\":\"010f\"" },
    { 1, "\"claim\":\"snp.measurement\",\"bits_clear\":\"ff00ff\"" },
    { 0, "\"claim\":\"snp.measurement\",\"bits_clear\":\"000100\"" },
    { 0, "\"claim\":\"snp.measurement\",\"bits_clear\":\"00000000\"" },
    /* security versions: each component */
    { 1, "\"claim\":\"snp.reported_tcb\",\"at_least\":\"0402000000000fdb\"" },
    { 0, "\"claim\":\"snp.reported_tcb\",\"at_least\":\"0402000000000fdc\"" },
    { 0, "\"claim\":\"snp.reported_tcb\",\"at_least\":\"0003000000000000\"" },
    { 1, "\"claim\":\"snp.reported_tcb\",\"at_most\":\"04020000000010ff\"" },
    { 0, "\"claim\":\"snp.reported_tcb\",\"at_most\":\"ff01ffffffffffff\"" },
    { 0, "\"claim\":\"snp.reported_tcb\",\"at_least\":\"04\"" },
    /* times */
    { 1, "\"claim\":\"tdx.tcb_date\",\"at_least\":\"2024-03-13T00:00:00Z\"" },
    { 0, "\"claim\":\"tdx.tcb_date\",\"at_least\":\"2024-03-13T00:00:01Z\"" },
    { 1, "\"claim\":\"tdx.tcb_date\",\"at_most\":\"2025-01-01T00:00:00Z\"" },
    { 0, "\"claim\":\"tdx.tcb_date\",\"at_most\":\"2024-01-01T00:00:00Z\"" },
    /* indexes */
    { 1, "\"claim\":\"tdx.rtmr[1]\",\"equals\":\"ab\"" },
    { 0, "\"claim\":\"tdx.rtmr[0]\",\"equals\":\"ab\"" },
    { 0, "\"claim\":\"tdx.rtmr[2]\",\"equals\":\"ab\"" },
    { 1, "\"claim\":\"tdx.rtmr[*]\",\"one_of\":[\"aa\",\"ab\"]" },
    { 0, "\"claim\":\"tdx.rtmr[*]\",\"equals\":\"aa\"" },
    { 0, "\"claim\":\"tpm.pcr[*]\",\"one_of\":[\"aa\",\"ab\"]" },
    { 0, "\"claim\":\"tdx.rtmr[*]\",\"absent\":true" },
    { 1, "\"claim\":\"tdx.rtmr[*]\",\"present\":true" },
    /* kinds that only evidence gives */
    { 1, "\"claim\":\"hcl.vm_configuration.secure_boot\",\"equals\":true" },
    { 0, "\"claim\":\"hcl.vm_configuration.secure_boot\",\"equals\":false" },
    { 1, "\"claim\":\"hcl.vm_configuration.count\",\"one_of\":[3]" },
    /* presence */
    { 1, "\"claim\":\"snp.vmpl\",\"present\":true" },
    { 0, "\"claim\":\"snp.chip_id\",\"present\":true" },
    { 0, "\"claim\":\"snp.vmpl\",\"absent\":true" },
    { 0, "\"claim\":\"snp.chip_id\",\"equals\":\"00\"" },
    /* reference sets */
    { 1, "\"claim\":\"snp.measurement\",\"in_reference\":\"good\"" },
    { 0, "\"claim\":\"snp.measurement\",\"in_reference\":\"old\"" },
    { 0, "\"claim\":\"snp.measurement\",\"in_reference\":\"none\"" },
    { 1, "\"claim\":\"snp.product\",\"in_reference\":\"good\"" },
    { 0, "\"claim\":\"snp.product\",\"in_reference\":\"case\"" },
    { 1, "\"claim\":\"snp.vmpl\",\"in_reference\":\"good\"" },
    /* groups */
    { 1, "\"all\":[{\"id\":\"a\",\"claim\":\"snp.vmpl\",\"equals\":1},{\"id\":\"b\",\"claim\":"
         "\"snp.product\",\"equals\":\"Milan\"}]" },
    { 0, "\"all\":[{\"id\":\"a\",\"claim\":\"snp.vmpl\",\"equals\":1},{\"id\":\"b\",\"claim\":"
         "\"snp.product\",\"equals\":\"x\"}]" },
    { 1, "\"any\":[{\"id\":\"a\",\"claim\":\"snp.vmpl\",\"equals\":7},{\"id\":\"b\",\"claim\":"
         "\"snp.product\",\"equals\":\"Milan\"}]" },
    { 0, "\"any\":[{\"id\":\"a\",\"claim\":\"snp.vmpl\",\"equals\":7},{\"id\":\"b\",\"claim\":"
         "\"snp.product\",\"equals\":\"x\"}]" },
    { 1,
      "\"any\":[{\"id\":\"a\",\"claim\":\"snp.chip_id\",\"equals\":\"77\"},{\"id\":\"b\",\"claim\":"
      "\"snp.product\",\"equals\":\"Milan\"}]" },
    /* an alternative about other evidence is none */
    { 0, "\"any\":[{\"id\":\"a\",\"evidence\":[\"tdx\"],\"claim\":\"snp.vmpl\",\"equals\":1}]" },
};

static bool decide(const char *rules)
{
    struct bawn_policy *p = make("\"evidence\":[\"snp\",\"tdx\"]", rules);
    struct bawn_policy_input in = input_of("snp");
    bool allowed = bawn_policy_evaluate(p, &in, result);

    assert_int_equal(allowed, bawn_policy_result_allowed(result));
    bawn_policy_destroy(p);
    return allowed;
}

static void requirements(void **state)
{
    char rule[1024];

    (void)state;
    set_claims(facts);
    for (size_t i = 0; i < N(cases); i++) {
        snprintf(rule, sizeof(rule), "{\"id\":\"r\",\"reason\":\"w\",%s}", cases[i].body);
        if (decide(rule) != cases[i].allowed)
            fail_msg("%s: not %d", rule, cases[i].allowed);
    }
}

/* The same within "not", beside a rule that holds: what is false holds then, but what cannot be
 * known does not. */
static void negations(void **state)
{
    static const struct {
        int allowed;
        const char *body;
    } nots[] = {
        { 1, "\"claim\":\"snp.vmpl\",\"equals\":0" },
        { 0, "\"claim\":\"snp.vmpl\",\"equals\":1" },
        { 0, "\"claim\":\"snp.chip_id\",\"equals\":\"00\"" }, /* absent */
        { 1, "\"claim\":\"snp.chip_id\",\"present\":true" },  /* known to be absent */
        { 0, "\"claim\":\"snp.chip_id\",\"absent\":true" },
        { 0, "\"claim\":\"snp.reported_tcb\",\"at_least\":\"04\"" },      /* another form */
        { 0, "\"claim\":\"snp.measurement\",\"in_reference\":\"none\"" }, /* no such set */
        { 1, "\"claim\":\"snp.measurement\",\"in_reference\":\"old\"" },
        { 0, "\"claim\":\"tpm.pcr[*]\",\"equals\":\"00\"" },
        { 0, "\"not\":{\"id\":\"n\",\"claim\":\"snp.chip_id\",\"equals\":\"00\"}" },
        { 0, "\"all\":[{\"id\":\"a\",\"claim\":\"snp.vmpl\",\"equals\":1},"
             "{\"id\":\"b\",\"claim\":\"snp.chip_id\",\"equals\":\"00\"}]" },
        { 1, "\"all\":[{\"id\":\"a\",\"claim\":\"snp.vmpl\",\"equals\":0},"
             "{\"id\":\"b\",\"claim\":\"snp.chip_id\",\"equals\":\"00\"}]" },
        { 0, "\"any\":[{\"id\":\"a\",\"claim\":\"snp.vmpl\",\"equals\":0},"
             "{\"id\":\"b\",\"claim\":\"snp.chip_id\",\"equals\":\"00\"}]" },
    };
    char rules[1024];

    (void)state;
    set_claims(facts);
    for (size_t i = 0; i < N(nots); i++) {
        snprintf(rules, sizeof(rules),
                 "{\"id\":\"p\",\"reason\":\"w\",\"claim\":\"snp.vmpl\",\"present\":true},"
                 "{\"id\":\"q\",\"reason\":\"w\",\"not\":{\"id\":\"m\",%s}}",
                 nots[i].body);
        if (decide(rules) != nots[i].allowed)
            fail_msg("not %s: not %d", nots[i].body, nots[i].allowed);
    }
}

/* What nothing allows is denied. */
static void default_deny(void **state)
{
    static const char *const denied[] = {
        "",
        "{\"id\":\"r\",\"reason\":\"w\",\"claim\":\"snp.chip_id\",\"absent\":true}",
        "{\"id\":\"r\",\"reason\":\"w\",\"not\":{\"id\":\"m\",\"claim\":\"snp.vmpl\",\"equals\":9}"
        "}",
        "{\"id\":\"r\",\"reason\":\"w\",\"evidence\":[\"tdx\"],\"claim\":\"snp.vmpl\",\"equals\":"
        "1}",
        "{\"id\":\"r\",\"reason\":\"w\",\"any\":[{\"id\":\"a\",\"claim\":\"snp.chip_id\","
        "\"absent\":true},"
        "{\"id\":\"b\",\"claim\":\"snp.vmpl\",\"equals\":9}]}",
    };
    const char *const *reasons;

    (void)state;
    set_claims(facts);
    for (size_t i = 0; i < N(denied); i++) {
        assert_false(decide(denied[i]));
        assert_int_equal(bawn_policy_result_reasons(result, &reasons), 1);
        assert_string_equal(reasons[0],
                            "No rule of policy p allows it, and what no rule allows is denied.");
        assert_string_not_equal(bawn_policy_result_status(result), "affirming");
    }
}

#define ONE_RULE                                                          \
    "{\"id\":\"r\",\"reason\":\"w\",\"claim\":\"snp.vmpl\",\"equals\":1," \
    "\"trust\":{\"claim\":\"executables\"}}"

/* Verdict, kind of evidence and root. */
static void gates(void **state)
{
    static const struct {
        const char *evidence;
        enum bawn_verdict verdict;
        bool foreign, test_roots, allowed;
        const char *status, *reason;
    } gate[] = {
        { "snp", BAWN_TRUSTED, false, false, true, "affirming", NULL },
        { "snp", BAWN_NOT_TRUSTED, false, false, false, "contraindicated", "may be forged" },
        { "snp", BAWN_CANNOT_JUDGE, false, false, false, "none", "cannot be judged" },
        { "snp", BAWN_TRUSTED, true, false, false, "contraindicated",
          "does not accept test roots" },
        { "snp", BAWN_TRUSTED, true, true, true, "warning", NULL },
        { "snp", BAWN_NOT_TRUSTED, true, true, false, "contraindicated", "may be forged" },
        { "tdx", BAWN_TRUSTED, false, false, false, "none",
          "does not accept evidence of kind tdx" },
        { "launch", BAWN_TRUSTED, false, false, false, "none", "evidence of kind launch" },
        { "sev", BAWN_TRUSTED, false, false, false, "none", "of no kind that a policy can" },
        { "", BAWN_TRUSTED, false, false, false, "none", "of no kind that a policy can" },
        { NULL, BAWN_TRUSTED, false, false, false, "none", "of no kind that a policy can" },
        { "snp", (enum bawn_verdict)7, false, false, false, "contraindicated", "may be forged" },
    };

    (void)state;
    set_claims(facts);
    for (size_t i = 0; i < N(gate); i++) {
        struct bawn_policy *p =
            make(gate[i].test_roots ? "\"evidence\":[\"snp\"],\"test_roots\":true"
                                    : "\"evidence\":[\"snp\"],\"test_roots\":false",
                 ONE_RULE);
        struct bawn_policy_input in = input_of(gate[i].evidence);
        const char *const *reasons;

        in.verdict = gate[i].verdict;
        in.foreign_root = gate[i].foreign;
        if (bawn_policy_evaluate(p, &in, result) != gate[i].allowed)
            fail_msg("gate %zu", i);
        assert_string_equal(bawn_policy_result_status(result), gate[i].status);
        assert_int_equal(bawn_policy_result_reasons(result, &reasons) > 0, !gate[i].allowed);
        if (gate[i].reason && !strstr(reasons[0], gate[i].reason))
            fail_msg("gate %zu: %s", i, reasons[0]);
        bawn_policy_destroy(p);
    }
}

static void sentences(void **state)
{
    static const struct {
        const char *rule, *reason;
    } said[] = {
        { "\"claim\":\"snp.policy.debug\",\"equals\":true",
          "r: snp.policy.debug is false, and must be true: why." },
        { "\"claim\":\"snp.vmpl\",\"at_least\":209",
          "r: snp.vmpl is 1, and must be at least 209: why." },
        { "\"claim\":\"snp.vmpl\",\"one_of\":[2,3]",
          "r: snp.vmpl is 1, and must be one of 2 or 3: why." },
        { "\"claim\":\"snp.vmpl\",\"one_of\":[2,3,4,5,6]",
          "r: snp.vmpl is 1, and must be one of 5 values: why." },
        { "\"claim\":\"snp.chip_id\",\"present\":true",
          "r: snp.chip_id is absent, and must be present: why." },
        { "\"claim\":\"snp.vmpl\",\"absent\":true", "r: snp.vmpl is 1, and must be absent: why." },
        { "\"claim\":\"snp.policy\",\"bits_set\":\"0x1\"",
          "r: snp.policy is 196608, and must be a value with the bits 0x1 set: why." },
        { "\"claim\":\"snp.measurement\",\"in_reference\":\"old\"",
          "r: snp.measurement is 00ff00, and must be in reference set old (its entry in the set "
          "has "
          "expired): why." },
        { "\"claim\":\"snp.measurement\",\"in_reference\":\"none\"",
          "r: snp.measurement is 00ff00, and must be in reference set none (the set has no "
          "values): "
          "why." },
        { "\"not\":{\"id\":\"n\",\"claim\":\"snp.product\",\"equals\":\"Milan\"}",
          "r: snp.product is Milan, and must not be \"Milan\": why." },
        { "\"not\":{\"id\":\"n\",\"claim\":\"snp.chip_id\",\"equals\":\"00\"}",
          "r: snp.chip_id is absent, which does not show that it is not 00: why." },
        { "\"any\":[{\"id\":\"a\",\"claim\":\"snp.vmpl\",\"equals\":2},{\"id\":\"b\",\"all\":[{"
          "\"id\":"
          "\"c\",\"claim\":\"snp.product\",\"equals\":\"x\"}]}]",
          "r: no alternative holds: snp.vmpl is 1, and would have to be 2; rule b fails "
          "(snp.product "
          "is Milan, and would have to be \"x\"): why." },
        { "\"all\":[{\"id\":\"a\",\"claim\":\"snp.vmpl\",\"equals\":2,\"reason\":\"inner\"}]",
          "a: snp.vmpl is 1, and must be 2: inner." },
        { "\"all\":[{\"id\":\"a\",\"claim\":\"snp.vmpl\",\"equals\":2}]",
          "a: snp.vmpl is 1, and must be 2: why." },
    };
    char rule[1024];

    (void)state;
    set_claims(facts);
    for (size_t i = 0; i < N(said); i++) {
        struct bawn_policy *p;
        struct bawn_policy_input in = input_of("snp");
        const char *const *reasons;

        snprintf(rule, sizeof(rule), "{\"id\":\"r\",\"reason\":\"why\",%s}", said[i].rule);
        p = make("\"evidence\":[\"snp\"]", rule);
        assert_false(bawn_policy_evaluate(p, &in, result));
        assert_int_equal(bawn_policy_result_reasons(result, &reasons), 1);
        assert_string_equal(reasons[0], said[i].reason);
        bawn_policy_destroy(p);
    }
}

static void trace_and_vector(void **state)
{
    static const char rules[] =
        "{\"id\":\"a\",\"reason\":\"w\",\"claim\":\"snp.vmpl\",\"equals\":1,\"controls\":[\"C-1\","
        "\"C-2\"],\"trust\":{\"claim\":\"hardware\"}},\n"
        "{\"id\":\"g\",\"reason\":\"w\",\"any\":[{\"id\":\"b\",\"claim\":\"snp.vmpl\",\"equals\":7}"
        ","
        "\n{\"id\":\"c\",\"claim\":\"snp.product\",\"equals\":\"Milan\"}],\"trust\":{\"claim\":"
        "\"executables\",\"pass\":3}},\n"
        "{\"id\":\"d\",\"reason\":\"w\",\"claim\":\"snp.vmpl\",\"equals\":1,\"trust\":{\"claim\":"
        "\"executables\",\"pass\":40}},\n"
        "{\"id\":\"e\",\"reason\":\"w\",\"evidence\":[\"tdx\"],\"claim\":\"snp.vmpl\",\"equals\":9,"
        "\"trust\":{\"claim\":\"file-system\"}}";
    struct bawn_policy *p = make("\"evidence\":[\"snp\",\"tdx\"]", rules);
    struct bawn_policy_input in;
    const struct bawn_trace *t;
    const int8_t *v;

    (void)state;
    set_claims(facts);
    in = input_of("snp");
    assert_true(bawn_policy_evaluate(p, &in, result));
    assert_int_equal(bawn_policy_result_trace(result, &t), 6);
    assert_string_equal(t[0].rule, "a");
    assert_int_equal(t[0].outcome, BAWN_RULE_PASSED);
    assert_string_equal(t[0].claim, "snp.vmpl");
    assert_string_equal(t[0].requirement, "1");
    assert_string_equal(t[0].found, "1");
    assert_int_equal(t[0].nr_controls, 2);
    assert_string_equal(t[0].controls[1], "C-2");
    assert_int_equal(t[0].line, 1);
    assert_string_equal(t[1].group, "any");
    assert_int_equal(t[1].line, 2);
    assert_int_equal(t[2].outcome, BAWN_RULE_FAILED);
    assert_int_equal(t[2].depth, 1);
    assert_int_equal(t[3].outcome, BAWN_RULE_PASSED);
    assert_int_equal(t[3].line, 3);
    assert_int_equal(t[5].outcome, BAWN_RULE_SKIPPED);
    assert_string_equal(t[5].found, "");
    v = bawn_policy_result_vector(result);
    assert_int_equal(v[BAWN_TV_HARDWARE], 2);
    assert_int_equal(v[BAWN_TV_EXECUTABLES], 40); /* the worst */
    assert_int_equal(v[BAWN_TV_FILE_SYSTEM], 0);  /* skipped */
    assert_string_equal(bawn_policy_result_status(result), "warning");
    in.evidence = "tdx";
    assert_false(bawn_policy_evaluate(p, &in, result));
    assert_int_equal(bawn_policy_result_vector(result)[BAWN_TV_FILE_SYSTEM], 96);
    assert_string_equal(bawn_policy_result_status(result), "contraindicated");
    bawn_policy_destroy(p);
}

/* Claims that are not what their names promise: a forger's, or another library's. */
static void odd_claims(void **state)
{
    static const struct bawn_claim odd[] = {
        { .name = "snp.vmpl", .index = -1, .kind = BAWN_CLAIM_TEXT, .text = "1" },
        { .name = "snp.measurement", .index = -1, .kind = BAWN_CLAIM_BYTES },
        { .name = "snp.reported_tcb", .index = -1, .kind = BAWN_CLAIM_BYTES },
        { .name = "tdx.tcb_date", .index = -1, .kind = BAWN_CLAIM_TEXT, .text = "never" },
        { .name = "snp.product", .index = 3, .kind = BAWN_CLAIM_TEXT, .text = "Milan" },
        { .name = "", .index = -1, .kind = BAWN_CLAIM_TEXT, .text = "" },
    };
    static const char *const bodies[] = {
        "\"claim\":\"snp.vmpl\",\"equals\":1",
        "\"claim\":\"snp.measurement\",\"equals\":\"00\"",
        "\"claim\":\"snp.measurement\",\"bits_clear\":\"00\"",
        "\"claim\":\"snp.reported_tcb\",\"at_least\":\"00\"",
        "\"claim\":\"tdx.tcb_date\",\"at_least\":\"2024-03-13T00:00:00Z\"",
        "\"claim\":\"snp.product\",\"equals\":\"Milan\"",
    };
    struct bawn_policy_input in = {
        .evidence = "snp", .verdict = BAWN_TRUSTED, .claims = odd, .nr_claims = N(odd)
    };
    char rule[512];

    (void)state;
    for (size_t i = 0; i < N(bodies); i++) {
        struct bawn_policy *p;

        snprintf(rule, sizeof(rule), "{\"id\":\"r\",\"reason\":\"w\",%s}", bodies[i]);
        p = make("\"evidence\":[\"snp\"]", rule);
        assert_false(bawn_policy_evaluate(p, &in, result));
        bawn_policy_destroy(p);
    }
}

/* The first of two claims of one name counts, as in bawn_attest_result_claim(). */
static void doubled_claims(void **state)
{
    static const struct bawn_claim twice[] = {
        { .name = "snp.vmpl", .index = -1, .kind = BAWN_CLAIM_UINT, .uint = 0 },
        { .name = "snp.vmpl", .index = -1, .kind = BAWN_CLAIM_UINT, .uint = 1 },
    };
    struct bawn_policy *p = make("\"evidence\":[\"snp\"]", ONE_RULE);
    struct bawn_policy_input in = {
        .evidence = "snp", .verdict = BAWN_TRUSTED, .claims = twice, .nr_claims = 2
    };

    (void)state;
    assert_false(bawn_policy_evaluate(p, &in, result));
    bawn_policy_destroy(p);
}

static void texts_of_claims(void **state)
{
    static const struct {
        const char *name, *text;
        bool good;
    } texts[] = {
        { "snp.vmpl", "3", true },
        { "snp.vmpl", "", false },
        { "snp.vmpl", "-1", false },
        { "snp.vmpl", "18446744073709551616", false },
        { "snp.policy.debug", "yes", false },
        { "snp.measurement", "0g", false },
        { "snp.measurement", "", true },
        { "tpm.pcr[7]", "00", true },
        { "tpm.pcr[*]", "00", false },
        { "tpm.pcr[x]", "00", false },
        { "", "x", false },
        { "what.is.this", "x", true },
    };
    struct bawn_error err;
    const struct bawn_claim *list;

    (void)state;
    bawn_claims_reset(claims);
    for (size_t i = 0; i < N(texts); i++)
        if ((bawn_claims_add(claims, texts[i].name, texts[i].text, &err) == BAWN_OK) !=
            texts[i].good)
            fail_msg("%s = %s", texts[i].name, texts[i].text);
    assert_int_equal(bawn_claims_list(claims, &list), 4);
    assert_int_equal(list[0].kind, BAWN_CLAIM_UINT);
    assert_string_equal(list[2].name, "tpm.pcr");
    assert_int_equal(list[2].index, 7);
    assert_int_equal(list[3].kind, BAWN_CLAIM_TEXT);
}

static void many_references(void **state)
{
    struct bawn_policy *p =
        make("\"evidence\":[\"snp\"]", "{\"id\":\"r\",\"reason\":\"w\",\"claim\":\"snp.vmpl\","
                                       "\"in_reference\":\"many\"}");
    struct bawn_claim c = { .name = "snp.vmpl", .index = -1, .kind = BAWN_CLAIM_UINT };
    struct bawn_policy_input in = {
        .evidence = "snp", .verdict = BAWN_TRUSTED, .claims = &c, .nr_claims = 1, .refs = refs
    };
    struct bawn_error err;
    char text[16];

    (void)state;
    for (unsigned i = 0; i < 5000; i++) {
        snprintf(text, sizeof(text), "%u", i * 3);
        assert_int_equal(bawn_refs_add(refs, "many", text, 0, &err), BAWN_OK);
    }
    for (unsigned i = 0; i < 15000; i += 7) {
        c.uint = i;
        assert_int_equal(bawn_policy_evaluate(p, &in, result), i % 3 == 0);
    }
    assert_int_equal(bawn_refs_add(refs, "", "x", 0, &err), BAWN_E_FORMAT);
    assert_int_equal(bawn_refs_add(refs, "x", "", 0, &err), BAWN_E_FORMAT);
    bawn_policy_destroy(p);
}

/* The expiry is when the value stops to count. */
static void expiry(void **state)
{
    struct bawn_policy *p =
        make("\"evidence\":[\"snp\"]", "{\"id\":\"r\",\"reason\":\"w\",\"claim\":\"snp.vmpl\","
                                       "\"in_reference\":\"soon\"}");
    struct bawn_policy_input in;
    struct bawn_error err;

    (void)state;
    set_claims(facts);
    assert_int_equal(bawn_refs_add(refs, "soon", "1", 1000, &err), BAWN_OK);
    in = input_of("snp");
    in.at = 999;
    assert_true(bawn_policy_evaluate(p, &in, result));
    in.at = 1000;
    assert_false(bawn_policy_evaluate(p, &in, result));
    bawn_policy_destroy(p);
}

static int set_up(void **state)
{
    struct bawn_error err;

    (void)state;
    result = bawn_policy_result_create();
    claims = bawn_claims_create();
    refs = bawn_refs_create();
    bawn_refs_add(refs, "good", "00FF00", 0, &err);
    bawn_refs_add(refs, "good", "Milan", 2000, &err);
    bawn_refs_add(refs, "good", "1", 0, &err);
    bawn_refs_add(refs, "case", "MILAN", 0, &err);
    bawn_refs_add(refs, "old", "00ff00", 900, &err);
    return !result || !claims || !refs;
}

static int tear_down(void **state)
{
    (void)state;
    bawn_policy_result_destroy(result);
    bawn_policy_result_destroy(NULL);
    bawn_claims_destroy(claims);
    bawn_claims_destroy(NULL);
    bawn_refs_destroy(refs);
    bawn_refs_destroy(NULL);
    return 0;
}

/* Before anything was judged. */
static void fresh(void **state)
{
    struct bawn_policy_result *r = bawn_policy_result_create();
    const struct bawn_trace *t;
    const char *const *reasons;

    (void)state;
    assert_false(bawn_policy_result_allowed(r));
    assert_int_equal(bawn_policy_result_trace(r, &t), 0);
    assert_int_equal(bawn_policy_result_reasons(r, &reasons), 0);
    assert_string_equal(bawn_policy_result_status(r), "none");
    bawn_policy_result_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requirements),    cmocka_unit_test(negations),
        cmocka_unit_test(default_deny),    cmocka_unit_test(gates),
        cmocka_unit_test(sentences),       cmocka_unit_test(trace_and_vector),
        cmocka_unit_test(odd_claims),      cmocka_unit_test(doubled_claims),
        cmocka_unit_test(texts_of_claims), cmocka_unit_test(many_references),
        cmocka_unit_test(expiry),          cmocka_unit_test(fresh),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Rules, from their text into the policy's array. Recursion is for groups in groups and ends at
 * POLICY_DEPTH_MAX.
 */
#include <string.h>

#include "policy/lib/text.h"

static const char *const rule_members[] = {
    "id",      "evidence", "reason",     "controls",     "trust",  "claim",
    "all",     "any",      "not",        "equals",       "one_of", "at_least",
    "at_most", "bits_set", "bits_clear", "in_reference", "absent", "present",
};
#define NR(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
    const char *name;
    enum rule_kind kind;
} groups[] = {
    { "all", RULE_ALL },
    { "any", RULE_ANY },
    { "not", RULE_NOT },
};

enum operand { VALUE, VALUES, SET, TRUE };
/* A requirement's kinds of claims, as bits of enum bawn_claim_kind and CLAIM_ANY. */
#define ON_ALL 0x1fu
#define ON_UINT (1u << BAWN_CLAIM_UINT)
#define ON_BYTES (1u << BAWN_CLAIM_BYTES)
#define ON_TEXT (1u << BAWN_CLAIM_TEXT)

static const struct {
    const char *name, *before, *after; /* of the value, in the text for people */
    enum operand operand;
    unsigned kinds;
    const char *only; /* what it is for, where that is not every claim */
} requirements[] = {
    [REQ_EQUALS] = { "equals", "", "", VALUE, ON_ALL, NULL },
    [REQ_ONE_OF] = { "one_of", "one of ", "", VALUES, ON_ALL, NULL },
    [REQ_AT_LEAST] = { "at_least", "at least ", "", VALUE, ON_UINT | ON_BYTES | ON_TEXT,
                       "numbers, security versions (_tcb, _svn) and times (_date)" },
    [REQ_AT_MOST] = { "at_most", "at most ", "", VALUE, ON_UINT | ON_BYTES | ON_TEXT,
                      "numbers, security versions (_tcb, _svn) and times (_date)" },
    [REQ_BITS_SET] = { "bits_set", "a value with the bits ", " set", VALUE, ON_UINT | ON_BYTES,
                       "numbers and bytes" },
    [REQ_BITS_CLEAR] = { "bits_clear", "a value with the bits ", " clear", VALUE,
                         ON_UINT | ON_BYTES, "numbers and bytes" },
    [REQ_IN_REFERENCE] = { "in_reference", "in reference set ", "", SET, ON_ALL, NULL },
    [REQ_ABSENT] = { "absent", "absent", "", TRUE, ON_ALL, NULL },
    [REQ_PRESENT] = { "present", "present", "", TRUE, ON_ALL, NULL },
};

const char *const bawn_trust_claim_names[BAWN_TV_CLAIMS] = {
    [BAWN_TV_INSTANCE_IDENTITY] = "instance-identity",
    [BAWN_TV_CONFIGURATION] = "configuration",
    [BAWN_TV_EXECUTABLES] = "executables",
    [BAWN_TV_FILE_SYSTEM] = "file-system",
    [BAWN_TV_HARDWARE] = "hardware",
    [BAWN_TV_RUNTIME_OPAQUE] = "runtime-opaque",
    [BAWN_TV_STORAGE_OPAQUE] = "storage-opaque",
    [BAWN_TV_SOURCED_DATA] = "sourced-data",
};

#define TRUST_PASS 2  /* affirming: recognized and not known to be bad (AR4SI) */
#define TRUST_FAIL 96 /* contraindicated, the mildest */

/* ---- What all rules have ---- */

static struct rule *rule_at(const struct text *t, uint32_t i)
{
    return (struct rule *)t->b->rules.items + i;
}

static struct bawn_trace *trace_at(const struct text *t, uint32_t i)
{
    return (struct bawn_trace *)t->b->trace.items + i;
}

static bool add_rule(struct text *t, uint32_t v, unsigned depth, uint32_t *index)
{
    struct builder *b = t->b;
    struct bawn_trace *trace;
    struct rule *rule;

    if (b->rules.n == POLICY_RULES_MAX)
        return text_fail(t, v, "there are more than %u rules, with groups and what is included",
                         POLICY_RULES_MAX);
    *index = (uint32_t)b->rules.n;
    rule = list_add(&b->scratch, &b->rules, sizeof(*rule));
    trace = list_add(&b->scratch, &b->trace, sizeof(*trace));
    if (!rule || !trace)
        return text_no_memory(b);
    *rule = (struct rule){ .depth = depth, .trust = -1, .evidence = t->evidence };
    *trace = (struct bawn_trace){ .depth = depth,
                                  .outcome = BAWN_RULE_SKIPPED,
                                  .rule = "",
                                  .group = "",
                                  .claim = "",
                                  .requirement = "",
                                  .found = "",
                                  .reason = "",
                                  .line = text_line(t, v) };
    return true;
}

static bool read_id(struct text *t, uint32_t v, uint32_t index)
{
    static const struct string_rule form = { "id", POLICY_ID_MAX, true, true };
    const char *id;

    if (!text_string(t, v, &form, &id))
        return false;
    if (*t->prefix)
        id = arena_text(&t->b->p->arena, "%s%s", t->prefix, id);
    for (uint32_t i = 0; i < index; i++)
        if (!strcmp(trace_at(t, i)->rule, id))
            return text_fail(t, js_get(&t->j, v, "id"), "another rule has the id %s, in line %u",
                             id, trace_at(t, i)->line);
    trace_at(t, index)->rule = id;
    return true;
}

static bool read_controls(struct text *t, uint32_t v, uint32_t index)
{
    static const struct string_rule form = { "controls", 128, true, false };
    uint32_t array = js_get(&t->j, v, "controls");
    size_t n = js_count(&t->j, array), i = 0;
    const char **controls;

    if (array == JS_ABSENT)
        return true;
    if (js_type(&t->j, array) != JS_ARRAY || n > POLICY_CONTROLS_MAX)
        return text_fail(t, array, "\"controls\" must be an array of at most %u strings",
                         POLICY_CONTROLS_MAX);
    controls = arena_array(&t->b->p->arena, n + 1, sizeof(*controls));
    if (!controls)
        return text_no_memory(t->b);
    for (uint32_t e = js_first(&t->j, array); e != JS_ABSENT; e = js_next(&t->j, array, e))
        if (!text_string_value(t, e, &form, &controls[i++]))
            return false;
    trace_at(t, index)->controls = controls;
    trace_at(t, index)->nr_controls = n;
    return true;
}

static bool read_trust_value(struct text *t, uint32_t object, const char *name, int8_t *out)
{
    uint32_t v = js_get(&t->j, object, name);
    struct bawn_bytes raw = js_raw(&t->j, v);
    bool negative = raw.len && raw.data[0] == '-';
    int n = 0;

    if (v == JS_ABSENT)
        return true;
    for (size_t i = negative; i < raw.len && n <= 128; i++)
        n = raw.data[i] >= '0' && raw.data[i] <= '9' ? n * 10 + (raw.data[i] - '0') : 1000;
    if (js_type(&t->j, v) != JS_NUMBER || n > 127 + negative)
        return text_fail(t, v, "\"%s\" must be a number from -128 to 127, not %s", name,
                         text_show(t, v));
    *out = (int8_t)(negative ? -n : n);
    return true;
}

static bool read_trust(struct text *t, uint32_t v, uint32_t index)
{
    static const char *const members[] = { "claim", "pass", "fail" };
    uint32_t object = js_get(&t->j, v, "trust"), claim;
    struct rule *rule = rule_at(t, index);
    struct bawn_bytes name = { NULL, 0 };

    if (object == JS_ABSENT)
        return true;
    if (rule->depth)
        return text_fail(t, object,
                         "\"trust\" belongs to the outermost rule, not to one in a "
                         "group");
    if (!text_members(t, object, "\"trust\"", members, NR(members)))
        return false;
    claim = js_get(&t->j, object, "claim");
    rule->pass = TRUST_PASS;
    rule->fail = TRUST_FAIL;
    for (int i = 0; i < BAWN_TV_CLAIMS; i++)
        if (js_string_is(&t->j, claim, bawn_trust_claim_names[i]))
            rule->trust = i;
    js_string(&t->j, claim, &name);
    if (rule->trust < 0)
        return text_fail(t, claim == JS_ABSENT ? object : claim,
                         "\"claim\" must be one of AR4SI's trust claims, not %s%s",
                         text_show(t, claim),
                         text_meant(t, nearest_word(name, bawn_trust_claim_names, BAWN_TV_CLAIMS)));
    return read_trust_value(t, object, "pass", &rule->pass) &&
           read_trust_value(t, object, "fail", &rule->fail);
}

static bool read_scope(struct text *t, uint32_t v, uint32_t index)
{
    uint32_t array = js_get(&t->j, v, "evidence");
    unsigned bits;

    if (array == JS_ABSENT)
        return true;
    if (!text_evidence(t, array, &bits))
        return false;
    if (bits & ~t->own)
        return text_fail(t, array, "the rule is about evidence that the policy does not accept");
    rule_at(t, index)->evidence &= bits;
    return true;
}

/* ---- Requirements ---- */

static bool find_slot(struct text *t, struct bawn_bytes name, uint32_t *slot)
{
    struct builder *b = t->b;
    struct slot *s = b->slots.items;
    struct bawn_bytes copy;

    for (uint32_t i = 0; i < b->slots.n; i++) {
        if (s[i].len == name.len && !memcmp(s[i].name, name.data, name.len)) {
            *slot = i;
            return true;
        }
    }
    copy = arena_copy(&b->p->arena, name.data, name.len);
    s = copy.data ? list_add(&b->scratch, &b->slots, sizeof(*s)) : NULL;
    if (!s)
        return text_no_memory(b);
    *s = (struct slot){ .name = (const char *)copy.data,
                        .len = (uint32_t)copy.len,
                        .hash = name_hash((const char *)copy.data, copy.len),
                        .next = SLOT_NONE };
    *slot = (uint32_t)b->slots.n - 1;
    return true;
}

static bool read_claim(struct text *t, uint32_t v, uint32_t index, struct known_claim *claim)
{
    struct rule *rule = rule_at(t, index);
    const struct known_claim *known;
    struct bawn_bytes text, name;

    if (!js_string(&t->j, v, &text))
        return text_fail(t, v, "\"claim\" must be a claim's name, not %s", text_show(t, v));
    if (!claim_split(text, &name.len, &rule->index))
        return text_fail(t, v, "%s is not NAME, NAME[NUMBER] or NAME[*]", text_show(t, v));
    name.data = text.data;
    known = claim_find(name);
    if (!known)
        return text_fail(t, v, "there is no claim %s%s", text_show_bytes(t, name),
                         text_meant(t, claim_suggest(name)));
    trace_at(t, index)->claim =
        arena_text(&t->b->p->arena, "%.*s", (int)text.len, (const char *)text.data);
    *claim = *known;
    claim->name = trace_at(t, index)->claim;
    if (known->indexed && rule->index == INDEX_NONE)
        return text_fail(t, v, "%s has several values: say which as %s[0], or %s[*] for each",
                         claim->name, claim->name, claim->name);
    if (!known->indexed && rule->index != INDEX_NONE)
        return text_fail(t, v, "%.*s has one value: write it without the index", (int)name.len,
                         (const char *)name.data);
    rule->versions = claim_is_versions((const char *)name.data, name.len);
    return find_slot(t, name, &rule->slot);
}

static bool is_time(const struct literal *l)
{
    static const char form[] = "0000-00-00T00:00:00Z";

    if (l->bytes.len != sizeof(form) - 1)
        return false;
    for (size_t i = 0; i < l->bytes.len; i++) {
        char c = (char)l->bytes.data[i];

        if (form[i] == '0' ? c < '0' || c > '9' : c != form[i])
            return false;
    }
    return true;
}

/* Order is for what has one. */
static bool check_order(struct text *t, uint32_t v, const struct known_claim *claim,
                        const struct rule *rule)
{
    size_t len = strcspn(claim->name, "[");

    if (rule->requirement != REQ_AT_LEAST && rule->requirement != REQ_AT_MOST)
        return true;
    if ((claim->kind == BAWN_CLAIM_BYTES && !rule->versions) ||
        (claim->kind == BAWN_CLAIM_TEXT && !claim_is_time(claim->name, len)))
        return text_fail(t, v, "%s has no order: \"%s\" is for %s", claim->name,
                         requirements[rule->requirement].name,
                         requirements[rule->requirement].only);
    if (claim->kind == BAWN_CLAIM_TEXT && !is_time(rule->literals))
        return text_fail(t, v,
                         "%s is compared with a time as \"2026-01-02T03:04:05Z\", not with "
                         "%s",
                         claim->name, text_show(t, v));
    return true;
}

static bool read_values(struct text *t, uint32_t v, const struct known_claim *claim,
                        struct rule *rule)
{
    bool list = requirements[rule->requirement].operand == VALUES;
    size_t n = list ? js_count(&t->j, v) : 1, i = 0;
    struct literal *l;

    if (list && (js_type(&t->j, v) != JS_ARRAY || !n))
        return text_fail(t, v, "\"one_of\" must be an array of at least one value");
    l = arena_array(&t->b->p->arena, n, sizeof(*l));
    if (!l)
        return text_no_memory(t->b);
    rule->literals = l;
    rule->nr_literals = n;
    if (!list)
        return literal_read(t, v, claim, l);
    for (uint32_t e = js_first(&t->j, v); e != JS_ABSENT; e = js_next(&t->j, v, e))
        if (!literal_read(t, e, claim, &l[i++]))
            return false;
    return true;
}

/* What is required, for people. */
static const char *describe(struct arena *a, const struct rule *rule)
{
    enum { LISTED = 4 };
    const char *text = "", *before = requirements[rule->requirement].before;

    if (rule->requirement == REQ_IN_REFERENCE)
        return arena_text(a, "%s%s", before, rule->set);
    if (rule->nr_literals > LISTED)
        return arena_text(a, "%s%zu values", before, rule->nr_literals);
    if ((rule->requirement == REQ_BITS_SET || rule->requirement == REQ_BITS_CLEAR) &&
        rule->literals[0].kind == BAWN_CLAIM_UINT)
        text = arena_text(a, "0x%llx", (unsigned long long)rule->literals[0].uint);
    else
        for (size_t i = 0; i < rule->nr_literals; i++)
            text = arena_text(a, "%s%s%s", text,
                              !i                          ? ""
                              : i + 1 < rule->nr_literals ? ", "
                                                          : " or ",
                              literal_text(a, &rule->literals[i]));
    return arena_text(a, "%s%s%s", before, text, requirements[rule->requirement].after);
}

static bool read_operand(struct text *t, uint32_t v, const struct known_claim *claim,
                         struct rule *rule)
{
    static const struct string_rule set_form = { "in_reference", 128, true, false };
    const char *name = requirements[rule->requirement].name;

    if (!(requirements[rule->requirement].kinds & 1u << claim->kind))
        return text_fail(t, v, "\"%s\" is for %s, and %s is %s", name,
                         requirements[rule->requirement].only, claim->name,
                         claim->kind == BAWN_CLAIM_BOOL ? "true or false" : "text");
    switch (requirements[rule->requirement].operand) {
    case TRUE:
        return js_type(&t->j, v) == JS_TRUE ||
               text_fail(t, v, "\"%s\" must be true, not %s", name, text_show(t, v));
    case SET:
        if (!text_string_value(t, v, &set_form, &rule->set))
            return false;
        rule->set_hash = set_hash(rule->set);
        return true;
    case VALUE:
    case VALUES:
        break;
    }
    return read_values(t, v, claim, rule) && check_order(t, v, claim, rule);
}

static bool read_requirement(struct text *t, uint32_t v, uint32_t index)
{
    struct rule *rule = rule_at(t, index);
    uint32_t operand = JS_ABSENT;
    struct known_claim claim;

    if (!read_claim(t, js_get(&t->j, v, "claim"), index, &claim))
        return false;
    for (unsigned i = 0; i < NR(requirements); i++) {
        uint32_t found = js_get(&t->j, v, requirements[i].name);

        if (found == JS_ABSENT)
            continue;
        if (operand != JS_ABSENT)
            return text_fail(t, found,
                             "the rule has both \"%s\" and \"%s\": make it two, in "
                             "\"all\" or \"any\"",
                             requirements[rule->requirement].name, requirements[i].name);
        operand = found;
        rule->requirement = (enum requirement)i;
    }
    if (operand == JS_ABSENT)
        return text_fail(t, v,
                         "the rule says nothing of what %s must be: \"equals\", \"one_of\", "
                         "\"at_least\", ...",
                         claim.name);
    if (!read_operand(t, operand, &claim, rule))
        return false;
    trace_at(t, index)->requirement = describe(&t->b->p->arena, rule);
    rule->end = index + 1;
    return true;
}

/* ---- Groups ---- */

static bool read_rule(struct text *t, uint32_t v, unsigned depth, unsigned evidence);

static bool read_group(struct text *t, uint32_t v, uint32_t index, enum rule_kind kind,
                       const char *name)
{
    unsigned depth = rule_at(t, index)->depth + 1;
    /* A member that speaks of less evidence than its group is skipped; it cannot speak of more. */
    unsigned evidence = rule_at(t, index)->evidence;

    rule_at(t, index)->kind = kind;
    trace_at(t, index)->group = name;
    if (depth > POLICY_DEPTH_MAX)
        return text_fail(t, v, "groups in groups are deeper than %u", POLICY_DEPTH_MAX);
    if (kind == RULE_NOT) {
        if (!read_rule(t, v, depth, evidence))
            return false;
    } else {
        if (js_type(&t->j, v) != JS_ARRAY || !js_count(&t->j, v))
            return text_fail(t, v, "\"%s\" must be an array of at least one rule", name);
        for (uint32_t e = js_first(&t->j, v); e != JS_ABSENT; e = js_next(&t->j, v, e))
            if (!read_rule(t, e, depth, evidence))
                return false;
    }
    rule_at(t, index)->end = (uint32_t)t->b->rules.n;
    return true;
}

/* Which it is: a requirement on a claim or one kind of group. */
static bool read_body(struct text *t, uint32_t v, uint32_t index)
{
    uint32_t claim = js_get(&t->j, v, "claim"), found = JS_ABSENT;
    unsigned nr = claim != JS_ABSENT, which = 0;

    for (unsigned i = 0; i < NR(groups); i++) {
        uint32_t group = js_get(&t->j, v, groups[i].name);

        if (group == JS_ABSENT)
            continue;
        found = group;
        which = i;
        nr++;
    }
    if (nr != 1)
        return text_fail(t, v,
                         "a rule has one of \"claim\", \"all\", \"any\" and \"not\", and "
                         "this has %s",
                         nr ? "more" : "none");
    if (claim != JS_ABSENT)
        return read_requirement(t, v, index);
    for (unsigned i = 0; i < NR(requirements); i++) {
        uint32_t stray = js_get(&t->j, v, requirements[i].name);

        if (stray != JS_ABSENT)
            return text_fail(t, stray, "\"%s\" is for a rule with \"claim\"", requirements[i].name);
    }
    return read_group(t, found, index, groups[which].kind, groups[which].name);
}

static bool read_rule(struct text *t, uint32_t v, unsigned depth, unsigned evidence)
{
    struct string_rule reason = { "reason", POLICY_TEXT_LINE_MAX, depth == 0, false };
    uint32_t index = 0;

    if (!add_rule(t, v, depth, &index))
        return false;
    rule_at(t, index)->evidence = evidence;
    return text_members(t, v, "a rule", rule_members, NR(rule_members)) && read_id(t, v, index) &&
           text_string(t, v, &reason, &trace_at(t, index)->reason) && read_controls(t, v, index) &&
           read_trust(t, v, index) && read_scope(t, v, index) && read_body(t, v, index);
}

bool rules_read(struct text *t, uint32_t array)
{
    if (js_type(&t->j, array) != JS_ARRAY)
        return text_fail(t, array == JS_ABSENT ? 0 : array,
                         array == JS_ABSENT ? "\"rules\" is missing"
                                            : "\"rules\" must be an array");
    for (uint32_t e = js_first(&t->j, array); e != JS_ABSENT; e = js_next(&t->j, array, e))
        if (!read_rule(t, e, 0, t->evidence))
            return false;
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a policy's text: JSON tokens with their places, and errors that name them. The text is
 * its author's, who may err; what is wrong with it is said with line and column.
 */
#ifndef BAWN_POLICY_TEXT_H
#define BAWN_POLICY_TEXT_H

#include "attest/lib/json.h"
#include "policy/lib/model.h"

/* A policy being made, of one text and those that it includes. */
struct builder {
    struct bawn_policy *p;
    struct arena scratch; /* tokens, and texts of messages */
    struct list rules, trace, slots;
    unsigned nr_includes;
    bawn_policy_load_fn load;
    void *context;
    struct bawn_error *err;
    enum bawn_status status; /* of the failure */
};

struct text {
    struct builder *b;
    struct js j;
    const char *name;   /* for messages */
    const char *prefix; /* of its rules' ids */
    unsigned own;       /* the evidence that it says it accepts */
    unsigned evidence;  /* of these, those that all that include it accept, too */
    unsigned depth;     /* in includes */
    uint32_t at, line;  /* how far lines were counted */
};

/* "name:line:column: ..."; always false. v: a value or key, or JS_ABSENT for the text's begin. */
__attribute__((format(printf, 3, 4))) bool text_fail(struct text *t, uint32_t v, const char *fmt,
                                                     ...);
bool text_no_memory(struct builder *b); /* always false */
unsigned text_line(struct text *t, uint32_t v);

/* A value for messages: printable and short. */
const char *text_show(struct text *t, uint32_t v);
const char *text_show_bytes(struct text *t, struct bawn_bytes bytes);

/* Every member's name is one of the list; what: "a rule". */
bool text_members(struct text *t, uint32_t object, const char *what, const char *const *names,
                  size_t n);
/* ", and there is no ..., did you mean x?" or "" when nothing is near. */
const char *text_meant(struct text *t, const char *suggestion);

/* A string member of 1 to max bytes without control characters, copied into the policy. v may be
 * JS_ABSENT, at which the error is that `of` has no such member, unless it may be absent: then *out
 * is "". */
struct string_rule {
    const char *member; /* "reason" */
    size_t max;
    bool required;
    bool word; /* letters, digits and ._- only */
};
bool text_string(struct text *t, uint32_t of, const struct string_rule *rule, const char **out);
bool text_string_value(struct text *t, uint32_t v, const struct string_rule *rule,
                       const char **out);

/* "evidence": [...] as bits; at least one. */
bool text_evidence(struct text *t, uint32_t array, unsigned *bits);

/* ---- literal.c ---- */

/* What a requirement on a claim may be compared with, by the claim's kind. */
bool literal_read(struct text *t, uint32_t v, const struct known_claim *claim, struct literal *out);
/* The same as text, for people. */
const char *literal_text(struct arena *a, const struct literal *l);

/* ---- rules.c ---- */

bool rules_read(struct text *t, uint32_t array);

#endif

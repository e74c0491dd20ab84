// SPDX-License-Identifier: Apache-2.0
/*
 * The parts of policies' texts that all their members share, and the messages about them.
 */
#include "policy/lib/text.h"

#include <stdarg.h>
#include <string.h>

const char *const evidence_names[] = {
    "snp", "tdx", "sgx", "tpm", "azure-snp", "azure-tdx", "launch",
};
const size_t nr_evidence_names = sizeof(evidence_names) / sizeof(evidence_names[0]);

unsigned evidence_bit(struct bawn_bytes name)
{
    for (size_t i = 0; i < nr_evidence_names; i++)
        if (strlen(evidence_names[i]) == name.len &&
            !memcmp(evidence_names[i], name.data, name.len))
            return 1u << i;
    return 0;
}

/* ---- Messages ---- */

/* Where a value begins: a string's token begins after its quote. */
static uint32_t start_of(const struct js *j, uint32_t v)
{
    if (v >= j->n)
        return 0;
    return j->tokens[v].start - (j->tokens[v].type == JS_STRING);
}

static void place_of(const struct js *j, uint32_t v, unsigned *line, unsigned *column)
{
    uint32_t end = start_of(j, v);

    *line = *column = 1;
    for (uint32_t i = 0; i < end; i++) {
        ++*column;
        if (j->text.data[i] == '\n') {
            ++*line;
            *column = 1;
        }
    }
}

bool text_no_memory(struct builder *b)
{
    b->status = bawn_fail(b->err, BAWN_E_NOMEM, "no memory for the policy");
    return false;
}

bool text_fail(struct text *t, uint32_t v, const char *fmt, ...)
{
    char what[sizeof(((struct bawn_error *)0)->msg)];
    unsigned line, column;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    place_of(&t->j, v, &line, &column);
    t->b->status = bawn_fail(t->b->err, BAWN_E_FORMAT, "%s:%u:%u: %s", t->name, line, column, what);
    return false;
}

/* Rules are asked for in the order of the text, so lines are counted once. */
unsigned text_line(struct text *t, uint32_t v)
{
    uint32_t start = start_of(&t->j, v);

    if (start < t->at) {
        t->at = 0;
        t->line = 1;
    }
    for (; t->at < start; t->at++)
        t->line += t->j.text.data[t->at] == '\n';
    return t->line;
}

const char *text_show_bytes(struct text *t, struct bawn_bytes bytes)
{
    enum { SHOWN = 80 };
    bool cut = bytes.len > SHOWN;

    if (cut)
        bytes.len = SHOWN;
    return arena_text(&t->b->scratch, "%s%s", arena_printable(&t->b->scratch, bytes),
                      cut ? "..." : "");
}

const char *text_show(struct text *t, uint32_t v)
{
    enum js_type type = js_type(&t->j, v);

    if (type == JS_OBJECT)
        return "an object";
    if (type == JS_ARRAY)
        return "an array";
    return type == JS_NONE ? "nothing" : text_show_bytes(t, js_raw(&t->j, v));
}

const char *text_meant(struct text *t, const char *suggestion)
{
    return suggestion ? arena_text(&t->b->scratch, "; is %s meant?", suggestion) : "";
}

/* ---- Members ---- */

static bool in_list(struct bawn_bytes name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(names[i]) == name.len && !memcmp(names[i], name.data, name.len))
            return true;
    return false;
}

bool text_members(struct text *t, uint32_t object, const char *what, const char *const *names,
                  size_t n)
{
    struct bawn_bytes name;

    if (js_type(&t->j, object) != JS_OBJECT)
        return text_fail(t, object, "%s must be an object, not %s", what, text_show(t, object));
    for (uint32_t k = js_first(&t->j, object); k != JS_ABSENT; k = js_next(&t->j, object, k))
        if (js_string(&t->j, k, &name) && !in_list(name, names, n))
            return text_fail(t, k, "%s has no member \"%s\"%s", what, text_show_bytes(t, name),
                             text_meant(t, nearest_word(name, names, n)));
    return true;
}

static bool word_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

bool text_string_value(struct text *t, uint32_t v, const struct string_rule *rule, const char **out)
{
    struct bawn_bytes s;

    *out = "";
    if (js_type(&t->j, v) != JS_STRING)
        return text_fail(t, v, "\"%s\" must be a string, not %s", rule->member, text_show(t, v));
    if (!js_string(&t->j, v, &s))
        return text_no_memory(t->b);
    if (!s.len || s.len > rule->max)
        return text_fail(t, v, "\"%s\" must have 1 to %zu bytes, and has %zu", rule->member,
                         rule->max, s.len);
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < 0x20 || s.data[i] == 0x7f)
            return text_fail(t, v, "\"%s\" has a control character", rule->member);
        if (rule->word && !word_char(s.data[i]))
            return text_fail(t, v, "\"%s\" may have letters, digits and . _ - only, not %s",
                             rule->member, text_show(t, v));
    }
    *out = arena_text(&t->b->p->arena, "%.*s", (int)s.len, (const char *)s.data);
    return true;
}

bool text_string(struct text *t, uint32_t of, const struct string_rule *rule, const char **out)
{
    uint32_t v = js_get(&t->j, of, rule->member);

    *out = "";
    if (v == JS_ABSENT && rule->required)
        return text_fail(t, of, "\"%s\" is missing", rule->member);
    return v == JS_ABSENT || text_string_value(t, v, rule, out);
}

bool text_evidence(struct text *t, uint32_t array, unsigned *bits)
{
    struct bawn_bytes name;

    *bits = 0;
    if (js_type(&t->j, array) != JS_ARRAY || !js_count(&t->j, array))
        return text_fail(t, array, "\"evidence\" must be an array of at least one kind");
    for (uint32_t e = js_first(&t->j, array); e != JS_ABSENT; e = js_next(&t->j, array, e)) {
        unsigned bit = js_string(&t->j, e, &name) ? evidence_bit(name) : 0;

        if (!bit)
            return text_fail(t, e,
                             "%s is no kind of evidence: snp, tdx, sgx, tpm, azure-snp, azure-tdx "
                             "or launch",
                             text_show(t, e));
        if (*bits & bit)
            return text_fail(t, e, "%s is there twice", text_show(t, e));
        *bits |= bit;
    }
    return true;
}

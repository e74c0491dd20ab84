// SPDX-License-Identifier: Apache-2.0
/*
 * Comparing. Claims are as true as the verdict, so their values are hostile: lengths are checked,
 * and what cannot be compared is neither true nor false.
 */
#include "policy/lib/compare.h"

#include <string.h>

/* Decimal, by hand: it is made for each number of each evaluation. */
static const char *uint_text(struct arena *a, uint64_t n)
{
    char *text = arena_alloc(a, 24), *p;

    if (!text)
        return "";
    p = text + 23;
    do
        *--p = (char)('0' + n % 10);
    while (n /= 10);
    return p;
}

static const char *bytes_text(struct arena *a, struct bawn_bytes b)
{
    static const char digits[] = "0123456789abcdef";
    char *text = arena_array(a, b.len + 1, 2);

    if (!text)
        return "";
    for (size_t i = 0; i < b.len; i++) {
        text[2 * i] = digits[b.data[i] >> 4];
        text[2 * i + 1] = digits[b.data[i] & 15];
    }
    return text;
}

const char *claim_text_of(struct arena *a, const struct bawn_claim *c)
{
    switch (c->kind) {
    case BAWN_CLAIM_BOOL:
        return c->boolean ? "true" : "false";
    case BAWN_CLAIM_UINT:
        return uint_text(a, c->uint);
    case BAWN_CLAIM_BYTES:
        return bytes_text(a, c->bytes);
    case BAWN_CLAIM_TEXT:
        break;
    }
    return c->text ? c->text : "";
}

static enum truth truth_of(bool value)
{
    return value ? TRUTH_TRUE : TRUTH_FALSE;
}

static enum truth unknown(const char **note, const char *why)
{
    *note = why;
    return TRUTH_UNKNOWN;
}

static bool text_is(const struct literal *l, const char *text)
{
    return strlen(text) == l->bytes.len && !memcmp(text, l->bytes.data, l->bytes.len);
}

static bool zero(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (data[i])
            return false;
    return true;
}

/* A shorter value is extended with zero bytes, as report data and nonces are. */
static bool bytes_are_literal(const struct literal *l, struct bawn_bytes b)
{
    return l->bytes.len <= b.len && !memcmp(l->bytes.data, b.data, l->bytes.len) &&
           zero(b.data + l->bytes.len, b.len - l->bytes.len);
}

static bool equal(const struct literal *l, const struct bawn_claim *c, const char *found)
{
    switch (l->kind) {
    case BAWN_CLAIM_BOOL:
        return l->boolean == c->boolean;
    case BAWN_CLAIM_UINT:
        return l->uint == c->uint;
    case BAWN_CLAIM_BYTES:
        return bytes_are_literal(l, c->bytes);
    default:
        return text_is(l, found);
    }
}

static enum truth one_of(const struct rule *rule, const struct bawn_claim *c, const char *found)
{
    for (size_t i = 0; i < rule->nr_literals; i++)
        if (equal(&rule->literals[i], c, found))
            return TRUTH_TRUE;
    return TRUTH_FALSE;
}

static bool is_time(const char *text)
{
    static const char form[] = "0000-00-00T00:00:00Z";

    for (size_t i = 0; i < sizeof(form) - 1; i++)
        if (form[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
            return false;
    return !text[sizeof(form) - 1];
}

static enum truth ordered(const struct rule *rule, const struct bawn_claim *c, const char **note)
{
    const struct literal *l = rule->literals;
    bool least = rule->requirement == REQ_AT_LEAST;

    if (l->kind == BAWN_CLAIM_UINT)
        return truth_of(least ? c->uint >= l->uint : c->uint <= l->uint);
    if (l->kind == BAWN_CLAIM_TEXT) {
        int order;

        if (!is_time(c->text))
            return unknown(note, "it is not a time");
        order = memcmp(c->text, l->bytes.data, l->bytes.len);
        return truth_of(least ? order >= 0 : order <= 0);
    }
    if (c->bytes.len != l->bytes.len)
        return unknown(note, "it has another number of components");
    for (size_t i = 0; i < l->bytes.len; i++)
        if (least ? c->bytes.data[i] < l->bytes.data[i] : c->bytes.data[i] > l->bytes.data[i])
            return TRUTH_FALSE;
    return TRUTH_TRUE;
}

static enum truth bits(const struct rule *rule, const struct bawn_claim *c, const char **note)
{
    const struct literal *l = rule->literals;
    bool set = rule->requirement == REQ_BITS_SET;

    if (l->kind == BAWN_CLAIM_UINT)
        return truth_of((c->uint & l->uint) == (set ? l->uint : 0));
    if (l->bytes.len > c->bytes.len)
        return unknown(note, "it has fewer bytes");
    for (size_t i = 0; i < l->bytes.len; i++)
        if ((c->bytes.data[i] & l->bytes.data[i]) != (set ? l->bytes.data[i] : 0))
            return TRUTH_FALSE;
    return TRUTH_TRUE;
}

static enum truth in_reference(const struct rule *rule, const struct bawn_claim *c,
                               const char *found, const struct bawn_policy_input *input,
                               const char **note)
{
    bool expired;

    if (refs_have(input->refs, rule, found, c->kind == BAWN_CLAIM_BYTES, input->at, &expired))
        return TRUTH_TRUE;
    if (expired)
        *note = "its entry in the set has expired";
    else if (!refs_size(input->refs, rule->set))
        return unknown(note, "the set has no values");
    return TRUTH_FALSE;
}

enum truth compare_claim(const struct rule *rule, const struct bawn_claim *c, const char *found,
                         const struct bawn_policy_input *input, const char **note)
{
    if (rule->requirement == REQ_ABSENT)
        return TRUTH_FALSE;
    if (rule->requirement == REQ_PRESENT)
        return TRUTH_TRUE;
    if (rule->requirement == REQ_IN_REFERENCE)
        return in_reference(rule, c, found, input, note);
    if (rule->literals->kind != CLAIM_ANY && rule->literals->kind != (unsigned)c->kind)
        return unknown(note, "it is not of the kind that this claim should be");
    switch (rule->requirement) {
    case REQ_EQUALS:
    case REQ_ONE_OF:
        return one_of(rule, c, found);
    case REQ_AT_LEAST:
    case REQ_AT_MOST:
        return ordered(rule, c, note);
    default:
        return bits(rule, c, note);
    }
}

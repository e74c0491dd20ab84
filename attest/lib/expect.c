// SPDX-License-Identifier: Apache-2.0
/*
 * The caller's own requirements on claims. The values are the caller's and trusted; the claims
 * are the evidence's.
 */
#include <string.h>

#include "attest/lib/verify.h"

static const struct check expect_check = {
    .name = "expect",
    .source = "the caller's requirement",
    .how = "the claim has the value that was asked for",
    .advice = "this is not the guest or the platform that was asked for, or the requirement is "
              "for another version of it",
};

static const struct check expect_known = {
    .name = "expect",
    .source = "the caller's requirement",
    .how = "the claim has the value that was asked for",
    .advice = "check the claim's name: bawn-verify --json lists those of this evidence",
};

enum compared { HOLDS, FAILS, MALFORMED };

static const char *const op_text[] = {
    [BAWN_EXPECT_EQ] = "",
    [BAWN_EXPECT_NE] = "anything but ",
    [BAWN_EXPECT_GE] = "at least ",
    [BAWN_EXPECT_LE] = "at most ",
};

static bool is_order(enum bawn_expect_op op)
{
    return op == BAWN_EXPECT_GE || op == BAWN_EXPECT_LE;
}

static enum compared equal(enum bawn_expect_op op, bool same)
{
    if (is_order(op))
        return MALFORMED;
    return same == (op == BAWN_EXPECT_EQ) ? HOLDS : FAILS;
}

static bool in_order(enum bawn_expect_op op, uint64_t found, uint64_t wanted)
{
    return op == BAWN_EXPECT_GE ? found >= wanted : found <= wanted;
}

/* Decimal, or hex after 0x. No signs, no spaces, no octal. */
static bool parse_uint(const char *text, uint64_t *value)
{
    unsigned base = 10;

    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        text += 2;
    }
    *value = 0;
    for (const char *p = text; *p; p++) {
        unsigned digit = *p >= '0' && *p <= '9'   ? (unsigned)(*p - '0')
                         : *p >= 'a' && *p <= 'f' ? (unsigned)(*p - 'a') + 10
                         : *p >= 'A' && *p <= 'F' ? (unsigned)(*p - 'A') + 10
                                                  : 16;

        if (digit >= base || __builtin_mul_overflow(*value, base, value) ||
            __builtin_add_overflow(*value, digit, value))
            return false;
    }
    return *text;
}

static bool ends_with(const char *name, const char *end)
{
    size_t len = strlen(name), tail = strlen(end);

    return len > tail && !strcmp(name + len - tail, end);
}

/* Security versions are bytes of one number each, and ordered by component. Other bytes have no
 * order that means something. */
static bool is_security_version(const char *name)
{
    static const char *const ends[] = { "_tcb", "_svn", "_svn_2" };

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        if (ends_with(name, ends[i]))
            return true;
    return false;
}

static enum compared compare_uint(const struct bawn_claim *c, const struct bawn_expect *e)
{
    uint64_t wanted;

    if (!parse_uint(e->value, &wanted))
        return MALFORMED;
    if (is_order(e->op))
        return in_order(e->op, c->uint, wanted) ? HOLDS : FAILS;
    return equal(e->op, c->uint == wanted);
}

/* A shorter value is extended with zero bytes, as report data and nonces are. */
static enum compared compare_bytes(struct verification *v, const struct bawn_claim *c,
                                   const struct bawn_expect *e)
{
    struct bawn_bytes text = { (const uint8_t *)e->value, strlen(e->value) }, wanted;
    bool same;

    if (!hex_decode(v->arena, text, &wanted))
        return MALFORMED;
    if (!is_order(e->op)) {
        same = wanted.len <= c->bytes.len && !memcmp(wanted.data, c->bytes.data, wanted.len) &&
               bytes_zero(c->bytes.data + wanted.len, c->bytes.len - wanted.len);
        return equal(e->op, same);
    }
    if (wanted.len != c->bytes.len || !is_security_version(c->name))
        return MALFORMED;
    for (size_t i = 0; i < wanted.len; i++)
        if (!in_order(e->op, c->bytes.data[i], wanted.data[i]))
            return FAILS;
    return HOLDS;
}

static enum compared compare(struct verification *v, const struct bawn_claim *c,
                             const struct bawn_expect *e)
{
    bool yes;

    switch (c->kind) {
    case BAWN_CLAIM_UINT:
        return compare_uint(c, e);
    case BAWN_CLAIM_BYTES:
        return compare_bytes(v, c, e);
    case BAWN_CLAIM_TEXT:
        return equal(e->op, !strcmp(c->text, e->value));
    case BAWN_CLAIM_BOOL:
        break;
    }
    yes = !strcmp(e->value, "true");
    if (!yes && strcmp(e->value, "false"))
        return MALFORMED;
    return equal(e->op, c->boolean == yes);
}

/* The form that an expectation on such a claim has. */
static const char *form_advice(struct verification *v, const struct bawn_claim *c,
                               enum bawn_expect_op op)
{
    size_t len = c->kind == BAWN_CLAIM_BYTES ? c->bytes.len : 0;

    if (c->kind == BAWN_CLAIM_UINT)
        return "write the number in decimal or 0x hex";
    if (is_order(op) && c->kind == BAWN_CLAIM_BYTES && is_security_version(c->name))
        return arena_text(v->arena,
                          "write all %zu bytes in hex (%zu digits), in the claim's order: each is "
                          "compared by itself",
                          len, 2 * len);
    if (is_order(op))
        return "ask for it with = or !=: >= and <= are for numbers and security versions (claims "
               "in _tcb or _svn)";
    if (c->kind == BAWN_CLAIM_BYTES)
        return arena_text(v->arena,
                          "write up to %zu bytes in hex (%zu digits); what is not written is zero",
                          len, 2 * len);
    return "write true or false";
}

static const char *claim_value(struct verification *v, const struct bawn_claim *c)
{
    size_t size = bawn_claim_print(c, NULL, 0) + 1;
    char *text = arena_alloc(v->arena, size);

    if (text)
        bawn_claim_print(c, text, size);
    return text ? text : "";
}

/* A claim that has several values, of which one was to be named by its index. */
static const char *index_advice(struct verification *v, const char *name)
{
    const struct bawn_claim *c = v->r->claims.items;

    for (size_t i = 0; i < v->r->claims.n; i++)
        if (c[i].index >= 0 && !strcmp(c[i].name, name))
            return arena_text(v->arena, "say which one by its index: %s[%d]", c[i].name,
                              c[i].index);
    return expect_known.advice;
}

static void expect_one(struct verification *v, const struct bawn_expect *e)
{
    const struct bawn_claim *c = bawn_attest_result_claim(v->r, e->claim);
    const char *wanted = arena_text(v->arena, "%s%s", op_text[e->op], e->value);
    struct check check = c ? expect_check : expect_known;

    check.claim = arena_text(v->arena, "%s", e->claim);
    if (!c) {
        check.advice = index_advice(v, e->claim);
        check_refused(v->r, &check, wanted, "nothing", "the evidence has no claim %s", check.claim);
        return;
    }
    switch (compare(v, c, e)) {
    case HOLDS:
        check_passed(v->r, &check);
        return;
    case FAILS:
        check_refused(v->r, &check, wanted, claim_value(v, c), "%s is not what was asked for",
                      check.claim);
        return;
    case MALFORMED:
        check.advice = form_advice(v, c, e->op);
        check.source = "bawn-attest(3), EXPECTATIONS";
        check_missing(v->r, &check, wanted, claim_value(v, c),
                      "%s cannot be compared with what was asked for", check.claim);
    }
}

void expect_verify(struct verification *v)
{
    for (size_t i = 0; i < v->input->nr_expect; i++)
        expect_one(v, &v->input->expect[i]);
}

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

static const struct check expect_value = {
    .name = "expect",
    .source = "bawn-attest(3), EXPECTATIONS",
    .how = "the claim has the value that was asked for",
    .advice = "write numbers in decimal or 0x hex, bytes in hex, booleans as true or false",
};

enum compared { HOLDS, FAILS, MALFORMED };

static const char *const op_text[] = {
    [BAWN_EXPECT_EQ] = "",
    [BAWN_EXPECT_NE] = "anything but ",
    [BAWN_EXPECT_GE] = "at least ",
    [BAWN_EXPECT_LE] = "at most ",
};

static enum compared equal(enum bawn_expect_op op, bool same)
{
    if (op != BAWN_EXPECT_EQ && op != BAWN_EXPECT_NE)
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

/* A TCB version packs one security version number in each byte; it is ordered by component. */
static bool is_tcb(const char *name)
{
    size_t len = strlen(name);

    return len > 4 && !strcmp(name + len - 4, "_tcb");
}

static enum compared compare_uint(const struct bawn_claim *c, const struct bawn_expect *e)
{
    uint64_t wanted;

    if (!parse_uint(e->value, &wanted))
        return MALFORMED;
    if (e->op == BAWN_EXPECT_EQ || e->op == BAWN_EXPECT_NE)
        return equal(e->op, c->uint == wanted);
    if (!is_tcb(c->name))
        return in_order(e->op, c->uint, wanted) ? HOLDS : FAILS;
    for (unsigned shift = 0; shift < 64; shift += 8)
        if (!in_order(e->op, c->uint >> shift & 0xff, wanted >> shift & 0xff))
            return FAILS;
    return HOLDS;
}

/* A shorter value is extended with zero bytes, as report data and nonces are. */
static enum compared compare_bytes(struct verification *v, const struct bawn_claim *c,
                                   const struct bawn_expect *e)
{
    struct bawn_bytes text = { (const uint8_t *)e->value, strlen(e->value) }, wanted;
    bool same;

    if (!hex_decode(v->arena, text, &wanted))
        return MALFORMED;
    if (e->op == BAWN_EXPECT_EQ || e->op == BAWN_EXPECT_NE) {
        same = wanted.len <= c->bytes.len && !memcmp(wanted.data, c->bytes.data, wanted.len) &&
               bytes_zero(c->bytes.data + wanted.len, c->bytes.len - wanted.len);
        return equal(e->op, same);
    }
    if (wanted.len != c->bytes.len)
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

static const char *claim_value(struct verification *v, const struct bawn_claim *c)
{
    size_t size = bawn_claim_print(c, NULL, 0) + 1;
    char *text = arena_alloc(v->arena, size);

    if (text)
        bawn_claim_print(c, text, size);
    return text ? text : "";
}

static void expect_one(struct verification *v, const struct bawn_expect *e)
{
    const struct bawn_claim *c = bawn_attest_result_claim(v->r, e->claim);
    const char *wanted = arena_text(v->arena, "%s%s", op_text[e->op], e->value);
    struct check check = c ? expect_check : expect_known;

    check.claim = arena_text(v->arena, "%s", e->claim);
    if (!c) {
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
        check.advice = expect_value.advice;
        check.source = expect_value.source;
        check_missing(v->r, &check, wanted, claim_value(v, c),
                      "%s cannot be compared with what was asked for", check.claim);
    }
}

void expect_verify(struct verification *v)
{
    for (size_t i = 0; i < v->input->nr_expect; i++)
        expect_one(v, &v->input->expect[i]);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The arena, and the claims, findings and events kept in it. Trusts its callers; text of
 * evidence goes through arena_printable() before it is shown.
 */
#include "attest/lib/result.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- Arena ---- */

#define ARENA_ALIGN 16u
#define ARENA_BLOCK (16u << 10)

struct arena_block {
    struct arena_block *next;
    size_t size, used;
    _Alignas(ARENA_ALIGN) uint8_t data[];
};

/* A block with room for size bytes: one kept from before, or a new one twice as large as the
 * last. Blocks before it keep what room they have left until the arena is reset. */
static struct arena_block *arena_block_for(struct arena *a, size_t size)
{
    struct arena_block *b = a->current;
    size_t room = ARENA_BLOCK;

    while (b && b->next) {
        b = a->current = b->next;
        if (b->size - b->used >= size)
            return b;
    }
    if (b && b->size < (SIZE_MAX >> 2))
        room = b->size * 2;
    if (room < size)
        room = size;
    b = malloc(sizeof(*b) + room);
    if (!b)
        return NULL;
    b->next = NULL;
    b->size = room;
    b->used = 0;
    if (a->current)
        a->current->next = b;
    else
        a->first = b;
    a->current = b;
    return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
    struct arena_block *b = a->current;
    void *p;

    if (a->failed || size > SIZE_MAX / 4) {
        a->failed = true;
        return NULL;
    }
    size = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if (!b || b->size - b->used < size)
        b = arena_block_for(a, size);
    if (!b) {
        a->failed = true;
        return NULL;
    }
    p = b->data + b->used;
    b->used += size;
    return memset(p, 0, size);
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(n, size, &bytes)) {
        a->failed = true;
        return NULL;
    }
    return arena_alloc(a, bytes);
}

struct bawn_bytes arena_copy(struct arena *a, const void *data, size_t len)
{
    uint8_t *p = arena_alloc(a, len);

    if (!p)
        return (struct bawn_bytes){ 0 };
    if (len)
        memcpy(p, data, len);
    return (struct bawn_bytes){ p, len };
}

__attribute__((format(printf, 2, 0))) static const char *arena_vtext(struct arena *a,
                                                                     const char *fmt, va_list ap)
{
    va_list again;
    char *text;
    int len;

    va_copy(again, ap);
    len = vsnprintf(NULL, 0, fmt, ap);
    text = len < 0 ? NULL : arena_alloc(a, (size_t)len + 1);
    if (text)
        vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    return text ? text : "";
}

const char *arena_text(struct arena *a, const char *fmt, ...)
{
    const char *text;
    va_list ap;

    va_start(ap, fmt);
    text = arena_vtext(a, fmt, ap);
    va_end(ap);
    return text;
}

static const char hex_digits[] = "0123456789abcdef";

const char *arena_hex(struct arena *a, struct bawn_bytes bytes)
{
    enum { SHOWN = 64 };
    size_t n = bytes.len < SHOWN ? bytes.len : SHOWN;
    char *text = arena_alloc(a, n * 2 + sizeof("..."));

    if (!text)
        return "";
    for (size_t i = 0; i < n; i++) {
        text[2 * i] = hex_digits[bytes.data[i] >> 4];
        text[2 * i + 1] = hex_digits[bytes.data[i] & 15];
    }
    if (bytes.len > SHOWN)
        memcpy(text + 2 * n, "...", sizeof("..."));
    return text;
}

const char *arena_printable(struct arena *a, struct bawn_bytes text)
{
    enum { SHOWN = 256 };
    size_t n = text.len < SHOWN ? text.len : SHOWN;
    char *out = arena_alloc(a, n * 4 + sizeof("...")), *p = out;

    if (!out)
        return "";
    for (size_t i = 0; i < n; i++) {
        uint8_t c = text.data[i];

        if (c >= 0x20 && c < 0x7f && c != '\\') {
            *p++ = (char)c;
        } else {
            *p++ = '\\';
            *p++ = 'x';
            *p++ = hex_digits[c >> 4];
            *p++ = hex_digits[c & 15];
        }
    }
    if (text.len > SHOWN)
        memcpy(p, "...", sizeof("..."));
    return out;
}

/* The Gregorian calendar by arithmetic: the C library's own reads the time zone's file. */
const char *arena_time(struct arena *a, int64_t t)
{
    enum { DAY = 86400, DAYS_400 = 146097, DAYS_100 = 36524, DAYS_4 = 1461, YEAR = 365 };
    static const int64_t epoch = 719468;      /* 1970-01-01, in days from 0000-03-01 */
    static const int64_t last = 253402300799; /* 9999-12-31T23:59:59Z */
    unsigned days, second, era, year, month;

    if (t < 0 || t > last)
        return arena_text(a, "%lld seconds after 1970", (long long)t);
    second = (unsigned)(t % DAY);
    days = (unsigned)(t / DAY + epoch);
    era = days / DAYS_400;
    days %= DAYS_400;
    year = (days - days / (DAYS_4 - 1) + days / DAYS_100 - days / (DAYS_400 - 1)) / YEAR;
    days -= YEAR * year + year / 4 - year / 100;
    /* Years begin in March: months have 31 and 30 days by turns of five, 153 days. */
    month = (5 * days + 2) / 153;
    return arena_text(a, "%04u-%02u-%02uT%02u:%02u:%02uZ", year + 400 * era + (month >= 10),
                      month < 10 ? month + 3 : month - 9, days - (153 * month + 2) / 5 + 1,
                      second / 3600, second / 60 % 60, second % 60);
}

void arena_reset(struct arena *a)
{
    for (struct arena_block *b = a->first; b; b = b->next)
        b->used = 0;
    a->current = a->first;
    a->failed = false;
}

void arena_free(struct arena *a)
{
    for (struct arena_block *b = a->first, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    *a = (struct arena){ 0 };
}

void *list_add(struct arena *a, struct list *l, size_t size)
{
    if (l->n == l->room) {
        size_t room = l->room ? l->room * 2 : 16;
        void *items = arena_array(a, room, size);

        if (!items)
            return NULL;
        if (l->n)
            memcpy(items, l->items, l->n * size);
        l->items = items;
        l->room = room;
    }
    return (uint8_t *)l->items + size * l->n++;
}

/* ---- Result ---- */

struct bawn_attest_result *bawn_attest_result_create(void)
{
    struct bawn_attest_result *r = calloc(1, sizeof(*r));

    if (r)
        result_reset(r);
    return r;
}

void bawn_attest_result_destroy(struct bawn_attest_result *r)
{
    if (!r)
        return;
    arena_free(&r->arena);
    free(r);
}

void result_reset(struct bawn_attest_result *r)
{
    struct arena arena = r->arena;

    arena_reset(&arena);
    *r = (struct bawn_attest_result){ .arena = arena,
                                      .verdict = BAWN_CANNOT_JUDGE,
                                      .subject = "unknown evidence" };
}

enum bawn_verdict bawn_attest_result_verdict(const struct bawn_attest_result *r)
{
    return r->verdict;
}

const char *bawn_attest_result_subject(const struct bawn_attest_result *r)
{
    return r->subject;
}

const char *bawn_attest_result_foreign_root(const struct bawn_attest_result *r)
{
    return r->foreign_root;
}

size_t bawn_attest_result_claims(const struct bawn_attest_result *r,
                                 const struct bawn_claim **claims)
{
    *claims = r->claims.items;
    return r->claims.n;
}

size_t bawn_attest_result_findings(const struct bawn_attest_result *r,
                                   const struct bawn_finding **findings)
{
    *findings = r->findings.items;
    return r->findings.n;
}

size_t bawn_attest_result_events(const struct bawn_attest_result *r,
                                 const struct bawn_event **events)
{
    *events = r->events.items;
    return r->events.n;
}

/* Splits "tdx.rtmr[0]" into the length of "tdx.rtmr" and 0; without brackets the index is -1. */
static bool split_index(const char *name, size_t *len, int *index)
{
    const char *open = strchr(name, '[');
    int n = 0;

    *index = -1;
    *len = open ? (size_t)(open - name) : strlen(name);
    if (!open)
        return true;
    for (open++; *open >= '0' && *open <= '9' && n < 100000; open++)
        n = n * 10 + (*open - '0');
    *index = n;
    return open[-1] != '[' && open[0] == ']' && !open[1];
}

const struct bawn_claim *bawn_attest_result_claim(const struct bawn_attest_result *r,
                                                  const char *name)
{
    const struct bawn_claim *claims = r->claims.items;
    size_t len;
    int index;

    if (!split_index(name, &len, &index))
        return NULL;
    for (size_t i = 0; i < r->claims.n; i++)
        if (claims[i].index == index && strlen(claims[i].name) == len &&
            !memcmp(claims[i].name, name, len))
            return &claims[i];
    return NULL;
}

/* ---- Claims ---- */

static struct bawn_claim *claim_add(struct bawn_attest_result *r, const char *name, int index,
                                    enum bawn_claim_kind kind)
{
    struct bawn_claim *c = list_add(&r->arena, &r->claims, sizeof(*c));

    if (c) {
        c->name = name;
        c->index = index;
        c->kind = kind;
    }
    return c;
}

void claim_bool(struct bawn_attest_result *r, const char *name, bool value)
{
    struct bawn_claim *c = claim_add(r, name, -1, BAWN_CLAIM_BOOL);

    if (c)
        c->boolean = value;
}

void claim_uint(struct bawn_attest_result *r, const char *name, uint64_t value)
{
    struct bawn_claim *c = claim_add(r, name, -1, BAWN_CLAIM_UINT);

    if (c)
        c->uint = value;
}

void claim_bytes_at(struct bawn_attest_result *r, const char *name, int index, const void *data,
                    size_t len)
{
    struct bawn_claim *c = claim_add(r, name, index, BAWN_CLAIM_BYTES);

    if (c)
        c->bytes = (struct bawn_bytes){ data, len };
}

void claim_text_at(struct bawn_attest_result *r, const char *name, int index, const char *text)
{
    struct bawn_claim *c = claim_add(r, name, index, BAWN_CLAIM_TEXT);

    if (c)
        c->text = text;
}

void claim_bytes(struct bawn_attest_result *r, const char *name, const void *data, size_t len)
{
    claim_bytes_at(r, name, -1, data, len);
}

void claim_text(struct bawn_attest_result *r, const char *name, const char *text)
{
    claim_text_at(r, name, -1, text);
}

size_t bawn_claim_print(const struct bawn_claim *claim, char *text, size_t size)
{
    size_t len = 0;

    switch (claim->kind) {
    case BAWN_CLAIM_BOOL:
        return (size_t)snprintf(text, size, "%s", claim->boolean ? "true" : "false");
    case BAWN_CLAIM_UINT:
        return (size_t)snprintf(text, size, "%llu", (unsigned long long)claim->uint);
    case BAWN_CLAIM_TEXT:
        return (size_t)snprintf(text, size, "%s", claim->text);
    case BAWN_CLAIM_BYTES:
        break;
    }
    for (size_t i = 0; i < claim->bytes.len * 2; i++) {
        uint8_t b = claim->bytes.data[i / 2];

        if (len + 1 < size)
            text[len++] = hex_digits[i % 2 ? b & 15 : b >> 4];
    }
    if (size)
        text[len] = 0;
    return claim->bytes.len * 2;
}

/* ---- Findings ---- */

static void finding_add(struct bawn_attest_result *r, const struct check *c,
                        enum bawn_finding_level level, const char *expected, const char *found,
                        const char *text)
{
    struct bawn_finding *f = list_add(&r->arena, &r->findings, sizeof(*f));
    bool pass = level == BAWN_FINDING_PASS;

    if (!f)
        return;
    *f = (struct bawn_finding){
        .level = level,
        .check = c->name,
        .text = text,
        .claim = c->claim ? c->claim : "",
        .expected = expected ? expected : "",
        .found = found ? found : "",
        .source = c->source ? c->source : "",
        .advice = pass || !c->advice ? "" : c->advice,
        .endorsement = r->endorsement,
    };
}

bool check_passed(struct bawn_attest_result *r, const struct check *c)
{
    r->proofs |= c->proof;
    if (r->explain)
        finding_add(r, c, BAWN_FINDING_PASS, NULL, NULL, c->how ? c->how : "");
    return true;
}

#define FINDING_TEXT(r, fmt, text)                   \
    do {                                             \
        va_list ap_;                                 \
                                                     \
        va_start(ap_, fmt);                          \
        (text) = arena_vtext(&(r)->arena, fmt, ap_); \
        va_end(ap_);                                 \
    } while (0)

bool check_refused(struct bawn_attest_result *r, const struct check *c, const char *expected,
                   const char *found, const char *fmt, ...)
{
    const char *text;

    FINDING_TEXT(r, fmt, text);
    finding_add(r, c, BAWN_FINDING_REFUSED, expected, found, text);
    return false;
}

bool check_missing(struct bawn_attest_result *r, const struct check *c, const char *expected,
                   const char *found, const char *fmt, ...)
{
    const char *text;

    FINDING_TEXT(r, fmt, text);
    finding_add(r, c, BAWN_FINDING_MISSING, expected, found, text);
    return false;
}

bool check_warned(struct bawn_attest_result *r, const struct check *c, const char *expected,
                  const char *found, const char *fmt, ...)
{
    const char *text;

    FINDING_TEXT(r, fmt, text);
    finding_add(r, c, BAWN_FINDING_WARNING, expected, found, text);
    return false;
}

bool result_clean(const struct bawn_attest_result *r)
{
    const struct bawn_finding *findings = r->findings.items;

    for (size_t i = 0; i < r->findings.n; i++)
        if (findings[i].level >= BAWN_FINDING_MISSING)
            return false;
    return !r->arena.failed;
}

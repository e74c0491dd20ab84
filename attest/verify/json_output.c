// SPDX-License-Identifier: Apache-2.0
/*
 * The answer for a program. The schema is documented in bawn-verify(1); members are only ever
 * added to it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attest/verify/output.h"

#define SCHEMA "bawn-verify/1"
/* The library numbers from 0 without such holes. */
#define HOLES_MAX 4096

/* ---- Values ---- */

/* The length of the UTF-8 sequence at p (RFC 3629), or 0 when it is not one. */
static unsigned utf8(const unsigned char *p)
{
    static const struct {
        unsigned char mask, lead, low, high; /* limits of the second byte */
        unsigned len;
    } forms[] = {
        { 0xff, 0xe0, 0xa0, 0xbf, 3 }, { 0xff, 0xed, 0x80, 0x9f, 3 }, { 0xff, 0xf0, 0x90, 0xbf, 4 },
        { 0xff, 0xf4, 0x80, 0x8f, 4 }, { 0xe0, 0xc0, 0x80, 0xbf, 2 }, { 0xf0, 0xe0, 0x80, 0xbf, 3 },
        { 0xfc, 0xf0, 0x80, 0xbf, 4 },
    };

    if (*p < 0x80)
        return 1;
    if (*p == 0xc0 || *p == 0xc1)
        return 0;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if ((*p & forms[i].mask) != forms[i].lead)
            continue;
        if (p[1] < forms[i].low || p[1] > forms[i].high)
            return 0;
        for (unsigned n = 2; n < forms[i].len; n++)
            if ((p[n] & 0xc0) != 0x80)
                return 0;
        return forms[i].len;
    }
    return 0;
}

static void put_string(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;

    putchar('"');
    while (*p) {
        unsigned len = utf8(p);

        if (*p == '"' || *p == '\\')
            printf("\\%c", *p);
        else if (*p < 0x20 || *p == 0x7f)
            printf("\\u%04x", *p);
        else if (len)
            fwrite(p, 1, len, stdout);
        else
            printf("\\ufffd");
        p += len ? len : 1;
    }
    putchar('"');
}

static void put_hex(struct bawn_bytes b)
{
    putchar('"');
    for (size_t i = 0; i < b.len; i++)
        printf("%02x", b.data[i]);
    putchar('"');
}

static void put_member(const char *name, const char *text)
{
    put_string(name);
    putchar(':');
    put_string(text);
}

static void put_value(const struct bawn_claim *c)
{
    switch (c->kind) {
    case BAWN_CLAIM_BOOL:
        printf(c->boolean ? "true" : "false");
        break;
    case BAWN_CLAIM_UINT:
        printf("%" PRIu64, c->uint);
        break;
    case BAWN_CLAIM_BYTES:
        put_hex(c->bytes);
        break;
    case BAWN_CLAIM_TEXT:
        put_string(c->text);
        break;
    }
}

/* ---- Claims ---- */

/* By name, then by index; of two with the same the earlier first. */
static bool before(const struct bawn_claim *x, const struct bawn_claim *y)
{
    int order = strcmp(x->name, y->name);

    if (order)
        return order < 0;
    return x->index != y->index ? x->index < y->index : x < y;
}

static void sift_down(const struct bawn_claim **heap, size_t n, size_t at)
{
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        const struct bawn_claim *parent = heap[at];

        if (child + 1 < n && before(heap[child], heap[child + 1]))
            child++;
        if (!before(parent, heap[child]))
            return;
        heap[at] = heap[child];
        heap[child] = parent;
    }
}

/* Heapsort, since the C library's qsort asks the system how much memory there is, and the
 * sandbox does not answer. */
static void sort(const struct bawn_claim **claims, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sift_down(claims, n, i);
    while (n > 1) {
        const struct bawn_claim *last = claims[--n];

        claims[n] = claims[0];
        claims[0] = last;
        sift_down(claims, n, 0);
    }
}

/* The claims of one name from sorted[at] on as an array, null where an index has none. Gives
 * the place after them. */
static size_t put_array(const struct bawn_claim **sorted, size_t n, size_t at)
{
    const char *name = sorted[at]->name;
    int next = 0;

    putchar('[');
    for (; at < n && !strcmp(sorted[at]->name, name); at++) {
        if (sorted[at]->index < next) /* a second one, or one without an index */
            continue;
        for (; next < sorted[at]->index && next < HOLES_MAX; next++)
            printf("%snull", next ? "," : "");
        if (next)
            putchar(',');
        put_value(sorted[at]);
        next = sorted[at]->index + 1;
    }
    putchar(']');
    return at;
}

static void put_claims(const struct bawn_attest_result *r)
{
    const struct bawn_claim *claims, **sorted;
    size_t n = bawn_attest_result_claims(r, &claims), at = 0;

    sorted = calloc(n ? n : 1, sizeof(void *));
    for (size_t i = 0; sorted && i < n; i++)
        sorted[i] = &claims[i];
    if (sorted)
        sort(sorted, n);
    printf("  \"claims\":{");
    while (sorted && at < n) {
        const char *name = sorted[at]->name;

        printf("%s\n    ", at ? "," : "");
        put_string(name);
        putchar(':');
        if (sorted[at]->index >= 0) {
            at = put_array(sorted, n, at);
            continue;
        }
        put_value(sorted[at]);
        while (at < n && !strcmp(sorted[at]->name, name))
            at++;
    }
    printf("},\n");
    free(sorted);
}

/* ---- Findings and events ---- */

static const char *const level_names[] = {
    [BAWN_FINDING_PASS] = "pass",
    [BAWN_FINDING_WARNING] = "warning",
    [BAWN_FINDING_MISSING] = "missing",
    [BAWN_FINDING_REFUSED] = "refused",
};

static void put_findings(const struct verify_report *r, const struct bawn_finding *f, size_t n)
{
    printf("  \"findings\":[");
    for (size_t i = 0; i < n; i++) {
        const struct {
            const char *name, *text;
        } members[] = {
            { "level", level_names[f[i].level] },
            { "check", f[i].check },
            { "text", f[i].text },
            { "file", verify_finding_file(r, &f[i]) },
            { "claim", f[i].claim },
            { "expected", f[i].expected },
            { "found", f[i].found },
            { "source", f[i].source },
            { "advice", f[i].advice },
        };

        printf("%s\n    {", i ? "," : "");
        for (size_t m = 0; m < sizeof(members) / sizeof(members[0]); m++) {
            if (m)
                putchar(',');
            put_member(members[m].name, members[m].text);
        }
        putchar('}');
    }
    printf("]");
}

static void put_events(const struct bawn_attest_result *r)
{
    const struct bawn_event *e;
    size_t n = bawn_attest_result_events(r, &e);

    printf(",\n  \"events\":[");
    for (size_t i = 0; i < n; i++) {
        printf("%s\n    {\"index\":%" PRIu32 ",\"type\":%" PRIu32 ",", i ? "," : "", e[i].index,
               e[i].type);
        put_member("type_name", e[i].type_name);
        printf(",\"digest\":");
        put_hex(e[i].digest);
        printf(",\"digest_is_of_data\":%s,", e[i].digest_is_of_data ? "true" : "false");
        put_member("text", e[i].text ? e[i].text : "");
        printf(",\"data\":");
        put_hex(e[i].data);
        putchar('}');
    }
    printf("]");
}

/* What stands before the claims. */
static void put_head(const struct verify_report *r, enum bawn_verdict verdict, const char *subject,
                     const char *foreign)
{
    static const char *const verdicts[] = {
        [BAWN_TRUSTED] = "trusted",
        [BAWN_NOT_TRUSTED] = "not-trusted",
        [BAWN_CANNOT_JUDGE] = "cannot-judge",
    };
    char at[TIME_TEXT];

    verify_time_print(r->at, at);
    printf("{\n  \"schema\":\"" SCHEMA "\",\n  ");
    put_member("verdict", verdicts[verdict]);
    printf(",\n  ");
    put_member("subject", subject ? subject : "");
    printf(",\n  ");
    put_member("at", at);
    printf(",\n  \"strict\":%s,\n  \"expectations\":%zu,\n  \"foreign_root\":",
           r->strict ? "true" : "false", r->nr_expect);
    if (foreign)
        put_string(foreign);
    else
        printf("null");
    printf(",\n  \"sandbox\":{\"seccomp\":%s,\"landlock\":%s},\n", r->seccomp ? "true" : "false",
           r->landlock ? "true" : "false");
}

void verify_print_json(const struct verify_report *r)
{
    const struct bawn_finding *f;
    size_t n = bawn_attest_result_findings(r->result, &f);

    put_head(r, bawn_attest_result_verdict(r->result), bawn_attest_result_subject(r->result),
             bawn_attest_result_foreign_root(r->result));
    put_claims(r->result);
    put_findings(r, f, n);
    if (r->events)
        put_events(r->result);
    printf("\n}\n");
}

void verify_print_json_failure(const struct verify_report *r, const char *text)
{
    const struct bawn_finding f = {
        .level = BAWN_FINDING_MISSING,
        .check = "input",
        .text = text,
        .claim = "",
        .expected = "",
        .found = "",
        .source = "",
        .advice = "",
    };

    put_head(r, BAWN_CANNOT_JUDGE, NULL, NULL);
    printf("  \"claims\":{},\n");
    put_findings(r, &f, 1);
    printf("%s\n}\n", r->events ? ",\n  \"events\":[]" : "");
}

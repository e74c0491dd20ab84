// SPDX-License-Identifier: Apache-2.0
/*
 * The answer for a person: the verdict, the facts that matter, then what is wrong with them.
 */
#include "attest/verify/output.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "attest/verify/facts.h"

#define RED "31"
#define GREEN "32"
#define YELLOW "33"

/* ---- Text ---- */

/* Only printable ASCII reaches the terminal: no control characters, no C1 ones in UTF-8, and
 * no marks that turn the reading direction. */
static void put_text(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p >= 0x20 && *p < 0x7f)
            putchar(*p);
        else
            printf("\\x%02x", *p);
    }
}

static void put_coloured(const struct verify_report *r, const char *colour, const char *text)
{
    if (r->colour)
        printf("\033[1;%sm%s\033[0m", colour, text);
    else
        printf("%s", text);
}

static void put_row(const char *label, const char *text)
{
    if (!*text)
        return;
    printf("    %-10s", label);
    put_text(text);
    putchar('\n');
}

static void put_label(const char *label)
{
    printf("  %-17s ", label);
}

static void put_claim_value(const struct bawn_claim *c)
{
    size_t size = bawn_claim_print(c, NULL, 0) + 1;
    char *text = malloc(size);

    if (text) {
        bawn_claim_print(c, text, size);
        put_text(text);
    }
    free(text);
}

void verify_time_print(int64_t at, char text[TIME_TEXT])
{
    time_t t = (time_t)at;
    struct tm tm;

    if (!gmtime_r(&t, &tm) || !strftime(text, TIME_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm))
        snprintf(text, TIME_TEXT, "@%lld", (long long)at);
}

/* ---- The verdict ---- */

static const struct {
    const char *text, *colour;
} verdicts[] = {
    [BAWN_TRUSTED] = { "TRUSTED", GREEN },
    [BAWN_NOT_TRUSTED] = { "NOT TRUSTED", RED },
    [BAWN_CANNOT_JUDGE] = { "CANNOT JUDGE", YELLOW },
};

/* Whether a finding of that level made the verdict, or is what a reader of TRUSTED must know. */
static bool decides(enum bawn_verdict verdict, enum bawn_finding_level level, bool strict)
{
    if (verdict == BAWN_NOT_TRUSTED)
        return level == BAWN_FINDING_REFUSED || (strict && level == BAWN_FINDING_WARNING);
    return level == (verdict == BAWN_TRUSTED ? BAWN_FINDING_WARNING : BAWN_FINDING_MISSING);
}

/* Why, in a line for each check, before the facts: the whole findings follow them. */
static void put_reasons(const struct verify_report *r, enum bawn_verdict verdict)
{
    const char *label = verdict == BAWN_TRUSTED ? "but" : "because", *last = "";
    const struct bawn_finding *f;
    size_t n = bawn_attest_result_findings(r->result, &f);

    for (int level = BAWN_FINDING_REFUSED; level > BAWN_FINDING_PASS; level--) {
        for (size_t i = 0; i < n; i++) {
            if ((int)f[i].level != level || !decides(verdict, f[i].level, r->strict) ||
                !strcmp(f[i].check, last))
                continue;
            put_label(label);
            put_text(f[i].check);
            printf(": ");
            put_text(f[i].text);
            putchar('\n');
            label = "";
            /* Expectations are of one name, but each is about something else. */
            last = strcmp(f[i].check, "expect") ? f[i].check : "";
        }
    }
}

static void put_verdict(const struct verify_report *r)
{
    enum bawn_verdict verdict = bawn_attest_result_verdict(r->result);
    const char *foreign = bawn_attest_result_foreign_root(r->result);
    const char *subject = bawn_attest_result_subject(r->result);
    char at[TIME_TEXT];

    put_coloured(r, verdicts[verdict].colour, verdicts[verdict].text);
    if (foreign) {
        printf(" under another root (");
        put_text(foreign);
        putchar(')');
    }
    if (subject && *subject) {
        printf(": ");
        put_text(subject);
    }
    putchar('\n');
    put_reasons(r, verdict);
    verify_time_print(r->at, at);
    put_label("judged as of");
    printf("%s%s\n", at, r->strict ? ", strictly" : "");
    /* A genuine guest may still be anyone's: say so where it is easily taken for the own one. */
    if (verdict == BAWN_TRUSTED && !r->nr_expect) {
        put_label("expectations");
        printf("none: genuine, but not compared with the guest that you mean (--expect)\n");
    }
}

/* ---- Facts ---- */

/* Whether all bytes are that one: a register or a field that nobody set. */
static bool all(struct bawn_bytes b, uint8_t value)
{
    for (size_t i = 0; i < b.len; i++)
        if (b.data[i] != value)
            return false;
    return true;
}

static bool never_set(const struct bawn_claim *c)
{
    return c->kind == BAWN_CLAIM_BYTES && (all(c->bytes, 0) || all(c->bytes, 0xff));
}

/* " (smt, abi_minor 31)": the claims below that one. */
static void put_parts(const struct bawn_claim *claims, size_t n, const char *name)
{
    const char *before = " (";
    size_t len = strlen(name);

    for (size_t i = 0; i < n; i++) {
        const struct bawn_claim *c = &claims[i];

        if (strncmp(c->name, name, len) != 0 || c->name[len] != '.' ||
            (c->kind == BAWN_CLAIM_BOOL ? !c->boolean : c->kind != BAWN_CLAIM_UINT))
            continue;
        printf("%s", before);
        put_text(c->name + len + 1);
        if (c->kind == BAWN_CLAIM_UINT)
            printf(" %" PRIu64, c->uint);
        before = ", ";
    }
    if (before[0] == ',')
        putchar(')');
}

static void put_fact(const struct verify_fact *f, const struct bawn_claim *c,
                     const struct bawn_claim *claims, size_t n)
{
    char label[32];

    if (c->index >= 0)
        snprintf(label, sizeof(label), "%s %d", f->label, c->index);
    else
        snprintf(label, sizeof(label), "%s", f->label);
    put_label(label);
    if (bawn_claim_print(c, NULL, 0) == 0)
        printf("empty");
    else if (never_set(c) && c->bytes.len > 8)
        printf("%s", all(c->bytes, 0) ? "zero" : "ones");
    else if ((f->show & FACT_HEX) && c->kind == BAWN_CLAIM_UINT)
        printf("0x%" PRIx64, c->uint);
    else
        put_claim_value(c);
    if (f->show & FACT_PARTS)
        put_parts(claims, n, f->claim);
    putchar('\n');
}

static bool worth_a_line(const struct verify_fact *f, const struct bawn_claim *c)
{
    if (strcmp(c->name, f->claim) != 0 || (f->show & FACT_LIST))
        return false;
    return (c->index < 0 && !(f->show & FACT_SET)) || !never_set(c);
}

/* All of an indexed claim, in its order. */
static void put_list(const struct verify_fact *f, const struct bawn_claim *claims, size_t n)
{
    const char *before = NULL;

    for (size_t i = 0; i < n; i++) {
        if (strcmp(claims[i].name, f->claim) != 0)
            continue;
        if (before)
            printf("%s", before);
        else
            put_label(f->label);
        put_claim_value(&claims[i]);
        before = ", ";
    }
    if (before)
        putchar('\n');
}

/* Registers that hold what they hold after reset are left out. */
static void put_facts(const struct verify_report *r)
{
    const struct bawn_claim *claims;
    size_t n = bawn_attest_result_claims(r->result, &claims);

    for (size_t f = 0; f < verify_nr_facts; f++) {
        if (verify_facts[f].show & FACT_LIST)
            put_list(&verify_facts[f], claims, n);
        for (size_t i = 0; i < n; i++)
            if (worth_a_line(&verify_facts[f], &claims[i]))
                put_fact(&verify_facts[f], &claims[i], claims, n);
    }
}

static void put_claims(const struct verify_report *r)
{
    const struct bawn_claim *claims;
    size_t n = bawn_attest_result_claims(r->result, &claims);

    printf("claims:\n");
    for (size_t i = 0; i < n; i++) {
        printf("  ");
        put_text(claims[i].name);
        if (claims[i].index >= 0)
            printf("[%d]", claims[i].index);
        putchar('=');
        put_claim_value(&claims[i]);
        putchar('\n');
    }
}

/* ---- Findings ---- */

static const struct {
    const char *text, *colour;
} levels[] = {
    [BAWN_FINDING_PASS] = { "passed", GREEN },
    [BAWN_FINDING_WARNING] = { "warning", YELLOW },
    [BAWN_FINDING_MISSING] = { "missing", YELLOW },
    [BAWN_FINDING_REFUSED] = { "refused", RED },
};

const char *verify_finding_file(const struct verify_report *r, const struct bawn_finding *f)
{
    return f->endorsement && f->endorsement <= r->nr_endorsements
               ? r->endorsements[f->endorsement - 1]
               : "";
}

/* before is the finding printed before this one, or NULL. */
static void put_finding(const struct verify_report *r, const struct bawn_finding *f,
                        const struct bawn_finding *before)
{
    bool again = before && !strcmp(f->check, before->check);

    put_coloured(r, levels[f->level].colour, levels[f->level].text);
    printf(" ");
    put_text(f->check);
    printf(": ");
    put_text(f->text);
    putchar('\n');
    put_row("file", verify_finding_file(r, f));
    if (strcmp(f->claim, f->check) != 0)
        put_row("claim", f->claim);
    put_row("expected", f->expected);
    put_row("found", f->found);
    /* The same check of many endorsements or fields says where and what to do once. */
    if (!again || strcmp(f->source, before->source) != 0)
        put_row("source", f->source);
    if (!again || strcmp(f->advice, before->advice) != 0)
        put_row("advice", f->advice);
}

/* The worst first: what decides the verdict is read first. */
static void put_findings(const struct verify_report *r)
{
    const struct bawn_finding *f, *before = NULL;
    size_t n = bawn_attest_result_findings(r->result, &f);

    for (int level = BAWN_FINDING_REFUSED; level > BAWN_FINDING_PASS; level--) {
        for (size_t i = 0; i < n; i++) {
            if ((int)f[i].level != level)
                continue;
            put_finding(r, &f[i], before);
            before = &f[i];
        }
    }
}

/* " (snp.policy.debug=false)": what a check was made on, with its value when that is a claim. */
static void put_checked(const struct verify_report *r, const char *name)
{
    const struct bawn_claim *c = bawn_attest_result_claim(r->result, name);

    if (!*name)
        return;
    printf(" (");
    put_text(name);
    if (c && (c->kind != BAWN_CLAIM_BYTES || c->bytes.len <= 64)) { /* no signatures */
        putchar('=');
        put_claim_value(c);
    }
    putchar(')');
}

static void put_explanation(const struct verify_report *r)
{
    const struct bawn_finding *f;
    size_t n = bawn_attest_result_findings(r->result, &f);

    for (size_t i = 0; i < n; i++) {
        if (f[i].level != BAWN_FINDING_PASS)
            continue;
        put_coloured(r, levels[BAWN_FINDING_PASS].colour, levels[BAWN_FINDING_PASS].text);
        printf("  ");
        put_text(f[i].check);
        printf(": ");
        put_text(f[i].text);
        put_checked(r, f[i].claim);
        if (*f[i].source) {
            printf(" [");
            put_text(f[i].source);
            putchar(']');
        }
        putchar('\n');
    }
    printf("sandbox seccomp: %s, Landlock: %s\n",
           r->seccomp ? "on" : "off, this kernel serves none",
           r->landlock ? "on" : "off, this kernel serves none");
}

/* ---- Events ---- */

static void put_events(const struct verify_report *r)
{
    const struct bawn_event *e;
    size_t n = bawn_attest_result_events(r->result, &e);

    printf("events:%s\n", n ? "" : " none, there is no event log");
    for (size_t i = 0; i < n; i++) {
        printf("  %4zu register %-2u ", i, e[i].index);
        put_text(e[i].type_name);
        if (e[i].text && *e[i].text) {
            printf(": ");
            put_text(e[i].text);
        }
        putchar('\n');
        if (!e[i].digest.len)
            continue;
        printf("       %s", e[i].digest_is_of_data ? "digest of the data " : "digest ");
        for (size_t b = 0; b < e[i].digest.len; b++)
            printf("%02x", e[i].digest.data[b]);
        putchar('\n');
    }
}

void verify_print_human(const struct verify_report *r)
{
    put_verdict(r);
    put_facts(r);
    put_findings(r);
    if (r->explain)
        put_explanation(r);
    if (r->list_claims)
        put_claims(r);
    if (r->events)
        put_events(r);
}

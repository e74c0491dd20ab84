// SPDX-License-Identifier: Apache-2.0
/*
 * Intel's TCB statuses: what each means for a verdict, how those of platform, TDX module and
 * quoting enclave become one, and their advisories. Levels come from TCB info and QE identity
 * whose signatures were checked. Rules: Intel PCS API v4, "TCB status codes"; DCAP Quote
 * Verification Library, 4.1.2.4.17.
 */
#include "attest/lib/quote.h"

#include <string.h>

/* What a status means. */
static const struct status {
    const char *name;
    enum bawn_finding_level level;
    const char *text, *advice;
} statuses[TCB_STATUSES] = {
    [TCB_NONE] = { "", BAWN_FINDING_REFUSED, "", "" },
    [TCB_UP_TO_DATE] = { "UpToDate", BAWN_FINDING_PASS, "", "" },
    [TCB_SW_HARDENING_NEEDED] = {
        "SWHardeningNeeded", BAWN_FINDING_WARNING,
        "the platform's TCB is up to date, but software must mitigate what it cannot",
        "build what runs in the guest or enclave with the mitigations that the advisories name",
    },
    [TCB_CONFIGURATION_NEEDED] = {
        "ConfigurationNeeded", BAWN_FINDING_WARNING,
        "the platform's TCB is up to date, but its configuration may be unsafe",
        "ask the host for the BIOS settings that the advisories name (hyper-threading is one)",
    },
    [TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED] = {
        "ConfigurationAndSWHardeningNeeded", BAWN_FINDING_WARNING,
        "the platform's TCB is up to date, but its configuration may be unsafe, and software must "
        "mitigate what it cannot",
        "ask the host for the BIOS settings, and build what runs in the guest or enclave with the "
        "mitigations, that the advisories name",
    },
    [TCB_OUT_OF_DATE] = {
        "OutOfDate", BAWN_FINDING_WARNING, "the platform's TCB is out of date",
        "ask the host to update",
    },
    [TCB_OUT_OF_DATE_CONFIGURATION_NEEDED] = {
        "OutOfDateConfigurationNeeded", BAWN_FINDING_WARNING,
        "the platform's TCB is out of date, and its configuration may be unsafe",
        "ask the host for the BIOS settings that the advisories name, and to update",
    },
    [TCB_REVOKED] = {
        "Revoked", BAWN_FINDING_REFUSED, "the platform's TCB is revoked",
        "the platform's keys may be known to others: do not use it before the host has updated",
    },
};

const char *tcb_status_name(enum tcb_status status)
{
    return statuses[status].name;
}

bool tcb_level_take(struct tcb_level *level, struct js *json, uint32_t value)
{
    uint32_t text = js_get(json, value, "tcbStatus");

    level->json = json;
    level->value = value;
    for (int s = TCB_UP_TO_DATE; s < TCB_STATUSES; s++) {
        if (js_string_is(json, text, statuses[s].name)) {
            level->status = (enum tcb_status)s;
            return true;
        }
    }
    level->status = TCB_NONE;
    return false;
}

bool tcb_level_by_isvsvn(struct tcb_level *level, struct js *json, uint32_t levels, uint64_t svn)
{
    if (js_type(json, levels) != JS_ARRAY)
        return false;
    for (uint32_t e = js_first(json, levels); e != JS_ABSENT; e = js_next(json, levels, e)) {
        uint64_t need;

        if (!js_uint(json, js_get(json, js_get(json, e, "tcb"), "isvsvn"), &need))
            return false;
        if (svn >= need)
            return tcb_level_take(level, json, e);
    }
    return true;
}

enum tcb_status tcb_converge(enum tcb_status platform, enum tcb_status other)
{
    if (other == TCB_REVOKED)
        return TCB_REVOKED;
    if (other != TCB_OUT_OF_DATE)
        return platform;
    switch (platform) {
    case TCB_UP_TO_DATE:
    case TCB_SW_HARDENING_NEEDED:
        return TCB_OUT_OF_DATE;
    case TCB_CONFIGURATION_NEEDED:
    case TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED:
        return TCB_OUT_OF_DATE_CONFIGURATION_NEEDED;
    default:
        return platform;
    }
}

void tcb_note_behind(struct verification *v, struct tcb_judgement *t, const char *what,
                     uint64_t have, uint64_t newest)
{
    t->behind = arena_text(v->arena, "%s%s%s (%llu; newest %llu)", t->behind ? t->behind : "",
                           t->behind ? ", " : "", what, (unsigned long long)have,
                           (unsigned long long)newest);
}

/* ---- Claims ---- */

static const struct names {
    const char *status, *platform, *date, *advisory, *relaunch;
} names[] = {
    { "sgx.tcb_status", "sgx.platform_tcb_status", "sgx.tcb_date", "sgx.advisory_ids", NULL },
    { "tdx.tcb_status", "tdx.platform_tcb_status", "tdx.tcb_date", "tdx.advisory_ids",
      "tdx.relaunch_advised" },
};

static void claim_level(struct verification *v, const struct tcb_level *level, const char *status,
                        const char *date)
{
    struct bawn_bytes text;

    if (!level->json)
        return;
    claim_text(v->r, status, tcb_status_name(level->status));
    if (js_string(level->json, js_get(level->json, level->value, "tcbDate"), &text))
        claim_text(v->r, date, arena_printable(v->arena, text));
}

/* The advisories seen so far; more than this many of one platform are left out of the claims. */
#define ADVISORIES 64

struct advisories {
    struct bawn_bytes id[ADVISORIES];
    int n;
    const char *all; /* joined for people */
};

static void add_advisory(struct verification *v, struct advisories *a, struct bawn_bytes id,
                         const char *claim)
{
    const char *text;

    for (int i = 0; i < a->n; i++)
        if (bytes_equal(a->id[i], id))
            return;
    if (a->n == ADVISORIES)
        return;
    a->id[a->n] = id;
    text = arena_printable(v->arena, id);
    claim_text_at(v->r, claim, a->n++, text);
    a->all = a->all ? arena_text(v->arena, "%s, %s", a->all, text) : text;
}

static void add_advisories(struct verification *v, struct advisories *a,
                           const struct tcb_level *level, const char *claim)
{
    struct bawn_bytes id;
    uint32_t ids;

    if (!level->json)
        return;
    ids = js_get(level->json, level->value, "advisoryIDs");
    for (uint32_t e = js_first(level->json, ids); e != JS_ABSENT; e = js_next(level->json, ids, e))
        if (js_string(level->json, e, &id))
            add_advisory(v, a, id, claim);
}

/* ---- The verdict ---- */

#define STATUS_CHECK(tee)                                                                    \
    {                                                                                        \
        .name = tee ".tcb-status", .claim = tee ".tcb_status",                               \
        .source = "Intel PCS API v4, TCB info; DCAP Quote Verification Library, 4.1.2.4.17", \
        .how = "the statuses of platform, TDX module and quoting enclave at their levels, "  \
               "the worst of them deciding",                                                 \
    }

static const struct check status_checks[] = { STATUS_CHECK("sgx"), STATUS_CHECK("tdx") };

static void report(struct verification *v, const struct tcb_judgement *t, enum tcb_status status,
                   const char *advisories)
{
    const struct status *s = &statuses[status];
    struct check check = status_checks[t->tdx];
    const char *up = statuses[TCB_UP_TO_DATE].name;

    if (s->level == BAWN_FINDING_PASS) {
        check_passed(v->r, &check);
        return;
    }
    check.advice = s->advice;
    if (t->relaunch)
        check.advice = "the TDX module was updated after this TD's launch: launch the TD anew";
    else if (t->behind)
        check.advice =
            arena_text(v->arena, "%s; older than the newest level: %s", s->advice, t->behind);
    if (s->level == BAWN_FINDING_REFUSED)
        check_refused(v->r, &check, up, s->name, "%s%s%s", s->text, advisories ? ": " : "",
                      advisories ? advisories : "");
    else
        check_warned(v->r, &check, up, s->name, "%s%s%s", s->text, advisories ? ": " : "",
                     advisories ? advisories : "");
}

void tcb_judge(struct verification *v, const struct tcb_judgement *t)
{
    const struct names *name = &names[t->tdx];
    struct advisories advisories = { .n = 0 };
    enum tcb_status status = t->platform.status;

    claim_level(v, &t->platform, name->platform, name->date);
    claim_level(v, &t->module, "tdx.module_tcb_status", "tdx.module_tcb_date");
    claim_level(v, &t->qe, "qe.tcb_status", "qe.tcb_date");
    add_advisories(v, &advisories, &t->platform, name->advisory);
    add_advisories(v, &advisories, &t->module, name->advisory);
    add_advisories(v, &advisories, &t->qe, name->advisory);
    if (!t->platform.json || !t->qe.json || (t->module_needed && !t->module.json))
        return; /* a finding says what is missing */
    if (t->module_needed)
        status = tcb_converge(status, t->module.status);
    status = tcb_converge(status, t->qe.status);
    claim_text(v->r, name->status, tcb_status_name(status));
    if (t->tdx)
        claim_bool(v->r, name->relaunch, t->relaunch);
    report(v, t, status, advisories.all);
}

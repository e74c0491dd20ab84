// SPDX-License-Identifier: Apache-2.0
/*
 * The status page: made here, whole, from the vault's status; no script, no other resource. Texts
 * in it come from evidence, that is from anybody: all are escaped, and the page's own policy
 * forbids what an escape forgotten could do.
 */
#include <string.h>
#include <time.h>

#include "attest/service/front/front.h"

void page_escape(struct evbuffer *out, const char *text)
{
    for (; text && *text; text++) {
        size_t plain = strcspn(text, "&<>\"'");

        evbuffer_add(out, text, plain);
        text += plain;
        if (!*text)
            return;
        evbuffer_add_printf(out, "&#%d;", *text);
    }
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static long long int_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void put(struct evbuffer *out, const char *html)
{
    evbuffer_add(out, html, strlen(html));
}

/* A cell with its heading, which narrow screens show beside it. */
static void cell(struct evbuffer *out, const char *heading, const char *class, const char *text)
{
    evbuffer_add_printf(out, "<td data-h=\"%s\" class=\"%s\">", heading, class);
    page_escape(out, *text ? text : "\xe2\x80\x93");
    put(out, "</td>");
}

static void cell_number(struct evbuffer *out, const char *heading, long long n)
{
    char text[32];

    snprintf(text, sizeof(text), "%lld", n);
    cell(out, heading, "n", text);
}

static void time_text(char text[32], long long seconds)
{
    time_t t = (time_t)seconds;
    struct tm tm;

    text[0] = '\0';
    if (seconds > 0 && seconds < 253402300800 && gmtime_r(&t, &tm)) /* to the year 9999 */
        strftime(text, 32, "%Y-%m-%d %H:%M:%S", &tm);
}

static void cell_time(struct evbuffer *out, const char *heading, const char *class,
                      long long seconds)
{
    char text[32];

    time_text(text, seconds);
    cell(out, heading, class, text);
}

/* ---- Sections ---- */

static const char style[] =
    "<style>"
    ":root{--bg:#fbfbf9;--fg:#20242a;--dim:#626a74;--line:#dcdfe3;--card:#fff;--ok:#1d6b3c;"
    "--bad:#a3231d;--warn:#8a5a00;--accent:#29567f}"
    "@media(prefers-color-scheme:dark){:root{--bg:#15181c;--fg:#e4e7ea;--dim:#98a1ab;"
    "--line:#2e343b;--card:#1c2025;--ok:#6fce93;--bad:#f0827b;--warn:#e3b45c;--accent:#8dbbe6}}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.5 system-ui,sans-serif}"
    "main{max-width:68rem;margin:0 auto;padding:1.5rem 1rem 3rem}"
    "h1{font-size:1.4rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .5rem}"
    "header p,.dim{color:var(--dim);margin:.2rem 0}"
    "dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.75rem;"
    "margin:1.2rem 0}"
    "dl div{background:var(--card);border:1px solid var(--line);border-radius:.4rem;"
    "padding:.6rem .8rem}"
    "dt{color:var(--dim);font-size:.85rem}dd{margin:0;font-size:1.35rem;"
    "font-variant-numeric:tabular-nums}"
    "table{width:100%;border-collapse:collapse;background:var(--card);border:1px solid "
    "var(--line);font-size:.92rem}"
    "th{text-align:left;font-weight:600;color:var(--dim)}"
    "th,td{padding:.4rem .6rem;border-top:1px solid var(--line);vertical-align:top;"
    "overflow-wrap:anywhere}"
    "td.n{font-variant-numeric:tabular-nums}td.m,pre{font-family:ui-monospace,monospace;"
    "font-size:.85rem}"
    ".ok{color:var(--ok);font-weight:600}.bad{color:var(--bad);font-weight:600}"
    ".warn{color:var(--warn);font-weight:600}"
    "ul{margin:0;padding-left:1.1rem}.note{border-left:.25rem solid var(--warn);"
    "padding:.3rem .8rem;background:var(--card)}"
    "pre{background:var(--card);border:1px solid var(--line);padding:.8rem;overflow-x:auto}"
    "@media(max-width:40rem){table,tbody,tr,td{display:block}thead{display:none}"
    "tr{border-top:1px solid var(--line);padding:.4rem 0}"
    "td{border:0;padding:.15rem .6rem .15rem 8rem;position:relative;min-height:1.7rem}"
    "td::before{content:attr(data-h);position:absolute;left:.6rem;width:7rem;color:var(--dim)}}"
    "</style>";

static void tile(struct evbuffer *out, const char *name, long long n)
{
    evbuffer_add_printf(out, "<div><dt>%s</dt><dd>%lld</dd></div>", name, n);
}

static void table_start(struct evbuffer *out, const char *title, const char *const headings[])
{
    evbuffer_add_printf(out, "<h2>%s</h2><table><thead><tr>", title);
    for (; *headings; headings++)
        evbuffer_add_printf(out, "<th scope=\"col\">%s</th>", *headings);
    put(out, "</tr></thead><tbody>");
}

static void table_end(struct evbuffer *out, size_t rows, const char *none)
{
    put(out, "</tbody></table>");
    if (!rows)
        evbuffer_add_printf(out, "<p class=\"dim\">%s</p>", none);
}

static void summary(struct evbuffer *out, const json_t *status)
{
    const json_t *counters = json_object_get(status, "counters");
    const json_t *warning;
    size_t i;

    put(out, "<dl>");
    tile(out, "Allowed", int_of(counters, "allowed"));
    tile(out, "Denied", int_of(counters, "denied"));
    tile(out, "Secrets released", int_of(counters, "released"));
    tile(out, "Log entries", int_of(status, "log_size"));
    put(out, "</dl>");
    json_array_foreach(json_object_get(status, "warnings"), i, warning)
    {
        put(out, "<p class=\"note\">");
        page_escape(out, json_string_value(warning));
        put(out, "</p>");
    }
}

static void reasons(struct evbuffer *out, const json_t *list)
{
    const json_t *reason;
    size_t i;

    put(out, "<td data-h=\"Why\">");
    put(out, json_array_size(list) ? "<ul>" : "\xe2\x80\x93");
    json_array_foreach(list, i, reason)
    {
        put(out, "<li>");
        page_escape(out, json_string_value(reason));
        put(out, "</li>");
    }
    put(out, json_array_size(list) ? "</ul></td>" : "</td>");
}

static void recent(struct evbuffer *out, const json_t *status)
{
    static const char *const headings[] = { "Time (UTC)", "Tenant", "Evidence", "Policy",
                                            "Decision",   "Why",    NULL };
    const json_t *entry;
    size_t i;

    table_start(out, "Latest decisions", headings);
    json_array_foreach(json_object_get(status, "decisions"), i, entry)
    {
        const json_t *policy = json_object_get(entry, "policy");
        bool allowed = json_is_true(json_object_get(entry, "allowed"));
        char id[160];

        snprintf(id, sizeof(id), "%.100s %.40s", text_of(policy, "id"), text_of(policy, "version"));
        put(out, "<tr>");
        cell_time(out, "Time (UTC)", "n", int_of(entry, "time_ms") / 1000);
        cell(out, "Tenant", "", text_of(entry, "tenant"));
        cell(out, "Evidence", "", text_of(entry, *text_of(entry, "subject") ? "subject" : "tee"));
        cell(out, "Policy", "", id);
        cell(out, "Decision", allowed ? "ok" : "bad", allowed ? "allowed" : "denied");
        reasons(out, json_object_get(entry, "reasons"));
        put(out, "</tr>");
    }
    table_end(out, i, "There was none since the start.");
}

static void denials(struct evbuffer *out, const json_t *status)
{
    static const char *const headings[] = { "Check or rule", "Times", NULL };
    json_t *checks = json_object_get(status, "denials"), *count;
    const char *check;

    table_start(out, "What denials came from", headings);
    json_object_foreach(checks, check, count)
    {
        put(out, "<tr>");
        cell(out, "Check or rule", "m", check);
        cell_number(out, "Times", json_integer_value(count));
        put(out, "</tr>");
    }
    table_end(out, json_object_size(checks), "Nothing was denied since the start.");
}

/* What the policy said to a claim, or NULL. */
static const json_t *rule_on(const json_t *decision, const char *claim)
{
    const json_t *rule;
    size_t i;

    json_array_foreach(json_object_get(decision, "trace"), i, rule)
    {
        if (!strcmp(text_of(rule, "claim"), claim) && *text_of(rule, "requirement"))
            return rule;
    }
    return NULL;
}

/* The claims of one decision that are of TCB levels, each beside what its policy wants. */
static size_t tcb_of(struct evbuffer *out, const json_t *decision)
{
    json_t *claims = json_object_get(decision, "claims"), *value;
    const char *claim;
    size_t n = 0;

    json_object_foreach(claims, claim, value)
    {
        const json_t *rule = rule_on(decision, claim);
        bool passed = rule && !strcmp(text_of(rule, "outcome"), "passed");

        if (!strstr(claim, "reported_tcb") && !strstr(claim, "tcb_status") &&
            !strstr(claim, "tcb_svn"))
            continue;
        n++;
        put(out, "<tr>");
        cell(out, "Tenant", "", text_of(decision, "tenant"));
        cell(out, "Component", "m", claim);
        cell(out, "Found", "n", json_string_value(value) ? json_string_value(value) : "");
        cell(out, "Policy", "n", text_of(rule, "requirement"));
        cell(out, "State",
             !rule    ? ""
             : passed ? "ok"
                      : "bad",
             !rule    ? "not asked for"
             : passed ? "enough"
                      : "too low");
        put(out, "</tr>");
    }
    return n;
}

/* Of the newest decision of each tenant. */
static void tcb(struct evbuffer *out, const json_t *status)
{
    static const char *const headings[] = { "Tenant",       "Component", "Found",
                                            "Policy wants", "State",     NULL };
    const json_t *list = json_object_get(status, "decisions"), *entry;
    size_t i, k, rows = 0;

    table_start(out, "TCB levels, latest evidence of each tenant", headings);
    json_array_foreach(list, i, entry)
    {
        for (k = 0; k < i; k++)
            if (!strcmp(text_of(json_array_get(list, k), "tenant"), text_of(entry, "tenant")))
                break;
        if (k == i)
            rows += tcb_of(out, entry);
    }
    table_end(out, rows, "No evidence with TCB levels was seen since the start.");
}

static void policies(struct evbuffer *out, const json_t *status)
{
    static const char *const headings[] = { "Tenant", "Kind",        "Policy", "SHA-256",
                                            "Author", "Since (UTC)", NULL };
    const json_t *entry;
    size_t i;

    table_start(out, "Policies in force", headings);
    json_array_foreach(json_object_get(status, "policies"), i, entry)
    {
        put(out, "<tr>");
        cell(out, "Tenant", "", text_of(entry, "tenant"));
        cell(out, "Kind", "", text_of(entry, "kind"));
        cell(out, "Policy", "", text_of(entry, "name"));
        cell(out, "SHA-256", "m", text_of(entry, "sha256"));
        cell(out, "Author", "", text_of(entry, "author"));
        cell_time(out, "Since (UTC)", "n", int_of(entry, "created"));
        put(out, "</tr>");
    }
    table_end(out, i, "There is none: everything is denied.");
}

#define DAY 86400

static void collateral(struct evbuffer *out, const json_t *status, int64_t now)
{
    static const char *const headings[] = { "Collateral", "Expires (UTC)", "State", NULL };
    const json_t *entry;
    size_t i;

    table_start(out, "Collateral", headings);
    json_array_foreach(json_object_get(status, "collateral"), i, entry)
    {
        long long expires = int_of(entry, "not_after");
        bool never = !expires, gone = !never && expires <= now;
        bool soon = !never && !gone && expires - now < 7 * DAY;

        put(out, "<tr>");
        cell(out, "Collateral", "m", text_of(entry, "name"));
        cell_time(out, "Expires (UTC)", "n", expires);
        cell(out, "State",
             gone   ? "bad"
             : soon ? "warn"
                    : "ok",
             gone   ? "expired"
             : soon ? "expires within a week"
                    : "current");
        put(out, "</tr>");
    }
    table_end(out, i, "None is stored.");
}

static void checkpoint(struct evbuffer *out, const json_t *status)
{
    put(out, "<h2>Log checkpoint</h2>");
    if (!*text_of(status, "checkpoint")) {
        put(out, "<p class=\"dim\">There is none yet.</p>");
        return;
    }
    put(out, "<pre>");
    page_escape(out, text_of(status, "checkpoint"));
    put(out, "</pre>");
}

void page_print(struct evbuffer *out, const json_t *status, int64_t now)
{
    char when[32];

    time_text(when, now);
    put(out, "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">"
             "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
             "<title>bawn-attestd</title>");
    put(out, style);
    evbuffer_add_printf(out,
                        "</head><body><main><header><h1>bawn-attestd</h1><p>Attestation service, "
                        "%s UTC</p></header>",
                        when);
    summary(out, status);
    recent(out, status);
    denials(out, status);
    tcb(out, status);
    policies(out, status);
    collateral(out, status, now);
    checkpoint(out, status);
    put(out, "</main></body></html>\n");
}

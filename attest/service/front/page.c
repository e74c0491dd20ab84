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
    "th{text-align:left;font-weight:600;color:var(--dim);white-space:nowrap}"
    "th,td{padding:.4rem .6rem;border-top:1px solid var(--line);vertical-align:top}"
    "td{overflow-wrap:anywhere;min-width:5.5rem}td.t{white-space:nowrap}"
    "td.n{font-variant-numeric:tabular-nums}td.m,pre{font-family:ui-monospace,monospace;"
    "font-size:.85rem}"
    ".ok{color:var(--ok);font-weight:600}.bad{color:var(--bad);font-weight:600}"
    ".warn{color:var(--warn);font-weight:600}"
    "ul{margin:0;padding-left:1.1rem}.note{border-left:.25rem solid var(--warn);"
    "padding:.3rem .8rem;background:var(--card)}"
    "pre{background:var(--card);border:1px solid var(--line);padding:.8rem;white-space:pre-wrap;"
    "overflow-wrap:anywhere}"
    "@media(max-width:52rem){table,tbody,tr,td{display:block}thead{display:none}"
    "tr{border-top:1px solid var(--line);padding:.4rem 0}tbody tr:first-child{border-top:0}"
    "td{border:0;padding:.15rem .6rem .15rem 8rem;position:relative;min-height:1.7rem}"
    "td::before{content:attr(data-h);position:absolute;left:.6rem;width:7rem;color:var(--dim);font:"
    "400 .92rem/1.6 system-ui,sans-serif}}"
    "</style>";

static void tile(struct evbuffer *out, const char *name, long long n)
{
    evbuffer_add_printf(out, "<div><dt>%s</dt><dd>%lld</dd></div>", name, n);
}

/* Without rows there is a sentence instead. */
static void table_start(struct evbuffer *out, const char *title, const char *const headings[],
                        size_t rows, const char *none)
{
    evbuffer_add_printf(out, "<h2>%s</h2>", title);
    if (!rows) {
        evbuffer_add_printf(out, "<p class=\"dim\">%s</p>", none);
        return;
    }
    put(out, "<table><thead><tr>");
    for (; *headings; headings++)
        evbuffer_add_printf(out, "<th scope=\"col\">%s</th>", *headings);
    put(out, "</tr></thead><tbody>");
}

static void table_end(struct evbuffer *out, size_t rows)
{
    if (rows)
        put(out, "</tbody></table>");
}

static void summary(struct evbuffer *out, const json_t *status)
{
    const json_t *decisions = json_object_get(status, "decisions");
    const json_t *log = json_object_get(status, "log");
    const json_t *warning;
    size_t i;

    put(out, "<dl>");
    tile(out, "Allowed", int_of(decisions, "allowed"));
    tile(out, "Denied", int_of(decisions, "denied"));
    tile(out, "Secrets released", int_of(decisions, "released"));
    tile(out, "Log entries", int_of(log, "size"));
    tile(out, "Verifiers", int_of(status, "judges"));
    put(out, "</dl>");
    json_array_foreach(json_object_get(status, "warnings"), i, warning)
    {
        put(out, "<p class=\"note\">");
        page_escape(out, json_string_value(warning));
        put(out, "</p>");
    }
}

static void recent(struct evbuffer *out, const json_t *status)
{
    static const char *const headings[] = { "Entry",  "Time (UTC)", "Tenant", "Evidence", "Verdict",
                                            "Policy", "Decision",   "Why",    NULL };
    const json_t *list = json_object_get(status, "recent"), *entry, *reason;
    size_t i, k;

    table_start(out, "Latest decisions", headings, json_array_size(list),
                "There was none since the start.");
    json_array_foreach(list, i, entry)
    {
        bool allowed = json_is_true(json_object_get(entry, "allowed"));

        put(out, "<tr>");
        cell_number(out, "Entry", int_of(entry, "seq"));
        cell_time(out, "Time (UTC)", "n t", int_of(entry, "time"));
        cell(out, "Tenant", "", text_of(entry, "tenant"));
        cell(out, "Evidence", "", text_of(entry, *text_of(entry, "subject") ? "subject" : "kind"));
        cell(out, "Verdict", "", text_of(entry, "verdict"));
        cell(out, "Policy", "", text_of(entry, "policy"));
        cell(out, "Decision", allowed ? "ok" : "bad", allowed ? "allowed" : "denied");
        put(out, "<td data-h=\"Why\">");
        if (json_array_size(json_object_get(entry, "reasons")))
            put(out, "<ul>");
        json_array_foreach(json_object_get(entry, "reasons"), k, reason)
        {
            put(out, "<li>");
            page_escape(out, json_string_value(reason));
            put(out, "</li>");
        }
        put(out, k ? "</ul></td></tr>" : "</td></tr>");
    }
    table_end(out, i);
}

static void denials(struct evbuffer *out, const json_t *status)
{
    static const char *const headings[] = { "Check or rule", "Times", NULL };
    json_t *checks = json_object_get(json_object_get(status, "decisions"), "by_check"), *count;
    const char *check;

    table_start(out, "What denials came from", headings, json_object_size(checks),
                "Nothing was denied since the start.");
    json_object_foreach(checks, check, count)
    {
        put(out, "<tr>");
        cell(out, "Check or rule", "m", check);
        cell_number(out, "Times", json_integer_value(count));
        put(out, "</tr>");
    }
    table_end(out, json_object_size(checks));
}

static void tcb(struct evbuffer *out, const json_t *status)
{
    static const char *const headings[] = { "Component", "Found", "Policy wants",
                                            "State",     "Entry", NULL };
    const json_t *entry;
    size_t i;

    table_start(out, "TCB levels of the latest evidence", headings,
                json_array_size(json_object_get(status, "tcb")),
                "No evidence with TCB levels was seen since the start.");
    json_array_foreach(json_object_get(status, "tcb"), i, entry)
    {
        const char *minimum = text_of(entry, "minimum");
        bool ok = json_is_true(json_object_get(entry, "ok"));

        put(out, "<tr>");
        cell(out, "Component", "m", text_of(entry, "claim"));
        cell(out, "Found", "n", text_of(entry, "found"));
        cell(out, "Policy wants", "n", minimum);
        cell(out, "State",
             !*minimum ? ""
             : ok      ? "ok"
                       : "bad",
             !*minimum ? "not asked for"
             : ok      ? "enough"
                       : "too low");
        cell_number(out, "Entry", int_of(entry, "seq"));
        put(out, "</tr>");
    }
    table_end(out, i);
}

static void tenants(struct evbuffer *out, const json_t *status)
{
    static const char *const headings[] = { "Tenant",  "Policy",     "Version", "SHA-256",
                                            "Secrets", "References", NULL };
    const json_t *entry;
    size_t i;

    table_start(out, "Tenants and their policies", headings,
                json_array_size(json_object_get(status, "tenants")), "There is none.");
    json_array_foreach(json_object_get(status, "tenants"), i, entry)
    {
        const json_t *policy = json_object_get(entry, "policy");
        bool there = json_is_object(policy); /* else null */

        put(out, "<tr>");
        cell(out, "Tenant", "", text_of(entry, "name"));
        cell(out, "Policy", there ? "" : "warn",
             there ? text_of(policy, "id") : "none: everything is denied");
        cell(out, "Version", "", text_of(policy, "version"));
        cell(out, "SHA-256", "m", text_of(policy, "sha256"));
        cell_number(out, "Secrets", int_of(entry, "secrets"));
        cell_number(out, "References", int_of(entry, "references"));
        put(out, "</tr>");
    }
    table_end(out, i);
}

#define DAY 86400

static void collateral(struct evbuffer *out, const json_t *status, int64_t now)
{
    static const char *const headings[] = { "Collateral", "Kind", "Expires (UTC)", "State", NULL };
    const json_t *entry;
    size_t i;

    table_start(out, "Collateral", headings, json_array_size(json_object_get(status, "collateral")),
                "None is stored.");
    json_array_foreach(json_object_get(status, "collateral"), i, entry)
    {
        long long expires = int_of(entry, "expires");
        bool never = !expires, gone = !never && expires <= now;
        bool soon = !never && !gone && expires - now < 7 * DAY;

        put(out, "<tr>");
        cell(out, "Collateral", "m", text_of(entry, "name"));
        cell(out, "Kind", "", text_of(entry, "kind"));
        cell_time(out, "Expires (UTC)", "n t", expires);
        cell(out, "State",
             gone   ? "bad"
             : soon ? "warn"
                    : "ok",
             gone   ? "expired"
             : soon ? "expires within a week"
                    : "current");
        put(out, "</tr>");
    }
    table_end(out, i);
}

static void checkpoint(struct evbuffer *out, const json_t *status)
{
    const json_t *log = json_object_get(status, "log");
    char when[32];

    time_text(when, int_of(log, "checkpoint_time"));
    put(out, "<h2>Log checkpoint</h2>");
    if (!*text_of(log, "checkpoint")) {
        put(out, "<p class=\"dim\">There is none yet.</p>");
        return;
    }
    evbuffer_add_printf(out, "<p class=\"dim\">%lld of %lld entries%s%s</p><pre>",
                        int_of(log, "checkpoint_size"), int_of(log, "size"),
                        *when ? ", signed " : "", when);
    page_escape(out, text_of(log, "checkpoint"));
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
    tenants(out, status);
    collateral(out, status, now);
    checkpoint(out, status);
    put(out, "</main></body></html>\n");
}

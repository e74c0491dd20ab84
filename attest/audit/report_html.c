// SPDX-License-Identifier: Apache-2.0
/*
 * The evidence for people: one page of HTML that prints on ten sheets of A4 at most. No script, no
 * link to elsewhere; everything that comes from a file is escaped. Runs inside the sandbox.
 */
#include "attest/audit/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* So that it stays within its pages, whatever there is; what is left out is counted. */
#define ROWS_BUILT 28
#define ROWS_OPEN 40
#define ROWS_POLICIES 12
#define ROWS_HOST 14
#define ROWS_STEPS 24
#define ROWS_BOUNDARIES 16
#define ROWS_RESIDUAL 48
#define ROWS_CONTROLS 20
#define CELL_MAX 220 /* bytes of a text in a cell */

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
    "'unsafe-inline'\">\n<title>Bawn: evidence</title>\n<style>\n"
    "@page { size: A4; margin: 14mm }\n"
    "body { font: 9.5pt/1.3 sans-serif; max-width: 60em; margin: auto; color: #111 }\n"
    "h1 { font-size: 15pt } h2 { font-size: 11.5pt; margin: 1.1em 0 .3em }\n"
    "table { border-collapse: collapse; width: 100%; font-size: 8pt }\n"
    "td, th { border: 1px solid #999; padding: 1px 4px; text-align: left; vertical-align: top; "
    "overflow-wrap: break-word }\n"
    "tr { break-inside: avoid } th { background: #eee }\n"
    ".good { color: #06601a } .bad { color: #a00; font-weight: bold } .open { color: #8a5a00 }\n"
    "code { font-size: 7.5pt; overflow-wrap: anywhere } small { color: #555 }\n"
    "</style></head><body>\n";

/* ---- Text ---- */

static void escape(FILE *to, const char *text, bool ascii)
{
    size_t n = 0;

    for (const unsigned char *c = (const unsigned char *)text; *c; c++, n++) {
        if (n >= CELL_MAX && (*c & 0xc0) != 0x80) {
            fputs(" ...", to);
            return;
        }
        switch (*c) {
        case '&':
            fputs("&amp;", to);
            break;
        case '<':
            fputs("&lt;", to);
            break;
        case '>':
            fputs("&gt;", to);
            break;
        case '"':
            fputs("&quot;", to);
            break;
        case '\'':
            fputs("&#39;", to);
            break;
        default:
            fputc(*c < ' ' || *c == 0x7f ? ' ' : ascii && *c >= 0x80 ? '?' : *c, to);
        }
    }
}

static void cell(FILE *to, const char *text)
{
    fputs("<td>", to);
    escape(to, text, false);
    fputs("</td>", to);
}

static void name_cell(FILE *to, const char *name)
{
    fputs("<td><code>", to);
    escape(to, name, true);
    fputs("</code></td>", to);
}

static void state_cell(FILE *to, const char *class, const char *text)
{
    fprintf(to, "<td class=\"%s\">%s</td>", class, text);
}

static void more(FILE *to, size_t n, size_t most, const char *what)
{
    if (n > most)
        fprintf(to, "<p>And %zu more %s.</p>\n", n - most, what);
}

static void words(FILE *to, const json_t *array)
{
    const json_t *entry;
    size_t i;

    fputs("<td>", to);
    json_array_foreach(array, i, entry)
    {
        if (i)
            fputs(", ", to);
        escape(to, report_entry(entry), false);
    }
    fputs("</td>", to);
}

/* ---- Parts ---- */

static size_t count_items(const struct report *r, enum report_state state)
{
    size_t n = 0;

    for (size_t i = 0; i < r->nr_items; i++)
        n += r->item[i].state == state;
    return n;
}

static void summary(const struct report *r, FILE *to)
{
    const json_t *controls = json_object_get(r->controls, "controls"), *control;
    size_t i, good = 0;
    bool failed;

    json_array_foreach(controls, i, control)
    {
        good += report_satisfied(r, control, &failed);
    }
    fputs("<h1>Bawn: evidence for auditors</h1>\n<p>Version ", to);
    escape(to, r->revision ? r->revision : bawn_attest_version(), false);
    fprintf(
        to,
        ", as of %s, inputs <code>%s</code>.</p>\n<p><b>%zu of %zu controls</b> have all that "
        "shows them passed. Of %zu pieces of evidence %zu passed, %zu failed, %zu did not run. ",
        r->time, r->digest, good, json_array_size(controls), r->nr_items,
        count_items(r, REPORT_PASSED), count_items(r, REPORT_FAILED),
        count_items(r, REPORT_NOT_RUN));
    fputs(
        "The machine-readable form is in <code>component-definition.json</code> and "
        "<code>assessment-results.json</code> (OSCAL); <code>MANIFEST</code> has the hashes of all "
        "three, and is what is signed.</p>\n"
        "<p>What this is not: a certificate. The project's own program made it from what the "
        "project's own tests left. SEV-SNP guests ran on the software platform, which keeps "
        "nothing from its host; the parts for an EPYC have never run on one.</p>\n",
        to);
}

/* Where else the control is asked for. */
static void elsewhere(const json_t *control, FILE *to)
{
    const char *catalog;
    const json_t *ids, *id;
    size_t k;

    fputs("<br><small>", to);
    json_object_foreach((json_t *)(uintptr_t)json_object_get(control, "maps"), catalog, ids)
    {
        escape(to, catalog, false);
        json_array_foreach(ids, k, id)
        {
            fputs(k ? ", " : ": ", to);
            escape(to, report_entry(id), false);
        }
        fputs(". ", to);
    }
    fputs("</small></td>", to);
}

static void one_control(const struct report *r, const json_t *c, FILE *to)
{
    bool failed, good = report_satisfied(r, c, &failed);

    fputs("<tr><td><b>", to);
    escape(to, report_text(c, "id"), false);
    fputs("</b> ", to);
    escape(to, report_text(c, "title"), false);
    fputs("</td><td>", to);
    escape(to, report_text(c, "claim"), false);
    elsewhere(c, to);
    state_cell(to,
               good     ? "good"
               : failed ? "bad"
                        : "open",
               good     ? "passed"
               : failed ? "FAILED"
                        : "not all run");
    words(to, json_object_get(c, "threats"));
    cell(to, report_text(c, "owner"));
    cell(to, report_text(c, "residual"));
    fputs("</tr>\n", to);
}

static void controls(const struct report *r, FILE *to)
{
    const json_t *list = json_object_get(r->controls, "controls"), *c;
    size_t i;

    fputs("<h2>Controls</h2>\n<table><tr><th>control</th><th>what is claimed</th><th>tests</th>"
          "<th>threats</th><th>owner</th><th>what is left</th></tr>\n",
          to);
    json_array_foreach(list, i, c)
    {
        if (i < ROWS_CONTROLS)
            one_control(r, c, to);
    }
    fputs("</table>\n", to);
    more(to, json_array_size(list), ROWS_CONTROLS, "controls");
}

static void coverage(const struct report *r, FILE *to)
{
    static const char *const states[] = { "mitigated", "partly", "out of scope" };
    const json_t *boundary, *t;
    size_t i, k;

    fputs("<h2>Threats by boundary</h2>\n<table><tr><th>boundary</th><th>mitigated</th><th>partly"
          "</th><th>out of scope</th></tr>\n",
          to);
    json_array_foreach(json_object_get(r->threats, "boundaries"), i, boundary)
    {
        size_t n[3] = { 0 };

        if (i == ROWS_BOUNDARIES)
            break;

        json_array_foreach(json_object_get(r->threats, "threats"), k, t)
        {
            bool mine = !strcmp(report_text(t, "boundary"), report_text(boundary, "id"));

            for (unsigned state = 0; mine && state < 3; state++)
                n[state] += !strcmp(report_text(t, "status"), states[state]);
        }
        fputs("<tr>", to);
        cell(to, report_text(boundary, "name"));
        fprintf(to, "<td>%zu</td><td>%zu</td><td>%zu</td></tr>\n", n[0], n[1], n[2]);
    }
    fputs("</table>\n", to);
    more(to, json_array_size(json_object_get(r->threats, "boundaries")), ROWS_BOUNDARIES,
         "boundaries");
}

static void residual(const struct report *r, FILE *to)
{
    const json_t *t;
    size_t i, n = 0;

    fputs("<h2>What is left of threats</h2>\n<table><tr><th>threat</th><th>what</th><th>status"
          "</th><th>what is left</th></tr>\n",
          to);
    json_array_foreach(json_object_get(r->threats, "threats"), i, t)
    {
        if (!*report_text(t, "residual") || n++ >= ROWS_RESIDUAL)
            continue;
        fputs("<tr>", to);
        cell(to, report_text(t, "id"));
        cell(to, report_text(t, "threat"));
        cell(to, report_text(t, "status"));
        cell(to, report_text(t, "residual"));
        fputs("</tr>\n", to);
    }
    fputs("</table>\n", to);
    more(to, n, ROWS_RESIDUAL, "threats");
}

static void open_items(const struct report *r, FILE *to)
{
    size_t n = 0;

    fputs("<h2>Evidence that did not pass</h2>\n<p>", to);
    for (unsigned state = REPORT_FAILED; state <= REPORT_NOT_RUN; state++)
        for (size_t i = 0; i < r->nr_items; i++) {
            if (r->item[i].state != (enum report_state)state || n++ >= ROWS_OPEN)
                continue;
            fprintf(to, "<code class=\"%s\">", state == REPORT_FAILED ? "bad" : "open");
            escape(to, r->item[i].id, false);
            fprintf(to, "</code> %s; ", report_state_names[state]);
        }
    fputs(n ? "</p>\n" : "None.</p>\n", to);
    more(to, n, ROWS_OPEN, "pieces");
}

/* "12 0" of a file build/results/x. */
static bool counts_of(const struct report_file *f, unsigned long *passed, unsigned long *failed)
{
    char text[64], *end;
    size_t len = f->text.len < sizeof(text) ? f->text.len : sizeof(text) - 1;

    memcpy(text, f->text.data, len);
    text[len] = '\0';
    *passed = strtoul(text, &end, 10);
    if (end == text || *end != ' ')
        return false;
    *failed = strtoul(end + 1, &end, 10);
    return *end == '\n' || !*end;
}

static void steps(const struct report *r, FILE *to)
{
    unsigned long passed, failed;
    size_t n = 0;

    fputs("<h2>Tests</h2>\n<table><tr><th>step</th><th>passed</th><th>failed</th></tr>\n", to);
    for (size_t i = 0; i < r->files->n; i++) {
        const struct report_file *f = &r->files->file[i];

        if (f->kind != REPORT_COUNTS || !counts_of(f, &passed, &failed) || n++ >= ROWS_STEPS)
            continue;
        fputs("<tr>", to);
        name_cell(to, f->name);
        fprintf(to, "<td>%lu</td><td class=\"%s\">%lu</td></tr>\n", passed, failed ? "bad" : "good",
                failed);
    }
    fputs("</table>\n", to);
    if (!n)
        fputs("<p>No results were there: make check leaves them.</p>\n", to);
    more(to, n, ROWS_STEPS, "steps");
}

static void fuzzing(const struct report *r, FILE *to)
{
    const json_t *patches = json_object_get(r->score, "patches"), *patch;
    const char *name;
    size_t n = 0, found = 0;

    fputs("<h2>Fuzzing</h2>\n", to);
    if (r->fuzz) {
        fprintf(to,
                "<p>%zu targets, %.1f core hours, %" JSON_INTEGER_FORMAT " executions, %zu finds",
                json_array_size(json_object_get(r->fuzz, "targets")),
                json_number_value(json_object_get(r->fuzz, "core_seconds")) / 3600,
                json_integer_value(json_object_get(r->fuzz, "executions")),
                json_array_size(json_object_get(r->fuzz, "finds")));
        fputs("; commit <code>", to);
        escape(to, report_text(r->fuzz, "commit"), false);
        fputs("</code>.</p>\n", to);
    } else {
        fputs("<p>No campaign's report was there: bawn-fuzz report makes it.</p>\n", to);
    }
    json_object_foreach((json_t *)(uintptr_t)patches, name, patch)
    {
        n++;
        found += json_is_object(json_object_get(patch, "found"));
    }
    if (n)
        fprintf(to, "<p>Planted faults found in their time: %zu of %zu that were tried.</p>\n",
                found, n);
}

static void built_files(const struct report *r, FILE *to)
{
    size_t n = 0;

    fputs("<h2>What was built</h2>\n<table><tr><th>file</th><th>bytes</th><th>SHA-256</th></tr>\n",
          to);
    for (size_t i = 0; i < r->files->n; i++) {
        const struct report_file *f = &r->files->file[i];
        char hex[2 * REPORT_HASH + 1];

        if (f->kind != REPORT_BUILT || n++ >= ROWS_BUILT)
            continue;
        hex_print(f->sha256, REPORT_HASH, hex);
        fputs("<tr>", to);
        name_cell(to, f->name);
        fprintf(to, "<td>%" PRIu64 "</td><td><code>%s</code></td></tr>\n", f->size, hex);
    }
    fputs("</table>\n", to);
    more(to, n, ROWS_BUILT, "files");
}

static void policies(const struct report *r, FILE *to)
{
    size_t n = 0;

    fputs("<h2>Policies</h2>\n<table><tr><th>file</th><th>SHA-256</th></tr>\n", to);
    for (size_t i = 0; i < r->files->n; i++) {
        const struct report_file *f = &r->files->file[i];
        char hex[2 * REPORT_HASH + 1];

        if (f->kind != REPORT_POLICY || n++ >= ROWS_POLICIES)
            continue;
        hex_print(f->sha256, REPORT_HASH, hex);
        fputs("<tr>", to);
        name_cell(to, f->name);
        fprintf(to, "<td><code>%s</code></td></tr>\n", hex);
    }
    fputs("</table>\n", to);
    more(to, n, ROWS_POLICIES, "policies");
}

static void ledger(const struct report *r, FILE *to)
{
    char root[2 * LOG_HASH + 1];

    fputs("<h2>Log of decisions</h2>\n", to);
    if (!r->ledger_there) {
        fputs("<p>None was given (--log).</p>\n", to);
        return;
    }
    hex_print(r->ledger.root, LOG_HASH, root);
    fprintf(to,
            "<p class=\"%s\">%s: %" PRIu64 " entries, %" PRIu64 " of them signed for, %" PRIu64
            " checkpoints verified, %" PRIu64 " kept ones agree, %" PRIu64 " faults; root <code>%s"
            "</code>.</p>\n",
            r->ledger_good ? "good" : "bad", r->ledger_good ? "GOOD" : "NOT GOOD",
            r->ledger.entries, r->ledger.signed_entries, r->ledger.checkpoints, r->ledger.kept,
            r->ledger.faults, root);
}

static void host(const struct report *r, FILE *to)
{
    const json_t *check;
    size_t i, n = 0;

    fputs("<h2>Host</h2>\n", to);
    if (!r->host) {
        fputs("<p>None was examined (bawn-audit host --json, --host).</p>\n", to);
        return;
    }
    fputs("<table><tr><th>check</th><th>state</th><th>found</th><th>what to do</th></tr>\n", to);
    json_array_foreach(json_object_get(r->host, "checks"), i, check)
    {
        const char *state = report_text(check, "state");
        bool bad = !strcmp(state, "fail");

        if ((!bad && strcmp(state, "warn") != 0) || n++ >= ROWS_HOST)
            continue;
        fputs("<tr>", to);
        name_cell(to, report_text(check, "id"));
        state_cell(to, bad ? "bad" : "open", bad ? "fail" : "warn");
        cell(to, report_text(check, "found"));
        cell(to, report_text(check, "advice"));
        fputs("</tr>\n", to);
    }
    fprintf(to, "</table>\n<p>%zu checks in all.</p>\n",
            json_array_size(json_object_get(r->host, "checks")));
    more(to, n, ROWS_HOST, "checks");
}

bool report_html(const struct report *r, FILE *to)
{
    static void (*const parts[])(const struct report *, FILE *) = {
        summary, controls,    coverage, residual, open_items, steps,
        fuzzing, built_files, policies, ledger,   host,
    };

    fputs(head, to);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        parts[i](r, to);
    fputs("</body></html>\n", to);
    return !ferror(to);
}

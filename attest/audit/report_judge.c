// SPDX-License-Identifier: Apache-2.0
/*
 * Makes sense of what a build left, inside the sandbox: the threat model, the controls, which
 * tests ran and how they ended. All of it is hostile; what the documents use is checked here.
 */
#include "attest/audit/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "attest/jose/jose.h"

#define RAN_MAX 65536
#define ITEMS_MAX 8192
#define LIST_MAX 4096 /* threats, controls, ... */
#define TEXT_MAX 4096 /* of one member */

const char *const report_state_names[] = {
    [REPORT_PASSED] = "passed",
    [REPORT_FAILED] = "failed",
    [REPORT_NOT_RUN] = "not run",
};

const char *report_entry(const json_t *entry)
{
    const char *text = json_string_value(entry);

    return text ? text : "";
}

const char *report_text(const json_t *object, const char *key)
{
    return report_entry(json_object_get(object, key));
}

/* ---- Shapes ---- */

/* OSCAL's tokens: letters, digits and these, not beginning with a digit. */
static bool is_token(const char *text)
{
    static const char may[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

    return *text && strspn(text, may) == strlen(text) && !strchr("0123456789.-", *text) &&
           strlen(text) <= 128;
}

/* One line without blanks around it, as OSCAL's strings are. */
static bool is_line(const char *text)
{
    size_t len = strlen(text);

    if (!len || len > TEXT_MAX || text[0] == ' ' || text[len - 1] == ' ')
        return false;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c < ' ' || *c == 0x7f)
            return false;
    return true;
}

static bool is_link(const char *text)
{
    if (strncmp(text, "https://", 8) != 0 || !text[8])
        return false;
    for (const char *c = text; *c; c++)
        if (*c <= ' ' || *c > '~' || strchr("\"<>\\^`{|}", *c))
            return false;
    return true;
}

static bool may_be_empty(const char *text)
{
    return !*text || is_line(text);
}

typedef bool (*text_fn)(const char *text);
struct member {
    const char *key;
    text_fn is;
    bool list;
};

static bool is_right(const struct member *m, const json_t *value)
{
    const json_t *text;
    size_t i;

    if (!m->list)
        return json_is_string(value) && m->is(json_string_value(value));
    if (!json_is_array(value) || json_array_size(value) > LIST_MAX)
        return false;
    json_array_foreach(value, i, text)
    {
        if (!json_is_string(text) || !m->is(json_string_value(text)))
            return false;
    }
    return true;
}

/* The array at key: objects with these members. */
static enum bawn_status check_list(const struct report_file *f, const json_t *doc, const char *key,
                                   const struct member *members, size_t n, struct bawn_error *err)
{
    const json_t *list = json_object_get(doc, key), *entry;
    size_t i;

    if (!json_is_array(list) || json_array_size(list) > LIST_MAX)
        return bawn_fail(err, BAWN_E_FORMAT, "%s: %s must be an array of at most %d", f->name, key,
                         LIST_MAX);
    json_array_foreach(list, i, entry)
    {
        for (size_t m = 0; m < n; m++)
            if (!is_right(&members[m], json_object_get(entry, members[m].key)))
                return bawn_fail(err, BAWN_E_FORMAT, "%s: %s, entry %zu: %s is missing or wrong",
                                 f->name, key, i, members[m].key);
    }
    return BAWN_OK;
}

#define CHECK(doc, key, ...)                                        \
    check_list(f, doc, key, (const struct member[]){ __VA_ARGS__ }, \
               sizeof((const struct member[]){ __VA_ARGS__ }) / sizeof(struct member), err)

static enum bawn_status check_threats(const struct report_file *f, const json_t *doc,
                                      struct bawn_error *err)
{
    enum bawn_status st =
        CHECK(doc, "boundaries", { "id", is_token, false }, { "name", is_line, false });

    return st != BAWN_OK
               ? st
               : CHECK(doc, "threats", { "id", is_token, false }, { "boundary", is_token, false },
                       { "threat", is_line, false }, { "mechanism", is_line, false },
                       { "status", is_line, false }, { "residual", may_be_empty, false },
                       { "evidence", is_line, true });
}

static enum bawn_status check_maps(const struct report_file *f, const json_t *doc,
                                   struct bawn_error *err)
{
    static const struct member ids = { "maps", is_token, true };
    const json_t *control, *map;
    const char *catalog;
    size_t i;

    json_array_foreach(json_object_get(doc, "controls"), i, control)
    {
        json_object_foreach((json_t *)(uintptr_t)json_object_get(control, "maps"), catalog, map)
        {
            if (!is_right(&ids, map))
                return bawn_fail(err, BAWN_E_FORMAT, "%s: %s: maps is wrong", f->name,
                                 report_text(control, "id"));
        }
    }
    return BAWN_OK;
}

static enum bawn_status check_controls(const struct report_file *f, const json_t *doc,
                                       struct bawn_error *err)
{
    enum bawn_status st = CHECK(doc, "catalogs", { "id", is_token, false },
                                { "title", is_line, false }, { "source", is_link, false });

    if (st == BAWN_OK)
        st = CHECK(doc, "roles", { "id", is_token, false }, { "title", is_line, false });
    if (st == BAWN_OK)
        st = CHECK(doc, "components", { "id", is_token, false }, { "title", is_line, false },
                   { "description", is_line, false }, { "files", is_line, true });
    if (st == BAWN_OK)
        st = CHECK(doc, "controls", { "id", is_token, false }, { "title", is_line, false },
                   { "claim", is_line, false }, { "components", is_token, true },
                   { "threats", is_token, true }, { "tests", is_line, true },
                   { "host", is_token, true }, { "owner", is_token, false },
                   { "residual", may_be_empty, false });
    if (st == BAWN_OK && !is_line(report_text(doc, "oscal")))
        st = bawn_fail(err, BAWN_E_FORMAT, "%s: oscal is missing", f->name);
    if (st == BAWN_OK && !json_array_size(json_object_get(doc, "controls")))
        st = bawn_fail(err, BAWN_E_FORMAT, "%s: has no controls", f->name);
    return st == BAWN_OK ? check_maps(f, doc, err) : st;
}

static enum bawn_status check_host(const struct report_file *f, const json_t *doc,
                                   struct bawn_error *err)
{
    if (json_integer_value(json_object_get(doc, "bawn_host")) != 1)
        return bawn_fail(err, BAWN_E_FORMAT, "%s: not what bawn-audit host --json says", f->name);
    return CHECK(doc, "checks", { "id", is_line, false }, { "state", is_line, false },
                 { "found", may_be_empty, false }, { "advice", may_be_empty, false });
}

/* ---- Sorting ---- */

typedef int (*order_fn)(const void *a, const void *b);

static void swap(char *a, char *b, size_t size)
{
    while (size--) {
        char c = *a;

        *a++ = *b;
        *b++ = c;
    }
}

/* Heapsort, in place: the C library's asks the system how much memory there is, and the sandbox
 * ends who asks. */
static void sort(void *base, size_t n, size_t size, order_fn order)
{
    char *at = base;

    for (size_t start = n / 2, end = n; end > 1;) {
        size_t root, child;

        if (start)
            start--;
        else
            swap(at, at + --end * size, size);
        for (root = start; (child = 2 * root + 1) < end; root = child) {
            if (child + 1 < end && order(at + child * size, at + (child + 1) * size) < 0)
                child++;
            if (order(at + root * size, at + child * size) >= 0)
                break;
            swap(at + root * size, at + child * size, size);
        }
    }
}

/* ---- What ran ---- */

static enum bawn_status note_ran(struct report *r, const struct report_file *log, const char *name,
                                 size_t len, bool failed, struct bawn_error *err)
{
    if (!(r->nr_ran & (r->nr_ran - 1))) { /* the next power of two */
        size_t room = r->nr_ran ? 2 * r->nr_ran : 1;
        struct report_ran *more = realloc(r->ran, room * sizeof(*more));

        if (!more)
            return bawn_fail(err, BAWN_E_NOMEM, "no memory");
        r->ran = more;
    }
    if (r->nr_ran == RAN_MAX)
        return bawn_fail(err, BAWN_E_FORMAT, "%s: more than %d tests", log->name, RAN_MAX);
    r->ran[r->nr_ran].name = strndup(name, len);
    if (!r->ran[r->nr_ran].name)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    r->ran[r->nr_ran].failed = failed;
    r->ran[r->nr_ran++].log = log;
    return BAWN_OK;
}

/* "12 passed, 12 skipped": it showed nothing. */
static bool all_skipped(const char *rest, size_t len)
{
    char text[64], expected[64];
    size_t digits;

    while (len && *rest == ' ')
        rest++, len--;
    snprintf(text, sizeof(text), "%.*s", (int)(len < sizeof(text) ? len : sizeof(text) - 1), rest);
    digits = strspn(text, "0123456789");
    if (!digits || digits > 9)
        return false;
    len = (size_t)snprintf(expected, sizeof(expected), "%.*s passed, %.*s skipped", (int)digits,
                           text, (int)digits, text);
    return !strncmp(text, expected, len);
}

/* "  ok    NAME ...", "  FAIL  NAME ...", "ok - NAME: ...", "not ok - NAME: ...": as the runners
 * print, and scripts/threat-model reads. */
static bool is_result(const char *line, size_t len, const char **name, size_t *name_len,
                      bool *failed)
{
    static const struct {
        const char *mark;
        bool indented, failed;
    } marks[] = {
        { "ok ", true, false },
        { "FAIL ", true, true },
        { "ok - ", false, false },
        { "not ok - ", false, true },
    };
    size_t blanks = 0, at;

    while (blanks < len && line[blanks] == ' ')
        blanks++;
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        at = blanks + strlen(marks[i].mark);
        if (marks[i].indented != (blanks > 0) || at >= len ||
            memcmp(line + blanks, marks[i].mark, at - blanks) != 0)
            continue;
        while (at < len && line[at] == ' ')
            at++;
        *name = line + at;
        for (*name_len = 0; at < len && line[at] > ' '; at++)
            ++*name_len;
        if (*name_len > 1 && (*name)[*name_len - 1] == ':')
            --*name_len;
        *failed = marks[i].failed;
        return *name_len > 0 && *name_len < 256 && !all_skipped(line + at, len - at);
    }
    return false;
}

static enum bawn_status read_log(struct report *r, const struct report_file *f,
                                 struct bawn_error *err)
{
    const char *text = (const char *)f->text.data, *name;
    enum bawn_status st = BAWN_OK;
    size_t name_len;
    bool failed;

    for (size_t at = 0; st == BAWN_OK && at < f->text.len;) {
        const char *end = memchr(text + at, '\n', f->text.len - at);
        size_t len = end ? (size_t)(end - text) - at : f->text.len - at;

        if (is_result(text + at, len, &name, &name_len, &failed))
            st = note_ran(r, f, name, name_len, failed, err);
        at += len + 1;
    }
    return st;
}

static int by_ran_name(const void *a, const void *b)
{
    const struct report_ran *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    /* A failure first: what failed once did not pass. */
    return order ? order : (int)y->failed - (int)x->failed;
}

static const struct report_ran *find_ran(const struct report *r, const char *name)
{
    size_t low = 0, high = r->nr_ran;

    while (low < high) { /* the first of that name */
        size_t middle = (low + high) / 2;

        if (strcmp(r->ran[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < r->nr_ran && !strcmp(r->ran[low].name, name) ? &r->ran[low] : NULL;
}

/* ---- Evidence ---- */

static const struct report_file *first_of(const struct report *r, enum report_kind kind)
{
    for (size_t i = 0; i < r->files->n; i++)
        if (r->files->file[i].kind == kind)
            return &r->files->file[i];
    return NULL;
}

/* A planted fault, by what fuzz/score left: found, or no word of it. */
static void judge_seeded(const struct report *r, struct report_item *item, const char *name)
{
    const json_t *patch = json_object_get(json_object_get(r->score, "patches"), name);

    if (json_is_object(json_object_get(patch, "found"))) {
        item->state = REPORT_PASSED;
        item->file = first_of(r, REPORT_SCORE);
    }
}

static const char *id_of(const struct report_item *item)
{
    return item->id ? item->id : "";
}

static void judge_item(const struct report *r, struct report_item *item)
{
    const char *id = id_of(item), *colon = strchr(id, ':'), *name = colon ? colon + 1 : id;
    static const char *const endings[] = { "", "_test", ".py", ".sh", "_test" };
    char kind[32], text[512];

    item->state = REPORT_NOT_RUN;
    snprintf(kind, sizeof(kind), "%.*s", (int)(name - id - (colon != NULL)), id);
    if (!strcmp(kind, "seeded")) {
        judge_seeded(r, item, name);
        return;
    }
    if (!strcmp(kind, "fuzz-test"))
        strcpy(kind, "fuzz");
    for (size_t i = 0; i < 5; i++) {
        const struct report_ran *ran;

        snprintf(text, sizeof(text), "%s%s%s%s", i < 2 ? "" : kind, i < 2 ? "" : "/", name,
                 endings[i]);
        ran = find_ran(r, text);
        if (ran && item->state != REPORT_FAILED) {
            item->state = ran->failed ? REPORT_FAILED : REPORT_PASSED;
            item->file = ran->log;
        }
    }
}

static int by_id(const void *a, const void *b)
{
    return strcmp(id_of(a), id_of(b));
}

static enum bawn_status note_items(struct report *r, const json_t *list, const char *key,
                                   struct bawn_error *err)
{
    const json_t *entry, *id;
    size_t i, k;

    json_array_foreach(list, i, entry)
    {
        json_array_foreach(json_object_get(entry, key), k, id)
        {
            if (r->nr_items == ITEMS_MAX)
                return bawn_fail(err, BAWN_E_FORMAT, "more than %d pieces of evidence", ITEMS_MAX);
            r->item[r->nr_items++].id = report_entry(id);
        }
    }
    return BAWN_OK;
}

static enum bawn_status judge_items(struct report *r, struct bawn_error *err)
{
    enum bawn_status st;
    size_t n = 0;

    r->item = calloc(ITEMS_MAX, sizeof(*r->item));
    if (!r->item)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    st = note_items(r, json_object_get(r->threats, "threats"), "evidence", err);
    if (st == BAWN_OK)
        st = note_items(r, json_object_get(r->controls, "controls"), "tests", err);
    if (st != BAWN_OK)
        return st;
    sort(r->item, r->nr_items, sizeof(*r->item), by_id);
    for (size_t i = 0; i < r->nr_items; i++)
        if (!n || by_id(&r->item[n - 1], &r->item[i]) != 0)
            r->item[n++] = r->item[i];
    r->nr_items = n;
    for (size_t i = 0; i < n; i++)
        judge_item(r, &r->item[i]);
    return BAWN_OK;
}

const struct report_item *report_find(const struct report *r, const char *id)
{
    const struct report_item key = { .id = id };

    return r->nr_items ? bsearch(&key, r->item, r->nr_items, sizeof(key), by_id) : NULL;
}

const json_t *report_threat(const struct report *r, const char *id)
{
    const json_t *threat;
    size_t i;

    json_array_foreach(json_object_get(r->threats, "threats"), i, threat)
    {
        if (!strcmp(report_text(threat, "id"), id))
            return threat;
    }
    return NULL;
}

/* Whether all of a list of evidence has passed, as far as it is of make check. */
static bool list_passed(const struct report *r, const json_t *list, bool *failed)
{
    bool all = true;
    const json_t *id;
    size_t i;

    json_array_foreach(list, i, id)
    {
        const char *text = report_entry(id);
        const struct report_item *item = report_find(r, text);
        bool own_run = !strncmp(text, "seeded:", 7) || !strncmp(text, "soak:", 5);

        if (item && item->state == REPORT_FAILED)
            *failed = true;
        if (!item || item->state == REPORT_FAILED || (item->state == REPORT_NOT_RUN && !own_run))
            all = false;
    }
    return all;
}

/* The checks of a host whose names begin with one that the control has. */
void report_host_checks(const struct report *r, const json_t *control, unsigned *fail,
                        unsigned *warn)
{
    const json_t *prefix, *check;
    size_t i, k;

    *fail = *warn = 0;
    json_array_foreach(json_object_get(control, "host"), i, prefix)
    {
        const char *text = report_entry(prefix);

        json_array_foreach(json_object_get(r->host, "checks"), k, check)
        {
            if (strncmp(report_text(check, "id"), text, strlen(text)) != 0)
                continue;
            *fail += !strcmp(report_text(check, "state"), "fail");
            *warn += !strcmp(report_text(check, "state"), "warn");
        }
    }
}

bool report_satisfied(const struct report *r, const json_t *control, bool *failed)
{
    unsigned fail, warn;
    const json_t *id;
    bool all;
    size_t i;

    report_host_checks(r, control, &fail, &warn);
    *failed = fail != 0;
    all = list_passed(r, json_object_get(control, "tests"), failed);
    json_array_foreach(json_object_get(control, "threats"), i, id)
    {
        const json_t *threat = report_threat(r, report_entry(id));

        all = threat && list_passed(r, json_object_get(threat, "evidence"), failed) && all;
    }
    return all && !fail;
}

/* ---- All ---- */

static enum bawn_status parse(const struct report_file *f, json_t **doc, struct bawn_error *err)
{
    struct bawn_error why;

    if (!f || json_read(f->text, doc, &why) == BAWN_OK)
        return BAWN_OK;
    return bawn_fail(err, BAWN_E_FORMAT, "%s: %s", f->name, why.msg);
}

/* The log of decisions, by the keys that were given. */
static enum bawn_status judge_ledger(struct report *r, struct audit *a, struct bawn_error *err)
{
    const struct report_file *f = first_of(r, REPORT_LEDGER);
    enum bawn_status st;

    if (!f)
        return BAWN_OK;
    r->ledger_there = true;
    a->log.name = f->name;
    a->log.map = f->text;
    st = audit_judge_file(a, &r->ledger, err);
    a->log.map = (struct bawn_bytes){ NULL, 0 }; /* the files own it */
    r->ledger_good = st == BAWN_OK && !r->ledger.faults;
    return st;
}

/* The newest of the inputs, unless SOURCE_DATE_EPOCH says another time. */
static enum bawn_status set_time(struct report *r, struct bawn_error *err)
{
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    time_t when = 0;
    uint64_t given;
    struct tm tm;

    for (size_t i = 0; i < r->files->n; i++)
        if (r->files->file[i].mtime > when)
            when = r->files->file[i].mtime;
    if (epoch) {
        if (!audit_number(epoch, &given) || given > 253402300799)
            return bawn_fail(err, BAWN_E_USAGE, "SOURCE_DATE_EPOCH %s: no number of seconds",
                             epoch);
        when = (time_t)given;
    }
    if (!gmtime_r(&when, &tm) || !strftime(r->time, sizeof(r->time), "%Y-%m-%dT%H:%M:%SZ", &tm))
        return bawn_fail(err, BAWN_E_FORMAT, "a file's time is none");
    return BAWN_OK;
}

/* Over kind, name and hash of each input, and what else the documents say. */
static bool set_digest(struct report *r)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t hash[REPORT_HASH];
    bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;

    for (size_t i = 0; ok && i < r->files->n; i++) {
        const struct report_file *f = &r->files->file[i];
        const uint8_t kind = (uint8_t)f->kind;

        ok = EVP_DigestUpdate(ctx, &kind, 1) == 1 &&
             EVP_DigestUpdate(ctx, f->name, strlen(f->name) + 1) == 1 &&
             EVP_DigestUpdate(ctx, f->sha256, REPORT_HASH) == 1;
    }
    ok = ok && EVP_DigestUpdate(ctx, r->time, strlen(r->time) + 1) == 1 &&
         (!r->revision || EVP_DigestUpdate(ctx, r->revision, strlen(r->revision)) == 1) &&
         EVP_DigestFinal_ex(ctx, hash, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    if (ok)
        hex_print(hash, REPORT_HASH, r->digest);
    return ok;
}

enum bawn_status report_judge(struct report *r, struct audit *a, const struct report_files *files,
                              struct bawn_error *err)
{
    enum bawn_status st;

    *r = (struct report){ .files = files, .revision = a->o->revision };
    if (r->revision && !is_line(r->revision))
        return bawn_fail(err, BAWN_E_USAGE, "--revision: must be a line of text");
    st = set_time(r, err);
    if (st == BAWN_OK && !set_digest(r))
        st = bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL does not hash");
    if (st == BAWN_OK)
        st = parse(first_of(r, REPORT_THREATS), &r->threats, err);
    if (st == BAWN_OK)
        st = check_threats(first_of(r, REPORT_THREATS), r->threats, err);
    if (st == BAWN_OK)
        st = parse(first_of(r, REPORT_CONTROLS), &r->controls, err);
    if (st == BAWN_OK)
        st = check_controls(first_of(r, REPORT_CONTROLS), r->controls, err);
    if (st == BAWN_OK)
        st = parse(first_of(r, REPORT_FUZZ), &r->fuzz, err);
    if (st == BAWN_OK)
        st = parse(first_of(r, REPORT_SCORE), &r->score, err);
    if (st == BAWN_OK)
        st = parse(first_of(r, REPORT_HOST), &r->host, err);
    if (st == BAWN_OK && r->host)
        st = check_host(first_of(r, REPORT_HOST), r->host, err);
    for (size_t i = 0; st == BAWN_OK && i < files->n; i++)
        if (files->file[i].kind == REPORT_LOG)
            st = read_log(r, &files->file[i], err);
    if (r->nr_ran)
        sort(r->ran, r->nr_ran, sizeof(*r->ran), by_ran_name);
    if (st == BAWN_OK)
        st = judge_items(r, err);
    return st == BAWN_OK ? judge_ledger(r, a, err) : st;
}

void report_free(struct report *r)
{
    for (size_t i = 0; i < r->nr_ran; i++)
        free(r->ran[i].name);
    free(r->ran);
    free(r->item);
    json_decref(r->threats);
    json_decref(r->controls);
    json_decref(r->fuzz);
    json_decref(r->score);
    json_decref(r->host);
}

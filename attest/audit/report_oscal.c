// SPDX-License-Identifier: Apache-2.0
/*
 * The evidence as OSCAL: a component definition, which says what implements which control, and
 * assessment results, which say what ran and what follows. Identifiers are made of what they
 * name, so equal inputs give equal bytes. Runs inside the sandbox, on what report_judge() checked.
 */
#include "attest/audit/report.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* RFC 4122 namespace of Bawn's identifiers; also of its OSCAL properties. */
static const uint8_t space[16] = { 0x5b, 0x3a, 0xc9, 0x4e, 0x0e, 0x61, 0x4d, 0x0b,
                                   0x9d, 0x52, 0x8e, 0x2f, 0x1b, 0x77, 0x60, 0xa4 };
#define PROPERTIES "urn:uuid:5b3ac94e-0e61-4d0b-9d52-8e2f1b7760a4"
#define TOOL_NAME "bawn-audit"

/* ---- Building ---- */

static void need(bool ok)
{
    if (!ok)
        abort(); /* no memory: a document must not look complete without being it */
}

static void set(json_t *object, const char *key, json_t *value)
{
    need(value && !json_object_set_new(object, key, value));
}

static void set_text(json_t *object, const char *key, const char *text)
{
    set(object, key, json_string(text));
}

static json_t *push(json_t *array, json_t *value)
{
    need(value && !json_array_append_new(array, value));
    return value;
}

/* The array at key, made when it is first used: OSCAL has no empty ones. */
static json_t *list(json_t *object, const char *key)
{
    json_t *array = json_object_get(object, key);

    if (!array) {
        array = json_array();
        set(object, key, array);
    }
    return array;
}

void report_uuid(char uuid[REPORT_UUID], const char *kind, const char *text)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t h[EVP_MAX_MD_SIZE] = { 0 };
    char hex[33];

    need(ctx && EVP_DigestInit_ex(ctx, EVP_sha1(), NULL) == 1 &&
         EVP_DigestUpdate(ctx, space, sizeof(space)) == 1 &&
         EVP_DigestUpdate(ctx, kind, strlen(kind) + 1) == 1 &&
         EVP_DigestUpdate(ctx, text, strlen(text)) == 1 && EVP_DigestFinal_ex(ctx, h, NULL) == 1);
    EVP_MD_CTX_free(ctx);
    h[6] = (uint8_t)((h[6] & 0x0f) | 0x50);
    h[8] = (uint8_t)((h[8] & 0x3f) | 0x80);
    hex_print(h, 16, hex);
    snprintf(uuid, REPORT_UUID, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
             hex + 20);
}

static void set_uuid(json_t *object, const char *key, const char *kind, const char *text)
{
    char uuid[REPORT_UUID];

    report_uuid(uuid, kind, text);
    set_text(object, key, uuid);
}

static json_t *with_uuid(const char *kind, const char *text)
{
    json_t *object = json_object();

    need(object);
    set_uuid(object, "uuid", kind, text);
    return object;
}

__attribute__((format(printf, 3, 4))) static void set_format(json_t *object, const char *key,
                                                             const char *format, ...)
{
    char *text;
    va_list args;
    int n;

    va_start(args, format);
    n = vasprintf(&text, format, args);
    va_end(args);
    need(n >= 0);
    set_text(object, key, text);
    free(text);
}

static void property(json_t *object, const char *name, const char *value)
{
    json_t *p = push(list(object, "props"), json_object());

    set_text(p, "name", name);
    set_text(p, "ns", PROPERTIES);
    set_text(p, "value", value);
}

static void link_to(json_t *object, const char *kind, const char *text, const char *rel)
{
    json_t *l = push(list(object, "links"), json_object());
    char uuid[REPORT_UUID];

    report_uuid(uuid, kind, text);
    set_format(l, "href", "#%s", uuid);
    set_text(l, "rel", rel);
}

/* ---- What both documents have ---- */

static json_t *document(const struct report *r, const char *kind, const char *title)
{
    json_t *doc = with_uuid(kind, r->digest), *meta = json_object();
    const json_t *role;
    size_t i;

    set_text(meta, "title", title);
    set_text(meta, "last-modified", r->time);
    set_text(meta, "version", r->revision ? r->revision : bawn_attest_version());
    set_text(meta, "oscal-version", report_text(r->controls, "oscal"));
    json_array_foreach(json_object_get(r->controls, "roles"), i, role)
    {
        json_t *to = push(list(meta, "roles"), json_object());

        set_text(to, "id", report_text(role, "id"));
        set_text(to, "title", report_text(role, "title"));
    }
    set(doc, "metadata", meta);
    return doc;
}

/* An input, with its hash. */
static void resource(json_t *doc, const struct report_file *f)
{
    json_t *back = json_object_get(doc, "back-matter"), *res, *link, *hash;
    char hex[2 * REPORT_HASH + 1];

    if (!back) {
        back = json_object();
        set(doc, "back-matter", back);
    }
    hex_print(f->sha256, REPORT_HASH, hex);
    res = push(list(back, "resources"), with_uuid("file", f->name));
    set_text(res, "title", f->name);
    link = push(list(res, "rlinks"), json_object());
    set_text(link, "href", f->name);
    hash = push(list(link, "hashes"), json_object());
    set_text(hash, "algorithm", "SHA-256");
    set_text(hash, "value", hex);
}

/* Names of files become links: what has no place in one is left out. */
static bool linkable(const char *name)
{
    for (const char *c = name; *c; c++)
        if (*c <= ' ' || *c > '~' || strchr("\"<>\\^`{|}%#?:", *c))
            return false;
    return *name && *name != '/';
}

/* ---- Component definition ---- */

static bool lists(const json_t *array, const char *text)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(array, i, entry)
    {
        if (!strcmp(report_entry(entry), text))
            return true;
    }
    return false;
}

static void requirement(json_t *to, const struct report *r, const json_t *control,
                        const char *component)
{
    const char *id = report_text(control, "id"), *residual = report_text(control, "residual");
    const json_t *threat;
    char *key;
    json_t *req, *role;
    bool failed;
    size_t i;

    need(asprintf(&key, "%s %s", component, id) >= 0);
    req = push(list(to, "implemented-requirements"), with_uuid("requirement", key));
    free(key);
    set_text(req, "control-id", id);
    set_text(req, "description", report_text(control, "claim"));
    property(req, "tests",
             report_satisfied(r, control, &failed) ? "passed"
             : failed                              ? "failed"
                                                   : "not all run");
    json_array_foreach(json_object_get(control, "threats"), i, threat)
    {
        property(req, "threat", report_entry(threat));
    }
    role = push(list(req, "responsible-roles"), json_object());
    set_text(role, "role-id", report_text(control, "owner"));
    if (*residual)
        set_format(req, "remarks", "Residual risk: %s", residual);
}

/* Of another catalog: one requirement for each of its controls that ours are mapped to. */
static void mapped(json_t *to, const struct report *r, const char *catalog, const char *component)
{
    const json_t *control, *id;
    size_t i, k;

    json_array_foreach(json_object_get(r->controls, "controls"), i, control)
    {
        if (!lists(json_object_get(control, "components"), component))
            continue;
        json_array_foreach(json_object_get(json_object_get(control, "maps"), catalog), k, id)
        {
            json_t *reqs = list(to, "implemented-requirements"), *req = NULL;
            const char *text = report_entry(id);
            char *key;

            for (size_t n = 0; !req && n < json_array_size(reqs); n++)
                if (!strcmp(report_text(json_array_get(reqs, n), "control-id"), text))
                    req = json_array_get(reqs, n);
            if (!req) {
                need(asprintf(&key, "%s %s %s", component, catalog, text) >= 0);
                req = push(reqs, with_uuid("requirement", key));
                free(key);
                set_text(req, "control-id", text);
                set_text(req, "description",
                         "As far as the controls that are named as properties go.");
            }
            property(req, "control", report_text(control, "id"));
        }
    }
}

/* Of the first catalog, whose identifiers the controls have. */
static void direct(json_t *to, const struct report *r, const char *component)
{
    const json_t *control;
    size_t i;

    json_array_foreach(json_object_get(r->controls, "controls"), i, control)
    {
        if (lists(json_object_get(control, "components"), component))
            requirement(to, r, control, component);
    }
}

static void implementations(json_t *to, const struct report *r, const char *component)
{
    const json_t *catalog;
    size_t i;

    json_array_foreach(json_object_get(r->controls, "catalogs"), i, catalog)
    {
        const char *id = report_text(catalog, "id");
        json_t *impl = json_object();
        char *key = NULL;

        need(impl && asprintf(&key, "%s %s", component, id) >= 0);
        set_uuid(impl, "uuid", "implementation", key);
        free(key);
        set_text(impl, "source", report_text(catalog, "source"));
        set_text(impl, "description", report_text(catalog, "title"));
        if (i)
            mapped(impl, r, id, component);
        else
            direct(impl, r, component);
        if (json_array_size(json_object_get(impl, "implemented-requirements")))
            push(list(to, "control-implementations"), impl);
        else
            json_decref(impl);
    }
}

static const struct report_file *built(const struct report *r, const char *name)
{
    for (size_t i = 0; i < r->files->n; i++)
        if (r->files->file[i].kind == REPORT_BUILT &&
            !strncmp(r->files->file[i].name, "build/", 6) &&
            !strcmp(r->files->file[i].name + 6, name))
            return &r->files->file[i];
    return NULL;
}

json_t *report_component_definition(const struct report *r)
{
    json_t *doc =
        document(r, "component-definition", "Bawn: components and the controls they implement");
    const json_t *component, *file;
    size_t i, k;

    json_array_foreach(json_object_get(r->controls, "components"), i, component)
    {
        const char *id = report_text(component, "id");
        json_t *to = push(list(doc, "components"), with_uuid("component", id));

        set_text(to, "type", "software");
        set_text(to, "title", report_text(component, "title"));
        set_text(to, "description", report_text(component, "description"));
        json_array_foreach(json_object_get(component, "files"), k, file)
        {
            const struct report_file *f = built(r, report_entry(file));

            if (f && linkable(f->name))
                link_to(to, "file", f->name, "reference");
        }
        implementations(to, r, id);
    }
    for (i = 0; i < r->files->n; i++)
        if (r->files->file[i].kind == REPORT_BUILT && linkable(r->files->file[i].name))
            resource(doc, &r->files->file[i]);
    return json_pack("{s:o}", "component-definition", doc);
}

/* ---- Assessment results ---- */

static void actor(json_t *object)
{
    json_t *origin = push(list(object, "origins"), json_object());
    json_t *who = push(list(origin, "actors"), json_object());

    set_text(who, "type", "tool");
    set_uuid(who, "actor-uuid", "tool", TOOL_NAME);
}

static void observation(json_t *to, const struct report *r, const struct report_item *item)
{
    json_t *o = push(list(to, "observations"), with_uuid("observation", item->id)), *evidence;
    char uuid[REPORT_UUID];

    set_text(o, "title", item->id);
    set_format(o, "description", "%s: %s.", item->id, report_state_names[item->state]);
    property(o, "result",
             item->state == REPORT_NOT_RUN ? "not-run" : report_state_names[item->state]);
    push(list(o, "methods"), json_string("TEST"));
    push(list(o, "types"), json_string("control-objective"));
    actor(o);
    if (item->file && linkable(item->file->name)) {
        evidence = push(list(o, "relevant-evidence"), json_object());
        report_uuid(uuid, "file", item->file->name);
        set_format(evidence, "href", "#%s", uuid);
        set_format(evidence, "description", "The line of %s in %s.", item->id, item->file->name);
    }
    set_text(o, "collected", r->time);
}

static void risk(json_t *to, const json_t *threat)
{
    const char *id = report_text(threat, "id");
    json_t *x = push(list(to, "risks"), with_uuid("risk", id));

    set_text(x, "title", id);
    set_text(x, "description", report_text(threat, "threat"));
    set_text(x, "statement", report_text(threat, "residual"));
    property(x, "mitigation",
             strcmp(report_text(threat, "status"), "out of scope") ? report_text(threat, "status")
                                                                   : "none");
    set_text(x, "status", "open");
}

static void observe(json_t *finding, const json_t *ids, json_t *seen)
{
    const json_t *id;
    size_t i;

    json_array_foreach(ids, i, id)
    {
        const char *text = report_entry(id);

        if (json_object_get(seen, text))
            continue;
        set(seen, text, json_true());
        set_uuid(push(list(finding, "related-observations"), json_object()), "observation-uuid",
                 "observation", text);
    }
}

/* NIST's identifiers of a control's statement: SC-39's is sc-39_smt. */
static void target(json_t *finding, const struct report *r, const json_t *control)
{
    json_t *t = json_object(), *status = json_object();
    bool failed, good = report_satisfied(r, control, &failed);

    set_text(t, "type", "statement-id");
    set_format(t, "target-id", "%s_smt", report_text(control, "id"));
    set_text(t, "title", report_text(control, "title"));
    set_text(status, "state", good ? "satisfied" : "not-satisfied");
    set_text(status, "reason", good ? "pass" : failed ? "fail" : "other");
    if (!good && !failed)
        set_text(status, "remarks", "Not all that shows it has run: a run of make check does.");
    set(t, "status", status);
    set(finding, "target", t);
}

static void finding(json_t *to, const struct report *r, const json_t *control)
{
    json_t *f = push(list(to, "findings"), with_uuid("finding", report_text(control, "id")));
    json_t *seen = json_object();
    unsigned fail, warn;
    char text[64];
    const json_t *id;
    size_t i;

    need(seen);
    set_text(f, "title", report_text(control, "title"));
    set_text(f, "description", report_text(control, "claim"));
    target(f, r, control);
    if (r->host && json_array_size(json_object_get(control, "host"))) {
        report_host_checks(r, control, &fail, &warn);
        snprintf(text, sizeof(text), "%u failed, %u warnings", fail, warn);
        property(f, "host-checks", text);
    }
    json_array_foreach(json_object_get(control, "threats"), i, id)
    {
        const json_t *threat = report_threat(r, report_entry(id));

        observe(f, json_object_get(threat, "evidence"), seen);
        if (*report_text(threat, "residual"))
            set_uuid(push(list(f, "related-risks"), json_object()), "risk-uuid", "risk",
                     report_entry(id));
    }
    observe(f, json_object_get(control, "tests"), seen);
    json_decref(seen);
    set_format(f, "remarks", "Owner: %s. Residual risk: %s", report_text(control, "owner"),
               *report_text(control, "residual") ? report_text(control, "residual")
                                                 : "none known.");
}

static void scope(json_t *result, const struct report *r)
{
    json_t *reviewed = json_object(), *selection, *tool, *local = json_object();
    json_t *state = json_object();
    const json_t *control;
    size_t i;

    selection = push(list(reviewed, "control-selections"), json_object());
    json_array_foreach(json_object_get(r->controls, "controls"), i, control)
    {
        set_text(push(list(selection, "include-controls"), json_object()), "control-id",
                 report_text(control, "id"));
    }
    tool = push(list(local, "components"), with_uuid("tool", TOOL_NAME));
    set_text(tool, "type", "software");
    set_text(tool, "title", TOOL_NAME);
    set_format(tool, "description", "bawn-audit %s, which gathered this.", bawn_attest_version());
    set_text(state, "state", "operational");
    set(tool, "status", state);
    set(result, "local-definitions", local);
    set(result, "reviewed-controls", reviewed);
}

json_t *report_assessment_results(const struct report *r)
{
    json_t *doc = document(r, "assessment-results", "Bawn: what tests, fuzzing and checks showed");
    json_t *plan = json_object(), *result;
    const json_t *entry;
    char uuid[REPORT_UUID];
    size_t i;

    report_uuid(uuid, "file", "docs/audit/controls.json");
    set_format(plan, "href", "#%s", uuid);
    set_text(plan, "remarks",
             "No assessment plan in OSCAL's form: the controls, and the tests of their "
             "threats, are the plan; make check carries it out.");
    set(doc, "import-ap", plan);
    result = push(list(doc, "results"), with_uuid("result", r->digest));
    set_text(result, "title", "make check and fuzzing");
    set_text(
        result, "description",
        "Made by the project's own program from what its tests left. No third party took part, "
        "and nothing of it ran on an EPYC: SEV-SNP guests ran on the software platform.");
    set_text(result, "start", r->time);
    set_text(result, "end", r->time);
    property(result, "inputs-sha256", r->digest);
    scope(result, r);
    for (i = 0; i < r->nr_items; i++)
        observation(result, r, &r->item[i]);
    json_array_foreach(json_object_get(r->threats, "threats"), i, entry)
    {
        if (*report_text(entry, "residual"))
            risk(result, entry);
    }
    json_array_foreach(json_object_get(r->controls, "controls"), i, entry)
    {
        finding(result, r, entry);
    }
    for (i = 0; i < r->files->n; i++)
        if (linkable(r->files->file[i].name) && r->files->file[i].kind != REPORT_BUILT)
            resource(doc, &r->files->file[i]);
    return json_pack("{s:o}", "assessment-results", doc);
}

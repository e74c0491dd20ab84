// SPDX-License-Identifier: Apache-2.0
/*
 * Input: what a build left, in parts that 0xff ends: a letter that says which file it is, and its
 * text. Where threats or controls are missing, small good ones stand in. What is refused is told
 * with a word; what is not makes documents, the same twice, that are JSON and HTML.
 * Smoke: 2000 runs, each of which writes six documents.
 */
#include <stdlib.h>
#include <string.h>

#include "attest/audit/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char threats[] =
    "{\"boundaries\":[{\"id\":\"b\",\"name\":\"B\"}],\"threats\":[{\"id\":\"X-01\",\"boundary\":"
    "\"b\",\"threat\":\"T.\",\"mechanism\":\"M.\",\"status\":\"partly\",\"residual\":\"\","
    "\"evidence\":[\"unit:r/a\",\"seeded:01-x\",\"fuzz-test:f\"]}]}";
static const char controls[] =
    "{\"oscal\":\"1.2.2\",\"catalogs\":[{\"id\":\"c\",\"title\":\"A\",\"source\":\"https://a.b/\"}"
    "],\"roles\":[{\"id\":\"r\",\"title\":\"R\"}],\"components\":[{\"id\":\"p\",\"title\":\"P\","
    "\"description\":\"D\",\"files\":[\"bin/p\"]}],\"controls\":[{\"id\":\"sc-1\",\"title\":\"O\","
    "\"components\":[\"p\"],\"claim\":\"So.\",\"threats\":[\"X-01\"],\"tests\":[\"lab:b\"],"
    "\"host\":[\"a\"],\"owner\":\"r\",\"residual\":\"\",\"maps\":{}}]}";

static const struct part {
    enum report_kind kind;
    char letter;
    bool once;
    const char *name;
} parts[] = {
    { REPORT_THREATS, 't', true, "docs/threat-model/threats.json" },
    { REPORT_CONTROLS, 'c', true, "docs/audit/controls.json" },
    { REPORT_BUILT, 'b', false, "build/bin/p" },
    { REPORT_COUNTS, 'n', false, "build/results/unit" },
    { REPORT_LOG, 'l', false, "build/log/unit.log" },
    { REPORT_FUZZ, 'f', true, "build/fuzz/campaign/report.json" },
    { REPORT_SCORE, 's', true, "build/fuzz/score/score.json" },
    { REPORT_POLICY, 'p', false, "policy/shipped/strict.json" },
    { REPORT_HOST, 'h', true, "given/host.json" },
    { REPORT_LEDGER, 'g', true, "given/log.jsonl" },
};
#define PARTS (sizeof(parts) / sizeof(parts[0]))

static struct report_files files;

static void must(bool so)
{
    if (!so)
        __builtin_trap();
}

static void add(const struct part *p, const uint8_t *text, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    char *name = strdup(p->name);

    must(copy && name);
    if (len)
        memcpy(copy, text, len);
    files.file[files.n] = (struct report_file){
        .kind = p->kind, .name = name, .text = { copy, len }, .size = len, .mtime = 1767225600
    };
    must(report_sha256(copy, len, files.file[files.n].sha256));
    files.n++;
}

static void add_all(const struct part *p, const uint8_t *data, size_t size)
{
    size_t before = files.n;

    while (size) {
        const uint8_t *end = memchr(data, 0xff, size);
        size_t len = end ? (size_t)(end - data) : size;

        if (len && *data == (uint8_t)p->letter && files.n < 64 && !(p->once && files.n > before))
            add(p, data + 1, len - 1);
        data += len + (end != NULL);
        size -= len + (end != NULL);
    }
    if (files.n == before && p->kind == REPORT_THREATS)
        add(p, (const uint8_t *)threats, sizeof(threats) - 1);
    if (files.n == before && p->kind == REPORT_CONTROLS)
        add(p, (const uint8_t *)controls, sizeof(controls) - 1);
}

/* The documents in one piece; *len: how long. */
static char *documents(const struct report *r, size_t *len)
{
    char *all = NULL;
    FILE *to = open_memstream(&all, len);
    json_t *doc[] = { report_assessment_results(r), report_component_definition(r) };

    must(to && doc[0] && doc[1]);
    for (unsigned i = 0; i < 2; i++) {
        must(json_object_size(doc[i]) == 1);
        must(!json_dumpf(doc[i], to, JSON_INDENT(1) | JSON_ENSURE_ASCII));
        json_decref(doc[i]);
    }
    must(report_html(r, to));
    must(!fclose(to));
    return all;
}

static void judge(void)
{
    static struct audit_options o;
    static struct audit a;
    static struct report r;
    struct bawn_error err = { "" };
    char *text[2] = { NULL, NULL };
    size_t len[2] = { 0, 0 };

    a = (struct audit){ .o = &o };
    for (unsigned i = 0; i < 2; i++) {
        enum bawn_status st = report_judge(&r, &a, &files, &err);

        must(st == BAWN_OK || err.msg[0]);
        if (st == BAWN_OK)
            text[i] = documents(&r, &len[i]);
        report_free(&r);
        audit_close(&a);
    }
    must(!text[0] == !text[1]);
    must(!text[0] || (len[0] == len[1] && !memcmp(text[0], text[1], len[0])));
    free(text[0]);
    free(text[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    files.n = 0;
    for (size_t i = 0; i < PARTS; i++)
        add_all(&parts[i], data, size);
    judge();
    report_files_free(&files);
    return 0;
}

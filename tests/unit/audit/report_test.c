// SPDX-License-Identifier: Apache-2.0
/*
 * attest/audit/report_judge.c, _oscal.c and _html.c on inputs that were spoilt at many places: each
 * is refused with a word, or made into documents.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "attest/audit/report.h"

#define ROUNDS 4000

static const char threats[] =
    "{\"boundaries\":[{\"id\":\"b\",\"name\":\"A boundary\"}],\"threats\":[{\"id\":\"X-01\","
    "\"boundary\":\"b\",\"threat\":\"A threat.\",\"mechanism\":\"By this.\",\"status\":\"partly\","
    "\"residual\":\"Left.\",\"evidence\":[\"unit:r/a\",\"seeded:01-x\",\"fuzz-test:f\",\"z\","
    "\"unit:r/s\",\"unit:r/t\"]}]}";
static const char controls[] =
    "{\"oscal\":\"1.2.2\",\"catalogs\":[{\"id\":\"c\",\"title\":\"A\",\"source\":\"https://a.b/\"},"
    "{\"id\":\"d\",\"title\":\"B\",\"source\":\"https://a.c/\"}],\"roles\":[{\"id\":\"r\","
    "\"title\":\"R\"}],\"components\":[{\"id\":\"p\",\"title\":\"P\",\"description\":\"D\","
    "\"files\":[\"bin/p\"]}],\"controls\":[{\"id\":\"sc-1\",\"title\":\"One\",\"components\":["
    "\"p\"],\"claim\":\"So.\",\"threats\":[\"X-01\",\"X-02\"],\"tests\":[\"lab:b\"],\"host\":[],"
    "\"owner\":\"r\",\"residual\":\"\",\"maps\":{\"d\":[\"a1\"]}}]}";
static const char host[] = "{\"bawn_host\":1,\"checks\":[{\"id\":\"a\",\"state\":\"fail\","
                           "\"found\":\"x\",\"advice\":\"\"}]}";
static const char score[] = "{\"patches\":{\"01-x\":{\"found\":{\"by\":\"main\"}}}}";
static const char fuzz[] = "{\"targets\":[1],\"core_seconds\":3.5,\"executions\":7,\"finds\":[]}";
static const char log_text[] = "  ok    r/a_test   3 passed\nnot ok - b: x\n  ok    fuzz/f.py  1\n"
                               "  ok    r/s_test   3 passed, 3 skipped\n"
                               "  ok    r/t_test   3 passed, 2 skipped    0.1 s\n";

static const struct {
    enum report_kind kind;
    const char *name, *text;
} inputs[] = {
    { REPORT_THREATS, "docs/threat-model/threats.json", threats },
    { REPORT_CONTROLS, "docs/audit/controls.json", controls },
    { REPORT_BUILT, "build/bin/p", "" },
    { REPORT_COUNTS, "build/results/unit", "3 0\n" },
    { REPORT_LOG, "build/log/unit.log", log_text },
    { REPORT_FUZZ, "build/fuzz/campaign/report.json", fuzz },
    { REPORT_SCORE, "build/fuzz/score/score.json", score },
    { REPORT_POLICY, "policy/shipped/strict.json", "{}" },
    { REPORT_HOST, "given/host.json", host },
};
#define INPUTS (sizeof(inputs) / sizeof(inputs[0]))

static struct report_files files;
static struct report r;

static int make_files(void **state)
{
    (void)state;
    files.n = INPUTS;
    for (size_t i = 0; i < INPUTS; i++) {
        size_t len = strlen(inputs[i].text);
        uint8_t *text = malloc(len ? len : 1); /* exactly as much as there is */

        assert_non_null(text);
        memcpy(text, inputs[i].text, len);
        files.file[i] = (struct report_file){ .kind = inputs[i].kind,
                                              .name = strdup(inputs[i].name),
                                              .text = { text, len },
                                              .size = len };
        assert_true(report_sha256(text, len, files.file[i].sha256));
    }
    return 0;
}

static int free_files(void **state)
{
    (void)state;
    report_files_free(&files);
    return 0;
}

static enum bawn_status judge(struct bawn_error *err)
{
    static struct audit_options o;
    static struct audit a;

    a.o = &o;
    return report_judge(&r, &a, &files, err);
}

static void make_documents(void)
{
    FILE *null = fopen("/dev/null", "w");
    json_t *doc = report_assessment_results(&r);

    assert_non_null(null);
    assert_non_null(doc);
    json_decref(doc);
    doc = report_component_definition(&r);
    assert_non_null(doc);
    json_decref(doc);
    assert_true(report_html(&r, null));
    assert_int_equal(fclose(null), 0);
}

static void test_good(void **state)
{
    struct bawn_error err;
    bool failed;

    (void)state;
    assert_int_equal(judge(&err), BAWN_OK);
    make_documents();
    assert_int_equal(r.nr_items, 7);
    assert_int_equal(report_find(&r, "unit:r/a")->state, REPORT_PASSED);
    assert_int_equal(report_find(&r, "seeded:01-x")->state, REPORT_PASSED);
    assert_int_equal(report_find(&r, "fuzz-test:f")->state, REPORT_PASSED);
    assert_int_equal(report_find(&r, "lab:b")->state, REPORT_FAILED);
    assert_int_equal(report_find(&r, "z")->state, REPORT_NOT_RUN);
    assert_int_equal(report_find(&r, "unit:r/s")->state, REPORT_NOT_RUN);
    assert_int_equal(report_find(&r, "unit:r/t")->state, REPORT_PASSED);
    assert_null(report_find(&r, "y"));
    assert_non_null(report_threat(&r, "X-01"));
    assert_null(report_threat(&r, "X-02"));
    assert_false(
        report_satisfied(&r, json_array_get(json_object_get(r.controls, "controls"), 0), &failed));
    assert_true(failed);
    report_free(&r);
}

/* RFC 4122's version 5, by Python's uuid.uuid5(UUID("5b3ac94e-..."), "kind\0text"). */
static void test_uuid(void **state)
{
    char uuid[REPORT_UUID];

    (void)state;
    report_uuid(uuid, "component", "module");
    assert_string_equal(uuid, "56ae1f72-61d6-57eb-be06-8779ec2ba52e");
}

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u; /* Numerical Recipes' generator */
    return *seed >> 8;
}

/* One byte, a piece cut out, or a piece twice; of one input at a time. */
static void spoil(struct report_file *f, uint32_t *seed)
{
    static const char bytes[] = "\"{}[]:,\\<&\0\n 09x\xff";
    uint8_t *text = (uint8_t *)(uintptr_t)f->text.data;
    size_t at, n;

    if (!f->text.len)
        return;
    at = next(seed) % f->text.len;
    n = next(seed) % (f->text.len - at) + 1;
    switch (next(seed) % 3) {
    case 0:
        text[at] = (uint8_t)bytes[next(seed) % (sizeof(bytes) - 1)];
        break;
    case 1:
        memmove(text + at, text + at + n, f->text.len - at - n);
        f->text.len -= n;
        break;
    default:
        memmove(text + at, text, n < f->text.len - at ? n : f->text.len - at);
        break;
    }
}

static void test_spoilt(void **state)
{
    unsigned good = 0, refused = 0;
    uint32_t seed = 7;

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct bawn_error err = { "" };

        spoil(&files.file[next(&seed) % INPUTS], &seed);
        if (judge(&err) == BAWN_OK) {
            make_documents();
            good++;
        } else {
            assert_true(*err.msg);
            refused++;
        }
        report_free(&r);
        free_files(state);
        make_files(state);
    }
    assert_true(good > ROUNDS / 10 && refused > ROUNDS / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good, make_files, free_files),
        cmocka_unit_test(test_uuid),
        cmocka_unit_test_setup_teardown(test_spoilt, make_files, free_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

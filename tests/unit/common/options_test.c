// SPDX-License-Identifier: Apache-2.0
/*
 * common/options.c: the forms of options, what is refused and how it is said, and the help.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/options.h"

#define MAX_ARGS 16
#define FIELD(name) .field = offsetof(struct values, name)

struct values {
    const char *config, *name;
    struct text_list more, arguments;
    bool json;
};

/* What is read first takes nothing of what stands before it. */
static enum bawn_status set_config(void *options, const struct option *self, const char *value,
                                   struct bawn_error *err)
{
    struct values *v = options;

    if (v->name || v->json || v->arguments.n)
        return bawn_fail(err, BAWN_E_INTERNAL, "not first");
    v->name = "of the configuration";
    return option_set_text(options, self, value, err);
}

static const struct option options[] = {
    { "config", "FILE", "a file", set_config, FIELD(config), .first = true },
    { "name", "NAME", "a name", option_set_text, FIELD(name), .commands = "show check-all" },
    { "more", "TEXT", "may be repeated", option_add_text, FIELD(more) },
    { "json", NULL, "answer in JSON", option_set_flag, FIELD(json) },
    { "hidden", NULL, NULL, option_set_flag, FIELD(json) },
};

static enum bawn_status add(void *values, const char *text, struct bawn_error *err)
{
    return text_list_add(&((struct values *)values)->arguments, text, err);
}

static enum bawn_status unknown(const char *text, const char *command, struct bawn_error *err)
{
    return bawn_fail(err, BAWN_E_USAGE, "%s knows no %s", command, text);
}

static const struct option_table with_arguments = { OPTION_TABLE(options), .argument = add };
static const struct option_table without = { OPTION_TABLE(options), .unknown = unknown };

/* Splits the line at spaces and reads it. */
static enum bawn_status parse(const struct option_table *table, const char *command,
                              struct values *v, const char *line, uint64_t *given,
                              struct bawn_error *err)
{
    static char text[256];
    char *argv[MAX_ARGS];
    int argc = 0;

    assert_true(strlen(line) < sizeof(text));
    memcpy(text, line, strlen(line) + 1);
    for (char *p = strtok(text, " "); p && argc < MAX_ARGS; p = strtok(NULL, " "))
        argv[argc++] = p;
    *v = (struct values){ .config = NULL };
    return options_read(table, command, argc, argv, v, given, err);
}

static void drop(struct values *v)
{
    free(v->more.text);
    free(v->arguments.text);
}

static void test_forms(void **state)
{
    struct bawn_error err = { "" };
    uint64_t given = UINT64_MAX;
    struct values v;

    (void)state;
    assert_int_equal(parse(&with_arguments, "show", &v,
                           "a --more x --name=n=m - --more=y --config f -- --json", &given, &err),
                     BAWN_OK);
    assert_string_equal(v.config, "f");
    assert_string_equal(v.name, "n=m");
    assert_int_equal(v.more.n, 2);
    assert_string_equal(v.more.text[0], "x");
    assert_string_equal(v.more.text[1], "y");
    assert_int_equal(v.arguments.n, 3);
    assert_string_equal(v.arguments.text[0], "a");
    assert_string_equal(v.arguments.text[1], "-");
    assert_string_equal(v.arguments.text[2], "--json");
    assert_false(v.json);
    assert_int_equal(given, 7);
    drop(&v);

    assert_int_equal(parse(&without, "other", &v, "--json --more=", NULL, &err), BAWN_OK);
    assert_true(v.json && !v.name);
    assert_string_equal(v.more.text[0], "");
    drop(&v);
    assert_int_equal(parse(&without, NULL, &v, "", &given, &err), BAWN_OK);
    assert_int_equal(given, 0);
}

static void test_refused(void **state)
{
    static const struct {
        const struct option_table *table;
        const char *command, *line, *message;
    } cases[] = {
        { &with_arguments, NULL, "--nam x", "--nam: no such option" },
        { &with_arguments, NULL, "--names x", "--names: no such option" },
        { &with_arguments, NULL, "-j", "-j: no such option" },
        { &with_arguments, NULL, "--=x", "--=x: no such option" },
        { &with_arguments, NULL, "--json=1", "--json takes no value" },
        { &with_arguments, NULL, "--config", "--config needs a value: FILE" },
        { &with_arguments, NULL, "--json --more", "--more needs a value: TEXT" },
        { &with_arguments, "check", "--name x", "--name: no such option" },
        { &with_arguments, "all", "--name x", "--name: no such option" },
        { &without, "check", "--name=x", "check knows no --name=x" },
        { &without, "show", "x", "show knows no x" },
        { &without, "show", "-", "show knows no -" },
        { &without, "show", "--", "show knows no --" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bawn_error err = { "" };
        struct values v;

        assert_int_equal(parse(cases[i].table, cases[i].command, &v, cases[i].line, NULL, &err),
                         BAWN_E_USAGE);
        assert_string_equal(err.msg, cases[i].message);
        drop(&v);
    }
}

/* What options_print() writes. */
static void printed(const char *command, int width, char *text, size_t size)
{
    int to[2], kept = dup(STDOUT_FILENO);
    ssize_t n;

    assert_true(kept >= 0 && !fflush(stdout) && !pipe(to));
    assert_true(dup2(to[1], STDOUT_FILENO) >= 0);
    options_print(&with_arguments, command, width);
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    close(to[1]);
    n = read(to[0], text, size - 1);
    close(to[0]);
    assert_true(n >= 0);
    text[n] = '\0';
}

static void test_help(void **state)
{
    char text[1024];

    (void)state;
    printed(NULL, 14, text, sizeof(text));
    assert_string_equal(text, "  --config FILE  a file\n"
                              "  --name NAME    a name (show check-all)\n"
                              "  --more TEXT    may be repeated\n"
                              "  --json         answer in JSON\n");
    printed("list", 0, text, sizeof(text));
    assert_string_equal(text, "  --config FILE   a file\n"
                              "  --more TEXT     may be repeated\n"
                              "  --json          answer in JSON\n");
    printed("check-all", 0, text, sizeof(text));
    assert_non_null(strstr(text, "  --name NAME     a name\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_help),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

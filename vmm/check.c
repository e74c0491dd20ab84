// SPDX-License-Identifier: Apache-2.0
/*
 * `bawn check`: its command line, and how findings are printed. Trusts the command line; nothing of
 * what the configuration names.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "check.h"

/* What a terminal would obey is not printed. */
static void clean(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

void bawn_check_add(struct bawn_checks *c, const char *id, enum bawn_check_result result,
                    const char *fix, const char *fmt, ...)
{
    struct bawn_check_line *f = &c->line[c->nr];
    va_list ap;

    if (c->nr == BAWN_CHECK_MAX)
        return;
    c->nr++;
    f->result = result;
    snprintf(f->id, sizeof(f->id), "%s", id);
    snprintf(f->fix, sizeof(f->fix), "%s", fix ? fix : "");
    va_start(ap, fmt);
    vsnprintf(f->text, sizeof(f->text), fmt, ap);
    va_end(ap);
    clean(f->text);
    clean(f->fix);
}

static int open_at(const struct bawn_checks *c, const char *path)
{
    char whole[512];

    snprintf(whole, sizeof(whole), "%s%s", c->root, path);
    return open(whole, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

bool bawn_check_read(const struct bawn_checks *c, const char *path, char *text, size_t room)
{
    int fd = open_at(c, path);
    size_t at = 0;
    ssize_t n = 1;

    if (fd < 0)
        return false;
    while (n > 0 && at < room - 1) {
        n = read(fd, text + at, room - 1 - at);
        at += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    at -= at && text[at - 1] == '\n';
    text[at] = '\0';
    return n >= 0;
}

bool bawn_check_access(const struct bawn_checks *c, const char *path, int how)
{
    char whole[512];

    snprintf(whole, sizeof(whole), "%s%s", c->root, path);
    return !access(whole, how);
}

/* ---- Printing ---- */

static unsigned count(const struct bawn_checks *c, enum bawn_check_result result)
{
    unsigned n = 0;

    for (unsigned i = 0; i < c->nr; i++)
        n += c->line[i].result == result;
    return n;
}

static bool print_text(const struct bawn_checks *c)
{
    static const char *const names[] = { "ok  ", "note", "FIX " };
    unsigned fixes = count(c, BAWN_CHECK_FIX);

    for (unsigned i = 0; i < c->nr; i++) {
        const struct bawn_check_line *f = &c->line[i];

        printf("%s  %-11s %s\n", names[f->result], f->id, f->text);
        if (f->fix[0])
            printf("%18s-> %s\n", "", f->fix);
    }
    if (fixes)
        printf("\n%u thing%s must be fixed before a machine runs.\n", fixes, fixes > 1 ? "s" : "");
    else
        printf("\nNothing must be fixed.\n");
    return !fflush(stdout);
}

static bool print_json(const struct bawn_checks *c)
{
    static const char *const names[] = { "ok", "note", "fix" };
    json_t *list = json_array(), *whole = NULL;
    bool ok = list;

    for (unsigned i = 0; ok && i < c->nr; i++) {
        const struct bawn_check_line *f = &c->line[i];

        /* %: what is not UTF-8 is not said. */
        ok = !json_array_append_new(list, json_pack("{s:s, s:s, s:s*, s:s*}", "id", f->id, "status",
                                                    names[f->result], "text", f->text, "fix",
                                                    f->fix[0] ? f->fix : NULL));
    }
    if (ok)
        whole = json_pack("{s:s, s:O}", "result", count(c, BAWN_CHECK_FIX) ? "fix" : "ok", "checks",
                          list);
    ok = whole && !json_dumpf(whole, stdout, JSON_INDENT(2)) && putchar('\n') != EOF &&
         !fflush(stdout);
    json_decref(whole);
    json_decref(list);
    return ok;
}

static int print_schema(void)
{
    char *text = bawn_vm_config_schema();
    bool ok = text && puts(text) >= 0 && !fflush(stdout);

    if (!ok)
        fprintf(stderr, "bawn: cannot print the schema: %m\n");
    free(text);
    return !ok;
}

static int print_help(void)
{
    printf("Usage: bawn check [--json] [OPTION OF bawn run]...\n"
           "       bawn check --schema\n\n"
           "Looks at this host, and at the machine that the options describe, as bawn run has "
           "them, and\n"
           "says what keeps it from running and what to do. Changes nothing.\n\n"
           "  --config FILE  the machine's configuration, as JSON; see bawn run --help for the "
           "others\n"
           "  --json         print the findings as one JSON object\n"
           "  --schema       print the JSON schema of configurations\n"
           "  --help         print this help\n\n"
           "Each line is a check: ok, note (it works, with less than there could be) or FIX.\n"
           "Exit codes: 0 nothing must be fixed, 1 something must be, 2 usage.\n");
    return 0;
}

/* Whether the options say anything of a machine. */
static bool has_machine(const struct bawn_options *opt)
{
    struct bawn_vm_config none;
    char *given = bawn_vm_config_print(&opt->cfg), *usual;
    bool same;

    bawn_vm_config_init(&none);
    usual = bawn_vm_config_print(&none);
    same = given && usual && !strcmp(given, usual);
    free(given);
    free(usual);
    bawn_vm_config_free(&none);
    return !same;
}

int bawn_check(int argc, char **argv)
{
    struct bawn_checks c = { .root = "" };
    struct bawn_error err = { "" };
    struct bawn_options opt;
    enum bawn_status st;
    bool printed;

    if (argc == 1 && !strcmp(argv[0], "--schema"))
        return print_schema();
    st = bawn_options_parse(&opt, argc, argv, &err);
    if (st == BAWN_E_USAGE || (!st && opt.help)) {
        bawn_vm_config_free(&opt.cfg);
        if (!st)
            return print_help();
        fprintf(stderr, "bawn: %s\n", err.msg);
        return 2;
    }
    if (st) { /* the host can be looked at all the same */
        bawn_vm_config_free(&opt.cfg);
        bawn_vm_config_init(&opt.cfg);
    }
    c.opt = &opt;
    bawn_check_host(&c);
    if (st)
        bawn_check_add(&c, "config", BAWN_CHECK_FIX, NULL, "%s", err.msg);
    else if (has_machine(&opt))
        bawn_check_config(&c);
    printed = opt.json ? print_json(&c) : print_text(&c);
    bawn_vm_config_free(&opt.cfg);
    if (!printed)
        fprintf(stderr, "bawn: cannot print the findings: %m\n");
    return !printed || count(&c, BAWN_CHECK_FIX) ? 1 : 0;
}

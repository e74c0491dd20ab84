// SPDX-License-Identifier: Apache-2.0
/*
 * Reads and prints options by their table. Trusts the command line, which is the user's own.
 */
#include "common/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Reading ---- */

bool option_serves(const struct option *option, const char *command)
{
    size_t len = command ? strlen(command) : 0;

    if (!command || !option->commands)
        return true;
    for (const char *p = option->commands; (p = strstr(p, command)); p += len)
        if ((p == option->commands || p[-1] == ' ') && (p[len] == ' ' || !p[len]))
            return true;
    return false;
}

static const struct option *find(const struct option_table *table, const char *command,
                                 const char *name, size_t len)
{
    for (size_t i = 0; i < table->n; i++) {
        const struct option *o = &table->option[i];

        if (strlen(o->name) == len && !memcmp(o->name, name, len) && option_serves(o, command))
            return o;
    }
    return NULL;
}

/* Reads argv[*i] as an option, and its value, and moves *i past them. */
static enum bawn_status next(const struct option_table *table, const char *command, int argc,
                             char **argv, int *i, const struct option **option, const char **value,
                             struct bawn_error *err)
{
    const char *arg = argv[(*i)++];
    size_t len = strcspn(arg, "=");

    *option = strncmp(arg, "--", 2) != 0 ? NULL : find(table, command, arg + 2, len - 2);
    *value = arg[len] ? arg + len + 1 : NULL;
    if (!*option)
        return table->unknown ? table->unknown(arg, command, err)
                              : bawn_fail(err, BAWN_E_USAGE, "%s: no such option", arg);
    if (!(*option)->arg && *value)
        return bawn_fail(err, BAWN_E_USAGE, "--%s takes no value", (*option)->name);
    if ((*option)->arg && !*value) {
        if (*i >= argc)
            return bawn_fail(err, BAWN_E_USAGE, "--%s needs a value: %s", (*option)->name,
                             (*option)->arg);
        *value = argv[(*i)++];
    }
    return BAWN_OK;
}

/* Sets the options that go first, or all others and the arguments. */
static enum bawn_status set(const struct option_table *table, const char *command, int argc,
                            char **argv, void *options, uint64_t *given, bool first,
                            struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;
    bool only_arguments = false;

    for (int i = 0; st == BAWN_OK && i < argc;) {
        const struct option *option = NULL;
        const char *value = NULL;

        if (table->argument && !only_arguments && !strcmp(argv[i], "--")) {
            only_arguments = true;
            i++;
        } else if (table->argument && (only_arguments || argv[i][0] != '-' || !argv[i][1])) {
            if (!first)
                st = table->argument(options, argv[i], err);
            i++;
        } else {
            st = next(table, command, argc, argv, &i, &option, &value, err);
        }
        if (st != BAWN_OK || !option || option->first != first)
            continue;
        if (given)
            *given |= (uint64_t)1 << (option - table->option);
        st = option->set(options, option, value, err);
    }
    return st;
}

enum bawn_status options_read(const struct option_table *table, const char *command, int argc,
                              char **argv, void *options, uint64_t *given, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    if (given)
        *given = 0;
    for (size_t i = 0; i < table->n; i++)
        if (table->option[i].first) {
            st = set(table, command, argc, argv, options, given, true, err);
            break;
        }
    return st == BAWN_OK ? set(table, command, argc, argv, options, given, false, err) : st;
}

/* ---- Printing ---- */

void option_print(const struct option *option, int indent, int width)
{
    char text[64];

    snprintf(text, sizeof(text), "--%s%s%s", option->name, option->arg ? " " : "",
             option->arg ? option->arg : "");
    printf("%*s%-*s %s", indent, "", width, text, option->help);
}

static int widest(const struct option_table *table, const char *command)
{
    size_t width = 0;

    for (size_t i = 0; i < table->n; i++) {
        const struct option *o = &table->option[i];
        size_t len = strlen(o->name) + (o->arg ? strlen(o->arg) + 1 : 0);

        if (o->help && option_serves(o, command) && len > width)
            width = len;
    }
    return (int)width + 4; /* dashes and a gap */
}

void options_print(const struct option_table *table, const char *command, int width)
{
    width = width ? width : widest(table, command);
    for (size_t i = 0; i < table->n; i++) {
        const struct option *o = &table->option[i];

        if (!o->help || !option_serves(o, command))
            continue;
        option_print(o, 2, width);
        if (!command && o->commands)
            printf(" (%s)", o->commands);
        putchar('\n');
    }
}

/* ---- Setters ---- */

enum bawn_status option_set_flag(void *options, const struct option *self, const char *value,
                                 struct bawn_error *err)
{
    (void)value, (void)err;
    *(bool *)option_field(options, self) = true;
    return BAWN_OK;
}

enum bawn_status option_set_text(void *options, const struct option *self, const char *value,
                                 struct bawn_error *err)
{
    (void)err;
    *(const char **)option_field(options, self) = value;
    return BAWN_OK;
}

enum bawn_status option_copy(char **to, const char *value, struct bawn_error *err)
{
    char *copy = strdup(value);

    if (!copy)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    free(*to);
    *to = copy;
    return BAWN_OK;
}

enum bawn_status option_copy_text(void *options, const struct option *self, const char *value,
                                  struct bawn_error *err)
{
    return option_copy(option_field(options, self), value, err);
}

enum bawn_status text_list_add(struct text_list *list, const char *text, struct bawn_error *err)
{
    const char **more = realloc(list->text, (list->n + 1) * sizeof(*more));

    if (!more)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    list->text = more;
    list->text[list->n++] = text;
    return BAWN_OK;
}

enum bawn_status option_add_text(void *options, const struct option *self, const char *value,
                                 struct bawn_error *err)
{
    return text_list_add(option_field(options, self), value, err);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Options as tables. The command line is the user's own.
 */
#include "attest/measure/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool known(const struct option *opt, unsigned mode)
{
    return !opt->modes || (opt->modes & mode);
}

enum bawn_status option_next(const struct option *table, size_t n, unsigned mode, int argc,
                             char **argv, int *i, const struct option **opt, const char **value,
                             struct bawn_error *err)
{
    const char *arg = argv[(*i)++];
    const char *eq = strchr(arg, '=');
    size_t len = eq ? (size_t)(eq - arg) : strlen(arg);

    for (size_t k = 0; k < n; k++) {
        *opt = &table[k];
        if (len < 3 || strncmp(arg, "--", 2) != 0 || strlen((*opt)->name) != len - 2 ||
            strncmp(arg + 2, (*opt)->name, len - 2) != 0 || !known(*opt, mode))
            continue;
        *value = eq ? eq + 1 : NULL;
        if (!(*opt)->arg)
            return eq ? bawn_fail(err, BAWN_E_USAGE, "--%s takes no value", (*opt)->name) : BAWN_OK;
        if (!eq && *i < argc)
            *value = argv[(*i)++];
        return *value ? BAWN_OK
                      : bawn_fail(err, BAWN_E_USAGE, "--%s needs a value: %s", (*opt)->name,
                                  (*opt)->arg);
    }
    return bawn_fail(err, BAWN_E_USAGE, "unknown option %s; see bawn-measure %s --help", arg,
                     argv[0]);
}

enum bawn_status options_set(const struct option *table, size_t n, unsigned mode, int argc,
                             char **argv, void *options, struct bawn_error *err)
{
    for (int i = 1; i < argc;) {
        const struct option *opt = NULL;
        const char *value = NULL;
        enum bawn_status st = option_next(table, n, mode, argc, argv, &i, &opt, &value, err);

        if (st == BAWN_OK && opt)
            st = opt->set(options, opt, value, err);
        if (st != BAWN_OK)
            return st;
    }
    return BAWN_OK;
}

void options_help(const struct option *table, size_t n, unsigned mode)
{
    size_t width = 0;

    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(table[i].name) + (table[i].arg ? strlen(table[i].arg) + 1 : 0);

        if (known(&table[i], mode) && len > width)
            width = len;
    }
    for (size_t i = 0; i < n; i++) {
        const char *arg = table[i].arg ? table[i].arg : "";

        if (known(&table[i], mode))
            printf("  --%s %-*s  %s\n", table[i].name, (int)(width - strlen(table[i].name)), arg,
                   table[i].help);
    }
}

/* ---- Setters ---- */

static void *field(void *options, const struct option *self)
{
    return (char *)options + self->field;
}

enum bawn_status set_flag(void *options, const struct option *self, const char *value,
                          struct bawn_error *err)
{
    (void)value, (void)err;
    *(bool *)field(options, self) = true;
    return BAWN_OK;
}

enum bawn_status set_string(void *options, const struct option *self, const char *value,
                            struct bawn_error *err)
{
    (void)err;
    *(const char **)field(options, self) = value;
    return BAWN_OK;
}

enum bawn_status set_number(void *options, const struct option *self, const char *value,
                            struct bawn_error *err)
{
    struct number *number = field(options, self);
    bool hex = value[0] == '0' && (value[1] == 'x' || value[1] == 'X');
    const char *digits = hex ? value + 2 : value;
    uint64_t v = 0;

    number->given = true;
    for (const char *p = digits; *p; p++) {
        int d = *p >= '0' && *p <= '9'          ? *p - '0'
                : hex && *p >= 'a' && *p <= 'f' ? *p - 'a' + 10
                : hex && *p >= 'A' && *p <= 'F' ? *p - 'A' + 10
                                                : -1;

        if (d < 0 || __builtin_mul_overflow(v, hex ? 16u : 10u, &v) ||
            __builtin_add_overflow(v, (unsigned)d, &v)) {
            digits = "";
            break;
        }
    }
    number->value = v;
    if (!*digits)
        return bawn_fail(err, BAWN_E_USAGE,
                         "--%s %s: must be a number of at most 64 bits, decimal or 0x hexadecimal",
                         self->name, value);
    return BAWN_OK;
}

enum bawn_status set_format(void *options, const struct option *self, const char *value,
                            struct bawn_error *err)
{
    bool *base64 = field(options, self);

    *base64 = !strcmp(value, "base64");
    if (!*base64 && strcmp(value, "hex") != 0)
        return bawn_fail(err, BAWN_E_USAGE, "--%s %s: must be hex or base64", self->name, value);
    return BAWN_OK;
}

static int nibble(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);

    return c && at ? (int)(at - digits) : -1;
}

enum bawn_status parse_hex(const char *option, const char *value, uint8_t *out, size_t len,
                           struct bawn_error *err)
{
    bool ok = strlen(value) == 2 * len;

    for (size_t i = 0; ok && i < len; i++) {
        int high = nibble(value[2 * i]), low = nibble(value[2 * i + 1]);

        ok = high >= 0 && low >= 0;
        if (ok)
            out[i] = (uint8_t)(high << 4 | low);
    }
    return ok ? BAWN_OK
              : bawn_fail(err, BAWN_E_USAGE, "--%s %s: must be %zu hexadecimal digits", option,
                          value, 2 * len);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What the options of several subcommands have in common. The command line is the user's own.
 */
#include "attest/measure/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "launch/launch.h"

enum bawn_status unknown_option(const char *text, const char *command, struct bawn_error *err)
{
    return bawn_fail(err, BAWN_E_USAGE, "unknown option %s; see bawn-measure %s --help", text,
                     command);
}

enum bawn_status set_number(void *options, const struct option *self, const char *value,
                            struct bawn_error *err)
{
    struct number *number = option_field(options, self);
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
    bool *base64 = option_field(options, self);

    *base64 = !strcmp(value, "base64");
    if (!*base64 && strcmp(value, "hex") != 0)
        return bawn_fail(err, BAWN_E_USAGE, "--%s %s: must be hex or base64", self->name, value);
    return BAWN_OK;
}

enum bawn_status parse_hex(const char *option, const char *value, uint8_t *out, size_t len,
                           struct bawn_error *err)
{
    return bawn_hex_parse(value, out, len)
               ? BAWN_OK
               : bawn_fail(err, BAWN_E_USAGE, "--%s %s: must be %zu hexadecimal digits", option,
                           value, 2 * len);
}

/* ---- Of a machine ---- */

enum bawn_status set_config(void *options, const struct option *self, const char *value,
                            struct bawn_error *err)
{
    return bawn_vm_config_load(option_field(options, self), value, err);
}

enum bawn_status set_cpus(void *options, const struct option *self, const char *value,
                          struct bawn_error *err)
{
    return bawn_cpus_parse(option_field(options, self), value)
               ? BAWN_OK
               : bawn_fail(err, BAWN_E_USAGE,
                           "--cpus %s: must be a number from 1 to %d, or boot=N,max=N", value,
                           BAWN_MAX_VCPUS);
}

enum bawn_status set_memory(void *options, const struct option *self, const char *value,
                            struct bawn_error *err)
{
    return bawn_size_parse(value, option_field(options, self), err);
}

/* Only whether there is a COM1 shows in the launch; the words are those of `bawn run`. */
enum bawn_status set_serial(void *options, const struct option *self, const char *value,
                            struct bawn_error *err)
{
    struct bawn_stream_config *serial = option_field(options, self);
    bool file = !strncmp(value, "file=", 5) && value[5];

    if (!file && strcmp(value, "off") && strcmp(value, "null") && strcmp(value, "tty"))
        return bawn_fail(err, BAWN_E_USAGE, "--serial %s: must be off, null, tty or file=PATH",
                         value);
    serial->mode = strcmp(value, "off") ? BAWN_STREAM_NULL : BAWN_STREAM_OFF;
    return BAWN_OK;
}

enum bawn_status set_hotplug(void *options, const struct option *self, const char *value,
                             struct bawn_error *err)
{
    static const char *const words[] = {
        [BAWN_HOTPLUG_AUTO] = "auto", [BAWN_HOTPLUG_OFF] = "off", [BAWN_HOTPLUG_ON] = "on"
    };

    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(value, words[i]))
            continue;
        *(enum bawn_hotplug *)option_field(options, self) = i;
        return BAWN_OK;
    }
    return bawn_fail(err, BAWN_E_USAGE, "--hotplug %s: must be auto, off or on", value);
}

// SPDX-License-Identifier: Apache-2.0
/* Options of bawn-platformd as a table: --name VALUE or --name=VALUE. */
#include "platform/firmware/daemon/daemon.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum bawn_status set_state(struct options *o, const char *value, struct bawn_error *err)
{
    if (!*value)
        return bawn_fail(err, BAWN_E_USAGE, "--state: must name a directory");
    o->state = value;
    return BAWN_OK;
}

static enum bawn_status set_device(struct options *o, const char *value, struct bawn_error *err)
{
    if (!*value)
        return bawn_fail(err, BAWN_E_USAGE, "--device: must name a device, or fd:N");
    o->device = value;
    return BAWN_OK;
}

static enum bawn_status set_product(struct options *o, const char *value, struct bawn_error *err)
{
    o->has_product = psp_product_find(value, &o->product);
    if (o->has_product)
        return BAWN_OK;
    return bawn_fail(err, BAWN_E_USAGE, "--product %s: must be Milan, Genoa or Turin", value);
}

static enum bawn_status set_report_version(struct options *o, const char *value,
                                           struct bawn_error *err)
{
    static const char *const versions[] = { "2", "3", "5" };

    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        if (strcmp(value, versions[i]) != 0)
            continue;
        o->report_version = (uint32_t)(value[0] - '0');
        return BAWN_OK;
    }
    return bawn_fail(err, BAWN_E_USAGE, "--report-version %s: must be 2, 3 or 5", value);
}

static enum bawn_status add_fault(struct options *o, const char *value, struct bawn_error *err)
{
    char known[256] = "";

    for (size_t i = 0; i < PSP_FAULTS; i++) {
        size_t at = strlen(known);

        if (!strcmp(value, psp_faults[i].name)) {
            o->faults |= psp_faults[i].fault;
            return BAWN_OK;
        }
        snprintf(known + at, sizeof(known) - at, "%s%s", at ? ", " : "", psp_faults[i].name);
    }
    return bawn_fail(err, BAWN_E_USAGE, "--fault %s: must be one of %s", value, known);
}

static enum bawn_status set_no_smt(struct options *o, const char *value, struct bawn_error *err)
{
    (void)value, (void)err;
    o->no_smt = true;
    return BAWN_OK;
}

static enum bawn_status set_foreground(struct options *o, const char *value, struct bawn_error *err)
{
    (void)value, (void)err;
    o->foreground = true;
    return BAWN_OK;
}

static enum bawn_status set_setup(struct options *o, const char *value, struct bawn_error *err)
{
    (void)value, (void)err;
    o->setup = true;
    return BAWN_OK;
}

static enum bawn_status set_help(struct options *o, const char *value, struct bawn_error *err)
{
    (void)value, (void)err;
    o->help = true;
    return BAWN_OK;
}

static const struct option {
    const char *name, *value, *help;
    enum bawn_status (*set)(struct options *o, const char *value, struct bawn_error *err);
} table[] = {
    { "state", "DIR", "keys, certificates and guests' contexts; made if missing", set_state },
    { "device", "PATH", "the kernel module's device (" BAWN_PLATFORM_DEVICE "), or fd:N",
      set_device },
    { "product", "NAME", "Milan, Genoa or Turin; of a new state directory (Milan)", set_product },
    { "report-version", "N", "of attestation reports: 2, 3 or 5 (5)", set_report_version },
    { "no-smt", NULL, "play a platform without simultaneous multithreading", set_no_smt },
    { "fault", "NAME",
      "misbehave: wrong-tcb, revoked-vcek, stale-crl, busy,\n"
      "                         invalid-signature, lost-command; may be repeated",
      add_fault },
    { "setup", NULL, "make the state directory's files, and end", set_setup },
    { "foreground", NULL, "stay in the foreground", set_foreground },
    { "help", NULL, "show this", set_help },
};

void options_help(void)
{
    puts("Usage: bawn-platformd --state DIR [option]...\n\n"
         "Plays AMD's secure processor for bawn_platform.ko. Its keys are test keys: no verifier\n"
         "trusts them by itself, and nothing here is secret from this machine.\n\nOptions:");
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char name[64];

        snprintf(name, sizeof(name), "--%s%s%s", table[i].name, table[i].value ? " " : "",
                 table[i].value ? table[i].value : "");
        printf("  %-22s %s\n", name, table[i].help);
    }
}

static const struct option *find(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (strlen(table[i].name) == len && !memcmp(table[i].name, name, len))
            return &table[i];
    return NULL;
}

/* One option at argv[*i]; moves *i past its value. */
static enum bawn_status parse_one(struct options *o, int argc, char **argv, int *i,
                                  struct bawn_error *err)
{
    const char *name = argv[*i], *equals = strchr(name, '='), *value = NULL;
    const struct option *option = NULL;

    if (!strncmp(name, "--", 2))
        option = find(name + 2, equals ? (size_t)(equals - name - 2) : strlen(name + 2));
    if (!option)
        return bawn_fail(err, BAWN_E_USAGE, "%s: there is no such option", name);
    if (!option->value && equals)
        return bawn_fail(err, BAWN_E_USAGE, "--%s takes no value", option->name);
    if (option->value) {
        if (!equals && *i + 1 >= argc)
            return bawn_fail(err, BAWN_E_USAGE, "--%s needs a value", option->name);
        value = equals ? equals + 1 : argv[++*i];
    }
    return option->set(o, value, err);
}

enum bawn_status options_parse(struct options *o, int argc, char **argv, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    *o = (struct options){ .device = BAWN_PLATFORM_DEVICE };
    for (int i = 1; st == BAWN_OK && i < argc; i++)
        st = parse_one(o, argc, argv, &i, err);
    if (st == BAWN_OK && !o->help && !o->state)
        st = bawn_fail(err, BAWN_E_USAGE, "--state DIR is missing");
    return st;
}

// SPDX-License-Identifier: Apache-2.0
/* Options of bawn-platformd as a table: --name VALUE or --name=VALUE. */
#include "platform/firmware/daemon/daemon.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/options.h"

#define FIELD(name) .field = offsetof(struct options, name)

static enum bawn_status set_path(void *options, const struct option *self, const char *value,
                                 struct bawn_error *err)
{
    if (!*value)
        return bawn_fail(err, BAWN_E_USAGE, "--%s: must name a %s", self->name,
                         !strcmp(self->name, "state") ? "directory" : "device, or fd:N");
    return option_set_text(options, self, value, err);
}

static enum bawn_status set_product(void *options, const struct option *self, const char *value,
                                    struct bawn_error *err)
{
    struct options *o = options;

    (void)self;
    o->has_product = psp_product_find(value, &o->product);
    if (o->has_product)
        return BAWN_OK;
    return bawn_fail(err, BAWN_E_USAGE, "--product %s: must be Milan, Genoa or Turin", value);
}

static enum bawn_status set_report_version(void *options, const struct option *self,
                                           const char *value, struct bawn_error *err)
{
    struct options *o = options;
    static const char *const versions[] = { "2", "3", "5" };

    (void)self;
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        if (strcmp(value, versions[i]) != 0)
            continue;
        o->report_version = (uint32_t)(value[0] - '0');
        return BAWN_OK;
    }
    return bawn_fail(err, BAWN_E_USAGE, "--report-version %s: must be 2, 3 or 5", value);
}

static enum bawn_status add_fault(void *options, const struct option *self, const char *value,
                                  struct bawn_error *err)
{
    struct options *o = options;
    char known[256] = "";

    (void)self;
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

static enum bawn_status unknown(const char *text, const char *command, struct bawn_error *err)
{
    (void)command;
    return bawn_fail(err, BAWN_E_USAGE, "%s: there is no such option", text);
}

static const struct option options[] = {
    { "state", "DIR", "keys, certificates and guests' contexts; made if missing", set_path,
      FIELD(state) },
    { "device", "PATH", "the kernel module's device (" BAWN_PLATFORM_DEVICE "), or fd:N", set_path,
      FIELD(device) },
    { "product", "NAME", "Milan, Genoa or Turin; of a new state directory (Milan)", set_product,
      FIELD(product) },
    { "report-version", "N", "of attestation reports: 2, 3 or 5 (5)", set_report_version,
      FIELD(report_version) },
    { "no-smt", NULL, "play a platform without simultaneous multithreading", option_set_flag,
      FIELD(no_smt) },
    { "fault", "NAME",
      "misbehave: wrong-tcb, revoked-vcek, stale-crl, busy,\n"
      "                         invalid-signature, lost-command; may be repeated",
      add_fault, FIELD(faults) },
    { "setup", NULL, "make the state directory's files, and end", option_set_flag, FIELD(setup) },
    { "foreground", NULL, "stay in the foreground", option_set_flag, FIELD(foreground) },
    { "help", NULL, "show this", option_set_flag, FIELD(help) },
    { "version", NULL, "print the version", option_set_flag, FIELD(version) },
};
static const struct option_table table = { OPTION_TABLE(options), .unknown = unknown };

void options_help(void)
{
    puts("Usage: bawn-platformd --state DIR [option]...\n\n"
         "Plays AMD's secure processor for bawn_platform.ko. Its keys are test keys: no verifier\n"
         "trusts them by itself, and nothing here is secret from this machine.\n\nOptions:");
    options_print(&table, NULL, 22);
}

enum bawn_status options_parse(struct options *o, int argc, char **argv, struct bawn_error *err)
{
    enum bawn_status st;

    *o = (struct options){ .device = BAWN_PLATFORM_DEVICE };
    st = options_read(&table, NULL, argc - 1, argv + 1, o, NULL, err);
    if (st == BAWN_OK && !o->help && !o->version && !o->state)
        st = bawn_fail(err, BAWN_E_USAGE, "--state DIR is missing");
    return st;
}

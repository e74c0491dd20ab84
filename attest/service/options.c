// SPDX-License-Identifier: Apache-2.0
/* Options of bawn-attestd as a table: --name VALUE or --name=VALUE. */
#include <stdlib.h>
#include <string.h>

#include "attest/service/supervisor.h"
#include "common/options.h"

#define FIELD(name) .field = offsetof(struct options, name)

static enum bawn_status set_path(void *options, const struct option *self, const char *value,
                                 struct bawn_error *err)
{
    if (!*value)
        return bawn_fail(err, BAWN_E_USAGE, "--%s: must name a %s", self->name,
                         !strcmp(self->name, "dir") ? "directory" : "file");
    return option_set_text(options, self, value, err);
}

static enum bawn_status set_port(void *options, const struct option *self, const char *value,
                                 struct bawn_error *err)
{
    char *end;
    unsigned long n = strtoul(value, &end, 10);

    if (*value < '0' || *value > '9' || *end || n < 1 || n > 65533)
        return bawn_fail(err, BAWN_E_USAGE, "--port %s: must be from 1 to 65533", value);
    *(unsigned *)option_field(options, self) = (unsigned)n;
    return BAWN_OK;
}

static enum bawn_status unknown(const char *text, const char *command, struct bawn_error *err)
{
    (void)command;
    return bawn_fail(err, BAWN_E_USAGE, "%s: there is no such option", text);
}

static const struct option options[] = {
    { "config", "FILE", "the configuration (/etc/bawn/attestd.json)", set_path, FIELD(config) },
    { "check-config", NULL, "check the configuration and its files, and end", option_set_flag,
      FIELD(check) },
    { "accept-state", NULL,
      "take the policies, references, revocations and\n"
      "                         signers in the database as they are, and end",
      option_set_flag, FIELD(accept_state) },
    { "dev", NULL, "set itself up with self-signed material, and run", option_set_flag,
      FIELD(dev) },
    { "dir", "DIR", "with --dev: where (./bawn-attestd-dev)", set_path, FIELD(dir) },
    { "port", "N",
      "with --dev: N for guests, N+1 for administrators,\n"
      "                         N+2 for the status page (8443)",
      set_port, FIELD(port) },
    { "version", NULL, "show the version", option_set_flag, FIELD(version) },
    { "help", NULL, "show this", option_set_flag, FIELD(help) },
};
static const struct option_table table = { OPTION_TABLE(options), .unknown = unknown };

void options_help(void)
{
    puts("Usage: bawn-attestd [--config FILE] [--check-config | --accept-state]\n"
         "       bawn-attestd --dev [--dir DIR] [--port N]\n\n"
         "Judges the evidence of confidential guests and releases secrets to those that a policy\n"
         "allows. Runs in the foreground; SIGHUP reloads, SIGTERM ends it in order.\n\nOptions:");
    options_print(&table, NULL, 22);
    puts("\nExit status: 0 ended in order, 1 failed, 64 wrong usage, 78 wrong configuration.");
}

enum bawn_status options_parse(struct options *o, int argc, char **argv, struct bawn_error *err)
{
    enum bawn_status st;

    *o = (struct options){ 0 };
    st = options_read(&table, NULL, argc - 1, argv + 1, o, NULL, err);
    if (st != BAWN_OK)
        return st;
    if (!o->dev && (o->dir || o->port))
        return bawn_fail(err, BAWN_E_USAGE, "--dir and --port go with --dev");
    if (o->dev && o->config)
        return bawn_fail(err, BAWN_E_USAGE, "--dev makes its own configuration; not with --config");
    o->config = o->config ? o->config : "/etc/bawn/attestd.json";
    o->dir = o->dir ? o->dir : "bawn-attestd-dev";
    o->port = o->port ? o->port : 8443;
    return BAWN_OK;
}

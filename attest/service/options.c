// SPDX-License-Identifier: Apache-2.0
/* Options of bawn-attestd as a table: --name VALUE or --name=VALUE. */
#include <stdlib.h>
#include <string.h>

#include "attest/service/supervisor.h"

static enum bawn_status set_config(struct options *o, const char *value, struct bawn_error *err)
{
    if (!*value)
        return bawn_fail(err, BAWN_E_USAGE, "--config: must name a file");
    o->config = value;
    return BAWN_OK;
}

static enum bawn_status set_dir(struct options *o, const char *value, struct bawn_error *err)
{
    if (!*value)
        return bawn_fail(err, BAWN_E_USAGE, "--dir: must name a directory");
    o->dir = value;
    return BAWN_OK;
}

static enum bawn_status set_port(struct options *o, const char *value, struct bawn_error *err)
{
    char *end;
    unsigned long n = strtoul(value, &end, 10);

    if (*value < '0' || *value > '9' || *end || n < 1 || n > 65533)
        return bawn_fail(err, BAWN_E_USAGE, "--port %s: must be from 1 to 65533", value);
    o->port = (unsigned)n;
    return BAWN_OK;
}

static enum bawn_status set_dev(struct options *o, const char *value, struct bawn_error *err)
{
    (void)value, (void)err;
    o->dev = true;
    return BAWN_OK;
}

static enum bawn_status set_check(struct options *o, const char *value, struct bawn_error *err)
{
    (void)value, (void)err;
    o->check = true;
    return BAWN_OK;
}

static enum bawn_status set_help(struct options *o, const char *value, struct bawn_error *err)
{
    (void)value, (void)err;
    o->help = true;
    return BAWN_OK;
}

static enum bawn_status set_version(struct options *o, const char *value, struct bawn_error *err)
{
    (void)value, (void)err;
    o->version = true;
    return BAWN_OK;
}

static const struct option {
    const char *name, *value, *help;
    enum bawn_status (*set)(struct options *o, const char *value, struct bawn_error *err);
} table[] = {
    { "config", "FILE", "the configuration (/etc/bawn/attestd.json)", set_config },
    { "check-config", NULL, "check the configuration and its files, and end", set_check },
    { "dev", NULL, "set itself up with self-signed material, and run", set_dev },
    { "dir", "DIR", "with --dev: where (./bawn-attestd-dev)", set_dir },
    { "port", "N",
      "with --dev: N for guests, N+1 for administrators,\n"
      "                         N+2 for the status page (8443)",
      set_port },
    { "version", NULL, "show the version", set_version },
    { "help", NULL, "show this", set_help },
};

void options_help(void)
{
    puts("Usage: bawn-attestd [--config FILE] [--check-config]\n"
         "       bawn-attestd --dev [--dir DIR] [--port N]\n\n"
         "Judges the evidence of confidential guests and releases secrets to those that a policy\n"
         "allows. Runs in the foreground; SIGHUP reloads, SIGTERM ends it in order.\n\nOptions:");
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char name[64];

        snprintf(name, sizeof(name), "--%s%s%s", table[i].name, table[i].value ? " " : "",
                 table[i].value ? table[i].value : "");
        printf("  %-22s %s\n", name, table[i].help);
    }
    puts("\nExit status: 0 ended in order, 1 failed, 64 wrong usage, 78 wrong configuration.");
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

    *o = (struct options){ 0 };
    for (int i = 1; st == BAWN_OK && i < argc; i++)
        st = parse_one(o, argc, argv, &i, err);
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

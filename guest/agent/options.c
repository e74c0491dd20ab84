// SPDX-License-Identifier: Apache-2.0
/*
 * The command line as one table, and the kernel's command line, which is measured: what it says of
 * the server is as trustworthy as the guest's image.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bawn/version.h"
#include "common/options.h"
#include "guest/agent/agent.h"

#define CMDLINE "/proc/cmdline"
#define CMDLINE_KEY "bawn.attest="
#define FIELD(name) .field = offsetof(struct agent_options, name)

enum { CMDLINE_MAX = 64 << 10, TIMEOUT_DEFAULT = 60, TIMEOUT_MAX = 86400, DAYS_MAX = 3650 };

static const struct {
    const char *name, *help;
} commands[] = {
    [CMD_GET] = { "get", "prove what the guest is and receive a secret" },
    [CMD_TOKEN] = { "token", "prove it and print the attestation token (JWT)" },
    [CMD_EVIDENCE] = { "evidence", "print evidence as KBS JSON, without a server" },
    [CMD_RA_TLS] = { "ra-tls", "make a key and a certificate that carries evidence for it" },
    [CMD_AK] = { "ak", "print the TPM's attestation key (PEM), for a verifier to know it by" },
};

static enum bawn_status set_text(void *options, const struct option *self, const char *value,
                                 struct bawn_error *err)
{
    if (!*value)
        return bawn_fail(err, BAWN_E_USAGE, "--%s: it is empty", self->name);
    return option_set_text(options, self, value, err);
}

static enum bawn_status set_number(void *options, const struct option *self, const char *value,
                                   struct bawn_error *err)
{
    unsigned long number;
    char *end;

    errno = 0;
    number = strtoul(value, &end, 10);
    if (*value < '0' || *value > '9' || errno || *end || !number || number > self->max)
        return bawn_fail(err, BAWN_E_USAGE, "--%s %.100s: give a number from 1 to %u", self->name,
                         value, self->max);
    *(unsigned *)option_field(options, self) = (unsigned)number;
    return BAWN_OK;
}

static enum bawn_status unknown(const char *text, const char *command, struct bawn_error *err)
{
    return bawn_fail(err, BAWN_E_USAGE, "%s takes no %.200s; see bawn-agent --help", command, text);
}

static const struct option options[] = {
    { "server", "ADDRESS", "tcp:IP:PORT, vsock:CID:PORT or unix:PATH", set_text, FIELD(server),
      .commands = "get token" },
    { "ca", "FILE", "trust servers with a certificate of this CA", set_text, FIELD(ca),
      .commands = "get token" },
    { "pin", "HEX", "trust the server with this SHA-256 of its public key (SPKI)", set_text,
      FIELD(pin), .commands = "get token" },
    { "server-name", "NAME", "what its certificate must name besides, under --ca", set_text,
      FIELD(server_name), .commands = "get token" },
    { "cmdline", NULL,
      "take these from bawn.attest=ADDRESS[,pin=][,ca=][,name=][,tenant=][,resource=] "
      "in " CMDLINE,
      option_set_flag, FIELD(cmdline), .commands = "get token" },
    { "tenant", "NAME", "the tenant at the service", set_text, FIELD(tenant),
      .commands = "get token" },
    { "resource", "R/T/T", "what to get: REPOSITORY/TYPE/TAG", set_text, FIELD(resource),
      .commands = "get" },
    { "key-type", "ec|rsa", "the guest's ephemeral key: P-256 (ec) or RSA-3072", set_text,
      FIELD(key_type), .commands = "get token evidence" },
    { "timeout", "SECONDS", "how long to try (60)", set_number, FIELD(timeout),
      .commands = "get token", .max = TIMEOUT_MAX },
    { "tee", "snp|tdx|tpm", "whose evidence (the first that is here)", set_text, FIELD(tee),
      .commands = "get token evidence ra-tls" },
    { "tpm-ak", "HANDLE", "the TPM's persistent attestation key (one made by a fixed template)",
      set_text, FIELD(tpm_ak), .commands = "get token evidence ra-tls ak" },
    { "ak-cert", "FILE", "certificates of that key, which go with the evidence (PEM)", set_text,
      FIELD(ak_cert), .commands = "get token evidence ra-tls" },
    { "with-tpm", NULL, "beside SNP or TDX also a TPM's quote, as additional evidence",
      option_set_flag, FIELD(with_tpm), .commands = "get token evidence" },
    { "output", "FD|FILE", "a descriptor's number, or a file (standard output)", set_text,
      FIELD(output), .commands = "get token evidence ak" },
    { "luks", "DEVICE", "open this LUKS volume with the secret", set_text, FIELD(luks),
      .commands = "get" },
    { "name", "NAME", "as /dev/mapper/NAME", set_text, FIELD(luks_name), .commands = "get" },
    { "nonce", "TEXT", "make the whole attestation request for this nonce", set_text, FIELD(nonce),
      .commands = "evidence" },
    { "report-data", "HEX", "make evidence with these up to 64 bytes, zeros behind", set_text,
      FIELD(report_data), .commands = "evidence" },
    { "cert", "FILE", "where the certificate goes (PEM)", set_text, FIELD(cert),
      .commands = "ra-tls" },
    { "key", "FILE", "where the private key goes (PEM, mode 600)", set_text, FIELD(key),
      .commands = "ra-tls" },
    { "cn", "NAME", "the certificate's name (localhost)", set_text, FIELD(cn),
      .commands = "ra-tls" },
    { "days", "N", "its validity (30)", set_number, FIELD(days), .commands = "ra-tls",
      .max = DAYS_MAX },
    { "quiet", NULL, "say nothing but errors", option_set_flag, FIELD(quiet),
      .commands = "get token evidence ra-tls ak" },
    /* For tests; not in the help. */
    { "root", "DIR", NULL, option_set_text, FIELD(root) },
};
static const struct option_table table = { OPTION_TABLE(options), .unknown = unknown };

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static bool first_is(const char *words, const char *word)
{
    size_t len = strlen(word);

    return !strncmp(words, word, len) && (words[len] == ' ' || !words[len]);
}

void agent_usage(void)
{
    puts("Usage: bawn-agent COMMAND [OPTION]... [-- PROGRAM [ARGUMENT]...]\n"
         "\n"
         "Runs inside a confidential guest: proves to an attestation service what the guest is.\n");
    for (size_t c = 0; c < NR_COMMANDS; c++) {
        printf("  %-9s %s\n", commands[c].name, commands[c].help);
        for (size_t i = 0; i < table.n; i++) {
            if (!options[i].help || !first_is(options[i].commands, commands[c].name))
                continue; /* shown with the first command that has it */
            option_print(&options[i], 6, 24);
            putchar('\n');
        }
    }
    puts(
        "\nget: the secret goes to --output, --luks, and PROGRAM, which finds it behind the\n"
        "descriptor that the variable BAWN_SECRET_FD names. token has get's options on the server\n"
        "and the key, evidence those on the key.\n"
        "\n"
        "Exit status: 0 done, 1 failed, 2 usage, 3 denied, 4 server not reached; PROGRAM's own.\n"
        "See bawn-agent(1).");
}

void agent_say(const struct agent_options *o, const char *fmt, ...)
{
    va_list ap;

    if (o->quiet)
        return;
    fputs("bawn-agent: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

/* ---- argv ---- */

/* Behind "--" is what to run. */
static enum bawn_status read_options(struct agent_options *o, int argc, char **argv,
                                     struct bawn_error *err)
{
    int n = 2;

    while (n < argc && strcmp(argv[n], "--") != 0)
        n++;
    if (n < argc)
        o->run = &argv[n + 1];
    return options_read(&table, argv[1], n - 2, argv + 2, o, NULL, err);
}

/* ---- The kernel's command line ---- */

static const struct {
    const char *name;
    size_t field;
} parts[] = {
    { "pin", FIELD(pin) },           { "ca", FIELD(ca) },
    { "name", FIELD(server_name) },  { "tenant", FIELD(tenant) },
    { "resource", FIELD(resource) },
};

/* What the command line of the program gave stays: that too is of the guest's image. */
static void set_default(const char **field, const char *value)
{
    if (!*field)
        *field = value;
}

static enum bawn_status take_part(struct agent_options *o, char *part, struct bawn_error *err)
{
    char *value = strchr(part, '=');

    for (size_t i = 0; value && i < sizeof(parts) / sizeof(parts[0]); i++)
        if (strlen(parts[i].name) == (size_t)(value - part) &&
            !memcmp(parts[i].name, part, (size_t)(value - part)) && value[1]) {
            set_default((const char **)((char *)o + parts[i].field), value + 1);
            return BAWN_OK;
        }
    return bawn_fail(
        err, BAWN_E_CONFIG,
        CMDLINE_KEY "...,%.100s: known are pin=, ca=, name=, tenant= and resource=", part);
}

static enum bawn_status read_cmdline(struct agent_options *o, char **text, struct bawn_error *err)
{
    char *found = NULL, *rest, *part;
    uint8_t *data;
    size_t len;
    enum bawn_status status = agent_read_file(o->root, CMDLINE, CMDLINE_MAX, &data, &len, err);

    if (status != BAWN_OK)
        return status;
    *text = (char *)data;
    for (char *word = strtok_r(*text, " \t\n", &rest); word;
         word = strtok_r(NULL, " \t\n", &rest)) {
        if (strncmp(word, CMDLINE_KEY, strlen(CMDLINE_KEY)) != 0)
            continue;
        if (found)
            return bawn_fail(err, BAWN_E_CONFIG,
                             "the kernel's command line has " CMDLINE_KEY " twice");
        found = word + strlen(CMDLINE_KEY);
    }
    if (!found)
        return bawn_fail(err, BAWN_E_CONFIG, "the kernel's command line has no " CMDLINE_KEY);
    part = strtok_r(found, ",", &rest);
    if (!part)
        return bawn_fail(err, BAWN_E_CONFIG, "the kernel's " CMDLINE_KEY " names no server");
    set_default(&o->server, part);
    while (status == BAWN_OK && (part = strtok_r(NULL, ",", &rest)))
        status = take_part(o, part, err);
    return status;
}

/* ---- What they mean together ---- */

/* Letters, digits, '.', '_' and '-', not only dots: what needs no escape in a path and leads
 * nowhere else. */
static bool plain_name(const char *text, size_t len)
{
    bool more_than_dots = false;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '_' || c == '-';

        if (!plain && c != '.')
            return false;
        more_than_dots |= plain;
    }
    return more_than_dots && len <= 128;
}

static bool resource_name(const char *text)
{
    for (int i = 0; i < 3; i++) {
        size_t n = strcspn(text, "/");

        if (!plain_name(text, n) || (text[n] == '/') != (i < 2))
            return false;
        text += n + 1;
    }
    return true;
}

static enum bawn_status check_get(const struct agent_options *o, struct bawn_error *err)
{
    if (!o->server)
        return bawn_fail(err, BAWN_E_USAGE, "no server: give --server or --cmdline");
    if (o->tenant && !plain_name(o->tenant, strlen(o->tenant)))
        return bawn_fail(err, BAWN_E_USAGE, "tenant %.100s: give letters, digits, '.', '_', '-'",
                         o->tenant);
    if (o->server_name && strspn(o->server_name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVW"
                                                 "XYZ0123456789.-:") != strlen(o->server_name))
        return bawn_fail(err, BAWN_E_USAGE, "server name %.100s is none", o->server_name);
    if (o->command == CMD_TOKEN)
        return BAWN_OK;
    if (!o->resource || !resource_name(o->resource))
        return bawn_fail(err, BAWN_E_USAGE, "%.200s%sgive --resource REPOSITORY/TYPE/TAG",
                         o->resource ? o->resource : "", o->resource ? " is no resource: " : "");
    if (!o->luks != !o->luks_name)
        return bawn_fail(err, BAWN_E_USAGE, "--luks and --name go together");
    if (o->luks && (!plain_name(o->luks_name, strlen(o->luks_name)) || o->luks_name[0] == '-' ||
                    o->luks[0] == '-'))
        return bawn_fail(err, BAWN_E_USAGE, "--name: give letters, digits, '.', '_', '-'");
    if (o->run && !o->run[0])
        return bawn_fail(err, BAWN_E_USAGE, "no program behind --");
    return BAWN_OK;
}

static enum bawn_status check(const struct agent_options *o, struct bawn_error *err)
{
    if (strcmp(o->key_type, "ec") != 0 && strcmp(o->key_type, "rsa") != 0)
        return bawn_fail(err, BAWN_E_USAGE, "--key-type is ec or rsa");
    if (o->tee && strcmp(o->tee, "snp") != 0 && strcmp(o->tee, "tdx") != 0 &&
        strcmp(o->tee, "tpm") != 0)
        return bawn_fail(err, BAWN_E_USAGE, "--tee is snp, tdx or tpm");
    if (o->with_tpm && (o->report_data || (o->tee && !strcmp(o->tee, "tpm"))))
        return bawn_fail(err, BAWN_E_USAGE,
                         "--with-tpm: a TPM's quote is additional to SNP or TDX, in "
                         "a whole request");
    if (o->run && o->command != CMD_GET)
        return bawn_fail(err, BAWN_E_USAGE, "a program is run by get alone");
    if (o->command == CMD_EVIDENCE && !o->nonce == !o->report_data)
        return bawn_fail(err, BAWN_E_USAGE, "give either --nonce or --report-data");
    if (o->command == CMD_RA_TLS && (!o->cert || !o->key))
        return bawn_fail(err, BAWN_E_USAGE, "give --cert FILE and --key FILE");
    if (o->command == CMD_RA_TLS && (!plain_name(o->cn, strlen(o->cn)) || strlen(o->cn) > 64))
        return bawn_fail(err, BAWN_E_USAGE, "--cn %.100s is no host name", o->cn);
    return o->command == CMD_GET || o->command == CMD_TOKEN ? check_get(o, err) : BAWN_OK;
}

enum bawn_status agent_options_read(struct agent_options *o, int argc, char **argv, char **text,
                                    bool *done, struct bawn_error *err)
{
    enum bawn_status status;
    size_t c = 0;

    *o = (struct agent_options){
        .key_type = "ec", .root = "", .cn = "localhost", .timeout = TIMEOUT_DEFAULT, .days = 30
    };
    *text = NULL;
    *done = false;
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "--version"))
            *done = true;
    if (*done) {
        if (!strcmp(argv[1], "--version"))
            puts("bawn-agent " BAWN_VERSION ", KBS protocol 0.4.0");
        else
            agent_usage();
        return BAWN_OK;
    }
    while (argc > 1 && c < NR_COMMANDS && strcmp(argv[1], commands[c].name) != 0)
        c++;
    if (argc < 2 || c == NR_COMMANDS)
        return bawn_fail(err, BAWN_E_USAGE,
                         "give a command: get, token, evidence, ra-tls or ak; see "
                         "bawn-agent --help");
    o->command = (enum agent_command)c;
    status = read_options(o, argc, argv, err);
    if (status == BAWN_OK && o->cmdline)
        status = read_cmdline(o, text, err);
    return status == BAWN_OK ? check(o, err) : status;
}

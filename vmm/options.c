// SPDX-License-Identifier: Apache-2.0
/*
 * One table of options: name, argument, kind, where the value goes. Trusts nothing of the
 * values; what they mean together is checked by bawn_vm_config_check().
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

#define TIMEOUT_MAX 1000000

enum kind { FLAG, TEXT, OWNED_TEXT, NUMBER, SIZE, CHOICE, STREAM, DISK, VSOCK, HEX32, U64, DIGEST };

static const char *const accels[] = { "auto", "bawn", "kvm", NULL }; /* bawn_accel_kind */
static const char *const modes[] = { "off", "null", "tty", NULL };   /* bawn_stream_mode */
static const char *const tees[] = { "none", "snp", NULL };           /* cfg.snp.on */
static const char *const switches[] = { "off", "on", NULL };

#define STREAMS "off|null|tty|file=PATH"
#define FIELD(name) offsetof(struct bawn_options, name)

static const struct option {
    const char *name;
    enum kind kind;
    unsigned max; /* NUMBER: from 1 to this */
    size_t field;
    const char *arg; /* what a right value is */
    const char *help;
    const char *const *choices; /* CHOICE: the field is a bool or a zeroed enum */
} options[] = {
    { "config", TEXT, 0, FIELD(config_path), "FILE", "JSON file; other options override it", NULL },
    { "kernel", OWNED_TEXT, 0, FIELD(cfg.kernel), "FILE", "bzImage or PVH ELF image", NULL },
    { "initrd", OWNED_TEXT, 0, FIELD(cfg.initrd), "FILE", "initial RAM disk", NULL },
    { "cmdline", OWNED_TEXT, 0, FIELD(cfg.cmdline), "TEXT", "kernel command line", NULL },
    { "firmware", OWNED_TEXT, 0, FIELD(cfg.firmware), "FILE", "the shim of an SEV-SNP machine",
      NULL },
    { "cpus", NUMBER, BAWN_MAX_VCPUS, FIELD(cfg.vcpus), "1..64", "vCPUs (1)", NULL },
    { "memory", SIZE, 0, FIELD(cfg.memory), "64M..64G", "memory (512M)", NULL },
    { "serial", STREAM, 0, FIELD(cfg.serial), STREAMS, "COM1 (tty)", NULL },
    { "console", STREAM, 0, FIELD(cfg.console), STREAMS, "virtio console (off)", NULL },
    { "rng", CHOICE, 0, FIELD(cfg.rng), "on|off", "virtio entropy device (on)", switches },
    { "disk", DISK, 0, FIELD(cfg), "path=FILE[,readonly=on|off]", "virtio disk, a raw image",
      NULL },
    { "vsock", VSOCK, 0, FIELD(cfg), "cid=N,socket=PATH", "virtio sockets", NULL },
    { "tee", CHOICE, 0, FIELD(cfg.snp.on), "none|snp", "snp: a confidential machine (none)", tees },
    { "snp-policy", U64, 0, FIELD(cfg.snp.policy), "NUMBER", "guest policy (0x30000)", NULL },
    { "host-data", HEX32, 0, FIELD(cfg.snp.host_data), "64 digits", "HOST_DATA of its reports",
      NULL },
    { "id-block", OWNED_TEXT, 0, FIELD(cfg.snp.id_block), "FILE", "ID block, raw or base64", NULL },
    { "id-auth", OWNED_TEXT, 0, FIELD(cfg.snp.id_auth), "FILE",
      "its authentication (the ID block's name with .auth)", NULL },
    { "certs", OWNED_TEXT, 0, FIELD(cfg.snp.certs), "FILE",
      "certificate table for extended guest requests", NULL },
    { "expect-measurement", DIGEST, 0, FIELD(expect), "96 digits",
      "refuse to run a guest whose launch digest differs", NULL },
    { "policy", TEXT, 0, FIELD(policy), "FILE",
      "refuse to run what this launch policy does not allow; signed, in FILE.sig", NULL },
    { "policy-key", TEXT, 0, FIELD(policy_key), "FILE", "public key of who signs policies (PEM)",
      NULL },
    { "accel", CHOICE, 0, FIELD(accel), "auto|bawn|kvm", "auto: /dev/bawn, else /dev/kvm", accels },
    { "device", TEXT, 0, FIELD(device), "PATH", "the module's device node", NULL },
    { "timeout", NUMBER, TIMEOUT_MAX, FIELD(timeout), "1..1000000",
      "stop after so many seconds (exit code 5)", NULL },
    { "no-reboot", FLAG, 0, FIELD(no_reboot), "", "exit when the guest resets itself", NULL },
    { "stats", FLAG, 0, FIELD(stats), "", "print exit counts at the end", NULL },
    { "print-measurement", FLAG, 0, FIELD(print_measurement), "",
      "print the predicted digest and its events", NULL },
    { "quiet", FLAG, 0, FIELD(quiet), "", "print errors only", NULL },
    { "json", FLAG, 0, FIELD(json), "", "print digest and end as JSON lines on stderr", NULL },
    { "help", FLAG, 0, FIELD(help), "", "print this help", NULL },
};

#define NR_OPTIONS (sizeof(options) / sizeof(options[0]))

void bawn_options_help(void)
{
    printf("Usage: bawn run [OPTION]...\n\nRuns a virtual machine until it powers off.\n\n");
    for (size_t i = 0; i < NR_OPTIONS; i++)
        printf("  --%-18s%-24s%s\n", options[i].name, options[i].arg, options[i].help);
    printf("\nAt the terminal, Ctrl-A x stops the machine and Ctrl-A h helps.\n"
           "Exit codes: 0 powered off, 1 failure, 2 usage, 3 guest panic, 4 guest crash, "
           "5 timeout.\n");
}

static enum bawn_status set_text(char **to, const char *val, struct bawn_error *err)
{
    char *copy = strdup(val);

    if (!copy)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the command line");
    free(*to);
    *to = copy;
    return BAWN_OK;
}

/* Index of val in a NULL-terminated list, or -1. */
static int choice(const char *val, const char *const *names)
{
    for (int i = 0; names[i]; i++) {
        if (!strcmp(val, names[i]))
            return i;
    }
    return -1;
}

/* A decimal number from 1 to max, or -1. */
static int number(const char *val, unsigned max)
{
    unsigned long n;
    char *rest;

    n = strtoul(val, &rest, 10); /* the largest one if it overflows */
    return *val < '0' || *val > '9' || *rest || n < 1 || n > max ? -1 : (int)n;
}

/* The value of name in "name=value,name=value", as text of its own; NULL if it is not there. */
static char *part(const char *val, const char *name)
{
    size_t len = strlen(name);

    for (; *val; val += strcspn(val, ","), val += *val == ',') {
        if (!strncmp(val, name, len) && val[len] == '=')
            return strndup(val + len + 1, strcspn(val + len + 1, ","));
    }
    return NULL;
}

/* Whether it has so many parts. */
static bool has_parts(const char *val, unsigned n)
{
    while (n && *val) {
        val += strcspn(val, ",");
        n--;
        if (!*val)
            break;
        val++;
    }
    return !n && !*val;
}

/* 0, or -1: a wrong value. */
static int set_disk(struct bawn_vm_config *cfg, const char *val, enum bawn_status *st,
                    struct bawn_error *err)
{
    char *path = part(val, "path"), *readonly = part(val, "readonly");
    int on = readonly ? choice(readonly, switches) : 0;
    bool good = path && *path && on >= 0 && has_parts(val, readonly ? 2 : 1);

    if (good)
        *st = bawn_vm_config_add_disk(cfg, path, err);
    if (good && !*st)
        cfg->disk[cfg->nr_disks - 1].readonly = on;
    free(path);
    free(readonly);
    return good ? 0 : -1;
}

static int set_vsock(struct bawn_vm_config *cfg, const char *val, enum bawn_status *st,
                     struct bawn_error *err)
{
    char *cid = part(val, "cid"), *socket = part(val, "socket");
    uint64_t n;
    bool good = cid && socket && *socket && bawn_u64_parse(cid, &n) && n >= BAWN_VSOCK_CID_MIN &&
                n < UINT32_MAX && has_parts(val, 2);

    if (good) {
        cfg->vsock.cid = (uint32_t)n;
        *st = set_text(&cfg->vsock.socket, socket, err);
    }
    free(cid);
    free(socket);
    return good ? 0 : -1;
}

static enum bawn_status set(struct bawn_options *opt, const struct option *o, const char *val,
                            struct bawn_error *err)
{
    void *field = (char *)opt + o->field;
    struct bawn_stream_config *stream = field;
    enum bawn_status st = BAWN_OK;
    int n = 0;

    switch (o->kind) {
    case FLAG:
        *(bool *)field = true;
        break;
    case TEXT:
        *(const char **)field = val;
        break;
    case OWNED_TEXT:
        return set_text(field, val, err);
    case NUMBER:
        n = number(val, o->max);
        if (n > 0)
            *(unsigned *)field = n;
        break;
    case SIZE:
        n = bawn_size_parse(val, field, NULL) || *(uint64_t *)field > BAWN_MEM_MAX ? -1 : 0;
        break;
    case CHOICE:
        n = choice(val, o->choices);
        if (n >= 0)
            *(uint8_t *)field = n;
        break;
    case STREAM:
        if (!strncmp(val, "file=", 5) && val[5]) {
            stream->mode = BAWN_STREAM_FILE;
            return set_text(&stream->path, val + 5, err);
        }
        n = choice(val, modes);
        if (n >= 0)
            stream->mode = n;
        break;
    case DISK:
        n = set_disk(field, val, &st, err);
        break;
    case VSOCK:
        n = set_vsock(field, val, &st, err);
        break;
    case HEX32:
        n = bawn_hex_parse(val, field, BAWN_SNP_HOST_DATA_SIZE) ? 0 : -1;
        break;
    case U64:
        n = bawn_u64_parse(val, field) ? 0 : -1;
        break;
    case DIGEST:
        opt->expect.given = true;
        n = bawn_hex_parse(val, opt->expect.digest, sizeof(opt->expect.digest)) ? 0 : -1;
        break;
    }
    if (n < 0)
        return bawn_fail(err, BAWN_E_USAGE, "--%s %s: %s is needed", o->name, val, o->arg);
    return st;
}

/* Finds argv[*i]'s option and its value (NULL for a flag), and moves *i past both. */
static enum bawn_status next_option(int argc, char **argv, int *i, const struct option **opt,
                                    const char **val, struct bawn_error *err)
{
    const char *arg = argv[(*i)++];
    size_t len = strcspn(arg, "=");

    for (size_t n = 0; n < NR_OPTIONS; n++) {
        const struct option *o = *opt = &options[n];

        if (strncmp(arg, "--", 2) || strlen(o->name) + 2 != len ||
            strncmp(arg + 2, o->name, len - 2))
            continue;
        *val = arg[len] ? arg + len + 1 : NULL;
        if (o->kind == FLAG && *val)
            return bawn_fail(err, BAWN_E_USAGE, "--%s takes no value", o->name);
        if (o->kind != FLAG && !*val) {
            if (*i >= argc)
                return bawn_fail(err, BAWN_E_USAGE, "--%s needs a value: %s", o->name, o->arg);
            *val = argv[(*i)++];
        }
        return BAWN_OK;
    }
    return bawn_fail(err, BAWN_E_USAGE, "unknown option %s; see bawn run --help", arg);
}

/* Applies the options of one kind, or of all others. */
static enum bawn_status apply(struct bawn_options *opt, int argc, char **argv, bool config,
                              struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;
    const struct option *o;
    const char *val = NULL;

    for (int i = 0; !st && i < argc;) {
        st = next_option(argc, argv, &i, &o, &val, err);
        if (!st && (o->field == FIELD(config_path)) == config)
            st = set(opt, o, val, err);
    }
    return st;
}

enum bawn_status bawn_options_parse(struct bawn_options *opt, int argc, char **argv,
                                    struct bawn_error *err)
{
    enum bawn_status st;

    memset(opt, 0, sizeof(*opt));
    bawn_vm_config_init(&opt->cfg);
    st = apply(opt, argc, argv, true, err);
    if (!st && opt->config_path)
        st = bawn_vm_config_load(&opt->cfg, opt->config_path, err);
    return st ? st : apply(opt, argc, argv, false, err);
}

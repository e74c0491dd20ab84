// SPDX-License-Identifier: Apache-2.0
/*
 * The options of `bawn run`, as a table. Trusts nothing of the values; what they mean together is
 * checked by bawn_vm_config_check().
 */
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/options.h"
#include "options.h"

#define TIMEOUT_MAX 1000000
#define HELP_COLUMN 42
#define STREAMS "off|null|tty|pty|file=PATH|socket=PATH"
#define FIELD(name) .field = offsetof(struct bawn_options, name)

static enum bawn_status needed(const struct option *self, const char *val, struct bawn_error *err)
{
    return bawn_fail(err, BAWN_E_USAGE, "--%s %s: %s is needed", self->name, val, self->arg);
}

/* Index of val in "name|name", or -1. */
static int choice(const char *val, const char *names)
{
    size_t len = strlen(val);

    for (int i = 0;; i++, names++) {
        size_t n = strcspn(names, "|");

        if (n == len && !memcmp(names, val, len))
            return i;
        names += n;
        if (!*names)
            return -1;
    }
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

/* ---- Setters ---- */

/* The last file is the one. */
static enum bawn_status set_config(void *options, const struct option *self, const char *val,
                                   struct bawn_error *err)
{
    struct bawn_vm_config *cfg = option_field(options, self);

    bawn_vm_config_free(cfg);
    bawn_vm_config_init(cfg);
    return bawn_vm_config_load(cfg, val, err);
}

/* Decimal, from 1 to the largest. */
static enum bawn_status set_number(void *options, const struct option *self, const char *val,
                                   struct bawn_error *err)
{
    char *rest;
    unsigned long n = strtoul(val, &rest, 10); /* the largest one if it overflows */

    if (*val < '0' || *val > '9' || *rest || n < 1 || n > self->max)
        return needed(self, val, err);
    *(unsigned *)option_field(options, self) = (unsigned)n;
    return BAWN_OK;
}

static enum bawn_status set_cpus(void *options, const struct option *self, const char *val,
                                 struct bawn_error *err)
{
    return bawn_cpus_parse(option_field(options, self), val) ? BAWN_OK : needed(self, val, err);
}

static enum bawn_status set_size(void *options, const struct option *self, const char *val,
                                 struct bawn_error *err)
{
    uint64_t *size = option_field(options, self);

    return bawn_size_parse(val, size, NULL) || *size > BAWN_MEM_MAX ? needed(self, val, err)
                                                                    : BAWN_OK;
}

/* The field is a bool or a zeroed enum, in the order of the names. */
static enum bawn_status set_choice(void *options, const struct option *self, const char *val,
                                   struct bawn_error *err)
{
    int n = choice(val, self->arg);

    if (n < 0)
        return needed(self, val, err);
    *(uint8_t *)option_field(options, self) = (uint8_t)n;
    return BAWN_OK;
}

static enum bawn_status set_switch(void *options, const struct option *self, const char *val,
                                   struct bawn_error *err)
{
    int n = choice(val, "off|on");

    if (n < 0)
        return needed(self, val, err);
    *(bool *)option_field(options, self) = n;
    return BAWN_OK;
}

static enum bawn_status set_stream(void *options, const struct option *self, const char *val,
                                   struct bawn_error *err)
{
    struct bawn_stream_config *stream = option_field(options, self);
    int n = choice(val, "off|null|tty|file=|pty"); /* enum bawn_stream_mode */

    if (!strncmp(val, "socket=", 7) && val[7]) {
        stream->mode = BAWN_STREAM_SOCKET;
        return option_copy(&stream->socket, val + 7, err);
    }
    if (!strncmp(val, "file=", 5) && val[5]) {
        stream->mode = BAWN_STREAM_FILE;
        return option_copy(&stream->path, val + 5, err);
    }
    if (n < 0 || n == BAWN_STREAM_FILE)
        return needed(self, val, err);
    stream->mode = n;
    return BAWN_OK;
}

static enum bawn_status set_hugepages(void *options, const struct option *self, const char *val,
                                      struct bawn_error *err)
{
    static const uint64_t sizes[] = { 0, 0, 2u << 20, 1u << 30 };
    struct bawn_vm_config *cfg = option_field(options, self);
    int n = choice(val, self->arg);

    if (n < 0)
        return needed(self, val, err);
    cfg->hugepages = n > 0;
    cfg->hugepage_size = sizes[n];
    return BAWN_OK;
}

#define FORMATS "raw|qcow2"

/* So many a second. */
static bool rate(const char *val, struct bawn_rate_config *to)
{
    to->refill = 1000;
    return !bawn_size_parse(val, &to->size, NULL) && to->size && to->size <= BAWN_RATE_MAX;
}

/* One part of a disk's description; false: there is no such value. */
static bool set_disk_part(struct bawn_disk_config *disk, const char *name, char *val)
{
    int n;

    if (!strcmp(name, "bandwidth"))
        return rate(val, &disk->bytes);
    if (!strcmp(name, "ops"))
        return rate(val, &disk->ops);
    if (!strcmp(name, "backing"))
        return *val && (disk->backing = strdup(val));
    if (!strcmp(name, "id"))
        return *val && (disk->id = strdup(val));
    n = choice(val, strstr(name, "format") ? FORMATS : "off|on");
    if (!strcmp(name, "readonly"))
        disk->readonly = n;
    else if (!strcmp(name, "io_uring"))
        disk->uring = n;
    else if (!strcmp(name, "format"))
        disk->format = n;
    else
        disk->backing_format = n;
    return n >= 0;
}

static enum bawn_status set_disk(void *options, const struct option *self, const char *val,
                                 struct bawn_error *err)
{
    static const char *const names[] = { "readonly",  "format", "backing",  "backing-format",
                                         "bandwidth", "ops",    "io_uring", "id" };
    struct bawn_vm_config *cfg = option_field(options, self);
    char *path = part(val, "path");
    enum bawn_status st =
        path && *path ? bawn_vm_config_add_disk(cfg, path, err) : needed(self, val, err);
    unsigned parts = 1;

    free(path);
    for (size_t i = 0; !st && i < sizeof(names) / sizeof(names[0]); i++) {
        char *one = part(val, names[i]);

        parts += !!one;
        if (one && !set_disk_part(&cfg->disk[cfg->nr_disks - 1], names[i], one))
            st = needed(self, val, err);
        free(one);
    }
    return st || has_parts(val, parts) ? st : needed(self, val, err);
}

/* One part of a network device's description; false: there is no such value. */
static bool set_net_part(struct bawn_net_config *net, const char *name, char *val)
{
    uint64_t n;

    if (!strcmp(name, "mac"))
        return net->has_mac = bawn_mac_parse(val, net->mac);
    if (!strcmp(name, "tap"))
        return *val && (net->tap = strdup(val));
    if (!strcmp(name, "socket"))
        return *val && (net->socket = strdup(val));
    if (!strcmp(name, "id"))
        return *val && (net->id = strdup(val));
    if (!bawn_u64_parse(val, &n))
        return false;
    if (!strcmp(name, "fd"))
        net->fd[net->nr_fds++] = (int)n;
    else if (!strcmp(name, "mtu"))
        net->mtu = (uint16_t)n;
    else
        net->queues = (uint16_t)n;
    if (!strcmp(name, "num_queues"))
        return n >= 2 && n <= 2 * BAWN_NET_PAIRS && n % 2 == 0;
    return !strcmp(name, "fd") ? n <= INT_MAX : n >= BAWN_NET_MTU_MIN && n <= UINT16_MAX;
}

static enum bawn_status set_net(void *options, const struct option *self, const char *val,
                                struct bawn_error *err)
{
    static const char *const names[] = { "tap", "socket", "fd", "mac", "mtu", "num_queues", "id" };
    struct bawn_vm_config *cfg = option_field(options, self);
    enum bawn_status st = bawn_vm_config_add_net(cfg, err);
    unsigned parts = 0, sides = 0;

    for (size_t i = 0; !st && i < sizeof(names) / sizeof(names[0]); i++) {
        char *one = part(val, names[i]);

        parts += !!one;
        sides += one && i < 3;
        if (one && !set_net_part(&cfg->net[cfg->nr_nets - 1], names[i], one))
            st = needed(self, val, err);
        free(one);
    }
    return st || (sides == 1 && has_parts(val, parts)) ? st : needed(self, val, err);
}

static enum bawn_status set_balloon(void *options, const struct option *self, const char *val,
                                    struct bawn_error *err)
{
    struct bawn_balloon_config *balloon = option_field(options, self);
    char *size = part(val, "size"), *reporting = part(val, "reporting");
    int on = reporting ? choice(reporting, "off|on") : 0;
    bool ok = on >= 0 && (!size || !bawn_size_parse(size, &balloon->size, NULL)) &&
              (size || reporting) && has_parts(val, !!size + !!reporting);

    balloon->on = true;
    balloon->reporting = on > 0;
    free(size);
    free(reporting);
    return ok ? BAWN_OK : needed(self, val, err);
}

static enum bawn_status set_vsock(void *options, const struct option *self, const char *val,
                                  struct bawn_error *err)
{
    struct bawn_vm_config *cfg = option_field(options, self);
    char *cid = part(val, "cid"), *socket = part(val, "socket");
    enum bawn_status st;
    uint64_t n;

    if (cid && socket && *socket && bawn_u64_parse(cid, &n) && n >= BAWN_VSOCK_CID_MIN &&
        n < UINT32_MAX && has_parts(val, 2)) {
        cfg->vsock.cid = (uint32_t)n;
        st = option_copy(&cfg->vsock.socket, socket, err);
    } else {
        st = needed(self, val, err);
    }
    free(cid);
    free(socket);
    return st;
}

static enum bawn_status set_tpm(void *options, const struct option *self, const char *val,
                                struct bawn_error *err)
{
    if (strncmp(val, "socket=", 7) != 0 || !val[7])
        return needed(self, val, err);
    return option_copy(option_field(options, self), val + 7, err);
}

static enum bawn_status set_u64(void *options, const struct option *self, const char *val,
                                struct bawn_error *err)
{
    return bawn_u64_parse(val, option_field(options, self)) ? BAWN_OK : needed(self, val, err);
}

static enum bawn_status set_host_data(void *options, const struct option *self, const char *val,
                                      struct bawn_error *err)
{
    return bawn_hex_parse(val, option_field(options, self), BAWN_SNP_HOST_DATA_SIZE)
               ? BAWN_OK
               : needed(self, val, err);
}

static enum bawn_status set_digest(void *options, const struct option *self, const char *val,
                                   struct bawn_error *err)
{
    struct bawn_options *opt = options;

    opt->expect.given = bawn_hex_parse(val, opt->expect.digest, sizeof(opt->expect.digest));
    return opt->expect.given ? BAWN_OK : needed(self, val, err);
}

/* ---- Table ---- */

static const struct option options[] = {
    { "config", "FILE", "JSON file; other options override it", set_config, FIELD(cfg),
      .first = true },
    { "kernel", "FILE", "bzImage or PVH ELF image", option_copy_text, FIELD(cfg.kernel) },
    { "initrd", "FILE", "initial RAM disk", option_copy_text, FIELD(cfg.initrd) },
    { "cmdline", "TEXT", "kernel command line", option_copy_text, FIELD(cfg.cmdline) },
    { "firmware", "FILE", "the shim of an SEV-SNP machine", option_copy_text, FIELD(cfg.firmware) },
    { "cpus", "1..64|boot=N,max=N", "vCPUs (1), and how many there may be while it runs", set_cpus,
      FIELD(cfg) },
    { "memory", "64M..64G", "memory (512M)", set_size, FIELD(cfg.memory) },
    { "hugepages", "off|on|2M|1G", "memory from the host's pool of huge pages (off)", set_hugepages,
      FIELD(cfg) },
    { "thp", "on|off", "transparent huge pages, where the host has them (on)", set_switch,
      FIELD(cfg.thp) },
    { "serial", STREAMS, "COM1 (tty)", set_stream, FIELD(cfg.serial) },
    { "console", STREAMS, "virtio console (off)", set_stream, FIELD(cfg.console) },
    { "rng", "on|off", "virtio entropy device (on)", set_switch, FIELD(cfg.rng) },
    { "disk",
      "path=FILE[,readonly=on|off][,format=raw|qcow2][,backing=FILE][,backing-format=raw|qcow2]"
      "[,bandwidth=BYTES][,ops=N][,io_uring=on|off][,id=NAME]",
      "virtio disk, raw or qcow2; a qcow2 image's backing file; at most so much a second", set_disk,
      FIELD(cfg) },
    { "net", "tap=NAME|socket=PATH|fd=N[,mac=ADDRESS][,mtu=N][,num_queues=N][,id=NAME]",
      "virtio network device on a tap, or a stream socket such as passt's", set_net, FIELD(cfg) },
    { "balloon", "[size=SIZE][,reporting=on|off]",
      "memory the guest gives up, and what it has free", set_balloon, FIELD(cfg.balloon) },
    { "hotplug", "auto|off|on",
      "disks, networks and vCPUs come and go while it runs (auto: unless it is confidential)",
      set_choice, FIELD(cfg.hotplug) },
    { "vsock", "cid=N,socket=PATH", "virtio sockets", set_vsock, FIELD(cfg) },
    { "tpm", "socket=PATH", "TPM 2.0: swtpm's control socket", set_tpm, FIELD(cfg.tpm) },
    { "tee", "none|snp", "snp: a confidential machine (none)", set_choice, FIELD(cfg.snp.on) },
    { "snp-policy", "NUMBER", "guest policy (0x30000)", set_u64, FIELD(cfg.snp.policy) },
    { "host-data", "64 digits", "HOST_DATA of its reports", set_host_data,
      FIELD(cfg.snp.host_data) },
    { "id-block", "FILE", "ID block, raw or base64", option_copy_text, FIELD(cfg.snp.id_block) },
    { "id-auth", "FILE", "its authentication (the ID block's name with .auth)", option_copy_text,
      FIELD(cfg.snp.id_auth) },
    { "certs", "FILE", "certificate table for extended guest requests", option_copy_text,
      FIELD(cfg.snp.certs) },
    { "expect-measurement", "96 digits", "refuse to run a guest whose launch digest differs",
      set_digest, FIELD(expect) },
    { "policy", "FILE", "refuse to run what this launch policy does not allow; signed, in FILE.sig",
      option_set_text, FIELD(policy) },
    { "policy-key", "FILE", "public key of who signs policies (PEM)", option_set_text,
      FIELD(policy_key) },
    { "name", "NAME", "how bawn ps and the others call it (vm-PID)", option_set_text, FIELD(name) },
    { "api-socket", "path=PATH|fd=N", "serve the API there; without a kernel, wait for vm.create",
      option_set_text, FIELD(api_socket) },
    { "event-monitor", "path=PATH|fd=N", "tell there what becomes of the machine", option_set_text,
      FIELD(event_monitor) },
    { "until-unmonitored", NULL, "end when the event monitor's FIFO is removed", option_set_flag,
      FIELD(until_unmonitored) },
    { "restore", "FILE", "go on from this snapshot (as bawn restore FILE)", option_set_text,
      FIELD(restore) },
    { "key", "FILE|tpm:HANDLE[@PATH]",
      "key of snapshots: 32 bytes, or 64 hexadecimal digits; or what a TPM sealed", option_set_text,
      FIELD(key) },
    { "no-encryption", NULL, "the snapshot is without a key: whoever could write it is trusted",
      option_set_flag, FIELD(no_encryption) },
    { "read-first", NULL, "read all of the snapshot before its guest runs, not on demand",
      option_set_flag, FIELD(read_first) },
    { "incoming", "tls:HOST:PORT", "wait for a machine of another host (as bawn receive)",
      option_set_text, FIELD(incoming) },
    { "migration-cert", "FILE", "this host's certificate for migration, with its chain (PEM)",
      option_set_text, FIELD(migration.cert) },
    { "migration-key", "FILE", "its private key (PEM)", option_set_text, FIELD(migration.key) },
    { "migration-ca", "FILE", "the CA that the other host's must be of (PEM)", option_set_text,
      FIELD(migration.ca) },
    { "accel", "auto|bawn|kvm", "auto: /dev/bawn, else /dev/kvm", set_choice, FIELD(accel) },
    { "device", "PATH", "the module's device node", option_set_text, FIELD(device) },
    { "timeout", "1..1000000", "stop after so many seconds (exit code 5)", set_number,
      FIELD(timeout), .max = TIMEOUT_MAX },
    { "no-reboot", NULL, "exit when the guest resets itself", option_set_flag, FIELD(no_reboot) },
    { "stats", NULL, "print exit counts at the end", option_set_flag, FIELD(stats) },
    { "print-measurement", NULL, "print the predicted digest and its events", option_set_flag,
      FIELD(print_measurement) },
    { "dump-config", NULL, "print the configuration as JSON, and run nothing", option_set_flag,
      FIELD(dump_config) },
    { "quiet", NULL, "print errors only", option_set_flag, FIELD(quiet) },
    { "json", NULL, "print digest and end as JSON lines on stderr", option_set_flag, FIELD(json) },
    { "help", NULL, "print this help", option_set_flag, FIELD(help) },
};

static enum bawn_status unknown(const char *text, const char *command, struct bawn_error *err)
{
    (void)command;
    return bawn_fail(err, BAWN_E_USAGE, "unknown option %s; see bawn run --help", text);
}

static const struct option_table table = { OPTION_TABLE(options), .unknown = unknown };

void bawn_options_help(void)
{
    printf("Usage: bawn run [OPTION]...\n\nRuns a virtual machine until it powers off.\n\n");
    for (size_t i = 0; i < table.n; i++) {
        int len = printf("  --%s %s", options[i].name, options[i].arg ? options[i].arg : "");

        /* The longest have a line of their own. */
        printf("%s%*s%s\n", len >= HELP_COLUMN ? "\n" : "",
               len >= HELP_COLUMN ? HELP_COLUMN : HELP_COLUMN - len, "", options[i].help);
    }
    printf("\nAt the terminal, Ctrl-A x stops the machine and Ctrl-A h helps.\n"
           "Exit codes: 0 powered off, 1 failure, 2 usage, 3 guest panic, 4 guest crash, "
           "5 timeout.\n");
}

/* To be asked for explicitly: a file that anybody can read has all of the guest's memory. */
enum bawn_status bawn_options_key(const struct bawn_options *opt, struct bawn_image_key *key,
                                  struct bawn_error *err)
{
    if (!opt->key == !opt->no_encryption)
        return bawn_fail(err, BAWN_E_USAGE,
                         "one of --key FILE and --no-encryption is needed (under the name "
                         "cloud-hypervisor: BAWN_SNAPSHOT_KEY=FILE, or =none, in its environment)");
    key->secret = false;
    return opt->key ? bawn_image_key_read(key, opt->key, err) : BAWN_OK;
}

static enum bawn_status open_snapshot(struct bawn_options *opt, struct bawn_error *err)
{
    struct bawn_image_key key;
    struct bawn_error why = { .msg = "" };
    enum bawn_status st = bawn_options_key(opt, &key, err);

    if (st)
        return st;
    opt->snapshot_fd = open(opt->restore, O_RDONLY | O_CLOEXEC);
    if (opt->snapshot_fd < 0)
        st = bawn_fail(&why, BAWN_E_IO, "cannot be opened: %m");
    else
        st = bawn_snapshot_open(&opt->snapshot, opt->snapshot_fd, &key, &why);
    if (!st)
        st = bawn_snapshot_open_bases(&opt->snapshot, opt->restore, &key, &why);
    explicit_bzero(&key, sizeof(key));
    return st ? bawn_fail(err, st, "%s: %.300s", opt->restore, why.msg) : BAWN_OK;
}

enum bawn_status bawn_options_restore(struct bawn_options *opt, struct bawn_error *err)
{
    enum bawn_status st = open_snapshot(opt, err);

    if (st)
        return st;
    bawn_vm_config_free(&opt->cfg);
    bawn_vm_config_init(&opt->cfg);
    return bawn_vm_config_parse(&opt->cfg, opt->snapshot.config, strlen(opt->snapshot.config), err);
}

static enum bawn_status parse(struct bawn_options *opt, int argc, char **argv,
                              struct bawn_error *err)
{
    return options_read(&table, "run", argc, argv, opt, NULL, err);
}

enum bawn_status bawn_options_parse(struct bawn_options *opt, int argc, char **argv,
                                    struct bawn_error *err)
{
    enum bawn_status st;

    memset(opt, 0, sizeof(*opt));
    opt->snapshot_fd = -1;
    bawn_vm_config_init(&opt->cfg);
    opt->argc = argc;
    opt->argv = argv;
    st = parse(opt, argc, argv, err);
    if (!st && opt->incoming && (opt->restore || opt->cfg.kernel))
        st = bawn_fail(err, BAWN_E_USAGE,
                       "--incoming: the machine comes with its configuration, kernel and memory");
    if (st || opt->help || !opt->restore)
        return st;
    st = bawn_options_restore(opt, err);
    return st ? st : bawn_options_over(opt, err);
}

enum bawn_status bawn_options_over(struct bawn_options *opt, struct bawn_error *err)
{
    return parse(opt, opt->argc, opt->argv, err);
}

void bawn_options_free(struct bawn_options *opt)
{
    bawn_snapshot_close(&opt->snapshot);
    if (opt->snapshot_fd >= 0)
        close(opt->snapshot_fd);
    opt->snapshot_fd = -1;
    bawn_vm_config_free(&opt->cfg);
}

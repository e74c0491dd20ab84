// SPDX-License-Identifier: Apache-2.0
/*
 * bawn-measure plain: the launch digest that bawn.ko reports for a launch, from the
 * configuration, the kernel and the initrd alone. Trusts none of them; the images are parsed in
 * the sandbox.
 */
#include "attest/measure/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <endian.h>
#include <jansson.h>

#include "launch/launch.h"

struct plain_options {
    struct bawn_vm_config cfg;
    bool json, log, help;
};

/* ---- Options ---- */

static enum bawn_status set_text(char **text, const char *value, struct bawn_error *err)
{
    char *copy = strdup(value);

    if (!copy)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    free(*text);
    *text = copy;
    return BAWN_OK;
}

static enum bawn_status set_config(void *options, const struct option *self, const char *value,
                                   struct bawn_error *err)
{
    struct plain_options *o = options;

    (void)self;
    return bawn_vm_config_load(&o->cfg, value, err);
}

static enum bawn_status set_kernel(void *options, const struct option *self, const char *value,
                                   struct bawn_error *err)
{
    struct plain_options *o = options;

    (void)self;
    return set_text(&o->cfg.kernel, value, err);
}

static enum bawn_status set_initrd(void *options, const struct option *self, const char *value,
                                   struct bawn_error *err)
{
    struct plain_options *o = options;

    (void)self;
    return set_text(&o->cfg.initrd, value, err);
}

static enum bawn_status set_cmdline(void *options, const struct option *self, const char *value,
                                    struct bawn_error *err)
{
    struct plain_options *o = options;

    (void)self;
    return set_text(&o->cfg.cmdline, value, err);
}

static enum bawn_status set_cpus(void *options, const struct option *self, const char *value,
                                 struct bawn_error *err)
{
    struct plain_options *o = options;

    (void)self;
    char *end;
    unsigned long n = strtoul(value, &end, 10);

    if (value[0] < '0' || value[0] > '9' || *end || n < 1 || n > BAWN_MAX_VCPUS)
        return bawn_fail(err, BAWN_E_USAGE, "--cpus %s: must be a number from 1 to %d", value,
                         BAWN_MAX_VCPUS);
    o->cfg.vcpus = (unsigned)n;
    return BAWN_OK;
}

static enum bawn_status set_memory(void *options, const struct option *self, const char *value,
                                   struct bawn_error *err)
{
    struct plain_options *o = options;

    (void)self;
    return bawn_size_parse(value, &o->cfg.memory, err);
}

/* Only whether there is a COM1 shows in the launch; the words are those of `bawn run`. */
static enum bawn_status set_serial(void *options, const struct option *self, const char *value,
                                   struct bawn_error *err)
{
    struct plain_options *o = options;

    (void)self;
    bool file = !strncmp(value, "file=", 5) && value[5];

    if (!file && strcmp(value, "off") && strcmp(value, "null") && strcmp(value, "tty"))
        return bawn_fail(err, BAWN_E_USAGE, "--serial %s: must be off, null, tty or file=PATH",
                         value);
    o->cfg.serial.mode = strcmp(value, "off") ? BAWN_STREAM_NULL : BAWN_STREAM_OFF;
    return BAWN_OK;
}

static const struct option options[] = {
#define OPT(f) .field = offsetof(struct plain_options, f)
    { "config", "FILE", "JSON configuration; the other options override it", set_config, 0, 0 },
    { "kernel", "FILE", "Linux bzImage or PVH ELF image", set_kernel, 0, 0 },
    { "initrd", "FILE", "initial RAM disk", set_initrd, 0, 0 },
    { "cmdline", "TEXT", "kernel command line", set_cmdline, 0, 0 },
    { "cpus", "N", "vCPUs, 1 to 64 (1)", set_cpus, 0, 0 },
    { "memory", "SIZE", "memory, 64M to 64G (512M)", set_memory, 0, 0 },
    { "serial", "MODE", "COM1: off, null, tty or file=PATH (tty)", set_serial, 0, 0 },
    { "json", NULL, "print JSON", set_flag, OPT(json) },
    { "log", NULL, "print the events that the digest is made of", set_flag, OPT(log) },
    { "help", NULL, "print this help", set_flag, OPT(help) },
#undef OPT
};

#define NR_OPTIONS (sizeof(options) / sizeof(options[0]))

static void print_help(void)
{
    printf("Usage: bawn-measure plain [OPTION]...\n\n"
           "Prints the launch digest that bawn.ko will report for a plain (not confidential) VM.\n"
           "\n");
    options_help(options, NR_OPTIONS, 0);
}

/* Two passes: --config first, wherever it stands, then what overrides it. */
static enum bawn_status parse_options(struct plain_options *o, int argc, char **argv,
                                      struct bawn_error *err)
{
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 1; i < argc;) {
            const struct option *opt;
            const char *value = NULL;
            enum bawn_status st =
                option_next(options, NR_OPTIONS, 0, argc, argv, &i, &opt, &value, err);

            if (st == BAWN_OK && (opt->set == set_config) == (pass == 0))
                st = opt->set(o, opt, value, err);
            if (st != BAWN_OK)
                return st;
        }
    }
    return BAWN_OK;
}

/* ---- Output ---- */

static void print_text(const struct plain_options *o, const struct bawn_measure_log *log)
{
    if (o->log)
        bawn_measure_log_print(stdout, log);
    printf("%s\n", bawn_digest_hex(log->digest).text);
}

static json_t *json_event(const struct bawn_measure_event *e)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:s}", "type", bawn_measure_type_name(le32toh(e->type)),
                     "index", (json_int_t)le32toh(e->index), "gpa", (json_int_t)le64toh(e->gpa),
                     "size", (json_int_t)le64toh(e->size), "sha384",
                     bawn_digest_hex(e->digest).text);
}

static enum bawn_status print_json(const struct plain_options *o,
                                   const struct bawn_measure_log *log, struct bawn_error *err)
{
    json_t *root = json_pack("{s:i, s:s}", "version", BAWN_MEASURE_VERSION, "digest",
                             bawn_digest_hex(log->digest).text);
    json_t *events = o->log ? json_array() : NULL;
    bool ok = root && (!o->log || events);

    for (unsigned i = 0; ok && o->log && i < log->nr_events; i++)
        ok = !json_array_append_new(events, json_event(&log->events[i]));
    if (ok && events)
        ok = !json_object_set(root, "events", events);
    ok = ok && !json_dumpf(root, stdout, JSON_INDENT(2)) && putchar('\n') != EOF;
    json_decref(events);
    json_decref(root);
    return ok ? BAWN_OK : bawn_fail(err, BAWN_E_IO, "cannot write the JSON output");
}

/* ---- The command ---- */

static enum bawn_status measure_plan(const struct plain_options *o, const struct bawn_file *kernel,
                                     const struct bawn_file *initrd, struct bawn_error *err)
{
    struct bawn_launch_plan plan;
    struct bawn_measure_log log;
    enum bawn_status st =
        bawn_launch_plan(&plan, &o->cfg, kernel->data, kernel->len, initrd->data, initrd->len, err);

    if (st != BAWN_OK)
        return st;
    st = bawn_launch_measure(&o->cfg, &plan, &log, err);
    if (st == BAWN_OK) {
        if (o->json)
            st = print_json(o, &log, err);
        else
            print_text(o, &log);
        bawn_measure_log_free(&log);
    }
    bawn_launch_plan_free(&plan);
    return st;
}

static enum bawn_status measure(const struct plain_options *o, struct bawn_error *err)
{
    struct bawn_file kernel = { 0 }, initrd = { 0 };
    enum bawn_status st = bawn_vm_config_check(&o->cfg, err);

    if (st == BAWN_OK)
        st = bawn_file_read(&kernel, o->cfg.kernel, BAWN_KERNEL_MAX, err);
    if (st == BAWN_OK && o->cfg.initrd)
        st = bawn_file_read(&initrd, o->cfg.initrd, BAWN_INITRD_MAX, err);
    if (st == BAWN_OK)
        st = confine(err);
    if (st == BAWN_OK)
        st = measure_plan(o, &kernel, &initrd, err);
    bawn_file_free(&initrd);
    bawn_file_free(&kernel);
    return st;
}

static enum bawn_status run(const struct command *self, int argc, char **argv,
                            struct bawn_error *err)
{
    struct plain_options o = { .json = false };
    enum bawn_status st;

    (void)self;
    bawn_vm_config_init(&o.cfg);
    st = parse_options(&o, argc, argv, err);
    if (st == BAWN_OK && o.help)
        print_help();
    else if (st == BAWN_OK)
        st = measure(&o, err);
    bawn_vm_config_free(&o.cfg);
    return st;
}

const struct command plain_command = {
    "plain",
    "launch digest of a plain VM, as bawn.ko reports it",
    run,
    0,
};

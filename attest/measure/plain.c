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

static const struct option options[] = {
#define OPT(f) .field = offsetof(struct plain_options, f)
    { "config", "FILE", "JSON configuration; the other options override it", set_config, OPT(cfg),
      .first = true },
    { "kernel", "FILE", "Linux bzImage or PVH ELF image", option_copy_text, OPT(cfg.kernel) },
    { "initrd", "FILE", "initial RAM disk", option_copy_text, OPT(cfg.initrd) },
    { "cmdline", "TEXT", "kernel command line", option_copy_text, OPT(cfg.cmdline) },
    { "cpus", "N", "vCPUs, 1 to 64 (1); or boot=N,max=N", set_cpus, OPT(cfg) },
    { "memory", "SIZE", "memory, 64M to 64G (512M)", set_memory, OPT(cfg.memory) },
    { "serial", "MODE", "COM1: off, null, tty or file=PATH (tty)", set_serial, OPT(cfg.serial) },
    { "hotplug", "WORD", "devices come and go: auto, off or on (auto: on)", set_hotplug,
      OPT(cfg.hotplug) },
    { "json", NULL, "print JSON", option_set_flag, OPT(json) },
    { "log", NULL, "print the events that the digest is made of", option_set_flag, OPT(log) },
    { "help", NULL, "print this help", option_set_flag, OPT(help) },
#undef OPT
};

static const struct option_table table = { OPTION_TABLE(options), .unknown = unknown_option };

static void print_help(void)
{
    printf("Usage: bawn-measure plain [OPTION]...\n\n"
           "Prints the launch digest that bawn.ko will report for a plain (not confidential) VM.\n"
           "\n");
    options_print(&table, "plain", 0);
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
    st = options_read(&table, "plain", argc - 1, argv + 1, &o, NULL, err);
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

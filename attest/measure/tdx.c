// SPDX-License-Identifier: Apache-2.0
/*
 * bawn-measure tdx: MRTD of a TDVF image, and RTMR1 and RTMR2 of a kernel that it starts.
 */
#include "attest/measure/measure.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include <bawn/measure_launch.h>

#include "launch/launch.h"

struct tdx_options {
    const char *firmware, *kernel, *initrd, *cmdline, *memory;
    bool two_pass, json, base64, log, help;
};

static const struct option options[] = {
#define OPT(f) .field = offsetof(struct tdx_options, f)
    { "firmware", "FILE", "OVMF or other TDVF image", option_set_text, OPT(firmware) },
    { "two-pass", NULL, "add all pages of a section before measuring any, as QEMU 8 did",
      option_set_flag, OPT(two_pass) },
    { "kernel", "FILE", "bzImage that the firmware starts: predict RTMR1 and RTMR2",
      option_set_text, OPT(kernel) },
    { "initrd", "FILE", "its initial RAM disk", option_set_text, OPT(initrd) },
    { "cmdline", "TEXT", "its command line", option_set_text, OPT(cmdline) },
    { "memory", "SIZE", "memory of the guest: predict for a QEMU that rewrites the kernel",
      option_set_text, OPT(memory) },
    { "log", NULL, "print the events that RTMR1 and RTMR2 are made of", option_set_flag, OPT(log) },
    { "output-format", "FORMAT", "hex or base64 (hex)", set_format, OPT(base64) },
    { "json", NULL, "print JSON", option_set_flag, OPT(json) },
    { "help", NULL, "print this help", option_set_flag, OPT(help) },
#undef OPT
};

static const struct option_table table = { OPTION_TABLE(options), .unknown = unknown_option };

struct tdx_in {
    struct bawn_bytes firmware;
    enum bawn_tdx_order order;
    bool has_kernel;
    struct bawn_tdx_boot boot;
};

struct tdx_out {
    uint8_t mrtd[BAWN_TDX_DIGEST_SIZE];
    struct bawn_tdx_prediction prediction;
};

static enum bawn_status parse(const void *in, void *out, struct bawn_error *err)
{
    const struct tdx_in *i = in;
    struct tdx_out *o = out;
    enum bawn_status st = bawn_tdx_measure(i->firmware, i->order, o->mrtd, err);

    if (st == BAWN_OK && i->has_kernel)
        st = bawn_tdx_predict(&i->boot, &o->prediction, err);
    return st;
}

/* ---- Output ---- */

static void print_text(const struct tdx_options *o, const struct tdx_out *out)
{
    const struct bawn_tdx_prediction *p = &out->prediction;

    if (!o->kernel) {
        puts(digest_text(out->mrtd, sizeof(out->mrtd), o->base64).text);
        return;
    }
    for (size_t i = 0; o->log && i < p->n; i++)
        printf("rtmr%u 0x%08x %s  %s\n", p->events[i].rtmr, p->events[i].type,
               digest_text(p->events[i].digest, BAWN_TDX_DIGEST_SIZE, o->base64).text,
               p->events[i].what);
    printf("mrtd  %s\n", digest_text(out->mrtd, sizeof(out->mrtd), o->base64).text);
    for (unsigned r = 1; r <= 2; r++)
        printf("rtmr%u %s\n", r, digest_text(p->rtmr[r], BAWN_TDX_DIGEST_SIZE, o->base64).text);
}

static json_t *json_event(const struct tdx_options *o, const struct bawn_tdx_event *e)
{
    return json_pack("{s:i, s:I, s:s, s:s}", "rtmr", (int)e->rtmr, "type", (json_int_t)e->type,
                     "digest", digest_text(e->digest, BAWN_TDX_DIGEST_SIZE, o->base64).text,
                     "event", e->what);
}

static enum bawn_status print_json(const struct tdx_options *o, const struct tdx_out *out,
                                   struct bawn_error *err)
{
    const struct bawn_tdx_prediction *p = &out->prediction;
    json_t *root = json_pack("{s:s, s:s, s:s}", "tee", "tdx", "order",
                             o->two_pass ? "two-pass" : "single-pass", "mrtd",
                             digest_text(out->mrtd, sizeof(out->mrtd), o->base64).text);
    json_t *events = o->kernel ? json_array() : NULL;
    bool ok = root && (!o->kernel || events);

    for (unsigned r = 1; ok && o->kernel && r <= 2; r++) {
        const char *name = r == 1 ? "rtmr1" : "rtmr2";
        struct digest_text text = digest_text(p->rtmr[r], BAWN_TDX_DIGEST_SIZE, o->base64);

        ok = !json_object_set_new(root, name, json_string(text.text));
    }
    for (size_t i = 0; ok && o->kernel && i < p->n; i++)
        ok = !json_array_append_new(events, json_event(o, &p->events[i]));
    if (ok && o->log && o->kernel)
        ok = !json_object_set(root, "events", events);
    ok = ok && !json_dumpf(root, stdout, JSON_INDENT(2)) && putchar('\n') != EOF;
    json_decref(events);
    json_decref(root);
    return ok ? BAWN_OK : bawn_fail(err, BAWN_E_IO, "cannot write the JSON output");
}

/* ---- The command ---- */

static void print_help(void)
{
    printf("Usage: bawn-measure tdx --firmware FILE [OPTION]...\n\n"
           "Prints the MRTD that a TD with this firmware will report and, with --kernel, the\n"
           "RTMR1 and RTMR2 of a kernel that the VMM hands to the firmware. RTMR0 depends on the\n"
           "VMM's memory map and ACPI tables and on the UEFI variables: it is not predicted.\n\n");
    options_print(&table, "tdx", 0);
    printf("\nExamples:\n"
           "  bawn-measure tdx --firmware /usr/share/ovmf/OVMF.fd\n"
           "  bawn-measure tdx --firmware OVMF.fd --kernel vmlinuz --initrd initrd.img \\\n"
           "      --cmdline 'console=ttyS0' --json\n");
}

static enum bawn_status check(const struct tdx_options *o, struct bawn_error *err)
{
    if (!o->firmware)
        return bawn_fail(err, BAWN_E_USAGE, "--firmware is missing");
    if (!o->kernel && (o->initrd || o->cmdline || o->memory || o->log))
        return bawn_fail(err, BAWN_E_USAGE,
                         "--initrd, --cmdline, --memory and --log need --kernel");
    return BAWN_OK;
}

static enum bawn_status read_kernel(const struct tdx_options *o, struct tdx_in *in,
                                    struct input *kernel, struct bawn_error *err)
{
    enum bawn_status st = input_read(kernel, o->kernel, BAWN_KERNEL_MAX, err);

    in->has_kernel = true;
    in->boot.kernel = (struct bawn_bytes){ kernel->data, kernel->len };
    in->boot.cmdline = o->cmdline;
    if (st == BAWN_OK && o->initrd)
        st = input_digest(o->initrd, "SHA384", in->boot.initrd_digest, &in->boot.initrd_size, err);
    if (st == BAWN_OK && o->memory)
        st = bawn_size_parse(o->memory, &in->boot.memory, err);
    if (st == BAWN_OK && o->memory && !in->boot.memory)
        st = bawn_fail(err, BAWN_E_USAGE, "--memory %s: must not be 0", o->memory);
    return st;
}

static enum bawn_status run(const struct command *self, int argc, char **argv,
                            struct bawn_error *err)
{
    struct input firmware = { NULL, 0 }, kernel = { NULL, 0 };
    struct tdx_options o = { .json = false };
    struct tdx_in in = { .has_kernel = false };
    struct tdx_out out;
    enum bawn_status st = options_read(&table, self->name, argc - 1, argv + 1, &o, NULL, err);

    if (st == BAWN_OK && o.help) {
        print_help();
        return BAWN_OK;
    }
    if (st == BAWN_OK)
        st = check(&o, err);
    if (st == BAWN_OK)
        st = input_read(&firmware, o.firmware, BAWN_FIRMWARE_MAX, err);
    if (st == BAWN_OK && o.kernel)
        st = read_kernel(&o, &in, &kernel, err);
    in.firmware = (struct bawn_bytes){ firmware.data, firmware.len };
    in.order = o.two_pass ? BAWN_TDX_TWO_PASS : BAWN_TDX_SINGLE_PASS;
    if (st == BAWN_OK)
        st = parse_apart(parse, &in, &out, sizeof(out), err);
    input_free(&kernel);
    input_free(&firmware);
    if (st == BAWN_OK && o.json)
        st = print_json(&o, &out, err);
    else if (st == BAWN_OK)
        print_text(&o, &out);
    return st;
}

const struct command tdx_command = {
    "tdx",
    "MRTD of a TDX guest, and RTMR1 and RTMR2 of its kernel",
    run,
    0,
};

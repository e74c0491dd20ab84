// SPDX-License-Identifier: Apache-2.0
/*
 * bawn-measure snp --config FILE, or --firmware FILE: the launch digest of an SEV-SNP guest that
 * `bawn run` starts through the shim, from its configuration alone; and its ID block. Trusts none
 * of the inputs, which are parsed in the sandbox.
 */
#include "attest/measure/snp_vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "launch/snp.h"

#define SHIM_MAX ((size_t)1 << 20)
#define KEY_MAX ((size_t)64 << 10)

struct vm_options {
    struct bawn_vm_config cfg;
    const char *id_block, *id_auth, *id_key, *author_key;
    struct number guest_svn;
    bool base64, json, pages, help;
};

struct vm_in {
    struct bawn_vm_config cfg; /* borrowed */
    struct bawn_snp_files files;
    bool sign;
    struct bawn_snp_id id;
    struct bawn_bytes id_key, author_key;
};

struct vm_out {
    uint8_t digest[BAWN_SNP_DIGEST_SIZE];
    struct bawn_snp_id_signed id;
    struct {
        uint32_t type;
        uint64_t gpa, size;
    } page[BAWN_SNP_REGIONS_MAX];
    uint32_t nr_pages, vcpus;
};

/* ---- In the sandbox ---- */

static enum bawn_status parse(const void *in, void *out, struct bawn_error *err)
{
    const struct vm_in *i = in;
    struct vm_out *o = out;
    struct bawn_snp_launch plan;
    enum bawn_status st = bawn_snp_launch_plan(&plan, &i->cfg, &i->files, err);

    if (st != BAWN_OK)
        return st;
    memcpy(o->digest, plan.digest, sizeof(o->digest));
    o->vcpus = plan.vcpus;
    o->nr_pages = plan.nr_regions;
    for (uint32_t n = 0; n < o->nr_pages; n++) {
        o->page[n].type = plan.region[n].type;
        o->page[n].gpa = plan.region[n].gpa;
        o->page[n].size = plan.region[n].size;
    }
    bawn_snp_launch_free(&plan);
    if (i->sign) {
        struct bawn_snp_id id = i->id;

        memcpy(id.launch_digest, o->digest, sizeof(id.launch_digest));
        st = bawn_snp_id_sign(&id, i->id_key, i->author_key, &o->id, err);
    }
    return st;
}

/* ---- Options ---- */

static enum bawn_status set_policy(void *options, const struct option *self, const char *value,
                                   struct bawn_error *err)
{
    if (!bawn_u64_parse(value, option_field(options, self)))
        return bawn_fail(err, BAWN_E_USAGE, "--policy %s: must be a number, such as 0x30000",
                         value);
    return BAWN_OK;
}

static const struct option options[] = {
#define OPT(f) .field = offsetof(struct vm_options, f)
    { "config", "FILE", "JSON configuration; the other options override it", set_config, OPT(cfg),
      .first = true },
    { "firmware", "FILE", "the shim's image (" BAWN_SHIM_PATH ")", option_copy_text,
      OPT(cfg.firmware) },
    { "kernel", "FILE", "Linux bzImage", option_copy_text, OPT(cfg.kernel) },
    { "initrd", "FILE", "initial RAM disk", option_copy_text, OPT(cfg.initrd) },
    { "cmdline", "TEXT", "kernel command line", option_copy_text, OPT(cfg.cmdline) },
    { "cpus", "N", "vCPUs, 1 to 64 (1)", set_cpus, OPT(cfg) },
    { "memory", "SIZE", "memory, 64M to 64G (512M)", set_memory, OPT(cfg.memory) },
    { "serial", "MODE", "COM1: off, null, tty or file=PATH (tty)", set_serial, OPT(cfg.serial) },
    { "hotplug", "WORD", "devices come and go: auto, off or on (auto: off)", set_hotplug,
      OPT(cfg.hotplug) },
    { "id-block", "FILE", "write an ID block in base64, and its authentication to FILE.auth",
      option_set_text, OPT(id_block) },
    { "id-auth", "FILE", "write the authentication there instead", option_set_text, OPT(id_auth) },
    { "id-key", "FILE", "P-384 key that signs the ID block", option_set_text, OPT(id_key) },
    { "author-key", "FILE", "P-384 key that signs the ID key", option_set_text, OPT(author_key) },
    { "guest-svn", "N", "security version in the ID block (0)", set_number, OPT(guest_svn) },
    { "policy", "N", "guest policy in the ID block (0x30000)", set_policy, OPT(cfg.snp.policy) },
    { "pages", NULL, "print the launch's pages, too", option_set_flag, OPT(pages) },
    { "output-format", "FORMAT", "hex or base64 (hex)", set_format, OPT(base64) },
    { "json", NULL, "print JSON", option_set_flag, OPT(json) },
    { "help", NULL, "print this help", option_set_flag, OPT(help) },
#undef OPT
};

static const struct option_table table = { OPTION_TABLE(options), .unknown = unknown_option };

bool snp_vm_meant(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!strncmp(argv[i], "--config", 8) || !strncmp(argv[i], "--firmware", 10))
            return true;
    }
    return false;
}

static enum bawn_status parse_options(struct vm_options *o, int argc, char **argv,
                                      struct bawn_error *err)
{
    enum bawn_status st = options_read(&table, "snp", argc - 1, argv + 1, o, NULL, err);

    if (st != BAWN_OK)
        return st;
    if (!o->id_block && (o->id_auth || o->id_key || o->author_key || o->guest_svn.given))
        return bawn_fail(err, BAWN_E_USAGE,
                         "--id-auth, --id-key, --author-key and --guest-svn need --id-block");
    if (o->id_block && !o->id_key)
        return bawn_fail(err, BAWN_E_USAGE, "--id-block needs --id-key");
    if (o->guest_svn.value > UINT32_MAX)
        return bawn_fail(err, BAWN_E_USAGE, "--guest-svn must be at most 4294967295");
    return BAWN_OK;
}

/* ---- Inputs and outputs ---- */

struct inputs {
    struct bawn_file shim, kernel, initrd;
    struct input id_key, author_key;
};

static enum bawn_status read_inputs(const struct vm_options *o, struct vm_in *in, struct inputs *f,
                                    struct bawn_error *err)
{
    const struct bawn_vm_config *cfg = &o->cfg;
    enum bawn_status st = bawn_vm_config_check(cfg, err);

    if (st == BAWN_OK)
        st =
            bawn_file_read(&f->shim, cfg->firmware ? cfg->firmware : BAWN_SHIM_PATH, SHIM_MAX, err);
    if (st == BAWN_OK)
        st = bawn_file_read(&f->kernel, cfg->kernel, BAWN_KERNEL_MAX, err);
    if (st == BAWN_OK && cfg->initrd)
        st = bawn_file_read(&f->initrd, cfg->initrd, BAWN_INITRD_MAX, err);
    if (st == BAWN_OK && o->id_key)
        st = input_read(&f->id_key, o->id_key, KEY_MAX, err);
    if (st == BAWN_OK && o->author_key)
        st = input_read(&f->author_key, o->author_key, KEY_MAX, err);
    in->cfg = *cfg;
    in->files.shim = (struct bawn_bytes){ f->shim.data, f->shim.len };
    in->files.kernel = (struct bawn_bytes){ f->kernel.data, f->kernel.len };
    in->files.initrd = (struct bawn_bytes){ f->initrd.data, f->initrd.len };
    in->id_key = (struct bawn_bytes){ f->id_key.data, f->id_key.len };
    in->author_key = (struct bawn_bytes){ f->author_key.data, f->author_key.len };
    in->sign = o->id_block;
    in->id.policy = cfg->snp.policy;
    in->id.guest_svn = (uint32_t)o->guest_svn.value;
    return st;
}

static enum bawn_status write_id(const struct vm_options *o, const struct vm_out *out,
                                 struct bawn_error *err)
{
    char path[4096];
    enum bawn_status st = output_base64(o->id_block, out->id.block, sizeof(out->id.block), err);

    if (st != BAWN_OK)
        return st;
    if (!o->id_auth && (size_t)snprintf(path, sizeof(path), "%s.auth", o->id_block) >= sizeof(path))
        return bawn_fail(err, BAWN_E_USAGE, "--id-block: the name is too long");
    return output_base64(o->id_auth ? o->id_auth : path, out->id.auth, sizeof(out->id.auth), err);
}

static void print_text(const struct vm_options *o, const struct vm_out *out)
{
    struct bawn_snp_launch plan = { .nr_regions = out->nr_pages, .vcpus = out->vcpus };

    for (uint32_t i = 0; i < out->nr_pages && i < BAWN_SNP_REGIONS_MAX; i++)
        plan.region[i] = (struct bawn_snp_region){
            .type = (enum bawn_snp_page)out->page[i].type,
            .gpa = out->page[i].gpa,
            .size = out->page[i].size,
        };
    if (o->pages)
        bawn_snp_launch_print(stdout, &plan);
    puts(digest_text(out->digest, sizeof(out->digest), o->base64).text);
    if (!o->id_block)
        return;
    printf("id_key_digest %s\n", digest_text(out->id.id_key_digest, 48, o->base64).text);
    if (o->author_key)
        printf("author_key_digest %s\n",
               digest_text(out->id.author_key_digest, 48, o->base64).text);
}

static bool put_digest(json_t *root, const char *key, const uint8_t *digest, bool base64)
{
    return !json_object_set_new(root, key, json_string(digest_text(digest, 48, base64).text));
}

static enum bawn_status print_json(const struct vm_options *o, const struct vm_out *out,
                                   struct bawn_error *err)
{
    json_t *root = json_pack("{s:s, s:i}", "tee", "sev-snp", "vcpus", (int)out->vcpus);
    bool ok = root && put_digest(root, "launch_digest", out->digest, o->base64);

    if (ok && o->id_block)
        ok = put_digest(root, "id_key_digest", out->id.id_key_digest, o->base64);
    if (ok && o->author_key)
        ok = put_digest(root, "author_key_digest", out->id.author_key_digest, o->base64);
    ok = ok && !json_dumpf(root, stdout, JSON_INDENT(2)) && putchar('\n') != EOF;
    json_decref(root);
    return ok ? BAWN_OK : bawn_fail(err, BAWN_E_IO, "cannot write the JSON output");
}

static void print_help(void)
{
    printf("Usage: bawn-measure snp --config FILE [OPTION]...\n"
           "       bawn-measure snp --firmware FILE --kernel FILE [OPTION]...\n\n"
           "Prints the launch digest of an SEV-SNP guest that `bawn run` starts through the "
           "shim.\n\n");
    options_print(&table, "snp", 0);
    printf("\nExamples:\n"
           "  bawn-measure snp --config vm.json\n"
           "  bawn-measure snp --config vm.json --id-block guest.id --id-key id.pem\n");
}

static enum bawn_status measure(const struct vm_options *o, struct bawn_error *err)
{
    struct inputs files = { .id_key = { NULL, 0 } };
    struct vm_in in = { .sign = false };
    struct vm_out out;
    enum bawn_status st = read_inputs(o, &in, &files, err);

    if (st == BAWN_OK)
        st = parse_apart(parse, &in, &out, sizeof(out), err);
    if (st == BAWN_OK && o->id_block)
        st = write_id(o, &out, err);
    if (st == BAWN_OK && o->json)
        st = print_json(o, &out, err);
    else if (st == BAWN_OK)
        print_text(o, &out);
    input_free(&files.author_key);
    input_free(&files.id_key);
    bawn_file_free(&files.initrd);
    bawn_file_free(&files.kernel);
    bawn_file_free(&files.shim);
    return st;
}

enum bawn_status snp_vm_run(int argc, char **argv, struct bawn_error *err)
{
    struct vm_options o = { .json = false };
    enum bawn_status st;

    bawn_vm_config_init(&o.cfg);
    st = parse_options(&o, argc, argv, err);
    o.cfg.snp.on = true;
    if (st == BAWN_OK && o.help)
        print_help();
    else if (st == BAWN_OK)
        st = measure(&o, err);
    bawn_vm_config_free(&o.cfg);
    return st;
}

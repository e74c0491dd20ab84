// SPDX-License-Identifier: Apache-2.0
/*
 * bawn-measure snp, snp-ovmf-hash, sev and seves: launch digests of AMD's guests with OVMF, and
 * the ID block of SEV-SNP. The options are those of sev-snp-measure.
 */
#include "attest/measure/measure.h"
#include "attest/measure/snp_vm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include <bawn/measure_launch.h>

enum mode { SNP = 1 << 0, SNP_FIRMWARE = 1 << 1, SEV = 1 << 2, SEVES = 1 << 3 };

#define KEY_MAX ((size_t)64 << 10)

struct sev_options {
    const char *ovmf, *kernel, *initrd, *append;
    const char *vcpu_type, *vmm_type, *ovmf_hash;
    struct number vcpus, vcpu_sig, family, model, stepping, features;
    const char *id_block, *id_auth, *id_key, *author_key, *family_id, *image_id;
    struct number guest_svn, policy;
    bool dump_vmsa, base64, json, help;
};

#define VCPUS (SNP | SEVES)

static const struct option options[] = {
#define OPT(f, c) .field = offsetof(struct sev_options, f), .commands = (c)
    { "ovmf", "FILE", "OVMF image", option_set_text, OPT(ovmf, NULL) },
    { "vcpus", "N", "number of vCPUs, 1 to 512", set_number, OPT(vcpus, "snp seves") },
    { "vcpu-type", "MODEL", "CPU model as QEMU names it: EPYC-v4, EPYC-Milan, ...", option_set_text,
      OPT(vcpu_type, "snp seves") },
    { "vcpu-sig", "N", "or its CPUID signature: 0x800f12", set_number, OPT(vcpu_sig, "snp seves") },
    { "vcpu-family", "N", "or its family, ...", set_number, OPT(family, "snp seves") },
    { "vcpu-model", "N", "... model ...", set_number, OPT(model, "snp seves") },
    { "vcpu-stepping", "N", "... and stepping", set_number, OPT(stepping, "snp seves") },
    { "vmm-type", "VMM", "QEMU, ec2, KRUN or gce (QEMU)", option_set_text,
      OPT(vmm_type, "snp seves") },
    { "kernel", "FILE", "kernel that the VMM hands to OVMF", option_set_text,
      OPT(kernel, "snp sev seves") },
    { "initrd", "FILE", "its initial RAM disk", option_set_text, OPT(initrd, "snp sev seves") },
    { "append", "TEXT", "its command line", option_set_text, OPT(append, "snp sev seves") },
    { "guest-features", "N", "SEV_FEATURES of the vCPUs (0x1)", set_number, OPT(features, "snp") },
    { "snp-ovmf-hash", "HEX", "what snp-ovmf-hash printed, in place of OVMF's contents",
      option_set_text, OPT(ovmf_hash, "snp") },
    { "dump-vmsa", NULL, "write each vCPU's state to vmsa0.bin, vmsa1.bin, ...", option_set_flag,
      OPT(dump_vmsa, "snp seves") },
    { "id-block", "FILE", "write an ID block in base64, and its authentication to FILE.auth",
      option_set_text, OPT(id_block, "snp") },
    { "id-auth", "FILE", "write the authentication there instead", option_set_text,
      OPT(id_auth, "snp") },
    { "id-key", "FILE", "P-384 key that signs the ID block", option_set_text, OPT(id_key, "snp") },
    { "author-key", "FILE", "P-384 key that signs the ID key", option_set_text,
      OPT(author_key, "snp") },
    { "guest-svn", "N", "security version in the ID block (0)", set_number, OPT(guest_svn, "snp") },
    { "policy", "N", "guest policy in the ID block (0x30000)", set_number, OPT(policy, "snp") },
    { "family-id", "HEX", "16 bytes in the ID block (zero)", option_set_text,
      OPT(family_id, "snp") },
    { "image-id", "HEX", "16 bytes in the ID block (zero)", option_set_text, OPT(image_id, "snp") },
    { "output-format", "FORMAT", "hex or base64 (hex)", set_format, OPT(base64, NULL) },
    { "json", NULL, "print JSON", option_set_flag, OPT(json, NULL) },
    { "help", NULL, "print this help", option_set_flag, OPT(help, NULL) },
#undef OPT
};

static const struct option_table table = { OPTION_TABLE(options), .unknown = unknown_option };

struct sev_in {
    enum mode mode;
    struct bawn_sev_launch launch;
    struct bawn_sev_hashes hashes;
    uint8_t ovmf_hash[BAWN_SNP_DIGEST_SIZE];
    bool sign;
    struct bawn_snp_id id;
    struct bawn_bytes id_key, author_key;
};

struct sev_out {
    uint8_t digest[BAWN_SNP_DIGEST_SIZE];
    struct bawn_vmsa vmsa[2];
    struct bawn_snp_id_signed id;
};

/* ---- In the sandbox ---- */

static enum bawn_status parse_snp(const struct sev_in *in, struct sev_out *out,
                                  struct bawn_error *err)
{
    struct bawn_snp_plan plan;
    enum bawn_status st = bawn_snp_plan(&in->launch, &plan, err);

    if (st == BAWN_OK)
        st = bawn_snp_digest(in->launch.firmware_digest, plan.loads, plan.n, out->digest, err);
    if (st != BAWN_OK)
        return st;
    memcpy(out->vmsa, plan.vmsa, sizeof(out->vmsa));
    if (in->sign) {
        struct bawn_snp_id id = in->id;

        memcpy(id.launch_digest, out->digest, sizeof(id.launch_digest));
        st = bawn_snp_id_sign(&id, in->id_key, in->author_key, &out->id, err);
    }
    return st;
}

static enum bawn_status parse(const void *in, void *out, struct bawn_error *err)
{
    const struct sev_in *i = in;
    struct sev_out *o = out;

    switch (i->mode) {
    case SNP:
        return parse_snp(i, o, err);
    case SNP_FIRMWARE:
        return bawn_snp_firmware_digest(i->launch.firmware, o->digest, err);
    default:
        return bawn_sev_measure(&i->launch, i->mode == SEVES, o->vmsa, o->digest, err);
    }
}

/* ---- Options ---- */

static enum bawn_status choose_cpu(const struct sev_options *o, uint32_t *signature,
                                   enum bawn_vmm vmm, struct bawn_error *err)
{
    bool numbers = o->family.given || o->model.given || o->stepping.given;

    if (numbers + o->vcpu_sig.given + !!o->vcpu_type > 1)
        return bawn_fail(
            err, BAWN_E_USAGE,
            "--vcpu-type, --vcpu-sig and --vcpu-family are one and the same: give one");
    *signature = (uint32_t)o->vcpu_sig.value;
    if (numbers && !(o->family.given && o->model.given && o->stepping.given))
        return bawn_fail(err, BAWN_E_USAGE,
                         "--vcpu-family, --vcpu-model and --vcpu-stepping belong together");
    if (o->family.value > 270 || o->model.value > 255 || o->stepping.value > 15 ||
        o->vcpu_sig.value > UINT32_MAX)
        return bawn_fail(err, BAWN_E_USAGE,
                         "the vCPU's family must be at most 270, its model 255, its stepping 15, "
                         "its signature 0xffffffff");
    if (numbers)
        *signature = bawn_cpu_signature((unsigned)o->family.value, (unsigned)o->model.value,
                                        (unsigned)o->stepping.value);
    if (o->vcpu_type && !bawn_cpu_find(o->vcpu_type, signature))
        return bawn_fail(err, BAWN_E_USAGE,
                         "--vcpu-type %s is unknown; bawn-measure snp --help lists the models",
                         o->vcpu_type);
    if (vmm == BAWN_VMM_QEMU && !numbers && !o->vcpu_sig.given && !o->vcpu_type)
        return bawn_fail(err, BAWN_E_USAGE, "--vcpu-type, --vcpu-sig or --vcpu-family is missing");
    return BAWN_OK;
}

static enum bawn_status choose_vcpus(const struct sev_options *o, struct sev_in *in,
                                     struct bawn_error *err)
{
    if (!(in->mode & VCPUS))
        return BAWN_OK;
    if (!o->vcpus.given || o->vcpus.value < 1 || o->vcpus.value > BAWN_SNP_VCPUS_MAX)
        return bawn_fail(err, BAWN_E_USAGE, "--vcpus must be given: a number from 1 to %d",
                         BAWN_SNP_VCPUS_MAX);
    in->launch.vcpus = (uint32_t)o->vcpus.value;
    if (o->vmm_type && !bawn_vmm_find(o->vmm_type, &in->launch.vmm))
        return bawn_fail(err, BAWN_E_USAGE, "--vmm-type %s: must be QEMU, ec2, KRUN or gce",
                         o->vmm_type);
    in->launch.sev_features = o->features.given ? o->features.value : BAWN_SEV_SNP_ACTIVE;
    return choose_cpu(o, &in->launch.vcpu_signature, in->launch.vmm, err);
}

static enum bawn_status choose_id(const struct sev_options *o, struct sev_in *in,
                                  struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    in->sign = o->id_block;
    in->id.policy = o->policy.given ? o->policy.value : BAWN_SNP_POLICY_DEFAULT;
    in->id.guest_svn = (uint32_t)o->guest_svn.value;
    if (!o->id_block && (o->id_auth || o->id_key || o->author_key || o->guest_svn.given ||
                         o->policy.given || o->family_id || o->image_id))
        return bawn_fail(
            err, BAWN_E_USAGE,
            "--id-auth, --id-key, --author-key, --guest-svn, --policy, --family-id and "
            "--image-id need --id-block");
    if (o->id_block && !o->id_key)
        return bawn_fail(err, BAWN_E_USAGE, "--id-block needs --id-key");
    if (o->guest_svn.value > UINT32_MAX)
        return bawn_fail(err, BAWN_E_USAGE, "--guest-svn must be at most 4294967295");
    if (o->family_id)
        st = parse_hex("family-id", o->family_id, in->id.family_id, 16, err);
    if (st == BAWN_OK && o->image_id)
        st = parse_hex("image-id", o->image_id, in->id.image_id, 16, err);
    return st;
}

static enum bawn_status choose(const struct sev_options *o, struct sev_in *in,
                               struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    if (!o->ovmf)
        return bawn_fail(err, BAWN_E_USAGE, "--ovmf is missing");
    if (!o->kernel && (o->initrd || o->append))
        return bawn_fail(err, BAWN_E_USAGE, "--initrd and --append need --kernel");
    if (o->ovmf_hash) {
        st = parse_hex("snp-ovmf-hash", o->ovmf_hash, in->ovmf_hash, sizeof(in->ovmf_hash), err);
        in->launch.firmware_digest = in->ovmf_hash;
    }
    if (st == BAWN_OK)
        st = choose_vcpus(o, in, err);
    if (st == BAWN_OK)
        st = choose_id(o, in, err);
    return st;
}

/* ---- Inputs ---- */

struct inputs {
    struct input firmware, id_key, author_key;
};

static enum bawn_status read_hashes(const struct sev_options *o, struct sev_in *in,
                                    struct bawn_error *err)
{
    const char *append = o->append ? o->append : "";
    uint64_t size;
    enum bawn_status st = input_digest(o->kernel, "SHA256", in->hashes.kernel, &size, err);

    if (st == BAWN_OK)
        st = input_digest(o->initrd ? o->initrd : "/dev/null", "SHA256", in->hashes.initrd, &size,
                          err);
    if (st == BAWN_OK)
        st = digest_bytes("SHA256", append, strlen(append) + 1, in->hashes.cmdline, err);
    in->launch.hashes = &in->hashes;
    return st;
}

static struct bawn_bytes bytes_of(const struct input *in)
{
    return (struct bawn_bytes){ in->data, in->len };
}

static enum bawn_status read_inputs(const struct sev_options *o, struct sev_in *in,
                                    struct inputs *files, struct bawn_error *err)
{
    enum bawn_status st = input_read(&files->firmware, o->ovmf, BAWN_FIRMWARE_MAX, err);

    if (st == BAWN_OK && o->kernel)
        st = read_hashes(o, in, err);
    if (st == BAWN_OK && o->id_key)
        st = input_read(&files->id_key, o->id_key, KEY_MAX, err);
    if (st == BAWN_OK && o->author_key)
        st = input_read(&files->author_key, o->author_key, KEY_MAX, err);
    in->launch.firmware = bytes_of(&files->firmware);
    in->id_key = bytes_of(&files->id_key);
    in->author_key = bytes_of(&files->author_key);
    return st;
}

/* ---- Outputs ---- */

static enum bawn_status write_vmsas(const struct sev_in *in, const struct sev_out *out,
                                    struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    for (uint32_t i = 0; st == BAWN_OK && i < in->launch.vcpus; i++) {
        char path[32];

        snprintf(path, sizeof(path), "vmsa%u.bin", i);
        st = output_write(path, &out->vmsa[i ? 1 : 0], sizeof(out->vmsa[0]), err);
    }
    return st;
}

static enum bawn_status write_id(const struct sev_options *o, const struct sev_out *out,
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

static void print_text(const struct sev_options *o, const struct sev_in *in,
                       const struct sev_out *out, size_t len)
{
    puts(digest_text(out->digest, len, o->base64).text);
    if (!in->sign)
        return;
    printf("id_key_digest %s\n", digest_text(out->id.id_key_digest, 48, o->base64).text);
    if (in->author_key.len)
        printf("author_key_digest %s\n",
               digest_text(out->id.author_key_digest, 48, o->base64).text);
}

static bool put(json_t *root, const char *key, const uint8_t *digest, size_t len, bool base64)
{
    return !json_object_set_new(root, key, json_string(digest_text(digest, len, base64).text));
}

static bool put_hex(json_t *root, const char *key, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "0x%jx", (uintmax_t)value);
    return !json_object_set_new(root, key, json_string(text));
}

static bool put_vcpus(json_t *root, const struct sev_in *in)
{
    bool ok = !json_object_set_new(root, "vcpus", json_integer(in->launch.vcpus)) &&
              !json_object_set_new(root, "vmm", json_string(bawn_vmm_name(in->launch.vmm)));

    if (ok && in->launch.vmm == BAWN_VMM_QEMU)
        ok = put_hex(root, "vcpu_signature", in->launch.vcpu_signature);
    if (ok && in->mode == SNP)
        ok = put_hex(root, "sev_features", in->launch.sev_features);
    return ok;
}

static enum bawn_status print_json(const struct sev_options *o, const struct sev_in *in,
                                   const struct sev_out *out, size_t len, struct bawn_error *err)
{
    const char *tee = in->mode == SEV ? "sev" : in->mode == SEVES ? "sev-es" : "sev-snp";
    json_t *root = json_pack("{s:s}", "tee", tee);
    bool ok = root && put(root, in->mode == SNP_FIRMWARE ? "ovmf_hash" : "launch_digest",
                          out->digest, len, o->base64);

    if (ok && (in->mode & VCPUS))
        ok = put_vcpus(root, in);
    if (ok && in->launch.hashes)
        ok = put(root, "kernel_sha256", in->hashes.kernel, 32, o->base64) &&
             put(root, "initrd_sha256", in->hashes.initrd, 32, o->base64) &&
             put(root, "cmdline_sha256", in->hashes.cmdline, 32, o->base64);
    if (ok && in->sign)
        ok = put(root, "id_key_digest", out->id.id_key_digest, 48, o->base64);
    if (ok && in->sign && in->author_key.len)
        ok = put(root, "author_key_digest", out->id.author_key_digest, 48, o->base64);
    ok = ok && !json_dumpf(root, stdout, JSON_INDENT(2)) && putchar('\n') != EOF;
    json_decref(root);
    return ok ? BAWN_OK : bawn_fail(err, BAWN_E_IO, "cannot write the JSON output");
}

static enum bawn_status put_out(const struct sev_options *o, const struct sev_in *in,
                                const struct sev_out *out, struct bawn_error *err)
{
    size_t len = in->mode & (SEV | SEVES) ? BAWN_SEV_DIGEST_SIZE : BAWN_SNP_DIGEST_SIZE;
    enum bawn_status st = o->dump_vmsa ? write_vmsas(in, out, err) : BAWN_OK;

    if (st == BAWN_OK && in->sign)
        st = write_id(o, out, err);
    if (st == BAWN_OK && o->json)
        st = print_json(o, in, out, len, err);
    else if (st == BAWN_OK)
        print_text(o, in, out, len);
    return st;
}

/* ---- The commands ---- */

static void print_help(const struct command *self)
{
    printf("Usage: bawn-measure %s --ovmf FILE [OPTION]...\n\nPrints the %s.\n\n", self->name,
           self->summary);
    options_print(&table, self->name, 0);
    if (!(self->mode & VCPUS))
        return;
    printf("\nCPU models:");
    for (unsigned i = 0; bawn_cpu_model(i); i++)
        printf("%s%s", i % 6 ? " " : "\n  ", bawn_cpu_model(i));
    printf("\n\nExamples:\n"
           "  bawn-measure %s --vcpus 4 --vcpu-type EPYC-v4 --ovmf OVMF.fd\n",
           self->name);
    if (self->mode == SNP)
        printf("  bawn-measure snp --vcpus 2 --vcpu-type EPYC-Milan --ovmf OVMF.fd \\\n"
               "      --kernel vmlinuz --initrd initrd.img --append 'console=ttyS0' \\\n"
               "      --id-block guest.id --id-key id.pem --author-key author.pem\n");
}

static enum bawn_status run(const struct command *self, int argc, char **argv,
                            struct bawn_error *err)
{
    struct inputs files = { .firmware = { NULL, 0 } };
    struct sev_in in = { .mode = (enum mode)self->mode };
    struct sev_options o = { .json = false };
    struct sev_out out;
    enum bawn_status st;

    if (self->mode == SNP && snp_vm_meant(argc, argv))
        return snp_vm_run(argc, argv, err);
    st = options_read(&table, self->name, argc - 1, argv + 1, &o, NULL, err);

    if (st == BAWN_OK && o.help) {
        print_help(self);
        return BAWN_OK;
    }
    if (st == BAWN_OK)
        st = choose(&o, &in, err);
    if (st == BAWN_OK)
        st = read_inputs(&o, &in, &files, err);
    if (st == BAWN_OK)
        st = parse_apart(parse, &in, &out, sizeof(out), err);
    if (st == BAWN_OK)
        st = put_out(&o, &in, &out, err);
    input_free(&files.firmware);
    input_free(&files.id_key);
    input_free(&files.author_key);
    return st;
}

const struct command snp_command = {
    "snp",
    "launch digest of an SEV-SNP guest; writes ID blocks",
    run,
    SNP,
};
const struct command snp_firmware_command = {
    "snp-ovmf-hash",
    "digest of OVMF's pages alone, for snp --snp-ovmf-hash",
    run,
    SNP_FIRMWARE,
};
const struct command sev_command = {
    "sev",
    "launch digest of an SEV guest",
    run,
    SEV,
};
const struct command seves_command = {
    "seves",
    "launch digest of an SEV-ES guest",
    run,
    SEVES,
};

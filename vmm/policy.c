// SPDX-License-Identifier: Apache-2.0
/*
 * Launch policies. The key is the host's owner's and trusted; the policy is its author's once its
 * signature holds, and nothing of it is read before. Claims are what this process holds in memory
 * and will launch, so what is judged and what runs cannot differ; disks are judged by number and
 * path only.
 */
#include "policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include <bawn/policy.h>

#define SIGNATURE_MAX 1024u
#define KEY_MAX 65536u
#define CLAIMS_MAX (24 + BAWN_MAX_DISKS)
#define SHA256_SIZE 32

/* Everything that claims borrow from. */
struct launch_claims {
    struct bawn_claim claim[CLAIMS_MAX];
    size_t n;
    uint8_t sha256[3][SHA256_SIZE];
};

static struct bawn_bytes bytes_of(const struct bawn_file *file)
{
    return (struct bawn_bytes){ file->data, file->len };
}

static struct bawn_claim *add(struct launch_claims *c, const char *name, enum bawn_claim_kind kind)
{
    struct bawn_claim *claim = &c->claim[c->n++];

    *claim = (struct bawn_claim){ .name = name, .index = -1, .kind = kind };
    return claim;
}

static void add_uint(struct launch_claims *c, const char *name, uint64_t value)
{
    add(c, name, BAWN_CLAIM_UINT)->uint = value;
}

static void add_bool(struct launch_claims *c, const char *name, bool value)
{
    add(c, name, BAWN_CLAIM_BOOL)->boolean = value;
}

static void add_bytes(struct launch_claims *c, const char *name, const uint8_t *data, size_t len)
{
    add(c, name, BAWN_CLAIM_BYTES)->bytes = (struct bawn_bytes){ data, len };
}

static struct bawn_claim *add_text(struct launch_claims *c, const char *name, const char *text)
{
    struct bawn_claim *claim = add(c, name, BAWN_CLAIM_TEXT);

    claim->text = text;
    return claim;
}

static bool add_file(struct launch_claims *c, const char *name, const struct bawn_file *file,
                     unsigned room)
{
    if (!file || !file->data)
        return true;
    add_bytes(c, name, c->sha256[room], SHA256_SIZE);
    return EVP_Digest(file->data, file->len, c->sha256[room], NULL, EVP_sha256(), NULL) == 1;
}

static void add_disks(struct launch_claims *c, const struct bawn_vm_config *cfg)
{
    unsigned writable = 0;

    for (unsigned i = 0; i < cfg->nr_disks; i++) {
        writable += !cfg->disk[i].readonly;
        add_text(c, "launch.disk.path", cfg->disk[i].path)->index = (int)i;
    }
    add_uint(c, "launch.disks", cfg->nr_disks);
    add_uint(c, "launch.disks.writable", writable);
}

static bool make_claims(struct launch_claims *c, const struct bawn_launch_facts *f)
{
    static const char *const streams[] = {
        [BAWN_STREAM_OFF] = "off",   [BAWN_STREAM_NULL] = "null", [BAWN_STREAM_TTY] = "tty",
        [BAWN_STREAM_FILE] = "file", [BAWN_STREAM_PTY] = "pty",   [BAWN_STREAM_SOCKET] = "socket",
    };
    const struct bawn_vm_config *cfg = f->cfg;

    c->n = 0;
    add_text(c, "launch.tee", cfg->snp.on ? "sev-snp" : "none");
    add_uint(c, "launch.cpus", cfg->vcpus);
    add_uint(c, "launch.memory", cfg->memory);
    if (cfg->cmdline && *cfg->cmdline)
        add_text(c, "launch.cmdline", cfg->cmdline);
    add_bytes(c, "launch.measurement", f->digest, BAWN_MEASURE_DIGEST_SIZE);
    add_disks(c, cfg);
    add_bool(c, "launch.vsock", cfg->vsock.cid != 0);
    add_bool(c, "launch.network", cfg->nr_nets > 0);
    add_bool(c, "launch.rng", cfg->rng);
    add_bool(c, "launch.tpm", cfg->tpm != NULL);
    add_text(c, "launch.serial", streams[cfg->serial.mode]);
    add_text(c, "launch.console", streams[cfg->console.mode]);
    if (cfg->snp.on) {
        add_uint(c, "launch.snp.policy", cfg->snp.policy);
        add_bytes(c, "launch.snp.host_data", cfg->snp.host_data, sizeof(cfg->snp.host_data));
        add_bool(c, "launch.snp.id_block", cfg->snp.id_block != NULL);
    }
    return add_file(c, "launch.kernel.sha256", f->kernel, 0) &&
           add_file(c, "launch.initrd.sha256", f->initrd, 1) &&
           add_file(c, "launch.firmware.sha256", f->shim, 2);
}

/* ---- The policy ---- */

struct beside {
    const char *path;
    struct bawn_file file[BAWN_POLICY_INCLUDES_MAX];
    size_t n;
};

static enum bawn_status load(void *context, const char *name, struct bawn_bytes *text,
                             struct bawn_error *err)
{
    struct beside *b = context;
    const char *slash = strrchr(b->path, '/');
    enum bawn_status st;
    char *path;

    if (b->n == BAWN_POLICY_INCLUDES_MAX)
        return bawn_fail(err, BAWN_E_INTERNAL, "too many includes");
    if (asprintf(&path, "%.*s%s", slash ? (int)(slash - b->path) + 1 : 0, b->path, name) < 0)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    st = bawn_file_read(&b->file[b->n], path, BAWN_POLICY_TEXT_MAX, err);
    free(path);
    if (!st)
        *text = bytes_of(&b->file[b->n++]);
    return st;
}

static enum bawn_status check_signature(const char *path, const char *key_path,
                                        const struct bawn_file *text, struct bawn_error *err)
{
    struct bawn_file signature = { 0 }, key = { 0 };
    struct bawn_error why = { "" };
    char *sig_path = NULL;
    enum bawn_status st = bawn_file_read(&key, key_path, KEY_MAX, err);

    if (!st && asprintf(&sig_path, "%s.sig", path) < 0) {
        sig_path = NULL;
        st = bawn_fail(err, BAWN_E_NOMEM, "no memory");
    }
    if (!st)
        st = bawn_file_read(&signature, sig_path, SIGNATURE_MAX, err);
    if (!st) {
        st =
            bawn_policy_check_signature(bytes_of(text), bytes_of(&signature), bytes_of(&key), &why);
        if (st)
            bawn_fail(err, st, "launch policy %s: %s", path, why.msg);
    }
    free(sig_path);
    bawn_file_free(&signature);
    bawn_file_free(&key);
    return st;
}

/* All reasons that there is room for. */
static enum bawn_status denied(const char *path, const struct bawn_policy_result *result,
                               struct bawn_error *err)
{
    const char *const *reasons;
    size_t n = bawn_policy_result_reasons(result, &reasons), len;

    bawn_fail(err, BAWN_E_DENIED, "the launch policy %s does not allow this machine:", path);
    for (size_t i = 0; i < n; i++) {
        len = strlen(err->msg);
        snprintf(err->msg + len, sizeof(err->msg) - len, "\n  %s", reasons[i]);
    }
    return BAWN_E_DENIED;
}

static enum bawn_status judge(const char *path, const struct bawn_policy *policy,
                              const struct bawn_launch_facts *facts, int64_t at,
                              struct bawn_error *err)
{
    struct bawn_policy_result *result = bawn_policy_result_create();
    struct launch_claims *c = calloc(1, sizeof(*c));
    struct bawn_policy_input input = { .evidence = "launch", .verdict = BAWN_TRUSTED, .at = at };
    enum bawn_status st = BAWN_OK;

    if (!result || !c || !make_claims(c, facts)) {
        st = bawn_fail(err, BAWN_E_NOMEM, "no memory to judge the launch");
    } else {
        input.claims = c->claim;
        input.nr_claims = c->n;
        if (!bawn_policy_evaluate(policy, &input, result))
            st = denied(path, result, err);
    }
    bawn_policy_result_destroy(result);
    free(c);
    return st;
}

enum bawn_status bawn_launch_policy_check(const char *path, const char *key_path,
                                          const struct bawn_launch_facts *facts, int64_t at,
                                          struct bawn_error *err)
{
    struct beside beside = { .path = path };
    struct bawn_policy *policy = NULL;
    struct bawn_file text = { 0 };
    enum bawn_status st;

    if (!key_path)
        return bawn_fail(err, BAWN_E_USAGE, "--policy needs --policy-key: who may sign policies");
    st = bawn_file_read(&text, path, BAWN_POLICY_TEXT_MAX, err);
    if (!st)
        st = check_signature(path, key_path, &text, err);
    if (!st)
        st = bawn_policy_create(&policy, path, bytes_of(&text), load, &beside, err);
    if (!st)
        st = judge(path, policy, facts, at, err);
    bawn_policy_destroy(policy);
    for (size_t i = 0; i < beside.n; i++)
        bawn_file_free(&beside.file[i]);
    bawn_file_free(&text);
    return st;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What an SNP launch is made of: files are read and the digest is computed before anything runs.
 * The files are not trusted; launch/ checks them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "snp.h"

#define SHIM_FILE_MAX (1u << 20)
#define ID_FILE_MAX (1u << 16)
/* A table that the guest's driver takes (Linux, drivers/virt/coco/sev-guest: SEV_FW_BLOB_MAX_SIZE).
 */
#define CERTS_MAX 0x4000u

static struct bawn_bytes bytes_of(const struct bawn_file *file)
{
    return (struct bawn_bytes){ file->data, file->len };
}

static enum bawn_status read_identity(struct bawn_snp_input *in, const struct bawn_snp_config *cfg,
                                      struct bawn_error *err)
{
    struct bawn_file block = { 0 }, auth = { 0 };
    char *path = NULL;
    enum bawn_status st = bawn_file_read(&block, cfg->id_block, ID_FILE_MAX, err);

    if (!st && !cfg->id_auth && asprintf(&path, "%s.auth", cfg->id_block) < 0)
        st = bawn_fail(err, BAWN_E_NOMEM, "no memory");
    if (!st)
        st = bawn_file_read(&auth, cfg->id_auth ? cfg->id_auth : path, ID_FILE_MAX, err);
    if (!st)
        st = bawn_snp_identity_parse(&in->id, bytes_of(&block), bytes_of(&auth), err);
    free(path);
    bawn_file_free(&auth);
    bawn_file_free(&block);
    return st;
}

static enum bawn_status expect(struct bawn_snp_input *in, const struct bawn_snp_config *cfg,
                               const uint8_t *expected, struct bawn_error *err)
{
    if (memcmp(expected, in->launch.digest, sizeof(in->launch.digest)))
        return bawn_fail(err, BAWN_E_DENIED,
                         "the launch digest would be %s, and is expected to be %s",
                         bawn_digest_hex(in->launch.digest).text, bawn_digest_hex(expected).text);
    if (in->id.given)
        return BAWN_OK; /* it has a digest of its own */
    return bawn_snp_identity_make(&in->id, expected, cfg->policy, err);
}

enum bawn_status bawn_snp_prepare(struct bawn_snp_input *in, const struct bawn_vm_config *cfg,
                                  const struct bawn_file *kernel, const struct bawn_file *initrd,
                                  const uint8_t *expected, struct bawn_error *err)
{
    struct bawn_snp_files files = { .kernel = bytes_of(kernel), .initrd = bytes_of(initrd) };
    enum bawn_status st = bawn_file_read(&in->shim, cfg->firmware ? cfg->firmware : BAWN_SHIM_PATH,
                                         SHIM_FILE_MAX, err);

    files.shim = bytes_of(&in->shim);
    if (!st)
        st = bawn_snp_launch_plan(&in->launch, cfg, &files, err);
    if (!st && cfg->snp.id_block)
        st = read_identity(in, &cfg->snp, err);
    if (!st && cfg->snp.certs)
        st = bawn_file_read(&in->certs, cfg->snp.certs, CERTS_MAX, err);
    if (!st && expected)
        st = expect(in, &cfg->snp, expected, err);
    return st;
}

void bawn_snp_input_free(struct bawn_snp_input *in)
{
    bawn_snp_launch_free(&in->launch);
    bawn_file_free(&in->certs);
    bawn_file_free(&in->shim);
    memset(in, 0, sizeof(*in));
}

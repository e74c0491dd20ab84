// SPDX-License-Identifier: Apache-2.0
/*
 * sign: a detached signature over a policy's bytes, as bawn run --policy wants it. A policy that
 * cannot be read is not signed. The key is read by OpenSSL and leaves with the process.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "policy/cmd/commands.h"
#include "policy/cmd/inputs.h"

#define SIGNATURE_MAX 256u

static enum bawn_status read_key(const char *path, EVP_PKEY **key, struct bawn_error *err)
{
    FILE *file = fopen(path, "re");

    if (!file)
        return bawn_fail(err, BAWN_E_IO, "cannot open %s: %m", path);
    *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    (void)fclose(file);
    return *key ? BAWN_OK
                : bawn_fail(err, BAWN_E_FORMAT,
                            "%s is no private key in PEM, or its passphrase "
                            "is wrong",
                            path);
}

/* The hash that libbawn-policy expects of such a key; false: of no other. */
static bool digest_for(EVP_PKEY *key, const EVP_MD **md)
{
    char group[32] = "";

    *md = NULL;
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519)
        return true;
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
        EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) != 1)
        return false;
    *md = !strcmp(group, "prime256v1")  ? EVP_sha256()
          : !strcmp(group, "secp384r1") ? EVP_sha384()
                                        : NULL;
    return *md != NULL;
}

static enum bawn_status make(EVP_PKEY *key, struct bawn_bytes text, uint8_t *signature, size_t *len,
                             struct bawn_error *err)
{
    EVP_MD_CTX *ctx;
    const EVP_MD *md;
    bool ok;

    if (!digest_for(key, &md))
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "the key must be of P-256, P-384 or Ed25519: openssl genpkey -algorithm "
                         "ed25519");
    ctx = EVP_MD_CTX_new();
    ok = ctx && EVP_DigestSignInit(ctx, NULL, md, NULL, key) == 1 &&
         EVP_DigestSign(ctx, signature, len, text.data, text.len) == 1;
    EVP_MD_CTX_free(ctx);
    return ok ? BAWN_OK : bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL does not sign");
}

static enum bawn_status write_file(const char *path, const uint8_t *data, size_t len,
                                   struct bawn_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bool ok = fd >= 0 && write(fd, data, len) == (ssize_t)len;

    if (fd >= 0 && close(fd))
        ok = false;
    return ok ? BAWN_OK : bawn_fail(err, BAWN_E_IO, "cannot write %s: %m", path);
}

int command_sign(const struct policy_options *o)
{
    const char *file = o->files.text[0];
    uint8_t signature[SIGNATURE_MAX];
    size_t len = sizeof(signature);
    struct bawn_bytes text = { NULL, 0 };
    struct bawn_policy *policy = NULL;
    struct bawn_error err = { "" };
    EVP_PKEY *key = NULL;
    char *path = o->output ? strdup(o->output) : NULL;
    enum bawn_status st = BAWN_OK;

    if (!o->key)
        st = bawn_fail(&err, BAWN_E_USAGE, "sign with which key? Give --key FILE");
    if (!st)
        st = input_policy(file, &policy, &err);
    if (!st)
        st = input_read(file, BAWN_POLICY_TEXT_MAX, &text, &err);
    if (!st)
        st = read_key(o->key, &key, &err);
    if (!st)
        st = make(key, text, signature, &len, &err);
    if (!st && !o->output && asprintf(&path, "%s.sig", file) < 0)
        path = NULL;
    if (!st)
        st = path ? write_file(path, signature, len, &err) :
                    bawn_fail(&err, BAWN_E_NOMEM, "no memory");
    free(path);
    EVP_PKEY_free(key);
    input_free(&text);
    bawn_policy_destroy(policy);
    return st ? command_fail(o, &err, st) : 0;
}

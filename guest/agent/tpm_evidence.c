// SPDX-License-Identifier: Apache-2.0
/*
 * Evidence of a TPM 2.0: a quote through the kernel's resource manager, in the form of Confidential
 * Containers, with the firmware's event log. A TPM is whose it is: the platform's, the
 * hypervisor's, or a paravisor's inside the guest; by its key the verifier knows which.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include <bawn/tpm.h>

#include "guest/agent/agent.h"
#include "guest/agent/tpm.h"

#define EVENT_LOG "/sys/kernel/security/tpm0/binary_bios_measurements"

enum {
    HEADER = 10,
    /* Making an RSA key takes a chip most of a minute: TCG PC Client Device Driver Design
     * Principles, 10, long commands. */
    ANSWER_MS = 120000,
    EVENT_LOG_MAX = 512 << 10, /* with the rest in base64 below the 1 MiB that a service takes */
    CERTS_MAX = 64 << 10,
};

/* ---- The device, or a socket that takes commands as it does (swtpm's, for tests) ---- */

static int open_socket(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd;

    if (strlen(path) >= sizeof(addr.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(addr.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static int open_tpm(const struct agent_options *o, struct bawn_error *err)
{
    char path[4096];
    struct stat st;
    int fd;

    snprintf(path, sizeof(path), "%s" TPM_DEVICE, o->root);
    fd = !stat(path, &st) && S_ISSOCK(st.st_mode) ? open_socket(path)
                                                  : open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        bawn_fail(err, BAWN_E_CONFIG, "cannot open %.300s: %m", path);
    return fd;
}

/* The size that an answer says it has; 0: not known yet. */
static size_t announced(const uint8_t *answer, size_t len)
{
    if (len < HEADER)
        return 0;
    return (size_t)answer[2] << 24 | (size_t)answer[3] << 16 | (size_t)answer[4] << 8 | answer[5];
}

/* The kernel takes a command by one write, and gives the answer by one read; a socket may give it
 * in pieces. */
static enum bawn_status talk(void *to, const uint8_t *command, size_t len,
                             uint8_t answer[TPM_ANSWER_MAX], size_t *answer_len,
                             struct bawn_error *err)
{
    int fd = *(const int *)to;
    struct pollfd ready = { .fd = fd, .events = POLLIN };
    ssize_t n = send(fd, command, len, MSG_NOSIGNAL);

    if (n < 0 && errno == ENOTSOCK)
        n = write(fd, command, len);
    *answer_len = 0;
    if (n < 0 || (size_t)n != len)
        return bawn_fail(err, BAWN_E_IO, "cannot write to the TPM: %m");
    do {
        int polled = poll(&ready, 1, ANSWER_MS);

        if (polled < 0 && errno == EINTR)
            continue;
        if (polled <= 0)
            return bawn_fail(err, BAWN_E_IO, "the TPM did not answer within %d s",
                             ANSWER_MS / 1000);
        n = read(fd, answer + *answer_len, TPM_ANSWER_MAX - *answer_len);
        if (n < 0 && errno != EINTR)
            return bawn_fail(err, BAWN_E_IO, "cannot read from the TPM: %m");
        if (!n)
            return bawn_fail(err, BAWN_E_FORMAT, "the TPM's answer ends after %zu bytes",
                             *answer_len);
        *answer_len += n > 0 ? (size_t)n : 0;
    } while (*answer_len < HEADER ||
             (*answer_len < announced(answer, *answer_len) && *answer_len < TPM_ANSWER_MAX));
    return BAWN_OK;
}

/* ---- Keys ---- */

static enum bawn_status key_handle(const struct agent_options *o, uint32_t *handle,
                                   struct bawn_error *err)
{
    /* Part 2, 7.4: those of persistent objects. */
    enum { FIRST = 0x81000000, LAST = 0x81ffffff };
    unsigned long value;
    char *end;

    *handle = 0;
    if (!o->tpm_ak)
        return BAWN_OK;
    errno = 0;
    value = strtoul(o->tpm_ak, &end, 16);
    if (errno || *end || strncmp(o->tpm_ak, "0x", 2) != 0 || value < FIRST || value > LAST)
        return bawn_fail(err, BAWN_E_USAGE,
                         "--tpm-ak %.100s: give the handle of a persistent key, 0x81000000 to "
                         "0x81ffffff",
                         o->tpm_ak);
    *handle = (uint32_t)value;
    return BAWN_OK;
}

struct opened {
    int fd;
    struct tpm tpm;
    struct tpm_key key;
};

static enum bawn_status open_key(const struct agent_options *o, struct opened *t,
                                 struct bawn_error *err)
{
    uint32_t handle;
    enum bawn_status status = key_handle(o, &handle, err);

    t->fd = -1;
    if (status != BAWN_OK)
        return status;
    t->fd = open_tpm(o, err);
    if (t->fd < 0)
        return BAWN_E_CONFIG;
    t->tpm = (struct tpm){ .talk = talk, .to = &t->fd };
    status = tpm_key_open(&t->tpm, handle, &t->key, err);
    if (status != BAWN_OK)
        close(t->fd);
    return status;
}

static void close_key(struct opened *t)
{
    tpm_key_close(&t->tpm, &t->key);
    close(t->fd);
}

static const struct {
    uint16_t id;
    const char *name;
    size_t size;
} curves[] = {
    { TPM_ECC_NIST_P256, "prime256v1", 32 },
    { TPM_ECC_NIST_P384, "secp384r1", 48 },
    { TPM_ECC_NIST_P521, "secp521r1", 66 },
};

static bool push_ec(OSSL_PARAM_BLD *build, const struct tpm_key *key, uint8_t *point)
{
    for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++) {
        size_t size = curves[i].size;

        if (curves[i].id != key->curve || key->x.len > size || key->y.len > size)
            continue;
        point[0] = 0x04; /* SEC 1, 2.3.3: uncompressed */
        memcpy(point + 1 + size - key->x.len, key->x.data, key->x.len);
        memcpy(point + 1 + 2 * size - key->y.len, key->y.data, key->y.len);
        return OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, curves[i].name,
                                               0) &&
               OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point,
                                                1 + 2 * size);
    }
    return false;
}

static EVP_PKEY *pkey_of(const struct tpm_key *key)
{
    enum { RSA_EXPONENT = 65537 };
    bool rsa = key->type == TPM_ALG_RSA;
    uint8_t point[1 + 2 * TPM_MAX_ECC_KEY_BYTES] = { 0 };
    BIGNUM *n = BN_bin2bn(key->n.data, (int)key->n.len, NULL), *e = BN_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, rsa ? "RSA" : "EC", NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    EVP_PKEY *pkey = NULL;
    bool good =
        n && e && ctx && build && BN_set_word(e, key->exponent ? key->exponent : RSA_EXPONENT);

    if (good && rsa)
        good = OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) &&
               OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e);
    else if (good)
        good = push_ec(build, key, point);
    if (good && (params = OSSL_PARAM_BLD_to_param(build)) && EVP_PKEY_fromdata_init(ctx) == 1 &&
        EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
        pkey = NULL;
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(ctx);
    BN_free(n);
    BN_free(e);
    return pkey;
}

enum bawn_status tpm_ak_print(const struct agent_options *o, struct bawn_error *err)
{
    BIO *pem = BIO_new(BIO_s_mem());
    EVP_PKEY *pkey = NULL;
    struct opened t;
    char *data;
    enum bawn_status status = open_key(o, &t, err);

    if (status == BAWN_OK) {
        pkey = pkey_of(&t.key);
        if (!pem || !pkey || !PEM_write_bio_PUBKEY(pem, pkey))
            status = bawn_fail(err, BAWN_E_FORMAT,
                               "the TPM's key %#x is no point or number of its "
                               "kind",
                               t.key.handle);
        close_key(&t);
    }
    if (status == BAWN_OK) {
        long len = BIO_get_mem_data(pem, &data);

        status = deliver_output(o, data, (size_t)len, err);
    }
    EVP_PKEY_free(pkey);
    BIO_free(pem);
    return status;
}

/* ---- As JSON ---- */

static json_t *pcrs_of(const struct tpm_quote *q)
{
    json_t *list = json_array();
    char text[2 * TPM_DIGEST_MAX + 1];

    for (size_t i = 0; i < TPM_PCRS; i++) {
        for (size_t k = 0; k < q->pcr_len; k++)
            snprintf(text + 2 * k, 3, "%02x", q->pcr[i][k]);
        json_array_append_new(list, json_string(text));
    }
    return list;
}

/* The values prove what was measured without it, so a guest where it is not to be had has none. */
static enum bawn_status add_event_log(const struct agent_options *o, json_t *json,
                                      struct bawn_error *err)
{
    uint8_t *log = NULL;
    size_t len;
    enum bawn_status status;

    /* TLS takes certificates of 100 KiB in all, and the log may be more. */
    if (o->command == CMD_RA_TLS || !evidence_exists(o, EVENT_LOG))
        return BAWN_OK;
    status = agent_read_file(o->root, EVENT_LOG, EVENT_LOG_MAX, &log, &len, err);
    if (status != BAWN_OK) {
        agent_say(o, "the event log is left out: %s", err ? err->msg : "it cannot be read");
        return BAWN_OK;
    }
    if (len && json_object_set_new(json, "Log", json_pack("{s:o}", "Raw", base64(log, len))))
        status = bawn_fail(err, BAWN_E_NOMEM, "no memory");
    free(log);
    return status;
}

static enum bawn_status add_certificates(const struct agent_options *o, json_t *json,
                                         struct bawn_error *err)
{
    uint8_t *pem;
    size_t len;
    enum bawn_status status;

    if (!o->ak_cert)
        return BAWN_OK;
    status = agent_read_file(o->root, o->ak_cert, CERTS_MAX, &pem, &len, err);
    if (status != BAWN_OK)
        return status;
    if (strncmp((const char *)pem, "-----BEGIN ", 11) != 0 ||
        json_object_set_new(json, "cert_chain", json_stringn((const char *)pem, len)))
        status = bawn_fail(err, BAWN_E_CONFIG, "%.300s is no certificate in PEM", o->ak_cert);
    free(pem);
    return status;
}

enum bawn_status evidence_tpm(const struct agent_options *o, const uint8_t data[REPORT_DATA],
                              json_t **json, struct bawn_error *err)
{
    struct tpm_quote q;
    struct opened t;
    enum bawn_status status = open_key(o, &t, err);

    if (status != BAWN_OK)
        return status;
    status = tpm_quote_make(&t.tpm, &t.key, (struct bawn_bytes){ data, REPORT_DATA }, &q, err);
    close_key(&t);
    if (status != BAWN_OK)
        return status;
    *json =
        json_pack("{s:o,s:{s:o,s:o,s:o},s:o}", "ak_public", base64(t.key.public, t.key.public_len),
                  "tpm_quote", "message", base64(q.message, q.message_len), "signature",
                  base64(q.signature, q.signature_len), "pcrs", pcrs_of(&q), "report_data",
                  base64(data, REPORT_DATA));
    if (!*json)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    status = add_event_log(o, *json, err);
    if (status == BAWN_OK)
        status = add_certificates(o, *json, err);
    if (status != BAWN_OK) {
        json_decref(*json);
        *json = NULL;
    }
    return status;
}

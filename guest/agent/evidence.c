// SPDX-License-Identifier: Apache-2.0
/*
 * Evidence from the guest's devices: configfs-tsm (Linux 6.7 on, SNP and TDX) or /dev/sev-guest; a
 * TPM's is in tpm_evidence.c.
 * What the devices give has passed the host, so lengths in it are checked; whether it is genuine is
 * for the verifier.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/sev-guest.h>

#include <bawn/snp.h>

#include "guest/agent/agent.h"

#define TSM "/sys/kernel/config/tsm/report"
#define SEV_GUEST "/dev/sev-guest"
#define TDX_GUEST "/dev/tdx_guest"
#define CCEL "/sys/firmware/acpi/tables/data/CCEL"

enum {
    BLOB_MAX = 1 << 20,
    SNP_REPORT_SIZE = 0x4a0, /* AMD 56860, table 23 */
    SNP_REPORT_DATA_AT = 0x50,
    SNP_RESPONSE_HEADER = 32, /* the same, table 26: status, size, reserved */
    CERTS_SIZE = 16 << 10,    /* what Linux allows at most */
    TABLE_ENTRY = 24,         /* AMD 56421, 4.1.8.1: GUID, offset, length */
};

/* ---- Files ---- */

enum bawn_status agent_read_file(const char *root, const char *path, size_t max, uint8_t **data,
                                 size_t *len, struct bawn_error *err)
{
    char full[4096];
    uint8_t *buffer = malloc(max + 1);
    enum bawn_status status = BAWN_OK;
    ssize_t n = 1;
    int fd;

    *data = NULL;
    *len = 0;
    if (!buffer)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    snprintf(full, sizeof(full), "%s%s", root, path);
    fd = open(full, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        status = bawn_fail(err, BAWN_E_CONFIG, "cannot open %.300s: %m", full);
    while (status == BAWN_OK && n > 0) {
        n = read(fd, buffer + *len, max + 1 - *len);
        if (n < 0 && errno == EINTR) {
            n = 1;
            continue;
        }
        if (n < 0)
            status = bawn_fail(err, BAWN_E_IO, "cannot read %.300s: %m", full);
        else if (*len + (size_t)n > max)
            status = bawn_fail(err, BAWN_E_FORMAT, "%.300s is larger than %zu bytes", full, max);
        else
            *len += (size_t)n;
    }
    if (fd >= 0)
        close(fd);
    if (status != BAWN_OK) {
        free(buffer);
        *len = 0;
        return status;
    }
    buffer[*len] = '\0';
    *data = buffer;
    return BAWN_OK;
}

bool evidence_exists(const struct agent_options *o, const char *path)
{
    char full[4096];

    snprintf(full, sizeof(full), "%s%s", o->root, path);
    return access(full, F_OK) == 0;
}

/* ---- configfs-tsm (Documentation/ABI/testing/configfs-tsm) ---- */

struct blobs {
    uint8_t *out, *aux;
    size_t out_len, aux_len;
};

static void blobs_free(struct blobs *b)
{
    free(b->out);
    free(b->aux);
    *b = (struct blobs){ 0 };
}

static enum bawn_status write_inblob(const struct agent_options *o, const char *dir,
                                     const uint8_t data[REPORT_DATA], struct bawn_error *err)
{
    char path[4096];
    enum bawn_status status = BAWN_OK;
    int fd;

    snprintf(path, sizeof(path), "%s%s/inblob", o->root, dir);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, data, REPORT_DATA) != REPORT_DATA)
        status = bawn_fail(err, BAWN_E_IO, "cannot write %.300s: %m", path);
    if (fd >= 0)
        close(fd);
    return status;
}

/* The entry is this process's own, so that nobody else's request comes between. */
static enum bawn_status tsm_report(const struct agent_options *o, const uint8_t data[REPORT_DATA],
                                   const char *provider, struct blobs *b, struct bawn_error *err)
{
    char dir[128], full[4096], path[256];
    enum bawn_status status;
    uint8_t *text = NULL;
    size_t len;

    snprintf(dir, sizeof(dir), TSM "/bawn-agent.%ld", (long)getpid());
    snprintf(full, sizeof(full), "%s%s", o->root, dir);
    if (mkdir(full, 0700) < 0 && errno != EEXIST)
        return bawn_fail(err, BAWN_E_IO, "cannot make %.300s: %m", full);
    status = write_inblob(o, dir, data, err);
    snprintf(path, sizeof(path), "%s/provider", dir);
    if (status == BAWN_OK)
        status = agent_read_file(o->root, path, 64, &text, &len, err);
    if (status == BAWN_OK && text && strncmp((char *)text, provider, strlen(provider)) != 0)
        status = bawn_fail(err, BAWN_E_CONFIG, "the kernel's report provider is not %s", provider);
    snprintf(path, sizeof(path), "%s/outblob", dir);
    if (status == BAWN_OK)
        status = agent_read_file(o->root, path, BLOB_MAX, &b->out, &b->out_len, err);
    snprintf(path, sizeof(path), "%s/auxblob", dir);
    if (status == BAWN_OK && evidence_exists(o, path))
        status = agent_read_file(o->root, path, BLOB_MAX, &b->aux, &b->aux_len, err);
    rmdir(full);
    free(text);
    return status;
}

/* ---- /dev/sev-guest ---- */

static enum bawn_status guest_request(int fd, unsigned long code, void *request,
                                      struct snp_report_resp *response, struct bawn_error *err)
{
    struct snp_guest_request_ioctl call = {
        .msg_version = 1,
        .req_data = (uintptr_t)request,
        .resp_data = (uintptr_t)response,
    };

    memset(response, 0, sizeof(*response));
    if (ioctl(fd, code, &call) < 0)
        return bawn_fail(err, BAWN_E_IO, SEV_GUEST " gave no report: %m (firmware %#x, host %#x)",
                         call.fw_error, call.vmm_error);
    return BAWN_OK;
}

/* With certificates, or without where the host has none to give. */
static enum bawn_status request_report(int fd, const uint8_t data[REPORT_DATA], void *certs,
                                       struct snp_report_resp *response, size_t *certs_len,
                                       struct bawn_error *err)
{
    struct snp_ext_report_req request = {
        .certs_address = (uintptr_t)certs,
        .certs_len = CERTS_SIZE,
    };

    memcpy(request.data.user_data, data, REPORT_DATA);
    *certs_len = CERTS_SIZE;
    if (certs != MAP_FAILED &&
        guest_request(fd, SNP_GET_EXT_REPORT, &request, response, err) == BAWN_OK)
        return BAWN_OK;
    *certs_len = 0;
    return guest_request(fd, SNP_GET_REPORT, &request.data, response, err);
}

static enum bawn_status take_response(const struct snp_report_resp *response, struct blobs *b,
                                      struct bawn_error *err)
{
    uint32_t status, size;

    memcpy(&status, response->data, sizeof(status));
    memcpy(&size, response->data + 4, sizeof(size));
    if (status || size < SNP_REPORT_SIZE || size > sizeof(response->data) - SNP_RESPONSE_HEADER)
        return bawn_fail(err, BAWN_E_IO, "the firmware gave no report: status %#x, %u bytes",
                         status, size);
    b->out = malloc(size);
    if (!b->out)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    memcpy(b->out, response->data + SNP_RESPONSE_HEADER, size);
    b->out_len = size;
    return BAWN_OK;
}

static enum bawn_status sev_guest_report(const struct agent_options *o,
                                         const uint8_t data[REPORT_DATA], struct blobs *b,
                                         struct bawn_error *err)
{
    struct snp_report_resp response;
    enum bawn_status status;
    size_t certs_len = 0;
    char path[4096];
    void *certs;
    int fd;

    snprintf(path, sizeof(path), "%s" SEV_GUEST, o->root);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return bawn_fail(err, BAWN_E_CONFIG, "cannot open %.300s: %m", path);
    /* The kernel wants whole pages. */
    certs = mmap(NULL, CERTS_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    status = request_report(fd, data, certs, &response, &certs_len, err);
    if (status == BAWN_OK)
        status = take_response(&response, b, err);
    if (status == BAWN_OK && certs_len && (b->aux = malloc(certs_len))) {
        memcpy(b->aux, certs, certs_len);
        b->aux_len = certs_len;
    }
    if (certs != MAP_FAILED)
        munmap(certs, CERTS_SIZE);
    close(fd);
    return status;
}

/* ---- As JSON ---- */

json_t *base64(const uint8_t *data, size_t len)
{
    char *text = malloc(len / 3 * 4 + 8);
    json_t *value = NULL;

    if (text && len < INT32_MAX / 2) {
        EVP_EncodeBlock((unsigned char *)text, data, (int)len);
        value = json_string_nocheck(text);
    }
    free(text);
    return value;
}

static const struct {
    uint8_t guid[BAWN_SNP_GUID_SIZE];
    const char *type;
} kinds[] = {
    { BAWN_SNP_GUID_VCEK, "VCEK" }, { BAWN_SNP_GUID_VLEK, "VLEK" }, { BAWN_SNP_GUID_ASK, "ASK" },
    { BAWN_SNP_GUID_ARK, "ARK" },   { BAWN_SNP_GUID_CRL, "CRL" },
};

/* The table is the host's: entries that do not lie in it, or that nobody knows, are left out, since
 * the report may be verified without them. */
static json_t *chain_of(struct bawn_bytes table)
{
    static const uint8_t end[16];
    json_t *chain = json_array();

    for (size_t at = 0; chain && table.len - at >= TABLE_ENTRY; at += TABLE_ENTRY) {
        const uint8_t *entry = table.data + at;
        uint32_t offset, len;

        if (!memcmp(entry, end, sizeof(end)))
            break;
        memcpy(&offset, entry + 16, sizeof(offset));
        memcpy(&len, entry + 20, sizeof(len));
        if (!len || offset > table.len || len > table.len - offset)
            continue;
        for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
            if (!memcmp(entry, kinds[k].guid, 16))
                json_array_append_new(chain, json_pack("{s:s,s:o}", "cert_type", kinds[k].type,
                                                       "data", base64(table.data + offset, len)));
    }
    return chain;
}

enum bawn_status evidence_snp_json(struct bawn_bytes report, struct bawn_bytes table, json_t **json,
                                   struct bawn_error *err)
{
    json_t *chain = chain_of(table);

    *json = json_pack("{s:o}", "attestation_report", base64(report.data, report.len));
    if (*json && json_array_size(chain))
        json_object_set(*json, "cert_chain", chain);
    json_decref(chain);
    return *json ? BAWN_OK : bawn_fail(err, BAWN_E_NOMEM, "no memory");
}

static enum bawn_status snp_evidence(const struct agent_options *o, const uint8_t data[REPORT_DATA],
                                     json_t **json, struct bawn_error *err)
{
    struct blobs b = { 0 };
    enum bawn_status status = evidence_exists(o, TSM) ? tsm_report(o, data, "sev_guest", &b, err)
                                                      : sev_guest_report(o, data, &b, err);

    /* An older kernel's configfs may be without the provider. */
    if (status == BAWN_E_CONFIG && evidence_exists(o, TSM)) {
        blobs_free(&b);
        status = sev_guest_report(o, data, &b, err);
    }
    if (status == BAWN_OK &&
        (b.out_len < SNP_REPORT_SIZE || memcmp(b.out + SNP_REPORT_DATA_AT, data, REPORT_DATA) != 0))
        status = bawn_fail(err, BAWN_E_IO,
                           "the report of %zu bytes is not about the data that it "
                           "was asked for",
                           b.out_len);
    if (status == BAWN_OK)
        status = evidence_snp_json((struct bawn_bytes){ b.out, b.out_len },
                                   (struct bawn_bytes){ b.aux, b.aux_len }, json, err);
    blobs_free(&b);
    return status;
}

static enum bawn_status tdx_evidence(const struct agent_options *o, const uint8_t data[REPORT_DATA],
                                     json_t **json, struct bawn_error *err)
{
    struct blobs b = { 0 };
    uint8_t *log = NULL;
    size_t log_len = 0;
    enum bawn_status status;

    if (!evidence_exists(o, TSM))
        return bawn_fail(err, BAWN_E_CONFIG,
                         "no " TSM ": TDX quotes need Linux 6.7 and configfs, "
                         "mounted on /sys/kernel/config");
    status = tsm_report(o, data, "tdx_guest", &b, err);
    if (status == BAWN_OK && evidence_exists(o, CCEL))
        status = agent_read_file(o->root, CCEL, BLOB_MAX, &log, &log_len, err);
    if (status == BAWN_OK) {
        *json = json_pack("{s:o}", "quote", base64(b.out, b.out_len));
        if (*json && log_len)
            json_object_set_new(*json, "cc_eventlog", base64(log, log_len));
        if (!*json)
            status = bawn_fail(err, BAWN_E_NOMEM, "no memory");
    }
    free(log);
    blobs_free(&b);
    return status;
}

/* ---- Which ---- */

static const struct {
    const char *tee, *device;
    enum bawn_status (*get)(const struct agent_options *o, const uint8_t data[REPORT_DATA],
                            json_t **json, struct bawn_error *err);
} sources[] = {
    { "snp", SEV_GUEST, snp_evidence },
    { "tdx", TDX_GUEST, tdx_evidence },
    { "tpm", TPM_DEVICE, evidence_tpm },
};

static bool is_source(const struct agent_options *o, size_t i)
{
    return o->tee ? !strcmp(o->tee, sources[i].tee) : evidence_exists(o, sources[i].device);
}

const char *evidence_tee(const struct agent_options *o)
{
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
        if (is_source(o, i))
            return sources[i].tee;
    return NULL;
}

enum bawn_status evidence_get(const struct agent_options *o, const uint8_t data[REPORT_DATA],
                              struct evidence *ev, struct bawn_error *err)
{
    *ev = (struct evidence){ 0 };
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
        if (is_source(o, i)) {
            ev->tee = sources[i].tee;
            return sources[i].get(o, data, &ev->json, err);
        }
    return bawn_fail(err, BAWN_E_CONFIG,
                     "no evidence to be had: neither " SEV_GUEST ", " TDX_GUEST " nor " TPM_DEVICE
                     " is here; is this a confidential guest, and is its driver loaded?");
}

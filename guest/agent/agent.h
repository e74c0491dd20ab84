/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bawn-agent: runs inside the guest, proves to a service of the KBS protocol what the guest is, and
 * brings back a secret that was encrypted to a key which never leaves the guest. It trusts the
 * guest's kernel and the pinned certificate; the host, the network and what the server sends
 * before and after TLS are hostile.
 */
#ifndef BAWN_AGENT_H
#define BAWN_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <openssl/ssl.h>

#include <bawn/attest.h>
#include <bawn/status.h>

enum { REPORT_DATA = 64, PIN_SIZE = 32 };

/* ---- The command line (options.c) ---- */

enum agent_command { CMD_GET, CMD_TOKEN, CMD_EVIDENCE, CMD_RA_TLS, CMD_AK };

struct agent_options {
    enum agent_command command;
    const char *server, *ca, *pin, *server_name, *tenant, *resource;
    const char *key_type; /* "ec" or "rsa" */
    const char *output;   /* file, or descriptor's number; NULL: standard output */
    const char *luks, *luks_name;
    char **run; /* NULL-ended, or NULL */
    const char *nonce, *report_data, *init_data;
    const char *cert, *key, *cn;
    const char *tee;    /* "snp", "tdx", "tpm", or NULL: what there is */
    const char *tpm_ak; /* handle of a persistent key, or NULL: the one made by our template */
    const char *ak_cert;
    const char *root; /* where /dev, /proc and /sys are; "" outside of tests */
    unsigned timeout, days;
    bool cmdline, quiet, with_tpm;
};

/* Exits of the program; EXIT_SUCCESS is 0. With a command to run, that command's. */
enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_DENIED = 3, EXIT_UNREACHABLE = 4 };

/* Takes argv and, with --cmdline, the kernel's command line. *text is what is borrowed from there;
 * the caller frees it last. status BAWN_OK with command help done: *done is set. */
enum bawn_status agent_options_read(struct agent_options *o, int argc, char **argv, char **text,
                                    bool *done, struct bawn_error *err);
void agent_usage(void);

/* A whole small file below o->root; *data is malloc'ed and ends in a zero beyond *len. */
enum bawn_status agent_read_file(const char *root, const char *path, size_t max, uint8_t **data,
                                 size_t *len, struct bawn_error *err);
/* "bawn-agent: ..." to standard error, unless quiet. Never with secrets. */
void agent_say(const struct agent_options *o, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- Transport: a TLS 1.3 connection (transport.c) ---- */

struct transport {
    int fd;
    SSL_CTX *ctx;
    SSL *ssl; /* NULL: not connected */
};

/* Seconds of the monotonic clock, from which deadlines are made. */
int64_t agent_now_ms(void);

/* Reads what is pinned. Nothing is connected yet. */
enum bawn_status transport_init(struct transport *t, const struct agent_options *o,
                                struct bawn_error *err);
void transport_free(struct transport *t);
/* BAWN_E_IO: not reached, worth another try; BAWN_E_DENIED: another server than the pinned one. */
enum bawn_status transport_connect(struct transport *t, const struct agent_options *o,
                                   int64_t deadline, struct bawn_error *err);
void transport_close(struct transport *t);
enum bawn_status transport_write(struct transport *t, const void *data, size_t len,
                                 int64_t deadline, struct bawn_error *err);
/* *got 0: the end. */
enum bawn_status transport_read(struct transport *t, void *data, size_t size, size_t *got,
                                int64_t deadline, struct bawn_error *err);

/* ---- HTTP/1.1 (http.c) ---- */

enum { HTTP_COOKIE_MAX = 4096 };

struct http_reply {
    unsigned status;
    unsigned retry_after;         /* seconds; 0: not said */
    bool close;                   /* the server ends the connection behind it */
    char cookie[HTTP_COOKIE_MAX]; /* of kbs-session-id; empty: none was set */
    uint8_t *body;                /* malloc'ed */
    size_t len, size;             /* of the body; of its memory */
};

/* Where the bytes of a reply come from; *got 0: the end. */
typedef enum bawn_status http_read_fn(void *from, void *data, size_t size, size_t *got,
                                      struct bawn_error *err);

/* Reads one reply. On success the caller frees reply->body. BAWN_E_FORMAT: no HTTP of ours;
 * BAWN_E_IO: from the source, or it ended within. */
enum bawn_status http_read_reply(http_read_fn *read, void *from, struct http_reply *reply,
                                 struct bawn_error *err);
/* One request over the transport, which is connected when it is not. body NULL: GET. cookie and
 * bearer may be NULL. */
enum bawn_status http_request(struct transport *t, const struct agent_options *o, const char *path,
                              const char *cookie, const char *body, int64_t deadline,
                              struct http_reply *reply, struct bawn_error *err);

/* ---- Evidence (evidence.c) ---- */

#define TPM_DEVICE "/dev/tpmrm0"

struct evidence {
    const char *tee; /* "snp", "tdx", "tpm" */
    json_t *json;    /* primary evidence; owned */
};

/* What o->tee says, else "snp", "tdx" or "tpm", the first that the guest has; NULL: nothing that
 * gives evidence. */
const char *evidence_tee(const struct agent_options *o);
enum bawn_status evidence_get(const struct agent_options *o, const uint8_t data[REPORT_DATA],
                              struct evidence *ev, struct bawn_error *err);
/* The JSON of an SNP report and of the certificate table (which may be empty) that came with it. */
enum bawn_status evidence_snp_json(struct bawn_bytes report, struct bawn_bytes table, json_t **json,
                                   struct bawn_error *err);

/* Whether there is such a file below o->root. */
bool evidence_exists(const struct agent_options *o, const char *path);
/* A JSON string of base64; NULL: no memory. */
json_t *base64(const uint8_t *data, size_t len);

/* ---- Evidence of a TPM (tpm_evidence.c) ---- */

enum bawn_status evidence_tpm(const struct agent_options *o, const uint8_t data[REPORT_DATA],
                              json_t **json, struct bawn_error *err);
/* The public attestation key as PEM to o->output. */
enum bawn_status tpm_ak_print(const struct agent_options *o, struct bawn_error *err);

/* ---- KBS protocol 0.4.0 (kbs.c) ---- */

struct kbs_result {
    char *token;     /* malloc'ed */
    uint8_t *secret; /* malloc'ed, wiped by kbs_result_free */
    size_t len;
};

/* The guest's ephemeral key. */
EVP_PKEY *kbs_key(const struct agent_options *o, struct bawn_error *err);
/* The body of POST attest for the nonce. */
enum bawn_status kbs_attestation(const struct agent_options *o, EVP_PKEY *key, const char *nonce,
                                 const char *hash, json_t **body, struct bawn_error *err);
/* The whole exchange, tried until it succeeds, is refused, or the time is over. The resource is
 * fetched when o->resource is given. */
enum bawn_status kbs_run(const struct agent_options *o, struct kbs_result *result,
                         struct bawn_error *err);
void kbs_result_free(struct kbs_result *result);

/* ---- What is done with a secret (deliver.c) ---- */

/* Writes all of it; status of the command in *exit_status when one is run. */
enum bawn_status deliver(const struct agent_options *o, const uint8_t *secret, size_t len,
                         int *exit_status, struct bawn_error *err);
enum bawn_status deliver_output(const struct agent_options *o, const void *data, size_t len,
                                struct bawn_error *err);

/* ---- The header of a LUKS volume (luks.c) ---- */

/* A copy of it in memory, for cryptsetup's --header, once its ciphers are found to be good; the
 * caller closes it. BAWN_E_DENIED: the host could make it open, or be read, without the key. */
enum bawn_status luks_header(const char *device, int *header, struct bawn_error *err);
/* The same of the volume's first bytes: *size is the header's, whose second copy is made void. */
enum bawn_status luks_check(uint8_t *data, size_t len, size_t *size, struct bawn_error *err);

/* ---- RA-TLS (ra_tls.c) ---- */

enum bawn_status ra_tls_make(const struct agent_options *o, struct bawn_error *err);

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * bawn-agent: the guest's part of attestation; see agent.h and bawn-agent(1). One static program,
 * so that an initrd needs nothing else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "attest/jose/jose.h"
#include "common/bytes.h"
#include "guest/agent/agent.h"

/* Keys and secrets are not to be found in a core file, in swap or by another process. */
static void keep_memory_private(void)
{
    prctl(PR_SET_DUMPABLE, 0);
    /* Without root's right the limit would make later allocations fail. */
    if (geteuid() == 0)
        mlockall(MCL_CURRENT | MCL_FUTURE);
}

/* ---- Commands ---- */

static enum bawn_status run_get(const struct agent_options *o, int *exit_status,
                                struct bawn_error *err)
{
    struct kbs_result result;
    enum bawn_status status = kbs_run(o, &result, err);

    if (status == BAWN_OK)
        status = deliver(o, result.secret, result.len, exit_status, err);
    kbs_result_free(&result);
    return status;
}

static enum bawn_status put_line(const struct agent_options *o, const char *text,
                                 struct bawn_error *err)
{
    enum bawn_status status;
    char *line;

    if (asprintf(&line, "%s\n", text) < 0)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    status = deliver_output(o, line, strlen(line), err);
    free(line);
    return status;
}

static enum bawn_status run_token(const struct agent_options *o, int *exit_status,
                                  struct bawn_error *err)
{
    struct kbs_result result;
    enum bawn_status status = kbs_run(o, &result, err);

    (void)exit_status;
    if (status == BAWN_OK)
        status = put_line(o, result.token, err);
    kbs_result_free(&result);
    return status;
}

static bool parse_hex(const char *text, uint8_t *out, size_t size)
{
    size_t n = strlen(text);

    return n % 2 == 0 && n / 2 <= size && hex_parse(text, out, n / 2);
}

static enum bawn_status evidence_for(const struct agent_options *o, json_t **json,
                                     struct bawn_error *err)
{
    uint8_t data[REPORT_DATA] = { 0 };
    struct evidence ev = { 0 };
    enum bawn_status status;
    EVP_PKEY *key;

    if (o->report_data) {
        if (!parse_hex(o->report_data, data, sizeof(data)))
            return bawn_fail(err, BAWN_E_USAGE, "--report-data is up to 128 hexadecimal digits");
        status = evidence_get(o, data, &ev, err);
        *json = ev.json;
        return status;
    }
    key = kbs_key(o, err);
    status = key ? kbs_attestation(o, key, o->nonce, "sha384", json, err) : BAWN_E_INTERNAL;
    EVP_PKEY_free(key);
    return status;
}

static enum bawn_status run_evidence(const struct agent_options *o, int *exit_status,
                                     struct bawn_error *err)
{
    json_t *json = NULL;
    char *text = NULL;
    enum bawn_status status = evidence_for(o, &json, err);

    (void)exit_status;
    if (status == BAWN_OK && !(text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS)))
        status = bawn_fail(err, BAWN_E_NOMEM, "no memory");
    if (status == BAWN_OK)
        status = put_line(o, text, err);
    free(text);
    json_decref(json);
    return status;
}

static enum bawn_status run_ra_tls(const struct agent_options *o, int *exit_status,
                                   struct bawn_error *err)
{
    (void)exit_status;
    return ra_tls_make(o, err);
}

static enum bawn_status run_ak(const struct agent_options *o, int *exit_status,
                               struct bawn_error *err)
{
    (void)exit_status;
    return tpm_ak_print(o, err);
}

static int exit_of(enum bawn_status status)
{
    switch (status) {
    case BAWN_E_USAGE:
        return EXIT_USAGE;
    case BAWN_E_DENIED:
        return EXIT_DENIED;
    case BAWN_E_IO:
        return EXIT_UNREACHABLE;
    default:
        return EXIT_FAILED;
    }
}

int main(int argc, char **argv)
{
    static enum bawn_status (*const run[])(const struct agent_options *o, int *exit_status,
                                           struct bawn_error *err) = {
        [CMD_GET] = run_get,       [CMD_TOKEN] = run_token, [CMD_EVIDENCE] = run_evidence,
        [CMD_RA_TLS] = run_ra_tls, [CMD_AK] = run_ak,
    };
    struct agent_options o;
    struct bawn_error err = { "" };
    int exit_status = 0;
    char *text;
    bool done;
    enum bawn_status status;

    keep_memory_private();
    status = agent_options_read(&o, argc, argv, &text, &done, &err);
    if (status == BAWN_OK && !done)
        status = run[o.command](&o, &exit_status, &err);
    free(text);
    if (status == BAWN_OK)
        return exit_status;
    fprintf(stderr, "bawn-agent: %s\n", err.msg);
    return exit_of(status);
}

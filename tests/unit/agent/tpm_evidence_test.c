// SPDX-License-Identifier: Apache-2.0
/*
 * A TPM behind its device's name: answers of swtpm (tests/vectors/tpm/agent-made-p256.answers) that
 * come whole or in pieces become evidence; those that end or do not end become errors.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest/agent/agent.h"

enum { ANSWERS = 8, OVERSIZE = 9000 };

/* One connection's answers. */
struct tpm_stand_in {
    uint8_t answer[ANSWERS][OVERSIZE];
    size_t len[ANSWERS], piece;
    unsigned n;
    int listener;
    char root[64], device[96];
};

static void load(struct tpm_stand_in *s)
{
    FILE *f = fopen("tests/vectors/tpm/agent-made-p256.answers", "rb");
    uint8_t size[2];

    assert_non_null(f);
    for (s->n = 0; fread(size, 1, 2, f) == 2; s->n++) {
        assert_true(s->n < ANSWERS);
        s->len[s->n] = (size_t)(size[0] << 8 | size[1]);
        assert_int_equal(fread(s->answer[s->n], 1, s->len[s->n], f), s->len[s->n]);
    }
    fclose(f);
}

static void *serve(void *context)
{
    struct tpm_stand_in *s = context;
    int fd = accept(s->listener, NULL, NULL);
    uint8_t command[4096];

    for (unsigned i = 0; i < s->n && read(fd, command, sizeof(command)) > 0; i++)
        for (size_t at = 0; at < s->len[i]; at += s->piece) {
            size_t len = s->len[i] - at < s->piece ? s->len[i] - at : s->piece;

            if (send(fd, s->answer[i] + at, len, MSG_NOSIGNAL) < 0)
                break;
        }
    close(fd);
    return NULL;
}

static int setup(void **state)
{
    struct tpm_stand_in *s = calloc(1, sizeof(*s));
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    char path[80];

    snprintf(s->root, sizeof(s->root), "/tmp/bawn-tpm-XXXXXX");
    if (!mkdtemp(s->root))
        return -1;
    snprintf(path, sizeof(path), "%s/dev", s->root);
    mkdir(path, 0700);
    snprintf(s->device, sizeof(s->device), "%s" TPM_DEVICE, s->root);
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", s->device);
    s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *state = s;
    return bind(s->listener, (struct sockaddr *)&addr, sizeof(addr)) || listen(s->listener, 1);
}

static int teardown(void **state)
{
    struct tpm_stand_in *s = *state;

    close(s->listener);
    unlink(s->device);
    *strrchr(s->device, '/') = '\0';
    rmdir(s->device);
    rmdir(s->root);
    free(s);
    return 0;
}

static enum bawn_status collect(struct tpm_stand_in *s, json_t **json, struct bawn_error *err)
{
    struct agent_options o = { .root = s->root, .command = CMD_EVIDENCE, .quiet = true };
    uint8_t data[REPORT_DATA];
    enum bawn_status status;
    pthread_t thread;

    *json = NULL;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)i; /* as in the recording */
    assert_string_equal(evidence_tee(&o), "tpm");
    assert_int_equal(pthread_create(&thread, NULL, serve, s), 0);
    status = evidence_tpm(&o, data, json, err);
    pthread_join(thread, NULL);
    return status;
}

static void pieces(void **state)
{
    static const size_t sizes[] = { OVERSIZE, 200, 7, 1 };
    struct tpm_stand_in *s = *state;
    struct bawn_error err;

    load(s);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        json_t *json, *quote;

        s->piece = sizes[i];
        assert_int_equal(collect(s, &json, &err), BAWN_OK);
        quote = json_object_get(json, "tpm_quote");
        assert_int_equal(json_array_size(json_object_get(quote, "pcrs")), 24);
        assert_string_equal(json_string_value(json_array_get(json_object_get(quote, "pcrs"), 17)),
                            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff");
        /* TPM_GENERATED_VALUE, and TPMT_SIGNATURE of ECDSA over SHA-256 */
        assert_memory_equal(json_string_value(json_object_get(quote, "message")), "/1RDR4AY", 8);
        assert_memory_equal(json_string_value(json_object_get(quote, "signature")), "ABgAC", 5);
        assert_null(json_object_get(json, "Log"));
        json_decref(json);
    }
}

/* The connection ends after each number of bytes of each answer. */
static void cut(void **state)
{
    struct tpm_stand_in *s = *state;
    struct bawn_error err;
    json_t *json;

    load(s);
    s->piece = OVERSIZE;
    for (s->n = 1; s->n < 6; s->n++) {
        size_t whole = s->len[s->n - 1];

        for (size_t len = 0; len < whole; len += len < 12 ? 1 : 31) {
            s->len[s->n - 1] = len;
            assert_int_equal(collect(s, &json, &err), BAWN_E_FORMAT);
            assert_non_null(strstr(err.msg, "the TPM's answer ends after"));
            assert_null(json);
        }
        s->len[s->n - 1] = whole;
    }
}

/* More than was announced, more than is announced and comes, and more than there is room for. */
static void oversize(void **state)
{
    static const struct {
        uint32_t announced;
        size_t len;
    } cases[] = { { 312, 313 },   { 312, OVERSIZE }, { 4096, 4096 },          { 4097, OVERSIZE },
                  { 4096, 4097 }, { 8192, 8192 },    { UINT32_MAX, OVERSIZE } };
    struct tpm_stand_in *s = *state;
    struct bawn_error err;
    json_t *json;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        load(s);
        s->n = 1;
        s->piece = OVERSIZE;
        s->len[0] = cases[i].len;
        for (unsigned b = 0; b < 4; b++)
            s->answer[0][2 + b] = (uint8_t)(cases[i].announced >> (24 - 8 * b));
        assert_int_equal(collect(s, &json, &err), BAWN_E_FORMAT);
        assert_non_null(strstr(err.msg, "malformed"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(cut, setup, teardown),
        cmocka_unit_test_setup_teardown(oversize, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

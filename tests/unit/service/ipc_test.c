// SPDX-License-Identifier: Apache-2.0
/* Messages between processes: what is sent comes, however it is cut; hostile frames end it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "attest/service/ipc.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct bawn_bytes none = { NULL, 0 };

static void make_pair(int ends[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
}

static void roundtrip(void **state)
{
    struct ipc *a, *b;
    int ends[2];
    json_t *json = json_pack("{s:s}", "tenant", "default");
    struct bawn_error err;
    struct ipc_msg msg;
    size_t big = 3 << 20;
    uint8_t *blob = malloc(big);

    (void)state;
    for (size_t i = 0; i < big; i++)
        blob[i] = (uint8_t)(i * 31);
    make_pair(ends);
    a = ipc_create(ends[0]);
    b = ipc_create(ends[1]);
    assert_int_equal(
        ipc_send(a, IPC_JUDGE, 1ull << 56, json, (struct bawn_bytes){ blob, big }, -1, &err),
        BAWN_OK);
    assert_int_equal(ipc_send(a, IPC_STOP, 7, NULL, none, -1, &err), BAWN_OK);
    assert_true(ipc_queued(a) > big);
    for (int i = 0; i < 1000 && ipc_wants_write(a); i++) {
        assert_int_equal(ipc_flush(a, &err), BAWN_OK);
        assert_int_equal(ipc_read(b, &err), BAWN_OK);
    }
    assert_true(ipc_next(b, &msg));
    assert_int_equal(msg.op, IPC_JUDGE);
    assert_true(msg.id == 1ull << 56);
    assert_int_equal(msg.fd, -1);
    assert_int_equal(msg.blob_len, big);
    assert_memory_equal(msg.blob, blob, big);
    assert_true(json_equal(msg.json, json));
    ipc_msg_clear(&msg);
    assert_true(ipc_next(b, &msg));
    assert_int_equal(msg.op, IPC_STOP);
    assert_null(msg.json);
    ipc_msg_clear(&msg);
    assert_false(ipc_next(b, &msg));
    ipc_destroy(a);
    assert_int_equal(ipc_read(b, &err), BAWN_E_IO);
    ipc_destroy(b);
    json_decref(json);
    free(blob);
}

/* The descriptor of each message is its own, also behind and before others. */
static void descriptors(void **state)
{
    int ends[2], pipes[2][2];
    struct ipc *a, *b;
    struct bawn_error err;
    struct ipc_msg msg;
    char byte;

    (void)state;
    make_pair(ends);
    a = ipc_create(ends[0]);
    b = ipc_create(ends[1]);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pipe(pipes[i]), 0);
        assert_int_equal(ipc_send(a, IPC_STATUS, 0, NULL, none, -1, &err), BAWN_OK);
        assert_int_equal(ipc_send(a, IPC_PEER, (uint64_t)i, NULL, none, pipes[i][1], &err),
                         BAWN_OK);
        close(pipes[i][1]);
    }
    assert_int_equal(ipc_flush(a, &err), BAWN_OK);
    assert_int_equal(ipc_read(b, &err), BAWN_OK);
    for (int i = 0; i < 4; i++) {
        assert_true(ipc_next(b, &msg));
        assert_int_equal(msg.op, i % 2 ? IPC_PEER : IPC_STATUS);
        assert_int_equal(msg.fd >= 0, i % 2);
        if (i % 2) {
            assert_int_equal(write(msg.fd, i == 1 ? "a" : "b", 1), 1);
            assert_int_equal(read(pipes[i / 2][0], &byte, 1), 1);
            assert_int_equal(byte, i == 1 ? 'a' : 'b');
        }
        ipc_msg_clear(&msg);
    }
    ipc_destroy(a);
    ipc_destroy(b);
    close(pipes[0][0]);
    close(pipes[1][0]);
}

static void too_large(void **state)
{
    int ends[2];
    struct bawn_error err;
    struct ipc *a;
    const struct bawn_bytes blob = { (const uint8_t *)"", IPC_BLOB_MAX + 1 };

    (void)state;
    make_pair(ends);
    a = ipc_create(ends[0]);
    assert_int_equal(ipc_send(a, IPC_ADMIN, 0, NULL, blob, -1, &err), BAWN_E_FORMAT);
    assert_int_equal(ipc_queued(a), 0);
    ipc_destroy(a);
    close(ends[1]);
}

/* Header and body of what a process that was taken over may write. */
static const struct {
    struct ipc_header header;
    const char *body;
} hostile[] = {
    { { 0, 0, 0, 0, 0 }, "" },
    { { IPC_OPS, 0, 0, 0, 0 }, "" },
    { { UINT32_MAX, 0, 0, 0, 0 }, "" },
    { { IPC_REPLY, IPC_JSON_MAX + 1, 0, 0, 0 }, "" },
    { { IPC_REPLY, UINT32_MAX, UINT32_MAX, 0, 0 }, "" },
    { { IPC_REPLY, 0, IPC_BLOB_MAX + 1, 0, 0 }, "" },
    { { IPC_REPLY, 0, 0, 1, 0 }, "" },
    { { IPC_REPLY, 2, 0, 0, 0 }, "[]" },
    { { IPC_REPLY, 1, 0, 0, 0 }, "{" },
    { { IPC_REPLY, 3, 0, 0, 0 }, "{}x" },
    { { IPC_REPLY, 13, 0, 0, 0 }, "{\"a\":1,\"a\":2}" },
    { { IPC_REPLY, 14, 0, 0, 0 }, "{\"a\":\"\\u0000\"}" },
    { { IPC_PEER, 0, 0, 0, 0 }, "" },
};

static void refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(hostile); i++) {
        struct bawn_error err = { "" };
        struct ipc_msg msg;
        struct ipc *ipc;
        int ends[2];

        make_pair(ends);
        ipc = ipc_create(ends[0]);
        assert_int_equal(write(ends[1], &hostile[i].header, sizeof(hostile[i].header)),
                         sizeof(hostile[i].header));
        if (*hostile[i].body)
            assert_true(write(ends[1], hostile[i].body, strlen(hostile[i].body)) > 0);
        assert_int_equal(ipc_read(ipc, &err), BAWN_E_FORMAT);
        assert_true(err.msg[0]);
        assert_false(ipc_next(ipc, &msg));
        ipc_destroy(ipc);
        close(ends[1]);
    }
}

/* A length that is promised costs nothing until its bytes come. */
static void promised(void **state)
{
    const struct ipc_header header = { IPC_REPLY, IPC_JSON_MAX, IPC_BLOB_MAX, 0, 0 };
    struct bawn_error err;
    struct ipc_msg msg;
    struct ipc *ipc;
    int ends[2];

    (void)state;
    make_pair(ends);
    ipc = ipc_create(ends[0]);
    assert_int_equal(write(ends[1], &header, 10), 10);
    assert_int_equal(ipc_read(ipc, &err), BAWN_OK);
    assert_int_equal(write(ends[1], (const char *)&header + 10, sizeof(header) - 10),
                     sizeof(header) - 10);
    assert_int_equal(ipc_read(ipc, &err), BAWN_OK);
    assert_false(ipc_next(ipc, &msg));
    close(ends[1]);
    assert_int_equal(ipc_read(ipc, &err), BAWN_E_IO);
    ipc_destroy(ipc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roundtrip), cmocka_unit_test(descriptors), cmocka_unit_test(too_large),
        cmocka_unit_test(refused),   cmocka_unit_test(promised),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

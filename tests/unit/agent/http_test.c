// SPDX-License-Identifier: Apache-2.0
/*
 * Replies of a hostile server: every one is read in one piece and octet by octet, with the same
 * end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest/agent/agent.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct text {
    const char *data;
    size_t len, at, step;
};

static enum bawn_status read_text(void *from, void *data, size_t size, size_t *got,
                                  struct bawn_error *err)
{
    struct text *t = from;
    size_t n = t->len - t->at;

    (void)err;
    if (n > size)
        n = size;
    if (n > t->step)
        n = t->step;
    memcpy(data, t->data + t->at, n);
    t->at += n;
    *got = n;
    return BAWN_OK;
}

static enum bawn_status reply_of(const char *data, size_t len, size_t step,
                                 struct http_reply *reply)
{
    char *copy = memcpy(malloc(len + !len), data, len);
    struct text t = { copy, len, 0, step };
    struct bawn_error err = { "" };
    enum bawn_status status = http_read_reply(read_text, &t, reply, &err);

    assert_true(status == BAWN_OK || (err.msg[0] && !reply->body));
    free(copy);
    return status;
}

#define OK "HTTP/1.1 200 OK\r\n"

static void good(void **state)
{
    static const struct {
        const char *text, *body, *cookie;
        unsigned status, retry;
        bool close;
    } table[] = {
        { OK "Content-Length: 5\r\n\r\nhello", "hello", "", 200, 0, false },
        { OK "content-length:5 \t\r\nConnection: Close\r\n\r\nhello", "hello", "", 200, 0, true },
        { "HTTP/1.1 503\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", "", "", 503, 7, false },
        { "HTTP/1.1 429 Slow\r\nRetry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n"
          "Content-Length: 0\r\n\r\n",
          "", "", 429, 0, false },
        { "HTTP/1.1 204 No Content\r\n\r\n", "", "", 204, 0, false },
        { OK "Set-Cookie: other=1; Path=/\r\nSet-Cookie: kbs-session-id=aB-_.9; Secure\r\n"
             "Content-Length: 0\r\n\r\n",
          "", "aB-_.9", 200, 0, false },
        { OK "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
          "abc0123456789", "", 200, 0, false },
        { OK "Transfer-Encoding: Chunked\r\n\r\n0\r\nTrailer: x\r\n\r\n", "", "", 200, 0, false },
        { OK "X-Unknown: \xff\xfe\r\nContent-Length: 1\r\n\r\nx", "x", "", 200, 0, false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++)
        for (size_t step = 1; step < 5000; step *= 7) {
            struct http_reply reply;

            assert_int_equal(reply_of(table[i].text, strlen(table[i].text), step, &reply), BAWN_OK);
            assert_int_equal(reply.status, table[i].status);
            assert_int_equal(reply.retry_after, table[i].retry);
            assert_int_equal(reply.close, table[i].close);
            assert_string_equal(reply.cookie, table[i].cookie);
            assert_int_equal(reply.len, strlen(table[i].body));
            assert_string_equal((char *)reply.body, table[i].body);
            free(reply.body);
        }
}

static void bad(void **state)
{
    static const char *const table[] = {
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/2 200\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 -20 OK\r\nContent-Length: 0\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        OK "\r\n",
        OK "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        OK "Content-Length: 5, 5\r\n\r\nhello",
        OK "Content-Length: +5\r\n\r\nhello",
        OK "Content-Length: -1\r\n\r\n",
        OK "Content-Length: 0x5\r\n\r\nhello",
        OK "Content-Length:\r\n\r\n",
        OK "Content-Length: 99999999999999999999\r\n\r\n",
        OK "Content-Length: 8388609\r\n\r\n",
        OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK "Transfer-Encoding: chunked\r\n\r\n\r\n",
        OK "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
        OK "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
        OK "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n",
        OK "Transfer-Encoding: chunked\r\n\r\n800001\r\n",
        OK "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        OK "Content-Length : 0\r\n\r\n",
        OK " folded: x\r\nContent-Length: 0\r\n\r\n",
        OK ": x\r\nContent-Length: 0\r\n\r\n",
        OK "no colon\r\nContent-Length: 0\r\n\r\n",
        OK "X: a\rb\r\nContent-Length: 0\r\n\r\n",
        OK "Set-Cookie: kbs-session-id=a b\r\nContent-Length: 0\r\n\r\n",
        OK "Set-Cookie: kbs-session-id=a\"b\r\nContent-Length: 0\r\n\r\n",
        OK "Content-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct http_reply reply;

        if (reply_of(table[i], strlen(table[i]), 4096, &reply) != BAWN_E_FORMAT)
            fail_msg("taken: %s", table[i]);
    }
}

/* However early it ends, it is an end of the connection and worth another try. */
static void cut(void **state)
{
    static const char *const texts[] = {
        OK "Content-Length: 5\r\n\r\nhello",
        OK "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        for (size_t n = 0; n < strlen(texts[i]); n++) {
            struct http_reply reply;

            assert_int_equal(reply_of(texts[i], n, 4096, &reply), BAWN_E_IO);
        }
}

static void zero_octet(void **state)
{
    static const char text[] = OK "X: a\0b\r\nContent-Length: 0\r\n\r\n";
    struct http_reply reply;

    (void)state;
    assert_int_equal(reply_of(text, sizeof(text) - 1, 4096, &reply), BAWN_E_FORMAT);
}

/* A source that never ends: a head, headers, a cookie, chunks, trailers. */
struct endless {
    const char *start, *again;
    size_t given;
};

static enum bawn_status read_endless(void *from, void *data, size_t size, size_t *got,
                                     struct bawn_error *err)
{
    struct endless *e = from;
    const char *text = e->given ? e->again : e->start;

    (void)err;
    *got = strlen(text) < size ? strlen(text) : size;
    memcpy(data, text, *got);
    e->given += *got;
    return BAWN_OK;
}

static void endless(void **state)
{
    static const struct {
        const char *start, *again;
    } table[] = {
        { "HTTP/1.1 200 ", "OK" },
        { OK, "X: y\r\n" },
        { OK "Set-Cookie: kbs-session-id=", "a" },
        { OK "Transfer-Encoding: chunked\r\n\r\n", "3\r\nabc\r\n" },
        { OK "Transfer-Encoding: chunked\r\n\r\n1;", "x" },
        { OK "Transfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct endless e = { table[i].start, table[i].again, 0 };
        struct http_reply reply;

        assert_int_equal(http_read_reply(read_endless, &e, &reply, NULL), BAWN_E_FORMAT);
        assert_true(e.given < 64 << 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),       cmocka_unit_test(bad),     cmocka_unit_test(cut),
        cmocka_unit_test(zero_octet), cmocka_unit_test(endless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

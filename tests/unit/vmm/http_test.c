// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/http.c: requests as clients send them, in pieces and one behind the other, and what is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http.h"

/* A copy that ends where the text does, for the sanitizer to see. */
static int read_text(const char *text, size_t len, struct bawn_http_request *req)
{
    char *copy = malloc(len ? len : 1);
    int n;

    memcpy(copy, text, len);
    n = bawn_http_read(copy, len, req);
    free(copy);
    return n;
}

#define LINE "PUT /api/v1/vm.create HTTP/1.1\r\n"

static void test_whole(void **state)
{
    static const struct {
        const char *text, *method, *path, *body;
        bool close;
    } cases[] = {
        { "GET /api/v1/vmm.ping HTTP/1.1\r\n\r\n", "GET", "/api/v1/vmm.ping", "", false },
        { "GET /x HTTP/1.0\r\n\r\n", "GET", "/x", "", true },
        { "GET /x HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n", "GET", "/x", "", false },
        { "PUT / HTTP/1.1\r\nHost: localhost\r\nConnection:close \r\n\r\n", "PUT", "/", "", true },
        { LINE "Content-Length:\t2\t\r\nAccept: */*\r\nX:\r\n\r\n{}", "PUT", "/api/v1/vm.create",
          "{}", false },
        { LINE "content-length: 0\r\n\r\n", "PUT", "/api/v1/vm.create", "", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *text = cases[i].text;
        struct bawn_http_request req;
        char two[512];

        for (size_t n = 0; n < strlen(text); n++)
            assert_int_equal(read_text(text, n, &req), 0);
        snprintf(two, sizeof(two), "%s%s", text, LINE); /* what follows is the next one's */
        assert_int_equal(bawn_http_read(two, strlen(two), &req), strlen(text));
        assert_int_equal(req.method_len, strlen(cases[i].method));
        assert_memory_equal(req.method, cases[i].method, req.method_len);
        assert_int_equal(req.path_len, strlen(cases[i].path));
        assert_memory_equal(req.path, cases[i].path, req.path_len);
        assert_int_equal(req.body_len, strlen(cases[i].body));
        assert_memory_equal(req.body, cases[i].body, req.body_len);
        assert_int_equal(req.close, cases[i].close);
    }
}

static void test_expect(void **state)
{
    static const char text[] = LINE "Content-Length: 2\r\nExpect: 100-Continue\r\n\r\n";
    struct bawn_http_request req;

    (void)state;
    assert_int_equal(read_text(text, sizeof(text) - 2, &req), 0);
    assert_false(req.expect);
    assert_int_equal(read_text(text, sizeof(text) - 1, &req), 0);
    assert_true(req.expect);
}

static void test_refused(void **state)
{
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        { "\r\n", 400 },
        { "\n", 400 },
        { "GET / HTTP/1.1\n\n", 400 },
        { "GET  / HTTP/1.1\r\n", 400 },
        { " / HTTP/1.1\r\n", 400 },
        { "GET x HTTP/1.1\r\n", 400 },
        { "GET http://localhost/ HTTP/1.1\r\n", 400 },
        { "GET /a\tb HTTP/1.1\r\n", 400 },
        { "GET /\x80 HTTP/1.1\r\n", 400 },
        { "GET / HTTP/1.1 \r\n", 400 },
        { "GET / HTTP/1.\r\n", 400 },
        { "GET /\r\n", 400 },
        { "GET\r\n", 400 },
        { "G\"T / HTTP/1.1\r\n", 400 },
        { "PROPFIND / HTTP/1.1\r\n", 400 },
        { "GET / HTTP/2.0\r\n", 505 },
        { "GET / HTTP/1.2\r\n", 505 },
        { LINE " folded: 1\r\n", 400 },
        { LINE "no colon\r\n", 400 },
        { LINE ": 1\r\n", 400 },
        { LINE "Name : 1\r\n", 400 },
        { LINE "Name: a\rb\r\n", 400 },
        { LINE "Name: a\x7f\r\n", 400 },
        { LINE "Content-Length: \r\n", 400 },
        { LINE "Content-Length: +1\r\n", 400 },
        { LINE "Content-Length: 1,1\r\n", 400 },
        { LINE "Content-Length: 1\r\nContent-Length: 1\r\n", 400 },
        { LINE "Content-Length: 18446744073709551617\r\n", 400 },
        { LINE "Content-Length: 65537\r\n", 413 },
        { LINE "Expect: tea\r\n", 417 },
        { LINE "Transfer-Encoding: chunked\r\n", 501 },
    };
    struct bawn_http_request req;
    char many[BAWN_HTTP_HEAD_MAX + 8] = LINE;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (read_text(cases[i].text, strlen(cases[i].text), &req) != -cases[i].status)
            fail_msg("%s", cases[i].text);
    }
    assert_int_equal(read_text(LINE "a: \0\r\n", sizeof(LINE) + 5, &req), -400);
    for (unsigned i = 0; i < 65; i++)
        strcat(many, "a:b\r\n");
    assert_int_equal(read_text(many, strlen(many), &req), -431);
    memset(many + strlen(LINE), 'a', sizeof(many) - strlen(LINE));
    assert_int_equal(read_text(many, BAWN_HTTP_HEAD_MAX - 1, &req), 0);
    assert_int_equal(read_text(many, BAWN_HTTP_HEAD_MAX, &req), -431);
}

static void test_answer(void **state)
{
    char to[BAWN_HTTP_ANSWER_HEAD];
    size_t n = bawn_http_answer(to, 204, 0, false);

    (void)state;
    assert_string_equal(
        to, "HTTP/1.1 204 No Content\r\nServer: Bawn\r\nConnection: keep-alive\r\n\r\n");
    assert_int_equal(n, strlen(to));
    bawn_http_answer(to, 200, 131072, true);
    assert_string_equal(to, "HTTP/1.1 200 OK\r\nServer: Bawn\r\nConnection: close\r\n"
                            "Content-Type: application/json\r\nContent-Length: 131072\r\n\r\n");
    assert_true(bawn_http_answer(to, 431, SIZE_MAX, false) < sizeof(to));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_expect),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

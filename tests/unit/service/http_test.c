// SPDX-License-Identifier: Apache-2.0
/* The fronts' parsers, the limits per client, and the escaping of the status page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>

#include "attest/service/front/front.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct slice slice(const char *text)
{
    return (struct slice){ text, strlen(text) };
}

/* An exact copy, so that a read past the end is seen. */
static int head_status(const char *text)
{
    size_t len = strlen(text);
    char *copy = memcpy(malloc(len + !len), text, len);
    struct http_head head;
    int status = http_parse_head(copy, len, &head);

    free(copy);
    return status;
}

static void heads(void **state)
{
    static const char text[] = "POST /a/b?c=d HTTP/1.1\r\nhost: x\r\nContent-Length: 12\r\n"
                               "COOKIE: k=1; kbs-session-id=a.b-C_9\r\nEmpty:\r\n\r\nbody";
    struct http_head head;
    struct slice value;

    (void)state;
    assert_int_equal(http_parse_head(text, sizeof(text) - 1, &head), 0);
    assert_int_equal(head.method, HTTP_POST);
    assert_true(slice_is(head.path, "/a/b"));
    assert_true(slice_is(head.query, "c=d"));
    assert_true(head.keep_alive);
    assert_int_equal(head.length, 12);
    assert_int_equal(head.size, sizeof(text) - 5);
    assert_true(http_cookie(&head, "kbs-session-id", &value));
    assert_true(slice_is(value, "a.b-C_9"));
    assert_true(http_header(&head, "empty", &value));
    assert_int_equal(value.len, 0);
    assert_false(http_bearer(&head, &value));
}

static void heads_refused(void **state)
{
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        { "", 400 },
        { "\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: a\r\n", 400 },
        { "GET / HTTP/1.1\nHost: a\n\n", 400 },
        { "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", 400 },
        { "GET /\r\n\r\n", 400 },
        { "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505 },
        { "get / HTTP/1.1\r\nHost: a\r\n\r\n", 405 },
        { "G<T / HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
        { "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n: a\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999999\r\n\r\n", 413 },
        { "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", 501 },
        { "GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", 417 },
        { "GET / HTTP/1.0\r\n\r\n", 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        if (head_status(cases[i].text) != cases[i].status)
            fail_msg("%s: %d", cases[i].text, head_status(cases[i].text));
}

static bool cookie_of(const char *line)
{
    char text[512];
    struct http_head head;
    struct slice value;

    snprintf(text, sizeof(text), "GET / HTTP/1.0\r\n%s\r\n\r\n", line);
    assert_int_equal(http_parse_head(text, strlen(text), &head), 0);
    return http_cookie(&head, "kbs-session-id", &value);
}

static void cookies(void **state)
{
    (void)state;
    assert_true(cookie_of("Cookie: kbs-session-id=a"));
    assert_true(cookie_of("Cookie: a=b;kbs-session-id=a;c=d"));
    assert_false(cookie_of("Cookie: kbs-session-id="));
    assert_false(cookie_of("Cookie: xkbs-session-id=a"));
    assert_false(cookie_of("Cookie: kbs-session-id=a; kbs-session-id=b"));
    assert_false(cookie_of("Cookie: kbs-session-id=a\r\nCookie: kbs-session-id=b"));
    assert_false(cookie_of("Cookie: kbs-session-id=\"a\""));
    assert_false(cookie_of("Cookie: kbs-session-id=a%20"));
}

static void paths(void **state)
{
    static const char *const bad[] = {
        "",      "a",    "//",   "/a/",         "/a//b", "/.",
        "/a/..", "/%2e", "/a b", "/a/\xc3\xa9", "/~",    "/1/2/3/4/5/6/7/8/9/10/11/12/13"
    };
    struct http_path path;

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(http_path_parse(slice(bad[i]), &path));
    assert_true(http_path_parse(slice("/"), &path));
    assert_true(http_path_matches(&path, 0, "/"));
    assert_false(http_path_matches(&path, 0, "/a"));
    assert_true(http_path_parse(slice("/a/b.c/..d"), &path));
    assert_int_equal(path.n, 3);
    assert_true(http_path_matches(&path, 0, "/a/+/+"));
    assert_true(http_path_matches(&path, 1, "/b.c/+"));
    assert_true(http_path_matches(&path, 0, "/a/#"));
    assert_true(http_path_matches(&path, 0, "/a/b.c/..d/#"));
    assert_false(http_path_matches(&path, 0, "/a/+"));
    assert_false(http_path_matches(&path, 0, "/a/+/+/+"));
    assert_false(http_path_matches(&path, 0, "/"));
}

static void buckets(void **state)
{
    static const uint8_t random[16] = { 1, 2, 3 };
    struct sockaddr_in in = { .sin_family = AF_INET };
    struct limits *l = limits_create(random);
    struct client *c, *first;
    int taken = 0;

    (void)state;
    in.sin_addr.s_addr = htonl(0x7f000001);
    first = limits_client(l, (const struct sockaddr *)&in);
    assert_non_null(first);
    for (int i = 0; i < 100; i++)
        taken += client_take(first, 10, 20, 5000);
    assert_int_equal(taken, 20);
    assert_false(client_take(first, 10, 20, 5099));
    assert_true(client_take(first, 10, 20, 5100));
    assert_false(client_take(first, 10, 20, 1000)); /* a clock that goes back gives nothing */
    assert_true(client_take(first, 0, 20, 1000));   /* no limit */
    /* A client with connections keeps its place, however many others come. */
    first->connections = 1;
    for (uint32_t i = 0; i < 500000; i++) {
        in.sin_addr.s_addr = htonl(0x0a000000 + i);
        c = limits_client(l, (const struct sockaddr *)&in);
        assert_non_null(c);
        assert_ptr_not_equal(c, first);
        client_take(c, 10, 20, 6000 + (int64_t)i);
    }
    in.sin_addr.s_addr = htonl(0x7f000001);
    assert_ptr_equal(limits_client(l, (const struct sockaddr *)&in), first);
    limits_destroy(l);
}

/* An IPv6 client is its network; one that comes as IPv4 inside IPv6 is the IPv4 client. */
static void addresses(void **state)
{
    static const uint8_t random[16] = { 9 };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
    struct sockaddr_in in = { .sin_family = AF_INET };
    struct limits *l = limits_create(random);
    struct client *c;

    (void)state;
    inet_pton(AF_INET6, "2001:db8:1:2::1", &in6.sin6_addr);
    c = limits_client(l, (const struct sockaddr *)&in6);
    inet_pton(AF_INET6, "2001:db8:1:2:ffff::9", &in6.sin6_addr);
    assert_ptr_equal(limits_client(l, (const struct sockaddr *)&in6), c);
    inet_pton(AF_INET6, "2001:db8:1:3::1", &in6.sin6_addr);
    assert_ptr_not_equal(limits_client(l, (const struct sockaddr *)&in6), c);
    inet_pton(AF_INET6, "::ffff:192.0.2.1", &in6.sin6_addr);
    inet_pton(AF_INET, "192.0.2.1", &in.sin_addr);
    assert_ptr_equal(limits_client(l, (const struct sockaddr *)&in6),
                     limits_client(l, (const struct sockaddr *)&in));
    limits_destroy(l);
}

static char *printed(const json_t *status)
{
    struct evbuffer *out = evbuffer_new();
    char *text;
    size_t n;

    page_print(out, status, 1700000000);
    n = evbuffer_get_length(out);
    text = malloc(n + 1);
    evbuffer_remove(out, text, n);
    text[n] = '\0';
    evbuffer_free(out);
    return text;
}

/* Each text of the status, whatever it is, comes out escaped; what is missing harms nothing. */
static void page(void **state)
{
#define EVIL "<img src=x onerror='a()'>\\\"&"
    static const char evil[] =
        "{\"recent\":[{\"tenant\":\"" EVIL "\",\"kind\":\"" EVIL "\",\"subject\":\"" EVIL
        "\",\"policy\":\"" EVIL "\",\"reasons\":[\"" EVIL
        "\"]}],\"decisions\":{\"by_check\":{\"" EVIL "\":1}},\"tcb\":[{\"claim\":\"" EVIL
        "\",\"found\":\"" EVIL "\",\"minimum\":\"" EVIL "\"}],\"tenants\":[{\"name\":\"" EVIL
        "\",\"policy\":{\"id\":\"" EVIL "\",\"version\":\"" EVIL "\",\"sha256\":\"" EVIL
        "\"}}],\"collateral\":[{\"name\":\"" EVIL "\",\"kind\":\"" EVIL
        "\",\"expires\":9}],\"warnings\":[\"" EVIL "\"],\"log\":{\"checkpoint\":\"" EVIL "\"}}";
    static const char escaped[] = "&#60;img src=x onerror=&#39;a()&#39;&#62;&#34;&#38;";
    json_t *status = json_loads(evil, 0, NULL);
    char *text;
    int n = 0;

    (void)state;
    assert_non_null(status);
    text = printed(status);
    assert_null(strstr(text, "<img"));
    assert_null(strstr(text, "onerror='"));
    for (const char *p = text; (p = strstr(p, escaped)); p += strlen(escaped))
        n++;
    assert_int_equal(n, 16); /* each of them, but kind, which gives way to subject */
    free(text);
    json_decref(status);
    text = printed(NULL);
    assert_non_null(strstr(text, "</html>"));
    free(text);
    status = json_loads("{\"decisions\":[1],\"recent\":{\"a\":1},\"tcb\":\"x\",\"tenants\":3,"
                        "\"warnings\":[1],\"log\":1,\"collateral\":[null]}",
                        0, NULL);
    text = printed(status);
    assert_non_null(strstr(text, "</html>"));
    free(text);
    json_decref(status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads), cmocka_unit_test(heads_refused), cmocka_unit_test(cookies),
        cmocka_unit_test(paths), cmocka_unit_test(buckets),       cmocka_unit_test(addresses),
        cmocka_unit_test(page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

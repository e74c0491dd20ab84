// SPDX-License-Identifier: Apache-2.0
/*
 * Limits per client: who is the same client and who is not, whatever addresses somebody has at
 * hand; tokens, and clocks that jump.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <linux/vm_sockets.h>

#include "attest/service/front/limit.h"

static const uint8_t seed[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };

static int setup(void **state)
{
    *state = limits_create(seed);
    return !*state;
}

static int teardown(void **state)
{
    limits_destroy(*state);
    return 0;
}

static struct client *v4(struct limits *l, const char *text)
{
    struct sockaddr_in a = { .sin_family = AF_INET };

    assert_int_equal(inet_pton(AF_INET, text, &a.sin_addr), 1);
    return limits_client(l, (const struct sockaddr *)&a);
}

static struct client *v6(struct limits *l, const char *text)
{
    struct sockaddr_in6 a = { .sin6_family = AF_INET6 };

    assert_int_equal(inet_pton(AF_INET6, text, &a.sin6_addr), 1);
    return limits_client(l, (const struct sockaddr *)&a);
}

static struct client *vsock(struct limits *l, unsigned cid)
{
    struct sockaddr_vm a = { .svm_family = AF_VSOCK, .svm_cid = cid };

    return limits_client(l, (const struct sockaddr *)&a);
}

static struct client *local(struct limits *l)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    return limits_client(l, (const struct sockaddr *)&a);
}

static void names(void **state)
{
    static const struct {
        int family;
        const char *address, *name;
    } cases[] = {
        { AF_INET, "192.0.2.1", "192.0.2.1" },
        { AF_INET6, "::ffff:192.0.2.1", "192.0.2.1" },
        { AF_INET6, "2001:db8:0:5:ffff::9", "2001:db8:0:5::/64" },
        { AF_INET6, "fe80::1", "fe80::/64" },
    };
    const struct sockaddr_vm vm = { .svm_family = AF_VSOCK, .svm_cid = 0xfffffffe };
    const struct sockaddr_un un = { .sun_family = AF_UNIX };
    char text[CLIENT_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sockaddr_in in = { .sin_family = AF_INET };
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
        bool six = cases[i].family == AF_INET6;

        assert_int_equal(inet_pton(cases[i].family, cases[i].address,
                                   six ? (void *)&in6.sin6_addr : (void *)&in.sin_addr),
                         1);
        limits_name(six ? (const struct sockaddr *)&in6 : (const struct sockaddr *)&in, text);
        assert_string_equal(text, cases[i].name);
    }
    limits_name((const struct sockaddr *)&vm, text);
    assert_string_equal(text, "vsock:4294967294");
    limits_name((const struct sockaddr *)&un, text);
    assert_string_equal(text, "unix");
}

static void same_client(void **state)
{
    struct limits *l = *state;

    assert_ptr_equal(v4(l, "192.0.2.1"), v4(l, "192.0.2.1"));
    assert_ptr_not_equal(v4(l, "192.0.2.1"), v4(l, "192.0.2.2"));
    assert_ptr_equal(v4(l, "192.0.2.1"), v6(l, "::ffff:192.0.2.1"));
    /* A network of 64 bits is one client: its owner has all addresses in it. */
    assert_ptr_equal(v6(l, "2001:db8:0:5::1"), v6(l, "2001:db8:0:5:ffff::9"));
    assert_ptr_not_equal(v6(l, "2001:db8:0:5::1"), v6(l, "2001:db8:0:6::1"));
    assert_ptr_equal(vsock(l, 3), vsock(l, 3));
    assert_ptr_not_equal(vsock(l, 3), vsock(l, 4));
    assert_ptr_equal(local(l), local(l));
    assert_ptr_not_equal(local(l), vsock(l, 0));
}

/* Nobody's IPv6 network is another's IPv4 address, guest, or the unix socket, however its bytes are
 * chosen: else its owner could use up the other's tokens. */
static void families_apart(void **state)
{
    struct limits *l = *state;
    static const char *const networks[] = {
        "2001:db8:1::1", "2001:db8:100::1", "2001:db8:2::1", "0:100:c000:201::1", "::1",
        "0:200:0:3::1",  "0:300::1",        "::3:0:0:0:0:0", "102:c0:0:100::",    "300:0:2::1",
        "300:0:200::1",  "0:0:3::1",        "0:0:300::1",    "102:c0:1::1",       "102:c0:100::1",
        "c000:201:1::1",
    };
    const struct client *others[] = { v4(l, "192.0.2.1"),   v4(l, "184.13.1.32"),
                                      v4(l, "32.1.13.184"), v4(l, "1.2.0.192"),
                                      vsock(l, 3),          local(l) };

    for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++)
        for (size_t k = 0; k < sizeof(others) / sizeof(others[0]); k++)
            if (v6(l, networks[i]) == others[k])
                fail_msg("%s is client %zu", networks[i], k);
}

/* Addresses without number take the places of idle clients only. */
static void many_addresses(void **state)
{
    struct limits *l = *state;
    struct client *kept = v4(l, "192.0.2.1");

    kept->connections = 1;
    assert_true(client_take(kept, 1, 5, 0));
    for (unsigned i = 0; i < 200000; i++) {
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(0x0a000000 + i) } };

        assert_non_null(limits_client(l, (const struct sockaddr *)&a));
    }
    assert_ptr_equal(v4(l, "192.0.2.1"), kept);
    assert_int_equal(kept->connections, 1);
    assert_int_equal(kept->milli_tokens, 4000);
    /* When every place is taken by connections, a new client has none, and no old one is lost. */
    for (unsigned i = 0; i < 400000; i++) {
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(0x0b000000 + i) } };
        struct client *c = limits_client(l, (const struct sockaddr *)&a);

        if (c)
            c->connections++;
    }
    assert_null(v4(l, "198.51.100.1"));
    assert_ptr_equal(v4(l, "192.0.2.1"), kept);
}

static unsigned taken(struct client *c, unsigned rate, unsigned burst, int64_t now)
{
    unsigned n = 0;

    while (n < 2000000 && client_take(c, rate, burst, now))
        n++;
    return n;
}

static void tokens(void **state)
{
    struct client *c = v4(*state, "192.0.2.1");

    assert_int_equal(taken(c, 10, 30, 1000), 30);
    assert_false(client_take(c, 10, 30, 1099));
    assert_true(client_take(c, 10, 30, 1100)); /* a tenth of a second: one */
    assert_false(client_take(c, 10, 30, 1100));
    assert_int_equal(taken(c, 10, 30, 2100), 10);
    assert_int_equal(taken(c, 10, 30, 1000000), 30); /* never more than the burst */
    for (unsigned i = 0; i < 1000; i++)
        assert_true(client_take(c, 0, 30, 1000000)); /* rate 0: no limit */
}

static void extremes(void **state)
{
    struct client *c = v4(*state, "192.0.2.1");

    assert_int_equal(taken(c, 1000000, 1000000, 0), 1000000);
    assert_int_equal(taken(c, 1000000, 1000000, INT64_MAX), 1000000);
    /* A clock that goes back gives nothing and takes nothing. */
    assert_int_equal(taken(c, 1000000, 1000000, 5), 0);
    assert_int_equal(taken(c, 1000000, 1000000, 6), 1000);
    /* A smaller burst after a reload holds at once. */
    assert_int_equal(taken(c, 1, 1, INT64_MAX), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test_setup_teardown(same_client, setup, teardown),
        cmocka_unit_test_setup_teardown(families_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(many_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(tokens, setup, teardown),
        cmocka_unit_test_setup_teardown(extremes, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What the vault asks the mirror for: never a path that a guest wrote, each once, few at once. The
 * whole way, with a server, is tests/service/collateral-mirror.py.
 */
#include "tests/unit/vault/world.h"

#include <sys/socket.h>

#include "attest/service/config.h"

static const char chip[] = "aa000000000000000000000000000000000000000000000000000000000000bb"
                           "cc000000000000000000000000000000000000000000000000000000000000dd";

static json_t *missing(const char *product, const char *hwid, int microcode)
{
    return json_pack("{s:b, s:b, s:s, s:s, s:{s:i, s:i, s:i, s:i}}", "vcek", 1, "crl", 0, "product",
                     product, "hwid", hwid, "tcb", "boot_loader", 2, "tee", 0, "snp", 6,
                     "microcode", microcode);
}

/* 503 and true, or not wanted. Takes m over. */
static bool wanted(struct world *w, json_t *m)
{
    struct reply r = { 0 };
    enum bawn_status st = BAWN_OK;
    bool is = fetch_wanted(&w->v, "blue", m, &r, &st);

    assert_int_equal(st, BAWN_OK);
    if (is) {
        assert_int_equal(r.status, 503);
        assert_true(r.retry_after >= 1);
    }
    reply_clear(&r);
    json_decref(m);
    return is;
}

/* A world with the fetching process's end in *peer. */
static void start(struct world *w, struct ipc **peer)
{
    int ends[2];

    world_create(w);
    w->config->collateral.mirror = strdup("http://127.0.0.1/");
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    w->v.fetcher = ipc_create(ends[0]);
    *peer = ipc_create(ends[1]);
}

/* How many requests came; the last one in *m. */
static unsigned requests(struct world *w, struct ipc *peer, struct ipc_msg *m)
{
    unsigned n = 0;

    *m = (struct ipc_msg){ .fd = -1 };
    assert_int_equal(ipc_flush(w->v.fetcher, NULL), BAWN_OK);
    assert_int_equal(ipc_read(peer, NULL), BAWN_OK);
    for (struct ipc_msg next; ipc_next(peer, &next); n++) {
        ipc_msg_clear(m);
        *m = next;
    }
    return n;
}

static void answer(struct world *w, uint64_t id, const char *error)
{
    struct ipc_msg m = { .id = id, .json = json_pack("{s:s}", "error", error), .fd = -1 };

    fetch_take(&w->v, &m);
    ipc_msg_clear(&m);
}

static void paths(void **state)
{
    static const char zeros[129] =
        "0000000000000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000000000000000000000000000";
    static const char *const products[] = { "", "milan", "../Milan", "Milan/..", "Rome" };
    struct ipc *peer;
    struct ipc_msg m;
    struct world w;
    char turin[129], other[129];

    (void)state;
    start(&w, &peer);
    for (size_t i = 0; i < COUNT(products); i++)
        assert_false(wanted(&w, missing(products[i], chip, 21)));
    assert_false(wanted(&w, missing("Milan", zeros, 21))); /* the host hides it */
    assert_false(wanted(&w, missing("Milan", "aabb", 21)));
    snprintf(other, sizeof(other), "%.126s/x", chip);
    assert_false(wanted(&w, missing("Milan", other, 21)));
    assert_false(wanted(&w, missing("Milan", chip, 256)));
    assert_false(wanted(&w, missing("Milan", chip, -1)));
    assert_int_equal(requests(&w, peer, &m), 0);
    assert_true(wanted(&w, missing("Milan", chip, 21)));
    assert_int_equal(requests(&w, peer, &m), 1);
    assert_non_null(strstr(text_of(m.json, "path"), "?blSPL=02&teeSPL=00&snpSPL=06&ucodeSPL=21"));
    assert_int_equal(strncmp(text_of(m.json, "path"), "/vcek/v1/Milan/aa00", 19), 0);
    ipc_msg_clear(&m);
    snprintf(turin, sizeof(turin), "1122334455667788%s", zeros + 16);
    assert_true(wanted(&w, missing("Turin", turin, 21)));
    assert_int_equal(requests(&w, peer, &m), 1);
    assert_int_equal(strncmp(text_of(m.json, "path"), "/vcek/v1/Turin/1122334455667788?", 32), 0);
    ipc_msg_clear(&m);
    free(w.config->collateral.mirror);
    w.config->collateral.mirror = NULL; /* offline */
    assert_false(wanted(&w, missing("Genoa", chip, 21)));
    ipc_destroy(peer);
    world_destroy(&w);
}

/* One request for many guests of a chip; another TCB of it not within 10 seconds; after failures
 * later and later; when the process ends, what was out has failed. */
static void limits(void **state)
{
    struct ipc *peer;
    struct ipc_msg m;
    struct world w;
    int64_t wait = 10000;

    (void)state;
    start(&w, &peer);
    for (int i = 0; i < 5; i++)
        assert_true(wanted(&w, missing("Milan", chip, 21)));
    assert_true(wanted(&w, missing("Milan", chip, 22)));
    assert_int_equal(requests(&w, peer, &m), 1);
    answer(&w, m.id + 7, ""); /* of nothing that is out */
    for (int i = 0; i < 4; i++, wait *= 2) {
        answer(&w, m.id, "it is down");
        ipc_msg_clear(&m);
        w.v.mono_ms += wait - 1;
        assert_true(wanted(&w, missing("Milan", chip, 21)));
        assert_int_equal(requests(&w, peer, &m), 0);
        w.v.mono_ms += 1;
        assert_true(wanted(&w, missing("Milan", chip, 21)));
        assert_int_equal(requests(&w, peer, &m), 1);
    }
    ipc_msg_clear(&m);
    w.v.mono_ms += 10000;
    assert_true(wanted(&w, missing("Milan", chip, 22))); /* it is that one's turn */
    assert_int_equal(requests(&w, peer, &m), 1);
    ipc_msg_clear(&m);
    fetch_lost(&w.v);
    assert_true(wanted(&w, missing("Milan", chip, 21)));
    ipc_destroy(peer);
    world_destroy(&w);
}

/* Made-up chips fill neither memory nor the mirror. */
static void flood(void **state)
{
    struct ipc *peer;
    struct ipc_msg m;
    struct world w;
    char name[129];

    (void)state;
    start(&w, &peer);
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "%08x%s", i + 1, chip + 8);
        assert_true(wanted(&w, missing("Genoa", name, 21)));
    }
    assert_int_equal(requests(&w, peer, &m), 16);
    ipc_msg_clear(&m);
    ipc_destroy(peer);
    world_destroy(&w);
}

static void addresses(void **state)
{
    static const struct {
        const char *url, *host, *port, *base; /* host NULL: refused */
    } cases[] = {
        { "https://kds.example", "kds.example", "443", "" },
        { "https://kds.example:8443/a/b//", "kds.example", "8443", "/a/b" },
        { "https://[2001:db8::1]:1/", "2001:db8::1", "1", "" },
        { "http://127.0.0.1:80/x", "127.0.0.1", "80", "/x" },
        { "http://localhost", "localhost", "80", "" },
        { "http://kds.example", NULL, NULL, NULL },
        { "http://127.evil.example", NULL, NULL, NULL },
        { "ftp://localhost", NULL, NULL, NULL },
        { "https://", NULL, NULL, NULL },
        { "https://a b", NULL, NULL, NULL },
        { "https://user@host", NULL, NULL, NULL },
        { "https://host:", NULL, NULL, NULL },
        { "https://host:123456", NULL, NULL, NULL },
        { "https://host/a?b", NULL, NULL, NULL },
        { "https://host/a\r\nb", NULL, NULL, NULL },
        { "https://[::1", NULL, NULL, NULL },
    };
    struct config_mirror m;
    const char *why;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (config_mirror_parse(cases[i].url, &m, &why) != (cases[i].host != NULL))
            fail_msg("%s", cases[i].url);
        if (!cases[i].host)
            continue;
        assert_string_equal(m.host, cases[i].host);
        assert_string_equal(m.port, cases[i].port);
        assert_string_equal(m.base, cases[i].base);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(paths), cmocka_unit_test(limits),
                                        cmocka_unit_test(flood), cmocka_unit_test(addresses) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

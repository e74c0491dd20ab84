// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/send.c, receive.c, frame.c and tls.c: two processes that speak TLS over loopback with each
 * other, and this one for both supervisors. What was written meanwhile arrives, whoever ends at
 * whatever word leaves one machine at most, and who is not of the CA is not heard.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <endian.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "migrate.h"
#include "tests/unit/temporary.h"

#define MIB (1ull << 20)
#define PAGE BAWN_MEM_PAGE
#define ROUNDS 3

static const struct bawn_ram ram[] = { { 0, 16 * MIB }, { BAWN_HIGH_RAM, 4 * MIB } };
static const char config[] = "{\"memory\":\"much\"}";
static char dir[64];

/* Both machines, and what became of them. */
static struct {
    struct bawn_mem from, to;
    struct bawn_state *state; /* shared with the sender */
    struct bawn_error *why;
    struct bawn_arrival *arrival;
    pid_t sender, receiver;
    int link[2], listen_fd;
    unsigned rounds, words, strangers;
    bool given, done, asked, ended, ran;
    int codes[2];
    /* How it is to go. */
    unsigned cut_at;       /* which word one of them does not hear the answer to; 0: none */
    bool cut_receiver;     /* which one */
    const char *refuse[2]; /* what the destination says to being asked, and in the end */
    const char *cert, *ca, *host;
    unsigned timeout;
    uint64_t bandwidth;
    bool restless; /* the guest never writes less */
} m;

/* ---- certificates ---- */

static void make_cert(const char *ca, const char *name, const char *days)
{
    char command[1024];

    snprintf(
        command, sizeof(command),
        "cd %s && openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=%s "
        "-keyout %s.key -out r.csr 2>/dev/null && printf 'subjectAltName=IP:127.0.0.1' >ext && "
        "openssl x509 -req -in r.csr -CA %s.pem -CAkey %s.key -CAcreateserial -days %s "
        "-extfile ext -out %s.pem 2>/dev/null",
        dir, name, name, ca, ca, days, name);
    assert_int_equal(system(command), 0);
}

static void make_ca(const char *name)
{
    char command[512];

    snprintf(command, sizeof(command),
             "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1"
             " -subj /CN=%s -keyout %s.key -out %s.pem 2>/dev/null",
             dir, name, name, name);
    assert_int_equal(system(command), 0);
}

static int setup_files(void **opaque)
{
    (void)opaque;
    assert_non_null(mkdtemp(temporary(dir, sizeof(dir), "migrate")));
    make_ca("ca");
    make_ca("other");
    make_cert("ca", "source", "1");
    make_cert("ca", "destination", "1");
    make_cert("other", "stranger", "1");
    make_cert("ca", "expired", "-1");
    return 0;
}

static int remove_files(void **opaque)
{
    char command[80];

    (void)opaque;
    snprintf(command, sizeof(command), "rm -r %s", dir);
    return system(command);
}

static struct bawn_tls_files files(const char *name, const char *ca)
{
    static char path[6][128];
    static unsigned n;
    char *p[3];

    for (unsigned i = 0; i < 3; i++)
        p[i] = path[n++ % 6];
    snprintf(p[0], 128, "%s/%s.pem", dir, name);
    snprintf(p[1], 128, "%s/%s.key", dir, name);
    snprintf(p[2], 128, "%s/%s.pem", dir, ca);
    return (struct bawn_tls_files){ p[0], p[1], p[2] };
}

/* ---- two ends ---- */

static _Noreturn void send_it(const char *url, int link)
{
    static struct bawn_send s;
    struct bawn_tls t;
    enum bawn_status st;
    int fd;

    alarm(60);
    signal(SIGPIPE, SIG_IGN);
    s = (struct bawn_send){
        .wish = { .url = url,
                  .files = files(m.cert, m.ca),
                  .bandwidth = m.bandwidth,
                  .downtime = 10,
                  .progress = -1,
                  .timeout = m.timeout },
        .mem = m.from,
        .config = config,
        .state = m.state,
        .why = m.why,
        .link = link,
    };
    bawn_frame_hello_init(&s.hello, &m.from, strlen(config), BAWN_STATE_SIZE(1));
#ifdef SANDBOXED
    (void)t, (void)st, (void)fd;
    bawn_send_run(&s);
#else
    st = bawn_tls_prepare(&t, &s.wish.files, m.host, m.why);
    fd = st ? -1 : bawn_tls_connect(url, m.why);
    t.stop_fd = link;
    if (!st)
        st = fd < 0 ? BAWN_E_IO : bawn_tls_open(&t, fd, m.why);
    clock_gettime(CLOCK_MONOTONIC, &t.end);
    t.end.tv_sec += m.timeout;
    if (!st)
        st = bawn_send_all(&s, &t, m.why);
    bawn_tls_close(&t);
    _exit(st ? 1 : 0);
#endif
}

static _Noreturn void receive_it(int listen_fd, int link)
{
    struct bawn_receive r = { files("destination", "ca"), m.arrival, listen_fd, link };
    struct bawn_tls t;
    struct bawn_error err = { .msg = "" };
    enum bawn_status st;
    struct pollfd p = { listen_fd, POLLIN, 0 };

    alarm(60);
    signal(SIGPIPE, SIG_IGN);
#ifdef SANDBOXED
    (void)t, (void)err, (void)st, (void)p;
    bawn_receive_run(&r);
#else
    st = bawn_tls_prepare(&t, &r.files, NULL, &err);
    poll(&p, 1, -1);
    if (!st)
        st = bawn_tls_open(&t, accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK), &err);
    if (!st)
        st = bawn_receive_all(&r, &t, &err);
    m.arrival->why = err;
    bawn_tls_close(&t);
    _exit(st ? 1 : 0);
#endif
}

static void begin(void)
{
    struct sockaddr_in at;
    socklen_t len = sizeof(at);
    int pair[2][2], listen_fd = bawn_tls_listen("tls:127.0.0.1:0", NULL);
    char url[64];

    assert_true(listen_fd >= 0);
    assert_int_equal(getsockname(listen_fd, (struct sockaddr *)&at, &len), 0);
    snprintf(url, sizeof(url), "tls:127.0.0.1:%u", ntohs(at.sin_port));
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair[i]), 0);
        m.link[i] = pair[i][0];
    }
    m.sender = fork();
    if (!m.sender) {
        close(pair[0][0]);
        close(pair[1][0]);
        send_it(url, pair[0][1]);
    }
    m.receiver = fork();
    if (!m.receiver) {
        close(pair[0][0]);
        close(pair[1][0]);
        receive_it(listen_fd, pair[1][1]);
    }
    close(pair[0][1]);
    close(pair[1][1]);
    m.listen_fd = listen_fd;
}

/* What a guest and its devices write: pages here and there, one that is zero then. */
static void write_some(unsigned round)
{
    for (unsigned i = 0; i < 20; i++) {
        uint8_t *at = m.from.range[i % 2].host + (i * 37 + round * 5) % 1000 * PAGE;

        memset(at, i ? (int)(round + i) : 0, PAGE);
        bawn_dirty_note(&m.from, at, PAGE);
    }
}

static void answer_sender(enum bawn_move_kind kind)
{
    switch (kind) {
    case BAWN_MOVE_TRACK:
        bawn_dirty_track(&m.from, true);
        break;
    case BAWN_MOVE_TAKE:
        if (m.rounds++ < ROUNDS)
            write_some(m.rounds);
        if (m.rounds <= ROUNDS || m.restless) /* more than may be left */
            bawn_dirty_note(&m.from, m.from.range[0].host, 15 * MIB);
        break;
    case BAWN_MOVE_STOP:
        write_some(99);
        m.state->vcpu[0].regs.rip = 0x1234;
        break;
    case BAWN_MOVE_GIVE:
        assert_true(m.ended);
        m.given = true;
        break;
    default:
        assert_int_equal(kind, BAWN_MOVE_DONE);
        m.done = true;
        return;
    }
    bawn_move_tell(m.link[0], kind);
}

static void refuse(const char *why)
{
    snprintf(m.arrival->why.msg, sizeof(m.arrival->why.msg), "%s", why);
    bawn_move_tell(m.link[1], BAWN_MOVE_REFUSE);
}

static void check_memory(void)
{
    for (unsigned i = 0; i < 2; i++)
        assert_memory_equal(m.to.range[i].host, m.from.range[i].host, m.from.range[i].size);
    assert_memory_equal(&m.arrival->state, m.state, m.state->size);
    assert_string_equal(m.arrival->config, config);
}

static void answer_receiver(enum bawn_move_kind kind)
{
    switch (kind) {
    case BAWN_MOVE_STRANGER:
        m.strangers++;
        break;
    case BAWN_MOVE_ASKED:
        m.asked = true;
        if (m.refuse[0])
            refuse(m.refuse[0]);
        else
            assert_true(bawn_move_give_memory(m.link[1], &m.to) || m.cut_at);
        break;
    case BAWN_MOVE_ENDED:
        check_memory();
        m.ended = true;
        if (m.refuse[1])
            refuse(m.refuse[1]);
        else
            bawn_move_tell(m.link[1], BAWN_MOVE_HOLDS);
        break;
    default:
        assert_int_equal(kind, BAWN_MOVE_RUN);
        assert_true(m.given);
        m.ran = true;
        bawn_move_tell(m.link[1], BAWN_MOVE_RUNS);
    }
}

/* Until both have ended. */
static void go(void)
{
    struct pollfd fds[2];
    int status;

    begin();
    for (unsigned i = 0; i < 2; i++)
        fds[i] = (struct pollfd){ m.link[i], POLLIN, 0 };
    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        assert_true(poll(fds, 2, 60000) > 0);
        for (unsigned i = 0; i < 2; i++) {
            struct bawn_move_msg msg;

            if (!fds[i].revents)
                continue;
            if (recv(m.link[i], &msg, sizeof(msg), MSG_DONTWAIT) != sizeof(msg)) {
                if (!(fds[i].revents & POLLIN) || (fds[i].revents & POLLHUP))
                    fds[i].fd = -1;
                if (fds[0].fd < 0) /* whoever it did not reach waits for nobody else */
                    shutdown(m.listen_fd, SHUT_RDWR);
            } else if (m.cut_at && i == m.cut_receiver && ++m.words == m.cut_at) {
                kill(i ? m.receiver : m.sender, SIGKILL);
            } else if (i) {
                answer_receiver(msg.kind);
            } else {
                answer_sender(msg.kind);
            }
        }
    }
    close(m.listen_fd);
    for (unsigned i = 0; i < 2; i++) {
        close(m.link[i]);
        waitpid(i ? m.receiver : m.sender, &status, 0);
        m.codes[i] = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }
}

static int setup(void **opaque)
{
    size_t size = sizeof(*m.state) + sizeof(*m.why) + sizeof(*m.arrival) + 64;
    uint8_t *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    (void)opaque;
    memset(&m, 0, sizeof(m));
    m.cert = "source";
    m.ca = "ca";
    m.host = "127.0.0.1";
    m.timeout = 50;
    m.bandwidth = 200 * MIB; /* on any machine 15 MiB take longer than the downtime */
    m.state = (void *)shared;
    m.why = (void *)(shared + (sizeof(*m.state) + 63) / 64 * 64);
    m.arrival = (void *)(m.why + 1);
    assert_int_equal(bawn_mem_create(&m.from, ram, 2, BAWN_PAGES_SMALL, NULL), BAWN_OK);
    assert_int_equal(bawn_mem_create(&m.to, ram, 2, BAWN_PAGES_SMALL, NULL), BAWN_OK);
    m.state->version = BAWN_STATE_VERSION;
    m.state->nr_vcpus = 1;
    m.state->size = BAWN_STATE_SIZE(1);
    for (uint64_t at = 0; at < 16 * MIB; at += 3 * PAGE)
        memset(m.from.range[0].host + at, 1 + (int)(at >> 12) % 255, PAGE);
    memset(m.from.range[1].host + 4 * MIB - 100, 0x77, 100);
    return 0;
}

static int teardown(void **opaque)
{
    (void)opaque;
    bawn_mem_destroy(&m.from);
    bawn_mem_destroy(&m.to);
    munmap(m.state, sizeof(*m.state) + sizeof(*m.why) + sizeof(*m.arrival) + 64);
    return 0;
}

/* ---- how it goes ---- */

static void test_move(void **opaque)
{
    (void)opaque;
    go();
    assert_string_equal(m.why->msg, "");
    assert_true(m.given && m.done && m.ran);
    assert_int_equal(m.codes[0], 0);
    assert_int_equal(m.codes[1], 0);
    assert_true(m.rounds > ROUNDS);
}

/* One of the two ends at each of its words: the source has given it up, or nobody runs it there. */
static void test_cut(void **opaque)
{
    for (unsigned who = 0; who < 2; who++) {
        for (unsigned at = 1; at <= (who ? 3 : 7); at++) {
            m.cut_at = at;
            m.cut_receiver = who;
            go();
            assert_true(!m.ran || m.given);
            assert_int_equal(m.codes[who], -SIGKILL);
            if (who && at == 3) { /* it was about to run it: nobody knows whether it does */
                assert_true(m.given && !m.done);
                assert_int_equal(m.codes[0], 1);
            } else if (who || at < 7) {
                assert_false(m.given);
                assert_int_not_equal(m.codes[1 - who], 0);
            }
            teardown(opaque);
            setup(opaque);
        }
    }
}

static void test_refused(void **opaque)
{
    for (unsigned i = 0; i < 2; i++) {
        m.refuse[i] = i ? "the disk is locked" : "no such disk";
        go();
        assert_false(m.given || m.ran);
        assert_int_equal(m.ended, i);
        assert_int_equal(m.codes[0], 1);
        assert_int_equal(m.codes[1], 1);
        assert_non_null(strstr(m.why->msg, "the destination refuses: "));
        assert_non_null(strstr(m.why->msg, m.refuse[i]));
        assert_int_equal(m.rounds > 0, i); /* before anything was copied */
        teardown(opaque);
        setup(opaque);
    }
}

/* The guest writes faster than it can be sent. */
static void test_too_slow(void **opaque)
{
    (void)opaque;
    m.timeout = 1;
    m.restless = true;
    go();
    assert_false(m.given || m.ended);
    assert_non_null(strstr(m.why->msg, "too long"));
}

/* A frame takes minutes: the time for all of it ends it all the same. */
static void test_too_narrow(void **opaque)
{
    uint64_t since = (uint64_t)time(NULL);

    (void)opaque;
    m.timeout = 1;
    m.bandwidth = 100;
    go();
    assert_false(m.given || m.ended);
    assert_non_null(strstr(m.why->msg, "too long"));
    assert_in_range((uint64_t)time(NULL) - since, 0, 30);
}

/* ---- who it is ---- */

static void nobody_heard(const char *cert, const char *ca, const char *host, const char *words)
{
    m.cert = cert;
    m.ca = ca;
    m.host = host;
    go();
    assert_false(m.asked || m.given);
    assert_int_equal(m.codes[0], 1);
    if (!strstr(m.why->msg, words) && !strstr(m.arrival->why.msg, words))
        fail_msg("%s | %s: not %s", m.why->msg, m.arrival->why.msg, words);
}

#ifndef SANDBOXED
static void test_strangers(void **opaque)
{
    static const char *const cases[][4] = {
        { "stranger", "ca", "127.0.0.1", "certificate: " }, /* not of the destination's CA */
        { "expired", "ca", "127.0.0.1", "expired" },
        { "source", "other", "127.0.0.1", "certificate: " }, /* the destination is not of ours */
        { "source", "ca", "other.example", "ostname mismatch" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        nobody_heard(cases[i][0], cases[i][1], cases[i][2], cases[i][3]);
        teardown(opaque);
        setup(opaque);
    }
}
#endif

static void test_files(void **opaque)
{
    struct bawn_tls_files f = files("source", "ca"), bad = f;
    struct bawn_error err;
    struct bawn_tls t;

    (void)opaque, (void)nobody_heard;
    bad.key = files("destination", "ca").key;
    assert_int_equal(bawn_tls_prepare(&t, &bad, NULL, &err), BAWN_E_CONFIG);
    assert_non_null(strstr(err.msg, "key values mismatch"));
    bawn_tls_close(&t);
    bad = f;
    bad.cert = "/nonexistent";
    assert_int_equal(bawn_tls_prepare(&t, &bad, NULL, &err), BAWN_E_CONFIG);
    assert_non_null(strstr(err.msg, "/nonexistent"));
    bawn_tls_close(&t);
    bad.cert = NULL;
    assert_int_equal(bawn_tls_prepare(&t, &bad, NULL, &err), BAWN_E_USAGE);
    bawn_tls_close(&t);
}

static void test_addresses(void **opaque)
{
    static const char *const wrong[] = { "",         "tls:",     "tls:a",       "tls::1",
                                         "tcp:a:1",  "tls:a:",   "tls:a:x",     "tls:[a:1",
                                         "tls:[]:1", "tls:[a]1", "tls:a:123456" };
    char host[256], port[8];

    (void)opaque;
    assert_true(bawn_tls_where("tls:host.example:49152", host, port));
    assert_string_equal(host, "host.example");
    assert_string_equal(port, "49152");
    assert_true(bawn_tls_where("tls:[::1]:1", host, port));
    assert_string_equal(host, "::1");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(bawn_tls_where(wrong[i], host, port));
}

/* ---- frames as nobody sends them ---- */

static struct bawn_inflow in;
static struct bawn_error err;

static enum bawn_status feed(uint32_t kind, const void *data, size_t len)
{
    struct {
        struct bawn_frame_head head;
        uint8_t data[BAWN_FRAME_MAX + 64];
    } f = { .head = { htole32(kind), htole32((uint32_t)len) } };
    enum bawn_status st = BAWN_OK;

    memcpy(f.data, data, len);
    /* In pieces of all sizes. */
    for (size_t at = 0, n = 1; !st && at < sizeof(f.head) + len; at += n, n = n * 3 + 1) {
        n = n < sizeof(f.head) + len - at ? n : sizeof(f.head) + len - at;
        st = bawn_frames_feed(&in.frames, (const uint8_t *)&f + at, n, &err);
    }
    return st;
}

/* A peer that has said all right, up to where memory comes. */
static void up_to_memory(void)
{
    struct bawn_frame_hello hello;

    bawn_frame_hello_init(&hello, &m.from, strlen(config), BAWN_STATE_SIZE(1));
    bawn_inflow_init(&in, m.arrival);
    assert_int_equal(feed(BAWN_FRAME_HELLO, &hello, sizeof(hello)), BAWN_OK);
    assert_int_equal(feed(BAWN_FRAME_TEXT, config, 3), BAWN_OK);
    assert_int_equal(feed(BAWN_FRAME_TEXT, config + 3, strlen(config) - 3), BAWN_OK);
    assert_int_equal(feed(BAWN_FRAME_FACTS, m.state, BAWN_STATE_FACTS), BAWN_OK);
    assert_int_equal(in.stage, BAWN_INFLOW_ASKED);
    bawn_inflow_ready(&in, &m.to);
}

static void test_hello(void **opaque)
{
    struct bawn_frame_hello good, bad;

    (void)opaque;
    bawn_frame_hello_init(&good, &m.from, strlen(config), BAWN_STATE_SIZE(1));
#define BAD(member, value)                                                        \
    do {                                                                          \
        bad = good;                                                               \
        bad.member = (value);                                                     \
        bawn_inflow_init(&in, m.arrival);                                         \
        assert_int_not_equal(feed(BAWN_FRAME_HELLO, &bad, sizeof(bad)), BAWN_OK); \
    } while (0)
    BAD(magic[0], 'b');
    BAD(version, 2);
    BAD(nr_ram, 3);
    BAD(config_len, 0);
    BAD(config_len, BAWN_FRAME_CONFIG_MAX);
    BAD(state_len, 0);
    BAD(state_len, UINT32_MAX);
    bawn_inflow_init(&in, m.arrival);
    assert_int_not_equal(feed(BAWN_FRAME_HELLO, &good, sizeof(good) - 1), BAWN_OK);
    for (uint32_t kind = 0; kind < 40; kind++) {
        bawn_inflow_init(&in, m.arrival);
        if (kind != BAWN_FRAME_HELLO)
            assert_int_equal(feed(kind, &good, sizeof(good)), BAWN_E_FORMAT);
    }
    /* More text than was told, and a zero in it. */
    bawn_inflow_init(&in, m.arrival);
    assert_int_equal(feed(BAWN_FRAME_HELLO, &good, sizeof(good)), BAWN_OK);
    assert_int_equal(feed(BAWN_FRAME_TEXT, &good, strlen(config) + 1), BAWN_E_FORMAT);
    bawn_inflow_init(&in, m.arrival);
    assert_int_equal(feed(BAWN_FRAME_HELLO, &good, sizeof(good)), BAWN_OK);
    assert_int_equal(feed(BAWN_FRAME_TEXT, "1234567\0", 8), BAWN_OK);
    assert_int_equal(feed(BAWN_FRAME_TEXT, "12345678", strlen(config) - 8), BAWN_OK);
    assert_int_equal(feed(BAWN_FRAME_FACTS, m.state, BAWN_STATE_FACTS), BAWN_E_FORMAT);
}

static void test_frames(void **opaque)
{
    static uint8_t data[BAWN_FRAME_MAX + 1];
    static const struct {
        uint64_t gpa, pages;
    } wrong[] = {
        { 16 * MIB, 1 }, { 16 * MIB - PAGE, 2 }, { 1, 1 },          { UINT64_MAX & ~0xfffull, 1 },
        { 0, 0 },        { 0, UINT64_MAX },      { 0, 1ull << 52 }, { BAWN_HIGH_RAM + 4 * MIB, 1 },
    };
    uint64_t zero[2];

    (void)opaque;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        up_to_memory();
        zero[0] = htole64(wrong[i].gpa);
        zero[1] = htole64(wrong[i].pages);
        assert_int_equal(feed(BAWN_FRAME_ZEROES, zero, sizeof(zero)), BAWN_E_FORMAT);
        up_to_memory();
        memcpy(data, zero, 8);
        if (wrong[i].pages == 1)
            assert_int_equal(feed(BAWN_FRAME_PAGES_ARE, data, 8 + PAGE), BAWN_E_FORMAT);
    }
    memset(data, 0, 8);
    up_to_memory();
    assert_int_equal(feed(BAWN_FRAME_PAGES_ARE, data, 8 + PAGE - 1), BAWN_E_FORMAT);
    up_to_memory();
    assert_int_equal(feed(BAWN_FRAME_PAGES_ARE, data, 8 + PAGE + 1), BAWN_E_FORMAT);
    up_to_memory();
    assert_int_equal(feed(BAWN_FRAME_PAGES_ARE, data, sizeof(data)), BAWN_E_FORMAT);
    up_to_memory();
    assert_int_equal(feed(BAWN_FRAME_END, data, 0), BAWN_E_FORMAT);
    up_to_memory();
    assert_int_equal(feed(BAWN_FRAME_GO, data, 0), BAWN_E_FORMAT);
    up_to_memory();
    assert_int_equal(feed(BAWN_FRAME_STATE, data, 100), BAWN_OK);
    assert_int_equal(feed(BAWN_FRAME_END, data, 0), BAWN_E_FORMAT); /* not all of it */
    up_to_memory();
    assert_int_equal(feed(BAWN_FRAME_STATE, data, 100), BAWN_OK);
    assert_int_equal(feed(BAWN_FRAME_PAGES_ARE, data, 8 + PAGE), BAWN_E_FORMAT); /* too late */
    up_to_memory();
    assert_int_equal(feed(BAWN_FRAME_STATE, m.state, BAWN_STATE_SIZE(1)), BAWN_OK);
    assert_int_equal(feed(BAWN_FRAME_END, data, 0), BAWN_OK);
    assert_int_equal(feed(BAWN_FRAME_GO, data, 0), BAWN_E_FORMAT); /* too early */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_move, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_slow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_narrow, setup, teardown),
#ifndef SANDBOXED
        cmocka_unit_test_setup_teardown(test_strangers, setup, teardown),
#endif
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test_setup_teardown(test_hello, setup, teardown),
        cmocka_unit_test_setup_teardown(test_frames, setup, teardown),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, setup_files, remove_files);
}

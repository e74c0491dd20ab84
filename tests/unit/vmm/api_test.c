// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/api.c as a process between real sockets: this one is its clients and its supervisor.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api.h"

static struct sockaddr_un at = { .sun_family = AF_UNIX };
static int listen_fd, link_fd;
static pid_t pid;

static int setup(void **state)
{
    int pair[2];

    (void)state;
    snprintf(at.sun_path, sizeof(at.sun_path), "/tmp/bawn-api-test.%d", getpid());
    unlink(at.sun_path);
    listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(listen_fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(listen_fd, 32), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    link_fd = pair[0];
    pid = fork();
    if (!pid) {
        alarm(60);
        close(link_fd);
        bawn_api_serve(listen_fd, pair[1]);
        _exit(0);
    }
    close(pair[1]);
    return 0;
}

/* The supervisor's end is the process's. */
static int teardown(void **state)
{
    int status;

    (void)state;
    close(link_fd);
    close(listen_fd);
    unlink(at.sun_path);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
    return 0;
}

static int client(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* All that comes up to the text. */
static void expect(int fd, const char *text)
{
    static char got[200000];
    size_t n = 0, want = strlen(text);

    while (n < want) {
        ssize_t part = read(fd, got + n, want - n);

        if (part <= 0)
            break;
        n += (size_t)part;
    }
    got[n] = '\0';
    assert_string_equal(got, text);
}

static void expect_end(int fd)
{
    char c;

    assert_true(read(fd, &c, 1) <= 0);
    close(fd);
}

/* What the supervisor is asked, with the files that come along. */
static uint32_t asked(enum bawn_api_call call, const char *body, int *fds, unsigned nr)
{
    static struct bawn_api_request req;
    char control[CMSG_SPACE(16 * sizeof(int))];
    struct iovec v = { &req, sizeof(req) };
    struct msghdr msg = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
    };
    ssize_t n = recvmsg(link_fd, &msg, 0);
    struct cmsghdr *h = CMSG_FIRSTHDR(&msg);

    assert_int_equal(n, offsetof(struct bawn_api_request, body) + strlen(body));
    assert_int_equal(req.call, call);
    assert_memory_equal(req.body, body, strlen(body));
    if (nr) {
        assert_non_null(h);
        assert_int_equal(h->cmsg_len, CMSG_LEN(nr * sizeof(int)));
        memcpy(fds, CMSG_DATA(h), nr * sizeof(int));
    } else {
        assert_null(h);
    }
    return req.id;
}

static void reply(uint32_t id, unsigned status, const char *body)
{
    static struct bawn_api_answer a;

    a.id = id;
    a.status = status;
    memcpy(a.body, body, strlen(body));
    assert_true(send(link_fd, &a, offsetof(struct bawn_api_answer, body) + strlen(body), 0) > 0);
}

static bool quiet(int fd)
{
    struct pollfd p = { fd, POLLIN, 0 };

    return !poll(&p, 1, 50);
}

#define NO_CONTENT "HTTP/1.1 204 No Content\r\nServer: Bawn\r\nConnection: keep-alive\r\n\r\n"
#define JSON(status, connection, length)                             \
    "HTTP/1.1 " status "\r\nServer: Bawn\r\nConnection: " connection \
    "\r\nContent-Type: application/json\r\nContent-Length: " length "\r\n\r\n"

/* Several requests on one connection, some at once, in pieces, with and without bodies. */
static void test_calls(void **state)
{
    int fd = client();

    (void)state;
    say(fd, "PUT /api/v1/vm.boot HT");
    say(fd, "TP/1.1\r\n\r\nGET /api/v1/vm.info HTTP/1.1\r\nConnection: close\r\n\r\nrest");
    reply(asked(BAWN_API_BOOT, "", NULL, 0), 204, "");
    expect(fd, NO_CONTENT);
    reply(asked(BAWN_API_INFO, "", NULL, 0), 200, "{\"a\":1}");
    expect(fd, JSON("200 OK", "close", "7") "{\"a\":1}");
    expect_end(fd);
    fd = client();
    say(fd, "PUT /api/v1/vm.create HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    expect(fd, "HTTP/1.1 100 Continue\r\n\r\n");
    say(fd, "{ ");
    say(fd, " }");
    reply(asked(BAWN_API_CREATE, "{  }", NULL, 0), 500, "[\"no\"]");
    expect(fd, JSON("500 Internal Server Error", "keep-alive", "6") "[\"no\"]");
    close(fd);
}

static void expect_error(int fd, const char *status, const char *connection, const char *body)
{
    char text[512];

    snprintf(text, sizeof(text), JSON("%s", "%s", "%zu") "%s", status, connection, strlen(body),
             body);
    expect(fd, text);
}

static void test_refused(void **state)
{
    static const struct {
        const char *request, *status, *body;
    } cases[] = {
        { "GET /api/v1/vm.boot HTTP/1.1\r\n\r\n", "400 Bad Request",
          "[\"Bad Request\",\"the call has another method\"]" },
        { "PUT /api/v1/vm.boot HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", "400 Bad Request",
          "[\"Bad Request\",\"the call has no body\"]" },
        { "PUT /api/v1/vm.create HTTP/1.1\r\n\r\n", "400 Bad Request",
          "[\"Bad Request\",\"the call has a body\"]" },
        { "PUT /api/v1/vm.resize-zone HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
          "500 Internal Server Error",
          "[\"vm.resize-zone\",\"this machine has no memory zones\"]" },
        { "PUT /api/v1/vm.boo HTTP/1.1\r\n\r\n", "404 Not Found",
          "[\"Not Found\",\"there is no such call\"]" },
    };
    int fd = client();

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        say(fd, cases[i].request);
        expect_error(fd, cases[i].status, "keep-alive", cases[i].body);
    }
    say(fd, "nonsense\r\n\r\n");
    expect_error(fd, "400 Bad Request", "close",
                 "[\"Bad Request\",\"this is no request that is served here\"]");
    expect_end(fd);
    assert_true(quiet(link_fd));
}

/* Files go along with their request, and with no other. */
static void test_files(void **state)
{
    static const char text[] = "PUT /api/v1/vm.add-net HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}";
    char control[CMSG_SPACE(2 * sizeof(int))] = { 0 };
    struct iovec v = { (char *)text, sizeof(text) - 1 };
    struct msghdr msg = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
    };
    struct cmsghdr *h = CMSG_FIRSTHDR(&msg);
    int fd = client(), sent[2], got[2];

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        sent[i] = memfd_create("tap", 0);
        assert_int_equal(write(sent[i], "ab" + i, 1), 1);
    }
    *h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(sent)),
                           .cmsg_level = SOL_SOCKET,
                           .cmsg_type = SCM_RIGHTS };
    memcpy(CMSG_DATA(h), sent, sizeof(sent));
    assert_int_equal(sendmsg(fd, &msg, 0), sizeof(text) - 1);
    reply(asked(BAWN_API_ADD_NET, "{}", got, 2), 204, "");
    expect(fd, NO_CONTENT);
    for (unsigned i = 0; i < 2; i++) {
        char c;

        assert_int_equal(pread(got[i], &c, 1, 0), 1);
        assert_int_equal(c, "ab"[i]);
        close(got[i]);
        close(sent[i]);
    }
    say(fd, text);
    reply(asked(BAWN_API_ADD_NET, "{}", NULL, 0), 204, "");
    expect(fd, NO_CONTENT);
    close(fd);
}

/* One request at a time; a client that leaves takes its answer along; one that says nothing makes
 * room. */
static void test_clients(void **state)
{
    int fd[12], patient;
    uint32_t id;

    (void)state;
    fd[0] = client();
    say(fd[0], "PUT /api/v1/vm.pause HTTP/1.1\r\n\r\n");
    id = asked(BAWN_API_PAUSE, "", NULL, 0);
    patient = client();
    say(patient, "PUT /api/v1/vm.resume HTTP/1.1\r\n\r\n");
    assert_true(quiet(link_fd));
    close(fd[0]);
    reply(id + 1, 204, ""); /* to no question */
    assert_true(quiet(link_fd));
    reply(id, 204, "");
    reply(asked(BAWN_API_RESUME, "", NULL, 0), 204, "");
    expect(patient, NO_CONTENT);
    say(patient, "PUT /api/v1/vm.pause HTTP/1.1\r\n\r\n");
    id = asked(BAWN_API_PAUSE, "", NULL, 0);
    for (unsigned i = 0; i < 12; i++) {
        fd[i] = client();
        say(fd[i], "GET");
    }
    reply(id, 204, "");
    expect(patient, NO_CONTENT); /* who waits for an answer is not put out */
    say(fd[11], " /api/v1/vmm.ping HTTP/1.1\r\n\r\n");
    reply(asked(BAWN_API_PING, "", NULL, 0), 200, "{}");
    expect(fd[11], JSON("200 OK", "keep-alive", "2") "{}");
    for (unsigned i = 0; i < 4; i++)
        expect_end(fd[i]);
    for (unsigned i = 4; i < 12; i++)
        close(fd[i]);
    close(patient);
}

/* An answer that is larger than a socket takes at once, to a client that is in no hurry. */
static void test_large(void **state)
{
    static char body[BAWN_API_ANSWER_MAX + 1];
    int fd = client();

    (void)state;
    memset(body, 'x', sizeof(body) - 1);
    say(fd, "GET /api/v1/vm.counters HTTP/1.1\r\n\r\nGET /api/v1/vmm.ping HTTP/1.1\r\n\r\n");
    reply(asked(BAWN_API_COUNTERS, "", NULL, 0), 200, body);
    expect(fd, JSON("200 OK", "keep-alive", "131072"));
    expect(fd, body);
    reply(asked(BAWN_API_PING, "", NULL, 0), 200, "{}");
    expect(fd, JSON("200 OK", "keep-alive", "2") "{}");
    close(fd);
}

/* The last answer is still given. */
static void test_end(void **state)
{
    int fd = client();

    (void)state;
    say(fd, "PUT /api/v1/vmm.shutdown HTTP/1.1\r\n\r\n");
    reply(asked(BAWN_API_QUIT, "", NULL, 0), 204, "");
    shutdown(link_fd, SHUT_RDWR);
    expect(fd, NO_CONTENT);
    expect_end(fd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_calls),   TEST(test_refused), TEST(test_files),
        TEST(test_clients), TEST(test_large),   TEST(test_end),
    };

    signal(SIGPIPE, SIG_IGN);
    alarm(120);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/relay.c between real sockets: this process is the guest's port, and who connects.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay.h"
#include "runtime.h"
#include "stream.h"

static char path[64];
static struct bawn_stream stream;
static struct bawn_loop loop;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_t thread;

static void *serve(void *unused)
{
    (void)unused;
    bawn_loop_run(&loop);
    return NULL;
}

static int setup(void **state)
{
    const struct bawn_stream_config cfg = { .mode = BAWN_STREAM_SOCKET, .socket = path };
    struct bawn_error err;

    (void)state;
    snprintf(path, sizeof(path), "/tmp/bawn-relay-test.%d", getpid());
    assert_int_equal(bawn_stream_open(&stream, &cfg, "serial port", &err), BAWN_OK);
    assert_int_equal(bawn_loop_init(&loop, &lock), 0);
    bawn_relay_serve(stream.relay, &loop);
    assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bawn_loop_stop(&loop);
    pthread_join(thread, NULL);
    bawn_loop_destroy(&loop);
    bawn_stream_close(&stream);
    assert_int_equal(access(path, F_OK), -1);
    return 0;
}

/* Both ways, for as long as it takes: a byte that comes back is one that went there. */
static int client(void)
{
    int fd = bawn_socket_connect(path);
    bool quit;
    char c;

    assert_true(fd >= 0);
    assert_int_equal(send(fd, "?", 1, MSG_NOSIGNAL), 1);
    while (bawn_stream_read(&stream, &c, 1, &quit) != 1)
        usleep(1000);
    assert_int_equal(c, '?');
    return fd;
}

static void expect(int fd, const char *text)
{
    char got[64] = "";
    size_t n = 0;

    while (n < strlen(text)) {
        ssize_t part = read(fd, got + n, strlen(text) - n);

        assert_true(part > 0);
        n += (size_t)part;
    }
    assert_string_equal(got, text);
}

static void test_both_ways(void **state)
{
    struct stat s;
    int fd = client();

    (void)state;
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);
    bawn_stream_write(&stream, "login: ", 7);
    expect(fd, "login: ");
    close(fd);
}

/* Who comes later has the port, and the other learns it. */
static void test_next(void **state)
{
    int first = client(), second = client();
    char c;

    (void)state;
    assert_int_equal(read(first, &c, 1), 0);
    bawn_stream_write(&stream, "hello", 5);
    expect(second, "hello");
    close(first);
    close(second);
}

/* A guest that writes, to nobody and to one who does not read, goes on; so does one that does not
 * read. */
static void test_nobody_waits(void **state)
{
    static char much[1 << 20];
    int fd;

    (void)state;
    bawn_stream_write(&stream, much, sizeof(much));
    fd = client();
    bawn_stream_write(&stream, much, sizeof(much));
    for (unsigned i = 0; i < sizeof(much) / 4096; i++)
        assert_int_equal(send(fd, much, 4096, MSG_NOSIGNAL), 4096);
    close(fd);
}

static void test_taken(void **state)
{
    const struct bawn_stream_config cfg = { .mode = BAWN_STREAM_SOCKET, .socket = path };
    struct bawn_stream other;
    struct bawn_error err;

    (void)state;
    assert_int_equal(bawn_stream_open(&other, &cfg, "console", &err), BAWN_E_IO);
    assert_non_null(strstr(err.msg, path));
    assert_null(other.relay);
    bawn_stream_close(&other);
    close(client());
}

int main(void)
{
#define RELAY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        RELAY(test_both_ways),
        RELAY(test_next),
        RELAY(test_nobody_waits),
        RELAY(test_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

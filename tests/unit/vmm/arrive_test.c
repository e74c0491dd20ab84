// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/arrive.c: what the supervisor makes of a process that receives and was taken over. Each test
 * is that process, and has a supervisor in another.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run.h"

#define MANY 50

static struct bawn_run *r;
static struct bawn_loop loop;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int other;

static int setup(void **state)
{
    int pair[2];

    (void)state;
    r = calloc(1, sizeof(*r));
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    assert_int_equal(bawn_loop_init(&loop, &lock), 0);
    r->loop = &loop;
    r->arrive =
        (struct bawn_arrive){ .active = true, .link = pair[0], .watch = -1, .mem.faults = -1 };
    r->arrive.shared = mmap(NULL, sizeof(*r->arrive.shared), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    other = pair[1];
    bawn_arrive_watch(r);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bawn_arrive_close(r);
    bawn_loop_destroy(&loop);
    close(other);
    free(r);
    return 0;
}

static void say(enum bawn_move_kind kind)
{
    assert_true(bawn_move_tell(other, kind));
    bawn_loop_turn(&loop, false);
}

/* How the supervisor ends, which is one of a group of its own. */
static int end_of(void (*supervisor)(void))
{
    pid_t pid = fork();
    int status;

    if (!pid) {
        setpgid(0, 0);
        alarm(20);
        supervisor();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void hears_the_dead(void)
{
    for (unsigned kind = 0; kind < 2 * BAWN_MOVE_REFUSE; kind++) {
        if (kind != BAWN_MOVE_ASKED)
            say((enum bawn_move_kind)kind);
    }
}

/* It has ended, and its last words are still to be read: nobody else is killed for them. */
static void test_last_words(void **state)
{
    (void)state;
    assert_int_equal(r->arrive.pid, 0);
    assert_int_equal(end_of(hears_the_dead), 0);
}

/* What was refused does not come again, with what was refused now taken for what was judged. */
static void test_refused(void **state)
{
    struct bawn_arrive *a = &r->arrive;
    const struct bawn_ram ram = { 0, 2 << 20 };
    struct bawn_move_msg msg;

    (void)state;
    r->opt.cfg.vcpus = 1;
    a->state = calloc(1, sizeof(*a->state));
    a->state->version = BAWN_STATE_VERSION;
    a->state->nr_vcpus = 1;
    a->state->size = BAWN_STATE_SIZE(1);
    memcpy(&a->shared->state, a->state, sizeof(*a->state));
    a->shared->state.measured = 1;
    assert_int_equal(bawn_mem_create(&a->mem, &ram, 1, BAWN_PAGES_SMALL, NULL), BAWN_OK);
    a->pid = fork();
    if (!a->pid)
        for (;;)
            pause();
    for (unsigned i = 0; i < 2; i++)
        say(BAWN_MOVE_ENDED);
    assert_false(r->created || r->open || loop.stop);
    assert_int_equal(recv(other, &msg, sizeof(msg), MSG_DONTWAIT), sizeof(msg));
    assert_int_equal(msg.kind, BAWN_MOVE_REFUSE);
    assert_non_null(strstr(a->why, "not the one that was told before"));
}

static void hears_of_strangers(void)
{
    int ends[2];
    char fill[4096] = "";

    if (pipe2(ends, O_NONBLOCK))
        _exit(1);
    while (write(ends[1], fill, sizeof(fill)) > 0)
        ;
    fcntl(ends[1], F_SETFL, 0);
    dup2(ends[1], STDERR_FILENO);
    say(BAWN_MOVE_STRANGER);
}

static void hears_of_many(void)
{
    char text[65536];
    int ends[2];
    ssize_t n;
    unsigned lines = 0;

    if (pipe2(ends, O_NONBLOCK))
        _exit(1);
    dup2(ends[1], STDERR_FILENO);
    for (unsigned i = 0; i < MANY; i++)
        say(BAWN_MOVE_STRANGER);
    n = read(ends[0], text, sizeof(text));
    for (ssize_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    _exit(lines >= 1 && lines < MANY / 2 ? 0 : 1);
}

/* Who has no certificate does not fill the log, and who does not read that holds nobody up. */
static void test_strangers(void **state)
{
    (void)state;
    assert_int_equal(end_of(hears_of_strangers), 0);
    assert_int_equal(end_of(hears_of_many), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = { TEST(test_last_words), TEST(test_refused),
                                        TEST(test_strangers) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/threads.c with vmm/stream.c and vmm/loop.c: a machine whose output nobody takes, and whose
 * threads wait for each other because of that, can be stopped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "loop.h"
#include "stream.h"
#include "threads.h"

#define PIPES 65536 /* more than a pipe takes */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct bawn_loop loop;
static struct bawn_stream_tail tail;
static struct bawn_stream stream;
static unsigned nr_waiting;

/* A vCPU in a string of output instructions, with the machine's lock. */
static void *writer(void *opaque)
{
    (void)opaque;
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < 2 * PIPES; i++)
        bawn_stream_write(&stream, "x", 1);
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* One that wants to get at a device. */
static void *waiter(void *opaque)
{
    (void)opaque;
    __atomic_add_fetch(&nr_waiting, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_lock(&lock);
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void *device(void *opaque)
{
    bawn_loop_run(opaque);
    return NULL;
}

static void nothing(void *opaque)
{
    (void)opaque;
}

static void test_stuck_output(void **state)
{
    static struct bawn_threads t; /* the threads stay */
    unsigned rounds = 0;
    int fds[2], fd;

    (void)state;
    alarm(60);
    assert_int_equal(pipe(fds), 0);
    stream = (struct bawn_stream){ .in_fd = -1, .out_fd = fds[1], .tail = &tail };
    fd = eventfd(1, EFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(bawn_loop_init(&loop, &lock), 0);
    assert_int_equal(bawn_loop_watch(&loop, fd, true, nothing, NULL), 0);
    bawn_threads_init(&t);
    assert_int_equal(bawn_threads_start(&t, waiter, NULL), 0);
    assert_int_equal(bawn_threads_start(&t, writer, NULL), 0);
    usleep(10000);
    assert_int_equal(tail.total, 0); /* not before they may */
    bawn_threads_go(&t);
    while (__atomic_load_n(&tail.total, __ATOMIC_SEQ_CST) < PIPES)
        usleep(1000);
    assert_int_equal(bawn_threads_start(&t, device, &loop), 0);
    assert_int_equal(bawn_threads_start(&t, waiter, NULL), 0);
    while (__atomic_load_n(&nr_waiting, __ATOMIC_SEQ_CST) < 2)
        usleep(1000);
    bawn_loop_stop(&loop);
    while (!bawn_threads_end(&t)) {
        bawn_stream_cut(&stream, true);
        rounds++;
    }
    assert_in_range(rounds, 1, 5);
    bawn_loop_destroy(&loop);
    close(fd);
    close(fds[0]);
    close(fds[1]);
}

static void *ends(void *opaque)
{
    return opaque;
}

static void test_limits(void **state)
{
    static struct bawn_threads t;

    (void)state;
    bawn_threads_init(&t);
    for (unsigned i = 0; i < BAWN_THREADS_MAX; i++)
        assert_int_equal(bawn_threads_start(&t, ends, NULL), 0);
    assert_int_not_equal(bawn_threads_start(&t, ends, NULL), 0);
    bawn_threads_go(&t);
    while (!bawn_threads_end(&t))
        ;
    assert_true(bawn_threads_end(&t)); /* none left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stuck_output),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

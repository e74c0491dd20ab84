// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/loop.c in its three kinds, and vmm/uring.c: who is called when, a loop that is held, and what
 * a ring that was restricted refuses.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "loop.h"

enum kind { POLL, EPOLL, RING, KINDS };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct bawn_loop loop;
static int bell, other, pipes[2];
static unsigned rung, heard, completed;
static int32_t result;

static void on_bell(void *opaque)
{
    (void)opaque;
    rung++;
}

/* All that is there, as handlers of a sealed loop do. */
static void on_pipe(void *opaque)
{
    char byte;

    (void)opaque;
    while (read(pipes[0], &byte, 1) == 1)
        heard++;
}

static void on_done(void *opaque, unsigned tag, int32_t res)
{
    (void)opaque;
    assert_int_equal(tag, 3);
    completed++;
    result = res;
}

/* False: this host has no ring for us. */
static bool create(enum kind kind)
{
    int files[2];

    rung = heard = completed = 0;
    assert_int_equal(bawn_loop_init(&loop, &lock), 0);
    loop.done = on_done;
    bell = eventfd(0, EFD_NONBLOCK);
    other = eventfd(0, EFD_NONBLOCK);
    assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
    assert_int_equal(bawn_loop_bell(&loop, bell, on_bell, NULL), 0);
    assert_int_equal(bawn_loop_watch(&loop, pipes[0], true, on_pipe, NULL), 1);
    files[0] = other;
    files[1] = pipes[1];
    if (kind == EPOLL)
        assert_int_equal(bawn_loop_seal(&loop), 0);
    return kind != RING || !bawn_loop_seal_ring(&loop, files, 2);
}

static void destroy(void)
{
    bawn_loop_destroy(&loop);
    close(bell);
    close(other);
    close(pipes[0]);
    close(pipes[1]);
}

static void turns(unsigned n)
{
    while (n--)
        bawn_loop_turn(&loop, false);
}

static void test_calls(void **state)
{
    for (enum kind kind = POLL; kind < KINDS; kind++) {
        (void)state;
        if (!create(kind))
            skip();
        turns(3);
        assert_int_equal(rung + heard, 0);
        /* However often it rang, one call; and one more when it rings again. */
        for (unsigned i = 1; i <= 3; i++) {
            assert_int_equal(eventfd_write(bell, 1), 0);
            assert_int_equal(eventfd_write(bell, 1), 0);
            turns(3);
            assert_int_equal(rung, i);
        }
        assert_int_equal(write(pipes[1], "ab", 2), 2);
        turns(3);
        assert_int_equal(heard, 2);
        assert_int_equal(write(pipes[1], "c", 1), 1);
        turns(3);
        assert_int_equal(heard, 3);
        bawn_loop_signal(&loop, other);
        turns(2);
        assert_int_equal(poll(&(struct pollfd){ other, POLLIN, 0 }, 1, 1000), 1);
        destroy();
    }
}

/* What comes while it is held is told of afterwards. */
static void test_held(void **state)
{
    for (enum kind kind = POLL; kind < KINDS; kind++) {
        (void)state;
        if (!create(kind))
            skip();
        turns(2);
        bawn_loop_hold(&loop, 1);
        assert_int_equal(eventfd_write(bell, 1), 0);
        assert_int_equal(write(pipes[1], "a", 1), 1);
        turns(4);
        assert_int_equal(rung, 0);
        assert_int_equal(heard, 1);
        bawn_loop_hold(&loop, -1);
        turns(3);
        assert_int_equal(rung, 1);
        destroy();
    }
}

static void *run(void *opaque)
{
    bawn_loop_run(&loop);
    return opaque;
}

/* Another thread ends it, whatever it waits for. A ring is its thread's alone. */
static void test_stop(void **state)
{
    (void)state;
    for (enum kind kind = POLL; kind < RING; kind++) {
        pthread_t thread;

        create(kind);
        assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
        assert_int_equal(eventfd_write(bell, 1), 0);
        bawn_loop_stop(&loop);
        assert_int_equal(pthread_join(thread, NULL), 0);
        destroy();
    }
}

static int32_t carry_out(struct io_uring_sqe *e)
{
    unsigned before = completed;

    assert_non_null(e);
    while (completed == before)
        bawn_loop_turn(&loop, true);
    return result;
}

/* What a process that was taken over may put into its ring. */
static void test_restricted(void **state)
{
    static const uint8_t refused[] = { IORING_OP_OPENAT,  IORING_OP_SOCKET,   IORING_OP_CONNECT,
                                       IORING_OP_SENDMSG, IORING_OP_CLOSE,    IORING_OP_MSG_RING,
                                       IORING_OP_SPLICE,  IORING_OP_UNLINKAT, IORING_OP_FALLOCATE };
    struct io_uring_sqe *e;
    int fd = open("/dev/null", O_RDWR);
    char byte = 'x';

    (void)state;
    if (!create(RING))
        skip();
    for (size_t i = 0; i < sizeof(refused); i++)
        assert_int_equal(carry_out(bawn_loop_submit(&loop, refused[i], other, 3)), -EACCES);
    /* A descriptor by its own number, whether the ring knows it or not. */
    e = bawn_loop_submit(&loop, IORING_OP_WRITE, pipes[1], 3);
    e->addr = (uintptr_t)&byte;
    e->len = 1;
    e->fd = fd;
    e->flags = 0;
    assert_int_equal(carry_out(e), -EACCES);
    e = bawn_loop_submit(&loop, IORING_OP_WRITE, pipes[1], 3);
    e->addr = (uintptr_t)&byte;
    e->len = 1;
    e->fd = BAWN_URING_FILES;
    assert_int_equal(carry_out(e), -EBADF);
    assert_null(bawn_loop_submit(&loop, IORING_OP_WRITE, fd, 3));
    /* A write that is allowed, and nothing to be registered any more. */
    e = bawn_loop_submit(&loop, IORING_OP_WRITE, pipes[1], 3);
    e->addr = (uintptr_t)&byte;
    e->len = 1;
    assert_int_equal(carry_out(e), 1);
    assert_int_equal(syscall(SYS_io_uring_register, loop.ring.fd, IORING_UNREGISTER_FILES, NULL, 0),
                     -1);
    assert_int_equal(errno, EACCES);
    close(fd);
    destroy();
}

/* In a child, since there is no way back: the kernel refuses rings, as its sysctl does. */
static int refused_child(uint32_t error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog prog = { sizeof(filter) / sizeof(filter[0]), filter };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, 2, &prog))
        return 1;
    create(POLL);
    if (bawn_loop_seal_ring(&loop, &other, 1) != -(int)error || bawn_loop_has_ring(&loop) ||
        bawn_loop_seal(&loop))
        return 2;
    eventfd_write(bell, 1);
    turns(2);
    return rung == 1 ? 0 : 3;
}

static void test_refused(void **state)
{
    static const uint32_t errors[] = { ENOSYS, EPERM };

    (void)state;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        pid_t pid = fork();
        int status;

        if (!pid)
            _exit(refused_child(errors[i]));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),   cmocka_unit_test(test_held),
        cmocka_unit_test(test_stop),    cmocka_unit_test(test_restricted),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * A process of `bawn run` that a guest has taken over: each attempt is made by a device's process
 * where it is locked in as always, and by the machine's. It must end by SIGSYS; and without the
 * filter of system calls the other walls must stand alone. Where the kernel has no seccomp,
 * Landlock or user namespaces, what rests on them is skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices.h"
#include "sandbox.h"

#define REFUSED 77 /* the attempt failed, the process lives */
#define SUCCEEDED 78
#define BROKEN 79 /* the test itself */
#define SECRET "another's"

static bool apart, have_landlock, have_seccomp;
static pid_t outside; /* this process */
static char secret[] = SECRET;
static int other_fd; /* of another device */
static uint16_t port;

typedef void attempt_fn(void);

static void refused_unless(bool succeeded)
{
    _exit(succeeded ? SUCCEEDED : REFUSED);
}

/* ---- attempts ---- */

static void open_read(void)
{
    refused_unless(open("/etc/passwd", O_RDONLY) >= 0);
}

static void open_write(void)
{
    refused_unless(open("/tmp/bawn-taken-over", O_WRONLY | O_CREAT, 0600) >= 0);
}

static void connect_tcp(void)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = port };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    refused_unless(fd >= 0 && !connect(fd, (struct sockaddr *)&to, sizeof(to)));
}

static void kill_other(void)
{
    refused_unless(!kill(outside, SIGCONT));
}

static void trace_other(void)
{
    refused_unless(!ptrace(PTRACE_SEIZE, outside, 0, 0));
}

static void read_other(void)
{
    char to[sizeof(secret)];
    struct iovec local = { to, sizeof(to) }, remote = { secret, sizeof(secret) };

    refused_unless(process_vm_readv(outside, &local, 1, &remote, 1, 0) > 0);
}

static void open_other(void)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/mem", outside);
    refused_unless(open(path, O_RDONLY) >= 0);
}

static void run_program(void)
{
    char *const argv[] = { (char *)"/bin/true", NULL };

    execv(argv[0], argv);
    _exit(REFUSED);
}

static void make_code(void)
{
    void *at =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    refused_unless(at != MAP_FAILED);
}

static void make_process(void)
{
    refused_unless(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) >= 0);
}

static void mount_something(void)
{
    refused_unless(!mount("none", "/tmp", "tmpfs", 0, NULL));
}

static void type_at_terminal(void)
{
    char c = 'x';

    refused_unless(!ioctl(STDIN_FILENO, TIOCSTI, &c));
}

static void make_machine(void)
{
    refused_unless(ioctl(other_fd, KVM_CREATE_VM, 0) >= 0);
}

static void read_other_file(void)
{
    char c;

    refused_unless(read(other_fd, &c, 1) == 1);
}

/* ---- the processes ---- */

static struct bawn_devices devices;
static struct bawn_disk disk[3]; /* the last one with a ring, if the host has one */

/* The processes' models and backends are real; nothing is started. */
static void make_devices(void)
{
    static char socket_path[] = "swtpm";
    static const struct bawn_vm_config cfg = { .console.mode = BAWN_STREAM_NULL,
                                               .rng = true,
                                               .vsock.cid = 3,
                                               .nr_nets = 1,
                                               .balloon.on = true,
                                               .tpm = socket_path,
                                               .nr_disks = 3,
                                               .hotplug = BAWN_HOTPLUG_OFF };
    static struct bawn_stream console = { .in_fd = -1, .out_fd = -1 };
    static struct bawn_vsock_socket listener;
    static struct bawn_net net;
    static struct bawn_mem mem;
    const struct bawn_ram ram = { 0, 4 << 20 };
    static struct bawn_swtpm swtpm = { .control_fd = -1 };
    const struct bawn_backends backends = { &console, disk, &net, &listener, &swtpm };
    char path[64];
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    assert_int_equal(bawn_net_stream(&net, pair[0], NULL), BAWN_OK);
    swtpm.data_fd = dup(pair[1]);
    assert_true(swtpm.data_fd >= 0);
    disk[2].uring = true;
    for (unsigned i = 0; i < 3; i++) {
        disk[i].fd = memfd_create("disk", MFD_CLOEXEC);
        assert_int_equal(write(disk[i].fd, SECRET, sizeof(SECRET)), sizeof(SECRET));
        disk[i].sectors = 1;
    }
    other_fd = disk[1].fd;
    snprintf(path, sizeof(path), "/tmp/bawn-sandbox-test.%d", getpid());
    assert_int_equal(bawn_vsock_socket_open(&listener, path, NULL), BAWN_OK);
    unlink(path);
    assert_int_equal(bawn_mem_create(&mem, &ram, 1, false, NULL), BAWN_OK);
    assert_int_equal(bawn_devices_create(&devices, &cfg, &mem, &backends), 0);
    assert_int_equal(devices.nr, 9);
}

static attempt_fn *payload;

static void run_payload(void *opaque)
{
    (void)opaque;
    payload();
}

/* The device's process, whose loop comes to the payload as to a doorbell. */
static _Noreturn void be_device(struct bawn_device *dev)
{
    int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0 || bawn_loop_watch(&dev->loop, fd, true, run_payload, NULL) < 0)
        _exit(BROKEN);
    bawn_device_run(dev);
}

static enum bawn_role role; /* of a process that is no device's */

static _Noreturn void be_other(bool filter)
{
    struct bawn_sandbox_files files = { .nr = 0 };
    struct bawn_error err;
    unsigned lacks = 0;

    if (bawn_sandbox_enter(role, &files, &lacks, &err) ||
        (filter && bawn_sandbox_filter(role, &lacks, &err)))
        _exit(BROKEN);
    payload();
    _exit(BROKEN);
}

/* dev: NULL: a process of the role. */
static int status_of(struct bawn_device *dev, bool filter, attempt_fn *attempt)
{
    bool own;
    int status;
    pid_t pid;

    payload = attempt;
    pid = bawn_sandbox_fork(&own);
    assert_true(pid >= 0);
    if (!pid) {
        alarm(30);
        if (dev)
            be_device(dev);
        be_other(filter);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static bool by_sigsys(int status)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

static bool by_refusal(int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == REFUSED;
}

/* ---- tests ---- */

static const struct {
    const char *name;
    attempt_fn *fn;
    bool needs_landlock, needs_apart; /* to be refused without the filter */
    bool filter_only;
} attempts[] = {
    { "open a file", open_read, true, false, false },
    { "make a file", open_write, true, false, false },
    { "reach the network", connect_tcp, false, true, false },
    { "signal another", kill_other, false, true, false },
    { "trace another", trace_other, false, true, false },
    { "read another's memory", read_other, false, true, false },
    { "open another's memory", open_other, true, false, false },
    { "run a program", run_program, true, false, false },
    { "mount something", mount_something, false, false, false },
    { "make code", make_code, false, false, true },
    { "make a process", make_process, false, false, true },
    { "type at the terminal", type_at_terminal, false, false, true },
};

#define NR_ATTEMPTS (sizeof(attempts) / sizeof(attempts[0]))

static void test_device(void **state)
{
    (void)state;
    if (!have_seccomp)
        skip();
    for (unsigned d = 0; d < devices.nr; d++) {
        for (size_t i = 0; i < NR_ATTEMPTS; i++) {
            int status = status_of(&devices.dev[d], true, attempts[i].fn);

            if (!by_sigsys(status))
                fail_msg("%s could %s: %#x", devices.dev[d].name, attempts[i].name, status);
        }
    }
}

static void try_all(const char *who)
{
    for (size_t i = 0; i < NR_ATTEMPTS; i++) {
        int status = status_of(NULL, true, attempts[i].fn);

        if (!by_sigsys(status))
            fail_msg("%s could %s: %#x", who, attempts[i].name, status);
    }
}

/* ---- a disk's ring ---- */

static struct bawn_device *ring_device(void)
{
    for (unsigned i = 0; i < devices.nr; i++) {
        if (!strcmp(devices.dev[i].name, "disk2"))
            return &devices.dev[i];
    }
    _exit(BROKEN);
}

/* What the ring answers. */
static int32_t answer_of(struct io_uring_sqe *e)
{
    struct bawn_uring *ring = &ring_device()->loop.ring;
    uint64_t mark = e ? e->user_data : 0, user;
    int32_t res;

    if (!e)
        _exit(BROKEN);
    for (;;) {
        bawn_uring_enter(ring, true);
        while (bawn_uring_take(ring, &user, &res)) {
            if (user == mark)
                return res;
        }
    }
}

static void open_by_ring(void)
{
    struct io_uring_sqe *e =
        bawn_loop_submit(&ring_device()->loop, IORING_OP_OPENAT, disk[2].fd, 0);

    e->addr = (uintptr_t) "/etc/passwd";
    e->fd = AT_FDCWD;
    e->flags = 0;
    refused_unless(answer_of(e) >= 0);
}

/* By a number that is none of the ring's files: the kernel is told not to look elsewhere. */
static void write_by_ring(void)
{
    struct io_uring_sqe *e = bawn_loop_submit(&ring_device()->loop, IORING_OP_WRITE, disk[2].fd, 0);

    e->addr = (uintptr_t)secret;
    e->len = 1;
    e->fd = ring_device()->link[1];
    e->flags = 0;
    refused_unless(answer_of(e) > 0);
}

static void read_by_ring(void)
{
    static char to[sizeof(SECRET)];
    struct io_uring_sqe *e = bawn_loop_submit(&ring_device()->loop, IORING_OP_READ, disk[2].fd, 0);

    e->addr = (uintptr_t)to;
    e->len = sizeof(to);
    refused_unless(answer_of(e) == sizeof(to));
}

static void make_ring(void)
{
    struct io_uring_params p = { 0 };

    refused_unless(syscall(SYS_io_uring_setup, 1, &p) >= 0);
}

static void register_files(void)
{
    refused_unless(syscall(SYS_io_uring_register, ring_device()->loop.ring.fd,
                           IORING_UNREGISTER_FILES, NULL, 0) >= 0);
}

static void enter_ring(void)
{
    refused_unless(syscall(SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0) >= 0);
}

static void test_ring(void **state)
{
    struct bawn_uring here;
    int fd = disk[2].fd, status;

    (void)state;
    assert_true(!have_seccomp || by_sigsys(status_of(&devices.dev[0], true, enter_ring)));
    if (!have_seccomp || bawn_uring_init(&here, &fd, 1))
        skip();
    bawn_uring_destroy(&here);
    status = status_of(ring_device(), true, read_by_ring); /* which is what it is for */
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == SUCCEEDED);
    assert_true(by_refusal(status_of(ring_device(), true, open_by_ring)));
    assert_true(by_refusal(status_of(ring_device(), true, write_by_ring)));
    assert_true(by_sigsys(status_of(ring_device(), true, make_ring)));
    assert_true(by_sigsys(status_of(ring_device(), true, register_files)));
}

/* Who speaks to clients. */
static void test_api(void **state)
{
    (void)state;
    if (!have_seccomp)
        skip();
    role = BAWN_ROLE_API;
    try_all("the API");
    assert_true(by_sigsys(status_of(NULL, true, read_other_file)));
    role = BAWN_ROLE_MACHINE;
}

/* Those that a machine moves with, which alone have a peer on the network. */
static void test_movers(void **state)
{
    (void)state;
    if (!have_seccomp)
        skip();
    role = BAWN_ROLE_SEND;
    try_all("the process that sends");
    role = BAWN_ROLE_RECEIVE;
    try_all("the process that receives");
    role = BAWN_ROLE_MACHINE;
}

static void test_machine(void **state)
{
    (void)state;
    if (!have_seccomp)
        skip();
    try_all("the machine");
    assert_true(by_sigsys(status_of(NULL, true, make_machine)));
}

/* The other walls, when the filter has a hole. */
static void test_without_filter(void **state)
{
    (void)state;
    for (size_t i = 0; i < NR_ATTEMPTS; i++) {
        int status;

        if ((attempts[i].needs_landlock && !have_landlock) || (attempts[i].needs_apart && !apart) ||
            attempts[i].filter_only)
            continue;
        status = status_of(NULL, false, attempts[i].fn);
        if (!by_refusal(status))
            fail_msg("one could %s: %#x", attempts[i].name, status);
    }
}

/* A device reads what is its own: another's disk is closed to it. */
static void test_other_device(void **state)
{
    (void)state;
    for (unsigned d = 0; d < devices.nr; d++) {
        bool own = !strcmp(devices.dev[d].name, "disk1");
        int status;

        lseek(other_fd, 0, SEEK_SET);
        status = status_of(&devices.dev[d], true, read_other_file);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), own ? SUCCEEDED : REFUSED);
    }
}

static void probe(void)
{
    _exit(0);
}

/* What this kernel has. */
static int setup(void **state)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    uint32_t action = 0x80000000u; /* SECCOMP_RET_KILL_PROCESS */

    (void)state;
    outside = getpid();
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 100), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    port = at.sin_port;
    make_devices();
    have_seccomp = !syscall(SYS_seccomp, 2 /* SECCOMP_GET_ACTION_AVAIL */, 0, &action);
    have_landlock = syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0;
    if (!bawn_sandbox_fork(&apart))
        probe();
    wait(NULL);
    print_message("# seccomp: %s, Landlock: %s, namespaces: %s\n", have_seccomp ? "yes" : "no",
                  have_landlock ? "yes" : "no", apart ? "yes" : "no");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_device),       cmocka_unit_test(test_ring),
        cmocka_unit_test(test_machine),      cmocka_unit_test(test_api),
        cmocka_unit_test(test_movers),       cmocka_unit_test(test_without_filter),
        cmocka_unit_test(test_other_device),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Whether the sandbox holds. Each attempt runs in a child that has locked itself in as
 * bawn-verify does; it must end by SIGSYS. Where the kernel has no seccomp or no Landlock the
 * test of it is skipped, and what remains is tested all the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

#include "attest/common/sandbox.h"

#define REFUSED 77 /* the attempt failed, the child lives */
#define SUCCEEDED 78

static bool have_seccomp, have_landlock;

typedef void attempt_fn(void);

/* The wait status of a child that makes the attempt inside the sandbox. */
static int status_of(attempt_fn *attempt)
{
    bool seccomp, landlock;
    struct bawn_error err;
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (!child) {
        if (bawn_sandbox(&seccomp, &landlock, &err) != BAWN_OK)
            _exit(99);
        attempt();
        _exit(SUCCEEDED);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void refused_unless(bool succeeded)
{
    _exit(succeeded ? SUCCEEDED : REFUSED);
}

static void open_read(void)
{
    refused_unless(open("/etc/passwd", O_RDONLY) >= 0);
}

static void open_write(void)
{
    refused_unless(open("/tmp/bawn-sandbox-test", O_WRONLY | O_CREAT, 0600) >= 0);
}

static void make_socket(void)
{
    refused_unless(socket(AF_INET, SOCK_STREAM, 0) >= 0);
}

static void execute(void)
{
    char *argv[] = { (char *)(uintptr_t) "true", NULL };

    execv("/bin/true", argv);
    _exit(REFUSED);
}

static void make_process(void)
{
    refused_unless(fork() >= 0);
}

static void map_code(void)
{
    refused_unless(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
                   MAP_FAILED);
}

static void make_code(void)
{
    static char page[8192] __attribute__((aligned(4096)));

    refused_unless(!mprotect(page, 4096, PROT_READ | PROT_EXEC));
}

static void map_file(void)
{
    refused_unless(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 0, 0) != MAP_FAILED);
}

static void read_stdin(void)
{
    char c;

    refused_unless(read(0, &c, 1) >= 0);
}

static void write_elsewhere(void)
{
    refused_unless(write(17, "x", 1) == 1);
}

static void stat_file(void)
{
    struct stat st;

    refused_unless(!stat("/etc/passwd", &st));
}

static void send_signal(void)
{
    refused_unless(!kill(getppid(), 0));
}

static void trace_parent(void)
{
    refused_unless(!syscall(SYS_ptrace, 16 /* PTRACE_ATTACH */, getppid(), 0, 0));
}

static void set_namespace(void)
{
    refused_unless(!unshare(CLONE_NEWUSER));
}

static void raise_limit(void)
{
    struct rlimit limit = { 100, 100 };

    refused_unless(!setrlimit(RLIMIT_NOFILE, &limit));
}

/* The other way into the kernel: 32-bit system call numbers, of which 5 is open. */
static void old_call(void)
{
    long r;

    __asm__ volatile("int $0x80" : "=a"(r) : "a"(5), "b"(0), "c"(0), "d"(0) : "memory");
    refused_unless(r >= 0);
}

static const struct {
    const char *name;
    attempt_fn *attempt;
} attempts[] = {
    { "open a file", open_read },        { "create a file", open_write },
    { "make a socket", make_socket },    { "execute a program", execute },
    { "make a process", make_process },  { "map memory with code", map_code },
    { "make memory code", make_code },   { "map a file", map_file },
    { "read stdin", read_stdin },        { "write to another descriptor", write_elsewhere },
    { "look at a file", stat_file },     { "signal a process", send_signal },
    { "trace a process", trace_parent }, { "make a namespace", set_namespace },
    { "raise a limit", raise_limit },    { "a 32-bit system call", old_call },
};

static void every_attempt_kills(void **state)
{
    (void)state;
    if (!have_seccomp)
        skip();
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
        int status = status_of(attempts[i].attempt);

        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
            fail_msg("%s: status %#x, not killed by SIGSYS", attempts[i].name, status);
    }
}

/* What a verification does must still work. */
static void compute(void)
{
    uint8_t digest[EVP_MAX_MD_SIZE], *big = malloc(32 << 20);
    EVP_PKEY *key;
    unsigned len;

    if (!big)
        _exit(1);
    memset(big, 1, 32 << 20);
    if (!EVP_Digest(big, 1000, digest, &len, EVP_sha384(), NULL) || len != 48)
        _exit(2);
    big = realloc(big, 64 << 20);
    if (!big)
        _exit(3);
    free(big);
    key = EVP_EC_gen("P-384"); /* needs random numbers */
    if (!key)
        _exit(4);
    EVP_PKEY_free(key);
    if (printf("# inside\n") < 0 || fflush(stdout))
        _exit(5);
    exit(0);
}

static void work_goes_on(void **state)
{
    int status;

    (void)state;
    OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL); /* as the programs do */
    fflush(stdout);
    status = status_of(compute);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* More memory than a verification may have is refused, not given. */
static void too_much_memory(void)
{
    void *p =
        mmap(NULL, (size_t)3 << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    refused_unless(p != MAP_FAILED);
}

static void memory_is_limited(void **state)
{
    int status = status_of(too_much_memory);

    (void)state;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), REFUSED);
}

static void crash(void)
{
    raise(SIGSEGV);
}

static void no_core_dump(void **state)
{
    struct rlimit core;
    int status;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_CORE, &core), 0);
    core.rlim_cur = core.rlim_max; /* as a debugging user has it */
    assert_int_equal(setrlimit(RLIMIT_CORE, &core), 0);
    status = status_of(crash);
    assert_true(WIFSIGNALED(status));
    assert_false(WCOREDUMP(status));
}

/* What the kernel says of the process. */
static void attributes(void **state)
{
    char path[64], line[256];
    int ready[2], seen = 0;
    pid_t child;
    FILE *f;

    (void)state;
    assert_int_equal(pipe(ready), 0);
    fflush(stdout);
    child = fork();
    assert_true(child >= 0);
    if (!child) {
        bool seccomp, landlock;
        struct bawn_error err;

        dup2(ready[1], STDOUT_FILENO);
        if (bawn_sandbox(&seccomp, &landlock, &err) != BAWN_OK)
            _exit(1);
        if (write(STDOUT_FILENO, "x", 1) != 1)
            _exit(1);
        for (;;)
            getpid(); /* until it is killed: it may neither sleep nor read */
    }
    assert_int_equal(read(ready[0], line, 1), 1);
    snprintf(path, sizeof(path), "/proc/%d/status", child);
    f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        seen += !strncmp(line, "NoNewPrivs:\t1", 13);
        seen += have_seccomp && !strncmp(line, "Seccomp:\t2", 10);
    }
    fclose(f);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(ready[0]), close(ready[1]);
    assert_int_equal(seen, have_seccomp ? 2 : 1);
}

/* ---- Kernels that have only one of the two ---- */

/* From here on the kernel answers that call with that error. */
static void take_away(long call, unsigned error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = { sizeof(filter) / sizeof(filter[0]), filter };

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
        _exit(1);
}

static int exit_of(attempt_fn *body)
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (!child) {
        body();
        _exit(SUCCEEDED);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void landlock_body(void)
{
    bool seccomp = true, landlock = false;
    struct bawn_error err;

    take_away(SYS_seccomp, ENOSYS);
    if (bawn_sandbox(&seccomp, &landlock, &err) != BAWN_OK || seccomp || !landlock)
        _exit(2);
    /* Needs no descriptor, so that it is not the limit on these that refuses. */
    _exit(!mkdir("/tmp/bawn-sandbox-test", 0700) ? 3 : errno == EACCES ? REFUSED : 4);
}

static void landlock_alone(void **state)
{
    (void)state;
    if (!have_landlock || !have_seccomp)
        skip();
    assert_int_equal(exit_of(landlock_body), REFUSED);
}

static void missing_landlock_body(void)
{
    bool seccomp = false, landlock = true;
    struct bawn_error err;

    take_away(SYS_landlock_create_ruleset, EOPNOTSUPP);
    if (bawn_sandbox(&seccomp, &landlock, &err) != BAWN_OK || !seccomp || landlock)
        _exit(2);
    _exit(REFUSED);
}

/* It goes on, and says that there is none. */
static void seccomp_alone(void **state)
{
    (void)state;
    if (!have_seccomp)
        skip();
    assert_int_equal(exit_of(missing_landlock_body), REFUSED);
}

static void find_out(void)
{
    bool seccomp, landlock;
    struct bawn_error err;

    if (bawn_sandbox(&seccomp, &landlock, &err) != BAWN_OK)
        _exit(99);
    _exit(seccomp | landlock << 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_attempt_kills), cmocka_unit_test(work_goes_on),
        cmocka_unit_test(memory_is_limited),   cmocka_unit_test(no_core_dump),
        cmocka_unit_test(attributes),          cmocka_unit_test(landlock_alone),
        cmocka_unit_test(seccomp_alone),
    };
    pid_t child = fork();
    int status = 0;

    if (!child)
        find_out();
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) ||
        WEXITSTATUS(status) > 3) {
        printf("Bail out! the sandbox cannot be entered\n");
        return 1;
    }
    have_seccomp = WEXITSTATUS(status) & 1;
    have_landlock = WEXITSTATUS(status) & 2;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

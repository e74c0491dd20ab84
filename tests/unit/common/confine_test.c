// SPDX-License-Identifier: Apache-2.0
// libs: -lseccomp
/*
 * common/confine.c by its tables: which role may call what, where files may be changed, and which
 * descriptors stay. Each attempt is made in a process of its own, which reaches the kernel with
 * bare calls.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/confine.h"

enum { DONE = 0, NOT_CONFINED = 90, NO_SUCH_KERNEL = 91 };
enum { READER = 1, WRITER = 2 };

static const struct confine_call calls[] = {
    CALL(exit_group, CONFINE_ALL),
    CALL(getuid, READER),
    CALL_FAILS(getppid, READER, EXDEV),
    CALL_IF(dup, READER | WRITER, CALL_ON(STDERR_FILENO)),
    CALL_IF(mprotect, CONFINE_ALL, CALL_NO_EXEC),
};

typedef int attempt_fn(void); /* errno, or 0 */

static int status_of(unsigned roles, attempt_fn *attempt)
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (!child) {
        bool seccomp = true;

        if (roles && (confine_privileges(NULL) != BAWN_OK ||
                      confine_seccomp(calls, sizeof(calls) / sizeof(calls[0]), roles, &seccomp,
                                      NULL) != BAWN_OK))
            syscall(SYS_exit_group, NOT_CONFINED);
        syscall(SYS_exit_group, seccomp ? attempt() : NO_SUCH_KERNEL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_SUCH_KERNEL)
        skip();
    return status;
}

static int result(long r)
{
    return r < 0 ? errno : DONE;
}

static int get_uid(void)
{
    return result(syscall(SYS_getuid));
}

static int get_parent(void)
{
    return result(syscall(SYS_getppid));
}

static int dup_stderr(void)
{
    return result(syscall(SYS_dup, STDERR_FILENO));
}

static int dup_stdin(void)
{
    return result(syscall(SYS_dup, STDIN_FILENO));
}

static int protect(int protection)
{
    static _Alignas(4096) char page[4096];

    return result(syscall(SYS_mprotect, page, sizeof(page), protection));
}

static int make_data(void)
{
    return protect(PROT_READ | PROT_WRITE);
}

static int make_code(void)
{
    return protect(PROT_READ | PROT_EXEC);
}

static void test_calls(void **state)
{
    static const struct {
        unsigned roles;
        attempt_fn *attempt;
        int gives; /* -1: the end of the process */
    } cases[] = {
        { READER, get_uid, DONE },          { WRITER, get_uid, -1 },
        { READER | WRITER, get_uid, DONE }, { READER, get_parent, EXDEV },
        { WRITER, get_parent, -1 },         { READER, dup_stderr, DONE },
        { WRITER, dup_stderr, DONE },       { READER, dup_stdin, -1 },
        { WRITER, make_data, DONE },        { WRITER, make_code, -1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int status = status_of(cases[i].roles, cases[i].attempt);

        if (cases[i].gives >= 0) {
            assert_true(WIFEXITED(status));
            assert_int_equal(WEXITSTATUS(status), cases[i].gives);
        } else {
            assert_true(WIFSIGNALED(status));
            assert_int_equal(WTERMSIG(status), SIGSYS);
        }
    }
}

/* ---- Landlock ---- */

static char top[] = "/tmp/confine-test.XXXXXX";
static char readable[64], changeable[64], other[64];

static int make_dirs(void **state)
{
    (void)state;
    if (!mkdtemp(top))
        return -1;
    snprintf(readable, sizeof(readable), "%s/readable", top);
    snprintf(changeable, sizeof(changeable), "%s/changeable", top);
    snprintf(other, sizeof(other), "%s/other", top);
    return mkdir(readable, 0700) || mkdir(changeable, 0700) || mkdir(other, 0700);
}

static int remove_dirs(void **state)
{
    (void)state;
    return rmdir(readable) || rmdir(changeable) || rmdir(other) || rmdir(top);
}

/* Makes a file and removes it. */
static int make_file(const char *dir)
{
    char path[80];
    long fd;

    snprintf(path, sizeof(path), "%s/file", dir);
    fd = syscall(SYS_openat, AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    return fd < 0 ? errno : result(syscall(SYS_unlink, path));
}

static int list_dir(const char *dir)
{
    return result(syscall(SYS_openat, AT_FDCWD, dir, O_RDONLY | O_DIRECTORY));
}

static int confined(attempt_fn *attempt)
{
    char missing[64];
    const struct confine_path paths[] = {
        { readable, -1, CONFINE_READ },
        { NULL, open(changeable, O_PATH | O_CLOEXEC), CONFINE_CHANGE },
        { missing, -1, CONFINE_CHANGE },
    };
    bool landlock;

    snprintf(missing, sizeof(missing), "%s/missing", top);
    if (confine_privileges(NULL) != BAWN_OK ||
        confine_landlock(paths, sizeof(paths) / sizeof(paths[0]), 0, &landlock, NULL) != BAWN_OK)
        return NOT_CONFINED;
    return landlock ? attempt() : NO_SUCH_KERNEL;
}

static int files(void)
{
    if (make_file(changeable) || list_dir(changeable) || list_dir(readable))
        return 1;
    if (make_file(readable) != EACCES || make_file(other) != EACCES || list_dir(other) != EACCES)
        return 2;
    return DONE;
}

static int files_confined(void)
{
    return confined(files);
}

static void test_files(void **state)
{
    (void)state;
    assert_int_equal(WEXITSTATUS(status_of(0, files_confined)), DONE);
}

/* ---- Descriptors and limits ---- */

static int keep_two(void)
{
    int keep[] = { 12, 5, 1 };

    for (int fd = 3; fd < 20; fd++)
        dup2(STDERR_FILENO, fd);
    confine_descriptors(keep, 3);
    for (int fd = 0; fd < 1024; fd++)
        if ((fcntl(fd, F_GETFD) >= 0) != (fd < 3 || fd == 5 || fd == 12))
            return 1;
    return DONE;
}

static void test_descriptors(void **state)
{
    (void)state;
    assert_int_equal(WEXITSTATUS(status_of(0, keep_two)), DONE);
}

static int lower_limits(void)
{
    static const struct confine_limit first = { RLIMIT_NOFILE, 64, "nofile" };
    static const struct confine_limit second[] = { { RLIMIT_NOFILE, 128, "nofile" },
                                                   { RLIMIT_CORE, 0, "core" } };
    struct rlimit files, core;

    if (confine_limits(&first, 1, NULL) != BAWN_OK || confine_limits(second, 2, NULL) != BAWN_OK ||
        getrlimit(RLIMIT_NOFILE, &files) || getrlimit(RLIMIT_CORE, &core))
        return 1;
    return files.rlim_max == 64 && files.rlim_cur == 64 && !core.rlim_max ? DONE : 2;
}

static void test_limits(void **state)
{
    (void)state;
    assert_int_equal(WEXITSTATUS(status_of(0, lower_limits)), DONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test_setup_teardown(test_files, make_dirs, remove_dirs),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

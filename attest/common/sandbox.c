// SPDX-License-Identifier: Apache-2.0
/*
 * The sandbox of bawn-verify and bawn-measure. Trusts the kernel and nothing that was read.
 * Each system call that stays allowed has its reason beside it.
 */
#include "attest/common/sandbox.h"

#include <unistd.h>

#include "common/confine.h"

/* What the inputs may come to is bounded far below this (files.c, launch/); the rest is what the
 * parsers and OpenSSL need. */
#define MEMORY_LIMIT ((rlim_t)2 << 30)
/* A verification takes milliseconds, the largest launch minutes on a slow machine. A parser that
 * does not end must, some day. */
#define CPU_LIMIT_SECONDS 600

static const struct confine_limit limits[] = {
    { RLIMIT_CORE, 0, "core" },
    { RLIMIT_NOFILE, 0, "nofile" }, /* those that are open stay usable */
    { RLIMIT_DATA, MEMORY_LIMIT, "data" },
    { RLIMIT_CPU, CPU_LIMIT_SECONDS, "cpu" },
};

#define BY_FD CALL_ARG(3, UINT32_MAX, AT_EMPTY_PATH)

static const struct confine_call calls[] = {
    CALL(exit_group, CONFINE_ALL),      /* the end */
    CALL(exit, CONFINE_ALL),            /* the same, from _exit of other C libraries */
    CALL(brk, CONFINE_ALL),             /* malloc */
    CALL(munmap, CONFINE_ALL),          /* free */
    CALL(mremap, CONFINE_ALL),          /* realloc */
    CALL(madvise, CONFINE_ALL),         /* malloc gives memory back */
    CALL(futex, CONFINE_ALL),           /* OpenSSL's locks and run-once */
    CALL(getrandom, CONFINE_ALL),       /* OpenSSL blinds its arithmetic */
    CALL(getpid, CONFINE_ALL),          /* OpenSSL's generator looks for a fork */
    CALL(clock_gettime, CONFINE_ALL),   /* where the vDSO does not serve it */
    CALL(gettimeofday, CONFINE_ALL),    /* the same */
    CALL(fstat, CONFINE_ALL),           /* stdio asks what stdout is */
    CALL(lseek, CONFINE_ALL),           /* stdio puts stdin back at exit */
    CALL(rt_sigreturn, CONFINE_ALL),    /* returns from a handler that was there before */
    CALL(restart_syscall, CONFINE_ALL), /* goes on after SIGSTOP and SIGCONT */
    /* Answers go to stdout and stderr only. */
    CALL_IF(write, CONFINE_ALL, CALL_ON(STDOUT_FILENO)),
    CALL_IF(write, CONFINE_ALL, CALL_ON(STDERR_FILENO)),
    CALL_IF(writev, CONFINE_ALL, CALL_ON(STDOUT_FILENO)),
    CALL_IF(writev, CONFINE_ALL, CALL_ON(STDERR_FILENO)),
    /* fstat as newer C libraries spell it: fstatat(fd, "", AT_EMPTY_PATH). */
    CALL_IF(newfstatat, CONFINE_ALL, CALL_ON(STDOUT_FILENO), BY_FD),
    CALL_IF(newfstatat, CONFINE_ALL, CALL_ON(STDERR_FILENO), BY_FD),
    /* Memory, but no files in it and never new code. */
    CALL_IF(mmap, CONFINE_ALL, CALL_NO_EXEC, CALL_ANONYMOUS),
    CALL_IF(mprotect, CONFINE_ALL, CALL_NO_EXEC),
};

enum bawn_status bawn_sandbox(bool *seccomp, bool *landlock, struct bawn_error *err)
{
    enum bawn_status st = confine_privileges(err);

    *seccomp = *landlock = false;
    if (st == BAWN_OK)
        st = confine_landlock(NULL, 0, 0, landlock, err);
    if (st == BAWN_OK)
        st = confine_limits(limits, sizeof(limits) / sizeof(limits[0]), err);
    if (st == BAWN_OK)
        st = confine_seccomp(calls, sizeof(calls) / sizeof(calls[0]), CONFINE_ALL, seccomp, err);
    return st;
}

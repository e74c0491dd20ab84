// SPDX-License-Identifier: Apache-2.0
/*
 * The sandbox of bawn-verify and bawn-measure. Trusts the kernel and nothing that was read.
 * Each system call that stays allowed has its reason beside it.
 */
#include "attest/common/sandbox.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <seccomp.h>

/* What the inputs may come to is bounded far below this (files.c, launch/); the rest is what the
 * parsers and OpenSSL need. */
#define MEMORY_LIMIT ((rlim_t)2 << 30)
/* A verification takes milliseconds, the largest launch minutes on a slow machine. A parser that
 * does not end must, some day. */
#define CPU_LIMIT_SECONDS 600

/* ---- Limits ---- */

static enum bawn_status set_limits(struct bawn_error *err)
{
    static const struct {
        int resource;
        rlim_t limit;
        const char *name;
    } limits[] = {
        { RLIMIT_CORE, 0, "core" },
        { RLIMIT_NOFILE, 0, "nofile" }, /* those that are open stay usable */
        { RLIMIT_DATA, MEMORY_LIMIT, "data" },
        { RLIMIT_CPU, CPU_LIMIT_SECONDS, "cpu" },
    };

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct rlimit now, want = { limits[i].limit, limits[i].limit };

        if (getrlimit((__rlimit_resource_t)limits[i].resource, &now))
            return bawn_fail(err, BAWN_E_IO, "cannot read the limit on %s: %m", limits[i].name);
        if (now.rlim_max < want.rlim_max)
            want.rlim_cur = want.rlim_max = now.rlim_max;
        if (setrlimit((__rlimit_resource_t)limits[i].resource, &want))
            return bawn_fail(err, BAWN_E_IO, "cannot set the limit on %s: %m", limits[i].name);
    }
    return BAWN_OK;
}

static enum bawn_status drop_privileges(struct bawn_error *err)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return bawn_fail(err, BAWN_E_IO, "cannot set no_new_privs: %m");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
        return bawn_fail(err, BAWN_E_IO, "cannot switch off core dumps and ptrace: %m");
    return BAWN_OK;
}

/* ---- Landlock ---- */

/* Linux, include/uapi/linux/landlock.h. Own names, so that a build needs no newer headers than
 * the kernel that it will run on. */
struct ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net; /* ABI 4 */
    uint64_t scoped;             /* ABI 6 */
};

#define RULESET_VERSION (1u << 0) /* LANDLOCK_CREATE_RULESET_VERSION */
#define FS_ACCESS(n) (((uint64_t)1 << (n)) - 1)

static const struct {
    long abi; /* from this on */
    size_t size;
    struct ruleset_attr attr;
} landlock_abis[] = {
    { 6, 24, { FS_ACCESS(16), 3, 3 } }, /* signals and abstract sockets */
    { 5, 16, { FS_ACCESS(16), 3, 0 } }, /* device ioctls */
    { 4, 16, { FS_ACCESS(15), 3, 0 } }, /* TCP bind and connect */
    { 3, 8, { FS_ACCESS(15), 0, 0 } },  /* truncate */
    { 2, 8, { FS_ACCESS(14), 0, 0 } },  /* rename across directories */
    { 1, 8, { FS_ACCESS(13), 0, 0 } },
};

/* Handles every right that this kernel knows and grants none. */
static enum bawn_status enter_landlock(bool *landlock, struct bawn_error *err)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, RULESET_VERSION), fd = -1;
    size_t i;

    *landlock = false;
    if (abi < 1) /* ENOSYS, EOPNOTSUPP: not built or not started */
        return BAWN_OK;
    for (i = 0; i + 1 < sizeof(landlock_abis) / sizeof(landlock_abis[0]); i++) {
        if (abi >= landlock_abis[i].abi)
            break;
    }
    fd = syscall(SYS_landlock_create_ruleset, &landlock_abis[i].attr, landlock_abis[i].size, 0);
    if (fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot make a Landlock ruleset (ABI %ld): %m", abi);
    if (syscall(SYS_landlock_restrict_self, fd, 0)) {
        bawn_fail(err, BAWN_E_IO, "cannot enter Landlock: %m");
        close((int)fd);
        return BAWN_E_IO;
    }
    close((int)fd);
    *landlock = true;
    return BAWN_OK;
}

/* ---- seccomp ---- */

static const int allowed_calls[] = {
    SCMP_SYS(exit_group),      /* the end */
    SCMP_SYS(exit),            /* the same, from _exit of other C libraries */
    SCMP_SYS(brk),             /* malloc */
    SCMP_SYS(munmap),          /* free */
    SCMP_SYS(mremap),          /* realloc */
    SCMP_SYS(madvise),         /* malloc gives memory back */
    SCMP_SYS(futex),           /* OpenSSL's locks and run-once */
    SCMP_SYS(getrandom),       /* OpenSSL blinds its arithmetic */
    SCMP_SYS(getpid),          /* OpenSSL's generator looks for a fork */
    SCMP_SYS(clock_gettime),   /* where the vDSO does not serve it */
    SCMP_SYS(gettimeofday),    /* the same */
    SCMP_SYS(fstat),           /* stdio asks what stdout is */
    SCMP_SYS(lseek),           /* stdio puts stdin back at exit */
    SCMP_SYS(rt_sigreturn),    /* returns from a handler that was there before */
    SCMP_SYS(restart_syscall), /* goes on after SIGSTOP and SIGCONT */
};

/* One argument of a call: its value under the mask. */
static struct scmp_arg_cmp arg(unsigned n, uint64_t mask, uint64_t value)
{
    return (struct scmp_arg_cmp){
        .arg = n, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value
    };
}

static int add_rules(scmp_filter_ctx ctx)
{
    const struct scmp_arg_cmp no_exec = arg(2, PROT_EXEC, 0);
    const struct scmp_arg_cmp anonymous = arg(3, MAP_ANONYMOUS, MAP_ANONYMOUS);
    const struct scmp_arg_cmp by_fd = arg(3, UINT32_MAX, AT_EMPTY_PATH);
    int r = 0;

    for (size_t i = 0; !r && i < sizeof(allowed_calls) / sizeof(allowed_calls[0]); i++)
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed_calls[i], 0);
    /* Answers go to stdout and stderr only. */
    for (uint64_t fd = STDOUT_FILENO; !r && fd <= STDERR_FILENO; fd++) {
        const struct scmp_arg_cmp this_fd = arg(0, UINT32_MAX, fd);

        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(write), 1, this_fd);
        if (!r)
            r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(writev), 1, this_fd);
        /* fstat as newer C libraries spell it: fstatat(fd, "", AT_EMPTY_PATH). */
        if (!r)
            r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 2, this_fd, by_fd);
    }
    /* Memory, but no files in it and never new code. */
    if (!r)
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2, no_exec, anonymous);
    if (!r)
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, no_exec);
    return r;
}

static enum bawn_status enter_seccomp(bool *seccomp, struct bawn_error *err)
{
    uint32_t action = SECCOMP_RET_KILL_PROCESS;
    scmp_filter_ctx ctx;
    int r;

    /* ENOSYS, EINVAL, EOPNOTSUPP: filters are not built in, or a sandbox around does not
     * serve them. */
    *seccomp = !syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action);
    if (!*seccomp)
        return BAWN_OK;
    ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!ctx)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the seccomp filter");
    r = add_rules(ctx);
    if (!r)
        r = seccomp_load(ctx);
    if (!r) {
        seccomp_release(ctx);
        return BAWN_OK;
    }
    seccomp_release(ctx);
    *seccomp = false;
    return bawn_fail(err, BAWN_E_IO, "cannot enter the seccomp filter: %s", strerror(-r));
}

enum bawn_status bawn_sandbox(bool *seccomp, bool *landlock, struct bawn_error *err)
{
    enum bawn_status st = drop_privileges(err);

    *seccomp = *landlock = false;
    if (st == BAWN_OK)
        st = enter_landlock(landlock, err);
    if (st == BAWN_OK)
        st = set_limits(err);
    if (st == BAWN_OK)
        st = enter_seccomp(seccomp, err);
    return st;
}

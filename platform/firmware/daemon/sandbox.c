// SPDX-License-Identifier: Apache-2.0
/*
 * The sandbox of bawn-platformd. What stays: the descriptors that are open, and files in the
 * state directory. Each system call that stays allowed has its reason beside it.
 */
#include "platform/firmware/daemon/daemon.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <seccomp.h>

/* The model's memory is bounded by its contexts and one message far below this. */
#define MEMORY_LIMIT ((rlim_t)512 << 20)

static enum bawn_status drop_privileges(struct bawn_error *err)
{
    static const struct {
        __rlimit_resource_t resource;
        rlim_t limit;
        const char *name;
    } limits[] = {
        { RLIMIT_CORE, 0, "core" }, /* there are keys in memory */
        { RLIMIT_DATA, MEMORY_LIMIT, "data" },
    };

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
        return bawn_fail(err, BAWN_E_IO, "cannot give up privileges: %m");
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct rlimit now, want = { limits[i].limit, limits[i].limit };

        if (getrlimit(limits[i].resource, &now))
            return bawn_fail(err, BAWN_E_IO, "cannot read the limit on %s: %m", limits[i].name);
        if (now.rlim_max < want.rlim_max)
            want.rlim_cur = want.rlim_max = now.rlim_max;
        if (setrlimit(limits[i].resource, &want))
            return bawn_fail(err, BAWN_E_IO, "cannot set the limit on %s: %m", limits[i].name);
    }
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

struct path_beneath_attr {
    uint64_t allowed_access;
    int32_t parent_fd;
} __attribute__((packed));

#define RULESET_VERSION (1u << 0) /* LANDLOCK_CREATE_RULESET_VERSION */
#define RULE_PATH_BENEATH 1       /* LANDLOCK_RULE_PATH_BENEATH */
#define FS_ACCESS(n) (((uint64_t)1 << (n)) - 1)
/* WRITE_FILE, READ_FILE, READ_DIR, REMOVE_FILE, MAKE_REG, and TRUNCATE where it is known. */
#define FS_STATE (1ull << 1 | 1ull << 2 | 1ull << 3 | 1ull << 5 | 1ull << 8 | 1ull << 14)

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

/* Handles every right that this kernel knows, and grants files in the state directory. */
static enum bawn_status enter_landlock(const struct store *store, bool *landlock,
                                       struct bawn_error *err)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, RULESET_VERSION), fd = -1;
    struct path_beneath_attr rule = { .parent_fd = store->dir };
    size_t i;

    if (abi < 1) /* ENOSYS, EOPNOTSUPP: not built or not started */
        return BAWN_OK;
    for (i = 0; i + 1 < sizeof(landlock_abis) / sizeof(landlock_abis[0]); i++) {
        if (abi >= landlock_abis[i].abi)
            break;
    }
    rule.allowed_access = FS_STATE & landlock_abis[i].attr.handled_access_fs;
    fd = syscall(SYS_landlock_create_ruleset, &landlock_abis[i].attr, landlock_abis[i].size, 0);
    if (fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot make a Landlock ruleset (ABI %ld): %m", abi);
    if (syscall(SYS_landlock_add_rule, fd, RULE_PATH_BENEATH, &rule, 0) ||
        syscall(SYS_landlock_restrict_self, fd, 0)) {
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
    SCMP_SYS(read),            /* requests, records, the signal */
    SCMP_SYS(write),           /* replies, records, complaints */
    SCMP_SYS(writev),          /* complaints, where stdio writes so */
    SCMP_SYS(poll),            /* waits for either */
    SCMP_SYS(ppoll),           /* the same in other C libraries */
    SCMP_SYS(openat),          /* records and certificates; Landlock says where */
    SCMP_SYS(close),           /* the same */
    SCMP_SYS(dup2),            /* the log in place of the terminal */
    SCMP_SYS(dup3),            /* the same in other C libraries */
    SCMP_SYS(fsync),           /* the same */
    SCMP_SYS(renameat),        /* a new record in place of the old */
    SCMP_SYS(renameat2),       /* the same in other C libraries */
    SCMP_SYS(unlinkat),        /* a record of a guest that is gone */
    SCMP_SYS(fstat),           /* stdio asks what stderr is */
    SCMP_SYS(newfstatat),      /* the same in newer C libraries */
    SCMP_SYS(exit_group),      /* the end */
    SCMP_SYS(exit),            /* the same, from _exit of other C libraries */
    SCMP_SYS(brk),             /* malloc */
    SCMP_SYS(munmap),          /* free */
    SCMP_SYS(mremap),          /* realloc */
    SCMP_SYS(madvise),         /* malloc gives memory back */
    SCMP_SYS(futex),           /* OpenSSL's locks and run-once */
    SCMP_SYS(getrandom),       /* keys, identifiers, blinding */
    SCMP_SYS(getpid),          /* OpenSSL's generator looks for a fork */
    SCMP_SYS(clock_gettime),   /* where the vDSO does not serve it */
    SCMP_SYS(gettimeofday),    /* the same */
    SCMP_SYS(time),            /* the same */
    SCMP_SYS(rt_sigreturn),    /* returns from a handler that was there before */
    SCMP_SYS(restart_syscall), /* goes on after SIGSTOP and SIGCONT */
};

static int add_rules(scmp_filter_ctx ctx)
{
    const struct scmp_arg_cmp no_exec = {
        .arg = 2, .op = SCMP_CMP_MASKED_EQ, .datum_a = PROT_EXEC, .datum_b = 0
    };
    const struct scmp_arg_cmp anonymous = {
        .arg = 3, .op = SCMP_CMP_MASKED_EQ, .datum_a = MAP_ANONYMOUS, .datum_b = MAP_ANONYMOUS
    };
    int r = 0;

    for (size_t i = 0; !r && i < sizeof(allowed_calls) / sizeof(allowed_calls[0]); i++)
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed_calls[i], 0);
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
    if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action))
        return BAWN_OK;
    ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!ctx)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the seccomp filter");
    r = add_rules(ctx);
    if (!r)
        r = seccomp_load(ctx);
    seccomp_release(ctx);
    *seccomp = !r;
    return r ? bawn_fail(err, BAWN_E_IO, "cannot enter the seccomp filter: %s", strerror(-r))
             : BAWN_OK;
}

enum bawn_status sandbox_enter(const struct store *store, bool *seccomp, bool *landlock,
                               struct bawn_error *err)
{
    enum bawn_status st = drop_privileges(err);

    *seccomp = *landlock = false;
    if (st == BAWN_OK)
        st = enter_landlock(store, landlock, err);
    if (st == BAWN_OK)
        st = enter_seccomp(seccomp, err);
    return st;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The sandbox of bawn-platformd. What stays: the descriptors that are open, and files in the
 * state directory. Each system call that stays allowed has its reason beside it.
 */
#include "platform/firmware/daemon/daemon.h"

#include "common/confine.h"

/* The model's memory is bounded by its contexts and one message far below this. */
#define MEMORY_LIMIT ((rlim_t)512 << 20)

static const struct confine_limit limits[] = {
    { RLIMIT_CORE, 0, "core" }, /* there are keys in memory */
    { RLIMIT_DATA, MEMORY_LIMIT, "data" },
};

static const struct confine_call calls[] = {
    CALL(read, CONFINE_ALL),            /* requests, records, the signal */
    CALL(write, CONFINE_ALL),           /* replies, records, complaints */
    CALL(writev, CONFINE_ALL),          /* complaints, where stdio writes so */
    CALL(poll, CONFINE_ALL),            /* waits for either */
    CALL(ppoll, CONFINE_ALL),           /* the same in other C libraries */
    CALL(openat, CONFINE_ALL),          /* records and certificates; Landlock says where */
    CALL(close, CONFINE_ALL),           /* the same */
    CALL(dup2, CONFINE_ALL),            /* the log in place of the terminal */
    CALL(dup3, CONFINE_ALL),            /* the same in other C libraries */
    CALL(fsync, CONFINE_ALL),           /* the same */
    CALL(renameat, CONFINE_ALL),        /* a new record in place of the old */
    CALL(renameat2, CONFINE_ALL),       /* the same in other C libraries */
    CALL(unlinkat, CONFINE_ALL),        /* a record of a guest that is gone */
    CALL(fstat, CONFINE_ALL),           /* stdio asks what stderr is */
    CALL(newfstatat, CONFINE_ALL),      /* the same in newer C libraries */
    CALL(exit_group, CONFINE_ALL),      /* the end */
    CALL(exit, CONFINE_ALL),            /* the same, from _exit of other C libraries */
    CALL(brk, CONFINE_ALL),             /* malloc */
    CALL(munmap, CONFINE_ALL),          /* free */
    CALL(mremap, CONFINE_ALL),          /* realloc */
    CALL(madvise, CONFINE_ALL),         /* malloc gives memory back */
    CALL(futex, CONFINE_ALL),           /* OpenSSL's locks and run-once */
    CALL(getrandom, CONFINE_ALL),       /* keys, identifiers, blinding */
    CALL(getpid, CONFINE_ALL),          /* OpenSSL's generator looks for a fork */
    CALL(clock_gettime, CONFINE_ALL),   /* where the vDSO does not serve it */
    CALL(gettimeofday, CONFINE_ALL),    /* the same */
    CALL(time, CONFINE_ALL),            /* the same */
    CALL(rt_sigreturn, CONFINE_ALL),    /* returns from a handler that was there before */
    CALL(restart_syscall, CONFINE_ALL), /* goes on after SIGSTOP and SIGCONT */
    /* Memory, but no files in it and never new code. */
    CALL_IF(mmap, CONFINE_ALL, CALL_NO_EXEC, CALL_ANONYMOUS),
    CALL_IF(mprotect, CONFINE_ALL, CALL_NO_EXEC),
};

enum bawn_status sandbox_enter(const struct store *store, bool *seccomp, bool *landlock,
                               struct bawn_error *err)
{
    const struct confine_path state = { .dir = store->dir, .rights = CONFINE_CHANGE };
    enum bawn_status st = confine_privileges(err);

    *seccomp = *landlock = false;
    if (st == BAWN_OK)
        st = confine_limits(limits, sizeof(limits) / sizeof(limits[0]), err);
    if (st == BAWN_OK)
        st = confine_landlock(&state, 1, 0, landlock, err);
    if (st == BAWN_OK)
        st = confine_seccomp(calls, sizeof(calls) / sizeof(calls[0]), CONFINE_ALL, seccomp, err);
    return st;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What each process may still do: its own user, no new privileges, no core dumps, Landlock, and a
 * seccomp allowlist. A table per role; each system call has its reason beside it. Processes open
 * what they need before they come here.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "attest/service/service.h"
#include "common/confine.h"

#define BIT(role) (1u << (role))
#define ALL (BIT(ROLE_VAULT) | BIT(ROLE_JUDGE) | FRONTS | FETCH)
#define FRONTS (BIT(ROLE_FRONT) | BIT(ROLE_ADMIN))
#define VAULT BIT(ROLE_VAULT)
#define FETCH BIT(ROLE_FETCH)
/* The fetching process, and PostgreSQL's client: it may have to connect again, and look up the
 * server's name for it. */
#define NETWORK (FETCH | BY_NETWORK)
#define BY_NETWORK BIT(ROLES) /* the vault has it, too, when its database is behind one */

/* ---- User ---- */

enum bawn_status service_drop_user(const struct service_config *config, enum service_role role,
                                   struct bawn_error *err)
{
    const char *name = config->user[role];
    const struct passwd *pw;

    if (geteuid() != 0 || !name)
        return BAWN_OK;
    errno = 0;
    pw = getpwnam(name);
    if (!pw)
        return bawn_fail(err, BAWN_E_CONFIG, "user %s: %s", name,
                         errno ? strerror(errno) : "there is no such user");
    if (pw->pw_uid == 0)
        return bawn_fail(err, BAWN_E_CONFIG, "user %s: must not be root", name);
    if (initgroups(name, pw->pw_gid) || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) ||
        setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid))
        return bawn_fail(err, BAWN_E_IO, "cannot become user %s: %m", name);
    return BAWN_OK;
}

/* ---- Landlock ---- */

#define PATHS_MAX 3

/* The database's directory, for its journals are beside it; what SQLite and the C library read.
 * dir has room for the directory's name. */
static size_t vault_paths(const struct service_config *config, struct confine_path paths[PATHS_MAX],
                          char *dir, size_t size)
{
    size_t n = 0;
    char *slash;

    snprintf(dir, size, "%s", config->database);
    slash = strrchr(dir, '/');
    if (!strncmp(dir, "sqlite:/", 8) && slash) {
        slash[slash == dir + 7] = '\0'; /* a database in the root directory keeps its slash */
        paths[n++] = (struct confine_path){ dir + 7, -1, CONFINE_CHANGE };
    }
    if (config->collateral.directory)
        paths[n++] = (struct confine_path){ config->collateral.directory, -1, CONFINE_READ };
    paths[n++] = (struct confine_path){ "/dev/urandom", -1, CONFINE_READ_FILE }; /* SQLite's seed */
    return n;
}

static bool by_network(const struct service_config *config, enum service_role role)
{
    return role == ROLE_VAULT && strncmp(config->database, "sqlite:", 7) != 0;
}

static enum bawn_status enter_landlock(const struct service_config *config, enum service_role role,
                                       bool *landlock, struct bawn_error *err)
{
    /* hosts, resolv.conf, nsswitch.conf, and what these link to */
    static const struct confine_path names[] = {
        { "/etc", -1, CONFINE_READ },
        { "/run/systemd/resolve", -1, CONFINE_READ },
    };
    struct confine_path paths[PATHS_MAX];
    char dir[4096];

    /* PostgreSQL's client reads certificates, passwords and names, and connects. */
    if (by_network(config, role))
        return BAWN_OK;
    if (role == ROLE_FETCH)
        return confine_landlock(names, sizeof(names) / sizeof(names[0]), CONFINE_NET_CONNECT,
                                landlock, err);
    return confine_landlock(paths,
                            role == ROLE_VAULT ? vault_paths(config, paths, dir, sizeof(dir)) : 0,
                            0, landlock, err);
}

/* ---- seccomp ---- */

static const struct confine_call calls[] = {
    CALL(exit_group, ALL),      /* the end */
    CALL(exit, ALL),            /* of a thread */
    CALL(brk, ALL),             /* malloc */
    CALL(munmap, ALL),          /* free */
    CALL(mremap, ALL),          /* realloc */
    CALL(madvise, ALL),         /* malloc gives memory back */
    CALL(sysinfo, ALL),         /* qsort() of more than 1 KiB, in glibc before 2.37 */
    CALL(futex, ALL),           /* locks and run-once of OpenSSL */
    CALL(getrandom, ALL),       /* keys, nonces, blinding */
    CALL(getpid, ALL),          /* OpenSSL's generator looks for a fork; the journal */
    CALL(gettid, ALL),          /* raise() before abort() */
    CALL(clock_gettime, ALL),   /* where the vDSO does not serve it */
    CALL(gettimeofday, ALL),    /* the same */
    CALL(time, ALL),            /* the same */
    CALL(read, ALL),            /* what is open */
    CALL(write, ALL),           /* the same, and the journal */
    CALL(recvmsg, ALL),         /* messages */
    CALL(sendmsg, ALL),         /* the same */
    CALL(poll, ALL),            /* waits */
    CALL(ppoll, ALL),           /* the same, of other C libraries */
    CALL(close, ALL),           /* connections and peers that end */
    CALL(rt_sigreturn, ALL),    /* returns from a handler that was there before */
    CALL(restart_syscall, ALL), /* goes on after SIGSTOP and SIGCONT */
    CALL(rt_sigprocmask, ALL),  /* abort() */
    CALL(accept4, FRONTS),      /* clients */
    CALL(epoll_wait, FRONTS),   /* libevent's loop */
    CALL(epoll_pwait, FRONTS),  /* the same */
    CALL(epoll_ctl, FRONTS),    /* the same */
    CALL(readv, FRONTS),        /* the status page's connections */
    CALL(writev, FRONTS),       /* the same */
    CALL(sendto, FRONTS),       /* TLS */
    CALL(recvfrom, FRONTS),     /* the same, and the look for a first byte */
    CALL(shutdown, FRONTS),     /* an answer's end */
    CALL(getsockopt, FRONTS),   /* libevent asks for errors */
    CALL(getsockname, FRONTS),  /* OpenSSL's socket BIO */
    CALL(getpeername, FRONTS),  /* the same */
    CALL(fcntl, FRONTS),        /* non-blocking */
    /* The vault: a database in files. It opens no sockets. Fetching reads how names are found. */
    CALL(openat, VAULT | FETCH),
    CALL(pread64, VAULT),
    CALL(pwrite64, VAULT),
    CALL(lseek, VAULT | FETCH),
    CALL(fsync, VAULT),
    CALL(fdatasync, VAULT),
    CALL(ftruncate, VAULT),
    CALL(fallocate, VAULT),
    CALL(fstat, VAULT | FETCH),
    CALL(stat, VAULT | FETCH),
    CALL(lstat, VAULT | FETCH),
    CALL(newfstatat, VAULT | FETCH),
    CALL(statx, VAULT),
    CALL(access, VAULT | FETCH),
    CALL(faccessat, VAULT),
    CALL(faccessat2, VAULT),
    CALL(unlink, VAULT),
    CALL(unlinkat, VAULT),
    CALL(fcntl, VAULT | FETCH),
    CALL(fchmod, VAULT),
    CALL(fchown, VAULT),
    CALL(geteuid, VAULT | FETCH),
    CALL(getuid, VAULT | FETCH),
    CALL(getcwd, VAULT),
    CALL(readlink, VAULT | FETCH),
    CALL(getdents64, VAULT | FETCH),
    CALL(sched_yield, VAULT),
    CALL(nanosleep, VAULT),
    CALL(clock_nanosleep, VAULT),
    CALL(uname, VAULT | FETCH),
    CALL(epoll_wait, VAULT),
    CALL(epoll_pwait, VAULT),
    CALL(epoll_ctl, VAULT),
    CALL(shutdown, VAULT),
    /* Never new code; files in memory only for the vault: SQLite's index of its WAL. */
    CALL_IF(mmap, VAULT, CALL_NO_EXEC),
    CALL_IF(mmap, ALL & ~VAULT, CALL_NO_EXEC, CALL_ANONYMOUS),
    CALL_IF(mprotect, ALL, CALL_NO_EXEC),
    /* libevent: how much is there to be read */
    CALL_IF(ioctl, FRONTS, CALL_ARG(1, UINT32_MAX, FIONREAD)),
    /* Options of a socket (TCP's delay) fail, and nobody minds. */
    CALL_FAILS(setsockopt, FRONTS, EPERM),
    CALL(socket, NETWORK),
    CALL(connect, NETWORK),
    CALL(sendto, NETWORK),
    CALL(recvfrom, NETWORK),
    CALL(setsockopt, NETWORK),
    CALL(bind, NETWORK),
    CALL(getsockopt, NETWORK),
    CALL(getsockname, NETWORK),
    CALL(getpeername, NETWORK),
    CALL(sendmmsg, NETWORK),
    CALL(writev, NETWORK),
    CALL(readv, NETWORK),
    CALL(ioctl, NETWORK),
};

enum bawn_status service_confine(const struct service_config *config, enum service_role role,
                                 struct bawn_error *err)
{
    static const struct confine_limit no_core = { RLIMIT_CORE, 0, "core" };
    unsigned roles = BIT(role) | (by_network(config, role) ? BY_NETWORK : 0);
    bool landlock = false, seccomp = false;
    int uid = (int)getuid();
    enum bawn_status st = confine_privileges(err);

    if (st == BAWN_OK)
        st = confine_limits(&no_core, 1, err);
    if (st == BAWN_OK)
        st = enter_landlock(config, role, &landlock, err);
    if (st == BAWN_OK)
        st = confine_seccomp(calls, sizeof(calls) / sizeof(calls[0]), roles, &seccomp, err);
    if (st == BAWN_OK)
        journal("info", "confined", "{s:b,s:b,s:i}", "landlock", landlock, "seccomp", seccomp,
                "uid", uid);
    return st;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What each process may still do: its own user, no new privileges, no core dumps, Landlock, and a
 * seccomp allowlist. A table per role; each system call has its reason beside it. Processes open
 * what they need before they come here.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/seccomp.h>
#include <pwd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <seccomp.h>

#include "attest/service/service.h"

#define BIT(role) (1u << (role))
#define ALL (BIT(ROLE_VAULT) | BIT(ROLE_JUDGE) | FRONTS | FETCH)
#define FRONTS (BIT(ROLE_FRONT) | BIT(ROLE_ADMIN))
#define VAULT BIT(ROLE_VAULT)
#define FETCH BIT(ROLE_FETCH)

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
#define FS_READ (1u << 2 | 1u << 3) /* READ_FILE, READ_DIR */
#define NET_BIND 1u                 /* LANDLOCK_ACCESS_NET_BIND_TCP */
/* WRITE_FILE, REMOVE_FILE, MAKE_REG, and TRUNCATE: a database and its journals. */
#define FS_DATABASE (FS_READ | 1u << 1 | 1u << 5 | 1u << 8 | 1u << 14)

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

static enum bawn_status landlock_allow(int ruleset, const char *path, uint64_t access,
                                       struct bawn_error *err)
{
    struct path_beneath_attr rule = { access, open(path, O_PATH | O_CLOEXEC) };
    long r;

    if (rule.parent_fd < 0)
        return errno == ENOENT ? BAWN_OK : bawn_fail(err, BAWN_E_IO, "cannot open %s: %m", path);
    r = syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0);
    if (r)
        bawn_fail(err, BAWN_E_IO, "cannot allow %s to the sandbox: %m", path);
    close(rule.parent_fd);
    return r ? BAWN_E_IO : BAWN_OK;
}

/* The database's directory, for its journals are beside it; what SQLite and the C library read. */
static enum bawn_status landlock_vault(int ruleset, const struct service_config *config,
                                       uint64_t handled, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;
    char dir[4096];
    char *slash;

    snprintf(dir, sizeof(dir), "%s", config->database);
    slash = strrchr(dir, '/');
    if (!strncmp(dir, "sqlite:/", 8) && slash) {
        slash[slash == dir + 7] = '\0'; /* a database in the root directory keeps its slash */
        st = landlock_allow(ruleset, dir + 7, FS_DATABASE & handled, err);
    }
    if (st == BAWN_OK && config->collateral.directory)
        st = landlock_allow(ruleset, config->collateral.directory, FS_READ, err);
    if (st == BAWN_OK)
        st = landlock_allow(ruleset, "/dev/urandom", 1u << 2, err); /* SQLite's seed */
    return st;
}

static enum bawn_status enter_landlock(const struct service_config *config, enum service_role role,
                                       bool *landlock, struct bawn_error *err)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, RULESET_VERSION), fd;
    bool by_network = role == ROLE_VAULT && strncmp(config->database, "sqlite:", 7) != 0;
    struct ruleset_attr attr;
    enum bawn_status st = BAWN_OK;
    size_t i;

    *landlock = false;
    /* PostgreSQL's client reads certificates, passwords and names, and connects. */
    if (abi < 1 || by_network)
        return BAWN_OK;
    for (i = 0; i + 1 < sizeof(landlock_abis) / sizeof(landlock_abis[0]); i++)
        if (abi >= landlock_abis[i].abi)
            break;
    attr = landlock_abis[i].attr;
    if (role == ROLE_FETCH)
        attr.handled_access_net &= NET_BIND;
    fd = syscall(SYS_landlock_create_ruleset, &attr, landlock_abis[i].size, 0);
    if (fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot make a Landlock ruleset (ABI %ld): %m", abi);
    if (role == ROLE_VAULT)
        st = landlock_vault((int)fd, config, attr.handled_access_fs, err);
    if (role == ROLE_FETCH) /* hosts, resolv.conf, nsswitch.conf, and what these link to */
        st = landlock_allow((int)fd, "/etc", FS_READ, err);
    if (role == ROLE_FETCH && st == BAWN_OK)
        st = landlock_allow((int)fd, "/run/systemd/resolve", FS_READ, err);
    if (st == BAWN_OK && syscall(SYS_landlock_restrict_self, fd, 0))
        st = bawn_fail(err, BAWN_E_IO, "cannot enter Landlock: %m");
    close((int)fd);
    *landlock = st == BAWN_OK;
    return st;
}

/* ---- seccomp ---- */

static const struct {
    int call;
    unsigned roles;
} allowed_calls[] = {
    { SCMP_SYS(exit_group), ALL },      /* the end */
    { SCMP_SYS(exit), ALL },            /* of a thread */
    { SCMP_SYS(brk), ALL },             /* malloc */
    { SCMP_SYS(munmap), ALL },          /* free */
    { SCMP_SYS(mremap), ALL },          /* realloc */
    { SCMP_SYS(madvise), ALL },         /* malloc gives memory back */
    { SCMP_SYS(sysinfo), ALL },         /* qsort() of more than 1 KiB, in glibc before 2.37 */
    { SCMP_SYS(futex), ALL },           /* locks and run-once of OpenSSL */
    { SCMP_SYS(getrandom), ALL },       /* keys, nonces, blinding */
    { SCMP_SYS(getpid), ALL },          /* OpenSSL's generator looks for a fork; the journal */
    { SCMP_SYS(gettid), ALL },          /* raise() before abort() */
    { SCMP_SYS(clock_gettime), ALL },   /* where the vDSO does not serve it */
    { SCMP_SYS(gettimeofday), ALL },    /* the same */
    { SCMP_SYS(time), ALL },            /* the same */
    { SCMP_SYS(read), ALL },            /* what is open */
    { SCMP_SYS(write), ALL },           /* the same, and the journal */
    { SCMP_SYS(recvmsg), ALL },         /* messages */
    { SCMP_SYS(sendmsg), ALL },         /* the same */
    { SCMP_SYS(poll), ALL },            /* waits */
    { SCMP_SYS(ppoll), ALL },           /* the same, of other C libraries */
    { SCMP_SYS(close), ALL },           /* connections and peers that end */
    { SCMP_SYS(rt_sigreturn), ALL },    /* returns from a handler that was there before */
    { SCMP_SYS(restart_syscall), ALL }, /* goes on after SIGSTOP and SIGCONT */
    { SCMP_SYS(rt_sigprocmask), ALL },  /* abort() */
    { SCMP_SYS(accept4), FRONTS },      /* clients */
    { SCMP_SYS(epoll_wait), FRONTS },   /* libevent's loop */
    { SCMP_SYS(epoll_pwait), FRONTS },  /* the same */
    { SCMP_SYS(epoll_ctl), FRONTS },    /* the same */
    { SCMP_SYS(readv), FRONTS },        /* the status page's connections */
    { SCMP_SYS(writev), FRONTS },       /* the same */
    { SCMP_SYS(sendto), FRONTS },       /* TLS */
    { SCMP_SYS(recvfrom), FRONTS },     /* the same, and the look for a first byte */
    { SCMP_SYS(shutdown), FRONTS },     /* an answer's end */
    { SCMP_SYS(getsockopt), FRONTS },   /* libevent asks for errors */
    { SCMP_SYS(getsockname), FRONTS },  /* OpenSSL's socket BIO */
    { SCMP_SYS(getpeername), FRONTS },  /* the same */
    { SCMP_SYS(fcntl), FRONTS },        /* non-blocking */
    /* The vault: a database in files. It opens no sockets. Fetching reads how names are found. */
    { SCMP_SYS(openat), VAULT | FETCH },
    { SCMP_SYS(pread64), VAULT },
    { SCMP_SYS(pwrite64), VAULT },
    { SCMP_SYS(lseek), VAULT | FETCH },
    { SCMP_SYS(fsync), VAULT },
    { SCMP_SYS(fdatasync), VAULT },
    { SCMP_SYS(ftruncate), VAULT },
    { SCMP_SYS(fallocate), VAULT },
    { SCMP_SYS(fstat), VAULT | FETCH },
    { SCMP_SYS(stat), VAULT | FETCH },
    { SCMP_SYS(lstat), VAULT | FETCH },
    { SCMP_SYS(newfstatat), VAULT | FETCH },
    { SCMP_SYS(statx), VAULT },
    { SCMP_SYS(access), VAULT | FETCH },
    { SCMP_SYS(faccessat), VAULT },
    { SCMP_SYS(faccessat2), VAULT },
    { SCMP_SYS(unlink), VAULT },
    { SCMP_SYS(unlinkat), VAULT },
    { SCMP_SYS(fcntl), VAULT | FETCH },
    { SCMP_SYS(fchmod), VAULT },
    { SCMP_SYS(fchown), VAULT },
    { SCMP_SYS(geteuid), VAULT | FETCH },
    { SCMP_SYS(getuid), VAULT | FETCH },
    { SCMP_SYS(getcwd), VAULT },
    { SCMP_SYS(readlink), VAULT | FETCH },
    { SCMP_SYS(getdents64), VAULT | FETCH },
    { SCMP_SYS(sched_yield), VAULT },
    { SCMP_SYS(nanosleep), VAULT },
    { SCMP_SYS(clock_nanosleep), VAULT },
    { SCMP_SYS(uname), VAULT | FETCH },
    { SCMP_SYS(epoll_wait), VAULT },
    { SCMP_SYS(epoll_pwait), VAULT },
    { SCMP_SYS(epoll_ctl), VAULT },
    { SCMP_SYS(shutdown), VAULT },
};

/* The fetching process, and PostgreSQL's client: it may have to connect again, and look up the
 * server's name for it. */
static const int network_calls[] = {
    SCMP_SYS(socket),      SCMP_SYS(connect),  SCMP_SYS(sendto),     SCMP_SYS(recvfrom),
    SCMP_SYS(setsockopt),  SCMP_SYS(bind),     SCMP_SYS(getsockopt), SCMP_SYS(getsockname),
    SCMP_SYS(getpeername), SCMP_SYS(sendmmsg), SCMP_SYS(writev),     SCMP_SYS(readv),
    SCMP_SYS(ioctl),
};

static struct scmp_arg_cmp arg(unsigned n, uint64_t mask, uint64_t value)
{
    return (struct scmp_arg_cmp){
        .arg = n, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value
    };
}

static int add_rules(scmp_filter_ctx ctx, const struct service_config *config,
                     enum service_role role)
{
    const struct scmp_arg_cmp no_exec = arg(2, PROT_EXEC, 0);
    const struct scmp_arg_cmp anonymous = arg(3, MAP_ANONYMOUS, MAP_ANONYMOUS);
    const struct scmp_arg_cmp fionread = arg(1, UINT32_MAX, FIONREAD);
    bool front = role == ROLE_FRONT || role == ROLE_ADMIN;
    int r = 0;

    for (size_t i = 0; !r && i < sizeof(allowed_calls) / sizeof(allowed_calls[0]); i++)
        if (allowed_calls[i].roles & BIT(role))
            r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed_calls[i].call, 0);
    /* Never new code; files in memory only for the vault: SQLite's index of its WAL. */
    if (!r && role == ROLE_VAULT)
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, no_exec);
    else if (!r)
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2, no_exec, anonymous);
    if (!r)
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, no_exec);
    if (!r && front) /* libevent: how much is there to be read */
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, fionread);
    /* Options of a socket (TCP's delay) fail, and nobody minds. */
    if (!r && front)
        r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(setsockopt), 0);
    if (role != ROLE_FETCH && (role != ROLE_VAULT || !strncmp(config->database, "sqlite:", 7)))
        return r;
    for (size_t i = 0; !r && i < sizeof(network_calls) / sizeof(network_calls[0]); i++)
        r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, network_calls[i], 0);
    return r;
}

static enum bawn_status enter_seccomp(const struct service_config *config, enum service_role role,
                                      bool *seccomp, struct bawn_error *err)
{
    uint32_t action = SECCOMP_RET_KILL_PROCESS;
    scmp_filter_ctx ctx;
    int r;

    /* Not built in, or a sandbox around does not serve it. */
    *seccomp = !syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action);
    if (!*seccomp)
        return BAWN_OK;
    ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!ctx)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the seccomp filter");
    r = add_rules(ctx, config, role);
    if (!r)
        r = seccomp_load(ctx);
    seccomp_release(ctx);
    *seccomp = !r;
    return r ? bawn_fail(err, BAWN_E_IO, "cannot enter the seccomp filter: %s", strerror(-r))
             : BAWN_OK;
}

enum bawn_status service_confine(const struct service_config *config, enum service_role role,
                                 struct bawn_error *err)
{
    const struct rlimit none = { 0, 0 };
    bool landlock = false, seccomp = false;
    int uid = (int)getuid();
    enum bawn_status st;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ||
        setrlimit(RLIMIT_CORE, &none))
        return bawn_fail(err, BAWN_E_IO, "cannot give up privileges: %m");
    st = enter_landlock(config, role, &landlock, err);
    if (st == BAWN_OK)
        st = enter_seccomp(config, role, &seccomp, err);
    if (st == BAWN_OK)
        journal("info", "confined", "{s:b,s:b,s:i}", "landlock", landlock, "seccomp", seccomp,
                "uid", uid);
    return st;
}

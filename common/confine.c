// SPDX-License-Identifier: Apache-2.0
/*
 * Privileges, limits and Landlock. Trusts the kernel, whose versions it probes.
 */
#include "common/confine.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- Descriptors, privileges, limits ---- */

static int compare_ints(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

void confine_descriptors(int *keep, size_t n)
{
    unsigned next = STDERR_FILENO + 1;

    qsort(keep, n, sizeof(*keep), compare_ints);
    for (size_t i = 0; i < n; i++) {
        if (keep[i] < (int)next)
            continue;
        if (keep[i] > (int)next)
            close_range(next, (unsigned)keep[i] - 1, 0);
        next = (unsigned)keep[i] + 1;
    }
    close_range(next, ~0u, 0);
}

enum bawn_status confine_privileges(struct bawn_error *err)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return bawn_fail(err, BAWN_E_IO, "cannot set no_new_privs: %m");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
        return bawn_fail(err, BAWN_E_IO, "cannot switch off core dumps and ptrace: %m");
    return BAWN_OK;
}

enum bawn_status confine_capabilities(struct bawn_error *err)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

    if (syscall(SYS_capset, &head, none))
        return bawn_fail(err, BAWN_E_IO, "cannot drop capabilities: %m");
    return BAWN_OK;
}

enum bawn_status confine_limits(const struct confine_limit *limits, size_t n,
                                struct bawn_error *err)
{
    for (size_t i = 0; i < n; i++) {
        struct rlimit now, want = { limits[i].most, limits[i].most };

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

static enum bawn_status allow(int ruleset, const struct confine_path *p, uint64_t handled,
                              struct bawn_error *err)
{
    struct path_beneath_attr rule = { p->rights & handled, p->dir };
    long r;

    if (p->path)
        rule.parent_fd = open(p->path, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0)
        return p->path && errno == ENOENT
                   ? BAWN_OK
                   : bawn_fail(err, BAWN_E_IO, "cannot open %s: %m", p->path ? p->path : "");
    r = syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0);
    if (r)
        bawn_fail(err, BAWN_E_IO, "cannot allow %s to the sandbox: %m",
                  p->path ? p->path : "a directory");
    if (p->path)
        close(rule.parent_fd);
    return r ? BAWN_E_IO : BAWN_OK;
}

enum bawn_status confine_landlock(const struct confine_path *paths, size_t n, unsigned keep_net,
                                  bool *landlock, struct bawn_error *err)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, RULESET_VERSION), fd;
    enum bawn_status st = BAWN_OK;
    struct ruleset_attr attr;
    size_t i = 0;

    *landlock = false;
    if (abi < 1) /* ENOSYS, EOPNOTSUPP: not built or not started */
        return BAWN_OK;
    while (abi < landlock_abis[i].abi)
        i++;
    attr = landlock_abis[i].attr;
    attr.handled_access_net &= ~(uint64_t)keep_net;
    fd = syscall(SYS_landlock_create_ruleset, &attr, landlock_abis[i].size, 0);
    if (fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot make a Landlock ruleset (ABI %ld): %m", abi);
    for (i = 0; st == BAWN_OK && i < n; i++)
        st = allow((int)fd, &paths[i], attr.handled_access_fs, err);
    if (st == BAWN_OK && syscall(SYS_landlock_restrict_self, fd, 0))
        st = bawn_fail(err, BAWN_E_IO, "cannot enter Landlock: %m");
    close((int)fd);
    *landlock = st == BAWN_OK;
    return st;
}

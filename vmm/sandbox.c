// SPDX-License-Identifier: Apache-2.0
/*
 * The processes' sandboxes, as a table. The filters are made of the policies in
 * policy/seccomp when Bawn is built (mk/seccomp.mk). Trusts the kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/confine.h"
#include "sandbox.h"

#define FILTER(name)                                                                       \
    extern const uint8_t bawn_filter_##name[] __attribute__((visibility("hidden")));       \
    extern const uint8_t bawn_filter_##name##_end[] __attribute__((visibility("hidden"))); \
    __asm__(".pushsection .rodata\n"                                                       \
            ".balign 8\n"                                                                  \
            ".globl bawn_filter_" #name "\n"                                               \
            ".hidden bawn_filter_" #name "\n"                                              \
            "bawn_filter_" #name ":\n"                                                     \
            ".incbin \"" #name ".bpf\"\n"                                                  \
            ".globl bawn_filter_" #name "_end\n"                                           \
            ".hidden bawn_filter_" #name "_end\n"                                          \
            "bawn_filter_" #name "_end:\n"                                                 \
            ".byte 0\n"                                                                    \
            ".popsection\n")

FILTER(machine);
FILTER(console);
FILTER(rng);
FILTER(vsock);
FILTER(disk);
FILTER(disk_uring);
FILTER(net);
FILTER(balloon);
FILTER(snapshot);
FILTER(api);
FILTER(pager);
FILTER(tpm);
FILTER(send);
FILTER(receive);

#define FILES 256 /* descriptors, vsock's connections among them */

static const struct {
    const uint8_t *filter, *end;
} roles[] = {
    [BAWN_ROLE_MACHINE] = { bawn_filter_machine, bawn_filter_machine_end },
    [BAWN_ROLE_CONSOLE] = { bawn_filter_console, bawn_filter_console_end },
    [BAWN_ROLE_RNG] = { bawn_filter_rng, bawn_filter_rng_end },
    [BAWN_ROLE_VSOCK] = { bawn_filter_vsock, bawn_filter_vsock_end },
    [BAWN_ROLE_DISK] = { bawn_filter_disk, bawn_filter_disk_end },
    [BAWN_ROLE_DISK_URING] = { bawn_filter_disk_uring, bawn_filter_disk_uring_end },
    [BAWN_ROLE_NET] = { bawn_filter_net, bawn_filter_net_end },
    [BAWN_ROLE_BALLOON] = { bawn_filter_balloon, bawn_filter_balloon_end },
    [BAWN_ROLE_SNAPSHOT] = { bawn_filter_snapshot, bawn_filter_snapshot_end },
    [BAWN_ROLE_API] = { bawn_filter_api, bawn_filter_api_end },
    [BAWN_ROLE_PAGER] = { bawn_filter_pager, bawn_filter_pager_end },
    [BAWN_ROLE_TPM] = { bawn_filter_tpm, bawn_filter_tpm_end },
    [BAWN_ROLE_SEND] = { bawn_filter_send, bawn_filter_send_end },
    [BAWN_ROLE_RECEIVE] = { bawn_filter_receive, bawn_filter_receive_end },
};

pid_t bawn_sandbox_fork(bool *apart)
{
    unsigned long flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC |
                          CLONE_NEWUTS | CLONE_NEWCGROUP | SIGCHLD;
    pid_t pid = (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);

    *apart = pid >= 0;
    return pid >= 0 ? pid : fork();
}

void bawn_sandbox_keep(struct bawn_sandbox_files *files, int fd)
{
    if (fd < 0)
        return;
    if (fd <= STDERR_FILENO)
        files->stdio[fd] = true;
    else if (files->nr < sizeof(files->fd) / sizeof(files->fd[0]))
        files->fd[files->nr++] = fd;
}

static void close_files(struct bawn_sandbox_files *files, int null)
{
    /* Signals to the group know no namespaces. Who has the terminal must stay in its group. */
    if (!files->stdio[STDIN_FILENO] && !files->stdio[STDOUT_FILENO] && !files->stdio[STDERR_FILENO])
        setpgid(0, 0);
    for (int i = 0; i <= STDERR_FILENO; i++) {
        if (!files->stdio[i])
            dup2(null, i);
    }
    confine_descriptors(files->fd, files->nr);
}

enum bawn_status bawn_sandbox_enter(enum bawn_role role, struct bawn_sandbox_files *files,
                                    unsigned *lacks, struct bawn_error *err)
{
    static const struct confine_limit limits[] = {
        { RLIMIT_CORE, 0, "core dumps" },         { RLIMIT_NOFILE, FILES, "descriptors" },
        { RLIMIT_MSGQUEUE, 0, "message queues" }, { RLIMIT_MEMLOCK, 0, "locked memory" },
        { RLIMIT_NPROC, 0, "processes" }, /* not where the process or its ring has threads to start
                                           */
    };
    size_t nr = sizeof(limits) / sizeof(limits[0]) -
                (role == BAWN_ROLE_MACHINE || role == BAWN_ROLE_DISK_URING);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    enum bawn_status st = confine_limits(limits, nr, err);
    bool landlock = false;

    if (null < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot open /dev/null: %m");
    if (!st)
        st = confine_privileges(err);
    if (!st)
        st = confine_landlock(NULL, 0, 0, &landlock, err);
    if (!st)
        st = confine_capabilities(err);
    if (st)
        return st;
    if (!landlock)
        *lacks |= BAWN_LACKS_LANDLOCK;
    close_files(files, null);
    return BAWN_OK;
}

enum bawn_status bawn_sandbox_filter(enum bawn_role role, unsigned *lacks, struct bawn_error *err)
{
    uint32_t action = SECCOMP_RET_KILL_PROCESS;
    const struct sock_fprog prog = {
        .len = (unsigned short)((size_t)(roles[role].end - roles[role].filter) /
                                sizeof(struct sock_filter)),
        .filter = (struct sock_filter *)(void *)roles[role].filter,
    };

    /* ENOSYS, EINVAL, EOPNOTSUPP: not built in, or a sandbox around does not serve it. */
    if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action)) {
        *lacks |= BAWN_LACKS_SECCOMP;
        return BAWN_OK;
    }
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog))
        return bawn_fail(err, BAWN_E_IO, "cannot enter the seccomp filter: %m");
    return BAWN_OK;
}

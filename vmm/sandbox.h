/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How each process of `bawn run` locks itself in, before it sees anything of a guest: no
 * privileges, no files but those that are open, namespaces of its own, Landlock, limits, and the
 * system calls of policy/seccomp. What the host's kernel does not have is left out, and said.
 */
#ifndef BAWN_VMM_SANDBOX_H
#define BAWN_VMM_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "bawn/status.h"

enum bawn_role {
    BAWN_ROLE_MACHINE,
    BAWN_ROLE_CONSOLE,
    BAWN_ROLE_RNG,
    BAWN_ROLE_VSOCK,
    BAWN_ROLE_DISK,
    BAWN_ROLE_DISK_URING,
    BAWN_ROLE_NET,
    BAWN_ROLE_BALLOON,
    BAWN_ROLE_SNAPSHOT,
    BAWN_ROLE_API,
    BAWN_ROLE_PAGER,
    BAWN_ROLE_TPM,
    BAWN_ROLE_SEND,
    BAWN_ROLE_RECEIVE,
};

/* What of it this host does not give. */
enum {
    BAWN_LACKS_NAMESPACES = 1 << 0,
    BAWN_LACKS_LANDLOCK = 1 << 1,
    BAWN_LACKS_SECCOMP = 1 << 2,
};

/* As fork(), into user, mount, network, pid, ipc, uts and cgroup namespaces of its own where that
 * is permitted (*apart). The caller has one thread. */
pid_t bawn_sandbox_fork(bool *apart);

struct bawn_sandbox_files {
    int fd[192]; /* kept; all others from 3 on are closed */
    size_t nr;
    bool stdio[3]; /* kept; the others become /dev/null */
};
/* Negative ones are passed over. */
void bawn_sandbox_keep(struct bawn_sandbox_files *files, int fd);

/* All but the last step; what is opened, and threads, come between. Lacking parts are added to
 * *lacks. */
enum bawn_status bawn_sandbox_enter(enum bawn_role role, struct bawn_sandbox_files *files,
                                    unsigned *lacks, struct bawn_error *err);
/* The filter of system calls, for all threads. */
enum bawn_status bawn_sandbox_filter(enum bawn_role role, unsigned *lacks, struct bawn_error *err);

#endif

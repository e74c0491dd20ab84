// SPDX-License-Identifier: Apache-2.0
/*
 * A file for guest memory that has huge pages. A memfd has them only where the administrator
 * switched them on for all of shared memory, which hardly any host has; a tmpfs of one's own may
 * say so itself. A process in a user namespace mounts it where nobody sees it, makes a file without
 * a name and hands it over. Trusts the kernel; where it permits no namespaces there is no such
 * file.
 */
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory.h"
#include "sandbox.h"

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd >= 0) {
        (void)!write(fd, text, strlen(text));
        close(fd);
    }
}

/* Files of the tmpfs have owners: who makes them must be somebody in the namespace. */
static void map_ids(unsigned uid, unsigned gid)
{
    char text[32];

    prctl(PR_SET_DUMPABLE, 1); /* or its files in /proc are root's */
    write_file("/proc/self/setgroups", "deny");
    snprintf(text, sizeof(text), "0 %u 1", uid);
    write_file("/proc/self/uid_map", text);
    snprintf(text, sizeof(text), "0 %u 1", gid);
    write_file("/proc/self/gid_map", text);
}

static int make_mount(void)
{
    int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);

    if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "huge", "advise", 0) ||
        syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "size", "0", 0) || /* no limit */
        syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
        return -1;
    return (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
}

static union {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
} control;

/* One descriptor: from there, or to here. */
static struct msghdr message(struct iovec *byte)
{
    memset(&control, 0, sizeof(control));
    return (struct msghdr){
        .msg_iov = byte, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
    };
}

static _Noreturn void hand_over(int to, int fd)
{
    char c = 0;
    struct iovec byte = { &c, 1 };
    struct msghdr msg = message(&byte);

    control.head = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
                                     .cmsg_level = SOL_SOCKET,
                                     .cmsg_type = SCM_RIGHTS };
    memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
    _exit(fd < 0 || sendmsg(to, &msg, 0) != 1);
}

static int take_over(int from)
{
    char c;
    struct iovec byte = { &c, 1 };
    struct msghdr msg = message(&byte);
    int fd;

    if (recvmsg(from, &msg, MSG_CMSG_CLOEXEC) != 1 ||
        control.head.cmsg_len != CMSG_LEN(sizeof(int)) || control.head.cmsg_type != SCM_RIGHTS)
        return -1;
    memcpy(&fd, CMSG_DATA(&control.head), sizeof(fd));
    return fd;
}

static int get_mount(void)
{
    unsigned uid = geteuid(), gid = getegid();
    int pair[2], fd;
    bool apart;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return -1;
    pid = bawn_sandbox_fork(&apart);
    if (!pid) {
        if (apart)
            map_ids(uid, gid);
        hand_over(pair[1], make_mount());
    }
    close(pair[1]);
    fd = pid < 0 ? -1 : take_over(pair[0]);
    close(pair[0]);
    if (pid > 0)
        waitpid(pid, NULL, 0);
    return fd;
}

static int mount_fd = -1; /* kept: each boot of a machine has new files */

void bawn_mem_huge_prepare(void)
{
    if (mount_fd < 0)
        mount_fd = get_mount();
}

int bawn_mem_huge_file(uint64_t size)
{
    int fd;

    bawn_mem_huge_prepare();
    fd = mount_fd < 0 ? -1 : openat(mount_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 && ftruncate(fd, (off_t)size)) {
        close(fd);
        return -1;
    }
    return fd;
}

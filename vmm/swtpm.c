// SPDX-License-Identifier: Apache-2.0
/*
 * swtpm's control channel (swtpm_ioctls(3)): power, and where commands come from. Its answers are
 * those of a program that the person who runs the machine chose; one that does not answer is
 * refused.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "tpm.h"

#define PATIENCE \
    10 /* seconds for an answer: another machine may have it, or a command is at work */

/* swtpm's tpm_ioctl.h */
enum { CMD_INIT = 2, CMD_STOP = 14, CMD_SET_DATAFD = 16 };

/* Sends one command of nr words, with a descriptor or -1; its answer must be success. */
static enum bawn_status control(const struct bawn_swtpm *s, const uint32_t *words, unsigned nr,
                                int fd, struct bawn_error *err)
{
    uint32_t text[2], result = 0;
    struct iovec v = { text, nr * sizeof(text[0]) };
    char room[CMSG_SPACE(sizeof(fd))] = { 0 };
    struct msghdr msg = { .msg_iov = &v, .msg_iovlen = 1 };

    for (unsigned i = 0; i < nr; i++)
        text[i] = htobe32(words[i]);
    if (fd >= 0) {
        msg.msg_control = room;
        msg.msg_controllen = sizeof(room);
        *CMSG_FIRSTHDR(&msg) = (struct cmsghdr){ CMSG_LEN(sizeof(fd)), SOL_SOCKET, SCM_RIGHTS };
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &fd, sizeof(fd));
    }
    if (sendmsg(s->control_fd, &msg, MSG_NOSIGNAL) != (ssize_t)v.iov_len ||
        recv(s->control_fd, &result, sizeof(result), MSG_WAITALL) != sizeof(result))
        return bawn_fail(err, BAWN_E_IO, "swtpm does not answer; is it another machine's?");
    if (result)
        return bawn_fail(err, BAWN_E_IO, "swtpm refuses command %u: 0x%x", words[0],
                         be32toh(result));
    return BAWN_OK;
}

static enum bawn_status connect_to(struct bawn_swtpm *s, const char *path, struct bawn_error *err)
{
    const struct timeval patience = { .tv_sec = PATIENCE };
    struct sockaddr_un to = { .sun_family = AF_UNIX };

    if (strlen(path) >= sizeof(to.sun_path))
        return bawn_fail(err, BAWN_E_CONFIG, "tpm.socket %s: a path has at most %zu characters",
                         path, sizeof(to.sun_path) - 1);
    memcpy(to.sun_path, path, strlen(path));
    s->control_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->control_fd < 0 ||
        setsockopt(s->control_fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
        setsockopt(s->control_fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)))
        return bawn_fail(err, BAWN_E_IO, "tpm: cannot make a socket: %m");
    if (connect(s->control_fd, (struct sockaddr *)&to, sizeof(to)))
        return bawn_fail(err, BAWN_E_IO, "tpm.socket %s: cannot connect: %m", path);
    return BAWN_OK;
}

enum bawn_status bawn_swtpm_open(struct bawn_swtpm *s, const char *path, struct bawn_error *err)
{
    const uint32_t set_datafd[] = { CMD_SET_DATAFD };
    int pair[2] = { -1, -1 };
    enum bawn_status st;
    void *map;

    *s = (struct bawn_swtpm){ -1, -1, NULL };
    st = connect_to(s, path, err);
    if (!st && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        st = bawn_fail(err, BAWN_E_IO, "tpm: cannot make a socket: %m");
    s->data_fd = pair[0];
    if (!st)
        st = control(s, set_datafd, 1, pair[1], err);
    if (!st && fcntl(s->data_fd, F_SETFL, O_NONBLOCK))
        st = bawn_fail(err, BAWN_E_IO, "tpm: %m");
    if (pair[1] >= 0)
        close(pair[1]);
    map = st ? MAP_FAILED
             : mmap(NULL, sizeof(*s->flow), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                    0);
    if (!st && map == MAP_FAILED)
        st = bawn_fail(err, BAWN_E_NOMEM, "out of memory");
    if (st)
        bawn_swtpm_close(s);
    else
        s->flow = map;
    return st;
}

enum bawn_status bawn_swtpm_reset(const struct bawn_swtpm *s, struct bawn_error *err)
{
    const uint32_t stop[] = { CMD_STOP }, init[] = { CMD_INIT, 0 };
    enum bawn_status st = control(s, stop, 1, -1, err);

    return st ? st : control(s, init, 2, -1, err);
}

void bawn_swtpm_close(struct bawn_swtpm *s)
{
    if (s->control_fd >= 0)
        close(s->control_fd);
    if (s->data_fd >= 0)
        close(s->data_fd);
    if (s->flow)
        munmap(s->flow, sizeof(*s->flow));
    *s = (struct bawn_swtpm){ -1, -1, NULL };
}

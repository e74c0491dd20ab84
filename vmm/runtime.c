// SPDX-License-Identifier: Apache-2.0
/*
 * The directory of running machines. Trusts what its owner could change, and refuses one that is
 * somebody else's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launch.h"
#include "runtime.h"

#define BACKLOG 16

bool bawn_name_valid(const char *name)
{
    size_t n = strlen(name);

    return n && n <= BAWN_NAME_MAX && *name != '.' && *name != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

enum bawn_status bawn_runtime_dir(char *path, size_t room, bool make, struct bawn_error *err)
{
    const char *own = getenv("BAWN_RUNTIME_DIR"), *of_user = getenv("XDG_RUNTIME_DIR");
    struct stat s;

    if (own && *own)
        snprintf(path, room, "%s", own);
    else if (!geteuid())
        snprintf(path, room, "/run/bawn");
    else if (of_user && *of_user)
        snprintf(path, room, "%s/bawn", of_user);
    else
        return bawn_fail(err, BAWN_E_CONFIG,
                         "XDG_RUNTIME_DIR is not set: set it, or BAWN_RUNTIME_DIR");
    if (make && mkdir(path, 0700) && errno != EEXIST)
        return bawn_fail(err, BAWN_E_IO, "cannot make %s: %m", path);
    if (lstat(path, &s)) {
        if (!make && errno == ENOENT)
            return BAWN_OK;
        return bawn_fail(err, BAWN_E_IO, "%s: %m", path);
    }
    if (!S_ISDIR(s.st_mode) || s.st_uid != geteuid() || (s.st_mode & 022))
        return bawn_fail(err, BAWN_E_DENIED, "%s is not a directory of yours alone", path);
    return BAWN_OK;
}

enum bawn_status bawn_runtime_path(const char *name, char *path, size_t room, bool make,
                                   struct bawn_error *err)
{
    enum bawn_status st;
    size_t n;

    if (!bawn_name_valid(name))
        return bawn_fail(err, BAWN_E_USAGE,
                         "a machine's name has at most %d letters, digits, \".\", \"_\" and \"-\"",
                         BAWN_NAME_MAX);
    st = bawn_runtime_dir(path, room, make, err);
    n = st ? 0 : strlen(path);
    if (!st && (size_t)snprintf(path + n, room - n, "/%s.sock", name) >= room - n)
        st = bawn_fail(err, BAWN_E_CONFIG, "%s: the path is too long", path);
    return st;
}

static bool set_address(struct sockaddr_un *to, const char *path)
{
    size_t n = strlen(path);

    if (!n || n >= sizeof(to->sun_path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    *to = (struct sockaddr_un){ .sun_family = AF_UNIX };
    memcpy(to->sun_path, path, n + 1);
    return true;
}

int bawn_socket_connect(const char *path)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), why;
    struct sockaddr_un to;

    if (fd >= 0 && set_address(&to, path) && !connect(fd, (struct sockaddr *)&to, sizeof(to)))
        return fd;
    why = errno;
    if (fd >= 0)
        close(fd);
    errno = why;
    return -1;
}

/* Of one that ended without removing it. */
static void remove_stale(const char *path)
{
    struct stat s;
    int fd;

    if (lstat(path, &s) || !S_ISSOCK(s.st_mode))
        return;
    fd = bawn_socket_connect(path);
    if (fd >= 0)
        close(fd);
    else if (errno == ECONNREFUSED)
        unlink(path);
}

int bawn_socket_listen(const char *path, struct bawn_error *err)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un at;
    mode_t mask = umask(0177);
    bool ok = fd >= 0 && set_address(&at, path);

    if (ok) {
        remove_stale(path);
        ok = !bind(fd, (struct sockaddr *)&at, sizeof(at)) && !listen(fd, BACKLOG);
    }
    umask(mask);
    if (ok)
        return fd;
    bawn_fail(err, BAWN_E_IO, "cannot listen at %s: %s", path,
              errno == EADDRINUSE ? "another machine does, or it is no socket" : strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

int bawn_runtime_fd(const char **where)
{
    uint64_t n;

    if (!strncmp(*where, "fd=", 3) && bawn_u64_parse(*where + 3, &n) && n <= INT32_MAX)
        return (int)n;
    if (!strncmp(*where, "path=", 5))
        *where += 5;
    return -1;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Writes events. Who reads them is not waited for.
 */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "events.h"
#include "runtime.h"

enum bawn_status bawn_events_open(struct bawn_events *e, const char *where, struct bawn_error *err)
{
    const char *path = where;

    clock_gettime(CLOCK_MONOTONIC, &e->start);
    e->fd = e->gone_fd = -1;
    if (!where)
        return BAWN_OK;
    e->fd = bawn_runtime_fd(&path);
    /* A FIFO is opened for reading as well: the program that reads it may come later, and go. */
    if (e->fd < 0)
        e->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0600);
    if (e->fd < 0 || fcntl(e->fd, F_SETFD, FD_CLOEXEC))
        return bawn_fail(err, BAWN_E_IO, "cannot open %s for events: %m", where);
    return BAWN_OK;
}

enum bawn_status bawn_events_watch(struct bawn_events *e, const char *where, struct bawn_error *err)
{
    const char *path = where;
    struct stat s;

    if (e->fd < 0 || bawn_runtime_fd(&path) >= 0 || fstat(e->fd, &s) || !S_ISFIFO(s.st_mode))
        return BAWN_OK;
    e->gone_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    /* This program has it open, so that it is not deleted: its number of names changes. */
    if (e->gone_fd < 0 || inotify_add_watch(e->gone_fd, path, IN_ATTRIB) < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot watch %s: %m", path);
    return BAWN_OK;
}

bool bawn_events_gone(const struct bawn_events *e)
{
    char taken[4096];
    struct stat s;

    while (read(e->gone_fd, taken, sizeof(taken)) > 0)
        ;
    return !fstat(e->fd, &s) && !s.st_nlink;
}

void bawn_events_close(struct bawn_events *e)
{
    if (e->gone_fd >= 0)
        close(e->gone_fd);
    e->gone_fd = -1;
    if (e->fd >= 0)
        close(e->fd);
    e->fd = -1;
}

void bawn_event(const struct bawn_events *e, const char *source, const char *event)
{
    struct pollfd p = { e->fd, POLLOUT, 0 };
    struct timespec now;
    char text[PIPE_BUF];
    int n;

    clock_gettime(CLOCK_MONOTONIC, &now);
    now.tv_sec -= e->start.tv_sec + (now.tv_nsec < e->start.tv_nsec);
    now.tv_nsec += now.tv_nsec < e->start.tv_nsec ? 1000000000 : 0;
    now.tv_nsec -= e->start.tv_nsec;
    n = snprintf(text, sizeof(text),
                 "{\"timestamp\":{\"secs\":%lld,\"nanos\":%ld},\"source\":\"%s\","
                 "\"event\":\"%s\",\"properties\":null}\n\n",
                 (long long)now.tv_sec, now.tv_nsec, source, event);
    /* A pipe that can be written to takes so few bytes at once (pipe(7)), whatever its flags. */
    if (e->fd >= 0 && poll(&p, 1, 0) == 1 && p.revents == POLLOUT)
        (void)!write(e->fd, text, (size_t)n);
}

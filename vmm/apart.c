// SPDX-License-Identifier: Apache-2.0
/*
 * A child that computes the launch digest and gives it to its parent by a pipe. It has everything
 * that its parent has, and only reads files of the user's: it is trusted like the parent.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apart.h"

struct answer {
    enum bawn_status status;
    struct bawn_error err;
    uint8_t digest[BAWN_MEASURE_DIGEST_SIZE];
    unsigned nr_events; /* that follow */
};

static bool give(int fd, const void *from, size_t len)
{
    const uint8_t *at = from;

    while (len) {
        ssize_t n = write(fd, at, len);

        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool get(int fd, void *to, size_t len)
{
    uint8_t *at = to;

    while (len) {
        ssize_t n = read(fd, at, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static _Noreturn void child(int fd, const struct bawn_vm_config *cfg,
                            const struct bawn_launch_plan *plan)
{
    struct bawn_measure_log log = { .nr_events = 0 };
    struct answer a = { .status = BAWN_OK };

    a.status = bawn_launch_measure(cfg, plan, &log, &a.err);
    memcpy(a.digest, log.digest, sizeof(a.digest));
    a.nr_events = a.status ? 0 : log.nr_events;
    _exit(!give(fd, &a, sizeof(a)) || !give(fd, log.events, a.nr_events * sizeof(*log.events)));
}

static enum bawn_status take(int fd, struct bawn_measure_log *log, struct bawn_error *err)
{
    struct answer a;

    if (!get(fd, &a, sizeof(a)))
        return bawn_fail(err, BAWN_E_INTERNAL, "the process that computes the launch digest died");
    if (a.status) {
        if (err)
            *err = a.err;
        return a.status;
    }
    memcpy(log->digest, a.digest, sizeof(log->digest));
    log->events = calloc(a.nr_events ? a.nr_events : 1, sizeof(*log->events));
    if (!log->events)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the launch's events");
    log->nr_events = a.nr_events;
    if (get(fd, log->events, a.nr_events * sizeof(*log->events)))
        return BAWN_OK;
    bawn_measure_log_free(log);
    return bawn_fail(err, BAWN_E_INTERNAL, "the process that computes the launch digest died");
}

enum bawn_status bawn_apart_measure(const struct bawn_vm_config *cfg,
                                    const struct bawn_launch_plan *plan,
                                    struct bawn_measure_log *log, struct bawn_error *err)
{
    enum bawn_status st;
    int fd[2];
    pid_t pid;

    memset(log, 0, sizeof(*log));
    if (pipe2(fd, O_CLOEXEC))
        return bawn_fail(err, BAWN_E_IO, "cannot make a pipe: %m");
    pid = fork();
    if (!pid)
        child(fd[1], cfg, plan);
    close(fd[1]);
    st = pid < 0 ? bawn_fail(err, BAWN_E_IO, "cannot make a process: %m") : take(fd[0], log, err);
    close(fd[0]);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return st;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What becomes of a secret: a file or descriptor, the key of a LUKS volume, or a pipe to a command.
 * It is never on a command line, in the environment or on a terminal, whose lines the host may see.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/agent/agent.h"

static enum bawn_status write_all(int fd, const void *data, size_t len, const char *where,
                                  struct bawn_error *err)
{
    const uint8_t *at = data;

    while (len) {
        ssize_t n = write(fd, at, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return bawn_fail(err, BAWN_E_IO, "cannot write to %.300s: %m", where);
        at += n;
        len -= (size_t)n;
    }
    return BAWN_OK;
}

/* ---- Files ---- */

/* A new file of nobody else's takes the name when it is whole: what stood there (its mode, its
 * other links, who has it open) has no part in it. */
static enum bawn_status replace_file(const char *path, const void *data, size_t len,
                                     struct bawn_error *err)
{
    const char *slash = strrchr(path, '/');
    int fd = -1, dir = slash ? (int)(slash - path) + 1 : 0;
    enum bawn_status status = BAWN_OK;
    char *fresh = NULL;

    if (asprintf(&fresh, "%.*s.bawn-XXXXXX", dir, path) < 0)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for a file's name");
    fd = mkostemp(fresh, O_CLOEXEC); /* O_EXCL, 0600 */
    if (fd < 0) {
        status = bawn_fail(err, BAWN_E_IO, "cannot make a file beside %.300s: %m", path);
        free(fresh);
        return status;
    }
    status = write_all(fd, data, len, path, err);
    if (close(fd) && status == BAWN_OK)
        status = bawn_fail(err, BAWN_E_IO, "cannot write to %.300s: %m", path);
    if (status == BAWN_OK && rename(fresh, path))
        status = bawn_fail(err, BAWN_E_IO, "cannot put a file in the place of %.300s: %m", path);
    if (status != BAWN_OK)
        unlink(fresh);
    free(fresh);
    return status;
}

/* Pipes and devices take it as they are. A link could lead it anywhere. */
static enum bawn_status write_file(const char *path, const void *data, size_t len,
                                   struct bawn_error *err)
{
    enum bawn_status status;
    struct stat s;
    int fd;

    if (lstat(path, &s) || S_ISREG(s.st_mode))
        return replace_file(path, data, len, err);
    if (S_ISLNK(s.st_mode))
        return bawn_fail(err, BAWN_E_IO,
                         "cannot write to %.300s: it is a symbolic link; name the file itself",
                         path);
    fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot open %.300s: %m", path);
    status = write_all(fd, data, len, path, err);
    if (close(fd) && status == BAWN_OK)
        status = bawn_fail(err, BAWN_E_IO, "cannot write to %.300s: %m", path);
    return status;
}

enum bawn_status deliver_output(const struct agent_options *o, const void *data, size_t len,
                                struct bawn_error *err)
{
    int fd = 1;

    if (!o->output && isatty(1) && o->command == CMD_GET)
        return bawn_fail(err, BAWN_E_USAGE, "a secret is not shown on a terminal: give --output");
    if (o->output && (!*o->output || strspn(o->output, "0123456789") != strlen(o->output)))
        return write_file(o->output, data, len, err);
    if (o->output)
        fd = (int)strtol(o->output, NULL, 10);
    return write_all(fd, data, len, o->output ? o->output : "standard output", err);
}

/* ---- Commands ---- */

/* In the child: the pipe's end becomes standard input, or is named by BAWN_SECRET_FD. */
static _Noreturn void become(char **argv, int secret, bool as_input)
{
    char text[16];

    signal(SIGPIPE, SIG_DFL);
    snprintf(text, sizeof(text), "%d", secret);
    if ((as_input ? dup2(secret, 0) : fcntl(secret, F_SETFD, 0)) >= 0 &&
        (as_input || !setenv("BAWN_SECRET_FD", text, 1)))
        execvp(argv[0], argv);
    fprintf(stderr, "bawn-agent: cannot run %s: %m\n", argv[0]);
    _exit(127);
}

static enum bawn_status wait_for(pid_t pid, const char *name, int *exit_status,
                                 struct bawn_error *err)
{
    int how;

    while (waitpid(pid, &how, 0) < 0)
        if (errno != EINTR)
            return bawn_fail(err, BAWN_E_IO, "cannot wait for %.300s: %m", name);
    if (WIFSIGNALED(how))
        return bawn_fail(err, BAWN_E_IO, "%.300s was ended by signal %d", name, WTERMSIG(how));
    *exit_status = WEXITSTATUS(how);
    return BAWN_OK;
}

static enum bawn_status run_with(char **argv, bool as_input, const uint8_t *secret, size_t len,
                                 int *exit_status, struct bawn_error *err)
{
    enum bawn_status status, waited;
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot make a pipe: %m");
    pid = fork();
    if (pid < 0) {
        close(ends[0]);
        close(ends[1]);
        return bawn_fail(err, BAWN_E_IO, "cannot start %.300s: %m", argv[0]);
    }
    if (!pid)
        become(argv, ends[0], as_input);
    close(ends[0]);
    signal(SIGPIPE, SIG_IGN);
    status = write_all(ends[1], secret, len, argv[0], err);
    close(ends[1]);
    waited = wait_for(pid, argv[0], exit_status, err);
    /* A command that ends without reading says by its status whether that was right. */
    return waited == BAWN_OK ? BAWN_OK : status == BAWN_OK ? waited : status;
}

static enum bawn_status open_luks(const struct agent_options *o, const uint8_t *secret, size_t len,
                                  struct bawn_error *err)
{
    char path[32];
    char *argv[] = { "cryptsetup",
                     "open",
                     "--type",
                     "luks",
                     "--key-file",
                     "-",
                     "--batch-mode",
                     "--header",
                     path,
                     (char *)(uintptr_t)o->luks,
                     (char *)(uintptr_t)o->luks_name,
                     NULL };
    int exit_status = 0, header;
    enum bawn_status status = luks_header(o->luks, &header, err);

    if (status != BAWN_OK)
        return status;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", header);
    status = run_with(argv, true, secret, len, &exit_status, err);
    close(header);
    if (status == BAWN_OK && exit_status)
        status =
            bawn_fail(err, BAWN_E_IO, "cryptsetup did not open %.200s with the secret: status %d",
                      o->luks, exit_status);
    if (status == BAWN_OK)
        agent_say(o, "opened %s as /dev/mapper/%s", o->luks, o->luks_name);
    return status;
}

enum bawn_status deliver(const struct agent_options *o, const uint8_t *secret, size_t len,
                         int *exit_status, struct bawn_error *err)
{
    enum bawn_status status = BAWN_OK;

    *exit_status = 0;
    if (o->output || (!o->luks && !o->run))
        status = deliver_output(o, secret, len, err);
    if (status == BAWN_OK && o->luks)
        status = open_luks(o, secret, len, err);
    if (status == BAWN_OK && o->run)
        status = run_with(o->run, false, secret, len, exit_status, err);
    return status;
}

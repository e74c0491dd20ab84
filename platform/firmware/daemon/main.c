// SPDX-License-Identifier: Apache-2.0
/*
 * bawn-platformd: serves the secure processor's model to bawn_platform.ko. Reads its state,
 * opens the device, locks itself in, and only then takes the first message.
 */
#include "platform/firmware/daemon/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "bawn/version.h"

#define EXIT_USAGE 64 /* sysexits.h, EX_USAGE */

/* ---- The device ---- */

/* "fd:N" is an open descriptor that carries the same messages; tests give one end of a pair. */
static enum bawn_status open_device(const char *device, int *fd, struct bawn_error *err)
{
    char *end;
    long n;

    if (strncmp(device, "fd:", 3) != 0) {
        *fd = open(device, O_RDWR | O_CLOEXEC);
        if (*fd >= 0)
            return BAWN_OK;
        if (errno == EBUSY)
            return bawn_fail(err, BAWN_E_DENIED, "%s is in use: another bawn-platformd serves it",
                             device);
        return bawn_fail(err, BAWN_E_IO, "cannot open %s: %s%s", device, strerror(errno),
                         errno == ENOENT ? "; load bawn_platform.ko first" : "");
    }
    errno = 0;
    n = strtol(device + 3, &end, 10);
    if (errno || end == device + 3 || *end || n < 3 || n > INT32_MAX)
        return bawn_fail(err, BAWN_E_USAGE, "--device %s: must be fd: and a number from 3", device);
    if (fcntl((int)n, F_SETFD, FD_CLOEXEC))
        return bawn_fail(err, BAWN_E_USAGE, "--device %s: there is no such descriptor", device);
    *fd = (int)n;
    return BAWN_OK;
}

/* ---- The process ---- */

/* The child goes on without a terminal, and says on *ready when it serves; the parent waits for
 * that. */
static enum bawn_status go_to_background(int *ready, struct bawn_error *err)
{
    int ends[2], null;
    pid_t child;
    char byte;

    if (pipe2(ends, O_CLOEXEC))
        return bawn_fail(err, BAWN_E_IO, "cannot go to the background: %m");
    child = fork();
    if (child < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot go to the background: %m");
    if (child > 0) {
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    close(ends[0]);
    *ready = ends[1];
    setsid();
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot leave the terminal: %m");
    return BAWN_OK;
}

/* In the background the last word to the terminal; what comes later goes to the log, so that
 * nobody who reads what the command says waits for the daemon's end. */
static void say_ready(const struct options *o, int ready, int log, bool seccomp, bool landlock)
{
    fprintf(stderr, "bawn-platformd: ready on %s%s%s\n", o->device,
            seccomp ? "" : "; this kernel has no seccomp filters",
            landlock ? "" : "; this kernel has no Landlock");
    if (ready < 0)
        return;
    if (dup2(log, STDERR_FILENO) < 0 || write(ready, "", 1) != 1)
        fprintf(stderr, "bawn-platformd: cannot leave the terminal: %m\n");
    close(ready);
}

/* SIGTERM and SIGINT end the loop between two commands. */
static enum bawn_status take_signals(int *fd, struct bawn_error *err)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL))
        return bawn_fail(err, BAWN_E_IO, "cannot block signals: %m");
    *fd = signalfd(-1, &set, SFD_CLOEXEC);
    return *fd < 0 ? bawn_fail(err, BAWN_E_IO, "cannot take signals: %m") : BAWN_OK;
}

static enum bawn_status run_device(struct psp *psp, const struct store *store,
                                   const struct options *o, struct bawn_error *err)
{
    bool seccomp = false, landlock = false;
    int device = -1, signals = -1, ready = -1, log = -1;
    enum bawn_status st = open_device(o->device, &device, err);

    if (st == BAWN_OK && !o->foreground)
        st = store_log(store, &log, err);
    if (st == BAWN_OK && !o->foreground)
        st = go_to_background(&ready, err);
    if (st == BAWN_OK)
        st = take_signals(&signals, err);
    if (st == BAWN_OK) {
        store_claim(store);
        st = sandbox_enter(store, &seccomp, &landlock, err);
    }
    if (st == BAWN_OK) {
        say_ready(o, ready, log, seccomp, landlock);
        st = serve(psp, store, device, signals, err);
    }
    if (log >= 0)
        close(log);
    if (signals >= 0)
        close(signals);
    if (device >= 0)
        close(device);
    return st;
}

static enum bawn_status run(const struct options *o, struct bawn_error *err)
{
    struct psp *psp = NULL;
    struct store store;
    enum bawn_status st;

    umask(077);
    st = store_open(&store, o->state, err);
    if (st == BAWN_OK)
        st = state_load(&psp, &store, o, err);
    if (st == BAWN_OK)
        st = state_save(psp, &store, err);
    if (st == BAWN_OK)
        st = state_endorse(psp, &store, err);
    if (st == BAWN_OK && !o->setup)
        st = run_device(psp, &store, o, err);
    psp_destroy(psp);
    store_close(&store);
    return st;
}

int main(int argc, char **argv)
{
    struct bawn_error err = { "" };
    struct options o;
    enum bawn_status st = options_parse(&o, argc, argv, &err);

    if (st == BAWN_OK && (o.help || o.version)) {
        if (o.help)
            options_help();
        else
            puts("bawn-platformd " BAWN_VERSION);
        return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
    }
    if (st == BAWN_OK)
        st = run(&o, &err);
    if (st == BAWN_OK)
        return EXIT_SUCCESS;
    fprintf(stderr, "bawn-platformd: %s%s\n", err.msg,
            st == BAWN_E_USAGE ? "; see bawn-platformd --help" : "");
    return st == BAWN_E_USAGE ? EXIT_USAGE : EXIT_FAILURE;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * One request at a time: calls.c's table says what a machine's state allows, and who answers. Some
 * are answered when the machine's processes have done their part.
 */
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"
#include "runtime.h"

#define LAST_WORDS 2 /* seconds that the API's process may take for its last answer */

/* ---- answers ---- */

void bawn_control_answer(struct bawn_run *r, unsigned status, const char *body)
{
    static struct bawn_api_answer a;
    struct bawn_control *c = &r->control;
    size_t len = strlen(body);

    if (!c->pending)
        return;
    c->pending = false;
    if (len > sizeof(a.body))
        status = 500, body = "[\"the answer is too long\"]", len = strlen(body);
    a.id = c->id;
    a.status = status;
    memcpy(a.body, body, len);
    /* A process that is gone, or does not read, has no client that waits. */
    (void)!send(c->link[0], &a, offsetof(struct bawn_api_answer, body) + len, MSG_DONTWAIT);
}

/* A log has it too, since managers keep the answer's text to themselves; at a terminal is the
 * guest. Nobody who reads the log is waited for. */
static void log_refusal(const struct bawn_run *r, const char *why)
{
    struct pollfd log = { STDERR_FILENO, POLLOUT, 0 };
    char text[512];

    if (r->opt.quiet || r->opt.json || isatty(log.fd) || poll(&log, 1, 0) != 1 ||
        log.revents != POLLOUT)
        return;
    snprintf(text, sizeof(text), "%s", why);
    bawn_boot_clean(text, sizeof(text));
    fprintf(stderr, "bawn: %s: %s\n", bawn_api_name(r->control.call), text);
}

void bawn_control_refuse(struct bawn_run *r, unsigned status, const char *why)
{
    json_t *messages = json_pack("[ss]", bawn_api_name(r->control.call), why);
    char *text = messages ? json_dumps(messages, JSON_COMPACT) : NULL;

    if (r->control.pending && status != 404) /* there is no machine: it may be asked for often */
        log_refusal(r, why);
    bawn_control_answer(r, status, text ? text : "[\"an error whose text cannot be shown\"]");
    free(text);
    json_decref(messages);
}

void bawn_control_conclude(struct bawn_run *r, const char *why)
{
    if (*why)
        bawn_control_refuse(r, 500, why);
    else
        bawn_control_answer(r, 204, "");
}

/* ---- requests ---- */

static void handle(struct bawn_run *r)
{
    enum bawn_api_call call = r->control.call;
    unsigned state = bawn_run_state(r);
    struct bawn_error err = { .msg = "" };

    if (!(bawn_calls[call].states & state)) {
        if (bawn_calls[call].refused && state != BAWN_IS_NONE)
            snprintf(err.msg, sizeof(err.msg), "the machine is %s: %s", bawn_run_state_name(state),
                     bawn_calls[call].refused);
        else
            snprintf(err.msg, sizeof(err.msg), "%s%s",
                     state == BAWN_IS_NONE ? "there is no machine" : "the machine is ",
                     state == BAWN_IS_NONE ? ": vm.create makes one" : bawn_run_state_name(state));
        bawn_control_refuse(r, state == BAWN_IS_NONE ? 404 : 500, err.msg);
    } else {
        enum bawn_status st = bawn_calls[call].run(r, &err);

        if (st)
            bawn_control_refuse(r, st == BAWN_E_CONFIG ? 400 : 500, err.msg);
    }
}

static void drop_files(struct bawn_control *c)
{
    while (c->nr_fds)
        close(c->fds[--c->nr_fds]);
}

static void take_files(struct bawn_control *c, struct msghdr *msg)
{
    struct cmsghdr *h = CMSG_FIRSTHDR(msg);

    c->nr_fds = 0;
    if (!h || h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
        return;
    c->nr_fds = (unsigned)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(c->fds, CMSG_DATA(h), c->nr_fds * sizeof(int));
}

static void on_request(void *opaque)
{
    static struct bawn_api_request req;
    struct bawn_run *r = opaque;
    struct bawn_control *c = &r->control;
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(BAWN_API_FDS * sizeof(int))];
    } files;
    struct iovec v = { &req, sizeof(req) };
    struct msghdr msg = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &files, .msg_controllen = sizeof(files)
    };
    ssize_t n = recvmsg(c->link[0], &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    size_t head = offsetof(struct bawn_api_request, body);

    if (n < 0)
        return;
    take_files(c, &msg);
    if ((size_t)n < head || c->pending || req.call >= BAWN_API_CALLS) {
        if (c->pid)
            kill(c->pid, SIGKILL); /* it is no API any more */
    } else {
        c->pending = true;
        c->id = req.id;
        c->call = req.call;
        c->body = req.body;
        c->len = (size_t)n - head;
        handle(r);
    }
    drop_files(c);
}

/* ---- what comes of orders ---- */

void bawn_control_launched(struct bawn_run *r)
{
    bool restored = r->control.pending && r->control.call == BAWN_API_RESTORE;

    bawn_event(&r->events, "vm", restored ? "restored" : r->reboot ? "rebooted" : "booted");
    r->reboot = false;
    if (restored && !bawn_boot_order(&r->boot, BAWN_ORDER_PAUSE))
        bawn_control_conclude(r, "it goes on, and cannot be paused");
    if (r->control.call == BAWN_API_BOOT || r->control.call == BAWN_API_REBOOT)
        bawn_control_conclude(r, "");
}

void bawn_control_ended(struct bawn_run *r, const char *why)
{
    enum bawn_api_call call = r->control.call;

    if (r->control.pending && call == BAWN_API_DELETE)
        bawn_run_forget(r);
    if (call == BAWN_API_SHUTDOWN || call == BAWN_API_DELETE)
        bawn_control_conclude(r, "");
    else if (call != BAWN_API_REBOOT || !r->reboot)
        bawn_control_conclude(r, why);
}

void bawn_control_ordered(struct bawn_run *r, enum bawn_order what, const char *why)
{
    if (!*why && what == BAWN_ORDER_PAUSE)
        bawn_event(&r->events, "vm", "paused");
    if (!*why && what == BAWN_ORDER_RESUME)
        bawn_event(&r->events, "vm", "resumed");
    bawn_running_ordered(r, what, why);
    if (what == BAWN_ORDER_CPUS)
        what = BAWN_ORDER_CONFIG; /* vm.resize gives one or the other */
    /* Not of a request whose process is gone, if there is another by now. */
    if (bawn_calls[r->control.call].order == what || r->control.call == BAWN_API_RESTORE)
        bawn_control_conclude(r, why);
}

void bawn_control_saved(struct bawn_run *r, const char *why)
{
    if (!*why)
        bawn_event(&r->events, "vm", "snapshotted");
    if (r->control.call == BAWN_API_SNAPSHOT)
        bawn_control_conclude(r, why);
}

void bawn_control_left(struct bawn_run *r, const char *why)
{
    bawn_event(&r->events, "vm", *why ? "migration-failed" : "migration-finished");
    if (r->control.call == BAWN_API_SEND)
        bawn_control_conclude(r, why);
}

void bawn_control_arrived(struct bawn_run *r, const char *why)
{
    bawn_event(&r->events, "vm", *why ? "migration-receive-failed" : "migration-receive-finished");
    if (r->control.call == BAWN_API_RECEIVE)
        bawn_control_conclude(r, why);
}

/* ---- the process ---- */

/* Somebody connects, and there is no process to hear them. */
static void on_client(void *opaque)
{
    struct bawn_run *r = opaque;
    struct bawn_control *c = &r->control;
    char rest[16];
    pid_t pid;
    int fd;

    /* What was said to the one before is not meant for this one. */
    while (recv(c->link[1], rest, sizeof(rest), MSG_DONTWAIT) > 0)
        ;
    pid = bawn_boot_spawn("api");
    if (!pid) {
        /* It has nothing to do with the guest. */
        if (r->running) {
            munmap(r->boot.shared, sizeof(*r->boot.shared));
            bawn_mem_destroy(&r->boot.mem);
        }
        bawn_api_run(c->listen_fd, c->link[1]);
    }
    c->pid = pid > 0 ? pid : 0;
    bawn_loop_set(r->loop, c->listen_watch, pid < 0); /* until a process ends */
    if (pid > 0)
        return;
    fprintf(stderr, "bawn: cannot make the API's process: %m\n");
    fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC); /* this one is not kept waiting */
    if (fd >= 0)
        close(fd);
}

void bawn_control_watch(struct bawn_run *r)
{
    struct bawn_control *c = &r->control;

    if (c->listen_fd < 0)
        return;
    bawn_loop_watch(r->loop, c->link[0], true, on_request, r);
    c->listen_watch = bawn_loop_watch(r->loop, c->listen_fd, !c->pid, on_client, r);
}

void bawn_control_reap(struct bawn_run *r)
{
    struct bawn_control *c = &r->control;
    int status;

    if (c->listen_fd < 0 || (c->pid && waitpid(c->pid, &status, WNOHANG) != c->pid))
        return;
    if (c->pid && (!WIFEXITED(status) || WEXITSTATUS(status)))
        fprintf(stderr,
                "bawn: the API's process ended by itself (status %#x); the machine goes on, "
                "and the next client gets another\n",
                (unsigned)status);
    c->pid = 0;
    c->pending = false;
    bawn_loop_set(r->loop, c->listen_watch, true);
}

/* ---- life ---- */

static enum bawn_status listen_somewhere(struct bawn_run *r, struct bawn_error *err)
{
    const struct bawn_options *opt = &r->opt;
    struct bawn_control *c = &r->control;
    const char *where = opt->api_socket;
    char name[BAWN_NAME_MAX + 1];
    enum bawn_status st;

    if (where) {
        c->listen_fd = bawn_runtime_fd(&where);
        if (c->listen_fd >= 0)
            return fcntl(c->listen_fd, F_SETFL, O_NONBLOCK) ||
                           fcntl(c->listen_fd, F_SETFD, FD_CLOEXEC)
                       ? bawn_fail(err, BAWN_E_IO, "--api-socket %s: %m", opt->api_socket)
                       : BAWN_OK;
        if ((size_t)snprintf(c->path, sizeof(c->path), "%s", where) >= sizeof(c->path)) {
            c->path[0] = '\0';
            return bawn_fail(err, BAWN_E_USAGE, "--api-socket: the path is too long");
        }
    } else {
        snprintf(name, sizeof(name), "vm-%d", getpid());
        st = bawn_runtime_path(opt->name ? opt->name : name, c->path, sizeof(c->path), true, err);
        if (st) {
            c->path[0] = '\0';
            return opt->name ? st : BAWN_OK;
        }
    }
    c->listen_fd = bawn_socket_listen(c->path, err);
    if (c->listen_fd >= 0)
        return BAWN_OK;
    c->path[0] = '\0'; /* another's */
    return where || opt->name ? BAWN_E_IO : BAWN_OK;
}

enum bawn_status bawn_control_open(struct bawn_run *r, struct bawn_error *err)
{
    struct bawn_control *c = &r->control;
    enum bawn_status st = bawn_events_open(&r->events, r->opt.event_monitor, err);

    if (!st && r->opt.until_unmonitored)
        st = bawn_events_watch(&r->events, r->opt.event_monitor, err);
    if (!st && r->opt.name && !bawn_name_valid(r->opt.name))
        st = bawn_fail(err, BAWN_E_USAGE, "--name %s: letters, digits, \".\", \"_\" and \"-\"",
                       r->opt.name);
    if (!st)
        st = listen_somewhere(r, err);
    if (!st && c->listen_fd >= 0 &&
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, c->link))
        st = bawn_fail(err, BAWN_E_IO, "cannot reach the API's process: %m");
    if (!st)
        bawn_event(&r->events, "vmm", "starting");
    return st;
}

/* Its last answer may still be under way. */
static void end_process(pid_t pid)
{
    const struct timespec limit = { .tv_sec = LAST_WORDS };
    sigset_t child;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    if (!waitpid(pid, NULL, WNOHANG) && sigtimedwait(&child, NULL, &limit) < 0)
        kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

void bawn_control_close(struct bawn_run *r)
{
    struct bawn_control *c = &r->control;

    bawn_event(&r->events, "vmm", "shutdown");
    bawn_events_close(&r->events);
    if (c->listen_fd >= 0)
        close(c->listen_fd);
    if (*c->path)
        unlink(c->path);
    for (unsigned i = 0; i < 2; i++) {
        if (c->link[i] >= 0)
            close(c->link[i]);
    }
    if (c->pid)
        end_process(c->pid);
}

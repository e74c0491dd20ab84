// SPDX-License-Identifier: Apache-2.0
/*
 * Reads requests from whoever can connect, and passes what is a call of the API on. Clients are
 * hostile: there are few of them at a time, with bounded memory each, and the one that has been
 * silent longest makes room for another.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api.h"
#include "sandbox.h"

#define CLIENTS 8
#define IDLE 10 /* seconds */
#define NOBODY CLIENTS

struct client {
    int fd; /* -1: none */
    uint64_t heard;
    size_t in, out, out_at; /* bytes in buffers */
    unsigned nr_fds;
    int fds[BAWN_API_FDS];
    bool close;     /* after what is to be written */
    bool continued; /* "100 Continue" was sent for this request */
    char request[BAWN_HTTP_HEAD_MAX + BAWN_HTTP_BODY_MAX];
    char answer[BAWN_HTTP_ANSWER_HEAD + BAWN_API_ANSWER_MAX];
};

static struct {
    int listen_fd, link_fd;
    struct client client[CLIENTS];
    unsigned asking; /* the client whose request the supervisor has; NOBODY */
    bool asked;      /* it has one, perhaps of a client that is gone */
    uint32_t id;
    uint64_t now; /* counts what was heard */
    struct bawn_api_request request;
    struct bawn_api_answer answer;
} s;

enum { NO_BODY, BODY };

static const struct call {
    const char *name, *method;
    int body;
    enum bawn_api_call call;
    const char *refused; /* why it is not served */
} calls[] = {
    { "vmm.ping", "GET", NO_BODY, BAWN_API_PING, NULL },
    { "vmm.shutdown", "PUT", NO_BODY, BAWN_API_QUIT, NULL },
    { "vm.info", "GET", NO_BODY, BAWN_API_INFO, NULL },
    { "vm.counters", "GET", NO_BODY, BAWN_API_COUNTERS, NULL },
    { "vm.create", "PUT", BODY, BAWN_API_CREATE, NULL },
    { "vm.delete", "PUT", NO_BODY, BAWN_API_DELETE, NULL },
    { "vm.boot", "PUT", NO_BODY, BAWN_API_BOOT, NULL },
    { "vm.pause", "PUT", NO_BODY, BAWN_API_PAUSE, NULL },
    { "vm.resume", "PUT", NO_BODY, BAWN_API_RESUME, NULL },
    { "vm.reboot", "PUT", NO_BODY, BAWN_API_REBOOT, NULL },
    { "vm.shutdown", "PUT", NO_BODY, BAWN_API_SHUTDOWN, NULL },
    { "vm.power-button", "PUT", NO_BODY, BAWN_API_BUTTON, NULL },
    { "vm.add-net", "PUT", BODY, BAWN_API_ADD_NET, NULL },
    { "vm.add-disk", "PUT", BODY, BAWN_API_ADD_DISK, NULL },
    { "vm.remove-device", "PUT", BODY, BAWN_API_REMOVE, NULL },
    { "vm.resize", "PUT", BODY, BAWN_API_RESIZE, NULL },
    { "vm.snapshot", "PUT", BODY, BAWN_API_SNAPSHOT, NULL },
    { "vm.restore", "PUT", BODY, BAWN_API_RESTORE, NULL },
    { "vm.send-migration", "PUT", BODY, BAWN_API_SEND, NULL },
    { "vm.receive-migration", "PUT", BODY, BAWN_API_RECEIVE, NULL },
#define NOT_SERVED(name, why)                  \
    {                                          \
        name, "PUT", BODY, BAWN_API_CALLS, why \
    }
    NOT_SERVED("vm.resize-zone", "this machine has no memory zones"),
    NOT_SERVED("vm.resize-disk", "a disk has the size that it had at the machine's start"),
    NOT_SERVED("vm.add-device", "devices of the host are not passed through"),
    NOT_SERVED("vm.add-user-device", "devices of the host are not passed through"),
    NOT_SERVED("vm.add-fs", "there is no virtio-fs: use a disk, or the network"),
    NOT_SERVED("vm.add-pmem", "there is no virtio-pmem: use a disk"),
    NOT_SERVED("vm.add-vdpa", "there is no vDPA: use a tap interface"),
    NOT_SERVED("vm.add-vsock", "name the socket in vm.create"),
    NOT_SERVED("vm.coredump", "a machine's memory is its own"),
    NOT_SERVED("vm.nmi", "there is no NMI from outside"),
};

#define NR_CALLS (sizeof(calls) / sizeof(calls[0]))

const char *bawn_api_name(unsigned call)
{
    for (size_t i = 0; i < NR_CALLS; i++) {
        if (calls[i].call == call && call < BAWN_API_CALLS)
            return calls[i].name;
    }
    return NULL;
}

/* ---- clients ---- */

static void drop_files(struct client *c)
{
    while (c->nr_fds)
        close(c->fds[--c->nr_fds]);
}

static void drop(struct client *c)
{
    drop_files(c);
    close(c->fd);
    c->fd = -1;
    c->in = c->out = c->out_at = 0;
    c->close = c->continued = false;
    if (s.asking == (unsigned)(c - s.client))
        s.asking = NOBODY;
}

static void answer(struct client *c, int status, const char *body, size_t len)
{
    c->out = bawn_http_answer(c->answer, status, len, c->close);
    memcpy(c->answer + c->out, body, len);
    c->out += len;
    c->out_at = 0;
}

/* Two messages, the general one first. */
static void refuse(struct client *c, int status, const char *what, const char *why)
{
    char body[256];
    int n = snprintf(body, sizeof(body), "[\"%s\",\"%s\"]", what, why);

    answer(c, status, body, (size_t)n);
}

static void take_client(void)
{
    struct client *c = NULL;
    int fd = accept4(s.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return;
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *other = &s.client[i];

        if (i != s.asking && (!c || (c->fd >= 0 && (other->fd < 0 || other->heard < c->heard))))
            c = other;
    }
    if (c->fd >= 0)
        drop(c);
    c->fd = fd;
    c->heard = ++s.now;
}

/* ---- requests ---- */

static const struct call *find_call(const struct bawn_http_request *req)
{
    size_t root = sizeof(BAWN_API_ROOT) - 1;

    if (req->path_len < root || memcmp(req->path, BAWN_API_ROOT, root))
        return NULL;
    for (size_t i = 0; i < NR_CALLS; i++) {
        if (strlen(calls[i].name) == req->path_len - root &&
            !memcmp(calls[i].name, req->path + root, req->path_len - root))
            return &calls[i];
    }
    return NULL;
}

/* Passes it on, with its files. */
static void ask(struct client *c, const struct call *call, const struct bawn_http_request *req)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(BAWN_API_FDS * sizeof(int))];
    } files = { .head = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
    struct iovec v = { &s.request, offsetof(struct bawn_api_request, body) + req->body_len };
    struct msghdr msg = { .msg_iov = &v, .msg_iovlen = 1 };

    s.request.id = ++s.id;
    s.request.call = call->call;
    memcpy(s.request.body, req->body, req->body_len);
    if (c->nr_fds) {
        files.head.cmsg_len = CMSG_LEN(c->nr_fds * sizeof(int));
        memcpy(CMSG_DATA(&files.head), c->fds, c->nr_fds * sizeof(int));
        msg.msg_control = &files;
        msg.msg_controllen = CMSG_SPACE(c->nr_fds * sizeof(int));
    }
    if (sendmsg(s.link_fd, &msg, MSG_NOSIGNAL) < 0) {
        refuse(c, 500, call->name, "the supervisor does not answer");
        return;
    }
    s.asking = (unsigned)(c - s.client);
    s.asked = true;
}

static void serve(struct client *c, const struct bawn_http_request *req)
{
    const struct call *call = find_call(req);

    c->close = req->close;
    if (!call)
        refuse(c, 404, "Not Found", "there is no such call");
    else if (strlen(call->method) != req->method_len ||
             memcmp(call->method, req->method, req->method_len))
        refuse(c, 400, "Bad Request", "the call has another method");
    else if (call->refused)
        refuse(c, 500, call->name, call->refused);
    else if (call->body != (req->body_len ? BODY : NO_BODY))
        refuse(c, 400, "Bad Request", call->body ? "the call has a body" : "the call has no body");
    else
        ask(c, call, req);
    drop_files(c);
}

/* The next request of what a client has sent; nobody's while the supervisor is busy. */
static void next_request(struct client *c)
{
    struct bawn_http_request req;
    int n;

    if (c->fd < 0 || c->out || c->close || s.asked || !c->in)
        return;
    n = bawn_http_read(c->request, c->in, &req);
    if (!n && req.expect && !c->continued) {
        c->continued = true;
        c->out = (size_t)snprintf(c->answer, sizeof(c->answer), "HTTP/1.1 100 Continue\r\n\r\n");
        c->out_at = 0;
    }
    if (!n)
        return;
    if (n < 0) {
        c->close = true;
        c->in = 0;
        refuse(c, -n, "Bad Request", "this is no request that is served here");
        return;
    }
    serve(c, &req);
    c->continued = false;
    c->in -= (size_t)n;
    memmove(c->request, c->request + n, c->in);
}

/* More files than a request may have are closed at once. */
static void take_files(struct client *c, struct msghdr *msg)
{
    for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h; h = CMSG_NXTHDR(msg, h)) {
        size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < n; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(fd));
            if (c->nr_fds < BAWN_API_FDS)
                c->fds[c->nr_fds++] = fd;
            else
                close(fd);
        }
    }
}

static void hear_client(struct client *c)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(BAWN_API_FDS * sizeof(int))];
    } files;
    struct iovec v = { c->request + c->in, sizeof(c->request) - c->in };
    struct msghdr msg = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &files, .msg_controllen = sizeof(files)
    };
    ssize_t n = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0) {
        take_files(c, &msg);
        c->in += (size_t)n;
        c->heard = ++s.now;
    } else {
        drop(c);
    }
}

static void tell_client(struct client *c)
{
    struct iovec v = { c->answer + c->out_at, c->out - c->out_at };
    const struct msghdr msg = { .msg_iov = &v, .msg_iovlen = 1 };
    ssize_t n = sendmsg(c->fd, &msg, MSG_NOSIGNAL);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        c->out_at += (size_t)n;
    if (n > 0 && c->out_at < c->out)
        return;
    c->out = 0;
    if (n <= 0 || c->close)
        drop(c);
}

/* ---- the supervisor ---- */

/* False: it is gone. */
static bool hear_supervisor(void)
{
    struct iovec v = { &s.answer, sizeof(s.answer) };
    struct msghdr msg = { .msg_iov = &v, .msg_iovlen = 1 };
    size_t head = offsetof(struct bawn_api_answer, body);
    ssize_t n = recvmsg(s.link_fd, &msg, MSG_CMSG_CLOEXEC);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if ((size_t)n < head)
        return false;
    if (!s.asked || s.answer.id != s.id)
        return true; /* another process's question */
    s.asked = false;
    if (s.asking != NOBODY)
        answer(&s.client[s.asking], (int)s.answer.status, s.answer.body, (size_t)n - head);
    s.asking = NOBODY;
    return true;
}

static short wanted(unsigned i)
{
    const struct client *c = &s.client[i];

    if (c->out)
        return POLLOUT;
    return i == s.asking || c->in == sizeof(c->request) ? 0 : POLLIN;
}

/* Whether there is anything more to do. */
static bool turn(void)
{
    const struct timespec idle = { .tv_sec = IDLE };
    struct pollfd fds[CLIENTS + 2];
    bool any = s.asked;
    int n;

    for (unsigned i = 0; i < CLIENTS; i++) {
        next_request(&s.client[i]);
        fds[i] = (struct pollfd){ s.client[i].fd, wanted(i), 0 };
        any |= s.client[i].fd >= 0;
    }
    fds[CLIENTS] = (struct pollfd){ s.listen_fd, POLLIN, 0 };
    fds[CLIENTS + 1] = (struct pollfd){ s.link_fd, POLLIN, 0 };
    n = ppoll(fds, CLIENTS + 2, any ? NULL : &idle, NULL);
    if (n <= 0)
        return n < 0 || any;
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (!fds[i].revents || s.client[i].fd < 0)
            continue;
        if (s.client[i].out)
            tell_client(&s.client[i]);
        else if (wanted(i) && (fds[i].revents & (POLLIN | POLLHUP)))
            hear_client(&s.client[i]);
        else
            drop(&s.client[i]);
    }
    if (fds[CLIENTS].revents)
        take_client();
    return !fds[CLIENTS + 1].revents || hear_supervisor();
}

void bawn_api_serve(int listen_fd, int link_fd)
{
    memset(&s, 0, sizeof(s));
    s.listen_fd = listen_fd;
    s.link_fd = link_fd;
    s.asking = NOBODY;
    for (unsigned i = 0; i < CLIENTS; i++)
        s.client[i].fd = -1;
    while (turn())
        ;
    /* The last answer, to vmm.shutdown. */
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (s.client[i].fd >= 0 && s.client[i].out)
            tell_client(&s.client[i]);
    }
}

_Noreturn void bawn_api_run(int listen_fd, int link_fd)
{
    struct bawn_sandbox_files files = { .nr = 0 };
    struct bawn_error err;
    unsigned lacks = 0; /* the machine's process says it */

    bawn_sandbox_keep(&files, listen_fd);
    bawn_sandbox_keep(&files, link_fd);
    if (bawn_sandbox_enter(BAWN_ROLE_API, &files, &lacks, &err) ||
        bawn_sandbox_filter(BAWN_ROLE_API, &lacks, &err))
        _exit(1);
    bawn_api_serve(listen_fd, link_fd);
    _exit(0);
}

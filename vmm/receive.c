// SPDX-License-Identifier: Apache-2.0
/*
 * The process that receives a machine: one peer, the first with a right certificate. What it sends
 * goes into the machine's memory and into what is shared with the supervisor (frame.c).
 */
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "migrate.h"
#include "sandbox.h"

#define LINGER 3 /* seconds that a peer may take to read why it is refused */

/* ---- messages ---- */

bool bawn_move_tell(int link, enum bawn_move_kind kind)
{
    const struct bawn_move_msg msg = { .kind = kind };

    return write(link, &msg, sizeof(msg)) == sizeof(msg);
}

union files {
    struct cmsghdr head;
    char room[CMSG_SPACE(BAWN_MEM_MAX_RANGES * sizeof(int))];
};

bool bawn_move_hear(int link, struct bawn_move_msg *msg, int *files, unsigned *nr_files)
{
    union files control;
    struct iovec v = { msg, sizeof(*msg) };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
    struct pollfd p = { link, POLLIN, 0 };
    ssize_t n;

    if (!files) {
        do {
            ppoll(&p, 1, NULL, NULL);
            n = read(link, msg, sizeof(*msg));
        } while (n < 0 && (errno == EAGAIN || errno == EINTR));
        return n == sizeof(*msg);
    }
    m.msg_control = &control;
    m.msg_controllen = sizeof(control);
    do {
        ppoll(&p, 1, NULL, NULL);
        n = recvmsg(link, &m, MSG_CMSG_CLOEXEC);
    } while (n < 0 && (errno == EAGAIN || errno == EINTR));
    *nr_files = 0;
    if (n == sizeof(*msg) && m.msg_controllen >= CMSG_LEN(0) &&
        control.head.cmsg_type == SCM_RIGHTS) {
        *nr_files = (unsigned)((control.head.cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(files, CMSG_DATA(&control.head), *nr_files * sizeof(int));
    }
    return n == sizeof(*msg);
}

bool bawn_move_give_memory(int link, const struct bawn_mem *mem)
{
    struct bawn_move_msg msg = { .kind = BAWN_MOVE_MEMORY, .nr = mem->nr };
    union files control = { .head = { CMSG_LEN(mem->nr * sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
    struct iovec v = { &msg, sizeof(msg) };
    struct msghdr m = { .msg_iov = &v,
                        .msg_iovlen = 1,
                        .msg_control = &control,
                        .msg_controllen = CMSG_SPACE(mem->nr * sizeof(int)) };

    for (unsigned i = 0; i < mem->nr; i++) {
        msg.ram[i] = (struct bawn_ram){ mem->range[i].gpa, mem->range[i].size };
        memcpy(CMSG_DATA(&control.head) + i * sizeof(int), &mem->range[i].fd, sizeof(int));
    }
    return sendmsg(link, &m, MSG_NOSIGNAL) == sizeof(msg);
}

/* ---- a machine ---- */

struct receiving {
    struct bawn_receive *r;
    struct bawn_tls *t;
    struct bawn_inflow in;
    struct bawn_mem mem;
};

static enum bawn_status say(struct receiving *g, enum bawn_frame_kind kind, const char *text,
                            struct bawn_error *err)
{
    size_t len = text ? strlen(text) : 0;
    struct {
        struct bawn_frame_head head;
        char text[sizeof(err->msg)];
    } out = { .head = { htole32(kind), htole32((uint32_t)len) } };

    memcpy(out.text, text ? text : "", len);
    return bawn_tls_write(g->t, &out, sizeof(out.head) + len, err);
}

/* Until the peer has sent what this stage of it needs. */
static enum bawn_status read_until(struct receiving *g, enum bawn_inflow_stage stage,
                                   struct bawn_error *err)
{
    static uint8_t data[16384]; /* a record of TLS */
    enum bawn_status st = BAWN_OK;
    size_t n;

    while (!st && g->in.stage != stage) {
        st = bawn_tls_read(g->t, data, sizeof(data), &n, err);
        if (!st)
            st = bawn_frames_feed(&g->in.frames, data, n, err);
    }
    return st;
}

/* The supervisor's answer, or its refusal. */
static enum bawn_status ask(struct receiving *g, enum bawn_move_kind kind, enum bawn_move_kind want,
                            struct bawn_move_msg *msg, int *files, unsigned *nr_files,
                            struct bawn_error *err)
{
    if (!bawn_move_tell(g->r->link, kind) || !bawn_move_hear(g->r->link, msg, files, nr_files))
        return bawn_fail(err, BAWN_E_IO, "the supervisor has ended");
    if (msg->kind == want)
        return BAWN_OK;
    *err = g->r->arrival->why;
    err->msg[sizeof(err->msg) - 1] = '\0';
    return BAWN_E_DENIED;
}

static enum bawn_status take_memory(struct receiving *g, struct bawn_error *err)
{
    struct bawn_move_msg msg = { 0 };
    int files[BAWN_MEM_MAX_RANGES];
    unsigned nr = 0;
    enum bawn_status st = ask(g, BAWN_MOVE_ASKED, BAWN_MOVE_MEMORY, &msg, files, &nr, err);

    if (st)
        return st;
    if (nr != msg.nr)
        return bawn_fail(err, BAWN_E_INTERNAL, "no memory came");
    for (unsigned i = 0; i < nr; i++) {
        void *host = mmap(NULL, msg.ram[i].size, PROT_READ | PROT_WRITE, MAP_SHARED, files[i], 0);

        if (host == MAP_FAILED)
            return bawn_fail(err, BAWN_E_NOMEM, "cannot map the guest's memory: %m");
        g->mem.range[i] = (struct bawn_mem_range){
            .gpa = msg.ram[i].gpa, .size = msg.ram[i].size, .host = host, .fd = files[i]
        };
        g->mem.nr = i + 1;
    }
    bawn_inflow_ready(&g->in, &g->mem);
    return BAWN_OK;
}

static enum bawn_status receive(struct receiving *g, struct bawn_error *err)
{
    struct bawn_move_msg msg = { 0 };
    enum bawn_status st = read_until(g, BAWN_INFLOW_ASKED, err);

    if (!st)
        st = take_memory(g, err);
    if (!st)
        st = say(g, BAWN_FRAME_READY, NULL, err);
    if (!st)
        st = read_until(g, BAWN_INFLOW_ENDED, err);
    if (!st)
        st = ask(g, BAWN_MOVE_ENDED, BAWN_MOVE_HOLDS, &msg, NULL, NULL, err);
    if (st)
        return st;
    bawn_inflow_held(&g->in);
    st = say(g, BAWN_FRAME_HOLDS, NULL, err);
    return st ? st : read_until(g, BAWN_INFLOW_GONE, err);
}

/* Why not, so that it is read. */
static void refuse(struct receiving *g, const struct bawn_error *why)
{
    struct bawn_error err;
    uint8_t data[4096];
    size_t n;

    if (say(g, BAWN_FRAME_REFUSE, why->msg, &err))
        return;
    clock_gettime(CLOCK_MONOTONIC, &g->t->end);
    g->t->end.tv_sec += LINGER;
    while (!bawn_tls_read(g->t, data, sizeof(data), &n, &err))
        ;
}

enum bawn_status bawn_receive_all(struct bawn_receive *r, struct bawn_tls *t,
                                  struct bawn_error *err)
{
    static struct receiving g; /* a process receives one machine */
    struct bawn_move_msg msg = { 0 };
    enum bawn_status st;

    memset(&g, 0, sizeof(g));
    g.r = r;
    g.t = t;
    bawn_inflow_init(&g.in, r->arrival);
    st = receive(&g, err);
    if (st && g.in.stage != BAWN_INFLOW_HELD) /* then it may have said go, which is lost */
        refuse(&g, err);
    /* It is this side's now, whatever becomes of the connection. */
    if (!st)
        st = ask(&g, BAWN_MOVE_RUN, BAWN_MOVE_RUNS, &msg, NULL, NULL, err);
    if (!st)
        (void)say(&g, BAWN_FRAME_RUNS, NULL, err);
    for (unsigned i = 0; i < g.mem.nr; i++) {
        munmap(g.mem.range[i].host, g.mem.range[i].size);
        close(g.mem.range[i].fd);
    }
    return st;
}

/* ---- the process ---- */

/* The first with a right certificate. Who has none is turned away, and told of. */
static enum bawn_status greet(struct bawn_receive *r, struct bawn_tls *t, struct bawn_error *err)
{
    struct pollfd fds[] = { { r->listen_fd, POLLIN, 0 }, { r->link, 0, 0 } };
    int fd;

    for (;;) {
        ppoll(fds, 2, NULL, NULL);
        if (fds[1].revents)
            return bawn_fail(err, BAWN_E_IO, "the supervisor has ended");
        fd = accept4(r->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0)
            return bawn_fail(err, BAWN_E_IO, "cannot take a connection: %m");
        if (!bawn_tls_open(t, fd, &r->arrival->why))
            return BAWN_OK;
        bawn_move_tell(r->link, BAWN_MOVE_STRANGER);
    }
}

static enum bawn_status lock_in(const struct bawn_receive *r, struct bawn_error *err)
{
    struct bawn_sandbox_files files = { .nr = 0 };
    unsigned lacks = 0; /* the machine's process says it for all */
    enum bawn_status st;

    bawn_sandbox_keep(&files, r->listen_fd);
    bawn_sandbox_keep(&files, r->link);
    st = bawn_sandbox_enter(BAWN_ROLE_RECEIVE, &files, &lacks, err);
    return st ? st : bawn_sandbox_filter(BAWN_ROLE_RECEIVE, &lacks, err);
}

_Noreturn void bawn_receive_run(struct bawn_receive *r)
{
    static struct bawn_error err; /* the other one is the supervisor's as well */
    struct bawn_tls t;
    enum bawn_status st = bawn_tls_prepare(&t, &r->files, NULL, &err);

    if (!st)
        st = lock_in(r, &err);
    t.stop_fd = r->link;
    if (!st)
        st = greet(r, &t, &err);
    if (!st)
        st = bawn_receive_all(r, &t, &err);
    if (st)
        r->arrival->why = err;
    bawn_tls_hang_up(&t);
    _exit(st ? 1 : 0);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Frames between the service's processes. What arrives is the other process's, which may have been
 * taken over: lengths are checked before anything is kept, JSON is parsed strictly, and memory
 * grows with the bytes that came, not with those that were promised.
 */
#include "attest/service/ipc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "attest/jose/jose.h"

#define READ_STEP 65536u
#define READ_AT_ONCE (1u << 20) /* then other connections have their turn */
#define KEEP (4 * READ_STEP)    /* a buffer of up to this size is kept when it is empty */
#define FDS_MAX 16              /* descriptors on their way */

/* Bytes from start to end are in use. Frames may hold secrets, so what is given up is wiped. */
struct buffer {
    uint8_t *data;
    size_t start, end, size;
};

struct queued_msg {
    struct queued_msg *next;
    struct ipc_msg msg;
};

struct ipc {
    int fd;
    struct buffer in, out;
    int in_fds[FDS_MAX];
    size_t nr_in_fds;
    struct {
        uint64_t at; /* the frame's first byte, counted from the first byte ever sent */
        int fd;
    } out_fds[FDS_MAX];
    size_t nr_out_fds;
    uint64_t sent;
    struct queued_msg *first, **last;
};

/* ---- Buffers ---- */

static size_t buffer_used(const struct buffer *b)
{
    return b->end - b->start;
}

static void buffer_free(struct buffer *b)
{
    if (b->data)
        OPENSSL_cleanse(b->data, b->size);
    free(b->data);
    *b = (struct buffer){ 0 };
}

/* Room for n more bytes behind end. */
static bool buffer_reserve(struct buffer *b, size_t n)
{
    size_t used = buffer_used(b), size;
    uint8_t *data;

    if (b->size - b->end >= n)
        return true;
    if (n > SIZE_MAX / 2 - used)
        return false;
    size = used + n;
    if (b->size >= 2 * size) { /* enough in all: move to the front */
        memmove(b->data, b->data + b->start, used);
    } else {
        data = malloc(2 * size);
        if (!data)
            return false;
        if (used)
            memcpy(data, b->data + b->start, used);
        buffer_free(b);
        b->data = data;
        b->size = 2 * size;
    }
    b->start = 0;
    b->end = used;
    return true;
}

static void buffer_take(struct buffer *b, size_t n)
{
    OPENSSL_cleanse(b->data + b->start, n);
    b->start += n;
    if (b->start < b->end)
        return;
    b->start = b->end = 0;
    if (b->size > KEEP)
        buffer_free(b);
}

/* ---- Messages ---- */

void ipc_msg_clear(struct ipc_msg *msg)
{
    json_decref(msg->json);
    if (msg->blob)
        OPENSSL_cleanse(msg->blob, msg->blob_len);
    free(msg->blob);
    if (msg->fd >= 0)
        close(msg->fd);
    *msg = (struct ipc_msg){ .fd = -1 };
}

bool ipc_next(struct ipc *ipc, struct ipc_msg *msg)
{
    struct queued_msg *q = ipc->first;

    if (!q)
        return false;
    ipc->first = q->next;
    if (!ipc->first)
        ipc->last = &ipc->first;
    *msg = q->msg;
    free(q);
    return true;
}

/* ---- A connection ---- */

struct ipc *ipc_create(int fd)
{
    struct ipc *ipc = calloc(1, sizeof(*ipc));

    if (!ipc)
        return NULL;
    ipc->fd = fd;
    ipc->last = &ipc->first;
    return ipc;
}

void ipc_destroy(struct ipc *ipc)
{
    struct ipc_msg msg;

    if (!ipc)
        return;
    while (ipc_next(ipc, &msg))
        ipc_msg_clear(&msg);
    for (size_t i = 0; i < ipc->nr_in_fds; i++)
        close(ipc->in_fds[i]);
    for (size_t i = 0; i < ipc->nr_out_fds; i++)
        close(ipc->out_fds[i].fd);
    buffer_free(&ipc->in);
    buffer_free(&ipc->out);
    close(ipc->fd);
    free(ipc);
}

int ipc_fd(const struct ipc *ipc)
{
    return ipc->fd;
}

bool ipc_wants_write(const struct ipc *ipc)
{
    return buffer_used(&ipc->out) > 0;
}

size_t ipc_queued(const struct ipc *ipc)
{
    return buffer_used(&ipc->out);
}

/* ---- Sending ---- */

static enum bawn_status queue_fd(struct ipc *ipc, int fd, struct bawn_error *err)
{
    int copy;

    if (ipc->nr_out_fds == FDS_MAX)
        return bawn_fail(err, BAWN_E_NOMEM, "more than %d descriptors wait to be sent", FDS_MAX);
    copy = dup(fd);
    if (copy < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot copy a descriptor: %m");
    ipc->out_fds[ipc->nr_out_fds].at = ipc->sent + buffer_used(&ipc->out);
    ipc->out_fds[ipc->nr_out_fds++].fd = copy;
    return BAWN_OK;
}

static void append(struct buffer *b, const void *data, size_t len)
{
    if (data && len)
        memcpy(b->data + b->end, data, len);
    b->end += len;
}

enum bawn_status ipc_send(struct ipc *ipc, enum ipc_op op, uint64_t id, const json_t *json,
                          struct bawn_bytes blob, int fd, struct bawn_error *err)
{
    struct ipc_header header = { .op = (uint32_t)op, .id = id };
    size_t len = 0;
    char *text = json ? json_text(json, &len) : NULL;
    enum bawn_status st = BAWN_OK;

    if (json && !text)
        st = bawn_fail(err, BAWN_E_NOMEM, "no memory for a message");
    else if (len > IPC_JSON_MAX || blob.len > IPC_BLOB_MAX)
        st = bawn_fail(err, BAWN_E_FORMAT, "a message of %zu and %zu bytes is too large", len,
                       blob.len);
    else if (!buffer_reserve(&ipc->out, sizeof(header) + len + blob.len))
        st = bawn_fail(err, BAWN_E_NOMEM, "no memory for a message");
    else if (fd >= 0)
        st = queue_fd(ipc, fd, err);
    if (st == BAWN_OK) {
        header.json_len = (uint32_t)len;
        header.blob_len = (uint32_t)blob.len;
        append(&ipc->out, &header, sizeof(header));
        append(&ipc->out, text, len);
        append(&ipc->out, blob.data, blob.len);
    }
    if (text)
        OPENSSL_cleanse(text, len);
    free(text);
    return st;
}

/* Sends up to the next frame that has a descriptor, or from it on with the descriptor. */
static ssize_t send_some(struct ipc *ipc)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec iov = { ipc->out.data + ipc->out.start, buffer_used(&ipc->out) };
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
    bool with_fd = ipc->nr_out_fds && ipc->out_fds[0].at == ipc->sent;
    size_t stop = with_fd ? 1 : 0;
    ssize_t n;

    if (ipc->nr_out_fds > stop && ipc->out_fds[stop].at - ipc->sent < iov.iov_len)
        iov.iov_len = ipc->out_fds[stop].at - ipc->sent;
    if (with_fd) {
        m.msg_control = control.bytes;
        m.msg_controllen = sizeof(control.bytes);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);

        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &ipc->out_fds[0].fd, sizeof(int));
    }
    n = sendmsg(ipc->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0 && with_fd) {
        close(ipc->out_fds[0].fd);
        ipc->nr_out_fds--;
        memmove(ipc->out_fds, ipc->out_fds + 1, ipc->nr_out_fds * sizeof(ipc->out_fds[0]));
    }
    return n;
}

enum bawn_status ipc_flush(struct ipc *ipc, struct bawn_error *err)
{
    while (buffer_used(&ipc->out)) {
        ssize_t n = send_some(ipc);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n < 0)
            return bawn_fail(err, BAWN_E_IO, "the other process is gone: %m");
        ipc->sent += (uint64_t)n;
        buffer_take(&ipc->out, (size_t)n);
    }
    return BAWN_OK;
}

/* ---- Receiving ---- */

static enum bawn_status check_header(const struct ipc_header *h, struct bawn_error *err)
{
    if (h->op == 0 || h->op >= IPC_OPS)
        return bawn_fail(err, BAWN_E_FORMAT, "message %u is unknown", h->op);
    if (h->json_len > IPC_JSON_MAX || h->blob_len > IPC_BLOB_MAX || h->zero)
        return bawn_fail(err, BAWN_E_FORMAT, "a message of %u and %u bytes is too large",
                         h->json_len, h->blob_len);
    return BAWN_OK;
}

static enum bawn_status fill(struct ipc *ipc, struct ipc_msg *msg, const struct ipc_header *h,
                             const uint8_t *body, struct bawn_error *err)
{
    struct bawn_error why = { "" };
    struct bawn_bytes text = { body, h->json_len };

    *msg = (struct ipc_msg){ .op = (enum ipc_op)h->op, .id = h->id, .fd = -1 };
    if (h->json_len) {
        if (json_read_own(text, &msg->json, &why) != BAWN_OK || !json_is_object(msg->json))
            return bawn_fail(err, BAWN_E_FORMAT, "message %u: %s", h->op,
                             msg->json ? "not an object" : why.msg);
    }
    if (h->blob_len) {
        msg->blob = malloc(h->blob_len);
        if (!msg->blob)
            return bawn_fail(err, BAWN_E_NOMEM, "no memory for a message");
        memcpy(msg->blob, body + h->json_len, h->blob_len);
        msg->blob_len = h->blob_len;
    }
    if (h->op != IPC_PEER)
        return BAWN_OK;
    if (!ipc->nr_in_fds)
        return bawn_fail(err, BAWN_E_FORMAT, "message %u came without its descriptor", h->op);
    msg->fd = ipc->in_fds[0];
    ipc->nr_in_fds--;
    memmove(ipc->in_fds, ipc->in_fds + 1, ipc->nr_in_fds * sizeof(ipc->in_fds[0]));
    return BAWN_OK;
}

/* Makes messages of the complete frames in the buffer. */
static enum bawn_status parse(struct ipc *ipc, struct bawn_error *err)
{
    while (buffer_used(&ipc->in) >= sizeof(struct ipc_header)) {
        const uint8_t *frame = ipc->in.data + ipc->in.start;
        struct queued_msg *q;
        struct ipc_header h;
        enum bawn_status st;
        size_t len;

        memcpy(&h, frame, sizeof(h));
        st = check_header(&h, err);
        if (st != BAWN_OK)
            return st;
        len = sizeof(h) + h.json_len + h.blob_len; /* both bounded: no overflow */
        if (buffer_used(&ipc->in) < len)
            return BAWN_OK;
        q = calloc(1, sizeof(*q));
        if (!q)
            return bawn_fail(err, BAWN_E_NOMEM, "no memory for a message");
        st = fill(ipc, &q->msg, &h, frame + sizeof(h), err);
        if (st != BAWN_OK) {
            ipc_msg_clear(&q->msg);
            free(q);
            return st;
        }
        *ipc->last = q;
        ipc->last = &q->next;
        buffer_take(&ipc->in, len);
    }
    return BAWN_OK;
}

/* Every descriptor that came is kept or closed. */
static enum bawn_status take_fds(struct ipc *ipc, struct msghdr *m, struct bawn_error *err)
{
    bool lost = m->msg_flags & MSG_CTRUNC;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        size_t n = c->cmsg_len < CMSG_LEN(0) ? 0 : (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < n; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
            if (ipc->nr_in_fds < FDS_MAX) {
                ipc->in_fds[ipc->nr_in_fds++] = fd;
            } else {
                close(fd);
                lost = true;
            }
        }
    }
    return lost ? bawn_fail(err, BAWN_E_FORMAT, "more descriptors came than messages can carry")
                : BAWN_OK;
}

enum bawn_status ipc_read(struct ipc *ipc, struct bawn_error *err)
{
    size_t total = 0;

    while (total < READ_AT_ONCE) {
        union {
            struct cmsghdr align;
            char bytes[CMSG_SPACE(sizeof(int) * 4)];
        } control;
        struct iovec iov;
        struct msghdr m = { .msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes) };
        enum bawn_status st;
        ssize_t n;

        if (!buffer_reserve(&ipc->in, READ_STEP))
            return bawn_fail(err, BAWN_E_NOMEM, "no memory for messages");
        iov.iov_base = ipc->in.data + ipc->in.end;
        iov.iov_len = READ_STEP;
        n = recvmsg(ipc->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return BAWN_OK;
        if (n <= 0)
            return bawn_fail(err, BAWN_E_IO, "the other process is gone%s%s", n ? ": " : "",
                             n ? strerror(errno) : "");
        ipc->in.end += (size_t)n;
        total += (size_t)n;
        st = take_fds(ipc, &m, err);
        if (st == BAWN_OK)
            st = parse(ipc, err);
        if (st != BAWN_OK)
            return st;
    }
    return BAWN_OK;
}

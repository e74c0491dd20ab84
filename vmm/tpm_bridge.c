// SPDX-License-Identifier: Apache-2.0
/*
 * The TPM's process: one command at a time goes to swtpm, and its answer comes back. swtpm is not
 * trusted to answer, nor the machine's process to send commands that are well formed.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "tpm.h"

/* The longest that Linux waits for a command, which is to make a key, and for a cancelled one. */
#define COMMAND_LIMIT 300
#define CANCEL_LIMIT 2

static void set_timer(const struct bawn_tpm_bridge *b, unsigned seconds)
{
    const struct itimerspec when = { .it_value.tv_sec = seconds };

    timerfd_settime(b->timer_fd, 0, &when, NULL);
}

static void answer(struct bawn_tpm_bridge *b, const uint8_t *data, uint32_t len)
{
    struct bawn_link_msg msg = { .kind = BAWN_LINK_ANSWER, .len = len };

    if (!b->waiting)
        return;
    b->waiting = false;
    set_timer(b, 0);
    msg.tpm.number = b->number;
    memcpy(msg.tpm.data, data, len);
    if (!bawn_link_send(b->link_fd, &msg))
        bawn_loop_stop(b->loop);
}

static void fail(struct bawn_tpm_bridge *b, uint32_t rc)
{
    uint8_t error[BAWN_TPM_HEADER];

    bawn_tpm_put_error(error, rc);
    answer(b, error, sizeof(error));
}

/* ---- swtpm ---- */

static void lose(struct bawn_tpm_bridge *b, const char *why)
{
    if (!b->gone)
        fprintf(stderr, "bawn: tpm: swtpm %s; the guest's TPM answers with errors from now on\n",
                why);
    b->gone = true;
    bawn_loop_set(b->loop, b->data_watch, false);
    fail(b, BAWN_TPM_RC_FAILURE);
}

/* Reads on until there are want bytes; false: not yet, or never. */
static bool read_to(struct bawn_tpm_bridge *b, uint32_t want)
{
    struct bawn_tpm_flow *f = b->swtpm->flow;
    ssize_t n = f->in_len < want ? read(b->swtpm->data_fd, f->in + f->in_len, want - f->in_len) : 1;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        lose(b, "has gone");
        return false;
    }
    if (f->in_len < want)
        f->in_len += (uint32_t)n;
    return f->in_len >= want;
}

static void on_data(void *opaque)
{
    struct bawn_tpm_bridge *b = opaque;
    struct bawn_tpm_flow *f = b->swtpm->flow;
    uint32_t len;

    if (!read_to(b, BAWN_TPM_HEADER))
        return;
    len = bawn_tpm_length(f->in);
    if (!f->owed || len < BAWN_TPM_HEADER || len > sizeof(f->in)) {
        lose(b, "sent what is no answer");
        return;
    }
    if (!read_to(b, len))
        return;
    f->owed = false;
    f->in_len = 0;
    answer(b, f->in, len); /* or nobody waits for it any more */
}

static void on_timer(void *opaque)
{
    struct bawn_tpm_bridge *b = opaque;
    uint64_t ignored;

    if (read(b->timer_fd, &ignored, sizeof(ignored)) == sizeof(ignored))
        fail(b, b->late);
}

/* ---- the machine ---- */

static void command(struct bawn_tpm_bridge *b, const struct bawn_link_msg *msg)
{
    struct bawn_tpm_flow *f = b->swtpm->flow;

    b->number = msg->tpm.number;
    b->waiting = true;
    b->late = BAWN_TPM_RC_FAILURE;
    if (b->gone) {
        fail(b, BAWN_TPM_RC_FAILURE);
        return;
    }
    if (f->owed) { /* swtpm is at one that nobody waits for any more */
        fail(b, BAWN_TPM_RC_RETRY);
        return;
    }
    f->owed = true;
    set_timer(b, b->patience);
    if (write(b->swtpm->data_fd, msg->tpm.data, msg->len) != (ssize_t)msg->len)
        lose(b, "takes no commands");
}

static void on_order(void *opaque)
{
    struct bawn_tpm_bridge *b = opaque;
    struct bawn_link_msg msg;
    int n = bawn_link_receive(b->link_fd, &msg);

    if (!n)
        return;
    if (n > 0 && msg.kind == BAWN_LINK_COMMAND && msg.len >= BAWN_TPM_HEADER &&
        msg.len <= sizeof(msg.tpm.data) && msg.len == bawn_tpm_length(msg.tpm.data)) {
        command(b, &msg);
    } else if (n > 0 && msg.kind == BAWN_LINK_CANCEL) {
        b->late = BAWN_TPM_RC_CANCELED;
        if (b->waiting && msg.tpm.number == b->number)
            set_timer(b, b->cancelling);
    } else {
        bawn_loop_stop(b->loop);
    }
}

int bawn_tpm_bridge_init(struct bawn_tpm_bridge *b, const struct bawn_swtpm *swtpm,
                         struct bawn_loop *loop)
{
    int rc;

    *b = (struct bawn_tpm_bridge){
        .swtpm = swtpm,
        .loop = loop,
        .link_fd = -1,
        .patience = COMMAND_LIMIT,
        .cancelling = CANCEL_LIMIT,
    };
    b->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (b->timer_fd < 0)
        return -errno;
    rc = bawn_loop_watch(loop, b->timer_fd, true, on_timer, b);
    b->data_watch = rc < 0 ? rc : bawn_loop_watch(loop, swtpm->data_fd, true, on_data, b);
    return b->data_watch < 0 ? b->data_watch : 0;
}

void bawn_tpm_bridge_destroy(struct bawn_tpm_bridge *b)
{
    if (b->loop && b->timer_fd >= 0)
        close(b->timer_fd);
    b->loop = NULL;
}

int bawn_tpm_bridge_serve(struct bawn_tpm_bridge *b, int link_fd)
{
    int rc;

    b->link_fd = link_fd;
    rc = bawn_loop_watch(b->loop, link_fd, true, on_order, b);
    if (rc < 0)
        return rc;
    return bawn_link_tell(link_fd, BAWN_LINK_HELLO) ? 0 : -EPIPE;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The loop: a request, what it changed written down, the reply. A reply never goes out before
 * its change is on the medium; when that fails the daemon ends, and the kernel module sees the
 * command unanswered.
 */
#include "platform/firmware/daemon/daemon.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

struct channel {
    int device;
    uint8_t *request, *reply;
};

static enum bawn_status answer(struct psp *psp, const struct store *store, const struct channel *ch,
                               size_t len, struct bawn_error *err)
{
    enum psp_served served;
    enum bawn_status st;
    size_t reply_len = 0;
    ssize_t n;

    served = psp_serve(psp, ch->request, len, ch->reply, &reply_len, err);
    OPENSSL_cleanse(ch->request, len); /* a guest's pages */
    if (served == PSP_MALFORMED)
        return BAWN_E_FORMAT;
    st = state_save(psp, store, err);
    if (st == BAWN_OK && psp_endorsements_stale(psp))
        st = state_endorse(psp, store, err);
    if (st != BAWN_OK || served == PSP_NO_REPLY) {
        OPENSSL_cleanse(ch->reply, reply_len);
        return st;
    }
    do
        n = write(ch->device, ch->reply, reply_len);
    while (n < 0 && errno == EINTR);
    OPENSSL_cleanse(ch->reply, reply_len);
    if (n == (ssize_t)reply_len)
        return BAWN_OK;
    if (n < 0 && errno == EPIPE)
        return BAWN_OK; /* the next read says the same */
    return bawn_fail(err, BAWN_E_IO, "the device did not take a reply of %zu bytes: %s", reply_len,
                     n < 0 ? strerror(errno) : "it took less");
}

/* *ended: the other side is gone. */
static enum bawn_status take_one(struct psp *psp, const struct store *store,
                                 const struct channel *ch, bool *ended, struct bawn_error *err)
{
    ssize_t n = read(ch->device, ch->request, BAWN_PLATFORM_MESSAGE_MAX);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return BAWN_OK;
    if (n < 0 && errno != ECONNRESET)
        return bawn_fail(err, BAWN_E_IO, "cannot read the device: %m");
    *ended = n <= 0;
    return n > 0 ? answer(psp, store, ch, (size_t)n, err) : BAWN_OK;
}

static enum bawn_status loop(struct psp *psp, const struct store *store, const struct channel *ch,
                             int signal_fd, struct bawn_error *err)
{
    struct pollfd fds[2] = {
        { .fd = ch->device, .events = POLLIN },
        { .fd = signal_fd, .events = POLLIN },
    };
    enum bawn_status st = BAWN_OK;
    bool ended = false;

    while (st == BAWN_OK && !ended) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return bawn_fail(err, BAWN_E_IO, "cannot wait for the device: %m");
        if (fds[1].revents)
            break;
        if (fds[0].revents & POLLIN)
            st = take_one(psp, store, ch, &ended, err);
        else if (fds[0].revents)
            ended = true;
    }
    return st;
}

enum bawn_status serve(struct psp *psp, const struct store *store, int device, int signal_fd,
                       struct bawn_error *err)
{
    struct channel ch = {
        .device = device,
        .request = malloc(BAWN_PLATFORM_MESSAGE_MAX),
        .reply = malloc(BAWN_PLATFORM_MESSAGE_MAX),
    };
    enum bawn_status st, parked;
    struct bawn_error why;

    if (ch.request && ch.reply)
        st = loop(psp, store, &ch, signal_fd, err);
    else
        st = bawn_fail(err, BAWN_E_NOMEM, "no memory for messages");
    free(ch.request);
    free(ch.reply);
    psp_park(psp);
    parked = state_save(psp, store, &why);
    if (parked != BAWN_OK && st == BAWN_OK)
        return bawn_fail(err, parked, "%s", why.msg);
    return st;
}

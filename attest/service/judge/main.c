// SPDX-License-Identifier: Apache-2.0
/*
 * The judge's process: jobs come from the front, snapshots from the vault, decisions go to the
 * vault. One thread, two sockets, nothing else.
 */
#include "attest/service/judge/judge.h"

#include <errno.h>
#include <stdlib.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "attest/service/ipc.h"
#include "attest/service/service.h"

/* Decisions that the vault has not taken yet; beyond, no further job is read. */
#define QUEUED_MAX (8u << 20)

struct process {
    struct judge *judge;
    struct ipc *front, *vault;
};

static const struct bawn_bytes no_blob;

static int64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec;
}

/* ---- Messages ---- */

static enum bawn_status refuse(struct process *p, uint64_t id, int status, const char *kind,
                               const char *detail, struct bawn_error *err)
{
    char *body = NULL;
    json_t *json =
        json_pack("{s:o, s:s}", "type",
                  json_sprintf("https://github.com/confidential-containers/kbs/errors/%s", kind),
                  "detail", detail);
    json_t *reply = json_pack("{s:i, s:s}", "status", status, "type", "application/json");
    enum bawn_status st = BAWN_E_NOMEM;

    if (status == 503)
        json_object_set_new(reply, "retry_after", json_integer(1));
    if (json)
        body = json_dumps(json, JSON_COMPACT);
    if (body && reply)
        st = ipc_send(p->front, IPC_REPLY, id, reply,
                      (struct bawn_bytes){ (uint8_t *)body, strlen(body) }, -1, err);
    free(body);
    json_decref(json);
    json_decref(reply);
    return st;
}

static enum bawn_status serve_job(struct process *p, const struct ipc_msg *m,
                                  struct bawn_error *err)
{
    const char *tenant = json_string_value(json_object_get(m->json, "tenant"));
    const char *cookie = json_string_value(json_object_get(m->json, "cookie"));
    struct bawn_error why = { "" };
    json_t *decision = NULL;
    enum bawn_status st;

    if (!tenant || !cookie)
        return bawn_fail(err, BAWN_E_FORMAT, "the front sent a job without tenant and cookie");
    if (!judge_is_ready(p->judge))
        return refuse(p, m->id, 503, "NotReady", "the service is starting", err);
    st = judge_body(p->judge, tenant, cookie, (struct bawn_bytes){ m->blob, m->blob_len }, now(),
                    &decision, &why);
    if (st == BAWN_E_NOMEM)
        return refuse(p, m->id, 503, "Busy", "no memory", err);
    if (st != BAWN_OK)
        return refuse(p, m->id, 400, "InvalidRequest", why.msg, err);
    if (json_object_get(m->json, "client"))
        json_object_set(decision, "client", json_object_get(m->json, "client"));
    st = ipc_send(p->vault, IPC_DECIDE, m->id, decision, no_blob, -1, err);
    json_decref(decision);
    if (st == BAWN_E_FORMAT)
        return refuse(p, m->id, 400, "InvalidRequest", "the evidence is too large", err);
    return st;
}

static enum bawn_status take_snapshot(struct process *p, struct ipc_msg *m)
{
    struct bawn_error why = { "" };
    enum bawn_status st = judge_take_snapshot(p->judge, m->json, m->blob, m->blob_len, &why);

    m->blob = NULL;
    m->blob_len = 0;
    if (st != BAWN_OK)
        journal("error", "snapshot refused, the one before stays", "{s:s}", "why", why.msg);
    return BAWN_OK;
}

/* Each side may send one thing. */
static enum bawn_status drain(struct process *p, struct ipc *from, enum ipc_op expected, bool *stop,
                              struct bawn_error *err)
{
    struct ipc_msg m;
    enum bawn_status st = BAWN_OK;

    while (st == BAWN_OK && (from != p->front || ipc_queued(p->vault) < QUEUED_MAX) &&
           ipc_next(from, &m)) {
        if (m.op == IPC_STOP)
            *stop = true;
        else if (m.op == IPC_PING && from == p->front)
            st = ipc_send(p->front, IPC_PING, 0, NULL, no_blob, -1, err);
        else if (m.op != expected)
            st = bawn_fail(err, BAWN_E_FORMAT, "a message of kind %d was not expected", m.op);
        else if (m.op == IPC_SNAPSHOT)
            st = take_snapshot(p, &m);
        else
            st = serve_job(p, &m, err);
        ipc_msg_clear(&m);
    }
    return st;
}

/* ---- The loop ---- */

static enum bawn_status turn(struct process *p, bool *stop, struct bawn_error *err)
{
    bool full = ipc_queued(p->vault) >= QUEUED_MAX;
    struct pollfd fds[2] = {
        { .fd = ipc_fd(p->front), .events = full ? 0 : POLLIN },
        { .fd = ipc_fd(p->vault), .events = POLLIN },
    };
    enum bawn_status st = BAWN_OK;

    if (ipc_wants_write(p->front))
        fds[0].events |= POLLOUT;
    if (ipc_wants_write(p->vault))
        fds[1].events |= POLLOUT;
    if (poll(fds, 2, -1) < 0)
        return errno == EINTR ? BAWN_OK : bawn_fail(err, BAWN_E_IO, "poll: %m");
    /* Snapshots first: a job is judged by the newest that is there. */
    if (fds[1].revents & (POLLIN | POLLHUP | POLLERR))
        st = ipc_read(p->vault, err);
    if (st == BAWN_OK)
        st = drain(p, p->vault, IPC_SNAPSHOT, stop, err);
    if (st == BAWN_OK && (fds[0].revents & (POLLIN | POLLHUP | POLLERR)))
        st = ipc_read(p->front, err);
    if (st == BAWN_OK)
        st = drain(p, p->front, IPC_JUDGE, stop, err);
    if (st == BAWN_OK)
        st = ipc_flush(p->vault, err);
    if (st == BAWN_OK)
        st = ipc_flush(p->front, err);
    return st;
}

/* What OpenSSL opens or makes at first use, before the door is shut. */
static void warm_up(void)
{
    uint8_t out[64];
    unsigned len;

    EVP_Digest("", 0, out, &len, EVP_sha256(), NULL);
    EVP_Digest("", 0, out, &len, EVP_sha384(), NULL);
    EVP_Digest("", 0, out, &len, EVP_sha512(), NULL);
    RAND_bytes(out, 16);
    tzset();
}

int judge_main(struct service_config *config, const struct service_fds *fds)
{
    struct process p = { judge_create(), ipc_create(fds->front), ipc_create(fds->vault) };
    struct bawn_error err = { "" };
    enum bawn_status st = BAWN_E_NOMEM;
    bool stop = false;

    if (p.judge && p.front && p.vault) {
        warm_up();
        st = service_confine(config, ROLE_JUDGE, &err);
        if (st != BAWN_OK)
            journal("error", "cannot confine the judge", "{s:s}", "why", err.msg);
        else
            while (st == BAWN_OK && !stop)
                st = turn(&p, &stop, &err);
    }
    /* BAWN_E_IO: front or vault have closed their side, which is how a judge's work ends. */
    if (st != BAWN_OK && st != BAWN_E_IO)
        journal("error", "judge ends", "{s:s}", "why", err.msg);
    judge_destroy(p.judge);
    ipc_destroy(p.front);
    ipc_destroy(p.vault);
    return st == BAWN_OK || st == BAWN_E_IO ? 0 : 1;
}

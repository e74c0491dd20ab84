// SPDX-License-Identifier: Apache-2.0
/*
 * The loop: takes what is pending from all peers, serves it in one transaction, commits, and only
 * then answers. A request that fails is undone alone; when the commit fails, nothing of the batch
 * was done, and nothing but "try again" is answered.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "attest/service/vault/vault.h"

#define BATCH_MAX 512
#define UNREAD_MAX (64u << 20) /* answers that a front does not read: it is not heard before */

enum peer_kind { PEER_FRONT = 1 << 0, PEER_ADMIN = 1 << 1, PEER_JUDGE = 1 << 2 };

/* `writes`: in the transaction. */
static const struct {
    enum ipc_op op;
    unsigned peers;
    bool writes;
    request_fn *serve;
} operations[] = {
    { IPC_SESSION_NEW, PEER_FRONT, false, serve_session_new },
    { IPC_DECIDE, PEER_JUDGE, true, serve_decide },
    { IPC_RESOURCE_GET, PEER_FRONT, true, serve_resource_get },
    { IPC_ADMIN, PEER_ADMIN, true, serve_admin },
    { IPC_KEYS, PEER_FRONT | PEER_ADMIN, false, serve_keys },
    { IPC_STATUS, PEER_ADMIN, false, serve_status },
    { IPC_BEARER, PEER_FRONT, false, serve_bearer },
};

struct batch {
    struct reply reply[BATCH_MAX];
    size_t n;
};

/* ---- One request ---- */

static void fail_reply(struct vault *v, struct reply *r, enum bawn_status st, const char *why)
{
    v->count.errors += st != BAWN_E_DENIED && st != BAWN_E_CONFIG;
    free(r->cookie);
    r->cookie = NULL;
    if (st == BAWN_E_DENIED) {
        reply_error(r, 404, "NotFound", "%s", why);
        return;
    }
    if (st == BAWN_E_CONFIG) {
        reply_error(r, 413, "TooLarge", "%s", why);
        return;
    }
    journal("error", "a request failed", "{s:s}", "why", why);
    if (st == BAWN_E_IO || st == BAWN_E_NOMEM)
        reply_error(r, 503, "Unavailable", "the service cannot store this now; try again");
    else
        reply_error(r, 500, "Internal", "the service failed at this request");
}

static enum bawn_status begin(struct vault *v, struct bawn_error *err)
{
    enum bawn_status st;

    if (v->in_transaction)
        return v->failed ? bawn_fail(err, BAWN_E_IO, "the transaction has failed") : BAWN_OK;
    st = db_begin(v->db, err);
    v->in_transaction = st == BAWN_OK;
    v->failed = false;
    return st;
}

static enum bawn_status run_marked(struct vault *v, request_fn *serve, const struct ipc_msg *m,
                                   struct reply *r, struct bawn_error *err)
{
    struct bawn_error why = { "" };
    enum bawn_status st = begin(v, err), undone;

    if (st == BAWN_OK)
        st = db_mark(v->db, err);
    if (st != BAWN_OK)
        return st;
    r->wrote = true;
    st = serve(v, m, r, err);
    undone = db_unmark(v->db, st != BAWN_OK || r->undo, &why);
    if (undone != BAWN_OK) { /* disk full ends SQLite's transaction, for example */
        v->failed = true;
        if (st == BAWN_OK)
            st = bawn_fail(err, BAWN_E_IO, "%s", why.msg);
    }
    return st;
}

static void serve_one(struct vault *v, size_t op, const struct ipc_msg *m, struct reply *r)
{
    struct bawn_error err = { "" };
    enum bawn_status st;

    if (db_lost(v->db) && m->op != IPC_SESSION_NEW && m->op != IPC_KEYS)
        st = bawn_fail(&err, BAWN_E_IO, "the database is not there");
    else if (operations[op].writes)
        st = run_marked(v, operations[op].serve, m, r, &err);
    else
        st = operations[op].serve(v, m, r, &err);
    if (st != BAWN_OK)
        fail_reply(v, r, st, err.msg);
}

static enum bawn_status take(struct vault *v, struct ipc *from, enum peer_kind kind,
                             struct batch *b, struct bawn_error *err)
{
    struct ipc_msg m;

    while (b->n < BATCH_MAX && ipc_next(from, &m)) {
        struct reply *r = &b->reply[b->n];
        size_t op = 0, n = sizeof(operations) / sizeof(operations[0]);

        while (op < n && (operations[op].op != m.op || !(operations[op].peers & kind)))
            op++;
        if (op == n || !m.json) {
            bawn_fail(err, BAWN_E_FORMAT, "a message of kind %d is not for the vault", m.op);
            ipc_msg_clear(&m);
            return BAWN_E_FORMAT;
        }
        /* Only the public front sends judges work. The id is its own: not a way to others. */
        *r = (struct reply){ .to = kind == PEER_JUDGE ? v->front : from, .id = m.id };
        serve_one(v, op, &m, r);
        b->n++;
        ipc_msg_clear(&m);
    }
    return BAWN_OK;
}

/* ---- The end of a batch ---- */

static enum bawn_status send_once(const struct reply *r, struct bawn_error *err)
{
    json_t *head = json_pack("{s:i, s:s}", "status", r->status, "type",
                             r->type ? r->type : "application/json");
    enum bawn_status st = BAWN_E_NOMEM;

    if (head && r->cookie)
        json_object_set_new(head, "cookie", json_string(r->cookie));
    if (head && r->retry_after)
        json_object_set_new(head, "retry_after", json_integer(r->retry_after));
    if (head && r->to)
        st = ipc_send(r->to, IPC_REPLY, r->id, head,
                      (struct bawn_bytes){ (uint8_t *)r->body, r->len }, -1, err);
    json_decref(head);
    return st;
}

/* One answer that is too large is that request's matter, not the vault's end. */
static enum bawn_status send_reply(struct reply *r, struct bawn_error *err)
{
    enum bawn_status st = send_once(r, err);

    if (st != BAWN_E_FORMAT)
        return st;
    journal("error", "an answer is not sent", "{s:s}", "why", err->msg);
    reply_error(r, 500, "TooLarge", "the answer is too large to be sent");
    return send_once(r, err);
}

static bool commit(struct vault *v)
{
    struct bawn_error why = { "" };

    if (!v->in_transaction)
        return true;
    v->in_transaction = false;
    if (!v->failed && db_commit(v->db, &why) == BAWN_OK)
        return true;
    db_rollback(v->db);
    v->failed = false;
    v->reload = true;
    journal("error", "a commit failed", "{s:s}", "why", why.msg);
    return false;
}

/* Judges have the new state before an administrator hears that it is in force. */
static enum bawn_status finish(struct vault *v, struct batch *b, struct bawn_error *err)
{
    bool committed = commit(v);
    struct bawn_error why = { "" };
    enum bawn_status st = BAWN_OK;

    if (committed && v->changed && vault_reload(v, &why) != BAWN_OK) {
        journal("error", "the state cannot be read", "{s:s}", "why", why.msg);
        v->reload = true;
    }
    if (committed && v->revoked && revocations_tell(v, &why) != BAWN_OK)
        journal("error", "revocations cannot be told", "{s:s}", "why", why.msg);
    for (size_t i = 0; i < b->n; i++) {
        struct reply *r = &b->reply[i];

        if (r->wrote && !committed)
            fail_reply(v, r, BAWN_E_IO, "the commit failed");
        if (st == BAWN_OK && r->to && !r->later)
            st = send_reply(r, err);
        reply_clear(r);
    }
    v->changed = v->revoked = false;
    b->n = 0;
    return st;
}

/* Who asked may have gone meanwhile. */
static enum bawn_status dry_run_some(struct vault *v, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;
    struct reply r;

    if (!dry_run_continue(v, &r))
        return BAWN_OK;
    if (r.to && (r.to == v->front || r.to == v->admin))
        st = send_reply(&r, err);
    reply_clear(&r);
    return st;
}

/* ---- Peers ---- */

static void drop_judge(struct judge_peer *p, const char *why)
{
    if (*why)
        journal("warning", "a judge is gone", "{s:i, s:s}", "judge", (int)p->number, "why", why);
    ipc_destroy(p->ipc);
    p->ipc = NULL;
}

static enum bawn_status add_judge(struct vault *v, struct ipc_msg *m, struct bawn_error *err)
{
    unsigned number = (unsigned)json_integer_value(json_object_get(m->json, "judge"));
    struct judge_peer *p = NULL;
    struct bawn_error why = { "" };

    if (m->fd < 0)
        return bawn_fail(err, BAWN_E_FORMAT, "a judge came without its socket");
    if (json_is_true(json_object_get(m->json, "fetch"))) {
        fetch_lost(v);
        v->fetcher = ipc_create(m->fd);
        m->fd = v->fetcher ? -1 : m->fd;
        return v->fetcher ? BAWN_OK : bawn_fail(err, BAWN_E_NOMEM, "no memory for a peer");
    }
    for (size_t i = 0; i < SERVICE_WORKERS_MAX && !p; i++)
        if (v->judges[i].ipc && v->judges[i].number == number)
            p = &v->judges[i];
    for (size_t i = 0; i < SERVICE_WORKERS_MAX && !p; i++)
        if (!v->judges[i].ipc)
            p = &v->judges[i];
    if (!p)
        return bawn_fail(err, BAWN_E_FORMAT, "too many judges");
    if (p->ipc)
        drop_judge(p, "");
    p->ipc = ipc_create(m->fd);
    p->number = number;
    m->fd = -1;
    if (!p->ipc)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for a judge");
    if (snapshot_send(v, p, &why) != BAWN_OK) {
        journal("error", "a judge has no snapshot yet", "{s:s}", "why", why.msg);
        v->reload = true;
    }
    return BAWN_OK;
}

static void reload_config(struct vault *v, const struct ipc_msg *m)
{
    struct service_config *old = v->config, *fresh = old;
    struct bawn_error why = { "" };
    bool loaded;
    enum bawn_status st = config_reload(&fresh, ROLE_VAULT, old->path, m->json,
                                        (struct bawn_bytes){ m->blob, m->blob_len }, &why);

    if (st != BAWN_OK) {
        journal("error", "the new configuration is refused", "{s:s}", "why", why.msg);
        return;
    }
    config_forget_storage(fresh); /* it is the old one's until a restart */
    v->config = fresh;
    st = state_open(v, false, &why);
    if (st == BAWN_OK)
        st = vault_load_tenants(v, &why);
    loaded = st == BAWN_OK;
    if (st == BAWN_OK)
        st = state_fits(v, &why);
    if (st != BAWN_OK) {
        journal("error", "the new configuration cannot be used", "{s:s}", "why", why.msg);
        v->config = old;
        if (loaded &&
            vault_load_tenants(v, &why) != BAWN_OK) { /* they must not be of one that is gone */
            journal("error", "the state cannot be read", "{s:s}", "why", why.msg);
            v->config = fresh;
            v->reload = true;
            config_destroy(old);
            return;
        }
        config_destroy(fresh);
        return;
    }
    config_destroy(old);
    st = collateral_scan(v, &why);
    if (st == BAWN_OK)
        st = snapshot_send(v, NULL, &why);
    if (st != BAWN_OK) {
        journal("error", "judges have no new snapshot yet", "{s:s}", "why", why.msg);
        v->reload = true;
    }
}

static enum bawn_status take_control(struct vault *v, bool *stop, struct bawn_error *err)
{
    struct ipc_msg m;
    enum bawn_status st = ipc_read(v->control, err);

    while (st == BAWN_OK && ipc_next(v->control, &m)) {
        if (m.op == IPC_STOP)
            *stop = true;
        else if (m.op == IPC_PEER)
            st = add_judge(v, &m, err);
        else if (m.op == IPC_RELOAD)
            reload_config(v, &m);
        else
            st = bawn_fail(err, BAWN_E_FORMAT, "the supervisor sent a message of kind %d", m.op);
        ipc_msg_clear(&m);
    }
    return st;
}

/* ---- A turn ---- */

static void watch(struct pollfd *p, const struct ipc *ipc)
{
    *p = (struct pollfd){ .fd = ipc ? ipc_fd(ipc) : -1 };
    if (ipc && ipc_queued(ipc) < UNREAD_MAX)
        p->events |= POLLIN;
    if (ipc && ipc_wants_write(ipc))
        p->events |= POLLOUT;
}

#define READABLE (POLLIN | POLLHUP | POLLERR)
#define FETCHER (3 + SERVICE_WORKERS_MAX)

static enum bawn_status take_judges(struct vault *v, const struct pollfd *fds, struct batch *b)
{
    struct bawn_error why = { "" };

    for (size_t i = 0; i < SERVICE_WORKERS_MAX; i++) {
        struct judge_peer *p = &v->judges[i];
        enum bawn_status st = BAWN_OK;

        if (!p->ipc)
            continue;
        if (fds[i].revents & READABLE)
            st = ipc_read(p->ipc, &why);
        /* What came before the end counts. */
        if (take(v, p->ipc, PEER_JUDGE, b, &why) != BAWN_OK || st != BAWN_OK)
            drop_judge(p, why.msg);
    }
    return BAWN_OK;
}

/* False: it has gone. What it said before that is served all the same. */
static bool take_front(struct vault *v, struct ipc *front, enum peer_kind kind, short revents,
                       struct batch *b)
{
    struct bawn_error why = { "" };
    enum bawn_status st = BAWN_OK;

    if (!front)
        return true;
    if (revents & READABLE)
        st = ipc_read(front, &why);
    if (take(v, front, kind, b, &why) == BAWN_OK && st == BAWN_OK)
        return true;
    journal("info", "a front is gone", "{s:s, s:s}", "front",
            kind == PEER_ADMIN ? "admin" : "public", "why", why.msg);
    return false;
}

static void take_fetcher(struct vault *v, short revents)
{
    struct bawn_error why = { "" };
    struct ipc_msg m;
    enum bawn_status st = BAWN_OK;

    if (!v->fetcher || !(revents & READABLE))
        return;
    st = ipc_read(v->fetcher, &why);
    while (ipc_next(v->fetcher, &m)) {
        if (m.op == IPC_FETCHED && !db_lost(v->db))
            fetch_take(v, &m);
        ipc_msg_clear(&m);
    }
    if (st != BAWN_OK)
        fetch_lost(v);
}

static void drop_front(struct ipc **front)
{
    ipc_destroy(*front);
    *front = NULL;
}

static void flush_front(struct ipc **front)
{
    struct bawn_error why = { "" };

    if (*front && ipc_flush(*front, &why) != BAWN_OK)
        drop_front(front);
}

static enum bawn_status flush_all(struct vault *v, struct bawn_error *err)
{
    enum bawn_status st = ipc_flush(v->control, err);
    struct bawn_error why = { "" };

    flush_front(&v->front);
    flush_front(&v->admin);
    if (v->fetcher && ipc_flush(v->fetcher, &why) != BAWN_OK)
        fetch_lost(v);
    for (size_t i = 0; i < SERVICE_WORKERS_MAX; i++)
        if (v->judges[i].ipc && ipc_flush(v->judges[i].ipc, &why) != BAWN_OK)
            drop_judge(&v->judges[i], why.msg);
    return st;
}

enum bawn_status vault_turn(struct vault *v, bool *stop, struct bawn_error *err)
{
    struct pollfd fds[4 + SERVICE_WORKERS_MAX];
    static struct batch b;
    bool full = false, front, admin;
    int n, timeout = vault_upkeep(v);
    enum bawn_status st = BAWN_OK, ended;

    watch(&fds[0], v->control);
    watch(&fds[1], v->front);
    watch(&fds[2], v->admin);
    for (size_t i = 0; i < SERVICE_WORKERS_MAX; i++)
        watch(&fds[3 + i], v->judges[i].ipc);
    watch(&fds[FETCHER], v->fetcher);
    n = poll(fds, sizeof(fds) / sizeof(fds[0]), v->dry_run ? 0 : timeout);
    if (n < 0 && errno != EINTR)
        return bawn_fail(err, BAWN_E_IO, "poll: %m");
    if (n < 0)
        return BAWN_OK;
    vault_clocks(v);
    do { /* until what was read is served: messages wait in buffers that poll does not see */
        take_fetcher(v, fds[FETCHER].revents);
        st = take_judges(v, fds + 3, &b);
        front = take_front(v, v->front, PEER_FRONT, fds[1].revents, &b);
        admin = take_front(v, v->admin, PEER_ADMIN, fds[2].revents, &b);
        full = b.n == BATCH_MAX;
        ended = finish(v, &b, err);
        if (st == BAWN_OK)
            st = ended;
        /* Not before the replies to it have been let go. */
        if (!front)
            drop_front(&v->front);
        if (!admin)
            drop_front(&v->admin);
        for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
            if (i)
                fds[i].revents = 0;
    } while (st == BAWN_OK && full);
    if (st == BAWN_OK)
        st = dry_run_some(v, err);
    if (st == BAWN_OK && (fds[0].revents & READABLE))
        st = take_control(v, stop, err);
    ended = flush_all(v, err);
    return st == BAWN_OK ? ended : st;
}

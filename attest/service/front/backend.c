// SPDX-License-Identifier: Apache-2.0
/*
 * The front's other side: vault, judges and supervisor. A request that waits is a job with a number
 * of its own; a reply without such a job (its client went, its judge died) is dropped.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attest/service/front/front.h"

#define VAULT_QUEUE_MAX (32u << 20) /* bytes that wait for the vault: it is behind */

struct peer {
    struct front *front;
    struct judge *judge; /* NULL: vault or control */
    struct ipc *ipc;
    struct event *read, *write;
    void (*message)(struct peer *peer, struct ipc_msg *msg);
};

static void peer_destroy(struct peer *p)
{
    if (!p)
        return;
    if (p->read)
        event_free(p->read);
    if (p->write)
        event_free(p->write);
    ipc_destroy(p->ipc);
    free(p);
}

/* ---- Jobs ---- */

static struct job_list *bucket(struct front *f, uint64_t id)
{
    return &f->jobs[id % JOB_BUCKETS];
}

static void job_end(struct front *f, struct job *job)
{
    LIST_REMOVE(job, hash);
    f->nr_jobs--;
    if (job->judge) {
        LIST_REMOVE(job, of_judge);
        job->judge->nr_jobs--;
        if (job->judge->pinged_us) /* it goes on, with what it was given before the question */
            job->judge->pinged_us = front_now_us();
        f->metrics->jobs[job->judge - f->judges] = job->judge->nr_jobs;
    }
    if (job->conn)
        job->conn->job = NULL;
    free(job);
}

static struct job *job_begin(struct conn *c, struct judge *judge, job_reply_fn reply)
{
    struct front *f = c->front;
    struct job *job = calloc(1, sizeof(*job));

    if (!job)
        return NULL;
    *job = (struct job){ .id = f->next_id++, .conn = c, .judge = judge, .reply = reply };
    job->began_us = front_now_us();
    LIST_INSERT_HEAD(bucket(f, job->id), job, hash);
    f->nr_jobs++;
    if (judge) {
        LIST_INSERT_HEAD(&judge->jobs, job, of_judge);
        f->metrics->jobs[judge - f->judges] = ++judge->nr_jobs;
    }
    c->job = job;
    return job;
}

void job_forget(struct conn *c)
{
    if (c->job)
        c->job->conn = NULL;
    c->job = NULL;
}

static struct job *job_of(struct front *f, uint64_t id)
{
    struct job *job;

    LIST_FOREACH(job, bucket(f, id), hash)
    if (job->id == id)
        return job;
    return NULL;
}

static void job_reply(struct front *f, struct ipc_msg *msg)
{
    struct job *job = job_of(f, msg->id);
    struct conn *c;
    job_reply_fn reply;

    if (!job)
        return;
    c = job->conn;
    reply = job->reply;
    job_end(f, job);
    if (c)
        reply(c, msg);
    front_maybe_end(f);
}

/* ---- Messages ---- */

static void judge_gone(struct front *f, struct judge *judge)
{
    bool hung = judge->hung;
    struct job *job;

    journal("warning", "a judge is gone", "{s:i,s:i}", "judge", (int)(judge - f->judges), "jobs",
            (int)judge->nr_jobs);
    peer_destroy(judge->peer);
    judge->peer = NULL;
    judge->pinged_us = 0;
    judge->hung = false;
    while ((job = LIST_FIRST(&judge->jobs))) {
        struct conn *c = job->conn;

        job_end(f, job);
        if (c)
            conn_error(c, 503, hung ? "VerifierTimeout" : "Unavailable",
                       hung ? "the verifier did not answer in time and was ended; try again"
                            : "the verifier ended; try again",
                       1);
    }
}

static void peer_gone(struct peer *p, const char *why)
{
    if (p->judge)
        judge_gone(p->front, p->judge);
    else
        front_fail(p->front, why);
}

static void on_read(evutil_socket_t fd, short what, void *context)
{
    struct peer *p = context;
    struct bawn_error err;
    enum bawn_status st = ipc_read(p->ipc, &err);
    struct ipc_msg msg;

    (void)fd, (void)what;
    while (ipc_next(p->ipc, &msg)) {
        p->message(p, &msg);
        ipc_msg_clear(&msg);
    }
    if (st != BAWN_OK)
        peer_gone(p, err.msg);
}

/* Writes what can be written, and waits for room for the rest. */
static bool peer_flush(struct peer *p)
{
    struct bawn_error err;

    if (ipc_flush(p->ipc, &err) != BAWN_OK)
        return false; /* on_read() sees the end as well, and acts */
    if (ipc_wants_write(p->ipc))
        event_add(p->write, NULL);
    return true;
}

static void on_write(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    peer_flush(context);
}

static struct peer *peer_create(struct front *f, int fd, struct judge *judge,
                                void (*message)(struct peer *, struct ipc_msg *))
{
    struct peer *p = calloc(1, sizeof(*p));

    if (!p) {
        close(fd);
        return NULL;
    }
    *p = (struct peer){ .front = f, .judge = judge, .message = message };
    p->ipc = ipc_create(fd);
    if (!p->ipc) {
        close(fd);
        free(p);
        return NULL;
    }
    p->read = event_new(f->base, fd, EV_READ | EV_PERSIST, on_read, p);
    p->write = event_new(f->base, fd, EV_WRITE, on_write, p);
    if (!p->read || !p->write || event_add(p->read, NULL)) {
        peer_destroy(p);
        return NULL;
    }
    return p;
}

static void take_health(struct front *f, const json_t *json)
{
    const char *problem = json_string_value(json_object_get(json, "problem"));

    free(f->problem);
    f->problem = problem && *problem ? strdup(problem) : NULL;
}

static void vault_message(struct peer *p, struct ipc_msg *msg)
{
    if (msg->op == IPC_REPLY)
        job_reply(p->front, msg);
    else if (msg->op == IPC_EVENT)
        events_send(p->front, msg->json);
    else if (msg->op == IPC_HEALTH)
        take_health(p->front, msg->json);
}

/* A judge may refuse what it was given, and only that: decisions are the vault's. */
static void judge_message(struct peer *p, struct ipc_msg *msg)
{
    json_int_t status = json_integer_value(json_object_get(msg->json, "status"));
    const struct job *job = job_of(p->front, msg->id);

    if (msg->op == IPC_PING)
        p->judge->pinged_us = 0;
    else if (msg->op == IPC_REPLY && status >= 400 && job && job->judge == p->judge)
        job_reply(p->front, msg);
}

static void new_judge(struct front *f, struct ipc_msg *msg)
{
    json_int_t n = json_integer_value(json_object_get(msg->json, "judge"));
    struct judge *judge;

    if (n < 0 || n >= SERVICE_WORKERS_MAX)
        return;
    judge = &f->judges[n];
    if (judge->peer)
        judge_gone(f, judge);
    judge->peer = peer_create(f, msg->fd, judge, judge_message);
    msg->fd = -1;
    if (f->metrics->nr_judges <= (unsigned)n)
        f->metrics->nr_judges = (unsigned)n + 1;
}

static void reload(struct front *f, const struct ipc_msg *msg)
{
    const struct bawn_bytes blob = { msg->blob, msg->blob_len };
    struct service_config *config;
    struct bawn_error err = { "" };
    SSL_CTX *tls = NULL;
    enum bawn_status st = config_reload(&config, f->role, f->config->path, msg->json, blob, &err);

    if (st == BAWN_OK && f->tls)
        st = tls_context(&tls, config, f->role, f->tls, &err);
    if (st != BAWN_OK) {
        journal("error", "the configuration was not taken", "{s:s}", "reason", err.msg);
        config_destroy(config);
        return;
    }
    SSL_CTX_free(f->tls); /* connections that use it hold it */
    f->tls = tls;
    config_destroy(f->config);
    f->config = config;
    journal("info", "reloaded", NULL);
}

static void control_message(struct peer *p, struct ipc_msg *msg)
{
    struct front *f = p->front;

    if (msg->op == IPC_PEER) {
        new_judge(f, msg);
    } else if (msg->op == IPC_RELOAD) {
        reload(f, msg);
    } else if (msg->op == IPC_STOP && !f->stopping) {
        f->stopping = true;
        for (size_t i = 0; i < f->nr_doors; i++)
            event_del(f->doors[i].event);
        conn_close_idle(f);
        front_maybe_end(f);
    }
}

/* ---- Requests ---- */

static bool busy(struct conn *c, const char *detail)
{
    conn_error(c, 503, "Unavailable", detail, 1);
    return false;
}

static bool send_job(struct conn *c, struct peer *peer, struct judge *judge, enum ipc_op op,
                     const json_t *json, struct bawn_bytes blob, job_reply_fn reply)
{
    struct job *job = json ? job_begin(c, judge, reply) : NULL;
    struct bawn_error err;

    if (!job)
        return busy(c, "no memory");
    if (ipc_send(peer->ipc, op, job->id, json, blob, -1, &err) != BAWN_OK) {
        job_end(c->front, job);
        return busy(c, "no memory");
    }
    conn_wait(c);
    peer_flush(peer);
    return true;
}

bool backend_vault(struct conn *c, enum ipc_op op, const json_t *json, struct bawn_bytes blob,
                   job_reply_fn reply)
{
    struct front *f = c->front;

    if (!f->vault || ipc_queued(f->vault->ipc) > VAULT_QUEUE_MAX)
        return busy(c, "the service is behind; try again");
    return send_job(c, f->vault, NULL, op, json, blob, reply);
}

bool backend_judge(struct conn *c, const json_t *json, struct bawn_bytes blob, job_reply_fn reply)
{
    struct front *f = c->front;
    struct judge *best = NULL;

    for (size_t i = 0; i < SERVICE_WORKERS_MAX; i++) {
        struct judge *j = &f->judges[i];

        if (j->peer && !j->hung && (!best || j->nr_jobs < best->nr_jobs))
            best = j;
    }
    if (!best)
        return busy(c, "no verifier is running; try again");
    if (best->nr_jobs >= f->config->limits.jobs)
        return busy(c, "all verifiers are busy; try again");
    return send_job(c, best->peer, best, IPC_JUDGE, json, blob, reply);
}

unsigned backend_judges(const struct front *f)
{
    unsigned n = 0;

    for (size_t i = 0; i < SERVICE_WORKERS_MAX; i++)
        n += f->judges[i].peer != NULL;
    return n;
}

/* ---- Judges that hang ---- */

static int64_t oldest_job(const struct judge *judge)
{
    int64_t oldest = INT64_MAX;
    const struct job *job;

    LIST_FOREACH(job, &judge->jobs, of_judge)
    if (job->began_us < oldest)
        oldest = job->began_us;
    return oldest;
}

/* The supervisor alone can end it. Its requests are answered when its socket closes. */
static void report_hung(struct front *f, struct judge *judge)
{
    json_t *json = json_pack("{s:i}", "judge", (int)(judge - f->judges));

    judge->hung = true;
    journal("error", "a judge does not answer", "{s:i,s:i}", "judge", (int)(judge - f->judges),
            "jobs", (int)judge->nr_jobs);
    ipc_send(f->control->ipc, IPC_HUNG, 0, json, (struct bawn_bytes){ NULL, 0 }, -1, NULL);
    peer_flush(f->control);
    json_decref(json);
}

/* A request may wait for the vault: so the judge itself is asked, behind what it was given before.
 */
static void watch_judge(struct front *f, struct judge *judge, int64_t now)
{
    int64_t limit = (int64_t)f->config->limits.judge_timeout * 1000000;

    if (!judge->peer || judge->hung)
        return;
    if (judge->pinged_us) {
        if (now - judge->pinged_us >= limit)
            report_hung(f, judge);
    } else if (judge->nr_jobs && now - oldest_job(judge) >= 1000000) {
        judge->pinged_us = now;
        ipc_send(judge->peer->ipc, IPC_PING, 0, NULL, (struct bawn_bytes){ NULL, 0 }, -1, NULL);
        peer_flush(judge->peer);
    }
}

void backend_watch(struct front *f)
{
    for (size_t i = 0; i < SERVICE_WORKERS_MAX; i++)
        watch_judge(f, &f->judges[i], front_now_us());
}

/* ---- Start and end ---- */

enum bawn_status backend_start(struct front *f, const struct service_fds *fds,
                               struct bawn_error *err)
{
    f->next_id = (uint64_t)fds->number << 56;
    f->control = peer_create(f, fds->control, NULL, control_message);
    f->vault = peer_create(f, fds->vault, NULL, vault_message);
    return f->control && f->vault ? BAWN_OK : bawn_fail(err, BAWN_E_NOMEM, "no memory");
}

void backend_ready(struct front *f)
{
    const struct bawn_bytes none = { NULL, 0 };

    if (ipc_send(f->control->ipc, IPC_READY, 0, NULL, none, -1, NULL) != BAWN_OK ||
        !peer_flush(f->control))
        front_fail(f, "the supervisor is gone");
}

void backend_end(struct front *f)
{
    for (size_t i = 0; i < JOB_BUCKETS; i++) {
        struct job *job, *next;

        for (job = LIST_FIRST(&f->jobs[i]); job; job = next) {
            next = LIST_NEXT(job, hash);
            job_end(f, job);
        }
    }
    for (size_t i = 0; i < SERVICE_WORKERS_MAX; i++)
        peer_destroy(f->judges[i].peer);
    peer_destroy(f->vault);
    peer_destroy(f->control);
    free(f->problem);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fronts: TLS and HTTP. A front holds its TLS key and nothing else of worth; what clients send
 * is hostile, what vault and judges send is taken as theirs but bounded.
 */
#ifndef BAWN_FRONT_H
#define BAWN_FRONT_H

#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <openssl/ssl.h>

#include "attest/service/front/http.h"
#include "attest/service/front/limit.h"
#include "attest/service/front/metrics.h"
#include "attest/service/ipc.h"
#include "attest/service/service.h"

/* ---- Doors: what a listening socket is for ---- */

enum door_kind { DOOR_PUBLIC = 1 << 0, DOOR_ADMIN = 1 << 1, DOOR_STATUS = 1 << 2 };

struct front;

struct door {
    struct front *front;
    enum door_kind kind;
    int fd;
    struct event *event;
};

/* ---- Jobs: a request that waits for vault or judge ---- */

struct conn;
struct job;

typedef void (*job_reply_fn)(struct conn *conn, struct ipc_msg *reply);

struct job {
    LIST_ENTRY(job) hash;
    LIST_ENTRY(job) of_judge;
    uint64_t id;
    struct conn *conn;   /* NULL: the client has gone */
    struct judge *judge; /* NULL: the vault's */
    job_reply_fn reply;
    int64_t began_us;
};
LIST_HEAD(job_list, job);

struct judge {
    struct peer *peer; /* NULL: none at present */
    struct job_list jobs;
    unsigned nr_jobs;
    int64_t pinged_us; /* 0: no answer is waited for */
    bool hung;         /* it will be ended */
};

/* ---- Connections ---- */

enum conn_state {
    CONN_QUIET,     /* no byte came yet: no TLS state either */
    CONN_HANDSHAKE, /* in TLS's */
    CONN_HEAD,      /* reads a request's head */
    CONN_BODY,
    CONN_WAIT,   /* for vault or judge */
    CONN_ANSWER, /* writes */
    CONN_STREAM, /* server-sent events */
    CONN_LINGER, /* the answer is out, the client still sends */
};

struct conn {
    TAILQ_ENTRY(conn) list; /* of its kind: quiet, handshakes, the others */
    LIST_ENTRY(conn) subscribers;
    struct front *front;
    const struct door *door;
    struct client *client;
    enum conn_state state;
    int fd;              /* until bev has it */
    struct event *first; /* the first byte */
    struct event *deadline;
    struct bufferevent *bev;
    char identity[65]; /* of the client's certificate, hex SHA-256 */

    struct http_head head;
    char *head_text; /* what head points into */
    size_t scanned;  /* of the input, for the end of the head */
    struct http_path path;
    struct http_chunks chunks;
    uint8_t *body;
    size_t body_len, body_room;
    const struct route *route;
    char tenant[HTTP_SEGMENT_MAX + 1]; /* empty: none, and no default one */
    size_t path_from;                  /* the first segment behind the tenant's prefix */
    bool expects_head;                 /* HEAD */
    bool keep;                         /* the connection, after the answer */
    bool known;                        /* a subscriber who has shown who it is */
    struct job *job;
    int64_t began_us;
    size_t lingered;
};
TAILQ_HEAD(conn_list, conn);
LIST_HEAD(subscriber_list, conn);

/* ---- The front ---- */

#define JOB_BUCKETS 1024

struct front {
    struct service_config *config;
    enum service_role role;
    struct event_base *base;
    struct door doors[2 * SERVICE_LISTEN_MAX];
    size_t nr_doors;
    SSL_CTX *tls;
    struct limits *limits;
    struct front_metrics *all_metrics, *metrics; /* both fronts', its own */

    struct peer *control, *vault;
    struct judge judges[SERVICE_WORKERS_MAX];
    struct job_list jobs[JOB_BUCKETS];
    unsigned nr_jobs;
    uint64_t next_id;

    struct conn_list quiet, handshakes, others;
    unsigned nr_connections, nr_handshakes, nr_subscribers;
    size_t body_bytes; /* of all requests that are being read or judged */
    struct subscriber_list subscribers;
    struct event *tick, *watch;
    char *problem; /* what the vault says of itself (IPC_HEALTH), or NULL */
    bool stopping;
    int exit_status;
};

/* front.c */
int64_t front_now_us(void);
void front_fail(struct front *f, const char *what); /* ends the process with 1 */
void front_maybe_end(struct front *f);              /* when stopping and nothing is left */

/* tls.c */
enum bawn_status tls_context(SSL_CTX **ctx, const struct service_config *config,
                             enum service_role role, SSL_CTX *old, struct bawn_error *err);
/* True, and the hex SHA-256 of the peer's certificate. */
bool tls_identity(const SSL *ssl, char identity[65]);
/* Whether the certificate of this connection's server is for that name or address. */
bool tls_is_for(const SSL *ssl, const char *host);

/* conn.c */
void conn_accept(evutil_socket_t fd, short what, void *door);
void conn_close(struct conn *c);
void conn_close_idle(struct front *f);
/* Answers; body is copied (or moved from the buffer). type NULL: JSON. headers: further lines, each
 * with CRLF, or NULL. */
void conn_answer(struct conn *c, int status, const char *type, const char *headers,
                 const void *body, size_t len);
void conn_answer_buffer(struct conn *c, int status, const char *type, const char *headers,
                        struct evbuffer *body);
/* {"type": KBS's prefix and kind, "detail"}. retry_after: seconds, 0 none. */
void conn_error(struct conn *c, int status, const char *kind, const char *detail,
                unsigned retry_after);
bool conn_stream_start(struct conn *c);
void conn_wait(struct conn *c);

/* host.c: whether Host names this service; false for a door that names can lead strangers to. */
bool host_check(const struct conn *c);
bool host_is_ours(struct slice host, const struct config_names *names, bool loopback);

/* routes.c */
struct route {
    const char *name; /* of metrics */
    const char *pattern;
    unsigned methods, doors;
    void (*handle)(struct conn *c);
    bool json_only; /* 415 for another content type */
};
extern const struct route routes[];
extern const unsigned nr_routes;
/* The head is there: finds the route and the tenant. False: answered with an error. */
bool route_find(struct conn *c);
size_t route_body_max(const struct conn *c);

/* handlers.c */
void handle_auth(struct conn *c);
void handle_attest(struct conn *c);
void handle_resource(struct conn *c);
void handle_admin(struct conn *c);
void handle_jwks(struct conn *c);
void handle_events(struct conn *c);
void handle_health(struct conn *c);
void handle_metrics(struct conn *c);
void handle_page(struct conn *c);
/* IPC_EVENT from the vault, to all subscribers of its tenant; the heartbeat with NULL. Reasons go
 * to those alone who are known. */
void events_send(struct front *f, const json_t *event);

/* backend.c */
enum bawn_status backend_start(struct front *f, const struct service_fds *fds,
                               struct bawn_error *err);
void backend_end(struct front *f);
void backend_ready(struct front *f);
/* Sends a request; the answer comes to reply with the connection, which waits. json is borrowed.
 * Without room or judge the client has its 503 and it is false. */
bool backend_vault(struct conn *c, enum ipc_op op, const json_t *json, struct bawn_bytes blob,
                   job_reply_fn reply);
bool backend_judge(struct conn *c, const json_t *json, struct bawn_bytes blob, job_reply_fn reply);
void job_forget(struct conn *c); /* its client has gone */
unsigned backend_judges(const struct front *f);
/* Every second: asks judges that keep a request, and reports those that do not answer. */
void backend_watch(struct front *f);
/* Answers with an IPC_REPLY as it is. */
void reply_plain(struct conn *c, struct ipc_msg *reply);

/* page.c */
void page_print(struct evbuffer *out, const json_t *status, int64_t now);
void page_escape(struct evbuffer *out, const char *text);

#endif

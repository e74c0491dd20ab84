// SPDX-License-Identifier: Apache-2.0
/*
 * A client's connection, from accept to close. Whatever a client does or leaves undone costs a
 * bounded amount of memory for a bounded time: until its first byte a few hundred bytes, a TLS
 * state only from then on, a deadline in each state, and room for as many as the limits say; when
 * that is used up, those that have not finished their handshake make room, oldest first.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/bufferevent_ssl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include "attest/service/front/front.h"

#define ACCEPT_AT_ONCE 64
#define HANDSHAKES_MAX 1024u    /* with TLS state, some 40 KiB each */
#define BODIES_MAX (256u << 20) /* bytes of all bodies that are held */
#define INPUT_MAX 65536u        /* read ahead of what is used */
#define JOB_SECONDS 30          /* for vault and judge */
#define LINGER_SECONDS 2
#define LINGER_MAX (4u << 20)
#define BODY_FIRST 4096u
#define BODY_STEP 16384u
#define ONE_RECORD 15000u /* of 16 KiB (RFC 8446, 5.1) */
#define HEAD_ROOM 512u

static void conn_input(struct conn *c);

/* ---- Lists, deadlines ---- */

static struct conn_list *list_of(struct conn *c)
{
    struct front *f = c->front;

    return c->state == CONN_QUIET       ? &f->quiet
           : c->state == CONN_HANDSHAKE ? &f->handshakes
                                        : &f->others;
}

static void set_state(struct conn *c, enum conn_state state)
{
    struct conn_list *before = list_of(c), *after;

    c->front->nr_handshakes -= c->state == CONN_HANDSHAKE;
    c->state = state;
    c->front->nr_handshakes += c->state == CONN_HANDSHAKE;
    after = list_of(c);
    if (before == after)
        return;
    TAILQ_REMOVE(before, c, list);
    TAILQ_INSERT_TAIL(after, c, list);
}

static void set_deadline(struct conn *c, unsigned seconds)
{
    const struct timeval tv = { (time_t)seconds, 0 };

    if (seconds)
        event_add(c->deadline, &tv);
    else
        event_del(c->deadline);
}

static void on_deadline(evutil_socket_t fd, short what, void *context)
{
    struct conn *c = context;

    (void)fd, (void)what;
    if (c->state == CONN_WAIT) {
        job_forget(c);
        conn_error(c, 503, "Unavailable", "the service took too long; try again", 5);
        return;
    }
    if (c->state != CONN_LINGER && !(c->state == CONN_HEAD && !c->began_us))
        c->front->metrics->timeouts++;
    if (c->state == CONN_BODY || (c->state == CONN_HEAD && c->began_us))
        conn_error(c, 408, "Timeout", "the request came too slowly", 0);
    else
        conn_close(c);
}

/* ---- The end ---- */

static void drop_request(struct conn *c)
{
    if (c->body)
        OPENSSL_cleanse(c->body, c->body_len);
    free(c->body);
    c->front->body_bytes -= c->body_room;
    c->body = NULL;
    c->body_len = c->body_room = 0;
    if (c->head_text)
        OPENSSL_cleanse(c->head_text, c->head.size);
    free(c->head_text);
    c->head_text = NULL;
    c->head = (struct http_head){ 0 };
    c->chunks = (struct http_chunks){ 0 };
    c->route = NULL;
    c->scanned = 0;
    c->began_us = 0;
}

void conn_close(struct conn *c)
{
    struct front *f = c->front;
    SSL *ssl = c->bev ? bufferevent_openssl_get_ssl(c->bev) : NULL;

    job_forget(c);
    drop_request(c);
    if (c->state == CONN_STREAM) {
        LIST_REMOVE(c, subscribers);
        f->metrics->subscribers = --f->nr_subscribers;
        if (c->client)
            c->client->streams--;
    }
    TAILQ_REMOVE(list_of(c), c, list);
    f->nr_handshakes -= c->state == CONN_HANDSHAKE;
    if (c->client)
        c->client->connections--;
    f->metrics->connections = --f->nr_connections;
    if (ssl && c->state > CONN_HANDSHAKE && c->state != CONN_LINGER)
        SSL_shutdown(ssl);
    ERR_clear_error();
    if (c->bev)
        bufferevent_free(c->bev); /* closes the socket */
    else
        close(c->fd);
    if (c->first)
        event_free(c->first);
    if (c->deadline)
        event_free(c->deadline);
    free(c);
    front_maybe_end(f);
}

/* For the end of the process: those in the midst of a request go on to its answer. */
void conn_close_idle(struct front *f)
{
    struct conn_list *const half_open[] = { &f->quiet, &f->handshakes };
    struct conn *c, *next;

    for (size_t i = 0; i < 2; i++)
        while ((c = TAILQ_FIRST(half_open[i])))
            conn_close(c);
    for (c = TAILQ_FIRST(&f->others); c; c = next) {
        next = TAILQ_NEXT(c, list);
        if (c->state == CONN_STREAM || (c->state == CONN_HEAD && !c->began_us))
            conn_close(c);
    }
}

/* ---- Answers ---- */

/* The whole request was read, so that the next one can follow. */
static bool request_complete(const struct conn *c)
{
    if (!c->head_text)
        return false;
    return c->head.chunked ? c->chunks.state == CHUNK_DONE : c->body_len == c->head.length;
}

static void answer_head(struct conn *c, int status, const char *type, const char *headers,
                        size_t len)
{
    struct evbuffer *out = bufferevent_get_output(c->bev);

    /* With the body behind it in one piece of memory, an answer is one record and one system call.
     */
    if (len < ONE_RECORD)
        evbuffer_expand(out, len + HEAD_ROOM + (headers ? strlen(headers) : 0));
    evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\n", status, http_reason(status));
    if (status != 204)
        evbuffer_add_printf(out, "Content-Type: %s\r\nContent-Length: %zu\r\n",
                            type ? type : "application/json", len);
    evbuffer_add_printf(out,
                        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n%s%s\r\n",
                        headers ? headers : "", c->keep ? "" : "Connection: close\r\n");
}

static void answered(struct conn *c, int status)
{
    unsigned route = c->route ? (unsigned)(c->route - routes) : nr_routes;
    int64_t us = c->began_us ? front_now_us() - c->began_us : 0;

    metrics_request(c->front->metrics, route, status, us > 0 ? (uint64_t)us : 0);
    if (c->door->kind == DOOR_ADMIN && c->head_text && c->head.method != HTTP_GET)
        journal("info", "administration", "{s:s,s:s%,s:s%,s:i}", "identity", c->identity, "method",
                c->head.method_text.p, c->head.method_text.len, "path", c->head.path.p,
                c->head.path.len, "status", status);
    set_state(c, CONN_ANSWER);
    set_deadline(c, c->front->config->limits.body_timeout);
}

void conn_answer_buffer(struct conn *c, int status, const char *type, const char *headers,
                        struct evbuffer *body)
{
    c->keep = c->keep && request_complete(c) && !c->front->stopping;
    answer_head(c, status, type, headers, evbuffer_get_length(body));
    if (status != 204 && c->head.method != HTTP_HEAD)
        evbuffer_add_buffer(bufferevent_get_output(c->bev), body);
    answered(c, status);
}

void conn_answer(struct conn *c, int status, const char *type, const char *headers,
                 const void *body, size_t len)
{
    c->keep = c->keep && request_complete(c) && !c->front->stopping;
    answer_head(c, status, type, headers, len);
    if (status != 204 && c->head.method != HTTP_HEAD && len)
        evbuffer_add(bufferevent_get_output(c->bev), body, len);
    answered(c, status);
}

void conn_error(struct conn *c, int status, const char *kind, const char *detail,
                unsigned retry_after)
{
    char body[512], headers[64] = "";
    int n = snprintf(body, sizeof(body),
                     "{\"type\":\"https://github.com/confidential-containers/kbs/errors/%s\","
                     "\"detail\":\"%s\"}",
                     kind, detail);

    if (retry_after)
        snprintf(headers, sizeof(headers), "Retry-After: %u\r\n", retry_after);
    else if (status == 401)
        snprintf(headers, sizeof(headers), "WWW-Authenticate: Bearer\r\n");
    conn_answer(c, status, NULL, headers, body, (size_t)n);
}

void conn_wait(struct conn *c)
{
    set_state(c, CONN_WAIT);
    set_deadline(c, JOB_SECONDS);
}

/* One address has a quarter of all subscribers' places, so that it does not keep others out. */
static bool has_share(const struct conn *c)
{
    return !c->client || c->client->streams < (c->front->config->limits.subscribers + 3) / 4;
}

bool conn_stream_start(struct conn *c)
{
    struct front *f = c->front;

    if (f->nr_subscribers >= f->config->limits.subscribers || !has_share(c) || f->stopping) {
        conn_error(c, 503, "Unavailable", "there are too many subscribers", 60);
        return false;
    }
    evbuffer_add_printf(bufferevent_get_output(c->bev),
                        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                        "Cache-Control: no-store\r\nConnection: close\r\n\r\n: subscribed\n\n");
    metrics_request(f->metrics, (unsigned)(c->route - routes), 200, 0);
    set_state(c, CONN_STREAM);
    set_deadline(c, 0);
    LIST_INSERT_HEAD(&f->subscribers, c, subscribers);
    if (c->client)
        c->client->streams++;
    f->metrics->subscribers = ++f->nr_subscribers;
    return true;
}

/* The answer is out. A socket closed with bytes unread would take the answer back from the client
 * (RFC 9112, 9.6), so those that still send are heard for a while. */
static void linger(struct conn *c)
{
    SSL *ssl = bufferevent_openssl_get_ssl(c->bev);

    if (ssl)
        SSL_shutdown(ssl);
    ERR_clear_error();
    shutdown(bufferevent_getfd(c->bev), SHUT_WR);
    set_state(c, CONN_LINGER);
    set_deadline(c, LINGER_SECONDS);
    conn_input(c);
}

static void on_write(struct bufferevent *bev, void *context)
{
    struct conn *c = context;

    if (c->state != CONN_ANSWER || evbuffer_get_length(bufferevent_get_output(bev)))
        return;
    if (!c->keep) {
        bool complete = request_complete(c);

        drop_request(c);
        if (complete)
            conn_close(c);
        else
            linger(c);
        return;
    }
    drop_request(c);
    set_state(c, CONN_HEAD);
    set_deadline(c, c->front->config->limits.idle_timeout);
    conn_input(c);
}

/* ---- Requests ---- */

/* Room for n more bytes; secrets that move leave no copy. False: answered. */
static bool body_reserve(struct conn *c, size_t n)
{
    struct front *f = c->front;
    size_t room = c->body_room ? c->body_room : BODY_FIRST;
    uint8_t *body;

    if (c->body_room - c->body_len >= n)
        return true;
    while (room < c->body_len + n)
        room *= 2;
    body = f->body_bytes + room <= BODIES_MAX ? malloc(room) : NULL;
    if (!body) {
        conn_error(c, 503, "Unavailable", "too much is being received; try again", 5);
        return false;
    }
    if (c->body_len) {
        memcpy(body, c->body, c->body_len);
        OPENSSL_cleanse(c->body, c->body_len);
    }
    free(c->body);
    c->body = body;
    f->body_bytes += room - c->body_room;
    c->body_room = room;
    return true;
}

static void too_large(struct conn *c)
{
    conn_error(c, 413, "TooLarge", "the body is larger than this service takes", 0);
}

/* True: went on; there may be more to do. */
static bool input_body(struct conn *c)
{
    struct evbuffer *in = bufferevent_get_input(c->bev);
    size_t len = evbuffer_get_length(in), max = route_body_max(c), written = 0;
    const uint8_t *data;
    ptrdiff_t used;

    if (request_complete(c)) {
        c->route->handle(c);
        return true;
    }
    if (!len)
        return false;
    if (len > BODY_STEP)
        len = BODY_STEP;
    if (!c->head.chunked && len > c->head.length - c->body_len)
        len = (size_t)(c->head.length - c->body_len);
    if (!body_reserve(c, len))
        return true;
    data = evbuffer_pullup(in, (ev_ssize_t)len);
    if (c->head.chunked) {
        used = http_chunks_read(&c->chunks, data, len, c->body + c->body_len, &written);
    } else {
        memcpy(c->body + c->body_len, data, len);
        used = (ptrdiff_t)len;
        written = len;
    }
    if (used < 0) {
        conn_error(c, 400, "BadRequest", "the body's chunks are malformed", 0);
        return true;
    }
    evbuffer_drain(in, (size_t)used);
    c->body_len += written;
    if (c->body_len > max)
        too_large(c);
    return true;
}

static void begin_body(struct conn *c)
{
    struct front *f = c->front;

    if (!route_find(c))
        return;
    if (c->head.length > route_body_max(c)) {
        too_large(c);
        return;
    }
    set_state(c, CONN_BODY);
    set_deadline(c, f->config->limits.body_timeout);
    if (c->head.continue_100 && !request_complete(c) &&
        !evbuffer_get_length(bufferevent_get_input(c->bev)))
        evbuffer_add_printf(bufferevent_get_output(c->bev), "HTTP/1.1 100 Continue\r\n\r\n");
}

/* The head as a text of its own, since the input's memory goes. */
static void take_head(struct conn *c, size_t len)
{
    const struct service_config *config = c->front->config;
    int status;

    c->head_text = malloc(len);
    if (!c->head_text) {
        c->keep = false;
        conn_error(c, 503, "Unavailable", "no memory", 1);
        return;
    }
    evbuffer_remove(bufferevent_get_input(c->bev), c->head_text, len);
    status = http_parse_head(c->head_text, len, &c->head);
    c->head.size = len;
    c->keep = !status && c->head.keep_alive;
    if (status) {
        c->head.length = UINT64_MAX; /* where it ends is not known */
        conn_error(c, status, "BadRequest", http_reason(status), 0);
        return;
    }
    if (c->client &&
        !client_take(c->client, config->limits.rate, config->limits.burst, front_now_us() / 1000)) {
        c->front->metrics->rate_limited++;
        conn_error(c, 429, "TooManyRequests", "this address asks too often", 1);
        return;
    }
    begin_body(c);
}

static bool input_head(struct conn *c)
{
    struct evbuffer *in = bufferevent_get_input(c->bev);
    size_t len = evbuffer_get_length(in), max = c->front->config->limits.header;
    struct evbuffer_ptr from, found;

    if (!len)
        return false;
    if (!c->began_us) {
        c->began_us = front_now_us();
        set_deadline(c, c->front->config->limits.header_timeout);
    }
    evbuffer_ptr_set(in, &from, c->scanned, EVBUFFER_PTR_SET);
    found = evbuffer_search(in, "\r\n\r\n", 4, &from);
    if (found.pos >= 0 && (size_t)found.pos + 4 <= max) {
        take_head(c, (size_t)found.pos + 4);
        return true;
    }
    if (len < max && found.pos < 0) {
        c->scanned = len > 3 ? len - 3 : 0;
        return false;
    }
    c->keep = false;
    conn_error(c, 431, "BadRequest", "the headers are larger than this service takes", 0);
    return true;
}

/* What came is used as far as the state allows. */
static void conn_input(struct conn *c)
{
    struct evbuffer *in = bufferevent_get_input(c->bev);
    bool more = true;

    while (more) {
        enum conn_state before = c->state;

        if (before == CONN_HEAD) {
            more = input_head(c);
        } else if (before == CONN_BODY) {
            more = input_body(c);
        } else {
            more = false;
        }
    }
    if (c->state == CONN_STREAM)
        evbuffer_drain(in, evbuffer_get_length(in));
    if (c->state != CONN_LINGER)
        return;
    c->lingered += evbuffer_get_length(in);
    evbuffer_drain(in, evbuffer_get_length(in));
    if (c->lingered > LINGER_MAX)
        conn_close(c);
}

static void on_read(struct bufferevent *bev, void *context)
{
    (void)bev;
    conn_input(context);
}

/* ---- Start ---- */

static void on_event(struct bufferevent *bev, short what, void *context)
{
    struct conn *c = context;
    struct front_metrics *m = c->front->metrics;
    SSL *ssl = bufferevent_openssl_get_ssl(bev);

    if (!(what & BEV_EVENT_CONNECTED)) {
        if (c->state == CONN_HANDSHAKE)
            m->tls_failures++;
        while (bufferevent_get_openssl_error(bev))
            ;
        conn_close(c);
        return;
    }
    if (c->door->kind == DOOR_ADMIN && !tls_identity(ssl, c->identity)) {
        m->tls_failures++;
        conn_close(c);
        return;
    }
    if (SSL_session_reused(ssl))
        m->tls_resumed++;
    else
        m->tls_full++;
    set_state(c, CONN_HEAD);
    set_deadline(c, c->front->config->limits.header_timeout);
}

/* Of two lists the oldest goes; those in it have shown nothing for their place. */
static void evict(struct front *f, struct conn_list *list)
{
    struct conn *oldest = TAILQ_FIRST(list);

    if (!oldest)
        return;
    f->metrics->evicted++;
    /* It takes itself out of the list, by its state: the analyser does not see that. */
    conn_close(oldest); // NOLINT(clang-analyzer-unix.Malloc)
}

static void on_first(evutil_socket_t fd, short what, void *context)
{
    struct conn *c = context;
    struct front *f = c->front;
    SSL *ssl = NULL;
    char byte;

    (void)what;
    if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 1) {
        conn_close(c);
        return;
    }
    event_free(c->first);
    c->first = NULL;
    if (c->door->kind == DOOR_STATUS) {
        c->bev = bufferevent_socket_new(f->base, fd, BEV_OPT_CLOSE_ON_FREE);
    } else {
        if (f->nr_handshakes >= HANDSHAKES_MAX)
            evict(f, &f->handshakes);
        ssl = SSL_new(f->tls);
        if (ssl)
            c->bev = bufferevent_openssl_socket_new(f->base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING,
                                                    BEV_OPT_CLOSE_ON_FREE);
    }
    if (!c->bev) {
        SSL_free(ssl);
        conn_close(c);
        return;
    }
    set_state(c, ssl ? CONN_HANDSHAKE : CONN_HEAD);
    bufferevent_setcb(c->bev, on_read, on_write, on_event, c);
    bufferevent_setwatermark(c->bev, EV_READ, 0, INPUT_MAX);
    bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

static bool conn_create(const struct door *door, int fd, struct client *client)
{
    struct front *f = door->front;
    struct conn *c = calloc(1, sizeof(*c));

    if (!c)
        return false;
    *c = (struct conn){ .front = f, .door = door, .fd = fd, .state = CONN_QUIET };
    c->deadline = event_new(f->base, -1, 0, on_deadline, c);
    c->first = event_new(f->base, fd, EV_READ, on_first, c);
    if (!c->deadline || !c->first || event_add(c->first, NULL)) {
        if (c->deadline)
            event_free(c->deadline);
        if (c->first)
            event_free(c->first);
        free(c);
        return false;
    }
    c->client = client;
    if (client)
        client->connections++;
    TAILQ_INSERT_TAIL(&f->quiet, c, list);
    f->metrics->connections = ++f->nr_connections;
    set_deadline(c, f->config->limits.header_timeout);
    return true;
}

static bool admit(const struct door *door, int fd, const struct sockaddr *address)
{
    struct front *f = door->front;
    const struct service_config *config = f->config;
    struct client *client = NULL;

    if (address->sa_family != AF_UNIX && door->kind != DOOR_STATUS) {
        client = limits_client(f->limits, address);
        if (!client || client->connections >= config->limits.per_client)
            return false;
    }
    if (f->nr_connections >= config->limits.connections)
        evict(f, TAILQ_FIRST(&f->quiet) ? &f->quiet : &f->handshakes);
    if (f->nr_connections >= config->limits.connections)
        return false;
    return conn_create(door, fd, client);
}

void conn_accept(evutil_socket_t listener, short what, void *context)
{
    struct door *door = context;

    (void)what;
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        struct sockaddr_storage address = { 0 };
        socklen_t len = sizeof(address);
        int fd = accept4(listener, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0 && (errno == EMFILE || errno == ENFILE) &&
            (TAILQ_FIRST(&door->front->quiet) || TAILQ_FIRST(&door->front->handshakes))) {
            evict(door->front, TAILQ_FIRST(&door->front->quiet) ? &door->front->quiet
                                                                : &door->front->handshakes);
            continue;
        }
        if (fd < 0)
            return; /* none left, or gone again */
        if (admit(door, fd, (const struct sockaddr *)&address)) {
            door->front->metrics->accepted++;
        } else {
            door->front->metrics->refused++;
            close(fd);
        }
    }
}

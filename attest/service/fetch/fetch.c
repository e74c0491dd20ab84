// SPDX-License-Identifier: Apache-2.0
/*
 * The process that fetches: it asks the configured mirror for what the vault names, one thing at a
 * time, and gives back the bytes unread. It has the network and nothing else: no database, no key,
 * no evidence. The mirror is not trusted; what it gives is checked by the vault.
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "attest/service/config.h"
#include "attest/service/ipc.h"
#include "attest/service/service.h"

#define HEAD_MAX (16u << 10)
#define BODY_MAX (4u << 20) /* a CRL; a certificate has 2 KiB */
#define STEP_SECONDS 5      /* for a connection, a read, a write */
#define WHOLE_SECONDS 20    /* for an answer */

struct fetcher {
    struct config_mirror mirror;
    SSL_CTX *tls; /* NULL: http */
    struct ipc *vault;
};

/* One exchange. */
struct exchange {
    int fd;
    SSL *ssl;
    int64_t until; /* seconds */
    uint8_t *data;
    size_t len;
};

static int64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

/* ---- Connecting ---- */

static int connect_to(const struct addrinfo *a)
{
    const struct timeval limit = { STEP_SECONDS, 0 };
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);

    if (fd < 0)
        return -1;
    /* Linux applies the limit of sending to connect() too. */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) ||
        connect(fd, a->ai_addr, a->ai_addrlen)) {
        close(fd);
        return -1;
    }
    return fd;
}

static struct addrinfo *resolve(const struct config_mirror *m)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    struct addrinfo *list = NULL;

    return getaddrinfo(m->host, m->port, &hints, &list) ? NULL : list;
}

static enum bawn_status start_tls(const struct fetcher *f, struct exchange *x,
                                  struct bawn_error *err)
{
    const char *host = f->mirror.host;
    X509_VERIFY_PARAM *param;

    x->ssl = SSL_new(f->tls);
    if (!x->ssl || SSL_set_fd(x->ssl, x->fd) != 1)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for TLS");
    param = SSL_get0_param(x->ssl);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, host) != 1 &&
        (SSL_set1_host(x->ssl, host) != 1 || SSL_set_tlsext_host_name(x->ssl, host) != 1))
        return bawn_fail(err, BAWN_E_INTERNAL, "no name for TLS");
    if (SSL_connect(x->ssl) == 1)
        return BAWN_OK;
    return bawn_fail(err, BAWN_E_IO, "TLS with the mirror %s fails: %s", host,
                     SSL_get_verify_result(x->ssl) != X509_V_OK
                         ? X509_verify_cert_error_string(SSL_get_verify_result(x->ssl))
                         : "it does not speak it, or not in time");
}

static enum bawn_status open_exchange(const struct fetcher *f, struct exchange *x,
                                      struct bawn_error *err)
{
    struct addrinfo *list = resolve(&f->mirror);

    x->fd = -1;
    if (!list)
        return bawn_fail(err, BAWN_E_IO, "the mirror's name %s has no address", f->mirror.host);
    for (const struct addrinfo *a = list; a && x->fd < 0; a = a->ai_next)
        x->fd = connect_to(a);
    freeaddrinfo(list);
    if (x->fd < 0)
        return bawn_fail(err, BAWN_E_IO, "the mirror %s is not reached", f->mirror.host);
    return f->tls ? start_tls(f, x, err) : BAWN_OK;
}

static void close_exchange(struct exchange *x)
{
    SSL_free(x->ssl);
    if (x->fd >= 0)
        close(x->fd);
    free(x->data);
}

/* ---- HTTP/1.0: one request, one answer, and the end of the connection ---- */

static bool send_all(const struct exchange *x, const char *text, size_t len)
{
    while (len) {
        ssize_t n =
            x->ssl ? SSL_write(x->ssl, text, (int)len) : send(x->fd, text, len, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        text += n;
        len -= (size_t)n;
    }
    return true;
}

static enum bawn_status read_answer(struct exchange *x, struct bawn_error *err)
{
    const size_t room = HEAD_MAX + BODY_MAX;

    x->data = malloc(room + 1);
    if (!x->data)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for an answer");
    for (;;) {
        ssize_t n = x->ssl ? SSL_read(x->ssl, x->data + x->len, (int)(room - x->len))
                           : recv(x->fd, x->data + x->len, room - x->len, 0);

        if (n == 0 || (n < 0 && x->ssl && SSL_get_error(x->ssl, (int)n) == SSL_ERROR_ZERO_RETURN))
            break;
        if (n < 0)
            return bawn_fail(err, BAWN_E_IO, "the mirror's answer breaks off");
        x->len += (size_t)n;
        if (x->len == room)
            return bawn_fail(err, BAWN_E_FORMAT, "the mirror's answer is too large");
        if (now() > x->until)
            return bawn_fail(err, BAWN_E_IO, "the mirror is too slow");
    }
    x->data[x->len] = '\0';
    return BAWN_OK;
}

/* The value of Content-Length, or -1; head ends in a zero byte. */
static long long length_of(const char *head)
{
    const char *line = head, *end = NULL;
    char *stop;

    while ((line = strstr(line, "\r\n"))) {
        line += 2;
        if (!strncasecmp(line, "content-length:", 15))
            end = line + 15 + strspn(line + 15, " \t");
    }
    return end && *end >= '0' && *end <= '9' ? strtoll(end, &stop, 10) : -1;
}

/* The body of a 200. Redirections are not followed: the mirror is what was configured. */
static enum bawn_status body_of(struct exchange *x, struct bawn_bytes *body, struct bawn_error *err)
{
    char *head = (char *)x->data, *end = memmem(x->data, x->len, "\r\n\r\n", 4);
    const size_t line = sizeof("HTTP/1.1 ") - 1;
    long status;
    long long length;

    if (!end || (size_t)(end - head) > HEAD_MAX || (size_t)(end - head) < line ||
        memchr(head, 0, (size_t)(end - head)) || strncmp(head, "HTTP/1.", 7) != 0 ||
        strspn(head + line, "0123456789") != 3)
        return bawn_fail(err, BAWN_E_FORMAT, "the mirror's answer is no HTTP");
    *end = '\0';
    status = strtol(head + line, NULL, 10);
    if (status != 200)
        return bawn_fail(err, BAWN_E_IO, "the mirror answers with status %ld", status);
    *body = (struct bawn_bytes){ (uint8_t *)end + 4, x->len - (size_t)(end - head) - 4 };
    length = length_of(head);
    if (!body->len || body->len > BODY_MAX || (length >= 0 && (size_t)length != body->len))
        return bawn_fail(err, BAWN_E_FORMAT, "the mirror's answer is not as long as it says");
    return BAWN_OK;
}

static enum bawn_status exchange(const struct fetcher *f, const char *path, struct exchange *x,
                                 struct bawn_bytes *body, struct bawn_error *err)
{
    char request[2048];
    int n = snprintf(request, sizeof(request),
                     "GET %s%s HTTP/1.0\r\nHost: %s\r\nUser-Agent: bawn-attestd\r\n"
                     "Accept: application/octet-stream, */*\r\nConnection: close\r\n\r\n",
                     f->mirror.base, path, f->mirror.host);
    enum bawn_status st = open_exchange(f, x, err);

    if (st == BAWN_OK &&
        (n < 0 || (size_t)n >= sizeof(request) || !send_all(x, request, (size_t)n)))
        st = bawn_fail(err, BAWN_E_IO, "the mirror does not take the request");
    if (st == BAWN_OK)
        st = read_answer(x, err);
    return st == BAWN_OK ? body_of(x, body, err) : st;
}

static enum bawn_status serve(struct fetcher *f, const struct ipc_msg *m, struct bawn_error *err)
{
    const char *path = json_string_value(json_object_get(m->json, "path"));
    struct exchange x = { .fd = -1, .until = now() + WHOLE_SECONDS };
    struct bawn_bytes body = { 0 };
    struct bawn_error why = { "" };
    json_t *reply;
    enum bawn_status st;

    if (m->op != IPC_FETCH || !path || path[0] != '/')
        return bawn_fail(err, BAWN_E_FORMAT, "the vault sent what is no request");
    st = exchange(f, path, &x, &body, &why);
    if (st != BAWN_OK)
        body.len = 0;
    reply = json_pack("{s:s}", "error", st == BAWN_OK ? "" : why.msg);
    st = reply ? ipc_send(f->vault, IPC_FETCHED, m->id, reply, body, -1, err)
               : bawn_fail(err, BAWN_E_NOMEM, "no memory for an answer");
    json_decref(reply);
    close_exchange(&x);
    return st;
}

/* ---- The process ---- */

static enum bawn_status set_up(struct fetcher *f, const struct service_config *config,
                               struct bawn_error *err)
{
    const struct config_file *ca = &config->collateral.mirror_ca;
    const char *why;
    BIO *bio;
    X509 *cert;
    unsigned n = 0;

    if (!config->collateral.mirror ||
        !config_mirror_parse(config->collateral.mirror, &f->mirror, &why))
        return bawn_fail(err, BAWN_E_CONFIG, "there is no mirror");
    if (!f->mirror.tls)
        return BAWN_OK;
    f->tls = SSL_CTX_new(TLS_client_method());
    bio = BIO_new_mem_buf(ca->data, (int)ca->len);
    if (!f->tls || !bio)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for TLS");
    SSL_CTX_set_min_proto_version(f->tls, TLS1_2_VERSION);
    SSL_CTX_set_verify(f->tls, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_options(f->tls, SSL_OP_IGNORE_UNEXPECTED_EOF); /* length_of() sees what is cut */
    while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        n += X509_STORE_add_cert(SSL_CTX_get_cert_store(f->tls), cert) == 1;
        X509_free(cert);
    }
    BIO_free(bio);
    return n ? BAWN_OK
             : bawn_fail(err, BAWN_E_CONFIG, "%s: there is no certificate (PEM) in it", ca->path);
}

static enum bawn_status turn(struct fetcher *f, struct bawn_error *err)
{
    struct pollfd p = { .fd = ipc_fd(f->vault), .events = POLLIN };
    struct ipc_msg m;
    enum bawn_status st;

    if (ipc_wants_write(f->vault))
        p.events |= POLLOUT;
    if (poll(&p, 1, -1) < 0)
        return errno == EINTR ? BAWN_OK : bawn_fail(err, BAWN_E_IO, "poll: %m");
    st = p.revents & (POLLIN | POLLHUP | POLLERR) ? ipc_read(f->vault, err) : BAWN_OK;
    while (st == BAWN_OK && ipc_next(f->vault, &m)) {
        st = serve(f, &m, err);
        ipc_msg_clear(&m);
    }
    return st == BAWN_OK ? ipc_flush(f->vault, err) : st;
}

int fetch_main(struct service_config *config, const struct service_fds *fds)
{
    struct fetcher f = { .vault = ipc_create(fds->vault) };
    struct bawn_error err = { "" };
    struct addrinfo *list;
    enum bawn_status st = f.vault ? set_up(&f, config, &err) : BAWN_E_NOMEM;

    if (st == BAWN_OK) { /* what the C library loads for names, before nothing can be loaded */
        list = resolve(&f.mirror);
        if (list)
            freeaddrinfo(list);
        st = service_confine(config, ROLE_FETCH, &err);
    }
    if (st != BAWN_OK) {
        journal("error", "cannot fetch", "{s:s}", "why", err.msg);
    } else {
        while (st == BAWN_OK)
            st = turn(&f, &err);
        if (st == BAWN_E_IO) /* the vault has closed its side */
            st = BAWN_OK;
        else
            journal("error", "fetching ends", "{s:s}", "why", err.msg);
    }
    ipc_destroy(f.vault);
    SSL_CTX_free(f.tls);
    config_destroy(config);
    return st == BAWN_OK ? 0 : 1;
}

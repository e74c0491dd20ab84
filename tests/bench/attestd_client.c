// SPDX-License-Identifier: Apache-2.0
/* Clients: HTTP/1.1 over TLS 1.3 on blocking sockets, as little of it as bawn-attestd answers. */
#include "tests/bench/attestd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#define ANSWER_MAX (1u << 20)
#define PATIENCE_SECONDS 60 /* more than the service lets anyone wait */

void die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fputs("attestd-load: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(2);
}

/* ---- Connections ---- */

static int keep_ticket(SSL *ssl, SSL_SESSION *session)
{
    struct client *c = SSL_get_app_data(ssl);

    SSL_SESSION_free(c->ticket);
    c->ticket = session;
    return 1;
}

void client_init(struct client *c, const char *host, unsigned port, const char *ca, bool resume)
{
    *c = (struct client){ .host = host, .port = port, .resume = resume };
    c->tls = SSL_CTX_new(TLS_client_method());
    if (!c->tls || SSL_CTX_load_verify_locations(c->tls, ca, NULL) != 1)
        die("%s: no certificate", ca);
    SSL_CTX_set_verify(c->tls, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_min_proto_version(c->tls, TLS1_3_VERSION);
    if (!resume)
        return;
    SSL_CTX_set_session_cache_mode(c->tls, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(c->tls, keep_ticket);
}

static int open_socket(const struct client *c)
{
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons((uint16_t)c->port) };
    struct timeval patience = { PATIENCE_SECONDS, 0 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    if (fd < 0 || inet_pton(AF_INET, c->host, &sin.sin_addr) != 1)
        die("cannot make a socket to %s: %s", c->host, strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (!connect(fd, (struct sockaddr *)&sin, sizeof(sin)))
        return fd;
    close(fd);
    return -1;
}

bool client_connect(struct client *c)
{
    int fd = c->ssl ? -1 : open_socket(c);

    if (c->ssl)
        return true;
    if (fd < 0)
        return false;
    c->ssl = SSL_new(c->tls);
    if (!c->ssl || SSL_set_fd(c->ssl, fd) != 1 || SSL_set1_host(c->ssl, "localhost") != 1)
        die("no TLS");
    SSL_set_app_data(c->ssl, c);
    if (c->resume && c->ticket)
        SSL_set_session(c->ssl, c->ticket);
    if (SSL_connect(c->ssl) == 1) {
        c->resumed += SSL_session_reused(c->ssl) == 1;
        return true;
    }
    client_close(c);
    return false;
}

void client_close(struct client *c)
{
    int fd = c->ssl ? SSL_get_fd(c->ssl) : -1;

    if (c->ssl)
        SSL_shutdown(c->ssl);
    ERR_clear_error();
    SSL_free(c->ssl);
    c->ssl = NULL;
    if (fd >= 0)
        close(fd);
}

/* ---- Requests ---- */

static bool send_all(struct client *c, const char *data, size_t len)
{
    size_t done = 0;

    return SSL_write_ex(c->ssl, data, len, &done) == 1 && done == len;
}

static void take_head(struct answer *a, const char *head, size_t *length)
{
    const char *cookie = strcasestr(head, "\nset-cookie:");
    const char *len = strcasestr(head, "\ncontent-length:");

    a->status = (int)strtol(head + strcspn(head, " "), NULL, 10);
    *length = len ? strtoul(len + 16, NULL, 10) : 0;
    if (cookie) {
        cookie += 12 + strspn(cookie + 12, " ");
        snprintf(a->cookie, sizeof(a->cookie), "%.*s", (int)strcspn(cookie, ";\r"), cookie);
    }
}

static bool read_answer(struct client *c, struct answer *a)
{
    size_t len = 0, room = 8192, head = 0, length = 0, n;
    char *text = malloc(room), *end;

    while (text && (!head || len < head + length) && len < ANSWER_MAX) {
        if (room - len < 4096) {
            room *= 2;
            end = realloc(text, room);
            if (!end)
                break;
            text = end;
        }
        if (SSL_read_ex(c->ssl, text + len, room - len - 1, &n) != 1)
            break;
        len += n;
        text[len] = '\0';
        end = head ? NULL : strstr(text, "\r\n\r\n");
        if (end) {
            *end = '\0';
            head = (size_t)(end - text) + 4;
            take_head(a, text, &length);
        }
    }
    if (!text || !head || len < head + length) {
        free(text);
        a->status = 0;
        return false;
    }
    memmove(text, text + head, length);
    text[length] = '\0';
    a->body = text;
    a->len = length;
    return true;
}

bool client_ask(struct client *c, const char *method, const char *path, const char *cookie,
                const char *body, struct answer *a)
{
    char *text;
    int len;
    bool ok;

    *a = (struct answer){ 0 };
    if (!client_connect(c))
        return false;
    len = asprintf(&text,
                   "%s %s HTTP/1.1\r\nHost: localhost\r\n%s%s%s"
                   "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                   method, path, cookie ? "Cookie: " : "", cookie ? cookie : "",
                   cookie ? "\r\n" : "", body ? strlen(body) : 0, body ? body : "");
    if (len < 0)
        die("no memory");
    ok = send_all(c, text, (size_t)len) && read_answer(c, a);
    free(text);
    if (!ok) {
        answer_clear(a);
        client_close(c);
    }
    ERR_clear_error();
    return ok;
}

void answer_clear(struct answer *a)
{
    free(a->body);
    a->body = NULL;
    a->len = 0;
}

bool answer_text(const struct answer *a, const char *name, char *out, size_t size)
{
    char key[64];
    const char *p;
    size_t len;

    snprintf(key, sizeof(key), "\"%s\":\"", name);
    p = a->body ? strstr(a->body, key) : NULL;
    if (!p)
        return false;
    p += strlen(key);
    len = strcspn(p, "\"");
    if (len >= size)
        return false;
    memcpy(out, p, len);
    out[len] = '\0';
    return true;
}

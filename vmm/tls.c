// SPDX-License-Identifier: Apache-2.0
/*
 * Mutual TLS 1.3 by OpenSSL. Trusts the files; the peer when its certificate is the CA's, and then
 * as much as is said.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "tls.h"

#define DEPTH 4 /* certificates between the peer's and the CA */

/* ---- context ---- */

/* No pass phrases: there is nobody to ask. */
static int no_pass_phrase(char *buf, int size, int rwflag, void *u)
{
    (void)buf, (void)size, (void)rwflag, (void)u;
    return -1;
}

static enum bawn_status failed(const char *what, const char *with, struct bawn_error *err)
{
    unsigned long e = ERR_peek_last_error();
    const char *reason = e ? ERR_reason_error_string(e) : NULL;

    bawn_fail(err, BAWN_E_CONFIG, "%s%s%s%s", with ? with : "", what, reason ? ": " : "",
              reason ? reason : "");
    ERR_clear_error();
    return BAWN_E_CONFIG;
}

static enum bawn_status use_files(SSL_CTX *c, const struct bawn_tls_files *f,
                                  struct bawn_error *err)
{
    if (!f->cert || !f->key || !f->ca)
        return bawn_fail(err, BAWN_E_USAGE,
                         "a certificate, its key and the CA's certificate are needed");
    if (SSL_CTX_use_certificate_chain_file(c, f->cert) != 1)
        return failed(": no certificate in PEM", f->cert, err);
    if (SSL_CTX_use_PrivateKey_file(c, f->key, SSL_FILETYPE_PEM) != 1)
        return failed(": no private key of the certificate, in PEM without a pass phrase", f->key,
                      err);
    if (SSL_CTX_check_private_key(c) != 1)
        return failed(": not the certificate's key", f->key, err);
    if (SSL_CTX_load_verify_file(c, f->ca) != 1)
        return failed(": no CA certificate in PEM", f->ca, err);
    return BAWN_OK;
}

/* An address is compared with addresses. */
static bool expect(SSL_CTX *c, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(c);

    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1 ||
           X509_VERIFY_PARAM_set1_host(param, host, 0) == 1;
}

enum bawn_status bawn_tls_prepare(struct bawn_tls *t, const struct bawn_tls_files *files,
                                  const char *host, struct bawn_error *err)
{
    enum bawn_status st;
    SSL_CTX *c;

    *t = (struct bawn_tls){
        .fd = -1, .stop_fd = -1, .server = !host, .patience = BAWN_TLS_PATIENCE
    };
    tzset();           /* certificates have times; the first use would read files */
    ERR_clear_error(); /* libcrypto is loaded now, and not by who has locked itself in */
    c = SSL_CTX_new(host ? TLS_client_method() : TLS_server_method());
    if (!c)
        return failed("cannot set TLS up", NULL, err);
    t->context = c;
    SSL_CTX_set_default_passwd_cb(c, no_pass_phrase);
    SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_num_tickets(c, 0); /* nobody resumes */
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_verify_depth(c, DEPTH);
    st = use_files(c, files, err);
    if (!st && host && !expect(c, host))
        st = failed(": no name of a host", host, err);
    return st;
}

void bawn_tls_hang_up(struct bawn_tls *t)
{
    if (t->ssl) {
        SSL_shutdown(t->ssl); /* if it can be said at once */
        SSL_free(t->ssl);
    }
    t->ssl = NULL;
    if (t->fd >= 0)
        close(t->fd);
    t->fd = -1;
    ERR_clear_error();
}

void bawn_tls_close(struct bawn_tls *t)
{
    bawn_tls_hang_up(t);
    if (t->context)
        SSL_CTX_free(t->context);
    t->context = NULL;
}

/* ---- waiting ---- */

static long ms_until(const struct timespec *end)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (end->tv_sec - now.tv_sec) * 1000 + (end->tv_nsec - now.tv_nsec) / 1000000;
}

bool bawn_tls_late(const struct bawn_tls *t)
{
    return t->end.tv_sec && ms_until(&t->end) <= 0;
}

/* What SSL_get_error() said of the last call; waits for what it needs. */
static enum bawn_status wait_for(const struct bawn_tls *t, int result, struct bawn_error *err)
{
    int why = SSL_get_error(t->ssl, result), saved = errno;
    struct pollfd fds[] = { { t->fd, why == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN, 0 },
                            { t->stop_fd, 0, 0 } };
    struct timespec limit = { .tv_sec = t->patience };
    long left, verify;

    if (why == SSL_ERROR_ZERO_RETURN)
        return bawn_fail(err, BAWN_E_IO, "the other side has hung up");
    if (why == SSL_ERROR_SYSCALL)
        return bawn_fail(err, BAWN_E_IO, "the connection was cut%s%s", saved ? ": " : "",
                         saved ? strerror(saved) : "");
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
        verify = SSL_get_verify_result(t->ssl);
        if (verify != X509_V_OK) {
            ERR_clear_error();
            return bawn_fail(err, BAWN_E_DENIED, "the other side's certificate: %s",
                             X509_verify_cert_error_string(verify));
        }
        failed("TLS", NULL, err);
        return BAWN_E_DENIED;
    }
    if (t->end.tv_sec) {
        left = ms_until(&t->end);
        if (left <= 0)
            return bawn_fail(err, BAWN_E_IO, "it took too long");
        if (left < limit.tv_sec * 1000)
            limit = (struct timespec){ left / 1000, left % 1000 * 1000000 };
    }
    if (!ppoll(fds, 2, &limit, NULL))
        return bawn_fail(err, BAWN_E_IO,
                         bawn_tls_late(t) ? "it took too long" : "the other side does not answer");
    if (fds[1].revents)
        return bawn_fail(err, BAWN_E_IO, "nobody wants it any more");
    return BAWN_OK;
}

/* ---- the connection ---- */

static enum bawn_status shake_hands(struct bawn_tls *t, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;
    int rc;

    for (;;) {
        ERR_clear_error();
        errno = 0;
        rc = SSL_do_handshake(t->ssl);
        if (rc == 1)
            break;
        st = wait_for(t, rc, err);
        if (st)
            return st;
    }
    return SSL_get_verify_result(t->ssl) == X509_V_OK
               ? BAWN_OK
               : bawn_fail(err, BAWN_E_DENIED, "the other side has no certificate");
}

enum bawn_status bawn_tls_open(struct bawn_tls *t, int fd, struct bawn_error *err)
{
    struct timespec end = t->end;
    enum bawn_status st;

    t->fd = fd;
    t->ssl = SSL_new(t->context);
    if (!t->ssl || SSL_set_fd(t->ssl, fd) != 1) {
        bawn_tls_hang_up(t);
        return failed("cannot set TLS up", NULL, err);
    }
    if (t->server)
        SSL_set_accept_state(t->ssl);
    else
        SSL_set_connect_state(t->ssl);
    clock_gettime(CLOCK_MONOTONIC, &t->end);
    t->end.tv_sec += BAWN_TLS_GREETING;
    st = shake_hands(t, err);
    t->end = end;
    if (st)
        bawn_tls_hang_up(t);
    return st;
}

enum bawn_status bawn_tls_write(struct bawn_tls *t, const void *data, size_t len,
                                struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    for (const uint8_t *p = data; !st && len;) {
        size_t n = 0;
        int rc;

        ERR_clear_error();
        errno = 0;
        rc = SSL_write_ex(t->ssl, p, len, &n);
        if (rc != 1)
            st = wait_for(t, rc, err);
        p += n;
        len -= n;
    }
    return st;
}

enum bawn_status bawn_tls_read(struct bawn_tls *t, void *data, size_t room, size_t *len,
                               struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;

    *len = 0;
    while (!st && !*len) {
        int rc;

        ERR_clear_error();
        errno = 0;
        rc = SSL_read_ex(t->ssl, data, room, len);
        if (rc != 1)
            st = wait_for(t, rc, err);
    }
    return st;
}

bool bawn_tls_waiting(const struct bawn_tls *t)
{
    struct pollfd p = { t->fd, POLLIN, 0 };
    const struct timespec now = { 0 };

    return SSL_pending(t->ssl) > 0 || ppoll(&p, 1, &now, NULL) > 0;
}

/* ---- addresses ---- */

bool bawn_tls_where(const char *url, char *host, char *port)
{
    const char *end;

    if (strncmp(url, "tls:", 4) != 0)
        return false;
    url += 4;
    end = *url == '[' ? strchr(url, ']') : strrchr(url, ':');
    if (!end || (*url == '[' && end[1] != ':'))
        return false;
    url += *url == '[';
    if (end == url || end - url > 255)
        return false;
    memcpy(host, url, (size_t)(end - url));
    host[end - url] = '\0';
    end += *end == ']' ? 2 : 1;
    if (!*end || strlen(end) > 5 || strspn(end, "0123456789") != strlen(end))
        return false;
    memcpy(port, end, strlen(end) + 1);
    return true;
}

static int try(const struct addrinfo *a, bool server)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;
    struct pollfd p = { fd, POLLOUT, 0 };
    socklen_t len = sizeof(int);
    int why = 0;
    bool ok;

    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (server) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        ok = !bind(fd, a->ai_addr, a->ai_addrlen) && !listen(fd, 4);
    } else {
        ok = !connect(fd, a->ai_addr, a->ai_addrlen);
        if (!ok && errno == EINPROGRESS) {
            ok = poll(&p, 1, BAWN_TLS_GREETING * 1000) == 1 &&
                 !getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &len) && !why;
            errno = why ? why : ETIMEDOUT;
        }
    }
    if (ok)
        return fd;
    why = errno;
    close(fd);
    errno = why;
    return -1;
}

static int reach(const char *url, bool server, struct bawn_error *err)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_NUMERICSERV | (server ? AI_PASSIVE : 0) };
    struct addrinfo *all, *a;
    char host[256], port[8];
    int fd = -1, rc;

    if (!bawn_tls_where(url, host, port)) {
        bawn_fail(err, BAWN_E_USAGE, "%.100s: tls:HOST:PORT is needed", url);
        return -1;
    }
    rc = getaddrinfo(host, port, &hints, &all);
    if (rc) {
        bawn_fail(err, BAWN_E_IO, "%s: %s", host, gai_strerror(rc));
        return -1;
    }
    for (a = all; a && fd < 0; a = a->ai_next)
        fd = try(a, server);
    if (fd < 0)
        bawn_fail(err, BAWN_E_IO, "%s to %s: %s", server ? "cannot listen" : "cannot connect", url,
                  strerror(errno));
    freeaddrinfo(all);
    return fd;
}

int bawn_tls_listen(const char *url, struct bawn_error *err)
{
    return reach(url, true, err);
}

int bawn_tls_connect(const char *url, struct bawn_error *err)
{
    return reach(url, false, err);
}

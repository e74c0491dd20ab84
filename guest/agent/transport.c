// SPDX-License-Identifier: Apache-2.0
/*
 * The connection to the service: TCP, vsock or a UNIX socket, and TLS 1.3 to a server that is known
 * by its CA or by its key. The host relays and sees ciphertext only. Names are never resolved:
 * what would answer is the host. Validity times are not checked, as the guest's clock is the host's
 * too; what is pinned is pinned until the guest's image says otherwise.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <linux/vm_sockets.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "common/bytes.h"
#include "guest/agent/agent.h"

int64_t agent_now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- Addresses ---- */

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
    struct sockaddr_vm vm;
};

/* Decimal, from min to max, and nothing behind it. */
static bool number(const char *text, unsigned long min, unsigned long max, unsigned long *value)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *value = strtoul(text, &end, 10);
    return !errno && !*end && *value >= min && *value <= max;
}

static bool tcp_address(const char *text, union address *a, socklen_t *len)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    unsigned long port;
    size_t n = colon ? (size_t)(colon - text) : 0;

    if (!colon || n < 2 || n >= sizeof(host) || !number(colon + 1, 1, 65535, &port))
        return false;
    memcpy(host, text, n);
    host[n] = '\0';
    if (host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = '\0';
        a->in6.sin6_family = AF_INET6;
        a->in6.sin6_port = htons((uint16_t)port);
        *len = sizeof(a->in6);
        return inet_pton(AF_INET6, host + 1, &a->in6.sin6_addr) == 1;
    }
    a->in.sin_family = AF_INET;
    a->in.sin_port = htons((uint16_t)port);
    *len = sizeof(a->in);
    return inet_pton(AF_INET, host, &a->in.sin_addr) == 1;
}

static bool vsock_address(const char *text, union address *a, socklen_t *len)
{
    char cid_text[16];
    const char *colon = strchr(text, ':');
    unsigned long cid, port;

    if (!colon || (size_t)(colon - text) >= sizeof(cid_text))
        return false;
    memcpy(cid_text, text, (size_t)(colon - text));
    cid_text[colon - text] = '\0';
    if (!number(cid_text, 0, UINT32_MAX - 1, &cid) || !number(colon + 1, 1, UINT32_MAX - 1, &port))
        return false;
    a->vm.svm_family = AF_VSOCK;
    a->vm.svm_cid = (unsigned)cid;
    a->vm.svm_port = (unsigned)port;
    *len = sizeof(a->vm);
    return true;
}

static bool unix_address(const char *text, union address *a, socklen_t *len)
{
    if (!*text || strlen(text) >= sizeof(a->un.sun_path))
        return false;
    a->un.sun_family = AF_UNIX;
    memcpy(a->un.sun_path, text, strlen(text) + 1);
    *len = sizeof(a->un);
    return true;
}

static enum bawn_status parse_server(const char *server, union address *a, socklen_t *len,
                                     struct bawn_error *err)
{
    static const struct {
        const char *prefix;
        bool (*parse)(const char *text, union address *a, socklen_t *len);
    } kinds[] = {
        { "tcp:", tcp_address },
        { "vsock:", vsock_address },
        { "unix:", unix_address },
    };

    memset(a, 0, sizeof(*a));
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t n = strlen(kinds[i].prefix);

        if (!strncmp(server, kinds[i].prefix, n) && kinds[i].parse(server + n, a, len))
            return BAWN_OK;
    }
    return bawn_fail(err, BAWN_E_USAGE,
                     "server %.200s: give tcp:ADDRESS:PORT (numeric; IPv6 in brackets), "
                     "vsock:CID:PORT or unix:PATH",
                     server);
}

/* ---- What is pinned ---- */

static bool parse_pin(const char *text, uint8_t pin[PIN_SIZE])
{
    return strlen(text) == 2 * PIN_SIZE && hex_parse(text, pin, PIN_SIZE);
}

/* Called in place of the verification of the chain. */
static int check_pin(X509_STORE_CTX *store, void *arg)
{
    const uint8_t *pin = arg;
    uint8_t hash[SHA256_DIGEST_LENGTH], *der = NULL;
    X509 *cert = X509_STORE_CTX_get0_cert(store);
    int len = cert ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der) : 0, good = 0;

    if (len > 0) {
        SHA256(der, (size_t)len, hash);
        good = !CRYPTO_memcmp(hash, pin, PIN_SIZE);
    }
    OPENSSL_free(der);
    if (!good)
        X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_UNTRUSTED);
    return good;
}

static uint8_t the_pin[PIN_SIZE]; /* lives as long as the context that points to it */

static int check_pin_and_chain(X509_STORE_CTX *store, void *arg)
{
    return check_pin(store, arg) && X509_verify_cert(store) == 1;
}

static enum bawn_status load_ca(SSL_CTX *ctx, const char *path, struct bawn_error *err)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    uint8_t *pem;
    size_t len, n = 0;
    X509 *cert;
    BIO *bio;
    enum bawn_status status = agent_read_file("", path, 1 << 20, &pem, &len, err);

    if (status != BAWN_OK)
        return status;
    bio = BIO_new_mem_buf(pem, (int)len);
    while (bio && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        n += X509_STORE_add_cert(store, cert) == 1;
        X509_free(cert);
    }
    ERR_clear_error();
    BIO_free(bio);
    free(pem);
    X509_STORE_set_flags(store, X509_V_FLAG_NO_CHECK_TIME | X509_V_FLAG_PARTIAL_CHAIN);
    if (!n)
        return bawn_fail(err, BAWN_E_CONFIG, "%.200s holds no certificate in PEM", path);
    return BAWN_OK;
}

enum bawn_status transport_init(struct transport *t, const struct agent_options *o,
                                struct bawn_error *err)
{
    union address address;
    socklen_t len;
    enum bawn_status status = parse_server(o->server, &address, &len, err);

    *t = (struct transport){ .fd = -1 };
    if (status != BAWN_OK)
        return status;
    if (!o->ca && !o->pin)
        return bawn_fail(err, BAWN_E_USAGE,
                         "nothing says which server to trust: give --ca FILE, "
                         "--pin HASH, or both (or --cmdline with pin=)");
    if (o->pin && !parse_pin(o->pin, the_pin))
        return bawn_fail(err, BAWN_E_USAGE, "the pin is not a SHA-256 in 64 hexadecimal digits");
    t->ctx = SSL_CTX_new(TLS_client_method());
    if (!t->ctx || !SSL_CTX_set_min_proto_version(t->ctx, TLS1_3_VERSION))
        return bawn_fail(err, BAWN_E_NOMEM, "cannot set up TLS");
    SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
    if (o->pin)
        SSL_CTX_set_cert_verify_callback(t->ctx, o->ca ? check_pin_and_chain : check_pin, the_pin);
    return o->ca ? load_ca(t->ctx, o->ca, err) : BAWN_OK;
}

void transport_free(struct transport *t)
{
    transport_close(t);
    SSL_CTX_free(t->ctx);
    t->ctx = NULL;
}

void transport_close(struct transport *t)
{
    if (t->ssl)
        SSL_shutdown(t->ssl);
    SSL_free(t->ssl);
    t->ssl = NULL;
    if (t->fd >= 0)
        close(t->fd);
    t->fd = -1;
}

/* ---- Waiting ---- */

static enum bawn_status wait_for(int fd, short events, int64_t deadline, struct bawn_error *err)
{
    struct pollfd p = { .fd = fd, .events = events };
    int64_t left;

    for (;;) {
        left = deadline - agent_now_ms();
        if (left <= 0)
            return bawn_fail(err, BAWN_E_IO, "the server did not answer in time");
        if (poll(&p, 1, left > 60000 ? 60000 : (int)left) > 0)
            return BAWN_OK;
    }
}

/* After a call of OpenSSL that did not succeed: waits for what it needs. *end: the peer closed. */
static enum bawn_status tls_wait(struct transport *t, int result, bool *end, int64_t deadline,
                                 struct bawn_error *err)
{
    int why = SSL_get_error(t->ssl, result);
    long verify = SSL_get_verify_result(t->ssl);
    const char *reason;

    *end = false;
    if (why == SSL_ERROR_WANT_READ)
        return wait_for(t->fd, POLLIN, deadline, err);
    if (why == SSL_ERROR_WANT_WRITE)
        return wait_for(t->fd, POLLOUT, deadline, err);
    if (why == SSL_ERROR_ZERO_RETURN) {
        *end = true;
        return BAWN_OK;
    }
    if (verify != X509_V_OK)
        return bawn_fail(err, BAWN_E_DENIED, "this is not the pinned server: %s",
                         X509_verify_cert_error_string(verify));
    reason = ERR_reason_error_string(ERR_get_error());
    ERR_clear_error();
    return bawn_fail(err, BAWN_E_IO, "the TLS connection failed: %s",
                     reason ? reason : "it was closed");
}

/* ---- Connecting ---- */

static enum bawn_status connect_socket(struct transport *t, const struct agent_options *o,
                                       int64_t deadline, struct bawn_error *err)
{
    union address address;
    socklen_t len = 0, error_len = sizeof(int);
    int error = 0;
    enum bawn_status status = parse_server(o->server, &address, &len, err);

    if (status != BAWN_OK)
        return status;
    t->fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (t->fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot make a socket for %.200s: %m", o->server);
    if (connect(t->fd, &address.any, len) < 0) {
        if (errno != EINPROGRESS && errno != EINTR)
            return bawn_fail(err, BAWN_E_IO, "cannot connect to %.200s: %m", o->server);
        status = wait_for(t->fd, POLLOUT, deadline, err);
        if (status != BAWN_OK)
            return status;
        if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &error_len) || error) {
            errno = error;
            return bawn_fail(err, BAWN_E_IO, "cannot connect to %.200s: %m", o->server);
        }
    }
    return BAWN_OK;
}

static bool expect_name(SSL *ssl, const char *name)
{
    struct in6_addr ip;

    if (inet_pton(AF_INET, name, &ip) == 1 || inet_pton(AF_INET6, name, &ip) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    return SSL_set_tlsext_host_name(ssl, name) == 1 && SSL_set1_host(ssl, name) == 1;
}

static enum bawn_status handshake(struct transport *t, const struct agent_options *o,
                                  int64_t deadline, struct bawn_error *err)
{
    enum bawn_status status;
    bool end;

    t->ssl = SSL_new(t->ctx);
    if (!t->ssl || !SSL_set_fd(t->ssl, t->fd) ||
        (o->server_name && !expect_name(t->ssl, o->server_name)))
        return bawn_fail(err, BAWN_E_NOMEM, "cannot set up TLS");
    for (;;) {
        int n = SSL_connect(t->ssl);

        if (n == 1)
            return BAWN_OK;
        status = tls_wait(t, n, &end, deadline, err);
        if (status == BAWN_OK && end)
            status = bawn_fail(err, BAWN_E_IO, "the server closed the connection");
        if (status != BAWN_OK)
            return status;
    }
}

enum bawn_status transport_connect(struct transport *t, const struct agent_options *o,
                                   int64_t deadline, struct bawn_error *err)
{
    enum bawn_status status = connect_socket(t, o, deadline, err);

    if (status == BAWN_OK)
        status = handshake(t, o, deadline, err);
    if (status != BAWN_OK)
        transport_close(t);
    return status;
}

/* ---- Data ---- */

enum bawn_status transport_write(struct transport *t, const void *data, size_t len,
                                 int64_t deadline, struct bawn_error *err)
{
    enum bawn_status status;
    size_t done = 0, n;
    bool end;

    while (done < len) {
        if (SSL_write_ex(t->ssl, (const uint8_t *)data + done, len - done, &n)) {
            done += n;
            continue;
        }
        status = tls_wait(t, 0, &end, deadline, err);
        if (status == BAWN_OK && end)
            status = bawn_fail(err, BAWN_E_IO, "the server closed the connection");
        if (status != BAWN_OK)
            return status;
    }
    return BAWN_OK;
}

enum bawn_status transport_read(struct transport *t, void *data, size_t size, size_t *got,
                                int64_t deadline, struct bawn_error *err)
{
    enum bawn_status status;
    bool end;

    *got = 0;
    while (!SSL_read_ex(t->ssl, data, size, got)) {
        status = tls_wait(t, 0, &end, deadline, err);
        if (status != BAWN_OK || end)
            return status;
    }
    return BAWN_OK;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * HTTP/1.1 (RFC 9110, 9112), the part that a KBS client needs: one request at a time, replies with
 * a Content-Length or in chunks, everything bounded. What is ambiguous is refused, not repaired.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "guest/agent/agent.h"

enum {
    HEAD_MAX = 32 << 10,
    BODY_MAX = 8 << 20,
    RETRY_AFTER_MAX = 3600,
};

/* A buffer before the source, so that lines can be read. */
struct source {
    http_read_fn *read;
    void *from;
    uint8_t data[4096];
    size_t at, len;
    size_t head; /* octets of lines so far */
};

static enum bawn_status fill(struct source *s, struct bawn_error *err)
{
    enum bawn_status status;

    s->at = s->len = 0;
    status = s->read(s->from, s->data, sizeof(s->data), &s->len, err);
    if (status == BAWN_OK && !s->len)
        return bawn_fail(err, BAWN_E_IO, "the server closed the connection within its answer");
    return status;
}

/* A line without its CR LF; the strict ending is required. */
static enum bawn_status read_line(struct source *s, char *line, size_t size, struct bawn_error *err)
{
    enum bawn_status status;
    size_t n = 0;

    for (;;) {
        char c;

        if (s->at == s->len && (status = fill(s, err)) != BAWN_OK)
            return status;
        c = (char)s->data[s->at++];
        if (++s->head > HEAD_MAX || n + 1 >= size)
            return bawn_fail(err, BAWN_E_FORMAT, "the server's answer has too long a head");
        if (c == '\n' && n && line[n - 1] == '\r') {
            line[n - 1] = '\0';
            return BAWN_OK;
        }
        if (!c || c == '\n' || (n && line[n - 1] == '\r'))
            return bawn_fail(err, BAWN_E_FORMAT, "the server's answer has a malformed line");
        line[n++] = c;
    }
}

static enum bawn_status read_exactly(struct source *s, uint8_t *to, size_t len,
                                     struct bawn_error *err)
{
    enum bawn_status status;

    while (len) {
        size_t n;

        if (s->at == s->len && (status = fill(s, err)) != BAWN_OK)
            return status;
        n = s->len - s->at < len ? s->len - s->at : len;
        memcpy(to, s->data + s->at, n);
        s->at += n;
        to += n;
        len -= n;
    }
    return BAWN_OK;
}

/* ---- The head ---- */

struct framing {
    bool has_length, chunked;
    size_t length;
};

/* Digits only, up to max; anything else is -1. */
static long decimal(const char *text, long max)
{
    long value = 0;

    if (!*text)
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        value = value * 10 + (*text - '0');
        if (value > max)
            return -1;
    }
    return value;
}

typedef enum bawn_status header_fn(struct http_reply *reply, struct framing *f, const char *value,
                                   struct bawn_error *err);

static enum bawn_status on_length(struct http_reply *reply, struct framing *f, const char *value,
                                  struct bawn_error *err)
{
    long length = decimal(value, BODY_MAX);

    (void)reply;
    if (length < 0 || f->has_length)
        return bawn_fail(err, BAWN_E_FORMAT, "the server's answer has no one length up to %d bytes",
                         BODY_MAX);
    f->has_length = true;
    f->length = (size_t)length;
    return BAWN_OK;
}

static enum bawn_status on_encoding(struct http_reply *reply, struct framing *f, const char *value,
                                    struct bawn_error *err)
{
    (void)reply;
    if (f->chunked || strcasecmp(value, "chunked") != 0)
        return bawn_fail(err, BAWN_E_FORMAT, "the server's answer has a foreign transfer encoding");
    f->chunked = true;
    return BAWN_OK;
}

static enum bawn_status on_connection(struct http_reply *reply, struct framing *f,
                                      const char *value, struct bawn_error *err)
{
    (void)f;
    (void)err;
    if (!strcasecmp(value, "close"))
        reply->close = true;
    return BAWN_OK;
}

/* A date is passed over: the guest's clock is not to be trusted with it. */
static enum bawn_status on_retry(struct http_reply *reply, struct framing *f, const char *value,
                                 struct bawn_error *err)
{
    long seconds = decimal(value, RETRY_AFTER_MAX);

    (void)f;
    (void)err;
    reply->retry_after = seconds > 0 ? (unsigned)seconds : 0;
    return BAWN_OK;
}

static enum bawn_status on_cookie(struct http_reply *reply, struct framing *f, const char *value,
                                  struct bawn_error *err)
{
    static const char name[] = "kbs-session-id=";
    size_t n;

    (void)f;
    if (strncmp(value, name, sizeof(name) - 1) != 0)
        return BAWN_OK;
    value += sizeof(name) - 1;
    n = strcspn(value, ";");
    /* RFC 6265, 4.1.1: what a cookie's value is made of */
    for (size_t i = 0; i < n; i++)
        if (value[i] <= ' ' || value[i] > '~' || strchr("\",\\", value[i]))
            return bawn_fail(err, BAWN_E_FORMAT, "the server set a malformed cookie");
    if (n >= sizeof(reply->cookie))
        return bawn_fail(err, BAWN_E_FORMAT, "the server set a cookie that is too long");
    memcpy(reply->cookie, value, n);
    reply->cookie[n] = '\0';
    return BAWN_OK;
}

static const struct {
    const char *name;
    header_fn *take;
} headers[] = {
    { "Content-Length", on_length }, { "Transfer-Encoding", on_encoding },
    { "Connection", on_connection }, { "Retry-After", on_retry },
    { "Set-Cookie", on_cookie },
};

static enum bawn_status take_header(struct http_reply *reply, struct framing *f, char *line,
                                    struct bawn_error *err)
{
    char *colon = strchr(line, ':'), *value, *end;

    if (!colon || colon == line || strcspn(line, " \t") < (size_t)(colon - line))
        return bawn_fail(err, BAWN_E_FORMAT, "the server's answer has a malformed header");
    *colon = '\0';
    value = colon + 1 + strspn(colon + 1, " \t");
    end = value + strlen(value);
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        *--end = '\0';
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
        if (!strcasecmp(line, headers[i].name))
            return headers[i].take(reply, f, value, err);
    return BAWN_OK;
}

static enum bawn_status read_head(struct source *s, struct http_reply *reply, struct framing *f,
                                  struct bawn_error *err)
{
    char line[HTTP_COOKIE_MAX + 1024] = "";
    enum bawn_status status = read_line(s, line, sizeof(line), err);

    if (status != BAWN_OK)
        return status;
    /* "HTTP/1.1 200 OK"; the reason may be empty */
    if (strncmp(line, "HTTP/1.1 ", 9) != 0 || strlen(line) < 12 || (line[12] && line[12] != ' '))
        return bawn_fail(err, BAWN_E_FORMAT, "the server does not speak HTTP/1.1");
    line[12] = '\0';
    if (decimal(line + 9, 999) < 200)
        return bawn_fail(err, BAWN_E_FORMAT, "the server's status is none that ends a request");
    reply->status = (unsigned)decimal(line + 9, 999);
    for (;;) {
        status = read_line(s, line, sizeof(line), err);
        if (status != BAWN_OK || !line[0])
            return status;
        status = take_header(reply, f, line, err);
        if (status != BAWN_OK)
            return status;
    }
}

/* ---- The body ---- */

static enum bawn_status grow(struct http_reply *reply, size_t more, struct bawn_error *err)
{
    size_t need = reply->len + more + 1, size = reply->size ? reply->size : 1024;
    uint8_t *grown;

    if (more > BODY_MAX - reply->len)
        return bawn_fail(err, BAWN_E_FORMAT, "the server's answer is larger than %d bytes",
                         BODY_MAX);
    if (need <= reply->size)
        return BAWN_OK;
    while (size < need)
        size *= 2;
    grown = realloc(reply->body, size);
    if (!grown)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    reply->body = grown;
    reply->size = size;
    return BAWN_OK;
}

/* RFC 9112, 7.1; extensions are passed over. -1: malformed or too large. */
static long chunk_size(const char *line)
{
    long size = 0;
    const char *c = line;

    for (; *c && *c != ';' && *c != ' ' && *c != '\t'; c++) {
        static const char digits[] = "0123456789abcdef";
        const char *at = strchr(digits, *c | 0x20);

        if (!at || (*c < '0') || size > BODY_MAX)
            return -1;
        size = size * 16 + (at - digits);
    }
    return c == line || size > BODY_MAX ? -1 : size;
}

static enum bawn_status read_chunks(struct source *s, struct http_reply *reply,
                                    struct bawn_error *err)
{
    char line[1024] = "";
    enum bawn_status status;
    long size;

    do {
        status = read_line(s, line, sizeof(line), err);
        if (status != BAWN_OK)
            return status;
        size = chunk_size(line);
        if (size < 0)
            return bawn_fail(err, BAWN_E_FORMAT, "the server's answer has a malformed chunk");
        status = grow(reply, (size_t)size, err);
        if (status == BAWN_OK)
            status = read_exactly(s, reply->body + reply->len, (size_t)size, err);
        if (status != BAWN_OK)
            return status;
        reply->len += (size_t)size;
        if (!size)
            break;
        s->head = 0; /* the bound is on the head and on each chunk's, the body has its own */
        status = read_line(s, line, sizeof(line), err);
        if (status == BAWN_OK && line[0])
            status = bawn_fail(err, BAWN_E_FORMAT, "the server's answer has a malformed chunk");
    } while (status == BAWN_OK);
    while (status == BAWN_OK && line[0]) /* trailers, of which none is of use */
        status = read_line(s, line, sizeof(line), err);
    return status;
}

static enum bawn_status read_body(struct source *s, struct http_reply *reply,
                                  const struct framing *f, struct bawn_error *err)
{
    enum bawn_status status;

    if (f->chunked && f->has_length)
        return bawn_fail(err, BAWN_E_FORMAT, "the server's answer has two lengths");
    if (f->chunked)
        return read_chunks(s, reply, err);
    if (!f->has_length && reply->status != 204 && reply->status != 304)
        return bawn_fail(err, BAWN_E_FORMAT, "the server's answer has no length");
    status = grow(reply, f->length, err);
    if (status == BAWN_OK)
        status = read_exactly(s, reply->body, f->length, err);
    if (status == BAWN_OK)
        reply->len = f->length;
    return status;
}

enum bawn_status http_read_reply(http_read_fn *read, void *from, struct http_reply *reply,
                                 struct bawn_error *err)
{
    struct source s = { .read = read, .from = from };
    struct framing f = { 0 };
    enum bawn_status status;

    *reply = (struct http_reply){ 0 };
    status = read_head(&s, reply, &f, err);
    if (status == BAWN_OK)
        status = read_body(&s, reply, &f, err);
    if (status == BAWN_OK && s.at != s.len)
        status = bawn_fail(err, BAWN_E_FORMAT, "the server sent more than its answer");
    if (status != BAWN_OK) {
        free(reply->body);
        reply->body = NULL;
        reply->len = 0;
        return status;
    }
    reply->body[reply->len] = '\0';
    return BAWN_OK;
}

/* ---- Requests ---- */

struct connection {
    struct transport *t;
    int64_t deadline;
};

static enum bawn_status read_connection(void *from, void *data, size_t size, size_t *got,
                                        struct bawn_error *err)
{
    struct connection *c = from;

    return transport_read(c->t, data, size, got, c->deadline, err);
}

enum bawn_status http_request(struct transport *t, const struct agent_options *o, const char *path,
                              const char *cookie, const char *body, int64_t deadline,
                              struct http_reply *reply, struct bawn_error *err)
{
    struct connection c = { t, deadline };
    char *request = NULL, length[64] = "";
    enum bawn_status status = BAWN_OK;
    int n;

    if (body)
        snprintf(length, sizeof(length), "Content-Length: %zu\r\n", strlen(body));
    n = asprintf(&request,
                 "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bawn-agent\r\n"
                 "Accept: application/json\r\n%s%s%s%s%s\r\n%s",
                 body ? "POST" : "GET", path, o->server_name ? o->server_name : "localhost",
                 cookie ? "Cookie: kbs-session-id=" : "", cookie ? cookie : "",
                 cookie ? "\r\n" : "", body ? "Content-Type: application/json\r\n" : "", length,
                 body ? body : "");
    if (n < 0)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    if (!t->ssl)
        status = transport_connect(t, o, deadline, err);
    if (status == BAWN_OK)
        status = transport_write(t, request, (size_t)n, deadline, err);
    if (status == BAWN_OK)
        status = http_read_reply(read_connection, &c, reply, err);
    free(request);
    if (status != BAWN_OK || reply->close)
        transport_close(t);
    return status;
}

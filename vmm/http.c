// SPDX-License-Identifier: Apache-2.0
/*
 * Reads requests and writes the heads of answers. A request is hostile until every byte of its head
 * was seen to be one that RFC 9110 and 9112 allow; what they let a server refuse is refused.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "http.h"

#define METHOD_MAX 7
#define PATH_MAX_LEN 255
#define FIELDS_MAX 64

enum { BAD = -400, TOO_LARGE = -413, FAILED = -417, HEAD_TOO_LARGE = -431 };
enum { NOT_DONE = -501, VERSION = -505 };

struct head {
    struct bawn_http_request *req;
    bool length, connection, coding;
};

/* RFC 9110, 5.6.2 */
static bool is_token(const char *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool alnum = (p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'z') ||
                     (p[i] >= 'A' && p[i] <= 'Z');

        if (!alnum && (!p[i] || !strchr("!#$%&'*+-.^_`|~", p[i])))
            return false;
    }
    return len;
}

static bool text_is(const char *p, size_t len, const char *want)
{
    return strlen(want) == len && !strncasecmp(p, want, len);
}

/* ---- fields ---- */

static int set_length(struct head *h, const char *p, size_t len)
{
    size_t n = 0;

    if (h->length || !len || len > 10)
        return BAD;
    h->length = true;
    for (; len; p++, len--) {
        if (*p < '0' || *p > '9')
            return BAD;
        n = n * 10 + (size_t)(*p - '0');
    }
    h->req->body_len = n;
    return n > BAWN_HTTP_BODY_MAX ? TOO_LARGE : 0;
}

static int set_coding(struct head *h, const char *p, size_t len)
{
    (void)h, (void)p, (void)len;
    return NOT_DONE;
}

static int set_expect(struct head *h, const char *p, size_t len)
{
    h->req->expect = true;
    return text_is(p, len, "100-continue") ? 0 : FAILED;
}

/* Any other word is for proxies. */
static int set_connection(struct head *h, const char *p, size_t len)
{
    if (text_is(p, len, "close"))
        h->req->close = true;
    else if (text_is(p, len, "keep-alive"))
        h->req->close = false;
    return 0;
}

static const struct {
    const char *name;
    int (*set)(struct head *h, const char *value, size_t len);
} fields[] = {
    { "Content-Length", set_length },
    { "Transfer-Encoding", set_coding },
    { "Expect", set_expect },
    { "Connection", set_connection },
};

static int read_field(struct head *h, const char *p, size_t len)
{
    const char *colon = memchr(p, ':', len);
    size_t name = colon ? (size_t)(colon - p) : 0;
    const char *value = p + name + 1;

    if (!is_token(p, name))
        return BAD;
    len -= name + 1;
    while (len && (*value == ' ' || *value == '\t'))
        value++, len--;
    while (len && (value[len - 1] == ' ' || value[len - 1] == '\t'))
        len--;
    for (size_t i = 0; i < len; i++) {
        if (((unsigned char)value[i] < ' ' && value[i] != '\t') || value[i] == 0x7f)
            return BAD;
    }
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (text_is(p, name, fields[i].name))
            return fields[i].set(h, value, len);
    }
    return 0;
}

/* ---- requests ---- */

/* "PUT /api/v1/vm.boot HTTP/1.1" */
static int read_line(struct bawn_http_request *req, const char *p, size_t len)
{
    const char *space = memchr(p, ' ', len), *version;

    if (!space || !is_token(p, (size_t)(space - p)) || space - p > METHOD_MAX)
        return BAD;
    req->method = p;
    req->method_len = (size_t)(space - p);
    len -= req->method_len + 1;
    req->path = space + 1;
    version = memchr(req->path, ' ', len);
    if (!version || *req->path != '/' || version - req->path > PATH_MAX_LEN)
        return BAD;
    req->path_len = (size_t)(version - req->path);
    for (size_t i = 0; i < req->path_len; i++) {
        if (req->path[i] <= ' ' || req->path[i] > '~')
            return BAD;
    }
    version++;
    len -= req->path_len + 1;
    if (len != 8 || memcmp(version, "HTTP/", 5) || version[6] != '.')
        return BAD;
    if (version[5] != '1' || (version[7] != '0' && version[7] != '1'))
        return VERSION;
    req->close = version[7] == '0';
    return 0;
}

int bawn_http_read(const char *buf, size_t len, struct bawn_http_request *req)
{
    struct head h = { .req = req };
    size_t room = len < BAWN_HTTP_HEAD_MAX ? len : BAWN_HTTP_HEAD_MAX, at = 0;

    *req = (struct bawn_http_request){ 0 };
    for (unsigned line = 0; line <= FIELDS_MAX + 1; line++) {
        const char *p = buf + at, *end = memchr(p, '\n', room - at);
        size_t n = end ? (size_t)(end - p) : 0;
        int st = 0;

        if (!end) {
            req->expect = false;
            return room < BAWN_HTTP_HEAD_MAX ? 0 : HEAD_TOO_LARGE;
        }
        if (!n || p[n - 1] != '\r')
            return BAD;
        at += n + 1;
        if (n > 1)
            st = line ? read_field(&h, p, n - 1) : read_line(req, p, n - 1);
        else if (!line)
            return BAD;
        if (st)
            return st;
        if (n > 1)
            continue;
        req->body = buf + at;
        return len - at < req->body_len ? 0 : (int)(at + req->body_len);
    }
    return HEAD_TOO_LARGE;
}

/* ---- answers ---- */

static const char *reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = {
        { 200, "OK" },
        { 204, "No Content" },
        { 400, "Bad Request" },
        { 404, "Not Found" },
        { 413, "Content Too Large" },
        { 417, "Expectation Failed" },
        { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" },
        { 501, "Not Implemented" },
        { 505, "HTTP Version Not Supported" },
    };

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].status == status)
            return reasons[i].text;
    }
    return "Internal Server Error";
}

size_t bawn_http_answer(char *to, int status, size_t body_len, bool close)
{
    int n =
        snprintf(to, BAWN_HTTP_ANSWER_HEAD, "HTTP/1.1 %d %s\r\nServer: Bawn\r\nConnection: %s\r\n",
                 status, reason(status), close ? "close" : "keep-alive");

    if (status != 204) /* which has neither (RFC 9110, 8.6) */
        n += snprintf(to + n, BAWN_HTTP_ANSWER_HEAD - (size_t)n,
                      "Content-Type: application/json\r\nContent-Length: %zu\r\n", body_len);
    n += snprintf(to + n, BAWN_HTTP_ANSWER_HEAD - (size_t)n, "\r\n");
    return (size_t)n;
}

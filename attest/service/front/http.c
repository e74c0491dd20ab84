// SPDX-License-Identifier: Apache-2.0
/* Requests of clients, all of it hostile. Strict: what could be read in two ways is refused. */
#include "attest/service/front/http.h"
#include "common/bytes.h"

#include <string.h>
#include <strings.h>

bool slice_is(struct slice s, const char *text)
{
    return strlen(text) == s.len && !memcmp(s.p, text, s.len);
}

static bool slice_is_nocase(struct slice s, const char *text)
{
    return strlen(text) == s.len && !strncasecmp(s.p, text, s.len);
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool all_of(struct slice s, const char *others)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_alnum(s.p[i]) && (!s.p[i] || !strchr(others, s.p[i])))
            return false;
    return true;
}

/* ---- The head ---- */

/* Takes a line that ends in CRLF. A bare LF or CR is malformed. */
static bool take_line(struct slice *rest, struct slice *line)
{
    const char *lf = memchr(rest->p, '\n', rest->len);

    if (!lf || lf == rest->p || lf[-1] != '\r')
        return false;
    *line = (struct slice){ rest->p, (size_t)(lf - rest->p) - 1 };
    rest->len -= line->len + 2;
    rest->p = lf + 1;
    return !memchr(line->p, '\r', line->len);
}

static int parse_method(struct slice text, enum http_method *method)
{
    static const struct {
        const char *name;
        enum http_method method;
    } methods[] = {
        { "GET", HTTP_GET }, { "HEAD", HTTP_HEAD },     { "POST", HTTP_POST },
        { "PUT", HTTP_PUT }, { "DELETE", HTTP_DELETE },
    };

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (!slice_is(text, methods[i].name))
            continue;
        *method = methods[i].method;
        return 0;
    }
    /* token of RFC 9110, 5.6.2 */
    return text.len && text.len <= 32 && all_of(text, "!#$%&'*+-.^_`|~") ? 405 : 400;
}

static int parse_request_line(struct slice line, struct http_head *head, bool *http_1_1)
{
    const char *first = memchr(line.p, ' ', line.len), *second;
    struct slice target, version;
    const char *mark;
    int status;

    if (!first)
        return 400;
    head->method_text = (struct slice){ line.p, (size_t)(first - line.p) };
    line.len -= head->method_text.len + 1;
    line.p = first + 1;
    second = memchr(line.p, ' ', line.len);
    if (!second)
        return 400;
    target = (struct slice){ line.p, (size_t)(second - line.p) };
    version = (struct slice){ second + 1, line.len - target.len - 1 };
    *http_1_1 = slice_is(version, "HTTP/1.1");
    if (!*http_1_1 && !slice_is(version, "HTTP/1.0"))
        return version.len == 8 && !memcmp(version.p, "HTTP/", 5) ? 505 : 400;
    status = parse_method(head->method_text, &head->method);
    if (status)
        return status;
    if (!target.len || target.p[0] != '/') /* no absolute form, no "*" */
        return 400;
    mark = memchr(target.p, '?', target.len);
    head->path = (struct slice){ target.p, mark ? (size_t)(mark - target.p) : target.len };
    if (mark)
        head->query = (struct slice){ mark + 1, target.len - head->path.len - 1 };
    return 0;
}

static int parse_header(struct slice line, struct http_head *head)
{
    const char *colon = memchr(line.p, ':', line.len);
    struct slice name, value;

    if (!colon || colon == line.p) /* a folded line has no name */
        return 400;
    name = (struct slice){ line.p, (size_t)(colon - line.p) };
    value = (struct slice){ colon + 1, line.len - name.len - 1 };
    if (!all_of(name, "!#$%&'*+-.^_`|~"))
        return 400;
    while (value.len && (value.p[0] == ' ' || value.p[0] == '\t'))
        value.p++, value.len--;
    while (value.len && (value.p[value.len - 1] == ' ' || value.p[value.len - 1] == '\t'))
        value.len--;
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.p[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return 400;
    }
    if (head->nr_headers == HTTP_HEADERS_MAX)
        return 431;
    head->headers[head->nr_headers].name = name;
    head->headers[head->nr_headers++].value = value;
    return 0;
}

static size_t count_header(const struct http_head *head, const char *name, struct slice *value)
{
    size_t n = 0;

    for (size_t i = 0; i < head->nr_headers; i++) {
        if (!slice_is_nocase(head->headers[i].name, name))
            continue;
        if (!n++)
            *value = head->headers[i].value;
    }
    return n;
}

bool http_header(const struct http_head *head, const char *name, struct slice *value)
{
    return count_header(head, name, value) == 1;
}

/* One framing only: a length and chunks together are how requests are smuggled (RFC 9112, 6.3). */
static int parse_framing(struct http_head *head, bool http_1_1)
{
    struct slice length, coding, expect;
    size_t lengths = count_header(head, "Content-Length", &length);
    size_t codings = count_header(head, "Transfer-Encoding", &coding);

    if (lengths + codings > 1)
        return 400;
    if (codings) {
        if (!http_1_1)
            return 400;
        if (!slice_is_nocase(coding, "chunked"))
            return 501;
        head->chunked = true;
    }
    if (lengths) {
        if (!length.len || length.len > 18)
            return length.len ? 413 : 400;
        for (size_t i = 0; i < length.len; i++) {
            if (length.p[i] < '0' || length.p[i] > '9')
                return 400;
            head->length = head->length * 10 + (uint64_t)(length.p[i] - '0');
        }
    }
    if (count_header(head, "Expect", &expect)) {
        if (!slice_is_nocase(expect, "100-continue"))
            return 417;
        head->continue_100 = http_1_1;
    }
    return 0;
}

static int parse_connection(struct http_head *head, bool http_1_1)
{
    struct slice value;

    if (count_header(head, "Host", &value) != 1 && http_1_1)
        return 400; /* RFC 9112, 3.2 */
    head->keep_alive = http_1_1;
    if (count_header(head, "Connection", &value)) {
        if (slice_is_nocase(value, "close"))
            head->keep_alive = false;
        else if (slice_is_nocase(value, "keep-alive"))
            head->keep_alive = true;
    }
    return 0;
}

int http_parse_head(const char *text, size_t len, struct http_head *head)
{
    struct slice rest = { text, len }, line;
    bool http_1_1 = false;
    int status;

    memset(head, 0, sizeof(*head));
    if (!take_line(&rest, &line))
        return 400;
    status = parse_request_line(line, head, &http_1_1);
    while (!status) {
        if (!take_line(&rest, &line))
            return 400;
        if (!line.len)
            break;
        status = parse_header(line, head);
    }
    head->size = len - rest.len;
    if (!status)
        status = parse_framing(head, http_1_1);
    if (!status)
        status = parse_connection(head, http_1_1);
    return status;
}

/* ---- Cookies and tokens ---- */

bool http_cookie(const struct http_head *head, const char *name, struct slice *value)
{
    size_t found = 0, name_len = strlen(name);

    for (size_t i = 0; i < head->nr_headers; i++) {
        struct slice rest = head->headers[i].value;

        if (!slice_is_nocase(head->headers[i].name, "Cookie"))
            continue;
        while (rest.len) { /* RFC 6265, 4.2.1: pairs with "; " between */
            const char *end = memchr(rest.p, ';', rest.len);
            struct slice pair = { rest.p, end ? (size_t)(end - rest.p) : rest.len };

            rest.p += pair.len + (end ? 1 : 0);
            rest.len -= pair.len + (end ? 1 : 0);
            while (pair.len && pair.p[0] == ' ')
                pair.p++, pair.len--;
            if (pair.len <= name_len || pair.p[name_len] != '=' ||
                memcmp(pair.p, name, name_len) != 0)
                continue;
            found++;
            *value = (struct slice){ pair.p + name_len + 1, pair.len - name_len - 1 };
        }
    }
    return found == 1 && value->len && value->len <= 4096 && all_of(*value, "._-");
}

bool http_bearer(const struct http_head *head, struct slice *token)
{
    struct slice value;

    if (!http_header(head, "Authorization", &value) || value.len <= 7 ||
        strncasecmp(value.p, "Bearer ", 7) != 0)
        return false;
    value.p += 7;
    value.len -= 7;
    *token = value;
    return all_of(value, "._-~+/="); /* RFC 6750, 2.1: b64token */
}

/* ---- Paths ---- */

bool http_path_parse(struct slice path, struct http_path *out)
{
    out->n = 0;
    if (!path.len || path.p[0] != '/')
        return false;
    if (path.len == 1)
        return true;
    while (path.len) {
        const char *end = memchr(path.p + 1, '/', path.len - 1);
        size_t len = (end ? (size_t)(end - path.p) : path.len) - 1;
        struct slice s = { path.p + 1, len };

        if (!len || len > HTTP_SEGMENT_MAX || out->n == HTTP_SEGMENTS_MAX || !all_of(s, "._-") ||
            slice_is(s, ".") || slice_is(s, ".."))
            return false;
        out->segment[out->n++] = s;
        path.p += len + 1;
        path.len -= len + 1;
    }
    return true;
}

bool http_path_matches(const struct http_path *path, size_t from, const char *pattern)
{
    size_t i = from;

    if (!strcmp(pattern, "/"))
        return from == path->n;
    for (; *pattern; i++) {
        const char *name = pattern + 1; /* behind the slash */
        size_t len = strcspn(name, "/");

        if (len == 1 && *name == '#')
            return true;
        if (i >= path->n)
            return false;
        if (!(len == 1 && *name == '+') &&
            (path->segment[i].len != len || memcmp(path->segment[i].p, name, len) != 0))
            return false;
        pattern = name + len;
    }
    return i == path->n;
}

bool http_query_ok(struct slice query)
{
    if (query.len > 1024)
        return false;
    for (size_t i = 0; i < query.len; i++)
        if (query.p[i] < 0x21 || query.p[i] > 0x7e || strchr("\"\\<>", query.p[i]))
            return false;
    return true;
}

/* ---- Chunks ---- */

/* The size's line, and the line ends behind data and at the end. */
static bool chunk_line(struct http_chunks *c, uint8_t byte)
{
    if (c->cr) {
        if (byte != '\n')
            return false;
        c->cr = false;
        if (c->state == CHUNK_SIZE)
            c->state = c->left ? CHUNK_DATA : CHUNK_LAST;
        else
            c->state = c->state == CHUNK_END ? CHUNK_SIZE : CHUNK_DONE;
        c->digits = 0;
        return true;
    }
    if (byte == '\r' && (c->state != CHUNK_SIZE || c->digits)) {
        c->cr = true;
        return true;
    }
    if (c->state != CHUNK_SIZE || hex_digit((char)byte) < 0 || c->digits == 8)
        return false;
    c->left = (c->digits++ ? c->left * 16 : 0) + (uint64_t)hex_digit((char)byte);
    return true;
}

ptrdiff_t http_chunks_read(struct http_chunks *c, const uint8_t *in, size_t len, uint8_t *out,
                           size_t *written)
{
    size_t at = 0;

    *written = 0;
    while (at < len && c->state != CHUNK_DONE) {
        if (c->state == CHUNK_DATA) {
            size_t n = len - at < c->left ? len - at : (size_t)c->left;

            memcpy(out + *written, in + at, n);
            *written += n;
            at += n;
            c->left -= n;
            if (!c->left)
                c->state = CHUNK_END;
        } else if (!chunk_line(c, in[at++])) {
            return -1;
        }
    }
    return (ptrdiff_t)at;
}

const char *http_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        { 100, "Continue" },
        { 200, "OK" },
        { 201, "Created" },
        { 204, "No Content" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 408, "Request Timeout" },
        { 409, "Conflict" },
        { 413, "Content Too Large" },
        { 415, "Unsupported Media Type" },
        { 417, "Expectation Failed" },
        { 422, "Unprocessable Content" },
        { 421, "Misdirected Request" },
        { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 503, "Service Unavailable" },
        { 505, "HTTP Version Not Supported" },
    };

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 requests (RFC 9112), the strict part of it that clients of this service send. Pure
 * functions over hostile bytes; nothing is decoded twice, since nothing is decoded: a path with a
 * percent sign names nothing here.
 */
#ifndef BAWN_FRONT_HTTP_H
#define BAWN_FRONT_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slice {
    const char *p;
    size_t len;
};
bool slice_is(struct slice s, const char *text);

enum http_method {
    HTTP_GET = 1 << 0,
    HTTP_HEAD = 1 << 1,
    HTTP_POST = 1 << 2,
    HTTP_PUT = 1 << 3,
    HTTP_DELETE = 1 << 4,
};

#define HTTP_HEADERS_MAX 64
#define HTTP_SEGMENTS_MAX 12
#define HTTP_SEGMENT_MAX 128

/* Slices point into the text that was parsed. */
struct http_head {
    enum http_method method;
    struct slice method_text, path, query; /* query without the mark; empty: none */
    struct {
        struct slice name, value;
    } headers[HTTP_HEADERS_MAX];
    size_t nr_headers;
    size_t size;       /* bytes of the head, with the empty line */
    bool keep_alive;   /* the client wants to go on */
    bool chunked;      /* the body comes in chunks; */
    uint64_t length;   /* else it has this length */
    bool continue_100; /* the client waits for 100 before it sends the body */
};

/* text holds the head up to the empty line and perhaps more. 0, or the status to answer with: 400,
 * 405, 413, 417, 431, 501, 505. */
int http_parse_head(const char *text, size_t len, struct http_head *head);

/* The first value; false when there is none, or when there are several. Names: any case. */
bool http_header(const struct http_head *head, const char *name, struct slice *value);
/* A cookie's value of letters, digits, '.', '_', '-'; false when there is none, when it is given
 * twice, or has anything else in it. */
bool http_cookie(const struct http_head *head, const char *name, struct slice *value);
/* The token of "Authorization: Bearer" (RFC 6750, 2.1). */
bool http_bearer(const struct http_head *head, struct slice *token);

struct http_path {
    struct slice segment[HTTP_SEGMENTS_MAX];
    size_t n; /* "/" has none */
};
/* "/a/b/c": segments of 1 to 128 of A-Z a-z 0-9 . _ -, none of them "." or "..", none empty. */
bool http_path_parse(struct slice path, struct http_path *out);
/* Does it match "/kbs/v0/resource/+/+/+"? A last "#" is any number of segments. */
bool http_path_matches(const struct http_path *path, size_t from, const char *pattern);
/* A query that may be passed on: printable ASCII without quotes, backslash, angle brackets. */
bool http_query_ok(struct slice query);

/* ---- Bodies in chunks (RFC 9112, 7.1), without extensions and trailers ---- */

struct http_chunks {
    enum { CHUNK_SIZE, CHUNK_DATA, CHUNK_END, CHUNK_LAST, CHUNK_DONE } state;
    uint64_t left; /* of this chunk */
    unsigned digits;
    bool cr; /* the line's CR was there */
};
/* Consumes from in, writes data to out (at least len bytes of room). Returns how much was consumed,
 * -1: malformed. *written is set. Ends when state is CHUNK_DONE. */
ptrdiff_t http_chunks_read(struct http_chunks *c, const uint8_t *in, size_t len, uint8_t *out,
                           size_t *written);

const char *http_reason(int status); /* "Not Found" */

#endif

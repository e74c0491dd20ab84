/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of HTTP/1.1 (RFC 9112) that the API speaks: requests with at most a body of known
 * length, in full before they are looked at. Trusts nothing of them.
 */
#ifndef BAWN_VMM_HTTP_H
#define BAWN_VMM_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#define BAWN_HTTP_HEAD_MAX 8192
#define BAWN_HTTP_BODY_MAX 65536
#define BAWN_HTTP_ANSWER_HEAD 256

/* Text is borrowed from what was read, and does not end in a zero. */
struct bawn_http_request {
    const char *method, *path, *body;
    size_t method_len, path_len, body_len;
    bool close;  /* no other request comes */
    bool expect; /* the client waits for "100 Continue" before the body */
};

/* How many bytes the request has that buf begins with; 0: it is not all there, yet req->expect is
 * right; negative: the status of the answer to what is no request, after which nothing is read. */
int bawn_http_read(const char *buf, size_t len, struct bawn_http_request *req);

/* Writes the head of an answer with so long a body (JSON), to BAWN_HTTP_ANSWER_HEAD bytes. Returns
 * its length. */
size_t bawn_http_answer(char *to, int status, size_t body_len, bool close);

#endif

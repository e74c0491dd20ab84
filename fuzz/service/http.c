// SPDX-License-Identifier: Apache-2.0
/*
 * Input: a request as a client sends it. The head, its path, query, cookie and token, and what
 * follows as a body in chunks, whole and byte by byte: both ways come to the same.
 */
#include <stdlib.h>
#include <string.h>

#include "attest/service/front/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct slice s, const char *text, size_t len)
{
    if (s.len && (s.p < text || s.p + s.len > text + len))
        __builtin_trap();
}

static void chunks(const uint8_t *data, size_t size)
{
    struct http_chunks whole = { 0 }, single = { 0 };
    uint8_t *a = malloc(size + 1), *b = malloc(size + 1);
    size_t na = 0, nb = 0, n;
    ptrdiff_t used = http_chunks_read(&whole, data, size, a, &na), total = 0;

    for (size_t i = 0; i < size && single.state != CHUNK_DONE; i++) {
        ptrdiff_t one = http_chunks_read(&single, data + i, 1, b + nb, &n);

        nb += n;
        if (one < 0) {
            total = -1;
            break;
        }
        total += one;
    }
    if (used != total || (used >= 0 && (na != nb || memcmp(a, b, na) != 0)))
        __builtin_trap();
    free(a);
    free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct http_head head;
    struct http_path path;
    struct slice value;

    if (http_parse_head(text, size, &head) == 0) {
        inside(head.path, text, size);
        inside(head.query, text, size);
        for (size_t i = 0; i < head.nr_headers; i++) {
            inside(head.headers[i].name, text, size);
            inside(head.headers[i].value, text, size);
        }
        if (http_path_parse(head.path, &path)) {
            for (size_t i = 0; i < path.n; i++)
                if (!path.segment[i].len || slice_is(path.segment[i], ".."))
                    __builtin_trap();
            http_path_matches(&path, 0, "/kbs/v0/resource/+/+/+");
            http_path_matches(&path, path.n ? 1 : 0, "/bawn/v1/#");
        }
        http_query_ok(head.query);
        if (http_cookie(&head, "kbs-session-id", &value))
            inside(value, text, size);
        if (http_bearer(&head, &value))
            inside(value, text, size);
        data += head.size;
        size -= head.size;
    }
    chunks(data, size);
    return 0;
}

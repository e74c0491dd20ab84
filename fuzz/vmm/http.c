// SPDX-License-Identifier: Apache-2.0
/*
 * The API's requests: whatever a client sends, what is read of it lies inside, and a request that
 * is whole is not taken for one before its last byte.
 */
#include <string.h>

#include "common.h"
#include "http.h"

static void inside(const char *p, size_t len, const char *buf, size_t n)
{
    if (p < buf || p > buf + n || len > (size_t)(buf + n - p))
        abort();
}

/* A copy that ends where it should. */
static int read_copy(const uint8_t *data, size_t len)
{
    char *copy = malloc(len ? len : 1);
    struct bawn_http_request req;
    int n;

    if (!copy)
        abort();
    memcpy(copy, data, len);
    n = bawn_http_read(copy, len, &req);
    if (n > 0) {
        inside(req.method, req.method_len, copy, (size_t)n);
        inside(req.path, req.path_len, copy, (size_t)n);
        inside(req.body, req.body_len, copy, (size_t)n);
    }
    free(copy);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    while (size) {
        int n = read_copy(data, size);

        if (n > (int)size || (n < 0 && (n > -400 || n < -505)))
            abort();
        if (n <= 0)
            break;
        if (read_copy(data, (size_t)n - 1) || read_copy(data, (size_t)n / 2))
            abort();
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

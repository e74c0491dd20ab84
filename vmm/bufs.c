// SPDX-License-Identifier: Apache-2.0
/*
 * A walk over a request's buffers. The chain was checked by virtq.c: each buffer lies in guest
 * memory and the sum of the lengths did not overflow.
 */
#include <string.h>

#include "bufs.h"

static void fill(struct bawn_bufs *b, const struct iovec *v, unsigned nr, size_t len)
{
    memcpy(b->v, v, nr * sizeof(*v));
    b->nr = nr;
    b->len = len;
}

void bawn_bufs_readable(struct bawn_bufs *b, const struct bawn_virtq_chain *chain)
{
    fill(b, chain->iov, chain->nr_read, chain->read_len);
}

void bawn_bufs_writable(struct bawn_bufs *b, const struct bawn_virtq_chain *chain)
{
    fill(b, chain->iov + chain->nr_read, chain->nr_write, chain->write_len);
}

void bawn_bufs_skip(struct bawn_bufs *b, size_t n)
{
    unsigned whole = 0;

    n = n < b->len ? n : b->len;
    b->len -= n;
    while (whole < b->nr && n >= b->v[whole].iov_len)
        n -= b->v[whole++].iov_len;
    b->nr -= whole;
    memmove(b->v, b->v + whole, b->nr * sizeof(b->v[0]));
    if (n) { /* less than the first one that is left */
        b->v[0].iov_base = (uint8_t *)b->v[0].iov_base + n;
        b->v[0].iov_len -= n;
    }
}

void bawn_bufs_cut(struct bawn_bufs *b, size_t n)
{
    if (n >= b->len)
        return;
    b->len = n;
    for (b->nr = 0; n; b->nr++) {
        if (b->v[b->nr].iov_len > n)
            b->v[b->nr].iov_len = n;
        n -= b->v[b->nr].iov_len;
    }
}

bool bawn_bufs_get(struct bawn_bufs *b, void *to, size_t n)
{
    size_t done = 0;

    if (n > b->len)
        return false;
    for (unsigned i = 0; done < n; i++) {
        size_t part = b->v[i].iov_len < n - done ? b->v[i].iov_len : n - done;

        memcpy((uint8_t *)to + done, b->v[i].iov_base, part);
        done += part;
    }
    bawn_bufs_skip(b, n);
    return true;
}

bool bawn_bufs_put(struct bawn_bufs *b, const void *from, size_t n)
{
    size_t done = 0;

    if (n > b->len)
        return false;
    for (unsigned i = 0; done < n; i++) {
        size_t part = b->v[i].iov_len < n - done ? b->v[i].iov_len : n - done;

        memcpy(b->v[i].iov_base, (const uint8_t *)from + done, part);
        done += part;
    }
    bawn_bufs_skip(b, n);
    return true;
}

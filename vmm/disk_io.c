// SPDX-License-Identifier: Apache-2.0
/*
 * Whole transfers between buffers and a file. The buffers may be guest memory; offsets and lengths
 * are the caller's, who has checked them.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "disk_io.h"

#define ZEROES 65536u

void bawn_iov_advance(struct iovec **v, unsigned *nr, size_t n)
{
    while (*nr && n >= (*v)->iov_len) {
        n -= (*v)->iov_len;
        ++*v;
        --*nr;
    }
    if (*nr && n) {
        (*v)->iov_base = (uint8_t *)(*v)->iov_base + n;
        (*v)->iov_len -= n;
    }
}

unsigned bawn_iov_take(struct iovec **v, unsigned *nr, size_t n, struct iovec *out)
{
    unsigned count = 0;

    for (; n && *nr; count++) {
        size_t part = (*v)->iov_len < n ? (*v)->iov_len : n;

        out[count] = (struct iovec){ (*v)->iov_base, part };
        bawn_iov_advance(v, nr, part);
        n -= part;
    }
    return count;
}

static void clear(const struct iovec *v, unsigned nr)
{
    for (unsigned i = 0; i < nr; i++)
        memset(v[i].iov_base, 0, v[i].iov_len);
}

bool bawn_io_read(int fd, struct iovec *v, unsigned nr, uint64_t at, bool zero_fill)
{
    while (nr) {
        ssize_t n = preadv(fd, v, (int)nr, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (!n && zero_fill)
            clear(v, nr);
        if (n <= 0)
            return !n && zero_fill;
        at += (uint64_t)n;
        bawn_iov_advance(&v, &nr, (size_t)n);
    }
    return true;
}

bool bawn_io_write(int fd, struct iovec *v, unsigned nr, uint64_t at)
{
    while (nr) {
        ssize_t n = pwritev(fd, v, (int)nr, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += (uint64_t)n;
        bawn_iov_advance(&v, &nr, (size_t)n);
    }
    return true;
}

static bool write_zeroes(int fd, uint64_t at, uint64_t len)
{
    static uint8_t zeroes[ZEROES];

    while (len) {
        struct iovec v = { zeroes, len < ZEROES ? len : ZEROES };
        uint64_t now = v.iov_len;

        if (!bawn_io_write(fd, &v, 1, at))
            return false;
        at += now;
        len -= now;
    }
    return true;
}

bool bawn_io_zero(int fd, uint64_t at, uint64_t len, bool keep)
{
    int mode = FALLOC_FL_KEEP_SIZE | (keep ? FALLOC_FL_ZERO_RANGE : FALLOC_FL_PUNCH_HOLE);

    return !fallocate(fd, mode, (off_t)at, (off_t)len) || write_zeroes(fd, at, len);
}

void bawn_io_punch(int fd, uint64_t at, uint64_t len)
{
    (void)!fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, (off_t)at, (off_t)len);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What the launch measurements share: running digests by OpenSSL, and the bounds that keep a
 * forged size from costing time. Trusts its callers' buffers, not the numbers in them.
 */
#include "attest/lib/measure.h"

enum bawn_status hasher_open(struct hasher *h, const char *name, struct bawn_error *err)
{
    h->failed = false;
    h->ctx = EVP_MD_CTX_new();
    h->md = EVP_MD_fetch(NULL, name, NULL);
    if (h->ctx && h->md)
        return BAWN_OK;
    h->failed = true;
    hasher_close(h, NULL);
    return bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL has no %s", name);
}

void hasher_start(struct hasher *h)
{
    if (!h->failed && !EVP_DigestInit_ex2(h->ctx, h->md, NULL))
        h->failed = true;
}

void hasher_add(struct hasher *h, const void *data, size_t len)
{
    if (!h->failed && len && !EVP_DigestUpdate(h->ctx, data, len))
        h->failed = true;
}

void hasher_zeros(struct hasher *h, size_t len)
{
    static const uint8_t zeros[PAGE_BYTES];

    while (len) {
        size_t n = len < sizeof(zeros) ? len : sizeof(zeros);

        hasher_add(h, zeros, n);
        len -= n;
    }
}

void hasher_end(struct hasher *h, uint8_t *digest)
{
    if (!h->failed && !EVP_DigestFinal_ex(h->ctx, digest, NULL))
        h->failed = true;
}

enum bawn_status hasher_close(struct hasher *h, struct bawn_error *err)
{
    EVP_MD_CTX_free(h->ctx);
    EVP_MD_free(h->md);
    h->ctx = NULL;
    h->md = NULL;
    return h->failed ? bawn_fail(err, BAWN_E_INTERNAL, "OpenSSL failed to compute a digest")
                     : BAWN_OK;
}

enum bawn_status launch_bound(uint64_t *total, uint64_t gpa, uint64_t size, struct bawn_error *err)
{
    uint64_t end;

    if (!size || gpa % PAGE_BYTES || size % PAGE_BYTES)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "0x%jx bytes at address 0x%jx cannot be loaded: must be whole pages of "
                         "4096 bytes, and at least one",
                         (uintmax_t)size, (uintmax_t)gpa);
    if (__builtin_add_overflow(gpa, size - 1, &end))
        return bawn_fail(err, BAWN_E_FORMAT,
                         "0x%jx bytes at address 0x%jx cannot be loaded: they end past the last "
                         "address",
                         (uintmax_t)size, (uintmax_t)gpa);
    if (!total)
        return BAWN_OK;
    if (size > BAWN_LAUNCH_BYTES_MAX - *total)
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "0x%jx bytes at address 0x%jx are too many: one launch may load at most "
                         "4 GiB in all",
                         (uintmax_t)size, (uintmax_t)gpa);
    *total += size;
    return BAWN_OK;
}

bool range_overlaps(const struct range *others, size_t n, struct range one)
{
    for (size_t i = 0; i < n; i++) {
        if (one.start < others[i].start ? others[i].start - one.start < one.size
                                        : one.start - others[i].start < others[i].size)
            return true;
    }
    return false;
}

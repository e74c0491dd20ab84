// SPDX-License-Identifier: Apache-2.0
/*
 * CBOR (RFC 8949) over a cursor: definite lengths only, as deterministic encoders write (4.2.1).
 * The bytes are hostile; nothing is allocated.
 */
#include "attest/corim/corim.h"

bool cbor_next(struct bawn_cursor *c, struct cbor_item *item)
{
    uint8_t head = (uint8_t)bawn_cursor_be(c, 1);
    unsigned more = head & 31;

    *item = (struct cbor_item){ .major = (enum cbor_major)(head >> 5), .value = more };
    if (more >= 28) /* reserved, or an indefinite length */
        c->failed = true;
    else if (more >= 24)
        item->value = bawn_cursor_be(c, 1u << (more - 24));
    if (!c->failed && (item->major == CBOR_BYTES || item->major == CBOR_TEXT)) {
        item->bytes.data = bawn_cursor_take(c, item->value);
        item->bytes.len = item->bytes.data ? (size_t)item->value : 0;
    }
    /* Each element is a byte at least: a count beyond what is left is a lie. */
    if ((item->major == CBOR_ARRAY && item->value > bawn_cursor_left(c)) ||
        (item->major == CBOR_MAP && item->value > bawn_cursor_left(c) / 2))
        c->failed = true;
    return !c->failed;
}

static bool skip(struct bawn_cursor *c, unsigned depth)
{
    struct cbor_item item;
    uint64_t n;

    if (depth > CBOR_DEPTH)
        c->failed = true;
    if (!cbor_next(c, &item))
        return false;
    n = item.major == CBOR_TAG     ? 1
        : item.major == CBOR_ARRAY ? item.value
        : item.major == CBOR_MAP   ? 2 * item.value
                                   : 0;
    while (n-- && skip(c, depth + 1))
        ;
    return !c->failed;
}

bool cbor_skip(struct bawn_cursor *c)
{
    return skip(c, 0);
}

bool cbor_expect(struct bawn_cursor *c, enum cbor_major major, struct cbor_item *item)
{
    if (cbor_next(c, item) && item->major != major)
        c->failed = true;
    return !c->failed;
}

bool cbor_int(struct bawn_cursor *c, int64_t *value)
{
    struct cbor_item item;

    *value = 0;
    if (!cbor_next(c, &item))
        return false;
    if (item.major > CBOR_NEGATIVE || item.value > INT64_MAX)
        c->failed = true;
    else
        *value = item.major == CBOR_UINT ? (int64_t)item.value : -1 - (int64_t)item.value;
    return !c->failed;
}

int cbor_peek(const struct bawn_cursor *c)
{
    int head = bawn_cursor_peek(c);

    return head < 0 ? -1 : head >> 5;
}

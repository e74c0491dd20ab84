/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Distinguished Encoding Rules over the cursor: definite minimal lengths, minimal integers,
 * single-byte tags, no nesting by recursion. What is BER but not DER fails the cursor.
 * X.690 sections 8, 10, 11.
 */
#ifndef BAWN_ATTEST_DER_H
#define BAWN_ATTEST_DER_H

#include <bawn/attest.h>
#include <bawn/cursor.h>

enum {
    DER_BOOLEAN = 0x01,
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_NULL = 0x05,
    DER_OID = 0x06,
    DER_ENUMERATED = 0x0a,
    DER_UTF8_STRING = 0x0c,
    DER_PRINTABLE_STRING = 0x13,
    DER_IA5_STRING = 0x16,
    DER_UTC_TIME = 0x17,
    DER_GENERALIZED_TIME = 0x18,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
    DER_CONTEXT = 0x80,      /* [n] primitive: | n */
    DER_CONTEXT_CONS = 0xa0, /* [n] constructed: | n */
};

/* The tag of the next element without moving; 0 at the end or when c failed. */
uint8_t der_peek(const struct bawn_cursor *c);
/* The next element, which must have this tag: a cursor over its content; *c moves past it. */
struct bawn_cursor der_enter(struct bawn_cursor *c, uint8_t tag);
/* The next element of any tag: its content, and optionally the whole of it with its header. */
struct bawn_bytes der_any(struct bawn_cursor *c, uint8_t *tag, struct bawn_bytes *whole);
/* The content of the next element, which must have this tag. */
struct bawn_bytes der_content(struct bawn_cursor *c, uint8_t tag);
/* A non-negative INTEGER: its magnitude without the leading zero byte (zero is the one byte 00).
 * Negative fails. */
struct bawn_bytes der_unsigned(struct bawn_cursor *c);
/* A non-negative INTEGER that fits 64 bits. */
uint64_t der_uint(struct bawn_cursor *c);
bool der_bool(struct bawn_cursor *c);
/* A BIT STRING with no unused bits. */
struct bawn_bytes der_bits(struct bawn_cursor *c);
/* UTCTime or GeneralizedTime in Z, as seconds since 1970. */
int64_t der_time(struct bawn_cursor *c);
/* Whether oid (content bytes) is want. */
bool der_oid_is(struct bawn_bytes oid, const uint8_t *want, size_t len);
/* The OID in dotted form, for messages; what does not fit is described. Returns text. */
const char *der_oid_text(struct bawn_bytes oid, char *text, size_t size);
/* Fails c unless all was read. */
void der_end(struct bawn_cursor *c);

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * Takes a quote apart: header, body, signature data, down to the certification data. Judges
 * nothing. Trusts no byte of it: every length is checked against what holds it, and must be
 * used up exactly. Format: Intel SGX/TDX DCAP Quoting Library API, appendix A.
 */
#include "attest/lib/quote.h"

#include <string.h>

#include <bawn/cursor.h>

uint64_t le_uint(const uint8_t *bytes, size_t n)
{
    struct bawn_cursor c = bawn_cursor_over(bytes, n);

    return bawn_cursor_le(&c, (unsigned)n);
}

/* A body that the quote may hold. */
static const struct body {
    unsigned type; /* of the version 5 descriptor */
    size_t size;
    bool tdx;
} bodies[] = {
    { BAWN_QUOTE_BODY_SGX, sizeof(struct bawn_enclave_report), false },
    { BAWN_QUOTE_BODY_TD10, sizeof(struct bawn_td_report10), true },
    { BAWN_QUOTE_BODY_TD15, sizeof(struct bawn_td_report15), true },
};

static const struct body *body_of_type(unsigned type)
{
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        if (bodies[i].type == type)
            return &bodies[i];
    return NULL;
}

static enum bawn_status parse_header(struct quote *q, struct bawn_cursor *c, struct bawn_error *err)
{
    unsigned key_type;
    uint64_t tee;

    q->header = (const struct bawn_quote_header *)bawn_cursor_take(c, sizeof(*q->header));
    if (!q->header)
        return bawn_fail(err, BAWN_E_FORMAT, "the quote ends inside its header");
    q->version = (unsigned)LE_FIELD(q->header->version);
    key_type = (unsigned)LE_FIELD(q->header->key_type);
    tee = LE_FIELD(q->header->tee_type);
    if (q->version < BAWN_QUOTE_V3 || q->version > BAWN_QUOTE_V5)
        return bawn_fail(err, BAWN_E_UNSUPPORTED, "quote version is %u: must be 3, 4 or 5",
                         q->version);
    if (key_type != BAWN_QUOTE_KEY_ECDSA_P256)
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "attestation key type is %u: must be 2, ECDSA with P-256%s", key_type,
                         key_type == BAWN_QUOTE_KEY_ECDSA_P384 ? " (3 is ECDSA with P-384)" : "");
    if (tee != BAWN_QUOTE_TEE_SGX && (tee != BAWN_QUOTE_TEE_TDX || q->version == BAWN_QUOTE_V3))
        return bawn_fail(err, BAWN_E_FORMAT, "TEE type of a version %u quote is 0x%llx: must be %s",
                         q->version, (unsigned long long)tee,
                         q->version == BAWN_QUOTE_V3 ? "0 (SGX)" : "0 (SGX) or 0x81 (TDX)");
    q->tdx = tee == BAWN_QUOTE_TEE_TDX;
    return BAWN_OK;
}

static enum bawn_status parse_body(struct quote *q, struct bawn_cursor *c, struct bawn_error *err)
{
    const struct body *body = body_of_type(q->tdx ? BAWN_QUOTE_BODY_TD10 : BAWN_QUOTE_BODY_SGX);
    const uint8_t *bytes;

    if (q->version == BAWN_QUOTE_V5) {
        unsigned type = bawn_cursor_u16(c);
        uint32_t size = bawn_cursor_u32(c);

        body = body_of_type(type);
        if (c->failed)
            return bawn_fail(err, BAWN_E_FORMAT, "the quote ends inside its body descriptor");
        if (!body)
            return bawn_fail(err, BAWN_E_UNSUPPORTED, "quote body type is %u: must be 1, 2 or 3",
                             type);
        if (size != body->size)
            return bawn_fail(err, BAWN_E_FORMAT, "quote body of type %u has %u bytes: must be %zu",
                             type, size, body->size);
        if (body->tdx != q->tdx)
            return bawn_fail(err, BAWN_E_FORMAT, "quote body type is %u in %s quote", type,
                             q->tdx ? "a TDX" : "an SGX");
    }
    bytes = bawn_cursor_take(c, body->size);
    if (!bytes)
        return bawn_fail(err, BAWN_E_FORMAT, "the quote ends inside its body");
    if (!body->tdx)
        q->enclave = (const struct bawn_enclave_report *)bytes;
    else
        q->td = (const struct bawn_td_report10 *)bytes;
    if (body->type == BAWN_QUOTE_BODY_TD15)
        q->td15 = (const struct bawn_td_report15 *)bytes;
    return BAWN_OK;
}

/* A cursor over the next n bytes, and c past them. */
static struct bawn_cursor enter(struct bawn_cursor *c, uint64_t n)
{
    const uint8_t *p = bawn_cursor_take(c, n);
    struct bawn_cursor inner = bawn_cursor_over(p, p ? (size_t)n : 0);

    inner.failed = !p;
    return inner;
}

/* QE report certification data, A.3.11 and A.4: report, signature, authentication data, and
 * the certification data of the PCK, which ends it. */
static enum bawn_status parse_qe(struct quote *q, struct bawn_cursor *c, struct bawn_error *err)
{
    size_t size;

    q->qe = (const struct bawn_enclave_report *)bawn_cursor_take(c, sizeof(*q->qe));
    q->qe_signature = bawn_cursor_take(c, BAWN_QUOTE_ECDSA_P256_SIZE);
    size = bawn_cursor_u16(c);
    q->qe_auth = (struct bawn_bytes){ bawn_cursor_take(c, size), size };
    q->cert_type = bawn_cursor_u16(c);
    size = bawn_cursor_u32(c);
    q->cert_data = (struct bawn_bytes){ bawn_cursor_take(c, size), size };
    if (c->failed)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "the quote's signature data ends inside the QE report or its certificate");
    if (bawn_cursor_left(c))
        return bawn_fail(err, BAWN_E_FORMAT,
                         "%zu bytes follow the certification data: its length must be exact",
                         bawn_cursor_left(c));
    if (q->cert_type < BAWN_QUOTE_CERT_PPID_CLEAR || q->cert_type > BAWN_QUOTE_CERT_PCK_CHAIN)
        return bawn_fail(err, BAWN_E_UNSUPPORTED, "certification data type is %u: must be 1 to 5",
                         q->cert_type);
    return BAWN_OK;
}

static enum bawn_status parse_signature(struct quote *q, struct bawn_cursor *c,
                                        struct bawn_error *err)
{
    struct bawn_cursor qe;
    unsigned type;

    q->signature = bawn_cursor_take(c, BAWN_QUOTE_ECDSA_P256_SIZE);
    q->key = bawn_cursor_take(c, BAWN_QUOTE_ECDSA_P256_SIZE);
    if (q->version == BAWN_QUOTE_V3)
        return parse_qe(q, c, err);

    type = bawn_cursor_u16(c);
    qe = enter(c, bawn_cursor_u32(c));
    if (c->failed)
        return bawn_fail(err, BAWN_E_FORMAT, "the quote ends inside its signature data");
    if (type != BAWN_QUOTE_CERT_QE_REPORT)
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "certification data type of a version %u quote is %u: must be 6",
                         q->version, type);
    if (bawn_cursor_left(c))
        return bawn_fail(
            err, BAWN_E_FORMAT,
            "%zu bytes follow the QE report: the signature data's length must be exact",
            bawn_cursor_left(c));
    return parse_qe(q, &qe, err);
}

enum bawn_status quote_parse(struct quote *q, struct bawn_bytes bytes, struct bawn_error *err)
{
    struct bawn_cursor c = bawn_cursor_over(bytes.data, bytes.len), signature;
    enum bawn_status st;
    uint32_t size;

    *q = (struct quote){ 0 };
    st = parse_header(q, &c, err);
    if (st == BAWN_OK)
        st = parse_body(q, &c, err);
    if (st != BAWN_OK)
        return st;
    q->signed_part = (struct bawn_bytes){ bytes.data, bytes.len - bawn_cursor_left(&c) };

    size = bawn_cursor_u32(&c);
    if (c.failed || size > bawn_cursor_left(&c))
        return bawn_fail(err, BAWN_E_FORMAT,
                         "the quote's signature data has %u bytes, but only %zu follow", size,
                         bawn_cursor_left(&c));
    signature = enter(&c, size);
    st = parse_signature(q, &signature, err);
    if (st == BAWN_OK && !bawn_cursor_zeros(&c, bawn_cursor_left(&c)))
        st = bawn_fail(err, BAWN_E_FORMAT, "the quote is followed by bytes that are not zero");
    return st;
}

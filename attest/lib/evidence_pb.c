// SPDX-License-Identifier: Apache-2.0
/*
 * go-tpm-tools' attestation message: just as much of protobuf as its few fields need. Quotes
 * of several PCR banks are in it; the strongest bank is judged. Field numbers are those of
 * go-tpm-tools, proto/attest.proto and proto/tpm.proto.
 */
#include <string.h>

#include "attest/lib/evidence.h"

/* Protocol Buffers, "Encoding": wire types. Groups (3, 4) are refused. */
enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_LEN = 2, WIRE_FIXED32 = 5 };

enum {
    ATTESTATION_AK_PUB = 1,
    ATTESTATION_QUOTES = 2,
    ATTESTATION_EVENT_LOG = 3,
    ATTESTATION_AK_CERT = 6,
    ATTESTATION_INTERMEDIATE = 7,
    ATTESTATION_SNP = 8,
    ATTESTATION_TDX = 9
};
enum { QUOTE_MESSAGE = 1, QUOTE_SIGNATURE = 2, QUOTE_PCRS = 3 };
enum { PCRS_HASH = 1, PCRS_MAP = 2 };
enum { MAP_KEY = 1, MAP_VALUE = 2 };

#define MAX_FIELD 536870911 /* Protocol Buffers, "Assigning Field Numbers" */

static const struct check other_tee = {
    .name = "evidence.other-part",
    .claim = "evidence.form",
    .source = "go-tpm-tools, proto/attest.proto",
    .how = "no part of the attestation is left unjudged",
    .advice = "judge the guest's SEV-SNP report or TDX quote too, in its raw form",
};

static const struct check best_bank = {
    .name = "evidence.bank",
    .claim = "tpm.pcr",
    .source = "go-tpm-tools, proto/attest.proto",
    .how = "of the quoted PCR banks, the one with the strongest hash is judged",
};

struct field {
    uint32_t number;
    unsigned wire;
    uint64_t value;          /* WIRE_VARINT */
    struct bawn_bytes bytes; /* WIRE_LEN */
};

static uint64_t varint(struct bawn_cursor *c)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t b = bawn_cursor_u8(c);

        if (shift == 63 && b > 1)
            break;
        value |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80))
            return value;
    }
    c->failed = true;
    return 0;
}

/* The next field; false at the end or when the message is broken (c->failed). */
static bool next_field(struct bawn_cursor *c, struct field *f)
{
    uint64_t key;

    if (!bawn_cursor_left(c))
        return false;
    key = varint(c);
    *f = (struct field){ .number = (uint32_t)(key >> 3), .wire = key & 7 };
    if (key >> 3 < 1 || key >> 3 > MAX_FIELD)
        c->failed = true;
    switch (f->wire) {
    case WIRE_VARINT:
        f->value = varint(c);
        break;
    case WIRE_FIXED64:
        bawn_cursor_take(c, 8);
        break;
    case WIRE_FIXED32:
        bawn_cursor_take(c, 4);
        break;
    case WIRE_LEN:
        f->bytes.len = varint(c);
        f->bytes.data = bawn_cursor_take(c, f->bytes.len);
        break;
    default:
        c->failed = true;
    }
    return !c->failed;
}

static bool is_bytes(const struct field *f, uint32_t number)
{
    return f->number == number && f->wire == WIRE_LEN;
}

struct quote {
    struct bawn_bytes message, signature;
    struct pcr_bank pcrs;
};

static bool read_pcr(struct bawn_bytes entry, struct pcr_bank *bank)
{
    struct bawn_cursor c = bawn_cursor_over(entry.data, entry.len);
    struct bawn_bytes value = { NULL, 0 };
    uint64_t index = 0; /* 0 is not written */
    struct field f;

    while (next_field(&c, &f)) {
        if (f.number == MAP_KEY && f.wire == WIRE_VARINT)
            index = f.value;
        else if (is_bytes(&f, MAP_VALUE))
            value = f.bytes;
    }
    if (c.failed || index >= TPM_PCRS || bank->value[index].len)
        return false;
    bank->value[index] = value;
    return value.len;
}

static bool read_pcrs(struct bawn_bytes pcrs, struct pcr_bank *bank)
{
    struct bawn_cursor c = bawn_cursor_over(pcrs.data, pcrs.len);
    struct field f;

    while (next_field(&c, &f))
        if (is_bytes(&f, PCRS_MAP) && !read_pcr(f.bytes, bank))
            return false;
    for (size_t i = 0; i < TPM_PCRS; i++) {
        enum hash_alg alg = evidence_bank_of_size(bank->value[i].len);

        if (!bank->value[i].len)
            continue;
        if (alg == HASH_NONE || (bank->alg != HASH_NONE && alg != bank->alg))
            return false;
        bank->alg = alg;
    }
    return !c.failed && bank->alg != HASH_NONE;
}

static bool read_quote(struct bawn_bytes quote, struct quote *q)
{
    struct bawn_cursor c = bawn_cursor_over(quote.data, quote.len);
    struct field f;

    *q = (struct quote){ .message = { NULL, 0 } };
    while (next_field(&c, &f)) {
        if (is_bytes(&f, QUOTE_MESSAGE))
            q->message = f.bytes;
        else if (is_bytes(&f, QUOTE_SIGNATURE))
            q->signature = f.bytes;
        else if (is_bytes(&f, QUOTE_PCRS) && !read_pcrs(f.bytes, &q->pcrs))
            return false;
    }
    return !c.failed && q->message.len && q->signature.len && q->pcrs.alg != HASH_NONE;
}

/* Reads all of the message before anything is taken from it: other bytes may begin alike. */
static bool read_all(struct bawn_bytes data, struct evidence *ev, unsigned *banks)
{
    struct bawn_cursor c = bawn_cursor_over(data.data, data.len);
    struct quote q;
    struct field f;

    while (next_field(&c, &f)) {
        if (is_bytes(&f, ATTESTATION_AK_PUB))
            ev->ak_public = f.bytes;
        else if (is_bytes(&f, ATTESTATION_EVENT_LOG))
            ev->event_log = f.bytes;
        if (!is_bytes(&f, ATTESTATION_QUOTES))
            continue;
        if (!read_quote(f.bytes, &q))
            return false;
        ++*banks;
        if (evidence_bank_rank(q.pcrs.alg) <= evidence_bank_rank(ev->pcrs.alg))
            continue;
        ev->tpm_message = q.message;
        ev->tpm_signature = q.signature;
        ev->pcrs = q.pcrs;
    }
    return !c.failed && *banks && ev->ak_public.len;
}

/* Certificates of the key, and what is not judged. */
static void take_rest(struct verification *v, struct bawn_bytes data)
{
    struct bawn_cursor c = bawn_cursor_over(data.data, data.len);
    struct field f;

    while (next_field(&c, &f)) {
        if (is_bytes(&f, ATTESTATION_AK_CERT) && f.bytes.len)
            endorsement_add_cert(v, f.bytes, "ak_cert");
        else if (is_bytes(&f, ATTESTATION_INTERMEDIATE) && f.bytes.len)
            endorsement_add_cert(v, f.bytes, "intermediate_certs");
        else if (is_bytes(&f, ATTESTATION_SNP) || is_bytes(&f, ATTESTATION_TDX))
            check_warned(v->r, &other_tee, NULL,
                         f.number == ATTESTATION_SNP ? "sev_snp_attestation" : "tdx_attestation",
                         "the attestation has a part that is not judged");
    }
}

enum taken evidence_take_protobuf(struct verification *v, struct bawn_bytes data)
{
    struct bawn_cursor first = bawn_cursor_over(data.data, data.len);
    struct evidence ev = { .kind = BAWN_EVIDENCE_TPM };
    unsigned banks = 0;

    /* The first field of a message that has the key. */
    if (bawn_cursor_u8(&first) != (ATTESTATION_AK_PUB << 3 | WIRE_LEN) ||
        !read_all(data, &ev, &banks))
        return TAKEN_NONE;
    if (!evidence_put(v, &v->ev.tpm_message, "TPM quote", ev.tpm_message))
        return TAKEN_BROKEN;
    if (v->ev.kind == BAWN_EVIDENCE_ANY)
        v->ev.kind = BAWN_EVIDENCE_TPM;
    v->ev.tpm_signature = ev.tpm_signature;
    v->ev.pcrs = ev.pcrs;
    v->ev.ak_public = ev.ak_public;
    v->ev.event_log = ev.event_log;
    claim_uint(v->r, "tpm.banks_quoted", banks);
    check_passed(v->r, &best_bank);
    take_rest(v, data);
    return TAKEN;
}

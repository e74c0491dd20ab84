// SPDX-License-Identifier: Apache-2.0
/*
 * Reads what a TPM 2.0 writes: TPMS_ATTEST, TPMT_SIGNATURE, TPMT_PUBLIC, and the file in which
 * tpm2-tools keeps PCR values. All of it is hostile: nothing is taken that does not end where
 * its bytes end, and no field that the specification's tables do not allow.
 */
#include "attest/lib/tpm.h"

/* ---- Numbers ---- */

static const struct {
    uint16_t id;
    enum hash_alg hash; /* served here */
    const char *name;
} algs[] = {
    { TPM_ALG_RSA, HASH_NONE, "RSA" },
    { TPM_ALG_SHA1, HASH_SHA1, "SHA-1" },
    { TPM_ALG_HMAC, HASH_NONE, "HMAC" },
    { TPM_ALG_KEYEDHASH, HASH_NONE, "KEYEDHASH" },
    { TPM_ALG_SHA256, HASH_SHA256, "SHA-256" },
    { TPM_ALG_SHA384, HASH_SHA384, "SHA-384" },
    { TPM_ALG_SHA512, HASH_SHA512, "SHA-512" },
    { TPM_ALG_NULL, HASH_NONE, "NULL" },
    { TPM_ALG_SM3_256, HASH_NONE, "SM3-256" },
    { TPM_ALG_RSASSA, HASH_NONE, "RSASSA" },
    { TPM_ALG_RSAPSS, HASH_NONE, "RSAPSS" },
    { TPM_ALG_ECDSA, HASH_NONE, "ECDSA" },
    { TPM_ALG_ECDAA, HASH_NONE, "ECDAA" },
    { TPM_ALG_SM2, HASH_NONE, "SM2" },
    { TPM_ALG_ECSCHNORR, HASH_NONE, "ECSCHNORR" },
    { TPM_ALG_ECC, HASH_NONE, "ECC" },
    { TPM_ALG_SYMCIPHER, HASH_NONE, "SYMCIPHER" },
    { TPM_ALG_SHA3_256, HASH_NONE, "SHA3-256" },
    { TPM_ALG_SHA3_384, HASH_NONE, "SHA3-384" },
    { TPM_ALG_SHA3_512, HASH_NONE, "SHA3-512" },
};

static const struct {
    uint16_t type;
    const char *name;
} attests[] = {
    { TPM_ST_ATTEST_NV, "NV certification" },
    { TPM_ST_ATTEST_COMMAND_AUDIT, "command audit" },
    { TPM_ST_ATTEST_SESSION_AUDIT, "session audit" },
    { TPM_ST_ATTEST_CERTIFY, "object certification" },
    { TPM_ST_ATTEST_QUOTE, "quote" },
    { TPM_ST_ATTEST_TIME, "time attestation" },
    { TPM_ST_ATTEST_CREATION, "creation certification" },
    { TPM_ST_ATTEST_NV_DIGEST, "NV digest certification" },
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

enum hash_alg tpm_hash(uint16_t id)
{
    for (size_t i = 0; i < COUNT(algs); i++)
        if (algs[i].id == id)
            return algs[i].hash;
    return HASH_NONE;
}

const char *tpm_alg_name(uint16_t id)
{
    for (size_t i = 0; i < COUNT(algs); i++)
        if (algs[i].id == id)
            return algs[i].name;
    return NULL;
}

const char *tpm_attest_name(uint16_t type)
{
    for (size_t i = 0; i < COUNT(attests); i++)
        if (attests[i].type == type)
            return attests[i].name;
    return NULL;
}

/* ---- Readers ---- */

static uint16_t be16(struct bawn_cursor *c)
{
    return (uint16_t)bawn_cursor_be(c, 2);
}

static uint32_t be32(struct bawn_cursor *c)
{
    return (uint32_t)bawn_cursor_be(c, 4);
}

/* A TPM2B: a size, at most max, and as many bytes. */
static struct bawn_bytes tpm2b(struct bawn_cursor *c, size_t max)
{
    size_t len = be16(c);
    const uint8_t *p;

    if (len > max)
        c->failed = true;
    p = bawn_cursor_take(c, len);
    return p ? (struct bawn_bytes){ p, len } : (struct bawn_bytes){ 0 };
}

static bool at_end(const struct bawn_cursor *c)
{
    return !c->failed && c->pos == c->end;
}

/* ---- TPMS_ATTEST ---- */

/* TPMS_PCR_SELECTION. Bits past the last PCR of a PC Client TPM must be clear. */
static bool selection_parse(struct bawn_cursor *c, struct tpm_pcr_selection *s)
{
    unsigned size;

    s->id = be16(c);
    s->bank = tpm_hash(s->id);
    size = bawn_cursor_u8(c);
    if (size < TPM_PCR_SELECT_MIN || size > TPM_PCR_SELECT_MAX)
        return false;
    s->mask = (uint32_t)bawn_cursor_le(c, size);
    return !c->failed && !(s->mask >> TPM_PCRS);
}

/* TPML_PCR_SELECTION. A bank may be named once. */
static bool selections_parse(struct bawn_cursor *c, struct tpm_attest *a)
{
    uint32_t n = be32(c);

    if (n > TPM_MAX_PCR_BANKS)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        if (!selection_parse(c, &a->select[i]))
            return false;
        for (uint32_t j = 0; j < i; j++)
            if (a->select[j].id == a->select[i].id)
                return false;
    }
    a->nr_select = n;
    return true;
}

/* Up to what all attestations have in common. */
static enum bawn_status header_parse(struct bawn_cursor *c, struct tpm_attest *a,
                                     struct bawn_error *err)
{
    unsigned safe;

    a->magic = be32(c);
    a->type = be16(c);
    if (c->failed)
        return bawn_fail(err, BAWN_E_FORMAT, "it is too short for a TPMS_ATTEST");
    if (a->magic != TPM_GENERATED_VALUE)
        return bawn_fail(err, BAWN_E_DENIED, "its magic is %08x where a TPM writes %08x", a->magic,
                         TPM_GENERATED_VALUE);
    if (!tpm_attest_name(a->type))
        return bawn_fail(err, BAWN_E_FORMAT, "its type %#06x is no TPM_ST_ATTEST", a->type);
    a->qualified_signer = tpm2b(c, TPM_MAX_HA);
    a->extra_data = tpm2b(c, TPM_MAX_HA);
    a->clock = bawn_cursor_be(c, 8);
    a->reset_count = be32(c);
    a->restart_count = be32(c);
    safe = bawn_cursor_u8(c);
    a->safe = safe;
    a->firmware_version = bawn_cursor_be(c, 8);
    if (c->failed)
        return bawn_fail(err, BAWN_E_FORMAT, "it ends within its header, or a size is too large");
    if (safe > 1)
        return bawn_fail(err, BAWN_E_FORMAT, "clockInfo.safe is %u, neither YES nor NO", safe);
    return BAWN_OK;
}

enum bawn_status tpm_attest_parse(struct tpm_attest *out, struct bawn_bytes message,
                                  struct bawn_error *err)
{
    struct bawn_cursor c = bawn_cursor_over(message.data, message.len);
    enum bawn_status st;

    *out = (struct tpm_attest){ 0 };
    st = header_parse(&c, out, err);
    if (st != BAWN_OK)
        return st;
    if (out->type != TPM_ST_ATTEST_QUOTE)
        return bawn_fail(err, BAWN_E_UNSUPPORTED, "it is a TPM's %s, not a quote",
                         tpm_attest_name(out->type));
    if (!selections_parse(&c, out))
        return bawn_fail(err, BAWN_E_FORMAT, "its PCR selection is malformed");
    out->pcr_digest = tpm2b(&c, TPM_MAX_DIGEST);
    if (c.failed)
        return bawn_fail(err, BAWN_E_FORMAT, "it ends within its PCR digest");
    if (!at_end(&c))
        return bawn_fail(err, BAWN_E_FORMAT, "%zu bytes follow it", bawn_cursor_left(&c));
    return BAWN_OK;
}

bool tpm_quote_recognise(struct bawn_bytes blob)
{
    struct bawn_cursor c = bawn_cursor_over(blob.data, blob.len);
    uint32_t magic = be32(&c);

    return magic == TPM_GENERATED_VALUE && tpm_attest_name(be16(&c));
}

/* ---- TPMT_SIGNATURE ---- */

static enum sig_scheme scheme_of(uint16_t id)
{
    switch (id) {
    case TPM_ALG_RSASSA:
        return SIG_RSA_PKCS1;
    case TPM_ALG_RSAPSS:
        return SIG_RSA_PSS;
    case TPM_ALG_ECDSA:
        return SIG_ECDSA;
    default:
        return SIG_NONE;
    }
}

enum bawn_status tpm_signature_parse(struct tpm_signature *out, struct bawn_bytes blob,
                                     struct bawn_error *err)
{
    struct bawn_cursor c = bawn_cursor_over(blob.data, blob.len);
    const char *name;

    *out = (struct tpm_signature){ 0 };
    out->id = be16(&c);
    name = c.failed ? NULL : tpm_alg_name(out->id);
    if (!name)
        return bawn_fail(err, BAWN_E_FORMAT, "it is no TPMT_SIGNATURE");
    out->alg.scheme = scheme_of(out->id);
    if (out->alg.scheme == SIG_NONE)
        return bawn_fail(err, BAWN_E_UNSUPPORTED, "signatures of scheme %s are not served", name);
    out->hash_id = be16(&c);
    out->alg.hash = tpm_hash(out->hash_id);
    out->alg.salt = -1;
    if (out->alg.scheme == SIG_ECDSA) {
        out->r = tpm2b(&c, TPM_MAX_ECC_KEY_BYTES);
        out->s = tpm2b(&c, TPM_MAX_ECC_KEY_BYTES);
    } else {
        out->rsa = tpm2b(&c, TPM_MAX_RSA_KEY_BYTES);
    }
    if (!at_end(&c))
        return bawn_fail(err, BAWN_E_FORMAT, "its length is not that of a TPMT_SIGNATURE (%s)",
                         name);
    if (out->alg.hash == HASH_NONE)
        return bawn_fail(err, BAWN_E_UNSUPPORTED, "signatures over hash %#06x are not served",
                         out->hash_id);
    return BAWN_OK;
}

bool tpm_signature_recognise(struct bawn_bytes blob)
{
    struct tpm_signature s;

    return tpm_signature_parse(&s, blob, NULL) == BAWN_OK;
}

/* ---- TPMT_PUBLIC ---- */

/* TPMT_SYM_DEF_OBJECT. */
static void symmetric_parse(struct bawn_cursor *c, struct tpm_public *p)
{
    p->symmetric = be16(c);
    switch (p->symmetric) {
    case TPM_ALG_NULL:
        break;
    case TPM_ALG_AES:
    case TPM_ALG_SM4:
    case TPM_ALG_CAMELLIA:
        p->symmetric_bits = be16(c);
        p->symmetric_mode = be16(c);
        break;
    default:
        c->failed = true;
    }
}

/* TPMT_RSA_SCHEME and TPMT_ECC_SCHEME: which of them may be in which. */
static void scheme_parse(struct bawn_cursor *c, struct tpm_public *p)
{
    bool rsa = p->type == TPM_ALG_RSA;

    p->scheme = be16(c);
    switch (p->scheme) {
    case TPM_ALG_NULL:
        return;
    case TPM_ALG_RSAES:
        c->failed |= !rsa;
        return;
    case TPM_ALG_RSASSA:
    case TPM_ALG_RSAPSS:
    case TPM_ALG_OAEP:
        c->failed |= !rsa;
        break;
    case TPM_ALG_ECDSA:
    case TPM_ALG_SM2:
    case TPM_ALG_ECSCHNORR:
    case TPM_ALG_ECDH:
    case TPM_ALG_ECMQV:
    case TPM_ALG_ECDAA:
        c->failed |= rsa;
        break;
    default:
        c->failed = true;
    }
    p->scheme_hash = be16(c);
    if (p->scheme == TPM_ALG_ECDAA)
        p->scheme_count = be16(c);
}

/* TPMT_KDF_SCHEME. */
static void kdf_parse(struct bawn_cursor *c, struct tpm_public *p)
{
    p->kdf = be16(c);
    switch (p->kdf) {
    case TPM_ALG_NULL:
        break;
    case TPM_ALG_MGF1:
    case TPM_ALG_KDF1_SP800_56A:
    case TPM_ALG_KDF2:
    case TPM_ALG_KDF1_SP800_108:
        p->kdf_hash = be16(c);
        break;
    default:
        c->failed = true;
    }
}

/* TPMT_PUBLIC without a size: all of c. */
static enum bawn_status public_body(struct bawn_cursor c, struct tpm_public *p,
                                    struct bawn_error *err)
{
    p->type = be16(&c);
    p->name_alg = be16(&c);
    p->attributes = be32(&c);
    p->auth_policy = tpm2b(&c, TPM_MAX_DIGEST);
    if (!c.failed && p->type != TPM_ALG_RSA && p->type != TPM_ALG_ECC)
        return bawn_fail(err, BAWN_E_UNSUPPORTED, "it is no TPM public area of an RSA or ECC key");
    symmetric_parse(&c, p);
    scheme_parse(&c, p);
    if (p->type == TPM_ALG_RSA) {
        p->key_bits = be16(&c);
        p->exponent = be32(&c);
        p->n = tpm2b(&c, TPM_MAX_RSA_KEY_BYTES);
    } else {
        p->curve = be16(&c);
        kdf_parse(&c, p);
        p->x = tpm2b(&c, TPM_MAX_ECC_KEY_BYTES);
        p->y = tpm2b(&c, TPM_MAX_ECC_KEY_BYTES);
    }
    if (!at_end(&c))
        return bawn_fail(err, BAWN_E_FORMAT, "its public area is malformed");
    return BAWN_OK;
}

enum bawn_status tpm_public_parse(struct tpm_public *out, struct bawn_bytes blob,
                                  struct bawn_error *err)
{
    struct bawn_cursor c = bawn_cursor_over(blob.data, blob.len);
    struct bawn_cursor body = c;

    *out = (struct tpm_public){ .body = blob };
    /* No type of object is as large a number as the size of a key's public area, so that a
     * size that is right means a TPM2B. */
    if (be16(&c) == bawn_cursor_left(&c) && !c.failed) {
        body = c;
        body.start = c.pos;
        out->body = (struct bawn_bytes){ c.pos, bawn_cursor_left(&c) };
    }
    return public_body(body, out, err);
}

bool tpm_public_recognise(struct bawn_bytes blob)
{
    struct tpm_public p;

    return tpm_public_parse(&p, blob, NULL) == BAWN_OK;
}

/* ---- PCR values ---- */

struct pcr_bank *tpm_pcr_bank(struct evidence *ev, enum hash_alg alg, bool add)
{
    if (ev->pcrs.alg == alg || (add && ev->pcrs.alg == HASH_NONE)) {
        ev->pcrs.alg = alg;
        return &ev->pcrs;
    }
    for (size_t i = 0; i < TPM_MORE_BANKS; i++) {
        struct pcr_bank *b = &ev->more_pcrs[i];

        if (b->alg == alg || (add && b->alg == HASH_NONE)) {
            b->alg = alg;
            return b;
        }
    }
    return NULL;
}

/* tpm2-tools writes its structures as they are in memory, little-endian: a TPML_PCR_SELECTION
 * (16 places of 8 bytes, the last of each padding), the number of digest lists, and as many
 * TPML_DIGEST (8 places of a size and 64 bytes). Values are in the selection's order. */
enum {
    FILE_SELECTION_SIZE = 8,
    FILE_DIGEST_SIZE = 2 + TPM_MAX_DIGEST,
    FILE_LIST_DIGESTS = 8,
    FILE_MAX_LISTS = 32,
};

struct pcr_file {
    struct tpm_pcr_selection select[TPM_MAX_PCR_BANKS];
    uint32_t nr_select;
    struct bawn_bytes value[FILE_MAX_LISTS * FILE_LIST_DIGESTS];
    size_t nr_values;
};

static bool file_selections(struct bawn_cursor *c, struct pcr_file *f)
{
    f->nr_select = bawn_cursor_u32(c);
    if (f->nr_select < 1 || f->nr_select > TPM_MAX_PCR_BANKS)
        return false;
    for (uint32_t i = 0; i < TPM_MAX_PCR_BANKS; i++) {
        struct tpm_pcr_selection *s = &f->select[i];
        unsigned size;

        s->id = bawn_cursor_u16(c);
        s->bank = tpm_hash(s->id);
        size = bawn_cursor_u8(c);
        s->mask = bawn_cursor_u32(c);
        bawn_cursor_take(c, 1);
        if (i >= f->nr_select)
            continue;
        if (c->failed || s->bank == HASH_NONE || size > TPM_PCR_SELECT_MAX)
            return false;
        if (size < TPM_PCR_SELECT_MAX)
            s->mask &= (1u << 8 * size) - 1;
        if (s->mask >> TPM_PCRS)
            return false;
    }
    return true;
}

static bool file_values(struct bawn_cursor *c, struct pcr_file *f)
{
    uint32_t lists = bawn_cursor_u32(c);

    if (c->failed || lists > FILE_MAX_LISTS)
        return false;
    for (uint32_t i = 0; i < lists; i++) {
        uint32_t n = bawn_cursor_u32(c);

        if (n > FILE_LIST_DIGESTS)
            return false;
        for (uint32_t j = 0; j < FILE_LIST_DIGESTS; j++) {
            size_t len = bawn_cursor_u16(c);
            const uint8_t *p = bawn_cursor_take(c, TPM_MAX_DIGEST);

            if (!p || (j < n && len > TPM_MAX_DIGEST))
                return false;
            if (j < n)
                f->value[f->nr_values++] = (struct bawn_bytes){ p, len };
        }
    }
    return at_end(c);
}

/* Gives the values their places. False: not as many as were selected, or a wrong size. */
static bool file_assign(const struct pcr_file *f, struct evidence *ev)
{
    size_t next = 0;

    for (uint32_t i = 0; i < f->nr_select; i++) {
        const struct tpm_pcr_selection *s = &f->select[i];
        struct pcr_bank *b = s->mask ? tpm_pcr_bank(ev, s->bank, true) : NULL;

        if (s->mask && !b)
            return false;
        for (unsigned n = 0; n < TPM_PCRS; n++) {
            if (!(s->mask >> n & 1))
                continue;
            if (next == f->nr_values || f->value[next].len != hash_size(s->bank))
                return false;
            b->value[n] = f->value[next++];
        }
    }
    return next && next == f->nr_values;
}

bool tpm_pcr_file_parse(struct evidence *ev, struct bawn_bytes blob)
{
    struct bawn_cursor c = bawn_cursor_over(blob.data, blob.len);
    struct pcr_file f = { .nr_values = 0 };
    struct evidence with = *ev;

    if (blob.len < sizeof(uint32_t) + TPM_MAX_PCR_BANKS * FILE_SELECTION_SIZE ||
        !file_selections(&c, &f) || !file_values(&c, &f) || !file_assign(&f, &with))
        return false;
    *ev = with;
    return true;
}

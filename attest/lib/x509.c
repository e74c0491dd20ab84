// SPDX-License-Identifier: Apache-2.0
/*
 * X.509 certificates. Trusts nothing: the bytes are hostile, and what is parsed here is still
 * unsigned. RFC 5280 section 4.
 *
 * Where it is laxer than DER or RFC 5280, real certificates are: serial 0 (AMD VCEK), an
 * explicit FALSE for a DEFAULT FALSE (Intel's firmware TPMs, basicConstraints 30 03 01 01 00),
 * a keyUsage with a zero for its last bit (AMD ASK, 03 02 01 04), a SET in a name that is not in
 * order (Nuvoton's TPMs), GeneralizedTime before 2050.
 */
#include "attest/lib/x509_parts.h"

#include <limits.h>
#include <string.h>

#define WHAT "certificate: "

/* ---- Names ---- */

/* RFC 3629 section 4: shortest form, no surrogates, up to 10ffff. */
static bool utf8_valid(struct bawn_bytes text)
{
    struct bawn_cursor c = bawn_cursor_over(text.data, text.len);

    while (bawn_cursor_left(&c)) {
        static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
        uint8_t b = bawn_cursor_u8(&c);
        unsigned more = b < 0x80   ? 0
                        : b < 0xc0 ? 4
                        : b < 0xe0 ? 1
                        : b < 0xf0 ? 2
                        : b < 0xf8 ? 3
                                   : 4;
        uint32_t v = more ? b & (0x3fu >> more) : b;

        if (more > 3)
            return false;
        for (unsigned i = 0; i < more; i++) {
            b = bawn_cursor_u8(&c);
            if ((b & 0xc0) != 0x80)
                return false;
            v = v << 6 | (b & 0x3f);
        }
        if (v < least[more] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
            return false;
    }
    return true;
}

static bool ascii(struct bawn_bytes text)
{
    uint8_t any = 0;

    for (size_t i = 0; i < text.len; i++)
        any |= text.data[i];
    return any < 0x80;
}

/* The string types of DirectoryString (RFC 5280 4.1.2.4) that are one byte or UTF-8, and
 * IA5String for mail addresses and domain components. */
static bool string_valid(uint8_t tag, struct bawn_bytes text)
{
    enum { NUMERIC_STRING = 0x12, TELETEX_STRING = 0x14 };

    switch (tag) {
    case DER_UTF8_STRING:
        return utf8_valid(text);
    case DER_PRINTABLE_STRING:
    case DER_IA5_STRING:
    case NUMERIC_STRING:
        return ascii(text);
    default:
        return tag == TELETEX_STRING;
    }
}

bool x509_name(struct bawn_cursor *c, struct bawn_bytes *name, struct bawn_bytes *common_name)
{
    static const uint8_t id_cn[] = { 0x55, 0x04, 0x03 };
    struct bawn_cursor start = *c;
    struct bawn_cursor rdns = der_enter(&start, DER_SEQUENCE);

    der_any(c, NULL, name);
    while (bawn_cursor_left(&rdns)) {
        struct bawn_cursor rdn = der_enter(&rdns, DER_SET);

        do {
            struct bawn_cursor pair = der_enter(&rdn, DER_SEQUENCE);
            struct bawn_bytes type = der_content(&pair, DER_OID), text;
            uint8_t tag;

            text = der_any(&pair, &tag, NULL);
            der_end(&pair);
            if (pair.failed || !string_valid(tag, text)) {
                c->failed = true;
                return false;
            }
            if (common_name && der_oid_is(type, id_cn, sizeof(id_cn)))
                *common_name = text;
        } while (bawn_cursor_left(&rdn));
    }
    if (rdns.failed)
        c->failed = true;
    return !c->failed;
}

/* ---- Extensions ---- */

static int ce_arc(struct bawn_bytes oid)
{
    static const uint8_t id_ce[] = { 0x55, 0x1d };

    if (oid.len != sizeof(id_ce) + 1 || memcmp(oid.data, id_ce, sizeof(id_ce)) != 0)
        return CE_NONE;
    return oid.data[sizeof(id_ce)];
}

bool x509_ext_next(struct bawn_cursor *c, struct x509_ext *ext)
{
    struct bawn_cursor e;

    if (!bawn_cursor_left(c))
        return false;
    e = der_enter(c, DER_SEQUENCE);
    ext->oid = der_content(&e, DER_OID);
    ext->critical = der_peek(&e) == DER_BOOLEAN && der_bool(&e);
    ext->value = der_content(&e, DER_OCTET_STRING);
    der_end(&e);
    if (e.failed) {
        c->failed = true;
        return false;
    }
    ext->ce = ce_arc(ext->oid);
    return true;
}

enum bawn_status x509_exts_check(struct bawn_bytes list, const char *what, struct bawn_error *err)
{
    struct bawn_cursor c = bawn_cursor_over(list.data, list.len);
    struct bawn_bytes seen[X509_EXTENSIONS_MAX];
    struct x509_ext ext;
    size_t n = 0;
    char text[64];

    while (x509_ext_next(&c, &ext)) {
        if (n == X509_EXTENSIONS_MAX)
            return bawn_fail(err, BAWN_E_UNSUPPORTED, "%smore than %d extensions", what,
                             X509_EXTENSIONS_MAX);
        for (size_t i = 0; i < n; i++) {
            if (der_oid_is(ext.oid, seen[i].data, seen[i].len))
                return bawn_fail(err, BAWN_E_FORMAT, "%sthe extension %s occurs twice", what,
                                 der_oid_text(ext.oid, text, sizeof(text)));
        }
        seen[n++] = ext.oid;
    }
    if (c.failed || !n)
        return bawn_fail(err, BAWN_E_FORMAT, "%sthe extensions are not a list in DER", what);
    return BAWN_OK;
}

enum bawn_status x509_ext_refuse(const struct x509_ext *ext, const char *what,
                                 struct bawn_error *err)
{
    char text[64];

    return bawn_fail(err, BAWN_E_UNSUPPORTED,
                     "%sthe extension %s limits what this %.*s may be used for, in a way that is "
                     "not understood here",
                     what, der_oid_text(ext->oid, text, sizeof(text)), (int)strcspn(what, ":"),
                     what);
}

/* RFC 5280 4.2.1.1. The issuer's name and serial are passed over: chains go by name and key. */
bool x509_key_id(const struct x509_ext *ext, struct bawn_bytes *id)
{
    struct bawn_cursor all = bawn_cursor_over(ext->value.data, ext->value.len);
    struct bawn_cursor c = der_enter(&all, DER_SEQUENCE);

    if (der_peek(&c) == DER_CONTEXT) {
        *id = der_content(&c, DER_CONTEXT);
        if (!id->len)
            c.failed = true;
    }
    if (der_peek(&c) == (DER_CONTEXT_CONS | 1))
        der_content(&c, DER_CONTEXT_CONS | 1);
    if (der_peek(&c) == (DER_CONTEXT | 2))
        der_content(&c, DER_CONTEXT | 2);
    der_end(&c);
    der_end(&all);
    return !c.failed && !all.failed;
}

static bool read_authority_key_id(struct x509 *out, const struct x509_ext *ext)
{
    return x509_key_id(ext, &out->authority_key_id);
}

/* RFC 5280 4.2.1.2 */
static bool read_subject_key_id(struct x509 *out, const struct x509_ext *ext)
{
    struct bawn_cursor c = bawn_cursor_over(ext->value.data, ext->value.len);

    out->subject_key_id = der_content(&c, DER_OCTET_STRING);
    der_end(&c);
    return !c.failed && out->subject_key_id.len;
}

/* RFC 5280 4.2.1.3: at least one of nine bits is set. */
static bool read_key_usage(struct x509 *out, const struct x509_ext *ext)
{
    enum { KEY_USAGE_BITS = 9 };
    struct bawn_cursor all = bawn_cursor_over(ext->value.data, ext->value.len);
    struct bawn_cursor c = der_enter(&all, DER_BIT_STRING);

    bawn_cursor_u8(&c); /* unused bits, which der.c found to be zero */
    for (unsigned i = 0; bawn_cursor_left(&c) && i < KEY_USAGE_BITS; i += 8) {
        uint8_t octet = bawn_cursor_u8(&c);

        for (unsigned bit = 0; bit < 8; bit++) {
            if (octet & (0x80u >> bit))
                out->key_usage |= 1u << (i + bit);
        }
    }
    der_end(&c);
    der_end(&all);
    out->has_key_usage = true;
    return !c.failed && !all.failed && out->key_usage && out->key_usage < 1u << KEY_USAGE_BITS;
}

/* RFC 5280 4.2.1.9: a path length is for CAs. */
static bool read_basic_constraints(struct x509 *out, const struct x509_ext *ext)
{
    struct bawn_cursor all = bawn_cursor_over(ext->value.data, ext->value.len);
    struct bawn_cursor c = der_enter(&all, DER_SEQUENCE);

    out->is_ca = der_peek(&c) == DER_BOOLEAN && der_bool(&c);
    if (out->is_ca && bawn_cursor_left(&c)) {
        uint64_t len = der_uint(&c);

        if (len > INT_MAX)
            return false;
        out->path_len = (int)len;
    }
    der_end(&c);
    der_end(&all);
    return !c.failed && !all.failed;
}

/* A non-empty SEQUENCE, of which nothing is used. */
static bool read_sequence(struct x509 *out, const struct x509_ext *ext)
{
    struct bawn_cursor all = bawn_cursor_over(ext->value.data, ext->value.len);
    struct bawn_cursor c = der_enter(&all, DER_SEQUENCE);

    (void)out;
    do
        der_any(&c, NULL, NULL);
    while (bawn_cursor_left(&c));
    der_end(&all);
    return !c.failed && !all.failed;
}

/* RFC 5280 4.2.1.12 */
static bool read_extended_key_usage(struct x509 *out, const struct x509_ext *ext)
{
    struct bawn_cursor all = bawn_cursor_over(ext->value.data, ext->value.len);
    struct bawn_cursor c = der_enter(&all, DER_SEQUENCE);

    (void)out;
    do
        der_content(&c, DER_OID);
    while (bawn_cursor_left(&c));
    der_end(&all);
    return !c.failed && !all.failed;
}

static bool always(const struct x509_ext *ext)
{
    (void)ext;
    return true;
}

/* A critical extKeyUsage must allow attestation: a key purpose of the TCG (TCG EK Credential
 * Profile for TPM 2.0, tcg-kp: 2.23.133.8) or any purpose at all. */
static bool for_attestation(const struct x509_ext *ext)
{
    static const uint8_t tcg_kp[] = { 0x67, 0x81, 0x05, 0x08 };
    static const uint8_t any_purpose[] = { 0x55, 0x1d, 0x25, 0x00 };
    struct bawn_cursor all = bawn_cursor_over(ext->value.data, ext->value.len);
    struct bawn_cursor c = der_enter(&all, DER_SEQUENCE);

    while (bawn_cursor_left(&c)) {
        struct bawn_bytes oid = der_content(&c, DER_OID);

        if (der_oid_is(oid, any_purpose, sizeof(any_purpose)) ||
            (oid.len > sizeof(tcg_kp) && !memcmp(oid.data, tcg_kp, sizeof(tcg_kp))))
            return true;
    }
    return false;
}

/* The extensions that are read, and whether one that is critical is heeded by that. Critical
 * alternative names and policies are: they say more of the subject and limit nothing, as long
 * as no name and no policy is asked for and policy constraints are refused. Critical
 * distribution points are not: revocation goes by the CRLs at hand. */
static const struct ext_rule {
    int ce;
    const char *name;
    bool (*read)(struct x509 *out, const struct x509_ext *ext);
    bool (*heeded)(const struct x509_ext *ext);
} ext_rules[] = {
    { CE_BASIC_CONSTRAINTS, "basicConstraints", read_basic_constraints, always },
    { CE_KEY_USAGE, "keyUsage", read_key_usage, always },
    { CE_SUBJECT_KEY_ID, "subjectKeyIdentifier", read_subject_key_id, always },
    { CE_AUTHORITY_KEY_ID, "authorityKeyIdentifier", read_authority_key_id, always },
    { CE_EXTENDED_KEY_USAGE, "extKeyUsage", read_extended_key_usage, for_attestation },
    { CE_SUBJECT_ALT_NAME, "subjectAltName", read_sequence, always },
    { CE_CERTIFICATE_POLICIES, "certificatePolicies", read_sequence, always },
    { CE_CRL_DISTRIBUTION_POINTS, "cRLDistributionPoints", read_sequence, NULL },
};

static const struct ext_rule *rule_for(const struct x509_ext *ext)
{
    for (size_t i = 0; ext->ce != CE_NONE && i < sizeof(ext_rules) / sizeof(ext_rules[0]); i++) {
        if (ext_rules[i].ce == ext->ce)
            return &ext_rules[i];
    }
    return NULL;
}

static enum bawn_status parse_extensions(struct x509 *out, struct bawn_error *err)
{
    struct bawn_cursor c = bawn_cursor_over(out->extensions.data, out->extensions.len);
    enum bawn_status st = x509_exts_check(out->extensions, WHAT, err);
    struct x509_ext ext;

    while (st == BAWN_OK && x509_ext_next(&c, &ext)) {
        const struct ext_rule *rule = rule_for(&ext);

        if (rule && !rule->read(out, &ext))
            return bawn_fail(err, BAWN_E_FORMAT, WHAT "the extension %s is malformed", rule->name);
        if (ext.critical && !(rule && rule->heeded && rule->heeded(&ext)))
            return x509_ext_refuse(&ext, WHAT, err);
    }
    return st;
}

bool x509_extension(const struct x509 *cert, const void *oid, size_t len, struct bawn_bytes *value)
{
    struct bawn_cursor c = bawn_cursor_over(cert->extensions.data, cert->extensions.len);
    struct x509_ext ext;

    while (x509_ext_next(&c, &ext)) {
        if (der_oid_is(ext.oid, oid, len)) {
            *value = ext.value;
            return true;
        }
    }
    *value = (struct bawn_bytes){ NULL, 0 };
    return false;
}

/* ---- The certificate ---- */

/* RFC 5280 4.1.2.1 to 4.1.2.3 */
static enum bawn_status parse_head(struct x509 *out, struct bawn_cursor *tbs,
                                   struct bawn_bytes outer_alg, struct bawn_error *err)
{
    enum { VERSION_3 = 2 };
    struct bawn_cursor version;
    struct bawn_bytes alg;

    if (der_peek(tbs) != DER_CONTEXT_CONS)
        return bawn_fail(err, BAWN_E_UNSUPPORTED, WHAT "version 1: only version 3 is accepted");
    version = der_enter(tbs, DER_CONTEXT_CONS);
    if (der_uint(&version) != VERSION_3 || bawn_cursor_left(&version))
        return bawn_fail(err, BAWN_E_UNSUPPORTED, WHAT "not of version 3, the only one accepted");
    out->serial = der_unsigned(tbs);
    if (tbs->failed || out->serial.len > X509_NUMBER_MAX)
        return bawn_fail(err, BAWN_E_FORMAT,
                         WHAT "the serial number is not a non-negative integer of at most %d bytes",
                         X509_NUMBER_MAX);
    der_any(tbs, NULL, &alg);
    if (alg.len != outer_alg.len || !alg.len || memcmp(alg.data, outer_alg.data, alg.len) != 0)
        return bawn_fail(err, BAWN_E_FORMAT,
                         WHAT "the signature algorithm inside differs from the one outside");
    return sig_alg_parse(&out->alg, alg, err);
}

/* RFC 5280 4.1.2.4 to 4.1.2.7 */
static enum bawn_status parse_body(struct x509 *out, struct bawn_cursor *tbs,
                                   struct bawn_error *err)
{
    enum { EMPTY_NAME = 2 }; /* its header */
    struct bawn_cursor validity;

    if (!x509_name(tbs, &out->issuer, NULL) || out->issuer.len == EMPTY_NAME)
        return bawn_fail(err, BAWN_E_FORMAT, WHAT "the issuer is not a name");
    validity = der_enter(tbs, DER_SEQUENCE);
    out->not_before = der_time(&validity);
    out->not_after = der_time(&validity);
    der_end(&validity);
    if (validity.failed)
        return bawn_fail(err, BAWN_E_FORMAT,
                         WHAT "the validity is not two times that end in Z and exist");
    if (!x509_name(tbs, &out->subject, &out->common_name))
        return bawn_fail(err, BAWN_E_FORMAT, WHAT "the subject is not a name");
    der_any(tbs, NULL, &out->spki);
    return pubkey_parse(&out->key, out->spki, err);
}

/* RFC 5280 4.1.2.9. Unique identifiers (4.1.2.8) are refused, as anything else here. */
static enum bawn_status parse_tail(struct x509 *out, struct bawn_cursor *tbs,
                                   struct bawn_error *err)
{
    struct bawn_cursor c;

    if (!bawn_cursor_left(tbs))
        return BAWN_OK;
    c = der_enter(tbs, DER_CONTEXT_CONS | 3);
    out->extensions = der_content(&c, DER_SEQUENCE);
    der_end(&c);
    der_end(tbs);
    if (c.failed || tbs->failed)
        return bawn_fail(err, BAWN_E_FORMAT,
                         WHAT "what follows the public key is not just the extensions");
    return parse_extensions(out, err);
}

enum bawn_status x509_parse(struct x509 *out, struct bawn_bytes der, struct bawn_error *err)
{
    struct bawn_cursor all = bawn_cursor_over(der.data, der.len);
    struct bawn_cursor cert = der_enter(&all, DER_SEQUENCE), look = cert;
    struct bawn_cursor tbs = der_enter(&look, DER_SEQUENCE);
    struct bawn_bytes alg;
    enum bawn_status st;

    memset(out, 0, sizeof(*out));
    out->path_len = -1;
    out->der = der;
    der_any(&cert, NULL, &out->tbs);
    der_any(&cert, NULL, &alg);
    out->signature = der_bits(&cert);
    der_end(&cert);
    der_end(&all);
    if (all.failed || cert.failed || tbs.failed)
        return bawn_fail(err, BAWN_E_FORMAT, WHAT "not one certificate in DER and nothing else");
    st = parse_head(out, &tbs, alg, err);
    if (st == BAWN_OK)
        st = parse_body(out, &tbs, err);
    if (st == BAWN_OK)
        st = parse_tail(out, &tbs, err);
    return st;
}

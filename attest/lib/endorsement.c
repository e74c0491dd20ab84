// SPDX-License-Identifier: Apache-2.0
/*
 * Sorts what is given beside the evidence, by content and never by name: certificates, CRLs and
 * keys are read here, the rest goes to the file that knows it. All of it is hostile; a blob that
 * cannot be read is a warning and otherwise ignored, so that it cannot hide the others.
 */
#include "attest/lib/der.h"
#include "attest/lib/json.h"
#include "attest/lib/quote.h"
#include "attest/lib/snp.h"
#include "attest/lib/verify.h"

#include <string.h>

/* Identical certificates come close together: a quote's chain and those of its collateral. */
#define DUPLICATES_SOUGHT 64
#define FIRST_BYTES 16 /* shown of a blob that is not recognised */
/* Tokens take up to 24 times the text: what is read of it is bounded for one and for all. */
#define JSON_MAX (4u << 20)
#define JSON_ALL_MAX (8u << 20)

static const struct check readable = {
    .name = "endorsement.readable",
    .how = "each endorsement is recognised by its content and read to its last byte",
    .advice = "leave it out, or give it as the vendor serves it: certificate or CRL (DER, PEM), "
              "SNP certificate table, Intel collateral (JSON), TPM signature, PCR values or "
              "public key, event log",
};

static const struct check too_long = {
    .name = "endorsement.readable",
    .advice = "give the collateral of this platform alone: it has some 50 KB",
};

static const struct check no_evidence = {
    .name = "endorsement.readable",
    .advice = "leave it out, or give it as the evidence, to be judged by itself",
};

static const char *first_bytes(struct verification *v, struct bawn_bytes blob)
{
    struct bawn_bytes first = { blob.data, blob.len < FIRST_BYTES ? blob.len : FIRST_BYTES };

    return arena_text(v->arena, "%zu bytes: %s%s", blob.len, arena_hex(v->arena, first),
                      first.len < blob.len ? "..." : "");
}

/* What a finding calls the endorsement that is being sorted: "endorsement 3". */
static const char *this_one(struct verification *v)
{
    return v->r->endorsement ? arena_text(v->arena, "endorsement %zu", v->r->endorsement)
                             : "an endorsement";
}

static const char from_endorsements[] = "the endorsements";

/* "endorsement 3", "the certificate table of endorsement 3", or what came with the evidence. */
static const char *whence_text(struct verification *v, const char *whence)
{
    if (!v->r->endorsement)
        return whence;
    if (!strcmp(whence, from_endorsements))
        return this_one(v);
    return arena_text(v->arena, "%s in %s", whence, this_one(v));
}

/* One that cannot be used, for the reason that its parser gave. What follows its end is said
 * first: it is what files padded to a block look like. */
static void unusable(struct verification *v, struct bawn_bytes der, const char *expected,
                     const char *whence, const char *why)
{
    struct bawn_cursor all = bawn_cursor_over(der.data, der.len);
    struct check check = readable;
    size_t left;

    der_enter(&all, DER_SEQUENCE);
    left = all.failed ? 0 : bawn_cursor_left(&all);
    if (left) {
        why = arena_text(v->arena, "%zu %sbytes follow its end", left,
                         bytes_zero(all.pos, left) ? "zero " : "");
        check.advice = arena_text(v->arena, "cut it off after %zu bytes", der.len - left);
    }
    check_warned(v->r, &check, expected, first_bytes(v, der), "%s of %s cannot be used: %s",
                 expected, whence_text(v, whence), why);
}

/* ---- Certificates and CRLs ---- */

static bool have_cert(const struct verification *v, struct bawn_bytes der)
{
    const struct x509 *certs = v->end.certs.items;
    size_t n = v->end.certs.n, i = n > DUPLICATES_SOUGHT ? n - DUPLICATES_SOUGHT : 0;

    for (; i < n; i++) {
        if (bytes_equal(certs[i].der, der))
            return true;
    }
    return false;
}

void endorsement_add_cert(struct verification *v, struct bawn_bytes der, const char *whence)
{
    struct bawn_error err;
    struct x509 cert, *kept;

    if (have_cert(v, der))
        return;
    if (x509_parse(&cert, der, &err) != BAWN_OK) {
        unusable(v, der, "a certificate", whence, err.msg);
        return;
    }
    kept = list_add(v->arena, &v->end.certs, sizeof(*kept));
    if (kept)
        *kept = cert;
}

static bool have_crl(const struct verification *v, struct bawn_bytes der)
{
    const struct x509_crl *crls = v->end.crls.items;
    size_t n = v->end.crls.n, i = n > DUPLICATES_SOUGHT ? n - DUPLICATES_SOUGHT : 0;

    for (; i < n; i++) {
        if (bytes_equal(crls[i].der, der))
            return true;
    }
    return false;
}

void endorsement_add_crl(struct verification *v, struct bawn_bytes der, const char *whence)
{
    struct bawn_error err;
    struct x509_crl crl, *kept;

    if (have_crl(v, der))
        return;
    if (x509_crl_parse(&crl, der, &err) != BAWN_OK) {
        unusable(v, der, "a CRL", whence, err.msg);
        return;
    }
    kept = list_add(v->arena, &v->end.crls, sizeof(*kept));
    if (kept)
        *kept = crl;
}

static void add_public_key(struct verification *v, struct bawn_bytes spki)
{
    struct bawn_error err;
    struct pubkey key;

    if (pubkey_parse(&key, spki, &err) != BAWN_OK)
        unusable(v, spki, "a public key", from_endorsements, err.msg);
    else if (!v->ev.ak_public.len)
        v->ev.ak_public = spki;
    else if (!bytes_equal(v->ev.ak_public, spki))
        check_warned(v->r, &readable, "one public key", first_bytes(v, spki),
                     "more than one public key is given; the first is used, not that of %s",
                     whence_text(v, from_endorsements));
}

/* ---- Recognition ---- */

enum der_kind { DER_OTHER, DER_CERT, DER_CRL, DER_KEY, DER_KINDS };

static const char *const der_names[DER_KINDS] = {
    [DER_CERT] = "a certificate",
    [DER_CRL] = "a certificate revocation list",
    [DER_KEY] = "a public key",
};

/* The rest of what begins with an INTEGER: a CRL's version or the serial number of a version 1
 * certificate, then algorithm and issuer; then a CRL's time or a certificate's validity. */
static enum der_kind der_kind_numbered(struct bawn_cursor inner)
{
    for (int i = 0; i < 3; i++)
        der_any(&inner, NULL, NULL);
    return der_peek(&inner) == DER_SEQUENCE ? DER_CERT : DER_CRL;
}

/* What a DER structure is, by the first element of its first element (RFC 5280, 4.1, 5.1): a
 * certificate's version is in [0], a CRL's is an INTEGER, a key begins with an OID. */
static enum der_kind der_kind(struct bawn_bytes blob)
{
    struct bawn_cursor all = bawn_cursor_over(blob.data, blob.len);
    struct bawn_cursor outer = der_enter(&all, DER_SEQUENCE);
    struct bawn_cursor inner = der_enter(&outer, DER_SEQUENCE);

    if (inner.failed)
        return DER_OTHER;
    switch (der_peek(&inner)) {
    case DER_CONTEXT_CONS:
        return DER_CERT;
    case DER_INTEGER:
        return der_kind_numbered(inner);
    case DER_OID:
        return DER_KEY;
    default:
        return DER_OTHER;
    }
}

static bool add_kind(struct verification *v, enum der_kind kind, struct bawn_bytes der)
{
    switch (kind) {
    case DER_CERT:
        endorsement_add_cert(v, der, from_endorsements);
        return true;
    case DER_CRL:
        endorsement_add_crl(v, der, from_endorsements);
        return true;
    case DER_KEY:
        add_public_key(v, der);
        return true;
    default:
        return false;
    }
}

/* RFC 7468, sections 5, 6 and 13; X509 CERTIFICATE is an older name of the same. */
static const struct {
    const char *label;
    enum der_kind kind;
} pem_labels[] = {
    { "CERTIFICATE", DER_CERT },
    { "X509 CERTIFICATE", DER_CERT },
    { "X509 CRL", DER_CRL },
    { "PUBLIC KEY", DER_KEY },
};

static enum der_kind pem_kind(struct bawn_bytes label)
{
    for (size_t i = 0; i < sizeof(pem_labels) / sizeof(pem_labels[0]); i++)
        if (bytes_are(label, pem_labels[i].label))
            return pem_labels[i].kind;
    return DER_OTHER;
}

static void add_pem_block(struct verification *v, struct bawn_bytes label, struct bawn_bytes der)
{
    struct check check = readable;

    if (der.len && add_kind(v, pem_kind(label), der))
        return;
    if (!der.len) {
        check_warned(v->r, &check, "base64 between BEGIN and END", "something else",
                     "a PEM block of %s is broken: %s", whence_text(v, from_endorsements),
                     arena_printable(v->arena, label));
        return;
    }
    if (bytes_are(label, "TRUSTED CERTIFICATE")) /* it has OpenSSL's own word on trust behind it */
        check.advice = "write it as CERTIFICATE: openssl x509 -in FILE -out NEW";
    check_warned(v->r, &check, "CERTIFICATE, X509 CRL or PUBLIC KEY",
                 arena_printable(v->arena, label), "a PEM block of %s is of no known kind",
                 whence_text(v, from_endorsements));
}

static bool add_pem(struct verification *v, struct bawn_bytes text)
{
    struct bawn_bytes label, der;
    bool any = false;

    while (pem_next(v->arena, &text, &label, &der)) {
        add_pem_block(v, label, der);
        any = true;
    }
    return any;
}

static bool looks_like_json(struct bawn_bytes text)
{
    struct bawn_cursor c = bawn_cursor_over(text.data, text.len);
    uint8_t ch;

    do
        ch = bawn_cursor_u8(&c);
    while (ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n');
    return ch == '{' || ch == '[';
}

/* Text by its bytes, so that none is taken for a TPM's bare signature or digest. */
static bool is_text(struct bawn_bytes blob)
{
    struct bawn_cursor c = bawn_cursor_over(blob.data, blob.len);

    while (bawn_cursor_left(&c)) {
        uint8_t ch = bawn_cursor_u8(&c);

        if (ch < ' ' && ch != '\t' && ch != '\r' && ch != '\n')
            return false;
    }
    return true;
}

/* JSON that is not collateral is passed over when it is whole: a directory of endorsements may
 * hold the evidence too. */
static bool add_json(struct verification *v, struct bawn_bytes text)
{
    struct js j;

    if (!looks_like_json(text))
        return false;
    if (text.len > JSON_MAX || text.len > JSON_ALL_MAX - v->end.json) {
        if (!is_text(text))
            return false;
        check_warned(v->r, &too_long,
                     text.len > JSON_MAX
                         ? arena_text(v->arena, "at most %u bytes", JSON_MAX)
                         : arena_text(v->arena, "at most %u bytes in all", JSON_ALL_MAX),
                     arena_text(v->arena, "%zu bytes", text.len),
                     "%s is JSON that is too long and was not read", this_one(v));
        return true;
    }
    v->end.json += text.len;
    if (js_parse(&j, v->arena, text)) {
        collateral_add(v, &j);
        return true;
    }
    if (!is_text(text))
        return false;
    check_warned(v->r, &readable, "JSON",
                 arena_text(v->arena, "line %u, column %u: %s", j.line, j.column, j.error),
                 "%s begins like JSON and cannot be read", this_one(v));
    return true;
}

/* What Azure's metadata service made of the TD report in an HCL report. Whether that is the
 * evidence is seen later. */
static bool add_td_quote(struct verification *v, struct bawn_bytes blob)
{
    struct bawn_error err;
    struct quote q;

    if (quote_parse(&q, blob, &err) != BAWN_OK || !q.tdx)
        return false;
    if (!v->ev.quote.len) {
        v->ev.quote = blob;
        v->end.td_quote = v->r->endorsement;
    }
    return true;
}

/* Other evidence among the endorsements. The one that is judged may lie in their directory. */
static bool add_evidence(struct verification *v, struct bawn_bytes blob)
{
    const char *what = evidence_recognise(blob);

    if (what && !bytes_equal(blob, v->input->evidence))
        endorsement_is_evidence(v, what);
    return what;
}

static bool add_binary(struct verification *v, struct bawn_bytes blob)
{
    return add_kind(v, der_kind(blob), blob) || snp_table_add(v, blob) ||
           snp_id_block_add(v, blob) || tpm_endorsement_add(v, blob) ||
           eventlog_endorsement_add(v, blob) || add_td_quote(v, blob) || add_evidence(v, blob);
}

/* C strings written whole, as from Intel's quote provider library, end in a NUL. */
static struct bawn_bytes without_nuls(struct bawn_bytes text)
{
    while (text.len && !text.data[text.len - 1])
        text.len--;
    return text;
}

static bool add_text(struct verification *v, struct bawn_bytes text)
{
    struct bawn_bytes decoded;

    text = without_nuls(text);
    if (add_json(v, text))
        return true;
    if (!is_text(text))
        return false;
    if (add_pem(v, percent_decode(v->arena, text)))
        return true;
    return (hex_decode(v->arena, text, &decoded) || base64_decode(v->arena, text, &decoded)) &&
           add_binary(v, decoded);
}

void endorsement_is_evidence(struct verification *v, const char *what)
{
    check_warned(v->r, &no_evidence, NULL, NULL, "%s is %s, which is evidence and no endorsement",
                 this_one(v), what);
}

void endorsement_add(struct verification *v, struct bawn_bytes blob)
{
    if (!blob.len)
        check_warned(v->r, &readable, "content", "0 bytes", "%s is empty", this_one(v));
    else if (!add_text(v, blob) && !add_binary(v, blob))
        check_warned(v->r, &readable, "an endorsement of a known kind", first_bytes(v, blob),
                     "%s is of no known kind", this_one(v));
}

const char *endorsement_recognise(struct verification *v, struct bawn_bytes blob)
{
    struct bawn_bytes label, der;

    if (is_text(blob))
        return pem_next(v->arena, &blob, &label, &der) ? der_names[pem_kind(label)] : NULL;
    return der_names[der_kind(blob)];
}

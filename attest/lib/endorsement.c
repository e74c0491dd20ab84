// SPDX-License-Identifier: Apache-2.0
/*
 * Sorts what is given beside the evidence, by content and never by name: certificates, CRLs and
 * keys are read here, the rest goes to the file that knows it. All of it is hostile; a blob that
 * cannot be read is a warning and otherwise ignored, so that it cannot hide the others.
 */
#include "attest/lib/der.h"
#include "attest/lib/quote.h"
#include "attest/lib/snp.h"
#include "attest/lib/verify.h"

/* Identical certificates come close together: a quote's chain and those of its collateral. */
#define DUPLICATES_SOUGHT 64
#define FIRST_BYTES 16 /* shown of a blob that is not recognised */

static const struct check readable = {
    .name = "endorsement.readable",
    .how = "each endorsement is recognised by its content and read to its last byte",
    .advice = "leave it out, or give it as the vendor serves it: certificate or CRL (DER, PEM), "
              "SNP certificate table, Intel collateral (JSON), TPM signature, PCR values or "
              "public key, event log",
};

static const char *first_bytes(struct verification *v, struct bawn_bytes blob)
{
    struct bawn_bytes first = { blob.data, blob.len < FIRST_BYTES ? blob.len : FIRST_BYTES };

    return arena_text(v->arena, "%zu bytes: %s%s", blob.len, arena_hex(v->arena, first),
                      first.len < blob.len ? "..." : "");
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
        check_warned(v->r, &readable, "a certificate", first_bytes(v, der),
                     "a certificate of %s cannot be used: %s", whence, err.msg);
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
        check_warned(v->r, &readable, "a CRL", first_bytes(v, der),
                     "a CRL of %s cannot be used: %s", whence, err.msg);
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
        check_warned(v->r, &readable, "a public key", first_bytes(v, spki),
                     "a public key among the endorsements cannot be used: %s", err.msg);
    else if (!v->ev.ak_public.len)
        v->ev.ak_public = spki;
    else if (!bytes_equal(v->ev.ak_public, spki))
        check_warned(v->r, &readable, "one public key", first_bytes(v, spki),
                     "more than one public key is among the endorsements; the first is used");
}

/* ---- Recognition ---- */

enum der_kind { DER_OTHER, DER_CERT, DER_CRL, DER_KEY };

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
        return DER_CRL;
    case DER_OID:
        return DER_KEY;
    default:
        return DER_OTHER;
    }
}

static bool add_der(struct verification *v, struct bawn_bytes blob)
{
    switch (der_kind(blob)) {
    case DER_CERT:
        endorsement_add_cert(v, blob, "the endorsements");
        return true;
    case DER_CRL:
        endorsement_add_crl(v, blob, "the endorsements");
        return true;
    case DER_KEY:
        add_public_key(v, blob);
        return true;
    default:
        return false;
    }
}

static void add_pem_block(struct verification *v, struct bawn_bytes label, struct bawn_bytes der)
{
    if (!der.len)
        check_warned(v->r, &readable, "base64 between BEGIN and END", "something else",
                     "a PEM block among the endorsements is broken: %s",
                     arena_printable(v->arena, label));
    else if (bytes_are(label, "CERTIFICATE"))
        endorsement_add_cert(v, der, "the endorsements");
    else if (bytes_are(label, "X509 CRL"))
        endorsement_add_crl(v, der, "the endorsements");
    else if (bytes_are(label, "PUBLIC KEY"))
        add_public_key(v, der);
    else
        check_warned(v->r, &readable, "CERTIFICATE, X509 CRL or PUBLIC KEY",
                     arena_printable(v->arena, label),
                     "a PEM block among the endorsements is of no known kind");
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
    if (collateral_add(v, text) || js_parse(&j, v->arena, text))
        return true;
    if (!is_text(text))
        return false;
    check_warned(v->r, &readable, "JSON",
                 arena_text(v->arena, "line %u, column %u: %s", j.line, j.column, j.error),
                 "an endorsement that begins like JSON cannot be read");
    return true;
}

/* What Azure's metadata service made of the TD report in an HCL report. It is of no use to
 * other evidence. */
static bool add_td_quote(struct verification *v, struct bawn_bytes blob)
{
    struct bawn_error err;
    struct quote q;

    if (quote_parse(&q, blob, &err) != BAWN_OK || !q.tdx)
        return false;
    if (!v->ev.quote.len)
        v->ev.quote = blob;
    return true;
}

static bool add_binary(struct verification *v, struct bawn_bytes blob)
{
    return add_der(v, blob) || snp_table_add(v, blob) || snp_id_block_add(v, blob) ||
           tpm_endorsement_add(v, blob) || eventlog_endorsement_add(v, blob) ||
           add_td_quote(v, blob);
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

void endorsement_add(struct verification *v, struct bawn_bytes blob)
{
    if (!blob.len)
        check_warned(v->r, &readable, "content", "0 bytes", "an endorsement is empty");
    else if (!add_text(v, blob) && !add_binary(v, blob))
        check_warned(v->r, &readable, "an endorsement of a known kind", first_bytes(v, blob),
                     "an endorsement is of no known kind");
}

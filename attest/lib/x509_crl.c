// SPDX-License-Identifier: Apache-2.0
/*
 * Certificate revocation lists, version 2, complete and of one issuer: what would make a list
 * partial, indirect or a delta is refused, critical or not. The bytes are hostile and still
 * unsigned. RFC 5280 section 5.
 */
#include "attest/lib/x509_parts.h"

#include <string.h>

#define WHAT "CRL: "

/* ---- Entries ---- */

/* Passes an entry's serial and time; what is left in the cursor returned are its extensions. */
static struct bawn_cursor enter_entry(struct bawn_cursor *list, struct bawn_bytes *serial)
{
    struct bawn_cursor entry = der_enter(list, DER_SEQUENCE);

    *serial = der_unsigned(&entry);
    return entry;
}

/* RFC 5280 5.3: no entry extension changes that the serial is listed, but certificateIssuer
 * changes whose serial it is. */
static enum bawn_status check_entry_extensions(struct bawn_cursor *entry, struct bawn_error *err)
{
    struct bawn_bytes list = der_content(entry, DER_SEQUENCE);
    struct bawn_cursor c = bawn_cursor_over(list.data, list.len);
    enum bawn_status st = x509_exts_check(list, WHAT, err);
    struct x509_ext ext;

    while (st == BAWN_OK && x509_ext_next(&c, &ext)) {
        if (ext.critical || ext.ce == CE_CERTIFICATE_ISSUER)
            return x509_ext_refuse(&ext, WHAT, err);
    }
    return st;
}

static enum bawn_status check_entries(struct bawn_bytes revoked, struct bawn_error *err)
{
    struct bawn_cursor list = bawn_cursor_over(revoked.data, revoked.len);

    while (bawn_cursor_left(&list)) {
        struct bawn_bytes serial;
        struct bawn_cursor entry = enter_entry(&list, &serial);
        enum bawn_status st = BAWN_OK;

        der_time(&entry);
        if (bawn_cursor_left(&entry))
            st = check_entry_extensions(&entry, err);
        if (st != BAWN_OK)
            return st;
        der_end(&entry);
        if (entry.failed || serial.len > X509_NUMBER_MAX)
            return bawn_fail(err, BAWN_E_FORMAT,
                             WHAT "an entry is not a serial number of at most %d bytes and a time",
                             X509_NUMBER_MAX);
    }
    return BAWN_OK;
}

bool x509_crl_lists(const struct x509_crl *crl, struct bawn_bytes serial, int64_t *since)
{
    struct bawn_cursor list = bawn_cursor_over(crl->revoked.data, crl->revoked.len);

    while (bawn_cursor_left(&list)) {
        struct bawn_bytes listed;
        struct bawn_cursor entry = enter_entry(&list, &listed);

        if (!der_oid_is(listed, serial.data, serial.len))
            continue;
        *since = der_time(&entry);
        return true;
    }
    return false;
}

/* ---- The list ---- */

/* RFC 5280 5.2.3 */
static bool crl_number_valid(const struct x509_ext *ext)
{
    struct bawn_cursor c = bawn_cursor_over(ext->value.data, ext->value.len);
    struct bawn_bytes number = der_unsigned(&c);

    der_end(&c);
    return !c.failed && number.len <= X509_NUMBER_MAX;
}

static enum bawn_status parse_extensions(struct x509_crl *out, struct bawn_bytes extensions,
                                         struct bawn_error *err)
{
    struct bawn_cursor c = bawn_cursor_over(extensions.data, extensions.len);
    enum bawn_status st = x509_exts_check(extensions, WHAT, err);
    struct x509_ext ext;

    while (st == BAWN_OK && x509_ext_next(&c, &ext)) {
        bool valid = true;

        switch (ext.ce) {
        case CE_AUTHORITY_KEY_ID:
            valid = x509_key_id(&ext, &out->authority_key_id);
            break;
        case CE_CRL_NUMBER:
            valid = crl_number_valid(&ext);
            break;
        case CE_DELTA_CRL:
        case CE_ISSUING_DISTRIBUTION_POINT:
            return x509_ext_refuse(&ext, WHAT, err);
        default:
            if (ext.critical)
                return x509_ext_refuse(&ext, WHAT, err);
            break;
        }
        if (!valid)
            return bawn_fail(err, BAWN_E_FORMAT,
                             WHAT "the key identifier or the CRL number is malformed");
    }
    return st;
}

/* RFC 5280 5.1.2.1 to 5.1.2.5 */
static enum bawn_status parse_head(struct x509_crl *out, struct bawn_cursor *tbs,
                                   struct bawn_bytes outer_alg, struct bawn_error *err)
{
    enum { VERSION_2 = 1, EMPTY_NAME = 2 };
    struct bawn_bytes alg;
    uint8_t next;

    if (der_peek(tbs) != DER_INTEGER || der_uint(tbs) != VERSION_2)
        return bawn_fail(err, BAWN_E_UNSUPPORTED, WHAT "not of version 2, the only one accepted");
    der_any(tbs, NULL, &alg);
    if (alg.len != outer_alg.len || !alg.len || memcmp(alg.data, outer_alg.data, alg.len) != 0)
        return bawn_fail(err, BAWN_E_FORMAT,
                         WHAT "the signature algorithm inside differs from the one outside");
    if (!x509_name(tbs, &out->issuer, NULL) || out->issuer.len == EMPTY_NAME)
        return bawn_fail(err, BAWN_E_FORMAT, WHAT "the issuer is not a name");
    out->this_update = der_time(tbs);
    next = der_peek(tbs);
    if (next == DER_UTC_TIME || next == DER_GENERALIZED_TIME)
        out->next_update = der_time(tbs);
    if (tbs->failed)
        return bawn_fail(err, BAWN_E_FORMAT,
                         WHAT "the update times are not times that end in Z and exist");
    return sig_alg_parse(&out->alg, alg, err);
}

/* RFC 5280 5.1.2.6, 5.1.2.7 */
static enum bawn_status parse_tail(struct x509_crl *out, struct bawn_cursor *tbs,
                                   struct bawn_error *err)
{
    struct bawn_bytes extensions = { NULL, 0 };
    bool extended;
    enum bawn_status st;

    if (der_peek(tbs) == DER_SEQUENCE)
        out->revoked = der_content(tbs, DER_SEQUENCE);
    extended = der_peek(tbs) == DER_CONTEXT_CONS;
    if (extended) {
        struct bawn_cursor c = der_enter(tbs, DER_CONTEXT_CONS);

        extensions = der_content(&c, DER_SEQUENCE);
        der_end(&c);
        if (c.failed)
            tbs->failed = true;
    }
    der_end(tbs);
    if (tbs->failed)
        return bawn_fail(err, BAWN_E_FORMAT,
                         WHAT "what follows the times is not entries and extensions");
    st = extended ? parse_extensions(out, extensions, err) : BAWN_OK;
    return st == BAWN_OK ? check_entries(out->revoked, err) : st;
}

enum bawn_status x509_crl_parse(struct x509_crl *out, struct bawn_bytes der, struct bawn_error *err)
{
    struct bawn_cursor all = bawn_cursor_over(der.data, der.len);
    struct bawn_cursor crl = der_enter(&all, DER_SEQUENCE), look = crl;
    struct bawn_cursor tbs = der_enter(&look, DER_SEQUENCE);
    struct bawn_bytes alg;
    enum bawn_status st;

    memset(out, 0, sizeof(*out));
    out->next_update = INT64_MAX;
    out->der = der;
    der_any(&crl, NULL, &out->tbs);
    der_any(&crl, NULL, &alg);
    out->signature = der_bits(&crl);
    der_end(&crl);
    der_end(&all);
    if (all.failed || crl.failed || tbs.failed)
        return bawn_fail(err, BAWN_E_FORMAT, WHAT "not one CRL in DER and nothing else");
    st = parse_head(out, &tbs, alg, err);
    return st == BAWN_OK ? parse_tail(out, &tbs, err) : st;
}

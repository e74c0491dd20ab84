// SPDX-License-Identifier: Apache-2.0
/*
 * The certificate table that an extended guest request returns: AMD 56421 rev 2.03, 4.1.8.1.
 * The host fills it in, so it is hostile; what is in it is judged like any other endorsement.
 */
#include "attest/lib/der.h"
#include "attest/lib/snp.h"

#include <string.h>

static const struct check table_check = {
    .name = "snp.certificate-table",
    .source = "AMD 56421 rev 2.03, 4.1.8.1",
    .how = "the entries of the certificate table lie within it, one after the other",
    .advice = "the host's certificate table is broken: give the certificates separately",
};

enum entry_kind { ENTRY_UNKNOWN, ENTRY_CERT, ENTRY_CRL };

static const struct {
    uint8_t guid[BAWN_SNP_GUID_SIZE];
    enum entry_kind kind;
    const char *whence;
} known[] = {
    { BAWN_SNP_GUID_VCEK, ENTRY_CERT, "the certificate table (VCEK)" },
    { BAWN_SNP_GUID_VLEK, ENTRY_CERT, "the certificate table (VLEK)" },
    { BAWN_SNP_GUID_ASK, ENTRY_CERT, "the certificate table (ASK)" },
    { BAWN_SNP_GUID_ARK, ENTRY_CERT, "the certificate table (ARK)" },
    { BAWN_SNP_GUID_CRL, ENTRY_CRL, "the certificate table (CRL)" },
};

struct entry {
    enum entry_kind kind;
    const char *whence;
    uint32_t offset, len;
};

/* More entries than any host has reason to give; keeps the check for overlap small. */
#define ENTRIES_MAX 32

struct table {
    struct entry entry[ENTRIES_MAX];
    unsigned n;
};

/* Reads one entry. False: it is the last, all zero. */
static bool read_entry(struct bawn_cursor *c, struct entry *out)
{
    const uint8_t *guid = bawn_cursor_take(c, BAWN_SNP_GUID_SIZE);

    *out = (struct entry){ .offset = bawn_cursor_u32(c) };
    out->len = bawn_cursor_u32(c);
    if (!guid || c->failed)
        return false;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (memcmp(guid, known[i].guid, BAWN_SNP_GUID_SIZE) != 0)
            continue;
        out->kind = known[i].kind;
        out->whence = known[i].whence;
    }
    return out->offset || out->len || !bytes_zero(guid, BAWN_SNP_GUID_SIZE);
}

/* What is wrong with the table, or NULL. */
static const char *read_table(struct bawn_bytes blob, struct table *out)
{
    struct bawn_cursor c = bawn_cursor_over(blob.data, blob.len);
    struct entry entry;
    size_t header;

    out->n = 0;
    while (read_entry(&c, &entry)) {
        if (!entry.len) /* some hosts keep a place for what they have not got */
            continue;
        if (out->n == ENTRIES_MAX)
            return "it has too many entries";
        out->entry[out->n++] = entry;
    }
    if (c.failed)
        return "it has no last entry";
    header = (size_t)(c.pos - c.start);
    for (unsigned i = 0; i < out->n; i++) {
        uint64_t start = out->entry[i].offset, end = start + out->entry[i].len;

        if (start < header || end > blob.len)
            return "an entry lies outside of it";
        for (unsigned j = 0; j < i; j++)
            if (start < (uint64_t)out->entry[j].offset + out->entry[j].len &&
                out->entry[j].offset < end)
                return "two of its entries overlap";
    }
    return NULL;
}

/* Whether the blob begins as a table does: with entries of which we know one, or empty. */
static bool looks_like_table(struct bawn_bytes blob)
{
    struct bawn_cursor c = bawn_cursor_over(blob.data, blob.len);
    struct entry entry;

    for (unsigned i = 0; i < ENTRIES_MAX && read_entry(&c, &entry); i++)
        if (entry.kind != ENTRY_UNKNOWN)
            return true;
    return !c.failed && bytes_zero(blob.data, blob.len);
}

/* The DER structure that the entry begins with, when only zeros follow: hosts round sizes up. */
static struct bawn_bytes without_padding(struct bawn_bytes entry)
{
    struct bawn_cursor c = bawn_cursor_over(entry.data, entry.len);
    struct bawn_bytes whole = { NULL, 0 };

    der_any(&c, NULL, &whole);
    return !c.failed && bawn_cursor_zeros(&c, bawn_cursor_left(&c)) ? whole : entry;
}

/* Certificates are DER by the specification, and PEM on hosts that were given PEM files. */
static void add_cert(struct verification *v, struct bawn_bytes bytes, const char *whence)
{
    static const char armour[] = "-----BEGIN ";
    struct bawn_bytes label, der;

    if (bytes.len < sizeof(armour) || memcmp(bytes.data, armour, sizeof(armour) - 1) != 0) {
        endorsement_add_cert(v, without_padding(bytes), whence);
        return;
    }
    while (pem_next(v->arena, &bytes, &label, &der))
        endorsement_add_cert(v, der, whence);
}

bool snp_table_add(struct verification *v, struct bawn_bytes blob)
{
    struct bawn_cursor c = bawn_cursor_over(blob.data, blob.len);
    const char *wrong;
    struct table table;

    if (!looks_like_table(blob))
        return false;
    wrong = read_table(blob, &table);
    if (wrong) {
        check_warned(v->r, &table_check, NULL, NULL, "the certificate table is broken: %s", wrong);
        return true;
    }
    for (unsigned i = 0; i < table.n; i++) {
        const struct entry *e = &table.entry[i];
        struct bawn_cursor at = bawn_cursor_slice(&c, e->offset, e->len);
        struct bawn_bytes bytes = { at.pos, bawn_cursor_left(&at) };

        if (e->kind == ENTRY_CERT)
            add_cert(v, bytes, e->whence);
        else if (e->kind == ENTRY_CRL)
            endorsement_add_crl(v, without_padding(bytes), e->whence);
    }
    check_passed(v->r, &table_check);
    return true;
}

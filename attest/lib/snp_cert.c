// SPDX-License-Identifier: Apache-2.0
/*
 * What a VCEK or VLEK certificate says: product, chip, TCB; and whether that is what the report
 * says. The certificate is hostile until its chain is verified (snp_endorse.c).
 */
#include "attest/lib/snp.h"

#include <string.h>

#define SPEC_VCEK "AMD 57230 rev 1.00, VCEK certificate extensions"
#define SPEC_VLEK "AMD 58369 rev 0.10, VLEK certificate extensions"

static const struct check kind_check = {
    .name = "snp.signing-key",
    .claim = "snp.signing_key",
    .source = "AMD 56860 rev 1.58, 7.3, SIGNING_KEY; AMD 58369 rev 0.10",
    .how = "the certificate is of the kind of key that the report names, VCEK or VLEK",
};

static const struct check product_check = {
    .name = "snp.product",
    .claim = "snp.product",
    .source = "AMD 57230 rev 1.00, product names and certificate chains",
    .how = "report, certificate, intermediate and root are all of one product line",
    .advice = "give the certificates of the product that made the report",
};

static const struct check chip_check = {
    .name = "snp.chip-id",
    .claim = "snp.chip_id",
    .source = SPEC_VCEK ", HWID",
    .how = "the certificate's HWID is the report's CHIP_ID",
};

static const struct check masked_check = {
    .name = "snp.chip-id",
    .claim = "snp.chip_id",
    .source = "AMD 56860 rev 1.58, 7.3, CHIP_ID, and SNP_CONFIG, MASK_CHIP_ID",
    .how = "the certificate's HWID is the report's CHIP_ID",
    .advice = "the host hides which chip this is (MASK_CHIP_ID); if that matters, ask it not to",
};

static const struct check csp_check = {
    .name = "snp.csp-id",
    .claim = "snp.csp_id",
    .source = SPEC_VLEK ", CSP_ID",
    .how = "the VLEK certificate names the provider that it was made for",
    .advice = "this is not a VLEK certificate as AMD issues them: ask the cloud provider for it",
};

static const struct check tcb_check = {
    .name = "snp.tcb-extension",
    .claim = "snp.reported_tcb",
    .source = SPEC_VCEK ", security patch levels",
    .how = "the security patch levels in the certificate are the report's REPORTED_TCB",
};

/* ---- Products ---- */

static const struct {
    const char *name;
    enum snp_line line;
} products[] = {
    { "Milan", SNP_MILAN }, { "Genoa", SNP_GENOA }, { "Bergamo", SNP_GENOA },
    { "Siena", SNP_GENOA }, { "Turin", SNP_TURIN },
};

/* AMD 57230 rev 1.00, determining the product name. Models are those of a whole line. */
static const struct {
    uint8_t family, first, last;
    enum snp_line line;
} processors[] = {
    { 0x19, 0x00, 0x0f, SNP_MILAN },
    { 0x19, 0x10, 0x1f, SNP_GENOA },
    { 0x19, 0xa0, 0xaf, SNP_GENOA }, /* Bergamo, Siena */
    { 0x1a, 0x00, 0x1f, SNP_TURIN },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char *snp_line_name(enum snp_line line)
{
    for (size_t i = 0; i < COUNT(products); i++)
        if (products[i].line == line)
            return products[i].name;
    return "unknown";
}

/* The name before a stepping: "Milan" of "Milan-B0". */
static struct bawn_bytes without_stepping(struct bawn_bytes name)
{
    const uint8_t *dash = name.len ? memchr(name.data, '-', name.len) : NULL;

    if (dash)
        name.len = (size_t)(dash - name.data);
    return name;
}

enum snp_line snp_line_of(struct bawn_bytes product)
{
    product = without_stepping(product);
    for (size_t i = 0; i < COUNT(products); i++)
        if (bytes_are(product, products[i].name))
            return products[i].line;
    return SNP_LINE_UNKNOWN;
}

const char *snp_product_name(const struct snp_cert *cert)
{
    struct bawn_bytes product = without_stepping(cert->product);

    for (size_t i = 0; i < COUNT(products); i++)
        if (bytes_are(product, products[i].name))
            return products[i].name;
    return "unknown";
}

enum snp_line snp_line_by_cpuid(uint8_t family, uint8_t model)
{
    for (size_t i = 0; i < COUNT(processors); i++)
        if (processors[i].family == family && model >= processors[i].first &&
            model <= processors[i].last)
            return processors[i].line;
    return SNP_LINE_UNKNOWN;
}

/* ---- Extensions ---- */

/* AMD's arc, 1.3.6.1.4.1.3704, and below it 1.2 product name, 1.3.n patch levels, 1.4 HWID,
 * 1.5 CSP ID. */
#define OID_AMD 0x2b, 0x06, 0x01, 0x04, 0x01, 0x9c, 0x78

static const uint8_t oid_product[] = { OID_AMD, 1, 2 };
static const uint8_t oid_hwid[] = { OID_AMD, 1, 4 };
static const uint8_t oid_csp_id[] = { OID_AMD, 1, 5 };

/* An extension that is an IA5String; empty when it is absent or is not one. */
static struct bawn_bytes ia5_extension(const struct x509 *x509, const uint8_t *oid, size_t len)
{
    struct bawn_bytes value, text;
    struct bawn_cursor c;

    if (!x509_extension(x509, oid, len, &value))
        return (struct bawn_bytes){ 0 };
    c = bawn_cursor_over(value.data, value.len);
    text = der_content(&c, DER_IA5_STRING);
    der_end(&c);
    if (c.failed)
        text.len = 0;
    return text;
}

/* A patch level: an INTEGER from 0 to 255; -1 when it is absent or is not one. */
static int spl_extension(const struct x509 *x509, uint8_t arc)
{
    const uint8_t oid[] = { OID_AMD, 1, 3, arc };
    struct bawn_bytes value;
    struct bawn_cursor c;
    uint64_t level;

    if (!x509_extension(x509, oid, sizeof(oid), &value))
        return -1;
    c = bawn_cursor_over(value.data, value.len);
    level = der_uint(&c);
    der_end(&c);
    return c.failed || level > UINT8_MAX ? -1 : (int)level;
}

bool snp_cert_read(const struct x509 *x509, struct snp_cert *out)
{
    struct bawn_bytes any;

    *out = (struct snp_cert){ .x509 = x509 };
    out->vlek = x509_extension(x509, oid_csp_id, sizeof(oid_csp_id), &any);
    if (x509->is_ca ||
        (!out->vlek && !x509_extension(x509, oid_product, sizeof(oid_product), &any) &&
         !x509_extension(x509, oid_hwid, sizeof(oid_hwid), &any)))
        return false;
    out->csp_id = ia5_extension(x509, oid_csp_id, sizeof(oid_csp_id));
    out->product = ia5_extension(x509, oid_product, sizeof(oid_product));
    out->line = snp_line_of(out->product);
    if (!x509_extension(x509, oid_hwid, sizeof(oid_hwid), &out->hwid))
        out->hwid = (struct bawn_bytes){ 0 };
    for (unsigned arc = 1; arc <= SNP_SPL_ARCS; arc++)
        out->spl[arc] = spl_extension(x509, (uint8_t)arc);
    return true;
}

/* ---- Comparison ---- */

static bool chip_is_masked(const struct snp_report *report)
{
    return bytes_zero(report->chip_id, BAWN_SNP_CHIP_ID_SIZE);
}

static struct bawn_bytes chip_id_of(const struct snp_report *report)
{
    return (struct bawn_bytes){ report->chip_id, report->turin ? BAWN_SNP_CHIP_ID_TURIN_SIZE
                                                               : BAWN_SNP_CHIP_ID_SIZE };
}

/* Whether the HWID is the chip ID, which zero bytes follow when it is short. */
static bool chip_matches(const struct snp_report *report, const struct snp_cert *cert)
{
    struct bawn_cursor c = bawn_cursor_over(report->chip_id, BAWN_SNP_CHIP_ID_SIZE);
    struct bawn_bytes id = chip_id_of(report);

    bawn_cursor_take(&c, id.len);
    return bytes_equal(id, cert->hwid) && bawn_cursor_zeros(&c, bawn_cursor_left(&c));
}

/* A reserved level may be absent; a named one may not. */
static bool part_matches(const struct snp_report *report, const struct snp_cert *cert,
                         const struct snp_tcb_part *part)
{
    int level = part->arc ? cert->spl[part->arc] : -1;

    if (!part->arc || (!part->name && level < 0))
        return true;
    return level == report->reported_tcb[part->byte];
}

unsigned snp_cert_distance(const struct snp_report *report, const struct snp_cert *cert)
{
    enum { KIND = 64, LINE = 32, CHIP = 16, LEVEL = 1 };
    const struct snp_tcb_part *part = snp_tcb_layout(report->turin);
    bool vlek = snp_signing_key(report) == BAWN_SNP_SIGNED_BY_VLEK;
    unsigned distance = 0;

    if (cert->vlek != vlek)
        distance += KIND;
    if (cert->line != SNP_LINE_UNKNOWN && cert->line != report->line)
        distance += LINE;
    if (!cert->vlek && !chip_is_masked(report) && !chip_matches(report, cert))
        distance += CHIP;
    for (unsigned i = 0; i < SNP_TCB_PARTS; i++)
        if (!part_matches(report, cert, &part[i]))
            distance += LEVEL;
    return distance;
}

/* AMD 57230 rev 1.00, VCEK request: "…/Milan/<hwid>?blSPL=04&teeSPL=00&snpSPL=24&ucodeSPL=219" */
static const char *kds_url(struct verification *v, const struct snp_report *report)
{
    const struct snp_tcb_part *part = snp_tcb_layout(report->turin);
    const char *url =
        arena_text(v->arena, "https://kdsintf.amd.com/vcek/v1/%s/%s",
                   report->line == SNP_LINE_UNKNOWN ? "{product}" : snp_line_name(report->line),
                   chip_is_masked(report) ? "{hwid}" : arena_hex(v->arena, chip_id_of(report)));
    char sep = '?';

    for (unsigned i = 0; i < SNP_TCB_NAMED; i++) {
        if (!part[i].arc)
            continue;
        url = arena_text(v->arena, "%s%c%s=%02u", url, sep, part[i].kds,
                         report->reported_tcb[part[i].byte]);
        sep = '&';
    }
    return url;
}

const char *snp_cert_advice(struct verification *v, const struct snp_report *report)
{
    if (snp_signing_key(report) == BAWN_SNP_SIGNED_BY_VLEK)
        return "give the provider's VLEK certificate for the reported TCB: an extended guest "
               "request returns it, or ask the cloud provider";
    return arena_text(v->arena, "give the VCEK certificate of this chip and TCB: %s",
                      kds_url(v, report));
}

static bool judge_chip(struct verification *v, const struct snp_report *report,
                       const struct snp_cert *cert)
{
    struct check check = chip_check;

    if (cert->vlek) {
        if (cert->csp_id.len)
            return check_passed(v->r, &csp_check);
        return check_refused(v->r, &csp_check, "a provider's name", "nothing",
                             "the VLEK certificate does not name its provider");
    }
    if (chip_is_masked(report) && cert->hwid.len == chip_id_of(report).len) {
        check_warned(
            v->r, &masked_check, arena_hex(v->arena, cert->hwid), "zero",
            "the report hides its chip ID, so the certificate's HWID could not be compared");
        return true;
    }
    if (chip_matches(report, cert))
        return check_passed(v->r, &check);
    check.advice = snp_cert_advice(v, report);
    return check_refused(v->r, &check, arena_hex(v->arena, cert->hwid),
                         arena_hex(v->arena, chip_id_of(report)),
                         "the certificate is not this chip's");
}

static bool judge_tcb(struct verification *v, const struct snp_report *report,
                      const struct snp_cert *cert)
{
    const struct snp_tcb_part *part = snp_tcb_layout(report->turin);
    bool good = true;

    for (unsigned i = 0; i < SNP_TCB_PARTS; i++) {
        struct check check = tcb_check;
        int level = cert->spl[part[i].arc];

        if (part_matches(report, cert, &part[i]))
            continue;
        check.claim = snp_reported_tcb_claim(i);
        check.advice = snp_cert_advice(v, report);
        good = check_refused(
            v->r, &check, level < 0 ? "a level" : arena_text(v->arena, "%d", level),
            arena_text(v->arena, "%u", report->reported_tcb[part[i].byte]),
            level < 0 ? "the certificate has no security patch level of %s (extension "
                        "1.3.6.1.4.1.3704.1.3.%u)"
                      : "the certificate is for another security patch level of %s (extension "
                        "1.3.6.1.4.1.3704.1.3.%u)",
            part[i].name ? part[i].name : "a reserved component", part[i].arc);
    }
    return good && check_passed(v->r, &tcb_check);
}

bool snp_cert_product_judge(struct verification *v, const struct snp_report *report,
                            const struct snp_cert *cert)
{
    struct check check = product_check;

    if (cert->line == report->line || cert->line == SNP_LINE_UNKNOWN ||
        report->line == SNP_LINE_UNKNOWN)
        return true;
    check.advice = snp_cert_advice(v, report);
    return check_refused(v->r, &check, snp_line_name(report->line),
                         arena_printable(v->arena, cert->product),
                         "the certificate is not of the report's product");
}

bool snp_cert_judge(struct verification *v, const struct snp_report *report,
                    const struct snp_cert *cert)
{
    bool vlek = snp_signing_key(report) == BAWN_SNP_SIGNED_BY_VLEK;
    struct check check = kind_check;
    bool good = true;

    check.advice = snp_cert_advice(v, report);
    if (cert->vlek != vlek)
        good = check_refused(v->r, &check, vlek ? "VLEK" : "VCEK", cert->vlek ? "VLEK" : "VCEK",
                             "the certificate is not of the kind of key that signed the report");
    else
        check_passed(v->r, &kind_check);
    good &= judge_chip(v, report, cert);
    good &= judge_tcb(v, report, cert);
    return good;
}

/* ---- Names along the chain ---- */

/* What follows the prefix, or nothing when the name does not begin with it. */
static struct bawn_bytes after(struct bawn_bytes name, const char *prefix)
{
    struct bawn_cursor c = bawn_cursor_over(name.data, name.len);
    size_t len = strlen(prefix);
    const uint8_t *head = bawn_cursor_take(&c, len);

    if (!head || (len && memcmp(head, prefix, len) != 0))
        return (struct bawn_bytes){ 0 };
    return (struct bawn_bytes){ c.pos, bawn_cursor_left(&c) };
}

/* One name of the chain. A root of the caller's own may name things as it likes; a name that
 * says a product says the report's. */
static bool judge_line(struct verification *v, const struct snp_report *report, bool strict,
                       const char *what, const char *prefix, struct bawn_bytes name)
{
    struct bawn_bytes product = after(name, prefix);
    enum snp_line line = snp_line_of(product);

    if (line == SNP_LINE_UNKNOWN ? !strict : line == report->line)
        return true;
    return check_refused(
        v->r, &product_check, arena_text(v->arena, "%s%s", prefix, snp_line_name(report->line)),
        arena_printable(v->arena, name), "the %s is not of the report's product", what);
}

bool snp_names_judge(struct verification *v, const struct snp_report *report,
                     const struct snp_cert *cert, const struct chain *chain)
{
    const char *intermediate = cert->vlek ? "SEV-VLEK-" : "SEV-";
    const char *leaf = cert->vlek ? "SEV-VLEK" : "SEV-VCEK";
    struct bawn_bytes subject = cert->x509->common_name;
    bool strict = chain->root->builtin;
    struct check check = kind_check;
    bool good = true;

    check.advice = "give the certificates that the provider or AMD issued for this kind of key";
    if (!bytes_are(subject, leaf) &&
        (strict || bytes_are(subject, "SEV-VLEK") || bytes_are(subject, "SEV-VCEK")))
        good = check_refused(v->r, &check, leaf, arena_printable(v->arena, subject),
                             "the certificate's name is not that of its kind of key");
    if (cert->vlek != (after(chain->cert[1]->common_name, "SEV-VLEK-").len > 0) &&
        (strict || after(chain->cert[1]->common_name, "SEV-").len))
        good = check_refused(v->r, &check, arena_text(v->arena, "%s*", intermediate),
                             arena_printable(v->arena, chain->cert[1]->common_name),
                             "the certificate's issuer does not issue its kind of key");
    good &= judge_line(v, report, strict, "certificate", "", cert->product);
    if (good)
        good &= judge_line(v, report, strict, "intermediate certificate", intermediate,
                           chain->cert[1]->common_name);
    good &= judge_line(v, report, strict, "root", "ARK-", chain->cert[chain->n - 1]->common_name);
    return good && check_passed(v->r, &product_check);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Who endorses an SNP report: which of the certificates given is its VCEK or VLEK, whether the
 * chain leads from there to AMD's root, and whether that key signed the report.
 */
#include "attest/lib/snp.h"

#include <string.h>

#define SPEC_CHAIN "AMD 57230 rev 1.00, certificate chain; RFC 5280, 6.1"

static const struct check present_check = {
    .name = "snp.certificate",
    .claim = "snp.signing_key",
    .source = "AMD 56860 rev 1.58, 7.3, SIGNING_KEY",
    .how = "the certificate of the key that signed the report is given",
};

static const struct check unsigned_check = {
    .name = "snp.signing-key",
    .claim = "snp.signing_key",
    .source = "AMD 56860 rev 1.58, 7.3, SIGNING_KEY",
    .how = "the report is signed",
    .advice = "the platform was told not to sign (MASK_CHIP_KEY): ask the host to allow it",
};

static const struct check link_check = {
    .name = "snp.chain",
    .source = SPEC_CHAIN,
    .how = "the certificate is signed by its intermediate (ASK or ASVK), that by a trusted root "
           "(ARK), with RSA-PSS and SHA-384",
    .advice = "give the certificates as AMD issued them; for another root than AMD's, name it as "
              "trusted",
    .proof = PROOF_SNP_CHAIN,
};

static const struct check validity_check = {
    .name = "snp.chain-validity",
    .source = SPEC_CHAIN,
    .how = "every certificate of the chain is valid at the time of judgement",
    .advice = "give a certificate that is valid at that time (a VLEK lives one year), or judge at "
              "the time when the report was made",
};

/* One for each product, so that the advice is whole. */
#define REVOCATION(product)                                                         \
    {                                                                               \
        .name = "snp.revocation",                                                   \
        .source = "AMD 57230 rev 1.00, certificate revocation list; RFC 5280, 6.3", \
        .how = "no certificate of the chain is on AMD's revocation list",           \
        .advice = "give AMD's revocation list of that time: "                       \
                  "https://kdsintf.amd.com/vcek/v1/" product "/crl",                \
    }

static const struct check revocation_checks[SNP_LINES] = {
    [SNP_LINE_UNKNOWN] = REVOCATION("{product}"),
    [SNP_MILAN] = REVOCATION("Milan"),
    [SNP_GENOA] = REVOCATION("Genoa"),
    [SNP_TURIN] = REVOCATION("Turin"),
};

static const struct check signature_check = {
    .name = "snp.signature",
    .claim = "snp.signature.r",
    .source = "AMD 56860 rev 1.58, 7.3, ATTESTATION_REPORT, and chapter 10",
    .how = "ECDSA P-384 with SHA-384 over bytes 0 to 0x29f, with the key of the certificate",
    .advice = "the report was altered or is not this chip's: ask the guest for a new one",
    .proof = PROOF_SNP_REPORT,
};

static const struct chain_rules rules = {
    .what = "certificate",
    .link = &link_check,
    .validity = &validity_check,
    .crl = CRL_WARN,
    .leaf_key = KEY_P384,
    .alg = { SIG_RSA_PSS, HASH_SHA384, 48 },
    .max_intermediates = 1,
};

/* ---- The candidates ---- */

/* The report as it is if that certificate is its own: before version 3 only the certificate
 * tells the product, and with it the layout when the chip ID is hidden. */
static struct snp_report supposing(const struct snp_report *report, const struct snp_cert *cert)
{
    struct snp_report as = *report;

    if (as.version >= BAWN_SNP_REPORT_V3)
        return as;
    as.line = cert->line;
    if (bytes_zero(as.chip_id, BAWN_SNP_CHIP_ID_SIZE))
        as.turin = cert->line == SNP_TURIN;
    return as;
}

/* Keeps the closest ones, the first given first; a certificate given twice counts once. */
static void keep(struct snp_candidates *out, unsigned *distances, const struct snp_cert *cert,
                 unsigned distance)
{
    unsigned at = out->n;

    for (unsigned i = 0; i < out->n; i++)
        if (bytes_equal(out->cert[i].x509->der, cert->x509->der))
            return;
    out->found++;
    while (at && distances[at - 1] > distance)
        at--;
    if (at == SNP_CANDIDATES)
        return;
    if (out->n < SNP_CANDIDATES)
        out->n++;
    memmove(&out->cert[at + 1], &out->cert[at], (out->n - at - 1) * sizeof(out->cert[0]));
    memmove(&distances[at + 1], &distances[at], (out->n - at - 1) * sizeof(distances[0]));
    out->cert[at] = *cert;
    distances[at] = distance;
}

void snp_candidates_find(struct verification *v, struct snp_report *report,
                         struct snp_candidates *out)
{
    const struct x509 *certs = v->end.certs.items;
    unsigned distances[SNP_CANDIDATES] = { 0 };

    out->n = out->found = out->matching = 0;
    for (size_t i = 0; i < v->end.certs.n; i++) {
        struct snp_report as;
        struct snp_cert cert;

        if (!snp_cert_read(&certs[i], &cert))
            continue;
        as = supposing(report, &cert);
        keep(out, distances, &cert, snp_cert_distance(&as, &cert));
    }
    while (out->matching < out->n && !distances[out->matching])
        out->matching++;
    if (out->n)
        *report = supposing(report, &out->cert[0]);
}

/* ---- The judgement ---- */

static bool judge_signature(struct verification *v, const struct snp_report *report,
                            const struct snp_cert *cert)
{
    const struct pubkey *key = &cert->x509->key;

    if (!report->has_signature || report->signature_algo != BAWN_SNP_ALGO_ECDSA_P384_SHA384)
        return false; /* refused where the report was read */
    if (key->type == KEY_P384 &&
        sig_verify_raw(v->cache, key, HASH_SHA384, report->to_be_signed, report->r, report->s))
        return check_passed(v->r, &signature_check);
    return check_refused(v->r, &signature_check, NULL, NULL,
                         key->type == KEY_P384
                             ? "the report's signature is not by the key of the certificate"
                             : "the certificate's key is not of curve P-384");
}

static bool judge_chain(struct verification *v, const struct snp_report *report,
                        const struct snp_cert *cert)
{
    struct chain_rules ours = rules;
    struct chain chain;

    ours.revocation = &revocation_checks[report->line];
    ours.what = cert->vlek ? "VLEK certificate" : "VCEK certificate";
    if (!chain_verify(v, cert->x509, &ours, &chain))
        return false;
    if (chain.n != 3)
        return check_refused(v->r, &link_check, "3 certificates",
                             arena_text(v->arena, "%u", chain.n),
                             "the chain is not certificate, intermediate and root");
    return snp_names_judge(v, report, cert, &chain);
}

static bool judge_one(struct verification *v, const struct snp_report *report,
                      const struct snp_cert *cert)
{
    bool good;

    /* Then chip and levels differ too, in another layout: that would only hide the reason. */
    if (!snp_cert_product_judge(v, report, cert))
        return false;
    good = snp_cert_judge(v, report, cert);
    good &= judge_chain(v, report, cert);
    good &= judge_signature(v, report, cert);
    return good;
}

/* Several certificates match the report; one that is right is enough (others may have expired,
 * or be an attempt to confuse). When none is right, the findings are about the first. */
static const struct snp_cert *judge_matching(struct verification *v,
                                             const struct snp_report *report,
                                             const struct snp_candidates *candidates)
{
    size_t findings = v->r->findings.n;
    const char *foreign_root = v->r->foreign_root;

    for (unsigned i = 0; i <= candidates->matching; i++) {
        const struct snp_cert *cert = &candidates->cert[i % candidates->matching];

        if (judge_one(v, report, cert) || candidates->matching == 1 || i == candidates->matching)
            return cert;
        v->r->findings.n = findings;
        v->r->foreign_root = foreign_root;
    }
    return NULL;
}

static const struct snp_cert *judge_candidates(struct verification *v,
                                               const struct snp_report *report,
                                               const struct snp_candidates *candidates)
{
    const char *kind = snp_signing_key(report) == BAWN_SNP_SIGNED_BY_VLEK ? "VLEK" : "VCEK";
    struct check check = present_check;

    if (snp_signing_key(report) == BAWN_SNP_SIGNED_BY_NONE) {
        check_refused(v->r, &unsigned_check, "VCEK or VLEK", "NONE", "the report is not signed");
        return NULL;
    }
    if (candidates->matching)
        return judge_matching(v, report, candidates);
    if (candidates->found == 1) {
        judge_one(v, report, &candidates->cert[0]);
        return &candidates->cert[0];
    }
    check.advice = snp_cert_advice(v, report);
    check_missing(v->r, &check, kind,
                  candidates->found ? arena_text(v->arena, "%u others", candidates->found)
                                    : "nothing",
                  candidates->found ? "none of the certificates given is the report's %s"
                                    : "the report's %s certificate is not given",
                  kind);
    return NULL;
}

/* The product without its stepping, as people name it; AMD's own name as it stands. */
static void claim_product(struct verification *v, const struct snp_report *report,
                          const struct snp_cert *cert)
{
    const char *name = snp_line_name(report->line);

    if (cert && cert->product.len) {
        claim_text(v->r, "snp.product_name", arena_printable(v->arena, cert->product));
        if (cert->line != SNP_LINE_UNKNOWN && cert->line == report->line)
            name = snp_product_name(cert);
    }
    if (report->line != SNP_LINE_UNKNOWN)
        claim_text(v->r, "snp.product", name);
    if (cert && cert->csp_id.len)
        claim_text(v->r, "snp.csp_id", arena_printable(v->arena, cert->csp_id));
}

void snp_endorsement_judge(struct verification *v, const struct snp_report *report,
                           const struct snp_candidates *candidates)
{
    claim_product(v, report, judge_candidates(v, report, candidates));
}

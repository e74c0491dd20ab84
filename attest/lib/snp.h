/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AMD SEV-SNP evidence taken apart: the attestation report (hostile until its signature is
 * verified) and the VCEK or VLEK certificate that is to endorse it (hostile until its chain
 * is). Shared by the snp*.c files and by what carries a report inside (azure.c, evidence.c).
 */
#ifndef BAWN_ATTEST_SNP_H
#define BAWN_ATTEST_SNP_H

#include <bawn/snp.h>

#include "attest/lib/chain.h"

/* Product lines: each has its ARK, and AMD's key server names its certificates so. Bergamo and
 * Siena are of Genoa's line. */
enum snp_line { SNP_LINE_UNKNOWN, SNP_MILAN, SNP_GENOA, SNP_TURIN, SNP_LINES };

/* "Milan" */
const char *snp_line_name(enum snp_line line);
/* By a product name as certificates have it ("Milan-B0", "Siena"). */
enum snp_line snp_line_of(struct bawn_bytes product);
/* By what CPUID says. */
enum snp_line snp_line_by_cpuid(uint8_t family, uint8_t model);

/* ---- The report (snp_report.c) ---- */

/* Bytes are borrowed from the evidence; the sizes are those of struct bawn_snp_report. */
struct snp_report {
    struct bawn_bytes whole, to_be_signed;
    uint32_t version, guest_svn, vmpl, signature_algo, key_info;
    uint64_t policy, platform_info;
    const uint8_t *family_id, *image_id, *measurement, *chip_id;
    const uint8_t *id_key_digest, *author_key_digest;
    const uint8_t *current_tcb, *reported_tcb, *committed_tcb, *launch_tcb;
    uint8_t current_version[3], committed_version[3];     /* build, minor, major */
    uint8_t cpuid_fam_id, cpuid_mod_id;                   /* 0 before version 3 */
    uint8_t r[BAWN_SNP_P384_SIZE], s[BAWN_SNP_P384_SIZE]; /* big-endian */
    bool has_signature;                                   /* r and s are there */
    /* By CPUID_*; before version 3 by the certificate, or unknown. */
    enum snp_line line;
    bool turin; /* TCB versions have Turin's layout */
};

/* Reads the report and judges its form. False: it cannot be judged at all, and findings say
 * why; what is wrong but readable is a finding only. */
bool snp_report_parse(struct verification *v, struct bawn_bytes bytes, struct snp_report *out);
/* Whether the processor is of a product that this tool knows. */
bool snp_product_judge(struct verification *v, const struct snp_report *report);
/* Judges what needs nothing but the report: policy, TCB versions, platform. */
void snp_report_judge(struct verification *v, const struct snp_report *report);
/* Every field as a claim (snp_claims.c). */
void snp_report_claims(struct verification *v, const struct snp_report *report);

static inline unsigned snp_signing_key(const struct snp_report *report)
{
    return (report->key_info & BAWN_SNP_KEY_SIGNING_KEY) >> BAWN_SNP_KEY_SIGNING_KEY_SHIFT;
}

/* ---- TCB versions (snp_claims.c) ---- */

/* FMC, boot loader, TEE, SNP, microcode; then the reserved ones. */
enum { SNP_TCB_NAMED = 5, SNP_TCB_PARTS = 9 };

struct snp_tcb_part {
    const char *name; /* "boot_loader"; NULL for a reserved one */
    const char *kds;  /* parameter of AMD's key server */
    uint8_t arc;      /* last arc of the OID of the certificate's extension; 0: not there */
    uint8_t byte;     /* which byte of a TCB_VERSION */
};

/* SNP_TCB_PARTS of them. */
const struct snp_tcb_part *snp_tcb_layout(bool turin);
/* "snp.reported_tcb.microcode"; static. */
const char *snp_reported_tcb_claim(unsigned part);

/* ---- The certificate (snp_cert.c, snp_endorse.c) ---- */

/* Security patch levels are extensions 1.3.6.1.4.1.3704.1.3.1 to .9. */
#define SNP_SPL_ARCS 9

/* A VCEK or VLEK as it describes itself. AMD 57230 (VCEK), 58369 (VLEK). */
struct snp_cert {
    const struct x509 *x509;
    bool vlek;
    struct bawn_bytes product; /* "Milan-B0" */
    enum snp_line line;
    struct bawn_bytes hwid, csp_id;
    int spl[SNP_SPL_ARCS + 1]; /* by arc, from 1; -1: absent or malformed */
};

/* False: not such a certificate at all. */
bool snp_cert_read(const struct x509 *x509, struct snp_cert *out);
/* The product that it names, without stepping: "Siena"; static. */
const char *snp_product_name(const struct snp_cert *cert);
/* Where to get the certificate that the report needs, as an advice. */
const char *snp_cert_advice(struct verification *v, const struct snp_report *report);
/* How far the certificate is from being the report's: 0 for a match. */
unsigned snp_cert_distance(const struct snp_report *report, const struct snp_cert *cert);
/* False, and refused: the certificate says that it is of another product than the report. */
bool snp_cert_product_judge(struct verification *v, const struct snp_report *report,
                       const struct snp_cert *cert);
/* Judges that the certificate is for that report: kind, chip, TCB. True: it is. */
bool snp_cert_judge(struct verification *v, const struct snp_report *report,
                    const struct snp_cert *cert);
/* Judges that the names in the chain are those of the report's product and kind of key. */
bool snp_names_judge(struct verification *v, const struct snp_report *report,
                     const struct snp_cert *cert, const struct chain *chain);

/* Those among the endorsements that may be the report's, closest first. */
#define SNP_CANDIDATES 8
struct snp_candidates {
    struct snp_cert cert[SNP_CANDIDATES];
    unsigned n;        /* kept */
    unsigned matching; /* of these, the first ones are the report's by all they say */
    unsigned found;    /* in all */
};

/* Also sets the report's line when only the certificate tells it. */
void snp_candidates_find(struct verification *v, struct snp_report *report,
                         struct snp_candidates *out);
/* Judges the endorsement: the certificate, its chain, and the report's signature. Adds the
 * claims that come from the certificate. */
void snp_endorsement_judge(struct verification *v, const struct snp_report *report,
                           const struct snp_candidates *candidates);

/* ---- The ID block (snp_idblock.c) ---- */

/* When v->ev has one: verifies its signatures and that the report repeats it. True: it does. */
bool snp_id_block_judge(struct verification *v, const struct snp_report *report);
/* Takes an ID block or ID authentication information given as an endorsement. False: neither. */
bool snp_id_block_add(struct verification *v, struct bawn_bytes blob);

/* ---- Wire forms ---- */

/* r and s of an SNP signature as big-endian numbers. False: it does not have the form (numbers
 * longer than P-384's, non-zero reserved bytes). */
bool snp_signature_read(struct bawn_cursor *c, uint8_t r[BAWN_SNP_P384_SIZE],
                        uint8_t s[BAWN_SNP_P384_SIZE]);

#endif

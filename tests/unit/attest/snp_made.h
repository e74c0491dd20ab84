/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SNP evidence for tests: the real vectors, and a platform made up with its own ARK, ASK, ASVK
 * and chip, whose reports and certificates can be right or wrong in any field.
 */
#ifndef TESTS_UNIT_ATTEST_SNP_MADE_H
#define TESTS_UNIT_ATTEST_SNP_MADE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "attest/lib/snp.h"
#include "tests/unit/attest/pki.h"

#define SNP_VECTORS "tests/vectors/snp/"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- Files ---- */

/* A whole file; free() its data. Fails the test when it is not there. */
struct bawn_bytes snp_file_read(const char *path);
/* SNP_VECTORS, name and suffix joined. */
struct bawn_bytes snp_vector_read(const char *name, const char *suffix);

/* ---- Judging ---- */

/* Everything for one verification after the other, through the public interface. */
struct snp_judge {
    struct bawn_trust *trust;
    struct bawn_attest_cache *cache;
    struct bawn_attest_result *result;
    int64_t at;
    unsigned flags;
};

/* root empty: the compiled-in ones. */
void snp_judge_create(struct snp_judge *j, struct bawn_bytes root);
void snp_judge_destroy(struct snp_judge *j);
enum bawn_verdict snp_judge(struct snp_judge *j, struct bawn_bytes report,
                            const struct bawn_bytes *endorsements, size_t n);

/* How often a finding of that level and check (and claim, unless NULL) is in the result. */
unsigned snp_findings(const struct bawn_attest_result *r, enum bawn_finding_level level,
                      const char *check, const char *claim);
/* Fails the test, and prints what there is, unless there is exactly one. */
void assert_snp_finding(const struct bawn_attest_result *r, enum bawn_finding_level level,
                        const char *check, const char *claim);
/* Fails the test unless the findings at or above that level are only of that check. */
void assert_snp_only(const struct bawn_attest_result *r, enum bawn_finding_level level,
                     const char *check);
/* The claim's text. */
const char *snp_claim_text(const struct bawn_attest_result *r, const char *name);

/* ---- A platform made up ---- */

struct snp_made {
    struct pki *pki;
    const struct pki_cert *ark, *ask, *asvk;
    EVP_PKEY *key; /* of the VCEK and the VLEK */
    struct snp_judge judge;
};

/* line: "Milan", "Genoa", "Turin". */
void snp_made_create(struct snp_made *m, const char *line);
void snp_made_destroy(struct snp_made *m);

/* A good report of that platform, unsigned. */
struct bawn_snp_report snp_made_report(uint32_t version, const char *line);
/* What a certificate says that is that report's. */
struct pki_amd snp_made_amd(struct snp_made *m, const struct bawn_snp_report *report);
/* A VCEK, or with csp_id a VLEK, with the made key. */
const struct pki_cert *snp_made_cert(struct snp_made *m, const struct pki_amd *amd);
/* The same with other particulars: spec's exts are replaced. */
const struct pki_cert *snp_made_cert_as(struct snp_made *m, const struct pki_amd *amd,
                                        const struct pki_spec *spec);
/* The same with one extension ("3.1" below AMD's arc) replaced, or with empty bytes removed. */
const struct pki_cert *snp_made_cert_but(struct snp_made *m, const struct pki_amd *amd,
                                         const char *arcs, struct bawn_bytes value);
void snp_made_sign(struct snp_made *m, struct bawn_snp_report *report, EVP_PKEY *key);
/* Signs the report and has it judged with the certificate, the ASK and the ASVK. */
enum bawn_verdict snp_made_judge(struct snp_made *m, struct bawn_snp_report *report,
                                 const struct pki_cert *cert);
/* A signature and a key in SNP's form. */
void snp_made_signature(struct snp_made *m, EVP_PKEY *key, struct bawn_bytes message,
                        struct bawn_snp_signature *out);
void snp_made_public_key(struct snp_made *m, EVP_PKEY *key, struct bawn_snp_public_key *out);

#endif

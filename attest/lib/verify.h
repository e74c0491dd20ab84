/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One verification in flight: what was given, sorted by kind, and where the findings go. Each
 * kind of evidence has a file that judges it and one function here.
 */
#ifndef BAWN_ATTEST_VERIFY_H
#define BAWN_ATTEST_VERIFY_H

#include "attest/lib/codec.h"
#include "attest/lib/result.h"
#include "attest/lib/x509.h"

#define TPM_PCRS 24
#define TPM_MORE_BANKS 3

/* PCR values as given beside a quote; a value of length 0 is not given. */
struct pcr_bank {
    enum hash_alg alg;
    struct bawn_bytes value[TPM_PCRS];
};

/* The evidence taken apart. Empty bytes: not there. All borrowed from the input or the arena. */
struct evidence {
    enum bawn_evidence_kind kind; /* of the outermost form, after text encodings */
    struct bawn_bytes snp_report;
    struct bawn_bytes quote;      /* SGX or TDX */
    struct bawn_bytes hcl_report; /* whole; snp_report or TD report inside it is taken by azure.c */
    struct bawn_bytes tpm_message, tpm_signature; /* TPMS_ATTEST; TPMT_SIGNATURE or bare */
    struct bawn_bytes ak_public;                  /* SPKI DER, PEM, TPM2B_PUBLIC or TPMT_PUBLIC */
    struct pcr_bank pcrs;
    struct pcr_bank more_pcrs[TPM_MORE_BANKS]; /* when several banks are given */
    /* Set by tpm.c: bit n when value n of pcrs is under the quote's digest. */
    uint32_t pcrs_quoted;
    bool ak_from_hcl; /* set by azure.c: ak_public is from Azure's runtime data */
    /* Set by azure.c: which hardware report Azure's report is bound to. */
    bool snp_in_hcl, quote_of_hcl;
    struct bawn_bytes event_log;         /* TCG PC Client log */
    struct bawn_bytes cc_log;            /* CCEL data */
    struct bawn_bytes id_block, id_auth; /* SNP launch: AMD 56860 rev 1.58, SNP_LAUNCH_FINISH */
};

/* Signed JSON of Intel's: the bytes that are signed, and r || s (64 bytes). */
struct signed_json {
    struct bawn_bytes body, signature;
};

struct endorsements {
    struct list certs;         /* struct x509 */
    struct list crls;          /* struct x509_crl */
    struct list tcb_infos;     /* struct signed_json */
    struct list qe_identities; /* struct signed_json */
    size_t json;               /* bytes of JSON that were read for them */
    size_t td_quote;           /* which endorsement ev.quote is, from 1 */
};

struct js;

struct verification {
    const struct bawn_trust *trust;
    struct bawn_attest_cache *cache;
    const struct bawn_attest_input *input;
    struct bawn_attest_result *r;
    struct arena *arena; /* = &r->arena */
    int64_t at;
    struct evidence ev;
    struct endorsements end;
    struct {
        struct bawn_bytes spki, name,
            tee; /* key, common name; what the evidence is said to be of */
    } ratls;     /* of BAWN_EVIDENCE_RATLS */
};

/* evidence.c: recognises and takes apart. False: findings say why. */
bool evidence_unpack(struct verification *v);
/* endorsement.c: sorts one blob by content; a broken one is a warning. */
void endorsement_add(struct verification *v, struct bawn_bytes blob);
void endorsement_add_cert(struct verification *v, struct bawn_bytes der, const char *whence);
void endorsement_add_crl(struct verification *v, struct bawn_bytes der, const char *whence);
/* "a certificate", "a certificate revocation list", "a public key", or NULL for other bytes. */
const char *endorsement_recognise(struct verification *v, struct bawn_bytes blob);
/* Warns that the endorsement in r->endorsement is evidence: "an SEV-SNP report". */
void endorsement_is_evidence(struct verification *v, const char *what);
/* evidence.c: what an SNP report or a quote is called in a sentence, NULL for other bytes. */
const char *evidence_recognise(struct bawn_bytes data);

/* snp_table.c: the certificate table of an extended guest request. False: not one. */
bool snp_table_add(struct verification *v, struct bawn_bytes blob);
/* tpm.c: TPMT_SIGNATURE, TPM2B_PUBLIC or TPMT_PUBLIC, PCR values as keylime writes them; into
 * v->ev where that is still empty. False: none of these. */
bool tpm_endorsement_add(struct verification *v, struct bawn_bytes blob);
/* eventlog.c: a TCG or CC event log, into v->ev.event_log or cc_log. False: neither. */
bool eventlog_endorsement_add(struct verification *v, struct bawn_bytes blob);
/* collateral.c: Intel's TCB info and QE identity as served, or a bundle. False: neither. */
bool collateral_add(struct verification *v, const struct js *j);
/* Whether collateral_add() would find something. */
bool collateral_recognise(const struct js *j);

/* The judges. Each adds claims and findings for its part of v->ev. */
void snp_verify(struct verification *v);      /* snp.c: ev.snp_report (id_block) */
void quote_verify(struct verification *v);    /* quote_verify.c: ev.quote (cc_log) */
void tpm_verify(struct verification *v);      /* tpm.c: ev.tpm_message (ak_public, pcrs) */
void eventlog_verify(struct verification *v); /* eventlog.c: ev.event_log, ev.cc_log */
void azure_verify(
    struct verification *v); /* azure.c: ev.hcl_report; sets ev.snp_report, ak_public */
/* ratls.c: the certificate of BAWN_EVIDENCE_RATLS, and the evidence in it. False: findings say why.
 */
bool ratls_take(struct verification *v, struct bawn_bytes *evidence);
/* Whether the evidence, which has been judged, is about the certificate's key. */
void ratls_verify(struct verification *v);
/* expect.c */
void expect_verify(struct verification *v);

#endif

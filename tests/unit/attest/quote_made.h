/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A platform made for a test: its root, PCK, TCB signing key, CRLs, TCB info, QE identity, and
 * a quote of any version, signed by them. A test starts from made_default() and changes what
 * it is about; made_build() signs everything again.
 */
#ifndef TESTS_UNIT_ATTEST_QUOTE_MADE_H
#define TESTS_UNIT_ATTEST_QUOTE_MADE_H

#include <bawn/tdx.h>

#include "tests/unit/attest/pki.h"
#include "tests/unit/attest/scene.h"

enum made_kind { MADE_SGX3, MADE_SGX4, MADE_SGX5, MADE_TDX4, MADE_TDX5, MADE_TDX5_15, MADE_KINDS };

/* A level of the platform; one of an identity uses svn only. Without a status: no more. */
struct made_level {
    const char *status, *advisory;
    uint8_t sgx[16], tdx[16];
    uint16_t pce_svn;
    unsigned svn;
};

#define MADE_LEVELS 4

struct made_identity {
    uint8_t attributes[16], attributes_mask[16]; /* a module's: the first 8 */
    uint8_t mrsigner[48];                        /* a quoting enclave's: the first 32 */
    uint8_t misc_select[4], misc_mask[4];
    unsigned prod_id, version;
    struct made_level levels[MADE_LEVELS];
};

enum { /* struct made_spec.omit, .revoke */
       MADE_PCK = 1 << 0,
       MADE_CA = 1 << 1,
       MADE_SIGNER = 1 << 2,
       MADE_TCB_INFO = 1 << 3,
       MADE_QE_IDENTITY = 1 << 4,
       MADE_ROOT_CRL = 1 << 5,
       MADE_PCK_CRL = 1 << 6,
};

struct made_spec {
    enum made_kind kind;
    struct bawn_quote_header header;
    struct bawn_enclave_report enclave, qe;
    struct bawn_td_report15 td;
    struct pki_sgx sgx;
    bool qe_data_given; /* qe.report_data is not the digest */
    /* Certificates: fields that are 0 get the right value. */
    struct pki_spec pck, ca, signer;
    bool pck_by_root, signer_by_ca, bare_pck; /* without SGX extension */
    unsigned omit, revoke;
    /* Certification data: 0 is 5. Types 1 to 4 leave the chain out of the quote. */
    unsigned cert_type;
    struct bawn_bytes key;          /* attestation key to claim, x || y */
    bool tcb_v2;                    /* TCB info of version 2 */
    const char *id, *qe_id, *fmspc; /* in TCB info and QE identity */
    const char *issued, *next_update;
    unsigned tcb_type, tcb_version;
    struct made_level levels[MADE_LEVELS];
    struct made_identity module, qe_identity; /* module: of tdxModule, or of a versioned one */
    unsigned module_version;                  /* that the TCB info knows */
    const char *edit, *edit_to;               /* in the text of both JSON, where it first is */
    EVP_PKEY *json_key;                       /* signs TCB info and QE identity instead */
};

struct made {
    struct bawn_bytes root, quote;
    struct bawn_bytes tcb_info, qe_identity; /* as the PCS serves them; empty: left out */
    struct bawn_bytes endorsements[8];
    size_t nr_endorsements;
    const struct pki_cert *root_cert, *ca, *pck, *signer;
};

/* All UpToDate and right. */
void made_default(struct made_spec *spec, enum made_kind kind);
void made_build(struct pki *pki, const struct made_spec *spec, struct made *out);
/* Judges it at PKI_NOW with its own root. The result is the caller's to destroy. */
struct bawn_attest_result *made_judge(const struct made *made);
/* Both, with the verdict wanted; shows the findings when it is another. */
struct bawn_attest_result *made_expect(struct pki *pki, const struct made_spec *spec,
                                       enum bawn_verdict want);

#endif

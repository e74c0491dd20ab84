/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An SGX or TDX quote taken apart, and the collateral that judges it: what the files quote*.c,
 * pck.c, tcb*.c, qe_identity.c and intel_json.c share. Everything borrows from the evidence,
 * the endorsements or the arena.
 */
#ifndef BAWN_ATTEST_QUOTE_H
#define BAWN_ATTEST_QUOTE_H

#include <bawn/tdx.h>

#include "attest/lib/chain.h"
#include "attest/lib/json.h"
#include "attest/lib/verify.h"

/* ---- quote.c ---- */

struct quote {
    unsigned version;
    bool tdx;
    const struct bawn_quote_header *header;
    const struct bawn_enclave_report *enclave; /* SGX, else NULL */
    const struct bawn_td_report10 *td;         /* TDX, else NULL */
    const struct bawn_td_report15 *td15;       /* TDX 1.5, else NULL */
    struct bawn_bytes signed_part;             /* header, body descriptor, body */
    const uint8_t *signature;                  /* r || s, by the attestation key */
    const uint8_t *key;                        /* attestation key, x || y */
    const struct bawn_enclave_report *qe;      /* the quoting enclave's report */
    const uint8_t *qe_signature;               /* r || s, by the PCK */
    struct bawn_bytes qe_auth;                 /* authentication data */
    unsigned cert_type;                        /* BAWN_QUOTE_CERT_* */
    struct bawn_bytes cert_data;
};

/* BAWN_E_FORMAT: not a quote, or a broken one. BAWN_E_UNSUPPORTED: of a version or with a key
 * that is not judged here. Zero bytes after the quote are allowed: buffers of fixed size are
 * handed on whole (tests/vectors/eventlog/cos-113-tdx-quote.dat). */
enum bawn_status quote_parse(struct quote *q, struct bawn_bytes bytes, struct bawn_error *err);

uint64_t le_uint(const uint8_t *bytes, size_t n); /* n at most 8 */
#define LE_FIELD(field) le_uint((field), sizeof(field))

/* ---- quote_claims.c ---- */

void quote_claims(struct bawn_attest_result *r, const struct quote *q);
/* Debug, reserved bits, migration: what the attributes say that a verdict must heed. */
void quote_attributes_judge(struct bawn_attest_result *r, const struct quote *q);

/* ---- pck.c: Intel SGX PCK Certificate and CRL Profile Specification ---- */

#define TCB_COMPONENTS 16

struct pck {
    struct x509 cert;
    struct bawn_bytes ppid, cpu_svn;     /* 16 each */
    struct bawn_bytes fmspc, pceid;      /* 6, 2 */
    struct bawn_bytes platform_instance; /* 16; empty if absent */
    uint8_t component[TCB_COMPONENTS];
    uint16_t pce_svn;
    unsigned sgx_type; /* 0 standard, 1 scalable, 2 with integrity */
    bool has_configuration;
    bool dynamic_platform, cached_keys, smt_enabled;
};

/* Reads the SGX extension of pck->cert. */
enum bawn_status pck_extension_parse(struct pck *pck, struct bawn_error *err);
/* Finds the PCK certificate: in the quote, else among the endorsements. Reads it, adds what is
 * with it to the endorsements, judges its chain. The extension's fields are valid when
 * *have_pck is set; the certificate's key when its type is not KEY_NONE. *pck is all zero at
 * first, and lives as long as the claims. */
void pck_judge(struct verification *v, const struct quote *q, struct pck *pck, bool *have_pck);

/* ---- tcb_status.c ---- */

enum tcb_status {           /* names: tcb_status_name */
                  TCB_NONE, /* no level matches, or none was looked for */
                  TCB_UP_TO_DATE,
                  TCB_SW_HARDENING_NEEDED,
                  TCB_CONFIGURATION_NEEDED,
                  TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED,
                  TCB_OUT_OF_DATE,
                  TCB_OUT_OF_DATE_CONFIGURATION_NEEDED,
                  TCB_REVOKED,
                  TCB_STATUSES,
};

const char *tcb_status_name(enum tcb_status status);

/* A TCB level that was selected: of the platform, the TDX module or the quoting enclave. */
struct tcb_level {
    enum tcb_status status;
    struct js *json; /* NULL: none selected */
    uint32_t value;  /* the level in it */
};

/* The status of a level's text; false (and TCB_NONE) when it is none of the seven. */
bool tcb_level_take(struct tcb_level *level, struct js *json, uint32_t value);
/* Levels by "tcb": {"isvsvn": n}, best first: the first that svn reaches. False: the JSON is not
 * of that form. */
bool tcb_level_by_isvsvn(struct tcb_level *level, struct js *json, uint32_t levels, uint64_t svn);

/* The platform's status as lowered by the module's or the quoting enclave's. */
enum tcb_status tcb_converge(enum tcb_status platform, enum tcb_status other);

struct tcb_judgement {
    bool tdx, module_needed; /* the TDX module has a version of its own */
    struct tcb_level platform, module, qe;
    bool relaunch;      /* only the TD's launch is old: the module was updated since */
    const char *behind; /* what is older than the newest level, for people; may be empty */
};

/* Adds to t->behind. */
void tcb_note_behind(struct verification *v, struct tcb_judgement *t, const char *what,
                     uint64_t have, uint64_t newest);
/* Claims and findings of the statuses together. */
void tcb_judge(struct verification *v, const struct tcb_judgement *t);

/* ---- intel_json.c ---- */

/* Signed JSON parsed, with what TCB info and QE identity have in common. */
struct intel_json {
    struct js json;
    const struct signed_json *text;
    int64_t issued, next_update;
    uint64_t evaluation;
};

/* What sets the two kinds apart, for findings. */
struct intel_json_kind {
    const char *what; /* "TCB info" */
    const struct check *signature, *validity;
};

/* The signing certificate judged last: TCB info and QE identity have the same. */
struct tcb_signer {
    const struct x509 *cert;
    bool rooted; /* its chain leads to a root */
};

/* Parses the body; false when it is not JSON of Intel's form. */
bool intel_json_parse(struct verification *v, struct intel_json *out,
                      const struct signed_json *text);
/* What was given instead, for a finding: "nothing", "2 others". */
const char *intel_json_others(struct verification *v, size_t n);
/* Whether a is to be preferred over b at that time: valid before not, then the later one. */
bool intel_json_better(const struct intel_json *a, const struct intel_json *b, int64_t at);
/* The signature, its key's chain and the dates. False: the content is nobody's word. When it is
 * true there may be findings all the same (stale, revoked). */
bool intel_json_judge(struct verification *v, const struct intel_json *doc,
                      const struct intel_json_kind *kind, struct tcb_signer *signer);
/* A date as Intel writes them: 2026-03-16T22:06:09Z. */
bool iso_time(struct bawn_bytes text, int64_t *out);

/* ---- tcb_info.c, qe_identity.c ---- */

/* The platform's and module's levels, and the quoting enclave's, go into t; findings say why one
 * is not there. */
void tcb_info_judge(struct verification *v, const struct quote *q, const struct pck *pck,
                    struct tcb_signer *signer, struct tcb_judgement *t);
void qe_identity_judge(struct verification *v, const struct quote *q, struct tcb_signer *signer,
                       struct tcb_judgement *t);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What Intel's attestation formats look like in memory: SGX and TDX quotes of versions 3, 4
 * and 5, the report bodies inside them, and the TDREPORT that a TD gets from the TDX module.
 * Every field is an array of bytes, so the structures have no padding, no alignment and no
 * byte order; integers in them are little-endian. Lengths inside a quote are the writer's
 * word: readers check them.
 *
 * Sources: [DCAP] Intel SGX/TDX DCAP Quoting Library API, appendix A "Quote Format";
 * [TDX] Intel TDX Module 1.5 ABI Reference (348551); [SDM] Intel SDM vol. 3D, chapter 39.
 */
#ifndef BAWN_TDX_H
#define BAWN_TDX_H

#include <linux/types.h>

/* ---- Quote header: [DCAP] A.3.1 ---- */

#define BAWN_QUOTE_V3 3
#define BAWN_QUOTE_V4 4
#define BAWN_QUOTE_V5 5

#define BAWN_QUOTE_KEY_ECDSA_P256 2
#define BAWN_QUOTE_KEY_ECDSA_P384 3

#define BAWN_QUOTE_TEE_SGX 0x00
#define BAWN_QUOTE_TEE_TDX 0x81

/* QE vendor: Intel, 939a7233-f79c-4ca9-940a-0db3957f0607. */
#define BAWN_QUOTE_VENDOR_INTEL                                                             \
	{ 0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, \
	  0x06, 0x07 }

struct bawn_quote_header {
	__u8 version[2];
	__u8 key_type[2]; /* attestation key: BAWN_QUOTE_KEY_* */
	__u8 tee_type[4]; /* BAWN_QUOTE_TEE_*; version 3: reserved, zero */
	__u8 qe_svn[2];   /* version 3; later zero */
	__u8 pce_svn[2];  /* version 3; later zero */
	__u8 qe_vendor_id[16];
	__u8 user_data[20]; /* first 16 bytes: the platform's id for the QE */
};

/* Version 5 puts this between header and body: [DCAP] A.5. */
struct bawn_quote_body_descriptor {
	__u8 type[2]; /* BAWN_QUOTE_BODY_* */
	__u8 size[4]; /* of the body */
};

#define BAWN_QUOTE_BODY_SGX 1
#define BAWN_QUOTE_BODY_TD10 2
#define BAWN_QUOTE_BODY_TD15 3

/* ---- Bodies ---- */

/* SGX REPORT body: [SDM] table 39-21; [DCAP] A.3.2. */
struct bawn_enclave_report {
	__u8 cpu_svn[16];
	__u8 misc_select[4];
	__u8 reserved1[12];
	__u8 isv_ext_prod_id[16];
	__u8 attributes[16]; /* flags, BAWN_SGX_ATTR_*, 8 bytes; then XFRM */
	__u8 mr_enclave[32];
	__u8 reserved2[32];
	__u8 mr_signer[32];
	__u8 reserved3[32];
	__u8 config_id[64];
	__u8 isv_prod_id[2];
	__u8 isv_svn[2];
	__u8 config_svn[2];
	__u8 reserved4[42];
	__u8 isv_family_id[16];
	__u8 report_data[64];
};

/* SGX ATTRIBUTES, flags: [SDM] table 36-3. */
#define BAWN_SGX_ATTR_INIT (1ull << 0)
#define BAWN_SGX_ATTR_DEBUG (1ull << 1)
#define BAWN_SGX_ATTR_MODE64BIT (1ull << 2)
#define BAWN_SGX_ATTR_PROVISIONKEY (1ull << 4)
#define BAWN_SGX_ATTR_EINITTOKENKEY (1ull << 5)
#define BAWN_SGX_ATTR_CET (1ull << 6)
#define BAWN_SGX_ATTR_KSS (1ull << 7)
#define BAWN_SGX_ATTR_AEXNOTIFY (1ull << 10)

#define BAWN_TDX_RTMRS 4

/* TD report of TDX 1.0: [DCAP] A.3.2 (version 4), A.5.2 (version 5, type 2). */
struct bawn_td_report10 {
	__u8 tee_tcb_svn[16]; /* [0] module's ISVSVN, [1] module's major version, [2] microcode */
	__u8 mr_seam[48];
	__u8 mrsigner_seam[48];
	__u8 seam_attributes[8];
	__u8 td_attributes[8]; /* BAWN_TDX_ATTR_* */
	__u8 xfam[8];
	__u8 mr_td[48];
	__u8 mr_config_id[48];
	__u8 mr_owner[48];
	__u8 mr_owner_config[48];
	__u8 rtmr[BAWN_TDX_RTMRS][48];
	__u8 report_data[64];
};

/* TD report of TDX 1.5: [DCAP] A.5.3 (version 5, type 3). */
struct bawn_td_report15 {
	struct bawn_td_report10 base;
	__u8 tee_tcb_svn_2[16]; /* of the TDX module that runs now, if updated after TD launch */
	__u8 mr_service_td[48];
};

/* TD ATTRIBUTES: [TDX] 3.4.1. Bits 0 to 7 say that the TD is under debug (TUD): with any of
 * them set it has no secrets from the host. */
#define BAWN_TDX_ATTR_DEBUG (1ull << 0)
#define BAWN_TDX_ATTR_HGS_PLUS_PROF (1ull << 4)
#define BAWN_TDX_ATTR_PERF_PROF (1ull << 5)
#define BAWN_TDX_ATTR_PMT_PROF (1ull << 6)
#define BAWN_TDX_ATTR_TUD 0xffull
#define BAWN_TDX_ATTR_ICSSD (1ull << 16)
#define BAWN_TDX_ATTR_LASS (1ull << 27)
#define BAWN_TDX_ATTR_SEPT_VE_DISABLE (1ull << 28)
#define BAWN_TDX_ATTR_MIGRATABLE (1ull << 29)
#define BAWN_TDX_ATTR_PKS (1ull << 30)
#define BAWN_TDX_ATTR_KL (1ull << 31)
#define BAWN_TDX_ATTR_TPA (1ull << 62)
#define BAWN_TDX_ATTR_PERFMON (1ull << 63)
#define BAWN_TDX_ATTR_KNOWN                                                                 \
	(BAWN_TDX_ATTR_DEBUG | BAWN_TDX_ATTR_HGS_PLUS_PROF | BAWN_TDX_ATTR_PERF_PROF |        \
	 BAWN_TDX_ATTR_PMT_PROF | BAWN_TDX_ATTR_ICSSD | BAWN_TDX_ATTR_LASS |                  \
	 BAWN_TDX_ATTR_SEPT_VE_DISABLE | BAWN_TDX_ATTR_MIGRATABLE | BAWN_TDX_ATTR_PKS |       \
	 BAWN_TDX_ATTR_KL | BAWN_TDX_ATTR_TPA | BAWN_TDX_ATTR_PERFMON)

/* XFAM: the bits of XCR0 and IA32_XSS: [TDX] 3.4.2; SDM vol. 1, 13.1. */
#define BAWN_TDX_XFAM_X87 (1ull << 0)
#define BAWN_TDX_XFAM_SSE (1ull << 1)
#define BAWN_TDX_XFAM_AVX (1ull << 2)
#define BAWN_TDX_XFAM_AVX512 (7ull << 5)
#define BAWN_TDX_XFAM_PT (1ull << 8)
#define BAWN_TDX_XFAM_PKU (1ull << 9)
#define BAWN_TDX_XFAM_PASID (1ull << 10)
#define BAWN_TDX_XFAM_CET (3ull << 11)
#define BAWN_TDX_XFAM_UINTR (1ull << 14)
#define BAWN_TDX_XFAM_LBR (1ull << 15)
#define BAWN_TDX_XFAM_HWP (1ull << 16)
#define BAWN_TDX_XFAM_AMX (3ull << 17)
#define BAWN_TDX_XFAM_APX (1ull << 19)

/* ---- Signature data: [DCAP] A.3.3, A.4 ---- */

#define BAWN_QUOTE_ECDSA_P256_SIZE 64 /* r || s, and x || y: big-endian, 32 bytes each */

/* Certification data: [DCAP] A.3.9. */
#define BAWN_QUOTE_CERT_PPID_CLEAR 1
#define BAWN_QUOTE_CERT_PPID_RSA2048 2
#define BAWN_QUOTE_CERT_PPID_RSA3072 3
#define BAWN_QUOTE_CERT_PCK 4            /* PCK certificate alone */
#define BAWN_QUOTE_CERT_PCK_CHAIN 5      /* PEM: PCK certificate, its CA, the root */
#define BAWN_QUOTE_CERT_QE_REPORT 6      /* QE report, its signature, then one of 1 to 5 */
#define BAWN_QUOTE_CERT_PLATFORM_MANIFEST 7

/* ---- TDREPORT: [TDX] 3.9 ---- */

#define BAWN_TDREPORT_TYPE_TDX 0x81

struct bawn_tdreport_mac {
	__u8 type;    /* BAWN_TDREPORT_TYPE_TDX */
	__u8 subtype; /* 0 */
	__u8 version; /* 0: TDX 1.0; 1: with a service TD's hash */
	__u8 reserved1;
	__u8 reserved2[12];
	__u8 cpu_svn[16];
	__u8 tee_tcb_info_hash[48]; /* SHA-384 of struct bawn_tee_tcb_info */
	__u8 tee_info_hash[48];     /* SHA-384 of struct bawn_td_info */
	__u8 report_data[64];
	__u8 reserved3[32];
	__u8 mac[32]; /* HMAC-SHA-256 under a key of this processor */
};

struct bawn_tee_tcb_info {
	__u8 valid[8];
	__u8 tee_tcb_svn[16];
	__u8 mr_seam[48];
	__u8 mrsigner_seam[48];
	__u8 attributes[8];
	__u8 tee_tcb_svn_2[16];
	__u8 reserved[95];
};

struct bawn_td_info {
	__u8 td_attributes[8];
	__u8 xfam[8];
	__u8 mr_td[48];
	__u8 mr_config_id[48];
	__u8 mr_owner[48];
	__u8 mr_owner_config[48];
	__u8 rtmr[BAWN_TDX_RTMRS][48];
	__u8 servtd_hash[48];
	__u8 reserved[64];
};

struct bawn_tdreport {
	struct bawn_tdreport_mac mac;
	struct bawn_tee_tcb_info tcb;
	__u8 reserved[17];
	struct bawn_td_info td;
};

_Static_assert(sizeof(struct bawn_quote_header) == 48, "quote header");
_Static_assert(sizeof(struct bawn_quote_body_descriptor) == 6, "body descriptor");
_Static_assert(sizeof(struct bawn_enclave_report) == 384, "SGX report body");
_Static_assert(sizeof(struct bawn_td_report10) == 584, "TD report 1.0");
_Static_assert(sizeof(struct bawn_td_report15) == 648, "TD report 1.5");
_Static_assert(sizeof(struct bawn_tdreport_mac) == 256, "REPORTMACSTRUCT");
_Static_assert(sizeof(struct bawn_tee_tcb_info) == 239, "TEE_TCB_INFO");
_Static_assert(sizeof(struct bawn_td_info) == 512, "TDINFO_STRUCT");
_Static_assert(sizeof(struct bawn_tdreport) == 1024, "TDREPORT_STRUCT");

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Wire formats of AMD SEV-SNP: the attestation report, its TCB versions, signatures and keys,
 * the ID block of a launch, and the certificate table of an extended guest request. For those
 * who make them (the software platform, bawn-measure) and those who judge them. Everything is
 * little-endian, signatures and keys included. Sources: AMD 56860 rev 1.58 (SNP firmware ABI),
 * AMD 56421 rev 2.03 (GHCB).
 */
#ifndef BAWN_SNP_H
#define BAWN_SNP_H

#ifdef __KERNEL__
#include <linux/stddef.h>
#include <linux/types.h>
#else
#include <stddef.h>
#include <stdint.h>
#endif

/* ---- TCB_VERSION: one security patch level per byte (2.2) ---- */

#define BAWN_SNP_TCB_SIZE 8

/* Which byte is which. Before Turin (family 19h) bytes 2..5 are reserved, on Turin (family
 * 1Ah) bytes 4..6. */
enum bawn_snp_tcb_byte {
	BAWN_SNP_TCB_BOOT_LOADER = 0,
	BAWN_SNP_TCB_TEE = 1,
	BAWN_SNP_TCB_SNP = 6,
	BAWN_SNP_TCB_MICROCODE = 7,

	BAWN_SNP_TCB_TURIN_FMC = 0,
	BAWN_SNP_TCB_TURIN_BOOT_LOADER = 1,
	BAWN_SNP_TCB_TURIN_TEE = 2,
	BAWN_SNP_TCB_TURIN_SNP = 3,
	BAWN_SNP_TCB_TURIN_MICROCODE = 7,
};

/* ---- POLICY (4.3) ---- */

#define BAWN_SNP_POLICY_ABI_MINOR		0xffull
#define BAWN_SNP_POLICY_ABI_MAJOR		0xff00ull
#define BAWN_SNP_POLICY_ABI_MAJOR_SHIFT		8
#define BAWN_SNP_POLICY_SMT			(1ull << 16)
#define BAWN_SNP_POLICY_ONE			(1ull << 17) /* reserved, must be one */
#define BAWN_SNP_POLICY_MIGRATE_MA		(1ull << 18)
#define BAWN_SNP_POLICY_DEBUG			(1ull << 19)
#define BAWN_SNP_POLICY_SINGLE_SOCKET		(1ull << 20)
#define BAWN_SNP_POLICY_CXL_ALLOW		(1ull << 21)
#define BAWN_SNP_POLICY_MEM_AES_256_XTS		(1ull << 22)
#define BAWN_SNP_POLICY_RAPL_DIS		(1ull << 23)
#define BAWN_SNP_POLICY_CIPHERTEXT_HIDING_DRAM	(1ull << 24)
#define BAWN_SNP_POLICY_PAGE_SWAP_DISABLE	(1ull << 25)
#define BAWN_SNP_POLICY_RESERVED		(~0ull << 26) /* must be zero */

/* ---- PLATFORM_INFO (7.3) ---- */

#define BAWN_SNP_PLATFORM_SMT_EN			(1ull << 0)
#define BAWN_SNP_PLATFORM_TSME_EN			(1ull << 1)
#define BAWN_SNP_PLATFORM_ECC_EN			(1ull << 2)
#define BAWN_SNP_PLATFORM_RAPL_DIS			(1ull << 3)
#define BAWN_SNP_PLATFORM_CIPHERTEXT_HIDING_DRAM_EN	(1ull << 4)
#define BAWN_SNP_PLATFORM_ALIAS_CHECK_COMPLETE		(1ull << 5) /* since report version 3 */
#define BAWN_SNP_PLATFORM_IOMMU_WRITE_SAFE		(1ull << 6)
#define BAWN_SNP_PLATFORM_TIO_EN			(1ull << 7)
#define BAWN_SNP_PLATFORM_RESERVED			(~0ull << 8)

/* ---- Which key signed, and how the launch was identified (7.3) ---- */

#define BAWN_SNP_KEY_AUTHOR_KEY_EN	(1u << 0)
#define BAWN_SNP_KEY_MASK_CHIP_KEY	(1u << 1)
#define BAWN_SNP_KEY_SIGNING_KEY	(7u << 2)
#define BAWN_SNP_KEY_SIGNING_KEY_SHIFT	2
#define BAWN_SNP_KEY_RESERVED		(~0u << 5) /* must be zero */

enum bawn_snp_signing_key {
	BAWN_SNP_SIGNED_BY_VCEK = 0,
	BAWN_SNP_SIGNED_BY_VLEK = 1,
	BAWN_SNP_SIGNED_BY_NONE = 7,
};

/* VMPL of a report that the hypervisor asked for, not the guest. */
#define BAWN_SNP_VMPL_HOST 0xffffffffu
#define BAWN_SNP_VMPL_MAX  3u

/* ---- Signatures and public keys (chapter 10) ---- */

#define BAWN_SNP_ALGO_NONE		  0u
#define BAWN_SNP_ALGO_ECDSA_P384_SHA384 1u
#define BAWN_SNP_CURVE_P384		  2u

#define BAWN_SNP_NUMBER_SIZE 72 /* room for a number */
#define BAWN_SNP_P384_SIZE   48 /* what P-384 uses of it; the rest is zero */
#define BAWN_SNP_DIGEST_SIZE 48 /* SHA-384 */

struct bawn_snp_signature {
	uint8_t r[BAWN_SNP_NUMBER_SIZE];
	uint8_t s[BAWN_SNP_NUMBER_SIZE];
	uint8_t reserved[368];
};

struct bawn_snp_public_key {
	uint32_t curve;
	uint8_t qx[BAWN_SNP_NUMBER_SIZE];
	uint8_t qy[BAWN_SNP_NUMBER_SIZE];
	uint8_t reserved[880];
};

/* ---- ATTESTATION_REPORT (7.3) ---- */

#define BAWN_SNP_REPORT_SIZE   0x4a0
#define BAWN_SNP_REPORT_SIGNED 0x2a0 /* bytes before the signature */

/* Version 2: firmware before 1.56. Version 3 adds CPUID_*. Version 4 was shipped (firmware
 * 1.55.31) but never published; what is known of it is version 3's layout. Version 5 adds
 * *_MIT_VECTOR. What a version does not have is reserved, and zero. */
#define BAWN_SNP_REPORT_V2    2u
#define BAWN_SNP_REPORT_V3    3u
#define BAWN_SNP_REPORT_V4    4u
#define BAWN_SNP_REPORT_V5    5u

#define BAWN_SNP_CHIP_ID_SIZE	    64
#define BAWN_SNP_CHIP_ID_TURIN_SIZE 8 /* on Turin; zero bytes follow */

struct bawn_snp_report {
	uint32_t version;		/* 000 */
	uint32_t guest_svn;		/* 004 */
	uint64_t policy;		/* 008 */
	uint8_t family_id[16];		/* 010 */
	uint8_t image_id[16];		/* 020 */
	uint32_t vmpl;			/* 030 */
	uint32_t signature_algo;	/* 034 */
	uint8_t current_tcb[8];		/* 038 */
	uint64_t platform_info;		/* 040 */
	uint32_t key_info;		/* 048: BAWN_SNP_KEY_* */
	uint32_t reserved_4c;
	uint8_t report_data[64];	/* 050 */
	uint8_t measurement[48];	/* 090 */
	uint8_t host_data[32];		/* 0c0 */
	uint8_t id_key_digest[48];	/* 0e0 */
	uint8_t author_key_digest[48];	/* 110 */
	uint8_t report_id[32];		/* 140 */
	uint8_t report_id_ma[32];	/* 160 */
	uint8_t reported_tcb[8];	/* 180 */
	uint8_t cpuid_fam_id;		/* 188: version 3 */
	uint8_t cpuid_mod_id;		/* 189 */
	uint8_t cpuid_step;		/* 18a */
	uint8_t reserved_18b[21];
	uint8_t chip_id[64];		/* 1a0 */
	uint8_t committed_tcb[8];	/* 1e0 */
	uint8_t current_build;		/* 1e8 */
	uint8_t current_minor;		/* 1e9 */
	uint8_t current_major;		/* 1ea */
	uint8_t reserved_1eb;
	uint8_t committed_build;	/* 1ec */
	uint8_t committed_minor;	/* 1ed */
	uint8_t committed_major;	/* 1ee */
	uint8_t reserved_1ef;
	uint8_t launch_tcb[8];		/* 1f0 */
	uint64_t launch_mit_vector;	/* 1f8: version 5 */
	uint64_t current_mit_vector;	/* 200 */
	uint8_t reserved_208[152];
	struct bawn_snp_signature signature; /* 2a0 */
};

/* ---- ID block and ID authentication information (SNP_LAUNCH_FINISH) ---- */

#define BAWN_SNP_ID_BLOCK_SIZE	  96
#define BAWN_SNP_ID_AUTH_SIZE	  4096
#define BAWN_SNP_ID_BLOCK_VERSION 1u

struct bawn_snp_id_block {
	uint8_t launch_digest[48];	/* 00 */
	uint8_t family_id[16];		/* 30 */
	uint8_t image_id[16];		/* 40 */
	uint32_t version;		/* 50 */
	uint32_t guest_svn;		/* 54 */
	uint64_t policy;		/* 58 */
};

/* ID_KEY_DIGEST and AUTHOR_KEY_DIGEST of the report are SHA-384 of id_key and author_key as
 * they stand here. The author signs id_key. */
struct bawn_snp_id_auth {
	uint32_t id_key_algo;				/* 000 */
	uint32_t author_key_algo;			/* 004 */
	uint8_t reserved_008[56];
	struct bawn_snp_signature id_block_signature;	/* 040 */
	struct bawn_snp_public_key id_key;		/* 240 */
	uint8_t reserved_644[60];
	struct bawn_snp_signature id_key_signature;	/* 680 */
	struct bawn_snp_public_key author_key;		/* 880 */
	uint8_t reserved_c84[892];
};

/* ---- Certificate table (AMD 56421, 4.1.8.1) ---- */

#define BAWN_SNP_GUID_SIZE 16

/* Entries follow each other up to one that is all zero. The offset is from the table's start.
 * GUIDs stand in the order of their text, as RFC 4122 has it. */
struct bawn_snp_table_entry {
	uint8_t guid[BAWN_SNP_GUID_SIZE];
	uint32_t offset;
	uint32_t length;
};

/* 63da758d-e664-4564-adc5-f4b93be8accd */
#define BAWN_SNP_GUID_VCEK \
	{ 0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64, \
	  0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd }
/* a8074bc2-a25a-483e-aae6-39c045a0b8a1 */
#define BAWN_SNP_GUID_VLEK \
	{ 0xa8, 0x07, 0x4b, 0xc2, 0xa2, 0x5a, 0x48, 0x3e, \
	  0xaa, 0xe6, 0x39, 0xc0, 0x45, 0xa0, 0xb8, 0xa1 }
/* 4ab7b379-bbac-4fe4-a02f-05aef327c782: the ASK, or the ASVK of a VLEK */
#define BAWN_SNP_GUID_ASK \
	{ 0x4a, 0xb7, 0xb3, 0x79, 0xbb, 0xac, 0x4f, 0xe4, \
	  0xa0, 0x2f, 0x05, 0xae, 0xf3, 0x27, 0xc7, 0x82 }
/* c0b406a4-a803-4952-9743-3fb6014cd0ae */
#define BAWN_SNP_GUID_ARK \
	{ 0xc0, 0xb4, 0x06, 0xa4, 0xa8, 0x03, 0x49, 0x52, \
	  0x97, 0x43, 0x3f, 0xb6, 0x01, 0x4c, 0xd0, 0xae }
/* 92f81bc3-5811-4d3d-97ff-d19f88dc67ea */
#define BAWN_SNP_GUID_CRL \
	{ 0x92, 0xf8, 0x1b, 0xc3, 0x58, 0x11, 0x4d, 0x3d, \
	  0x97, 0xff, 0xd1, 0x9f, 0x88, 0xdc, 0x67, 0xea }

/* ---- The layouts, checked where they are used ---- */

#define BAWN_SNP_AT(type, field, offset) \
	_Static_assert(offsetof(struct type, field) == (offset), #type "." #field)

BAWN_SNP_AT(bawn_snp_report, vmpl, 0x30);
BAWN_SNP_AT(bawn_snp_report, report_data, 0x50);
BAWN_SNP_AT(bawn_snp_report, reported_tcb, 0x180);
BAWN_SNP_AT(bawn_snp_report, chip_id, 0x1a0);
BAWN_SNP_AT(bawn_snp_report, launch_tcb, 0x1f0);
BAWN_SNP_AT(bawn_snp_report, current_mit_vector, 0x200);
BAWN_SNP_AT(bawn_snp_report, signature, BAWN_SNP_REPORT_SIGNED);
BAWN_SNP_AT(bawn_snp_id_block, version, 0x50);
BAWN_SNP_AT(bawn_snp_id_auth, id_key, 0x240);
BAWN_SNP_AT(bawn_snp_id_auth, id_key_signature, 0x680);
BAWN_SNP_AT(bawn_snp_id_auth, author_key, 0x880);
_Static_assert(sizeof(struct bawn_snp_report) == BAWN_SNP_REPORT_SIZE, "report");
_Static_assert(sizeof(struct bawn_snp_id_block) == BAWN_SNP_ID_BLOCK_SIZE, "ID block");
_Static_assert(sizeof(struct bawn_snp_id_auth) == BAWN_SNP_ID_AUTH_SIZE, "ID authentication");
_Static_assert(sizeof(struct bawn_snp_table_entry) == 24, "certificate table entry");

#undef BAWN_SNP_AT

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What the SEV-SNP firmware of AMD's secure processor is asked and how it answers: commands,
 * their buffers, status codes, the pages of a launch, and guest messages. For those who ask
 * (kernel/snp, guest/shim) and for the model that answers (platform/firmware). Constants and
 * structures only; everything is little-endian. The report, the policy, the ID block and the
 * certificate table are in snp.h. Source, unless another is named: AMD 56860 rev 1.55 to 1.58
 * (SNP firmware ABI), whose sections are given.
 */
#ifndef BAWN_PSP_H
#define BAWN_PSP_H

#ifdef __KERNEL__
#include <linux/stddef.h>
#include <linux/types.h>
#else
#include <stddef.h>
#include <stdint.h>
#endif

#define BAWN_PSP_PACKED __attribute__((packed))
#define BAWN_PSP_PAGE_SIZE 4096u
#define BAWN_PSP_LARGE_PAGES 512u /* 4 KiB pages in one of 2 MiB */

/* ---- Commands (chapter 8) ---- */

enum bawn_psp_command {
	BAWN_PSP_SNP_INIT = 0x81,
	BAWN_PSP_SNP_SHUTDOWN = 0x82,
	BAWN_PSP_SNP_PLATFORM_STATUS = 0x83,
	BAWN_PSP_SNP_DF_FLUSH = 0x84,
	BAWN_PSP_SNP_INIT_EX = 0x85,
	BAWN_PSP_SNP_SHUTDOWN_EX = 0x86,
	BAWN_PSP_SNP_DECOMMISSION = 0x90,
	BAWN_PSP_SNP_ACTIVATE = 0x91,
	BAWN_PSP_SNP_GUEST_STATUS = 0x92,
	BAWN_PSP_SNP_GCTX_CREATE = 0x93,
	BAWN_PSP_SNP_GUEST_REQUEST = 0x94,
	BAWN_PSP_SNP_LAUNCH_START = 0xa0,
	BAWN_PSP_SNP_LAUNCH_UPDATE = 0xa1,
	BAWN_PSP_SNP_LAUNCH_FINISH = 0xa2,
	BAWN_PSP_SNP_PAGE_RECLAIM = 0xc7,
	BAWN_PSP_SNP_PAGE_UNSMASH = 0xc8,
	BAWN_PSP_SNP_CONFIG = 0xc9,
	BAWN_PSP_SNP_COMMIT = 0xcb,
	BAWN_PSP_SNP_VLEK_LOAD = 0xcd,
};

/* ---- Status codes (chapter 6) ---- */

enum bawn_psp_status {
	BAWN_PSP_SUCCESS = 0x00,
	BAWN_PSP_INVALID_PLATFORM_STATE = 0x01,
	BAWN_PSP_INVALID_GUEST_STATE = 0x02,
	BAWN_PSP_INVALID_CONFIG = 0x03,
	BAWN_PSP_INVALID_LENGTH = 0x04,
	BAWN_PSP_ALREADY_OWNED = 0x05,
	BAWN_PSP_INVALID_CERTIFICATE = 0x06,
	BAWN_PSP_POLICY_FAILURE = 0x07,
	BAWN_PSP_INACTIVE = 0x08,
	BAWN_PSP_INVALID_ADDRESS = 0x09,
	BAWN_PSP_BAD_SIGNATURE = 0x0a,
	BAWN_PSP_BAD_MEASUREMENT = 0x0b,
	BAWN_PSP_ASID_OWNED = 0x0c,
	BAWN_PSP_INVALID_ASID = 0x0d,
	BAWN_PSP_WBINVD_REQUIRED = 0x0e,
	BAWN_PSP_DFFLUSH_REQUIRED = 0x0f,
	BAWN_PSP_INVALID_GUEST = 0x10,
	BAWN_PSP_INVALID_COMMAND = 0x11,
	BAWN_PSP_ACTIVE = 0x12,
	BAWN_PSP_HWERROR_PLATFORM = 0x13,
	BAWN_PSP_HWERROR_UNSAFE = 0x14,
	BAWN_PSP_UNSUPPORTED = 0x15,
	BAWN_PSP_INVALID_PARAM = 0x16,
	BAWN_PSP_RESOURCE_LIMIT = 0x17,
	BAWN_PSP_SECURE_DATA_INVALID = 0x18,
	BAWN_PSP_INVALID_PAGE_SIZE = 0x19,
	BAWN_PSP_INVALID_PAGE_STATE = 0x1a,
	BAWN_PSP_INVALID_MDATA_ENTRY = 0x1b,
	BAWN_PSP_INVALID_PAGE_OWNER = 0x1c,
	BAWN_PSP_AEAD_OFLOW = 0x1d,
	BAWN_PSP_RMP_INIT_REQUIRED = 0x20,
	BAWN_PSP_BAD_SVN = 0x21,
	BAWN_PSP_BAD_VERSION = 0x22,
	BAWN_PSP_SHUTDOWN_REQUIRED = 0x23,
	BAWN_PSP_UPDATE_FAILED = 0x24,
	BAWN_PSP_RESTORE_REQUIRED = 0x25,
	BAWN_PSP_RMP_INITIALIZATION_FAILED = 0x26,
	BAWN_PSP_INVALID_KEY = 0x27,
};

/* ---- States (chapters 4 and 5) ---- */

enum bawn_psp_platform_state {
	BAWN_PSP_PLATFORM_UNINIT = 0,
	BAWN_PSP_PLATFORM_INIT = 1,
};

enum bawn_psp_guest_state {
	BAWN_PSP_GUEST_INIT = 0,
	BAWN_PSP_GUEST_LAUNCH = 1,
	BAWN_PSP_GUEST_RUNNING = 2,
};

/* ---- Command buffers (chapter 8) ---- */

/* An address of a page; what its low bits mean stands beside the field. DECOMMISSION and
 * GCTX_CREATE name the guest context page, PLATFORM_STATUS the page that the status goes to. */
struct bawn_psp_addr {
	uint64_t paddr;
} BAWN_PSP_PACKED;

struct bawn_psp_init_ex {
	uint32_t flags;		/* BAWN_PSP_INIT_EX_* */
	uint32_t reserved_04;
	uint64_t list_paddr;	/* ranges of pages that go to the hypervisor-fixed state */
	uint8_t reserved_10[48];
} BAWN_PSP_PACKED;

#define BAWN_PSP_INIT_EX_INIT_RMP	(1u << 0)
#define BAWN_PSP_INIT_EX_LIST_PADDR_EN	(1u << 1)
#define BAWN_PSP_INIT_EX_RESERVED	(~0u << 2)

struct bawn_psp_shutdown_ex {
	uint32_t length;	/* of this buffer */
	uint32_t flags;		/* BAWN_PSP_SHUTDOWN_EX_* */
} BAWN_PSP_PACKED;

#define BAWN_PSP_SHUTDOWN_EX_IOMMU	(1u << 0)
#define BAWN_PSP_SHUTDOWN_EX_RESERVED	(~0u << 1)

/* What PLATFORM_STATUS writes at its address. */
struct bawn_psp_platform_status {
	uint8_t api_major;
	uint8_t api_minor;
	uint8_t state;		/* enum bawn_psp_platform_state */
	uint8_t is_rmp_init;	/* bit 0 */
	uint32_t build_id;
	uint32_t flags;		/* BAWN_PSP_STATUS_* */
	uint32_t guest_count;
	uint64_t current_tcb;
	uint64_t reported_tcb;
} BAWN_PSP_PACKED;

#define BAWN_PSP_STATUS_MASK_CHIP_ID	(1u << 0)
#define BAWN_PSP_STATUS_MASK_CHIP_KEY	(1u << 1)
#define BAWN_PSP_STATUS_VLEK_EN		(1u << 2)

struct bawn_psp_activate {
	uint64_t gctx_paddr;
	uint32_t asid;
} BAWN_PSP_PACKED;

struct bawn_psp_guest_status_cmd {
	uint64_t gctx_paddr;
	uint64_t status_paddr;
} BAWN_PSP_PACKED;

/* What GUEST_STATUS writes at its address. */
struct bawn_psp_guest_status {
	uint64_t policy;
	uint32_t asid;
	uint8_t state; /* enum bawn_psp_guest_state */
	uint8_t reserved_0d[3];
	uint8_t vcek_dis; /* bit 0 */
	uint8_t reserved_11[15];
} BAWN_PSP_PACKED;

struct bawn_psp_launch_start {
	uint64_t gctx_paddr;
	uint64_t policy;	/* BAWN_SNP_POLICY_* */
	uint64_t ma_gctx_paddr;	/* of a migration agent */
	uint32_t flags;		/* BAWN_PSP_LAUNCH_* */
	uint32_t desired_tsc_khz;
	uint8_t gosvw[16];
} BAWN_PSP_PACKED;

#define BAWN_PSP_LAUNCH_MA_EN		(1u << 0)
#define BAWN_PSP_LAUNCH_IMI_EN		(1u << 1)
#define BAWN_PSP_LAUNCH_RESERVED	(~0u << 2)

struct bawn_psp_launch_update {
	uint64_t gctx_paddr;
	uint32_t page;		/* BAWN_PSP_PAGE_* */
	uint32_t reserved_0c;
	uint64_t page_paddr;
	uint8_t reserved_18;
	uint8_t vmpl1_perms;
	uint8_t vmpl2_perms;
	uint8_t vmpl3_perms;
	uint32_t reserved_1c;
} BAWN_PSP_PACKED;

#define BAWN_PSP_PAGE_LARGE		(1u << 0) /* 2 MiB */
#define BAWN_PSP_PAGE_TYPE		(7u << 1)
#define BAWN_PSP_PAGE_TYPE_SHIFT	1
#define BAWN_PSP_PAGE_IMI		(1u << 4)
#define BAWN_PSP_PAGE_RESERVED		(~0u << 5)

enum bawn_psp_page_type {
	BAWN_PSP_PAGE_NORMAL = 1,
	BAWN_PSP_PAGE_VMSA = 2,
	BAWN_PSP_PAGE_ZERO = 3,
	BAWN_PSP_PAGE_UNMEASURED = 4,
	BAWN_PSP_PAGE_SECRETS = 5,
	BAWN_PSP_PAGE_CPUID = 6,
};

/* Permissions of a VMPL. */
#define BAWN_PSP_PERM_READ		(1u << 0)
#define BAWN_PSP_PERM_WRITE		(1u << 1)
#define BAWN_PSP_PERM_EXECUTE_USER	(1u << 2)
#define BAWN_PSP_PERM_EXECUTE_KERNEL	(1u << 3)
#define BAWN_PSP_PERM_SSS		(1u << 4) /* supervisor shadow stack */
#define BAWN_PSP_PERM_RESERVED		0xe0u

struct bawn_psp_launch_finish {
	uint64_t gctx_paddr;
	uint64_t id_block_paddr; /* struct bawn_snp_id_block */
	uint64_t id_auth_paddr;	 /* struct bawn_snp_id_auth */
	uint64_t flags;		 /* BAWN_PSP_FINISH_* */
	uint8_t host_data[32];
} BAWN_PSP_PACKED;

#define BAWN_PSP_FINISH_ID_BLOCK_EN	(1ull << 0)
#define BAWN_PSP_FINISH_AUTH_KEY_EN	(1ull << 1)
#define BAWN_PSP_FINISH_VCEK_DIS	(1ull << 2)
#define BAWN_PSP_FINISH_RESERVED	(~0ull << 3)

struct bawn_psp_guest_request {
	uint64_t gctx_paddr;
	uint64_t request_paddr;	 /* struct bawn_psp_msg_header and payload */
	uint64_t response_paddr; /* the same */
} BAWN_PSP_PACKED;

/* PAGE_RECLAIM, PAGE_UNSMASH: bit 0 of the address says that the page is one of 2 MiB. */
#define BAWN_PSP_ADDR_LARGE 1ull

struct bawn_psp_config {
	uint64_t reported_tcb;	/* 0: the current one */
	uint32_t flags;		/* BAWN_PSP_CONFIG_* */
	uint8_t reserved_0c[52];
} BAWN_PSP_PACKED;

#define BAWN_PSP_CONFIG_MASK_CHIP_ID	(1u << 0)
#define BAWN_PSP_CONFIG_MASK_CHIP_KEY	(1u << 1)
#define BAWN_PSP_CONFIG_RESERVED	(~0u << 2)

struct bawn_psp_commit {
	uint32_t length; /* of this buffer */
} BAWN_PSP_PACKED;

struct bawn_psp_vlek_load {
	uint32_t length; /* of this buffer */
	uint8_t wrapped_version;
	uint8_t reserved_05[3];
	uint64_t wrapped_paddr;
} BAWN_PSP_PACKED;

/* ---- PAGE_INFO: SHA-384 of it is the next launch digest (8.17.2) ---- */

struct bawn_psp_page_info {
	uint8_t digest_cur[48];
	uint8_t contents[48]; /* SHA-384 of the page; zero where it is not measured */
	uint16_t length;      /* of this structure */
	uint8_t page_type;    /* enum bawn_psp_page_type */
	uint8_t imi_page;     /* bit 0 */
	uint8_t vmpl3_perms;
	uint8_t vmpl2_perms;
	uint8_t vmpl1_perms;
	uint8_t reserved_67;
	uint64_t gpa;
} BAWN_PSP_PACKED;

/* Where the RMP has the VMSAs of a launch: the last page that an address of 48 bits has. */
#define BAWN_PSP_VMSA_GPA 0xfffffffff000ull

/* ---- CPUID function page (8.17.2.6) ---- */

#define BAWN_PSP_CPUID_MAX 64u

struct bawn_psp_cpuid_function {
	uint32_t eax_in;
	uint32_t ecx_in;
	uint64_t xcr0_in; /* of leaf 0xd, where EBX depends on it */
	uint64_t xss_in;
	uint32_t eax;
	uint32_t ebx;
	uint32_t ecx;
	uint32_t edx;
	uint64_t reserved;
} BAWN_PSP_PACKED;

struct bawn_psp_cpuid_page {
	uint32_t count;
	uint32_t reserved_04;
	uint64_t reserved_08;
	struct bawn_psp_cpuid_function function[BAWN_PSP_CPUID_MAX];
	uint8_t rest[1008];
} BAWN_PSP_PACKED;

/* ---- Secrets page (8.17.2.5) ---- */

#define BAWN_PSP_SECRETS_VERSION 3u
#define BAWN_PSP_VMPCK_SIZE	 32u
#define BAWN_PSP_VMPCKS		 4u

struct bawn_psp_secrets {
	uint32_t version;
	uint32_t flags; /* bit 0: IMI_EN */
	uint32_t fms;	/* CPUID Fn0000_0001_EAX */
	uint32_t reserved_00c;
	uint8_t gosvw[16];
	uint8_t vmpck[BAWN_PSP_VMPCKS][BAWN_PSP_VMPCK_SIZE]; /* 020 */
	uint8_t guest_reserved[96];			      /* 0a0: the guest's own */
	uint8_t vmsa_tweak_bitmap[64];			      /* 100 */
	uint8_t guest_reserved_140[32];			      /* 140: an SVSM's */
	uint32_t tsc_factor;				      /* 160: hundredths of a percent */
	uint8_t reserved_164[4];
	uint64_t launch_mit_vector; /* 168 */
	uint8_t reserved_170[3728];
} BAWN_PSP_PACKED;

/* ---- Guest messages (7.1, 8.26) ---- */

#define BAWN_PSP_MSG_MAX	     4000u /* bytes of a payload */
#define BAWN_PSP_MSG_HEADER_VERSION  1u
#define BAWN_PSP_MSG_ALGO_AES256_GCM 1u
#define BAWN_PSP_MSG_TAG_SIZE	     16u
#define BAWN_PSP_MSG_IV_SIZE	     12u /* the sequence number, and zero */

/* The authenticated data is the header from algo to its end. */
struct bawn_psp_msg_header {
	uint8_t authtag[32]; /* the last 16 are zero */
	uint64_t seqno;	     /* 20 */
	uint64_t reserved_28;
	uint8_t algo;	     /* 30 */
	uint8_t header_version;
	uint16_t header_size;
	uint8_t type; /* enum bawn_psp_msg_type */
	uint8_t version;
	uint16_t size; /* of the payload */
	uint32_t reserved_38;
	uint8_t vmpck; /* 3c: which one, 0 to 3 */
	uint8_t reserved_3d[35];
} BAWN_PSP_PACKED;

#define BAWN_PSP_MSG_AAD 0x30

enum bawn_psp_msg_type {
	BAWN_PSP_MSG_CPUID_REQ = 1,
	BAWN_PSP_MSG_CPUID_RSP = 2,
	BAWN_PSP_MSG_KEY_REQ = 3,
	BAWN_PSP_MSG_KEY_RSP = 4,
	BAWN_PSP_MSG_REPORT_REQ = 5,
	BAWN_PSP_MSG_REPORT_RSP = 6,
	BAWN_PSP_MSG_EXPORT_REQ = 7,
	BAWN_PSP_MSG_IMPORT_REQ = 9,
	BAWN_PSP_MSG_ABSORB_REQ = 11,
	BAWN_PSP_MSG_VMRK_REQ = 13,
	BAWN_PSP_MSG_ABSORB_NOMA_REQ = 15,
	BAWN_PSP_MSG_TSC_INFO_REQ = 17,
	BAWN_PSP_MSG_TSC_INFO_RSP = 18,
};

/* 7.3 */
struct bawn_psp_report_req {
	uint8_t report_data[64];
	uint32_t vmpl;
	uint32_t key_sel; /* BAWN_PSP_KEY_SEL_*, in bits 1:0 */
	uint8_t reserved[24];
} BAWN_PSP_PACKED;

#define BAWN_PSP_KEY_SEL_MASK  3u
#define BAWN_PSP_KEY_SEL_ANY   0u /* the VLEK when one is loaded, else the VCEK */
#define BAWN_PSP_KEY_SEL_VCEK  1u
#define BAWN_PSP_KEY_SEL_VLEK  2u

struct bawn_psp_report_rsp {
	uint32_t status;
	uint32_t report_size;
	uint8_t reserved[24];
	/* struct bawn_snp_report follows */
} BAWN_PSP_PACKED;

/* 7.2. Version 1 ends before launch_mit_vector. */
struct bawn_psp_key_req {
	uint32_t key_sel; /* bit 0: the VMRK is the root; bits 2:1: BAWN_PSP_KEY_SEL_* */
	uint32_t reserved;
	uint64_t field_sel; /* BAWN_PSP_MIX_* */
	uint32_t vmpl;
	uint32_t guest_svn;
	uint64_t tcb_version;
	uint64_t launch_mit_vector;
} BAWN_PSP_PACKED;

#define BAWN_PSP_KEY_REQ_V1_SIZE 32u
#define BAWN_PSP_KEY_REQ_V2_SIZE 40u
#define BAWN_PSP_KEY_ROOT_VMRK	 (1u << 0)
#define BAWN_PSP_KEY_SEL_SHIFT	 1
#define BAWN_PSP_KEY_RESERVED	 (~0u << 3)

#define BAWN_PSP_MIX_POLICY	 (1ull << 0)
#define BAWN_PSP_MIX_IMAGE_ID	 (1ull << 1)
#define BAWN_PSP_MIX_FAMILY_ID	 (1ull << 2)
#define BAWN_PSP_MIX_MEASUREMENT (1ull << 3)
#define BAWN_PSP_MIX_GUEST_SVN	 (1ull << 4)
#define BAWN_PSP_MIX_TCB	 (1ull << 5)
#define BAWN_PSP_MIX_MIT_VECTOR	 (1ull << 6) /* version 2 */

struct bawn_psp_key_rsp {
	uint32_t status;
	uint8_t reserved[28];
	uint8_t key[32];
} BAWN_PSP_PACKED;

/* 7.9 */
struct bawn_psp_tsc_info_req {
	uint8_t reserved[128];
} BAWN_PSP_PACKED;

struct bawn_psp_tsc_info_rsp {
	uint32_t status;
	uint32_t reserved_04;
	uint64_t tsc_scale;
	uint64_t tsc_offset;
	uint32_t tsc_factor;
	uint8_t reserved_1c[100];
} BAWN_PSP_PACKED;

/* 7.1: checks a table as the CPUID page is checked. */
struct bawn_psp_cpuid_req {
	uint32_t count;
	uint32_t reserved_04;
	uint64_t reserved_08;
	/* struct bawn_psp_cpuid_function [count] */
} BAWN_PSP_PACKED;

struct bawn_psp_cpuid_rsp {
	uint32_t status;
	uint32_t count;
	uint64_t reserved_08;
	/* struct bawn_psp_cpuid_function [count] */
} BAWN_PSP_PACKED;

/* ---- The layouts, checked where they are used ---- */

#define BAWN_PSP_IS(type, size) _Static_assert(sizeof(struct type) == (size), #type)
#define BAWN_PSP_AT(type, field, offset) \
	_Static_assert(offsetof(struct type, field) == (offset), #type "." #field)

BAWN_PSP_IS(bawn_psp_addr, 8);
BAWN_PSP_IS(bawn_psp_init_ex, 64);
BAWN_PSP_IS(bawn_psp_shutdown_ex, 8);
BAWN_PSP_IS(bawn_psp_platform_status, 32);
BAWN_PSP_IS(bawn_psp_activate, 12);
BAWN_PSP_IS(bawn_psp_guest_status_cmd, 16);
BAWN_PSP_IS(bawn_psp_guest_status, 32);
BAWN_PSP_IS(bawn_psp_launch_start, 48);
BAWN_PSP_IS(bawn_psp_launch_update, 32);
BAWN_PSP_IS(bawn_psp_launch_finish, 64);
BAWN_PSP_IS(bawn_psp_guest_request, 24);
BAWN_PSP_IS(bawn_psp_config, 64);
BAWN_PSP_IS(bawn_psp_commit, 4);
BAWN_PSP_IS(bawn_psp_vlek_load, 16);
BAWN_PSP_IS(bawn_psp_page_info, 0x70);
BAWN_PSP_IS(bawn_psp_cpuid_function, 48);
BAWN_PSP_IS(bawn_psp_cpuid_page, 4096);
BAWN_PSP_IS(bawn_psp_secrets, 4096);
BAWN_PSP_IS(bawn_psp_msg_header, 0x60);
BAWN_PSP_IS(bawn_psp_report_req, 96);
BAWN_PSP_IS(bawn_psp_report_rsp, 32);
BAWN_PSP_IS(bawn_psp_key_req, BAWN_PSP_KEY_REQ_V2_SIZE);
BAWN_PSP_IS(bawn_psp_key_rsp, 64);
BAWN_PSP_IS(bawn_psp_tsc_info_rsp, 128);
BAWN_PSP_AT(bawn_psp_secrets, vmpck, 0x20);
BAWN_PSP_AT(bawn_psp_secrets, guest_reserved, 0xa0);
BAWN_PSP_AT(bawn_psp_secrets, tsc_factor, 0x160);
BAWN_PSP_AT(bawn_psp_page_info, page_type, 0x62);
BAWN_PSP_AT(bawn_psp_page_info, gpa, 0x68);
BAWN_PSP_AT(bawn_psp_msg_header, seqno, 0x20);
BAWN_PSP_AT(bawn_psp_msg_header, algo, BAWN_PSP_MSG_AAD);
BAWN_PSP_AT(bawn_psp_msg_header, vmpck, 0x3c);

#undef BAWN_PSP_IS
#undef BAWN_PSP_AT

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What OVMF tells the VMM that launches it: the GUIDed table before the reset vector, and the
 * lists of sections that it leads to. edk2, OvmfPkg/ResetVector/Ia16/ResetVectorVtf0.asm,
 * X64/OvmfSevMetadata.asm, X64/IntelTdxMetadata.asm; Intel 344991, TDX Virtual Firmware Design
 * Guide, chapter 11. All integers are little-endian.
 *
 * The table ends 32 bytes before the image's end and is read backwards: each entry is its data,
 * a 16-bit length of the whole entry, and its GUID. The last entry, the footer, holds the length
 * of the table with the footer in it and no data.
 */
#ifndef BAWN_OVMF_H
#define BAWN_OVMF_H

#define BAWN_OVMF_TABLE_END 32  /* from the image's end */
#define BAWN_OVMF_ENTRY_TAIL 18 /* length and GUID */

/* GUIDs as they stand in memory. */
/* 96b582de-1fb2-45f7-baea-a366c55a082d: the footer */
#define BAWN_OVMF_FOOTER_GUID                                                                      \
	{                                                                                          \
		0xde, 0x82, 0xb5, 0x96, 0xb2, 0x1f, 0xf7, 0x45, 0xba, 0xea, 0xa3, 0x66, 0xc5,      \
			0x5a, 0x08, 0x2d                                                           \
	}
/* 7255371f-3a3b-4b04-927b-1da6efa8d454: u32 address, u32 size of the table of kernel hashes;
 * 0, 0 where the firmware does not check them */
#define BAWN_OVMF_HASH_TABLE_GUID                                                                  \
	{                                                                                          \
		0x1f, 0x37, 0x55, 0x72, 0x3b, 0x3a, 0x04, 0x4b, 0x92, 0x7b, 0x1d, 0xa6, 0xef,      \
			0xa8, 0xd4, 0x54                                                           \
	}
/* 00f771de-1a7e-4fcb-890e-68c77e2fb44e: u32 address at which an SEV-ES AP starts */
#define BAWN_OVMF_SEV_ES_RESET_GUID                                                                \
	{                                                                                          \
		0xde, 0x71, 0xf7, 0x00, 0x7e, 0x1a, 0xcb, 0x4f, 0x89, 0x0e, 0x68, 0xc7, 0x7e,      \
			0x2f, 0xb4, 0x4e                                                           \
	}
/* dc886566-984a-4798-a75e-5585a7bf67cc: u32 offset of the SEV metadata from the image's end */
#define BAWN_OVMF_SEV_METADATA_GUID                                                                \
	{                                                                                          \
		0x66, 0x65, 0x88, 0xdc, 0x4a, 0x98, 0x98, 0x47, 0xa7, 0x5e, 0x55, 0x85, 0xa7,      \
			0xbf, 0x67, 0xcc                                                           \
	}
/* e47a6535-984a-4798-865e-4685a7bf8ec2: u32 offset of the TDVF descriptor from the image's end */
#define BAWN_OVMF_TDX_METADATA_GUID                                                                \
	{                                                                                          \
		0x35, 0x65, 0x7a, 0xe4, 0x4a, 0x98, 0x98, 0x47, 0x86, 0x5e, 0x46, 0x85, 0xa7,      \
			0xbf, 0x8e, 0xc2                                                           \
	}

/* SEV metadata: signature, u32 length, u32 version, u32 number; then per section u32 address,
 * u32 size, u32 type. */
#define BAWN_SEV_METADATA_SIGNATURE "ASEV"
#define BAWN_SEV_METADATA_VERSION 1
#define BAWN_SEV_METADATA_HEADER 16
#define BAWN_SEV_METADATA_SECTION 12

enum bawn_sev_section {
	BAWN_SEV_SECTION_SEC_MEM = 0x1,       /* zero pages */
	BAWN_SEV_SECTION_SECRETS = 0x2,       /* the secrets page */
	BAWN_SEV_SECTION_CPUID = 0x3,         /* the CPUID page */
	BAWN_SEV_SECTION_SVSM_CAA = 0x4,      /* an SVSM's calling area; zero */
	BAWN_SEV_SECTION_KERNEL_HASHES = 0x10 /* holds the table of kernel hashes, else zero */
};

/* The TDVF descriptor: signature, u32 length, u32 version, u32 number; then per section u32
 * offset and u32 size in the image, u64 address, u64 size in memory, u32 type, u32 attributes. */
#define BAWN_TDVF_SIGNATURE "TDVF"
#define BAWN_TDVF_VERSION 1
#define BAWN_TDVF_HEADER 16
#define BAWN_TDVF_SECTION 32

enum bawn_tdvf_section {
	BAWN_TDVF_BFV = 0,       /* boot firmware volume: code */
	BAWN_TDVF_CFV = 1,       /* configuration firmware volume: variables */
	BAWN_TDVF_TD_HOB = 2,    /* the VMM's description of memory */
	BAWN_TDVF_TEMP_MEM = 3,  /* stack and heap */
	BAWN_TDVF_PERM_MEM = 4,  /* added after the start */
	BAWN_TDVF_PAYLOAD = 5,   /* a kernel */
	BAWN_TDVF_PAYLOAD_PARAM = 6,
	BAWN_TDVF_TD_INFO = 7,
	BAWN_TDVF_TD_PARAMS = 8,
	BAWN_TDVF_TYPES
};

#define BAWN_TDVF_MR_EXTEND (1u << 0) /* the contents are measured */
#define BAWN_TDVF_PAGE_AUG (1u << 1)  /* not added before the start */

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The virtual machine save area: the state of an SEV-ES or SEV-SNP vCPU, one encrypted page,
 * measured at launch. AMD APM vol. 2, appendix B, table B-4. Little-endian, no padding.
 */
#ifndef BAWN_VMSA_H
#define BAWN_VMSA_H

#include <linux/types.h>

#define BAWN_VMSA_SIZE 4096
#define BAWN_XSAVE_YMM 576 /* XSAVE's standard format: where the upper halves of YMM are */

/* SEV_FEATURES, offset 0x3b0. APM vol. 2, 15.36 and table B-4. */
#define BAWN_SEV_SNP_ACTIVE (1ull << 0)
#define BAWN_SEV_VTOM (1ull << 1)
#define BAWN_SEV_REFLECT_VC (1ull << 2)
#define BAWN_SEV_RESTRICTED_INJECTION (1ull << 3)
#define BAWN_SEV_ALTERNATE_INJECTION (1ull << 4)
#define BAWN_SEV_DEBUG_SWAP (1ull << 5)
#define BAWN_SEV_PREVENT_HOST_IBS (1ull << 6)
#define BAWN_SEV_BTB_ISOLATION (1ull << 7)
#define BAWN_SEV_VMPL_SSS (1ull << 8)
#define BAWN_SEV_SECURE_TSC (1ull << 9)
#define BAWN_SEV_VMGEXIT_PARAMETER (1ull << 10)
#define BAWN_SEV_IBS_VIRTUALIZATION (1ull << 12)
#define BAWN_SEV_VMSA_REG_PROT (1ull << 14)
#define BAWN_SEV_SMT_PROTECTION (1ull << 15)

struct bawn_vmsa_segment {
	__le16 selector;
	__le16 attrib;
	__le32 limit;
	__le64 base;
};

struct bawn_vmsa {
	struct bawn_vmsa_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr; /* 0x000 */
	__le64 pl_ssp[4];                                                      /* 0x0a0 */
	__le64 u_cet;
	__u8 reserved_0c8[2];
	__u8 vmpl;
	__u8 cpl;
	__u8 reserved_0cc[4];
	__le64 efer; /* 0x0d0 */
	__u8 reserved_0d8[104];
	__le64 xss; /* 0x140 */
	__le64 cr4;
	__le64 cr3;
	__le64 cr0;
	__le64 dr7; /* 0x160 */
	__le64 dr6;
	__le64 rflags;
	__le64 rip;
	__le64 dr[4];           /* 0x180 */
	__le64 dr_addr_mask[4]; /* 0x1a0 */
	__u8 reserved_1c0[24];
	__le64 rsp; /* 0x1d8 */
	__le64 s_cet;
	__le64 ssp;
	__le64 isst_addr;
	__le64 rax; /* 0x1f8 */
	__le64 star;
	__le64 lstar;
	__le64 cstar;
	__le64 sfmask;
	__le64 kernel_gs_base; /* 0x220 */
	__le64 sysenter_cs;
	__le64 sysenter_esp;
	__le64 sysenter_eip;
	__le64 cr2; /* 0x240 */
	__u8 reserved_248[32];
	__le64 g_pat; /* 0x268 */
	__le64 dbgctl;
	__le64 br_from;
	__le64 br_to;
	__le64 last_excp_from;
	__le64 last_excp_to; /* 0x290 */
	__u8 reserved_298[80];
	__le32 pkru; /* 0x2e8 */
	__le32 tsc_aux;
	__le64 tsc_scale;
	__le64 tsc_offset;
	__le64 reg_prot_nonce; /* 0x300 */
	__le64 rcx;
	__le64 rdx;
	__le64 rbx;
	__u8 reserved_320[8];
	__le64 rbp;
	__le64 rsi;
	__le64 rdi;
	__le64 r8_to_r15[8]; /* 0x340 */
	__u8 reserved_380[16];
	__le64 exit_info_1; /* 0x390 */
	__le64 exit_info_2;
	__le64 exit_int_info;
	__le64 next_rip;
	__le64 sev_features; /* 0x3b0 */
	__le64 vintr_ctrl;
	__le64 exit_code;
	__le64 virtual_tom;
	__le64 tlb_id; /* 0x3d0 */
	__le64 pcpu_id;
	__le64 event_inj;
	__le64 xcr0; /* 0x3e8 */
	__u8 reserved_3f0[16];
	__le64 x87_dp; /* 0x400 */
	__le32 mxcsr;
	__le16 x87_ftw; /* as FXSAVE has it: a bit for each register that is in use */
	__le16 x87_fsw;
	__le16 x87_fcw; /* 0x410 */
	__le16 x87_fop;
	__le16 x87_ds;
	__le16 x87_cs;
	__le64 x87_rip;
	/* The manual has these 80 bytes as one field. Processors, and so KVM, have them like this. */
	__le64 x87_significand[8]; /* 0x420 */
	__le16 x87_sign_exponent[8]; /* 0x460 */
	__u8 xmm[256];
	__u8 ymm_high[256];
	__u8 rest[2448]; /* 0x670: branch records and IBS state where the processor has them, else 0 */
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shim's work area, page by page: zeroed and validated at launch. Guard pages are not
 * mapped. From SHIM_KEEP on Linux still reads it; all before is wiped when the shim leaves.
 */
#ifndef SHIM_LAYOUT_H
#define SHIM_LAYOUT_H

#include "bawn/shim.h"

#define SHIM_PAGE 4096

#define SHIM_VARS BAWN_SHIM_WORK /* __stack_chk_guard is its first word */
#define SHIM_GHCB 0x24000
/* 0x25000: guard */
#define SHIM_STACK 0x26000
#define SHIM_STACK_TOP 0x2c000
/* 0x2c000: guard */
#define SHIM_FAULT_STACK 0x2d000
#define SHIM_FAULT_STACK_TOP 0x2e000
/* 0x2e000: guard */
#define SHIM_TABLES 0x2f000 /* the shim's page tables */
#define SHIM_TABLES_END 0x37000
/* 0x37000: not used */
#define SHIM_KEEP 0x38000
#define SHIM_LINUX_TABLES 0x38000 /* those that Linux starts on; before, the first ones */
#define SHIM_LINUX_TABLES_END 0x3e000

/* Selectors. Linux's boot protocol fixes the first two. */
#define SHIM_CS 0x10
#define SHIM_DS 0x18
#define SHIM_TR 0x20

#define SHIM_MSR_EFER 0xc0000080
#define SHIM_MSR_GHCB 0xc0010130
#define SHIM_MSR_SEV_STATUS 0xc0010131

/* The CPUID page (AMD 56860, 8.17.2.6): a count, then entries. */
#define SHIM_CPUID_MAX 64
#define SHIM_CPUID_FIRST 16
#define SHIM_CPUID_ENTRY 48
#define SHIM_CPUID_EAX 24
#define SHIM_CPUID_EBX 28
#define SHIM_CPUID_ECX 32
#define SHIM_CPUID_EDX 36

#define SHIM_CPUID_FN_FEATURES 1
#define SHIM_CPUID_RDRAND_BIT 30 /* ECX */
#define SHIM_CPUID_FN_SEV 0x8000001f
#define SHIM_CPUID_SNP_BIT 4      /* EAX */
#define SHIM_CPUID_CBIT_MASK 0x3f /* EBX */
/* Page tables have room for it from bit 32 (our 32-bit code sets the upper half) to bit 51. */
#define SHIM_CBIT_MIN 32
#define SHIM_CBIT_MAX 51

/* GHCB MSR protocol (AMD 56421, 2.3.1) */
#define SHIM_GHCB_TERMINATE 0x100
#define SHIM_GHCB_TERMINATE_SET_SHIFT 12
#define SHIM_GHCB_TERMINATE_CODE_SHIFT 16

#endif

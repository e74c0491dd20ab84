/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel's headers say of the GHCB (AMD 56421: the page's layout, the MSR protocol, page
 * state changes), of a guest request to the firmware (AMD 56860), and what else kernel/snp's
 * GHCB server needs.
 */
#ifndef GHCB_SHIM_H
#define GHCB_SHIM_H

#include "kernel_shim.h"

struct module;
#define INVALID_GPA (~(gpa_t)0)
#define PAGE_SHIFT 12
#define PMD_SIZE (1ul << 21)
#define IS_ALIGNED(x, a) (!((x) & ((a)-1)))
#define DIV_ROUND_UP_ULL(n, d) (((n) + (d)-1) / (d))
#define X86_TRAP_GP 13
#define XCR_XFEATURE_ENABLED_MASK 0
#ifndef KVM_EXIT_HYPERCALL_LONG_MODE
#define KVM_EXIT_HYPERCALL_LONG_MODE 1ull
#endif
#ifndef KVM_SYSTEM_EVENT_SEV_TERM
#define KVM_SYSTEM_EVENT_SEV_TERM 6
#endif
#ifndef rdtsc
#define rdtsc() 1000ull
#endif

/* A page is its own address. */
#define page_to_phys(page) ((u64)(uintptr_t)(page))
#define page_address(page) ((void *)(page))

static inline void mutex_lock(struct mutex *m)
{
    if (m->locked++)
        __builtin_trap();
}

/* A task that is killed: the lock was not taken. */
extern bool mutex_killed;
static inline int mutex_lock_killable(struct mutex *m)
{
    if (mutex_killed)
        return -EINTR;
    mutex_lock(m);
    return 0;
}

static inline void mutex_unlock(struct mutex *m)
{
    if (--m->locked)
        __builtin_trap();
}

/* ---- The page (56421, table 3) ---- */

struct ghcb_save_area {
    u8 reserved_0[0xcb];
    u8 cpl;
    u8 reserved_cc[0x1f8 - 0xcc];
    u64 rax;
    u8 reserved_200[0x308 - 0x200];
    u64 rcx, rdx, rbx;
    u8 reserved_320[0x390 - 0x320];
    u64 sw_exit_code, sw_exit_info_1, sw_exit_info_2, sw_scratch;
    u8 reserved_3b0[0x3e8 - 0x3b0];
    u64 xcr0;
    u8 valid_bitmap[16];
    u64 x87_state_gpa;
} __attribute__((packed));

#define GHCB_SHARED_BUF_SIZE 2032

struct ghcb {
    struct ghcb_save_area save;
    u8 reserved_save[2048 - sizeof(struct ghcb_save_area)];
    u8 shared_buffer[GHCB_SHARED_BUF_SIZE];
    u8 reserved_ff0[10];
    u16 protocol_version;
    u32 ghcb_usage;
} __attribute__((packed));

_Static_assert(offsetof(struct ghcb, save.sw_exit_code) == 0x390, "SW_EXITCODE");
_Static_assert(offsetof(struct ghcb, save.valid_bitmap) == 0x3f0, "VALID_BITMAP");
_Static_assert(offsetof(struct ghcb, protocol_version) == 0xffa, "version");
_Static_assert(sizeof(struct ghcb) == 4096, "the GHCB is a page");

#define GHCB_ERR_NOT_REGISTERED 1
#define GHCB_ERR_INVALID_USAGE 2
#define GHCB_ERR_INVALID_SCRATCH_AREA 3
#define GHCB_ERR_MISSING_INPUT 4
#define GHCB_ERR_INVALID_INPUT 5
#define GHCB_ERR_INVALID_EVENT 6

#define SVM_EVTINJ_TYPE_EXEPT (3 << 8)
#define SVM_EVTINJ_VALID_ERR (1 << 11)
#define SVM_EVTINJ_VALID (1u << 31)

/* ---- The MSR protocol (56421, 2.3.1) ---- */

#define GHCB_MSR_INFO_MASK 0xfffull
#define GHCB_MSR_SEV_INFO_REQ 0x002
#define GHCB_MSR_SEV_INFO(max, min, cbit) ((max) << 48 | (min) << 32 | (cbit) << 24 | 0x001)
#define GHCB_MSR_CPUID_REQ 0x004
#define GHCB_MSR_CPUID_RESP 0x005
#define GHCB_MSR_CPUID_FUNC_POS 32
#define GHCB_MSR_CPUID_VALUE_POS 32
#define GHCB_MSR_CPUID_REG_POS 30
#define GHCB_MSR_CPUID_REG_MASK 3
#define GHCB_MSR_AP_RESET_HOLD_REQ 0x006
#define GHCB_MSR_AP_RESET_HOLD_RESP 0x007
#define GHCB_MSR_AP_RESET_HOLD_RESULT_POS 12
#define GHCB_MSR_PREF_GPA_REQ 0x010
#define GHCB_MSR_PREF_GPA_RESP 0x011
#define GHCB_MSR_PREF_GPA_NONE 0xfffffffffffff
#define GHCB_MSR_GPA_VALUE_POS 12
#define GHCB_MSR_REG_GPA_REQ 0x012
#define GHCB_MSR_REG_GPA_RESP 0x013
#define GHCB_MSR_PSC_REQ 0x014
#define GHCB_MSR_PSC_REQ_TO_GFN(msr) (((msr)&GENMASK_ULL(51, 12)) >> 12)
#define GHCB_MSR_PSC_REQ_TO_OP(msr) (((msr)&GENMASK_ULL(55, 52)) >> 52)
#define GHCB_MSR_PSC_RESP 0x015
#define GHCB_MSR_PSC_RESP_ERROR (BIT_ULL(63) | GHCB_MSR_PSC_RESP)
#define SNP_PAGE_STATE_PRIVATE 1
#define SNP_PAGE_STATE_SHARED 2
#define GHCB_MSR_HV_FT_REQ 0x080
#define GHCB_MSR_HV_FT_RESP 0x081
#define GHCB_MSR_HV_FT_POS 12
#define GHCB_HV_FT_SNP BIT_ULL(0)
#define GHCB_HV_FT_SNP_AP_CREATION BIT_ULL(1)
#define GHCB_MSR_TERM_REQ 0x100
#define GHCB_MSR_TERM_REASON_SET_POS 12
#define GHCB_SEV_TERM_REASON(set, reason) ((u64)(set) << 12 | (u64)(reason) << 16)
#define SEV_TERM_SET_GEN 0
#define GHCB_SEV_ES_GEN_REQ 0

/* ---- Page state changes (56421) ---- */

#define VMGEXIT_PSC_MAX_COUNT 253
#define VMGEXIT_PSC_ERROR_GENERIC (0x100ul << 32)
#define VMGEXIT_PSC_ERROR_INVALID_HDR (1ul << 32 | 1)
#define VMGEXIT_PSC_ERROR_INVALID_ENTRY (1ul << 32 | 2)
#define VMGEXIT_PSC_OP_PRIVATE 1
#define VMGEXIT_PSC_OP_SHARED 2

struct psc_hdr {
    u16 cur_entry, end_entry;
    u32 reserved;
} __attribute__((packed));

struct psc_entry {
    u64 cur_page : 12, gfn : 40, operation : 4, pagesize : 1, reserved : 7;
} __attribute__((packed));

/* ---- The firmware (56860, SNP_GUEST_REQUEST) ---- */

#define SEV_CMD_SNP_GUEST_REQUEST 0x94

struct sev_data_snp_guest_request {
    u64 gctx_paddr, req_paddr, res_paddr;
} __attribute__((packed));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers that msr.c names (AMD APM volume 2, appendix A; Intel SDM volume 4), and what else
 * of the kernel it needs. Userspace's memory is ours; the processor's registers are mock.host.
 */
#ifndef MSR_SHIM_H
#define MSR_SHIM_H

#include <stdlib.h>
#include <asm/mtrr.h>

enum {
    MSR_IA32_P5_MC_ADDR = 0x0, MSR_IA32_P5_MC_TYPE = 0x1, MSR_IA32_TSC = 0x10,
    MSR_IA32_PLATFORM_ID = 0x17, MSR_IA32_APICBASE = 0x1b, MSR_IA32_TSC_ADJUST = 0x3b,
    MSR_IA32_SPEC_CTRL = 0x48, MSR_IA32_PRED_CMD = 0x49, MSR_IA32_UCODE_WRITE = 0x79,
    MSR_IA32_UCODE_REV = 0x8b, MSR_PLATFORM_INFO = 0xce, MSR_MTRRcap = 0xfe,
    MSR_MISC_FEATURES_ENABLES = 0x140, MSR_IA32_SYSENTER_CS = 0x174, MSR_IA32_SYSENTER_ESP = 0x175,
    MSR_IA32_SYSENTER_EIP = 0x176, MSR_IA32_MCG_CAP = 0x179, MSR_IA32_MCG_STATUS = 0x17a,
    MSR_IA32_MCG_CTL = 0x17b, MSR_IA32_PERF_STATUS = 0x198, MSR_IA32_PERF_CTL = 0x199,
    MSR_IA32_MISC_ENABLE = 0x1a0, MSR_IA32_DEBUGCTLMSR = 0x1d9, MSR_IA32_LASTBRANCHFROMIP = 0x1db,
    MSR_IA32_LASTINTTOIP = 0x1de, MSR_MTRRfix64K_00000 = 0x250, MSR_MTRRfix16K_80000 = 0x258,
    MSR_MTRRfix16K_A0000 = 0x259, MSR_MTRRfix4K_C0000 = 0x268, MSR_MTRRfix4K_F8000 = 0x26f,
    MSR_IA32_CR_PAT = 0x277, MSR_MTRRdefType = 0x2ff, MSR_IA32_MC0_CTL = 0x400,
    MSR_IA32_TSC_DEADLINE = 0x6e0, MSR_EFER = 0xc0000080, MSR_STAR = 0xc0000081,
    MSR_LSTAR = 0xc0000082, MSR_CSTAR = 0xc0000083, MSR_SYSCALL_MASK = 0xc0000084,
    MSR_FS_BASE = 0xc0000100, MSR_GS_BASE = 0xc0000101, MSR_KERNEL_GS_BASE = 0xc0000102,
    MSR_TSC_AUX = 0xc0000103, MSR_K7_EVNTSEL0 = 0xc0010000, MSR_K7_PERFCTR0 = 0xc0010004,
    MSR_AMD64_SYSCFG = 0xc0010010, MSR_K7_HWCR = 0xc0010015, MSR_K8_TOP_MEM1 = 0xc001001a,
    MSR_K8_TOP_MEM2 = 0xc001001d, MSR_AMD64_NB_CFG = 0xc001001f,
    MSR_AMD64_PATCH_LOADER = 0xc0010020, MSR_K8_INT_PENDING_MSG = 0xc0010055,
    MSR_FAM10H_MMIO_CONF_BASE = 0xc0010058, MSR_K8_TSEG_ADDR = 0xc0010112,
    MSR_K8_TSEG_MASK = 0xc0010113, MSR_VM_CR = 0xc0010114, MSR_VM_HSAVE_PA = 0xc0010117,
    MSR_AMD64_OSVW_ID_LENGTH = 0xc0010140, MSR_AMD64_OSVW_STATUS = 0xc0010141,
    MSR_AMD64_DC_CFG = 0xc0011022, MSR_AMD64_TW_CFG = 0xc0011023, MSR_AMD64_DE_CFG = 0xc0011029,
    MSR_AMD64_BU_CFG2 = 0xc001102a, MSR_F15H_EX_CFG = 0xc001102c,
};
#define MSR_IA32_MCx_MISC(bank) (0x403 + 4 * (bank))

/* Bits */
enum {
    MSR_IA32_MISC_ENABLE_FAST_STRING = 0x1, PRED_CMD_IBPB = 0x1, SPEC_CTRL_IBRS = 0x1,
    MSR_IA32_MISC_ENABLE_PEBS_UNAVAIL = 0x1000, MSR_AMD64_DE_CFG_LFENCE_SERIALIZE = 0x2,
    SPEC_CTRL_STIBP = 0x2, SPEC_CTRL_SSBD = 0x4, PRED_CMD_SBPB = 0x80,
    MSR_IA32_MISC_ENABLE_BTS_UNAVAIL = 0x800,
    MCG_CTL_P = 1 << 8,
};

/* Words and bits of the kernel's own table of features */
enum {
    X86_FEATURE_AMD_IBPB = 13 * 32 + 12, X86_FEATURE_AMD_IBRS = 13 * 32 + 14,
    X86_FEATURE_AMD_STIBP = 13 * 32 + 15, X86_FEATURE_AMD_SSBD = 13 * 32 + 24,
    X86_FEATURE_AMD_PSFD = 13 * 32 + 28, X86_FEATURE_SPEC_CTRL = 18 * 32 + 26,
    X86_FEATURE_INTEL_STIBP = 18 * 32 + 27, X86_FEATURE_SPEC_CTRL_SSBD = 18 * 32 + 31,
    X86_FEATURE_LFENCE_RDTSC = 20 * 32 + 2, X86_FEATURE_SBPB = 20 * 32 + 27,
    X86_FEATURE_RDTSCP = 1 * 32 + 27, X86_FEATURE_OSVW = 6 * 32 + 9,
};

#define array_index_nospec(index, size) (index)
#define boot_cpu_has(feature) true
#define rdtsc() 1000ull
#define get_user(x, p) ((x) = *(p), 0)
#define put_user(x, p) (*(p) = (x), 0)
#define copy_to_user(to, from, n) (memcpy(to, from, n), 0)
#define IS_ERR(p) (!(p))
#define PTR_ERR(p) (-ENOMEM)
#define kvfree(p) free(p)

static inline void *vmemdup_array_user(const void *from, size_t nr, size_t size)
{
    void *copy = calloc(nr, size);

    return copy ? memcpy(copy, from, nr * size) : NULL;
}

static inline int rdmsrl_safe(u32 index, u64 *value)
{
    *value = 0x0a101148;
    return 0;
}

static int shim_barriers;

static inline void wrmsrl(u32 index, u64 value)
{
    shim_barriers += index == MSR_IA32_PRED_CMD && value;
}

#endif

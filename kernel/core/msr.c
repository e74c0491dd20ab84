// SPDX-License-Identifier: GPL-2.0-only
/*
 * The model-specific registers of a vCPU: one table says which exist, where their value is, which
 * bits may be written, and who may. A register that is not in the table does not exist, for the
 * guest (#GP) and for userspace. Filters and exits to userspace are in msr_filter.c.
 */
#include "bawn.h"
#include <linux/nospec.h>
#include <asm/cpufeature.h>
#include <asm/mce.h>
#include <asm/msr.h>
#include <asm/msr-index.h>
#include <asm/mtrr.h>
#include <asm/nospec-branch.h>
#include <asm/tsc.h>

#define MAX_MSRS_IOCTL 256

#define MTRR_CAP (BIT(10) | BIT(8) | BAWN_MTRR_VARIABLE) /* write-combining, fixed ranges */
#define MTRR_DEF_VALID 0xcffULL
#define HWCR_MCI_STATUS_WR_EN BIT_ULL(18)
#define HWCR_TSC_FREQ_SEL BIT_ULL(24)
#define HWCR_IGNORED 0x148ULL /* FFDIS, IGNNE, TLBCACHEDIS: firmware's, without effect */
#define SPEC_CTRL_PSFD_BIT BIT_ULL(7)
#define PAT_RESET 0x0007040600070406ULL
#define MCG_BANKS 0xff

/* What SVM guests are told when the host's microcode revision cannot be read. */
#define UCODE_REV_DEFAULT 0x01000065ULL

enum {
	LIST = BIT(0),	    /* in KVM_GET_MSR_INDEX_LIST: what a snapshot must hold */
	FEATURE = BIT(1),   /* in KVM_GET_MSR_FEATURE_INDEX_LIST */
	HOST_SET = BIT(2),  /* only userspace may write it */
	READ_ONLY = BIT(3), /* nobody may */
	CANONICAL = BIT(4), /* holds an address */
};

struct msr_desc {
	u32 first, last;
	u32 flags;
	u32 feature; /* X86_FEATURE_* that the guest needs; 0: none */
	u32 field;   /* offset of the u64s in struct bawn_vcpu; 0: none, reads as zero */
	u64 valid;   /* bits that may be set */
	int (*get)(struct bawn_vcpu *vcpu, u32 index, u64 *value, bool host);
	int (*set)(struct bawn_vcpu *vcpu, u32 index, u64 value, bool host);
};

/* ---- Values with a meaning ---- */

static u64 feature_value(u32 index)
{
	u64 value = 0;

	switch (index) {
	case MSR_IA32_ARCH_CAPABILITIES:
		if (boot_cpu_has(X86_FEATURE_ARCH_CAPABILITIES))
			rdmsrl(MSR_IA32_ARCH_CAPABILITIES, value);
		/* What tells of no further register, and of no TSX. */
		return value & (ARCH_CAP_RDCL_NO | ARCH_CAP_IBRS_ALL | ARCH_CAP_RSBA |
				ARCH_CAP_SKIP_VMENTRY_L1DFLUSH | ARCH_CAP_SSB_NO | ARCH_CAP_MDS_NO |
				ARCH_CAP_PSCHANGE_MC_NO | ARCH_CAP_TAA_NO | ARCH_CAP_SBDR_SSDP_NO |
				ARCH_CAP_FBSDP_NO | ARCH_CAP_PSDP_NO | ARCH_CAP_FB_CLEAR |
				ARCH_CAP_RRSBA | ARCH_CAP_BHI_NO | ARCH_CAP_PBRSB_NO |
				ARCH_CAP_GDS_NO | ARCH_CAP_RFDS_NO | ARCH_CAP_RFDS_CLEAR);
	case MSR_IA32_UCODE_REV:
		return rdmsrl_safe(MSR_IA32_UCODE_REV, &value) || !value ? UCODE_REV_DEFAULT
									 : value;
	case MSR_AMD64_DE_CFG:
		return boot_cpu_has(X86_FEATURE_LFENCE_RDTSC) ? MSR_AMD64_DE_CFG_LFENCE_SERIALIZE
							      : 0;
	}
	return 0;
}

static int set_subset_of_feature(struct bawn_vcpu *vcpu, u32 index, u64 value, bool host)
{
	u64 *field = index == MSR_AMD64_DE_CFG ? &vcpu->msr.de_cfg : &vcpu->msr.arch_caps;

	/* Guests write DE_CFG to set what is set already. */
	if (host ? value & ~feature_value(index) : value != *field)
		return 1;
	*field = value;
	return 0;
}

static int get_tsc(struct bawn_vcpu *vcpu, u32 index, u64 *value, bool host)
{
	*value = bawn_read_guest_tsc(vcpu, rdtsc());
	return 0;
}

/* The guest's write to either of TSC and TSC_ADJUST moves the other by as much. */
static int set_tsc(struct bawn_vcpu *vcpu, u32 index, u64 value, bool host)
{
	if (!host)
		vcpu->msr.tsc_adjust += value - bawn_read_guest_tsc(vcpu, rdtsc());
	bawn_write_guest_tsc(vcpu, value, host);
	return 0;
}

static int set_tsc_adjust(struct bawn_vcpu *vcpu, u32 index, u64 value, bool host)
{
	u64 delta = value - vcpu->msr.tsc_adjust;

	if (!host && delta)
		bawn_write_guest_tsc(vcpu, bawn_read_guest_tsc(vcpu, rdtsc()) + delta, false);
	vcpu->msr.tsc_adjust = value;
	return 0;
}

static int set_apic_base(struct bawn_vcpu *vcpu, u32 index, u64 value, bool host)
{
	return bawn_lapic_set_base(vcpu, value, host);
}

static int get_x2apic(struct bawn_vcpu *vcpu, u32 index, u64 *value, bool host)
{
	return vcpu->apic ? bawn_lapic_get_msr(vcpu, index, value) : 1;
}

static int set_x2apic(struct bawn_vcpu *vcpu, u32 index, u64 value, bool host)
{
	return vcpu->apic ? bawn_lapic_set_msr(vcpu, index, value) : 1;
}

static int get_deadline(struct bawn_vcpu *vcpu, u32 index, u64 *value, bool host)
{
	*value = vcpu->apic ? bawn_lapic_get_tscdeadline(vcpu) : 0;
	return 0;
}

static int set_deadline(struct bawn_vcpu *vcpu, u32 index, u64 value, bool host)
{
	if (vcpu->apic)
		bawn_lapic_set_tscdeadline(vcpu, value);
	return 0;
}

static int set_efer(struct bawn_vcpu *vcpu, u32 index, u64 value, bool host)
{
	return bawn_set_efer(vcpu, value);
}

/* Are all eight bytes of types among those allowed (a bit each)? */
static bool memory_types_valid(u64 types, u8 allowed)
{
	int i;

	for (i = 0; i < 64; i += 8)
		if ((types >> i & 0xff) > 7 || !(allowed & BIT(types >> i & 7)))
			return false;
	return true;
}

#define MTRR_TYPES 0x73 /* UC, WC, WT, WP, WB */
#define PAT_TYPES 0xf3	/* and UC- */

static int set_pat(struct bawn_vcpu *vcpu, u32 index, u64 value, bool host)
{
	if (!memory_types_valid(value, PAT_TYPES))
		return 1;
	vcpu->pat = value;
	bawn_cpu->set_msr(vcpu, index, value);
	return 0;
}

/* MTRRs are kept for the guest to read; memory types are the host's. */
static int set_mtrr_def(struct bawn_vcpu *vcpu, u32 index, u64 value, bool host)
{
	if (!memory_types_valid(value & 0xff, MTRR_TYPES))
		return 1;
	vcpu->msr.mtrr_def = value;
	return 0;
}

static int set_mtrr_variable(struct bawn_vcpu *vcpu, u32 index, u64 value, bool host)
{
	u32 i = array_index_nospec(index - MTRRphysBase_MSR(0), 2 * BAWN_MTRR_VARIABLE);
	bool mask = i & 1;

	if (value & (mask ? 0x7ffULL : 0xf00ULL) || value >> vcpu->maxphyaddr ||
	    (!mask && !memory_types_valid(value & 0xff, MTRR_TYPES)))
		return 1;
	vcpu->msr.mtrr_variable[i] = value;
	return 0;
}

static const u32 mtrr_fixed[BAWN_MTRR_FIXED] = {
	MSR_MTRRfix64K_00000, MSR_MTRRfix16K_80000, MSR_MTRRfix16K_A0000, MSR_MTRRfix4K_C0000,
	MSR_MTRRfix4K_C8000,  MSR_MTRRfix4K_D0000,  MSR_MTRRfix4K_D8000,  MSR_MTRRfix4K_E0000,
	MSR_MTRRfix4K_E8000,  MSR_MTRRfix4K_F0000,  MSR_MTRRfix4K_F8000,
};

static u64 *fixed_slot(struct bawn_vcpu *vcpu, u32 index)
{
	int i;

	for (i = 0; i < BAWN_MTRR_FIXED; i++)
		if (mtrr_fixed[i] == index)
			return &vcpu->msr.mtrr_fixed[i];
	return NULL;
}

static int get_mtrr_fixed(struct bawn_vcpu *vcpu, u32 index, u64 *value, bool host)
{
	u64 *slot = fixed_slot(vcpu, index);

	if (!slot)
		return 1;
	*value = *slot;
	return 0;
}

static int set_mtrr_fixed(struct bawn_vcpu *vcpu, u32 index, u64 value, bool host)
{
	u64 *slot = fixed_slot(vcpu, index);

	if (!slot || !memory_types_valid(value, MTRR_TYPES))
		return 1;
	*slot = value;
	return 0;
}

static int get_mtrr_cap(struct bawn_vcpu *vcpu, u32 index, u64 *value, bool host)
{
	*value = MTRR_CAP;
	return 0;
}

static int get_mcg_ctl(struct bawn_vcpu *vcpu, u32 index, u64 *value, bool host)
{
	*value = vcpu->mcg_ctl;
	return !(vcpu->mcg_cap & MCG_CTL_P) && !host;
}

static int set_mcg_ctl(struct bawn_vcpu *vcpu, u32 index, u64 value, bool host)
{
	if (!(vcpu->mcg_cap & MCG_CTL_P) ? !host || value : value && value != ~0ULL)
		return 1;
	vcpu->mcg_ctl = value;
	return 0;
}

static u64 *mce_slot(struct bawn_vcpu *vcpu, u32 index)
{
	u32 nr = 4 * (vcpu->mcg_cap & MCG_BANKS), i = index - MSR_IA32_MC0_CTL;

	return vcpu->mce_banks && i < nr ? &vcpu->mce_banks[array_index_nospec(i, nr)] : NULL;
}

static int get_mce(struct bawn_vcpu *vcpu, u32 index, u64 *value, bool host)
{
	u64 *slot = mce_slot(vcpu, index);

	if (!slot)
		return 1;
	*value = *slot;
	return 0;
}

static int set_mce(struct bawn_vcpu *vcpu, u32 index, u64 value, bool host)
{
	u64 *slot = mce_slot(vcpu, index);
	u32 reg = index & 3;

	if (!slot)
		return 1;
	/* CTL: all or nothing, but Linux leaves out bit 0 or 10 on some models. STATUS: guests may
	 * only clear it unless HWCR lets them. */
	if (!host && reg == 0 && value && (value | BIT_ULL(10) | 1) != ~0ULL)
		return 1;
	if (!host && reg == 1 && value && !(vcpu->msr.hwcr & HWCR_MCI_STATUS_WR_EN))
		return 1;
	*slot = value;
	return 0;
}

/* Bits of SPEC_CTRL; vcpu NULL: that can be offered at all. */
static u64 spec_ctrl_bits(struct bawn_vcpu *vcpu)
{
	static const struct {
		u32 feature;
		u64 bit;
	} bits[] = {
		{ X86_FEATURE_SPEC_CTRL, SPEC_CTRL_IBRS },
		{ X86_FEATURE_AMD_IBRS, SPEC_CTRL_IBRS },
		{ X86_FEATURE_INTEL_STIBP, SPEC_CTRL_STIBP },
		{ X86_FEATURE_AMD_STIBP, SPEC_CTRL_STIBP },
		{ X86_FEATURE_SPEC_CTRL_SSBD, SPEC_CTRL_SSBD },
		{ X86_FEATURE_AMD_SSBD, SPEC_CTRL_SSBD },
		{ X86_FEATURE_AMD_PSFD, SPEC_CTRL_PSFD_BIT },
	};
	u64 all = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(bits); i++)
		if (vcpu ? bawn_guest_has(vcpu, bits[i].feature) : bawn_supports(bits[i].feature))
			all |= bits[i].bit;
	return all;
}

static int get_spec_ctrl(struct bawn_vcpu *vcpu, u32 index, u64 *value, bool host)
{
	*value = vcpu->spec_ctrl;
	return !host && !spec_ctrl_bits(vcpu);
}

static int set_spec_ctrl(struct bawn_vcpu *vcpu, u32 index, u64 value, bool host)
{
	u64 bits = spec_ctrl_bits(host ? NULL : vcpu);

	if (value & ~bits || (!host && !bits))
		return 1;
	vcpu->spec_ctrl = value;
	return 0;
}

static int write_only(struct bawn_vcpu *vcpu, u32 index, u64 *value, bool host)
{
	*value = 0;
	return !host;
}

static int set_pred_cmd(struct bawn_vcpu *vcpu, u32 index, u64 value, bool host)
{
	u64 bits = 0;

	if (host)
		return value != 0;
	if (bawn_guest_has(vcpu, X86_FEATURE_SPEC_CTRL) ||
	    bawn_guest_has(vcpu, X86_FEATURE_AMD_IBPB))
		bits |= PRED_CMD_IBPB;
	if (bawn_guest_has(vcpu, X86_FEATURE_SBPB))
		bits |= PRED_CMD_SBPB;
	if (value & ~bits || !bits)
		return 1;
	if (value)
		indirect_branch_prediction_barrier();
	return 0;
}

static int set_flush_cmd(struct bawn_vcpu *vcpu, u32 index, u64 value, bool host)
{
	if (!host && value)
		wrmsrl(MSR_IA32_FLUSH_CMD, L1D_FLUSH);
	return 0;
}

/* Guests write 0 before CPUID, which fills in the revision on hardware. */
static int set_ucode(struct bawn_vcpu *vcpu, u32 index, u64 value, bool host)
{
	if (host)
		vcpu->msr.ucode_rev = value;
	return 0;
}

static int set_hwcr(struct bawn_vcpu *vcpu, u32 index, u64 value, bool host)
{
	vcpu->msr.hwcr = value & ~HWCR_IGNORED;
	return 0;
}

static int get_pv(struct bawn_vcpu *vcpu, u32 index, u64 *value, bool host)
{
	return bawn_clock_get_msr(vcpu, index, value);
}

static int set_pv(struct bawn_vcpu *vcpu, u32 index, u64 value, bool host)
{
	return bawn_clock_set_msr(vcpu, index, value);
}

static int get_backend(struct bawn_vcpu *vcpu, u32 index, u64 *value, bool host)
{
	return bawn_cpu->get_msr(vcpu, index, value);
}

static int set_backend(struct bawn_vcpu *vcpu, u32 index, u64 value, bool host)
{
	return bawn_cpu->set_msr(vcpu, index, value);
}

static int get_perf_status(struct bawn_vcpu *vcpu, u32 index, u64 *value, bool host)
{
	*value = 1000 | 4ULL << 40; /* some guests divide by it */
	return 0;
}

/* ---- The table; those that guests use all the time come first ---- */

#define FIELD(name) offsetof(struct bawn_vcpu, name)
#define ANY (~0ULL)
#define ONE(index) (index), (index)

static const struct msr_desc msrs[] = {
	{ ONE(MSR_IA32_TSC_DEADLINE), LIST, 0, 0, ANY, get_deadline, set_deadline },
	{ 0x800, 0x8ff, 0, 0, 0, ANY, get_x2apic, set_x2apic },
	{ ONE(MSR_IA32_SPEC_CTRL), LIST, 0, 0, ANY, get_spec_ctrl, set_spec_ctrl },
	{ ONE(MSR_IA32_PRED_CMD), 0, 0, 0, ANY, write_only, set_pred_cmd },
	{ ONE(MSR_FS_BASE), CANONICAL, 0, 0, ANY, get_backend, set_backend },
	{ ONE(MSR_GS_BASE), CANONICAL, 0, 0, ANY, get_backend, set_backend },
	{ ONE(MSR_KERNEL_GS_BASE), LIST | CANONICAL, 0, 0, ANY, get_backend, set_backend },
	{ ONE(MSR_EFER), 0, 0, FIELD(efer), ANY, NULL, set_efer },
	{ ONE(MSR_STAR), LIST, 0, 0, ANY, get_backend, set_backend },
	{ ONE(MSR_LSTAR), LIST | CANONICAL, 0, 0, ANY, get_backend, set_backend },
	{ ONE(MSR_CSTAR), LIST | CANONICAL, 0, 0, ANY, get_backend, set_backend },
	{ ONE(MSR_SYSCALL_MASK), LIST, 0, 0, U32_MAX, get_backend, set_backend },
	{ ONE(MSR_IA32_SYSENTER_CS), LIST, 0, 0, U32_MAX, get_backend, set_backend },
	{ ONE(MSR_IA32_SYSENTER_ESP), LIST | CANONICAL, 0, 0, ANY, get_backend, set_backend },
	{ ONE(MSR_IA32_SYSENTER_EIP), LIST | CANONICAL, 0, 0, ANY, get_backend, set_backend },
	{ ONE(MSR_IA32_TSC), LIST, 0, 0, ANY, get_tsc, set_tsc },
	{ ONE(MSR_IA32_TSC_ADJUST), LIST, 0, FIELD(msr.tsc_adjust), ANY, NULL, set_tsc_adjust },
	{ ONE(MSR_TSC_AUX), LIST, X86_FEATURE_RDTSCP, FIELD(tsc_aux), U32_MAX, NULL, NULL },
	{ ONE(MSR_IA32_APICBASE), 0, 0, FIELD(apic_base), ANY, NULL, set_apic_base },
	{ ONE(MSR_IA32_CR_PAT), LIST, 0, FIELD(pat), ANY, NULL, set_pat },
	{ ONE(MSR_IA32_MISC_ENABLE), LIST, 0, FIELD(misc_enable), ANY, NULL, NULL },

	{ MSR_KVM_WALL_CLOCK, MSR_KVM_SYSTEM_TIME, LIST, 0, 0, ANY, get_pv, set_pv },
	{ MSR_KVM_WALL_CLOCK_NEW, MSR_KVM_SYSTEM_TIME_NEW, LIST, 0, 0, ANY, get_pv, set_pv },
	{ ONE(MSR_KVM_STEAL_TIME), LIST, 0, 0, ANY, get_pv, set_pv },

	{ ONE(MSR_MTRRcap), READ_ONLY, 0, 0, 0, get_mtrr_cap, NULL },
	{ ONE(MSR_MTRRdefType), LIST, 0, FIELD(msr.mtrr_def), MTRR_DEF_VALID, NULL, set_mtrr_def },
	{ MTRRphysBase_MSR(0), MTRRphysMask_MSR(BAWN_MTRR_VARIABLE - 1), LIST, 0,
	  FIELD(msr.mtrr_variable), ANY, NULL, set_mtrr_variable },
	{ ONE(MSR_MTRRfix64K_00000), LIST, 0, 0, ANY, get_mtrr_fixed, set_mtrr_fixed },
	{ MSR_MTRRfix16K_80000, MSR_MTRRfix16K_A0000, LIST, 0, 0, ANY, get_mtrr_fixed,
	  set_mtrr_fixed },
	{ MSR_MTRRfix4K_C0000, MSR_MTRRfix4K_F8000, LIST, 0, 0, ANY, get_mtrr_fixed,
	  set_mtrr_fixed },

	{ ONE(MSR_IA32_MCG_CAP), READ_ONLY, 0, FIELD(mcg_cap), 0, NULL, NULL },
	{ ONE(MSR_IA32_MCG_STATUS), LIST, 0, FIELD(mcg_status), ANY, NULL, NULL },
	{ ONE(MSR_IA32_MCG_CTL), LIST, 0, 0, ANY, get_mcg_ctl, set_mcg_ctl },
	{ MSR_IA32_MC0_CTL, MSR_IA32_MCx_MISC(31), 0, 0, 0, ANY, get_mce, set_mce },

	{ ONE(MSR_IA32_ARCH_CAPABILITIES), LIST | FEATURE | HOST_SET, X86_FEATURE_ARCH_CAPABILITIES,
	  FIELD(msr.arch_caps), ANY, NULL, set_subset_of_feature },
	{ ONE(MSR_IA32_FLUSH_CMD), 0, X86_FEATURE_FLUSH_L1D, 0, L1D_FLUSH, write_only,
	  set_flush_cmd },
	{ ONE(MSR_AMD64_DE_CFG), LIST | FEATURE, 0, FIELD(msr.de_cfg), ANY, NULL,
	  set_subset_of_feature },
	{ ONE(MSR_K7_HWCR), LIST, 0, FIELD(msr.hwcr),
	  HWCR_IGNORED | HWCR_MCI_STATUS_WR_EN | HWCR_TSC_FREQ_SEL, NULL, set_hwcr },
	{ ONE(MSR_IA32_UCODE_REV), LIST | FEATURE, 0, FIELD(msr.ucode_rev), ANY, NULL, set_ucode },
	{ ONE(MSR_PLATFORM_INFO), LIST | FEATURE | HOST_SET, 0, 0, 0, NULL, NULL },
	{ ONE(MSR_MISC_FEATURES_ENABLES), LIST, 0, 0, 0, NULL, NULL },
	{ MSR_AMD64_OSVW_ID_LENGTH, MSR_AMD64_OSVW_STATUS, LIST | HOST_SET, X86_FEATURE_OSVW,
	  FIELD(msr.osvw), ANY, NULL, NULL },

	/* Zero to read; what may be written has no effect. Firmware and Linux look at them without
	 * asking CPUID. */
	{ MSR_IA32_P5_MC_ADDR, MSR_IA32_P5_MC_TYPE, 0, 0, 0, 0, NULL, NULL },
	{ ONE(MSR_IA32_PLATFORM_ID), READ_ONLY, 0, 0, 0, NULL, NULL },
	{ ONE(MSR_IA32_UCODE_WRITE), 0, 0, 0, ANY, write_only, NULL },
	{ ONE(MSR_IA32_PERF_STATUS), READ_ONLY, 0, 0, 0, get_perf_status, NULL },
	{ ONE(MSR_IA32_PERF_CTL), 0, 0, 0, ANY, NULL, NULL },
	{ ONE(MSR_IA32_DEBUGCTLMSR), 0, 0, 0, 0, NULL, NULL },
	{ MSR_IA32_LASTBRANCHFROMIP, 0x1de, 0, 0, 0, 0, NULL, NULL },
	{ MSR_K7_EVNTSEL0, MSR_K7_PERFCTR0 + 3, 0, 0, 0, ANY, NULL, NULL },
	{ ONE(MSR_AMD64_SYSCFG), 0, 0, 0, ANY, NULL, NULL },
	{ ONE(MSR_K8_TOP_MEM1), READ_ONLY, 0, 0, 0, NULL, NULL },
	{ ONE(MSR_K8_TOP_MEM2), READ_ONLY, 0, 0, 0, NULL, NULL },
	{ MSR_AMD64_NB_CFG, MSR_AMD64_PATCH_LOADER, 0, 0, 0, ANY, NULL, NULL },
	{ ONE(MSR_K8_INT_PENDING_MSG), 0, 0, 0, 0, NULL, NULL },
	{ ONE(MSR_FAM10H_MMIO_CONF_BASE), 0, 0, 0, 0, NULL, NULL },
	{ MSR_K8_TSEG_ADDR, MSR_K8_TSEG_MASK, 0, 0, 0, 0, NULL, NULL },
	{ ONE(MSR_VM_CR), 0, 0, 0, 0, NULL, NULL },
	{ ONE(MSR_VM_HSAVE_PA), 0, 0, 0, 0, NULL, NULL },
	{ MSR_AMD64_DC_CFG, MSR_AMD64_TW_CFG, 0, 0, 0, ANY, NULL, NULL },
	{ ONE(MSR_AMD64_BU_CFG2), 0, 0, 0, ANY, NULL, NULL },
	{ ONE(MSR_F15H_EX_CFG), 0, 0, 0, ANY, NULL, NULL },
};

static const struct msr_desc *find_msr(u32 index)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(msrs); i++)
		if (index >= msrs[i].first && index <= msrs[i].last)
			return &msrs[i];
	return NULL;
}

static u64 *field_of(struct bawn_vcpu *vcpu, const struct msr_desc *m, u32 index)
{
	u32 i = array_index_nospec(index - m->first, m->last - m->first + 1);

	return (u64 *)((char *)vcpu + m->field) + i;
}

static bool canonical(struct bawn_vcpu *vcpu, u64 address)
{
	int bits = vcpu->cr4 & X86_CR4_LA57 ? 57 : 48;

	return (u64)sign_extend64(address, bits - 1) == address;
}

static enum bawn_msr_result get(struct bawn_vcpu *vcpu, u32 index, u64 *value, bool host)
{
	const struct msr_desc *m = find_msr(index);

	*value = 0;
	if (!m || (!host && m->feature && !bawn_guest_has(vcpu, m->feature)))
		return BAWN_MSR_UNKNOWN;
	if (m->get)
		return m->get(vcpu, index, value, host) ? BAWN_MSR_INVALID : BAWN_MSR_OK;
	if (m->field)
		*value = *field_of(vcpu, m, index);
	return BAWN_MSR_OK;
}

static enum bawn_msr_result set(struct bawn_vcpu *vcpu, u32 index, u64 value, bool host)
{
	const struct msr_desc *m = find_msr(index);

	if (!m || (!host && m->feature && !bawn_guest_has(vcpu, m->feature)))
		return BAWN_MSR_UNKNOWN;
	if (m->flags & READ_ONLY || (m->flags & HOST_SET && !host) || value & ~m->valid ||
	    (m->flags & CANONICAL && !canonical(vcpu, value)))
		return BAWN_MSR_INVALID;
	if (m->set)
		return m->set(vcpu, index, value, host) ? BAWN_MSR_INVALID : BAWN_MSR_OK;
	if (m->field)
		*field_of(vcpu, m, index) = value;
	return BAWN_MSR_OK;
}

/* Reads or writes an MSR; host: for userspace, which may do more than the guest. */
enum bawn_msr_result bawn_msr_access(struct bawn_vcpu *vcpu, u32 index, u64 *value, bool write,
				     bool host)
{
	return write ? set(vcpu, index, *value, host) : get(vcpu, index, value, host);
}

int bawn_get_msr(struct bawn_vcpu *vcpu, u32 index, u64 *value, bool host)
{
	return get(vcpu, index, value, host) != BAWN_MSR_OK;
}

int bawn_set_msr(struct bawn_vcpu *vcpu, u32 index, u64 value, bool host)
{
	return set(vcpu, index, value, host) != BAWN_MSR_OK;
}

/* The values at power-on; INIT changes none of them. */
void bawn_msr_reset(struct bawn_vcpu *vcpu)
{
	vcpu->msr = (struct bawn_msr_state){
		.arch_caps = feature_value(MSR_IA32_ARCH_CAPABILITIES),
		.de_cfg = feature_value(MSR_AMD64_DE_CFG),
		.ucode_rev = UCODE_REV_DEFAULT,
	};
	vcpu->pat = PAT_RESET;
	vcpu->misc_enable = MSR_IA32_MISC_ENABLE_FAST_STRING | MSR_IA32_MISC_ENABLE_BTS_UNAVAIL |
			    MSR_IA32_MISC_ENABLE_PEBS_UNAVAIL;
	vcpu->spec_ctrl = 0;
	vcpu->tsc_aux = 0;
}

/* ---- ioctls ---- */

/* KVM_GET_MSR_INDEX_LIST and KVM_GET_MSR_FEATURE_INDEX_LIST: E2BIG, and how many there are, when
 * userspace's array is too small. */
int bawn_msr_list(struct kvm_msr_list __user *arg, bool features)
{
	u32 flag = features ? FEATURE : LIST;
	u32 room, nr = 0, index;
	int i;

	if (get_user(room, &arg->nmsrs))
		return -EFAULT;
	for (i = 0; i < ARRAY_SIZE(msrs); i++) {
		const struct msr_desc *m = &msrs[i];

		if (!(m->flags & flag) || (m->feature && !features && !bawn_supports(m->feature)))
			continue;
		for (index = m->first; index <= m->last; index++, nr++)
			if (nr < room && put_user(index, &arg->indices[nr]))
				return -EFAULT;
	}
	if (put_user(nr, &arg->nmsrs))
		return -EFAULT;
	return nr > room ? -E2BIG : 0;
}

static bool one_msr(struct bawn_vcpu *vcpu, struct kvm_msr_entry *e, bool write)
{
	const struct msr_desc *m = find_msr(e->index);

	if (vcpu)
		return bawn_msr_access(vcpu, e->index, &e->data, write, true) == BAWN_MSR_OK;
	if (!m || !(m->flags & FEATURE))
		return false;
	e->data = feature_value(e->index);
	return true;
}

/* Does them in order until one fails; how many were done, as KVM answers. */
static long do_msrs(struct bawn_vcpu *vcpu, struct kvm_msrs __user *arg, bool write)
{
	struct kvm_msr_entry *e;
	long done = 0;
	u32 nr;

	if (get_user(nr, &arg->nmsrs))
		return -EFAULT;
	if (nr > MAX_MSRS_IOCTL)
		return -E2BIG;
	if (!nr)
		return 0;
	e = vmemdup_array_user(arg->entries, nr, sizeof(*e));
	if (IS_ERR(e))
		return PTR_ERR(e);
	while (done < nr && one_msr(vcpu, &e[done], write))
		done++;
	if (!write && copy_to_user(arg->entries, e, done * sizeof(*e)))
		done = -EFAULT;
	kvfree(e);
	return done;
}

/* KVM_GET_MSRS and KVM_SET_MSRS on a vCPU. */
long bawn_msrs_ioctl(struct bawn_vcpu *vcpu, struct kvm_msrs __user *arg, bool write)
{
	return do_msrs(vcpu, arg, write);
}

/* KVM_GET_MSRS on the device: what the host has of the feature MSRs. */
long bawn_feature_msrs_ioctl(struct kvm_msrs __user *arg)
{
	return do_msrs(NULL, arg, false);
}

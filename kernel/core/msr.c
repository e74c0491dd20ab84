// SPDX-License-Identifier: GPL-2.0-only
/*
 * The model-specific registers of a vCPU: one table says which exist, where their value is, which
 * bits may be written, and who may. A register that is not in the table does not exist, for the
 * guest (#GP) and for userspace. Filters and exits to userspace are in msr_filter.c.
 */
#include "bawn.h"
#include "compat.h"
#include <linux/nospec.h>
#include <asm/cpufeature.h>
#include <asm/mce.h>
#include <asm/msr.h>
#include <asm/msr-index.h>
#include <asm/mtrr.h>
#include <asm/nospec-branch.h>
#include <asm/tsc.h>

#define MAX_MSRS_IOCTL 255

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
	WRITE_ONLY = BIT(4), /* the guest may not read it; userspace reads zero */
	CANONICAL = BIT(5), /* holds an address */
};

/* What an access does beyond the field's value. index is checked; host: for userspace. */
struct access {
	struct bawn_vcpu *vcpu;
	u32 index;
	u64 value; /* written, or to be filled */
	bool write, host;
};

struct msr_desc {
	u32 first, last;
	u32 flags;
	u32 feature; /* X86_FEATURE_* that the guest needs; 0: none */
	u32 field;   /* offset of the u64s in struct bawn_vcpu; 0: none, reads as zero */
	u64 valid;   /* bits that may be set */
	/*
	 * With a field: checks, and may change, what is about to be stored there. Without: reads
	 * and writes. NULL: neither. 0, or 1 for a value that the register does not take.
	 */
	int (*fn)(struct access *a);
};

/* ---- Registers with a meaning ---- */

static u64 feature_value(u32 index)
{
	u64 value = 0;

	if (index == MSR_IA32_UCODE_REV)
		return rdmsrq_safe(index, &value) || !value ? UCODE_REV_DEFAULT : value;
	if (index == MSR_AMD64_DE_CFG && boot_cpu_has(X86_FEATURE_LFENCE_RDTSC))
		return MSR_AMD64_DE_CFG_LFENCE_SERIALIZE;
	return 0;
}

/* Guests write it to set what is set already. */
static int de_cfg(struct access *a)
{
	return a->host ? (a->value & ~feature_value(a->index)) != 0
		       : a->value != a->vcpu->msr.de_cfg;
}

/* Guests write 0 before CPUID, which fills in the revision on hardware. */
static int ucode_rev(struct access *a)
{
	if (!a->host)
		a->value = a->vcpu->msr.ucode_rev;
	return 0;
}

static int hwcr(struct access *a)
{
	a->value &= ~HWCR_IGNORED;
	return 0;
}

static int efer(struct access *a)
{
	if (a->write)
		return bawn_set_efer(a->vcpu, a->value);
	a->value = a->vcpu->efer;
	return 0;
}

/* AMD APM vol. 2, 6.1.2: the upper halves of these are ignored. */
static int lower_half(struct access *a)
{
	a->value = (u32)a->value;
	return 0;
}

static int backend(struct access *a)
{
	u64 *at = bawn_cpu->msr(a->vcpu, a->index);

	if (a->write)
		*at = a->value;
	else
		a->value = *at;
	return 0;
}

static int sysenter(struct access *a)
{
	lower_half(a);
	return backend(a) || (!a->write && lower_half(a));
}

static int pv_clock(struct access *a)
{
	return a->write ? bawn_clock_set_msr(a->vcpu, a->index, a->value)
			: bawn_clock_get_msr(a->vcpu, a->index, &a->value);
}

static int tsc(struct access *a)
{
	if (a->write)
		bawn_write_guest_tsc(a->vcpu, a->value, a->host);
	else
		a->value = bawn_read_guest_tsc(a->vcpu, rdtsc());
	return 0;
}

static int tsc_adjust(struct access *a)
{
	if (a->write)
		bawn_set_tsc_adjust(a->vcpu, a->value, a->host);
	else
		a->value = a->vcpu->tsc_adjust;
	return 0;
}

static int tsc_deadline(struct access *a)
{
	if (a->write)
		bawn_lapic_set_tscdeadline(a->vcpu, a->value);
	else
		a->value = bawn_lapic_get_tscdeadline(a->vcpu);
	return 0;
}

static int apic_base(struct access *a)
{
	if (a->write)
		return bawn_lapic_set_base(a->vcpu, a->value, a->host);
	a->value = a->vcpu->apic_base;
	return 0;
}

static int x2apic(struct access *a)
{
	if (!a->vcpu->apic)
		return 1;
	return a->write ? bawn_lapic_set_msr(a->vcpu, a->index, a->value)
			: bawn_lapic_get_msr(a->vcpu, a->index, &a->value);
}

#define MTRR_TYPES 0x73 /* UC, WC, WT, WP, WB */
#define PAT_TYPES 0xf3	/* and UC- */

/* Are all eight bytes of types among those allowed (a bit each)? */
static bool memory_types_valid(u64 types, u8 allowed)
{
	int i;

	for (i = 0; i < 64; i += 8)
		if ((types >> i & 0xff) > 7 || !(allowed & BIT(types >> i & 7)))
			return false;
	return true;
}

static int pat(struct access *a)
{
	return !memory_types_valid(a->value, PAT_TYPES) || backend(a);
}

/* MTRRs are kept for the guest to read; memory types are the host's. */
static int mtrr_fixed(struct access *a)
{
	return !memory_types_valid(a->value, MTRR_TYPES);
}

static int mtrr_def(struct access *a)
{
	return !memory_types_valid(a->value & 0xff, MTRR_TYPES);
}

static int mtrr_variable(struct access *a)
{
	bool mask = (a->index - MTRRphysBase_MSR(0)) & 1;

	return a->value & (mask ? 0x7ffULL : 0xf00ULL) || a->value >> a->vcpu->maxphyaddr ||
	       (!mask && !memory_types_valid(a->value & 0xff, MTRR_TYPES));
}

static int mtrr_cap(struct access *a)
{
	a->value = MTRR_CAP;
	return 0;
}

static int mcg_ctl(struct access *a)
{
	bool exists = a->vcpu->mcg_cap & MCG_CTL_P;

	if (!a->write) {
		a->value = a->vcpu->mcg_ctl;
		return !exists && !a->host;
	}
	if (exists ? a->value && a->value != ~0ULL : !a->host || a->value)
		return 1;
	a->vcpu->mcg_ctl = a->value;
	return 0;
}

static int mce_bank(struct access *a)
{
	struct bawn_vcpu *vcpu = a->vcpu;
	u32 nr = 4 * (vcpu->mcg_cap & MCG_BANKS), i = a->index - MSR_IA32_MC0_CTL;
	u64 *slot;

	if (!vcpu->mce_banks || i >= nr)
		return 1;
	slot = &vcpu->mce_banks[array_index_nospec(i, nr)];
	if (!a->write) {
		a->value = *slot;
		return 0;
	}
	/*
	 * CTL: all or nothing, but Linux leaves out bit 0 or 10 on some models. STATUS: guests may
	 * only clear it unless HWCR lets them.
	 */
	if (!a->host && a->value &&
	    (i % 4 == 0 ? (a->value | BIT_ULL(10) | 1) != ~0ULL
			: i % 4 == 1 && !(vcpu->msr.hwcr & HWCR_MCI_STATUS_WR_EN)))
		return 1;
	*slot = a->value;
	return 0;
}

static int spec_ctrl(struct access *a)
{
	static const struct bawn_feature_bits bits[] = {
		{ X86_FEATURE_SPEC_CTRL, SPEC_CTRL_IBRS },
		{ X86_FEATURE_AMD_IBRS, SPEC_CTRL_IBRS },
		{ X86_FEATURE_INTEL_STIBP, SPEC_CTRL_STIBP },
		{ X86_FEATURE_AMD_STIBP, SPEC_CTRL_STIBP },
		{ X86_FEATURE_SPEC_CTRL_SSBD, SPEC_CTRL_SSBD },
		{ X86_FEATURE_AMD_SSBD, SPEC_CTRL_SSBD },
		{ X86_FEATURE_AMD_PSFD, SPEC_CTRL_PSFD_BIT },
	};
	u64 all = bawn_feature_bits(a->host ? NULL : a->vcpu, bits, ARRAY_SIZE(bits));

	if (!a->host && !all)
		return 1;
	if (!a->write)
		a->value = a->vcpu->spec_ctrl;
	else if (a->value & ~all)
		return 1;
	else
		a->vcpu->spec_ctrl = a->value;
	return 0;
}

static int pred_cmd(struct access *a)
{
	static const struct bawn_feature_bits bits[] = {
		{ X86_FEATURE_SPEC_CTRL, PRED_CMD_IBPB },
		{ X86_FEATURE_AMD_IBPB, PRED_CMD_IBPB },
		{ X86_FEATURE_SBPB, PRED_CMD_SBPB },
	};
	u64 all = a->host ? 0 : bawn_feature_bits(a->vcpu, bits, ARRAY_SIZE(bits));

	if (a->value & ~all || (!a->host && !all))
		return 1;
	/* The guest's own barrier, whatever mitigations the host runs with. */
	if (a->value)
		wrmsrq(MSR_IA32_PRED_CMD, a->value);
	return 0;
}

static int perf_status(struct access *a)
{
	a->value = 1000 | 4ULL << 40; /* some guests divide by it */
	return 0;
}

/* ---- The table; those that guests use all the time come first ---- */

#define FIELD(name) offsetof(struct bawn_vcpu, name)
#define ANY (~0ULL)
#define ONE(index) (index), (index)

static const struct msr_desc msrs[] = {
	{ ONE(MSR_IA32_TSC_DEADLINE), LIST, 0, 0, ANY, tsc_deadline },
	{ 0x800, 0x8ff, 0, 0, 0, ANY, x2apic },
	{ ONE(MSR_IA32_SPEC_CTRL), LIST, 0, 0, ANY, spec_ctrl },
	{ ONE(MSR_IA32_PRED_CMD), WRITE_ONLY, 0, 0, ANY, pred_cmd },
	{ ONE(MSR_AMD64_VIRT_SPEC_CTRL), LIST, X86_FEATURE_VIRT_SSBD, FIELD(virt_spec_ctrl),
	  SPEC_CTRL_SSBD, NULL },
	{ ONE(MSR_FS_BASE), CANONICAL, 0, 0, ANY, backend },
	{ ONE(MSR_GS_BASE), CANONICAL, 0, 0, ANY, backend },
	{ ONE(MSR_KERNEL_GS_BASE), LIST | CANONICAL, 0, 0, ANY, backend },
	{ ONE(MSR_EFER), 0, 0, 0, ANY, efer },
	{ ONE(MSR_STAR), LIST, 0, 0, ANY, backend },
	{ MSR_LSTAR, MSR_CSTAR, LIST | CANONICAL, 0, 0, ANY, backend },
	{ ONE(MSR_SYSCALL_MASK), LIST, 0, 0, ANY, backend },
	{ ONE(MSR_IA32_SYSENTER_CS), LIST, 0, 0, ANY, backend },
	{ MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP, LIST, 0, 0, ANY, sysenter },
	{ ONE(MSR_IA32_TSC), LIST, 0, 0, ANY, tsc },
	{ ONE(MSR_IA32_TSC_ADJUST), LIST, 0, 0, ANY, tsc_adjust },
	{ ONE(MSR_TSC_AUX), LIST, X86_FEATURE_RDTSCP, FIELD(tsc_aux), ANY, lower_half },
	{ ONE(MSR_IA32_APICBASE), 0, 0, 0, ANY, apic_base },
	{ ONE(MSR_IA32_CR_PAT), LIST, 0, FIELD(pat), ANY, pat },
	{ ONE(MSR_IA32_MISC_ENABLE), LIST, 0, FIELD(misc_enable), ANY, NULL },

	{ MSR_KVM_WALL_CLOCK, MSR_KVM_SYSTEM_TIME, LIST, 0, 0, ANY, pv_clock },
	{ MSR_KVM_WALL_CLOCK_NEW, MSR_KVM_SYSTEM_TIME_NEW, LIST, 0, 0, ANY, pv_clock },
	{ ONE(MSR_KVM_STEAL_TIME), LIST, 0, 0, ANY, pv_clock },

	{ ONE(MSR_MTRRcap), READ_ONLY, 0, 0, 0, mtrr_cap },
	{ ONE(MSR_MTRRdefType), LIST, 0, FIELD(msr.mtrr_def), MTRR_DEF_VALID, mtrr_def },
	{ MTRRphysBase_MSR(0), MTRRphysMask_MSR(BAWN_MTRR_VARIABLE - 1), LIST, 0,
	  FIELD(msr.mtrr_variable), ANY, mtrr_variable },
	{ ONE(MSR_MTRRfix64K_00000), LIST, 0, FIELD(msr.mtrr_fixed[0]), ANY, mtrr_fixed },
	{ MSR_MTRRfix16K_80000, MSR_MTRRfix16K_A0000, LIST, 0, FIELD(msr.mtrr_fixed[1]), ANY,
	  mtrr_fixed },
	{ MSR_MTRRfix4K_C0000, MSR_MTRRfix4K_F8000, LIST, 0, FIELD(msr.mtrr_fixed[3]), ANY,
	  mtrr_fixed },

	{ ONE(MSR_IA32_MCG_CAP), READ_ONLY, 0, FIELD(mcg_cap), 0, NULL },
	{ ONE(MSR_IA32_MCG_STATUS), LIST, 0, FIELD(mcg_status), ANY, NULL },
	{ ONE(MSR_IA32_MCG_CTL), LIST, 0, 0, ANY, mcg_ctl },
	{ MSR_IA32_MC0_CTL, MSR_IA32_MCx_MISC(BAWN_MAX_MCE_BANKS - 1), 0, 0, 0, ANY, mce_bank },

	{ ONE(MSR_AMD64_DE_CFG), LIST | FEATURE, 0, FIELD(msr.de_cfg), ANY, de_cfg },
	{ ONE(MSR_K7_HWCR), LIST, 0, FIELD(msr.hwcr),
	  HWCR_IGNORED | HWCR_MCI_STATUS_WR_EN | HWCR_TSC_FREQ_SEL, hwcr },
	{ ONE(MSR_IA32_UCODE_REV), LIST | FEATURE, 0, FIELD(msr.ucode_rev), ANY, ucode_rev },
	{ ONE(MSR_PLATFORM_INFO), LIST | FEATURE | HOST_SET, 0, 0, 0, NULL },
	{ ONE(MSR_MISC_FEATURES_ENABLES), LIST, 0, 0, 0, NULL },
	{ MSR_AMD64_OSVW_ID_LENGTH, MSR_AMD64_OSVW_STATUS, LIST | HOST_SET, X86_FEATURE_OSVW,
	  FIELD(msr.osvw), ANY, NULL },

	/*
	 * Zero to read; what may be written has no effect. Firmware and Linux look at them without
	 * asking CPUID.
	 */
	{ MSR_IA32_P5_MC_ADDR, MSR_IA32_P5_MC_TYPE, READ_ONLY, 0, 0, 0, NULL },
	{ ONE(MSR_IA32_PLATFORM_ID), READ_ONLY, 0, 0, 0, NULL },
	{ ONE(MSR_IA32_UCODE_WRITE), WRITE_ONLY, 0, 0, ANY, NULL },
	{ ONE(MSR_IA32_PERF_STATUS), READ_ONLY, 0, 0, 0, perf_status },
	{ ONE(MSR_IA32_PERF_CTL), 0, 0, 0, ANY, NULL },
	{ ONE(MSR_IA32_DEBUGCTLMSR), 0, 0, 0, 0, NULL },
	{ MSR_IA32_LASTBRANCHFROMIP, MSR_IA32_LASTINTTOIP, 0, 0, 0, 0, NULL },
	{ MSR_K7_EVNTSEL0, MSR_K7_PERFCTR0 + 3, 0, 0, 0, ANY, NULL },
	{ ONE(MSR_AMD64_SYSCFG), 0, 0, 0, ANY, NULL },
	{ ONE(MSR_K8_TOP_MEM1), READ_ONLY, 0, 0, 0, NULL },
	{ ONE(MSR_K8_TOP_MEM2), READ_ONLY, 0, 0, 0, NULL },
	{ MSR_AMD64_NB_CFG, MSR_AMD64_PATCH_LOADER, 0, 0, 0, ANY, NULL },
	{ ONE(MSR_K8_INT_PENDING_MSG), 0, 0, 0, 0, NULL },
	{ ONE(MSR_FAM10H_MMIO_CONF_BASE), 0, 0, 0, 0, NULL },
	{ MSR_K8_TSEG_ADDR, MSR_K8_TSEG_MASK, 0, 0, 0, 0, NULL },
	{ ONE(MSR_VM_CR), 0, 0, 0, 0, NULL },
	{ ONE(MSR_VM_HSAVE_PA), 0, 0, 0, 0, NULL },
	{ MSR_AMD64_DC_CFG, MSR_AMD64_TW_CFG, 0, 0, 0, ANY, NULL },
	{ ONE(MSR_AMD64_BU_CFG2), 0, 0, 0, ANY, NULL },
	{ ONE(MSR_F15H_EX_CFG), 0, 0, 0, ANY, NULL },
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

static bool may_write(struct bawn_vcpu *vcpu, const struct msr_desc *m, u64 value, bool host)
{
	return !(m->flags & READ_ONLY) && (host || !(m->flags & HOST_SET)) &&
	       !(value & ~m->valid) &&
	       (!(m->flags & CANONICAL) || bawn_canonical(vcpu, value));
}

/* Reads or writes an MSR; host: for userspace, which may do more than the guest. */
enum bawn_msr_result bawn_msr_access(struct bawn_vcpu *vcpu, u32 index, u64 *value, bool write,
				     bool host)
{
	const struct msr_desc *m = find_msr(index);
	struct access a = { vcpu, index, write ? *value : 0, write, host };

	if (!write)
		*value = 0;
	if (!m || (!host && m->feature && !bawn_guest_has(vcpu, m->feature)))
		return BAWN_MSR_UNKNOWN;
	if (write) {
		if (!may_write(vcpu, m, a.value, host) || (m->fn && m->fn(&a)))
			return BAWN_MSR_INVALID;
		if (m->field)
			*field_of(vcpu, m, index) = a.value;
		return BAWN_MSR_OK;
	}
	if (m->flags & WRITE_ONLY)
		return host ? BAWN_MSR_OK : BAWN_MSR_INVALID;
	if (m->field)
		a.value = *field_of(vcpu, m, index);
	else if (m->fn && m->fn(&a))
		return BAWN_MSR_INVALID;
	*value = a.value;
	return BAWN_MSR_OK;
}

/* The values at power-on; INIT changes none of them. */
void bawn_msr_reset(struct bawn_vcpu *vcpu)
{
	vcpu->msr = (struct bawn_msr_state){
		.de_cfg = feature_value(MSR_AMD64_DE_CFG),
		.ucode_rev = UCODE_REV_DEFAULT,
	};
	vcpu->pat = PAT_RESET;
	vcpu->misc_enable = MSR_IA32_MISC_ENABLE_BTS_UNAVAIL | MSR_IA32_MISC_ENABLE_PEBS_UNAVAIL;
	vcpu->spec_ctrl = 0;
	vcpu->virt_spec_ctrl = 0;
	vcpu->tsc_aux = 0;
}

/* ---- ioctls ---- */

/*
 * KVM_GET_MSR_INDEX_LIST and KVM_GET_MSR_FEATURE_INDEX_LIST: E2BIG, and how many there are, when
 * userspace's array is too small.
 */
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

	if (vcpu && vcpu->state_protected && vcpu->vm->tee->own_msr(e->index))
		return false;
	if (vcpu)
		return bawn_msr_access(vcpu, e->index, &e->data, write, true) == BAWN_MSR_OK;
	if (!m || !(m->flags & FEATURE))
		return false;
	e->data = feature_value(e->index);
	return true;
}

/*
 * KVM_GET_MSRS and KVM_SET_MSRS: in order until one fails; how many were done. vcpu NULL: on the
 * device, what the host has of the feature MSRs.
 */
long bawn_msrs_ioctl(struct bawn_vcpu *vcpu, struct kvm_msrs __user *arg, bool write)
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
	if (!write && copy_to_user(arg->entries, e, nr * sizeof(*e)))
		done = -EFAULT;
	kvfree(e);
	return done;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUID: what this host can offer a guest (KVM_GET_SUPPORTED_CPUID), what userspace chose for one
 * vCPU, and the limits that follow from the choice. Userspace may claim features that are not
 * there; then the guest's own attempts to use them fault, nothing else.
 * Offered is what needs no support beyond saving registers; the masks below are the whole list.
 */
#include "bawn.h"
#include "compat.h"
#include <linux/nospec.h>
#include <asm/cpufeature.h>
#include <asm/fpu/xcr.h>
#include <asm/msr-index.h>
#include <asm/processor.h>

enum { EAX, EBX, ECX, EDX };

#define F(name) BIT(X86_FEATURE_##name & 31)
#define ALL (~0u)

/* Sizes and offsets of XSAVE areas: CPUID leaf 0xD. */
#define XSAVE_LEGACY_AND_HEADER 576
#define XSAVE_ALIGN_64 BIT(1) /* ECX of a component */

#define XCR0_OFFERED (XFEATURE_MASK_FP | XFEATURE_MASK_SSE | XFEATURE_MASK_YMM | \
		      XFEATURE_MASK_AVX512)

/* CPUID 8000_0021 ECX: no Transient Scheduler Attack by the store queue, by L1 */
#define TSA_SQ_NO BIT(1)
#define TSA_L1_NO BIT(2)

/* Leaf 1 and its copy in 8000_0001. */
#define BASE_EDX (F(FPU) | F(VME) | F(DE) | F(PSE) | F(TSC) | F(MSR) | F(PAE) | F(MCE) | F(CX8) | \
		  F(APIC) | F(MTRR) | F(PGE) | F(MCA) | F(CMOV) | F(PAT) | F(PSE36) | F(MMX) | \
		  F(FXSR))

/*
 * One register of features. host: the word of boot_cpu_data that says what the host kernel left
 * enabled, which also is what X86_FEATURE_* / 32 finds; NCAPINTS: it keeps none.
 */
static const struct feature_word {
	u32 leaf;
	u8 subleaf, reg, host;
	u32 mask;
	u32 emulated; /* offered on any host */
} words[] = {
	{ 1, 0, ECX, CPUID_1_ECX,
	  F(XMM3) | F(PCLMULQDQ) | F(SSSE3) | F(FMA) | F(CX16) | F(PCID) | F(XMM4_1) | F(XMM4_2) |
	  F(MOVBE) | F(POPCNT) | F(AES) | F(XSAVE) | F(AVX) | F(F16C) | F(RDRAND),
	  F(X2APIC) | F(TSC_DEADLINE_TIMER) | F(HYPERVISOR) },
	{ 1, 0, EDX, CPUID_1_EDX,
	  BASE_EDX | F(SEP) | F(CLFLUSH) | F(XMM) | F(XMM2) | F(SELFSNOOP), 0 },
	{ 7, 0, EBX, CPUID_7_0_EBX,
	  F(FSGSBASE) | F(BMI1) | F(AVX2) | F(FDP_EXCPTN_ONLY) | F(SMEP) | F(BMI2) | F(ERMS) |
	  F(INVPCID) | F(ZERO_FCS_FDS) | F(AVX512F) | F(AVX512DQ) | F(RDSEED) | F(ADX) | F(SMAP) |
	  F(AVX512IFMA) | F(CLFLUSHOPT) | F(CLWB) | F(AVX512CD) | F(SHA_NI) | F(AVX512BW) |
	  F(AVX512VL),
	  F(TSC_ADJUST) },
	{ 7, 0, ECX, CPUID_7_ECX,
	  F(AVX512VBMI) | F(UMIP) | F(AVX512_VBMI2) | F(GFNI) | F(VAES) | F(VPCLMULQDQ) |
	  F(AVX512_VNNI) | F(AVX512_BITALG) | F(AVX512_VPOPCNTDQ) | F(LA57) | F(RDPID) |
	  F(CLDEMOTE) | F(MOVDIRI) | F(MOVDIR64B), 0 },
	{ 7, 0, EDX, CPUID_7_EDX,
	  F(FSRM) | F(AVX512_VP2INTERSECT) | F(MD_CLEAR) | F(SERIALIZE) | F(AVX512_FP16) |
	  F(SPEC_CTRL) | F(INTEL_STIBP) | F(SPEC_CTRL_SSBD), 0 },
	{ 7, 1, EAX, CPUID_7_1_EAX,
	  F(AVX_VNNI) | F(AVX512_BF16) | F(CMPCCXADD) | F(FZRM) | F(FSRS) | F(FSRC) |
	  F(AVX_IFMA), 0 },
	{ 0xd, 1, EAX, CPUID_D_1_EAX, F(XSAVEOPT) | F(XSAVEC) | F(XGETBV1), 0 },
	{ 0x80000001, 0, ECX, CPUID_8000_0001_ECX,
	  F(LAHF_LM) | F(CMP_LEGACY) | F(CR8_LEGACY) | F(ABM) | F(SSE4A) | F(MISALIGNSSE) |
	  F(3DNOWPREFETCH) | F(OSVW) | F(XOP) | F(FMA4) | F(TBM) | F(TOPOEXT), 0 },
	{ 0x80000001, 0, EDX, CPUID_8000_0001_EDX,
	  BASE_EDX | F(SYSCALL) | F(NX) | F(MMXEXT) | F(FXSR_OPT) | F(GBPAGES) | F(RDTSCP) | F(LM),
	  0 },
	{ 0x80000007, 0, EDX, NCAPINTS, BIT(8), 0 }, /* invariant TSC */
	{ 0x80000008, 0, EBX, CPUID_8000_0008_EBX,
	  F(CLZERO) | F(XSAVEERPTR) | F(WBNOINVD) | F(AMD_IBPB) | F(AMD_IBRS) | F(AMD_STIBP) |
	  F(AMD_STIBP_ALWAYS_ON) | F(AMD_SSBD) | F(AMD_SSB_NO) | F(AMD_PSFD) | F(AMD_IBPB_RET), 0 },
	{ 0x80000021, 0, EAX, CPUID_8000_0021_EAX,
	  F(NO_NESTED_DATA_BP) | F(LFENCE_RDTSC) | F(NULL_SEL_CLR_BASE) | F(AUTOIBRS) | F(SBPB) |
	  F(IBPB_BRTYPE) | F(SRSO_NO) | F(VERW_CLEAR) | F(SRSO_USER_KERNEL_NO), F(NO_SMM_CTL_MSR) },
	{ 0x80000021, 0, ECX, NCAPINTS, TSA_SQ_NO | TSA_L1_NO, 0 },
};

static u32 supported[ARRAY_SIZE(words)] __ro_after_init;

/* Of what microcode brings, CPUID often does not tell; the host kernel knows. */
static const u32 microcode[] = {
	X86_FEATURE_SBPB, X86_FEATURE_IBPB_BRTYPE, X86_FEATURE_SRSO_NO,
	X86_FEATURE_SRSO_USER_KERNEL_NO, X86_FEATURE_VERW_CLEAR,
};

/* The other registers of the leaves that are offered: the host's under these masks. */
static const struct leaf {
	u32 first, last;
	u8 subleaf, last_subleaf;
	bool indexed;
	u32 mask[4];
} leaves[] = {
	{ 0x0, 0x0, 0, 0, false, { ALL, ALL, ALL, ALL } },
	{ 0x1, 0x1, 0, 0, false, { ALL, 0xff00, 0, 0 } }, /* EBX: CLFLUSH size */
	{ 0x2, 0x2, 0, 0, false, { ALL, ALL, ALL, ALL } },
	{ 0x4, 0x4, 0, 3, true, { 0x3ff, ALL, ALL, ALL } }, /* EAX 31:14 are the host's sharing */
	{ 0x6, 0x6, 0, 0, false, { BIT(2), 0, 0, 0 } }, /* always running APIC timer */
	{ 0x7, 0x7, 0, 0, true, { ALL, 0, 0, 0 } },
	{ 0x7, 0x7, 1, 1, true, { 0, 0, 0, BIT(4) | BIT(5) | BIT(10) | BIT(14) } }, /* AVX-* */
	{ 0xb, 0xb, 0, 0, true, { 0, 0, 0, 0 } }, /* the topology is userspace's */
	{ 0x80000000, 0x80000000, 0, 0, false, { ALL, ALL, ALL, ALL } },
	{ 0x80000001, 0x80000001, 0, 0, false, { ALL, 0, 0, 0 } },
	{ 0x80000002, 0x80000006, 0, 0, false, { ALL, ALL, ALL, ALL } },
	{ 0x80000007, 0x80000007, 0, 0, false, { 0, 0, 0, 0 } },
	{ 0x80000008, 0x80000008, 0, 0, false, { 0xffff, 0, 0, 0 } },
	{ 0x80000019, 0x80000019, 0, 0, false, { ALL, ALL, 0, 0 } },
	{ 0x8000001a, 0x8000001a, 0, 0, false, { ALL, 0, 0, 0 } },
	{ 0x8000001d, 0x8000001d, 0, 3, true, { 0x3ff, ALL, ALL, ALL } },
	{ 0x8000001e, 0x8000001e, 0, 0, false, { 0, 0, 0, 0 } },
	{ 0x80000021, 0x80000021, 0, 0, false, { 0, 0, 0, 0 } },
};

#define MAX_BASIC 0x1f
#define MAX_EXTENDED 0x80000021

static bool host_has_leaf(u32 leaf)
{
	return leaf <= cpuid_eax(leaf & 0x80000000);
}

static void host_cpuid(u32 leaf, u32 subleaf, u32 regs[4])
{
	memset(regs, 0, 4 * sizeof(regs[0]));
	if (host_has_leaf(leaf))
		cpuid_count(leaf, subleaf, &regs[EAX], &regs[EBX], &regs[ECX], &regs[EDX]);
}

static struct kvm_cpuid_entry2 *find(struct kvm_cpuid_entry2 *e, unsigned int nr, u32 leaf,
				     u32 subleaf)
{
	for (; nr; e++, nr--)
		if (e->function == leaf && (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) ||
					    e->index == subleaf))
			return e;
	return NULL;
}

static u32 *entry_reg(struct kvm_cpuid_entry2 *e, u8 reg)
{
	return reg == EAX ? &e->eax : reg == EBX ? &e->ebx : reg == ECX ? &e->ecx : &e->edx;
}

static int feature_word(u32 feature)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(words) && words[i].host != feature / 32; i++)
		;
	return i;
}

static void __init offer(u32 feature)
{
	supported[feature_word(feature)] |= BIT(feature & 31);
}

void __init bawn_cpuid_setup(void)
{
	u32 regs[4];
	int i;

	for (i = 0; i < ARRAY_SIZE(words); i++) {
		const struct feature_word *w = &words[i];

		host_cpuid(w->leaf, w->subleaf, regs);
		if (w->leaf == 7 && w->subleaf > cpuid_eax(7))
			regs[w->reg] = 0;
		supported[i] = regs[w->reg] & w->mask;
		if (w->host != NCAPINTS)
			supported[i] &= boot_cpu_data.x86_capability[w->host];
		supported[i] |= w->emulated;
	}
	for (i = 0; i < ARRAY_SIZE(microcode); i++)
		if (boot_cpu_has(microcode[i]))
			offer(microcode[i]);
	/* SSBD that the host has by a bit of the model's own; guests get it by VIRT_SPEC_CTRL. */
	if (bawn_has_virt_ssbd())
		offer(X86_FEATURE_VIRT_SSBD);
}

/* Is X86_FEATURE_* one that the module offers? */
bool bawn_supports(u32 feature)
{
	int i = feature_word(feature);

	return i < ARRAY_SIZE(words) && supported[i] & BIT(feature & 31);
}

/* Is it offered, and did userspace give it to this vCPU? */
bool bawn_guest_has(struct bawn_vcpu *vcpu, u32 feature)
{
	const struct feature_word *w = &words[feature_word(feature)];
	struct kvm_cpuid_entry2 *e;

	if (!bawn_supports(feature))
		return false;
	e = find(vcpu->cpuid, vcpu->nr_cpuid, w->leaf, w->subleaf);
	return e && *entry_reg(e, w->reg) & BIT(feature & 31);
}

u64 bawn_feature_bits(struct bawn_vcpu *vcpu, const struct bawn_feature_bits *table, int nr)
{
	u64 all = 0;

	for (; nr; table++, nr--)
		if (vcpu ? bawn_guest_has(vcpu, table->feature) : bawn_supports(table->feature))
			all |= table->bits;
	return all;
}

u64 bawn_xcr0_supported(void)
{
	if (!boot_cpu_has(X86_FEATURE_OSXSAVE))
		return 0;
	return xgetbv(XCR_XFEATURE_ENABLED_MASK) & XCR0_OFFERED;
}

/* Bytes that XSAVE (or XSAVEC, compacted) needs for these components. SDM volume 1, 13.4. */
static u32 xsave_size(u64 xcr0, bool compacted)
{
	u32 size = XSAVE_LEGACY_AND_HEADER;
	u32 regs[4];
	int i;

	for (i = 2; i < 63; i++) {
		if (!(xcr0 & BIT_ULL(i)))
			continue;
		host_cpuid(0xd, i, regs);
		if (!compacted)
			size = max(size, regs[EBX] + regs[EAX]);
		else if (regs[ECX] & XSAVE_ALIGN_64)
			size = ALIGN(size, 64) + regs[EAX];
		else
			size += regs[EAX];
	}
	return size;
}

/* ---- KVM_GET_SUPPORTED_CPUID ---- */

struct entries {
	struct kvm_cpuid_entry2 *e; /* room for BAWN_MAX_CPUID, which is more than there are */
	u32 nr;
};

static struct kvm_cpuid_entry2 *add(struct entries *out, u32 leaf, u32 subleaf, bool indexed)
{
	struct kvm_cpuid_entry2 *e = &out->e[out->nr++];

	e->function = leaf;
	e->index = subleaf;
	e->flags = indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0;
	return e;
}

static void add_leaf(struct entries *out, const struct leaf *l, u32 leaf, u32 subleaf)
{
	struct kvm_cpuid_entry2 *e;
	u32 regs[4];
	int i;

	if (!host_has_leaf(leaf))
		return;
	host_cpuid(leaf, subleaf, regs);
	e = add(out, leaf, subleaf, l->indexed);
	for (i = 0; i < 4; i++)
		*entry_reg(e, i) = regs[i] & l->mask[i];
	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (words[i].leaf == leaf && words[i].subleaf == subleaf)
			*entry_reg(e, words[i].reg) = supported[i];
	if (leaf == 0)
		e->eax = min(e->eax, MAX_BASIC);
	else if (leaf == 0x80000000)
		e->eax = min(e->eax, MAX_EXTENDED);
	else if (leaf == 7 && subleaf == 0)
		e->eax = min(e->eax, 1);
}

static void add_xsave(struct entries *out)
{
	u64 xcr0 = bawn_xcr0_supported();
	struct kvm_cpuid_entry2 *e;
	u32 regs[4];
	int i;

	if (!bawn_supports(X86_FEATURE_XSAVE))
		return;
	e = add(out, 0xd, 0, true);
	e->eax = xcr0;
	e->edx = xcr0 >> 32;
	e->ebx = xsave_size(xcr0, false);
	e->ecx = e->ebx;
	e = add(out, 0xd, 1, true);
	e->eax = supported[feature_word(X86_FEATURE_XSAVEC)];
	e->ebx = e->eax & F(XSAVEC) ? xsave_size(xcr0, true) : 0;
	for (i = 2; i < 63; i++) {
		if (!(xcr0 & BIT_ULL(i)))
			continue;
		e = add(out, 0xd, i, true);
		host_cpuid(0xd, i, regs);
		e->eax = regs[EAX];
		e->ebx = regs[EBX];
		e->ecx = regs[ECX] & XSAVE_ALIGN_64;
	}
}

static void add_kvm(struct entries *out)
{
	struct kvm_cpuid_entry2 *e = add(out, KVM_CPUID_SIGNATURE, 0, false);

	e->eax = KVM_CPUID_FEATURES;
	e->ebx = 0x4b4d564b; /* "KVMKVMKVM" */
	e->ecx = 0x564b4d56;
	e->edx = 0x4d;
	e = add(out, KVM_CPUID_FEATURES, 0, false);
	e->eax = BIT(KVM_FEATURE_CLOCKSOURCE) | BIT(KVM_FEATURE_NOP_IO_DELAY) |
		 BIT(KVM_FEATURE_CLOCKSOURCE2) | BIT(KVM_FEATURE_STEAL_TIME) |
		 BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT);
}

/* To userspace, whose array must be large enough: else E2BIG. */
static int copy_entries(struct kvm_cpuid2 __user *arg, const struct kvm_cpuid_entry2 *e, u32 nr)
{
	u32 room;

	if (get_user(room, &arg->nent))
		return -EFAULT;
	if (room < nr)
		return -E2BIG;
	return copy_to_user(arg->entries, e, nr * sizeof(*e)) || put_user(nr, &arg->nent) ?
		       -EFAULT : 0;
}

/* KVM_GET_SUPPORTED_CPUID */
int bawn_cpuid_supported(struct kvm_cpuid2 __user *arg)
{
	struct entries out = {};
	u32 leaf, subleaf;
	int i, ret;

	out.e = kvcalloc(BAWN_MAX_CPUID, sizeof(*out.e), GFP_KERNEL_ACCOUNT);
	if (!out.e)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(leaves); i++)
		for (leaf = leaves[i].first; leaf <= leaves[i].last; leaf++)
			for (subleaf = leaves[i].subleaf; subleaf <= leaves[i].last_subleaf;
			     subleaf++)
				add_leaf(&out, &leaves[i], leaf, subleaf);
	add_xsave(&out);
	add_kvm(&out);
	ret = copy_entries(arg, out.e, out.nr);
	kvfree(out.e);
	return ret;
}

/* ---- One vCPU's CPUID ---- */

/* Where a leaf's entries begin; the leaves that guests ask for have a place of their own. */
static u8 *first_entry(struct bawn_vcpu *vcpu, u32 leaf)
{
	u32 n = leaf & ~BIT(31);

	return n >= BAWN_CPUID_INDEXED ? NULL :
	       &vcpu->cpuid_first[leaf >> 31][array_index_nospec(n, BAWN_CPUID_INDEXED)];
}

static void index_entries(struct bawn_vcpu *vcpu)
{
	unsigned int i;

	BUILD_BUG_ON(BAWN_MAX_CPUID - 1 > U8_MAX);
	memset(vcpu->cpuid_first, 0, sizeof(vcpu->cpuid_first));
	for (i = vcpu->nr_cpuid; i-- > 0;) {
		u8 *first = first_entry(vcpu, vcpu->cpuid[i].function);

		if (first)
			*first = i;
	}
}

const struct kvm_cpuid_entry2 *bawn_cpuid_find(struct bawn_vcpu *vcpu, u32 leaf, u32 subleaf)
{
	u8 *first = first_entry(vcpu, leaf);
	u8 i = first ? *first : 0;

	return find(vcpu->cpuid + i, vcpu->nr_cpuid - i, leaf, subleaf);
}

/* OSXSAVE, the APIC's bit and XSAVE's sizes follow registers. */
static void update_runtime(struct bawn_vcpu *vcpu, struct kvm_cpuid_entry2 *entries,
			   unsigned int nr)
{
	struct kvm_cpuid_entry2 *e = find(entries, nr, 1, 0);

	if (e) {
		e->ecx &= ~F(OSXSAVE);
		if (e->ecx & F(XSAVE) && vcpu->cr4 & X86_CR4_OSXSAVE)
			e->ecx |= F(OSXSAVE);
		e->edx &= ~F(APIC);
		if (vcpu->apic_base & MSR_IA32_APICBASE_ENABLE)
			e->edx |= F(APIC);
	}
	e = find(entries, nr, 0xd, 0);
	if (e)
		e->ebx = xsave_size(vcpu->xcr0, false);
	e = find(entries, nr, 0xd, 1);
	if (e && e->eax & (F(XSAVEC) | F(XSAVES)))
		e->ebx = xsave_size(vcpu->xcr0, true);
}

void bawn_cpuid_runtime_update(struct bawn_vcpu *vcpu)
{
	update_runtime(vcpu, vcpu->cpuid, vcpu->nr_cpuid);
}

/* CR4 and EFER bits that exist only with a feature. */
static const struct bawn_feature_bits cr4_features[] = {
	{ X86_FEATURE_XSAVE, X86_CR4_OSXSAVE },	    { X86_FEATURE_SMEP, X86_CR4_SMEP },
	{ X86_FEATURE_SMAP, X86_CR4_SMAP },	    { X86_FEATURE_PCID, X86_CR4_PCIDE },
	{ X86_FEATURE_FSGSBASE, X86_CR4_FSGSBASE }, { X86_FEATURE_UMIP, X86_CR4_UMIP },
	{ X86_FEATURE_LA57, X86_CR4_LA57 },
};

static const struct bawn_feature_bits efer_features[] = {
	{ X86_FEATURE_SYSCALL, EFER_SCE },     { X86_FEATURE_LM, EFER_LME | EFER_LMA },
	{ X86_FEATURE_NX, EFER_NX },	       { X86_FEATURE_FXSR_OPT, EFER_FFXSR },
	{ X86_FEATURE_AUTOIBRS, EFER_AUTOIBRS },
};

#define CR4_ALWAYS ((u64)X86_CR4_VME | X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE | X86_CR4_PSE | \
		    X86_CR4_PAE | X86_CR4_MCE | X86_CR4_PGE | X86_CR4_PCE | X86_CR4_OSFXSR | \
		    X86_CR4_OSXMMEXCPT)

void bawn_cpuid_limits(struct bawn_vcpu *vcpu)
{
	const struct kvm_cpuid_entry2 *e = bawn_cpuid_find(vcpu, 0x80000008, 0);

	vcpu->maxphyaddr = clamp(e && e->eax & 0xff ? e->eax & 0xff : 36, 32, 52);
	e = bawn_cpuid_find(vcpu, 0xd, 0);
	vcpu->xcr0_allowed = e ? (e->eax | (u64)e->edx << 32) & bawn_xcr0_supported() : 0;

	vcpu->cr4_reserved = ~(CR4_ALWAYS | bawn_feature_bits(vcpu, cr4_features,
							      ARRAY_SIZE(cr4_features)));
	/* Without CPUID anything goes: userspace may set EFER first. */
	vcpu->efer_allowed = bawn_feature_bits(vcpu->nr_cpuid ? vcpu : NULL, efer_features,
					       ARRAY_SIZE(efer_features));
}

/* KVM_SET_CPUID2. What a vCPU that has run knows of its processor cannot change: EINVAL. */
int bawn_cpuid_set(struct bawn_vcpu *vcpu, struct kvm_cpuid2 __user *arg)
{
	struct kvm_cpuid_entry2 *new = NULL, *e;
	u32 nr, virt, i;

	if (get_user(nr, &arg->nent))
		return -EFAULT;
	if (nr > BAWN_MAX_CPUID)
		return -E2BIG;
	if (nr) {
		new = vmemdup_array_user(arg->entries, nr, sizeof(*new));
		if (IS_ERR(new))
			return PTR_ERR(new);
	}
	for (i = 0; i < nr; i++)
		memset(new[i].padding, 0, sizeof(new[i].padding));
	update_runtime(vcpu, new, nr);

	e = find(new, nr, 0x80000008, 0);
	virt = e ? (e->eax >> 8) & 0xff : 0;
	if (virt != 0 && virt != 48 && virt != 57)
		goto invalid;
	if (vcpu->has_run) {
		if (nr != vcpu->nr_cpuid || memcmp(new, vcpu->cpuid, nr * sizeof(*new)))
			goto invalid;
		kvfree(new);
		return 0;
	}
	kvfree(vcpu->cpuid);
	vcpu->cpuid = new;
	vcpu->nr_cpuid = nr;
	index_entries(vcpu);
	bawn_cpuid_limits(vcpu);
	return 0;

invalid:
	kvfree(new);
	return -EINVAL;
}

/* KVM_GET_CPUID2 */
int bawn_cpuid_get(struct bawn_vcpu *vcpu, struct kvm_cpuid2 __user *arg)
{
	return copy_entries(arg, vcpu->cpuid, vcpu->nr_cpuid);
}

/* What the guest's CPUID instruction answers; regs are EAX, EBX, ECX, EDX. */
void bawn_cpuid(struct bawn_vcpu *vcpu, u32 leaf, u32 subleaf, u32 regs[4])
{
	const struct kvm_cpuid_entry2 *e = bawn_cpuid_find(vcpu, leaf, subleaf);

	memset(regs, 0, 4 * sizeof(regs[0]));
	if (e) {
		regs[EAX] = e->eax;
		regs[EBX] = e->ebx;
		regs[ECX] = e->ecx;
		regs[EDX] = e->edx;
	}
}

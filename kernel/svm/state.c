// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest registers that live in the VMCB: segments, tables, control registers, MSRs, the TSC.
 * Values arrive checked from core. AMD APM vol. 2, 15.5 and appendix B.
 */
#include <linux/math64.h>
#include <asm/cpufeature.h>
#include <asm/debugreg.h>
#include <asm/msr-index.h>
#include <asm/tlbflush.h>
#include <asm/tsc.h>

#include "compat.h"
#include "svm.h"

/* The VMCB's 12 attribute bits. */
#define ATTR_S BIT(4)
#define ATTR_DPL_SHIFT 5
#define ATTR_P BIT(7)
#define ATTR_AVL BIT(8)
#define ATTR_L BIT(9)
#define ATTR_DB BIT(10)
#define ATTR_G BIT(11)

static struct vmcb_seg *vmcb_seg(struct bawn_vcpu *vcpu, int sreg)
{
	struct vmcb_save_area *s = &to_svm(vcpu)->vmcb->save;

	switch (sreg) {
	case VCPU_SREG_ES: return &s->es;
	case VCPU_SREG_CS: return &s->cs;
	case VCPU_SREG_SS: return &s->ss;
	case VCPU_SREG_DS: return &s->ds;
	case VCPU_SREG_FS: return &s->fs;
	case VCPU_SREG_GS: return &s->gs;
	case VCPU_SREG_LDTR: return &s->ldtr;
	default: return &s->tr;
	}
}

void bawn_svm_get_segment(struct bawn_vcpu *vcpu, int sreg, struct kvm_segment *seg)
{
	const struct vmcb_seg *s = vmcb_seg(vcpu, sreg);

	*seg = (struct kvm_segment){
		.base = s->base,
		.limit = s->limit,
		.selector = s->selector,
		.type = s->attrib & 0xf,
		.s = !!(s->attrib & ATTR_S),
		.dpl = (s->attrib >> ATTR_DPL_SHIFT) & 3,
		.present = !!(s->attrib & ATTR_P),
		.avl = !!(s->attrib & ATTR_AVL),
		.l = !!(s->attrib & ATTR_L),
		.db = !!(s->attrib & ATTR_DB),
		/* #VMEXIT does not always save G; the limit tells it. */
		.g = s->limit > 0xfffff,
	};
	/* The VMCB has no unusable bit: a segment that is not present is unusable. */
	seg->unusable = !seg->present;

	switch (sreg) {
	case VCPU_SREG_TR:
		seg->type |= 2; /* busy, as the other vendor's hardware wants it */
		break;
	case VCPU_SREG_ES:
	case VCPU_SREG_DS:
	case VCPU_SREG_FS:
	case VCPU_SREG_GS:
		/* A loaded data segment was accessed; hardware may have lost the bit. */
		if (!seg->unusable)
			seg->type |= 1;
		break;
	case VCPU_SREG_SS:
		/* A null SS in 64-bit mode may come with stale attributes. */
		if (seg->unusable)
			seg->db = 0;
		seg->dpl = to_svm(vcpu)->vmcb->save.cpl;
		break;
	}
}

void bawn_svm_set_segment(struct bawn_vcpu *vcpu, int sreg, const struct kvm_segment *seg)
{
	struct vmcb_seg *s = vmcb_seg(vcpu, sreg);

	s->base = seg->base;
	s->limit = seg->limit;
	s->selector = seg->selector;
	s->attrib = (seg->type & 0xf) | (seg->s & 1 ? ATTR_S : 0) |
		    (seg->dpl & 3) << ATTR_DPL_SHIFT |
		    (seg->present & 1 && !seg->unusable ? ATTR_P : 0) |
		    (seg->avl & 1 ? ATTR_AVL : 0) | (seg->l & 1 ? ATTR_L : 0) |
		    (seg->db & 1 ? ATTR_DB : 0) | (seg->g & 1 ? ATTR_G : 0);
	if (sreg == VCPU_SREG_SS)
		to_svm(vcpu)->vmcb->save.cpl = seg->dpl & 3;
}

void bawn_svm_get_table(struct bawn_vcpu *vcpu, bool idt, struct kvm_dtable *dt)
{
	struct vmcb_save_area *s = &to_svm(vcpu)->vmcb->save;
	const struct vmcb_seg *t = idt ? &s->idtr : &s->gdtr;

	memset(dt, 0, sizeof(*dt));
	dt->base = t->base;
	dt->limit = t->limit;
}

void bawn_svm_set_table(struct bawn_vcpu *vcpu, bool idt, const struct kvm_dtable *dt)
{
	struct vmcb_save_area *s = &to_svm(vcpu)->vmcb->save;
	struct vmcb_seg *t = idt ? &s->idtr : &s->gdtr;

	t->base = dt->base;
	t->limit = dt->limit;
}

int bawn_svm_cpl(struct bawn_vcpu *vcpu)
{
	return to_svm(vcpu)->vmcb->save.cpl;
}

static __always_inline int code_size(struct bawn_vcpu *vcpu)
{
	u16 attrib = to_svm(vcpu)->vmcb->save.cs.attrib;

	if (vcpu->efer & EFER_LMA && attrib & ATTR_L)
		return 8;
	return attrib & ATTR_DB ? 4 : 2;
}

int bawn_svm_code_size(struct bawn_vcpu *vcpu)
{
	return code_size(vcpu);
}

void bawn_svm_code_segment(struct bawn_vcpu *vcpu, u64 *base, u32 *limit)
{
	const struct vmcb_seg *cs = &to_svm(vcpu)->vmcb->save.cs;

	*base = cs->base;
	*limit = cs->limit;
}

void bawn_svm_advance(struct bawn_vcpu *vcpu, unsigned int len)
{
	u64 rip = vcpu->rip + len;

	vcpu->rip = code_size(vcpu) == 8 ? rip : (u32)rip;
	to_svm(vcpu)->vmcb->control.int_state &= ~SVM_INTERRUPT_SHADOW_MASK;
}

/*
 * CD and NW stay out of the hardware's CR0: a guest must not switch off the caches. While the
 * two differ, every access exits; otherwise only writes that change more than TS and MP do.
 */
void bawn_svm_load_control(struct bawn_vcpu *vcpu)
{
	struct bawn_svm *svm = to_svm(vcpu);
	u64 hw = vcpu->cr0 & ~(u64)(X86_CR0_CD | X86_CR0_NW);

	svm->vmcb->save.cr0 = hw;
	svm_intercept(svm, INTERCEPT_CR0_READ, hw != vcpu->cr0);
	svm_intercept(svm, INTERCEPT_CR0_WRITE, hw != vcpu->cr0);
	svm->vmcb->save.cr3 = vcpu->cr3;
	/* The host's machine checks must reach the host whatever the guest chose. */
	svm->vmcb->save.cr4 = vcpu->cr4 | (cr4_read_shadow() & X86_CR4_MCE);
	svm->vmcb->save.efer = vcpu->efer | EFER_SVME;
	bawn_svm_flush_tlb(vcpu);
}

void bawn_svm_load_debug(struct bawn_vcpu *vcpu)
{
	struct bawn_svm *svm = to_svm(vcpu);
	u32 control = vcpu->debug.control;

	svm->vmcb->save.dr7 = control & KVM_GUESTDBG_USE_HW_BP ? vcpu->debug.user_dr7 :
								 vcpu->debug.guest_dr7;
	svm_intercept(svm, INTERCEPT_EXCEPTION_OFFSET + BP_VECTOR,
		      control & KVM_GUESTDBG_USE_SW_BP);
}

void bawn_svm_load_tsc(struct bawn_vcpu *vcpu)
{
	to_svm(vcpu)->vmcb->control.tsc_offset = vcpu->tsc_offset;
	/* The caller has the vCPU loaded: on whatever CPU it runs next, sched_in() loads it too. */
	preempt_disable();
	svm_load_tsc_ratio(this_cpu_ptr(&bawn_svm_cpu), vcpu);
	preempt_enable();
}

u64 bawn_svm_scale_tsc(u64 ratio, u64 tsc)
{
	return ratio ? mul_u64_u64_shr(tsc, ratio, 32) : tsc;
}

u64 bawn_svm_tsc_ratio(u32 guest_khz)
{
	u64 ratio;

	if (!boot_cpu_has(X86_FEATURE_TSCRATEMSR) || !tsc_khz)
		return 0;
	ratio = mul_u64_u32_div(1ULL << 32, guest_khz, tsc_khz);
	return ratio >= SVM_TSC_RATIO_MIN && ratio <= SVM_TSC_RATIO_MAX ? ratio : 0;
}

u64 *bawn_svm_msr(struct bawn_vcpu *vcpu, u32 index)
{
	struct vmcb_save_area *s = &to_svm(vcpu)->vmcb->save;

	switch (index) {
	case MSR_FS_BASE: return &s->fs.base;
	case MSR_GS_BASE: return &s->gs.base;
	case MSR_KERNEL_GS_BASE: return &s->kernel_gs_base;
	case MSR_STAR: return &s->star;
	case MSR_LSTAR: return &s->lstar;
	case MSR_CSTAR: return &s->cstar;
	case MSR_SYSCALL_MASK: return &s->sfmask;
	case MSR_IA32_SYSENTER_CS: return &s->sysenter_cs;
	case MSR_IA32_SYSENTER_ESP: return &s->sysenter_esp;
	case MSR_IA32_SYSENTER_EIP: return &s->sysenter_eip;
	default: return &s->g_pat;
	}
}

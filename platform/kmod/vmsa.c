// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VMSA becomes a vCPU's state, with the checks that VMRUN makes of it and of its page. The VMSA
 * is the guest's (AP creation) or was measured (launch): nothing in it is trusted.
 * AMD APM vol. 2, 15.5.1, 15.36.12 and table B-4.
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <asm/debugreg.h>
#include <asm/fpu/api.h>
#include <asm/fpu/types.h>
#include <asm/fpu/xcr.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>

#include "bawn/vmsa.h"
#include "platform.h"

#define EFER_DEFINED_HERE (EFER_LMA | EFER_SVME)
#define CR3_RESERVED GENMASK_ULL(63, 52)
#define XSAVE_SIZE 4096 /* struct kvm_xsave */

/* ---- Checks ---- */

static bool page_valid(struct bawn_vcpu *vcpu, u64 pfn)
{
	struct rmp_entry e;

	rmp_get(pfn, &e);
	return rmp_state(&e) == RMP_GUEST_VALID && e.asid == vcpu->vm->snp->asid &&
	       e.flags & RMP_VMSA && !(e.flags & RMP_LARGE);
}

static bool features_valid(struct bawn_vcpu *vcpu, const struct bawn_vmsa *v)
{
	u64 features = le64_to_cpu(v->sev_features);

	/* Guests have VMPL 0 alone here. */
	return features & BAWN_SEV_SNP_ACTIVE && !(features & ~vcpu->vm->snp->ops->sev_features) &&
	       !v->vmpl && v->cpl <= 3 && !v->xss;
}

static bool long_mode_valid(const struct bawn_vmsa *v)
{
	u64 cr0 = le64_to_cpu(v->cr0), cr4 = le64_to_cpu(v->cr4);
	u16 cs = le16_to_cpu(v->cs.attrib);

	if (!(le64_to_cpu(v->efer) & EFER_LME) || !(cr0 & X86_CR0_PG))
		return true;
	if (!(cr4 & X86_CR4_PAE) || !(cr0 & X86_CR0_PE))
		return false;
	return !(cs & BIT(9) && cs & BIT(10)); /* L and D */
}

static bool state_valid(struct bawn_vcpu *vcpu, const struct bawn_vmsa *v)
{
	u64 efer = le64_to_cpu(v->efer), cr0 = le64_to_cpu(v->cr0);

	if (!(efer & EFER_SVME) || efer & ~(vcpu->efer_allowed | EFER_DEFINED_HERE))
		return false;
	if (!bawn_cr0_valid(cr0) || le64_to_cpu(v->cr4) & vcpu->cr4_reserved ||
	    le64_to_cpu(v->cr3) & CR3_RESERVED)
		return false;
	if (le64_to_cpu(v->dr6) >> 32 || le64_to_cpu(v->dr7) >> 32)
		return false;
	return long_mode_valid(v);
}

/* ---- Loading ---- */

static void load_segment(struct bawn_vcpu *vcpu, int sreg, const struct bawn_vmsa_segment *s)
{
	u16 a = le16_to_cpu(s->attrib);
	struct kvm_segment seg = {
		.base = le64_to_cpu(s->base),
		.limit = le32_to_cpu(s->limit),
		.selector = le16_to_cpu(s->selector),
		.type = a & 0xf,
		.s = a >> 4 & 1,
		.dpl = a >> 5 & 3,
		.present = a >> 7 & 1,
		.avl = a >> 8 & 1,
		.l = a >> 9 & 1,
		.db = a >> 10 & 1,
		.g = a >> 11 & 1,
		.unusable = !(a >> 7 & 1),
	};

	bawn_cpu->set_segment(vcpu, sreg, &seg);
}

static void load_segments(struct bawn_vcpu *vcpu, const struct bawn_vmsa *v)
{
	struct bawn_vmsa_segment ss = v->ss;
	struct kvm_dtable gdt = { .base = le64_to_cpu(v->gdtr.base),
				  .limit = le32_to_cpu(v->gdtr.limit) };
	struct kvm_dtable idt = { .base = le64_to_cpu(v->idtr.base),
				  .limit = le32_to_cpu(v->idtr.limit) };

	/* The privilege level is its own field; plain SVM has it in SS. */
	ss.attrib = cpu_to_le16((le16_to_cpu(ss.attrib) & ~(3 << 5)) | v->cpl << 5);
	load_segment(vcpu, VCPU_SREG_ES, &v->es);
	load_segment(vcpu, VCPU_SREG_CS, &v->cs);
	load_segment(vcpu, VCPU_SREG_SS, &ss);
	load_segment(vcpu, VCPU_SREG_DS, &v->ds);
	load_segment(vcpu, VCPU_SREG_FS, &v->fs);
	load_segment(vcpu, VCPU_SREG_GS, &v->gs);
	load_segment(vcpu, VCPU_SREG_LDTR, &v->ldtr);
	load_segment(vcpu, VCPU_SREG_TR, &v->tr);
	bawn_cpu->set_table(vcpu, false, &gdt);
	bawn_cpu->set_table(vcpu, true, &idt);
}

static void load_gprs(struct bawn_vcpu *vcpu, const struct bawn_vmsa *v)
{
	int i;

	vcpu->gpr[VCPU_RAX] = le64_to_cpu(v->rax);
	vcpu->gpr[VCPU_RCX] = le64_to_cpu(v->rcx);
	vcpu->gpr[VCPU_RDX] = le64_to_cpu(v->rdx);
	vcpu->gpr[VCPU_RBX] = le64_to_cpu(v->rbx);
	vcpu->gpr[VCPU_RSP] = le64_to_cpu(v->rsp);
	vcpu->gpr[VCPU_RBP] = le64_to_cpu(v->rbp);
	vcpu->gpr[VCPU_RSI] = le64_to_cpu(v->rsi);
	vcpu->gpr[VCPU_RDI] = le64_to_cpu(v->rdi);
	for (i = 0; i < ARRAY_SIZE(v->r8_to_r15); i++)
		vcpu->gpr[VCPU_R8 + i] = le64_to_cpu(v->r8_to_r15[i]);
	vcpu->rip = le64_to_cpu(v->rip);
	vcpu->rflags = le64_to_cpu(v->rflags) | X86_EFLAGS_FIXED;
}

static void load_control(struct bawn_vcpu *vcpu, const struct bawn_vmsa *v)
{
	vcpu->cr0 = le64_to_cpu(v->cr0) | X86_CR0_ET;
	vcpu->cr2 = le64_to_cpu(v->cr2);
	vcpu->cr3 = le64_to_cpu(v->cr3);
	vcpu->cr4 = le64_to_cpu(v->cr4);
	vcpu->efer = le64_to_cpu(v->efer) & ~(u64)EFER_SVME;
	vcpu->debug.guest_dr6 = le64_to_cpu(v->dr6) | DR6_RESERVED;
	vcpu->debug.guest_dr7 = le64_to_cpu(v->dr7) | 0x400; /* reads as one */
	bawn_cpu->load_control(vcpu);
	bawn_cpu->load_debug(vcpu);
}

static bool load_msrs(struct bawn_vcpu *vcpu, const struct bawn_vmsa *v)
{
	const struct {
		u32 index;
		__le64 value;
	} msrs[] = {
		{ MSR_STAR, v->star },
		{ MSR_LSTAR, v->lstar },
		{ MSR_CSTAR, v->cstar },
		{ MSR_SYSCALL_MASK, v->sfmask },
		{ MSR_KERNEL_GS_BASE, v->kernel_gs_base },
		{ MSR_IA32_SYSENTER_CS, v->sysenter_cs },
		{ MSR_IA32_SYSENTER_ESP, v->sysenter_esp },
		{ MSR_IA32_SYSENTER_EIP, v->sysenter_eip },
	};
	u64 pat = le64_to_cpu(v->g_pat);
	unsigned int i;

	if (bawn_msr_access(vcpu, MSR_IA32_CR_PAT, &pat, true, true) != BAWN_MSR_OK)
		return false;
	for (i = 0; i < ARRAY_SIZE(msrs); i++)
		*bawn_cpu->msr(vcpu, msrs[i].index) = le64_to_cpu(msrs[i].value);
	vcpu->tsc_aux = le32_to_cpu(v->tsc_aux);
	return true;
}

static void fill_xsave(struct xregs_state *x, const struct bawn_vmsa *v)
{
	struct fxregs_state *f = &x->i387;
	u8 *st = (u8 *)f->st_space; /* 16 bytes for each register */
	int i;

	f->cwd = le16_to_cpu(v->x87_fcw);
	f->swd = le16_to_cpu(v->x87_fsw);
	f->twd = (u8)le16_to_cpu(v->x87_ftw);
	f->fop = le16_to_cpu(v->x87_fop);
	f->rip = le64_to_cpu(v->x87_rip);
	f->rdp = le64_to_cpu(v->x87_dp);
	f->mxcsr = le32_to_cpu(v->mxcsr);
	for (i = 0; i < 8; i++) {
		memcpy(st + 16 * i, &v->x87_significand[i], 8);
		memcpy(st + 16 * i + 8, &v->x87_sign_exponent[i], 2);
	}
	memcpy(f->xmm_space, v->xmm, sizeof(v->xmm));
	memcpy((u8 *)x + BAWN_XSAVE_YMM, v->ymm_high, sizeof(v->ymm_high));
	x->header.xfeatures = XFEATURE_MASK_FPSSE | XFEATURE_MASK_YMM;
}

/* The guest's FPU may be this thread's at the moment: then it is taken out and put in again. */
static int load_fpu(struct bawn_vcpu *vcpu, const struct bawn_vmsa *v)
{
	struct xregs_state *x = kzalloc(XSAVE_SIZE, GFP_KERNEL);
	bool loaded = vcpu->fpu.fpstate->in_use;
	u32 pkru = 0;
	int r;

	if (!x)
		return -ENOMEM;
	fill_xsave(x, v);
	x->header.xfeatures &= bawn_xcr0_supported() | XFEATURE_MASK_FPSSE;
	if (loaded)
		fpu_swap_kvm_fpstate(&vcpu->fpu, false);
	r = fpu_copy_uabi_to_guest_fpstate(&vcpu->fpu, x, bawn_xcr0_supported(), &pkru);
	if (loaded)
		fpu_swap_kvm_fpstate(&vcpu->fpu, true);
	kfree(x);
	return r;
}

/* What of events core does not know of. */
static void clear_events(struct bawn_vcpu *vcpu)
{
	to_platform(vcpu)->irq_held = false;
	bawn_cpu->set_nmi_mask(vcpu, false);
	bawn_cpu->set_shadow(vcpu, 0);
}

/* 0 is what guests without XSAVE have there. */
static bool load_xcr0(struct bawn_vcpu *vcpu, const struct bawn_vmsa *v)
{
	return !bawn_set_xcr(vcpu, XCR_XFEATURE_ENABLED_MASK,
			     le64_to_cpu(v->xcr0) ?: XFEATURE_MASK_FP);
}

static int load(struct bawn_vcpu *vcpu, const struct bawn_vmsa *v)
{
	if (!features_valid(vcpu, v) || !state_valid(vcpu, v) || !load_msrs(vcpu, v) ||
	    !load_xcr0(vcpu, v) || load_fpu(vcpu, v))
		return -EINVAL;
	load_gprs(vcpu, v);
	load_control(vcpu, v);
	load_segments(vcpu, v);
	clear_events(vcpu);
	bawn_cpuid_runtime_update(vcpu);
	return 0;
}

int platform_vmsa_load(struct bawn_vcpu *vcpu, u64 pfn)
{
	struct bawn_vmsa *copy;
	int r;

	if (!page_valid(vcpu, pfn))
		return -EINVAL;
	/* Copied once: what the guest's other vCPUs do to the page meanwhile is not looked at. */
	copy = kmalloc(sizeof(*copy), GFP_KERNEL_ACCOUNT);
	if (!copy)
		return -ENOMEM;
	memcpy_from_page((char *)copy, pfn_to_page(pfn), 0, sizeof(*copy));
	r = load(vcpu, copy);
	kfree(copy);
	return r;
}

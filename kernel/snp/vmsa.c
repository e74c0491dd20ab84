// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vCPU's registers as the save area that is measured and run from. Everything that userspace
 * set before the launch is in it; what it does not set has its reset value. AMD APM vol. 2,
 * appendix B, table B-4.
 */
#include <linux/bitops.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <asm/fpu/xcr.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <asm/svm.h>

#include "bawn/vmsa.h"
#include "snp_internal.h"

static void fill_segment(struct bawn_vcpu *vcpu, int sreg, struct bawn_vmsa_segment *out)
{
	struct kvm_segment s;

	bawn_cpu->get_segment(vcpu, sreg, &s);
	out->selector = cpu_to_le16(s.selector);
	out->attrib = cpu_to_le16(s.type | s.s << 4 | s.dpl << 5 | s.present << 7 | s.avl << 8 |
				  s.l << 9 | s.db << 10 | s.g << 11);
	out->limit = cpu_to_le32(s.limit);
	out->base = cpu_to_le64(s.base);
}

static void fill_table(struct bawn_vcpu *vcpu, bool idt, struct bawn_vmsa_segment *out)
{
	struct kvm_dtable t;

	bawn_cpu->get_table(vcpu, idt, &t);
	out->limit = cpu_to_le32(t.limit);
	out->base = cpu_to_le64(t.base);
}

static void fill_general(struct bawn_vcpu *vcpu, struct bawn_vmsa *v)
{
	int i;

	v->rax = cpu_to_le64(vcpu->gpr[VCPU_RAX]);
	v->rcx = cpu_to_le64(vcpu->gpr[VCPU_RCX]);
	v->rdx = cpu_to_le64(vcpu->gpr[VCPU_RDX]);
	v->rbx = cpu_to_le64(vcpu->gpr[VCPU_RBX]);
	v->rsp = cpu_to_le64(vcpu->gpr[VCPU_RSP]);
	v->rbp = cpu_to_le64(vcpu->gpr[VCPU_RBP]);
	v->rsi = cpu_to_le64(vcpu->gpr[VCPU_RSI]);
	v->rdi = cpu_to_le64(vcpu->gpr[VCPU_RDI]);
	for (i = 0; i < 8; i++)
		v->r8_to_r15[i] = cpu_to_le64(vcpu->gpr[VCPU_R8 + i]);
	v->rip = cpu_to_le64(vcpu->rip);
	v->rflags = cpu_to_le64(vcpu->rflags);
}

static void fill_msrs(struct bawn_vcpu *vcpu, struct bawn_vmsa *v)
{
	const struct {
		u32 index;
		__le64 *to;
	} msrs[] = {
		{ MSR_STAR, &v->star },
		{ MSR_LSTAR, &v->lstar },
		{ MSR_CSTAR, &v->cstar },
		{ MSR_SYSCALL_MASK, &v->sfmask },
		{ MSR_KERNEL_GS_BASE, &v->kernel_gs_base },
		{ MSR_IA32_SYSENTER_CS, &v->sysenter_cs },
		{ MSR_IA32_SYSENTER_ESP, &v->sysenter_esp },
		{ MSR_IA32_SYSENTER_EIP, &v->sysenter_eip },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(msrs); i++)
		*msrs[i].to = cpu_to_le64(*bawn_cpu->msr(vcpu, msrs[i].index));
}

static void fill_x87(const struct fxregs_state *fx, struct bawn_vmsa *v)
{
	const u8 *st = (const u8 *)fx->st_space; /* 16 bytes for each register */
	int i;

	v->x87_dp = cpu_to_le64(fx->rdp);
	v->mxcsr = cpu_to_le32(fx->mxcsr);
	v->x87_ftw = cpu_to_le16(fx->twd);
	v->x87_fsw = cpu_to_le16(fx->swd);
	v->x87_fcw = cpu_to_le16(fx->cwd);
	v->x87_fop = cpu_to_le16(fx->fop);
	v->x87_rip = cpu_to_le64(fx->rip);
	for (i = 0; i < 8; i++) {
		memcpy(&v->x87_significand[i], st + 16 * i, 8);
		memcpy(&v->x87_sign_exponent[i], st + 16 * i + 8, 2);
	}
}

/* By the format of KVM_GET_XSAVE: of states that were never set it has what they are at reset. */
static int fill_fpu(struct bawn_vcpu *vcpu, struct bawn_vmsa *v)
{
	struct kvm_xsave *area = kzalloc(sizeof(*area), GFP_KERNEL_ACCOUNT);
	const struct xregs_state *x = (const void *)area;

	if (!area)
		return -ENOMEM;
	fpu_copy_guest_fpstate_to_uabi(&vcpu->fpu, area, sizeof(*area),
				       bawn_xcr0_supported() | XFEATURE_MASK_FPSSE, 0);
	fill_x87(&x->i387, v);
	memcpy(v->xmm, x->i387.xmm_space, sizeof(v->xmm));
	if (x->header.xfeatures & XFEATURE_MASK_YMM)
		memcpy(v->ymm_high, (const u8 *)area + BAWN_XSAVE_YMM, sizeof(v->ymm_high));
	kfree(area);
	return 0;
}

int bawn_snp_vmsa_fill(struct bawn_vcpu *vcpu, void *page)
{
	struct bawn_vmsa *v = page;

	BUILD_BUG_ON(sizeof(*v) != BAWN_VMSA_SIZE);
	memset(v, 0, sizeof(*v));
	fill_segment(vcpu, VCPU_SREG_ES, &v->es);
	fill_segment(vcpu, VCPU_SREG_CS, &v->cs);
	fill_segment(vcpu, VCPU_SREG_SS, &v->ss);
	fill_segment(vcpu, VCPU_SREG_DS, &v->ds);
	fill_segment(vcpu, VCPU_SREG_FS, &v->fs);
	fill_segment(vcpu, VCPU_SREG_GS, &v->gs);
	fill_segment(vcpu, VCPU_SREG_LDTR, &v->ldtr);
	fill_segment(vcpu, VCPU_SREG_TR, &v->tr);
	fill_table(vcpu, false, &v->gdtr);
	fill_table(vcpu, true, &v->idtr);
	v->cpl = bawn_cpu->cpl(vcpu);
	v->efer = cpu_to_le64(vcpu->efer | EFER_SVME); /* VMRUN asks for it */
	v->cr0 = cpu_to_le64(vcpu->cr0);
	v->cr2 = cpu_to_le64(vcpu->cr2);
	v->cr3 = cpu_to_le64(vcpu->cr3);
	v->cr4 = cpu_to_le64(vcpu->cr4);
	v->dr6 = cpu_to_le64(vcpu->debug.guest_dr6);
	v->dr7 = cpu_to_le64(vcpu->debug.guest_dr7);
	fill_general(vcpu, v);
	fill_msrs(vcpu, v);
	v->g_pat = cpu_to_le64(vcpu->pat);
	v->sev_features = cpu_to_le64(vcpu->vm->snp->vmsa_features);
	v->xcr0 = cpu_to_le64(vcpu->xcr0);
	return fill_fpu(vcpu, v);
}

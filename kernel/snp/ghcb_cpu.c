// SPDX-License-Identifier: GPL-2.0-only
/*
 * Instructions that a guest has executed for it by the GHCB: CPUID, RDMSR and WRMSR, RDTSC,
 * VMMCALL, moves of DR7. AMD 56421, 4.1.
 */
#include <linux/kvm_para.h>
#include <asm/fpu/xcr.h>
#include <asm/msr.h>
#include <asm/msr-index.h>
#include <asm/tsc.h>

#include "ghcb.h"

#define CPUID_XSAVE 0xd
#define DR7_ALWAYS 0x400

/* Some sizes in leaf 0xd follow XCR0, which the host does not see elsewhere. */
int ghcb_cpuid(struct bawn_vcpu *vcpu)
{
	u32 leaf = ghcb_read(vcpu, GHCB_RAX), regs[4];
	u64 xcr0 = vcpu->xcr0;

	if (leaf == CPUID_XSAVE) {
		if (!ghcb_has(vcpu, GHCB_XCR0))
			return ghcb_refuse(vcpu, GHCB_ERR_MISSING_INPUT);
		if (ghcb_read(vcpu, GHCB_XCR0) != xcr0 &&
		    bawn_set_xcr(vcpu, XCR_XFEATURE_ENABLED_MASK, ghcb_read(vcpu, GHCB_XCR0)))
			return ghcb_refuse(vcpu, GHCB_ERR_INVALID_INPUT);
	}
	bawn_cpuid(vcpu, leaf, ghcb_read(vcpu, GHCB_RCX), regs);
	/* It is the guest's register all the same: not set by asking for a size. */
	if (leaf == CPUID_XSAVE) {
		vcpu->xcr0 = xcr0;
		bawn_cpuid_runtime_update(vcpu);
	}
	ghcb_put(vcpu, GHCB_RAX, regs[0]);
	ghcb_put(vcpu, GHCB_RBX, regs[1]);
	ghcb_put(vcpu, GHCB_RCX, regs[2]);
	ghcb_put(vcpu, GHCB_RDX, regs[3]);
	return ghcb_done(vcpu);
}

/* ---- MSRs ---- */

/* These are in the save area or are the protocol's: never the host's to read or write. */
static const u32 own_msrs[] = {
	MSR_EFER,
	MSR_IA32_CR_PAT,
	MSR_FS_BASE,
	MSR_GS_BASE,
	MSR_KERNEL_GS_BASE,
	MSR_STAR,
	MSR_LSTAR,
	MSR_CSTAR,
	MSR_SYSCALL_MASK,
	MSR_IA32_SYSENTER_CS,
	MSR_IA32_SYSENTER_ESP,
	MSR_IA32_SYSENTER_EIP,
};

bool bawn_snp_own_msr(u32 index)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(own_msrs); i++)
		if (own_msrs[i] == index)
			return true;
	return false;
}

static int msr_done(struct bawn_vcpu *vcpu, u64 value)
{
	if (!ghcb_read(vcpu, GHCB_INFO1)) {
		ghcb_put(vcpu, GHCB_RAX, (u32)value);
		ghcb_put(vcpu, GHCB_RDX, value >> 32);
	}
	return ghcb_done(vcpu);
}

/* Userspace has answered: error set means #GP. */
static int complete_msr(struct bawn_vcpu *vcpu)
{
	return READ_ONCE(vcpu->run->msr.error) ? ghcb_raise_gp(vcpu)
					       : msr_done(vcpu, READ_ONCE(vcpu->run->msr.data));
}

static int msr_refused(struct bawn_vcpu *vcpu, u32 index, u64 value, bool write, u32 reason)
{
	struct kvm_run *run = vcpu->run;

	if (!(READ_ONCE(vcpu->vm->user_msr_mask) & reason))
		return ghcb_raise_gp(vcpu);
	run->exit_reason = write ? KVM_EXIT_X86_WRMSR : KVM_EXIT_X86_RDMSR;
	memset(&run->msr, 0, sizeof(run->msr));
	run->msr.reason = reason;
	run->msr.index = index;
	run->msr.data = write ? value : 0;
	vcpu->complete = complete_msr;
	return 0;
}

/* SW_EXITINFO1: 0 reads, 1 writes. */
int ghcb_msr(struct bawn_vcpu *vcpu)
{
	u64 value = (u32)ghcb_read(vcpu, GHCB_RAX) | ghcb_read(vcpu, GHCB_RDX) << 32;
	u64 write = ghcb_read(vcpu, GHCB_INFO1);
	u32 index = ghcb_read(vcpu, GHCB_RCX);

	if (write > 1)
		return ghcb_refuse(vcpu, GHCB_ERR_INVALID_INPUT);
	if (write && (!ghcb_has(vcpu, GHCB_RAX) || !ghcb_has(vcpu, GHCB_RDX)))
		return ghcb_refuse(vcpu, GHCB_ERR_MISSING_INPUT);
	if (bawn_snp_own_msr(index))
		return ghcb_raise_gp(vcpu);
	if (!bawn_msr_allowed(vcpu->vm, index, write))
		return msr_refused(vcpu, index, value, write, KVM_MSR_EXIT_REASON_FILTER);
	switch (bawn_msr_access(vcpu, index, &value, write, false)) {
	case BAWN_MSR_OK:
		return msr_done(vcpu, value);
	case BAWN_MSR_UNKNOWN:
		return msr_refused(vcpu, index, value, write, KVM_MSR_EXIT_REASON_UNKNOWN);
	default:
		return msr_refused(vcpu, index, value, write, KVM_MSR_EXIT_REASON_INVAL);
	}
}

/* ---- The rest ---- */

int ghcb_rdtsc(struct bawn_vcpu *vcpu)
{
	u64 tsc = bawn_read_guest_tsc(vcpu, rdtsc());

	ghcb_put(vcpu, GHCB_RAX, (u32)tsc);
	ghcb_put(vcpu, GHCB_RDX, tsc >> 32);
	return ghcb_done(vcpu);
}

int ghcb_rdtscp(struct bawn_vcpu *vcpu)
{
	ghcb_put(vcpu, GHCB_RCX, vcpu->tsc_aux);
	return ghcb_rdtsc(vcpu);
}

/* No hypercall is served; like KVM, user code is told apart. */
int ghcb_vmmcall(struct bawn_vcpu *vcpu)
{
	s64 ret = ghcb_read(vcpu, GHCB_CPL) ? -KVM_EPERM : -KVM_ENOSYS;

	ghcb_put(vcpu, GHCB_RAX, ret);
	return ghcb_done(vcpu);
}

/* Breakpoints are not kept for guests that hide their registers: the value alone is. */
int ghcb_read_dr7(struct bawn_vcpu *vcpu)
{
	ghcb_put(vcpu, GHCB_RAX, vcpu->snp->dr7 | DR7_ALWAYS);
	return ghcb_done(vcpu);
}

int ghcb_write_dr7(struct bawn_vcpu *vcpu)
{
	u64 value = ghcb_read(vcpu, GHCB_RAX);

	if (value >> 32)
		return ghcb_raise_gp(vcpu);
	vcpu->snp->dr7 = value;
	return ghcb_done(vcpu);
}

/* The guest cannot show its IRET to the host. */
int ghcb_nmi_complete(struct bawn_vcpu *vcpu)
{
	bawn_cpu->set_nmi_mask(vcpu, false);
	return ghcb_done(vcpu);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Control, extended-control and debug registers: the checks that hardware makes before it
 * loads them, for guests (exits) and for userspace alike. 0, or 1 for #GP.
 * AMD APM vol. 2, chapter 3; Intel SDM vol. 3, 2.5.
 */
#include <asm/debugreg.h>
#include <asm/fpu/xcr.h>
#include <asm/processor-flags.h>

#include "bawn.h"

#define CR0_DEFINED                                                                            \
	((u64)(X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_ET | X86_CR0_NE |    \
	       X86_CR0_WP | X86_CR0_AM | X86_CR0_NW | X86_CR0_CD | X86_CR0_PG))
/* DR6: B0..B3, BD, BS, BT may be set; the rest reads as ones but bit 12 (AMD APM vol. 2, 13.1). */
#define DR6_DEFINED 0xe00fULL
#define DR6_FIXED_ONE 0xffff0ff0ULL
/* DR7: enables, LE, GE, GD and the conditions; bit 10 reads as one. */
#define DR7_DEFINED 0xffff23ffULL
#define XCR0_AVX512 (XFEATURE_MASK_OPMASK | XFEATURE_MASK_ZMM_Hi256 | XFEATURE_MASK_Hi16_ZMM)

bool bawn_long_mode(struct bawn_vcpu *vcpu)
{
	return bawn_cpu->code_size(vcpu) == 8;
}

bool bawn_cr0_valid(u64 cr0)
{
	if (cr0 >> 32)
		return false;
	if (cr0 & X86_CR0_NW && !(cr0 & X86_CR0_CD))
		return false;
	return !(cr0 & X86_CR0_PG) || cr0 & X86_CR0_PE;
}

int bawn_set_cr0(struct bawn_vcpu *vcpu, u64 cr0)
{
	u64 old = vcpu->cr0;

	if (!bawn_cr0_valid(cr0))
		return 1;
	cr0 = (cr0 & CR0_DEFINED) | X86_CR0_ET;
	if (cr0 & X86_CR0_PG && !(old & X86_CR0_PG) && vcpu->efer & EFER_LME) {
		struct kvm_segment cs;

		bawn_cpu->get_segment(vcpu, VCPU_SREG_CS, &cs);
		if (!(vcpu->cr4 & X86_CR4_PAE) || cs.l)
			return 1;
		vcpu->efer |= EFER_LMA;
	}
	if (!(cr0 & X86_CR0_PG) && old & X86_CR0_PG) {
		if (bawn_long_mode(vcpu) || vcpu->cr4 & X86_CR4_PCIDE)
			return 1;
		vcpu->efer &= ~(u64)EFER_LMA;
	}
	vcpu->cr0 = cr0;
	bawn_cpu->load_control(vcpu);
	return 0;
}

static bool cr3_valid(struct bawn_vcpu *vcpu, u64 cr3)
{
	return !(vcpu->efer & EFER_LMA) || !(cr3 >> vcpu->maxphyaddr);
}

int bawn_set_cr3(struct bawn_vcpu *vcpu, u64 cr3)
{
	/* Bit 63 is an instruction to the TLB, not part of the register. */
	if (vcpu->cr4 & X86_CR4_PCIDE)
		cr3 &= ~X86_CR3_PCID_NOFLUSH;
	if (!cr3_valid(vcpu, cr3))
		return 1;
	vcpu->cr3 = cr3;
	bawn_cpu->load_control(vcpu);
	return 0;
}

int bawn_set_cr4(struct bawn_vcpu *vcpu, u64 cr4)
{
	u64 old = vcpu->cr4;

	if (cr4 & vcpu->cr4_reserved)
		return 1;
	if (vcpu->efer & EFER_LMA && (!(cr4 & X86_CR4_PAE) || (cr4 ^ old) & X86_CR4_LA57))
		return 1;
	if (cr4 & X86_CR4_PCIDE && !(old & X86_CR4_PCIDE) &&
	    (!(vcpu->efer & EFER_LMA) || vcpu->cr3 & X86_CR3_PCID_MASK))
		return 1;
	vcpu->cr4 = cr4;
	bawn_cpu->load_control(vcpu);
	if ((cr4 ^ old) & X86_CR4_OSXSAVE)
		bawn_cpuid_runtime_update(vcpu);
	return 0;
}

int bawn_set_efer(struct bawn_vcpu *vcpu, u64 efer)
{
	if (efer & ~(vcpu->efer_allowed | EFER_LMA))
		return 1;
	if (vcpu->cr0 & X86_CR0_PG && (efer ^ vcpu->efer) & EFER_LME)
		return 1;
	vcpu->efer = (efer & ~(u64)EFER_LMA) | (vcpu->efer & EFER_LMA);
	bawn_cpu->load_control(vcpu);
	return 0;
}

int bawn_set_cr8(struct bawn_vcpu *vcpu, u64 cr8)
{
	if (cr8 & ~0xfULL)
		return 1;
	if (vcpu->apic)
		bawn_lapic_set_cr8(vcpu, cr8);
	else
		vcpu->cr8 = cr8;
	return 0;
}

int bawn_set_xcr(struct bawn_vcpu *vcpu, u32 index, u64 value)
{
	if (index != XCR_XFEATURE_ENABLED_MASK || !(value & XFEATURE_MASK_FP))
		return 1;
	/* x87 is there without XSAVE too, in whose CPUID leaf the others are. */
	if (value & ~(vcpu->xcr0_allowed | XFEATURE_MASK_FP))
		return 1;
	if (value & XFEATURE_MASK_YMM && !(value & XFEATURE_MASK_SSE))
		return 1;
	if (value & XCR0_AVX512 &&
	    (!(value & XFEATURE_MASK_YMM) || (value & XCR0_AVX512) != XCR0_AVX512))
		return 1;
	vcpu->xcr0 = value;
	bawn_cpuid_runtime_update(vcpu);
	return 0;
}

u64 bawn_get_dr(struct bawn_vcpu *vcpu, int dr)
{
	return dr < 4 ? vcpu->debug.guest_db[dr] :
	       dr == 6 ? vcpu->debug.guest_dr6 : vcpu->debug.guest_dr7;
}

int bawn_set_dr(struct bawn_vcpu *vcpu, int dr, u64 value)
{
	if (dr < 4) {
		vcpu->debug.guest_db[dr] = value;
		return 0;
	}
	if (value >> 32)
		return 1;
	if (dr == 6)
		vcpu->debug.guest_dr6 = (value & DR6_DEFINED) | DR6_FIXED_ONE;
	else
		vcpu->debug.guest_dr7 = (value & DR7_DEFINED) | DR7_FIXED_ONE;
	bawn_cpu->load_debug(vcpu);
	return 0;
}

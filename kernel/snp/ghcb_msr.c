// SPDX-License-Identifier: GPL-2.0-only
/*
 * The GHCB's MSR protocol: requests of one register, before the guest has a page to share.
 * AMD 56421, 2.3.1. What is not known ends the guest: it cannot be told.
 */
#include "ghcb.h"

static int answer(struct bawn_vcpu *vcpu, u64 value)
{
	vcpu->vm->snp->ops->ghcb_set(vcpu, value);
	return 1;
}

static int sev_info(struct bawn_vcpu *vcpu, u64 request)
{
	u64 cbit = vcpu->vm->snp->ops->cbit();

	return answer(vcpu, GHCB_MSR_SEV_INFO((u64)vcpu->vm->snp->ghcb_version,
					      (u64)GHCB_VERSION_MIN, cbit));
}

static int cpuid_request(struct bawn_vcpu *vcpu, u64 request)
{
	unsigned int reg = request >> GHCB_MSR_CPUID_REG_POS & GHCB_MSR_CPUID_REG_MASK;
	u32 regs[4];

	bawn_cpuid(vcpu, request >> GHCB_MSR_CPUID_FUNC_POS, 0, regs);
	return answer(vcpu, (u64)regs[reg] << GHCB_MSR_CPUID_VALUE_POS |
				    (u64)reg << GHCB_MSR_CPUID_REG_POS | GHCB_MSR_CPUID_RESP);
}

/* 0: woken, but not by SIPI. */
static int ap_reset_hold(struct bawn_vcpu *vcpu, u64 request)
{
	answer(vcpu, GHCB_MSR_AP_RESET_HOLD_RESP);
	return ghcb_reset_hold(vcpu, INVALID_GPA);
}

static int preferred_gpa(struct bawn_vcpu *vcpu, u64 request)
{
	return answer(vcpu, (u64)GHCB_MSR_PREF_GPA_NONE << GHCB_MSR_GPA_VALUE_POS |
				    GHCB_MSR_PREF_GPA_RESP);
}

/*
 * The answer repeats the page, or has all bits set. A guest may register a page that it shares
 * only afterwards; what it is when it is used counts.
 */
static int register_gpa(struct bawn_vcpu *vcpu, u64 request)
{
	gpa_t gpa = request & ~GHCB_MSR_INFO_MASK;

	if (!gpa || gpa >= bawn_gpa_end(vcpu->vm))
		return answer(vcpu, ~GHCB_MSR_INFO_MASK | GHCB_MSR_REG_GPA_RESP);
	vcpu->snp->ghcb_gpa = gpa;
	return answer(vcpu, gpa | GHCB_MSR_REG_GPA_RESP);
}

static int complete_psc(struct bawn_vcpu *vcpu)
{
	return answer(vcpu, READ_ONCE(vcpu->run->hypercall.ret) ? GHCB_MSR_PSC_RESP_ERROR
								: GHCB_MSR_PSC_RESP);
}

static int page_state(struct bawn_vcpu *vcpu, u64 request)
{
	gpa_t gpa = (u64)GHCB_MSR_PSC_REQ_TO_GFN(request) << PAGE_SHIFT;
	u64 op = GHCB_MSR_PSC_REQ_TO_OP(request);

	if (!ghcb_maps(vcpu->vm) || request >> 56 ||
	    (op != SNP_PAGE_STATE_PRIVATE && op != SNP_PAGE_STATE_SHARED) ||
	    gpa >= bawn_gpa_end(vcpu->vm))
		return answer(vcpu, GHCB_MSR_PSC_RESP_ERROR);
	return ghcb_map_exit(vcpu, gpa, 1, op == SNP_PAGE_STATE_PRIVATE, false, complete_psc);
}

static int features(struct bawn_vcpu *vcpu, u64 request)
{
	return answer(vcpu, GHCB_FEATURES << GHCB_MSR_HV_FT_POS | GHCB_MSR_HV_FT_RESP);
}

static const struct {
	u16 code;
	int (*fn)(struct bawn_vcpu *vcpu, u64 request);
} requests[] = {
	{ GHCB_MSR_SEV_INFO_REQ, sev_info },
	{ GHCB_MSR_CPUID_REQ, cpuid_request },
	{ GHCB_MSR_AP_RESET_HOLD_REQ, ap_reset_hold },
	{ GHCB_MSR_PREF_GPA_REQ, preferred_gpa },
	{ GHCB_MSR_REG_GPA_REQ, register_gpa },
	{ GHCB_MSR_PSC_REQ, page_state },
	{ GHCB_MSR_HV_FT_REQ, features },
	{ GHCB_MSR_TERM_REQ, ghcb_terminate },
};

/* What the MSR holds before the guest first asks. */
void bawn_snp_ghcb_reset(struct bawn_vcpu *vcpu)
{
	sev_info(vcpu, 0);
}

int ghcb_msr_protocol(struct bawn_vcpu *vcpu, u64 request)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(requests); i++)
		if (requests[i].code == (request & GHCB_MSR_INFO_MASK))
			return requests[i].fn(vcpu, request);
	return ghcb_broken(vcpu);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * AP creation: one vCPU gives another a save area to run from, or none. It takes effect on the
 * other's own thread (bawn_tee_ops.take_state). And AP reset hold: a vCPU waits for INIT and SIPI,
 * or for such a save area. AMD 56421, "SNP AP Creation" and "AP Reset Hold".
 */
#include "ghcb.h"

/* SW_EXITINFO1 */
#define AP_REQUEST(info) ((u16)(info))
#define AP_VMPL(info) ((info) >> 16 & 0xf)
#define AP_ID(info) ((u32)((info) >> 32))
#define AP_RESERVED 0xfff00000ULL

static bool vmsa_valid(struct bawn_vcpu *vcpu, gpa_t gpa)
{
	/*
	 * Not at the start of 2 MiB: some processors check RMP entries of such pages wrongly
	 * (AMD's erratum that Linux guests know as well).
	 */
	return gpa && IS_ALIGNED(gpa, PAGE_SIZE) && !IS_ALIGNED(gpa, PMD_SIZE) &&
	       gpa < bawn_gpa_end(vcpu->vm) && bawn_is_private(vcpu->vm, gpa >> PAGE_SHIFT);
}

static void hand_over(struct bawn_vcpu *target, gpa_t vmsa, bool on_init)
{
	struct bawn_snp_vcpu *snp = target->snp;

	mutex_lock(&snp->ap_lock);
	snp->ap_vmsa_gpa = vmsa;
	snp->ap_waiting = on_init;
	WRITE_ONCE(snp->ap_pending, !on_init);
	mutex_unlock(&snp->ap_lock);
	/* A request, not a mere kick: it is seen even when the vCPU is about to enter. */
	if (!on_init)
		bawn_vcpu_request(target, BAWN_REQ_EVENT);
}

void bawn_snp_ap_init(struct bawn_vcpu *vcpu)
{
	struct bawn_snp_vcpu *snp = vcpu->snp;

	if (vcpu->mp_state == KVM_MP_STATE_AP_RESET_HOLD ||
	    (vcpu->mp_state == KVM_MP_STATE_UNINITIALIZED && snp->fresh))
		WRITE_ONCE(vcpu->mp_state, KVM_MP_STATE_INIT_RECEIVED);
	mutex_lock(&snp->ap_lock);
	if (snp->ap_waiting) {
		snp->ap_waiting = false;
		WRITE_ONCE(snp->ap_pending, true);
	}
	mutex_unlock(&snp->ap_lock);
}

/* ---- INIT and SIPI; AP reset hold ---- */

int ghcb_reset_hold(struct bawn_vcpu *vcpu, gpa_t page)
{
	if (!vcpu->apic) {
		vcpu->run->exit_reason = KVM_EXIT_AP_RESET_HOLD;
		return 0;
	}
	vcpu->snp->hold_ghcb = page;
	WRITE_ONCE(vcpu->mp_state, KVM_MP_STATE_AP_RESET_HOLD);
	return 1;
}

/* The answer to the VMGEXIT that holds the vCPU. False: the guest took its GHCB away. */
static bool tell_sipi(struct bawn_vcpu *vcpu)
{
	static const u64 sipi = 1;
	gpa_t page = vcpu->snp->hold_ghcb;

	if (page != INVALID_GPA)
		return !bawn_write_guest(vcpu->vm, page + 8 * GHCB_INFO2, &sipi, sizeof(sipi));
	vcpu->vm->snp->ops->ghcb_set(vcpu, BIT_ULL(GHCB_MSR_AP_RESET_HOLD_RESULT_POS) |
						   GHCB_MSR_AP_RESET_HOLD_RESP);
	return true;
}

/*
 * Registers are the guest's own, and so is what the vector means. The first time the vCPU starts
 * from what was measured. Later it goes on behind the VMGEXIT that holds it, and is told why.
 */
void bawn_snp_ap_sipi(struct bawn_vcpu *vcpu)
{
	if (vcpu->mp_state == KVM_MP_STATE_INIT_RECEIVED &&
	    (vcpu->snp->fresh || tell_sipi(vcpu)))
		WRITE_ONCE(vcpu->mp_state, KVM_MP_STATE_RUNNABLE);
}

/* ---- AP creation ---- */

int ghcb_ap_creation(struct bawn_vcpu *vcpu)
{
	u64 info = ghcb_read(vcpu, GHCB_INFO1), vmsa = ghcb_read(vcpu, GHCB_INFO2);
	struct bawn_vcpu *target = bawn_vcpu_by_id(vcpu->vm, AP_ID(info));
	u16 request = AP_REQUEST(info);

	if (info & AP_RESERVED || AP_VMPL(info) || !target || !target->snp)
		return ghcb_refuse(vcpu, GHCB_ERR_INVALID_INPUT);
	switch (request) {
	case SVM_VMGEXIT_AP_CREATE_ON_INIT:
	case SVM_VMGEXIT_AP_CREATE:
		if (!ghcb_has(vcpu, GHCB_RAX))
			return ghcb_refuse(vcpu, GHCB_ERR_MISSING_INPUT);
		if (ghcb_read(vcpu, GHCB_RAX) != vcpu->vm->snp->vmsa_features ||
		    !vmsa_valid(vcpu, vmsa))
			return ghcb_refuse(vcpu, GHCB_ERR_INVALID_INPUT);
		hand_over(target, vmsa, request == SVM_VMGEXIT_AP_CREATE_ON_INIT);
		break;
	case SVM_VMGEXIT_AP_DESTROY:
		hand_over(target, INVALID_GPA, false);
		break;
	default:
		return ghcb_refuse(vcpu, GHCB_ERR_INVALID_INPUT);
	}
	return ghcb_done(vcpu);
}

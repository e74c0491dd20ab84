// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events into the guest: interrupts, NMIs and exceptions by EVENTINJ, windows for those that
 * cannot enter yet, and what to do with an event whose delivery an exit interrupted.
 * AMD APM vol. 2, 15.20 and 15.21.
 */
#include <asm/cpufeature.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>

#include "svm.h"

u32 bawn_svm_get_shadow(struct bawn_vcpu *vcpu)
{
	return to_svm(vcpu)->vmcb->control.int_state & SVM_INTERRUPT_SHADOW_MASK ?
		       KVM_X86_SHADOW_INT_STI | KVM_X86_SHADOW_INT_MOV_SS : 0;
}

void bawn_svm_set_shadow(struct bawn_vcpu *vcpu, u32 shadow)
{
	struct vmcb_control_area *c = &to_svm(vcpu)->vmcb->control;

	if (shadow)
		c->int_state |= SVM_INTERRUPT_SHADOW_MASK;
	else
		c->int_state &= ~SVM_INTERRUPT_SHADOW_MASK;
}

bool bawn_svm_irq_allowed(struct bawn_vcpu *vcpu)
{
	u64 iflag = vcpu->state_hidden ?
			    to_svm(vcpu)->vmcb->control.int_state & SVM_GUEST_INTERRUPT_MASK :
			    vcpu->rflags & X86_EFLAGS_IF;

	return iflag && !bawn_svm_get_shadow(vcpu);
}

bool bawn_svm_nmi_allowed(struct bawn_vcpu *vcpu)
{
	return !to_svm(vcpu)->nmi_masked && !bawn_svm_get_shadow(vcpu);
}

bool bawn_svm_get_nmi_mask(struct bawn_vcpu *vcpu)
{
	return to_svm(vcpu)->nmi_masked;
}

void bawn_svm_set_nmi_mask(struct bawn_vcpu *vcpu, bool masked)
{
	struct bawn_svm *svm = to_svm(vcpu);

	svm->nmi_masked = masked;
	svm->iret_pending = false;
	/* One whose IRET cannot be seen tells of it (GHCB, NMI complete). */
	svm_intercept(svm, INTERCEPT_IRET, masked && !svm->es);
}

void bawn_svm_inject_irq(struct bawn_vcpu *vcpu)
{
	to_svm(vcpu)->vmcb->control.event_inj =
		vcpu->irq.vector | SVM_EVTINJ_VALID | SVM_EVTINJ_TYPE_INTR;
}

/* The IRET that ends the handler is intercepted: it unmasks the next NMI. */
void bawn_svm_inject_nmi(struct bawn_vcpu *vcpu)
{
	struct bawn_svm *svm = to_svm(vcpu);

	svm->vmcb->control.event_inj = SVM_EVTINJ_VALID | SVM_EVTINJ_TYPE_NMI;
	bawn_svm_set_nmi_mask(vcpu, true);
}

void bawn_svm_inject_exception(struct bawn_vcpu *vcpu)
{
	struct vmcb_control_area *c = &to_svm(vcpu)->vmcb->control;

	c->event_inj = vcpu->ex.vector | SVM_EVTINJ_VALID | SVM_EVTINJ_TYPE_EXEPT |
		       (vcpu->ex.has_error ? SVM_EVTINJ_VALID_ERR : 0);
	c->event_inj_err = vcpu->ex.error;
}

/* A virtual interrupt that no one takes: its intercept says that the guest could take one. */
void bawn_svm_open_irq_window(struct bawn_vcpu *vcpu)
{
	struct bawn_svm *svm = to_svm(vcpu);
	struct vmcb_control_area *c = &svm->vmcb->control;

	c->int_vector = 0;
	c->int_ctl &= ~V_INTR_PRIO_MASK;
	c->int_ctl |= V_IRQ_MASK | V_IGN_TPR_MASK | (0xf << V_INTR_PRIO_SHIFT);
	svm_intercept(svm, INTERCEPT_VINTR, true);
}

/* Masked by an NMI: its IRET will tell. Otherwise a shadow blocks, which one step ends. */
void bawn_svm_open_nmi_window(struct bawn_vcpu *vcpu)
{
	struct bawn_svm *svm = to_svm(vcpu);

	if (svm->es || (svm->nmi_masked && !svm->iret_pending))
		return;
	svm->step_for_nmi = true;
}

/*
 * An exit during delivery gives the event back in EXITINTINFO; it must be injected again.
 * Software interrupts and #BP, #OF are executed again instead: RIP still points at them.
 */
void bawn_svm_requeue_event(struct bawn_vcpu *vcpu)
{
	struct bawn_svm *svm = to_svm(vcpu);
	u32 info = svm->vmcb->control.exit_int_info;
	u8 vector = info & SVM_EXITINTINFO_VEC_MASK;

	if (svm->iret_pending && vcpu->rip != svm->iret_rip) {
		svm->iret_pending = false;
		svm->nmi_masked = false;
		set_bit(BAWN_REQ_EVENT, &vcpu->requests);
	}
	vcpu->ex.injected = false;
	vcpu->irq.injected = false;
	vcpu->nmi_injected = false;
	if (!(info & SVM_EXITINTINFO_VALID))
		return;
	set_bit(BAWN_REQ_EVENT, &vcpu->requests);
	switch (info & SVM_EXITINTINFO_TYPE_MASK) {
	case SVM_EXITINTINFO_TYPE_NMI:
		vcpu->nmi_injected = true;
		break;
	case SVM_EXITINTINFO_TYPE_EXEPT:
		if (vector == BP_VECTOR || vector == OF_VECTOR)
			break;
		vcpu->ex.injected = true;
		vcpu->ex.vector = vector;
		vcpu->ex.has_error = info & SVM_EXITINTINFO_VALID_ERR;
		vcpu->ex.error = svm->vmcb->control.exit_int_info_err;
		break;
	case SVM_EXITINTINFO_TYPE_INTR:
		vcpu->irq.injected = true;
		vcpu->irq.vector = vector;
		break;
	}
}

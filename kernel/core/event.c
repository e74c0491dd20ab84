// SPDX-License-Identifier: GPL-2.0-only
/*
 * What enters the guest beside its own instructions: exceptions, NMIs, interrupts, and the end
 * of an instruction that core completed. Priorities as in AMD APM vol. 2, 8.5 and 15.20.
 */
#include <linux/smp.h>
#include <asm/debugreg.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>
#include <trace/events/ipi.h>

#include "bawn.h"

/* AMD APM vol. 2, table 8-6: which pairs make a double fault. */
static bool contributory(u8 vector)
{
	return vector == DE_VECTOR || (vector >= TS_VECTOR && vector <= GP_VECTOR);
}

void bawn_inject_exception(struct bawn_vcpu *vcpu, u8 vector, bool has_error, u32 error,
			   u64 payload)
{
	struct bawn_exception *ex = &vcpu->ex;

	if (ex->pending || ex->injected) {
		u8 first = ex->vector;

		if (first == DF_VECTOR) {
			set_bit(BAWN_REQ_TRIPLE_FAULT, &vcpu->requests);
			return;
		}
		if ((contributory(first) && contributory(vector)) ||
		    (first == PF_VECTOR && (contributory(vector) || vector == PF_VECTOR))) {
			vector = DF_VECTOR;
			has_error = true;
			error = 0;
			payload = 0;
		}
		/* Otherwise the second is served first; the first faults again when retried. */
	}
	*ex = (struct bawn_exception){
		.pending = true,
		.has_error = has_error,
		.vector = vector,
		.error = error,
		.payload = payload,
	};
	/* Real mode pushes no error code. */
	if (!(vcpu->cr0 & X86_CR0_PE))
		ex->has_error = false;
	set_bit(BAWN_REQ_EVENT, &vcpu->requests);
}

/* The payload becomes visible as the exception is delivered, not before. */
void bawn_deliver_payload(struct bawn_vcpu *vcpu)
{
	struct bawn_exception *ex = &vcpu->ex;

	if (ex->vector == PF_VECTOR) {
		vcpu->cr2 = ex->payload;
	} else if (ex->vector == DB_VECTOR) {
		vcpu->debug.guest_dr6 &= ~(u64)DR_TRAP_BITS;
		vcpu->debug.guest_dr6 |= ex->payload;
		vcpu->debug.guest_dr7 &= ~DR7_GD;
		bawn_cpu->load_debug(vcpu);
	}
	ex->payload = 0;
}

/* A debugger in userspace is told of vector; where the guest stands is a linear address. */
int bawn_debug_exit(struct bawn_vcpu *vcpu, u8 vector, u64 dr6, u64 dr7)
{
	struct kvm_debug_exit_arch *arch = &vcpu->run->debug.arch;
	u64 base;
	u32 limit;

	bawn_cpu->code_segment(vcpu, &base, &limit);
	vcpu->run->exit_reason = KVM_EXIT_DEBUG;
	arch->exception = vector;
	arch->pc = bawn_long_mode(vcpu) ? vcpu->rip : (u32)(base + vcpu->rip);
	arch->dr6 = dr6;
	arch->dr7 = dr7;
	return 0;
}

int bawn_skip(struct bawn_vcpu *vcpu, unsigned int len)
{
	if (vcpu->state_hidden)
		return 1; /* the CPU went on by itself */
	bawn_cpu->advance(vcpu, len);
	vcpu->rflags &= ~(u64)X86_EFLAGS_RF;
	if (vcpu->debug.control & KVM_GUESTDBG_SINGLESTEP)
		return bawn_debug_exit(vcpu, DB_VECTOR, DR6_RESERVED | DR_STEP,
				       vcpu->debug.guest_dr7);
	if (vcpu->rflags & X86_EFLAGS_TF)
		bawn_inject_exception(vcpu, DB_VECTOR, false, 0, DR_STEP);
	return 1;
}

static void inject_nmi(struct bawn_vcpu *vcpu)
{
	vcpu->nmi_pending--;
	vcpu->nmi_injected = true;
	vcpu->stat.nmi_injections++;
	bawn_cpu->inject_nmi(vcpu);
}

/* The one event that this entry may carry; whether there is one already. */
static bool inject_first(struct bawn_vcpu *vcpu)
{
	if (vcpu->ex.injected) {
		bawn_cpu->inject_exception(vcpu);
	} else if (vcpu->nmi_injected) {
		bawn_cpu->inject_nmi(vcpu);
	} else if (vcpu->irq.injected) {
		bawn_cpu->inject_irq(vcpu);
	} else if (vcpu->ex.pending) {
		vcpu->ex.pending = false;
		vcpu->ex.injected = true;
		bawn_deliver_payload(vcpu);
		bawn_cpu->inject_exception(vcpu);
	} else {
		return false;
	}
	return true;
}

/* One waits behind one that is handled; the rest are the same NMI. */
void bawn_take_nmis(struct bawn_vcpu *vcpu)
{
	u32 most = bawn_cpu->get_nmi_mask(vcpu) || vcpu->nmi_injected ? 1 : 2;

	if (atomic_read(&vcpu->nmi_queued))
		vcpu->nmi_pending = min(vcpu->nmi_pending + (u32)atomic_xchg(&vcpu->nmi_queued, 0),
					most);
}

/* Interrupts are disabled and the entry follows at once. */
void bawn_inject_events(struct bawn_vcpu *vcpu)
{
	bool taken = inject_first(vcpu);
	int vector;

	/* A pending exception had to wait for a re-injected event: come back once that is in. */
	if (vcpu->ex.pending) {
		set_bit(BAWN_REQ_EVENT, &vcpu->requests);
		smp_send_reschedule(smp_processor_id());
	}
	/* A debugger steps; what comes meanwhile waits. KVM_SET_GUEST_DEBUG looks again. */
	if (vcpu->debug.control & KVM_GUESTDBG_BLOCKIRQ)
		return;

	bawn_take_nmis(vcpu);
	if (vcpu->nmi_pending) {
		if (!taken && bawn_cpu->nmi_allowed(vcpu)) {
			inject_nmi(vcpu);
			taken = true;
		}
		if (vcpu->nmi_pending)
			bawn_cpu->open_nmi_window(vcpu);
	}

	if (!vcpu->apic)
		return;
	vector = bawn_lapic_pending(vcpu);
	if (vector < 0)
		return;
	if (!taken && bawn_cpu->irq_allowed(vcpu)) {
		bawn_lapic_ack(vcpu, vector);
		vcpu->irq.injected = true;
		vcpu->irq.vector = vector;
		vcpu->stat.irq_injections++;
		bawn_cpu->inject_irq(vcpu);
		if (bawn_lapic_pending(vcpu) < 0)
			return;
	}
	bawn_cpu->open_irq_window(vcpu);
}

bool bawn_has_event(struct bawn_vcpu *vcpu)
{
	if (vcpu->apic_events || test_bit(BAWN_REQ_TIMER, &vcpu->requests))
		return true;
	if (vcpu->vm->tee && vcpu->vm->tee->has_state(vcpu))
		return true;
	/* What an instruction or userspace brought about waits until the vCPU executes again. */
	if (vcpu->mp_state == KVM_MP_STATE_UNINITIALIZED ||
	    vcpu->mp_state == KVM_MP_STATE_INIT_RECEIVED ||
	    vcpu->mp_state == KVM_MP_STATE_AP_RESET_HOLD)
		return false;
	if (vcpu->ex.pending || vcpu->ex.injected ||
	    test_bit(BAWN_REQ_TRIPLE_FAULT, &vcpu->requests))
		return true;
	if ((vcpu->nmi_pending || atomic_read(&vcpu->nmi_queued)) && bawn_cpu->nmi_allowed(vcpu))
		return true;
	return vcpu->apic && bawn_cpu->irq_allowed(vcpu) && bawn_lapic_pending(vcpu) >= 0;
}

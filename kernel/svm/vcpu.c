// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vCPU's VMCB from creation to destruction, its way on and off a CPU, and the entry itself.
 * Host state that VMRUN does not save is kept by VMSAVE in a page of the CPU's own.
 */
#include <linux/slab.h>
#include <asm/cpufeature.h>
#include <asm/io.h>
#include <asm/debugreg.h>
#include <asm/msr.h>
#include <asm/nospec-branch.h>
#include <asm/spec-ctrl.h>
#include <trace/events/ipi.h>

#include "guest.h"
#include "compat.h"
#include "svm.h"

/* Intercepts that hold for every guest; what is not here runs natively. */
static const u8 fixed_intercepts[] = {
	INTERCEPT_CR4_READ, INTERCEPT_CR4_WRITE, INTERCEPT_CR8_WRITE,
	/* Endless #DB or #AC delivery would keep the CPU from the host (CVE-2015-8104, -5307). */
	INTERCEPT_EXCEPTION_OFFSET + DB_VECTOR, INTERCEPT_EXCEPTION_OFFSET + AC_VECTOR,
	INTERCEPT_EXCEPTION_OFFSET + MC_VECTOR,
	INTERCEPT_INTR, INTERCEPT_NMI, INTERCEPT_SMI, INTERCEPT_INIT, INTERCEPT_SELECTIVE_CR0,
	INTERCEPT_RDPMC, INTERCEPT_CPUID, INTERCEPT_RSM, INTERCEPT_INVD, INTERCEPT_HLT,
	INTERCEPT_INVLPGA, INTERCEPT_IOIO_PROT, INTERCEPT_MSR_PROT, INTERCEPT_TASK_SWITCH,
	INTERCEPT_FERR_FREEZE, INTERCEPT_SHUTDOWN,
	INTERCEPT_VMRUN, INTERCEPT_VMMCALL, INTERCEPT_VMLOAD, INTERCEPT_VMSAVE, INTERCEPT_STGI,
	INTERCEPT_CLGI, INTERCEPT_SKINIT, INTERCEPT_WBINVD, INTERCEPT_MONITOR, INTERCEPT_MWAIT,
	INTERCEPT_XSETBV, INTERCEPT_RDPRU,
	INTERCEPT_INVLPGB, INTERCEPT_INVLPGB_ILLEGAL, INTERCEPT_MCOMMIT, INTERCEPT_TLBSYNC,
};

/*
 * Spin loops longer than this many PAUSEs in close order end in an exit; each doubles it until
 * others have the CPU.
 */
#define PAUSE_COUNT 3000
#define PAUSE_THRESHOLD 128

int bawn_svm_vcpu_create(struct bawn_vcpu *vcpu)
{
	struct bawn_svm *svm = kzalloc(sizeof(*svm), GFP_KERNEL_ACCOUNT);
	struct vmcb_control_area *c;
	unsigned int i;

	if (!svm)
		return -ENOMEM;
	svm->vmcb = (struct vmcb *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!svm->vmcb) {
		kfree(svm);
		return -ENOMEM;
	}
	svm->vmcb_pa = __sme_set(__pa(svm->vmcb));
	vcpu->backend = svm;

	c = &svm->vmcb->control;
	for (i = 0; i < ARRAY_SIZE(fixed_intercepts); i++)
		svm_intercept(svm, fixed_intercepts[i], true);
	/* Debug registers are few and rare: every access exits. */
	for (i = INTERCEPT_DR0_READ; i <= INTERCEPT_DR7_WRITE; i++)
		svm_intercept(svm, i, true);
	if (boot_cpu_has(X86_FEATURE_PAUSEFILTER)) {
		if (boot_cpu_has(X86_FEATURE_PFTHRESHOLD))
			c->pause_filter_thresh = PAUSE_THRESHOLD;
		svm_intercept(svm, INTERCEPT_PAUSE, true);
	}
	c->iopm_base_pa = __sme_set(__pa(bawn_svm_iopm));
	c->int_ctl = V_INTR_MASKING_MASK;
	c->nested_ctl = SVM_NESTED_CTL_NP_ENABLE;
	c->nested_cr3 = __sme_set(__pa(vcpu->vm->root));
	return 0;
}

void bawn_svm_vcpu_destroy(struct bawn_vcpu *vcpu)
{
	struct bawn_svm *svm = to_svm(vcpu);
	int cpu;

	/* The next vCPU at this address is another: its first load must see a change. */
	for_each_possible_cpu(cpu) {
		cmpxchg(&per_cpu_ptr(&bawn_svm_cpu, cpu)->last, vcpu, NULL);
		cmpxchg(&per_cpu_ptr(&bawn_svm_cpu, cpu)->es_last, vcpu, NULL);
	}
	free_page((unsigned long)svm->vmcb);
	kfree(svm);
	vcpu->backend = NULL;
}

void bawn_svm_vcpu_reset(struct bawn_vcpu *vcpu)
{
	struct bawn_svm *svm = to_svm(vcpu);
	struct vmcb_control_area *c = &svm->vmcb->control;

	svm->nmi_masked = false;
	svm->iret_pending = false;
	svm->step_for_nmi = false;
	svm_intercept(svm, INTERCEPT_IRET, false);
	svm_intercept(svm, INTERCEPT_VINTR, false);
	c->int_state = 0;
	c->int_ctl = V_INTR_MASKING_MASK;
	c->event_inj = 0;
	c->exit_int_info = 0;
	svm->vmcb->save.g_pat = vcpu->pat;
}

void bawn_svm_vcpu_load(struct bawn_vcpu *vcpu, int cpu)
{
	struct bawn_svm *svm = to_svm(vcpu);
	struct bawn_svm_cpu *c = per_cpu_ptr(&bawn_svm_cpu, cpu);

	if (vcpu->last_host_cpu != cpu)
		svm->asid_generation = 0;
	if (c->last != vcpu) {
		c->last = vcpu;
		indirect_branch_prediction_barrier();
	}
	svm->aux = c->aux;
	svm->vmcb->control.pause_filter_count = PAUSE_COUNT;
	svm_load_tsc_ratio(c, vcpu);
}

static bool has_tsc_aux(void)
{
	return boot_cpu_has(X86_FEATURE_RDTSCP) || boot_cpu_has(X86_FEATURE_RDPID);
}

void bawn_svm_prepare_switch(struct bawn_vcpu *vcpu)
{
	struct bawn_svm *svm = to_svm(vcpu);

	if (!svm->es) {
		/* Each time: an interrupt may have changed the host's LDT since the last run. */
		asm volatile("vmsave %0" : : "a"(this_cpu_read(bawn_svm_cpu.host_pa)) : "memory");
		svm->vmcb->control.msrpm_base_pa =
			__sme_set(__pa(rcu_access_pointer(vcpu->vm->msr_filter) ?
				       bawn_svm_msrpm_all : bawn_svm_msrpm));
	}
	/* The guest's until the thread leaves the CPU: the host reads it in user mode alone. */
	if (svm->aux == vcpu->tsc_aux)
		return;
	if (has_tsc_aux())
		wrmsrq(MSR_TSC_AUX, vcpu->tsc_aux);
	svm->aux = vcpu->tsc_aux;
}

void bawn_svm_vcpu_put(struct bawn_vcpu *vcpu)
{
	struct bawn_svm *svm = to_svm(vcpu);
	u64 aux = this_cpu_read(bawn_svm_cpu.aux);

	if (svm->aux != aux && has_tsc_aux())
		wrmsrq(MSR_TSC_AUX, aux);
}

void bawn_svm_flush_tlb(struct bawn_vcpu *vcpu)
{
	struct bawn_svm *svm = to_svm(vcpu);

	if (boot_cpu_has(X86_FEATURE_FLUSHBYASID))
		svm->vmcb->control.tlb_ctl = TLB_CONTROL_FLUSH_ASID;
	else
		svm->asid_generation = 0;
}

/* A fresh ASID when the old one is another CPU's or another generation's. */
static void renew_asid(struct bawn_svm *svm, struct bawn_svm_cpu *c)
{
	if (svm->asid_generation == c->asid_generation)
		return;
	if (c->next_asid > c->max_asid) {
		c->asid_generation++;
		c->next_asid = bawn_svm_min_asid;
		svm->vmcb->control.tlb_ctl = TLB_CONTROL_FLUSH_ALL_ASID;
	}
	svm->asid_generation = c->asid_generation;
	svm->vmcb->control.asid = c->next_asid++;
}

/* Between bawn_state_enter and _exit nothing may be traced: RCU does not watch. */
static noinstr void enter_exit(struct bawn_vcpu *vcpu, struct bawn_svm *svm, phys_addr_t host,
			       u64 guest_spec, u64 host_spec)
{
	/* On Zen 1 the guest could read the host's last quotient. */
	amd_clear_divider();
	bawn_state_enter();
	bawn_svm_enter(vcpu->gpr, svm->vmcb_pa, host, guest_spec, host_spec);
	bawn_state_exit();
}

void bawn_svm_run(struct bawn_vcpu *vcpu)
{
	struct bawn_svm *svm = to_svm(vcpu);
	struct vmcb_save_area *s = &svm->vmcb->save;
	struct vmcb_control_area *c = &svm->vmcb->control;
	u64 host_spec = 0, guest_spec = 0;
	bool step;

	if (svm->es) {
		bawn_svm_es_run(vcpu);
		return;
	}
	if (svm->step_for_nmi && c->event_inj & SVM_EVTINJ_VALID) {
		/* TF would go into the event's frame: come back as soon as it is delivered. */
		svm->step_for_nmi = false;
		set_bit(BAWN_REQ_EVENT, &vcpu->requests);
		smp_send_reschedule(smp_processor_id());
	}
	step = svm->step_for_nmi || (vcpu->debug.control & KVM_GUESTDBG_SINGLESTEP);
	renew_asid(svm, this_cpu_ptr(&bawn_svm_cpu));
	s->rax = vcpu->gpr[VCPU_RAX];
	s->rsp = vcpu->gpr[VCPU_RSP];
	s->rip = vcpu->rip;
	s->rflags = vcpu->rflags | (step ? X86_EFLAGS_TF : 0);
	s->cr2 = vcpu->cr2;
	s->dr6 = vcpu->debug.control & KVM_GUESTDBG_ENABLE ? DR6_RESERVED : vcpu->debug.guest_dr6;
	c->int_ctl = (c->int_ctl & ~V_TPR_MASK) | (bawn_get_cr8(vcpu) & V_TPR_MASK);
	c->clean = 0;

	if (cpu_feature_enabled(X86_FEATURE_V_SPEC_CTRL)) {
		s->spec_ctrl = vcpu->spec_ctrl;
	} else if (cpu_feature_enabled(X86_FEATURE_MSR_SPEC_CTRL)) {
		guest_spec = vcpu->spec_ctrl;
		host_spec = this_cpu_read(x86_spec_ctrl_current);
	}

	asm volatile("clgi" : : : "memory");
	if (bawn_has_virt_ssbd())
		x86_virt_spec_ctrl(vcpu->virt_spec_ctrl, true);
	enter_exit(vcpu, svm, this_cpu_read(bawn_svm_cpu.host_pa), guest_spec, host_spec);
	if (bawn_has_virt_ssbd())
		x86_virt_spec_ctrl(vcpu->virt_spec_ctrl, false);
	asm volatile("stgi" : : : "memory");

	if (cpu_feature_enabled(X86_FEATURE_V_SPEC_CTRL))
		vcpu->spec_ctrl = s->spec_ctrl;
	vcpu->gpr[VCPU_RAX] = s->rax;
	vcpu->gpr[VCPU_RSP] = s->rsp;
	vcpu->rip = s->rip;
	/* A TF that is ours is not the guest's. */
	vcpu->rflags = step ? (s->rflags & ~X86_EFLAGS_TF) | (vcpu->rflags & X86_EFLAGS_TF) :
			      s->rflags;
	vcpu->cr2 = s->cr2;
	vcpu->cr3 = s->cr3;
	/* TS and MP change without an exit; CD and NW are kept from the hardware. */
	vcpu->cr0 = (vcpu->cr0 & ~(X86_CR0_TS | X86_CR0_MP)) |
		    (s->cr0 & (X86_CR0_TS | X86_CR0_MP));
	if (!(vcpu->debug.control & KVM_GUESTDBG_ENABLE))
		vcpu->debug.guest_dr6 = s->dr6;
	c->tlb_ctl = TLB_CONTROL_DO_NOTHING;
	c->event_inj = 0;
}

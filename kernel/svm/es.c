// SPDX-License-Identifier: GPL-2.0-only
/*
 * vCPUs whose registers the processor keeps from the host (SEV-ES, SEV-SNP): what differs in
 * their VMCB, their entry, and the few changes of state that the host is told of. Never run so
 * far, as sev_es.S says. AMD APM vol. 2, 15.35 and 15.36.
 */
#include <linux/slab.h>
#include <asm/fpu/xcr.h>
#include <asm/io.h>
#include <asm/msr.h>
#include <asm/nospec-branch.h>
#include <asm/pkru.h>
#include <asm/spec-ctrl.h>

#include "compat.h"
#include "guest.h"
#include "svm.h"

#define MSRPM_ORDER 1
#define HOST_SAVE_STATE 0x400 /* the state save area in a VMCB and in the host save area */

/* Table B-4: loaded by #VMEXIT, saved neither by VMRUN nor by VMSAVE (swap type B). */
#define SA_XSS 0x140
#define SA_PKRU 0x2e8
#define SA_XCR0 0x3e8

static u8 *msrpm;

/* Registers that the guest has to itself: the host is told of changes, or not even that. */
static const u8 not_intercepted[] = {
	INTERCEPT_CR0_READ, INTERCEPT_CR3_READ, INTERCEPT_CR4_READ, INTERCEPT_CR8_READ,
	INTERCEPT_CR0_WRITE, INTERCEPT_CR3_WRITE, INTERCEPT_CR4_WRITE, INTERCEPT_CR8_WRITE,
	INTERCEPT_SELECTIVE_CR0, INTERCEPT_XSETBV, INTERCEPT_IRET,
};

static const u8 traps[] = { TRAP_EFER_WRITE, TRAP_CR0_WRITE, TRAP_CR4_WRITE, TRAP_CR8_WRITE };

/* MSRs of the VMSA that every guest may use; the bitmap of plain guests passes the others. */
static const u32 own_msrs[] = { MSR_EFER, MSR_IA32_CR_PAT, MSR_IA32_XSS };

int bawn_svm_es_setup(void)
{
	unsigned int i;

	msrpm = (u8 *)__get_free_pages(GFP_KERNEL, MSRPM_ORDER);
	if (!msrpm)
		return -ENOMEM;
	memcpy(msrpm, bawn_svm_msrpm, PAGE_SIZE << MSRPM_ORDER);
	for (i = 0; i < ARRAY_SIZE(own_msrs); i++)
		bawn_svm_msrpm_pass(msrpm, own_msrs[i]);
	return 0;
}

void bawn_svm_es_teardown(void)
{
	free_pages((unsigned long)msrpm, MSRPM_ORDER);
	msrpm = NULL;
}

/* From the next entry on the vCPU's state is this VMSA. */
void bawn_svm_es_load(struct bawn_vcpu *vcpu, u64 vmsa_pa, u32 asid)
{
	struct bawn_svm *svm = to_svm(vcpu);
	struct vmcb_control_area *c = &svm->vmcb->control;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(not_intercepted); i++)
		svm_intercept(svm, not_intercepted[i], false);
	for (i = INTERCEPT_DR0_READ; i <= INTERCEPT_DR7_WRITE; i++)
		svm_intercept(svm, i, i == INTERCEPT_DR7_READ || i == INTERCEPT_DR7_WRITE);
	for (i = 0; i < ARRAY_SIZE(traps); i++)
		svm_intercept(svm, traps[i], true);
	c->nested_ctl |= SVM_NESTED_CTL_SEV_ENABLE | SVM_NESTED_CTL_SEV_ES_ENABLE;
	c->virt_ext |= LBR_CTL_ENABLE_MASK; /* demanded of these guests */
	c->msrpm_base_pa = __sme_set(__pa(msrpm));
	c->asid = asid;
	/* Without the host's C-bit: it is encrypted with the guest's key. */
	c->vmsa_pa = vmsa_pa;
	c->event_inj = 0;
	c->int_state = 0;
	c->clean = 0;
	c->tlb_ctl = TLB_CONTROL_FLUSH_ASID;
	svm->nmi_masked = false;
	svm->es = true;
	vcpu->state_hidden = true;
}

u64 bawn_svm_ghcb_get(struct bawn_vcpu *vcpu)
{
	return to_svm(vcpu)->vmcb->control.ghcb_gpa;
}

void bawn_svm_ghcb_set(struct bawn_vcpu *vcpu, u64 value)
{
	to_svm(vcpu)->vmcb->control.ghcb_gpa = value;
	to_svm(vcpu)->vmcb->control.clean = 0;
}

/* ---- Exits ---- */

/* A register was written: EXITINFO1 has the new value. Core wants to know of modes. */
static bool written(struct bawn_vcpu *vcpu, u32 code, u64 value)
{
	switch (code) {
	case SVM_EXIT_EFER_WRITE_TRAP:
		vcpu->efer = value & ~(u64)EFER_SVME;
		return true;
	case SVM_EXIT_CR0_WRITE_TRAP:
		vcpu->cr0 = value;
		return true;
	case SVM_EXIT_CR4_WRITE_TRAP:
		vcpu->cr4 = value;
		return true;
	case SVM_EXIT_CR8_WRITE_TRAP:
		bawn_set_cr8(vcpu, value & 0xf);
		return true;
	default:
		return false;
	}
}

/* What bawn_svm_decode() leaves open. True: *exit is settled. */
bool bawn_svm_es_decode(struct bawn_vcpu *vcpu, struct bawn_exit *exit)
{
	struct vmcb_control_area *c = &to_svm(vcpu)->vmcb->control;

	if (written(vcpu, c->exit_code, c->exit_info_1)) {
		exit->kind = BAWN_EXIT_HANDLED;
		return true;
	}
	if (c->exit_code == SVM_EXIT_VMGEXIT) {
		exit->kind = BAWN_EXIT_VMGEXIT;
		return true;
	}
	return false;
}

/* ---- Entry ---- */

static void save_host(void *state)
{
	u64 value = 0;

	*(u64 *)(state + SA_XCR0) = boot_cpu_has(X86_FEATURE_XSAVE) ?
					    xgetbv(XCR_XFEATURE_ENABLED_MASK) : 1;
	*(u32 *)(state + SA_PKRU) = read_pkru();
	if (boot_cpu_has(X86_FEATURE_XSAVES))
		rdmsrq(MSR_IA32_XSS, value);
	*(u64 *)(state + SA_XSS) = value;
}

/* Between bawn_state_enter and _exit nothing may be traced: RCU does not watch. */
static noinstr void enter_exit(struct bawn_svm *svm, struct page *save, u64 guest_spec,
			       u64 host_spec)
{
	phys_addr_t pa = __sme_set(page_to_phys(save));

	amd_clear_divider();
	/* #VMEXIT loads from there what VMLOAD loads for plain guests. */
	asm volatile("vmsave %0" : : "a"(pa) : "memory");
	bawn_state_enter();
	bawn_svm_es_enter(svm->vmcb_pa, page_address(save) + HOST_SAVE_STATE, guest_spec,
			  host_spec);
	bawn_state_exit();
}

void bawn_svm_es_run(struct bawn_vcpu *vcpu)
{
	struct bawn_svm_cpu *cpu = this_cpu_ptr(&bawn_svm_cpu);
	struct bawn_svm *svm = to_svm(vcpu);
	struct vmcb_control_area *c = &svm->vmcb->control;
	u64 host_spec = 0, guest_spec = 0;

	/* All vCPUs of a guest have one ASID: no two of them may share what a CPU cached by it. */
	if (cpu->es_last != vcpu || svm->es_cpu != smp_processor_id())
		c->tlb_ctl = TLB_CONTROL_FLUSH_ASID;
	cpu->es_last = vcpu;
	svm->es_cpu = smp_processor_id();
	c->int_ctl = (c->int_ctl & ~V_TPR_MASK) | (bawn_get_cr8(vcpu) & V_TPR_MASK);
	c->clean = 0;
	if (!boot_cpu_has(X86_FEATURE_V_SPEC_CTRL) && boot_cpu_has(X86_FEATURE_MSR_SPEC_CTRL)) {
		guest_spec = vcpu->spec_ctrl;
		host_spec = this_cpu_read(x86_spec_ctrl_current);
	}
	asm volatile("clgi" : : : "memory");
	save_host(page_address(cpu->save) + HOST_SAVE_STATE);
	enter_exit(svm, cpu->save, guest_spec, host_spec);
	asm volatile("stgi" : : : "memory");
	c->tlb_ctl = TLB_CONTROL_DO_NOTHING;
	c->event_inj = 0;
}

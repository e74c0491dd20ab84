/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The SVM backend's own state, shared by its files. The VMCB is written only from here; what
 * hardware leaves in it after #VMEXIT is guest-controlled and is checked by core.
 */
#ifndef BAWN_SVM_H
#define BAWN_SVM_H

#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/svm.h>
#include <asm/tsc.h>

#include "bawn.h"
#include "compat.h"

/* Two fields of the VMCB and their bits have other names since Linux 7.0. */
#ifdef SVM_MISC_ENABLE_NP
#define nested_ctl misc_ctl
#define virt_ext misc_ctl2
#define SVM_NESTED_CTL_NP_ENABLE SVM_MISC_ENABLE_NP
#define SVM_NESTED_CTL_SEV_ENABLE SVM_MISC_ENABLE_SEV
#define SVM_NESTED_CTL_SEV_ES_ENABLE SVM_MISC_ENABLE_SEV_ES
#define LBR_CTL_ENABLE_MASK SVM_MISC2_ENABLE_V_LBR
#endif

struct bawn_svm {
	struct vmcb *vmcb;
	phys_addr_t vmcb_pa;
	u64 asid_generation; /* 0: needs a new ASID */
	bool nmi_masked;     /* an NMI was delivered, its IRET not seen */
	bool iret_pending;   /* the IRET is executing: done when RIP leaves iret_rip */
	u64 iret_rip;
	bool step_for_nmi;   /* TF is ours, to see the end of an IRET or a shadow */
	u64 aux;	     /* what this CPU's TSC_AUX has while it is loaded */
	bool es;	     /* the state is in a VMSA that the host cannot read */
	int es_cpu;	     /* ... which ran last on this CPU */
};

/* What this CPU needs to run guests. */
struct bawn_svm_cpu {
	struct page *save;	/* VM_HSAVE_PA */
	struct page *host;	/* VMSAVE target for the host's own state */
	phys_addr_t host_pa;
	u64 aux;		/* the host's TSC_AUX */
	u64 tsc_ratio;		/* what its MSR has */
	u64 asid_generation;
	u32 next_asid;
	u32 max_asid;
	struct bawn_vcpu *last; /* compared, never followed: IBPB when another vCPU comes */
	struct bawn_vcpu *es_last; /* compared, never followed: flushes an ASID's translations */
};

DECLARE_PER_CPU(struct bawn_svm_cpu, bawn_svm_cpu);
/*
 * Physically contiguous, the same for all guests: the usual MSR bitmap, and the one under
 * KVM_X86_SET_MSR_FILTER, which intercepts every MSR so that core can filter it.
 */
extern u8 *bawn_svm_msrpm;
extern u8 *bawn_svm_msrpm_all;
extern u8 *bawn_svm_iopm;
extern u32 bawn_svm_min_asid; /* of plain guests */

static inline struct bawn_svm *to_svm(struct bawn_vcpu *vcpu)
{
	return vcpu->backend;
}

static inline void svm_intercept(struct bawn_svm *svm, unsigned int bit, bool on)
{
	if (on)
		__set_bit(bit, (unsigned long *)svm->vmcb->control.intercepts);
	else
		__clear_bit(bit, (unsigned long *)svm->vmcb->control.intercepts);
	svm->vmcb->control.clean = 0;
}

static inline void svm_load_tsc_ratio(struct bawn_svm_cpu *c, struct bawn_vcpu *vcpu)
{
	u64 ratio = vcpu->tsc_ratio ?: SVM_TSC_RATIO_DEFAULT;

	if (c->tsc_ratio == ratio)
		return;
	if (boot_cpu_has(X86_FEATURE_TSCRATEMSR))
		wrmsrq(MSR_AMD64_TSC_RATIO, ratio);
	c->tsc_ratio = ratio;
}

void bawn_svm_enter(u64 *gpr, u64 vmcb_pa, u64 host_pa, u64 guest_spec, u64 host_spec);

/* main.c */
void bawn_svm_msrpm_pass(u8 *msrpm, u32 msr); /* lets the guest access it */

/* sev_es.S, es.c */
void bawn_svm_es_enter(u64 vmcb_pa, void *host_save, u64 guest_spec, u64 host_spec);
int bawn_svm_es_setup(void);
void bawn_svm_es_teardown(void);
void bawn_svm_es_load(struct bawn_vcpu *vcpu, u64 vmsa_pa, u32 asid);
void bawn_svm_es_run(struct bawn_vcpu *vcpu);
bool bawn_svm_es_decode(struct bawn_vcpu *vcpu, struct bawn_exit *exit);
u64 bawn_svm_ghcb_get(struct bawn_vcpu *vcpu);
void bawn_svm_ghcb_set(struct bawn_vcpu *vcpu, u64 value);

/* vcpu.c */
int bawn_svm_vcpu_create(struct bawn_vcpu *vcpu);
void bawn_svm_vcpu_destroy(struct bawn_vcpu *vcpu);
void bawn_svm_vcpu_reset(struct bawn_vcpu *vcpu);
void bawn_svm_vcpu_load(struct bawn_vcpu *vcpu, int cpu);
void bawn_svm_vcpu_put(struct bawn_vcpu *vcpu);
void bawn_svm_prepare_switch(struct bawn_vcpu *vcpu);
void bawn_svm_run(struct bawn_vcpu *vcpu);
void bawn_svm_flush_tlb(struct bawn_vcpu *vcpu);

/* state.c */
void bawn_svm_get_segment(struct bawn_vcpu *vcpu, int sreg, struct kvm_segment *seg);
void bawn_svm_set_segment(struct bawn_vcpu *vcpu, int sreg, const struct kvm_segment *seg);
void bawn_svm_get_table(struct bawn_vcpu *vcpu, bool idt, struct kvm_dtable *dt);
void bawn_svm_set_table(struct bawn_vcpu *vcpu, bool idt, const struct kvm_dtable *dt);
int bawn_svm_cpl(struct bawn_vcpu *vcpu);
int bawn_svm_code_size(struct bawn_vcpu *vcpu);
void bawn_svm_code_segment(struct bawn_vcpu *vcpu, u64 *base, u32 *limit);
void bawn_svm_advance(struct bawn_vcpu *vcpu, unsigned int len);
void bawn_svm_load_control(struct bawn_vcpu *vcpu);
void bawn_svm_load_debug(struct bawn_vcpu *vcpu);
void bawn_svm_load_tsc(struct bawn_vcpu *vcpu);
u64 *bawn_svm_msr(struct bawn_vcpu *vcpu, u32 index);
u64 bawn_svm_scale_tsc(u64 ratio, u64 tsc);
u64 bawn_svm_tsc_ratio(u32 guest_khz);

/* event.c */
bool bawn_svm_irq_allowed(struct bawn_vcpu *vcpu);
bool bawn_svm_nmi_allowed(struct bawn_vcpu *vcpu);
bool bawn_svm_get_nmi_mask(struct bawn_vcpu *vcpu);
void bawn_svm_set_nmi_mask(struct bawn_vcpu *vcpu, bool masked);
u32 bawn_svm_get_shadow(struct bawn_vcpu *vcpu);
void bawn_svm_set_shadow(struct bawn_vcpu *vcpu, u32 shadow);
void bawn_svm_inject_irq(struct bawn_vcpu *vcpu);
void bawn_svm_inject_nmi(struct bawn_vcpu *vcpu);
void bawn_svm_inject_exception(struct bawn_vcpu *vcpu);
void bawn_svm_open_irq_window(struct bawn_vcpu *vcpu);
void bawn_svm_open_nmi_window(struct bawn_vcpu *vcpu);
void bawn_svm_requeue_event(struct bawn_vcpu *vcpu);

/* exit.c */
void bawn_svm_exit_irqoff(struct bawn_vcpu *vcpu);
bool bawn_svm_decode_fast(struct bawn_vcpu *vcpu, struct bawn_exit *exit);
void bawn_svm_decode(struct bawn_vcpu *vcpu, struct bawn_exit *exit);

#endif

// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vCPU's state as userspace reads and writes it: registers, FPU, debug registers, events.
 * What comes in was copied by the dispatcher and is checked here before anything changes.
 * api.rst 4.11 to 4.42.
 */
#include <linux/slab.h>
#include <asm/debugreg.h>
#include <asm/mce.h>
#include <asm/trapnr.h>

#include "ioctl.h"

/* ---- General registers ---- */

static const u8 gpr_order[16] = { VCPU_RAX, VCPU_RBX, VCPU_RCX, VCPU_RDX, VCPU_RSI, VCPU_RDI,
				  VCPU_RSP, VCPU_RBP, VCPU_R8, VCPU_R8 + 1, VCPU_R8 + 2,
				  VCPU_R8 + 3, VCPU_R8 + 4, VCPU_R8 + 5, VCPU_R8 + 6, VCPU_R15 };

static void get_regs(struct bawn_vcpu *vcpu, struct kvm_regs *regs)
{
	__u64 *gpr = &regs->rax; /* struct kvm_regs starts with the sixteen, in gpr_order */
	unsigned int i;

	BUILD_BUG_ON(offsetof(struct kvm_regs, rip) != 16 * sizeof(u64));
	for (i = 0; i < ARRAY_SIZE(gpr_order); i++)
		gpr[i] = vcpu->gpr[gpr_order[i]];
	regs->rip = vcpu->rip;
	regs->rflags = vcpu->rflags;
}

static void set_regs(struct bawn_vcpu *vcpu, const struct kvm_regs *regs)
{
	const __u64 *gpr = &regs->rax;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(gpr_order); i++)
		vcpu->gpr[gpr_order[i]] = gpr[i];
	vcpu->rip = regs->rip;
	vcpu->rflags = regs->rflags | X86_EFLAGS_FIXED;
	vcpu->ex.pending = false;
	set_bit(BAWN_REQ_EVENT, &vcpu->requests);
}

long bawn_call_get_regs(struct bawn_call *call)
{
	get_regs(call->vcpu, call->arg);
	return 0;
}

long bawn_call_set_regs(struct bawn_call *call)
{
	set_regs(call->vcpu, call->arg);
	return 0;
}

/* ---- Special registers ---- */

/* The part that kvm_sregs and kvm_sregs2 share stands at the same place in both. */
#define SREGS_COMMON offsetof(struct kvm_sregs, interrupt_bitmap)

static struct kvm_segment *segment(struct kvm_sregs *s, int sreg)
{
	struct kvm_segment *seg[VCPU_NR_SREG] = {
		[VCPU_SREG_ES] = &s->es,    [VCPU_SREG_CS] = &s->cs, [VCPU_SREG_SS] = &s->ss,
		[VCPU_SREG_DS] = &s->ds,    [VCPU_SREG_FS] = &s->fs, [VCPU_SREG_GS] = &s->gs,
		[VCPU_SREG_LDTR] = &s->ldt, [VCPU_SREG_TR] = &s->tr,
	};

	return seg[sreg];
}

static void get_sregs_common(struct bawn_vcpu *vcpu, struct kvm_sregs *s)
{
	int i;

	for (i = 0; i < VCPU_NR_SREG; i++)
		bawn_cpu->get_segment(vcpu, i, segment(s, i));
	bawn_cpu->get_table(vcpu, true, &s->idt);
	bawn_cpu->get_table(vcpu, false, &s->gdt);
	s->cr0 = vcpu->cr0;
	s->cr2 = vcpu->cr2;
	s->cr3 = vcpu->cr3;
	s->cr4 = vcpu->cr4;
	s->cr8 = bawn_get_cr8(vcpu);
	s->efer = vcpu->efer;
	s->apic_base = vcpu->apic_base;
}

static int get_sregs(struct bawn_vcpu *vcpu, struct kvm_sregs *s)
{
	memset(s, 0, sizeof(*s));
	get_sregs_common(vcpu, s);
	if (vcpu->irq.injected)
		s->interrupt_bitmap[vcpu->irq.vector / 64] |= 1ULL << (vcpu->irq.vector % 64);
	return 0;
}

static bool sregs_valid(struct bawn_vcpu *vcpu, const struct kvm_sregs *s)
{
	if (s->efer & EFER_LME && s->cr0 & X86_CR0_PG) {
		if (!(s->cr4 & X86_CR4_PAE) || !(s->efer & EFER_LMA) ||
		    s->cr3 >> vcpu->maxphyaddr)
			return false;
	} else if (s->efer & EFER_LMA || s->cs.l) {
		return false;
	}
	return bawn_cr0_valid(s->cr0) && !(s->cr4 & vcpu->cr4_reserved) &&
	       !(s->efer & ~(vcpu->efer_allowed | EFER_LMA));
}

static int set_sregs_common(struct bawn_vcpu *vcpu, struct kvm_sregs *s)
{
	int i;

	if (!sregs_valid(vcpu, s) || bawn_lapic_set_base(vcpu, s->apic_base, true))
		return -EINVAL;
	bawn_cpu->set_table(vcpu, true, &s->idt);
	bawn_cpu->set_table(vcpu, false, &s->gdt);
	vcpu->cr2 = s->cr2;
	vcpu->cr3 = s->cr3;
	bawn_set_cr8(vcpu, s->cr8); /* one that cannot be is not taken */
	vcpu->efer = s->efer;
	vcpu->cr0 = s->cr0 | X86_CR0_ET;
	vcpu->cr4 = s->cr4;
	bawn_cpu->load_control(vcpu);
	bawn_cpuid_runtime_update(vcpu);
	for (i = 0; i < VCPU_NR_SREG; i++)
		bawn_cpu->set_segment(vcpu, i, segment(s, i));
	/* A reset by a VMM that knows no mp_state: the boot processor runs. */
	if (vcpu->id == vcpu->vm->bsp_id && vcpu->rip == 0xfff0 && s->cs.selector == 0xf000 &&
	    !(s->cr0 & X86_CR0_PE))
		vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
	set_bit(BAWN_REQ_EVENT, &vcpu->requests);
	return 0;
}

static int set_sregs(struct bawn_vcpu *vcpu, struct kvm_sregs *s)
{
	int vector, r = set_sregs_common(vcpu, s);

	if (r)
		return r;
	vector = find_first_bit((unsigned long *)s->interrupt_bitmap, 256);
	if (vector < 256) {
		vcpu->irq.injected = true;
		vcpu->irq.vector = vector;
	}
	return 0;
}

long bawn_call_get_sregs2(struct bawn_call *call)
{
	struct kvm_sregs2 *out = call->arg;
	struct kvm_sregs s = {};

	BUILD_BUG_ON(SREGS_COMMON != offsetof(struct kvm_sregs2, flags));
	get_sregs_common(call->vcpu, &s);
	memset(out, 0, sizeof(*out));
	memcpy(out, &s, SREGS_COMMON);
	return 0;
}

/* PDPTRs are read from memory by the nested walk: a VMM cannot set them here. */
long bawn_call_set_sregs2(struct bawn_call *call)
{
	const struct kvm_sregs2 *in = call->arg;
	struct kvm_sregs s = {};

	if (in->flags)
		return -EINVAL;
	memcpy(&s, in, SREGS_COMMON);
	return set_sregs_common(call->vcpu, &s);
}

/* ---- FPU ---- */

#define MXCSR_DEFINED 0xffffu /* AMD APM vol. 1, 4.2.2, without misaligned mode */

long bawn_call_get_fpu(struct bawn_call *call)
{
	struct fxregs_state *fx = &call->vcpu->fpu.fpstate->regs.fxsave;
	struct kvm_fpu *fpu = call->arg;

	memcpy(fpu->fpr, fx->st_space, sizeof(fpu->fpr));
	fpu->fcw = fx->cwd;
	fpu->fsw = fx->swd;
	fpu->ftwx = fx->twd;
	fpu->last_opcode = fx->fop;
	fpu->last_ip = fx->rip;
	fpu->last_dp = fx->rdp;
	fpu->mxcsr = fx->mxcsr;
	memcpy(fpu->xmm, fx->xmm_space, sizeof(fpu->xmm));
	return 0;
}

long bawn_call_set_fpu(struct bawn_call *call)
{
	struct fpstate *fps = call->vcpu->fpu.fpstate;
	struct fxregs_state *fx = &fps->regs.fxsave;
	const struct kvm_fpu *fpu = call->arg;

	/* Reserved MXCSR bits would fault when the state is loaded. */
	if (fpu->mxcsr & ~MXCSR_DEFINED)
		return -EINVAL;
	memcpy(fx->st_space, fpu->fpr, sizeof(fpu->fpr));
	fx->cwd = fpu->fcw;
	fx->swd = fpu->fsw;
	fx->twd = fpu->ftwx;
	fx->fop = fpu->last_opcode;
	fx->rip = fpu->last_ip;
	fx->rdp = fpu->last_dp;
	fx->mxcsr = fpu->mxcsr;
	memcpy(fx->xmm_space, fpu->xmm, sizeof(fpu->xmm));
	if (boot_cpu_has(X86_FEATURE_XSAVE))
		fps->regs.xsave.header.xfeatures |= XFEATURE_MASK_FPSSE;
	return 0;
}

long bawn_call_get_xsave(struct bawn_call *call)
{
	fpu_copy_guest_fpstate_to_uabi(&call->vcpu->fpu, call->arg, sizeof(struct kvm_xsave),
				       call->vcpu->xcr0_allowed | XFEATURE_MASK_FPSSE, 0);
	return 0;
}

long bawn_call_set_xsave(struct bawn_call *call)
{
	u32 pkru;

	return fpu_copy_uabi_to_guest_fpstate(&call->vcpu->fpu, call->arg,
					      bawn_xcr0_supported() | XFEATURE_MASK_FPSSE, &pkru);
}

long bawn_call_get_xcrs(struct bawn_call *call)
{
	struct kvm_xcrs *x = call->arg;

	if (!boot_cpu_has(X86_FEATURE_XSAVE))
		return -EINVAL;
	memset(x, 0, sizeof(*x));
	x->nr_xcrs = 1;
	x->xcrs[0].value = call->vcpu->xcr0;
	return 0;
}

long bawn_call_set_xcrs(struct bawn_call *call)
{
	const struct kvm_xcrs *x = call->arg;
	unsigned int i;

	if (!boot_cpu_has(X86_FEATURE_XSAVE) || x->flags || x->nr_xcrs > ARRAY_SIZE(x->xcrs))
		return -EINVAL;
	for (i = 0; i < x->nr_xcrs; i++)
		if (!x->xcrs[i].xcr)
			return bawn_set_xcr(call->vcpu, 0, x->xcrs[i].value) ? -EINVAL : 0;
	return 0;
}

/* ---- Debugging ---- */

long bawn_call_get_debugregs(struct bawn_call *call)
{
	const struct bawn_debug *d = &call->vcpu->debug;
	struct kvm_debugregs *out = call->arg;

	memset(out, 0, sizeof(*out));
	memcpy(out->db, d->guest_db, sizeof(out->db));
	out->dr6 = d->guest_dr6;
	out->dr7 = d->guest_dr7;
	return 0;
}

long bawn_call_set_debugregs(struct bawn_call *call)
{
	const struct kvm_debugregs *in = call->arg;
	struct bawn_vcpu *vcpu = call->vcpu;

	if (in->flags || in->dr6 >> 32 || in->dr7 >> 32)
		return -EINVAL;
	memcpy(vcpu->debug.guest_db, in->db, sizeof(in->db));
	bawn_set_dr(vcpu, 6, in->dr6);
	bawn_set_dr(vcpu, 7, in->dr7);
	return 0;
}

long bawn_call_set_guest_debug(struct bawn_call *call)
{
	const struct kvm_guest_debug *in = call->arg;
	struct bawn_vcpu *vcpu = call->vcpu;

	if (in->control & ~BAWN_GUESTDBG_SERVED)
		return -EINVAL;
	if (in->control & (KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP)) {
		if (vcpu->ex.pending)
			return -EBUSY;
		bawn_inject_exception(vcpu,
				      in->control & KVM_GUESTDBG_INJECT_DB ? DB_VECTOR : BP_VECTOR,
				      false, 0, 0);
	}
	vcpu->debug.control = in->control & KVM_GUESTDBG_ENABLE ? in->control : 0;
	memcpy(vcpu->debug.user_db, in->arch.debugreg, sizeof(vcpu->debug.user_db));
	/* Conditions on I/O and reserved bits have no meaning here. */
	vcpu->debug.user_dr7 = (u32)in->arch.debugreg[7] & ~DR7_GD;
	bawn_cpu->load_debug(vcpu);
	return 0;
}

/* ---- Events ---- */

#define EVENTS_SERVED \
	(KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR | \
	 KVM_VCPUEVENT_VALID_SHADOW)

static int get_events(struct bawn_vcpu *vcpu, struct kvm_vcpu_events *e)
{
	memset(e, 0, sizeof(*e));
	/* The structure has no room for CR2 or DR6: they are in their registers from here. */
	if (vcpu->ex.pending)
		bawn_deliver_payload(vcpu);
	e->exception.injected = vcpu->ex.injected || vcpu->ex.pending;
	e->exception.nr = vcpu->ex.vector;
	e->exception.has_error_code = vcpu->ex.has_error;
	e->exception.error_code = vcpu->ex.error;
	e->interrupt.injected = vcpu->irq.injected;
	e->interrupt.nr = vcpu->irq.vector;
	e->interrupt.shadow = bawn_cpu->get_shadow(vcpu);
	e->nmi.injected = vcpu->nmi_injected;
	bawn_take_nmis(vcpu);
	e->nmi.pending = vcpu->nmi_pending;
	e->nmi.masked = bawn_cpu->get_nmi_mask(vcpu);
	e->flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
	return 0;
}

/*
 * An exception that its instructions did not cause, an interrupt or NMI past its masks is an attack
 * on such a guest, and so is to take the masks away. What an exit broke off may be put back as it
 * was read.
 */
static bool foreign_events(struct bawn_vcpu *vcpu, const struct kvm_vcpu_events *e)
{
	return e->exception.injected ||
	       (e->interrupt.injected &&
		(!vcpu->irq.injected || vcpu->irq.vector != e->interrupt.nr)) ||
	       (e->nmi.injected && !vcpu->nmi_injected) ||
	       (!e->nmi.masked && bawn_cpu->get_nmi_mask(vcpu)) ||
	       (e->flags & KVM_VCPUEVENT_VALID_SHADOW && !e->interrupt.shadow &&
		bawn_cpu->get_shadow(vcpu));
}

static int set_events(struct bawn_vcpu *vcpu, const struct kvm_vcpu_events *e)
{
	if (e->flags & ~EVENTS_SERVED)
		return -EINVAL;
	if (e->exception.injected &&
	    (e->exception.nr > 31 || e->exception.nr == X86_TRAP_NMI))
		return -EINVAL;
	if (vcpu->state_protected && foreign_events(vcpu, e))
		return -EINVAL;
	vcpu->ex = (struct bawn_exception){
		.injected = e->exception.injected,
		.vector = e->exception.nr,
		.has_error = e->exception.has_error_code,
		.error = e->exception.error_code,
	};
	vcpu->irq.injected = e->interrupt.injected;
	vcpu->irq.vector = e->interrupt.nr;
	if (e->flags & KVM_VCPUEVENT_VALID_SHADOW)
		bawn_cpu->set_shadow(vcpu, e->interrupt.shadow);
	vcpu->nmi_injected = e->nmi.injected;
	if (e->flags & KVM_VCPUEVENT_VALID_NMI_PENDING) {
		vcpu->nmi_pending = 0;
		atomic_set(&vcpu->nmi_queued, e->nmi.pending);
	}
	bawn_cpu->set_nmi_mask(vcpu, e->nmi.masked);
	if (e->flags & KVM_VCPUEVENT_VALID_SIPI_VECTOR)
		vcpu->sipi_vector = e->sipi_vector;
	set_bit(BAWN_REQ_EVENT, &vcpu->requests);
	return 0;
}

long bawn_call_get_mp_state(struct bawn_call *call)
{
	struct kvm_mp_state *s = call->arg;

	if (call->vcpu->apic)
		bawn_lapic_accept_events(call->vcpu);
	s->mp_state = call->vcpu->mp_state;
	return 0;
}

long bawn_call_set_mp_state(struct bawn_call *call)
{
	const struct kvm_mp_state *s = call->arg;
	struct bawn_vcpu *vcpu = call->vcpu;

	if (s->mp_state > KVM_MP_STATE_SIPI_RECEIVED &&
	    !(vcpu->vm->tee && s->mp_state == KVM_MP_STATE_AP_RESET_HOLD))
		return -EINVAL;
	/* The other states are the local APIC's doing. */
	if (!vcpu->apic && s->mp_state != KVM_MP_STATE_RUNNABLE)
		return -EINVAL;
	if (s->mp_state == KVM_MP_STATE_SIPI_RECEIVED) {
		vcpu->mp_state = KVM_MP_STATE_INIT_RECEIVED;
		set_bit(BAWN_APIC_SIPI, &vcpu->apic_events);
		set_bit(BAWN_REQ_APIC_INIT, &vcpu->requests);
	} else {
		vcpu->mp_state = s->mp_state;
	}
	set_bit(BAWN_REQ_EVENT, &vcpu->requests);
	return 0;
}

long bawn_call_nmi(struct bawn_call *call)
{
	/* More than two are one: see bawn_inject_events(). */
	if (atomic_read(&call->vcpu->nmi_queued) < 2)
		atomic_inc(&call->vcpu->nmi_queued);
	bawn_vcpu_request(call->vcpu, BAWN_REQ_EVENT);
	return 0;
}

/* No page ever holds a copy of the TPR: only "none" can be served. */
long bawn_call_set_vapic_addr(struct bawn_call *call)
{
	const struct kvm_vapic_addr *va = call->arg;

	return va->vapic_addr ? -EINVAL : 0;
}

/* api.rst 4.105. */
long bawn_call_setup_mce(struct bawn_call *call)
{
	struct bawn_vcpu *vcpu = call->vcpu;
	u64 cap = *(u64 *)call->arg;
	unsigned int banks = cap & MCG_BANKCNT_MASK, i;
	u64 *state;

	if (!banks || banks > BAWN_MAX_MCE_BANKS ||
	    cap & ~(BAWN_MCE_CAP | MCG_BANKCNT_MASK | 0xff0000))
		return -EINVAL;
	state = kcalloc(banks, 4 * sizeof(u64), GFP_KERNEL_ACCOUNT);
	if (!state)
		return -ENOMEM;
	for (i = 0; i < banks; i++)
		state[i * 4] = ~0ULL;
	kfree(vcpu->mce_banks);
	vcpu->mce_banks = state;
	vcpu->mcg_cap = cap;
	vcpu->mcg_ctl = cap & MCG_CTL_P ? ~0ULL : 0;
	return 0;
}

/* ---- Calls that take the copied argument as it is ---- */

#define VCPU_CALL(name, fn) \
	long bawn_call_##name(struct bawn_call *call) { return fn(call->vcpu, call->arg); }

VCPU_CALL(get_sregs, get_sregs)
VCPU_CALL(set_sregs, set_sregs)
VCPU_CALL(get_events, get_events)
VCPU_CALL(set_events, set_events)
VCPU_CALL(get_lapic, bawn_lapic_get_state)
VCPU_CALL(set_lapic, bawn_lapic_set_state)

/* ---- The measured form (include/bawn/measure.h) ---- */

static void measure_segment(const struct kvm_segment *s, struct bawn_measure_segment *out)
{
	if (s->unusable) {
		out->attributes = cpu_to_le16(BIT(12));
		return;
	}
	out->base = cpu_to_le64(s->base);
	out->limit = cpu_to_le32(s->limit);
	out->selector = cpu_to_le16(s->selector);
	out->attributes = cpu_to_le16(s->type | s->s << 4 | s->dpl << 5 | s->present << 7 |
				      s->avl << 8 | s->l << 9 | s->db << 10 | s->g << 11);
}

void bawn_measure_vcpu_state(struct bawn_vcpu *vcpu, struct bawn_measure_vcpu *out)
{
	struct kvm_sregs s = {};
	struct kvm_regs r;
	unsigned int i;

	memset(out, 0, sizeof(*out));
	mutex_lock(&vcpu->mutex);
	out->id = cpu_to_le32(vcpu->id);
	out->mp_state = cpu_to_le32(vcpu->mp_state);
	get_regs(vcpu, &r);
	get_sregs_common(vcpu, &s);
	mutex_unlock(&vcpu->mutex);
	if (le32_to_cpu(out->mp_state) == KVM_MP_STATE_UNINITIALIZED)
		return;
	for (i = 0; i < 16; i++)
		out->gpr[i] = cpu_to_le64((&r.rax)[i]);
	out->rip = cpu_to_le64(r.rip);
	out->rflags = cpu_to_le64(r.rflags);
	out->cr0 = cpu_to_le64(s.cr0);
	out->cr3 = cpu_to_le64(s.cr3);
	out->cr4 = cpu_to_le64(s.cr4);
	out->efer = cpu_to_le64(s.efer);
	out->apic_base = cpu_to_le64(s.apic_base);
	measure_segment(&s.cs, &out->seg[0]);
	measure_segment(&s.ds, &out->seg[1]);
	measure_segment(&s.es, &out->seg[2]);
	measure_segment(&s.fs, &out->seg[3]);
	measure_segment(&s.gs, &out->seg[4]);
	measure_segment(&s.ss, &out->seg[5]);
	measure_segment(&s.tr, &out->seg[6]);
	measure_segment(&s.ldt, &out->seg[7]);
	out->gdt_base = cpu_to_le64(s.gdt.base);
	out->gdt_limit = cpu_to_le32(s.gdt.limit);
	out->idt_base = cpu_to_le64(s.idt.base);
	out->idt_limit = cpu_to_le32(s.idt.limit);
}

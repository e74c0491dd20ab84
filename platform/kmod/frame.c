// SPDX-License-Identifier: GPL-2.0-only
/*
 * #VC, delivered as the processor delivers an exception in long mode: gate, code segment, stack,
 * frame. In software, because EVENTINJ on emulated SVM pushes no error code with vector 29; where
 * EVENTINJ would, this gives the same. Everything it reads is the guest's: what does not check
 * ends in #DF or, from there, in a shutdown of the guest.
 * AMD APM vol. 2, 8.9 (long-mode delivery), 8.2.9 (#DF), 15.35.5 (#VC).
 */
#include <asm/processor-flags.h>
#include <asm/trapnr.h>

#include "platform.h"

/* A gate of the long-mode IDT. */
struct gate {
	u16 offset_low;
	u16 selector;
	u8 ist; /* bits 2:0 */
	u8 type; /* 3:0 type, 4 zero, 6:5 DPL, 7 present */
	u16 offset_middle;
	u32 offset_high;
	u32 reserved;
} __packed;

#define GATE_TYPE 0x1f
#define GATE_INTERRUPT 0x0e
#define GATE_TRAP 0x0f
#define GATE_PRESENT BIT(7)
#define GATE_IST 7

/* The long-mode TSS: RSP0 to RSP2, then IST1 to IST7. */
#define TSS_RSP(cpl) (4 + 8 * (cpl))
#define TSS_IST(n) (0x24 + 8 * ((n) - 1))

/* A code segment's descriptor. */
#define DESC_ACCESSED BIT_ULL(40)
#define DESC_CONFORMING BIT_ULL(42)
#define DESC_CODE BIT_ULL(43)
#define DESC_S BIT_ULL(44)
#define DESC_DPL(d) ((d) >> 45 & 3)
#define DESC_PRESENT BIT_ULL(47)
#define DESC_AVL BIT_ULL(52)
#define DESC_L BIT_ULL(53)
#define DESC_D BIT_ULL(54)
#define DESC_G BIT_ULL(55)

#define SEL_RPL 3
#define SEL_TI BIT(2)
#define SEL_INDEX 0xfff8

/* What one delivery works out before it changes anything. */
struct delivery {
	struct bawn_vcpu *vcpu;
	struct gate gate;
	u64 code; /* the descriptor */
	int cpl, new_cpl;
	u64 rsp;
	struct platform_walk walk; /* of what failed */
};

struct frame {
	u64 error, rip, cs, rflags, rsp, ss;
};

int platform_memory_fault(struct bawn_vcpu *vcpu, gpa_t gpa, bool private)
{
	struct kvm_run *run = vcpu->run;

	atomic64_inc(&platform_stats.rmp_faults);
	run->exit_reason = KVM_EXIT_MEMORY_FAULT;
	run->memory_fault.flags = private ? KVM_MEMORY_EXIT_FLAG_PRIVATE : 0;
	run->memory_fault.gpa = gpa & ~platform_cmask() & PAGE_MASK;
	run->memory_fault.size = PAGE_SIZE;
	return -EFAULT;
}

/* Each answers 0, or -EFAULT: with d->walk.fault when memory was at fault, else for #DF. */

static int read_linear(struct delivery *d, gva_t gva, void *buf, size_t len)
{
	return platform_read_virt(d->vcpu, gva, buf, len, &d->walk);
}

static int read_gate(struct delivery *d)
{
	struct kvm_dtable idt;

	bawn_cpu->get_table(d->vcpu, true, &idt);
	if ((VC_VECTOR + 1) * sizeof(d->gate) - 1 > idt.limit)
		return -EFAULT;
	if (read_linear(d, idt.base + VC_VECTOR * sizeof(d->gate), &d->gate, sizeof(d->gate)))
		return -EFAULT;
	if ((d->gate.type & GATE_TYPE) != GATE_INTERRUPT &&
	    (d->gate.type & GATE_TYPE) != GATE_TRAP)
		return -EFAULT;
	return d->gate.type & GATE_PRESENT ? 0 : -EFAULT;
}

static int read_code_segment(struct delivery *d)
{
	u16 selector = d->gate.selector;
	struct kvm_segment ldt;
	struct kvm_dtable gdt;
	u64 base, limit;

	if (!(selector & ~SEL_RPL))
		return -EFAULT;
	if (selector & SEL_TI) {
		bawn_cpu->get_segment(d->vcpu, VCPU_SREG_LDTR, &ldt);
		if (ldt.unusable)
			return -EFAULT;
		base = ldt.base;
		limit = ldt.limit;
	} else {
		bawn_cpu->get_table(d->vcpu, false, &gdt);
		base = gdt.base;
		limit = gdt.limit;
	}
	if ((selector | 7) > limit)
		return -EFAULT;
	if (read_linear(d, base + (selector & SEL_INDEX), &d->code, sizeof(d->code)))
		return -EFAULT;
	if (!(d->code & DESC_S) || !(d->code & DESC_CODE) || !(d->code & DESC_PRESENT) ||
	    !(d->code & DESC_L) || d->code & DESC_D || DESC_DPL(d->code) > d->cpl)
		return -EFAULT;
	d->new_cpl = d->code & DESC_CONFORMING ? d->cpl : DESC_DPL(d->code);
	return 0;
}

static int find_stack(struct delivery *d)
{
	int ist = d->gate.ist & GATE_IST;
	struct kvm_segment tss;
	u32 at;

	d->rsp = d->vcpu->gpr[VCPU_RSP];
	if (ist || d->new_cpl != d->cpl) {
		at = ist ? TSS_IST(ist) : TSS_RSP(d->new_cpl);
		bawn_cpu->get_segment(d->vcpu, VCPU_SREG_TR, &tss);
		if (at + sizeof(u64) - 1 > tss.limit)
			return -EFAULT;
		if (read_linear(d, tss.base + at, &d->rsp, sizeof(d->rsp)))
			return -EFAULT;
	}
	d->rsp = (d->rsp & ~0xfULL) - sizeof(struct frame);
	return bawn_canonical(d->vcpu, d->rsp) &&
	       bawn_canonical(d->vcpu, d->rsp + sizeof(struct frame) - 1) ? 0 : -EFAULT;
}

static u64 handler(const struct gate *gate)
{
	return gate->offset_low | (u32)gate->offset_middle << 16 | (u64)gate->offset_high << 32;
}

static int push_frame(struct delivery *d, u32 error)
{
	struct bawn_vcpu *vcpu = d->vcpu;
	struct kvm_segment cs, ss;
	struct frame frame = {
		.error = error,
		.rip = vcpu->rip,
		/* A fault: the instruction is to go on without a breakpoint's trap. */
		.rflags = vcpu->rflags | X86_EFLAGS_RF,
		.rsp = vcpu->gpr[VCPU_RSP],
	};

	if (!bawn_canonical(vcpu, handler(&d->gate)))
		return -EFAULT;
	bawn_cpu->get_segment(vcpu, VCPU_SREG_CS, &cs);
	bawn_cpu->get_segment(vcpu, VCPU_SREG_SS, &ss);
	frame.cs = cs.selector;
	frame.ss = ss.selector;
	return platform_write_virt(vcpu, d->rsp, &frame, sizeof(frame), &d->walk);
}

static void enter(struct delivery *d)
{
	struct bawn_vcpu *vcpu = d->vcpu;
	struct kvm_segment cs = {
		.limit = 0xffffffff,
		.selector = (d->gate.selector & ~SEL_RPL) | d->new_cpl,
		.type = (d->code >> 40 & 0xf) | 1,
		.s = 1,
		.dpl = DESC_DPL(d->code),
		.present = 1,
		.avl = !!(d->code & DESC_AVL),
		.l = 1,
		.g = !!(d->code & DESC_G),
	};
	/* A null selector, of the new privilege level. */
	struct kvm_segment ss = { .selector = d->new_cpl, .dpl = d->new_cpl, .unusable = 1 };

	bawn_cpu->set_segment(vcpu, VCPU_SREG_CS, &cs);
	if (d->new_cpl != d->cpl)
		bawn_cpu->set_segment(vcpu, VCPU_SREG_SS, &ss);
	vcpu->gpr[VCPU_RSP] = d->rsp;
	vcpu->rip = handler(&d->gate);
	vcpu->rflags &= ~(u64)(X86_EFLAGS_TF | X86_EFLAGS_NT | X86_EFLAGS_RF | X86_EFLAGS_VM);
	if ((d->gate.type & GATE_TYPE) == GATE_INTERRUPT)
		vcpu->rflags &= ~(u64)X86_EFLAGS_IF;
	/* The shadow was the interrupted instruction's. */
	bawn_cpu->set_shadow(vcpu, 0);
}

/* ---- Events meeting events ---- */

static void double_fault(struct bawn_vcpu *vcpu)
{
	vcpu->ex.injected = false;
	bawn_inject_exception(vcpu, DF_VECTOR, true, 0, 0);
}

static bool contributory_or_page_fault(u8 vector)
{
	return vector == DE_VECTOR || (vector >= TS_VECTOR && vector <= PF_VECTOR) ||
	       vector == VC_VECTOR;
}

/*
 * What was being delivered when #VC came. An interrupt or NMI waits; of two exceptions either the
 * pair is a double fault, or the first comes again when its instruction is executed again.
 * True when there is no #VC any more.
 */
static bool overtaken(struct bawn_vcpu *vcpu)
{
	struct platform_vcpu *p = to_platform(vcpu);

	if (vcpu->irq.injected) {
		vcpu->irq.injected = false;
		p->irq_held = true;
		p->irq_vector = vcpu->irq.vector;
	}
	if (vcpu->nmi_injected) {
		vcpu->nmi_injected = false;
		bawn_cpu->set_nmi_mask(vcpu, false);
		vcpu->nmi_pending++;
	}
	set_bit(BAWN_REQ_EVENT, &vcpu->requests);
	if (!vcpu->ex.injected)
		return false;
	vcpu->ex.injected = false;
	if (vcpu->ex.vector == DF_VECTOR) {
		set_bit(BAWN_REQ_TRIPLE_FAULT, &vcpu->requests);
		return true;
	}
	if (!contributory_or_page_fault(vcpu->ex.vector))
		return false;
	double_fault(vcpu);
	return true;
}

/* #VC is contributory: #PF while it is delivered comes after it, all else makes #DF. */
static int delivery_failed(struct delivery *d)
{
	const struct platform_walk *w = &d->walk;

	switch (w->fault) {
	case FAULT_PAGE:
		bawn_inject_exception(d->vcpu, PF_VECTOR, true, w->error, w->gva);
		return 1;
	case FAULT_RMP:
		return platform_memory_fault(d->vcpu, w->gpa, w->gpa & platform_cmask());
	case FAULT_RETRY:
		return 1;
	default:
		double_fault(d->vcpu);
		return 1;
	}
}

int platform_vc(struct bawn_vcpu *vcpu, u32 error)
{
	struct delivery d = { .vcpu = vcpu, .cpl = bawn_cpu->cpl(vcpu) };

	atomic64_inc(&platform_stats.vc);
	if (overtaken(vcpu))
		return 1;
	/* No long mode: no guest that knows #VC takes it there. */
	if (!(vcpu->efer & EFER_LMA)) {
		double_fault(vcpu);
		return 1;
	}
	if (read_gate(&d) || read_code_segment(&d) || find_stack(&d) || push_frame(&d, error))
		return delivery_failed(&d);
	enter(&d);
	return 1;
}

int platform_walk_failed(struct bawn_vcpu *vcpu, const struct platform_walk *w)
{
	switch (w->fault) {
	case FAULT_PAGE:
		bawn_inject_exception(vcpu, PF_VECTOR, true, w->error, w->gva);
		return 1;
	case FAULT_NOT_VALIDATED:
		return platform_vc(vcpu, EXIT_PAGE_NOT_VALIDATED);
	case FAULT_NO_MEMORY:
		if (!(w->gpa & platform_cmask()))
			return platform_vc(vcpu, EXIT_NPF);
		fallthrough;
	case FAULT_RMP:
		return platform_memory_fault(vcpu, w->gpa, w->gpa & platform_cmask());
	default:
		return 1;
	}
}

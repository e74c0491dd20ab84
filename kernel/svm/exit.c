// SPDX-License-Identifier: GPL-2.0-only
/*
 * #VMEXIT codes into neutral exits. Where the CPU gives no instruction length or operands
 * (no NRIPS, no decode assists), the instruction's own bytes are fetched and measured.
 * Everything read here is the guest's choice. AMD APM vol. 2, appendix C.
 */
#include <linux/nospec.h>
#include <asm/cpufeature.h>
#include <asm/mce.h>
#include <asm/ptrace.h>
#include <asm/trap_pf.h>
#include <asm/trapnr.h>

#include "svm.h"
#include "trace.h"

#define IOIO_SEG_SHIFT 10

/* Exits that need no more than a kind and, without NRIPS, the opcode's length. */
static const struct {
	bool known;
	u8 kind;
	u8 op_len;
} simple[0xa5] = {
	[SVM_EXIT_INTR] = { true, BAWN_EXIT_INTR },
	[SVM_EXIT_NMI] = { true, BAWN_EXIT_NMI },
	[SVM_EXIT_SMI] = { true, BAWN_EXIT_INTR },
	[SVM_EXIT_INIT] = { true, BAWN_EXIT_INTR },
	[SVM_EXIT_RDPMC] = { true, BAWN_EXIT_GP },
	[SVM_EXIT_CPUID] = { true, BAWN_EXIT_CPUID, 2 },
	[SVM_EXIT_RSM] = { true, BAWN_EXIT_UD },
	[SVM_EXIT_INVD] = { true, BAWN_EXIT_NOP, 2 },
	[SVM_EXIT_PAUSE] = { true, BAWN_EXIT_PAUSE, 1 },
	[SVM_EXIT_HLT] = { true, BAWN_EXIT_HLT, 1 },
	[SVM_EXIT_INVLPGA] = { true, BAWN_EXIT_UD },
	[SVM_EXIT_MSR] = { true, BAWN_EXIT_MSR, 2 },
	[SVM_EXIT_SHUTDOWN] = { true, BAWN_EXIT_SHUTDOWN },
	[SVM_EXIT_VMRUN] = { true, BAWN_EXIT_UD },
	[SVM_EXIT_VMMCALL] = { true, BAWN_EXIT_HYPERCALL, 3 },
	[SVM_EXIT_VMLOAD] = { true, BAWN_EXIT_UD },
	[SVM_EXIT_VMSAVE] = { true, BAWN_EXIT_UD },
	[SVM_EXIT_STGI] = { true, BAWN_EXIT_UD },
	[SVM_EXIT_CLGI] = { true, BAWN_EXIT_UD },
	[SVM_EXIT_SKINIT] = { true, BAWN_EXIT_UD },
	[SVM_EXIT_WBINVD] = { true, BAWN_EXIT_NOP, 2 },
	[SVM_EXIT_MONITOR] = { true, BAWN_EXIT_UD },
	[SVM_EXIT_MWAIT] = { true, BAWN_EXIT_UD },
	[SVM_EXIT_XSETBV] = { true, BAWN_EXIT_XSETBV, 3 },
	[SVM_EXIT_RDPRU] = { true, BAWN_EXIT_UD },
	[0xa0] = { true, BAWN_EXIT_UD }, /* INVLPGB */
	[0xa1] = { true, BAWN_EXIT_UD },
	[0xa3] = { true, BAWN_EXIT_UD }, /* MCOMMIT */
	[0xa4] = { true, BAWN_EXIT_UD }, /* TLBSYNC */
};

/* What must happen before interrupts are enabled again. */
void bawn_svm_exit_irqoff(struct bawn_vcpu *vcpu)
{
	/* The exception was taken from the host's handler: hand it over. */
	if (to_svm(vcpu)->vmcb->control.exit_code == SVM_EXIT_EXCP_BASE + MC_VECTOR) {
		struct pt_regs regs = { .cs = 3, .flags = X86_EFLAGS_IF };

		if (IS_ENABLED(CONFIG_X86_MCE))
			do_machine_check(&regs);
	}
}

/* The exiting instruction's length as the CPU gives it, 0 when it does not. */
static __always_inline u8 next_rip_len(struct bawn_vcpu *vcpu)
{
	u64 len = to_svm(vcpu)->vmcb->control.next_rip - vcpu->rip;

	return cpu_feature_enabled(X86_FEATURE_NRIPS) && len <= 15 ? len : 0;
}

/* Length of the exiting instruction, 0 when it cannot be told. */
static u8 insn_len(struct bawn_vcpu *vcpu, int op_len)
{
	struct bawn_walk_fault f;
	u8 bytes[15];
	int nr;

	/* A confidential guest's code is not for us; what plays its hardware looks for itself. */
	if (!op_len || vcpu->state_protected)
		return 0;
	if (next_rip_len(vcpu))
		return next_rip_len(vcpu);
	nr = bawn_fetch(vcpu, bytes, &f);
	if (nr >= op_len && (bytes[0] == 0x0f || bytes[0] == 0xf4))	/* no prefixes */
		return op_len;
	return nr > 0 ? bawn_insn_prefixed_len(bytes, nr, bawn_svm_code_size(vcpu), op_len) : 0;
}

/* The string forms' operands. */
static noinline void decode_io_string(struct bawn_vcpu *vcpu, struct bawn_exit *exit, u32 info)
{
	u32 asize = (info & SVM_IOIO_ASIZE_MASK) >> SVM_IOIO_ASIZE_SHIFT;

	exit->io.addr_size = asize == 1 ? 2 : asize == 2 ? 4 : 8;
	if (exit->io.in || vcpu->state_protected)
		return;
	if (boot_cpu_has(X86_FEATURE_DECODEASSISTS)) {
		static const u8 seg[8] = { VCPU_SREG_ES, VCPU_SREG_CS, VCPU_SREG_SS, VCPU_SREG_DS,
					   VCPU_SREG_FS, VCPU_SREG_GS, VCPU_SREG_DS, VCPU_SREG_DS };

		exit->io.seg = seg[(info >> IOIO_SEG_SHIFT) & 7];
	} else {
		struct bawn_walk_fault f;
		u8 bytes[15];
		int nr = bawn_fetch(vcpu, bytes, &f);

		if (nr > 0)
			exit->io.seg = bawn_insn_segment(bytes, nr, bawn_svm_code_size(vcpu));
	}
}

static void decode_io(struct bawn_vcpu *vcpu, struct bawn_exit *exit)
{
	struct vmcb_control_area *c = &to_svm(vcpu)->vmcb->control;
	u32 info = c->exit_info_1;

	exit->io.size = (info & SVM_IOIO_SIZE_MASK) >> SVM_IOIO_SIZE_SHIFT;
	/* One bit of three; core moves that many bytes. */
	if (exit->io.size != 1 && exit->io.size != 2 && exit->io.size != 4)
		return;
	exit->kind = BAWN_EXIT_IO;
	exit->io.in = info & SVM_IOIO_TYPE_MASK;
	exit->io.string = info & SVM_IOIO_STR_MASK;
	exit->io.rep = info & SVM_IOIO_REP_MASK;
	exit->io.port = info >> 16;
	exit->io.seg = VCPU_SREG_DS;
	/* EXITINFO2 is the next instruction's RIP on every SVM. */
	exit->len = c->exit_info_2 - vcpu->rip;
	if (exit->io.string)
		decode_io_string(vcpu, exit, info);
}

/* MOV CR, CLTS, LMSW, SMSW and MOV DR, all from the instruction itself. */
static void decode_cr_dr(struct bawn_vcpu *vcpu, struct bawn_exit *exit)
{
	struct bawn_walk_fault f;
	struct bawn_insn_cr cr;
	u8 bytes[15];
	int nr = vcpu->state_protected ? 0 : bawn_fetch(vcpu, bytes, &f);

	if (nr <= 0 || bawn_insn_decode_cr(&cr, bytes, nr, bawn_svm_code_size(vcpu)))
		return;
	exit->len = cr.len;
	switch (cr.op) {
	case BAWN_CR_MOV_DR:
		exit->kind = BAWN_EXIT_DR;
		exit->dr.dr = cr.reg;
		exit->dr.write = cr.write;
		exit->dr.gpr = cr.gpr;
		break;
	case BAWN_CR_MOV:
		exit->kind = BAWN_EXIT_CR;
		exit->cr.cr = cr.reg;
		exit->cr.write = cr.write;
		exit->cr.gpr = cr.gpr;
		exit->cr.value = vcpu->gpr[cr.gpr];
		exit->cr.size = 8;
		break;
	case BAWN_CR_CLTS:
		exit->kind = BAWN_EXIT_CR;
		exit->cr.cr = 0;
		exit->cr.write = true;
		exit->cr.value = vcpu->cr0 & ~(u64)X86_CR0_TS;
		break;
	case BAWN_CR_LMSW:
		/* Of LMSW and SMSW the register forms alone are served: nobody uses the others. */
		if (cr.mem)
			break;
		exit->kind = BAWN_EXIT_CR;
		exit->cr.cr = 0;
		exit->cr.write = true;
		/* LMSW sets PE and cannot clear it (AMD APM vol. 3). */
		exit->cr.value = (vcpu->cr0 & ~0xeULL) | (vcpu->gpr[cr.gpr] & 0xf);
		break;
	case BAWN_CR_SMSW:
		if (cr.mem)
			break;
		exit->kind = BAWN_EXIT_CR;
		exit->cr.cr = 0;
		exit->cr.gpr = cr.gpr;
		exit->cr.size = cr.size;
		break;
	}
}

static void decode_exception(struct bawn_vcpu *vcpu, struct bawn_exit *exit, u8 vector)
{
	struct bawn_svm *svm = to_svm(vcpu);

	exit->kind = BAWN_EXIT_EXCEPTION;
	exit->ex.vector = vector;
	switch (vector) {
	case MC_VECTOR: /* exit_irqoff gave it to the host */
		exit->kind = BAWN_EXIT_HANDLED;
		break;
	case DB_VECTOR:
		exit->ex.payload = svm->vmcb->save.dr6;
		if (svm->step_for_nmi) {
			svm->step_for_nmi = false;
			set_bit(BAWN_REQ_EVENT, &vcpu->requests);
			/* A step that only we asked for is none of the guest's business. */
			if (!(vcpu->debug.control & KVM_GUESTDBG_SINGLESTEP) &&
			    !(vcpu->rflags & X86_EFLAGS_TF))
				exit->kind = BAWN_EXIT_HANDLED;
		}
		break;
	case AC_VECTOR:
		exit->ex.has_error = true; /* always 0 */
		break;
	case BP_VECTOR:
		break;
	default: /* no other is intercepted */
		exit->kind = BAWN_EXIT_UNKNOWN;
	}
}

static void decode_simple(struct bawn_vcpu *vcpu, struct bawn_exit *exit, u32 code)
{
	if (code >= ARRAY_SIZE(simple) || !simple[code].known)
		return;
	code = array_index_nospec(code, ARRAY_SIZE(simple));
	exit->kind = simple[code].kind;
	exit->len = insn_len(vcpu, simple[code].op_len);
	if (simple[code].op_len && !exit->len && !vcpu->state_protected)
		exit->kind = BAWN_EXIT_UNKNOWN;
	if (exit->kind == BAWN_EXIT_MSR)
		exit->msr.write = to_svm(vcpu)->vmcb->control.exit_info_1 & 1;
}

/* The exit as it is, for whoever records (trace.h). Guest memory is read for nothing else. */
static void record_exit(struct bawn_vcpu *vcpu, const struct bawn_exit *exit)
{
	struct vmcb_control_area *c = &to_svm(vcpu)->vmcb->control;
	struct bawn_exit_record r = {
		.vcpu = vcpu->id,
		.kind = exit->kind,
		.code = c->exit_code,
		.info1 = c->exit_info_1,
		.info2 = c->exit_info_2,
		.event = c->exit_int_info,
	};
	struct bawn_walk_fault f;
	int nr;

	if (!vcpu->state_protected) {
		r.rip = vcpu->rip;
		r.rflags = vcpu->rflags;
		r.cr0 = vcpu->cr0;
		memcpy(r.gpr, vcpu->gpr, sizeof(r.gpr));
		r.mode = bawn_svm_code_size(vcpu);
		r.cpl = bawn_svm_cpl(vcpu);
		nr = bawn_fetch(vcpu, r.bytes, &f);
		r.nr = max(nr, 0);
	}
	trace_bawn_exit_record(&r);
}

static void close_irq_window(struct bawn_svm *svm)
{
	svm->vmcb->control.int_ctl &= ~V_IRQ_INJECTION_BITS_MASK;
	svm_intercept(svm, INTERCEPT_VINTR, false);
}

static void decode(struct bawn_vcpu *vcpu, struct bawn_exit *exit)
{
	struct bawn_svm *svm = to_svm(vcpu);
	struct vmcb_control_area *c = &svm->vmcb->control;
	u32 code = c->exit_code;

	memset(exit, 0, sizeof(*exit));
	exit->hw_reason = code;
	exit->kind = BAWN_EXIT_UNKNOWN;
	if (code == (u32)SVM_EXIT_ERR) {
		exit->kind = BAWN_EXIT_FAIL_ENTRY;
		exit->hw_reason = (u64)-1;
		return;
	}
	bawn_svm_requeue_event(vcpu);
	if (svm->es && bawn_svm_es_decode(vcpu, exit))
		return;
	switch (code) {
	case SVM_EXIT_NPF:
		exit->kind = BAWN_EXIT_NPF;
		exit->npf.gpa = c->exit_info_2;
		exit->npf.access = (c->exit_info_1 & X86_PF_WRITE ? BAWN_FAULT_WRITE : 0) |
				   (c->exit_info_1 & X86_PF_INSTR ? BAWN_FAULT_EXEC : 0) |
				   (c->exit_info_1 & BIT_ULL(33) ? BAWN_FAULT_TABLE : 0) |
				   /* the address had its C-bit */
				   (svm->es && c->exit_info_1 & BIT_ULL(34) ?
					    BAWN_FAULT_PRIVATE : 0);
		break;
	case SVM_EXIT_IOIO:
		decode_io(vcpu, exit);
		break;
	case SVM_EXIT_READ_CR0 ... SVM_EXIT_WRITE_DR7:
	case SVM_EXIT_CR0_SEL_WRITE:
		decode_cr_dr(vcpu, exit);
		break;
	case SVM_EXIT_EXCP_BASE ... SVM_EXIT_LAST_EXCP:
		decode_exception(vcpu, exit, code - SVM_EXIT_EXCP_BASE);
		break;
	case SVM_EXIT_VINTR:
		close_irq_window(svm);
		exit->kind = BAWN_EXIT_IRQ_WINDOW;
		break;
	case SVM_EXIT_IRET:
		svm_intercept(svm, INTERCEPT_IRET, false);
		svm->iret_pending = true;
		svm->iret_rip = vcpu->rip;
		exit->kind = BAWN_EXIT_NMI_WINDOW;
		break;
	case SVM_EXIT_PAUSE:
		/* No other thread came meanwhile: the next loop may be longer. */
		c->pause_filter_count = min(2 * c->pause_filter_count, U16_MAX);
		fallthrough;
	default:
		decode_simple(vcpu, exit, code);
	}
}

/* Without a length the instruction is looked at, if its page is there: none can be fetched now. */
static __always_inline void decode_simple_atomic(struct bawn_vcpu *vcpu, struct bawn_exit *exit,
						 u32 code)
{
	int idx;

	if (next_rip_len(vcpu)) {
		decode_simple(vcpu, exit, code);
		return;
	}
	idx = srcu_read_lock(&vcpu->vm->srcu);
	pagefault_disable();
	decode_simple(vcpu, exit, code);
	pagefault_enable();
	srcu_read_unlock(&vcpu->vm->srcu, idx);
}

/* An interrupted event, a step of our own and the record are the slow path's. */
bool bawn_svm_decode_fast(struct bawn_vcpu *vcpu, struct bawn_exit *exit)
{
	struct bawn_svm *svm = to_svm(vcpu);
	struct vmcb_control_area *c = &svm->vmcb->control;
	u32 code = c->exit_code;

	if (code == SVM_EXIT_NPF || code == SVM_EXIT_INTR || svm->iret_pending ||
	    svm->step_for_nmi || c->exit_int_info & SVM_EXITINTINFO_VALID ||
	    trace_bawn_exit_record_enabled())
		return false;
	*exit = (struct bawn_exit){ .kind = BAWN_EXIT_UNKNOWN, .hw_reason = code };
	switch (code) {
	case SVM_EXIT_CPUID:
	case SVM_EXIT_HLT:
	case SVM_EXIT_MSR:
	case SVM_EXIT_VMMCALL:
	case SVM_EXIT_WBINVD:
		decode_simple_atomic(vcpu, exit, code);
		break;
	case SVM_EXIT_IOIO:
		if (!(c->exit_info_1 & SVM_IOIO_STR_MASK))
			decode_io(vcpu, exit);
		break;
	case SVM_EXIT_VINTR:
		close_irq_window(svm);
		exit->kind = BAWN_EXIT_IRQ_WINDOW;
		break;
	}
	if (exit->kind == BAWN_EXIT_UNKNOWN)
		return false;
	vcpu->ex.injected = false;
	vcpu->irq.injected = false;
	vcpu->nmi_injected = false;
	return true;
}

void bawn_svm_decode(struct bawn_vcpu *vcpu, struct bawn_exit *exit)
{
	decode(vcpu, exit);
	if (trace_bawn_exit_record_enabled())
		record_exit(vcpu, exit);
}

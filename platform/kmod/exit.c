// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an SNP processor makes of each intercept: an automatic exit (AE), which the host sees; #VC
 * in the guest (NAE), whose error code is the intercept's; or, of registers that an SNP guest has
 * to itself, nothing that anyone sees. AMD APM vol. 2, 15.35.4 and 15.35.5, appendix C.
 */
#include <linux/nospec.h>
#include <asm/msr-index.h>
#include <asm/trapnr.h>

#include "svm/svm.h"

#include "platform.h"

/* What becomes of an intercept's code below 0x100; #VC if it is not named. */
enum action {
	TO_GUEST, /* #VC */
	TO_CORE,
	TO_CORE_INSN, /* with the length of the instruction, whose opcode has op_len bytes */
	TO_CORE_CR,   /* a MOV CR and the like */
	TO_CORE_DR,
	OF_UD,
	OF_MSR,
	OF_VMMCALL,
};

#define EXCEPTION(vector) (SVM_EXIT_EXCP_BASE + (vector))
#define DR7_READ (SVM_EXIT_READ_DR0 + 7)
#define DR7_WRITE (SVM_EXIT_WRITE_DR0 + 7)

static const struct {
	u8 action;
	u8 kind; /* TO_CORE_INSN: BAWN_EXIT_* */
	u8 op_len;
} actions[0x100] = {
	/* The guest's own registers: core keeps track of them, nobody else learns of it. */
	[SVM_EXIT_READ_CR0 ... SVM_EXIT_READ_CR0 + 15] = { TO_CORE_CR },
	[SVM_EXIT_WRITE_CR0 ... SVM_EXIT_WRITE_CR0 + 15] = { TO_CORE_CR },
	[SVM_EXIT_READ_DR0 ... DR7_READ - 1] = { TO_CORE_DR },
	[SVM_EXIT_WRITE_DR0 ... DR7_WRITE - 1] = { TO_CORE_DR },
	[SVM_EXIT_CR0_SEL_WRITE] = { TO_CORE_CR },
	[SVM_EXIT_XSETBV] = { TO_CORE_INSN, BAWN_EXIT_XSETBV, 3 },
	[SVM_EXIT_IRET] = { TO_CORE },
	[EXCEPTION(DB_VECTOR)] = { TO_CORE },
	[EXCEPTION(BP_VECTOR)] = { TO_CORE },
	[EXCEPTION(AC_VECTOR)] = { TO_CORE },
	[EXCEPTION(UD_VECTOR)] = { OF_UD },
	/* Automatic exits. */
	[EXCEPTION(MC_VECTOR)] = { TO_CORE },
	[SVM_EXIT_INTR ... SVM_EXIT_VINTR] = { TO_CORE },
	[SVM_EXIT_PAUSE] = { TO_CORE_INSN, BAWN_EXIT_PAUSE, 1 },
	[SVM_EXIT_HLT] = { TO_CORE_INSN, BAWN_EXIT_HLT, 1 },
	[SVM_EXIT_SHUTDOWN] = { TO_CORE },
	[SVM_EXIT_VMMCALL] = { OF_VMMCALL },
	[SVM_EXIT_MSR] = { OF_MSR },
};

static int insn_len(struct bawn_vcpu *vcpu, int op_len)
{
	u8 bytes[15];
	int nr = platform_fetch(vcpu, bytes);

	return nr ? bawn_insn_prefixed_len(bytes, nr, bawn_cpu->code_size(vcpu), op_len) : 0;
}

/*
 * The instruction that exited is gone from where it was: another vCPU wrote there, or the host took
 * the page. Executed again it gives what is there now.
 */
#define TRY_AGAIN 1

static int to_core_insn(struct bawn_vcpu *vcpu, struct bawn_exit *exit, u8 kind, u8 op_len)
{
	exit->len = insn_len(vcpu, op_len);
	if (!exit->len)
		return TRY_AGAIN;
	exit->kind = kind;
	return BAWN_SNP_PASS;
}

static void cr_exit(struct bawn_vcpu *vcpu, struct bawn_exit *exit, const struct bawn_insn_cr *cr)
{
	u64 operand = vcpu->gpr[array_index_nospec(cr->gpr, VCPU_NR_GPR)];

	exit->kind = BAWN_EXIT_CR;
	exit->cr.cr = cr->reg;
	exit->cr.gpr = cr->gpr;
	exit->cr.write = cr->write;
	exit->cr.size = cr->op == BAWN_CR_SMSW ? cr->size : 8;
	switch (cr->op) {
	case BAWN_CR_CLTS:
		exit->cr.value = vcpu->cr0 & ~(u64)X86_CR0_TS;
		break;
	case BAWN_CR_LMSW: /* sets PE and cannot clear it */
		exit->cr.value = (vcpu->cr0 & ~0xeULL) | (operand & 0xf);
		break;
	default:
		exit->cr.value = operand;
	}
}

static int to_core_cr(struct bawn_vcpu *vcpu, struct bawn_exit *exit, bool dr)
{
	struct bawn_insn_cr cr;
	u8 bytes[15];
	int nr = platform_fetch(vcpu, bytes);

	if (!nr || bawn_insn_decode_cr(&cr, bytes, nr, bawn_cpu->code_size(vcpu)) ||
	    (dr ? cr.op != BAWN_CR_MOV_DR : cr.op == BAWN_CR_MOV_DR))
		return TRY_AGAIN;
	exit->len = cr.len;
	if (dr) {
		exit->kind = BAWN_EXIT_DR;
		exit->dr.dr = cr.reg;
		exit->dr.write = cr.write;
		exit->dr.gpr = cr.gpr;
		return BAWN_SNP_PASS;
	}
	if (cr.mem) { /* LMSW, SMSW with memory: core serves none either */
		exit->kind = BAWN_EXIT_UNKNOWN;
		return BAWN_SNP_PASS;
	}
	cr_exit(vcpu, exit, &cr);
	/* Done before core does it: by then data accesses are no longer private. */
	if (cr.write && !cr.reg && !(vcpu->cr0 & X86_CR0_PG) && exit->cr.value & X86_CR0_PG)
		platform_paging_on(vcpu);
	return BAWN_SNP_PASS;
}

static int of_ud(struct bawn_vcpu *vcpu)
{
	u8 bytes[15], len;
	int nr = platform_fetch(vcpu, bytes);

	if (!nr)
		return TRY_AGAIN;
	switch (platform_insn(bytes, nr, bawn_long_mode(vcpu), &len)) {
	case INSN_PVALIDATE:
		return platform_pvalidate(vcpu, len);
	case INSN_RMPADJUST:
		return platform_rmpadjust(vcpu, len);
	default:
		return bawn_inject_ud(vcpu);
	}
}

/* VMGEXIT works at any privilege level: the guest's GHCB is what a host may act on. */
static int of_vmmcall(struct bawn_vcpu *vcpu, struct bawn_exit *exit)
{
	u8 bytes[15], len;
	int nr = platform_fetch(vcpu, bytes), r;

	switch (platform_insn(bytes, nr, bawn_long_mode(vcpu), &len)) {
	case INSN_VMGEXIT:
		break;
	case INSN_VMMCALL:
		return platform_vc(vcpu, SVM_EXIT_VMMCALL);
	default:
		return TRY_AGAIN;
	}
	atomic64_inc(&platform_stats.vmgexit);
	/* An automatic exit: the processor has gone on to the next instruction. */
	r = bawn_skip(vcpu, len);
	if (r <= 0)
		return r;
	exit->kind = BAWN_EXIT_VMGEXIT;
	exit->len = 0;
	return BAWN_SNP_PASS;
}

/* MSRs that an SNP guest has to itself and that core keeps. */
static const u32 own_msrs[] = {
	MSR_EFER, MSR_IA32_CR_PAT, MSR_TSC_AUX,
	/* These exit under KVM_X86_SET_MSR_FILTER alone. */
	MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_STAR, MSR_LSTAR, MSR_CSTAR,
	MSR_SYSCALL_MASK, MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
};

static bool own_msr(u32 index)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(own_msrs); i++)
		if (own_msrs[i] == index)
			return true;
	return false;
}

/* 0; 1: #GP; -ENOENT: it is not for the processor. */
static int access_msr(struct bawn_vcpu *vcpu, u32 index, u64 *value, bool write)
{
	struct platform_vcpu *p = to_platform(vcpu);

	switch (index) {
	case MSR_GHCB:
		if (write)
			p->ghcb_msr = *value;
		else
			*value = p->ghcb_msr;
		return 0;
	case MSR_SEV_STATUS:
		*value = SEV_STATUS_SNP;
		return write;
	case MSR_IA32_XSS:
		/* Supervisor states need XSAVES, which guests of plain SVM here do not have. */
		if (write)
			return *value != 0;
		*value = 0;
		return 0;
	}
	if (!own_msr(index))
		return -ENOENT;
	return bawn_msr_access(vcpu, index, value, write, false) != BAWN_MSR_OK;
}

static int of_msr(struct bawn_vcpu *vcpu, bool write)
{
	u64 value = (u32)vcpu->gpr[VCPU_RAX] | vcpu->gpr[VCPU_RDX] << 32;
	int r = access_msr(vcpu, vcpu->gpr[VCPU_RCX], &value, write), len;

	if (r < 0)
		return platform_vc(vcpu, SVM_EXIT_MSR);
	if (r)
		return bawn_inject_gp(vcpu);
	len = insn_len(vcpu, 2);
	if (!len)
		return TRY_AGAIN;
	if (!write) {
		vcpu->gpr[VCPU_RAX] = (u32)value;
		vcpu->gpr[VCPU_RDX] = value >> 32;
	}
	return bawn_skip(vcpu, len);
}

static int by_code(struct bawn_vcpu *vcpu, struct bawn_exit *exit, u32 code)
{
	code = array_index_nospec(code, ARRAY_SIZE(actions));
	switch (actions[code].action) {
	case TO_CORE:
		return BAWN_SNP_PASS;
	case TO_CORE_INSN:
		return to_core_insn(vcpu, exit, actions[code].kind, actions[code].op_len);
	case TO_CORE_CR:
		return to_core_cr(vcpu, exit, false);
	case TO_CORE_DR:
		return to_core_cr(vcpu, exit, true);
	case OF_UD:
		return of_ud(vcpu);
	case OF_MSR:
		return of_msr(vcpu, to_svm(vcpu)->vmcb->control.exit_info_1 & 1);
	case OF_VMMCALL:
		return of_vmmcall(vcpu, exit);
	default:
		return platform_vc(vcpu, code);
	}
}

int platform_exit(struct bawn_vcpu *vcpu, struct bawn_exit *exit)
{
	if (exit->kind == BAWN_EXIT_FAIL_ENTRY || exit->kind == BAWN_EXIT_HANDLED)
		return BAWN_SNP_PASS;
	if (exit->hw_reason == SVM_EXIT_NPF)
		return platform_npf(vcpu, exit);
	if (exit->hw_reason < ARRAY_SIZE(actions))
		return by_code(vcpu, exit, exit->hw_reason);
	return BAWN_SNP_PASS;
}

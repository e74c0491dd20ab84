// SPDX-License-Identifier: GPL-2.0-only
/*
 * PVALIDATE and RMPADJUST: the guest's own changes of the reverse map table. They raise #UD on
 * plain SVM, which brings them here. A page of 2 MiB is 512 pages of the model's table that need
 * not lie together in the host's memory. Registers are the guest's choice. AMD APM vol. 3.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <asm/processor-flags.h>

#include "platform.h"

static bool large_validate = true;
module_param(large_validate, bool, 0644);
MODULE_PARM_DESC(large_validate, "PVALIDATE takes 2 MiB at once; N: FAIL_SIZEMISMATCH, as when the host backs guests with 4 KiB pages (Y)");

#define RESULT_FLAGS                                                                     \
	((u64)(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF |          \
	       X86_EFLAGS_SF | X86_EFLAGS_OF))

/* EAX, the flags that tell of it, and on to the next instruction. */
static int done(struct bawn_vcpu *vcpu, u32 code, bool carry, u8 len)
{
	vcpu->gpr[VCPU_RAX] = code;
	vcpu->rflags &= ~RESULT_FLAGS;
	vcpu->rflags |= (code ? 0 : X86_EFLAGS_ZF) | (carry ? X86_EFLAGS_CF : 0) |
			(hweight8(code) & 1 ? 0 : X86_EFLAGS_PF);
	return bawn_skip(vcpu, len);
}

/* What the instruction is about. */
struct operand {
	struct bawn_vcpu *vcpu;
	gpa_t gpa; /* without the C-bit */
	u32 pages; /* 1 or 512 */
	u32 validated; /* of them */
};

/* 0; else an exit handler's answer in *answer. */
static int walk_operand(struct operand *op, u64 address, bool large, int *answer)
{
	struct bawn_vcpu *vcpu = op->vcpu;
	struct platform_walk w;

	if (vcpu->efer & EFER_LMA && !bawn_canonical(vcpu, address)) {
		bawn_inject_gp(vcpu);
		*answer = 1;
		return -EFAULT;
	}
	if (platform_walk(vcpu, address, 0, &w)) {
		*answer = platform_walk_failed(vcpu, &w);
		return -EFAULT;
	}
	op->gpa = w.gpa & ~platform_cmask() & PAGE_MASK;
	op->pages = large ? RMP_PER_LARGE : 1;
	return 0;
}

/* A page of 4 KiB within one of 2 MiB is a nested fault, which the host answers with PSMASH. */
static void smash(struct page *page)
{
	u64 pfn = page_to_pfn(page);
	struct rmp_entry e;

	rmp_get(pfn, &e);
	if (e.flags & RMP_LARGE)
		rmp_psmash(pfn & ~(u64)(RMP_PER_LARGE - 1));
}

/* Makes sure that all pages are the guest's and counts those that are validated. */
static enum platform_fault look(struct operand *op)
{
	enum platform_fault fault;
	struct page *page;
	u32 i;

	op->validated = 0;
	for (i = 0; i < op->pages; i++) {
		fault = platform_private_page(op->vcpu, op->gpa + (u64)i * PAGE_SIZE, &page);
		if (fault != FAULT_NONE && fault != FAULT_NOT_VALIDATED)
			return fault;
		if (op->pages == 1)
			smash(page);
		put_page(page);
		op->validated += fault == FAULT_NONE;
		cond_resched();
	}
	return FAULT_NONE;
}

/* What a page of the wrong size gives; a page of 4 KiB is of the right size or not there. */
static int look_failed(struct operand *op, enum platform_fault fault, u8 len)
{
	struct platform_walk w = { .fault = fault, .gpa = op->gpa | platform_cmask() };

	if (op->pages > 1 && fault != FAULT_RETRY)
		return done(op->vcpu, RMP_FAIL_SIZEMISMATCH, false, len);
	return platform_walk_failed(op->vcpu, &w);
}

/* A rule for one entry of the guest's. */
struct change {
	gpa_t gpa;
	u32 asid;
	bool validate;
	struct rmp_adjust adjust;
};

/* Another vCPU or the host may have been faster: then the entry stays as they want it. */
static u32 change_validated(struct rmp_entry *e, void *arg)
{
	const struct change *c = arg;

	if (rmp_rule_access(e, c->gpa, c->asid) != RMP_ACCESS_FAULT)
		rmp_rule_validate(e, c->validate);
	return RMP_OK;
}

static u32 change_adjusted(struct rmp_entry *e, void *arg)
{
	const struct change *c = arg;

	if (rmp_rule_access(e, c->gpa, c->asid) != RMP_ACCESS_OK)
		return RMP_OK;
	return rmp_rule_adjust(e, &c->adjust);
}

static u32 change_all(struct operand *op, struct change *c, rmp_fn fn)
{
	struct page *page;
	u32 i, code = RMP_OK;

	c->asid = op->vcpu->vm->snp->asid;
	for (i = 0; i < op->pages && !code; i++) {
		c->gpa = op->gpa + (u64)i * PAGE_SIZE;
		platform_private_page(op->vcpu, c->gpa, &page);
		if (page) {
			code = rmp_change(page_to_pfn(page), fn, c);
			put_page(page);
		}
		cond_resched();
	}
	return code;
}

/* Pages that are validated no more are mapped no more: the next access is #VC. */
static void rescind(struct operand *op)
{
	struct bawn_vm *vm = op->vcpu->vm;
	struct change c = { .validate = false };
	gfn_t gfn = op->gpa >> PAGE_SHIFT;

	bawn_invalidate_begin(vm, 0, 0, true);
	change_all(op, &c, change_validated);
	bawn_zap_range(vm, gfn, gfn + op->pages);
	bawn_invalidate_end(vm);
}

static bool privileged(struct bawn_vcpu *vcpu)
{
	if (!bawn_cpu->cpl(vcpu))
		return true;
	bawn_inject_gp(vcpu);
	return false;
}

int platform_pvalidate(struct bawn_vcpu *vcpu, u8 len)
{
	u64 address = vcpu->gpr[VCPU_RAX];
	/* Linux sets no more than the lowest byte of either. */
	bool large = vcpu->gpr[VCPU_RCX] & 1, validate = vcpu->gpr[VCPU_RDX] & 1;
	struct operand op = { .vcpu = vcpu };
	struct change c = { .validate = true };
	enum platform_fault fault;
	enum rmp_code code;
	int answer;

	atomic64_inc(&platform_stats.pvalidate);
	if (!privileged(vcpu))
		return 1;
	if (!bawn_long_mode(vcpu))
		address = (u32)address;
	code = rmp_rule_pvalidate_input(address, large);
	if (code)
		return done(vcpu, code, false, len);
	if (walk_operand(&op, address, large, &answer))
		return answer;
	if (op.pages > 1 && !READ_ONCE(large_validate))
		return done(vcpu, RMP_FAIL_SIZEMISMATCH, false, len);
	fault = look(&op);
	if (fault)
		return look_failed(&op, fault, len);
	if (op.validated == (validate ? op.pages : 0))
		return done(vcpu, RMP_OK, true, len);
	if (op.validated % op.pages) /* some are, some are not: no page of 2 MiB */
		return done(vcpu, RMP_FAIL_SIZEMISMATCH, false, len);
	if (validate)
		change_all(&op, &c, change_validated);
	else
		rescind(&op);
	return done(vcpu, RMP_OK, false, len);
}

int platform_rmpadjust(struct bawn_vcpu *vcpu, u8 len)
{
	u64 address = vcpu->gpr[VCPU_RAX];
	bool large = vcpu->gpr[VCPU_RCX] & 1;
	struct operand op = { .vcpu = vcpu };
	struct change c = {};
	enum platform_fault fault;
	enum rmp_code code;
	int answer;

	atomic64_inc(&platform_stats.rmpadjust);
	if (!bawn_long_mode(vcpu))
		return bawn_inject_ud(vcpu);
	if (!privileged(vcpu))
		return 1;
	code = rmp_rule_adjust_input(address, large, vcpu->gpr[VCPU_RDX], &c.adjust);
	if (code)
		return done(vcpu, code, false, len);
	if (walk_operand(&op, address, large, &answer))
		return answer;
	fault = look(&op);
	if (fault)
		return look_failed(&op, fault, len);
	if (op.validated != op.pages)
		return platform_vc(vcpu, EXIT_PAGE_NOT_VALIDATED);
	return done(vcpu, change_all(&op, &c, change_adjusted), false, len);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * One handler for each neutral exit. Everything in the exit is the guest's choice; what goes to
 * userspace goes through vcpu->run, which is written and never read back here.
 */
#include <linux/nospec.h>
#include <linux/kvm_para.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <asm/debugreg.h>
#include <asm/trapnr.h>

#include "bawn.h"

#define YIELD_TRIES 3 /* threads that a PAUSE exit tries to make run: each costs two locks */

int bawn_internal_error(struct bawn_vcpu *vcpu, u32 suberror, u64 data0, u64 data1)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = suberror;
	run->internal.ndata = 2;
	run->internal.data[0] = data0;
	run->internal.data[1] = data1;
	return 0;
}

/* Each entry looks for events anew: an open window needs no more than an entry. */
static int exit_nothing(struct bawn_vcpu *vcpu, const struct bawn_exit *exit)
{
	return 1;
}

static int exit_cpuid(struct bawn_vcpu *vcpu, const struct bawn_exit *exit)
{
	u32 regs[4];

	bawn_cpuid(vcpu, vcpu->gpr[VCPU_RAX], vcpu->gpr[VCPU_RCX], regs);
	vcpu->gpr[VCPU_RAX] = regs[0];
	vcpu->gpr[VCPU_RBX] = regs[1];
	vcpu->gpr[VCPU_RCX] = regs[2];
	vcpu->gpr[VCPU_RDX] = regs[3];
	return bawn_skip(vcpu, exit->len);
}

static int exit_hlt(struct bawn_vcpu *vcpu, const struct bawn_exit *exit)
{
	int r = bawn_skip(vcpu, exit->len);

	if (!vcpu->apic) {
		vcpu->run->exit_reason = KVM_EXIT_HLT;
		return 0;
	}
	vcpu->mp_state = KVM_MP_STATE_HALTED;
	return r;
}

/* No hypercall is served; like KVM, user code is told apart. */
static int exit_hypercall(struct bawn_vcpu *vcpu, const struct bawn_exit *exit)
{
	s64 ret = bawn_cpu->cpl(vcpu) ? -KVM_EPERM : -KVM_ENOSYS;

	vcpu->gpr[VCPU_RAX] = bawn_long_mode(vcpu) ? (u64)ret : (u32)ret;
	return bawn_skip(vcpu, exit->len);
}

/* The thread of a vCPU that wants a CPU and has none, counted; or NULL. */
static struct task_struct *waiting_thread(struct bawn_vcpu *vcpu)
{
	struct task_struct *task;

	rcu_read_lock();
	task = rcu_dereference(vcpu->off_cpu);
	if (task && task_is_running(task))
		get_task_struct(task);
	else
		task = NULL;
	rcu_read_unlock();
	return task;
}

/*
 * Gives the time of a vCPU that spins to another, each in its turn: true when one took it. What
 * kernel code waits for is not held in user code, though an interrupt may have to be taken there.
 */
static bool yield_to_one(struct bawn_vcpu *vcpu, bool spinning)
{
	bool kernel = !vcpu->state_protected && !bawn_cpu->cpl(vcpu);
	struct bawn_vm *vm = vcpu->vm;
	unsigned int last = READ_ONCE(vm->yielded_to), nr = bawn_nr_vcpus(vm), i;
	int tries = YIELD_TRIES;

	for (i = 1; i <= nr && tries; i++) {
		struct bawn_vcpu *to = vm->vcpu[(last + i) % nr];
		struct task_struct *task;
		bool yielded;

		if (to == vcpu || READ_ONCE(to->spinning) != spinning ||
		    (kernel && READ_ONCE(to->off_cpu_user) && !READ_ONCE(to->requests)))
			continue;
		task = waiting_thread(to);
		if (!task)
			continue;
		tries--;
		WRITE_ONCE(vm->yielded_to, to->idx);
		yielded = yield_to(task, true) > 0;
		put_task_struct(task);
		if (yielded)
			return true;
	}
	return false;
}

/* What it waits for is likely held by one that was preempted; if all spin, by one of these. */
static int exit_pause(struct bawn_vcpu *vcpu, const struct bawn_exit *exit)
{
	int r = bawn_skip(vcpu, exit->len);

	WRITE_ONCE(vcpu->spinning, true);
	if (!yield_to_one(vcpu, false) && !yield_to_one(vcpu, true))
		cond_resched();
	WRITE_ONCE(vcpu->spinning, false);
	return r;
}

static int exit_npf(struct bawn_vcpu *vcpu, const struct bawn_exit *exit)
{
	gpa_t gpa = exit->npf.gpa;
	int r;

	/*
	 * The xAPIC page has no slot in a sane configuration; it wins over one. A confidential
	 * guest reaches it through its #VC handler.
	 */
	if (vcpu->apic && !vcpu->state_protected && bawn_lapic_at(vcpu, gpa))
		return bawn_mmio(vcpu, gpa, exit->npf.access & BAWN_FAULT_WRITE);
	r = bawn_npt_fault(vcpu, gpa, exit->npf.access);
	if (r != -ENXIO)
		return r;
	/* The access comes again, to the guest's own #VC handler. */
	if (vcpu->vm->mmio_leaf && !(exit->npf.access & BAWN_FAULT_PRIVATE))
		return bawn_npt_map_mmio(vcpu, gpa);
	/* A confidential guest's instruction is not ours to execute. */
	if (vcpu->state_protected || exit->npf.access & (BAWN_FAULT_EXEC | BAWN_FAULT_TABLE))
		return bawn_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION, gpa,
					   exit->npf.access);
	vcpu->stat.mmio_exits++;
	/* The CPU was delivering an event: the instruction at RIP is not what faulted. */
	if (vcpu->ex.injected || vcpu->irq.injected || vcpu->nmi_injected)
		return bawn_internal_error(vcpu, KVM_INTERNAL_ERROR_DELIVERY_EV, exit->hw_reason,
					   gpa);
	return bawn_mmio(vcpu, gpa, exit->npf.access & BAWN_FAULT_WRITE);
}

/* A debugger in userspace takes what it asked for; the guest gets the rest. */
static int exit_exception(struct bawn_vcpu *vcpu, const struct bawn_exit *exit)
{
	u32 control = vcpu->debug.control;
	u64 payload;
	bool user = (exit->ex.vector == DB_VECTOR &&
		     (control & (KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_HW_BP))) ||
		    (exit->ex.vector == BP_VECTOR && (control & KVM_GUESTDBG_USE_SW_BP));

	if (user)
		return bawn_debug_exit(vcpu, exit->ex.vector, exit->ex.payload,
				       vcpu->debug.user_dr7);
	payload = exit->ex.payload;
	if (exit->ex.vector == DB_VECTOR)
		payload &= DR_TRAP_BITS | DR_STEP | DR_SWITCH;
	bawn_inject_exception(vcpu, exit->ex.vector, exit->ex.has_error, exit->ex.error,
			      payload);
	return 1;
}

static int cr_write(struct bawn_vcpu *vcpu, u8 cr, u64 value)
{
	switch (cr) {
	case 0: return bawn_set_cr0(vcpu, value);
	case 3: return bawn_set_cr3(vcpu, value);
	case 4: return bawn_set_cr4(vcpu, value);
	case 8: return bawn_set_cr8(vcpu, value);
	default: return 1;
	}
}

static int exit_cr(struct bawn_vcpu *vcpu, const struct bawn_exit *exit)
{
	u64 *gpr = &vcpu->gpr[array_index_nospec(exit->cr.gpr, VCPU_NR_GPR)];
	bool lm = bawn_long_mode(vcpu);
	u64 value;

	if (exit->cr.write) {
		if (cr_write(vcpu, exit->cr.cr, lm ? exit->cr.value : (u32)exit->cr.value))
			return bawn_inject_gp(vcpu);
		return bawn_skip(vcpu, exit->len);
	}
	switch (exit->cr.cr) {
	case 0:
		value = vcpu->cr0;
		break;
	case 3:
		value = vcpu->cr3;
		break;
	case 4:
		value = vcpu->cr4;
		break;
	case 8:
		value = bawn_get_cr8(vcpu);
		break;
	default:
		return bawn_inject_ud(vcpu);
	}
	if (exit->cr.size == 2)
		*gpr = (*gpr & ~0xffffULL) | (u16)value;
	else
		*gpr = exit->cr.size == 4 || !lm ? (u32)value : value;
	return bawn_skip(vcpu, exit->len);
}

static int exit_dr(struct bawn_vcpu *vcpu, const struct bawn_exit *exit)
{
	u64 *gpr = &vcpu->gpr[array_index_nospec(exit->dr.gpr, VCPU_NR_GPR)];
	bool lm = bawn_long_mode(vcpu);
	int dr = exit->dr.dr;

	/* DR4 and DR5 are DR6 and DR7, or nothing with CR4.DE. */
	if (dr > 7 || ((dr == 4 || dr == 5) && (vcpu->cr4 & X86_CR4_DE)))
		return bawn_inject_ud(vcpu);
	if (vcpu->debug.guest_dr7 & DR7_GD) {
		bawn_inject_exception(vcpu, DB_VECTOR, false, 0, DR6_BD);
		return 1;
	}
	if (dr == 4 || dr == 5)
		dr += 2;
	if (!exit->dr.write) {
		*gpr = lm ? bawn_get_dr(vcpu, dr) : (u32)bawn_get_dr(vcpu, dr);
		return bawn_skip(vcpu, exit->len);
	}
	if (bawn_set_dr(vcpu, dr, lm ? *gpr : (u32)*gpr))
		return bawn_inject_gp(vcpu);
	return bawn_skip(vcpu, exit->len);
}

static int exit_xsetbv(struct bawn_vcpu *vcpu, const struct bawn_exit *exit)
{
	u64 value = (u32)vcpu->gpr[VCPU_RAX] | vcpu->gpr[VCPU_RDX] << 32;

	if (!(vcpu->cr4 & X86_CR4_OSXSAVE))
		return bawn_inject_ud(vcpu);
	if (bawn_cpu->cpl(vcpu) || bawn_set_xcr(vcpu, vcpu->gpr[VCPU_RCX], value))
		return bawn_inject_gp(vcpu);
	return bawn_skip(vcpu, exit->len);
}

/* Cache flushes: coherent hardware makes them a matter of speed, and of the host's at that. */
static int exit_nop(struct bawn_vcpu *vcpu, const struct bawn_exit *exit)
{
	return bawn_skip(vcpu, exit->len);
}

static int exit_ud(struct bawn_vcpu *vcpu, const struct bawn_exit *exit)
{
	return bawn_inject_ud(vcpu);
}

static int exit_gp(struct bawn_vcpu *vcpu, const struct bawn_exit *exit)
{
	return bawn_inject_gp(vcpu);
}

static int exit_shutdown(struct bawn_vcpu *vcpu, const struct bawn_exit *exit)
{
	/* The CPU's state is lost in a shutdown; INIT is what a board does next. */
	bawn_vcpu_reset(vcpu, true);
	vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
	return 0;
}

static int exit_fail_entry(struct bawn_vcpu *vcpu, const struct bawn_exit *exit)
{
	vcpu->run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	vcpu->run->fail_entry.hardware_entry_failure_reason = exit->hw_reason;
	vcpu->run->fail_entry.cpu = vcpu->last_host_cpu;
	return 0;
}

static int exit_unknown(struct bawn_vcpu *vcpu, const struct bawn_exit *exit)
{
	return bawn_internal_error(vcpu, KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON,
				   exit->hw_reason, vcpu->last_host_cpu);
}

static int (*const handlers[BAWN_EXIT_NR])(struct bawn_vcpu *vcpu, const struct bawn_exit *exit) = {
	[BAWN_EXIT_INTR] = exit_nothing,
	[BAWN_EXIT_NMI] = exit_nothing,
	[BAWN_EXIT_HANDLED] = exit_nothing,
	[BAWN_EXIT_CPUID] = exit_cpuid,
	[BAWN_EXIT_MSR] = bawn_msr_exit,
	[BAWN_EXIT_IO] = bawn_io,
	[BAWN_EXIT_HLT] = exit_hlt,
	[BAWN_EXIT_HYPERCALL] = exit_hypercall,
	[BAWN_EXIT_PAUSE] = exit_pause,
	[BAWN_EXIT_NPF] = exit_npf,
	[BAWN_EXIT_IRQ_WINDOW] = exit_nothing,
	[BAWN_EXIT_NMI_WINDOW] = exit_nothing,
	[BAWN_EXIT_EXCEPTION] = exit_exception,
	[BAWN_EXIT_CR] = exit_cr,
	[BAWN_EXIT_DR] = exit_dr,
	[BAWN_EXIT_XSETBV] = exit_xsetbv,
	[BAWN_EXIT_NOP] = exit_nop,
	[BAWN_EXIT_UD] = exit_ud,
	[BAWN_EXIT_GP] = exit_gp,
	[BAWN_EXIT_VMGEXIT] = bawn_snp_vmgexit,
	[BAWN_EXIT_SHUTDOWN] = exit_shutdown,
	[BAWN_EXIT_FAIL_ENTRY] = exit_fail_entry,
	[BAWN_EXIT_UNKNOWN] = exit_unknown,
};

int bawn_handle_exit(struct bawn_vcpu *vcpu, const struct bawn_exit *exit)
{
	vcpu->stat.exit[exit->kind]++;
	/* Those on which a guest's speed hangs are called directly. */
	switch (exit->kind) {
	case BAWN_EXIT_CPUID: return exit_cpuid(vcpu, exit);
	case BAWN_EXIT_MSR: return bawn_msr_exit(vcpu, exit);
	case BAWN_EXIT_IO: return bawn_io(vcpu, exit);
	case BAWN_EXIT_HLT: return exit_hlt(vcpu, exit);
	case BAWN_EXIT_NPF: return exit_npf(vcpu, exit);
	default: return handlers[exit->kind](vcpu, exit);
	}
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vCPU: creation, loading on a CPU, the run loop, waiting in HLT, and the kick protocol by
 * which others make it look at its requests. What the run page holds is userspace's: one field
 * (immediate_exit) is read from it on the way in, once.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/hw_breakpoint.h>
#include <linux/kvm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/sched/stat.h>
#include <linux/slab.h>
#include <asm/debugreg.h>
#include <asm/fpu/xcr.h>
#include <trace/events/ipi.h>

#include "bawn.h"
#include "guest.h"
#include "ioctl.h"
#include "trace.h"

static unsigned int halt_poll_ns = 200000;
module_param(halt_poll_ns, uint, 0644);
MODULE_PARM_DESC(halt_poll_ns, "longest busy wait of a halted vCPU before it sleeps, in ns; 0 never (200000)");

/* ---- Kicks and requests ---- */

/* Scratch of bawn_request_all(), which runs with preemption disabled. */
static DEFINE_PER_CPU(struct cpumask, kick_mask);

static void nothing(void *unused)
{
}

/*
 * The other side is enter(): it sets mode to IN_GUEST, then looks at requests, with a full
 * barrier between. So either it sees the request or we see IN_GUEST and interrupt it.
 */
void bawn_vcpu_kick(struct bawn_vcpu *vcpu)
{
	int cpu, me;

	/* It slept: what it is to see was there before it looks. */
	if (rcuwait_wake_up(&vcpu->wait)) {
		vcpu->stat.halt_wakeups++;
		return;
	}
	me = get_cpu();
	if (cmpxchg(&vcpu->mode, BAWN_IN_GUEST, BAWN_EXITING_GUEST) == BAWN_IN_GUEST) {
		cpu = READ_ONCE(vcpu->cpu);
		if (cpu != me && cpu >= 0 && cpu_online(cpu))
			smp_send_reschedule(cpu);
	}
	put_cpu();
}

void bawn_vcpu_request(struct bawn_vcpu *vcpu, int req)
{
	set_bit(req, &vcpu->requests);
	smp_mb__after_atomic(); /* pairs with the store of mode in enter() */
	bawn_vcpu_kick(vcpu);
}

void bawn_request_all(struct bawn_vm *vm, int req, bool wait)
{
	struct bawn_vcpu *vcpu;
	struct cpumask *cpus;
	unsigned int i;
	int me = get_cpu();

	cpus = this_cpu_ptr(&kick_mask);
	cpumask_clear(cpus);
	bawn_for_each_vcpu(i, vcpu, vm) {
		set_bit(req, &vcpu->requests);
		smp_mb__after_atomic(); /* pairs with the store of mode in enter() */
		if (!wait)
			rcuwait_wake_up(&vcpu->wait);
		if (READ_ONCE(vcpu->mode) != BAWN_OUTSIDE_GUEST) {
			int cpu = READ_ONCE(vcpu->cpu);

			if (cpu >= 0 && cpu != me)
				cpumask_set_cpu(cpu, cpus);
		}
	}
	/* The interrupt ends the run; its handler returning proves that it ended. */
	if (!cpumask_empty(cpus))
		smp_call_function_many(cpus, nothing, NULL, wait);
	put_cpu();
}

/* ---- On and off a CPU ---- */

static void load(struct bawn_vcpu *vcpu, int cpu)
{
	bool moved = vcpu->last_host_cpu != cpu;

	bawn_cpu->vcpu_load(vcpu, cpu);
	bawn_clock_rebase(vcpu);
	vcpu->cpu = cpu;
	vcpu->last_host_cpu = cpu;
	if (moved) {
		if (vcpu->apic)
			bawn_lapic_migrate_timer(vcpu);
		if (!vcpu->vm->clock_stable)
			set_bit(BAWN_REQ_CLOCK, &vcpu->requests);
	}
	if (vcpu->steal_msr & KVM_MSR_ENABLED)
		set_bit(BAWN_REQ_STEAL, &vcpu->requests);
}

void bawn_vcpu_load(struct bawn_vcpu *vcpu)
{
	int cpu = get_cpu();

	preempt_notifier_register(&vcpu->preempt);
	load(vcpu, cpu);
	put_cpu();
}

void bawn_vcpu_put(struct bawn_vcpu *vcpu)
{
	preempt_disable();
	bawn_cpu->vcpu_put(vcpu);
	preempt_notifier_unregister(&vcpu->preempt);
	vcpu->cpu = -1;
	preempt_enable();
}

static void sched_in(struct preempt_notifier *n, int cpu)
{
	struct bawn_vcpu *vcpu = container_of(n, struct bawn_vcpu, preempt);

	RCU_INIT_POINTER(vcpu->off_cpu, NULL);
	load(vcpu, cpu);
}

static void sched_out(struct preempt_notifier *n, struct task_struct *next)
{
	struct bawn_vcpu *vcpu = container_of(n, struct bawn_vcpu, preempt);

	if (task_is_running(current))
		bawn_steal_preempted(vcpu);
	bawn_cpu->vcpu_put(vcpu);
	vcpu->cpu = -1;
	/* A thread ends with a grace period, and not before sched_in() took this back. */
	vcpu->off_cpu_user = !vcpu->state_protected && bawn_cpu->cpl(vcpu);
	rcu_assign_pointer(vcpu->off_cpu, current);
}

static struct preempt_ops preempt_ops = { .sched_in = sched_in, .sched_out = sched_out };

/* ---- Running ---- */

/* True when the vCPU must go back to its loop before it enters. Interrupts disabled. */
static bool must_not_enter(struct bawn_vcpu *vcpu)
{
	return READ_ONCE(bawn_stopping) || READ_ONCE(vcpu->mode) == BAWN_EXITING_GUEST ||
	       READ_ONCE(vcpu->requests) || vcpu->pending_eoi >= 0 || need_resched() ||
	       signal_pending(current);
}

static bool debug_active(struct bawn_vcpu *vcpu)
{
	u64 dr7 = vcpu->debug.control & KVM_GUESTDBG_USE_HW_BP ? vcpu->debug.user_dr7 :
								 vcpu->debug.guest_dr7;

	return dr7 & (DR_GLOBAL_ENABLE_MASK | DR_LOCAL_ENABLE_MASK);
}

static void load_debug_registers(struct bawn_vcpu *vcpu)
{
	const u64 *db = vcpu->debug.control & KVM_GUESTDBG_USE_HW_BP ? vcpu->debug.user_db :
								       vcpu->debug.guest_db;

	set_debugreg(0, 7);
	set_debugreg(db[0], 0);
	set_debugreg(db[1], 1);
	set_debugreg(db[2], 2);
	set_debugreg(db[3], 3);
}

/* Requests that need this thread, outside the guest. Like an exit handler's answer. */
static int serve_requests(struct bawn_vcpu *vcpu)
{
	if (bawn_take_request(vcpu, BAWN_REQ_TRIPLE_FAULT)) {
		vcpu->ex.pending = false;
		vcpu->ex.injected = false;
		bawn_vcpu_reset(vcpu, true);
		vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
		return 0;
	}
	if (bawn_take_request(vcpu, BAWN_REQ_TLB_FLUSH)) {
		vcpu->stat.tlb_flushes++;
		preempt_disable();
		bawn_cpu->flush_tlb(vcpu);
		preempt_enable();
	}
	if (bawn_take_request(vcpu, BAWN_REQ_CLOCK))
		bawn_clock_update(vcpu);
	if (bawn_take_request(vcpu, BAWN_REQ_STEAL))
		bawn_steal_update(vcpu);
	if (vcpu->apic) {
		if (bawn_take_request(vcpu, BAWN_REQ_SCAN_EOI))
			bawn_scan_eoi(vcpu);
		if (bawn_take_request(vcpu, BAWN_REQ_TIMER))
			bawn_lapic_timer_fired(vcpu);
		if (bawn_take_request(vcpu, BAWN_REQ_APIC_INIT)) {
			bawn_lapic_accept_events(vcpu);
			if (vcpu->mp_state != KVM_MP_STATE_RUNNABLE)
				return 1;
		}
		if (vcpu->pending_eoi >= 0) {
			vcpu->run->exit_reason = KVM_EXIT_IOAPIC_EOI;
			vcpu->run->eoi.vector = vcpu->pending_eoi;
			vcpu->pending_eoi = -1;
			return 0;
		}
	}
	clear_bit(BAWN_REQ_EVENT, &vcpu->requests);
	return 1;
}

static void lock_slots(struct bawn_vcpu *vcpu) __acquires(&vcpu->vm->srcu)
{
	vcpu->srcu_idx = srcu_read_lock(&vcpu->vm->srcu);
}

static void unlock_slots(struct bawn_vcpu *vcpu) __releases(&vcpu->vm->srcu)
{
	srcu_read_unlock(&vcpu->vm->srcu, vcpu->srcu_idx);
}

static int handle_locked(struct bawn_vcpu *vcpu, const struct bawn_exit *exit)
{
	int r;

	lock_slots(vcpu);
	r = bawn_handle_exit(vcpu, exit);
	unlock_slots(vcpu);
	return r;
}

/*
 * Handles what can be handled where the guest left: interrupts and preemption are disabled. True:
 * *r is the answer. All else, and everything that a host interrupt ended, is the slow path's. What
 * comes meanwhile for this CPU ends the next run at once, so that it waits for one exit at most.
 */
static bool exit_fast(struct bawn_vcpu *vcpu, struct bawn_exit *exit, int *r)
{
	/* There locks of others (eventfds, timers) sleep. */
	if (IS_ENABLED(CONFIG_PREEMPT_RT) || vcpu->vm->tee || !bawn_cpu->decode_fast(vcpu, exit))
		return false;
	if (exit->kind == BAWN_EXIT_MSR &&
	    !bawn_msr_is_fast(vcpu->gpr[VCPU_RCX], exit->msr.write))
		return false;
	trace_bawn_exit(vcpu->id, exit->kind, exit->hw_reason, vcpu->rip);
	/* The MSR filter and ioeventfds; the others look at nothing that could change. */
	if (exit->kind == BAWN_EXIT_MSR || exit->kind == BAWN_EXIT_IO)
		*r = handle_locked(vcpu, exit);
	else
		*r = bawn_handle_exit(vcpu, exit);
	return true;
}

/*
 * The run itself, interrupts disabled: guest XCR0 and debug registers around it. True when *r is
 * an exit handler's answer already; false when the exit waits to be decoded.
 */
static bool run_guest(struct bawn_vcpu *vcpu, struct bawn_exit *exit, int *r)
{
	bool xcr0 = vcpu->cr4 & X86_CR4_OSXSAVE && vcpu->xcr0 != vcpu->host_xcr0 &&
		    !vcpu->state_hidden;
	bool debug = debug_active(vcpu), done;

	/* The guest's FPU state may have left the registers when the thread was preempted. */
	if (test_thread_flag(TIF_NEED_FPU_LOAD))
		switch_fpu_return();
	if (xcr0)
		xsetbv(XCR_XFEATURE_ENABLED_MASK, vcpu->xcr0);
	if (debug)
		load_debug_registers(vcpu);
	vtime_account_guest_enter(); /* from here on the CPU time is the guest's */
	do {
		bawn_inject_events(vcpu);
		trace_bawn_entry(vcpu->id, vcpu->rip);
		bawn_cpu->run(vcpu);
		vcpu->stat.exits++;
		done = exit_fast(vcpu, exit, r);
	} while (done && *r > 0 && vcpu->mp_state == KVM_MP_STATE_RUNNABLE &&
		 !must_not_enter(vcpu));
	if (debug || hw_breakpoint_active())
		hw_breakpoint_restore();
	if (xcr0)
		xsetbv(XCR_XFEATURE_ENABLED_MASK, vcpu->host_xcr0);
#ifdef X86_FEATURE_IBPB_EXIT_TO_USER
	/* VMSCAPE: what the guest trained must not steer the VMM. */
	if (cpu_feature_enabled(X86_FEATURE_IBPB_EXIT_TO_USER))
		this_cpu_write(x86_ibpb_exit_to_user, true);
#endif
	WRITE_ONCE(vcpu->mode, BAWN_OUTSIDE_GUEST);
	if (!done)
		bawn_cpu->exit_irqoff(vcpu);
	return done;
}

/* What is left to do before an entry: > 0 to go on, else an answer. */
static int prepare(struct bawn_vcpu *vcpu)
{
	int r = 1;

	lock_slots(vcpu);
	if (READ_ONCE(vcpu->requests) || vcpu->pending_eoi >= 0)
		r = serve_requests(vcpu);
	if (r > 0 && vcpu->vm->tee && vcpu->mp_state == KVM_MP_STATE_RUNNABLE)
		r = vcpu->vm->tee->prepare_run(vcpu) ?: 1;
	unlock_slots(vcpu);
	return r;
}

/* An exit that was not handled where the guest left. */
static int exit_slow(struct bawn_vcpu *vcpu, struct bawn_exit *exit)
{
	int r = BAWN_TEE_PASS;

	lock_slots(vcpu);
	bawn_cpu->decode(vcpu, exit);
	trace_bawn_exit(vcpu->id, exit->kind, exit->hw_reason, vcpu->rip);
	if (vcpu->vm->tee)
		r = vcpu->vm->tee->exit(vcpu, exit);
	if (r == BAWN_TEE_PASS)
		r = bawn_handle_exit(vcpu, exit);
	unlock_slots(vcpu);
	return r;
}

/* One trip into the guest; 1 when it was not entered or came back for nothing. */
static int enter(struct bawn_vcpu *vcpu)
{
	struct bawn_exit exit;
	bool done;
	int r;

	/* Events are looked for at each entry: what asks for that alone has it. */
	if (READ_ONCE(vcpu->requests) == BIT(BAWN_REQ_EVENT))
		clear_bit(BAWN_REQ_EVENT, &vcpu->requests);
	if (READ_ONCE(vcpu->requests) || vcpu->pending_eoi >= 0 || vcpu->vm->tee) {
		r = prepare(vcpu);
		if (r <= 0 || vcpu->mp_state != KVM_MP_STATE_RUNNABLE)
			return r;
	}
	preempt_disable();
	local_irq_disable();
	smp_store_mb(vcpu->mode, BAWN_IN_GUEST); /* pairs with who sets a request, then looks */
	if (must_not_enter(vcpu)) {
		WRITE_ONCE(vcpu->mode, BAWN_OUTSIDE_GUEST);
		local_irq_enable();
		preempt_enable();
		return 1;
	}
	vcpu->has_run = true;
	bawn_cpu->prepare_switch(vcpu);
	done = run_guest(vcpu, &exit, &r);
	/* Interrupts that ended the run are served here, still counted as the guest's time. */
	local_irq_enable();
	local_irq_disable();
	/* The guest was a quiescent state, and what waits for one has come by an interrupt. */
	if (!done)
		rcu_virt_note_context_switch();
	vtime_account_guest_exit();
	local_irq_enable();
	preempt_enable();
	return done ? r : exit_slow(vcpu, &exit);
}

/* Polls for as long as it paid before: true when something came. */
static bool poll(struct bawn_vcpu *vcpu, ktime_t start)
{
	ktime_t stop = ktime_add_ns(start, vcpu->halt_poll_ns);

	while (single_task_running() && !need_resched() && ktime_before(ktime_get(), stop)) {
		if (bawn_has_event(vcpu))
			return true;
		if (signal_pending(current))
			break;
		cpu_relax();
	}
	return false;
}

static bool sleep(struct bawn_vcpu *vcpu)
{
	bool event;

	prepare_to_rcuwait(&vcpu->wait);
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		event = bawn_has_event(vcpu);
		if (event || signal_pending(current))
			break;
		schedule();
	}
	finish_rcuwait(&vcpu->wait);
	return event;
}

/* Waits until there is something for the vCPU: false when a signal came instead. */
static bool block(struct bawn_vcpu *vcpu)
{
	unsigned int most = READ_ONCE(halt_poll_ns);
	ktime_t start;
	bool event;

	/* Where others want the CPU, how long it takes says nothing of polling. */
	if (!most || !single_task_running())
		return sleep(vcpu);
	if (bawn_has_event(vcpu))
		return true;
	start = ktime_get();
	if (poll(vcpu, start))
		return true;
	event = sleep(vcpu);
	if (ktime_to_ns(ktime_sub(ktime_get(), start)) > most)
		vcpu->halt_poll_ns /= 2;
	else
		vcpu->halt_poll_ns = clamp(vcpu->halt_poll_ns * 2, 10000u, max(most, 10000u));
	vcpu->halt_poll_ns = min(vcpu->halt_poll_ns, most);
	return event;
}

/* A vCPU that does not execute: waits, and says whether it may run now. */
static int wait_runnable(struct bawn_vcpu *vcpu)
{
	bool event = true;

	if (!block(vcpu))
		return 1;
	if (vcpu->vm->tee) {
		lock_slots(vcpu);
		vcpu->vm->tee->take_state(vcpu);
		unlock_slots(vcpu);
	}
	/* A timer may turn out to be masked, a SIPI not to be waited for. */
	if (vcpu->apic && (test_bit(BAWN_REQ_TIMER, &vcpu->requests) || vcpu->apic_events)) {
		lock_slots(vcpu);
		if (bawn_take_request(vcpu, BAWN_REQ_TIMER))
			bawn_lapic_timer_fired(vcpu);
		clear_bit(BAWN_REQ_APIC_INIT, &vcpu->requests);
		bawn_lapic_accept_events(vcpu);
		unlock_slots(vcpu);
		event = vcpu->mp_state == KVM_MP_STATE_HALTED && bawn_has_event(vcpu);
	}
	if (vcpu->mp_state == KVM_MP_STATE_HALTED && event)
		vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
	return 1;
}

/*
 * Work that waits for the return to user mode (task_work, rseq) may wait while the guest runs,
 * as it does in any long system call, but not for ever.
 */
static bool work_overdue(unsigned long since)
{
	return test_thread_flag(TIF_NOTIFY_RESUME) && time_after(jiffies, since + HZ);
}

static int run_loop(struct bawn_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	unsigned long since = jiffies;
	int r = 1;

	while (r > 0) {
		if (vcpu->mp_state == KVM_MP_STATE_RUNNABLE)
			r = enter(vcpu);
		else
			r = wait_runnable(vcpu);
		if (r <= 0)
			break;
		if (signal_pending(current) || work_overdue(since)) {
			run->exit_reason = KVM_EXIT_INTR;
			r = -EINTR;
		} else {
			cond_resched();
		}
	}
	vcpu->stat.user_exits++;
	return r;
}

/* An AP before its INIT and SIPI: KVM_RUN waits once and then reports -EAGAIN (api.rst 4.10). */
static int run_uninitialized(struct bawn_vcpu *vcpu)
{
	wait_runnable(vcpu);
	if (signal_pending(current)) {
		vcpu->run->exit_reason = KVM_EXIT_INTR;
		return -EINTR;
	}
	return -EAGAIN;
}

static void fill_run_page(struct bawn_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	run->if_flag = !!(vcpu->rflags & X86_EFLAGS_IF);
	run->flags = 0;
	run->cr8 = bawn_get_cr8(vcpu);
	run->apic_base = vcpu->apic_base;
	/* Interrupts come by the local APIC or not at all. */
	run->ready_for_interrupt_injection = 0;
}

static int complete_exit(struct bawn_vcpu *vcpu)
{
	int (*complete)(struct bawn_vcpu *vcpu) = vcpu->complete;
	u8 len = vcpu->complete_len;
	int r;

	vcpu->complete = NULL;
	vcpu->complete_len = 0;
	/* Userspace moved the vCPU elsewhere: what was half done there is void. */
	if (vcpu->rip != vcpu->complete_rip)
		return 1;
	if (!complete)
		return len ? bawn_skip(vcpu, len) : 1;
	lock_slots(vcpu);
	r = complete(vcpu);
	unlock_slots(vcpu);
	return r;
}

/* KVM_RUN. vcpu->mutex held. */
int bawn_vcpu_run(struct bawn_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	int r;

	bawn_vcpu_load(vcpu);
	if (vcpu->vm->tee) {
		lock_slots(vcpu);
		r = vcpu->vm->tee->take_state(vcpu);
		unlock_slots(vcpu);
		if (r)
			goto out;
	}
	if (vcpu->mp_state == KVM_MP_STATE_UNINITIALIZED) {
		r = READ_ONCE(run->immediate_exit__unsafe) ? -EINTR : run_uninitialized(vcpu);
		goto out;
	}
	/* The answer to the last exit is taken even when the caller wants no more than that. */
	r = complete_exit(vcpu);
	if (r > 0 && READ_ONCE(run->immediate_exit__unsafe))
		r = -EINTR;
	if (r <= 0)
		goto filled;
	run->exit_reason = KVM_EXIT_UNKNOWN;
	vcpu->host_xcr0 = boot_cpu_has(X86_FEATURE_XSAVE) ? xgetbv(XCR_XFEATURE_ENABLED_MASK) : 0;
	fpu_swap_kvm_fpstate(&vcpu->fpu, true);
	r = run_loop(vcpu);
	fpu_swap_kvm_fpstate(&vcpu->fpu, false);
filled:
	vcpu->complete_rip = vcpu->rip;
	fill_run_page(vcpu);
out:
	bawn_vcpu_put(vcpu);
	return r;
}

/* ---- Life ---- */

#define RESET_CR0 (X86_CR0_NW | X86_CR0_CD | X86_CR0_ET)

static void reset_segments(struct bawn_vcpu *vcpu)
{
	struct kvm_segment data = { .limit = 0xffff, .type = 3, .present = 1, .s = 1 };
	struct kvm_segment code = { .base = 0xffff0000, .limit = 0xffff, .selector = 0xf000,
				    .type = 11, .present = 1, .s = 1 };
	struct kvm_segment ldt = { .limit = 0xffff, .type = 2, .present = 1 };
	struct kvm_segment tr = { .limit = 0xffff, .type = 11, .present = 1 };
	struct kvm_dtable table = { .limit = 0xffff };
	int i;

	for (i = VCPU_SREG_ES; i <= VCPU_SREG_GS; i++)
		bawn_cpu->set_segment(vcpu, i, i == VCPU_SREG_CS ? &code : &data);
	bawn_cpu->set_segment(vcpu, VCPU_SREG_LDTR, &ldt);
	bawn_cpu->set_segment(vcpu, VCPU_SREG_TR, &tr);
	bawn_cpu->set_table(vcpu, true, &table);
	bawn_cpu->set_table(vcpu, false, &table);
}

/*
 * Power-on or INIT (AMD APM vol. 2, table 14-1). INIT keeps the FPU, most MSRs and CR0's cache
 * bits. mutex held, vCPU loaded.
 */
void bawn_vcpu_reset(struct bawn_vcpu *vcpu, bool init)
{
	const struct kvm_cpuid_entry2 *id = bawn_cpuid_find(vcpu, 1, 0);

	if (!init) {
		vcpu->xcr0 = XFEATURE_MASK_FP;
		bawn_msr_reset(vcpu);
		bawn_cpuid_limits(vcpu);
		vcpu->mp_state = !vcpu->apic || vcpu->id == vcpu->vm->bsp_id ?
					 KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_UNINITIALIZED;
	}
	bawn_lapic_reset(vcpu, init);
	/* Not ours to change: a confidential guest that shut down stays where it is. */
	if (vcpu->state_protected)
		return;
	memset(vcpu->gpr, 0, sizeof(vcpu->gpr));
	vcpu->gpr[VCPU_RDX] = id ? id->eax : 0x600;
	vcpu->rip = 0xfff0;
	vcpu->rflags = X86_EFLAGS_FIXED;
	memset(&vcpu->ex, 0, sizeof(vcpu->ex));
	memset(&vcpu->irq, 0, sizeof(vcpu->irq));
	vcpu->nmi_pending = 0;
	vcpu->nmi_injected = false;
	atomic_set(&vcpu->nmi_queued, 0);
	vcpu->complete = NULL;
	vcpu->complete_len = 0;
	vcpu->cr0 = init ? X86_CR0_ET | (vcpu->cr0 & (X86_CR0_NW | X86_CR0_CD)) : RESET_CR0;
	vcpu->cr2 = 0;
	vcpu->cr3 = 0;
	vcpu->cr4 = 0;
	vcpu->cr8 = 0;
	vcpu->efer = 0;
	memset(vcpu->debug.guest_db, 0, sizeof(vcpu->debug.guest_db));
	vcpu->debug.guest_dr6 = DR6_RESERVED;
	vcpu->debug.guest_dr7 = 0x400;
	bawn_cpu->vcpu_reset(vcpu);
	reset_segments(vcpu);
	bawn_cpu->load_control(vcpu);
	bawn_cpu->load_debug(vcpu);
	bawn_cpuid_runtime_update(vcpu);
}

static vm_fault_t vcpu_fault(struct vm_fault *vmf)
{
	struct bawn_vcpu *vcpu = vmf->vma->vm_file->private_data;

	switch (vmf->pgoff) {
	case 0:
		vmf->page = virt_to_page(vcpu->run);
		break;
	case KVM_PIO_PAGE_OFFSET:
		vmf->page = virt_to_page(vcpu->pio_data);
		break;
	default:
		return VM_FAULT_SIGBUS;
	}
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct vcpu_vm_ops = { .fault = vcpu_fault };

static int vcpu_mmap(struct file *file, struct vm_area_struct *vma)
{
	if (vma->vm_pgoff + vma_pages(vma) > BAWN_RUN_PAGES)
		return -EINVAL;
	vma->vm_ops = &vcpu_vm_ops;
	return 0;
}

static int vcpu_release(struct inode *inode, struct file *file)
{
	struct bawn_vcpu *vcpu = file->private_data;

	bawn_vm_put(vcpu->vm);
	return 0;
}

static const struct file_operations vcpu_fops = {
	.owner = THIS_MODULE,
	.release = vcpu_release,
	.unlocked_ioctl = bawn_vcpu_ioctl,
	.mmap = vcpu_mmap,
	.llseek = noop_llseek,
};

void bawn_vcpu_destroy(struct bawn_vcpu *vcpu)
{
	if (vcpu->vm->tee)
		vcpu->vm->tee->vcpu_destroy(vcpu);
	if (vcpu->apic)
		bawn_lapic_destroy(vcpu);
	if (vcpu->backend)
		bawn_cpu->vcpu_destroy(vcpu);
	bawn_npt_free_cache(vcpu);
	fpu_free_guest_fpstate(&vcpu->fpu);
	free_page((unsigned long)vcpu->run);
	free_page((unsigned long)vcpu->pio_data);
	kvfree(vcpu->cpuid);
	kfree(vcpu->mce_banks);
	kfree(vcpu);
}

static struct bawn_vcpu *vcpu_alloc(struct bawn_vm *vm, u32 id)
{
	struct bawn_vcpu *vcpu = kzalloc(sizeof(*vcpu), GFP_KERNEL_ACCOUNT);
	int r = -ENOMEM;

	if (!vcpu)
		return ERR_PTR(-ENOMEM);
	mutex_init(&vcpu->mutex);
	rcuwait_init(&vcpu->wait);
	preempt_notifier_init(&vcpu->preempt, &preempt_ops);
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->cpu = -1;
	vcpu->last_host_cpu = -1;
	vcpu->pending_eoi = -1;
	vcpu->tsc_gap = READ_ONCE(bawn_tsc_gap);
	vcpu->tsc_khz = tsc_khz;
	vcpu->run = (struct kvm_run *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	vcpu->pio_data = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!vcpu->run || !vcpu->pio_data || !fpu_alloc_guest_fpstate(&vcpu->fpu))
		goto fail;
	r = bawn_cpu->vcpu_create(vcpu);
	if (!r && vm->split_irqchip)
		r = bawn_lapic_create(vcpu);
	if (!r && vm->tee)
		r = vm->tee->vcpu_create(vcpu);
	if (r)
		goto fail;
	return vcpu;
fail:
	bawn_vcpu_destroy(vcpu);
	return ERR_PTR(r);
}

/* vm->lock held. The file comes last: from then on userspace holds it. */
int bawn_vcpu_create(struct bawn_vm *vm, u32 id)
{
	struct bawn_vcpu *vcpu;
	struct file *file;
	char name[24];
	int fd;

	if (id > BAWN_MAX_VCPU_ID)
		return -EINVAL;
	if (bawn_measure_sealed(vm))
		return -EPERM;
	if (vm->nr_vcpus >= BAWN_MAX_VCPUS)
		return -EINVAL;
	if (vm->by_id[id])
		return -EEXIST;
	vcpu = vcpu_alloc(vm, id);
	if (IS_ERR(vcpu))
		return PTR_ERR(vcpu);
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		goto fail;
	snprintf(name, sizeof(name), "bawn-vcpu:%u", id);
	file = anon_inode_getfile(name, &vcpu_fops, vcpu, O_RDWR);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		fd = PTR_ERR(file);
		goto fail;
	}
	vcpu->idx = vm->nr_vcpus;
	mutex_lock(&vcpu->mutex);
	bawn_vcpu_load(vcpu);
	bawn_vcpu_reset(vcpu, false);
	if (vm->default_tsc_khz)
		bawn_set_tsc_khz(vcpu, vm->default_tsc_khz); /* checked when it was set */
	bawn_write_guest_tsc(vcpu, 0, true);
	bawn_vcpu_put(vcpu);
	mutex_unlock(&vcpu->mutex);
	bawn_vm_get(vm);
	vm->vcpu[vcpu->idx] = vcpu;
	smp_store_release(&vm->by_id[id], vcpu); /* pairs with bawn_vcpu_by_id() */
	smp_store_release(&vm->nr_vcpus, vcpu->idx + 1); /* pairs with bawn_nr_vcpus() */
	fd_install(fd, file);
	return fd;
fail:
	bawn_vcpu_destroy(vcpu);
	return fd;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The local APIC (Intel SDM vol. 3 ch. 11, AMD APM vol. 2 ch. 16): registers, priorities, and the
 * delivery of interrupt messages to it. Registers are hostile input from the guest and from
 * KVM_SET_LAPIC; only IRR, TMR and ESR are touched from other contexts than the vCPU's own, and
 * these atomically. The APIC's ID is read-only: the vCPU's number.
 */
#include <linux/nospec.h>
#include <linux/slab.h>

#include "lapic.h"

#define APIC_VERSION_6_LVTS 0x00050014
#define X2APIC_BROADCAST 0xffffffff
#define XAPIC_BROADCAST 0xff

enum { DM_FIXED, DM_LOWEST, DM_SMI, DM_RESERVED, DM_NMI, DM_INIT, DM_SIPI, DM_EXTINT };
enum { TO_DEST, TO_SELF, TO_ALL, TO_OTHERS };

#define R BIT(0)
#define W BIT(1)
#define RO_X2 BIT(2) /* writable in xAPIC mode alone */
#define NO_X2 BIT(3) /* does not exist in x2APIC mode */
#define ONLY_X2 BIT(4)
#define STATUS BIT(5) /* a write may have the read-only status bits set */

#define STATUS_BITS (APIC_SEND_PENDING | APIC_LVT_REMOTE_IRR)
#define LVT_BITS (APIC_VECTOR_MASK | APIC_MODE_MASK | APIC_LVT_MASKED)
#define LINT_BITS (LVT_BITS | APIC_INPUT_POLARITY | APIC_LVT_LEVEL_TRIGGER)
#define TIMER_BITS (APIC_VECTOR_MASK | APIC_LVT_MASKED | (3 << 17))
#define ICR_BITS (APIC_VECTOR_MASK | APIC_MODE_MASK | APIC_DEST_LOGICAL | APIC_INT_ASSERT | \
		  APIC_INT_LEVELTRIG | APIC_DEST_ALLBUT)

/*
 * Which accesses a register takes and which bits a write sets; of read-only registers, which
 * bits KVM_SET_LAPIC sets.
 */
static const struct {
	u8 access;
	u32 bits;
} lapic_regs[LAPIC_NR_REGS] = {
	[APIC_ID >> 4] = { R },
	[APIC_LVR >> 4] = { R },
	[APIC_TASKPRI >> 4] = { R | W, APIC_TPRI_MASK },
	[APIC_PROCPRI >> 4] = { R },
	[APIC_EOI >> 4] = { W },
	[APIC_LDR >> 4] = { R | W | RO_X2, APIC_LDR_MASK },
	[APIC_DFR >> 4] = { R | W | NO_X2, 0xf0000000 },
	[APIC_SPIV >> 4] = { R | W, 0x3ff },
	[APIC_ISR >> 4 ... (APIC_ESR >> 4) - 1] = { R, U32_MAX }, /* ISR, TMR, IRR */
	[APIC_ESR >> 4] = { R | W },
	[APIC_ICR >> 4] = { R | W | STATUS, ICR_BITS },
	[APIC_ICR2 >> 4] = { R | W | NO_X2, 0xff000000 },
	[APIC_LVTT >> 4] = { R | W | STATUS, TIMER_BITS },
	[APIC_LVTTHMR >> 4 ... APIC_LVTPC >> 4] = { R | W | STATUS, LVT_BITS },
	[APIC_LVT0 >> 4 ... APIC_LVT1 >> 4] = { R | W | STATUS, LINT_BITS },
	[APIC_LVTERR >> 4] = { R | W | STATUS, LVT_BITS },
	[APIC_TMICT >> 4] = { R | W, U32_MAX },
	[APIC_TMCCT >> 4] = { R },
	[APIC_TDCR >> 4] = { R | W, 0xb },
	[APIC_SELF_IPI >> 4] = { W | ONLY_X2, APIC_VECTOR_MASK },
};

#define for_each_lvt(reg) for ((reg) = APIC_LVTT; (reg) <= APIC_LVTERR; (reg) += 0x10)

static bool exists(unsigned int index, u8 access, bool x2)
{
	u8 has = lapic_regs[index].access;

	if (x2 && ((has & NO_X2) || ((access & W) && (has & RO_X2))))
		return false;
	return (has & access) && (x2 || !(has & ONLY_X2));
}

/* ---- Vectors: 8 words of 32, one per 16 bytes ---- */

static unsigned long *vector_word(struct bawn_lapic *apic, unsigned int bank, u8 vector)
{
	/* The bit operations touch the low 32 bits alone; what follows a word is padding. */
	return (unsigned long *)(apic->regs + bank + (vector >> 5) * 0x10);
}

static bool vector_test(struct bawn_lapic *apic, unsigned int bank, u8 vector)
{
	return test_bit(vector & 31, vector_word(apic, bank, vector));
}

static void vector_assign(struct bawn_lapic *apic, unsigned int bank, u8 vector, bool value)
{
	assign_bit(vector & 31, vector_word(apic, bank, vector), value);
}

/* 0 when there is none: no bank takes a vector below LAPIC_FIRST_VECTOR. */
static u8 vector_highest(struct bawn_lapic *apic, unsigned int bank, unsigned long *words)
{
	unsigned long left;

	while ((left = READ_ONCE(*words))) {
		unsigned int i = __fls(left);
		u32 word = lapic_get(apic, bank + i * 0x10);

		if (word)
			return i * 32 + __fls(word);
		/* Whoever sets a bit sets its word's after: looked at once more, none is lost. */
		clear_bit(i, words);
		smp_mb__after_atomic(); /* pairs with the order in set_irr() */
		if (lapic_get(apic, bank + i * 0x10))
			set_bit(i, words);
	}
	return 0;
}

static u8 highest_irr(struct bawn_lapic *apic)
{
	return vector_highest(apic, APIC_IRR, &apic->irr_words);
}

static u8 highest_isr(struct bawn_lapic *apic)
{
	return vector_highest(apic, APIC_ISR, &apic->isr_words);
}

static void update_ppr(struct bawn_lapic *apic)
{
	u32 tpr = lapic_get(apic, APIC_TASKPRI);
	u32 isr = highest_isr(apic) & 0xf0;

	lapic_set(apic, APIC_PROCPRI, (tpr & 0xf0) >= isr ? tpr : isr);
}

/* ---- Delivery, in any context ---- */

static void set_irr(struct bawn_lapic *apic, u8 vector, bool level)
{
	if (vector_test(apic, APIC_TMR, vector) != level)
		vector_assign(apic, APIC_TMR, vector, level);
	if (test_and_set_bit(vector & 31, vector_word(apic, APIC_IRR, vector)))
		return;
	set_bit(vector >> 5, &apic->irr_words);
	bawn_vcpu_request(apic->vcpu, BAWN_REQ_EVENT);
}

static bool software_enabled(struct bawn_lapic *apic)
{
	return lapic_get(apic, APIC_SPIV) & APIC_SPIV_APIC_ENABLED;
}

/* Records an error and raises LVTERR's interrupt when the error is new. */
static void raise_error(struct bawn_lapic *apic, u32 error)
{
	u32 lvt = lapic_get(apic, APIC_LVTERR);

	if (test_and_set_bit(__ffs(error), &apic->esr) || (lvt & APIC_LVT_MASKED))
		return;
	if ((lvt & APIC_VECTOR_MASK) < LAPIC_FIRST_VECTOR)
		set_bit(__ffs(APIC_ESR_RECVILL), &apic->esr);
	else if (software_enabled(apic))
		set_irr(apic, lvt & APIC_VECTOR_MASK, false);
}

/* True when the vector is pending now. */
bool lapic_accept(struct bawn_lapic *apic, u8 vector, bool level)
{
	if (!software_enabled(apic))
		return false;
	if (vector < LAPIC_FIRST_VECTOR) {
		raise_error(apic, APIC_ESR_RECVILL);
		return false;
	}
	set_irr(apic, vector, level);
	return true;
}

static bool accept_msg(struct bawn_vcpu *vcpu, const struct bawn_irq_msg *msg)
{
	switch (msg->mode) {
	case DM_FIXED:
	case DM_LOWEST:
		return lapic_accept(vcpu->apic, msg->vector, msg->level);
	case DM_NMI:
		atomic_inc(&vcpu->nmi_queued);
		bawn_vcpu_request(vcpu, BAWN_REQ_EVENT);
		return true;
	case DM_INIT:
		if (msg->level && !msg->assert)
			return true; /* the de-assert message does nothing */
		clear_bit(BAWN_APIC_SIPI, &vcpu->apic_events);
		smp_mb__after_atomic(); /* no SIPI of before is seen with this INIT */
		set_bit(BAWN_APIC_INIT, &vcpu->apic_events);
		bawn_vcpu_request(vcpu, BAWN_REQ_APIC_INIT);
		return true;
	case DM_SIPI:
		WRITE_ONCE(vcpu->sipi_vector, msg->vector);
		smp_mb__before_atomic(); /* the vector is there before its event */
		set_bit(BAWN_APIC_SIPI, &vcpu->apic_events);
		bawn_vcpu_request(vcpu, BAWN_REQ_APIC_INIT);
		return true;
	default: /* there is neither SMM nor a PIC */
		return false;
	}
}

static bool match_logical(struct bawn_lapic *apic, bool x2, u32 dest)
{
	u32 ldr = lapic_get(apic, APIC_LDR);

	if (x2)
		return ldr >> 16 == dest >> 16 && (ldr & dest & 0xffff);
	ldr >>= 24;
	switch (lapic_get(apic, APIC_DFR) >> 28) {
	case 0xf:
		return ldr & dest & 0xff;
	case 0:
		return ldr >> 4 == dest >> 4 && (ldr & dest & 0xf);
	default:
		return false;
	}
}

/* Is the vCPU among the destinations? src is NULL for messages of devices. */
bool lapic_match(struct bawn_vcpu *vcpu, struct bawn_vcpu *src, u32 dest, bool logical)
{
	bool x2 = lapic_x2(vcpu);

	if (!lapic_enabled(vcpu))
		return false;
	if (dest == (x2 ? X2APIC_BROADCAST : XAPIC_BROADCAST))
		return true;
	/* An 8-bit sender means everyone by 0xff. */
	if (x2 && dest == XAPIC_BROADCAST && (src ? !lapic_x2(src) : !vcpu->vm->x2apic_api))
		return true;
	if (logical)
		return match_logical(vcpu->apic, x2, dest);
	return dest == vcpu->id;
}

static bool match_msg(struct bawn_vcpu *vcpu, struct bawn_vcpu *src, const struct bawn_irq_msg *msg)
{
	if (msg->shorthand == TO_DEST)
		return lapic_match(vcpu, src, msg->dest, msg->logical);
	return lapic_enabled(vcpu) && (msg->shorthand == TO_ALL || vcpu != src);
}

/* One of the matching vCPUs, the same each time: a vector stays where it is. */
static int deliver_lowest(struct bawn_vm *vm, struct bawn_vcpu *src, const struct bawn_irq_msg *msg)
{
	struct bawn_vcpu *vcpu, *who[BAWN_MAX_VCPUS];
	unsigned int i, n = 0;

	bawn_for_each_vcpu(i, vcpu, vm) {
		if (match_msg(vcpu, src, msg) && software_enabled(vcpu->apic))
			who[n++] = vcpu;
	}
	return n ? accept_msg(who[msg->vector % n], msg) : -1;
}

int bawn_irq_deliver(struct bawn_vm *vm, struct bawn_vcpu *src, const struct bawn_irq_msg *msg)
{
	struct bawn_vcpu *vcpu;
	unsigned int i;
	int count = -1;

	if (msg->shorthand == TO_SELF)
		return src && lapic_enabled(src) ? accept_msg(src, msg) : -1;
	if (msg->shorthand == TO_DEST && !msg->logical && msg->dest < XAPIC_BROADCAST) {
		vcpu = bawn_vcpu_by_id(vm, array_index_nospec(msg->dest, XAPIC_BROADCAST));
		return vcpu && lapic_enabled(vcpu) ? accept_msg(vcpu, msg) : -1;
	}
	if (msg->mode == DM_LOWEST || msg->redir_hint)
		return deliver_lowest(vm, src, msg);
	bawn_for_each_vcpu(i, vcpu, vm) {
		if (match_msg(vcpu, src, msg))
			count = max(count, 0) + accept_msg(vcpu, msg);
	}
	return count;
}

/*
 * ---- Interrupts into the CPU, on the vCPU's own thread ----
 * Each entry asks bawn_lapic_pending(), so what changes a priority need not request it.
 */

int bawn_lapic_pending(struct bawn_vcpu *vcpu)
{
	struct bawn_lapic *apic = vcpu->apic;
	u8 vector;

	if (!READ_ONCE(apic->irr_words) || !lapic_enabled(vcpu))
		return -1;
	vector = highest_irr(apic);
	return (vector & 0xf0) > (lapic_get(apic, APIC_PROCPRI) & 0xf0) ? vector : -1;
}

void bawn_lapic_ack(struct bawn_vcpu *vcpu, u8 vector)
{
	struct bawn_lapic *apic = vcpu->apic;

	vector_assign(apic, APIC_IRR, vector, false);
	vector_assign(apic, APIC_ISR, vector, true);
	__set_bit(vector >> 5, &apic->isr_words);
	/* It was above the priority, and so is what it is now. */
	lapic_set(apic, APIC_PROCPRI, vector & 0xf0);
}

static void eoi(struct bawn_lapic *apic)
{
	u8 vector = highest_isr(apic);

	if (!vector)
		return;
	vector_assign(apic, APIC_ISR, vector, false);
	if (!lapic_get(apic, APIC_ISR + (vector >> 5) * 0x10))
		__clear_bit(vector >> 5, &apic->isr_words);
	update_ppr(apic);
	/* eoi_exit has the vectors of userspace's level-triggered IOAPIC pins. */
	if (test_bit(vector, apic->vcpu->eoi_exit))
		apic->vcpu->pending_eoi = vector;
}

bool lapic_holds(struct bawn_vcpu *vcpu, u8 vector)
{
	return vector_test(vcpu->apic, APIC_IRR, vector) ||
	       vector_test(vcpu->apic, APIC_ISR, vector);
}

u64 bawn_lapic_get_cr8(struct bawn_vcpu *vcpu)
{
	return lapic_get(vcpu->apic, APIC_TASKPRI) >> 4;
}

static void set_tpr(struct bawn_lapic *apic, u32 tpr)
{
	lapic_set(apic, APIC_TASKPRI, tpr);
	update_ppr(apic);
}

void bawn_lapic_set_cr8(struct bawn_vcpu *vcpu, u64 cr8)
{
	set_tpr(vcpu->apic, cr8 << 4);
}

/* INIT and SIPI (SDM vol. 3 9.4): a SIPI counts in wait-for-SIPI alone. */
void bawn_lapic_accept_events(struct bawn_vcpu *vcpu)
{
	/* A confidential guest's vCPU starts from what was measured, or what the guest gave. */
	if (vcpu->vm->tee) {
		if (test_and_clear_bit(BAWN_APIC_INIT, &vcpu->apic_events))
			vcpu->vm->tee->init(vcpu);
		if (test_and_clear_bit(BAWN_APIC_SIPI, &vcpu->apic_events))
			vcpu->vm->tee->sipi(vcpu);
		return;
	}
	if (test_and_clear_bit(BAWN_APIC_INIT, &vcpu->apic_events)) {
		bawn_vcpu_reset(vcpu, true);
		WRITE_ONCE(vcpu->mp_state, vcpu->id == vcpu->vm->bsp_id ? KVM_MP_STATE_RUNNABLE :
								      KVM_MP_STATE_INIT_RECEIVED);
	}
	if (test_and_clear_bit(BAWN_APIC_SIPI, &vcpu->apic_events) &&
	    vcpu->mp_state == KVM_MP_STATE_INIT_RECEIVED) {
		u8 vector = READ_ONCE(vcpu->sipi_vector);
		struct kvm_segment cs;

		bawn_cpu->get_segment(vcpu, VCPU_SREG_CS, &cs);
		cs.selector = vector << 8;
		cs.base = vector << 12;
		bawn_cpu->set_segment(vcpu, VCPU_SREG_CS, &cs);
		vcpu->rip = 0;
		WRITE_ONCE(vcpu->mp_state, KVM_MP_STATE_RUNNABLE);
	}
}

/* ---- Registers ---- */

static u32 read_reg(struct bawn_lapic *apic, unsigned int reg)
{
	return reg == APIC_TMCCT ? lapic_timer_count(apic) : lapic_get(apic, reg);
}

static void send_ipi(struct bawn_lapic *apic, u32 icr, u32 dest)
{
	u8 mode = GET_APIC_DELIVERY_MODE(icr);
	struct bawn_irq_msg msg = {
		.dest = dest,
		.vector = icr & APIC_VECTOR_MASK,
		.mode = mode,
		.logical = icr & APIC_DEST_LOGICAL,
		.level = mode == DM_INIT && (icr & APIC_INT_LEVELTRIG), /* for INIT alone */
		.assert = icr & APIC_INT_ASSERT,
		.shorthand = (icr >> 18) & 3,
	};

	if (mode <= DM_LOWEST && msg.vector < LAPIC_FIRST_VECTOR)
		raise_error(apic, APIC_ESR_SENDILL);
	else
		bawn_irq_deliver(apic->vcpu->vm, apic->vcpu, &msg);
}

static void write_spiv(struct bawn_lapic *apic, u32 value)
{
	unsigned int reg;

	lapic_set(apic, APIC_SPIV, value);
	if (value & APIC_SPIV_APIC_ENABLED)
		return;
	/* Software-disabled: all local sources are masked, and stay so. */
	for_each_lvt(reg)
		lapic_set(apic, reg, lapic_get(apic, reg) | APIC_LVT_MASKED);
}

static void write_lvt(struct bawn_lapic *apic, unsigned int reg, u32 value)
{
	if (!software_enabled(apic))
		value |= APIC_LVT_MASKED;
	if (reg == APIC_LVTT)
		lapic_timer_set_lvt(apic, value);
	else
		lapic_set(apic, reg, value);
}

/* value has only the register's own bits. */
static void write_reg(struct bawn_lapic *apic, unsigned int reg, u32 value)
{
	u32 icr2 = lapic_get(apic, APIC_ICR2);

	switch (reg) {
	case APIC_TASKPRI:
		set_tpr(apic, value);
		break;
	case APIC_EOI:
		eoi(apic);
		break;
	case APIC_DFR:
		value |= 0x0fffffff;
		fallthrough;
	case APIC_LDR:
		lapic_set(apic, reg, value);
		/* Logical destinations of level-triggered routes may have come or gone. */
		set_bit(BAWN_REQ_SCAN_EOI, &apic->vcpu->requests);
		break;
	case APIC_SPIV:
		write_spiv(apic, value);
		break;
	case APIC_ESR:
		lapic_set(apic, APIC_ESR, xchg(&apic->esr, 0));
		break;
	case APIC_ICR:
		lapic_set(apic, APIC_ICR, value);
		send_ipi(apic, value, lapic_x2(apic->vcpu) ? icr2 : icr2 >> 24);
		break;
	case APIC_SELF_IPI:
		send_ipi(apic, value | APIC_DEST_SELF, 0);
		break;
	case APIC_TMICT:
		lapic_timer_set_count(apic, value);
		break;
	case APIC_TDCR:
		lapic_timer_set_divide(apic, value);
		break;
	case APIC_ICR2:
		lapic_set(apic, reg, value);
		break;
	default: /* what is left in the table is the local vector table */
		write_lvt(apic, reg, value);
	}
}

/* xAPIC registers take aligned 32-bit accesses; others read as zero and write nothing. */
bool bawn_lapic_mmio(struct bawn_vcpu *vcpu, gpa_t gpa, unsigned int len, u64 *data, bool write)
{
	unsigned int offset = offset_in_page(gpa);
	unsigned int index = array_index_nospec(offset >> 4, LAPIC_NR_REGS);
	bool good = len == 4 && !(offset & 0xf) && offset < LAPIC_SIZE &&
		    exists(index, write ? W : R, false);

	if (!bawn_lapic_at(vcpu, gpa))
		return false;
	if (!write)
		*data = good ? read_reg(vcpu->apic, index << 4) : 0;
	else if (good)
		write_reg(vcpu->apic, index << 4, *data & lapic_regs[index].bits);
	return true;
}

/* The register of an x2APIC MSR, or a negative number: #GP. */
static int x2_index(struct bawn_vcpu *vcpu, u32 msr, u8 access)
{
	u32 index = msr - APIC_BASE_MSR;

	if (!lapic_x2(vcpu) || index >= LAPIC_NR_REGS)
		return -1;
	index = array_index_nospec(index, LAPIC_NR_REGS);
	return exists(index, access, true) ? index : -1;
}

int bawn_lapic_get_msr(struct bawn_vcpu *vcpu, u32 index, u64 *value)
{
	int i = x2_index(vcpu, index, R);

	if (i < 0)
		return 1;
	*value = read_reg(vcpu->apic, i << 4);
	if (i == APIC_ICR >> 4)
		*value |= (u64)lapic_get(vcpu->apic, APIC_ICR2) << 32;
	return 0;
}

int bawn_lapic_set_msr(struct bawn_vcpu *vcpu, u32 index, u64 value)
{
	int i = x2_index(vcpu, index, W);
	u32 status;

	if (i < 0)
		return 1;
	status = lapic_regs[i].access & STATUS ? STATUS_BITS : 0;
	if ((u32)value & ~(lapic_regs[i].bits | status))
		return 1;
	if (i == APIC_ICR >> 4)
		lapic_set(vcpu->apic, APIC_ICR2, value >> 32);
	else if (value >> 32)
		return 1;
	write_reg(vcpu->apic, i << 4, value & lapic_regs[i].bits);
	return 0;
}

/* ---- Life and state ---- */

int bawn_lapic_create(struct bawn_vcpu *vcpu)
{
	struct bawn_lapic *apic = kzalloc(sizeof(*apic), GFP_KERNEL_ACCOUNT);

	if (!apic)
		return -ENOMEM;
	apic->vcpu = vcpu;
	lapic_timer_init(apic);
	vcpu->apic = apic;
	return 0;
}

void bawn_lapic_destroy(struct bawn_vcpu *vcpu)
{
	hrtimer_cancel(&vcpu->apic->timer);
	kfree(vcpu->apic);
	vcpu->apic = NULL;
}

/* ID, and in x2APIC mode LDR, are functions of the vCPU's number (SDM vol. 3 11.12.10.2). */
static void set_ids(struct bawn_lapic *apic)
{
	u32 id = apic->vcpu->id;

	if (lapic_x2(apic->vcpu)) {
		lapic_set(apic, APIC_ID, id);
		lapic_set(apic, APIC_LDR, (id >> 4) << 16 | BIT(id & 0xf));
	} else {
		lapic_set(apic, APIC_ID, id << 24);
	}
	lapic_set(apic, APIC_LVR, APIC_VERSION_6_LVTS);
}

/* The registers' values after power-on and INIT (SDM vol. 3 11.4.7.1, 11.4.7.3). */
static void reset_regs(struct bawn_lapic *apic)
{
	unsigned int reg;

	lapic_timer_stop(apic);
	/* First these: an interrupt that comes meanwhile must not be in IRR alone, for ever. */
	WRITE_ONCE(apic->irr_words, 0);
	apic->isr_words = 0;
	barrier();
	memset(apic->regs, 0, sizeof(apic->regs));
	apic->esr = 0;
	for_each_lvt(reg)
		lapic_set(apic, reg, APIC_LVT_MASKED);
	lapic_set(apic, APIC_DFR, U32_MAX);
	lapic_set(apic, APIC_SPIV, 0xff);
	set_ids(apic);
	update_ppr(apic);
	apic->vcpu->pending_eoi = -1;
	set_bit(BAWN_REQ_SCAN_EOI, &apic->vcpu->requests);
}

/* Power-on sets APIC_BASE too, INIT leaves it. Works without an APIC. */
void bawn_lapic_reset(struct bawn_vcpu *vcpu, bool init)
{
	if (!init)
		WRITE_ONCE(vcpu->apic_base,
			   APIC_DEFAULT_PHYS_BASE | MSR_IA32_APICBASE_ENABLE |
			   (vcpu->id == vcpu->vm->bsp_id ? MSR_IA32_APICBASE_BSP : 0));
	if (vcpu->apic)
		reset_regs(vcpu->apic);
}

static bool base_valid(struct bawn_vcpu *vcpu, u64 base)
{
	const struct kvm_cpuid_entry2 *e = bawn_cpuid_find(vcpu, 1, 0);
	u64 valid = MSR_IA32_APICBASE_BSP | MSR_IA32_APICBASE_ENABLE |
		    GENMASK_ULL(vcpu->maxphyaddr - 1, 12);

	if (e && (e->ecx & BIT(21)))
		valid |= X2APIC_ENABLE;
	return !(base & ~valid) && (base & LAPIC_MODE) != X2APIC_ENABLE;
}

/* SDM vol. 3 11.12.5: x2APIC is left through disabled alone, entered from xAPIC alone. */
int bawn_lapic_set_base(struct bawn_vcpu *vcpu, u64 base, bool host)
{
	u64 change = vcpu->apic_base ^ base;
	u64 was = vcpu->apic_base & LAPIC_MODE, mode = base & LAPIC_MODE;

	if (!base_valid(vcpu, base))
		return 1;
	if (!host && ((was == LAPIC_MODE && mode == MSR_IA32_APICBASE_ENABLE) ||
		      (!was && mode == LAPIC_MODE)))
		return 1;
	WRITE_ONCE(vcpu->apic_base, base);
	if (change & MSR_IA32_APICBASE_ENABLE)
		bawn_cpuid_runtime_update(vcpu);
	if (!vcpu->apic || was == mode)
		return 0;
	if (mode != LAPIC_MODE) {
		reset_regs(vcpu->apic);
		return 0;
	}
	lapic_set(vcpu->apic, APIC_ICR2, 0);
	set_ids(vcpu->apic);
	set_bit(BAWN_REQ_SCAN_EOI, &vcpu->requests);
	return 0;
}

/* KVM_GET_LAPIC. In x2APIC mode the ID is shown in xAPIC form unless KVM_CAP_X2APIC_API is on. */
int bawn_lapic_get_state(struct bawn_vcpu *vcpu, struct kvm_lapic_state *s)
{
	u32 *regs = (u32 *)s->regs;

	BUILD_BUG_ON(sizeof(s->regs) != LAPIC_SIZE);
	bawn_lapic_timer_fired(vcpu);
	memcpy(s->regs, vcpu->apic->regs, LAPIC_SIZE);
	regs[APIC_TMCCT / 4] = lapic_timer_count(vcpu->apic);
	if (lapic_x2(vcpu) && !vcpu->vm->x2apic_api)
		regs[APIC_ID / 4] = (u32)vcpu->id << 24;
	return 0;
}

/* KVM_SET_LAPIC. Unknown registers and reserved bits are dropped, ID and version are not taken. */
int bawn_lapic_set_state(struct bawn_vcpu *vcpu, const struct kvm_lapic_state *s)
{
	struct bawn_lapic *apic = vcpu->apic;
	const u32 *in = (const u32 *)s->regs;
	bool x2 = lapic_x2(vcpu);
	unsigned int i;

	if (x2 && vcpu->vm->x2apic_api && in[APIC_ID / 4] != vcpu->id)
		return -EINVAL;
	for (i = 0; i < LAPIC_NR_REGS; i++) {
		bool whole = i == APIC_ESR >> 4 || (x2 && i == APIC_ICR2 >> 4);

		lapic_set(apic, i << 4, whole ? in[i * 4] : in[i * 4] & lapic_regs[i].bits);
	}
	lapic_set(apic, APIC_SELF_IPI, 0);
	lapic_set(apic, APIC_DFR, lapic_get(apic, APIC_DFR) | 0x0fffffff);
	for (i = APIC_ISR; i < APIC_ESR; i += 0x80)
		lapic_set(apic, i, lapic_get(apic, i) & ~(u32)(BIT(LAPIC_FIRST_VECTOR) - 1));
	apic->irr_words = 0xff;
	apic->isr_words = 0xff;
	set_ids(apic);
	update_ppr(apic);
	lapic_timer_restore(apic, in[APIC_TMCCT / 4]);
	set_bit(BAWN_REQ_SCAN_EOI, &vcpu->requests);
	return 0;
}

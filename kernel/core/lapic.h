/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The local APIC's private half: the register page shared by lapic.c (registers, delivery) and
 * lapic_timer.c (the timer). Nothing outside these two and irq.c includes it.
 */
#ifndef BAWN_LAPIC_H
#define BAWN_LAPIC_H

#include <asm/apicdef.h>

#include "bawn.h"

#define LAPIC_SIZE 0x400 /* the part of the 4 KiB page that has registers */
#define LAPIC_NR_REGS (LAPIC_SIZE >> 4)
#define LAPIC_FIRST_VECTOR 16 /* lower ones are illegal, SDM vol. 3 11.5.2 */

struct bawn_lapic {
	struct bawn_vcpu *vcpu;

	/* The timer; owned by the holder of vcpu->mutex but for fired, which the hrtimer sets. */
	struct hrtimer timer;
	bool fired;
	ktime_t target; /* when the count ends; 0: it does not run */
	u64 deadline;	/* IA32_TSC_DEADLINE */

	/* A bit for each word of IRR and of ISR that may have a bit set; irr_words is atomic. */
	unsigned long irr_words, isr_words;
	unsigned long esr; /* errors since the guest last wrote ESR; atomic bits */
	u8 regs[LAPIC_SIZE] __aligned(8);
};

static inline u32 *lapic_reg(struct bawn_lapic *apic, unsigned int reg)
{
	return (u32 *)(apic->regs + reg);
}

static inline u32 lapic_get(struct bawn_lapic *apic, unsigned int reg)
{
	return READ_ONCE(*lapic_reg(apic, reg));
}

static inline void lapic_set(struct bawn_lapic *apic, unsigned int reg, u32 value)
{
	WRITE_ONCE(*lapic_reg(apic, reg), value);
}

/* What APIC_BASE says of the mode: neither bit for disabled, ENABLE for xAPIC, both for x2APIC. */
#define LAPIC_MODE (MSR_IA32_APICBASE_ENABLE | X2APIC_ENABLE)

static inline bool lapic_x2(struct bawn_vcpu *vcpu)
{
	return (READ_ONCE(vcpu->apic_base) & LAPIC_MODE) == LAPIC_MODE;
}

static inline bool lapic_enabled(struct bawn_vcpu *vcpu)
{
	return vcpu->apic && (READ_ONCE(vcpu->apic_base) & MSR_IA32_APICBASE_ENABLE);
}

/* lapic.c */
bool lapic_accept(struct bawn_lapic *apic, u8 vector, bool level);
bool lapic_match(struct bawn_vcpu *vcpu, struct bawn_vcpu *src, u32 dest, bool logical);
bool lapic_holds(struct bawn_vcpu *vcpu, u8 vector); /* in IRR or ISR */

/* lapic_timer.c */
void lapic_timer_init(struct bawn_lapic *apic);
void lapic_timer_stop(struct bawn_lapic *apic);
void lapic_timer_set_lvt(struct bawn_lapic *apic, u32 value);
void lapic_timer_set_count(struct bawn_lapic *apic, u32 value);
void lapic_timer_set_divide(struct bawn_lapic *apic, u32 value);
u32 lapic_timer_count(struct bawn_lapic *apic);
void lapic_timer_restore(struct bawn_lapic *apic, u32 count);

#endif

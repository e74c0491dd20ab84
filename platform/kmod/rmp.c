// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rules of the reverse map table: which change of an entry the processor makes, and with which
 * code it refuses another. Pure: on the entries that it is given. Nothing here is trusted: the
 * values are the host's (RMPUPDATE) and the guest's (PVALIDATE, RMPADJUST).
 */
#include "rmp.h"

#include <linux/string.h>

#include "bawn/psp.h"

#define PAGE_OFFSET_MASK 0xfffULL
#define LARGE_OFFSET_MASK 0x1fffffULL
#define GPA_MAX 0xfffffffffffffULL /* 52 bits */

/* RDX of RMPADJUST. */
#define ADJUST_VMPL 0xffULL
#define ADJUST_PERMS_SHIFT 8
#define ADJUST_VMSA BIT_ULL(16)

enum rmp_state rmp_state(const struct rmp_entry *e)
{
	if (!(e->flags & RMP_ASSIGNED))
		return RMP_HYPERVISOR;
	if (!e->asid) {
		if (e->flags & RMP_CONTEXT)
			return RMP_GUEST_CONTEXT;
		return e->flags & RMP_IMMUTABLE ? RMP_FIRMWARE : RMP_RECLAIM;
	}
	if (e->flags & RMP_IMMUTABLE)
		return RMP_PRE_GUEST;
	return e->flags & RMP_VALIDATED ? RMP_GUEST_VALID : RMP_GUEST_INVALID;
}

static bool same(const struct rmp_entry *e, const struct rmp_update *new)
{
	return e->flags & RMP_ASSIGNED && new->assigned && e->gpa == new->gpa &&
	       e->asid == new->asid && !(e->flags & RMP_LARGE) == !new->large &&
	       !(e->flags & RMP_IMMUTABLE) == !new->immutable;
}

static void set(struct rmp_entry *e, const struct rmp_update *new, u64 offset)
{
	if (!new->assigned) {
		memset(e, 0, sizeof(*e));
		return;
	}
	*e = (struct rmp_entry){
		.gpa = new->gpa + offset,
		.asid = new->asid,
		.flags = RMP_ASSIGNED | (new->immutable ? RMP_IMMUTABLE : 0) |
			 (new->large ? RMP_LARGE : 0),
	};
}

static bool update_input_valid(const struct rmp_update *new, unsigned int i)
{
	u64 mask = new->large ? LARGE_OFFSET_MASK : PAGE_OFFSET_MASK;

	if (new->large && i)
		return false;
	if (!new->assigned)
		return !new->asid && !new->gpa && !new->immutable;
	return !(new->gpa & mask) && new->gpa <= GPA_MAX - mask;
}

enum rmp_code rmp_rule_update(struct rmp_entry *large, unsigned int i, const struct rmp_update *new)
{
	struct rmp_entry *e = &large[i];
	unsigned int n = new->large ? RMP_PER_LARGE : 1, k;

	if (!update_input_valid(new, i))
		return RMP_FAIL_INPUT;
	for (k = 0; k < n; k++) {
		if (e[k].flags & RMP_BUSY)
			return RMP_FAIL_INUSE;
		if (e[k].flags & RMP_IMMUTABLE)
			return RMP_FAIL_PERMISSION;
		/* A page of one size within one of the other. */
		if (e[k].flags & RMP_ASSIGNED && !(e[k].flags & RMP_LARGE) != !new->large)
			return RMP_FAIL_OVERLAP;
	}
	if (same(e, new))
		return RMP_OK;
	for (k = 0; k < n; k++)
		set(&e[k], new, (u64)k << 12);
	return RMP_OK;
}

enum rmp_code rmp_rule_psmash(struct rmp_entry *large, unsigned int i)
{
	unsigned int k;

	if (i)
		return RMP_FAIL_INPUT;
	if (!(large->flags & RMP_ASSIGNED) || !(large->flags & RMP_LARGE))
		return RMP_FAIL_INPUT;
	if (large->flags & RMP_IMMUTABLE)
		return RMP_FAIL_PERMISSION;
	for (k = 0; k < RMP_PER_LARGE; k++)
		if (large[k].flags & RMP_BUSY)
			return RMP_FAIL_INUSE;
	for (k = 0; k < RMP_PER_LARGE; k++)
		large[k].flags &= ~RMP_LARGE;
	return RMP_OK;
}

enum rmp_access rmp_rule_access(const struct rmp_entry *e, u64 gpa, u32 asid)
{
	if (!(e->flags & RMP_ASSIGNED) || e->asid != asid || e->flags & RMP_IMMUTABLE ||
	    e->gpa != (gpa & ~PAGE_OFFSET_MASK))
		return RMP_ACCESS_FAULT;
	return e->flags & RMP_VALIDATED ? RMP_ACCESS_OK : RMP_ACCESS_NOT_VALIDATED;
}

bool rmp_rule_validate(struct rmp_entry *e, bool validate)
{
	if (!(e->flags & RMP_VALIDATED) == !validate)
		return false;
	/* Rescinding takes the page's other attributes too: the next owner starts anew. */
	e->flags &= ~(RMP_VALIDATED | RMP_VMSA);
	memset(e->perms, 0, sizeof(e->perms));
	if (validate)
		e->flags |= RMP_VALIDATED;
	return true;
}

static bool address_aligned(u64 address, bool large)
{
	return !(address & (large ? LARGE_OFFSET_MASK : PAGE_OFFSET_MASK));
}

enum rmp_code rmp_rule_pvalidate_input(u64 address, bool large)
{
	return address_aligned(address, large) ? RMP_OK : RMP_FAIL_INPUT;
}

enum rmp_code rmp_rule_adjust_input(u64 address, bool large, u64 rdx, struct rmp_adjust *adjust)
{
	*adjust = (struct rmp_adjust){
		.vmpl = rdx & ADJUST_VMPL,
		.perms = rdx >> ADJUST_PERMS_SHIFT & 0xff,
		.vmsa = rdx & ADJUST_VMSA,
	};
	if (!address_aligned(address, large) || rdx >> 17 || adjust->vmpl >= RMP_VMPLS ||
	    adjust->perms & ~RMP_PERMS_ALL)
		return RMP_FAIL_INPUT;
	if (adjust->vmsa && large)
		return RMP_FAIL_INPUT; /* a VMSA is one page of 4 KiB */
	/* Only levels below the caller's, which is 0. */
	return adjust->vmpl ? RMP_OK : RMP_FAIL_PERMISSION;
}

enum rmp_code rmp_rule_adjust(struct rmp_entry *e, const struct rmp_adjust *adjust)
{
	if (e->flags & RMP_BUSY)
		return RMP_FAIL_INUSE;
	e->perms[adjust->vmpl - 1] = adjust->perms;
	e->flags = (e->flags & ~RMP_VMSA) | (adjust->vmsa ? RMP_VMSA : 0);
	return RMP_OK;
}

u32 rmp_rule_launch_check(const struct rmp_entry *e, u32 asid, bool large)
{
	if (rmp_state(e) != RMP_PRE_GUEST)
		return BAWN_PSP_INVALID_PAGE_STATE;
	if (!(e->flags & RMP_LARGE) != !large)
		return BAWN_PSP_INVALID_PAGE_SIZE;
	return e->asid == asid ? BAWN_PSP_SUCCESS : BAWN_PSP_INVALID_PAGE_OWNER;
}

void rmp_rule_launch_done(struct rmp_entry *e, bool vmsa, const u8 perms[RMP_VMPLS - 1])
{
	e->flags &= ~RMP_IMMUTABLE;
	e->flags |= RMP_VALIDATED | (vmsa ? RMP_VMSA : 0);
	memcpy(e->perms, perms, sizeof(e->perms));
}

u32 rmp_rule_reclaim(struct rmp_entry *large, unsigned int i, bool as_large)
{
	struct rmp_entry *e = &large[i];
	enum rmp_state state = rmp_state(e);
	unsigned int n = as_large ? RMP_PER_LARGE : 1, k;

	if (as_large && i)
		return BAWN_PSP_INVALID_ADDRESS;
	if (state != RMP_PRE_GUEST && state != RMP_FIRMWARE)
		return BAWN_PSP_INVALID_PAGE_STATE;
	if (!(e->flags & RMP_LARGE) != !as_large)
		return BAWN_PSP_INVALID_PAGE_SIZE;
	for (k = 0; k < n; k++) {
		if (e[k].flags & RMP_BUSY)
			return BAWN_PSP_INVALID_PAGE_STATE;
	}
	for (k = 0; k < n; k++)
		e[k] = (struct rmp_entry){ .flags = RMP_ASSIGNED | (e[k].flags & RMP_LARGE) };
	return BAWN_PSP_SUCCESS;
}

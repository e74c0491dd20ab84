// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the reverse map table's entries are: blocks of 512 in an array by host page frame, made
 * with the first entry that is not zero and kept until the module goes. One spinlock for all
 * entries; every use is short.
 */
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/xarray.h>

#include "platform.h"

static DEFINE_XARRAY(blocks); /* pfn / 512 -> struct rmp_entry[512] */
static DEFINE_SPINLOCK(rmp_lock);

static struct rmp_entry *find(u64 pfn)
{
	return xa_load(&blocks, pfn / RMP_PER_LARGE);
}

static struct rmp_entry *find_or_make(u64 pfn)
{
	struct rmp_entry *block = find(pfn), *old;

	if (block)
		return block;
	block = kvcalloc(RMP_PER_LARGE, sizeof(*block), GFP_KERNEL);
	if (!block)
		return NULL;
	old = xa_cmpxchg(&blocks, pfn / RMP_PER_LARGE, NULL, block, GFP_KERNEL);
	if (!old)
		return block;
	kvfree(block);
	return xa_is_err(old) ? NULL : old;
}

void rmp_exit(void)
{
	struct rmp_entry *block;
	unsigned long index;

	xa_for_each(&blocks, index, block)
		kvfree(block);
	xa_destroy(&blocks);
}

void rmp_get(u64 pfn, struct rmp_entry *e)
{
	struct rmp_entry *block = find(pfn);

	*e = (struct rmp_entry){};
	if (!block)
		return;
	spin_lock(&rmp_lock);
	*e = block[pfn % RMP_PER_LARGE];
	spin_unlock(&rmp_lock);
}

/* Without memory for the table the entry cannot be set: as if another CPU held it. */
enum rmp_code rmp_update(u64 pfn, const struct rmp_update *new)
{
	struct rmp_entry *block = new->assigned ? find_or_make(pfn) : find(pfn);
	enum rmp_code code;

	if (!block)
		return new->assigned ? RMP_FAIL_INUSE : RMP_OK;
	spin_lock(&rmp_lock);
	code = rmp_rule_update(block, pfn % RMP_PER_LARGE, new);
	spin_unlock(&rmp_lock);
	return code;
}

enum rmp_code rmp_psmash(u64 pfn)
{
	struct rmp_entry *block = find(pfn);
	enum rmp_code code;

	if (!block)
		return RMP_FAIL_INPUT;
	spin_lock(&rmp_lock);
	code = rmp_rule_psmash(block, pfn % RMP_PER_LARGE);
	spin_unlock(&rmp_lock);
	return code;
}

u32 rmp_change(u64 pfn, rmp_fn fn, void *arg)
{
	struct rmp_entry *block = find(pfn), none = {};
	u32 r;

	if (!block)
		return fn(&none, arg);
	spin_lock(&rmp_lock);
	r = fn(&block[pfn % RMP_PER_LARGE], arg);
	spin_unlock(&rmp_lock);
	return r;
}

u32 rmp_reclaim(u64 pfn, bool large)
{
	struct rmp_entry *block = find(pfn);
	u32 status;

	if (!block)
		return BAWN_PSP_INVALID_PAGE_STATE;
	spin_lock(&rmp_lock);
	status = rmp_rule_reclaim(block, pfn % RMP_PER_LARGE, large);
	spin_unlock(&rmp_lock);
	return status;
}

void rmp_count(u64 counts[RMP_NR_STATES])
{
	struct rmp_entry *block;
	unsigned long index;
	unsigned int i;

	memset(counts, 0, RMP_NR_STATES * sizeof(*counts));
	xa_for_each(&blocks, index, block) {
		spin_lock(&rmp_lock);
		for (i = 0; i < RMP_PER_LARGE; i++)
			counts[rmp_state(&block[i])]++;
		spin_unlock(&rmp_lock);
		cond_resched();
	}
	counts[RMP_HYPERVISOR] = 0; /* the rest of the machine is that too */
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The reverse map table in software: for each host page, whose it is and at which guest address.
 * rmp.c has the rules, rmp_table.c the table and its lock. AMD APM vol. 2, 15.36.3 to 15.36.10;
 * instructions in vol. 3: RMPUPDATE, PSMASH, PVALIDATE, RMPADJUST; states: AMD 56860, chapter 5.
 */
#ifndef BAWN_PLATFORM_RMP_H
#define BAWN_PLATFORM_RMP_H

#include <linux/types.h>

/* What the instructions leave in EAX. */
enum rmp_code {
	RMP_OK = 0,
	RMP_FAIL_INPUT = 1,
	RMP_FAIL_PERMISSION = 2,
	RMP_FAIL_INUSE = 3,
	RMP_FAIL_OVERLAP = 4,
	RMP_FAIL_SIZEMISMATCH = 6,
};

#define RMP_ASSIGNED 0x01
#define RMP_VALIDATED 0x02
#define RMP_IMMUTABLE 0x04
#define RMP_VMSA 0x08
#define RMP_LARGE 0x10	 /* of 2 MiB: all 512 entries have it */
#define RMP_CONTEXT 0x20 /* firmware's: a guest's context */
#define RMP_BUSY 0x40	 /* a firmware command works on the page */

#define RMP_VMPLS 4
#define RMP_PERMS_ALL 0x1f

#define RMP_PER_LARGE 512

/* An entry that is not assigned is all zero. */
struct rmp_entry {
	u64 gpa;
	u32 asid; /* 0: the firmware's */
	u8 flags;
	u8 perms[RMP_VMPLS - 1]; /* of VMPL 1 to 3; VMPL 0 has all */
};

/* What RMPUPDATE is to make of an entry. */
struct rmp_update {
	u64 gpa;
	u32 asid;
	bool assigned;
	bool immutable;
	bool large;
};

/* How a page looks to AMD 56860's table of page states. */
enum rmp_state {
	RMP_HYPERVISOR,
	RMP_RECLAIM,
	RMP_FIRMWARE,
	RMP_GUEST_CONTEXT,
	RMP_PRE_GUEST,
	RMP_GUEST_INVALID,
	RMP_GUEST_VALID,
	RMP_NR_STATES
};

/* What becomes of a guest's access. */
enum rmp_access { RMP_ACCESS_OK, RMP_ACCESS_NOT_VALIDATED, RMP_ACCESS_FAULT };

/* ---- The rules: on entries, without a lock ---- */

enum rmp_state rmp_state(const struct rmp_entry *e);
/* large: the 512 entries of an aligned 2 MiB; i: which of them. */
enum rmp_code rmp_rule_update(struct rmp_entry *large, unsigned int i,
			      const struct rmp_update *new);
enum rmp_code rmp_rule_psmash(struct rmp_entry *large, unsigned int i);
/* A guest's private access (C=1). */
enum rmp_access rmp_rule_access(const struct rmp_entry *e, u64 gpa, u32 asid);
/* PVALIDATE on a page that is the guest's (rmp_rule_access() is not FAULT): did it change? */
bool rmp_rule_validate(struct rmp_entry *e, bool validate);
/* What PVALIDATE and RMPADJUST check of registers: rAX and, for RMPADJUST, RDX. */
enum rmp_code rmp_rule_pvalidate_input(u64 address, bool large);
struct rmp_adjust {
	u8 vmpl;
	u8 perms;
	bool vmsa;
};

enum rmp_code rmp_rule_adjust_input(u64 address, bool large, u64 rdx, struct rmp_adjust *adjust);
/* RMPADJUST on one validated page, executed at VMPL 0. */
enum rmp_code rmp_rule_adjust(struct rmp_entry *e, const struct rmp_adjust *adjust);
/* LAUNCH_UPDATE: a firmware status (enum bawn_psp_status). */
u32 rmp_rule_launch_check(const struct rmp_entry *e, u32 asid, bool large);
void rmp_rule_launch_done(struct rmp_entry *e, bool vmsa, const u8 perms[RMP_VMPLS - 1]);
/* PAGE_RECLAIM: a firmware status. */
u32 rmp_rule_reclaim(struct rmp_entry *large, unsigned int i, bool as_large);

/* ---- The table: by host page frame ---- */

void rmp_exit(void);
/* A copy of the entry. */
void rmp_get(u64 pfn, struct rmp_entry *e);
enum rmp_code rmp_update(u64 pfn, const struct rmp_update *new);
enum rmp_code rmp_psmash(u64 pfn);
/*
 * Changes one entry by a rule, under the lock. Entries that are not assigned give the rule an
 * entry of zeros, whose change is lost.
 */
typedef u32 (*rmp_fn)(struct rmp_entry *e, void *arg);
u32 rmp_change(u64 pfn, rmp_fn fn, void *arg);
u32 rmp_reclaim(u64 pfn, bool large);
void rmp_count(u64 counts[RMP_NR_STATES]);

#endif

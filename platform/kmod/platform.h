/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The software platform's own types: its RMP, the commands to the secure processor's model, and
 * what it keeps of a vCPU. It plays an SNP processor on plain SVM. It models the architecture and
 * keeps no secret from the host: private memory is plain memory that any root process can read.
 * What the guest does is not trusted; the model in userspace is trusted with answers, not with
 * lengths or addresses.
 *
 * Locks, inside those of bawn.h but for mmu_lock: device.c's call_lock > its state lock; the RMP's
 * spinlock, under which nothing else is taken.
 */
#ifndef BAWN_PLATFORM_KMOD_H
#define BAWN_PLATFORM_KMOD_H

#include <linux/types.h>

#include "snp/snp.h"

#include "bawn/platform.h"
#include "rmp.h"

#define VC_VECTOR 29

/* #VC error codes beyond the intercepts' own (AMD APM vol. 2, appendix C). */
#define EXIT_NPF 0x400
#define EXIT_PAGE_NOT_VALIDATED 0x404

#define MSR_SEV_STATUS 0xc0010131
#define MSR_GHCB 0xc0010130
#define SEV_STATUS_SNP 7 /* SEV, SEV-ES and SNP enabled */

/* The guest's memory as its processor sees it. A gpa may have the C-bit. */
enum platform_fault {
	FAULT_NONE,
	FAULT_PAGE,	     /* #PF */
	FAULT_NOT_VALIDATED, /* #VC */
	FAULT_RMP,	     /* the host must answer it */
	FAULT_NO_MEMORY,     /* a device, perhaps */
	FAULT_RETRY,	     /* the host changes its slots, or takes the page */
};

#define WALK_WRITE BIT(0)
#define WALK_FETCH BIT(1)
/* The last entry of a walk of page tables. */
struct platform_leaf {
	gpa_t at; /* where it is, in private memory */
	u64 value;
	u32 size; /* in bytes; 0: paging is off */
};

struct platform_walk {
	enum platform_fault fault;
	u32 error; /* FAULT_PAGE: the #PF's error code */
	gva_t gva;
	gpa_t gpa; /* else: the address that failed, or the result */
	struct platform_leaf leaf;
};

/* tlb.c's; page is NULL where there is none. */
#define PLATFORM_TLB 16
struct platform_translation {
	gva_t gva;
	u32 access; /* WALK_* */
	u64 cr3, mode;
	unsigned long seq;
	const void *slots; /* compared, never followed */
	gpa_t gpa;
	struct platform_leaf leaf;
	struct page *table, *page; /* of the leaf and of gpa: counted */
};

/* vcpu->snp->platform; vcpu->mutex. */
struct platform_vcpu {
	u64 ghcb_msr;
	/* An interrupt whose delivery ended in #VC: it goes in again when the guest may take it. */
	bool irq_held;
	u8 irq_vector;
	/* gfns of C=0 addresses that were mapped to private memory because paging was off. */
	struct xarray unpaged;
	struct platform_translation tlb[PLATFORM_TLB];
};

static inline struct platform_vcpu *to_platform(struct bawn_vcpu *vcpu)
{
	return vcpu->snp->platform;
}

/* main.c */
extern unsigned int platform_cbit;
extern unsigned int platform_asids;
int platform_asid_get(u32 *asid);
void platform_asid_put(u32 asid);
unsigned int platform_asids_used(void);
static inline u64 platform_cmask(void)
{
	return 1ULL << platform_cbit;
}

/* device.c: messages to the daemon */
struct platform_page {
	u64 pfn;
	u64 gpa;
	u32 flags; /* BAWN_PLATFORM_PAGE_* */
};

struct platform_request {
	u32 command;
	void *buf; /* changed by the reply */
	u32 len;
	const struct platform_page *pages;
	u32 nr_pages;
	bool must_finish; /* a signal does not end the wait: what it undoes must be undone */
	u32 status;	  /* the answer's */
	int state;	  /* device.c's */
};

int platform_device_init(void);
void platform_device_exit(void);
/* 0 when it was answered; -ENODEV: no daemon, or it went, or did not answer; -EINTR. May sleep. */
int platform_call(struct platform_request *req);

/* command.c: what commands are and what they do to the RMP */
int platform_command(int cmd, void *buf, u32 len, u32 *fw_error);
struct page *platform_alloc_firmware_page(void);
void platform_free_firmware_page(struct page *page);
void platform_greeted(void); /* by a daemon */
/* Addresses of the context pages there are, at most max; how many. list may be NULL. */
unsigned int platform_contexts(u64 *list, unsigned int max);

/* guest.c */
/* Are data accesses private whatever the page tables say? */
bool platform_unpaged(struct bawn_vcpu *vcpu);
/*
 * The page behind a private address, which becomes the guest's if it is new: +1 reference.
 * FAULT_NOT_VALIDATED comes with the page too.
 */
enum platform_fault platform_private_page(struct bawn_vcpu *vcpu, gpa_t gpa, struct page **page);
/* Translates for an access (WALK_*) of the supervisor's; 0 or -EFAULT with w->fault. */
int platform_walk(struct bawn_vcpu *vcpu, gva_t gva, u32 access, struct platform_walk *w);
/* Linear addresses, supervisor's rights. 0 or -EFAULT with w->fault. */
int platform_read_virt(struct bawn_vcpu *vcpu, gva_t gva, void *buf, size_t len,
		       struct platform_walk *w);
int platform_write_virt(struct bawn_vcpu *vcpu, gva_t gva, const void *buf, size_t len,
			struct platform_walk *w);
/* The bytes at CS:RIP, at most 15: how many, 0 when there are none to be had. */
int platform_fetch(struct bawn_vcpu *vcpu, u8 bytes[15]);

/* tlb.c */
/* The private page behind gva, for accesses of this kind; borrowed. NULL: walk. */
struct page *platform_tlb_find(struct bawn_vcpu *vcpu, gva_t gva, u32 access);
/* A walk that was begun at seq (vm->inv_seq) and led to private memory. */
void platform_tlb_fill(struct bawn_vcpu *vcpu, u32 access, unsigned long seq,
		       const struct platform_walk *w);
void platform_tlb_clear(struct bawn_vcpu *vcpu);

/* frame.c: #VC */
/* Enters the guest's #VC handler, or what the processor does where it cannot. Returns > 0. */
int platform_vc(struct bawn_vcpu *vcpu, u32 error);
/* KVM_EXIT_MEMORY_FAULT. */
int platform_memory_fault(struct bawn_vcpu *vcpu, gpa_t gpa, bool private);
/* The processor's answer to a fault of its own access to guest memory. As an exit handler. */
int platform_walk_failed(struct bawn_vcpu *vcpu, const struct platform_walk *w);

/* insn.c */
enum platform_insn {
	INSN_OTHER,
	INSN_VMGEXIT,
	INSN_VMMCALL,
	INSN_PVALIDATE,
	INSN_RMPADJUST,
};

/* What the bytes are; *len is its length, prefixes included. */
enum platform_insn platform_insn(const u8 *bytes, int nr, bool long_mode, u8 *len);

/* validate.c: PVALIDATE and RMPADJUST */
int platform_pvalidate(struct bawn_vcpu *vcpu, u8 len);
int platform_rmpadjust(struct bawn_vcpu *vcpu, u8 len);

/* npf.c */
int platform_npf(struct bawn_vcpu *vcpu, struct bawn_exit *exit);
/* Paging was switched on: data accesses to C=0 addresses are shared from here on. */
void platform_paging_on(struct bawn_vcpu *vcpu);

/* exit.c */
int platform_exit(struct bawn_vcpu *vcpu, struct bawn_exit *exit);

/* vmsa.c */
int platform_vmsa_load(struct bawn_vcpu *vcpu, u64 pfn);

/* stats.c */
struct platform_stats {
	atomic64_t commands[0x100]; /* by number; LAUNCH_UPDATE and all have less than 0x100 */
	atomic64_t vc, npf, pvalidate, rmpadjust, vmgexit, forced, rmp_faults;
	atomic_t vcpus;
};

extern struct platform_stats platform_stats;
void platform_stats_init(void);
void platform_stats_exit(void);

#endif

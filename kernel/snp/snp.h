/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SEV-SNP guests: what a VM and a vCPU of that type have on top of core's, and the narrow
 * interface below: firmware commands, the RMP, and the CPU's side of an SNP guest. hw.c serves it
 * on an EPYC through the host kernel; another module may register one that plays the hardware.
 * Nothing here trusts the guest or the VMM; the interface below is trusted.
 */
#ifndef BAWN_KERNEL_SNP_H
#define BAWN_KERNEL_SNP_H

#include <linux/module.h>

#include "../core/bawn.h"

/*
 * How bawn_snp_ops.exit answers beside an exit handler's > 0, 0 and < 0 (bawn.h): the exit is
 * core's (interrupts, windows), with what *exit now says.
 */
#define BAWN_SNP_PASS 2

struct bawn_snp_ops {
	struct module *owner;
	const char *name; /* "hardware", "software platform" */
	u64 sev_features;  /* VMSA SEV_FEATURES bits that guests may have */
	u64 mmio_leaf;	   /* struct bawn_vm's; 0 where exit sees to accesses to no memory */

	/* ---- The firmware: AMD 56860 ---- */

	/*
	 * One command, with its buffer in kernel memory; addresses in it are physical. 0; -EIO when
	 * the firmware refused it, with its status in *fw_error; -EBUSY, -ENODEV, -EINTR and
	 * *fw_error 0 when it did not get there. What the command does to the RMP is done when it
	 * returns. May sleep.
	 */
	int (*command)(int cmd, void *buf, u32 len, u32 *fw_error);
	/* A zeroed page that firmware may own (guest context); NULL without memory. */
	struct page *(*alloc_firmware_page)(void);
	void (*free_firmware_page)(struct page *page); /* reclaims it first */
	int (*asid_get)(u32 *asid); /* -EBUSY: none left */
	void (*asid_put)(u32 asid); /* flushed before it is used again */

	/* ---- The RMP, by host page frame; level 1 is 4 KiB, 2 is 2 MiB ---- */

	/*
	 * To guest-private, not validated, for that guest address. immutable: until firmware's
	 * launch update.
	 */
	int (*make_private)(u64 pfn, u64 gpa, int level, u32 asid, bool immutable);
	int (*make_shared)(u64 pfn, int level);
	int (*lookup)(u64 pfn, bool *assigned, int *level);
	int (*psmash)(u64 pfn);

	/* ---- The CPU ---- */

	unsigned int (*cbit)(void); /* of guest-physical addresses in guest page tables */
	/* GPA bit by which private memory is mapped apart in the nested table; 0: not apart. */
	u64 (*private_alias)(void);
	int (*vcpu_create)(struct bawn_vcpu *vcpu); /* after core's; before it first runs */
	void (*vcpu_destroy)(struct bawn_vcpu *vcpu);
	/*
	 * From the next entry on, the VMSA in this page is the vCPU's state. vcpu->mutex held, the
	 * vCPU loaded.
	 */
	int (*vmsa_load)(struct bawn_vcpu *vcpu, u64 pfn);
	/*
	 * Decides on a decoded exit: runs on (> 0), or hands it to core (BAWN_SNP_PASS), or turns
	 * it into BAWN_EXIT_VMGEXIT and hands that on. What the guest does with C=0 and C=1
	 * addresses is settled here too: *exit then has a plain address and BAWN_FAULT_PRIVATE.
	 */
	int (*exit)(struct bawn_vcpu *vcpu, struct bawn_exit *exit);
	/* Just before an entry, interrupts on: what injection needs. 0, or an errno for KVM_RUN. */
	int (*prepare_run)(struct bawn_vcpu *vcpu);
	/* The GHCB MSR (C001_0130). set is the answer to a VMGEXIT. */
	u64 (*ghcb_get)(struct bawn_vcpu *vcpu);
	void (*ghcb_set)(struct bawn_vcpu *vcpu, u64 value);
};

/*
 * One set of ops at a time; -EBUSY when there is one. Unregistering waits for no one: a VM holds
 * the owner.
 */
int bawn_snp_register(const struct bawn_snp_ops *ops);
void bawn_snp_unregister(const struct bawn_snp_ops *ops);

enum bawn_snp_state {
	BAWN_SNP_NONE,	   /* KVM_CREATE_VM */
	BAWN_SNP_INIT,	   /* KVM_SEV_INIT2 */
	BAWN_SNP_LAUNCHING, /* KVM_SEV_SNP_LAUNCH_START */
	BAWN_SNP_RUNNING,  /* KVM_SEV_SNP_LAUNCH_FINISH */
	BAWN_SNP_BROKEN,   /* a launch step failed half-way: only destruction is left */
};

/* vm->snp; changed under vm->lock. */
struct bawn_snp_vm {
	const struct bawn_snp_ops *ops; /* owner held */
	enum bawn_snp_state state;
	u32 asid;		/* 0: none */
	struct page *context;	/* the firmware's; NULL before LAUNCH_START */
	u64 policy;
	u64 vmsa_features;
	u16 ghcb_version; /* the newest that guests are offered */
	struct mutex request_lock; /* one guest request at a time */
	struct page *request_page, *response_page;
	/* What an extended guest request is given beside the report; under request_lock. */
	void *certs;
	u32 certs_len;
};

/* A service of the GHCB: what is answered, and what of it waits for userspace. */
struct bawn_snp_service {
	gpa_t page;		/* the GHCB that asked */
	u8 answered[16];	/* its fields with an answer, as in the valid bitmap */
	gpa_t data;		/* shared memory that data goes to */
	u32 size, count;	/* elements of I/O; bytes of MMIO; entries of a page state change */
	u32 first;		/* page state change: the first entry that userspace works on */
};

/* vcpu->snp; vcpu->mutex. */
struct bawn_snp_vcpu {
	struct page *vmsa;	/* of the launch; NULL once the guest gave its own */
	bool loaded;		/* a save area was, whole: without one it does not run */
	u64 ghcb_gpa;		/* registered (0x012), or ~0 */
	void *ghcb;		/* the kernel's copy of the page, for one VMGEXIT */
	struct bawn_snp_service service;
	u64 dr7;		/* as the guest last told; without effect */
	bool fresh;		/* never ran: INIT and SIPI start it from the launch's state */
	/* AP creation: what the next entry of this vCPU loads. Under ap_lock. */
	struct mutex ap_lock;
	bool ap_waiting;
	bool ap_pending;
	gpa_t ap_vmsa_gpa;	/* INVALID: stop */
	/*
	 * AP reset hold: KVM_MP_STATE_AP_RESET_HOLD until INIT and SIPI come, which the answer
	 * tells in this GHCB, or in the MSR where it is INVALID.
	 */
	gpa_t hold_ghcb;
	void *platform;		/* owned by the ops */
};

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The module's own types: VM, vCPU, memory slots, the neutral exit, and the ops table behind
 * which a hardware backend stands. Nothing here names a backend.
 *
 * Lock order, outermost first (memory.c says why):
 *   vm->lock > vm->slots_lock > vcpu->mutex > vm->irq_lock > mmap_lock > vm->mmu_lock
 */
#ifndef BAWN_CORE_H
#define BAWN_CORE_H

#include <linux/kvm.h>
#include <linux/kvm_para.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/rcuwait.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/types.h>
#include <linux/xarray.h>
#include <asm/fpu/types.h>
#include <asm/fpu/api.h>

#define DR7_GD BIT_ULL(13) /* general detect: the next DR access traps */
#define DR7_FIXED_ONE 0x400ULL
#define DR6_BD BIT_ULL(13)

#include "bawn/measure.h"
#include "bawn/uapi.h"
#include "insn.h"

#define BAWN_MAX_VCPUS 64
#define BAWN_MAX_VCPU_ID 255 /* xAPIC ids, 255 being broadcast */
#define BAWN_MAX_SLOTS 512
#define BAWN_MAX_MCE_BANKS 32
#define BAWN_MCE_CAP (BIT_ULL(8) | BIT_ULL(24)) /* MCG_CTL_P, MCG_SER_P */
#define BAWN_MAX_GSI 4096
#define BAWN_MAX_CPUID 256
#define BAWN_CPUID_INDEXED 0x20
#define BAWN_IOAPIC_PINS_MAX 24

/* gpa_t, gva_t, gfn_t: <linux/kvm_types.h>. */

struct bawn_vcpu;
struct bawn_vm;
struct bawn_lapic;
struct bawn_irq_table;
struct bawn_measure;
struct bawn_gmem;
struct bawn_msr_filter;
struct bawn_snp_vm;
struct bawn_snp_vcpu;

/* ---- Memory ---- */

struct bawn_memslot {
	u16 id;
	u32 flags;
	bool invalid; /* being removed: faults retry, the notifier still sees it */
	gfn_t base;
	u64 npages;
	unsigned long hva;
	unsigned long *dirty; /* KVM_MEM_LOG_DIRTY_PAGES: npages bits */
	struct bawn_gmem *gmem; /* private memory, counted; NULL without */
	u64 gmem_pgoff;
};

/* An immutable array, sorted by base; replaced whole under slots_lock, read under vm->srcu. */
struct bawn_memslots {
	unsigned int nr;
	struct bawn_memslot slot[];
};

/* What a nested fault wants; hardware-neutral. */
#define BAWN_FAULT_WRITE BIT(0)
#define BAWN_FAULT_EXEC BIT(1)
#define BAWN_FAULT_TABLE BIT(2) /* the guest's own page walk faulted */
#define BAWN_FAULT_PRIVATE BIT(3) /* confidential guests: the access was to private memory */
/*
 * What plays the hardware: private memory is mapped where the guest's shared view of it is, for
 * accesses that are private whatever the page table says (fetches, table walks).
 */
#define BAWN_FAULT_FORCED BIT(4)

/* ---- Exits ---- */

enum bawn_exit_kind {
	BAWN_EXIT_INTR,	  /* host interrupt: nothing to do */
	BAWN_EXIT_NMI,	  /* host NMI, already delivered */
	BAWN_EXIT_HANDLED,	  /* the backend did all there was to do */
	BAWN_EXIT_CPUID,
	BAWN_EXIT_MSR,	  /* msr.write; index in RCX */
	BAWN_EXIT_IO,
	BAWN_EXIT_HLT,
	BAWN_EXIT_HYPERCALL,
	BAWN_EXIT_PAUSE,
	BAWN_EXIT_NPF,
	BAWN_EXIT_IRQ_WINDOW,
	BAWN_EXIT_NMI_WINDOW,
	BAWN_EXIT_EXCEPTION,
	BAWN_EXIT_CR,
	BAWN_EXIT_DR,
	BAWN_EXIT_XSETBV,
	BAWN_EXIT_NOP,	  /* an instruction with no effect here: WBINVD, INVD, MWAIT as NOP */
	BAWN_EXIT_UD,	  /* an instruction that does not exist for this guest */
	BAWN_EXIT_GP,	  /* an instruction that faults for this guest: RDPMC */
	BAWN_EXIT_VMGEXIT, /* a confidential guest asks by its GHCB */
	BAWN_EXIT_SHUTDOWN,
	BAWN_EXIT_FAIL_ENTRY,
	BAWN_EXIT_UNKNOWN,
	BAWN_EXIT_NR
};

/* One decoded exit. len is the instruction's length in bytes, 0 when the kind has none. */
struct bawn_exit {
	enum bawn_exit_kind kind;
	u8 len;
	u64 hw_reason; /* the hardware's own code, for tracing and FAIL_ENTRY */
	union {
		struct {
			bool write;
		} msr;
		struct {
			u16 port;
			u8 size; /* 1, 2, 4 */
			bool in;
			bool string;
			bool rep;
			u8 addr_size; /* string forms: 2, 4, 8 */
			u8 seg;	  /* string OUTS: VCPU_SREG_* of the source */
		} io;
		struct {
			gpa_t gpa;
			u32 access; /* BAWN_FAULT_* */
		} npf;
		struct {
			u8 vector;
			bool has_error;
			u32 error;
			u64 payload; /* #PF address, #DB DR6 */
		} ex;
		struct {
			u8 cr;
			bool write;
			u8 gpr;
			u8 size;   /* read: bytes of the register written, 2, 4 or 8 */
			u64 value; /* write: what the guest wants there */
		} cr;
		struct {
			u8 dr;
			bool write;
			u8 gpr;
		} dr;
	};
};

/* ---- Registers ---- */

/* vcpu->requests: a bit each */
enum {
	BAWN_REQ_TLB_FLUSH,
	BAWN_REQ_EVENT,	      /* look again for interrupts to inject */
	BAWN_REQ_TIMER,	      /* the local APIC's timer fired */
	BAWN_REQ_APIC_INIT,   /* INIT or SIPI arrived */
	BAWN_REQ_SCAN_EOI,    /* the GSI routing changed */
	BAWN_REQ_CLOCK,	      /* kvmclock page must be rewritten */
	BAWN_REQ_STEAL,	      /* steal time must be accounted */
	BAWN_REQ_TRIPLE_FAULT,
};

/* vcpu->mode, for the kick protocol: see bawn_vcpu_kick(). */
enum { BAWN_OUTSIDE_GUEST, BAWN_IN_GUEST, BAWN_EXITING_GUEST };

/* Per-vCPU counters, shown by KVM_GET_STATS_FD in this order (stats.c has the names). */
struct bawn_vcpu_stats {
	u64 exits;
	u64 exit[BAWN_EXIT_NR];
	u64 user_exits;
	u64 irq_injections;
	u64 nmi_injections;
	u64 halt_wakeups;
	u64 tlb_flushes;
	u64 mmio_exits;
	u64 npf_fixed;
};

struct bawn_vm_stats {
	u64 pages_4k;
	u64 pages_2m;
	u64 pages_1g;
	u64 mmu_invalidations;
};

/* A string I/O or MMIO instruction that waits for userspace. Owned by io.c and mmio.c. */
struct bawn_pio_state {
	u32 count; /* elements in flight in the data page */
	struct bawn_exit exit;
};

struct bawn_mmio_state {
	struct bawn_insn insn;
	gpa_t gpa;
	u64 data;  /* value read so far or to be written */
};

struct bawn_exception {
	bool pending;  /* to be injected at the next entry */
	bool injected; /* was injected, not known to be delivered */
	bool has_error;
	u8 vector;
	u32 error;
	u64 payload;
};

#define BAWN_GUESTDBG_SERVED                                                                   \
	(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_HW_BP |               \
	 KVM_GUESTDBG_USE_SW_BP | KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP |             \
	 KVM_GUESTDBG_BLOCKIRQ)

struct bawn_debug {
	u32 control; /* KVM_GUESTDBG_* */
	u64 guest_db[4];
	u64 guest_dr6, guest_dr7;
	u64 user_db[4]; /* KVM_SET_GUEST_DEBUG's, in force with KVM_GUESTDBG_USE_HW_BP */
	u64 user_dr7;
};

#define BAWN_MTRR_FIXED 11
#define BAWN_MTRR_VARIABLE 8

/* MSRs that nothing but msr.c looks at. */
struct bawn_msr_state {
	u64 de_cfg;
	u64 hwcr;
	u64 ucode_rev;
	u64 osvw[2];
	u64 mtrr_def;
	u64 mtrr_fixed[BAWN_MTRR_FIXED];
	u64 mtrr_variable[2 * BAWN_MTRR_VARIABLE]; /* base, mask */
};

struct bawn_vcpu {
	struct bawn_vm *vm;
	int id;	 /* the user's number: APIC id */
	int idx; /* index in vm->vcpu[] */
	int cpu; /* loaded on, or last loaded on; -1 never */
	int mode;
	unsigned long requests;
	bool has_run;

	/* Guest state. rip, rflags, rsp and rax are exact between exits. */
	u64 gpr[VCPU_NR_GPR];
	u64 rip;
	u64 rflags;
	u64 cr0, cr2, cr3, cr4, cr8, efer, xcr0;
	u64 pat;
	u64 misc_enable;
	u64 tsc_aux;
	u64 spec_ctrl, virt_spec_ctrl;
	u64 mcg_cap, mcg_status, mcg_ctl;
	u64 *mce_banks; /* 4 values a bank; NULL until KVM_X86_SETUP_MCE */
	struct bawn_msr_state msr;
	struct fpu_guest fpu;
	struct bawn_debug debug;

	/* Events. */
	struct bawn_exception ex;
	struct {
		bool injected;
		u8 vector;
	} irq;
	atomic_t nmi_queued; /* from KVM_NMI and the local APIC */
	u8 nmi_pending; /* accepted, not injected: at most 2 */
	bool nmi_injected;
	u32 mp_state;
	u8 sipi_vector;
	unsigned long apic_events; /* BAWN_APIC_INIT, BAWN_APIC_SIPI */

	struct bawn_lapic *apic; /* NULL without KVM_CAP_SPLIT_IRQCHIP */
	u64 apic_base;
	DECLARE_BITMAP(eoi_exit, 256); /* vectors whose EOI userspace's IOAPIC wants */
	int pending_eoi;		/* vector to report by KVM_EXIT_IOAPIC_EOI, or -1 */

	/* Time. */
	u64 tsc_offset;
	u64 tsc_gap; /* suspends that tsc_offset accounts for */
	u32 tsc_khz; /* the guest's view */
	u64 tsc_ratio; /* backend's format; 0 unscaled */
	u64 tsc_adjust; /* MSR_IA32_TSC_ADJUST */
	u64 clock_msr; /* MSR_KVM_SYSTEM_TIME_NEW */
	bool clock_paused; /* KVM_KVMCLOCK_CTRL: to be told in the next clock page */
	u64 steal_msr;
	u64 steal_last;
	u32 clock_version;

	/* CPUID as userspace set it. */
	struct kvm_cpuid_entry2 *cpuid;
	unsigned int nr_cpuid;
	u8 cpuid_first[2][BAWN_CPUID_INDEXED]; /* entry at which leaf n, 0x80000000 + n begins */
	u8 maxphyaddr;
	u64 cr4_reserved; /* CR4 bits this guest's CPUID does not have */
	u64 xcr0_allowed;
	u64 efer_allowed;

	/* Userspace round trips. */
	struct kvm_run *run;
	void *pio_data; /* the page at KVM_PIO_PAGE_OFFSET */
	int (*complete)(struct bawn_vcpu *vcpu); /* at the next KVM_RUN; answers as a handler */
	u64 complete_rip;			 /* ... if RIP is still this */
	u8 complete_len; /* instead: the next KVM_RUN only goes on behind an instruction so long */
	struct bawn_pio_state pio;
	struct bawn_mmio_state mmio;
	u8 msr_len; /* of the RDMSR or WRMSR that waits for userspace */

	struct mutex mutex; /* held by any vCPU ioctl */
	struct preempt_notifier preempt;
	struct task_struct __rcu *off_cpu; /* who runs it, while that has no CPU */
	bool off_cpu_user; /* ... and was in the guest's user code */
	bool spinning;	   /* gives its time to others: a PAUSE loop */
	struct rcuwait wait;
	unsigned int halt_poll_ns;
	int srcu_idx;
	int last_host_cpu;
	u64 host_xcr0;
	struct page *table_cache[8]; /* zeroed pages for nested tables, filled before mmu_lock */
	unsigned int nr_table_cache;

	struct bawn_snp_vcpu *snp; /* NULL: not an SNP guest's */
	bool state_protected; /* registers are the guest's own: userspace neither reads nor sets */
	bool state_hidden; /* ... and what core has of them means nothing: the CPU keeps them */

	struct bawn_vcpu_stats stat;
	void *backend; /* owned by the backend */
};

struct bawn_vm {
	u32 type; /* KVM_X86_* */
	struct mm_struct *mm;
	refcount_t users;
	struct mutex lock; /* creation of vCPUs and devices, VM-wide settings */

	struct bawn_vcpu *vcpu[BAWN_MAX_VCPUS]; /* published by nr_vcpus (release) */
	unsigned int nr_vcpus;
	struct bawn_vcpu *by_id[BAWN_MAX_VCPU_ID + 1];
	u32 bsp_id;
	unsigned int yielded_to; /* the index of the vCPU that a PAUSE loop let run last */

	struct mutex slots_lock; /* changes of slots and attributes */
	struct bawn_memslots __rcu *slots;
	struct srcu_struct srcu;
	struct mmu_notifier notifier;
	spinlock_t mmu_lock; /* the nested table, invalidations, dirty logs */
	unsigned long inv_seq;
	long inv_active;
	unsigned long inv_start, inv_end;
	struct list_head zapped; /* table pages to free after the next TLB flush */
	u64 *root;	 /* nested page table, root_level levels */
	int root_level;
	bool manual_dirty;   /* KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 */
	struct xarray attributes; /* gfn -> KVM_MEMORY_ATTRIBUTE_* */

	/* Interrupts. */
	bool split_irqchip;
	u32 ioapic_pins;
	bool x2apic_api;
	struct mutex irq_lock; /* changes of irq_table */
	struct bawn_irq_table __rcu *irq_table;
	struct srcu_struct irq_srcu;
	struct list_head irqfds;
	spinlock_t irqfd_lock; /* the list of irqfds */
	struct list_head ioeventfds; /* RCU list per address, changed under slots_lock */

	/* Time. */
	spinlock_t clock_lock;
	u64 clock_tsc; /* host TSC at the snapshot */
	u64 clock_ns;  /* kvmclock at the snapshot */
	u64 clock_gap; /* suspends that clock_tsc accounts for */
	s64 clock_offset;
	bool clock_stable;
	u32 default_tsc_khz;
	u64 cur_tsc_nsec, cur_tsc_write, cur_tsc_offset;
	u32 cur_tsc_khz;
	u64 wall_clock_msr; /* MSR_KVM_WALL_CLOCK_NEW, as last written */

	struct bawn_msr_filter __rcu *msr_filter;
	u32 user_msr_mask; /* KVM_MSR_EXIT_REASON_* */

	struct bawn_measure *measure; /* NULL: not a measured VM */
	bool frozen; /* the seal reads the vCPUs, or has: those that never ran stay as they are */
	struct bawn_vm_stats stat;
	const struct bawn_tee_ops *tee; /* NULL: a plain guest */
	struct bawn_snp_vm *snp;	/* NULL: not an SNP guest */
	/* GPA bit by which private memory is mapped apart from shared; 0: in one place. */
	u64 private_alias;
	u64 hypercall_exits; /* KVM_CAP_EXIT_HYPERCALL: a bit for each KVM_HC_* */
	u64 mmio_leaf; /* what the nested table has where there is no memory; 0: nothing */
};

/* ---- The hardware backend ---- */

/*
 * All functions that take a vCPU run with vcpu->mutex held; those marked (cpu) with preemption
 * disabled on the CPU that the vCPU is loaded on; run() with interrupts disabled.
 */
struct bawn_cpu_ops {
	const char *name;
	int (*setup)(void);	 /* whole machine; says by pr_err why not */
	void (*teardown)(void);
	int (*enable)(void);	 /* this CPU; interrupts disabled */
	void (*disable)(void);

	int (*vcpu_create)(struct bawn_vcpu *vcpu);
	void (*vcpu_destroy)(struct bawn_vcpu *vcpu);
	void (*vcpu_reset)(struct bawn_vcpu *vcpu); /* creation (all is zero), INIT */
	void (*vcpu_load)(struct bawn_vcpu *vcpu, int cpu);    /* (cpu) */
	void (*vcpu_put)(struct bawn_vcpu *vcpu);	       /* (cpu) */
	/* (cpu) before runs between which interrupts stay disabled and the host's state the same */
	void (*prepare_switch)(struct bawn_vcpu *vcpu);

	/* Enters the guest once. */
	void (*run)(struct bawn_vcpu *vcpu);
	/*
	 * After run(), interrupts still disabled: decodes an exit whose handler can run so too:
	 * CPUID, HYPERCALL, HLT, NOP, IRQ_WINDOW, MSR, IO without strings. False: exit_irqoff() and
	 * decode() have to see it, and nothing was changed.
	 */
	bool (*decode_fast)(struct bawn_vcpu *vcpu, struct bawn_exit *exit);
	/* After run(), interrupts still disabled: what must happen at once (host NMI, #MC). */
	void (*exit_irqoff)(struct bawn_vcpu *vcpu);
	/* Decodes the last exit; also requeues an event whose delivery it interrupted. */
	void (*decode)(struct bawn_vcpu *vcpu, struct bawn_exit *exit);

	void (*get_segment)(struct bawn_vcpu *vcpu, int sreg, struct kvm_segment *seg);
	void (*set_segment)(struct bawn_vcpu *vcpu, int sreg, const struct kvm_segment *seg);
	void (*get_table)(struct bawn_vcpu *vcpu, bool idt, struct kvm_dtable *dt);
	void (*set_table)(struct bawn_vcpu *vcpu, bool idt, const struct kvm_dtable *dt);
	int (*cpl)(struct bawn_vcpu *vcpu);
	int (*code_size)(struct bawn_vcpu *vcpu); /* of the code at CS: 2, 4 or 8 */
	void (*code_segment)(struct bawn_vcpu *vcpu, u64 *base, u32 *limit);
	/* Moves RIP on by len within that size; an interrupt shadow ends. */
	void (*advance)(struct bawn_vcpu *vcpu, unsigned int len);
	/* vcpu->cr0, cr3, cr4, efer were set by core (checked): loads them and flushes. */
	void (*load_control)(struct bawn_vcpu *vcpu);
	void (*load_debug)(struct bawn_vcpu *vcpu); /* vcpu->debug changed: DR7, intercepts */
	void (*load_tsc)(struct bawn_vcpu *vcpu);   /* tsc_offset, tsc_ratio changed */
	/* Where the backend's guest state has an MSR: those in msr.c that name it. */
	u64 *(*msr)(struct bawn_vcpu *vcpu, u32 index);

	bool (*irq_allowed)(struct bawn_vcpu *vcpu);
	bool (*nmi_allowed)(struct bawn_vcpu *vcpu);
	bool (*get_nmi_mask)(struct bawn_vcpu *vcpu);
	void (*set_nmi_mask)(struct bawn_vcpu *vcpu, bool masked);
	u32 (*get_shadow)(struct bawn_vcpu *vcpu); /* KVM_X86_SHADOW_INT_* */
	void (*set_shadow)(struct bawn_vcpu *vcpu, u32 shadow);
	void (*inject_irq)(struct bawn_vcpu *vcpu);	  /* vcpu->irq */
	void (*inject_nmi)(struct bawn_vcpu *vcpu);
	void (*inject_exception)(struct bawn_vcpu *vcpu); /* vcpu->ex */
	void (*open_irq_window)(struct bawn_vcpu *vcpu);
	void (*open_nmi_window)(struct bawn_vcpu *vcpu);
	void (*flush_tlb)(struct bawn_vcpu *vcpu); /* (cpu) all of this guest's translations */
	u64 (*scale_tsc)(u64 ratio, u64 tsc);
	u64 (*tsc_ratio)(u32 guest_khz); /* backend's format; 0 when it cannot */
};

extern const struct bawn_cpu_ops *bawn_cpu; /* set once at load */
extern bool bawn_stopping; /* the host shuts down: no guest is entered any more */
extern const struct bawn_cpu_ops bawn_svm_ops;

/* What a confidential VM type adds; its launch and its exits come with it. */
struct bawn_tee_ops {
	int (*vm_create)(struct bawn_vm *vm);
	void (*vm_destroy)(struct bawn_vm *vm); /* after its vCPUs and memory */
	int (*vcpu_create)(struct bawn_vcpu *vcpu);
	void (*vcpu_destroy)(struct bawn_vcpu *vcpu);
	/* vm->lock held. */
	int (*memory_encrypt_op)(struct bawn_vm *vm, void __user *arg);
	/* May this vCPU run now? 0 or an errno for KVM_RUN. vcpu->mutex and vm->srcu held. */
	int (*prepare_run)(struct bawn_vcpu *vcpu);
	/* Another vCPU gave this one a state: is there one, and take it (mp_state has the rest). */
	bool (*has_state)(struct bawn_vcpu *vcpu);
	int (*take_state)(struct bawn_vcpu *vcpu); /* 0; or an errno for KVM_RUN: it may not run */
	bool (*own_msr)(u32 index); /* is it in the state that the guest has to itself? */
	void (*init)(struct bawn_vcpu *vcpu); /* an INIT reached it */
	void (*sipi)(struct bawn_vcpu *vcpu); /* a SIPI did, perhaps without INIT before */
	/* A decoded exit, before core's handler: an answer of its own, or BAWN_TEE_PASS. */
	int (*exit)(struct bawn_vcpu *vcpu, struct bawn_exit *exit);
	/*
	 * A page of private memory, which is zero, becomes the guest's at gfn. Once for a page
	 * until page_gone. May sleep. 0 or an errno.
	 */
	int (*page_prepare)(struct bawn_vm *vm, gfn_t gfn, struct page *page);
	/* It goes back to the host; the VM is still there. */
	void (*page_gone)(struct bawn_vm *vm, struct page *page);
};

#define BAWN_TEE_PASS 2 /* core's handlers go on with what *exit says now */

/* Of KVM_CREATE_VM and KVM_CAP_VM_TYPES: a bit for each. */
u32 bawn_vm_types(void);
/* kernel/snp: NULL while no interface below it is registered. */
const struct bawn_tee_ops *bawn_snp_tee(void);
/* kernel/snp/hw.c, at load and unload: 0 also where the machine has no SNP. */
int bawn_snp_hw_init(void);
void bawn_snp_hw_exit(void);
#define BAWN_SNP_CERTS_MAX (16 * PAGE_SIZE)
int bawn_snp_set_certs(struct bawn_vm *vm, const struct bawn_snp_certs *in);
/* BAWN_EXIT_VMGEXIT */
int bawn_snp_vmgexit(struct bawn_vcpu *vcpu, const struct bawn_exit *exit);

/*
 * How exit handlers and completions answer: > 0 go on running the guest, 0 leave to userspace
 * with vcpu->run filled, < 0 an errno for KVM_RUN.
 */

/* vm.c */
void bawn_vm_get(struct bawn_vm *vm);
void bawn_vm_put(struct bawn_vm *vm);
int bawn_check_extension(struct bawn_vm *vm, long cap); /* vm may be NULL */

static inline unsigned int bawn_nr_vcpus(struct bawn_vm *vm)
{
	return smp_load_acquire(&vm->nr_vcpus); /* pairs with vCPU creation */
}

/* The vCPU with this number (APIC id at reset), or NULL. */
static inline struct bawn_vcpu *bawn_vcpu_by_id(struct bawn_vm *vm, u32 id)
{
	return id <= BAWN_MAX_VCPU_ID ? READ_ONCE(vm->by_id[id]) : NULL;
}

#define bawn_for_each_vcpu(i, v, vm) \
	for ((i) = 0; (i) < bawn_nr_vcpus(vm) && ((v) = (vm)->vcpu[i]); (i)++)

/* vcpu.c */
int bawn_vcpu_create(struct bawn_vm *vm, u32 id);
void bawn_vcpu_destroy(struct bawn_vcpu *vcpu);
void bawn_vcpu_load(struct bawn_vcpu *vcpu);
void bawn_vcpu_put(struct bawn_vcpu *vcpu);
void bawn_vcpu_reset(struct bawn_vcpu *vcpu, bool init);
/* Makes the vCPU look at its requests: wakes it from HLT or forces an exit. Any context. */
void bawn_vcpu_kick(struct bawn_vcpu *vcpu);
/* Sets the request and kicks. Any context. */
void bawn_vcpu_request(struct bawn_vcpu *vcpu, int req);
/*
 * Sets the request on all vCPUs; with wait, returns when none runs guest code without
 * having seen it. May be called with mmu_lock held.
 */
void bawn_request_all(struct bawn_vm *vm, int req, bool wait);
static inline void bawn_flush_all_tlbs(struct bawn_vm *vm)
{
	bawn_request_all(vm, BAWN_REQ_TLB_FLUSH, true);
}

static inline bool bawn_take_request(struct bawn_vcpu *vcpu, int req)
{
	return test_bit(req, &vcpu->requests) && test_and_clear_bit(req, &vcpu->requests);
}

/* Is it a linear address that the guest's paging can translate? */
static inline bool bawn_canonical(struct bawn_vcpu *vcpu, u64 address)
{
	/* CR4 bit 12, LA57 */
	return (u64)sign_extend64(address, vcpu->cr4 & BIT_ULL(12) ? 56 : 47) == address;
}

u64 bawn_lapic_get_cr8(struct bawn_vcpu *vcpu); /* lapic.c */

/* control.c: checked setters of control and debug registers */
int bawn_set_cr0(struct bawn_vcpu *vcpu, u64 cr0); /* 0, or 1: the guest gets #GP */
int bawn_set_cr3(struct bawn_vcpu *vcpu, u64 cr3);
int bawn_set_cr4(struct bawn_vcpu *vcpu, u64 cr4);
int bawn_set_efer(struct bawn_vcpu *vcpu, u64 efer);
bool bawn_cr0_valid(u64 cr0);
int bawn_set_cr8(struct bawn_vcpu *vcpu, u64 cr8);
static inline u64 bawn_get_cr8(struct bawn_vcpu *vcpu)
{
	return vcpu->apic ? bawn_lapic_get_cr8(vcpu) : vcpu->cr8;
}

int bawn_set_xcr(struct bawn_vcpu *vcpu, u32 index, u64 value);
u64 bawn_get_dr(struct bawn_vcpu *vcpu, int dr);
int bawn_set_dr(struct bawn_vcpu *vcpu, int dr, u64 value);
long bawn_vcpu_ioctl(struct file *file, unsigned int nr, unsigned long arg);
bool bawn_long_mode(struct bawn_vcpu *vcpu); /* EFER.LMA and CS.L: 64-bit code */

/* event.c: exceptions, interrupts and NMIs into the guest */
/* CR2 or DR6 of a pending exception become the guest's. */
void bawn_deliver_payload(struct bawn_vcpu *vcpu);
void bawn_inject_exception(struct bawn_vcpu *vcpu, u8 vector, bool has_error, u32 error,
			   u64 payload);
/* These answer as an exit handler does: 1. */
static inline int bawn_inject_gp(struct bawn_vcpu *vcpu)
{
	bawn_inject_exception(vcpu, 13, true, 0, 0);
	return 1;
}

static inline int bawn_inject_ud(struct bawn_vcpu *vcpu)
{
	bawn_inject_exception(vcpu, 6, false, 0, 0);
	return 1;
}

/*
 * Advances over an instruction that core completed: RIP, interrupt shadow, TF. Returns > 0, or
 * 0 when single-stepping by userspace ends the run.
 */
int bawn_skip(struct bawn_vcpu *vcpu, unsigned int len);
int bawn_debug_exit(struct bawn_vcpu *vcpu, u8 vector, u64 dr6, u64 dr7);
void bawn_inject_events(struct bawn_vcpu *vcpu);
void bawn_take_nmis(struct bawn_vcpu *vcpu); /* those that were queued become pending */
bool bawn_has_event(struct bawn_vcpu *vcpu); /* would a halted vCPU wake? */

/* exit.c */
int bawn_handle_exit(struct bawn_vcpu *vcpu, const struct bawn_exit *exit);
int bawn_internal_error(struct bawn_vcpu *vcpu, u32 suberror, u64 data0, u64 data1);

#include "guestmem.h"

/* mmio.c and io.c */
int bawn_mmio(struct bawn_vcpu *vcpu, gpa_t gpa, bool write);
int bawn_io(struct bawn_vcpu *vcpu, const struct bawn_exit *exit);
/* All bits of an operand or address of size bytes. */
static inline u64 bawn_size_mask(unsigned int size)
{
	return size == 8 ? ~0ULL : BIT_ULL(size * 8) - 1;
}

/* What ADD..DEC (bawn_insn.alu) make of size bytes, and of the arithmetic flags in rflags. */
u64 bawn_insn_alu(u8 alu, unsigned int size, u64 dst, u64 src, u64 *rflags);
/* Adds to rSI, rDI or rCX the way an address size does. */
void bawn_advance_reg(u64 *reg, u64 delta, u8 addr_size);

/* cpuid.c */
int bawn_cpuid_supported(struct kvm_cpuid2 __user *arg);
int bawn_cpuid_set(struct bawn_vcpu *vcpu, struct kvm_cpuid2 __user *arg);
int bawn_cpuid_get(struct bawn_vcpu *vcpu, struct kvm_cpuid2 __user *arg);
void bawn_cpuid(struct bawn_vcpu *vcpu, u32 leaf, u32 subleaf, u32 regs[4]); /* eax ebx ecx edx */
const struct kvm_cpuid_entry2 *bawn_cpuid_find(struct bawn_vcpu *vcpu, u32 leaf, u32 subleaf);
u64 bawn_xcr0_supported(void);
void bawn_cpuid_setup(void);		      /* at module load, before any other */
void bawn_cpuid_limits(struct bawn_vcpu *vcpu); /* maxphyaddr ... efer_allowed; at creation too */
bool bawn_supports(u32 feature);		      /* X86_FEATURE_*: offered to guests */

/* Is SSBD switched by x86_virt_spec_ctrl(), not by SPEC_CTRL? */
static inline bool bawn_has_virt_ssbd(void)
{
	return boot_cpu_has(X86_FEATURE_LS_CFG_SSBD) || boot_cpu_has(X86_FEATURE_VIRT_SSBD);
}

bool bawn_guest_has(struct bawn_vcpu *vcpu, u32 feature); /* ... and in this vCPU's CPUID */
struct bawn_feature_bits {
	u32 feature; /* X86_FEATURE_* */
	u64 bits;    /* of a register; they exist with the feature */
};

/* All bits that this vCPU has; vcpu NULL: that are offered. */
u64 bawn_feature_bits(struct bawn_vcpu *vcpu, const struct bawn_feature_bits *table, int nr);
void bawn_cpuid_runtime_update(struct bawn_vcpu *vcpu); /* OSXSAVE, XSAVE size, APIC bit */

/* msr.c */
enum bawn_msr_result { BAWN_MSR_OK, BAWN_MSR_INVALID, BAWN_MSR_UNKNOWN };
enum bawn_msr_result bawn_msr_access(struct bawn_vcpu *vcpu, u32 index, u64 *value, bool write,
				     bool host);
void bawn_msr_reset(struct bawn_vcpu *vcpu); /* power-on values */
int bawn_msr_list(struct kvm_msr_list __user *arg, bool features);
long bawn_msrs_ioctl(struct bawn_vcpu *vcpu, struct kvm_msrs __user *arg, bool write);

static inline bool bawn_msr_is_x2apic(u32 index)
{
	return index >> 8 == 0x800 >> 8;
}

/* msr_filter.c: what userspace wants to know of the guest's MSR accesses */
int bawn_msr_exit(struct bawn_vcpu *vcpu, const struct bawn_exit *exit);
/* Is it one of those whose access takes no sleeping lock and no guest memory? */
bool bawn_msr_is_fast(u32 index, bool write);
/* May the guest access it under KVM_X86_SET_MSR_FILTER? Under vm->srcu. */
bool bawn_msr_allowed(struct bawn_vm *vm, u32 index, bool write);
int bawn_set_msr_filter(struct bawn_vm *vm, struct kvm_msr_filter __user *arg);
void bawn_msr_filter_destroy(struct bawn_vm *vm);

/* lapic.c */
#define BAWN_APIC_INIT 0
#define BAWN_APIC_SIPI 1
int bawn_lapic_create(struct bawn_vcpu *vcpu);
void bawn_lapic_destroy(struct bawn_vcpu *vcpu);
void bawn_lapic_reset(struct bawn_vcpu *vcpu, bool init);
int bawn_lapic_set_base(struct bawn_vcpu *vcpu, u64 base, bool host); /* 0, 1 = #GP */
/* True when gpa is this vCPU's enabled xAPIC page and the access was done. */
bool bawn_lapic_mmio(struct bawn_vcpu *vcpu, gpa_t gpa, unsigned int len, u64 *data, bool write);
int bawn_lapic_get_msr(struct bawn_vcpu *vcpu, u32 index, u64 *value); /* x2APIC; 0, 1 = #GP */
int bawn_lapic_set_msr(struct bawn_vcpu *vcpu, u32 index, u64 value);
u64 bawn_lapic_get_tscdeadline(struct bawn_vcpu *vcpu);
void bawn_lapic_set_tscdeadline(struct bawn_vcpu *vcpu, u64 value);
int bawn_lapic_pending(struct bawn_vcpu *vcpu); /* deliverable vector above PPR, or -1 */
void bawn_lapic_ack(struct bawn_vcpu *vcpu, u8 vector); /* IRR -> ISR as it is injected */
void bawn_lapic_set_cr8(struct bawn_vcpu *vcpu, u64 cr8);
int bawn_lapic_get_state(struct bawn_vcpu *vcpu, struct kvm_lapic_state *s);
int bawn_lapic_set_state(struct bawn_vcpu *vcpu, const struct kvm_lapic_state *s);
void bawn_lapic_accept_events(struct bawn_vcpu *vcpu); /* INIT, SIPI: on the vCPU's own thread */
void bawn_lapic_timer_fired(struct bawn_vcpu *vcpu);   /* BAWN_REQ_TIMER, on the own thread */
void bawn_lapic_migrate_timer(struct bawn_vcpu *vcpu); /* loaded on another CPU */
static inline bool bawn_lapic_at(struct bawn_vcpu *vcpu, gpa_t gpa) /* its xAPIC page? */
{
	return (vcpu->apic_base & 0xc00) == 0x800 && gpa >> 12 == vcpu->apic_base >> 12;
}

/* An interrupt message as the bus carries it. */
struct bawn_irq_msg {
	u32 dest;
	u8 vector;
	u8 mode; /* 0 fixed, 1 lowest, 2 SMI, 4 NMI, 5 INIT, 6 SIPI, 7 ExtINT */
	bool logical;
	bool level;
	bool assert;
	u8 shorthand; /* 0 none, 1 self, 2 all, 3 all but self */
	bool redir_hint;
};

/* How many vCPUs took it; -1 when no vCPU matched. src may be NULL. Any context. */
int bawn_irq_deliver(struct bawn_vm *vm, struct bawn_vcpu *src, const struct bawn_irq_msg *msg);

/* irq.c: GSI routing and MSI; irqfd.c: irqfd and ioeventfd */
int bawn_irq_init(struct bawn_vm *vm);
void bawn_irq_destroy(struct bawn_vm *vm);
int bawn_set_routing(struct bawn_vm *vm, struct kvm_irq_routing __user *arg);
int bawn_signal_msi(struct bawn_vm *vm, const struct kvm_msi *msi);
int bawn_irq_line(struct bawn_vm *vm, struct kvm_irq_level *level);
int bawn_gsi_inject(struct bawn_vm *vm, u32 gsi, int level); /* may sleep not; any context */
void bawn_scan_eoi(struct bawn_vcpu *vcpu); /* BAWN_REQ_SCAN_EOI: fills eoi_exit */
int bawn_irqfd(struct bawn_vm *vm, const struct kvm_irqfd *args);
int bawn_ioeventfd(struct bawn_vm *vm, const struct kvm_ioeventfd *args);
/* 0 when an ioeventfd took the write, -EOPNOTSUPP otherwise. Under vm->srcu. */
int bawn_ioeventfd_write(struct bawn_vm *vm, bool pio, u64 addr, unsigned int len, u64 data);
void bawn_eventfds_release(struct bawn_vm *vm); /* VM file closed: nothing injects any more */
void bawn_ioeventfds_destroy(struct bawn_vm *vm);
int bawn_irqfd_init(void);
void bawn_irqfd_exit(void);

/* clock.c */
void bawn_clock_init(struct bawn_vm *vm);
int bawn_get_clock(struct bawn_vm *vm, struct kvm_clock_data *data);
int bawn_set_clock(struct bawn_vm *vm, const struct kvm_clock_data *data);
int bawn_clock_set_msr(struct bawn_vcpu *vcpu, u32 index, u64 value); /* 0, 1 = #GP */
int bawn_clock_get_msr(struct bawn_vcpu *vcpu, u32 index, u64 *value);
void bawn_clock_update(struct bawn_vcpu *vcpu);	/* BAWN_REQ_CLOCK */
void bawn_steal_update(struct bawn_vcpu *vcpu);	/* BAWN_REQ_STEAL */
void bawn_steal_preempted(struct bawn_vcpu *vcpu);
u64 bawn_read_guest_tsc(struct bawn_vcpu *vcpu, u64 host_tsc);
void bawn_write_guest_tsc(struct bawn_vcpu *vcpu, u64 value, bool host);
/* MSR_IA32_TSC_ADJUST; it is read from vcpu->tsc_adjust. */
void bawn_set_tsc_adjust(struct bawn_vcpu *vcpu, u64 value, bool host);
void bawn_clock_suspend(void);
void bawn_clock_resume(void);
extern u64 bawn_tsc_gap; /* by how much the host's TSC has gone back in all suspends */
void bawn_clock_rebase_slow(struct bawn_vcpu *vcpu);
static inline void bawn_clock_rebase(struct bawn_vcpu *vcpu) /* (cpu) */
{
	if (unlikely(vcpu->tsc_gap != READ_ONCE(bawn_tsc_gap)))
		bawn_clock_rebase_slow(vcpu);
}

int bawn_tsc_ratio(u32 khz, u64 *ratio);
int bawn_set_tsc_khz(struct bawn_vcpu *vcpu, u32 khz);

/* stats.c: the binary statistics file (KVM_GET_STATS_FD) */
int bawn_stats_fd(struct bawn_vm *vm, struct bawn_vcpu *vcpu); /* vcpu NULL: the VM's */

/* measure/measure.c */
int bawn_measure_enable(struct bawn_vm *vm);
void bawn_measure_destroy(struct bawn_vm *vm);
int bawn_measure_region(struct bawn_vm *vm, const struct bawn_measure_region *r);
/* Takes vm->lock and slots_lock held by the caller; no vCPU runs yet. */
int bawn_measure_seal(struct bawn_vm *vm);
int bawn_measure_get(struct bawn_vm *vm, struct bawn_measurement __user *arg);
bool bawn_measure_sealed(struct bawn_vm *vm); /* false when not a measured VM */
/* Registers of one vCPU in the measured form; state.c */
void bawn_measure_vcpu_state(struct bawn_vcpu *vcpu, struct bawn_measure_vcpu *out);

#endif

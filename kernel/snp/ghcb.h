/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The GHCB server: how a guest whose registers are its own asks the host for something. There is
 * a protocol in an MSR and one in a page of shared memory. The page is copied once for each
 * VMGEXIT and everything is decided on the copy; answers are written back field by field. Every
 * value is hostile: the worst that a guest gets by a wrong one is an error, or its own end. A
 * vCPU's registers (vcpu->gpr) are never touched: on some machines they are the guest's own.
 * AMD 56421 (GHCB standardization) rev 2.03.
 */
#ifndef BAWN_KERNEL_SNP_GHCB_H
#define BAWN_KERNEL_SNP_GHCB_H

#include <linux/bitops.h>
#include <linux/kvm_para.h>
#include <linux/mm.h>
#include <asm/svm.h>
#include <asm/sev-common.h>

#include "snp.h"

/* A field of the page is known by its bit in the valid bitmap: an eighth of its offset. */
#define GHCB_FIELD(field) (offsetof(struct ghcb_save_area, field) / 8)

enum ghcb_field {
	GHCB_CPL = GHCB_FIELD(cpl), /* one byte, the quadword's bits 24 to 31 */
	GHCB_RAX = GHCB_FIELD(rax),
	GHCB_RCX = GHCB_FIELD(rcx),
	GHCB_RDX = GHCB_FIELD(rdx),
	GHCB_RBX = GHCB_FIELD(rbx),
	GHCB_EXIT_CODE = GHCB_FIELD(sw_exit_code),
	GHCB_INFO1 = GHCB_FIELD(sw_exit_info_1),
	GHCB_INFO2 = GHCB_FIELD(sw_exit_info_2),
	GHCB_SCRATCH = GHCB_FIELD(sw_scratch),
	GHCB_XCR0 = GHCB_FIELD(xcr0),
};

/* What hypervisors of this protocol version may offer: 0x080 and 0x8000fffd. */
#define GHCB_FEATURES (GHCB_HV_FT_SNP | GHCB_HV_FT_SNP_AP_CREATION)
/* The newest is the VM's (KVM_SEV_INIT2). */
#define GHCB_VERSION_MIN 1
#define GHCB_VERSION_MAX 2

/* ---- ghcb.c. Functions with an int answer as exit handlers do ---- */

bool ghcb_has(struct bawn_vcpu *vcpu, enum ghcb_field field);
u64 ghcb_read(struct bawn_vcpu *vcpu, enum ghcb_field field); /* 0 where it is not valid */
/* An answer; it reaches the guest with ghcb_done() and its like. */
void ghcb_put(struct bawn_vcpu *vcpu, enum ghcb_field field, u64 value);
/* The service is over, with these in SW_EXITINFO1 and 2. */
int ghcb_finish(struct bawn_vcpu *vcpu, u64 info1, u64 info2);
static inline int ghcb_done(struct bawn_vcpu *vcpu)
{
	return ghcb_finish(vcpu, 0, 0);
}

int ghcb_refuse(struct bawn_vcpu *vcpu, u32 reason); /* GHCB_ERR_*: 56421, 4.1 */
int ghcb_raise_gp(struct bawn_vcpu *vcpu);	     /* the guest gives itself #GP */
/* The guest cannot go on: KVM_EXIT_SYSTEM_EVENT with a termination request of the MSR protocol. */
int ghcb_terminate(struct bawn_vcpu *vcpu, u64 request);
int ghcb_broken(struct bawn_vcpu *vcpu); /* ... because it breaks the protocol */
/* The vCPU waits for an interrupt. */
int ghcb_halt(struct bawn_vcpu *vcpu);

/* Is all of it guest memory that the guest shares? (What has no slot fails when it is used.) */
bool ghcb_shared(struct bawn_vm *vm, gpa_t gpa, u64 len);
/* len bytes at SW_SCRATCH: service.data says where they are. False: not there. */
bool ghcb_scratch(struct bawn_vcpu *vcpu, u32 len);
/* The same must be in the page's own buffer: its place in the copy, or NULL. */
void *ghcb_scratch_buffer(struct bawn_vcpu *vcpu, u32 *room);
/* Reads what ghcb_scratch() found: from the copy where the page has it. */
bool ghcb_scratch_read(struct bawn_vcpu *vcpu, void *buf, u32 len);
bool ghcb_scratch_write(struct bawn_vcpu *vcpu, const void *buf, u32 len);

/* ---- The MSR protocol: ghcb_msr.c ---- */

int ghcb_msr_protocol(struct bawn_vcpu *vcpu, u64 request);
void bawn_snp_ghcb_reset(struct bawn_vcpu *vcpu);

/* ---- Services of the page; SW_EXITCODE and both SW_EXITINFO are valid ---- */

/* ghcb_io.c */
int ghcb_ioio(struct bawn_vcpu *vcpu);
int ghcb_mmio_read(struct bawn_vcpu *vcpu);
int ghcb_mmio_write(struct bawn_vcpu *vcpu);
/* ghcb_cpu.c: what instructions ask for */
int ghcb_cpuid(struct bawn_vcpu *vcpu);
int ghcb_msr(struct bawn_vcpu *vcpu);
bool bawn_snp_own_msr(u32 index);
int ghcb_rdtsc(struct bawn_vcpu *vcpu);
int ghcb_rdtscp(struct bawn_vcpu *vcpu);
int ghcb_vmmcall(struct bawn_vcpu *vcpu);
int ghcb_read_dr7(struct bawn_vcpu *vcpu);
int ghcb_write_dr7(struct bawn_vcpu *vcpu);
int ghcb_nmi_complete(struct bawn_vcpu *vcpu);
/* psc.c */
int ghcb_psc(struct bawn_vcpu *vcpu);
/* Does userspace change page states? */
static inline bool ghcb_maps(struct bawn_vm *vm)
{
	return READ_ONCE(vm->hypercall_exits) & BIT_ULL(KVM_HC_MAP_GPA_RANGE);
}

/* Asks userspace to make pages private or shared; complete reads run->hypercall.ret. */
int ghcb_map_exit(struct bawn_vcpu *vcpu, gpa_t gpa, u64 pages, bool private, bool large,
		  int (*complete)(struct bawn_vcpu *vcpu));
/* ap.c */
int ghcb_ap_creation(struct bawn_vcpu *vcpu);
/* An INIT reached the vCPU: what it was given for that moment is now pending. */
void bawn_snp_ap_init(struct bawn_vcpu *vcpu);
void bawn_snp_ap_sipi(struct bawn_vcpu *vcpu);
/* AP reset hold, which was answered by "no SIPI" already: in this GHCB, or in the MSR (INVALID). */
int ghcb_reset_hold(struct bawn_vcpu *vcpu, gpa_t page);
/* guest_request.c */
int ghcb_guest_request(struct bawn_vcpu *vcpu);
int ghcb_ext_guest_request(struct bawn_vcpu *vcpu);

#endif

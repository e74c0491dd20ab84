// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMGEXIT: finds the guest's GHCB, copies it, checks what every service asks of it, and hands it
 * to the service. Which fields a service needs is in the table. See ghcb.h for who is trusted.
 */
#include <asm/trapnr.h>

#include "ghcb.h"

static struct ghcb *copy_of(struct bawn_vcpu *vcpu)
{
	return vcpu->snp->ghcb;
}

/* ---- Fields ---- */

bool ghcb_has(struct bawn_vcpu *vcpu, enum ghcb_field field)
{
	return copy_of(vcpu)->save.valid_bitmap[field / 8] >> (field % 8) & 1;
}

u64 ghcb_read(struct bawn_vcpu *vcpu, enum ghcb_field field)
{
	u64 value;

	if (!ghcb_has(vcpu, field))
		return 0;
	memcpy(&value, (u8 *)copy_of(vcpu) + 8 * field, sizeof(value));
	return field == GHCB_CPL ? copy_of(vcpu)->save.cpl : value;
}

void ghcb_put(struct bawn_vcpu *vcpu, enum ghcb_field field, u64 value)
{
	memcpy((u8 *)copy_of(vcpu) + 8 * field, &value, sizeof(value));
	vcpu->snp->service.answered[field / 8] |= 1 << (field % 8);
}

/* ---- Ends ---- */

int ghcb_terminate(struct bawn_vcpu *vcpu, u64 request)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_SYSTEM_EVENT;
	memset(&run->system_event, 0, sizeof(run->system_event));
	run->system_event.type = KVM_SYSTEM_EVENT_SEV_TERM;
	run->system_event.ndata = 1;
	run->system_event.data[0] = request;
	return 0;
}

int ghcb_broken(struct bawn_vcpu *vcpu)
{
	return ghcb_terminate(vcpu, GHCB_MSR_TERM_REQ | GHCB_SEV_TERM_REASON(SEV_TERM_SET_GEN,
									     GHCB_SEV_ES_GEN_REQ));
}

int ghcb_finish(struct bawn_vcpu *vcpu, u64 info1, u64 info2)
{
	struct bawn_snp_service *s = &vcpu->snp->service;
	const u8 *copy = vcpu->snp->ghcb;
	unsigned int field;

	ghcb_put(vcpu, GHCB_INFO1, info1);
	ghcb_put(vcpu, GHCB_INFO2, info2);
	for (field = 0; field < 8 * sizeof(s->answered); field++)
		if (s->answered[field / 8] >> (field % 8) & 1 &&
		    bawn_write_guest(vcpu->vm, s->page + 8 * field, copy + 8 * field, 8))
			return ghcb_broken(vcpu);
	/* The bitmap comes last: what it says is there, is there. */
	if (bawn_write_guest(vcpu->vm, s->page + offsetof(struct ghcb, save.valid_bitmap),
			     s->answered, sizeof(s->answered)))
		return ghcb_broken(vcpu);
	return 1;
}

int ghcb_refuse(struct bawn_vcpu *vcpu, u32 reason)
{
	/* 2 in SW_EXITINFO1: the input was not understood */
	return ghcb_finish(vcpu, 2, reason);
}

int ghcb_raise_gp(struct bawn_vcpu *vcpu)
{
	/* 1 in SW_EXITINFO1: an exception, in SW_EXITINFO2 as in EVENTINJ; error code 0 */
	return ghcb_finish(vcpu, 1,
			   (u32)SVM_EVTINJ_VALID | SVM_EVTINJ_VALID_ERR | SVM_EVTINJ_TYPE_EXEPT |
				   X86_TRAP_GP);
}

int ghcb_halt(struct bawn_vcpu *vcpu)
{
	if (!vcpu->apic) {
		vcpu->run->exit_reason = KVM_EXIT_HLT;
		return 0;
	}
	vcpu->mp_state = KVM_MP_STATE_HALTED;
	return 1;
}

/* ---- Shared memory ---- */

bool ghcb_shared(struct bawn_vm *vm, gpa_t gpa, u64 len)
{
	u64 end = bawn_gpa_end(vm);
	gfn_t gfn;

	if (gpa >= end || len > end - gpa)
		return false;
	for (gfn = gpa >> PAGE_SHIFT; gfn << PAGE_SHIFT < gpa + len; gfn++)
		if (bawn_is_private(vm, gfn))
			return false;
	return true;
}

/* Where in the page SW_SCRATCH points; 0: elsewhere. */
static u32 scratch_offset(struct bawn_vcpu *vcpu)
{
	u64 gpa = ghcb_read(vcpu, GHCB_SCRATCH);

	return gpa - vcpu->snp->service.page < PAGE_SIZE ? gpa - vcpu->snp->service.page : 0;
}

void *ghcb_scratch_buffer(struct bawn_vcpu *vcpu, u32 *room)
{
	u32 offset = scratch_offset(vcpu), first = offsetof(struct ghcb, shared_buffer);

	if (offset < first || offset >= first + GHCB_SHARED_BUF_SIZE)
		return NULL;
	*room = first + GHCB_SHARED_BUF_SIZE - offset;
	vcpu->snp->service.data = vcpu->snp->service.page + offset;
	return (u8 *)vcpu->snp->ghcb + offset;
}

/* Elsewhere than in the page, it is up to the guest where its shared memory is. */
bool ghcb_scratch(struct bawn_vcpu *vcpu, u32 len)
{
	struct bawn_snp_service *s = &vcpu->snp->service;
	u64 gpa = ghcb_read(vcpu, GHCB_SCRATCH);
	u32 room;

	if (!ghcb_has(vcpu, GHCB_SCRATCH) || !len)
		return false;
	if (ghcb_scratch_buffer(vcpu, &room))
		return len <= room;
	/* No part of the page but the buffer is for data. */
	if (gpa < s->page + PAGE_SIZE && gpa + len > s->page)
		return false;
	s->data = gpa;
	return ghcb_shared(vcpu->vm, gpa, len);
}

bool ghcb_scratch_read(struct bawn_vcpu *vcpu, void *buf, u32 len)
{
	u32 offset = scratch_offset(vcpu);

	if (!offset)
		return !bawn_read_guest(vcpu->vm, vcpu->snp->service.data, buf, len);
	memcpy(buf, (u8 *)vcpu->snp->ghcb + offset, len);
	return true;
}

bool ghcb_scratch_write(struct bawn_vcpu *vcpu, const void *buf, u32 len)
{
	return !bawn_write_guest(vcpu->vm, vcpu->snp->service.data, buf, len);
}

/* ---- Services ---- */

static int raise_gp(struct bawn_vcpu *vcpu)
{
	return ghcb_raise_gp(vcpu);
}

static int hlt(struct bawn_vcpu *vcpu)
{
	return ghcb_done(vcpu) > 0 ? ghcb_halt(vcpu) : 0;
}

/* SW_EXITINFO2 0: woken, but not by SIPI. */
static int reset_hold(struct bawn_vcpu *vcpu)
{
	return ghcb_done(vcpu) > 0 ? ghcb_reset_hold(vcpu, vcpu->snp->service.page) : 0;
}

static int hv_features(struct bawn_vcpu *vcpu)
{
	return ghcb_finish(vcpu, 0, GHCB_FEATURES);
}

/* SW_EXITINFO1 has the reason as bits 0 to 11, the MSR protocol has it 12 bits higher. */
static int term_request(struct bawn_vcpu *vcpu)
{
	u64 reason = ghcb_read(vcpu, GHCB_INFO1) & 0xfff;

	return ghcb_terminate(vcpu, GHCB_MSR_TERM_REQ | reason << GHCB_MSR_TERM_REASON_SET_POS);
}

/* The guest met what it cannot ask for: it gives up. */
static int unsupported(struct bawn_vcpu *vcpu)
{
	return ghcb_broken(vcpu);
}

#define RAX BIT(0)
#define RCX BIT(1)
#define RDX BIT(2)
#define RBX BIT(3)
#define CPL BIT(4)
#define SCRATCH BIT(5)

static const struct service {
	u64 code;
	u32 needs;
	int (*fn)(struct bawn_vcpu *vcpu);
} services[] = {
	{ SVM_EXIT_IOIO, 0, ghcb_ioio },
	{ SVM_EXIT_MSR, RCX, ghcb_msr },
	{ SVM_VMGEXIT_MMIO_READ, SCRATCH, ghcb_mmio_read },
	{ SVM_VMGEXIT_MMIO_WRITE, SCRATCH, ghcb_mmio_write },
	{ SVM_EXIT_CPUID, RAX | RCX, ghcb_cpuid },
	{ SVM_EXIT_RDTSC, 0, ghcb_rdtsc },
	{ SVM_EXIT_RDTSCP, 0, ghcb_rdtscp },
	{ SVM_EXIT_RDPMC, RCX, raise_gp },
	{ SVM_EXIT_VMMCALL, RAX | CPL, ghcb_vmmcall },
	{ SVM_EXIT_HLT, 0, hlt },
	{ SVM_EXIT_INVD, 0, ghcb_done },
	{ SVM_EXIT_WBINVD, 0, ghcb_done },
	{ SVM_EXIT_MONITOR, RAX | RCX | RDX, ghcb_done },
	{ SVM_EXIT_MWAIT, RAX | RCX, ghcb_done },
	{ SVM_EXIT_READ_DR7, 0, ghcb_read_dr7 },
	{ SVM_EXIT_WRITE_DR7, RAX, ghcb_write_dr7 },
	{ SVM_VMGEXIT_NMI_COMPLETE, 0, ghcb_nmi_complete },
	{ SVM_VMGEXIT_AP_HLT_LOOP, 0, reset_hold },
	{ SVM_VMGEXIT_PSC, SCRATCH, ghcb_psc },
	{ SVM_VMGEXIT_GUEST_REQUEST, 0, ghcb_guest_request },
	{ SVM_VMGEXIT_EXT_GUEST_REQUEST, RAX | RBX, ghcb_ext_guest_request },
	{ SVM_VMGEXIT_AP_CREATION, 0, ghcb_ap_creation },
	{ SVM_VMGEXIT_HV_FEATURES, 0, hv_features },
	{ SVM_VMGEXIT_TERM_REQUEST, 0, term_request },
	{ SVM_VMGEXIT_UNSUPPORTED_EVENT, 0, unsupported },
};

static bool all_there(struct bawn_vcpu *vcpu, u32 needs)
{
	static const enum ghcb_field fields[] = { GHCB_RAX, GHCB_RCX, GHCB_RDX,
						  GHCB_RBX, GHCB_CPL, GHCB_SCRATCH };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fields); i++)
		if (needs & BIT(i) && !ghcb_has(vcpu, fields[i]))
			return false;
	return true;
}

static int serve(struct bawn_vcpu *vcpu)
{
	u64 code = ghcb_read(vcpu, GHCB_EXIT_CODE);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(services); i++) {
		if (services[i].code != code)
			continue;
		if (!all_there(vcpu, services[i].needs))
			return ghcb_refuse(vcpu, GHCB_ERR_MISSING_INPUT);
		return services[i].fn(vcpu);
	}
	return ghcb_refuse(vcpu, GHCB_ERR_INVALID_EVENT);
}

static int page_protocol(struct bawn_vcpu *vcpu, gpa_t gpa)
{
	struct bawn_snp_vcpu *snp = vcpu->snp;
	struct ghcb *copy = copy_of(vcpu);

	/* There is no page that could be told of the mistake. */
	if (gpa != snp->ghcb_gpa || !ghcb_shared(vcpu->vm, gpa, PAGE_SIZE) ||
	    bawn_read_guest(vcpu->vm, gpa, copy, PAGE_SIZE))
		return ghcb_broken(vcpu);
	snp->service = (struct bawn_snp_service){ .page = gpa };
	if (copy->ghcb_usage)
		return ghcb_refuse(vcpu, GHCB_ERR_INVALID_USAGE);
	if (copy->protocol_version < GHCB_VERSION_MIN ||
	    copy->protocol_version > vcpu->vm->snp->ghcb_version)
		return ghcb_refuse(vcpu, GHCB_ERR_INVALID_INPUT);
	if (!ghcb_has(vcpu, GHCB_EXIT_CODE) || !ghcb_has(vcpu, GHCB_INFO1) ||
	    !ghcb_has(vcpu, GHCB_INFO2))
		return ghcb_refuse(vcpu, GHCB_ERR_MISSING_INPUT);
	return serve(vcpu);
}

/* VMGEXIT: RIP is behind the instruction already. Answers as an exit handler does. */
int bawn_snp_vmgexit(struct bawn_vcpu *vcpu, const struct bawn_exit *exit)
{
	u64 request = vcpu->vm->snp->ops->ghcb_get(vcpu);

	/* The MSR holds a page's address or, in the bits below, what is asked by it. */
	return offset_in_page(request) ? ghcb_msr_protocol(vcpu, request)
				       : page_protocol(vcpu, request);
}

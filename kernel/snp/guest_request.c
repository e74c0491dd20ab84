// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest messages: an encrypted request of the guest goes to the firmware and its answer back.
 * The host reads no more of it than the header's type. The extended form also hands out the
 * certificates that userspace gave. AMD 56421,
 * "SNP Guest Request" and "SNP Extended Guest Request"; AMD 56860, SNP_GUEST_REQUEST.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/psp-sev.h>

#include "bawn/psp.h"
#include "ghcb.h"

/* SW_EXITINFO2: the VMM's error is above the firmware's. */
#define VMM_ERROR_INVALID_LEN BIT_ULL(32)
#define VMM_ERROR_BUSY (2ULL << 32)
#define VMM_ERROR_GENERIC (BIT_ULL(31) << 32)

#define NO_CERTS_LEN 24 /* a table's last entry: zero GUID, offset and length */

/* Hands the request in request_page to the firmware. Answers what SW_EXITINFO2 says. */
static u64 to_firmware(struct bawn_snp_vm *snp)
{
	struct sev_data_snp_guest_request data = {
		.gctx_paddr = page_to_phys(snp->context),
		.req_paddr = page_to_phys(snp->request_page),
		.res_paddr = page_to_phys(snp->response_page),
	};
	u32 fw_error = 0;
	int r = snp->ops->command(SEV_CMD_SNP_GUEST_REQUEST, &data, sizeof(data), &fw_error);

	if (!r)
		return 0;
	if (fw_error)
		return fw_error;
	/*
	 * The firmware did not see it, or has gone, perhaps for a moment (ENODEV): the guest may
	 * send the same again. Any other answer makes Linux give up its key for good.
	 */
	return r == -EBUSY || r == -EINTR || r == -ENODEV ? VMM_ERROR_BUSY : VMM_ERROR_GENERIC;
}

/* request_page has been filled. request_lock held. */
static int forward(struct bawn_vcpu *vcpu)
{
	struct bawn_snp_vm *snp = vcpu->vm->snp;
	u64 error = to_firmware(snp);

	/* A request that was refused has no answer; the page holds an older one. */
	if (!error && bawn_write_guest(vcpu->vm, ghcb_read(vcpu, GHCB_INFO2),
				       page_address(snp->response_page), PAGE_SIZE))
		return ghcb_refuse(vcpu, GHCB_ERR_INVALID_INPUT);
	return ghcb_finish(vcpu, 0, error);
}

static bool page_usable(struct bawn_vcpu *vcpu, gpa_t gpa)
{
	/* The GHCB was read already, and is read once. */
	return IS_ALIGNED(gpa, PAGE_SIZE) && gpa != vcpu->snp->service.page &&
	       ghcb_shared(vcpu->vm, gpa, PAGE_SIZE);
}

/* SW_EXITINFO1 is the request's page, SW_EXITINFO2 the answer's. request_lock held. */
static bool fetch(struct bawn_vcpu *vcpu)
{
	struct bawn_snp_vm *snp = vcpu->vm->snp;
	gpa_t request = ghcb_read(vcpu, GHCB_INFO1), response = ghcb_read(vcpu, GHCB_INFO2);

	return snp->context && snp->request_page && snp->response_page && request != response &&
	       page_usable(vcpu, request) && page_usable(vcpu, response) &&
	       !bawn_read_guest(vcpu->vm, request, page_address(snp->request_page), PAGE_SIZE);
}

int ghcb_guest_request(struct bawn_vcpu *vcpu)
{
	struct bawn_snp_vm *snp = vcpu->vm->snp;
	int r;

	/* Killable: another vCPU may wait for a firmware that is slow to answer. */
	if (mutex_lock_killable(&snp->request_lock))
		return -EINTR;
	r = fetch(vcpu) ? forward(vcpu) : ghcb_refuse(vcpu, GHCB_ERR_INVALID_INPUT);
	mutex_unlock(&snp->request_lock);
	return r;
}

/*
 * RAX is where certificates go, RBX how many pages are there. Before the firmware is asked: what
 * fails here has not used up the message's number. True: go on; else *answer is given.
 * request_lock held.
 */
static bool give_certs(struct bawn_vcpu *vcpu, int *answer)
{
	static const u8 none[NO_CERTS_LEN];
	struct bawn_snp_vm *snp = vcpu->vm->snp;
	const void *certs = snp->certs_len ? snp->certs : none;
	u32 len = snp->certs_len ?: sizeof(none);
	u64 gpa = ghcb_read(vcpu, GHCB_RAX), pages = ghcb_read(vcpu, GHCB_RBX);
	u64 needed = DIV_ROUND_UP_ULL(len, PAGE_SIZE);

	/* Nothing to give and no room for it: that is no error. */
	if (!snp->certs_len && !pages)
		return true;
	if (pages < needed) {
		ghcb_put(vcpu, GHCB_RBX, needed);
		*answer = ghcb_finish(vcpu, 0, VMM_ERROR_INVALID_LEN);
		return false;
	}
	if (IS_ALIGNED(gpa, PAGE_SIZE) && ghcb_shared(vcpu->vm, gpa, needed << PAGE_SHIFT) &&
	    !bawn_write_guest(vcpu->vm, gpa, certs, len))
		return true;
	*answer = ghcb_refuse(vcpu, GHCB_ERR_INVALID_INPUT);
	return false;
}

int ghcb_ext_guest_request(struct bawn_vcpu *vcpu)
{
	struct bawn_snp_vm *snp = vcpu->vm->snp;
	const struct bawn_psp_msg_header *header;
	int r;

	if (mutex_lock_killable(&snp->request_lock))
		return -EINTR;
	if (!fetch(vcpu)) {
		r = ghcb_refuse(vcpu, GHCB_ERR_INVALID_INPUT);
	} else {
		/* Certificates belong to reports alone. */
		header = page_address(snp->request_page);
		if (header->type != BAWN_PSP_MSG_REPORT_REQ || give_certs(vcpu, &r))
			r = forward(vcpu);
	}
	mutex_unlock(&snp->request_lock);
	return r;
}

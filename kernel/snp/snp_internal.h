/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of kernel/snp have of each other.
 */
#ifndef BAWN_SNP_INTERNAL_H
#define BAWN_SNP_INTERNAL_H

#include "snp.h"

/* launch.c: KVM_MEMORY_ENCRYPT_OP; vm->lock held */
int bawn_snp_encrypt_op(struct bawn_vm *vm, void __user *arg);
/* Gives back what a launch took: the firmware's context and the ASID. */
void bawn_snp_release(struct bawn_vm *vm);

/* main.c */
/* From the next entry on the vCPU's state is this page; vcpu->mutex held, the vCPU loaded. */
int bawn_snp_vmsa_load(struct bawn_vcpu *vcpu, struct page *page);
void bawn_snp_page_gone(struct bawn_vm *vm, struct page *page);

/* vmsa.c: the vCPU's registers as a save area; vcpu->mutex held, the vCPU loaded. 0 or -ENOMEM */
int bawn_snp_vmsa_fill(struct bawn_vcpu *vcpu, void *page);

/* One firmware command; 0, or -errno with *fw_error. */
static inline int bawn_snp_command(struct bawn_vm *vm, int cmd, void *buf, u32 len, u32 *fw_error)
{
	*fw_error = 0;
	return vm->snp->ops->command(cmd, buf, len, fw_error);
}

#endif

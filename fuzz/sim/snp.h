/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SNP guests on the simulated machine: what sim.h has not room for. The machine is one that the
 * host kernel has set SNP up on, so that kernel/snp/hw.c and kernel/svm/es.c are what runs. Trusts
 * the target, not its input.
 */
#ifndef BAWN_SIM_SNP_H
#define BAWN_SIM_SNP_H

#include "sim.h"

/* ---- The firmware's answers ---- */

/* One command of the module's, and its answer by the model. What is changed here is what the module
 * gets; what the command did to the RMP is done when the status is 0 in the end. */
struct sim_firmware_answer {
    uint32_t command; /* BAWN_PSP_SNP_* */
    uint32_t status;
    bool lost;    /* no answer: -ENODEV */
    void *buffer; /* the command's, len bytes */
    uint32_t len;
    uint8_t *pages[3]; /* of 4096 bytes, that the firmware may write; NULL: no more */
};
typedef void (*sim_firmware_fn)(void *context, struct sim_firmware_answer *answer);
/* NULL: the model's own answers. Until sim_reset(). */
void sim_set_firmware(sim_firmware_fn fn, void *context);

/* What a verifier needs of the firmware's identity: PSP_ENDORSEMENTS of psp.h, which the caller
 * frees, and its root, borrowed. */
struct psp_blob;
bool sim_endorsements(int64_t now, struct psp_blob *out, const struct psp_blob **ark);

/* ---- What an SNP guest's vCPU does; within the guest function ---- */

/*
 * Copies from or to guest-physical memory, private (C=1) or shared, within a page. False: that
 * ended in an exit, which is in the VMCB now, or (private, not validated) in #VC in the guest.
 */
bool sim_snp_read(struct sim_entry *entry, uint64_t gpa, bool private, void *to, size_t n);
bool sim_snp_write(struct sim_entry *entry, uint64_t gpa, bool private, const void *from, size_t n);
/* PVALIDATE and RMPADJUST (VMPL1, no permissions) on a page of 4 KiB: EAX, or -1: an exit. */
int sim_snp_validate(struct sim_entry *entry, uint64_t gpa, bool validate);
int sim_snp_adjust(struct sim_entry *entry, uint64_t gpa, bool vmsa);
/* Leaves by VMGEXIT, with this in the GHCB MSR. */
void sim_snp_vmgexit(struct sim_entry *entry, uint64_t msr);
/* The GHCB MSR as it is: the answer to the last VMGEXIT. */
uint64_t sim_snp_msr(const struct sim_entry *entry);
/* The VMSA that the vCPU runs from: 4096 bytes, which the host cannot reach. */
void sim_snp_vmsa(const struct sim_entry *entry, void *to);

#endif

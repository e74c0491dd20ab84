/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the simulated CPU and platform (svm*.c, snp.c, rmp.c, firmware.c) have of each other and of
 * the rest of the simulated kernel. Plain types: firmware.c is no kernel code. Trusts its callers.
 */
#ifndef SIM_HW_H
#define SIM_HW_H

#include "sim.h"

struct vmcb;

/* ---- svm.c ---- */

/* Ends the process with a finding when VMRUN is asked for what the module promises never to ask;
 * false: VMEXIT_INVALID, which userspace may bring about. svm_check.c */
bool sim_svm_check(const struct vmcb *vmcb);
/* An SEV-ES guest's VMCB. The save area is checked by sim_snp_vmsa(). */
void sim_svm_check_es(const struct vmcb *vmcb);
/* The page at a physical address that hardware is given; a finding when it is no memory. */
void *sim_svm_memory(uint64_t pa, size_t size, const char *what);

/* As CPUID has it (cpu.c): ASIDs, of them those of SNP guests from 1 on, and the C-bit. */
#define SIM_SVM_ASIDS 0x208u
#define SIM_SNP_ASIDS 8u
#define SIM_SNP_CBIT 51u

/* ---- rmp.c: the reverse map table over the machine's pages ---- */

/* Makes the table, once. */
void sim_rmp_start(uint64_t pages);
/* Is the page somebody's but the host's? */
bool sim_rmp_assigned(uint64_t pfn);
/* The first page at or after pfn that is assigned; UINT64_MAX: none. */
uint64_t sim_rmp_next(uint64_t pfn);
/* The host's allocator gets or gives the page: SIM_OWNERSHIP if it is not the host's. */
void sim_rmp_host_owns(uint64_t pfn, const char *what);
/* Back to the host without a rule: what firmware that lies left behind. */
void sim_rmp_force(uint64_t pfn);

/* ---- snp.c ---- */

/* snp_hw.c: as after bawn_snp_hw_init(). */
void sim_snp_hw_reset(void);
/* CPU state in a VMSA: the finding or false as above. */
bool sim_snp_vmsa_check(uint64_t pa, uint32_t asid);

/* ---- firmware.c: the secure processor's model ---- */

struct sim_firmware_page {
    uint64_t paddr, gpa;
    uint32_t flags; /* BAWN_PLATFORM_PAGE_* */
    void *bytes;
};
void sim_firmware_start(void);
void sim_firmware_reset(unsigned asids, unsigned cbit);
/* The model's status; pages are changed in place. */
uint32_t sim_firmware_command(uint32_t command, void *buffer, size_t len,
                              const struct sim_firmware_page *pages, size_t nr);

#endif

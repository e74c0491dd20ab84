/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An SEV-SNP guest from the VMM's side: the launch through mainline's KVM API, conversions between
 * private and shared memory while it runs, and why it ended. The VMM never maps private memory:
 * that is guest_memfd's.
 */
#ifndef BAWN_VMM_SNP_H
#define BAWN_VMM_SNP_H

#include <stdbool.h>
#include <stdint.h>

#include "bawn/status.h"
#include "launch/snp.h"
#include "memory.h"

struct bawn_vm;
struct bawn_vcpu;

/* What a launch is made of; computed and read before any guest runs. */
struct bawn_snp_input {
    struct bawn_snp_launch launch;
    struct bawn_snp_identity id;
    struct bawn_file shim, certs;
};

/* Reads shim, ID block and certificates that the configuration names, and plans the launch of
 * kernel and initrd, which must outlive it. expected: the digest that it must have, or NULL; with
 * one, the firmware too is made to refuse any other. */
enum bawn_status bawn_snp_prepare(struct bawn_snp_input *in, const struct bawn_vm_config *cfg,
                                  const struct bawn_file *kernel, const struct bawn_file *initrd,
                                  const uint8_t *expected, struct bawn_error *err);
void bawn_snp_input_free(struct bawn_snp_input *in);

/* Refuses a module or host that runs no SNP guests, and says what is missing. */
enum bawn_status bawn_snp_check(const char *path, int fd, bool is_bawn, struct bawn_error *err);

/* One machine's. */
struct bawn_snp_vm {
    int sev_fd;                    /* owned: /dev/sev, or -1 where the module needs none */
    int gmem[BAWN_MEM_MAX_RANGES]; /* owned: private memory, one for each range of RAM */
    bool on;
};

void bawn_snp_vm_init(struct bawn_snp_vm *s);

/* In this order: right after KVM_CREATE_VM; for each range of RAM; on each vCPU with its CPUID
 * set; when all vCPUs are there. */
enum bawn_status bawn_snp_begin(struct bawn_vm *vm, struct bawn_error *err);
enum bawn_status bawn_snp_add_memory(struct bawn_vm *vm, unsigned range, struct bawn_error *err);
enum bawn_status bawn_snp_set_vcpu(const struct bawn_vcpu *vcpu, struct bawn_error *err);
enum bawn_status bawn_snp_finish(struct bawn_vm *vm, struct bawn_error *err);

/* Exits. */
void bawn_snp_hypercall(struct bawn_vcpu *vcpu);
void bawn_snp_memory_fault(struct bawn_vcpu *vcpu);
void bawn_snp_terminated(struct bawn_vcpu *vcpu);

/* snp_cpuid.c: makes what the module supports fit for an SNP guest; room is for how many entries
 * there is space. */
enum bawn_status bawn_snp_fix_cpuid(struct kvm_cpuid2 *cpuid, unsigned room,
                                    struct bawn_error *err);
/* snp_reason.c: what the guest's request to be ended says (AMD 56421, 2.3.1); the text is static,
 * NULL if the reason is not known. */
const char *bawn_snp_reason(unsigned set, unsigned code);

#endif

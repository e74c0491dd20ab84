/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SNP guests of the lab's tests: memory, descriptor and page tables, and pieces of code
 * (guests/snp.S), launched by mainline's calls. Each piece runs in a guest of its own.
 *
 * GUEST_MEM bytes of memory, all private but the mailboxes' page; the pages below SNP_LAUNCHED are
 * launched, those from there on are the guest's to validate. The same memory is seen at virtual
 * addresses from 0 (private) and from SNP_SHARED (shared).
 */
#ifndef BAWN_TEST_SNP_GUEST_H
#define BAWN_TEST_SNP_GUEST_H

#include "harness.h"

#define SNP_LAUNCHED GUEST_DATA
#define SNP_SLOT 0
#define SNP_POLICY 0x30000ull /* SMT allowed, and the bit that must be one */

struct snp_guest {
    struct vm *vm;  /* vm->mem is the shared memory */
    struct vcpu *v; /* vcpu 0 */
    int gmem;       /* its private memory; closed when the next guest is created */
    uint8_t *image; /* what is launched: SNP_LAUNCHED bytes */
    unsigned cbit;
    uint32_t fw_error; /* of the last snp_call */
};

GUEST_FN(snp_exception_6);
GUEST_FN(snp_exception_8);
GUEST_FN(snp_exception_13);
GUEST_FN(snp_exception_14);
GUEST_FN(snp_exception_29);
GUEST_FN(snp_cpuid);
GUEST_FN(snp_pvalidate);
GUEST_FN(snp_validate_page);
GUEST_FN(snp_rmpadjust);
GUEST_FN(snp_load);
GUEST_FN(snp_store);
GUEST_FN(snp_run);
GUEST_FN(snp_ret);
GUEST_FN(snp_status);
GUEST_FN(snp_msr);
GUEST_FN(snp_efer);
GUEST_FN(snp_ud);
GUEST_FN(snp_vmmcall);
GUEST_FN(snp_wbinvd);
GUEST_FN(snp_dr);
GUEST_FN(snp_fpu);
GUEST_FN(snp_reset_hold);
GUEST_FN(snp_psc);
GUEST_FN(snp_cr);
GUEST_FN(snp_cr3);
GUEST_FN(snp_user);
GUEST_FN(snp_user_vmgexit);
GUEST_FN(snp_busy);

/* KVM_MEMORY_ENCRYPT_OP: 0 or a negative errno. */
int snp_call(struct snp_guest *g, uint32_t id, void *data);
int snp_init2(struct snp_guest *g);
int snp_start(struct snp_guest *g); /* LAUNCH_START under SNP_POLICY */
int snp_update(struct snp_guest *g, uint64_t gpa, const void *from, uint64_t len, uint8_t type);
int snp_attributes(struct snp_guest *g, uint64_t gpa, uint64_t size, bool private);

/* A guest up to LAUNCH_START, with its image made but not launched; skips the test where there is
 * no SNP. With a local APIC in the kernel, or without. Then its launch. */
struct snp_guest snp_create(void);
struct snp_guest snp_create_apic(void);
void snp_set_state(struct snp_guest *g, uint64_t rip, uint64_t rdi, uint64_t rsi, uint64_t rdx);
/* The same of another vCPU than the first. */
void snp_set_vcpu_state(struct vcpu *v, unsigned cbit, uint64_t rip, uint64_t rdi, uint64_t rsi,
                        uint64_t rdx);
void snp_launch(struct snp_guest *g);
void snp_destroy(struct snp_guest *g); /* else at the end of the test */
/* Before the launch: a vCPU's GHCB, for pieces of snp_work.S. */
void snp_add_ghcb(struct snp_guest *g, unsigned id);
/* The same in one: a piece of code that is ready to run with these registers. */
struct snp_guest snp_prepare(uint64_t rip, uint64_t rdi, uint64_t rsi, uint64_t rdx);

/* Runs until the guest stops. GUEST_DONE: by its own request; else the exit reason, or a negative
 * errno with the exit reason in g->v->run. */
int snp_run(struct snp_guest *g);
/* What an SNP guest asks its VMM for: page state changes, and output to PORT_STEP. False: neither,
 * or it cannot be done. */
bool snp_served(struct snp_guest *g, struct vcpu *v, int reason);
#define snp_run_piece(name, rdi, rsi, rdx, g) \
    (*(g) = snp_prepare(GUEST_ADDR(name), rdi, rsi, rdx), snp_run(g))

static inline uint64_t snp_mbox(const struct snp_guest *g, unsigned offset)
{
    uint64_t value;

    memcpy(&value, g->vm->mem + GUEST_MBOX + g->v->id * GUEST_MBOX_SIZE + offset, sizeof(value));
    return value;
}
static inline uint32_t snp_vector(const struct snp_guest *g)
{
    return (uint32_t)snp_mbox(g, SNP_VECTOR);
}
static inline uint32_t snp_exceptions(const struct snp_guest *g) /* how many */
{
    return (uint32_t)snp_mbox(g, SNP_COUNT);
}
static inline uint64_t snp_result(const struct snp_guest *g, unsigned n)
{
    return snp_mbox(g, SNP_RESULT + 8 * n);
}

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * The processor's side of an SNP guest: its accesses to memory with what the RMP says to them,
 * PVALIDATE and RMPADJUST, VMGEXIT, and what VMRUN checks of a save area. Trusts the target.
 * AMD APM vol. 2, 15.36; vol. 3, PVALIDATE and RMPADJUST.
 */
#include "internal.h"

#include "bawn/vmsa.h"
#include "platform/kmod/platform.h"
#include "svm/svm.h"

#include "hw.h"
#include "sanitizer.h"
#include "snp.h"

/* EXITINFO1 of a nested fault: APM vol. 2, 15.25.6 and 15.36.10. */
#define NPF_PRESENT BIT_ULL(0)
#define NPF_WRITE BIT_ULL(1)
#define NPF_USER BIT_ULL(2)
#define NPF_RMP BIT_ULL(31)
#define NPF_FINAL BIT_ULL(32)
#define NPF_ENC BIT_ULL(34)

static void nested_fault(struct sim_entry *entry, u64 gpa, u64 why)
{
    struct vmcb_control_area *c = &entry->vmcb->control;

    c->exit_code = SVM_EXIT_NPF;
    c->exit_info_1 = NPF_USER | NPF_FINAL | why;
    c->exit_info_2 = gpa;
}

/* The page behind gpa for such an access; NULL: it ended otherwise. not_validated may be NULL. */
static u8 *reach(struct sim_entry *entry, u64 gpa, bool private, bool write, bool *not_validated)
{
    u64 how = (write ? NPF_WRITE : 0) | (private ? NPF_ENC : 0);
    u8 *at = sim_guest(entry->vcpu, gpa, write, private);
    enum rmp_access access = RMP_ACCESS_OK;
    struct rmp_entry e;

    if (!at) {
        nested_fault(entry, gpa, how);
        return NULL;
    }
    rmp_get(__pa(at) >> PAGE_SHIFT, &e);
    if (private)
        access = rmp_rule_access(&e, gpa, entry->vcpu->vm->snp->asid);
    else if (e.flags & RMP_ASSIGNED)
        access = RMP_ACCESS_FAULT;
    if (access == RMP_ACCESS_FAULT) {
        nested_fault(entry, gpa, how | NPF_PRESENT | NPF_RMP);
        return NULL;
    }
    if (not_validated)
        *not_validated = access == RMP_ACCESS_NOT_VALIDATED;
    else if (access == RMP_ACCESS_NOT_VALIDATED)
        return NULL;
    return at;
}

bool sim_snp_read(struct sim_entry *entry, uint64_t gpa, bool private, void *to, size_t n)
{
    const u8 *at = reach(entry, gpa, private, false, NULL);

    if (at)
        sim_copy_unseen(to, at, min_t(size_t, n, PAGE_SIZE - offset_in_page(gpa)));
    return at;
}

bool sim_snp_write(struct sim_entry *entry, uint64_t gpa, bool private, const void *from, size_t n)
{
    u8 *at = reach(entry, gpa, private, true, NULL);

    if (at)
        sim_copy_unseen(at, from, min_t(size_t, n, PAGE_SIZE - offset_in_page(gpa)));
    return at;
}

/* ---- Instructions ---- */

static u32 validate(struct rmp_entry *e, void *arg)
{
    rmp_rule_validate(e, *(bool *)arg);
    return RMP_OK;
}

static u32 adjust(struct rmp_entry *e, void *arg)
{
    return rmp_rule_adjust(e, arg);
}

int sim_snp_validate(struct sim_entry *entry, uint64_t gpa, bool on)
{
    bool not_validated;
    u8 *at;

    if (!IS_ALIGNED(gpa, PAGE_SIZE))
        return RMP_FAIL_INPUT;
    at = reach(entry, gpa, true, true, &not_validated);
    return at ? (int)rmp_change(__pa(at) >> PAGE_SHIFT, validate, &on) : -1;
}

int sim_snp_adjust(struct sim_entry *entry, uint64_t gpa, bool vmsa)
{
    struct rmp_adjust how = { .vmpl = 1, .vmsa = vmsa };
    u8 *at;

    if (!IS_ALIGNED(gpa, PAGE_SIZE))
        return RMP_FAIL_INPUT;
    at = reach(entry, gpa, true, true, NULL);
    return at ? (int)rmp_change(__pa(at) >> PAGE_SHIFT, adjust, &how) : -1;
}

void sim_snp_vmgexit(struct sim_entry *entry, uint64_t msr)
{
    entry->vmcb->control.ghcb_gpa = msr;
    entry->vmcb->control.exit_code = SVM_EXIT_VMGEXIT;
}

uint64_t sim_snp_msr(const struct sim_entry *entry)
{
    return entry->vmcb->control.ghcb_gpa;
}

void sim_snp_vmsa(const struct sim_entry *entry, void *to)
{
    sim_copy_unseen(to, __va(entry->vmcb->control.vmsa_pa), PAGE_SIZE);
}

/* ---- VMRUN ---- */

/* The page is the guest's choice (AP creation): a wrong one ends the entry. */
bool sim_snp_vmsa_check(uint64_t pa, u32 asid)
{
    static struct bawn_vmsa v;
    struct rmp_entry e;

    sim_svm_memory(pa, PAGE_SIZE, "VMSA");
    rmp_get(pa >> PAGE_SHIFT, &e);
    if (rmp_state(&e) != RMP_GUEST_VALID || e.asid != asid || !(e.flags & RMP_VMSA) ||
        e.flags & RMP_LARGE)
        return false;
    sim_copy_unseen(&v, __va(pa), sizeof(v));
    return le64_to_cpu(v.efer) & EFER_SVME && le64_to_cpu(v.sev_features) & BAWN_SEV_SNP_ACTIVE;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What VMRUN checks of a VMCB: AMD APM vol. 2, 15.5.1 and, of events, 15.20. Core promises that
 * neither userspace nor the guest brings about most of it: that is a finding. The rest ends the
 * entry with VMEXIT_INVALID, as on hardware.
 */
#include "internal.h"

#include <asm/msr-index.h>

#include "svm/svm.h"

#include "hw.h"

#define MSRPM_SIZE 0x2000
#define IOPM_SIZE 0x3000

/* Bits that exist: APM vol. 2, 3.1. CR4 without what guests are never offered is core's matter. */
#define CR4_DEFINED                                                                           \
    (GENMASK_ULL(12, 0) | X86_CR4_FSGSBASE | X86_CR4_PCIDE | X86_CR4_OSXSAVE | X86_CR4_SMEP | \
     X86_CR4_SMAP | X86_CR4_PKE | BIT_ULL(23))
#define EFER_DEFINED                                                                               \
    (BIT_ULL(0) | GENMASK_ULL(8, 8) | EFER_LMA | EFER_NX | EFER_SVME | BIT_ULL(13) | BIT_ULL(14) | \
     BIT_ULL(15) | BIT_ULL(17) | BIT_ULL(18) | BIT_ULL(20) | BIT_ULL(21))

/* ---- Guest state ---- */

static bool pages(const struct vmcb_save_area *s)
{
    return s->cr0 & X86_CR0_PG;
}

static bool long_paging(const struct vmcb_save_area *s)
{
    return s->efer & EFER_LME && pages(s);
}

static bool no_svme(const struct vmcb_save_area *s)
{
    return !(s->efer & EFER_SVME);
}

static bool efer_reserved(const struct vmcb_save_area *s)
{
    return s->efer & ~EFER_DEFINED;
}

static bool cr0_caches(const struct vmcb_save_area *s)
{
    return !(s->cr0 & X86_CR0_CD) && s->cr0 & X86_CR0_NW;
}

static bool cr0_high(const struct vmcb_save_area *s)
{
    return s->cr0 >> 32;
}

static bool cr3_reserved(const struct vmcb_save_area *s)
{
    return long_paging(s) && s->cr3 >> 52;
}

static bool cr4_reserved(const struct vmcb_save_area *s)
{
    return s->cr4 & ~CR4_DEFINED;
}

static bool dr6_high(const struct vmcb_save_area *s)
{
    return s->dr6 >> 32;
}

static bool dr7_high(const struct vmcb_save_area *s)
{
    return s->dr7 >> 32;
}

static bool no_pae(const struct vmcb_save_area *s)
{
    return long_paging(s) && !(s->cr4 & X86_CR4_PAE);
}

static bool no_pe(const struct vmcb_save_area *s)
{
    return pages(s) && !(s->cr0 & X86_CR0_PE);
}

static bool cs_l_and_d(const struct vmcb_save_area *s)
{
    return long_paging(s) && s->cs.attrib & BIT(9) && s->cs.attrib & BIT(10);
}

/* With nested paging: 15.25.4. Types 2, 3 and above 7 do not exist. */
static bool pat_reserved(const struct vmcb_save_area *s)
{
    for (unsigned int i = 0; i < 8; i++) {
        u8 type = s->g_pat >> 8 * i;

        if (type > 7 || type == 2 || type == 3)
            return true;
    }
    return false;
}

static const struct {
    bool (*wrong)(const struct vmcb_save_area *s);
    bool promised;
    const char *what;
} state_rules[] = {
    { no_svme, true, "EFER.SVME is clear" },
    { efer_reserved, true, "reserved bits of EFER" },
    { cr0_caches, true, "CR0.CD is clear and CR0.NW set" },
    { cr0_high, true, "CR0[63:32]" },
    { cr3_reserved, true, "reserved bits of CR3" },
    { cr4_reserved, true, "reserved bits of CR4" },
    { dr6_high, true, "DR6[63:32]" },
    { dr7_high, true, "DR7[63:32]" },
    { no_pae, true, "long mode without CR4.PAE" },
    { no_pe, true, "paging without CR0.PE" },
    { pat_reserved, true, "G_PAT has a type that does not exist" },
    /* Segments are taken as userspace gives them, by KVM as well. */
    { cs_l_and_d, false, "CS.L and CS.D" },
};

static bool state_legal(const struct vmcb_save_area *s)
{
    bool legal = true;

    for (unsigned int i = 0; i < ARRAY_SIZE(state_rules); i++) {
        if (!state_rules[i].wrong(s))
            continue;
        if (state_rules[i].promised)
            sim_fault(SIM_HARDWARE, "VMRUN refuses the guest's state: %s", state_rules[i].what);
        legal = false;
    }
    return legal;
}

/* ---- The control area ---- */

void *sim_svm_memory(uint64_t pa, size_t size, const char *what)
{
    if (pa & ~PAGE_MASK || !pa || !pfn_valid(pa >> PAGE_SHIFT) ||
        !pfn_valid((pa + size - 1) >> PAGE_SHIFT))
        sim_fault(SIM_HARDWARE, "%s at physical address 0x%llx", what, (unsigned long long)pa);
    return __va(pa);
}

static void check_event(const struct vmcb_control_area *c)
{
    u32 type = c->event_inj & SVM_EVTINJ_TYPE_MASK;
    u8 vector = c->event_inj & SVM_EVTINJ_VEC_MASK;

    if (!(c->event_inj & SVM_EVTINJ_VALID))
        return;
    if (type != SVM_EVTINJ_TYPE_INTR && type != SVM_EVTINJ_TYPE_NMI &&
        type != SVM_EVTINJ_TYPE_EXEPT && type != SVM_EVTINJ_TYPE_SOFT)
        sim_fault(SIM_HARDWARE, "EVENTINJ 0x%x: no such type", c->event_inj);
    if (type == SVM_EVTINJ_TYPE_EXEPT && (vector > 31 || vector == 2))
        sim_fault(SIM_HARDWARE, "EVENTINJ 0x%x: no such exception", c->event_inj);
}

static void check_intercepts(const struct vmcb_control_area *c)
{
    /* Without these a guest keeps the CPU, or has it reset, or takes the host's events. */
    static const u8 needed[] = { INTERCEPT_INTR,
                                 INTERCEPT_NMI,
                                 INTERCEPT_SMI,
                                 INTERCEPT_INIT,
                                 INTERCEPT_SHUTDOWN,
                                 INTERCEPT_VMRUN,
                                 INTERCEPT_VMLOAD,
                                 INTERCEPT_VMSAVE,
                                 INTERCEPT_STGI,
                                 INTERCEPT_CLGI,
                                 INTERCEPT_SKINIT,
                                 INTERCEPT_IOIO_PROT,
                                 INTERCEPT_MSR_PROT,
                                 INTERCEPT_HLT,
                                 INTERCEPT_EXCEPTION_OFFSET + 1,
                                 INTERCEPT_EXCEPTION_OFFSET + 17,
                                 INTERCEPT_EXCEPTION_OFFSET + 18 };

    for (unsigned int i = 0; i < ARRAY_SIZE(needed); i++)
        if (!test_bit(needed[i], (const unsigned long *)c->intercepts))
            sim_fault(SIM_HARDWARE, "intercept %u is off", needed[i]);
}

static void check_control(const struct vmcb_control_area *c, u32 first_asid, u32 last_asid)
{
    check_intercepts(c);
    check_event(c);
    if (c->asid < first_asid || c->asid > last_asid)
        sim_fault(SIM_HARDWARE, "ASID %u", c->asid);
    if (c->tlb_ctl != TLB_CONTROL_DO_NOTHING && c->tlb_ctl != TLB_CONTROL_FLUSH_ALL_ASID &&
        c->tlb_ctl != TLB_CONTROL_FLUSH_ASID && c->tlb_ctl != TLB_CONTROL_FLUSH_ASID_LOCAL)
        sim_fault(SIM_HARDWARE, "TLB_CONTROL %u", c->tlb_ctl);
    if (!(c->int_ctl & V_INTR_MASKING_MASK))
        sim_fault(SIM_HARDWARE, "V_INTR_MASKING is clear: the guest's IF is the host's");
    if (!(c->nested_ctl & SVM_NESTED_CTL_NP_ENABLE))
        sim_fault(SIM_HARDWARE, "nested paging is off");
    sim_svm_memory(c->nested_cr3, PAGE_SIZE, "nCR3");
    sim_svm_memory(c->msrpm_base_pa, MSRPM_SIZE, "MSRPM");
    sim_svm_memory(c->iopm_base_pa, IOPM_SIZE, "IOPM");
}

bool sim_svm_check(const struct vmcb *vmcb)
{
    if (vmcb->control.nested_ctl & SVM_NESTED_CTL_SEV_ES_ENABLE)
        sim_fault(SIM_HARDWARE, "a guest with a VMSA is entered as one without");
    check_control(&vmcb->control, 1, SIM_SVM_ASIDS - 1);
    return state_legal(&vmcb->save);
}

void sim_svm_check_es(const struct vmcb *vmcb)
{
    const struct vmcb_control_area *c = &vmcb->control;

    check_control(c, 1, SIM_SNP_ASIDS);
    if (!(c->nested_ctl & SVM_NESTED_CTL_SEV_ENABLE) || !(c->virt_ext & LBR_CTL_ENABLE_MASK))
        sim_fault(SIM_HARDWARE, "an SEV-ES guest without SEV or LBR virtualisation");
    if ((c->event_inj & SVM_EVTINJ_VALID) &&
        (c->event_inj & SVM_EVTINJ_TYPE_MASK) == SVM_EVTINJ_TYPE_EXEPT)
        sim_fault(SIM_HARDWARE, "exception 0x%x injected into an SEV-ES guest", c->event_inj);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * VMRUN: what kernel/svm's entry.S and sev_es.S bring about on hardware. Checks what it is given
 * (svm_check.c), delivers the injected event, lets the target's guest work, and leaves what #VMEXIT
 * leaves. A guest can do no more than a CPU would let it: what it may not change is put back.
 * AMD APM vol. 2, 15.5, 15.20, 15.21, 15.35.
 */
#include "internal.h"

#include "svm/svm.h"

#include "hw.h"
#include "svm_insn.h"

/* The instructions of svm_insn.h. */
u8 sim_svm_gif = 1;
u64 sim_svm_saved_pa;

/* ---- Events ---- */

#define FLAGS_KEPT (X86_EFLAGS_IF | X86_EFLAGS_TF | X86_EFLAGS_NT | X86_EFLAGS_RF)

/* The event is in: what its gate changes, as an interrupt gate does. */
static void deliver(struct vmcb *vmcb)
{
    vmcb->save.rflags &= ~(u64)FLAGS_KEPT;
    vmcb->control.int_state &= ~(u32)SVM_INTERRUPT_SHADOW_MASK;
}

/* Does a virtual interrupt end the run before the guest's next instruction? 15.21.4 */
static bool virtual_interrupt(const struct vmcb *vmcb, bool interrupts_on)
{
    const struct vmcb_control_area *c = &vmcb->control;
    u32 priority = (c->int_ctl & V_INTR_PRIO_MASK) >> V_INTR_PRIO_SHIFT;

    return c->int_ctl & V_IRQ_MASK &&
           test_bit(INTERCEPT_VINTR, (const unsigned long *)c->intercepts) && interrupts_on &&
           !(c->int_state & SVM_INTERRUPT_SHADOW_MASK) &&
           (c->int_ctl & V_IGN_TPR_MASK || priority > (c->int_ctl & V_TPR_MASK));
}

/* EXITINTINFO holds what a CPU can have been delivering, or nothing. */
static void settle_delivery(struct vmcb_control_area *c)
{
    u32 info = c->exit_int_info, type = info & SVM_EXITINTINFO_TYPE_MASK;
    u8 vector = info & SVM_EXITINTINFO_VEC_MASK;
    bool legal = type == SVM_EXITINTINFO_TYPE_INTR || type == SVM_EXITINTINFO_TYPE_NMI ||
                 type == SVM_EXITINTINFO_TYPE_SOFT ||
                 (type == SVM_EXITINTINFO_TYPE_EXEPT && vector < 32 && vector != 2);

    if (!(info & SVM_EXITINTINFO_VALID) || !legal)
        c->exit_int_info = 0;
}

/* ---- What a guest can change ---- */

#define GUEST_FLAGS 0x3f7fd7ull /* all that RFLAGS has */

static void keep_segment(struct vmcb_seg *s)
{
    s->attrib &= 0xfff;
}

/* After the guest: fields that are the host's, or change by an exit alone, are as they were. */
static void settle_state(struct vmcb *vmcb, const struct vmcb *before)
{
    struct vmcb_save_area *s = &vmcb->save;
    const struct vmcb_save_area *b = &before->save;
    bool long_mode = b->efer & EFER_LMA;

    s->efer = b->efer;
    s->cr4 = b->cr4;
    s->dr7 = b->dr7;
    s->g_pat = b->g_pat;
    s->dbgctl = b->dbgctl;
    s->cr0 = (b->cr0 & ~(u64)(X86_CR0_TS | X86_CR0_MP)) | (s->cr0 & (X86_CR0_TS | X86_CR0_MP));
    s->cr3 &= long_mode ? GENMASK_ULL(47, 0) : 0xffffffff;
    s->dr6 = (u32)s->dr6;
    s->cpl &= 3;
    s->rflags =
        (s->rflags & GUEST_FLAGS & ~(long_mode ? (u64)X86_EFLAGS_VM : 0)) | X86_EFLAGS_FIXED;
    keep_segment(&s->es);
    keep_segment(&s->cs);
    keep_segment(&s->ss);
    keep_segment(&s->ds);
    keep_segment(&s->fs);
    keep_segment(&s->gs);
    keep_segment(&s->ldtr);
    keep_segment(&s->tr);
    /* No descriptor with both L and D loads. */
    if (s->cs.attrib & BIT(9))
        s->cs.attrib &= ~BIT(10);
}

/* What of the control area #VMEXIT writes. */
static void settle_control(struct vmcb *vmcb, const struct vmcb *before)
{
    struct vmcb_control_area now = vmcb->control, *c = &vmcb->control;

    *c = before->control;
    c->int_state = now.int_state & (SVM_INTERRUPT_SHADOW_MASK | SVM_GUEST_INTERRUPT_MASK);
    c->int_ctl = (c->int_ctl & ~(u32)V_IRQ_MASK) | (now.int_ctl & c->int_ctl & V_IRQ_MASK);
    c->exit_code = now.exit_code;
    c->exit_code_hi = now.exit_code == (u32)SVM_EXIT_ERR ? ~0u : 0;
    c->exit_info_1 = now.exit_info_1;
    c->exit_info_2 = now.exit_info_2;
    c->exit_int_info = now.exit_int_info;
    c->exit_int_info_err = now.exit_int_info_err;
    c->next_rip = now.next_rip;
    c->insn_len = now.insn_len;
    memcpy(c->insn_bytes, now.insn_bytes, sizeof(c->insn_bytes));
    if (c->nested_ctl & SVM_NESTED_CTL_SEV_ES_ENABLE)
        c->ghcb_gpa = now.ghcb_gpa;
    settle_delivery(c);
}

/* ---- The run ---- */

static void leave(struct vmcb *vmcb, u64 code)
{
    vmcb->control.exit_code = (u32)code;
    vmcb->control.exit_code_hi = code >> 32;
    vmcb->control.exit_info_1 = 0;
    vmcb->control.exit_info_2 = 0;
    vmcb->control.exit_int_info = 0;
    vmcb->control.exit_int_info_err = 0;
}

static void run_guest(struct bawn_vcpu *vcpu, struct vmcb *vmcb, u64 *gpr)
{
    static struct vmcb before; /* guests do not nest, and tasks do not switch in one */
    struct sim_entry entry = { .vcpu = vcpu, .vmcb = vmcb, .gpr = (uint64_t *)gpr };

    before = *vmcb;
    leave(vmcb, SVM_EXIT_INTR);
    sim_enter_guest(&entry);
    settle_control(vmcb, &before);
    settle_state(vmcb, &before);
}

/* The event whose delivery the guest says was interrupted comes back; it then was not delivered. */
static bool returned(const struct vmcb *vmcb, u32 injected)
{
    return injected & SVM_EVTINJ_VALID && vmcb->control.exit_int_info == injected;
}

static void check_host(u64 host_pa)
{
    if (sim_svm_gif)
        sim_fault(SIM_HARDWARE, "VMRUN with GIF set");
    if (!(sim_rdmsr(MSR_EFER) & EFER_SVME))
        sim_fault(SIM_HARDWARE, "VMRUN with EFER.SVME clear");
    sim_svm_memory(sim_rdmsr(MSR_VM_HSAVE_PA), PAGE_SIZE, "VM_HSAVE_PA");
    sim_svm_memory(host_pa, PAGE_SIZE, "the host's VMSAVE page");
    if (sim_svm_saved_pa != host_pa)
        sim_fault(SIM_HARDWARE, "VMRUN without VMSAVE of the host's state before");
}

void bawn_svm_enter(u64 *gpr, u64 vmcb_pa, u64 host_pa, u64 guest_spec, u64 host_spec)
{
    struct bawn_vcpu *vcpu = container_of(gpr, struct bawn_vcpu, gpr[0]);
    struct vmcb *vmcb = sim_svm_memory(vmcb_pa, PAGE_SIZE, "VMCB");
    u32 injected = vmcb->control.event_inj;
    u64 flags = vmcb->save.rflags;
    u32 shadow = vmcb->control.int_state;

    check_host(host_pa);
    sim_svm_promise_enter(vcpu, injected);
    sim_cpu_ssbd(vcpu->virt_spec_ctrl);
    if (sim_rdmsr(MSR_AMD64_TSC_RATIO) != (vcpu->tsc_ratio ?: SVM_TSC_RATIO_DEFAULT))
        sim_fault(SIM_STATE, "a guest runs at another's TSC rate");
    if (!sim_svm_check(vmcb)) {
        leave(vmcb, SVM_EXIT_ERR);
        return;
    }
    if (injected & SVM_EVTINJ_VALID)
        deliver(vmcb);
    if (virtual_interrupt(vmcb, vmcb->save.rflags & X86_EFLAGS_IF)) {
        leave(vmcb, SVM_EXIT_VINTR);
        return;
    }
    run_guest(vcpu, vmcb, gpr);
    sim_svm_promise_exit(vcpu, vmcb->control.exit_int_info);
    if (returned(vmcb, injected)) {
        vmcb->save.rflags = flags;
        vmcb->control.int_state = shadow;
    }
}

/* The registers of such a guest are in its VMSA: what it does with them nobody sees. */
void bawn_svm_es_enter(u64 vmcb_pa, void *host_save, u64 guest_spec, u64 host_spec)
{
    static u64 gpr[VCPU_NR_GPR];
    struct vmcb *vmcb = sim_svm_memory(vmcb_pa, PAGE_SIZE, "VMCB");
    struct bawn_svm_cpu *cpu = this_cpu_ptr(&bawn_svm_cpu);

    check_host(sim_rdmsr(MSR_VM_HSAVE_PA));
    if ((u8 *)host_save - 0x400 != (u8 *)page_address(cpu->save))
        sim_fault(SIM_HARDWARE, "the host's state is not where #VMEXIT looks for it");
    sim_svm_promise_enter(cpu->es_last, 0);
    sim_svm_check_es(vmcb);
    if (!sim_snp_vmsa_check(vmcb->control.vmsa_pa, vmcb->control.asid)) {
        leave(vmcb, SVM_EXIT_ERR);
        return;
    }
    if (virtual_interrupt(vmcb, vmcb->control.int_state & SVM_GUEST_INTERRUPT_MASK)) {
        leave(vmcb, SVM_EXIT_VINTR);
        return;
    }
    run_guest(cpu->es_last, vmcb, gpr);
}

// SPDX-License-Identifier: Apache-2.0
/* The fields of a VMCB for code without the kernel's headers; see svm.h. */
#include "internal.h"

#include "svm/svm.h"

#include "hw.h"
#include "fuzz/sim/svm.h"

_Static_assert(sizeof(struct vmcb_save_area) >= SIM_SVM_SAVE_SIZE, "state save area");

void sim_svm_leave(struct sim_entry *entry, const struct sim_svm_exit *exit)
{
    struct vmcb_control_area *c = &entry->vmcb->control;

    c->exit_code = exit->code;
    c->exit_info_1 = exit->info1;
    c->exit_info_2 = exit->info2;
    c->exit_int_info = exit->event;
    c->exit_int_info_err = exit->event_error;
    c->next_rip = exit->next_rip;
    c->insn_len = exit->insn_len;
    memcpy(c->insn_bytes, exit->insn, sizeof(c->insn_bytes));
}

uint32_t sim_svm_injected(const struct sim_entry *entry)
{
    u32 event = entry->vmcb->control.event_inj;

    return event & SVM_EVTINJ_VALID ? event : 0;
}

uint32_t sim_svm_injected_error(const struct sim_entry *entry)
{
    return entry->vmcb->control.event_inj_err;
}

void sim_svm_get(const struct sim_entry *entry, struct sim_svm_state *state)
{
    const struct vmcb_save_area *s = &entry->vmcb->save;

    *state = (struct sim_svm_state){
        .rip = s->rip,
        .rsp = s->rsp,
        .rax = s->rax,
        .rflags = s->rflags,
        .cr0 = s->cr0,
        .cr2 = s->cr2,
        .cr3 = s->cr3,
        .dr6 = s->dr6,
        .cpl = s->cpl,
        .shadow = entry->vmcb->control.int_state & SVM_INTERRUPT_SHADOW_MASK,
        .cr4 = s->cr4,
        .efer = s->efer,
        .dr7 = s->dr7,
    };
}

void sim_svm_set(struct sim_entry *entry, const struct sim_svm_state *state)
{
    struct vmcb_save_area *s = &entry->vmcb->save;
    u32 *shadow = &entry->vmcb->control.int_state;

    s->rip = state->rip;
    s->rsp = state->rsp;
    s->rax = state->rax;
    s->rflags = state->rflags;
    s->cr0 = state->cr0;
    s->cr2 = state->cr2;
    s->cr3 = state->cr3;
    s->dr6 = state->dr6;
    s->cpl = state->cpl;
    *shadow = (*shadow & ~(u32)SVM_INTERRUPT_SHADOW_MASK) |
              (state->shadow ? (u32)SVM_INTERRUPT_SHADOW_MASK : 0);
}

uint8_t *sim_svm_save_area(struct sim_entry *entry)
{
    return (uint8_t *)&entry->vmcb->save;
}

bool sim_svm_enabled(void)
{
    return sim_rdmsr(MSR_EFER) & EFER_SVME;
}

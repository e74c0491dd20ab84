// SPDX-License-Identifier: Apache-2.0
/* Neutral exits for code without the kernel's headers; see neutral.h. */
#include "internal.h"

#include "core/bawn.h"
#include "fuzz/sim/neutral.h"

_Static_assert((int)SIM_N_KINDS == (int)BAWN_EXIT_NR && (int)SIM_N_NPF == (int)BAWN_EXIT_NPF &&
                   (int)SIM_N_XSETBV == (int)BAWN_EXIT_XSETBV &&
                   (int)SIM_N_UNKNOWN == (int)BAWN_EXIT_UNKNOWN,
               "the order of exits");

static void fill_io(struct bawn_exit *to, const struct sim_neutral_exit *x)
{
    static const u8 addr_size[] = { 2, 4, 8, 8 };

    to->io.port = (u16)x->address;
    to->io.size = (u8)(1u << x->what % 3);
    to->io.in = x->flags & SIM_N_IN;
    to->io.string = x->flags & SIM_N_STRING;
    to->io.rep = to->io.string && x->flags & SIM_N_REP;
    to->io.addr_size = addr_size[(x->flags & SIM_N_ADDR_SIZE) >> 3];
    to->io.seg = (u8)((x->flags & SIM_N_SEG) >> 5) % 6;
}

static void fill_cr(struct bawn_exit *to, const struct sim_neutral_exit *x)
{
    to->cr.cr = x->what & 15;
    to->cr.write = x->flags & 1;
    to->cr.gpr = (x->flags >> 1) & 15;
    to->cr.size = (u8)(2u << (x->flags >> 5) % 3);
    to->cr.value = x->value;
}

static void fill_exception(struct bawn_exit *to, const struct sim_neutral_exit *x)
{
    to->ex.vector = x->what & 31;
    to->ex.has_error = x->flags & 1;
    to->ex.error = to->ex.has_error ? (u32)x->value : 0;
    to->ex.payload = x->address;
}

void sim_neutral_leave(struct sim_entry *entry, const struct sim_neutral_exit *x)
{
    struct bawn_exit *to = entry->exit;

    to->kind = x->kind % BAWN_EXIT_NR;
    if (to->kind == BAWN_EXIT_VMGEXIT && !entry->vcpu->snp)
        to->kind = BAWN_EXIT_UNKNOWN;
    to->len = x->len & 15;
    to->hw_reason = x->kind;
    switch (to->kind) {
    case BAWN_EXIT_MSR:
        to->msr.write = x->what & 1;
        break;
    case BAWN_EXIT_IO:
        fill_io(to, x);
        break;
    case BAWN_EXIT_NPF:
        to->npf.gpa = x->address & (bawn_gpa_end(entry->vcpu->vm) - 1);
        to->npf.access = x->flags & (BAWN_FAULT_WRITE | BAWN_FAULT_EXEC | BAWN_FAULT_TABLE);
        break;
    case BAWN_EXIT_EXCEPTION:
        fill_exception(to, x);
        break;
    case BAWN_EXIT_CR:
        fill_cr(to, x);
        break;
    case BAWN_EXIT_DR:
        to->dr.dr = x->what & 7;
        to->dr.write = x->flags & 1;
        to->dr.gpr = (x->flags >> 1) & 15;
        break;
    default:
        break;
    }
}

void sim_neutral_get(const struct sim_entry *entry, struct sim_neutral_state *state)
{
    const struct bawn_vcpu *vcpu = entry->vcpu;

    *state = (struct sim_neutral_state){ .rip = vcpu->rip,
                                         .rflags = vcpu->rflags,
                                         .cr2 = vcpu->cr2,
                                         .shadow = bawn_cpu->get_shadow(entry->vcpu) };
}

void sim_neutral_set(struct sim_entry *entry, const struct sim_neutral_state *state)
{
    struct bawn_vcpu *vcpu = entry->vcpu;

    vcpu->rip = state->rip;
    vcpu->rflags = (state->rflags & 0x3f7fd7) | 2; /* what is not reserved; bit 1 is one */
    vcpu->cr2 = state->cr2;
    bawn_cpu->set_shadow(vcpu, state->shadow ? KVM_X86_SHADOW_INT_STI : 0);
}

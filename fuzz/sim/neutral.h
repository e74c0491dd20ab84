/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest function does to a vCPU of the neutral backend, for code that has not the kernel's
 * headers. Within the guest function. Trusts the target, not its input: what no CPU leaves is made
 * into what one does.
 */
#ifndef BAWN_SIM_NEUTRAL_H
#define BAWN_SIM_NEUTRAL_H

#include "sim.h"

/* As enum bawn_exit_kind. */
enum sim_neutral_kind {
    SIM_N_INTR,
    SIM_N_NMI,
    SIM_N_HANDLED,
    SIM_N_CPUID,
    SIM_N_MSR,
    SIM_N_IO,
    SIM_N_HLT,
    SIM_N_HYPERCALL,
    SIM_N_PAUSE,
    SIM_N_NPF,
    SIM_N_IRQ_WINDOW,
    SIM_N_NMI_WINDOW,
    SIM_N_EXCEPTION,
    SIM_N_CR,
    SIM_N_DR,
    SIM_N_XSETBV,
    SIM_N_NOP,
    SIM_N_UD,
    SIM_N_GP,
    SIM_N_VMGEXIT, /* confidential guests alone; else UNKNOWN */
    SIM_N_SHUTDOWN,
    SIM_N_FAIL_ENTRY,
    SIM_N_UNKNOWN,
    SIM_N_KINDS
};

/* IO: flags */
#define SIM_N_IN 0x01
#define SIM_N_STRING 0x02
#define SIM_N_REP 0x04
#define SIM_N_ADDR_SIZE 0x18 /* 2, 4, 8, 8 bytes */
#define SIM_N_SEG 0xe0       /* VCPU_SREG_*, the first six */

/*
 * what, flags, address and value by kind:
 *   MSR        what: a write
 *   IO         address: port; what: size by log 2, 0 to 2; flags: SIM_N_*
 *   NPF        address: guest-physical; flags: BAWN_FAULT_*
 *   EXCEPTION  what: vector; address: payload; flags: it has the error code value
 *   CR, DR     what: number; flags: bit 0 a write, bits 1 to 4 the register; value: what is written
 */
struct sim_neutral_exit {
    uint8_t kind, len, what, flags;
    uint64_t address, value;
};
void sim_neutral_leave(struct sim_entry *entry, const struct sim_neutral_exit *exit);

/* What a guest changes without an exit. */
struct sim_neutral_state {
    uint64_t rip, rflags, cr2;
    bool shadow; /* interrupts wait for one instruction */
};
void sim_neutral_get(const struct sim_entry *entry, struct sim_neutral_state *state);
void sim_neutral_set(struct sim_entry *entry, const struct sim_neutral_state *state);

#endif

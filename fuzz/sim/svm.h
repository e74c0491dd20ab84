/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest function does to a vCPU on SVM, for code that has not the kernel's headers. Within
 * the guest function; what a CPU would not let a guest do is put back when it returns. Trusts the
 * target, not its input.
 */
#ifndef BAWN_SIM_SVM_H
#define BAWN_SIM_SVM_H

#include "sim.h"

/* Exit codes: AMD APM vol. 2, appendix C. */
enum {
    SIM_EXIT_CR_READ = 0x00,
    SIM_EXIT_CR_WRITE = 0x10,
    SIM_EXIT_DR_READ = 0x20,
    SIM_EXIT_DR_WRITE = 0x30,
    SIM_EXIT_EXCEPTION = 0x40,
    SIM_EXIT_INTR = 0x60,
    SIM_EXIT_VINTR = 0x64,
    SIM_EXIT_CPUID = 0x72,
    SIM_EXIT_IRET = 0x74,
    SIM_EXIT_PAUSE = 0x77,
    SIM_EXIT_HLT = 0x78,
    SIM_EXIT_IOIO = 0x7b,
    SIM_EXIT_MSR = 0x7c,
    SIM_EXIT_SHUTDOWN = 0x7f,
    SIM_EXIT_VMMCALL = 0x81,
    SIM_EXIT_NPF = 0x400,
};

/* EVENTINJ and EXITINTINFO: 15.20. */
#define SIM_EVENT_VALID (1u << 31)
#define SIM_EVENT_HAS_ERROR (1u << 11)
#define SIM_EVENT_INTR (0u << 8)
#define SIM_EVENT_NMI (2u << 8)
#define SIM_EVENT_EXCEPTION (3u << 8)

struct sim_svm_exit {
    uint32_t code;
    uint64_t info1, info2;
    uint32_t event, event_error; /* EXITINTINFO: SIM_EVENT_* of a delivery that was interrupted */
    uint64_t next_rip;
    uint8_t insn_len, insn[15];
};
void sim_svm_leave(struct sim_entry *entry, const struct sim_svm_exit *exit);
/* The event that was injected, as EVENTINJ has it; 0: none. */
uint32_t sim_svm_injected(const struct sim_entry *entry);
uint32_t sim_svm_injected_error(const struct sim_entry *entry);

struct sim_svm_state {
    uint64_t rip, rsp, rax, rflags, cr0, cr2, cr3, dr6;
    uint8_t cpl;
    bool shadow; /* interrupts wait for one instruction */
    /* To be read alone. */
    uint64_t cr4, efer, dr7;
};
void sim_svm_get(const struct sim_entry *entry, struct sim_svm_state *state);
void sim_svm_set(struct sim_entry *entry, const struct sim_svm_state *state);
/* The whole state save area, APM vol. 2, table B-2. */
#define SIM_SVM_SAVE_SIZE 0x298u
uint8_t *sim_svm_save_area(struct sim_entry *entry);

/* The host crashes: what the module asked to be called is called, and must leave SVM off. */
void sim_svm_emergency(void);
bool sim_svm_enabled(void); /* EFER.SVME */

#endif

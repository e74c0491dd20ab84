/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs: short lists of guest instructions with register values, drawn from a fixed seed, and
 * what userspace sees after each of them as text. The same code runs them on the simulated machine
 * (fuzz-replay) and in the lab on a real backend (tests/lab/tests/replay_test.c): another text
 * means that the simulation or the module is wrong. Trusts its caller.
 */
#ifndef BAWN_REPLAY_PROGRAM_H
#define BAWN_REPLAY_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <linux/kvm.h>

#define REPLAY_PROGRAMS 36
#define REPLAY_MEMORY 0x200000u /* from guest-physical 0 on */

/* Guest memory. */
#define REPLAY_GDT 0x1000u
#define REPLAY_IDT 0x2000u
#define REPLAY_HANDLERS 0x3000u /* of exception n a HLT at + n */
#define REPLAY_CODE 0x4000u
#define REPLAY_PML4 0x5000u
#define REPLAY_PDPT 0x6000u /* the first 4 GiB as they are */
#define REPLAY_STACK 0x8000u
#define REPLAY_DEVICE 0x80000000u /* there is no memory */
#define REPLAY_CODE_SELECTOR 8u
#define REPLAY_DATA_SELECTOR 16u

/* A VM with that memory and one vCPU, fresh. */
struct replay_machine {
    void *context;
    struct kvm_run *run;
    uint8_t *pio; /* the page of port I/O */
    /* What the ioctl returns, a negative errno for failure; n: bytes of the argument. */
    long (*call)(void *context, bool of_vcpu, unsigned long request, void *argument, size_t n);
    void (*write)(void *context, uint64_t gpa, const void *from, size_t n);
    void (*read)(void *context, uint64_t gpa, void *to, size_t n);
};

enum replay_op {
    REPLAY_CPUID,
    REPLAY_RDMSR,
    REPLAY_WRMSR,
    REPLAY_IN8,
    REPLAY_IN16,
    REPLAY_IN32,
    REPLAY_OUT8,
    REPLAY_OUT32,
    REPLAY_HLT,
    REPLAY_LOAD8,
    REPLAY_LOAD32,
    REPLAY_LOAD64,
    REPLAY_LOADZ,
    REPLAY_STORE8,
    REPLAY_STORE16,
    REPLAY_STORE64,
    REPLAY_OR,
    REPLAY_READ_CR0,
    REPLAY_WRITE_CR0,
    REPLAY_WRITE_CR4,
    REPLAY_WRITE_CR8,
    REPLAY_READ_DR6,
    REPLAY_READ_DR7,
    REPLAY_WRITE_DR7,
    REPLAY_WRITE_DR0,
    REPLAY_READ_DR0,
    REPLAY_VMCALL,
    REPLAY_VMMCALL,
    REPLAY_XSETBV,
    REPLAY_INT3,
    REPLAY_UD2,
    REPLAY_PAUSE,
    REPLAY_WBINVD,
    REPLAY_RDPMC,
    REPLAY_OPS
};

struct replay_insn {
    const char *name;
    uint8_t n, bytes[4];
};
extern const struct replay_insn replay_insns[REPLAY_OPS];

/* Runs program number n of the REPLAY_PROGRAMS; false: the machine refuses to be set up. */
bool replay_run(const struct replay_machine *machine, unsigned n, FILE *out);

#endif

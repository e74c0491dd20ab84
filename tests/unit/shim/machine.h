/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An SNP guest's memory and a host for the shim's C code: page states, page tables that are
 * walked as the processor walks them, the GHCB MSR. What the host answers can be made false.
 */
#ifndef SHIM_TEST_MACHINE_H
#define SHIM_TEST_MACHINE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest/shim/boot.h"
#include "guest/shim/cpu.h"
#include "guest/shim/ghcb.h"
#include "guest/shim/linux.h"
#include "guest/shim/paging.h"
#include "guest/shim/params.h"
#include "guest/shim/sha256.h"

#define RAM_LOW (64ull << 20)
#define RAM_HIGH_AT (4ull << 30)
#define RAM_HIGH ((1ull << 30) + (6ull << 20)) /* more than one window */
#define CODE_END 0x14000
#define IMAGE_END 0x14420

#define KERNEL_SECTS 9
#define KERNEL_SETUP ((KERNEL_SECTS + 1) * 512)
#define KERNEL_LOAD 0x1000000ull
#define KERNEL_GPA (KERNEL_LOAD - KERNEL_SETUP)
#define KERNEL_SIZE (KERNEL_SETUP + 100001)
#define KERNEL_INIT_SIZE 0x800000
#define KERNEL_HEADER_END 0x26c
#define INITRD_GPA 0x3000000ull
#define INITRD_SIZE 70000
#define CMDLINE "console=hvc0 quiet"
#define ACPI_SIZE 0x2000

enum page_state { ABSENT, SHARED, PRIVATE, VALIDATED };

struct machine {
    unsigned cbit;
    uint8_t *ram;        /* the lowest RAM_LOW bytes */
    uint8_t *low, *high; /* page states */
    uint64_t small;      /* gpa of 2 MiB that the host has in small pages, or ~0 */
    uint64_t cr3, ghcb_msr, sev_status;
    uint32_t rmpadjust;     /* what it returns */
    uint32_t pvalidate;     /* likewise, when not 0 */
    uint64_t answer[0x101]; /* by request; 0: the right one */
    bool answer_set[0x101];
    unsigned requests[0x101]; /* how often each was made */
    unsigned large, pages;    /* successful validations */
    bool was_shared;          /* the GHCB page, at some time */
    uint64_t registered;
    unsigned reason;
    jmp_buf failed;
};

extern struct machine machine;

/* A guest as it is launched, with the test's kernel, initrd and command line. */
void machine_start(unsigned cbit);
void machine_stop(void);
struct bawn_shim_params *machine_params(void);
/* The hashes of what is in memory. */
void machine_hash(void);
/* Runs the shim. Returns 0 and the entry, or the reason of failure. */
unsigned machine_boot(struct shim_entry *entry);
/* Walks the tables at cr3. Returns the leaf entry, or 0; *gpa has no C-bit. */
uint64_t machine_walk(uint64_t cr3, uint64_t va, uint64_t *gpa, uint64_t *size);
uint8_t *machine_state(uint64_t gpa);

static inline void put_le(uint8_t *p, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static inline uint64_t get_le(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

void make_kernel(uint8_t *image); /* KERNEL_SIZE bytes */
void make_params(struct bawn_shim_params *p);
void make_cpuid(uint8_t *page, unsigned cbit);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processor and memory as the shim's C code sees them. cpu.c has the real ones; the unit
 * tests put a model of a host in their place.
 */
#ifndef SHIM_CPU_H
#define SHIM_CPU_H

#include <stdbool.h>
#include <stdint.h>

#include "guest/shim/layout.h"

/* Memory is mapped one to one; a test has it elsewhere. */
void *shim_at(uint64_t gpa);

uint64_t shim_rdmsr(uint32_t msr);
void shim_wrmsr(uint32_t msr, uint64_t value);
void shim_vmgexit(void);
void shim_set_cr3(uint64_t cr3);
void shim_invlpg(uint64_t va);

/* PVALIDATE and RMPADJUST (AMD APM vol. 3). Return what they leave in EAX. */
enum shim_page_size { SHIM_4K = 0, SHIM_2M = 1 };
#define SHIM_PVALIDATE_OK 0
#define SHIM_PVALIDATE_SIZEMISMATCH 6
uint32_t shim_pvalidate(uint64_t va, enum shim_page_size size, bool validate, bool *unchanged);
uint32_t shim_rmpadjust(uint64_t va, enum shim_page_size size, uint64_t attributes);

/* Tells the host why by the GHCB MSR's termination request. */
_Noreturn void shim_fail(enum bawn_shim_reason reason);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an exception in the shim means. None is expected and none is survived: the shim executes
 * nothing that an SNP host has to serve by #VC. What matters is that the reason is true, and
 * that a #VC which the host made up (AMD APM vol. 2, 15.36.10) is seen as such.
 */
#ifndef SHIM_FAULT_H
#define SHIM_FAULT_H

#include <stddef.h>
#include <stdint.h>

#include "bawn/shim.h"

#define SHIM_VECTOR_PF 14
#define SHIM_VECTOR_VC 29

/* code: the bytes at the faulting RIP, as many as the image has of them. */
enum bawn_shim_reason shim_fault_reason(uint64_t vector, uint64_t error, const uint8_t *code,
                                        size_t len);

/* Called by the exception stubs. */
_Noreturn void shim_exception(uint64_t vector, uint64_t error, uint64_t rip);

#endif

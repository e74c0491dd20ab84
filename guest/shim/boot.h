/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shim's one course of action, from the parameter page to Linux's entry.
 */
#ifndef SHIM_BOOT_H
#define SHIM_BOOT_H

#include <stdint.h>

struct shim_entry {
    uint64_t rip;
    uint64_t zero_page;
    uint64_t cr3;
};

/* The image's parts, in guest memory. */
struct shim_image {
    uint64_t code_end; /* on a page */
    uint64_t end;
};

/* cbit: the position that the 32-bit code found and uses. Returns when all is proved. */
struct shim_entry shim_boot(unsigned cbit, const struct shim_image *image);

/* The C code's entry, called by start.S once there are a stack and a canary. */
_Noreturn void shim_main(unsigned cbit);
/* start.S: wipes the work area before SHIM_KEEP and enters Linux. */
_Noreturn void shim_leave(uint64_t rip, uint64_t zero_page, uint64_t cr3);

#endif

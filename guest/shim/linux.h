/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Linux/x86 boot protocol (Documentation/arch/x86/boot.rst), 64-bit entry: the kernel's
 * header, read after the kernel's hash was found right, and what Linux is told.
 */
#ifndef SHIM_LINUX_H
#define SHIM_LINUX_H

#include <stdint.h>

#include "guest/shim/params.h"

struct boot_params;

struct shim_kernel {
    uint64_t load; /* gpa of the protected-mode part */
    uint32_t cmdline_max;
    const uint8_t *header; /* borrowed from the image */
    uint32_t header_size;
};

#define SHIM_ENTRY64 0x200 /* from load */

/*
 * Reads the header of the image, which is p->kernel.size bytes, and checks that the kernel can
 * run where it is. Returns 0, or the reason to fail with.
 */
unsigned shim_kernel_read(struct shim_kernel *k, const uint8_t *image,
                          const struct bawn_shim_params *p, const struct shim_launched *launched);

/* Writes the zero page; both pages are zero before. */
void shim_zero_page(struct boot_params *bp, const struct shim_kernel *k,
                    const struct bawn_shim_params *p);
/* Writes the page of setup_data: one node, which holds the CC blob too, so that Linux keeps
 * both. */
void shim_setup_data(uint8_t *page);

#endif

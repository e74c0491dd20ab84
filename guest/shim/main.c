// SPDX-License-Identifier: Apache-2.0
/*
 * What ties boot.c and fault.c to the image that is running.
 */
#include "guest/shim/boot.h"
#include "guest/shim/cpu.h"
#include "guest/shim/fault.h"

/* shim.lds */
extern const uint8_t shim_image[], shim_code_end[], shim_image_end[];

_Noreturn void shim_main(unsigned cbit)
{
    const struct shim_image image = {
        .code_end = (uintptr_t)shim_code_end,
        .end = (uintptr_t)shim_image_end,
    };
    struct shim_entry entry = shim_boot(cbit, &image);

    shim_leave(entry.rip, entry.zero_page, entry.cr3);
}

_Noreturn void shim_exception(uint64_t vector, uint64_t error, uint64_t rip)
{
    uint64_t start = (uintptr_t)shim_image, end = (uintptr_t)shim_code_end;
    size_t len = rip >= start && rip < end ? end - rip : 0;

    shim_fail(shim_fault_reason(vector, error, shim_image + (len ? rip - start : 0), len));
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The code at the real-mode reset vector. Linux on hardware-reduced ACPI without EFI does not
 * use the ACPI reset register: it drops to real mode and jumps to FFFF:0000, as to a BIOS
 * (arch/x86/kernel/reboot.c, BOOT_BIOS). What stands there writes the reset port. No input.
 */
#include <string.h>

#include "launch/internal.h"

#define RESET_PAGE 0xff000ull
#define RESET_VECTOR 0xffff0ull

/* clang-format off */
static const uint8_t reset_code[] = {
    0xba, BAWN_RESET_PORT & 0xff, BAWN_RESET_PORT >> 8, /* mov dx, port */
    0xb0, BAWN_RESET_VALUE,                             /* mov al, value */
    0xee,                                               /* out dx, al */
    0xfa,                                               /* cli */
    0xf4,                                               /* hlt */
    0xeb, 0xfd,                                         /* jmp to the hlt */
};
/* clang-format on */

_Static_assert(sizeof(reset_code) <= HIGH_START - RESET_VECTOR, "the code ends below 1 MiB");

enum bawn_status reset_plan(struct bawn_launch_plan *plan, struct bawn_error *err)
{
    uint8_t *page = plan_alloc(plan, PAGE);

    if (!page)
        return bawn_fail(err, BAWN_E_NOMEM, "out of memory");
    memcpy(page + (RESET_VECTOR - RESET_PAGE), reset_code, sizeof(reset_code));
    return plan_add(plan, BAWN_MEASURE_FIRMWARE, RESET_PAGE, PAGE, page, PAGE, err);
}

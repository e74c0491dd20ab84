/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small fixed devices: ACPI sleep and reset ports, pvpanic, the CMOS clock. They are
 * how a guest says that it is done, and why.
 */
#ifndef BAWN_VMM_PLATFORM_H
#define BAWN_VMM_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>

#include "bus.h"

/* Why a virtual machine stopped. */
enum bawn_end {
    BAWN_END_NONE, /* it runs */
    BAWN_END_POWEROFF,
    BAWN_END_RESET,
    BAWN_END_PANIC,
    BAWN_END_CRASH,
    BAWN_END_TIMEOUT,
    BAWN_END_QUIT,   /* the person at the terminal or a signal asked */
    BAWN_END_FAILED, /* the VMM or the module */
    BAWN_END_MOVED,  /* it runs elsewhere; the supervisor's word alone */
};

struct bawn_platform {
    void (*end)(void *opaque, enum bawn_end why, const char *msg);
    void *opaque; /* borrowed */
    uint8_t cmos[128];
    uint8_t cmos_index;
    bool crash_told; /* once is enough */
};

/* In a snapshot (state.h). The clock's registers are the host's time. */
struct bawn_platform_state {
    uint8_t cmos[128];
    uint8_t cmos_index;
    uint8_t crash_told;
};

/* Puts the devices on the I/O port bus. 0 or -errno. */
int bawn_platform_init(struct bawn_platform *p, struct bawn_bus *pio,
                       void (*end)(void *, enum bawn_end, const char *), void *opaque);

void bawn_platform_save(const struct bawn_platform *p, struct bawn_platform_state *state);
void bawn_platform_load(struct bawn_platform *p, const struct bawn_platform_state *state);

/* Whether a guest with this command line (may be NULL) means a reset by a triple fault:
 * reboot=t, alone or among others (Linux, kernel-parameters.txt). */
bool bawn_reset_by_triple_fault(const char *cmdline);

#endif

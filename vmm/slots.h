/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hot-plug's registers (launch.h), which the ACPI tables' methods read and write: what has come and
 * was not there, what the guest is to let go of, and what it has. A bit, counted through the banks,
 * is a slot or a vCPU. Their interrupt is a level: what is not read stays said.
 */
#ifndef BAWN_VMM_SLOTS_H
#define BAWN_VMM_SLOTS_H

#include <stdint.h>

#include "bus.h"
#include "ioapic.h"
#include "launch.h"

struct bawn_slots {
    struct bawn_ioapic *ioapic;               /* borrowed; NULL: no registers */
    void (*gone)(void *opaque, unsigned bit); /* the guest let go of it, as it was asked */
    void *opaque;                             /* borrowed */
    struct bawn_slots_bank {
        uint32_t came, go; /* not read yet */
        uint32_t asked;    /* for what the guest may let go */
        uint32_t here;     /* which vCPUs are there; of slots the bus says it */
    } bank[BAWN_HOTPLUG_BANKS];
};

/* In a snapshot. What the guest was told to let go of and has not heard is no part of it: nothing
 * is saved while somebody waits for that. */
struct bawn_slots_state {
    struct {
        uint32_t came, asked, here;
    } bank[BAWN_HOTPLUG_BANKS];
};

/* Puts so many bytes of registers on the I/O port bus, or none. 0 or -errno. */
int bawn_slots_init(struct bawn_slots *h, struct bawn_bus *pio, unsigned size,
                    struct bawn_ioapic *ioapic, void (*gone)(void *, unsigned), void *opaque);
/* It is there. */
void bawn_slots_came(struct bawn_slots *h, unsigned bit);
/* Asks the guest to let go of it; no longer, if it has not heard yet. */
void bawn_slots_ask(struct bawn_slots *h, unsigned bit);
void bawn_slots_unask(struct bawn_slots *h, unsigned bit);
void bawn_slots_save(const struct bawn_slots *h, struct bawn_slots_state *state);
/* After the I/O APIC. A machine may have no registers for it. */
void bawn_slots_load(struct bawn_slots *h, const struct bawn_slots_state *state);

#endif

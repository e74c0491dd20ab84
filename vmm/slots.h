/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hot-plug's registers (launch.h), which the ACPI tables' methods read and write: which slots have
 * a device that was not there, which devices the guest is to let go of, and which it has. Their
 * interrupt is a level: what is not read stays said.
 */
#ifndef BAWN_VMM_SLOTS_H
#define BAWN_VMM_SLOTS_H

#include <stdint.h>

#include "bus.h"
#include "ioapic.h"

struct bawn_slots {
    struct bawn_ioapic *ioapic;                /* borrowed */
    void (*gone)(void *opaque, unsigned slot); /* the guest let go of it, as it was asked */
    void *opaque;                              /* borrowed */
    uint32_t came, go;                         /* not read yet */
    uint32_t asked;                            /* for what the guest may let go */
};

/* In a snapshot. What the guest was told to let go of and has not heard is no part of it: nothing
 * is saved while somebody waits for that. */
struct bawn_slots_state {
    uint32_t came, asked;
};

/* Puts the registers on the I/O port bus. 0 or -errno. */
int bawn_slots_init(struct bawn_slots *h, struct bawn_bus *pio, struct bawn_ioapic *ioapic,
                    void (*gone)(void *, unsigned), void *opaque);
/* A device is there. */
void bawn_slots_came(struct bawn_slots *h, unsigned slot);
/* Asks the guest to let go of the device; no longer, if it has not heard yet. */
void bawn_slots_ask(struct bawn_slots *h, unsigned slot);
void bawn_slots_unask(struct bawn_slots *h, unsigned slot);
void bawn_slots_save(const struct bawn_slots *h, struct bawn_slots_state *state);
/* After the I/O APIC. A machine may have no registers for it. */
void bawn_slots_load(struct bawn_slots *h, const struct bawn_slots_state *state);

#endif

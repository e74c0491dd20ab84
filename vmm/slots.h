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

/* Puts the registers on the I/O port bus. 0 or -errno. */
int bawn_slots_init(struct bawn_slots *h, struct bawn_bus *pio, struct bawn_ioapic *ioapic,
                    void (*gone)(void *, unsigned), void *opaque);
/* A device is there. */
void bawn_slots_came(struct bawn_slots *h, unsigned slot);
/* Asks the guest to let go of the device; no longer, if it has not heard yet. */
void bawn_slots_ask(struct bawn_slots *h, unsigned slot);
void bawn_slots_unask(struct bawn_slots *h, unsigned slot);

#endif

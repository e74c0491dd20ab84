/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I/O APIC (Intel 82093AA data sheet, with the EOI register of version 0x20): 24 pins,
 * each of which turns into a message for the local APICs in the module.
 */
#ifndef BAWN_VMM_IOAPIC_H
#define BAWN_VMM_IOAPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "bus.h"
#include "wires.h"

#define BAWN_IOAPIC_SIZE 0x1000

struct bawn_ioapic {
    struct bawn_wires *wires; /* borrowed */
    uint64_t rte[BAWN_IOAPIC_PINS];
    uint32_t lines; /* the pins' levels */
    uint8_t select;
    uint8_t id;
};

/* In a snapshot (state.h). */
struct bawn_ioapic_state {
    uint64_t rte[BAWN_IOAPIC_PINS];
    uint32_t lines;
    uint8_t select, id;
};

extern const struct bawn_bus_ops bawn_ioapic_bus_ops;

void bawn_ioapic_init(struct bawn_ioapic *io, struct bawn_wires *wires);
/* Drives a pin; an edge pin fires when its level rises. */
void bawn_ioapic_set(struct bawn_ioapic *io, unsigned pin, bool level);
/* A local APIC ended the interrupt: level pins with this vector fire again if still high. */
void bawn_ioapic_eoi(struct bawn_ioapic *io, uint8_t vector);
void bawn_ioapic_save(const struct bawn_ioapic *io, struct bawn_ioapic_state *state);
/* After all that drives its pins. Delivers nothing; what does not exist is dropped. */
void bawn_ioapic_load(struct bawn_ioapic *io, const struct bawn_ioapic_state *state);

#endif

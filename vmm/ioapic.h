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

extern const struct bawn_bus_ops bawn_ioapic_bus_ops;

void bawn_ioapic_init(struct bawn_ioapic *io, struct bawn_wires *wires);
/* Drives a pin; an edge pin fires when its level rises. */
void bawn_ioapic_set(struct bawn_ioapic *io, unsigned pin, bool level);
/* A local APIC ended the interrupt: level pins with this vector fire again if still high. */
void bawn_ioapic_eoi(struct bawn_ioapic *io, uint8_t vector);

#endif

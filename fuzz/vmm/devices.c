// SPDX-License-Identifier: Apache-2.0
/*
 * The devices without rings, on their buses, under a hostile guest: the serial port, the I/O APIC,
 * PCI's configuration space, hot-plug's registers (offsets from 0x8000 on). Input: steps of a byte
 * and what it takes: bus and length, offset (two bytes), value (four); or what comes in from
 * outside.
 */
#include <stdlib.h>
#include <string.h>

#include "bus.h"
#include "common.h"
#include "ioapic.h"
#include "pci.h"
#include "serial.h"
#include "slots.h"

static struct bawn_serial serial;
static struct bawn_ioapic ioapic;

static void transmit(void *opaque, uint8_t byte)
{
    (void)opaque, (void)byte;
}

static void serial_irq(void *opaque, bool level)
{
    (void)opaque;
    bawn_ioapic_set(&ioapic, BAWN_SERIAL_GSI, level);
}

static void want_input(void *opaque)
{
    (void)opaque;
    FUZZ_MUST(bawn_serial_room(&serial) <= BAWN_SERIAL_FIFO);
}

static const struct bawn_serial_ops serial_ops = { transmit, serial_irq, want_input };

static void msi(void *opaque, uint64_t addr, uint32_t data)
{
    (void)opaque, (void)data;
    FUZZ_MUST(addr >> 20 == BAWN_LAPIC_BASE >> 20); /* the local APICs, nothing else */
}

/* What a guest lets go of it was asked for. */
static bool asked[32 * BAWN_HOTPLUG_BANKS];

static void gone(void *opaque, unsigned bit)
{
    (void)opaque;
    FUZZ_MUST(bit < sizeof(asked) && asked[bit]);
    asked[bit] = false;
}

static void plug(struct bawn_slots *slots, uint32_t val)
{
    unsigned bit = val % 256 % sizeof(asked);

    if (val >> 8 & 1)
        bawn_slots_came(slots, bit);
    if (val >> 9 & 1)
        bawn_slots_ask(slots, bit);
    if (val >> 10 & 1)
        bawn_slots_unask(slots, bit);
    asked[bit] |= val >> 9 & 1; /* what it has heard it may do later, too */
}

static uint64_t port_of(uint32_t off)
{
    return off & 0x8000 ? BAWN_HOTPLUG_PORT + off % BAWN_HOTPLUG_SIZE_CPUS
                        : BAWN_SERIAL_PORT + off % BAWN_SERIAL_SIZE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bawn_wires_ops wires_ops = fuzz_wires;
    struct bawn_wires wires = { &wires_ops, NULL, BAWN_IOAPIC_PINS };
    struct bawn_bus mmio = { 0 }, ports = { 0 };
    struct bawn_slots slots;
    struct bawn_pci pci;

    memset(asked, 0, sizeof(asked));
    wires_ops.msi = msi;
    bawn_serial_init(&serial, &serial_ops, NULL);
    bawn_ioapic_init(&ioapic, &wires);
    FUZZ_MUST(!bawn_pci_init(&pci, &mmio));
    FUZZ_MUST(
        !bawn_bus_add(&mmio, BAWN_IOAPIC_BASE, BAWN_IOAPIC_SIZE, &bawn_ioapic_bus_ops, &ioapic));
    FUZZ_MUST(
        !bawn_bus_add(&ports, BAWN_SERIAL_PORT, BAWN_SERIAL_SIZE, &bawn_serial_bus_ops, &serial));
    FUZZ_MUST(!bawn_slots_init(&slots, &ports, BAWN_HOTPLUG_SIZE_CPUS, &ioapic, gone, NULL));
    for (; size >= 7; data += 7, size -= 7) {
        unsigned len = 1u << (data[0] >> 3) % 4;
        uint32_t off = data[1] | (uint32_t)data[2] << 8, val;

        memcpy(&val, data + 3, sizeof(val));
        if (data[0] % 8 == 0)
            bawn_bus_write(&ports, port_of(off), len, val);
        else if (data[0] % 8 == 1)
            bawn_bus_read(&ports, port_of(off), len);
        else if (data[0] % 8 == 2)
            bawn_bus_write(&mmio, BAWN_IOAPIC_BASE + off % 0x50, len, val);
        else if (data[0] % 8 == 3)
            bawn_bus_read(&mmio, BAWN_IOAPIC_BASE + off % 0x50, len);
        else if (data[0] % 8 == 4)
            bawn_bus_write(&mmio, BAWN_ECAM_BASE + off * 4, len, val);
        else if (data[0] % 8 == 5)
            bawn_ioapic_set(&ioapic, off % BAWN_IOAPIC_PINS, val & 1);
        else if (data[0] % 8 == 6 && off & 0x8000)
            plug(&slots, val);
        else if (data[0] % 8 == 6)
            bawn_ioapic_eoi(&ioapic, (uint8_t)val);
        else
            bawn_serial_receive(&serial, data + 3,
                                off % 5 < bawn_serial_room(&serial) ? off % 5
                                                                    : bawn_serial_room(&serial));
    }
    return 0;
}

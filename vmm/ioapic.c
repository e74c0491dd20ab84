// SPDX-License-Identifier: Apache-2.0
/*
 * The I/O APIC in userspace (split irqchip). Every register value is the guest's and is
 * used as bits only. The caller holds the machine's lock.
 */
#include <string.h>

#include "ioapic.h"

/* Memory-mapped registers */
#define IOREGSEL 0x00
#define IOWIN 0x10
#define IOEOI 0x40

/* Indirect registers */
#define REG_ID 0x00
#define REG_VERSION 0x01
#define REG_ARB 0x02
#define REG_RTE 0x10

#define VERSION 0x20

/* Redirection table entry (82093AA, section 3.2.4) */
#define RTE_VECTOR 0xffull
#define RTE_DELIVERY (7ull << 8)
#define RTE_LOGICAL (1ull << 11)
#define RTE_STATUS (1ull << 12)
#define RTE_REMOTE_IRR (1ull << 14)
#define RTE_LEVEL (1ull << 15)
#define RTE_MASKED (1ull << 16)
#define RTE_READ_ONLY (RTE_STATUS | RTE_REMOTE_IRR)
#define RTE_DEFINED (0xffull << RTE_DEST_SHIFT | 0x1ffff)
#define RTE_DEST_SHIFT 56

/* Message format (Intel SDM vol. 3, section 11.11) */
#define MSI_BASE 0xfee00000ull
#define MSI_DEST_SHIFT 12
#define MSI_LOGICAL (1ull << 2)
#define MSI_ASSERT (1u << 14)
#define MSI_LEVEL (1u << 15)

static uint64_t msi_addr(uint64_t rte)
{
    return MSI_BASE | (rte >> RTE_DEST_SHIFT) << MSI_DEST_SHIFT |
           (rte & RTE_LOGICAL ? MSI_LOGICAL : 0);
}

static uint32_t msi_data(uint64_t rte)
{
    return (rte & (RTE_VECTOR | RTE_DELIVERY)) | (rte & RTE_LEVEL ? MSI_LEVEL | MSI_ASSERT : 0);
}

static void fire(struct bawn_ioapic *io, unsigned pin)
{
    uint64_t rte = io->rte[pin];

    if (rte & RTE_MASKED)
        return;
    if (rte & RTE_LEVEL) {
        if (rte & RTE_REMOTE_IRR)
            return;
        io->rte[pin] |= RTE_REMOTE_IRR;
    }
    io->wires->ops->msi(io->wires->opaque, msi_addr(rte), msi_data(rte));
}

void bawn_ioapic_init(struct bawn_ioapic *io, struct bawn_wires *wires)
{
    memset(io, 0, sizeof(*io));
    io->wires = wires;
    for (unsigned i = 0; i < BAWN_IOAPIC_PINS; i++)
        io->rte[i] = RTE_MASKED;
}

void bawn_ioapic_set(struct bawn_ioapic *io, unsigned pin, bool level)
{
    uint32_t bit = 1u << (pin % 32);
    bool was = io->lines & bit;

    if (pin >= BAWN_IOAPIC_PINS)
        return;
    io->lines = level ? io->lines | bit : io->lines & ~bit;
    if (level && (!was || (io->rte[pin] & RTE_LEVEL)))
        fire(io, pin);
}

void bawn_ioapic_eoi(struct bawn_ioapic *io, uint8_t vector)
{
    for (unsigned i = 0; i < BAWN_IOAPIC_PINS; i++) {
        uint64_t rte = io->rte[i];

        if ((rte & RTE_VECTOR) != vector || !(rte & RTE_LEVEL) || !(rte & RTE_REMOTE_IRR))
            continue;
        io->rte[i] &= ~RTE_REMOTE_IRR;
        if (io->lines & 1u << i)
            fire(io, i);
    }
}

static void write_rte(struct bawn_ioapic *io, unsigned pin, bool high, uint32_t val)
{
    uint64_t old = io->rte[pin];
    uint64_t rte;

    if (high)
        rte = (uint32_t)old | (uint64_t)val << 32;
    else
        rte = (old & ~0xffffffffull) | (val & ~RTE_READ_ONLY) | (old & RTE_READ_ONLY);
    if (!(rte & RTE_LEVEL))
        rte &= ~RTE_REMOTE_IRR; /* an edge has no end to wait for */
    io->rte[pin] = rte;

    /* The module learns of level pins by their routes, to exit at their EOI. A masked pin
     * may still await one. */
    io->wires->ops->route(io->wires->opaque, pin, rte & RTE_LEVEL, msi_addr(rte), msi_data(rte));

    /* A line that rose while its pin was masked would otherwise stay silent for ever. */
    if ((io->lines & 1u << pin) && ((rte & RTE_LEVEL) || (old & RTE_MASKED)))
        fire(io, pin);
}

static uint32_t read_reg(const struct bawn_ioapic *io)
{
    unsigned n = io->select - REG_RTE;

    switch (io->select) {
    case REG_ID:
    case REG_ARB:
        return (uint32_t)io->id << 24;
    case REG_VERSION:
        return VERSION | (BAWN_IOAPIC_PINS - 1) << 16;
    default:
        if (io->select < REG_RTE || n / 2 >= BAWN_IOAPIC_PINS)
            return 0;
        return io->rte[n / 2] >> (n % 2 ? 32 : 0);
    }
}

static uint64_t ioapic_read(void *opaque, uint64_t off, unsigned len)
{
    struct bawn_ioapic *io = opaque;

    (void)len;
    if (off == IOREGSEL)
        return io->select;
    return off == IOWIN ? read_reg(io) : 0;
}

static void ioapic_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
    struct bawn_ioapic *io = opaque;

    if (off == IOREGSEL) {
        io->select = val;
    } else if (off == IOEOI) {
        bawn_ioapic_eoi(io, val);
    } else if (off == IOWIN && len == 4) {
        unsigned n = io->select - REG_RTE;

        if (io->select == REG_ID)
            io->id = (val >> 24) & 0xf;
        else if (io->select >= REG_RTE && n / 2 < BAWN_IOAPIC_PINS)
            write_rte(io, n / 2, n % 2, val);
    }
}

void bawn_ioapic_save(const struct bawn_ioapic *io, struct bawn_ioapic_state *state)
{
    memcpy(state->rte, io->rte, sizeof(state->rte));
    state->lines = io->lines;
    state->select = io->select;
    state->id = io->id;
}

void bawn_ioapic_load(struct bawn_ioapic *io, const struct bawn_ioapic_state *state)
{
    for (unsigned i = 0; i < BAWN_IOAPIC_PINS; i++) {
        uint64_t rte = state->rte[i] & RTE_DEFINED & ~RTE_READ_ONLY;

        io->rte[i] = rte;
        io->wires->ops->route(io->wires->opaque, i, rte & RTE_LEVEL, msi_addr(rte), msi_data(rte));
    }
    io->lines = state->lines & ((1u << BAWN_IOAPIC_PINS) - 1);
    io->select = state->select;
    io->id = state->id & 0xf;
    /* The EOI that a level was waiting for may have been on its way, and is nobody's then: it is
     * told again, which a guest that is about to hear it does not mind. */
    for (unsigned i = 0; i < BAWN_IOAPIC_PINS; i++) {
        if (io->lines & 1u << i && io->rte[i] & RTE_LEVEL)
            fire(io, i);
    }
}

const struct bawn_bus_ops bawn_ioapic_bus_ops = { ioapic_read, ioapic_write };

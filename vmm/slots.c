// SPDX-License-Identifier: Apache-2.0
/*
 * Hot-plug's registers. Values come from the guest, which may let go of what it was asked for, and
 * of nothing else, whatever it writes. The caller holds the machine's lock.
 */
#include <string.h>

#include "slots.h"
#include "launch.h"

static void set_line(struct bawn_slots *h)
{
    bool level = false;

    for (unsigned i = 0; i < BAWN_HOTPLUG_BANKS; i++)
        level |= h->bank[i].came || h->bank[i].go;
    if (h->ioapic)
        bawn_ioapic_set(h->ioapic, BAWN_HOTPLUG_GSI, level);
}

static uint32_t take(struct bawn_slots *h, uint32_t *reg)
{
    uint32_t val = *reg;

    *reg = 0;
    set_line(h);
    return val;
}

static uint64_t slots_read(void *opaque, uint64_t off, unsigned len)
{
    struct bawn_slots *h = opaque;
    struct bawn_slots_bank *bank = &h->bank[off / BAWN_HOTPLUG_BANK];

    if (len != sizeof(uint32_t))
        return 0;
    switch (off % BAWN_HOTPLUG_BANK) {
    case BAWN_HOTPLUG_CAME:
        return take(h, &bank->came);
    case BAWN_HOTPLUG_GO:
        return take(h, &bank->go);
    case BAWN_HOTPLUG_HERE:
        return bank->here;
    default:
        return 0;
    }
}

static void slots_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
    struct bawn_slots *h = opaque;
    unsigned first = (unsigned)off / BAWN_HOTPLUG_BANK * 32;
    struct bawn_slots_bank *bank = &h->bank[first / 32];
    uint32_t gone = 0;

    if (off % BAWN_HOTPLUG_BANK == BAWN_HOTPLUG_GONE && len == sizeof(gone))
        gone = (uint32_t)val & bank->asked;
    bank->asked &= ~gone;
    bank->go &= ~gone;
    bank->came &= ~gone;
    bank->here &= ~gone;
    for (; gone; gone &= gone - 1)
        h->gone(h->opaque, first + (unsigned)__builtin_ctz(gone));
    set_line(h);
}

static const struct bawn_bus_ops slots_ops = { slots_read, slots_write };

int bawn_slots_init(struct bawn_slots *h, struct bawn_bus *pio, unsigned size,
                    struct bawn_ioapic *ioapic, void (*gone)(void *, unsigned), void *opaque)
{
    *h = (struct bawn_slots){ .ioapic = size ? ioapic : NULL, .gone = gone, .opaque = opaque };
    return size ? bawn_bus_add(pio, BAWN_HOTPLUG_PORT, size, &slots_ops, h) : 0;
}

void bawn_slots_came(struct bawn_slots *h, unsigned bit)
{
    h->bank[bit / 32].came |= 1u << bit % 32;
    h->bank[bit / 32].here |= 1u << bit % 32;
    set_line(h);
}

void bawn_slots_ask(struct bawn_slots *h, unsigned bit)
{
    h->bank[bit / 32].go |= 1u << bit % 32;
    h->bank[bit / 32].asked |= 1u << bit % 32;
    set_line(h);
}

/* What it has read it may still do, and nobody would have the device if that were not heard. */
void bawn_slots_unask(struct bawn_slots *h, unsigned bit)
{
    struct bawn_slots_bank *bank = &h->bank[bit / 32];

    bank->asked &= ~(bank->go & 1u << bit % 32);
    bank->go &= ~(1u << bit % 32);
    set_line(h);
}

void bawn_slots_save(const struct bawn_slots *h, struct bawn_slots_state *state)
{
    for (unsigned i = 0; i < BAWN_HOTPLUG_BANKS; i++) {
        state->bank[i].came = h->bank[i].came;
        state->bank[i].asked = h->bank[i].asked;
        state->bank[i].here = h->bank[i].here;
    }
}

void bawn_slots_load(struct bawn_slots *h, const struct bawn_slots_state *state)
{
    if (!h->ioapic)
        return;
    for (unsigned i = 0; i < BAWN_HOTPLUG_BANKS; i++) {
        h->bank[i].came = state->bank[i].came;
        h->bank[i].asked = state->bank[i].asked;
        h->bank[i].here = state->bank[i].here;
    }
    set_line(h);
}

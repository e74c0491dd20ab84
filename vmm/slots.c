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
    bawn_ioapic_set(h->ioapic, BAWN_HOTPLUG_GSI, h->came || h->go);
}

static uint64_t slots_read(void *opaque, uint64_t off, unsigned len)
{
    struct bawn_slots *h = opaque;
    uint32_t *reg = off == BAWN_HOTPLUG_CAME ? &h->came : off == BAWN_HOTPLUG_GO ? &h->go : NULL;
    uint32_t val;

    if (!reg || len != sizeof(*reg))
        return 0;
    val = *reg;
    *reg = 0;
    set_line(h);
    return val;
}

static void slots_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
    struct bawn_slots *h = opaque;
    uint32_t gone = off == BAWN_HOTPLUG_GONE && len == sizeof(gone) ? (uint32_t)val & h->asked : 0;

    for (; gone; gone &= gone - 1) {
        unsigned slot = (unsigned)__builtin_ctz(gone);

        h->asked &= ~(1u << slot);
        h->go &= ~(1u << slot);
        h->came &= ~(1u << slot);
        h->gone(h->opaque, slot);
    }
    set_line(h);
}

static const struct bawn_bus_ops slots_ops = { slots_read, slots_write };

int bawn_slots_init(struct bawn_slots *h, struct bawn_bus *pio, struct bawn_ioapic *ioapic,
                    void (*gone)(void *, unsigned), void *opaque)
{
    *h = (struct bawn_slots){ .ioapic = ioapic, .gone = gone, .opaque = opaque };
    return bawn_bus_add(pio, BAWN_HOTPLUG_PORT, BAWN_HOTPLUG_SIZE, &slots_ops, h);
}

void bawn_slots_came(struct bawn_slots *h, unsigned slot)
{
    h->came |= 1u << slot;
    set_line(h);
}

void bawn_slots_ask(struct bawn_slots *h, unsigned slot)
{
    h->go |= 1u << slot;
    h->asked |= 1u << slot;
    set_line(h);
}

/* What it has read it may still do, and nobody would have the device if that were not heard. */
void bawn_slots_unask(struct bawn_slots *h, unsigned slot)
{
    h->asked &= ~(h->go & 1u << slot);
    h->go &= ~(1u << slot);
    set_line(h);
}

void bawn_slots_save(const struct bawn_slots *h, struct bawn_slots_state *state)
{
    *state = (struct bawn_slots_state){ h->came, h->asked };
}

void bawn_slots_load(struct bawn_slots *h, const struct bawn_slots_state *state)
{
    if (!h->ioapic)
        return;
    h->came = state->came;
    h->asked = state->asked;
    set_line(h);
}

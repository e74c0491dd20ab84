// SPDX-License-Identifier: Apache-2.0
/*
 * The I/O port and MMIO buses: a short table of ranges, searched in turn (an exit costs far
 * more than the search). Trusts neither address nor length.
 */
#include <errno.h>
#include <stddef.h>

#include "bus.h"

static uint64_t mask_of(unsigned len)
{
    return len >= 8 ? ~0ull : (1ull << (8 * len)) - 1;
}

int bawn_bus_add(struct bawn_bus *bus, uint64_t base, uint64_t size, const struct bawn_bus_ops *ops,
                 void *opaque)
{
    uint64_t end;

    if (!size || __builtin_add_overflow(base, size, &end))
        return -EINVAL;
    for (unsigned i = 0; i < bus->nr; i++) {
        const struct bawn_bus_range *r = &bus->range[i];

        if (base < r->base + r->size && r->base < end)
            return -EEXIST;
    }
    if (bus->nr == BAWN_BUS_MAX)
        return -ENOSPC;
    bus->range[bus->nr++] = (struct bawn_bus_range){ base, size, ops, opaque };
    return 0;
}

void bawn_bus_remove(struct bawn_bus *bus, uint64_t base)
{
    for (unsigned i = 0; i < bus->nr; i++) {
        if (bus->range[i].base == base) {
            bus->range[i] = bus->range[--bus->nr];
            return;
        }
    }
}

static const struct bawn_bus_range *find(const struct bawn_bus *bus, uint64_t addr, unsigned len)
{
    for (unsigned i = 0; i < bus->nr; i++) {
        const struct bawn_bus_range *r = &bus->range[i];

        if (addr >= r->base && addr - r->base < r->size && len <= r->size - (addr - r->base))
            return r;
    }
    return NULL;
}

uint64_t bawn_bus_read(const struct bawn_bus *bus, uint64_t addr, unsigned len)
{
    const struct bawn_bus_range *r;

    if (!len || len > 8)
        return ~0ull;
    r = find(bus, addr, len);
    if (!r)
        return mask_of(len);
    return r->ops->read(r->opaque, addr - r->base, len) & mask_of(len);
}

void bawn_bus_write(const struct bawn_bus *bus, uint64_t addr, unsigned len, uint64_t val)
{
    const struct bawn_bus_range *r;

    if (!len || len > 8)
        return;
    r = find(bus, addr, len);
    /* The handler may change the bus (a moved BAR): r is not used after the call. */
    if (r)
        r->ops->write(r->opaque, addr - r->base, len, val & mask_of(len));
}

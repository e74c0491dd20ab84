/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which device answers at an I/O port or a guest physical address.
 * Addresses, lengths and values come from the guest and are not trusted.
 */
#ifndef BAWN_VMM_BUS_H
#define BAWN_VMM_BUS_H

#include <stdint.h>

#define BAWN_BUS_MAX 48

/* off is relative to the range, off + len lies inside it, len is 1 to 8. Values are
 * little-endian in the low len bytes. */
struct bawn_bus_ops {
    uint64_t (*read)(void *opaque, uint64_t off, unsigned len);
    void (*write)(void *opaque, uint64_t off, unsigned len, uint64_t val);
};

struct bawn_bus_range {
    uint64_t base;
    uint64_t size;
    const struct bawn_bus_ops *ops;
    void *opaque; /* borrowed */
};

struct bawn_bus {
    struct bawn_bus_range range[BAWN_BUS_MAX];
    unsigned nr;
};

/* 0; -EINVAL empty or wrapping range; -EEXIST overlap; -ENOSPC bus full. */
int bawn_bus_add(struct bawn_bus *bus, uint64_t base, uint64_t size, const struct bawn_bus_ops *ops,
                 void *opaque);
/* Removes the range that starts at base. */
void bawn_bus_remove(struct bawn_bus *bus, uint64_t base);

/* An address that no device answers reads as ones and swallows writes. */
uint64_t bawn_bus_read(const struct bawn_bus *bus, uint64_t addr, unsigned len);
void bawn_bus_write(const struct bawn_bus *bus, uint64_t addr, unsigned len, uint64_t val);

#endif

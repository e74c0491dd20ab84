// SPDX-License-Identifier: Apache-2.0
/*
 * Attacks on registers: PCI configuration space, BARs, MSI-X, virtio's common configuration,
 * doorbells, ports and what is mapped nowhere.
 */
#include "hostile.h"

#define MSIX_CAP 0x11
#define LAPIC 0xfee00000ull
#define LEN(array) (sizeof(array) / sizeof((array)[0]))

/* Each width that stays in the page: an access across two ends the machine (docs/kvm-api.md). */
static bool fits(uint64_t at, unsigned len)
{
    return (at & 0xfff) + len <= 0x1000;
}

static void read_all(uint64_t at)
{
    r8(at);
    if (fits(at, 2))
        r16(at);
    if (fits(at, 4))
        r32(at);
    if (fits(at, 8))
        r64(at);
}

static void write_all(uint64_t at, uint64_t val)
{
    w8(at, val);
    if (fits(at, 2))
        w16(at, val);
    if (fits(at, 4))
        w32(at, val);
    if (fits(at, 8))
        w64(at, val);
}

static void config_space(const struct dev *d)
{
    static const uint32_t vals[] = { ~0u, 0, 0x55aa55aa };

    for (unsigned at = 0; at < 0x110; at++) {
        read_all(d->cfg + at);
        for (unsigned i = 0; i < LEN(vals); i++)
            write_all(d->cfg + at, vals[i]);
    }
    write_all(d->cfg + 0xfff, ~0u);
    for (unsigned function = 1; function < 8; function++) {
        read_all(d->cfg + (function << 12));
        write_all(d->cfg + (function << 12), ~0u);
    }
}

static void bus(const struct dev *d)
{
    if (d != &devs[0])
        return;
    for (uint64_t at = ECAM; at < ECAM + 0x110000; at += 0xff1) {
        read_all(at);
        if (at >= ECAM + 0x100000 || r16(at & ~0xfffull) != 0x1af4)
            write_all(at, random32());
    }
    for (unsigned at = 0; at < 0x100; at++)
        write_all(ECAM + at, ~0u); /* the bridge */
    read_all(ECAM + 0xffffd);
}

static const uint64_t places[] = {
    0,
    0x1000,
    RAM_END - 0x4000,
    RAM_END - 0x1000,
    RAM_END,
    PCI_WINDOW - 0x2000,
    PCI_WINDOW,
    0xdffff000,
    0xdfffc000,
    ECAM,
    0xfec00000,
    0xfed40000,
    LAPIC,
    0xffffc000,
    0xfffff000,
};

static void bars_moved(const struct dev *d)
{
    for (unsigned i = 0; i < LEN(places); i++) {
        for (unsigned bar = 0; bar < 2; bar++) {
            w32(d->cfg + 0x10 + 4 * bar, places[i]);
            if (places[i] >= RAM_END && places[i] != LAPIC)
                read_all(places[i]);
        }
        w16(d->cfg + 4, 0); /* and decoding off and on */
        w16(d->cfg + 4, 6);
    }
    for (unsigned i = 0; i < nr_devs; i++) { /* over another's, and over its own other one */
        w32(d->cfg + 0x10, devs[i].bar[0]);
        w32(d->cfg + 0x14, devs[i].bar[0] + 0x1000);
        read_all(devs[i].bar[0] + COMMON_STATUS);
        kick(&devs[i], 0);
    }
    put_back(d);
}

static void bars_shaken(const struct dev *d)
{
    start(d, 0);
    for (unsigned i = 0; i < 100; i++) {
        w16(d->cfg + 4, i % 2 ? 6 : 0);
        w32(d->cfg + 0x10, d->bar[0] ^ (i % 3 ? 0 : 0x8000));
        kick(d, 0);
    }
    put_back(d);
}

static uint64_t find_msix(const struct dev *d)
{
    uint8_t at = r8(d->cfg + 0x34);

    for (unsigned i = 0; at && i < 48; i++, at = r8(d->cfg + at + 1)) {
        if (r8(d->cfg + at) == MSIX_CAP)
            return d->cfg + at;
    }
    return 0;
}

/* Nothing goes to where an interrupt of ours would be a fault: no NMI, SMI or INIT to this CPU. */
static void msix_addresses(const struct dev *d)
{
    static const struct {
        uint64_t addr;
        uint32_t data;
    } entries[] = {
        { 0, 0 },
        { 0x1000, 0x4041 },
        { RAM_END - 1, ~0u },
        { ECAM + 0x10, 0x11 },
        { 0xfec00000, 0x20 },
        { 0xfed40000, 0x20 },
        { LAPIC, 0x00 }, /* a vector below 16 */
        { LAPIC, 0x0f },
        { LAPIC | 3, 0x20 },         /* not aligned */
        { LAPIC | 0xff000, 0x20 },   /* to all */
        { LAPIC | 0xfe000, 0x400 },  /* an NMI to nobody */
        { LAPIC | 0xff00c, 0x0300 }, /* reserved mode, logical */
        { LAPIC | 0x1234ull << 32, 0x20 },
        { ~0ull, ~0u },
        { 0x100000000ull, 0x20 },
    };
    uint64_t cap = find_msix(d);

    start(d, 0);
    w16(cap + 2, 0x8000);
    for (unsigned i = 0; i < LEN(entries); i++) {
        for (unsigned n = 0; n <= d->nr_queues; n++) {
            uint64_t at = d->bar[1] + 16 * n;

            w64(at, entries[i].addr);
            w64(at + 8, entries[i].data);
            w16(d->bar[0] + COMMON_Q_SELECT, n);
            w16(d->bar[0] + COMMON_Q_VECTOR, n);
        }
        w16(d->bar[0] + 0x10, d->nr_queues);
        rings[0].desc[0] = (struct desc){ ARENA, 64, WRITE, 0 };
        offer(d, 0, 0);
        answered(d, 0, rings[0].avail.idx, 40);
        if (r8(d->bar[0] + COMMON_STATUS) & NEEDS_RESET)
            start(d, 0);
    }
    w16(cap + 2, 0);
}

static void msix_masks(const struct dev *d)
{
    uint64_t cap = find_msix(d);

    start(d, 0);
    for (unsigned i = 0; i < 200; i++) {
        w16(cap + 2, random32() & 0xc000);
        w32(d->bar[1] + 16 * (random32() % 12) + 12, random32() & 1);
        w16(d->bar[0] + COMMON_Q_SELECT, random32() % 4);
        w16(d->bar[0] + COMMON_Q_VECTOR, random32() % 8);
        kick(d, 0);
    }
    w16(cap + 2, 0);
}

static void msix_table(const struct dev *d)
{
    for (unsigned at = 0; at < 0x1000; at += 13) {
        read_all(d->bar[1] + at);
        w8(d->bar[1] + at, 0xff);
        if (fits(at, 2))
            w16(d->bar[1] + at, 0xffff);
    }
    read_all(d->bar[1] + 0xffd);
    for (unsigned at = 0x100; at < 0x1000; at += 8)
        w64(d->bar[1] + at, ~0ull);
    write_all(d->bar[1] + 0xffd, ~0ull);
}

static void common_fields(const struct dev *d)
{
    for (unsigned i = 0; i < 1500; i++) {
        uint64_t at = d->bar[0] + random32() % (i % 8 ? COMMON_END : 0xff8);
        uint32_t val = i % 3 ? random32() % 32 : random32();

        switch (random32() % 5) {
        case 0:
            read_all(at);
            break;
        case 1:
            w8(at, val);
            break;
        case 2:
            w16(at, val);
            break;
        case 3:
            w32(at, val);
            break;
        default:
            w16(d->bar[0] + COMMON_Q_SELECT, val);
        }
    }
}

static void features(const struct dev *d)
{
    uint64_t at = d->bar[0];

    for (unsigned i = 0; i < 40; i++) {
        reset(d);
        set_status(d, i & 1 ? ACKNOWLEDGE | DRIVER : 0xff);
        for (unsigned half = 0; half < 4; half++) {
            w32(at + COMMON_GF_SELECT, half);
            w32(at + COMMON_GF, i < 20 ? random32() : ~0u);
        }
        set_status(d, random32());
        set_status(d, DRIVER_OK);
        w32(at + COMMON_GF, ~0u);
        kick(d, i % QUEUES);
    }
}

static void device_fields(const struct dev *d)
{
    for (unsigned at = 0; at < 0x60; at++) {
        read_all(d->bar[0] + BAR0_DEVICE + at);
        write_all(d->bar[0] + BAR0_DEVICE + at, d->id == ID_BALLOON ? 0 : ~0ull);
    }
    for (unsigned at = BAR0_ISR; at < BAR0_DEVICE; at += 511)
        read_all(d->bar[0] + at), write_all(d->bar[0] + at, ~0ull);
    read_all(d->bar[0] + BAR0_DEVICE - 3);
    write_all(d->bar[0] + BAR0_NOTIFY - 3, ~0ull);
}

static void doorbells(const struct dev *d)
{
    for (unsigned round = 0; round < 3; round++) {
        if (round == 0)
            reset(d);
        else
            start(d, 0);
        for (unsigned i = 0; i < 2000; i++) {
            uint64_t at = d->bar[0] + BAR0_NOTIFY;

            if (round == 2)
                at += random32() % 0xff8;
            else
                at += 4 * (i % (d->nr_queues + 1));
            w16(at, i);
            if (i % 16 == 0)
                write_all(at, i), read_all(at);
        }
    }
}

static void resets(const struct dev *d)
{
    for (unsigned i = 0; i < 60; i++) {
        start(d, i % 2 ? F_PACKED : 0);
        rings[0].desc[0] = (struct desc){ ARENA, 64, WRITE, 0 };
        offer(d, 0, 0);
        set_status(d, 0); /* and nobody waits for it */
        set_queue(d, 0, ARENA, ARENA, ARENA);
        set_status(d, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
        kick(d, 0);
        set_status(d, 0);
        set_status(d, 0);
    }
}

/* Four ports from here: power, panic, reset. */
static bool ends_the_machine(unsigned port)
{
    return (port > 0x5fc && port <= 0x600) || (port > 0x501 && port <= 0x505) ||
           (port > 0xcf5 && port <= 0xcf9);
}

static void ports(const struct dev *d)
{
    if (d != &devs[0])
        return;
    for (unsigned port = 0; port < 0x10000; port += port < 0x1000 ? 3 : 61) {
        if (port + 4 > 0x3f8 && port < 0x400) /* the serial port has what we say */
            continue;
        in8(port), in16(port), in32(port);
        if (ends_the_machine(port))
            continue;
        out8(port, random32()), out16(port, random32()), out32(port, random32());
    }
    for (unsigned port = 0x610; port < 0x620; port++) /* hot-plug, were it there */
        out32(port, ~0u), in32(port), out8(port, 0xff), in16(port);
}

static void nowhere(const struct dev *d)
{
    if (d != &devs[0])
        return;
    for (uint64_t at = PCI_WINDOW + 0x2000000; at < 0xffff0000; at += 0x107ff1) {
        if ((at & ~0xfffull) == LAPIC || (at >= ECAM && at < ECAM + 0x100000))
            continue;
        read_all(at);
        write_all(at, random32());
    }
    for (unsigned at = 0; at < 0x1000; at += 37) { /* the TPM's place, and the I/O APIC's */
        read_all(0xfed40000 + at);
        write_all(0xfed40000 + at, random32());
        read_all(0xfec00000 + at);
    }
}

static void ioapic(const struct dev *d)
{
    if (d != &devs[0])
        return;
    for (unsigned reg = 0; reg < 256; reg++) {
        w32(0xfec00000, reg);
        w32(0xfec00010, reg < 0x10 ? ~0u : reg % 2 ? random32() : 0x0001e000 | (reg & 0xff));
        r32(0xfec00010);
    }
    for (unsigned i = 0; i < 100; i++) { /* a line's mask and kind while a device drives it */
        w32(0xfec00000, 0x10 + 2 * (16 + i % 4));
        w32(0xfec00010, 0x8020 | (i % 2) << 16);
        kick(d, 0);
    }
    for (unsigned pin = 0; pin < 24; pin++) {
        w32(0xfec00000, 0x10 + 2 * pin);
        w32(0xfec00010, 0x10000);
    }
}

const struct attack register_attacks[] = {
    { "configuration space written everywhere", config_space },
    { "the bus and what is not on it", bus },
    { "BARs moved over memory, others and each other", bars_moved },
    { "BARs moved while the device is used", bars_shaken },
    { "MSI-X to odd addresses", msix_addresses },
    { "MSI-X masks shaken", msix_masks },
    { "MSI-X table and what is behind it", msix_table },
    { "common configuration at random", common_fields },
    { "features that were not offered, states out of order", features },
    { "device configuration and interrupt status", device_fields },
    { "doorbell storms", doorbells },
    { "resets without end", resets },
    { "every kind of port", ports },
    { "memory that is not there", nowhere },
    { "I/O APIC", ioapic },
    { 0, 0 },
};

// SPDX-License-Identifier: Apache-2.0
/*
 * PCI configuration space as bytes plus a mask of writable bits: sizing a BAR, read-only
 * fields and capabilities all fall out of the mask. Offsets and values come from the guest;
 * the caller holds the machine's lock.
 */
#include <errno.h>
#include <string.h>

#include <linux/pci_regs.h>

#include "launch.h"
#include "pci.h"

/* An identity that says nothing but "PCIe host bridge of a virtual machine". */
#define BRIDGE_VENDOR 0x1b36
#define BRIDGE_DEVICE 0x0008
#define BRIDGE_CLASS 0x060000

#define COMMAND_WRITABLE (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE)

uint32_t bawn_pci_get(const struct bawn_pci_dev *dev, unsigned off, unsigned len)
{
    uint32_t val = 0;

    for (unsigned i = 0; i < len && off + i < BAWN_PCI_CFG_SIZE; i++)
        val |= (uint32_t)dev->cfg[off + i] << (8 * i);
    return val;
}

void bawn_pci_put(struct bawn_pci_dev *dev, unsigned off, unsigned len, uint32_t val)
{
    for (unsigned i = 0; i < len && off + i < BAWN_PCI_CFG_SIZE; i++)
        dev->cfg[off + i] = val >> (8 * i);
}

void bawn_pci_dev_allow(struct bawn_pci_dev *dev, unsigned off, unsigned len, uint32_t mask)
{
    for (unsigned i = 0; i < len; i++)
        dev->writable[off + i] = mask >> (8 * i);
}

static void move_bar(struct bawn_pci_dev *dev, unsigned n)
{
    bool on = bawn_pci_get(dev, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY;
    struct bawn_pci_bar *bar = &dev->bar[n];
    uint64_t at = bawn_pci_get(dev, PCI_BASE_ADDRESS_0 + 4 * n, 4) & PCI_BASE_ADDRESS_MEM_MASK;

    if (!bar->size)
        return;
    /* Outside the window that ACPI gives the bus, a BAR answers nowhere. */
    if (!on || at < BAWN_PCI_MMIO_BASE || at + bar->size > BAWN_PCI_MMIO_BASE + BAWN_PCI_MMIO_SIZE)
        at = 0;
    if (at == bar->at)
        return;
    if (bar->at) {
        bawn_bus_remove(dev->bus->mmio, bar->at);
        dev->ops->bar_moved(dev, n, bar->at, false);
        bar->at = 0;
    }
    if (at && !bawn_bus_add(dev->bus->mmio, at, bar->size, bar->ops, dev->opaque)) {
        bar->at = at;
        dev->ops->bar_moved(dev, n, at, true);
    }
}

static void set_bits(struct bawn_pci_dev *dev, unsigned at, uint8_t val)
{
    dev->cfg[at] = (dev->cfg[at] & ~dev->writable[at]) | (val & dev->writable[at]);
}

static void written(struct bawn_pci_dev *dev)
{
    if (!dev->ops)
        return;
    for (unsigned n = 0; n < BAWN_PCI_BARS; n++)
        move_bar(dev, n);
    dev->ops->cfg_written(dev);
}

static void cfg_write(struct bawn_pci_dev *dev, unsigned off, unsigned len, uint32_t val)
{
    for (unsigned i = 0; i < len; i++)
        set_bits(dev, off + i, (uint8_t)(val >> (8 * i)));
    written(dev);
}

void bawn_pci_dev_load(struct bawn_pci_dev *dev, const uint8_t cfg[BAWN_PCI_CFG_SIZE])
{
    for (unsigned i = 0; i < BAWN_PCI_CFG_SIZE; i++)
        set_bits(dev, i, cfg[i]);
    written(dev);
}

/* ECAM (PCI Express base 5.0, section 7.2.2): bus, device, function, register. */
static struct bawn_pci_dev *ecam_find(struct bawn_pci *pci, uint64_t off)
{
    if ((off >> 12) & 7) /* one function each */
        return NULL;
    return pci->slot[(off >> 15) % BAWN_PCI_SLOTS];
}

static uint64_t ecam_read(void *opaque, uint64_t off, unsigned len)
{
    struct bawn_pci_dev *dev = ecam_find(opaque, off);
    unsigned reg = off & 0xfff;

    if (!dev || len > 4)
        return ~0ull;
    return bawn_pci_get(dev, reg, len); /* zero beyond: no extended capabilities */
}

static void ecam_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
    struct bawn_pci_dev *dev = ecam_find(opaque, off);
    unsigned reg = off & 0xfff;

    if (dev && len <= 4 && reg + len <= BAWN_PCI_CFG_SIZE)
        cfg_write(dev, reg, len, val);
}

static const struct bawn_bus_ops ecam_ops = { ecam_read, ecam_write };

int bawn_pci_init(struct bawn_pci *pci, struct bawn_bus *mmio)
{
    static const struct bawn_pci_id bridge = { .vendor = BRIDGE_VENDOR,
                                               .device = BRIDGE_DEVICE,
                                               .class = BRIDGE_CLASS };

    memset(pci, 0, sizeof(*pci));
    pci->mmio = mmio;
    bawn_pci_dev_init(&pci->bridge, &bridge, NULL, NULL);
    pci->slot[0] = &pci->bridge;
    return bawn_bus_add(mmio, BAWN_ECAM_BASE, BAWN_ECAM_SIZE, &ecam_ops, pci);
}

void bawn_pci_dev_init(struct bawn_pci_dev *dev, const struct bawn_pci_id *id,
                       const struct bawn_pci_ops *ops, void *opaque)
{
    memset(dev, 0, sizeof(*dev));
    dev->ops = ops;
    dev->opaque = opaque;
    dev->next_cap = PCI_STD_HEADER_SIZEOF;
    bawn_pci_put(dev, PCI_VENDOR_ID, 2, id->vendor);
    bawn_pci_put(dev, PCI_DEVICE_ID, 2, id->device);
    bawn_pci_put(dev, PCI_CLASS_REVISION, 4, id->class << 8 | id->revision);
    bawn_pci_put(dev, PCI_SUBSYSTEM_VENDOR_ID, 2, id->vendor);
    bawn_pci_put(dev, PCI_SUBSYSTEM_ID, 2, id->subsystem);
    bawn_pci_dev_allow(dev, PCI_COMMAND, 2, COMMAND_WRITABLE);
    bawn_pci_dev_allow(dev, PCI_INTERRUPT_LINE, 1, 0xff);
}

void bawn_pci_dev_bar(struct bawn_pci_dev *dev, unsigned bar, uint32_t size,
                      const struct bawn_bus_ops *ops)
{
    dev->bar[bar].size = size;
    dev->bar[bar].ops = ops;
    bawn_pci_dev_allow(dev, PCI_BASE_ADDRESS_0 + 4 * bar, 4, ~(size - 1));
}

unsigned bawn_pci_dev_cap(struct bawn_pci_dev *dev, const void *cap, unsigned len)
{
    unsigned at = dev->next_cap;

    memcpy(&dev->cfg[at], cap, len);
    dev->cfg[at + PCI_CAP_LIST_NEXT] = 0;
    dev->cfg[dev->last_cap ? dev->last_cap + PCI_CAP_LIST_NEXT : PCI_CAPABILITY_LIST] = at;
    dev->cfg[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
    dev->last_cap = at;
    dev->next_cap = (at + len + 3) & ~3u;
    return at;
}

int bawn_pci_plug(struct bawn_pci *pci, struct bawn_pci_dev *dev, unsigned slot)
{
    uint32_t at = (uint32_t)BAWN_PCI_MMIO_BASE + slot * BAWN_PCI_SLOT_BARS;

    if (slot >= BAWN_PCI_SLOTS || pci->slot[slot])
        return -EBUSY;
    for (unsigned n = 0; n < BAWN_PCI_BARS; n++) {
        uint32_t size = dev->bar[n].size;

        if (!size)
            continue;
        at = (at + size - 1) & ~(size - 1);
        bawn_pci_put(dev, PCI_BASE_ADDRESS_0 + 4 * n, 4, at);
        at += size;
    }
    dev->bus = pci;
    dev->slot = slot;
    pci->slot[slot] = dev;
    return 0;
}

void bawn_pci_unplug(struct bawn_pci_dev *dev)
{
    bawn_pci_put(dev, PCI_COMMAND, 2, 0);
    for (unsigned n = 0; n < BAWN_PCI_BARS; n++)
        move_bar(dev, n);
    dev->bus->slot[dev->slot] = NULL;
}

bool bawn_pci_intx(struct bawn_pci_dev *dev, bool level)
{
    uint32_t *line = &dev->bus->intx[BAWN_PCI_GSI(dev->slot, 0) - BAWN_PCI_GSI_BASE];

    *line = level ? *line | 1u << dev->slot : *line & ~(1u << dev->slot);
    return *line;
}

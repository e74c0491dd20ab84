/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI bus 0: configuration space by ECAM, type 0 headers, BARs that follow what the guest
 * writes. Each device is one function.
 */
#ifndef BAWN_VMM_PCI_H
#define BAWN_VMM_PCI_H

#include <stdbool.h>
#include <stdint.h>

#include "bus.h"

#define BAWN_PCI_SLOTS 32
#define BAWN_PCI_CFG_SIZE 256
#define BAWN_PCI_BARS 2              /* 32-bit memory BARs; none of our devices needs more */
#define BAWN_PCI_SLOT_BARS 0x100000u /* where they are of themselves: so much for each slot */

struct bawn_pci_dev;

struct bawn_pci_ops {
    /* The device's BAR is now at gpa (on), or no longer (!on). */
    void (*bar_moved)(struct bawn_pci_dev *dev, unsigned bar, uint64_t gpa, bool on);
    /* The guest wrote to the configuration space. */
    void (*cfg_written)(struct bawn_pci_dev *dev);
};

struct bawn_pci_bar {
    uint32_t size; /* power of two of at least 4096; 0: no BAR */
    const struct bawn_bus_ops *ops;
    uint64_t at; /* where it answers; 0: nowhere */
};

struct bawn_pci_dev {
    const struct bawn_pci_ops *ops; /* NULL for the host bridge */
    void *opaque;                   /* borrowed, for the BARs' bus ops */
    struct bawn_pci *bus;           /* borrowed */
    unsigned slot;
    uint8_t cfg[BAWN_PCI_CFG_SIZE];
    uint8_t writable[BAWN_PCI_CFG_SIZE]; /* which bits the guest may change */
    unsigned next_cap;                   /* where the next capability goes */
    unsigned last_cap;                   /* the previous one, or 0 */
    struct bawn_pci_bar bar[BAWN_PCI_BARS];
};

struct bawn_pci {
    struct bawn_bus *mmio;                     /* borrowed */
    struct bawn_pci_dev *slot[BAWN_PCI_SLOTS]; /* borrowed */
    struct bawn_pci_dev bridge;
    uint32_t intx[4]; /* which slots drive each of the four shared lines */
};

struct bawn_pci_id {
    uint16_t vendor;
    uint16_t device;
    uint16_t subsystem;
    uint8_t revision;
    uint32_t class; /* class, subclass, interface */
};

/* Puts ECAM on the MMIO bus and the host bridge into slot 0. 0 or -errno. */
int bawn_pci_init(struct bawn_pci *pci, struct bawn_bus *mmio);

/* A device's life: init, then BARs and capabilities, then plug. */
void bawn_pci_dev_init(struct bawn_pci_dev *dev, const struct bawn_pci_id *id,
                       const struct bawn_pci_ops *ops, void *opaque);
void bawn_pci_dev_bar(struct bawn_pci_dev *dev, unsigned bar, uint32_t size,
                      const struct bawn_bus_ops *ops);
/* Appends a capability of len bytes (its id and next bytes included) and returns where it is. */
unsigned bawn_pci_dev_cap(struct bawn_pci_dev *dev, const void *cap, unsigned len);
/* Places the BARs (memory decoding off) and makes the device visible. 0 or -errno. */
int bawn_pci_plug(struct bawn_pci *pci, struct bawn_pci_dev *dev, unsigned slot);
/* It is there no longer, nor are its BARs. */
void bawn_pci_unplug(struct bawn_pci_dev *dev);

/* Has the configuration space be as a guest's writes of these bytes would leave it. */
void bawn_pci_dev_load(struct bawn_pci_dev *dev, const uint8_t cfg[BAWN_PCI_CFG_SIZE]);

/* Drives the device's INTA, which other slots share; gives the level of the line. */
bool bawn_pci_intx(struct bawn_pci_dev *dev, bool level);

/* Lets the guest write the bits of mask in the len bytes at off. */
void bawn_pci_dev_allow(struct bawn_pci_dev *dev, unsigned off, unsigned len, uint32_t mask);

/* Little-endian fields of the configuration space. */
uint32_t bawn_pci_get(const struct bawn_pci_dev *dev, unsigned off, unsigned len);
void bawn_pci_put(struct bawn_pci_dev *dev, unsigned off, unsigned len, uint32_t val);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio driver for tests of devices: a machine with one device in slot 4, queues of 16 whose
 * rings stand at fixed places, and chains offered one by one.
 */
#ifndef BAWN_TEST_DRIVER_H
#define BAWN_TEST_DRIVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "fake_wires.h"
#include "join.h"
#include "virtio.h"
#include "virtio_devices.h"

#define SLOT 4
#define CFG (BAWN_ECAM_BASE + SLOT * 0x8000)
#define RAM_SIZE (4ull << 20)
#define QUEUE 16
#define NEEDS_RESET 0x40
/* Of queue q. */
#define DESC_AT(q) (0x10000ull + (q)*0x3000)
#define AVAIL_AT(q) (DESC_AT(q) + 0x1000)
#define USED_AT(q) (DESC_AT(q) + 0x2000)

static struct {
    struct bawn_mem mem;
    struct bawn_bus mmio;
    struct bawn_wires wires;
    struct bawn_ioapic ioapic;
    pthread_mutex_t lock;
    struct bawn_loop loop;
    struct bawn_pci pci;
    struct bawn_virtio virtio;
    uint64_t bar;
    uint16_t next_desc[BAWN_VIRTIO_QUEUES];
    uint16_t seen[BAWN_VIRTIO_QUEUES]; /* used entries that the test has looked at */
} m;

static inline struct bawn_vdev_host machine_create(void)
{
    const struct bawn_ram ram = { 0, RAM_SIZE };

    memset(&m, 0, sizeof(m));
    pthread_mutex_init(&m.lock, NULL);
    assert_int_equal(bawn_mem_create(&m.mem, &ram, 1, true, NULL), BAWN_OK);
    fake_wires_init(&m.wires);
    bawn_ioapic_init(&m.ioapic, &m.wires);
    assert_int_equal(bawn_loop_init(&m.loop, &m.lock), 0);
    assert_int_equal(bawn_pci_init(&m.pci, &m.mmio), 0);
    return (struct bawn_vdev_host){ &m.mem, &m.loop };
}

static inline void machine_plug(struct bawn_vdev *dev)
{
    const struct bawn_virtio_host host = { &m.wires, &m.ioapic, &m.loop, &m.pci, false };

    assert_int_equal(bawn_virtio_init(&m.virtio, dev, &host, SLOT), 0);
    join(&m.virtio, dev);
}

static inline void machine_destroy(void)
{
    bawn_loop_destroy(&m.loop);
    bawn_mem_destroy(&m.mem);
}

static inline void *ram(uint64_t gpa)
{
    return bawn_mem_at(&m.mem, gpa, 1);
}

static inline void reg(unsigned off, unsigned len, uint32_t val)
{
    bawn_bus_write(&m.mmio, m.bar + off, len, val);
}

static inline uint64_t config(unsigned off, unsigned len)
{
    return bawn_bus_read(&m.mmio, m.bar + 0x2000 + off, len);
}

static inline uint8_t device_status(void)
{
    return (uint8_t)bawn_bus_read(&m.mmio, m.bar + VIRTIO_PCI_COMMON_STATUS, 1);
}

static inline uint64_t offered(void)
{
    uint64_t low;

    reg(VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
    low = bawn_bus_read(&m.mmio, m.bar + VIRTIO_PCI_COMMON_DF, 4);
    reg(VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
    return low | bawn_bus_read(&m.mmio, m.bar + VIRTIO_PCI_COMMON_DF, 4) << 32;
}

/* A driver's steps up to DRIVER_OK; gives the status that the device then shows. */
static inline uint8_t driver_start(unsigned queues, uint64_t features)
{
    bawn_bus_write(&m.mmio, CFG + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    m.bar = bawn_bus_read(&m.mmio, CFG + PCI_BASE_ADDRESS_0, 4);
    reg(VIRTIO_PCI_COMMON_STATUS, 1, 0);
    reg(VIRTIO_PCI_COMMON_STATUS, 1, 3);
    reg(VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
    reg(VIRTIO_PCI_COMMON_GF, 4, (uint32_t)features);
    reg(VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
    reg(VIRTIO_PCI_COMMON_GF, 4, (uint32_t)(features >> 32));
    reg(VIRTIO_PCI_COMMON_STATUS, 1, 11);
    for (unsigned q = 0; q < queues; q++) {
        memset(ram(DESC_AT(q)), 0, 0x3000);
        m.next_desc[q] = m.seen[q] = 0;
        reg(VIRTIO_PCI_COMMON_Q_SELECT, 2, q);
        reg(VIRTIO_PCI_COMMON_Q_SIZE, 2, QUEUE);
        reg(VIRTIO_PCI_COMMON_Q_DESCLO, 4, (uint32_t)DESC_AT(q));
        reg(VIRTIO_PCI_COMMON_Q_AVAILLO, 4, (uint32_t)AVAIL_AT(q));
        reg(VIRTIO_PCI_COMMON_Q_USEDLO, 4, (uint32_t)USED_AT(q));
        reg(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
    }
    reg(VIRTIO_PCI_COMMON_STATUS, 1, 15);
    return device_status();
}

struct part {
    uint64_t gpa;
    uint32_t len;
    bool write;
};

/* Offers a chain without ringing the bell. */
static inline void offer(unsigned q, const struct part *parts, unsigned nr)
{
    struct vring_desc *desc = ram(DESC_AT(q));
    uint16_t *avail = ram(AVAIL_AT(q));
    uint16_t head = m.next_desc[q] % QUEUE;

    for (unsigned i = 0; i < nr; i++) {
        uint16_t at = m.next_desc[q]++ % QUEUE;

        desc[at] = (struct vring_desc){
            .addr = parts[i].gpa,
            .len = parts[i].len,
            .flags = (uint16_t)((parts[i].write ? VRING_DESC_F_WRITE : 0) |
                                (i + 1 < nr ? VRING_DESC_F_NEXT : 0)),
            .next = m.next_desc[q] % QUEUE,
        };
    }
    avail[2 + avail[1] % QUEUE] = head;
    avail[1]++;
}

static inline void ring_bell(unsigned q)
{
    reg(0x3000 + q * 4, 2, q);
    turn_loop(&m.loop);
}

/* Entries of the used ring that are new; *len of the last one. */
static inline unsigned used(unsigned q, uint32_t *len)
{
    const uint16_t *idx = ram(USED_AT(q) + 2);
    unsigned n = (uint16_t)(*idx - m.seen[q]);

    m.seen[q] = *idx;
    if (n && len)
        *len = *(uint32_t *)ram(USED_AT(q) + 4 + ((*idx - 1u) % QUEUE) * 8 + 4);
    return n;
}

#endif

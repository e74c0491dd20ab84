// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/virtio.c, vmm/vdev.c and vmm/pci.c with the entropy device: a driver's ordinary steps through
 * ECAM and the BARs, MSI-X and INTx, and a driver that writes anything anywhere; a device that is
 * slow to stop. The console's input.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "fake_wires.h"
#include "join.h"
#include "virtio.h"
#include "virtio_devices.h"

#define SLOT 2
#define CFG (BAWN_ECAM_BASE + SLOT * 0x8000)
#define RAM_SIZE (4ull << 20)
#define QUEUE 16
#define NEEDS_RESET 0x40

static struct {
    struct bawn_mem mem;
    struct bawn_bus mmio;
    struct bawn_wires wires;
    struct bawn_ioapic ioapic;
    pthread_mutex_t lock;
    struct bawn_loop loop;
    struct bawn_pci pci;
    struct bawn_virtio virtio;
    struct bawn_vdev rng;
    uint64_t bar[2];
} m;

static uint64_t rd(uint64_t addr, unsigned len)
{
    return bawn_bus_read(&m.mmio, addr, len);
}

static void wr(uint64_t addr, unsigned len, uint64_t val)
{
    bawn_bus_write(&m.mmio, addr, len, val);
}

static void plug(struct bawn_virtio *v, struct bawn_vdev *dev, unsigned slot)
{
    const struct bawn_virtio_host host = { &m.wires, &m.ioapic, &m.loop, &m.pci, false };

    assert_int_equal(bawn_virtio_init(v, dev, &host, slot), 0);
    join(v, dev);
}

static int setup(void **state)
{
    const struct bawn_ram ram = { 0, RAM_SIZE };
    const struct bawn_vdev_host host = { &m.mem, &m.loop };

    (void)state;
    memset(&m, 0, sizeof(m));
    pthread_mutex_init(&m.lock, NULL);
    assert_int_equal(bawn_mem_create(&m.mem, &ram, 1, true, NULL), BAWN_OK);
    fake_wires_init(&m.wires);
    bawn_ioapic_init(&m.ioapic, &m.wires);
    assert_int_equal(bawn_loop_init(&m.loop, &m.lock), 0);
    assert_int_equal(bawn_pci_init(&m.pci, &m.mmio), 0);
    assert_int_equal(bawn_virtio_rng_init(&m.rng, &host), 0);
    plug(&m.virtio, &m.rng, SLOT);
    wr(CFG + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    m.bar[0] = rd(CFG + PCI_BASE_ADDRESS_0, 4);
    m.bar[1] = rd(CFG + PCI_BASE_ADDRESS_1, 4);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bawn_vdev_destroy(&m.rng);
    bawn_loop_destroy(&m.loop);
    bawn_mem_destroy(&m.mem);
    return 0;
}

static void common(unsigned off, unsigned len, uint32_t val)
{
    wr(m.bar[0] + off, len, val);
}

static uint8_t status(void)
{
    return rd(m.bar[0] + VIRTIO_PCI_COMMON_STATUS, 1);
}

static void start(uint64_t desc)
{
    common(VIRTIO_PCI_COMMON_STATUS, 1, 0);
    common(VIRTIO_PCI_COMMON_STATUS, 1, 3);
    common(VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
    common(VIRTIO_PCI_COMMON_GF, 4, 1);
    common(VIRTIO_PCI_COMMON_STATUS, 1, 11);
    assert_int_equal(status(), 11);
    common(VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
    common(VIRTIO_PCI_COMMON_Q_SIZE, 2, QUEUE);
    common(VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
    common(VIRTIO_PCI_COMMON_Q_DESCLO, 4, desc);
    common(VIRTIO_PCI_COMMON_Q_DESCHI, 4, desc >> 32);
    common(VIRTIO_PCI_COMMON_Q_AVAILLO, 4, 0x2000);
    common(VIRTIO_PCI_COMMON_Q_USEDLO, 4, 0x3000);
    common(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
    common(VIRTIO_PCI_COMMON_STATUS, 1, 15);
}

/* Asks for 32 random bytes at 0x4000 and rings the bell. */
static void request(uint64_t addr)
{
    struct vring_desc *desc = bawn_mem_at(&m.mem, 0x1000, 16);
    uint16_t *avail = bawn_mem_at(&m.mem, 0x2000, 64);

    *desc = (struct vring_desc){ addr, 32, VRING_DESC_F_WRITE, 0 };
    avail[2 + avail[1] % QUEUE] = 0;
    avail[1]++;
    wr(m.bar[0] + 0x3000, 2, 0);
    turn_loop(&m.loop);
}

static void test_configuration(void **state)
{
    (void)state;
    assert_int_equal(rd(CFG, 4), 0x10441af4);
    assert_int_equal(rd(BAWN_ECAM_BASE, 4), 0x00081b36);
    assert_int_equal(rd(BAWN_ECAM_BASE + 0x8000, 4), 0xffffffff); /* empty slot */
    assert_int_equal(rd(CFG + 0x1000, 4), 0xffffffff);            /* second function */
    assert_int_equal(rd(CFG + 0x100, 4), 0);                      /* extended capabilities */
    wr(CFG, 4, 0);
    assert_int_equal(rd(CFG, 4), 0x10441af4);
    wr(CFG + PCI_BASE_ADDRESS_0, 4, ~0u);
    assert_int_equal(rd(CFG + PCI_BASE_ADDRESS_0, 4), 0xffffc000);
}

static void test_bar_moves(void **state)
{
    (void)state;
    assert_int_equal(wired.doorbells, 1);
    wr(CFG + PCI_BASE_ADDRESS_0, 4, BAWN_PCI_MMIO_BASE + 0x100000);
    assert_int_equal(wired.doorbells, 1);
    assert_int_equal(rd(m.bar[0] + VIRTIO_PCI_COMMON_NUMQ, 2), 0xffff);
    assert_int_equal(rd(BAWN_PCI_MMIO_BASE + 0x100000 + VIRTIO_PCI_COMMON_NUMQ, 2), 1);
    wr(CFG + PCI_BASE_ADDRESS_0, 4, BAWN_ECAM_BASE); /* outside the window: nowhere */
    assert_int_equal(wired.doorbells, 0);
    wr(CFG + PCI_BASE_ADDRESS_0, 4, 0x1000);
    wr(CFG + PCI_BASE_ADDRESS_0, 4, (uint32_t)m.bar[1] & ~0x3fffu); /* over the other BAR */
    assert_int_equal(wired.doorbells, 0);
    wr(CFG + PCI_COMMAND, 2, 0);
    assert_int_equal(rd(m.bar[1], 4), 0xffffffff);
}

static void test_intx(void **state)
{
    (void)state;
    start(0x1000);
    request(0x4000);
    assert_int_equal(m.ioapic.lines, 1u << BAWN_PCI_GSI(SLOT, 0));
    assert_int_equal(rd(m.bar[0] + 0x1000, 1), 1);
    assert_int_equal(m.ioapic.lines, 0);
    assert_int_equal(*(uint16_t *)bawn_mem_at(&m.mem, 0x3002, 2), 1);
    assert_int_equal(*(uint32_t *)bawn_mem_at(&m.mem, 0x3008, 4), 32);
}

static void msix_on(void)
{
    wr(CFG + m.virtio.msix_cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
    wr(m.bar[1] + 16, 8, 0xfee01000);
    wr(m.bar[1] + 24, 4, 0x55);
}

static void test_msix(void **state)
{
    unsigned gsi = m.virtio.gsi, nr_msi = wired.nr_msi;
    eventfd_t n;

    (void)state;
    msix_on();
    start(0x1000);
    request(0x4000); /* vector 1 is masked: pending */
    assert_int_equal(rd(m.bar[1] + 0x800, 4), 2);
    assert_int_equal(wired.nr_msi, nr_msi);
    wr(m.bar[1] + 28, 4, 0);
    assert_int_equal(wired.nr_msi, nr_msi + 1);
    assert_int_equal(wired.addr, 0xfee01000);
    assert_int_equal(wired.data, 0x55);
    assert_int_equal(rd(m.bar[1] + 0x800, 4), 0);
    /* From now on the module hears the device itself. */
    assert_true(wired.gsi[gsi].on);
    assert_int_equal(wired.gsi[gsi].addr, 0xfee01000);
    assert_int_equal(wired.gsi[gsi].data, 0x55);
    assert_int_equal(wired.gsi[gsi].fd, m.rng.call_fd[0]);
    request(0x4000);
    assert_int_equal(eventfd_read(m.rng.call_fd[0], &n), 0);
    assert_int_equal(wired.nr_msi, nr_msi + 1);
    assert_int_equal(m.ioapic.lines, 0);
    wr(m.bar[1] + 28, 4, 1); /* until it is masked again */
    assert_int_equal(wired.gsi[gsi].fd, -1);
    request(0x4000);
    assert_int_equal(rd(m.bar[1] + 0x800, 4), 2);
    wr(m.bar[1] + 28, 4, 0);
    assert_int_equal(wired.gsi[gsi].fd, m.rng.call_fd[0]);
    common(VIRTIO_PCI_COMMON_STATUS, 1, 0); /* a reset takes the vectors from the queues */
    assert_int_equal(wired.gsi[gsi].fd, -1);
}

/* A queue's vector may change while it runs; the table may be switched off. */
static void test_vector_moves(void **state)
{
    unsigned gsi = m.virtio.gsi;

    (void)state;
    msix_on();
    wr(m.bar[1] + 28, 4, 0);
    start(0x1000);
    assert_int_equal(wired.gsi[gsi].fd, m.rng.call_fd[0]);
    common(VIRTIO_PCI_COMMON_Q_MSIX, 2, 0); /* a masked one */
    assert_int_equal(wired.gsi[gsi].fd, -1);
    wr(m.bar[1] + 0, 8, 0xfee02000);
    wr(m.bar[1] + 8, 4, 0x66);
    wr(m.bar[1] + 12, 4, 0);
    assert_int_equal(wired.gsi[gsi].fd, m.rng.call_fd[0]);
    assert_int_equal(wired.gsi[gsi].data, 0x66);
    wr(CFG + m.virtio.msix_cap + PCI_MSIX_FLAGS, 2, 0);
    assert_int_equal(wired.gsi[gsi].fd, -1);
    request(0x4000);
    assert_int_equal(m.ioapic.lines, 1u << BAWN_PCI_GSI(SLOT, 0));
}

/* What would be a third vector is not there, and no GSI belongs to it. */
static void test_msix_table_ends(void **state)
{
    (void)state;
    assert_int_equal(m.wires.next_gsi, m.virtio.gsi + 1);
    wr(CFG + m.virtio.msix_cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
    wr(m.bar[1] + 32, 8, 0xfee01000);
    wr(m.bar[1] + 40, 8, 0x55);
    assert_int_equal(rd(m.bar[1] + 32, 8), 0);
    common(VIRTIO_PCI_COMMON_MSIX, 2, 2);
    assert_int_equal(rd(m.bar[0] + VIRTIO_PCI_COMMON_MSIX, 2), 0xffff);
}

static struct bawn_vdev_start given;
static unsigned nr_stops;

static void slow_start(void *opaque, const struct bawn_vdev_start *start)
{
    (void)opaque;
    given = *start;
}

static void slow_stop(void *opaque)
{
    (void)opaque;
    nr_stops++;
}

/* A reset is done when the device has stopped; until then the driver sees the old status, and what
 * it writes is lost. */
static void test_slow_device(void **state)
{
    static const struct bawn_virtio_down slow = { slow_start, slow_stop, NULL };

    (void)state;
    bawn_virtio_connect(&m.virtio, &slow, NULL);
    start(0x1000);
    assert_int_equal(given.features, 1ull << 32);
    assert_true(given.queue[0].enabled);
    assert_int_equal(given.queue[0].desc, 0x1000);
    assert_int_equal(given.queue[0].avail, 0x2000);
    assert_int_equal(given.queue[0].used, 0x3000);
    assert_int_equal(given.queue[0].size, QUEUE);
    bawn_virtio_stopped(&m.virtio); /* that nobody asked for */
    assert_int_equal(status(), 15);
    common(VIRTIO_PCI_COMMON_STATUS, 1, 0);
    common(VIRTIO_PCI_COMMON_STATUS, 1, 0);
    assert_int_equal(nr_stops, 1);
    assert_int_equal(status(), 15);
    common(VIRTIO_PCI_COMMON_STATUS, 1, 3);
    bawn_virtio_stopped(&m.virtio);
    assert_int_equal(status(), 0);
    start(0x1000);
    assert_int_equal(status(), 15);
    bawn_virtio_broken(&m.virtio);
    assert_true(status() & NEEDS_RESET);
    join(&m.virtio, &m.rng);
}

/* The device's configuration changes: the driver sees another generation, and hears of it. */
static void test_configuration_changes(void **state)
{
    uint8_t gen = rd(m.bar[0] + VIRTIO_PCI_COMMON_CFGGENERATION, 1);
    const uint32_t config = 7;

    (void)state;
    bawn_virtio_config(&m.virtio, &config, sizeof(config)); /* there is none */
    assert_int_equal(rd(m.bar[0] + VIRTIO_PCI_COMMON_CFGGENERATION, 1), gen);
    m.virtio.config_len = sizeof(config);
    start(0x1000);
    bawn_virtio_config(&m.virtio, &config, sizeof(config));
    assert_int_equal(rd(m.bar[0] + VIRTIO_PCI_COMMON_CFGGENERATION, 1), (uint8_t)(gen + 1));
    assert_int_equal(rd(m.bar[0] + 0x2000, 4), 7);
    assert_int_equal(rd(m.bar[0] + 0x1000, 1), 2);
}

static unsigned nr_quits;

static void quit(void *opaque)
{
    (void)opaque;
    nr_quits++;
}

static void test_console_input(void **state)
{
    const struct bawn_vdev_host host = { &m.mem, &m.loop };
    struct bawn_virtio_console c = { .stream = NULL };
    struct bawn_virtio v;
    struct bawn_stream stream = { .out_fd = -1, .raw = true };
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    stream.in_fd = fds[0];
    assert_int_equal(bawn_virtio_console_init(&c, &host, &stream, quit, NULL), 0);
    plug(&v, &c.vdev, 1);
    wr(CFG - 0x8000 + PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    m.bar[0] = rd(CFG - 0x8000 + PCI_BASE_ADDRESS_0, 4);
    start(0x1000);
    assert_false(m.loop.watch[c.input_watch].on);
    request(0x4000);
    assert_true(m.loop.watch[c.input_watch].on);
    assert_int_equal(write(fds[1], "a\001xb", 4), 4);
    m.loop.watch[c.input_watch].fn(&c);
    assert_int_equal(nr_quits, 1);
    assert_int_equal(*(uint32_t *)bawn_mem_at(&m.mem, 0x3008, 4), 2);
    /* The escape never stood in the guest's memory. */
    assert_memory_equal(bawn_mem_at(&m.mem, 0x4000, 5), "ab\0\0", 5);
    m.loop.watch[c.input_watch].fn(&c); /* no buffer */
    assert_false(m.loop.watch[c.input_watch].on);
    bawn_vdev_destroy(&c.vdev);
    close(fds[0]);
    close(fds[1]);
}

static void test_bad_queue_needs_reset(void **state)
{
    (void)state;
    start(0xffff000000001000); /* a table outside RAM */
    assert_true(status() & NEEDS_RESET);
    start(0x1000);
    assert_false(status() & NEEDS_RESET);
    request(RAM_SIZE); /* a buffer outside RAM */
    assert_true(status() & NEEDS_RESET);
    assert_int_equal(rd(m.bar[0] + 0x1000, 1), 2); /* told by a configuration interrupt */
    request(0x4000);
    assert_int_equal(*(uint16_t *)bawn_mem_at(&m.mem, 0x3002, 2), 0);
}

static void test_features_are_checked(void **state)
{
    (void)state;
    common(VIRTIO_PCI_COMMON_STATUS, 1, 3);
    common(VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
    common(VIRTIO_PCI_COMMON_GF, 4, 1u << 28);
    common(VIRTIO_PCI_COMMON_STATUS, 1, 15);
    assert_int_equal(status(), 3); /* neither FEATURES_OK nor DRIVER_OK */
}

/* A confidential guest's driver must say what the device may see. */
static void test_access_platform(void **state)
{
    static const struct {
        uint32_t high;
        uint8_t status;
    } cases[] = { { 1, 3 }, { 2, 3 }, { 3, 11 }, { 7, 11 }, { 11, 3 } };

    (void)state;
    m.virtio.host.access_platform = true;
    common(VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
    assert_int_equal(rd(m.bar[0] + VIRTIO_PCI_COMMON_DF, 4), 7); /* and VERSION_1, packed */
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        common(VIRTIO_PCI_COMMON_STATUS, 1, 0);
        common(VIRTIO_PCI_COMMON_STATUS, 1, 3);
        common(VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
        common(VIRTIO_PCI_COMMON_GF, 4, cases[i].high);
        common(VIRTIO_PCI_COMMON_STATUS, 1, 11);
        assert_int_equal(status(), cases[i].status);
    }
    m.virtio.host.access_platform = false; /* a plain guest is not offered it */
    common(VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
    assert_int_equal(rd(m.bar[0] + VIRTIO_PCI_COMMON_DF, 4), 5);
}

/* Slots 2 and 6 share a line: it falls when both let go of it. */
static void test_shared_intx(void **state)
{
    const struct bawn_vdev_host host = { &m.mem, &m.loop };
    uint64_t first = m.bar[0];
    struct bawn_vdev other;
    struct bawn_virtio v;

    (void)state;
    start(0x1000);
    request(0x4000);
    assert_int_equal(bawn_virtio_rng_init(&other, &host), 0);
    plug(&v, &other, SLOT + 4);
    assert_int_equal(m.ioapic.lines, 1u << BAWN_PCI_GSI(SLOT, 0));
    wr(CFG + 4 * 0x8000 + PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    m.bar[0] = rd(CFG + 4 * 0x8000 + PCI_BASE_ADDRESS_0, 4);
    start(0x1000);
    request(0x4000);
    assert_int_equal(rd(m.bar[0] + 0x1000, 1), 1);
    assert_int_equal(m.ioapic.lines, 1u << BAWN_PCI_GSI(SLOT, 0));
    assert_int_equal(rd(first + 0x1000, 1), 1);
    assert_int_equal(m.ioapic.lines, 0);
    bawn_vdev_destroy(&other);
}

/* A device that leaves while it is used, with a vector that is wired and a line that is high, and
 * comes again: nothing of before is left, and no descriptor is new. */
static void test_unplug(void **state)
{
    unsigned gsi = m.virtio.gsi, watches = m.loop.nr;
    struct bawn_vdev_ops two_queues = *m.rng.ops;
    uint64_t first = m.bar[0];

    (void)state;
    start(0x1000);
    request(0x4000); /* the line is high */
    assert_int_equal(m.ioapic.lines, 1u << BAWN_PCI_GSI(SLOT, 0));
    msix_on();
    wr(m.bar[1] + 28, 4, 0); /* not masked */
    assert_int_equal(wired.gsi[gsi].fd, m.rng.call_fd[0]);
    wr(CFG + PCI_BASE_ADDRESS_0, 4, BAWN_PCI_MMIO_BASE + 0x10000000);
    assert_int_equal(bawn_virtio_replug(&m.virtio, &m.rng), -EBUSY);
    bawn_virtio_unplug(&m.virtio);
    assert_int_equal(m.ioapic.lines, 0);
    assert_int_equal(wired.gsi[gsi].fd, -1);
    assert_int_equal(wired.doorbells, 0);
    assert_int_equal(rd(CFG, 4), 0xffffffff);
    assert_int_equal(rd(BAWN_PCI_MMIO_BASE + 0x10000000, 4), 0xffffffff);
    eventfd_write(m.rng.call_fd[0], 1); /* its last words */
    turn_loop(&m.loop);
    assert_int_equal(m.ioapic.lines, 0);
    /* Another kind of device, and the same one. */
    two_queues.nr_queues = 2;
    m.rng.ops = &two_queues;
    assert_int_equal(bawn_virtio_replug(&m.virtio, &m.rng), -ENOSPC);
    two_queues.nr_queues = 1;
    bawn_vdev_stop(&m.rng);
    assert_int_equal(bawn_virtio_replug(&m.virtio, &m.rng), 0);
    assert_int_equal(m.virtio.gsi, gsi);
    assert_int_equal(m.loop.nr, watches);
    assert_int_equal(rd(CFG, 4), 0x10441af4);
    assert_int_equal(rd(CFG + PCI_COMMAND, 2), 0);
    assert_int_equal(rd(CFG + m.virtio.msix_cap + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_ENABLE, 0);
    wr(CFG + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    m.bar[0] = rd(CFG + PCI_BASE_ADDRESS_0, 4);
    assert_int_equal(m.bar[0], first);
    assert_int_equal(status(), 0);
    assert_int_equal(wired.doorbells, 1);
    memset(bawn_mem_at(&m.mem, 0x1000, 0x3000), 0, 0x3000);
    start(0x1000);
    request(0x4000);
    assert_int_equal(m.ioapic.lines, 1u << BAWN_PCI_GSI(SLOT, 0));
}

static void test_random_driver(void **state)
{
    uint32_t seed = 11;

    (void)state;
    for (unsigned i = 0; i < 300000; i++) {
        static const uint64_t areas[] = { CFG, 0, 0, BAWN_ECAM_BASE };
        uint64_t base, off;

        seed = seed * 1664525 + 1013904223;
        base = areas[(seed >> 28) & 3];
        if (!base)
            base = m.virtio.pci.bar[(seed >> 28) & 1].at;
        off = (seed >> 8) & ((seed >> 27) & 1 ? 0x3f : 0x3fff);
        if (seed & 0x80)
            wr(base + off, 1u << (seed & 3), (uint64_t)seed << (seed >> 26));
        else
            rd(base + off, 1u << (seed & 3));
        if (i % 16 == 0)
            turn_loop(&m.loop);
        if (i % 7000 == 0) {
            bawn_virtio_unplug(&m.virtio);
            rd(base + off, 1u << (seed & 3));
            bawn_vdev_stop(&m.rng);
            assert_int_equal(bawn_virtio_replug(&m.virtio, &m.rng), 0);
        }
        if (i % 5000 == 0) {
            wr(CFG + PCI_BASE_ADDRESS_0, 4, m.bar[0]);
            wr(CFG + PCI_BASE_ADDRESS_1, 4, m.bar[1]);
            wr(CFG + PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
            start(0x1000);
        }
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_configuration),
        TEST(test_bar_moves),
        TEST(test_intx),
        TEST(test_msix),
        TEST(test_vector_moves),
        TEST(test_msix_table_ends),
        TEST(test_slow_device),
        TEST(test_configuration_changes),
        TEST(test_console_input),
        TEST(test_bad_queue_needs_reset),
        TEST(test_features_are_checked),
        TEST(test_access_platform),
        TEST(test_shared_intx),
        TEST(test_unplug),
        TEST(test_random_driver),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

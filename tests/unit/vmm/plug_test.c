// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/vm_plug.c: devices that come to the places of a machine whose guest is this test, with what
 * devices.c makes for them, and vCPUs; and that the guest lets go of when it should, and when it
 * should not.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <linux/pci_regs.h>
#include <linux/virtio_ids.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_wires.h"
#include "vm.h"

#define RAM_SIZE (4ull << 20)
#define SLOT (BAWN_SLOT_DISK + 3)
#define NET (BAWN_SLOT_NET + 1)
#define ECAM(slot) (BAWN_ECAM_BASE + (slot)*0x8000u)
#define NOTHING 0xffffffffu

static struct bawn_vm vm;
static struct bawn_counters counters;
static struct kvm_run run[BAWN_MAX_VCPUS];
static struct bawn_vm_parts parts;
static struct bawn_vm_config cfg;
static struct bawn_devices devices;
static struct bawn_mem mem;
static struct bawn_disk disk[BAWN_MAX_DISKS];
static const struct bawn_backends backends = { .disk = disk };
static int place;
static unsigned nr_gone, nr_resized;

static void gone(void *opaque, unsigned device)
{
    assert_ptr_equal(opaque, &vm);
    assert_int_equal(device, place);
    nr_gone++;
}

static void resized(void *opaque)
{
    assert_ptr_equal(opaque, &vm);
    nr_resized++;
}

static int setup(void **state)
{
    const struct bawn_ram ram = { 0, RAM_SIZE };

    (void)state;
    memset(&vm, 0, sizeof(vm));
    nr_gone = nr_resized = 0;
    cfg = (struct bawn_vm_config){ .rng = true, .vcpus = 2, .max_vcpus = 40 };
    parts = (struct bawn_vm_parts){
        .cfg = &cfg, .devices = &devices, .mem = &mem, .counters = &counters
    };
    assert_int_equal(bawn_mem_create(&mem, &ram, 1, true, NULL), BAWN_OK);
    disk[3].fd = memfd_create("disk", MFD_CLOEXEC);
    disk[3].sectors = 7;
    assert_int_equal(bawn_devices_create(&devices, &cfg, &mem, &backends), 0);
    assert_int_equal(devices.nr, 1 + BAWN_MAX_DISKS + BAWN_MAX_NETS);
    place = bawn_devices_place(&devices, SLOT);
    assert_true(place > 0);
    assert_int_equal(bawn_devices_place(&devices, 2), -1); /* the rng's, which stays */
    vm.parts = &parts;
    vm.ops = (struct bawn_vm_ops){ .gone = gone, .resized = resized, .opaque = &vm };
    pthread_mutex_init(&vm.lock, NULL);
    assert_int_equal(bawn_loop_init(&vm.loop, &vm.lock), 0);
    fake_wires_init(&vm.wires);
    bawn_ioapic_init(&vm.ioapic, &vm.wires);
    assert_int_equal(bawn_pci_init(&vm.pci, &vm.mmio), 0);
    assert_int_equal(bawn_vm_slots(&vm), 0);
    vm.nr_vcpus = bawn_vm_config_max_vcpus(&cfg);
    for (unsigned i = 0; i < vm.nr_vcpus; i++)
        vm.vcpu[i] = (struct bawn_vcpu){ .vm = &vm, .id = i, .run = &run[i] };
    assert_true(bawn_vm_cpus(&vm, cfg.vcpus));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bawn_devices_destroy(&devices);
    bawn_loop_destroy(&vm.loop);
    bawn_mem_destroy(&mem);
    close(disk[3].fd);
    return 0;
}

/* As plug.c and machine.c do it together. */
static int plug(void)
{
    struct bawn_vdev said = { 0 };
    const struct bawn_vdev *made;

    assert_int_equal(bawn_devices_plug(&devices, (unsigned)place, &mem, &backends), 0);
    made = devices.dev[place].vdev;
    said.offered = made->offered;
    said.config = made->config;
    said.config_len = made->config_len;
    return bawn_vm_plug(&vm, (unsigned)place, made->ops, &said);
}

static uint32_t port(unsigned reg)
{
    return (uint32_t)bawn_bus_read(&vm.pio, BAWN_HOTPLUG_PORT + reg, 4);
}

static void let_go(unsigned slot)
{
    bawn_bus_write(&vm.pio, BAWN_HOTPLUG_PORT + BAWN_HOTPLUG_GONE, 4, 1u << slot);
}

static uint32_t ecam(unsigned slot, unsigned reg)
{
    return (uint32_t)bawn_bus_read(&vm.mmio, ECAM(slot) + reg, 4);
}

/* It comes with its configuration and a doorbell that its process hears; it goes when the guest is
 * asked, and the next one is found behind the same descriptors. */
static void test_comes_and_goes(void **state)
{
    unsigned watches = 0, gsis = 0;

    (void)state;
    assert_int_equal(ecam(SLOT, 0), NOTHING);
    for (unsigned n = 0; n < 3; n++) {
        uint64_t bar;
        eventfd_t rung;

        disk[3].sectors = 7 + n;
        assert_int_equal(plug(), 0);
        assert_int_equal(port(BAWN_HOTPLUG_CAME), 1u << SLOT);
        assert_int_equal(ecam(SLOT, 0) >> 16, 0x1040 + VIRTIO_ID_BLOCK);
        bawn_bus_write(&vm.mmio, ECAM(SLOT) + PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
        bar = ecam(SLOT, PCI_BASE_ADDRESS_0);
        assert_int_equal(bawn_bus_read(&vm.mmio, bar + 0x2000, 8), 7 + n);
        bawn_bus_write(&vm.mmio, bar + 0x3000, 2, 0);
        assert_int_equal(eventfd_read(devices.dev[place].vdev->bell[0].fd, &rung), 0);
        bawn_bus_write(&vm.mmio, bar + 0x3000, 2,
                       0); /* nobody hears this one, nor the next device */
        assert_int_equal(bawn_vm_plug(&vm, (unsigned)place, devices.dev[place].vdev->ops,
                                      devices.dev[place].vdev),
                         -EBUSY);
        let_go(SLOT); /* unasked */
        assert_int_not_equal(ecam(SLOT, 0), NOTHING);
        bawn_vm_unplug(&vm, (unsigned)place, true);
        assert_int_equal(port(BAWN_HOTPLUG_GO), 1u << SLOT);
        let_go(SLOT);
        assert_int_equal(nr_gone, n + 1);
        assert_int_equal(ecam(SLOT, 0), NOTHING);
        assert_int_equal(bawn_bus_read(&vm.mmio, bar + 0x2000, 8), UINT64_MAX);
        assert_int_equal(wired.doorbells, 0);
        let_go(SLOT);
        bawn_vm_unplug(&vm, (unsigned)place, true); /* of nothing */
        assert_int_equal(port(BAWN_HOTPLUG_GO), 0);
        bawn_devices_unplug(&devices, (unsigned)place);
        assert_int_equal(bawn_devices_plug(&devices, (unsigned)place, &mem, &backends), 0);
        assert_int_equal(eventfd_read(devices.dev[place].vdev->bell[0].fd, &rung), -1);
        bawn_devices_unplug(&devices, (unsigned)place);
        assert_true(!n || (watches == vm.loop.nr && gsis == vm.wires.next_gsi));
        watches = vm.loop.nr;
        gsis = vm.wires.next_gsi;
    }
}

/* The guest changes its mind, and the host. */
static void test_kept(void **state)
{
    (void)state;
    assert_int_equal(plug(), 0);
    bawn_vm_unplug(&vm, (unsigned)place, true);
    bawn_vm_unplug(&vm, (unsigned)place, false);
    let_go(SLOT);
    assert_int_equal(nr_gone, 0);
    assert_int_not_equal(ecam(SLOT, 0), NOTHING);
    bawn_vm_unplug(&vm, (unsigned)place, true);
    let_go(SLOT);
    assert_int_equal(nr_gone, 1);
    bawn_devices_unplug(&devices, (unsigned)place);
}

/* Numbers that the supervisor never says. */
static void test_wrong(void **state)
{
    struct bawn_vdev_ops many = { .nr_queues = BAWN_DEVICE_SPARE + 1, .queue_size = 16 };
    struct bawn_vdev dev = { .config_len = 0 };

    (void)state;
    assert_int_equal(bawn_vm_plug(&vm, 0, &many, &dev), -EBUSY);          /* no place */
    assert_int_equal(bawn_vm_plug(&vm, devices.nr, &many, &dev), -EBUSY); /* nor a device */
    assert_int_equal(bawn_vm_plug(&vm, (unsigned)bawn_devices_place(&devices, NET), &many, &dev),
                     -ENOSPC);
    bawn_vm_unplug(&vm, devices.nr, true);
    bawn_vm_unplug(&vm, 0, true);
    assert_int_equal(port(BAWN_HOTPLUG_GO), 0);
    assert_int_equal(vm.here, 0);
}

#define BANK(cpu) (BAWN_HOTPLUG_BANK * (1 + (cpu) / 32))

static void cpus_let_go(unsigned first, uint32_t which)
{
    bawn_bus_write(&vm.pio, BAWN_HOTPLUG_PORT + BANK(first) + BAWN_HOTPLUG_GONE, 4, which);
}

/* Exactly these run. */
static void assert_run(uint64_t which)
{
    assert_true(counters.vcpus == which);
    for (unsigned i = 0; i < vm.nr_vcpus; i++) {
        assert_int_equal(vm.vcpu[i].away, !(which >> i & 1));
        assert_int_equal(run[i].immediate_exit, !(which >> i & 1));
    }
}

/* They come at once, waiting for a SIPI, and go one by one as the guest says, the last ones first;
 * it can let go of no other, nor take one. */
static void test_cpus(void **state)
{
    (void)state;
    assert_run(0x3);
    assert_int_equal(port(BANK(0) + BAWN_HOTPLUG_HERE), 0x3);
    assert_int_equal(port(BANK(0) + BAWN_HOTPLUG_CAME), 0);
    wired.nr_msi = 0;
    assert_true(bawn_vm_cpus(&vm, 34));
    assert_run((1ull << 34) - 1);
    assert_int_equal(wired.nr_msi, 32);
    assert_int_equal(wired.addr, 0xfee00000 | 33 << 12);
    assert_int_equal(wired.data, 0x4500);
    assert_int_equal(port(BANK(0) + BAWN_HOTPLUG_CAME), ~0x3u);
    assert_int_equal(port(BANK(32) + BAWN_HOTPLUG_CAME), 0x3);
    cpus_let_go(0, ~0u);
    cpus_let_go(32, ~0u);
    assert_run((1ull << 34) - 1);
    assert_false(bawn_vm_cpus(&vm, 31));
    assert_int_equal(port(BANK(32) + BAWN_HOTPLUG_GO), 0x3);
    assert_int_equal(port(BANK(0) + BAWN_HOTPLUG_GO), 1u << 31);
    cpus_let_go(32, ~0u);
    assert_run((1ull << 32) - 1);
    assert_int_equal(nr_resized, 0);
    cpus_let_go(0, ~0u);
    assert_run((1ull << 31) - 1);
    assert_int_equal(nr_resized, 1);
    cpus_let_go(0, ~0u);
    assert_int_equal(nr_resized, 1);
    assert_false(bawn_vm_cpus(&vm, 1));
    cpus_let_go(0, ~0u); /* unread, and not the first */
    assert_run(0x1);
    assert_int_equal(nr_resized, 2);
    assert_int_equal(port(BANK(0) + BAWN_HOTPLUG_GO), 0);
    assert_true(bawn_vm_cpus(&vm, 40));
    assert_run((1ull << 40) - 1);
    assert_false(bawn_vm_cpus(&vm, 255)); /* what the supervisor never says */
}

/* The guest is slow, or the host changes its mind. */
static void test_cpus_kept(void **state)
{
    (void)state;
    assert_true(bawn_vm_cpus(&vm, 4));
    assert_false(bawn_vm_cpus(&vm, 2));
    assert_int_equal(port(BANK(0) + BAWN_HOTPLUG_GO), 0xc);
    assert_false(bawn_vm_cpus(&vm, 0));
    cpus_let_go(0, 1u << 2); /* late, and not the last one */
    assert_run(0xb);
    assert_int_equal(nr_resized, 0);
    assert_true(bawn_vm_cpus(&vm, 3));
    assert_false(bawn_vm_cpus(&vm, 2));
    assert_true(bawn_vm_cpus(&vm, 3)); /* it has not heard */
    assert_int_equal(port(BANK(0) + BAWN_HOTPLUG_GO), 0);
    vm.pause = true;
    assert_true(bawn_vm_cpus(&vm, 4));
    assert_false(vm.vcpu[2].away);
    assert_int_equal(run[2].immediate_exit, 1);
    vm.pause = false;
}

/* What a snapshot says of them is not believed. */
static void test_cpus_state(void **state)
{
    static struct bawn_slots_state saved, bad;

    (void)state;
    assert_true(bawn_vm_cpus(&vm, 34));
    bawn_slots_save(&vm.slots, &saved);
    assert_true(bawn_vm_cpus(&vm, 40));
    assert_true(bawn_vm_slots_load(&vm, &saved));
    assert_run((1ull << 34) - 1);
    assert_int_equal(port(BANK(32) + BAWN_HOTPLUG_CAME), 0x3);
    bad = saved;
    bad.bank[1].here &= ~1u; /* the first one */
    assert_false(bawn_vm_slots_load(&vm, &bad));
    bad = saved;
    bad.bank[2].here |= 1u << 8; /* the 41st */
    assert_false(bawn_vm_slots_load(&vm, &bad));
    bad = saved;
    bad.bank[1].asked |= 1u; /* the first one stays */
    assert_false(bawn_vm_slots_load(&vm, &bad));
    bad = saved;
    bad.bank[2].came |= 1u << 31;
    assert_false(bawn_vm_slots_load(&vm, &bad));
    cfg.max_vcpus = 0;
    vm.nr_vcpus = 2;
    assert_false(bawn_vm_slots_load(&vm, &saved));
    bad = (struct bawn_slots_state){ .bank[1].here = 1 }; /* the second would never run */
    assert_false(bawn_vm_slots_load(&vm, &bad));
    bad.bank[1].here = 3;
    assert_true(bawn_vm_slots_load(&vm, &bad));
}

/* A confidential machine has neither places nor registers. */
static void test_none(void **state)
{
    (void)state;
    bawn_devices_destroy(&devices);
    cfg.snp.on = true;
    assert_int_equal(bawn_devices_create(&devices, &cfg, &mem, &backends), 0);
    assert_int_equal(devices.nr, 1);
    memset(&vm.pio, 0, sizeof(vm.pio));
    assert_int_equal(bawn_vm_slots(&vm), 0);
    assert_int_equal(port(BAWN_HOTPLUG_CAME), NOTHING);
    assert_true(bawn_vm_has(&vm, 1));
    cfg.snp.on = false; /* and one without room for more vCPUs none of theirs */
    cfg.max_vcpus = 2;
    assert_int_equal(bawn_vm_slots(&vm), 0);
    assert_int_equal(port(BAWN_HOTPLUG_CAME), 0);
    assert_int_equal(port(BANK(0) + BAWN_HOTPLUG_HERE), NOTHING);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_comes_and_goes), TEST(test_kept),       TEST(test_wrong), TEST(test_cpus),
        TEST(test_cpus_kept),      TEST(test_cpus_state), TEST(test_none)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

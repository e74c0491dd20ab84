// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/slots.c: what the ACPI tables' methods read and write, and a guest that reads and writes
 * something else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake_wires.h"
#include "launch.h"
#include "slots.h"

#define LINE (1u << BAWN_HOTPLUG_GSI)

static struct bawn_bus ports;
static struct bawn_wires wires;
static struct bawn_ioapic ioapic;
static struct bawn_slots slots;
static uint32_t left; /* slots */
static uint64_t cpus; /* that left, too */

static void gone(void *opaque, unsigned bit)
{
    assert_ptr_equal(opaque, &left);
    if (bit >= BAWN_HOTPLUG_CPUS) {
        assert_in_range(bit - BAWN_HOTPLUG_CPUS, 0, BAWN_MAX_VCPUS - 1);
        assert_false(cpus >> (bit - BAWN_HOTPLUG_CPUS) & 1);
        cpus |= 1ull << (bit - BAWN_HOTPLUG_CPUS);
        return;
    }
    assert_false(left & 1u << bit);
    left |= 1u << bit;
}

static int setup(void **state)
{
    (void)state;
    memset(&ports, 0, sizeof(ports));
    fake_wires_init(&wires);
    bawn_ioapic_init(&ioapic, &wires);
    left = 0;
    cpus = 0;
    return bawn_slots_init(&slots, &ports, BAWN_HOTPLUG_SIZE_CPUS, &ioapic, gone, &left);
}

static uint32_t take(unsigned reg)
{
    return (uint32_t)bawn_bus_read(&ports, BAWN_HOTPLUG_PORT + reg, 4);
}

static void let_go(uint32_t which)
{
    bawn_bus_write(&ports, BAWN_HOTPLUG_PORT + BAWN_HOTPLUG_GONE, 4, which);
}

/* What came is said until it is read. */
static void test_came(void **state)
{
    (void)state;
    assert_int_equal(take(BAWN_HOTPLUG_CAME), 0);
    bawn_slots_came(&slots, 5);
    bawn_slots_came(&slots, 12);
    assert_int_equal(ioapic.lines, LINE);
    assert_int_equal(take(BAWN_HOTPLUG_GO), 0);
    assert_int_equal(ioapic.lines, LINE);
    assert_int_equal(take(BAWN_HOTPLUG_CAME), 1u << 5 | 1u << 12);
    assert_int_equal(ioapic.lines, 0);
    assert_int_equal(take(BAWN_HOTPLUG_CAME), 0);
}

/* Only what the guest is asked for leaves, once. */
static void test_gone(void **state)
{
    (void)state;
    bawn_slots_came(&slots, 5);
    let_go(~0u);
    assert_int_equal(left, 0);
    bawn_slots_ask(&slots, 5);
    bawn_slots_ask(&slots, 6);
    assert_int_equal(take(BAWN_HOTPLUG_GO), 1u << 5 | 1u << 6);
    assert_int_equal(ioapic.lines, LINE); /* it still does not know that slot 5 has one */
    let_go(1u << 5 | 1u << 7);
    assert_int_equal(left, 1u << 5);
    assert_int_equal(ioapic.lines, 0);
    let_go(1u << 5);
    assert_int_equal(left, 1u << 5);
    /* It was not read yet, and the guest does it all the same. */
    bawn_slots_ask(&slots, 4);
    let_go(1u << 4 | 1u << 6);
    assert_int_equal(left, 1u << 4 | 1u << 5 | 1u << 6);
    assert_int_equal(take(BAWN_HOTPLUG_GO), 0);
    assert_int_equal(ioapic.lines, 0);
}

/* Who has not heard keeps it; who has may take its time. */
static void test_kept(void **state)
{
    (void)state;
    bawn_slots_ask(&slots, 9);
    bawn_slots_unask(&slots, 9);
    assert_int_equal(ioapic.lines, 0);
    assert_int_equal(take(BAWN_HOTPLUG_GO), 0);
    let_go(1u << 9);
    assert_int_equal(left, 0);
    bawn_slots_ask(&slots, 9);
    assert_int_equal(take(BAWN_HOTPLUG_GO), 1u << 9);
    bawn_slots_unask(&slots, 9);
    let_go(1u << 9);
    assert_int_equal(left, 1u << 9);
}

/* What is not heard when it is saved is heard where it goes on; what was heard may still be done.
 */
static void test_saved(void **state)
{
    struct bawn_slots_state saved;

    bawn_slots_came(&slots, 5);
    bawn_slots_ask(&slots, 6);
    assert_int_equal(take(BAWN_HOTPLUG_GO), 1u << 6);
    bawn_slots_save(&slots, &saved);
    setup(state);
    bawn_slots_load(&slots, &saved);
    assert_int_equal(ioapic.lines, LINE);
    assert_int_equal(take(BAWN_HOTPLUG_CAME), 1u << 5);
    assert_int_equal(take(BAWN_HOTPLUG_GO), 0);
    assert_int_equal(ioapic.lines, 0);
    let_go(1u << 5 | 1u << 6);
    assert_int_equal(left, 1u << 6);
    slots = (struct bawn_slots){ 0 }; /* without hot-plug */
    bawn_slots_load(&slots, &saved);
    assert_int_equal(slots.bank[0].came, 0);
}

/* vCPUs have banks of their own, which say which are there. */
static void test_cpus(void **state)
{
    const unsigned low = BAWN_HOTPLUG_BANK, high = 2 * BAWN_HOTPLUG_BANK;

    (void)state;
    for (unsigned cpu = 0; cpu < BAWN_MAX_VCPUS; cpu++)
        bawn_slots_came(&slots, BAWN_HOTPLUG_CPUS + cpu);
    assert_int_equal(take(low + BAWN_HOTPLUG_CAME), ~0u);
    assert_int_equal(ioapic.lines, LINE);
    assert_int_equal(take(high + BAWN_HOTPLUG_CAME), ~0u);
    assert_int_equal(ioapic.lines, 0);
    bawn_slots_ask(&slots, BAWN_HOTPLUG_CPUS + 3);
    bawn_slots_ask(&slots, BAWN_HOTPLUG_CPUS + 63);
    assert_int_equal(take(BAWN_HOTPLUG_GO), 0);
    let_go(~0u); /* slots */
    assert_int_equal(take(low + BAWN_HOTPLUG_GO), 1u << 3);
    bawn_bus_write(&ports, BAWN_HOTPLUG_PORT + low + BAWN_HOTPLUG_GONE, 4, ~0u);
    assert_int_equal(cpus, 1u << 3);
    assert_int_equal(take(low + BAWN_HOTPLUG_HERE), ~(1u << 3));
    assert_int_equal(take(high + BAWN_HOTPLUG_HERE), ~0u);
    bawn_bus_write(&ports, BAWN_HOTPLUG_PORT + high + BAWN_HOTPLUG_GONE, 4, ~0u);
    assert_int_equal(cpus, 1u << 3 | 1ull << 63);
    assert_int_equal(take(high + BAWN_HOTPLUG_HERE), ~0u >> 1);
    assert_int_equal(ioapic.lines, 0);
    bawn_bus_write(&ports, BAWN_HOTPLUG_PORT + low + BAWN_HOTPLUG_HERE, 4, ~0u);
    assert_int_equal(take(low + BAWN_HOTPLUG_HERE), ~(1u << 3));
    assert_int_equal(left, 0);
}

/* Parts of registers, and other ones. */
static void test_odd(void **state)
{
    (void)state;
    bawn_slots_came(&slots, 5);
    bawn_slots_ask(&slots, 6);
    bawn_slots_ask(&slots, BAWN_HOTPLUG_CPUS + 1);
    for (unsigned off = 0; off < BAWN_HOTPLUG_SIZE_CPUS; off++) {
        for (unsigned len = 1; len <= 8 && off + len <= BAWN_HOTPLUG_SIZE_CPUS; len++) {
            if (len == 4 && off % 4 == 0)
                continue;
            assert_int_equal(bawn_bus_read(&ports, BAWN_HOTPLUG_PORT + off, len), 0);
            bawn_bus_write(&ports, BAWN_HOTPLUG_PORT + off, len, ~0ull);
        }
    }
    bawn_bus_write(&ports, BAWN_HOTPLUG_PORT + BAWN_HOTPLUG_CAME, 4, ~0u);
    bawn_bus_write(&ports, BAWN_HOTPLUG_PORT + BAWN_HOTPLUG_GO, 4, ~0u);
    assert_int_equal(take(BAWN_HOTPLUG_GONE), 0);
    assert_int_equal(left, 0);
    assert_int_equal(cpus, 0);
    assert_int_equal(take(BAWN_HOTPLUG_CAME), 1u << 5);
    assert_int_equal(take(BAWN_HOTPLUG_GO), 1u << 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_came, setup), cmocka_unit_test_setup(test_gone, setup),
        cmocka_unit_test_setup(test_kept, setup), cmocka_unit_test_setup(test_saved, setup),
        cmocka_unit_test_setup(test_odd, setup),  cmocka_unit_test_setup(test_cpus, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

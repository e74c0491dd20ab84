// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/ioapic.c: edge and level pins, masks, remote IRR, end of interrupt.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_wires.h"
#include "ioapic.h"

#define LEVEL 0x8000
#define MASKED 0x10000
#define REMOTE_IRR 0x4000

static struct bawn_ioapic io;
static struct bawn_wires wires;

static int setup(void **state)
{
    (void)state;
    fake_wires_init(&wires);
    bawn_ioapic_init(&io, &wires);
    return 0;
}

static void reg_write(uint8_t reg, uint32_t val)
{
    bawn_ioapic_bus_ops.write(&io, 0x00, 4, reg);
    bawn_ioapic_bus_ops.write(&io, 0x10, 4, val);
}

static uint32_t reg_read(uint8_t reg)
{
    bawn_ioapic_bus_ops.write(&io, 0x00, 4, reg);
    return bawn_ioapic_bus_ops.read(&io, 0x10, 4);
}

static void rte(unsigned pin, uint32_t low, uint8_t dest)
{
    reg_write(0x11 + 2 * pin, (uint32_t)dest << 24);
    reg_write(0x10 + 2 * pin, low);
}

static void test_identity(void **state)
{
    (void)state;
    assert_int_equal(reg_read(1), 0x00170020);
    reg_write(0, 0x05000000);
    assert_int_equal(reg_read(0), 0x05000000);
    assert_int_equal(reg_read(0x10), MASKED);
}

static void test_edge(void **state)
{
    (void)state;
    rte(4, 0x31, 2);
    bawn_ioapic_set(&io, 4, true);
    bawn_ioapic_set(&io, 4, true);
    assert_int_equal(wired.nr_msi, 1);
    assert_int_equal(wired.addr, 0xfee02000);
    assert_int_equal(wired.data, 0x31);
    bawn_ioapic_set(&io, 4, false);
    bawn_ioapic_set(&io, 4, true);
    assert_int_equal(wired.nr_msi, 2);
    assert_false(wired.gsi[4].on); /* no exit is wanted at an edge's end */
}

static void test_edge_while_masked(void **state)
{
    (void)state;
    rte(4, MASKED | 0x31, 0);
    bawn_ioapic_set(&io, 4, true);
    assert_int_equal(wired.nr_msi, 0);
    rte(4, 0x31, 0);
    assert_int_equal(wired.nr_msi, 1);
}

static void test_level(void **state)
{
    (void)state;
    rte(17, LEVEL | 0x800 | 0x41, 3);
    assert_true(wired.gsi[17].on);
    assert_int_equal(wired.gsi[17].data, 0xc041);
    assert_int_equal(wired.gsi[17].addr, 0xfee03004);
    bawn_ioapic_set(&io, 17, true);
    bawn_ioapic_set(&io, 17, true);
    assert_int_equal(wired.nr_msi, 1);
    assert_true(reg_read(0x10 + 34) & REMOTE_IRR);
    bawn_ioapic_eoi(&io, 0x42); /* another's */
    assert_int_equal(wired.nr_msi, 1);
    bawn_ioapic_eoi(&io, 0x41); /* still high: again */
    assert_int_equal(wired.nr_msi, 2);
    bawn_ioapic_set(&io, 17, false);
    bawn_ioapic_bus_ops.write(&io, 0x40, 4, 0x41); /* the EOI register does the same */
    assert_int_equal(wired.nr_msi, 2);
    assert_false(reg_read(0x10 + 34) & REMOTE_IRR);
}

static void test_read_only_bits(void **state)
{
    (void)state;
    rte(3, LEVEL | MASKED | REMOTE_IRR | 0x1000, 0);
    assert_int_equal(reg_read(0x16), LEVEL | MASKED);
}

static void test_random_accesses(void **state)
{
    uint32_t seed = 3;

    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        seed = seed * 1664525 + 1013904223;
        bawn_ioapic_bus_ops.write(&io, (seed >> 4) & 0x50, 1u << (seed >> 30), seed >> 8);
        bawn_ioapic_bus_ops.read(&io, (seed >> 12) & 0xff0, 4);
        bawn_ioapic_set(&io, (seed >> 20) & 31, seed & 1u << 25);
        bawn_ioapic_eoi(&io, seed >> 16);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_identity, setup),
        cmocka_unit_test_setup(test_edge, setup),
        cmocka_unit_test_setup(test_edge_while_masked, setup),
        cmocka_unit_test_setup(test_level, setup),
        cmocka_unit_test_setup(test_read_only_bits, setup),
        cmocka_unit_test_setup(test_random_accesses, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

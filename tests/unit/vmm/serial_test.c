// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/serial.c: the registers a driver uses, FIFO limits, and the edges of the interrupt line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "serial.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static struct bawn_serial uart;
static char sent[64];
static unsigned nr_sent, edges, wanted;
static bool line;

static void transmit(void *opaque, uint8_t byte)
{
    (void)opaque;
    if (nr_sent < sizeof(sent))
        sent[nr_sent++] = byte;
}

static void irq(void *opaque, bool level)
{
    (void)opaque;
    edges += level && !line;
    line = level;
}

static void want_input(void *opaque)
{
    (void)opaque;
    wanted++;
}

static const struct bawn_serial_ops ops = { transmit, irq, want_input };

static int setup(void **state)
{
    (void)state;
    nr_sent = edges = wanted = 0;
    line = false;
    bawn_serial_init(&uart, &ops, NULL);
    return 0;
}

static uint8_t in(unsigned reg)
{
    return bawn_serial_bus_ops.read(&uart, reg, 1);
}

static void out(unsigned reg, uint8_t val)
{
    bawn_serial_bus_ops.write(&uart, reg, 1, val);
}

static void test_transmit(void **state)
{
    (void)state;
    assert_int_equal(in(LSR), 0x60);
    out(DATA, 'a');
    out(DATA, 'b');
    assert_memory_equal(sent, "ab", 2);
    assert_int_equal(edges, 0);
    out(IER, 2); /* an empty transmitter interrupts when enabled, and after each byte */
    assert_int_equal(edges, 1);
    assert_int_equal(in(IIR)&0xf, 2);
    assert_false(line);
    assert_int_equal(in(IIR)&0xf, 1);
    out(DATA, 'c');
    out(DATA, 'd'); /* an edge for each, though the first was not acknowledged */
    assert_int_equal(edges, 3);
}

static void test_receive(void **state)
{
    uint8_t buf[BAWN_SERIAL_FIFO + 4];

    (void)state;
    memset(buf, 'x', sizeof(buf));
    assert_int_equal(bawn_serial_room(&uart), 0); /* the guest does not listen yet */
    out(IIR, 0xc1);                               /* FIFO on, trigger at 14 */
    out(IER, 1);
    assert_true(wanted > 0);
    assert_int_equal(bawn_serial_room(&uart), BAWN_SERIAL_FIFO);
    bawn_serial_receive(&uart, buf, 3);
    assert_true(line);
    assert_int_equal(in(IIR), 0xcc); /* below the trigger level: time-out */
    bawn_serial_receive(&uart, buf, 11);
    assert_int_equal(in(IIR), 0xc4);
    assert_int_equal(bawn_serial_room(&uart), 2);
    bawn_serial_receive(&uart, buf, 6); /* four too many */
    assert_int_equal(in(LSR), 0x63);
    assert_int_equal(in(LSR), 0x61);
    for (unsigned i = 0; i < BAWN_SERIAL_FIFO; i++)
        assert_int_equal(in(DATA), 'x');
    assert_int_equal(in(LSR), 0x60);
    assert_int_equal(in(DATA), 0);
    assert_false(line);
}

static void test_fifo_off_holds_one(void **state)
{
    (void)state;
    out(IIR, 1);
    out(IER, 1);
    bawn_serial_receive(&uart, (const uint8_t *)"12345678", 8);
    out(IIR, 0); /* more bytes inside than the mode has room for */
    assert_int_equal(bawn_serial_room(&uart), 0);
    assert_int_equal(in(DATA), '1');
    out(IIR, 2);
    assert_int_equal(bawn_serial_room(&uart), 1);
}

static void test_loopback(void **state)
{
    (void)state;
    out(MCR, 0x1a);
    assert_int_equal(in(MSR)&0xf0, 0x90); /* what Linux probes for */
    out(DATA, 'z');
    assert_int_equal(nr_sent, 0);
    assert_int_equal(in(DATA), 'z');
}

static void test_divisor_latch(void **state)
{
    (void)state;
    out(LCR, 0x83);
    out(DATA, 0x0c);
    out(IER, 0x01);
    assert_int_equal(in(DATA), 0x0c);
    assert_int_equal(in(IER), 0x01);
    out(LCR, 0x03);
    assert_int_equal(in(IER), 0);
    assert_int_equal(nr_sent, 0);
    out(SCR, 0x5a);
    assert_int_equal(in(SCR), 0x5a);
}

static void test_random_accesses(void **state)
{
    uint32_t seed = 7;

    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        seed = seed * 1664525 + 1013904223;
        if (seed & 1u << 30)
            out((seed >> 8) & 7, seed >> 16);
        else
            in((seed >> 8) & 7);
        if (bawn_serial_room(&uart))
            bawn_serial_receive(&uart, (const uint8_t *)"?", 1);
        assert_true(uart.rx_len <= BAWN_SERIAL_FIFO);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_transmit, setup),
        cmocka_unit_test_setup(test_receive, setup),
        cmocka_unit_test_setup(test_fifo_off_holds_one, setup),
        cmocka_unit_test_setup(test_loopback, setup),
        cmocka_unit_test_setup(test_divisor_latch, setup),
        cmocka_unit_test_setup(test_random_accesses, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

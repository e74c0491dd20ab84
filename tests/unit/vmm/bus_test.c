// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/bus.c, vmm/memory.c, vmm/platform.c and vmm/stream.c: borders, and what ends a machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "bus.h"
#include "memory.h"
#include "platform.h"
#include "stream.h"

static uint64_t echo_read(void *opaque, uint64_t off, unsigned len)
{
    (void)opaque, (void)len;
    return 0x1122334455667700 | off;
}

static void echo_write(void *opaque, uint64_t off, unsigned len, uint64_t val)
{
    (void)off, (void)len;
    *(uint64_t *)opaque = val;
}

static const struct bawn_bus_ops echo = { echo_read, echo_write };

static void test_bus(void **state)
{
    struct bawn_bus bus = { 0 };
    uint64_t last = 0;

    (void)state;
    assert_int_equal(bawn_bus_add(&bus, 0x100, 0x10, &echo, &last), 0);
    assert_int_equal(bawn_bus_add(&bus, 0x10f, 1, &echo, &last), -EEXIST);
    assert_int_equal(bawn_bus_add(&bus, 0xff, 2, &echo, &last), -EEXIST);
    assert_int_equal(bawn_bus_add(&bus, 0x110, 0, &echo, &last), -EINVAL);
    assert_int_equal(bawn_bus_add(&bus, ~0ull, 2, &echo, &last), -EINVAL);
    assert_int_equal(bawn_bus_add(&bus, 0x110, 1, &echo, &last), 0);
    assert_int_equal(bawn_bus_read(&bus, 0x104, 2), 0x7704);
    assert_int_equal(bawn_bus_read(&bus, 0x10e, 4), 0xffffffff); /* straddles the end */
    assert_int_equal(bawn_bus_read(&bus, 0xff, 1), 0xff);
    assert_int_equal(bawn_bus_read(&bus, ~0ull, 8), ~0ull);
    bawn_bus_write(&bus, 0x10f, 1, 0x1234);
    assert_int_equal(last, 0x34);
    bawn_bus_remove(&bus, 0x100);
    assert_int_equal(bawn_bus_read(&bus, 0x104, 1), 0xff);
    for (unsigned i = 1; i < BAWN_BUS_MAX; i++)
        assert_int_equal(bawn_bus_add(&bus, 0x1000 + i, 1, &echo, &last), 0);
    assert_int_equal(bawn_bus_add(&bus, 0x5000, 1, &echo, &last), -ENOSPC);
}

static void test_memory(void **state)
{
    const struct bawn_ram ram[] = { { 0, 2 << 20 }, { 1ull << 32, 4 << 20 } };
    struct bawn_mem mem;
    uint8_t *p;

    (void)state;
    assert_int_equal(bawn_mem_create(&mem, ram, 2, true, NULL), BAWN_OK);
    p = bawn_mem_at(&mem, 0, 2 << 20);
    assert_non_null(p);
    assert_int_equal(p[0] | p[(2 << 20) - 1], 0);
    assert_null(bawn_mem_at(&mem, 0, (2 << 20) + 1));
    assert_null(bawn_mem_at(&mem, 2 << 20, 0));
    assert_null(bawn_mem_at(&mem, 1, ~0ull));
    assert_null(bawn_mem_at(&mem, (1ull << 32) - 1, 2));
    assert_ptr_equal(bawn_mem_at(&mem, (1ull << 32) + 5, 1), mem.range[1].host + 5);
    assert_null(bawn_mem_at(&mem, ~0ull, 1));
    bawn_mem_destroy(&mem);
}

static enum bawn_end ended;

static void end(void *opaque, enum bawn_end why, const char *msg)
{
    (void)opaque, (void)msg;
    ended = why;
}

static void test_platform(void **state)
{
    static const struct {
        uint16_t port;
        uint8_t val;
        enum bawn_end end;
    } writes[] = {
        { BAWN_POWER_PORT, 5 << 2, BAWN_END_NONE }, /* not enabled */
        { BAWN_POWER_PORT, 3 << 2 | 0x20, BAWN_END_NONE },
        { BAWN_POWER_PORT, BAWN_POWER_OFF, BAWN_END_POWEROFF },
        { BAWN_RESET_PORT, 2, BAWN_END_NONE },
        { BAWN_RESET_PORT, BAWN_RESET_VALUE, BAWN_END_RESET },
        { BAWN_RESET_PORT, 0x0e, BAWN_END_RESET },
        { BAWN_PANIC_PORT, 2, BAWN_END_NONE },
        { BAWN_PANIC_PORT, 1, BAWN_END_PANIC },
    };
    struct bawn_bus pio = { 0 };
    struct bawn_platform p;

    (void)state;
    assert_int_equal(bawn_platform_init(&p, &pio, end, NULL), 0);
    for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
        ended = BAWN_END_NONE;
        bawn_bus_write(&pio, writes[i].port, 1, writes[i].val);
        assert_int_equal(ended, writes[i].end);
    }
    for (unsigned reg = 0; reg < 256; reg++) {
        bawn_bus_write(&pio, BAWN_RTC_PORT, 1, reg);
        bawn_bus_write(&pio, BAWN_RTC_PORT + 1, 1, 0xff);
        bawn_bus_read(&pio, BAWN_RTC_PORT + 1, 1);
    }
    bawn_bus_write(&pio, BAWN_RTC_PORT, 1, 0x32);
    assert_int_equal(bawn_bus_read(&pio, BAWN_RTC_PORT + 1, 1), 0x20); /* this century */
    bawn_bus_write(&pio, BAWN_RTC_PORT, 1, 0x0b);
    assert_int_equal(bawn_bus_read(&pio, BAWN_RTC_PORT + 1, 1) & 0x76, 0x02);
}

static void test_triple_fault(void **state)
{
    static const char *const resets[] = { "reboot=t", "quiet reboot=force,triple x", "reboot=t,w" };
    static const char *const crashes[] = {
        "",          "reboot=k",  "reboot=soft",      "reboot=acpi,x",
        "reboot= t", "xreboot=t", "panic=-1 reboot=b"
    };

    (void)state;
    for (size_t i = 0; i < sizeof(resets) / sizeof(resets[0]); i++)
        assert_true(bawn_reset_by_triple_fault(resets[i]));
    for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
        assert_false(bawn_reset_by_triple_fault(crashes[i]));
    assert_false(bawn_reset_by_triple_fault(NULL));
}

static void feed(struct bawn_stream *s, const char *text)
{
    bawn_stream_write(s, text, strlen(text));
}

static void test_panic_in_output(void **state)
{
    struct bawn_stream_config null = { .mode = BAWN_STREAM_NULL };
    char filler[BAWN_STREAM_TAIL + 10];
    struct bawn_stream s;

    (void)state;
    memset(filler, 'x', sizeof(filler));
    assert_int_equal(bawn_stream_open(&s, &null, "test", NULL), BAWN_OK);
    assert_false(bawn_stream_panicked(&s));
    feed(&s, "[    1.0] said: Kernel panic - not syncing\r\n[broken\nKernel panic");
    assert_false(bawn_stream_panicked(&s));
    feed(&s, "\r\n[    4.153] Kernel panic - not syncing: sysrq\r\n");
    assert_true(bawn_stream_panicked(&s));
    bawn_stream_write(&s, filler, sizeof(filler)); /* long ago by now */
    assert_false(bawn_stream_panicked(&s));
    feed(&s, "\nKernel panic - not sync");
    feed(&s, "ing: two writes\n");
    assert_true(bawn_stream_panicked(&s));
    bawn_stream_write(&s, filler, sizeof(filler));
    feed(&s, "\n[    4.153][    T1] Kernel panic - not syncing: with its caller\n");
    assert_true(bawn_stream_panicked(&s));
    bawn_stream_close(&s);
}

static void test_escapes(void **state)
{
    struct bawn_stream s = { .out_fd = -1, .raw = true };
    char buf[16];
    bool quit;
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    s.in_fd = fds[0];
    assert_int_equal(write(fds[1], "a\001\001b\001zc\001", 8), 8);
    assert_int_equal(bawn_stream_read(&s, buf, sizeof(buf), &quit), 4);
    assert_memory_equal(buf, "a\001bc", 4);
    assert_false(quit);
    assert_int_equal(write(fds[1], "x", 1), 1); /* the escape was the read before */
    assert_int_equal(bawn_stream_read(&s, buf, sizeof(buf), &quit), 0);
    assert_true(quit);
    close(fds[1]);
    assert_int_equal(bawn_stream_read(&s, buf, sizeof(buf), &quit), -1);
    close(fds[0]);
}

/* As much as comes within the time, of a terminal's other side. */
static size_t drain(int fd, char *buf, size_t room)
{
    struct pollfd in = { fd, POLLIN, 0 };
    size_t at = 0;

    while (at < room && poll(&in, 1, 100) > 0)
        at += (size_t)read(fd, buf + at, room - at);
    return at;
}

static void test_pty(void **state)
{
    static const struct bawn_stream_config cfg = { .mode = BAWN_STREAM_PTY };
    static const char bytes[] = "\r\n\001\003\021x";
    static char much[1 << 16];
    struct bawn_stream s;
    char buf[64];
    bool quit;
    int fd;

    (void)state;
    assert_int_equal(bawn_stream_open(&s, &cfg, "test", NULL), BAWN_OK);
    assert_int_equal(bawn_stream_read(&s, buf, sizeof(buf), &quit), 0); /* nobody is there */
    feed(&s, "before ");
    fd = open(s.pty, O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(fd >= 0);
    feed(&s, bytes);
    assert_int_equal(drain(fd, buf, sizeof(buf)), 7 + sizeof(bytes) - 1);
    assert_memory_equal(buf + 7, bytes, sizeof(bytes) - 1);
    assert_int_equal(write(fd, bytes, sizeof(bytes) - 1), sizeof(bytes) - 1);
    assert_int_equal(bawn_stream_read(&s, buf, sizeof(buf), &quit), sizeof(bytes) - 1);
    assert_memory_equal(buf, bytes, sizeof(bytes) - 1);
    assert_false(quit);
    /* Who does not read does not hold the guest up, and can read on later. */
    bawn_stream_write(&s, much, sizeof(much));
    assert_true(s.stalled);
    bawn_stream_write(&s, much, sizeof(much));
    drain(fd, much, sizeof(much));
    feed(&s, "after");
    assert_false(s.stalled);
    assert_int_equal(drain(fd, buf, sizeof(buf)), 5);
    close(fd);
    assert_int_equal(bawn_stream_read(&s, buf, sizeof(buf), &quit), 0); /* it may come back */
    bawn_stream_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bus),          cmocka_unit_test(test_memory),
        cmocka_unit_test(test_platform),     cmocka_unit_test(test_panic_in_output),
        cmocka_unit_test(test_pty),          cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_triple_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

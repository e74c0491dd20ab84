// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/state.c's parts that need no processor: interrupt controller, serial port, platform, CPUID.
 */
#include "fake_wires.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "snapshot.h"

static struct bawn_error err;

/* ---- I/O APIC ---- */

static void write_reg(struct bawn_ioapic *io, unsigned reg, uint32_t val)
{
    bawn_ioapic_bus_ops.write(io, 0, 4, reg);
    bawn_ioapic_bus_ops.write(io, 0x10, 4, val);
}

static void test_ioapic(void **opaque)
{
    struct bawn_ioapic_state state, again;
    struct bawn_ioapic one, two;
    struct bawn_wires wires;

    (void)opaque;
    fake_wires_init(&wires);
    bawn_ioapic_init(&one, &wires);
    write_reg(&one, 0x10 + 2 * 9, 0x8041); /* level, vector 0x41 */
    write_reg(&one, 0x11 + 2 * 9, 3u << 24);
    write_reg(&one, 0x10 + 2 * 4, 0x35); /* edge */
    write_reg(&one, 0, 5u << 24);
    bawn_ioapic_set(&one, 9, true);
    assert_int_equal(wired.nr_msi, 1);
    bawn_ioapic_save(&one, &state);

    fake_wires_init(&wires);
    bawn_ioapic_init(&two, &wires);
    bawn_ioapic_load(&two, &state);
    assert_int_equal(wired.nr_msi, 1); /* who knows whether its end was still heard */
    assert_true(wired.gsi[9].on);
    assert_int_equal(wired.gsi[9].addr, 0xfee03000);
    assert_false(wired.gsi[4].on);
    bawn_ioapic_save(&two, &again);
    assert_memory_equal(&state, &again, sizeof(state));
    bawn_ioapic_eoi(&two, 0x41); /* and the line is still high */
    assert_int_equal(wired.nr_msi, 2);
    bawn_ioapic_set(&two, 4, true);
    assert_int_equal(wired.nr_msi, 3);
    state.lines = 0; /* nothing more waits for an end that nobody hears */
    bawn_ioapic_load(&two, &state);
    bawn_ioapic_set(&two, 9, true);
    assert_int_equal(wired.nr_msi, 4);

    memset(&state, 0xff, sizeof(state));
    bawn_ioapic_load(&two, &state);
    assert_int_equal(two.rte[0], 0xff0000000001afffull);
    assert_int_equal(two.lines, 0xffffff);
    assert_int_equal(two.id, 15);
}

/* ---- serial port ---- */

static void test_serial(void **opaque)
{
    static const struct bawn_serial_ops none = { NULL, NULL, NULL };
    struct bawn_serial_state state = {
        .ier = 0xff, .fcr = 0xc1, .mcr = 0xff, .thr_empty = 2, .rx = { 'a', 'b', 'c' }, .rx_len = 3
    };
    struct bawn_serial_state again;
    struct bawn_serial s;

    (void)opaque;
    bawn_serial_init(&s, &none, NULL);
    assert_true(bawn_serial_load(&s, &state));
    s.rx_head = 14; /* around the end */
    memcpy(s.rx + 14, "ab", 2);
    s.rx[0] = 'c';
    bawn_serial_save(&s, &again);
    assert_int_equal(again.ier, 0x0f);
    assert_int_equal(again.mcr, 0x1f);
    assert_int_equal(again.thr_empty, 1);
    assert_int_equal(again.rx_len, 3);
    assert_memory_equal(again.rx, "abc", 3);
    state.rx_len = BAWN_SERIAL_FIFO + 1;
    assert_false(bawn_serial_load(&s, &state));
}

/* ---- platform ---- */

static void test_platform(void **opaque)
{
    static struct bawn_bus pio;
    struct bawn_platform_state state, again;
    struct bawn_platform p;

    (void)opaque;
    assert_int_equal(bawn_platform_init(&p, &pio, NULL, NULL), 0);
    memset(&state, 0xff, sizeof(state));
    bawn_platform_load(&p, &state);
    bawn_platform_save(&p, &again);
    assert_int_equal(again.cmos_index, 0x7f);
    assert_int_equal(again.cmos[0x0a], 0x26);
    assert_int_equal(again.cmos[0x0b], 0x8b);
    assert_int_equal(again.cmos[0x0d], 0x80);
    assert_int_equal(again.cmos[0x20], 0xff);
    assert_int_equal(again.crash_told, 1);
}

/* ---- CPUID ---- */

static struct kvm_cpuid_entry2 entry(uint32_t function, uint32_t index, uint32_t eax, uint32_t ebx,
                                     uint32_t ecx, uint32_t edx)
{
    return (struct kvm_cpuid_entry2){
        .function = function, .index = index, .eax = eax, .ebx = ebx, .ecx = ecx, .edx = edx
    };
}

static enum bawn_status check(const struct kvm_cpuid_entry2 *guest,
                              const struct kvm_cpuid_entry2 *host)
{
    static struct bawn_state_cpuid saved;
    static struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 entry[2];
    } now;

    saved.nr = now.head.nent = 2;
    memcpy(saved.entry, guest, 2 * sizeof(*guest));
    memcpy(now.entry, host, 2 * sizeof(*host));
    return bawn_cpuid_check(&saved, &now.head, &err);
}

static void test_cpuid(void **opaque)
{
    const struct kvm_cpuid_entry2 vendor = entry(0, 0, 16, 1, 2, 3),
                                  other = entry(0, 0, 9, 1, 2, 4);
    const struct kvm_cpuid_entry2 rich[] = { vendor, entry(7, 0, 0, 0x20, 0, 0x80) };
    const struct kvm_cpuid_entry2 poor[] = { vendor, entry(7, 0, 0, 0, 0, 0x80) };
    const struct kvm_cpuid_entry2 older[] = { vendor, entry(6, 0, 0, 0, 0, 0) };
    const struct kvm_cpuid_entry2 foreign[] = { other, rich[1] };
    const struct kvm_cpuid_entry2 running[] = { vendor, entry(1, 0, 5, 6, 1u << 27, 1u << 28) };
    const struct kvm_cpuid_entry2 fresh[] = { vendor, entry(1, 0, 7, 8, 0, 0) };
    static struct bawn_state_cpuid many = { .nr = BAWN_STATE_CPUID + 1 };

    (void)opaque;
    assert_int_equal(check(rich, rich), BAWN_OK);
    assert_int_equal(check(poor, rich), BAWN_OK);
    assert_int_equal(check(older, rich), BAWN_OK);
    assert_int_equal(check(running, fresh), BAWN_OK); /* these follow what the guest does */
    assert_int_equal(check(rich, poor), BAWN_E_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "CPUID 0x7.0 EBX, bits 0x20"));
    assert_int_equal(check(rich, older), BAWN_E_UNSUPPORTED);
    assert_int_equal(check(rich, foreign), BAWN_E_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "another vendor"));
    assert_int_equal(bawn_cpuid_check(&many, NULL, &err), BAWN_E_FORMAT);
}

/* ---- the whole ---- */

static void test_check(void **opaque)
{
    struct bawn_state *state = calloc(1, sizeof(*state));

    (void)opaque;
    state->version = BAWN_STATE_VERSION;
    state->nr_vcpus = 2;
    state->size = BAWN_STATE_SIZE(2);
    assert_int_equal(bawn_state_check(state, state->size, 2, &err), BAWN_OK);
    assert_int_equal(bawn_state_check(state, state->size, 1, &err), BAWN_E_FORMAT);
    assert_int_equal(bawn_state_check(state, state->size - 1, 2, &err), BAWN_E_FORMAT);
    assert_int_equal(bawn_state_check(state, 4, 2, &err), BAWN_E_FORMAT);
    state->size++;
    assert_int_equal(bawn_state_check(state, state->size, 2, &err), BAWN_E_FORMAT);
    state->version++;
    assert_int_equal(bawn_state_check(state, BAWN_STATE_SIZE(2), 2, &err), BAWN_E_UNSUPPORTED);
    free(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ioapic),   cmocka_unit_test(test_serial),
        cmocka_unit_test(test_platform), cmocka_unit_test(test_cpuid),
        cmocka_unit_test(test_check),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
// sources: kernel/snp/ghcb.c kernel/snp/ghcb_msr.c kernel/snp/ghcb_io.c kernel/snp/ghcb_cpu.c
// sources: kernel/snp/psc.c kernel/snp/ap.c kernel/snp/guest_request.c
/*
 * Devices by the GHCB: what userspace is shown, what becomes of its answer, and every place that
 * a scratch area may have or not.
 */
#include "ghcb_mock.h"

/* ---- Devices ---- */

static void expect_io(int r, bool in, u32 size, u32 count)
{
    assert_int_equal(r, 0);
    assert_int_equal(mock.run.exit_reason, KVM_EXIT_IO);
    assert_int_equal(mock.run.io.direction, in ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT);
    assert_int_equal(mock.run.io.port, 0x3f8);
    assert_int_equal(mock.run.io.size, size);
    assert_int_equal(mock.run.io.count, count);
    assert_int_equal(mock.run.io.data_offset, KVM_PIO_PAGE_OFFSET * PAGE_SIZE);
}

static void test_port(void **state)
{
    struct bawn_vcpu *vcpu = reset();

    (void)state;
    ask(SVM_EXIT_IOIO, IO(0x3f8, 2, 0), 0);
    set(GHCB_RAX, 0x11223344);
    expect_io(vmgexit(vcpu), false, 2, 1);
    assert_memory_equal(mock.pio_page, "\x44\x33\0\0", 4);
    expect_answer(complete(vcpu), 0, 0);
    expect_valid(0, 0, 0, 0);

    ask(SVM_EXIT_IOIO, IO(0x3f8, 1, IN), 0);
    expect_io(vmgexit(vcpu), true, 1, 1);
    memset(mock.pio_page, 0x5a, 8);
    memset(&mock.run, 0xff, sizeof(mock.run));
    memset(page(), 0xff, PAGE_SIZE);
    expect_answer(complete(vcpu), 0, 0);
    expect_valid(1, 0, 0, 0);
    assert_int_equal(page()->save.rax, 0x5a);
    /* No field without an answer is written. */
    assert_int_equal(page()->save.rbx, ~0ull);
    assert_int_equal(page()->save.sw_exit_code, ~0ull);

    vcpu = reset();
    mock.eventfd_addr = 0x3f8;
    ask(SVM_EXIT_IOIO, IO(0x3f8, 4, 0), 0);
    set(GHCB_RAX, 1);
    expect_answer(vmgexit(vcpu), 0, 0);
    assert_int_equal(mock.eventfd_hits, 1);
    for (u64 size = 0; size < 8; size++) {
        if (size == 1 || size == 2 || size == 4)
            continue;
        ask(SVM_EXIT_IOIO, IO(0x3f8, size, IN), 0);
        expect_refused(vmgexit(vcpu), 5);
    }
}

static void test_string(void **state)
{
    struct bawn_vcpu *vcpu = reset();

    (void)state;
    ask(SVM_EXIT_IOIO, IO(0x3f8, 1, STRING), 5);
    set(GHCB_SCRATCH, BUFFER);
    memcpy(page()->shared_buffer, "hello", 5);
    expect_io(vmgexit(vcpu), false, 1, 5);
    assert_memory_equal(mock.pio_page, "hello", 5);
    expect_answer(complete(vcpu), 0, 0);

    /* To other shared memory, which is written when the data is there. */
    ask(SVM_EXIT_IOIO, IO(0x3f8, 4, STRING | IN), 1024);
    set(GHCB_SCRATCH, OTHER + 8);
    expect_io(vmgexit(vcpu), true, 4, 1024);
    memset(mock.pio_page, 0x77, PAGE_SIZE);
    memset(&mock.run, 0xff, sizeof(mock.run));
    set(GHCB_SCRATCH, 0);
    expect_answer(complete(vcpu), 0, 0);
    assert_int_equal(mock.memory[OTHER + 7], 0);
    assert_int_equal(mock.memory[OTHER + 8], 0x77);
    assert_int_equal(mock.memory[OTHER + 8 + 4095], 0x77);
    assert_int_equal(mock.memory[OTHER + 8 + 4096], 0);

    ask(SVM_EXIT_IOIO, IO(0x3f8, 4, STRING), 0);
    set(GHCB_SCRATCH, BUFFER);
    expect_answer(vmgexit(vcpu), 0, 0);
    static const u64 too_many[] = { 1025, 0x40000000, 0x4000000000000001, ~0ull };
    for (size_t i = 0; i < ARRAY_SIZE(too_many); i++) {
        ask(SVM_EXIT_IOIO, IO(0x3f8, 4, STRING), too_many[i]);
        set(GHCB_SCRATCH, OTHER);
        expect_refused(vmgexit(vcpu), 3);
    }
    mock.eventfd_addr = 0x3f8;
    ask(SVM_EXIT_IOIO, IO(0x3f8, 2, STRING), 3);
    set(GHCB_SCRATCH, BUFFER);
    expect_answer(vmgexit(vcpu), 0, 0);
    assert_int_equal(mock.eventfd_hits, 3);
}

/* Is len bytes at gpa a scratch area? Said apart from how the server finds out. */
static bool scratch_ok(gpa_t gpa, u64 len)
{
    for (u64 i = 0; i < len; i++) {
        gpa_t at = gpa + i;
        bool in_page = at >> 12 == GHCB_PAGE >> 12;

        if (at >= MOCK_MEMORY || at >> 12 & 16)
            return false;
        if (in_page && (at < BUFFER || at >= BUFFER + 2032))
            return false;
        if (in_page && gpa >> 12 != at >> 12)
            return false;
        if (!in_page && gpa >> 12 == GHCB_PAGE >> 12)
            return false;
    }
    return true;
}

static void try_scratch(gpa_t gpa, u32 size, u32 count)
{
    struct bawn_vcpu *vcpu = &mock.vcpu;
    u32 len = size * count;

    ask(SVM_EXIT_IOIO, IO(0x3f8, size, STRING), count);
    set(GHCB_SCRATCH, gpa);
    if (scratch_ok(gpa, len)) {
        expect_io(vmgexit(vcpu), false, size, count);
        assert_memory_equal(mock.pio_page, mock.memory + gpa, len);
    } else {
        expect_refused(vmgexit(vcpu), 3);
    }
}

static void test_scratch_ranges(void **state)
{
    static const u32 counts[] = { 1, 8, 508, 509, 1024 };
    static const gpa_t ends[] = { GHCB_PAGE,
                                  BUFFER,
                                  BUFFER + 2032,
                                  GHCB_PAGE + PAGE_SIZE,
                                  PRIVATE,
                                  PRIVATE + 16 * PAGE_SIZE,
                                  MOCK_MEMORY - PAGE(16),
                                  MOCK_MEMORY,
                                  GPA_END,
                                  BIT_ULL(51),
                                  0 };

    (void)state;
    reset();
    for (size_t i = 0; i < sizeof(mock.memory); i++)
        mock.memory[i] = (u8)(i * 7 + i / 256);
    memset(page(), 0, offsetof(struct ghcb, shared_buffer));
    page()->protocol_version = 2;
    page()->ghcb_usage = 0;
    for (size_t e = 0; e < ARRAY_SIZE(ends); e++)
        for (size_t c = 0; c < ARRAY_SIZE(counts); c++)
            for (int d = -2050; d <= 10; d += d > -20 || (d < -2020 && d > -2040) ? 1 : 10)
                try_scratch(ends[e] + (u64)(s64)d, 4, counts[c]);
    for (u32 offset = 0; offset < PAGE_SIZE; offset++)
        try_scratch(GHCB_PAGE + offset, 1, 16);
}

static void test_mmio(void **state)
{
    struct bawn_vcpu *vcpu = reset();

    (void)state;
    ask(SVM_VMGEXIT_MMIO_WRITE, MOCK_DEVICE + 4, 8);
    set(GHCB_SCRATCH, BUFFER + 16);
    memcpy(page()->shared_buffer + 16, "ABCDEFGH", 8);
    assert_int_equal(vmgexit(vcpu), 0);
    assert_int_equal(mock.run.exit_reason, KVM_EXIT_MMIO);
    assert_int_equal(mock.run.mmio.phys_addr, MOCK_DEVICE + 4);
    assert_int_equal(mock.run.mmio.len, 8);
    assert_true(mock.run.mmio.is_write);
    assert_memory_equal(mock.run.mmio.data, "ABCDEFGH", 8);
    expect_answer(complete(vcpu), 0, 0);

    ask(SVM_VMGEXIT_MMIO_READ, MOCK_DEVICE, 2);
    set(GHCB_SCRATCH, OTHER);
    assert_int_equal(vmgexit(vcpu), 0);
    assert_false(mock.run.mmio.is_write);
    memset(&mock.run, 0xff, sizeof(mock.run)); /* no length in it counts */
    expect_answer(complete(vcpu), 0, 0);
    assert_memory_equal(mock.memory + OTHER, "\xff\xff\0", 3);

    vcpu->apic = (void *)&mock;
    mock.lapic = true;
    mock.lapic_value = 0x12345678;
    ask(SVM_VMGEXIT_MMIO_READ, 0xfee00020, 4);
    set(GHCB_SCRATCH, BUFFER);
    expect_answer(vmgexit(vcpu), 0, 0);
    assert_memory_equal(page()->shared_buffer, "\x78\x56\x34\x12", 4);
    mock.eventfd_addr = MOCK_DEVICE;
    ask(SVM_VMGEXIT_MMIO_WRITE, MOCK_DEVICE, 4);
    set(GHCB_SCRATCH, BUFFER);
    expect_answer(vmgexit(vcpu), 0, 0);
    assert_int_equal(mock.eventfd_hits, 1);

    static const u64 bad[][2] = {
        { MOCK_DEVICE, 0 },         { MOCK_DEVICE, 3 }, { MOCK_DEVICE, 16 }, { MOCK_DEVICE, ~0ull },
        { MOCK_DEVICE + 0xffd, 4 }, { GPA_END, 4 },     { ~0ull, 1 }
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        ask(i & 1 ? SVM_VMGEXIT_MMIO_READ : SVM_VMGEXIT_MMIO_WRITE, bad[i][0], bad[i][1]);
        set(GHCB_SCRATCH, BUFFER);
        expect_refused(vmgexit(vcpu), 5);
    }
    ask(SVM_VMGEXIT_MMIO_READ, MOCK_DEVICE, 4);
    set(GHCB_SCRATCH, PRIVATE);
    expect_refused(vmgexit(vcpu), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_port),
        cmocka_unit_test(test_string),
        cmocka_unit_test(test_scratch_ranges),
        cmocka_unit_test(test_mmio),
    };

    return cmocka_run_group_tests_name("kernel/ghcb_io", tests, NULL, NULL);
}

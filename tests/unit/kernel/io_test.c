/* SPDX-License-Identifier: Apache-2.0 */
// sources: kernel/core/io.c kernel/core/mmio.c kernel/core/insn.c kernel/core/walk.c
/*
 * Port I/O, one value or strings: what userspace is shown, what becomes of its answer, where a
 * repeated instruction stands when guest memory gets in the way.
 */
#define MOCK_EXECUTION
#include "guest_mock.h"

#define PORT 0x3f8

static struct bawn_exit exit_of(bool in, u8 size, bool string, bool rep)
{
    return (struct bawn_exit){ .kind = BAWN_EXIT_IO,
                               .len = 2,
                               .io = { .port = PORT,
                                       .size = size,
                                       .in = in,
                                       .string = string,
                                       .rep = rep,
                                       .addr_size = 4,
                                       .seg = VCPU_SREG_DS } };
}

static void expect_exit(int ret, bool in, u8 size, u32 count)
{
    assert_int_equal(ret, 0);
    assert_int_equal(mock.internal_errors, 0);
    assert_int_equal(mock.run.exit_reason, KVM_EXIT_IO);
    assert_int_equal(mock.run.io.direction, in ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT);
    assert_int_equal(mock.run.io.port, PORT);
    assert_int_equal(mock.run.io.size, size);
    assert_int_equal(mock.run.io.count, count);
    assert_int_equal(mock.run.io.data_offset, KVM_PIO_PAGE_OFFSET * PAGE_SIZE);
    assert_in_range(size * count, 1, PAGE_SIZE);
}

static int complete(struct bawn_vcpu *vcpu)
{
    /* Nothing that userspace may have written to the run page counts. */
    memset(&mock.run, 0xff, sizeof(mock.run));
    return vcpu->complete ? vcpu->complete(vcpu) : bawn_skip(vcpu, vcpu->complete_len);
}

static void test_single(void **state)
{
    struct bawn_vcpu *vcpu = mock_reset();
    struct bawn_exit e = exit_of(false, 2, false, false);

    (void)state;
    vcpu->gpr[VCPU_RAX] = 0x1122334455667788;
    expect_exit(bawn_io(vcpu, &e), false, 2, 1);
    assert_memory_equal(mock.pio_page, "\x88\x77\0\0", 4);
    assert_int_equal(complete(vcpu), 1);
    assert_int_equal(mock.skipped, 2);

    for (u8 size = 1; size <= 4; size *= 2) {
        static const u64 want[] = {
            [1] = 0x11223344556677ff, [2] = 0x112233445566ffff, [4] = 0xffffffff
        };
        vcpu = mock_reset();
        e = exit_of(true, size, false, false);
        vcpu->gpr[VCPU_RAX] = 0x1122334455667788;
        expect_exit(bawn_io(vcpu, &e), true, size, 1);
        memset(mock.pio_page, 0xff, 8);
        assert_int_equal(complete(vcpu), 1);
        assert_int_equal(vcpu->gpr[VCPU_RAX], want[size]);
    }
    vcpu = mock_reset();
    mock.eventfd_addr = PORT;
    e = exit_of(false, 1, false, false);
    assert_int_equal(bawn_io(vcpu, &e), 1);
    assert_int_equal(mock.skipped, 2);
}

static void test_outs(void **state)
{
    struct bawn_vcpu *vcpu = mock_reset();
    struct bawn_exit e = exit_of(false, 4, true, true);

    (void)state;
    for (int i = 0; i < 0x3000; i++)
        mock.memory[0x10000 + i] = (u8)(i * 7);
    vcpu->gpr[VCPU_RSI] = 0x10ffa; /* an element across the pages' border */
    vcpu->gpr[VCPU_RCX] = 0x500000003;
    expect_exit(bawn_io(vcpu, &e), false, 4, 1);
    assert_memory_equal(mock.pio_page, mock.memory + 0x10ffa, 4);
    assert_int_equal(complete(vcpu), 1);
    assert_int_equal(mock.skipped, 0);
    assert_int_equal(vcpu->gpr[VCPU_RSI], 0x10ffe);
    assert_int_equal(vcpu->gpr[VCPU_RCX], 2);
    expect_exit(bawn_io(vcpu, &e), false, 4, 1);
    assert_int_equal(complete(vcpu), 1);
    expect_exit(bawn_io(vcpu, &e), false, 4, 1);
    assert_int_equal(complete(vcpu), 1);
    assert_int_equal(mock.skipped, 2);
    assert_int_equal(vcpu->gpr[VCPU_RSI], 0x11006);

    /* A page at a time. */
    vcpu = mock_reset();
    vcpu->gpr[VCPU_RSI] = 0x10100;
    vcpu->gpr[VCPU_RCX] = 0x800;
    expect_exit(bawn_io(vcpu, &e), false, 4, 0xf00 / 4);
    assert_memory_equal(mock.pio_page, mock.memory + 0x10100, 0xf00);
    assert_int_equal(complete(vcpu), 1);
    expect_exit(bawn_io(vcpu, &e), false, 4, 0x400);

    /* Downwards: one by one. */
    vcpu = mock_reset();
    vcpu->rflags |= X86_EFLAGS_DF;
    vcpu->gpr[VCPU_RSI] = 0x10100;
    vcpu->gpr[VCPU_RCX] = 2;
    expect_exit(bawn_io(vcpu, &e), false, 4, 1);
    assert_int_equal(complete(vcpu), 1);
    assert_int_equal(vcpu->gpr[VCPU_RSI], 0x100fc);

    /* Nothing to do. */
    vcpu->gpr[VCPU_RCX] = 0x100000000;
    assert_int_equal(bawn_io(vcpu, &e), 1);
    assert_int_equal(mock.skipped, 2);

    /* An ioeventfd takes one element of the batch. */
    vcpu = mock_reset();
    mock.eventfd_addr = PORT;
    vcpu->gpr[VCPU_RSI] = 0x10100;
    vcpu->gpr[VCPU_RCX] = 2;
    assert_int_equal(bawn_io(vcpu, &e), 1);
    assert_int_equal(vcpu->gpr[VCPU_RCX], 1);
    assert_int_equal(mock.skipped, 0);
}

static void test_segments(void **state)
{
    struct bawn_vcpu *vcpu = mock_reset();
    struct bawn_exit e = exit_of(true, 2, true, true);

    (void)state;
    /* 16-bit addresses wrap at 64 KiB, batches end there. */
    e.io.addr_size = 2;
    mock.seg[VCPU_SREG_ES].limit = 0xffff;
    mock.seg[VCPU_SREG_ES].base = 0x20100;
    vcpu->gpr[VCPU_RDI] = 0xabcdfffc;
    vcpu->gpr[VCPU_RCX] = 3;
    expect_exit(bawn_io(vcpu, &e), true, 2, 1);
    memcpy(mock.pio_page, "ab", 2);
    assert_int_equal(complete(vcpu), 1);
    assert_int_equal(vcpu->gpr[VCPU_RDI], 0xabcdfffe);
    expect_exit(bawn_io(vcpu, &e), true, 2, 1);
    assert_int_equal(complete(vcpu), 1);
    assert_int_equal(vcpu->gpr[VCPU_RDI], 0xabcd0000);
    assert_memory_equal(mock.memory + 0x300fc, "abab", 4);

    /* The wrap ends a batch in a segment without limit, too. */
    vcpu = mock_reset();
    mock.seg[VCPU_SREG_ES].base = 0x20100;
    vcpu->gpr[VCPU_RDI] = 0xfffc;
    vcpu->gpr[VCPU_RCX] = 3;
    expect_exit(bawn_io(vcpu, &e), true, 2, 1);

    /* The limit inside a batch: what is below it goes first, the rest faults. */
    vcpu = mock_reset();
    e.io.addr_size = 4;
    mock.seg[VCPU_SREG_ES].limit = 0x2001;
    vcpu->gpr[VCPU_RDI] = 0x2000;
    vcpu->gpr[VCPU_RCX] = 9;
    expect_exit(bawn_io(vcpu, &e), true, 2, 1);
    assert_int_equal(complete(vcpu), 1);
    assert_int_equal(bawn_io(vcpu, &e), 1);
    assert_int_equal(mock.injected.vector, 13);
    assert_int_equal(vcpu->gpr[VCPU_RCX], 8);
}

static void test_memory_in_the_way(void **state)
{
    struct bawn_vcpu *vcpu = mock_reset();
    struct bawn_exit in = exit_of(true, 1, true, true), out = exit_of(false, 1, true, true);

    (void)state;
    /* One 4 MiB page at 0, read-only for the guest. */
    vcpu->cr0 |= X86_CR0_PG | X86_CR0_WP;
    vcpu->cr4 = X86_CR4_PSE;
    vcpu->cr3 = 0x1000;
    mock.memory[0x1000] = 0x81;
    vcpu->gpr[VCPU_RDI] = 0x5000;
    vcpu->gpr[VCPU_RCX] = 4;
    assert_int_equal(bawn_io(vcpu, &in), 1); /* the device is not asked */
    assert_int_equal(mock.injected.vector, 14);
    assert_int_equal(mock.injected.error, 3);
    assert_int_equal(mock.injected.payload, 0x5000);
    assert_int_equal(vcpu->gpr[VCPU_RCX], 4);

    mock.injected.vector = -1;
    mock.memory[0x1000] = 0x83;
    expect_exit(bawn_io(vcpu, &in), true, 1, 4);
    mock.memory[0x1000] = 0x81; /* another vCPU takes the right away meanwhile */
    assert_int_equal(complete(vcpu), 1);
    assert_int_equal(mock.injected.vector, 14);
    assert_int_equal(vcpu->gpr[VCPU_RCX], 4);

    vcpu = mock_reset();
    vcpu->gpr[VCPU_RSI] = MOCK_DEVICE;
    vcpu->gpr[VCPU_RCX] = 4;
    assert_int_equal(bawn_io(vcpu, &out), 0);
    assert_int_equal(mock.internal_errors, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single),
        cmocka_unit_test(test_outs),
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_memory_in_the_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

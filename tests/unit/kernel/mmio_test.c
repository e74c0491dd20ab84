/* SPDX-License-Identifier: Apache-2.0 */
// sources: kernel/core/mmio.c kernel/core/insn.c kernel/core/walk.c
/*
 * MMIO instructions: arithmetic against the processor this runs on, and whole instructions with
 * the test in the part of userspace, the local APIC or an ioeventfd.
 */
#define MOCK_EXECUTION
#include "guest_mock.h"

#define ARITH 0x8d5ull
#define CODE 0x1000
#define B(...) (const u8[]){ __VA_ARGS__ }, sizeof((u8[]){ __VA_ARGS__ })

/* ---- Arithmetic ---- */

#define NATIVE(name, suffix, type)                                                       \
    static u64 name##_##suffix(u64 dst, u64 src, u64 *flags)                             \
    {                                                                                    \
        type d = (type)dst, s = (type)src;                                               \
                                                                                         \
        __asm__ volatile("lea -128(%%rsp), %%rsp; push %[f]; popf; " #name #suffix       \
                         " %[s], %[d]; pushf; pop %[f]; lea 128(%%rsp), %%rsp"           \
                         : [d] "+r"(d), [f] "+r"(*flags)                                 \
                         : [s] "r"(s)                                                    \
                         : "cc", "memory");                                              \
        return d;                                                                        \
    }
#define NATIVE1(name, suffix, type)                                                      \
    static u64 name##_##suffix(u64 dst, u64 src, u64 *flags)                             \
    {                                                                                    \
        type d = (type)dst;                                                              \
                                                                                         \
        __asm__ volatile("lea -128(%%rsp), %%rsp; push %[f]; popf; " #name #suffix       \
                         " %[d]; pushf; pop %[f]; lea 128(%%rsp), %%rsp"                 \
                         : [d] "+r"(d), [f] "+r"(*flags)                                 \
                         :                                                               \
                         : "cc", "memory");                                              \
        return d;                                                                        \
    }
#define ALL_SIZES(macro, name) \
    macro(name, b, u8) macro(name, w, u16) macro(name, l, u32) macro(name, q, u64)
#define ENTRY(name) { name##_b, name##_w, name##_l, name##_q }

ALL_SIZES(NATIVE, add)
ALL_SIZES(NATIVE, or)
ALL_SIZES(NATIVE, adc)
ALL_SIZES(NATIVE, sbb)
ALL_SIZES(NATIVE, and)
ALL_SIZES(NATIVE, sub)
ALL_SIZES(NATIVE, xor)
ALL_SIZES(NATIVE, cmp)
ALL_SIZES(NATIVE, test)
ALL_SIZES(NATIVE1, not)
ALL_SIZES(NATIVE1, neg)
ALL_SIZES(NATIVE1, inc)
ALL_SIZES(NATIVE1, dec)

static u64 (*const native[13][4])(u64, u64, u64 *) = {
    ENTRY(add), ENTRY(or), ENTRY(adc),  ENTRY(sbb), ENTRY(and), ENTRY(sub), ENTRY(xor),
    ENTRY(cmp), ENTRY(test), ENTRY(not), ENTRY(neg), ENTRY(inc), ENTRY(dec),
};

static void test_alu(void **state)
{
    static const u64 values[] = { 0, 1, 2, 0xf, 0x10, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff,
                                  0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff,
                                  0x8000000000000000, ~0ull, 0x123456789abcdef0 };

    (void)state;
    for (u8 alu = 0; alu < 13; alu++)
        for (int s = 0; s < 4; s++)
            for (size_t i = 0; i < ARRAY_SIZE(values) * ARRAY_SIZE(values) * 2; i++) {
                unsigned int size = 1u << s;
                u64 mask = size == 8 ? ~0ull : (1ull << size * 8) - 1;
                u64 dst = values[i / 2 % ARRAY_SIZE(values)] & mask;
                u64 src = values[i / 2 / ARRAY_SIZE(values)] & mask;
                u64 want_flags = 0x202 | (i & 1 ? ARITH : 0), flags = want_flags;
                u64 want = native[alu][s](dst, src, &want_flags);
                u64 got = bawn_insn_alu(alu, size, dst, src, &flags);
                bool logic = alu == 1 || alu == 4 || alu == 6 || alu == 8;
                u64 defined = logic ? ~0x10ull : ~0ull; /* AF is undefined there */

                if (alu != 7 && alu != 8 && got != want)
                    fail_msg("alu %u size %u: %llx, %llx: %llx, want %llx", alu, size, dst, src,
                             got, want);
                if ((flags ^ want_flags) & defined)
                    fail_msg("alu %u size %u: %llx, %llx: flags %llx, want %llx", alu, size, dst,
                             src, flags, want_flags);
            }
}

/* ---- Instructions ---- */

static struct bawn_vcpu *guest(const u8 *code, size_t nr)
{
    struct bawn_vcpu *vcpu = mock_reset();

    mock.long_mode = true; /* no tables: linear addresses are physical */
    vcpu->rip = CODE;
    memcpy(mock.memory + CODE, code, nr);
    return vcpu;
}

/* Runs to the exit to userspace, and checks what it asks for. */
static void expect_exit(int ret, u64 gpa, unsigned int len, bool write, u64 data)
{
    u64 got = 0;

    assert_int_equal(ret, 0);
    assert_int_equal(mock.internal_errors, 0);
    assert_int_equal(mock.run.exit_reason, KVM_EXIT_MMIO);
    assert_int_equal(mock.run.mmio.phys_addr, gpa);
    assert_int_equal(mock.run.mmio.len, len);
    assert_int_equal(mock.run.mmio.is_write, write);
    memcpy(&got, mock.run.mmio.data, 8);
    if (write)
        assert_int_equal(got, data);
    assert_int_equal(mock.skipped, -1);
}

static int answer(struct bawn_vcpu *vcpu, u64 data)
{
    int (*complete)(struct bawn_vcpu *) = vcpu->complete;

    assert_non_null(complete);
    vcpu->complete = NULL;
    memcpy(mock.run.mmio.data, &data, 8);
    return complete(vcpu);
}

static void expect_done(int ret, int len)
{
    assert_int_equal(ret, 1);
    assert_int_equal(mock.injected.vector, -1);
    assert_int_equal(mock.skipped, len);
    mock.skipped = -1;
}

static void test_load_store(void **state)
{
    struct bawn_vcpu *vcpu = guest(B(0x8b, 0x0a)); /* mov ecx, [rdx] */

    (void)state;
    vcpu->gpr[VCPU_RCX] = ~0ull;
    expect_exit(bawn_mmio(vcpu, MOCK_DEVICE, false), MOCK_DEVICE, 4, false, 0);
    expect_done(answer(vcpu, 0xaabbccdd12345678), 2);
    assert_int_equal(vcpu->gpr[VCPU_RCX], 0x12345678);

    vcpu = guest(B(0x8a, 0x2a)); /* mov ch, [rdx] */
    vcpu->gpr[VCPU_RCX] = ~0ull;
    bawn_mmio(vcpu, MOCK_DEVICE, false);
    expect_done(answer(vcpu, 0x1234), 2);
    assert_int_equal(vcpu->gpr[VCPU_RCX], 0xffffffffffff34ff);

    vcpu = guest(B(0x66, 0x0f, 0xbe, 0x0a)); /* movsx cx, byte [rdx] */
    vcpu->gpr[VCPU_RCX] = 0x1111111111111111;
    expect_exit(bawn_mmio(vcpu, MOCK_DEVICE, false), MOCK_DEVICE, 1, false, 0);
    expect_done(answer(vcpu, 0x80), 4);
    assert_int_equal(vcpu->gpr[VCPU_RCX], 0x111111111111ff80);

    vcpu = guest(B(0x88, 0x2a)); /* mov [rdx], ch */
    vcpu->gpr[VCPU_RCX] = 0x1234;
    expect_exit(bawn_mmio(vcpu, MOCK_DEVICE + 7, true), MOCK_DEVICE + 7, 1, true, 0x12);
    expect_done(answer(vcpu, 0), 2);

    vcpu = guest(B(0x48, 0xc7, 0x02, 0xfe, 0xff, 0xff, 0xff)); /* mov qword [rdx], -2 */
    expect_exit(bawn_mmio(vcpu, MOCK_DEVICE, true), MOCK_DEVICE, 8, true, -2ull);
    expect_done(answer(vcpu, 0), 7);
}

static void test_read_modify_write(void **state)
{
    struct bawn_vcpu *vcpu = guest(B(0xf0, 0x83, 0x0a, 0x40)); /* lock or dword [rdx], 0x40 */

    (void)state;
    expect_exit(bawn_mmio(vcpu, MOCK_DEVICE, true), MOCK_DEVICE, 4, false, 0);
    expect_exit(answer(vcpu, 0x80000001), MOCK_DEVICE, 4, true, 0x80000041);
    expect_done(answer(vcpu, 0), 4);
    assert_int_equal(vcpu->rflags & ARITH, X86_EFLAGS_SF | X86_EFLAGS_PF);

    vcpu = guest(B(0x39, 0x0a)); /* cmp [rdx], ecx: no write */
    vcpu->gpr[VCPU_RCX] = 5;
    bawn_mmio(vcpu, MOCK_DEVICE, false);
    expect_done(answer(vcpu, 4), 2);
    assert_int_equal(vcpu->rflags & ARITH,
                     X86_EFLAGS_CF | X86_EFLAGS_SF | X86_EFLAGS_PF | X86_EFLAGS_AF);

    vcpu = guest(B(0x3b, 0x0a)); /* cmp ecx, [rdx] */
    vcpu->gpr[VCPU_RCX] = 5;
    bawn_mmio(vcpu, MOCK_DEVICE, false);
    expect_done(answer(vcpu, 4), 2);
    assert_int_equal(vcpu->rflags & ARITH, 0);
    assert_int_equal(vcpu->gpr[VCPU_RCX], 5);

    vcpu = guest(B(0x87, 0x0a)); /* xchg [rdx], ecx */
    vcpu->gpr[VCPU_RCX] = 5;
    expect_exit(bawn_mmio(vcpu, MOCK_DEVICE, true), MOCK_DEVICE, 4, false, 0);
    expect_exit(answer(vcpu, 9), MOCK_DEVICE, 4, true, 5);
    expect_done(answer(vcpu, 0), 2);
    assert_int_equal(vcpu->gpr[VCPU_RCX], 9);

    /* add [rdx], ecx on read-only memory: reads the memory, writes to userspace. */
    vcpu = guest(B(0x01, 0x0a));
    mock.rom_from = 0x80000;
    mock.memory[0x80010] = 7;
    vcpu->gpr[VCPU_RCX] = 5;
    expect_exit(bawn_mmio(vcpu, 0x80010, true), 0x80010, 4, true, 12);
}

static void test_rep_stos(void **state)
{
    struct bawn_vcpu *vcpu = guest(B(0xf3, 0xab)); /* rep stosd */

    (void)state;
    vcpu->gpr[VCPU_RAX] = 0x11223344;
    vcpu->gpr[VCPU_RDI] = MOCK_DEVICE;
    vcpu->gpr[VCPU_RCX] = 2;
    expect_exit(bawn_mmio(vcpu, MOCK_DEVICE, true), MOCK_DEVICE, 4, true, 0x11223344);
    expect_done(answer(vcpu, 0), 0);
    assert_int_equal(vcpu->gpr[VCPU_RDI], MOCK_DEVICE + 4);
    assert_int_equal(vcpu->gpr[VCPU_RCX], 1);
    vcpu->rflags |= X86_EFLAGS_DF;
    expect_exit(bawn_mmio(vcpu, MOCK_DEVICE + 4, true), MOCK_DEVICE + 4, 4, true, 0x11223344);
    expect_done(answer(vcpu, 0), 2);
    assert_int_equal(vcpu->gpr[VCPU_RDI], MOCK_DEVICE);
    assert_int_equal(vcpu->gpr[VCPU_RCX], 0);
    vcpu->rip = CODE;
    expect_done(bawn_mmio(vcpu, MOCK_DEVICE, true), 2); /* nothing left to do */

    vcpu = guest(B(0x67, 0xf3, 0xaa)); /* rep stosb with 32-bit addresses */
    vcpu->gpr[VCPU_RDI] = 0x5ffffffff;
    vcpu->gpr[VCPU_RCX] = 0x700000001;
    bawn_mmio(vcpu, 0xffffffff, true);
    expect_done(answer(vcpu, 0), 3);
    assert_int_equal(vcpu->gpr[VCPU_RDI], 0);
    assert_int_equal(vcpu->gpr[VCPU_RCX], 0);
}

static void test_movs(void **state)
{
    struct bawn_vcpu *vcpu = guest(B(0xa5)); /* movsd */
    u32 value = 0xcafef00d;

    (void)state;
    /* memory to device */
    memcpy(mock.memory + 0x2000, &value, 4);
    vcpu->gpr[VCPU_RSI] = 0x2000;
    vcpu->gpr[VCPU_RDI] = MOCK_DEVICE;
    expect_exit(bawn_mmio(vcpu, MOCK_DEVICE, true), MOCK_DEVICE, 4, true, 0xcafef00d);
    expect_done(answer(vcpu, 0), 1);
    assert_int_equal(vcpu->gpr[VCPU_RSI], 0x2004);
    /* device to memory */
    vcpu = guest(B(0xa5));
    vcpu->gpr[VCPU_RSI] = MOCK_DEVICE;
    vcpu->gpr[VCPU_RDI] = 0x3000;
    expect_exit(bawn_mmio(vcpu, MOCK_DEVICE, false), MOCK_DEVICE, 4, false, 0);
    expect_done(answer(vcpu, 0xcafef00d), 1);
    assert_memory_equal(mock.memory + 0x3000, &value, 4);
    /* device to device */
    vcpu = guest(B(0xa5));
    vcpu->gpr[VCPU_RSI] = MOCK_DEVICE;
    vcpu->gpr[VCPU_RDI] = MOCK_DEVICE + 0x100;
    expect_exit(bawn_mmio(vcpu, MOCK_DEVICE, false), MOCK_DEVICE, 4, false, 0);
    expect_exit(answer(vcpu, 0xcafef00d), MOCK_DEVICE + 0x100, 4, true, 0xcafef00d);
    expect_done(answer(vcpu, 0), 1);
    /* A destination that faults leaves the device unread. */
    vcpu = guest(B(0xa5));
    vcpu->gpr[VCPU_RSI] = MOCK_DEVICE;
    vcpu->gpr[VCPU_RDI] = 0x8000000000000000;
    assert_int_equal(bawn_mmio(vcpu, MOCK_DEVICE, false), 1);
    assert_int_equal(mock.injected.vector, 13);
    assert_null(vcpu->complete);
}

static void test_in_kernel(void **state)
{
    struct bawn_vcpu *vcpu = guest(B(0x89, 0x0a));

    (void)state;
    vcpu->apic = (struct bawn_lapic *)&mock; /* only compared with NULL */
    mock.lapic = true;
    vcpu->gpr[VCPU_RCX] = 0xb0;
    expect_done(bawn_mmio(vcpu, 0xfee000b0, true), 2);
    assert_int_equal(mock.lapic_value, 0xb0);

    vcpu = guest(B(0x83, 0x0a, 0x01)); /* or dword [rdx], 1 */
    vcpu->apic = (struct bawn_lapic *)&mock;
    mock.lapic = true;
    mock.lapic_value = 0x100;
    expect_done(bawn_mmio(vcpu, 0xfee000f0, true), 3);
    assert_int_equal(mock.lapic_value, 0x101);

    vcpu = guest(B(0x66, 0x89, 0x0a));
    mock.eventfd_addr = MOCK_DEVICE + 0x10;
    expect_done(bawn_mmio(vcpu, MOCK_DEVICE + 0x10, true), 3);
    assert_int_equal(mock.eventfd_hits, 1);
}

static void test_refused(void **state)
{
    struct bawn_vcpu *vcpu = guest(B(0x0f, 0x29, 0x02)); /* movaps [rdx], xmm0 */

    (void)state;
    assert_int_equal(bawn_mmio(vcpu, MOCK_DEVICE, true), 0);
    assert_int_equal(mock.internal_errors, 1);
    assert_int_equal(mock.run.emulation_failure.suberror, KVM_INTERNAL_ERROR_EMULATION);
    assert_int_equal(mock.run.emulation_failure.flags,
                     KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES);
    assert_int_equal(mock.run.emulation_failure.insn_size, 15);
    assert_memory_equal(mock.run.emulation_failure.insn_bytes, mock.memory + CODE, 15);

    vcpu = guest(B(0x8b, 0x0a));
    assert_int_equal(bawn_mmio(vcpu, MOCK_DEVICE + 0xffd, false), 0); /* crosses a page */
    assert_int_equal(mock.internal_errors, 1);

    vcpu = guest(B(0x8b, 0x0a));
    vcpu->rip = MOCK_DEVICE; /* runs from no memory */
    assert_int_equal(bawn_mmio(vcpu, MOCK_DEVICE, false), 0);
    assert_int_equal(mock.internal_errors, 1);

    vcpu = guest(B(0x8b));
    mock.long_mode = false;
    mock.seg[VCPU_SREG_CS].limit = CODE; /* the instruction's end is past the limit */
    assert_int_equal(bawn_mmio(vcpu, MOCK_DEVICE, false), 0);
    mock.injected.vector = -1;
    vcpu->rip = CODE + 1;
    assert_int_equal(bawn_mmio(vcpu, MOCK_DEVICE, false), 1);
    assert_int_equal(mock.injected.vector, 13);
}

/* An operand that begins in the page before: the fault names the second page alone. */
static void test_straddle(void **state)
{
    static const struct {
        u8 bytes[12];
        int code_size;
        bool store;
        u64 base; /* of the segment */
    } rows[] = {
        { { 0x48, 0x89, 0x0a }, 8, true, 0 },                   /* mov [rdx], rcx */
        { { 0x48, 0x8b, 0x4c, 0xb2, 0x10 }, 8, false, 0 },      /* mov rcx, [rdx+rsi*4+16] */
        { { 0x65, 0x48, 0x89, 0x0a }, 8, true, 0x800 },         /* mov gs:[rdx], rcx */
        { { 0x67, 0x48, 0x89, 0x0a }, 8, true, 0 },             /* mov [edx], rcx */
        { { 0x49, 0x89, 0x0c, 0x20 }, 8, true, 0 },             /* mov [r8], rcx by SIB */
        { { 0x89, 0x0a }, 4, true, 0x800 },                     /* mov ds:[edx], ecx */
        { { 0x48, 0x89, 0x0d, 0, 0, 0, 0 }, 8, true, 0 },       /* mov [rip+disp], rcx */
        { { 0x48, 0xab }, 8, true, 0 },                         /* stosq */
        { { 0x48, 0xad }, 8, false, 0 },                        /* lodsq */
        { { 0x48, 0xa3 }, 8, true, 0 },                         /* mov [moffs], rax */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        for (int off = -4; off <= 0; off += 4) {
            struct bawn_vcpu *vcpu = guest(rows[i].bytes, sizeof(rows[i].bytes));
            u64 at = MOCK_DEVICE + (u64)off - rows[i].base;
            s32 disp = (s32)(at - CODE - 7);
            int ret;

            mock.long_mode = rows[i].code_size == 8;
            mock.seg[VCPU_SREG_GS].base = mock.seg[VCPU_SREG_DS].base = rows[i].base;
            vcpu->gpr[VCPU_RSI] = rows[i].bytes[0] == 0x48 && rows[i].bytes[1] == 0x8b ? 5 : at;
            vcpu->gpr[VCPU_RDX] = rows[i].bytes[1] == 0x8b ? at - 36 : at;
            if (rows[i].bytes[0] == 0x67)
                vcpu->gpr[VCPU_RDX] |= 5ull << 32;
            vcpu->gpr[VCPU_RDI] = vcpu->gpr[VCPU_R8] = at;
            if (rows[i].bytes[2] == 0x0d)
                memcpy(mock.memory + CODE + 3, &disp, 4);
            if (rows[i].bytes[1] == 0xa3)
                memcpy(mock.memory + CODE + 2, &at, 8);
            ret = bawn_mmio(vcpu, MOCK_DEVICE, rows[i].store);
            assert_int_equal(ret, 0);
            if (off) {
                assert_int_equal(mock.internal_errors, 1);
                assert_null(vcpu->complete);
            } else {
                expect_exit(ret, MOCK_DEVICE, rows[i].code_size, rows[i].store, 0);
            }
        }
}

/* Any bytes, any registers, any answers: each run ends in one of the four ways. */
static void test_random(void **state)
{
    u64 r = 42;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct bawn_vcpu *vcpu = guest(B(0));
        int ret, exits = 0;

        for (int i = 0; i < 16 + VCPU_NR_GPR; i++) {
            r ^= r << 13;
            r ^= r >> 7;
            r ^= r << 17;
            if (i < 16)
                mock.memory[CODE + i] = (u8)(i < 2 && r % 3 ? 0x80 + r % 0x80 : r >> 8);
            else
                vcpu->gpr[i - 16] = r % 5 ? r : MOCK_DEVICE + r % 4096;
        }
        mock.long_mode = r & 1;
        ret = bawn_mmio(vcpu, MOCK_DEVICE + r % 4096, r & 2);
        while (!ret && vcpu->complete && exits++ < 3)
            ret = answer(vcpu, r);
        assert_int_equal((mock.skipped >= 0) + (mock.injected.vector >= 0) +
                             (mock.internal_errors > 0), 1);
        assert_in_range(exits, 0, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alu),       cmocka_unit_test(test_load_store),
        cmocka_unit_test(test_read_modify_write), cmocka_unit_test(test_rep_stos),
        cmocka_unit_test(test_movs),      cmocka_unit_test(test_in_kernel),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_straddle),
        cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

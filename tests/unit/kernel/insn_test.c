/* SPDX-License-Identifier: Apache-2.0 */
// sources: kernel/core/insn.c
/*
 * The decoder against a table of encodings, against every truncation of what it accepts, and
 * against libcapstone on random bytes: what the one accepts, the other must read the same way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "bawn.h"
#include "fuzz/kernel/insn_capstone.h"

#define RANDOM_ROUNDS 600000

static u64 random_state = 0x42574e;

static u64 next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* ---- Known encodings ---- */

struct known {
    const char *name;
    u8 bytes[15];
    int nr;
    int code_size;
    struct bawn_insn want; /* len == 0: must be refused */
};

#define B(...) { __VA_ARGS__ }, sizeof((u8[]){ __VA_ARGS__ })

static const struct known known[] = {
    { "mov [rax], ecx", B(0x89, 0x08), 8,
      { .op = BAWN_INSN_STORE, .len = 2, .size = 4, .reg_size = 4, .reg = 1 } },
    { "mov [rax+disp32], r9", B(0x4c, 0x89, 0x88, 1, 2, 3, 4), 8,
      { .op = BAWN_INSN_STORE, .len = 7, .size = 8, .reg_size = 8, .reg = 9 } },
    { "mov ah, [rsi]", B(0x8a, 0x26), 8,
      { .op = BAWN_INSN_LOAD, .len = 2, .size = 1, .reg_size = 1, .reg = 0, .high = true } },
    { "mov spl, [rsi]", B(0x40, 0x8a, 0x26), 8,
      { .op = BAWN_INSN_LOAD, .len = 3, .size = 1, .reg_size = 1, .reg = 4 } },
    { "movzx eax, byte [rdi]", B(0x0f, 0xb6, 0x07), 8,
      { .op = BAWN_INSN_LOAD, .len = 3, .size = 1, .reg_size = 4 } },
    { "movsx rax, word [rdi]", B(0x48, 0x0f, 0xbf, 0x07), 8,
      { .op = BAWN_INSN_LOAD, .len = 4, .size = 2, .reg_size = 8, .sign_extend = true } },
    { "movsxd rax, dword [rdi]", B(0x48, 0x63, 0x07), 8,
      { .op = BAWN_INSN_LOAD, .len = 3, .size = 4, .reg_size = 8, .sign_extend = true } },
    { "arpl [edi], ax", B(0x63, 0x07), 4, {} },
    { "mov dword [rip+4], -1", B(0xc7, 0x05, 4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff), 8,
      { .op = BAWN_INSN_STORE, .len = 10, .size = 4, .reg_size = 4, .has_imm = true,
        .imm = ~0ull } },
    { "mov qword [rbx+rcx*8], imm32", B(0x48, 0xc7, 0x04, 0xcb, 1, 0, 0, 0), 8,
      { .op = BAWN_INSN_STORE, .len = 8, .size = 8, .reg_size = 8, .has_imm = true, .imm = 1 } },
    { "mov word [0x1234], imm16 (16-bit)", B(0xc7, 0x06, 0x34, 0x12, 0xcd, 0x0b), 2,
      { .op = BAWN_INSN_STORE, .len = 6, .size = 2, .reg_size = 2, .has_imm = true,
        .imm = 0xbcd } },
    { "mov [bp+si], eax (16-bit, 66)", B(0x66, 0x89, 0x02), 2,
      { .op = BAWN_INSN_STORE, .len = 3, .size = 4, .reg_size = 4, .seg = VCPU_SREG_SS } },
    { "mov eax, [esp+disp8] (67 in 16-bit)", B(0x67, 0x66, 0x8b, 0x44, 0x24, 0x04), 2,
      { .op = BAWN_INSN_LOAD, .len = 6, .size = 4, .reg_size = 4, .seg = VCPU_SREG_SS } },
    { "mov eax, moffs64", B(0xa1, 1, 2, 3, 4, 5, 6, 7, 8), 8,
      { .op = BAWN_INSN_LOAD, .len = 9, .size = 4, .reg_size = 4 } },
    { "mov moffs32, al", B(0xa2, 1, 2, 3, 4), 4,
      { .op = BAWN_INSN_STORE, .len = 5, .size = 1, .reg_size = 1 } },
    { "lock or dword [rax], imm8", B(0xf0, 0x83, 0x08, 0x80), 8,
      { .op = BAWN_INSN_ALU_RMW, .alu = 1, .len = 4, .size = 4, .reg_size = 4, .has_imm = true,
        .imm = -128ull } },
    { "lock cmp dword [rax], imm8", B(0xf0, 0x83, 0x38, 0x80), 8, {} },
    { "lock mov [rax], ecx", B(0xf0, 0x89, 0x08), 8, {} },
    { "cmp [rax], edx", B(0x39, 0x10), 8,
      { .op = BAWN_INSN_ALU_RMW, .alu = 7, .len = 2, .size = 4, .reg_size = 4, .reg = 2 } },
    { "cmp edx, [rax]", B(0x3b, 0x10), 8,
      { .op = BAWN_INSN_ALU_LOAD, .alu = 7, .len = 2, .size = 4, .reg_size = 4, .reg = 2 } },
    { "test byte [rax], imm8", B(0xf6, 0x00, 0x80), 8,
      { .op = BAWN_INSN_ALU_RMW, .alu = 8, .len = 3, .size = 1, .reg_size = 1, .has_imm = true,
        .imm = -128ull } },
    { "not qword [rax]", B(0x48, 0xf7, 0x10), 8,
      { .op = BAWN_INSN_ALU_RMW, .alu = 9, .len = 3, .size = 8, .reg_size = 8 } },
    { "mul dword [rax]", B(0xf7, 0x20), 8, {} },
    { "inc word [rax]", B(0x66, 0xff, 0x00), 8,
      { .op = BAWN_INSN_ALU_RMW, .alu = 11, .len = 3, .size = 2, .reg_size = 2 } },
    { "call [rax]", B(0xff, 0x10), 8, {} },
    { "xchg [rax], r8d", B(0x44, 0x87, 0x00), 8,
      { .op = BAWN_INSN_XCHG, .len = 3, .size = 4, .reg_size = 4, .reg = 8 } },
    { "rep movsd, gs", B(0x65, 0xf3, 0xa5), 8,
      { .op = BAWN_INSN_MOVS, .len = 3, .size = 4, .reg_size = 4, .rep = true,
        .seg = VCPU_SREG_GS } },
    { "es: ignored in 64-bit code", B(0x26, 0xa4), 8,
      { .op = BAWN_INSN_MOVS, .len = 2, .size = 1, .reg_size = 1 } },
    { "es: in 32-bit code", B(0x26, 0xac), 4,
      { .op = BAWN_INSN_LODS, .len = 2, .size = 1, .reg_size = 1, .seg = VCPU_SREG_ES } },
    { "rep stosq", B(0xf3, 0x48, 0xab), 8,
      { .op = BAWN_INSN_STOS, .len = 3, .size = 8, .reg_size = 8, .rep = true } },
    { "rep stosw", B(0x66, 0xf3, 0xab), 8,
      { .op = BAWN_INSN_STOS, .len = 3, .size = 2, .reg_size = 2, .rep = true } },
    { "rep stosw in 16-bit code", B(0xf3, 0xab), 2,
      { .op = BAWN_INSN_STOS, .len = 2, .size = 2, .reg_size = 2, .rep = true } },
    { "movnti [rax], rcx", B(0x48, 0x0f, 0xc3, 0x08), 8,
      { .op = BAWN_INSN_STORE, .len = 4, .size = 8, .reg_size = 8, .reg = 1 } },
    { "mov eax, ecx (register)", B(0x89, 0xc8), 8, {} },
    { "push [rax]", B(0xff, 0x30), 8, {} },
    { "rex before a legacy prefix", B(0x48, 0x66, 0x89, 0x08), 8, {} },
    { "dec eax in 32-bit code", B(0x48), 4, {} },
    { "movaps [rax], xmm0", B(0x0f, 0x29, 0x00), 8, {} },
    { "16 bytes", B(0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                    0x89, 0x80), 8, {} },
};

static void test_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        const struct known *k = &known[i];
        struct bawn_insn got;
        int ret = bawn_insn_decode(&got, k->bytes, k->nr, k->code_size);
        struct bawn_insn want = k->want;

        if (!want.len) {
            if (ret != -EINVAL)
                fail_msg("%s: answer %d, want %d", k->name, ret, -EINVAL);
            continue;
        }
        if (want.seg == 0 && want.op != BAWN_INSN_STOS &&
            !(k->bytes[0] == 0x26 && k->code_size != 8))
            want.seg = VCPU_SREG_DS;
        if (ret || got.op != want.op || got.alu != want.alu || got.len != want.len ||
            got.size != want.size || got.reg_size != want.reg_size || got.reg != want.reg ||
            got.high != want.high || got.sign_extend != want.sign_extend ||
            got.has_imm != want.has_imm || got.imm != want.imm || got.rep != want.rep ||
            got.seg != want.seg)
            fail_msg("%s: answer %d op %d alu %u len %u size %u/%u reg %u imm %llx seg %u", k->name,
                     ret, got.op, got.alu, got.len, got.size, got.reg_size, got.reg, got.imm,
                     got.seg);
    }
}

/* ---- Random bytes, likely ones first ---- */

static const u8 likely_prefix[] = { 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e,
                                    0x36, 0x3e, 0x64, 0x65, 0x48, 0x44, 0x41 };
static const u8 likely_opcode[] = { 0x88, 0x89, 0x8a, 0x8b, 0xa0, 0xa1, 0xa2, 0xa3, 0xc6,
                                    0xc7, 0x0f, 0x63, 0x80, 0x81, 0x83, 0x84, 0x85, 0xf6,
                                    0xf7, 0x86, 0x87, 0xfe, 0xff, 0xa4, 0xa5, 0xaa, 0xab,
                                    0xac, 0xad, 0x01, 0x0b, 0x12, 0x19, 0x22, 0x29, 0x39 };
static const u8 likely_second[] = { 0xb6, 0xb7, 0xbe, 0xbf, 0xc3, 0x20, 0x22, 0x23, 0x01, 0x06 };

static void random_insn(u8 bytes[15])
{
    int i, pos = 0;

    for (i = 0; i < 15; i++)
        bytes[i] = (u8)next_random();
    if (next_random() % 8 == 0)
        return;
    while (next_random() % 2 && pos < 8)
        bytes[pos++] = likely_prefix[next_random() % ARRAY_SIZE(likely_prefix)];
    bytes[pos] = likely_opcode[next_random() % ARRAY_SIZE(likely_opcode)];
    if (bytes[pos] == 0x0f)
        bytes[pos + 1] = likely_second[next_random() % ARRAY_SIZE(likely_second)];
}

static int random_code_size(void)
{
    return 2 << next_random() % 3;
}

/* Decodes from a buffer of exactly nr bytes, so that a read past it is caught. */
static int decode_exact(struct bawn_insn *insn, const u8 *bytes, int nr, int code_size)
{
    u8 *copy = malloc(nr ? (size_t)nr : 1);
    int ret;

    assert_non_null(copy);
    memcpy(copy, bytes, (size_t)nr);
    ret = bawn_insn_decode(insn, copy, nr, code_size);
    free(copy);
    return ret;
}

static void test_truncation(void **state)
{
    struct bawn_insn insn, cut;
    u8 bytes[15];

    (void)state;
    for (int round = 0; round < RANDOM_ROUNDS / 6; round++) {
        int code_size = random_code_size();
        int ret, nr;

        random_insn(bytes);
        ret = decode_exact(&insn, bytes, 15, code_size);
        assert_int_not_equal(ret, -ENODATA);
        if (ret) {
            for (nr = 0; nr < 15; nr++) /* never accepted with fewer */
                assert_int_not_equal(decode_exact(&cut, bytes, nr, code_size), 0);
            continue;
        }
        assert_in_range(insn.len, 1, 15);
        for (nr = 0; nr < insn.len; nr++)
            assert_int_equal(decode_exact(&cut, bytes, nr, code_size), -ENODATA);
        assert_int_equal(decode_exact(&cut, bytes, insn.len, code_size), 0);
        assert_memory_equal(&cut, &insn, sizeof(cut));
    }
}

/* ---- libcapstone ---- */

static bool have_capstone;

static int find_capstone(void **state)
{
    (void)state;
    have_capstone = capstone_open();
    return 0;
}

static void test_capstone(void **state)
{
    struct bawn_insn insn;
    unsigned long accepted = 0;
    u8 bytes[15];

    (void)state;
    if (!have_capstone)
        skip();
    for (int round = 0; round < RANDOM_ROUNDS; round++) {
        int code_size = random_code_size();
        const char *wrong;

        random_insn(bytes);
        if (bawn_insn_decode(&insn, bytes, 15, code_size))
            continue;
        accepted++;
        wrong = capstone_disagrees(&insn, bytes, code_size);
        if (wrong)
            fail_msg("%s", wrong);
    }
    assert_true(accepted > RANDOM_ROUNDS / 10);
}

/* ---- Lengths and control registers ---- */

static void test_prefixed_len(void **state)
{
    static const u8 cpuid[] = { 0x66, 0x48, 0x0f, 0xa2 };
    static const u8 pause[] = { 0xf3, 0x90 };

    (void)state;
    assert_int_equal(bawn_insn_prefixed_len(cpuid, 4, 8, 2), 4);
    assert_int_equal(bawn_insn_prefixed_len(cpuid, 3, 8, 2), 0);
    assert_int_equal(bawn_insn_prefixed_len(cpuid, 0, 8, 2), 0);
    assert_int_equal(bawn_insn_prefixed_len(pause, 2, 4, 1), 2);
    assert_int_equal(bawn_insn_segment((const u8[]){ 0xf3, 0x64, 0x6f }, 3, 8), VCPU_SREG_FS);
    assert_int_equal(bawn_insn_segment((const u8[]){ 0x2e, 0x6f }, 2, 8), VCPU_SREG_DS);
    assert_int_equal(bawn_insn_segment((const u8[]){ 0x2e, 0x6f }, 2, 4), VCPU_SREG_CS);
    assert_int_equal(bawn_insn_segment((const u8[]){ 0x36, 0x6e }, 2, 2), VCPU_SREG_SS);
}

static void test_cr(void **state)
{
    static const struct {
        const char *name;
        u8 bytes[8];
        int nr, code_size;
        struct bawn_insn_cr want;
    } cases[] = {
        { "mov cr3, rax", B(0x0f, 0x22, 0xd8), 8,
          { .op = BAWN_CR_MOV, .len = 3, .reg = 3, .gpr = 0, .write = true } },
        { "mov r10, cr8", B(0x45, 0x0f, 0x20, 0xc2), 8,
          { .op = BAWN_CR_MOV, .len = 4, .reg = 8, .gpr = 10 } },
        { "lock mov cr0, ecx: cr8", B(0xf0, 0x0f, 0x22, 0xc1), 4,
          { .op = BAWN_CR_MOV, .len = 4, .reg = 8, .gpr = 1, .write = true } },
        { "mov dr7, rbx, mod ignored", B(0x0f, 0x23, 0x3b), 8,
          { .op = BAWN_CR_MOV_DR, .len = 3, .reg = 7, .gpr = 3, .write = true } },
        { "mov eax, dr6", B(0x0f, 0x21, 0xf0), 4,
          { .op = BAWN_CR_MOV_DR, .len = 3, .reg = 6, .gpr = 0 } },
        { "clts", B(0x0f, 0x06), 8, { .op = BAWN_CR_CLTS, .len = 2, .write = true } },
        { "lmsw cx", B(0x0f, 0x01, 0xf1), 4,
          { .op = BAWN_CR_LMSW, .len = 3, .gpr = 1, .write = true, .size = 4 } },
        { "lmsw [rax+8]", B(0x0f, 0x01, 0x70, 0x08), 8,
          { .op = BAWN_CR_LMSW, .len = 4, .write = true, .mem = true, .size = 2 } },
        { "smsw rdx", B(0x48, 0x0f, 0x01, 0xe2), 8,
          { .op = BAWN_CR_SMSW, .len = 4, .gpr = 2, .size = 8 } },
        { "invlpg", B(0x0f, 0x01, 0x38), 8, {} },
        { "nop", B(0x90), 8, {} },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct bawn_insn_cr *w = &cases[i].want;
        struct bawn_insn_cr cr;
        int ret = bawn_insn_decode_cr(&cr, cases[i].bytes, cases[i].nr, cases[i].code_size);

        if (!w->len) {
            assert_int_equal(ret, -EINVAL);
            continue;
        }
        if (ret || cr.op != w->op || cr.len != w->len || cr.reg != w->reg ||
            (!w->mem && cr.gpr != w->gpr) || cr.write != w->write || cr.mem != w->mem ||
            cr.size != w->size)
            fail_msg("%s: answer %d op %d len %u reg %u gpr %u", cases[i].name, ret, cr.op, cr.len,
                     cr.reg, cr.gpr);
        for (int nr = 0; nr < cases[i].nr; nr++)
            assert_int_equal(bawn_insn_decode_cr(&cr, cases[i].bytes, nr, cases[i].code_size),
                             -ENODATA);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_capstone),
        cmocka_unit_test(test_prefixed_len),
        cmocka_unit_test(test_cr),
    };

    return cmocka_run_group_tests(tests, find_capstone, NULL);
}

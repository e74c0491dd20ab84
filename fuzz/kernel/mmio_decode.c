// SPDX-License-Identifier: Apache-2.0
/*
 * The decoder of instructions on MMIO and control registers, on any bytes: it reads none beyond
 * those that are there, a part of an instruction is never taken for a whole one, and what it
 * accepts libcapstone reads the same way.
 *
 * Input: u8, the code size (2, 4 or 8: modulo 3); then the bytes, at most fifteen.
 */
#include <stdlib.h>

#include "fuzz/sim/sim.h"

#include "insn_capstone.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INSN_MAX 15

/* MSan does not see what another library writes. */
#if __has_feature(memory_sanitizer)
#define BLIND true
#else
#define BLIND false
#endif

static bool have_capstone;

/* A copy of exactly n bytes. */
static u8 *exactly(const u8 *bytes, int n)
{
    u8 *copy = malloc(n ? (size_t)n : 1);

    if (!copy)
        abort();
    memcpy(copy, bytes, (size_t)n);
    return copy;
}

static int decode(struct bawn_insn *insn, const u8 *bytes, int n, int code_size)
{
    u8 *copy = exactly(bytes, n);
    int r = bawn_insn_decode(insn, copy, n, code_size);

    free(copy);
    return r;
}

static int decode_cr(struct bawn_insn_cr *insn, const u8 *bytes, int n, int code_size)
{
    u8 *copy = exactly(bytes, n);
    int r = bawn_insn_decode_cr(insn, copy, n, code_size);

    free(copy);
    return r;
}

/* Fewer bytes than it is long are too few; as many are enough. */
static void check_parts(const struct bawn_insn *insn, const u8 *bytes, int code_size)
{
    struct bawn_insn part;
    int n;

    if (!insn->len || insn->len > INSN_MAX)
        sim_fault(SIM_STATE, "an instruction of %u bytes", insn->len);
    for (n = 0; n < insn->len; n++)
        if (decode(&part, bytes, n, code_size) != -ENODATA)
            sim_fault(SIM_STATE, "%d of %u bytes are enough", n, insn->len);
    if (decode(&part, bytes, insn->len, code_size) ||
        memcmp(&part, insn, sizeof(part))) /* NOLINT: all of it was cleared before */
        sim_fault(SIM_STATE, "what follows an instruction changes it");
}

static void check_cr_parts(const struct bawn_insn_cr *insn, const u8 *bytes, int code_size)
{
    struct bawn_insn_cr part;
    int n;

    if (!insn->len || insn->len > INSN_MAX || insn->reg > 15 || (!insn->mem && insn->gpr > 15))
        sim_fault(SIM_STATE, "an instruction on control registers: %u bytes, CR%u, register %u",
                  insn->len, insn->reg, insn->gpr);
    for (n = 0; n < insn->len; n++)
        if (decode_cr(&part, bytes, n, code_size) != -ENODATA)
            sim_fault(SIM_STATE, "%d of %u bytes are enough", n, insn->len);
}

/* The number in "cr8" or "dr7"; -1: neither. */
static int special_number(unsigned int reg)
{
    const char *name = reg == X86_REG_INVALID ? "" : cs.reg_name(cs.mode[8], reg);

    return (name[0] == 'c' || name[0] == 'd') && name[1] == 'r' ? (int)strtol(name + 2, NULL, 10)
                                                                : -1;
}

static bool same_cr(const struct bawn_insn_cr *insn, const cs_insn *c)
{
    static const unsigned int ids[] = { [BAWN_CR_MOV] = X86_INS_MOV,
                                        [BAWN_CR_MOV_DR] = X86_INS_MOV,
                                        [BAWN_CR_CLTS] = X86_INS_CLTS,
                                        [BAWN_CR_LMSW] = X86_INS_LMSW,
                                        [BAWN_CR_SMSW] = X86_INS_SMSW };
    const cs_x86 *x = &c->detail->x86;

    if (c->id != ids[insn->op] || c->size != insn->len)
        return false;
    if (c->id != X86_INS_MOV)
        return true;
    return special_number(x->operands[!insn->write].reg) == insn->reg &&
           register_number(cs.mode[8], x->operands[insn->write].reg) == insn->gpr;
}

static bool has_prefix(const u8 *bytes, size_t len, u8 prefix)
{
    size_t n;

    for (n = 0; n < len && bytes[n] != 0x0f; n++)
        if (bytes[n] == prefix)
            return true;
    return false;
}

static void check_cr_capstone(const struct bawn_insn_cr *insn, const u8 *bytes, int code_size)
{
    cs_insn *c = NULL;

    /* What it takes for no instruction: LOCK for CR8, registers that do not exist. Of LOCK and a
     * REP before it, it takes the last alone. */
    if (has_prefix(bytes, insn->len, 0xf0) &&
        (has_prefix(bytes, insn->len, 0xf2) || has_prefix(bytes, insn->len, 0xf3)))
        return;
    if (cs.disasm(cs.mode[code_size], bytes, INSN_MAX, 0x1000, 1, &c) != 1)
        return;
    if (!same_cr(insn, c))
        sim_fault(SIM_STATE, "op %d, %u bytes, number %u, register %u; capstone: %u bytes, %s %s",
                  insn->op, insn->len, insn->reg, insn->gpr, c->size, c->mnemonic, c->op_str);
    cs.free(c, 1);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    have_capstone = !BLIND && capstone_open();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sim_input in = { data, size, 0 };
    int code_size = 2 << sim_u8(&in) % 3, n = (int)min(size ? size - 1 : 0, (size_t)INSN_MAX);
    struct bawn_insn insn, part;
    struct bawn_insn_cr cr;
    u8 bytes[INSN_MAX];
    int r;

    sim_bytes(&in, bytes, sizeof(bytes));
    r = decode(&insn, bytes, INSN_MAX, code_size);
    if (r == -ENODATA)
        sim_fault(SIM_STATE, "%d bytes are too few", INSN_MAX);
    if (!r) {
        const char *wrong = have_capstone ? capstone_disagrees(&insn, bytes, code_size) : NULL;

        if (wrong)
            sim_fault(SIM_STATE, "%s", wrong);
        check_parts(&insn, bytes, code_size);
    } else if (!decode(&part, bytes, n, code_size)) {
        sim_fault(SIM_STATE, "a part of what is no instruction is one");
    }
    if (!decode_cr(&cr, bytes, INSN_MAX, code_size)) {
        check_cr_parts(&cr, bytes, code_size);
        if (have_capstone)
            check_cr_capstone(&cr, bytes, code_size);
    }
    bawn_insn_segment(bytes, n, code_size);
    bawn_insn_prefixed_len(bytes, n, code_size, 1 + bytes[0] % 3);
    return 0;
}

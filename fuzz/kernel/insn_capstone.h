/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoder's second opinion: libcapstone, found at run time. What the decoder accepts, the
 * disassembler must read the same way. Shared by the unit test and the target kernel-mmio_decode;
 * in the module's language.
 */
#ifndef BAWN_FUZZ_INSN_CAPSTONE_H
#define BAWN_FUZZ_INSN_CAPSTONE_H

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <capstone/capstone.h>

#include "bawn.h"

static struct {
    cs_err (*open)(cs_arch, cs_mode, csh *);
    cs_err (*option)(csh, cs_opt_type, size_t);
    size_t (*disasm)(csh, const uint8_t *, size_t, uint64_t, size_t, cs_insn **);
    void (*free)(cs_insn *, size_t);
    const char *(*reg_name)(csh, unsigned int);
    csh mode[9];
} cs;

/* False: the library is not installed. */
static bool capstone_open(void)
{
    void *lib = dlopen("libcapstone.so.4", RTLD_NOW);
    static const cs_mode modes[9] = { [2] = CS_MODE_16, [4] = CS_MODE_32, [8] = CS_MODE_64 };

    if (!lib)
        return false;
    *(void **)&cs.open = dlsym(lib, "cs_open");
    *(void **)&cs.option = dlsym(lib, "cs_option");
    *(void **)&cs.disasm = dlsym(lib, "cs_disasm");
    *(void **)&cs.free = dlsym(lib, "cs_free");
    *(void **)&cs.reg_name = dlsym(lib, "cs_reg_name");
    for (int size = 2; size <= 8; size *= 2) {
        if (cs.open(CS_ARCH_X86, modes[size], &cs.mode[size]) != CS_ERR_OK)
            return false;
        cs.option(cs.mode[size], CS_OPT_DETAIL, CS_OPT_ON);
    }
    return true;
}

static bool is_one_of(unsigned int id, const unsigned int *ids)
{
    for (; *ids; ids++)
        if (*ids == id)
            return true;
    return false;
}

static bool same_class(const struct bawn_insn *insn, unsigned int id)
{
    static const unsigned int alu[] = { X86_INS_ADD,  X86_INS_OR,  X86_INS_ADC, X86_INS_SBB,
                                        X86_INS_AND,  X86_INS_SUB, X86_INS_XOR, X86_INS_CMP,
                                        X86_INS_TEST, X86_INS_NOT, X86_INS_NEG, X86_INS_INC,
                                        X86_INS_DEC };
    static const unsigned int load[] = { X86_INS_MOV, X86_INS_MOVABS, 0 };
    static const unsigned int load_zero[] = { X86_INS_MOVZX, 0 };
    static const unsigned int load_sign[] = { X86_INS_MOVSX, X86_INS_MOVSXD, 0 };
    static const unsigned int store[] = { X86_INS_MOV, X86_INS_MOVABS, X86_INS_MOVNTI, 0 };
    static const unsigned int xchg[] = { X86_INS_XCHG, 0 };
    static const unsigned int stos[] = { X86_INS_STOSB, X86_INS_STOSW, X86_INS_STOSD, X86_INS_STOSQ,
                                         0 };
    static const unsigned int lods[] = { X86_INS_LODSB, X86_INS_LODSW, X86_INS_LODSD, X86_INS_LODSQ,
                                         0 };
    static const unsigned int movs[] = { X86_INS_MOVSB, X86_INS_MOVSW, X86_INS_MOVSD, X86_INS_MOVSQ,
                                         0 };

    switch (insn->op) {
    case BAWN_INSN_LOAD:
        if (insn->sign_extend)
            return is_one_of(id, load_sign);
        /* MOVZX with a 2-byte destination and source is as wide on both sides, too. */
        return is_one_of(id, insn->size == insn->reg_size ? load : load_zero) ||
               (insn->size == 2 && is_one_of(id, load_zero));
    case BAWN_INSN_STORE:
        return is_one_of(id, store);
    case BAWN_INSN_ALU_LOAD:
    case BAWN_INSN_ALU_RMW:
        return insn->alu < ARRAY_SIZE(alu) && alu[insn->alu] == id;
    case BAWN_INSN_XCHG:
        return is_one_of(id, xchg);
    case BAWN_INSN_STOS:
        return is_one_of(id, stos);
    case BAWN_INSN_LODS:
        return is_one_of(id, lods);
    case BAWN_INSN_MOVS:
        return is_one_of(id, movs);
    }
    return false;
}

static bool same_immediate(const struct bawn_insn *insn, const cs_insn *c)
{
    u64 mask = insn->size == 8 ? ~0ull : BIT_ULL(insn->size * 8) - 1;

    for (int i = 0; i < c->detail->x86.op_count; i++) {
        const cs_x86_op *op = &c->detail->x86.operands[i];

        if (op->type == X86_OP_IMM &&
            (!insn->has_imm || ((u64)op->imm & mask) != (insn->imm & mask)))
            return false;
    }
    return true;
}

/* Our number of capstone's register, by name: "r9d", "ebx" and "bx" are as good as "rbx". */
static u8 register_number(csh handle, unsigned int reg)
{
    static const char *const names[] = { "ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "ip" };
    const char *name = reg == X86_REG_INVALID ? "none" : cs.reg_name(handle, reg);

    for (u8 i = 0; i < ARRAY_SIZE(names); i++)
        if (!strcmp(name + (*name == 'r' || *name == 'e'), names[i]))
            return i == 8 ? BAWN_INSN_RIP : i;
    if (*name == 'r' && name[1] >= '0' && name[1] <= '9')
        return (u8)atoi(name + 1);
    return BAWN_INSN_NO_REG; /* "riz" and "eiz", too: SIB without an index */
}

/* NULL, or what is another one. */
static const char *compare_address(int code_size, const struct bawn_insn *insn, const cs_x86_op *op)
{
    static const unsigned int sregs[] = { X86_REG_ES, X86_REG_CS, X86_REG_SS,
                                          X86_REG_DS, X86_REG_FS, X86_REG_GS };
    u8 seg = insn->op == BAWN_INSN_STOS ? VCPU_SREG_ES : VCPU_SREG_DS;
    u64 mask = bawn_size_mask(insn->addr_size);
    csh handle = cs.mode[code_size];

    if (register_number(handle, op->mem.base) != insn->base ||
        register_number(handle, op->mem.index) != insn->index ||
        (((u64)op->mem.disp ^ insn->disp) & mask) ||
        (insn->index != BAWN_INSN_NO_REG && op->mem.scale != 1 << insn->scale))
        return "address";
    /* Without an override capstone may name none, and in 64-bit code one that is ignored. */
    if (code_size == 8 && op->mem.segment && op->mem.segment != X86_REG_FS &&
        op->mem.segment != X86_REG_GS)
        return NULL;
    if (insn->base == VCPU_RSP || insn->base == VCPU_RBP)
        seg = VCPU_SREG_SS;
    if (op->mem.segment ? op->mem.segment != sregs[insn->seg] : insn->seg != seg)
        return "segment";
    return NULL;
}

/*
 * capstone takes 66 together with F2 or F3 for a mandatory prefix and forgets one of them, on
 * opcodes that have none: such bytes are no evidence.
 */
static bool capstone_confused(const u8 *bytes, int len)
{
    bool opsize = false, rep = false;

    for (int i = 0; i < len; i++) {
        opsize |= bytes[i] == 0x66;
        rep |= bytes[i] == 0xf2 || bytes[i] == 0xf3;
    }
    return opsize && rep;
}

static const char *compare_operands(int code_size, const struct bawn_insn *insn, const cs_insn *c)
{
    const char *what = NULL;
    bool memory = false;

    for (int i = 0; i < c->detail->x86.op_count && !what; i++) {
        const cs_x86_op *op = &c->detail->x86.operands[i];

        if (op->type != X86_OP_MEM)
            continue;
        memory = true;
        /* Of MOVS the address is the source's, which is the operand that is read. */
        if (op->size != insn->size)
            what = "size";
        else if (!(insn->op == BAWN_INSN_MOVS && op->access & CS_AC_WRITE))
            what = compare_address(code_size, insn, op);
    }
    return what || memory ? what : "no memory operand";
}

static const char *compare(int code_size, const struct bawn_insn *insn, const cs_insn *c)
{
    if (c->size != insn->len)
        return "length";
    if (!same_class(insn, c->id))
        return "class";
    if (c->detail->x86.addr_size != insn->addr_size)
        return "address size";
    if (!same_immediate(insn, c))
        return "immediate";
    return compare_operands(code_size, insn, c);
}

/*
 * NULL: the disassembler reads the fifteen bytes as the decoder did. Else what is wrong, in a
 * buffer of its own.
 */
static const char *capstone_disagrees(const struct bawn_insn *insn, const u8 *bytes, int code_size)
{
    static char message[400];
    const char *what = "not an instruction";
    char hex[46] = "";
    cs_insn *c = NULL;

    if (capstone_confused(bytes, insn->len))
        return NULL;
    if (cs.disasm(cs.mode[code_size], bytes, 15, 0x1000, 1, &c) == 1)
        what = compare(code_size, insn, c);
    if (what) {
        for (int i = 0; i < 15; i++)
            snprintf(hex + 3 * i, 4, "%02x ", bytes[i]);
        snprintf(message, sizeof(message),
                 "%s: %s(code size %d): op %d alu %u len %u size %u/%u; capstone: %u bytes, %s %s",
                 what, hex, code_size, insn->op, insn->alu, insn->len, insn->size, insn->reg_size,
                 c ? c->size : 0, c ? c->mnemonic : "-", c ? c->op_str : "");
    }
    if (c)
        cs.free(c, 1);
    return what ? message : NULL;
}

#endif

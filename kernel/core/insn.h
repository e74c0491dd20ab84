/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The bounded decoder's result: what an instruction does to memory or to a control register.
 * Pure: it knows nothing of a vCPU, and what it reads is the guest's choice.
 */
#ifndef BAWN_INSN_H
#define BAWN_INSN_H

#include <linux/types.h>

/* In the instruction encoding's order. */
enum {
	VCPU_RAX,
	VCPU_RCX,
	VCPU_RDX,
	VCPU_RBX,
	VCPU_RSP,
	VCPU_RBP,
	VCPU_RSI,
	VCPU_RDI,
	VCPU_R8,
	VCPU_R15 = VCPU_R8 + 7,
	VCPU_NR_GPR
};

enum { VCPU_SREG_ES, VCPU_SREG_CS, VCPU_SREG_SS, VCPU_SREG_DS, VCPU_SREG_FS, VCPU_SREG_GS,
	VCPU_SREG_LDTR, VCPU_SREG_TR, VCPU_NR_SREG };

/* A decoded instruction with a memory operand that is MMIO (insn.c fills it). */
enum bawn_insn_op {
	BAWN_INSN_LOAD,	    /* register <- memory, zero- or sign-extended */
	BAWN_INSN_STORE,    /* memory <- register or immediate */
	BAWN_INSN_ALU_LOAD, /* register op= memory; CMP: flags only */
	BAWN_INSN_ALU_RMW,  /* memory op= register or immediate; CMP, TEST: flags only */
	BAWN_INSN_XCHG,
	BAWN_INSN_STOS,
	BAWN_INSN_LODS,
	BAWN_INSN_MOVS,
};

/* The first eight in the instruction encoding's order. */
enum {
	BAWN_ALU_ADD, BAWN_ALU_OR, BAWN_ALU_ADC, BAWN_ALU_SBB, BAWN_ALU_AND, BAWN_ALU_SUB,
	BAWN_ALU_XOR, BAWN_ALU_CMP, BAWN_ALU_TEST, BAWN_ALU_NOT, BAWN_ALU_NEG, BAWN_ALU_INC,
	BAWN_ALU_DEC,
};

/* In place of a register: none, and the address of the next instruction. */
#define BAWN_INSN_NO_REG 0xff
#define BAWN_INSN_RIP 0xfe

struct bawn_insn {
	enum bawn_insn_op op;
	u8 alu;	     /* BAWN_ALU_* */
	u8 len;	     /* 1..15 */
	u8 size;     /* of the memory access: 1, 2, 4, 8 */
	u8 reg_size; /* of the destination register for LOAD: 1, 2, 4, 8 */
	u8 reg;	     /* VCPU_R* */
	bool high;   /* the second byte of reg: AH, CH, DH, BH */
	bool sign_extend;
	bool has_imm;
	bool rep;
	u8 addr_size; /* 2, 4, 8 */
	/* The operand's address: seg:(base + index << scale + disp). The source's of MOVS. */
	u8 seg, base, index, scale; /* VCPU_SREG_*, VCPU_R* or BAWN_INSN_* */
	u64 disp;
	u64 imm;      /* sign-extended */
};

/*
 * code_size is 2, 4 or 8 (default operand/address mode).
 * 0, -EINVAL not an instruction for MMIO, -ENODATA too few bytes.
 */
int bawn_insn_decode(struct bawn_insn *insn, const u8 *bytes, int nr, int code_size);
/*
 * Length of an instruction whose opcode (without prefixes, with ModRM and all) is op_len bytes:
 * legacy and REX prefixes plus op_len; 0 when bytes are too few.
 */
int bawn_insn_prefixed_len(const u8 *bytes, int nr, int code_size, int op_len);
/* The segment that the prefixes choose, DS without one: for OUTS. */
u8 bawn_insn_segment(const u8 *bytes, int nr, int code_size);

enum bawn_cr_op { BAWN_CR_MOV, BAWN_CR_MOV_DR, BAWN_CR_CLTS, BAWN_CR_LMSW, BAWN_CR_SMSW };
/* An instruction on a control or debug register. */
struct bawn_insn_cr {
	enum bawn_cr_op op;
	u8 len;	    /* 1..15 */
	u8 reg;	    /* CR or DR number; 0 for CLTS, LMSW, SMSW */
	u8 gpr;	    /* VCPU_R*; without meaning for CLTS and when mem */
	bool write; /* of the control register */
	bool mem;   /* LMSW, SMSW with an operand in memory */
	u8 size;    /* SMSW: bytes of the destination written (4 clears the upper half) */
};

/* 0, -EINVAL another instruction, -ENODATA too few bytes. */
int bawn_insn_decode_cr(struct bawn_insn_cr *cr, const u8 *bytes, int nr, int code_size);

#endif

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Decodes the few instructions that reach memory-mapped devices, and measures the intercepted
 * ones whose length the hardware does not report. Pure: bytes in, fields out. The bytes are the
 * guest's and are trusted for nothing; no more than nr of them, and at most 15, are looked at.
 * AMD APM volume 3, chapter 1 (encoding) and appendix A (opcode maps).
 */
#include "bawn.h"

#define MAX_INSN 15

#define REX_W BIT(3)
#define REX_R BIT(2)
#define REX_X BIT(1)
#define REX_B BIT(0)

/* Where the decoder stands, and the prefixes. Reads past the end give 0 and set overrun. */
struct decoder {
	const u8 *bytes;
	int nr, pos;
	bool overrun;
	u8 code_size;
	u8 rex;
	u8 seg; /* VCPU_SREG_*, or VCPU_NR_SREG without an override */
	u8 op_size, addr_size; /* 2, 4, 8 */
	bool opsize; /* 66 was there */
	bool rep, lock;
};

enum {
	MOFFS = BIT(0),	 /* an absolute address after the opcode, register rAX */
	STRING = BIT(1), /* implied rSI, rDI; register rAX */
	IMM = BIT(2),	 /* immediate of the operand's size, 4 at most */
	IMM8 = BIT(3),	 /* sign-extended byte */
	LOCKABLE = BIT(4),
};

#define ANY 0xff /* ModRM.reg: not a part of the opcode */

/* What bawn_insn.alu is, if not a BAWN_ALU_*: bits 5:3 of the opcode, or ModRM.reg. */
#define BY_OPCODE 0xff
#define BY_REG 0xfe

struct opcode {
	u8 match, mask;
	u8 reg;
	u8 op, alu, flags;
};

/* Bit 0 of the opcode clear means byte operands, in all of these but MOVSXD. */
static const struct opcode one_byte[] = {
	{ 0x00, 0xc6, ANY, BAWN_INSN_ALU_RMW, BY_OPCODE, LOCKABLE },
	{ 0x02, 0xc6, ANY, BAWN_INSN_ALU_LOAD, BY_OPCODE, 0 },
	{ 0x63, 0xff, ANY, BAWN_INSN_LOAD, 0, 0 },
	{ 0x80, 0xfe, ANY, BAWN_INSN_ALU_RMW, BY_REG, IMM | LOCKABLE },
	{ 0x83, 0xff, ANY, BAWN_INSN_ALU_RMW, BY_REG, IMM8 | LOCKABLE },
	{ 0x84, 0xfe, ANY, BAWN_INSN_ALU_RMW, BAWN_ALU_TEST, 0 },
	{ 0x86, 0xfe, ANY, BAWN_INSN_XCHG, 0, LOCKABLE },
	{ 0x88, 0xfe, ANY, BAWN_INSN_STORE, 0, 0 },
	{ 0x8a, 0xfe, ANY, BAWN_INSN_LOAD, 0, 0 },
	{ 0xa0, 0xfe, ANY, BAWN_INSN_LOAD, 0, MOFFS },
	{ 0xa2, 0xfe, ANY, BAWN_INSN_STORE, 0, MOFFS },
	{ 0xa4, 0xfe, ANY, BAWN_INSN_MOVS, 0, STRING },
	{ 0xaa, 0xfe, ANY, BAWN_INSN_STOS, 0, STRING },
	{ 0xac, 0xfe, ANY, BAWN_INSN_LODS, 0, STRING },
	{ 0xc6, 0xfe, 0, BAWN_INSN_STORE, 0, IMM },
	{ 0xf6, 0xfe, 0, BAWN_INSN_ALU_RMW, BAWN_ALU_TEST, IMM },
	{ 0xf6, 0xfe, 2, BAWN_INSN_ALU_RMW, BAWN_ALU_NOT, LOCKABLE },
	{ 0xf6, 0xfe, 3, BAWN_INSN_ALU_RMW, BAWN_ALU_NEG, LOCKABLE },
	{ 0xfe, 0xfe, 0, BAWN_INSN_ALU_RMW, BAWN_ALU_INC, LOCKABLE },
	{ 0xfe, 0xfe, 1, BAWN_INSN_ALU_RMW, BAWN_ALU_DEC, LOCKABLE },
};

/* After 0F: MOVZX and MOVSX, where bit 3 means signed and bit 0 the source's size; MOVNTI. */
static const struct opcode two_byte[] = {
	{ 0xb6, 0xf6, ANY, BAWN_INSN_LOAD, 0, 0 },
	{ 0xc3, 0xff, ANY, BAWN_INSN_STORE, 0, 0 },
};

static u8 next_byte(struct decoder *d)
{
	if (d->pos >= d->nr) {
		d->overrun = true;
		return 0;
	}
	return d->bytes[d->pos++];
}

static u64 next_le(struct decoder *d, int size)
{
	u64 value = 0;
	int i;

	for (i = 0; i < size; i++)
		value |= (u64)next_byte(d) << (8 * i);
	return value;
}

static u64 next_signed(struct decoder *d, int size)
{
	return size ? sign_extend64(next_le(d, size), size * 8 - 1) : 0;
}

/* Takes the prefixes and returns the byte after them. REX counts as such only when it is last. */
static u8 start(struct decoder *d, const u8 *bytes, int nr, int code_size)
{
	bool addrsize = false, prefix = true;
	u8 byte;

	*d = (struct decoder){ .bytes = bytes, .nr = min(nr, MAX_INSN), .seg = VCPU_NR_SREG,
			       .code_size = code_size };
	do {
		byte = next_byte(d);
		if ((byte & 0xe7) == 0x26) {
			if (code_size != 8) /* without meaning in 64-bit code */
				d->seg = VCPU_SREG_ES + ((byte >> 3) & 3);
		} else if ((byte & 0xfe) == 0x64) {
			d->seg = VCPU_SREG_FS + (byte & 1);
		} else if (byte == 0x66) {
			d->opsize = true;
		} else if (byte == 0x67) {
			addrsize = true;
		} else if (byte == 0xf0) {
			d->lock = true;
		} else if ((byte & 0xfe) == 0xf2) {
			d->rep = true;
		} else {
			prefix = false;
		}
	} while (prefix);
	if (code_size == 8 && (byte & 0xf0) == 0x40) {
		d->rex = byte;
		byte = next_byte(d);
	}
	d->op_size = d->rex & REX_W ? 8 : d->opsize == (code_size == 2) ? 4 : 2;
	if (code_size == 8)
		d->addr_size = addrsize ? 4 : 8;
	else
		d->addr_size = addrsize == (code_size == 2) ? 4 : 2;
	return byte;
}

/* The length of what was decoded, if it was all there. */
static int finish(const struct decoder *d)
{
	if (!d->overrun)
		return d->pos;
	return d->pos >= MAX_INSN ? -EINVAL : -ENODATA;
}

/* The SIB byte and the displacement of a memory operand; APM volume 3, 1.4. */
static void take_address(struct bawn_insn *insn, struct decoder *d, u8 modrm)
{
	static const u8 base16[] = { VCPU_RBX, VCPU_RBX, VCPU_RBP, VCPU_RBP,
				     VCPU_RSI, VCPU_RDI, VCPU_RBP, VCPU_RBX };
	u8 mod = modrm >> 6, rm = modrm & 7, sib;
	bool no_base = mod == 0 && rm == (d->addr_size == 2 ? 6 : 5);

	insn->base = no_base && d->code_size == 8 ? BAWN_INSN_RIP : BAWN_INSN_NO_REG;
	insn->index = BAWN_INSN_NO_REG;
	if (d->addr_size == 2) {
		if (!no_base)
			insn->base = base16[rm];
		if (rm < 4)
			insn->index = rm & 1 ? VCPU_RDI : VCPU_RSI;
		insn->disp = next_signed(d, no_base ? 2 : mod);
	} else {
		if (rm == 4) {
			sib = next_byte(d);
			rm = sib & 7;
			no_base = mod == 0 && rm == 5;
			insn->scale = sib >> 6;
			insn->index = ((sib >> 3) & 7) | (d->rex & REX_X ? 8 : 0);
			if (insn->index == VCPU_RSP)
				insn->index = BAWN_INSN_NO_REG;
		}
		if (!no_base)
			insn->base = rm | (d->rex & REX_B ? 8 : 0);
		insn->disp = next_signed(d, mod == 1 ? 1 : mod == 2 || no_base ? 4 : 0);
	}
	insn->seg = insn->base == VCPU_RBP || insn->base == VCPU_RSP ? VCPU_SREG_SS : VCPU_SREG_DS;
}

static const struct opcode *find_opcode(const struct decoder *d, bool wide, u8 byte)
{
	const struct opcode *op = wide ? two_byte : one_byte;
	int nr = wide ? ARRAY_SIZE(two_byte) : ARRAY_SIZE(one_byte);

	for (; nr; op++, nr--)
		if ((byte & op->mask) == op->match &&
		    (op->reg == ANY || d->pos == d->nr || op->reg == ((d->bytes[d->pos] >> 3) & 7)))
			return op;
	return NULL;
}

static int decode_modrm(struct bawn_insn *insn, struct decoder *d, const struct opcode *op)
{
	u8 modrm = next_byte(d);
	u8 reg = (modrm >> 3) & 7;

	if (modrm >> 6 == 3)
		return -EINVAL;
	if (op->alu == BY_REG) {
		insn->alu = reg;
	} else if (op->reg == ANY) {
		insn->reg = reg | (d->rex & REX_R ? 8 : 0);
		if (insn->reg_size == 1 && !d->rex && reg >= 4) {
			insn->high = true;
			insn->reg = reg - 4;
		}
	}
	take_address(insn, d, modrm);
	return 0;
}

/* Operand sizes; -EINVAL for forms that this mode does not have. */
static int decode_sizes(struct bawn_insn *insn, const struct decoder *d, bool wide, u8 opcode)
{
	insn->size = d->op_size;
	insn->reg_size = d->op_size;
	if (wide) {
		if (d->rep || d->lock)
			return -EINVAL;
		if (opcode == 0xc3) /* MOVNTI */
			return d->opsize || d->op_size == 2 ? -EINVAL : 0;
		insn->size = opcode & 1 ? 2 : 1;
		insn->sign_extend = opcode & 8;
	} else if (opcode == 0x63) { /* MOVSXD; ARPL outside of 64-bit code */
		if (d->code_size != 8 || d->op_size == 2)
			return -EINVAL;
		insn->size = 4;
		insn->sign_extend = true;
	} else if (!(opcode & 1)) {
		insn->size = 1;
		insn->reg_size = 1;
	}
	return 0;
}

/*
 * Decodes one instruction with a memory operand. 0; -ENODATA when nr bytes are too few to tell;
 * -EINVAL for every other instruction, register forms included.
 */
int bawn_insn_decode(struct bawn_insn *insn, const u8 *bytes, int nr, int code_size)
{
	const struct opcode *op;
	struct decoder d;
	u8 byte = start(&d, bytes, nr, code_size);
	bool wide = byte == 0x0f;
	int len, ret = 0;

	*insn = (struct bawn_insn){ .base = BAWN_INSN_NO_REG, .index = BAWN_INSN_NO_REG };
	if (wide)
		byte = next_byte(&d);
	if (d.overrun)
		return finish(&d);
	op = find_opcode(&d, wide, byte);
	if (!op || decode_sizes(insn, &d, wide, byte))
		return -EINVAL;

	insn->op = op->op;
	insn->alu = op->alu == BY_OPCODE ? byte >> 3 : op->alu;
	insn->addr_size = d.addr_size;
	insn->seg = VCPU_SREG_DS;
	if (op->flags & MOFFS) {
		insn->disp = next_le(&d, d.addr_size);
	} else if (op->flags & STRING) {
		insn->rep = d.rep;
		insn->base = op->op == BAWN_INSN_STOS ? VCPU_RDI : VCPU_RSI;
	} else {
		ret = decode_modrm(insn, &d, op);
	}
	if (d.seg != VCPU_NR_SREG)
		insn->seg = d.seg;
	if (op->op == BAWN_INSN_STOS)
		insn->seg = VCPU_SREG_ES; /* always */
	if (!d.overrun && (ret || (d.lock && (!(op->flags & LOCKABLE) ||
					      insn->alu == BAWN_ALU_CMP))))
		return -EINVAL;
	if (op->flags & (IMM | IMM8)) {
		insn->has_imm = true;
		insn->imm = next_signed(&d, op->flags & IMM8 ? 1 : min(insn->size, 4));
	}
	len = finish(&d);
	if (len < 0)
		return len;
	insn->len = len;
	return 0;
}

int bawn_insn_prefixed_len(const u8 *bytes, int nr, int code_size, int op_len)
{
	struct decoder d;
	int len;

	start(&d, bytes, nr, code_size);
	len = d.pos - 1 + op_len;
	return d.overrun || len > d.nr ? 0 : len;
}

u8 bawn_insn_segment(const u8 *bytes, int nr, int code_size)
{
	struct decoder d;

	start(&d, bytes, nr, code_size);
	return d.seg == VCPU_NR_SREG ? VCPU_SREG_DS : d.seg;
}

int bawn_insn_decode_cr(struct bawn_insn_cr *cr, const u8 *bytes, int nr, int code_size)
{
	struct bawn_insn operand;
	struct decoder d;
	u8 opcode, modrm;
	int len;

	*cr = (struct bawn_insn_cr){};
	if (start(&d, bytes, nr, code_size) != 0x0f)
		return d.overrun ? -ENODATA : -EINVAL;
	opcode = next_byte(&d);
	modrm = opcode == 0x06 ? 0 : next_byte(&d);
	cr->gpr = (modrm & 7) | (d.rex & REX_B ? 8 : 0);
	cr->reg = (modrm >> 3) & 7;
	if (opcode == 0x06) {
		cr->op = BAWN_CR_CLTS;
		cr->write = true;
	} else if ((opcode & 0xfc) == 0x20) { /* ModRM.mod is ignored: a register always */
		cr->op = opcode & 1 ? BAWN_CR_MOV_DR : BAWN_CR_MOV;
		cr->write = opcode & 2;
		/* LOCK stands for REX.R outside of 64-bit code (AltMovCr8). */
		if (d.rex & REX_R || (d.lock && !(opcode & 1)))
			cr->reg |= 8;
	} else if (opcode == 0x01 && (cr->reg == 4 || cr->reg == 6)) {
		cr->op = cr->reg == 6 ? BAWN_CR_LMSW : BAWN_CR_SMSW;
		cr->write = cr->reg == 6;
		cr->reg = 0;
		cr->mem = modrm >> 6 != 3;
		cr->size = cr->mem ? 2 : d.op_size;
		if (cr->mem)
			take_address(&operand, &d, modrm);
	} else if (!d.overrun) {
		return -EINVAL;
	}
	len = finish(&d);
	if (len < 0)
		return len;
	cr->len = len;
	return 0;
}

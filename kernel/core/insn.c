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
#define REX_B BIT(0)

enum {
	ALU_CMP = 7,
	ALU_TEST,
	ALU_NOT,
	ALU_NEG,
	ALU_INC,
	ALU_DEC,
};

/* Where the decoder stands. Errors stick: reads past the end give 0 and set overrun. */
struct cursor {
	const u8 *bytes;
	int nr;
	int pos;
	bool overrun;
};

struct prefixes {
	u8 rex;
	u8 seg;	    /* VCPU_SREG_*, or VCPU_NR_SREG without an override */
	u8 op_size; /* 2, 4, 8 */
	u8 addr_size;
	bool opsize; /* 66 was there */
	bool rep;
	bool lock;
};

enum operand {
	MODRM = BIT(0),
	MOFFS = BIT(1),	 /* an absolute address after the opcode, register rAX */
	STRING = BIT(2), /* implied rSI, rDI; register rAX */
	IMM = BIT(3),	 /* immediate of the operand's size, 4 at most */
	IMM8 = BIT(4),	 /* sign-extended byte */
	GROUP = BIT(5),	 /* ModRM.reg selects the operation */
	LOCKABLE = BIT(6),
	EXTEND = BIT(7), /* MOVZX, MOVSX, MOVSXD */
};

struct opcode {
	u8 match, mask;
	u8 op;
	u8 alu;
	u8 flags;
};

#define ALU_FROM_OPCODE 0xff

/* Bit 0 of the opcode clear means byte operands, in all of these but the EXTEND ones. */
static const struct opcode one_byte[] = {
	{ 0x00, 0xc6, BAWN_INSN_ALU_RMW, ALU_FROM_OPCODE, MODRM | LOCKABLE },
	{ 0x02, 0xc6, BAWN_INSN_ALU_LOAD, ALU_FROM_OPCODE, MODRM },
	{ 0x63, 0xff, BAWN_INSN_LOAD, 0, MODRM | EXTEND },
	{ 0x80, 0xff, BAWN_INSN_ALU_RMW, 0, MODRM | GROUP | IMM | LOCKABLE },
	{ 0x81, 0xff, BAWN_INSN_ALU_RMW, 0, MODRM | GROUP | IMM | LOCKABLE },
	{ 0x83, 0xff, BAWN_INSN_ALU_RMW, 0, MODRM | GROUP | IMM8 | LOCKABLE },
	{ 0x84, 0xfe, BAWN_INSN_ALU_RMW, ALU_TEST, MODRM },
	{ 0x86, 0xfe, BAWN_INSN_XCHG, 0, MODRM | LOCKABLE },
	{ 0x88, 0xfe, BAWN_INSN_STORE, 0, MODRM },
	{ 0x8a, 0xfe, BAWN_INSN_LOAD, 0, MODRM },
	{ 0xa0, 0xfe, BAWN_INSN_LOAD, 0, MOFFS },
	{ 0xa2, 0xfe, BAWN_INSN_STORE, 0, MOFFS },
	{ 0xa4, 0xfe, BAWN_INSN_MOVS, 0, STRING },
	{ 0xaa, 0xfe, BAWN_INSN_STOS, 0, STRING },
	{ 0xac, 0xfe, BAWN_INSN_LODS, 0, STRING },
	{ 0xc6, 0xfe, BAWN_INSN_STORE, 0, MODRM | GROUP | IMM },
	{ 0xf6, 0xfe, BAWN_INSN_ALU_RMW, 0, MODRM | GROUP | LOCKABLE },
	{ 0xfe, 0xfe, BAWN_INSN_ALU_RMW, 0, MODRM | GROUP | LOCKABLE },
};

/* After 0F. */
static const struct opcode two_byte[] = {
	{ 0xb6, 0xf6, BAWN_INSN_LOAD, 0, MODRM | EXTEND },
	{ 0xc3, 0xff, BAWN_INSN_STORE, 0, MODRM },
};

static u8 next_byte(struct cursor *c)
{
	if (c->pos >= c->nr) {
		c->overrun = true;
		return 0;
	}
	return c->bytes[c->pos++];
}

static u64 next_le(struct cursor *c, int size)
{
	u64 value = 0;
	int i;

	for (i = 0; i < size; i++)
		value |= (u64)next_byte(c) << (8 * i);
	return value;
}

/* Takes the prefixes and returns the byte after them. REX counts as such only when it is last. */
static u8 take_prefixes(struct cursor *c, int code_size, struct prefixes *p)
{
	bool addrsize = false;
	u8 byte;

	*p = (struct prefixes){ .seg = VCPU_NR_SREG };
	for (;;) {
		byte = next_byte(c);
		switch (byte) {
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e: /* without meaning in 64-bit code */
			if (code_size != 8)
				p->seg = VCPU_SREG_ES + ((byte >> 3) & 3);
			continue;
		case 0x64:
		case 0x65:
			p->seg = VCPU_SREG_FS + (byte & 1);
			continue;
		case 0x66:
			p->opsize = true;
			continue;
		case 0x67:
			addrsize = true;
			continue;
		case 0xf0:
			p->lock = true;
			continue;
		case 0xf2:
		case 0xf3:
			p->rep = true;
			continue;
		}
		break;
	}
	if (code_size == 8 && (byte & 0xf0) == 0x40) {
		p->rex = byte;
		byte = next_byte(c);
	}
	if (p->rex & REX_W)
		p->op_size = 8;
	else
		p->op_size = p->opsize == (code_size == 2) ? 4 : 2;
	if (code_size == 8)
		p->addr_size = addrsize ? 4 : 8;
	else
		p->addr_size = addrsize == (code_size == 2) ? 4 : 2;
	return byte;
}

/* Passes over the SIB byte and the displacement of a memory operand. */
static void skip_address(struct cursor *c, u8 modrm, u8 addr_size)
{
	u8 mod = modrm >> 6, rm = modrm & 7;
	int disp;

	if (addr_size == 2) {
		disp = mod == 0 && rm == 6 ? 2 : mod;
	} else {
		if (rm == 4)
			rm = next_byte(c) & 7; /* the base: as rm, 5 means none when mod is 0 */
		disp = mod == 1 ? 1 : mod == 2 || rm == 5 ? 4 : 0;
	}
	while (disp--)
		next_byte(c);
}

static const struct opcode *find_opcode(const struct opcode *table, int nr, u8 byte)
{
	int i;

	for (i = 0; i < nr; i++)
		if ((byte & table[i].mask) == table[i].match)
			return &table[i];
	return NULL;
}

/* What ModRM.reg selects for opcodes that are a group. */
static int decode_group(struct bawn_insn *insn, u8 opcode, u8 reg)
{
	switch (opcode & 0xfe) {
	case 0x80:
	case 0x82:
		insn->alu = reg;
		return 0;
	case 0xc6:
		return reg == 0 ? 0 : -EINVAL;
	case 0xf6:
		if (reg == 1 || reg > 3)
			return -EINVAL;
		insn->alu = reg == 0 ? ALU_TEST : reg == 2 ? ALU_NOT : ALU_NEG;
		return 0;
	case 0xfe:
		if (reg > 1)
			return -EINVAL;
		insn->alu = reg == 0 ? ALU_INC : ALU_DEC;
		return 0;
	}
	return -EINVAL;
}

static void take_immediate(struct bawn_insn *insn, struct cursor *c, int size)
{
	insn->has_imm = true;
	insn->imm = sign_extend64(next_le(c, size), size * 8 - 1);
}

static int decode_modrm(struct bawn_insn *insn, struct cursor *c, const struct prefixes *p,
			const struct opcode *op, u8 opcode)
{
	u8 modrm = next_byte(c);
	u8 reg = (modrm >> 3) & 7;

	if (modrm >> 6 == 3)
		return -EINVAL;
	if (op->flags & GROUP) {
		if (decode_group(insn, opcode, reg))
			return -EINVAL;
	} else {
		insn->reg = reg | (p->rex & REX_R ? 8 : 0);
		if (insn->reg_size == 1 && !p->rex && reg >= 4) {
			insn->high = true;
			insn->reg = reg - 4;
		}
	}
	skip_address(c, modrm, p->addr_size);
	return 0;
}

/* Operand sizes; -EINVAL for forms that this mode does not have. */
static int decode_sizes(struct bawn_insn *insn, const struct prefixes *p, bool wide, u8 opcode,
			int code_size)
{
	insn->reg_size = p->op_size;
	insn->size = p->op_size;
	if (!wide) {
		if (opcode == 0x63) { /* MOVSXD; ARPL outside of 64-bit code */
			if (code_size != 8 || p->op_size == 2)
				return -EINVAL;
			insn->size = 4;
			insn->sign_extend = true;
		} else if (!(opcode & 1)) {
			insn->size = 1;
			insn->reg_size = 1;
		}
		return 0;
	}
	if (p->rep || p->lock)
		return -EINVAL;
	if (opcode == 0xc3) /* MOVNTI */
		return p->opsize || p->op_size == 2 ? -EINVAL : 0;
	insn->size = opcode & 1 ? 2 : 1;
	insn->sign_extend = opcode & 8;
	return 0;
}

/*
 * Decodes one instruction with a memory operand. 0; -ENODATA when nr bytes are too few to tell;
 * -EINVAL for every other instruction, register forms included.
 */
int bawn_insn_decode(struct bawn_insn *insn, const u8 *bytes, int nr, int code_size)
{
	struct cursor c = { .bytes = bytes, .nr = min(nr, MAX_INSN) };
	const struct opcode *op;
	struct prefixes p;
	bool wide;
	u8 byte;
	int ret = 0;

	*insn = (struct bawn_insn){};
	byte = take_prefixes(&c, code_size, &p);
	wide = byte == 0x0f;
	if (wide)
		byte = next_byte(&c);
	if (c.overrun)
		goto overrun;
	op = wide ? find_opcode(two_byte, ARRAY_SIZE(two_byte), byte)
		  : find_opcode(one_byte, ARRAY_SIZE(one_byte), byte);
	if (!op || decode_sizes(insn, &p, wide, byte, code_size))
		return -EINVAL;

	insn->op = op->op;
	insn->alu = op->alu == ALU_FROM_OPCODE ? byte >> 3 : op->alu;
	insn->addr_size = p.addr_size;
	insn->seg = p.seg == VCPU_NR_SREG ? VCPU_SREG_DS : p.seg;
	insn->rep = p.rep && op->flags & STRING;

	if (op->flags & MODRM)
		ret = decode_modrm(insn, &c, &p, op, byte);
	else if (op->flags & MOFFS)
		next_le(&c, p.addr_size);
	if (c.overrun)
		goto overrun;
	if (ret)
		return ret;
	if (p.lock && (!(op->flags & LOCKABLE) || insn->alu == ALU_CMP || insn->alu == ALU_TEST))
		return -EINVAL;
	if (op->flags & IMM || (insn->alu == ALU_TEST && op->flags & GROUP))
		take_immediate(insn, &c, min(insn->size, 4));
	else if (op->flags & IMM8)
		take_immediate(insn, &c, 1);
	if (c.overrun)
		goto overrun;
	insn->len = c.pos;
	return 0;

overrun:
	return c.pos >= MAX_INSN ? -EINVAL : -ENODATA;
}

static int opcode_start(struct cursor *c, struct prefixes *p, int code_size)
{
	take_prefixes(c, code_size, p);
	return c->overrun ? -ENODATA : c->pos - 1;
}

int bawn_insn_prefixed_len(const u8 *bytes, int nr, int code_size, int op_len)
{
	struct cursor c = { .bytes = bytes, .nr = min(nr, MAX_INSN) };
	struct prefixes p;
	int start = opcode_start(&c, &p, code_size);

	return start < 0 || start + op_len > c.nr ? 0 : start + op_len;
}

int bawn_insn_modrm_len(const u8 *bytes, int nr, int code_size, int op_len)
{
	struct cursor c = { .bytes = bytes, .nr = min(nr, MAX_INSN) };
	struct prefixes p;
	int start = opcode_start(&c, &p, code_size);
	u8 modrm;

	if (start < 0 || start + op_len >= c.nr)
		return 0;
	c.pos = start + op_len;
	modrm = next_byte(&c);
	if (modrm >> 6 != 3)
		skip_address(&c, modrm, p.addr_size);
	return c.overrun ? 0 : c.pos;
}

u8 bawn_insn_segment(const u8 *bytes, int nr, int code_size)
{
	struct cursor c = { .bytes = bytes, .nr = min(nr, MAX_INSN) };
	struct prefixes p;

	take_prefixes(&c, code_size, &p);
	return p.seg == VCPU_NR_SREG ? VCPU_SREG_DS : p.seg;
}

int bawn_insn_decode_cr(struct bawn_insn_cr *cr, const u8 *bytes, int nr, int code_size)
{
	struct cursor c = { .bytes = bytes, .nr = min(nr, MAX_INSN) };
	struct prefixes p;
	u8 opcode, modrm;

	*cr = (struct bawn_insn_cr){};
	if (take_prefixes(&c, code_size, &p) != 0x0f)
		return c.overrun ? -ENODATA : -EINVAL;
	opcode = next_byte(&c);
	if (opcode == 0x06 && !c.overrun) {
		cr->op = BAWN_CR_CLTS;
		cr->write = true;
		cr->len = c.pos;
		return 0;
	}
	modrm = next_byte(&c);
	if (c.overrun)
		return -ENODATA;
	cr->gpr = (modrm & 7) | (p.rex & REX_B ? 8 : 0);
	cr->reg = (modrm >> 3) & 7;
	if ((opcode & 0xfc) == 0x20) { /* ModRM.mod is ignored: a register always */
		cr->op = opcode & 1 ? BAWN_CR_MOV_DR : BAWN_CR_MOV;
		cr->write = opcode & 2;
		/* LOCK stands for REX.R outside of 64-bit code (AltMovCr8). */
		if (p.rex & REX_R || (p.lock && !(opcode & 1)))
			cr->reg |= 8;
	} else if (opcode == 0x01 && (cr->reg == 4 || cr->reg == 6)) {
		cr->op = cr->reg == 6 ? BAWN_CR_LMSW : BAWN_CR_SMSW;
		cr->write = cr->reg == 6;
		cr->reg = 0;
		cr->mem = modrm >> 6 != 3;
		cr->size = cr->mem ? 2 : p.op_size;
		if (cr->mem)
			skip_address(&c, modrm, p.addr_size);
	} else {
		return -EINVAL;
	}
	cr->len = c.pos;
	return c.overrun ? -ENODATA : 0;
}

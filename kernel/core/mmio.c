// SPDX-License-Identifier: GPL-2.0-only
/*
 * Executes one guest instruction whose memory operand is a device: finds the device in the module
 * (local APIC, ioeventfd) or asks userspace by KVM_EXIT_MMIO. The instruction's bytes and the
 * memory on its other side are the guest's, the answer is userspace's: each is read once, and
 * wrong ones harm only this guest. What is not decoded ends in KVM_EXIT_INTERNAL_ERROR.
 */
#include "bawn.h"
#include <asm/processor-flags.h>

#define ARITH_FLAGS (X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | \
		     X86_EFLAGS_SF | X86_EFLAGS_OF)

#define ALU_CARRY (BIT(BAWN_ALU_ADC) | BIT(BAWN_ALU_SBB))
#define ALU_LOGIC (BIT(BAWN_ALU_OR) | BIT(BAWN_ALU_AND) | BIT(BAWN_ALU_XOR) | BIT(BAWN_ALU_TEST))
#define ALU_MINUS (BIT(BAWN_ALU_SBB) | BIT(BAWN_ALU_SUB) | BIT(BAWN_ALU_CMP) | \
		   BIT(BAWN_ALU_NEG) | BIT(BAWN_ALU_DEC))
#define ALU_FLAGS_ONLY (BIT(BAWN_ALU_CMP) | BIT(BAWN_ALU_TEST))

/* Flags of a - b - borrow or a + b + carry, whose result is r; all of size bytes. */
static u64 arith_flags(u64 a, u64 b, u64 r, bool sub, unsigned int size)
{
	u64 sign = BIT_ULL(size * 8 - 1);
	u64 carry = sub ? (~a & b) | ((~a | b) & r) : (a & b) | ((a | b) & ~r);
	u64 overflow = sub ? (a ^ b) & (a ^ r) : (a ^ r) & (b ^ r);

	return (carry & sign ? X86_EFLAGS_CF : 0) | (overflow & sign ? X86_EFLAGS_OF : 0) |
	       ((a ^ b ^ r) & X86_EFLAGS_AF);
}

u64 bawn_insn_alu(u8 alu, unsigned int size, u64 dst, u64 src, u64 *rflags)
{
	u64 changed = ARITH_FLAGS, carry = 0, flags = 0, r;
	bool minus = BIT(alu) & ALU_MINUS;

	if (alu == BAWN_ALU_NOT)
		return ~dst & bawn_size_mask(size);
	if (alu == BAWN_ALU_INC || alu == BAWN_ALU_DEC) {
		src = 1;
		changed &= ~(u64)X86_EFLAGS_CF;
	} else if (alu == BAWN_ALU_NEG) {
		src = dst;
		dst = 0;
	} else if (BIT(alu) & ALU_CARRY) {
		carry = *rflags & X86_EFLAGS_CF;
	}
	if (BIT(alu) & ALU_LOGIC) {
		r = alu == BAWN_ALU_OR ? dst | src : alu == BAWN_ALU_XOR ? dst ^ src : dst & src;
	} else {
		r = minus ? dst - src - carry : dst + src + carry;
		flags = arith_flags(dst, src, r, minus, size);
	}
	r &= bawn_size_mask(size);
	flags |= (r ? 0 : X86_EFLAGS_ZF) | (r >> (size * 8 - 1) ? X86_EFLAGS_SF : 0) |
		 (hweight8(r) & 1 ? 0 : X86_EFLAGS_PF);
	*rflags = (*rflags & ~changed) | (flags & changed);
	return r;
}

static u64 read_reg(struct bawn_vcpu *vcpu, const struct bawn_insn *insn)
{
	u64 value = vcpu->gpr[insn->reg];

	return (insn->high ? value >> 8 : value) & bawn_size_mask(insn->reg_size);
}

static u64 source(struct bawn_vcpu *vcpu, const struct bawn_insn *insn)
{
	return insn->has_imm ? insn->imm & bawn_size_mask(insn->size) : read_reg(vcpu, insn);
}

static void write_reg(struct bawn_vcpu *vcpu, const struct bawn_insn *insn, u64 value)
{
	u64 mask = insn->reg_size == 4 ? ~0ULL : bawn_size_mask(insn->reg_size);
	int shift = insn->high ? 8 : 0;
	u64 *reg = &vcpu->gpr[insn->reg];

	value &= bawn_size_mask(insn->reg_size);
	*reg = (*reg & ~(mask << shift)) | (value << shift);
}

void bawn_advance_reg(u64 *reg, u64 delta, u8 addr_size)
{
	u64 mask = addr_size == 2 ? U16_MAX : ~0ULL; /* 32-bit results clear the upper half */

	*reg = (*reg & ~mask) | ((*reg + delta) & bawn_size_mask(addr_size));
}

/* Ends the instruction, or the element of a repeated one. */
static int retire(struct bawn_vcpu *vcpu)
{
	const struct bawn_insn *insn = &vcpu->mmio.insn;
	u64 delta = vcpu->rflags & X86_EFLAGS_DF ? -(u64)insn->size : insn->size;
	bool more = false;

	if (insn->op == BAWN_INSN_MOVS || insn->op == BAWN_INSN_LODS)
		bawn_advance_reg(&vcpu->gpr[VCPU_RSI], delta, insn->addr_size);
	if (insn->op == BAWN_INSN_MOVS || insn->op == BAWN_INSN_STOS)
		bawn_advance_reg(&vcpu->gpr[VCPU_RDI], delta, insn->addr_size);
	if (insn->rep) {
		bawn_advance_reg(&vcpu->gpr[VCPU_RCX], -1ULL, insn->addr_size);
		more = vcpu->gpr[VCPU_RCX] & bawn_size_mask(insn->addr_size);
	}
	return bawn_skip(vcpu, more ? 0 : insn->len);
}

/*
 * What the decoder refuses: userspace is told, with the instruction where that is known. A
 * program in the guest, with a device page mapped, must not end the VM so: it gets #UD.
 */
static int emulation_error(struct bawn_vcpu *vcpu, const u8 *bytes, int nr)
{
	struct kvm_run *run = vcpu->run;
	int ret;

	if (bawn_cpu->cpl(vcpu))
		return bawn_inject_ud(vcpu);
	ret = bawn_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION, 0, 0);
	if (nr > 0) {
		run->emulation_failure.ndata = 3; /* flags; size and bytes */
		run->emulation_failure.flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
		run->emulation_failure.insn_size = nr;
		memcpy(run->emulation_failure.insn_bytes, bytes, nr);
	}
	return ret;
}

static bool crosses_page(const struct bawn_mmio_state *m)
{
	return offset_in_page(m->gpa) + m->insn.size > PAGE_SIZE;
}

static int mmio_exit(struct bawn_vcpu *vcpu, bool write, int (*complete)(struct bawn_vcpu *))
{
	struct bawn_mmio_state *m = &vcpu->mmio;
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = m->gpa;
	run->mmio.len = m->insn.size;
	run->mmio.is_write = write;
	memset(run->mmio.data, 0, sizeof(run->mmio.data));
	if (write)
		memcpy(run->mmio.data, &m->data, m->insn.size);
	vcpu->complete = complete;
	return 0;
}

/* Writes mmio.data to the device at mmio.gpa. */
static int mmio_write(struct bawn_vcpu *vcpu)
{
	struct bawn_mmio_state *m = &vcpu->mmio;

	if (crosses_page(m))
		return emulation_error(vcpu, NULL, 0);
	m->data &= bawn_size_mask(m->insn.size);
	if ((vcpu->apic && bawn_lapic_mmio(vcpu, m->gpa, m->insn.size, &m->data, true)) ||
	    !bawn_ioeventfd_write(vcpu->vm, false, m->gpa, m->insn.size, m->data))
		return retire(vcpu);
	return mmio_exit(vcpu, true, retire);
}

/* The linear address of an instruction's operand; dst: of MOVS's destination. */
static int operand(struct bawn_vcpu *vcpu, bool dst, bool write, gva_t *gva,
		   struct bawn_walk_fault *f)
{
	const struct bawn_insn *insn = &vcpu->mmio.insn;
	u64 offset = insn->disp;

	if (dst)
		offset = vcpu->gpr[VCPU_RDI];
	else if (insn->base == BAWN_INSN_RIP)
		offset += vcpu->rip + insn->len;
	else if (insn->base != BAWN_INSN_NO_REG)
		offset += vcpu->gpr[insn->base];
	if (insn->index != BAWN_INSN_NO_REG)
		offset += vcpu->gpr[insn->index] << insn->scale;
	return bawn_linear(vcpu, dst ? VCPU_SREG_ES : insn->seg, offset, insn->addr_size,
			   insn->size, write, gva, f);
}

/* A side of MOVS could not be reached as memory: no memory is there, or the guest may not. */
static int no_memory(struct bawn_vcpu *vcpu, int ret, gva_t gva, bool write,
		     struct bawn_walk_fault *f, int (*device)(struct bawn_vcpu *))
{
	u32 access = write ? BAWN_WALK_WRITE : 0;

	if (bawn_cpu->cpl(vcpu) == 3)
		access |= BAWN_WALK_USER;
	if (ret == -ENXIO && !bawn_walk(vcpu, gva, access, &vcpu->mmio.gpa, f))
		return device(vcpu);
	return bawn_inject_walk_fault(vcpu, f);
}

/* The second half of MOVS: mmio.data goes to ES:rDI. */
static int movs_store(struct bawn_vcpu *vcpu)
{
	struct bawn_mmio_state *m = &vcpu->mmio;
	struct bawn_walk_fault f;
	gva_t gva = 0;
	int ret = operand(vcpu, true, true, &gva, &f);

	if (!ret)
		ret = bawn_write_virt(vcpu, gva, &m->data, m->insn.size, &f);
	return ret ? no_memory(vcpu, ret, gva, true, &f, mmio_write) : retire(vcpu);
}

/* With the memory operand in mmio.data, does what the instruction does with it. */
static int execute(struct bawn_vcpu *vcpu)
{
	struct bawn_mmio_state *m = &vcpu->mmio;
	const struct bawn_insn *insn = &m->insn;
	u64 value = m->data;

	switch (insn->op) {
	case BAWN_INSN_LOAD:
	case BAWN_INSN_LODS:
		if (insn->sign_extend)
			value = sign_extend64(value, insn->size * 8 - 1);
		write_reg(vcpu, insn, value);
		return retire(vcpu);
	case BAWN_INSN_ALU_LOAD:
		value = bawn_insn_alu(insn->alu, insn->size, read_reg(vcpu, insn), value,
				      &vcpu->rflags);
		if (insn->alu != BAWN_ALU_CMP)
			write_reg(vcpu, insn, value);
		return retire(vcpu);
	case BAWN_INSN_ALU_RMW:
		m->data = bawn_insn_alu(insn->alu, insn->size, value, source(vcpu, insn),
					&vcpu->rflags);
		return BIT(insn->alu) & ALU_FLAGS_ONLY ? retire(vcpu) : mmio_write(vcpu);
	case BAWN_INSN_XCHG:
		m->data = read_reg(vcpu, insn);
		write_reg(vcpu, insn, value);
		return mmio_write(vcpu);
	case BAWN_INSN_MOVS:
		return movs_store(vcpu);
	case BAWN_INSN_STORE:
	case BAWN_INSN_STOS:
		m->data = source(vcpu, insn);
		return mmio_write(vcpu);
	}
	return emulation_error(vcpu, NULL, 0);
}

static int complete_read(struct bawn_vcpu *vcpu)
{
	struct bawn_mmio_state *m = &vcpu->mmio;

	m->data = 0;
	memcpy(&m->data, vcpu->run->mmio.data, m->insn.size);
	return execute(vcpu);
}

/* Reads mmio.data from the device at mmio.gpa; read-only memory reads as memory. */
static int mmio_read(struct bawn_vcpu *vcpu)
{
	struct bawn_mmio_state *m = &vcpu->mmio;

	if (crosses_page(m))
		return emulation_error(vcpu, NULL, 0);
	m->data = 0;
	if (vcpu->apic && bawn_lapic_mmio(vcpu, m->gpa, m->insn.size, &m->data, false))
		return execute(vcpu);
	if (!bawn_read_guest(vcpu->vm, m->gpa, &m->data, m->insn.size))
		return execute(vcpu);
	m->data = 0;
	return mmio_exit(vcpu, false, complete_read);
}

/*
 * Either side of MOVS may be the device. The destination is checked before the source is read,
 * for reading a device may change it.
 */
static int movs(struct bawn_vcpu *vcpu)
{
	struct bawn_mmio_state *m = &vcpu->mmio;
	struct bawn_walk_fault f;
	gva_t src = 0, dst;
	int ret = operand(vcpu, false, false, &src, &f);

	if (!ret)
		ret = operand(vcpu, true, true, &dst, &f);
	if (!ret)
		ret = bawn_probe_write(vcpu, dst, m->insn.size, &f);
	m->data = 0;
	if (!ret)
		ret = bawn_read_virt(vcpu, src, &m->data, m->insn.size, 0, &f);
	return ret ? no_memory(vcpu, ret, src, false, &f, mmio_read) : movs_store(vcpu);
}

/*
 * The guest touched gpa, where no memory is. Answers as an exit handler does.
 * gpa is the operand's address, exact to the byte, or the page that the operand runs into.
 */
int bawn_mmio(struct bawn_vcpu *vcpu, gpa_t gpa, bool write)
{
	struct bawn_mmio_state *m = &vcpu->mmio;
	struct bawn_walk_fault f;
	u8 bytes[15];
	gva_t gva;
	int nr, ret;

	nr = bawn_fetch(vcpu, bytes, &f);
	ret = nr < 0 ? nr : bawn_insn_decode(&m->insn, bytes, nr, bawn_cpu->code_size(vcpu));
	if ((ret == -EFAULT || ret == -ENODATA) && f.vector)
		return bawn_inject_walk_fault(vcpu, &f);
	if (ret)
		return emulation_error(vcpu, bytes, nr);
	if (m->insn.rep && !(vcpu->gpr[VCPU_RCX] & bawn_size_mask(m->insn.addr_size)))
		return bawn_skip(vcpu, m->insn.len);

	m->gpa = gpa;
	if (m->insn.op == BAWN_INSN_MOVS)
		return movs(vcpu);
	/* The first bytes of an operand that begins in the page before are not ours to do. */
	if (!offset_in_page(gpa) && (operand(vcpu, false, write, &gva, &f) || offset_in_page(gva)))
		return emulation_error(vcpu, bytes, nr);
	if (m->insn.op == BAWN_INSN_STORE || m->insn.op == BAWN_INSN_STOS)
		return execute(vcpu);
	return mmio_read(vcpu);
}

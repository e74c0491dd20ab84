// SPDX-License-Identifier: GPL-2.0-only
/*
 * Executes one guest instruction whose memory operand is a device: finds the device in the module
 * (local APIC, ioeventfd) or asks userspace by KVM_EXIT_MMIO. The instruction's bytes and the
 * memory on its other side are the guest's, the answer is userspace's: each is read once, and
 * wrong ones harm only this guest. What is not decoded ends in KVM_EXIT_INTERNAL_ERROR.
 */
#include "bawn.h"
#include <asm/processor-flags.h>

enum {
	ALU_ADD,
	ALU_OR,
	ALU_ADC,
	ALU_SBB,
	ALU_AND,
	ALU_SUB,
	ALU_XOR,
	ALU_CMP,
	ALU_TEST,
	ALU_NOT,
	ALU_NEG,
	ALU_INC,
	ALU_DEC,
};

#define ARITH_FLAGS                                                                      \
	(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | X86_EFLAGS_SF | \
	 X86_EFLAGS_OF)

static u64 size_mask(unsigned int size)
{
	return size == 8 ? ~0ULL : BIT_ULL(size * 8) - 1;
}

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
	u64 carry = *rflags & X86_EFLAGS_CF;
	u64 keep = ~(u64)ARITH_FLAGS;
	u64 r, flags = 0;

	switch (alu) {
	case ALU_INC:
	case ALU_DEC:
		src = 1;
		keep |= X86_EFLAGS_CF;
		fallthrough;
	case ALU_ADD:
	case ALU_SUB:
	case ALU_CMP:
		carry = 0;
		break;
	case ALU_NEG:
		src = dst;
		dst = 0;
		carry = 0;
		break;
	}
	switch (alu) {
	case ALU_INC:
	case ALU_ADD:
	case ALU_ADC:
		r = dst + src + carry;
		flags = arith_flags(dst, src, r, false, size);
		break;
	case ALU_DEC:
	case ALU_NEG:
	case ALU_SUB:
	case ALU_CMP:
	case ALU_SBB:
		r = dst - src - carry;
		flags = arith_flags(dst, src, r, true, size);
		break;
	case ALU_OR:
		r = dst | src;
		break;
	case ALU_XOR:
		r = dst ^ src;
		break;
	case ALU_NOT:
		return ~dst & size_mask(size);
	default: /* AND, TEST */
		r = dst & src;
		break;
	}
	r &= size_mask(size);
	flags |= (r ? 0 : X86_EFLAGS_ZF) | (r >> (size * 8 - 1) ? X86_EFLAGS_SF : 0) |
		 (hweight8(r) & 1 ? 0 : X86_EFLAGS_PF);
	*rflags = (*rflags & keep) | (flags & ~keep);
	return r;
}

static u64 read_reg(struct bawn_vcpu *vcpu, const struct bawn_insn *insn)
{
	u64 value = vcpu->gpr[insn->reg];

	return (insn->high ? value >> 8 : value) & size_mask(insn->reg_size);
}

static void write_reg(struct bawn_vcpu *vcpu, const struct bawn_insn *insn, u64 value)
{
	u64 mask = insn->reg_size == 4 ? ~0ULL : size_mask(insn->reg_size);
	int shift = insn->high ? 8 : 0;
	u64 *reg = &vcpu->gpr[insn->reg];

	value &= size_mask(insn->reg_size);
	*reg = (*reg & ~(mask << shift)) | (value << shift);
}

void bawn_advance_reg(u64 *reg, u64 delta, u8 addr_size)
{
	u64 mask = addr_size == 2 ? U16_MAX : ~0ULL; /* 32-bit results clear the upper half */

	*reg = (*reg & ~mask) | ((*reg + delta) & size_mask(addr_size));
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
		more = vcpu->gpr[VCPU_RCX] & size_mask(insn->addr_size);
	}
	return bawn_skip(vcpu, more ? 0 : insn->len);
}

static int emulation_error(struct bawn_vcpu *vcpu, const u8 *bytes, int nr)
{
	struct kvm_run *run = vcpu->run;
	int ret = bawn_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION, 0, 0);

	if (nr <= 0)
		return ret;
	run->emulation_failure.ndata = 3; /* flags; size and bytes */
	run->emulation_failure.flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
	run->emulation_failure.insn_size = nr;
	memset(run->emulation_failure.insn_bytes, 0x90, sizeof(run->emulation_failure.insn_bytes));
	memcpy(run->emulation_failure.insn_bytes, bytes, nr);
	return ret;
}

static int crosses_page(struct bawn_vcpu *vcpu)
{
	return offset_in_page(vcpu->mmio.gpa) + vcpu->mmio.insn.size > PAGE_SIZE;
}

static int mmio_exit(struct bawn_vcpu *vcpu, bool write, int (*complete)(struct bawn_vcpu *))
{
	struct bawn_mmio_state *m = &vcpu->mmio;
	struct kvm_run *run = vcpu->run;

	m->write = write;
	m->active = true;
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

static int complete_write(struct bawn_vcpu *vcpu)
{
	vcpu->mmio.active = false;
	return retire(vcpu);
}

/* Writes mmio.data to the device at mmio.gpa. */
static int mmio_write(struct bawn_vcpu *vcpu)
{
	struct bawn_mmio_state *m = &vcpu->mmio;

	if (crosses_page(vcpu))
		return emulation_error(vcpu, NULL, 0);
	m->data &= size_mask(m->insn.size);
	if (vcpu->apic && bawn_lapic_mmio(vcpu, m->gpa, m->insn.size, &m->data, true))
		return retire(vcpu);
	if (!bawn_ioeventfd_write(vcpu->vm, false, m->gpa, m->insn.size, m->data))
		return retire(vcpu);
	return mmio_exit(vcpu, true, complete_write);
}

static gva_t element(struct bawn_vcpu *vcpu, bool write, struct bawn_walk_fault *f, int *ret)
{
	const struct bawn_insn *insn = &vcpu->mmio.insn;
	gva_t gva = 0;

	*ret = bawn_linear(vcpu, write ? VCPU_SREG_ES : insn->seg,
			   vcpu->gpr[write ? VCPU_RDI : VCPU_RSI], insn->addr_size, insn->size,
			   write, &gva, f);
	return gva;
}

/* Sets mmio.gpa to what a side of MOVS that is no memory translates to. */
static int device_side(struct bawn_vcpu *vcpu, gva_t gva, bool write, struct bawn_walk_fault *f)
{
	u32 access =
		(write ? BAWN_WALK_WRITE : 0) | (bawn_cpu->cpl(vcpu) == 3 ? BAWN_WALK_USER : 0);

	return bawn_walk(vcpu, gva, access, &vcpu->mmio.gpa, f);
}

/* The second half of MOVS: mmio.data goes to ES:rDI. */
static int movs_store(struct bawn_vcpu *vcpu)
{
	struct bawn_mmio_state *m = &vcpu->mmio;
	struct bawn_walk_fault f;
	gva_t gva;
	int ret;

	gva = element(vcpu, true, &f, &ret);
	if (!ret)
		ret = bawn_write_virt(vcpu, gva, &m->data, m->insn.size, &f);
	if (!ret)
		return retire(vcpu);
	if (ret == -ENXIO) {
		ret = device_side(vcpu, gva, true, &f);
		if (!ret)
			return mmio_write(vcpu);
	}
	bawn_inject_walk_fault(vcpu, &f);
	return 1;
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
		if (insn->alu != ALU_CMP)
			write_reg(vcpu, insn, value);
		return retire(vcpu);
	case BAWN_INSN_ALU_RMW:
		m->data = bawn_insn_alu(insn->alu, insn->size, value,
					insn->has_imm ? insn->imm & size_mask(insn->size)
						      : read_reg(vcpu, insn),
					&vcpu->rflags);
		if (insn->alu == ALU_CMP || insn->alu == ALU_TEST)
			return retire(vcpu);
		return mmio_write(vcpu);
	case BAWN_INSN_XCHG:
		m->data = read_reg(vcpu, insn);
		write_reg(vcpu, insn, value);
		return mmio_write(vcpu);
	case BAWN_INSN_MOVS:
		return movs_store(vcpu);
	case BAWN_INSN_STORE:
	case BAWN_INSN_STOS:
		m->data = insn->has_imm ? insn->imm : read_reg(vcpu, insn);
		return mmio_write(vcpu);
	}
	return emulation_error(vcpu, NULL, 0);
}

static int complete_read(struct bawn_vcpu *vcpu)
{
	struct bawn_mmio_state *m = &vcpu->mmio;

	m->active = false;
	m->data = 0;
	memcpy(&m->data, vcpu->run->mmio.data, m->insn.size);
	return execute(vcpu);
}

/* Reads mmio.data from the device at mmio.gpa; read-only memory reads as memory. */
static int mmio_read(struct bawn_vcpu *vcpu)
{
	struct bawn_mmio_state *m = &vcpu->mmio;

	if (crosses_page(vcpu))
		return emulation_error(vcpu, NULL, 0);
	m->data = 0;
	if (vcpu->apic && bawn_lapic_mmio(vcpu, m->gpa, m->insn.size, &m->data, false))
		return execute(vcpu);
	if (!bawn_read_guest(vcpu->vm, m->gpa, &m->data, m->insn.size))
		return execute(vcpu);
	m->data = 0;
	return mmio_exit(vcpu, false, complete_read);
}

/* Either side of MOVS may be the device. The destination is checked before the source is read,
 * for reading a device may change it. */
static int movs(struct bawn_vcpu *vcpu)
{
	struct bawn_mmio_state *m = &vcpu->mmio;
	struct bawn_walk_fault f;
	gva_t src, dst;
	int ret;

	src = element(vcpu, false, &f, &ret);
	if (!ret)
		dst = element(vcpu, true, &f, &ret);
	if (!ret)
		ret = bawn_probe_write(vcpu, dst, m->insn.size, &f);
	if (!ret) {
		m->data = 0;
		ret = bawn_read_virt(vcpu, src, &m->data, m->insn.size, 0, &f);
		if (!ret)
			return movs_store(vcpu);
	}
	if (ret == -ENXIO) {
		ret = device_side(vcpu, src, false, &f);
		if (!ret)
			return mmio_read(vcpu);
	}
	bawn_inject_walk_fault(vcpu, &f);
	return 1;
}

/*
 * The guest touched gpa, where no memory is. Answers as an exit handler does.
 * gpa is the operand's address, exact to the byte.
 */
int bawn_mmio(struct bawn_vcpu *vcpu, gpa_t gpa, bool write)
{
	struct bawn_mmio_state *m = &vcpu->mmio;
	struct bawn_walk_fault f;
	u8 bytes[15];
	int nr, ret;

	nr = bawn_fetch(vcpu, bytes, &f);
	ret = nr < 0 ? nr : bawn_insn_decode(&m->insn, bytes, nr, bawn_code_size(vcpu));
	if ((ret == -EFAULT || ret == -ENODATA) && f.vector) {
		bawn_inject_walk_fault(vcpu, &f);
		return 1;
	}
	if (ret)
		return emulation_error(vcpu, bytes, nr);
	if (m->insn.rep && !(vcpu->gpr[VCPU_RCX] & size_mask(m->insn.addr_size)))
		return bawn_skip(vcpu, m->insn.len);

	m->gpa = gpa;
	m->write = write;
	switch (m->insn.op) {
	case BAWN_INSN_MOVS:
		return movs(vcpu);
	case BAWN_INSN_STORE:
	case BAWN_INSN_STOS:
		return execute(vcpu);
	default:
		return mmio_read(vcpu);
	}
}

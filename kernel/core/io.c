// SPDX-License-Identifier: GPL-2.0-only
/*
 * Port I/O: every port belongs to userspace, except those that an ioeventfd watches. Data passes
 * through the page at KVM_PIO_PAGE_OFFSET, which userspace may change at any time: it is copied
 * from once, and nothing in it is a length or an address.
 */
#include "bawn.h"
#include <asm/processor-flags.h>

/* What of the registers an address of this size uses. */
static u64 addr_mask(const struct bawn_exit *e)
{
	return bawn_size_mask(e->io.addr_size);
}

/* Where the string's elements are. */
static u64 *pointer(struct bawn_vcpu *vcpu)
{
	return &vcpu->gpr[vcpu->pio.exit.io.in ? VCPU_RDI : VCPU_RSI];
}

static int io_exit(struct bawn_vcpu *vcpu, const struct bawn_exit *e, u32 count,
		   int (*complete)(struct bawn_vcpu *))
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = e->io.in ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT;
	run->io.size = e->io.size;
	run->io.port = e->io.port;
	run->io.count = count;
	run->io.data_offset = KVM_PIO_PAGE_OFFSET * PAGE_SIZE;
	vcpu->complete = complete;
	return 0;
}

static int complete_in(struct bawn_vcpu *vcpu)
{
	const struct bawn_exit *e = &vcpu->pio.exit;
	u64 *rax = &vcpu->gpr[VCPU_RAX];
	u64 keep = e->io.size == 4 ? 0 : ~bawn_size_mask(e->io.size);
	u32 value = 0;

	memcpy(&value, vcpu->pio_data, e->io.size);
	*rax = (*rax & keep) | value;
	return bawn_skip(vcpu, e->len);
}

static int single(struct bawn_vcpu *vcpu, const struct bawn_exit *e)
{
	u32 value = vcpu->gpr[VCPU_RAX] & bawn_size_mask(e->io.size);

	if (!e->io.in && !bawn_ioeventfd_write(vcpu->vm, true, e->io.port, e->io.size, value))
		return bawn_skip(vcpu, e->len);
	if (e->io.in) {
		vcpu->pio.exit = *e;
		return io_exit(vcpu, e, 1, complete_in);
	}
	*(u32 *)vcpu->pio_data = value;
	vcpu->complete_len = e->len;
	return io_exit(vcpu, e, 1, NULL);
}

/* Moves rSI or rDI and rCX on by n elements; the instruction ends when none is left. */
static int advance(struct bawn_vcpu *vcpu, u32 n)
{
	const struct bawn_exit *e = &vcpu->pio.exit;
	u64 delta = (u64)n * e->io.size;
	bool more = false;

	if (vcpu->rflags & X86_EFLAGS_DF)
		delta = -delta;
	bawn_advance_reg(pointer(vcpu), delta, e->io.addr_size);
	if (e->io.rep) {
		bawn_advance_reg(&vcpu->gpr[VCPU_RCX], -(u64)n, e->io.addr_size);
		more = vcpu->gpr[VCPU_RCX] & addr_mask(e);
	}
	return bawn_skip(vcpu, more ? 0 : e->len);
}

/* The linear address of n elements from the current one upwards. */
static int elements(struct bawn_vcpu *vcpu, u32 n, gva_t *gva, struct bawn_walk_fault *f)
{
	const struct bawn_exit *e = &vcpu->pio.exit;

	return bawn_linear(vcpu, e->io.in ? VCPU_SREG_ES : e->io.seg, *pointer(vcpu),
			   e->io.addr_size, (size_t)n * e->io.size, e->io.in, gva, f);
}

/* How many of count elements go at once: those in the page where the first one ends up. */
static u32 batch(struct bawn_vcpu *vcpu, u64 count, gva_t gva)
{
	const struct bawn_exit *e = &vcpu->pio.exit;
	u64 in_page = (PAGE_SIZE - offset_in_page(gva)) / e->io.size;
	u64 before_wrap = (addr_mask(e) - (*pointer(vcpu) & addr_mask(e))) / e->io.size;
	u64 n = max(min3(count, in_page, before_wrap), 1ULL);
	struct bawn_walk_fault f;

	return vcpu->rflags & X86_EFLAGS_DF || elements(vcpu, n, &gva, &f) ? 1 : n;
}

/* Ends a try at guest memory that did not succeed. */
static int memory_failed(struct bawn_vcpu *vcpu, int ret, const struct bawn_walk_fault *f)
{
	if (ret == -ENXIO)
		return bawn_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION, 0, 0);
	return bawn_inject_walk_fault(vcpu, f);
}

static int complete_string(struct bawn_vcpu *vcpu)
{
	const struct bawn_exit *e = &vcpu->pio.exit;
	u32 n = vcpu->pio.count;
	struct bawn_walk_fault f;
	gva_t gva;
	int ret;

	if (e->io.in) {
		ret = elements(vcpu, n, &gva, &f);
		if (!ret)
			ret = bawn_write_virt(vcpu, gva, vcpu->pio_data, n * e->io.size, &f);
		if (ret)
			return memory_failed(vcpu, ret, &f);
	}
	return advance(vcpu, n);
}

static noinline int string(struct bawn_vcpu *vcpu)
{
	const struct bawn_exit *e = &vcpu->pio.exit;
	u64 count = e->io.rep ? vcpu->gpr[VCPU_RCX] & addr_mask(e) : 1;
	struct bawn_walk_fault f;
	u32 first = 0, n = 1;
	gva_t gva = 0;
	int ret;

	if (!count)
		return bawn_skip(vcpu, e->len);
	ret = elements(vcpu, 1, &gva, &f);
	if (!ret) {
		n = batch(vcpu, count, gva);
		/* INS: whether memory takes the data is known before the device gives it. */
		ret = e->io.in ? bawn_probe_write(vcpu, gva, n * e->io.size, &f) :
				 bawn_read_virt(vcpu, gva, vcpu->pio_data, n * e->io.size, 0, &f);
	}
	if (ret)
		return memory_failed(vcpu, ret, &f);
	memcpy(&first, vcpu->pio_data, e->io.size);
	if (!e->io.in && !bawn_ioeventfd_write(vcpu->vm, true, e->io.port, e->io.size, first))
		return advance(vcpu, 1);
	vcpu->pio.count = n;
	return io_exit(vcpu, e, n, complete_string);
}

/* IN, OUT, INS, OUTS as the backend decoded them. Answers as an exit handler does. */
int bawn_io(struct bawn_vcpu *vcpu, const struct bawn_exit *exit)
{
	if (!exit->io.string)
		return single(vcpu, exit);
	vcpu->pio.exit = *exit;
	return string(vcpu);
}

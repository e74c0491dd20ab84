// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices by the GHCB: ports, one value or strings of them, and memory-mapped registers. Data
 * goes through the scratch area, which is copied once. AMD 56421,
 * "IOIO_PROT" and "MMIO Access".
 */
#include "ghcb.h"

/* ---- Ports: SW_EXITINFO1 is EXITINFO1 of an IOIO exit (AMD APM vol. 2, 15.10.2) ---- */

#define IOIO_IN BIT_ULL(0)
#define IOIO_STRING BIT_ULL(2)
#define IOIO_SIZE(info) ((info) >> 4 & 7) /* 1, 2, 4: one bit is set */
#define IOIO_PORT(info) ((u16)((info) >> 16))

static int io_exit(struct bawn_vcpu *vcpu, u64 info, int (*complete)(struct bawn_vcpu *))
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = info & IOIO_IN ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT;
	run->io.size = vcpu->snp->service.size;
	run->io.port = IOIO_PORT(info);
	run->io.count = vcpu->snp->service.count;
	run->io.data_offset = KVM_PIO_PAGE_OFFSET * PAGE_SIZE;
	vcpu->complete = complete;
	return 0;
}

static int complete_in(struct bawn_vcpu *vcpu)
{
	u32 size = vcpu->snp->service.size, value = 0;

	memcpy(&value, vcpu->pio_data, size);
	ghcb_put(vcpu, GHCB_RAX, value);
	return ghcb_done(vcpu);
}

static int single(struct bawn_vcpu *vcpu, u64 info)
{
	struct bawn_snp_service *s = &vcpu->snp->service;
	u32 value;

	s->count = 1;
	/* What of RAX an input does not change is the guest's to keep. */
	if (info & IOIO_IN)
		return io_exit(vcpu, info, complete_in);
	if (!ghcb_has(vcpu, GHCB_RAX))
		return ghcb_refuse(vcpu, GHCB_ERR_MISSING_INPUT);
	value = ghcb_read(vcpu, GHCB_RAX) & bawn_size_mask(s->size);
	if (!bawn_ioeventfd_write(vcpu->vm, true, IOIO_PORT(info), s->size, value))
		return ghcb_done(vcpu);
	memcpy(vcpu->pio_data, &value, s->size);
	return io_exit(vcpu, info, ghcb_done);
}

static int complete_string_in(struct bawn_vcpu *vcpu)
{
	struct bawn_snp_service *s = &vcpu->snp->service;

	if (!ghcb_scratch_write(vcpu, vcpu->pio_data, s->size * s->count))
		return ghcb_refuse(vcpu, GHCB_ERR_INVALID_SCRATCH_AREA);
	return ghcb_done(vcpu);
}

/* Elements at the beginning that an eventfd takes. */
static u32 to_eventfd(struct bawn_vcpu *vcpu, u16 port)
{
	struct bawn_snp_service *s = &vcpu->snp->service;
	u32 i, value;

	for (i = 0; i < s->count; i++) {
		value = 0;
		memcpy(&value, (u8 *)vcpu->pio_data + i * s->size, s->size);
		if (bawn_ioeventfd_write(vcpu->vm, true, port, s->size, value))
			break;
	}
	return i;
}

/* SW_EXITINFO2 has how many elements are in the scratch area, or are to be put there. */
static int string(struct bawn_vcpu *vcpu, u64 info)
{
	struct bawn_snp_service *s = &vcpu->snp->service;
	u64 count = ghcb_read(vcpu, GHCB_INFO2);
	u32 taken;

	if (!ghcb_has(vcpu, GHCB_SCRATCH))
		return ghcb_refuse(vcpu, GHCB_ERR_MISSING_INPUT);
	if (!count)
		return ghcb_done(vcpu);
	/* The data page is the most that goes at once. */
	if (count > PAGE_SIZE / s->size || !ghcb_scratch(vcpu, count * s->size))
		return ghcb_refuse(vcpu, GHCB_ERR_INVALID_SCRATCH_AREA);
	s->count = count;
	if (info & IOIO_IN)
		return io_exit(vcpu, info, complete_string_in);
	if (!ghcb_scratch_read(vcpu, vcpu->pio_data, s->count * s->size))
		return ghcb_refuse(vcpu, GHCB_ERR_INVALID_SCRATCH_AREA);
	taken = to_eventfd(vcpu, IOIO_PORT(info));
	s->count -= taken;
	if (!s->count)
		return ghcb_done(vcpu);
	memmove(vcpu->pio_data, (u8 *)vcpu->pio_data + taken * s->size, s->count * s->size);
	return io_exit(vcpu, info, ghcb_done);
}

int ghcb_ioio(struct bawn_vcpu *vcpu)
{
	u64 info = ghcb_read(vcpu, GHCB_INFO1);
	u32 size = IOIO_SIZE(info);

	if ((size != 1 && size != 2 && size != 4) || info >> 32)
		return ghcb_refuse(vcpu, GHCB_ERR_INVALID_INPUT);
	vcpu->snp->service.size = size;
	return info & IOIO_STRING ? string(vcpu, info) : single(vcpu, info);
}

/* ---- MMIO: SW_EXITINFO1 has the address, SW_EXITINFO2 the length ---- */

/* 0, or the reason why the access is refused. */
static u32 mmio_check(struct bawn_vcpu *vcpu)
{
	u64 gpa = ghcb_read(vcpu, GHCB_INFO1), len = ghcb_read(vcpu, GHCB_INFO2);

	if ((len != 1 && len != 2 && len != 4 && len != 8) ||
	    offset_in_page(gpa) + len > PAGE_SIZE || gpa >= bawn_gpa_end(vcpu->vm))
		return GHCB_ERR_INVALID_INPUT;
	if (!ghcb_scratch(vcpu, len))
		return GHCB_ERR_INVALID_SCRATCH_AREA;
	vcpu->snp->service.size = len;
	vcpu->stat.mmio_exits++;
	return 0;
}

static int mmio_exit(struct bawn_vcpu *vcpu, const u64 *data, int (*complete)(struct bawn_vcpu *))
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = ghcb_read(vcpu, GHCB_INFO1);
	run->mmio.len = vcpu->snp->service.size;
	run->mmio.is_write = !!data;
	memset(run->mmio.data, 0, sizeof(run->mmio.data));
	if (data)
		memcpy(run->mmio.data, data, vcpu->snp->service.size);
	vcpu->complete = complete;
	return 0;
}

static int mmio_read_done(struct bawn_vcpu *vcpu, const void *data)
{
	if (!ghcb_scratch_write(vcpu, data, vcpu->snp->service.size))
		return ghcb_refuse(vcpu, GHCB_ERR_INVALID_SCRATCH_AREA);
	return ghcb_done(vcpu);
}

static int complete_mmio_read(struct bawn_vcpu *vcpu)
{
	u64 data;

	memcpy(&data, vcpu->run->mmio.data, sizeof(data));
	return mmio_read_done(vcpu, &data);
}

int ghcb_mmio_read(struct bawn_vcpu *vcpu)
{
	u32 reason = mmio_check(vcpu), len = vcpu->snp->service.size;
	u64 data = 0;

	if (reason)
		return ghcb_refuse(vcpu, reason);
	if (vcpu->apic && bawn_lapic_mmio(vcpu, ghcb_read(vcpu, GHCB_INFO1), len, &data, false))
		return mmio_read_done(vcpu, &data);
	return mmio_exit(vcpu, NULL, complete_mmio_read);
}

int ghcb_mmio_write(struct bawn_vcpu *vcpu)
{
	u32 reason = mmio_check(vcpu), len = vcpu->snp->service.size;
	u64 gpa = ghcb_read(vcpu, GHCB_INFO1), data = 0;

	if (reason)
		return ghcb_refuse(vcpu, reason);
	if (!ghcb_scratch_read(vcpu, &data, len))
		return ghcb_refuse(vcpu, GHCB_ERR_INVALID_SCRATCH_AREA);
	if ((vcpu->apic && bawn_lapic_mmio(vcpu, gpa, len, &data, true)) ||
	    !bawn_ioeventfd_write(vcpu->vm, false, gpa, len, data))
		return ghcb_done(vcpu);
	return mmio_exit(vcpu, &data, ghcb_done);
}

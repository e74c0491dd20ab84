/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU with a megabyte of memory and nothing else around it, for the kernel files that act on
 * the guest's behalf. Each test program includes it once.
 */
#ifndef GUEST_MOCK_H
#define GUEST_MOCK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "bawn.h"
#include <asm/cpufeatures.h>
#include <asm/processor-flags.h>

#define MOCK_MEMORY 0x100000
#define MOCK_DEVICE 0xfe000000ull /* no memory there */

static struct {
    u8 memory[MOCK_MEMORY];
    u64 rom_from; /* memory from here on is read-only */
    struct bawn_vm vm;
    struct bawn_vcpu vcpu;
    struct kvm_run run;
    u8 pio_page[PAGE_SIZE];
    struct kvm_segment seg[VCPU_NR_SREG];
    int cpl;
    bool long_mode;
    bool gbpages;
    bool features; /* all others that CPUID may show */
    int cmpxchg_failures; /* so many times another vCPU is faster */
    struct {
        int vector; /* -1: none */
        u32 error;
        u64 payload;
    } injected;
    int skipped; /* -1: not called */
    int internal_errors;
    u64 eventfd_addr;
    int eventfd_hits;
    bool lapic;
    u64 lapic_value;
} mock;

bool bawn_guest_has(struct bawn_vcpu *vcpu, u32 feature)
{
    return feature == X86_FEATURE_GBPAGES ? mock.gbpages : mock.features;
}

static bool mock_in_memory(gpa_t gpa, size_t len)
{
    return gpa < MOCK_MEMORY && len <= MOCK_MEMORY - gpa;
}

int bawn_read_guest(struct bawn_vm *vm, gpa_t gpa, void *buf, size_t len)
{
    if (!mock_in_memory(gpa, len))
        return -EFAULT;
    memcpy(buf, mock.memory + gpa, len);
    return 0;
}

int bawn_write_guest(struct bawn_vm *vm, gpa_t gpa, const void *buf, size_t len)
{
    if (!mock_in_memory(gpa, len))
        return -EFAULT;
    if (gpa + len > mock.rom_from)
        return -EACCES;
    memcpy(mock.memory + gpa, buf, len);
    return 0;
}

int bawn_cmpxchg_guest(struct bawn_vm *vm, gpa_t gpa, size_t size, u64 old, u64 new)
{
    u64 now = 0;

    assert_int_equal(gpa % size, 0);
    if (mock.cmpxchg_failures && mock.cmpxchg_failures--)
        return -EAGAIN;
    if (bawn_read_guest(vm, gpa, &now, size))
        return -EFAULT;
    return now == old ? bawn_write_guest(vm, gpa, &new, size) : -EAGAIN;
}

bool bawn_long_mode(struct bawn_vcpu *vcpu)
{
    return mock.long_mode;
}

void bawn_inject_exception(struct bawn_vcpu *vcpu, u8 vector, bool has_error, u32 error,
                           u64 payload)
{
    assert_int_equal(mock.injected.vector, -1);
    mock.injected.vector = vector;
    mock.injected.error = error;
    mock.injected.payload = payload;
}

#ifdef MOCK_EXECUTION
int bawn_skip(struct bawn_vcpu *vcpu, unsigned int len)
{
    mock.skipped = (int)len;
    vcpu->rip += len;
    return 1;
}

int bawn_internal_error(struct bawn_vcpu *vcpu, u32 suberror, u64 data0, u64 data1)
{
    mock.internal_errors++;
    vcpu->run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
    vcpu->run->internal.suberror = suberror;
    return 0;
}

bool bawn_lapic_mmio(struct bawn_vcpu *vcpu, gpa_t gpa, unsigned int len, u64 *data, bool write)
{
    if (!mock.lapic || gpa >> 12 != 0xfee00)
        return false;
    if (write)
        mock.lapic_value = *data;
    else
        *data = mock.lapic_value;
    return true;
}

int bawn_ioeventfd_write(struct bawn_vm *vm, bool pio, u64 addr, unsigned int len, u64 data)
{
    if (addr != mock.eventfd_addr)
        return -EOPNOTSUPP;
    mock.eventfd_hits++;
    return 0;
}
#endif

static void mock_get_segment(struct bawn_vcpu *vcpu, int sreg, struct kvm_segment *seg)
{
    *seg = mock.seg[sreg];
}

static int mock_cpl(struct bawn_vcpu *vcpu)
{
    return mock.cpl;
}

static int mock_code_size(struct bawn_vcpu *vcpu)
{
    return mock.long_mode ? 8 : mock.seg[VCPU_SREG_CS].db ? 4 : 2;
}

static void mock_code_segment(struct bawn_vcpu *vcpu, u64 *base, u32 *limit)
{
    *base = mock.seg[VCPU_SREG_CS].base;
    *limit = mock.seg[VCPU_SREG_CS].limit;
}

static const struct bawn_cpu_ops mock_ops = {
    .name = "mock",
    .get_segment = mock_get_segment,
    .cpl = mock_cpl,
    .code_size = mock_code_size,
    .code_segment = mock_code_segment,
};
const struct bawn_cpu_ops *bawn_cpu = &mock_ops;

/* A vCPU in flat 32-bit code without paging. */
static struct bawn_vcpu *mock_reset(void)
{
    memset(&mock, 0, sizeof(mock));
    mock.rom_from = ~0ull;
    mock.injected.vector = -1;
    mock.skipped = -1;
    mock.eventfd_addr = ~0ull;
    mock.vcpu.vm = &mock.vm;
    mock.vcpu.run = &mock.run;
    mock.vcpu.pio_data = mock.pio_page;
    mock.vcpu.maxphyaddr = 46;
    mock.vcpu.cr0 = X86_CR0_PE;
    mock.vcpu.rflags = 2;
    for (int i = 0; i < VCPU_NR_SREG; i++)
        mock.seg[i] = (struct kvm_segment){ .limit = ~0u, .type = 3, .present = 1, .s = 1,
                                            .db = 1, .g = 1 };
    mock.seg[VCPU_SREG_CS].type = 11;
    return &mock.vcpu;
}

#endif

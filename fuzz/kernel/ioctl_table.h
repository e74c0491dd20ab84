/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of the target kernel-ioctl and the structures that they take, field by field: what a
 * field means decides from which values one is mostly chosen. Nothing here is trusted by anyone.
 */
#ifndef BAWN_FUZZ_IOCTL_TABLE_H
#define BAWN_FUZZ_IOCTL_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include <linux/kvm.h>

#include "bawn/uapi.h"

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))

/* What a number means. In the input: one byte, below 0xf0 an index into the pool of such values
 * (modulo its length), from 0xf0 on raw bytes follow, as many as the field has. */
enum kind {
    K_ZERO,  /* reserved */
    K_SMALL, /* the byte itself */
    K_RAW,   /* raw bytes, without the byte before them */
    K_SLOT,
    K_REGION, /* flags of a slot */
    K_GPA,
    K_SIZE,
    K_USER,   /* user address */
    K_BUFFER, /* user address of an array that the call reads or fills */
    K_EVENTFD,
    K_GMEM,
    K_VALUE, /* any 64-bit register */
    K_CR0,
    K_CR4,
    K_EFER,
    K_APIC_BASE,
    K_DR7,
    K_XCR0,
    K_RIP,
    K_FLAGS, /* RFLAGS */
    K_MSR,
    K_CAP,
    K_CAP_ARG,
    K_GSI,
    K_MSI_LOW,
    K_MSI_DATA,
    K_KHZ,
    K_MCE,
    K_MP_STATE,
    K_DEBUG,
    K_SYNC,
    K_PORT,
    K_TIME,
    K_CONTENT, /* of a measured region */
    K_KINDS
};

#define POOL(...)                                                                     \
    {                                                                                 \
        (const uint64_t[]){ __VA_ARGS__ }, NELEM(((const uint64_t[]){ __VA_ARGS__ })) \
    }
static const struct {
    const uint64_t *value;
    size_t n;
} pools[K_KINDS] = {
    [K_ZERO] = POOL(0),
    [K_SLOT] = POOL(0, 1, 2, 3, 4, 511, 512, 0xffff, 0x10000),
    [K_REGION] =
        POOL(0, KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY, KVM_MEM_GUEST_MEMFD, 3, 5, 7, 8),
    [K_GPA] = POOL(0, 0x1000, 0x2000, 0x8000, 0x100000, 0x180000, 0x200000, 0x400000, 0x600000,
                   0x40000000, 0x80000000, 0xfee00000, 0xfec00000, 0xfee01000, 0x100000000,
                   0xfffffffff000, 0x1000000000000, 0xfffffffffffff000, 0x1ff800, 0x1fffff, 1),
    [K_SIZE] = POOL(0, 0x1000, 0x2000, 0x10000, 0x100000, 0x200000, 0x1ff000, 0x400000, 0x40000000,
                    0x1000000000, 0x1000000000000, 0xfffffffffffff000, 0x800, 1),
    [K_VALUE] = POOL(0, 1, 2, 0x1000, 0x8000, 0x1fffff, 0xfee00000, 0x7fffffff, 0x80000000,
                     0xffffffff, 0x100000000, 0x7fffffffffff, 0x800000000000, 0xffff800000000000,
                     0x7fffffffffffffff, 0x8000000000000000, ~0ull),
    [K_CR0] = POOL(0x60000010, 0x11, 0x31, 0x80000031, 0x80000011, 0x80050033, 0x10, 0x80000010,
                   0x20000011, 0xe0000031),
    [K_CR4] = POOL(0, 0x20, 0x620, 0x40620, 0x6b0, 0x1020, 0x20020, 0x300020, 0x7ffff),
    [K_EFER] = POOL(0, 0x500, 0x501, 0xd01, 0x100, 0x400, 0x1000, 0x4500, 1),
    [K_APIC_BASE] = POOL(0xfee00900, 0xfee00800, 0xfee00d00, 0xfee00c00, 0xfee00000, 0xfee00400,
                         0x8900, 0x1000000000900, 0xfee00901),
    [K_DR7] = POOL(0x400, 0x401, 0x455, 0x2400, 0xf0401, 0xffff07ff, 0x100000400, 0),
    [K_XCR0] = POOL(1, 3, 7, 0xe7, 0x2e7, 5, 0, 2, 0x8000000000000001),
    [K_RIP] = POOL(0x1000, 0x1ff0, 0x1ffe, 0xfff0, 0x200000, 0x7fffffffffff, 0xffff800000000000,
                   0xfffffff0, 0x180000),
    [K_FLAGS] = POOL(2, 0x202, 0x102, 0x302, 0x402, 0x10202, 0x3202, 0x8d7, ~0ull),
    [K_MSR] =
        POOL(0x10, 0x11, 0x12, 0x1b, 0x3a, 0x3b, 0x48, 0x49, 0x8b, 0xce, 0xfe, 0x140, 0x174, 0x175,
             0x176, 0x179, 0x17a, 0x17b, 0x198, 0x1a0, 0x1d9, 0x200, 0x201, 0x20f, 0x250, 0x258,
             0x268, 0x26f, 0x277, 0x2ff, 0x400, 0x401, 0x402, 0x403, 0x47f, 0x6e0, 0x802, 0x808,
             0x80b, 0x80d, 0x80f, 0x828, 0x830, 0x832, 0x838, 0x83e, 0x83f, 0xc0000080, 0xc0000081,
             0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103,
             0xc0010004, 0xc0010010, 0xc0010015, 0xc0010020, 0xc001001a, 0xc0010055, 0xc0010111,
             0xc0010114, 0xc0010117, 0xc0010140, 0xc0010141, 0xc0011029, 0x4b564d00, 0x4b564d01,
             0x4b564d02, 0x4b564d03, 0x4b564d04, 0x40000000, ~0u),
    [K_CAP] = POOL(KVM_CAP_SPLIT_IRQCHIP, KVM_CAP_X2APIC_API, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
                   KVM_CAP_X86_USER_SPACE_MSR, KVM_CAP_BAWN_MEASURE, KVM_CAP_EXIT_HYPERCALL,
                   KVM_CAP_IRQCHIP, KVM_CAP_NR_VCPUS, KVM_CAP_NR_MEMSLOTS, KVM_CAP_MCE,
                   KVM_CAP_SYNC_REGS, KVM_CAP_VM_TYPES, KVM_CAP_MEMORY_ATTRIBUTES,
                   KVM_CAP_GUEST_MEMFD, KVM_CAP_BAWN_SNP_CERTS, KVM_CAP_XSAVE2,
                   KVM_CAP_ADJUST_CLOCK, KVM_CAP_GET_TSC_KHZ, 0xffffffff),
    [K_CAP_ARG] = POOL(0, 24, 1, 2, 3, 7, 25, 4, 0x1000, ~0ull),
    [K_GSI] = POOL(0, 1, 2, 23, 24, 4095, 4096, 0xffffffff),
    [K_MSI_LOW] =
        POOL(0xfee00000, 0xfee01000, 0xfeeff000, 0xfee00004, 0xfee0100c, 0xfee0f00c, 0, ~0u),
    [K_MSI_DATA] =
        POOL(0x30, 0x31, 0xf0, 0x130, 0x8030, 0x400, 0x500, 0x601, 0x700, 0x00, 0x0f, 0xc030, ~0u),
    [K_KHZ] = POOL(2000000, 1000000, 4000000, 0, 1, 3999999, 0x7fffffff, 0xffffffff, 0x100000000),
    [K_MCE] = POOL(0x0100000a, 0x01000120, 0x100, 0x01000020, 0x21, 0, 0x1000001, ~0ull),
    [K_MP_STATE] = POOL(0, 1, 2, 3, 4, 5, 9, 10, ~0u),
    [K_DEBUG] = POOL(0, 1, 3, 0x10001, 0x20001, 0x30003, 0x40001, 0x80001, 0x100001, ~0u),
    [K_SYNC] = POOL(0, 1, 2, 4, 7, 3, 8, ~0ull),
    [K_PORT] = POOL(0x60, 0x3f8, 0xcf8, 0xffff, 0, 0xb2, 0x80),
    [K_TIME] = POOL(0, 1, 1000, 1000000, 1000000000, 3600000000000, 0x7fffffffffffffff, ~0ull),
    [K_CONTENT] = POOL(0x100, 0x101, 0x103, 0x107, 0x108, 0xff, 0x1ff, 0),
};

struct field {
    uint16_t at;
    uint8_t size, kind;
};
#define F(type, name, kind)                                                 \
    {                                                                       \
        offsetof(struct type, name), sizeof(((struct type *)0)->name), kind \
    }

/* ---- Structures ---- */

static const struct field region_fields[] = {
    F(kvm_userspace_memory_region2, slot, K_SLOT),
    F(kvm_userspace_memory_region2, flags, K_REGION),
    F(kvm_userspace_memory_region2, guest_phys_addr, K_GPA),
    F(kvm_userspace_memory_region2, memory_size, K_SIZE),
    F(kvm_userspace_memory_region2, userspace_addr, K_USER),
    F(kvm_userspace_memory_region2, guest_memfd_offset, K_GPA),
    F(kvm_userspace_memory_region2, guest_memfd, K_GMEM),
};
#define NR_REGION_FIELDS 5 /* of the structure before */
static const struct field attribute_fields[] = {
    F(kvm_memory_attributes, address, K_GPA),
    F(kvm_memory_attributes, size, K_SIZE),
    F(kvm_memory_attributes, attributes, K_SMALL),
    F(kvm_memory_attributes, flags, K_ZERO),
};
static const struct field gmem_fields[] = {
    F(kvm_create_guest_memfd, size, K_SIZE),
    F(kvm_create_guest_memfd, flags, K_ZERO),
};
static const struct field dirty_fields[] = {
    F(kvm_dirty_log, slot, K_SLOT),
    F(kvm_dirty_log, dirty_bitmap, K_BUFFER),
};
static const struct field clear_fields[] = {
    F(kvm_clear_dirty_log, slot, K_SLOT),
    F(kvm_clear_dirty_log, num_pages, K_RAW),
    F(kvm_clear_dirty_log, first_page, K_SMALL),
    F(kvm_clear_dirty_log, dirty_bitmap, K_BUFFER),
};
static const struct field cap_fields[] = {
    F(kvm_enable_cap, cap, K_CAP),
    F(kvm_enable_cap, flags, K_ZERO),
    F(kvm_enable_cap, args[0], K_CAP_ARG),
};
static const struct field msi_fields[] = {
    F(kvm_msi, address_lo, K_MSI_LOW),
    F(kvm_msi, address_hi, K_SMALL),
    F(kvm_msi, data, K_MSI_DATA),
    F(kvm_msi, flags, K_ZERO),
};
static const struct field line_fields[] = {
    F(kvm_irq_level, irq, K_GSI),
    F(kvm_irq_level, level, K_SMALL),
};
static const struct field irqfd_fields[] = {
    F(kvm_irqfd, fd, K_EVENTFD),
    F(kvm_irqfd, gsi, K_GSI),
    F(kvm_irqfd, flags, K_SMALL),
    F(kvm_irqfd, resamplefd, K_EVENTFD),
};
static const struct field ioeventfd_fields[] = {
    F(kvm_ioeventfd, datamatch, K_VALUE), F(kvm_ioeventfd, addr, K_GPA),
    F(kvm_ioeventfd, len, K_SMALL),       F(kvm_ioeventfd, fd, K_EVENTFD),
    F(kvm_ioeventfd, flags, K_SMALL),
};
static const struct field clock_fields[] = {
    F(kvm_clock_data, clock, K_TIME),
    F(kvm_clock_data, flags, K_SMALL),
    F(kvm_clock_data, realtime, K_TIME),
    F(kvm_clock_data, host_tsc, K_TIME),
};
static const struct field filter_fields[] = {
    F(kvm_msr_filter, flags, K_SMALL),
    F(kvm_msr_filter, ranges[0].flags, K_SMALL),
    F(kvm_msr_filter, ranges[0].nmsrs, K_SIZE),
    F(kvm_msr_filter, ranges[0].base, K_MSR),
    F(kvm_msr_filter, ranges[0].bitmap, K_BUFFER),
    F(kvm_msr_filter, ranges[1].flags, K_SMALL),
    F(kvm_msr_filter, ranges[1].nmsrs, K_SMALL),
    F(kvm_msr_filter, ranges[1].base, K_MSR),
    F(kvm_msr_filter, ranges[1].bitmap, K_BUFFER),
};
static const struct field measure_fields[] = {
    F(bawn_measure_region, gpa, K_GPA),       F(bawn_measure_region, size, K_SIZE),
    F(bawn_measure_region, type, K_CONTENT),  F(bawn_measure_region, flags, K_ZERO),
    F(bawn_measure_region, reserved, K_ZERO),
};
static const struct field measurement_fields[] = {
    F(bawn_measurement, log_size, K_RAW),
    F(bawn_measurement, log_addr, K_BUFFER),
};
static const struct field certs_fields[] = {
    F(bawn_snp_certs, addr, K_BUFFER),
    F(bawn_snp_certs, size, K_SIZE),
};
static const struct field sev_fields[] = {
    F(kvm_sev_cmd, id, K_SMALL),
    F(kvm_sev_cmd, data, K_BUFFER),
};
static const struct field number_field[] = { { 0, 8, K_RAW } };
static const struct field mce_fields[] = { { 0, 8, K_MCE } };
static const struct field vapic_fields[] = { { 0, 8, K_GPA } };
static const struct field mp_fields[] = { { 0, 4, K_MP_STATE } };

#define REG(name) F(kvm_regs, name, K_VALUE)
static const struct field regs_fields[] = {
    F(kvm_regs, rip, K_RIP),
    F(kvm_regs, rflags, K_FLAGS),
    REG(rax),
    REG(rbx),
    REG(rcx),
    REG(rdx),
    REG(rsi),
    REG(rdi),
    REG(rsp),
    REG(rbp),
    REG(r8),
    REG(r9),
    REG(r10),
    REG(r11),
    REG(r12),
    REG(r13),
    REG(r14),
    REG(r15),
};
#define SEGMENT(s)                                                                                \
    F(kvm_sregs, s.base, K_VALUE), F(kvm_sregs, s.limit, K_VALUE),                                \
        F(kvm_sregs, s.selector, K_RAW), F(kvm_sregs, s.type, K_RAW), F(kvm_sregs, s.dpl, K_RAW), \
        F(kvm_sregs, s.l, K_RAW), F(kvm_sregs, s.db, K_RAW), F(kvm_sregs, s.g, K_RAW),            \
        F(kvm_sregs, s.unusable, K_RAW)
static const struct field sregs_fields[] = {
    F(kvm_sregs, cr0, K_CR0),
    F(kvm_sregs, cr3, K_GPA),
    F(kvm_sregs, cr4, K_CR4),
    F(kvm_sregs, efer, K_EFER),
    F(kvm_sregs, apic_base, K_APIC_BASE),
    F(kvm_sregs, cr8, K_SMALL),
    F(kvm_sregs, cr2, K_VALUE),
    SEGMENT(cs),
    SEGMENT(ss),
    SEGMENT(ds),
    SEGMENT(es),
    SEGMENT(fs),
    SEGMENT(gs),
    SEGMENT(tr),
    SEGMENT(ldt),
    F(kvm_sregs, gdt.base, K_VALUE),
    F(kvm_sregs, gdt.limit, K_RAW),
    F(kvm_sregs, idt.base, K_VALUE),
    F(kvm_sregs, idt.limit, K_RAW),
    /* In kvm_sregs2: flags, and PDPTRs. */
    F(kvm_sregs, interrupt_bitmap[0], K_VALUE),
    F(kvm_sregs, interrupt_bitmap[3], K_VALUE),
};
static const struct field fpu_fields[] = {
    F(kvm_fpu, mxcsr, K_VALUE),
    F(kvm_fpu, fcw, K_RAW),
    F(kvm_fpu, ftwx, K_RAW),
};
static const struct field xsave_fields[] = {
    { 24, 4, K_VALUE }, { 512, 8, K_XCR0 },  { 520, 8, K_XCR0 },  { 528, 8, K_VALUE },
    { 0, 8, K_VALUE },  { 160, 8, K_VALUE }, { 576, 8, K_VALUE }, { 2432, 8, K_VALUE },
};
static const struct field xcrs_fields[] = {
    F(kvm_xcrs, xcrs[0].value, K_XCR0),
    F(kvm_xcrs, xcrs[0].xcr, K_SMALL),
    F(kvm_xcrs, nr_xcrs, K_SMALL),
    F(kvm_xcrs, flags, K_ZERO),
};
static const struct field debugregs_fields[] = {
    F(kvm_debugregs, dr7, K_DR7),     F(kvm_debugregs, dr6, K_DR7),
    F(kvm_debugregs, db[0], K_VALUE), F(kvm_debugregs, db[3], K_VALUE),
    F(kvm_debugregs, flags, K_ZERO),
};
static const struct field debug_fields[] = {
    F(kvm_guest_debug, control, K_DEBUG),
    F(kvm_guest_debug, arch.debugreg[0], K_VALUE),
    F(kvm_guest_debug, arch.debugreg[7], K_DR7),
};
#define EVENT(name) F(kvm_vcpu_events, name, K_RAW)
static const struct field events_fields[] = {
    EVENT(exception.injected),
    EVENT(exception.nr),
    EVENT(exception.has_error_code),
    EVENT(exception.error_code),
    EVENT(interrupt.injected),
    EVENT(interrupt.nr),
    EVENT(interrupt.soft),
    EVENT(interrupt.shadow),
    EVENT(nmi.injected),
    EVENT(nmi.pending),
    EVENT(nmi.masked),
    EVENT(sipi_vector),
    EVENT(flags),
};
#define APIC(reg)     \
    {                 \
        reg, 4, K_RAW \
    }
static const struct field lapic_fields[] = {
    APIC(0x20),  APIC(0x80),  APIC(0xd0),  APIC(0xe0),  APIC(0xf0),  APIC(0x100), APIC(0x110),
    APIC(0x170), APIC(0x180), APIC(0x190), APIC(0x200), APIC(0x210), APIC(0x270), APIC(0x280),
    APIC(0x300), APIC(0x310), APIC(0x320), APIC(0x330), APIC(0x340), APIC(0x350), APIC(0x360),
    APIC(0x370), APIC(0x380), APIC(0x390), APIC(0x3e0), APIC(0x30),  APIC(0x2f0),
};

/* Lists: a head with a count at 0, then elements. */
static const struct field msr_entry_fields[] = {
    F(kvm_msr_entry, index, K_MSR),
    F(kvm_msr_entry, data, K_VALUE),
};
static const struct field index_entry_fields[] = { { 0, 4, K_ZERO } };
static const struct field route_fields[] = {
    F(kvm_irq_routing_entry, gsi, K_GSI),
    F(kvm_irq_routing_entry, type, K_SMALL),
    F(kvm_irq_routing_entry, flags, K_ZERO),
    F(kvm_irq_routing_entry, u.msi.address_lo, K_MSI_LOW),
    F(kvm_irq_routing_entry, u.msi.address_hi, K_ZERO),
    F(kvm_irq_routing_entry, u.msi.data, K_MSI_DATA),
};
static const struct field cpuid_fields[] = {
    F(kvm_cpuid_entry2, function, K_RAW), F(kvm_cpuid_entry2, index, K_RAW),
    F(kvm_cpuid_entry2, flags, K_RAW),    F(kvm_cpuid_entry2, eax, K_RAW),
    F(kvm_cpuid_entry2, ebx, K_RAW),      F(kvm_cpuid_entry2, ecx, K_RAW),
    F(kvm_cpuid_entry2, edx, K_RAW),
};

/* The page that KVM_RUN and userspace share. */
static const struct field run_fields[] = {
    { 1, 1, K_RAW }, /* immediate_exit, whose name is another one in the kernel */
    F(kvm_run, kvm_valid_regs, K_SYNC),
    F(kvm_run, kvm_dirty_regs, K_SYNC),
    F(kvm_run, request_interrupt_window, K_RAW),
    F(kvm_run, cr8, K_SMALL),
    F(kvm_run, msr.error, K_RAW),
    F(kvm_run, msr.data, K_VALUE),
    F(kvm_run, mmio.data, K_VALUE),
    F(kvm_run, s.regs.regs.rip, K_RIP),
    F(kvm_run, s.regs.regs.rax, K_VALUE),
    F(kvm_run, s.regs.regs.rflags, K_FLAGS),
    F(kvm_run, s.regs.sregs.cr0, K_CR0),
    F(kvm_run, s.regs.sregs.cr4, K_CR4),
    F(kvm_run, s.regs.sregs.apic_base, K_APIC_BASE),
    F(kvm_run, s.regs.events.exception.injected, K_RAW),
    F(kvm_run, s.regs.events.exception.nr, K_RAW),
    F(kvm_run, s.regs.events.flags, K_SMALL),
    F(kvm_run, exit_reason, K_RAW),
    { 0x1000, 8, K_VALUE }, /* the data of port I/O */
    { 0x1ff8, 8, K_VALUE },
};

/* ---- Calls ---- */

enum object { DEV, VM, VCPU, GMEM, EVENTFD, STATS, OBJECTS };
enum style {
    NUMBER, /* of fields[0]'s kind */
    FIELDS, /* all fields, in order */
    PATCH,  /* what the call `get` says (0: zeroes), then u8 n % 8 times: u8 field, its value */
    LIST,   /* u8 n % 32 elements, whose fields follow for each; then u8: is the count true? */
    CPUID,  /* what the device offers, with u8 n % 8 patches: u8 entry, u8 field, value */
};

struct call {
    uint8_t object, style;
    uint16_t size; /* LIST: of one element */
    uint16_t head; /* LIST */
    unsigned long request, get;
    const struct field *field;
    size_t fields;
};

static const struct field vcpu_id_field[] = { { 0, 1, K_SMALL } };
static const struct field vm_type_field[] = { { 0, 1, K_SMALL } };
static const struct field khz_field[] = { { 0, 8, K_KHZ } };
static const struct field cap_field[] = { { 0, 4, K_CAP } };
static const struct field zero_field[] = { { 0, 8, K_ZERO } };

#define N(o, r, f)                  \
    {                               \
        o, NUMBER, 0, 0, r, 0, f, 1 \
    }
#define S(o, r, f)                                    \
    {                                                 \
        o, FIELDS, _IOC_SIZE(r), 0, r, 0, f, NELEM(f) \
    }
#define P(o, r, g, f)                                \
    {                                                \
        o, PATCH, _IOC_SIZE(r), 0, r, g, f, NELEM(f) \
    }
#define G(o, r)                                          \
    {                                                    \
        o, PATCH, _IOC_SIZE(r), 0, r, 0, number_field, 0 \
    }
#define L(o, r, h, e, f)                         \
    {                                            \
        o, LIST, sizeof(e), h, r, 0, f, NELEM(f) \
    }
static const struct call calls[] = {
    N(VCPU, KVM_RUN, zero_field),
    N(DEV, KVM_GET_API_VERSION, zero_field),
    N(DEV, KVM_CREATE_VM, vm_type_field),
    N(DEV, KVM_CHECK_EXTENSION, cap_field),
    N(DEV, KVM_GET_VCPU_MMAP_SIZE, zero_field),
    L(DEV, KVM_GET_SUPPORTED_CPUID, 8, struct kvm_cpuid_entry2, cpuid_fields),
    L(DEV, KVM_GET_MSR_INDEX_LIST, 4, uint32_t, index_entry_fields),
    L(DEV, KVM_GET_MSR_FEATURE_INDEX_LIST, 4, uint32_t, index_entry_fields),
    L(DEV, KVM_GET_MSRS, 8, struct kvm_msr_entry, msr_entry_fields),
    G(DEV, KVM_X86_GET_MCE_CAP_SUPPORTED),
    N(VM, KVM_CHECK_EXTENSION, cap_field),
    N(VM, KVM_CREATE_VCPU, vcpu_id_field),
    S(VM, KVM_ENABLE_CAP, cap_fields),
    { VM, FIELDS, _IOC_SIZE(KVM_SET_USER_MEMORY_REGION), 0, KVM_SET_USER_MEMORY_REGION, 0,
      region_fields, NR_REGION_FIELDS },
    S(VM, KVM_SET_USER_MEMORY_REGION2, region_fields),
    S(VM, KVM_GET_DIRTY_LOG, dirty_fields),
    S(VM, KVM_CLEAR_DIRTY_LOG, clear_fields),
    S(VM, KVM_CREATE_GUEST_MEMFD, gmem_fields),
    S(VM, KVM_SET_MEMORY_ATTRIBUTES, attribute_fields),
    { VM, FIELDS, sizeof(struct kvm_sev_cmd), 0, KVM_MEMORY_ENCRYPT_OP, 0, sev_fields,
      NELEM(sev_fields) },
    N(VM, KVM_SET_TSS_ADDR, number_field),
    S(VM, KVM_SET_IDENTITY_MAP_ADDR, number_field),
    L(VM, KVM_SET_GSI_ROUTING, 8, struct kvm_irq_routing_entry, route_fields),
    S(VM, KVM_SIGNAL_MSI, msi_fields),
    S(VM, KVM_IRQ_LINE, line_fields),
    S(VM, KVM_IRQ_LINE_STATUS, line_fields),
    S(VM, KVM_IRQFD, irqfd_fields),
    S(VM, KVM_IOEVENTFD, ioeventfd_fields),
    G(VM, KVM_GET_CLOCK),
    S(VM, KVM_SET_CLOCK, clock_fields),
    N(VM, KVM_SET_TSC_KHZ, khz_field),
    N(VM, KVM_GET_TSC_KHZ, zero_field),
    N(VM, KVM_SET_BOOT_CPU_ID, vcpu_id_field),
    S(VM, KVM_X86_SET_MSR_FILTER, filter_fields),
    N(VM, KVM_GET_STATS_FD, zero_field),
    S(VM, BAWN_MEASURE_REGION, measure_fields),
    S(VM, BAWN_GET_MEASUREMENT, measurement_fields),
    S(VM, BAWN_SNP_SET_CERTS, certs_fields),
    N(VM, BAWN_MEASURE_SEAL, zero_field),
    G(VCPU, KVM_GET_REGS),
    P(VCPU, KVM_SET_REGS, KVM_GET_REGS, regs_fields),
    G(VCPU, KVM_GET_SREGS),
    P(VCPU, KVM_SET_SREGS, KVM_GET_SREGS, sregs_fields),
    G(VCPU, KVM_GET_SREGS2),
    P(VCPU, KVM_SET_SREGS2, KVM_GET_SREGS2, sregs_fields),
    G(VCPU, KVM_GET_FPU),
    P(VCPU, KVM_SET_FPU, KVM_GET_FPU, fpu_fields),
    G(VCPU, KVM_GET_XSAVE),
    P(VCPU, KVM_SET_XSAVE, KVM_GET_XSAVE, xsave_fields),
    G(VCPU, KVM_GET_XCRS),
    P(VCPU, KVM_SET_XCRS, KVM_GET_XCRS, xcrs_fields),
    G(VCPU, KVM_GET_DEBUGREGS),
    P(VCPU, KVM_SET_DEBUGREGS, KVM_GET_DEBUGREGS, debugregs_fields),
    S(VCPU, KVM_SET_GUEST_DEBUG, debug_fields),
    G(VCPU, KVM_GET_VCPU_EVENTS),
    P(VCPU, KVM_SET_VCPU_EVENTS, KVM_GET_VCPU_EVENTS, events_fields),
    G(VCPU, KVM_GET_MP_STATE),
    S(VCPU, KVM_SET_MP_STATE, mp_fields),
    G(VCPU, KVM_GET_LAPIC),
    P(VCPU, KVM_SET_LAPIC, KVM_GET_LAPIC, lapic_fields),
    { VCPU, CPUID, sizeof(struct kvm_cpuid_entry2), 8, KVM_SET_CPUID2, 0, cpuid_fields,
      NELEM(cpuid_fields) },
    L(VCPU, KVM_GET_CPUID2, 8, struct kvm_cpuid_entry2, cpuid_fields),
    L(VCPU, KVM_GET_MSRS, 8, struct kvm_msr_entry, msr_entry_fields),
    L(VCPU, KVM_SET_MSRS, 8, struct kvm_msr_entry, msr_entry_fields),
    S(VCPU, KVM_X86_SETUP_MCE, mce_fields),
    S(VCPU, KVM_SET_VAPIC_ADDR, vapic_fields),
    N(VCPU, KVM_NMI, zero_field),
    N(VCPU, KVM_SET_TSC_KHZ, khz_field),
    N(VCPU, KVM_GET_TSC_KHZ, zero_field),
    N(VCPU, KVM_KVMCLOCK_CTRL, zero_field),
    N(VCPU, KVM_GET_STATS_FD, zero_field),
    N(VCPU, KVM_SMI, number_field), /* not served */
    N(VM, KVM_CREATE_IRQCHIP, number_field),
};

/* What a guest does at memory that is a device's: (%rbx), but for strings. */
static const struct {
    uint8_t n, bytes[10];
} instructions[] = {
    { 2, { 0x8b, 0x03 } },                         /* mov (%rbx), %eax */
    { 2, { 0x89, 0x03 } },                         /* mov %eax, (%rbx) */
    { 3, { 0x66, 0x89, 0x03 } },                   /* mov %ax, (%rbx) */
    { 2, { 0x88, 0x03 } },                         /* mov %al, (%rbx) */
    { 3, { 0x48, 0x8b, 0x03 } },                   /* mov (%rbx), %rax */
    { 3, { 0x48, 0x89, 0x03 } },                   /* mov %rax, (%rbx) */
    { 3, { 0x0f, 0xb6, 0x03 } },                   /* movzbl (%rbx), %eax */
    { 4, { 0x48, 0x0f, 0xbf, 0x03 } },             /* movswq (%rbx), %rax */
    { 6, { 0xc7, 0x03, 0x78, 0x56, 0x34, 0x12 } }, /* movl, immediate */
    { 2, { 0x01, 0x03 } },                         /* add %eax, (%rbx) */
    { 2, { 0x0b, 0x03 } },                         /* or (%rbx), %eax */
    { 3, { 0xf0, 0x21, 0x03 } },                   /* lock and %eax, (%rbx) */
    { 2, { 0x87, 0x03 } },                         /* xchg */
    { 2, { 0xff, 0x03 } },                         /* incl */
    { 2, { 0xf7, 0x13 } },                         /* notl */
    { 2, { 0x85, 0x03 } },                         /* test */
    { 2, { 0xf3, 0xa5 } },                         /* rep movsl */
    { 2, { 0xf3, 0xab } },                         /* rep stosl */
    { 1, { 0xad } },                               /* lodsl */
    { 3, { 0x0f, 0xc3, 0x03 } },                   /* movnti */
    { 2, { 0x3b, 0x03 } },                         /* cmp: not decoded */
};

#endif

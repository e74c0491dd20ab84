/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of the ioctl table test: every call that bawn.ko serves, with a good argument and its
 * fields. The two devices answer the same program, so a row says nothing of what is right.
 */
#include "table.h"

#define FIELDS (const struct field[])
#define F(type, member)                                                                      \
    {                                                                                        \
#member, (uint16_t)offsetof(struct type, member), sizeof(((struct type *)0)->member) \
    }
#define END        \
    {              \
        NULL, 0, 0 \
    }
#define NUMBER                    \
    FIELDS                        \
    {                             \
        { "argument", 0, 8 }, END \
    }

struct cpuid_one {
    struct kvm_cpuid2 head;
    struct kvm_cpuid_entry2 e;
};
struct msr_one {
    struct kvm_msrs head;
    struct kvm_msr_entry e;
};
struct route_one {
    struct kvm_irq_routing head;
    struct kvm_irq_routing_entry e;
};

/* ---- Good arguments ---- */

static void room_cpuid(const struct world *w, void *arg)
{
    (void)w;
    ((struct kvm_cpuid2 *)arg)->nent = 160;
}

static void set_cpuid(const struct world *w, void *arg)
{
    (void)w;
    *(struct cpuid_one *)arg =
        (struct cpuid_one){ .head.nent = 1, .e = { .function = 0x80000000 } };
}

static void room_msrs(const struct world *w, void *arg)
{
    (void)w;
    ((struct kvm_msr_list *)arg)->nmsrs = 1000;
}

static void one_msr(const struct world *w, void *arg)
{
    (void)w;
    *(struct msr_one *)arg = (struct msr_one){ .head.nmsrs = 1, .e.index = 0x174 };
}

static void feature_msr(const struct world *w, void *arg)
{
    (void)w;
    *(struct msr_one *)arg = (struct msr_one){ .head.nmsrs = 1, .e.index = 0xc0011029 };
}

static void slot(const struct world *w, void *arg)
{
    *(struct kvm_userspace_memory_region *)arg = (struct kvm_userspace_memory_region){
        .slot = 5,
        .guest_phys_addr = 0x10000000,
        .memory_size = TABLE_MEM,
        .userspace_addr = (uint64_t)w->mem,
    };
}

static void slot2(const struct world *w, void *arg)
{
    slot(w, arg); /* the same place for the same fields */
}

static void dirty_log(const struct world *w, void *arg)
{
    *(struct kvm_dirty_log *)arg = (struct kvm_dirty_log){ .slot = 0, .dirty_bitmap = w->mem };
}

static void clear_log(const struct world *w, void *arg)
{
    *(struct kvm_clear_dirty_log *)arg =
        (struct kvm_clear_dirty_log){ .slot = 0, .num_pages = 64, .dirty_bitmap = w->mem };
}

static void memfd(const struct world *w, void *arg)
{
    (void)w;
    ((struct kvm_create_guest_memfd *)arg)->size = 0x10000;
}

static void attributes(const struct world *w, void *arg)
{
    (void)w;
    *(struct kvm_memory_attributes *)arg =
        (struct kvm_memory_attributes){ .address = 0x1000, .size = 0x1000, .attributes = 8 };
}

static void address(const struct world *w, void *arg)
{
    (void)w;
    *(uint64_t *)arg = 0xfffbc000;
}

static void split_cap(const struct world *w, void *arg)
{
    (void)w;
    *(struct kvm_enable_cap *)arg =
        (struct kvm_enable_cap){ .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };
}

static void x2apic_cap(const struct world *w, void *arg)
{
    (void)w;
    *(struct kvm_enable_cap *)arg = (struct kvm_enable_cap){ .cap = KVM_CAP_X2APIC_API };
}

static void user_msr_cap(const struct world *w, void *arg)
{
    (void)w;
    *(struct kvm_enable_cap *)arg = (struct kvm_enable_cap){ .cap = KVM_CAP_X86_USER_SPACE_MSR };
}

static void manual_cap(const struct world *w, void *arg)
{
    (void)w;
    *(struct kvm_enable_cap *)arg =
        (struct kvm_enable_cap){ .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 };
}

static void routing(const struct world *w, void *arg)
{
    (void)w;
    *(struct route_one *)arg = (struct route_one){
        .head.nr = 1,
        .e = { .gsi = 5,
               .type = KVM_IRQ_ROUTING_MSI,
               .u.msi.address_lo = 0xfee00000,
               .u.msi.data = 0x40 },
    };
}

static void msi(const struct world *w, void *arg)
{
    (void)w;
    *(struct kvm_msi *)arg = (struct kvm_msi){ .address_lo = 0xfee00000, .data = 0x40 };
}

static void irq_level(const struct world *w, void *arg)
{
    (void)w;
    *(struct kvm_irq_level *)arg = (struct kvm_irq_level){ .irq = 5, .level = 1 };
}

static void irqfd(const struct world *w, void *arg)
{
    *(struct kvm_irqfd *)arg = (struct kvm_irqfd){ .fd = (uint32_t)w->eventfd, .gsi = 5 };
}

static void ioeventfd(const struct world *w, void *arg)
{
    *(struct kvm_ioeventfd *)arg = (struct kvm_ioeventfd){
        .addr = 0xd0000000, .len = 4, .fd = w->eventfd, .datamatch = 7, .flags = 1
    };
}

static void pio_eventfd(const struct world *w, void *arg)
{
    *(struct kvm_ioeventfd *)arg = (struct kvm_ioeventfd){
        .addr = 0x500, .len = 2, .fd = w->eventfd, .flags = KVM_IOEVENTFD_FLAG_PIO
    };
}

static void clock_data(const struct world *w, void *arg)
{
    (void)w;
    ((struct kvm_clock_data *)arg)->clock = 1000000000;
}

static void msr_filter(const struct world *w, void *arg)
{
    struct kvm_msr_filter *f = arg;

    f->ranges[0] = (struct kvm_msr_filter_range){
        .flags = KVM_MSR_FILTER_READ, .nmsrs = 8, .base = 0x174, .bitmap = w->mem
    };
}

static void get_from(const struct world *w, unsigned long nr, void *arg)
{
    if (w->fd[VCPU] >= 0)
        kvm_call(w->fd[VCPU], nr, arg);
}
#define GOT(name, nr)                                  \
    static void name(const struct world *w, void *arg) \
    {                                                  \
        get_from(w, nr, arg);                          \
    }
GOT(regs, KVM_GET_REGS)
GOT(sregs, KVM_GET_SREGS)
GOT(sregs2, KVM_GET_SREGS2)
GOT(fpu, KVM_GET_FPU)
GOT(xsave, KVM_GET_XSAVE)
GOT(xcrs, KVM_GET_XCRS)
GOT(debugregs, KVM_GET_DEBUGREGS)
GOT(events, KVM_GET_VCPU_EVENTS)
GOT(mp_state, KVM_GET_MP_STATE)
GOT(lapic, KVM_GET_LAPIC)

static void guest_debug(const struct world *w, void *arg)
{
    (void)w;
    ((struct kvm_guest_debug *)arg)->control = KVM_GUESTDBG_ENABLE;
}

static void mce_banks(const struct world *w, void *arg)
{
    (void)w;
    *(uint64_t *)arg = 10;
}

static void khz(const struct world *w, void *arg)
{
    *(uint64_t *)arg = (uint64_t)kvm_callv(w->fd[VM], KVM_GET_TSC_KHZ, 0);
}

static void first_id(const struct world *w, void *arg)
{
    *(uint64_t *)arg = w->vcpu ? 1 : 0;
}

static void tss_address(const struct world *w, void *arg)
{
    (void)w;
    *(uint64_t *)arg = 0xfffbd000;
}

static void user_memory_cap(const struct world *w, void *arg)
{
    (void)w;
    *(uint64_t *)arg = KVM_CAP_USER_MEMORY;
}

/* ---- Fields ---- */

#define REGION                                                                   \
    F(kvm_userspace_memory_region, slot), F(kvm_userspace_memory_region, flags), \
        F(kvm_userspace_memory_region, guest_phys_addr),                         \
        F(kvm_userspace_memory_region, memory_size),                             \
        F(kvm_userspace_memory_region, userspace_addr)
#define CAP_FIELDS                                                                                 \
    FIELDS                                                                                         \
    {                                                                                              \
        F(kvm_enable_cap, cap), F(kvm_enable_cap, flags), F(kvm_enable_cap, args[0]),              \
            F(kvm_enable_cap, args[1]), F(kvm_enable_cap, args[3]), F(kvm_enable_cap, pad[0]), END \
    }
#define SEGMENT(st, seg)                                                                         \
    F(st, seg.base), F(st, seg.limit), F(st, seg.selector), F(st, seg.type), F(st, seg.present), \
        F(st, seg.dpl), F(st, seg.db), F(st, seg.s), F(st, seg.l), F(st, seg.g), F(st, seg.avl), \
        F(st, seg.unusable), F(st, seg.padding)
#define CONTROL(st)                                                                            \
    F(st, cr0), F(st, cr2), F(st, cr3), F(st, cr4), F(st, cr8), F(st, efer), F(st, apic_base), \
        F(st, gdt.base), F(st, gdt.limit), F(st, gdt.padding[0]), F(st, idt.base),             \
        F(st, idt.limit)
#define IOEVENTFD                                                                        \
    FIELDS                                                                               \
    {                                                                                    \
        F(kvm_ioeventfd, datamatch), F(kvm_ioeventfd, addr), F(kvm_ioeventfd, len),      \
            F(kvm_ioeventfd, fd), F(kvm_ioeventfd, flags), F(kvm_ioeventfd, pad[0]), END \
    }
#define LEVEL                                               \
    FIELDS                                                  \
    {                                                       \
        F(kvm_irq_level, irq), F(kvm_irq_level, level), END \
    }

const struct row table_rows[] = {
    { "GET_API_VERSION", DEV, KVM_GET_API_VERSION, NULL, NUMBER, ROW_NUMBER, 0 },
    { "CREATE_VM", DEV, KVM_CREATE_VM, NULL, NUMBER, ROW_NUMBER | ROW_FD, 0 },
    { "CHECK_EXTENSION", DEV, KVM_CHECK_EXTENSION, user_memory_cap, NULL, ROW_NUMBER, 0 },
    { "GET_VCPU_MMAP_SIZE", DEV, KVM_GET_VCPU_MMAP_SIZE, NULL, NUMBER, ROW_NUMBER, 0 },
    { "GET_SUPPORTED_CPUID", DEV, KVM_GET_SUPPORTED_CPUID, room_cpuid,
      FIELDS{ F(kvm_cpuid2, nent), F(kvm_cpuid2, padding), END }, ROW_COUNT, 0 },
    { "GET_MSR_INDEX_LIST", DEV, KVM_GET_MSR_INDEX_LIST, room_msrs,
      FIELDS{ F(kvm_msr_list, nmsrs), END }, ROW_COUNT, 0 },
    { "GET_MSR_FEATURE_INDEX_LIST", DEV, KVM_GET_MSR_FEATURE_INDEX_LIST, room_msrs,
      FIELDS{ F(kvm_msr_list, nmsrs), END }, ROW_COUNT, 0 },
    { "GET_MSRS", DEV, KVM_GET_MSRS, feature_msr,
      FIELDS{ F(kvm_msrs, nmsrs), F(kvm_msrs, pad), F(msr_one, e.index), F(msr_one, e.reserved),
              END },
      0, 0 },
    { "X86_GET_MCE_CAP_SUPPORTED", DEV, KVM_X86_GET_MCE_CAP_SUPPORTED, NULL, NULL, 0, 0 },

    { "CHECK_EXTENSION", VM, KVM_CHECK_EXTENSION, user_memory_cap, NULL, ROW_NUMBER, 0 },
    { "CREATE_VCPU", VM, KVM_CREATE_VCPU, first_id, NUMBER, ROW_NUMBER | ROW_FD | ROW_FRESH, 0 },
    { "ENABLE_CAP", VM, KVM_ENABLE_CAP, split_cap, CAP_FIELDS, ROW_FRESH, 0 },
    { "ENABLE_CAP X2APIC_API", VM, KVM_ENABLE_CAP, x2apic_cap, CAP_FIELDS, 0, 0 },
    { "ENABLE_CAP X86_USER_SPACE_MSR", VM, KVM_ENABLE_CAP, user_msr_cap, CAP_FIELDS, 0, 0 },
    { "ENABLE_CAP MANUAL_DIRTY_LOG", VM, KVM_ENABLE_CAP, manual_cap, CAP_FIELDS, 0, 0 },
    { "SET_USER_MEMORY_REGION", VM, KVM_SET_USER_MEMORY_REGION, slot, FIELDS{ REGION, END },
      ROW_FRESH, 0 },
    { "SET_USER_MEMORY_REGION2", VM, KVM_SET_USER_MEMORY_REGION2, slot2,
      FIELDS{ REGION, F(kvm_userspace_memory_region2, guest_memfd_offset),
              F(kvm_userspace_memory_region2, guest_memfd), F(kvm_userspace_memory_region2, pad1),
              F(kvm_userspace_memory_region2, pad2[13]), END },
      ROW_FRESH, 0 },
    { "GET_DIRTY_LOG", VM, KVM_GET_DIRTY_LOG, dirty_log,
      FIELDS{ F(kvm_dirty_log, slot), F(kvm_dirty_log, padding1), F(kvm_dirty_log, dirty_bitmap),
              END },
      0, 0 },
    { "CLEAR_DIRTY_LOG", VM, KVM_CLEAR_DIRTY_LOG, clear_log,
      FIELDS{ F(kvm_clear_dirty_log, slot), F(kvm_clear_dirty_log, num_pages),
              F(kvm_clear_dirty_log, first_page), F(kvm_clear_dirty_log, dirty_bitmap), END },
      0, 0 },
    { "CREATE_GUEST_MEMFD", VM, KVM_CREATE_GUEST_MEMFD, memfd,
      FIELDS{ F(kvm_create_guest_memfd, size), F(kvm_create_guest_memfd, flags),
              F(kvm_create_guest_memfd, reserved[0]), F(kvm_create_guest_memfd, reserved[5]), END },
      ROW_FD, 0 },
    { "SET_MEMORY_ATTRIBUTES", VM, KVM_SET_MEMORY_ATTRIBUTES, attributes,
      FIELDS{ F(kvm_memory_attributes, address), F(kvm_memory_attributes, size),
              F(kvm_memory_attributes, attributes), F(kvm_memory_attributes, flags), END },
      0, 0 },
    { "MEMORY_ENCRYPT_OP", VM, KVM_MEMORY_ENCRYPT_OP, NULL, NULL, 0, 0 },
    { "SET_TSS_ADDR", VM, KVM_SET_TSS_ADDR, tss_address, NUMBER, ROW_NUMBER, 0 },
    { "SET_IDENTITY_MAP_ADDR", VM, KVM_SET_IDENTITY_MAP_ADDR, address, NULL, 0, 0 },
    { "SET_GSI_ROUTING", VM, KVM_SET_GSI_ROUTING, routing,
      FIELDS{ F(kvm_irq_routing, nr), F(kvm_irq_routing, flags), F(route_one, e.gsi),
              F(route_one, e.type), F(route_one, e.flags), F(route_one, e.pad),
              F(route_one, e.u.msi.address_lo), F(route_one, e.u.msi.address_hi),
              F(route_one, e.u.msi.data), END },
      0, 0 },
    { "SIGNAL_MSI", VM, KVM_SIGNAL_MSI, msi,
      FIELDS{ F(kvm_msi, address_lo), F(kvm_msi, address_hi), F(kvm_msi, data), F(kvm_msi, flags),
              F(kvm_msi, devid), F(kvm_msi, pad[0]), END },
      0, 0 },
    { "IRQ_LINE", VM, KVM_IRQ_LINE, irq_level, LEVEL, 0, 0 },
    { "IRQ_LINE_STATUS", VM, KVM_IRQ_LINE_STATUS, irq_level, LEVEL, 0, 0 },
    { "IRQFD", VM, KVM_IRQFD, irqfd,
      FIELDS{ F(kvm_irqfd, fd), F(kvm_irqfd, gsi), F(kvm_irqfd, flags), F(kvm_irqfd, resamplefd),
              F(kvm_irqfd, pad[0]), F(kvm_irqfd, pad[15]), END },
      ROW_FRESH, 0 },
    { "IOEVENTFD", VM, KVM_IOEVENTFD, ioeventfd, IOEVENTFD, ROW_FRESH, 0 },
    { "IOEVENTFD of a port", VM, KVM_IOEVENTFD, pio_eventfd, IOEVENTFD, 0, 0 },
    { "GET_CLOCK", VM, KVM_GET_CLOCK, NULL, NULL, 0, 0 },
    { "SET_CLOCK", VM, KVM_SET_CLOCK, clock_data,
      FIELDS{ F(kvm_clock_data, clock), F(kvm_clock_data, flags), F(kvm_clock_data, pad0),
              F(kvm_clock_data, realtime), F(kvm_clock_data, host_tsc), F(kvm_clock_data, pad[0]),
              END },
      0, 0 },
    { "SET_TSC_KHZ", VM, KVM_SET_TSC_KHZ, khz, NUMBER, ROW_NUMBER, 0 },
    { "SET_BOOT_CPU_ID", VM, KVM_SET_BOOT_CPU_ID, NULL, NUMBER, ROW_NUMBER, 0 },
    { "X86_SET_MSR_FILTER", VM, KVM_X86_SET_MSR_FILTER, msr_filter,
      FIELDS{ F(kvm_msr_filter, flags), F(kvm_msr_filter, ranges[0].flags),
              F(kvm_msr_filter, ranges[0].nmsrs), F(kvm_msr_filter, ranges[0].base),
              F(kvm_msr_filter, ranges[0].bitmap), F(kvm_msr_filter, ranges[15].nmsrs), END },
      0, 0 },
    { "GET_STATS_FD", VM, KVM_GET_STATS_FD, NULL, NUMBER, ROW_NUMBER | ROW_FD, 0 },

    { "GET_REGS", VCPU, KVM_GET_REGS, NULL, NULL, 0, 0 },
    { "SET_REGS", VCPU, KVM_SET_REGS, regs,
      FIELDS{ F(kvm_regs, rax), F(kvm_regs, rsp), F(kvm_regs, rip), F(kvm_regs, rflags), END }, 0,
      KVM_GET_REGS },
    { "GET_SREGS", VCPU, KVM_GET_SREGS, NULL, NULL, 0, 0 },
    { "SET_SREGS", VCPU, KVM_SET_SREGS, sregs,
      FIELDS{ SEGMENT(kvm_sregs, cs), CONTROL(kvm_sregs), F(kvm_sregs, interrupt_bitmap[0]),
              F(kvm_sregs, interrupt_bitmap[3]), END },
      0, KVM_GET_SREGS },
    { "SET_SREGS's other segments", VCPU, KVM_SET_SREGS, sregs,
      FIELDS{ SEGMENT(kvm_sregs, ss), SEGMENT(kvm_sregs, tr), END }, 0, KVM_GET_SREGS },
    { "GET_SREGS2", VCPU, KVM_GET_SREGS2, NULL, NULL, 0, 0 },
    { "SET_SREGS2", VCPU, KVM_SET_SREGS2, sregs2,
      FIELDS{ CONTROL(kvm_sregs2), F(kvm_sregs2, flags), F(kvm_sregs2, pdptrs[0]), END }, 0,
      KVM_GET_SREGS2 },
    { "GET_FPU", VCPU, KVM_GET_FPU, NULL, NULL, 0, 0 },
    { "SET_FPU", VCPU, KVM_SET_FPU, fpu,
      FIELDS{ F(kvm_fpu, fcw), F(kvm_fpu, fsw), F(kvm_fpu, ftwx), F(kvm_fpu, pad1),
              F(kvm_fpu, last_opcode), F(kvm_fpu, last_ip), F(kvm_fpu, last_dp),
              F(kvm_fpu, xmm[0][0]), F(kvm_fpu, pad2), END },
      0, KVM_GET_FPU },
    { "SET_FPU's MXCSR", VCPU, KVM_SET_FPU, fpu, FIELDS{ F(kvm_fpu, mxcsr), END }, 0, KVM_GET_FPU },
    { "GET_XSAVE", VCPU, KVM_GET_XSAVE, NULL, NULL, 0, 0 },
    { "SET_XSAVE", VCPU, KVM_SET_XSAVE, xsave,
      FIELDS{ F(kvm_xsave, region[0]), F(kvm_xsave, region[6]), F(kvm_xsave, region[7]),
              F(kvm_xsave, region[128]), F(kvm_xsave, region[129]), F(kvm_xsave, region[130]),
              F(kvm_xsave, region[132]), F(kvm_xsave, region[143]), F(kvm_xsave, region[144]),
              F(kvm_xsave, region[1000]), END },
      0, KVM_GET_XSAVE },
    { "GET_XCRS", VCPU, KVM_GET_XCRS, NULL, NULL, 0, 0 },
    { "SET_XCRS", VCPU, KVM_SET_XCRS, xcrs,
      FIELDS{ F(kvm_xcrs, nr_xcrs), F(kvm_xcrs, flags), F(kvm_xcrs, xcrs[0].xcr),
              F(kvm_xcrs, xcrs[0].reserved), F(kvm_xcrs, xcrs[0].value), F(kvm_xcrs, padding[0]),
              END },
      0, KVM_GET_XCRS },
    { "GET_DEBUGREGS", VCPU, KVM_GET_DEBUGREGS, NULL, NULL, 0, 0 },
    { "SET_DEBUGREGS", VCPU, KVM_SET_DEBUGREGS, debugregs,
      FIELDS{ F(kvm_debugregs, db[0]), F(kvm_debugregs, db[3]), F(kvm_debugregs, dr6),
              F(kvm_debugregs, dr7), F(kvm_debugregs, flags), F(kvm_debugregs, reserved[0]), END },
      0, KVM_GET_DEBUGREGS },
    { "SET_GUEST_DEBUG", VCPU, KVM_SET_GUEST_DEBUG, guest_debug,
      FIELDS{ F(kvm_guest_debug, control), F(kvm_guest_debug, pad),
              F(kvm_guest_debug, arch.debugreg[0]), F(kvm_guest_debug, arch.debugreg[4]),
              F(kvm_guest_debug, arch.debugreg[7]), END },
      0, 0 },
    { "GET_VCPU_EVENTS", VCPU, KVM_GET_VCPU_EVENTS, NULL, NULL, 0, 0 },
    { "SET_VCPU_EVENTS", VCPU, KVM_SET_VCPU_EVENTS, events,
      FIELDS{ F(kvm_vcpu_events, exception.injected),
              F(kvm_vcpu_events, exception.nr),
              F(kvm_vcpu_events, exception.has_error_code),
              F(kvm_vcpu_events, exception.pending),
              F(kvm_vcpu_events, exception.error_code),
              F(kvm_vcpu_events, interrupt.injected),
              F(kvm_vcpu_events, interrupt.nr),
              F(kvm_vcpu_events, interrupt.soft),
              F(kvm_vcpu_events, interrupt.shadow),
              F(kvm_vcpu_events, nmi.injected),
              F(kvm_vcpu_events, nmi.pending),
              F(kvm_vcpu_events, nmi.masked),
              F(kvm_vcpu_events, nmi.pad),
              F(kvm_vcpu_events, sipi_vector),
              F(kvm_vcpu_events, flags),
              F(kvm_vcpu_events, smi.smm),
              F(kvm_vcpu_events, smi.pending),
              F(kvm_vcpu_events, triple_fault.pending),
              F(kvm_vcpu_events, reserved[0]),
              F(kvm_vcpu_events, exception_has_payload),
              F(kvm_vcpu_events, exception_payload),
              END },
      ROW_APART, KVM_GET_VCPU_EVENTS },
    { "GET_MP_STATE", VCPU, KVM_GET_MP_STATE, NULL, NULL, 0, 0 },
    { "SET_MP_STATE", VCPU, KVM_SET_MP_STATE, mp_state, FIELDS{ F(kvm_mp_state, mp_state), END },
      ROW_FRESH, KVM_GET_MP_STATE },
    { "GET_LAPIC", VCPU, KVM_GET_LAPIC, NULL, NULL, 0, 0 },
    { "SET_LAPIC", VCPU, KVM_SET_LAPIC, lapic,
      FIELDS{ F(kvm_lapic_state, regs[0x20]), F(kvm_lapic_state, regs[0x23]),
              F(kvm_lapic_state, regs[0x80]), F(kvm_lapic_state, regs[0xf0]),
              F(kvm_lapic_state, regs[0xf1]), F(kvm_lapic_state, regs[0x100]),
              F(kvm_lapic_state, regs[0x280]), F(kvm_lapic_state, regs[0x320]), END },
      0, KVM_GET_LAPIC },
    { "SET_CPUID2", VCPU, KVM_SET_CPUID2, set_cpuid,
      FIELDS{ F(kvm_cpuid2, nent), F(kvm_cpuid2, padding), F(cpuid_one, e.function),
              F(cpuid_one, e.index), F(cpuid_one, e.flags), F(cpuid_one, e.eax),
              F(cpuid_one, e.padding[0]), END },
      0, 0 },
    { "GET_CPUID2", VCPU, KVM_GET_CPUID2, room_cpuid,
      FIELDS{ F(kvm_cpuid2, nent), F(kvm_cpuid2, padding), END }, ROW_COUNT, 0 },
    { "GET_MSRS", VCPU, KVM_GET_MSRS, one_msr,
      FIELDS{ F(kvm_msrs, nmsrs), F(kvm_msrs, pad), F(msr_one, e.index), F(msr_one, e.reserved),
              END },
      0, 0 },
    { "SET_MSRS", VCPU, KVM_SET_MSRS, one_msr,
      FIELDS{ F(kvm_msrs, nmsrs), F(kvm_msrs, pad), F(msr_one, e.index), F(msr_one, e.reserved),
              F(msr_one, e.data), END },
      0, 0 },
    { "X86_SETUP_MCE", VCPU, KVM_X86_SETUP_MCE, mce_banks, FIELDS{ { "cap", 0, 8 }, END }, 0, 0 },
    { "SET_VAPIC_ADDR", VCPU, KVM_SET_VAPIC_ADDR, NULL, FIELDS{ { "vapic_addr", 0, 8 }, END }, 0,
      0 },
    { "NMI", VCPU, KVM_NMI, NULL, NUMBER, ROW_NUMBER, 0 },
    { "SET_TSC_KHZ", VCPU, KVM_SET_TSC_KHZ, khz, NUMBER, ROW_NUMBER, 0 },
    { "KVMCLOCK_CTRL", VCPU, KVM_KVMCLOCK_CTRL, NULL, NUMBER, ROW_NUMBER, 0 },
    { "GET_STATS_FD", VCPU, KVM_GET_STATS_FD, NULL, NUMBER, ROW_NUMBER | ROW_FD, 0 },
};
const size_t table_nr_rows = ARRAY_SIZE(table_rows);

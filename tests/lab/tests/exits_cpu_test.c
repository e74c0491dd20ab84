/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exits that concern the processor itself: CPUID, HLT, PAUSE, hypercalls, exceptions, NMI,
 * shutdown, invalid state, control registers and operating modes.
 */
#include "harness.h"

GUEST_FN(pause_loop);
GUEST_FN(vmmcall);
GUEST_FN(vmcall);
GUEST_FN(raise_de);
GUEST_FN(raise_ud);
GUEST_FN(raise_bp);
GUEST_FN(raise_ud_no_stack);
GUEST_FN(wbinvd);
GUEST_FN(invd);
GUEST_FN(xsetbv);
GUEST_FN(write_cr0);
GUEST_FN(write_cr3);
GUEST_FN(write_cr4);
GUEST_FN(read_crs);
GUEST_FN(user_hlt);
GUEST_FN(user_cli);
GUEST_FN(user_in);
GUEST_FN(user_out);
GUEST_FN(user_outs);
GUEST_FN(user_rdmsr);
GUEST_FN(user_wrmsr);
GUEST_FN(user_cr0);
GUEST_FN(user_invlpg);
GUEST_FN(user_cpuid);
GUEST_FN(user_vmmcall);
GUEST_FN(fault_loop);
GUEST_FN(fault_next);
GUEST_FN(climb);
GUEST_FN(real_int);
GUEST_FN(real_handler);
GUEST_FN(prot_add);

#define CR0_LONG 0x80010033ull
#define CR4_LONG 0x620ull

/* ---- CPUID ---- */

static void expect_cpuid(struct vcpu *v, const struct kvm_cpuid_entry2 *e)
{
    /* Bits that follow the vCPU's state: OSXSAVE, OSPKE, the size of the enabled state. */
    bool sizes = e->function == 0xd && e->index < 2;
    uint32_t ecx_mask = e->function == 1 ? ~(1u << 27) : e->function == 7 ? ~(1u << 4) : ~0u;
    char name[32];

    snprintf(name, sizeof(name), "leaf 0x%x.%u", e->function, e->index);
    lab_row(name);
    EXPECT_EQ(guest_call(v, cpuid, e->function, 0, 0, e->index), GUEST_DONE);
    EXPECT_EQ((uint32_t)v->regs.rax, e->eax);
    if (!sizes)
        EXPECT_EQ((uint32_t)v->regs.rbx, e->ebx);
    EXPECT_EQ((uint32_t)v->regs.rcx & ecx_mask, e->ecx & ecx_mask);
    EXPECT_EQ((uint32_t)v->regs.rdx, e->edx);
    lab_row(NULL);
}

static void test_cpuid_supported(void)
{
    const struct kvm_cpuid2 *list = lab_cpuid();
    struct vcpu *v = vcpu_new(vm_bare(), 0);

    for (unsigned i = 0; i < list->nent; i++)
        expect_cpuid(v, &list->entries[i]);
}

static void test_cpuid_missing(void)
{
    static const struct {
        uint32_t leaf, subleaf;
    } missing[] = { { 7, 0x1234 },     { 0xd, 63 },       { 0x3fffffff, 0 },
                    { 0x8fffffff, 0 }, { 0x50000000, 0 }, { 0xffffffff, 0xffffffff } };
    struct vcpu *v = vcpu_new(vm_bare(), 0);

    /* AMD: a leaf that is not there reads as zero. */
    for (unsigned i = 0; i < ARRAY_SIZE(missing); i++) {
        EXPECT_EQ(guest_call(v, cpuid, missing[i].leaf, 0, 0, missing[i].subleaf), GUEST_DONE);
        EXPECT_EQ(v->regs.rax | v->regs.rbx | (missing[i].leaf == 0xb ? 0 : v->regs.rcx) |
                      v->regs.rdx,
                  0);
    }
}

static void test_cpuid_custom(void)
{
    static const struct kvm_cpuid_entry2 extra[] = {
        { .function = 0x40000000, .eax = 0x40000001, .ebx = 0x6e776142, .ecx = 1, .edx = 2 },
        { .function = 0x40000001, .index = 0, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .eax = 5 },
        { .function = 0x40000001, .index = 7, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .eax = 6 },
    };
    struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 entries[256];
    } list = { .head.nent = 0 };
    struct vcpu *v = vcpu_raw(vm_bare(), 0);

    for (unsigned i = 0; i < lab_cpuid()->nent; i++)
        if (lab_cpuid()->entries[i].function >> 28 != 4)
            list.entries[list.head.nent++] = lab_cpuid()->entries[i];
    for (unsigned i = 0; i < ARRAY_SIZE(extra); i++)
        list.entries[list.head.nent++] = extra[i];
    ASSERT_EQ(kvm_call(v->fd, KVM_SET_CPUID2, &list), 0);
    vcpu_long_mode(v);
    for (unsigned i = 0; i < ARRAY_SIZE(extra); i++)
        expect_cpuid(v, &extra[i]);
    EXPECT_EQ(guest_call(v, cpuid, 0x40000001, 0, 0, 3), GUEST_DONE);
    EXPECT_EQ(v->regs.rax, 0);
    EXPECT_EQ(guest_call(v, cpuid, 0x40000000, 0, 0, 99), GUEST_DONE); /* index is ignored */
    EXPECT_EQ(v->regs.rax, 0x40000001);
}

/* ---- HLT, PAUSE, hypercalls ---- */

static void test_hlt_bare(void)
{
    struct vcpu *v = vcpu_new(vm_bare(), 0);

    EXPECT_EQ(guest_call(v, hlt, 0, 0, 0, 0), KVM_EXIT_HLT);
    EXPECT_EQ(v->regs.rip, GUEST_ADDR(hlt) + 1);
    EXPECT_EQ(guest_resume(v), GUEST_DONE);
}

static bool to_done(struct vcpu *v, int reason)
{
    return !(reason == KVM_EXIT_IO && v->run->io.port == PORT_DONE);
}

static void test_hlt_split(void)
{
    struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x41 };
    struct vcpu *v = vcpu_new(vm_split(), 0);

    ASSERT_EQ(guest_wrmsr(v, 0x1b, 0xfee00d00), GUEST_DONE);
    ASSERT_EQ(guest_wrmsr(v, 0x80f, 0x1ff), GUEST_DONE);
    *mbox32(v, MBOX_IRQ_MODE) = IRQ_EOI_X2APIC;
    guest_prepare(v, GUEST_ADDR(hlt_irq), 0, 0, 0, 0);
    vcpu_start(v, to_done);
    usleep(50000);
    EXPECT_EQ(*mbox32(v, MBOX_COUNT), 0);
    EXPECT_EQ(kvm_call(v->vm->fd, KVM_SIGNAL_MSI, &msi), 1);
    EXPECT(WAIT_FOR(*mbox32(v, MBOX_COUNT) == 1));
    vcpu_join(v);
    EXPECT_EQ(v->result, KVM_EXIT_IO);
    EXPECT_EQ(mbox_logged(v, 0), 0x41);
}

static void test_hlt_pending(void)
{
    struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x41 };
    struct vcpu *v = vcpu_new(vm_split(), 0);

    /* STI;HLT with an interrupt already pending must not sleep. */
    ASSERT_EQ(guest_wrmsr(v, 0x1b, 0xfee00d00), GUEST_DONE);
    ASSERT_EQ(guest_wrmsr(v, 0x80f, 0x1ff), GUEST_DONE);
    *mbox32(v, MBOX_IRQ_MODE) = IRQ_EOI_X2APIC;
    for (unsigned i = 1; i <= 20; i++) {
        EXPECT_EQ(kvm_call(v->vm->fd, KVM_SIGNAL_MSI, &msi), 1);
        EXPECT_EQ(guest_call(v, hlt_irq, 0, 0, 0, 0), GUEST_DONE);
        EXPECT_EQ(*mbox32(v, MBOX_COUNT), i);
    }
}

static void test_pause(void)
{
    struct vcpu *v = vcpu_new(vm_bare(), 0);

    EXPECT_EQ(guest_call(v, pause_loop, 20000, 0, 0, 0), GUEST_DONE);
    EXPECT_EQ(guest_call(v, wbinvd, 0, 0, 0, 0), GUEST_DONE);
    EXPECT_EQ(guest_call(v, invd, 0, 0, 0, 0), GUEST_DONE);
}

static void test_hypercall(void)
{
    struct vcpu *v = vcpu_new(vm_bare(), 0);
    int how;

    EXPECT_EQ(guest_call(v, vmmcall, 0xdead, 0, 0, 0), GUEST_DONE);
    EXPECT_EQ(v->regs.rax, -1000); /* KVM_ENOSYS */
    EXPECT_EQ(guest_call(v, vmmcall, ~0ull, 0, 0, 0), GUEST_DONE);
    EXPECT_EQ(v->regs.rax, -1000);
    /* The other vendor's instruction: KVM makes it work, the processor says #UD. */
    how = guest_call(v, vmcall, 0xdead, 0, 0, 0);
    if (how == GUEST_FAULT)
        EXPECT_EQ(*mbox32(v, MBOX_VECTOR), 6);
    else
        EXPECT(how == GUEST_DONE && v->regs.rax == -1000ull);
}

/* ---- exceptions ---- */

static void test_exceptions(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    const uint64_t absent = 100ull << 30, non_canonical = 1ull << 63;
    const struct {
        const char *name;
        uint64_t rip, rdi;
        uint32_t vector;
        uint64_t error, cr2;
    } rows[] = {
        { "#DE", GUEST_ADDR(raise_de), 0, 0, 0, 0 },
        { "#BP", GUEST_ADDR(raise_bp), 0, 3, 0, 0 },
        { "#UD", GUEST_ADDR(raise_ud), 0, 6, 0, 0 },
        { "#GP by a load", GUEST_ADDR(load32), non_canonical, 13, 0, 0 },
        { "#GP by CR4", GUEST_ADDR(write_cr4), CR4_LONG | BIT(30), 13, 0, 0 },
        { "#PF load", GUEST_ADDR(load32), absent + 0x123, 14, 0, absent + 0x123 },
        { "#PF store", GUEST_ADDR(store32), absent + 0x123, 14, 2, absent + 0x123 },
        { "#PF fetch", absent + 0x40, 0, 14, 0x10, absent + 0x40 },
    };

    ((uint64_t *)(vm->mem + GUEST_PDPT))[100] = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        lab_row(rows[i].name);
        mbox_clear(v);
        *(uint64_t *)mbox(v, MBOX_FIXUP) = GUEST_ADDR(nop);
        guest_prepare(v, rows[i].rip, rows[i].rdi, 0, 0, 0);
        EXPECT_EQ(guest_resume(v), GUEST_DONE);
        EXPECT_EQ(*mbox32(v, MBOX_FAULTS), 1);
        EXPECT_EQ(*mbox32(v, MBOX_VECTOR), rows[i].vector);
        EXPECT_EQ(*(uint64_t *)mbox(v, MBOX_ERROR), rows[i].error);
        if (rows[i].vector == 14)
            EXPECT_EQ(*(uint64_t *)mbox(v, MBOX_CR2), rows[i].cr2);
    }
}

static void test_exceptions_survive_exits(void)
{
    struct vcpu *v = vcpu_new(vm_bare(), 0);
    unsigned steps = 0;
    int how;

    *(uint64_t *)mbox(v, MBOX_FIXUP) = GUEST_ADDR(fault_next);
    how = guest_call(v, fault_loop, 200, 0, 0, 0);
    for (; how == GUEST_STEP; how = guest_resume(v))
        EXPECT_EQ(*mbox32(v, MBOX_FAULTS), ++steps);
    EXPECT_EQ(how, GUEST_DONE);
    EXPECT_EQ(steps, 200);
    EXPECT_EQ(*mbox32(v, MBOX_VECTOR), 6);
}

static void test_exception_injected(void)
{
    struct vcpu *v = vcpu_new(vm_bare(), 0);
    struct kvm_vcpu_events ev;

    ASSERT_EQ(kvm_call(v->fd, KVM_GET_VCPU_EVENTS, &ev), 0);
    ev.exception.injected = 1;
    ev.exception.nr = 13;
    ev.exception.has_error_code = 1;
    ev.exception.error_code = 0x58;
    ASSERT_EQ(kvm_call(v->fd, KVM_SET_VCPU_EVENTS, &ev), 0);
    /* KVM_SET_REGS drops a pending exception, so the registers come first. */
    guest_prepare(v, GUEST_ADDR(nop), 0, 0, 0, 0);
    ASSERT_EQ(kvm_call(v->fd, KVM_SET_VCPU_EVENTS, &ev), 0);
    EXPECT_EQ(guest_resume(v), GUEST_FAULT);
    EXPECT_EQ(*mbox32(v, MBOX_VECTOR), 13);
    EXPECT_EQ(*(uint64_t *)mbox(v, MBOX_ERROR), 0x58);
    EXPECT_EQ(*(uint64_t *)mbox(v, MBOX_RIP), GUEST_ADDR(nop));
}

/* A vCPU with CPL 3, and a stack for its exceptions. */
static struct vcpu *user_vcpu(uint64_t iopl)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint64_t *pdpt = (uint64_t *)(vm->mem + GUEST_PDPT);
    struct kvm_sregs s = vcpu_sregs(v);

    *(uint64_t *)(vm->mem + GUEST_PML4) |= 4;
    for (unsigned i = 0; i < 512; i++)
        pdpt[i] |= 4;
    *(uint64_t *)(vm->mem + GUEST_TSS + 4) = 0xf000;  /* RSP0 */
    *(uint16_t *)(vm->mem + GUEST_TSS + 0x66) = 0x68; /* no I/O permission map */
    s.cs.dpl = s.ss.dpl = s.ds.dpl = s.es.dpl = 3;
    s.cs.selector |= 3;
    s.ss.selector = s.ds.selector = s.es.selector = SEL_DATA | 3;
    ASSERT_EQ(vcpu_set_sregs(v, &s), 0);
    v->rflags = 2 | iopl << 12;
    return v;
}

static void test_user_mode(void)
{
    const struct {
        const char *name;
        uint64_t rip;
        uint32_t vector;
    } rows[] = {
        { "hlt", GUEST_ADDR(user_hlt), 13 },        { "cli", GUEST_ADDR(user_cli), 13 },
        { "in", GUEST_ADDR(user_in), 13 },          { "out", GUEST_ADDR(user_out), 13 },
        { "outs", GUEST_ADDR(user_outs), 13 },      { "rdmsr", GUEST_ADDR(user_rdmsr), 13 },
        { "wrmsr", GUEST_ADDR(user_wrmsr), 13 },    { "mov from cr0", GUEST_ADDR(user_cr0), 13 },
        { "invlpg", GUEST_ADDR(user_invlpg), 13 },  { "cpuid", GUEST_ADDR(user_cpuid), 6 },
        { "vmmcall", GUEST_ADDR(user_vmmcall), 6 },
    };
    struct vcpu *v = user_vcpu(0);
    struct kvm_sregs user = vcpu_sregs(v);

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        lab_row(rows[i].name);
        ASSERT_EQ(vcpu_set_sregs(v, &user), 0);
        guest_prepare(v, rows[i].rip, GUEST_DATA, GUEST_DATA, 0x1230, 0x174);
        EXPECT_EQ(guest_resume(v), GUEST_FAULT);
        EXPECT_EQ(*mbox32(v, MBOX_VECTOR), rows[i].vector);
        if (rows[i].vector == 13)
            EXPECT_EQ(*(uint64_t *)mbox(v, MBOX_RIP), rows[i].rip);
    }
    /* The last row's hypercall was not for user mode; the handler keeps rax on its stack. */
    EXPECT_EQ(*(uint64_t *)(v->vm->mem + v->regs.rsp + 16), -1 /* KVM_EPERM */);
}

static void test_user_io(void)
{
    struct vcpu *v = user_vcpu(3);

    EXPECT_EQ(guest_call(v, user_out, 0, 0, 0x1230, 0), KVM_EXIT_IO);
    EXPECT_EQ(v->run->io.port, 0x1230);
    EXPECT_EQ(guest_resume(v), GUEST_FAULT);
    EXPECT_EQ(*mbox32(v, MBOX_VECTOR), 6);
}

static void test_shutdown(void)
{
    struct vcpu *v = vcpu_new(vm_bare(), 0);
    struct kvm_sregs s = vcpu_sregs(v);

    s.idt.limit = 0;
    ASSERT_EQ(vcpu_set_sregs(v, &s), 0);
    EXPECT_EQ(guest_call(v, raise_ud, 0, 0, 0, 0), KVM_EXIT_SHUTDOWN);
}

static void test_invalid_state(void)
{
    struct vcpu *v = vcpu_new(vm_bare(), 0);
    struct kvm_sregs s = vcpu_sregs(v), good = s;

    s.cs.db = 1; /* CS.L and CS.D: VMRUN refuses that (APM vol. 2, 15.5.1) */
    ASSERT_EQ(vcpu_set_sregs(v, &s), 0);
    EXPECT_EQ(guest_call(v, nop, 0, 0, 0, 0), KVM_EXIT_FAIL_ENTRY);
    ASSERT_EQ(vcpu_set_sregs(v, &good), 0);
    EXPECT_EQ(guest_call(v, nop, 0, 0, 0, 0), GUEST_DONE);
}

/* ---- NMI ---- */

static void test_nmi(void)
{
    struct vcpu *v = vcpu_new(vm_split(), 0);
    struct kvm_vcpu_events ev;

    EXPECT_EQ(kvm_callv(v->fd, KVM_NMI, 0), 0);
    *mbox32(v, MBOX_IRQ_MODE) = IRQ_EXIT;
    EXPECT_EQ(guest_call(v, nop, 0, 0, 0, 0), GUEST_IRQ);
    EXPECT_EQ(mbox_logged(v, 0), 2);
    ASSERT_EQ(kvm_call(v->fd, KVM_GET_VCPU_EVENTS, &ev), 0);
    EXPECT_EQ(ev.nmi.masked, 1);
    /* More of them while one is being handled: one is kept, and waits for the IRET. */
    for (unsigned i = 0; i < 3; i++)
        EXPECT_EQ(kvm_callv(v->fd, KVM_NMI, 0), 0);
    EXPECT_EQ(*mbox32(v, MBOX_COUNT), 1);
    EXPECT_EQ(guest_resume(v), GUEST_IRQ);
    EXPECT_EQ(*mbox32(v, MBOX_COUNT), 2);
    EXPECT_EQ(guest_resume(v), GUEST_DONE);
    EXPECT_EQ(*mbox32(v, MBOX_COUNT), 2);
    ASSERT_EQ(kvm_call(v->fd, KVM_GET_VCPU_EVENTS, &ev), 0);
    EXPECT_EQ(ev.nmi.masked, 0);
    EXPECT_EQ(ev.nmi.pending, 0);
}

static void test_nmi_wakes_hlt(void)
{
    struct vcpu *v = vcpu_new(vm_split(), 0);

    guest_prepare(v, GUEST_ADDR(hlt), 0, 0, 0, 0);
    vcpu_start(v, to_done);
    usleep(20000);
    EXPECT_EQ(*mbox32(v, MBOX_COUNT), 0);
    EXPECT_EQ(kvm_callv(v->vm->fd, KVM_NMI, 0), -ENOTTY); /* a vCPU's call, not the VM's */
    vcpu_kick(v); /* the vCPU's own calls wait for its thread */
    EXPECT_EQ(v->result, -EINTR);
    EXPECT_EQ(kvm_callv(v->fd, KVM_NMI, 0), 0);
    EXPECT_EQ(guest_resume(v), GUEST_DONE);
    EXPECT_EQ(mbox_logged(v, 0), 2);
}

/* ---- modes and control registers ---- */

static void test_real_mode(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_raw(vm, 0);
    uint16_t *ivt = (uint16_t *)vm->mem;

    vcpu_set_cpuid(v);
    vcpu_real_mode(v);
    ivt[2 * 0x20] = (uint16_t)(GUEST_ADDR(real_handler) - GUEST_CODE);
    ivt[2 * 0x20 + 1] = GUEST_CODE >> 4;
    guest_prepare(v, GUEST_ADDR(real_int) - GUEST_CODE, 0, 0, 0, 0);
    EXPECT_EQ(guest_resume(v), GUEST_DONE);
    EXPECT_EQ(v->regs.rax, 0x5678);
    EXPECT_EQ(vcpu_sregs(v).cr0 & 1, 0);
}

static void test_prot_mode(void)
{
    struct vcpu *v = vcpu_raw(vm_bare(), 0);

    vcpu_set_cpuid(v);
    vcpu_prot_mode(v);
    EXPECT_EQ(guest_call(v, prot_add, 0xfffffff0, 0x25, 0, 0), GUEST_DONE);
    EXPECT_EQ(v->regs.rax, 0x15); /* 32 bits only */
}

static void test_climb(void)
{
    static const struct {
        const char *name;
        uint64_t cr0; /* PE and PG */
        uint64_t cr4_pae, lme, lma;
        int l, db;
    } step[] = {
        { "real", 0, 0, 0, 0, 0, 0 },
        { "protected", 1, 0, 0, 0, 0, 1 },
        { "compatibility", 0x80000001, 1, 1, 1, 0, 1 },
        { "long", 0x80000001, 1, 1, 1, 1, 0 },
        { "protected again", 1, 1, 0, 0, 0, 1 },
        { "real again", 0, 1, 0, 0, 0, 0 },
    };
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_raw(vm, 0);
    uint16_t *gdtr = (uint16_t *)(vm->mem + 0x1900);
    struct kvm_regs r = {
        .rip = GUEST_ADDR(climb) - GUEST_CODE, .rbx = GUEST_ADDR(climb), .rsp = 0x9000, .rflags = 2
    };

    gdtr[0] = 0x3f;
    gdtr[1] = GUEST_GDT;
    gdtr[2] = 0;
    vcpu_set_cpuid(v);
    vcpu_real_mode(v);
    vcpu_set_regs(v, &r);
    for (unsigned i = 0; i < ARRAY_SIZE(step); i++) {
        struct kvm_sregs s;

        lab_row(step[i].name);
        ASSERT_EQ(guest_resume(v), GUEST_STEP);
        EXPECT_EQ(v->regs.rax & 0xff, i);
        s = vcpu_sregs(v);
        EXPECT_EQ(s.cr0 & 0x80000001, step[i].cr0);
        EXPECT_EQ(s.cr4 >> 5 & 1, step[i].cr4_pae);
        EXPECT_EQ(s.efer >> 8 & 1, step[i].lme);
        EXPECT_EQ(s.efer >> 10 & 1, step[i].lma);
        EXPECT_EQ(s.cs.l, step[i].l);
        EXPECT_EQ(s.cs.db, step[i].db);
    }
    EXPECT_EQ(guest_resume(v), GUEST_DONE);
}

static void test_cr_writes(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    bool la57 = lab_cpuid_find(7, 0)->ecx & BIT(16);
    const struct {
        const char *name;
        uint64_t rip, value;
        uint32_t ecx;
        bool good;
    } rows[] = {
        { "CR0: TS, CD", GUEST_ADDR(write_cr0), CR0_LONG | 8 | BIT(30), 0, true },
        { "CR0: NW without CD", GUEST_ADDR(write_cr0), CR0_LONG | BIT(29), 0, false },
        { "CR0: PG without PE", GUEST_ADDR(write_cr0), CR0_LONG & ~1ull, 0, false },
        { "CR3", GUEST_ADDR(write_cr3), GUEST_PML4, 0, true },
        { "CR4: PGE, MCE", GUEST_ADDR(write_cr4), CR4_LONG | 0xc0, 0, true },
        { "CR4: PAE off in long mode", GUEST_ADDR(write_cr4), CR4_LONG & ~0x20ull, 0, false },
        { "CR4: VMXE", GUEST_ADDR(write_cr4), CR4_LONG | BIT(13), 0, false },
        { "CR4: LA57", GUEST_ADDR(write_cr4), CR4_LONG | BIT(12), 0, la57 },
        { "CR8: 16", GUEST_ADDR(write_cr8), 16, 0, false },
        { "EFER: reserved", GUEST_ADDR(wrmsr), 0xd00 | BIT(20), 0xc0000080, false },
        { "EFER: LME off while paging", GUEST_ADDR(wrmsr), 0x800, 0xc0000080, false },
        { "EFER: SCE", GUEST_ADDR(wrmsr), 0xd01, 0xc0000080, true },
        { "XCR0: without x87", GUEST_ADDR(xsetbv), 2, 0, false },
        { "XCR0: AVX without SSE", GUEST_ADDR(xsetbv), 5, 0, false },
        { "XCR0: x87, SSE", GUEST_ADDR(xsetbv), 3, 0, true },
        { "XCR1", GUEST_ADDR(xsetbv), 3, 1, false },
        { "XCR9: no such register", GUEST_ADDR(xsetbv), 3, 9, false },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        if (!rows[i].good && rows[i].value == (CR4_LONG | BIT(12)) && la57)
            continue; /* paging is on: LA57 cannot change then in any case */
        lab_row(rows[i].name);
        vcpu_long_mode(v);
        guest_prepare(v, rows[i].rip, rows[i].value, 0, 0, rows[i].ecx);
        EXPECT_EQ(guest_resume(v), rows[i].good ? GUEST_DONE : GUEST_FAULT);
        if (!rows[i].good)
            EXPECT_EQ(*mbox32(v, MBOX_VECTOR), 13);
    }
}

static void test_cr_seen(void)
{
    struct vcpu *v = vcpu_new(vm_bare(), 0);
    struct kvm_sregs s;

    EXPECT_EQ(guest_call(v, write_cr0, CR0_LONG | BIT(30), 0, 0, 0), GUEST_DONE);
    EXPECT_EQ(guest_call(v, write_cr4, CR4_LONG | 0x80, 0, 0, 0), GUEST_DONE);
    EXPECT_EQ(guest_call(v, write_cr8, 5, 0, 0, 0), GUEST_DONE);
    EXPECT_EQ(guest_wrmsr(v, 0xc0000080, 0xd01), GUEST_DONE);
    s = vcpu_sregs(v);
    EXPECT_EQ(s.cr0, CR0_LONG | BIT(30));
    EXPECT_EQ(s.cr4, CR4_LONG | 0x80);
    EXPECT_EQ(s.cr8, 5);
    EXPECT_EQ(s.efer, 0xd01);
    EXPECT_EQ(guest_call(v, read_crs, 0, 0, 0, 0), GUEST_DONE);
    EXPECT_EQ(v->regs.rax, CR0_LONG | BIT(30));
    EXPECT_EQ(v->regs.rbx, GUEST_PML4);
    EXPECT_EQ(v->regs.rcx, CR4_LONG | 0x80);
    EXPECT_EQ(guest_call(v, read_cr8, 0, 0, 0, 0), GUEST_DONE);
    EXPECT_EQ(v->regs.rax, 5);
    s.cr8 = v->run->cr8 = 9; /* without an irqchip the run page's value counts */
    s.cr0 = CR0_LONG;
    s.cr4 = CR4_LONG;
    ASSERT_EQ(vcpu_set_sregs(v, &s), 0);
    EXPECT_EQ(guest_call(v, read_cr8, 0, 0, 0, 0), GUEST_DONE);
    EXPECT_EQ(v->regs.rax, 9);
    EXPECT_EQ(guest_call(v, read_crs, 0, 0, 0, 0), GUEST_DONE);
    EXPECT_EQ(v->regs.rax, CR0_LONG);
    EXPECT_EQ(v->regs.rcx & ~0x40ull, CR4_LONG); /* the host's MCE may show */
}

static void test_ist(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint64_t *idt = (uint64_t *)(vm->mem + GUEST_IDT);

    /* The #UD handler on its own stack: TSS and IDT are used as the guest built them. */
    *(uint64_t *)(vm->mem + GUEST_TSS + 0x24) = 0xf000;
    idt[2 * 6] |= 1ull << 32;
    EXPECT_EQ(guest_call(v, raise_ud_no_stack, 0, 0, 0, 0), GUEST_FAULT);
    EXPECT_EQ(*mbox32(v, MBOX_VECTOR), 6);
    EXPECT(v->regs.rsp < 0xf000 && v->regs.rsp > 0xef00);
}

static const struct lab_test tests[] = {
    { "CPUID: supported leaves as set", test_cpuid_supported },
    { "CPUID: missing leaves are zero", test_cpuid_missing },
    { "CPUID: own leaves and subleaves", test_cpuid_custom },
    { "HLT without irqchip", test_hlt_bare },
    { "HLT sleeps until an MSI", test_hlt_split },
    { "STI;HLT with an interrupt pending", test_hlt_pending },
    { "PAUSE, WBINVD, INVD", test_pause },
    { "unknown hypercalls", test_hypercall },
    { "exceptions of the guest", test_exceptions },
    { "exceptions and exits mixed", test_exceptions_survive_exits },
    { "exception by KVM_SET_VCPU_EVENTS", test_exception_injected },
    { "exception on an IST stack", test_ist },
    { "user mode: privileged instructions", test_user_mode },
    { "user mode: I/O by IOPL", test_user_io },
    { "triple fault", test_shutdown },
    { "invalid state", test_invalid_state },
    { "NMI is blocked until IRET", test_nmi },
    { "NMI ends HLT", test_nmi_wakes_hlt },
    { "real mode", test_real_mode },
    { "protected mode", test_prot_mode },
    { "real to long mode and back", test_climb },
    { "control register writes", test_cr_writes },
    { "control registers in KVM_GET_SREGS", test_cr_seen },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}

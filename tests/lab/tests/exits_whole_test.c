/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole state around each kind of exit: general and segment registers, flags, control, debug
 * and table registers, x87 and SSE, MSRs, as the guest itself finds them after one instruction.
 * It must be the state that the guest had after a NOP, and what the instruction defines (AMD APM
 * vol. 3), whether the instruction is done by the processor, by the device or with userspace.
 */
#include "harness.h"

GUEST_FN(whole);
GUEST_FN(whole_slot);
GUEST_FN(whole_after);

#define FRESH 0x100000 /* a page of memory that nobody has touched */
#define FLAGS 0x8d7    /* all arithmetic flags: on in one run, off in the next */
#define VECTOR 0x51

enum { RAX, RBX, RCX, RDX, RSI, RDI, RBP, R8 };

struct image {
    uint64_t gpr[15], rsp, flags;
    uint16_t seg[8];
    uint64_t free;
    uint64_t dr[6], cr[4];
    uint8_t tables[48];
    uint64_t msr[WHOLE_MSRS];
    uint8_t rest[WHOLE_FXSAVE - WHOLE_MSR - 8 * WHOLE_MSRS];
    uint8_t fx[512];
};
_Static_assert(offsetof(struct image, dr) == WHOLE_DR && offsetof(struct image, msr) == WHOLE_MSR &&
                   offsetof(struct image, fx) == WHOLE_FXSAVE && sizeof(struct image) == WHOLE_SIZE,
               "layout.h has another image");

static const uint32_t msr_list[WHOLE_MSRS] = { 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084,
                                               0xc0000102, 0xc0000100, 0xc0000101, 0x174,
                                               0x175,      0x176,      0x277,      0xc0000080,
                                               0xc0000103 };

#define DE 0x100 /* vector 0, which is no exception in a row */

/* What an instruction finds and leaves. */
struct row {
    const char *name;
    uint8_t code[24];
    unsigned len;
    void (*before)(struct image *i);                       /* operands */
    void (*after)(struct image *i, const struct image *b); /* its results */
    unsigned exits;                                        /* to userspace */
    int vector;     /* of the exception that it raises; 0: none */
    bool interrupt; /* one waits for the APIC to be let in */
};
#define INSN(...) { __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ })

/* ---- Operands and results ---- */

static void cpuid_leaf(struct image *i)
{
    i->gpr[RAX] = 0;
    i->gpr[RCX] = 0;
}
static void cpuid_done(struct image *i, const struct image *b)
{
    const struct kvm_cpuid_entry2 *e = lab_cpuid_find(0, 0);

    (void)b;
    i->gpr[RAX] = e->eax;
    i->gpr[RBX] = e->ebx;
    i->gpr[RCX] = e->ecx;
    i->gpr[RDX] = e->edx;
}

/* Userspace answers each read with 0xa5 in all bytes. */
static void low8(struct image *i, const struct image *b)
{
    i->gpr[RAX] = (b->gpr[RAX] & ~0xffull) | 0xa5;
}
static void low16(struct image *i, const struct image *b)
{
    i->gpr[RAX] = (b->gpr[RAX] & ~0xffffull) | 0xa5a5;
}
static void low32(struct image *i, const struct image *b)
{
    (void)b;
    i->gpr[RAX] = 0xa5a5a5a5;
}
static void all64(struct image *i, const struct image *b)
{
    (void)b;
    i->gpr[RAX] = 0xa5a5a5a5a5a5a5a5;
}
static void extended(struct image *i, const struct image *b)
{
    (void)b;
    i->gpr[RAX] = 0xffffffffffffffa5;
}
static void port(struct image *i)
{
    i->gpr[RDX] = 0x510;
}
static void strings(struct image *i)
{
    port(i);
    i->gpr[RCX] = 3;
    i->gpr[RSI] = i->gpr[RDI] = GUEST_DATA + 0x800;
    i->flags &= ~0x400ull;
}
static void ins_done(struct image *i, const struct image *b)
{
    i->gpr[RCX] = 0;
    i->gpr[RDI] = b->gpr[RDI] + 6;
}
static void outs_done(struct image *i, const struct image *b)
{
    i->gpr[RCX] = 0;
    i->gpr[RSI] = b->gpr[RSI] + 6;
}
static void sub_done(struct image *i, const struct image *b)
{
    uint32_t r = (uint32_t)b->gpr[RAX] - 0xa5a5a5a5u;

    i->gpr[RAX] = r;
    /* 0x12345678 - 0xa5a5a5a5 = 0x6c8eb0d3: borrow, even parity is not, nibble 8 - 5 not. */
    i->flags = (b->flags & ~(uint64_t)FLAGS) | 0x2 | 0x1;
}
static void eax_given(struct image *i)
{
    i->gpr[RAX] = 0x12345678;
}
static void msr_kernel_gs(struct image *i)
{
    i->gpr[RCX] = 0xc0000102;
}
static void msr_pat(struct image *i)
{
    i->gpr[RCX] = 0x277;
    i->gpr[RAX] = 0x00070106;
    i->gpr[RDX] = 0x00070406;
}
static void pat_written(struct image *i, const struct image *b)
{
    (void)b;
    i->msr[10] = 0x0007040600070106;
}
static void pat_read(struct image *i, const struct image *b)
{
    i->gpr[RAX] = (uint32_t)b->msr[10];
    i->gpr[RDX] = b->msr[10] >> 32;
}
static void pat_index(struct image *i)
{
    i->gpr[RCX] = 0x277;
}
static void kernel_gs_read(struct image *i, const struct image *b)
{
    i->gpr[RAX] = (uint32_t)b->msr[4];
    i->gpr[RDX] = b->msr[4] >> 32;
}
static void mtrr_def(struct image *i)
{
    i->gpr[RCX] = 0x2ff;
}
static void mtrr_def_read(struct image *i, const struct image *b)
{
    (void)b;
    i->gpr[RAX] = i->gpr[RDX] = 0;
}
static void no_msr(struct image *i)
{
    i->gpr[RCX] = 0xdead;
}
static void hypercall(struct image *i)
{
    i->gpr[RAX] = 1000;
}
static void hypercall_refused(struct image *i, const struct image *b)
{
    (void)b;
    i->gpr[RAX] = (uint64_t)-1000; /* -KVM_ENOSYS */
}
static void cr0_read(struct image *i, const struct image *b)
{
    i->gpr[RAX] = b->cr[0];
}
static void cr2_written(struct image *i, const struct image *b)
{
    i->cr[1] = b->gpr[RBX];
}
static void cr4_pge(struct image *i)
{
    /* What it has, and PGE. MCE reads as one while the host has it. */
    i->gpr[RAX] = 0x406e0;
}
static void cr4_written(struct image *i, const struct image *b)
{
    i->cr[3] = b->gpr[RAX];
}
static void cr0_am(struct image *i)
{
    i->gpr[RAX] = 0x80050033;
}
static void cr0_written(struct image *i, const struct image *b)
{
    i->cr[0] = b->gpr[RAX];
}
static void cr3_same(struct image *i)
{
    i->gpr[RAX] = GUEST_PML4;
}
static void cr8_read(struct image *i, const struct image *b)
{
    (void)b;
    i->gpr[RAX] = 0;
}
static void dr3_written(struct image *i, const struct image *b)
{
    i->dr[3] = b->gpr[RBX];
}
static void dr7_read(struct image *i, const struct image *b)
{
    i->gpr[RAX] = b->dr[5];
}
static void page_given(struct image *i)
{
    i->gpr[RAX] = 0x1000;
}
static void rbx_zero(struct image *i)
{
    i->gpr[RBX] = 0;
}
static void xcr0_same(struct image *i)
{
    i->gpr[RAX] = 1;
    i->gpr[RCX] = i->gpr[RDX] = 0;
}

/* RAX and RBX hold values of their own unless a row says otherwise. */
static const struct row rows[] = {
    { "NOP", INSN(0x90), NULL, NULL, 0, 0, 0 },
    { "CPUID", INSN(0x0f, 0xa2), cpuid_leaf, cpuid_done, 0, 0, 0 },
    { "HLT", INSN(0xfb, 0xf4, 0xfa), NULL, NULL, 0, 0, true },
    { "an interrupt", INSN(0xfb, 0x90, 0xfa), NULL, NULL, 0, 0, true },
    { "IN AL", INSN(0xec), port, low8, 1, 0, 0 },
    { "IN AX", INSN(0x66, 0xed), port, low16, 1, 0, 0 },
    { "IN EAX", INSN(0xed), port, low32, 1, 0, 0 },
    { "IN AL, imm8", INSN(0xe4, 0x55), NULL, low8, 1, 0, 0 },
    { "OUT AL", INSN(0xee), port, NULL, 1, 0, 0 },
    { "OUT AX", INSN(0x66, 0xef), port, NULL, 1, 0, 0 },
    { "OUT EAX", INSN(0xef), port, NULL, 1, 0, 0 },
    { "REP INSW", INSN(0xf3, 0x66, 0x6d), strings, ins_done, 1, 0, 0 },
    { "REP OUTSW", INSN(0xf3, 0x66, 0x6f), strings, outs_done, 1, 0, 0 },
    { "MMIO read of 1 byte", INSN(0x8a, 0x04, 0x25, 0, 0, 0, 0x50), NULL, low8, 1, 0, 0 },
    { "MMIO read of 2 bytes", INSN(0x66, 0x8b, 0x04, 0x25, 0, 0, 0, 0x50), NULL, low16, 1, 0, 0 },
    { "MMIO read of 4 bytes", INSN(0x8b, 0x04, 0x25, 0, 0, 0, 0x50), NULL, low32, 1, 0, 0 },
    { "MMIO read of 8 bytes", INSN(0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0x50), NULL, all64, 1, 0, 0 },
    { "MMIO read, sign extended", INSN(0x48, 0x0f, 0xbe, 0x04, 0x25, 0, 0, 0, 0x50), NULL, extended,
      1, 0, 0 },
    { "MMIO write of 4 bytes", INSN(0x89, 0x04, 0x25, 0, 0, 0, 0x50), NULL, NULL, 1, 0, 0 },
    { "MMIO write of 8 bytes", INSN(0x48, 0x89, 0x04, 0x25, 0, 0, 0, 0x50), NULL, NULL, 1, 0, 0 },
    { "SUB EAX, MMIO", INSN(0x2b, 0x04, 0x25, 0, 0, 0, 0x50), eax_given, sub_done, 1, 0, 0 },
    { "RDMSR of what is in the VMCB", INSN(0x0f, 0x32), msr_kernel_gs, kernel_gs_read, 0, 0, 0 },
    { "RDMSR of PAT", INSN(0x0f, 0x32), pat_index, pat_read, 0, 0, 0 },
    { "WRMSR of PAT", INSN(0x0f, 0x30), msr_pat, pat_written, 0, 0, 0 },
    { "RDMSR of MTRRdefType", INSN(0x0f, 0x32), mtrr_def, mtrr_def_read, 0, 0, 0 },
    { "RDMSR of what is not there", INSN(0x0f, 0x32), no_msr, NULL, 0, 13, 0 },
    { "WRMSR of what is not there", INSN(0x0f, 0x30), no_msr, NULL, 0, 13, 0 },
    { "VMMCALL", INSN(0x0f, 0x01, 0xd9), hypercall, hypercall_refused, 0, 0, 0 },
    { "PAUSE", INSN(0xf3, 0x90), NULL, NULL, 0, 0, 0 },
    { "a nested fault, write", INSN(0x48, 0x89, 0x04, 0x25, 0x10, 0, 0x10, 0), NULL, NULL, 0, 0,
      0 },
    { "MOV RAX, CR0", INSN(0x0f, 0x20, 0xc0), NULL, cr0_read, 0, 0, 0 },
    { "MOV CR0, RAX", INSN(0x0f, 0x22, 0xc0), cr0_am, cr0_written, 0, 0, 0 },
    { "MOV CR2, RBX", INSN(0x0f, 0x22, 0xd3), NULL, cr2_written, 0, 0, 0 },
    { "MOV CR3, RAX", INSN(0x0f, 0x22, 0xd8), cr3_same, NULL, 0, 0, 0 },
    { "MOV CR4, RAX", INSN(0x0f, 0x22, 0xe0), cr4_pge, cr4_written, 0, 0, 0 },
    { "MOV CR4 with a bit that is not there", INSN(0x0f, 0x22, 0xe3), NULL, NULL, 0, 13, 0 },
    { "MOV RAX, CR8", INSN(0x44, 0x0f, 0x20, 0xc0), NULL, cr8_read, 0, 0, 0 },
    { "MOV DR3, RBX", INSN(0x0f, 0x23, 0xdb), NULL, dr3_written, 0, 0, 0 },
    { "MOV RAX, DR7", INSN(0x0f, 0x21, 0xf8), NULL, dr7_read, 0, 0, 0 },
    { "WBINVD", INSN(0x0f, 0x09), NULL, NULL, 0, 0, 0 },
    { "INVD", INSN(0x0f, 0x08), NULL, NULL, 0, 0, 0 },
    { "INVLPG", INSN(0x0f, 0x01, 0x3c, 0x25, 0, 0, 0x10, 0), NULL, NULL, 0, 0, 0 },
    { "XSETBV", INSN(0x0f, 0x01, 0xd1), xcr0_same, NULL, 0, 0, 0 },
    { "RDPMC", INSN(0x0f, 0x33), no_msr, NULL, 0, 13, 0 },
    { "UD2", INSN(0x0f, 0x0b), NULL, NULL, 0, 6, 0 },
    { "VMRUN", INSN(0x0f, 0x01, 0xd8), page_given, NULL, 0, 6, 0 },
    { "DIV by zero", INSN(0xf7, 0xf3), rbx_zero, NULL, 0, DE, 0 },
};

/* ---- Running one ---- */

static void fill(struct image *i, bool flags)
{
    memset(i, 0, sizeof(*i));
    for (unsigned k = 0; k < 15; k++)
        i->gpr[k] = 0x0123456789abcdefull * (k + 3) | 1;
    i->flags = flags ? FLAGS | 0x202ull : 2;
    i->flags &= ~0x200ull;
    for (unsigned k = 0; k < 4; k++)
        i->dr[k] = 0x7000 + k * 0x11; /* where nothing is executed */
    i->dr[4] = 0xffff0ff3;
    i->dr[5] = 0x455; /* all four are on */
    *(uint16_t *)i->fx = 0x27f;
    i->fx[4] = 0xff;
    *(uint32_t *)(i->fx + 24) = 0x3f80;
    for (unsigned k = 0; k < 8; k++) {
        memset(i->fx + 32 + 16 * k, 0x31 + (int)k, 8);
        i->fx[39 + 16 * k] |= 0x80;
        *(uint16_t *)(i->fx + 40 + 16 * k) = 0x3fff;
    }
    for (unsigned k = 0; k < 256; k++)
        i->fx[160 + k] = (uint8_t)(k * 7 + 3);
}

static void write_slot(struct vcpu *v, const uint8_t *code, unsigned len)
{
    uint8_t *at = v->vm->mem + GUEST_ADDR(whole_slot);
    int32_t distance = (int32_t)(GUEST_ADDR(whole_after) - GUEST_ADDR(whole_slot) - len - 5);

    memset(at, 0xcc, 64); /* a RIP that is too far finds one of these */
    memcpy(at, code, len);
    at[len] = 0xe9;
    memcpy(at + len + 1, &distance, 4);
}

/* Exits to userspace until the code is done; how many there were, or -1. */
static int run_whole(struct vcpu *v)
{
    int exits = 0, how;

    while ((how = guest_resume(v)) != GUEST_DONE) {
        if (how == KVM_EXIT_MMIO && !v->run->mmio.is_write)
            memset(v->run->mmio.data, 0xa5, 8);
        else if (how == KVM_EXIT_IO && v->run->io.direction == KVM_EXIT_IO_IN)
            memset((uint8_t *)v->run + v->run->io.data_offset, 0xa5,
                   (size_t)v->run->io.size * v->run->io.count);
        else if (how != KVM_EXIT_MMIO && how != KVM_EXIT_IO) {
            lab_fail(__FILE__, __LINE__, "it ended with %d, vector %u", how,
                     *mbox32(v, MBOX_VECTOR));
            return -1;
        }
        exits++;
    }
    return exits;
}

static void run_row(struct vcpu *v, const struct row *row, const struct image *before,
                    struct image *after)
{
    uint8_t *mem = v->vm->mem;

    memcpy(mem + WHOLE_BEFORE, before, sizeof(*before));
    memset(mem + WHOLE_AFTER, 0, sizeof(*after));
    memcpy(mem + WHOLE_MSR_LIST, msr_list, sizeof(msr_list));
    ASSERT_EQ(madvise(mem + FRESH, 0x1000, MADV_DONTNEED), 0);
    mbox_clear(v);
    *mbox32(v, MBOX_IRQ_MODE) = IRQ_EOI_X2APIC;
    *(uint64_t *)mbox(v, MBOX_FIXUP) = row->vector ? GUEST_ADDR(whole_after) : 0;
    write_slot(v, row->code, row->len);
    guest_prepare(v, GUEST_ADDR(whole), 0, 0, 0, 0);
    if (row->interrupt) {
        struct kvm_msi msi = { .address_lo = 0xfee00000, .data = VECTOR };

        EXPECT_EQ(kvm_call(v->vm->fd, KVM_SIGNAL_MSI, &msi), 1);
    }
    if (run_whole(v) < (int)row->exits)
        lab_fail(__FILE__, __LINE__, "fewer than %u exits", row->exits);
    EXPECT_EQ(*mbox32(v, MBOX_COUNT), row->interrupt);
    EXPECT_EQ(*mbox32(v, MBOX_FAULTS), row->vector != 0);
    if (row->vector) {
        EXPECT_EQ(*mbox32(v, MBOX_VECTOR), row->vector & 0xff);
        EXPECT_EQ(*(uint64_t *)mbox(v, MBOX_RIP), GUEST_ADDR(whole_slot));
        EXPECT_EQ(*(uint64_t *)mbox(v, MBOX_ERROR), 0);
    }
    memcpy(after, mem + WHOLE_AFTER, sizeof(*after));
}

static struct vcpu *whole_vcpu(void)
{
    struct vcpu *v = vcpu_new(vm_split(), 0);
    struct kvm_sregs s = vcpu_sregs(v);

    s.cr4 |= 1 << 18; /* OSXSAVE */
    ASSERT_EQ(vcpu_set_sregs(v, &s), 0);
    for (unsigned k = 0; k < WHOLE_MSRS; k++)
        if (k != 6 && k != 10 && k != 11) /* GS.base, PAT, EFER */
            EXPECT_EQ(vcpu_set_msr(v, msr_list[k], 0x11223344ull + k * 0x1010), 1);
    EXPECT_EQ(guest_wrmsr(v, 0x1b, 0xfee00d00), GUEST_DONE);
    EXPECT_EQ(guest_wrmsr(v, 0x80f, 0x1ff), GUEST_DONE);
    return v;
}

static void compare(const struct image *got, const struct image *want)
{
    const uint64_t *g = (const uint64_t *)got, *w = (const uint64_t *)want;

    for (unsigned i = 0; i < sizeof(*got) / 8; i++)
        if (g[i] != w[i])
            lab_fail(__FILE__, __LINE__, "at 0x%x of the image: %llx, not %llx", i * 8,
                     (unsigned long long)g[i], (unsigned long long)w[i]);
}

static void test_row(const struct row *row, bool flags)
{
    struct vcpu *v = whole_vcpu();
    struct image before, plain, want, got;

    lab_row(row->name);
    fill(&before, flags);
    if (row->before)
        row->before(&before);
    run_row(v, &rows[0], &before, &plain);
    for (unsigned k = 0; k < 15; k++)
        EXPECT_EQ(plain.gpr[k], before.gpr[k]);
    EXPECT_EQ(plain.flags, before.flags);
    EXPECT_EQ(memcmp(plain.dr, before.dr, sizeof(plain.dr)), 0);
    EXPECT_EQ(memcmp(plain.fx + 32, before.fx + 32, 384), 0);
    want = plain;
    if (row->after)
        row->after(&want, &plain);
    run_row(v, row, &before, &got);
    compare(&got, &want);
    vm_destroy(v->vm);
    lab_row(NULL);
}

static void test_rows(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        test_row(&rows[i], false);
}

static void test_rows_with_flags(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        test_row(&rows[i], true);
}

/* The VMM's breakpoint and single steps: debug registers are the guest's own all the while. */
static void test_debugged(void)
{
    struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP,
                                     .arch.debugreg = {
                                         [0] = GUEST_ADDR(whole_slot), [7] = 0x401 } };
    struct vcpu *v = whole_vcpu();
    struct image before, want, got;
    unsigned steps = 0;

    fill(&before, true);
    run_row(v, &rows[0], &before, &want);
    guest_prepare(v, GUEST_ADDR(whole), 0, 0, 0, 0);
    memset(v->vm->mem + WHOLE_AFTER, 0, sizeof(got));
    ASSERT_EQ(kvm_call(v->fd, KVM_SET_GUEST_DEBUG, &debug), 0);
    EXPECT_EQ(guest_resume(v), KVM_EXIT_DEBUG);
    EXPECT_EQ(v->run->debug.arch.pc, GUEST_ADDR(whole_slot));
    debug.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
    ASSERT_EQ(kvm_call(v->fd, KVM_SET_GUEST_DEBUG, &debug), 0);
    while (guest_resume(v) == KVM_EXIT_DEBUG && v->regs.rip < GUEST_ADDR(whole_after) + 40)
        steps++;
    EXPECT(steps > 3);
    debug.control = 0;
    ASSERT_EQ(kvm_call(v->fd, KVM_SET_GUEST_DEBUG, &debug), 0);
    EXPECT_EQ(run_whole(v), 0);
    memcpy(&got, v->vm->mem + WHOLE_AFTER, sizeof(got));
    compare(&got, &want);
}

static const struct lab_test tests[] = {
    { "the whole state after each instruction, flags off", test_rows },
    { "the whole state after each instruction, flags on", test_rows_with_flags },
    { "the whole state of a guest that is debugged", test_debugged },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}

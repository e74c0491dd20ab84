// SPDX-License-Identifier: Apache-2.0
/*
 * The vCPUs' registers as the VMM sets them, and the save areas that KVM makes of these registers
 * at the end of a launch (Linux 6.11 and later, arch/x86/kvm/svm/sev.c, for KVM_X86_SNP_VM with
 * vmsa_features 0). Takes no input.
 *
 * vCPU 0 starts in the shim, in protected mode without paging: nothing of it depends on where the
 * C-bit is. The others stand where a reset leaves them, where there is no memory: a host that runs
 * one before the guest gave it another state gets nothing.
 */
#include <endian.h>
#include <string.h>

#include "bawn/shim.h"
#include "launch/internal.h"
#include "launch/snp_vmsa.h"

#define CR0_PE 0x1ull
#define CR0_ET 0x10ull
#define CR4_MCE 0x40ull     /* KVM gives guests the host's: always set */
#define EFER_SVME 0x1000ull /* the processor demands it of a VMSA */
#define RFLAGS_FIXED 0x2ull
#define DR6_INIT 0xffff0ff0ull
#define DR7_INIT 0x400ull
#define PAT_INIT 0x0007040600070406ull /* APM vol. 2, 7.8.2 */
#define XCR0_X87 0x1ull
#define MXCSR_INIT 0x1f80
#define X87_FCW_INIT 0x37f
#define APIC_BASE_BSP 0x100ull
#define APIC_BASE_ENABLE 0x800ull

#define SEL_CODE 0x08
#define SEL_DATA 0x10
#define RESET_SELECTOR 0xf000
#define RESET_BASE 0xffff0000ull
#define RESET_IP 0xfff0
#define LIMIT_64K 0xffff
#define LIMIT_4G 0xffffffff

/* Types of accessed segments, and of system ones (APM vol. 2, 4.7 and 4.8). */
#define TYPE_DATA_RW 0x3
#define TYPE_CODE_RX 0xb
#define TYPE_LDT 0x2
#define TYPE_TSS_BUSY 0xb

static struct kvm_segment flat(uint16_t selector, uint8_t type)
{
    return (struct kvm_segment){
        .selector = selector,
        .limit = LIMIT_4G,
        .type = type,
        .present = 1,
        .s = 1,
        .db = 1,
        .g = 1,
    };
}

static struct kvm_segment real(uint16_t selector, uint64_t base, uint8_t type)
{
    return (struct kvm_segment){
        .selector = selector,
        .base = base,
        .limit = LIMIT_64K,
        .type = type,
        .present = 1,
        .s = 1,
    };
}

static struct kvm_segment system_segment(uint8_t type)
{
    return (struct kvm_segment){ .limit = LIMIT_64K, .type = type, .present = 1 };
}

static void set_common(struct kvm_regs *r, struct kvm_sregs *s)
{
    r->rflags = RFLAGS_FIXED;
    s->ldt = system_segment(TYPE_LDT);
    s->tr = system_segment(TYPE_TSS_BUSY);
    s->gdt.limit = s->idt.limit = LIMIT_64K;
    s->cr0 = CR0_ET;
    s->cr4 = CR4_MCE;
    s->apic_base = BAWN_LAPIC_BASE | APIC_BASE_ENABLE;
}

static void set_bsp(struct kvm_regs *r, struct kvm_sregs *s)
{
    set_common(r, s);
    r->rip = BAWN_SHIM_IMAGE;
    s->cs = flat(SEL_CODE, TYPE_CODE_RX);
    s->ds = s->es = s->fs = s->gs = s->ss = flat(SEL_DATA, TYPE_DATA_RW);
    s->cr0 |= CR0_PE;
    s->apic_base |= APIC_BASE_BSP;
}

static void set_ap(struct kvm_regs *r, struct kvm_sregs *s)
{
    set_common(r, s);
    r->rip = RESET_IP;
    s->cs = real(RESET_SELECTOR, RESET_BASE, TYPE_CODE_RX);
    s->ds = s->es = s->fs = s->gs = s->ss = real(0, 0, TYPE_DATA_RW);
}

/* ---- as KVM makes it ---- */

static struct bawn_vmsa_segment vmsa_segment(const struct kvm_segment *s)
{
    return (struct bawn_vmsa_segment){
        .selector = htole16(s->selector),
        .attrib = htole16((uint16_t)(s->type | s->s << 4 | s->dpl << 5 | s->present << 7 |
                                     s->avl << 8 | s->l << 9 | s->db << 10 | s->g << 11)),
        .limit = htole32(s->limit),
        .base = htole64(s->base),
    };
}

static struct bawn_vmsa_segment vmsa_table(const struct kvm_dtable *t)
{
    return (struct bawn_vmsa_segment){ .limit = htole32(t->limit), .base = htole64(t->base) };
}

static void make_vmsa(struct bawn_vmsa *v, const struct kvm_regs *r, const struct kvm_sregs *s)
{
    memset(v, 0, sizeof(*v));
    v->es = vmsa_segment(&s->es);
    v->cs = vmsa_segment(&s->cs);
    v->ss = vmsa_segment(&s->ss);
    v->ds = vmsa_segment(&s->ds);
    v->fs = vmsa_segment(&s->fs);
    v->gs = vmsa_segment(&s->gs);
    v->gdtr = vmsa_table(&s->gdt);
    v->ldtr = vmsa_segment(&s->ldt);
    v->idtr = vmsa_table(&s->idt);
    v->tr = vmsa_segment(&s->tr);
    v->efer = htole64(s->efer | EFER_SVME);
    v->cr4 = htole64(s->cr4);
    v->cr0 = htole64(s->cr0);
    v->dr7 = htole64(DR7_INIT);
    v->dr6 = htole64(DR6_INIT);
    v->rflags = htole64(r->rflags);
    v->rip = htole64(r->rip); /* the other general registers are zero */
    v->g_pat = htole64(PAT_INIT);
    v->sev_features = htole64(BAWN_SEV_SNP_ACTIVE);
    v->xcr0 = htole64(XCR0_X87);
    v->mxcsr = htole32(MXCSR_INIT);
    v->x87_fcw = htole16(X87_FCW_INIT);
}

void snp_vmsa_plan(struct bawn_snp_launch *plan)
{
    set_bsp(&plan->regs[BAWN_SNP_BSP], &plan->sregs[BAWN_SNP_BSP]);
    set_ap(&plan->regs[BAWN_SNP_AP], &plan->sregs[BAWN_SNP_AP]);
    for (unsigned i = 0; i < BAWN_SNP_VCPU_KINDS; i++)
        make_vmsa(&plan->vmsa[i], &plan->regs[i], &plan->sregs[i]);
}

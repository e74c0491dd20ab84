// SPDX-License-Identifier: Apache-2.0
/*
 * Descriptor tables, page tables and the state of vCPU 0 that refers to them. The tables only
 * serve until the guest loads its own. Takes no input.
 */
#include <string.h>

#include <endian.h>

#include "launch/internal.h"

/* Selectors of the Linux boot protocol (Documentation/arch/x86/boot.rst, "64-bit boot"). */
#define SEL_CODE 0x10
#define SEL_DATA 0x18
#define SEL_TSS 0x20
#define GDT_ENTRIES 6 /* two null, code, data, a TSS of two entries */

#define PTE_TABLE 0x03ull /* present, writable */
#define PTE_LARGE 0x83ull /* the same, page size */

#define LARGE (2ull << 20)
#define TABLE_ENTRIES 512u
#define IDENTITY_GIB 4u
#define PML4_AT (LOW_TABLES + PAGE)
#define PDPT_AT (LOW_TABLES + 2 * PAGE)
#define PD_AT (LOW_TABLES + 3 * PAGE)
#define LONG_SIZE ((3 + IDENTITY_GIB) * PAGE)

_Static_assert(LOW_TABLES + LONG_SIZE <= LOW_BOOT_INFO, "the tables end before boot_params");

#define CR0_PE 0x1ull
#define CR0_ET 0x10ull
#define CR0_PG 0x80000000ull
#define CR4_PAE 0x20ull
#define EFER_LME 0x100ull
#define EFER_LMA 0x400ull
#define RFLAGS_FIXED 0x2ull
#define APIC_BASE_BSP 0x100ull
#define APIC_BASE_ENABLE 0x800ull

#define SEG_DATA_RW 0x3 /* accessed, as every segment is once it has been loaded */
#define SEG_CODE_RX 0xb
#define SEG_TSS_BUSY 0xb /* VM entry demands the busy type */

static void put64(uint8_t *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof(v));
}

/* The descriptor of AMD APM vol. 2, 4.7 that loads as s. */
static uint64_t descriptor(const struct kvm_segment *s)
{
    uint64_t limit = s->g ? s->limit >> 12 : s->limit;

    return (limit & 0xffff) | (s->base & 0xffffff) << 16 | (uint64_t)s->type << 40 |
           (uint64_t)s->s << 44 | (uint64_t)s->dpl << 45 | (uint64_t)s->present << 47 |
           (limit >> 16 & 0xf) << 48 | (uint64_t)s->avl << 52 | (uint64_t)s->l << 53 |
           (uint64_t)s->db << 54 | (uint64_t)s->g << 55 | (s->base >> 24 & 0xff) << 56;
}

static struct kvm_segment flat(uint16_t selector, uint8_t type, bool code64)
{
    return (struct kvm_segment){
        .limit = 0xffffffff,
        .selector = selector,
        .type = type,
        .present = 1,
        .db = !code64,
        .s = 1,
        .l = code64,
        .g = 1,
    };
}

static void set_state(struct bawn_launch_plan *plan, bool long_mode)
{
    struct kvm_sregs *s = &plan->sregs;

    s->cs = flat(SEL_CODE, SEG_CODE_RX, long_mode);
    s->ds = s->es = s->fs = s->gs = s->ss = flat(SEL_DATA, SEG_DATA_RW, false);
    s->tr = (struct kvm_segment){
        .limit = 0x67,
        .selector = SEL_TSS,
        .type = SEG_TSS_BUSY,
        .present = 1,
    };
    s->ldt = (struct kvm_segment){ .unusable = 1 };
    s->gdt.base = LOW_TABLES;
    s->gdt.limit = GDT_ENTRIES * 8 - 1;
    s->cr0 = CR0_PE | CR0_ET;
    if (long_mode) {
        s->cr0 |= CR0_PG;
        s->cr3 = PML4_AT;
        s->cr4 = CR4_PAE;
        s->efer = EFER_LME | EFER_LMA;
    }
    s->apic_base = BAWN_LAPIC_BASE | APIC_BASE_ENABLE | APIC_BASE_BSP;
    plan->regs.rflags = RFLAGS_FIXED;
}

static void write_gdt(uint8_t *gdt, const struct kvm_sregs *s)
{
    put64(gdt + SEL_CODE, descriptor(&s->cs));
    put64(gdt + SEL_DATA, descriptor(&s->ds));
    put64(gdt + SEL_TSS, descriptor(&s->tr));
}

/* Identity, 4 GiB, in 2 MiB pages; t is the memory at LOW_TABLES. */
static void write_page_tables(uint8_t *t)
{
    uint8_t *pd = t + (PD_AT - LOW_TABLES);

    put64(t + (PML4_AT - LOW_TABLES), PDPT_AT | PTE_TABLE);
    for (unsigned i = 0; i < IDENTITY_GIB; i++)
        put64(t + (PDPT_AT - LOW_TABLES) + i * 8, (PD_AT + i * PAGE) | PTE_TABLE);
    for (unsigned i = 0; i < IDENTITY_GIB * TABLE_ENTRIES; i++)
        put64(pd + i * 8, i * LARGE | PTE_LARGE);
}

static enum bawn_status tables_plan(struct bawn_launch_plan *plan, bool long_mode,
                                    struct bawn_error *err)
{
    size_t size = long_mode ? LONG_SIZE : PAGE;
    uint8_t *t = plan_alloc(plan, size);

    if (!t)
        return bawn_fail(err, BAWN_E_NOMEM, "out of memory");
    set_state(plan, long_mode);
    write_gdt(t, &plan->sregs);
    if (long_mode)
        write_page_tables(t);
    return plan_add(plan, BAWN_MEASURE_TABLES, LOW_TABLES, size, t, size, err);
}

enum bawn_status tables_plan_long(struct bawn_launch_plan *plan, struct bawn_error *err)
{
    return tables_plan(plan, true, err);
}

enum bawn_status tables_plan_protected(struct bawn_launch_plan *plan, struct bawn_error *err)
{
    return tables_plan(plan, false, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
// sources: platform/kmod/frame.c
/*
 * #VC entered by hand-made descriptor tables: the frame word by word, stacks (the same, RSP0, IST),
 * flags and privilege, every descriptor that does not do, and what happens when #VC meets another
 * event or its own delivery fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <asm/processor-flags.h>
#include <asm/trapnr.h>

#include "platform.h"

#define LMA (1ull << 10)
#define IDT 0x1000ull
#define GDT 0x3000ull
#define LDT 0x3800ull
#define TSS 0x4000ull
#define STACK 0x8000ull
#define RSP0 0x9000ull
#define IST1 0xa000ull
#define MEMORY 0x10000ull

#define HANDLER 0xffffffff81234567ull
#define SEL_CODE 0x10
#define SEL_USER_CODE 0x33
#define SEL_USER_DATA 0x2b
#define CODE64 0x00af9b000000ffffull /* DPL 0, long, accessed */
#define ERROR 0x72

struct platform_stats platform_stats;

static struct {
    u8 memory[MEMORY];
    struct kvm_segment seg[VCPU_NR_SREG];
    struct kvm_dtable idt, gdt;
    int cpl;
    u32 shadow;
    bool nmi_masked;
    int vector; /* injected; -1 none */
    u32 error;
    u64 payload;
    struct platform_walk fail; /* accesses to the page of fail.gva come to this */
    struct bawn_vm vm;
    struct bawn_vcpu vcpu;
    struct bawn_snp_vcpu snp;
    struct platform_vcpu platform;
    struct kvm_run run;
} mock;

unsigned int platform_cbit = 47;

static int access_memory(gva_t gva, void *buf, size_t len, bool write, struct platform_walk *w)
{
    if (mock.fail.fault && gva >> 12 == mock.fail.gva >> 12) {
        *w = mock.fail;
        return -EFAULT;
    }
    if (gva >= MEMORY || len > MEMORY - gva) {
        *w = (struct platform_walk){ .fault = FAULT_PAGE, .gva = gva };
        return -EFAULT;
    }
    if (write)
        memcpy(mock.memory + gva, buf, len);
    else
        memcpy(buf, mock.memory + gva, len);
    return 0;
}

int platform_read_virt(struct bawn_vcpu *vcpu, gva_t gva, void *buf, size_t len,
                       struct platform_walk *w)
{
    return access_memory(gva, buf, len, false, w);
}

int platform_write_virt(struct bawn_vcpu *vcpu, gva_t gva, const void *buf, size_t len,
                        struct platform_walk *w)
{
    return access_memory(gva, (void *)buf, len, true, w);
}

void bawn_inject_exception(struct bawn_vcpu *vcpu, u8 vector, bool has_error, u32 error,
                           u64 payload)
{
    assert_int_equal(mock.vector, -1);
    assert_true(has_error);
    mock.vector = vector;
    mock.error = error;
    mock.payload = payload;
}

static void get_segment(struct bawn_vcpu *vcpu, int sreg, struct kvm_segment *seg)
{
    *seg = mock.seg[sreg];
}

static void set_segment(struct bawn_vcpu *vcpu, int sreg, const struct kvm_segment *seg)
{
    mock.seg[sreg] = *seg;
    if (sreg == VCPU_SREG_SS)
        mock.cpl = seg->dpl;
}

static void get_table(struct bawn_vcpu *vcpu, bool idt, struct kvm_dtable *dt)
{
    *dt = idt ? mock.idt : mock.gdt;
}

static int cpl(struct bawn_vcpu *vcpu)
{
    return mock.cpl;
}

static void set_shadow(struct bawn_vcpu *vcpu, u32 shadow)
{
    mock.shadow = shadow;
}

static void set_nmi_mask(struct bawn_vcpu *vcpu, bool masked)
{
    mock.nmi_masked = masked;
}

static const struct bawn_cpu_ops ops = {
    .get_segment = get_segment,
    .set_segment = set_segment,
    .get_table = get_table,
    .cpl = cpl,
    .set_shadow = set_shadow,
    .set_nmi_mask = set_nmi_mask,
};
const struct bawn_cpu_ops *bawn_cpu = &ops;

static void put64(u64 at, u64 value)
{
    memcpy(mock.memory + at, &value, 8);
}

static u64 get64(u64 at)
{
    u64 value;

    memcpy(&value, mock.memory + at, 8);
    return value;
}

static void put_gate(u16 selector, u8 ist, u8 type, u64 handler)
{
    u64 at = IDT + VC_VECTOR * 16;

    put64(at, (handler & 0xffff) | (u64)selector << 16 | (u64)ist << 32 | (u64)type << 40 |
                  (handler >> 16 & 0xffff) << 48);
    put64(at + 8, handler >> 32);
}

/* A kernel in long mode, about to meet its first #VC: in the same segment, no IST. */
static int setup(void **state)
{
    (void)state;
    memset(&mock, 0, sizeof(mock));
    mock.vector = -1;
    mock.shadow = 1;
    mock.idt = (struct kvm_dtable){ .base = IDT, .limit = 0xfff };
    mock.gdt = (struct kvm_dtable){ .base = GDT, .limit = 0x3f };
    mock.seg[VCPU_SREG_CS] = (struct kvm_segment){ .selector = SEL_CODE, .present = 1, .l = 1 };
    mock.seg[VCPU_SREG_SS] = (struct kvm_segment){ .selector = 0x18, .present = 1 };
    mock.seg[VCPU_SREG_TR] = (struct kvm_segment){ .base = TSS, .limit = 0x67, .present = 1 };
    mock.seg[VCPU_SREG_LDTR] = (struct kvm_segment){ .base = LDT, .limit = 0xff };
    put64(GDT + SEL_CODE, CODE64);
    put64(LDT + 8, CODE64);
    put64(TSS + 4, RSP0);
    put64(TSS + 0x24, IST1);
    put_gate(SEL_CODE, 0, 0x8e, HANDLER);
    mock.vcpu.vm = &mock.vm;
    mock.vcpu.run = &mock.run;
    mock.vcpu.snp = &mock.snp;
    mock.snp.platform = &mock.platform;
    mock.vcpu.efer = LMA;
    mock.vcpu.rip = 0xffffffff80001000ull;
    mock.vcpu.rflags = 0x2 | X86_EFLAGS_IF | X86_EFLAGS_TF | X86_EFLAGS_NT | X86_EFLAGS_CF;
    mock.vcpu.gpr[VCPU_RSP] = STACK - 0x18;
    return 0;
}

static void from_user(void)
{
    mock.cpl = 3;
    mock.seg[VCPU_SREG_CS].selector = SEL_USER_CODE;
    mock.seg[VCPU_SREG_SS].selector = SEL_USER_DATA;
    mock.seg[VCPU_SREG_SS].dpl = 3;
}

/* Six words below top (aligned to 16): error, rip, cs, rflags, rsp, ss. */
static void expect_frame(u64 top, u64 cs, u64 ss, u64 rsp)
{
    u64 at = (top & ~0xfull) - 48;

    assert_int_equal(mock.vcpu.gpr[VCPU_RSP], at);
    assert_int_equal(get64(at), ERROR);
    assert_int_equal(get64(at + 8), 0xffffffff80001000ull);
    assert_int_equal(get64(at + 16), cs);
    assert_int_equal(get64(at + 24), 0x2 | X86_EFLAGS_IF | X86_EFLAGS_TF | X86_EFLAGS_NT |
                                         X86_EFLAGS_CF | X86_EFLAGS_RF);
    assert_int_equal(get64(at + 32), rsp);
    assert_int_equal(get64(at + 40), ss);
    assert_int_equal(mock.vcpu.rip, HANDLER);
    assert_int_equal(mock.shadow, 0);
    assert_int_equal(mock.cpl, 0);
    assert_int_equal(mock.seg[VCPU_SREG_CS].l, 1);
    assert_int_equal(mock.seg[VCPU_SREG_CS].dpl, 0);
    assert_int_equal(mock.vector, -1);
}

static void test_same_stack(void **state)
{
    (void)state;
    assert_int_equal(platform_vc(&mock.vcpu, ERROR), 1);
    expect_frame(STACK - 0x18, SEL_CODE, 0x18, STACK - 0x18);
    assert_int_equal(mock.vcpu.rflags, 0x2 | X86_EFLAGS_CF);
    assert_int_equal(mock.seg[VCPU_SREG_SS].selector, 0x18); /* no change of level: kept */
    assert_int_equal(platform_stats.vc.counter, 1);
}

static void test_trap_gate(void **state)
{
    (void)state;
    put_gate(SEL_CODE, 0, 0x8f, HANDLER);
    platform_vc(&mock.vcpu, ERROR);
    assert_int_equal(mock.vcpu.rflags, 0x2 | X86_EFLAGS_CF | X86_EFLAGS_IF);
}

static void test_from_user(void **state)
{
    (void)state;
    from_user();
    platform_vc(&mock.vcpu, ERROR);
    expect_frame(RSP0, SEL_USER_CODE, SEL_USER_DATA, STACK - 0x18);
    assert_int_equal(mock.seg[VCPU_SREG_SS].selector, 0);
    assert_true(mock.seg[VCPU_SREG_SS].unusable);
    assert_int_equal(mock.seg[VCPU_SREG_CS].selector, SEL_CODE);
}

static void test_ist(void **state)
{
    (void)state;
    put_gate(SEL_CODE, 1, 0x8e, HANDLER);
    platform_vc(&mock.vcpu, ERROR);
    expect_frame(IST1, SEL_CODE, 0x18, STACK - 0x18);
    assert_int_equal(mock.seg[VCPU_SREG_SS].selector, 0x18);
    setup(NULL);
    put_gate(SEL_CODE, 1, 0x8e, HANDLER);
    from_user();
    platform_vc(&mock.vcpu, ERROR);
    expect_frame(IST1, SEL_USER_CODE, SEL_USER_DATA, STACK - 0x18);
    assert_int_equal(mock.seg[VCPU_SREG_SS].selector, 0);
}

static void test_ldt(void **state)
{
    (void)state;
    put_gate(0x0c, 0, 0x8e, HANDLER); /* LDT, entry 1 */
    platform_vc(&mock.vcpu, ERROR);
    expect_frame(STACK - 0x18, SEL_CODE, 0x18, STACK - 0x18);
    assert_int_equal(mock.seg[VCPU_SREG_CS].selector, 0x0c);
}

static void conforming(void)
{
    put64(GDT + SEL_CODE, CODE64 | 1ull << 42);
}
static void not_present(void)
{
    put_gate(SEL_CODE, 0, 0x0e, HANDLER);
}
static void call_gate(void)
{
    put_gate(SEL_CODE, 0, 0x8c, HANDLER);
}
static void short_idt(void)
{
    mock.idt.limit = VC_VECTOR * 16 + 14;
}
static void null_selector(void)
{
    put_gate(3, 0, 0x8e, HANDLER);
}
static void short_gdt(void)
{
    mock.gdt.limit = SEL_CODE + 6;
}
static void no_ldt(void)
{
    put_gate(0x0c, 0, 0x8e, HANDLER);
    mock.seg[VCPU_SREG_LDTR].unusable = 1;
}
static void data_segment(void)
{
    put64(GDT + SEL_CODE, 0x00cf93000000ffffull);
}
static void code_not_present(void)
{
    put64(GDT + SEL_CODE, CODE64 & ~(1ull << 47));
}
static void code32(void)
{
    put64(GDT + SEL_CODE, 0x00cf9b000000ffffull);
}
static void long_and_32(void)
{
    put64(GDT + SEL_CODE, CODE64 | 1ull << 54);
}
static void less_privileged(void)
{
    put64(GDT + SEL_CODE, CODE64 | 3ull << 45);
}
static void short_tss(void)
{
    put_gate(SEL_CODE, 1, 0x8e, HANDLER);
    mock.seg[VCPU_SREG_TR].limit = 0x24 + 6;
}
static void bad_stack(void)
{
    put_gate(SEL_CODE, 1, 0x8e, HANDLER);
    put64(TSS + 0x24, 0x900000000000ull);
}
static void bad_handler(void)
{
    put_gate(SEL_CODE, 0, 0x8e, 0x800000000000ull);
}
static void unvalidated_stack(void)
{
    mock.fail = (struct platform_walk){ .fault = FAULT_NOT_VALIDATED, .gva = STACK - 1 };
}
static void device_stack(void)
{
    mock.fail = (struct platform_walk){ .fault = FAULT_NO_MEMORY, .gva = STACK - 1 };
}
static void legacy_mode(void)
{
    mock.vcpu.efer = 0;
}

/* Whatever the guest's tables hold: #DF, and nothing of the vCPU has changed. */
static void test_double_fault(void **state)
{
    static const struct {
        const char *what;
        void (*spoil)(void);
    } rows[] = {
        { "gate not present", not_present },
        { "another kind of gate", call_gate },
        { "IDT too short", short_idt },
        { "null code selector", null_selector },
        { "GDT too short", short_gdt },
        { "no LDT", no_ldt },
        { "data segment", data_segment },
        { "code segment not present", code_not_present },
        { "32-bit code", code32 },
        { "both long and 32-bit", long_and_32 },
        { "code of a lesser privilege", less_privileged },
        { "TSS too short", short_tss },
        { "stack not canonical", bad_stack },
        { "handler not canonical", bad_handler },
        { "stack not validated", unvalidated_stack },
        { "stack is a device", device_stack },
        { "no long mode", legacy_mode },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        setup(NULL);
        rows[i].spoil();
        assert_int_equal(platform_vc(&mock.vcpu, ERROR), 1);
        if (mock.vector != DF_VECTOR || mock.error || mock.vcpu.rip != 0xffffffff80001000ull ||
            mock.vcpu.gpr[VCPU_RSP] != STACK - 0x18)
            fail_msg("%s: vector %d", rows[i].what, mock.vector);
    }
    /* A conforming segment does, and keeps the level. */
    setup(NULL);
    from_user();
    conforming();
    platform_vc(&mock.vcpu, ERROR);
    assert_int_equal(mock.vector, -1);
    assert_int_equal(mock.cpl, 3);
    assert_int_equal(mock.vcpu.gpr[VCPU_RSP], ((STACK - 0x18) & ~0xfull) - 48);
}

/* A page fault on the way is a page fault. */
static void test_page_fault(void **state)
{
    (void)state;
    mock.fail = (struct platform_walk){ .fault = FAULT_PAGE, .gva = STACK - 0x50, .error = 3 };
    assert_int_equal(platform_vc(&mock.vcpu, ERROR), 1);
    assert_int_equal(mock.vector, PF_VECTOR);
    assert_int_equal(mock.error, 3);
    assert_int_equal(mock.payload, STACK - 0x50);
    assert_int_equal(mock.vcpu.rip, 0xffffffff80001000ull);
}

/* A stack whose page the host took away: the host must answer. */
static void test_host_fault(void **state)
{
    (void)state;
    mock.fail =
        (struct platform_walk){ .fault = FAULT_RMP, .gva = STACK - 1, .gpa = 0x5123 | 1ull << 47 };
    assert_int_equal(platform_vc(&mock.vcpu, ERROR), -EFAULT);
    assert_int_equal(mock.run.exit_reason, KVM_EXIT_MEMORY_FAULT);
    assert_int_equal(mock.run.memory_fault.gpa, 0x5000);
    assert_int_equal(mock.run.memory_fault.flags, KVM_MEMORY_EXIT_FLAG_PRIVATE);
    assert_int_equal(mock.vector, -1);
}

/* #VC while another exception was being delivered. */
static void test_exception_overtaken(void **state)
{
    static const struct {
        u8 first;
        int then; /* vector injected, -1: the frame was made */
    } rows[] = {
        { DB_VECTOR, -1 },        { UD_VECTOR, -1 },        { DE_VECTOR, DF_VECTOR },
        { TS_VECTOR, DF_VECTOR }, { NP_VECTOR, DF_VECTOR }, { SS_VECTOR, DF_VECTOR },
        { GP_VECTOR, DF_VECTOR }, { PF_VECTOR, DF_VECTOR },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        setup(NULL);
        mock.vcpu.ex.injected = true;
        mock.vcpu.ex.vector = rows[i].first;
        platform_vc(&mock.vcpu, ERROR);
        assert_int_equal(mock.vector, rows[i].then);
        assert_int_equal(mock.vcpu.rip == HANDLER, rows[i].then == -1);
        assert_false(mock.vcpu.ex.injected);
    }
    setup(NULL);
    mock.vcpu.ex.injected = true;
    mock.vcpu.ex.vector = DF_VECTOR;
    platform_vc(&mock.vcpu, ERROR);
    assert_true(test_bit(BAWN_REQ_TRIPLE_FAULT, &mock.vcpu.requests));
    assert_int_equal(mock.vcpu.rip, 0xffffffff80001000ull);
}

static void test_interrupt_overtaken(void **state)
{
    (void)state;
    mock.vcpu.irq.injected = true;
    mock.vcpu.irq.vector = 0x41;
    platform_vc(&mock.vcpu, ERROR);
    expect_frame(STACK - 0x18, SEL_CODE, 0x18, STACK - 0x18);
    assert_false(mock.vcpu.irq.injected);
    assert_true(mock.platform.irq_held);
    assert_int_equal(mock.platform.irq_vector, 0x41);
    assert_true(test_bit(BAWN_REQ_EVENT, &mock.vcpu.requests));
    setup(NULL);
    mock.nmi_masked = true;
    mock.vcpu.nmi_injected = true;
    platform_vc(&mock.vcpu, ERROR);
    assert_int_equal(mock.vcpu.rip, HANDLER);
    assert_false(mock.vcpu.nmi_injected);
    assert_int_equal(mock.vcpu.nmi_pending, 1);
    assert_false(mock.nmi_masked);
}

/* What becomes of the processor's own failed accesses. */
static void test_walk_failed(void **state)
{
    struct platform_walk w = { .fault = FAULT_PAGE, .gva = 0x1234, .error = 2 };

    (void)state;
    assert_int_equal(platform_walk_failed(&mock.vcpu, &w), 1);
    assert_int_equal(mock.vector, PF_VECTOR);
    setup(NULL);
    w.fault = FAULT_NOT_VALIDATED;
    platform_walk_failed(&mock.vcpu, &w);
    assert_int_equal(get64(mock.vcpu.gpr[VCPU_RSP]), 0x404);
    setup(NULL);
    w = (struct platform_walk){ .fault = FAULT_NO_MEMORY, .gpa = 0xfee00000 };
    platform_walk_failed(&mock.vcpu, &w);
    assert_int_equal(get64(mock.vcpu.gpr[VCPU_RSP]), 0x400);
    setup(NULL);
    w.gpa |= 1ull << 47;
    assert_int_equal(platform_walk_failed(&mock.vcpu, &w), -EFAULT);
    assert_int_equal(mock.run.memory_fault.flags, KVM_MEMORY_EXIT_FLAG_PRIVATE);
    w = (struct platform_walk){ .fault = FAULT_RETRY };
    assert_int_equal(platform_walk_failed(&mock.vcpu, &w), 1);
    assert_int_equal(mock.vector, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_same_stack, setup),
        cmocka_unit_test_setup(test_trap_gate, setup),
        cmocka_unit_test_setup(test_from_user, setup),
        cmocka_unit_test_setup(test_ist, setup),
        cmocka_unit_test_setup(test_ldt, setup),
        cmocka_unit_test_setup(test_double_fault, setup),
        cmocka_unit_test_setup(test_page_fault, setup),
        cmocka_unit_test_setup(test_host_fault, setup),
        cmocka_unit_test_setup(test_exception_overtaken, setup),
        cmocka_unit_test_setup(test_interrupt_overtaken, setup),
        cmocka_unit_test_setup(test_walk_failed, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

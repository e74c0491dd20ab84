/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processor's side of SNP guests: what is #VC and what is the guest's own, PVALIDATE and
 * RMPADJUST, private and shared memory at one address, and a host that changes memory under it.
 */
#define _GNU_SOURCE
#include "snp_guest.h"

#include <fcntl.h>
#include <linux/kvm_para.h>
#include <signal.h>
#include <sys/time.h>

#define PAGE 0x1000ull
#define UNVALIDATED SNP_LAUNCHED /* private memory that is the guest's to validate */
#define NOWHERE 0x10000000ull    /* above memory */
#define PF_VECTOR 14
#define GP_VECTOR 13
#define UD_VECTOR 6
#define VC_VECTOR 29
#define CARRY BIT(32) /* of PVALIDATE, in snp_validate_page's results */

static void expect_exception(const struct snp_guest *g, uint32_t vector, uint64_t error)
{
    EXPECT_EQ(snp_vector(g), vector);
    EXPECT_EQ(snp_mbox(g, SNP_ERROR), error);
}

static void expect_memory_fault(struct snp_guest *g, int r, uint64_t gpa, bool private)
{
    EXPECT_EQ(r, -EFAULT);
    EXPECT_EQ(g->v->run->exit_reason, KVM_EXIT_MEMORY_FAULT);
    EXPECT_EQ(g->v->run->memory_fault.gpa, gpa);
    EXPECT_EQ(g->v->run->memory_fault.size, PAGE);
    EXPECT_EQ(g->v->run->memory_fault.flags, private ? KVM_MEMORY_EXIT_FLAG_PRIVATE : 0);
}

static void test_cpuid(void)
{
    struct snp_guest g;

    EXPECT_EQ(snp_run_piece(snp_cpuid, 0x8000001f, 0, 0, &g), GUEST_DONE);
    expect_exception(&g, VC_VECTOR, 0x72);
    EXPECT_EQ(snp_exceptions(&g), 1);
    EXPECT_EQ(snp_mbox(&g, SNP_RIP), GUEST_ADDR(snp_cpuid) + 13);
    EXPECT_EQ(snp_mbox(&g, SNP_CS), SEL_CODE64);
    EXPECT_EQ(snp_mbox(&g, SNP_RFLAGS) & 0x10200, 0x10000);      /* RF of a fault */
    EXPECT_EQ(snp_mbox(&g, SNP_RSP), GUEST_STACK + 0x2000 - 48); /* IST 1 */
    EXPECT_EQ(snp_mbox(&g, SNP_GHCB) & 0xfff, 0x005);
}

static void test_user(void)
{
    struct snp_guest g;

    EXPECT_EQ(snp_run_piece(snp_user, 0, 0, 0, &g), GUEST_DONE);
    EXPECT_EQ(snp_exceptions(&g), 2); /* #VC, then #UD */
    expect_exception(&g, UD_VECTOR, 0);
    EXPECT_EQ(snp_mbox(&g, SNP_CS), SNP_SEL_USER | 3);
    EXPECT_EQ(snp_result(&g, 1), SNP_SEL_USER | 3); /* it came back to CPL 3 */
}

static void test_user_vmgexit(void)
{
    struct snp_guest g;

    EXPECT_EQ(snp_run_piece(snp_user_vmgexit, 0, 0, 0, &g), GUEST_DONE);
    EXPECT_EQ(snp_mbox(&g, SNP_GHCB) & 0xfff, 0x001);
    EXPECT_EQ(snp_mbox(&g, SNP_GHCB) >> 24 & 0xff, g.cbit);
    expect_exception(&g, UD_VECTOR, 0);
}

static void test_reflected(void)
{
    const struct {
        const char *name;
        uint64_t rip;
        uint64_t arg, error;
    } rows[] = {
        { "VMMCALL", GUEST_ADDR(snp_vmmcall), 0, 0x81 },
        { "WBINVD", GUEST_ADDR(snp_wbinvd), 0, 0x89 },
        { "RDMSR of TSC", GUEST_ADDR(snp_msr), 0x10, 0x7c },
        { "RDMSR of APIC_BASE", GUEST_ADDR(snp_msr), 0x1b, 0x7c },
        { "RDMSR of no MSR", GUEST_ADDR(snp_msr), 0x12345678, 0x7c },
        { "MOV to DR7", GUEST_ADDR(snp_dr), 0, 0x37 },
        { "a device", GUEST_ADDR(snp_load), SNP_SHARED + NOWHERE, 0x400 },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct snp_guest g = snp_prepare(rows[i].rip, rows[i].arg, 0, 0);

        lab_row(rows[i].name);
        EXPECT_EQ(snp_run(&g), GUEST_DONE);
        expect_exception(&g, VC_VECTOR, rows[i].error);
        snp_destroy(&g);
    }
    lab_row(NULL);
}

static void test_own_registers(void)
{
    struct snp_guest g;

    EXPECT_EQ(snp_run_piece(snp_status, 0, 0, 0, &g), GUEST_DONE);
    EXPECT_EQ(snp_result(&g, 0), 7);
    EXPECT_EQ(snp_result(&g, 1), 0);
    expect_exception(&g, GP_VECTOR, 0);
    EXPECT_EQ(snp_run_piece(snp_efer, 0, 0, 0, &g), GUEST_DONE);
    EXPECT_EQ(snp_result(&g, 0), 0x500);
    EXPECT_EQ(snp_result(&g, 1), 0x500);
    EXPECT_EQ(snp_exceptions(&g), 0);
    EXPECT_EQ(snp_run_piece(snp_cr, 0, 0, 0, &g), GUEST_DONE);
    EXPECT_EQ(snp_result(&g, 0) & ~0x40ull, 0xa0); /* emulators show the host's MCE bit */
    EXPECT_EQ(snp_result(&g, 1) & 0x80010001, 0x80010001);
    EXPECT_EQ(snp_run_piece(snp_dr, 0, 0, 0, &g), GUEST_DONE);
    EXPECT_EQ(snp_result(&g, 0), 0x1234);
    EXPECT_EQ(snp_run_piece(snp_ud, 0, 0, 0, &g), GUEST_DONE);
    expect_exception(&g, UD_VECTOR, 0);
}

static void test_validate(void)
{
    struct snp_guest g;

    EXPECT_EQ(snp_run_piece(snp_validate_page, UNVALIDATED, 0, 0, &g), GUEST_DONE);
    EXPECT_EQ(snp_result(&g, 0), 0);
    EXPECT_EQ(snp_result(&g, 1), CARRY); /* it was validated already */
    EXPECT_EQ(snp_result(&g, 2), 0x1234);
    EXPECT_EQ(snp_result(&g, 3), 0);
    EXPECT_EQ(snp_result(&g, 4), CARRY);
    EXPECT_EQ(snp_result(&g, 5), 0);
    expect_exception(&g, VC_VECTOR, 0x404);
}

static void test_pvalidate_refused(void)
{
    const struct {
        const char *name;
        uint64_t rax, rcx, rdx, want;
    } rows[] = {
        { "not a page's address", UNVALIDATED + 1, 0, 1, 1 },
        { "not a large page's address", UNVALIDATED, 1, 1, 1 },
        { "partly launched", 0, 1, 1, 6 },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct snp_guest g =
            snp_prepare(GUEST_ADDR(snp_pvalidate), rows[i].rax, rows[i].rcx, rows[i].rdx);

        lab_row(rows[i].name);
        EXPECT_EQ(snp_run(&g), GUEST_DONE);
        EXPECT_EQ(snp_result(&g, 0), rows[i].want);
        EXPECT_EQ(snp_result(&g, 1), 0);
        EXPECT_EQ(snp_result(&g, 2), 0);
        EXPECT_EQ(snp_exceptions(&g), 0);
        snp_destroy(&g);
    }
    lab_row(NULL);
}

static void test_pvalidate_faults(void)
{
    struct snp_guest g;
    int r;

    EXPECT_EQ(snp_run_piece(snp_pvalidate, 4ull << 30, 0, 1, &g), GUEST_DONE);
    expect_exception(&g, PF_VECTOR, 0); /* no page table entry */
    EXPECT_EQ(snp_run_piece(snp_pvalidate, 1ull << 63, 0, 1, &g), GUEST_DONE);
    expect_exception(&g, GP_VECTOR, 0);
    g = snp_prepare(GUEST_ADDR(snp_pvalidate), GUEST_MBOX, 0, 1);
    r = snp_run(&g);
    expect_memory_fault(&g, r, GUEST_MBOX, true); /* the VMM has it shared */
}

static void test_rmpadjust(void)
{
    const struct {
        const char *name;
        uint64_t rax, rcx, rdx, want;
    } rows[] = {
        { "VMPL 1, no rights", GUEST_STACK, 0, 1, 0 },
        { "VMPL 3, all rights", GUEST_STACK, 0, 3 | 0x1f << 8, 0 },
        { "VMSA", GUEST_STACK, 0, 1 | 1 << 16, 0 },
        { "VMPL 0", GUEST_STACK, 0, 0, 2 },
        { "VMPL 4", GUEST_STACK, 0, 4, 1 },
        { "rights that do not exist", GUEST_STACK, 0, 1 | 0x20 << 8, 1 },
        { "reserved bits", GUEST_STACK, 0, 1 | 1 << 17, 1 },
        { "not aligned", GUEST_STACK + 8, 0, 1, 1 },
        { "large VMSA", 0, 1, 1 | 1 << 16, 1 },
    };
    struct snp_guest g;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        g = snp_prepare(GUEST_ADDR(snp_rmpadjust), rows[i].rax, rows[i].rcx, rows[i].rdx);
        lab_row(rows[i].name);
        EXPECT_EQ(snp_run(&g), GUEST_DONE);
        EXPECT_EQ(snp_result(&g, 0), rows[i].want);
        snp_destroy(&g);
    }
    lab_row(NULL);
    EXPECT_EQ(snp_run_piece(snp_rmpadjust, UNVALIDATED, 0, 1, &g), GUEST_DONE);
    expect_exception(&g, VC_VECTOR, 0x404);
}

static void test_unvalidated(void)
{
    struct snp_guest g;

    EXPECT_EQ(snp_run_piece(snp_store, UNVALIDATED, 1, 0, &g), GUEST_DONE);
    expect_exception(&g, VC_VECTOR, 0x404);
}

/* One address, two memories: the VMM's copy does not change with the guest's. */
static void test_separate(void)
{
    struct snp_guest g = snp_prepare(GUEST_ADDR(snp_store), GUEST_STACK + 0x4000, 0x5ec3e7, 0);
    uint64_t shared;

    EXPECT_EQ(snp_run(&g), GUEST_DONE);
    EXPECT_EQ(snp_result(&g, 0), 0x5ec3e7);
    memcpy(&shared, g.vm->mem + GUEST_STACK + 0x4000, 8);
    EXPECT_EQ(shared, 0);
}

static void test_wrong_kind(void)
{
    struct snp_guest g = snp_prepare(GUEST_ADDR(snp_load), SNP_SHARED + GUEST_STACK, 0, 0);

    expect_memory_fault(&g, snp_run(&g), GUEST_STACK, false);
    g = snp_prepare(GUEST_ADDR(snp_load), GUEST_MBOX, 0, 0);
    expect_memory_fault(&g, snp_run(&g), GUEST_MBOX, true);
    g = snp_prepare(GUEST_ADDR(snp_load), NOWHERE, 0, 0);
    expect_memory_fault(&g, snp_run(&g), NOWHERE, true);
}

/* Memory where the local APIC is: the host executes no instruction of the guest for it. */
static void test_apic_page(void)
{
    const uint64_t page = UNVALIDATED, value = 0x1122334455667788;
    struct snp_guest g = snp_create_apic();

    ASSERT_EQ(snp_attributes(&g, page, PAGE, false), 0);
    memcpy(g.vm->mem + page, &value, sizeof(value));
    ASSERT_EQ(vcpu_set_msr(g.v, 0x1b, page | 0x900), 1); /* IA32_APIC_BASE: enabled, BSP */
    snp_set_state(&g, GUEST_ADDR(snp_load), SNP_SHARED + page, 0, 0);
    snp_launch(&g);
    EXPECT_EQ(snp_run(&g), GUEST_DONE);
    EXPECT_EQ(snp_exceptions(&g), 0);
    EXPECT_EQ(snp_result(&g, 0), value);
}

/* Fetches and walks of page tables are private whatever the address says. */
static void test_forced(void)
{
    struct snp_guest g;

    EXPECT_EQ(snp_run_piece(snp_cr3, GUEST_GDT + SEL_CODE64, 0, 0, &g), GUEST_DONE);
    EXPECT_EQ(snp_result(&g, 0), 0x00af9b000000ffffull);
    EXPECT_EQ(snp_run_piece(snp_run, SNP_SHARED + GUEST_ADDR(snp_ret), 0, 0, &g), GUEST_DONE);
    EXPECT_EQ(snp_result(&g, 0), 1);
}

/* Code at a C=0 address runs on; its data accesses there still are to shared memory. */
static void test_code_at_shared_address(void)
{
    struct snp_guest g = snp_prepare(SNP_SHARED + GUEST_ADDR(snp_cpuid), 0x8000001f, 0, 0);

    EXPECT_EQ(snp_run(&g), GUEST_DONE);
    expect_exception(&g, VC_VECTOR, 0x72);
}

/* The host takes a validated page away: the guest notices. */
static void test_punched(void)
{
    struct snp_guest g = snp_prepare(GUEST_ADDR(snp_load), GUEST_STACK + 0x4000, 0, 0);

    ASSERT_EQ(fallocate(g.gmem, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
                        (off_t)(GUEST_STACK + 0x4000), (off_t)PAGE),
              0);
    EXPECT_EQ(snp_run(&g), GUEST_DONE);
    expect_exception(&g, VC_VECTOR, 0x404);
}

static void bind_slots(struct snp_guest *g, uint64_t gpa, uint64_t offset, unsigned slot,
                       uint64_t size)
{
    struct kvm_userspace_memory_region2 r = {
        .slot = slot,
        .flags = KVM_MEM_GUEST_MEMFD,
        .guest_phys_addr = gpa,
        .memory_size = size,
        .userspace_addr = (uint64_t)(uintptr_t)g->vm->mem + gpa,
        .guest_memfd = (uint32_t)g->gmem,
        .guest_memfd_offset = offset,
    };

    ASSERT_EQ(kvm_call(g->vm->fd, KVM_SET_USER_MEMORY_REGION2, &r), 0);
}

/* The host swaps two validated pages: an access ends at the host, never in the other's memory. */
static void test_swapped(void)
{
    struct snp_guest g = snp_prepare(GUEST_ADDR(snp_load), GUEST_STACK + 0x4000, 0, 0);
    struct kvm_userspace_memory_region2 none = { .slot = SNP_SLOT };
    uint64_t a = GUEST_STACK + 0x4000, b = a + PAGE, end = b + PAGE;
    int r;

    ASSERT_EQ(kvm_call(g.vm->fd, KVM_SET_USER_MEMORY_REGION2, &none), 0);
    bind_slots(&g, 0, 0, 0, a);
    bind_slots(&g, a, b, 1, PAGE);
    bind_slots(&g, b, a, 2, PAGE);
    bind_slots(&g, end, end, 3, GUEST_MEM - end);
    r = snp_run(&g);
    expect_memory_fault(&g, r, a, true);
    EXPECT_EQ(snp_result(&g, 0), 0);
}

/* Given to the VMM and taken back, a page has lost its validation and its content. */
static void test_converted(void)
{
    struct snp_guest g = snp_prepare(GUEST_ADDR(snp_load), GUEST_STACK + 0x4000, 0, 0);
    uint64_t at = GUEST_STACK + 0x4000;

    ASSERT_EQ(snp_attributes(&g, at, PAGE, false), 0);
    expect_memory_fault(&g, snp_run(&g), at, true);
    ASSERT_EQ(fallocate(g.gmem, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, (off_t)at, (off_t)PAGE),
              0);
    ASSERT_EQ(snp_attributes(&g, at, PAGE, true), 0);
    EXPECT_EQ(snp_run(&g), GUEST_DONE);
    expect_exception(&g, VC_VECTOR, 0x404);
}

/* The FPU is launched whole, and the guest finds it as it was set. */
static void test_fpu(void)
{
    struct snp_guest g = snp_create();
    struct kvm_fpu fpu = { .fcw = 0x27f, .fsw = 0x3800, .ftwx = 0x81, .mxcsr = 0x1fc0 };
    const uint8_t *got;

    for (unsigned i = 0; i < 8; i++)
        memset(fpu.fpr[i], (int)(0x11 * (i + 1)), 10);
    for (unsigned i = 0; i < 16; i++)
        memset(fpu.xmm[i], (int)(0x90 + i), 16);
    ASSERT_EQ(kvm_call(g.v->fd, KVM_SET_FPU, &fpu), 0);
    snp_set_state(&g, GUEST_ADDR(snp_fpu), 0, 0, 0);
    snp_launch(&g);
    EXPECT_EQ(snp_run(&g), GUEST_DONE);
    got = g.vm->mem + GUEST_MBOX + SNP_FXSAVE;
    EXPECT_EQ(snp_mbox(&g, SNP_FXSAVE) & 0xffffffffff, 0x27f | 0x3800 << 16 | 0x81ull << 32);
    EXPECT_EQ(snp_mbox(&g, SNP_FXSAVE + 24) & 0xffff, 0x1fc0);
    for (unsigned i = 0; i < 8; i++)
        EXPECT(!memcmp(got + 32 + 16 * i, fpu.fpr[i], 10));
    EXPECT(!memcmp(got + 160, fpu.xmm, sizeof(fpu.xmm)));
    /* Version 2 and 1, and the C-bit: before the guest asks. */
    EXPECT_EQ(snp_mbox(&g, SNP_GHCB), 2ull << 48 | 1ull << 32 | (uint64_t)g.cbit << 24 | 0x001);
}

static void nothing(int signal)
{
    (void)signal;
}

static uint32_t mp_state_after_run(struct snp_guest *g)
{
    struct kvm_mp_state s;

    EXPECT_EQ(vcpu_run(g->v), -EINTR);
    ASSERT_EQ(kvm_call(g->v->fd, KVM_GET_MP_STATE, &s), 0);
    return s.mp_state;
}

/* mode: 5 INIT, 6 SIPI. */
static void send_msi(struct snp_guest *g, uint32_t id, uint32_t mode, uint32_t vector)
{
    struct kvm_msi msi = { .address_lo = 0xfee00000 | id << 12, .data = mode << 8 | vector };

    EXPECT_EQ(kvm_call(g->vm->fd, KVM_SIGNAL_MSI, &msi), 1);
}

/* A timer interrupts KVM_RUN; between, the state is seen. */
static void test_reset_hold(void)
{
    struct itimerval every = { .it_interval.tv_usec = 100000, .it_value.tv_usec = 100000 },
                     off = { 0 };
    struct snp_guest g = snp_create_apic();
    uint32_t state;

    snp_set_state(&g, GUEST_ADDR(snp_reset_hold), 0, 0, 0);
    snp_launch(&g);
    sigaction(SIGALRM, &(struct sigaction){ .sa_handler = nothing }, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
    while ((state = mp_state_after_run(&g)) == KVM_MP_STATE_RUNNABLE)
        ;
    EXPECT_EQ(state, KVM_MP_STATE_AP_RESET_HOLD);
    EXPECT_EQ(snp_result(&g, 0), 1);
    send_msi(&g, 0, 6, 0x10); /* without INIT it is nothing */
    EXPECT_EQ(mp_state_after_run(&g), KVM_MP_STATE_AP_RESET_HOLD);
    send_msi(&g, 0, 5, 0);
    EXPECT_EQ(mp_state_after_run(&g), KVM_MP_STATE_INIT_RECEIVED);
    EXPECT_EQ(kvm_call(g.v->fd, KVM_SET_MP_STATE, &(struct kvm_mp_state){ state }), 0);
    send_msi(&g, 0, 5, 0);
    send_msi(&g, 0, 6, 0x10);
    setitimer(ITIMER_REAL, &off, NULL);
    EXPECT_EQ(snp_run(&g), GUEST_DONE);
    EXPECT_EQ(snp_mbox(&g, SNP_GHCB), 1 << 12 | 0x007);
}

/* Another vCPU than the first starts by INIT and SIPI from what was launched of it. */
static void test_ap_started(void)
{
    struct snp_guest g = snp_create_apic(), ap = g;
    struct kvm_mp_state s;

    ap.v = vcpu_raw(g.vm, 1);
    vcpu_set_cpuid(ap.v);
    snp_set_state(&ap, GUEST_ADDR(snp_status), 0, 0, 0);
    snp_launch(&g);
    for (unsigned i = 0; i < 2; i++) { /* SIPI alone is nothing, then INIT alone */
        send_msi(&g, 1, 6 - i, 0);
        ASSERT_EQ(kvm_call(ap.v->fd, KVM_GET_MP_STATE, &s), 0);
        EXPECT_EQ(s.mp_state, i ? KVM_MP_STATE_INIT_RECEIVED : KVM_MP_STATE_UNINITIALIZED);
    }
    send_msi(&g, 1, 6, 0x10);
    EXPECT_EQ(snp_run(&ap), GUEST_DONE);
    EXPECT_EQ(snp_result(&ap, 0), 7);
}

/* A VMM that did not say that it changes pages is not asked to. */
static void test_psc_not_enabled(void)
{
    struct kvm_enable_cap map = { .cap = KVM_CAP_EXIT_HYPERCALL,
                                  .args = { BIT(KVM_HC_MAP_GPA_RANGE) } };
    struct snp_guest g;

    EXPECT_EQ(snp_run_piece(snp_psc, UNVALIDATED, 0, 0, &g), GUEST_DONE);
    EXPECT_EQ(snp_mbox(&g, SNP_GHCB) & 0xfff, 0x015);
    EXPECT(snp_mbox(&g, SNP_GHCB) >> 32 != 0);
    g = snp_prepare(GUEST_ADDR(snp_psc), UNVALIDATED, 0, 0);
    ASSERT_EQ(kvm_call(g.vm->fd, KVM_ENABLE_CAP, &map), 0);
    EXPECT_EQ(snp_run(&g), KVM_EXIT_HYPERCALL);
    EXPECT_EQ(g.v->run->hypercall.nr, KVM_HC_MAP_GPA_RANGE);
    EXPECT_EQ(g.v->run->hypercall.args[0], UNVALIDATED);
    EXPECT_EQ(snp_run(&g), GUEST_DONE);
    EXPECT_EQ(snp_mbox(&g, SNP_GHCB), 0x015);
}

static const struct lab_test tests[] = {
    { "CPUID is #VC, on its own stack", test_cpuid },
    { "#VC from user mode, and back", test_user },
    { "VMGEXIT from user mode", test_user_vmgexit },
    { "non-automatic exits are #VC", test_reflected },
    { "registers that are the guest's own", test_own_registers },
    { "PVALIDATE, use, rescind", test_validate },
    { "PVALIDATE refused", test_pvalidate_refused },
    { "PVALIDATE faults", test_pvalidate_faults },
    { "RMPADJUST", test_rmpadjust },
    { "unvalidated memory is #VC", test_unvalidated },
    { "private and shared memory at one address", test_separate },
    { "memory of the wrong kind goes to the VMM", test_wrong_kind },
    { "shared memory where the local APIC is", test_apic_page },
    { "forced C=1 on walks and fetches", test_forced },
    { "code at a C=0 address", test_code_at_shared_address },
    { "a page punched out is not validated", test_punched },
    { "pages swapped by the host", test_swapped },
    { "a page converted and back", test_converted },
    { "the FPU is launched too", test_fpu },
    { "AP reset hold", test_reset_hold },
    { "INIT and SIPI start an AP from its launch", test_ap_started },
    { "page state changes are the VMM's to enable", test_psc_not_enabled },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}

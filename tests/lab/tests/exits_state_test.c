/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State across exits: general registers, x87, SSE and AVX, XCR0, the TSC; leaving KVM_RUN by
 * immediate_exit and by a signal.
 */
#include "harness.h"

#include <sched.h>
#include <signal.h>

GUEST_FN(fpu_run);
GUEST_FN(fpu_hold);
GUEST_FN(avx_run);
GUEST_FN(xgetbv);
GUEST_FN(rdtsc);
GUEST_FN(rdtsc_run);
GUEST_FN(regs);

#define MSR_TSC 0x10

static void test_registers(void)
{
    struct vcpu *v = vcpu_new(vm_bare(), 0);
    union {
        struct kvm_regs r;
        uint64_t q[18];
    } before, after;
    static const uint8_t added[16] = { 1, 2, 3, 4, 5, 6, 0, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

    for (unsigned i = 0; i < 16; i++)
        before.q[i] = 0x0101010101010101ull * (i + 1);
    before.r.rsp = GUEST_STACK + 0x1000;
    before.r.rip = GUEST_ADDR(regs);
    before.r.rflags = 2;
    vcpu_set_regs(v, &before.r);
    EXPECT_EQ(guest_resume(v), GUEST_DONE);
    after.r = vcpu_regs(v);
    for (unsigned i = 0; i < 16; i++)
        EXPECT_EQ(after.q[i], before.q[i] + added[i]);
}

/* ---- floating point ---- */

static void clobber_fpu(void)
{
    /* What the test program itself does with these registers must not reach the guest. */
    __asm__ volatile("pcmpeqb %%xmm0, %%xmm0\n\tmovdqa %%xmm0, %%xmm1\n\tmovdqa %%xmm0, %%xmm9\n\t"
                     "fninit\n\tfldpi" ::
                         : "xmm0", "xmm1", "xmm9", "st", "memory");
    __asm__ volatile("fninit");
}

/* An FXSAVE image with its own values in x87, MXCSR and XMM registers. */
static void fill_fxsave(uint8_t *image, uint8_t seed)
{
    memset(image, 0, 512);
    *(uint16_t *)image = 0x027f;                 /* FCW: double precision */
    image[4] = 0xff;                             /* all x87 registers in use */
    *(uint32_t *)(image + 24) = 0x1f80 | 0x2000; /* MXCSR: round down */
    for (unsigned i = 0; i < 8; i++) {
        memset(image + 32 + 16 * i, seed + i, 8);
        *(uint16_t *)(image + 40 + 16 * i) = 0x3fff;
        image[39 + 16 * i] |= 0x80; /* normal numbers have the integer bit */
    }
    for (unsigned i = 0; i < 256; i++)
        image[160 + i] = (uint8_t)(seed + i * 5);
}

/* Both, one step each, while the host uses the registers itself. */
static void take_turns(struct vcpu *v[2], int how[2])
{
    while (how[0] == GUEST_STEP && how[1] == GUEST_STEP)
        for (unsigned i = 0; i < 2; i++) {
            clobber_fpu();
            how[i] = guest_resume(v[i]);
        }
}

static void test_fpu(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v[2] = { vcpu_new(vm, 0), vcpu_new(vm, 1) };
    int how[2];

    for (unsigned i = 0; i < 2; i++) {
        uint8_t *image = vm->mem + GUEST_DATA + i * 0x1000;

        fill_fxsave(image, (uint8_t)(0x20 + 0x55 * i));
        how[i] = guest_call(v[i], fpu_run, GUEST_DATA + i * 0x1000, 8,
                            GUEST_DATA + i * 0x1000 + 0x800, 0);
    }
    take_turns(v, how);
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *image = vm->mem + GUEST_DATA + i * 0x1000;

        EXPECT_EQ(how[i], GUEST_DONE);
        EXPECT_EQ(memcmp(image, image + 0x800, 4), 0);           /* FCW, FSW */
        EXPECT_EQ(memcmp(image + 24, image + 0x800 + 24, 4), 0); /* MXCSR */
        for (unsigned k = 0; k < 8; k++)                         /* x87 */
            EXPECT_EQ(memcmp(image + 32 + 16 * k, image + 0x820 + 16 * k, 10), 0);
        EXPECT_EQ(memcmp(image + 160, image + 0x800 + 160, 256), 0); /* XMM */
    }
}

static void test_fpu_preempted(void)
{
    struct vcpu *v = vcpu_new(vm_bare(), 0);
    volatile uint8_t *stop = v->vm->mem + GUEST_DATA + 0x800;
    uint64_t end = lab_now() + 300000000ull;

    /* Two threads share a CPU, and this one uses the same registers; no exit to userspace. */
    fill_fxsave(v->vm->mem + GUEST_DATA, 0x44);
    guest_prepare(v, GUEST_ADDR(fpu_hold), GUEST_DATA, 0, GUEST_DATA + 0x800, 0);
    vcpu_start(v, NULL);
    while (lab_now() < end) {
        clobber_fpu();
        sched_yield();
    }
    *stop = 1;
    vcpu_join(v);
    EXPECT_EQ(v->result, KVM_EXIT_IO);
    EXPECT_EQ(vcpu_regs(v).rbx, 0);
}

static void test_avx(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v[2] = { vcpu_new(vm, 0), vcpu_new(vm, 1) };
    int how[2];

    if (!(lab_cpuid_find(1, 0)->ecx & BIT(28)))
        lab_skip("no AVX");
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned k = 0; k < 512; k++)
            vm->mem[GUEST_DATA + i * 0x1000 + k] = (uint8_t)(k * 3 + i * 77);
        how[i] = guest_call(v[i], avx_run, GUEST_DATA + i * 0x1000, 8,
                            GUEST_DATA + i * 0x1000 + 0x800, 0);
    }
    take_turns(v, how);
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *data = vm->mem + GUEST_DATA + i * 0x1000;

        EXPECT_EQ(how[i], GUEST_DONE);
        EXPECT_EQ(memcmp(data, data + 0x800, 512), 0);
    }
}

static void test_xsave_ioctl(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    struct kvm_xsave *x = calloc(1, sizeof(*x));
    uint8_t *image = vm->mem + GUEST_DATA;
    struct kvm_fpu fpu;

    ASSERT(x);
    fill_fxsave(image, 0x30);
    EXPECT_EQ(guest_call(v, fpu_run, GUEST_DATA, 4, GUEST_DATA + 0x800, 0), GUEST_STEP);
    ASSERT_EQ(kvm_call(v->fd, KVM_GET_XSAVE, x), 0);
    EXPECT_EQ(memcmp((uint8_t *)x->region + 160, image + 160, 256), 0);
    EXPECT_EQ(*(uint64_t *)((uint8_t *)x->region + 512) & 3, 3); /* XSTATE_BV: x87, SSE */
    memset((uint8_t *)x->region + 160, 0xc3, 256);
    ASSERT_EQ(kvm_call(v->fd, KVM_SET_XSAVE, x), 0);
    ASSERT_EQ(kvm_call(v->fd, KVM_GET_FPU, &fpu), 0);
    EXPECT_EQ(fpu.xmm[15][15], 0xc3);
    EXPECT_EQ(fpu.fcw, 0x27f);
    memset(fpu.xmm[3], 0x3c, 16);
    ASSERT_EQ(kvm_call(v->fd, KVM_SET_FPU, &fpu), 0);
    while (guest_resume(v) == GUEST_STEP)
        ;
    EXPECT_EQ(image[0x800 + 160], 0xc3);
    EXPECT_EQ(image[0x800 + 160 + 3 * 16], 0x3c);
    EXPECT_EQ(image[0x800 + 160 + 15 * 16], 0xc3);
    /* Reserved MXCSR bits, unknown features: refused. */
    ASSERT_EQ(kvm_call(v->fd, KVM_GET_XSAVE, x), 0);
    *(uint64_t *)((uint8_t *)x->region + 512) |= BIT(62);
    EXPECT_EQ(kvm_call(v->fd, KVM_SET_XSAVE, x), -EINVAL);
    ASSERT_EQ(kvm_call(v->fd, KVM_GET_XSAVE, x), 0);
    x->region[6] = 0xffffffff;
    EXPECT_EQ(kvm_call(v->fd, KVM_SET_XSAVE, x), -EINVAL);
    free(x);
}

static void test_xcrs(void)
{
    struct vcpu *v = vcpu_new(vm_bare(), 0);
    struct kvm_xcrs xcrs;

    if (!(lab_cpuid_find(1, 0)->ecx & BIT(26)))
        lab_skip("no XSAVE");
    EXPECT_EQ(guest_call(v, xgetbv, 0, 0, 0, 0), GUEST_DONE);
    EXPECT_EQ(v->regs.rax, 1);
    ASSERT_EQ(kvm_call(v->fd, KVM_GET_XCRS, &xcrs), 0);
    EXPECT_EQ(xcrs.nr_xcrs, 1);
    EXPECT_EQ(xcrs.xcrs[0].xcr, 0);
    EXPECT_EQ(xcrs.xcrs[0].value, 1);
    xcrs.xcrs[0].value = 3;
    ASSERT_EQ(kvm_call(v->fd, KVM_SET_XCRS, &xcrs), 0);
    EXPECT_EQ(guest_call(v, xgetbv, 0, 0, 0, 0), GUEST_DONE);
    EXPECT_EQ(v->regs.rax, 3);
    xcrs.xcrs[0].value = 2;
    EXPECT_EQ(kvm_call(v->fd, KVM_SET_XCRS, &xcrs), -EINVAL);
    xcrs.nr_xcrs = 1000;
    EXPECT_EQ(kvm_call(v->fd, KVM_SET_XCRS, &xcrs), -EINVAL);
}

/* ---- time ---- */

static uint64_t guest_tsc(struct vcpu *v)
{
    EXPECT_EQ(guest_call(v, rdtsc, 0, 0, 0, 0), GUEST_DONE);
    return v->regs.rax;
}

static void test_tsc_monotonic(void)
{
    struct vcpu *v = vcpu_new(vm_bare(), 0);

    EXPECT_EQ(guest_call(v, rdtsc_run, 1000, 0, 0, 0), GUEST_DONE);
    EXPECT_EQ((uint32_t)v->regs.rbx, 0);
}

static void test_tsc_set(void)
{
    struct vcpu *v = vcpu_new(vm_bare(), 0);
    const uint64_t base = 1ull << 50, second = 1ull << 51, slack = 1ull << 40;
    uint64_t value;

    EXPECT_EQ(vcpu_set_msr(v, MSR_TSC, base), 1);
    value = guest_tsc(v);
    EXPECT(value >= base && value < base + slack);
    value = vcpu_get_msr(v, MSR_TSC);
    EXPECT(value >= base && value < base + slack);
    EXPECT_EQ(guest_rdmsr(v, MSR_TSC, &value), GUEST_DONE);
    EXPECT(value >= base && value < base + slack);
    EXPECT_EQ(guest_wrmsr(v, MSR_TSC, second), GUEST_DONE);
    value = guest_tsc(v);
    EXPECT(value >= second && value < second + slack);
}

static void test_tsc_rate(void)
{
    struct vcpu *v = vcpu_new(vm_bare(), 0);
    int khz = kvm_callv(v->fd, KVM_GET_TSC_KHZ, 0);
    uint64_t tsc, ns, ratio;

    ASSERT(khz > 0);
    ns = lab_now();
    tsc = guest_tsc(v);
    usleep(400000 * lab_slower());
    tsc = guest_tsc(v) - tsc;
    ns = lab_now() - ns;
    ratio = tsc * 1000 / (ns * (uint64_t)khz / 1000000);
    EXPECT(ratio > 950 && ratio < 1050);
}

/* ---- leaving KVM_RUN ---- */

static void test_immediate_exit(void)
{
    struct vcpu *v = vcpu_new(vm_bare(), 0);

    guest_prepare(v, GUEST_ADDR(nop), 0, 0, 0, 0);
    v->run->immediate_exit = 1;
    EXPECT_EQ(vcpu_run(v), -EINTR);
    EXPECT_EQ(vcpu_run(v), -EINTR);
    EXPECT_EQ(vcpu_regs(v).rip, GUEST_ADDR(nop));
    v->run->immediate_exit = 0;
    EXPECT_EQ(guest_resume(v), GUEST_DONE);
}

static void test_immediate_exit_completes(void)
{
    struct vcpu *v = vcpu_new(vm_bare(), 0);
    uint32_t value = 0x55667788;

    /* The read is finished, no instruction more: what a snapshot relies on. */
    EXPECT_EQ(guest_call(v, load32, 0xd0000000, 0, 0, 0), KVM_EXIT_MMIO);
    memcpy(v->run->mmio.data, &value, 4);
    v->run->immediate_exit = 1;
    EXPECT_EQ(vcpu_run(v), -EINTR);
    EXPECT_EQ(vcpu_regs(v).rax, value);
    EXPECT_EQ(vcpu_regs(v).rip, GUEST_ADDR(load32) + 2);
    v->run->immediate_exit = 0;
    EXPECT_EQ(guest_resume(v), GUEST_DONE);
}

static void test_signal(void)
{
    struct vcpu *v = vcpu_new(vm_bare(), 0);

    guest_prepare(v, GUEST_ADDR(counter), GUEST_DATA, 0, 0, 0);
    for (unsigned i = 0; i < 5; i++) {
        volatile uint32_t *count = (volatile uint32_t *)(v->vm->mem + GUEST_DATA);
        uint32_t before = *count;

        vcpu_start(v, NULL);
        EXPECT(WAIT_FOR(*count != before));
        v->stop = true;
        pthread_kill(v->thread, SIGUSR1); /* a signal alone */
        vcpu_join(v);
        EXPECT_EQ(v->result, -EINTR);
        EXPECT_EQ(v->run->exit_reason, KVM_EXIT_INTR);
    }
}

static void test_signal_ends_hlt(void)
{
    struct vcpu *v = vcpu_new(vm_split(), 0);

    guest_prepare(v, GUEST_ADDR(hlt), 0, 0, 0, 0);
    vcpu_start(v, NULL);
    usleep(30000);
    vcpu_kick(v);
    EXPECT_EQ(v->result, -EINTR);
}

static const struct lab_test tests[] = {
    { "general registers", test_registers },
    { "x87 and SSE of two vCPUs", test_fpu },
    { "x87 and SSE of a preempted vCPU", test_fpu_preempted },
    { "AVX of two vCPUs", test_avx },
    { "KVM_GET/SET_XSAVE and FPU", test_xsave_ioctl },
    { "KVM_GET/SET_XCRS", test_xcrs },
    { "TSC does not go back", test_tsc_monotonic },
    { "TSC as it was set", test_tsc_set },
    { "TSC's rate", test_tsc_rate },
    { "immediate_exit", test_immediate_exit },
    { "immediate_exit completes a read", test_immediate_exit_completes },
    { "signal: EINTR", test_signal },
    { "signal ends HLT", test_signal_ends_hlt },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launch of an SNP guest, misused: every call in every state that it does not belong to, each
 * field wrong, ranges that are unaligned, overlap, wrap or are huge, memory taken away under it,
 * and all of that from several threads at once. A call that is refused changes nothing: the same
 * launch goes on to a guest that runs. What stays behind, the lab counts when it unloads.
 */
#define _GNU_SOURCE
#include "snp_guest.h"

#include <asm/kvm.h>
#include <fcntl.h>
#include <linux/falloc.h>

#include "bawn/uapi.h"

#define PAGE 0x1000ull
#define DEBUG_POLICY (SNP_POLICY | BIT(19))
#define NOWHERE 0x10000000ull        /* above memory */
#define FREE (GUEST_MEM - 64 * PAGE) /* private, and nobody's yet */
#define BAD_POINTER 0x10ull
#define CPUID_PAGE_MAX 64

/* ---- Guests in each state ---- */

enum state { NONE, INIT, LAUNCHING, RUNNING, STATES };
static const char *const state_names[STATES] = { "none", "init", "launching", "running" };

static void need_snp(void)
{
    if (!(kvm_cap(lab_kvm, KVM_CAP_VM_TYPES) & BIT(KVM_X86_SNP_VM)))
        lab_skip("no SNP guests here");
}

static int finish(struct snp_guest *g)
{
    struct kvm_sev_snp_launch_finish args = { 0 };

    return snp_call(g, KVM_SEV_SNP_LAUNCH_FINISH, &args);
}

static int update_free(struct snp_guest *g)
{
    static uint8_t page[PAGE] __attribute__((aligned(PAGE)));

    return snp_update(g, FREE, page, PAGE, KVM_SEV_SNP_PAGE_TYPE_NORMAL);
}

static int legacy_start(struct snp_guest *g)
{
    struct kvm_sev_launch_start args = { 0 };

    return snp_call(g, KVM_SEV_LAUNCH_START, &args);
}

static struct snp_guest guest_in(enum state state)
{
    struct snp_guest g = { .gmem = -1 };

    if (state == LAUNCHING)
        return snp_create();
    if (state == RUNNING)
        return snp_prepare(GUEST_ADDR(snp_status), 0, 0, 0);
    need_snp();
    g.vm = vm_typed(KVM_X86_SNP_VM);
    if (state == INIT)
        ASSERT_EQ(snp_init2(&g), 0);
    return g;
}

/* ---- Tests ---- */

static const struct {
    const char *name;
    int (*fn)(struct snp_guest *g);
    int want[STATES]; /* mainline's; 0 where it belongs */
} calls[] = {
    { "INIT2", snp_init2, { 0, -EPERM, -EPERM, -EPERM } },
    { "LAUNCH_START", snp_start, { -ENOTTY, 0, -EINVAL, -EINVAL } },
    { "LAUNCH_UPDATE", update_free, { -EINVAL, -EINVAL, 0, -EIO } },
    { "LAUNCH_FINISH", finish, { -ENOTTY, -EINVAL, 0, -EIO } },
    { "legacy LAUNCH_START", legacy_start, { -ENOTTY, -EPERM, -EPERM, -EPERM } },
};

static void test_order(void)
{
    for (enum state state = NONE; state < STATES; state++) {
        struct snp_guest g = guest_in(state);

        lab_row(state_names[state]);
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
            if (calls[i].want[state])
                EXPECT_EQ(calls[i].fn(&g), calls[i].want[state]);
        if (state == LAUNCHING)
            snp_launch(&g); /* nothing of it was done */
        if (state == RUNNING)
            EXPECT_EQ(snp_run(&g), GUEST_DONE);
        vm_destroy(g.vm);
    }
    lab_row(NULL);
}

static void test_call(void)
{
    struct snp_guest g = guest_in(INIT);
    struct kvm_sev_cmd cmd = { .id = KVM_SEV_SNP_LAUNCH_START, .data = BAD_POINTER };
    struct kvm_sev_snp_launch_start padded = { .policy = SNP_POLICY, .pad0 = { 1 }, .pad1 = { 1 } };
    static const struct {
        uint32_t id;
        int none, init;
    } ids[] = { { KVM_SEV_INIT, -EINVAL, -EPERM },
                { KVM_SEV_ES_INIT, -EINVAL, -EPERM },
                { KVM_SEV_GUEST_STATUS, -ENOTTY, -EPERM },
                { KVM_SEV_SEND_CANCEL, -ENOTTY, -EPERM },
                { KVM_SEV_INIT2 + 1, -EINVAL, -EPERM },
                { 99, -EINVAL, -EPERM },
                { KVM_SEV_SNP_LAUNCH_FINISH + 1, -EINVAL, -EINVAL },
                { ~0u, -EINVAL, -EINVAL } };
    struct snp_guest none = guest_in(NONE);

    EXPECT_EQ(kvm_callv(g.vm->fd, KVM_MEMORY_ENCRYPT_OP, 0), 0);
    EXPECT_EQ(kvm_callv(g.vm->fd, KVM_MEMORY_ENCRYPT_OP, BAD_POINTER), -EFAULT);
    EXPECT_EQ(kvm_call(g.vm->fd, KVM_MEMORY_ENCRYPT_OP, &cmd), -EFAULT);
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        EXPECT_EQ(snp_call(&none, ids[i].id, NULL), ids[i].none);
        EXPECT_EQ(snp_call(&g, ids[i].id, NULL), ids[i].init);
    }
    /* Padding is not looked at. */
    cmd = (struct kvm_sev_cmd){ .id = KVM_SEV_SNP_LAUNCH_START,
                                .pad0 = ~0u,
                                .data = (uint64_t)(uintptr_t)&padded };
    EXPECT_EQ(kvm_call(g.vm->fd, KVM_MEMORY_ENCRYPT_OP, &cmd), 0);
}

static void test_init(void)
{
    static const struct kvm_sev_init bad[] = {
        { .flags = 1 },         { .ghcb_version = 3 },        { .ghcb_version = 0xffff },
        { .vmsa_features = 2 }, { .vmsa_features = BIT(63) }, { .vmsa_features = BIT(3) },
    };
    struct kvm_sev_init older = { .ghcb_version = 1, .pad1 = 1 };
    struct snp_guest g = guest_in(NONE);

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct kvm_sev_init init = bad[i];

        EXPECT_EQ(snp_call(&g, KVM_SEV_INIT2, &init), -EINVAL);
    }
    EXPECT_EQ(snp_call(&g, KVM_SEV_INIT2, &older), 0);
    vm_destroy(g.vm);
    g = guest_in(NONE);
    vcpu_raw(g.vm, 0);
    EXPECT_EQ(snp_init2(&g), -EINVAL); /* too late */
}

static void test_start(void)
{
    static const struct kvm_sev_snp_launch_start bad[] = {
        { .policy = SNP_POLICY, .flags = 1 }, { .policy = SNP_POLICY & ~BIT(17) }, /* must be one */
        { .policy = SNP_POLICY | BIT(18) }, /* no migration agent */
        { .policy = SNP_POLICY | BIT(26) },   { .policy = SNP_POLICY | BIT(63) },  { .policy = 0 },
    };
    struct kvm_sev_snp_launch_start newer = { .policy = SNP_POLICY | 0xff00 };
    struct snp_guest g = guest_in(INIT);

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct kvm_sev_snp_launch_start args = bad[i];

        EXPECT_EQ(snp_call(&g, KVM_SEV_SNP_LAUNCH_START, &args), -EINVAL);
    }
    /* A firmware that is newer than any: it is the firmware that refuses, and the state stays. */
    EXPECT_EQ(snp_call(&g, KVM_SEV_SNP_LAUNCH_START, &newer), -EIO);
    EXPECT_EQ(g.fw_error, 7); /* POLICY_FAILURE */
    EXPECT_EQ(snp_start(&g), 0);
}

static void test_update(void)
{
    static uint8_t page[2 * PAGE] __attribute__((aligned(PAGE)));
    const struct {
        const char *name;
        uint64_t gfn, len;
        uint8_t type;
        uint16_t flags;
        int want;
    } bad[] = {
        { "no length", FREE / PAGE, 0, 1, 0, -EINVAL },
        { "a length within a page", FREE / PAGE, 1, 1, 0, -EINVAL },
        { "a length of a page and a half", FREE / PAGE, PAGE + 0x800, 1, 0, -EINVAL },
        { "type 0", FREE / PAGE, PAGE, 0, 0, -EINVAL },
        { "a VMSA", FREE / PAGE, PAGE, 2, 0, -EINVAL },
        { "type 7", FREE / PAGE, PAGE, 7, 0, -EINVAL },
        { "type 255", FREE / PAGE, PAGE, 255, 0, -EINVAL },
        { "flags", FREE / PAGE, PAGE, 1, 1, -EINVAL },
        { "no memory", NOWHERE / PAGE, PAGE, 1, 0, -EINVAL },
        { "the C-bit", (FREE | BIT(47)) / PAGE, PAGE, 1, 0, -EINVAL },
        { "the last gfn", ~0ull, PAGE, 1, 0, -EINVAL },
        { "a gfn that wraps as an address", BIT(52) | FREE / PAGE, PAGE, 1, 0, -EINVAL },
        { "shared memory", GUEST_MBOX / PAGE, PAGE, 1, 0, -EIO },
    };
    struct snp_guest g = snp_create();

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct kvm_sev_snp_launch_update args = {
            .gfn_start = bad[i].gfn,
            .uaddr = (uint64_t)(uintptr_t)page,
            .len = bad[i].len,
            .type = bad[i].type,
            .flags = bad[i].flags,
        };

        lab_row(bad[i].name);
        EXPECT_EQ(snp_call(&g, KVM_SEV_SNP_LAUNCH_UPDATE, &args), bad[i].want);
        EXPECT_EQ(args.gfn_start, bad[i].gfn);
    }
    lab_row(NULL);
    /* Once is enough, whatever it is the second time. */
    EXPECT_EQ(update_free(&g), 0);
    EXPECT_EQ(update_free(&g), -EIO);
    EXPECT_EQ(snp_update(&g, FREE, NULL, PAGE, KVM_SEV_SNP_PAGE_TYPE_ZERO), -EIO);
    snp_launch(&g);
}

/* The rest, which was not done, is told; it can be done when what was wrong is right. */
static void test_progress(void)
{
    struct snp_guest g = snp_create();
    uint8_t *from =
        mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct kvm_sev_snp_launch_update args = {
        .gfn_start = FREE / PAGE,
        .uaddr = (uint64_t)(uintptr_t)from,
        .len = 4 * PAGE,
        .type = KVM_SEV_SNP_PAGE_TYPE_NORMAL,
    };

    ASSERT(from != MAP_FAILED);
    ASSERT(!mprotect(from + 2 * PAGE, PAGE, PROT_NONE));
    EXPECT_EQ(snp_call(&g, KVM_SEV_SNP_LAUNCH_UPDATE, &args), 0);
    EXPECT_EQ(args.gfn_start, FREE / PAGE + 2);
    EXPECT_EQ(args.len, 2 * PAGE);
    EXPECT_EQ(args.uaddr, (uint64_t)(uintptr_t)from + 2 * PAGE);
    EXPECT_EQ(snp_call(&g, KVM_SEV_SNP_LAUNCH_UPDATE, &args), -EIO); /* none of the rest */
    EXPECT_EQ(args.len, 2 * PAGE);
    ASSERT(!mprotect(from + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE));
    EXPECT_EQ(snp_call(&g, KVM_SEV_SNP_LAUNCH_UPDATE, &args), 0);
    EXPECT_EQ(args.len, 0);
    munmap(from, 4 * PAGE);
    snp_launch(&g);
}

/* What goes beyond the slot's end is not done; what the length wraps to is not done either. */
static void test_huge(void)
{
    static const uint64_t lengths[] = { 128 * PAGE, 1ull << 40 };

    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        struct snp_guest g = snp_create();
        struct kvm_sev_snp_launch_update args = {
            .gfn_start = FREE / PAGE,
            .len = ~(PAGE - 1),
            .type = KVM_SEV_SNP_PAGE_TYPE_ZERO,
        };

        EXPECT_EQ(snp_call(&g, KVM_SEV_SNP_LAUNCH_UPDATE, &args), -EINVAL);
        EXPECT_EQ(args.gfn_start, FREE / PAGE);
        args.len = lengths[i];
        EXPECT_EQ(snp_call(&g, KVM_SEV_SNP_LAUNCH_UPDATE, &args), 0);
        EXPECT_EQ(args.gfn_start, GUEST_MEM / PAGE);
        EXPECT_EQ(args.gfn_start - FREE / PAGE, (lengths[i] - args.len) / PAGE);
        EXPECT_EQ(snp_call(&g, KVM_SEV_SNP_LAUNCH_UPDATE, &args), -EINVAL);
        snp_launch(&g);
        vm_destroy(g.vm);
    }
}

/* Refused by the firmware, with what it would have taken; nothing of the page stays with it. */
static void test_cpuid_page(void)
{
    static uint8_t page[PAGE] __attribute__((aligned(PAGE)));
    struct snp_guest g = snp_create();
    struct {
        uint32_t count, reserved;
        uint64_t reserved_8;
        struct {
            uint32_t eax_in, ecx_in;
            uint64_t xcr0_in, xss_in;
            uint32_t eax, ebx, ecx, edx;
            uint64_t reserved;
        } fn[CPUID_PAGE_MAX];
    } *table = (void *)page;

    table->count = CPUID_PAGE_MAX + 1;
    EXPECT_EQ(snp_update(&g, FREE, page, PAGE, KVM_SEV_SNP_PAGE_TYPE_CPUID), -EIO);
    EXPECT(g.fw_error != 0);
    memset(page, 0, PAGE);
    table->count = 1;
    table->fn[0].eax_in = 1;
    table->fn[0].ecx = ~0u; /* more than any processor has */
    EXPECT_EQ(snp_update(&g, FREE, page, PAGE, KVM_SEV_SNP_PAGE_TYPE_CPUID), -EIO);
    EXPECT_EQ(g.fw_error, 0x16); /* INVALID_PARAM */
    EXPECT(table->fn[0].ecx != ~0u);
    EXPECT_EQ(snp_update(&g, FREE, page, PAGE, KVM_SEV_SNP_PAGE_TYPE_CPUID), 0);
    snp_launch(&g);
}

static void test_types(void)
{
    static uint8_t page[PAGE] __attribute__((aligned(PAGE)));
    struct snp_guest g = snp_create();

    EXPECT_EQ(snp_update(&g, FREE, page, PAGE, KVM_SEV_SNP_PAGE_TYPE_UNMEASURED), 0);
    EXPECT_EQ(snp_update(&g, FREE + PAGE, NULL, PAGE, KVM_SEV_SNP_PAGE_TYPE_ZERO), 0);
    EXPECT_EQ(snp_update(&g, FREE + 2 * PAGE, page, PAGE, KVM_SEV_SNP_PAGE_TYPE_SECRETS), 0);
    snp_launch(&g);
}

static void test_finish(void)
{
    struct kvm_sev_snp_launch_finish flags = { .flags = 1 };
    struct kvm_sev_snp_launch_finish id = { .id_block_en = 1,
                                            .id_block_uaddr = BAD_POINTER,
                                            .id_auth_uaddr = BAD_POINTER };
    struct kvm_sev_snp_launch_finish key = { .auth_key_en = 1 };
    struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP };
    static uint8_t zeros[KVM_SEV_SNP_ID_AUTH_SIZE];
    struct snp_guest g = snp_create();

    EXPECT_EQ(snp_call(&g, KVM_SEV_SNP_LAUNCH_FINISH, &flags), -EINVAL);
    EXPECT_EQ(snp_call(&g, KVM_SEV_SNP_LAUNCH_FINISH, &key), -EINVAL);
    EXPECT_EQ(snp_call(&g, KVM_SEV_SNP_LAUNCH_FINISH, &id), -EFAULT);
    id.id_block_uaddr = (uint64_t)(uintptr_t)zeros;
    EXPECT_EQ(snp_call(&g, KVM_SEV_SNP_LAUNCH_FINISH, &id), -EFAULT);
    EXPECT_EQ(kvm_call(g.v->fd, KVM_SET_GUEST_DEBUG, &debug), 0);
    EXPECT_EQ(finish(&g), -EINVAL);
    debug.control = 0;
    EXPECT_EQ(kvm_call(g.v->fd, KVM_SET_GUEST_DEBUG, &debug), 0);
    snp_set_state(&g, GUEST_ADDR(snp_status), 0, 0, 0); /* nothing was measured yet */
    snp_launch(&g);
    EXPECT_EQ(snp_run(&g), GUEST_DONE);
    vm_destroy(g.vm);

    /* An ID block of another guest: all that is left to do is to destroy this one. */
    g = snp_create();
    id.id_block_uaddr = id.id_auth_uaddr = (uint64_t)(uintptr_t)zeros;
    EXPECT_EQ(snp_call(&g, KVM_SEV_SNP_LAUNCH_FINISH, &id), -EIO);
    EXPECT(g.fw_error != 0);
    EXPECT_EQ(finish(&g), -EIO);
    EXPECT_EQ(update_free(&g), -EIO);
    EXPECT_EQ(vcpu_run(g.v), -EINVAL);
}

static void test_run(void)
{
    struct snp_guest g = guest_in(INIT);
    struct vcpu *v = vcpu_raw(g.vm, 0);

    vcpu_set_cpuid(v);
    EXPECT_EQ(vcpu_run(v), -EINVAL);
    vm_destroy(g.vm);
    /* One that waits to be started does not wait in the launch's way. */
    g = snp_create_apic();
    v = vcpu_raw(g.vm, 1);
    vcpu_set_cpuid(v);
    EXPECT_EQ(vcpu_run(g.v), -EINVAL);
    EXPECT_EQ(vcpu_run(v), -EINVAL);
    snp_launch(&g);
}

/* What a plain VM can have and this one cannot, and the other way round. */
static void test_capabilities(void)
{
    struct kvm_enable_cap measure = { .cap = KVM_CAP_BAWN_MEASURE };
    struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs = { { .value = 1 } } };
    struct snp_guest g = guest_in(INIT);
    struct vcpu *v;

    EXPECT_EQ(kvm_cap(g.vm->fd, KVM_CAP_BAWN_MEASURE), 0);
    EXPECT_EQ(kvm_call(g.vm->fd, KVM_ENABLE_CAP, &measure), -EOPNOTSUPP);
    v = vcpu_raw(g.vm, 0);
    EXPECT_EQ(kvm_call(v->fd, KVM_SET_XCRS, &xcrs), 0); /* without leaf 0xd */
    xcrs.xcrs[0].value = 3;
    EXPECT_EQ(kvm_call(v->fd, KVM_SET_XCRS, &xcrs), -EINVAL);
}

/* MSRs and events that are not the guest's own are still the VMM's, as in mainline. */
static void test_open_state(void)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry;
    } msr = { .head.nmsrs = 1 };
    static const struct {
        uint32_t index;
        int done;
    } rows[] = { { 0x10, 1 }, { 0x1b, 1 }, { 0xc0000080, 0 }, { 0xc0000081, 0 }, { 0x277, 0 } };
    struct snp_guest g = guest_in(RUNNING);
    struct kvm_vcpu_events events;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        msr.entry = (struct kvm_msr_entry){ .index = rows[i].index };
        EXPECT_EQ(kvm_call(g.v->fd, KVM_GET_MSRS, &msr), rows[i].done);
        EXPECT_EQ(kvm_call(g.v->fd, KVM_SET_MSRS, &msr), rows[i].done);
    }
    EXPECT_EQ(kvm_call(g.v->fd, KVM_GET_VCPU_EVENTS, &events), 0);
    EXPECT_EQ(kvm_call(g.v->fd, KVM_SET_VCPU_EVENTS, &events), 0);
    events.exception.injected = 1; /* but the VMM raises no exception (WeSee) */
    events.exception.nr = 29;
    EXPECT_EQ(kvm_call(g.v->fd, KVM_SET_VCPU_EVENTS, &events), -EINVAL);
    events.exception.injected = 0;
    events.interrupt.injected = 1; /* nor an interrupt past RFLAGS.IF (Heckler) */
    events.interrupt.nr = 0x80;
    EXPECT_EQ(kvm_call(g.v->fd, KVM_SET_VCPU_EVENTS, &events), -EINVAL);
    events.interrupt.injected = 0;
    events.nmi.injected = 1; /* nor an NMI past its mask */
    EXPECT_EQ(kvm_call(g.v->fd, KVM_SET_VCPU_EVENTS, &events), -EINVAL);
    events.nmi.injected = 0;
    events.nmi.masked = 1; /* which it does not take away either, nor the shadow of an STI */
    events.interrupt.shadow = KVM_X86_SHADOW_INT_STI;
    events.flags = KVM_VCPUEVENT_VALID_SHADOW;
    EXPECT_EQ(kvm_call(g.v->fd, KVM_SET_VCPU_EVENTS, &events), 0);
    events.nmi.masked = 0;
    EXPECT_EQ(kvm_call(g.v->fd, KVM_SET_VCPU_EVENTS, &events), -EINVAL);
    events.nmi.masked = 1;
    events.interrupt.shadow = 0;
    EXPECT_EQ(kvm_call(g.v->fd, KVM_SET_VCPU_EVENTS, &events), -EINVAL);
    EXPECT_EQ(snp_run(&g), GUEST_DONE);
}

/* The guest's registers are what was measured, and then what the guest makes of them. */
static void test_registers(void)
{
    struct snp_guest g = guest_in(RUNNING);
    struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP };
    static uint8_t big[0x1000];

    EXPECT_EQ(kvm_call(g.v->fd, KVM_GET_REGS, big), -EINVAL);
    EXPECT_EQ(kvm_call(g.v->fd, KVM_SET_REGS, big), -EINVAL);
    EXPECT_EQ(kvm_call(g.v->fd, KVM_GET_SREGS, big), -EINVAL);
    EXPECT_EQ(kvm_call(g.v->fd, KVM_SET_SREGS, big), -EINVAL);
    EXPECT_EQ(kvm_call(g.v->fd, KVM_GET_SREGS2, big), -EINVAL);
    EXPECT_EQ(kvm_call(g.v->fd, KVM_SET_SREGS2, big), -EINVAL);
    EXPECT_EQ(kvm_call(g.v->fd, KVM_GET_FPU, big), -EINVAL);
    EXPECT_EQ(kvm_call(g.v->fd, KVM_SET_FPU, big), -EINVAL);
    EXPECT_EQ(kvm_call(g.v->fd, KVM_GET_XSAVE, big), -EINVAL);
    EXPECT_EQ(kvm_call(g.v->fd, KVM_SET_XSAVE, big), -EINVAL);
    EXPECT_EQ(kvm_call(g.v->fd, KVM_GET_XCRS, big), -EINVAL);
    EXPECT_EQ(kvm_call(g.v->fd, KVM_SET_XCRS, big), -EINVAL);
    EXPECT_EQ(kvm_call(g.v->fd, KVM_GET_DEBUGREGS, big), -EINVAL);
    EXPECT_EQ(kvm_call(g.v->fd, KVM_SET_DEBUGREGS, big), -EINVAL);
    EXPECT_EQ(kvm_call(g.v->fd, KVM_SET_GUEST_DEBUG, &debug), -EINVAL);
    EXPECT_EQ(kvm_callv(g.vm->fd, KVM_CREATE_VCPU, 1), -EPERM);
    EXPECT_EQ(snp_run(&g), GUEST_DONE);
}

/* ---- Several at once ---- */

struct crowd {
    struct snp_guest g;
    volatile bool stop;
};

static void *updates(void *arg)
{
    struct crowd *c = arg;
    struct snp_guest g = c->g; /* fw_error is this thread's */

    for (unsigned i = 0; !c->stop; i++)
        snp_update(&g, FREE + (i % 32) * PAGE, NULL, PAGE, KVM_SEV_SNP_PAGE_TYPE_ZERO);
    return NULL;
}

static void *punches(void *arg)
{
    struct crowd *c = arg;

    for (unsigned i = 0; !c->stop; i++)
        fallocate(c->g.gmem, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                  (off_t)(FREE + (i * 7 % 32) * PAGE), PAGE);
    return NULL;
}

static void *attributes(void *arg)
{
    struct crowd *c = arg;
    struct snp_guest g = c->g;

    for (unsigned i = 0; !c->stop; i++)
        snp_attributes(&g, FREE + (i % 32) * PAGE, PAGE, i & 32);
    return NULL;
}

static void *others(void *arg)
{
    struct crowd *c = arg;
    struct snp_guest g = c->g;

    while (!c->stop) {
        snp_init2(&g);
        snp_start(&g);
        vcpu_run(g.v);
    }
    return NULL;
}

static void test_threads(void)
{
    void *(*const fns[])(void *) = { updates, updates, punches, attributes, others };
    pthread_t threads[ARRAY_SIZE(fns)];
    struct crowd c = { .g = snp_create() };

    for (size_t i = 0; i < ARRAY_SIZE(fns); i++)
        ASSERT_EQ(pthread_create(&threads[i], NULL, fns[i], &c), 0);
    usleep(1000 * 1000);
    snp_launch(&c.g); /* in the middle of it */
    usleep(200 * 1000);
    c.stop = true;
    for (size_t i = 0; i < ARRAY_SIZE(fns); i++)
        pthread_join(threads[i], NULL);
}

/* Destroyed in each state, with its file of private memory closed first or last. */
static void test_destroy(void)
{
    for (unsigned i = 0; i < 24; i++) {
        struct snp_guest g = guest_in(i % STATES);

        if (i % STATES == LAUNCHING && i & 4)
            EXPECT_EQ(update_free(&g), 0);
        vm_destroy(g.vm);
    }
}

static const struct lab_test tests[] = {
    { "calls out of order", test_order },
    { "calls that are none", test_call },
    { "INIT2 refused", test_init },
    { "LAUNCH_START refused", test_start },
    { "LAUNCH_UPDATE refused", test_update },
    { "LAUNCH_UPDATE done in part", test_progress },
    { "LAUNCH_UPDATE of more than there is", test_huge },
    { "a CPUID page that firmware corrects", test_cpuid_page },
    { "pages of each type", test_types },
    { "LAUNCH_FINISH refused", test_finish },
    { "KVM_RUN before the launch is done", test_run },
    { "capabilities, and XCR0 without XSAVE", test_capabilities },
    { "registers are closed", test_registers },
    { "MSRs and events that are not the guest's", test_open_state },
    { "threads at once", test_threads },
    { "destroyed in each state", test_destroy },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}

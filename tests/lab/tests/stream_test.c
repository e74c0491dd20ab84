/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random streams of instructions (stream.h) on the device: what registers, memory and exits are
 * like at their end, a line for each seed. differ.sh compares the lines of bawn.ko and stock KVM.
 *
 * Arguments: the number of streams (200), the first seed (1), "full" to tell all that the hashes
 * are of.
 */
#include "stream.h"
#include "answers.h"
#include "harness.h"

GUEST_FN(stream_vectors);

#define SEL_USER_CODE 0x43
#define SEL_USER_DATA 0x4b
#define SEL_USER_CODE32 0x53
#define MAX_EXITS 5000
#define SHARE 20         /* streams that a test has, for its deadline's sake */
#define XSAVE_LEGACY 416 /* x87, MXCSR and XMM0 to XMM15 */

static unsigned first_seed = 1, nr_seeds = 200;
static bool in_full;

static const uint32_t kept_msrs[] = { 0x174,      0x175,      0x176,      0x277,
                                      0x2ff,      0x200,      0x250,      0xc0000080,
                                      0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084,
                                      0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103 };

struct stream {
    struct vcpu *v;
    struct stream_rng rng; /* what the devices of the stream answer */
    uint64_t exits;        /* hash of all exits */
    unsigned seed, nr_exits, nr_parts;
    uint64_t msrs[ARRAY_SIZE(kept_msrs)];
};

/* FNV-1a. */
static uint64_t hash(uint64_t h, const void *data, size_t n)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3;
    return h;
}
#define HASH(data, n) hash(0xcbf29ce484222325, data, n)

/* The same processor on both devices, whatever each of them offers. */
static void set_cpuid(struct vcpu *v)
{
    static struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 e[9];
    } id = { .head.nent = 9,
             .e = {
                 { .function = 0,
                   .eax = 0xd,
                   .ebx = 0x68747541,
                   .ecx = 0x444d4163,
                   .edx = 0x69746e65 },
                 { .function = 1, .eax = 0xa10f11, .ecx = 0x00e82203, .edx = 0x0783fbff },
                 { .function = 7, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX },
                 { .function = 0xd,
                   .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
                   .eax = 3,
                   .ebx = 576,
                   .ecx = 576 },
                 { .function = 0xd, .index = 1, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX },
                 { .function = 0x80000000,
                   .eax = 0x80000008,
                   .ebx = 0x68747541,
                   .ecx = 0x444d4163,
                   .edx = 0x69746e65 },
                 { .function = 0x80000001, .eax = 0xa10f11, .ecx = 0x1, .edx = 0x2c100800 },
                 { .function = 0x80000007 },
                 { .function = 0x80000008, .eax = 0x3030 },
             } };

    ASSERT_EQ(kvm_call(v->fd, KVM_SET_CPUID2, &id), 0);
}

/* ---- Before a stream ---- */

static void fill(struct stream_rng *r, uint8_t *at, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        uint64_t q = stream_random(r);

        memcpy(at + i, &q, 8);
    }
}

static void load_memory(struct vm *vm, struct stream_rng *r)
{
    static const uint64_t user[] = { 0x00affb000000ffff, 0x00cff3000000ffff, 0x00cffb000000ffff };
    const uint64_t rsp0 = STREAM_STACK0;
    uint64_t *idt = (uint64_t *)(vm->mem + GUEST_IDT);
    uint64_t *pdpt = (uint64_t *)(vm->mem + GUEST_PDPT);

    memset(vm->mem + STREAM_LOG, 0, STREAM_STACK0 - STREAM_LOG);
    fill(r, vm->mem + STREAM_DATA, STREAM_LOG - STREAM_DATA);
    memcpy(vm->mem + GUEST_GDT + (SEL_USER_CODE & ~7), user, sizeof(user));
    memcpy(vm->mem + GUEST_TSS + 4, &rsp0, 8);
    for (unsigned i = 0; i < 256; i++) {
        uint64_t handler = GUEST_ADDR(stream_vectors) + i * 16;
        /* INT3, INTO and the stream's end are for CPL 3 too. */
        uint64_t dpl = i == 3 || i == 4 || i == STREAM_END ? 0x6000 : 0;

        idt[2 * i] = (handler & 0xffff) | SEL_CODE64 << 16 | (0x8e00ull | dpl) << 32 |
                     (handler >> 16 & 0xffff) << 48;
        idt[2 * i + 1] = 0;
    }
    *(uint64_t *)(vm->mem + GUEST_PML4) = GUEST_PDPT | 7;
    for (uint64_t i = 0; i < 512; i++)
        pdpt[i] = i << 30 | 0x87;
}

static void load_registers(struct vcpu *v, struct stream_rng *r, bool user, bool code64)
{
    union {
        struct kvm_regs r;
        uint64_t q[18];
    } u;
    struct kvm_sregs s;
    struct kvm_xsave x = { .region = { 0x37f, [6] = 0x1f80, [128] = 3 } };
    struct kvm_debugregs d = { .dr6 = 0xffff0ff0, .dr7 = 0x400 };
    struct kvm_vcpu_events e = { .flags =
                                     KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW };
    struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs[0].value = 1 };

    vcpu_long_mode(v);
    s = vcpu_sregs(v);
    s.gdt.limit = 0x57;
    s.cr8 = 0;
    if (!code64) { /* compatibility mode: the handlers are 64-bit code all the same */
        s.cs.selector = SEL_CODE32;
        s.cs.l = 0;
        s.cs.db = 1;
    }
    if (user) {
        s.cs.selector = code64 ? SEL_USER_CODE : SEL_USER_CODE32;
        s.ss.selector = SEL_USER_DATA;
        s.cs.dpl = s.ss.dpl = 3;
        s.ds = s.es = s.ss;
    }
    ASSERT_EQ(vcpu_set_sregs(v, &s), 0);
    for (unsigned i = 0; i < 18; i++)
        u.q[i] = stream_random(r) & (code64 || i > 7 ? ~0ull : 0xffffffff);
    u.r.rsp = STREAM_STACK_TOP;
    u.r.rip = STREAM_CODE;
    u.r.rflags = 0x2 | (u.r.rflags & 0x8d5) | (user ? stream_below(r, 2) * 0x3000 : 0);
    for (unsigned i = 0; i < 64; i++)
        x.region[40 + i] = (uint32_t)stream_random(r);
    ASSERT_EQ(kvm_call(v->fd, KVM_SET_VCPU_EVENTS, &e), 0);
    vcpu_set_regs(v, &u.r);
    ASSERT_EQ(kvm_call(v->fd, KVM_SET_XSAVE, &x), 0);
    ASSERT_EQ(kvm_call(v->fd, KVM_SET_DEBUGREGS, &d), 0);
    ASSERT_EQ(kvm_call(v->fd, KVM_SET_XCRS, &xcrs), 0);
}

/* ---- Exits ---- */

/* The name of a part of a stream that is told in full. */
static const char *part(const struct stream *s, const char *what, unsigned n)
{
    static char name[64];

    snprintf(name, sizeof(name), "seed %u %s %x", s->seed, what, n);
    return name;
}

static void note(struct stream *s, const char *what, uint64_t where, const void *data, unsigned n)
{
    uint64_t value = 0;

    memcpy(&value, data, n);
    s->exits = hash(s->exits, what, 1);
    s->exits = hash(s->exits, &where, 8);
    s->exits = hash(s->exits, &value, 8);
    if (!in_full)
        return;
    answer(part(s, "exit", s->nr_parts++), "%s %llx %u %llx", what, (unsigned long long)where, n,
           (unsigned long long)value);
}

/* What the device reads and writes: element by element, however many an exit has. */
static void on_io(struct stream *s)
{
    struct kvm_run *run = s->v->run;
    uint8_t *data = (uint8_t *)run + run->io.data_offset;

    for (unsigned i = 0; i < run->io.count; i++, data += run->io.size) {
        uint64_t value = stream_random(&s->rng);

        if (run->io.direction == KVM_EXIT_IO_IN)
            memcpy(data, &value, run->io.size);
        note(s, run->io.direction == KVM_EXIT_IO_IN ? "in" : "out", run->io.port, data,
             run->io.size);
    }
}

static void on_mmio(struct stream *s)
{
    struct kvm_run *run = s->v->run;
    uint64_t value = stream_random(&s->rng);

    if (!run->mmio.is_write)
        memcpy(run->mmio.data, &value, run->mmio.len);
    note(s, run->mmio.is_write ? "write" : "load", run->mmio.phys_addr, run->mmio.data,
         run->mmio.len);
}

/* Until its end, or what is none of its exits; how it ended. */
static int run_stream(struct stream *s)
{
    int reason;

    for (s->nr_exits = 0; s->nr_exits < MAX_EXITS; s->nr_exits++) {
        reason = vcpu_run(s->v);
        if (reason == -EINTR) /* bawn.ko: work for this thread waits */
            continue;
        if (reason == KVM_EXIT_IO && s->v->run->io.port == PORT_DONE)
            return 0;
        if (reason == KVM_EXIT_IO)
            on_io(s);
        else if (reason == KVM_EXIT_MMIO)
            on_mmio(s);
        else
            return reason;
    }
    return -1;
}

/* ---- After a stream ---- */

static uint64_t sregs_hash(struct kvm_sregs *s)
{
    struct kvm_segment *seg[] = { &s->cs, &s->ds, &s->es, &s->fs, &s->gs, &s->ss };

    memset(s->interrupt_bitmap, 0, sizeof(s->interrupt_bitmap));
    for (unsigned i = 0; i < ARRAY_SIZE(seg); i++)
        if (seg[i]->unusable) /* nothing but its number and base counts */
            *seg[i] = (struct kvm_segment){ .selector = seg[i]->selector,
                                            .base = seg[i]->base,
                                            .unusable = 1 };
    return HASH(s, sizeof(*s));
}

static void tell_in_full(struct stream *s, const struct kvm_regs *regs,
                         const struct kvm_sregs *sregs, const struct kvm_debugregs *d)
{
    const uint64_t *q = (const uint64_t *)regs;
    const uint64_t *log = (const uint64_t *)(s->v->vm->mem + STREAM_LOG);
    uint32_t count = *(const uint32_t *)(s->v->vm->mem + STREAM_COUNT);

    for (unsigned i = 0; i < 18; i++)
        answer(part(s, "register", i), "%llx", (unsigned long long)q[i]);
    q = (const uint64_t *)sregs;
    for (unsigned i = 0; i < sizeof(*sregs) / 8; i++)
        answer(part(s, "sregs at", i * 8), "%llx", (unsigned long long)q[i]);
    answer(part(s, "debug", 0), "%llx %llx %llx %llx %llx %llx", d->db[0], d->db[1], d->db[2],
           d->db[3], d->dr6, d->dr7);
    for (unsigned i = 0; i < count && i < STREAM_LOG_MAX; i++, log += 8)
        answer(part(s, "log", i), "vector %llx error %llx rip %llx flags %llx rsp %llx cr2 %llx",
               (unsigned long long)log[0], (unsigned long long)log[1], (unsigned long long)log[2],
               (unsigned long long)log[4], (unsigned long long)log[5], (unsigned long long)log[7]);
    for (unsigned i = 0; i < ARRAY_SIZE(kept_msrs); i++)
        answer(part(s, "msr", kept_msrs[i]), "%llx",
               (unsigned long long)vcpu_get_msr(s->v, kept_msrs[i]));
    for (unsigned i = 0; i < STREAM_MAX; i++) {
        const uint64_t *code = (const uint64_t *)(s->v->vm->mem + STREAM_CODE + i * STREAM_SLOT);

        answer(part(s, "code", STREAM_CODE + i * STREAM_SLOT), "%016llx %016llx",
               (unsigned long long)__builtin_bswap64(code[0]),
               (unsigned long long)__builtin_bswap64(code[1]));
    }
    for (unsigned i = 0; i < STREAM_STACK0 - STREAM_STACK; i += 8) {
        const uint64_t *at = (const uint64_t *)(s->v->vm->mem + STREAM_STACK + i);

        if (*at)
            answer(part(s, "stack at", STREAM_STACK + i), "%llx", (unsigned long long)*at);
    }
}

static void tell(struct stream *s, int end)
{
    struct kvm_regs regs = vcpu_regs(s->v);
    struct kvm_sregs sregs = vcpu_sregs(s->v);
    struct kvm_debugregs d;
    struct kvm_xsave x;
    uint64_t msrs[ARRAY_SIZE(kept_msrs)], log;
    const uint8_t *mem = s->v->vm->mem;
    char name[32];

    ASSERT_EQ(kvm_call(s->v->fd, KVM_GET_DEBUGREGS, &d), 0);
    ASSERT_EQ(kvm_call(s->v->fd, KVM_GET_XSAVE, &x), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(kept_msrs); i++)
        msrs[i] = vcpu_get_msr(s->v, kept_msrs[i]);
    snprintf(name, sizeof(name), "seed %u", s->seed);
    log = HASH(mem + STREAM_LOG, STREAM_LOG_MAX * 64);
    if (end) { /* what a shutdown leaves of the processor is not defined */
        answer(name, "end %d exits %016llx log %u %016llx", end, (unsigned long long)s->exits,
               *(const uint32_t *)(mem + STREAM_COUNT), (unsigned long long)log);
        return;
    }
    answer(name,
           "end %d exits %016llx log %u %016llx regs %016llx sregs %016llx debug %016llx "
           "fpu %016llx msrs %016llx memory %016llx stack %016llx",
           end, (unsigned long long)s->exits, *(const uint32_t *)(mem + STREAM_COUNT),
           (unsigned long long)log, (unsigned long long)HASH(&regs, sizeof(regs)),
           (unsigned long long)sregs_hash(&sregs), (unsigned long long)HASH(&d, sizeof(d)),
           (unsigned long long)HASH(&x, XSAVE_LEGACY), (unsigned long long)HASH(msrs, sizeof(msrs)),
           (unsigned long long)HASH(mem + STREAM_DATA, STREAM_LOG - STREAM_DATA),
           (unsigned long long)HASH(mem + STREAM_STACK, STREAM_STACK0 - STREAM_STACK));
    if (in_full)
        tell_in_full(s, &regs, &sregs, &d);
}

/* ---- The test ---- */

static struct vcpu *stream_vcpu(void)
{
    struct vcpu *v = vcpu_raw(vm_split(), 0);

    set_cpuid(v);
    vcpu_long_mode(v);
    EXPECT_EQ(guest_wrmsr(v, 0x1b, 0xfee00d00), GUEST_DONE); /* x2APIC */
    EXPECT_EQ(guest_wrmsr(v, 0x80f, 0x1ff), GUEST_DONE);
    return v;
}

/* One test's share of the streams: each starts with a new vCPU, later ones have its past too. */
static void test_streams(void)
{
    static unsigned done;
    static char name[32];
    struct stream s = { .v = stream_vcpu() };

    for (unsigned k = 0; k < ARRAY_SIZE(kept_msrs); k++)
        s.msrs[k] = vcpu_get_msr(s.v, kept_msrs[k]);
    for (unsigned i = 0; i < SHARE && done < nr_seeds; i++, done++) {
        unsigned seed = first_seed + done;
        struct stream_rng rng = { seed };
        int end;

        for (unsigned k = 0; k < ARRAY_SIZE(kept_msrs); k++)
            if (kept_msrs[k] != 0xc0000080) /* EFER: with the other control registers */
                vcpu_set_msr(s.v, kept_msrs[k], s.msrs[k]);
        load_memory(s.v->vm, &rng);
        load_registers(s.v, &rng, seed % 4 == 3, seed % 3);
        stream_generate(&rng, s.v->vm->mem + STREAM_CODE, 40 + stream_below(&rng, STREAM_MAX - 40),
                        seed % 3);
        s.rng = rng;
        s.exits = 0;
        s.seed = seed;
        snprintf(name, sizeof(name), "seed %u", seed);
        lab_row(name);
        s.nr_parts = 0;
        end = run_stream(&s);
        tell(&s, end);
        if (end) { /* a vCPU that was shut down has an APIC that is switched off */
            vm_destroy(s.v->vm);
            s.v = stream_vcpu();
        }
    }
    lab_row(NULL);
}

int main(int argc, char **argv)
{
    struct lab_test *tests;
    unsigned nr_tests;

    argc = answers_open(argc, argv);
    if (argc > 2)
        nr_seeds = (unsigned)strtoul(argv[2], NULL, 0);
    if (argc > 3)
        first_seed = (unsigned)strtoul(argv[3], NULL, 0);
    in_full = argc > 4 && !strcmp(argv[4], "full");
    nr_tests = (nr_seeds + SHARE - 1) / SHARE;
    tests = calloc(nr_tests, sizeof(*tests));
    if (!tests)
        return 2;
    for (unsigned i = 0; i < nr_tests; i++)
        tests[i] = (struct lab_test){ "streams", test_streams };
    return lab_main(2, argv, tests, nr_tests);
}

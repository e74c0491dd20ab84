/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measured launch (include/bawn/measure.h), on Bawn alone: the event log and the digest are
 * computed again here and compared; what changes them; what the seal forbids.
 */
#include "memory.h"

#define OPENSSL_API_COMPAT 0x10100000L /* the plain functions, which pull in nothing more */
#include <openssl/sha.h>

#include "bawn/measure.h"
#include "bawn/uapi.h"

#define MAX_EVENTS 64
#define DIGEST BAWN_MEASURE_DIGEST_SIZE
#define HIGH_SIZE (8 * PAGE)

struct log {
    unsigned nr;
    struct bawn_measure_event event[MAX_EVENTS];
};

static void need_bawn(void)
{
    if (!lab_is_bawn)
        lab_skip("no measured launch here");
}

static void set_measured(struct vm *vm)
{
    struct kvm_enable_cap cap = { .cap = KVM_CAP_BAWN_MEASURE };

    ASSERT_EQ(kvm_call(vm->fd, KVM_ENABLE_CAP, &cap), 0);
}

/* A measured VM with memory at 0 and a slot at HIGH whose pages 2 and 5 are not zero. */
static struct vm *measured_vm(void)
{
    struct vm *vm;
    uint8_t *high = memory_new(HIGH_SIZE);

    need_bawn();
    vm = vm_split();
    set_measured(vm);
    high[2 * PAGE + 7] = 1;
    high[5 * PAGE] = 2;
    vm_slot(vm, 1, 0, HIGH, HIGH_SIZE, high);
    return vm;
}

static int declare(struct vm *vm, uint64_t gpa, uint64_t size, uint32_t type)
{
    struct bawn_measure_region r = { .gpa = gpa, .size = size, .type = type };

    return kvm_call(vm->fd, BAWN_MEASURE_REGION, &r);
}

static int seal(struct vm *vm)
{
    return kvm_callv(vm->fd, BAWN_MEASURE_SEAL, 0);
}

static void read_digest(struct vm *vm, uint8_t digest[DIGEST])
{
    struct bawn_measurement m = { 0 };

    ASSERT_EQ(kvm_call(vm->fd, BAWN_GET_MEASUREMENT, &m), 0);
    EXPECT_EQ(m.version, BAWN_MEASURE_VERSION);
    EXPECT_EQ(m.flags & BAWN_MEASUREMENT_SEALED, BAWN_MEASUREMENT_SEALED);
    memcpy(digest, m.digest, DIGEST);
}

/* ---- the computation, done again ---- */

static void sha384(const void *data, size_t len, uint8_t digest[DIGEST])
{
    SHA512_CTX ctx;

    SHA384_Init(&ctx);
    SHA384_Update(&ctx, data, len);
    SHA384_Final(digest, &ctx);
}

static void add_event(struct log *log, uint32_t type, uint32_t index, uint64_t gpa, uint64_t size,
                      const void *content, size_t len)
{
    struct bawn_measure_event *e = &log->event[log->nr++];

    ASSERT(log->nr <= MAX_EVENTS);
    *e = (struct bawn_measure_event){ .type = type, .index = index, .gpa = gpa, .size = size };
    sha384(content, len, e->digest);
}

static void add_config(struct log *log, uint32_t vcpus)
{
    struct bawn_measure_config c = { .version = BAWN_MEASURE_VERSION,
                                     .vcpus = vcpus,
                                     .irqchip = 1 };

    add_event(log, BAWN_MEASURE_CONFIG, 0, 0, 0, &c, sizeof(c));
}

static void add_slot(struct log *log, uint64_t gpa, uint64_t size)
{
    const uint32_t flags = 0;

    add_event(log, BAWN_MEASURE_SLOT, 0, gpa, size, &flags, sizeof(flags));
}

static bool is_zero(const uint8_t *page)
{
    for (size_t i = 0; i < PAGE; i++)
        if (page[i])
            return false;
    return true;
}

/* [from, to) of memory that stands at gpa base. */
static void add_undeclared(struct log *log, uint64_t base, const uint8_t *mem, uint64_t from,
                           uint64_t to)
{
    uint64_t start = from;

    for (uint64_t at = from; at <= to; at += PAGE) {
        if (at < to && !is_zero(mem + at))
            continue;
        if (at > start)
            add_event(log, BAWN_MEASURE_UNDECLARED, 0, base + start, at - start, mem + start,
                      at - start);
        start = at + PAGE;
    }
}

static struct bawn_measure_segment segment(const struct kvm_segment *s)
{
    if (s->unusable)
        return (struct bawn_measure_segment){ .attributes = 1 << 12 };
    return (struct bawn_measure_segment){
        .base = s->base,
        .limit = s->limit,
        .selector = s->selector,
        .attributes = (uint16_t)(s->type | s->s << 4 | s->dpl << 5 | s->present << 7 | s->avl << 8 |
                                 s->l << 9 | s->db << 10 | s->g << 11),
    };
}

static void add_vcpu(struct log *log, struct vcpu *v)
{
    struct bawn_measure_vcpu m = { .id = v->id };
    struct kvm_mp_state mp = { 0 };

    ASSERT_EQ(kvm_call(v->fd, KVM_GET_MP_STATE, &mp), 0);
    m.mp_state = mp.mp_state;
    if (mp.mp_state != KVM_MP_STATE_UNINITIALIZED) {
        struct kvm_regs r = vcpu_regs(v);
        struct kvm_sregs s = vcpu_sregs(v);
        const struct kvm_segment *seg[] = {
            &s.cs, &s.ds, &s.es, &s.fs, &s.gs, &s.ss, &s.tr, &s.ldt
        };

        memcpy(m.gpr, &r, sizeof(m.gpr));
        m.rip = r.rip;
        m.rflags = r.rflags;
        m.cr0 = s.cr0;
        m.cr3 = s.cr3;
        m.cr4 = s.cr4;
        m.efer = s.efer;
        m.apic_base = s.apic_base;
        for (unsigned i = 0; i < 8; i++)
            m.seg[i] = segment(seg[i]);
        m.gdt_base = s.gdt.base;
        m.gdt_limit = s.gdt.limit;
        m.idt_base = s.idt.base;
        m.idt_limit = s.idt.limit;
    }
    add_event(log, BAWN_MEASURE_VCPU, v->id, 0, 0, &m, sizeof(m));
}

static void chain(const struct log *log, uint8_t digest[DIGEST])
{
    uint8_t link[DIGEST + sizeof(struct bawn_measure_event)];

    sha384(BAWN_MEASURE_MAGIC, 16, digest);
    for (unsigned i = 0; i < log->nr; i++) {
        memcpy(link, digest, DIGEST);
        memcpy(link + DIGEST, &log->event[i], sizeof(log->event[i]));
        sha384(link, sizeof(link), digest);
    }
}

static void test_recomputed(void)
{
    struct vm *vm = measured_vm();
    struct vcpu *v = vcpu_new(vm, 0), *ap = vcpu_raw(vm, 1);
    struct kvm_userspace_memory_region r = { 0 };
    uint8_t *high = memory_new(HIGH_SIZE), digest[DIGEST], want[DIGEST];
    struct log log = { 0 };
    struct bawn_measure_event got[MAX_EVENTS + 1];
    struct bawn_measurement m = { .log_addr = (uint64_t)got, .log_size = sizeof(got) };

    /* The slot at HIGH again, so that its memory is at hand here. */
    r.slot = 1;
    ASSERT_EQ(kvm_call(vm->fd, KVM_SET_USER_MEMORY_REGION, &r), 0);
    high[2 * PAGE + 7] = 1;
    high[3 * PAGE] = 9;
    high[6 * PAGE] = 2;
    vm_slot(vm, 1, 0, HIGH, HIGH_SIZE, high);
    EXPECT_EQ(declare(vm, GUEST_DATA, 2 * PAGE, BAWN_MEASURE_INITRD), 0);
    EXPECT_EQ(declare(vm, GUEST_CODE, PAGE, BAWN_MEASURE_KERNEL), 0);
    EXPECT_EQ(declare(vm, HIGH + 3 * PAGE, PAGE, BAWN_MEASURE_ACPI), 0);
    guest_prepare(v, GUEST_ADDR(nop), 1, 2, 3, 4);

    add_config(&log, 2);
    add_slot(&log, 0, GUEST_MEM);
    add_slot(&log, HIGH, HIGH_SIZE);
    add_undeclared(&log, 0, vm->mem, 0, GUEST_CODE);
    add_event(&log, BAWN_MEASURE_KERNEL, 0, GUEST_CODE, PAGE, vm->mem + GUEST_CODE, PAGE);
    add_undeclared(&log, 0, vm->mem, GUEST_CODE + PAGE, GUEST_DATA);
    add_event(&log, BAWN_MEASURE_INITRD, 0, GUEST_DATA, 2 * PAGE, vm->mem + GUEST_DATA, 2 * PAGE);
    add_undeclared(&log, 0, vm->mem, GUEST_DATA + 2 * PAGE, GUEST_MEM);
    add_undeclared(&log, HIGH, high, 0, 3 * PAGE);
    add_event(&log, BAWN_MEASURE_ACPI, 0, HIGH + 3 * PAGE, PAGE, high + 3 * PAGE, PAGE);
    add_undeclared(&log, HIGH, high, 4 * PAGE, HIGH_SIZE);
    add_vcpu(&log, v);
    add_vcpu(&log, ap);
    chain(&log, want);

    ASSERT_EQ(seal(vm), 0);
    ASSERT_EQ(kvm_call(vm->fd, BAWN_GET_MEASUREMENT, &m), 0);
    EXPECT_EQ(m.log_size, log.nr * sizeof(got[0]));
    for (unsigned i = 0; i < log.nr && i < m.log_size / sizeof(got[0]); i++) {
        EXPECT_EQ(got[i].type, log.event[i].type);
        EXPECT_EQ(got[i].gpa, log.event[i].gpa);
        EXPECT_EQ(got[i].size, log.event[i].size);
        EXPECT_EQ(memcmp(&got[i], &log.event[i], sizeof(got[i])), 0);
    }
    EXPECT_EQ(memcmp(m.digest, want, DIGEST), 0);

    /* Without a log, and with a part of it. */
    read_digest(vm, digest);
    EXPECT_EQ(memcmp(digest, want, DIGEST), 0);
    memset(got, 0xee, sizeof(got));
    m.log_size = sizeof(got[0]);
    m.log_addr = (uint64_t)got;
    ASSERT_EQ(kvm_call(vm->fd, BAWN_GET_MEASUREMENT, &m), 0);
    EXPECT_EQ(m.log_size, log.nr * sizeof(got[0]));
    EXPECT_EQ(memcmp(&got[0], &log.event[0], sizeof(got[0])), 0);
    EXPECT_EQ(((uint8_t *)&got[1])[0], 0xee);
    m.log_size = sizeof(got[0]);
    m.log_addr = 0x1000;
    EXPECT_EQ(kvm_call(vm->fd, BAWN_GET_MEASUREMENT, &m), -EFAULT);
    EXPECT_EQ(kvm_call(vm->fd, BAWN_GET_MEASUREMENT, NULL), -EFAULT);
}

/* ---- order and arguments ---- */

static void test_order(void)
{
    struct bawn_measurement m = { 0 };
    struct kvm_enable_cap cap = { .cap = KVM_CAP_BAWN_MEASURE };
    struct vm *vm, *plain;

    need_bawn();
    EXPECT_EQ(kvm_cap(lab_kvm, KVM_CAP_BAWN_MEASURE), BAWN_MEASURE_VERSION);
    plain = vm_split();
    EXPECT_EQ(declare(plain, 0, PAGE, BAWN_MEASURE_KERNEL), -ENOTTY);
    EXPECT_EQ(seal(plain), -ENOTTY);
    EXPECT_EQ(kvm_call(plain->fd, BAWN_GET_MEASUREMENT, &m), -ENOTTY);
    vcpu_new(plain, 0);
    EXPECT_EQ(kvm_call(plain->fd, KVM_ENABLE_CAP, &cap), -EEXIST); /* too late */
    EXPECT_EQ(guest_call(plain->vcpu[0], nop, 0, 0, 0, 0), GUEST_DONE);

    vm = measured_vm();
    vcpu_new(vm, 0);
    EXPECT_EQ(kvm_call(vm->fd, BAWN_GET_MEASUREMENT, &m), -EAGAIN);
    EXPECT_EQ(seal(vm), 0);
    EXPECT_EQ(seal(vm), -EPERM);
    EXPECT_EQ(declare(vm, 0, PAGE, BAWN_MEASURE_KERNEL), -EPERM);
    EXPECT_EQ(kvm_call(vm->fd, BAWN_GET_MEASUREMENT, &m), 0);
}

static void test_regions_refused(void)
{
    static const struct {
        const char *name;
        struct bawn_measure_region r;
        int want;
    } rows[] = {
        { "gpa not aligned", { 0x10800, PAGE, BAWN_MEASURE_KERNEL, 0, { 0 } }, -EINVAL },
        { "size not aligned", { 0x10000, 100, BAWN_MEASURE_KERNEL, 0, { 0 } }, -EINVAL },
        { "nothing", { 0x10000, 0, BAWN_MEASURE_KERNEL, 0, { 0 } }, -EINVAL },
        { "around the end", { ~0xfffull, 2 * PAGE, BAWN_MEASURE_KERNEL, 0, { 0 } }, -EINVAL },
        { "type 0", { 0x10000, PAGE, 0, 0, { 0 } }, -EINVAL },
        { "type of a configuration", { 0x10000, PAGE, BAWN_MEASURE_CONFIG, 0, { 0 } }, -EINVAL },
        { "type of a vCPU", { 0x10000, PAGE, BAWN_MEASURE_VCPU, 0, { 0 } }, -EINVAL },
        { "undeclared", { 0x10000, PAGE, BAWN_MEASURE_UNDECLARED, 0, { 0 } }, -EINVAL },
        { "type after the last",
          { 0x10000, PAGE, BAWN_MEASURE_LAST_DECLARED + 1, 0, { 0 } },
          -EINVAL },
        { "flags", { 0x10000, PAGE, BAWN_MEASURE_KERNEL, 1, { 0 } }, -EINVAL },
        { "reserved", { 0x10000, PAGE, BAWN_MEASURE_KERNEL, 0, { 0, 1 } }, -EINVAL },
        { "good", { 0x10000, 4 * PAGE, BAWN_MEASURE_KERNEL, 0, { 0 } }, 0 },
        { "the same again", { 0x10000, 4 * PAGE, BAWN_MEASURE_KERNEL, 0, { 0 } }, -EINVAL },
        { "overlap at the start", { 0xf000, 2 * PAGE, BAWN_MEASURE_DATA, 0, { 0 } }, -EINVAL },
        { "overlap at the end", { 0x13000, 2 * PAGE, BAWN_MEASURE_DATA, 0, { 0 } }, -EINVAL },
        { "overlap around", { 0, 64 * PAGE, BAWN_MEASURE_DATA, 0, { 0 } }, -EINVAL },
        { "neighbour", { 0x14000, PAGE, BAWN_MEASURE_DATA, 0, { 0 } }, 0 },
    };
    struct vm *vm = measured_vm();

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        lab_row(rows[i].name);
        EXPECT_EQ(kvm_call(vm->fd, BAWN_MEASURE_REGION, &rows[i].r), rows[i].want);
    }
    lab_row(NULL);
    EXPECT_EQ(kvm_call(vm->fd, BAWN_MEASURE_REGION, NULL), -EFAULT);
    for (unsigned i = 2; i < BAWN_MEASURE_MAX_REGIONS; i++)
        EXPECT_EQ(declare(vm, 0x100000 + i * PAGE, PAGE, BAWN_MEASURE_DATA), 0);
    EXPECT_EQ(declare(vm, 0x180000, PAGE, BAWN_MEASURE_DATA), -ENOSPC);
}

static void test_region_without_memory(void)
{
    struct vm *vm = measured_vm();

    /* Found out at the seal; the VM does not start before it is put right. */
    vcpu_new(vm, 0);
    EXPECT_EQ(declare(vm, 2 * HIGH, PAGE, BAWN_MEASURE_KERNEL), 0);
    EXPECT_EQ(seal(vm), -EINVAL);
    EXPECT_EQ(vcpu_run(vm->vcpu[0]), -EINVAL);
    vm_slot(vm, 2, 0, 2 * HIGH, PAGE, memory_new(PAGE));
    EXPECT_EQ(guest_call(vm->vcpu[0], nop, 0, 0, 0, 0), GUEST_DONE);
}

/* ---- what changes the digest ---- */

enum change {
    NOTHING,
    KERNEL_BYTE,
    INITRD_BYTE,
    UNDECLARED_BYTE,
    HIGH_BYTE,
    LAST_BYTE,
    REGISTER,
    CONTROL_REGISTER,
    SEGMENT,
    MORE_VCPUS,
    REGION_TYPE,
    REGION_SIZE,
    SLOT_FLAGS,
    SLOT_PLACE,
    MORE_SLOTS,
    NR_CHANGES,
};

static const char *const change_name[NR_CHANGES] = {
    "nothing",
    "a byte of the kernel",
    "a byte of the initrd",
    "a byte of undeclared memory",
    "a byte of the other slot",
    "the last byte of memory",
    "a register",
    "a control register",
    "a segment",
    "another vCPU",
    "a region's type",
    "a region's size",
    "a slot's flags",
    "a slot's place",
    "another slot",
};

static void digest_of(enum change c, uint8_t digest[DIGEST])
{
    uint8_t *high = memory_new(HIGH_SIZE);
    struct vm *vm = vm_split();
    struct kvm_sregs s;
    struct vcpu *v;

    set_measured(vm);
    memory_fill(vm->mem + GUEST_DATA, 4 * PAGE, 0x5a5a5a5a);
    memory_fill(high, HIGH_SIZE, 0xa5a5a5a5);
    vm->mem[GUEST_DATA + 100] ^= c == KERNEL_BYTE;
    vm->mem[GUEST_DATA + 4 * PAGE - 1] ^= c == INITRD_BYTE;
    vm->mem[0x100000] ^= c == UNDECLARED_BYTE;
    high[5 * PAGE + 1234] ^= c == HIGH_BYTE;
    vm->mem[GUEST_MEM - 1] ^= c == LAST_BYTE;
    vm_slot(vm, 1, c == SLOT_FLAGS ? KVM_MEM_READONLY : 0, c == SLOT_PLACE ? HIGH + PAGE : HIGH,
            HIGH_SIZE, high);
    if (c == MORE_SLOTS)
        vm_slot(vm, 2, 0, 2 * HIGH, PAGE, memory_new(PAGE));
    ASSERT_EQ(declare(vm, GUEST_DATA, 2 * PAGE,
                      c == REGION_TYPE ? BAWN_MEASURE_DATA : BAWN_MEASURE_KERNEL),
              0);
    ASSERT_EQ(
        declare(vm, GUEST_DATA + 2 * PAGE, c == REGION_SIZE ? PAGE : 2 * PAGE, BAWN_MEASURE_INITRD),
        0);
    v = vcpu_new(vm, 0);
    if (c == MORE_VCPUS)
        vcpu_raw(vm, 1);
    guest_prepare(v, GUEST_ADDR(nop), c == REGISTER, 0, 0, 0);
    s = vcpu_sregs(v);
    s.cr4 |= c == CONTROL_REGISTER ? 0x80 : 0;
    s.ds.selector = c == SEGMENT ? 0 : SEL_DATA;
    ASSERT_EQ(vcpu_set_sregs(v, &s), 0);
    ASSERT_EQ(seal(vm), 0);
    read_digest(vm, digest);
    vm_destroy(vm);
}

static void test_changes(void)
{
    uint8_t digest[NR_CHANGES][DIGEST], again[DIGEST];

    need_bawn();
    for (unsigned c = 0; c < NR_CHANGES; c++)
        digest_of((enum change)c, digest[c]);
    digest_of(NOTHING, again);
    EXPECT_EQ(memcmp(again, digest[NOTHING], DIGEST), 0); /* other host addresses, same digest */
    for (unsigned c = 1; c < NR_CHANGES; c++) {
        lab_row(change_name[c]);
        for (unsigned d = 0; d < c; d++)
            EXPECT(memcmp(digest[c], digest[d], DIGEST) != 0);
    }
}

/* ---- the seal ---- */

static void test_sealed_by_run(void)
{
    struct vm *vm = measured_vm();
    struct vcpu *v = vcpu_new(vm, 0);
    struct bawn_measurement m = { 0 };
    uint8_t before[DIGEST], after[DIGEST];

    EXPECT_EQ(kvm_call(vm->fd, BAWN_GET_MEASUREMENT, &m), -EAGAIN);
    EXPECT_EQ(guest_call(v, store32, GUEST_DATA, 0x1234, 0, 0), GUEST_DONE);
    read_digest(vm, before);
    EXPECT_EQ(guest_call(v, store32, GUEST_DATA, 0x4321, 0, 0), GUEST_DONE); /* it has run */
    read_digest(vm, after);
    EXPECT_EQ(memcmp(before, after, DIGEST), 0);
    EXPECT_EQ(seal(vm), -EPERM);
    EXPECT_EQ(declare(vm, 0, PAGE, BAWN_MEASURE_KERNEL), -EPERM);
}

static void test_slots_after_seal(void)
{
    struct vm *vm = measured_vm();
    uint8_t *mem = memory_new(HIGH_SIZE);
    const uint64_t hva = (uint64_t)mem;
    const struct {
        const char *name;
        struct kvm_userspace_memory_region r;
    } rows[] = {
        { "deleted", { 1, 0, 0, 0, 0 } },
        { "replaced", { 1, 0, HIGH, HIGH_SIZE, hva } },
        { "moved", { 1, 0, 2 * HIGH, HIGH_SIZE, hva } },
        { "other size", { 1, 0, HIGH, PAGE, hva } },
        { "added", { 2, 0, 2 * HIGH, PAGE, hva } },
    };

    vcpu_new(vm, 0);
    EXPECT_EQ(guest_call(vm->vcpu[0], nop, 0, 0, 0, 0), GUEST_DONE);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        lab_row(rows[i].name);
        EXPECT_EQ(kvm_call(vm->fd, KVM_SET_USER_MEMORY_REGION, &rows[i].r), -EPERM);
    }
    lab_row(NULL);
    EXPECT_EQ(kvm_callv(vm->fd, KVM_CREATE_VCPU, 1), -EPERM);
    EXPECT_EQ(guest_load32(vm->vcpu[0], HIGH + 5 * PAGE), 2);
}

static void test_state_after_seal(void)
{
    static uint8_t buffer[8192];
    static const struct {
        const char *name;
        unsigned long get, set;
    } rows[] = {
        { "regs", KVM_GET_REGS, KVM_SET_REGS },
        { "sregs", KVM_GET_SREGS, KVM_SET_SREGS },
        { "sregs2", KVM_GET_SREGS2, KVM_SET_SREGS2 },
        { "fpu", KVM_GET_FPU, KVM_SET_FPU },
        { "xsave", KVM_GET_XSAVE, KVM_SET_XSAVE },
        { "xcrs", KVM_GET_XCRS, KVM_SET_XCRS },
        { "debug registers", KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS },
        { "events", KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS },
        { "mp_state", KVM_GET_MP_STATE, KVM_SET_MP_STATE },
        { "lapic", KVM_GET_LAPIC, KVM_SET_LAPIC },
    };
    struct vm *vm = measured_vm();
    struct vcpu *v = vcpu_new(vm, 0), *ap = vcpu_new(vm, 1);

    EXPECT_EQ(guest_call(v, nop, 0, 0, 0, 0), GUEST_DONE);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        lab_row(rows[i].name);
        ASSERT_EQ(kvm_call(ap->fd, rows[i].get, buffer), 0);
        EXPECT_EQ(kvm_call(ap->fd, rows[i].set, buffer), -EPERM);
        ASSERT_EQ(kvm_call(v->fd, rows[i].get, buffer), 0);
        EXPECT_EQ(kvm_call(v->fd, rows[i].set, buffer), 0); /* the one that has run */
    }
    lab_row("msrs");
    EXPECT_EQ(vcpu_set_msr(ap, 0x174, 8), -EPERM);
    lab_row(NULL);
    EXPECT_EQ(guest_call(v, nop, 0, 0, 0, 0), GUEST_DONE);
}

static const struct lab_test tests[] = {
    { "log and digest as computed here", test_recomputed },
    { "order of calls", test_order },
    { "regions refused", test_regions_refused },
    { "region without memory", test_region_without_memory },
    { "what changes the digest", test_changes },
    { "sealed by the first run", test_sealed_by_run },
    { "slots and vCPUs after the seal", test_slots_after_seal },
    { "vCPU state after the seal", test_state_after_seal },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MMIO exits: what a guest's access to memory that no slot backs looks like to userspace, over
 * the instruction forms that drivers use. Rows marked OPTIONAL are forms that a bounded decoder
 * may refuse: then with KVM_EXIT_INTERNAL_ERROR, and nothing worse.
 */
#include "harness.h"

#define MMIO 0xd0000008ull
#define RAM 0x30000ull
#define VALUE 0x8877665544332211ull /* what guests store, and what the device answers */
#define NEGATIVE 0xf1f2f3f4f5f6f788ull
#define OPTIONAL 1
#define DOWN 2 /* direction flag */

struct access {
    bool write;
    uint8_t len;
    uint64_t data;
    int64_t offset;
};

struct mmio_row {
    const char *name;
    const uint8_t *code;
    unsigned flags;
    uint64_t rsi, rcx, read;
    struct access access[4]; /* until len is 0 */
    bool check_rax;
    uint64_t rax;
};

#define CODE(name)      \
    ({                  \
        GUEST_FN(name); \
        code_##name;    \
    })

#define ST(form, len_, data_)                                                                   \
    (struct mmio_row)                                                                           \
    {                                                                                           \
        .name = #form, .code = CODE(form), .rsi = VALUE, .access = { { true, len_, data_, 0 } } \
    }
#define LD(form, len_, read_, rax_)                                         \
    (struct mmio_row)                                                       \
    {                                                                       \
        .name = #form, .code = CODE(form), .rsi = VALUE, .read = read_,     \
        .access = { { false, len_, 0, 0 } }, .check_rax = true, .rax = rax_ \
    }
/* Read, then write. */
#define RMW(form, len_, data_)                                                              \
    (struct mmio_row)                                                                       \
    {                                                                                       \
        .name = #form, .code = CODE(form), .rsi = 0x10ff, .read = VALUE, .flags = OPTIONAL, \
        .access = {                                                                         \
            { false, len_, 0, 0 },                                                          \
            { true, len_, data_, 0 }                                                        \
        }                                                                                   \
    }

static uint64_t low_bytes(uint64_t value, unsigned len)
{
    return len >= 8 ? value : value & ((1ull << 8 * len) - 1);
}

/* Serves the row's accesses; answers how the guest then stopped. */
static int serve(struct vcpu *v, const struct mmio_row *row, uint64_t device)
{
    int how = guest_resume(v);
    unsigned n = 0;

    for (; how == KVM_EXIT_MMIO; how = guest_resume(v)) {
        const struct access *want = &row->access[n++];
        uint64_t data = 0;

        if (n > ARRAY_SIZE(row->access) || !want->len) {
            lab_fail(__FILE__, __LINE__, "one access too many, at 0x%llx",
                     (unsigned long long)v->run->mmio.phys_addr);
            return how;
        }
        EXPECT_EQ(v->run->mmio.phys_addr, device + want->offset);
        EXPECT_EQ(v->run->mmio.is_write, want->write);
        ASSERT_EQ(v->run->mmio.len, want->len);
        if (want->write) {
            memcpy(&data, v->run->mmio.data, want->len);
            EXPECT_EQ(data, low_bytes(want->data, want->len));
        } else {
            data = row->read + (uint64_t)want->offset;
            memcpy(v->run->mmio.data, &data, want->len);
        }
    }
    if (how != KVM_EXIT_INTERNAL_ERROR || !(row->flags & OPTIONAL))
        EXPECT(n == ARRAY_SIZE(row->access) || !row->access[n].len);
    return how;
}

static void run_row(struct vm *vm, const struct mmio_row *row)
{
    /* After a refusal userspace has nothing to go on with: each row has its own vCPU state. */
    struct vcpu *v = vm->vcpu[0];
    int how;

    lab_row(row->name);
    v->rflags = 2 | (row->flags & DOWN ? 0x400 : 0);
    guest_prepare(v, GUEST_CODE + (uint64_t)(row->code - __start_guest), MMIO, row->rsi, GUEST_MBOX,
                  row->rcx);
    how = serve(v, row, MMIO);
    if (how == KVM_EXIT_INTERNAL_ERROR && row->flags & OPTIONAL) {
        EXPECT_EQ(v->run->internal.suberror, KVM_INTERNAL_ERROR_EMULATION);
        printf("# %s is refused\n", row->name);
        return;
    }
    EXPECT_EQ(how, GUEST_DONE);
    if (row->check_rax)
        EXPECT_EQ(v->regs.rax, row->rax);
}

static void run_rows(const struct mmio_row *rows, size_t nr)
{
    struct vm *vm = vm_bare();

    vcpu_new(vm, 0);
    for (size_t i = 0; i < nr; i++)
        run_row(vm, &rows[i]);
}

static void test_stores(void)
{
    const struct mmio_row rows[] = {
        ST(st8, 1, VALUE),
        ST(st16, 2, VALUE),
        ST(st32, 4, VALUE),
        ST(st64, 8, VALUE),
        ST(st8_high, 1, VALUE >> 8),
        ST(st64_r15, 8, VALUE),
        ST(st32_disp8, 4, VALUE),
        ST(st32_disp32, 4, VALUE),
        ST(st32_sib_nobase, 4, VALUE),
        ST(st32_r13_base, 4, VALUE),
        { .name = "st32_sib",
          .code = CODE(st32_sib),
          .rsi = VALUE,
          .access = { { true, 4, VALUE, 4 } } },
        ST(st8_imm, 1, 0x5a),
        ST(st16_imm, 2, 0x5aa5),
        ST(st32_imm, 4, 0x87654321),
        ST(st64_imm, 8, ~1ull),
        ST(st8_moffs, 1, VALUE),
        ST(st32_moffs, 4, VALUE),
        ST(st64_moffs, 8, VALUE),
        ST(st32_addr32, 4, VALUE),
        ST(st32_gs, 4, VALUE),
    };

    run_rows(rows, ARRAY_SIZE(rows));
}

static void test_loads(void)
{
    const struct mmio_row rows[] = {
        LD(ld8, 1, VALUE, 0xffffffffffffff11),
        LD(ld8_high, 1, VALUE, 0xffffffffffff11ff),
        LD(ld16, 2, VALUE, 0xffffffffffff2211),
        LD(ld32, 4, VALUE, 0x44332211),
        LD(ld64, 8, VALUE, VALUE),
        LD(ld32_r15, 4, NEGATIVE, 0xf5f6f788),
        LD(ld8_moffs, 1, VALUE, 0xffffffffffffff11),
        LD(ld32_moffs, 4, VALUE, 0x44332211),
        LD(ld64_moffs, 8, VALUE, VALUE),
        LD(movzbl, 1, NEGATIVE, 0x88),
        LD(movzbw, 1, NEGATIVE, 0xffffffffffff0088),
        LD(movzwl, 2, NEGATIVE, 0xf788),
        LD(movzwq, 2, NEGATIVE, 0xf788),
        LD(movsbl, 1, NEGATIVE, 0xffffff88),
        LD(movswl, 2, NEGATIVE, 0xfffff788),
        LD(movsbq, 1, NEGATIVE, 0xffffffffffffff88),
        LD(movswq, 2, NEGATIVE, 0xfffffffffffff788),
        LD(movslq, 4, NEGATIVE, 0xfffffffff5f6f788),
        LD(movslq, 4, VALUE, 0x44332211),
    };

    run_rows(rows, ARRAY_SIZE(rows));
}

static void test_rmw(void)
{
    struct mmio_row rows[] = {
        RMW(or32, 4, 0x443332ff),
        RMW(and8_imm, 1, 0x01),
        RMW(xor32, 4, 0x443332ee),
        RMW(add32_imm, 4, 0x44332216),
        RMW(sub16, 2, 0x2211 - 0x10ff),
        RMW(inc32, 4, 0x44332212),
        RMW(not32, 4, ~0x44332211u),
        RMW(xchg32, 4, 0x10ff),
        RMW(lock_or32, 4, 0x44332211),
        RMW(cmpxchg32, 4, 0x10ff),
        LD(or_from, 4, VALUE, 0x44332211 | 0x10ff),
        LD(test_imm, 4, VALUE, 0),
        LD(test_imm, 4, NEGATIVE, 1),
        LD(cmp_imm, 4, VALUE, 1),
        LD(bt_imm, 4, VALUE, 1),
        ST(movnti32, 4, VALUE),
        LD(lodsl, 4, VALUE, 0x44332211),
        LD(push_mem, 8, VALUE, VALUE),
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        rows[i].flags |= OPTIONAL;
        if (!rows[i].access[0].write)
            rows[i].rsi = 0x10ff;
    }
    run_rows(rows, ARRAY_SIZE(rows));
}

static void test_rmw_result(void)
{
    struct mmio_row xchg = RMW(xchg32, 4, 0x10ff);

    xchg.check_rax = true;
    xchg.rax = 0x44332211;
    run_rows(&xchg, 1);
}

static void test_strings(void)
{
    const struct mmio_row rows[] = {
        ST(stosb, 1, VALUE),
        ST(stosl, 4, VALUE),
        ST(stosq, 8, VALUE),
        { .name = "rep_stosl",
          .code = CODE(rep_stosl),
          .rsi = VALUE,
          .rcx = 3,
          .access = { { true, 4, VALUE, 0 }, { true, 4, VALUE, 4 }, { true, 4, VALUE, 8 } } },
        { .name = "rep_stosl down",
          .code = CODE(rep_stosl),
          .rsi = VALUE,
          .rcx = 2,
          .flags = DOWN,
          .access = { { true, 4, VALUE, 0 }, { true, 4, VALUE, -4 } } },
        { .name = "rep_stosl, nothing", .code = CODE(rep_stosl), .rsi = VALUE, .rcx = 0 },
        { .name = "movsl to",
          .code = CODE(movs_to),
          .rsi = RAM,
          .access = { { true, 4, 0x13121110, 0 } } },
        { .name = "movsq to",
          .code = CODE(movsq_to),
          .rsi = RAM,
          .access = { { true, 8, 0x1716151413121110, 0 } } },
        { .name = "rep movsl to",
          .code = CODE(rep_movs_to),
          .rsi = RAM,
          .rcx = 3,
          .access = { { true, 4, 0x13121110, 0 },
                      { true, 4, 0x17161514, 4 },
                      { true, 4, 0x1b1a1918, 8 } } },
        { .name = "rep movsl to, down",
          .code = CODE(rep_movs_to),
          .rsi = RAM + 4,
          .rcx = 2,
          .flags = DOWN,
          .access = { { true, 4, 0x17161514, 0 }, { true, 4, 0x13121110, -4 } } },
        { .name = "movsb from",
          .code = CODE(movsb_from),
          .rsi = RAM + 0x100,
          .read = VALUE,
          .access = { { false, 1, 0, 0 } } },
        { .name = "movsl from",
          .code = CODE(movs_from),
          .rsi = RAM + 0x110,
          .read = VALUE,
          .access = { { false, 4, 0, 0 } } },
        { .name = "rep movsl from",
          .code = CODE(rep_movs_from),
          .rsi = RAM + 0x120,
          .rcx = 3,
          .read = VALUE,
          .access = { { false, 4, 0, 0 }, { false, 4, 0, 4 }, { false, 4, 0, 8 } } },
    };
    const uint32_t copied[] = { 0x44332211, 0x44332215, 0x44332219 };
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);

    for (unsigned i = 0; i < 64; i++)
        vm->mem[RAM + i] = (uint8_t)(0x10 + i);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        run_row(vm, &rows[i]);
        if (rows[i].rcx)
            EXPECT_EQ(v->regs.rcx, 0);
    }
    lab_row(NULL);
    EXPECT_EQ(vm->mem[RAM + 0x100], 0x11);
    EXPECT_EQ(vm->mem[RAM + 0x101], 0);
    EXPECT_EQ(*(uint64_t *)(vm->mem + RAM + 0x110), 0x44332211);
    EXPECT_EQ(memcmp(vm->mem + RAM + 0x120, copied, sizeof(copied)), 0);
}

/* Wider than a register, or not a data access at all. */
static void test_refusable(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    const uint64_t rips[] = {
        GUEST_CODE + (uint64_t)(CODE(movdqu_st) - __start_guest),
        GUEST_CODE + (uint64_t)(CODE(movdqu_ld) - __start_guest),
        GUEST_CODE + (uint64_t)(CODE(call_mem) - __start_guest), MMIO, /* a fetch */
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rips); i++) {
        int how;

        guest_prepare(v, rips[i], MMIO, VALUE, 0, 0);
        how = guest_resume(v);
        for (unsigned n = 0; how == KVM_EXIT_MMIO && n < 4; n++) {
            memset(v->run->mmio.data, 0x80, 8); /* as an address: not canonical */
            how = guest_resume(v);
        }
        if (how != GUEST_DONE && how != GUEST_FAULT && how != KVM_EXIT_SHUTDOWN)
            EXPECT_EQ(how, KVM_EXIT_INTERNAL_ERROR);
    }
    EXPECT_EQ(guest_call(v, nop, 0, 0, 0, 0), GUEST_DONE);
}

static void test_prot_mode(void)
{
    const struct mmio_row rows[] = {
        ST(prot_st32, 4, VALUE),
        LD(prot_ld16, 2, NEGATIVE, 0xf788),
    };
    struct vcpu *v = vcpu_raw(vm_bare(), 0);

    vcpu_set_cpuid(v);
    vcpu_prot_mode(v);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        run_row(v->vm, &rows[i]);
}

static void test_real_mode(void)
{
    struct mmio_row rows[] = {
        ST(real_st16, 2, VALUE),
        ST(real_st32, 4, VALUE),
        LD(real_ld8, 1, NEGATIVE, 0x88),
    };
    struct vcpu *v = vcpu_raw(vm_bare(), 0);
    struct kvm_sregs s;

    vcpu_set_cpuid(v);
    vcpu_real_mode(v);
    s = vcpu_sregs(v);
    s.ds.base = MMIO - 8; /* as after a visit to protected mode */
    ASSERT_EQ(vcpu_set_sregs(v, &s), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        int how;

        lab_row(rows[i].name);
        guest_prepare(v, (uint64_t)(rows[i].code - __start_guest), 8, VALUE, 0, 0);
        how = serve(v, &rows[i], MMIO);
        EXPECT(how == GUEST_DONE || how == KVM_EXIT_INTERNAL_ERROR);
        if (how == GUEST_DONE && rows[i].check_rax)
            EXPECT_EQ(v->regs.rax, rows[i].rax);
    }
}

static void test_virtual_address(void)
{
    const struct mmio_row rows[] = { ST(st32, 4, VALUE), LD(ld32, 4, VALUE, 0x44332211) };
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);

    /* 5 GiB.. is mapped to 3 GiB..: userspace sees guest physical addresses. */
    ((uint64_t *)(vm->mem + GUEST_PDPT))[5] = 3ull << 30 | 0x83;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        lab_row(rows[i].name);
        guest_prepare(v, GUEST_CODE + (uint64_t)(rows[i].code - __start_guest),
                      (5ull << 30) + (MMIO & ((1 << 30) - 1)), VALUE, 0, 0);
        EXPECT_EQ(serve(v, &rows[i], MMIO), GUEST_DONE);
    }
}

static void test_address_space(void)
{
    static const uint64_t addresses[] = { 0x200000,   0xfec00000,  0xfee00000,
                                          0xfffffff0, 0x100000000, 511ull << 30 };
    struct vcpu *v = vcpu_new(vm_bare(), 0); /* no APIC in the kernel: its page is MMIO too */

    for (unsigned i = 0; i < ARRAY_SIZE(addresses); i++) {
        EXPECT_EQ(guest_call(v, store32, addresses[i], 0x1234, 0, 0), KVM_EXIT_MMIO);
        EXPECT_EQ(v->run->mmio.phys_addr, addresses[i]);
        EXPECT_EQ(v->run->mmio.is_write, 1);
        EXPECT_EQ(guest_resume(v), GUEST_DONE);
    }
}

static void test_page_crossing(void)
{
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t got[8] = { 0 };
    unsigned bytes = 0;
    int how;

    /* The last bytes of RAM and the first of MMIO in one store; optional, but all or nothing. */
    guest_prepare(v, GUEST_CODE + (uint64_t)(CODE(st64) - __start_guest), GUEST_MEM - 4, VALUE, 0,
                  0);
    for (how = guest_resume(v); how == KVM_EXIT_MMIO && bytes < 8; how = guest_resume(v)) {
        EXPECT_EQ(v->run->mmio.phys_addr, GUEST_MEM + bytes);
        memcpy(got + bytes, v->run->mmio.data, v->run->mmio.len);
        bytes += v->run->mmio.len;
    }
    if (how == KVM_EXIT_INTERNAL_ERROR)
        return;
    EXPECT_EQ(how, GUEST_DONE);
    EXPECT_EQ(bytes, 4);
    EXPECT_EQ(*(uint32_t *)got, VALUE >> 32);
    EXPECT_EQ(*(uint32_t *)(vm->mem + GUEST_MEM - 4), (uint32_t)VALUE);
}

static void test_readonly_slot(void)
{
    const uint64_t rom = 0x40000000;
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint8_t *mem = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ASSERT(mem != MAP_FAILED);
    memset(mem, 0x77, 8192);
    memcpy(mem + 0x800, code_nop, 3); /* nop; out */
    vm_slot(vm, 3, KVM_MEM_READONLY, rom, 8192, mem);
    EXPECT_EQ(guest_load32(v, rom + 16), 0x77777777);
    EXPECT_EQ(guest_call(v, store32, rom + 16, 0x1234, 0, 0), KVM_EXIT_MMIO);
    EXPECT_EQ(v->run->mmio.phys_addr, rom + 16);
    EXPECT_EQ(v->run->mmio.is_write, 1);
    EXPECT_EQ(v->run->mmio.len, 4);
    EXPECT_EQ(guest_resume(v), GUEST_DONE);
    EXPECT_EQ(guest_load32(v, rom + 16), 0x77777777);
    EXPECT_EQ(*(uint32_t *)(mem + 16), 0x77777777);
    guest_prepare(v, rom + 0x800, 0, 0, 0, 0);
    EXPECT_EQ(guest_resume(v), GUEST_DONE);
    /* Userspace's own writes are seen. */
    mem[16] = 0x11;
    EXPECT_EQ(guest_load32(v, rom + 16), 0x77777711);
    /* A first touch that is a write. */
    EXPECT_EQ(guest_call(v, store32, rom + 4096, 0x1234, 0, 0), KVM_EXIT_MMIO);
    EXPECT_EQ(guest_resume(v), GUEST_DONE);
    EXPECT_EQ(mem[4096], 0x77);
    munmap(mem, 8192);
}

static const struct lab_test tests[] = {
    { "stores", test_stores },
    { "loads", test_loads },
    { "STOS and MOVS", test_strings },
    { "read-modify-write and tests (optional forms)", test_rmw },
    { "XCHG's result (optional)", test_rmw_result },
    { "wide accesses and fetches do no harm", test_refusable },
    { "protected mode", test_prot_mode },
    { "real mode (optional)", test_real_mode },
    { "virtual addresses", test_virtual_address },
    { "no slot: everywhere", test_address_space },
    { "store across the end of a slot (optional)", test_page_crossing },
    { "read-only slot", test_readonly_slot },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}

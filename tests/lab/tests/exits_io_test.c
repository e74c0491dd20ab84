/* SPDX-License-Identifier: Apache-2.0 */
/*
 * I/O port exits: sizes, what IN leaves of its register, and the string forms with both
 * directions, counts that need several exits, buffers across pages, and faults in the middle.
 */
#include "harness.h"

#define PORT 0x1230
#define RFLAGS_DF 0x400

GUEST_FN(outb);
GUEST_FN(outw);
GUEST_FN(outl);
GUEST_FN(outb_imm);
GUEST_FN(outl_imm);
GUEST_FN(inb);
GUEST_FN(inw);
GUEST_FN(inl);
GUEST_FN(inb_imm);
GUEST_FN(rep_outsb);
GUEST_FN(rep_outsw);
GUEST_FN(rep_outsl);
GUEST_FN(rep_insb);
GUEST_FN(rep_insw);
GUEST_FN(rep_insl);
GUEST_FN(outsb);
GUEST_FN(insl);
GUEST_FN(rep_outsb_addr32);
GUEST_FN(rep_insw_addr32);
GUEST_FN(rep_outsw_gs);
GUEST_FN(rep_outsb_16);
GUEST_FN(rep_insw_16);

static uint8_t *io_data(struct vcpu *v)
{
    return (uint8_t *)v->run + v->run->io.data_offset;
}

static void expect_io(struct vcpu *v, int how, uint8_t direction, uint8_t size, uint16_t port)
{
    ASSERT_EQ(how, KVM_EXIT_IO);
    EXPECT_EQ(v->run->io.direction, direction);
    EXPECT_EQ(v->run->io.size, size);
    EXPECT_EQ(v->run->io.port, port);
    EXPECT(v->run->io.data_offset >= sizeof(struct kvm_run));
}

static void test_out(void)
{
    const struct {
        const char *name;
        uint64_t rip;
        uint16_t port;
        uint8_t size;
    } rows[] = {
        { "outb dx", GUEST_ADDR(outb), PORT, 1 },
        { "outw dx", GUEST_ADDR(outw), PORT, 2 },
        { "outl dx", GUEST_ADDR(outl), PORT, 4 },
        { "outb imm", GUEST_ADDR(outb_imm), 0x71, 1 },
        { "outl imm", GUEST_ADDR(outl_imm), 0x74, 4 },
        { "outl, highest port", GUEST_ADDR(outl), 0xfffc, 4 },
        { "outb, highest port", GUEST_ADDR(outb), 0xffff, 1 },
    };
    struct vcpu *v = vcpu_new(vm_bare(), 0);
    const uint64_t value = 0x1122334455667788;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        uint32_t got = 0;

        lab_row(rows[i].name);
        guest_prepare(v, rows[i].rip, value, 0, rows[i].port, 0);
        expect_io(v, guest_resume(v), KVM_EXIT_IO_OUT, rows[i].size, rows[i].port);
        EXPECT_EQ(v->run->io.count, 1);
        memcpy(&got, io_data(v), rows[i].size);
        EXPECT_EQ(got, (uint32_t)value & (rows[i].size == 4 ? ~0u : (1u << 8 * rows[i].size) - 1));
        EXPECT_EQ(guest_resume(v), GUEST_DONE);
        EXPECT_EQ(v->regs.rax, value);
    }
}

static void test_in(void)
{
    const struct {
        const char *name;
        uint64_t rip;
        uint16_t port;
        uint8_t size;
        uint64_t rax;
    } rows[] = {
        { "inb dx", GUEST_ADDR(inb), PORT, 1, 0xffffffffffffff5a },
        { "inw dx", GUEST_ADDR(inw), PORT, 2, 0xffffffffffffa55a },
        { "inl dx", GUEST_ADDR(inl), PORT, 4, 0x9669a55a }, /* zero-extended */
        { "inb imm", GUEST_ADDR(inb_imm), 0x71, 1, 0xffffffffffffff5a },
    };
    struct vcpu *v = vcpu_new(vm_bare(), 0);

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        const uint32_t value = 0x9669a55a;

        lab_row(rows[i].name);
        guest_prepare(v, rows[i].rip, ~0ull, 0, rows[i].port, 0);
        expect_io(v, guest_resume(v), KVM_EXIT_IO_IN, rows[i].size, rows[i].port);
        EXPECT_EQ(v->run->io.count, 1);
        memcpy(io_data(v), &value, rows[i].size);
        EXPECT_EQ(guest_resume(v), GUEST_DONE);
        EXPECT_EQ(v->regs.rax, rows[i].rax);
    }
}

struct string_row {
    const char *name;
    uint64_t rip;
    uint8_t direction, size;
    bool down;
    uint32_t start; /* guest address of the element that goes first */
    uint32_t count;
};

/* What the guest's buffer holds, or is to hold, at an address. */
static uint8_t pattern(uint32_t addr)
{
    return (uint8_t)(addr * 7 + (addr >> 8) * 3 + 1);
}

/* One exit's worth of elements; answers how many. */
static uint32_t string_exit(struct vcpu *v, const struct string_row *row, uint32_t done)
{
    uint32_t n = v->run->io.count;
    uint8_t *data = io_data(v);
    unsigned bad = 0;

    expect_io(v, KVM_EXIT_IO, row->direction, row->size, PORT);
    EXPECT(n > 0 && n <= row->count - done);
    EXPECT(n * row->size <= 4096);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = row->start + (row->down ? -1u : 1u) * (done + i) * row->size;

        for (unsigned b = 0; b < row->size; b++) {
            if (row->direction == KVM_EXIT_IO_IN)
                data[i * row->size + b] = pattern(at + b);
            else
                bad += data[i * row->size + b] != pattern(at + b);
        }
    }
    EXPECT_EQ(bad, 0);
    return n;
}

static void run_string(struct vcpu *v, const struct string_row *row)
{
    bool in = row->direction == KVM_EXIT_IO_IN;
    uint32_t bytes = row->count * row->size, bad = 0, done = 0;
    uint32_t low = row->down ? row->start - bytes + row->size : row->start;
    uint8_t *mem = v->vm->mem;
    int how;

    lab_row(row->name);
    for (uint32_t at = low - 16; at < low + bytes + 16; at++)
        mem[at] = in ? 0xee : pattern(at);
    v->rflags = 2 | (row->down ? RFLAGS_DF : 0);
    guest_prepare(v, row->rip, in ? row->start : 1, in ? 1 : row->start, PORT, row->count);
    while ((how = guest_resume(v)) == KVM_EXIT_IO && done < row->count)
        done += string_exit(v, row, done);
    EXPECT_EQ(how, GUEST_DONE);
    EXPECT_EQ(done, row->count);
    EXPECT_EQ(in ? v->regs.rdi : v->regs.rsi,
              row->down ? row->start - bytes : (uint64_t)row->start + bytes);
    for (uint32_t at = low - 16; in && at < low + bytes + 16; at++)
        bad += mem[at] != (at >= low && at < low + bytes ? pattern(at) : 0xee);
    EXPECT_EQ(bad, 0);
}

static void test_strings(void)
{
    enum { IN = KVM_EXIT_IO_IN, OUT = KVM_EXIT_IO_OUT };
    const struct string_row rows[] = {
        { "outsb", GUEST_ADDR(outsb), OUT, 1, false, 0x30010, 1 },
        { "insl", GUEST_ADDR(insl), IN, 4, false, 0x30010, 1 },
        { "rep outsb", GUEST_ADDR(rep_outsb), OUT, 1, false, 0x30010, 5 },
        { "rep outsw", GUEST_ADDR(rep_outsw), OUT, 2, false, 0x30010, 17 },
        { "rep outsl", GUEST_ADDR(rep_outsl), OUT, 4, false, 0x30010, 33 },
        { "rep insb", GUEST_ADDR(rep_insb), IN, 1, false, 0x30010, 5 },
        { "rep insw", GUEST_ADDR(rep_insw), IN, 2, false, 0x30010, 17 },
        { "rep insl", GUEST_ADDR(rep_insl), IN, 4, false, 0x30010, 33 },
        { "rep outsb, nothing", GUEST_ADDR(rep_outsb), OUT, 1, false, 0x30010, 0 },
        { "rep insl, nothing", GUEST_ADDR(rep_insl), IN, 4, false, 0x30010, 0 },
        { "rep outsb down", GUEST_ADDR(rep_outsb), OUT, 1, true, 0x30050, 9 },
        { "rep outsl down", GUEST_ADDR(rep_outsl), OUT, 4, true, 0x30050, 9 },
        { "rep insb down", GUEST_ADDR(rep_insb), IN, 1, true, 0x30050, 9 },
        { "rep insl down", GUEST_ADDR(rep_insl), IN, 4, true, 0x30050, 9 },
        { "rep outsb across a page", GUEST_ADDR(rep_outsb), OUT, 1, false, 0x30ffa, 20 },
        { "rep outsl across a page, unaligned", GUEST_ADDR(rep_outsl), OUT, 4, false, 0x30ff2, 7 },
        { "rep outsw down across a page", GUEST_ADDR(rep_outsw), OUT, 2, true, 0x31007, 12 },
        { "rep insb across a page", GUEST_ADDR(rep_insb), IN, 1, false, 0x30ffa, 20 },
        { "rep insl across a page, unaligned", GUEST_ADDR(rep_insl), IN, 4, false, 0x30ff2, 7 },
        { "rep insw down across a page", GUEST_ADDR(rep_insw), IN, 2, true, 0x31007, 12 },
        { "rep outsl, 6000 bytes", GUEST_ADDR(rep_outsl), OUT, 4, false, 0x30123, 1500 },
        { "rep insb, 6000 bytes", GUEST_ADDR(rep_insb), IN, 1, false, 0x30123, 6000 },
        { "rep addr32 outsb", GUEST_ADDR(rep_outsb_addr32), OUT, 1, false, 0x30010, 21 },
        { "rep addr32 insw", GUEST_ADDR(rep_insw_addr32), IN, 2, false, 0x30010, 21 },
    };
    struct vcpu *v = vcpu_new(vm_bare(), 0);

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        run_string(v, &rows[i]);
}

static void test_string_segment(void)
{
    struct vcpu *v = vcpu_new(vm_bare(), 0);
    struct kvm_sregs s = vcpu_sregs(v);
    int how;

    s.gs.base = 0x30000; /* OUTS obeys the override */
    ASSERT_EQ(vcpu_set_sregs(v, &s), 0);
    memcpy(v->vm->mem + 0x30004, "abcdef", 6);
    how = guest_call(v, rep_outsw_gs, 0, 4, PORT, 3);
    for (unsigned done = 0; done < 3; how = guest_resume(v)) {
        expect_io(v, how, KVM_EXIT_IO_OUT, 2, PORT);
        EXPECT_EQ(memcmp(io_data(v), &"abcdef"[2 * done], 2 * v -> run -> io.count), 0);
        done += v->run->io.count;
    }
    EXPECT_EQ(how, GUEST_DONE);
}

static void test_string_real_mode(void)
{
    struct vcpu *v = vcpu_raw(vm_bare(), 0);
    struct kvm_sregs s;
    unsigned done = 0;
    int how;

    vcpu_set_cpuid(v);
    vcpu_real_mode(v);
    s = vcpu_sregs(v);
    s.ds.base = s.es.base = 0x30000;
    s.ds.selector = s.es.selector = 0x3000;
    ASSERT_EQ(vcpu_set_sregs(v, &s), 0);
    memcpy(v->vm->mem + 0x30020, "real mode", 9);
    guest_prepare(v, GUEST_ADDR(rep_outsb_16) - GUEST_CODE, 0, 0x20, PORT, 9);
    for (how = guest_resume(v); how == KVM_EXIT_IO && done < 9; how = guest_resume(v)) {
        EXPECT_EQ(memcmp(io_data(v), &"real mode"[done], v -> run -> io.count), 0);
        done += v->run->io.count;
    }
    EXPECT_EQ(how, GUEST_DONE);
    EXPECT_EQ(done, 9);
    EXPECT_EQ(v->regs.rsi, 0x29);

    guest_prepare(v, GUEST_ADDR(rep_insw_16) - GUEST_CODE, 0x40, 0, PORT, 3);
    for (done = 0, how = guest_resume(v); how == KVM_EXIT_IO && done < 3; how = guest_resume(v)) {
        for (unsigned i = 0; i < v->run->io.count; i++)
            memcpy(io_data(v) + 2 * i, &"ABCDEF"[2 * done++], 2);
    }
    EXPECT_EQ(how, GUEST_DONE);
    EXPECT_EQ(memcmp(v->vm->mem + 0x30040, "ABCDEF", 6), 0);
    EXPECT_EQ(v->regs.rdi, 0x46);
}

static void test_string_fault(void)
{
    enum { IN = KVM_EXIT_IO_IN, OUT = KVM_EXIT_IO_OUT };
    struct vm *vm = vm_bare();
    struct vcpu *v = vcpu_new(vm, 0);
    uint64_t *pdpt = (uint64_t *)(vm->mem + GUEST_PDPT);
    const uint64_t edge = 3ull << 30; /* the last bytes below are a window on 0x3ffff000.. */
    const struct {
        const char *name;
        uint64_t rip;
        uint8_t direction;
        uint32_t error;
    } rows[] = {
        { "outs", GUEST_ADDR(rep_outsb), OUT, 0 },
        { "ins", GUEST_ADDR(rep_insb), IN, 2 },
    };
    uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ASSERT(page != MAP_FAILED);
    vm_slot(vm, 1, 0, 0x3ffff000, 4096, page);
    pdpt[2] = 0x83; /* 2 GiB..3 GiB shows guest memory from 0 */
    pdpt[3] = 0;    /* and 3 GiB.. nothing */
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        unsigned done = 0;
        int how;

        lab_row(rows[i].name);
        mbox_clear(v);
        how = (guest_prepare(v, rows[i].rip, edge - 6, edge - 6, PORT, 10), guest_resume(v));
        for (; how == KVM_EXIT_IO && done < 10; how = guest_resume(v)) {
            EXPECT_EQ(v->run->io.direction, rows[i].direction);
            done += v->run->io.count;
        }
        /* The part before the page is done, then the fault, restartable. IN may read ahead. */
        EXPECT_EQ(how, GUEST_FAULT);
        EXPECT(done == 6 || (rows[i].direction == IN && done > 6));
        EXPECT_EQ(*mbox32(v, MBOX_VECTOR), 14);
        EXPECT_EQ(*(uint64_t *)mbox(v, MBOX_ERROR), rows[i].error);
        EXPECT_EQ(*(uint64_t *)mbox(v, MBOX_CR2), edge);
        EXPECT_EQ(*(uint64_t *)mbox(v, MBOX_RIP), rows[i].rip);
    }
}

static const struct lab_test tests[] = {
    { "OUT of each size", test_out },
    { "IN of each size", test_in },
    { "INS and OUTS", test_strings },
    { "OUTS with a segment override", test_string_segment },
    { "INS and OUTS in real mode", test_string_real_mode },
    { "page fault inside INS and OUTS", test_string_fault },
};

int main(int argc, char **argv)
{
    return lab_main(argc, argv, tests, ARRAY_SIZE(tests));
}

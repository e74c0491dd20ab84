/* SPDX-License-Identifier: Apache-2.0 */
// sources: kernel/core/walk.c
/*
 * The guest page-table walker: every paging mode and page size, the whole table of access rights
 * against a second statement of the rules, reserved bits, accessed and dirty bits, segments.
 */
#include "guest_mock.h"

#define P 1ull
#define RW 2ull
#define US 4ull
#define A 0x20ull
#define D 0x40ull
#define PS 0x80ull
#define NX (1ull << 63)
#define LMA (1ull << 10)
#define NXE (1ull << 11)

static void put64(u64 gpa, u64 value)
{
    assert_int_equal(bawn_write_guest(&mock.vm, gpa, &value, 8), 0);
}

static u64 get64(u64 gpa)
{
    u64 value;

    assert_int_equal(bawn_read_guest(&mock.vm, gpa, &value, 8), 0);
    return value;
}

/* Tables at 0x1000 * level, the root of five levels at 0x5000. */
static u64 entry_gpa(gva_t gva, int level)
{
    return 0x1000ull * level + ((gva >> (12 + 9 * (level - 1))) & 511) * 8;
}

static struct bawn_vcpu *long_mode(int levels)
{
    struct bawn_vcpu *vcpu = mock_reset();

    mock.long_mode = true;
    vcpu->cr0 |= X86_CR0_PG | X86_CR0_WP;
    vcpu->cr4 = X86_CR4_PAE | (levels == 5 ? X86_CR4_LA57 : 0);
    vcpu->efer = LMA | NXE;
    vcpu->cr3 = 0x1000ull * levels | 0xfff; /* a PCID is no address */
    return vcpu;
}

/* Maps gva to a page of the given level with these bits on the leaf; RW and US above. */
static void map(gva_t gva, int levels, int leaf, u64 target, u64 bits)
{
    for (int level = levels; level > leaf; level--)
        put64(entry_gpa(gva, level), 0x1000ull * (level - 1) | P | RW | US);
    put64(entry_gpa(gva, leaf), target | bits | P | (leaf > 1 ? PS : 0));
}

static void expect_fault(struct bawn_vcpu *vcpu, gva_t gva, u32 access, int vector, u32 error)
{
    struct bawn_walk_fault f;
    gpa_t gpa;

    assert_int_equal(bawn_walk(vcpu, gva, access, &gpa, &f), -EFAULT);
    assert_int_equal(f.vector, vector);
    assert_int_equal(f.error, error);
    if (vector == 14)
        assert_int_equal(f.address, gva);
}

static void expect_gpa(struct bawn_vcpu *vcpu, gva_t gva, u32 access, gpa_t want)
{
    struct bawn_walk_fault f;
    gpa_t gpa = 0;

    if (bawn_walk(vcpu, gva, access, &gpa, &f))
        fail_msg("%lx: fault %u error %x", gva, f.vector, f.error);
    assert_int_equal(f.vector, 0);
    assert_int_equal(gpa, want);
}

static void test_no_paging(void **state)
{
    struct bawn_vcpu *vcpu = mock_reset();

    (void)state;
    expect_gpa(vcpu, 0x12345678, 0, 0x12345678);
    expect_gpa(vcpu, 0x112345678, BAWN_WALK_WRITE, 0x12345678);
}

static void test_long_sizes(void **state)
{
    const gva_t gva = 0x7f1234567abcul;

    (void)state;
    for (int levels = 4; levels <= 5; levels++) {
        struct bawn_vcpu *vcpu = long_mode(levels);

        map(gva, levels, 1, 0x345000, RW | US);
        expect_gpa(vcpu, gva, 0, 0x345abc);
        map(gva, levels, 2, 0x40000000, RW | US);
        expect_gpa(vcpu, gva, 0, 0x40000000 | (gva & 0x1fffff));
        mock.gbpages = true;
        map(gva, levels, 3, 0x80000000, RW | US);
        expect_gpa(vcpu, gva, 0, 0x80000000 | (gva & 0x3fffffff));
        mock.gbpages = false;
        expect_fault(vcpu, gva, 0, 14, 9);
        map(gva, levels, 4, 0, RW | US); /* no such page size */
        expect_fault(vcpu, gva, BAWN_WALK_USER, 14, 9 | 4);
        put64(entry_gpa(gva, levels), 0);
        expect_fault(vcpu, gva, BAWN_WALK_WRITE, 14, 2);
        expect_fault(vcpu, gva, BAWN_WALK_FETCH | BAWN_WALK_USER, 14, 0x14);
    }
}

static void test_canonical(void **state)
{
    struct bawn_vcpu *vcpu = long_mode(4);

    (void)state;
    expect_fault(vcpu, 0x800000000000ul, 0, 13, 0);
    expect_fault(vcpu, 0xffff000000000000ul, 0, 13, 0);
    map(0xffff800000000000ul, 4, 1, 0x9000, RW);
    expect_gpa(vcpu, 0xffff800000000010ul, 0, 0x9010);
    vcpu = long_mode(5);
    map(0x800000000000ul, 5, 1, 0x9000, RW);
    expect_gpa(vcpu, 0x800000000010ul, 0, 0x9010);
    expect_fault(vcpu, 0x0100000000000000ul, 0, 13, 0);
}

static void test_reserved_bits(void **state)
{
    const gva_t gva = 0x400000;
    struct bawn_vcpu *vcpu = long_mode(4);

    (void)state;
    for (int bit = 12; bit < 64; bit++) {
        bool reserved = bit >= 46 && bit < 52; /* maxphyaddr is 46 */

        map(gva, 4, 1, (1ull << bit) & ~0xfffull, RW);
        if (reserved)
            expect_fault(vcpu, gva, 0, 14, 9);
        else
            expect_gpa(vcpu, gva, 0, bit < 52 ? 1ull << bit : 0);
    }
    vcpu->efer &= ~NXE;
    map(gva, 4, 1, 0x9000, RW | NX);
    expect_fault(vcpu, gva, 0, 14, 9);
    expect_fault(vcpu, gva, BAWN_WALK_FETCH, 14, 9); /* no NX, no SMEP: no fetch bit */
    vcpu->efer |= NXE;
    for (int bit = 13; bit < 21; bit++) {
        map(gva, 4, 2, 1ull << bit, RW);
        expect_fault(vcpu, gva, 0, 14, 9);
    }
    map(gva, 4, 1, 0x9000, RW);
    put64(entry_gpa(gva, 2), 0x1000 | P | RW | 1ull << 47);
    expect_fault(vcpu, gva, BAWN_WALK_WRITE, 14, 0xb);
}

/* The rules once more, in the other order: which accesses to a page succeed? */
static bool may(struct bawn_vcpu *vcpu, bool rw, bool us, bool nx, u32 access)
{
    bool user = access & BAWN_WALK_USER, write = access & BAWN_WALK_WRITE;

    if (access & BAWN_WALK_FETCH) {
        if (nx)
            return false;
        return user ? us : !(us && vcpu->cr4 & X86_CR4_SMEP);
    }
    if (user)
        return us && (rw || !write);
    if (us && vcpu->cr4 & X86_CR4_SMAP && !(vcpu->rflags & X86_EFLAGS_AC && mock.cpl < 3))
        return false;
    return rw || !write || !(vcpu->cr0 & X86_CR0_WP);
}

static void test_rights(void **state)
{
    static const u32 accesses[] = { 0, BAWN_WALK_WRITE, BAWN_WALK_FETCH };
    const gva_t gva = 0x1000;

    (void)state;
    for (int bits = 0; bits < 1 << 10; bits++) {
        struct bawn_vcpu *vcpu = long_mode(4);
        bool rw = bits & 1, us = bits & 2, nx = bits & 4, above = bits & 8;
        u64 low = (rw ? RW : 0) | (us ? US : 0) | (nx ? NX : 0);

        vcpu->cr4 |= (bits & 16 ? X86_CR4_SMEP : 0) | (bits & 32 ? X86_CR4_SMAP : 0);
        vcpu->cr0 = X86_CR0_PE | X86_CR0_PG | (bits & 64 ? X86_CR0_WP : 0);
        vcpu->rflags = bits & 128 ? X86_EFLAGS_AC : 0;
        mock.cpl = bits & 256 ? 3 : 0;
        /* The right may be missing in the leaf or in the entry above. */
        map(gva, 4, 1, 0x9000, above ? RW | US : low);
        if (above)
            put64(entry_gpa(gva, 2), 0x1000 | P | low);
        for (size_t i = 0; i < ARRAY_SIZE(accesses); i++) {
            u32 access = accesses[i] | (bits & 512 ? BAWN_WALK_USER : 0);

            if (may(vcpu, rw, us, nx, access))
                expect_gpa(vcpu, gva, access, 0x9000);
            else
                expect_fault(vcpu, gva, access, 14, 1 | access);
        }
    }
}

static void test_accessed_dirty(void **state)
{
    const gva_t gva = 0x5000;
    struct bawn_vcpu *vcpu = long_mode(4);

    (void)state;
    map(gva, 4, 1, 0x9000, RW);
    expect_fault(vcpu, gva, BAWN_WALK_USER, 14, 5);
    for (int level = 1; level <= 4; level++)
        assert_int_equal(get64(entry_gpa(gva, level)) & (A | D), 0);
    expect_gpa(vcpu, gva, 0, 0x9000);
    for (int level = 1; level <= 4; level++)
        assert_int_equal(get64(entry_gpa(gva, level)) & (A | D), A);
    expect_gpa(vcpu, gva, BAWN_WALK_WRITE, 0x9000);
    assert_int_equal(get64(entry_gpa(gva, 1)) & (A | D), A | D);
    assert_int_equal(get64(entry_gpa(gva, 2)) & (A | D), A);

    /* Another vCPU changes an entry: the walk starts again, but not for ever. */
    map(gva, 4, 1, 0x9000, RW);
    mock.cmpxchg_failures = 3;
    expect_gpa(vcpu, gva, 0, 0x9000);
    map(gva, 4, 1, 0x9000, RW);
    mock.cmpxchg_failures = 1000;
    expect_fault(vcpu, gva, 0, 14, 0);
    assert_true(mock.cmpxchg_failures > 900);

    /* Tables in read-only memory work and stay as they are. */
    mock.cmpxchg_failures = 0;
    mock.rom_from = 0;
    expect_gpa(vcpu, gva, BAWN_WALK_WRITE, 0x9000);
    assert_int_equal(get64(entry_gpa(gva, 1)) & (A | D), 0);
}

static void test_tables_outside_memory(void **state)
{
    struct bawn_vcpu *vcpu = long_mode(4);

    (void)state;
    vcpu->cr3 = 0x3fffffff000ull;
    expect_fault(vcpu, 0x1000, 0, 14, 0);
    vcpu = long_mode(4);
    map(0x1000, 4, 1, 0x9000, RW);
    put64(entry_gpa(0x1000, 3), 0x200000000000ull | P | RW); /* 2^45 */
    expect_fault(vcpu, 0x1000, BAWN_WALK_WRITE, 14, 2);
}

static void put32(u64 gpa, u32 value)
{
    assert_int_equal(bawn_write_guest(&mock.vm, gpa, &value, 4), 0);
}

static void test_32_bit(void **state)
{
    struct bawn_vcpu *vcpu = mock_reset();
    const gva_t gva = 0xc0123456;

    (void)state;
    vcpu->cr0 |= X86_CR0_PG;
    vcpu->cr3 = 0x1018; /* PCD, PWT */
    put32(0x1000 + (gva >> 22) * 4, 0x2000 | P | RW | US);
    put32(0x2000 + (gva >> 12 & 1023) * 4, 0xfffff000 | P | RW);
    expect_gpa(vcpu, gva, 0, 0xfffff456);
    expect_gpa(vcpu, gva | 0x100000000ul, 0, 0xfffff456);
    expect_fault(vcpu, gva, BAWN_WALK_USER | BAWN_WALK_FETCH, 14, 5); /* no NX here */
    vcpu->cr4 = X86_CR4_SMEP;
    expect_fault(vcpu, gva, BAWN_WALK_USER | BAWN_WALK_FETCH, 14, 0x15);

    /* PS counts with CR4.PSE only; bits 20:13 are address bits 39:32. */
    put32(0x1000 + (gva >> 22) * 4, 0x00402000 | P | RW | PS);
    vcpu->cr4 = 0;
    put32(0x2000 + (gva >> 12 & 1023) * 4, 0);
    put64(0x402000 % MOCK_MEMORY, 0);
    expect_fault(vcpu, gva, 0, 14, 0);
    vcpu->cr4 = X86_CR4_PSE;
    expect_gpa(vcpu, gva, 0, 0x100000000ull + 0x400000 + (gva & 0x3fffff));
    put32(0x1000 + (gva >> 22) * 4, 0x00600000 | P | RW | PS); /* bit 21 */
    expect_fault(vcpu, gva, 0, 14, 9);
    vcpu->maxphyaddr = 36;
    put32(0x1000 + (gva >> 22) * 4, 0x00400000 | 1u << 16 | P | RW | PS);
    expect_gpa(vcpu, gva, 0, 0x800000000ull + 0x400000 + (gva & 0x3fffff));
    put32(0x1000 + (gva >> 22) * 4, 0x00400000 | 1u << 17 | P | RW | PS);
    expect_fault(vcpu, gva, 0, 14, 9);
}

static void test_pae(void **state)
{
    struct bawn_vcpu *vcpu = mock_reset();
    const gva_t gva = 0x80201123;

    (void)state;
    vcpu->cr0 |= X86_CR0_PG | X86_CR0_WP;
    vcpu->cr4 = X86_CR4_PAE;
    vcpu->efer = NXE;
    vcpu->cr3 = 0x3020; /* 32-byte aligned */
    put64(0x3020 + 2 * 8, 0x2000 | P);
    put64(0x2000 + 1 * 8, 0x1000 | P | RW | US);
    put64(0x1000 + 1 * 8, 0x100009000ull | P | RW | US | NX);
    expect_gpa(vcpu, gva, BAWN_WALK_USER | BAWN_WALK_WRITE, 0x100009123ull);
    expect_fault(vcpu, gva, BAWN_WALK_FETCH, 14, 0x11);
    assert_int_equal(get64(0x3020 + 2 * 8), 0x2000 | P); /* no accessed bit there */
    put64(0x1000 + 1 * 8, 0x9000 | P | 1ull << 52);
    expect_fault(vcpu, gva, 0, 14, 9);
    for (int bit = 1; bit < 64; bit++) {
        static const u64 ignored = 0xe18; /* PWT, PCD, AVL; 12 and up are the address */

        if ((bit >= 12 && bit < 46) || ignored & 1ull << bit)
            continue;
        put64(0x3020 + 2 * 8, 0x2000 | P | 1ull << bit);
        expect_fault(vcpu, gva, 0, 14, 9);
    }
}

static void test_linear(void **state)
{
    struct bawn_vcpu *vcpu = mock_reset();
    struct bawn_walk_fault f;
    gva_t gva;

    (void)state;
#define LINEAR(sreg, offset, as, len, write) \
    (f.vector = 0, bawn_linear(vcpu, sreg, offset, as, len, write, &gva, &f) ? f.vector : 0)
    mock.seg[VCPU_SREG_DS].base = 0xfffff000;
    mock.seg[VCPU_SREG_DS].limit = 0x1fff;
    assert_int_equal(LINEAR(VCPU_SREG_DS, 0x1ffc, 4, 4, true), 0);
    assert_int_equal(gva, 0xffc); /* wraps at 4 GiB */
    assert_int_equal(LINEAR(VCPU_SREG_DS, 0x1ffd, 4, 4, true), 13);
    assert_int_equal(LINEAR(VCPU_SREG_DS, 0x10ffc, 2, 4, true), 0);
    assert_int_equal(gva, 0xfffffffc);
    assert_int_equal(LINEAR(VCPU_SREG_DS, 0xffffffff, 4, 4, true), 13);
    mock.seg[VCPU_SREG_SS].limit = 0xfff;
    assert_int_equal(LINEAR(VCPU_SREG_SS, 0x1000, 4, 1, false), 12);
    /* Expand-down: what is above the limit. */
    mock.seg[VCPU_SREG_DS].type = 7;
    assert_int_equal(LINEAR(VCPU_SREG_DS, 0x1fff, 4, 1, false), 13);
    assert_int_equal(LINEAR(VCPU_SREG_DS, 0x2000, 4, 1, false), 0);
    assert_int_equal(LINEAR(VCPU_SREG_DS, 0xfffffffe, 4, 4, false), 13);
    mock.seg[VCPU_SREG_DS].db = 0;
    assert_int_equal(LINEAR(VCPU_SREG_DS, 0xffff, 4, 2, false), 13);
    /* Types. */
    mock.seg[VCPU_SREG_DS] = mock.seg[VCPU_SREG_ES];
    mock.seg[VCPU_SREG_DS].type = 1;
    assert_int_equal(LINEAR(VCPU_SREG_DS, 0, 4, 1, false), 0);
    assert_int_equal(LINEAR(VCPU_SREG_DS, 0, 4, 1, true), 13);
    assert_int_equal(LINEAR(VCPU_SREG_CS, 0, 4, 1, false), 0);
    assert_int_equal(LINEAR(VCPU_SREG_CS, 0, 4, 1, true), 13);
    mock.seg[VCPU_SREG_CS].type = 9; /* execute only */
    assert_int_equal(LINEAR(VCPU_SREG_CS, 0, 4, 1, false), 13);
    mock.seg[VCPU_SREG_ES].unusable = 1;
    assert_int_equal(LINEAR(VCPU_SREG_ES, 0, 4, 1, false), 13);
    vcpu->cr0 = 0;
    assert_int_equal(LINEAR(VCPU_SREG_CS, 0, 4, 1, true), 0);
    /* 64-bit code: no limits, bases of FS and GS alone, canonical to the last byte. */
    vcpu = long_mode(4);
    mock.seg[VCPU_SREG_DS].base = 0x1000;
    mock.seg[VCPU_SREG_DS].unusable = 1;
    mock.seg[VCPU_SREG_GS].base = 0xffff888000000000ull;
    assert_int_equal(LINEAR(VCPU_SREG_DS, 0x7fffffffffff, 8, 1, true), 0);
    assert_int_equal(gva, 0x7fffffffffff);
    assert_int_equal(LINEAR(VCPU_SREG_DS, 0x7fffffffffff, 8, 2, true), 13);
    assert_int_equal(LINEAR(VCPU_SREG_SS, 0x800000000000, 8, 1, true), 12);
    assert_int_equal(LINEAR(VCPU_SREG_GS, 0x10, 8, 8, true), 0);
    assert_int_equal(gva, 0xffff888000000010ull);
    assert_int_equal(LINEAR(VCPU_SREG_DS, 0x123456789, 4, 1, true), 0);
    assert_int_equal(gva, 0x23456789);
}

static void test_fetch(void **state)
{
    struct bawn_vcpu *vcpu = long_mode(4);
    struct bawn_walk_fault f;
    u8 buf[15];

    (void)state;
    map(0x400000, 4, 1, 0x9000, US);
    map(0x401000, 4, 1, 0x20000, US);
    for (int i = 0; i < 15; i++) {
        mock.memory[0x9ff8 + (i < 8 ? i : 0)] = (u8)(i < 8 ? 0x50 + i : 0x50);
        mock.memory[0x20000 + i] = (u8)(0x58 + i);
    }
    vcpu->rip = 0x400ff8;
    mock.cpl = 3;
    assert_int_equal(bawn_fetch(vcpu, buf, &f), 15);
    assert_int_equal(f.vector, 0);
    for (int i = 0; i < 15; i++)
        assert_int_equal(buf[i], 0x50 + i);
    put64(entry_gpa(0x401000, 1), 0);
    assert_int_equal(bawn_fetch(vcpu, buf, &f), 8);
    assert_int_equal(f.vector, 14);
    assert_int_equal(f.error, 0x14);
    assert_int_equal(f.address, 0x401000);
    put64(entry_gpa(0x401000, 1), 0x20000 | P | US | NX);
    assert_int_equal(bawn_fetch(vcpu, buf, &f), 8);
    assert_int_equal(f.error, 0x15);
    vcpu->rip = 0x401000;
    assert_int_equal(bawn_fetch(vcpu, buf, &f), -EFAULT);
    put64(entry_gpa(0x401000, 1), MOCK_DEVICE | P | US);
    assert_int_equal(bawn_fetch(vcpu, buf, &f), -ENXIO);

    /* Real mode: a byte before the limit, then past it. */
    vcpu = mock_reset();
    vcpu->cr0 = 0;
    mock.seg[VCPU_SREG_CS].base = 0xf0000;
    mock.seg[VCPU_SREG_CS].limit = 0xffff;
    mock.seg[VCPU_SREG_CS].db = 0;
    vcpu->rip = 0xffff;
    assert_int_equal(bawn_cpu->code_size(vcpu), 2);
    assert_int_equal(bawn_fetch(vcpu, buf, &f), 1);
    assert_int_equal(f.vector, 0);
    vcpu->rip = 0x10000;
    assert_int_equal(bawn_fetch(vcpu, buf, &f), -EFAULT);
    assert_int_equal(f.vector, 13);
}

static void test_copies(void **state)
{
    struct bawn_vcpu *vcpu = long_mode(4);
    struct bawn_walk_fault f;
    u64 value = 0x1122334455667788ull, back = 0;

    (void)state;
    map(0x400000, 4, 1, 0x9000, RW);
    map(0x401000, 4, 1, 0x20000, RW);
    assert_int_equal(bawn_write_virt(vcpu, 0x400ffd, &value, 8, &f), 0);
    assert_int_equal(bawn_read_virt(vcpu, 0x400ffd, &back, 8, 0, &f), 0);
    assert_int_equal(back, value);
    assert_int_equal(mock.memory[0x9fff], 0x66);
    assert_int_equal(mock.memory[0x20000], 0x55);
    /* The second page cannot be written: neither is the first. */
    put64(entry_gpa(0x401000, 1), 0x20000 | P);
    value = 0;
    assert_int_equal(bawn_probe_write(vcpu, 0x400ffd, 8, &f), -EFAULT);
    assert_int_equal(bawn_write_virt(vcpu, 0x400ffd, &value, 8, &f), -EFAULT);
    assert_int_equal(f.error, 3);
    assert_int_equal(f.address, 0x401000);
    assert_int_equal(mock.memory[0x9fff], 0x66);
    mock.cpl = 3;
    assert_int_equal(bawn_read_virt(vcpu, 0x400ffd, &back, 8, 0, &f), -EFAULT);
    assert_int_equal(f.error, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_paging),
        cmocka_unit_test(test_long_sizes),
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_reserved_bits),
        cmocka_unit_test(test_rights),
        cmocka_unit_test(test_accessed_dirty),
        cmocka_unit_test(test_tables_outside_memory),
        cmocka_unit_test(test_32_bit),
        cmocka_unit_test(test_pae),
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_fetch),
        cmocka_unit_test(test_copies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

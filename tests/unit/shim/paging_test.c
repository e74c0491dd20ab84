// SPDX-License-Identifier: Apache-2.0
/*
 * guest/shim/paging.c with the C-bit at 47 and at 51: the tables are walked as the processor
 * does it, and every page of the first 2 MiB must have the rights that it should.
 */
#include "tests/unit/shim/machine.h"

static const unsigned cbits[] = { 47, 51 };

static uint64_t rights(uint64_t entry)
{
    return entry & (SHIM_PTE_PRESENT | SHIM_PTE_WRITE | SHIM_PTE_NX);
}

/* What the shim may do with a page of the first 2 MiB. */
static uint64_t want(uint64_t gpa)
{
    if (gpa >= BAWN_SHIM_IMAGE && gpa < CODE_END)
        return SHIM_MAP_RX;
    if (gpa >= CODE_END && gpa < IMAGE_END)
        return SHIM_MAP_R;
    if (gpa == BAWN_SHIM_PARAMS || gpa == BAWN_SHIM_CPUID)
        return SHIM_MAP_R;
    if (gpa == BAWN_SHIM_SECRETS || gpa == SHIM_STACK - 4096 || gpa == SHIM_STACK_TOP ||
        gpa == SHIM_FAULT_STACK_TOP)
        return SHIM_MAP_NONE;
    return SHIM_MAP_RW;
}

static void own(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct shim_tables t;
        uint64_t cr3, entry, gpa = 0, size = 0, cbit = 1ull << cbits[i];

        machine_start(cbits[i]);
        /* What stood there before must not matter. */
        memset(machine.ram + SHIM_TABLES, 0xff, SHIM_TABLES_END - SHIM_TABLES);
        cr3 = shim_tables_own(&t, cbit, machine_params(), CODE_END, IMAGE_END);
        assert_int_equal(cr3, SHIM_TABLES | cbit);
        for (uint64_t va = 0; va < SHIM_SIZE_2M; va += 4096) {
            entry = machine_walk(cr3, va, &gpa, &size);
            assert_int_equal(rights(entry), want(va));
            if (entry) {
                assert_int_equal(gpa, va);
                assert_int_equal(size, 4096);
                assert_true(entry & cbit);
            }
        }
        for (uint64_t va = SHIM_SIZE_2M; va < SHIM_WINDOW; va += SHIM_SIZE_2M) {
            entry = machine_walk(cr3, va, &gpa, &size);
            if (va >= RAM_LOW) {
                assert_int_equal(entry, 0);
                continue;
            }
            assert_int_equal(gpa, va);
            assert_int_equal(size, SHIM_SIZE_2M);
            assert_int_equal(rights(entry), SHIM_MAP_RW);
            assert_true(entry & cbit);
        }
        assert_int_equal(machine_walk(cr3, SHIM_WINDOW, &gpa, &size), 0);
        assert_int_equal(machine_walk(cr3, 1ull << 39, &gpa, &size), 0);
        machine_stop();
    }
}

static void window(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct shim_tables t;
        uint64_t cr3, gpa = 0, size = 0, cbit = 1ull << cbits[i];
        /* RAM that four levels of one to one tables could not name. */
        uint64_t high = (1ull << (cbits[i] - 1)) + SHIM_SIZE_1G;

        machine_start(cbits[i]);
        cr3 = shim_tables_own(&t, cbit, machine_params(), CODE_END, IMAGE_END);
        for (unsigned at = 0; at < 512; at += 511) {
            shim_tables_window(&t, high);
            assert_int_equal(
                rights(machine_walk(cr3, SHIM_WINDOW + at * SHIM_SIZE_2M, &gpa, &size)),
                SHIM_MAP_RW);
            assert_int_equal(gpa, high + at * SHIM_SIZE_2M);
            assert_int_equal(size, SHIM_SIZE_2M);
            shim_tables_window(&t, RAM_HIGH_AT);
            (void)machine_walk(cr3, SHIM_WINDOW + at * SHIM_SIZE_2M, &gpa, &size);
            assert_int_equal(gpa, RAM_HIGH_AT + at * SHIM_SIZE_2M);
        }
        assert_int_equal(machine_walk(cr3, SHIM_WINDOW + SHIM_SIZE_1G, &gpa, &size), 0);
        machine_stop();
    }
}

static void for_linux(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct shim_tables t;
        uint64_t cr3, gpa = 0, size = 0, cbit = 1ull << cbits[i];
        struct bawn_shim_params p;

        machine_start(cbits[i]);
        p = *machine_params();
        p.ram[1].size = (3ull << 30) - p.ram[1].gpa;
        memset(machine.ram + SHIM_LINUX_TABLES, 0xff, SHIM_LINUX_TABLES_END - SHIM_LINUX_TABLES);
        cr3 = shim_tables_linux(&t, cbit, &p);
        assert_int_equal(cr3, SHIM_LINUX_TABLES | cbit);
        for (uint64_t va = 0; va < SHIM_MAPPED_END + SHIM_SIZE_1G; va += SHIM_SIZE_2M) {
            uint64_t entry = machine_walk(cr3, va, &gpa, &size);

            assert_int_equal(rights(entry), va < 3ull << 30 ? SHIM_MAP_RWX : SHIM_MAP_NONE);
            if (entry)
                assert_true(gpa == va && size == SHIM_SIZE_2M && entry & cbit);
        }
        machine_stop();
    }
}

/* RAM that ends inside 4 GiB's last 2 MiB, and goes on after. */
static void borders(void **state)
{
    struct shim_tables t;
    uint64_t cr3, gpa = 0, size = 0;
    const struct bawn_shim_range r = { SHIM_MAPPED_END - 4096, SHIM_SIZE_2M };

    (void)state;
    machine_start(47);
    cr3 = shim_tables_init(&t, SHIM_LINUX_TABLES, 1ull << 47);
    shim_tables_large(&t, &r, SHIM_MAP_RW);
    assert_true(machine_walk(cr3, SHIM_MAPPED_END - 1, &gpa, &size) != 0);
    assert_int_equal(machine_walk(cr3, SHIM_MAPPED_END - SHIM_SIZE_2M - 1, &gpa, &size), 0);
    assert_int_equal(machine_walk(cr3, SHIM_MAPPED_END, &gpa, &size), 0);
    /* The page after the tables is another's. */
    for (unsigned i = 0; i < 4096; i++)
        assert_int_equal(machine.ram[BAWN_SHIM_ZERO_PAGE + i], 0);
    machine_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own),
        cmocka_unit_test(window),
        cmocka_unit_test(for_linux),
        cmocka_unit_test(borders),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

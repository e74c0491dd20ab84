// SPDX-License-Identifier: Apache-2.0
/*
 * guest/shim/params.c: a good parameter page, every field with values that it must not have,
 * and every byte changed: whatever is accepted keeps its promises to the rest of the shim.
 */
#include "tests/unit/shim/machine.h"

#define IMAGE_SIZE 0x4420
#define CBIT 47
#define TOP (1ull << CBIT)
#define LOW_4G (1ull << 32)

static struct bawn_shim_params good(void)
{
    struct bawn_shim_params p;

    make_params(&p);
    return p;
}

static void accepted(const struct bawn_shim_params *p)
{
    struct shim_launched l;

    assert_int_equal(shim_params_check(p, IMAGE_SIZE, CBIT, &l), 0);
}

static void refused(const struct bawn_shim_params *p, unsigned reason, int line)
{
    struct shim_launched l;
    unsigned got = shim_params_check(p, IMAGE_SIZE, CBIT, &l);

    if (got != reason)
        fail_msg("line %d: 0x%x, want 0x%x", line, got, reason);
}

#define REFUSED(change, reason)                         \
    do {                                                \
        struct bawn_shim_params p = good();             \
                                                        \
        change;                                         \
        refused(&p, BAWN_SHIM_FAIL_##reason, __LINE__); \
    } while (0)

static void good_page(void **state)
{
    struct bawn_shim_params p = good();
    struct shim_launched l;
    const struct bawn_shim_range want[] = {
        { BAWN_SHIM_IMAGE, 0x5000 },
        { BAWN_SHIM_PARAMS, 0x20000 },
        { BAWN_SHIM_CMDLINE, 0x1000 },
        { BAWN_SHIM_ACPI, ACPI_SIZE },
        /* 0xffec00 to 0x10186a1 */
        { 0xffe000, 0x1b000 },
        { INITRD_GPA, 0x12000 },
    };

    (void)state;
    assert_int_equal(shim_params_check(&p, IMAGE_SIZE, CBIT, &l), 0);
    assert_int_equal(l.count, 6);
    assert_memory_equal(l.range, want, sizeof(want));
    /* The order in memory does not matter, and neighbours are none too close. */
    p.initrd.gpa = 0x60000;
    p.initrd.size = 0x30000;
    p.acpi.gpa = p.rsdp = 0x90000;
    p.cmdline.gpa = 0x5f000;
    assert_int_equal(shim_params_check(&p, IMAGE_SIZE, CBIT, &l), 0);
    for (unsigned i = 1; i < l.count; i++)
        assert_true(l.range[i - 1].gpa + l.range[i - 1].size <= l.range[i].gpa);
}

static void format(void **state)
{
    (void)state;
    REFUSED(p.magic[0] ^= 1, PARAM_MAGIC);
    REFUSED(p.magic[7] ^= 1, PARAM_MAGIC);
    REFUSED(p.version = 0, PARAM_MAGIC);
    REFUSED(p.size = 4095, PARAM_MAGIC);
    REFUSED(p.flags = 1, PARAM_FORMAT);
    REFUSED(p.vcpus = 0, PARAM_FORMAT);
    REFUSED(p.vcpus = BAWN_SHIM_VCPUS_MAX + 1, PARAM_FORMAT);
    REFUSED(p.nr_ram = 0, PARAM_FORMAT);
    REFUSED(p.nr_ram = BAWN_SHIM_RAM_MAX + 1, PARAM_FORMAT);
    REFUSED(p.nr_ram = UINT32_MAX, PARAM_FORMAT);
    REFUSED(p.nr_ram = 2, PARAM_FORMAT); /* a third entry without a count */
    REFUSED(p.reserved_0c4 = 1, PARAM_FORMAT);
    REFUSED(p.reserved_2c8[0] = 1, PARAM_FORMAT);
    REFUSED(p.reserved_2c8[sizeof(p.reserved_2c8) - 1] = 1, PARAM_FORMAT);
}

static void ram(void **state)
{
    struct bawn_shim_params p = good();

    (void)state;
    REFUSED(p.nr_ram = 4, PARAM_RAM); /* an empty one */
    REFUSED(p.ram[1].gpa = 0x9f000, PARAM_RAM);
    REFUSED(p.ram[1].gpa |= 0x800, PARAM_RAM);
    REFUSED(p.ram[1].size |= 1, PARAM_RAM);
    REFUSED(p.ram[2].size = TOP - p.ram[2].gpa + 4096, PARAM_RAM);
    REFUSED(p.ram[2].gpa = TOP, PARAM_RAM);
    REFUSED(p.ram[2].size = 0ull - p.ram[2].gpa, PARAM_RAM);
    REFUSED(p.ram[2].size = 0ull - 4096, PARAM_RAM);
    REFUSED(p.ram[2] = p.ram[0], PARAM_RAM);
    p.ram[2].size = TOP - p.ram[2].gpa;
    accepted(&p);
    p = good();
    p.nr_ram = BAWN_SHIM_RAM_MAX;
    for (unsigned i = 3; i < BAWN_SHIM_RAM_MAX; i++)
        p.ram[i] = (struct bawn_shim_range){ (uint64_t)i << 40, 4096 };
    accepted(&p);
    assert_true(shim_params_in_ram(&p, 0x9f000, 0x1000));
    assert_false(shim_params_in_ram(&p, 0x9f000, 0x1001));
    assert_false(shim_params_in_ram(&p, 0x9f000, UINT64_MAX));
    assert_false(shim_params_in_ram(&p, UINT64_MAX, 1));
    assert_false(shim_params_in_ram(&p, 0xa0000, 1));
    assert_true(shim_params_in_ram(&p, 31ull << 40, 4096));
}

static void ranges(void **state)
{
    (void)state;
    REFUSED(p.rsdp = BAWN_SHIM_ACPI - 1, PARAM_RANGE);
    REFUSED(p.rsdp = BAWN_SHIM_ACPI + ACPI_SIZE - 35, PARAM_RANGE);
    REFUSED(p.rsdp = UINT64_MAX, PARAM_RANGE);
    REFUSED(p.acpi.gpa = 0x50800, PARAM_RANGE);
    REFUSED(p.acpi.size = 0x1fff, PARAM_RANGE);
    REFUSED(p.acpi.size = 0, PARAM_RANGE);
    REFUSED(p.acpi.gpa = p.rsdp = 0xa0000, PARAM_RANGE);
    REFUSED(p.acpi.gpa = p.rsdp = RAM_HIGH_AT, PARAM_RANGE);
    REFUSED(p.acpi.gpa = p.rsdp = BAWN_SHIM_SECRETS, PARAM_RANGE);
    REFUSED(p.kernel.size = 0, PARAM_RANGE);
    REFUSED(p.kernel.size = UINT64_MAX, PARAM_RANGE);
    REFUSED(p.kernel.gpa = UINT64_MAX, PARAM_RANGE);
    REFUSED(p.kernel.gpa = RAM_LOW - 4096, PARAM_RANGE);
    REFUSED(p.kernel.gpa = RAM_HIGH_AT, PARAM_RANGE);
    REFUSED(p.kernel.gpa = INITRD_GPA - KERNEL_SIZE + 1, PARAM_RANGE);
    REFUSED(p.kernel.gpa = 0x30000; p.kernel.size = 1, PARAM_RANGE);
    REFUSED(p.initrd.gpa |= 1, PARAM_RANGE);
    REFUSED(p.initrd.gpa = KERNEL_LOAD, PARAM_RANGE);
    REFUSED(p.initrd.gpa = KERNEL_LOAD - 0x8000, PARAM_RANGE);
    REFUSED(p.initrd.gpa = RAM_HIGH_AT, PARAM_RANGE);
    REFUSED(p.initrd.size = 0, PARAM_RANGE); /* with an address */
    REFUSED(p.initrd.size = RAM_LOW, PARAM_RANGE);
    REFUSED(p.initrd.gpa = 0, PARAM_RANGE); /* over the shim */
    REFUSED(p.cmdline.size = 0, PARAM_RANGE);
    REFUSED(p.cmdline.gpa |= 8, PARAM_RANGE);
    REFUSED(p.cmdline.gpa = 0x13000, PARAM_RANGE);
    REFUSED(p.cmdline.gpa = BAWN_SHIM_ZERO_PAGE, PARAM_RANGE);
    REFUSED(p.cmdline.size = 0x10001, PARAM_RANGE); /* into the ACPI tables */
    REFUSED(p.ram[0].gpa = 0x11000; p.ram[0].size -= 0x11000, PARAM_RANGE);
    REFUSED(p.ram[0].size = 0x3f000, PARAM_RANGE);
}

/* A page next to the kernel's first or last one, which it only touches. */
static void shared_pages(void **state)
{
    struct bawn_shim_params p = good();

    (void)state;
    p.initrd.gpa = 0x1019000;
    accepted(&p);
    p.initrd.gpa -= 4096;
    refused(&p, BAWN_SHIM_FAIL_PARAM_RANGE, __LINE__);
    p = good();
    p.initrd.gpa = 0xffe000 - 0x12000;
    accepted(&p);
    p.initrd.gpa += 4096;
    refused(&p, BAWN_SHIM_FAIL_PARAM_RANGE, __LINE__);
}

static void holds(const struct bawn_shim_params *p, const struct shim_launched *l)
{
    uint64_t end = 0;

    assert_in_range(l->count, 5, 6);
    for (unsigned i = 0; i < l->count; i++) {
        const struct bawn_shim_range *r = &l->range[i];

        assert_true(r->size && r->gpa % 4096 == 0 && r->size % 4096 == 0 && r->gpa >= end);
        assert_true(shim_params_in_ram(p, r->gpa, r->size));
        end = r->gpa + r->size;
        assert_true(end <= LOW_4G);
    }
}

static void every_byte(void **state)
{
    static const uint8_t changes[] = { 0x01, 0x80, 0xff, 0x7f, 0x10 };
    unsigned taken = 0;

    (void)state;
    for (size_t at = 0; at < sizeof(struct bawn_shim_params); at++) {
        for (size_t i = 0; i < sizeof(changes); i++) {
            struct bawn_shim_params p = good();
            struct shim_launched l;

            ((uint8_t *)&p)[at] ^= changes[i];
            if (shim_params_check(&p, IMAGE_SIZE, CBIT, &l) == 0) {
                holds(&p, &l);
                taken++;
            }
        }
    }
    /* Hashes (96 bytes) are anybody's; of the rest (some 700 bytes that mean something, 3,300
     * reserved) little passes. */
    assert_in_range(taken, 96 * 5, 96 * 5 + 200);
}

static void reasons(void **state)
{
    (void)state;
    assert_string_equal(bawn_shim_reason_text(1, BAWN_SHIM_FAIL_NOT_VMPL0),
                        "the guest does not run at VMPL 0");
    assert_null(bawn_shim_reason_text(0, BAWN_SHIM_FAIL_NOT_VMPL0));
    assert_null(bawn_shim_reason_text(1, 0));
    assert_null(bawn_shim_reason_text(1, 0x3f));
    assert_null(bawn_shim_reason_text(1, 0xff));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_page), cmocka_unit_test(format),       cmocka_unit_test(ram),
        cmocka_unit_test(ranges),    cmocka_unit_test(shared_pages), cmocka_unit_test(every_byte),
        cmocka_unit_test(reasons),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

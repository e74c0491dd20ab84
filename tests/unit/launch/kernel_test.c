// SPDX-License-Identifier: Apache-2.0
/*
 * Kernel images, good and hostile: bzImage and PVH ELF. A damaged image is either refused with a
 * message or gives a plan that passes every check; it never makes us read outside it.
 */
#include "tests/unit/launch/images.h"

#define MEMORY (256ull << 20)

static enum bawn_status try_image(const uint8_t *image, size_t len, const char *words)
{
    struct bawn_vm_config cfg = make_config(MEMORY, 2);
    uint8_t *exact = copy_exact(image, len);
    struct bawn_launch_plan plan;
    struct bawn_error err = { "" };
    static const uint8_t initrd[5000];
    enum bawn_status st;

    st = bawn_launch_plan(&plan, &cfg, exact, len, initrd, sizeof(initrd), &err);
    if (st == BAWN_OK) {
        check_plan(&plan, &cfg);
        bawn_launch_plan_free(&plan);
    } else {
        assert_true(strlen(err.msg) > 0);
        assert_null(plan.owned);
    }
    if (words && !strstr(err.msg, words))
        fail_msg("got \"%s\", want \"%s\"", err.msg, words);
    free(exact);
    bawn_vm_config_free(&cfg);
    return st;
}

static void bzimage_placed(void **state)
{
    struct bawn_vm_config cfg = make_config(MEMORY, 1);
    uint8_t *image = make_bzimage();
    static uint8_t initrd[5000] = { 1, 2, 3 };
    struct bawn_launch_plan plan;
    const struct bawn_region *r;
    const uint8_t *bp;

    (void)state;
    assert_int_equal(bawn_launch_plan(&plan, &cfg, image, BZ_SIZE, initrd, sizeof(initrd), NULL),
                     BAWN_OK);
    check_plan(&plan, &cfg);
    r = find_region(&plan, BAWN_MEASURE_KERNEL);
    assert_int_equal(r->gpa, BZ_LOAD);
    assert_int_equal(r->data_len, BZ_PAYLOAD);
    assert_memory_equal(r->data, image + BZ_SETUP, BZ_PAYLOAD);
    r = find_region(&plan, BAWN_MEASURE_INITRD);
    assert_int_equal(r->gpa, MEMORY - 8192);
    r = find_region(&plan, BAWN_MEASURE_CMDLINE);
    assert_memory_equal(r->data, cfg.cmdline, strlen(cfg.cmdline));
    r = find_region(&plan, BAWN_MEASURE_BOOT_INFO);
    bp = r->data;
    assert_int_equal(plan.regs.rsi, r->gpa);
    assert_int_equal(plan.regs.rip, BZ_LOAD + 0x200);
    assert_memory_equal(bp + 0x202, "HdrS", 4);
    assert_int_equal(bp[0x210], 0xff);
    assert_int_equal(get_le(bp + 0x218, 4), MEMORY - 8192);
    assert_int_equal(get_le(bp + 0x21c, 4), sizeof(initrd));
    assert_int_equal(get_le(bp + 0x228, 4), find_region(&plan, BAWN_MEASURE_CMDLINE)->gpa);
    assert_int_equal(get_le(bp + 0x70, 8), find_region(&plan, BAWN_MEASURE_ACPI)->gpa);
    /* e820: the first entry is low RAM, and all RAM entries but the low hole make up memory. */
    assert_in_range(bp[0x1e8], 4, 5);
    assert_int_equal(get_le(bp + 0x2d0 + 16, 4), 1);
    bawn_launch_plan_free(&plan);
    bawn_vm_config_free(&cfg);
    free(image);
}

static void bzimage_refused(void **state)
{
    static const struct {
        unsigned at;
        unsigned n;
        uint64_t value;
        const char *words;
    } cases[] = {
        { 0x201, 1, 0xff, "header ends at" },
        { 0x201, 1, 0x10, "2.12 or later" },
        { 0x206, 2, 0x20b, "protocol 2.11" },
        { 0x211, 1, 0, "loadflags" },
        { 0x236, 2, 0x7e, "xloadflags" },
        { 0x230, 4, 0, "kernel_alignment" },
        { 0x230, 4, 0x300000, "kernel_alignment" },
        { 0x230, 4, 0x80000000, "kernel_alignment" },
        { 0x238, 4, 5, "this kernel takes at most 5" },
        { 0x260, 4, 100, "init_size is 0x64" },
        { 0x260, 4, 0xffffffff, "give the VM at least 4112 MiB" },
        { 0x22c, 4, 0x1000000, "initrd of 5000 bytes does not fit" },
        { 0x22c, 4, 0, "initrd of 5000 bytes does not fit" },
        { 0x1f1, 1, 200, "holds no kernel" },
    };
    uint8_t *good = make_bzimage();

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint8_t *bad = copy_exact(good, BZ_SIZE);

        put_le(bad + cases[i].at, cases[i].value, cases[i].n);
        assert_int_not_equal(try_image(bad, BZ_SIZE, cases[i].words), BAWN_OK);
        free(bad);
    }
    free(good);
}

/* A load address that does not serve: moved when the kernel may move, else refused. */
static void bzimage_relocated(void **state)
{
    static const uint64_t pref[] = { 0, 0xfff000, 0x1000001, 0xc0000000, UINT64_MAX };
    uint8_t *image = make_bzimage();

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(pref); i++) {
        enum bawn_status fixed;

        put_le(image + 0x258, pref[i], 8);
        image[0x234] = 1;
        assert_int_equal(try_image(image, BZ_SIZE, NULL), BAWN_OK);
        image[0x234] = 0;
        fixed = try_image(image, BZ_SIZE, NULL);
        assert_int_equal(fixed, pref[i] == 0xfff000 ? BAWN_OK : BAWN_E_UNSUPPORTED);
    }
    free(image);
}

static void elf_placed(void **state)
{
    struct bawn_vm_config cfg = make_config(MEMORY, 1);
    uint8_t *image = make_elf();
    static uint8_t initrd[4096] = { 9 };
    struct bawn_launch_plan plan;
    const struct bawn_region *r;
    const uint8_t *info;

    (void)state;
    assert_int_equal(bawn_launch_plan(&plan, &cfg, image, ELF_SIZE, initrd, sizeof(initrd), NULL),
                     BAWN_OK);
    check_plan(&plan, &cfg);
    r = find_region(&plan, BAWN_MEASURE_KERNEL);
    assert_int_equal(r->gpa, ELF_TEXT_GPA);
    assert_int_equal(r->size, 0x3000);
    assert_int_equal(r->data[0xfff], 0x90);
    assert_int_equal(r->data[0x1000], 0);
    assert_int_equal(r->data[0x2100], 0xdd);
    assert_int_equal(r->data[0x22ff], 0xdd);
    assert_int_equal(r->data[0x2300], 0);
    assert_int_equal(plan.regs.rip, ELF_ENTRY);
    assert_int_equal(plan.sregs.cr0 & 0x80000001, 1);
    assert_int_equal(plan.sregs.efer, 0);
    r = find_region(&plan, BAWN_MEASURE_BOOT_INFO);
    info = r->data;
    assert_int_equal(plan.regs.rbx, r->gpa);
    assert_int_equal(get_le(info, 4), 0x336ec578);
    assert_int_equal(get_le(info + 12, 4), 1);
    assert_int_equal(get_le(info + 32, 8), find_region(&plan, BAWN_MEASURE_ACPI)->gpa);
    info += get_le(info + 16, 8) - r->gpa;
    assert_int_equal(get_le(info, 8), find_region(&plan, BAWN_MEASURE_INITRD)->gpa);
    assert_int_equal(get_le(info + 8, 8), sizeof(initrd));
    bawn_launch_plan_free(&plan);
    bawn_vm_config_free(&cfg);
    free(image);
}

static void elf_refused(void **state)
{
    static const struct {
        unsigned at;
        unsigned n;
        uint64_t value;
        const char *words;
    } cases[] = {
        { 4, 1, 1, "class 1" },
        { 18, 2, 3, "machine 3" },
        { 54, 2, 32, "of 32 bytes" },
        { 56, 2, 0, "has 0 program headers" },
        { 56, 2, 65, "has 65 program headers" },
        { 32, 8, UINT64_MAX - 8, "lie outside the file" },
        { 64 + 8, 8, ELF_SIZE - 4, "notes lie outside" },
        { ELF_NOTE_AT + 24, 4, 17, "no PVH note" },
        { ELF_NOTE_AT, 4, UINT32_MAX, "notes lie outside" },
        { ELF_NOTE_AT + 4, 4, UINT32_MAX, "notes lie outside" },
        { ELF_NOTE_AT + 32, 8, 0x1000000ull << 16, "PVH entry" },
        { ELF_NOTE_AT + 32, 8, 0, "PVH entry" },
        { 120 + 24, 8, 0x1000, "must lie between 1 MiB" },
        { 120 + 24, 8, UINT64_MAX - 0xfff, "must lie between 1 MiB" },
        { 120 + 32, 8, 0x2000, "inside the file" },
        { 120 + 40, 8, 0x2200, "must come after" },
        { 176 + 40, 8, 0, "at most its memory size" },
        { 176 + 40, 8, MEMORY, "RAM's end" },
    };
    uint8_t *good = make_elf();

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint8_t *bad = copy_exact(good, ELF_SIZE);

        put_le(bad + cases[i].at, cases[i].value, cases[i].n);
        assert_int_not_equal(try_image(bad, ELF_SIZE, cases[i].words), BAWN_OK);
        free(bad);
    }
    free(good);
}

/* Every length, then every byte of the headers with each bit flipped and at both extremes. */
static void damage(const uint8_t *good, size_t len, size_t header)
{
    uint8_t *bad = copy_exact(good, len);

    for (size_t n = 0; n < len; n += n < header ? 1 : 97)
        try_image(good, n, NULL);
    for (size_t at = 0; at < header; at++) {
        for (unsigned bit = 0; bit < 10; bit++) {
            bad[at] = bit < 8 ? good[at] ^ (uint8_t)(1u << bit) : bit == 8 ? 0 : 0xff;
            try_image(bad, len, NULL);
        }
        bad[at] = good[at];
    }
    free(bad);
}

static void bzimage_damaged(void **state)
{
    uint8_t *image = make_bzimage();

    (void)state;
    for (size_t n = 0; n < BZ_SETUP; n++)
        assert_int_not_equal(try_image(image, n, NULL), BAWN_OK);
    damage(image, BZ_SIZE, 0x290);
    free(image);
}

static void elf_damaged(void **state)
{
    uint8_t *image = make_elf();

    (void)state;
    for (size_t n = 0; n < ELF_SIZE; n += 13)
        assert_int_not_equal(try_image(image, n, NULL), BAWN_OK);
    damage(image, ELF_SIZE, ELF_NOTE_AT + 48);
    free(image);
}

static void neither(void **state)
{
    static const uint8_t text[600] = "#!/bin/sh\n";

    (void)state;
    assert_int_equal(try_image(text, sizeof(text), "neither a bzImage nor an ELF"), BAWN_E_FORMAT);
    assert_int_equal(try_image(text, 0, "neither"), BAWN_E_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bzimage_placed),    cmocka_unit_test(bzimage_refused),
        cmocka_unit_test(bzimage_relocated), cmocka_unit_test(elf_placed),
        cmocka_unit_test(elf_refused),       cmocka_unit_test(bzimage_damaged),
        cmocka_unit_test(elf_damaged),       cmocka_unit_test(neither),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

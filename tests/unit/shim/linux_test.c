// SPDX-License-Identifier: Apache-2.0
/*
 * guest/shim/linux.c: the zero page, memory map and CC blob byte by byte, kernels in places
 * where they cannot run, and damaged headers.
 */
#include <asm/bootparam.h>

#include "tests/unit/shim/machine.h"

struct run {
    struct bawn_shim_params p;
    struct shim_launched launched;
    struct shim_kernel kernel;
    uint8_t *image;
};

/* The image is an exact-size block, so that a read past its end is seen. */
static void start(struct run *r, uint64_t size)
{
    uint8_t *whole = malloc(KERNEL_SIZE);

    make_params(&r->p);
    r->p.kernel.size = size;
    r->image = malloc(size);
    assert_non_null(whole);
    assert_non_null(r->image);
    make_kernel(whole);
    memcpy(r->image, whole, size);
    free(whole);
}

static unsigned finish(struct run *r)
{
    unsigned reason = shim_params_check(&r->p, 0x4420, 47, &r->launched);

    assert_int_equal(reason, 0);
    return shim_kernel_read(&r->kernel, r->image, &r->p, &r->launched);
}

static struct boot_params *zero_page(struct run *r)
{
    struct boot_params *bp = calloc(1, sizeof(*bp));

    assert_non_null(bp);
    start(r, KERNEL_SIZE);
    assert_int_equal(finish(r), 0);
    shim_zero_page(bp, &r->kernel, &r->p);
    return bp;
}

static void fields(void **state)
{
    struct run r;
    struct boot_params *bp = zero_page(&r);
    uint8_t *bytes = (uint8_t *)bp;

    (void)state;
    assert_int_equal(r.kernel.load, KERNEL_LOAD);
    assert_int_equal(r.kernel.cmdline_max, 2047);
    assert_memory_equal(bytes + 0x202, "HdrS", 4);
    assert_int_equal(get_le(bytes + 0x1fa, 2), 0xffff); /* vid_mode */
    assert_int_equal(bytes[0x210], 0xff);               /* type_of_loader */
    assert_int_equal(bytes[0x211], 1);                  /* loadflags */
    assert_int_equal(get_le(bytes + 0x214, 4), KERNEL_LOAD);
    assert_int_equal(get_le(bytes + 0x218, 4), INITRD_GPA);
    assert_int_equal(get_le(bytes + 0x21c, 4), INITRD_SIZE);
    assert_int_equal(get_le(bytes + 0x224, 2), 0);
    assert_int_equal(get_le(bytes + 0x228, 4), BAWN_SHIM_CMDLINE);
    assert_int_equal(get_le(bytes + 0x250, 8), BAWN_SHIM_SETUP_DATA);
    assert_int_equal(get_le(bytes + 0x258, 8), KERNEL_LOAD);
    assert_int_equal(get_le(bytes + 0x260, 4), KERNEL_INIT_SIZE);
    assert_int_equal(get_le(bytes + 0x268, 4), 0x99887766);
    /* After the header's end the image's bytes are not the header's. */
    assert_int_equal(get_le(bytes + 0x26c, 4), 0);
    assert_int_equal(get_le(bytes + 0x070, 8), BAWN_SHIM_ACPI); /* acpi_rsdp_addr */
    assert_int_equal(bytes[0x1ef], 0);                          /* sentinel */
    assert_int_equal(get_le(bytes + 0x13c, 4), 0);              /* cc_blob_address */
    free(bp);
    free(r.image);
}

static void e820(void **state)
{
    static const struct {
        uint64_t start, end;
        uint32_t type;
    } want[] = {
        { 0, 0x21000, 1 },
        { 0x21000, 0x23000, 2 },
        { 0x23000, 0x50000, 1 },
        { 0x50000, 0x52000, 3 },
        { 0x52000, 0xa0000, 1 },
        { 0x100000, RAM_LOW, 1 },
        { RAM_HIGH_AT, RAM_HIGH_AT + RAM_HIGH, 1 },
    };
    struct run r;
    struct boot_params *bp = zero_page(&r);

    (void)state;
    assert_int_equal(bp->e820_entries, 7);
    for (unsigned i = 0; i < 7; i++) {
        assert_int_equal(bp->e820_table[i].addr, want[i].start);
        assert_int_equal(bp->e820_table[i].size, want[i].end - want[i].start);
        assert_int_equal(bp->e820_table[i].type, want[i].type);
    }
    /* ACPI tables at the end of a range, and the longest map. */
    memset(bp, 0, sizeof(*bp));
    r.p.acpi.gpa = r.p.rsdp = RAM_LOW - ACPI_SIZE;
    r.p.nr_ram = BAWN_SHIM_RAM_MAX;
    for (unsigned i = 3; i < BAWN_SHIM_RAM_MAX; i++)
        r.p.ram[i] = (struct bawn_shim_range){ (uint64_t)i << 40, 4096 };
    shim_zero_page(bp, &r.kernel, &r.p);
    assert_int_equal(bp->e820_entries, BAWN_SHIM_RAM_MAX + 3);
    assert_int_equal(bp->e820_table[2].type, 1);
    assert_int_equal(bp->e820_table[4].addr, RAM_LOW - ACPI_SIZE);
    assert_int_equal(bp->e820_table[4].type, 3);
    assert_int_equal(bp->e820_table[5].addr, RAM_HIGH_AT);
    free(bp);
    free(r.image);
}

static void cc_blob(void **state)
{
    uint8_t *page = calloc(1, 4096);
    uint64_t blob;

    (void)state;
    assert_non_null(page);
    shim_setup_data(page);
    assert_int_equal(get_le(page, 8), 0);     /* no next */
    assert_int_equal(get_le(page + 8, 4), 7); /* SETUP_CC_BLOB */
    blob = get_le(page + 16, 4);
    /* All of the blob lies in the node, which Linux reserves. */
    assert_true(blob >= BAWN_SHIM_SETUP_DATA + 20);
    assert_int_equal(blob + 40, BAWN_SHIM_SETUP_DATA + 16 + get_le(page + 12, 4));
    blob -= BAWN_SHIM_SETUP_DATA;
    assert_int_equal(get_le(page + blob, 4), 0x45444d41);
    assert_int_equal(get_le(page + blob + 4, 4), 0);
    assert_int_equal(get_le(page + blob + 8, 8), BAWN_SHIM_SECRETS);
    assert_int_equal(get_le(page + blob + 16, 8), 4096);
    assert_int_equal(get_le(page + blob + 24, 8), BAWN_SHIM_CPUID);
    assert_int_equal(get_le(page + blob + 32, 8), 4096);
    free(page);
}

#define REFUSED(change, reason)                                \
    do {                                                       \
        struct run r;                                          \
                                                               \
        start(&r, KERNEL_SIZE);                                \
        change;                                                \
        assert_int_equal(finish(&r), BAWN_SHIM_FAIL_##reason); \
        free(r.image);                                         \
    } while (0)

static void headers(void **state)
{
    (void)state;
    REFUSED(r.image[0x202]++, KERNEL_HEADER);
    REFUSED(put_le(r.image + 0x206, 0x20b, 2), KERNEL_HEADER);
    REFUSED(r.image[0x201] = 0x61, KERNEL_HEADER); /* ends before init_size does */
    REFUSED(r.image[0x201] = 0x8f, KERNEL_HEADER); /* ends in boot_params' next field */
    REFUSED(r.image[0x211] = 0, KERNEL_HEADER);
    REFUSED(r.image[0x236] = 0x7e, KERNEL_HEADER);
    REFUSED(r.image[0x234] = 0, KERNEL_HEADER);
    REFUSED(put_le(r.image + 0x230, 0, 4), KERNEL_HEADER);
    REFUSED(put_le(r.image + 0x230, 0x300000, 4), KERNEL_HEADER);
    REFUSED(put_le(r.image + 0x230, 0x800, 4), KERNEL_HEADER);
    REFUSED(r.image[0x1f1] = 255, KERNEL_HEADER); /* all setup */
}

static void places(void **state)
{
    struct run r;

    (void)state;
    REFUSED(r.p.kernel.gpa += 512, KERNEL_PLACE);
    REFUSED(r.p.kernel.gpa += 0x100000, KERNEL_PLACE);
    REFUSED(r.p.kernel.gpa -= 0x200000, KERNEL_PLACE); /* below pref_address */
    REFUSED(put_le(r.image + 0x258, KERNEL_LOAD + 1, 8), KERNEL_PLACE);
    REFUSED(r.image[0x1f1] = 8, KERNEL_PLACE);
    REFUSED(put_le(r.image + 0x260, KERNEL_SIZE - KERNEL_SETUP - 1, 4), KERNEL_PLACE);
    REFUSED(put_le(r.image + 0x260, RAM_LOW - KERNEL_LOAD + 1, 4), KERNEL_PLACE);
    REFUSED(put_le(r.image + 0x260, UINT32_MAX, 4), KERNEL_PLACE);
    REFUSED(r.p.initrd.gpa = KERNEL_LOAD + KERNEL_INIT_SIZE - 4096, KERNEL_PLACE);
    REFUSED(r.p.cmdline.gpa = KERNEL_LOAD + KERNEL_INIT_SIZE - 4096, KERNEL_PLACE);
    REFUSED(r.p.acpi.gpa = r.p.rsdp = KERNEL_LOAD + 0x400000, KERNEL_PLACE);
    start(&r, KERNEL_SIZE);
    r.p.kernel.gpa += 0x200000;
    r.p.initrd.gpa = KERNEL_LOAD + 0x200000 + KERNEL_INIT_SIZE;
    assert_int_equal(finish(&r), 0);
    assert_int_equal(r.kernel.load, KERNEL_LOAD + 0x200000);
    free(r.image);
    start(&r, KERNEL_SIZE);
    put_le(r.image + 0x258, 0, 8);
    put_le(r.image + 0x230, 0x1000, 4);
    r.p.kernel.gpa = 0x80000 - KERNEL_SETUP;
    r.p.kernel.size = 0x10000;
    assert_int_equal(finish(&r), BAWN_SHIM_FAIL_KERNEL_PLACE); /* below 1 MiB */
    free(r.image);
}

static void truncated(void **state)
{
    (void)state;
    for (uint64_t size = 1; size < KERNEL_SETUP + 0x400; size += size < 0x300 ? 1 : 61) {
        struct run r;
        unsigned want = size <= KERNEL_SETUP + 0x200 ? BAWN_SHIM_FAIL_KERNEL_HEADER : 0;

        start(&r, size);
        assert_int_equal(finish(&r), want);
        free(r.image);
    }
}

static void every_header_byte(void **state)
{
    unsigned taken = 0;

    (void)state;
    for (unsigned at = 0x1f1; at < 0x290; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct run r;
            struct boot_params *bp = calloc(1, sizeof(*bp));

            assert_non_null(bp);
            start(&r, KERNEL_SIZE);
            r.image[at] ^= (uint8_t)(1u << bit);
            if (!finish(&r)) {
                uint64_t end = r.kernel.load + get_le(r.image + 0x260, 4);

                taken++;
                assert_true(r.kernel.load >= 0x100000 && end <= INITRD_GPA);
                shim_zero_page(bp, &r.kernel, &r.p);
                assert_int_equal(bp->e820_entries, 7);
            }
            free(r.image);
            free(bp);
        }
    }
    assert_true(taken > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields),
        cmocka_unit_test(e820),
        cmocka_unit_test(cc_blob),
        cmocka_unit_test(headers),
        cmocka_unit_test(places),
        cmocka_unit_test(truncated),
        cmocka_unit_test(every_header_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small kernels made up for the tests of launch/, and the check that every plan must pass.
 * Images are exact-size heap blocks, so that the sanitizer sees a read past their end.
 */
#ifndef BAWN_TEST_IMAGES_H
#define BAWN_TEST_IMAGES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "launch/internal.h"

#define BZ_SETUP ((4 + 1) * 512)
#define BZ_PAYLOAD 6000
#define BZ_SIZE (BZ_SETUP + BZ_PAYLOAD)
#define BZ_HEADER_END 0x26c
#define BZ_LOAD 0x1000000
#define BZ_INIT_SIZE 0x100000

#define ELF_PHDRS 3
#define ELF_NOTE_AT 0x100
#define ELF_TEXT_AT 0x200
#define ELF_SIZE 0x1400
#define ELF_TEXT_GPA 0x1000000
#define ELF_DATA_GPA 0x1002100
#define ELF_ENTRY 0x1000010

static inline void put_le(uint8_t *p, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static inline uint64_t get_le(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static inline uint8_t *copy_exact(const uint8_t *p, size_t n)
{
    uint8_t *c = malloc(n ? n : 1);

    assert_non_null(c);
    memcpy(c, p, n);
    return c;
}

/* A bzImage with the header fields of a Debian kernel. Freed by the caller. */
static inline uint8_t *make_bzimage(void)
{
    uint8_t *p = calloc(1, BZ_SIZE);

    assert_non_null(p);
    p[0x1f1] = 4;
    put_le(p + 0x1fe, 0xaa55, 2);
    p[0x200] = 0xeb;
    p[0x201] = BZ_HEADER_END - 0x202;
    memcpy(p + 0x202, "HdrS", 4);
    put_le(p + 0x206, 0x20f, 2);
    p[0x211] = 1;
    put_le(p + 0x22c, 0x7fffffff, 4);
    put_le(p + 0x230, 0x200000, 4);
    p[0x234] = 1;
    put_le(p + 0x236, 0x7f, 2);
    put_le(p + 0x238, 2047, 4);
    put_le(p + 0x258, BZ_LOAD, 8);
    put_le(p + 0x260, BZ_INIT_SIZE, 4);
    for (unsigned i = 0; i < BZ_PAYLOAD; i++)
        p[BZ_SETUP + i] = (uint8_t)(i * 7 + 1);
    return p;
}

static inline void put_phdr(uint8_t *p, uint32_t type, uint64_t offset, uint64_t paddr,
                            uint64_t filesz, uint64_t memsz)
{
    put_le(p, type, 4);
    put_le(p + 8, offset, 8);
    put_le(p + 24, paddr, 8);
    put_le(p + 32, filesz, 8);
    put_le(p + 40, memsz, 8);
}

/* An ELF kernel: a note, text, and data whose start is not on a page and whose end is zeros. */
static inline uint8_t *make_elf(void)
{
    static const uint8_t ident[] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };
    uint8_t *p = calloc(1, ELF_SIZE);

    assert_non_null(p);
    memcpy(p, ident, sizeof(ident));
    put_le(p + 16, 2, 2);
    put_le(p + 18, 62, 2);
    put_le(p + 32, 64, 8);
    put_le(p + 54, 56, 2);
    put_le(p + 56, ELF_PHDRS, 2);
    put_phdr(p + 64, 4, ELF_NOTE_AT, 0, 40, 40);
    put_phdr(p + 120, 1, ELF_TEXT_AT, ELF_TEXT_GPA, 0x1000, 0x1000);
    put_phdr(p + 176, 1, ELF_TEXT_AT + 0x1000, ELF_DATA_GPA, 0x200, 0x9000);
    /* Another owner's note first. */
    put_le(p + ELF_NOTE_AT, 4, 4);
    put_le(p + ELF_NOTE_AT + 8, 18, 4);
    memcpy(p + ELF_NOTE_AT + 12, "GNU", 4);
    put_le(p + ELF_NOTE_AT + 16, 4, 4);
    put_le(p + ELF_NOTE_AT + 20, 8, 4);
    put_le(p + ELF_NOTE_AT + 24, 18, 4);
    memcpy(p + ELF_NOTE_AT + 28, "Xen", 4);
    put_le(p + ELF_NOTE_AT + 32, ELF_ENTRY, 8);
    memset(p + ELF_TEXT_AT, 0x90, 0x1000);
    memset(p + ELF_TEXT_AT + 0x1000, 0xdd, 0x200);
    return p;
}

static inline struct bawn_vm_config make_config(uint64_t memory, unsigned vcpus)
{
    struct bawn_vm_config cfg;

    bawn_vm_config_init(&cfg);
    cfg.kernel = strdup("kernel");
    cfg.cmdline = strdup("console=ttyS0 quiet");
    assert_non_null(cfg.kernel);
    assert_non_null(cfg.cmdline);
    cfg.memory = memory;
    cfg.vcpus = vcpus;
    return cfg;
}

static inline const struct bawn_region *find_region(const struct bawn_launch_plan *plan,
                                                    enum bawn_measure_type type)
{
    for (unsigned i = 0; i < plan->nr_regions; i++)
        if (plan->region[i].type == type)
            return &plan->region[i];
    return NULL;
}

/* What holds for every plan, whatever it was made from. */
static inline void check_plan(const struct bawn_launch_plan *plan, const struct bawn_vm_config *cfg)
{
    uint64_t total = 0, free_from = 0, low = plan->ram[0].size;
    const struct bawn_region *kernel = find_region(plan, BAWN_MEASURE_KERNEL);

    assert_in_range(plan->nr_ram, 1, 2);
    assert_int_equal(plan->ram[0].gpa, 0);
    assert_true(low <= BAWN_HOLE_START);
    if (plan->nr_ram == 2)
        assert_int_equal(plan->ram[1].gpa, BAWN_HIGH_RAM);
    for (unsigned i = 0; i < plan->nr_ram; i++)
        total += plan->ram[i].size;
    assert_int_equal(total, cfg->memory);
    assert_in_range(plan->nr_regions, 1, BAWN_MEASURE_MAX_REGIONS);
    for (unsigned i = 0; i < plan->nr_regions; i++) {
        const struct bawn_region *r = &plan->region[i];

        assert_int_equal(r->gpa % 4096, 0);
        assert_int_equal(r->size % 4096, 0);
        assert_true(r->size > 0 && r->data_len <= r->size);
        assert_true(r->gpa >= free_from && r->size <= low && r->gpa <= low - r->size);
        free_from = r->gpa + r->size;
        /* Touch it all: the sanitizer checks that it is there. */
        for (size_t b = 0; b < r->data_len; b += 64)
            assert_true(r->data[b] <= 0xff);
    }
    assert_non_null(kernel);
    assert_true(plan->regs.rip >= kernel->gpa && plan->regs.rip < kernel->gpa + kernel->size);
    assert_non_null(find_region(plan, BAWN_MEASURE_CMDLINE));
    assert_non_null(find_region(plan, BAWN_MEASURE_BOOT_INFO));
    assert_non_null(find_region(plan, BAWN_MEASURE_ACPI));
    assert_non_null(find_region(plan, BAWN_MEASURE_TABLES));
    assert_non_null(find_region(plan, BAWN_MEASURE_FIRMWARE));
}

#endif

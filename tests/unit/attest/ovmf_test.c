// SPDX-License-Identifier: Apache-2.0
/*
 * OVMF taken apart: real images, and hostile ones made of them.
 */
#include "tests/unit/attest/measure_fixtures.h"

#include "attest/lib/measure.h"

/* Where things stand in the AmdSev fixture of 4096 bytes. */
#define FOOTER (4096 - 50)       /* length, then GUID */
#define FIRST_TAIL (FOOTER - 18) /* of the entry before it: SEV-ES reset block */
#define SEV_ENTRY_TAIL (FIRST_TAIL - 22 - 26 - 26)
#define SEV_LIST (4096 - 0x554)
#define SEV_LIST_LEN (SEV_LIST + 4)
#define SEV_LIST_VERSION (SEV_LIST + 8)
#define SEV_LIST_N (SEV_LIST + 12)
#define SEV_SECTION(i) (SEV_LIST + 16 + 12 * (i))

static void real(void **state)
{
    static const struct ovmf_section want[] = {
        { 0x800000, 0x9000, 1 }, { 0x80a000, 0x3000, 1 }, { 0x80d000, 0x1000, 2 },
        { 0x80e000, 0x1000, 3 }, { 0x80f000, 0x1000, 4 }, { 0x810000, 0x1000, 0x10 },
        { 0x811000, 0xf000, 1 },
    };
    struct bawn_bytes image = must_read(AMDSEV), x64 = must_read(OVMFX64);
    struct bawn_error err;
    struct ovmf o;

    (void)state;
    assert_int_equal(ovmf_parse(&o, image, &err), BAWN_OK);
    assert_int_equal(o.gpa, 0xfffff000);
    assert_true(o.has_hash_table && o.has_reset_eip && o.has_sev && o.has_tdx);
    assert_int_equal(o.hash_table_gpa, 0x810c00);
    assert_int_equal(o.reset_eip, 0x80b004);
    assert_int_equal(o.nr_sections, 7);
    assert_memory_equal(o.sections, want, sizeof(want));
    assert_int_equal(ovmf_parse(&o, x64, &err), BAWN_OK);
    assert_int_equal(o.hash_table_gpa, 0);
    assert_int_equal(o.nr_sections, 6);
    drop(image);
    drop(x64);
}

/* One change each. */
static void broken(void **state)
{
    static const struct {
        size_t off;
        unsigned n;
        uint32_t value;
        enum bawn_status status;
        const char *word;
    } cases[] = {
        { FOOTER + 2, 1, 0, BAWN_E_FORMAT, "no GUIDed table" },
        { FOOTER, 2, 0, BAWN_E_FORMAT, "table's length is 0" },
        { FOOTER, 2, 17, BAWN_E_FORMAT, "table's length is 17" },
        { FOOTER, 2, 0xffff, BAWN_E_FORMAT, "table's length is 65535" },
        { FOOTER, 2, 4065, BAWN_E_FORMAT, "table's length is 4065" },
        { FOOTER, 2, 135, BAWN_E_FORMAT, "does not fit" },
        { FOOTER, 2, 19, BAWN_E_FORMAT, "does not fit" },
        { FIRST_TAIL, 2, 0, BAWN_E_FORMAT, "does not fit" },
        { FIRST_TAIL, 2, 17, BAWN_E_FORMAT, "does not fit" },
        { FIRST_TAIL, 2, 0xffff, BAWN_E_FORMAT, "does not fit" },
        { FIRST_TAIL, 2, 18, BAWN_E_FORMAT, "too short" },
        { SEV_ENTRY_TAIL - 4, 4, 4097, BAWN_E_FORMAT, "before the end of an image" },
        { SEV_ENTRY_TAIL - 4, 4, 0xffffffff, BAWN_E_FORMAT, "before the end of an image" },
        { SEV_ENTRY_TAIL - 4, 4, 15, BAWN_E_FORMAT, "no SEV metadata where" },
        { SEV_ENTRY_TAIL - 4, 4, 0, BAWN_E_FORMAT, "no SEV metadata where" },
        { SEV_LIST, 1, 'B', BAWN_E_FORMAT, "no SEV metadata where" },
        { SEV_LIST_VERSION, 4, 2, BAWN_E_UNSUPPORTED, "version 2" },
        { SEV_LIST_LEN, 4, 99, BAWN_E_FORMAT, "length 99, must be 100" },
        { SEV_LIST_N, 4, 8, BAWN_E_FORMAT, "must be 112" },
        { SEV_LIST_N, 4, 65, BAWN_E_UNSUPPORTED, "65 sections, at most 64" },
        { SEV_LIST_N, 4, 0x15555556, BAWN_E_UNSUPPORTED, "sections, at most 64" },
        { SEV_SECTION(0) + 4, 4, 0, BAWN_E_FORMAT, "whole pages" },
        { SEV_SECTION(0) + 4, 4, 0x8001, BAWN_E_FORMAT, "whole pages" },
        { SEV_SECTION(0), 4, 0x800800, BAWN_E_FORMAT, "whole pages" },
        { SEV_SECTION(6) + 4, 4, 0xfffff000, BAWN_E_FORMAT, "past 4 GiB" },
        { SEV_SECTION(6) + 4, 4, 0xff7ef000, BAWN_E_FORMAT, "overlaps" },
        { SEV_SECTION(1), 4, 0x808000, BAWN_E_FORMAT, "section 1 (0x3000 bytes at 0x808000) over" },
        { SEV_SECTION(1), 4, 0x7ff000, BAWN_E_FORMAT, "overlaps" },
        { SEV_SECTION(2), 4, 0xfffff000, BAWN_E_FORMAT, "overlaps another or the firmware" },
    };
    struct bawn_bytes image = must_read(AMDSEV);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bawn_bytes bad = copy_of(image.data, image.len);
        struct bawn_error err = { "" };
        struct ovmf o;

        put_le((uint8_t *)(uintptr_t)bad.data + cases[i].off, cases[i].value, cases[i].n);
        if (ovmf_parse(&o, bad, &err) != cases[i].status || !strstr(err.msg, cases[i].word))
            fail_msg("case %zu: %s", i, err.msg);
        drop(bad);
    }
    drop(image);
}

/* The same entry twice: which one holds is not for us to guess. */
static void twice(void **state)
{
    struct bawn_bytes image = must_read(AMDSEV);
    uint8_t *data = (uint8_t *)(uintptr_t)image.data;
    struct bawn_error err = { "" };
    struct ovmf o;

    (void)state;
    /* Both are of 26 bytes; the entry that is not looked for becomes another table of hashes. */
    memcpy(data + FIRST_TAIL - 22 + 2, data + FIRST_TAIL - 22 - 26 + 2, 16);
    assert_int_equal(ovmf_parse(&o, image, &err), BAWN_E_FORMAT);
    assert_non_null(strstr(err.msg, "two entries for the kernel hashes"));
    drop(image);
}

static void try_all(struct bawn_bytes image)
{
    struct bawn_sev_launch launch = { .firmware = image, .vcpus = 2, .sev_features = 1 };
    struct bawn_tdx_plan tdx;
    struct bawn_snp_plan snp;
    struct ovmf o;

    if (ovmf_parse(&o, image, NULL) != BAWN_OK)
        return;
    bawn_snp_plan(&launch, &snp, NULL);
    bawn_tdx_plan(image, &tdx, NULL);
}

static void truncated(void **state)
{
    struct bawn_bytes image = must_read(AMDSEV);
    struct bawn_error err;
    struct ovmf o;

    (void)state;
    for (size_t n = 0; n < image.len; n++) {
        struct bawn_bytes head = copy_of(image.data, n);
        struct bawn_bytes tail = copy_of(image.data + image.len - n, n);

        /* Without its end there is no table. */
        assert_int_not_equal(ovmf_parse(&o, head, &err), BAWN_OK);
        /* Without its beginning there may be. */
        if (n <= 0x554)
            assert_true(ovmf_parse(&o, tail, &err) != BAWN_OK || n == 0x554);
        try_all(tail);
        drop(head);
        drop(tail);
    }
    drop(image);
}

static void mutated(void **state)
{
    struct bawn_bytes image = must_read(AMDSEV);
    uint8_t *data = (uint8_t *)(uintptr_t)image.data;
    uint32_t seed = 1;

    (void)state;
    for (size_t i = 0x600; i < image.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            data[i] ^= (uint8_t)(1u << bit);
            try_all(image);
            data[i] ^= (uint8_t)(1u << bit);
        }
    }
    for (unsigned run = 0; run < 20000; run++) {
        struct bawn_bytes bad = copy_of(image.data, image.len);

        for (unsigned k = 0; k < 1 + run % 6; k++) {
            seed = seed * 1664525 + 1013904223;
            ((uint8_t *)(uintptr_t)bad.data)[0x630 + (seed >> 8) % (4096 - 0x630)] =
                (uint8_t)(seed >> 24);
        }
        try_all(bad);
        drop(bad);
    }
    drop(image);
}

/* Sizes that would take forever are refused at once. */
static void huge(void **state)
{
    static const uint8_t nothing;
    struct bawn_error err = { "" };
    struct ovmf o;

    (void)state;
    assert_int_equal(ovmf_parse(&o, (struct bawn_bytes){ &nothing, BAWN_FIRMWARE_MAX + 1 }, &err),
                     BAWN_E_UNSUPPORTED);
    assert_int_equal(ovmf_parse(&o, (struct bawn_bytes){ NULL, 0 }, &err), BAWN_E_FORMAT);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(real),      cmocka_unit_test(broken),  cmocka_unit_test(twice),
        cmocka_unit_test(truncated), cmocka_unit_test(mutated), cmocka_unit_test(huge),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

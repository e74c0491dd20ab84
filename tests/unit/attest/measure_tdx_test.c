// SPDX-License-Identifier: Apache-2.0
/*
 * MRTD against values that others computed, and TDVF images that are broken.
 */
#include "tests/unit/attest/measure_fixtures.h"

#include <bawn/ovmf.h>
#include <jansson.h>

/* ---- Vectors ---- */

static const char *text_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s ? s : "";
}

static void vectors(void **state)
{
    json_t *root = json_load_file(LAUNCH_VECTORS "tdx_mrtd.json", 0, NULL), *vector;
    unsigned checked = 0;
    size_t i;

    (void)state;
    assert_non_null(root);
    json_array_foreach(json_object_get(root, "vectors"), i, vector)
    {
        struct bawn_bytes image = debian_ovmf(text_of(vector, "firmware_sha256"));
        uint8_t mrtd[BAWN_TDX_DIGEST_SIZE];
        struct bawn_tdx_plan plan;
        struct bawn_error err = { "" };

        if (!image.data) {
            json_decref(root);
            print_message("# the ovmf package of the vectors is not installed\n");
            skip();
        }
        assert_int_equal(bawn_tdx_measure(image, BAWN_TDX_SINGLE_PASS, mrtd, &err), BAWN_OK);
        assert_string_equal(hex_of(mrtd, 48), text_of(vector, "mrtd_single_pass"));
        assert_int_equal(bawn_tdx_measure(image, BAWN_TDX_TWO_PASS, mrtd, &err), BAWN_OK);
        assert_string_equal(hex_of(mrtd, 48), text_of(vector, "mrtd_two_pass"));
        assert_int_equal(bawn_tdx_plan(image, &plan, &err), BAWN_OK);
        assert_int_equal(plan.n, json_array_size(json_object_get(vector, "sections")));
        for (size_t k = 0; k < plan.n; k++) {
            const json_t *want = json_array_get(json_object_get(vector, "sections"), k);

            assert_int_equal(plan.loads[k].gpa, strtoull(text_of(want, "gpa"), NULL, 0));
            assert_int_equal(plan.loads[k].size, strtoull(text_of(want, "mem_size"), NULL, 0));
        }
        drop(image);
        checked += 2;
    }
    json_decref(root);
    assert_int_equal(checked, 2);
}

/* ---- The model ---- */

static void operation(EVP_MD_CTX *ctx, const char *name, uint64_t gpa)
{
    uint8_t buffer[128] = { 0 };

    memcpy(buffer, name, strlen(name));
    put_le(buffer + 16, gpa, 8);
    assert_true(EVP_DigestUpdate(ctx, buffer, sizeof(buffer)));
}

static void extend(EVP_MD_CTX *ctx, uint64_t gpa, const uint8_t *page)
{
    for (unsigned i = 0; i < 16; i++) {
        operation(ctx, "MR.EXTEND", gpa + 256 * i);
        assert_true(EVP_DigestUpdate(ctx, page + 256 * (size_t)i, 256));
    }
}

static void by_hand(void **state)
{
    uint8_t pages[2][4096] = { { 1, 2, 3 }, { 9 } }, want[48], have[48];
    const struct bawn_tdx_load loads[] = {
        { 0xffffe000, 0x2000, { pages[0], 4097 }, true }, /* the rest of it is zero */
        { 0x809000, 0x1000, { pages[0], 1 }, false },
    };
    struct bawn_error err;

    (void)state;
    for (unsigned two = 0; two < 2; two++) {
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();

        assert_true(ctx && EVP_DigestInit_ex2(ctx, EVP_sha384(), NULL));
        operation(ctx, "MEM.PAGE.ADD", 0xffffe000);
        if (two)
            operation(ctx, "MEM.PAGE.ADD", 0xfffff000);
        extend(ctx, 0xffffe000, pages[0]);
        if (!two)
            operation(ctx, "MEM.PAGE.ADD", 0xfffff000);
        extend(ctx, 0xfffff000, pages[1]);
        operation(ctx, "MEM.PAGE.ADD", 0x809000);
        assert_true(EVP_DigestFinal_ex(ctx, want, NULL));
        EVP_MD_CTX_free(ctx);
        assert_int_equal(
            bawn_tdx_digest(loads, 2, two ? BAWN_TDX_TWO_PASS : BAWN_TDX_SINGLE_PASS, have, &err),
            BAWN_OK);
        assert_memory_equal(have, want, 48);
    }
}

static void bad_loads(void **state)
{
    static const uint8_t data[8192];
    const struct bawn_tdx_load bad[] = {
        { 0, 0, { NULL, 0 }, false },
        { 1, 4096, { NULL, 0 }, false },
        { 0, 4095, { NULL, 0 }, false },
        { UINT64_MAX - 4095, 8192, { NULL, 0 }, false },
        { 0, (1ull << 32) + 4096, { NULL, 0 }, false },
        { 0, 1ull << 44, { NULL, 0 }, true },
        { 0, 4096, { data, 4097 }, true },
    };
    uint8_t mrtd[48];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_not_equal(bawn_tdx_digest(&bad[i], 1, BAWN_TDX_SINGLE_PASS, mrtd, NULL),
                             BAWN_OK);
    assert_int_equal(bawn_tdx_digest(NULL, 0, (enum bawn_tdx_order)2, mrtd, NULL), BAWN_E_USAGE);
}

/* ---- TDVF images ---- */

#define IMAGE 0x3000
#define LIST 0x2000
#define SECTION(i) (LIST + 16 + 32 * (i))
#define NR 4

static void put_section(uint8_t *at, uint32_t off, uint32_t raw, uint64_t gpa, uint64_t size,
                        uint32_t type, uint32_t attributes)
{
    put_le(at, off, 4);
    put_le(at + 4, raw, 4);
    put_le(at + 8, gpa, 8);
    put_le(at + 16, size, 8);
    put_le(at + 24, type, 4);
    put_le(at + 28, attributes, 4);
}

/* Two pages of code, a HOB, a stack, and memory that is added later. */
static struct bawn_bytes image(void)
{
    static const uint8_t footer[] = BAWN_OVMF_FOOTER_GUID, tdx[] = BAWN_OVMF_TDX_METADATA_GUID;
    uint8_t *data = calloc(1, IMAGE), *end = data + IMAGE - 32;

    assert_non_null(data);
    for (unsigned i = 0; i < LIST; i++)
        data[i] = (uint8_t)(i * 7);
    memcpy(data + LIST, "TDVF", 4);
    put_le(data + LIST + 4, 16 + 32 * NR, 4);
    put_le(data + LIST + 8, 1, 4);
    put_le(data + LIST + 12, NR, 4);
    put_section(data + SECTION(0), 0, 0x2000, 0xffffd000, 0x2000, 0, 1);
    put_section(data + SECTION(1), 0, 0, 0x809000, 0x2000, 2, 0);
    put_section(data + SECTION(2), 0, 0, 0x810000, 0x3000, 3, 0);
    put_section(data + SECTION(3), 0, 0, 1ull << 32, 1ull << 40, 4, 2);
    memcpy(end - 16, footer, 16);
    put_le(end - 18, 18 + 22, 2);
    memcpy(end - 34, tdx, 16);
    put_le(end - 36, 22, 2);
    put_le(end - 40, IMAGE - LIST, 4);
    return (struct bawn_bytes){ data, IMAGE };
}

static void whole(void **state)
{
    struct bawn_bytes fw = image();
    struct bawn_tdx_plan plan;
    struct bawn_error err = { "" };
    uint8_t a[48], b[48];

    (void)state;
    if (bawn_tdx_plan(fw, &plan, &err) != BAWN_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(plan.n, 3);
    assert_true(plan.loads[0].extend);
    assert_ptr_equal(plan.loads[0].data.data, fw.data);
    assert_int_equal(plan.loads[0].data.len, 0x2000);
    assert_false(plan.loads[2].extend);
    assert_int_equal(plan.loads[2].gpa, 0x810000);
    assert_int_equal(bawn_tdx_measure(fw, BAWN_TDX_SINGLE_PASS, a, &err), BAWN_OK);
    ((uint8_t *)(uintptr_t)fw.data)[0x1fff] ^= 1;
    assert_int_equal(bawn_tdx_measure(fw, BAWN_TDX_SINGLE_PASS, b, &err), BAWN_OK);
    assert_memory_not_equal(a, b, 48);
    drop(fw);
}

static void broken(void **state)
{
    static const struct {
        size_t off;
        unsigned n;
        uint64_t value;
        const char *word;
    } cases[] = {
        { IMAGE - 32 - 34, 1, 0, "no TDX metadata" },
        { IMAGE - 32 - 40, 4, IMAGE + 1, "before the end of an image" },
        { LIST, 1, 'X', "must begin TDVF" },
        { LIST + 4, 4, 0, "length 0, must be 144" },
        { LIST + 8, 4, 0, "version 0" },
        { LIST + 12, 4, 65, "65 sections" },
        { LIST + 12, 4, 0x08000000, "134217728 sections" },
        { SECTION(0) + 24, 4, 9, "unknown type 9" },
        { SECTION(0) + 28, 4, 4, "unknown attributes 0x4" },
        { SECTION(0) + 28, 4, 3, "only after" },
        { SECTION(0) + 4, 4, 0, "must have some" },
        { SECTION(1) + 4, 4, 1, "must have none" },
        { SECTION(0) + 4, 4, 0x2001, "for 0x2000 bytes of memory" },
        { SECTION(0), 4, 0x1000, "" },
        { SECTION(0), 4, 0xffffffff, "of an image of 0x3000" },
        { SECTION(0), 4, 0x1001 + 0x1000, "of an image of 0x3000" },
        { SECTION(1) + 8, 8, 0x809001, "whole pages" },
        { SECTION(1) + 16, 8, 0, "whole pages" },
        { SECTION(1) + 16, 8, 1, "whole pages" },
        { SECTION(2) + 16, 8, 1ull << 42, "4 GiB" },
        { SECTION(2) + 16, 8, 0xffffffff00000000, "4 GiB" },
        { SECTION(2) + 16, 8, 0xfffffffffffff000, "past the last" },
        { SECTION(2) + 8, 8, 0xfffffffffffff000, "past the last" },
        { SECTION(2) + 8, 8, 0x80a000, "overlaps" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bawn_bytes fw = image();
        struct bawn_error err = { "" };
        uint8_t mrtd[48];
        enum bawn_status st;

        put_le((uint8_t *)(uintptr_t)fw.data + cases[i].off, cases[i].value, cases[i].n);
        st = bawn_tdx_measure(fw, BAWN_TDX_SINGLE_PASS, mrtd, &err);
        if (!*cases[i].word)
            assert_int_equal(st, BAWN_OK); /* another part of the image */
        else if (st == BAWN_OK || !strstr(err.msg, cases[i].word))
            fail_msg("case %zu: %s", i, err.msg);
        drop(fw);
    }
}

/* Nothing but later memory: no measurement. */
static void nothing_loaded(void **state)
{
    struct bawn_bytes fw = image();
    uint8_t *data = (uint8_t *)(uintptr_t)fw.data, mrtd[48];
    struct bawn_error err = { "" };

    (void)state;
    for (unsigned i = 0; i < NR; i++)
        put_le(data + SECTION(i) + 28, 2, 4);
    assert_int_equal(bawn_tdx_measure(fw, BAWN_TDX_SINGLE_PASS, mrtd, &err), BAWN_E_FORMAT);
    assert_non_null(strstr(err.msg, "load nothing"));
    drop(fw);
}

static void mutated(void **state)
{
    struct bawn_bytes fw = image();
    uint32_t seed = 7;

    (void)state;
    for (unsigned run = 0; run < 20000; run++) {
        struct bawn_bytes bad = copy_of(fw.data, fw.len);
        struct bawn_tdx_plan plan;

        for (unsigned k = 0; k < 1 + run % 5; k++) {
            size_t at;

            seed = seed * 1664525 + 1013904223;
            at = (seed >> 8) % (16 + 32 * NR + 72);
            at = at < 16 + 32 * NR ? LIST + at : IMAGE - 72 + at - (16 + 32 * NR);
            ((uint8_t *)(uintptr_t)bad.data)[at] = (uint8_t)(seed >> 24);
        }
        bawn_tdx_plan(bad, &plan, NULL);
        drop(bad);
    }
    for (size_t n = 0; n < fw.len; n++) {
        struct bawn_bytes tail = copy_of(fw.data + fw.len - n, n);
        struct bawn_tdx_plan plan;
        bool ok = bawn_tdx_plan(tail, &plan, NULL) == BAWN_OK;

        assert_false(ok && n < IMAGE - LIST);
        drop(tail);
    }
    drop(fw);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors), cmocka_unit_test(by_hand), cmocka_unit_test(bad_loads),
        cmocka_unit_test(whole),   cmocka_unit_test(broken),  cmocka_unit_test(nothing_loaded),
        cmocka_unit_test(mutated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * MRTD: SHA-384 over the build of a TD, and the list of loads for a TDVF image. Intel 348549, TDX
 * Module Base Architecture Specification, 12.2.1; 348551, ABI reference, TDH.MEM.PAGE.ADD and
 * TDH.MR.EXTEND; 344991, TDX Virtual Firmware Design Guide, chapter 11.
 */
#include "attest/lib/measure.h"

#include <bawn/ovmf.h>

/* ---- The digest ---- */

/* Each operation adds a buffer with its name and address; MR.EXTEND also the chunk's bytes. */
#define BUFFER_SIZE 128
#define BUFFER_GPA 16
#define CHUNK 256

static const char page_add[] = "MEM.PAGE.ADD";
static const char mr_extend[] = "MR.EXTEND";

static void add_operation(struct hasher *h, const char *name, uint64_t gpa)
{
    uint8_t buffer[BUFFER_SIZE] = { 0 };

    for (size_t i = 0; name[i]; i++)
        buffer[i] = (uint8_t)name[i];
    for (unsigned i = 0; i < 8; i++)
        buffer[BUFFER_GPA + i] = (uint8_t)(gpa >> (8 * i));
    hasher_add(h, buffer, sizeof(buffer));
}

static void extend_page(struct hasher *h, uint64_t gpa, struct bawn_cursor *data)
{
    for (unsigned off = 0; off < PAGE_BYTES; off += CHUNK) {
        size_t left = bawn_cursor_left(data), n = left < CHUNK ? left : CHUNK;

        add_operation(h, mr_extend, gpa + off);
        hasher_add(h, bawn_cursor_take(data, n), n);
        hasher_zeros(h, CHUNK - n);
    }
}

static void add_load(struct hasher *h, const struct bawn_tdx_load *load, enum bawn_tdx_order order)
{
    struct bawn_cursor data = bawn_cursor_over(load->data.data, load->data.len);

    for (uint64_t off = 0; off < load->size; off += PAGE_BYTES) {
        add_operation(h, page_add, load->gpa + off);
        if (load->extend && order == BAWN_TDX_SINGLE_PASS)
            extend_page(h, load->gpa + off, &data);
    }
    for (uint64_t off = 0; off < load->size; off += PAGE_BYTES) {
        if (load->extend && order == BAWN_TDX_TWO_PASS)
            extend_page(h, load->gpa + off, &data);
    }
}

enum bawn_status bawn_tdx_digest(const struct bawn_tdx_load *loads, size_t n,
                                 enum bawn_tdx_order order, uint8_t mrtd[BAWN_TDX_DIGEST_SIZE],
                                 struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;
    uint64_t total = 0;
    struct hasher h;

    for (size_t i = 0; st == BAWN_OK && i < n; i++) {
        st = launch_bound(&total, loads[i].gpa, loads[i].size, err);
        if (st == BAWN_OK && loads[i].data.len > loads[i].size)
            st = bawn_fail(err, BAWN_E_FORMAT, "%zu bytes of contents for 0x%jx bytes of memory",
                           loads[i].data.len, (uintmax_t)loads[i].size);
    }
    if (st == BAWN_OK && order != BAWN_TDX_SINGLE_PASS && order != BAWN_TDX_TWO_PASS)
        st = bawn_fail(err, BAWN_E_USAGE, "order %d is unknown", (int)order);
    if (st == BAWN_OK)
        st = hasher_open(&h, "SHA384", err);
    if (st != BAWN_OK)
        return st;
    hasher_start(&h);
    for (size_t i = 0; i < n; i++)
        add_load(&h, &loads[i], order);
    hasher_end(&h, mrtd);
    return hasher_close(&h, err);
}

/* ---- The list for a TDVF image ---- */

/* What the guide says of each type: whether it has bytes in the image. */
enum raw { RAW_NONE, RAW_SOME, RAW_ANY };

static const enum raw raw_of[BAWN_TDVF_TYPES] = {
    [BAWN_TDVF_BFV] = RAW_SOME,          [BAWN_TDVF_CFV] = RAW_SOME,
    [BAWN_TDVF_TD_HOB] = RAW_NONE,       [BAWN_TDVF_TEMP_MEM] = RAW_NONE,
    [BAWN_TDVF_PERM_MEM] = RAW_NONE,     [BAWN_TDVF_PAYLOAD] = RAW_ANY,
    [BAWN_TDVF_PAYLOAD_PARAM] = RAW_ANY, [BAWN_TDVF_TD_INFO] = RAW_ANY,
    [BAWN_TDVF_TD_PARAMS] = RAW_ANY,
};

static enum bawn_status check_section(const struct tdvf_section *s, size_t i,
                                      struct bawn_error *err)
{
    if (s->type >= BAWN_TDVF_TYPES)
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "firmware: TDX section %zu of unknown type %u, must be from 0 to %d", i,
                         s->type, BAWN_TDVF_TYPES - 1);
    if (s->attributes & ~(BAWN_TDVF_MR_EXTEND | BAWN_TDVF_PAGE_AUG))
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "firmware: TDX section %zu with unknown attributes 0x%x, must be of 0x3",
                         i, s->attributes);
    if (s->attributes == (BAWN_TDVF_MR_EXTEND | BAWN_TDVF_PAGE_AUG))
        return bawn_fail(err, BAWN_E_FORMAT,
                         "firmware: TDX section %zu is to be measured, and added only after the "
                         "measurement",
                         i);
    if ((raw_of[s->type] == RAW_NONE && s->raw_size) ||
        (raw_of[s->type] == RAW_SOME && !s->raw_size))
        return bawn_fail(err, BAWN_E_FORMAT,
                         "firmware: TDX section %zu of type %u with 0x%x bytes in the image, must "
                         "have %s",
                         i, s->type, s->raw_size, s->raw_size ? "none" : "some");
    if (s->raw_size > s->size)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "firmware: TDX section %zu has 0x%x bytes for 0x%jx bytes of memory", i,
                         s->raw_size, (uintmax_t)s->size);
    return BAWN_OK;
}

static enum bawn_status add_section(struct bawn_tdx_plan *plan, const struct ovmf *o,
                                    const struct tdvf_section *s, size_t i, struct bawn_error *err)
{
    struct bawn_cursor image = bawn_cursor_over(o->image.data, o->image.len);
    struct bawn_tdx_load *load = &plan->loads[plan->n];
    const uint8_t *raw = NULL;

    if (s->raw_size) {
        bawn_cursor_seek(&image, s->offset);
        raw = bawn_cursor_take(&image, s->raw_size);
        if (!raw)
            return bawn_fail(err, BAWN_E_FORMAT,
                             "firmware: TDX section %zu is 0x%x bytes at 0x%x of an image of 0x%zx",
                             i, s->raw_size, s->offset, o->image.len);
    }
    if (s->attributes & BAWN_TDVF_PAGE_AUG)
        return BAWN_OK;
    *load = (struct bawn_tdx_load){
        .gpa = s->gpa,
        .size = s->size,
        .data = { raw, s->raw_size },
        .extend = s->attributes & BAWN_TDVF_MR_EXTEND,
    };
    plan->n++;
    return BAWN_OK;
}

enum bawn_status bawn_tdx_plan(struct bawn_bytes firmware, struct bawn_tdx_plan *plan,
                               struct bawn_error *err)
{
    struct tdvf_section sections[BAWN_TDX_LOADS_MAX];
    struct range used[BAWN_TDX_LOADS_MAX];
    size_t n = BAWN_TDX_LOADS_MAX;
    uint64_t total = 0;
    struct ovmf o;
    enum bawn_status st = ovmf_parse(&o, firmware, err);

    plan->n = 0;
    if (st == BAWN_OK)
        st = ovmf_tdx_sections(&o, sections, &n, err);
    for (size_t i = 0; st == BAWN_OK && i < n; i++) {
        const struct tdvf_section *s = &sections[i];

        bool loaded = !(s->attributes & BAWN_TDVF_PAGE_AUG);

        st = check_section(s, i, err);
        if (st == BAWN_OK)
            st = launch_bound(loaded ? &total : NULL, s->gpa, s->size, err);
        if (st == BAWN_OK && range_overlaps(used, i, (struct range){ s->gpa, s->size }))
            st = bawn_fail(err, BAWN_E_FORMAT,
                           "firmware: TDX section %zu (0x%jx bytes at 0x%jx) overlaps another", i,
                           (uintmax_t)s->size, (uintmax_t)s->gpa);
        if (st == BAWN_OK)
            st = add_section(plan, &o, s, i, err);
        used[i] = (struct range){ s->gpa, s->size };
    }
    if (st == BAWN_OK && !plan->n)
        st = bawn_fail(err, BAWN_E_FORMAT, "firmware: its TDX sections load nothing");
    return st;
}

enum bawn_status bawn_tdx_measure(struct bawn_bytes firmware, enum bawn_tdx_order order,
                                  uint8_t mrtd[BAWN_TDX_DIGEST_SIZE], struct bawn_error *err)
{
    struct bawn_tdx_plan plan;
    enum bawn_status st = bawn_tdx_plan(firmware, &plan, err);

    return st == BAWN_OK ? bawn_tdx_digest(plan.loads, plan.n, order, mrtd, err) : st;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * OVMF taken apart: the GUIDed table before the reset vector and the lists that it leads to
 * (include/bawn/ovmf.h). The image is hostile: it is read through cursors only, and its numbers
 * are checked before they are used.
 */
#include "attest/lib/measure.h"

#include <bawn/ovmf.h>

#include <string.h>

#define GUID_SIZE 16

/* An entry that is looked for. What the image says goes to *value; extra bytes after it are the
 * entry's own business. */
struct wanted {
    const uint8_t guid[GUID_SIZE];
    const char *name;
    size_t found, value; /* offsets in struct ovmf: bool, uint32_t */
};

#define FIELD(f, v) offsetof(struct ovmf, f), offsetof(struct ovmf, v)

static const struct wanted table[] = {
    { BAWN_OVMF_HASH_TABLE_GUID, "kernel hashes", FIELD(has_hash_table, hash_table_gpa) },
    { BAWN_OVMF_SEV_ES_RESET_GUID, "SEV-ES reset block", FIELD(has_reset_eip, reset_eip) },
    { BAWN_OVMF_SEV_METADATA_GUID, "SEV metadata", FIELD(has_sev, sev_offset) },
    { BAWN_OVMF_TDX_METADATA_GUID, "TDX metadata", FIELD(has_tdx, tdx_offset) },
};

/* ---- The GUIDed table ---- */

/* Takes over one entry: data is what stands before its length and GUID. */
static enum bawn_status take_entry(struct ovmf *o, const uint8_t *guid, struct bawn_cursor data,
                                   struct bawn_error *err)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        bool *found = (bool *)((char *)o + table[i].found);
        uint32_t *value = (uint32_t *)((char *)o + table[i].value);

        if (memcmp(guid, table[i].guid, GUID_SIZE))
            continue;
        if (*found)
            return bawn_fail(err, BAWN_E_FORMAT,
                             "firmware: its table has two entries for the %s, must have one",
                             table[i].name);
        *found = true;
        *value = bawn_cursor_u32(&data);
        if (data.failed)
            return bawn_fail(err, BAWN_E_FORMAT,
                             "firmware: the entry for the %s is too short, must have 4 bytes",
                             table[i].name);
        return BAWN_OK;
    }
    return BAWN_OK;
}

/* The length and GUID that end at offset end of the image. */
static bool read_tail(const struct bawn_cursor *image, size_t end, uint16_t *len,
                      const uint8_t **guid)
{
    struct bawn_cursor c;

    if (end < BAWN_OVMF_ENTRY_TAIL)
        return false;
    c = bawn_cursor_slice(image, end - BAWN_OVMF_ENTRY_TAIL, BAWN_OVMF_ENTRY_TAIL);
    *len = bawn_cursor_u16(&c);
    *guid = bawn_cursor_take(&c, GUID_SIZE);
    return *guid != NULL;
}

static enum bawn_status parse_table(struct ovmf *o, const struct bawn_cursor *image,
                                    struct bawn_error *err)
{
    static const uint8_t footer[GUID_SIZE] = BAWN_OVMF_FOOTER_GUID;
    size_t start, end;
    const uint8_t *guid;
    uint16_t len;

    if (o->image.len < BAWN_OVMF_TABLE_END ||
        !read_tail(image, o->image.len - BAWN_OVMF_TABLE_END, &len, &guid) ||
        memcmp(guid, footer, GUID_SIZE))
        return bawn_fail(err, BAWN_E_FORMAT,
                         "firmware: no GUIDed table before the reset vector; must be a whole OVMF "
                         "image (OVMF.fd or OVMF_CODE.fd)");
    end = o->image.len - BAWN_OVMF_TABLE_END;
    if (len < BAWN_OVMF_ENTRY_TAIL || len > end)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "firmware: the table's length is %u, must be from %d to %zu", len,
                         BAWN_OVMF_ENTRY_TAIL, end);
    start = end - len;
    end -= BAWN_OVMF_ENTRY_TAIL;
    while (end > start) {
        enum bawn_status st;

        if (end - start < BAWN_OVMF_ENTRY_TAIL || !read_tail(image, end, &len, &guid) ||
            len < BAWN_OVMF_ENTRY_TAIL || len > end - start)
            return bawn_fail(err, BAWN_E_FORMAT,
                             "firmware: an entry of the table does not fit in the %zu bytes that "
                             "are left for it",
                             end - start);
        st = take_entry(
            o, guid, bawn_cursor_slice(image, end - len, (size_t)len - BAWN_OVMF_ENTRY_TAIL), err);
        if (st != BAWN_OK)
            return st;
        end -= len;
    }
    return BAWN_OK;
}

/* ---- Lists of sections ---- */

struct list_format {
    const char *name;
    char signature[5];
    uint32_t version, header, section;
};

static const struct list_format sev_list = {
    "SEV metadata",           BAWN_SEV_METADATA_SIGNATURE, BAWN_SEV_METADATA_VERSION,
    BAWN_SEV_METADATA_HEADER, BAWN_SEV_METADATA_SECTION,
};
static const struct list_format tdx_list = {
    "TDVF descriptor", BAWN_TDVF_SIGNATURE, BAWN_TDVF_VERSION, BAWN_TDVF_HEADER, BAWN_TDVF_SECTION,
};

/* A cursor over the sections of the list that starts so many bytes before the image's end. */
static enum bawn_status open_list(const struct ovmf *o, uint32_t offset,
                                  const struct list_format *f, size_t max,
                                  struct bawn_cursor *sections, uint32_t *n, struct bawn_error *err)
{
    struct bawn_cursor c = bawn_cursor_over(o->image.data, o->image.len);
    uint32_t len, version;
    const uint8_t *signature;

    *n = 0;
    if (offset > o->image.len)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "firmware: the %s is 0x%x bytes before the end of an image of 0x%zx",
                         f->name, offset, o->image.len);
    bawn_cursor_seek(&c, o->image.len - offset);
    signature = bawn_cursor_take(&c, 4);
    len = bawn_cursor_u32(&c);
    version = bawn_cursor_u32(&c);
    *n = bawn_cursor_u32(&c);
    if (c.failed || memcmp(signature, f->signature, 4))
        return bawn_fail(err, BAWN_E_FORMAT, "firmware: no %s where the table says, must begin %s",
                         f->name, f->signature);
    if (version != f->version)
        return bawn_fail(err, BAWN_E_UNSUPPORTED, "firmware: %s of version %u, must be %u", f->name,
                         version, f->version);
    if (*n > max)
        return bawn_fail(err, BAWN_E_UNSUPPORTED, "firmware: %s with %u sections, at most %zu",
                         f->name, *n, max);
    if (len != f->header + *n * f->section)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "firmware: %s of length %u, must be %u for %u sections", f->name, len,
                         f->header + *n * f->section, *n);
    *sections = bawn_cursor_slice(&c, o->image.len - offset + f->header, len - f->header);
    if (sections->failed)
        return bawn_fail(err, BAWN_E_FORMAT, "firmware: %s with %u sections ends past the image",
                         f->name, *n);
    return BAWN_OK;
}

/* Sections must be whole pages below 4 GiB and apart: the second load of a page would fail. */
static enum bawn_status check_section(const struct ovmf *o, size_t i, const struct range *before,
                                      struct bawn_error *err)
{
    const struct ovmf_section *s = &o->sections[i];
    uint64_t total = 0;
    enum bawn_status st = launch_bound(&total, s->gpa, s->size, err);

    if (st != BAWN_OK)
        return st;
    if ((uint64_t)s->gpa + s->size > FOUR_GIB)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "firmware: SEV section %zu (0x%x bytes at 0x%x) ends past 4 GiB", i,
                         s->size, s->gpa);
    if (range_overlaps(before, i + 1, (struct range){ s->gpa, s->size }))
        return bawn_fail(err, BAWN_E_FORMAT,
                         "firmware: SEV section %zu (0x%x bytes at 0x%x) overlaps another or the "
                         "firmware",
                         i, s->size, s->gpa);
    return BAWN_OK;
}

static enum bawn_status parse_sev_sections(struct ovmf *o, struct bawn_error *err)
{
    struct range used[OVMF_SECTIONS_MAX + 1] = { { o->gpa, o->image.len } };
    struct bawn_cursor c;
    uint32_t n = 0;
    enum bawn_status st = open_list(o, o->sev_offset, &sev_list, OVMF_SECTIONS_MAX, &c, &n, err);

    for (size_t i = 0; st == BAWN_OK && i < n; i++) {
        struct ovmf_section *s = &o->sections[i];

        s->gpa = bawn_cursor_u32(&c);
        s->size = bawn_cursor_u32(&c);
        s->type = bawn_cursor_u32(&c);
        st = check_section(o, i, used, err);
        used[i + 1] = (struct range){ s->gpa, s->size };
        o->nr_sections = i + 1;
    }
    return st;
}

/* ---- Public ---- */

enum bawn_status ovmf_parse(struct ovmf *o, struct bawn_bytes image, struct bawn_error *err)
{
    struct bawn_cursor c = bawn_cursor_over(image.data, image.len);
    enum bawn_status st;

    memset(o, 0, sizeof(*o));
    if (image.len > BAWN_FIRMWARE_MAX)
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "firmware: %zu bytes are too many, must be at most 16 MiB", image.len);
    o->image = image;
    o->gpa = FOUR_GIB - image.len;
    st = parse_table(o, &c, err);
    if (st == BAWN_OK && o->has_sev)
        st = parse_sev_sections(o, err);
    return st;
}

enum bawn_status ovmf_tdx_sections(const struct ovmf *o, struct tdvf_section *sections, size_t *n,
                                   struct bawn_error *err)
{
    struct bawn_cursor c;
    enum bawn_status st;
    uint32_t count = 0;

    if (!o->has_tdx)
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "firmware: no TDX metadata in its table; must be an OVMF built for TDX");
    st = open_list(o, o->tdx_offset, &tdx_list, *n, &c, &count, err);
    if (st != BAWN_OK)
        return st;
    for (size_t i = 0; i < count; i++) {
        struct tdvf_section *s = &sections[i];

        s->offset = bawn_cursor_u32(&c);
        s->raw_size = bawn_cursor_u32(&c);
        s->gpa = bawn_cursor_u64(&c);
        s->size = bawn_cursor_u64(&c);
        s->type = bawn_cursor_u32(&c);
        s->attributes = bawn_cursor_u32(&c);
    }
    *n = count;
    return BAWN_OK;
}

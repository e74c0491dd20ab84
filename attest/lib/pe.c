// SPDX-License-Identifier: Apache-2.0
/*
 * The Authenticode digest of a PE image as edk2 measures it (SecurityPkg, Tcg2Dxe,
 * MeasureBootPeCoff.c): the file without its checksum, its security directory and the
 * signatures, section by section. Microsoft PE Format; the image is hostile.
 */
#include "attest/lib/pe.h"

#include <string.h>

#define DOS_LFANEW 0x3c
#define COFF_SECTIONS 6 /* from the signature "PE\0\0" */
#define COFF_OPTIONAL_SIZE 20
#define OPTIONAL_HEADER 24
#define OPTIONAL_MAGIC 0 /* from the optional header */
#define OPTIONAL_HEADERS_SIZE 60
#define OPTIONAL_CHECKSUM 64
#define MAGIC_PE32 0x10b
#define MAGIC_PE32_PLUS 0x20b
#define DIRECTORIES_PE32 96 /* the directories; their number stands before */
#define DIRECTORIES_PE32_PLUS 112
#define DIRECTORY_SECURITY 4
#define DIRECTORY_SIZE 8
#define SECTION_HEADER 40
#define SECTION_RAW_SIZE 16
#define SECTION_RAW_OFFSET 20
#define SECTIONS_MAX 96 /* PE Format: the loader's limit */

struct pe {
    const struct pe_source *source;
    uint64_t optional, checksum;
    uint64_t security; /* its directory entry; 0 when there is none */
    uint64_t sections; /* the section table */
    uint32_t headers_size;
    uint32_t signatures; /* bytes of them, at the end of the file */
    uint16_t nr_sections;
};

struct section {
    uint32_t offset, size;
};

/* ---- Reading ---- */

/* n bytes at offset off as they are measured, little-endian; marks *ok false past the end. */
static uint32_t get(const struct pe_source *s, uint64_t off, unsigned n, bool *ok)
{
    bool head = s->head.len >= n && off <= s->head.len - n;
    struct bawn_cursor c = head ? bawn_cursor_over(s->head.data, s->head.len)
                                : bawn_cursor_over(s->image.data, s->image.len);
    uint32_t v;

    bawn_cursor_seek(&c, off);
    v = (uint32_t)bawn_cursor_le(&c, n);
    *ok = *ok && !c.failed;
    return v;
}

/* The range is inside the image. */
static void add_range(struct hasher *h, const struct pe_source *s, uint64_t start, uint64_t end)
{
    struct bawn_cursor head = bawn_cursor_over(s->head.data, s->head.len);
    struct bawn_cursor image = bawn_cursor_over(s->image.data, s->image.len);

    if (start < s->head.len) {
        uint64_t stop = end < s->head.len ? end : s->head.len;

        bawn_cursor_seek(&head, start);
        hasher_add(h, bawn_cursor_take(&head, stop - start), stop - start);
        start = stop;
    }
    if (start < end) {
        bawn_cursor_seek(&image, start);
        hasher_add(h, bawn_cursor_take(&image, end - start), end - start);
    }
}

static enum bawn_status not_pe(struct bawn_error *err, const char *what)
{
    return bawn_fail(err, BAWN_E_FORMAT,
                     "kernel: %s; must be a PE image, as a bzImage with CONFIG_EFI_STUB is", what);
}

static enum bawn_status read_headers(struct pe *pe, struct bawn_error *err)
{
    const struct pe_source *s = pe->source;
    uint32_t directories, magic;
    uint64_t start;
    bool ok = true;

    if (get(s, 0, 2, &ok) != 0x5a4d) /* "MZ" */
        return not_pe(err, "it does not begin with MZ");
    start = get(s, DOS_LFANEW, 4, &ok);
    if (get(s, start, 4, &ok) != 0x4550) /* "PE" */
        return not_pe(err, "it has no PE header");
    pe->nr_sections = (uint16_t)get(s, start + COFF_SECTIONS, 2, &ok);
    pe->optional = start + OPTIONAL_HEADER;
    pe->sections = pe->optional + get(s, start + COFF_OPTIONAL_SIZE, 2, &ok);
    pe->headers_size = get(s, pe->optional + OPTIONAL_HEADERS_SIZE, 4, &ok);
    pe->checksum = pe->optional + OPTIONAL_CHECKSUM;
    magic = get(s, pe->optional + OPTIONAL_MAGIC, 2, &ok);
    if (!ok || (magic != MAGIC_PE32 && magic != MAGIC_PE32_PLUS))
        return not_pe(err, "its PE header is cut short or of unknown kind");
    start = pe->optional + (magic == MAGIC_PE32 ? DIRECTORIES_PE32 : DIRECTORIES_PE32_PLUS);
    directories = get(s, start - 4, 4, &ok);
    pe->security = 0;
    pe->signatures = 0;
    if (directories > DIRECTORY_SECURITY) {
        pe->security = start + DIRECTORY_SECURITY * DIRECTORY_SIZE;
        pe->signatures = get(s, pe->security + 4, 4, &ok);
    }
    if (!ok || pe->headers_size > s->image.len || pe->headers_size < pe->checksum + 4 ||
        (pe->security && pe->headers_size < pe->security + DIRECTORY_SIZE))
        return not_pe(err, "its headers do not have the size that they state");
    if (pe->nr_sections > SECTIONS_MAX)
        return bawn_fail(err, BAWN_E_UNSUPPORTED, "kernel: a PE image of %u sections, at most %d",
                         pe->nr_sections, SECTIONS_MAX);
    return BAWN_OK;
}

/* The sections that have bytes, in the order of the file. */
static enum bawn_status read_sections(const struct pe *pe, struct section *sections, size_t *n,
                                      struct bawn_error *err)
{
    uint64_t end = pe->headers_size;
    bool ok = true;

    *n = 0;
    for (unsigned i = 0; i < pe->nr_sections; i++) {
        uint64_t at = pe->sections + (uint64_t)i * SECTION_HEADER;
        struct section s = { get(pe->source, at + SECTION_RAW_OFFSET, 4, &ok),
                             get(pe->source, at + SECTION_RAW_SIZE, 4, &ok) };
        size_t to = *n;

        if (!s.size)
            continue;
        for (; to && sections[to - 1].offset > s.offset; to--)
            sections[to] = sections[to - 1];
        sections[to] = s;
        ++*n;
    }
    if (!ok)
        return not_pe(err, "its section table is cut short");
    for (size_t i = 0; i < *n; i++) {
        if (sections[i].offset < end)
            return not_pe(err, "its sections overlap");
        end = (uint64_t)sections[i].offset + sections[i].size;
        if (end > pe->source->image.len)
            return not_pe(err, "a section ends past the file");
    }
    return BAWN_OK;
}

/* ---- The digest ---- */

enum bawn_status pe_digest(const struct pe_source *source, uint8_t digest[BAWN_TDX_DIGEST_SIZE],
                           struct bawn_error *err)
{
    struct section sections[SECTIONS_MAX];
    struct pe pe = { .source = source };
    uint64_t at, hashed, len = source->image.len;
    struct hasher h;
    size_t n;
    enum bawn_status st = read_headers(&pe, err);

    if (st == BAWN_OK)
        st = read_sections(&pe, sections, &n, err);
    if (st != BAWN_OK)
        return st;
    hashed = pe.headers_size;
    for (size_t i = 0; i < n; i++)
        hashed += sections[i].size;
    if (hashed + pe.signatures > len)
        return not_pe(err, "its signatures do not fit behind its sections");
    st = hasher_open(&h, "SHA384", err);
    if (st != BAWN_OK)
        return st;
    hasher_start(&h);
    add_range(&h, source, 0, pe.checksum);
    at = pe.checksum + 4;
    if (pe.security) {
        add_range(&h, source, at, pe.security);
        at = pe.security + DIRECTORY_SIZE;
    }
    add_range(&h, source, at, pe.headers_size);
    for (size_t i = 0; i < n; i++)
        add_range(&h, source, sections[i].offset, (uint64_t)sections[i].offset + sections[i].size);
    /* What is left is counted, not found by its place: gaps shift it, as they do in edk2. */
    add_range(&h, source, hashed, len - pe.signatures);
    hasher_end(&h, digest);
    return hasher_close(&h, err);
}

enum bawn_status bawn_pe_digest(struct bawn_bytes image, uint8_t digest[BAWN_TDX_DIGEST_SIZE],
                                struct bawn_error *err)
{
    const struct pe_source source = { .image = image };

    return pe_digest(&source, digest, err);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The AML writer. Its callers are the project's own tables: nothing here is untrusted.
 */
#include <string.h>

#include "launch/aml.h"

/* ACPI 6.5, 20.2: the opcodes and prefixes that are used. */
enum {
    OP_ZERO = 0x00,
    OP_ONE = 0x01,
    OP_NAME = 0x08,
    OP_BYTE = 0x0a,
    OP_WORD = 0x0b,
    OP_DWORD = 0x0c,
    OP_STRING = 0x0d,
    OP_SCOPE = 0x10,
    OP_BUFFER = 0x11,
    OP_PACKAGE = 0x12,
    OP_METHOD = 0x14,
    OP_MULTI = 0x2f, /* how many segments, and they */
    OP_EXT = 0x5b,
    OP_EXT_REGION = 0x80,
    OP_EXT_FIELD = 0x81,
    OP_EXT_DEVICE = 0x82,
    OP_STORE = 0x70,
    OP_AND = 0x7b,
    OP_NOTIFY = 0x86,
    OP_EQUAL = 0x93,
    OP_IF = 0xa0,
    OP_ELSE = 0xa1,
    OP_RETURN = 0xa4,
};

enum {
    SPACE_IO = 1,      /* 20.2.5.2 */
    FIELD_DWORD = 0x3, /* accesses of 32 bits, no lock, other bits as they were */
};

/* ACPI 6.5, 6.4.2 and 6.4.3: resource descriptors. */
enum {
    RES_IO = 0x47,
    RES_END = 0x79,
    RES_MEMORY32 = 0x86,
    RES_DWORD = 0x87,
    RES_WORD = 0x88,
    RES_INTERRUPT = 0x89,
};

#define SEG_LEN 4

void aml_raw(struct aml *a, const void *data, size_t n)
{
    if (a->overflow || n > a->cap - a->len) {
        a->overflow = true;
        return;
    }
    memcpy(a->buf + a->len, data, n);
    a->len += n;
}

void aml_le(struct aml *a, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint8_t b = (uint8_t)(v >> (8 * i));

        aml_raw(a, &b, 1);
    }
}

/* Moves what was written since at, to put n bytes before it. */
static void insert(struct aml *a, size_t at, const uint8_t *data, size_t n)
{
    if (a->overflow || n > a->cap - a->len) {
        a->overflow = true;
        return;
    }
    memmove(a->buf + at + n, a->buf + at, a->len - at);
    memcpy(a->buf + at, data, n);
    a->len += n;
}

/* PkgLength (20.2.4) counts itself: one byte up to 63, else a nibble and one or two bytes. */
void aml_close(struct aml *a, size_t opened)
{
    size_t body = a->len - opened;
    uint8_t enc[3];
    size_t n, total;

    if (a->overflow)
        return;
    n = body + 1 <= 0x3f ? 1 : body + 2 <= 0xfff ? 2 : 3;
    total = body + n;
    if (n == 1) {
        enc[0] = (uint8_t)total;
    } else {
        enc[0] = (uint8_t)((n - 1) << 6 | (total & 0xf));
        enc[1] = (uint8_t)(total >> 4);
        enc[2] = (uint8_t)(total >> 12);
    }
    insert(a, opened, enc, n);
}

size_t aml_scope(struct aml *a, const char *path)
{
    size_t at;

    aml_le(a, OP_SCOPE, 1);
    at = a->len;
    aml_raw(a, path, strlen(path));
    return at;
}

size_t aml_device(struct aml *a, const char *seg)
{
    size_t at;

    aml_le(a, OP_EXT, 1);
    aml_le(a, OP_EXT_DEVICE, 1);
    at = a->len;
    aml_raw(a, seg, SEG_LEN);
    return at;
}

size_t aml_method(struct aml *a, const char *seg, uint8_t args)
{
    size_t at;

    aml_le(a, OP_METHOD, 1);
    at = a->len;
    aml_raw(a, seg, SEG_LEN);
    aml_le(a, args, 1);
    return at;
}

void aml_notify(struct aml *a, const char *seg, uint8_t value)
{
    aml_le(a, OP_NOTIFY, 1);
    aml_raw(a, seg, SEG_LEN);
    aml_int(a, value);
}

void aml_ports(struct aml *a, const char *seg, uint16_t port, uint8_t size)
{
    aml_le(a, OP_EXT, 1);
    aml_le(a, OP_EXT_REGION, 1);
    aml_raw(a, seg, SEG_LEN);
    aml_le(a, SPACE_IO, 1);
    aml_int(a, port);
    aml_int(a, size);
}

void aml_fields(struct aml *a, const char *region, const char *const *segs, unsigned nr)
{
    size_t at;

    aml_le(a, OP_EXT, 1);
    aml_le(a, OP_EXT_FIELD, 1);
    at = a->len;
    aml_raw(a, region, SEG_LEN);
    aml_le(a, FIELD_DWORD, 1);
    for (unsigned i = 0; i < nr; i++) {
        aml_raw(a, segs[i], SEG_LEN);
        aml_le(a, 32, 1); /* a package length that is a number of bits */
    }
    aml_close(a, at);
}

void aml_load(struct aml *a, const char *seg, uint8_t variable)
{
    aml_le(a, OP_STORE, 1);
    aml_raw(a, seg, SEG_LEN);
    aml_le(a, variable, 1);
}

void aml_store(struct aml *a, uint32_t v, const char *seg)
{
    aml_le(a, OP_STORE, 1);
    aml_int(a, v);
    aml_raw(a, seg, SEG_LEN);
}

size_t aml_if_and(struct aml *a, uint8_t variable, uint32_t mask)
{
    size_t at;

    aml_le(a, OP_IF, 1);
    at = a->len;
    aml_le(a, OP_AND, 1);
    aml_le(a, variable, 1);
    aml_int(a, mask);
    aml_le(a, 0, 1); /* the result is kept nowhere */
    return at;
}

size_t aml_if_equal(struct aml *a, uint8_t variable, uint32_t v)
{
    size_t at;

    aml_le(a, OP_IF, 1);
    at = a->len;
    aml_le(a, OP_EQUAL, 1);
    aml_le(a, variable, 1);
    aml_int(a, v);
    return at;
}

size_t aml_else(struct aml *a)
{
    aml_le(a, OP_ELSE, 1);
    return a->len;
}

/* A name of several segments is not looked for in the scopes above: it begins at the root. */
void aml_call(struct aml *a, const char *device, const char *method)
{
    static const uint8_t root[] = { '\\', OP_MULTI, 3, '_', 'S', 'B', '_' };

    aml_raw(a, root, sizeof(root));
    aml_raw(a, device, SEG_LEN);
    aml_raw(a, method, SEG_LEN);
}

void aml_return(struct aml *a, uint32_t v)
{
    aml_le(a, OP_RETURN, 1);
    aml_int(a, v);
}

size_t aml_package(struct aml *a, uint8_t elements)
{
    size_t at;

    aml_le(a, OP_PACKAGE, 1);
    at = a->len;
    aml_le(a, elements, 1);
    return at;
}

void aml_name(struct aml *a, const char *seg)
{
    aml_le(a, OP_NAME, 1);
    aml_raw(a, seg, SEG_LEN);
}

void aml_int(struct aml *a, uint32_t v)
{
    if (v <= 1) {
        aml_le(a, v ? OP_ONE : OP_ZERO, 1);
    } else if (v <= 0xff) {
        aml_le(a, OP_BYTE, 1);
        aml_le(a, v, 1);
    } else if (v <= 0xffff) {
        aml_le(a, OP_WORD, 1);
        aml_le(a, v, 2);
    } else {
        aml_le(a, OP_DWORD, 1);
        aml_le(a, v, 4);
    }
}

void aml_string(struct aml *a, const char *s)
{
    aml_le(a, OP_STRING, 1);
    aml_raw(a, s, strlen(s) + 1);
}

void aml_buffer(struct aml *a, const void *data, uint8_t n)
{
    size_t at;

    aml_le(a, OP_BUFFER, 1);
    at = a->len;
    aml_int(a, n);
    aml_raw(a, data, n);
    aml_close(a, at);
}

static unsigned hex_digit(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'A') + 10;
}

/* Three letters of five bits, then four hex digits, as a big-endian dword (19.6.37). */
void aml_eisaid(struct aml *a, const char *id)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < 3; i++)
        v = v << 5 | ((unsigned)id[i] & 0x1f);
    for (unsigned i = 3; i < 7; i++)
        v = v << 4 | hex_digit(id[i]);
    aml_le(a, OP_DWORD, 1);
    aml_le(a, __builtin_bswap32(v), 4);
}

struct aml_resources aml_resources_begin(struct aml *a)
{
    struct aml_resources r;

    aml_le(a, OP_BUFFER, 1);
    r.package = a->len;
    r.start = a->len;
    return r;
}

void aml_resources_end(struct aml *a, struct aml_resources r)
{
    uint8_t size[3] = { OP_WORD };
    size_t n;

    aml_le(a, RES_END, 1);
    aml_le(a, 0, 1); /* checksum: 0 is "not used" */
    n = a->len - r.start;
    size[1] = (uint8_t)n;
    size[2] = (uint8_t)(n >> 8);
    insert(a, r.start, size, sizeof(size));
    aml_close(a, r.package);
}

void aml_res_io(struct aml *a, uint16_t port, uint8_t len)
{
    aml_le(a, RES_IO, 1);
    aml_le(a, 1, 1); /* decodes 16 bits */
    aml_le(a, port, 2);
    aml_le(a, port, 2);
    aml_le(a, 1, 1);
    aml_le(a, len, 1);
}

static void res_interrupt(struct aml *a, uint8_t flags, uint32_t gsi)
{
    aml_le(a, RES_INTERRUPT, 1);
    aml_le(a, 6, 2);
    aml_le(a, flags, 1);
    aml_le(a, 1, 1);
    aml_le(a, gsi, 4);
}

void aml_res_irq(struct aml *a, uint32_t gsi)
{
    res_interrupt(a, 0x03, gsi); /* consumer, edge, active high, exclusive */
}

void aml_res_level(struct aml *a, uint32_t gsi)
{
    res_interrupt(a, 0x01, gsi);
}

void aml_res_memory(struct aml *a, uint32_t base, uint32_t size)
{
    aml_le(a, RES_MEMORY32, 1);
    aml_le(a, 9, 2);
    aml_le(a, 1, 1); /* writable */
    aml_le(a, base, 4);
    aml_le(a, size, 4);
}

void aml_res_window(struct aml *a, enum aml_window type, unsigned size, uint32_t min, uint32_t max)
{
    static const uint8_t type_flags[] = {
        [AML_WINDOW_MEMORY] = 0x01, /* not cacheable, writable */
        [AML_WINDOW_IO] = 0x03,     /* ISA and other addresses */
        [AML_WINDOW_BUS] = 0x00,
    };

    aml_le(a, size == 4 ? RES_DWORD : RES_WORD, 1);
    aml_le(a, 3 + 5 * size, 2);
    aml_le(a, type, 1);
    aml_le(a, 0x0c, 1); /* producer, positive decode, both ends fixed */
    aml_le(a, type_flags[type], 1);
    aml_le(a, 0, size); /* granularity */
    aml_le(a, min, size);
    aml_le(a, max, size);
    aml_le(a, 0, size); /* translation */
    aml_le(a, max - min + 1, size);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Run-time registers of a directly started kernel: digests of PE images, what QEMU writes into a
 * kernel, and events as a real TD logged them.
 */
#include "tests/unit/attest/measure_fixtures.h"

#include <bawn/cursor.h>

/* ---- A PE image ---- */

/* 0x400 bytes of headers with the Linux setup header in them, two sections out of order, 24
 * bytes after them, and signatures of 16. */
#define PE 0x80
#define OPTIONAL (PE + 24)
#define CHECKSUM (OPTIONAL + 64)
#define SECURITY (OPTIONAL + 112 + 4 * 8)
#define SECTIONS (OPTIONAL + 240)
#define HEADERS 0x400
#define TEXT 0x600 /* 0x100 bytes; after it in the table */
#define DATA 0x400 /* 0x200 bytes */
#define REST 0x700
#define SIGNATURES 0x718
#define KERNEL 0x728

static struct bawn_bytes kernel(void)
{
    uint8_t *k = malloc(KERNEL);

    assert_non_null(k);
    for (unsigned i = 0; i < KERNEL; i++)
        k[i] = (uint8_t)(i * 11 + 3);
    memcpy(k, "MZ", 2);
    put_le(k + 0x3c, PE, 4);
    memcpy(k + PE, "PE\0", 4);
    put_le(k + PE + 6, 3, 2);
    put_le(k + PE + 20, 240, 2);
    put_le(k + OPTIONAL, 0x20b, 2);
    put_le(k + OPTIONAL + 60, HEADERS, 4);
    put_le(k + OPTIONAL + 108, 6, 4);
    put_le(k + SECURITY, SIGNATURES, 4);
    put_le(k + SECURITY + 4, KERNEL - SIGNATURES, 4);
    /* The section table covers 0x188 to 0x200. */
    put_le(k + SECTIONS + 16, 0x100, 4);
    put_le(k + SECTIONS + 20, TEXT, 4);
    put_le(k + SECTIONS + 40 + 16, 0, 4);
    put_le(k + SECTIONS + 40 + 20, 0xffffffff, 4); /* of no bytes: does not matter */
    put_le(k + SECTIONS + 80 + 16, 0x200, 4);
    put_le(k + SECTIONS + 80 + 20, DATA, 4);
    memcpy(k + 0x202, "HdrS", 4);
    put_le(k + 0x206, 0x20f, 2);
    k[0x211] = 1;
    put_le(k + 0x22c, 0x7fffffff, 4);
    put_le(k + 0x236, 0x2, 2);
    return (struct bawn_bytes){ k, KERNEL };
}

/* The digest written out: all but the checksum, the directory entry and the signatures. */
static void digest_by_hand(const uint8_t *k, uint8_t *digest)
{
    uint8_t left[KERNEL];
    size_t n = 0;

    memcpy(left + n, k, CHECKSUM), n += CHECKSUM;
    memcpy(left + n, k + CHECKSUM + 4, SECURITY - CHECKSUM - 4), n += SECURITY - CHECKSUM - 4;
    memcpy(left + n, k + SECURITY + 8, SIGNATURES - SECURITY - 8), n += SIGNATURES - SECURITY - 8;
    digest_of("SHA384", left, n, digest);
}

static void pe(void **state)
{
    struct bawn_bytes k = kernel();
    uint8_t *data = (uint8_t *)(uintptr_t)k.data, want[48], have[48], again[48];
    struct bawn_error err = { "" };

    (void)state;
    digest_by_hand(k.data, want);
    if (bawn_pe_digest(k, have, &err) != BAWN_OK)
        fail_msg("%s", err.msg);
    assert_memory_equal(have, want, 48);
    /* Every byte counts, but those. */
    for (size_t i = 0; i < KERNEL; i++) {
        bool left_out = (i >= CHECKSUM && i < CHECKSUM + 4) ||
                        (i >= SECURITY && i < SECURITY + 4) || i >= SIGNATURES;
        enum bawn_status st;

        data[i] ^= 0x80;
        st = bawn_pe_digest(k, again, &err);
        data[i] ^= 0x80;
        if (left_out)
            assert_int_equal(st, BAWN_OK);
        if (st == BAWN_OK && !!memcmp(again, want, 48) == left_out)
            fail_msg("byte 0x%zx", i);
    }
    drop(k);
}

static void broken_pe(void **state)
{
    static const struct {
        size_t off;
        unsigned n;
        uint32_t value;
        const char *word;
    } cases[] = {
        { 0, 1, 'm', "begin with MZ" },
        { 0x3c, 4, KERNEL - 3, "no PE header" },
        { 0x3c, 4, 0xffffffff, "no PE header" },
        { 0x3c, 4, KERNEL, "no PE header" },
        { PE, 1, 0, "no PE header" },
        { PE + 6, 2, 97, "97 sections" },
        { PE + 20, 2, 0xffff, "section table is cut" },
        { OPTIONAL, 2, 0x107, "unknown kind" },
        { OPTIONAL + 60, 4, KERNEL + 1, "the size that they state" },
        { OPTIONAL + 60, 4, CHECKSUM + 3, "the size that they state" },
        { OPTIONAL + 60, 4, SECURITY + 7, "the size that they state" },
        { OPTIONAL + 60, 4, HEADERS + 1, "sections overlap" },
        { SECTIONS + 20, 4, DATA + 0x1ff, "sections overlap" },
        { SECTIONS + 20, 4, 0xffffffff, "ends past the file" },
        { SECTIONS + 16, 4, 0xffffffff, "ends past the file" },
        { SECURITY + 4, 4, KERNEL - REST + 1, "signatures do not fit" },
        { SECURITY + 4, 4, 0xffffffff, "signatures do not fit" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bawn_bytes k = kernel();
        struct bawn_error err = { "" };
        uint8_t digest[48];

        put_le((uint8_t *)(uintptr_t)k.data + cases[i].off, cases[i].value, cases[i].n);
        if (bawn_pe_digest(k, digest, &err) == BAWN_OK || !strstr(err.msg, cases[i].word))
            fail_msg("case %zu: %s", i, err.msg);
        drop(k);
    }
}

static void truncated_pe(void **state)
{
    struct bawn_bytes k = kernel();

    (void)state;
    for (size_t n = 0; n < k.len; n++) {
        struct bawn_bytes part = copy_of(k.data, n);
        uint8_t digest[48];
        enum bawn_status st = bawn_pe_digest(part, digest, NULL);

        /* Behind the sections, the file is as long as it is. */
        assert_true(st != BAWN_OK || n >= REST + KERNEL - SIGNATURES);
        drop(part);
    }
    drop(k);
}

/* PE32, and an image too old for a security directory. */
static void other_headers(void **state)
{
    struct bawn_bytes k = kernel();
    uint8_t *data = (uint8_t *)(uintptr_t)k.data, left[KERNEL], want[48], have[48];

    (void)state;
    put_le(data + OPTIONAL + 108, 4, 4);
    memcpy(left, data, CHECKSUM);
    memcpy(left + CHECKSUM, data + CHECKSUM + 4, KERNEL - CHECKSUM - 4);
    digest_of("SHA384", left, KERNEL - 4, want);
    assert_int_equal(bawn_pe_digest(k, have, NULL), BAWN_OK);
    assert_memory_equal(have, want, 48);
    /* The PE32 header is 16 bytes shorter before its directories. */
    put_le(data + OPTIONAL, 0x10b, 2);
    put_le(data + OPTIONAL + 92, 0, 4);
    memcpy(left, data, CHECKSUM);
    memcpy(left + CHECKSUM, data + CHECKSUM + 4, KERNEL - CHECKSUM - 4);
    digest_of("SHA384", left, KERNEL - 4, want);
    assert_int_equal(bawn_pe_digest(k, have, NULL), BAWN_OK);
    assert_memory_equal(have, want, 48);
    drop(k);
}

/* ---- Prediction ---- */

static void replay(const struct bawn_tdx_prediction *p, unsigned rtmr, uint8_t *want)
{
    memset(want, 0, 48);
    for (size_t i = 0; i < p->n; i++) {
        uint8_t both[96];

        if (p->events[i].rtmr != rtmr)
            continue;
        memcpy(both, want, 48);
        memcpy(both + 48, p->events[i].digest, 48);
        digest_of("SHA384", both, 96, want);
    }
}

static void wide(const char *text, uint8_t *digest)
{
    uint8_t buf[512] = { 0 };
    size_t n = strlen(text);

    assert_true(2 * n + 2 <= sizeof(buf));
    for (size_t i = 0; i < n; i++)
        buf[2 * i] = (uint8_t)text[i];
    digest_of("SHA384", buf, 2 * n + 2, digest);
}

static void prediction(void **state)
{
    struct bawn_bytes k = kernel();
    struct bawn_tdx_boot boot = { .kernel = k, .initrd_size = 5, .cmdline = "console=hvc0 \xe9" };
    struct bawn_tdx_prediction p;
    struct bawn_error err = { "" };
    uint8_t want[48];

    (void)state;
    memset(boot.initrd_digest, 0xab, 48);
    assert_int_equal(bawn_tdx_predict(&boot, &p, &err), BAWN_OK);
    assert_int_equal(p.n, 7);
    digest_by_hand(k.data, want);
    assert_memory_equal(p.events[0].digest, want, 48);
    wide("console=hvc0 \xe9 initrd=initrd", want);
    assert_string_equal(p.events[3].what, "LOADED_IMAGE::LoadOptions");
    assert_memory_equal(p.events[3].digest, want, 48);
    assert_memory_equal(p.events[4].digest, boot.initrd_digest, 48);
    for (unsigned r = 0; r < 4; r++) {
        replay(&p, r, want);
        assert_memory_equal(p.rtmr[r], want, 48);
    }
    assert_memory_equal(p.rtmr[0], (uint8_t[48]){ 0 }, 48);

    boot.initrd_size = 0;
    assert_int_equal(bawn_tdx_predict(&boot, &p, &err), BAWN_OK);
    assert_int_equal(p.n, 6);
    wide("console=hvc0 \xe9", want);
    assert_memory_equal(p.events[3].digest, want, 48);
    /* Without options the stub measures nothing. */
    boot.cmdline = NULL;
    assert_int_equal(bawn_tdx_predict(&boot, &p, &err), BAWN_OK);
    assert_int_equal(p.n, 5);
    assert_memory_equal(p.rtmr[2], (uint8_t[48]){ 0 }, 48);
    drop(k);
}

/* Where QEMU puts things, for a q35 with so much memory. */
static void patched(void **state)
{
    static const struct {
        uint64_t memory;
        uint32_t xloadflags, initrd_max, initrd;
    } cases[] = {
        { 0x40000000, 0x02, 0, (0x40000000 - 0x28000 - 1 - 0x12345) & ~4095u },
        { 0x80000000, 0x02, 0, (0x80000000 - 0x28000 - 1 - 0x12345) & ~4095u },
        { 0xaffff000, 0x02, 0, (0xaffff000 - 0x28000 - 1 - 0x12345) & ~4095u },
        { 0xb0000000, 0x02, 0, (0x80000000 - 0x28000 - 1 - 0x12345) & ~4095u },
        { 1ull << 40, 0x02, 0, (0x80000000 - 0x28000 - 1 - 0x12345) & ~4095u },
        { 0x40000000, 0x00, 0x37ffffff, (0x37ffffff - 0x12345) & ~4095u },
        { 0x10000000, 0x00, 0x37ffffff, (0x10000000 - 0x28000 - 1 - 0x12345) & ~4095u },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bawn_bytes k = kernel(), q = kernel();
        uint8_t *kd = (uint8_t *)(uintptr_t)k.data, *qd = (uint8_t *)(uintptr_t)q.data, want[48];
        struct bawn_tdx_boot boot = { .kernel = k, .initrd_size = 0x12345 };
        struct bawn_tdx_prediction p;

        boot.memory = cases[i].memory;
        for (unsigned both = 0; both < 2; both++) {
            uint8_t *d = both ? qd : kd;

            put_le(d + 0x236, cases[i].xloadflags, 2);
            put_le(d + 0x22c, cases[i].initrd_max, 4);
        }
        qd[0x210] = 0xb0;
        qd[0x211] = 0x81;
        put_le(qd + 0x218, cases[i].initrd, 4);
        put_le(qd + 0x21c, 0x12345, 4);
        put_le(qd + 0x224, 0xfe00, 4);
        put_le(qd + 0x228, 0x20000, 4);
        assert_int_equal(bawn_tdx_predict(&boot, &p, NULL), BAWN_OK);
        digest_by_hand(q.data, want);
        assert_memory_equal(p.events[0].digest, want, 48);
        drop(k);
        drop(q);
    }
}

static void not_patched(void **state)
{
    static const struct {
        size_t off;
        unsigned n;
        uint32_t value;
        uint64_t initrd;
        const char *cmdline, *word;
    } cases[] = {
        { 0x202, 1, 0, 0, NULL, "not a bzImage" },
        { 0x206, 2, 0x20b, 0, NULL, "not a bzImage" },
        { 0x211, 1, 0, 0, NULL, "not a bzImage" },
        { 0x211, 1, 1, 0, "a vga=ask", "vga=" },
        { 0x211, 1, 1, 0x3ffd7fff, NULL, "do not fit" },
        { 0x211, 1, 1, UINT64_MAX, NULL, "do not fit" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bawn_bytes k = kernel();
        struct bawn_tdx_boot boot = {
            .kernel = k,
            .memory = 1 << 30,
            .initrd_size = cases[i].initrd,
            .cmdline = cases[i].cmdline,
        };
        struct bawn_tdx_prediction p;
        struct bawn_error err = { "" };

        put_le((uint8_t *)(uintptr_t)k.data + cases[i].off, cases[i].value, cases[i].n);
        if (bawn_tdx_predict(&boot, &p, &err) == BAWN_OK || !strstr(err.msg, cases[i].word))
            fail_msg("case %zu: %s", i, err.msg);
        drop(k);
    }
    for (size_t n = 0; n < 0x238; n++) {
        struct bawn_bytes k = kernel(), part = copy_of(k.data, n);
        struct bawn_tdx_boot boot = { .kernel = part, .memory = 1 << 30 };
        struct bawn_tdx_prediction p;

        assert_int_not_equal(bawn_tdx_predict(&boot, &p, NULL), BAWN_OK);
        drop(k);
        drop(part);
    }
}

/* ---- A real log ---- */

/* Of tests/vectors/eventlog/ccel_data.dat: that TD started by another way, but these events are
 * the same in any. Each predicted digest must be there for that register. */
static bool logged(struct bawn_bytes log, const struct bawn_tdx_event *e)
{
    struct bawn_cursor c = bawn_cursor_over(log.data, log.len);

    bawn_cursor_seek(&c, 8 + 20); /* TCG_PCR_EVENT: the specification's identification */
    bawn_cursor_take(&c, bawn_cursor_u32(&c));
    while (bawn_cursor_left(&c) >= 12) {
        uint32_t index = bawn_cursor_u32(&c), type = bawn_cursor_u32(&c);
        uint32_t n = bawn_cursor_u32(&c), alg = bawn_cursor_u16(&c);
        const uint8_t *digest = bawn_cursor_take(&c, 48);

        if (n != 1 || alg != 0xc)
            break;
        bawn_cursor_take(&c, bawn_cursor_u32(&c));
        if (!c.failed && index == e->rtmr + 1 && type == e->type && !memcmp(digest, e->digest, 48))
            return true;
    }
    return false;
}

static void real_events(void **state)
{
    struct bawn_bytes k = kernel(), log = must_read("tests/vectors/eventlog/ccel_data.dat");
    struct bawn_tdx_boot boot = { .kernel = k };
    struct bawn_tdx_prediction p;

    (void)state;
    assert_int_equal(bawn_tdx_predict(&boot, &p, NULL), BAWN_OK);
    assert_int_equal(p.n, 5);
    for (size_t i = 1; i < p.n; i++)
        assert_true(logged(log, &p.events[i]));
    assert_false(logged(log, &p.events[0])); /* our kernel was not there */
    drop(k);
    drop(log);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(pe),           cmocka_unit_test(broken_pe),
        cmocka_unit_test(truncated_pe), cmocka_unit_test(other_headers),
        cmocka_unit_test(prediction),   cmocka_unit_test(patched),
        cmocka_unit_test(not_patched),  cmocka_unit_test(real_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The cursor against a model of plain offsets: every sequence of up to four operations, over
 * buffers of 0 to 4 bytes that end where their allocation ends. Stands in for a bounded proof.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bawn/cursor.h>

#define BUFFER_MAX 4
#define DEPTH 4

enum op_kind { TAKE, SEEK, SLICE, LE, BE, ZEROS };

struct op {
    enum op_kind kind;
    uint64_t a, b;
};

static const struct op ops[] = {
    { TAKE, 0, 0 },
    { TAKE, 1, 0 },
    { TAKE, 3, 0 },
    { TAKE, UINT64_MAX, 0 },
    { SEEK, 0, 0 },
    { SEEK, 1, 0 },
    { SEEK, 4, 0 },
    { SEEK, 5, 0 },
    { SEEK, UINT64_MAX, 0 },
    { SLICE, 0, 0 },
    { SLICE, 1, 2 },
    { SLICE, 2, 2 },
    { SLICE, 4, 0 },
    { SLICE, 1, UINT64_MAX },
    { SLICE, UINT64_MAX, 1 },
    { LE, 1, 0 },
    { LE, 2, 0 },
    { BE, 3, 0 },
    { BE, 4, 0 },
    { LE, 8, 0 },
    { ZEROS, 0, 0 },
    { ZEROS, 1, 0 },
    { ZEROS, 2, 0 },
    { ZEROS, UINT64_MAX, 0 },
};

#define NR_OPS (sizeof(ops) / sizeof(ops[0]))

/* All are offsets into the buffer. */
struct model {
    uint64_t start, pos, end;
    bool failed;
};

static bool model_take(struct model *m, uint64_t n)
{
    m->failed = m->failed || n > m->end - m->pos;
    if (!m->failed)
        m->pos += n;
    return !m->failed;
}

static bool model_seek(struct model *m, uint64_t off)
{
    m->failed = m->failed || off > m->end - m->start;
    if (!m->failed)
        m->pos = m->start + off;
    return !m->failed;
}

static struct model model_slice(const struct model *m, uint64_t off, uint64_t len)
{
    struct model s = *m;

    if (model_seek(&s, off) && model_take(&s, len)) {
        s.end = s.pos;
        s.start = s.pos = s.end - len;
    }
    return s;
}

static uint64_t model_number(struct model *m, const uint8_t *buf, unsigned n, bool big)
{
    uint64_t at = m->pos, v = 0;

    if (!model_take(m, n))
        return 0;
    for (unsigned i = 0; i < n; i++)
        v |= (uint64_t)buf[at + i] << 8 * (big ? n - 1 - i : i);
    return v;
}

static bool model_zeros(struct model *m, const uint8_t *buf, uint64_t n)
{
    uint64_t at = m->pos;

    if (!model_take(m, n))
        return false;
    while (n && !buf[at + n - 1])
        n--;
    return !n;
}

static void step(const struct op *op, const uint8_t *buf, struct bawn_cursor *c, struct model *m)
{
    uint64_t at = m->pos;
    const uint8_t *p;

    switch (op->kind) {
    case TAKE:
        p = bawn_cursor_take(c, op->a);
        assert_ptr_equal(p, model_take(m, op->a) ? buf + at : NULL);
        break;
    case SEEK:
        bawn_cursor_seek(c, op->a);
        model_seek(m, op->a);
        break;
    case SLICE:
        *c = bawn_cursor_slice(c, op->a, op->b);
        *m = model_slice(m, op->a, op->b);
        break;
    case LE:
        assert_int_equal(bawn_cursor_le(c, (unsigned)op->a),
                         model_number(m, buf, (unsigned)op->a, false));
        break;
    case BE:
        assert_int_equal(bawn_cursor_be(c, (unsigned)op->a),
                         model_number(m, buf, (unsigned)op->a, true));
        break;
    case ZEROS:
        assert_int_equal(bawn_cursor_zeros(c, op->a), model_zeros(m, buf, op->a));
        break;
    }
    assert_int_equal(c->failed, m->failed);
    assert_int_equal(bawn_cursor_left(c), m->failed ? 0 : m->end - m->pos);
    if (!m->failed)
        assert_ptr_equal(c->pos, buf + m->pos);
}

/* Depth first: each prefix of a sequence is run once, and kept for all that begin with it. */
static void sequences(void **state)
{
    static const uint8_t contents[][BUFFER_MAX] = { { 0x00, 0x00, 0x81, 0xff },
                                                    { 0x7e, 0x00, 0x00, 0x00 } };
    size_t runs = 0;

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        for (size_t len = 0; len <= BUFFER_MAX; len++) {
            uint8_t *buf = malloc(len ? len : 1);
            struct bawn_cursor c[DEPTH + 1];
            struct model m[DEPTH + 1];
            size_t digit[DEPTH] = { 0 }, depth = 0;

            assert_non_null(buf);
            memcpy(buf, contents[k], len);
            c[0] = bawn_cursor_over(buf, len);
            m[0] = (struct model){ 0, 0, len, false };
            for (;;) {
                if (depth < DEPTH && digit[depth] < NR_OPS) {
                    c[depth + 1] = c[depth];
                    m[depth + 1] = m[depth];
                    step(&ops[digit[depth]], buf, &c[depth + 1], &m[depth + 1]);
                    runs++;
                    if (++depth < DEPTH)
                        digit[depth] = 0;
                    continue;
                }
                if (!depth)
                    break;
                digit[--depth]++;
            }
            free(buf);
        }
    }
    /* 24 + 24^2 + 24^3 + 24^4 for each of the ten buffers */
    assert_int_equal(runs, 10 * (NR_OPS + NR_OPS * NR_OPS + NR_OPS * NR_OPS * NR_OPS +
                                 NR_OPS * NR_OPS * NR_OPS * NR_OPS));
}

/* The named widths are little-endian of that many bytes. */
static void widths(void **state)
{
    static const uint8_t buf[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
    struct bawn_cursor c = bawn_cursor_over(buf, sizeof(buf));

    (void)state;
    assert_int_equal(bawn_cursor_u8(&c), 0x01);
    assert_int_equal(bawn_cursor_u16(&c), 0x0302);
    assert_int_equal(bawn_cursor_u32(&c), 0x07060504);
    assert_int_equal(bawn_cursor_u64(&c), 0x0f0e0d0c0b0a0908);
    assert_int_equal(bawn_cursor_left(&c), 0);
    assert_false(c.failed);
    assert_int_equal(bawn_cursor_u8(&c), 0);
    assert_true(c.failed);
}

/* No bytes at all: an absent optional field. */
static void nothing(void **state)
{
    struct bawn_cursor c = bawn_cursor_over(NULL, 0);

    (void)state;
    assert_int_equal(bawn_cursor_left(&c), 0);
    assert_null(bawn_cursor_take(&c, 0));
    assert_false(c.failed);
    bawn_cursor_seek(&c, 0);
    assert_false(c.failed);
    c = bawn_cursor_slice(&c, 0, 0);
    assert_false(c.failed);
    assert_int_equal(bawn_cursor_u8(&c), 0);
    assert_true(c.failed);
    bawn_cursor_seek(&c, 0);
    assert_true(c.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequences),
        cmocka_unit_test(widths),
        cmocka_unit_test(nothing),
    };

    return cmocka_run_group_tests_name("attest/cursor", tests, NULL, NULL);
}

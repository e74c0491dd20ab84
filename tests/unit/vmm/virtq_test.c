// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/virtq.c: ordinary requests, and rings and descriptors as a hostile driver writes them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <linux/virtio_ring.h>

#include "virtq.h"

#define RAM_SIZE (4ull << 20)
#define QUEUE 8
#define DESC 0x10000ull
#define AVAIL 0x20000ull
#define USED 0x30000ull
#define BUF 0x100000ull

struct ring {
    struct bawn_mem mem;
    struct bawn_virtq q;
    struct vring_desc *desc;
    uint16_t *avail; /* flags, idx, ring */
    uint16_t *used;
};

static int setup(void **state)
{
    static struct ring r;
    const struct bawn_ram ram[2] = { { 0, RAM_SIZE }, { 1ull << 32, RAM_SIZE } };

    memset(&r, 0, sizeof(r));
    assert_int_equal(bawn_mem_create(&r.mem, ram, 2, true, NULL), BAWN_OK);
    r.q = (struct bawn_virtq){
        .mem = &r.mem, .size = QUEUE, .desc_gpa = DESC, .avail_gpa = AVAIL, .used_gpa = USED
    };
    assert_true(bawn_virtq_enable(&r.q));
    r.desc = bawn_mem_at(&r.mem, DESC, 4096);
    r.avail = bawn_mem_at(&r.mem, AVAIL, 4096);
    r.used = bawn_mem_at(&r.mem, USED, 4096);
    *state = &r;
    return 0;
}

static int teardown(void **state)
{
    struct ring *r = *state;

    bawn_mem_destroy(&r->mem);
    return 0;
}

static void give(struct bawn_virtq *q, const struct bawn_virtq_chain *c, uint32_t written)
{
    struct bawn_virtq_used used = bawn_virtq_used(c, written);

    bawn_virtq_push(q, &used, 1);
}

static void set_desc(struct ring *r, unsigned n, uint64_t addr, uint32_t len, uint16_t flags,
                     uint16_t next)
{
    r->desc[n] = (struct vring_desc){ addr, len, flags, next };
}

static void offer(struct ring *r, uint16_t head)
{
    r->avail[2 + r->avail[1] % QUEUE] = head;
    r->avail[1]++;
}

static void expect_broken(struct ring *r)
{
    struct bawn_virtq_chain c;

    assert_int_equal(bawn_virtq_pop(&r->q, &c), BAWN_VIRTQ_BROKEN);
    assert_true(r->q.broken);
    /* For good, even if the driver mends its ring. */
    memset(r->avail, 0, 64);
    assert_int_equal(bawn_virtq_pop(&r->q, &c), BAWN_VIRTQ_BROKEN);
}

static void test_request(void **state)
{
    struct ring *r = *state;
    struct bawn_virtq_chain c;

    assert_int_equal(bawn_virtq_pop(&r->q, &c), BAWN_VIRTQ_EMPTY);
    set_desc(r, 3, BUF, 100, VRING_DESC_F_NEXT, 5);
    set_desc(r, 5, BUF + 4096, 50, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 0);
    set_desc(r, 0, (1ull << 32) + RAM_SIZE - 7, 7, VRING_DESC_F_WRITE, 99);
    offer(r, 3);
    assert_int_equal(bawn_virtq_pop(&r->q, &c), BAWN_VIRTQ_CHAIN);
    assert_int_equal(c.nr_read, 1);
    assert_int_equal(c.nr_write, 2);
    assert_int_equal(c.read_len, 100);
    assert_int_equal(c.write_len, 57);
    assert_ptr_equal(c.iov[0].iov_base, bawn_mem_at(&r->mem, BUF, 1));
    assert_int_equal(c.iov[2].iov_len, 7);
    give(&r->q, &c, 1000);
    assert_int_equal(r->used[1], 1);
    assert_int_equal(r->used[2], 3);  /* the head */
    assert_int_equal(r->used[4], 57); /* never more than there was room for */
    assert_int_equal(bawn_virtq_pop(&r->q, &c), BAWN_VIRTQ_EMPTY);
    assert_true(bawn_virtq_wants_irq(&r->q));
    r->avail[0] = VRING_AVAIL_F_NO_INTERRUPT;
    assert_false(bawn_virtq_wants_irq(&r->q));
}

static void test_index_wraps(void **state)
{
    struct ring *r = *state;
    struct bawn_virtq_chain c;

    set_desc(r, 1, BUF, 1, 0, 0);
    for (unsigned i = 0; i < 70000; i++) {
        offer(r, 1);
        assert_int_equal(bawn_virtq_pop(&r->q, &c), BAWN_VIRTQ_CHAIN);
        give(&r->q, &c, 0);
    }
    assert_int_equal(r->used[1], (uint16_t)70000);
}

static void test_full_chain(void **state)
{
    struct ring *r = *state;
    struct bawn_virtq_chain c;

    for (unsigned i = 0; i < QUEUE; i++)
        set_desc(r, i, BUF, 1, i + 1 < QUEUE ? VRING_DESC_F_NEXT : 0, i + 1);
    offer(r, 0);
    assert_int_equal(bawn_virtq_pop(&r->q, &c), BAWN_VIRTQ_CHAIN);
    assert_int_equal(c.nr_read, QUEUE);
}

static void test_loop(void **state)
{
    struct ring *r = *state;

    set_desc(r, 0, BUF, 1, VRING_DESC_F_NEXT, 1);
    set_desc(r, 1, BUF, 1, VRING_DESC_F_NEXT, 0);
    offer(r, 0);
    expect_broken(r);
}

static void test_self_loop(void **state)
{
    struct ring *r = *state;

    set_desc(r, 2, BUF, 1, VRING_DESC_F_NEXT, 2);
    offer(r, 2);
    expect_broken(r);
}

static void test_head_out_of_range(void **state)
{
    struct ring *r = *state;

    offer(r, QUEUE);
    expect_broken(r);
}

static void test_next_out_of_range(void **state)
{
    struct ring *r = *state;

    set_desc(r, 0, BUF, 1, VRING_DESC_F_NEXT, 0xffff);
    offer(r, 0);
    expect_broken(r);
}

static void test_avail_jump(void **state)
{
    struct ring *r = *state;

    set_desc(r, 0, BUF, 1, 0, 0);
    r->avail[1] = QUEUE + 1;
    expect_broken(r);
}

static void test_avail_back(void **state)
{
    struct ring *r = *state;

    r->avail[1] = 0xffff;
    expect_broken(r);
}

static void test_bad_buffers(void **state)
{
    static const struct {
        uint64_t addr;
        uint32_t len;
        uint16_t flags;
    } bad[] = {
        { RAM_SIZE, 1, 0 },
        { RAM_SIZE - 1, 2, 0 },
        { 0, 0xffffffff, 0 },
        { BUF, 0, 0 },
        { ~0ull, 1, 0 },
        { ~0ull - 3, 8, 0 },
        { (1ull << 32) - 1, 2, 0 },
        { (1ull << 32) + RAM_SIZE, 1, VRING_DESC_F_WRITE },
        { BUF, 16, VRING_DESC_F_INDIRECT },
        { BUF, 1, 0x80 },
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct ring *r = *state;

        set_desc(r, 0, bad[i].addr, bad[i].len, bad[i].flags, 0);
        offer(r, 0);
        expect_broken(r);
        teardown(state);
        setup(state);
    }
}

static void test_read_after_write(void **state)
{
    struct ring *r = *state;

    set_desc(r, 0, BUF, 1, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1);
    set_desc(r, 1, BUF, 1, 0, 0);
    offer(r, 0);
    expect_broken(r);
}

static void test_layout(void **state)
{
    static const struct {
        uint16_t size;
        uint64_t desc, avail, used;
    } bad[] = {
        { 0, DESC, AVAIL, USED },
        { 3, DESC, AVAIL, USED },
        { 2 * BAWN_VIRTQ_MAX, DESC, AVAIL, USED },
        { 0xffff, DESC, AVAIL, USED },
        { QUEUE, DESC + 8, AVAIL, USED },
        { QUEUE, DESC, AVAIL + 1, USED },
        { QUEUE, DESC, AVAIL, USED + 2 },
        { QUEUE, RAM_SIZE - 16, AVAIL, USED },
        { QUEUE, DESC, RAM_SIZE - 4, USED },
        { QUEUE, DESC, AVAIL, RAM_SIZE - 8 },
        { QUEUE, ~0ull & ~15ull, AVAIL, USED },
    };
    struct ring *r = *state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct bawn_virtq_chain c;
        struct bawn_virtq q = { .mem = &r->mem,
                                .size = bad[i].size,
                                .desc_gpa = bad[i].desc,
                                .avail_gpa = bad[i].avail,
                                .used_gpa = bad[i].used };

        assert_false(bawn_virtq_enable(&q));
        assert_int_equal(bawn_virtq_pop(&q, &c), BAWN_VIRTQ_BROKEN);
    }
}

/* Whatever stands in the rings, each popped chain lies in RAM and within its bounds. */
static void test_random_rings(void **state)
{
    struct ring *r = *state;
    uint32_t seed = 1;

    for (unsigned round = 0; round < 20000; round++) {
        struct bawn_virtq_chain c;
        uint8_t *bytes[] = { (uint8_t *)r->desc, (uint8_t *)r->avail };

        for (unsigned i = 0; i < 16; i++) {
            seed = seed * 1664525 + 1013904223;
            bytes[i % 2][(seed >> 8) % (QUEUE * 16)] = seed >> 24;
        }
        for (unsigned i = 0; i < 4 && bawn_virtq_pop(&r->q, &c) == BAWN_VIRTQ_CHAIN; i++) {
            assert_true(c.nr_read + c.nr_write <= QUEUE);
            for (unsigned n = 0; n < c.nr_read + c.nr_write; n++) {
                uint8_t *p = c.iov[n].iov_base;

                assert_true(p >= r->mem.range[0].host || p >= r->mem.range[1].host);
                *(volatile uint8_t *)p;
                *(volatile uint8_t *)(p + c.iov[n].iov_len - 1);
            }
            give(&r->q, &c, c.write_len);
        }
        r->q.broken = false;
        r->q.avail_idx = r->avail[1] - 1;
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_request),           TEST(test_index_wraps),
        TEST(test_full_chain),        TEST(test_loop),
        TEST(test_self_loop),         TEST(test_head_out_of_range),
        TEST(test_next_out_of_range), TEST(test_avail_jump),
        TEST(test_avail_back),        TEST(test_bad_buffers),
        TEST(test_read_after_write),  TEST(test_layout),
        TEST(test_random_rings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

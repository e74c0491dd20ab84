// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/virtq.c beside a model of sections 2.7 and 2.8 of virtio 1.2 that is written another way: the
 * buffers of a chain are collected first, in a list, and judged afterwards. Small rings take every
 * content that a small set of field values gives; both must find the same chains, or none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "virtq.h"

#define RAM_SIZE 0x200000ull
#define DESC 0x1000ull
#define AVAIL 0x2000ull
#define USED 0x3000ull
#define TABLE 0x4000ull
#define BUF 0x5000ull
#define EDGE (RAM_SIZE - 1) /* one byte is left */

#define N VRING_DESC_F_NEXT
#define W VRING_DESC_F_WRITE
#define I VRING_DESC_F_INDIRECT
#define A 0x80u
#define U 0x8000u
#define LIST_MAX 200

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct bawn_mem mem;
static uint8_t *ram;

struct entry {
    uint64_t addr;
    uint32_t len;
    uint16_t flags;
    uint16_t next; /* packed: the id */
};

struct ring {
    unsigned size;
    bool packed, indirect;
    uint16_t at; /* packed: the position with its counter; split: the head */
};

/* ---- The model ---- */

struct list {
    struct entry e[LIST_MAX];
    unsigned n;
    uint16_t head, slots;
};

static struct entry entry_at(uint64_t gpa, bool packed)
{
    struct entry e;
    uint16_t third, fourth;

    memcpy(&e.addr, ram + gpa, 8);
    memcpy(&e.len, ram + gpa + 8, 4);
    memcpy(&third, ram + gpa + 12, 2);
    memcpy(&fourth, ram + gpa + 14, 2);
    e.flags = packed ? fourth : third;
    e.next = packed ? third : fourth;
    return e;
}

static bool in_ram(uint64_t addr, uint32_t len)
{
    return addr < RAM_SIZE && (unsigned __int128)addr + len <= RAM_SIZE;
}

/* What an indirect descriptor stands for is put into the list. */
static bool expand(const struct ring *r, struct entry e, struct list *l)
{
    const uint64_t table = e.addr;
    unsigned n = e.len / 16, at = 0;
    bool seen[LIST_MAX] = { false };

    if (!r->indirect || e.len == 0 || e.len % 16 || !in_ram(e.addr, e.len) ||
        (e.flags & ~(I | W | (r->packed ? A | U : 0))))
        return false;
    if (r->packed) {
        for (unsigned i = 0; i < n; i++) {
            l->e[l->n] = entry_at(table + 16 * i, true);
            l->e[l->n++].flags &= W;
        }
        return true;
    }
    for (;;) {
        if (at >= n || seen[at])
            return false;
        seen[at] = true;
        e = entry_at(table + 16 * at, false);
        if (e.flags & ~(N | W))
            return false;
        l->e[l->n++] = e;
        if (!(e.flags & N))
            return true;
        at = e.next;
    }
}

static bool collect_split(const struct ring *r, struct list *l)
{
    bool seen[8] = { false };
    unsigned at = r->at;

    l->head = r->at;
    l->slots = 1;
    for (;;) {
        struct entry e;

        if (at >= r->size || seen[at])
            return false;
        seen[at] = true;
        e = entry_at(DESC + 16 * at, false);
        if (e.flags & I)
            return expand(r, e, l);
        if (e.flags & ~(N | W))
            return false;
        l->e[l->n++] = e;
        if (!(e.flags & N))
            return true;
        at = e.next;
    }
}

/* Whether the packed entry is the driver's to offer in this round. */
static bool offered(struct entry e, bool round)
{
    return round ? (e.flags & (A | U)) == A : (e.flags & (A | U)) == U;
}

static bool collect_packed(const struct ring *r, struct list *l)
{
    unsigned first = r->at & 0x7fff;

    for (unsigned i = 0; i < r->size; i++) {
        bool round = !!(r->at & 0x8000) ^ (first + i >= r->size);
        struct entry e = entry_at(DESC + 16 * ((first + i) % r->size), true);

        if (!offered(e, round))
            return false;
        l->head = e.next;
        l->slots = i + 1;
        if (e.flags & I)
            return expand(r, e, l);
        if (e.flags & ~(N | W | A | U))
            return false;
        l->e[l->n++] = e;
        if (!(e.flags & N))
            return true;
    }
    return false;
}

static bool judge(const struct list *l)
{
    bool writes = false;

    for (unsigned i = 0; i < l->n; i++) {
        if (!l->e[i].len || !in_ram(l->e[i].addr, l->e[i].len))
            return false;
        if (writes && !(l->e[i].flags & W))
            return false;
        writes |= !!(l->e[i].flags & W);
    }
    return true;
}

static enum bawn_virtq_result model(const struct ring *r, struct list *l)
{
    bool ok;

    l->n = 0;
    if (r->packed && !offered(entry_at(DESC + 16 * (r->at & 0x7fff), true), r->at & 0x8000))
        return BAWN_VIRTQ_EMPTY;
    ok = (r->packed ? collect_packed(r, l) : collect_split(r, l)) && judge(l);
    return ok ? BAWN_VIRTQ_CHAIN : BAWN_VIRTQ_BROKEN;
}

/* ---- Comparison ---- */

static void must(bool ok, const struct ring *r, const char *what)
{
    if (ok)
        return;
    for (unsigned i = 0; i < r->size; i++) {
        struct entry e = entry_at(DESC + 16 * i, r->packed);

        print_error("%u: %#lx %#x flags %#x %u\n", i, (unsigned long)e.addr, e.len, e.flags,
                    e.next);
    }
    fail_msg("size %u packed %d indirect %d at %#x: %s", r->size, r->packed, r->indirect, r->at,
             what);
}

static struct bawn_virtq queue(const struct ring *r)
{
    return (struct bawn_virtq){
        .mem = &mem,
        .size = (uint16_t)r->size,
        .desc_gpa = DESC,
        .avail_gpa = AVAIL,
        .used_gpa = USED,
        .features = (r->packed ? 1ull << VIRTIO_F_RING_PACKED : 0) |
                    (r->indirect ? 1ull << VIRTIO_RING_F_INDIRECT_DESC : 0),
    };
}

static void compare_chain(const struct ring *r, const struct bawn_virtq_chain *c,
                          const struct list *l)
{
    uint64_t sum[2] = { 0, 0 };

    must(c->nr_read + c->nr_write == l->n, r, "number of buffers");
    must(c->head == l->head && c->slots == l->slots, r, "head or slots");
    for (unsigned i = 0; i < l->n; i++) {
        bool write = l->e[i].flags & W;

        sum[write] += l->e[i].len;
        must(c->iov[i].iov_base == ram + l->e[i].addr && c->iov[i].iov_len == l->e[i].len &&
                 write == (i >= c->nr_read),
             r, "a buffer");
    }
    must(c->read_len == sum[0] && c->write_len == sum[1], r, "sums");
}

/* Pops from the ring as it stands in memory; then once more after a take-back. */
static void compare(const struct ring *r)
{
    static struct bawn_virtq_chain c;
    static struct list l;
    struct bawn_virtq q = queue(r);
    enum bawn_virtq_result want = model(r, &l), got;
    uint16_t before;

    must(bawn_virtq_resume(&q, r->packed ? r->at : 0, r->packed ? r->at : 0), r, "not started");
    before = q.avail_idx;
    got = bawn_virtq_pop(&q, &c);
    must(got == want, r, "result");
    must(q.broken == (want == BAWN_VIRTQ_BROKEN), r, "broken");
    if (want != BAWN_VIRTQ_CHAIN)
        return;
    compare_chain(r, &c, &l);
    bawn_virtq_rewind(&q, before);
    must(bawn_virtq_pop(&q, &c) == BAWN_VIRTQ_CHAIN, r, "not popped again");
    compare_chain(r, &c, &l);
}

/* ---- Contents ---- */

struct values {
    const uint64_t *addr;
    const uint32_t *len;
    const uint16_t *flags, *next;
    unsigned nr_addr, nr_len, nr_flags, nr_next;
};
#define VALUES(a, l, f, n)                                 \
    {                                                      \
        a, l, f, n, COUNT(a), COUNT(l), COUNT(f), COUNT(n) \
    }

static unsigned combinations(const struct values *v)
{
    return v->nr_addr * v->nr_len * v->nr_flags * v->nr_next;
}

static void put(uint64_t gpa, bool packed, struct entry e)
{
    memcpy(ram + gpa, &e.addr, 8);
    memcpy(ram + gpa + 8, &e.len, 4);
    memcpy(ram + gpa + 12, packed ? &e.next : &e.flags, 2);
    memcpy(ram + gpa + 14, packed ? &e.flags : &e.next, 2);
}

/* Combination n of the values. */
static void put_nth(uint64_t gpa, bool packed, const struct values *v, unsigned n)
{
    struct entry e = { .addr = v->addr[n % v->nr_addr] };

    n /= v->nr_addr;
    e.len = v->len[n % v->nr_len];
    n /= v->nr_len;
    e.flags = v->flags[n % v->nr_flags];
    n /= v->nr_flags;
    e.next = v->next[n % v->nr_next];
    put(gpa, packed, e);
}

/* All contents of n entries; fn for each. */
static void sweep(uint64_t gpa, unsigned n, bool packed, const struct values *v,
                  void (*fn)(void *opaque), void *opaque)
{
    if (!n) {
        fn(opaque);
        return;
    }
    for (unsigned i = 0; i < combinations(v); i++) {
        put_nth(gpa, packed, v, i);
        sweep(gpa + 16, n - 1, packed, v, fn, opaque);
    }
}

static void all_split(void *opaque)
{
    struct ring r = *(struct ring *)opaque;

    for (unsigned head = 0; head <= r.size; head++) {
        uint16_t avail[3] = { 0, 1, (uint16_t)head };

        memcpy(ram + AVAIL, avail, sizeof(avail));
        r.at = (uint16_t)head;
        r.indirect = false;
        compare(&r);
        r.indirect = true;
        compare(&r);
    }
}

static void all_packed(void *opaque)
{
    struct ring r = *(struct ring *)opaque;

    for (unsigned at = 0; at < 2 * r.size; at++) {
        r.at = (uint16_t)(at % r.size | (at < r.size ? 0x8000 : 0));
        r.indirect = false;
        compare(&r);
        r.indirect = true;
        compare(&r);
    }
}

static const uint64_t addrs[] = { BUF, EDGE, TABLE };
static const uint64_t few_addrs[] = { BUF, RAM_SIZE };
static const uint64_t one_addr[] = { BUF };
static const uint32_t lens[] = { 0, 1, 16, 32 };
static const uint32_t few_lens[] = { 0, 1 };
static const uint32_t one_len[] = { 1 };
static const uint16_t chain_flags[] = { 0, N, W, N | W };
static const uint16_t all_flags[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8 };
static const uint16_t nexts[] = { 0, 1, 2 };
static const uint16_t more_nexts[] = { 0, 1, 2, 3, 4 };
static const uint16_t one_id[] = { 7 };

static void test_split_2(void **state)
{
    const struct values v = VALUES(addrs, lens, all_flags, nexts);
    struct ring r = { .size = 2 };

    (void)state;
    put(TABLE, false, (struct entry){ BUF, 3, N, 1 });
    put(TABLE + 16, false, (struct entry){ BUF + 64, 5, W, 0 });
    sweep(DESC, 2, false, &v, all_split, &r);
}

static void test_split_4(void **state)
{
    const struct values v = VALUES(one_addr, one_len, chain_flags, more_nexts);
    struct ring r = { .size = 4 };

    (void)state;
    sweep(DESC, 4, false, &v, all_split, &r);
}

/* Each content of a table of two, behind one direct buffer and at once, in all lengths. */
static void test_split_tables(void **state)
{
    static const uint32_t table_lens[] = { 16, 24, 32, 48 };
    const struct values v = VALUES(few_addrs, few_lens, all_flags, more_nexts);
    struct ring r = { .size = 2 };

    (void)state;
    put(DESC, false, (struct entry){ BUF, 9, N, 1 });
    put(TABLE + 32, false, (struct entry){ BUF, 9, W, 0 });
    for (unsigned i = 0; i < COUNT(table_lens); i++) {
        put(DESC + 16, false, (struct entry){ TABLE, table_lens[i], I | W, 0 });
        sweep(TABLE, 2, false, &v, all_split, &r);
    }
}

static void test_packed_2(void **state)
{
    static uint16_t flags[4 * COUNT(all_flags)];
    struct values v = VALUES(addrs, lens, flags, one_id);
    struct ring r = { .size = 2, .packed = true };

    (void)state;
    for (unsigned i = 0; i < COUNT(flags); i++)
        flags[i] = all_flags[i / 4] | (i & 1 ? A : 0) | (i & 2 ? U : 0);
    put(TABLE, true, (struct entry){ BUF, 3, N | I, 1 });
    put(TABLE + 16, true, (struct entry){ BUF + 64, 5, W, 0 });
    sweep(DESC, 2, true, &v, all_packed, &r);
}

/* Three entries: a packed ring's size is no power of two. */
static void test_packed_3(void **state)
{
    static uint16_t flags[4 * COUNT(chain_flags)];
    static const uint16_t ids[] = { 0, 0xffff };
    struct values v = VALUES(one_addr, one_len, flags, ids);
    struct ring r = { .size = 3, .packed = true };

    (void)state;
    for (unsigned i = 0; i < COUNT(flags); i++)
        flags[i] = chain_flags[i / 4] | (i & 1 ? A : 0) | (i & 2 ? U : 0);
    sweep(DESC, 3, true, &v, all_packed, &r);
}

static void test_packed_tables(void **state)
{
    static const uint32_t table_lens[] = { 16, 24, 32 };
    static const uint16_t flags[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, A, U, W | A | U };
    const struct values v = VALUES(few_addrs, few_lens, flags, one_id);
    struct ring r = { .size = 2, .packed = true };

    (void)state;
    put(DESC, true, (struct entry){ BUF, 9, N | A, 1 });
    for (unsigned i = 0; i < COUNT(table_lens); i++) {
        put(DESC + 16, true, (struct entry){ TABLE, table_lens[i], I | W | A, 3 });
        sweep(TABLE, 2, true, &v, all_packed, &r);
    }
}

/* As many buffers as a chain may have, and one more. */
static void test_longest(void **state)
{
    (void)state;
    for (unsigned packed = 0; packed < 2; packed++) {
        for (unsigned n = BAWN_VIRTQ_MAX - 1; n <= BAWN_VIRTQ_MAX; n++) {
            struct ring r = { .size = 2, .packed = packed, .indirect = true };
            struct bawn_virtq q = queue(&r);
            struct bawn_virtq_chain c;
            uint16_t avail[3] = { 0, 1, 0 };

            put(DESC, packed, (struct entry){ BUF, 1, N | (packed ? A : 0), 1 });
            put(DESC + 16, packed, (struct entry){ TABLE, 16 * n, I | (packed ? A : 0), 0 });
            for (unsigned i = 0; i < n; i++)
                put(TABLE + 16 * i, packed,
                    (struct entry){ BUF, 1, i + 1 < n ? N : 0, (uint16_t)(i + 1) });
            memcpy(ram + AVAIL, avail, sizeof(avail));
            assert_true(bawn_virtq_enable(&q));
            assert_int_equal(bawn_virtq_pop(&q, &c),
                             n < BAWN_VIRTQ_MAX ? BAWN_VIRTQ_CHAIN : BAWN_VIRTQ_BROKEN);
        }
    }
}

/* ---- Events ---- */

/* Positions counted on and on, as the driver means them. */
static uint16_t packed_position(unsigned size, unsigned at)
{
    return (uint16_t)(at % size | (at / size % 2 ? 0 : 0x8000));
}

static void test_interrupts(void **state)
{
    const unsigned size = 4;

    (void)state;
    for (unsigned packed = 0; packed < 2; packed++) {
        struct ring r = { .size = size, .packed = packed };
        struct bawn_virtq q = queue(&r);

        q.features |= 1ull << VIRTIO_RING_F_EVENT_IDX;
        /* The split index is as large as its type; begin where it wraps too. */
        for (unsigned old = 65536 - 8; old < 65536 + 8; old++)
            for (unsigned now = old; now <= old + size; now++)
                for (unsigned event = now - size; event < now + size; event++) {
                    uint16_t to = packed ? packed_position(size, event) : (uint16_t)event;
                    uint16_t flags = VRING_PACKED_EVENT_FLAG_DESC;

                    memcpy(ram + AVAIL + (packed ? 0 : 4 + 2 * size), &to, 2);
                    if (packed)
                        memcpy(ram + AVAIL + 2, &flags, 2);
                    assert_true(bawn_virtq_enable(&q));
                    q.used_idx = packed ? packed_position(size, now) : (uint16_t)now;
                    q.asked_idx = packed ? packed_position(size, old) : (uint16_t)old;
                    assert_int_equal(bawn_virtq_wants_irq(&q), event >= old && event < now);
                    assert_false(bawn_virtq_wants_irq(&q)); /* asked already */
                }
    }
}

static void test_packed_flags(void **state)
{
    struct ring r = { .size = 4, .packed = true };
    struct bawn_virtq q = queue(&r);
    uint16_t flags[] = { VRING_PACKED_EVENT_FLAG_ENABLE, VRING_PACKED_EVENT_FLAG_DISABLE };

    (void)state;
    assert_true(bawn_virtq_enable(&q));
    memcpy(ram + AVAIL + 2, &flags[0], 2);
    assert_true(bawn_virtq_wants_irq(&q));
    memcpy(ram + AVAIL + 2, &flags[1], 2);
    assert_false(bawn_virtq_wants_irq(&q));
}

/* An empty queue leaves word where it is, and only there. */
static void test_notification(void **state)
{
    const unsigned size = 4;
    struct bawn_virtq_chain c;

    (void)state;
    for (unsigned packed = 0; packed < 2; packed++)
        for (unsigned events = 0; events < 2; events++) {
            struct ring r = { .size = size, .packed = packed };
            struct bawn_virtq q = queue(&r);
            uint64_t word = USED + (packed ? 0 : 4 + 8 * size);
            uint16_t at = packed ? 0x8002 : 1234, got[2];

            memset(ram, 0, 0x4000);
            memset(ram + AVAIL, 0xff, 0x100);
            q.features |= events ? 1ull << VIRTIO_RING_F_EVENT_IDX : 0;
            assert_true(bawn_virtq_resume(&q, at, at));
            memcpy(ram + AVAIL + 2, &at, 2);
            assert_int_equal(bawn_virtq_pop(&q, &c), BAWN_VIRTQ_EMPTY);
            memcpy(got, ram + word, sizeof(got));
            assert_int_equal(got[0], events ? at : 0);
            assert_int_equal(got[1], events && packed ? VRING_PACKED_EVENT_FLAG_DESC : 0);
        }
}

/* ---- Rounds ---- */

/* A driver of a packed ring: offers chains of one to three, gets them back in any order. */
static void test_packed_rounds(void **state)
{
    enum { SIZE = 5 };
    struct ring r = { .size = SIZE, .packed = true };
    struct bawn_virtq q = queue(&r);
    unsigned next = 0, used = 0; /* positions, counted on and on */

    (void)state;
    memset(ram + DESC, 0, 16 * SIZE);
    assert_true(bawn_virtq_enable(&q));
    for (unsigned turn = 0; turn < 5000; turn++) {
        struct bawn_virtq_chain c[2];
        unsigned len[2] = { 1 + turn % 3, 1 + turn / 3 % 2 };

        for (unsigned k = 0; k < 2; k++)
            for (unsigned i = 0; i < len[k]; i++, next++) {
                bool odd = next / SIZE % 2;

                put(DESC + 16 * (next % SIZE), true,
                    (struct entry){ BUF, 8, W | (i + 1 < len[k] ? N : 0) | (odd ? U : A),
                                    (uint16_t)(2 * turn + k) });
            }
        assert_int_equal(bawn_virtq_pop(&q, &c[0]), BAWN_VIRTQ_CHAIN);
        assert_int_equal(bawn_virtq_pop(&q, &c[1]), BAWN_VIRTQ_CHAIN);
        assert_int_equal(bawn_virtq_pop(&q, &(struct bawn_virtq_chain){ 0 }), BAWN_VIRTQ_EMPTY);
        for (unsigned k = 0; k < 2; k++) { /* the second one first in odd turns */
            unsigned which = (k + turn) % 2;
            const struct bawn_virtq_used back[] = { bawn_virtq_used(&c[which], 100),
                                                    bawn_virtq_used(&c[!which], 100) };
            struct entry e;

            assert_int_equal(c[which].slots, len[which]);
            if (turn % 3) /* one by one, or both at once */
                bawn_virtq_push(&q, back, 1);
            else if (!k)
                bawn_virtq_push(&q, back, 2);
            e = entry_at(DESC + 16 * (used % SIZE), true);
            assert_int_equal(e.next, (uint16_t)(2 * turn + which));
            assert_int_equal(e.len, 8 * len[which]); /* no more than there was room for */
            assert_int_equal(e.flags, W | (used / SIZE % 2 ? 0 : A | U));
            used += len[which];
        }
    }
}

static void test_packed_layout(void **state)
{
    static const struct {
        uint16_t size;
        uint64_t desc, driver, device;
        uint16_t at;
    } bad[] = {
        { 0, DESC, AVAIL, USED, 0 },     { BAWN_VIRTQ_MAX + 1, DESC, AVAIL, USED, 0 },
        { 4, DESC + 8, AVAIL, USED, 0 }, { 4, DESC, AVAIL + 2, USED, 0 },
        { 4, DESC, AVAIL, USED + 2, 0 }, { 4, RAM_SIZE - 48, AVAIL, USED, 0 },
        { 4, DESC, RAM_SIZE, USED, 0 },  { 4, DESC, AVAIL, RAM_SIZE, 0 },
        { 4, DESC, AVAIL, USED, 4 },     { 4, DESC, AVAIL, USED, 0x8004 },
    };

    (void)state;
    for (unsigned i = 0; i < COUNT(bad); i++) {
        struct bawn_virtq q = { .mem = &mem,
                                .size = bad[i].size,
                                .desc_gpa = bad[i].desc,
                                .avail_gpa = bad[i].driver,
                                .used_gpa = bad[i].device,
                                .features = 1ull << VIRTIO_F_RING_PACKED };

        assert_false(bawn_virtq_resume(&q, bad[i].at, bad[i].at));
        assert_true(q.broken);
    }
}

static int setup(void **state)
{
    const struct bawn_ram range = { 0, RAM_SIZE };

    (void)state;
    if (bawn_mem_create(&mem, &range, 1, false, NULL))
        return -1;
    ram = mem.range[0].host;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bawn_mem_destroy(&mem);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split_2),       cmocka_unit_test(test_split_4),
        cmocka_unit_test(test_split_tables),  cmocka_unit_test(test_packed_2),
        cmocka_unit_test(test_packed_3),      cmocka_unit_test(test_packed_tables),
        cmocka_unit_test(test_longest),       cmocka_unit_test(test_interrupts),
        cmocka_unit_test(test_packed_flags),  cmocka_unit_test(test_notification),
        cmocka_unit_test(test_packed_rounds), cmocka_unit_test(test_packed_layout),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/dirty.c: what a device writes through its rings is noted, all of it, and nothing while nobody
 * asks; notes are common to processes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "virtq.h"

#define MIB (1ull << 20)
#define SIZE 16
#define DESC 0x1000
#define AVAIL 0x3000
#define USED 0x5000
#define BUFFER 0x10ff0 /* ends behind a page's end */
#define BUFFER_LEN 0x1020

static const struct bawn_ram ram[] = { { 0, 4 * MIB }, { BAWN_HIGH_RAM, 2 * MIB } };
static struct bawn_mem mem;
static struct bawn_virtq q;

static int setup(void **opaque)
{
    (void)opaque;
    assert_int_equal(bawn_mem_create(&mem, ram, 2, BAWN_PAGES_SMALL, NULL), BAWN_OK);
    return 0;
}

static int teardown(void **opaque)
{
    (void)opaque;
    bawn_mem_destroy(&mem);
    return 0;
}

static bool noted(uint64_t gpa)
{
    return mem.dirty.map[0][gpa / BAWN_MEM_PAGE / 64] >> gpa / BAWN_MEM_PAGE % 64 & 1;
}

static void test_notes(void **opaque)
{
    pid_t pid;
    int status;

    (void)opaque;
    assert_false(bawn_dirty_tracked(&mem));
    bawn_dirty_track(&mem, true);
    assert_true(bawn_dirty_tracked(&mem));
    bawn_dirty_note(&mem, mem.range[0].host + 4 * MIB - 1, 1);
    bawn_dirty_note(&mem, mem.range[0].host + 4 * MIB - 1, 2); /* no piece of it */
    bawn_dirty_note(&mem, mem.range[0].host + 4 * MIB, 1);
    bawn_dirty_note(&mem, mem.range[0].host, 0);
    assert_int_equal(bawn_dirty_count(&mem), 1);
    pid = fork();
    if (!pid) {
        bawn_dirty_note(&mem, mem.range[1].host + BAWN_MEM_PAGE - 1, 2);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(bawn_dirty_count(&mem), 3);
    assert_int_equal(bawn_dirty_take(&mem, 1, 0), 3);
    assert_int_equal(bawn_dirty_take(&mem, 1, 0), 0);
    mem.dirty.log[1][2] = 0xf0;
    bawn_dirty_merge(&mem, 1);
    assert_int_equal(bawn_dirty_count(&mem), 5);
    bawn_dirty_clear(&mem);
    assert_int_equal(bawn_dirty_count(&mem), 0);
}

/* The driver's side: one buffer that the device reads, one that it writes. */
static void offer(bool packed)
{
    uint8_t *table = mem.range[0].host + DESC;
    struct vring_desc d[2] = { { 0x20000, 0x1000, VRING_DESC_F_NEXT, 1 },
                               { BUFFER, BUFFER_LEN, VRING_DESC_F_WRITE, 0 } };
    uint16_t idx = 1;

    q = (struct bawn_virtq){ .mem = &mem,
                             .size = SIZE,
                             .desc_gpa = DESC,
                             .avail_gpa = AVAIL,
                             .used_gpa = USED,
                             .features = 1ull << VIRTIO_RING_F_EVENT_IDX };
    memset(table, 0, SIZE * sizeof(d[0]));
    if (packed) { /* flags and what names the buffer stand in another order */
        q.features |= 1ull << VIRTIO_F_RING_PACKED;
        for (unsigned i = 0; i < 2; i++)
            d[i] = (struct vring_desc){ d[i].addr, d[i].len, 0,
                                        d[i].flags | 1u << VRING_PACKED_DESC_F_AVAIL };
    } else {
        memcpy(mem.range[0].host + AVAIL + 2, &idx, sizeof(idx));
    }
    memcpy(table, d, sizeof(d));
    assert_true(bawn_virtq_enable(&q));
}

static void serve(void)
{
    struct bawn_virtq_chain c;
    struct bawn_virtq_used used;

    assert_int_equal(bawn_virtq_pop(&q, &c), BAWN_VIRTQ_CHAIN);
    memset(c.iov[c.nr_read].iov_base, 0x11, c.iov[c.nr_read].iov_len);
    used = bawn_virtq_used(&c, 1); /* it says less than it wrote */
    bawn_virtq_note(&q, c.iov + c.nr_read, c.nr_write);
    bawn_virtq_push(&q, &used, 1);
    bawn_virtq_wants_irq(&q);
}

static void check(bool packed)
{
    assert_true(noted(BUFFER) && noted(BUFFER + 0x10) && noted(BUFFER + BUFFER_LEN - 1));
    assert_true(noted(packed ? DESC : USED));
    assert_int_equal(bawn_dirty_count(&mem), packed ? 5 : 4);
    assert_false(noted(0x20000)); /* that was read */
    bawn_dirty_clear(&mem);
    assert_int_equal(bawn_virtq_pop(&q, &(struct bawn_virtq_chain){ 0 }), BAWN_VIRTQ_EMPTY);
    assert_true(noted(USED)); /* it asked to be notified */
}

static void test_ring(void **opaque)
{
    (void)opaque;
    for (unsigned packed = 0; packed < 2; packed++) {
        bawn_dirty_track(&mem, false);
        offer(packed);
        serve();
        assert_int_equal(bawn_dirty_count(&mem), 0);
        bawn_dirty_track(&mem, true);
        memset(mem.range[0].host + AVAIL, 0, 0x4000);
        offer(packed);
        serve();
        check(packed);
        bawn_dirty_clear(&mem);
        memset(mem.range[0].host + AVAIL, 0, 0x4000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_notes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ring, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/virtio_balloon.c: pages that were given up or reported are zero and the host's again, in
 * private and in shared memory; no others are.
 */
#include "driver.h"

#include <sys/mman.h>

#include <linux/virtio_balloon.h>
#include <linux/virtio_config.h>

enum { INFLATE, DEFLATE, REPORTING };

#define V1 (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_BALLOON_F_REPORTING)
#define LIST 0x100000ull
#define AREA 0x200000ull
#define PAGE 4096u
#define PAGES 64u

static struct bawn_virtio_balloon balloon;

static int setup(void **state)
{
    const struct bawn_balloon_config cfg = { .on = true, .size = 1 << 20, .reporting = true };
    struct bawn_vdev_host host = machine_create();

    (void)state;
    memset(&balloon, 0, sizeof(balloon));
    assert_int_equal(bawn_virtio_balloon_init(&balloon, &host, &cfg), 0);
    machine_plug(&balloon.vdev);
    assert_int_equal(driver_start(3, V1), 15);
    return 0;
}

/* The same on memory that other processes map too. */
static int setup_shared(void **state)
{
    int fd = memfd_create("ram", MFD_CLOEXEC);

    setup(state);
    assert_int_equal(ftruncate(fd, RAM_SIZE), 0);
    assert_ptr_equal(
        mmap(m.mem.range[0].host, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0),
        m.mem.range[0].host);
    close(fd);
    assert_int_equal(driver_start(3, V1), 15);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bawn_vdev_destroy(&balloon.vdev);
    machine_destroy();
    return 0;
}

static bool resident(unsigned page)
{
    unsigned char in;

    assert_int_equal(mincore((uint8_t *)ram(AREA) + (size_t)page * PAGE, PAGE, &in), 0);
    return in & 1;
}

static void expect_dropped(uint64_t mask)
{
    const uint8_t *area = ram(AREA);

    for (unsigned i = 0; i < PAGES; i++)
        assert_int_equal(resident(i), !(mask >> i & 1));
    for (unsigned i = 0; i < PAGES; i++)
        assert_int_equal(area[i * PAGE] | area[i * PAGE + PAGE - 1], mask >> i & 1 ? 0 : 0x5a);
}

static void test_inflate(void **state)
{
    const uint32_t pfns[] = { AREA / PAGE + 3, AREA / PAGE + 5, RAM_SIZE / PAGE, 0xffffffff,
                              AREA / PAGE + 63 };

    (void)state;
    assert_int_equal(config(0, 4), 256);
    madvise(ram(AREA), PAGES * PAGE, MADV_NOHUGEPAGE);
    memset(ram(AREA), 0x5a, PAGES * PAGE);
    memcpy(ram(LIST), pfns, sizeof(pfns));
    /* The list in two buffers, cut inside a number; what is behind its last whole one is nothing.
     */
    offer(INFLATE,
          (const struct part[]){ { LIST, 6, false }, { LIST + 6, sizeof(pfns) - 6 + 3, false } },
          2);
    ring_bell(INFLATE);
    assert_int_equal(used(INFLATE, NULL), 1);
    expect_dropped(1ull << 3 | 1ull << 5 | 1ull << 63);
    offer(DEFLATE, &(struct part){ LIST, 4, false }, 1);
    ring_bell(DEFLATE);
    assert_int_equal(used(DEFLATE, NULL), 1);
    assert_int_equal(*(uint8_t *)ram(AREA), 0x5a);
}

/* How much it gives up is the driver's to say, and stays so when it is told to give up more. */
static void test_actual(void **state)
{
    struct virtio_balloon_config next = { .num_pages = 512 };
    uint32_t said = 0;

    (void)state;
    m.virtio.follow = &said;
    reg(0x2000 + 4, 4, 77);
    assert_int_equal(config(4, 4), 77);
    assert_int_equal(said, 77);
    reg(0x2000, 4, 1);      /* the host's */
    reg(0x2000 + 2, 4, 1);  /* a part of it */
    reg(0x2000 + 6, 4, ~0); /* what follows */
    assert_int_equal(config(0, 4), 256);
    assert_int_equal(config(4, 4), 77);
    bawn_virtio_config(&m.virtio, &next, sizeof(next));
    assert_int_equal(config(0, 4), 512);
    assert_int_equal(config(4, 4), 77);
    reg(0x2000 + 4, 2, 0x1234);
    assert_int_equal(config(4, 4), 0x1234);
    assert_int_equal(said, 0x1234);
}

/* Of what is reported, whole pages go. */
static void test_reporting(void **state)
{
    const struct part parts[] = { { AREA + PAGE + 1, 3 * PAGE, true },
                                  { AREA + 10 * PAGE, 4 * PAGE, true },
                                  { AREA + 20 * PAGE + 5, PAGE, true },
                                  { AREA + 30 * PAGE, 5, true } };

    (void)state;
    madvise(ram(AREA), PAGES * PAGE, MADV_NOHUGEPAGE);
    memset(ram(AREA), 0x5a, PAGES * PAGE);
    offer(REPORTING, parts, 4);
    ring_bell(REPORTING);
    assert_int_equal(used(REPORTING, NULL), 1);
    expect_dropped(3ull << 2 | 15ull << 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_inflate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reporting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_actual, setup, teardown),
        cmocka_unit_test_setup_teardown(test_inflate, setup_shared, teardown),
        cmocka_unit_test_setup_teardown(test_reporting, setup_shared, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

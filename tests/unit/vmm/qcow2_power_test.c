// SPDX-License-Identifier: Apache-2.0
// libs: -Wl,--wrap=pwritev,--wrap=fdatasync,--wrap=fallocate
/*
 * Power cuts under a random load on a qcow2 image (power.h), which must be in order after each.
 */
#include "power.h"

#define STEPS 250

static struct bawn_disk disk;
static const char *backing;

static void step(uint32_t *seed, uint32_t tag)
{
    unsigned kind = next_random(seed) % 10, at = next_random(seed) % SECTORS;
    unsigned n = 1 + next_random(seed) % (next_random(seed) % 8 ? 24 : 200);
    struct event *e;

    n = n < SECTORS - at ? n : SECTORS - at;
    if (kind == 0) {
        assert_true(bawn_disk_flush(&disk));
        add(FLUSHED, 0, 0);
        return;
    }
    e = add(BEGUN, at, n);
    e->tag = kind < 3 ? 0 : tag;
    if (kind < 3)
        assert_true(bawn_disk_zero(&disk, at, (uint64_t)n * BAWN_SECTOR, true));
    else
        assert_true(write_tags(&disk, at, n, tag));
}

static void run_load(uint32_t seed)
{
    struct bawn_error err = { "" };

    if (open_image(&disk, "image", backing, false, &err))
        fail_msg("%s", err.msg);
    journal.fd = disk.fd;
    for (uint32_t i = 0; i < STEPS; i++)
        step(&seed, 1000 + i);
    bawn_disk_close(&disk);
}

static void check_cut(unsigned n)
{
    static uint8_t all[SECTORS * BAWN_SECTOR];
    struct bawn_error err = { "" };
    struct bawn_disk left;

    if (open_image(&left, "cut", backing, true, &err))
        fail_msg("after %u of %u: %s", n, journal.nr, err.msg);
    assert_true(bawn_disk_read(&left, 0, &(struct iovec){ all, sizeof(all) }, 1));
    check_content(n, all);
    bawn_disk_close(&left);
    if (n % 64 == 0 && command("qemu-img check cut; test $? = 0 -o $? = 3"))
        fail_msg("after %u of %u: qemu-img check", n, journal.nr);
}

/* On the image that the commands make. */
static void cut_image(const char *make, const char *base, const uint32_t *before, uint32_t seed)
{
    backing = base;
    assert_int_equal(command("rm -f image; %s", make), 0);
    cut_everywhere(before, seed, run_load, check_cut);
}

static void test_new_image(void **state)
{
    (void)state;
    cut_image("qemu-img create -f qcow2 -o cluster_size=4096 image 1M", NULL, NULL, 1);
    cut_image("qemu-img create -f qcow2 -o cluster_size=65536 image 1M", NULL, NULL, 2);
    cut_image("qemu-img create -f qcow2 -o cluster_size=512 image 1M", NULL, NULL, 3);
    cut_image("qemu-img create -f qcow2 -o compat=0.10,cluster_size=4096 image 1M", NULL, NULL, 4);
}

static void make_base(uint32_t *tags)
{
    FILE *f = fopen(in_folder("base"), "w");
    uint8_t sector[BAWN_SECTOR];

    for (unsigned i = 0; i < SECTORS; i++) {
        tags[i] = 500000 + i;
        fill_sector(sector, tags[i]);
        fwrite(sector, 1, sizeof(sector), f);
    }
    fclose(f);
}

static void test_backing_and_snapshot(void **state)
{
    static uint32_t tags[SECTORS];

    (void)state;
    make_base(tags);
    cut_image("qemu-img create -f qcow2 -o cluster_size=4096 -F raw -b base image", "base", tags,
              5);
    cut_image("qemu-img convert -f raw -O qcow2 -o cluster_size=4096 base image && "
              "qemu-img snapshot -c one image",
              NULL, tags, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_image),
        cmocka_unit_test(test_backing_and_snapshot),
    };

    if (!have_qemu_img()) {
        print_message("1..0 # SKIP no qemu-img (package qemu-utils)\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

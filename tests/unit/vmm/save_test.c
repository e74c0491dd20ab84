// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/save.c: snapshots that are refused before anything is written. tests/vmm/supervise_test.c has
 * those that are made.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervise.h"

static const struct bawn_image_key key = { true, "the key of all these tests: 32 b" };

/* A chain of images, each of nothing but zeroes; what is saved next would be based on the last. */
static void make_chain(struct bawn_boot *b, const char *dir, unsigned nr)
{
    static const struct bawn_progress nobody;
    static struct bawn_state state;
    struct bawn_snapshot_base base;
    char paths[2][64];

    for (unsigned i = 0; i < nr; i++) {
        char *path = paths[i % 2];
        struct bawn_image image;
        int fd;

        snprintf(path, sizeof(paths[0]), "%s/%u", dir, i);
        fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(bawn_image_create(&image, fd, &key, NULL), BAWN_OK);
        assert_int_equal(bawn_snapshot_write(&image, "{}", &state, BAWN_STATE_SIZE(1), &b->mem,
                                             i ? &base : NULL, &nobody, NULL),
                         BAWN_OK);
        base = (struct bawn_snapshot_base){ image.id, path };
        b->tracked.base = image.id;
        bawn_image_close(&image);
        close(fd);
    }
}

/* What could not be restored is not made, and what others need is not replaced. */
static void test_save_chain(void **state)
{
    static const struct bawn_ram ram = { 0, 2 << 20 };
    static const struct bawn_vm_config plain = { .vcpus = 1 };
    char dir[] = "/tmp/bawn-chain-test.XXXXXX", first[64], last[64], next[64], before[64];
    const struct bawn_save_wish wish = { .path = next, .base = last, .progress = -1 },
                                over_base = { .path = last, .base = last, .progress = -1 },
                                over_first = { .path = first, .base = last, .progress = -1 };
    static struct bawn_boot b;
    struct bawn_error err;

    (void)state;
    b.parts.cfg = &plain;
    b.tracked.since = true;
    assert_int_equal(bawn_mem_create(&b.mem, &ram, 1, BAWN_PAGES_SMALL, NULL), BAWN_OK);
    assert_non_null(mkdtemp(dir));
    snprintf(first, sizeof(first), "%s/0", dir);
    snprintf(next, sizeof(next), "%s/next", dir);
    make_chain(&b, dir, BAWN_SNAPSHOT_CHAIN - 1);
    snprintf(last, sizeof(last), "%s/%u", dir, BAWN_SNAPSHOT_CHAIN - 2);
    assert_int_equal(bawn_save_begin(&b, &wish, &key, &err), BAWN_E_IO);
    assert_non_null(strstr(err.msg, "takes no orders")); /* all was well so far */
    assert_int_equal(bawn_save_begin(&b, &over_base, &key, &err), BAWN_E_DENIED);
    assert_non_null(strstr(err.msg, "another name"));
    assert_int_equal(bawn_save_begin(&b, &over_first, &key, &err), BAWN_E_DENIED);
    assert_non_null(strstr(err.msg, "another name"));
    make_chain(&b, dir, BAWN_SNAPSHOT_CHAIN);
    snprintf(before, sizeof(before), "%s", last);
    snprintf(last, sizeof(last), "%s/%u", dir, BAWN_SNAPSHOT_CHAIN - 1);
    assert_int_equal(bawn_save_begin(&b, &wish, &key, &err), BAWN_E_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "the last of 16 snapshots"));
    assert_int_equal(unlink(before), 0);
    assert_int_equal(bawn_save_begin(&b, &wish, &key, &err), BAWN_E_IO);
    assert_non_null(strstr(err.msg, "cannot be opened"));
    for (unsigned i = 0; i < BAWN_SNAPSHOT_CHAIN; i++) {
        snprintf(last, sizeof(last), "%s/%u", dir, i);
        unlink(last);
    }
    assert_int_equal(rmdir(dir), 0); /* nothing else is left there */
    bawn_mem_destroy(&b.mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_save_chain) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/leave.c: the disks of a machine that may run elsewhere. tests/vmm/supervise_test.c has
 * machines that are not sent, and tests/lab/tests/migrate.sh those that are.
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

static struct bawn_disk disk[BAWN_MAX_DISKS];
static struct bawn_boot boot;

static struct bawn_disk_config one_disk = { .slot = BAWN_SLOT_DISK };

static struct bawn_vm_config with_disk(void)
{
    static char path[32];
    int fd;

    snprintf(path, sizeof(path), "/tmp/bawn-disk-test.XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, BAWN_MEM_PAGE), 0);
    close(fd);
    one_disk.path = path;
    assert_int_equal(bawn_disk_open(&disk[0], &one_disk, NULL), BAWN_OK);
    return (struct bawn_vm_config){ .vcpus = 1, .disk[0] = one_disk, .nr_disks = 1 };
}

static void without_disk(void)
{
    bawn_disk_close(&disk[0]);
    disk[0] = (struct bawn_disk){ 0 };
    assert_int_equal(unlink(one_disk.path), 0);
}

/* A machine that was sent away and is reset here, or booted again, does not write to its disks as
 * long as they are another's. */
static void test_boot_locks(void **state)
{
    const struct bawn_vm_config cfg = with_disk();
    static struct bawn_launch_plan plan = { .ram[0] = { 0, 4 << 20 }, .nr_ram = 1 };
    const struct bawn_vm_parts parts = { .cfg = &cfg, .plan = &plan };
    const struct bawn_backends backends = { .disk = disk };
    const struct bawn_boot_ops ops = { 0 };
    struct bawn_disk another;
    struct bawn_error err;

    (void)state;
    assert_int_equal(bawn_disk_lock(&disk[0], one_disk.path, false, NULL), BAWN_OK);
    assert_int_equal(bawn_disk_open(&another, &one_disk, NULL), BAWN_OK);
    assert_int_equal(bawn_boot_create(&boot, &parts, &backends, false, &ops, NULL, &err),
                     BAWN_E_IO);
    assert_non_null(strstr(err.msg, "in use by another machine"));
    bawn_disk_close(&another);
    without_disk();
}

/* Nor does it go on where it stood, when another has written there since. */
static void test_return(void **state)
{
    static const struct timespec later[] = { { 0, UTIME_OMIT }, { 1000000000, 7 } };
    const struct bawn_vm_config cfg = with_disk();
    const struct bawn_backends backends = { .disk = disk };
    static struct bawn_boot b;
    struct bawn_disk another;
    struct bawn_error err;
    struct stat s;

    (void)state;
    b.parts.cfg = &cfg;
    b.backends = &backends;
    assert_int_equal(fstat(disk[0].fd, &s), 0);
    b.leave.written[0] = s.st_mtim;
    b.leave.unlocked = true;
    assert_int_equal(bawn_disk_lock(&disk[0], one_disk.path, false, NULL), BAWN_OK);
    assert_int_equal(bawn_disk_open(&another, &one_disk, NULL), BAWN_OK);
    assert_int_equal(bawn_leave_return(&b, &err), BAWN_E_IO);
    assert_non_null(strstr(err.msg, "in use by another machine"));
    bawn_disk_close(&another);
    assert_int_equal(bawn_leave_return(&b, &err), BAWN_OK);
    assert_false(b.leave.unlocked);
    assert_int_equal(bawn_disk_open(&another, &one_disk, NULL), BAWN_E_IO);
    b.leave.unlocked = true;
    assert_int_equal(futimens(disk[0].fd, later), 0);
    assert_int_equal(bawn_leave_return(&b, &err), BAWN_E_DENIED);
    assert_non_null(strstr(err.msg, "was written since"));
    assert_true(b.leave.unlocked);
    assert_int_equal(bawn_disk_open(&another, &one_disk, NULL), BAWN_OK);
    bawn_disk_close(&another);
    without_disk();
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_boot_locks),
                                        cmocka_unit_test(test_return) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

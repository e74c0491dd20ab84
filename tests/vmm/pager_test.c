// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/pager.c with real processes that map the same memory: each sees what the snapshot has,
 * whoever touches it first; a damaged page is seen by nobody.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pager.h"

#define MIB (1ull << 20)
#define PAGE 4096

static const struct bawn_ram ram[] = { { 0, 16 * MIB }, { BAWN_HIGH_RAM, 4 * MIB } };
static const struct bawn_image_key key = { true, "the key of all these tests: 32 b" };
static struct bawn_state state = { .version = BAWN_STATE_VERSION, .nr_vcpus = 1 };
static struct bawn_snapshot snapshot;
static struct bawn_mem mem;
static struct bawn_pager pager;
static struct bawn_error *err; /* of the pager's process */
static pid_t pager_pid;
static int file, base_file = -1;

static bool no_memory; /* of the host, for a page */

int __real_ioctl(int fd, unsigned long what, void *arg);
int __wrap_ioctl(int fd, unsigned long what, void *arg);
int __wrap_ioctl(int fd, unsigned long what, void *arg)
{
    if (!no_memory || what != UFFDIO_COPY)
        return __real_ioctl(fd, what, arg);
    errno = ENOMEM;
    return -1;
}

/* Every third page has something in it. */
static uint8_t content(unsigned range, uint64_t page)
{
    return page % 3 ? 0 : (uint8_t)(1 + (page * 7 + range) % 255);
}

/* What every tenth has in the image that is based on that. */
static uint8_t again(unsigned range, uint64_t page)
{
    return page % 20 ? 0 : (uint8_t)(1 + (page * 3 + range) % 255);
}

static void write_snapshot(void)
{
    static const struct bawn_progress nobody;
    struct bawn_image image;

    file = memfd_create("snapshot", MFD_CLOEXEC);
    state.size = BAWN_STATE_SIZE(1);
    assert_int_equal(bawn_mem_create(&mem, ram, 2, false, NULL), BAWN_OK);
    for (unsigned i = 0; i < 2; i++) {
        for (uint64_t page = 0; page < ram[i].size / PAGE; page += 3)
            memset(mem.range[i].host + page * PAGE, content(i, page), PAGE);
    }
    assert_int_equal(bawn_image_create(&image, file, &key, NULL), BAWN_OK);
    assert_int_equal(
        bawn_snapshot_write(&image, "{}", &state, state.size, &mem, NULL, &nobody, NULL), BAWN_OK);
    bawn_image_close(&image);
    bawn_mem_destroy(&mem);
}

static bool page_is(unsigned range, uint64_t page)
{
    const uint8_t *at = mem.range[range].host + page * PAGE;
    uint8_t want = base_file >= 0 && page % 10 == 0 ? again(range, page) : content(range, page);

    return *at == want && at[PAGE - 1] == want && !memcmp(at, at + 1, PAGE - 1);
}

/* A process that maps the memory: from one end, or from the other. */
static pid_t reader(bool backwards)
{
    pid_t pid = fork();

    if (pid)
        return pid;
    alarm(60);
    if (!bawn_pager_join(&pager))
        _exit(2);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t pages = ram[i].size / PAGE;

        for (uint64_t n = 0; n < pages; n++) {
            if (!page_is(i, backwards ? pages - 1 - n : n))
                _exit(3);
        }
    }
    _exit(0);
}

static int end_of(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int setup(void **opaque)
{
    (void)opaque;
    write_snapshot();
    return 0;
}

static void start(void)
{
    assert_int_equal(bawn_mem_create(&mem, ram, 2, false, NULL), BAWN_OK);
    assert_int_equal(bawn_snapshot_open(&snapshot, file, &key, NULL), BAWN_OK);
    if (base_file >= 0) {
        char name[32];

        free(snapshot.base_path);
        snprintf(name, sizeof(name), "/proc/self/fd/%d", base_file);
        snapshot.base_path = strdup(name);
        assert_int_equal(bawn_snapshot_open_bases(&snapshot, "", &key, NULL), BAWN_OK);
    }
    assert_true(bawn_pager_open(&pager));
    assert_int_equal(bawn_pager_prepare(&pager, &snapshot, &mem, NULL), BAWN_OK);
    pager_pid = fork();
    if (!pager_pid) {
        alarm(60);
        bawn_pager_run(&pager, err);
    }
    close(pager.link[0]);
    pager.link[0] = -1;
}

/* The image of before, and one of what changed: some pages, of which some are zero now. */
static uint64_t pages_of(unsigned range)
{
    return ram[range].size / PAGE;
}

static int setup_chain(void **opaque)
{
    static const struct bawn_progress nobody;
    struct bawn_snapshot_base base = { .path = "/nowhere" };
    struct bawn_image image;
    int first;

    setup(opaque);
    assert_int_equal(bawn_image_open(&image, file, &key, NULL), BAWN_OK);
    base.id = image.id;
    bawn_image_close(&image);
    first = file;
    file = memfd_create("snapshot", MFD_CLOEXEC);
    assert_int_equal(bawn_mem_create(&mem, ram, 2, false, NULL), BAWN_OK);
    for (unsigned i = 0; i < 2; i++) {
        for (uint64_t page = 0; page < pages_of(i); page += 10) {
            uint8_t *at = mem.range[i].host + page * PAGE;

            memset(at, again(i, page), PAGE);
            bawn_dirty_note(&mem, at, PAGE);
        }
    }
    assert_int_equal(bawn_image_create(&image, file, &key, NULL), BAWN_OK);
    assert_int_equal(
        bawn_snapshot_write(&image, "{}", &state, state.size, &mem, &base, &nobody, NULL), BAWN_OK);
    bawn_image_close(&image);
    bawn_mem_destroy(&mem);
    base_file = first;
    return 0;
}

static int teardown(void **opaque)
{
    (void)opaque;
    bawn_pager_close(&pager);
    bawn_snapshot_close(&snapshot);
    bawn_mem_destroy(&mem);
    close(file);
    if (base_file >= 0)
        close(base_file);
    base_file = -1;
    return 0;
}

static void test_on_demand(void **opaque)
{
    pid_t one, two;

    (void)opaque;
    start();
    one = reader(false);
    two = reader(true);
    assert_int_equal(end_of(one), 0);
    assert_int_equal(end_of(two), 0);
    assert_int_equal(end_of(pager_pid), 0);
    assert_int_equal(end_of(reader(true)), 0); /* there is no pager any more */
    for (unsigned i = 0; i < 2; i++) {
        struct stat s;

        for (uint64_t page = 0; page < ram[i].size / PAGE; page++)
            assert_true(page_is(i, page));
        assert_int_equal(fstat(mem.range[i].fd, &s), 0);
    }
}

/* One that has ended before all is there keeps nobody from the rest. */
static void test_killed_reader(void **opaque)
{
    pid_t one;

    (void)opaque;
    start();
    one = reader(false);
    kill(one, SIGKILL);
    end_of(one);
    assert_int_equal(end_of(reader(true)), 0);
    assert_int_equal(end_of(pager_pid), 0);
}

static void test_damage(void **opaque)
{
    uint64_t at;
    uint8_t c;
    pid_t one;

    (void)opaque;
    at = 96 + state.size + 4 * MIB;
    assert_int_equal(pread(file, &c, 1, (off_t)at), 1);
    c ^= 1;
    assert_int_equal(pwrite(file, &c, 1, (off_t)at), 1);
    start();
    one = reader(false);
    assert_int_equal(end_of(pager_pid), 1);
    assert_non_null(strstr(err->msg, "damaged"));
    assert_int_equal(waitpid(one, NULL, WNOHANG), 0); /* it waits rather than go on */
    kill(one, SIGKILL);
    assert_int_equal(end_of(one), -SIGKILL);
}

/* The machine is ended then, with the reason; it is not left waiting for ever. */
static void test_no_memory(void **opaque)
{
    pid_t one;

    (void)opaque;
    no_memory = true;
    start();
    no_memory = false;
    one = reader(false);
    assert_int_equal(end_of(pager_pid), 1);
    assert_non_null(strstr(err->msg, "no more memory"));
    kill(one, SIGKILL);
    assert_int_equal(end_of(one), -SIGKILL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_on_demand, setup, teardown),
        cmocka_unit_test_setup_teardown(test_on_demand, setup_chain, teardown),
        cmocka_unit_test_setup_teardown(test_killed_reader, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
    };

    if (!bawn_pager_open(&pager)) {
        printf("1..0 # SKIP no /dev/userfaultfd here, or not for us\n");
        return 0;
    }
    bawn_pager_close(&pager);
    err = mmap(NULL, sizeof(*err), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

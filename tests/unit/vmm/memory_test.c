// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/memory.c: guest memory is one for all processes forked later, of a fixed size, between
 * guards, in no core dump, and what is given back to the host is zero.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "memory.h"

#define LOW (4ull << 20)
#define HIGH (2ull << 20)

static struct bawn_mem mem;

static int create(enum bawn_mem_pages pages)
{
    const struct bawn_ram ram[] = { { 0, LOW }, { BAWN_HIGH_RAM, HIGH } };

    assert_int_equal(bawn_mem_create(&mem, ram, 2, pages, NULL), BAWN_OK);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return create(BAWN_PAGES_SMALL);
}

static int setup_huge(void **state)
{
    (void)state;
    return create(BAWN_PAGES_THP);
}

static int teardown(void **state)
{
    (void)state;
    bawn_mem_destroy(&mem);
    return 0;
}

/* Whether a process that touches the byte lives. */
static bool can_touch(volatile uint8_t *at)
{
    int status;
    pid_t pid = fork();

    if (!pid) {
        signal(SIGSEGV, SIG_DFL);
        *at = 1;
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) && !WEXITSTATUS(status);
}

static void test_shared(void **state)
{
    uint8_t *at = bawn_mem_at(&mem, BAWN_HIGH_RAM + 5, 1);

    (void)state;
    assert_int_equal(*at, 0);
    assert_true(can_touch(at));
    assert_int_equal(*at, 1);
}

static void test_guards(void **state)
{
    uint8_t *low = bawn_mem_at(&mem, 0, LOW);

    (void)state;
    assert_true(can_touch(low));
    assert_true(can_touch(low + LOW - 1));
    assert_false(can_touch(low - 1));
    assert_false(can_touch(low + LOW));
    assert_null(bawn_mem_at(&mem, LOW - 1, 2));
    assert_null(bawn_mem_at(&mem, LOW, 1));
    assert_null(bawn_mem_at(&mem, ~0ull, 2));
}

static void test_size_is_fixed(void **state)
{
    (void)state;
    assert_int_equal(ftruncate(mem.range[0].fd, 4096), -1);
    assert_int_equal(ftruncate(mem.range[0].fd, 2 * LOW), -1);
    assert_int_equal(fcntl(mem.range[0].fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
}

static void test_drop(void **state)
{
    uint8_t *at = bawn_mem_at(&mem, 0, LOW);

    (void)state;
    memset(at, 7, 3 * 4096);
    assert_int_equal(bawn_mem_punch(&mem.range[0], 4096, 4096), 0);
    assert_int_equal(at[4095], 7);
    assert_int_equal(at[4096], 0);
    assert_int_equal(at[8191], 0);
    assert_int_equal(at[8192], 7);
}

/* Whether a line of the mapping in /proc/self/smaps starts with this and has that. */
static bool smaps_say(const char *start_of_line, const char *what)
{
    uintptr_t want = (uintptr_t)mem.range[0].host;
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[512];
    bool here = false, found = false;

    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps)) {
        char *end;
        uintptr_t start = strtoull(line, &end, 16);

        if (*end == '-')
            here = start <= want && want < strtoull(end + 1, NULL, 16);
        if (here && !strncmp(line, start_of_line, strlen(start_of_line)) && strstr(line, what))
            found = true;
    }
    fclose(maps);
    return found;
}

static void test_not_in_core_dumps(void **state)
{
    (void)state;
    assert_true(smaps_say("VmFlags:", " dd"));
}

/* Where the kernel has them at all, and namespaces to ask for them. */
static void test_huge_pages(void **state)
{
    int fd = bawn_mem_huge_file(LOW);
    bool off = access("/sys/kernel/mm/transparent_hugepage", F_OK);

    (void)state;
    if (fd < 0 || off)
        skip();
    close(fd);
    *(uint8_t *)bawn_mem_at(&mem, 0, 1) = 1;
    assert_true(smaps_say("ShmemPmdMapped:", " 2048 kB"));
    assert_int_equal(bawn_mem_punch(&mem.range[0], 0, LOW), 0);
    assert_int_equal(*(uint8_t *)bawn_mem_at(&mem, 0, 1), 0);
}

/* From the host's pool, if it has enough; and nothing else if not. */
static void test_pool(void **state)
{
    static const char path[] = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";
    const struct bawn_ram ram = { 0, LOW };
    struct bawn_error err = { "" };
    FILE *f = fopen(path, "r");
    char text[32] = "";

    (void)state;
    if (f) {
        (void)!fgets(text, sizeof(text), f);
        fclose(f);
    }
    if (strtoul(text, NULL, 10) < LOW >> 21) {
        assert_int_equal(bawn_mem_create(&mem, &ram, 1, BAWN_PAGES_2M, &err), BAWN_E_NOMEM);
        assert_non_null(strstr(err.msg, "pool of huge pages"));
        return;
    }
    assert_int_equal(bawn_mem_create(&mem, &ram, 1, BAWN_PAGES_2M, &err), BAWN_OK);
    assert_true(smaps_say("KernelPageSize:", "2048 kB"));
    memset(bawn_mem_at(&mem, 0, LOW), 7, LOW);
    assert_int_equal(bawn_mem_punch(&mem.range[0], 4096, 4096), 0);
    assert_int_equal(((uint8_t *)bawn_mem_at(&mem, 0, LOW))[4096], 0);
    assert_int_equal(((uint8_t *)bawn_mem_at(&mem, 0, LOW))[8192], 7);
    bawn_mem_destroy(&mem);
}

static void test_kinds(void **state)
{
    struct bawn_vm_config cfg;

    (void)state;
    bawn_vm_config_init(&cfg);
    assert_int_equal(bawn_mem_pages_of(&cfg), BAWN_PAGES_THP);
    cfg.thp = false;
    assert_int_equal(bawn_mem_pages_of(&cfg), BAWN_PAGES_SMALL);
    cfg.hugepages = true;
    assert_int_equal(bawn_mem_pages_of(&cfg), BAWN_PAGES_2M);
    cfg.hugepage_size = 1u << 30;
    assert_int_equal(bawn_mem_pages_of(&cfg), BAWN_PAGES_1G);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TEST_HUGE(f) cmocka_unit_test_setup_teardown(f, setup_huge, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_shared),
        TEST(test_guards),
        TEST(test_size_is_fixed),
        TEST(test_drop),
        TEST(test_not_in_core_dumps),
        TEST_HUGE(test_shared),
        TEST_HUGE(test_guards),
        TEST_HUGE(test_drop),
        TEST_HUGE(test_not_in_core_dumps),
        TEST_HUGE(test_huge_pages),
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_kinds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* What fuzz/lab does without a module: its mutations, its dictionary, coverage, and memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "fuzz/lab/lab.h"
#include "fuzz/sim/sim.h"

struct lab_shared *lab_shared;

/* real.c's, which would open the device. */
long lab_call(long number, long a, long b, long c, long d)
{
    return syscall(number, a, b, c, d);
}

static void mutations_repeat_and_stay_inside(void **state)
{
    static uint8_t one[LAB_INPUT_MAX], two[LAB_INPUT_MAX], end[LAB_INPUT_MAX];
    struct lab_input other = { end, sizeof(end) };
    struct lab_input word = { (uint8_t *)"word", 4 };
    struct lab_random a = { 7 }, b = { 7 };
    size_t n = 3, m = 3, longest = 0;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        n = lab_mutate(&a, one, n, i % 8 ? NULL : &other, &word, i % 2);
        m = lab_mutate(&b, two, m, i % 8 ? NULL : &other, &word, i % 2);
        assert_true(n <= LAB_INPUT_MAX);
        assert_int_equal(n, m);
        assert_memory_equal(one, two, n);
        longest = n > longest ? n : longest;
    }
    assert_int_equal(longest, LAB_INPUT_MAX);
    b.state = 8;
    m = lab_mutate(&b, two, m, NULL, NULL, 0);
    n = lab_mutate(&a, one, n, NULL, NULL, 0);
    assert_true(n != m || memcmp(one, two, n) != 0);
}

static size_t read_words(const char *text, struct lab_input *words, bool *ok)
{
    char path[] = "/tmp/bawn-words-XXXXXX";
    int fd = mkstemp(path);
    size_t n;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    *ok = lab_words(path, words, &n, 4);
    unlink(path);
    return n;
}

static void free_words(struct lab_input *words, size_t n)
{
    while (n)
        free(words[--n].data);
}

static void dictionaries(void **state)
{
    static const char *const bad[] = { "x=\"\\xg0\"\n", "x=\"open\n", "x=\n", "x=\"\"\n",
                                       "x=\"\\x1\"\n" };
    struct lab_input words[4];
    bool ok;
    size_t n = read_words("# no word\n\na=\"\\x01\\\\b\\\"\"\nb=\"z\"\n", words, &ok);

    (void)state;
    assert_true(ok);
    assert_int_equal(n, 2);
    assert_int_equal(words[0].len, 4);
    assert_memory_equal(words[0].data, "\1\\b\"", 4);
    assert_memory_equal(words[1].data, "z", 1);
    free_words(words, n);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        n = read_words(bad[i], words, &ok);
        free_words(words, n);
        assert_false(ok);
    }
    n = read_words("a=\"1\"\na=\"1\"\na=\"1\"\na=\"1\"\na=\"1\"\n", words, &ok);
    assert_int_equal(n, 4);
    free_words(words, n);
}

static void coverage_tells_order_and_number(void **state)
{
    static uint8_t one[LAB_MAP], two[LAB_MAP];
    const uint64_t ab[] = { 0xffffffffc0001000, 0xffffffffc0001010 };
    const uint64_t ba[] = { 0xffffffffc0001010, 0xffffffffc0001000 };
    unsigned reached = 0;

    (void)state;
    kcov_fold(ab, 2, one);
    kcov_fold(ba, 2, two);
    assert_memory_not_equal(one, two, LAB_MAP);
    memcpy(two, one, LAB_MAP);
    for (unsigned i = 0; i < 400; i++)
        kcov_fold(ab, 2, one);
    for (unsigned i = 0; i < LAB_MAP; i++) {
        assert_int_equal(!one[i], !two[i]);
        reached += one[i] == 255; /* and not around to 0 */
    }
    assert_int_equal(reached, 2);
}

static void memory_is_the_inputs_alone(void **state)
{
    static uint8_t mine[0x3000] = { 0x5a };
    uint64_t at = sim_map(0x4000), copy;
    uint64_t page = ((uint64_t)(uintptr_t)mine + 0xfff) & ~0xfffull;
    uint32_t v = 42, w = 0;

    (void)state;
    mine[page - (uint64_t)(uintptr_t)mine] = 0x77;
    assert_true(at);
    assert_false(sim_map_at(at + 0x1000, 0x1000));
    assert_true(sim_poke(at + 0xffe, &v, sizeof(v)));
    sim_migrate(at);
    assert_true(sim_peek(at + 0xffe, &w, sizeof(w)));
    assert_int_equal(w, 42);
    /* Read-only to the module, not to the target. */
    sim_protect(at, 0x1000, false);
    assert_false(lab_mapped(at, 1, true));
    v = 43;
    assert_true(sim_poke(at, &v, sizeof(v)));
    assert_false(lab_mapped(at + 0x3000, 1, true));
    assert_true(lab_mapped(at, 0x4000, false));
    assert_false(lab_mapped(at, 0x4001, false));
    /* Nothing there, half there, the kernel's. */
    assert_false(sim_poke(0x7f0000000, &v, sizeof(v)));
    assert_false(sim_peek(at + 0x3ffe, &w, sizeof(w)));
    assert_false(sim_peek(0xffff888000000000, &w, sizeof(w)));
    /* A part's pages go, the area stays; all of it goes; the program's own stays. */
    sim_unmap(at, 0x1000);
    assert_true(sim_peek(at, &w, sizeof(w)));
    assert_int_equal(w, 0);
    sim_unmap(page, 0x1000);
    sim_protect(page, 0x1000, false);
    mine[page - (uint64_t)(uintptr_t)mine]++;
    assert_int_equal(mine[page - (uint64_t)(uintptr_t)mine], 0x78);
    sim_unmap(0, ~0ull);
    assert_false(sim_peek(at, &w, sizeof(w)));
    copy = sim_map(0x1000);
    assert_true(copy && copy != at);
    lab_unmap_all();
    assert_null(sim_user(copy));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutations_repeat_and_stay_inside),
        cmocka_unit_test(dictionaries),
        cmocka_unit_test(coverage_tells_order_and_number),
        cmocka_unit_test(memory_is_the_inputs_alone),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/snapshot.c on real files: memory comes back as it was, zero pages and holes cost nothing, and
 * what makes no sense in an image without a key is refused.
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
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "snapshot.h"

#define MIB (1ull << 20)
#define PAGE 4096

static const struct bawn_ram ram[] = { { 0, 256 * MIB }, { BAWN_HIGH_RAM, 4 * MIB } };
static const struct bawn_image_key none;
static const char config[] = "{\"memory\":\"much\"}";
static struct bawn_error err;
static uint64_t told, told_all;

static void tell(void *opaque, uint64_t done, uint64_t all)
{
    (void)opaque;
    assert_true(done > told && done <= all);
    told = done;
    told_all = all;
}

static const struct bawn_progress progress = { tell, NULL }, nobody;

static struct bawn_state *make_state(unsigned vcpus)
{
    struct bawn_state *state = calloc(1, sizeof(*state));

    state->version = BAWN_STATE_VERSION;
    state->nr_vcpus = vcpus;
    state->size = BAWN_STATE_SIZE(vcpus);
    state->vcpu[vcpus - 1].regs.rip = 0x1234;
    return state;
}

static void fill(struct bawn_mem *mem)
{
    assert_int_equal(bawn_mem_create(mem, ram, 2, false, &err), BAWN_OK);
    for (uint64_t at = 0; at < mem->range[0].size; at += 17 * MIB)
        memset(mem->range[0].host + at, (int)(at >> 20) | 1, PAGE);
    memset(mem->range[0].host + PAGE, 0, PAGE);                /* written, and zero */
    mem->range[0].host[MIB + PAGE - 1] = 1;                    /* one byte of a page */
    memset(mem->range[0].host + 256 * MIB - PAGE, 0xee, PAGE); /* the last */
    memset(mem->range[1].host, 0x77, 3 * PAGE);
}

static int write_it(const struct bawn_mem *mem, const struct bawn_state *state)
{
    int fd = memfd_create("snapshot", MFD_CLOEXEC);
    struct bawn_image image;

    assert_int_equal(bawn_image_create(&image, fd, &none, &err), BAWN_OK);
    told = 0;
    assert_int_equal(
        bawn_snapshot_write(&image, config, state, state->size, mem, NULL, &progress, &err),
        BAWN_OK);
    bawn_image_close(&image);
    return fd;
}

static void test_round_trip(void **opaque)
{
    struct bawn_state *state = make_state(2), *got = calloc(1, sizeof(*got));
    struct bawn_snapshot s;
    struct bawn_mem mem, to;
    struct stat file;
    int fd;

    (void)opaque;
    fill(&mem);
    fd = write_it(&mem, state);
    assert_int_equal(told, told_all);
    assert_int_equal(told, (16 + 1 + 1 + 3) * PAGE);
    assert_int_equal(fstat(fd, &file), 0);
    assert_in_range(file.st_size, told, told + sizeof(*state) + 65536);
    assert_int_equal(fstat(mem.range[0].fd, &file), 0);
    assert_in_range(file.st_blocks, 0, 40 * 8 * 16); /* looking at it has not filled it */

    assert_int_equal(bawn_snapshot_open(&s, fd, &none, &err), BAWN_OK);
    assert_string_equal(s.config, config);
    assert_int_equal(bawn_snapshot_state(&s, got, 2, &err), BAWN_OK);
    assert_memory_equal(got, state, state->size);
    assert_int_equal(bawn_snapshot_state(&s, got, 3, &err), BAWN_E_FORMAT);
    assert_int_equal(bawn_mem_create(&to, ram, 2, false, &err), BAWN_OK);
    told = 0;
    assert_int_equal(bawn_snapshot_memory(&s, &to, &progress, &err), BAWN_OK);
    assert_int_equal(told, told_all);
    for (unsigned i = 0; i < 2; i++)
        assert_memory_equal(to.range[i].host, mem.range[i].host, mem.range[i].size);
    bawn_mem_destroy(&to);
    assert_int_equal(bawn_mem_create(&to, ram, 1, false, &err), BAWN_OK);
    assert_int_equal(bawn_snapshot_memory(&s, &to, &progress, &err), BAWN_E_CONFIG);
    bawn_mem_destroy(&to);
    bawn_snapshot_close(&s);
    bawn_mem_destroy(&mem);
    close(fd);
    free(state);
    free(got);
}

/* ---- what changed since another ---- */

#define CHAIN 3

/* In a directory, as files: 0 is the first, each of the others has what was noted since. */
static void write_chain(char dir[], struct bawn_mem *mem, const struct bawn_image_key *key)
{
    struct bawn_state *state = make_state(1);
    struct bawn_snapshot_base base;
    char path[CHAIN][64];

    assert_non_null(mkdtemp(dir));
    bawn_dirty_track(mem, true);
    for (unsigned i = 0; i < CHAIN; i++) {
        struct bawn_image image;
        int fd;

        if (i) { /* one that is new, one that is another, one that is zero now */
            uint8_t *page[] = { mem->range[0].host + (2 + i) * PAGE,
                                mem->range[0].host + 17 * i * MIB, mem->range[1].host + i * PAGE };

            memset(page[0], 0x50 + (int)i, PAGE);
            memset(page[1], 0x60 + (int)i, 10);
            memset(page[2], 0, PAGE);
            for (unsigned n = 0; n < 3; n++)
                bawn_dirty_note(mem, page[n], 1);
            bawn_dirty_note(mem, mem->range[0].host + 200 * MIB, PAGE); /* a hole */
        }
        snprintf(path[i], sizeof(path[i]), "%s/%u", dir, i);
        fd = open(path[i], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(bawn_image_create(&image, fd, key, &err), BAWN_OK);
        assert_int_equal(bawn_snapshot_write(&image, config, state, state->size, mem,
                                             i ? &base : NULL, &nobody, &err),
                         BAWN_OK);
        base = (struct bawn_snapshot_base){ image.id, path[i] };
        bawn_image_close(&image);
        close(fd);
        bawn_dirty_clear(mem);
        assert_int_equal(bawn_dirty_count(mem), 0);
    }
    free(state);
}

static enum bawn_status open_chain(struct bawn_snapshot *s, const char *dir, unsigned i,
                                   const struct bawn_image_key *key)
{
    char path[64];
    enum bawn_status st;
    int fd;

    snprintf(path, sizeof(path), "%s/%u", dir, i);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    st = bawn_snapshot_open(s, fd, key, &err);
    s->fd = fd;
    return st ? st : bawn_snapshot_open_bases(s, path, key, &err);
}

static void close_chain(struct bawn_snapshot *s)
{
    close(s->fd);
    bawn_snapshot_close(s);
}

static void test_chain(void **opaque)
{
    const struct bawn_image_key key = { true, "the key of all these tests: 32 b" };
    char dir[] = "/tmp/bawn-snapshot-XXXXXX", moved[] = "/tmp/bawn-moved-XXXXXX";
    char from[64], to[64];
    struct bawn_snapshot s;
    struct bawn_mem mem, got;
    struct stat file;

    (void)opaque;
    fill(&mem);
    write_chain(dir, &mem, &key);
    snprintf(from, sizeof(from), "%s/2", dir);
    assert_int_equal(stat(from, &file), 0);
    assert_in_range(file.st_size, 2 * PAGE, 8 * PAGE + (off_t)sizeof(struct bawn_state));
    /* All together, in another place. */
    assert_non_null(mkdtemp(moved));
    for (unsigned i = 0; i < CHAIN; i++) {
        snprintf(from, sizeof(from), "%s/%u", dir, i);
        snprintf(to, sizeof(to), "%s/%u", moved, i);
        assert_int_equal(rename(from, to), 0);
    }
    assert_int_equal(rmdir(dir), 0);
    assert_int_equal(open_chain(&s, moved, 2, &key), BAWN_OK);
    assert_int_equal(bawn_mem_create(&got, ram, 2, false, &err), BAWN_OK);
    told = 0;
    assert_int_equal(bawn_snapshot_memory(&s, &got, &progress, &err), BAWN_OK);
    assert_int_equal(told, told_all);
    for (unsigned i = 0; i < 2; i++)
        assert_memory_equal(got.range[i].host, mem.range[i].host, mem.range[i].size);
    bawn_mem_destroy(&got);
    close_chain(&s);
    /* Another in the place of a base: the first one is no base of the last. */
    snprintf(from, sizeof(from), "%s/0", moved);
    snprintf(to, sizeof(to), "%s/1", moved);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(open_chain(&s, moved, 2, &key), BAWN_E_DENIED);
    assert_non_null(strstr(err.msg, "not the file that it was"));
    close_chain(&s);
    assert_int_equal(unlink(to), 0);
    assert_int_equal(open_chain(&s, moved, 2, &key), BAWN_E_IO);
    assert_non_null(strstr(err.msg, "/1 cannot be opened"));
    close_chain(&s);
    snprintf(to, sizeof(to), "%s/2", moved);
    assert_int_equal(unlink(to), 0);
    assert_int_equal(rmdir(moved), 0);
    bawn_mem_destroy(&mem);
}

/* ---- images as nobody writes them ---- */

static enum bawn_status read_hostile(const struct bawn_snapshot_head *head, const void *rest,
                                     size_t len)
{
    static struct bawn_state got;
    int fd = memfd_create("snapshot", MFD_CLOEXEC);
    const struct bawn_ram small = { 0, 2 * MIB };
    struct bawn_snapshot s;
    struct bawn_image image;
    struct bawn_mem mem;
    enum bawn_status st;

    assert_int_equal(bawn_image_create(&image, fd, &none, &err), BAWN_OK);
    assert_int_equal(bawn_image_put(&image, head, sizeof(*head), &err), BAWN_OK);
    assert_int_equal(bawn_image_put(&image, rest, len, &err), BAWN_OK);
    assert_int_equal(bawn_image_finish(&image, &err), BAWN_OK);
    bawn_image_close(&image);
    st = bawn_snapshot_open(&s, fd, &none, &err);
    assert_int_equal(bawn_mem_create(&mem, &small, 1, false, NULL), BAWN_OK);
    if (!st)
        st = bawn_snapshot_state(&s, &got, 1, &err);
    if (!st)
        st = bawn_snapshot_memory(&s, &mem, &nobody, &err);
    bawn_mem_destroy(&mem);
    bawn_snapshot_close(&s);
    close(fd);
    return st;
}

static void test_hostile(void **opaque)
{
    const struct bawn_snapshot_head good = {
        .version = 2,
        .nr_ram = 1,
        .config_len = 2,
        .state_len = BAWN_STATE_SIZE(1),
        .ram[0].size = 2 * MIB,
    };
    size_t len = 2 + BAWN_STATE_SIZE(1) + 64 + 2 * PAGE;
    struct bawn_state *state = make_state(1);
    struct bawn_snapshot_head bad;
    uint8_t *rest = calloc(1, len + PAGE);

    (void)opaque;
    memcpy(rest, "{}", 2);
    memcpy(rest + 2, state, state->size);
    rest[2 + state->size] = 0x80;      /* page 7 */
    rest[2 + state->size + 63] = 0x80; /* and the last */
    assert_int_equal(read_hostile(&good, rest, len), BAWN_OK);
    assert_int_equal(read_hostile(&good, rest, len - PAGE), BAWN_E_FORMAT);
    assert_int_equal(read_hostile(&good, rest, len + PAGE), BAWN_E_FORMAT);
    assert_int_equal(read_hostile(&good, rest, len + 1), BAWN_E_FORMAT);
    for (size_t n = 0; n < len - 1; n += 509)
        assert_int_equal(read_hostile(&good, rest, n), BAWN_E_FORMAT);
    rest[2 + state->size] = 0x81; /* more pages than there are */
    assert_int_equal(read_hostile(&good, rest, len), BAWN_E_FORMAT);
    rest[1] = '\0';
    assert_int_equal(read_hostile(&good, rest, len), BAWN_E_FORMAT);
    rest[1] = '}';
#define BAD(member, value, status)                               \
    do {                                                         \
        bad = good;                                              \
        bad.member = (value);                                    \
        assert_int_equal(read_hostile(&bad, rest, len), status); \
    } while (0)
    BAD(version, 1, BAWN_E_UNSUPPORTED);
    BAD(nr_ram, 0, BAWN_E_FORMAT);
    BAD(nr_ram, 3, BAWN_E_FORMAT);
    BAD(nr_ram, 2, BAWN_E_FORMAT);
    BAD(ram[0].size, 0, BAWN_E_FORMAT);
    BAD(ram[0].size, 2 * MIB + PAGE, BAWN_E_FORMAT);
    BAD(ram[0].size, UINT64_MAX & ~(2 * MIB - 1), BAWN_E_FORMAT);
    BAD(ram[0].size, 4 * MIB, BAWN_E_CONFIG);
    BAD(ram[0].gpa, PAGE, BAWN_E_CONFIG);
    BAD(config_len, UINT64_MAX, BAWN_E_FORMAT);
    BAD(config_len, BAWN_SNAPSHOT_CONFIG_MAX, BAWN_E_FORMAT);
    BAD(state_len, UINT64_MAX, BAWN_E_FORMAT);
    BAD(state_len, sizeof(struct bawn_state), BAWN_E_FORMAT);
    BAD(state_len, 3, BAWN_E_FORMAT);
    BAD(base_len, UINT64_MAX, BAWN_E_FORMAT);
    BAD(base_len, BAWN_SNAPSHOT_NAME, BAWN_E_FORMAT);
    BAD(base_len, 1, BAWN_E_FORMAT); /* a name of a zero */
    free(state);
    free(rest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_hostile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

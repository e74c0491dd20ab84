// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/image.c on real files: what was written is what is read, from anywhere; each bit that flips,
 * each end that is cut off, each chunk that is moved or comes from another image, and each wrong
 * key is refused.
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

#include "image.h"

#define HEAD 88 /* the header's size */
#define SEALED (BAWN_IMAGE_CHUNK + 16)
#define MAX 200000

static const struct bawn_image_key key = { true, "the key of all these tests: 32 b" }, none;
static uint8_t content[MAX], got[MAX];
static struct bawn_error err;

static int make(const struct bawn_image_key *with, size_t len, size_t step)
{
    int fd = memfd_create("image", MFD_CLOEXEC);
    struct bawn_image image;

    assert_true(fd >= 0);
    assert_int_equal(bawn_image_create(&image, fd, with, &err), BAWN_OK);
    for (size_t at = 0; at < len; at += step)
        assert_int_equal(
            bawn_image_put(&image, content + at, len - at < step ? len - at : step, &err), BAWN_OK);
    assert_int_equal(bawn_image_finish(&image, &err), BAWN_OK);
    bawn_image_close(&image);
    return fd;
}

/* Opens it and reads all of it; the first failure. */
static enum bawn_status read_all(int fd, const struct bawn_image_key *with, size_t len)
{
    struct bawn_image image;
    enum bawn_status st = bawn_image_open(&image, fd, with, &err);

    if (!st && image.size != len)
        st = BAWN_E_INTERNAL;
    if (!st)
        st = bawn_image_get(&image, 0, got, len, &err);
    bawn_image_close(&image);
    return st;
}

static uint64_t file_size(int fd)
{
    struct stat s;

    assert_int_equal(fstat(fd, &s), 0);
    return (uint64_t)s.st_size;
}

static void test_round_trip(void **state)
{
    static const size_t sizes[] = { 1, 100, 65535, 65536, 65537, 131072, MAX };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (unsigned plain = 0; plain < 2; plain++) {
            int fd = make(plain ? &none : &key, sizes[i], 4099);

            memset(got, 0, sizeof(got));
            assert_int_equal(read_all(fd, plain ? &none : &key, sizes[i]), BAWN_OK);
            assert_memory_equal(got, content, sizes[i]);
            assert_int_equal(file_size(fd),
                             HEAD + sizes[i] + 16 * ((sizes[i] + 65535) / BAWN_IMAGE_CHUNK));
            close(fd);
        }
    }
}

static void test_from_anywhere(void **state)
{
    int fd = make(&key, MAX, MAX);
    struct bawn_image image;

    (void)state;
    assert_int_equal(bawn_image_open(&image, fd, &key, &err), BAWN_OK);
    for (unsigned i = 0; i < 200; i++) {
        size_t at = (i * 7919ul) % MAX, len = (i * 104729ul) % (MAX - at);

        assert_int_equal(bawn_image_get(&image, at, got, len, &err), BAWN_OK);
        assert_memory_equal(got, content + at, len);
    }
    assert_int_equal(bawn_image_get(&image, MAX, got, 0, &err), BAWN_OK);
    assert_int_equal(bawn_image_get(&image, MAX, got, 1, &err), BAWN_E_FORMAT);
    assert_int_equal(bawn_image_get(&image, UINT64_MAX, got, 1, &err), BAWN_E_FORMAT);
    assert_int_equal(bawn_image_get(&image, 1, got, SIZE_MAX, &err), BAWN_E_FORMAT);
    bawn_image_close(&image);
    close(fd);
}

static void flip(int fd, uint64_t byte, unsigned bit)
{
    uint8_t c;

    assert_int_equal(pread(fd, &c, 1, (off_t)byte), 1);
    c ^= 1u << bit;
    assert_int_equal(pwrite(fd, &c, 1, (off_t)byte), 1);
}

static void check_flips(const struct bawn_image_key *with)
{
    int fd = make(with, 100, 100);

    for (uint64_t byte = 0; byte < file_size(fd); byte++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            flip(fd, byte, bit);
            assert_int_not_equal(read_all(fd, with, 100), BAWN_OK);
            flip(fd, byte, bit);
        }
    }
    assert_int_equal(read_all(fd, with, 100), BAWN_OK);
    close(fd);
}

static void test_flips(void **state)
{
    int fd = make(&key, MAX, MAX);

    (void)state;
    check_flips(&key);
    check_flips(&none);
    for (uint64_t byte = 0; byte < file_size(fd); byte += 997) {
        flip(fd, byte, byte % 8);
        assert_int_not_equal(read_all(fd, &key, MAX), BAWN_OK);
        flip(fd, byte, byte % 8);
    }
    close(fd);
}

static void test_cut_off(void **state)
{
    int fd = make(&key, 100, 100);

    (void)state;
    for (uint64_t size = file_size(fd); size-- > 0;) {
        assert_int_equal(ftruncate(fd, (off_t)size), 0);
        assert_int_equal(read_all(fd, &key, 100), BAWN_E_FORMAT);
    }
    close(fd);
    fd = make(&key, MAX, MAX);
    for (uint64_t size = file_size(fd); size > 0; size -= size < 16 ? 1 : 16) {
        struct bawn_image image;

        assert_int_equal(ftruncate(fd, (off_t)size - 1), 0);
        /* Seen at once, before anything was used. */
        assert_int_equal(bawn_image_open(&image, fd, &key, &err), BAWN_E_FORMAT);
        bawn_image_close(&image);
    }
    close(fd);
    fd = make(&key, 65536 * 2, MAX); /* whole chunks are left */
    assert_int_equal(ftruncate(fd, HEAD + SEALED), 0);
    assert_int_equal(read_all(fd, &key, 65536), BAWN_E_FORMAT);
    close(fd);
}

static void test_longer(void **state)
{
    static const size_t more[] = { 1, 16, 17, 100, SEALED };
    uint8_t *zero = calloc(1, SEALED);

    (void)state;
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        int fd = make(&key, 65536, MAX);

        assert_int_equal(pwrite(fd, zero, more[i], (off_t)file_size(fd)), more[i]);
        assert_int_equal(read_all(fd, &key, 65536), BAWN_E_FORMAT);
        close(fd);
    }
    free(zero);
}

static void copy_chunk(int to, unsigned to_chunk, int from, unsigned from_chunk)
{
    uint8_t *chunk = malloc(SEALED);

    assert_int_equal(pread(from, chunk, SEALED, HEAD + (off_t)from_chunk * SEALED), SEALED);
    assert_int_equal(pwrite(to, chunk, SEALED, HEAD + (off_t)to_chunk * SEALED), SEALED);
    free(chunk);
}

static void test_moved_chunks(void **state)
{
    int one = make(&key, 3 * 65536, MAX), two = make(&key, 3 * 65536, MAX), save;

    (void)state;
    save = make(&key, 3 * 65536, MAX);
    copy_chunk(save, 0, one, 0);
    for (unsigned chunk = 0; chunk < 3; chunk++) { /* the same content, of another image */
        copy_chunk(save, 1, one, chunk);
        copy_chunk(one, chunk, two, chunk);
        assert_int_equal(read_all(one, &key, 3 * 65536), BAWN_E_FORMAT);
        copy_chunk(one, chunk, save, 1);
        assert_int_equal(read_all(one, &key, 3 * 65536), BAWN_OK);
    }
    copy_chunk(one, 1, one, 0);
    assert_int_equal(read_all(one, &key, 3 * 65536), BAWN_E_FORMAT);
    copy_chunk(two, 0, two, 2);
    assert_int_equal(read_all(two, &key, 3 * 65536), BAWN_E_FORMAT);
    close(one);
    close(two);
    close(save);
}

static void test_keys(void **state)
{
    struct bawn_image_key other = key;
    int fd = make(&key, 100, 100), plain = make(&none, 100, 100);

    (void)state;
    other.key[31] ^= 1;
    assert_int_equal(read_all(fd, &other, 100), BAWN_E_DENIED);
    assert_non_null(strstr(err.msg, "not the one"));
    assert_int_equal(read_all(fd, &none, 100), BAWN_E_DENIED);
    assert_non_null(strstr(err.msg, "--key is needed"));
    assert_int_equal(read_all(plain, &key, 100), BAWN_E_DENIED);
    assert_non_null(strstr(err.msg, "without a key"));
    close(plain);
    close(fd);
}

static void test_no_content_in_clear(void **state)
{
    int fd = make(&key, MAX, MAX);
    uint64_t size = file_size(fd);
    uint8_t *file = malloc(size);

    (void)state;
    assert_int_equal(pread(fd, file, size, 0), size);
    for (unsigned i = 0; i + 64 < MAX; i += 1024)
        assert_null(memmem(file, size, content + i, 64));
    assert_null(memmem(file, size, key.key, 16));
    free(file);
    close(fd);
}

static void test_full_disk(void **state)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    struct bawn_image image;

    (void)state;
    assert_true(full >= 0);
    assert_int_equal(bawn_image_create(&image, full, &key, &err), BAWN_E_IO);
    assert_non_null(strstr(err.msg, "No space left"));
    bawn_image_close(&image);
    close(full);
}

static enum bawn_status key_of(const void *text, size_t len, struct bawn_image_key *to)
{
    char path[64] = "/tmp/bawn-image-key-XXXXXX";
    int fd = mkstemp(path);
    enum bawn_status st;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), len);
    close(fd);
    st = bawn_image_key_read(to, path, &err);
    unlink(path);
    return st;
}

static void test_key_files(void **state)
{
    static const char hex[] = "000102030405060708090a0b0c0d0e0f"
                              "101112131415161718191A1B1C1D1E1F\n\n";
    struct bawn_image_key k;
    uint8_t want[32];

    (void)state;
    for (unsigned i = 0; i < 32; i++)
        want[i] = i;
    assert_int_equal(key_of(want, 32, &k), BAWN_OK);
    assert_memory_equal(k.key, want, 32);
    assert_true(k.secret);
    for (size_t len = 0; len < sizeof(hex); len++) {
        bool good = len == 32 || len == 64 || len == 65;

        memset(&k, 0, sizeof(k));
        assert_int_equal(key_of(hex, len, &k), good ? BAWN_OK : BAWN_E_FORMAT);
        if (len > 32 && good)
            assert_memory_equal(k.key, want, 32);
    }
    assert_int_equal(
        key_of("000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1x", 64, &k),
        BAWN_E_FORMAT);
    assert_int_equal(bawn_image_key_read(&k, "/nonexistent/key", &err), BAWN_E_IO);
}

static void test_not_a_file(void **state)
{
    struct bawn_image image;
    int pair[2];

    (void)state;
    assert_int_equal(pipe(pair), 0);
    assert_int_equal(bawn_image_open(&image, pair[0], &key, &err), BAWN_E_IO);
    bawn_image_close(&image);
    close(pair[0]);
    close(pair[1]);
}

/* ---- a key in a TPM ---- */

static const char begin_tpm[] =
    "cd %s && export TPM2TOOLS_TCTI=swtpm:path=$PWD/sock && "
    "swtpm socket --tpm2 --tpmstate dir=. --server type=unixio,path=sock --pid file=pid --daemon "
    "--ctrl type=unixio,path=sock.ctrl --flags not-need-init,startup-clear && "
    "head -c 32 /dev/zero | tr '\\0' k >key && head -c 31 key >short && "
    "tpm2_createprimary -Q -C o -c primary && tpm2_flushcontext -t && n=1 && "
    "for i in key short; do tpm2_create -Q -C primary -i $i -u $i.pub -r $i.priv -c $i.ctx && "
    "tpm2_flushcontext -t && tpm2_evictcontrol -Q -C o -c $i.ctx 0x8100010$n || exit; "
    "n=$((n + 1)); tpm2_flushcontext -t; done";

static void test_tpm(void **opaque)
{
    char dir[] = "/tmp/bawn-key-XXXXXX", text[1024];
    struct bawn_image_key sealed;

    (void)opaque;
    if (access("/usr/bin/swtpm", X_OK) || access("/usr/bin/tpm2_create", X_OK)) {
        print_message("no swtpm or no tpm2-tools here\n");
        skip();
    }
    assert_non_null(mkdtemp(dir));
    snprintf(text, sizeof(text), begin_tpm, dir);
    assert_int_equal(system(text), 0);
    snprintf(text, sizeof(text), "tpm:0x81000101@%s/sock", dir);
    assert_int_equal(bawn_image_key_read(&sealed, text, &err), BAWN_OK);
    assert_true(sealed.secret);
    for (unsigned i = 0; i < sizeof(sealed.key); i++)
        assert_int_equal(sealed.key[i], 'k');
    snprintf(text, sizeof(text), "tpm:0x81000102@%s/sock", dir);
    assert_int_equal(bawn_image_key_read(&sealed, text, &err), BAWN_E_FORMAT);
    snprintf(text, sizeof(text), "tpm:0x81000103@%s/sock", dir);
    assert_int_equal(bawn_image_key_read(&sealed, text, &err), BAWN_E_DENIED);
    assert_non_null(strstr(err.msg, "0x81000103"));
    assert_int_equal(bawn_image_key_read(&sealed, "tpm:0x81000101@/nonexistent", &err), BAWN_E_IO);
    assert_int_equal(bawn_image_key_read(&sealed, "tpm:0x80000000", &err), BAWN_E_USAGE);
    assert_int_equal(bawn_image_key_read(&sealed, "tpm:", &err), BAWN_E_USAGE);
    snprintf(text, sizeof(text), "kill $(cat %s/pid); rm -r %s", dir, dir);
    assert_int_equal(system(text), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_from_anywhere),
        cmocka_unit_test(test_flips),      cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_longer),     cmocka_unit_test(test_moved_chunks),
        cmocka_unit_test(test_keys),       cmocka_unit_test(test_no_content_in_clear),
        cmocka_unit_test(test_full_disk),  cmocka_unit_test(test_key_files),
        cmocka_unit_test(test_tpm),        cmocka_unit_test(test_not_a_file),
    };

    for (size_t i = 0; i < MAX; i++)
        content[i] = (uint8_t)(i * 2654435761u >> 13);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * vmm/openssl.S and late.c: a library is there from the first call of it on and not before, and its
 * part of the table cannot be written to then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/ssl.h>

extern void *bawn_late_crypto[];
void bawn_late_load(const char *name, void **table, void **end);

static bool loaded(const char *library)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    bool found = false;
    char line[512];

    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps))
        found |= strstr(line, library) != NULL;
    fclose(maps);
    return found;
}

/* How a child ended that did it. */
static int status_of(void (*act)(void))
{
    int status = 0;
    pid_t pid = fork();

    if (!pid) {
        signal(SIGSEGV, SIG_DFL); /* and not cmocka's */
        act();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void test_call(void **state)
{
    static const uint8_t abc[] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea };
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    (void)state;
    assert_false(loaded("libcrypto") || loaded("libssl"));
    assert_int_equal(EVP_Digest("abc", 3, digest, &len, EVP_sha256(), NULL), 1);
    assert_int_equal(len, 32);
    assert_memory_equal(digest, abc, sizeof(abc)); /* FIPS 180-4, the first bytes */
    assert_true(loaded("libcrypto") && !loaded("libssl"));
    assert_non_null(TLS_client_method());
    assert_true(loaded("libssl"));
}

static void write_table(void)
{
    bawn_late_crypto[0] = NULL;
}

static void test_fixed(void **state)
{
    int status = status_of(write_table);

    (void)state;
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void load_none(void)
{
    static void *table[2];

    bawn_late_load("libbawn-none.so.0\0call\0", table, table + 2);
}

static void load_without(void)
{
    static void *table[2];

    bawn_late_load("libcrypto.so.3\0EVP_none\0", table, table + 2);
}

static void test_missing(void **state)
{
    int status = status_of(load_none);

    (void)state;
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    status = status_of(load_without);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call),
        cmocka_unit_test(test_fixed),
        cmocka_unit_test(test_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

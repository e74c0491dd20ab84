// SPDX-License-Identifier: Apache-2.0
/* The storage key in a TPM: swtpm's, over a socket. What tpm2-tools seal is opened too. */
#include "tests/unit/vault/world.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/bawn-tpm-XXXXXX";
static char tcti[64];
static pid_t tpm;

static int start(void **state)
{
    char control[32], server[32], place[64];
    int base = 20000 + getpid() % 20000;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(control, sizeof(control), "type=tcp,port=%d", base + 1);
    snprintf(server, sizeof(server), "type=tcp,port=%d", base);
    snprintf(place, sizeof(place), "dir=%s", dir);
    snprintf(tcti, sizeof(tcti), "swtpm:host=127.0.0.1,port=%d", base);
    tpm = fork();
    if (!tpm) {
        execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", place, "--server", server,
               "--ctrl", control, "--flags", "not-need-init,startup-clear", NULL);
        _exit(127);
    }
    for (int i = 0; i < 100; i++) { /* until it listens */
        uint8_t *blob;
        size_t len;

        if (tpm_seal_key(tcti, (const uint8_t *)"0123456789abcdef0123456789abcdef", &blob, &len,
                         NULL) == BAWN_OK) {
            free(blob);
            return 0;
        }
        usleep(50000);
    }
    return -1;
}

static int stop(void **state)
{
    char command[96];

    (void)state;
    kill(tpm, SIGTERM);
    waitpid(tpm, NULL, 0);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static void sealed(void **state)
{
    static const uint8_t key[KEY_SIZE] = { 1, 2, 3 };
    uint8_t opened[KEY_SIZE], *blob;
    struct bawn_error err = { "" };
    size_t len;

    (void)state;
    assert_int_equal(tpm_seal_key(tcti, key, &blob, &len, &err), BAWN_OK);
    assert_int_equal(tpm_unseal_key(tcti, (struct bawn_bytes){ blob, len }, opened, &err), BAWN_OK);
    assert_memory_equal(opened, key, KEY_SIZE);
    assert_int_equal(tpm_unseal_key(tcti, (struct bawn_bytes){ blob, len - 1 }, opened, &err),
                     BAWN_E_CONFIG);
    blob[len - 1] ^= 1;
    assert_int_equal(tpm_unseal_key(tcti, (struct bawn_bytes){ blob, len }, opened, &err),
                     BAWN_E_IO);
    free(blob);
}

static void sealed_by_tools(void **state)
{
    uint8_t opened[KEY_SIZE], blob[4096];
    struct bawn_error err = { "" };
    char command[1024];
    size_t len;
    FILE *f;

    (void)state;
    snprintf(command, sizeof(command),
             "cd %s && export TPM2TOOLS_TCTI=%s && printf 0123456789abcdef0123456789abcdef >key &&"
             " tpm2_createprimary -Q -C o -G ecc -c primary && tpm2_flushcontext -t && tpm2_create "
             "-Q -C primary -i key"
             " -a 'fixedtpm|fixedparent|userwithauth' -u public -r private &&"
             " cat public private >blob && tpm2_flushcontext -t",
             dir, tcti);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof(command), "%s/blob", dir);
    f = fopen(command, "rb");
    assert_non_null(f);
    len = fread(blob, 1, sizeof(blob), f);
    fclose(f);
    if (tpm_unseal_key(tcti, (struct bawn_bytes){ blob, len }, opened, &err) != BAWN_OK)
        fail_msg("%s", err.msg);
    assert_memory_equal(opened, "0123456789abcdef0123456789abcdef", KEY_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(sealed),
                                        cmocka_unit_test(sealed_by_tools) };

    return cmocka_run_group_tests(tests, start, stop);
}

// SPDX-License-Identifier: Apache-2.0
/* The storage key in a TPM: swtpm's, over a socket. What tpm2-tools seal is opened too. */
#include "tests/unit/vault/swtpm.h"
#include "tests/unit/vault/world.h"

static struct swtpm tpm;

static int start(void **state)
{
    (void)state;
    return swtpm_start(&tpm);
}

static int stop(void **state)
{
    (void)state;
    return swtpm_stop(&tpm);
}

static void sealed(void **state)
{
    static const uint8_t key[KEY_SIZE] = { 1, 2, 3 };
    uint8_t opened[KEY_SIZE], *blob;
    struct bawn_error err = { "" };
    size_t len;

    (void)state;
    assert_int_equal(tpm_seal_key(tpm.tcti, key, &blob, &len, &err), BAWN_OK);
    assert_int_equal(tpm_unseal_key(tpm.tcti, (struct bawn_bytes){ blob, len }, opened, &err),
                     BAWN_OK);
    assert_memory_equal(opened, key, KEY_SIZE);
    assert_int_equal(tpm_unseal_key(tpm.tcti, (struct bawn_bytes){ blob, len - 1 }, opened, &err),
                     BAWN_E_CONFIG);
    blob[len - 1] ^= 1;
    assert_int_equal(tpm_unseal_key(tpm.tcti, (struct bawn_bytes){ blob, len }, opened, &err),
                     BAWN_E_IO);
    free(blob);
}

static void sealed_by_tools(void **state)
{
    uint8_t opened[KEY_SIZE], blob[4096];
    struct bawn_error err = { "" };
    size_t len;

    (void)state;
    assert_int_equal(swtpm_run(&tpm,
                               "printf 0123456789abcdef0123456789abcdef >key &&"
                               " tpm2_createprimary -Q -C o -G ecc -c primary &&"
                               " tpm2_flushcontext -t && tpm2_create -Q -C primary -i key"
                               " -a 'fixedtpm|fixedparent|userwithauth' -u public -r private &&"
                               " cat public private >blob && tpm2_flushcontext -t"),
                     0);
    len = swtpm_file(&tpm, "blob", blob, sizeof(blob));
    if (tpm_unseal_key(tpm.tcti, (struct bawn_bytes){ blob, len }, opened, &err) != BAWN_OK)
        fail_msg("%s", err.msg);
    assert_memory_equal(opened, "0123456789abcdef0123456789abcdef", KEY_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(sealed),
                                        cmocka_unit_test(sealed_by_tools) };

    return cmocka_run_group_tests(tests, start, stop);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The storage key under a token's key: SoftHSM's, by the commands that docs/attestd-api.md has, and
 * for OAEP with SHA-256, which that lacks, NSS's token in files.
 */
#include "tests/unit/temporary.h"
#include "tests/unit/vault/nss.h"
#include "tests/unit/vault/world.h"

#include <fcntl.h>
#include <unistd.h>

#include <openssl/rsa.h>

#define MODULE "/usr/lib/softhsm/libsofthsm2.so"

static char dir[64];
static uint8_t key[KEY_SIZE];

/* In the folder, with $P for pkcs11-tool. */
static int run(const char *command)
{
    char text[4096];

    snprintf(text, sizeof(text),
             "cd %s && P='pkcs11-tool --module " MODULE " --token-label bawn --login --pin 567890'"
             " && exec >/dev/null 2>&1 && %s",
             dir, command);
    return system(text);
}

static size_t file(const char *name, uint8_t *data, size_t size)
{
    char path[128];
    size_t len;
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "rb");
    assert_non_null(f);
    len = fread(data, 1, size, f);
    fclose(f);
    return len;
}

static int start(void **state)
{
    char path[128];

    (void)state;
    if (!mkdtemp(temporary(dir, sizeof(dir), "hsm")))
        return -1;
    snprintf(path, sizeof(path), "%s/conf", dir);
    setenv("SOFTHSM2_CONF", path, 1);
    if (run("mkdir tokens && echo directories.tokendir = $PWD/tokens >conf && "
            "softhsm2-util --init-token --free --label bawn --so-pin 123456 --pin 567890 && "
            "head -c 32 /dev/urandom >key && "
            "$P --keypairgen --key-type rsa:2048 --label rsa --usage-decrypt && "
            "$P --read-object --type pubkey --label rsa -o rsa.der && "
            "openssl pkeyutl -encrypt -pubin -keyform DER -inkey rsa.der -in key -out rsa.sealed "
            "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha1 && "
            "openssl pkeyutl -encrypt -pubin -keyform DER -inkey rsa.der -in conf -out rsa.other "
            "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha1 && "
            "$P --keygen --key-type AES:32 --label aes --usage-decrypt && "
            "head -c 16 /dev/urandom >iv && $P --encrypt -m AES-CBC-PAD --label aes "
            "--iv $(od -An -v -tx1 iv | tr -d ' \\n') -i key -o body && cat iv body >aes.sealed && "
            "$P --keygen --key-type AES:32 --label twice && "
            "$P --keygen --key-type AES:32 --label twice"))
        return -1;
    return file("key", key, sizeof(key)) == KEY_SIZE ? 0 : -1;
}

static int stop(void **state)
{
    char command[80];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static enum bawn_status unseal_by(const struct config_pkcs11 *c, const uint8_t *sealed, size_t len,
                                  uint8_t *out, const char *why)
{
    struct bawn_error err = { "" };
    enum bawn_status st = pkcs11_unseal_key(c, (struct bawn_bytes){ sealed, len }, out, &err);

    if (!strstr(err.msg, why))
        fail_msg("%s; not: %s", err.msg, why);
    return st;
}

static char *constant(const char *text)
{
    return (char *)(uintptr_t)text;
}

/* token, key, PIN and sealed file as text; what comes, and what must be said. */
static enum bawn_status open_with(const char *module, const char *token, const char *label,
                                  const char *pin, const uint8_t *sealed, size_t len, uint8_t *out,
                                  const char *why)
{
    const struct config_pkcs11 c = { .module = constant(module),
                                     .token = constant(token),
                                     .key = constant(label),
                                     .slot = 4000000000,
                                     .oaep_sha1 = true,
                                     .pin = { .data = (uint8_t *)constant(pin),
                                              .len = strlen(pin) } };

    return unseal_by(&c, sealed, len, out, why);
}

static void opened(void **state)
{
    static const char *const labels[] = { "rsa", "aes" };
    uint8_t sealed[1024], out[KEY_SIZE];
    char name[32];

    (void)state;
    for (int i = 0; i < 2; i++) {
        size_t len;

        snprintf(name, sizeof(name), "%s.sealed", labels[i]);
        len = file(name, sealed, sizeof(sealed));
        for (int line = 0; line < 2; line++) {
            memset(out, 0, sizeof(out));
            assert_int_equal(open_with(MODULE, "bawn", labels[i], line ? "567890\n" : "567890",
                                       sealed, len, out, ""),
                             BAWN_OK);
            assert_memory_equal(out, key, KEY_SIZE);
        }
    }
}

static void refused(void **state)
{
    uint8_t sealed[1024], out[KEY_SIZE];
    size_t len = file("rsa.sealed", sealed, sizeof(sealed));

    (void)state;
    assert_int_equal(
        open_with("/nowhere.so", "bawn", "rsa", "567890", sealed, len, out, "/nowhere.so"),
        BAWN_E_CONFIG);
    assert_int_equal(
        open_with("libm.so.6", "bawn", "rsa", "567890", sealed, len, out, "is no PKCS#11 module"),
        BAWN_E_CONFIG);
    assert_int_equal(
        open_with(MODULE, "other", "rsa", "567890", sealed, len, out, "none is labelled other"),
        BAWN_E_IO);
    assert_int_equal(open_with(MODULE, NULL, "rsa", "567890", sealed, len, out, "no such slot"),
                     BAWN_E_IO);
    assert_int_equal(
        open_with(MODULE, "bawn", "rsa", "000000", sealed, len, out, "the PIN is wrong"),
        BAWN_E_CONFIG);
    assert_int_equal(open_with(MODULE, "bawn", "rsa", "\n", sealed, len, out, "file is empty"),
                     BAWN_E_CONFIG);
    assert_int_equal(open_with(MODULE, "bawn", "none", "567890", sealed, len, out, "labelled none"),
                     BAWN_E_CONFIG);
    assert_int_equal(open_with(MODULE, "bawn", "twice", "567890", sealed, len, out, "several"),
                     BAWN_E_CONFIG);
    assert_int_equal(open_with(MODULE, "bawn", "aes", "567890", sealed, len, out, "unwrapped"),
                     BAWN_E_IO);
    sealed[len - 1] ^= 1;
    assert_int_equal(open_with(MODULE, "bawn", "rsa", "567890", sealed, len, out, "unwrapped"),
                     BAWN_E_IO);
    assert_int_equal(open_with(MODULE, "bawn", "rsa", "567890", sealed, 0, out, "unwrapped"),
                     BAWN_E_IO);
    len = file("rsa.other", sealed, sizeof(sealed));
    assert_int_equal(
        open_with(MODULE, "bawn", "rsa", "567890", sealed, len, out, "bytes are sealed"),
        BAWN_E_CONFIG);
    len = file("aes.sealed", sealed, sizeof(sealed));
    sealed[len - 1] ^= 1;
    if (open_with(MODULE, "bawn", "aes", "567890", sealed, len, out, "") == BAWN_OK)
        assert_memory_not_equal(out, key, KEY_SIZE);
}

/* ---- NSS ---- */

static char nss_args[NSS_ARGS_SIZE];

static struct config_pkcs11 nss_config(void)
{
    return (struct config_pkcs11){ .module = constant(NSS_MODULE),
                                   .token = constant("nss"),
                                   .key = constant("storage"),
                                   .init_args = nss_args,
                                   .pin = { .data = (uint8_t *)constant("567890"), .len = 6 } };
}

static size_t oaep(EVP_PKEY *pkey, const EVP_MD *md, uint8_t sealed[1024])
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
    size_t len = 1024;

    assert_int_equal(EVP_PKEY_encrypt_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md), 1);
    assert_int_equal(EVP_PKEY_encrypt(ctx, sealed, &len, key, KEY_SIZE), 1);
    EVP_PKEY_CTX_free(ctx);
    return len;
}

/* Each hash opens what was sealed with it, and nothing else; none is tried behind the other. */
static void oaep_hashes(void **state)
{
    uint8_t sealed[1024], out[KEY_SIZE];
    struct config_pkcs11 c = nss_config();
    char path[128];
    EVP_PKEY *pkey;

    (void)state;
    assert_int_equal(run("mkdir nss"), 0);
    snprintf(path, sizeof(path), "%s/nss", dir);
    pkey = nss_token(path, "nss", "storage", "567890", nss_args);
    for (int made = 0; made < 2; made++) {
        size_t len = oaep(pkey, made ? EVP_sha1() : EVP_sha256(), sealed);

        for (int asked = 0; asked < 2; asked++) {
            c.oaep_sha1 = asked;
            memset(out, 0, sizeof(out));
            if (made == asked) {
                assert_int_equal(unseal_by(&c, sealed, len, out, ""), BAWN_OK);
                assert_memory_equal(out, key, KEY_SIZE);
            } else {
                assert_int_not_equal(unseal_by(&c, sealed, len, out, "cannot be unwrapped"),
                                     BAWN_OK);
            }
        }
    }
    c.oaep_sha1 = false;
    c.init_args = NULL; /* it does not know where to look */
    assert_int_not_equal(unseal_by(&c, sealed, 256, out, "cannot be started"), BAWN_OK);
    EVP_PKEY_free(pkey);
}

/* SoftHSM is not asked for less than was configured. */
static void no_sha256(void **state)
{
    uint8_t sealed[1024], out[KEY_SIZE];
    size_t len = file("rsa.sealed", sealed, sizeof(sealed));
    struct config_pkcs11 c = nss_config();

    (void)state;
    c.module = constant(MODULE);
    c.token = constant("bawn");
    c.key = constant("rsa");
    c.init_args = NULL;
    assert_int_equal(unseal_by(&c, sealed, len, out, "no OAEP with SHA-256"), BAWN_E_CONFIG);
}

/* ---- The service's ---- */

/* The configuration's form, and a vault that opens with it. */
static void configured(void **state)
{
    static const struct {
        const char *storage, *why;
    } cases[] = {
        { "{\"module\":\"" MODULE "\",\"token\":\"bawn\",\"key\":\"rsa\",\"pin_file\":\"pin\","
          "\"sealed\":\"rsa.sealed\",\"oaep\":\"sha1\"}",
          NULL },
        { "{\"module\":\"" MODULE "\",\"token\":\"bawn\",\"key\":\"rsa\",\"pin_file\":\"pin\","
          "\"sealed\":\"rsa.sealed\",\"oaep\":\"md5\"}",
          "must be sha256 or sha1" },
        { "{\"module\":\"" MODULE "\",\"key\":\"rsa\",\"pin_file\":\"pin\",\"sealed\":\"x\"}",
          "needs module, token or slot" },
        { "{\"module\":\"" MODULE "\",\"slot\":1,\"token\":\"b\",\"key\":\"rsa\",\"pin_file\":"
          "\"pin\",\"sealed\":\"x\"}",
          "needs module, token or slot" },
        { "{\"module\":\"" MODULE "\",\"token\":\"bawn\",\"key\":\"rsa\",\"sealed\":\"x\"}",
          "needs module, token or slot" },
        { "\"pkcs11:token=bawn\"", "must be an object" },
    };
    char path[128], text[1024];

    (void)state;
    assert_int_equal(run("echo 567890 >pin && chmod 600 pin rsa.sealed"), 0);
    snprintf(path, sizeof(path), "%s/attestd.json", dir);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct service_config *config = NULL;
        struct bawn_error err = { "" };
        struct vault v;

        snprintf(text, sizeof(text),
                 "{\"listen\":[\"tcp:127.0.0.1:1\"],\"tls\":{\"certificate\":\"n\",\"key\":\"n\"},"
                 "\"database\":\"sqlite:db\",\"keys\":{\"storage\":{\"pkcs11\":%s}},"
                 "\"tenants\":{\"t\":{}}}",
                 cases[i].storage);
        if (cases[i].why) {
            assert_int_equal(config_parse(&config, path, text, strlen(text), &err), BAWN_E_CONFIG);
            assert_non_null(strstr(err.msg, cases[i].why));
            continue;
        }
        assert_int_equal(config_parse(&config, path, text, strlen(text), &err), BAWN_OK);
        if (config_read_files(config, ROLE_VAULT, &err) != BAWN_OK ||
            vault_open(&v, config, &err) != BAWN_OK)
            fail_msg("%s", err.msg);
        assert_memory_equal(v.keys.storage, key, KEY_SIZE);
        assert_null(config->storage.pkcs11.pin.data);
        assert_null(config->storage.file.data);
        vault_close(&v);
        config_destroy(config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(opened), cmocka_unit_test(refused),
                                        cmocka_unit_test(oaep_hashes), cmocka_unit_test(no_sha256),
                                        cmocka_unit_test(configured) };

    return cmocka_run_group_tests(tests, start, stop);
}

// SPDX-License-Identifier: Apache-2.0
// libs: -lcrypto
/*
 * Launch policies: what is signed and allows the machine lets it run; everything else is refused
 * with the reason.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ec.h>
#include <openssl/pem.h>

#include "vmm/policy.h"

static char dir[] = "/tmp/bawn-policy-test.XXXXXX";
static EVP_PKEY *key;

static const char *in(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

static void put(const char *name, const void *data, size_t len)
{
    FILE *f = fopen(in(name), "w");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    fclose(f);
}

/* Writes a policy of these rules, and its signature. */
static void put_policy(const char *rules)
{
    static char text[8192];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t signature[256];
    size_t len = sizeof(signature);

    snprintf(text, sizeof(text),
             "{\"bawn_policy\":1,\"id\":\"l\",\"version\":\"1\",\"evidence\":[\"launch\"],"
             "\"rules\":[%s]}",
             rules);
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(ctx, signature, &len, (uint8_t *)text, strlen(text)), 1);
    EVP_MD_CTX_free(ctx);
    put("p.json", text, strlen(text));
    put("p.json.sig", signature, len);
}

static struct bawn_vm_config cfg;
static struct bawn_file kernel = { (uint8_t *)"abc", 3 }, initrd, shim;
static uint8_t digest[BAWN_MEASURE_DIGEST_SIZE] = { 0xab };

static enum bawn_status check(struct bawn_error *err)
{
    const struct bawn_launch_facts facts = {
        .cfg = &cfg, .kernel = &kernel, .initrd = &initrd, .shim = &shim, .digest = digest
    };

    memset(err, 0, sizeof(*err));
    return bawn_launch_policy_check(in("p.json"), in("key.pem"), &facts, 0, err);
}

#define SHA256_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define R(id, body) "{\"id\":\"" id "\",\"reason\":\"why\"," body "}"
#define KERNEL R("k", "\"claim\":\"launch.kernel.sha256\",\"equals\":\"" SHA256_ABC "\"")

/* Every claim of a plain machine. */
static void plain(void **state)
{
    static const char *const rules[] = {
        KERNEL,
        R("i", "\"claim\":\"launch.initrd.sha256\",\"absent\":true"),
        R("f", "\"claim\":\"launch.firmware.sha256\",\"absent\":true"),
        R("t", "\"claim\":\"launch.tee\",\"equals\":\"none\""),
        R("c", "\"claim\":\"launch.cpus\",\"equals\":3"),
        R("m", "\"claim\":\"launch.memory\",\"equals\":1073741824"),
        R("l", "\"claim\":\"launch.cmdline\",\"equals\":\"quiet\""),
        R("g", "\"claim\":\"launch.measurement\",\"equals\":\"ab\""),
        R("d", "\"claim\":\"launch.disks\",\"equals\":2"),
        R("w", "\"claim\":\"launch.disks.writable\",\"equals\":1"),
        R("p0", "\"claim\":\"launch.disk.path[0]\",\"equals\":\"/a\""),
        R("p1", "\"claim\":\"launch.disk.path[1]\",\"equals\":\"/b\""),
        R("v", "\"claim\":\"launch.vsock\",\"equals\":false"),
        R("n", "\"claim\":\"launch.network\",\"equals\":true"),
        R("x", "\"claim\":\"launch.tpm\",\"equals\":false"),
        R("r", "\"claim\":\"launch.rng\",\"equals\":true"),
        R("s", "\"claim\":\"launch.serial\",\"equals\":\"tty\""),
        R("o", "\"claim\":\"launch.console\",\"equals\":\"off\""),
        R("h", "\"claim\":\"launch.snp.policy\",\"absent\":true"),
    };
    static char text[4096];
    struct bawn_error err;

    (void)state;
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        strcat(text, i ? "," : "");
        strcat(text, rules[i]);
    }
    put_policy(text);
    if (check(&err))
        fail_msg("%s", err.msg);
}

static void snp(void **state)
{
    struct bawn_error err;

    (void)state;
    cfg.snp.on = true;
    cfg.snp.policy = 0x30000;
    shim = (struct bawn_file){ (uint8_t *)"abc", 3 };
    put_policy(R("t", "\"claim\":\"launch.tee\",\"equals\":\"sev-snp\"") "," R("p", "\"claim\":"
                                                                                    "\"launch.snp."
                                                                                    "policy\","
                                                                                    "\"bits_"
                                                                                    "clear\":"
                                                                                    "\"0xc0000\"") "," R(
        "h",
        "\"claim\":\"launch.snp.host_data\",\"equals\":\"00\"") "," R("f",
                                                                      "\"claim\":\"launch.firmware."
                                                                      "sha256\",\"equals\":"
                                                                      "\"" SHA256_ABC "\""));
    assert_int_equal(check(&err), BAWN_OK);
    cfg.snp.policy |= 1 << 19;
    assert_int_equal(check(&err), BAWN_E_DENIED);
    assert_non_null(strstr(err.msg, "p: launch.snp.policy is 720896, and must be"));
    cfg.snp.on = false;
    shim = (struct bawn_file){ 0 };
}

static void refused(void **state)
{
    struct bawn_error err;

    (void)state;
    put_policy(KERNEL);
    assert_int_equal(check(&err), BAWN_OK);
    kernel.data = (uint8_t *)"abd";
    assert_int_equal(check(&err), BAWN_E_DENIED);
    assert_non_null(strstr(err.msg, "k: launch.kernel.sha256 is a52d159f262b2c6ddb724a61840bef"));
    kernel.data = (uint8_t *)"abc";
    /* What nothing allows is denied. */
    put_policy("");
    assert_int_equal(check(&err), BAWN_E_DENIED);
    assert_non_null(strstr(err.msg, "what no rule allows is denied"));
    put_policy("{}");
    assert_int_equal(check(&err), BAWN_E_FORMAT);
    assert_non_null(strstr(err.msg, "p.json:1:"));
}

/* The signature, before anything of the text is read. */
static void unsigned_policy(void **state)
{
    struct bawn_error err;

    (void)state;
    put_policy(KERNEL);
    put("p.json", "{}", 2);
    assert_int_equal(check(&err), BAWN_E_DENIED);
    assert_non_null(strstr(err.msg, "the signature is not the policy key's over this text"));
    put_policy(KERNEL);
    put("p.json.sig", "", 0);
    assert_int_equal(check(&err), BAWN_E_DENIED);
    unlink(in("p.json.sig"));
    assert_int_equal(check(&err), BAWN_E_IO);
    assert_non_null(strstr(err.msg, "p.json.sig"));
    assert_int_equal(bawn_launch_policy_check(in("p.json"), NULL, NULL, 0, &err), BAWN_E_USAGE);
}

static int set_up(void **state)
{
    FILE *f;

    (void)state;
    if (!mkdtemp(dir))
        return -1;
    key = EVP_EC_gen("P-256");
    f = fopen(in("key.pem"), "w");
    if (!f || !PEM_write_PUBKEY(f, key))
        return -1;
    fclose(f);
    bawn_vm_config_init(&cfg);
    cfg.vcpus = 3;
    cfg.memory = 1 << 30;
    cfg.cmdline = "quiet";
    cfg.nr_disks = 2;
    cfg.nr_nets = 1;
    cfg.disk[0] = (struct bawn_disk_config){ .path = (char *)"/a", .readonly = true };
    cfg.disk[1] = (struct bawn_disk_config){ .path = (char *)"/b" };
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    EVP_PKEY_free(key);
    unlink(in("p.json"));
    unlink(in("p.json.sig"));
    unlink(in("key.pem"));
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),
        cmocka_unit_test(snp),
        cmocka_unit_test(refused),
        cmocka_unit_test(unsigned_policy),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}

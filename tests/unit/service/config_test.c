// SPDX-License-Identifier: Apache-2.0
/* The configuration: defaults, what is refused and where the message points, files, reloads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "attest/service/config.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define PATH "/etc/x/attestd.json"
#define LEAST                                                                   \
    "\"listen\": [\"tcp:0.0.0.0:8443\"],\n"                                     \
    "\"tls\": {\"certificate\": \"server.pem\", \"key\": \"/k/server.key\"},\n" \
    "\"keys\": {\"storage\": {\"file\": \"storage.key\"}},\n"                   \
    "\"tenants\": {\"default\": {\"policy\": \"policy.json\"}}"

static enum bawn_status parse(struct service_config **config, const char *text,
                              struct bawn_error *err)
{
    /* An exact copy, so that a read past the end is seen. */
    size_t len = strlen(text);
    char *copy = memcpy(malloc(len + !len), text, len);
    enum bawn_status st = config_parse(config, PATH, copy, len, err);

    free(copy);
    return st;
}

static void least(void **state)
{
    struct service_config *c;
    struct bawn_error err;

    (void)state;
    assert_int_equal(parse(&c, "{" LEAST "}", &err), BAWN_OK);
    assert_string_equal(c->tls.certificate.path, "/etc/x/server.pem");
    assert_string_equal(c->tls.key.path, "/k/server.key");
    assert_string_equal(c->database, "sqlite:/var/lib/bawn-attestd/attestd.db");
    assert_string_equal(c->token.algorithm, "ES256");
    assert_int_equal(c->listen.n, 1);
    assert_int_equal(c->listen.at[0].port, 8443);
    assert_int_equal(c->admin.listen.n, 0);
    assert_int_equal(c->limits.body, 1 << 20);
    assert_true(c->limits.session_tickets);
    assert_non_null(config_tenant(c, "default"));
    assert_null(config_tenant(c, "Default"));
    config_destroy(c);
}

static void whole(void **state)
{
    static const char text[] =
        "{" LEAST
        ", \"database\": \"sqlite:a.db\", \"workers\": 3, \"user\": {\"judge\": \"nobody\"},"
        "\"limits\": {\"rate\": 0, \"session_tickets\": false}, \"token\": {\"algorithm\": "
        "\"ES256\"},"
        "\"admin\": {\"listen\": [\"vsock:any:5\", \"unix:/run/a\"], \"client_ca\": \"ca\"}}";
    struct service_config *c;
    struct bawn_error err;

    (void)state;
    assert_int_equal(parse(&c, text, &err), BAWN_OK);
    assert_string_equal(c->database, "sqlite:/etc/x/a.db");
    assert_string_equal(c->user[ROLE_JUDGE], "nobody");
    assert_null(c->user[ROLE_VAULT]);
    assert_int_equal(c->limits.rate, 0);
    assert_false(c->limits.session_tickets);
    assert_string_equal(c->token.algorithm, "ES256");
    assert_int_equal(c->admin.listen.at[0].kind, LISTEN_VSOCK);
    assert_int_equal(c->admin.listen.at[0].cid, UINT32_MAX);
    assert_string_equal(c->admin.listen.at[1].host, "/run/a");
    config_destroy(c);
}

static void admins(void **state)
{
    char text[1024], colons[96] = "";
    struct service_config *c;
    struct bawn_error err;

    (void)state;
    for (int i = 0; i < 32; i++)
        strcat(colons, i ? ":AB" : "AB");
    snprintf(
        text, sizeof(text),
        "{%.*s \"tenants\": {\"default\": {\"admins\": [{\"name\": \"a\", \"certificate\": \"%s\","
        " \"roles\": [\"policy\", \"auditor\"]}]}}}",
        (int)(strstr(LEAST, "\"tenants") - LEAST), LEAST, colons);
    assert_int_equal(parse(&c, text, &err), BAWN_OK);
    assert_int_equal(c->tenants[0].nr_admins, 1);
    assert_int_equal(c->tenants[0].admins[0].roles, ADMIN_POLICY | ADMIN_AUDITOR);
    assert_int_equal(strspn(c->tenants[0].admins[0].certificate, "ab"), 64);
    config_destroy(c);
}

static const struct {
    const char *text, *message;
} refused[] = {
    { "", PATH ":1:" },
    { "{\n\"listen\": [\n}", PATH ":3:" },
    { "[]", PATH ":1:1: must be an object" },
    { "{}", "listen is missing" },
    { "{" LEAST ",\n \"lisen\": 1}", PATH ":5:11: lisen: there is no such key here" },
    { "{" LEAST ",\n \"workers\": 0}", ":5:13: workers: must be a whole number from 1 to 64" },
    { "{" LEAST ", \"workers\": \"2\"}", "whole number" },
    { "{" LEAST ", \"workers\": 2, \"workers\": 2}", "duplicate" },
    { "{" LEAST ", \"limits\": {\"body\": 1}}", "limits.body: must be" },
    { "{" LEAST ", \"limits\": {\"body\": 1e9}}", "limits.body: must be" },
    { "{" LEAST ", \"limits\": {\"rate\": -1}}", "limits.rate: must be" },
    { "{" LEAST ", \"status\": {\"listen\": [\"tcp:127.0.0.1:1\",\n \"tcp:0.0.0.0:2\"]}}",
      ":5:2: status.listen[1]: must be a loopback" },
    { "{" LEAST ", \"admin\": {\"listen\": [\"tcp:127.0.0.1:1\"]}}", "admin: needs client_ca" },
    { "{" LEAST ", \"database\": \"mysql://\"}", "database: must be sqlite:PATH or postgresql" },
    { "{" LEAST ", \"token\": {\"algorithm\": \"none\"}}", "ES256 or ES384" },
    { "{" LEAST ", \"user\": [\"x\"]}", "user: must be a text" },
    { "{\"tls\": {\"key\": \"x\"}}", "tls: needs both" },
    { "{\"tls\": {\"key\": \"a\\u0001b\"}}", "control characters" },
    { "{\"keys\": {\"storage\": {\"file\": \"a\", \"tpm\": \"b\"}}}",
      "keys.storage: must have one" },
    { "{\"keys\": {\"storage\": {}}}", "keys.storage: must have one" },
    { "{\"tenants\": {}}", "tenants: must be an object of 1" },
    { "{\"tenants\": {\"a/b\": {}}}", "a tenant's name" },
    { "{\"tenants\": {\"..\": {}}}", "a tenant's name" },
    { "{\"tenants\": {\"a\": {\"roots\": \"x\"}}}", "tenants.a.roots: must be an array" },
    { "{\"tenants\": {\"a\": {\"admins\": [{}]}}}", "tenants.a.admins[0]: needs name" },
    { "{\"tenants\": {\"a\": {\"admins\": [{\"certificate\": \"abc\"}]}}}", "64 hex digits" },
    { "{\"tenants\": {\"a\": {\"admins\": [{\"roles\": [\"root\"]}]}}}", "admins[0].roles[0]" },
    { "{\"listen\": [\"tcp:localhost:1\"]}", "listen[0]: tcp:localhost:1: must be tcp:ADDRESS" },
    { "{\"listen\": [\"tcp:127.0.0.1:65536\"]}", "PORT from 1 to 65535" },
    { "{\"listen\": [\"tcp:127.0.0.1:0\"]}", "PORT from 1 to 65535" },
    { "{\"listen\": [\"unix:relative\"]}", "absolute path" },
    { "{\"listen\": [\"vsock:x:1\"]}", "CID a number or any" },
    { "{\"listen\": [\"udp:1\"]}", "must be tcp:" },
    { "{\"listen\": []}", "array of 1 to 8" },
};

static void refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct service_config *c = NULL;
        struct bawn_error err = { "" };

        assert_int_equal(parse(&c, refused[i].text, &err), BAWN_E_CONFIG);
        assert_null(c);
        if (!strstr(err.msg, refused[i].message))
            fail_msg("%s\nsaid: %s\nnot: %s", refused[i].text, err.msg, refused[i].message);
    }
}

/* ---- Files ---- */

static void write_file(const char *dir, const char *name, const char *text, mode_t mode)
{
    char path[512];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
}

static void files(void **state)
{
    char dir[] = "/tmp/config-test-XXXXXX", path[512], command[64];
    struct service_config *c, *next;
    struct bawn_error err;
    json_t *json;
    uint8_t *blob;
    size_t len;

    (void)state;
    assert_non_null(mkdtemp(dir));
    write_file(dir, "attestd.json",
               "{\"listen\": [\"unix:/x\"], \"tls\": {\"certificate\": \"c\", \"key\": \"k\"},"
               "\"keys\": {\"storage\": {\"file\": \"s\"}},"
               "\"tenants\": {\"default\": {\"policy\": \"p\", \"roots\": [\"r\"]}}}",
               0600);
    write_file(dir, "c", "certificate", 0644);
    write_file(dir, "k", "key", 0644);
    write_file(dir, "s", "storage", 0600);
    write_file(dir, "p", "policy", 0644);
    write_file(dir, "r", "root", 0644);
    snprintf(path, sizeof(path), "%s/attestd.json", dir);
    assert_int_equal(config_load(&c, path, &err), BAWN_OK);
    assert_true(c->workers >= 1);
    /* A key that everybody may read is refused; each role gets its own files only. */
    assert_int_equal(config_read_files(c, ROLE_FRONT, &err), BAWN_E_CONFIG);
    assert_non_null(strstr(err.msg, "chmod 600"));
    write_file(dir, "k", "key", 0600);
    assert_int_equal(config_read_files(c, ROLE_JUDGE, &err), BAWN_OK);
    assert_null(c->tls.key.data);
    assert_int_equal(config_read_files(c, ROLE_FRONT, &err), BAWN_OK);
    assert_string_equal((const char *)c->tls.key.data, "key");
    assert_null(c->storage.file.data);
    config_destroy(c);

    assert_int_equal(config_load(&c, path, &err), BAWN_OK);
    assert_int_equal(config_read_files(c, ROLE_VAULT, &err), BAWN_OK);
    assert_null(c->tls.key.data);
    assert_int_equal(config_pack(c, ROLE_VAULT, &json, &blob, &len, &err), BAWN_OK);
    assert_int_equal(len, strlen("storage"
                                 "policy"
                                 "root"));
    assert_int_equal(
        config_reload(&next, ROLE_VAULT, path, json, (struct bawn_bytes){ blob, len }, &err),
        BAWN_OK);
    assert_string_equal((const char *)next->storage.file.data, "storage");
    assert_string_equal((const char *)next->tenants[0].roots[0].data, "root");
    config_destroy(next);
    /* What is short, or of another role, is refused. */
    assert_int_equal(
        config_reload(&next, ROLE_VAULT, path, json, (struct bawn_bytes){ blob, len - 1 }, &err),
        BAWN_E_FORMAT);
    assert_int_equal(
        config_reload(&next, ROLE_FRONT, path, json, (struct bawn_bytes){ blob, len }, &err),
        BAWN_E_FORMAT);
    assert_null(next);
    json_decref(json);
    free(blob);
    config_destroy(c);
    assert_int_equal(config_load(&c, "/nowhere", &err), BAWN_E_IO);
    snprintf(command, sizeof(command), "rm -r %s", dir);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a directory of our own */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(least),    cmocka_unit_test(whole), cmocka_unit_test(admins),
        cmocka_unit_test(refusals), cmocka_unit_test(files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

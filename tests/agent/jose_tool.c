// SPDX-License-Identifier: Apache-2.0
/*
 * The JOSE library as a command, for the test against other libraries. Keys are PEM files, all else
 * comes by standard input and goes to standard output.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>

#include "attest/jose/jose.h"

static struct bawn_error err;

static void check(enum bawn_status status)
{
    if (status == BAWN_OK)
        return;
    fprintf(stderr, "%s\n", err.msg);
    exit(1);
}

static struct bawn_bytes input(void)
{
    enum { MAX = 8 << 20 };
    uint8_t *data = malloc(MAX);

    return (struct bawn_bytes){ data, fread(data, 1, MAX, stdin) };
}

static json_t *input_json(void)
{
    struct bawn_bytes text = input();
    json_t *value;

    check(json_read(text, &value, &err));
    free((void *)(uintptr_t)text.data);
    return value;
}

static void output_json(json_t *value)
{
    json_dumpf(value, stdout, JSON_COMPACT);
    json_decref(value);
}

static EVP_PKEY *key_of(const char *path)
{
    FILE *f = fopen(path, "r");
    EVP_PKEY *key = f ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;

    if (f)
        fclose(f);
    if (!key) {
        fprintf(stderr, "no key in %s\n", path);
        exit(1);
    }
    return key;
}

static void canonical(char **arg)
{
    json_t *value = input_json();
    char *text;
    size_t len;

    (void)arg;
    check(json_canonical(value, &text, &len, &err));
    fwrite(text, 1, len, stdout);
    free(text);
    json_decref(value);
}

static void jwk(char **arg)
{
    EVP_PKEY *key = key_of(arg[0]);

    output_json(jwk_from(key, arg[1], arg[1] ? arg[2] : NULL));
    EVP_PKEY_free(key);
}

static void encrypt(char **arg)
{
    json_error_t e;
    json_t *to = json_load_file(arg[0], 0, &e), *jwe;
    struct bawn_bytes plain = input();

    check(jwe_encrypt(to, plain.data, plain.len, &jwe, &err));
    output_json(jwe);
    json_decref(to);
    free((void *)(uintptr_t)plain.data);
}

static void decrypt(char **arg)
{
    EVP_PKEY *key = key_of(arg[0]);
    json_t *jwe = input_json();
    uint8_t *plain;
    size_t len;

    check(jwe_decrypt(key, jwe, &plain, &len, &err));
    fwrite(plain, 1, len, stdout);
    free(plain);
    json_decref(jwe);
    EVP_PKEY_free(key);
}

static void sign(char **arg)
{
    EVP_PKEY *key = key_of(arg[0]);
    json_t *payload = input_json();
    char *token;

    check(jwt_sign(key, payload, NULL, &token, &err));
    fputs(token, stdout);
    free(token);
    json_decref(payload);
    EVP_PKEY_free(key);
}

/* verify JWK NOW */
static void verify(char **arg)
{
    struct bawn_bytes token = input();
    json_error_t e;
    json_t *given = json_load_file(arg[0], 0, &e), *payload;
    struct jwt_key key = { json_string_value(json_object_get(given, "kid")), NULL };

    check(jwk_public(given, JWK_SIGN, &key.key, &err));
    check(jwt_verify((const char *)token.data, token.len, &key, 1, strtoll(arg[1], NULL, 10),
                     &payload, &err));
    output_json(payload);
    json_decref(given);
    EVP_PKEY_free(key.key);
    free((void *)(uintptr_t)token.data);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int args;
        void (*run)(char **arg);
    } commands[] = {
        { "canonical", 0, canonical }, { "jwk", 1, jwk },   { "encrypt", 1, encrypt },
        { "decrypt", 1, decrypt },     { "sign", 1, sign }, { "verify", 2, verify },
    };

    for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (!strcmp(argv[1], commands[i].name) && argc >= 2 + commands[i].args) {
            commands[i].run(argv + 2);
            return 0;
        }
    return 2;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Input: a log's key as text, a line's end, a proof that bawn-audit prove made. It is checked with
 * that key; and with one that nobody has the other half of, under which no proof may hold.
 */
#include <stdlib.h>
#include <string.h>

#include "attest/audit/audit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int check(EVP_PKEY *key, char *origin, const uint8_t *data, size_t size)
{
    static struct audit_options o;
    static struct audit a;
    struct bawn_error err = { "" };

    a = (struct audit){ .o = &o, .keys = { { origin, key } }, .nr_keys = 1 };
    a.proof.name = "proof";
    a.proof.bytes = (struct bawn_bytes){ data, size };
    o.json = size & 1;
    return audit_check_proof(&a, &err);
}

static EVP_PKEY *nobodys_key(void)
{
    static EVP_PKEY *key;
    uint8_t raw[32];

    memset(raw, 0x55, sizeof(raw));
    if (!key)
        key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, raw, sizeof(raw));
    return key;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char any[] = "example.com/attest";
    const uint8_t *end = memchr(data, '\n', size);
    size_t len = end ? (size_t)(end - data) : 0;
    char text[512], *origin;
    static bool quiet;
    EVP_PKEY *key;

    if (!quiet && !freopen("/dev/null", "w", stdout))
        __builtin_trap();
    quiet = true;
    if (!len || len >= sizeof(text))
        return 0;
    memcpy(text, data, len);
    text[len] = '\0';
    if (check(nobodys_key(), any, end + 1, size - len - 1) != AUDIT_BAD)
        __builtin_trap();
    if (log_key_read(text, &origin, &key, NULL) == BAWN_OK) {
        check(key, origin, end + 1, size - len - 1);
        free(origin);
        EVP_PKEY_free(key);
    }
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Input: a log's key as text, a zero byte, a checkpoint. A key that is read must print as it was;
 * no mutation may turn into a checkpoint that verifies under the fixed key.
 */
#include <stdlib.h>
#include <string.h>

#include "attest/log/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_key(const char *text)
{
    char *origin, *again;
    EVP_PKEY *key;

    if (log_key_read(text, &origin, &key, NULL) != BAWN_OK)
        return;
    again = log_key_text(key, origin);
    if (!again || strcmp(again, text) != 0)
        __builtin_trap();
    free(again);
    free(origin);
    EVP_PKEY_free(key);
}

/* Nobody has this key's other half: its bytes are all the same. */
static EVP_PKEY *fixed_key(void)
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
    const uint8_t *end = memchr(data, 0, size);
    uint8_t root[LOG_HASH], again[LOG_HASH];
    uint64_t entries, more;
    char *origin = NULL;
    const char *note;
    size_t len;

    if (!size)
        return 0;
    if (end)
        try_key((const char *)data);
    note = end ? (const char *)end + 1 : (const char *)data;
    len = end ? size - (size_t)(end + 1 - data) : size;
    if (log_checkpoint_read(note, len, &origin, &entries, root, NULL) == BAWN_OK) {
        if (entries > INT64_MAX || !*origin)
            __builtin_trap();
        if (log_checkpoint_verify(fixed_key(), origin, note, len, &more, again, NULL) == BAWN_OK)
            __builtin_trap();
    }
    free(origin);
    return 0;
}

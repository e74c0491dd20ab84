// SPDX-License-Identifier: Apache-2.0
/*
 * Input: an exported log. It is read and verified as bawn-audit does, with the key that it names.
 * What is read as an entry must be its own canonical form, or the reader is too generous.
 */
#include <stdlib.h>
#include <string.h>

#include "attest/log/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void verify(struct log_export *x, struct log_verifier *v)
{
    struct log_item item;
    struct log_entry entry;

    while (log_export_next(x, &item, NULL) == BAWN_OK && item.kind != LOG_ITEM_END) {
        if (item.kind == LOG_ITEM_CHECKPOINT) {
            log_verifier_checkpoint(v, item.text);
            continue;
        }
        log_verifier_entry(v, item.text);
        if (log_entry_read(item.text, &entry, NULL) != BAWN_OK)
            continue;
        if (entry.seq > INT64_MAX || !json_is_object(entry.json))
            __builtin_trap();
        log_entry_clear(&entry);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct log_verifier *v = log_verifier_create();
    struct log_summary sum;
    struct log_export x;
    char *origin;
    EVP_PKEY *key;

    if (!v)
        return 0;
    if (log_export_open(&x, (struct bawn_bytes){ data, size }, NULL) == BAWN_OK) {
        if (x.key && log_key_read(x.key, &origin, &key, NULL) == BAWN_OK) {
            log_verifier_key(v, origin, key, NULL);
            free(origin);
            EVP_PKEY_free(key);
        }
        verify(&x, v);
        log_verifier_end(v, x.entries);
        log_verifier_summary(v, &sum);
        if (sum.entries > size || sum.nr_findings > LOG_FINDINGS_MAX)
            __builtin_trap();
    }
    log_export_close(&x);
    log_verifier_destroy(v);
    return 0;
}

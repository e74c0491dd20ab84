// SPDX-License-Identifier: Apache-2.0
/*
 * Input: JSON text. What parses has a canonical form that reads as the same value and is its own
 * canonical form, or none.
 */
#include <stdlib.h>
#include <string.h>

#include "attest/jose/jose.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = NULL, *again = NULL;
    json_t *value, *back;
    size_t len, len2;

    if (json_read((struct bawn_bytes){ data, size }, &value, NULL) != BAWN_OK)
        return 0;
    if (json_canonical(value, &text, &len, NULL) == BAWN_OK) {
        if (json_read((struct bawn_bytes){ (uint8_t *)text, len }, &back, NULL) != BAWN_OK) {
            /* Large doubles are written as integers, which the reader bounds. */
            if (len < 19)
                __builtin_trap();
        } else {
            if (json_canonical(back, &again, &len2, NULL) == BAWN_OK &&
                (len != len2 || memcmp(text, again, len)))
                __builtin_trap();
            json_decref(back);
        }
    }
    free(again);
    free(text);
    json_decref(value);
    return 0;
}

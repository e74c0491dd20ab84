// SPDX-License-Identifier: Apache-2.0
/*
 * Input: a CoRIM, signed or not; signatures are not checked, so that what lies behind one is
 * reached.
 */
#include <string.h>

#include "attest/corim/corim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum bawn_status take(void *context, const char *set, const char *value, int64_t expires,
                             struct bawn_error *err)
{
    unsigned *n = context;

    (void)expires, (void)err;
    if (!*set || strlen(set) > 256 || strlen(value) > 2048 || strspn(set, " \n"))
        __builtin_trap();
    (*n)++;
    return BAWN_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bawn_error err = { "" };
    unsigned n = 0;

    if (corim_read((struct bawn_bytes){ data, size }, NULL, 0, 1700000000, take, &n, &err) !=
            BAWN_OK &&
        !*err.msg)
        __builtin_trap(); /* a refusal without a reason */
    return 0;
}

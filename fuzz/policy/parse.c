// SPDX-License-Identifier: Apache-2.0
/*
 * Input: a policy's text, which may include itself under any name. It is made or refused, and one
 * that is made decides on nothing without a crash.
 */
#include <stdlib.h>
#include <string.h>

#include <bawn/policy.h>

#include "fuzz/policy/common.h"

static enum bawn_status load(void *context, const char *name, struct bawn_bytes *text,
                             struct bawn_error *err)
{
    (void)name, (void)err;
    *text = *(const struct bawn_bytes *)context;
    return BAWN_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bawn_bytes text = { data, size };
    struct bawn_error err = { "" };
    struct bawn_policy *p = NULL;
    enum bawn_status st = bawn_policy_create(&p, "fuzz", text, load, &text, &err);

    if (st != BAWN_OK ? p || !*err.msg || !memchr(err.msg, ':', sizeof(err.msg)) : !p)
        __builtin_trap();
    if (p)
        fuzz_decide(p);
    bawn_policy_destroy(p);
    return 0;
}

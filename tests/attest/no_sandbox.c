// SPDX-License-Identifier: Apache-2.0
/*
 * Stands in for attest/common/sandbox.c in the commands that are built to measure coverage: they
 * write their counters as they end, which the sandbox forbids.
 */
#include "attest/common/sandbox.h"

enum bawn_status bawn_sandbox(bool *seccomp, bool *landlock, struct bawn_error *err)
{
    (void)err;
    *seccomp = *landlock = true;
    return BAWN_OK;
}

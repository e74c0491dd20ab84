// SPDX-License-Identifier: Apache-2.0
/*
 * The same as tests/unit/vmm/migrate_test.c, with the processes locked in as they are in bawn run:
 * what they do is what their policies let them do.
 */
#define SANDBOXED
#include "tests/unit/vmm/migrate_test.c"

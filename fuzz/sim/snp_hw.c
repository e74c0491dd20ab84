// SPDX-License-Identifier: Apache-2.0
/*
 * kernel/snp/hw.c as it is, and what of its own state an input can change: put back here.
 */
#include "kernel/snp/hw.c"

#include "hw.h"

void *__symbol_get(const char *symbol)
{
#define FIND(name)              \
    if (!strcmp(symbol, #name)) \
        return (void *)name;
    HOST_FUNCTIONS(FIND)
#undef FIND
    return NULL;
}

void __symbol_put(const char *symbol)
{
}

void sim_snp_hw_reset(void)
{
    bitmap_fill(asids, MAX_ASIDS);
    bitmap_clear(asids, 1, SIM_SNP_ASIDS);
    bitmap_zero(asids_used, MAX_ASIDS);
    initialised = false;
}

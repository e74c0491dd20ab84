/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host kernel that has SNP set up, as kernel/snp/hw.c looks for it; snp.c is behind it. Trusts
 * its callers.
 */
#ifndef SIM_SEV_H
#define SIM_SEV_H

#include <sim/kernel.h>

enum pg_level { PG_LEVEL_NONE, PG_LEVEL_4K, PG_LEVEL_2M };
#define page_level_size(l) ((l) == PG_LEVEL_2M ? PMD_SIZE : PAGE_SIZE)
int rmp_make_private(u64 pfn, u64 gpa, enum pg_level level, u32 asid, bool immutable);
int rmp_make_shared(u64 pfn, enum pg_level level);
int snp_lookup_rmpentry(u64 pfn, bool *assigned, int *level);
int psmash(u64 pfn);
void *__symbol_get(const char *symbol);
void __symbol_put(const char *symbol);
#define wbinvd_on_all_cpus() barrier()
#define clflush_cache_range(p, n) ((void)(p), (void)(n))

#endif

// SPDX-License-Identifier: GPL-2.0-only
/*
 * What bawn.ko offers to a module that plays SEV-SNP hardware (kernel/snp/snp.h), and to no other:
 * registration, and those parts of core and of the SVM backend that stand for the processor.
 */
#include <linux/export.h>
#include <linux/version.h>

#include "bawn.h"
#include "snp/snp.h"

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#define FOR_PLATFORM(symbol) EXPORT_SYMBOL_NS_GPL(symbol, "BAWN")
#else
#define FOR_PLATFORM(symbol) EXPORT_SYMBOL_NS_GPL(symbol, BAWN)
#endif

FOR_PLATFORM(bawn_snp_register);
FOR_PLATFORM(bawn_snp_unregister);

/* The vCPU's registers and events. */
FOR_PLATFORM(bawn_cpu);
FOR_PLATFORM(bawn_long_mode);
FOR_PLATFORM(bawn_cr0_valid);
FOR_PLATFORM(bawn_set_xcr);
FOR_PLATFORM(bawn_xcr0_supported);
FOR_PLATFORM(bawn_msr_access);
FOR_PLATFORM(bawn_cpuid_runtime_update);
FOR_PLATFORM(bawn_inject_exception);
FOR_PLATFORM(bawn_skip);
FOR_PLATFORM(bawn_insn_prefixed_len);
FOR_PLATFORM(bawn_insn_decode_cr);

/* The guest's memory. */
FOR_PLATFORM(bawn_slot);
FOR_PLATFORM(bawn_gmem_page);
FOR_PLATFORM(bawn_read_guest);
FOR_PLATFORM(bawn_write_guest);
FOR_PLATFORM(bawn_npt_fault);
FOR_PLATFORM(bawn_zap_range);
FOR_PLATFORM(bawn_invalidate_begin);
FOR_PLATFORM(bawn_invalidate_end);

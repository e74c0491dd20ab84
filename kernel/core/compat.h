/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels that the module builds for. Kbuild looks into the headers
 * and defines BAWN_HAVE_*; the code uses the newer kernel's names.
 */
#ifndef BAWN_COMPAT_H
#define BAWN_COMPAT_H

#ifdef BAWN_HAVE_CPUID_API
#include <asm/cpuid/api.h>
#else
#include <asm/cpuid.h>
#endif

#ifndef BAWN_HAVE_MSRQ
#define rdmsrq(msr, value) rdmsrl(msr, value)
#define wrmsrq(msr, value) wrmsrl(msr, value)
#define rdmsrq_safe(msr, value) rdmsrl_safe(msr, value)
#endif

/* What the notifier's "young" callbacks return. */
#ifdef BAWN_HAVE_BOOL_YOUNG
typedef bool young_t;
#else
typedef int young_t;
#endif

#ifndef BAWN_HAVE_REGISTER_SYSCORE
struct syscore {
	struct syscore_ops *ops;
};

#define register_syscore(s) register_syscore_ops((s)->ops)
#define unregister_syscore(s) unregister_syscore_ops((s)->ops)
#define SYSCORE_ARG void
#else
#define SYSCORE_ARG void *unused
#endif

#ifdef BAWN_HAVE_VIRT
#include <asm/virt.h>
#define cpu_emergency_register_virt_callback x86_virt_register_emergency_callback
#define cpu_emergency_unregister_virt_callback x86_virt_unregister_emergency_callback
#endif

#endif

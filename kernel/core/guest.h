/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host kernel's rules for entering and leaving guest mode: when RCU and lockdep
 * stop and start to watch. Included by the code that enters, and by nothing else.
 */
#ifndef BAWN_GUEST_H
#define BAWN_GUEST_H

#include <linux/context_tracking.h>
#include <linux/instrumentation.h>
#include <linux/ftrace.h>
#include <linux/irqflags.h>
#include <linux/rcupdate.h>
#include <linux/vtime.h>

/* From here no instrumented code may run; interrupts will be on in the guest. */
static __always_inline void bawn_state_enter(void)
{
	instrumentation_begin();
	trace_hardirqs_on_prepare();
	lockdep_hardirqs_on_prepare();
	instrumentation_end();
	context_tracking_guest_enter();
	lockdep_hardirqs_on(CALLER_ADDR0);
}

static __always_inline void bawn_state_exit(void)
{
	lockdep_hardirqs_off(CALLER_ADDR0);
	context_tracking_guest_exit();
	instrumentation_begin();
	trace_hardirqs_off_finish();
	instrumentation_end();
}

#endif

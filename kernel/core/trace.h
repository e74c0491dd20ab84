/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints at entry, exit and nested page fault. They show numbers alone, never content.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM bawn

#if !defined(BAWN_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define BAWN_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(bawn_entry,
	TP_PROTO(int vcpu, u64 rip),
	TP_ARGS(vcpu, rip),
	TP_STRUCT__entry(
		__field(int, vcpu)
		__field(u64, rip)
	),
	TP_fast_assign(
		__entry->vcpu = vcpu;
		__entry->rip = rip;
	),
	TP_printk("vcpu %d rip 0x%llx", __entry->vcpu, __entry->rip)
);

TRACE_EVENT(bawn_exit,
	TP_PROTO(int vcpu, unsigned int kind, u64 reason, u64 rip),
	TP_ARGS(vcpu, kind, reason, rip),
	TP_STRUCT__entry(
		__field(int, vcpu)
		__field(unsigned int, kind)
		__field(u64, reason)
		__field(u64, rip)
	),
	TP_fast_assign(
		__entry->vcpu = vcpu;
		__entry->kind = kind;
		__entry->reason = reason;
		__entry->rip = rip;
	),
	TP_printk("vcpu %d kind %u hw 0x%llx rip 0x%llx", __entry->vcpu, __entry->kind,
		  __entry->reason, __entry->rip)
);

TRACE_EVENT(bawn_page_fault,
	TP_PROTO(int vcpu, u64 gpa, u32 access),
	TP_ARGS(vcpu, gpa, access),
	TP_STRUCT__entry(
		__field(int, vcpu)
		__field(u64, gpa)
		__field(u32, access)
	),
	TP_fast_assign(
		__entry->vcpu = vcpu;
		__entry->gpa = gpa;
		__entry->access = access;
	),
	TP_printk("vcpu %d gpa 0x%llx access 0x%x", __entry->vcpu, __entry->gpa, __entry->access)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints at entry, exit and nested page fault. They show numbers alone, never content; but
 * bawn_exit_record, which has an exit whole, so that it can be played again (fuzz/record2seeds):
 * a plain guest's registers and the instruction's bytes.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM bawn

#if !defined(BAWN_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define BAWN_TRACE_H

#include <linux/tracepoint.h>

#include "bawn.h"

#ifndef BAWN_EXIT_RECORD
#define BAWN_EXIT_RECORD
/* As the backend has it when it has decoded it. Nothing of a confidential guest's state. */
struct bawn_exit_record {
	int vcpu;
	u32 kind;	/* BAWN_EXIT_* */
	u64 code;	/* the hardware's */
	u64 info1, info2;
	u64 event;	/* whose delivery it interrupted; 0: none */
	u64 rip, rflags, cr0;
	u64 gpr[VCPU_NR_GPR];
	u8 mode;	/* 2, 4, 8: the code's size */
	u8 cpl;
	u8 nr;		/* of the instruction's bytes */
	u8 bytes[15];
};
#endif

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

TRACE_EVENT(bawn_exit_record,
	TP_PROTO(const struct bawn_exit_record *record),
	TP_ARGS(record),
	TP_STRUCT__entry(
		__field_struct(struct bawn_exit_record, r)
	),
	TP_fast_assign(
		__entry->r = *record;
	),
	TP_printk("vcpu %d kind %u code 0x%llx info 0x%llx 0x%llx event 0x%llx rip 0x%llx "
		  "rflags 0x%llx cr0 0x%llx mode %u cpl %u gpr %s insn %s",
		  __entry->r.vcpu, __entry->r.kind, __entry->r.code, __entry->r.info1,
		  __entry->r.info2, __entry->r.event, __entry->r.rip, __entry->r.rflags,
		  __entry->r.cr0, __entry->r.mode, __entry->r.cpl,
		  __print_array(__entry->r.gpr, VCPU_NR_GPR, sizeof(u64)),
		  __print_hex_str(__entry->r.bytes, __entry->r.nr))
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>

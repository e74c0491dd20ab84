/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where things stand in a test guest's memory, and what its mailbox holds: one header for the
 * guests' assembly and for the test programs. All guests are linked into one section, "guest",
 * which the harness copies to GUEST_CODE; so their code must not depend on where it is linked.
 */
#ifndef BAWN_TEST_GUEST_LAYOUT_H
#define BAWN_TEST_GUEST_LAYOUT_H

#define GUEST_GDT 0x1000
#define GUEST_TSS 0x1800
#define GUEST_IDT 0x2000
#define GUEST_PML4 0x3000 /* identity map of the first 512 GiB in 1 GiB pages */
#define GUEST_PDPT 0x4000
#define GUEST_MBOX 0x5000 /* one mailbox per vCPU; GS.base points to it */
#define GUEST_MBOX_SIZE 0x200
#define GUEST_STACK 0x8000 /* vCPU n's stack ends at GUEST_STACK + (n + 1) * 0x1000 */
#define GUEST_CODE 0x10000
#define GUEST_DATA 0x20000 /* from here on memory is the test's */
#define GUEST_MEM 0x200000

/* Selectors of the harness's descriptor table. */
#define SEL_CODE64 0x08
#define SEL_DATA 0x10
#define SEL_TSS 0x18 /* takes two entries */
#define SEL_CODE32 0x28
#define SEL_CODE16 0x30
#define SEL_DATA16 0x38

/* Ports by which guest code hands over to the test program; al is an argument. */
#define PORT_DONE 0xb0  /* the code ran to its end */
#define PORT_FAULT 0xb1 /* an exception without a fixup; the mailbox says which */
#define PORT_IRQ 0xb2   /* in an interrupt handler, al is the vector (IRQ_EXIT) */
#define PORT_STEP 0xb3  /* an intermediate point of the code */

/* Mailbox: offsets from GS.base. */
#define MBOX_IRQ_MODE 0x00 /* u32, IRQ_* below */
#define MBOX_VECTOR 0x04   /* u32, last exception */
#define MBOX_ERROR 0x08    /* u64, its error code */
#define MBOX_RIP 0x10      /* u64, its rip */
#define MBOX_CR2 0x18      /* u64, cr2 at that time */
#define MBOX_FIXUP 0x20    /* u64, where exceptions return to; 0: they stop the guest */
#define MBOX_FAULTS 0x28   /* u32, exceptions seen */
#define MBOX_COUNT 0x2c    /* u32, interrupts seen */
#define MBOX_LOG 0x40      /* u8[64], their vectors in order */

/* SNP guests (snp.S). Page directories of 2 MiB pages, and where shared memory is seen. */
#define SNP_PD_PRIVATE 0x6000
#define SNP_PD_SHARED 0x7000
#define SNP_SHARED 0x40000000
#define SNP_SEL_USER 0x28      /* 64-bit code of CPL 3, in place of SEL_CODE32 */
#define SNP_SEL_USER_DATA 0x30 /* and data */
#define MSR_GHCB 0xc0010130
#define SNP_END 0x55 /* reason of the termination request that ends a piece */

/* Their mailbox: offsets from r15. */
#define SNP_VECTOR 0x00 /* u32, last exception */
#define SNP_COUNT 0x04	/* u32, exceptions seen */
#define SNP_ERROR 0x08	/* u64 each: its frame */
#define SNP_RIP 0x10
#define SNP_CS 0x18
#define SNP_RFLAGS 0x20
#define SNP_RSP 0x28
#define SNP_FIXUP 0x30
#define SNP_GHCB 0x38	/* the GHCB MSR's last answer */
#define SNP_RESULT 0x40 /* u64[8] */
#define SNP_FXSAVE 0x100 /* 512 bytes */

/* The agent (snp_agent.S): what it is to do, with what, and what came of it; from r15 as well. */
#define AGENT_STEP 0x100   /* u32 */
#define AGENT_ARG 0x108	   /* u64[3] */
#define AGENT_RESULT 0x120 /* u64[2] */
#define AGENT_LOAD 0
#define AGENT_STORE 1
#define AGENT_SECRET 2
#define AGENT_COPY 3
#define AGENT_PVALIDATE 4
#define AGENT_RMPADJUST 5
#define AGENT_VMGEXIT 6
#define AGENT_REGISTERS 7
#define AGENT_CALL 8
#define AGENT_CPUID 9
#define AGENT_FLIP 0x200 /* struct snp_flip of another vCPU */
/* Page state change of this address to shared: "ready". */
#define AGENT_READY 0x100000000
#define AGENT_READY_MSR (AGENT_READY | 2 << 52 | 0x014)
/* What snp_work.S has from its GHCB on: vCPU n's at SNP_GHCB_PAGE(n). Up to SNP_PAGES it is shared. */
#define SNP_GHCB_PAGE(n) (GUEST_DATA + (n) * 0x80000)
#define SNP_ANSWER 0x1000
#define SNP_MESSAGES 0x2000 /* SNP_NR_MESSAGES pages */
#define SNP_NR_MESSAGES 14
#define SNP_PAGES 0x10000 /* SNP_LIST pages */
#define SNP_LIST 64

/* Random streams of instructions (stream.S): slots of 32 bytes, what exceptions log, data, stacks. */
#define STREAM_DATA 0x40000
#define STREAM_LOG 0x50000 /* STREAM_LOG_MAX entries of 64 bytes */
#define STREAM_LOG_MAX 1024
#define STREAM_CODE 0x60000
#define STREAM_SLOT 32
#define STREAM_COUNT 0x6f000 /* u32, entries so far */
#define STREAM_STACK 0x70000
#define STREAM_STACK_TOP 0x71800
#define STREAM_STACK0 0x74000 /* of the handlers, for a stream of CPL 3 */
#define STREAM_END 0x80 /* the vector that ends it */

/* The whole state around one instruction (whole.S): two images, and the MSRs that they have. */
#define WHOLE_BEFORE 0x40000
#define WHOLE_AFTER 0x41000
#define WHOLE_MSR_LIST 0x42000 /* u32[WHOLE_MSRS] */
#define WHOLE_MSRS 13
#define WHOLE_RSP 0x78 /* after RAX, RBX, RCX, RDX, RSI, RDI, RBP, R8 to R15 */
#define WHOLE_FLAGS 0x80
#define WHOLE_SEGMENTS 0x88 /* u16[6]: CS, DS, ES, FS, GS, SS */
#define WHOLE_DR 0xa0	    /* u64[6]: DR0 to DR3, DR6, DR7 */
#define WHOLE_CR 0xd0	    /* u64[4]: CR0, CR2, CR3, CR4 */
#define WHOLE_TABLES 0xf0   /* GDTR, IDTR, TR, LDTR */
#define WHOLE_MSR 0x120	    /* u64[WHOLE_MSRS] */
#define WHOLE_FXSAVE 0x200
#define WHOLE_SIZE 0x400

/* Endless loops (loop.S): u32 each. */
#define LOOP_ROUNDS 0x00
#define LOOP_ANSWER 0x04
#define LOOP_SEEN 0x08

#define IRQ_EOI_XAPIC 1
#define IRQ_EOI_X2APIC 2
#define IRQ_EXIT 4 /* stop at PORT_IRQ before the EOI */
#define IRQ_STI 8  /* let higher priorities nest */

#endif

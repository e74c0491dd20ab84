/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The canonical encoding of a measured launch (docs/measured-launch.md), computed by the
 * kernel module from what guest memory holds and predicted offline by bawn-measure.
 * All integers are little-endian, all reserved bytes zero.
 *
 * The digest is a chain: D0 = SHA-384(BAWN_MEASURE_MAGIC, 16 bytes), D(n+1) =
 * SHA-384(Dn || event n). Events come in this order: one CONFIG; a SLOT for each memory
 * slot, by ascending gpa; the memory's content by ascending gpa (each declared region one
 * event; each maximal run of undeclared pages that are not all zero one UNDECLARED event,
 * runs end at slot and region borders); a VCPU for each vCPU by ascending id.
 */
#ifndef BAWN_MEASURE_H
#define BAWN_MEASURE_H

#include <linux/types.h>

#define BAWN_MEASURE_VERSION 1
#define BAWN_MEASURE_MAGIC "bawn-measure-v1" /* with its terminating NUL: 16 bytes */
#define BAWN_MEASURE_DIGEST_SIZE 48
#define BAWN_MEASURE_MAX_REGIONS 64

enum bawn_measure_type {
	BAWN_MEASURE_CONFIG = 0x001, /* content: struct bawn_measure_config */
	BAWN_MEASURE_SLOT = 0x002,   /* content: le32 slot flags; gpa and size are the slot's */
	/* Declared regions: the content is the memory's bytes. */
	BAWN_MEASURE_KERNEL = 0x100,
	BAWN_MEASURE_INITRD = 0x101,
	BAWN_MEASURE_CMDLINE = 0x102,
	BAWN_MEASURE_BOOT_INFO = 0x103, /* boot_params or the PVH start info */
	BAWN_MEASURE_ACPI = 0x104,
	BAWN_MEASURE_TABLES = 0x105, /* page and descriptor tables */
	BAWN_MEASURE_FIRMWARE = 0x106,
	BAWN_MEASURE_DATA = 0x107,
	BAWN_MEASURE_LAST_DECLARED = BAWN_MEASURE_DATA,
	BAWN_MEASURE_UNDECLARED = 0x1ff,
	BAWN_MEASURE_VCPU = 0x200, /* content: struct bawn_measure_vcpu; index is the id */
};

struct bawn_measure_event {
	__le32 type;
	__le32 index; /* vCPU id; 0 elsewhere */
	__le64 gpa;   /* 0 where there is no address */
	__le64 size;  /* bytes of memory; 0 for CONFIG and VCPU */
	__u8 digest[BAWN_MEASURE_DIGEST_SIZE]; /* SHA-384 of the content */
};

struct bawn_measure_config {
	__le32 version; /* BAWN_MEASURE_VERSION */
	__le32 vm_type; /* KVM_CREATE_VM's argument */
	__le32 vcpus;
	__le32 irqchip; /* 0 none, 1 split */
	__le64 reserved[4];
};

struct bawn_measure_segment {
	__le64 base;
	__le32 limit; /* in bytes, granularity applied, as KVM_GET_SREGS gives it */
	__le16 selector;
	/* type, s << 4, dpl << 5, present << 7, avl << 8, l << 9, db << 10, g << 11, and
	 * unusable << 12; an unusable segment has no other bit, base, limit or selector */
	__le16 attributes;
};

/*
 * A vCPU's state at the seal. For one whose mp_state is KVM_MP_STATE_UNINITIALIZED (an AP
 * that waits for INIT) every field after mp_state is zero: INIT sets them all.
 * CPUID is not measured: it is the host's, and differs between hosts.
 */
struct bawn_measure_vcpu {
	__le32 id;
	__le32 mp_state;
	__le64 gpr[16]; /* rax rbx rcx rdx rsi rdi rsp rbp r8..r15: the order of kvm_regs */
	__le64 rip;
	__le64 rflags;
	__le64 cr0;
	__le64 cr3;
	__le64 cr4;
	__le64 efer;
	__le64 apic_base;
	struct bawn_measure_segment seg[8]; /* cs ds es fs gs ss tr ldt */
	__le64 gdt_base;
	__le64 idt_base;
	__le32 gdt_limit;
	__le32 idt_limit;
};

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The contract between whoever launches an SNP guest without OVMF (the VMM, bawn-measure) and
 * guest/shim, the measured first stage. Wire format: little-endian, no padding.
 *
 * Guest memory at launch, in launch order:
 *
 *   gpa                  page type   what
 *   BAWN_SHIM_IMAGE      NORMAL      shim.bin, its last page filled with zeros
 *   BAWN_SHIM_PARAMS     NORMAL      struct bawn_shim_params
 *   params.acpi          NORMAL      ACPI tables (BAWN_SHIM_ACPI is the usual place)
 *   BAWN_SHIM_SECRETS    SECRETS
 *   BAWN_SHIM_CPUID      CPUID
 *   BAWN_SHIM_WORK       ZERO        the shim's tables, stack, GHCB, and Linux's zero page
 *   params.kernel        UNMEASURED  the whole bzImage file, see below
 *   params.initrd        UNMEASURED
 *   params.cmdline       UNMEASURED  (BAWN_SHIM_CMDLINE is the usual place)
 *
 * A range that does not start or end on a page is launched with the whole pages that it
 * touches; two ranges share no page. What stands there around an UNMEASURED range, which no hash
 * covers, the shim wipes. Every other page of params.ram is private and not
 * validated: the shim validates each of them once, and ends the guest when one of them was
 * validated before. All that is launched lies in params.ram.
 *
 * The kernel: the bzImage file as given, in one piece, so placed that its protected-mode part
 * (which follows the setup part of (setup_sects + 1) * 512 bytes) stands where it is to run:
 * params.kernel.gpa = load address - setup size. The load address is pref_address of the setup
 * header or a multiple of kernel_alignment above it, and init_size bytes from it lie in one
 * range of params.ram, below 4 GiB, away from all other ranges. Nothing is copied. Accepted is
 * protocol 2.12 or later with XLF_KERNEL_64, relocatable, LOADED_HIGH.
 *
 * The BSP's VMSA: RIP = BAWN_SHIM_IMAGE, CR0.PE set and CR0.PG clear, CS, DS, ES and SS flat
 * 32-bit segments of 4 GiB, RFLAGS.IF clear, EFER.LME clear, VMPL 0. Other registers have no
 * meaning to the shim, which enters Linux with 4-level page tables; Linux switches to 5 levels
 * itself. APs are not started before Linux does it, by AP creation.
 *
 * Every failure ends in the GHCB MSR protocol's termination request (AMD 56421, 2.3.1) with
 * reason set BAWN_SHIM_REASON_SET and a code of BAWN_SHIM_REASONS.
 */
#ifndef BAWN_SHIM_H
#define BAWN_SHIM_H

/* ---- Guest-physical addresses ---- */

#define BAWN_SHIM_IMAGE	     0x10000 /* also the entry point: the image's first byte */
#define BAWN_SHIM_IMAGE_MAX  0x10000
#define BAWN_SHIM_PARAMS     0x20000
#define BAWN_SHIM_SECRETS    0x21000
#define BAWN_SHIM_CPUID	     0x22000
#define BAWN_SHIM_WORK	     0x23000
#define BAWN_SHIM_WORK_END   0x40000
#define BAWN_SHIM_ZERO_PAGE  0x3e000 /* boot_params, built by the shim: RSI at Linux's entry */
#define BAWN_SHIM_SETUP_DATA 0x3f000 /* setup_data with the CC blob, built by the shim */
/* Free choices of the launch, below 1 MiB and out of the shim's way; params says them. */
#define BAWN_SHIM_CMDLINE     0x40000
#define BAWN_SHIM_CMDLINE_MAX 0x10000
#define BAWN_SHIM_ACPI	      0x50000
#define BAWN_SHIM_ACPI_MAX    0x10000
/*
 * params.ram leaves out what lies between, where PCs have VGA memory and ROMs: Linux before
 * 6.9 validates the ROMs' range itself, and dies when it was validated already. Some tens of
 * KiB below BAWN_SHIM_LOW_RAM_END are to stay free for Linux's real mode trampoline.
 */
#define BAWN_SHIM_LOW_RAM_END	 0xa0000
#define BAWN_SHIM_HIGH_RAM_START 0x100000

/* ---- The parameter page ---- */

#define BAWN_SHIM_MAGIC	     "BAWNSHIM" /* 8 bytes, without the NUL */
#define BAWN_SHIM_MAGIC_SIZE 8
#define BAWN_SHIM_VERSION    1
#define BAWN_SHIM_RAM_MAX    32
#define BAWN_SHIM_VCPUS_MAX  4096

/* ---- Termination ---- */

/* Linux uses set 1, too, with codes from 0 up. Ours begin at 0x40. */
#define BAWN_SHIM_REASON_SET 1

/* X(name, code, what a person reads): enum bawn_shim_reason has BAWN_SHIM_FAIL_<name>. */
#define BAWN_SHIM_REASONS(X) \
	X(PARAM_MAGIC, 0x40, "the parameter page has another magic number, version or size") \
	X(PARAM_FORMAT, 0x41, "the parameter page has a field that is out of bounds or reserved") \
	X(PARAM_RAM, 0x42, "the parameter page's RAM map is not sorted, aligned and in bounds") \
	X(PARAM_RANGE, 0x43, "kernel, initrd, command line or ACPI tables overlap or leave RAM") \
	X(CPUID_PAGE, 0x44, "the CPUID page is malformed or lacks a function") \
	X(NO_SNP, 0x45, "this is no SEV-SNP guest") \
	X(CBIT, 0x46, "the CPUID page has an impossible C-bit, or memory does not obey it") \
	X(RDRAND, 0x47, "the processor gives no random numbers") \
	X(GHCB_VERSION, 0x48, "the host does not speak GHCB protocol version 2") \
	X(GHCB_FEATURES, 0x49, "the host lacks SNP's page state changes or AP creation") \
	X(GHCB_REGISTER, 0x4a, "the host does not take the GHCB's address") \
	X(PAGE_STATE, 0x4b, "the host refuses a page state change") \
	X(PVALIDATE, 0x4c, "a page cannot be validated") \
	X(REPLAY, 0x4d, "a page was validated before: the host replays or maps it twice") \
	X(NOT_VMPL0, 0x4e, "the guest does not run at VMPL 0") \
	X(KERNEL_HASH, 0x4f, "the kernel is not the measured one") \
	X(INITRD_HASH, 0x50, "the initrd is not the measured one") \
	X(CMDLINE_HASH, 0x51, "the command line is not the measured one") \
	X(CMDLINE, 0x52, "the command line does not end with a NUL or is too long for the kernel") \
	X(KERNEL_HEADER, 0x53, "the kernel is no relocatable 64-bit bzImage of protocol 2.12") \
	X(KERNEL_PLACE, 0x54, "the kernel does not stand where it can run") \
	X(CANARY, 0x55, "the shim's stack was overwritten") \
	X(EXCEPTION, 0x56, "the shim met an exception that it does not expect") \
	X(PAGE_FAULT, 0x57, "the shim met a page fault") \
	X(VC_PAGE, 0x58, "a page that was validated is gone: the host took or remapped it") \
	X(VC_INTERCEPT, 0x59, "the host intercepts an instruction of the shim") \
	X(VC_FORGED, 0x5a, "the host injected a #VC that does not match the instruction")

#ifndef __ASSEMBLER__

#ifdef __KERNEL__
#include <linux/stddef.h>
#include <linux/types.h>
#else
#include <stddef.h>
#include <stdint.h>
#endif

struct bawn_shim_range {
	uint64_t gpa;
	uint64_t size; /* bytes */
};

/* size bytes at gpa, and their SHA-256. */
struct bawn_shim_blob {
	uint64_t gpa;
	uint64_t size;
	uint8_t sha256[32];
};

struct bawn_shim_params {
	uint8_t magic[BAWN_SHIM_MAGIC_SIZE];
	uint32_t version;		/* 008: BAWN_SHIM_VERSION */
	uint32_t size;			/* 00c: of this structure, 4096 */
	uint32_t flags;			/* 010: none yet, 0 */
	uint32_t vcpus;			/* 014: at least 1 */
	uint64_t rsdp;			/* 018: in acpi */
	struct bawn_shim_range acpi;	/* 020: whole pages */
	struct bawn_shim_blob kernel;	/* 030: at any byte */
	/* Both on a page and below 4 GiB. No initrd: gpa and size are 0, and the hash is that
	 * of no bytes. */
	struct bawn_shim_blob initrd;	/* 060 */
	struct bawn_shim_blob cmdline;	/* 090: size and hash count the NUL at its end */
	uint32_t nr_ram;		/* 0c0 */
	uint32_t reserved_0c4;
	/* Whole pages, ascending, apart from each other; the rest of the array is zero. */
	struct bawn_shim_range ram[BAWN_SHIM_RAM_MAX]; /* 0c8 */
	uint8_t reserved_2c8[4096 - 0x2c8];
};

_Static_assert(sizeof(struct bawn_shim_blob) == 48, "shim blob");
_Static_assert(offsetof(struct bawn_shim_params, ram) == 0xc8, "shim RAM map");
_Static_assert(sizeof(struct bawn_shim_params) == 4096, "shim parameter page");

enum bawn_shim_reason {
#define BAWN_SHIM_X(name, code, text) BAWN_SHIM_FAIL_##name = (code),
	BAWN_SHIM_REASONS(BAWN_SHIM_X)
#undef BAWN_SHIM_X
};

/* What a termination's reason code means, or NULL when it is none of the shim's. */
static inline const char *bawn_shim_reason_text(unsigned int set, unsigned int code)
{
	static const struct {
		unsigned int code;
		const char *text;
	} reasons[] = {
#define BAWN_SHIM_X(name, number, words) { (number), (words) },
		BAWN_SHIM_REASONS(BAWN_SHIM_X)
#undef BAWN_SHIM_X
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (set == BAWN_SHIM_REASON_SET && reasons[i].code == code)
			return reasons[i].text;
	return NULL;
}

#endif /* __ASSEMBLER__ */

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * How bawn_platform.ko asks the model of the secure processor (bawn-platformd): messages over
 * BAWN_PLATFORM_DEVICE. Only the daemon opens that device, one at a time. read() gives it one
 * whole request, write() takes one whole reply; poll() says when there is a request. The module
 * keeps at most one request without a reply. Everything is little-endian and at multiples of 8.
 *
 * A request is a header, the command buffer (padded with zero to a multiple of 8), then page
 * records. A reply is the same: header, the buffer as the firmware leaves it, and the pages that
 * it changed.
 *
 *   - The module knows of a command only what bawn_platform_commands says: how long its buffer is
 *     and which fields of it are addresses of pages. bawn_platform_page_use() tells whether the
 *     page at a field goes to the daemon, may come back, or neither.
 *   - The pages of a request stand in the order of their fields; of a 2 MiB page (LAUNCH_UPDATE),
 *     512 in ascending order. A record has the page's bytes only with BAWN_PLATFORM_PAGE_IN.
 *   - A reply names only pages that the request named with BAWN_PLATFORM_PAGE_OUT, each once and
 *     with its bytes. One that does not keep to this, or to the sizes, is refused by write() with
 *     EINVAL and changes nothing: the command then counts as unanswered. Pages that come back are
 *     written whatever the status is (a CPUID page comes back corrected, with INVALID_PARAM).
 *   - The RMP is the module's: it checks and sets the states of pages (and what a page address may
 *     be) before and after the command; the daemon sees bytes.
 *   - While nobody holds the device, and when its holder closes it, commands fail.
 *
 * The first request after each open is BAWN_PLATFORM_HELLO.
 */
#ifndef BAWN_PLATFORM_H
#define BAWN_PLATFORM_H

#include <bawn/psp.h>

#ifndef __KERNEL__
#include <stdbool.h>
#endif

#define BAWN_PLATFORM_DEVICE  "/dev/bawn-platform"
#define BAWN_PLATFORM_VERSION 1u

/* ---- Messages ---- */

struct bawn_platform_header {
	uint32_t size;	     /* of the whole message, a multiple of 8 */
	uint32_t version;    /* BAWN_PLATFORM_VERSION */
	uint64_t id;	     /* the module's; the reply repeats it */
	uint32_t command;    /* enum bawn_psp_command or BAWN_PLATFORM_*; the reply repeats it */
	uint32_t status;     /* of a reply: enum bawn_psp_status or BAWN_PLATFORM_BUSY; else 0 */
	uint32_t buffer_len; /* without the padding; a reply's is the request's, but for HELLO */
	uint32_t nr_pages;
};

struct bawn_platform_page {
	uint64_t gpa;	/* what the RMP has for the page; 0 for pages that are no guest's */
	uint64_t paddr; /* as in the buffer, with the low 12 bits zero */
	uint32_t flags; /* BAWN_PLATFORM_PAGE_*; of a reply: BAWN_PLATFORM_PAGE_OUT alone */
	uint32_t reserved;
	/* then the page's 4096 bytes: in a request with BAWN_PLATFORM_PAGE_IN, in a reply always */
};

#define BAWN_PLATFORM_PAGE_IN  (1u << 0) /* the firmware reads the page */
#define BAWN_PLATFORM_PAGE_OUT (1u << 1) /* the firmware may change the page */

#define BAWN_PLATFORM_BUFFER_MAX 4096u
#define BAWN_PLATFORM_PAGES_MAX	 (BAWN_PSP_LARGE_PAGES + 2)
#define BAWN_PLATFORM_MESSAGE_MAX                                                  \
	(sizeof(struct bawn_platform_header) + BAWN_PLATFORM_BUFFER_MAX +          \
	 BAWN_PLATFORM_PAGES_MAX * (sizeof(struct bawn_platform_page) + BAWN_PSP_PAGE_SIZE))

/* A status that is not the firmware's own: it cannot take the command now, and nothing was
 * done. To a guest's request the answer is then SNP_GUEST_VMM_ERR_BUSY, to others EBUSY. */
#define BAWN_PLATFORM_BUSY 0x80000001u

/* ---- Commands that are not the firmware's ---- */

/* Buffer: struct bawn_platform_hello and nr_contexts addresses; of the reply: struct
 * bawn_platform_welcome. Status BAWN_PSP_UNSUPPORTED: the versions differ. */
#define BAWN_PLATFORM_HELLO 0x80000001u

struct bawn_platform_hello {
	uint32_t version;
	uint32_t flags;	      /* BAWN_PLATFORM_HELLO_* */
	uint32_t nr_asids;    /* ACTIVATE takes 1 to this */
	uint32_t c_bit;	      /* its number */
	uint32_t nr_contexts; /* guest context pages that exist; the daemon forgets all others */
	uint32_t reserved;
	/* uint64_t context[nr_contexts] */
};

/* The machine was reset: platform state UNINIT, no contexts. Set at the first open after the
 * module was loaded. */
#define BAWN_PLATFORM_HELLO_RESET (1u << 0)

#define BAWN_PLATFORM_CONTEXTS_MAX \
	((BAWN_PLATFORM_BUFFER_MAX - sizeof(struct bawn_platform_hello)) / sizeof(uint64_t))

struct bawn_platform_welcome {
	uint32_t version;
	uint32_t fms;		 /* CPUID Fn0000_0001_EAX of the processor that is modelled */
	uint32_t report_version; /* BAWN_SNP_REPORT_V* */
	uint32_t nr_contexts;	 /* that it has now */
	char product[16];	 /* "Milan", ends with zero */
};

/* ---- Which fields of a buffer are addresses of pages ---- */

#define BAWN_PLATFORM_FIELD_IN	     (1u << 0) /* as BAWN_PLATFORM_PAGE_IN */
#define BAWN_PLATFORM_FIELD_OUT	     (1u << 1)
#define BAWN_PLATFORM_FIELD_CONTEXT  (1u << 2) /* a guest's context page: its bytes stay here */
#define BAWN_PLATFORM_FIELD_OPTIONAL (1u << 3) /* 0 is no address */
#define BAWN_PLATFORM_FIELD_LAUNCH   (1u << 4) /* by the page type of LAUNCH_UPDATE */
#define BAWN_PLATFORM_FIELD_RMP	     (1u << 5) /* only its RMP entry matters; bit 0: 2 MiB */

#define BAWN_PLATFORM_FIELDS_MAX 3

struct bawn_platform_field {
	uint16_t offset; /* of a uint64_t in the buffer */
	uint16_t flags;	 /* 0: there is no field */
};

struct bawn_platform_command {
	uint32_t command;
	uint32_t buffer_len;
	struct bawn_platform_field field[BAWN_PLATFORM_FIELDS_MAX];
};

#define BAWN_PLATFORM_FIELD(type, member, how) \
	{ offsetof(struct type, member), how }
#define BAWN_PLATFORM_GCTX(type) \
	BAWN_PLATFORM_FIELD(type, gctx_paddr, BAWN_PLATFORM_FIELD_CONTEXT)

/* Pages need not be aligned where the firmware only reads: what it reads must then not cross
 * into the next page. Where it writes, they must be. */
static const struct bawn_platform_command bawn_platform_commands[] __attribute__((unused)) = {
	{ BAWN_PSP_SNP_INIT, 0, { { 0, 0 } } },
	{ BAWN_PSP_SNP_SHUTDOWN, 0, { { 0, 0 } } },
	{ BAWN_PSP_SNP_PLATFORM_STATUS, sizeof(struct bawn_psp_addr),
	  { BAWN_PLATFORM_FIELD(bawn_psp_addr, paddr, BAWN_PLATFORM_FIELD_OUT) } },
	{ BAWN_PSP_SNP_DF_FLUSH, 0, { { 0, 0 } } },
	{ BAWN_PSP_SNP_INIT_EX, sizeof(struct bawn_psp_init_ex),
	  { BAWN_PLATFORM_FIELD(bawn_psp_init_ex, list_paddr,
				BAWN_PLATFORM_FIELD_IN | BAWN_PLATFORM_FIELD_OPTIONAL) } },
	{ BAWN_PSP_SNP_SHUTDOWN_EX, sizeof(struct bawn_psp_shutdown_ex), { { 0, 0 } } },
	{ BAWN_PSP_SNP_DECOMMISSION, sizeof(struct bawn_psp_addr),
	  { BAWN_PLATFORM_FIELD(bawn_psp_addr, paddr, BAWN_PLATFORM_FIELD_CONTEXT) } },
	{ BAWN_PSP_SNP_ACTIVATE, sizeof(struct bawn_psp_activate),
	  { BAWN_PLATFORM_GCTX(bawn_psp_activate) } },
	{ BAWN_PSP_SNP_GUEST_STATUS, sizeof(struct bawn_psp_guest_status_cmd),
	  { BAWN_PLATFORM_GCTX(bawn_psp_guest_status_cmd),
	    BAWN_PLATFORM_FIELD(bawn_psp_guest_status_cmd, status_paddr,
				BAWN_PLATFORM_FIELD_OUT) } },
	{ BAWN_PSP_SNP_GCTX_CREATE, sizeof(struct bawn_psp_addr),
	  { BAWN_PLATFORM_FIELD(bawn_psp_addr, paddr, BAWN_PLATFORM_FIELD_CONTEXT) } },
	{ BAWN_PSP_SNP_GUEST_REQUEST, sizeof(struct bawn_psp_guest_request),
	  { BAWN_PLATFORM_GCTX(bawn_psp_guest_request),
	    BAWN_PLATFORM_FIELD(bawn_psp_guest_request, request_paddr, BAWN_PLATFORM_FIELD_IN),
	    BAWN_PLATFORM_FIELD(bawn_psp_guest_request, response_paddr,
				BAWN_PLATFORM_FIELD_OUT) } },
	{ BAWN_PSP_SNP_LAUNCH_START, sizeof(struct bawn_psp_launch_start),
	  { BAWN_PLATFORM_GCTX(bawn_psp_launch_start),
	    BAWN_PLATFORM_FIELD(bawn_psp_launch_start, ma_gctx_paddr,
				BAWN_PLATFORM_FIELD_CONTEXT | BAWN_PLATFORM_FIELD_OPTIONAL) } },
	{ BAWN_PSP_SNP_LAUNCH_UPDATE, sizeof(struct bawn_psp_launch_update),
	  { BAWN_PLATFORM_GCTX(bawn_psp_launch_update),
	    BAWN_PLATFORM_FIELD(bawn_psp_launch_update, page_paddr,
				BAWN_PLATFORM_FIELD_LAUNCH) } },
	{ BAWN_PSP_SNP_LAUNCH_FINISH, sizeof(struct bawn_psp_launch_finish),
	  { BAWN_PLATFORM_GCTX(bawn_psp_launch_finish),
	    BAWN_PLATFORM_FIELD(bawn_psp_launch_finish, id_block_paddr,
				BAWN_PLATFORM_FIELD_IN | BAWN_PLATFORM_FIELD_OPTIONAL),
	    BAWN_PLATFORM_FIELD(bawn_psp_launch_finish, id_auth_paddr,
				BAWN_PLATFORM_FIELD_IN | BAWN_PLATFORM_FIELD_OPTIONAL) } },
	{ BAWN_PSP_SNP_PAGE_RECLAIM, sizeof(struct bawn_psp_addr),
	  { BAWN_PLATFORM_FIELD(bawn_psp_addr, paddr, BAWN_PLATFORM_FIELD_RMP) } },
	{ BAWN_PSP_SNP_PAGE_UNSMASH, sizeof(struct bawn_psp_addr),
	  { BAWN_PLATFORM_FIELD(bawn_psp_addr, paddr, BAWN_PLATFORM_FIELD_RMP) } },
	{ BAWN_PSP_SNP_CONFIG, sizeof(struct bawn_psp_config), { { 0, 0 } } },
	{ BAWN_PSP_SNP_COMMIT, sizeof(struct bawn_psp_commit), { { 0, 0 } } },
	{ BAWN_PSP_SNP_VLEK_LOAD, sizeof(struct bawn_psp_vlek_load),
	  { BAWN_PLATFORM_FIELD(bawn_psp_vlek_load, wrapped_paddr, BAWN_PLATFORM_FIELD_IN) } },
};

#undef BAWN_PLATFORM_FIELD
#undef BAWN_PLATFORM_GCTX

#define BAWN_PLATFORM_COMMANDS \
	(sizeof(bawn_platform_commands) / sizeof(bawn_platform_commands[0]))

/* What LAUNCH_UPDATE does with a page of each type. An unmeasured page's bytes stay as they are
 * and nobody looks at them, so its record has none; a page of unknown type has no record. */
static inline uint32_t bawn_platform_launch_use(uint32_t page_type)
{
	switch (page_type) {
	case BAWN_PSP_PAGE_NORMAL:
	case BAWN_PSP_PAGE_VMSA:
		return BAWN_PLATFORM_PAGE_IN;
	case BAWN_PSP_PAGE_ZERO:
	case BAWN_PSP_PAGE_SECRETS:
		return BAWN_PLATFORM_PAGE_OUT;
	case BAWN_PSP_PAGE_CPUID:
		return BAWN_PLATFORM_PAGE_IN | BAWN_PLATFORM_PAGE_OUT;
	default:
		return 0;
	}
}

/* How many records the page at a field has (0, 1 or 512), and their flags. launch_page is the
 * member page of LAUNCH_UPDATE's buffer, 0 with other commands. */
static inline uint32_t bawn_platform_page_use(const struct bawn_platform_field *field,
					      uint64_t address, uint32_t launch_page,
					      uint32_t *flags)
{
	uint32_t type = (launch_page & BAWN_PSP_PAGE_TYPE) >> BAWN_PSP_PAGE_TYPE_SHIFT;

	*flags = field->flags & (BAWN_PLATFORM_FIELD_IN | BAWN_PLATFORM_FIELD_OUT);
	if (field->flags & BAWN_PLATFORM_FIELD_LAUNCH) {
		*flags = bawn_platform_launch_use(type);
		if (!*flags && type != BAWN_PSP_PAGE_UNMEASURED)
			return 0;
		return launch_page & BAWN_PSP_PAGE_LARGE ? BAWN_PSP_LARGE_PAGES : 1;
	}
	if (!*flags || (!address && (field->flags & BAWN_PLATFORM_FIELD_OPTIONAL)))
		return 0;
	return 1;
}

_Static_assert(sizeof(struct bawn_platform_header) == 32, "platform message header");
_Static_assert(sizeof(struct bawn_platform_page) == 24, "platform message page");
_Static_assert(sizeof(struct bawn_platform_hello) == 24, "platform hello");
_Static_assert(sizeof(struct bawn_platform_welcome) == 32, "platform welcome");

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * From a bzImage to Linux's zero page. See linux.h.
 */
#include <stddef.h>
#include <string.h>

#include <asm/bootparam.h>

#include "bawn/cursor.h"
#include "guest/shim/layout.h"
#include "guest/shim/linux.h"

#define HEADER_AT 0x1f1u /* of the file and of boot_params */
#define JUMP_AT 0x200u   /* a two-byte jump, whose target is the header's end */
#define MAGIC_AT 0x202u
#define MAGIC 0x53726448u     /* "HdrS" */
#define HEADER_END_MIN 0x264u /* protocol 2.12: init_size and what stands before it */
#define HEADER_END_MAX 0x290u /* boot_params has other fields from here on */
#define PROTOCOL_MIN 0x020c
#define SECTOR 512u
#define SECTORS_DEFAULT 4u
#define LOAD_MIN 0x100000ull
#define ALIGN_MIN 0x1000u
#define LOW_4G (1ull << 32)
#define BOOT_LOADER_UNKNOWN 0xff
#define VID_MODE_NORMAL 0xffff

/* struct cc_setup_data and struct cc_blob_sev_info of arch/x86/include/asm/sev.h, and the type
 * of uapi/asm/setup_data.h */
#define CC_BLOB_TYPE 7
#define CC_BLOB_MAGIC 0x45444d41u
#define CC_BLOB_AT 32 /* of the page */
#define CC_PAGE_SIZE 4096

struct cc_blob {
    uint32_t magic;
    uint16_t version;
    uint16_t reserved;
    uint64_t secrets_gpa;
    uint32_t secrets_size;
    uint32_t reserved_14;
    uint64_t cpuid_gpa;
    uint32_t cpuid_size;
    uint32_t reserved_24;
};

struct cc_node {
    uint64_t next;
    uint32_t type;
    uint32_t len; /* of what follows */
    uint32_t blob;
};

_Static_assert(sizeof(struct cc_blob) == 40, "CC blob");
_Static_assert(offsetof(struct cc_node, blob) == sizeof(struct setup_data), "CC node");
_Static_assert(sizeof(struct boot_params) == SHIM_PAGE, "boot_params is one page");
_Static_assert(offsetof(struct boot_params, hdr) == HEADER_AT, "the header's place");

enum { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3 };

static uint64_t field(const uint8_t *image, uint64_t size, uint64_t at, unsigned n)
{
    struct bawn_cursor c = bawn_cursor_over(image, size);

    bawn_cursor_seek(&c, at);
    return bawn_cursor_le(&c, n);
}

#define FIELD(name)                                                     \
    field(image, size, HEADER_AT + offsetof(struct setup_header, name), \
          sizeof(((struct setup_header *)0)->name))

/* Finds the header; its length is the image's own jump. */
static unsigned read_header(struct shim_kernel *k, const uint8_t *image, uint64_t size)
{
    uint64_t end = MAGIC_AT + field(image, size, JUMP_AT + 1, 1);

    if (size < HEADER_END_MAX || end < HEADER_END_MIN || end > HEADER_END_MAX ||
        FIELD(header) != MAGIC || FIELD(version) < PROTOCOL_MIN ||
        !(FIELD(loadflags) & LOADED_HIGH) || !(FIELD(xloadflags) & XLF_KERNEL_64) ||
        !FIELD(relocatable_kernel))
        return BAWN_SHIM_FAIL_KERNEL_HEADER;
    k->header = image + HEADER_AT;
    k->header_size = (uint32_t)(end - HEADER_AT);
    k->cmdline_max = (uint32_t)FIELD(cmdline_size);
    return 0;
}

/* Linux unpacks itself in [load, load + init_size). */
static unsigned check_place(const struct shim_kernel *k, const uint8_t *image, uint64_t setup,
                            const struct bawn_shim_params *p, const struct shim_launched *l)
{
    uint64_t size = p->kernel.size;
    uint64_t align = FIELD(kernel_alignment), init_size = FIELD(init_size);

    if (align < ALIGN_MIN || align & (align - 1))
        return BAWN_SHIM_FAIL_KERNEL_HEADER;
    if (k->load < LOAD_MIN || k->load < FIELD(pref_address) || k->load & (align - 1) ||
        size - setup > init_size || k->load > LOW_4G - init_size ||
        !shim_params_in_ram(p, k->load, init_size))
        return BAWN_SHIM_FAIL_KERNEL_PLACE;
    for (unsigned i = 0; i < l->count; i++) {
        const struct bawn_shim_range *r = &l->range[i];
        bool kernel = p->kernel.gpa >= r->gpa && p->kernel.gpa - r->gpa < r->size;

        if (!kernel && r->gpa < k->load + init_size && k->load < r->gpa + r->size)
            return BAWN_SHIM_FAIL_KERNEL_PLACE;
    }
    return 0;
}

unsigned shim_kernel_read(struct shim_kernel *k, const uint8_t *image,
                          const struct bawn_shim_params *p, const struct shim_launched *launched)
{
    uint64_t size = p->kernel.size;
    uint64_t sectors = FIELD(setup_sects) ? FIELD(setup_sects) : SECTORS_DEFAULT;
    uint64_t setup = (sectors + 1) * SECTOR;
    unsigned reason = read_header(k, image, size);

    if (reason)
        return reason;
    if (size <= setup + SHIM_ENTRY64)
        return BAWN_SHIM_FAIL_KERNEL_HEADER;
    k->load = p->kernel.gpa + setup;
    return check_place(k, image, setup, p, launched);
}

static void add(struct boot_params *bp, uint64_t start, uint64_t end, uint32_t type)
{
    if (start >= end)
        return;
    bp->e820_table[bp->e820_entries++] =
        (struct boot_e820_entry){ .addr = start, .size = end - start, .type = type };
}

/* RAM, without what Linux must keep. */
static void write_e820(struct boot_params *bp, const struct bawn_shim_params *p)
{
    struct {
        uint64_t start, end;
        uint32_t type;
    } kept[2] = {
        { BAWN_SHIM_SECRETS, BAWN_SHIM_CPUID + SHIM_PAGE, E820_RESERVED },
        /* Linux maps tables in reserved memory without the C-bit, in ACPI memory with it. */
        { p->acpi.gpa, p->acpi.gpa + p->acpi.size, E820_ACPI },
    };
    unsigned first = kept[1].start < kept[0].start;

    _Static_assert(BAWN_SHIM_RAM_MAX + 2 * 2 <= E820_MAX_ENTRIES_ZEROPAGE, "the map fits");
    for (uint32_t i = 0; i < p->nr_ram; i++) {
        uint64_t gpa = p->ram[i].gpa, end = gpa + p->ram[i].size;

        for (unsigned n = 0; n < 2; n++) {
            unsigned j = n ^ first;

            if (kept[j].start < gpa || kept[j].start >= end)
                continue;
            add(bp, gpa, kept[j].start, E820_RAM);
            add(bp, kept[j].start, kept[j].end, kept[j].type);
            gpa = kept[j].end;
        }
        add(bp, gpa, end, E820_RAM);
    }
}

void shim_zero_page(struct boot_params *bp, const struct shim_kernel *k,
                    const struct bawn_shim_params *p)
{
    struct setup_header *h = &bp->hdr;

    memcpy((uint8_t *)bp + HEADER_AT, k->header, k->header_size);
    h->type_of_loader = BOOT_LOADER_UNKNOWN;
    h->vid_mode = VID_MODE_NORMAL;
    h->loadflags &= (uint8_t)~CAN_USE_HEAP;
    h->heap_end_ptr = 0;
    h->code32_start = (uint32_t)k->load;
    h->ramdisk_image = (uint32_t)p->initrd.gpa;
    h->ramdisk_size = (uint32_t)p->initrd.size;
    h->cmd_line_ptr = (uint32_t)p->cmdline.gpa;
    h->setup_data = BAWN_SHIM_SETUP_DATA;
    bp->acpi_rsdp_addr = p->rsdp;
    write_e820(bp, p);
}

void shim_setup_data(uint8_t *page)
{
    const struct cc_blob blob = {
        .magic = CC_BLOB_MAGIC,
        .secrets_gpa = BAWN_SHIM_SECRETS,
        .secrets_size = CC_PAGE_SIZE,
        .cpuid_gpa = BAWN_SHIM_CPUID,
        .cpuid_size = CC_PAGE_SIZE,
    };
    const struct cc_node node = {
        .type = CC_BLOB_TYPE,
        .len = CC_BLOB_AT + sizeof(blob) - offsetof(struct cc_node, blob),
        .blob = BAWN_SHIM_SETUP_DATA + CC_BLOB_AT,
    };

    _Static_assert(sizeof(node) <= CC_BLOB_AT, "the node ends before the blob");
    memcpy(page, &node, sizeof(node));
    memcpy(page + CC_BLOB_AT, &blob, sizeof(blob));
}

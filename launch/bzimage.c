// SPDX-License-Identifier: Apache-2.0
/*
 * The Linux/x86 boot protocol, 64-bit entry (Documentation/arch/x86/boot.rst).
 * Trusts nothing of the image: each header field is checked before it is used, and of the header
 * only the fields the protocol says to copy reach the guest.
 */
#include <inttypes.h>
#include <string.h>

#include "bawn/cursor.h"
#include "launch/internal.h"

#define HEADER_AT 0x1f1u /* of the file and of boot_params */
#define JUMP_AT 0x200u   /* a two-byte jump, whose target is the header's end */
#define MAGIC_AT 0x202u
#define MAGIC "HdrS"
#define HEADER_END_MIN 0x268u /* protocol 2.12's last field */
#define HEADER_END_MAX 0x290u /* boot_params has other fields from here on */
#define PROTOCOL_MIN 0x020c
#define SECTOR 512u
#define ENTRY64 0x200u
#define DEFAULT_LOAD 0x1000000ull
#define ALIGN_MAX (1ull << 30)
#define BOOT_LOADER_UNKNOWN 0xff
#define VID_MODE_NORMAL 0xffff

_Static_assert(sizeof(struct boot_params) == PAGE, "boot_params is one page");
_Static_assert(offsetof(struct boot_params, hdr) == HEADER_AT, "the header's place");

bool bzimage_match(const uint8_t *kernel, size_t len)
{
    struct bawn_cursor c = bawn_cursor_over(kernel, len);
    const uint8_t *magic;

    bawn_cursor_seek(&c, MAGIC_AT);
    magic = bawn_cursor_take(&c, strlen(MAGIC));
    return magic && !memcmp(magic, MAGIC, strlen(MAGIC));
}

/* Copies the header, whose length the image's own jump gives, and finds the payload. */
static enum bawn_status read_header(struct bzimage *img, const struct boot_input *in,
                                    struct bawn_error *err)
{
    struct bawn_cursor c = bawn_cursor_over(in->kernel, in->kernel_len);
    const uint8_t *header;
    unsigned end, sects;

    bawn_cursor_seek(&c, JUMP_AT + 1);
    end = MAGIC_AT + bawn_cursor_u8(&c);
    bawn_cursor_seek(&c, HEADER_AT);
    header = bawn_cursor_take(&c, end - HEADER_AT);
    if (!header)
        return bawn_fail(err, BAWN_E_FORMAT, "bzImage of %zu bytes ends inside its header",
                         in->kernel_len);
    if (end > HEADER_END_MAX)
        return bawn_fail(err, BAWN_E_FORMAT, "bzImage header ends at 0x%x: must end by 0x%x", end,
                         HEADER_END_MAX);
    memcpy(&img->hdr, header,
           end - HEADER_AT < sizeof(img->hdr) ? end - HEADER_AT : sizeof(img->hdr));
    if (img->hdr.version < PROTOCOL_MIN || end < HEADER_END_MIN)
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "bzImage boot protocol %u.%u, header to 0x%x: must be 2.12 or later, "
                         "header to 0x%x",
                         img->hdr.version >> 8, img->hdr.version & 0xff, end, HEADER_END_MIN);
    sects = img->hdr.setup_sects ? img->hdr.setup_sects : 4;
    img->setup_size = (uint64_t)(sects + 1) * SECTOR;
    bawn_cursor_seek(&c, img->setup_size);
    img->payload_len = bawn_cursor_left(&c);
    img->payload = bawn_cursor_take(&c, img->payload_len);
    if (img->payload_len <= ENTRY64)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "bzImage of %zu bytes holds no kernel after its %u setup sectors",
                         in->kernel_len, sects);
    return BAWN_OK;
}

static enum bawn_status check_flags(const struct bzimage *img, struct bawn_error *err)
{
    const struct setup_header *h = &img->hdr;

    if (!(h->loadflags & LOADED_HIGH))
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "kernel's loadflags are 0x%x: must have bit 0 (a bzImage, not a zImage)",
                         h->loadflags);
    if (!(h->xloadflags & XLF_KERNEL_64))
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "kernel's xloadflags are 0x%x: must have bit 0 (a 64-bit kernel)",
                         h->xloadflags);
    if (!h->kernel_alignment || h->kernel_alignment & (h->kernel_alignment - 1) ||
        h->kernel_alignment < PAGE || h->kernel_alignment > ALIGN_MAX)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "kernel_alignment is 0x%x: must be a power of two, 4 KiB to 1 GiB",
                         h->kernel_alignment);
    if (img->payload_len > h->init_size)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "kernel's init_size is 0x%x: must hold the kernel's %zu bytes",
                         h->init_size, img->payload_len);
    return BAWN_OK;
}

/* At the preferred address; else, if it may move, at 16 MiB or the first aligned address after. */
static enum bawn_status choose_load(const struct bzimage *img, const struct bawn_launch_plan *plan,
                                    uint64_t *load, struct bawn_error *err)
{
    const struct setup_header *h = &img->hdr;
    uint64_t ram = plan->ram[0].size;
    uint64_t align = h->kernel_alignment;

    *load = h->pref_address;
    if (*load < HIGH_START || *load % PAGE || *load >= ram) {
        if (!h->relocatable_kernel)
            return bawn_fail(err, BAWN_E_UNSUPPORTED,
                             "kernel must be loaded at 0x%" PRIx64
                             ": must be a page from 1 MiB to RAM's end at 0x%" PRIx64,
                             *load, ram);
        *load = (DEFAULT_LOAD + align - 1) & ~(align - 1);
    }
    if (*load > ram || h->init_size > ram - *load)
        return bawn_fail(err, BAWN_E_CONFIG,
                         "kernel needs 0x%x bytes at 0x%" PRIx64 ", RAM ends at 0x%" PRIx64
                         ": give the VM at least %llu MiB",
                         h->init_size, *load, ram,
                         (*load + h->init_size + BAWN_MEM_ALIGN - 1) / BAWN_MEM_ALIGN * 2);
    return BAWN_OK;
}

static enum bawn_status check_cmdline(const struct bzimage *img, const struct boot_input *in,
                                      struct bawn_error *err)
{
    if (in->cmdline_len > img->hdr.cmdline_size)
        return bawn_fail(err, BAWN_E_CONFIG,
                         "command line of %zu bytes: this kernel takes at most %u", in->cmdline_len,
                         img->hdr.cmdline_size);
    return BAWN_OK;
}

enum bawn_status bzimage_read(struct bzimage *img, const struct boot_input *in,
                              struct bawn_error *err)
{
    enum bawn_status st;

    memset(img, 0, sizeof(*img));
    st = read_header(img, in, err);
    if (st == BAWN_OK)
        st = check_flags(img, err);
    return st == BAWN_OK ? check_cmdline(img, in, err) : st;
}

static void write_e820(struct boot_params *bp, const struct bawn_launch_plan *plan)
{
    struct mem_range map[MEM_RANGES_MAX];
    unsigned n = plan_memory_map(plan, map);

    for (unsigned i = 0; i < n; i++) {
        bp->e820_table[i].addr = map[i].start;
        bp->e820_table[i].size = map[i].size;
        bp->e820_table[i].type = map[i].type;
    }
    bp->e820_entries = (uint8_t)n;
}

static enum bawn_status write_boot_params(struct bawn_launch_plan *plan, const struct bzimage *img,
                                          const struct boot_input *in, uint64_t load,
                                          uint64_t initrd, struct bawn_error *err)
{
    struct boot_params *bp = (struct boot_params *)plan_alloc(plan, sizeof(*bp));

    if (!bp)
        return bawn_fail(err, BAWN_E_NOMEM, "out of memory");
    bp->hdr = img->hdr;
    bp->hdr.type_of_loader = BOOT_LOADER_UNKNOWN;
    bp->hdr.vid_mode = VID_MODE_NORMAL;
    bp->hdr.loadflags &= (uint8_t)~CAN_USE_HEAP;
    bp->hdr.heap_end_ptr = 0;
    bp->hdr.code32_start = (uint32_t)load;
    bp->hdr.ramdisk_image = (uint32_t)initrd;
    bp->hdr.ramdisk_size = (uint32_t)in->initrd_len;
    bp->hdr.cmd_line_ptr = (uint32_t)LOW_CMDLINE;
    bp->hdr.setup_data = 0;
    bp->acpi_rsdp_addr = LOW_ACPI;
    write_e820(bp, plan);
    return plan_add(plan, BAWN_MEASURE_BOOT_INFO, LOW_BOOT_INFO, PAGE, (const uint8_t *)bp,
                    sizeof(*bp), err);
}

enum bawn_status bzimage_plan(struct bawn_launch_plan *plan, const struct boot_input *in,
                              struct bawn_error *err)
{
    struct bzimage img;
    uint64_t load = 0, initrd;
    enum bawn_status st;

    st = bzimage_read(&img, in, err);
    if (st == BAWN_OK)
        st = choose_load(&img, plan, &load, err);
    if (st == BAWN_OK)
        st = plan_add(plan, BAWN_MEASURE_KERNEL, load, page_up(img.payload_len), img.payload,
                      img.payload_len, err);
    if (st == BAWN_OK)
        st = plan_initrd(plan, in, page_up(load + img.hdr.init_size),
                         (uint64_t)img.hdr.initrd_addr_max + 1, &initrd, err);
    if (st == BAWN_OK)
        st = write_boot_params(plan, &img, in, load, initrd, err);
    if (st == BAWN_OK)
        st = tables_plan_long(plan, err);
    if (st != BAWN_OK)
        return st;
    plan->regs.rip = load + ENTRY64;
    plan->regs.rsi = LOW_BOOT_INFO;
    return BAWN_OK;
}

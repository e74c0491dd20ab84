// SPDX-License-Identifier: Apache-2.0
/*
 * Direct boot of an ELF64 file through its PVH note (Xen's x86/HVM direct boot ABI, as Linux and
 * the BSDs implement it). Trusts nothing of the file: headers are read through a cursor, and the
 * image is built in a buffer of bounded size.
 */
#include <inttypes.h>
#include <string.h>

#include <elf.h>
#include <endian.h>

#include "bawn/cursor.h"
#include "launch/internal.h"

#define XEN_ELFNOTE_PHYS32_ENTRY 18
#define PHDRS_MAX 64
#define NOTE_ALIGN 4
/* From the first loaded byte to the last; a sparse file cannot make us allocate more. */
#define IMAGE_MAX (512ull << 20)

/* struct hvm_start_info and what it points to, all in the one page at LOW_BOOT_INFO. */
#define START_INFO_MAGIC 0x336ec578u
#define START_INFO_VERSION 1
#define MODLIST_AT 0x40
#define MEMMAP_AT 0x80
#define MEMMAP_ENTRY 24

_Static_assert(MEMMAP_AT + MEM_RANGES_MAX * MEMMAP_ENTRY <= PAGE, "the memory map fits");

struct segment {
    uint64_t type, offset, paddr, filesz, memsz;
};

struct elf {
    struct bawn_cursor file;
    uint64_t phoff;
    unsigned phnum;
    uint64_t start; /* of the loaded image: first byte, after the last byte of the file's */
    uint64_t file_end;
    uint64_t mem_end; /* after the last byte with what the file asks to be zero */
    uint64_t entry;
    bool has_entry;
};

bool pvh_match(const uint8_t *kernel, size_t len)
{
    return len >= SELFMAG && !memcmp(kernel, ELFMAG, SELFMAG);
}

static enum bawn_status read_header(struct elf *elf, struct bawn_error *err)
{
    struct bawn_cursor c = elf->file;
    const uint8_t *ident = bawn_cursor_take(&c, EI_NIDENT);
    unsigned machine, phentsize;

    bawn_cursor_seek(&c, offsetof(Elf64_Ehdr, e_machine));
    machine = bawn_cursor_u16(&c);
    bawn_cursor_seek(&c, offsetof(Elf64_Ehdr, e_phoff));
    elf->phoff = bawn_cursor_u64(&c);
    bawn_cursor_seek(&c, offsetof(Elf64_Ehdr, e_phentsize));
    phentsize = bawn_cursor_u16(&c);
    elf->phnum = bawn_cursor_u16(&c);
    if (c.failed)
        return bawn_fail(err, BAWN_E_FORMAT, "ELF kernel ends inside its header");
    if (ident[EI_CLASS] != ELFCLASS64 || ident[EI_DATA] != ELFDATA2LSB || machine != EM_X86_64)
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "ELF kernel has class %u, data %u, machine %u: must be 2, 1, 62 (x86-64)",
                         ident[EI_CLASS], ident[EI_DATA], machine);
    if (phentsize != sizeof(Elf64_Phdr) || !elf->phnum || elf->phnum > PHDRS_MAX)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "ELF kernel has %u program headers of %u bytes: must have 1 to %d of %zu",
                         elf->phnum, phentsize, PHDRS_MAX, sizeof(Elf64_Phdr));
    return BAWN_OK;
}

static enum bawn_status read_segment(const struct elf *elf, unsigned i, struct segment *seg,
                                     struct bawn_error *err)
{
    /* phnum is bounded, so only phoff can be out of range, and the slice checks that. */
    struct bawn_cursor table =
        bawn_cursor_slice(&elf->file, elf->phoff, (uint64_t)elf->phnum * sizeof(Elf64_Phdr));

    bawn_cursor_seek(&table, i * sizeof(Elf64_Phdr));
    seg->type = bawn_cursor_u32(&table);
    bawn_cursor_seek(&table, i * sizeof(Elf64_Phdr) + offsetof(Elf64_Phdr, p_offset));
    seg->offset = bawn_cursor_u64(&table);
    bawn_cursor_u64(&table); /* p_vaddr */
    seg->paddr = bawn_cursor_u64(&table);
    seg->filesz = bawn_cursor_u64(&table);
    seg->memsz = bawn_cursor_u64(&table);
    if (table.failed)
        return bawn_fail(err, BAWN_E_FORMAT, "ELF kernel's program headers lie outside the file");
    return BAWN_OK;
}

/* The one test of what is loaded, so that what is checked and what is copied are the same. */
static bool is_loaded(const struct segment *seg)
{
    return seg->type == PT_LOAD && (seg->filesz || seg->memsz);
}

/* Looks for the entry point among the notes of one PT_NOTE segment. */
static enum bawn_status read_notes(struct elf *elf, const struct segment *seg,
                                   struct bawn_error *err)
{
    struct bawn_cursor c = bawn_cursor_slice(&elf->file, seg->offset, seg->filesz);

    while (!c.failed && bawn_cursor_left(&c)) {
        uint64_t namesz = bawn_cursor_u32(&c);
        uint64_t descsz = bawn_cursor_u32(&c);
        uint32_t type = bawn_cursor_u32(&c);
        const uint8_t *name = bawn_cursor_take(&c, (namesz + NOTE_ALIGN - 1) & ~3ull);
        struct bawn_cursor desc = c;
        uint64_t padded = (descsz + NOTE_ALIGN - 1) & ~3ull;

        if (name && type == XEN_ELFNOTE_PHYS32_ENTRY && namesz == 4 && !memcmp(name, "Xen", 4) &&
            (descsz == 4 || descsz == 8)) {
            elf->entry = bawn_cursor_le(&desc, (unsigned)descsz);
            elf->has_entry = !desc.failed;
            return BAWN_OK;
        }
        /* The last note's padding may be missing. */
        bawn_cursor_take(&c, padded < bawn_cursor_left(&c) ? padded : descsz);
    }
    if (c.failed)
        return bawn_fail(err, BAWN_E_FORMAT, "ELF kernel's notes lie outside the file");
    return BAWN_OK;
}

static enum bawn_status check_load(struct elf *elf, const struct segment *seg, uint64_t ram_end,
                                   struct bawn_error *err)
{
    struct bawn_cursor bytes = bawn_cursor_slice(&elf->file, seg->offset, seg->filesz);
    uint64_t end;

    if (bytes.failed || seg->filesz > seg->memsz)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "ELF segment at 0x%" PRIx64 " has 0x%" PRIx64
                         " bytes at file offset 0x%" PRIx64
                         ": must be inside the file and at most its memory size",
                         seg->paddr, seg->filesz, seg->offset);
    if (__builtin_add_overflow(seg->paddr, seg->memsz, &end) || seg->paddr < HIGH_START ||
        end > ram_end)
        return bawn_fail(err, BAWN_E_CONFIG,
                         "ELF segment at 0x%" PRIx64 ", size 0x%" PRIx64
                         ": must lie between 1 MiB and RAM's end at 0x%" PRIx64,
                         seg->paddr, seg->memsz, ram_end);
    if (seg->paddr < elf->mem_end)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "ELF segment at 0x%" PRIx64
                         ": must come after the one that ends at 0x%" PRIx64,
                         seg->paddr, elf->mem_end);
    if (!elf->mem_end)
        elf->start = seg->paddr & ~(PAGE - 1);
    if (seg->filesz)
        elf->file_end = seg->paddr + seg->filesz;
    elf->mem_end = end;
    return BAWN_OK;
}

static enum bawn_status check_segments(struct elf *elf, uint64_t ram_end, struct bawn_error *err)
{
    for (unsigned i = 0; i < elf->phnum; i++) {
        struct segment seg;
        enum bawn_status st = read_segment(elf, i, &seg, err);

        if (st == BAWN_OK && is_loaded(&seg))
            st = check_load(elf, &seg, ram_end, err);
        else if (st == BAWN_OK && seg.type == PT_NOTE && !elf->has_entry)
            st = read_notes(elf, &seg, err);
        if (st != BAWN_OK)
            return st;
    }
    if (!elf->has_entry)
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "ELF kernel has no PVH note (Xen, type %d): must be built with PVH",
                         XEN_ELFNOTE_PHYS32_ENTRY);
    if (elf->entry < elf->start || elf->entry >= elf->file_end)
        return bawn_fail(err, BAWN_E_FORMAT,
                         "ELF kernel's PVH entry is 0x%" PRIx64 ": must be in 0x%" PRIx64
                         "..0x%" PRIx64,
                         elf->entry, elf->start, elf->file_end);
    if (elf->file_end - elf->start > IMAGE_MAX)
        return bawn_fail(err, BAWN_E_UNSUPPORTED,
                         "ELF kernel spans 0x%" PRIx64 " bytes of memory: at most 0x%llx",
                         elf->file_end - elf->start, IMAGE_MAX);
    return BAWN_OK;
}

static enum bawn_status place_image(struct bawn_launch_plan *plan, const struct elf *elf,
                                    struct bawn_error *err)
{
    size_t size = page_up(elf->file_end - elf->start);
    uint8_t *image = plan_alloc(plan, size);

    if (!image)
        return bawn_fail(err, BAWN_E_NOMEM, "out of memory for a kernel of %zu bytes", size);
    for (unsigned i = 0; i < elf->phnum; i++) {
        struct segment seg;
        struct bawn_cursor file = elf->file;
        const uint8_t *bytes;
        enum bawn_status st = read_segment(elf, i, &seg, err);

        if (st != BAWN_OK)
            return st;
        if (!is_loaded(&seg) || !seg.filesz) /* zeros alone may lie beyond the image */
            continue;
        bawn_cursor_seek(&file, seg.offset);
        bytes = bawn_cursor_take(&file, seg.filesz);
        if (bytes)
            memcpy(image + (seg.paddr - elf->start), bytes, seg.filesz);
    }
    return plan_add(plan, BAWN_MEASURE_KERNEL, elf->start, size, image, size, err);
}

static void put32(uint8_t *p, uint32_t v)
{
    v = htole32(v);
    memcpy(p, &v, sizeof(v));
}

static void put64(uint8_t *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof(v));
}

static enum bawn_status write_start_info(struct bawn_launch_plan *plan, const struct boot_input *in,
                                         uint64_t initrd, struct bawn_error *err)
{
    uint8_t *p = plan_alloc(plan, PAGE);
    struct mem_range map[MEM_RANGES_MAX];
    unsigned n = plan_memory_map(plan, map);

    if (!p)
        return bawn_fail(err, BAWN_E_NOMEM, "out of memory");
    put32(p, START_INFO_MAGIC);
    put32(p + 4, START_INFO_VERSION);
    put32(p + 12, initrd ? 1 : 0);
    put64(p + 16, initrd ? LOW_BOOT_INFO + MODLIST_AT : 0);
    put64(p + 24, LOW_CMDLINE);
    put64(p + 32, LOW_ACPI);
    put64(p + 40, LOW_BOOT_INFO + MEMMAP_AT);
    put32(p + 48, n);
    if (initrd) {
        put64(p + MODLIST_AT, initrd);
        put64(p + MODLIST_AT + 8, in->initrd_len);
    }
    for (unsigned i = 0; i < n; i++) {
        uint8_t *e = p + MEMMAP_AT + i * MEMMAP_ENTRY;

        put64(e, map[i].start);
        put64(e + 8, map[i].size);
        put32(e + 16, map[i].type);
    }
    return plan_add(plan, BAWN_MEASURE_BOOT_INFO, LOW_BOOT_INFO, PAGE, p, PAGE, err);
}

enum bawn_status pvh_plan(struct bawn_launch_plan *plan, const struct boot_input *in,
                          struct bawn_error *err)
{
    struct elf elf = { .file = bawn_cursor_over(in->kernel, in->kernel_len) };
    uint64_t initrd;
    enum bawn_status st;

    st = read_header(&elf, err);
    if (st == BAWN_OK)
        st = check_segments(&elf, plan->ram[0].size, err);
    if (st == BAWN_OK)
        st = place_image(plan, &elf, err);
    if (st == BAWN_OK)
        st = plan_initrd(plan, in, page_up(elf.mem_end), BAWN_HOLE_START, &initrd, err);
    if (st == BAWN_OK)
        st = write_start_info(plan, in, initrd, err);
    if (st == BAWN_OK)
        st = tables_plan_protected(plan, err);
    if (st != BAWN_OK)
        return st;
    plan->regs.rip = elf.entry;
    plan->regs.rbx = LOW_BOOT_INFO;
    return BAWN_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of launch/ share: the map of the guest's first MiB and the steps of a plan.
 * The configuration has been checked when these run; file contents have not.
 */
#ifndef BAWN_LAUNCH_INTERNAL_H
#define BAWN_LAUNCH_INTERNAL_H

#include <asm/bootparam.h>

#include "launch/launch.h"

#define PAGE 4096ull

/* Below 1 MiB. All of it but the ACPI tables may be reused once the guest has read it. */
#define LOW_TABLES 0x1000ull    /* GDT, then the page tables */
#define LOW_BOOT_INFO 0x8000ull /* boot_params or hvm_start_info: one page */
#define LOW_CMDLINE 0x20000ull
#define LOW_CMDLINE_MAX 0x10000ull /* with its NUL */
#define LOW_RAM_END 0x9fc00ull     /* where PC firmware keeps its data area */
#define LOW_ACPI 0xe0000ull        /* the area that is also scanned for the RSDP */
#define LOW_ACPI_MAX 0x10000ull
#define HIGH_START 0x100000ull

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline uint64_t page_up(uint64_t n)
{
    return (n + PAGE - 1) & ~(PAGE - 1);
}

/* A buffer on a list of those that are freed together, which begins as NULL; zeroed. NULL when
 * out of memory. */
uint8_t *owned_alloc(void **list, size_t len);
void owned_free(void *list);
/* One that belongs to the plan and goes with it. */
uint8_t *plan_alloc(struct bawn_launch_plan *plan, size_t len);
/* Adds a region; data is the plan's or borrowed. Order does not matter. */
enum bawn_status plan_add(struct bawn_launch_plan *plan, enum bawn_measure_type type, uint64_t gpa,
                          uint64_t size, const uint8_t *data, size_t data_len,
                          struct bawn_error *err);

/* What the guest is told of its memory. type: 1 RAM, 2 reserved (e820 and PVH agree). */
struct mem_range {
    uint64_t start;
    uint64_t size;
    uint32_t type;
};
#define MEM_RANGES_MAX 8
/* At most two stretches, below and above the hole. */
unsigned plan_ram(struct bawn_ram ram[2], uint64_t memory);
unsigned plan_memory_map(const struct bawn_launch_plan *plan, struct mem_range map[MEM_RANGES_MAX]);

/* The inputs of a plan, as the boot protocols need them. */
struct boot_input {
    const uint8_t *kernel;
    size_t kernel_len;
    const uint8_t *initrd;
    size_t initrd_len;
    const char *cmdline;
    size_t cmdline_len; /* without the NUL */
};

/* What is used of a bzImage, checked but for where it goes. */
struct bzimage {
    struct setup_header hdr;
    uint64_t setup_size;    /* bytes before the payload */
    const uint8_t *payload; /* the protected-mode part */
    size_t payload_len;     /* at most hdr.init_size */
};
enum bawn_status bzimage_read(struct bzimage *img, const struct boot_input *in,
                              struct bawn_error *err);

/*
 * The two boot protocols: place kernel, boot information and initrd, and set vCPU 0's state.
 * _match only looks at the magic.
 */
bool bzimage_match(const uint8_t *kernel, size_t len);
enum bawn_status bzimage_plan(struct bawn_launch_plan *plan, const struct boot_input *in,
                              struct bawn_error *err);
bool pvh_match(const uint8_t *kernel, size_t len);
enum bawn_status pvh_plan(struct bawn_launch_plan *plan, const struct boot_input *in,
                          struct bawn_error *err);

/*
 * Places the initrd as high as [floor, limit) of the RAM below the hole allows, on a page.
 * *gpa is 0 when there is none.
 */
enum bawn_status plan_initrd(struct bawn_launch_plan *plan, const struct boot_input *in,
                             uint64_t floor, uint64_t limit, uint64_t *gpa, struct bawn_error *err);

/* tables.c: descriptor tables, page tables and the vCPU state that goes with them. */
enum bawn_status tables_plan_long(struct bawn_launch_plan *plan, struct bawn_error *err);
enum bawn_status tables_plan_protected(struct bawn_launch_plan *plan, struct bawn_error *err);

/* reset.c: what a guest that resets through the BIOS's entry point runs. */
enum bawn_status reset_plan(struct bawn_launch_plan *plan, struct bawn_error *err);

/*
 * acpi.c: all tables in one area, the RSDP first. buf is zeroed, max bytes, and will stand at gpa;
 * *len of it are used.
 */
enum bawn_status acpi_build(uint8_t *buf, size_t max, uint64_t gpa,
                            const struct bawn_vm_config *cfg, size_t *len, struct bawn_error *err);
enum bawn_status acpi_plan(struct bawn_launch_plan *plan, const struct bawn_vm_config *cfg,
                           struct bawn_error *err);

#endif

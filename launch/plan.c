// SPDX-License-Identifier: Apache-2.0
/*
 * Puts a launch plan together: RAM, ACPI tables, command line, then the boot protocol's part.
 * The order of the regions and their not overlapping are checked here, for every plan.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "launch/internal.h"

/* The plan's own buffers, as a list so that they are freed together. */
struct owned {
    struct owned *next;
    uint8_t data[];
};

uint8_t *owned_alloc(void **list, size_t len)
{
    struct owned *o;
    size_t total;

    if (__builtin_add_overflow(sizeof(*o), len, &total))
        return NULL;
    o = calloc(1, total);
    if (!o)
        return NULL;
    o->next = *list;
    *list = o;
    return o->data;
}

void owned_free(void *list)
{
    struct owned *o = list;

    while (o) {
        struct owned *next = o->next;

        free(o);
        o = next;
    }
}

uint8_t *plan_alloc(struct bawn_launch_plan *plan, size_t len)
{
    return owned_alloc(&plan->owned, len);
}

void bawn_launch_plan_free(struct bawn_launch_plan *plan)
{
    owned_free(plan->owned);
    memset(plan, 0, sizeof(*plan));
}

enum bawn_status plan_add(struct bawn_launch_plan *plan, enum bawn_measure_type type, uint64_t gpa,
                          uint64_t size, const uint8_t *data, size_t data_len,
                          struct bawn_error *err)
{
    unsigned at = plan->nr_regions;

    if (at == BAWN_MEASURE_MAX_REGIONS)
        return bawn_fail(err, BAWN_E_INTERNAL, "more than %d regions", BAWN_MEASURE_MAX_REGIONS);
    for (; at > 0 && plan->region[at - 1].gpa > gpa; at--)
        plan->region[at] = plan->region[at - 1];
    plan->region[at] = (struct bawn_region){
        .type = type,
        .gpa = gpa,
        .size = size,
        .data = data,
        .data_len = data_len,
    };
    plan->nr_regions++;
    return BAWN_OK;
}

unsigned plan_ram(struct bawn_ram ram[2], uint64_t memory)
{
    uint64_t low = memory < BAWN_HOLE_START ? memory : BAWN_HOLE_START;

    ram[0] = (struct bawn_ram){ .gpa = 0, .size = low };
    ram[1] = (struct bawn_ram){ .gpa = BAWN_HIGH_RAM, .size = memory - low };
    return memory > low ? 2 : 1;
}

unsigned plan_memory_map(const struct bawn_launch_plan *plan, struct mem_range map[MEM_RANGES_MAX])
{
    enum { RAM = 1, RESERVED = 2 };
    unsigned n = 0;

    map[n++] = (struct mem_range){ 0, LOW_RAM_END, RAM };
    map[n++] = (struct mem_range){ LOW_RAM_END, HIGH_START - LOW_RAM_END, RESERVED };
    map[n++] = (struct mem_range){ HIGH_START, plan->ram[0].size - HIGH_START, RAM };
    map[n++] = (struct mem_range){ BAWN_ECAM_BASE, BAWN_ECAM_SIZE, RESERVED };
    if (plan->nr_ram > 1)
        map[n++] = (struct mem_range){ plan->ram[1].gpa, plan->ram[1].size, RAM };
    return n;
}

enum bawn_status plan_initrd(struct bawn_launch_plan *plan, const struct boot_input *in,
                             uint64_t floor, uint64_t limit, uint64_t *gpa, struct bawn_error *err)
{
    uint64_t size;

    *gpa = 0;
    if (!in->initrd_len)
        return BAWN_OK;
    if (limit > plan->ram[0].size)
        limit = plan->ram[0].size;
    limit &= ~(PAGE - 1);
    /* Compared before rounding up, which could wrap. */
    if (floor > limit || in->initrd_len > limit - floor || page_up(in->initrd_len) > limit - floor)
        return bawn_fail(err, BAWN_E_CONFIG,
                         "initrd of %zu bytes does not fit between the kernel's end, 0x%" PRIx64
                         ", and 0x%" PRIx64 ": give the VM more memory",
                         in->initrd_len, floor, limit);
    size = page_up(in->initrd_len);
    *gpa = limit - size;
    return plan_add(plan, BAWN_MEASURE_INITRD, *gpa, size, in->initrd, in->initrd_len, err);
}

static enum bawn_status plan_cmdline(struct bawn_launch_plan *plan, const struct boot_input *in,
                                     struct bawn_error *err)
{
    if (in->cmdline_len >= LOW_CMDLINE_MAX)
        return bawn_fail(err, BAWN_E_CONFIG, "command line of %zu bytes: at most %llu",
                         in->cmdline_len, LOW_CMDLINE_MAX - 1);
    /* The NUL is the first byte of the region's zero rest. */
    return plan_add(plan, BAWN_MEASURE_CMDLINE, LOW_CMDLINE, page_up(in->cmdline_len + 1),
                    (const uint8_t *)in->cmdline, in->cmdline_len, err);
}

static enum bawn_status plan_kernel(struct bawn_launch_plan *plan, const struct boot_input *in,
                                    struct bawn_error *err)
{
    if (bzimage_match(in->kernel, in->kernel_len))
        return bzimage_plan(plan, in, err);
    if (pvh_match(in->kernel, in->kernel_len))
        return pvh_plan(plan, in, err);
    return bawn_fail(err, BAWN_E_FORMAT,
                     "the kernel is neither a bzImage nor an ELF file: must be one of them");
}

/* Every file value went through range checks above; this holds whatever they missed. */
static enum bawn_status plan_verify(const struct bawn_launch_plan *plan, struct bawn_error *err)
{
    uint64_t free_from = 0;

    for (unsigned i = 0; i < plan->nr_regions; i++) {
        const struct bawn_region *r = &plan->region[i];
        uint64_t end;

        if (__builtin_add_overflow(r->gpa, r->size, &end) || !r->size || r->gpa % PAGE ||
            r->size % PAGE || r->data_len > r->size || r->gpa < free_from ||
            end > plan->ram[0].size)
            return bawn_fail(err, BAWN_E_FORMAT,
                             "region of type 0x%x at 0x%" PRIx64 ", size 0x%" PRIx64
                             ": overlaps another or leaves RAM",
                             r->type, r->gpa, r->size);
        free_from = end;
    }
    return BAWN_OK;
}

static enum bawn_status plan_all(struct bawn_launch_plan *plan, const struct bawn_vm_config *cfg,
                                 struct boot_input *in, struct bawn_error *err)
{
    char *cmdline;
    enum bawn_status st;

    plan->nr_ram = plan_ram(plan->ram, cfg->memory);
    cmdline = (char *)plan_alloc(plan, in->cmdline_len + 1);
    if (!cmdline)
        return bawn_fail(err, BAWN_E_NOMEM, "out of memory");
    memcpy(cmdline, in->cmdline, in->cmdline_len);
    in->cmdline = cmdline;
    st = plan_cmdline(plan, in, err);
    if (st == BAWN_OK)
        st = acpi_plan(plan, cfg, err);
    if (st == BAWN_OK)
        st = reset_plan(plan, err);
    if (st == BAWN_OK)
        st = plan_kernel(plan, in, err);
    return st == BAWN_OK ? plan_verify(plan, err) : st;
}

void bawn_launch_plan_ram(struct bawn_launch_plan *plan, const struct bawn_vm_config *cfg)
{
    memset(plan, 0, sizeof(*plan));
    plan->nr_ram = plan_ram(plan->ram, cfg->memory);
}

enum bawn_status bawn_launch_plan(struct bawn_launch_plan *plan, const struct bawn_vm_config *cfg,
                                  const uint8_t *kernel, size_t kernel_len, const uint8_t *initrd,
                                  size_t initrd_len, struct bawn_error *err)
{
    struct boot_input in = {
        .kernel = kernel,
        .kernel_len = kernel_len,
        .initrd = initrd,
        .initrd_len = initrd ? initrd_len : 0,
        .cmdline = cfg->cmdline ? cfg->cmdline : "",
    };
    enum bawn_status st;

    in.cmdline_len = strlen(in.cmdline);
    memset(plan, 0, sizeof(*plan));
    st = bawn_vm_config_check(cfg, err);
    if (st == BAWN_OK)
        st = plan_all(plan, cfg, &in, err);
    if (st != BAWN_OK)
        bawn_launch_plan_free(plan);
    return st;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Checks of the parameter page. See params.h.
 */
#include <string.h>

#include "guest/shim/layout.h"
#include "guest/shim/params.h"

#define LOW_4G (1ull << 32)
#define RSDP_SIZE 36 /* ACPI 6.5, 5.2.5.3 */

static bool zeros(const void *data, size_t n)
{
    const uint8_t *p = data;
    uint8_t any = 0;

    while (n--)
        any |= *p++;
    return !any;
}

/* No overflow, and below limit. */
static bool ends_by(uint64_t gpa, uint64_t size, uint64_t limit)
{
    return gpa <= limit && size <= limit - gpa;
}

static unsigned check_format(const struct bawn_shim_params *p)
{
    if (memcmp(p->magic, BAWN_SHIM_MAGIC, BAWN_SHIM_MAGIC_SIZE) != 0 ||
        p->version != BAWN_SHIM_VERSION || p->size != sizeof(*p))
        return BAWN_SHIM_FAIL_PARAM_MAGIC;
    if (p->flags || p->vcpus < 1 || p->vcpus > BAWN_SHIM_VCPUS_MAX || p->nr_ram < 1 ||
        p->nr_ram > BAWN_SHIM_RAM_MAX || p->reserved_0c4 ||
        !zeros(&p->ram[p->nr_ram], sizeof(p->ram[0]) * (BAWN_SHIM_RAM_MAX - p->nr_ram)) ||
        !zeros(p->reserved_2c8, sizeof(p->reserved_2c8)))
        return BAWN_SHIM_FAIL_PARAM_FORMAT;
    return 0;
}

static unsigned check_ram(const struct bawn_shim_params *p, unsigned cbit)
{
    uint64_t end = 0;

    for (uint32_t i = 0; i < p->nr_ram; i++) {
        const struct bawn_shim_range *r = &p->ram[i];

        if (!r->size || r->gpa % SHIM_PAGE || r->size % SHIM_PAGE || r->gpa < end ||
            !ends_by(r->gpa, r->size, 1ull << cbit))
            return BAWN_SHIM_FAIL_PARAM_RAM;
        end = r->gpa + r->size;
    }
    return 0;
}

bool shim_params_in_ram(const struct bawn_shim_params *p, uint64_t gpa, uint64_t size)
{
    for (uint32_t i = 0; i < p->nr_ram; i++)
        if (gpa >= p->ram[i].gpa && ends_by(gpa, size, p->ram[i].gpa + p->ram[i].size))
            return true;
    return false;
}

/* Puts the pages that the bytes touch in their place. False: they are others' or no RAM. */
static bool launch(const struct bawn_shim_params *p, struct shim_launched *l, uint64_t gpa,
                   uint64_t size)
{
    uint64_t start, end;
    unsigned at = l->count;

    if (!shim_params_in_ram(p, gpa, size))
        return false;
    start = gpa & ~(uint64_t)(SHIM_PAGE - 1);
    end = (gpa + size + SHIM_PAGE - 1) & ~(uint64_t)(SHIM_PAGE - 1);
    while (at && l->range[at - 1].gpa >= start) {
        l->range[at] = l->range[at - 1];
        at--;
    }
    if (at && l->range[at - 1].gpa + l->range[at - 1].size > start)
        return false;
    if (at < l->count && l->range[at + 1].gpa < end)
        return false;
    l->range[at] = (struct bawn_shim_range){ .gpa = start, .size = end - start };
    l->count++;
    return true;
}

static unsigned check_ranges(const struct bawn_shim_params *p, uint64_t image_size,
                             struct shim_launched *l)
{
    const struct bawn_shim_range *acpi = &p->acpi;

    *l = (struct shim_launched){ .count = 0 };
    if (acpi->gpa % SHIM_PAGE || acpi->size % SHIM_PAGE || p->rsdp < acpi->gpa ||
        !ends_by(acpi->gpa, acpi->size, LOW_4G) ||
        !ends_by(p->rsdp, RSDP_SIZE, acpi->gpa + acpi->size))
        return BAWN_SHIM_FAIL_PARAM_RANGE;
    if (!p->kernel.size || !ends_by(p->kernel.gpa, p->kernel.size, LOW_4G) ||
        p->initrd.gpa % SHIM_PAGE || !ends_by(p->initrd.gpa, p->initrd.size, LOW_4G) ||
        !p->cmdline.size || p->cmdline.gpa % SHIM_PAGE ||
        !ends_by(p->cmdline.gpa, p->cmdline.size, LOW_4G))
        return BAWN_SHIM_FAIL_PARAM_RANGE;
    if (!launch(p, l, BAWN_SHIM_IMAGE, image_size) ||
        !launch(p, l, BAWN_SHIM_PARAMS, BAWN_SHIM_WORK_END - BAWN_SHIM_PARAMS) ||
        !launch(p, l, acpi->gpa, acpi->size) || !launch(p, l, p->kernel.gpa, p->kernel.size) ||
        !launch(p, l, p->cmdline.gpa, p->cmdline.size))
        return BAWN_SHIM_FAIL_PARAM_RANGE;
    if (p->initrd.size ? !launch(p, l, p->initrd.gpa, p->initrd.size) : p->initrd.gpa != 0)
        return BAWN_SHIM_FAIL_PARAM_RANGE;
    return 0;
}

unsigned shim_params_check(const struct bawn_shim_params *p, uint64_t image_size, unsigned cbit,
                           struct shim_launched *launched)
{
    unsigned reason = check_format(p);

    if (!reason)
        reason = check_ram(p, cbit);
    if (!reason)
        reason = check_ranges(p, image_size, launched);
    return reason;
}

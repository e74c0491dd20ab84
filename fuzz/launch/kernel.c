// SPDX-License-Identifier: Apache-2.0
/*
 * A kernel image from anywhere: the launch plan, plain and for SEV-SNP, either refuses it or puts
 * everything into guest memory, in order and without overlap. Input: a byte of choices, a byte of
 * the initrd's size, then the image (bzImage or ELF).
 */
#include <stdlib.h>
#include <string.h>

#include "bawn/shim.h"
#include "launch/launch.h"
#include "launch/snp.h"

#define MUST(x)      \
    do {             \
        if (!(x))    \
            abort(); \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char name[] = "kernel", quiet[] = "quiet";

/* Every byte that would be placed is there to be read. */
static void read_all(const uint8_t *data, size_t len)
{
    volatile uint8_t sum = 0;

    for (size_t i = 0; i < len; i++)
        sum = (uint8_t)(sum + data[i]);
}

static void inside_ram(const struct bawn_ram *ram, unsigned nr, uint64_t gpa, uint64_t size)
{
    for (unsigned i = 0; i < nr; i++)
        if (gpa >= ram[i].gpa && size <= ram[i].size && gpa - ram[i].gpa <= ram[i].size - size)
            return;
    abort();
}

static void check_plan(const struct bawn_launch_plan *plan)
{
    uint64_t end = 0;

    for (unsigned i = 0; i < plan->nr_regions; i++) {
        const struct bawn_region *r = &plan->region[i];

        MUST(r->gpa >= end && r->size && r->data_len <= r->size);
        inside_ram(plan->ram, plan->nr_ram, r->gpa, r->size);
        read_all(r->data, r->data_len);
        end = r->gpa + r->size;
    }
    inside_ram(plan->ram, plan->nr_ram, plan->regs.rip, 1);
}

static void check_snp(const struct bawn_snp_launch *plan)
{
    for (unsigned i = 0; i < plan->nr_regions; i++) {
        const struct bawn_snp_region *r = &plan->region[i];

        inside_ram(plan->ram, plan->nr_ram, r->gpa, r->size);
        MUST(r->data_at <= r->size && r->data_len <= r->size - r->data_at);
        read_all(r->data, r->data_len);
        for (unsigned j = 0; j < i; j++)
            MUST(r->gpa >= plan->region[j].gpa + plan->region[j].size ||
                 plan->region[j].gpa >= r->gpa + r->size);
    }
}

/* The image has no more bytes than it says. */
static uint8_t *exactly(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);

    MUST(copy);
    memcpy(copy, data, size);
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t initrd[256], shim[8192];
    struct bawn_vm_config cfg;
    struct bawn_launch_plan plan;
    struct bawn_snp_launch snp;
    uint8_t *kernel;
    size_t initrd_len;

    if (size < 2)
        return 0;
    kernel = exactly(data + 2, size - 2);
    initrd_len = data[1];
    bawn_vm_config_init(&cfg);
    cfg.kernel = name;
    cfg.cmdline = data[0] & 1 ? quiet : NULL;
    cfg.memory = data[0] & 2 ? 4ull << 30 : BAWN_MEM_MIN;
    cfg.vcpus = data[0] & 4 ? BAWN_MAX_VCPUS : 1;
    if (bawn_launch_plan(&plan, &cfg, kernel, size - 2, initrd_len ? initrd : NULL, initrd_len,
                         NULL) == BAWN_OK) {
        check_plan(&plan);
        bawn_launch_plan_free(&plan);
    }
    cfg.snp.on = true;
    cfg.snp.policy = 0x30000;
    if (data[0] & 8 && bawn_snp_launch_plan(&snp, &cfg,
                                            &(struct bawn_snp_files){ { shim, sizeof(shim) },
                                                                      { kernel, size - 2 },
                                                                      { initrd, initrd_len } },
                                            NULL) == BAWN_OK) {
        check_snp(&snp);
        bawn_snp_launch_free(&snp);
    }
    free(kernel);
    return 0;
}

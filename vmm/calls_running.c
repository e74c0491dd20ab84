// SPDX-License-Identifier: Apache-2.0
/*
 * The calls that change a machine that runs. What a body says was read by calls_config.c; what the
 * guest makes of it is the guest's.
 */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

#include "calls.h"

#define PAGE 4096u
#define MIB(bytes) ((unsigned long long)((bytes) >> 20))

/* Memory is what the balloon leaves; what the balloon is to have then. */
static enum bawn_status balloon_for(const struct bawn_vm_config *cfg, const struct bawn_wish *w,
                                    uint64_t *size, struct bawn_error *err)
{
    bool ram = w->ram != BAWN_NO_WISH, balloon = w->balloon != BAWN_NO_WISH;

    *size = balloon ? w->balloon : ram ? cfg->memory - w->ram : cfg->balloon.size;
    if (ram && w->ram > cfg->memory)
        return bawn_fail(err, BAWN_E_CONFIG,
                         "the machine was started with %llu MiB: more memory can be given to it "
                         "before the first boot only",
                         MIB(cfg->memory));
    if (ram && balloon && w->ram != cfg->memory && w->ram != cfg->memory - w->balloon)
        return bawn_fail(err, BAWN_E_CONFIG,
                         "desired_ram and desired_balloon disagree: of %llu MiB the guest has what "
                         "the balloon leaves",
                         MIB(cfg->memory));
    if (*size % PAGE || *size >= cfg->memory)
        return bawn_fail(err, BAWN_E_CONFIG,
                         "the balloon must be smaller than the machine's memory, %llu MiB, and a "
                         "multiple of %u bytes",
                         MIB(cfg->memory), PAGE);
    return cfg->balloon.on || !*size
               ? BAWN_OK
               : bawn_fail(err, BAWN_E_CONFIG,
                           "this machine has no balloon, which gives memory back while it runs "
                           "(bawn run --balloon size=0)");
}

/* Another number of vCPUs. */
static enum bawn_status check_vcpus(const struct bawn_run *r, uint64_t n, struct bawn_error *err)
{
    const struct bawn_vm_config *cfg = &r->opt.cfg;
    unsigned max = bawn_vm_config_max_vcpus(cfg);

    if (cfg->snp.on)
        return bawn_fail(err, BAWN_E_CONFIG,
                         "a confidential machine keeps its %u vCPUs: they were measured at its "
                         "launch",
                         cfg->vcpus);
    if (r->opt.policy)
        return bawn_fail(err, BAWN_E_DENIED,
                         "this machine was judged by a launch policy, with the vCPUs that it had: "
                         "it keeps them");
    if (max == cfg->vcpus)
        return bawn_fail(err, BAWN_E_CONFIG,
                         "the machine was started with %u vCPUs, and not with room for more (bawn "
                         "run --cpus boot=%u,max=N): their number can be changed before the first "
                         "boot only",
                         max, max);
    return n >= 1 && n <= max ? BAWN_OK
                              : bawn_fail(err, BAWN_E_CONFIG,
                                          "the machine was started to have 1 to %u vCPUs", max);
}

enum bawn_status bawn_running_resize(struct bawn_run *r, const struct bawn_wish *w,
                                     struct bawn_error *err)
{
    const struct bawn_vm_config *cfg = &r->opt.cfg;
    struct virtio_balloon_config config = { 0 };
    bool vcpus = w->vcpus != BAWN_NO_WISH && w->vcpus != bawn_run_vcpus(r);
    enum bawn_status st = balloon_for(cfg, w, &r->balloon, err);

    if (!st && vcpus)
        st = check_vcpus(r, w->vcpus, err);
    if (st)
        return st;
    if (vcpus && r->balloon != cfg->balloon.size)
        return bawn_fail(err, BAWN_E_CONFIG,
                         "of a machine that runs vCPUs and memory are changed one after the other");
    if (vcpus)
        return bawn_boot_cpus(&r->boot, (unsigned)w->vcpus, err);
    if (r->balloon == cfg->balloon.size) {
        bawn_control_answer(r, 204, "");
        return BAWN_OK;
    }
    config.num_pages = htole32((uint32_t)(r->balloon / PAGE));
    return bawn_boot_configure(&r->boot, &r->boot.devices.balloon.vdev, &config, sizeof(config))
               ? BAWN_OK
               : bawn_fail(err, BAWN_E_IO,
                           "the machine is busy: it ends, or does as it was told before");
}

/* ---- devices ---- */

static enum bawn_status open_last(struct bawn_run *r, bool disk, struct bawn_error *err)
{
    struct bawn_vm_config *cfg = &r->opt.cfg;
    enum bawn_status st = bawn_vm_config_place(cfg, err);

    if (st)
        return st;
    r->slot = disk ? cfg->disk[cfg->nr_disks - 1].slot : cfg->net[cfg->nr_nets - 1].slot;
    return disk ? bawn_run_open_disk(r, cfg->nr_disks - 1, err)
                : bawn_run_open_net(r, cfg->nr_nets - 1, err);
}

static enum bawn_status no_hotplug(struct bawn_error *err)
{
    return bawn_fail(err, BAWN_E_CONFIG,
                     "this machine has no hot-plug: what attests a confidential guest would not "
                     "know of it, unless its configuration, and so the launch digest, says so "
                     "(platform.hotplug, --hotplug on)");
}

enum bawn_status bawn_running_add(struct bawn_run *r, bool disk, struct bawn_error *err)
{
    enum bawn_status st;

    if (!bawn_vm_config_hotplug(&r->opt.cfg))
        return no_hotplug(err);
    if (r->opt.policy)
        return bawn_fail(err, BAWN_E_DENIED,
                         "this machine was judged by a launch policy, with the devices that it "
                         "had: none comes later");
    r->slot = 0;
    st = open_last(r, disk, err);
    if (!st)
        st = bawn_boot_plug(&r->boot, r->slot, err);
    if (st && r->slot)
        bawn_run_close_slot(r, r->slot);
    return st;
}

enum bawn_status bawn_running_remove(struct bawn_run *r, unsigned slot, struct bawn_error *err)
{
    if (!slot)
        return bawn_fail(err, BAWN_E_CONFIG, "there is no disk or network device of this id");
    return bawn_vm_config_hotplug(&r->opt.cfg) ? bawn_boot_unplug(&r->boot, slot, err)
                                               : no_hotplug(err);
}

/* As Cloud Hypervisor's PciDeviceInfo. */
static void answer_plugged(struct bawn_run *r)
{
    const struct bawn_vm_config *cfg = &r->opt.cfg;
    const char *id = "";
    char bdf[16], *text;
    json_t *info;

    for (unsigned i = 0; i < cfg->nr_disks; i++)
        id = cfg->disk[i].slot == r->slot ? cfg->disk[i].id : id;
    for (unsigned i = 0; i < cfg->nr_nets; i++)
        id = cfg->net[i].slot == r->slot ? cfg->net[i].id : id;
    snprintf(bdf, sizeof(bdf), "0000:00:%02x.0", r->slot);
    info = json_pack("{ssss}", "id", id, "bdf", bdf);
    text = info ? json_dumps(info, JSON_COMPACT) : NULL;
    bawn_control_answer(r, 200, text ? text : "{}");
    free(text);
    json_decref(info);
}

void bawn_running_ordered(struct bawn_run *r, enum bawn_order order, const char *why)
{
    if (order == BAWN_ORDER_CONFIG && !*why)
        r->opt.cfg.balloon.size = r->balloon; /* at the next boot too, */
    if (order == BAWN_ORDER_CPUS && !*why)
        r->parts.vcpus = bawn_run_vcpus(r); /* if these are more than the configuration's */
    if (order == BAWN_ORDER_PLUG && !*why)
        answer_plugged(r);
}

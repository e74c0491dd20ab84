// SPDX-License-Identifier: Apache-2.0
/*
 * The module's dirty log (KVM's api.rst, 4.8 and 4.35): what vCPUs and the module itself write to
 * guest memory. Trusts the module.
 */
#include <sys/ioctl.h>

#include "track.h"
#include "vm.h"

static enum bawn_status set_log(const struct bawn_vm *vm, bool on, struct bawn_error *err)
{
    const struct bawn_mem *mem = vm->parts->mem;

    for (unsigned i = 0; i < mem->nr; i++) {
        struct kvm_userspace_memory_region slot = {
            .slot = i,
            .flags = on ? KVM_MEM_LOG_DIRTY_PAGES : 0,
            .guest_phys_addr = mem->range[i].gpa,
            .memory_size = mem->range[i].size,
            .userspace_addr = (uintptr_t)mem->range[i].host,
        };

        if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot))
            return bawn_fail(err, BAWN_E_IO, "the module's log of written pages: %m");
    }
    return BAWN_OK;
}

enum bawn_status bawn_track(struct bawn_vm *vm, bool on, struct bawn_error *err)
{
    const struct bawn_mem *mem = vm->parts->mem;
    enum bawn_status st;

    if (vm->parts->snp)
        return bawn_fail(err, BAWN_E_UNSUPPORTED, "private memory has no log of written pages");
    if (bawn_dirty_tracked(mem) == on)
        return BAWN_OK;
    st = set_log(vm, on, err);
    if (!st || !on)
        bawn_dirty_track(mem, on);
    return st;
}

enum bawn_status bawn_track_harvest(struct bawn_vm *vm, struct bawn_error *err)
{
    const struct bawn_mem *mem = vm->parts->mem;

    for (unsigned i = 0; i < mem->nr && bawn_dirty_tracked(mem); i++) {
        struct kvm_dirty_log log = { .slot = i, .dirty_bitmap = mem->dirty.log[i] };

        if (ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log))
            return bawn_fail(err, BAWN_E_IO, "KVM_GET_DIRTY_LOG: %m");
        bawn_dirty_merge(mem, i);
    }
    return BAWN_OK;
}

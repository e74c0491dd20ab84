// SPDX-License-Identifier: Apache-2.0
/*
 * Exit counts at the end of a run: to userspace, as the VMM saw them, and the module's own
 * from KVM_GET_STATS_FD. Trusts the module's descriptors after checking their bounds.
 */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vm.h"

#define MAX_STATS 512
#define NAME_MAX_SIZE 256

static void print_one(int fd, const struct kvm_stats_header *h, const struct kvm_stats_desc *d,
                      unsigned vcpu)
{
    uint64_t val;

    if (d->size != 1 || (d->flags & KVM_STATS_TYPE_MASK) != KVM_STATS_TYPE_CUMULATIVE)
        return;
    if (pread(fd, &val, sizeof(val), (off_t)h->data_offset + d->offset) == sizeof(val) && val)
        fprintf(stderr, "bawn: vcpu %u: module %.*s %llu\n", vcpu, (int)h->name_size, d->name,
                (unsigned long long)val);
}

/* Inside the sandbox: descriptors are left to the end of the process, memory is not allocated. */
static void print_module_stats(const struct bawn_vcpu *vcpu)
{
    static union {
        struct kvm_stats_desc desc;
        char room[sizeof(struct kvm_stats_desc) + NAME_MAX_SIZE];
    } d;
    int fd = ioctl(vcpu->fd, KVM_GET_STATS_FD, NULL);
    struct kvm_stats_header h;
    size_t size;

    if (fd < 0 || pread(fd, &h, sizeof(h), 0) != sizeof(h) || h.num_desc > MAX_STATS ||
        h.name_size > NAME_MAX_SIZE)
        return;
    size = sizeof(d.desc) + h.name_size;
    for (unsigned i = 0; i < h.num_desc; i++) {
        if (pread(fd, &d, size, (off_t)h.desc_offset + i * size) == (ssize_t)size)
            print_one(fd, &h, &d.desc, vcpu->id);
    }
}

void bawn_stats_print(const struct bawn_vm *vm)
{
    for (unsigned i = 0; i < vm->nr_vcpus; i++) {
        for (unsigned n = 0; n < BAWN_NR_EXITS; n++) {
            if (vm->vcpu[i].exits[n])
                fprintf(stderr, "bawn: vcpu %u: userspace %s %llu\n", i, bawn_exit_name(n),
                        (unsigned long long)vm->vcpu[i].exits[n]);
        }
        if (vm->parts->accel->stats)
            print_module_stats(&vm->vcpu[i]);
    }
}

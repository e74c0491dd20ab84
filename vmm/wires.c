// SPDX-License-Identifier: Apache-2.0
/*
 * Interrupts and doorbells over KVM: SIGNAL_MSI, SET_GSI_ROUTING, IRQFD, IOEVENTFD.
 * Addresses and data were chosen by the guest; the module checks what they mean.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "wires.h"

static void kvm_msi(void *opaque, uint64_t addr, uint32_t data)
{
    struct bawn_kvm_wires *k = opaque;
    struct kvm_msi msi = { .address_lo = addr, .address_hi = addr >> 32, .data = data };

    /* A message that no APIC accepts is lost, as on a real bus. */
    ioctl(k->vm_fd, KVM_SIGNAL_MSI, &msi);
}

static int set_routes(struct bawn_kvm_wires *k)
{
    struct {
        struct kvm_irq_routing head;
        struct kvm_irq_routing_entry entry[BAWN_MAX_GSI];
    } table;
    struct kvm_irq_routing_entry *e;

    memset(&table, 0, sizeof(table));
    for (unsigned i = 0; i < BAWN_MAX_GSI; i++) {
        if (!k->route[i].on)
            continue;
        e = &table.entry[table.head.nr++];
        e->gsi = i;
        e->type = KVM_IRQ_ROUTING_MSI;
        e->u.msi.address_lo = k->route[i].addr;
        e->u.msi.address_hi = k->route[i].addr >> 32;
        e->u.msi.data = k->route[i].data;
    }
    return ioctl(k->vm_fd, KVM_SET_GSI_ROUTING, &table);
}

static void kvm_route(void *opaque, unsigned gsi, bool on, uint64_t addr, uint32_t data)
{
    struct bawn_kvm_wires *k = opaque;

    if (gsi >= BAWN_MAX_GSI)
        return;
    if (k->route[gsi].on == on &&
        (!on || (k->route[gsi].addr == addr && k->route[gsi].data == data)))
        return;
    k->route[gsi].on = on;
    k->route[gsi].addr = addr;
    k->route[gsi].data = data;
    if (!set_routes(k))
        return;
    if (!k->warned)
        fprintf(stderr, "bawn: GSI %u: the module refuses message %#llx %#x: %m\n", gsi,
                (unsigned long long)addr, data);
    k->warned = true;
    /* The guest's message is no valid one: it is lost, and so is what stood there before;
     * the other routes must not be. */
    k->route[gsi].on = false;
    set_routes(k);
}

static int kvm_irqfd(void *opaque, unsigned gsi, int fd, bool on)
{
    struct bawn_kvm_wires *k = opaque;
    struct kvm_irqfd req = { .fd = fd, .gsi = gsi, .flags = on ? 0 : KVM_IRQFD_FLAG_DEASSIGN };

    return ioctl(k->vm_fd, KVM_IRQFD, &req) ? -errno : 0;
}

static int kvm_ioeventfd(void *opaque, uint64_t gpa, int fd, bool on)
{
    struct bawn_kvm_wires *k = opaque;
    struct kvm_ioeventfd req = { .addr = gpa, .len = 2, .fd = fd };

    if (!on)
        req.flags = KVM_IOEVENTFD_FLAG_DEASSIGN;
    return ioctl(k->vm_fd, KVM_IOEVENTFD, &req) ? -errno : 0;
}

static const struct bawn_wires_ops kvm_wires_ops = {
    .msi = kvm_msi,
    .route = kvm_route,
    .irqfd = kvm_irqfd,
    .ioeventfd = kvm_ioeventfd,
};

void bawn_kvm_wires_init(struct bawn_wires *wires, struct bawn_kvm_wires *kvm, int vm_fd)
{
    memset(kvm, 0, sizeof(*kvm));
    kvm->vm_fd = vm_fd;
    *wires = (struct bawn_wires){ &kvm_wires_ops, kvm, BAWN_IOAPIC_PINS };
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts of devices: MSI messages, the GSI routing table that holds them decoded, and which
 * vectors userspace's IOAPIC wants to hear the end of. Routes are hostile input from the VMM: a
 * message has no more power than a device's MSI has.
 *
 * The table is immutable: replaced whole under irq_lock, read under irq_srcu in any context.
 */
#include <linux/nospec.h>
#include <linux/slab.h>

#include "lapic.h"

struct bawn_irq_table {
	unsigned int nr;
	/* By GSI. Messages of devices assert: one that does not stands for no route. */
	struct bawn_irq_msg route[] __counted_by(nr);
};

int bawn_irq_init(struct bawn_vm *vm)
{
	mutex_init(&vm->irq_lock);
	spin_lock_init(&vm->irqfd_lock);
	INIT_LIST_HEAD(&vm->irqfds);
	INIT_LIST_HEAD(&vm->ioeventfds);
	RCU_INIT_POINTER(vm->irq_table, NULL);
	return init_srcu_struct(&vm->irq_srcu);
}

/* After bawn_eventfds_release(), with no vCPU left. */
void bawn_irq_destroy(struct bawn_vm *vm)
{
	bawn_ioeventfds_destroy(vm);
	kvfree(rcu_dereference_protected(vm->irq_table, true));
	cleanup_srcu_struct(&vm->irq_srcu);
}

/*
 * SDM vol. 3 11.11. The level bit of an MSI is no message of its own: always assert. With 32-bit
 * ids the high address has bits 31..8 of the destination, and nothing else.
 */
static int decode_msi(struct bawn_vm *vm, u32 lo, u32 hi, u32 data, struct bawn_irq_msg *msg)
{
	if (vm->x2apic_api && hi & 0xff)
		return -EINVAL;
	*msg = (struct bawn_irq_msg) {
		.dest = ((lo >> 12) & 0xff) | (vm->x2apic_api ? hi : 0),
		.vector = data & 0xff,
		.mode = (data >> 8) & 7,
		.logical = lo & BIT(2),
		.redir_hint = lo & BIT(3),
		.level = data & BIT(15),
		.assert = true,
	};
	return 0;
}

/* KVM_SIGNAL_MSI: how many vCPUs took it, 0 when it was blocked, -1 when nobody is there. */
int bawn_signal_msi(struct bawn_vm *vm, const struct kvm_msi *msi)
{
	struct bawn_irq_msg msg;

	if (!vm->split_irqchip || msi->flags & ~KVM_MSI_VALID_DEVID ||
	    decode_msi(vm, msi->address_lo, msi->address_hi, msi->data, &msg))
		return -EINVAL;
	return bawn_irq_deliver(vm, NULL, &msg);
}

/* As bawn_signal_msi(); -1 too when the GSI has no route, or for level 0 (an MSI has no end). */
int bawn_gsi_inject(struct bawn_vm *vm, u32 gsi, int level)
{
	const struct bawn_irq_table *table;
	const struct bawn_irq_msg *msg;
	int idx, r = -1;

	if (!level)
		return -1;
	idx = srcu_read_lock(&vm->irq_srcu);
	table = srcu_dereference(vm->irq_table, &vm->irq_srcu);
	if (table && gsi < table->nr) {
		msg = &table->route[array_index_nospec(gsi, table->nr)];
		if (msg->assert)
			r = bawn_irq_deliver(vm, NULL, msg);
	}
	srcu_read_unlock(&vm->irq_srcu, idx);
	return r;
}

/* KVM_IRQ_LINE and KVM_IRQ_LINE_STATUS: level->status is bawn_gsi_inject()'s answer. */
int bawn_irq_line(struct bawn_vm *vm, struct kvm_irq_level *level)
{
	level->status = bawn_gsi_inject(vm, level->irq, level->level);
	return 0;
}

/* IRQCHIP routes want a chip in the kernel. */
static int add_route(struct bawn_vm *vm, struct bawn_irq_table *table,
		     const struct kvm_irq_routing_entry *e)
{
	struct bawn_irq_msg *msg = &table->route[array_index_nospec(e->gsi, table->nr)];

	if (e->type != KVM_IRQ_ROUTING_MSI || e->flags & ~KVM_MSI_VALID_DEVID || msg->assert)
		return -EINVAL;
	return decode_msi(vm, e->u.msi.address_lo, e->u.msi.address_hi, e->u.msi.data, msg);
}

static struct bawn_irq_table *build_table(struct bawn_vm *vm,
					  const struct kvm_irq_routing_entry *entries, u32 count)
{
	struct bawn_irq_table *table;
	u32 i, nr = 0;
	int r = 0;

	for (i = 0; i < count; i++) {
		if (entries[i].gsi >= BAWN_MAX_GSI)
			return ERR_PTR(-EINVAL);
		nr = max(nr, entries[i].gsi + 1);
	}
	table = kvzalloc(struct_size(table, route, nr), GFP_KERNEL_ACCOUNT);
	if (!table)
		return ERR_PTR(-ENOMEM);
	table->nr = nr;
	for (i = 0; i < count && !r; i++)
		r = add_route(vm, table, &entries[i]);
	if (!r)
		return table;
	kvfree(table);
	return ERR_PTR(r);
}

/* KVM_SET_GSI_ROUTING: when it returns, no interrupt goes by the old table any more. */
int bawn_set_routing(struct bawn_vm *vm, struct kvm_irq_routing __user *arg)
{
	struct kvm_irq_routing_entry *entries;
	struct bawn_irq_table *table;
	struct kvm_irq_routing head;

	if (copy_from_user(&head, arg, sizeof(head)))
		return -EFAULT;
	if (!vm->split_irqchip || head.nr > BAWN_MAX_GSI || head.flags)
		return -EINVAL;
	entries = vmemdup_user(arg->entries, array_size(head.nr, sizeof(*entries)));
	if (IS_ERR(entries))
		return PTR_ERR(entries);
	table = build_table(vm, entries, head.nr);
	kvfree(entries);
	if (IS_ERR(table))
		return PTR_ERR(table);

	mutex_lock(&vm->irq_lock);
	table = rcu_replace_pointer(vm->irq_table, table, lockdep_is_held(&vm->irq_lock));
	bawn_request_all(vm, BAWN_REQ_SCAN_EOI, false);
	synchronize_srcu_expedited(&vm->irq_srcu);
	mutex_unlock(&vm->irq_lock);
	kvfree(table);
	return 0;
}

/*
 * Which vectors of this vCPU come from level-triggered pins of userspace's IOAPIC: their EOI
 * leaves to userspace. A vector still in service counts although its route has gone elsewhere.
 */
void bawn_scan_eoi(struct bawn_vcpu *vcpu)
{
	const struct bawn_irq_table *table;
	struct bawn_vm *vm = vcpu->vm;
	unsigned int i, nr;
	int idx;

	bitmap_zero(vcpu->eoi_exit, 256);
	idx = srcu_read_lock(&vm->irq_srcu);
	table = srcu_dereference(vm->irq_table, &vm->irq_srcu);
	nr = table ? min(table->nr, vm->ioapic_pins) : 0;
	for (i = 0; i < nr; i++) {
		const struct bawn_irq_msg *msg = &table->route[i];

		if (msg->level && (lapic_match(vcpu, NULL, msg->dest, msg->logical) ||
				   lapic_holds(vcpu, msg->vector)))
			__set_bit(msg->vector, vcpu->eoi_exit);
	}
	srcu_read_unlock(&vm->irq_srcu, idx);
}

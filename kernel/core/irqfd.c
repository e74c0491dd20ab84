// SPDX-License-Identifier: GPL-2.0-only
/*
 * Eventfds as interrupts into the guest (KVM_IRQFD) and as doorbells out of it (KVM_IOEVENTFD).
 * The VMM may close, signal or hand on any of these eventfds at any time.
 *
 * An irqfd belongs to whoever takes it off vm->irqfds under irqfd_lock: KVM_IRQFD with DEASSIGN,
 * the release of the VM file, or the eventfd's own end (EPOLLHUP), which cannot sleep and leaves
 * the rest to a work item.
 */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "bawn.h"

#define BAWN_MAX_IOEVENTFDS 1000

struct bawn_irqfd {
	struct list_head list;
	struct bawn_vm *vm;
	struct eventfd_ctx *ctx;
	u32 gsi;
	wait_queue_entry_t wait;
	poll_table pt;
	struct work_struct shutdown;
};

struct bawn_ioeventfd {
	struct list_head list; /* vm->ioeventfds */
	struct eventfd_ctx *ctx;
	u64 addr;
	u64 datamatch;
	u32 len; /* 0: any */
	bool pio;
	bool match; /* datamatch counts */
};

static struct workqueue_struct *irqfd_wq;

int bawn_irqfd_init(void)
{
	irqfd_wq = alloc_workqueue("bawn-irqfd", WQ_UNBOUND, 0);
	return irqfd_wq ? 0 : -ENOMEM;
}

void bawn_irqfd_exit(void)
{
	destroy_workqueue(irqfd_wq);
}

/* ---- irqfd ---- */

/* By the owner. When the wait queue is left, no wakeup is running or will come. */
static void irqfd_free(struct bawn_irqfd *irqfd)
{
	u64 count;

	eventfd_ctx_remove_wait_queue(irqfd->ctx, &irqfd->wait, &count);
	eventfd_ctx_put(irqfd->ctx);
	kfree(irqfd);
}

static void irqfd_shutdown(struct work_struct *work)
{
	irqfd_free(container_of(work, struct bawn_irqfd, shutdown));
}

/* Called by the eventfd with its wait queue's lock held and interrupts off. */
static int irqfd_wakeup(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct bawn_irqfd *irqfd = container_of(wait, struct bawn_irqfd, wait);
	__poll_t events = key_to_poll(key);
	struct bawn_vm *vm = irqfd->vm;
	unsigned long flags;
	u64 count;

	if (events & EPOLLIN) {
		eventfd_ctx_do_read(irqfd->ctx, &count);
		bawn_gsi_inject(vm, irqfd->gsi, 1);
	}
	if (events & EPOLLHUP) {
		spin_lock_irqsave(&vm->irqfd_lock, flags);
		if (!list_empty(&irqfd->list)) {
			list_del_init(&irqfd->list);
			queue_work(irqfd_wq, &irqfd->shutdown);
		}
		spin_unlock_irqrestore(&vm->irqfd_lock, flags);
	}
	return 0;
}

static void irqfd_queue(struct file *file, wait_queue_head_t *head, poll_table *pt)
{
	add_wait_queue(head, &container_of(pt, struct bawn_irqfd, pt)->wait);
}

/* irq_lock held, file referenced: so neither DEASSIGN nor EPOLLHUP comes in between. */
static int irqfd_assign(struct bawn_vm *vm, struct file *file, struct eventfd_ctx *ctx, u32 gsi)
{
	struct bawn_irqfd *irqfd = kzalloc(sizeof(*irqfd), GFP_KERNEL_ACCOUNT);
	struct bawn_irqfd *other;
	int r = 0;

	if (!irqfd)
		return -ENOMEM;
	irqfd->vm = vm;
	irqfd->ctx = ctx;
	irqfd->gsi = gsi;
	INIT_WORK(&irqfd->shutdown, irqfd_shutdown);
	init_waitqueue_func_entry(&irqfd->wait, irqfd_wakeup);
	init_poll_funcptr(&irqfd->pt, irqfd_queue);

	spin_lock_irq(&vm->irqfd_lock);
	list_for_each_entry(other, &vm->irqfds, list)
		if (other->ctx == ctx)
			r = -EBUSY;
	if (!r)
		list_add_tail(&irqfd->list, &vm->irqfds);
	spin_unlock_irq(&vm->irqfd_lock);
	if (r) {
		kfree(irqfd);
		return r;
	}
	/* Joins the wait queue; an event that was already there is injected now. */
	if (vfs_poll(file, &irqfd->pt) & EPOLLIN)
		bawn_gsi_inject(vm, gsi, 1);
	return 0;
}

/* Takes the irqfd of ctx and gsi off the list, or any when ctx is NULL; true when there was one. */
static bool irqfd_remove(struct bawn_vm *vm, struct eventfd_ctx *ctx, u32 gsi)
{
	struct bawn_irqfd *irqfd, *found = NULL;

	spin_lock_irq(&vm->irqfd_lock);
	list_for_each_entry(irqfd, &vm->irqfds, list) {
		if (!ctx || (irqfd->ctx == ctx && irqfd->gsi == gsi)) {
			found = irqfd;
			list_del_init(&found->list);
			break;
		}
	}
	spin_unlock_irq(&vm->irqfd_lock);
	if (found)
		irqfd_free(found);
	return found;
}

/*
 * KVM_IRQFD. After DEASSIGN no interrupt comes from the eventfd; one that was not assigned is
 * no error.
 */
int bawn_irqfd(struct bawn_vm *vm, const struct kvm_irqfd *args)
{
	struct eventfd_ctx *ctx;
	struct file *file;
	int r = 0;

	if (args->flags & ~KVM_IRQFD_FLAG_DEASSIGN || (!vm->split_irqchip && !args->flags))
		return -EINVAL;
	file = fget(args->fd);
	if (!file)
		return -EBADF;
	ctx = eventfd_ctx_fileget(file);
	if (IS_ERR(ctx)) {
		fput(file);
		return PTR_ERR(ctx);
	}
	mutex_lock(&vm->irq_lock);
	if (args->flags & KVM_IRQFD_FLAG_DEASSIGN)
		irqfd_remove(vm, ctx, args->gsi);
	else
		r = irqfd_assign(vm, file, ctx, args->gsi);
	mutex_unlock(&vm->irq_lock);
	/* An irqfd that was assigned owns the context's reference. */
	if (r || (args->flags & KVM_IRQFD_FLAG_DEASSIGN))
		eventfd_ctx_put(ctx);
	fput(file);
	return r;
}

/* The VM file is closed: no ioctl assigns any more. */
void bawn_eventfds_release(struct bawn_vm *vm)
{
	mutex_lock(&vm->irq_lock);
	while (irqfd_remove(vm, NULL, 0))
		;
	mutex_unlock(&vm->irq_lock);
	/* Those whose eventfd ended have their work queued: their wakeups still know the VM. */
	flush_workqueue(irqfd_wq);
}

/* ---- ioeventfd ---- */

/* Would some write ring both? */
static bool collides(const struct bawn_ioeventfd *a, const struct bawn_ioeventfd *b)
{
	return a->pio == b->pio && a->addr == b->addr &&
	       (!a->len || !b->len ||
		(a->len == b->len && (!a->match || !b->match || a->datamatch == b->datamatch)));
}

static int ioeventfd_assign(struct bawn_vm *vm, const struct bawn_ioeventfd *want)
{
	struct bawn_ioeventfd *new, *other;
	unsigned int n = 0;
	int r = 0;

	new = kmemdup(want, sizeof(*want), GFP_KERNEL_ACCOUNT);
	if (!new)
		return -ENOMEM;
	mutex_lock(&vm->slots_lock);
	list_for_each_entry(other, &vm->ioeventfds, list) {
		n++;
		if (collides(other, new))
			r = -EEXIST;
	}
	if (!r && n >= BAWN_MAX_IOEVENTFDS)
		r = -ENOSPC;
	if (!r)
		list_add_tail_rcu(&new->list, &vm->ioeventfds);
	mutex_unlock(&vm->slots_lock);
	if (r)
		kfree(new);
	return r;
}

static void ioeventfd_free(struct bawn_ioeventfd *p)
{
	eventfd_ctx_put(p->ctx);
	kfree(p);
}

static int ioeventfd_deassign(struct bawn_vm *vm, const struct bawn_ioeventfd *want)
{
	struct bawn_ioeventfd *p, *found = NULL;

	mutex_lock(&vm->slots_lock);
	list_for_each_entry(p, &vm->ioeventfds, list) {
		if (p->ctx == want->ctx && p->pio == want->pio && p->addr == want->addr &&
		    p->len == want->len && p->match == want->match &&
		    (!p->match || p->datamatch == want->datamatch)) {
			found = p;
			list_del_rcu(&found->list);
			break;
		}
	}
	mutex_unlock(&vm->slots_lock);
	if (!found)
		return -ENOENT;
	synchronize_srcu_expedited(&vm->srcu);
	ioeventfd_free(found);
	return 0;
}

static bool ioeventfd_valid(const struct kvm_ioeventfd *args)
{
	u64 end;

	if (args->flags & ~(KVM_IOEVENTFD_FLAG_DATAMATCH | KVM_IOEVENTFD_FLAG_PIO |
			    KVM_IOEVENTFD_FLAG_DEASSIGN))
		return false;
	if (!args->len)
		return !(args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH);
	return args->len <= 8 && is_power_of_2(args->len) &&
	       !check_add_overflow(args->addr, (u64)args->len, &end);
}

/* KVM_IOEVENTFD */
int bawn_ioeventfd(struct bawn_vm *vm, const struct kvm_ioeventfd *args)
{
	struct bawn_ioeventfd want = {
		.addr = args->addr,
		.datamatch = args->datamatch,
		.len = args->len,
		.pio = args->flags & KVM_IOEVENTFD_FLAG_PIO,
		.match = args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH,
	};
	bool deassign = args->flags & KVM_IOEVENTFD_FLAG_DEASSIGN;
	int r;

	if (!ioeventfd_valid(args))
		return -EINVAL;
	want.ctx = eventfd_ctx_fdget(args->fd);
	if (IS_ERR(want.ctx))
		return PTR_ERR(want.ctx);
	r = deassign ? ioeventfd_deassign(vm, &want) : ioeventfd_assign(vm, &want);
	/* One that was assigned owns the context's reference. */
	if (r || deassign)
		eventfd_ctx_put(want.ctx);
	return r;
}

int bawn_ioeventfd_write(struct bawn_vm *vm, bool pio, u64 addr, unsigned int len, u64 data)
{
	struct bawn_ioeventfd *p;

	list_for_each_entry_srcu(p, &vm->ioeventfds, list, srcu_read_lock_held(&vm->srcu)) {
		if (p->addr != addr || p->pio != pio || (p->len && p->len != len))
			continue;
		if (p->match && p->datamatch != (data & GENMASK_ULL(len * 8 - 1, 0)))
			continue;
		eventfd_signal(p->ctx);
		return 0;
	}
	return -EOPNOTSUPP;
}

/* With no vCPU left to ring them. */
void bawn_ioeventfds_destroy(struct bawn_vm *vm)
{
	struct bawn_ioeventfd *p, *next;

	list_for_each_entry_safe(p, next, &vm->ioeventfds, list)
		ioeventfd_free(p);
}

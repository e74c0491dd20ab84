// SPDX-License-Identifier: GPL-2.0-only
/*
 * The one way in for every ioctl: finds its line in the table, copies the argument once, takes
 * the locks the line asks for, calls the handler, copies the answer out. Trusts nothing.
 */
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "ioctl.h"

struct ioctl_entry {
	enum bawn_object object;
	unsigned int nr;
	unsigned int flags;
	long (*fn)(struct bawn_call *call);
};

#define ENTRY(object, number, fn, flags) { BAWN_OBJ_##object, number, flags, bawn_call_##fn },
static const struct ioctl_entry table[] = { BAWN_IOCTLS(ENTRY) };
#undef ENTRY

#define SMALL_ARG 64
#define MEDIUM_ARG sizeof(struct kvm_sregs) /* copied to the stack; larger ones to the heap */

/* What an unknown number answers, as KVM's objects do. */
static const int unknown[BAWN_OBJ_NR] = {
	[BAWN_OBJ_DEV] = -EINVAL,
	[BAWN_OBJ_VM] = -ENOTTY,
	[BAWN_OBJ_VCPU] = -EINVAL,
};

/* Position in the table by _IOC_NR, where two lines do not share it; one past it, 0 for none. */
static u8 position[BAWN_OBJ_NR][256];

void bawn_ioctl_setup(void)
{
	unsigned int i;

	BUILD_BUG_ON(ARRAY_SIZE(table) > U8_MAX);
	for (i = ARRAY_SIZE(table); i-- > 0;)
		position[table[i].object][_IOC_NR(table[i].nr)] = i + 1;
}

static const struct ioctl_entry *find(enum bawn_object object, unsigned int nr)
{
	unsigned int i = position[object][array_index_nospec(_IOC_NR(nr), 256)];

	if (!i)
		return NULL;
	for (i--; i < ARRAY_SIZE(table); i++)
		if (table[i].nr == nr && table[i].object == object)
			return &table[i];
	return NULL;
}

static long call_vcpu(const struct ioctl_entry *e, struct bawn_call *call)
{
	struct bawn_vcpu *vcpu = call->vcpu;
	long r;

	if (e->flags & CALL_FREE)
		return e->fn(call);
	if (mutex_lock_killable(&vcpu->mutex))
		return -EINTR;
	if (e->flags & CALL_APIC && !vcpu->apic) {
		r = -EINVAL;
	} else if (e->flags & CALL_REGS && vcpu->state_protected) {
		r = -EINVAL;
	} else if (e->flags & CALL_STATE && !vcpu->has_run && READ_ONCE(vcpu->vm->frozen)) {
		r = -EPERM;
	} else if (e->flags & CALL_LOADED) {
		bawn_vcpu_load(vcpu);
		vcpu->srcu_idx = srcu_read_lock(&vcpu->vm->srcu);
		r = e->fn(call);
		srcu_read_unlock(&vcpu->vm->srcu, vcpu->srcu_idx);
		bawn_vcpu_put(vcpu);
	} else {
		r = e->fn(call);
	}
	mutex_unlock(&vcpu->mutex);
	return r;
}

static long call_vm(const struct ioctl_entry *e, struct bawn_call *call)
{
	struct bawn_vm *vm = call->vm;
	long r;

	if (e->flags & CALL_IRQCHIP && !vm->split_irqchip)
		return -ENXIO;
	if (e->flags & CALL_MEASURED && !READ_ONCE(vm->measure))
		return -ENOTTY;
	/* Killable: the holder may wait for a firmware that is slow to answer. */
	if (e->flags & CALL_LOCK && mutex_lock_killable(&vm->lock))
		return -EINTR;
	if (e->flags & CALL_SLOTS && mutex_lock_killable(&vm->slots_lock)) {
		if (e->flags & CALL_LOCK)
			mutex_unlock(&vm->lock);
		return -EINTR;
	}
	if (e->flags & CALL_EARLY && vm->nr_vcpus)
		r = -EINVAL;
	else
		r = e->fn(call);
	if (e->flags & CALL_SLOTS)
		mutex_unlock(&vm->slots_lock);
	if (e->flags & CALL_LOCK)
		mutex_unlock(&vm->lock);
	return r;
}

static __always_inline long copy_and_call(const struct ioctl_entry *e, struct bawn_call *call,
					  void *arg, size_t size)
{
	void __user *user = (void __user *)call->raw;
	long r;

	call->arg = arg;
	if (!(_IOC_DIR(e->nr) & _IOC_WRITE))
		memset(arg, 0, size);
	else if (copy_from_user(arg, user, size))
		return -EFAULT;
	r = e->object == BAWN_OBJ_VCPU ? call_vcpu(e, call) :
	    e->object == BAWN_OBJ_VM   ? call_vm(e, call) :
					 e->fn(call);
	if (r >= 0 && _IOC_DIR(e->nr) & _IOC_READ && !(e->flags & CALL_IN) &&
	    copy_to_user(user, arg, size))
		r = -EFAULT;
	return r;
}

/* Of two sizes, for kernels that clear what is on the stack. */
static noinline long call_small(const struct ioctl_entry *e, struct bawn_call *call, size_t size)
{
	u64 arg[SMALL_ARG / sizeof(u64)];

	return copy_and_call(e, call, arg, size);
}

static noinline long call_medium(const struct ioctl_entry *e, struct bawn_call *call, size_t size)
{
	u64 arg[MEDIUM_ARG / sizeof(u64)];

	return copy_and_call(e, call, arg, size);
}

static noinline long call_large(const struct ioctl_entry *e, struct bawn_call *call, size_t size)
{
	void *arg = kmalloc(size, GFP_KERNEL_ACCOUNT);
	long r;

	if (!arg)
		return -ENOMEM;
	r = copy_and_call(e, call, arg, size);
	kfree(arg);
	return r;
}

static long call_copied(const struct ioctl_entry *e, struct bawn_call *call)
{
	size_t size = _IOC_SIZE(e->nr);

	return size <= SMALL_ARG  ? call_small(e, call, size) :
	       size <= MEDIUM_ARG ? call_medium(e, call, size) :
				    call_large(e, call, size);
}

long bawn_dispatch(enum bawn_object object, struct bawn_call *call, unsigned int nr)
{
	const struct ioctl_entry *e;

	/* A VM belongs to the address space that made it: its memory is found there alone. */
	if (call->vm && call->vm->mm != current->mm)
		return -EIO;
	e = find(object, nr);
	if (!e)
		return unknown[object];
	if (!(e->flags & CALL_RAW))
		return call_copied(e, call);
	return object == BAWN_OBJ_VCPU ? call_vcpu(e, call) :
	       object == BAWN_OBJ_VM   ? call_vm(e, call) :
					 e->fn(call);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The binary statistics file of a VM or a vCPU (KVM_GET_STATS_FD): header, id, descriptors, values.
 * Readers see counters that others are adding to; each value by itself is whole.
 *
 * The names below are stable: tools may rely on them. All count events, but for the pages_*, which
 * say what is mapped now.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "bawn.h"

#define NAME_SIZE KVM_STATS_NAME_SIZE
#define NR_VALUES(type) (sizeof(type) / sizeof(u64))

struct stats_file {
	struct bawn_vm *vm;
	const u64 *values;
	const char *const *names;
	unsigned int nr;
	char id[NAME_SIZE];
};

#define VCPU(member) [offsetof(struct bawn_vcpu_stats, member) / sizeof(u64)] = #member
#define EXIT(kind, name)                                                                           \
	[offsetof(struct bawn_vcpu_stats, exit[BAWN_EXIT_##kind]) / sizeof(u64)] = "exit_" name
#define VM(member) [offsetof(struct bawn_vm_stats, member) / sizeof(u64)] = #member

static const char *const vcpu_names[NR_VALUES(struct bawn_vcpu_stats)] = {
	VCPU(exits), EXIT(INTR, "intr"), EXIT(NMI, "nmi"), EXIT(HANDLED, "handled"),
	EXIT(CPUID, "cpuid"), EXIT(MSR, "msr"), EXIT(IO, "io"), EXIT(HLT, "hlt"),
	EXIT(HYPERCALL, "hypercall"), EXIT(PAUSE, "pause"), EXIT(NPF, "npf"),
	EXIT(IRQ_WINDOW, "irq_window"), EXIT(NMI_WINDOW, "nmi_window"),
	EXIT(EXCEPTION, "exception"), EXIT(CR, "cr"), EXIT(DR, "dr"), EXIT(XSETBV, "xsetbv"),
	EXIT(NOP, "nop"), EXIT(UD, "ud"), EXIT(GP, "gp"),
	EXIT(VMGEXIT, "vmgexit"), EXIT(SHUTDOWN, "shutdown"),
	EXIT(FAIL_ENTRY, "fail_entry"), EXIT(UNKNOWN, "unknown"),
	VCPU(user_exits), VCPU(irq_injections), VCPU(nmi_injections), VCPU(halt_wakeups),
	VCPU(tlb_flushes), VCPU(mmio_exits), VCPU(npf_fixed),
};

static const char *const vm_names[NR_VALUES(struct bawn_vm_stats)] = {
	VM(pages_4k), VM(pages_2m), VM(pages_1g), VM(mmu_invalidations),
};

static_assert(NR_VALUES(struct bawn_vcpu_stats) == 31, "a new counter needs a name above");
static_assert(NR_VALUES(struct bawn_vm_stats) == 4, "a new counter needs a name above");

struct stats_image {
	struct kvm_stats_header head;
	char id[NAME_SIZE];
	struct kvm_stats_desc desc[]; /* and a u64 for each */
};

/* The whole file is put together at each read. */
static ssize_t stats_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	const struct stats_file *s = file->private_data;
	size_t data_offset = offsetof(struct stats_image, desc[s->nr]);
	size_t size = data_offset + s->nr * sizeof(u64);
	struct stats_image *image = kzalloc(size, GFP_KERNEL);
	u64 *values = (void *)image + data_offset;
	unsigned int i;
	ssize_t r;

	if (!image)
		return -ENOMEM;
	image->head = (struct kvm_stats_header){
		.name_size = NAME_SIZE,
		.num_desc = s->nr,
		.id_offset = offsetof(struct stats_image, id),
		.desc_offset = offsetof(struct stats_image, desc),
		.data_offset = data_offset,
	};
	memcpy(image->id, s->id, NAME_SIZE);
	for (i = 0; i < s->nr; i++) {
		struct kvm_stats_desc *d = &image->desc[i];
		bool pages = !strncmp(s->names[i], "pages_", 6);

		d->flags = (pages ? KVM_STATS_TYPE_INSTANT : KVM_STATS_TYPE_CUMULATIVE) |
			   KVM_STATS_UNIT_NONE | KVM_STATS_BASE_POW10;
		d->size = 1;
		d->offset = i * sizeof(u64);
		strscpy(d->name, s->names[i], NAME_SIZE);
		values[i] = READ_ONCE(s->values[i]);
	}
	r = simple_read_from_buffer(buf, len, pos, image, size);
	kfree(image);
	return r;
}

static int stats_release(struct inode *inode, struct file *file)
{
	struct stats_file *s = file->private_data;

	bawn_vm_put(s->vm);
	kfree(s);
	return 0;
}

static const struct file_operations stats_fops = {
	.owner = THIS_MODULE,
	.read = stats_read,
	.release = stats_release,
	.llseek = noop_llseek,
};

/* The file keeps the VM, and with it the vCPU, alive. */
int bawn_stats_fd(struct bawn_vm *vm, struct bawn_vcpu *vcpu)
{
	struct stats_file *s = kzalloc(sizeof(*s), GFP_KERNEL_ACCOUNT);
	struct file *file;
	int fd;

	if (!s)
		return -ENOMEM;
	s->vm = vm;
	s->values = vcpu ? (const u64 *)&vcpu->stat : (const u64 *)&vm->stat;
	s->names = vcpu ? vcpu_names : vm_names;
	s->nr = vcpu ? ARRAY_SIZE(vcpu_names) : ARRAY_SIZE(vm_names);
	if (vcpu)
		snprintf(s->id, sizeof(s->id), "bawn-%d/vcpu-%d", task_pid_nr(current), vcpu->id);
	else
		snprintf(s->id, sizeof(s->id), "bawn-%d", task_pid_nr(current));

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		goto free;
	file = anon_inode_getfile("bawn-stats", &stats_fops, s, O_RDONLY);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		fd = PTR_ERR(file);
		goto free;
	}
	/* So that readers may pread() the values alone. */
	file->f_mode |= FMODE_PREAD;
	bawn_vm_get(vm);
	fd_install(fd, file);
	return fd;
free:
	kfree(s);
	return fd;
}

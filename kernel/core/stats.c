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
#include <linux/uaccess.h>

#include "bawn.h"

#define NAME_SIZE KVM_STATS_NAME_SIZE
#define NR_VALUES(type) (sizeof(type) / sizeof(u64))
#define VCPU_STAT(member) (offsetof(struct bawn_vcpu_stats, member) / sizeof(u64))
#define VM_STAT(member) (offsetof(struct bawn_vm_stats, member) / sizeof(u64))
#define EXIT_STAT(kind) (VCPU_STAT(exit) + BAWN_EXIT_##kind)

struct stats_file {
	struct bawn_vm *vm;
	const u64 *values;
	const char *const *names;
	unsigned int nr;
	char id[NAME_SIZE];
};

static const char *const vcpu_names[NR_VALUES(struct bawn_vcpu_stats)] = {
	[VCPU_STAT(exits)] = "exits",
	[EXIT_STAT(INTR)] = "exit_intr",
	[EXIT_STAT(NMI)] = "exit_nmi",
	[EXIT_STAT(HANDLED)] = "exit_handled",
	[EXIT_STAT(CPUID)] = "exit_cpuid",
	[EXIT_STAT(MSR)] = "exit_msr",
	[EXIT_STAT(IO)] = "exit_io",
	[EXIT_STAT(HLT)] = "exit_hlt",
	[EXIT_STAT(HYPERCALL)] = "exit_hypercall",
	[EXIT_STAT(PAUSE)] = "exit_pause",
	[EXIT_STAT(NPF)] = "exit_npf",
	[EXIT_STAT(IRQ_WINDOW)] = "exit_irq_window",
	[EXIT_STAT(NMI_WINDOW)] = "exit_nmi_window",
	[EXIT_STAT(EXCEPTION)] = "exit_exception",
	[EXIT_STAT(CR)] = "exit_cr",
	[EXIT_STAT(DR)] = "exit_dr",
	[EXIT_STAT(XSETBV)] = "exit_xsetbv",
	[EXIT_STAT(NOP)] = "exit_nop",
	[EXIT_STAT(UD)] = "exit_ud",
	[EXIT_STAT(GP)] = "exit_gp",
	[EXIT_STAT(SHUTDOWN)] = "exit_shutdown",
	[EXIT_STAT(FAIL_ENTRY)] = "exit_fail_entry",
	[EXIT_STAT(UNKNOWN)] = "exit_unknown",
	[VCPU_STAT(user_exits)] = "user_exits",
	[VCPU_STAT(irq_injections)] = "irq_injections",
	[VCPU_STAT(nmi_injections)] = "nmi_injections",
	[VCPU_STAT(halt_wakeups)] = "halt_wakeups",
	[VCPU_STAT(tlb_flushes)] = "tlb_flushes",
	[VCPU_STAT(mmio_exits)] = "mmio_exits",
	[VCPU_STAT(npf_fixed)] = "npf_fixed",
};

static const char *const vm_names[NR_VALUES(struct bawn_vm_stats)] = {
	[VM_STAT(pages_4k)] = "pages_4k",
	[VM_STAT(pages_2m)] = "pages_2m",
	[VM_STAT(pages_1g)] = "pages_1g",
	[VM_STAT(mmu_invalidations)] = "mmu_invalidations",
};

static_assert(NR_VALUES(struct bawn_vcpu_stats) == 30, "a new counter needs a name above");
static_assert(NR_VALUES(struct bawn_vm_stats) == 4, "a new counter needs a name above");

/* The whole file as it reads now; NULL without memory. */
static void *stats_image(const struct stats_file *s, size_t *size)
{
	struct kvm_stats_header *head;
	struct kvm_stats_desc *d;
	unsigned int i;
	u64 *data;

	*size = sizeof(*head) + NAME_SIZE + s->nr * (sizeof(*d) + sizeof(u64));
	head = kzalloc(*size, GFP_KERNEL);
	if (!head)
		return NULL;
	head->name_size = NAME_SIZE;
	head->num_desc = s->nr;
	head->id_offset = sizeof(*head);
	head->desc_offset = head->id_offset + NAME_SIZE;
	head->data_offset = head->desc_offset + s->nr * sizeof(*d);
	memcpy((void *)head + head->id_offset, s->id, NAME_SIZE);
	d = (void *)head + head->desc_offset;
	data = (void *)head + head->data_offset;
	for (i = 0; i < s->nr; i++, d++) {
		bool pages = !strncmp(s->names[i], "pages_", 6);

		d->flags = (pages ? KVM_STATS_TYPE_INSTANT : KVM_STATS_TYPE_CUMULATIVE) |
			   KVM_STATS_UNIT_NONE | KVM_STATS_BASE_POW10;
		d->size = 1;
		d->offset = i * sizeof(u64);
		strscpy(d->name, s->names[i], NAME_SIZE);
		data[i] = READ_ONCE(s->values[i]);
	}
	return head;
}

static ssize_t stats_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	size_t size;
	void *image = stats_image(file->private_data, &size);
	ssize_t r;

	if (!image)
		return -ENOMEM;
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

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counters under debugfs (bawn_platform/state): what exists now, so that a test can tell that
 * nothing was left behind, and what was done. One "name value" a line, for programs.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "platform.h"

struct platform_stats platform_stats;
static struct dentry *dir;

static const char *const state_names[RMP_NR_STATES] = {
	[RMP_RECLAIM] = "reclaim",
	[RMP_FIRMWARE] = "firmware",
	[RMP_GUEST_CONTEXT] = "context",
	[RMP_PRE_GUEST] = "pre_guest",
	[RMP_GUEST_INVALID] = "guest_invalid",
	[RMP_GUEST_VALID] = "guest_valid",
};

static int state_show(struct seq_file *m, void *unused)
{
	u64 counts[RMP_NR_STATES];
	int i;

	rmp_count(counts);
	seq_printf(m, "contexts %u\n", platform_contexts(NULL, UINT_MAX));
	seq_printf(m, "asids %u\n", platform_asids_used());
	seq_printf(m, "vcpus %d\n", atomic_read(&platform_stats.vcpus));
	for (i = 0; i < RMP_NR_STATES; i++)
		if (state_names[i])
			seq_printf(m, "rmp_%s %llu\n", state_names[i], counts[i]);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(state);

static int events_show(struct seq_file *m, void *unused)
{
	const struct {
		const char *name;
		const atomic64_t *count;
	} events[] = {
		{ "vc", &platform_stats.vc },
		{ "npf", &platform_stats.npf },
		{ "pvalidate", &platform_stats.pvalidate },
		{ "rmpadjust", &platform_stats.rmpadjust },
		{ "vmgexit", &platform_stats.vmgexit },
		{ "forced_private", &platform_stats.forced },
		{ "rmp_faults", &platform_stats.rmp_faults },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(events); i++)
		seq_printf(m, "%s %lld\n", events[i].name, atomic64_read(events[i].count));
	for (i = 0; i < ARRAY_SIZE(platform_stats.commands); i++)
		if (atomic64_read(&platform_stats.commands[i]))
			seq_printf(m, "command_0x%02x %lld\n", i,
				   atomic64_read(&platform_stats.commands[i]));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(events);

void platform_stats_init(void)
{
	dir = debugfs_create_dir("bawn_platform", NULL);
	debugfs_create_file("state", 0400, dir, NULL, &state_fops);
	debugfs_create_file("events", 0400, dir, NULL, &events_fops);
}

void platform_stats_exit(void)
{
	debugfs_remove_recursive(dir);
}

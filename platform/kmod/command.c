// SPDX-License-Identifier: GPL-2.0-only
/*
 * The secure processor's commands: which pages go with one, what the reverse map table must have
 * of them before, and what it has after. The daemon decides about all else. Callers (kernel/snp)
 * are trusted to own the buffer; the addresses in it are checked like the firmware checks them.
 * AMD 56860, chapters 5 and 8.
 */
#define pr_fmt(fmt) "bawn_platform: " fmt

#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "platform.h"

/* A guest's context page that firmware has. */
struct context {
	struct list_head node;
	u64 pfn;
	u32 asid; /* 0: not active */
};

static LIST_HEAD(contexts);
static DEFINE_MUTEX(contexts_lock);
static bool initialised; /* SNP_INIT_EX was done with this daemon */

/* One command's way through this file. */
struct command {
	const struct bawn_platform_command *desc;
	void *buf;
	u32 launch_page; /* LAUNCH_UPDATE: the member page */
	u64 context_pfn;
	u64 launch_pfn;
	u32 nr_pages;
	struct platform_page *pages;
};

static const struct bawn_platform_command *find_command(u32 command)
{
	unsigned int i;

	for (i = 0; i < BAWN_PLATFORM_COMMANDS; i++)
		if (bawn_platform_commands[i].command == command)
			return &bawn_platform_commands[i];
	return NULL;
}

/* ---- Contexts ---- */

static struct context *find_context(u64 pfn)
{
	struct context *c;

	lockdep_assert_held(&contexts_lock);
	list_for_each_entry(c, &contexts, node)
		if (c->pfn == pfn)
			return c;
	return NULL;
}

unsigned int platform_contexts(u64 *list, unsigned int max)
{
	unsigned int n = 0;
	struct context *c;

	mutex_lock(&contexts_lock);
	list_for_each_entry(c, &contexts, node) {
		if (n == max)
			break;
		if (list)
			list[n] = c->pfn << PAGE_SHIFT;
		n++;
	}
	mutex_unlock(&contexts_lock);
	return n;
}

static u32 context_asid(u64 pfn)
{
	struct context *c;
	u32 asid;

	mutex_lock(&contexts_lock);
	c = find_context(pfn);
	asid = c ? c->asid : 0;
	mutex_unlock(&contexts_lock);
	return asid;
}

static void forget_context(u64 pfn)
{
	struct context *c;

	mutex_lock(&contexts_lock);
	c = find_context(pfn);
	if (c) {
		list_del(&c->node);
		kfree(c);
	}
	mutex_unlock(&contexts_lock);
}

static u32 set_context_flag(struct rmp_entry *e, void *on)
{
	e->flags = (e->flags & ~RMP_CONTEXT) | (on ? RMP_CONTEXT : 0);
	return 0;
}

/* ---- What the firmware demands of pages ---- */

static u32 check_context(struct command *cmd, u64 address)
{
	enum rmp_state want = cmd->desc->command == BAWN_PSP_SNP_GCTX_CREATE ?
				      RMP_FIRMWARE : RMP_GUEST_CONTEXT;
	struct rmp_entry e;

	if (!PAGE_ALIGNED(address))
		return BAWN_PSP_INVALID_ADDRESS;
	rmp_get(address >> PAGE_SHIFT, &e);
	if (rmp_state(&e) == want) {
		cmd->context_pfn = address >> PAGE_SHIFT;
		return BAWN_PSP_SUCCESS;
	}
	return want == RMP_FIRMWARE ? BAWN_PSP_INVALID_PAGE_STATE : BAWN_PSP_INVALID_GUEST;
}

static u32 check_launch(struct command *cmd, u64 address)
{
	bool large = cmd->launch_page & BAWN_PSP_PAGE_LARGE;
	struct rmp_entry e;

	if (!IS_ALIGNED(address, large ? PMD_SIZE : PAGE_SIZE))
		return BAWN_PSP_INVALID_ADDRESS;
	cmd->launch_pfn = address >> PAGE_SHIFT;
	rmp_get(cmd->launch_pfn, &e);
	return rmp_rule_launch_check(&e, context_asid(cmd->context_pfn), large);
}

/* Pages that firmware reads or writes as the host sees them: never a guest's. */
static u32 check_plain(struct command *cmd, u64 address, bool written)
{
	enum rmp_state state;
	struct rmp_entry e;

	rmp_get(address >> PAGE_SHIFT, &e);
	state = rmp_state(&e);
	if (!written)
		return state == RMP_HYPERVISOR || state == RMP_FIRMWARE ?
			       BAWN_PSP_SUCCESS : BAWN_PSP_INVALID_PAGE_STATE;
	if (!PAGE_ALIGNED(address))
		return BAWN_PSP_INVALID_ADDRESS;
	/* A response's page must be firmware's; status pages may be anyone's. */
	if (state == RMP_FIRMWARE || (state == RMP_HYPERVISOR &&
				      cmd->desc->command != BAWN_PSP_SNP_GUEST_REQUEST))
		return BAWN_PSP_SUCCESS;
	return BAWN_PSP_INVALID_PAGE_STATE;
}

static u64 field_address(const struct command *cmd, const struct bawn_platform_field *field)
{
	u64 address;

	memcpy(&address, cmd->buf + field->offset, sizeof(address));
	return address;
}

static u32 check_field(struct command *cmd, const struct bawn_platform_field *field)
{
	u64 address = field_address(cmd, field);

	if (!address && field->flags & BAWN_PLATFORM_FIELD_OPTIONAL)
		return BAWN_PSP_SUCCESS;
	if (!pfn_valid(address >> PAGE_SHIFT))
		return BAWN_PSP_INVALID_ADDRESS;
	if (field->flags & BAWN_PLATFORM_FIELD_CONTEXT)
		return check_context(cmd, address);
	if (field->flags & BAWN_PLATFORM_FIELD_LAUNCH)
		return check_launch(cmd, address);
	return check_plain(cmd, address, field->flags & BAWN_PLATFORM_FIELD_OUT);
}

static void name_pages(struct command *cmd, const struct bawn_platform_field *field)
{
	u64 address = field_address(cmd, field);
	struct rmp_entry e;
	u32 flags, n, i;

	n = bawn_platform_page_use(field, address, cmd->launch_page, &flags);
	for (i = 0; i < n; i++) {
		struct platform_page *page = &cmd->pages[cmd->nr_pages++];

		page->pfn = (address >> PAGE_SHIFT) + i;
		page->flags = flags;
		rmp_get(page->pfn, &e);
		page->gpa = e.gpa;
	}
}

static u32 check_fields(struct command *cmd)
{
	const struct bawn_platform_field *field = cmd->desc->field;
	u32 i, status = BAWN_PSP_SUCCESS;

	for (i = 0; i < BAWN_PLATFORM_FIELDS_MAX && field[i].flags && !status; i++)
		status = check_field(cmd, &field[i]);
	for (i = 0; i < BAWN_PLATFORM_FIELDS_MAX && field[i].flags && !status; i++)
		name_pages(cmd, &field[i]);
	return status;
}

/* ---- What commands do to the table ---- */

static u32 set_busy(struct rmp_entry *e, void *on)
{
	if (e->flags & RMP_ASSIGNED)
		e->flags = (e->flags & ~RMP_BUSY) | (on ? RMP_BUSY : 0);
	return 0;
}

/* While the firmware works on guest pages nobody else changes their entries. */
static void mark_busy(const struct command *cmd, bool on)
{
	u32 n = cmd->launch_page & BAWN_PSP_PAGE_LARGE ? RMP_PER_LARGE : 1, i;

	if (cmd->desc->command != BAWN_PSP_SNP_LAUNCH_UPDATE)
		return;
	for (i = 0; i < n; i++)
		rmp_change(cmd->launch_pfn + i, set_busy, on ? cmd->buf : NULL);
}

static u32 launch_done(struct rmp_entry *e, void *arg)
{
	const struct bawn_psp_launch_update *u = arg;
	u32 type = (u->page & BAWN_PSP_PAGE_TYPE) >> BAWN_PSP_PAGE_TYPE_SHIFT;
	const u8 perms[] = { u->vmpl1_perms, u->vmpl2_perms, u->vmpl3_perms };

	rmp_rule_launch_done(e, type == BAWN_PSP_PAGE_VMSA, perms);
	return 0;
}

static void after_launch_update(const struct command *cmd)
{
	u32 n = cmd->launch_page & BAWN_PSP_PAGE_LARGE ? RMP_PER_LARGE : 1, i;

	for (i = 0; i < n; i++)
		rmp_change(cmd->launch_pfn + i, launch_done, cmd->buf);
}

static void after_activate(const struct command *cmd)
{
	const struct bawn_psp_activate *activate = cmd->buf;
	struct context *c;

	mutex_lock(&contexts_lock);
	c = find_context(cmd->context_pfn);
	if (c)
		c->asid = activate->asid;
	mutex_unlock(&contexts_lock);
}

static void after(const struct command *cmd)
{
	switch (cmd->desc->command) {
	case BAWN_PSP_SNP_GCTX_CREATE:
		rmp_change(cmd->context_pfn, set_context_flag, cmd->buf);
		break;
	case BAWN_PSP_SNP_ACTIVATE:
		after_activate(cmd);
		break;
	case BAWN_PSP_SNP_LAUNCH_UPDATE:
		after_launch_update(cmd);
		break;
	case BAWN_PSP_SNP_DECOMMISSION:
		rmp_change(cmd->context_pfn, set_context_flag, NULL);
		forget_context(cmd->context_pfn);
		break;
	}
}

/* ---- The command itself ---- */

/*
 * The context is on the list before firmware has it: so a daemon that comes anew meanwhile, and
 * is told of the list, knows no more contexts than are on it.
 */
static int before_gctx_create(u64 pfn)
{
	struct context *c = kzalloc(sizeof(*c), GFP_KERNEL_ACCOUNT);

	if (!c)
		return -ENOMEM;
	c->pfn = pfn;
	mutex_lock(&contexts_lock);
	list_add_tail(&c->node, &contexts);
	mutex_unlock(&contexts_lock);
	return 0;
}

static int call(u32 command, void *buf, u32 len, struct command *cmd, u32 *status)
{
	struct platform_request req = {
		.command = command,
		.buf = buf,
		.len = len,
		.pages = cmd ? cmd->pages : NULL,
		.nr_pages = cmd ? cmd->nr_pages : 0,
		.must_finish = command == BAWN_PSP_SNP_DECOMMISSION ||
			       command == BAWN_PSP_SNP_DF_FLUSH,
	};
	int r = platform_call(&req);

	atomic64_inc(&platform_stats.commands[command & 0xff]);
	*status = req.status;
	if (!r && req.status == BAWN_PLATFORM_BUSY)
		r = -EBUSY;
	return r;
}

/* A daemon has come, or come back, perhaps without its state. */
void platform_greeted(void)
{
	WRITE_ONCE(initialised, false);
}

/* The host initialises the firmware before anyone uses it; one that kept its state refuses. */
static int initialise(void)
{
	struct bawn_psp_init_ex init = { .flags = BAWN_PSP_INIT_EX_INIT_RMP };
	u32 status;
	int r;

	if (READ_ONCE(initialised))
		return 0;
	r = call(BAWN_PSP_SNP_INIT_EX, &init, sizeof(init), NULL, &status);
	if (r)
		return r;
	if (status && status != BAWN_PSP_INVALID_PLATFORM_STATE) {
		pr_err("the firmware refused SNP_INIT_EX: status 0x%x\n", status);
		return -EIO;
	}
	WRITE_ONCE(initialised, true);
	return 0;
}

static int run(struct command *cmd, u32 len, u32 *status)
{
	u32 code = cmd->desc->command;
	int r = 0;

	if (code == BAWN_PSP_SNP_GCTX_CREATE)
		r = before_gctx_create(cmd->context_pfn);
	if (r)
		return r;
	mark_busy(cmd, true);
	r = call(code, cmd->buf, len, cmd, status);
	mark_busy(cmd, false);
	if (!r && !*status)
		after(cmd);
	else if (code == BAWN_PSP_SNP_GCTX_CREATE)
		forget_context(cmd->context_pfn);
	return r;
}

/* Of the table alone: so it works without a daemon, when what a dead one left is cleaned up. */
static u32 page_reclaim(const void *buf)
{
	const struct bawn_psp_addr *addr = buf;
	bool large = addr->paddr & BAWN_PSP_ADDR_LARGE;

	if (addr->paddr & ~PAGE_MASK & ~BAWN_PSP_ADDR_LARGE)
		return BAWN_PSP_INVALID_ADDRESS;
	return rmp_reclaim(addr->paddr >> PAGE_SHIFT, large);
}

static int checked_command(struct command *cmd, u32 len, u32 *status)
{
	const struct bawn_psp_launch_update *update = cmd->buf;
	int r;

	if (cmd->desc->command == BAWN_PSP_SNP_LAUNCH_UPDATE)
		cmd->launch_page = update->page;
	cmd->pages = kvcalloc(cmd->launch_page & BAWN_PSP_PAGE_LARGE ? BAWN_PLATFORM_PAGES_MAX :
								      BAWN_PLATFORM_FIELDS_MAX,
			      sizeof(*cmd->pages), GFP_KERNEL_ACCOUNT);
	if (!cmd->pages)
		return -ENOMEM;
	*status = check_fields(cmd);
	r = *status ? 0 : run(cmd, len, status);
	kvfree(cmd->pages);
	return r;
}

int platform_command(int code, void *buf, u32 len, u32 *fw_error)
{
	struct command cmd = { .desc = find_command(code), .buf = buf };
	u32 status = 0;
	int r;

	*fw_error = 0;
	if (!cmd.desc) {
		*fw_error = BAWN_PSP_INVALID_COMMAND;
		return -EIO;
	}
	if (len < cmd.desc->buffer_len)
		return -EINVAL;
	if (code == BAWN_PSP_SNP_PAGE_RECLAIM) {
		atomic64_inc(&platform_stats.commands[code]);
		status = page_reclaim(buf);
	} else if (code == BAWN_PSP_SNP_PAGE_UNSMASH) {
		status = BAWN_PSP_UNSUPPORTED;
	} else {
		r = initialise();
		if (!r)
			r = checked_command(&cmd, cmd.desc->buffer_len, &status);
		if (r)
			return r;
	}
	*fw_error = status;
	return status ? -EIO : 0;
}

/* ---- Pages that firmware owns ---- */

struct page *platform_alloc_firmware_page(void)
{
	const struct rmp_update firmware = { .assigned = true, .immutable = true };
	struct page *page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);

	if (page && rmp_update(page_to_pfn(page), &firmware)) {
		__free_page(page);
		page = NULL;
	}
	return page;
}

/*
 * Whatever is left of it: a context that firmware could not be asked to drop (the daemon had
 * gone) is not on the list that the next daemon is told.
 */
void platform_free_firmware_page(struct page *page)
{
	const struct rmp_update shared = {};
	u64 pfn = page_to_pfn(page);

	forget_context(pfn);
	rmp_change(pfn, set_context_flag, NULL);
	rmp_reclaim(pfn, false);
	if (rmp_update(pfn, &shared)) {
		pr_err("page 0x%llx cannot be taken back from the firmware: it is lost\n", pfn);
		return;
	}
	__free_page(page);
}

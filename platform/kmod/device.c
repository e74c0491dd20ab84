// SPDX-License-Identifier: GPL-2.0-only
/*
 * The character device by which the daemon serves commands: at most one request at a time, read
 * whole and answered whole. What the daemon writes is checked against the request before anything
 * of it is used; a daemon that goes, or does not answer in time, ends the request. The daemon is
 * trusted with what its answers say, not with where they go. include/bawn/platform.h has the rules.
 */
#define pr_fmt(fmt) "bawn_platform: " fmt

#include <linux/highmem.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "platform.h"

static unsigned int command_timeout = 30;
module_param(command_timeout, uint, 0644);
MODULE_PARM_DESC(command_timeout, "seconds that the daemon has for a command (30)");

enum { /* platform_request.state */
	QUEUED, /* the daemon has not read it */
	TAKEN,
	DONE,
	ABORTED, /* the daemon has gone, or was given up */
};

static struct {
	struct mutex call_lock; /* one caller at a time */
	struct mutex lock;	/* what follows; not held where the daemon's memory is touched */
	bool open;
	bool ready;    /* HELLO was answered */
	bool given_up; /* this opener answers no more: it must close */
	bool was_open; /* since the module was loaded */
	bool queued;   /* req waits to be read */
	u64 id;
	u32 size; /* of the message */
	struct platform_request *req;
	/* HELLO has no caller: the opener brings it about. */
	struct platform_request hello;
	u64 hello_buf[BAWN_PLATFORM_BUFFER_MAX / sizeof(u64)];
	wait_queue_head_t daemon; /* a request is queued, or the device given up */
	wait_queue_head_t caller; /* a request's state or ready changed */
} dev = {
	.call_lock = __MUTEX_INITIALIZER(dev.call_lock),
	.lock = __MUTEX_INITIALIZER(dev.lock),
	.daemon = __WAIT_QUEUE_HEAD_INITIALIZER(dev.daemon),
	.caller = __WAIT_QUEUE_HEAD_INITIALIZER(dev.caller),
};

static u32 padded(u32 len)
{
	return ALIGN(len, 8);
}

static u32 request_size(const struct platform_request *req)
{
	u32 size = sizeof(struct bawn_platform_header) + padded(req->len), i;

	for (i = 0; i < req->nr_pages; i++)
		size += sizeof(struct bawn_platform_page) +
			(req->pages[i].flags & BAWN_PLATFORM_PAGE_IN ? PAGE_SIZE : 0);
	return size;
}

/* ---- The callers' side ---- */

static void queue(struct platform_request *req)
{
	req->state = QUEUED;
	dev.req = req;
	dev.id++;
	dev.size = request_size(req);
	WRITE_ONCE(dev.queued, true);
	wake_up(&dev.daemon);
}

/* The request is its caller's again. dev.lock held. */
static void finish(int state)
{
	struct platform_request *req = dev.req;

	dev.req = NULL;
	WRITE_ONCE(dev.queued, false);
	WRITE_ONCE(req->state, state);
	wake_up_all(&dev.caller);
}

static void give_up(void)
{
	pr_err("the daemon did not answer command 0x%x within %u s: it must open the device anew\n",
	       dev.req->command, command_timeout);
	dev.given_up = true;
	dev.ready = false;
	finish(ABORTED);
	wake_up(&dev.daemon);
}

static long timeout(void)
{
	return msecs_to_jiffies(clamp(READ_ONCE(command_timeout), 1u, 3600u) * 1000);
}

static bool over(struct platform_request *req)
{
	return READ_ONCE(req->state) >= DONE;
}

/*
 * Waits for the answer. A signal counts while the daemon has not begun: after that the command
 * is as good as done, and short.
 */
static int wait_answer(struct platform_request *req)
{
	bool killed = false;
	int r = 0;

	if (!req->must_finish)
		killed = wait_event_killable_timeout(dev.caller,
						     READ_ONCE(req->state) != QUEUED,
						     timeout()) < 0;
	mutex_lock(&dev.lock);
	if (killed && req->state == QUEUED) {
		finish(ABORTED);
		r = -EINTR;
	}
	mutex_unlock(&dev.lock);
	wait_event_timeout(dev.caller, over(req), timeout());
	mutex_lock(&dev.lock);
	if (!over(req))
		give_up();
	if (req->state == ABORTED && !r)
		r = -ENODEV;
	mutex_unlock(&dev.lock);
	return r;
}

/* Until a daemon that has opened the device has said hello. */
static int wait_ready(bool must_finish)
{
	if (!READ_ONCE(dev.open) || READ_ONCE(dev.given_up))
		return -ENODEV;
	if (must_finish)
		wait_event_timeout(dev.caller, READ_ONCE(dev.ready) || !READ_ONCE(dev.open),
				   timeout());
	else if (wait_event_killable_timeout(dev.caller,
					     READ_ONCE(dev.ready) || !READ_ONCE(dev.open),
					     timeout()) < 0)
		return -EINTR;
	return READ_ONCE(dev.ready) ? 0 : -ENODEV;
}

int platform_call(struct platform_request *req)
{
	int r;

	if (req->must_finish)
		mutex_lock(&dev.call_lock);
	else if (mutex_lock_killable(&dev.call_lock))
		return -EINTR;
	r = wait_ready(req->must_finish);
	if (!r) {
		mutex_lock(&dev.lock);
		if (dev.ready)
			queue(req);
		else
			r = -ENODEV;
		mutex_unlock(&dev.lock);
	}
	if (!r)
		r = wait_answer(req);
	mutex_unlock(&dev.call_lock);
	return r;
}

/* ---- The daemon's side ---- */

static void queue_hello(void)
{
	struct bawn_platform_hello *hello = (void *)dev.hello_buf;
	u64 *context = (void *)(hello + 1);

	memset(dev.hello_buf, 0, sizeof(dev.hello_buf));
	hello->version = BAWN_PLATFORM_VERSION;
	hello->flags = dev.was_open ? 0 : BAWN_PLATFORM_HELLO_RESET;
	hello->nr_asids = platform_asids;
	hello->c_bit = platform_cbit;
	hello->nr_contexts = platform_contexts(context, BAWN_PLATFORM_CONTEXTS_MAX);
	dev.hello = (struct platform_request){
		.command = BAWN_PLATFORM_HELLO,
		.buf = dev.hello_buf,
		.len = sizeof(*hello) + hello->nr_contexts * sizeof(*context),
	};
	queue(&dev.hello);
}

static int device_open(struct inode *inode, struct file *file)
{
	int r = 0;

	if ((file->f_mode & (FMODE_READ | FMODE_WRITE)) != (FMODE_READ | FMODE_WRITE))
		return -EINVAL;
	mutex_lock(&dev.lock);
	if (dev.open) {
		r = -EBUSY;
	} else {
		dev.open = true;
		dev.given_up = false;
		queue_hello();
	}
	mutex_unlock(&dev.lock);
	return r ? r : stream_open(inode, file);
}

static int device_release(struct inode *inode, struct file *file)
{
	mutex_lock(&dev.lock);
	dev.open = false;
	dev.ready = false;
	if (dev.req)
		finish(ABORTED);
	wake_up_all(&dev.caller);
	mutex_unlock(&dev.lock);
	return 0;
}

static u8 *put_page_record(u8 *to, const struct platform_page *page)
{
	const struct bawn_platform_page record = {
		.gpa = page->gpa,
		.paddr = page->pfn << PAGE_SHIFT,
		.flags = page->flags,
	};

	memcpy(to, &record, sizeof(record));
	to += sizeof(record);
	if (!(page->flags & BAWN_PLATFORM_PAGE_IN))
		return to;
	memcpy_from_page((char *)to, pfn_to_page(page->pfn), 0, PAGE_SIZE);
	return to + PAGE_SIZE;
}

static void put_request(u8 *to)
{
	const struct platform_request *req = dev.req;
	const struct bawn_platform_header head = {
		.size = dev.size,
		.version = BAWN_PLATFORM_VERSION,
		.id = dev.id,
		.command = req->command,
		.buffer_len = req->len,
		.nr_pages = req->nr_pages,
	};
	u32 i;

	memcpy(to, &head, sizeof(head));
	to += sizeof(head);
	memcpy(to, req->buf, req->len);
	memset(to + req->len, 0, padded(req->len) - req->len);
	to += padded(req->len);
	for (i = 0; i < req->nr_pages; i++)
		to = put_page_record(to, &req->pages[i]);
}

static bool readable(void)
{
	return READ_ONCE(dev.queued) || READ_ONCE(dev.given_up);
}

/* The request that waits, in memory of the module: the daemon's may keep a copy waiting. */
static ssize_t take_request(size_t len, u8 **message, u64 *id)
{
	if (dev.given_up)
		return -EIO;
	if (!dev.queued)
		return -EAGAIN; /* its caller gave it up meanwhile */
	if (len < dev.size)
		return -EMSGSIZE;
	*message = kvmalloc(dev.size, GFP_KERNEL);
	if (!*message)
		return -ENOMEM;
	put_request(*message);
	*id = dev.id;
	WRITE_ONCE(dev.queued, false);
	WRITE_ONCE(dev.req->state, TAKEN);
	wake_up_all(&dev.caller);
	return dev.size;
}

/* It did not get there, and may be read again. */
static void put_back(u64 id)
{
	mutex_lock(&dev.lock);
	if (dev.req && dev.id == id)
		WRITE_ONCE(dev.queued, true);
	mutex_unlock(&dev.lock);
}

static ssize_t device_read(struct file *file, char __user *to, size_t len, loff_t *pos)
{
	u8 *message = NULL;
	ssize_t r = -EAGAIN;
	u64 id;

	while (r == -EAGAIN) {
		if (!readable() && file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_event_interruptible(dev.daemon, readable()))
			return -ERESTARTSYS;
		mutex_lock(&dev.lock);
		r = take_request(len, &message, &id);
		mutex_unlock(&dev.lock);
	}
	if (r > 0 && copy_to_user(to, message, r)) {
		put_back(id);
		r = -EFAULT;
	}
	kvfree(message);
	return r;
}

/* The reply, in the module's memory: header, buffer, then records of pages with their bytes. */
struct reply {
	const struct bawn_platform_header *head;
	const u8 *buf;
	const u8 *records;
};

#define RECORD_SIZE (sizeof(struct bawn_platform_page) + PAGE_SIZE)

static const struct bawn_platform_page *record(const struct reply *reply, u32 i)
{
	return (const void *)(reply->records + i * RECORD_SIZE);
}

/*
 * The request's pages stand in ascending order of use, so a reply's mostly do too: each search
 * starts behind the last find.
 */
static const struct platform_page *named(const struct bawn_platform_page *rec, u32 *hint)
{
	const struct platform_request *req = dev.req;
	u32 i;

	for (i = 0; i < req->nr_pages; i++) {
		u32 at = (*hint + i) % req->nr_pages;

		if (req->pages[at].pfn << PAGE_SHIFT == rec->paddr &&
		    req->pages[at].flags & BAWN_PLATFORM_PAGE_OUT) {
			*hint = at + 1;
			return &req->pages[at];
		}
	}
	return NULL;
}

static bool records_valid(const struct reply *reply)
{
	unsigned long *seen = bitmap_zalloc(max(dev.req->nr_pages, 1u), GFP_KERNEL);
	u32 i, hint = 0;
	bool ok = seen;

	for (i = 0; i < reply->head->nr_pages && ok; i++) {
		const struct bawn_platform_page *rec = record(reply, i);
		const struct platform_page *page = named(rec, &hint);

		ok = page && rec->flags == BAWN_PLATFORM_PAGE_OUT && !rec->reserved &&
		     rec->gpa == page->gpa && !test_and_set_bit(page - dev.req->pages, seen);
	}
	bitmap_free(seen);
	return ok;
}

static bool hello_valid(const struct reply *reply)
{
	const struct bawn_platform_welcome *welcome = (const void *)reply->buf;

	return reply->head->buffer_len == sizeof(*welcome) &&
	       strnlen(welcome->product, sizeof(welcome->product)) < sizeof(welcome->product);
}

static bool reply_valid(const struct reply *reply, size_t len)
{
	const struct bawn_platform_header *head = reply->head;
	const struct platform_request *req = dev.req;
	size_t size = sizeof(*head) + padded(head->buffer_len);

	if (head->size != len || head->version != BAWN_PLATFORM_VERSION || head->id != dev.id ||
	    head->command != req->command || head->nr_pages > req->nr_pages ||
	    size + head->nr_pages * RECORD_SIZE != len)
		return false;
	if (req == &dev.hello)
		return head->status != BAWN_PSP_SUCCESS || hello_valid(reply);
	return head->buffer_len == req->len && records_valid(reply);
}

static void take_hello(const struct reply *reply)
{
	const struct bawn_platform_welcome *welcome = (const void *)reply->buf;

	if (reply->head->status != BAWN_PSP_SUCCESS ||
	    welcome->version != BAWN_PLATFORM_VERSION) {
		pr_err("the daemon refused the greeting, or speaks another version than %u: status 0x%x\n",
		       BAWN_PLATFORM_VERSION, reply->head->status);
		dev.given_up = true;
		wake_up(&dev.daemon);
		return;
	}
	pr_info("daemon: a modelled %s, %u contexts\n", welcome->product, welcome->nr_contexts);
	dev.was_open = true;
	platform_greeted();
	dev.ready = true;
}

static void take_reply(const struct reply *reply)
{
	struct platform_request *req = dev.req;
	u32 i, hint = 0;

	if (req == &dev.hello) {
		take_hello(reply);
		finish(DONE);
		return;
	}
	req->status = reply->head->status;
	memcpy(req->buf, reply->buf, req->len);
	for (i = 0; i < reply->head->nr_pages; i++) {
		const struct bawn_platform_page *rec = record(reply, i);

		memcpy_to_page(pfn_to_page(named(rec, &hint)->pfn), 0, (const char *)(rec + 1),
			       PAGE_SIZE);
	}
	finish(DONE);
}

static ssize_t device_write(struct file *file, const char __user *from, size_t len, loff_t *pos)
{
	struct reply reply;
	ssize_t r = len;
	u8 *message;

	if (len < sizeof(*reply.head) || len > BAWN_PLATFORM_MESSAGE_MAX || len % 8)
		return -EINVAL;
	/* Copied once, then parsed. */
	message = vmemdup_user(from, len);
	if (IS_ERR(message))
		return PTR_ERR(message);
	reply.head = (void *)message;
	reply.buf = message + sizeof(*reply.head);
	if (reply.head->buffer_len > BAWN_PLATFORM_BUFFER_MAX) {
		kvfree(message);
		return -EINVAL;
	}
	reply.records = reply.buf + padded(reply.head->buffer_len);
	mutex_lock(&dev.lock);
	if (dev.given_up)
		r = -EIO;
	else if (!dev.req || dev.queued || !reply_valid(&reply, len))
		r = -EINVAL;
	else
		take_reply(&reply);
	mutex_unlock(&dev.lock);
	kvfree(message);
	return r;
}

static __poll_t device_poll(struct file *file, poll_table *wait)
{
	poll_wait(file, &dev.daemon, wait);
	if (READ_ONCE(dev.given_up))
		return EPOLLERR | EPOLLHUP;
	return READ_ONCE(dev.queued) ? EPOLLIN | EPOLLRDNORM : EPOLLOUT | EPOLLWRNORM;
}

static const struct file_operations device_fops = {
	.owner = THIS_MODULE,
	.open = device_open,
	.release = device_release,
	.read = device_read,
	.write = device_write,
	.poll = device_poll,
	.llseek = noop_llseek,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "bawn-platform",
	.fops = &device_fops,
	.mode = 0600,
};

int platform_device_init(void)
{
	return misc_register(&device);
}

void platform_device_exit(void)
{
	misc_deregister(&device);
}

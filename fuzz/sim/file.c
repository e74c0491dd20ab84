// SPDX-License-Identifier: Apache-2.0
/*
 * Files: descriptors of the one process, anonymous inodes and their page cache (guest_memfd),
 * eventfds, and the system calls by which a target reaches the module. A file's release runs when
 * the system call that dropped its last reference returns. Trusts the module with nothing.
 */
#include <stdlib.h>

#include <linux/kvm.h>

#include "internal.h"

#define MAX_FDS 256
#define FIRST_FD 3

static struct file *table[MAX_FDS];
static bool reserved[MAX_FDS];
static struct file *to_release;
static u64 files_out, inodes_out;
static const struct miscdevice *device;
struct module sim_module = { 1 };

/* ---- Files ---- */

/* Files that have none of their own share one. */
struct inode *file_inode(const struct file *file)
{
    static struct super_block sb;
    static struct inode shared = { .i_sb = &sb };

    return file->inode ? file->inode : &shared;
}

static struct inode *new_inode(void)
{
    struct inode *inode = sim_alloc_fails() ? NULL : calloc(1, sizeof(*inode));
    static struct super_block sb;
    static struct sim_lock_class class = { .name = "invalidate_lock" };

    if (!inode)
        return NULL;
    inode->i_sb = &sb;
    inode->refs = 1;
    inode->i_mapping = &inode->i_data;
    inode->i_data.host = inode;
    xa_init(&inode->i_data.i_pages);
    sim_lock_init(&inode->i_data.invalidate_lock, &class);
    inodes_out++;
    return inode;
}

void ihold(struct inode *inode)
{
    WARN_ON(inode->refs <= 0);
    inode->refs++;
}

void iput(struct inode *inode)
{
    WARN_ON(inode->refs <= 0);
    if (--inode->refs)
        return;
    truncate_inode_pages(inode->i_mapping, 0);
    inodes_out--;
    free(inode);
}

static struct file *new_file(const struct file_operations *ops, void *priv, int flags)
{
    struct file *file = sim_alloc_fails() ? NULL : calloc(1, sizeof(*file));

    (void)flags;
    if (!file)
        return ERR_PTR(-ENFILE);
    file->f_op = ops;
    file->private_data = priv;
    file->refs = 1;
    files_out++;
    return file;
}

struct file *anon_inode_getfile(const char *name, const struct file_operations *ops, void *priv,
                                int flags)
{
    (void)name;
    sim_step();
    return new_file(ops, priv, flags);
}

struct file *anon_inode_create_getfile(const char *name, const struct file_operations *ops,
                                       void *priv, int flags, const struct inode *context)
{
    struct inode *inode = new_inode();
    struct file *file;

    (void)name;
    (void)context;
    if (!inode)
        return ERR_PTR(-ENOMEM);
    file = new_file(ops, priv, flags);
    if (IS_ERR(file)) {
        iput(inode);
        return file;
    }
    file->inode = inode;
    file->f_mapping = inode->i_mapping;
    return file;
}

void fput(struct file *file)
{
    if (file->refs <= 0)
        sim_fault(SIM_WARN, "fput() of a file that is gone");
    if (--file->refs)
        return;
    file->next = to_release;
    to_release = file;
}

void sim_run_fput(void)
{
    while (to_release) {
        struct file *file = to_release;

        to_release = file->next;
        if (file->f_op->release)
            file->f_op->release(file->inode, file);
        if (file->inode)
            iput(file->inode);
        free(file);
        files_out--;
    }
}

int anon_inode_getfd(const char *name, const struct file_operations *ops, void *priv, int flags)
{
    int fd = get_unused_fd_flags((unsigned int)flags);
    struct file *file;

    if (fd < 0)
        return fd;
    file = anon_inode_getfile(name, ops, priv, flags);
    if (IS_ERR(file)) {
        put_unused_fd((unsigned int)fd);
        return (int)PTR_ERR(file);
    }
    fd_install((unsigned int)fd, file);
    return fd;
}

struct file *fget(unsigned int fd)
{
    struct file *file = fd < MAX_FDS ? table[fd] : NULL;

    sim_step();
    if (file)
        file->refs++;
    return file;
}

int get_unused_fd_flags(unsigned int flags)
{
    int fd;

    (void)flags;
    if (sim_alloc_fails())
        return -EMFILE;
    for (fd = FIRST_FD; fd < MAX_FDS; fd++) {
        if (!table[fd] && !reserved[fd]) {
            reserved[fd] = true;
            return fd;
        }
    }
    return -EMFILE;
}

void put_unused_fd(unsigned int fd)
{
    WARN_ON(fd >= MAX_FDS || !reserved[fd] || table[fd]);
    reserved[fd] = false;
}

void fd_install(unsigned int fd, struct file *file)
{
    WARN_ON(fd >= MAX_FDS || !reserved[fd] || table[fd]);
    reserved[fd] = false;
    table[fd] = file;
    sim_self->installed = (int)fd;
}

loff_t noop_llseek(struct file *file, loff_t offset, int whence)
{
    (void)offset;
    (void)whence;
    return file->f_pos;
}

ssize_t simple_read_from_buffer(void __user *to, size_t n, loff_t *pos, const void *from,
                                size_t size)
{
    size_t left;

    if (*pos < 0)
        return -EINVAL;
    if ((size_t)*pos >= size || !n)
        return 0;
    n = min(n, size - (size_t)*pos);
    left = copy_to_user(to, (const u8 *)from + *pos, n);
    if (left == n)
        return -EFAULT;
    n -= left;
    *pos += (loff_t)n;
    return (ssize_t)n;
}

/* ---- The page cache ---- */

void folio_lock(struct folio *f)
{
    sim_need_sleepable("folio_lock()");
    while (f->page.locked)
        sim_block(f, TASK_UNINTERRUPTIBLE);
    f->page.locked = 1;
}

void folio_unlock(struct folio *f)
{
    WARN_ON(!f->page.locked);
    f->page.locked = 0;
    sim_wake(f);
}

void folio_zero_range(struct folio *f, size_t start, size_t n)
{
    memset((u8 *)page_address(&f->page) + start, 0, n);
}

void folio_attach_private(struct folio *f, void *data)
{
    WARN_ON(f->page.has_private);
    get_page(&f->page);
    f->page.private = data;
    f->page.has_private = 1;
}

void *folio_detach_private(struct folio *f)
{
    void *data = f->page.private;

    if (!f->page.has_private)
        return NULL;
    f->page.has_private = 0;
    f->page.private = NULL;
    put_page(&f->page);
    return data;
}

struct folio *filemap_grab_folio(struct address_space *m, pgoff_t index)
{
    struct page *page;

    sim_step();
    sim_need_sleepable("filemap_grab_folio()");
    page = xa_load(&m->i_pages, index);
    if (page) {
        get_page(page);
        folio_lock(page_folio(page));
        /* Gone meanwhile: as if it had not been there. */
        if (page->mapping == m)
            return page_folio(page);
        folio_unlock(page_folio(page));
        put_page(page);
        return filemap_grab_folio(m, index);
    }
    page = alloc_page(GFP_HIGHUSER);
    if (!page)
        return ERR_PTR(-ENOMEM);
    page->mapping = m;
    page->index = index;
    page->locked = 1;
    get_page(page); /* the cache's */
    page->hash_next = m->pages;
    m->pages = page;
    if (xa_store(&m->i_pages, index, page, GFP_ATOMIC)) {
        page->locked = 0;
        page->mapping = NULL;
        m->pages = page->hash_next;
        put_page(page);
        put_page(page);
        return ERR_PTR(-ENOMEM);
    }
    return page_folio(page);
}

static void drop_cached(struct address_space *m, struct page **p)
{
    struct page *page = *p;
    struct folio *f = page_folio(page);

    folio_lock(f);
    *p = page->hash_next;
    xa_store(&m->i_pages, page->index, NULL, GFP_ATOMIC);
    if (page->has_private && m->a_ops && m->a_ops->invalidate_folio)
        m->a_ops->invalidate_folio(f, 0, PAGE_SIZE);
    page->mapping = NULL;
    folio_unlock(f);
    put_page(page);
}

/* end is the last byte; -1: all there is. */
void truncate_inode_pages_range(struct address_space *m, loff_t start, loff_t end)
{
    u64 first = (u64)(start + (loff_t)PAGE_SIZE - 1) >> PAGE_SHIFT;
    u64 last = end == -1 ? U64_MAX : (u64)(end + 1) >> PAGE_SHIFT; /* beyond it */
    struct page **p = &m->pages;

    sim_need_sleepable("truncate_inode_pages_range()");
    while (*p) {
        sim_step();
        if ((*p)->index >= first && (*p)->index < last)
            drop_cached(m, p);
        else
            p = &(*p)->hash_next;
    }
    if (!m->pages)
        xa_destroy(&m->i_pages);
}

bool noop_dirty_folio(struct address_space *m, struct folio *folio)
{
    (void)m;
    (void)folio;
    return false;
}

void filemap_invalidate_lock(struct address_space *m)
{
    sim_need_sleepable("filemap_invalidate_lock()");
    sim_order(&m->invalidate_lock);
    while (m->invalidate_lock.owner || m->readers)
        sim_block(m, TASK_UNINTERRUPTIBLE);
    m->invalidate_lock.owner = current;
    sim_acquire(&m->invalidate_lock, false);
}

void filemap_invalidate_unlock(struct address_space *m)
{
    sim_release(&m->invalidate_lock);
    m->invalidate_lock.owner = NULL;
    sim_wake(m);
}

void filemap_invalidate_lock_shared(struct address_space *m)
{
    sim_need_sleepable("filemap_invalidate_lock_shared()");
    sim_order(&m->invalidate_lock);
    while (m->invalidate_lock.owner)
        sim_block(m, TASK_UNINTERRUPTIBLE);
    m->readers++;
    sim_acquire(&m->invalidate_lock, false);
}

void filemap_invalidate_unlock_shared(struct address_space *m)
{
    sim_release(&m->invalidate_lock);
    if (!--m->readers)
        sim_wake(m);
}

/* ---- Eventfds ---- */

struct eventfd_ctx {
    int refs;
    u64 count;
    wait_queue_head_t queue;
};
static u64 eventfds_out;

static void wake_queue(struct eventfd_ctx *ctx, __poll_t events)
{
    wait_queue_entry_t *w, *next;
    unsigned long flags;

    spin_lock_irqsave(&ctx->queue.lock, flags);
    list_for_each_entry_safe(w, next, &ctx->queue.head, entry)
        w->func(w, TASK_INTERRUPTIBLE, 0, poll_to_key(events));
    spin_unlock_irqrestore(&ctx->queue.lock, flags);
}

void eventfd_ctx_put(struct eventfd_ctx *ctx)
{
    WARN_ON(ctx->refs <= 0);
    if (--ctx->refs)
        return;
    if (!list_empty(&ctx->queue.head))
        sim_fault(SIM_LEAK, "an eventfd goes while somebody is in its wait queue");
    eventfds_out--;
    free(ctx);
}

static int eventfd_release(struct inode *inode, struct file *file)
{
    struct eventfd_ctx *ctx = file->private_data;

    (void)inode;
    wake_queue(ctx, (__poll_t)EPOLLHUP);
    eventfd_ctx_put(ctx);
    return 0;
}

static __poll_t eventfd_poll(struct file *file, poll_table *pt)
{
    struct eventfd_ctx *ctx = file->private_data;

    if (pt && pt->_qproc)
        pt->_qproc(file, &ctx->queue, pt);
    return (ctx->count ? (__poll_t)EPOLLIN : 0) | (__poll_t)EPOLLOUT;
}

static const struct file_operations eventfd_fops = {
    .release = eventfd_release,
    .poll = eventfd_poll,
};

int sim_eventfd(uint64_t count)
{
    struct eventfd_ctx *ctx = calloc(1, sizeof(*ctx));
    struct file *file;
    int fd;

    if (!ctx)
        abort();
    spin_lock_init(&ctx->queue.lock);
    INIT_LIST_HEAD(&ctx->queue.head);
    ctx->refs = 1;
    ctx->count = count;
    eventfds_out++;
    file = new_file(&eventfd_fops, ctx, 0);
    fd = IS_ERR(file) ? (int)PTR_ERR(file) : get_unused_fd_flags(0);
    if (fd >= 0) {
        fd_install((unsigned int)fd, file);
        return fd;
    }
    if (!IS_ERR(file)) {
        free(file);
        files_out--;
    }
    eventfd_ctx_put(ctx);
    return fd;
}

struct eventfd_ctx *eventfd_ctx_fileget(struct file *file)
{
    struct eventfd_ctx *ctx = file->private_data;

    if (file->f_op != &eventfd_fops)
        return ERR_PTR(-EINVAL);
    ctx->refs++;
    return ctx;
}

struct eventfd_ctx *eventfd_ctx_fdget(int fd)
{
    struct file *file = fget((unsigned int)fd);
    struct eventfd_ctx *ctx;

    if (!file)
        return ERR_PTR(-EBADF);
    ctx = eventfd_ctx_fileget(file);
    fput(file);
    return ctx;
}

void eventfd_signal(struct eventfd_ctx *ctx)
{
    sim_step();
    if (ctx->count < U64_MAX - 1)
        ctx->count++;
    wake_queue(ctx, (__poll_t)EPOLLIN);
}

void eventfd_ctx_do_read(struct eventfd_ctx *ctx, u64 *count)
{
    if (!lockdep_is_held(&ctx->queue.lock))
        sim_fault(SIM_LOCK, "eventfd_ctx_do_read() without the wait queue's lock");
    *count = ctx->count;
    ctx->count = 0;
}

int eventfd_ctx_remove_wait_queue(struct eventfd_ctx *ctx, wait_queue_entry_t *w, u64 *count)
{
    unsigned long flags;

    spin_lock_irqsave(&ctx->queue.lock, flags);
    *count = ctx->count;
    ctx->count = 0;
    list_del_init(&w->entry);
    spin_unlock_irqrestore(&ctx->queue.lock, flags);
    return *count ? 0 : -EAGAIN;
}

void add_wait_queue(wait_queue_head_t *head, wait_queue_entry_t *w)
{
    unsigned long flags;

    spin_lock_irqsave(&head->lock, flags);
    list_add(&w->entry, &head->head);
    spin_unlock_irqrestore(&head->lock, flags);
}

__poll_t vfs_poll(struct file *file, poll_table *pt)
{
    sim_need_sleepable("vfs_poll()");
    return file->f_op->poll ? file->f_op->poll(file, pt) : (__poll_t)(EPOLLIN | EPOLLOUT);
}

/* ---- The module ---- */

/* NULL: what is built in. */
bool try_module_get(struct module *m)
{
    if (m)
        m->refs++;
    return true;
}

void module_put(struct module *m)
{
    if (!m)
        return;
    WARN_ON(m->refs <= 1);
    m->refs--;
}

int misc_register(struct miscdevice *misc)
{
    WARN_ON(device);
    device = misc;
    return 0;
}

void misc_deregister(struct miscdevice *misc)
{
    WARN_ON(device != misc);
    device = NULL;
}

/* ---- System calls ---- */

/* Arguments that are longer than their number says: head and elements. */
static size_t argument_size(unsigned long request)
{
    switch (request) {
    case KVM_SET_CPUID2:
    case KVM_GET_CPUID2:
    case KVM_GET_SUPPORTED_CPUID:
        return sizeof(struct kvm_cpuid2) + 256 * sizeof(struct kvm_cpuid_entry2);
    case KVM_GET_MSRS:
    case KVM_SET_MSRS:
        return sizeof(struct kvm_msrs) + 256 * sizeof(struct kvm_msr_entry);
    case KVM_SET_GSI_ROUTING:
        return sizeof(struct kvm_irq_routing) + 4096 * sizeof(struct kvm_irq_routing_entry);
    case KVM_GET_MSR_INDEX_LIST:
    case KVM_GET_MSR_FEATURE_INDEX_LIST:
        return sizeof(struct kvm_msr_list);
    default:
        return _IOC_DIR(request) & _IOC_WRITE ? _IOC_SIZE(request) : 0;
    }
}

int sim_open(void)
{
    struct file *file;
    int fd;

    if (!device)
        return -ENODEV;
    sim_entry_begin("open");
    file = new_file(device->fops, NULL, 0);
    fd = IS_ERR(file) ? (int)PTR_ERR(file) : get_unused_fd_flags(0);
    if (fd >= 0)
        fd_install((unsigned int)fd, file);
    else if (!IS_ERR(file))
        fput(file);
    sim_entry_end();
    return fd;
}

long sim_ioctl(int fd, unsigned long request, uint64_t argument)
{
    struct file *file = fget((unsigned int)fd);
    long r = -ENOTTY;

    if (!file)
        return -EBADF;
    sim_entry_begin("ioctl");
    sim_watch(argument, argument_size(request));
    sim_self->installed = -1;
    if (file->f_op->unlocked_ioctl)
        r = file->f_op->unlocked_ioctl(file, (unsigned int)request, argument);
    if (r < 0 && sim_self->installed >= 0)
        sim_fault(SIM_LEAK, "a call that failed (%ld) left descriptor %d", r, sim_self->installed);
    fput(file);
    sim_entry_end();
    return r;
}

int sim_close(int fd)
{
    struct file *file;

    if (fd < 0 || fd >= MAX_FDS)
        return -EBADF;
    sim_entry_begin("close");
    file = table[fd];
    table[fd] = NULL;
    if (file)
        fput(file);
    sim_entry_end();
    return file ? 0 : -EBADF;
}

int sim_dup(int fd)
{
    struct file *file = fget((unsigned int)fd);
    int new;

    if (!file)
        return -EBADF;
    sim_entry_begin("dup");
    new = get_unused_fd_flags(0);
    if (new >= 0)
        fd_install((unsigned int)new, file);
    else
        fput(file);
    sim_entry_end();
    return new;
}

uint64_t sim_mmap(int fd, size_t size, uint64_t offset)
{
    struct file *file = fget((unsigned int)fd);
    u64 at;

    if (!file)
        return 0;
    sim_entry_begin("mmap");
    at = sim_map_file(file, size, offset);
    fput(file);
    sim_entry_end();
    return at;
}

/* Through the process's memory: a page or two at its first address for that. */
long sim_read(int fd, void *to, size_t n)
{
    struct file *file = fget((unsigned int)fd);
    u64 at;
    long r = -EINVAL;

    if (!file)
        return -EBADF;
    if (file->f_op == &eventfd_fops) {
        struct eventfd_ctx *ctx = file->private_data;

        if (n >= sizeof(u64) && ctx->count) {
            memcpy(to, &ctx->count, sizeof(u64));
            ctx->count = 0;
            r = sizeof(u64);
        } else {
            r = n < sizeof(u64) ? -EINVAL : -EAGAIN;
        }
    } else if (file->f_op->read) {
        at = sim_map(PAGE_ALIGN(n + 1));
        sim_entry_begin("read");
        r = at ? file->f_op->read(file, (void *)at, n, &file->f_pos) : -ENOMEM;
        sim_entry_end();
        if (r > 0)
            sim_peek(at, to, (size_t)r);
        sim_unmap(at, PAGE_ALIGN(n + 1));
    }
    sim_entry_begin("read");
    fput(file);
    sim_entry_end();
    return r;
}

long sim_write(int fd, const void *from, size_t n)
{
    struct file *file = fget((unsigned int)fd);
    long r = -EINVAL;
    u64 add;

    if (!file)
        return -EBADF;
    sim_entry_begin("write");
    if (file->f_op == &eventfd_fops && n >= sizeof(add)) {
        struct eventfd_ctx *ctx = file->private_data;

        memcpy(&add, from, sizeof(add));
        if (add < U64_MAX && !__builtin_add_overflow(ctx->count, add, &ctx->count)) {
            if (add)
                wake_queue(ctx, (__poll_t)EPOLLIN);
            r = sizeof(add);
        }
    }
    fput(file);
    sim_entry_end();
    return r;
}

long sim_fallocate(int fd, int mode, uint64_t offset, uint64_t size)
{
    struct file *file = fget((unsigned int)fd);
    long r = -EOPNOTSUPP;
    loff_t end;

    if (!file)
        return -EBADF;
    sim_entry_begin("fallocate");
    /* What the VFS itself refuses. */
    if ((loff_t)offset < 0 || (loff_t)size <= 0)
        r = -EINVAL;
    else if (__builtin_add_overflow((loff_t)offset, (loff_t)size, &end))
        r = -EFBIG;
    else if (file->f_op->fallocate)
        r = file->f_op->fallocate(file, mode, (loff_t)offset, (loff_t)size);
    fput(file);
    sim_entry_end();
    return r;
}

unsigned sim_poll(int fd)
{
    struct file *file = fget((unsigned int)fd);
    unsigned int events = 0;

    if (!file)
        return 0;
    sim_entry_begin("poll");
    if (file->f_op->poll)
        events = (unsigned int)file->f_op->poll(file, NULL);
    fput(file);
    sim_entry_end();
    return events;
}

/* ---- Life ---- */

void sim_file_reset(void)
{
    int fd;

    for (fd = 0; fd < MAX_FDS; fd++)
        if (table[fd])
            sim_close(fd);
    for (fd = 0; fd < MAX_FDS; fd++)
        if (reserved[fd])
            sim_fault(SIM_LEAK, "descriptor %d is reserved and never used", fd);
}

void sim_file_check(void)
{
    if (files_out || inodes_out || eventfds_out)
        sim_fault(SIM_LEAK, "%llu files, %llu inodes and %llu eventfds are left", files_out,
                  inodes_out, eventfds_out);
    if (sim_module.refs != 1)
        sim_fault(SIM_LEAK, "%d references on the module are left", sim_module.refs - 1);
}

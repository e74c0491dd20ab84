/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files, their page caches, eventfds, the module itself, crypto and the TPM that is not there.
 * Trusts its callers.
 */
#ifndef SIM_FILE_H
#define SIM_FILE_H

#include <linux/eventpoll.h>
#include <linux/falloc.h>
#include <linux/magic.h>
#include <sim/mm.h>

/* As <fcntl.h> has them on this machine. */
#ifndef O_RDONLY
#define O_RDONLY 0
#define O_RDWR 2
#define O_CLOEXEC 02000000
#endif
#ifndef S_IFREG
#define S_IFREG 0100000
#endif
#define FMODE_PREAD 8u

struct inode;
struct dentry;
struct mnt_idmap;
struct iattr;
struct kstat;
struct eventfd_ctx;
struct poll_table_struct;
enum migrate_mode { MIGRATE_SYNC };

struct file_operations {
    struct module *owner;
    loff_t (*llseek)(struct file *file, loff_t offset, int whence);
    ssize_t (*read)(struct file *file, char __user *buf, size_t n, loff_t *pos);
    long (*unlocked_ioctl)(struct file *file, unsigned int nr, unsigned long arg);
    int (*mmap)(struct file *file, struct vm_area_struct *vma);
    int (*release)(struct inode *inode, struct file *file);
    long (*fallocate)(struct file *file, int mode, loff_t offset, loff_t len);
    __poll_t (*poll)(struct file *file, struct poll_table_struct *pt);
};
struct inode_operations {
    int (*setattr)(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr);
};
struct address_space_operations {
    bool (*dirty_folio)(struct address_space *mapping, struct folio *folio);
    int (*migrate_folio)(struct address_space *mapping, struct folio *dst, struct folio *src,
                         enum migrate_mode mode);
    void (*invalidate_folio)(struct folio *folio, size_t offset, size_t len);
    bool (*release_folio)(struct folio *folio, gfp_t gfp);
    int (*error_remove_folio)(struct address_space *mapping, struct folio *folio);
};
enum mf_result { MF_IGNORED, MF_FAILED, MF_DELAYED, MF_RECOVERED };

struct address_space {
    struct inode *host;
    const struct address_space_operations *a_ops;
    struct xarray i_pages;
    struct page *pages; /* all of the file's, newest first */
    struct sim_lock invalidate_lock;
    int readers; /* of invalidate_lock */
    bool inaccessible;
};
struct super_block {
    unsigned long s_magic;
};
struct inode {
    struct super_block *i_sb;
    struct address_space *i_mapping;
    const struct inode_operations *i_op;
    umode_t i_mode;
    loff_t i_size;
    void *i_private;
    int refs;
    struct address_space i_data;
};
struct file {
    const struct file_operations *f_op;
    void *private_data;
    unsigned int f_mode;
    loff_t f_pos;
    struct inode *inode;
    struct address_space *f_mapping;
    int refs;
    struct file *next; /* waits for its release */
};
struct inode *file_inode(const struct file *file);
#define i_size_read(i) ((i)->i_size)
loff_t noop_llseek(struct file *file, loff_t offset, int whence);
ssize_t simple_read_from_buffer(void __user *to, size_t n, loff_t *pos, const void *from,
                                size_t size);
struct file *fget(unsigned int fd);
void fput(struct file *file);
void fd_install(unsigned int fd, struct file *file);
__must_check int get_unused_fd_flags(unsigned int flags);
void put_unused_fd(unsigned int fd);
struct file *anon_inode_getfile(const char *name, const struct file_operations *ops, void *priv,
                                int flags);
int anon_inode_getfd(const char *name, const struct file_operations *ops, void *priv, int flags);
struct file *anon_inode_create_getfile(const char *name, const struct file_operations *ops,
                                       void *priv, int flags, const struct inode *context);
void ihold(struct inode *inode);
void iput(struct inode *inode);

/* ---- The page cache ---- */

#define mapping_set_gfp_mask(m, gfp) ((void)(m))
#define mapping_set_inaccessible(m) ((void)((m)->inaccessible = true))
void filemap_invalidate_lock(struct address_space *m);
void filemap_invalidate_unlock(struct address_space *m);
void filemap_invalidate_lock_shared(struct address_space *m);
void filemap_invalidate_unlock_shared(struct address_space *m);
struct folio *filemap_grab_folio(struct address_space *m, pgoff_t index);
void truncate_inode_pages_range(struct address_space *m, loff_t start, loff_t end);
#define truncate_inode_pages(m, start) truncate_inode_pages_range(m, start, -1)
bool noop_dirty_folio(struct address_space *m, struct folio *folio);
#define folio_page(f, n) (&(f)->page + (n))
#define page_folio(p) container_of(p, struct folio, page)
#define folio_file_page(f, index) ((void)(index), &(f)->page)
#define folio_size(f) ((void)(f), PAGE_SIZE)
#define folio_pos(f) ((loff_t)(f)->page.index << PAGE_SHIFT)
#define folio_test_hwpoison(f) ((void)(f), false) /* its memory is good */
#define folio_test_uptodate(f) ((f)->page.uptodate)
#define folio_mark_uptodate(f) ((void)((f)->page.uptodate = 1))
#define folio_test_private(f) ((f)->page.has_private)
#define folio_put(f) put_page(&(f)->page)
#define folio_get(f) get_page(&(f)->page)
void folio_lock(struct folio *f);
void folio_unlock(struct folio *f);
void folio_zero_range(struct folio *f, size_t start, size_t n);
void folio_attach_private(struct folio *f, void *data);
void *folio_detach_private(struct folio *f);

/* ---- Polling and eventfds ---- */

typedef struct poll_table_struct {
    void (*_qproc)(struct file *file, wait_queue_head_t *head, struct poll_table_struct *pt);
} poll_table;
static inline void init_poll_funcptr(poll_table *pt,
                                     void (*fn)(struct file *, wait_queue_head_t *, poll_table *))
{
    pt->_qproc = fn;
}
#define key_to_poll(k) ((__poll_t)(unsigned long)(k))
#define poll_to_key(m) ((void *)(unsigned long)(m))
__poll_t vfs_poll(struct file *file, poll_table *pt);
struct eventfd_ctx *eventfd_ctx_fdget(int fd);
struct eventfd_ctx *eventfd_ctx_fileget(struct file *file);
void eventfd_ctx_put(struct eventfd_ctx *ctx);
void eventfd_signal(struct eventfd_ctx *ctx);
void eventfd_ctx_do_read(struct eventfd_ctx *ctx, u64 *count);
int eventfd_ctx_remove_wait_queue(struct eventfd_ctx *ctx, wait_queue_entry_t *w, u64 *count);

/* ---- The module ---- */

struct module {
    int refs;
};
extern struct module sim_module;
#define THIS_MODULE (&sim_module)
bool try_module_get(struct module *m);
void module_put(struct module *m);
#define module_param(name, type, mode) struct sim_unused
#define MODULE_PARM_DESC(name, text) struct sim_unused
#define MODULE_SOFTDEP(text) struct sim_unused
#define MODULE_DESCRIPTION(text) struct sim_unused
#define MODULE_AUTHOR(text) struct sim_unused
#define MODULE_VERSION(text) struct sim_unused
#define MODULE_LICENSE(text) struct sim_unused
#define EXPORT_SYMBOL_NS_GPL(symbol, ns) struct sim_unused
#define EXPORT_SYMBOL_GPL(symbol) struct sim_unused
extern int (*const sim_module_init)(void);
extern void (*const sim_module_exit)(void);
#define module_init(fn) int (*const sim_module_init)(void) = fn
#define module_exit(fn) void (*const sim_module_exit)(void) = fn

#define MISC_DYNAMIC_MINOR 255
#define KVM_MINOR 232
struct miscdevice {
    int minor;
    const char *name;
    const struct file_operations *fops;
    umode_t mode;
};
int misc_register(struct miscdevice *misc);
void misc_deregister(struct miscdevice *misc);

/* ---- Crypto: libcrypto behind the kernel's names ---- */

struct crypto_shash;
struct shash_desc {
    struct crypto_shash *tfm;
};
#define SHASH_DESC_ON_STACK(desc, tfm) struct shash_desc desc##_sim_, *desc = &desc##_sim_
struct crypto_shash *crypto_alloc_shash(const char *name, u32 type, u32 mask);
void crypto_free_shash(struct crypto_shash *tfm);
int crypto_shash_init(struct shash_desc *desc);
int crypto_shash_update(struct shash_desc *desc, const u8 *data, unsigned int len);
int crypto_shash_final(struct shash_desc *desc, u8 *out);
int crypto_shash_finup(struct shash_desc *desc, const u8 *data, unsigned int len, u8 *out);
int crypto_shash_digest(struct shash_desc *desc, const u8 *data, unsigned int len, u8 *out);
int crypto_shash_tfm_digest(struct crypto_shash *tfm, const u8 *data, unsigned int len, u8 *out);
static inline void shash_desc_zero(struct shash_desc *desc)
{
    desc->tfm = NULL;
}

enum hash_algo { HASH_ALGO_SHA1, HASH_ALGO_SHA256, HASH_ALGO_SHA384, HASH_ALGO__LAST };
extern const char *const hash_algo_name[HASH_ALGO__LAST];
#define TPM_MAX_DIGEST_SIZE 64
struct device {
    int refs;
};
struct tpm_bank_info {
    u16 alg_id, digest_size, crypto_id;
};
struct tpm_digest {
    u16 alg_id;
    u8 digest[TPM_MAX_DIGEST_SIZE];
};
struct tpm_chip {
    struct device dev;
    u32 nr_allocated_banks;
    struct tpm_bank_info *allocated_banks;
};
struct tpm_chip *tpm_default_chip(void);
int tpm_pcr_extend(struct tpm_chip *chip, u32 pcr, struct tpm_digest *digests);
void put_device(struct device *dev);

#endif

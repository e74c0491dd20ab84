// SPDX-License-Identifier: Apache-2.0
/*
 * Reads a machine's images. Trusts neither the files nor that they stay as they are: whoever reads
 * them again compares the launch digest.
 */
#include <fcntl.h>
#include <linux/../link.h> /* the C library's, and not link.h of this room */
#include <malloc.h>
#include <sys/mman.h>
#include <string.h>
#include <unistd.h>

#include "images.h"

static enum bawn_status read_one(struct bawn_file *file, int *fd, const char *path, size_t max,
                                 struct bawn_error *err)
{
    if (*fd < 0)
        *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot open %s: %m", path);
    return bawn_file_read_fd(file, *fd, path, max, err);
}

enum bawn_status bawn_images_read(struct bawn_images *images, const struct bawn_vm_config *cfg,
                                  struct bawn_error *err)
{
    enum bawn_status st;

    bawn_images_forget(images);
    st = read_one(&images->kernel, &images->kernel_fd, cfg->kernel, BAWN_KERNEL_MAX, err);
    if (!st && cfg->initrd)
        st = read_one(&images->initrd, &images->initrd_fd, cfg->initrd, BAWN_INITRD_MAX, err);
    return st;
}

void bawn_images_forget(struct bawn_images *images)
{
    if (!images)
        return;
    bawn_file_free(&images->kernel);
    bawn_file_free(&images->initrd);
}

void bawn_images_close(struct bawn_images *images)
{
    bawn_images_forget(images);
    if (images->kernel_fd >= 0)
        close(images->kernel_fd);
    if (images->initrd_fd >= 0)
        close(images->initrd_fd);
    images->kernel_fd = images->initrd_fd = -1;
}

/* Never written to: what is dropped is the file's. */
static struct {
    void *at;
    size_t len;
} segment[64];
static unsigned nr_segments;

static int find_segments(struct dl_phdr_info *info, size_t size, void *opaque)
{
    const size_t room = sizeof(segment) / sizeof(segment[0]);

    (void)size, (void)opaque;
    for (unsigned i = 0; i < info->dlpi_phnum && nr_segments < room; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + p->p_vaddr, from = start & -(uintptr_t)getpagesize();

        if (p->p_type == PT_LOAD && !(p->p_flags & PF_W)) {
            segment[nr_segments].at = (void *)from;
            segment[nr_segments++].len = start + p->p_memsz - from;
        }
    }
    return 0;
}

void bawn_trim_code(void)
{
    for (unsigned i = 0; i < nr_segments; i++)
        madvise(segment[i].at, segment[i].len, MADV_DONTNEED);
}

void bawn_trim(void)
{
    nr_segments = 0;
    dl_iterate_phdr(find_segments, NULL);
    bawn_trim_code();
    malloc_trim(0);
}

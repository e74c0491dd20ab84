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

#define HEADERS 32 /* of a program or library */

/* What is dropped has the headers among it, which are not to come back: they are copied first. */
static int trim_object(struct dl_phdr_info *info, size_t size, void *opaque)
{
    size_t page = (size_t)getpagesize();
    ElfW(Phdr) header[HEADERS];
    uintptr_t base = info->dlpi_addr;
    unsigned n = info->dlpi_phnum < HEADERS ? info->dlpi_phnum : HEADERS;

    (void)size, (void)opaque;
    memcpy(header, info->dlpi_phdr, n * sizeof(header[0]));
    for (unsigned i = 0; i < n; i++) {
        const ElfW(Phdr) *p = &header[i];
        uintptr_t start = base + p->p_vaddr, from = start & ~(page - 1);

        /* Never written to: what is dropped is the file's. */
        if (p->p_type == PT_LOAD && !(p->p_flags & PF_W))
            madvise((void *)from, start + p->p_memsz - from, MADV_DONTNEED);
    }
    return 0;
}

void bawn_trim(void)
{
    dl_iterate_phdr(trim_object, NULL);
    malloc_trim(0);
}

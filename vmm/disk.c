// SPDX-License-Identifier: Apache-2.0
/*
 * Disk images. Trusts the paths, which are the user's; not what is in the file, nor that it stays
 * as it is: a read beyond a plain image's end fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "disk_io.h"

/* One writer, or any number of readers; goes with the descriptor. */
enum bawn_status bawn_disk_lock(const struct bawn_disk *disk, const char *path, bool on,
                                struct bawn_error *err)
{
    struct flock whole = { .l_type = !on              ? F_UNLCK
                                     : disk->readonly ? F_RDLCK
                                                      : F_WRLCK,
                           .l_whence = SEEK_SET };

    if (!fcntl(disk->fd, F_OFD_SETLK, &whole))
        return BAWN_OK;
    if (errno == EAGAIN || errno == EACCES)
        return bawn_fail(err, BAWN_E_IO, "disk %s is in use by another machine", path);
    return bawn_fail(err, BAWN_E_IO, "cannot lock disk %s: %m", path);
}

static enum bawn_status check(struct bawn_disk *disk, const struct bawn_disk_config *cfg,
                              struct bawn_error *err)
{
    struct stat st;
    off_t size;

    if (fstat(disk->fd, &st))
        return bawn_fail(err, BAWN_E_IO, "cannot stat disk %s: %m", cfg->path);
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return bawn_fail(err, BAWN_E_IO, "disk %s must be a file or a block device", cfg->path);
    size = lseek(disk->fd, 0, SEEK_END); /* a block device's st_size is 0 */
    if (cfg->format == BAWN_DISK_RAW && (size <= 0 || size % BAWN_SECTOR))
        return bawn_fail(err, BAWN_E_IO, "disk %s has %lld bytes: must be a multiple of %u",
                         cfg->path, (long long)size, BAWN_SECTOR);
    disk->sectors = (uint64_t)size / BAWN_SECTOR;
    return BAWN_OK;
}

static enum bawn_status open_backing(struct bawn_disk *disk, const struct bawn_disk_config *cfg,
                                     struct bawn_error *err)
{
    const struct bawn_disk_config below = {
        .path = cfg->backing,
        .readonly = true,
        .format = cfg->backing_format, /* which has no backing file itself */
    };

    disk->backing = malloc(sizeof(*disk->backing));
    if (!disk->backing)
        return bawn_fail(err, BAWN_E_NOMEM, "disk %s: out of memory", cfg->path);
    return bawn_disk_open(disk->backing, &below, err);
}

static enum bawn_status open_qcow2(struct bawn_disk *disk, const struct bawn_disk_config *cfg,
                                   bool locked, struct bawn_error *err)
{
    enum bawn_status st = cfg->backing ? open_backing(disk, cfg, err) : BAWN_OK;
    const struct bawn_qcow2_file file = { cfg->path, disk->fd, disk->readonly, disk->backing };
    uint64_t size = 0;

    if (!st)
        st =
            locked ? bawn_qcow2_open(&disk->qcow2, &file, err) : bawn_qcow2_peek(&file, &size, err);
    if (!st)
        disk->sectors = (locked ? bawn_qcow2_size(disk->qcow2) : size) / BAWN_SECTOR;
    return st;
}

static enum bawn_status open_it(struct bawn_disk *disk, const struct bawn_disk_config *cfg,
                                bool locked, struct bawn_error *err)
{
    enum bawn_status st;

    *disk = (struct bawn_disk){
        .readonly = cfg->readonly, .bytes = cfg->bytes, .ops = cfg->ops, .uring = cfg->uring
    };
    /* Not blocking: a path to a pipe must not stop us here. */
    disk->fd = open(cfg->path, (cfg->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
    if (disk->fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot open disk %s: %m", cfg->path);
    st = check(disk, cfg, err);
    /* A ring would not wait for what is there to be read. */
    if (!st && cfg->uring && fcntl(disk->fd, F_SETFL, 0))
        st = bawn_fail(err, BAWN_E_IO, "disk %s: %m", cfg->path);
    if (!st && locked)
        st = bawn_disk_lock(disk, cfg->path, true, err);
    if (!st && cfg->format == BAWN_DISK_QCOW2)
        st = open_qcow2(disk, cfg, locked, err);
    if (st)
        bawn_disk_close(disk);
    return st;
}

enum bawn_status bawn_disk_open(struct bawn_disk *disk, const struct bawn_disk_config *cfg,
                                struct bawn_error *err)
{
    return open_it(disk, cfg, true, err);
}

enum bawn_status bawn_disk_open_early(struct bawn_disk *disk, const struct bawn_disk_config *cfg,
                                      struct bawn_error *err)
{
    return open_it(disk, cfg, false, err);
}

enum bawn_status bawn_disk_take_over(struct bawn_disk *disk, const struct bawn_disk_config *cfg,
                                     struct bawn_error *err)
{
    const struct bawn_qcow2_file file = { cfg->path, disk->fd, disk->readonly, disk->backing };
    uint64_t sectors = disk->sectors;
    enum bawn_status st = bawn_disk_lock(disk, cfg->path, true, err);

    if (st)
        return st;
    /* What this host has read of it may be older than what the other one wrote. */
    posix_fadvise(disk->fd, 0, 0, POSIX_FADV_DONTNEED);
    if (cfg->format != BAWN_DISK_QCOW2)
        return BAWN_OK;
    st = bawn_qcow2_open(&disk->qcow2, &file, err);
    return st || bawn_qcow2_size(disk->qcow2) / BAWN_SECTOR == sectors
               ? st
               : bawn_fail(err, BAWN_E_CONFIG, "disk %s has another size by now", cfg->path);
}

void bawn_disk_close(struct bawn_disk *disk)
{
    struct flock none = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

    bawn_qcow2_close(disk->qcow2);
    disk->qcow2 = NULL;
    if (disk->fd >= 0) {
        fcntl(disk->fd, F_OFD_SETLK, &none); /* an ended process's ring may hold it for a moment */
        close(disk->fd);
    }
    disk->fd = -1;
    if (disk->backing)
        bawn_disk_close(disk->backing);
    free(disk->backing);
    disk->backing = NULL;
}

enum bawn_status bawn_disk_refresh(struct bawn_disk *disk, struct bawn_error *err)
{
    const struct bawn_qcow2_file file = { "image", disk->fd, disk->readonly, disk->backing };

    if (!disk->qcow2)
        return BAWN_OK;
    bawn_qcow2_close(disk->qcow2); /* nothing was written by it */
    return bawn_qcow2_open(&disk->qcow2, &file, err);
}

bool bawn_disk_settle(const struct bawn_disk *disk)
{
    return disk->qcow2 ? bawn_qcow2_settle(disk->qcow2) : bawn_disk_flush(disk);
}

void bawn_disk_leave(struct bawn_disk *disk)
{
    bawn_qcow2_close(disk->qcow2);
    disk->qcow2 = NULL;
}

bool bawn_disk_has(const struct bawn_disk *disk, uint64_t sector, uint64_t len)
{
    return len % BAWN_SECTOR == 0 && sector <= disk->sectors &&
           len / BAWN_SECTOR <= disk->sectors - sector;
}

bool bawn_disk_read(const struct bawn_disk *disk, uint64_t sector, struct iovec *v, unsigned nr)
{
    uint64_t at = sector * BAWN_SECTOR;

    return disk->qcow2 ? bawn_qcow2_read(disk->qcow2, at, v, nr)
                       : bawn_io_read(disk->fd, v, nr, at, false);
}

bool bawn_disk_write(const struct bawn_disk *disk, uint64_t sector, struct iovec *v, unsigned nr)
{
    uint64_t at = sector * BAWN_SECTOR;

    return disk->qcow2 ? bawn_qcow2_write(disk->qcow2, at, v, nr)
                       : bawn_io_write(disk->fd, v, nr, at);
}

bool bawn_disk_zero(const struct bawn_disk *disk, uint64_t sector, uint64_t len, bool unmap)
{
    uint64_t at = sector * BAWN_SECTOR;

    return disk->qcow2 ? bawn_qcow2_zero(disk->qcow2, at, len, false)
                       : bawn_io_zero(disk->fd, at, len, !unmap);
}

bool bawn_disk_discard(const struct bawn_disk *disk, uint64_t sector, uint64_t len)
{
    uint64_t at = sector * BAWN_SECTOR;

    if (disk->qcow2)
        return bawn_qcow2_zero(disk->qcow2, at, len, true);
    bawn_io_punch(disk->fd, at, len);
    return true;
}

bool bawn_disk_flush(const struct bawn_disk *disk)
{
    return disk->qcow2 ? bawn_qcow2_flush(disk->qcow2) : !fdatasync(disk->fd);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Disk images. Trusts the path, which is the user's; not that the file stays as it is: a read
 * beyond its end fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"

/* One writer, or any number of readers; goes with the descriptor. */
static enum bawn_status lock(const struct bawn_disk *disk, const char *path, struct bawn_error *err)
{
    struct flock whole = { .l_type = disk->readonly ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

    if (!fcntl(disk->fd, F_OFD_SETLK, &whole))
        return BAWN_OK;
    if (errno == EAGAIN || errno == EACCES)
        return bawn_fail(err, BAWN_E_IO, "disk %s is in use by another machine", path);
    return bawn_fail(err, BAWN_E_IO, "cannot lock disk %s: %m", path);
}

static enum bawn_status check(struct bawn_disk *disk, const char *path, struct bawn_error *err)
{
    struct stat st;
    off_t size;

    if (fstat(disk->fd, &st))
        return bawn_fail(err, BAWN_E_IO, "cannot stat disk %s: %m", path);
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return bawn_fail(err, BAWN_E_IO, "disk %s must be a file or a block device", path);
    size = lseek(disk->fd, 0, SEEK_END); /* a block device's st_size is 0 */
    if (size <= 0 || size % BAWN_SECTOR)
        return bawn_fail(err, BAWN_E_IO, "disk %s has %lld bytes: must be a multiple of %u", path,
                         (long long)size, BAWN_SECTOR);
    disk->sectors = (uint64_t)size / BAWN_SECTOR;
    return lock(disk, path, err);
}

enum bawn_status bawn_disk_open(struct bawn_disk *disk, const struct bawn_disk_config *cfg,
                                struct bawn_error *err)
{
    enum bawn_status st;

    *disk = (struct bawn_disk){ .readonly = cfg->readonly };
    /* Not blocking: a path to a pipe must not stop us here. */
    disk->fd = open(cfg->path, (cfg->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
    if (disk->fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot open disk %s: %m", cfg->path);
    st = check(disk, cfg->path, err);
    if (st)
        bawn_disk_close(disk);
    return st;
}

void bawn_disk_close(struct bawn_disk *disk)
{
    if (disk->fd >= 0)
        close(disk->fd);
    disk->fd = -1;
}

bool bawn_disk_has(const struct bawn_disk *disk, uint64_t sector, uint64_t len)
{
    return len % BAWN_SECTOR == 0 && sector <= disk->sectors &&
           len / BAWN_SECTOR <= disk->sectors - sector;
}

/* Drops n bytes from the front of the buffers. */
static void advance(struct iovec **v, unsigned *nr, size_t n)
{
    while (*nr && n >= (*v)->iov_len) {
        n -= (*v)->iov_len;
        ++*v;
        --*nr;
    }
    if (n) {
        (*v)->iov_base = (uint8_t *)(*v)->iov_base + n;
        (*v)->iov_len -= n;
    }
}

static bool move(const struct bawn_disk *disk, uint64_t sector, struct iovec *v, unsigned nr,
                 ssize_t (*io)(int fd, const struct iovec *v, int nr, off_t at))
{
    off_t at = (off_t)(sector * BAWN_SECTOR);

    while (nr) {
        ssize_t n = io(disk->fd, v, (int)nr, at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        advance(&v, &nr, (size_t)n);
    }
    return true;
}

bool bawn_disk_read(const struct bawn_disk *disk, uint64_t sector, struct iovec *v, unsigned nr)
{
    return move(disk, sector, v, nr, preadv);
}

bool bawn_disk_write(const struct bawn_disk *disk, uint64_t sector, struct iovec *v, unsigned nr)
{
    return move(disk, sector, v, nr, pwritev);
}

bool bawn_disk_flush(const struct bawn_disk *disk)
{
    return !fdatasync(disk->fd);
}

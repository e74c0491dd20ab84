// SPDX-License-Identifier: Apache-2.0
/*
 * The state directory: mode 0700, its files 0600, one daemon at a time. A file is replaced and
 * removed as a whole, so that an end at any moment leaves the old or the new one; what else such an
 * end left, the next daemon removes.
 */
#include "platform/firmware/daemon/daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* More than any of the files has. */
#define FILE_MAX ((size_t)1 << 20)

#define LOCK_NAME "lock"
#define TEMPORARY ".new"

static enum bawn_status remove_temporaries(struct store *store, struct bawn_error *err);

static enum bawn_status take_lock(struct store *store, struct bawn_error *err)
{
    char owner[32] = "";
    ssize_t n;

    store->lock = openat(store->dir, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (store->lock < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot open %s/" LOCK_NAME ": %m", store->path);
    if (!flock(store->lock, LOCK_EX | LOCK_NB))
        return BAWN_OK;
    if (errno != EWOULDBLOCK)
        return bawn_fail(err, BAWN_E_IO, "cannot lock %s/" LOCK_NAME ": %m", store->path);
    n = pread(store->lock, owner, sizeof(owner) - 1, 0);
    if (n > 0)
        owner[strspn(owner, "0123456789")] = 0;
    return bawn_fail(err, BAWN_E_DENIED,
                     "%s is in use by another bawn-platformd (process %s): end that one, or give "
                     "another state directory",
                     store->path, owner[0] ? owner : "unknown");
}

enum bawn_status store_open(struct store *store, const char *path, struct bawn_error *err)
{
    enum bawn_status st;
    struct stat dir;

    *store = (struct store){ .path = path, .dir = -1, .lock = -1 };
    if (mkdir(path, 0700) && errno != EEXIST)
        return bawn_fail(err, BAWN_E_IO, "cannot make the state directory %s: %m", path);
    store->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->dir < 0 || fstat(store->dir, &dir))
        return bawn_fail(err, BAWN_E_IO, "cannot open the state directory %s: %m", path);
    if (dir.st_uid != geteuid() || (dir.st_mode & 077))
        return bawn_fail(err, BAWN_E_DENIED,
                         "the state directory %s holds keys and is open to others (mode %03o): "
                         "must be this user's own, with mode 700",
                         path, dir.st_mode & 0777);
    st = take_lock(store, err);
    return st == BAWN_OK ? remove_temporaries(store, err) : st;
}

void store_claim(const struct store *store)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%jd\n", (intmax_t)getpid());

    /* Only for the message of a second instance. */
    if (ftruncate(store->lock, 0) || pwrite(store->lock, text, (size_t)n, 0) != n)
        fprintf(stderr, "bawn-platformd: cannot write %s/" LOCK_NAME ": %m\n", store->path);
}

void store_close(struct store *store)
{
    if (store->lock >= 0)
        close(store->lock);
    if (store->dir >= 0)
        close(store->dir);
    store->lock = store->dir = -1;
}

enum bawn_status store_log(const struct store *store, int *fd, struct bawn_error *err)
{
    *fd = openat(store->dir, "log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*fd >= 0)
        return BAWN_OK;
    return bawn_fail(err, BAWN_E_IO, "cannot open %s/log: %m", store->path);
}

/* ---- Reading ---- */

static enum bawn_status read_all(int fd, const struct store *store, const char *name,
                                 struct psp_blob *out, struct bawn_error *err)
{
    struct stat st;
    size_t size;
    ssize_t n;

    if (fstat(fd, &st))
        return bawn_fail(err, BAWN_E_IO, "cannot read %s/%s: %m", store->path, name);
    if (!S_ISREG(st.st_mode) || st.st_size < 0 || (size_t)st.st_size > FILE_MAX)
        return bawn_fail(err, BAWN_E_FORMAT, "%s/%s is no file of this program's", store->path,
                         name);
    size = (size_t)st.st_size;
    out->data = malloc(size + 1);
    if (!out->data)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for %s/%s", store->path, name);
    while (out->len < size) {
        n = read(fd, out->data + out->len, size - out->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return bawn_fail(err, BAWN_E_IO, "cannot read %s/%s: %s", store->path, name,
                             n ? strerror(errno) : "it is shorter than it was");
        out->len += (size_t)n;
    }
    return BAWN_OK;
}

enum bawn_status store_read(const struct store *store, const char *name, struct psp_blob *out,
                            struct bawn_error *err)
{
    int fd = openat(store->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    enum bawn_status st;

    *out = (struct psp_blob){ NULL, 0 };
    if (fd < 0 && errno == ENOENT)
        return BAWN_OK;
    if (fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot open %s/%s: %m", store->path, name);
    st = read_all(fd, store, name, out, err);
    close(fd);
    if (st != BAWN_OK)
        psp_blob_free(out);
    return st;
}

/* ---- Writing ---- */

static bool write_all(int fd, const uint8_t *data, size_t len)
{
    while (len) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

enum bawn_status store_write(const struct store *store, const char *name, const uint8_t *data,
                             size_t len, struct bawn_error *err)
{
    char temporary[64];
    bool ok;
    int fd;

    snprintf(temporary, sizeof(temporary), "%s" TEMPORARY, name);
    fd = openat(store->dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot write %s/%s: %m", store->path, temporary);
    ok = write_all(fd, data, len) && !fsync(fd);
    if (!ok)
        bawn_fail(err, BAWN_E_IO, "cannot write %s/%s: %m", store->path, temporary);
    close(fd);
    if (!ok)
        return BAWN_E_IO;
    if (renameat(store->dir, temporary, store->dir, name) || fsync(store->dir))
        return bawn_fail(err, BAWN_E_IO, "cannot replace %s/%s: %m", store->path, name);
    return BAWN_OK;
}

/* Of a file under its temporary name: nobody reads it any more, however much of it is left. */
static enum bawn_status wipe_temporary(const struct store *store, const char *name,
                                       struct bawn_error *err)
{
    static const uint8_t zeros[PSP_RECORD_MAX];
    int fd = openat(store->dir, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    bool ok;

    if (fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot wipe %s/%s: %m", store->path, name);
    ok = write_all(fd, zeros, sizeof(zeros)) && !fsync(fd);
    ok &= !unlinkat(store->dir, name, 0) && !fsync(store->dir);
    if (!ok)
        bawn_fail(err, BAWN_E_IO, "cannot wipe %s/%s: %m", store->path, name);
    close(fd);
    return ok ? BAWN_OK : BAWN_E_IO;
}

enum bawn_status store_wipe(const struct store *store, const char *name, struct bawn_error *err)
{
    char temporary[64];

    snprintf(temporary, sizeof(temporary), "%s" TEMPORARY, name);
    if (!renameat(store->dir, name, store->dir, temporary))
        return wipe_temporary(store, temporary, err);
    if (errno == ENOENT)
        return BAWN_OK;
    return bawn_fail(err, BAWN_E_IO, "cannot remove %s/%s: %m", store->path, name);
}

/* ---- Listing ---- */

static bool has_suffix(const char *name, const char *suffix)
{
    size_t n = strlen(name), k = strlen(suffix);

    return n >= k && !strcmp(name + n - k, suffix);
}

typedef enum bawn_status each_fn(void *arg, const char *name, struct bawn_error *err);

static enum bawn_status list(const struct store *store, const char *prefix, bool temporaries,
                             each_fn *each, void *arg, struct bawn_error *err)
{
    enum bawn_status st = BAWN_OK;
    struct dirent *entry;
    int fd = openat(store->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir) {
        st = bawn_fail(err, BAWN_E_IO, "cannot list %s: %m", store->path);
        if (fd >= 0)
            close(fd);
        return st;
    }
    while (st == BAWN_OK && (entry = readdir(dir)))
        if (!strncmp(entry->d_name, prefix, strlen(prefix)) &&
            has_suffix(entry->d_name, TEMPORARY) == temporaries)
            st = each(arg, entry->d_name, err);
    closedir(dir);
    return st;
}

enum bawn_status store_list(const struct store *store, const char *prefix, each_fn *each, void *arg,
                            struct bawn_error *err)
{
    return list(store, prefix, false, each, arg, err);
}

static enum bawn_status wipe_one(void *arg, const char *name, struct bawn_error *err)
{
    return wipe_temporary(arg, name, err);
}

/* What a daemon left that ended while it wrote or removed a file: keys may be in it. */
static enum bawn_status remove_temporaries(struct store *store, struct bawn_error *err)
{
    return list(store, "", true, wipe_one, store, err);
}

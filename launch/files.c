// SPDX-License-Identifier: Apache-2.0
/*
 * Reads kernel, initrd and configuration, for the programs that plan a launch. Trusts neither
 * what a path leads to nor that it stays as it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launch/launch.h"

static enum bawn_status read_all(struct bawn_file *file, int fd, const char *path, size_t max,
                                 struct bawn_error *err)
{
    struct stat st;

    if (fstat(fd, &st))
        return bawn_fail(err, BAWN_E_IO, "cannot stat %s: %m", path);
    if (!S_ISREG(st.st_mode))
        return bawn_fail(err, BAWN_E_IO, "%s is not a regular file", path);
    if ((uint64_t)st.st_size > max)
        return bawn_fail(err, BAWN_E_IO, "%s has %lld bytes, at most %zu are taken", path,
                         (long long)st.st_size, max);
    file->data = malloc(st.st_size ? st.st_size : 1);
    if (!file->data)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory for the %lld bytes of %s",
                         (long long)st.st_size, path);
    while (file->len < (size_t)st.st_size) {
        ssize_t n = pread(fd, file->data + file->len, st.st_size - file->len, (off_t)file->len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return bawn_fail(err, BAWN_E_IO, "cannot read %s: %s", path,
                             n ? strerror(errno) : "it became shorter");
        file->len += n;
    }
    return BAWN_OK;
}

enum bawn_status bawn_file_read_fd(struct bawn_file *file, int fd, const char *path, size_t max,
                                   struct bawn_error *err)
{
    enum bawn_status st;

    *file = (struct bawn_file){ 0 };
    st = read_all(file, fd, path, max, err);
    if (st)
        bawn_file_free(file);
    return st;
}

enum bawn_status bawn_file_read(struct bawn_file *file, const char *path, size_t max,
                                struct bawn_error *err)
{
    enum bawn_status st;
    int fd;

    *file = (struct bawn_file){ 0 };
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot open %s: %m", path);
    st = bawn_file_read_fd(file, fd, path, max, err);
    close(fd);
    return st;
}

void bawn_file_free(struct bawn_file *file)
{
    free(file->data);
    *file = (struct bawn_file){ 0 };
}

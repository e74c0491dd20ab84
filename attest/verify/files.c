// SPDX-License-Identifier: Apache-2.0
/*
 * Reading the input files. Their names are the user's; their sizes and contents are not
 * trusted. A directory gives its regular files in the order of their names, without those
 * that begin with a dot, and without what is in directories below it.
 */
#include "attest/verify/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"

static enum bawn_status read_fd(int fd, const char *name, struct bawn_bytes *out,
                                struct bawn_error *err)
{
    enum bawn_status st = bytes_read(fd, name, FILE_MAX, out, err);

    return st != BAWN_E_FORMAT
               ? st
               : bawn_fail(err, BAWN_E_IO, "%s: larger than %zu MiB, which no evidence is", name,
                           FILE_MAX >> 20);
}

static enum bawn_status read_path(int dir, const char *path, struct bawn_bytes *out,
                                  struct bawn_error *err)
{
    struct stat st;
    enum bawn_status status;
    int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot open %s: %m", path);
    if (!fstat(fd, &st) && S_ISDIR(st.st_mode))
        status = bawn_fail(err, BAWN_E_IO, "%s is a directory, and must be a file", path);
    else
        status = read_fd(fd, path, out, err);
    close(fd);
    return status;
}

static enum bawn_status make_room(struct file_list *l, size_t len, const char *path,
                                  struct bawn_error *err)
{
    struct bawn_bytes *more;
    char **names;

    if (l->n == ENDORSEMENTS_MAX)
        return bawn_fail(err, BAWN_E_IO, "%s: more than %d files", path, ENDORSEMENTS_MAX);
    if (len > TOTAL_MAX - l->total)
        return bawn_fail(err, BAWN_E_IO, "%s: more than %zu MiB in all", path, TOTAL_MAX >> 20);
    more = realloc(l->file, (l->n + 1) * sizeof(*more));
    if (!more)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    l->file = more;
    names = realloc(l->name, (l->n + 1) * sizeof(*names));
    if (!names)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    l->name = names;
    return BAWN_OK;
}

/* in is the path of the directory, or NULL. */
static char *full_name(const char *in, const char *path)
{
    char *name;

    if (!in)
        return strdup(path);
    return asprintf(&name, "%s%s%s", in, in[strlen(in) - 1] == '/' ? "" : "/", path) < 0 ? NULL
                                                                                         : name;
}

static enum bawn_status add_path(struct file_list *l, int dir, const char *in, const char *path,
                                 struct bawn_error *err)
{
    struct bawn_bytes bytes = { NULL, 0 };
    enum bawn_status st = read_path(dir, path, &bytes, err);
    char *name = NULL;

    if (st == BAWN_OK)
        st = make_room(l, bytes.len, path, err);
    if (st == BAWN_OK && !(name = full_name(in, path)))
        st = bawn_fail(err, BAWN_E_NOMEM, "no memory");
    if (st != BAWN_OK) {
        free((void *)(uintptr_t)bytes.data);
        return st;
    }
    l->name[l->n] = name;
    l->file[l->n++] = bytes;
    l->total += bytes.len;
    return BAWN_OK;
}

/* ---- Directories ---- */

static int visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static enum bawn_status read_entry(struct file_list *l, int dir, const char *in, const char *name,
                                   struct bawn_error *err)
{
    struct stat st;

    /* Links count as what they lead to: mounted secrets are links. */
    if (fstatat(dir, name, &st, 0))
        return bawn_fail(err, BAWN_E_IO, "cannot open %s: %m", name);
    if (!S_ISREG(st.st_mode))
        return BAWN_OK;
    return add_path(l, dir, in, name, err);
}

static enum bawn_status read_directory(struct file_list *l, const char *path,
                                       struct bawn_error *err)
{
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct dirent **names = NULL;
    enum bawn_status st = BAWN_OK;
    int n;

    if (dir < 0)
        return bawn_fail(err, BAWN_E_IO, "cannot open %s: %m", path);
    n = scandirat(dir, ".", &names, visible, alphasort);
    if (n < 0)
        st = bawn_fail(err, BAWN_E_IO, "cannot read %s: %m", path);
    for (int i = 0; i < n; i++) {
        if (st == BAWN_OK)
            st = read_entry(l, dir, path, names[i]->d_name, err);
        free(names[i]);
    }
    free(names);
    close(dir);
    return st;
}

/* ---- All ---- */

static enum bawn_status read_one(struct file_list *l, const char *path, bool directories,
                                 struct bawn_error *err)
{
    struct stat st;

    if (directories && !stat(path, &st) && S_ISDIR(st.st_mode))
        return read_directory(l, path, err);
    return add_path(l, AT_FDCWD, NULL, path, err);
}

enum bawn_status verify_inputs_read(struct verify_inputs *in, const struct verify_options *o,
                                    struct bawn_error *err)
{
    enum bawn_status st;

    *in = (struct verify_inputs){ .evidence = { NULL, 0 } };
    if (strcmp(o->evidence, "-"))
        st = read_path(AT_FDCWD, o->evidence, &in->evidence, err);
    else
        st = read_fd(STDIN_FILENO, "stdin", &in->evidence, err);
    for (size_t i = 0; st == BAWN_OK && i < o->endorsements.n; i++)
        st = read_one(&in->endorsements, o->endorsements.text[i], true, err);
    for (size_t i = 0; st == BAWN_OK && i < o->roots.n; i++)
        st = read_one(&in->roots, o->roots.text[i], false, err);
    return st;
}

static void free_list(struct file_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free((void *)(uintptr_t)l->file[i].data);
        free(l->name[i]);
    }
    free(l->file);
    free(l->name);
}

void verify_inputs_free(struct verify_inputs *in)
{
    free((void *)(uintptr_t)in->evidence.data);
    free_list(&in->endorsements);
    free_list(&in->roots);
}

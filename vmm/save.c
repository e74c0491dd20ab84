// SPDX-License-Identifier: Apache-2.0
/*
 * Makes snapshots. The writer's process sees guest memory and the new file, and nothing else; what
 * it and the machine say is not trusted.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "save.h"
#include "supervise.h"

/* ---- the writer's process ---- */

static enum bawn_status lock_in(const struct bawn_boot *b, struct bawn_error *err)
{
    struct bawn_sandbox_files files = { .nr = 0 };
    unsigned lacks = 0; /* the machine's process says it for all */
    enum bawn_status st;

    bawn_sandbox_keep(&files, b->save.fd);
    bawn_sandbox_keep(&files, b->save.progress);
    for (unsigned i = 0; i < b->mem.nr; i++)
        bawn_sandbox_keep(&files, b->mem.range[i].fd);
    st = bawn_sandbox_enter(BAWN_ROLE_SNAPSHOT, &files, &lacks, err);
    return st ? st : bawn_sandbox_filter(BAWN_ROLE_SNAPSHOT, &lacks, err);
}

/* Who does not read, or is gone, misses it. */
static void tell(void *opaque, uint64_t done, uint64_t all)
{
    const struct bawn_save *s = opaque;
    const struct bawn_save_progress msg = { done, all };

    if (s->progress >= 0)
        (void)!write(s->progress, &msg, sizeof(msg));
}

static _Noreturn void write_image(struct bawn_boot *b)
{
    const struct bawn_progress progress = { tell, &b->save };
    struct bawn_error *err = &b->shared->why;
    enum bawn_status st = lock_in(b, err);

    if (!st)
        st = bawn_snapshot_write(&b->save.image, b->save.config, &b->shared->state,
                                 BAWN_STATE_SIZE(bawn_vm_config_max_vcpus(b->parts.cfg)), &b->mem,
                                 b->save.has_base ? &b->save.base : NULL, &progress, err);
    b->shared->made = b->save.image.id;
    _exit(st ? 1 : 0);
}

/* ---- the supervisor ---- */

static void discard(struct bawn_save *s)
{
    if (s->fd >= 0) {
        close(s->fd);
        unlink(s->temp);
    }
    s->fd = -1;
    if (s->progress >= 0)
        close(s->progress);
    s->progress = -1;
    bawn_image_close(&s->image);
    free(s->config);
    s->config = NULL;
}

static void end(struct bawn_boot *b)
{
    discard(&b->save);
    b->save.active = false;
    b->ops.saved(b->ops.opaque, b->save.path, b->save.why);
}

/* The machine goes on, if it did before. */
static void go_on(struct bawn_boot *b)
{
    if (!b->save.resume || !bawn_boot_order(b, BAWN_ORDER_RESUME))
        end(b);
}

static void fail(struct bawn_boot *b, const char *why)
{
    snprintf(b->save.why, sizeof(b->save.why), "%.255s", why);
    go_on(b);
}

static enum bawn_status open_file(struct bawn_save *s, const char *path, struct bawn_error *err)
{
    if (snprintf(s->path, sizeof(s->path), "%s", path) >= (int)sizeof(s->path) ||
        snprintf(s->temp, sizeof(s->temp), "%s.XXXXXX", path) >= (int)sizeof(s->temp))
        return bawn_fail(err, BAWN_E_USAGE, "the snapshot's name is too long");
    s->fd = mkostemp(s->temp, O_CLOEXEC);
    return s->fd < 0 ? bawn_fail(err, BAWN_E_IO, "cannot make %s: %m", s->temp) : BAWN_OK;
}

/* What is to be restored from it needs all that it is based on, which is not replaced. */
static enum bawn_status check_chain(const struct bawn_snapshot *base, const char *path,
                                    struct bawn_error *err)
{
    struct stat old, s;
    bool replaces = !lstat(path, &old);
    unsigned nr = 0;

    for (; base; base = base->base, nr++) {
        if (replaces && !fstat(base->image.fd, &s) && s.st_dev == old.st_dev &&
            s.st_ino == old.st_ino)
            return bawn_fail(
                err, BAWN_E_DENIED,
                "%.200s would be replaced, and is needed to restore what is based on it: "
                "give the new snapshot another name",
                path);
    }
    return nr < BAWN_SNAPSHOT_CHAIN
               ? BAWN_OK
               : bawn_fail(err, BAWN_E_UNSUPPORTED,
                           "it is the last of %u snapshots, each based on the one before, and no "
                           "more can be restored: make one without --base",
                           nr);
}

/* The base must be the one that the notes began with, and still be it. */
static enum bawn_status open_base(struct bawn_boot *b, const struct bawn_save_wish *wish,
                                  const struct bawn_image_key *key, struct bawn_error *err)
{
    struct bawn_save *s = &b->save;
    struct bawn_snapshot base = { .fd = open(wish->base, O_RDONLY | O_CLOEXEC | O_NONBLOCK) };
    struct bawn_error why = { .msg = "" };
    int fd = base.fd;
    enum bawn_status st = fd < 0 ? bawn_fail(&why, BAWN_E_IO, "%s", strerror(errno))
                                 : bawn_snapshot_open(&base, fd, key, &why);

    s->base.id = base.image.id;
    if (!st && (!b->tracked.since || memcmp(&s->base.id, &b->tracked.base, sizeof(s->base.id))))
        st = bawn_fail(&why, BAWN_E_DENIED,
                       "it is not the last snapshot of this run of the machine that was made with "
                       "--track or --base%s: make one",
                       b->tracked.since ? "" : " (there is none)");
    if (!st)
        st = bawn_snapshot_open_bases(&base, wish->base, key, &why);
    if (!st)
        st = check_chain(&base, wish->path, &why);
    bawn_snapshot_close(&base);
    if (fd >= 0)
        close(fd);
    if (st)
        return bawn_fail(err, st, "the base %.200s: %.250s", wish->base, why.msg);
    if (!realpath(wish->base, s->base_path))
        return bawn_fail(err, BAWN_E_IO, "the base %s: %m", wish->base);
    s->base.path = s->base_path;
    s->has_base = true;
    return BAWN_OK;
}

/* What comes after the machine is paused. */
static enum bawn_order next_order(const struct bawn_boot *b)
{
    return b->save.track && !b->tracked.on ? BAWN_ORDER_TRACK : BAWN_ORDER_SAVE;
}

enum bawn_status bawn_save_begin(struct bawn_boot *b, const struct bawn_save_wish *wish,
                                 const struct bawn_image_key *key, struct bawn_error *err)
{
    struct bawn_save *s = &b->save;
    enum bawn_status st = bawn_state_supported(b->parts.cfg, err);

    if (st)
        return st;
    if (s->active || b->leave.active)
        return bawn_fail(err, BAWN_E_IO, "a snapshot or a migration is being made already");
    if (!dlopen("libcrypto.so.3", RTLD_NOW)) /* without it the supervisor would end */
        return bawn_fail(err, BAWN_E_UNSUPPORTED, "snapshots need OpenSSL: %.200s", dlerror());
    if (b->pager_pid)
        return bawn_fail(err, BAWN_E_IO,
                         "the machine's memory is still being read from the "
                         "snapshot that it came from: try again");
    *s = (struct bawn_save){
        .fd = -1,
        .resume = !b->paused,
        .nr_devices = bawn_boot_devices(b),
        .track = wish->track || wish->base,
        .progress = wish->progress < 0 ? -1 : fcntl(wish->progress, F_DUPFD_CLOEXEC, 3),
    };
    if (s->progress >= 0)
        fcntl(s->progress, F_SETFL, O_NONBLOCK | O_WRONLY);
    st = wish->base ? open_base(b, wish, key, err) : BAWN_OK;
    if (!st)
        st = open_file(s, wish->path, err);
    s->config = st ? NULL : bawn_vm_config_print(b->parts.cfg);
    if (!st && !s->config)
        st = bawn_fail(err, BAWN_E_NOMEM, "no memory for the configuration");
    if (!st) /* here the cipher is set up, which the writer's process could not do */
        st = bawn_image_create(&s->image, s->fd, key, err);
    if (!st && !bawn_boot_order(b, s->resume ? BAWN_ORDER_PAUSE : next_order(b)))
        st = bawn_fail(err, BAWN_E_IO,
                       "the machine takes no orders now: it starts, ends or has "
                       "one to carry out");
    if (st)
        discard(s);
    else
        s->active = true;
    return st;
}

bool bawn_save_ordered(struct bawn_boot *b, enum bawn_order order, const char *why)
{
    struct bawn_save *s = &b->save;

    if (!s->active)
        return false;
    if (order == BAWN_ORDER_RESUME) {
        if (*why && !*s->why)
            snprintf(s->why, sizeof(s->why), "it is made, but the machine does not go on: %.200s",
                     why);
        end(b);
    } else if (*why) {
        s->resume = s->resume && order != BAWN_ORDER_PAUSE;
        fail(b, why);
    } else if (order != BAWN_ORDER_SAVE) {
        if (!bawn_boot_order(b, next_order(b)))
            fail(b, "the machine takes no orders");
    } else if (b->shared->state.nr_devices != s->nr_devices) {
        fail(b, BAWN_DEVICE_LEFT);
    } else {
        s->writer = bawn_boot_spawn("snapshot");
        if (!s->writer)
            write_image(b);
        if (s->writer < 0) {
            s->writer = 0;
            fail(b, "cannot make a process");
        }
    }
    return true;
}

/* Under its name, for good. */
static bool publish(struct bawn_save *s)
{
    char dir[PATH_MAX], *slash;
    int fd;

    if (rename(s->temp, s->path))
        return false;
    close(s->fd); /* and no temporary file is left to be discarded */
    s->fd = -1;
    snprintf(dir, sizeof(dir), "%s", s->path);
    slash = strrchr(dir, '/');
    if (slash)
        slash[slash == dir] = '\0';
    fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    return true;
}

/* Nothing runs now. */
static void begin_notes(struct bawn_boot *b)
{
    bawn_dirty_clear(&b->mem);
    b->tracked.base = b->shared->made;
    b->tracked.since = true;
}

void bawn_save_reap(struct bawn_boot *b)
{
    struct bawn_save *s = &b->save;
    int status;

    if (!s->writer || waitpid(s->writer, &status, WNOHANG) <= 0)
        return;
    s->writer = 0;
    if (WIFEXITED(status) && !WEXITSTATUS(status)) {
        if (!publish(s))
            snprintf(s->why, sizeof(s->why), "it cannot be given its name: %s", strerror(errno));
        else if (s->track) /* what is written from here on has changed since */
            begin_notes(b);
        go_on(b);
        return;
    }
    bawn_boot_clean(b->shared->why.msg, sizeof(b->shared->why.msg));
    fail(b, WIFEXITED(status) ? b->shared->why.msg : "the snapshot's process was killed");
}

void bawn_save_cancel(struct bawn_boot *b)
{
    struct bawn_save *s = &b->save;

    if (!s->active)
        return;
    if (s->writer) {
        kill(s->writer, SIGKILL);
        waitpid(s->writer, NULL, 0);
        s->writer = 0;
    }
    snprintf(s->why, sizeof(s->why), "the machine ended");
    end(b);
}

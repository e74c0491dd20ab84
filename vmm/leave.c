// SPDX-License-Identifier: Apache-2.0
/*
 * Sends a machine away. The process that speaks with the destination is believed when it says that
 * the destination holds all, which is what it is for; it orders nothing else.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "leave.h"
#include "supervise.h"

#define AGAIN 200000000 /* ns between two looks for the disks' locks */
#define TRIES 50
#define UNKNOWN                                                                            \
    "the destination was told to go on and did not answer: the machine stays paused here;" \
    " resume it only if bawn receive says there that no machine has arrived"

static void close_all(struct bawn_leave *l)
{
    if (l->link >= 0)
        close(l->link);
    if (l->send.wish.progress >= 0)
        close(l->send.wish.progress);
    l->link = l->send.wish.progress = -1;
    free(l->config);
    l->config = NULL;
}

static void end(struct bawn_boot *b)
{
    struct bawn_leave *l = &b->leave;

    bawn_loop_forget(&b->loop, l->watch);
    bawn_loop_forget(&b->loop, l->timer_watch);
    close(l->timer_fd);
    l->timer_fd = -1;
    close_all(l);
    l->active = false;
    b->ops.left(b->ops.opaque, l->why);
    if (l->gone)
        bawn_boot_end(b, BAWN_END_MOVED, "the machine runs at %s now", l->url);
}

/* ---- the disks' locks ---- */

static struct bawn_disk *disk_of(const struct bawn_boot *b, unsigned i)
{
    unsigned slot = b->parts.cfg->disk[i].slot;

    return &b->backends->disk[slot ? slot - BAWN_SLOT_DISK : i];
}

enum bawn_status bawn_leave_lock(struct bawn_boot *b, bool lock, struct bawn_error *err)
{
    const struct bawn_vm_config *cfg = b->parts.cfg;

    for (unsigned i = 0; i < cfg->nr_disks; i++) {
        enum bawn_status st = bawn_disk_lock(disk_of(b, i), cfg->disk[i].path, lock, err);

        if (!st)
            continue;
        while (lock && i--) /* all or none */
            bawn_disk_lock(disk_of(b, i), cfg->disk[i].path, false, NULL);
        return st;
    }
    return BAWN_OK;
}

/* When each disk's file was written last. */
static void note_times(struct bawn_boot *b)
{
    struct stat s;

    for (unsigned i = 0; i < b->parts.cfg->nr_disks; i++) {
        if (!fstat(disk_of(b, i)->fd, &s))
            b->leave.written[i] = s.st_mtim;
    }
}

static enum bawn_status compare_times(const struct bawn_boot *b, struct bawn_error *err)
{
    struct stat s;

    for (unsigned i = 0; i < b->parts.cfg->nr_disks; i++) {
        const struct timespec *then = &b->leave.written[i];
        const struct bawn_disk *disk = disk_of(b, i);

        if (!disk->readonly && !fstat(disk->fd, &s) && S_ISREG(s.st_mode) &&
            (s.st_mtim.tv_sec != then->tv_sec || s.st_mtim.tv_nsec != then->tv_nsec))
            return bawn_fail(err, BAWN_E_DENIED,
                             "disk %s was written since the machine stood still: it has run "
                             "elsewhere, and would destroy what stands there; shut it down here",
                             b->parts.cfg->disk[i].path);
    }
    return BAWN_OK;
}

static void again_soon(const struct bawn_leave *l)
{
    const struct itimerspec when = { .it_value.tv_nsec = AGAIN };

    timerfd_settime(l->timer_fd, 0, &when, NULL);
}

/* ---- going on here ---- */

static void add_why(struct bawn_leave *l, const char *text, const char *why)
{
    size_t n = strlen(l->why);

    snprintf(l->why + n, sizeof(l->why) - n, "; %s%.120s", text, why);
}

static bool give(struct bawn_boot *b, enum bawn_order order)
{
    if (!bawn_boot_order(b, order))
        return false;
    b->leave.order = order;
    return true;
}

/* The next step back; comes again when that is done. */
static void unwind(struct bawn_boot *b)
{
    struct bawn_leave *l = &b->leave;
    struct bawn_error err;

    if (l->pid || b->order != BAWN_ORDER_END)
        return;
    if (l->stopped && !l->given) {
        if (!l->unlocked || !bawn_leave_lock(b, true, &err)) {
            l->unlocked = l->stopped = false;
            if (give(b, BAWN_ORDER_RESUME))
                return;
        } else if (l->tries++ < TRIES) { /* the destination may take a while to let go of them */
            again_soon(l);
            return;
        } else {
            l->stopped = false;
            add_why(l, "the machine stays paused: ", err.msg);
        }
    }
    if (b->tracked.on && l->tracks) {
        l->tracks = false;
        if (give(b, BAWN_ORDER_LEAVE))
            return;
    }
    end(b);
}

static void fail(struct bawn_boot *b, const char *why)
{
    struct bawn_leave *l = &b->leave;

    if (!*l->why)
        snprintf(l->why, sizeof(l->why), "%s", why);
    if (l->pid)
        kill(l->pid, SIGKILL); /* its end is what counts */
}

/* ---- what the process asks for ---- */

static void answer(struct bawn_boot *b)
{
    struct bawn_leave *l = &b->leave;

    l->asked = false;
    if (!bawn_move_tell(l->link, l->wants))
        fail(b, "the process that sends has ended");
}

static enum bawn_order order_for(const struct bawn_boot *b)
{
    const struct bawn_leave *l = &b->leave;

    if (l->wants == BAWN_MOVE_STOP)
        return b->paused ? BAWN_ORDER_SAVE : BAWN_ORDER_PAUSE;
    return l->wants == BAWN_MOVE_TAKE ? BAWN_ORDER_TAKE : BAWN_ORDER_TRACK;
}

/* Orders come one at a time: if there is another, this one comes after it. */
static void give_order(struct bawn_boot *b)
{
    if (b->order == BAWN_ORDER_END && !give(b, order_for(b)))
        fail(b, "the machine takes no orders");
}

static void carried_out(struct bawn_boot *b, enum bawn_order order)
{
    struct bawn_leave *l = &b->leave;
    struct bawn_error err;

    if (order == BAWN_ORDER_PAUSE) {
        give_order(b); /* and the state */
        return;
    }
    if (order == BAWN_ORDER_SAVE && b->shared->state.nr_devices != l->nr_devices) {
        fail(b, BAWN_DEVICE_LEFT);
        return;
    }
    l->unlocked = order == BAWN_ORDER_SAVE;
    if (l->unlocked)
        note_times(b);
    if (l->unlocked && bawn_leave_lock(b, false, &err))
        fail(b, err.msg);
    else
        answer(b);
}

bool bawn_leave_ordered(struct bawn_boot *b, enum bawn_order order, const char *why)
{
    struct bawn_leave *l = &b->leave;
    bool mine = l->active && order == l->order;

    if (!l->active)
        return false;
    if (mine) {
        l->order = BAWN_ORDER_END;
        l->stopped |= order == BAWN_ORDER_PAUSE && !*why;
        if (order == BAWN_ORDER_TRACK) {
            l->tracks = true;
            b->tracked.since = false; /* what is sent is not noted any more */
        }
    }
    if (!l->pid) {
        if (mine && *why && order == BAWN_ORDER_RESUME)
            add_why(l, "the machine does not go on: ", why);
        unwind(b);
    } else if (mine && *why) {
        fail(b, why);
    } else if (mine) {
        carried_out(b, order);
    } else if (l->asked) {
        give_order(b);
    }
    return mine;
}

static void on_message(void *opaque)
{
    struct bawn_boot *b = opaque;
    struct bawn_leave *l = &b->leave;
    struct bawn_move_msg msg = { 0 };
    ssize_t n = recv(l->link, &msg, sizeof(msg), MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n != sizeof(msg)) { /* it ends: bawn_leave_reap() */
        bawn_loop_set(&b->loop, l->watch, false);
        return;
    }
    l->wants = (enum bawn_move_kind)msg.kind;
    if (l->asked || l->given != (l->wants == BAWN_MOVE_DONE)) {
        fail(b, "the process that sends makes no sense");
        return;
    }
    switch (l->wants) {
    case BAWN_MOVE_TRACK:
    case BAWN_MOVE_TAKE:
    case BAWN_MOVE_STOP:
        l->asked = true;
        give_order(b);
        break;
    case BAWN_MOVE_GIVE:
        if (!l->unlocked || !b->paused || b->ending) {
            fail(b, "the process that sends makes no sense");
            break;
        }
        l->given = true;
        answer(b);
        break;
    case BAWN_MOVE_DONE:
        l->gone = true;
        break;
    default:
        fail(b, "the process that sends makes no sense");
    }
}

static void on_timer(void *opaque)
{
    struct bawn_boot *b = opaque;
    uint64_t ignored;

    (void)!read(b->leave.timer_fd, &ignored, sizeof(ignored));
    unwind(b);
}

/* ---- life ---- */

static enum bawn_status check(const struct bawn_boot *b, struct bawn_error *err)
{
    struct bawn_error why;
    enum bawn_status st = bawn_state_supported(b->parts.cfg, &why);

    if (st)
        return bawn_fail(err, st, "it cannot be migrated, for the same reason: %.400s", why.msg);
    if (b->leave.active || b->save.active)
        return bawn_fail(err, BAWN_E_IO, "a snapshot or a migration is being made already");
    if (b->pager_pid)
        return bawn_fail(err, BAWN_E_IO,
                         "the machine's memory is still being read from the snapshot that it "
                         "came from: try again");
    if (!b->launched || b->ending || b->paused)
        return bawn_fail(err, BAWN_E_IO, "the machine does not run");
    return BAWN_OK;
}

static enum bawn_status start(struct bawn_boot *b, struct bawn_error *err)
{
    struct bawn_leave *l = &b->leave;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return bawn_fail(err, BAWN_E_IO, "cannot reach the process that sends: %m");
    l->pid = bawn_boot_spawn_here("send");
    if (!l->pid) {
        close(pair[0]);
        l->send.link = pair[1];
        bawn_send_run(&l->send);
    }
    close(pair[1]);
    l->link = pair[0];
    if (l->pid < 0) {
        l->pid = 0;
        return bawn_fail(err, BAWN_E_IO, "cannot make a process: %m");
    }
    l->watch = bawn_loop_watch(&b->loop, l->link, true, on_message, b);
    l->timer_watch = bawn_loop_watch(&b->loop, l->timer_fd, true, on_timer, b);
    return BAWN_OK;
}

enum bawn_status bawn_leave_begin(struct bawn_boot *b, const struct bawn_move_wish *wish,
                                  struct bawn_error *err)
{
    struct bawn_leave *l = &b->leave;
    enum bawn_status st = check(b, err);

    if (st)
        return st;
    *l = (struct bawn_leave){ .link = -1, .nr_devices = bawn_boot_devices(b) };
    snprintf(l->url, sizeof(l->url), "%s", wish->url);
    l->config = bawn_vm_config_print(b->parts.cfg);
    l->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    l->send = (struct bawn_send){
        .wish = *wish,
        .mem = b->mem,
        .config = l->config,
        .state = &b->shared->state,
        .why = &b->shared->why,
    };
    l->send.wish.progress = wish->progress < 0 ? -1 : fcntl(wish->progress, F_DUPFD_CLOEXEC, 3);
    if (l->send.wish.progress >= 0)
        fcntl(l->send.wish.progress, F_SETFL, O_NONBLOCK | O_WRONLY);
    if (!l->config || l->timer_fd < 0) {
        st = bawn_fail(err, BAWN_E_NOMEM, "no memory for the migration");
    } else {
        bawn_frame_hello_init(&l->send.hello, &b->mem, strlen(l->config),
                              BAWN_STATE_SIZE(bawn_vm_config_max_vcpus(b->parts.cfg)));
        for (unsigned i = 0; i < b->parts.cfg->nr_disks; i++)
            l->send.hello.sectors[i] = htole64(disk_of(b, i)->sectors);
        b->shared->why.msg[0] = '\0';
        st = start(b, err);
    }
    l->active = !st;
    if (st) {
        close_all(l);
        if (l->timer_fd >= 0)
            close(l->timer_fd);
    }
    return st;
}

void bawn_leave_reap(struct bawn_boot *b)
{
    struct bawn_leave *l = &b->leave;
    int status;

    if (!l->pid || waitpid(l->pid, &status, WNOHANG) <= 0)
        return;
    while (l->active && l->link >= 0 && !l->gone && l->given) { /* its last word */
        struct bawn_move_msg msg = { 0 };

        if (recv(l->link, &msg, sizeof(msg), MSG_DONTWAIT) != sizeof(msg))
            break;
        l->gone = msg.kind == BAWN_MOVE_DONE;
    }
    l->pid = 0;
    if (l->gone) {
        end(b);
        return;
    }
    bawn_boot_clean(b->shared->why.msg, sizeof(b->shared->why.msg));
    if (!*l->why)
        snprintf(l->why, sizeof(l->why), "%.400s",
                 !WIFEXITED(status)    ? "the process that sends was killed"
                 : *b->shared->why.msg ? b->shared->why.msg
                                       : "the process that sends has ended");
    if (l->given)
        add_why(l, UNKNOWN, "");
    unwind(b);
}

void bawn_leave_cancel(struct bawn_boot *b)
{
    struct bawn_leave *l = &b->leave;

    if (!l->active)
        return;
    if (l->pid) {
        kill(l->pid, SIGKILL);
        waitpid(l->pid, NULL, 0);
        l->pid = 0;
    }
    if (!*l->why)
        snprintf(l->why, sizeof(l->why), "the machine ended%s",
                 l->given ? " here when the destination was told to go on: it may run there" : "");
    end(b);
}

enum bawn_status bawn_leave_return(struct bawn_boot *b, struct bawn_error *err)
{
    enum bawn_status st = b->leave.unlocked ? bawn_leave_lock(b, true, err) : BAWN_OK;

    if (b->leave.unlocked && !st) {
        st = compare_times(b, err);
        b->leave.unlocked = st;
        if (st)
            bawn_leave_lock(b, false, NULL);
    }
    return st;
}

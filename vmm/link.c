// SPDX-License-Identifier: Apache-2.0
/*
 * Both ends of a device's link. What comes in is checked for its size and kind here, and for its
 * meaning by vdev.c and virtio.c.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "link.h"

#define STOP_LIMIT 10 /* seconds that a device may take to stop: a flush may be under way */

int bawn_link_pair(int fd[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) ? -errno : 0;
}

bool bawn_link_send(int fd, const struct bawn_link_msg *msg)
{
    return write(fd, msg, sizeof(*msg)) == sizeof(*msg);
}

bool bawn_link_tell(int fd, enum bawn_link_kind kind)
{
    const struct bawn_link_msg msg = { .kind = kind };

    return bawn_link_send(fd, &msg);
}

int bawn_link_receive(int fd, struct bawn_link_msg *msg)
{
    struct {
        struct bawn_link_msg msg;
        uint8_t more; /* a longer message is seen to be longer */
    } in;
    ssize_t n = read(fd, &in, sizeof(in));

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n != sizeof(in.msg))
        return -1;
    *msg = in.msg;
    return 1;
}

/* ---- the machine's end ---- */

static void distrust(struct bawn_link *l, const char *why)
{
    if (l->told)
        return;
    l->told = true;
    l->held = l->paused = l->lacks = false;
    l->ready = false; /* what it still says is not heard, but for a hello */
    l->owner.distrust(l->owner.opaque, l->device, why);
}

static void send_start(struct bawn_link *l)
{
    const struct bawn_link_msg msg = { .kind = BAWN_LINK_START, .start = l->start };

    l->waiting = false;
    if (!bawn_link_send(l->fd, &msg))
        distrust(l, "takes no messages");
}

static void start(void *opaque, const struct bawn_vdev_start *what)
{
    struct bawn_link *l = opaque;

    l->start = *what;
    l->waiting = true;
    if (l->ready && !l->hold)
        send_start(l);
}

static void stop(void *opaque)
{
    struct bawn_link *l = opaque;

    clock_gettime(CLOCK_MONOTONIC, &l->stop_by);
    l->stop_by.tv_sec += STOP_LIMIT;
    if (l->waiting) { /* it never heard of the start */
        l->waiting = false;
        bawn_virtio_stopped(l->virtio);
    } else if (l->ready && !bawn_link_tell(l->fd, BAWN_LINK_STOP)) {
        distrust(l, "takes no messages");
    }
}

/* The driver waits for its reset. */
static void stopping(void *opaque)
{
    struct bawn_link *l = opaque;
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec > l->stop_by.tv_sec)
        distrust(l, "does not stop");
}

static void hello(struct bawn_link *l)
{
    l->ready = true;
    l->told = l->held = l->paused = l->lacks = false;
    if (!l->waiting)
        bawn_virtio_reborn(l->virtio);
    else if (!l->hold)
        send_start(l);
    if (l->hold)
        l->owner.quiet(l->owner.opaque);
}

void bawn_link_forget(struct bawn_link *l)
{
    l->ready = l->waiting = l->told = l->held = l->paused = l->lacks = false;
}

void bawn_link_pause(struct bawn_link *l)
{
    l->hold = true;
    if (!l->ready || l->held)
        return;
    l->held = true;
    if (!bawn_link_tell(l->fd, BAWN_LINK_PAUSE))
        distrust(l, "takes no messages");
}

void bawn_link_resume(struct bawn_link *l)
{
    bool held = l->held;

    l->hold = l->held = l->paused = l->lacks = false;
    if (held && !bawn_link_tell(l->fd, BAWN_LINK_RESUME))
        distrust(l, "takes no messages");
    else if (l->ready && l->waiting)
        send_start(l);
}

bool bawn_link_quiet(const struct bawn_link *l)
{
    return !l->held || l->paused;
}

static bool take(struct bawn_link *l, const struct bawn_link_msg *msg)
{
    if (!l->ready && msg->kind != BAWN_LINK_HELLO)
        return true;
    switch (msg->kind) {
    case BAWN_LINK_HELLO:
        hello(l);
        return true;
    case BAWN_LINK_STOPPED:
        bawn_virtio_stopped(l->virtio);
        return true;
    case BAWN_LINK_BROKEN: /* perhaps the supervisor's word: there is no process any more */
        bawn_virtio_broken(l->virtio);
        return true;
    case BAWN_LINK_PAUSED:
        l->paused = l->held;
        l->lacks = l->held && msg->len;
        if (!l->waiting)
            bawn_virtio_paused(l->virtio, &msg->start);
        if (l->held)
            l->owner.quiet(l->owner.opaque);
        return true;
    case BAWN_LINK_QUIT:
        if (l->owner.quit)
            l->owner.quit(l->owner.opaque);
        return l->owner.quit;
    default:
        return false;
    }
}

static void on_message(void *opaque)
{
    struct bawn_link *l = opaque;
    struct bawn_link_msg msg;
    int n = bawn_link_receive(l->fd, &msg);

    if (n < 0 || (n > 0 && !take(l, &msg)))
        distrust(l, "sent a message that makes no sense");
}

int bawn_link_init(struct bawn_link *l, int fd, unsigned device, struct bawn_virtio *virtio,
                   const struct bawn_link_owner *owner)
{
    static const struct bawn_virtio_down down = { start, stop, stopping };
    int rc;

    *l = (struct bawn_link){ .fd = fd, .device = device, .virtio = virtio, .owner = *owner };
    bawn_virtio_connect(virtio, &down, l);
    rc = bawn_loop_watch(virtio->host.loop, fd, true, on_message, l);
    return rc < 0 ? rc : 0;
}

/* ---- the device's end ---- */

struct end {
    int fd, watch;
    struct bawn_vdev *dev;
};

/* Who does not read is no machine any more. */
static void answer(struct end *e, const struct bawn_link_msg *msg)
{
    if (!bawn_link_send(e->fd, msg))
        bawn_loop_stop(e->dev->host.loop);
}

static void send_broken(void *opaque)
{
    answer(opaque, &(struct bawn_link_msg){ .kind = BAWN_LINK_BROKEN });
}

static void send_stopped(void *opaque)
{
    answer(opaque, &(struct bawn_link_msg){ .kind = BAWN_LINK_STOPPED });
}

/* The rings stand still from here on. */
static void pause_device(struct end *e)
{
    struct bawn_link_msg msg = { .kind = BAWN_LINK_PAUSED };

    bawn_loop_hold(e->dev->host.loop, e->watch);
    msg.len = e->dev->ops->paused && !e->dev->ops->paused(e->dev->opaque);
    for (unsigned i = 0; i < e->dev->ops->nr_queues; i++) {
        msg.start.queue[i].avail_idx = e->dev->vq[i].avail_idx;
        msg.start.queue[i].used_idx = e->dev->vq[i].used_idx;
    }
    answer(e, &msg);
}

static bool order(struct end *e)
{
    struct bawn_link_msg msg;
    int n = bawn_link_receive(e->fd, &msg);

    if (!n)
        return false;
    if (n > 0 && msg.kind == BAWN_LINK_START)
        bawn_vdev_start(e->dev, &msg.start);
    else if (n > 0 && msg.kind == BAWN_LINK_STOP)
        bawn_vdev_stop(e->dev);
    else if (n > 0 && msg.kind == BAWN_LINK_PAUSE)
        pause_device(e);
    else if (n > 0 && msg.kind == BAWN_LINK_RESUME)
        bawn_loop_hold(e->dev->host.loop, -1);
    else
        bawn_loop_stop(e->dev->host.loop);
    return n > 0 && !e->dev->host.loop->stop;
}

static void on_order(void *opaque)
{
    while (order(opaque))
        ;
}

int bawn_link_serve(int fd, struct bawn_vdev *dev)
{
    static const struct bawn_vdev_up up = { send_broken, send_stopped };
    static struct end end; /* a process has one */

    end = (struct end){ fd, bawn_loop_watch(dev->host.loop, fd, true, on_order, &end), dev };
    bawn_vdev_plug(dev, &up, &end);
    return end.watch < 0 ? end.watch : 0;
}

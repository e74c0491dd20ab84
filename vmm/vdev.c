// SPDX-License-Identifier: Apache-2.0
/*
 * Queues, doorbells and calls of a virtio device. Where the rings are is the driver's word, what
 * stands in them too: virtq.c checks both. A driver that breaks the rules is served no more.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vdev.h"

bool bawn_vdev_running(const struct bawn_vdev *d)
{
    return d->running;
}

static void broken(struct bawn_vdev *d)
{
    if (!d->running)
        return;
    d->running = false;
    d->up->broken(d->up_opaque);
}

static void call(struct bawn_vdev *d, unsigned queue)
{
    if (!bawn_virtq_wants_irq(&d->vq[queue]))
        return;
    bawn_loop_signal(d->host.loop, d->call_fd[queue]);
    if (d->count)
        d->count->interrupts++;
}

/* All that one request took. */
static void push(struct bawn_vdev *d, unsigned queue, const struct bawn_virtq_used *used,
                 unsigned n)
{
    bawn_virtq_push(&d->vq[queue], used, n);
    if (d->count)
        d->count->requests++;
    for (unsigned i = 0; d->count && i < n; i++) {
        d->count->bytes_in += used[i].len;
        d->count->bytes_out += used[i].read_len;
    }
}

bool bawn_vdev_take(struct bawn_vdev *d, unsigned queue, struct bawn_virtq_chain *chain)
{
    enum bawn_virtq_result res;

    if (!d->running)
        return false;
    res = bawn_virtq_pop(&d->vq[queue], chain);
    if (res == BAWN_VIRTQ_BROKEN)
        broken(d);
    return res == BAWN_VIRTQ_CHAIN;
}

uint16_t bawn_vdev_at(const struct bawn_vdev *d, unsigned queue)
{
    return d->vq[queue].avail_idx;
}

void bawn_vdev_untake(struct bawn_vdev *d, unsigned queue, uint16_t at)
{
    bawn_virtq_rewind(&d->vq[queue], at);
}

void bawn_vdev_again(struct bawn_vdev *d, unsigned queue)
{
    bawn_loop_signal(d->host.loop, d->bell[queue].fd);
}

void bawn_vdev_give_all(struct bawn_vdev *d, unsigned queue, const struct bawn_virtq_used *used,
                        unsigned n)
{
    push(d, queue, used, n);
    call(d, queue);
}

void bawn_vdev_give(struct bawn_vdev *d, unsigned queue, const struct bawn_virtq_chain *chain,
                    uint32_t written)
{
    struct bawn_virtq_used used = bawn_virtq_used(chain, written);

    bawn_virtq_note(&d->vq[queue], chain->iov + chain->nr_read, chain->nr_write);
    bawn_vdev_give_all(d, queue, &used, 1);
}

void bawn_vdev_kick(struct bawn_vdev *d, unsigned queue)
{
    struct bawn_virtq_chain chain;
    bool used = false;
    unsigned i;

    if (queue >= d->ops->nr_queues || !d->running)
        return;
    if (d->ops->input_queues & 1u << queue) {
        d->ops->ready(d->opaque, queue);
        return;
    }
    for (i = 0; i < d->ops->queue_size && bawn_vdev_take(d, queue, &chain); i++) {
        struct bawn_virtq_used back =
            bawn_virtq_used(&chain, d->ops->serve(d->opaque, queue, &chain));

        bawn_virtq_note(&d->vq[queue], chain.iov + chain.nr_read, chain.nr_write);
        push(d, queue, &back, 1);
        used = true;
    }
    if (used)
        call(d, queue);
    if (i == d->ops->queue_size) /* let others have their turn, then go on */
        bawn_vdev_again(d, queue);
}

static void on_bell(void *opaque)
{
    struct bawn_vdev_bell *bell = opaque;

    bawn_vdev_kick(bell->dev, bell - bell->dev->bell);
}

/* ---- start and stop ---- */

static void clear_queues(struct bawn_vdev *d)
{
    for (unsigned i = 0; i < BAWN_VIRTIO_QUEUES; i++)
        d->vq[i] = (struct bawn_virtq){ .mem = d->host.mem, .size = d->ops->queue_size };
}

static bool enable(struct bawn_virtq *q, const struct bawn_vdev_start *start, unsigned i)
{
    if (start->resume)
        return bawn_virtq_resume(q, start->queue[i].avail_idx, start->queue[i].used_idx);
    return bawn_virtq_enable(q);
}

void bawn_vdev_start(struct bawn_vdev *d, const struct bawn_vdev_start *start)
{
    if (d->running)
        return;
    clear_queues(d);
    d->features = start->features;
    d->running = true;
    for (unsigned i = 0; i < d->ops->nr_queues && d->running; i++) {
        struct bawn_virtq *q = &d->vq[i];

        if (!start->queue[i].enabled)
            continue;
        q->features = start->features;
        q->size = start->queue[i].size;
        q->desc_gpa = start->queue[i].desc;
        q->avail_gpa = start->queue[i].avail;
        q->used_gpa = start->queue[i].used;
        if (q->size > d->ops->queue_size || !enable(q, start, i)) {
            broken(d);
            return;
        }
        bawn_vdev_again(d, i); /* the bell may have rung before */
    }
    if (start->resume && d->running && d->ops->resumed)
        d->ops->resumed(d->opaque);
}

void bawn_vdev_stop(struct bawn_vdev *d)
{
    d->running = false;
    clear_queues(d);
    if (d->ops->reset)
        d->ops->reset(d->opaque);
    d->up->stopped(d->up_opaque);
}

/* ---- life ---- */

static int make_eventfds(struct bawn_vdev *d)
{
    int rc;

    for (unsigned i = 0; i < d->ops->nr_queues; i++) {
        d->call_fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        d->bell[i].fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (d->call_fd[i] < 0 || d->bell[i].fd < 0)
            return -errno;
        rc = bawn_loop_bell(d->host.loop, d->bell[i].fd, on_bell, &d->bell[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int bawn_vdev_init(struct bawn_vdev *d, const struct bawn_vdev_ops *ops, void *opaque,
                   const struct bawn_vdev_host *host)
{
    memset(d, 0, sizeof(*d));
    d->ops = ops;
    d->opaque = opaque;
    d->host = *host;
    for (unsigned i = 0; i < BAWN_VDEV_KEEP; i++)
        d->keep_fd[i] = -1;
    for (unsigned i = 0; i < BAWN_VIRTIO_QUEUES; i++) {
        d->call_fd[i] = -1;
        d->bell[i] = (struct bawn_vdev_bell){ d, -1 };
    }
    clear_queues(d);
    return make_eventfds(d);
}

void bawn_vdev_offer(struct bawn_vdev *d, uint64_t features, const void *config, unsigned len)
{
    d->offered = features;
    d->config = config;
    d->config_len = len;
}

void bawn_vdev_plug(struct bawn_vdev *d, const struct bawn_vdev_up *up, void *opaque)
{
    d->up = up;
    d->up_opaque = opaque;
}

void bawn_vdev_destroy(struct bawn_vdev *d)
{
    if (!d->ops)
        return;
    for (unsigned i = 0; i < BAWN_VIRTIO_QUEUES; i++) {
        if (d->call_fd[i] >= 0)
            close(d->call_fd[i]);
        if (d->bell[i].fd >= 0)
            close(d->bell[i].fd);
    }
}

// SPDX-License-Identifier: Apache-2.0
/*
 * virtio console (virtio 1.2, section 5.3) with one port and no optional feature.
 * The buffers lie in guest memory; their bytes are passed on, not interpreted.
 */
#include <string.h>

#include <linux/virtio_ids.h>

#include "virtio_devices.h"

enum { QUEUE_RECEIVE, QUEUE_TRANSMIT, NR_QUEUES };

#define CLASS_COMMUNICATION 0x078000
#define INPUT_MAX 512

static uint32_t serve(void *opaque, unsigned queue, const struct bawn_virtq_chain *chain)
{
    struct bawn_virtio_console *c = opaque;

    (void)queue;
    for (unsigned i = 0; i < chain->nr_read; i++)
        bawn_stream_write(c->stream, chain->iov[i].iov_base, chain->iov[i].iov_len);
    return 0;
}

static void ready(void *opaque, unsigned queue)
{
    struct bawn_virtio_console *c = opaque;

    (void)queue;
    bawn_loop_set(c->vdev.host.loop, c->input_watch, true);
}

static void on_input(void *opaque)
{
    struct bawn_virtio_console *c = opaque;
    struct bawn_virtq_chain chain;
    const struct iovec *to;
    char buf[INPUT_MAX]; /* the guest must not see, nor change, what is still to be filtered */
    bool quit = false;
    ssize_t n = 0;

    if (!bawn_vdev_take(&c->vdev, QUEUE_RECEIVE, &chain)) {
        bawn_loop_set(c->vdev.host.loop, c->input_watch, false);
        return;
    }
    /* One descriptor's worth; the stream's other bytes find the next buffer. */
    if (chain.nr_write) {
        to = &chain.iov[chain.nr_read];
        n = bawn_stream_read(c->stream, buf, to->iov_len < INPUT_MAX ? to->iov_len : INPUT_MAX,
                             &quit);
        if (n > 0)
            memcpy(to->iov_base, buf, n);
    }
    bawn_vdev_give(&c->vdev, QUEUE_RECEIVE, &chain, n > 0 ? n : 0);
    if (n < 0) {
        bawn_loop_set(c->vdev.host.loop, c->input_watch, false);
        c->input_watch = -1;
    }
    if (quit)
        c->quit(c->opaque);
}

static const struct bawn_vdev_ops console_ops = {
    .id = VIRTIO_ID_CONSOLE,
    .class = CLASS_COMMUNICATION,
    .nr_queues = NR_QUEUES,
    .queue_size = 64,
    .input_queues = 1u << QUEUE_RECEIVE,
    .serve = serve,
    .ready = ready,
};

int bawn_virtio_console_init(struct bawn_virtio_console *c, const struct bawn_vdev_host *host,
                             struct bawn_stream *stream, void (*quit)(void *), void *opaque)
{
    int rc;

    c->stream = stream;
    c->quit = quit;
    c->opaque = opaque;
    c->input_watch = -1;
    rc = bawn_vdev_init(&c->vdev, &console_ops, c, host);
    c->vdev.keep_fd[0] = stream->out_fd;
    if (rc || stream->in_fd < 0)
        return rc;
    rc = bawn_loop_watch(host->loop, stream->in_fd, false, on_input, c);
    c->input_watch = rc;
    return rc < 0 ? rc : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's side of virtio: queues, doorbells and calls. What the transport (virtio.h) does with
 * registers is told to it in two messages, start and stop, and it tells the transport in three. A
 * device model above it sees checked requests and nothing of rings.
 */
#ifndef BAWN_VMM_VDEV_H
#define BAWN_VMM_VDEV_H

#include <stdbool.h>
#include <stdint.h>

#include "loop.h"
#include "virtq.h"

#define BAWN_VIRTIO_QUEUES 9 /* of the largest device: a network's four pairs, and control */
#define BAWN_VDEV_KEEP 4

struct bawn_vdev_ops {
    uint16_t id; /* virtio device id, section 5 */
    uint32_t class;
    unsigned nr_queues;
    uint16_t queue_size;
    uint8_t settable, settable_len; /* bytes of its configuration that the driver writes */
    unsigned input_queues; /* bit n: the device takes queue n's buffers when it is ready to */
    /* Serves one request of a queue; returns how many bytes it wrote. */
    uint32_t (*serve)(void *opaque, unsigned queue, const struct bawn_virtq_chain *chain);
    /* An input queue got buffers. */
    void (*ready)(void *opaque, unsigned queue);
    /* The driver has reset the device; NULL: nothing to forget. */
    void (*reset)(void *opaque);
    /* It is paused, and may be ended: what it has must be where another finds it. False: not all of
     * it is. NULL: it is. */
    bool (*paused)(void *opaque);
    /* It goes on where another device was, in a snapshot; NULL: nobody needs to be told. */
    void (*resumed)(void *opaque);
    /* The device's process begins, and is not locked in yet; what others of it left is to be read
     * anew. 0 or -errno. NULL: nothing is to be done. */
    int (*begin)(void *opaque);
    /* The process ends in order. NULL: the same. */
    void (*end)(void *opaque);
};

/* What the driver set up before it started the device. Not trusted. */
struct bawn_vdev_start {
    uint64_t features;
    struct {
        uint64_t desc, avail, used; /* guest physical */
        uint16_t size;
        uint16_t avail_idx, used_idx; /* where to go on, if it resumes */
        uint8_t enabled;              /* no bool: others may fill it with anything */
    } queue[BAWN_VIRTIO_QUEUES];
    uint8_t resume;
};

/* What the device tells who started it. */
struct bawn_vdev_up {
    /* The driver broke the rules: nothing is served until the device was stopped. */
    void (*broken)(void *opaque);
    /* The answer to a stop. */
    void (*stopped)(void *opaque);
};

/* What a device works with; all borrowed. */
struct bawn_vdev_host {
    const struct bawn_mem *mem;
    struct bawn_loop *loop;
};

/* What a device has done. */
struct bawn_vdev_count {
    uint64_t requests, bytes_in, bytes_out, interrupts; /* in: to the guest */
};

struct bawn_vdev;

struct bawn_vdev_bell {
    struct bawn_vdev *dev;
    int fd; /* owned eventfd that the guest's notification signals */
};

struct bawn_vdev {
    const struct bawn_vdev_ops *ops;
    void *opaque; /* borrowed: the device model */
    struct bawn_vdev_host host;
    const struct bawn_vdev_up *up;
    void *up_opaque; /* borrowed, for up */

    uint64_t offered;   /* the device type's own features; the driver may leave them */
    const void *config; /* borrowed: device configuration, which the driver may only read */
    unsigned config_len;

    struct bawn_vdev_count *count; /* borrowed; NULL: nobody counts */
    bool running;
    uint64_t features; /* of the driver that started it */
    struct bawn_virtq vq[BAWN_VIRTIO_QUEUES];
    struct bawn_vdev_bell bell[BAWN_VIRTIO_QUEUES];
    int call_fd[BAWN_VIRTIO_QUEUES]; /* owned eventfds that the device signals for the driver */
    /* Borrowed: what the model needs beside what the loop watches; -1: nothing. */
    int keep_fd[BAWN_VDEV_KEEP];
    bool ring; /* its loop is to have a ring, which works on keep_fd[0] */
};

/* 0 or -errno; after a failure bawn_vdev_destroy() is still due. */
int bawn_vdev_init(struct bawn_vdev *d, const struct bawn_vdev_ops *ops, void *opaque,
                   const struct bawn_vdev_host *host);
void bawn_vdev_destroy(struct bawn_vdev *d);
/* What the device type offers beyond the transport; before the guest runs. */
void bawn_vdev_offer(struct bawn_vdev *d, uint64_t features, const void *config, unsigned len);

/* ---- for who plugs it in ---- */

void bawn_vdev_plug(struct bawn_vdev *d, const struct bawn_vdev_up *up, void *opaque);
/* Checks all of it and starts to serve; on a device that runs, nothing. */
void bawn_vdev_start(struct bawn_vdev *d, const struct bawn_vdev_start *start);
/* Serves nothing more and forgets what it had. */
void bawn_vdev_stop(struct bawn_vdev *d);
/* Serves what waits in a queue, at most a queue's length of it at a time. */
void bawn_vdev_kick(struct bawn_vdev *d, unsigned queue);

/* ---- for the device model ---- */

/* Whether the driver has started the device. */
bool bawn_vdev_running(const struct bawn_vdev *d);
/* Takes a buffer of an input queue; false if there is none. The device fills it and gives
 * it back with bawn_vdev_give(). */
bool bawn_vdev_take(struct bawn_vdev *d, unsigned queue, struct bawn_virtq_chain *chain);
void bawn_vdev_give(struct bawn_vdev *d, unsigned queue, const struct bawn_virtq_chain *chain,
                    uint32_t written);
/* Gives n back at once, at least one; their buffers were noted (virtq.h). */
void bawn_vdev_give_all(struct bawn_vdev *d, unsigned queue, const struct bawn_virtq_used *used,
                        unsigned n);
/* Where an input queue stands, and back to there: what was taken since is there again. */
uint16_t bawn_vdev_at(const struct bawn_vdev *d, unsigned queue);
void bawn_vdev_untake(struct bawn_vdev *d, unsigned queue, uint16_t at);
/* Has the queue kicked again soon, after others had their turn. */
void bawn_vdev_again(struct bawn_vdev *d, unsigned queue);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between the machine's process, which has the transports, and a device's process, over a
 * SOCK_SEQPACKET pair. All have one size. Neither side trusts the other: a message that makes no
 * sense is answered by having nothing more to do with who sent it.
 */
#ifndef BAWN_VMM_LINK_H
#define BAWN_VMM_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "vdev.h"
#include "virtio.h"

#define BAWN_TPM_BUFFER 3968u /* what a command or an answer may have */

enum bawn_link_kind {
    /* To the device. */
    BAWN_LINK_START = 1,
    BAWN_LINK_STOP,
    BAWN_LINK_EXIT, /* the supervisor's: end in order */
    BAWN_LINK_PAUSE,
    BAWN_LINK_RESUME,
    BAWN_LINK_COMMAND, /* the TPM's */
    BAWN_LINK_CANCEL,
    /* From the device. */
    BAWN_LINK_HELLO, /* its process has begun, and knows nothing of what was before */
    BAWN_LINK_STOPPED,
    BAWN_LINK_BROKEN,
    BAWN_LINK_QUIT,   /* the person at the console's terminal asked to stop */
    BAWN_LINK_PAUSED, /* start: the queues' indices; nothing is served until it resumes; len: not 0:
                       * what the driver wrote is not all where another would find it */
    BAWN_LINK_ANSWER, /* to a command */
};

struct bawn_link_msg {
    uint32_t kind;
    uint32_t len; /* of the TPM's data */
    union {
        struct bawn_vdev_start start;
        struct {
            uint32_t number; /* of a command */
            uint8_t data[BAWN_TPM_BUFFER];
        } tpm;
    };
};

/* 0 or -errno. Neither end blocks. */
int bawn_link_pair(int fd[2]);
/* False: the other end is gone or does not read. */
bool bawn_link_send(int fd, const struct bawn_link_msg *msg);
bool bawn_link_tell(int fd, enum bawn_link_kind kind); /* a message of nothing but its kind */
/* 1: a whole message; 0: none is there; -1: the other end is gone, or sent something else. */
int bawn_link_receive(int fd, struct bawn_link_msg *msg);

/* ---- the machine's end ---- */

struct bawn_link_owner {
    void (*quit)(void *opaque); /* NULL: this device may not ask for it */
    /* The device's process does not do as it should: it must be ended. */
    void (*distrust)(void *opaque, unsigned device, const char *why);
    void (*quiet)(void *opaque); /* a pause that was asked for has come */
    void *opaque;                /* borrowed */
};

struct bawn_link {
    int fd; /* borrowed */
    unsigned device;
    struct bawn_virtio *virtio;
    struct bawn_link_owner owner;
    bool ready;   /* it has said hello */
    bool waiting; /* a start waits for that */
    bool told;    /* distrust, until it says hello again */
    bool hold;    /* it is to be quiet */
    bool held;    /* this process of it was told so, */
    bool paused;  /* and answered, */
    bool lacks;   /* that another could not go on from what it left */
    struct bawn_vdev_start start;
    struct timespec stop_by;
};

/* Connects the transport to the device behind fd. 0 or -errno. */
int bawn_link_init(struct bawn_link *l, int fd, unsigned device, struct bawn_virtio *virtio,
                   const struct bawn_link_owner *owner);

/* The device is there no longer. The process of another one will say hello. */
void bawn_link_forget(struct bawn_link *l);

/* Has the device serve nothing, and its driver not start it. */
void bawn_link_pause(struct bawn_link *l);
void bawn_link_resume(struct bawn_link *l);
/* Whether it does. One whose process has not begun is. */
bool bawn_link_quiet(const struct bawn_link *l);

/* ---- the device's end ---- */

/* Connects the device to who is behind fd, to whom a hello is due then: what comes is served by the
 * device's loop, which ends by BAWN_LINK_EXIT or when the other side is gone. 0 or -errno. */
int bawn_link_serve(int fd, struct bawn_vdev *dev);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's process: builds the machine, runs its vCPUs and transports, and tells the
 * supervisor what becomes of it.
 */
#ifndef BAWN_VMM_MACHINE_H
#define BAWN_VMM_MACHINE_H

#include "vm.h"

enum bawn_tell_kind {
    BAWN_TELL_LAUNCHED = 1, /* digest; value: what its sandbox lacks */
    BAWN_TELL_REFUSED,      /* value: enum bawn_status; text: why it was not built */
    BAWN_TELL_END,          /* value: enum bawn_end; text */
    BAWN_TELL_DISTRUST,     /* value: the device whose process is to be ended; text: why */
    BAWN_TELL_DONE,         /* value: the order; text: why it could not be done, or nothing */
    BAWN_TELL_GONE,         /* value: the device that the guest has let go of */
};

/* The other way. They are answered with BAWN_TELL_DONE, but for the first, and for those that are
 * told to be otherwise. */
enum bawn_order {
    BAWN_ORDER_END,
    BAWN_ORDER_PAUSE,
    BAWN_ORDER_RESUME,
    BAWN_ORDER_BUTTON, /* the guest's power button */
    BAWN_ORDER_SAVE,   /* of a paused machine: the state, where it was agreed to be */
    BAWN_ORDER_CONFIG, /* a device's configuration is another: device, config */
    BAWN_ORDER_TRACK,  /* have written pages be noted, from now on, and the state's facts; */
    BAWN_ORDER_TAKE,   /* add the module's notes to the common ones, which SAVE does too; */
    BAWN_ORDER_LEAVE,  /* and note no more */
    BAWN_ORDER_PLUG,   /* a device has come to an empty place: all of the message */
    BAWN_ORDER_UNPLUG, /* the guest is to let go of one: BAWN_TELL_GONE, perhaps */
    BAWN_ORDER_KEEP,   /* no longer; no answer */
    BAWN_ORDER_CPUS,   /* device: how many are to be there; 0: those that are, and no answer */
};

/* An order and what belongs to it; most are the first byte alone. */
struct bawn_order_msg {
    uint8_t order;
    uint8_t device;
    uint16_t config_len;
    struct bawn_vdev_ops ops; /* the numbers, no functions */
    uint64_t features;
    uint8_t config[BAWN_VIRTIO_CONFIG_MAX];
};

/* From the machine to the supervisor, over a SOCK_SEQPACKET pair. The supervisor trusts none of it.
 */
struct bawn_tell {
    uint32_t kind, value;
    uint8_t digest[BAWN_MEASURE_DIGEST_SIZE];
    char text[sizeof(((struct bawn_error *)0)->msg)];
};

/* fd: to the supervisor. lacks: what the sandbox lacks so far. stats: print them at the end. */
_Noreturn void bawn_machine_run(const struct bawn_vm_parts *parts, int fd, unsigned lacks,
                                bool stats);

#endif

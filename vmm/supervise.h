/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One boot of a machine as the supervisor has it: guest memory, the machine's process and one for
 * each virtio device. The supervisor holds everything that was opened and never touches what a
 * guest wrote; a process that ends without being asked to costs the guest a device, or the machine,
 * and the host nothing.
 */
#ifndef BAWN_VMM_SUPERVISE_H
#define BAWN_VMM_SUPERVISE_H

#include <sys/types.h>

#include "devices.h"
#include "leave.h"
#include "machine.h"
#include "pager.h"
#include "save.h"

/* A snapshot that a machine goes on from. */
struct bawn_from {
    struct bawn_snapshot *snapshot; /* borrowed; NULL: it came from another host, */
    const struct bawn_state *state; /* borrowed: with this, which was checked, */
    struct bawn_mem *mem;           /* and this, which is taken over */
    bool read_first;                /* all memory, before the guest runs */
    struct bawn_progress progress;
};

struct bawn_boot_ops {
    void (*launched)(void *opaque);
    /* A device's process ended: why, and whether there is another now. */
    void (*device_ended)(void *opaque, const char *device, const char *why, bool again);
    /* An order was carried out; or was not: why. */
    void (*ordered)(void *opaque, enum bawn_order order, const char *why);
    /* A snapshot was made, or was not: why. */
    void (*saved)(void *opaque, const char *path, const char *why);
    /* The device of this slot is there no longer, and nobody uses its back-end. */
    void (*unplugged)(void *opaque, unsigned slot);
    /* It runs elsewhere, and is about to end here; or it does not: why. */
    void (*left)(void *opaque, const char *why);
    void *opaque; /* borrowed */
};

/* Shared with the machine's process, and with the one that writes a snapshot. */
struct bawn_shared {
    struct bawn_state state;
    struct bawn_error why;     /* the writer failed */
    struct bawn_image_id made; /* it did not */
};

struct bawn_boot {
    struct bawn_boot_ops ops;
    struct bawn_vm_parts parts;
    bool stats;
    struct bawn_mem mem;
    struct bawn_counters *counters; /* owned */
    struct bawn_shared *shared;     /* owned */
    struct bawn_save save;
    struct bawn_leave leave;
    struct bawn_pager pager;
    pid_t pager_pid;                      /* 0: all memory is there */
    const struct bawn_backends *backends; /* borrowed */
    struct {
        pid_t pid; /* 0: there is none */
        unsigned starts;
        char distrust[64]; /* why it was ended, if by us */
        bool asked;        /* the guest was, to let go of it */
        bool gone;         /* there will be no other: the device is not, for the guest */
    } child[BAWN_DEVICES_MAX];
    pid_t machine;
    int control[2]; /* owned: the supervisor's end, and the machine's */
    int grace_fd;   /* owned timer: what has not ended by then is killed */
    int order_fd;   /* owned timer: an order that was not carried out by then is taken back */
    pthread_mutex_t lock;
    struct bawn_loop loop;

    bool launched, ending;
    bool paused;
    struct {
        bool on;    /* what is written is noted, */
        bool since; /* and the notes are complete since this snapshot: */
        struct bawn_image_id base;
    } tracked;
    enum bawn_order order;   /* that an answer is due for; BAWN_ORDER_END: none */
    unsigned order_device;   /* that it is about, if it is about one */
    unsigned lacks;          /* BAWN_LACKS_*, once it is launched */
    enum bawn_status status; /* not BAWN_OK: the machine was not built, err says why */
    struct bawn_error err;
    enum bawn_end end; /* the first reason to stop */
    char end_msg[256];
    uint8_t digest[BAWN_MEASURE_DIGEST_SIZE]; /* of the sealed launch, if measured */

    struct bawn_devices devices; /* last: zero before and after */
};

/* Makes memory, devices and processes. b is zeroed, or was destroyed. parts: all but mem, devices,
 * counters, save and from, which are its own. from: NULL, or where the machine goes on from. After
 * a failure it is destroyed already. The caller has blocked SIGCHLD and calls bawn_boot_reap() for
 * it. */
enum bawn_status bawn_boot_create(struct bawn_boot *b, const struct bawn_vm_parts *parts,
                                  const struct bawn_backends *backends, bool stats,
                                  const struct bawn_boot_ops *ops, const struct bawn_from *from,
                                  struct bawn_error *err);
void bawn_boot_destroy(struct bawn_boot *b);
/* Serves until no process is left; the caller may have put handlers into b->loop. */
void bawn_boot_run(struct bawn_boot *b);
/* Ends the machine; the first call's reason stands. */
void bawn_boot_end(struct bawn_boot *b, enum bawn_end why, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Tells the machine, one order at a time; ops.ordered() comes later. False: it takes none now. */
bool bawn_boot_order(struct bawn_boot *b, enum bawn_order order);
/* The same: a device has another configuration, which its driver is told of. */
bool bawn_boot_configure(struct bawn_boot *b, const struct bawn_vdev *dev, const void *config,
                         unsigned len);
/* The same. The device of this slot has come to the backends: gives it to the guest. Failed before
 * an order was given: it was not. Failed as an order: ops.unplugged() comes, too. */
enum bawn_status bawn_boot_plug(struct bawn_boot *b, unsigned slot, struct bawn_error *err);
/* Asks the guest to let go of it; ops.unplugged() comes before ops.ordered() says that it has. */
enum bawn_status bawn_boot_unplug(struct bawn_boot *b, unsigned slot, struct bawn_error *err);
/* The same: so many vCPUs are to be there, which is for the guest to see to when some are to go. */
enum bawn_status bawn_boot_cpus(struct bawn_boot *b, unsigned n, struct bawn_error *err);
/* How many there are, for us: the guest may have let go of one whose process still ends. */
unsigned bawn_boot_devices(const struct bawn_boot *b);
#define BAWN_DEVICE_LEFT "a device has just left the machine: try again"
/* As fork(), for another child that is to end with the supervisor; its caller reaps it. */
pid_t bawn_boot_spawn(const char *name);
/* The same without namespaces of its own: for who has to reach the network first. */
pid_t bawn_boot_spawn_here(const char *name);
/* Makes what a child said text for a terminal and for JSON. */
void bawn_boot_clean(char *text, size_t size);
/* Some process has ended. */
void bawn_boot_reap(struct bawn_boot *b);

/* ---- between supervise.c and plug.c ---- */

/* Whether an order can be given now. */
bool bawn_boot_obeys(const struct bawn_boot *b);
bool bawn_boot_give(struct bawn_boot *b, const struct bawn_order_msg *msg, size_t len);
/* The order is done, or not: why. */
void bawn_boot_ordered(struct bawn_boot *b, const char *why);
/* Forks a device's process. */
bool bawn_boot_start(struct bawn_boot *b, unsigned device);
/* What was said to a process that ended is not meant for the next. */
void bawn_boot_drain(struct bawn_boot *b, unsigned device);

/* The machine says that the guest has let go of the device. */
void bawn_plug_gone(struct bawn_boot *b, unsigned device);
/* A device that the guest has not been given is taken back. */
void bawn_plug_retract(struct bawn_boot *b, unsigned device);
/* Its process has ended, as it was to. False: it was not. */
bool bawn_plug_ended(struct bawn_boot *b, unsigned device);
/* The time limit of an order to unplug has come. False: the guest did its part, and it still ends.
 */
bool bawn_plug_give_up(struct bawn_boot *b);

#endif

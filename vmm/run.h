/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor's own state: one machine at most, which is booted again and again from one
 * configuration, and whoever gives orders meanwhile (control.c).
 */
#ifndef BAWN_VMM_RUN_H
#define BAWN_VMM_RUN_H

#include <limits.h>

#include "arrive.h"
#include "control.h"
#include "events.h"
#include "options.h"
#include "supervise.h"

/* What comes when nothing runs. */
enum bawn_next { BAWN_NEXT_WAIT, BAWN_NEXT_BOOT, BAWN_NEXT_QUIT };

struct bawn_run {
    struct bawn_options opt;
    struct bawn_images images;
    bool planned; /* the next three hold, and the images are in memory */
    struct bawn_launch_plan plan;
    struct bawn_measure_log predicted;
    struct bawn_snp_input snp;
    uint8_t digest[BAWN_MEASURE_DIGEST_SIZE]; /* predicted */
    struct bawn_accel accel;
    struct bawn_stream serial, console;
    struct bawn_disk disk[BAWN_MAX_DISKS]; /* by slot */
    struct bawn_net net[BAWN_MAX_NETS];
    struct bawn_vsock_socket socket;
    struct bawn_swtpm swtpm;
    struct bawn_vm_parts parts;
    struct bawn_backends backends;
    struct bawn_boot boot;
    int signal_fd, timer_fd;
    unsigned launches;
    bool restored_measured; /* the launch of a snapshot's guest was */
    int signal;             /* the one that stopped the run, or 0 */

    struct bawn_events events;
    struct bawn_control control;
    struct bawn_arrive arrive;
    struct bawn_loop *loop; /* that serves now */
    bool created;           /* there is a configuration, */
    bool open;              /* and all that it names is open */
    bool running;           /* and there are processes */
    enum bawn_next next;
    bool failed;            /* no machine has arrived */
    bool reboot;            /* somebody outside asked for it */
    char restore[PATH_MAX]; /* the snapshot that the API named */
    uint64_t balloon;       /* that the guest is just told of */
    unsigned slot;          /* whose device is just given to it */
};

/* What the device of this number in the configuration needs is opened where its slot has it. */
enum bawn_status bawn_run_open_disk(struct bawn_run *r, unsigned disk, struct bawn_error *err);
enum bawn_status bawn_run_open_net(struct bawn_run *r, unsigned net, struct bawn_error *err);
void bawn_run_close_slot(struct bawn_run *r, unsigned slot);
/* Opens all that the configuration names. After a failure bawn_run_close() is due. */
enum bawn_status bawn_run_prepare(struct bawn_run *r, struct bawn_error *err);
/* For arrive.c: a peer without a right certificate was turned away; a machine has arrived, or has
 * not: why. */
void bawn_run_stranger(struct bawn_run *r, char *why);
void bawn_run_arrived(struct bawn_run *r, const char *why);
/* Closes the machine's files. The configuration stays. */
void bawn_run_close(struct bawn_run *r);

#endif

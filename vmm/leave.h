/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine that moves to another host, as the source's supervisor has it: it goes on here unless
 * the destination has said that it holds all of it. From then on it does not run here any more,
 * unless somebody says so who knows that it does not run there.
 */
#ifndef BAWN_VMM_LEAVE_H
#define BAWN_VMM_LEAVE_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "machine.h"
#include "migrate.h"

struct bawn_boot;

struct bawn_leave {
    bool active;
    pid_t pid;    /* of the process that sends; 0: there is none */
    int link;     /* owned: to it */
    int timer_fd; /* owned: when to look for the disks' locks again */
    int watch, timer_watch;
    bool asked; /* it waits for an answer: */
    enum bawn_move_kind wants;
    enum bawn_order order; /* given for it, and not answered; BAWN_ORDER_END: none */
    bool stopped;          /* the machine stands still for it */
    bool unlocked;         /* and its disks may be another's, */
    struct timespec written[BAWN_MAX_DISKS]; /* whose files were written at these times */
    bool given;                              /* the destination may run it */
    bool gone;                               /* the destination does */
    bool tracks;                             /* the notes were begun for it */
    unsigned nr_devices;                     /* that the configuration has */
    unsigned tries;                          /* to get the disks back */
    char *config;                            /* owned */
    char url[300];
    struct bawn_send send;
    char why[512]; /* it failed; empty: it did not */
};

/* Begins; ops.left() comes later. Only of a machine that runs. */
enum bawn_status bawn_leave_begin(struct bawn_boot *b, const struct bawn_move_wish *wish,
                                  struct bawn_error *err);
/* A machine that stands still because nobody knew whether it runs elsewhere is to go on: the disks'
 * locks are had again, and nobody wrote to them, or it is refused. */
enum bawn_status bawn_leave_return(struct bawn_boot *b, struct bawn_error *err);

/* Locks all of the machine's disks, or lets go of them. What is locked already stays so. */
enum bawn_status bawn_leave_lock(struct bawn_boot *b, bool lock, struct bawn_error *err);

/* For supervise.c: an order was answered, and whether that was meant for this; a child has ended;
 * the machine is gone. */
bool bawn_leave_ordered(struct bawn_boot *b, enum bawn_order order, const char *why);
void bawn_leave_reap(struct bawn_boot *b);
void bawn_leave_cancel(struct bawn_boot *b);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine that comes from another host, as the destination's supervisor has it: its files are
 * opened before the source stops, it is built before the source gives it up, and it runs when the
 * source has.
 */
#ifndef BAWN_VMM_ARRIVE_H
#define BAWN_VMM_ARRIVE_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "loop.h"
#include "memory.h"
#include "migrate.h"

struct bawn_run;

struct bawn_arrive {
    bool active;
    bool built;                  /* it stands there, and waits */
    bool mine;                   /* the source has given it up */
    pid_t pid;                   /* of the process that receives; 0: there is none */
    int link;                    /* owned: to it; -1: none */
    int watch;                   /* of the loop that serves; -1: none */
    struct bawn_arrival *shared; /* owned: with that process */
    struct bawn_state *state;    /* owned: checked; NULL: it has not come */
    struct bawn_mem mem;         /* owned, until it is a boot's */
    time_t told;                 /* when a stranger was */
    char why[512];
};

/* Listens at "tls:HOST:PORT" for one machine. */
enum bawn_status bawn_arrive_begin(struct bawn_run *r, const char *url,
                                   const struct bawn_tls_files *files, struct bawn_error *err);
/* Has r->loop hear it. */
void bawn_arrive_watch(struct bawn_run *r);
/* Some process has ended; the machine is built; it goes on, or does not; it was not built: why. */
void bawn_arrive_reap(struct bawn_run *r);
void bawn_arrive_launched(struct bawn_run *r);
bool bawn_arrive_ordered(struct bawn_run *r, const char *why);
void bawn_arrive_failed(struct bawn_run *r, const char *why);
void bawn_arrive_close(struct bawn_run *r);

#endif

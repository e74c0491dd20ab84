/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event monitor: what becomes of a machine, as JSON objects with blank lines between them, for
 * a program that manages machines. One that does not read misses events, and holds nobody up.
 */
#ifndef BAWN_VMM_EVENTS_H
#define BAWN_VMM_EVENTS_H

#include <stdbool.h>
#include <time.h>

#include "bawn/status.h"

struct bawn_events {
    int fd;      /* owned; -1: nobody wants to know */
    int gone_fd; /* owned; readable when the FIFO may have been removed; -1: that is not watched */
    struct timespec start;
};

/* where: "path=FILE" (a FIFO, or a file that is appended to) or "fd=N". NULL: no events. */
enum bawn_status bawn_events_open(struct bawn_events *e, const char *where, struct bawn_error *err);
/* Has gone_fd watch a FIFO that was named: who removes it has no more use for the machine. */
enum bawn_status bawn_events_watch(struct bawn_events *e, const char *where,
                                   struct bawn_error *err);
/* Whether it was removed. Takes what made gone_fd readable. */
bool bawn_events_gone(const struct bawn_events *e);
void bawn_events_close(struct bawn_events *e);
/* source: "vm" or "vmm"; both are plain words. */
void bawn_event(const struct bawn_events *e, const char *source, const char *event);

#endif

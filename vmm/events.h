/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event monitor: what becomes of a machine, as JSON objects with blank lines between them, for
 * a program that manages machines. One that does not read misses events, and holds nobody up.
 */
#ifndef BAWN_VMM_EVENTS_H
#define BAWN_VMM_EVENTS_H

#include <time.h>

#include "bawn/status.h"

struct bawn_events {
    int fd; /* owned; -1: nobody wants to know */
    struct timespec start;
};

/* where: "path=FILE" (a FIFO, or a file that is appended to) or "fd=N". NULL: no events. */
enum bawn_status bawn_events_open(struct bawn_events *e, const char *where, struct bawn_error *err);
void bawn_events_close(struct bawn_events *e);
/* source: "vm" or "vmm"; both are plain words. */
void bawn_event(const struct bawn_events *e, const char *source, const char *event);

#endif

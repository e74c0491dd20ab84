/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot of a machine that runs, as the supervisor has it made: the machine pauses and says its
 * state, a process of its own writes the image, and what was running goes on. The file appears
 * under its name when all of it is on the disk, or not at all.
 */
#ifndef BAWN_VMM_SAVE_H
#define BAWN_VMM_SAVE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "machine.h"
#include "snapshot.h"

struct bawn_boot;

/* What is wished for. The texts are borrowed. */
struct bawn_save_wish {
    const char *path;
    const char *base; /* the last snapshot with track: only what changed since is saved; or NULL */
    bool track;       /* from here on what is written is noted, for the next to be based on this */
    int progress;     /* borrowed: a pipe that is told; -1: none is */
};

/* What goes into that pipe. */
struct bawn_save_progress {
    uint64_t done, all; /* bytes */
};

struct bawn_save {
    bool active;
    bool resume; /* the machine ran before */
    unsigned nr_devices;
    pid_t writer; /* 0: there is none */
    int fd;       /* owned: of temp */
    char path[PATH_MAX], temp[PATH_MAX];
    bool track;
    int progress; /* owned; -1: nobody is told */
    bool has_base;
    char base_path[PATH_MAX];
    struct bawn_snapshot_base base;
    char *config; /* owned */
    struct bawn_image image;
    char why[256]; /* it failed; empty: it did not */
};

/* Begins; the boot's ops.saved() comes later. A path without a slash is one in the supervisor's
 * directory. BAWN_E_UNSUPPORTED: this machine cannot be saved. */
enum bawn_status bawn_save_begin(struct bawn_boot *b, const struct bawn_save_wish *wish,
                                 const struct bawn_image_key *key, struct bawn_error *err);

/* For supervise.c. Whether the answer to an order was meant for a snapshot; a child has ended; the
 * machine is gone. */
bool bawn_save_ordered(struct bawn_boot *b, enum bawn_order order, const char *why);
void bawn_save_reap(struct bawn_boot *b);
void bawn_save_cancel(struct bawn_boot *b);

#endif

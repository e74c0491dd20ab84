/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Has the module note what is written to guest memory, for snapshots of what has changed and for
 * migration. In the machine's process; the notes are shared (memory.h).
 */
#ifndef BAWN_VMM_TRACK_H
#define BAWN_VMM_TRACK_H

#include <stdbool.h>

#include "bawn/status.h"

struct bawn_vm;

/* Begins, or ends; while it goes on already nothing. */
enum bawn_status bawn_track(struct bawn_vm *vm, bool on, struct bawn_error *err);
/* Takes what was written since the last time from the module into the common notes. While nothing
 * is tracked: nothing. */
enum bawn_status bawn_track_harvest(struct bawn_vm *vm, struct bawn_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk's image on the host: a file or block device of plain sectors or a qcow2 image, opened
 * before the guest runs and locked against a second machine.
 */
#ifndef BAWN_VMM_DISK_H
#define BAWN_VMM_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "bawn/status.h"
#include "launch.h"
#include "qcow2.h"

#define BAWN_SECTOR 512u

struct bawn_disk {
    int fd; /* -1: not open */
    bool readonly;
    bool uring; /* by an io_uring, where the host has one for it */
    uint64_t sectors;
    struct bawn_qcow2 *qcow2;  /* owned; NULL: plain sectors */
    struct bawn_disk *backing; /* owned; NULL: none */
    struct bawn_rate_config bytes, ops;
};

enum bawn_status bawn_disk_open(struct bawn_disk *disk, const struct bawn_disk_config *cfg,
                                struct bawn_error *err);
/* The same, but another machine may write to it still: its size alone is right. It is taken over
 * before it is used: locked, and read. */
enum bawn_status bawn_disk_open_early(struct bawn_disk *disk, const struct bawn_disk_config *cfg,
                                      struct bawn_error *err);
enum bawn_status bawn_disk_take_over(struct bawn_disk *disk, const struct bawn_disk_config *cfg,
                                     struct bawn_error *err);
/* Locks it against a second machine, or lets go of it. */
enum bawn_status bawn_disk_lock(const struct bawn_disk *disk, const char *path, bool on,
                                struct bawn_error *err);
void bawn_disk_close(struct bawn_disk *disk);

/* In a process that was forked: reads what others wrote since the disk was opened here. */
enum bawn_status bawn_disk_refresh(struct bawn_disk *disk, struct bawn_error *err);
/* Has all that was written be in the file, so that another machine may go on with it: nothing is
 * written any more unless the guest does. False: not all of it is there. */
bool bawn_disk_settle(const struct bawn_disk *disk);
/* At its end: writes what is not written yet. */
void bawn_disk_leave(struct bawn_disk *disk);

/* Whether these bytes lie on the disk and are whole sectors. */
bool bawn_disk_has(const struct bawn_disk *disk, uint64_t sector, uint64_t len);
/* Move len bytes, which the disk has, between it and the buffers, which are changed on the way.
 * Whether all of them were. */
bool bawn_disk_read(const struct bawn_disk *disk, uint64_t sector, struct iovec *v, unsigned nr);
bool bawn_disk_write(const struct bawn_disk *disk, uint64_t sector, struct iovec *v, unsigned nr);
/* Bytes that the disk has: they read as zeroes then; unmap: they need not stay allocated. */
bool bawn_disk_zero(const struct bawn_disk *disk, uint64_t sector, uint64_t len, bool unmap);
/* What they read as is of no interest any more. */
bool bawn_disk_discard(const struct bawn_disk *disk, uint64_t sector, uint64_t len);
bool bawn_disk_flush(const struct bawn_disk *disk);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disk images in the qcow2 format (QEMU's docs/interop/qcow2.rst), versions 2 and 3, read and
 * written. The image may be anyone's: it is checked as a whole when it is opened, and what it says
 * is checked again where it is used.
 *
 * What is written is kept in this order, so that a power cut loses nothing that a flush has
 * acknowledged: data and reference counts, then tables that refer to them, then tables that refer
 * to those; a cluster's count falls when nothing durable refers to it any more. Between two flushes
 * the changed parts of the tables are in memory only.
 */
#ifndef BAWN_VMM_QCOW2_H
#define BAWN_VMM_QCOW2_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "bawn/status.h"

struct bawn_disk;
struct bawn_qcow2;

struct bawn_qcow2_file {
    const char *path; /* for messages */
    int fd;           /* borrowed */
    bool readonly;
    const struct bawn_disk *backing; /* borrowed; NULL: none was named */
};

/* Reads and checks the image; in *q, what is to be closed. */
enum bawn_status bawn_qcow2_open(struct bawn_qcow2 **q, const struct bawn_qcow2_file *file,
                                 struct bawn_error *err);
/* The size of an image that another machine still writes to: of its tables, which change, nothing
 * is looked at. */
enum bawn_status bawn_qcow2_peek(const struct bawn_qcow2_file *file, uint64_t *size,
                                 struct bawn_error *err);
/* Flushes it, and writes what flushes leave for later too: closing it writes nothing then. */
bool bawn_qcow2_settle(struct bawn_qcow2 *q);
/* Writes what is not written yet. NULL is allowed. */
void bawn_qcow2_close(struct bawn_qcow2 *q);
/* Of the disk, in bytes: whole sectors. */
uint64_t bawn_qcow2_size(const struct bawn_qcow2 *q);

/* Move bytes that the disk has, from pos on; the buffers are changed on the way. */
bool bawn_qcow2_read(struct bawn_qcow2 *q, uint64_t pos, struct iovec *v, unsigned nr);
bool bawn_qcow2_write(struct bawn_qcow2 *q, uint64_t pos, struct iovec *v, unsigned nr);
/* The range reads as zeroes then; discard: as far as that costs nothing. */
bool bawn_qcow2_zero(struct bawn_qcow2 *q, uint64_t pos, uint64_t len, bool discard);
/* What was written before survives a power cut. After a failure all further writes fail. */
bool bawn_qcow2_flush(struct bawn_qcow2 *q);

#endif

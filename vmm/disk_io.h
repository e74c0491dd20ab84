/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole transfers between buffers and a file, whatever the kernel splits them into.
 */
#ifndef BAWN_VMM_DISK_IO_H
#define BAWN_VMM_DISK_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Both change the buffers on the way. Whether all was moved. */
/* zero_fill: what lies behind the end of the file reads as zeroes; else that fails. */
bool bawn_io_read(int fd, struct iovec *v, unsigned nr, uint64_t at, bool zero_fill);
bool bawn_io_write(int fd, struct iovec *v, unsigned nr, uint64_t at);
/* Has the range read as zeroes. keep: it stays allocated. */
bool bawn_io_zero(int fd, uint64_t at, uint64_t len, bool keep);
/* Gives the range back to the file system, if that can; what it then reads as is not said. */
void bawn_io_punch(int fd, uint64_t at, uint64_t len);

/* Drops n bytes from the front of the buffers. */
void bawn_iov_advance(struct iovec **v, unsigned *nr, size_t n);
/* Moves the first n bytes' buffers to out, which has as much room; their number. */
unsigned bawn_iov_take(struct iovec **v, unsigned *nr, size_t n, struct iovec *out);

#endif

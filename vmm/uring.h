/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An io_uring for one thread that locks itself in: made before the filter of system calls, it knows
 * a few descriptors and a few operations for good, and only io_uring_enter is called afterwards.
 */
#ifndef BAWN_VMM_URING_H
#define BAWN_VMM_URING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/io_uring.h>

#define BAWN_URING_ENTRIES 64 /* that are submitted with one call */
#define BAWN_URING_FILES 48

struct bawn_uring {
    int fd; /* owned; -1: there is none */
    int file[BAWN_URING_FILES];
    unsigned nr_files;
    uint8_t *rings; /* owned */
    size_t rings_size, sqes_size;
    struct io_uring_sqe *sqes; /* owned */
    unsigned *sq_tail, *cq_head, *cq_tail;
    unsigned sq_mask, cq_mask;
    struct io_uring_cqe *cqes;
    unsigned queued; /* not submitted yet */
};

/* 0; or -errno: this host does not have it, or what is needed of it. */
int bawn_uring_init(struct bawn_uring *u, const int *files, unsigned nr);
void bawn_uring_destroy(struct bawn_uring *u);
/* The next entry, for an operation on one of the files; submits others first if there is no room.
 * NULL: it is not one of them. */
struct io_uring_sqe *bawn_uring_next(struct bawn_uring *u, uint8_t op, int fd, uint64_t user);
/* Submits what is queued, and waits for a completion. */
void bawn_uring_enter(struct bawn_uring *u, bool wait);
/* Takes a completion; false: there is none. */
bool bawn_uring_take(struct bawn_uring *u, uint64_t *user, int32_t *res);

#endif

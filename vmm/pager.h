/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Has a snapshot's machine run before all of its memory is there: a process of its own gives each
 * page when it is touched first (userfaultfd), and the others meanwhile. Each page is authenticated
 * before anybody sees it; when one is damaged the pager ends, and the machine has to.
 */
#ifndef BAWN_VMM_PAGER_H
#define BAWN_VMM_PAGER_H

#include <sys/types.h>

#include "snapshot.h"

#define BAWN_PAGER_SOURCES 64 /* processes that map the memory, restarted ones among them */

/* One image of the chain. */
struct bawn_pager_layer {
    struct bawn_snapshot *snapshot; /* borrowed */
    struct {
        uint64_t *map;     /* owned: a bit for each page that stands in the image */
        uint64_t *changed; /* owned: one for each that is not the base's; NULL: there is no base */
        uint32_t *rank;    /* owned: how many of the range's stand before each word of map */
        uint64_t base;     /* how many of the ranges before */
    } range[BAWN_MEM_MAX_RANGES];
    uint64_t pages; /* in the image */
};

struct bawn_pager {
    int device;                     /* owned; -1: this host gives us no page faults */
    int link[2];                    /* owned: the pager's end, and the others' */
    struct bawn_snapshot *snapshot; /* borrowed */
    struct bawn_mem *mem;           /* the same */
    struct bawn_pager_layer *layer; /* owned; the newest first */
    unsigned nr_layers;
    /* In the pager's process. */
    int source[BAWN_PAGER_SOURCES]; /* userfaultfds */
    unsigned nr_sources;
};

/* Whether this host can: its device is open then. Before capabilities are dropped. */
bool bawn_pager_open(struct bawn_pager *p);
void bawn_pager_close(struct bawn_pager *p);
/* Reads which pages there are. */
enum bawn_status bawn_pager_prepare(struct bawn_pager *p, struct bawn_snapshot *s,
                                    struct bawn_mem *mem, struct bawn_error *err);
/* The pager's process. Ends with 0 when all memory is there; else err says why. */
_Noreturn void bawn_pager_run(struct bawn_pager *p, struct bawn_error *err);
/* A process that is about to use the memory, before it does. False: it must not. */
bool bawn_pager_join(const struct bawn_pager *p);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What two machines say to each other when one takes the other's place: frames of a kind and a
 * length. And the arriving machine's side of it: what may come next, how much, and where it goes.
 * The peer has shown its certificate, and is believed nothing else.
 *
 * From the source: HELLO, TEXT... (the configuration), FACTS; when READY has come PAGES and ZEROES,
 * in any order and as often as it takes; STATE..., END; when HOLDS has come GO, and RUNS is the
 * last word. REFUSE may come in place of any answer. All numbers are little-endian.
 */
#ifndef BAWN_VMM_FRAME_H
#define BAWN_VMM_FRAME_H

#include "memory.h"
#include "state.h"

#define BAWN_FRAME_PAGES 16u /* that a frame may have */
#define BAWN_FRAME_MAX (sizeof(uint64_t) + BAWN_FRAME_PAGES * BAWN_MEM_PAGE)
#define BAWN_FRAME_CONFIG_MAX (1u << 20)
#define BAWN_FRAME_VERSION 1u

enum bawn_frame_kind {
    BAWN_FRAME_HELLO = 1, /* struct bawn_frame_hello */
    BAWN_FRAME_TEXT,
    BAWN_FRAME_FACTS,     /* the state's first BAWN_STATE_FACTS bytes */
    BAWN_FRAME_PAGES_ARE, /* u64 guest physical address, pages */
    BAWN_FRAME_ZEROES,    /* u64 address, u64 number of pages */
    BAWN_FRAME_STATE,
    BAWN_FRAME_END,
    BAWN_FRAME_GO,
    /* To the source. */
    BAWN_FRAME_READY,
    BAWN_FRAME_HOLDS,
    BAWN_FRAME_RUNS,
    BAWN_FRAME_REFUSE, /* text */
};

struct bawn_frame_head {
    uint32_t kind, len; /* of what follows */
};

struct bawn_frame_hello {
    char magic[8];
    uint32_t version, nr_ram;
    uint32_t config_len, state_len;
    struct bawn_ram ram[BAWN_MEM_MAX_RANGES];
    uint64_t sectors[BAWN_MAX_DISKS]; /* of each disk; 0: none */
};

void bawn_frame_hello_init(struct bawn_frame_hello *hello, const struct bawn_mem *mem,
                           size_t config_len, size_t state_len);

/* Frames out of a stream that comes in pieces. */
struct bawn_frames {
    /* A whole frame; an error ends it all. */
    enum bawn_status (*take)(void *opaque, enum bawn_frame_kind kind, const uint8_t *data,
                             size_t len, struct bawn_error *err);
    void *opaque;     /* borrowed */
    unsigned allowed; /* bit n: a frame of kind n may come now; take() changes it */
    struct bawn_frame_head head;
    size_t have; /* of the head, and of what follows */
    uint8_t room[BAWN_FRAME_MAX];
};

enum bawn_status bawn_frames_feed(struct bawn_frames *f, const uint8_t *data, size_t len,
                                  struct bawn_error *err);

/* ---- the machine that arrives ---- */

/* In memory that the process which reads the peer shares with the supervisor, who copies before it
 * looks. */
struct bawn_arrival {
    struct bawn_frame_hello hello;
    char config[BAWN_FRAME_CONFIG_MAX];
    struct bawn_state state; /* the facts first */
    uint64_t received;       /* bytes of memory */
    struct bawn_error why;   /* what went wrong, from either side to the other */
};

enum bawn_inflow_stage {
    BAWN_INFLOW_HELLO,
    BAWN_INFLOW_TEXT,   /* the configuration, then facts */
    BAWN_INFLOW_ASKED,  /* all is known but memory and state; nothing may come */
    BAWN_INFLOW_MEMORY, /* bawn_inflow_ready() */
    BAWN_INFLOW_STATE,
    BAWN_INFLOW_ENDED, /* all is there; nothing may come */
    BAWN_INFLOW_HELD,  /* bawn_inflow_held() */
    BAWN_INFLOW_GONE,  /* the source will not run any more */
};

struct bawn_inflow {
    struct bawn_frames frames;
    enum bawn_inflow_stage stage;
    struct bawn_arrival *arrival; /* borrowed */
    size_t text, state;           /* how much of each is there */
    const struct bawn_mem *mem;   /* borrowed */
};

void bawn_inflow_init(struct bawn_inflow *in, struct bawn_arrival *arrival);
/* The memory, all zero, into which it comes. */
void bawn_inflow_ready(struct bawn_inflow *in, const struct bawn_mem *mem);
void bawn_inflow_held(struct bawn_inflow *in);

#endif

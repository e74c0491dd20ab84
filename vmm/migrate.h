/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Live migration: the two processes that speak with each other over TLS (frame.h), and what they
 * say to their supervisors. Each has a seccomp policy of its own. The one at the source sees guest
 * memory and cannot write it; the one at the destination writes it and sees nothing else. Who runs
 * the guest is the supervisors' matter: the source's gives its machine up when the destination
 * holds all of it, and says so; the destination's has its machine run when it was told that.
 */
#ifndef BAWN_VMM_MIGRATE_H
#define BAWN_VMM_MIGRATE_H

#include "frame.h"
#include "tls.h"

enum bawn_move_kind {
    /* From the source's process, each answered by the same kind when it is done. */
    BAWN_MOVE_TRACK = 1, /* note what is written, and give the state's facts */
    BAWN_MOVE_TAKE,      /* add the module's notes */
    BAWN_MOVE_STOP,      /* pause, give the state, let go of the disks */
    BAWN_MOVE_GIVE,      /* the destination holds all: from here on it may run there */
    BAWN_MOVE_DONE,      /* it runs there; no answer */
    /* From the destination's. */
    BAWN_MOVE_ASKED, /* configuration and facts are there; answered by MEMORY */
    BAWN_MOVE_MEMORY,
    BAWN_MOVE_ENDED, /* memory and state are there; answered by HOLDS */
    BAWN_MOVE_HOLDS,
    BAWN_MOVE_RUN, /* the source said go; answered by RUNS */
    BAWN_MOVE_RUNS,
    BAWN_MOVE_STRANGER, /* somebody was turned away: arrival->why; no answer */
    /* From either supervisor, in place of an answer: the arrival's or the source's why has it. */
    BAWN_MOVE_REFUSE,
};

struct bawn_move_msg {
    uint32_t kind;
    uint32_t nr; /* MEMORY: of ranges, whose files come with it */
    struct bawn_ram ram[BAWN_MEM_MAX_RANGES];
};

/* How a machine is to be sent. The texts are borrowed. */
struct bawn_move_wish {
    const char *url;
    struct bawn_tls_files files;
    uint64_t bandwidth; /* bytes a second; 0: no limit */
    unsigned downtime;  /* ms that it may stand still for */
    unsigned timeout;   /* seconds for all of it */
    int progress;       /* borrowed, as in save.h; -1: nobody is told */
};

/* What the process that sends has; all borrowed. */
struct bawn_send {
    struct bawn_move_wish wish;
    struct bawn_mem mem; /* a copy of the structure */
    const char *config;
    struct bawn_frame_hello hello;
    const struct bawn_state *state; /* shared: facts from TRACK on, all from STOP on */
    struct bawn_error *why;         /* shared */
    int link;
};

/* Connects, locks itself in, sends. */
_Noreturn void bawn_send_run(struct bawn_send *s);
/* The same without sandbox and end of process. */
enum bawn_status bawn_send_all(struct bawn_send *s, struct bawn_tls *t, struct bawn_error *err);

struct bawn_receive {
    struct bawn_tls_files files;
    struct bawn_arrival *arrival; /* shared */
    int listen_fd, link;
};

_Noreturn void bawn_receive_run(struct bawn_receive *r);
enum bawn_status bawn_receive_all(struct bawn_receive *r, struct bawn_tls *t,
                                  struct bawn_error *err);

/* Messages to and from a supervisor. False: the other end is gone. */
bool bawn_move_tell(int link, enum bawn_move_kind kind);
/* files: room for so many descriptors, or NULL. */
bool bawn_move_hear(int link, struct bawn_move_msg *msg, int *files, unsigned *nr_files);
bool bawn_move_give_memory(int link, const struct bawn_mem *mem);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor's side of the API: keeps the API's process, which exists while there are clients,
 * and does what it asks for. Requests are not trusted; who can connect may give orders to this
 * machine, and use files as its owner.
 */
#ifndef BAWN_VMM_CONTROL_H
#define BAWN_VMM_CONTROL_H

#include <sys/un.h>

#include "api.h"
#include "loop.h"
#include "machine.h"

struct bawn_run;

struct bawn_control {
    int listen_fd;                                          /* owned; -1: there is no API */
    int link[2];                                            /* owned: ours, and the process's end */
    pid_t pid;                                              /* 0: there is none */
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* removed at the end; "": nothing */
    int listen_watch;                                       /* of the loop that serves */
    bool pending;                                           /* an answer is due */
    uint32_t id;
    enum bawn_api_call call;
    const char *body;      /* borrowed: of the request, */
    size_t len;            /* while it is begun */
    int fds[BAWN_API_FDS]; /* owned: of the request */
    unsigned nr_fds;
};

/* Listens where the options say. Without a word of theirs, not to be able to is no failure. */
enum bawn_status bawn_control_open(struct bawn_run *r, struct bawn_error *err);
void bawn_control_close(struct bawn_run *r);
/* Has r->loop serve the API. */
void bawn_control_watch(struct bawn_run *r);
/* Some process has ended. */
void bawn_control_reap(struct bawn_run *r);

/* Answers the request that is pending, if one is; once. body: JSON, "" with status 204. */
void bawn_control_answer(struct bawn_run *r, unsigned status, const char *body);
void bawn_control_refuse(struct bawn_run *r, unsigned status, const char *why);
/* Done, or not: why. */
void bawn_control_conclude(struct bawn_run *r, const char *why);

/* What has come of orders. why: empty if all is well. */
void bawn_control_launched(struct bawn_run *r);
void bawn_control_ended(struct bawn_run *r, const char *why);
void bawn_control_ordered(struct bawn_run *r, enum bawn_order order, const char *why);
void bawn_control_saved(struct bawn_run *r, const char *why);
void bawn_control_left(struct bawn_run *r, const char *why);
void bawn_control_arrived(struct bawn_run *r, const char *why);

#endif

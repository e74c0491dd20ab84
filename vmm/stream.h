/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a serial port's or console's bytes go to and come from: the terminal, a file or
 * nowhere. Opened before the guest runs. Remembers the last output to find a panic in it.
 */
#ifndef BAWN_VMM_STREAM_H
#define BAWN_VMM_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "bawn/status.h"
#include "launch.h"
#include "relay.h"

#define BAWN_STREAM_TAIL 4096

/* The last output, in memory that processes forked later share: whoever writes there is not trusted
 * by who looks for a panic. */
struct bawn_stream_tail {
    char text[BAWN_STREAM_TAIL]; /* a ring; the oldest byte is at total % size once full */
    size_t total;
};

struct bawn_stream {
    int in_fd;  /* -1: no input */
    int out_fd; /* -1: output is dropped */
    bool owned; /* out_fd is closed with the stream */
    bool raw;   /* input is a terminal: raw mode and the escape */
    bool escape;
    bool impatient;           /* who takes no output loses it, so that the guest goes on */
    bool stalled;             /* and did so the last time */
    char pty[32];             /* the terminal that programs open; empty: none */
    int pty_fd;               /* owned, of a pty: keeps it alive while no program has it open */
    bool cut;                 /* atomic: output is dropped for now */
    struct bawn_relay *relay; /* owned, of a socket: to be served by the supervisor's loop */
    struct bawn_stream_tail *tail; /* owned; NULL: nothing is remembered */
};

enum bawn_status bawn_stream_open(struct bawn_stream *s, const struct bawn_stream_config *cfg,
                                  const char *what, struct bawn_error *err);
void bawn_stream_close(struct bawn_stream *s);

/* Writes all of buf, or drops what the other side does not take (closed pipe, full disk).
 * Blocks while the other side is slow. */
void bawn_stream_write(struct bawn_stream *s, const void *buf, size_t len);
/* From another thread: has writes drop their output at once, a blocked one after a signal. */
void bawn_stream_cut(struct bawn_stream *s, bool cut);
/* Reads at most len bytes: their number, 0 none (an escape), -1 end of input. *quit is set
 * when the person at the terminal asked to stop the VM (Ctrl-A x). */
ssize_t bawn_stream_read(struct bawn_stream *s, void *buf, size_t len, bool *quit);
/* Whether one of the last lines is the Linux kernel's panic message. */
bool bawn_stream_panicked(const struct bawn_stream *s);

/* Puts the terminal on standard input into raw mode; restored at exit and on fatal signals of
 * this process. */
enum bawn_status bawn_term_raw(struct bawn_error *err);
void bawn_term_restore(void);
/* In a process that was forked: the terminal is another's to restore. */
void bawn_term_forget(void);

#endif

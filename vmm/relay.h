/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A unix socket as the outside of a guest's port: who connects has the port, until another does.
 * The supervisor's, since the processes of the machine cannot take connections.
 */
#ifndef BAWN_VMM_RELAY_H
#define BAWN_VMM_RELAY_H

#include "bawn/status.h"
#include "loop.h"

struct bawn_relay;

/* Begins to listen. *relay: new; *port is the end of the process that has the guest's port: a
 * stream socket that does not block, the caller's to close. */
enum bawn_status bawn_relay_open(struct bawn_relay **relay, const char *path, int *port,
                                 struct bawn_error *err);
/* From now on, while the loop runs. What the other side does not take at once is lost. */
void bawn_relay_serve(struct bawn_relay *r, struct bawn_loop *loop);
/* NULL is none. */
void bawn_relay_close(struct bawn_relay *r);

#endif

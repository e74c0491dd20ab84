/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The API's process: serves Cloud Hypervisor's REST API on a unix socket, and asks the supervisor
 * for what a well-formed request wants. It opens nothing, and knows nothing of machines.
 */
#ifndef BAWN_VMM_API_H
#define BAWN_VMM_API_H

#include <stddef.h>
#include <stdint.h>

#include "http.h"

#define BAWN_API_ROOT "/api/v1/"
#define BAWN_API_FDS 16            /* that come with a request */
#define BAWN_API_ANSWER_MAX 131072 /* a body */

enum bawn_api_call {
    BAWN_API_PING,
    BAWN_API_INFO,
    BAWN_API_COUNTERS,
    BAWN_API_QUIT,
    BAWN_API_CREATE,
    BAWN_API_DELETE,
    BAWN_API_BOOT,
    BAWN_API_PAUSE,
    BAWN_API_RESUME,
    BAWN_API_REBOOT,
    BAWN_API_SHUTDOWN,
    BAWN_API_BUTTON,
    BAWN_API_ADD_NET,
    BAWN_API_ADD_DISK,
    BAWN_API_REMOVE,
    BAWN_API_RESIZE,
    BAWN_API_SNAPSHOT,
    BAWN_API_RESTORE,
    BAWN_API_SEND,
    BAWN_API_RECEIVE,
    BAWN_API_CALLS,
};

/* To the supervisor and back, one at a time, over a SOCK_SEQPACKET pair; neither side trusts the
 * other. A message ends behind its body. */
struct bawn_api_request {
    uint32_t id;
    uint32_t call;
    char body[BAWN_HTTP_BODY_MAX]; /* as the client sent it */
};
struct bawn_api_answer {
    uint32_t id;
    uint32_t status; /* of HTTP */
    char body[BAWN_API_ANSWER_MAX];
};

/* What a client may ask for: its name, or NULL for a number that is none. */
const char *bawn_api_name(unsigned call);
/* listen_fd and link_fd are kept as they are. Ends when it was idle for a while, or the supervisor
 * is gone. */
_Noreturn void bawn_api_run(int listen_fd, int link_fd);
/* The same without sandbox and end of process, for tests. */
void bawn_api_serve(int listen_fd, int link_fd);

#endif

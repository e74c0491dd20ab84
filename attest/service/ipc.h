/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between the service's processes: README.md has the table. Frames over stream sockets;
 * each side trusts the other no further than the message says: lengths are checked, JSON is
 * parsed strictly, what is too large ends the connection.
 */
#ifndef BAWN_ATTESTD_IPC_H
#define BAWN_ATTESTD_IPC_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include <bawn/attest.h>
#include <bawn/status.h>

enum ipc_op {
    IPC_SESSION_NEW = 1,
    IPC_JUDGE,
    IPC_DECIDE,
    IPC_RESOURCE_GET,
    IPC_ADMIN,
    IPC_KEYS,
    IPC_STATUS,
    IPC_REPLY,
    IPC_SNAPSHOT,
    IPC_EVENT,
    IPC_PEER,    /* supervisor, to front and vault: the descriptor with it is a new judge's; `judge`
                  * is its number, from 0: it replaces one that had the same. `fetch`: it is that's */
    IPC_STOP,    /* supervisor: finish what is begun, then end */
    IPC_RELOAD,  /* supervisor, to fronts and vault: `config`, the configuration as in its file, and
                  * `files` [{`path`, `len`}], which follow each other in the blob: config_reload()
                  */
    IPC_READY,   /* fronts and vault, to supervisor: serving */
    IPC_FETCH,   /* vault, to fetch: `path`, on the mirror */
    IPC_FETCHED, /* the answer, with the same id: `error`, or "" and the blob */
    IPC_BEARER,  /* front, to vault: whether `bearer` is a token of `tenant` in force */
    IPC_PING,    /* front, to judge, and back: whether it still takes what it is given */
    IPC_HUNG,    /* front, to supervisor: `judge` does not */
    IPC_HEALTH,  /* vault, to fronts: `problem`, one line, or "" */
    IPC_OPS,
};

#define IPC_JSON_MAX (4u << 20)
#define IPC_BLOB_MAX (64u << 20)

struct ipc_header {
    uint32_t op;
    uint32_t json_len;
    uint32_t blob_len;
    uint32_t zero;
    uint64_t id;
};

struct ipc_msg {
    enum ipc_op op;
    uint64_t id;
    json_t *json;  /* an object, or NULL; owned */
    uint8_t *blob; /* owned */
    size_t blob_len;
    int fd; /* IPC_PEER's, else -1; owned */
};

void ipc_msg_clear(struct ipc_msg *msg);

/* One end of a connection: buffers what arrives and what is to leave. Non-blocking. */
struct ipc;

struct ipc *ipc_create(int fd); /* owns fd. NULL: no memory */
void ipc_destroy(struct ipc *ipc);
int ipc_fd(const struct ipc *ipc);
bool ipc_wants_write(const struct ipc *ipc);
size_t ipc_queued(const struct ipc *ipc); /* bytes to leave */

/* Appends a frame to what is to leave. json and blob are borrowed, either may be NULL; fd is sent
 * with it (a copy), -1 none. BAWN_E_NOMEM, or BAWN_E_FORMAT: too large. */
enum bawn_status ipc_send(struct ipc *ipc, enum ipc_op op, uint64_t id, const json_t *json,
                          struct bawn_bytes blob, int fd, struct bawn_error *err);
/* Writes what the socket takes. BAWN_E_IO: the peer is gone. */
enum bawn_status ipc_flush(struct ipc *ipc, struct bawn_error *err);
/* Reads what there is; then ipc_next gives the complete messages one by one. BAWN_E_IO: the peer is
 * gone; BAWN_E_FORMAT: it sent no such message: close. */
enum bawn_status ipc_read(struct ipc *ipc, struct bawn_error *err);
bool ipc_next(struct ipc *ipc, struct ipc_msg *msg);

#endif

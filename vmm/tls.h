/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end of a connection by mutual TLS 1.3 (RFC 8446): each side shows a certificate of the one CA
 * that the other was given. All waits have limits; nothing of the peer is used before its
 * certificate was checked.
 */
#ifndef BAWN_VMM_TLS_H
#define BAWN_VMM_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "bawn/status.h"

#define BAWN_TLS_PATIENCE 30 /* seconds that a peer may be silent */
#define BAWN_TLS_GREETING 10 /* and its handshake may take */

/* PEM files: our certificate with its chain, its key without a pass phrase, the CA. */
struct bawn_tls_files {
    const char *cert, *key, *ca;
};

struct bawn_tls {
    void *context, *ssl; /* owned */
    bool server;
    int fd;              /* owned: the connection; -1: none */
    int stop_fd;         /* borrowed: its other end being gone ends every wait; -1: none */
    unsigned patience;   /* seconds */
    struct timespec end; /* of it all, on the monotonic clock; 0: none */
};

/* Reads the files, and loads all code that will be needed: before a process locks itself in. host:
 * the name or address that the server's certificate must have; NULL: this is the server. */
enum bawn_status bawn_tls_prepare(struct bawn_tls *t, const struct bawn_tls_files *files,
                                  const char *host, struct bawn_error *err);
/* Over a connection, which does not block and is owned from here on. After a failure there may be
 * another. */
enum bawn_status bawn_tls_open(struct bawn_tls *t, int fd, struct bawn_error *err);
void bawn_tls_hang_up(struct bawn_tls *t);
void bawn_tls_close(struct bawn_tls *t);

enum bawn_status bawn_tls_write(struct bawn_tls *t, const void *data, size_t len,
                                struct bawn_error *err);
/* At least one byte, at most room. */
enum bawn_status bawn_tls_read(struct bawn_tls *t, void *data, size_t room, size_t *len,
                               struct bawn_error *err);
/* Whether the time for it all is over. */
bool bawn_tls_late(const struct bawn_tls *t);
/* Whether there is something to read now. */
bool bawn_tls_waiting(const struct bawn_tls *t);

/* "tls:HOST:PORT", "tls:[ADDRESS]:PORT": the two as texts of their own, in room for 256 and 8. */
bool bawn_tls_where(const char *url, char *host, char *port);
/* A socket that listens there, or one that is connected, or -1: for who is not locked in. */
int bawn_tls_listen(const char *url, struct bawn_error *err);
int bawn_tls_connect(const char *url, struct bawn_error *err);

#endif

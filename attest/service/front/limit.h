/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients by address: how many connections each has, and a token bucket of requests. A table of
 * fixed size, so that many addresses cost no memory; hashed under a random key, so that nobody can
 * aim at another's place.
 */
#ifndef BAWN_FRONT_LIMIT_H
#define BAWN_FRONT_LIMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct client {
    uint64_t key; /* 0: empty */
    int64_t filled_ms;
    uint32_t milli_tokens;
    uint32_t connections;
    uint32_t streams; /* of them, subscribers */
};

struct limits;

struct limits *limits_create(const uint8_t random[16]); /* NULL: no memory */
void limits_destroy(struct limits *l);
/* The client of an address: an IPv4 address, an IPv6 network of 64 bits, a vsock CID, or all of a
 * unix socket. NULL: its place is taken by clients that have connections. */
struct client *limits_client(struct limits *l, const struct sockaddr *address);
/* As the log names it: "192.0.2.1", "2001:db8::/64", "vsock:3", "unix". */
#define CLIENT_TEXT 64
void limits_name(const struct sockaddr *address, char text[CLIENT_TEXT]);
/* Takes one token. False: none left. rate 0: always. */
bool client_take(struct client *c, unsigned rate, unsigned burst, int64_t now_ms);

#endif

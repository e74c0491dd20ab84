// SPDX-License-Identifier: Apache-2.0
/* Addresses come from the kernel and cannot be forged by who completed a connection. */
#include "attest/service/front/limit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <linux/vm_sockets.h>

#define WAYS 8
#define SETS 8192

struct limits {
    uint64_t seed[2];
    struct client clients[SETS][WAYS];
};

struct limits *limits_create(const uint8_t random[16])
{
    struct limits *l = calloc(1, sizeof(*l));

    if (l)
        memcpy(l->seed, random, 16);
    return l;
}

void limits_destroy(struct limits *l)
{
    free(l);
}

/* What is no IPv6 network: 0xff begins multicast addresses, which nobody connects from (RFC 4291,
 * 2.7), so that whoever chooses a network does not choose another's key. */
#define OTHER(family) ((uint64_t)0xff << 56 | (uint64_t)(family) << 40)

/* The finisher of splitmix64 over secret halves; addresses are 64 bits, so keys do not collide. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

static uint64_t address_of(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)address;

        return OTHER(1) | ntohl(in->sin_addr.s_addr);
    }
    if (address->sa_family == AF_VSOCK) {
        const struct sockaddr_vm *vm = (const void *)address;

        return OTHER(2) | vm->svm_cid;
    }
    if (address->sa_family == AF_INET6) {
        const struct in6_addr *in6 =
            &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        uint64_t n = 0;

        if (IN6_IS_ADDR_V4MAPPED(in6)) {
            for (int i = 12; i < 16; i++)
                n = n << 8 | in6->s6_addr[i];
            return OTHER(1) | n;
        }
        for (int i = 0; i < 8; i++)
            n = n << 8 | in6->s6_addr[i];
        return n;
    }
    return OTHER(3);
}

void limits_name(const struct sockaddr *address, char text[CLIENT_TEXT])
{
    uint64_t n = address_of(address);
    bool other = n >> 56 == 0xff;
    struct in_addr in = { htonl((uint32_t)n) };
    struct in6_addr in6 = { 0 };
    char network[INET6_ADDRSTRLEN];

    for (int i = 0; i < 8; i++)
        in6.s6_addr[i] = (uint8_t)(n >> (56 - 8 * i));
    if (!other && inet_ntop(AF_INET6, &in6, network, sizeof(network)))
        snprintf(text, CLIENT_TEXT, "%s/64", network);
    else if (other && (n >> 40 & 0xff) == 1)
        inet_ntop(AF_INET, &in, text, CLIENT_TEXT);
    else if (other && (n >> 40 & 0xff) == 2)
        snprintf(text, CLIENT_TEXT, "vsock:%u", (unsigned)n);
    else
        snprintf(text, CLIENT_TEXT, "unix");
}

struct client *limits_client(struct limits *l, const struct sockaddr *address)
{
    uint64_t key = mix(address_of(address) ^ l->seed[0]) ^ l->seed[1];
    struct client *set = l->clients[mix(key) % SETS], *oldest = NULL;

    if (!key)
        key = 1;
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].key == key)
            return &set[i];
        if (!set[i].connections && (!oldest || set[i].filled_ms < oldest->filled_ms))
            oldest = &set[i];
    }
    if (oldest)
        *oldest = (struct client){ .key = key, .filled_ms = INT64_MIN };
    return oldest;
}

bool client_take(struct client *c, unsigned rate, unsigned burst, int64_t now_ms)
{
    uint64_t full = (uint64_t)burst * 1000, tokens;

    if (!rate)
        return true;
    if (c->filled_ms == INT64_MIN || now_ms < c->filled_ms) {
        tokens = c->filled_ms == INT64_MIN ? full : c->milli_tokens;
    } else {
        uint64_t ms = (uint64_t)(now_ms - c->filled_ms);

        tokens = ms > UINT32_MAX ? full : c->milli_tokens + ms * rate;
    }
    if (tokens > full)
        tokens = full;
    c->filled_ms = now_ms;
    c->milli_tokens = tokens > UINT32_MAX ? UINT32_MAX : (uint32_t)tokens;
    if (c->milli_tokens < 1000)
        return false;
    c->milli_tokens -= 1000;
    return true;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Whom a request is for, by its Host. A name of an attacker's that is made to point to this machine
 * (DNS rebinding) lets a page in an administrator's browser read what only this machine should; its
 * requests have that name. An address as Host cannot be made to point elsewhere.
 */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include <event2/bufferevent_ssl.h>

#include "attest/service/front/front.h"

/* Without the port (RFC 9110, 7.2). False: no such thing. */
static bool host_name(struct slice value, char host[256])
{
    const char *end = memchr(value.p, value.len && *value.p == '[' ? ']' : ':', value.len);
    size_t len = end ? (size_t)(end - value.p) : value.len, skip = 0;
    struct slice port = { value.p + len, value.len - len };

    if (value.len && *value.p == '[') {
        if (!end)
            return false;
        skip = 1;
        port.p++;
        port.len--;
    }
    if (port.len && (port.p[0] != ':' || port.len > 6))
        return false;
    for (size_t i = 1; i < port.len; i++)
        if (port.p[i] < '0' || port.p[i] > '9')
            return false;
    len -= skip;
    if (!len || len >= 256 || memchr(value.p + skip, 0, len))
        return false;
    memcpy(host, value.p + skip, len);
    host[len] = '\0';
    return true;
}

static bool is_address(const char *host, bool brackets)
{
    struct in6_addr address;

    return inet_pton(brackets ? AF_INET6 : AF_INET, host, &address) == 1;
}

bool host_is_ours(struct slice value, const struct config_names *names, bool loopback)
{
    char host[256];

    if (!host_name(value, host))
        return false;
    if (is_address(host, *value.p == '['))
        return true;
    if (loopback && !strcasecmp(host, "localhost"))
        return true;
    for (size_t i = 0; i < names->n; i++)
        if (!strcasecmp(host, names->at[i]))
            return true;
    return false;
}

/* Nobody is led to a unix socket or a vsock address by a name. */
static bool by_network(const struct conn *c, bool *loopback)
{
    struct sockaddr_storage local = { 0 };
    socklen_t len = sizeof(local);
    const struct sockaddr_in *in = (const void *)&local;
    const struct sockaddr_in6 *in6 = (const void *)&local;

    if (getsockname(bufferevent_getfd(c->bev), (struct sockaddr *)&local, &len))
        return true;
    *loopback = local.ss_family == AF_INET
                    ? ntohl(in->sin_addr.s_addr) >> 24 == 127
                    : local.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
    return local.ss_family == AF_INET || local.ss_family == AF_INET6;
}

bool host_check(const struct conn *c)
{
    const struct service_config *config = c->front->config;
    bool admin = c->door->kind == DOOR_ADMIN, loopback = false;
    struct slice value;
    char host[256];

    if (c->door->kind == DOOR_PUBLIC || !http_header(&c->head, "Host", &value) ||
        !by_network(c, &loopback))
        return true;
    if (host_is_ours(value, admin ? &config->admin.hosts : &config->status_hosts, loopback))
        return true;
    return admin && host_name(value, host) && tls_is_for(bufferevent_openssl_get_ssl(c->bev), host);
}

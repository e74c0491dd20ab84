// SPDX-License-Identifier: Apache-2.0
/* Addresses to listen on, as the configuration writes them. Numeric: no name service is asked. */
#include "attest/service/config.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <linux/vm_sockets.h>

static bool number(const char *text, unsigned long max, unsigned *out)
{
    unsigned long n;
    char *end;

    if (*text < '0' || *text > '9' || strlen(text) > 10)
        return false;
    n = strtoul(text, &end, 10);
    *out = (unsigned)n;
    return !*end && n <= max;
}

static bool parse_tcp(const char *text, struct config_listen *l, const char **why)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;
    struct in6_addr address;

    *why = "must be tcp:ADDRESS:PORT, ADDRESS as 127.0.0.1 or [::1], PORT from 1 to 65535";
    if (!len || !number(colon + 1, 65535, &l->port) || !l->port)
        return false;
    if (text[0] == '[' && text[len - 1] == ']') {
        l->host = strndup(text + 1, len - 2);
        return l->host && inet_pton(AF_INET6, l->host, &address) == 1;
    }
    l->host = strndup(text, len);
    return l->host && inet_pton(AF_INET, l->host, &address) == 1;
}

static bool parse_unix(const char *text, struct config_listen *l, const char **why)
{
    const struct sockaddr_un *sun = NULL;

    *why = "must be unix:PATH, an absolute path of at most 107 characters";
    if (text[0] != '/' || strlen(text) >= sizeof(sun->sun_path))
        return false;
    l->host = strdup(text);
    return l->host != NULL;
}

static bool parse_vsock(const char *text, struct config_listen *l, const char **why)
{
    const char *colon = strchr(text, ':');
    char cid[16];

    *why = "must be vsock:CID:PORT, CID a number or any";
    if (!colon || (size_t)(colon - text) >= sizeof(cid))
        return false;
    memcpy(cid, text, (size_t)(colon - text));
    cid[colon - text] = '\0';
    l->cid = VMADDR_CID_ANY;
    return (!strcmp(cid, "any") || number(cid, UINT32_MAX, &l->cid)) &&
           number(colon + 1, UINT32_MAX - 1, &l->port) && l->port;
}

bool config_listen_parse(const char *text, struct config_listen *listen, const char **why)
{
    static const struct {
        const char *prefix;
        enum listen_kind kind;
        bool (*parse)(const char *, struct config_listen *, const char **);
    } kinds[] = {
        { "tcp:", LISTEN_TCP, parse_tcp },
        { "unix:", LISTEN_UNIX, parse_unix },
        { "vsock:", LISTEN_VSOCK, parse_vsock },
    };

    *listen = (struct config_listen){ .text = strdup(text) };
    *why = "must be tcp:ADDRESS:PORT, unix:PATH or vsock:CID:PORT";
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strncmp(text, kinds[i].prefix, strlen(kinds[i].prefix)) != 0)
            continue;
        listen->kind = kinds[i].kind;
        return kinds[i].parse(text + strlen(kinds[i].prefix), listen, why) && listen->text;
    }
    return false;
}

bool config_listen_is_local(const struct config_listen *l)
{
    struct in_addr v4;

    if (l->kind != LISTEN_TCP)
        return l->kind == LISTEN_UNIX;
    if (inet_pton(AF_INET, l->host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127; /* RFC 1122, 3.2.1.3 */
    return !strcmp(l->host, "::1");
}

// SPDX-License-Identifier: Apache-2.0
/* The address of a mirror of AMD's key server: https, or http on this machine. */
#include "attest/service/config.h"

#include <stdio.h>
#include <string.h>

static bool is_local(const char *host)
{
    return !strcmp(host, "localhost") || !strcmp(host, "::1") ||
           (!strncmp(host, "127.", 4) && strspn(host, "0123456789.") == strlen(host));
}

/* Up to one of the characters in stop; false: empty, too long, or of other characters. */
static bool piece(const char **at, const char *stop, const char *good, char *out, size_t size)
{
    size_t n = strcspn(*at, stop);

    if (!n || n >= size || strspn(*at, good) < n)
        return false;
    memcpy(out, *at, n);
    out[n] = '\0';
    *at += n;
    return true;
}

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

bool config_mirror_parse(const char *url, struct config_mirror *m, const char **why)
{
    const char *at = url;
    size_t len;

    *m = (struct config_mirror){ .tls = !strncmp(url, "https://", 8) };
    *why = "must be https://HOST[:PORT][/BASE], or http:// on a loopback address";
    if (!m->tls && strncmp(url, "http://", 7) != 0)
        return false;
    at += m->tls ? 8 : 7;
    snprintf(m->port, sizeof(m->port), "%s", m->tls ? "443" : "80");
    if (*at == '[') {
        at++;
        if (!piece(&at, "]", "0123456789abcdefABCDEF:.", m->host, sizeof(m->host)) || *at++ != ']')
            return false;
    } else if (!piece(&at, ":/", ALNUM "-.", m->host, sizeof(m->host))) {
        return false;
    }
    if (*at == ':' && (at++, !piece(&at, "/", "0123456789", m->port, sizeof(m->port))))
        return false;
    if (*at &&
        (*at != '/' || strlen(at) >= sizeof(m->base) || strspn(at, ALNUM "-._~/%") != strlen(at)))
        return false;
    snprintf(m->base, sizeof(m->base), "%s", at);
    len = strlen(m->base);
    while (len && m->base[len - 1] == '/')
        m->base[--len] = '\0';
    return m->tls || is_local(m->host);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What the static program is without: names are not resolved and nothing is loaded at run time.
 * OpenSSL refers to these functions in parts that are not used here; the C library's own would want
 * its shared objects in the initrd.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <stddef.h>

void *dlopen(const char *file, int mode)
{
    (void)file;
    (void)mode;
    return NULL;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    (void)name;
    (void)service;
    (void)hints;
    *found = NULL;
    return EAI_FAIL;
}

void freeaddrinfo(struct addrinfo *found)
{
    (void)found;
}

struct hostent *gethostbyname(const char *name)
{
    (void)name;
    return NULL;
}

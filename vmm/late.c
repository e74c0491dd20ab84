// SPDX-License-Identifier: Apache-2.0
/*
 * Loads OpenSSL's libraries for openssl.S: the processes of a machine that runs call nothing of
 * them, and have 400 KiB less. One that locks itself in has called what it needs before. Trusts the
 * libraries, as if they had been loaded at the start.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The library's name, and after it those of its functions; the table that gets them, to its end. */
void bawn_late_load(const char *name, void **table, void **end);

static bool fill(const char *name, void **table, void **end)
{
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL), **to = table;

    if (!library)
        return false;
    while (*(name += strlen(name) + 1)) {
        *to = dlsym(library, name);
        if (!*to++)
            return false;
    }
    return !mprotect(table, (size_t)((char *)end - (char *)table), PROT_READ);
}

void bawn_late_load(const char *name, void **table, void **end)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

    pthread_mutex_lock(&lock);
    if (!*table && !fill(name, table, end)) {
        fprintf(stderr, "bawn: OpenSSL's %s is needed: %s\n", name, dlerror());
        _exit(1);
    }
    pthread_mutex_unlock(&lock);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * For tests: a clock that can be set without setting the machine's. Preloaded, it adds to the wall
 * clock the seconds (int64_t) that are at the beginning of the file named by BAWN_TEST_CLOCK, at
 * this moment: the file is mapped, so that a process in its sandbox sees changes, too.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <dlfcn.h>

#define EXPORT __attribute__((visibility("default")))

static const volatile int64_t *offset;
static int (*real_clock_gettime)(clockid_t clock, struct timespec *t);

__attribute__((constructor)) static void open_clock(void)
{
    const char *path = getenv("BAWN_TEST_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = MAP_FAILED;

    if (fd >= 0)
        map = mmap(NULL, sizeof(*offset), PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (map != MAP_FAILED)
        offset = map;
    *(void **)&real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
}

EXPORT int clock_gettime(clockid_t clock, struct timespec *t)
{
    int r = real_clock_gettime ? real_clock_gettime(clock, t) : -1;

    if (!r && offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        t->tv_sec += *offset;
    return r;
}

EXPORT time_t time(time_t *out)
{
    struct timespec t = { 0 };

    clock_gettime(CLOCK_REALTIME, &t);
    if (out)
        *out = t.tv_sec;
    return t.tv_sec;
}

EXPORT int gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
    struct timespec t = { 0 };

    (void)tz;
    clock_gettime(CLOCK_REALTIME, &t);
    *tv = (struct timeval){ t.tv_sec, t.tv_nsec / 1000 };
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Children that compute something for their parent. They have everything that it has, and only read
 * files of the user's: they are trusted like it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apart.h"

static void *share(size_t size, struct bawn_error *err)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (at != MAP_FAILED)
        return at;
    bawn_fail(err, BAWN_E_NOMEM, "no memory for the launch's facts");
    return NULL;
}

enum bawn_status bawn_apart(enum bawn_status (*work)(void *opaque, struct bawn_error *err),
                            void *opaque, struct bawn_error *err)
{
    struct outcome {
        enum bawn_status status;
        struct bawn_error err;
    } *o = share(sizeof(*o), err);
    enum bawn_status st;
    int status = -1;
    pid_t pid;

    if (!o)
        return BAWN_E_NOMEM;
    pid = fork();
    if (!pid) {
        o->status = work(opaque, &o->err);
        _exit(0);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    st = o->status;
    if (pid < 0)
        st = bawn_fail(err, BAWN_E_IO, "cannot make a process: %m");
    else if (status)
        st = bawn_fail(err, BAWN_E_INTERNAL, "the process that judges the launch died");
    else if (st && err)
        *err = o->err;
    munmap(o, sizeof(*o));
    return st;
}

/* Of a launch: its configuration, memory, regions and vCPUs. */
#define EVENTS                                                                   \
    (1 + sizeof(((struct bawn_launch_plan *)0)->ram) / sizeof(struct bawn_ram) + \
     BAWN_MEASURE_MAX_REGIONS + BAWN_MAX_VCPUS)

struct measured {
    const struct bawn_vm_config *cfg;
    const struct bawn_launch_plan *plan;
    struct bawn_measure_log log;
    struct bawn_measure_event event[EVENTS];
};

static enum bawn_status measure(void *opaque, struct bawn_error *err)
{
    struct measured *m = opaque;
    enum bawn_status st = bawn_launch_measure(m->cfg, m->plan, &m->log, err);

    if (!st)
        memcpy(m->event, m->log.events, m->log.nr_events * sizeof(m->event[0]));
    return st;
}

enum bawn_status bawn_apart_measure(const struct bawn_vm_config *cfg,
                                    const struct bawn_launch_plan *plan,
                                    struct bawn_measure_log *log, struct bawn_error *err)
{
    struct measured *m = share(sizeof(*m), err);
    enum bawn_status st;

    memset(log, 0, sizeof(*log));
    if (!m)
        return BAWN_E_NOMEM;
    m->cfg = cfg;
    m->plan = plan;
    st = bawn_apart(measure, m, err);
    if (!st)
        *log = m->log;
    log->events = st ? NULL : malloc(log->nr_events * sizeof(m->event[0]));
    if (log->events)
        memcpy(log->events, m->event, log->nr_events * sizeof(m->event[0]));
    else if (!st)
        st = bawn_fail(err, BAWN_E_NOMEM, "no memory for the launch's events");
    munmap(m, sizeof(*m));
    return st;
}

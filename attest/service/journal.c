// SPDX-License-Identifier: Apache-2.0
/*
 * The journal: one JSON object per line on stderr, each written whole. Callers give it no secrets;
 * texts of clients come in as JSON strings, so that they cannot forge a line.
 */
#include "attest/service/service.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const char *const service_role_names[ROLES] = { "vault", "judge", "front", "admin", "fetch" };
static const char *process = "supervisor";

void journal_start(enum service_role role)
{
    process = service_role_names[role];
    tzset(); /* the C library reads a file for gmtime_r(), and later cannot */
}

/* RFC 3339 with milliseconds, UTC. */
static void now_text(char text[32])
{
    struct timespec now;
    struct tm tm;
    size_t n;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    n = strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, 32 - n, ".%03ldZ", now.tv_nsec / 1000000);
}

void journal(const char *level, const char *event, const char *fields, ...)
{
    json_t *line, *more = NULL;
    char time[32], *text;
    va_list ap;

    now_text(time);
    line = json_pack("{s:s,s:s,s:s,s:i,s:s}", "time", time, "level", level, "process", process,
                     "pid", (int)getpid(), "event", event);
    if (fields) {
        va_start(ap, fields);
        more = json_vpack_ex(NULL, 0, fields, ap);
        va_end(ap);
    }
    if (line && more)
        json_object_update_missing(line, more);
    json_decref(more);
    text = line ? json_dumps(line, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    json_decref(line);
    if (text) {
        size_t len = strlen(text);

        text[len] = '\n'; /* in the place of the end */
        (void)!write(STDERR_FILENO, text, len + 1);
    }
    free(text);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Messages about the configuration with the line and column of the value at fault. jansson keeps no
 * positions, so the value is looked for in the text again: text that jansson has accepted.
 */
#include "attest/service/config.h"

#include <stdarg.h>
#include <string.h>

#define DEPTH_MAX 16

struct scan {
    const char *p, *end;
};

static void skip_blanks(struct scan *s)
{
    while (s->p < s->end && strchr(" \t\r\n", *s->p))
        s->p++;
}

/* From a quote to behind the closing one. */
static void skip_string(struct scan *s)
{
    for (s->p++; s->p < s->end && *s->p != '"'; s->p++)
        if (*s->p == '\\' && s->p + 1 < s->end)
            s->p++;
    if (s->p < s->end)
        s->p++;
}

/* From a value's first character to behind its last. */
static void skip_value(struct scan *s)
{
    unsigned depth = 0;

    do {
        skip_blanks(s);
        if (s->p >= s->end)
            return;
        if (*s->p == '"') {
            skip_string(s);
        } else if (*s->p == '{' || *s->p == '[') {
            depth++;
            s->p++;
        } else if (*s->p == '}' || *s->p == ']') {
            depth--;
            s->p++;
        } else if (*s->p == ',' || *s->p == ':') {
            s->p++;
        } else {
            while (s->p < s->end && !strchr(" \t\r\n,:]}", *s->p))
                s->p++;
        }
    } while (depth);
}

/* A key as written; those with escapes are not found, and the message has the object's place. */
static bool key_is(const struct scan *s, const char *key)
{
    size_t n = strlen(key);

    return (size_t)(s->end - s->p) >= n + 2 && *s->p == '"' && !memcmp(s->p + 1, key, n) &&
           s->p[n + 1] == '"';
}

/* Moves from a container to one of its members. */
static bool enter(struct scan *s, const struct config_at *at)
{
    struct scan t = *s;
    bool object;

    skip_blanks(&t);
    if (t.p >= t.end || (*t.p != '{' && *t.p != '['))
        return false;
    object = *t.p++ == '{';
    if (object != (at->key != NULL))
        return false;
    for (size_t i = 0;; i++) {
        bool found = !object && i == at->index;

        skip_blanks(&t);
        if (t.p >= t.end || *t.p == '}' || *t.p == ']')
            return false;
        if (object) {
            found = key_is(&t, at->key);
            skip_string(&t);
            skip_blanks(&t);
            if (t.p < t.end && *t.p == ':')
                t.p++;
        }
        skip_blanks(&t);
        if (found) {
            *s = t;
            return true;
        }
        skip_value(&t);
        skip_blanks(&t);
        if (t.p < t.end && *t.p == ',')
            t.p++;
    }
}

void config_position(const char *text, size_t len, const struct config_at *at, unsigned *line,
                     unsigned *column)
{
    const struct config_at *way[DEPTH_MAX] = { NULL };
    struct scan s = { text, text + len };
    size_t n = 0;

    for (; at && n < DEPTH_MAX; at = at->up)
        way[n++] = at;
    skip_blanks(&s);
    while (n > 0 && enter(&s, way[n - 1]))
        n--;
    *line = *column = 1;
    for (const char *p = text; p < s.p; p++) {
        *column = *p == '\n' ? 1 : *column + 1;
        *line += *p == '\n';
    }
}

enum bawn_status config_fail(const struct config_reader *r, const struct config_at *at,
                             const char *fmt, ...)
{
    const struct config_at *way[DEPTH_MAX] = { NULL };
    char name[192] = "", why[256];
    unsigned line, column;
    size_t n = 0;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    config_position(r->text, r->len, at, &line, &column);
    for (; at && n < DEPTH_MAX; at = at->up)
        way[n++] = at;
    while (n-- > 0) {
        size_t used = strlen(name), room = sizeof(name) - used;

        /* cppcheck-suppress uninitvar ; all n were set */
        if (way[n]->key)
            snprintf(name + used, room, "%s%.64s", used ? "." : "", way[n]->key);
        else
            snprintf(name + used, room, "[%zu]", way[n]->index);
    }
    return bawn_fail(r->err, BAWN_E_CONFIG, "%s:%u:%u: %s%s%s", r->path, line, column, name,
                     *name ? ": " : "", why);
}

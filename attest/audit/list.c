// SPDX-License-Identifier: Apache-2.0
/*
 * bawn-audit list and tail: entries, a line each. With --json the lines are the entries
 * themselves, byte for byte.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attest/audit/audit.h"

struct listing {
    const struct audit_options *o;
    uint64_t next; /* behind the last that was seen */
    /* tail: the last lines, in a ring */
    struct bawn_bytes *ring;
    uint64_t kept;
    bool failed;
    enum bawn_status st;
    struct bawn_error *err;
};

static bool is(const json_t *object, const char *name, const char *wanted)
{
    const char *text = json_string_value(json_object_get(object, name));

    return !wanted || (text && !strcmp(text, wanted));
}

static bool wanted(const struct audit_options *o, const struct log_entry *e)
{
    const json_t *allowed = json_object_get(e->json, "allowed");

    if (e->time_ms < o->from_ms || e->time_ms >= o->until_ms)
        return false;
    if (o->allowed && (!json_is_boolean(allowed) || json_is_true(allowed) != (*o->allowed == 'y')))
        return false;
    if (o->kind && (!audit_type(e->json) || strcmp(audit_type(e->json), o->kind) != 0))
        return false;
    return is(e->json, "tenant", o->tenant) && is(e->json, "verdict", o->verdict);
}

static void print_text(const json_t *object, const char *name, const char *before)
{
    const char *text = json_string_value(json_object_get(object, name));

    if (!text)
        return;
    printf("%s", before);
    audit_print(text);
}

static void print_line(const struct log_entry *e)
{
    const json_t *allowed = json_object_get(e->json, "allowed");

    printf("%8" PRIu64, e->seq);
    print_text(e->json, "time", "  ");
    printf("  %-7s", json_is_boolean(allowed) ? json_is_true(allowed) ? "ALLOWED" : "DENIED" : "");
    printf("  ");
    audit_print(audit_type(e->json));
    print_text(e->json, "tenant", "  ");
    print_text(e->json, "action", "  ");
    print_text(e->json, "resource", "  ");
    print_text(e->json, "path", "  ");
    print_text(e->json, "verdict", "  ");
    if (json_is_string(json_array_get(json_object_get(e->json, "reasons"), 0))) {
        printf(": ");
        audit_print(json_string_value(json_array_get(json_object_get(e->json, "reasons"), 0)));
    }
    putchar('\n');
}

static void print_entry(struct listing *l, struct bawn_bytes text)
{
    struct log_entry e;

    if (l->o->json) {
        printf("%.*s\n", (int)text.len, text.data);
    } else if (log_entry_read(text, &e, NULL) == BAWN_OK) {
        print_line(&e);
        log_entry_clear(&e);
    }
}

/* Takes its place in the ring; what was there before is too old. */
static bool keep(struct listing *l, struct bawn_bytes text)
{
    struct bawn_bytes *slot = &l->ring[l->kept++ % l->o->lines];
    uint8_t *copy = malloc(text.len + 1);

    if (!copy) {
        l->st = bawn_fail(l->err, BAWN_E_NOMEM, "no memory");
        return false;
    }
    memcpy(copy, text.data, text.len);
    free((void *)(uintptr_t)slot->data);
    slot->data = copy;
    slot->len = text.len;
    return true;
}

static bool take_item(void *context, uint64_t seq, const struct log_item *item)
{
    struct listing *l = context;
    struct bawn_error why;
    struct log_entry e;
    bool good;

    if (item->kind != LOG_ITEM_ENTRY)
        return true;
    l->next = seq + 1;
    if (log_entry_read(item->text, &e, &why) != BAWN_OK) {
        fprintf(stderr, "bawn-audit: entry %" PRIu64 ": %s\n", seq, why.msg);
        l->failed = true;
        return true;
    }
    good = wanted(l->o, &e);
    log_entry_clear(&e);
    if (good && l->ring)
        return keep(l, item->text);
    if (good)
        print_entry(l, item->text);
    return true;
}

static int answer(const struct listing *l, enum bawn_status st, struct bawn_error *err)
{
    if (st == BAWN_OK)
        st = l->st;
    if (st == BAWN_E_FORMAT)
        fprintf(stderr, "bawn-audit: %s\n", err->msg);
    else if (st != BAWN_OK)
        return -1;
    return l->failed || st == BAWN_E_FORMAT ? AUDIT_BAD : AUDIT_GOOD;
}

int audit_list(struct audit *a, struct bawn_error *err)
{
    struct listing l = { .o = a->o, .err = err };

    return answer(&l, audit_each(&a->log, 0, take_item, &l, err), err);
}

/* ---- tail ---- */

#define LINES_MAX 100000
#define FOLLOW_SECONDS 1

static enum bawn_status last_lines(struct audit *a, struct listing *l, struct bawn_error *err)
{
    enum bawn_status st;

    l->ring = calloc(a->o->lines, sizeof(*l->ring));
    if (!l->ring)
        return bawn_fail(err, BAWN_E_NOMEM, "no memory");
    st = audit_each(&a->log, 0, take_item, l, err);
    for (uint64_t i = l->kept > a->o->lines ? l->kept - a->o->lines : 0; i < l->kept; i++)
        print_entry(l, l->ring[i % a->o->lines]);
    for (uint64_t i = 0; i < a->o->lines; i++)
        free((void *)(uintptr_t)l->ring[i].data);
    free(l->ring);
    l->ring = NULL;
    return st;
}

int audit_tail(struct audit *a, struct bawn_error *err)
{
    struct listing l = { .o = a->o, .err = err };
    enum bawn_status st;

    if (a->o->follow && !a->log.db)
        st = bawn_fail(err, BAWN_E_USAGE,
                       "--follow: an exported file does not grow; name the "
                       "database");
    else if (!a->o->lines || a->o->lines > LINES_MAX)
        st = bawn_fail(err, BAWN_E_USAGE, "--lines: must be from 1 to %d", LINES_MAX);
    else
        st = last_lines(a, &l, err);
    while (a->o->follow && st == BAWN_OK && l.st == BAWN_OK) {
        if (fflush(stdout))
            break;
        sleep(FOLLOW_SECONDS);
        st = audit_each(&a->log, l.next, take_item, &l, err);
    }
    return answer(&l, st, err);
}

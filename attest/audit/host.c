// SPDX-License-Identifier: Apache-2.0
/*
 * bawn-audit host: reads, locks itself in, checks and prints.
 */
#include "attest/audit/host.h"

#include <stdlib.h>
#include <string.h>

#include "attest/audit/audit.h"

struct telling {
    json_t *list; /* NULL: for people */
    unsigned count[HOST_NONE + 1];
};

static void say(const struct host_finding *f)
{
    static const char *const marks[] = { "ok", "WARN", "FAIL", "-" };

    printf("%-5s %-36s ", marks[f->state], f->id);
    audit_print(f->found);
    if (*f->advice)
        printf("\n%43s%s", "", f->advice);
    putchar('\n');
}

static void take(void *context, const struct host_finding *f)
{
    struct telling *t = context;

    t->count[f->state]++;
    if (!t->list)
        say(f);
    else if (json_array_append_new(t->list, json_pack("{s:s, s:s, s:s, s:s}", "id", f->id, "state",
                                                      host_state_names[f->state], "found", f->found,
                                                      "advice", f->advice)))
        abort(); /* no memory: as audit_print_json() */
}

/* null where JSON has no form for it. */
static json_t *name_of(const char *root)
{
    json_t *name = json_string(root);

    return name ? name : json_null();
}

static int answer(const struct host_facts *facts, const struct audit_options *o)
{
    struct telling t = { .list = o->json ? json_array() : NULL };
    bool good;

    host_check(facts, take, &t);
    good = !t.count[HOST_FAIL] && !(o->strict && t.count[HOST_WARN]);
    if (o->json)
        audit_print_json(json_pack(
            "{s:i, s:b, s:o, s:i, s:i, s:i, s:i, s:o}", "bawn_host", 1, "good", good, "root",
            name_of(facts->root), "ok", t.count[HOST_OK], "warn", t.count[HOST_WARN], "fail",
            t.count[HOST_FAIL], "not_applicable", t.count[HOST_NONE], "checks", t.list));
    else
        printf("%s: %u ok, %u warn, %u fail, %u not applicable\n", good ? "GOOD" : "NOT GOOD",
               t.count[HOST_OK], t.count[HOST_WARN], t.count[HOST_FAIL], t.count[HOST_NONE]);
    return good ? AUDIT_GOOD : AUDIT_BAD;
}

int audit_host(struct audit *a, struct bawn_error *err)
{
    static struct host_facts facts; /* too large for a stack */
    int code = -1;

    if (host_read(&facts, a->o->root ? a->o->root : "/", a->o->exposure, err) == BAWN_OK &&
        audit_lock_in(a, err) == BAWN_OK)
        code = answer(&facts, a->o);
    host_free(&facts);
    return code;
}

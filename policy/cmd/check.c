// SPDX-License-Identifier: Apache-2.0
/*
 * check: whether policies can be read, and their hashes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/cmd/commands.h"
#include "policy/cmd/print.h"

/* "strict.json:12:5: text" taken apart, for programs. */
static json_t *error_json(const char *file, const struct bawn_error *err)
{
    const char *colon = strstr(err->msg, ": ");
    json_t *o = json_pack("{s:s, s:b, s:s}", "file", file, "ok", 0, "error", err->msg);
    unsigned long line, column;
    const char *p = colon;
    char *end;

    /* Back over ":line:column". */
    for (unsigned n = 0; p && n < 2; n++)
        do
            p = p > err->msg ? p - 1 : NULL;
        while (p && *p != ':');
    if (!p)
        return o;
    line = strtoul(p + 1, &end, 10);
    column = *end == ':' ? strtoul(end + 1, &end, 10) : 0;
    if (end != colon || !line || !column)
        return o;
    json_object_set_new(o, "in", json_stringn(err->msg, (size_t)(p - err->msg)));
    json_object_set_new(o, "line", json_integer((json_int_t)line));
    json_object_set_new(o, "column", json_integer((json_int_t)column));
    json_object_set_new(o, "error", json_string(colon + 2));
    return o;
}

static void print_good(const struct policy_options *o, const char *file,
                       const struct bawn_policy *policy)
{
    size_t n = bawn_policy_rules(policy);

    if (o->json) {
        json_t *good = json_policy(policy);

        json_object_set_new(good, "file", json_string(file));
        json_object_set_new(good, "ok", json_true());
        json_object_set_new(good, "rules", json_integer((json_int_t)n));
        print_json(good);
        return;
    }
    print_text(file);
    printf(": good: %s %s, %zu rule%s%s, SHA-256 ", bawn_policy_id(policy),
           bawn_policy_version(policy), n, n == 1 ? "" : "s", n ? "" : " (it denies everything)");
    print_hash(policy);
    putchar('\n');
}

static int check_one(const struct policy_options *o, const char *file)
{
    struct bawn_error err = { "" };
    struct bawn_policy *policy;
    enum bawn_status st = input_policy(file, &policy, &err);

    if (st == BAWN_OK)
        print_good(o, file, policy);
    else if (o->json)
        print_json(error_json(file, &err));
    else
        fprintf(stderr, "%s\n", err.msg);
    bawn_policy_destroy(policy);
    if (st == BAWN_OK)
        return 0;
    return st == BAWN_E_FORMAT ? DENIED : CANNOT;
}

int command_check(const struct policy_options *o)
{
    int worst = 0;

    for (size_t i = 0; i < o->files.n; i++) {
        int status = check_one(o, o->files.text[i]);

        if (status > worst)
            worst = status;
    }
    return worst;
}
